//! What the benchmarks share: ledgers and their batches, rings, frames; and the gate of instruction counts.
//!
//! Invariants: everything here is made from fixed seeds, so two runs of a benchmark execute the same instructions; every
//! benchmark checks that what it measures did its work.
#![forbid(unsafe_code)]

pub mod book;
pub mod counts;
pub mod frames;
mod ledger;
pub mod market;
pub mod request;
pub mod spans;

pub use ledger::{Ledger, Spread};
