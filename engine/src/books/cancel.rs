//! The ends of orders: cancel, mass cancel, session close, expiry.

use crate::books::ReportSink;
use crate::books::book::Book;
use crate::books::matching::cancelled;
use crate::books::order::Order;
use mizan_wire::orders::{
    CancelOrder, CancelReason, MassCancel, OrderReject, OrderReport, ReportKind, TimeInForce,
};

impl Book {
    /// Cancels an open order. Reports one `Cancelled` or `Rejected`. Cost: O(1), and the search of its level if it
    /// was the last one there.
    #[inline]
    pub fn cancel<S: ReportSink>(&mut self, cancel: &CancelOrder, sink: &mut S) {
        // Whatever the trading state: nobody is kept in an order that he wants to leave.
        match self.orders.find(cancel.handle, cancel.owner) {
            Some(_) => self.end(cancel.handle.slot, CancelReason::Requested, sink),
            None => {
                let (reason, number) = (OrderReject::OrderUnknown, cancel.handle.number);
                sink.report(&OrderReport::rejected(reason, number, cancel.owner, 0));
            }
        }
    }

    /// Cancels all orders that meet both conditions, in the order of their numbers. Reports a `Cancelled` for each, and
    /// at last a `MassCancelled`. Cost: a look at every place, and a sort of those found.
    pub fn mass_cancel<S: ReportSink>(&mut self, mass: &MassCancel, sink: &mut S) {
        let MassCancel { owner, side } = *mass;
        let count = self.end_all(
            |order| {
                owner.is_none_or(|owner| owner == order.owner)
                    && side.is_none_or(|side| side == order.side)
            },
            CancelReason::MassCancelled,
            sink,
        );
        sink.report(&OrderReport::summary(ReportKind::MassCancelled, count));
    }

    /// Ends the session: day orders are cancelled, in the order of their numbers. Reports a `Cancelled` for each, and
    /// at last a `SessionClosed`. Cost: as [`Book::mass_cancel`].
    pub fn close_session<S: ReportSink>(&mut self, sink: &mut S) {
        let count = self.end_all(
            |order| order.time_in_force == TimeInForce::Day,
            CancelReason::SessionClosed,
            sink,
        );
        sink.report(&OrderReport::summary(ReportKind::SessionClosed, count));
    }

    /// Moves the book's time on, in nanoseconds since 1970; an earlier time than the last one changes nothing. Orders
    /// whose expiry is not later end, in the order of expiry and number. Reports a `Cancelled` for each, and at last a
    /// `TimeAdvanced`. Cost: O(log n) for each.
    pub fn advance_time<S: ReportSink>(&mut self, now_ns: u64, sink: &mut S) {
        self.now_ns = self.now_ns.max(now_ns);
        let mut count = 0;
        while let Some(due) = self.due.first().filter(|due| due.expires_ns <= self.now_ns) {
            self.end(due.hold, CancelReason::Expired, sink);
            count += 1;
        }
        sink.report(&OrderReport::summary(ReportKind::TimeAdvanced, count));
    }

    fn end_all<S: ReportSink>(
        &mut self,
        is_meant: impl Fn(&Order) -> bool,
        reason: CancelReason,
        sink: &mut S,
    ) -> u64 {
        let mut chosen = std::mem::take(&mut self.chosen);
        for (slot, order) in (0u32..).zip(&self.orders.places) {
            if order.number != 0 && is_meant(order) {
                chosen.push((order.number, slot));
            }
        }
        chosen.sort_unstable();
        for (_, slot) in &chosen {
            self.end(*slot, reason, sink);
        }
        let count = chosen.len() as u64;
        chosen.clear();
        self.chosen = chosen;
        count
    }

    /// Takes an order that stands in a queue out of the book, and reports it.
    #[inline]
    pub(crate) fn end<S: ReportSink>(&mut self, slot: u32, reason: CancelReason, sink: &mut S) {
        let cancelled_before = self.orders.cancelled(slot);
        let order = &self.orders.places[slot as usize];
        assert!(
            order.filled + order.open + cancelled_before == order.original,
            "invariant: original = filled + open + cancelled"
        );
        sink.report(&cancelled(order, slot, order.open, 0, reason));
        self.remove(slot);
    }

    /// Takes an order out of its queue and frees its place.
    #[inline]
    pub(crate) fn remove(&mut self, slot: u32) {
        self.unlink(slot);
        if self.orders.places[slot as usize].time_in_force == TimeInForce::GoodTillDate {
            self.forget_due(slot, self.orders.terms(slot));
        }
        self.orders.give_back(slot);
    }
}
