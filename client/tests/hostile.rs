//! A node that speaks the protocol well and lies in every number. The client may say that it does; it must not panic,
//! hang, or take memory without bound.
//!
//! Every case comes from a seed. `MIZAN_FUZZ_SEED=N` repeats one, `MIZAN_FUZZ_SECONDS=N` goes on for so long.

mod common;

use common::{FakeNode, Peer};
use mizan_client::{Client, ClientConfig, ClientError, NodeLimits, Outcome};
use mizan_wire::frame::{self, Header, HelloReply, Pong, Request};
use mizan_wire::limits::BODY_SIZE_MAX;
use mizan_wire::{Operation, RequestStatus, Status};
use std::time::{Duration, Instant};
use zerocopy::{FromBytes, IntoBytes};

const CASES: u64 = 300;
/// Requests of a case, and frames that a connection of the node sends at the most.
const REQUESTS: u64 = 24;
const FRAMES_MAX: usize = 64;
/// How long the client of a case waits for a reply that does not come.
const SHORT: Duration = Duration::from_millis(15);

/// SplitMix64: any seed will do.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// The kind of number that breaks sums.
    fn extreme(&mut self) -> u64 {
        const EDGES: [u64; 10] = [
            0,
            1,
            2,
            u32::MAX as u64,
            1 << 32,
            (1 << 62) - 1,
            1 << 62,
            i64::MAX as u64,
            1 << 63,
            u64::MAX,
        ];
        match self.below(3) {
            0 => self.next(),
            1 => self.below(100),
            _ => EDGES[self.below(EDGES.len() as u64) as usize],
        }
    }

    fn status(&mut self) -> u32 {
        match self.below(4) {
            0 => self.extreme() as u32,
            1 => {
                let all = RequestStatus::PRECEDENCE;
                all[self.below(all.len() as u64) as usize].number()
            }
            _ => 0,
        }
    }

    /// Writes an extreme number over some of the fields of a frame, or of a record.
    fn disturb(&mut self, bytes: &mut [u8]) {
        while self.one_in(2) {
            let width = [1, 2, 4, 8][self.below(4) as usize];
            let Some(last) = bytes.len().checked_sub(width) else { return };
            let at = self.below(last as u64 / width as u64 + 1) as usize * width;
            let value = self.extreme().to_le_bytes();
            bytes[at..at + width].copy_from_slice(&value[..width]);
        }
    }
}

/// Reseals a frame whose parts behind the prefix were written over.
fn disturbed<T: FromBytes + IntoBytes + zerocopy::Immutable>(random: &mut Random, frame: T) -> T {
    let mut bytes = frame.as_bytes().to_vec();
    random.disturb(&mut bytes[48..]);
    T::read_from_bytes(&bytes).unwrap_or(frame)
}

/// Serves one connection; false when the client has gone.
fn serve(peer: &mut Peer, random: &mut Random) {
    for _ in 0..FRAMES_MAX {
        let Some((header, _)) = peer.frame_or_end() else { return };
        match header {
            Header::Hello(hello) => {
                let mut limits = NodeLimits { events_max: 8_189, ..common::limits() };
                if random.one_in(3) {
                    random.disturb(limits.as_mut_bytes());
                }
                let mut reply = HelloReply {
                    client: hello.client,
                    cluster: common::CLUSTER,
                    session: if hello.flags == 0 { common::SESSION } else { 0 },
                    request_last: if random.one_in(4) { random.extreme() } else { 0 },
                    epoch: 1,
                    role: 1,
                    ..HelloReply::default()
                };
                if random.one_in(3) {
                    reply = disturbed(random, reply);
                }
                peer.send(&reply.seal(limits.as_bytes()), limits.as_bytes());
            }
            Header::Ping(ping) => {
                let commit = random.extreme();
                let nonce = if random.one_in(8) { random.next() } else { ping.nonce };
                peer.send(&Pong { nonce, commit, ..Pong::default() }.seal(&[]), &[]);
            }
            Header::Request(request) => answer(peer, random, &request),
            other => panic!("the client sent {other:?}"),
        }
        if random.one_in(40) {
            return;
        }
    }
}

fn answer(peer: &mut Peer, random: &mut Random, request: &Request) {
    let mut reply = common::executed(request);
    let operation = Operation::from_number(request.operation).expect("a client's operation");
    let size = operation.result_size();
    let count = match random.below(4) {
        0 => 0,
        1 => random.below(3),
        2 => u64::from(request.event_count),
        _ if size == 0 => 0,
        _ => random.below((BODY_SIZE_MAX / size) as u64),
    };
    let count = if size == 0 { 0 } else { count };
    reply.result_size = size as u16;
    reply.result_count = count as u32;
    let mut body = vec![0; count as usize * size];
    for record in body.chunks_exact_mut(size.max(1)).take(64) {
        random.disturb(record);
    }
    if !operation.is_create() {
        reply.flags = 0;
    }
    if random.one_in(6) {
        reply = disturbed(random, reply);
    }
    if random.one_in(6) {
        reply.status = random.status();
    }
    if random.one_in(60) {
        peer.error(RequestStatus::FrameSizeInvalid, "\u{1b}[2J\u{7f}");
        return;
    }
    peer.reply(&frame::Reply { ..reply }, &body);
    if random.one_in(20) {
        peer.reply(&reply, &body);
    }
}

