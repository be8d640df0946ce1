//! Load for a node, and what came of it: the engine behind the benchmark.
//!
//! [`run`] creates accounts, drives a number of clients, and then looks every account up and compares its balances with
//! what was acknowledged. In a closed loop each client keeps so many batches in flight, and submits the next when one is
//! answered; in an open loop batches leave on a fixed schedule. [`loopback::measure`] moves the same bytes over bare
//! sockets, and [`html::page`] draws what came of it.
//!
//! Invariants: batch number *n* of a run has the same content whoever sends it and whenever; every result of every
//! reply is looked at; a figure is only reported for a run whose balances came out exactly; in an open loop a latency
//! counts from the time at which a batch was to leave, so that a stall is counted for every batch that it delayed.
//!
//! What is absent: a server. A closed loop waits while the node stalls, so its latencies say nothing about requests
//! that would have come in the meantime.
#![forbid(unsafe_code)]

pub mod constants;
pub mod html;
pub mod loopback;
pub mod random;
pub mod zipf;

mod accounts;
mod balances;
mod created;
mod distribution;
mod driver;
mod error;
mod html_chart;
mod ids;
mod machine;
mod mix;
mod observer;
mod options;
mod orders;
mod report;
mod run;
mod schedule;
mod tally;
mod timeline;
mod workload;

pub use distribution::Distribution;
pub use error::LoadError;
pub use ids::IdOrder;
pub use mix::{BatchKind, Mix};
pub use observer::{Acknowledged, Observer, Phase, Progress};
pub use options::{BenchOptions, Target};
pub use orders::{OrderFigures, OrderOptions, OrderRoom};
pub use report::{BenchReport, CurvePoint, LatencyUs, Machine, TimelinePoint};
pub use run::run;
pub use workload::Workload;
