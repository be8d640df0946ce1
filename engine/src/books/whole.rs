//! Fill or kill: whether the other side fills a whole order, found out before anything changes.
//!
//! Sums of levels decide, unless the order might meet one of its own owner: then the orders are looked at one by one,
//! until it is filled or meets one. Each level and each order is a look, which the sink counts, because nobody pays for
//! an order that looks at much and trades nothing.
//!
//! Invariant: the answer is what `matching` would do.

use crate::books::book::Book;
use crate::books::ladder::Rung;
use crate::books::levels::Ladder;
use crate::books::limits::NONE;
use crate::books::matching::Taker;
use crate::books::order::Order;
use crate::books::submit::terms_of;
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
    /// `TooManyLooks` if `look` says no before that is known.
    #[inline]
    pub(crate) fn decide(
        &self,
        new: &NewOrder,
        look: &mut impl FnMut() -> bool,
    ) -> Result<Option<CancelReason>, OrderReject> {
        if new.time_in_force != TimeInForce::FillOrKill || new.kind.is_dormant() {
            return Ok(None);
        }
        let taker = self.taker(Order::new(new, 0), terms_of(new), NONE);
        match self.can_fill(&taker, look) {
            Some(true) => Ok(None),
            Some(false) => Ok(Some(CancelReason::FillOrKill)),
            None => Err(OrderReject::TooManyLooks),
        }
    }

    /// Why a new order would be refused, if it would. Changes nothing.
    pub(crate) fn refuses_new(
        &self,
        new: &NewOrder,
        look: &mut impl FnMut() -> bool,
    ) -> Option<OrderReject> {
        self.check_new(new).err().or_else(|| self.decide(new, look).err())
    }

    /// Whether the other side fills the whole order within limit, budget and self-trade mode; nothing if `look` says no
    /// before that is known.
    pub(crate) fn can_fill(&self, taker: &Taker, look: &mut impl FnMut() -> bool) -> Option<bool> {
        let is_possible = self.can_fill_from_anybody(taker, look)?;
        let may_meet_itself = taker.order.marks.self_trade() != SelfTrade::Allow;
        // Own orders only make it harder.
        if is_possible && may_meet_itself {
            self.can_fill_from_others(taker, look)
        } else {
            Some(is_possible)
        }
    }

    fn can_fill_from_anybody(
        &self,
        taker: &Taker,
        look: &mut impl FnMut() -> bool,
    ) -> Option<bool> {
        let ladder = Ladder::of(taker.order.side.opposite());
        let limit_key = ladder.key(taker.limit);
        let mut wish = Wish { lots: taker.order.open, budget: taker.budget };
        for Rung { key, level } in self.levels.rungs(ladder) {
            if key < limit_key {
                break;
            }
            if !look() {
                return None;
            }
            let level = &self.levels.slab[level as usize];
            if !wish.take(level.price, level.quantity) {
                return Some(false);
            }
            if wish.lots == 0 {
                return Some(true);
            }
        }
        Some(false)
    }

    fn can_fill_from_others(&self, taker: &Taker, look: &mut impl FnMut() -> bool) -> Option<bool> {
        let ladder = Ladder::of(taker.order.side.opposite());
        let limit_key = ladder.key(taker.limit);
        let mut wish = Wish { lots: taker.order.open, budget: taker.budget };
        for Rung { key, level } in self.levels.rungs(ladder) {
            if key < limit_key {
                break;
            }
            let level = &self.levels.slab[level as usize];
            let mut slot = level.head;
            while slot != NONE {
                if !look() {
                    return None;
                }
                let maker = &self.orders.places[slot as usize];
                slot = maker.next;
                if maker.owner == taker.order.owner {
                    match taker.order.marks.self_trade() {
                        SelfTrade::CancelOldest => continue,
                        // The others end the taker, or take lots from it that are not filled.
                        _ => return Some(false),
                    }
                }
                if !wish.take(level.price, maker.open) {
                    return Some(false);
                }
                if wish.lots == 0 {
                    return Some(true);
                }
            }
        }
        Some(false)
    }
}
