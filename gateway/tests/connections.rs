//! Connections come and go: thousands at once, too many, taken over, reset, and replaced.

mod common;

use common::*;
use mizan_gateway::GatewayConfig;
use mizan_wire::{Operation, RequestStatus};

#[test]
fn a_newer_hello_of_the_same_client_takes_the_session_over() {
    let mut bed = Bed::new();
    let mut older = bed.session(1);
    let mut bystander = bed.session(2);
    bed.answers = false;
    older.send(&write_of(older.session, 1, 1));
    bed.until("the write is in flight", |bed| bed.gateway.in_flight() == 1);
    let mut newer = bed.connect();
    newer.send(&hello(1, |_| ()));
    // The older connection is told before the newer session is open.
    assert_eq!(bed.error(&mut older).0.status, RequestStatus::SessionTakenOver as u32);
    assert_eq!(bed.gateway.in_flight(), 2);
    bed.answers = true;
    bed.answer(usize::MAX);
    let reply = bed.hello_reply(&mut newer);
    assert_eq!((reply.status, reply.session, reply.request_last), (0, older.session, 1));
    assert_eq!((bed.counters().replies_dropped, bed.counters().taken_over), (1, 1));
    (newer.session, newer.number) = (reply.session, 1);
    bed.assert_served(&mut newer);
    bed.assert_served(&mut bystander);
}

#[test]
fn a_reply_never_reaches_the_next_connection_in_the_same_place() {
    let mut bed = Bed::new();
    bed.answers = false;
    let mut first = bed.connect();
    first.send(&hello(1, |_| ()));
    bed.until("the hello is submitted", |bed| bed.gateway.in_flight() == 1);
    bed.answer(1);
    first.session = bed.hello_reply(&mut first).session;
    first.send(&write_of(first.session, 1, 1));
    bed.until("the write is submitted", |bed| bed.gateway.in_flight() == 1);
    // The connection waits for its replies, so it is gone only when the peer resets it.
    drop(first);
    let mut second = bed.connect();
    second.send(&hello(1, |_| ()));
    bed.until("the session is taken over", |bed| bed.counters().taken_over == 1);
    bed.until("the first is gone", |bed| bed.counters().connections == 1);
    let mut third = bed.connect();
    third.send(&ping(5));
    assert_eq!(bed.pong(&mut third).nonce, 5);
    bed.answer(usize::MAX);
    assert_eq!(bed.hello_reply(&mut second).status, 0);
    assert_eq!(bed.counters().replies_dropped, 1);
    third.send(&ping(6));
    assert_eq!(bed.pong(&mut third).nonce, 6, "the third got nothing else");
    assert_eq!(bed.gateway.in_flight(), 0);
}

#[test]
fn a_thousand_idle_connections_hold_no_buffers_and_disturb_nobody() {
    let for_ever = GatewayConfig { hello_timeout: None, idle_timeout: None, ..config() };
    let mut bed = Bed::with(for_ever);
    let mut idle: Vec<Client> = Vec::new();
    for number in 0..1000 {
        let mut client = bed.connect();
        if number % 2 == 0 {
            client.send(&hello(100 + number, |_| ()));
        }
        idle.push(client);
        bed.turn();
    }
    let mut busy = bed.session(1);
    bed.until("all are there", |bed| bed.counters().connections == 1001);
    for _ in 0..50 {
        bed.assert_served(&mut busy);
    }
    bed.advance(24 * 3600 * SECOND);
    bed.settle();
    let counters = bed.counters();
    assert_eq!((counters.connections, counters.unsent_bytes), (1001, 0));
    assert_eq!((counters.buffers_small, counters.buffers_full), (0, 0));
    let last = idle.last_mut().unwrap();
    last.send(&ping(1));
    assert_eq!(bed.pong(last).nonce, 1);
    drop(idle);
    bed.until("all are gone", |bed| bed.counters().connections == 1);
}

