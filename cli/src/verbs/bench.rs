//! `mizan bench`: transfers per second and their latency, against a node that is there or one of its own.
//!
//! Invariants: a figure is printed only if every balance came out exactly as acknowledged; the CPU time of the scratch
//! node is not taken for that of others; a scratch node and its files are gone afterwards.
//!
//! What is absent: an open loop. The clients wait for the node, so a stall of the node delays what comes after it
//! instead of being counted for every request that would have come meanwhile.

use crate::Context;
use crate::args::BenchArgs;
use crate::error::CliError;
use crate::exit;
use crate::files::count_text;
use crate::output::{Output, Table};
use crate::scratch::{ScratchNode, ScratchOptions};
use crate::signals::Signals;
use crate::verbs::{format, start};
use indicatif::ProgressBar;
use mizan_client::constants::CONNECT_TIMEOUT_DEFAULT;
use mizan_loadgen::{BenchOptions, BenchReport, LoadError, Phase, Progress};
use mizan_node::FormatOptions;
use mizan_wire::checksum;
use serde_json::Value;

/// Where the run's accounts and transfers are: a ledger that people rarely choose.
const LEDGER: u32 = 999_999;
/// Holds and spare transfers of the scratch node: a bench has none, but limits begin at 1.
const SPARE: u64 = 1_000;

/// Runs the verb.
///
/// # Errors
/// A node that cannot be asked, balances that are not those that were acknowledged, no room.
pub fn run(context: &mut Context, args: &BenchArgs) -> Result<u8, CliError> {
    let signals = Signals::install()?;
    let mut options = options(context, args)?;
    let mut node = None;
    // Only the flag counts: a bench leaves its accounts behind, so a variable that is set for other verbs must not
    // lead it into a real ledger.
    if args.connect.address.is_none() {
        let scratch = start_scratch(context, args, &signals)?;
        options.addresses = vec![scratch.address()];
        options.own_pids = scratch.process_id().into_iter().collect();
        node = Some(scratch);
    }
    let report = measure(&options, &context.output, &signals)?;
    if let Some(node) = &mut node {
        node.terminate()?;
    }
    if context.output.is_json() {
        context.output.json(&as_json(&report)?)?;
    } else {
        context.output.table(&table(&report))?;
    }
    Ok(if report.errors == 0 { exit::OK } else { exit::PROBLEM })
}

fn options(context: &Context, args: &BenchArgs) -> Result<BenchOptions, CliError> {
    let settings = &context.settings;
    let seed = args.seed.unwrap_or_else(fresh_seed);
    Ok(BenchOptions {
        addresses: settings.addresses(args.connect.address.as_deref())?,
        cluster: settings.cluster(args.connect.cluster.as_deref())?,
        accounts: args.accounts,
        transfers: args.transfers,
        batch: args.batch,
        clients: args.clients,
        in_flight: args.in_flight,
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

/// A seed that nobody had before; it is short enough to be typed.
pub(crate) fn fresh_seed() -> u64 {
    let id = mizan_client::id();
    u64::from(checksum(&id.to_le_bytes()) as u32)
}

fn start_scratch(
    context: &mut Context,
    args: &BenchArgs,
    signals: &Signals,
) -> Result<ScratchNode, CliError> {
    let layout = start::layout(&context.settings, args.layout.as_deref())?;
    let journal_io = format::journal_io(&context.settings, args.journal_io.as_deref())?;
    let limits = FormatOptions {
        journal_io,
        account_count_max: args.accounts.saturating_add(SPARE),
        transfer_count_max: args.transfers.saturating_add(SPARE),
        hold_count_max: SPARE,
        session_count_max: args.clients.saturating_add(16),
        ..FormatOptions::new("")
    };
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

fn table(report: &BenchReport) -> Table {
    let mut table = Table::new(&["bench", "value"], 1);
    let latency = &report.latency_us;
    for (name, value) in [
        ("transfers per second", count_text(report.transfers_per_s as u64)),
        ("acknowledged", count_text(report.acknowledged)),
        ("not created", count_text(report.errors)),
        ("duration", format!("{:.3} s", report.duration_s)),
        ("batch latency p50", format!("{} us", count_text(latency.p50))),
        ("batch latency p99", format!("{} us", count_text(latency.p99))),
        ("batch latency p999", format!("{} us", count_text(latency.p999))),
        ("batch latency max", format!("{} us", count_text(latency.max))),
        ("accounts", count_text(report.accounts)),
        ("transfers in a batch", count_text(report.batch.into())),
        ("clients", count_text(report.clients.into())),
        ("batches in flight per client", count_text(report.in_flight.into())),
        ("seed", report.seed.to_string()),
        ("cpus", report.machine.cpus.to_string()),
        ("cpu time of other processes", share_text(report.machine.others_cpu_share)),
        ("balances", "as acknowledged".to_owned()),
    ] {
        table.row([name.to_owned(), value]);
    }
    for (status, count) in &report.error_statuses {
        table.row([format!("  {status}"), count_text(*count)]);
    }
    table
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
