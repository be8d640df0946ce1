//! `mizan bench`: transfers or order messages per second and their latency, against a node that is there or one of its own.
//!
//! Invariants: a figure is printed only if every balance came out exactly as acknowledged; the CPU time of the scratch
//! node is not taken for that of others; a scratch node and its files are gone afterwards.
//!
//! What is absent: the load itself, which is the load generator's.

mod orders;

use crate::Context;
use crate::args::BenchArgs;
use crate::error::CliError;
use crate::exit;
use crate::files::count_text;
use crate::null_server::NullServer;
use crate::output::{Output, Table};
use crate::scratch::{ScratchNode, ScratchOptions};
use crate::signals::Signals;
use crate::units::parse_duration;
use crate::verbs::{format, start};
use indicatif::ProgressBar;
use mizan_client::constants::CONNECT_TIMEOUT_DEFAULT;
use mizan_loadgen::constants::TRANSFERS_DEFAULT;
use mizan_loadgen::loopback::{self, LoopbackReport};
use mizan_loadgen::{BenchOptions, BenchReport, LoadError, Phase, Progress, Target, html};
use mizan_node::FormatOptions;
use mizan_wire::tag;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Where the run's accounts and transfers are: a ledger that people rarely choose.
const LEDGER: u32 = 999_999;
/// Room of the scratch node beyond what the run needs.
const SPARE: u64 = 1_000;
/// Requests in flight per connection of a closed loop, and of an open one at the most.
const IN_FLIGHT_CLOSED: u32 = 4;
const IN_FLIGHT_OPEN: u32 = 1_024;
/// Transfers of a closed loop that is ended by its duration, at the most: the scratch node has room for them.
const TRANSFERS_OF_DURATION: u64 = 10_000_000;

/// Runs the verb.
///
/// # Errors
/// A node that cannot be asked, balances that are not those that were acknowledged, no room.
pub fn run(context: &mut Context, args: &BenchArgs) -> Result<u8, CliError> {
    let signals = Signals::install()?;
    let mut options = options(context, args)?;
    if args.null {
        return run_null(context, args, &mut options, &signals);
    }
    let mut node = None;
    // Only the flag counts: a bench leaves its accounts behind, so a variable that is set for other verbs must not
    // lead it into a real ledger.
    if args.connect.address.is_none() {
        let scratch = start_scratch(context, args, &options, &signals)?;
        options.addresses = vec![scratch.address()];
        options.own_pids = scratch.process_id().into_iter().collect();
        node = Some(scratch);
    }
    let report = measure(&options, &context.output, &signals)?;
    if let Some(node) = &mut node {
        node.terminate()?;
    }
    write_page(args, &report, &[])?;
    if context.output.is_json() {
        context.output.json(&as_json(&report)?)?;
    } else {
        context.output.table(&table(&report, &[]))?;
    }
    Ok(if report.errors == 0 { exit::OK } else { exit::PROBLEM })
}

/// The same client against a server that does nothing, before and after it the same bytes over bare sockets.
fn run_null(
    context: &mut Context,
    args: &BenchArgs,
    options: &mut BenchOptions,
    signals: &Signals,
) -> Result<u8, CliError> {
    let raw_before = loopback::measure(options).map_err(load_error)?;
    let server = NullServer::start()?;
    options.addresses = vec![server.address()];
    options.cluster = 0;
    options.target = Target::Null;
    let report = measure(options, &context.output, signals)?;
    drop(server);
    let raw_after = loopback::measure(options).map_err(load_error)?;
    // The faster one, so that a disturbance never flatters.
    let is_slower = raw_after.bytes_per_s < raw_before.bytes_per_s;
    let raw = if is_slower { raw_before } else { raw_after };
    let figures = null_figures(&report, &raw);
    write_page(args, &report, &figures)?;
    if context.output.is_json() {
        let mut value = as_json(&report)?;
        value["bytes_per_s"] = json!(bytes_per_s(&report));
        value["loopback"] = json!(raw);
        value["loopback_ratio"] = json!(bytes_per_s(&report) / raw.bytes_per_s);
        context.output.json(&value)?;
    } else {
        context.output.table(&table(&report, &figures))?;
    }
    Ok(if report.errors == 0 { exit::OK } else { exit::PROBLEM })
}

fn bytes_per_s(report: &BenchReport) -> f64 {
    report.request_bytes as f64 / report.duration_s
}

