//! Random requests, random damage and random bytes, in random pieces, to a gateway with next to no buffers and a sink
//! with random room.
//!
//! A failing case is printed in its smallest form and kept in `arbitrary.proptest-regressions`, from where
//! `cargo test -p mizan-gateway --test arbitrary` repeats it first.

mod common;

use common::*;
use mizan_gateway::{GatewayConfig, Submission};
use mizan_wire::frame::Header;
use mizan_wire::limits::{FRAME_SIZE_MAX, HEADER_SIZE};
use mizan_wire::{Operation, RequestStatus, frame_checksum};
use proptest::prelude::*;

/// Something that a client may send.
#[derive(Clone, Debug)]
enum Piece {
    Write(u32),
    WrongSession(u32),
    Lookup(u32),
    TrialBalance,
    UnknownOperation(u32),
    Ping,
}

impl Piece {
    fn frame(&self, session: u64, number: u64) -> Vec<u8> {
        use Operation::{CreateTransfers, LookupAccounts, TrialBalance};
        match self {
            Self::Write(count) => write_of(session, number, *count),
            Self::WrongSession(count) => write_of(session + 1, number, *count),
            Self::Lookup(count) => request(LookupAccounts, session, number, *count, |_| ()),
            Self::TrialBalance => request(TrialBalance, session, number, 0, |_| ()),
            Self::UnknownOperation(count) => {
                request(CreateTransfers, session, number, *count, |request| request.operation = 3)
            }
            Self::Ping => ping(number),
        }
    }

    const fn status(&self) -> u32 {
        match self {
            Self::WrongSession(_) => RequestStatus::SessionUnknown as u32,
            Self::UnknownOperation(_) => RequestStatus::OperationUnknown as u32,
            _ => 0,
        }
    }
}

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 1..8u32, 3 => 50..80u32, 1 => 1000..8190u32]
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        4 => count().prop_map(Piece::Write),
        1 => count().prop_map(Piece::WrongSession),
        1 => count().prop_map(Piece::Lookup),
        1 => Just(Piece::TrialBalance),
        1 => count().prop_map(Piece::UnknownOperation),
        1 => Just(Piece::Ping),
    ]
}

/// Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// A gateway that is short of everything.
fn poor(random: &mut Random) -> GatewayConfig {
    GatewayConfig {
        read_bytes_max: random.one_of(&[256, 1000, 5000, 300_000]),
        buffer_small_count: 1,
        buffer_full_count: random.one_of(&[1, 2]),
        in_flight_max: random.one_of(&[1, 3, 1000]),
        reply_bytes_max: random.one_of(&[FRAME_SIZE_MAX, 4 << 20]),
        reply_bytes_total_max: 8 << 20,
        ..config()
    }
}

/// One turn in which sink, clock and answers do as they like.
fn random_turn(bed: &mut Bed, random: &mut Random) {
    bed.answers = false;
    bed.sink.room_bytes = random.one_of(&[0, 128, 800, 5000, 2 << 20, 2 << 20]);
    bed.sink.verdict = (random.below(8) == 0).then_some(Submission::Busy);
    bed.advance(MILLISECOND);
    bed.turn();
    let answers = random.one_of(&[0, 1, 5]);
    bed.answer(answers);
}

/// Sends bytes in random pieces until `is_done`.
fn send_in_pieces(
    bed: &mut Bed,
    client: &mut Client,
    bytes: &[u8],
    random: &mut Random,
    mut is_done: impl FnMut(&mut Client) -> bool,
) {
    let mut rest = bytes;
    let mut random_bed = Random(random.next());
    bed.until("everything is sent and answered", |bed| {
        if client.unsent.is_empty() && !rest.is_empty() {
            let largest = random.one_of(&[1, 100, 3000, 1 << 20]).max(bytes.len() / 100);
            let (piece, left) = rest.split_at((1 + random.below(largest)).min(rest.len()));
            client.send(piece);
            rest = left;
        }
        client.pump();
        random_turn(bed, &mut random_bed);
        client.is_ended || (rest.is_empty() && is_done(client))
    });
    bed.sink.room_bytes = 2 << 20;
    bed.sink.verdict = None;
    bed.answers = true;
    bed.answer(usize::MAX);
}

/// Frames that lie in a client's inbox.
fn frames(inbox: &[u8]) -> Vec<Header> {
    let mut found = Vec::new();
    let mut rest = inbox;
    while let Some(bytes) = rest.first_chunk::<HEADER_SIZE>() {
        let header = Header::parse(bytes).expect("a frame of the gateway");
        let Some(left) = rest.get(HEADER_SIZE + header.body_size()..) else { break };
        found.push(header);
        rest = left;
    }
    found
}

/// Replies and pongs, each as its number and status.
fn answers(inbox: &[u8]) -> (Vec<(u64, u32)>, Vec<u64>) {
    let (mut replies, mut pongs) = (Vec::new(), Vec::new());
    for frame in frames(inbox) {
        match frame {
            Header::Reply(reply) => replies.push((reply.request, reply.status)),
            Header::Pong(pong) => pongs.push(pong.nonce),
            Header::Error(_) => {}
            other => panic!("nobody asked for {other:?}"),
        }
    }
    (replies, pongs)
}

/// What was held is given back, and others are served.
fn assert_clean(bed: &mut Bed, clients: Vec<Client>) {
    drop(clients);
    let mut bystander = bed.session(0xB15);
    bed.assert_served(&mut bystander);
    drop(bystander);
    bed.until("all are gone", |bed| {
        bed.advance(10 * MILLISECOND);
        bed.counters().connections == 0
    });
    let counters = bed.counters();
    assert_eq!((counters.buffers_small, counters.buffers_full), (0, 0));
    assert_eq!((counters.unsent_bytes, counters.in_flight), (0, 0));
}

