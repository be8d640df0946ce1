//! Every limit and default of the ring, in one place.

/// Most cells that a ring may have: 2^30, 128 GiB of 128-byte cells, far above any machine this is meant for.
pub const CAPACITY_MAX: usize = 1 << 30;

/// Alignment of the first cell, in bytes: two cache lines, because the adjacent-line prefetcher of x86-64
/// pulls lines in pairs, so that producer and consumer do not share a pair at a cell boundary.
pub const CELL_ALIGNMENT: usize = 128;

/// Spins of the default [`IdleStrategy`](crate::IdleStrategy), about a microsecond in all.
pub const DEFAULT_SPINS: u32 = 32;

/// Yields of the default [`IdleStrategy`](crate::IdleStrategy). A `sched_yield` takes about 0.4 us here and
/// a futex wake about 20 us: yielding longer than a wake costs only steals time from the other stages.
pub const DEFAULT_YIELDS: u32 = 48;
