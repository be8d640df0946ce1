//! What every rival needs around it: it has limit orders and cancels, and the flow has amends and
//! immediate-or-cancel, too. Both are made of what it has, and every message is reported as our book reports it.
//!
//! What is absent: favours. What a rival does not tell is kept in one flat list, which costs it little.

use crate::Matcher;
use crate::flow::Message;
use mizan_engine::books::ReportSink;
use mizan_wire::orders::{
    BookCommand, CancelReason, NewOrder, OrderReject, OrderReport, ReportKind, Side, TimeInForce,
};

/// A trade, as a rival tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill {
    pub(crate) maker: u64,
    pub(crate) price: u64,
    pub(crate) quantity: u64,
}

/// A rival.
pub(crate) trait Peer {
    /// Enters a limit order; what is left of it rests, unless it is immediate. Gives its trades in their order.
    fn limit(&mut self, order: &Limit, fill: &mut impl FnMut(Fill));
    /// Takes out an order that rests.
    fn cancel(&mut self, number: u64);
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) number: u64,
    pub(crate) side: Side,
    pub(crate) price: u64,
    pub(crate) quantity: u64,
    pub(crate) is_immediate: bool,
}

/// What an order has left, and has traded; nothing left if it is gone.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    open: u64,
    filled: u64,
}

/// A rival that takes the flow.
pub(crate) struct Adapter<P> {
    peer: P,
    /// By the orders' numbers.
    known: Vec<Known>,
    sides: Vec<Side>,
    number_last: u64,
}

impl<P: Peer> Adapter<P> {
    pub(crate) fn new(peer: P, orders_max: usize) -> Self {
        Self {
            peer,
            known: vec![Known::default(); orders_max + 1],
            sides: vec![Side::Buy; orders_max + 1],
            number_last: 0,
        }
    }

    /// Enters an order and reports its trades; gives what is left.
    fn take<S: ReportSink>(&mut self, limit: Limit, sink: &mut S) -> u64 {
        let Self { peer, known, .. } = self;
        let mut open = limit.quantity;
        peer.limit(&limit, &mut |fill: Fill| {
            open -= fill.quantity;
            let maker = &mut known[fill.maker as usize];
            maker.open -= fill.quantity;
            maker.filled += fill.quantity;
            sink.report(&OrderReport {
                number: fill.maker,
                counterparty: limit.number,
                price: fill.price,
                quantity: fill.quantity,
                open: maker.open,
                kind: ReportKind::Trade as u8,
                ..OrderReport::default()
            });
        });
        open
    }

    fn submit<S: ReportSink>(&mut self, new: &NewOrder, sink: &mut S) {
        self.number_last += 1;
        let number = self.number_last;
        sink.report(&report(ReportKind::Accepted, number, new.quantity));
        let is_immediate = new.time_in_force == TimeInForce::ImmediateOrCancel;
        let NewOrder { side, price, quantity, .. } = *new;
        self.sides[number as usize] = side;
        let open = self.take(Limit { number, side, price, quantity, is_immediate }, sink);
        if is_immediate && open > 0 {
            sink.report(&report(ReportKind::Cancelled, number, open));
            return;
        }
        self.known[number as usize] = Known { open, filled: quantity - open };
    }

    fn amend<S: ReportSink>(&mut self, number: u64, price: u64, total: u64, sink: &mut S) {
        let Known { open, filled } = self.known[number as usize];
        if open == 0 {
            sink.report(&OrderReport::rejected(OrderReject::OrderUnknown, number, 0, 0));
            return;
        }
        self.peer.cancel(number);
        self.known[number as usize].open = 0;
        if total <= filled {
            sink.report(&report(ReportKind::Cancelled, number, open));
            return;
        }
        sink.report(&report(ReportKind::Replaced, number, total));
        let (side, quantity) = (self.sides[number as usize], total - filled);
        let open = self.take(Limit { number, side, price, quantity, is_immediate: false }, sink);
        self.known[number as usize] = Known { open, filled: total - open };
    }

    fn cancel<S: ReportSink>(&mut self, number: u64, sink: &mut S) {
        let known = &mut self.known[number as usize];
        if known.open == 0 {
            sink.report(&OrderReport::rejected(OrderReject::OrderUnknown, number, 0, 0));
            return;
        }
        let open = std::mem::take(&mut known.open);
        self.peer.cancel(number);
        let reason = CancelReason::Requested as u16;
        sink.report(&OrderReport { reason, ..report(ReportKind::Cancelled, number, open) });
    }
}

fn report(kind: ReportKind, number: u64, quantity: u64) -> OrderReport {
    OrderReport { number, quantity, kind: kind as u8, ..OrderReport::default() }
}

impl<P: Peer> Matcher for Adapter<P> {
    fn look_ahead(&self, _: &Message) {}

    #[inline]
    fn execute<S: ReportSink>(&mut self, message: &Message, sink: &mut S) {
        match message.command() {
            BookCommand::Submit(new) => self.submit(&new, sink),
            BookCommand::Amend(amend) => {
                self.amend(amend.handle.number, amend.price, amend.quantity, sink);
            }
            BookCommand::Cancel(cancel) => self.cancel(cancel.handle.number, sink),
            _ => unreachable!("invariant: the flow has no other commands"),
        }
    }
}
