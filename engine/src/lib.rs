//! The deterministic core: ledger, sessions, digest.
#![forbid(unsafe_code)]
