//! The tests of `cluster`, all of them, on nodes whose journals are written directly.

#[path = "cluster/main.rs"]
mod cluster;

pub(crate) use cluster::{alarms, fixture, promote, said, settle};
