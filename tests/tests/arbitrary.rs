//! Arbitrary bytes against a real node's port: whatever comes, others are served, the ledger does not change, and every
//! answer is a whole frame with a numbered status, or a close.
//!
//! Frames are mutated and then sealed again, so that checks behind the checksums are reached, too. All events are
//! zeros, which no operation accepts, so that even a request that passes moves nothing.

use mizan_tests::binary::{NodeProcess, format_small};
use mizan_tests::ledger::{LedgerView, client, create_accounts, pay, reader};
use mizan_tests::raw::{Answer, RawConnection, hello_frame, reader_hello_frame, request_frame};
use mizan_wire::limits::{FRAME_SIZE_MAX, HEADER_SIZE};
use mizan_wire::{EngineStatus, Operation, frame_checksum};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;
use tempfile::TempDir;

const SEED_DEFAULT: u64 = 20_261_121;
/// Connections with arbitrary bytes.
const CASES: u32 = 300;
/// The one client that opens sessions, so that they are not used up.
const CLIENT: u128 = 0xF022;
/// Where a header names the frame's kind, and the kind of a hello.
const KIND_OFFSET: usize = 40;
const HELLO_KIND: u8 = 1;
/// Where the numbers lie that sizes depend on: offset and width in the header.
const LYING_FIELDS: [(usize, usize); 7] =
    [(36, 4), (40, 1), (41, 1), (80, 2), (88, 2), (92, 4), (84, 4)];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Hello,
    ReaderHello,
    Create(Operation),
    Lookup,
    Status,
    Close,
}

/// What is done to a frame.
#[derive(Clone, Debug)]
struct Mutation {
    /// Places and bytes, in header or body.
    bytes: Vec<(usize, u8)>,
    /// A field of the header that is overwritten with a number.
    lie: Option<(usize, u32)>,
    /// Whether the checksums are made right again.
    is_resealed: bool,
    /// Only so many bytes are sent.
    length: Option<usize>,
}

#[derive(Clone, Debug)]
enum Piece {
    Bytes(Vec<u8>),
    Frame { kind: Kind, count: usize, mutation: Option<Mutation> },
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        1 => Just(Kind::Hello),
        1 => Just(Kind::ReaderHello),
        4 => Just(Kind::Create(Operation::CreateTransfers)),
        1 => Just(Kind::Create(Operation::CreateAccounts)),
        1 => Just(Kind::Create(Operation::CreateLedgers)),
        5 => Just(Kind::Lookup),
        2 => Just(Kind::Status),
        1 => Just(Kind::Close),
    ]
}

fn lies() -> impl Strategy<Value = u32> {
    let size = FRAME_SIZE_MAX as u32;
    prop_oneof![
        prop::sample::select(vec![0, 1, 127, 128, 129, 8_189, 8_190, size, size + 1, u32::MAX]),
        any::<u32>(),
    ]
}

fn mutations() -> impl Strategy<Value = Mutation> {
    (
        prop::collection::vec((0..640usize, any::<u8>()), 0..4),
        prop::option::of((0..LYING_FIELDS.len(), lies())),
        prop::bool::weighted(0.8),
        prop::option::weighted(0.2, 0..640usize),
    )
        .prop_map(|(bytes, lie, is_resealed, length)| Mutation {
            bytes,
            lie,
            is_resealed,
            length,
        })
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let frame = (kinds(), 0..5usize, prop::option::weighted(0.6, mutations()));
    let frame = frame.prop_map(|(kind, count, mutation)| Piece::Frame { kind, count, mutation });
    let bytes = prop::collection::vec(any::<u8>(), 1..700).prop_map(Piece::Bytes);
    let piece = prop_oneof![8 => frame, 1 => bytes];
    // Most begin with a good hello, because nothing else is looked at before.
    let greeting =
        prop::option::weighted(0.7, prop::sample::select(vec![Kind::Hello, Kind::ReaderHello]));
    (greeting, prop::collection::vec(piece, 1..6)).prop_map(|(greeting, pieces)| {
        let greeting = greeting.map(|kind| Piece::Frame { kind, count: 0, mutation: None });
        greeting.into_iter().chain(pieces).collect()
    })
}

impl Piece {
    fn bytes(&self, session: u64, number: u64) -> Vec<u8> {
        let (kind, count, mutation) = match self {
            Self::Bytes(bytes) => return bytes.clone(),
            Self::Frame { kind, count, mutation } => (*kind, *count, mutation),
        };
        let request = |operation: Operation, count: usize| {
            request_frame(session, number, operation, &vec![0; operation.event_size() * count])
        };
        let frame = match kind {
            Kind::Hello => hello_frame(CLIENT),
            Kind::ReaderHello => reader_hello_frame(),
            Kind::Create(operation) => request(operation, count),
            Kind::Lookup => request(Operation::LookupAccounts, count),
            Kind::Status => request(Operation::GetEngineStatus, 0),
            Kind::Close => request(Operation::CloseSession, 0),
        };
        mutation.as_ref().map_or(frame.clone(), |mutation| mutation.apply(frame))
    }

