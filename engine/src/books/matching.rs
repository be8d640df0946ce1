//! Matching: a taker against the other side, best level first, and what becomes of its rest.
//!
//! What is absent: checks (they come before), the decision whether a fill-or-kill fills (`whole`), and the trade with
//! oneself (`self_trade`).

use crate::books::ReportSink;
use crate::books::book::Book;
use crate::books::levels::{Ladder, Level};
use crate::books::limits::NONE;
use crate::books::order::{Order, OrderTerms};
use crate::heap::Due;
use mizan_wire::limits::LOOKS_PER_MATCH;
use mizan_wire::orders::{
    CancelReason, OrderKind, OrderReport, ReportKind, SelfTrade, Side, TimeInForce,
};

/// An order on its way through the other side.
pub(crate) struct Taker {
    pub(crate) order: Order,
    pub(crate) terms: OrderTerms,
    /// Its place; `NONE` if it can never rest.
    pub(crate) slot: u32,
    /// The worst price at which it trades.
    pub(crate) limit: u64,
    /// What it may still spend, in ticks times lots, if that is bounded.
    pub(crate) budget: Option<u128>,
    /// Why it does not go on, if it does not.
    pub(crate) stopped: Option<CancelReason>,
}

impl Book {
    /// Makes a taker of an order that stands in no queue.
    pub(crate) fn taker(&self, order: Order, terms: OrderTerms, slot: u32) -> Taker {
        let limit = match order.kind.has_limit() {
            true => order.price,
            false => self.protected_limit(order.side),
        };
        Taker { limit, budget: terms.budget, order, terms, slot, stopped: None }
    }

    /// How far a market order may go, from the best price that it meets.
    fn protected_limit(&self, side: Side) -> u64 {
        let Some(best) = self.best_price(side.opposite()) else { return 0 };
        match side {
            Side::Buy => best.saturating_add(self.rules.protection_ticks),
            Side::Sell => best.saturating_sub(self.rules.protection_ticks),
        }
    }

    /// Executes a taker that was accepted: its trades, then the end or the rest of it. What a fill-or-kill can do was
    /// decided before.
    pub(crate) fn take<S: ReportSink>(&mut self, mut taker: Taker, sink: &mut S) {
        self.sweep(&mut taker, sink);
        self.settle_rest(&taker, sink);
    }

    /// Trades until the taker has nothing left, meets nobody any more, or is stopped.
    pub(crate) fn sweep<S: ReportSink>(&mut self, taker: &mut Taker, sink: &mut S) {
        let ladder = Ladder::of(taker.order.side.opposite());
        let limit_key = ladder.key(taker.limit);
        while taker.order.open > 0 && taker.stopped.is_none() {
            match self.levels.best(ladder) {
                Some(best) if best.key >= limit_key => self.sweep_level(taker, best.level, sink),
                _ => break,
            }
        }
    }

    /// Trades with one level until it, or the taker, has nothing left.
    fn sweep_level<S: ReportSink>(&mut self, taker: &mut Taker, level: u32, sink: &mut S) {
        let prevents = taker.order.marks.self_trade() != SelfTrade::Allow;
        loop {
            let Level { price, head: slot, count, .. } = self.levels.slab[level as usize];
            let maker = &self.orders.places[slot as usize];
            let is_last = count == 1;
            let is_own = maker.owner == taker.order.owner && prevents;
            let mut quantity = maker.open.min(taker.order.open);
            if let Some(budget) = taker.budget
                && !is_own
            {
                quantity = quantity.min(self.affordable(budget, price));
                if quantity == 0 {
                    taker.stopped = Some(CancelReason::BudgetSpent);
                    return;
                }
            }
            if !self.look(LOOKS_PER_MATCH) {
                taker.stopped = Some(CancelReason::LooksSpent);
                return;
            }
            if is_own {
                self.prevent_self_trade(taker, slot, sink);
            } else {
                if let Some(budget) = &mut taker.budget {
                    *budget -= u128::from(price) * u128::from(quantity);
                }
                self.trade(taker, slot, level, price, quantity, sink);
            }
            // A number that is 0 tells that the maker has gone, and with the last one its level.
            let is_maker_gone = self.orders.places[slot as usize].number == 0;
            if taker.order.open == 0 || taker.stopped.is_some() || (is_maker_gone && is_last) {
                return;
            }
        }
    }

