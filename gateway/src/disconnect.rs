//! Orders that end with their client's connection: who has any, whose connection is gone, and the requests that end them.
//!
//! An order may ask to be cancelled when its session loses its connection. The gateway alone knows when that happens; what
//! is to be cancelled, the engine knows. So the gateway submits a mass cancel that names the session, as a request of the
//! node's own, which takes its place in the order like any other.
//!
//! Invariants:
//! * The mass cancel follows everything that was taken from the lost connection, and precedes everything that a newer
//!   one of the same client sends.
//! * A session that moves to a newer connection is not lost.
//! * A session that entered no such order costs nothing when it ends.
//!
//! What is absent: orders that were entered before the node started. [`crate::Gateway::cancel_orders_of_all_sessions`]
//! is for them.

use crate::interface::{RequestSink, Submission};
use mizan_wire::frame::PROTOCOL;
use mizan_wire::trading::{MassCancelEvent, OrderFlags, OrderResult, SubmitOrder};
use mizan_wire::{Operation, RequestHeader};
use std::collections::{HashMap, VecDeque};
use zerocopy::{FromBytes, IntoBytes};

/// A mass cancel of the orders of a lost session.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Sweep {
    session: u64,
    from_order_number: u64,
    to_order_number: u64,
}

impl Sweep {
    const fn of(session: u64) -> Self {
        Self { session, from_order_number: 0, to_order_number: 0 }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Disconnects {
    /// Clients with a session that has entered an order of the kind, whether or not it is open yet.
    marked: HashMap<u128, u64>,
    /// What is to be cancelled, in the order in which sessions were lost.
    due: VecDeque<Sweep>,
    /// What was submitted and has no result yet, in the order of submission.
    under_way: VecDeque<Sweep>,
}

impl Disconnects {
    /// Looks whether an accepted request enters orders that end with the connection.
    ///
    /// Cost: nothing but for orders; for those a look at each until the first of the kind.
    #[inline]
    pub(crate) fn note(&mut self, client: u128, session: u64, operation: Operation, body: &[u8]) {
        if operation == Operation::SubmitOrders && asks_for_it(body) {
            let before = self.marked.insert(client, session);
            // A client has one session: the one before was closed, and its connection taken over, before this began.
            self.due.extend(before.filter(|before| *before != session).map(Sweep::of));
        }
    }

    /// The client's session has no connection any more.
    pub(crate) fn lose(&mut self, client: u128) {
        self.due.extend(self.marked.remove(&client).map(Sweep::of));
    }

    /// No connection of any session is left from before.
    pub(crate) fn lose_all(&mut self) {
        self.due.push_back(Sweep::of(MassCancelEvent::EVERY_SESSION));
    }

    /// The oldest mass cancel under way has this result. If it has ended as many orders as one request may, the rest
    /// follows, but for what was entered after the first one: the client may be back.
    pub(crate) fn go_on(&mut self, result: &OrderResult) {
        let Some(sweep) = self.under_way.pop_front() else { return };
        if result.order_number != 0 {
            let to_order_number =
                if sweep.to_order_number == 0 { result.filled } else { sweep.to_order_number };
            let from_order_number = result.order_number;
            self.due.push_back(Sweep { from_order_number, to_order_number, ..sweep });
        }
    }

    pub(crate) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Submits what is due as far as the sink takes it; gives how many requests that were.
    pub(crate) fn submit(&mut self, sink: &mut impl RequestSink) -> u64 {
        let mut count = 0;
        while let Some(sweep) = self.due.front() {
            let (header, event) = request(sweep);
            if sink.room_bytes() < header.entry_size() {
                break;
            }
            if sink.submit(&header, event.as_bytes()) != Submission::Accepted {
                break;
            }
            self.under_way.extend(self.due.pop_front());
            count += 1;
        }
        count
    }
}

fn asks_for_it(body: &[u8]) -> bool {
    body.chunks_exact(size_of::<SubmitOrder>()).any(|bytes| {
        SubmitOrder::read_from_bytes(bytes)
            .is_ok_and(|order| order.flags & OrderFlags::CANCEL_ON_DISCONNECT != 0)
    })
}

/// A request of the node's own: it belongs to no client and no session, and nobody gets its reply.
fn request(sweep: &Sweep) -> (RequestHeader, MassCancelEvent) {
    let Sweep { session, from_order_number, to_order_number } = *sweep;
    let event = MassCancelEvent {
        session,
        from_order_number,
        to_order_number,
        ..MassCancelEvent::default()
    };
    let size = size_of::<MassCancelEvent>();
    let mut header = RequestHeader {
        operation: Operation::MassCancelOrders.number(),
        protocol: PROTOCOL,
        event_size: size as u16,
        event_count: 1,
        body_size: size as u32,
        ..RequestHeader::default()
    };
    header.request_checksum = header.identity(event.as_bytes());
    (header, event)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders(flags: &[u32]) -> Vec<u8> {
        let orders: Vec<SubmitOrder> =
            flags.iter().map(|flags| SubmitOrder { flags: *flags, ..Default::default() }).collect();
        orders.as_bytes().to_vec()
    }

    #[test]
    fn only_orders_that_ask_for_it_mark_a_session() {
        let with = OrderFlags::CANCEL_ON_DISCONNECT;
        let mut disconnects = Disconnects::default();
        disconnects.note(1, 10, Operation::SubmitOrders, &orders(&[0, OrderFlags::POST_ONLY]));
        disconnects.note(2, 20, Operation::CreateTransfers, &orders(&[with]));
        disconnects.note(3, 30, Operation::SubmitOrders, &orders(&[0, with, 0]));
        [1, 2, 3, 3].into_iter().for_each(|client| disconnects.lose(client));
        assert_eq!(disconnects.due, [Sweep::of(30)]);
    }

    #[test]
    fn a_clients_next_session_does_not_make_its_last_one_be_forgotten() {
        let body = orders(&[OrderFlags::CANCEL_ON_DISCONNECT]);
        let mut disconnects = Disconnects::default();
        for session in [10, 10, 11] {
            disconnects.note(1, session, Operation::SubmitOrders, &body);
        }
        assert_eq!(disconnects.due, [Sweep::of(10)]);
        disconnects.lose(1);
        assert_eq!(disconnects.due, [Sweep::of(10), Sweep::of(11)]);
    }

    #[test]
    fn a_sweep_that_did_not_reach_its_end_goes_on_up_to_what_was_there_at_first() {
        let mut disconnects = Disconnects::default();
        let first = Sweep::of(10);
        disconnects.under_way.extend([first, Sweep::of(20)]);
        let done = OrderResult { open: 5, ..OrderResult::default() };
        disconnects.go_on(&OrderResult { order_number: 900, filled: 2_000, ..done });
        disconnects.go_on(&done);
        let rest = Sweep { session: 10, from_order_number: 900, to_order_number: 2_000 };
        assert_eq!(disconnects.due, [rest], "the second one has come to its end");
        let (_, event) = request(&rest);
        assert_eq!((event.from_order_number, event.to_order_number), (900, 2_000));
        disconnects.under_way.extend(disconnects.due.pop_front());
        disconnects.go_on(&OrderResult { order_number: 1_500, filled: 3_000, ..done });
        assert_eq!(disconnects.due, [Sweep { from_order_number: 1_500, ..rest }]);
    }
}
