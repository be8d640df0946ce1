//! Fill or kill: whether the other side fills a whole order, found out before anything changes.
//!
//! Sums of levels decide, unless the order might meet one of its own owner: then the orders are looked at one by one,
//! until it is filled or meets one. Each level and each order is a look, because nobody pays for an order that looks at
//! much and trades nothing; and there must be looks for all its trades, because it cannot end in the middle. How many
//! trades they are is bounded by the orders that stand on the levels, or by its lots.
//!
//! Invariant: the answer is what `matching` would do.

use crate::books::book::Book;
use crate::books::ladder::Rung;
use crate::books::levels::Ladder;
use crate::books::limits::NONE;
use crate::books::matching::Taker;
use crate::books::order::Order;
use crate::books::submit::terms_of;
use mizan_wire::limits::LOOKS_PER_MATCH;
use mizan_wire::orders::{CancelReason, NewOrder, OrderReject, SelfTrade, TimeInForce};

/// What an order still wants, and what it may still spend.
struct Wish {
    lots: u64,
    budget: Option<u128>,
}

impl Wish {
    /// Takes lots at a price; says no if the budget does not pay for them.
    fn take(&mut self, price: u64, lots: u64) -> bool {
        let lots = lots.min(self.lots);
        if let Some(budget) = &mut self.budget {
            let cost = u128::from(price) * u128::from(lots);
            let Some(left) = budget.checked_sub(cost) else { return false };
            *budget = left;
        }
        self.lots -= lots;
        true
    }
}

impl Book {
    /// Decides before its entry what becomes of an order that passed all checks: why it will trade nothing, if so.
    ///
    /// # Errors
    /// `TooManyLooks` if the looks that are left do not do for that, or for the first trade.
    #[inline]
    pub(crate) fn decide(&mut self, new: &NewOrder) -> Result<Option<CancelReason>, OrderReject> {
        if new.kind.is_dormant() {
            return Ok(None);
        }
        if new.time_in_force != TimeInForce::FillOrKill {
            let may_trade = self.looks >= LOOKS_PER_MATCH.into();
            let takes = || !new.kind.has_limit() || self.would_take(new.side, new.price);
            return if may_trade || !takes() { Ok(None) } else { Err(OrderReject::TooManyLooks) };
        }
        let taker = self.taker(Order::new(new, 0), terms_of(new), NONE);
        match self.can_fill(&taker) {
            Some(true) => Ok(None),
            Some(false) => Ok(Some(CancelReason::FillOrKill)),
            None => Err(OrderReject::TooManyLooks),
        }
    }

    /// Why a new order would be refused, if it would. Changes nothing but the looks that are left.
    pub(crate) fn refuses_new(&mut self, new: &NewOrder) -> Option<OrderReject> {
        self.check_new(new).err().or_else(|| self.decide(new).err())
    }

    /// Whether the other side fills the whole order within limit, budget and self-trade mode; nothing if the looks are
    /// spent before that is known, or do not do for the trades.
    pub(crate) fn can_fill(&mut self, taker: &Taker) -> Option<bool> {
        let mut looks = self.looks;
        let may_meet_itself = taker.order.marks.self_trade() != SelfTrade::Allow;
        let mut matches = self.matches_with_anybody(taker, &mut looks);
        // Own orders only make it harder.
        if may_meet_itself && matches.is_some_and(|matches| matches.is_some()) {
            matches = self.matches_with_others(taker, &mut looks);
        }
        self.looks = looks;
        let does = |matches: u64| matches.saturating_mul(LOOKS_PER_MATCH.into()) <= looks;
        match matches? {
            None => Some(false),
            Some(matches) => does(matches).then_some(true),
        }
    }

    /// How many orders it meets at the most until it is filled; `Some(None)` if it is not, nothing if the looks are spent.
    fn matches_with_anybody(&self, taker: &Taker, looks: &mut u64) -> Option<Option<u64>> {
        let ladder = Ladder::of(taker.order.side.opposite());
        let limit_key = ladder.key(taker.limit);
        let mut wish = Wish { lots: taker.order.open, budget: taker.budget };
        let mut matches = 0;
        for Rung { key, level } in self.levels.rungs(ladder) {
            if key < limit_key {
                break;
            }
            *looks = looks.checked_sub(1)?;
            let level = &self.levels.slab[level as usize];
            matches += u64::from(level.count).min(wish.lots);
            if !wish.take(level.price, level.quantity) {
                return Some(None);
            }
            if wish.lots == 0 {
                return Some(Some(matches));
            }
        }
        Some(None)
    }

    /// As [`Book::matches_with_anybody`], order by order.
    fn matches_with_others(&self, taker: &Taker, looks: &mut u64) -> Option<Option<u64>> {
        let ladder = Ladder::of(taker.order.side.opposite());
        let limit_key = ladder.key(taker.limit);
        let mut wish = Wish { lots: taker.order.open, budget: taker.budget };
        let mut matches = 0;
        for Rung { key, level } in self.levels.rungs(ladder) {
            if key < limit_key {
                break;
            }
            let level = &self.levels.slab[level as usize];
            let mut slot = level.head;
            while slot != NONE {
                *looks = looks.checked_sub(1)?;
                matches += 1;
                let maker = &self.orders.places[slot as usize];
                slot = maker.next;
                if maker.owner == taker.order.owner {
                    match taker.order.marks.self_trade() {
                        SelfTrade::CancelOldest => continue,
                        // The others end the taker, or take lots from it that are not filled.
                        _ => return Some(None),
                    }
                }
                if !wish.take(level.price, maker.open) {
                    return Some(None);
                }
                if wish.lots == 0 {
                    return Some(Some(matches));
                }
            }
        }
        Some(None)
    }
}
