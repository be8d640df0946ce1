//! What the figures mean: whether a node lives, whether it is ready, and what to do.
//!
//! *Live* means that a restart would not help: a node that recovers, or waits for its disk for a while, is live.
//! *Ready* means that it does its part now: a single node or a primary acknowledges writes, a standby could take over.
//!
//! Invariant: these are functions of a [`NodeStatus`] and a [`Moment`]; what cannot be known is not taken for good.

use super::alarm::Alarm;
use super::cluster::NodeRole;
use super::snapshot::{NodeStatus, Phase};
use super::stall::DISK_HANGS_AFTER;
use super::watch::warnings;
use crate::clock::Reading;
use std::time::Duration;

/// A node whose front gave no sign for so long is not ready: an idle one gives ten a second.
pub const SILENT_AFTER: Duration = Duration::from_secs(2);
/// A node whose front gave no sign for so long hangs. A slow disk may hold the front for that long, and a restart would
/// not make it faster.
pub const HUNG_AFTER: Duration = Duration::from_secs(60);

/// A moment of a machine, by the clock that the figures use.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Moment {
    /// Nanoseconds of `CLOCK_BOOTTIME`.
    pub monotonic_ns: u64,
    /// Id of the machine's boot; 0 if it has none.
    pub boot: u128,
}

impl Moment {
    /// Now, on this machine.
    #[must_use]
    pub fn now() -> Self {
        Self { monotonic_ns: Reading::now().monotonic_ns, boot: boot_id() }
    }
}

/// A number that changes whenever the machine starts; 0 if it tells none.
pub(super) fn boot_id() -> u128 {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    u128::from_str_radix(&text.trim().replace('-', ""), 16).unwrap_or(0)
}

impl NodeStatus {
    /// Time since the last sign of life; `None` if the figures are of another machine or of another boot.
    #[must_use]
    pub fn silence(&self, now: &Moment) -> Option<Duration> {
        self.since(now, self.beat_monotonic_ns)
    }

    /// Time since a monotonic time in the figures; `None` as for [`NodeStatus::silence`], and for a time 0.
    #[must_use]
    pub fn since(&self, now: &Moment, monotonic_ns: u64) -> Option<Duration> {
        let is_known = self.boot == now.boot && monotonic_ns != 0;
        is_known.then(|| Duration::from_nanos(now.monotonic_ns.saturating_sub(monotonic_ns)))
    }

    /// Time for which entries have waited for the disk while none became durable; `None` if none waits.
    #[must_use]
    pub fn disk_wait(&self, now: &Moment) -> Option<Duration> {
        self.since(now, self.journal.waits_since_ns)
    }

    /// Nodes whose copies count now, this one included.
    #[must_use]
    pub fn in_sync(&self) -> usize {
        1 + self.peers.iter().filter(|peer| peer.figures.is_in_sync).count()
    }

    /// Entries that this standby's log lacks of the primary's; 0 on other nodes.
    #[must_use]
    pub const fn lag_behind_primary(&self) -> u64 {
        if self.cluster.role.takes_requests() {
            return 0;
        }
        self.cluster.primary_sequence.saturating_sub(self.sequences.durable)
    }

    fn is_silent(&self, now: &Moment, patience: Duration) -> Option<Duration> {
        let silence = self.silence(now).unwrap_or(Duration::MAX);
        (silence > patience).then_some(silence)
    }
}

/// What a node with these figures and this lock is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Condition {
    /// Reads its journal.
    Recovering,
    /// Serves.
    Running,
    /// Answers what it has accepted, and nothing else.
    Stopping,
    /// The process is there, and its front gives no sign.
    Silent,
    /// Ended in order.
    Stopped,
    /// Ended with an error, which the process told.
    Failed,
    /// Gone without an end: killed, crashed, or the machine was.
    Died,
    /// Another process than the one of these figures has the directory.
    Held,
}

impl Condition {
    /// Judges by the directory's lock (`holder`: the process that holds it) and the last sign of life.
    #[must_use]
    pub fn of(status: &NodeStatus, holder: Option<u32>, now: &Moment) -> Self {
        match (holder, status.phase) {
            (Some(process), _) if process != status.process => Self::Held,
            // It has the directory until it is gone, and its last word may come before that.
            (_, Phase::Stopped) => Self::Stopped,
            (_, Phase::Failed) => Self::Failed,
            (None, _) => Self::Died,
            (Some(_), Phase::Recovering | Phase::Opened) => Self::Recovering,
            _ if status.is_silent(now, SILENT_AFTER).is_some() => Self::Silent,
            (Some(_), Phase::Stopping) => Self::Stopping,
            _ => Self::Running,
        }
    }

    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recovering => "recovering",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Silent => "silent",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Died => "died",
            Self::Held => "held",
        }
    }
}

