//! New terms for an open order: everything is checked first, then everything changes.

use crate::books::ReportSink;
use crate::books::book::Book;
use crate::books::checks::home;
use crate::books::matching::about;
use mizan_wire::orders::{AmendOrder, CancelReason, OrderReject, OrderReport, ReportKind};

impl Book {
    /// Gives an order new terms. Fewer lots at the same prices keep its place in time; any other change loses it, and
    /// may trade. A total that is no more than what is filled (or was decremented) ends it.
    ///
    /// Reports one `Reduced`, `Replaced`, `Cancelled` or `Rejected`; then whatever follows. A rejected amend leaves
    /// the order as it was. Cost: O(1) in place, otherwise as [`Book::submit`].
    #[inline]
    pub fn amend<S: ReportSink>(&mut self, amend: &AmendOrder, sink: &mut S) {
        if let Err(reason) = self.try_amend(amend, sink) {
            sink.report(&OrderReport::rejected(reason, amend.handle.number, amend.owner, 0));
        }
    }

    fn try_amend<S: ReportSink>(
        &mut self,
        amend: &AmendOrder,
        sink: &mut S,
    ) -> Result<(), OrderReject> {
        self.check_open()?;
        let slot = amend.handle.slot;
        let found = self.orders.find(amend.handle, amend.owner);
        let mut order = *found.ok_or(OrderReject::OrderUnknown)?;
        self.check_amend(amend, &order)?;
        let done = order.filled + self.orders.cancelled(slot);
        if amend.quantity <= done {
            self.end(slot, CancelReason::AmendedToFilled, sink);
            return Ok(());
        }
        let (ladder, price) = home(order.kind, order.side, amend.price, amend.stop_price);
        let stands_at = self.levels.slab[order.level as usize].price;
        let is_same_price = amend.price == order.price && price == stands_at;
        if is_same_price && amend.quantity <= order.original {
            self.reduce(slot, amend.quantity, done, sink);
            return Ok(());
        }
        self.unlink(slot);
        order.price = amend.price;
        order.original = amend.quantity;
        order.open = amend.quantity - done;
        let report = about(&order, slot, ReportKind::Replaced, order.original, order.open, 0);
        sink.report(&OrderReport { counterparty: amend.stop_price, ..report });
        if order.kind.is_dormant() {
            self.orders.places[slot as usize] = order;
            self.append(slot, ladder, price);
            self.look_back(order.side, price);
        } else if self.would_take(order.side, order.price) {
            self.take(self.taker(order, self.orders.terms(slot), slot), sink);
        } else {
            self.orders.places[slot as usize] = order;
            self.append(slot, ladder, price);
        }
        self.run_triggers(sink);
        Ok(())
    }

    fn reduce<S: ReportSink>(&mut self, slot: u32, total: u64, done: u64, sink: &mut S) {
        let order = &mut self.orders.places[slot as usize];
        let lost = order.original - total;
        order.original = total;
        order.open -= lost;
        assert!(
            done + order.open == order.original,
            "invariant: original = filled + open + cancelled"
        );
        self.levels.slab[order.level as usize].quantity -= lost;
        let reason = CancelReason::Requested as u16;
        sink.report(&about(order, slot, ReportKind::Reduced, lost, order.open, reason));
    }
}