fn null_figures(report: &BenchReport, raw: &LoopbackReport) -> Vec<(String, String)> {
    let megabytes = |bytes_per_s: f64| format!("{} MB/s", count_text((bytes_per_s / 1e6) as u64));
    let ratio = bytes_per_s(report) / raw.bytes_per_s;
    [
        ("server", "null: no ring, journal or engine".to_owned()),
        ("bytes of requests per second", megabytes(bytes_per_s(report))),
        ("the same over bare sockets", megabytes(raw.bytes_per_s)),
        ("ratio to bare sockets", format!("{:.0} %", ratio * 100.0)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn write_page(
    args: &BenchArgs,
    report: &BenchReport,
    facts: &[(String, String)],
) -> Result<(), CliError> {
    let Some(file) = &args.report else { return Ok(()) };
    let write = |file: &Path| std::fs::write(file, html::page(report, facts));
    write(file).map_err(|source| CliError::File {
        what: format!("cannot write the report {}", file.display()),
        source,
    })
}

fn options(context: &Context, args: &BenchArgs) -> Result<BenchOptions, CliError> {
    let settings = &context.settings;
    let seed = args.seed.unwrap_or_else(fresh_seed);
    let duration = match args.duration.as_deref().map(parse_duration) {
        None => None,
        Some(Ok(duration)) => Some(duration),
        Some(Err(text)) => return Err(CliError::Usage(format!("--duration: {text}"))),
    };
    let in_flight = if args.rate.is_some() { IN_FLIGHT_OPEN } else { IN_FLIGHT_CLOSED };
    Ok(BenchOptions {
        addresses: settings.addresses(args.connect.address.as_deref())?,
        cluster: settings.cluster(args.connect.cluster.as_deref())?,
        accounts: args.accounts,
        transfers: args.transfers.unwrap_or_else(|| transfers(args.rate, duration)),
        batch: args.batch,
        clients: args.clients,
        in_flight: args.in_flight.unwrap_or(in_flight),
        rate: args.rate,
        duration,
        ids: args.ids,
        distribution: args.dist,
        mix: args.mix,
        orders: orders::options(args)?,
        seed,
        ledger: LEDGER,
        request_timeout: settings.duration(
            crate::config::Key::RequestTimeout,
            args.connect.request_timeout.as_deref(),
            BenchOptions::default().request_timeout,
        )?,
        ..BenchOptions::default()
    })
}

/// How many transfers a run has that was not told.
fn transfers(rate: Option<u64>, duration: Option<Duration>) -> u64 {
    match (rate, duration) {
        (_, None) => TRANSFERS_DEFAULT,
        (None, Some(_)) => TRANSFERS_OF_DURATION,
        (Some(rate), Some(duration)) => {
            let events = u128::from(rate) * duration.as_nanos() / 1_000_000_000;
            u64::try_from(events).unwrap_or(u64::MAX).max(1)
        }
    }
}

/// A seed that nobody had before; it is short enough to be typed.
pub(crate) fn fresh_seed() -> u64 {
    let id = mizan_client::id();
    u64::from(tag(&id.to_le_bytes()) as u32)
}

fn start_scratch(
    context: &mut Context,
    args: &BenchArgs,
    options: &BenchOptions,
    signals: &Signals,
) -> Result<ScratchNode, CliError> {
    let layout = start::layout(&context.settings, args.layout.as_deref())?;
    let journal_io = format::journal_io(&context.settings, args.journal_io.as_deref())?;
    let mut limits = FormatOptions {
        journal_io,
        account_count_max: args.accounts.saturating_add(SPARE),
        // Holds that stay open have a place reserved for their ends: an eighth of the holds, and the last ones.
        transfer_count_max: options
            .transfers
            .saturating_add(SPARE)
            .saturating_add(if args.mix.two_phase == 0 { 0 } else { options.transfers / 4 }),
        // Of two batches that belong together one has holds.
        hold_count_max: if args.mix.two_phase == 0 { SPARE } else { options.transfers + SPARE },
        session_count_max: args.clients.saturating_add(16),
        ..FormatOptions::new("")
    };
    if let Some(told) = options.orders {
        orders::make_room(&mut limits, options, told)?;
    }
    let mut node = ScratchNode::format(ScratchOptions {
        limits,
        data: args.data.clone(),
        keep: args.data.is_some(),
        layout: layout.map(|layout| layout.name().to_owned()),
    })?;
    let ready = node.start(signals)?;
    context.output.note(format!(
        "scratch node at {} in {}, journal {}, ready in {} ms",
        node.address(),
        node.data().display(),
        journal_io.name(),
        ready.as_millis()
    ))?;
    Ok(node)
}

/// Runs the load on a thread of its own, so that a signal ends the verb at once.
pub(crate) fn measure(
    options: &BenchOptions,
    output: &Output,
    signals: &Signals,
) -> Result<BenchReport, CliError> {
    let bar = output.progress(0, "accounts");
    let (options, watched) = (options.clone(), bar.clone());
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let show = |progress: &Progress| show_progress(&watched, progress);
        // Nobody waits any more if the verb was asked to stop.
        let _ = sender.send(mizan_loadgen::run(&options, &show));
    });
    let result = loop {
        match receiver.recv_timeout(CONNECT_TIMEOUT_DEFAULT / 20) {
            Ok(result) => break result.map_err(load_error),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                if let Err(stopped) = signals.check() {
                    break Err(stopped);
                }
            }
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                break Err(CliError::Problem("the load ended by a fault of its own".to_owned()));
            }
        }
    };
    bar.finish_and_clear();
    result
}

