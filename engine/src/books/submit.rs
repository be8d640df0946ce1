//! Entering an order.

use crate::books::ReportSink;
use crate::books::book::Book;
use crate::books::checks::budget_of;
use crate::books::levels::Ladder;
use crate::books::limits::NONE;
use crate::books::matching::{Taker, about};
use crate::books::order::{Order, OrderTerms};
use mizan_wire::orders::{NewOrder, OrderReport, ReportKind};

impl Book {
    /// Enters an order: checks it, trades as far as it goes, lets the rest of it stand or end, and executes what the
    /// trades trigger.
    ///
    /// Reports one `Accepted`, `Dormant` or `Rejected`; then whatever follows. Cost: O(1) per trade, and the search of
    /// one level for an order that rests; a fill-or-kill looks at levels and orders first. [`Book::bound_looks`] bounds it.
    #[inline]
    pub fn submit<S: ReportSink>(&mut self, new: &NewOrder, sink: &mut S) {
        let decided = self.check_new(new).and_then(|()| self.decide(new));
        let stopped = match decided {
            Ok(stopped) => stopped,
            Err(reason) => {
                let report = OrderReport::rejected(reason, 0, new.owner, new.tag);
                sink.report(&OrderReport { side: new.side as u8, ..report });
                return;
            }
        };
        self.number_last += 1;
        let order = Order::new(new, self.number_last);
        let rests = new.kind.has_limit() && new.time_in_force.can_rest();
        if new.kind.is_dormant() {
            self.submit_dormant(new, order, sink);
        } else if rests && new.expires_ns == 0 && !self.would_take(new.side, new.price) {
            // The commonest order needs no way through the other side.
            let slot = self.orders.take_place();
            self.orders.places[slot as usize] = order;
            sink.report(&about(&order, slot, ReportKind::Accepted, order.open, order.open, 0));
            self.append(slot, Ladder::of(order.side), order.price);
        } else {
            let slot = if rests { self.orders.take_place() } else { NONE };
            sink.report(&about(&order, slot, ReportKind::Accepted, order.open, order.open, 0));
            let taker = self.taker(order, terms_of(new), slot);
            self.take(Taker { stopped, ..taker }, sink);
            self.run_triggers(sink);
        }
    }

    fn submit_dormant<S: ReportSink>(&mut self, new: &NewOrder, order: Order, sink: &mut S) {
        let slot = self.orders.take_place();
        let report = about(&order, slot, ReportKind::Dormant, order.open, order.open, 0);
        sink.report(&OrderReport { counterparty: new.stop_price, ..report });
        self.place(order, terms_of(new), slot);
        self.append(slot, Ladder::of_stops(order.side), new.stop_price);
        self.look_back(order.side, new.stop_price);
        self.run_triggers(sink);
    }
}

pub(crate) fn terms_of(new: &NewOrder) -> OrderTerms {
    OrderTerms { budget: budget_of(new), expires_ns: new.expires_ns, ..OrderTerms::NONE }
}
