//! A node under adverse conditions: slow, full and broken storage, full rings, interrupted beginnings.

mod common;
mod faults;
mod load;
mod recovery;
