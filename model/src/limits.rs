//! The limits that no other crate shares.

use mizan_wire::limits::EVENTS_MAX;

/// Accounts, and transfers with burnt ids, that a genesis record may allow.
pub(crate) const RECORD_COUNT_MAX: u64 = 1 << 31;
/// Ledgers that a genesis record may allow: a trial balance must fit in one reply.
pub(crate) const LEDGER_COUNT_MAX: u32 = 4_000;
/// Codes that a genesis record may allow: all of them must fit in one reply.
pub(crate) const CODE_COUNT_MAX: u32 = 8_000;
/// Sessions that a genesis record may allow.
pub(crate) const SESSION_COUNT_MAX: u32 = 65_535;
/// Stored replies of a session that a genesis record may allow.
pub(crate) const WINDOW_REQUESTS_MAX: u32 = 65_536;
/// A session's stored replies must have room for the worst single create, at 16 bytes for each event.
pub(crate) const WINDOW_BYTES_MIN: u32 = EVENTS_MAX * 16;
/// Digests that are remembered, so that a later entry can be compared with them.
pub(crate) const DIGESTS_REMEMBERED: usize = 64;
/// Instruments that a genesis record may allow: all of them must fit in one reply.
pub(crate) const INSTRUMENT_COUNT_MAX: u64 = 4_000;
/// Execution reports that a genesis record may allow.
pub(crate) const REPORT_COUNT_MAX: u64 = 1 << 40;
/// A session's stored replies must have room for one request of orders, at 64 bytes for each.
pub(crate) const WINDOW_BYTES_TRADING_MIN: u32 = EVENTS_MAX * 64;
