//! `mizan sim`: clusters from seeds, under faults, judged.
//!
//! Invariants: the same arguments give the same sums, however many seeds are played at a time; a seed that breaks a
//! promise is named with the line that repeats it.
//!
//! What is absent: the simulation itself, which is the simulator's.

use crate::Context;
use crate::args::SimArgs;
use crate::error::CliError;
use crate::exit;
use crate::files::count_text;
use crate::output::{Output, Table};
use indicatif::ProgressBar;
use mizan_sim::{Failure, Options, Totals, run, run_logged};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// What the seeds came to.
struct Outcome {
    totals: Totals,
    /// In the order of their seeds.
    failures: Vec<Failure>,
}

/// Runs the verb; exit 1 if a seed broke a promise.
///
/// # Errors
/// A stream cannot be written.
pub fn run_sim(context: &mut Context, args: &SimArgs) -> Result<u8, CliError> {
    let outcome = if args.log {
        play_logged(&mut context.output, args)?
    } else {
        let bar = context.output.progress(args.seeds, "seeds");
        let outcome = play(args, &bar);
        bar.finish_and_clear();
        outcome
    };
    for failure in &outcome.failures {
        context.output.note(failure.to_string())?;
    }
    if context.output.is_json() {
        context.output.json(&as_json(&outcome))?;
    } else {
        context.output.table(&table(&outcome.totals))?;
    }
    Ok(if outcome.failures.is_empty() { exit::OK } else { exit::PROBLEM })
}

fn options(args: &SimArgs, seed: u64) -> Options {
    let policy = args.policy.map(Into::into);
    Options { node_count: args.nodes, policy, ..Options::new(seed) }
}

fn play(args: &SimArgs, bar: &ProgressBar) -> Outcome {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or(processors, usize::from);
    let next = AtomicU64::new(0);
    let mut outcome = Outcome { totals: Totals::default(), failures: Vec::new() };
    thread::scope(|scope| {
        let work = || {
            let mut part = Outcome { totals: Totals::default(), failures: Vec::new() };
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= args.seeds {
                    break;
                }
                let played = run(&options(args, args.first + number));
                part.totals.add(&played);
                part.failures.extend(played.err().map(|failure| *failure));
                bar.inc(1);
            }
            part
        };
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let part = worker.join().expect("invariant: a panic aborts the process");
            outcome.totals.merge(&part.totals);
            outcome.failures.extend(part.failures);
        }
    });
    outcome.failures.sort_by_key(|failure| failure.seed);
    outcome
}

fn play_logged(output: &mut Output, args: &SimArgs) -> Result<Outcome, CliError> {
    let (played, log) = run_logged(&options(args, args.first));
    log.iter().try_for_each(|line| output.note(line))?;
    let mut totals = Totals::default();
    totals.add(&played);
    Ok(Outcome { totals, failures: played.err().map(|failure| *failure).into_iter().collect() })
}

fn table(totals: &Totals) -> Table {
    let report = &totals.report;
    let mut table = Table::new(&["what", "count"], 1);
    let rows = [
        ("seeds", totals.seeds),
        ("seeds that broke a promise", totals.failed),
        ("ends of processes", report.crashes),
        ("of these, kills", report.kills),
        ("of these, losses of power", report.power_losses),
        ("promotions", report.promotions),
        ("candidates disturbed on purpose", report.contests),
        ("candidates whose process ended", report.candidates_ended),
        ("candidates cut off", report.candidates_cut),
        ("promotions while another node stood", report.rivals),
        ("logs cut back", report.cuts),
        ("disks damaged", report.damages),
        ("disks replaced", report.wipes),
        ("losses accepted by the operator", report.losses_accepted),
        ("entries that connections are lost", report.connections_lost),
        ("writes acknowledged", report.acknowledged),
        ("reads answered", report.reads),
        ("lost", totals.lost),
        ("doubled", totals.doubled),
        ("states that differ", totals.diverged),
    ];
    rows.iter().for_each(|(name, count)| table.row([(*name).to_owned(), count_text(*count)]));
    table
}

fn as_json(outcome: &Outcome) -> Value {
    let (totals, report) = (&outcome.totals, &outcome.totals.report);
    let failures: Vec<Value> = outcome
        .failures
        .iter()
        .map(|failure| {
            json!({
                "seed": failure.seed,
                "reason": failure.violation.to_string(),
                "repeat": failure.repeat_line(),
            })
        })
        .collect();
    json!({
        "seeds": totals.seeds,
        "failed": totals.failed,
        "crashes": report.crashes,
        "kills": report.kills,
        "power_losses": report.power_losses,
        "promotions": report.promotions,
        "candidates_disturbed": report.contests,
        "candidates_ended": report.candidates_ended,
        "candidates_cut": report.candidates_cut,
        "rival_promotions": report.rivals,
        "connections_lost": report.connections_lost,
        "acknowledged": report.acknowledged,
        "reads": report.reads,
        "cut_backs": report.cuts,
        "new_disks": report.wipes,
        "damages": report.damages,
        "losses_accepted": report.losses_accepted,
        "lost": totals.lost,
        "doubled": totals.doubled,
        "digests_equal": totals.diverged == 0,
        "failures": failures,
    })
}
