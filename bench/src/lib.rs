//! Benchmarks of the rooms on the hot path.
#![forbid(unsafe_code)]
