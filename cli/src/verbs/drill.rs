//! `mizan drill`: breaks scratch clusters on purpose, under load, and lets an oracle judge what is left.
//!
//! Invariants: every node is a process of this very binary on files of its own; every drill is judged by the same oracle,
//! from what ordinary clients were told and what the files hold; a drill that this machine cannot play is skipped, named
//! with its reason and never counted as passed, and any other that cannot be done has failed; nothing is left behind
//! unless something went wrong.
//!
//! What is absent: mercy for a slow machine, except in waiting. Times are reported, not judged; losses are.

mod cluster;
mod damage;
mod failover;
mod history;
mod ledger;
mod load;
mod network;
mod oracle;
mod power;
mod proxy;
mod returns;
mod stage;

use crate::Context;
use crate::args::DrillArgs;
use crate::error::CliError;
use crate::exit;
use crate::output::{Output, Table};
use crate::signals::Signals;
use crate::verbs::bench::fresh_seed;
use serde_json::json;
use stage::{Failover, Report, Stage, ms};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

type Play = fn(&mut Stage<'_>) -> Result<(), CliError>;

/// A drill: its name, what it is about, and what it does.
struct Drill {
    name: &'static str,
    about: &'static str,
    play: Play,
}

/// All drills, in the order in which `all` runs them.
const DRILLS: [Drill; 19] = [
    drill(
        "kill-primary",
        "kill -9 of the primary, and every packet of it lost",
        failover::kill_primary,
    ),
    drill(
        "pause-primary",
        "a primary that stands still and goes on later is fenced",
        failover::pause_primary,
    ),
    drill("double-promotion", "two promotions at once", failover::double_promotion),
    drill(
        "client-retry",
        "lost replies, then a lost primary: clients send again",
        failover::client_retry,
    ),
    drill("policy-disk", "one copy on disk: what may be lost is said first", failover::policy_disk),
    drill("partition", "the primary cut off from the other nodes", network::partition),
    drill(
        "one-way-partition",
        "a primary that is not heard, and one that does not hear",
        network::one_way_partition,
    ),
    drill("torn-tail", "the last frame of a killed primary torn", damage::torn_tail),
    drill("bit-flip", "one bit wrong in the middle of a log", damage::bit_flip),
    drill("disk-full", "no room on a standby, then on the primary", damage::disk_full),
    drill(
        "failing-sync",
        "a disk that fails, of the primary and of a standby",
        damage::failing_sync,
    ),
    drill(
        "power-loss",
        "a single node's power cut: a file system forgets what was not synced",
        power::power_loss,
    ),
    drill(
        "power-loss-cluster",
        "the primary's power cut, then that of all nodes at once",
        power::power_loss_cluster,
    ),
    drill("slow-disk", "a disk that dawdles, of a standby and of the primary", damage::slow_disk),
    drill(
        "standby-behind",
        "a standby far behind, killed while it catches up",
        returns::standby_behind,
    ),
    drill(
        "old-primary-returns",
        "an old primary with entries that nobody acknowledged",
        returns::old_primary_returns,
    ),
    drill("wiped-disk-returns", "a node with an empty disk", returns::wiped_disk_returns),
    drill("rival-solo", "two single copies, heard of and not heard of", returns::rival_solo),
    drill(
        "stale-node-promotion",
        "promotion of the node that lacks the most",
        returns::stale_node_promotion,
    ),
];

const fn drill(name: &'static str, about: &'static str, play: Play) -> Drill {
    Drill { name, about, play }
}

/// Runs the verb.
///
/// # Errors
/// No such drill, no room for a scratch cluster, a signal.
pub fn run(context: &mut Context, args: &DrillArgs) -> Result<u8, CliError> {
    if args.names.is_empty() {
        return list(&mut context.output);
    }
    let chosen = choose(&args.names)?;
    let signals = Signals::install()?;
    let seed = args.seed.unwrap_or_else(fresh_seed);
    let begin = Instant::now();
    let output = &mut context.output;
    let mut reports = Vec::new();
    for run in 0..args.runs {
        for drill in &chosen {
            signals.check()?;
            let seed = seed.wrapping_add(u64::from(run));
            reports.push(run_one(drill, output, &signals, seed, args.keep)?);
        }
    }
    let passed = reports.iter().filter(|report| report.has_passed()).count();
    let skipped = reports.iter().filter(|report| report.skipped.is_some()).count();
    let failed = reports.len() - passed - skipped;
    if output.is_json() {
        let drills: Vec<_> = reports.iter().map(Report::as_json).collect();
        output.json(&json!({
            "ok": failed == 0,
            "passed": passed,
            "failed": failed,
            "skipped": skipped,
            "seed": seed,
            "duration_s": begin.elapsed().as_secs_f64(),
            "failovers": phases_json(&reports),
            "drills": drills,
        }))?;
    } else {
        show(output, &reports)?;
        output.line(format!(
            "passed {passed}, failed {failed}, skipped {skipped}; {:.1} s, seed {seed}",
            begin.elapsed().as_secs_f64()
        ))?;
    }
    Ok(if failed == 0 { exit::OK } else { exit::PROBLEM })
}

/// Says which drills there are.
fn list(output: &mut Output) -> Result<u8, CliError> {
    if output.is_json() {
        let drills: Vec<_> = DRILLS
            .iter()
            .map(|drill| json!({ "name": drill.name, "about": drill.about }))
            .collect();
        output.json(&drills.into())?;
        return Ok(exit::OK);
    }
    for drill in &DRILLS {
        output.line(format!("{:<22} {}", drill.name, drill.about))?;
    }
    output.note("`mizan drill all` runs all of them, `mizan drill NAME` one")?;
    Ok(exit::OK)
}

fn choose(names: &[String]) -> Result<Vec<&'static Drill>, CliError> {
    let mut chosen = Vec::new();
    for name in names {
        if name == "all" {
            chosen.extend(&DRILLS);
            continue;
        }
        let drill = DRILLS.iter().find(|drill| drill.name == name).ok_or_else(|| {
            let known: Vec<&str> = DRILLS.iter().map(|drill| drill.name).collect();
            CliError::Usage(format!(
                "there is no drill {name}; there are {}, all",
                known.join(", ")
            ))
        })?;
        chosen.push(drill);
    }
    Ok(chosen)
}

