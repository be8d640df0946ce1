//! Every limit of the engine in one place. Those of records and protocol are in `mizan_wire::limits`.

use mizan_wire::limits::EVENTS_MAX;

/// Accounts that a genesis may ask for: slots are 32 bits wide, the top bit is kept free.
pub(crate) const ACCOUNT_COUNT_MAX: u64 = 1 << 31;
/// Transfers and burnt ids that a genesis may ask for: the top bit of a slot tells the two apart.
pub(crate) const TRANSFER_COUNT_MAX: u64 = 1 << 31;
/// Ledgers that a genesis may ask for: all rows of a trial balance fit into one reply.
pub(crate) const LEDGER_COUNT_MAX: u32 = 4_000;
/// Codes that a genesis may ask for: all of them fit into one reply.
pub(crate) const CODE_COUNT_MAX: u32 = 8_000;
/// Sessions that a genesis may ask for.
pub(crate) const SESSION_COUNT_MAX: u32 = 65_535;
/// Stored replies of a session that a genesis may ask for.
pub(crate) const WINDOW_REQUESTS_MAX: u32 = 65_536;
/// The smallest window in bytes: one request whose every event fails must fit.
pub(crate) const WINDOW_BYTES_MIN: u32 = EVENTS_MAX * 16;
/// The smallest window in bytes of a node with trading: one request of orders must fit.
pub(crate) const WINDOW_BYTES_TRADING_MIN: u32 = EVENTS_MAX * 64;
/// Digests that are remembered to be compared with later log entries.
pub(crate) const DIGESTS_REMEMBERED: usize = 64;

/// Entries of a bucket of the id table: with their tags they fill one cache line.
pub(crate) const BUCKET_PLACES: usize = 12;
/// Entries per bucket when the table is full: 1 in 16 buckets overflows into the next.
pub(crate) const BUCKET_LOAD: usize = 8;

/// Events between the first look at an event's ids and its execution. Two cache misses take about 200 ns.
pub(crate) const LOOK_AHEAD_IDS: usize = 16;
/// Events between the fetch of an event's records and its execution.
pub(crate) const LOOK_AHEAD_RECORDS: usize = 8;
/// Events between the fetch of a named pending transfer's accounts and the event's execution.
pub(crate) const LOOK_AHEAD_PENDING: usize = 4;
/// Size of the ring of looked-up events: a power of two above the look-ahead.
pub(crate) const LOOK_AHEAD_RING: usize = 32;

/// Events of a request that are looked at before the request's turn: those that its own look-ahead comes late for.
pub(crate) const LOOK_AHEAD_OF_REQUEST: usize = LOOK_AHEAD_RECORDS;

/// Steps that one event of a chain can leave in the undo log: four sums, two flags, a hold, a record.
pub(crate) const UNDO_STEPS_PER_EVENT: usize = 8;

const _: () = {
    assert!(LOOK_AHEAD_RING.is_power_of_two() && LOOK_AHEAD_RING > LOOK_AHEAD_IDS);
    assert!(LOOK_AHEAD_IDS > LOOK_AHEAD_RECORDS && LOOK_AHEAD_RECORDS > LOOK_AHEAD_PENDING);
    assert!(BUCKET_LOAD < BUCKET_PLACES);
};
