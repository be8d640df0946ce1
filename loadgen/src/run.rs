//! A run from its first account to its report.

use crate::accounts::Opening;
use crate::driver::{Driver, Lane, Shared};
use crate::machine::CpuReading;
use crate::report::{self, BenchReport, LatencyUs, Machine};
use crate::schedule::Schedule;
use crate::tally::{Tally, Truth};
use crate::{BenchOptions, LoadError, Observer, Target, Workload, accounts, orders};
use mizan_client::Client;
use mizan_wire::limits::HEADER_SIZE;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Creates accounts, makes transfers between them, checks the balances, and reports.
///
/// Blocks until done; the transfers are driven by threads of their own if there are several, else by this one. Memory:
/// 64 bytes per account (144 while balances are compared), a bit per transfer and thread. All sessions are closed.
///
/// # Errors
/// Options that contradict themselves or the node; a client that could not go on; an answer that no right node gives;
/// balances that are not those that were acknowledged. A refused transfer is no error: it is counted in the report.
pub fn run(options: &BenchOptions, observer: &dyn Observer) -> Result<BenchReport, LoadError> {
    options.check()?;
    if let Some(orders) = options.orders {
        return orders::run(options, orders, observer);
    }
    let workload = Workload::new(options);
    let mut client = connect(options)?;
    if client.events_max() < options.batch {
        let max = client.events_max();
        let text = format!("the node takes at most {max} transfers in one request");
        return Err(LoadError::Options(text));
    }
    let opening = match options.target {
        Target::Node => accounts::open(&mut client, options, &workload, observer)?,
        Target::Null => Opening::default(),
    };
    let opened = &opening.balances;
    let truth = Truth { options, workload: &workload, opening: opened, orders: None };
    let mut measured = measure(truth, observer)?;
    let tally = &mut measured.tally;
    let acknowledged = tally.created.count();
    if options.target == Target::Node {
        for batch_index in &tally.unknown_batches {
            accounts::resolve(&mut client, options, &workload, *batch_index, &mut tally.created)?;
        }
        accounts::verify(&mut client, options, &workload, opening, &tally.created, observer)?;
    }
    client.close().map_err(LoadError::client("a session could not be closed"))?;
    let lookups = measured.tally.lookups;
    let bytes = (measured.events - lookups) * 128 + lookups * 16;
    Ok(report(options, &measured, acknowledged, bytes))
}

/// What the drivers found, and how long they took.
pub(crate) struct Measured {
    pub(crate) tally: Tally,
    pub(crate) duration: Duration,
    events: u64,
    others_cpu_share: Option<f64>,
}

/// Drives all clients through the run, and closes their sessions.
pub(crate) fn measure(truth: Truth<'_>, observer: &dyn Observer) -> Result<Measured, LoadError> {
    let options = truth.options;
    let lanes = lanes(options)?;
    let before = CpuReading::take(&options.own_pids);
    let shared = Shared {
        truth,
        observer,
        schedule: Schedule::new(options),
        started: Instant::now(),
        events_done: AtomicU64::new(0),
        is_cancelled: AtomicBool::new(false),
    };
    let (tally, lanes) = drive(&shared, lanes)?;
    let duration = shared.started.elapsed();
    let events = shared.events_done.into_inner();
    let after = CpuReading::take(&options.own_pids);
    let others_cpu_share =
        before.zip(after).and_then(|(before, after)| before.others_share(&after));
    // A closed session executes nothing any more, so what is looked up afterwards is final.
    for lane in lanes {
        lane.client.close().map_err(LoadError::client("a session could not be closed"))?;
    }
    Ok(Measured { tally, duration, events, others_cpu_share })
}

pub(crate) fn connect(options: &BenchOptions) -> Result<Client, LoadError> {
    Client::connect(options.client_config()).map_err(LoadError::client("no connection"))
}

/// The clients of each thread, dealt out in turn.
fn lanes(options: &BenchOptions) -> Result<Vec<Vec<Lane>>, LoadError> {
    let threads = options.driver_threads.min(options.clients);
    let mut lanes: Vec<Vec<Lane>> = (0..threads).map(|_| Vec::new()).collect();
    for client_index in 0..options.clients {
        let lane = Lane::new(client_index, connect(options)?);
        lanes[(client_index % threads) as usize].push(lane);
    }
    Ok(lanes)
}

fn drive(shared: &Shared<'_>, mut lanes: Vec<Vec<Lane>>) -> Result<(Tally, Vec<Lane>), LoadError> {
    let drive_one = |lanes| {
        let result = Driver::new(shared, lanes).run();
        if result.is_err() {
            shared.is_cancelled.store(true, Ordering::Relaxed);
        }
        result
    };
    if lanes.len() == 1 {
        return drive_one(lanes.remove(0));
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            lanes.into_iter().map(|lanes| scope.spawn(|| drive_one(lanes))).collect();
        let mut tally = Tally::new();
        let mut all_lanes = Vec::new();
        let mut failure = None;
        for thread in threads {
            match thread.join() {
                Ok(Ok((tally_of_one, lanes))) => {
                    tally.merge(tally_of_one);
                    all_lanes.extend(lanes);
                }
                Ok(Err(error)) => failure = Some(error),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        failure.map_or(Ok((tally, all_lanes)), Err)
    })
}

/// What every run has to report. `body_bytes` are those of the requests that were answered, without headers.
pub(crate) fn report(
    options: &BenchOptions,
    measured: &Measured,
    acknowledged: u64,
    body_bytes: u64,
) -> BenchReport {
    let tally = &measured.tally;
    let unknown = tally.unknown_batches.iter().map(|index| u64::from(options.batch_size(*index)));
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let duration_s = measured.duration.as_secs_f64();
    let bytes = tally.latency.len() * HEADER_SIZE as u64;
    BenchReport {
        transfers_per_s: acknowledged as f64 / duration_s,
        acknowledged,
        errors: tally.error_statuses.values().sum(),
        error_statuses: tally.error_statuses.clone(),
        failed_as_meant: tally.failed_as_meant,
        lookups: tally.lookups,
        unknown: unknown.sum(),
        replayed_batches: tally.replayed_batches,
        latency_us: LatencyUs::of(&tally.latency),
        latency_curve: report::curve(&tally.latency),
        send_delay_us: options.rate.map(|_| LatencyUs::of(&tally.send_delay)),
        timeline: report::timeline(&tally.timeline, duration_s),
        rate: options.rate,
        seed: options.seed,
        batch: options.batch,
        clients: options.clients,
        in_flight: options.in_flight,
        accounts: options.accounts,
        transfers: options.transfers,
        ids: options.ids,
        distribution: options.distribution,
        mix: options.mix.to_string(),
        balances_compared: options.target == Target::Node,
        duration_s,
        request_bytes: bytes + body_bytes,
        orders: None,
        machine: Machine { cpus, others_cpu_share: measured.others_cpu_share },
    }
}