fn run_one(
    drill: &Drill,
    output: &mut Output,
    signals: &Signals,
    seed: u64,
    keep: bool,
) -> Result<Report, CliError> {
    if !output.is_json() {
        output.line(format!("== {}: {}", drill.name, drill.about))?;
    }
    let begin = Instant::now();
    let report = Report { name: drill.name, ..Report::default() };
    let mut stage = Stage { output, signals, seed, keep, report };
    let outcome = (drill.play)(&mut stage);
    let mut report = stage.report;
    report.duration = begin.elapsed();
    signals.check()?;
    if let Err(error) = outcome {
        report.error = Some(error.to_string());
        output.note(format!("{} ended early: {error}", drill.name))?;
    }
    if !output.is_json() {
        let verdict = report.word();
        output.line(format!("  {verdict}    in {:.1} s", report.duration.as_secs_f64()))?;
    }
    Ok(report)
}

/// One failover of two nodes, without a word: what `mizan demo` shows.
///
/// # Errors
/// No room for a scratch cluster, a node that does not come up.
pub(crate) fn two_nodes(signals: &Signals, seed: u64) -> Result<Report, CliError> {
    let mut output = Output::silent();
    let report = Report { name: "two-nodes", ..Report::default() };
    let mut stage = Stage { output: &mut output, signals, seed, keep: false, report };
    failover::kill_of_two(&mut stage)?;
    Ok(stage.report)
}