/// Why the process should be started again; nothing if it should not.
#[must_use]
pub fn liveness(status: &NodeStatus, now: &Moment) -> Vec<String> {
    let mut reasons = Vec::new();
    match status.phase {
        Phase::Failed => reasons.push("the node ended with an error".to_owned()),
        Phase::Stopped => reasons.push("the node has stopped".to_owned()),
        Phase::Running | Phase::Stopping => {
            if let Some(silence) = status.is_silent(now, HUNG_AFTER) {
                reasons.push(silent_text(silence));
            }
        }
        // How long a recovery takes, only the journal knows.
        Phase::Recovering | Phase::Opened | Phase::Unknown => {}
    }
    reasons
}

/// Why the node does not do its part; nothing if it does.
#[must_use]
pub fn readiness(status: &NodeStatus, now: &Moment) -> Vec<String> {
    let mut reasons = Vec::new();
    let journal = &status.journal;
    match status.phase {
        Phase::Running => {
            if let Some(silence) = status.is_silent(now, SILENT_AFTER) {
                reasons.push(silent_text(silence));
            }
        }
        Phase::Recovering if journal.recovery_bytes_total > 0 => reasons.push(format!(
            "recovering: {} of {} bytes of the journal",
            journal.recovery_bytes_done, journal.recovery_bytes_total
        )),
        phase => reasons.push(format!("the node is {}", phase.name())),
    }
    if journal.space_is_low {
        reasons.push("journal_space_low: writes are refused for want of room".to_owned());
    }
    if journal.is_stalled {
        reasons.push("journal_stalled: accepted entries wait for room".to_owned());
    }
    if let Some(wait) = status.disk_wait(now).filter(|wait| *wait > DISK_HANGS_AFTER) {
        reasons.push(format!(
            "disk_hangs: entries wait for the disk, and none became durable for {} ms",
            wait.as_millis()
        ));
    }
    // Everything that moves money needs a place there.
    let transfers = status.limits.iter().find(|limit| limit.name == "transfers");
    if let Some(full) = transfers.filter(|limit| limit.max > 0 && limit.used >= limit.max) {
        reasons.push(format!("the places for transfers are full: all {} are used", full.max));
    }
    reasons.extend(role_reasons(status));
    reasons
}

fn role_reasons(status: &NodeStatus) -> Option<String> {
    let cluster = &status.cluster;
    let (in_sync, needed) = (status.in_sync(), usize::from(cluster.min_sync));
    match cluster.role {
        NodeRole::Single => None,
        NodeRole::Primary => (in_sync < needed)
            .then(|| format!("{in_sync} of {needed} copies are in sync: nothing is acknowledged")),
        NodeRole::Live | NodeRole::Waiting if cluster.is_admitted && cluster.can_take_over => None,
        NodeRole::Live | NodeRole::Waiting | NodeRole::CatchingUp if !cluster.is_admitted => {
            Some("a standby that cannot take over: its disk is not admitted yet".to_owned())
        }
        NodeRole::CatchingUp => Some(format!(
            "a standby that cannot take over: it is {} entries behind the primary",
            status.lag_behind_primary()
        )),
        NodeRole::Live | NodeRole::Waiting if status.alarms.contains(Alarm::DiskHangs) => {
            Some("a standby that cannot take over: its disk hangs".to_owned())
        }
        NodeRole::Live | NodeRole::Waiting => {
            Some("a standby that cannot take over: it may lack what was acknowledged, or too few nodes answer; `mizan status --replica` says which".to_owned())
        }
        NodeRole::Candidate => Some("a candidate: its promotion is under way".to_owned()),
        NodeRole::Stopped => Some("replication stopped with an alarm".to_owned()),
        NodeRole::Unknown => Some("its role is not known".to_owned()),
    }
}

fn silent_text(silence: Duration) -> String {
    if silence == Duration::MAX {
        return "the front has given no sign of life since the machine started".to_owned();
    }
    format!("the front has given no sign of life for {} ms", silence.as_millis())
}

