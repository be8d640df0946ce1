//! What came of a run.

use crate::orders::OrderFigures;
use crate::timeline::Timeline;
use crate::{Distribution, IdOrder};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;

/// What came of a run whose balances were found as acknowledged.
#[derive(Clone, Debug, Serialize)]
pub struct BenchReport {
    /// Created transfers per second, from the first submission to the last reply.
    pub transfers_per_s: f64,
    /// Transfers that the node answered as created; order messages that it executed.
    pub acknowledged: u64,
    /// Transfers that it answered otherwise than it should, or whose request it refused.
    pub errors: u64,
    /// Those by the name of their status.
    pub error_statuses: BTreeMap<String, u64>,
    /// Transfers that were meant to fail, and did with the right status.
    pub failed_as_meant: u64,
    /// Accounts that were looked up among the transfers.
    pub lookups: u64,
    /// Transfers whose reply never came; whether they were created was looked up afterwards.
    pub unknown: u64,
    /// Batches whose reply came again because the first did not arrive.
    pub replayed_batches: u64,
    /// From the submission of a batch (closed loop) or from its intended time (open loop) to its reply, in microseconds.
    pub latency_us: LatencyUs,
    /// The same at many more quantiles, ascending.
    pub latency_curve: Vec<CurvePoint>,
    /// How much later than intended batches left, for whatever reason; `None` in a closed loop.
    pub send_delay_us: Option<LatencyUs>,
    /// What was answered when.
    pub timeline: Vec<TimelinePoint>,
    /// Events per second that an open loop was to reach; `None` for a closed loop.
    pub rate: Option<u64>,
    /// The seed that repeats this run.
    pub seed: u64,
    /// Transfers in one request.
    pub batch: u32,
    /// Clients.
    pub clients: u32,
    /// Batches that each client kept in flight, or at the most.
    pub in_flight: u32,
    /// Accounts between which money moved.
    pub accounts: u64,
    /// Transfers that were asked for, or the most that a run with a duration might have made.
    pub transfers: u64,
    /// The order of ids.
    pub ids: IdOrder,
    /// Which accounts took part.
    pub distribution: Distribution,
    /// Of what sorts the batches were.
    pub mix: String,
    /// Whether every balance was compared with what was acknowledged; a null server has none.
    pub balances_compared: bool,
    /// From the start to the last reply, in seconds.
    pub duration_s: f64,
    /// Bytes of requests, headers included, that were answered.
    pub request_bytes: u64,
    /// What came of an order workload; `None` if transfers were made.
    pub orders: Option<OrderFigures>,
    /// Where this was measured.
    pub machine: Machine,
}

/// Percentiles of a latency, in microseconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct LatencyUs {
    /// Half of all batches were answered within this.
    pub p50: u64,
    /// 90 of 100.
    pub p90: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1,000.
    pub p999: u64,
    /// All.
    pub max: u64,
}

/// A point of the curve of percentiles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// This share of all batches, from 0 to 1,
    pub quantile: f64,
    /// was answered within this time.
    pub latency_us: u64,
}

/// A slot of the run's time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TimelinePoint {
    /// The slot's end, since the start.
    pub until_s: f64,
    /// Events that were answered in it, per second.
    pub events_per_s: f64,
    /// The longest latency among them; 0 if nothing was answered.
    pub latency_us_max: u64,
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
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }
}

/// The curve as far as the number of batches carries it: no quantile beyond the last batch.
pub(crate) fn curve(histogram: &Histogram<u64>) -> Vec<CurvePoint> {
    let mut points: Vec<CurvePoint> = Vec::new();
    if histogram.is_empty() {
        return points;
    }
    // Ten points for each further nine, which lie evenly on the axis that is usual for this curve.
    for step in 0..=60 {
        let beyond = 10_f64.powf(-f64::from(step) / 10.0);
        if beyond * (histogram.len() as f64) < 1.0 {
            break;
        }
        let quantile = 1.0 - beyond;
        points.push(CurvePoint { quantile, latency_us: histogram.value_at_quantile(quantile) });
    }
    points.push(CurvePoint { quantile: 1.0, latency_us: histogram.max() });
    points
}

/// The slots of a run that lasted so long: the last slot is as wide as the run's rest.
pub(crate) fn timeline(timeline: &Timeline, duration_s: f64) -> Vec<TimelinePoint> {
    let width_s = timeline.slot_ns as f64 / 1e9;
    let mut points: Vec<TimelinePoint> = Vec::new();
    for (slot, number) in timeline.slots.iter().zip(0_u32..) {
        let from_s = f64::from(number) * width_s;
        let until_s = (from_s + width_s).min(duration_s.max(from_s + width_s / 1e3));
        let events_per_s = slot.events as f64 / (until_s - from_s);
        points.push(TimelinePoint { until_s, events_per_s, latency_us_max: slot.latency_us_max });
    }
    points
}
