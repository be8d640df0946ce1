//! What a drill does on, and what it leaves: steps, expectations, the oracle's verdict, times.
//!
//! Invariant: an expectation is told whether it held or not; a drill has passed only if all of them held and the oracle
//! found nothing.

use super::cluster::{Cluster, ClusterPlan, Promoted};
use super::history::History;
use super::ledger::Ledger;
use super::load::{Load, LoadPlan};
use super::oracle::{Verdict, judge};
use crate::error::CliError;
use crate::output::Output;
use crate::signals::Signals;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Transfers in one request of an ordinary load.
const BATCH: u64 = 16;
/// A load runs until so many transfers are answered before anything is broken.
pub(crate) const WARM_UP: u64 = 2_000;

/// Something that must hold, and what was seen.
#[derive(Clone, Debug)]
pub(crate) struct Expectation {
    pub(crate) text: String,
    pub(crate) seen: String,
    pub(crate) held: bool,
}

/// From the loss of the primary to the first acknowledgement of the new one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failover {
    /// Until the loss was noticed.
    pub(crate) detect: Duration,
    /// From the operator's question to the answer.
    pub(crate) promote: Duration,
    /// The same as the node says, without the way there and back.
    pub(crate) promote_in_node: Duration,
    /// From the answer to the first acknowledgement.
    pub(crate) reconnect: Duration,
}

impl Failover {
    /// The time without acknowledgements: RTO.
    pub(crate) fn total(&self) -> Duration {
        self.detect + self.promote + self.reconnect
    }

    fn as_json(&self) -> Value {
        json!({
            "detect_ms": ms(self.detect),
            "promote_ms": ms(self.promote),
            "promote_in_node_ms": ms(self.promote_in_node),
            "reconnect_ms": ms(self.reconnect),
            "total_ms": ms(self.total()),
        })
    }
}

/// Milliseconds with their fraction.
pub(crate) fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 1e2
}

/// What a drill left behind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) name: &'static str,
    pub(crate) done: Vec<String>,
    pub(crate) expectations: Vec<Expectation>,
    pub(crate) verdicts: Vec<Verdict>,
    /// Failovers by what was done.
    pub(crate) failovers: Vec<(&'static str, Failover)>,
    /// Longest time without an acknowledgement.
    pub(crate) longest_pause: Duration,
    /// What ended it early.
    pub(crate) error: Option<String>,
    /// Why this machine cannot play it.
    pub(crate) skipped: Option<String>,
    pub(crate) duration: Duration,
}

impl Report {
    /// Whether everything held.
    pub(crate) fn has_passed(&self) -> bool {
        self.error.is_none()
            && !self.verdicts.is_empty()
            && self.verdicts.iter().all(Verdict::is_clean)
            && self.expectations.iter().all(|expectation| expectation.held)
    }

    /// What it came to, for people.
    pub(crate) fn word(&self) -> &'static str {
        match (self.has_passed(), &self.skipped) {
            (true, _) => "passed",
            (false, Some(_)) => "skipped",
            (false, None) => "FAILED",
        }
    }

    /// Acknowledged transfers that were lost: RPO.
    pub(crate) fn lost(&self) -> u64 {
        self.verdicts.iter().map(|verdict| verdict.lost).sum()
    }

    /// Acknowledged transfers in all.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.verdicts.iter().map(|verdict| verdict.acknowledged).sum()
    }

    /// The longest failover, if there was one.
    pub(crate) fn rto(&self) -> Option<Duration> {
        self.failovers.iter().map(|(_, failover)| failover.total()).max()
    }

    /// The report as JSON.
    pub(crate) fn as_json(&self) -> Value {
        let expectation = |expectation: &Expectation| {
            json!({
                "expected": expectation.text, "seen": expectation.seen, "held": expectation.held,
            })
        };
        let failover = |(what, failover): &(&str, Failover)| {
            let mut value = failover.as_json();
            value["after"] = json!(what);
            value
        };
        json!({
            "drill": self.name,
            "passed": self.has_passed(),
            "skipped": self.skipped,
            "done": self.done,
            "expectations": self.expectations.iter().map(expectation).collect::<Vec<_>>(),
            "oracle": self.verdicts.iter().map(Verdict::as_json).collect::<Vec<_>>(),
            "failovers": self.failovers.iter().map(failover).collect::<Vec<_>>(),
            "rto_ms": self.rto().map(ms),
            "rpo_transfers": self.lost(),
            "longest_pause_ms": ms(self.longest_pause),
            "error": self.error,
            "duration_s": self.duration.as_secs_f64(),
        })
    }
}

