//! The few things about memory that safe Rust cannot say: prefetch, a look at several bytes at once, vectors whose
//! pages are there before use, and words that other processes may read.
//!
//! Invariants: nothing here changes the meaning of a program, only when it waits for memory and who else may look.
//! What is absent: any idea of what the memory holds.

mod bytes;
mod counters;
mod prefetch;
mod reserve;

pub use bytes::{BYTES_AT_ONCE, matching_bytes};
pub use counters::{CountersReader, MappedCounters, counters_size};
pub use prefetch::{prefetch_index, prefetch_lines, prefetch_push, prefetch_read};
pub use reserve::{reserve_touched, reserve_touched_within};