struct Scene {
    bed: Bed,
    client: Client,
    dribbler: Client,
    bytes: Vec<u8>,
    replies: Vec<(u64, u32)>,
    pongs: Vec<u64>,
}

/// A client with something to send, and a dribbler who has taken the first full buffer.
fn scene(pieces: &[Piece], random: &mut Random) -> Scene {
    let mut bed = Bed::with(poor(random));
    let mut dribbler = bed.session(1);
    dribbler.send(&large(dribbler.session, 1)[..10_000]);
    bed.settle();
    let client = bed.session(2);
    let mut bytes = Vec::new();
    let (mut replies, mut pongs) = (Vec::new(), Vec::new());
    for (number, piece) in (1..).zip(pieces) {
        bytes.extend(piece.frame(client.session, number));
        match piece {
            Piece::Ping => pongs.push(number),
            _ => replies.push((number, piece.status())),
        }
    }
    Scene { bed, client, dribbler, bytes, replies, pongs }
}

/// More than the usual number of cases: `PROPTEST_CASES=5000 cargo test -p mizan-gateway --test arbitrary`.
fn cases() -> u32 {
    let given = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    given.unwrap_or(96)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn requests_in_any_pieces_are_all_answered_once_and_in_order(
        pieces in prop::collection::vec(piece(), 1..25),
        seed: u64,
    ) {
        let mut random = Random(seed);
        let Scene { mut bed, mut client, dribbler, bytes, replies, pongs } = scene(&pieces, &mut random);
        let count = pieces.len();
        send_in_pieces(&mut bed, &mut client, &bytes, &mut random, |client| {
            frames(&client.inbox).len() == count
        });
        prop_assert!(!client.is_ended);
        prop_assert_eq!(answers(&client.inbox), (replies, pongs));
        let submitted = bed.sink.submitted.iter().filter(|(entry, _)| {
            entry.client == 2 && entry.operation != Operation::Register.number()
        });
        let accepted: Vec<usize> = (0..count)
            .filter(|index| pieces[*index].status() == 0 && !matches!(pieces[*index], Piece::Ping))
            .collect();
        prop_assert_eq!(submitted.clone().count(), accepted.len());
        for ((_, body), index) in submitted.zip(accepted) {
            let frame = pieces[index].frame(client.session, index as u64 + 1);
            prop_assert!(body[..] == frame[HEADER_SIZE..]);
        }
        assert_clean(&mut bed, vec![client, dribbler]);
    }

    #[test]
    fn a_damaged_byte_ends_the_connection_with_its_reason_wherever_it_is(
        pieces in prop::collection::vec(piece(), 0..8),
        damaged in count(),
        place: prop::sample::Index,
        flip in 1..=255u8,
        seed: u64,
    ) {
        let mut random = Random(seed);
        let Scene { mut bed, mut client, dribbler, mut bytes, replies, pongs } = scene(&pieces, &mut random);
        let mut frame = write_of(client.session, 999, damaged);
        let place = place.index(frame.len());
        frame[place] ^= flip;
        bytes.extend(frame);
        bytes.extend(ping(5));
        send_in_pieces(&mut bed, &mut client, &bytes, &mut random, |_| false);
        let expected = match place {
            32..36 => RequestStatus::BadMagic,
            0..HEADER_SIZE => RequestStatus::HeaderChecksumMismatch,
            _ => RequestStatus::BodyChecksumMismatch,
        };
        let status = match frames(&client.inbox).last() {
            Some(Header::Error(error)) => error.status,
            other => return Err(TestCaseError::fail(format!("the last frame is {other:?}"))),
        };
        prop_assert_eq!(status, expected as u32);
        let (received, echoed) = answers(&client.inbox);
        prop_assert!(replies.starts_with(&received), "{:?}", received);
        prop_assert_eq!(echoed, pongs);
        prop_assert!(bed.sink.submitted.iter().all(|(entry, _)| entry.request != 999));
        assert_clean(&mut bed, vec![client, dribbler]);
    }

    #[test]
    fn any_bytes_at_all_cost_at_most_their_own_connection(
        noise in prop::collection::vec(any::<u8>(), 1..600),
        kind in 0..10u8,
        size in prop_oneof![0..2000u32, any::<u32>()],
        is_sealed: bool,
        says_hello: bool,
        seed: u64,
    ) {
        let mut random = Random(seed);
        let Scene { mut bed, mut client, dribbler, .. } = scene(&[], &mut random);
        if !says_hello {
            client = bed.connect();
        }
        let mut bytes = noise;
        if is_sealed {
            bytes.resize(bytes.len().max(HEADER_SIZE), 0);
            bytes[32..36].copy_from_slice(b"MZN1");
            bytes[36..40].copy_from_slice(&size.to_le_bytes());
            (bytes[40], bytes[41]) = (kind, 1);
            bytes[42..48].fill(0);
            let sum = frame_checksum(&bytes[16..HEADER_SIZE]);
            bytes[..16].copy_from_slice(&sum.to_le_bytes());
        }
        let connections = bed.counters().connections;
        send_in_pieces(&mut bed, &mut client, &bytes, &mut random, |_| true);
        let mut bystander = bed.session(3);
        bed.assert_served(&mut bystander);
        bed.advance(11 * SECOND);
        bed.settle();
        bed.advance(11 * SECOND);
        bed.settle();
        let counters = bed.counters();
        prop_assert_eq!((counters.buffers_small, counters.buffers_full), (0, 0));
        prop_assert!(counters.connections <= connections + 1);
        frames(&client.inbox);
        assert_clean(&mut bed, vec![client, dribbler, bystander]);
    }
}
