//! The words of trading: instruments, the orders that settle in the ledger, and what is reported of them.
//!
//! Money is ticks times lots times the instrument's `quote_per_tick_lot`, in the smallest unit of the quote ledger.
//! Order books themselves have words of their own (`orders`); these records are how their commands travel.
//!
//! Invariants: every record is a fixed layout of little-endian integers without padding; reserved bytes are zero.
//!
//! What is absent: how orders are matched and how fills are settled; `docs/reference/orders.md` has the rules.

mod codes;
mod commands;
mod instrument;
mod reads;
mod results;
mod status;

pub use codes::{
    decode_kind, decode_self_trade, decode_side, decode_time_in_force, decode_trading_state,
};
pub use commands::{
    AmendOrderEvent, CancelOrderEvent, InstrumentCommand, MassCancelEvent, OrderFlags, SubmitOrder,
};
pub use instrument::{CreateInstrument, RoundingRule};
pub use reads::{
    DepthQuery, DepthRecord, OpenOrdersQuery, OrderKey, OrderState, OrderView, ReportsQuery,
};
pub use results::{ExecutionKind, ExecutionReport, OrderResult};
pub use status::{InstrumentStatus, OrderStatus};

/// Codes of the transfers that fills post, and their place in the engine's space of ids.
#[derive(Clone, Copy, Debug)]
pub struct DerivedTransfer;

impl DerivedTransfer {
    /// Quote ledger: buyer to seller.
    pub const CODE_QUOTE: u16 = 65_025;
    /// Base ledger: seller to buyer.
    pub const CODE_BASE: u16 = 65_026;
    /// Quote ledger: a trader to the fee account.
    pub const CODE_FEE: u16 = 65_027;
    /// Quote ledger: the fee account to a trader.
    pub const CODE_REBATE: u16 = 65_028;
    /// Bits 96 to 111 of the id of a transfer that a fill posted.
    const KIND_FILL: u128 = 1;

    /// The id of the transfer with this index among those that the log entry `sequence` derived.
    #[must_use]
    #[inline]
    pub const fn id(sequence: u64, index: u32) -> u128 {
        (crate::limits::RESERVED_ID_PREFIX as u128) << 112
            | Self::KIND_FILL << 96
            | (sequence as u128) << 32
            | index as u128
    }
}