    /// Whether it can open a session, or use one. A mutated request may have become a hello.
    fn may_write(&self) -> bool {
        let bytes = self.bytes(0, 1);
        bytes.get(KIND_OFFSET) == Some(&HELLO_KIND) && bytes != reader_hello_frame()
    }
}

impl Mutation {
    fn apply(&self, mut frame: Vec<u8>) -> Vec<u8> {
        for (place, byte) in &self.bytes {
            let place = place % frame.len();
            frame[place] = *byte;
        }
        if let Some((field, number)) = self.lie {
            let (offset, width) = LYING_FIELDS[field];
            frame[offset..offset + width].copy_from_slice(&number.to_le_bytes()[..width]);
        }
        if self.is_resealed {
            let body = frame_checksum(&frame[HEADER_SIZE..]);
            frame[16..32].copy_from_slice(&body.to_le_bytes());
            let header = frame_checksum(&frame[16..HEADER_SIZE]);
            frame[..16].copy_from_slice(&header.to_le_bytes());
        }
        frame.truncate(self.length.unwrap_or(usize::MAX));
        frame
    }
}

fn seed() -> u64 {
    std::env::var("MIZAN_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(SEED_DEFAULT)
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Sends the pieces cut anywhere, and gives everything that was answered.
fn talk(node: &NodeProcess, bytes: &[u8], cuts: &[usize]) -> Vec<Answer> {
    let mut connection = RawConnection::connect(node.address());
    let mut rest = bytes;
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let length = cuts.next().map_or(rest.len(), |cut| (*cut).min(rest.len()));
        if !connection.send(&rest[..length]) {
            break;
        }
        rest = &rest[length..];
    }
    connection.finish_sending();
    connection.receive_all()
}

/// Session and next number of the client that opens sessions, as a hello of it is told.
fn session(node: &NodeProcess) -> (u64, u64) {
    let (_, hello) = RawConnection::open(node.address(), CLIENT);
    (hello.session, hello.request_last + 1)
}

/// The status but for what the node's own entries change: it notes when connections of earlier cases are gone.
fn counts(status: &EngineStatus) -> EngineStatus {
    EngineStatus { sequence: 0, timestamp: 0, digest: 0, ..*status }
}

fn count_answers(answers: &[Answer], seen: &mut BTreeMap<String, u64>) {
    for (index, answer) in answers.iter().enumerate() {
        let name = match answer {
            Answer::Hello(reply) => format!("hello {}", reply.status),
            Answer::Reply(reply, _) => format!("reply {}", reply.status),
            Answer::Error(status, _) => {
                assert_eq!(index + 1, answers.len(), "nothing follows an error");
                format!("error {}", *status as u32)
            }
            Answer::Pong => "pong".to_owned(),
            Answer::End => unreachable!("the end is no answer"),
        };
        *seen.entry(name).or_default() += 1;
    }
}

#[test]
fn arbitrary_bytes_change_nothing_and_get_a_numbered_answer_or_a_close() {
    let seed = seed();
    println!(
        "seed {seed}; repeat with MIZAN_SEED={seed} cargo test -p mizan-tests --test arbitrary"
    );
    let directory = TempDir::new().expect("a temporary directory");
    let data = directory.path().join("data");
    // A digest would be an entry of the log that nobody asked for.
    let limits = ["--transfers", "50000", "--accounts", "1000", "--holds", "100"];
    format_small(&data, &[&limits[..], &["--digest-interval", "1000000"]].concat());
    let mut node = NodeProcess::start(&data, "127.0.0.1:0");
    let mut good = client(node.address());
    create_accounts(&mut good, 48);
    pay(&mut good, 1, 25).expect("the node answers");
    let reader = RefCell::new(reader(node.address()));
    let last = RefCell::new(LedgerView::of(&mut reader.borrow_mut()));
    let seen = RefCell::new(BTreeMap::new());
    let input = (pieces(), prop::collection::vec(1..300usize, 1..6));
    let result = runner(seed).run(&input, |(pieces, cuts)| {
        let may_write = pieces.iter().any(Piece::may_write);
        let (session, number) = if may_write { session(&node) } else { (0, 1) };
        let bytes: Vec<u8> = std::iter::zip(&pieces, number..)
            .flat_map(|(piece, number)| piece.bytes(session, number))
            .collect();
        count_answers(&talk(&node, &bytes, &cuts), &mut seen.borrow_mut());
        let (view, status) = LedgerView::of(&mut reader.borrow_mut());
        let before = last.replace((view.clone(), status));
        prop_assert_eq!(before.0, view, "the ledger has changed");
        if !may_write {
            prop_assert_eq!(counts(&before.1), counts(&status), "a reader has written");
        }
        Ok(())
    });
    if let Err(failure) = result {
        panic!("seed {seed}: {failure}\nnode: {}", node.stderr());
    }
    println!("answers to {CASES} connections: {:?}", seen.borrow());
    assert!(seen.borrow().len() >= 10, "too few checks were reached: {:?}", seen.borrow());
    pay(&mut good, 2, 25).expect("the node still answers");
    node.terminate();
    assert!(node.wait().success(), "{}", node.stderr());
}
