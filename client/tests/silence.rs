//! Connections that stay up and say nothing: when another node takes their place, and when not.

mod common;

use common::{FakeNode, Peer, transfers};
use mizan_client::{Client, ClientConfig};
use mizan_wire::RequestStatus;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A node that takes one request, says nothing, and keeps its connections until it is told.
fn silent_node(first: impl FnOnce(&mut Peer) + Send + 'static) -> (FakeNode, Sender<()>) {
    let (end, ended): (Sender<()>, Receiver<()>) = channel();
    let node = FakeNode::run(move |door| {
        let mut peer = door.accept();
        first(&mut peer);
        // The test's end counts as well.
        let _ = ended.recv();
    });
    (node, end)
}

fn both(one: &FakeNode, other: &FakeNode) -> ClientConfig {
    ClientConfig { addresses: vec![one.address, other.address], ..one.config() }
}

#[test]
fn a_silent_node_is_left_for_the_primary_of_a_later_epoch() {
    let (silent, end) = silent_node(|peer| {
        let hello = peer.hello();
        peer.welcome(&hello, 0);
        peer.request();
    });
    let next = FakeNode::run(|door| {
        let mut peer = door.accept();
        let hello = peer.hello();
        assert_eq!(hello.session, common::SESSION, "the session is resumed");
        peer.welcome_in(2, &hello, 0);
        let (request, _) = peer.request();
        assert_eq!(request.request, 1, "the same number");
        peer.execute(&request);
    });
    let mut client = Client::connect(both(&silent, &next)).unwrap();
    assert_eq!(client.create_transfers(&transfers(1, 1)).unwrap().len(), 1);
    assert_eq!((client.node().address, client.epoch()), (next.address, 2));
    end.send(()).unwrap();
    silent.join();
    next.join();
}

#[test]
fn a_silent_node_is_not_left_for_a_standby_or_a_primary_of_its_own_epoch() {
    let (answer, may_answer) = channel();
    let slow = FakeNode::run(move |door| {
        let mut peer = door.welcome(0);
        let (request, _) = peer.request();
        may_answer.recv_timeout(common::PATIENCE).unwrap();
        peer.execute(&request);
    });
    let other = FakeNode::run(move |door| {
        let mut peer = door.accept();
        let hello = peer.hello();
        peer.reject(&hello, RequestStatus::NotPrimary, &common::limits());
        let mut peer = door.accept();
        let hello = peer.hello();
        peer.welcome_in(1, &hello, 0);
        // Asked once more, the client has judged what came before.
        door.accept();
        answer.send(()).unwrap();
    });
    let mut client = Client::connect(both(&slow, &other)).unwrap();
    assert_eq!(client.create_transfers(&transfers(1, 1)).unwrap().len(), 1);
    assert_eq!(client.node().address, slow.address);
    slow.join();
    other.join();
}

#[test]
fn a_first_node_that_does_not_answer_the_hello_is_left_for_any_primary() {
    let (silent, end) = silent_node(|peer| {
        peer.hello();
    });
    let next = FakeNode::run(|door| {
        let mut peer = door.welcome(0);
        let (request, _) = peer.request();
        peer.execute(&request);
    });
    let mut client = Client::connect(both(&silent, &next)).unwrap();
    assert_eq!(client.create_transfers(&transfers(1, 1)).unwrap().len(), 1);
    assert_eq!(client.node().address, next.address);
    end.send(()).unwrap();
    silent.join();
    next.join();
}

#[test]
fn a_primary_of_an_earlier_epoch_is_passed_over_whatever_it_lacks() {
    // It was succeeded and does not know; that it lacks an acknowledged write is no reason to give up.
    let old = FakeNode::run(|door| {
        let mut peer = door.accept();
        let hello = peer.hello();
        peer.welcome_in(1, &hello, 0);
        peer.expect_end();
    });
    let new = FakeNode::run(|door| {
        let mut peer = door.accept();
        let hello = peer.hello();
        peer.welcome_in(2, &hello, 0);
        let (request, _) = peer.request();
        peer.execute(&request);
        drop(peer);
        let mut peer = door.accept();
        let hello = peer.hello();
        peer.welcome_in(2, &hello, 1);
        let (request, _) = peer.request();
        assert_eq!(request.request, 2);
        peer.execute(&request);
    });
    let mut client = Client::connect(both(&new, &old)).unwrap();
    client.create_transfers(&transfers(1, 1)).unwrap();
    assert_eq!(client.create_transfers(&transfers(2, 1)).unwrap().len(), 1);
    assert_eq!((client.node().address, client.epoch()), (new.address, 2));
    new.join();
    old.join();
}
