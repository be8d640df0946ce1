//! The few things about memory that safe Rust cannot say: prefetch, and vectors whose pages are there before use.
//!
//! Invariants: nothing here changes the meaning of a program, only when it waits for memory. What is absent: any
//! idea of what the memory holds.

mod prefetch;
mod reserve;

pub use prefetch::{prefetch_index, prefetch_read};
pub use reserve::reserve_touched;
