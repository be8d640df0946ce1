//! The durable log: mmap segments, group commit, recovery.
#![forbid(unsafe_code)]