/// What a drill works with.
pub(crate) struct Stage<'a> {
    pub(crate) output: &'a mut Output,
    pub(crate) signals: &'a Signals,
    pub(crate) seed: u64,
    /// Whether the files stay.
    pub(crate) keep: bool,
    pub(crate) report: Report,
}

impl<'a> Stage<'a> {
    /// Shows a line, unless the output is JSON.
    fn say(&mut self, text: &str) -> Result<(), CliError> {
        if self.output.is_json() { Ok(()) } else { self.output.line(text) }
    }

    /// Tells what was done.
    pub(crate) fn did(&mut self, text: impl Into<String>) -> Result<(), CliError> {
        let text = text.into();
        self.say(&format!("  done      {text}"))?;
        self.report.done.push(text);
        Ok(())
    }

    /// Tells what must hold, and whether it does.
    pub(crate) fn expect(
        &mut self,
        text: impl Into<String>,
        held: bool,
        seen: impl Into<String>,
    ) -> Result<(), CliError> {
        let (text, seen) = (text.into(), seen.into());
        let mark = if held { "ok" } else { "WRONG" };
        self.say(&format!("  expected  {text}\n  seen      {seen}: {mark}"))?;
        self.report.expectations.push(Expectation { text, seen, held });
        Ok(())
    }

    /// Says why this machine cannot play the drill.
    pub(crate) fn skip(&mut self, reason: String) -> Result<(), CliError> {
        self.say(&format!("  skipped   {reason}"))?;
        self.report.skipped = Some(reason);
        Ok(())
    }

