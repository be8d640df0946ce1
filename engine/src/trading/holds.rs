//! What an order reserves, and the two balances that carry it.
//!
//! A buy reserves the money of its open lots at its limit (or of what is left of its budget) and the highest fee that
//! this could still cost; a sell reserves its open lots in base units. The fee of a sell comes out of its proceeds.
//! The reservation is `debits_pending` of the paying account and `credits_pending` of the clearing account.

use crate::accounts::Sum;
use crate::ledger::LedgerState;
use crate::trading::fees::{exact, rounded};
use crate::trading::instruments::Instrument;
use crate::trading::limits::AMOUNT_MAX;
use crate::trading::order::Order;
use mizan_wire::AccountFlags;
use mizan_wire::orders::Side;

impl Instrument {
    /// What an order with these terms has to reserve; `None` if that is more than an order may.
    #[inline(always)]
    pub(crate) fn hold_of(&self, order: &Order) -> Option<u128> {
        if order.open == 0 {
            return Some(0);
        }
        let record = &self.record;
        if order.side == Side::Sell {
            let amount = u128::from(order.open) * u128::from(record.base_per_lot);
            return (amount <= AMOUNT_MAX).then_some(amount);
        }
        let bound = match order.budget {
            None => u128::from(order.price_bound) * u128::from(order.open),
            Some(budget) => budget,
        };
        let money = bound.checked_mul(record.quote_per_tick_lot.into())?;
        if money > AMOUNT_MAX {
            return None;
        }
        let flat = if order.paid_flat { 0 } else { u128::from(record.taker_fee_flat) };
        let rate = record.taker_fee_bps.max(record.maker_fee_bps).max(0);
        let mut amount = money + flat;
        if rate != 0 {
            let highest = order.fee_exact + exact(money, rate);
            let growth = rounded(highest) - rounded(order.fee_exact);
            amount += u128::try_from(growth).expect("invariant: the highest fee does not fall");
        }
        (amount <= AMOUNT_MAX).then_some(amount)
    }

    /// The clearing account and the ledger that carry reservations of a side.
    #[inline]
    pub(crate) const fn clearing(&self, side: Side) -> (u32, u32) {
        match side {
            Side::Buy => (self.quote_clearing_slot, self.quote_ledger_slot),
            Side::Sell => (self.base_clearing_slot, self.base_ledger_slot),
        }
    }
}

impl LedgerState {
    /// Whether an account may reserve so much more.
    #[inline]
    pub(crate) fn covers(&self, slot: u32, amount: u128) -> bool {
        if self.accounts.flags(slot) & AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS == 0 {
            return true;
        }
        let balances = self.accounts.balances(slot);
        balances.debits_pending + balances.debits_posted + amount <= balances.credits_posted
    }

    /// Changes a reservation from one amount to another.
    #[inline(always)]
    pub(crate) fn move_hold(
        &mut self,
        paying_slot: u32,
        (clearing_slot, ledger_slot): (u32, u32),
        before: u128,
        after: u128,
    ) {
        let debits = self.accounts.balance(paying_slot, Sum::DebitsPending);
        let credits = self.accounts.balance(clearing_slot, Sum::CreditsPending);
        let moved = |sum: u128| {
            let rest = sum.checked_sub(before);
            rest.expect("invariant: what an order holds is part of the pending sums") + after
        };
        self.set_balance(paying_slot, ledger_slot, Sum::DebitsPending, moved(debits));
        self.set_balance(clearing_slot, ledger_slot, Sum::CreditsPending, moved(credits));
    }
}
