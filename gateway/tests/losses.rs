//! Sessions that lose their connection: the log is told, once, and never after the client is back.

mod common;

use common::*;
use mizan_wire::{Operation, SessionKey};

#[test]
fn the_log_is_told_of_sessions_that_lost_their_connection_and_of_no_others() {
    let mut bed = Bed::new();
    let (first, second, _third) = (bed.session(1), bed.session(2), bed.session(3));
    let reader = bed.reader();
    let sessions = [first.session, second.session];
    drop((first, second, reader));
    bed.until("they are gone", |bed| bed.counters().connections == 1);
    bed.settle();
    let mut losses: Vec<(u128, u64)> =
        bed.sink.losses.iter().map(|key| (key.client, key.session)).collect();
    losses.sort_unstable();
    assert_eq!(losses, [(1, sessions[0]), (2, sessions[1])]);
    assert!(bed.counters().connection_losses <= 2);
}

#[test]
fn a_session_that_moves_to_a_newer_connection_is_not_lost() {
    let mut bed = Bed::new();
    let older = bed.session(1);
    let newer = bed.session(1);
    drop(older);
    bed.until("the older is gone", |bed| bed.counters().connections == 1);
    bed.settle();
    assert!(bed.sink.losses.is_empty());
    drop(newer);
    bed.until("the newer is gone", |bed| bed.counters().connections == 0);
    bed.settle();
    assert_eq!(bed.sink.losses.len(), 1);
}

#[test]
fn a_client_that_is_back_before_the_log_was_told_is_not_called_lost() {
    let mut bed = Bed::new();
    let first = bed.session(1);
    bed.view.accepting = mizan_gateway::Accepting::ReadsOnly(mizan_wire::RequestStatus::Overloaded);
    drop(first);
    bed.until("it is gone", |bed| bed.counters().connections == 0);
    bed.settle();
    assert!(bed.sink.losses.is_empty(), "the node takes nothing now");
    bed.view.accepting = mizan_gateway::Accepting::All;
    let mut back = bed.connect();
    back.send(&hello(1, |_| ()));
    assert_eq!(bed.hello_reply(&mut back).status, 0);
    bed.settle();
    let hello_first = bed
        .sink
        .submitted
        .iter()
        .filter(|(header, _)| header.operation() == Some(Operation::Register));
    assert_eq!(hello_first.count(), 2);
    // Told before the hello or not at all.
    assert!(bed.sink.losses.len() <= 1);
}

#[test]
fn after_a_start_no_session_has_a_connection() {
    let mut bed = Bed::new();
    bed.gateway.lose_all_sessions();
    let _first = bed.session(1);
    let every = SessionKey { session: SessionKey::EVERY_SESSION, ..SessionKey::default() };
    assert_eq!(bed.sink.losses, [every]);
}