    #[inline]
    fn trade<S: ReportSink>(
        &mut self,
        taker: &mut Taker,
        slot: u32,
        level: u32,
        price: u64,
        quantity: u64,
        sink: &mut S,
    ) {
        let cancelled = self.orders.cancelled(slot);
        let maker = &mut self.orders.places[slot as usize];
        maker.open -= quantity;
        maker.filled += quantity;
        assert!(
            maker.filled + maker.open + cancelled == maker.original,
            "invariant: original = filled + open + cancelled"
        );
        taker.order.open -= quantity;
        taker.order.filled += quantity;
        let (open, side) = (maker.open, maker.side);
        sink.report(&OrderReport {
            number: maker.number,
            counterparty: taker.order.number,
            price,
            quantity,
            open,
            owner: maker.owner,
            tag: maker.tag,
            counterparty_owner: taker.order.owner,
            counterparty_tag: taker.order.tag,
            slot,
            reason: 0,
            kind: ReportKind::Trade as u8,
            side: side as u8,
        });
        self.levels.slab[level as usize].quantity -= quantity;
        self.last_trade = price;
        self.traded.include(price);
        if open == 0 {
            self.remove(slot);
        }
    }

    /// Lots that a budget pays for at a price, in whole steps.
    fn affordable(&self, budget: u128, price: u64) -> u64 {
        let lots = u64::try_from(budget / u128::from(price)).unwrap_or(u64::MAX);
        lots - lots % self.rules.quantity_step_lots
    }

    /// What is left of a taker rests, or ends.
    pub(crate) fn settle_rest<S: ReportSink>(&mut self, taker: &Taker, sink: &mut S) {
        let order = &taker.order;
        assert!(
            order.filled + order.open + taker.terms.cancelled == order.original,
            "invariant: original = filled + open + cancelled"
        );
        let end = match taker.stopped {
            _ if order.open == 0 => None,
            Some(reason) => Some(reason),
            None if order.kind == OrderKind::Market => Some(CancelReason::MarketRest),
            None if order.time_in_force == TimeInForce::ImmediateOrCancel => {
                Some(CancelReason::ImmediateRest)
            }
            None => return self.rest(taker, sink),
        };
        if let Some(reason) = end {
            sink.report(&cancelled(order, taker.slot, order.open, 0, reason));
        }
        self.give_up(taker);
    }

    /// Puts the rest of a taker into the book.
    fn rest<S: ReportSink>(&mut self, taker: &Taker, sink: &mut S) {
        let Taker { order, slot, .. } = taker;
        let ladder = Ladder::of(order.side);
        // Orders that come in have made sure of a level; one that was triggered could not.
        if self.levels.is_full() && self.levels.find(ladder, order.price).is_none() {
            sink.report(&cancelled(order, *slot, order.open, 0, CancelReason::LevelsFull));
            self.give_up(taker);
            return;
        }
        self.place(taker.order, taker.terms, *slot);
        self.append(*slot, ladder, order.price);
    }

    /// Writes an order into its place, with terms if it has any, and notes when it ends.
    pub(crate) fn place(&mut self, order: Order, terms: OrderTerms, slot: u32) {
        let is_timed = terms.expires_ns != 0;
        let is_queued = terms.position != NONE;
        // A taker's terms are a copy, and the queue of due times may have moved the order meanwhile.
        let position = if is_queued { self.orders.terms(slot).position } else { NONE };
        self.orders.places[slot as usize] = order;
        if is_timed || terms.cancelled != 0 || terms.budget.is_some() {
            self.orders.set_terms(slot, OrderTerms { position, ..terms });
        }
        if is_timed && !is_queued {
            let Order { number: timestamp, .. } = order;
            let due = Due { expires_ns: terms.expires_ns, timestamp, hold: slot };
            self.due.insert(due, &mut self.orders.terms);
        }
    }

    /// Frees the place of a taker that has ended.
    fn give_up(&mut self, taker: &Taker) {
        if taker.slot == NONE {
            return;
        }
        self.forget_due(taker.slot, taker.terms);
        self.orders.give_back(taker.slot);
    }

    pub(crate) fn forget_due(&mut self, slot: u32, terms: OrderTerms) {
        // As in `place`.
        if terms.position != NONE {
            let position = self.orders.terms(slot).position;
            self.due.remove(position, &mut self.orders.terms);
        }
    }
}

/// The report of an order that ended, or of lots that it lost.
#[inline]
pub(crate) const fn cancelled(
    order: &Order,
    slot: u32,
    quantity: u64,
    open: u64,
    reason: CancelReason,
) -> OrderReport {
    about(order, slot, ReportKind::Cancelled, quantity, open, reason as u16)
}

/// A report about one order.
#[inline]
pub(crate) const fn about(
    order: &Order,
    slot: u32,
    kind: ReportKind,
    quantity: u64,
    open: u64,
    reason: u16,
) -> OrderReport {
    OrderReport {
        number: order.number,
        counterparty: 0,
        price: order.price,
        quantity,
        open,
        owner: order.owner,
        tag: order.tag,
        counterparty_owner: 0,
        counterparty_tag: 0,
        slot,
        reason,
        kind: kind as u8,
        side: order.side as u8,
    }
}