#[test]
fn one_connection_too_many_is_told_so() {
    let mut bed = Bed::with(GatewayConfig { connection_count_max: 3, ..config() });
    let mut allowed: Vec<Client> = (0..3).map(|number| bed.session(1 + number)).collect();
    for _ in 0..5 {
        let mut refused = bed.connect();
        refused.send(&hello(9, |_| ()));
        let status = bed.error(&mut refused).0.status;
        assert_eq!(status, RequestStatus::TooManyConnections as u32);
    }
    // Even who never takes the last frame is gone at last, and in the meantime there is an end to them.
    let held: Vec<Client> = (0..100).map(|_| bed.connect()).collect();
    bed.until("all were accepted", |bed| bed.counters().accepted == 108);
    assert!(bed.counters().connections <= 3 + 64);
    bed.advance(2 * SECOND);
    bed.until("they are gone", |bed| bed.counters().connections == 3);
    drop(held);
    assert_eq!(bed.counters().refused_connections, 105);
    allowed.iter_mut().for_each(|client| bed.assert_served(client));
    drop(allowed.pop());
    bed.until("there is a place again", |bed| bed.counters().connections == 2);
    let mut next = bed.session(9);
    bed.assert_served(&mut next);
}

#[test]
fn a_connection_that_is_closed_but_keeps_sending_is_gone_after_the_linger_time() {
    let mut bed = Bed::new();
    let mut stubborn = bed.connect();
    stubborn.send(&[0x55; 4096]);
    bed.until("it is refused", |bed| bed.counters().frame_errors == 1);
    for _ in 0..20 {
        stubborn.send(&[0x55; 4096]);
        bed.turn();
    }
    assert_eq!(bed.counters().connections, 1);
    bed.advance(SECOND);
    bed.until("it is gone", |bed| bed.counters().connections == 0);
    // What it was told before is still there to be read.
    stubborn.unsent.clear();
    stubborn.pump();
    let status = u32::from_le_bytes(stubborn.inbox[48..52].try_into().unwrap());
    assert_eq!(status, RequestStatus::BadMagic as u32);
}

#[test]
fn replies_for_a_client_that_was_reset_are_dropped_and_counted_as_answered() {
    let mut bed = Bed::new();
    let mut client = bed.session(1);
    bed.answers = false;
    for number in 1..=50 {
        client.send(&write_of(client.session, number, 1));
    }
    bed.until("all are in flight", |bed| bed.gateway.in_flight() == 50);
    drop(client);
    bed.settle();
    bed.answer(1);
    bed.settle();
    bed.answer(1);
    bed.until("the socket is found dead", |bed| bed.counters().connections == 0);
    bed.answer(usize::MAX);
    assert_eq!(bed.gateway.in_flight(), 0);
    assert!(bed.counters().replies_dropped >= 40);
}

#[test]
fn an_end_that_arrives_together_with_the_last_bytes_is_noticed() {
    let mut bed = Bed::new();
    for number in 1..=20 {
        let mut client = bed.session(1);
        client.send(&write_of(client.session, number, 1));
        drop(client);
        bed.until("it is gone", |bed| bed.counters().connections == 0);
        let (entry, _) = bed.sink.submitted.last().unwrap();
        assert_eq!(entry.request, number, "its last words were heard");
    }
}

#[test]
fn a_reply_never_answers_the_next_reader_in_the_same_place() {
    let mut bed = Bed::new();
    bed.answers = false;
    let lookup = request(Operation::LookupAccounts, 0, 1, 1, |_| ());
    let mut first = bed.reader();
    first.send(&lookup);
    bed.until("the first asks", |bed| bed.gateway.in_flight() == 1);
    // Whoever leaves with something unread resets the connection.
    first.send(&ping(5));
    bed.settle();
    drop(first);
    bed.until("the first is gone", |bed| bed.counters().connections == 0);
    let mut second = bed.reader();
    second.send(&lookup);
    bed.until("the second asks", |bed| bed.gateway.in_flight() == 2);
    bed.answer(1);
    second.send(&ping(6));
    assert_eq!(bed.pong(&mut second).nonce, 6, "what the first asked is not its answer");
    assert_eq!(bed.counters().replies_dropped, 1);
    bed.answer(1);
    assert_eq!(bed.reply(&mut second).0.request, 1);
}