/// What to do, the most urgent first; nothing if all is well.
#[must_use]
pub fn advice(status: &NodeStatus, condition: Condition, now: &Moment) -> Vec<String> {
    let mut lines = Vec::new();
    let condition_text = match condition {
        Condition::Died => {
            "the process is gone without an orderly end: start the node again; it recovers everything that was acknowledged"
        }
        Condition::Failed => {
            "the node ended with an error, which stands in its log: do what that says before it is started again"
        }
        Condition::Silent => {
            "the process is there, and what it shows here does not move: look whether it is stopped (`ps`, state T) or waits for the disk (state D), as the file of these figures may alone; `/readyz` tells; what it acknowledged is durable"
        }
        Condition::Held => {
            "another process has the directory: a node that is starting, or a tool; ask again when it has opened the files"
        }
        Condition::Stopped => "the node was stopped in order: start it when it is wanted",
        Condition::Recovering => "the node reads its journal: wait until it has",
        Condition::Stopping => "the node is stopping in order: wait",
        Condition::Running => "",
    };
    lines.push(condition_text.to_owned());
    if matches!(condition, Condition::Running | Condition::Silent | Condition::Stopping) {
        lines.extend(status.alarms.iter().map(|alarm| alarm.advice().to_owned()));
    }
    if condition == Condition::Running {
        lines.extend(role_reasons(status));
        lines.extend(silent_peers(status, now));
    }
    // Also of a node that does not run: it is the time to move.
    lines.extend(warnings(status));
    lines.retain(|line| !line.is_empty());
    lines
}

