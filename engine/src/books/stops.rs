//! Stops: dormant orders that trades release.
//!
//! Releases run one after the other, not one inside the other, so a cascade of any length needs no stack. It ends,
//! because each release takes a dormant order away and nothing inside a cascade makes one. It may end later than the
//! command that began it: each stop takes looks, and when these are spent the others wait (`waiting`).

use crate::books::ReportSink;
use crate::books::book::{Book, TradedRange};
use crate::books::levels::Ladder;
use crate::books::limits::NONE;
use crate::books::matching::about;
use crate::books::order::OrderTerms;
use mizan_wire::orders::{CancelReason, OrderKind, ReportKind, Side, TimeInForce};

impl Book {
    /// Compares a stop price that has just come with the last trade.
    pub(crate) fn look_back(&mut self, side: Side, stop_price: u64) {
        let is_reached = match side {
            Side::Buy => self.last_trade >= stop_price,
            Side::Sell => self.last_trade <= stop_price,
        };
        if is_reached && self.last_trade != 0 {
            self.traded.include(self.last_trade);
        }
    }

    /// Releases what the trades since the last call have reached, and what the trades of those reach in turn.
    #[inline]
    pub(crate) fn run_triggers<S: ReportSink>(&mut self, sink: &mut S) {
        if self.traded.is_empty() {
            return;
        }
        if self.has_dormant() {
            self.release_all(sink);
        } else {
            self.traded = TradedRange::EMPTY;
        }
    }

    /// Goes on with the stops that were triggered and wait, as far as the looks reach. Reports as the command would have
    /// done that left them.
    pub fn run_waiting<S: ReportSink>(&mut self, sink: &mut S) {
        self.release_all(sink);
    }

    /// Releases one order after the other. Whatever is left when the looks are spent stays as it is, and is gone on with in
    /// the same order.
    #[cold]
    fn release_all<S: ReportSink>(&mut self, sink: &mut S) {
        loop {
            // Who has begun goes on first: the trades of an order are compared with stop prices when it is done.
            if self.waiting.begun.is_none() && !self.collect_reached(sink) {
                return;
            }
            let slot = self.waiting.head;
            if slot == NONE || !self.look(1) {
                return;
            }
            let limit = self.waiting.begun;
            self.leave_waiting(slot);
            if !self.release(slot, limit, sink) {
                return;
            }
        }
    }

    /// Executes a triggered order; says no if it is to go on later.
    fn release<S: ReportSink>(&mut self, slot: u32, limit: Option<u64>, sink: &mut S) -> bool {
        let order = self.orders.places[slot as usize];
        let is_whole = order.time_in_force == TimeInForce::FillOrKill;
        let mut taker = self.taker(order, self.orders.terms(slot), slot);
        taker.limit = limit.unwrap_or(taker.limit);
        if is_whole {
            taker.stopped = match self.can_fill(&taker) {
                Some(true) => None,
                Some(false) => Some(CancelReason::FillOrKill),
                None => Some(CancelReason::LooksSpent),
            };
        }
        self.sweep(&mut taker, sink);
        if taker.stopped == Some(CancelReason::LooksSpent) && !is_whole {
            let terms = OrderTerms { budget: taker.budget, ..taker.terms };
            self.place(taker.order, terms, slot);
            self.wait_again(slot, taker.limit);
            return false;
        }
        self.settle_rest(&taker, sink);
        true
    }

    /// Takes the stops that were reached out of their ladders and puts them at the end of the queue; says no if the looks
    /// are spent before that is done.
    fn collect_reached<S: ReportSink>(&mut self, sink: &mut S) -> bool {
        let TradedRange { lowest, highest } = self.traded;
        if self.traded.is_empty() {
            return true;
        }
        for (ladder, price) in [(Ladder::StopsToBuy, highest), (Ladder::StopsToSell, lowest)] {
            let last_key = ladder.key(price);
            while let Some(best) = self.levels.best(ladder).filter(|best| best.key >= last_key) {
                if !self.look(1) {
                    return false;
                }
                let slot = self.levels.slab[best.level as usize].head;
                self.unlink(slot);
                let order = &mut self.orders.places[slot as usize];
                order.kind = match order.kind {
                    OrderKind::StopLimit => OrderKind::Limit,
                    _ => OrderKind::Market,
                };
                let (kind, open) = (ReportKind::Triggered, order.open);
                sink.report(&about(order, slot, kind, order.original, open, 0));
                self.wait(slot);
            }
        }
        self.traded = TradedRange::EMPTY;
        true
    }
}
