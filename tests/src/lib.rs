//! What the end-to-end tests share.
#![forbid(unsafe_code)]

pub mod binary;
pub mod ledger;
pub mod proxy;
pub mod raw;
pub mod recorder;
