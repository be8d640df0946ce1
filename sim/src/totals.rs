//! The sums of many runs.

use crate::{Failure, Report};

/// What any number of runs came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Runs.
    pub seeds: u64,
    /// Runs that broke a promise.
    pub failed: u64,
    /// Of these, runs in which something acknowledged was missing, or had become something else.
    pub lost: u64,
    /// Of these, runs in which something was executed twice.
    pub doubled: u64,
    /// Of these, runs in which states differed that must not.
    pub diverged: u64,
    /// Sums over the runs that kept their promises; the hash is one over all of them, in any order.
    pub report: Report,
}

impl Totals {
    /// Adds a run.
    pub fn add(&mut self, outcome: &Result<Report, Box<Failure>>) {
        self.seeds += 1;
        match outcome {
            Ok(report) => self.report.add(report),
            Err(failure) => {
                self.failed += 1;
                self.lost += u64::from(failure.violation.is_loss());
                self.doubled += u64::from(failure.violation.is_doubled());
                self.diverged += u64::from(failure.violation.is_divergence());
            }
        }
    }

    /// Adds the sums of other runs.
    pub fn merge(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.failed += other.failed;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.diverged += other.diverged;
        self.report.add(&other.report);
    }
}

impl Report {
    fn add(&mut self, other: &Self) {
        // Every field is named, so that none is forgotten.
        let Report {
            events_hash,
            events,
            acknowledged,
            reads,
            promotions,
            crashes,
            kills,
            power_losses,
            cuts,
            wipes,
            damages,
            losses_accepted,
            singles,
            sessions_lost,
            connections_lost,
            contests,
            candidates_ended,
            candidates_cut,
            rivals,
        } = other;
        self.events_hash ^= events_hash;
        self.events += events;
        self.acknowledged += acknowledged;
        self.reads += reads;
        self.promotions += promotions;
        self.crashes += crashes;
        self.kills += kills;
        self.power_losses += power_losses;
        self.cuts += cuts;
        self.wipes += wipes;
        self.damages += damages;
        self.losses_accepted += losses_accepted;
        self.singles += singles;
        self.sessions_lost += sessions_lost;
        self.connections_lost += connections_lost;
        self.contests += contests;
        self.candidates_ended += candidates_ended;
        self.candidates_cut += candidates_cut;
        self.rivals += rivals;
    }
}
