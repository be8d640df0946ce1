//! A node under adverse conditions: slow, full and broken storage, full rings, interrupted beginnings.

mod clock;
mod common;
mod direct;
mod faults;
mod load;
mod recovery;
mod scrub;
