//! A node under adverse conditions: slow, full and broken storage, full rings, interrupted beginnings.

mod alarms;
mod clock;
mod common;
mod direct;
mod faults;
mod hangs;
mod load;
mod recovery;
#[path = "../shared/said.rs"]
mod said;
mod scrub;
