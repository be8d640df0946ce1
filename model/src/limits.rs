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
/// Bytes that a stored reply takes for each result that it lists.
pub(crate) const EXCEPTION_SIZE: u64 = 16;
/// A session's stored replies must have room for the worst single request.
pub(crate) const WINDOW_BYTES_MIN: u32 = EVENTS_MAX * EXCEPTION_SIZE as u32;
/// Digests that are remembered, so that a later entry can be compared with them.
pub(crate) const DIGESTS_REMEMBERED: usize = 64;
