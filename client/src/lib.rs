//! The Rust client.
#![forbid(unsafe_code)]
