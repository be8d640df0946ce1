//! The words of order books: what can be asked of one, and what it reports.
//!
//! Prices are integer ticks and quantities integer lots, both 64 bits wide; money is their product, 128 bits. Engine,
//! model and tests share these records and nothing else.
//!
//! Invariants: a number that was once given to a status or a kind keeps it for ever; a report is 64 bytes without
//! padding, so that the bytes of a stream of reports are its meaning.
//!
//! What is absent: how orders are matched, how they travel in requests, and money.

mod command;
mod report;
mod rules;
mod status;

pub use command::{
    AmendOrder, BookCommand, CancelOrder, MassCancel, NewOrder, OrderHandle, OrderKind, SelfTrade,
    Side, TimeInForce, TradingState,
};
pub use report::{OrderReport, ReportKind, SIDE_NONE, SLOT_NONE};
pub use rules::{BookCapacity, BookRules, BookRulesError};
pub use status::{CancelReason, OrderReject};
