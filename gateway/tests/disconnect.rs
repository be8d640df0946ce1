//! What the sink is told when a connection ends whose orders are to end with it.

mod common;

use common::*;
use mizan_gateway::{Accepting, Submission};
use mizan_wire::frame::Request;
use mizan_wire::trading::{MassCancelEvent, OrderFlags, SubmitOrder};
use mizan_wire::{Operation, RequestStatus};
use zerocopy::{FromBytes, IntoBytes};

/// Sessions that the sink was told to cancel the orders of, each with its place among all submissions.
fn cancelled(bed: &Bed) -> Vec<(usize, u64)> {
    let is_own = |header: &mizan_wire::RequestHeader| {
        header.operation() == Some(Operation::MassCancelOrders) && header.client == 0
    };
    let all = bed.sink.submitted.iter().enumerate();
    all.filter(|(_, (header, _))| is_own(header))
        .map(|(place, (header, body))| {
            assert_eq!((header.session, header.request, header.origin), (0, 0, 0));
            let event = MassCancelEvent::read_from_bytes(body).expect("one event");
            assert_eq!(event, MassCancelEvent { session: event.session, ..Default::default() });
            (place, event.session)
        })
        .collect()
}

fn order(flags: u32) -> Vec<u8> {
    SubmitOrder { flags, ..SubmitOrder::default() }.as_bytes().to_vec()
}

const WITH: u32 = OrderFlags::CANCEL_ON_DISCONNECT;

/// Enters an order with these flags, and waits for the reply.
fn enter(bed: &mut Bed, client: &mut Client, flags: u32) {
    client.number += 1;
    let body = order(flags);
    let request = Request {
        request: client.number,
        session: client.session,
        operation: Operation::SubmitOrders.number(),
        event_size: 128,
        event_count: 1,
        release: 7,
        ..Request::default()
    };
    client.send(&[&request.seal(&body)[..], &body].concat());
    assert_eq!(bed.reply(client).0.status, 0);
}

#[test]
fn a_session_that_loses_its_connection_takes_its_orders_along_once() {
    let mut bed = Bed::new();
    let mut with = bed.session(1);
    let mut without = bed.session(2);
    enter(&mut bed, &mut with, WITH);
    enter(&mut bed, &mut without, 0);
    let session = with.session;
    drop((with, without));
    bed.until("both are gone", |bed| bed.counters().connections == 0);
    bed.settle();
    let told = cancelled(&bed);
    assert_eq!(told.iter().map(|(_, session)| *session).collect::<Vec<_>>(), [session]);
    assert_eq!(bed.counters().disconnect_cancels, 1);
    // The same client again, without such an order: nothing is to be cancelled.
    let again = bed.session(1);
    drop(again);
    bed.until("it is gone", |bed| bed.counters().connections == 0);
    bed.settle();
    assert_eq!(cancelled(&bed).len(), 1);
}

#[test]
fn a_session_that_moves_to_a_newer_connection_keeps_its_orders_until_that_one_is_lost() {
    let mut bed = Bed::new();
    let mut older = bed.session(1);
    enter(&mut bed, &mut older, WITH);
    let newer = bed.session(1);
    bed.until("the older one is gone", |bed| bed.counters().taken_over == 1);
    drop(older);
    bed.settle();
    assert_eq!(cancelled(&bed), []);
    drop(newer);
    bed.until("the newer one is gone", |bed| bed.counters().connections == 0);
    bed.settle();
    assert_eq!(cancelled(&bed).len(), 1);
}

#[test]
fn the_cancel_comes_before_anything_of_the_clients_next_connection() {
    let mut bed = Bed::new();
    let mut lost = bed.session(1);
    enter(&mut bed, &mut lost, WITH);
    // The sink takes nothing when the connection ends, and for long after it.
    bed.sink.verdict = Some(Submission::Busy);
    drop(lost);
    bed.until("it is gone", |bed| bed.counters().connections == 0);
    let mut next = bed.connect();
    next.send(&hello(1, |_| ()));
    bed.settle();
    assert_eq!(cancelled(&bed), []);
    bed.sink.verdict = None;
    assert_eq!(bed.hello_reply(&mut next).status, 0);
    let told = cancelled(&bed);
    assert_eq!(told.len(), 1);
    let hellos: Vec<usize> = (0..bed.sink.submitted.len())
        .filter(|place| bed.sink.submitted[*place].0.operation() == Some(Operation::Register))
        .collect();
    assert_eq!(hellos.len(), 2);
    assert!(hellos[0] < told[0].0 && told[0].0 < hellos[1], "{hellos:?} {told:?}");
}

#[test]
fn a_cancel_that_the_node_refuses_now_waits_until_it_takes_writes_again() {
    for status in [RequestStatus::JournalSpaceLow, RequestStatus::NotPrimary] {
        let mut bed = Bed::new();
        let mut lost = bed.session(1);
        enter(&mut bed, &mut lost, WITH);
        bed.view.accepting = Accepting::ReadsOnly(status);
        drop(lost);
        bed.until("it is gone", |bed| bed.counters().connections == 0);
        bed.settle();
        assert_eq!(cancelled(&bed), []);
        bed.view.accepting = Accepting::All;
        bed.sink.verdict = Some(Submission::Refused(status));
        bed.settle();
        bed.sink.verdict = None;
        bed.until("it is told", |bed| !cancelled(bed).is_empty());
        bed.settle();
        assert_eq!(cancelled(&bed).len(), 1, "{status:?}");
    }
}

#[test]
fn a_node_that_starts_with_orders_of_lost_sessions_cancels_them_before_the_first_hello() {
    let mut bed = Bed::new();
    bed.gateway.cancel_orders_of_all_sessions();
    let client = bed.session(1);
    let told = cancelled(&bed);
    assert_eq!(told, [(0, MassCancelEvent::EVERY_SESSION)]);
    drop(client);
}
