//! Every limit of the books in one place. What an instrument can choose is in `mizan_wire::orders::BookRules`.

/// Stands for "no order" and "no level" in links; counts stay below it (`BookRules::check`).
pub(crate) const NONE: u32 = u32::MAX;
/// Rungs of a chunk of a ladder.
pub(crate) const CHUNK_RUNGS: usize = 32;
/// Keys that share a cache line.
pub(crate) const LINE_KEYS: usize = 8;

const _: () = assert!(CHUNK_RUNGS.is_multiple_of(LINE_KEYS));
