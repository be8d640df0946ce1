//! Bytes that no sound node sends: an error with a reason, never a panic, a hang, or memory without bound.

mod common;

use common::{FakeNode, end, executed, failure, submit};
use mizan_client::{Client, ClientConfig, ClientError};
use mizan_wire::frame::{HelloReply, Pong, REPLY_COMPACT, Reply};
use mizan_wire::{Operation, ResultException};
use proptest::prelude::*;
use std::time::Duration;
use zerocopy::IntoBytes;

#[test]
fn a_greeting_that_is_not_a_frame_is_refused() {
    let node = FakeNode::run(|door| {
        let mut peer = door.accept();
        peer.hello();
        peer.send(&[b'x'; 200], &[]);
    });
    let error = Client::connect(node.config()).unwrap_err();
    assert!(matches!(&error, ClientError::Protocol(text) if text.contains("bad_magic")), "{error}");
    node.join();
}

#[test]
fn a_node_that_only_closes_is_unreachable() {
    let node = FakeNode::run(|door| drop(door.accept()));
    let error = Client::connect(node.config()).unwrap_err();
    assert!(matches!(error, ClientError::Unreachable(..)), "{error}");
    node.join();
}

#[test]
fn a_node_that_never_answers_the_hello_is_unreachable() {
    let node = FakeNode::run(|door| door.accept().expect_end());
    let connect_timeout = Duration::from_millis(100);
    let error = Client::connect(ClientConfig { connect_timeout, ..node.config() }).unwrap_err();
    assert!(matches!(error, ClientError::Unreachable(..)), "{error}");
    node.join();
}

#[test]
fn a_hello_without_limits_or_for_somebody_else_is_refused() {
    let changes: [fn(&mut HelloReply); 3] =
        [|reply| reply.client ^= 1, |reply| reply.session = 0, |reply| reply.status = 5];
    for change in changes {
        let node = FakeNode::run(move |door| {
            let mut peer = door.accept();
            let hello = peer.hello();
            let mut reply =
                HelloReply { client: hello.client, session: 1, ..HelloReply::default() };
            change(&mut reply);
            let limits = common::limits();
            peer.send(&reply.seal(limits.as_bytes()), limits.as_bytes());
        });
        let error = Client::connect(node.config()).unwrap_err();
        assert!(matches!(error, ClientError::Protocol(_)), "{error}");
        node.join();
    }
}

/// What the client says when a sound node answers one batch of three transfers like this.
fn answer_to_three_transfers(change: fn(&mut Reply), body: &'static [u8]) -> ClientError {
    let node = FakeNode::run(move |door| {
        let mut peer = door.welcome(0);
        let (request, _) = peer.request();
        let mut reply = executed(&request);
        change(&mut reply);
        peer.reply(&reply, body);
        peer.expect_end();
    });
    let mut client = node.connect();
    submit(&mut client, 1, 3);
    let error = failure(&mut client);
    node.join();
    error
}

#[test]
fn a_reply_that_contradicts_its_request_ends_the_client() {
    type Change = fn(&mut Reply);
    let cases: [(Change, &str); 10] = [
        (|r| r.request = 0, "does not wait for one"),
        (|r| r.request = 2, "does not wait for one"),
        (|r| r.request = u64::MAX, "does not wait for one"),
        (|r| r.operation = Operation::CreateAccounts.number(), "another operation"),
        (|r| r.event_count = 2, "other events"),
        (|r| r.event_count = u32::MAX, "other events"),
        (|r| r.flags = 0, "not compact"),
        (|r| r.flags = REPLY_COMPACT | 4, "unknown flag"),
        (|r| r.result_count = 1, "size of its records"),
        (|r| r.status = 12_345, "status 12345 is unknown"),
    ];
    for (change, text) in cases {
        let error = answer_to_three_transfers(change, &[]);
        assert!(matches!(error, ClientError::Protocol(_)), "{error}");
        assert!(error.to_string().contains(text), "{text}: {error}");
    }
}

#[test]
fn results_at_impossible_places_end_the_client() {
    let exception = |index| ResultException { timestamp: 1, index, status: 1 };
    for indexes in [[0, 0], [1, 0], [0, 3], [0, u32::MAX]] {
        let bytes: Vec<u8> =
            indexes.iter().flat_map(|index| exception(*index).as_bytes().to_vec()).collect();
        let change = |reply: &mut Reply| {
            reply.result_size = 16;
            reply.result_count = 2;
        };
        let error = answer_to_three_transfers(change, bytes.leak());
        assert!(error.to_string().contains("an index that the request does not have"), "{error}");
    }
}

#[test]
fn frames_that_were_not_asked_for_end_the_client() {
    let pong = Pong { nonce: 1, ..Pong::default() }.seal(&[]);
    let hello = HelloReply::default().seal(&[]);
    for frame in [pong, hello] {
        let node = FakeNode::run(move |door| {
            let mut peer = door.welcome(0);
            peer.send(&frame, &[]);
            peer.expect_end();
        });
        let error = end(&node);
        assert!(matches!(error, ClientError::Protocol(_)), "{error}");
        node.join();
    }
}

#[test]
fn a_reply_damaged_on_the_way_is_asked_for_again() {
    let node = FakeNode::run(|door| {
        let mut peer = door.welcome(0);
        let (request, _) = peer.request();
        let mut bytes = executed(&request).seal(&[]);
        bytes[100] ^= 1;
        peer.send(&bytes, &[]);
        let mut peer = door.welcome(1);
        let (again, _) = peer.request();
        assert_eq!(request, again);
        peer.replay(&again);
    });
    assert_eq!(node.connect().create_transfers(&common::transfers(1, 3)).unwrap().len(), 3);
    node.join();
}

/// Sends these bytes to a client with a write and a read in flight; it must come to an end without a panic.
fn survive(bytes: Vec<u8>) {
    let node = FakeNode::run(move |door| {
        let mut peer = door.welcome(0);
        peer.requests(2);
        peer.send(&bytes, &[]);
    });
    let mut client = Client::connect(ClientConfig { reconnect: false, ..node.config() }).unwrap();
    submit(&mut client, 1, 3);
    client.submit(Operation::LookupAccounts, 1u128.as_bytes()).unwrap();
    failure(&mut client);
    assert_eq!(client.in_flight(), 0);
    node.join();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_bytes_at_all_end_the_client_in_order(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        survive(bytes);
    }

    #[test]
    fn sound_frames_with_any_content_end_the_client_in_order(
        numbers in prop::collection::vec((0u64..4, any::<bool>(), 0u32..5, 0u32..5, 0u16..200, 0u8..64), 1..6),
        operation in prop::sample::select(vec![147u16, 140, 3]),
        ok: bool,
    ) {
        let mut bytes = Vec::new();
        for (request, is_read, event_count, result_count, result_size, body_size) in numbers {
            let body = vec![7; usize::from(body_size)];
            let reply = Reply {
                request: request | u64::from(is_read) << 63,
                sequence: request,
                operation,
                result_size,
                result_count,
                event_count,
                status: if ok { 0 } else { 1010 + event_count * 4 },
                flags: REPLY_COMPACT,
                ..Reply::default()
            };
            bytes.extend_from_slice(&reply.seal(&body));
            bytes.extend_from_slice(&body);
        }
        survive(bytes);
    }
}