    /// Starts a cluster whose node 0 is primary and all of whose nodes are in sync, and plays on it. If something goes
    /// wrong, what the nodes said is shown, and their files stay.
    ///
    /// # Errors
    /// No room, a node that does not come up, and those of the play.
    pub(crate) fn on_cluster(
        &mut self,
        plan: ClusterPlan,
        play: impl FnOnce(&mut Self, &mut Cluster<'a>) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let mut cluster = Cluster::start(plan, self.signals)?;
        let verdicts = self.report.verdicts.len();
        let outcome = play(self, &mut cluster);
        let is_clean = self.report.verdicts[verdicts..].iter().all(Verdict::is_clean);
        if outcome.is_err() || !is_clean {
            for said in cluster.said() {
                self.output.note(said)?;
            }
        }
        if self.keep || outcome.is_err() || !is_clean {
            cluster.keep();
            self.output.note(format!("the files stay in {}", cluster.path().display()))?;
        }
        outcome
    }

    /// What an ordinary load of this drill sends. Loads of one cluster need different parts.
    pub(crate) fn load_plan(&self, cluster: &Cluster<'_>, part: u64) -> LoadPlan {
        LoadPlan {
            nodes: (0..).zip(cluster.client_addresses()).collect(),
            seed: self.seed.wrapping_add(part << 32),
            batch: BATCH,
            is_full: false,
        }
    }

    /// Starts a load, and waits until it is under way.
    ///
    /// # Errors
    /// Those of a client; nothing is acknowledged in time.
    pub(crate) fn load(&mut self, cluster: &Cluster<'_>) -> Result<Load, CliError> {
        let load = Load::start(&self.load_plan(cluster, 0))?;
        self.await_more(cluster, &load, WARM_UP)?;
        Ok(load)
    }

    /// Waits until so many more transfers are acknowledged.
    ///
    /// # Errors
    /// They are not in time.
    pub(crate) fn await_more(
        &self,
        cluster: &Cluster<'_>,
        load: &Load,
        more: u64,
    ) -> Result<(), CliError> {
        let target = load.acknowledged() + more;
        cluster
            .wait_until(&format!("{more} more transfers are acknowledged"), || {
                Ok(load.acknowledged() >= target)
            })
            .map(drop)
    }

    /// Notes a failover: the primary was lost at `lost_at`, its loss was noticed at `noticed_at`, and another node was
    /// promoted. Waits for the first acknowledgement in the new epoch.
    ///
    /// # Errors
    /// Nothing is acknowledged in time.
    pub(crate) fn note_failover(
        &mut self,
        cluster: &Cluster<'_>,
        load: &Load,
        what: &'static str,
        lost_at: Instant,
        noticed_at: Instant,
        promoted: &Promoted,
    ) -> Result<Failover, CliError> {
        cluster.wait_until("the new primary acknowledges a transfer", || {
            Ok(load.first_reply_above(promoted.epoch - 1).is_some())
        })?;
        let first = load.first_reply_above(promoted.epoch - 1).unwrap_or(promoted.at);
        let failover = Failover {
            detect: noticed_at - lost_at,
            promote: promoted.wall,
            promote_in_node: promoted.took,
            reconnect: first.saturating_duration_since(promoted.at),
        };
        self.say(&format!(
            "  failover  detect {:.1} ms, promote {:.1} ms ({:.1} in the node), reconnect {:.1} ms: {:.1} ms in all",
            ms(failover.detect),
            ms(failover.promote),
            ms(failover.promote_in_node),
            ms(failover.reconnect),
            ms(failover.total()),
        ))?;
        self.report.failovers.push((what, failover));
        Ok(failover)
    }

    /// Ends the load, waits until these standbys have what the primary has, stops all of them in order, and lets the
    /// oracle judge.
    ///
    /// # Errors
    /// The nodes do not come to an end together, or their files cannot be read.
    pub(crate) fn finish(
        &mut self,
        cluster: &mut Cluster<'_>,
        load: Load,
        primary: u8,
        standbys: &[u8],
    ) -> Result<(), CliError> {
        let history = load.stop();
        self.finish_history(cluster, &history, primary, standbys)
    }

    /// As [`Stage::finish`], after the load has ended.
    ///
    /// # Errors
    /// As [`Stage::finish`].
    pub(crate) fn finish_history(
        &mut self,
        cluster: &mut Cluster<'_>,
        history: &History,
        primary: u8,
        standbys: &[u8],
    ) -> Result<(), CliError> {
        cluster.await_equal(primary, standbys)?;
        cluster.terminate(standbys)?;
        cluster.terminate(&[primary])?;
        self.judge(cluster, history, primary, standbys)
    }

    /// Lets the oracle judge the files of nodes that do not run.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub(crate) fn judge(
        &mut self,
        cluster: &Cluster<'_>,
        history: &History,
        last: u8,
        others: &[u8],
    ) -> Result<(), CliError> {
        let others: Vec<(u8, PathBuf)> =
            others.iter().map(|number| (*number, cluster.data(*number))).collect();
        self.judge_files(history, &cluster.data(last), &others)
    }

    /// Lets the oracle judge the files in `last`, and those of other nodes by them.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub(crate) fn judge_files(
        &mut self,
        history: &History,
        last: &Path,
        others: &[(u8, PathBuf)],
    ) -> Result<(), CliError> {
        let ledger = Ledger::read(last)?;
        let mut ledgers = Vec::new();
        for (number, data) in others {
            ledgers.push((*number, Ledger::read(data)?));
        }
        let mut verdict = judge(history, &ledger, &ledgers);
        verdict
            .problems
            .extend(history.errors.iter().map(|text| format!("a client ended: {text}")));
        let mark = if verdict.is_clean() { "ok" } else { "WRONG" };
        self.say(&format!("  oracle    {}: {mark}", verdict.text()))?;
        self.report.verdicts.push(verdict);
        self.report.longest_pause = self.report.longest_pause.max(history.longest_pause);
        Ok(())
    }
}
