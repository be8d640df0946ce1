//! Connections that say nothing: none of them keeps a place for ever, and none keeps another client out.

mod common;

use common::*;
use mizan_gateway::GatewayConfig;
use mizan_wire::RequestStatus;
use mizan_wire::frame::{HELLO_OPERATOR, HELLO_READ_ONLY};
use std::time::Duration;

fn few(connection_count_max: usize) -> GatewayConfig {
    GatewayConfig { connection_count_max, ..config() }
}

fn error_status(bed: &mut Bed, client: &mut Client) -> u32 {
    bed.error(client).0.status
}

#[test]
fn a_connection_without_a_hello_is_closed_although_nothing_was_configured() {
    let mut bed = Bed::new();
    let mut silent = bed.connect();
    let mut pinging = bed.connect();
    bed.until("both are there", |bed| bed.counters().connections == 2);
    for nonce in 0..3 {
        bed.advance(4 * SECOND);
        pinging.send(&ping(nonce));
        bed.settle();
    }
    assert_eq!(error_status(&mut bed, &mut silent), RequestStatus::HelloTimeout as u32);
    for nonce in 0..2 {
        assert_eq!(bed.pong(&mut pinging).nonce, nonce);
    }
    assert_eq!(error_status(&mut bed, &mut pinging), RequestStatus::HelloTimeout as u32);
}

#[test]
fn an_open_connection_that_is_idle_for_too_long_is_closed_and_one_that_pings_is_not() {
    let idle_timeout = Some(Duration::from_secs(100));
    let mut bed = Bed::with(GatewayConfig { idle_timeout, ..config() });
    let (mut idle, mut alive) = (bed.session(1), bed.session(2));
    for nonce in 0..3 {
        bed.advance(40 * SECOND);
        alive.send(&ping(nonce));
        assert_eq!(bed.pong(&mut alive).nonce, nonce);
    }
    assert_eq!(error_status(&mut bed, &mut idle), RequestStatus::IdleTimeout as u32);
    bed.assert_served(&mut alive);
    bed.advance(101 * SECOND);
    assert_eq!(error_status(&mut bed, &mut alive), RequestStatus::IdleTimeout as u32);
}

#[test]
fn a_connection_that_waits_for_a_reply_is_not_idle() {
    let idle_timeout = Some(Duration::from_secs(100));
    let mut bed = Bed::with(GatewayConfig { idle_timeout, ..config() });
    let mut waiting = bed.session(1);
    bed.answers = false;
    let session = waiting.session;
    waiting.send(&write_of(session, 1, 1));
    bed.until("it is at the sink", |bed| bed.counters().in_flight == 1);
    bed.advance(1_000 * SECOND);
    bed.settle();
    bed.answers = true;
    assert_eq!(bed.reply(&mut waiting).0.status, 0);
    waiting.number = 1;
    bed.assert_served(&mut waiting);
}

#[test]
fn where_all_places_are_taken_those_that_say_nothing_make_room() {
    let mut bed = Bed::with(few(40));
    let mut silent: Vec<Client> = (0..39).map(|_| bed.connect()).collect();
    let mut first = bed.session(1);
    bed.until("all are there", |bed| bed.counters().connections == 40);
    bed.advance(2 * SECOND);
    let mut served: Vec<Client> = (0..39).map(|number| bed.session(100 + number)).collect();
    for client in &mut silent {
        assert_eq!(error_status(&mut bed, client), RequestStatus::HelloTimeout as u32);
    }
    // Nobody is idle for long: there is no place.
    let mut refused = bed.connect();
    refused.send(&hello(9, |_| ()));
    assert_eq!(error_status(&mut bed, &mut refused), RequestStatus::TooManyConnections as u32);
    // Those that were silent for a minute make room, the longest first; who has said something stays.
    bed.advance(61 * SECOND);
    served.iter_mut().for_each(|client| bed.assert_served(client));
    let mut late = bed.session(9);
    assert_eq!(error_status(&mut bed, &mut first), RequestStatus::IdleTimeout as u32);
    bed.assert_served(&mut late);
    served.iter_mut().for_each(|client| bed.assert_served(client));
}

#[test]
fn an_operator_finds_a_place_where_busy_clients_have_taken_all() {
    let mut bed = Bed::with(GatewayConfig { operator_count_max: 2, ..few(3) });
    let mut busy: Vec<Client> = (0..3).map(|number| bed.session(1 + number)).collect();
    // More than the places that newcomers wait in; the older ones of them make room.
    let mut silent: Vec<Client> = Vec::new();
    for _ in 0..100 {
        silent.push(bed.connect());
        bed.turn();
    }
    let operator = |bed: &mut Bed| {
        let mut operator = bed.connect();
        let flags = HELLO_READ_ONLY | HELLO_OPERATOR;
        operator.send(&hello(0, |hello| hello.flags = flags));
        operator
    };
    let mut operators: Vec<Client> = (0..2).map(|_| operator(&mut bed)).collect();
    for operator in &mut operators {
        assert_eq!(bed.hello_reply(operator).status, 0);
        operator.send(&ping(5));
        assert_eq!(bed.pong(operator).nonce, 5);
    }
    let mut third = operator(&mut bed);
    assert_eq!(error_status(&mut bed, &mut third), RequestStatus::TooManyConnections as u32);
    drop(third);
    bed.settle();
    let before = bed.counters().connections;
    drop(operators.pop());
    bed.until("the operator is gone", |bed| bed.counters().connections < before);
    let mut fourth = operator(&mut bed);
    assert_eq!(bed.hello_reply(&mut fourth).status, 0);
    busy.iter_mut().for_each(|client| bed.assert_served(client));
    drop(silent);
}
