//! Load for a node, and what came of it: the engine behind the benchmark.
//!
//! [`run`] creates accounts, drives a number of clients in a closed loop (each keeps so many batches in flight, and
//! submits the next when one is answered), and then looks every account up and compares its balances with what was
//! acknowledged.
//!
//! Invariants: batch number *n* of a run has the same content whoever sends it and whenever; every result of every
//! reply is looked at; a figure is only reported for a run whose balances came out exactly.
//!
//! What is absent: a server, and any knowledge of what the transfers mean. A closed loop waits while the node stalls,
//! so its latencies say nothing about requests that would have come in the meantime.
#![forbid(unsafe_code)]

pub mod constants;
pub mod random;

mod accounts;
mod created;
mod driver;
mod error;
mod machine;
mod observer;
mod options;
mod report;
mod run;
mod workload;

pub use error::LoadError;
pub use observer::{Acknowledged, Observer, Phase, Progress};
pub use options::BenchOptions;
pub use report::{BenchReport, LatencyUs, Machine};
pub use run::run;
pub use workload::{UniformTransfers, Workload};
