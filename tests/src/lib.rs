//! End-to-end tests and drills.
#![forbid(unsafe_code)]
