//! Every limit of trading in one place.

/// Stands for "no order" in links.
pub(crate) const NONE: u32 = u32::MAX;
/// Instruments that a genesis may ask for: all of them fit into one reply.
pub(crate) const INSTRUMENT_COUNT_MAX: u64 = 4_000;
/// Orders that a genesis may ask for: an order's place is the tag that its book gives back.
pub(crate) const ORDER_COUNT_MAX: u64 = 1 << 31;
/// Open orders, and levels, that a genesis may ask for.
pub(crate) const OPEN_ORDER_COUNT_MAX: u64 = 1 << 31;
/// Execution reports that a genesis may ask for.
pub(crate) const REPORT_COUNT_MAX: u64 = 1 << 40;
/// What one order may reserve. See the module `trading`: no sum can then overflow by a fill.
pub(crate) const AMOUNT_MAX: u128 = 1 << 94;
/// What ordinary transfers may bring a sum to, on a node with trading.
pub(crate) const ORDINARY_SUM_MAX: u128 = (1 << 127) - 1;
/// Bytes of books' memory that one request touches: about as much time as two full batches of new orders take.
pub(crate) const BOOK_TOUCH_MAX: usize = 64 << 20;
/// Transfers that one fill posts at the most: quote, base, and a fee of each side.
pub(crate) const LEGS_PER_FILL: u64 = 4;
/// Fees and rebates, in basis points.
pub(crate) const FEE_BPS_MAX: i16 = 10_000;
/// In the uses of an account: it belongs to an instrument.
pub(crate) const INSTRUMENT_MARK: u32 = 1 << 31;
