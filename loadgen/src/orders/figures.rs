//! What came of a run of orders, besides what every run has.

use serde::Serialize;

/// Figures of an order workload.
#[derive(Clone, Debug, Serialize)]
pub struct OrderFigures {
    /// Order messages that were answered, per second: new orders, amends and cancels.
    pub messages_per_s: f64,
    /// Order messages that were answered.
    pub messages: u64,
    /// New orders.
    pub submits: u64,
    /// Amends.
    pub amends: u64,
    /// Cancels.
    pub cancels: u64,
    /// Amends and cancels that came after the order had been filled.
    pub ended_before: u64,
    /// Lots that were bought, which is what was sold.
    pub lots_traded: u64,
    /// Transfers that trades posted: money, what was traded, fees.
    pub transfers_posted: u64,
    /// Instruments.
    pub instruments: u32,
    /// Orders that were read back and compared with the answers.
    pub orders_compared: u64,
    /// Orders that were open at the end.
    pub orders_open: u64,
}
