//! Connections that break: what is sent again, under which number, and what is reported.

mod common;

use common::{FakeNode, PATIENCE, SESSION, completion, executed, failure, submit};
use mizan_client::{Client, ClientConfig, ClientError, Outcome};
use mizan_wire::frame::Reply;
use mizan_wire::{Operation, RequestStatus};
use std::time::Duration;

#[test]
fn after_a_break_in_the_middle_of_a_reply_everything_unanswered_is_sent_again() {
    let node = FakeNode::run(|door| {
        let mut peer = door.accept();
        let hello = peer.hello();
        let client = hello.client;
        peer.welcome(&hello, 0);
        let first = peer.requests(4);
        peer.execute(&first[0].0);
        let half = executed(&first[1].0).seal(&[]);
        peer.send(&half[..70], &[]);
        drop(peer);

        let mut peer = door.accept();
        let hello = peer.hello();
        assert_eq!((hello.client, hello.session), (client, SESSION));
        peer.welcome(&hello, 3);
        let again = peer.requests(3);
        for (before, after) in first[1..].iter().zip(&again) {
            assert_eq!(before.0.request, after.0.request);
            assert_eq!(before.0.prefix.checksum_body, after.0.prefix.checksum_body);
            assert_eq!(before.1, after.1);
            assert_eq!(after.0.replies_received, 1);
        }
        peer.replay(&again[0].0);
        peer.replay(&again[1].0);
        peer.execute(&again[2].0);
    });
    let mut client = node.connect();
    let ids: Vec<_> = (1..=4).map(|id| submit(&mut client, id * 10, 2)).collect();
    let completions: Vec<_> = ids.iter().map(|_| completion(&mut client)).collect();
    assert_eq!(completions.iter().map(|c| c.id).collect::<Vec<_>>(), ids);
    let replayed: Vec<bool> = completions
        .iter()
        .map(|completion| match &completion.outcome {
            Outcome::Reply(reply) => reply.replayed,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(replayed, [false, true, true, false]);
    node.join();
}

#[test]
fn a_blocking_call_survives_the_death_of_its_connection() {
    let node = FakeNode::run(|door| {
        let (request, body) = door.welcome(0).request();
        let mut peer = door.welcome(1);
        let (again, body_again) = peer.request();
        assert_eq!((request, body), (again, body_again));
        peer.replay(&again);
        // The ping's connection dies, too, and so does the read's.
        peer.frame();
        drop(peer);
        let mut peer = door.welcome(1);
        peer.frame();
        peer.error(RequestStatus::ShuttingDown, "back soon");
        drop(peer);
        let mut peer = door.welcome(1);
        let (read, _) = peer.request();
        let reply = Reply { flags: 0, ..executed(&read) };
        peer.reply(&reply, &[]);
    });
    let mut client = node.connect();
    assert_eq!(client.create_transfers(&common::transfers(1, 3)).unwrap().len(), 3);
    let read = client.submit(Operation::TrialBalance, &[]).unwrap();
    let completion = completion(&mut client);
    assert_eq!(completion.id, read);
    let Outcome::Reply(reply) = completion.outcome else { panic!("{completion:?}") };
    assert!(reply.trial_balance().is_empty());
    node.join();
}

#[test]
fn the_next_address_takes_over_when_the_first_is_gone() {
    let second = FakeNode::run(|door| {
        let mut peer = door.welcome(0);
        let (request, _) = peer.request();
        assert_eq!(request.request, 1);
        peer.execute(&request);
    });
    let first = FakeNode::run(|door| {
        door.welcome(0).request();
    });
    let addresses = vec![first.address, second.address];
    let mut client = Client::connect(ClientConfig { addresses, ..first.config() }).unwrap();
    assert_eq!(client.create_transfers(&common::transfers(1, 1)).unwrap().len(), 1);
    assert_eq!(client.node().address, second.address);
    first.join();
    second.join();
}

#[test]
fn a_session_that_the_node_forgot_leaves_everything_in_flight_unknown() {
    let node = FakeNode::run(|door| {
        door.welcome(0).requests(2);
        let mut peer = door.accept();
        let hello = peer.hello();
        peer.reject(&hello, RequestStatus::SessionUnknown, &common::limits());
    });
    let mut client = node.connect();
    let ids = [1, 2].map(|id| submit(&mut client, id, 1));
    for id in ids {
        let completion = completion(&mut client);
        assert_eq!(completion.id, id);
        assert!(matches!(completion.outcome, Outcome::Unknown));
    }
    assert_eq!(failure(&mut client), ClientError::SessionLost);
    node.join();
}

#[test]
fn a_session_that_ended_before_the_reply_to_its_close_counts_as_closed() {
    let node = FakeNode::run(|door| {
        let (request, _) = door.welcome(0).request();
        assert_eq!(request.operation, Operation::CloseSession.number());
        let mut peer = door.accept();
        let hello = peer.hello();
        peer.reject(&hello, RequestStatus::SessionUnknown, &common::limits());
    });
    assert_eq!(node.connect().close(), Ok(()));
    node.join();
}

#[test]
fn a_node_that_lacks_an_acknowledged_write_is_not_used_further() {
    let node = FakeNode::run(|door| {
        let mut peer = door.welcome(0);
        let (request, _) = peer.request();
        peer.execute(&request);
        drop(peer);
        door.welcome(0).expect_end();
    });
    let mut client = node.connect();
    client.create_transfers(&common::transfers(1, 1)).unwrap();
    let lost = ClientError::AcknowledgedWritesLost { acknowledged: 1, executed: 0 };
    assert_eq!(failure(&mut client), lost);
    node.join();
}

#[test]
fn writes_that_nobody_sent_are_found_on_resumption() {
    let node = FakeNode::run(|door| {
        drop(door.welcome(0));
        door.welcome(1).expect_end();
    });
    let mut client = node.connect();
    let error = failure(&mut client);
    assert!(error.to_string().contains("another process uses the same client id"), "{error}");
    node.join();
}

#[test]
fn an_earlier_session_is_taken_up_after_its_last_number() {
    let node = FakeNode::run(|door| {
        let mut peer = door.welcome(41);
        let (request, _) = peer.request();
        assert_eq!((request.request, request.replies_received), (42, 41));
        peer.execute(&request);
    });
    node.connect().create_transfers(&common::transfers(1, 1)).unwrap();
    node.join();
}

#[test]
fn without_reconnection_a_break_ends_the_client() {
    let node = FakeNode::run(|door| {
        door.welcome(0).request();
    });
    let mut client = Client::connect(ClientConfig { reconnect: false, ..node.config() }).unwrap();
    let error = client.create_transfers(&common::transfers(1, 1)).unwrap_err();
    assert!(matches!(error, ClientError::Unreachable(address, _) if address == node.address));
    node.join();
}

#[test]
fn a_write_in_doubt_is_settled_on_a_later_connection_even_after_it_was_reported() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let node = FakeNode::run(move |door| {
        let mut silent = door.welcome(0);
        let (first, _) = silent.request();
        // Silence beyond the timeout: the client turns up again, and still owes this number.
        let mut peer = door.welcome(1);
        let (again, _) = peer.request();
        assert_eq!(first, again);
        receiver.recv_timeout(PATIENCE).unwrap();
        peer.replay(&again);
        let (second, _) = peer.request();
        assert_eq!((second.request, second.replies_received), (2, 1));
        peer.execute(&second);
    });
    let request_timeout = Duration::from_millis(200);
    let mut client = Client::connect(ClientConfig { request_timeout, ..node.config() }).unwrap();
    let transfers = common::transfers(1, 1);
    assert_eq!(client.create_transfers(&transfers), Err(ClientError::Unknown));
    let deadline = std::time::Instant::now() + PATIENCE;
    sender.send(()).unwrap();
    while client.node().commit != 100 {
        assert!(client.poll(Duration::from_millis(5)).unwrap().is_none());
        assert!(std::time::Instant::now() < deadline, "the write is not sent again");
    }
    assert_eq!(client.create_transfers(&common::transfers(2, 1)).unwrap().len(), 1);
    node.join();
}

#[test]
fn what_was_not_sent_for_lack_of_a_connection_is_reported_as_such() {
    let node = FakeNode::run(|door| drop(door.welcome(0)));
    let request_timeout = Duration::from_millis(100);
    let mut client = Client::connect(ClientConfig { request_timeout, ..node.config() }).unwrap();
    node.join();
    while client.is_connected() {
        client.poll(Duration::from_millis(5)).unwrap();
    }
    let not_sent = client.create_transfers(&common::transfers(1, 1));
    assert_eq!(not_sent, Err(ClientError::NotSent));
}
