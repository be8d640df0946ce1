//! Instruments: what is traded against what, at which fees, under which rules.

use crate::orders::{BookCapacity, BookRules};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How an order's total fee becomes whole units of the quote ledger.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum RoundingRule {
    /// To the nearest unit, a tie to the even one.
    HalfEven = 1,
}

/// A new instrument: an event of `create_instruments`. Immutable once it is made.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct CreateInstrument {
    /// Gets fees and pays rebates; quote ledger, without limits.
    pub fee_account_id: u128,
    /// Carries the other side of what sells reserve; base ledger, without limits.
    pub base_clearing_account_id: u128,
    /// Carries the other side of what buys reserve; quote ledger, without limits.
    pub quote_clearing_account_id: u128,
    /// The largest product of price and quantity, in ticks times lots; 0 for no bound of its own.
    pub notional_max: u128,
    /// Paid once by an order that takes, with its first trade as taker, in quote units.
    pub taker_fee_flat: u64,
    /// Quote units of one tick times one lot.
    pub quote_per_tick_lot: u64,
    /// Base units of one lot.
    pub base_per_lot: u64,
    /// Prices are multiples of this many ticks.
    pub price_step_ticks: u64,
    /// The lowest price.
    pub price_min_ticks: u64,
    /// The highest price.
    pub price_max_ticks: u64,
    /// Quantities are multiples of this many lots.
    pub quantity_step_lots: u64,
    /// The largest quantity of an order.
    pub quantity_max_lots: u64,
    /// How far beyond the best price that it meets a market order may trade.
    pub protection_ticks: u64,
    /// The instrument's number; not zero.
    pub id: u32,
    /// What is traded.
    pub base_ledger: u32,
    /// What it is paid with.
    pub quote_ledger: u32,
    /// Open orders that its book has room for, out of the node's total.
    pub orders_max: u32,
    /// Price levels that its book has room for, out of the node's total.
    pub levels_max: u32,
    /// Basis points of the money of a maker's fills; negative is a rebate.
    pub maker_fee_bps: i16,
    /// Basis points of the money of a taker's fills; negative is a rebate.
    pub taker_fee_bps: i16,
    /// Number of a [`RoundingRule`].
    pub rounding: u8,
    /// For orders that name no mode; see [`super::decode_self_trade`].
    pub self_trade: u8,
    /// What its book accepts, in an answer (see [`super::decode_trading_state`]); zero in a request.
    pub state: u8,
    /// Zero.
    pub reserved: [u8; 5],
    /// Zero.
    pub reserved_2: [u64; 10],
    /// Zero; the engine gives it.
    pub timestamp: u64,
}

const _: () = {
    assert!(size_of::<CreateInstrument>() == 256);
    assert!(std::mem::offset_of!(CreateInstrument, id) == 136);
    assert!(std::mem::offset_of!(CreateInstrument, timestamp) == 248);
};

impl CreateInstrument {
    /// What its book checks.
    #[must_use]
    pub const fn rules(&self) -> BookRules {
        BookRules {
            notional_max: if self.notional_max == 0 { u128::MAX } else { self.notional_max },
            price_step_ticks: self.price_step_ticks,
            price_min_ticks: self.price_min_ticks,
            price_max_ticks: self.price_max_ticks,
            quantity_step_lots: self.quantity_step_lots,
            quantity_max_lots: self.quantity_max_lots,
            protection_ticks: self.protection_ticks,
        }
    }

    /// What its book has room for.
    #[must_use]
    pub const fn capacity(&self) -> BookCapacity {
        BookCapacity { orders_max: self.orders_max, levels_max: self.levels_max }
    }
}