/// Everything that a caller may make of a reply.
fn look_at(reply: &mizan_client::Reply) {
    let created = reply.create_results().len();
    assert!(created == 0 || created == reply.event_count as usize);
    let _ = (reply.exceptions(), reply.accounts(), reply.transfers(), reply.ledgers());
    let _ = (reply.codes(), reply.trial_balance(), reply.engine_status(), reply.order_results());
    let _ = (reply.instruments(), reply.orders(), reply.execution_reports(), reply.depth());
}

fn case(seed: u64) {
    let node = FakeNode::run(move |door| {
        let mut random = Random(seed);
        while let Some(mut peer) = door.accept_until_knocked() {
            serve(&mut peer, &mut random);
        }
    });
    let mut random = Random(!seed);
    let config = ClientConfig {
        read_only: random.one_in(5),
        connect_timeout: Duration::from_secs(5),
        request_timeout: SHORT,
        ..node.config()
    };
    if let Ok(mut client) = Client::connect(config) {
        drive(&mut client, &mut random);
    }
    node.knock();
    node.join();
}

fn drive(client: &mut Client, random: &mut Random) {
    let operations: Vec<Operation> =
        Operation::ALL.into_iter().filter(|operation| operation.is_for_clients()).collect();
    for _ in 0..REQUESTS {
        let operation = operations[random.below(operations.len() as u64) as usize];
        let (least, most) = operation.event_count_range();
        let count = u64::from(least) + random.below(u64::from(most - least).min(4) + 1);
        let mut events = vec![0; count as usize * operation.event_size()];
        random.disturb(&mut events);
        let _ = (client.events_max_of(operation), client.limits(), client.epoch());
        match client.submit(operation, &events) {
            Ok(_) | Err(ClientError::WouldExceedWindow | ClientError::TooManyEvents { .. }) => {}
            Err(ClientError::Invalid(_)) => {}
            Err(error) => {
                assert!(error.is_final() && !error.to_string().contains('\u{1b}'), "{error}");
                return;
            }
        }
        if random.one_in(10) {
            let _ = client.ping();
        }
        if random.one_in(3)
            && let Ok(Some(completion)) = client.poll(Duration::from_millis(2))
            && let Outcome::Reply(reply) = &completion.outcome
        {
            look_at(reply);
        }
    }
    let deadline = Instant::now() + common::PATIENCE;
    while client.in_flight() > 0 {
        match client.poll(SHORT) {
            Ok(Some(completion)) => {
                if let Outcome::Reply(reply) = &completion.outcome {
                    look_at(reply);
                }
            }
            Ok(None) => {}
            Err(_) => return,
        }
        assert!(Instant::now() < deadline, "requests are in flight for ever");
    }
}

#[test]
fn a_session_with_more_writes_than_there_can_be_is_refused() {
    for request_last in [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 62) + 1] {
        let node = FakeNode::run(move |door| {
            door.welcome(request_last).expect_end();
        });
        let error = Client::connect(node.config()).unwrap_err();
        assert!(
            matches!(&error, ClientError::Protocol(text) if text.contains("more writes")),
            "{error}"
        );
        node.join();
    }
}

#[test]
fn the_window_that_is_used_is_bounded_whatever_the_node_offers() {
    let node = FakeNode::run(|door| {
        let mut peer = door.accept();
        peer.limits.window_requests = u32::MAX;
        peer.limits.window_bytes = u32::MAX;
        let hello = peer.hello();
        peer.welcome(&hello, 0);
        peer.expect_end();
    });
    let client = node.connect();
    assert_eq!(client.limits().window_requests, 65_536);
    assert_eq!(client.limits().window_bytes, 256 << 20);
    drop(client);
    node.join();
}

#[test]
fn a_node_that_lies_in_every_number_is_survived() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("MIZAN_FUZZ_SEED") {
        return case(seed);
    }
    let first = u64::from(std::process::id()) << 32;
    let until = number("MIZAN_FUZZ_SECONDS").map(|s| Instant::now() + Duration::from_secs(s));
    let mut seed = first;
    while until.map_or(seed < first + CASES, |until| Instant::now() < until) {
        let result = std::panic::catch_unwind(|| case(seed));
        if let Err(panic) = result {
            eprintln!(
                "repeat with MIZAN_FUZZ_SEED={seed} cargo test -p mizan-client --test hostile"
            );
            std::panic::resume_unwind(panic);
        }
        seed += 1;
    }
}
