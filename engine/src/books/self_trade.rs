//! What happens when a taker meets an order of its own owner. The taker's mode decides.

use crate::books::ReportSink;
use crate::books::book::Book;
use crate::books::matching::{Taker, about, cancelled};
use mizan_wire::orders::{CancelReason, ReportKind, SelfTrade};

impl Book {
    /// Keeps a taker from trading with the order in `slot`.
    #[cold]
    pub(crate) fn prevent_self_trade<S: ReportSink>(
        &mut self,
        taker: &mut Taker,
        slot: u32,
        sink: &mut S,
    ) {
        match taker.order.marks.self_trade() {
            SelfTrade::Allow => {}
            SelfTrade::CancelNewest => taker.stopped = Some(CancelReason::SelfTrade),
            SelfTrade::CancelOldest => self.end(slot, CancelReason::SelfTrade, sink),
            SelfTrade::CancelBoth => {
                self.end(slot, CancelReason::SelfTrade, sink);
                taker.stopped = Some(CancelReason::SelfTrade);
            }
            SelfTrade::DecrementAndCancel => self.decrement_both(taker, slot, sink),
        }
    }

    /// The resting order first, then the taker: both lose the smaller of the two open quantities.
    fn decrement_both<S: ReportSink>(&mut self, taker: &mut Taker, slot: u32, sink: &mut S) {
        const REASON: CancelReason = CancelReason::SelfTrade;
        let open = self.orders.places[slot as usize].open;
        let quantity = open.min(taker.order.open);
        if quantity == open {
            self.end(slot, REASON, sink);
        } else {
            let mut terms = self.orders.terms(slot);
            terms.cancelled += quantity;
            self.orders.set_terms(slot, terms);
            let maker = &mut self.orders.places[slot as usize];
            maker.open -= quantity;
            self.levels.slab[maker.level as usize].quantity -= quantity;
            let kind = ReportKind::Reduced;
            sink.report(&about(maker, slot, kind, quantity, maker.open, REASON as u16));
        }
        taker.order.open -= quantity;
        taker.terms.cancelled += quantity;
        let (order, open) = (&taker.order, taker.order.open);
        sink.report(&match open {
            0 => cancelled(order, taker.slot, quantity, 0, REASON),
            _ => about(order, taker.slot, ReportKind::Reduced, quantity, open, REASON as u16),
        });
    }
}
