//! What came of a run.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;

/// What came of a run whose balances were found as acknowledged.
#[derive(Clone, Debug, Serialize)]
pub struct BenchReport {
    /// Created transfers per second, from the first submission to the last reply.
    pub transfers_per_s: f64,
    /// Transfers that the node answered as created.
    pub acknowledged: u64,
    /// Transfers that it answered otherwise, or whose request it refused.
    pub errors: u64,
    /// Those by the name of their status.
    pub error_statuses: BTreeMap<String, u64>,
    /// Transfers whose reply never came; whether they were created was looked up afterwards.
    pub unknown: u64,
    /// Batches whose reply came again because the first did not arrive.
    pub replayed_batches: u64,
    /// From the submission of a batch to its reply, in microseconds.
    pub latency_us: LatencyUs,
    /// The seed that repeats this run.
    pub seed: u64,
    /// Transfers in one request.
    pub batch: u32,
    /// Clients.
    pub clients: u32,
    /// Batches that each client kept in flight.
    pub in_flight: u32,
    /// Accounts between which money moved.
    pub accounts: u64,
    /// Transfers that were asked for.
    pub transfers: u64,
    /// From the first submission to the last reply, in seconds.
    pub duration_s: f64,
    /// Where this was measured.
    pub machine: Machine,
}

/// Percentiles of a latency, in microseconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct LatencyUs {
    /// Half of all batches were answered within this.
    pub p50: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1,000.
    pub p999: u64,
    /// All.
    pub max: u64,
}

/// The machine during the run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Machine {
    /// CPUs that the load generator may use.
    pub cpus: usize,
    /// Share of all CPU time that went to processes other than this one and the ones given as own, from 0 to 1;
    /// `None` where it cannot be read.
    pub others_cpu_share: Option<f64>,
}

impl LatencyUs {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }
}
