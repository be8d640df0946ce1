//! An order with its money, and the sums that it comes down to.

use mizan_wire::orders::{OrderKind, Side, TimeInForce};
use mizan_wire::trading::{CreateInstrument, OrderState, SubmitOrder};

const AMOUNT_MAX: u128 = 1 << 94;

/// Everything that is known of an order.
#[derive(Clone, Debug)]
pub(crate) struct TradingOrder {
    /// As it was sent.
    pub(crate) event: SubmitOrder,
    pub(crate) quote_account: u128,
    pub(crate) base_account: u128,
    pub(crate) side: Side,
    pub(crate) kind: OrderKind,
    pub(crate) time_in_force: TimeInForce,
    pub(crate) price: u64,
    /// No trade of a buy is dearer.
    pub(crate) price_bound: u64,
    pub(crate) stop_price: u64,
    pub(crate) quantity: u64,
    pub(crate) filled: u64,
    pub(crate) open: u64,
    pub(crate) expires_ns: u64,
    pub(crate) timestamp: u64,
    pub(crate) session: u64,
    pub(crate) book_number: u64,
    pub(crate) held: u128,
    pub(crate) notional: u128,
    /// Ticks times lots that may still be spent.
    pub(crate) budget: Option<u128>,
    /// In ten-thousandths.
    pub(crate) fee_exact: i128,
    pub(crate) fee: i128,
    pub(crate) paid_flat: bool,
    pub(crate) reason: u16,
    pub(crate) state: OrderState,
}

/// To the nearest unit, ties to the even one.
pub(crate) fn half_even(ten_thousandths: i128) -> i128 {
    let floor = ten_thousandths.div_euclid(10_000);
    match ten_thousandths.rem_euclid(10_000) {
        ..5_000 => floor,
        5_000 if floor % 2 == 0 => floor,
        _ => floor + 1,
    }
}

impl TradingOrder {
    pub(crate) fn is_open(&self) -> bool {
        self.state == OrderState::Open || self.state == OrderState::Dormant
    }

    pub(crate) fn paying_account(&self) -> u128 {
        if self.side == Side::Buy { self.quote_account } else { self.base_account }
    }

    /// What it has to reserve; `None` if that is more than an order may.
    pub(crate) fn hold(&self, terms: &CreateInstrument) -> Option<u128> {
        if self.open == 0 {
            return Some(0);
        }
        let amount = match self.side {
            Side::Sell => u128::from(self.open) * u128::from(terms.base_per_lot),
            Side::Buy => {
                let at_the_limit = u128::from(self.open) * u128::from(self.price_bound);
                let spent = self.budget.unwrap_or(at_the_limit);
                let money = spent.checked_mul(terms.quote_per_tick_lot.into())?;
                if money > AMOUNT_MAX {
                    return None;
                }
                let rate = i128::from(terms.maker_fee_bps.max(terms.taker_fee_bps).max(0));
                let total = half_even(self.fee_exact + rate * money as i128);
                let flat = if self.paid_flat { 0 } else { terms.taker_fee_flat.into() };
                money + (total - half_even(self.fee_exact)) as u128 + flat
            }
        };
        (amount <= AMOUNT_MAX).then_some(amount)
    }
}