fn show_progress(bar: &ProgressBar, progress: &Progress) {
    bar.set_message(match progress.phase {
        Phase::Accounts => "accounts",
        Phase::Transfers => "transfers",
        Phase::Verification => "checking balances",
    });
    bar.set_length(progress.total);
    bar.set_position(progress.done);
}

/// A failed run with the exit code that belongs to it.
pub(crate) fn load_error(error: LoadError) -> CliError {
    let text = error.to_string();
    match error {
        LoadError::Client { error, .. } => CliError::failed(exit::of_client_error(&error), text),
        LoadError::Options(_) => CliError::Usage(text),
        LoadError::AccountRefused { .. } => CliError::failed(exit::RESOURCE, text),
        _ => CliError::Problem(text),
    }
}

pub(crate) fn as_json(report: &BenchReport) -> Result<Value, CliError> {
    serde_json::to_value(report).map_err(|error| {
        CliError::Problem(format!("the report cannot be written as JSON: {error}"))
    })
}

fn table(report: &BenchReport, figures: &[(String, String)]) -> Table {
    let mut table = Table::new(&["bench", "value"], 1);
    let rows = [speed_rows(report), orders::rows(report), settings_rows(report)];
    for (name, value) in rows.into_iter().flatten() {
        table.row([name.to_owned(), value]);
    }
    for (name, value) in figures {
        table.row([name.clone(), value.clone()]);
    }
    for (status, count) in &report.error_statuses {
        table.row([format!("  {status}"), count_text(*count)]);
    }
    table
}

fn speed_rows(report: &BenchReport) -> Vec<(&'static str, String)> {
    let latency = &report.latency_us;
    let (speed, per_s, refused) = match &report.orders {
        None => ("transfers per second", report.transfers_per_s, "not created"),
        Some(orders) => ("order messages per second", orders.messages_per_s, "refused"),
    };
    let mut rows = vec![
        (speed, count_text(per_s as u64)),
        ("acknowledged", count_text(report.acknowledged)),
        (refused, count_text(report.errors)),
        ("duration", format!("{:.3} s", report.duration_s)),
        ("batch latency p50", format!("{} us", count_text(latency.p50))),
        ("batch latency p90", format!("{} us", count_text(latency.p90))),
        ("batch latency p99", format!("{} us", count_text(latency.p99))),
        ("batch latency p999", format!("{} us", count_text(latency.p999))),
        ("batch latency max", format!("{} us", count_text(latency.max))),
    ];
    match report.rate {
        None => rows.push(("loop", "closed: latency from submission".to_owned())),
        Some(rate) => {
            let text = format!("open at {}/s: latency from intended time", count_text(rate));
            rows.push(("loop", text));
        }
    }
    if let Some(delay) = &report.send_delay_us {
        rows.push(("left late by p99", format!("{} us", count_text(delay.p99))));
    }
    if report.failed_as_meant > 0 {
        rows.push(("failed as they were meant to", count_text(report.failed_as_meant)));
    }
    if report.lookups > 0 {
        rows.push(("accounts looked up", count_text(report.lookups)));
    }
    rows
}

fn settings_rows(report: &BenchReport) -> Vec<(&'static str, String)> {
    let balances = if report.balances_compared { "as acknowledged" } else { "none are kept" };
    vec![
        ("accounts", format!("{}, {}", count_text(report.accounts), report.distribution.name())),
        ("ids", report.ids.name().to_owned()),
        ("mix", report.mix.clone()),
        ("events in a batch", count_text(report.batch.into())),
        ("clients", count_text(report.clients.into())),
        ("batches in flight per client", count_text(report.in_flight.into())),
        ("seed", report.seed.to_string()),
        ("cpus", report.machine.cpus.to_string()),
        ("cpu time of other processes", share_text(report.machine.others_cpu_share)),
        ("balances", balances.to_owned()),
    ]
}

fn share_text(share: Option<f64>) -> String {
    share.map_or_else(|| "unknown".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_client::ClientError;

    #[test]
    fn fresh_seeds_differ() {
        let seeds: std::collections::BTreeSet<u64> = (0..100).map(|_| fresh_seed()).collect();
        assert!(seeds.len() > 95, "{seeds:?}");
    }

    #[test]
    fn a_failed_run_keeps_the_exit_code_of_its_cause() {
        let address = "127.0.0.1:1".parse().expect("an address");
        let error = ClientError::Unreachable(address, "refused".to_owned());
        let error = load_error(LoadError::Client { what: "no connection", error });
        assert_eq!(error.exit_code(), exit::UNREACHABLE);
        assert_eq!(load_error(LoadError::Options("x".to_owned())).exit_code(), exit::USAGE);
    }
}