fn silent_peers(status: &NodeStatus, now: &Moment) -> Vec<String> {
    let lost = status.peers.iter().filter(|peer| !peer.figures.is_connected);
    lost.map(|peer| {
        let heard = status.since(now, peer.figures.heard_monotonic_ns);
        let heard = heard.map_or("never heard since the start".to_owned(), |time| {
            format!("last heard {} ms ago", time.as_millis())
        });
        format!(
            "node {} is not connected ({heard}): look whether it runs and can be reached",
            peer.figures.node_index
        )
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{ClusterFigures, PeerFigures, PeerStatus};

    const NOW: Moment = Moment { monotonic_ns: 100_000_000_000, boot: 5 };

    fn running(role: NodeRole) -> NodeStatus {
        NodeStatus {
            phase: Phase::Running,
            process: 42,
            boot: 5,
            beat_monotonic_ns: NOW.monotonic_ns - 50_000_000,
            cluster: ClusterFigures { role, ..ClusterFigures::default() },
            ..NodeStatus::default()
        }
    }

    fn silent_for(silence: Duration) -> NodeStatus {
        let beat_monotonic_ns = NOW.monotonic_ns - silence.as_nanos() as u64;
        NodeStatus { beat_monotonic_ns, ..running(NodeRole::Single) }
    }

    #[test]
    fn a_single_node_that_beats_is_live_and_ready() {
        let status = running(NodeRole::Single);
        assert!(liveness(&status, &NOW).is_empty() && readiness(&status, &NOW).is_empty());
        assert_eq!(Condition::of(&status, Some(42), &NOW), Condition::Running);
        assert!(advice(&status, Condition::Running, &NOW).is_empty());
    }

    #[test]
    fn a_node_that_is_silent_is_first_not_ready_and_then_not_live() {
        let short = silent_for(SILENT_AFTER * 2);
        assert!(liveness(&short, &NOW).is_empty());
        assert_eq!(readiness(&short, &NOW), ["the front has given no sign of life for 4000 ms"]);
        assert_eq!(Condition::of(&short, Some(42), &NOW), Condition::Silent);
        let long = silent_for(HUNG_AFTER + Duration::from_millis(1));
        assert_eq!(liveness(&long, &NOW).len(), 1);
        let other_boot = Moment { boot: 6, ..NOW };
        assert_eq!(readiness(&running(NodeRole::Single), &other_boot).len(), 1);
    }

    #[test]
    fn a_recovery_is_live_however_long_it_takes_and_not_ready() {
        let mut status =
            NodeStatus { phase: Phase::Recovering, ..silent_for(Duration::from_secs(90)) };
        assert!(liveness(&status, &NOW).is_empty());
        assert_eq!(readiness(&status, &NOW)[0], "the node is recovering");
        status.journal.recovery_bytes_total = 9;
        assert_eq!(readiness(&status, &NOW)[0], "recovering: 0 of 9 bytes of the journal");
        assert_eq!(Condition::of(&status, Some(42), &NOW), Condition::Recovering);
    }

    #[test]
    fn the_lock_and_the_last_word_tell_how_a_process_ended() {
        let phase = |phase| NodeStatus { phase, ..running(NodeRole::Single) };
        for (status, holder, expected) in [
            (phase(Phase::Running), None, Condition::Died),
            (phase(Phase::Recovering), None, Condition::Died),
            (phase(Phase::Stopped), None, Condition::Stopped),
            (phase(Phase::Failed), None, Condition::Failed),
            (phase(Phase::Running), Some(43), Condition::Held),
            (phase(Phase::Stopped), Some(43), Condition::Held),
            (phase(Phase::Stopping), Some(42), Condition::Stopping),
        ] {
            assert_eq!(Condition::of(&status, holder, &NOW), expected);
            assert!(!advice(&status, expected, &NOW).is_empty());
        }
    }

    #[test]
    fn want_of_room_makes_a_node_unready_with_the_reason() {
        let mut status = running(NodeRole::Single);
        status.journal.space_is_low = true;
        assert!(readiness(&status, &NOW)[0].starts_with("journal_space_low"));
        status.journal.is_stalled = true;
        assert_eq!(readiness(&status, &NOW).len(), 2);
        assert!(liveness(&status, &NOW).is_empty(), "a restart makes no room");
    }

    #[test]
    fn a_disk_that_hangs_makes_a_node_of_any_role_unready_and_a_slow_one_does_not() {
        for role in [NodeRole::Single, NodeRole::Primary, NodeRole::Live, NodeRole::Waiting] {
            let waits = |wait: Duration| {
                let mut status = running(role);
                (status.cluster.is_admitted, status.cluster.can_take_over) = (true, true);
                status.journal.waits_since_ns = NOW.monotonic_ns - wait.as_nanos() as u64;
                (readiness(&status, &NOW), liveness(&status, &NOW))
            };
            assert_eq!(waits(DISK_HANGS_AFTER), (vec![], vec![]), "{role:?}");
            let (unready, dead) = waits(DISK_HANGS_AFTER + Duration::from_millis(5));
            let reason =
                "disk_hangs: entries wait for the disk, and none became durable for 2005 ms";
            assert_eq!(unready, [reason], "{role:?}");
            assert!(dead.is_empty(), "a restart makes no disk faster");
            assert!(waits(HUNG_AFTER * 9 / 10).1.is_empty());
        }
        let mut standby = running(NodeRole::Live);
        standby.cluster.is_admitted = true;
        standby.alarms = standby.alarms.with(Alarm::DiskHangs, true);
        assert!(readiness(&standby, &NOW)[0].ends_with("cannot take over: its disk hangs"));
    }

    #[test]
    fn a_standby_is_ready_if_and_only_if_it_can_take_over() {
        let standby = |role, is_admitted, can_take_over| {
            let mut status = running(role);
            (status.cluster.is_admitted, status.cluster.can_take_over) =
                (is_admitted, can_take_over);
            (status.cluster.primary_sequence, status.sequences.durable) = (30, 18);
            readiness(&status, &NOW)
        };
        assert!(standby(NodeRole::Live, true, true).is_empty());
        assert!(standby(NodeRole::Waiting, true, true).is_empty());
        assert!(standby(NodeRole::Live, false, true)[0].contains("not admitted"));
        assert!(standby(NodeRole::Waiting, true, false)[0].contains("may lack"));
        assert!(standby(NodeRole::CatchingUp, true, true)[0].contains("12 entries behind"));
        for role in [NodeRole::Candidate, NodeRole::Stopped, NodeRole::Unknown] {
            assert_eq!(standby(role, true, true).len(), 1, "{role:?}");
        }
    }

    #[test]
    fn a_primary_is_ready_while_enough_copies_are_in_sync() {
        let mut status = running(NodeRole::Primary);
        status.cluster.min_sync = 2;
        let peer = PeerFigures { node_index: 1, is_connected: true, ..PeerFigures::default() };
        status.peers = vec![PeerStatus { figures: peer, lag_entries: 0 }];
        assert_eq!(
            readiness(&status, &NOW),
            ["1 of 2 copies are in sync: nothing is acknowledged"]
        );
        status.peers[0].figures.is_in_sync = true;
        assert!(readiness(&status, &NOW).is_empty());
        status.peers[0].figures.is_connected = false;
        assert!(advice(&status, Condition::Running, &NOW)[0].contains("node 1 is not connected"));
    }
}
