//! Stops: dormant orders that trades release.
//!
//! Releases run one after the other, not one inside the other, so a cascade of any length needs no stack. It ends,
//! because each release takes a dormant order away and nothing inside a cascade makes one.

use crate::books::ReportSink;
use crate::books::book::{Book, TradedRange};
use crate::books::levels::Ladder;
use crate::books::matching::about;
use mizan_wire::orders::{OrderKind, ReportKind, Side};

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
        let has_stops = self.levels.best(Ladder::StopsToBuy).is_some()
            || self.levels.best(Ladder::StopsToSell).is_some();
        if has_stops {
            self.release_all(sink);
        }
        self.traded = TradedRange::EMPTY;
    }

    #[cold]
    fn release_all<S: ReportSink>(&mut self, sink: &mut S) {
        self.collect_reached(sink);
        while let Some(slot) = self.triggered.pop_front() {
            let mut order = self.orders.places[slot as usize];
            order.kind = match order.kind {
                OrderKind::StopLimit => OrderKind::Limit,
                _ => OrderKind::Market,
            };
            let taker = self.taker(order, self.orders.terms(slot), slot);
            self.take(taker, sink);
            self.collect_reached(sink);
        }
    }

    /// Takes the stops that were reached out of their ladders and puts them at the end of the queue.
    fn collect_reached<S: ReportSink>(&mut self, sink: &mut S) {
        let TradedRange { lowest, highest } =
            std::mem::replace(&mut self.traded, TradedRange::EMPTY);
        if highest == 0 {
            return;
        }
        for (ladder, price) in [(Ladder::StopsToBuy, highest), (Ladder::StopsToSell, lowest)] {
            let last_key = ladder.key(price);
            while let Some(best) = self.levels.best(ladder).filter(|best| best.key >= last_key) {
                let slot = self.levels.slab[best.level as usize].head;
                self.unlink(slot);
                let order = &self.orders.places[slot as usize];
                let (kind, open) = (ReportKind::Triggered, order.open);
                sink.report(&about(order, slot, kind, order.original, open, 0));
                self.triggered.push_back(slot);
            }
        }
    }
}