fn show(output: &mut Output, reports: &[Report]) -> Result<(), CliError> {
    output.line("")?;
    let headings =
        ["drill", "", "acknowledged", "lost (RPO)", "RTO ms", "longest pause ms", "seconds"];
    let mut table = Table::new(&headings, 2);
    for report in reports {
        table.row([
            report.name.to_owned(),
            report.word().to_owned(),
            crate::files::count_text(report.acknowledged()),
            report.lost().to_string(),
            report.rto().map_or_else(|| "-".to_owned(), |rto| format!("{:.1}", ms(rto))),
            format!("{:.1}", ms(report.longest_pause)),
            format!("{:.1}", report.duration.as_secs_f64()),
        ]);
    }
    output.table(&table)?;
    output.line("")?;
    let phases = phases(reports);
    if !phases.is_empty() {
        let headings = ["failover after", "phase", "runs", "p50 ms", "p95 ms", "max ms"];
        let mut table = Table::new(&headings, 2);
        for row in &phases {
            table.row([
                row.what.to_owned(),
                row.phase.to_owned(),
                row.count.to_string(),
                format!("{:.1}", ms(row.p50)),
                format!("{:.1}", ms(row.p95)),
                format!("{:.1}", ms(row.max)),
            ]);
        }
        output.table(&table)?;
        output.line("")?;
    }
    Ok(())
}

/// The spread of one phase of one sort of failover.
struct PhaseRow {
    what: &'static str,
    phase: &'static str,
    count: usize,
    p50: Duration,
    p95: Duration,
    max: Duration,
}

/// A phase's name, and how long it took.
type Phase = (&'static str, fn(&Failover) -> Duration);

/// The phases of a failover, in their order.
const PHASES: [Phase; 5] = [
    ("detect", |failover| failover.detect),
    ("promote", |failover| failover.promote),
    ("(in the node)", |failover| failover.promote_in_node),
    ("reconnect", |failover| failover.reconnect),
    ("in all", Failover::total),
];

fn phases(reports: &[Report]) -> Vec<PhaseRow> {
    let mut by_sort: BTreeMap<&'static str, Vec<Failover>> = BTreeMap::new();
    for (what, failover) in reports.iter().flat_map(|report| &report.failovers) {
        by_sort.entry(what).or_default().push(*failover);
    }
    let mut rows = Vec::new();
    for (what, failovers) in by_sort {
        for (phase, of) in PHASES {
            let mut times: Vec<Duration> = failovers.iter().map(of).collect();
            times.sort_unstable();
            let at = |share: f64| {
                let rank = (times.len() as f64 * share).ceil() as usize;
                times[rank.clamp(1, times.len()) - 1]
            };
            let (p50, p95, max) = (at(0.5), at(0.95), at(1.0));
            rows.push(PhaseRow { what, phase, count: times.len(), p50, p95, max });
        }
    }
    rows
}

fn phases_json(reports: &[Report]) -> serde_json::Value {
    let row = |row: PhaseRow| {
        json!({
            "after": row.what, "phase": row.phase, "runs": row.count,
            "p50_ms": ms(row.p50), "p95_ms": ms(row.p95), "max_ms": ms(row.max),
        })
    };
    phases(reports).into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(total_ms: &[u64]) -> Report {
        let failover = |ms: &u64| {
            let detect = Duration::from_millis(*ms);
            let nothing = Duration::ZERO;
            let failover =
                Failover { detect, promote: nothing, promote_in_node: nothing, reconnect: nothing };
            ("kill", failover)
        };
        Report { failovers: total_ms.iter().map(failover).collect(), ..Report::default() }
    }

    #[test]
    fn percentiles_are_those_of_real_runs() {
        let times: Vec<u64> = (1..=20).rev().collect();
        let rows = phases(&[report(&times[..5]), report(&times[5..])]);
        let all = rows.iter().find(|row| row.phase == "in all").expect("a row");
        assert_eq!(all.count, 20);
        let found = [all.p50, all.p95, all.max].map(|time| time.as_millis());
        assert_eq!(found, [10, 19, 20]);
        assert!(phases(&[]).is_empty());
    }

    #[test]
    fn a_drill_without_a_verdict_has_not_passed() {
        assert!(!report(&[1]).has_passed());
    }

    #[test]
    fn all_means_every_drill_and_an_unknown_one_is_refused_with_the_names() {
        let names = |text: &str| vec![text.to_owned()];
        assert_eq!(choose(&names("all")).expect("all").len(), DRILLS.len());
        let Err(error) = choose(&names("kill-primarry")) else { panic!("it was found") };
        assert!(error.to_string().contains("kill-primary"), "{error}");
        assert_eq!(error.exit_code(), exit::USAGE);
    }
}
