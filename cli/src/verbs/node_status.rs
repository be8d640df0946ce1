//! What a node last said of itself, read from its file of counters: for `mizan status --data`.
//!
//! Invariants: nothing is asked of the node, so that one that hangs or is gone is shown as well; every line says what
//! is known, and the last ones what to do.

use crate::error::CliError;
use crate::exit;
use crate::files::size_text;
use crate::output::{Output, Table};
use crate::units::timestamp_text;
use crate::verdict;
use mizan_node::status::{
    Alarm, Condition, Moment, NodeRole, NodeStatus, PeerStatus, StatusError, advice, readiness,
};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How long a node that has let go of its directory gets to write its last word.
const LAST_WORD_WAIT: Duration = Duration::from_millis(300);

/// A node as its file shows it, and what that means.
pub(super) struct Seen {
    status: NodeStatus,
    condition: Condition,
    now: Moment,
}

/// Reads the file of counters; `holder` is the process that has the directory's lock.
///
/// # Errors
/// There is none that this build can read, or the system refuses.
pub(super) fn read(data: &Path, holder: Option<u32>) -> Result<Seen, StatusError> {
    let see = || {
        let status = NodeStatus::read(data)?;
        let now = Moment::now();
        Ok(Seen { condition: Condition::of(&status, holder, &now), status, now })
    };
    let seen: Seen = see()?;
    if seen.condition == Condition::Died {
        std::thread::sleep(LAST_WORD_WAIT);
        return see();
    }
    Ok(seen)
}

impl Seen {
    /// Whether these are the figures of a process that has the directory now.
    pub(super) const fn is_alive(&self) -> bool {
        use Condition as C;
        matches!(self.condition, C::Recovering | C::Running | C::Stopping | C::Silent)
    }

    /// The code for scripts: 0 only if the node needs nobody.
    pub(super) fn exit_code(&self) -> u8 {
        let status = &self.status;
        let problem = |is_one: bool| if is_one { exit::PROBLEM } else { exit::OK };
        let ended =
            matches!(self.condition, Condition::Silent | Condition::Died | Condition::Failed);
        let mut codes = vec![problem(ended)];
        if self.condition == Condition::Running {
            codes.push(verdict::of_alarms(status.alarms));
            codes.push(problem(!readiness(status, &self.now).is_empty()));
            let is_primary = status.cluster.role == NodeRole::Primary;
            let is_lost = |peer: &PeerStatus| !peer.figures.is_connected;
            codes.push(problem(is_primary && status.peers.iter().any(is_lost)));
        } else {
            // Full tables stay full while the node is down, and so does the damage that ended it.
            codes.push(verdict::of_alarms(status.fullness_alarms()));
            let damage = verdict::of_alarms(status.alarms);
            codes.extend((damage == exit::CORRUPT).then_some(damage));
        }
        verdict::worst(codes.into_iter())
    }

    /// Shows everything as text.
    ///
    /// # Errors
    /// The output cannot be written.
    pub(super) fn show(&self, output: &mut Output) -> Result<(), CliError> {
        output.table(&self.facts())?;
        if !self.status.peers.is_empty() {
            output.line("")?;
            output.table(&self.peers())?;
        }
        output.line("")?;
        output.table(&self.limits())?;
        output.line("")?;
        let advice = advice(&self.status, self.condition, &self.now);
        if advice.is_empty() {
            return output.line("nothing to do");
        }
        output.line("what to do:")?;
        advice.iter().try_for_each(|line| output.line(format!("  * {line}")))
    }

    fn facts(&self) -> Table {
        let status = &self.status;
        let (cluster, sequences) = (&status.cluster, &status.sequences);
        let (journal, gateway) = (&status.journal, &status.gateway);
        let mut table = Table::new(&["node", "value"], 2);
        let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
        row("condition", self.condition_text());
        row("role", self.role_text());
        row("cluster", format!("{:#x}, node {}", status.cluster_id, status.node));
        row("epoch", cluster.epoch.to_string());
        row("alarms", self.alarms_text());
        let lag = status.lag_behind_primary();
        if !matches!(cluster.role, NodeRole::Single | NodeRole::Primary) {
            row("behind the primary", format!("{lag} entries of {}", cluster.primary_sequence));
        }
        if cluster.node_count > 0 {
            row("in sync", self.in_sync_text());
        }
        row(
            "log",
            format!(
                "published {}, appended {}, durable {}, applied {}, commit {}",
                sequences.published,
                sequences.appended,
                sequences.durable,
                sequences.applied,
                sequences.commit
            ),
        );
        row("last digest", digest_text(status));
        row("request ring", format!("{} of {} cells", status.ring.used, status.ring.size));
        row(
            "journal",
            format!("{} groups, {} us a sync on average", journal.groups, mean_sync_us(status)),
        );
        row(
            "disk",
            format!(
                "{} free of {}",
                size_text(journal.disk_free_bytes),
                size_text(journal.disk_total_bytes)
            ),
        );
        row("scrub", scrub_text(status));
        row("connections", format!("{}, {} accepted", gateway.connections, gateway.accepted));
        row(
            "requests",
            format!(
                "{} taken, {} in flight, {} replies",
                gateway.requests, gateway.in_flight, gateway.replies
            ),
        );
        row("refused", self.refusals_text());
        row("clock jumps", status.clock_jumps.to_string());
        table
    }

    fn condition_text(&self) -> String {
        let status = &self.status;
        let last = status.silence(&self.now).map_or_else(
            || {
                format!(
                    "at {}, before this machine started",
                    timestamp_text(status.beat_realtime_ns)
                )
            },
            |silence| format!("{} ago", time_text(silence)),
        );
        format!(
            "{}; process {}, last sign of life {last}, started {}",
            self.condition.name().to_uppercase(),
            status.process,
            timestamp_text(status.started_at_ns),
        )
    }

    fn role_text(&self) -> String {
        let cluster = &self.status.cluster;
        match cluster.role {
            NodeRole::Single => "single: nothing replicates".to_owned(),
            NodeRole::Primary => format!("primary, policy {}", cluster.policy.name()),
            role => {
                let primary = cluster.primary.map_or("no primary is known".to_owned(), |index| {
                    format!("primary is {index}")
                });
                let can = if cluster.can_take_over { "can" } else { "cannot" };
                format!("{}, {primary}, {can} take over", role.name())
            }
        }
    }

    fn in_sync_text(&self) -> String {
        let cluster = &self.status.cluster;
        format!(
            "{} of {} nodes; an acknowledgement needs {}{}",
            self.status.in_sync(),
            cluster.node_count,
            cluster.min_sync,
            if cluster.min_sync < cluster.min_sync_base {
                format!(" instead of {}", cluster.min_sync_base)
            } else {
                String::new()
            }
        )
    }

    fn alarms_text(&self) -> String {
        let names: Vec<&str> = self.status.alarms.iter().map(Alarm::name).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }

    fn refusals_text(&self) -> String {
        let refusals = self.status.gateway.refusals.iter().filter(|(_, count)| *count > 0);
        let texts: Vec<String> = refusals.map(|(name, count)| format!("{count} {name}")).collect();
        if texts.is_empty() { "nothing".to_owned() } else { texts.join(", ") }
    }

    fn peers(&self) -> Table {
        let headings = ["peer", "state", "received", "durable", "behind", "last heard"];
        let mut table = Table::new(&headings, 2);
        for peer in &self.status.peers {
            let figures = &peer.figures;
            table.row([
                format!("node {}", figures.node_index),
                peer_state(peer).to_owned(),
                figures.received.to_string(),
                figures.durable.to_string(),
                peer.lag_entries.to_string(),
                self.heard(peer).map_or("never".to_owned(), |time| format!("{time} ms ago")),
            ]);
        }
        table
    }

    /// Milliseconds since the peer was heard.
    fn heard(&self, peer: &PeerStatus) -> Option<u64> {
        let time = self.status.since(&self.now, peer.figures.heard_monotonic_ns)?;
        u64::try_from(time.as_millis()).ok()
    }

    fn limits(&self) -> Table {
        let mut table = Table::new(&["limit", "used", "of", "full"], 1);
        for limit in &self.status.limits {
            let percent = format!("{} %", limit.percent());
            table.row([
                limit.name.to_owned(),
                limit.used.to_string(),
                limit.max.to_string(),
                percent,
            ]);
        }
        table
    }

    /// Everything as one JSON value.
    pub(super) fn json(&self) -> Value {
        let status = &self.status;
        let (cluster, sequences) = (&status.cluster, &status.sequences);
        let (journal, gateway) = (&status.journal, &status.gateway);
        let silence = status.silence(&self.now);
        let named = |values: &[(&'static str, u64)]| -> Value {
            values.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
        };
        let limits = status
            .limits
            .iter()
            .map(|limit| (limit.name.to_owned(), json!({ "used": limit.used, "max": limit.max })));
        let streams = json!({
            "log_read_bytes": cluster.log_read_bytes,
            "log_sent_bytes": cluster.log_sent_bytes,
            "log_read_failures": cluster.log_read_failures,
            "read_rounds": cluster.read_rounds,
        });
        json!({
            "condition": self.condition.name(),
            "phase": status.phase.name(),
            "process": status.process,
            "started_at": timestamp_text(status.started_at_ns),
            "beats": status.beats,
            "silence_ms": silence.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            "is_whole": status.is_whole,
            "layout": status.layout.map(mizan_node::Layout::name),
            "role": cluster.role.name(),
            "epoch": cluster.epoch,
            "node_index": cluster.node_index,
            "node_count": cluster.node_count,
            "policy": cluster.policy.name(),
            "min_sync": cluster.min_sync,
            "min_sync_base": cluster.min_sync_base,
            "config_revision": cluster.config_revision,
            "in_sync": status.in_sync(),
            "admitted": cluster.is_admitted,
            "can_take_over": cluster.can_take_over,
            "primary": cluster.primary,
            "primary_sequence": cluster.primary_sequence,
            "streams": streams,
            "lag_entries": status.lag_behind_primary(),
            "sequences": {
                "published": sequences.published,
                "appended": sequences.appended,
                "durable": sequences.durable,
                "applied": sequences.applied,
                "commit": sequences.commit,
            },
            "digest": format!("{:#034x}", status.digest),
            "digest_sequence": status.digest_sequence,
            "ring": { "used": status.ring.used, "size": status.ring.size },
            "output_ring": { "used": status.output_ring.used, "size": status.output_ring.size },
            "journal": {
                "groups": journal.groups,
                "groups_inline": journal.groups_inline,
                "sync_us_mean": mean_sync_us(status),
                "space_low": journal.space_is_low,
                "stalled": journal.is_stalled,
                "disk_free_bytes": journal.disk_free_bytes,
                "disk_size_bytes": journal.disk_total_bytes,
                "recovery_bytes_read": journal.recovery_bytes_done,
                "recovery_bytes": journal.recovery_bytes_total,
            },
            "scrub": {
                "read_bytes": journal.scrub_bytes,
                "passes": journal.scrub_passes,
                "last_pass_at": (journal.scrub_passes > 0)
                    .then(|| timestamp_text(journal.scrub_pass_at_ns)),
                "damaged_segments": journal.scrub_damaged,
            },
            "connections": gateway.connections,
            "requests": gateway.requests,
            "in_flight": gateway.in_flight,
            "replies": gateway.replies,
            "refusals": named(&gateway.refusals),
            "limits": limits.collect::<serde_json::Map<String, Value>>(),
            "clock_jumps": status.clock_jumps,
            "alarms": status.alarms.iter().map(Alarm::name).collect::<Vec<_>>(),
            "peers": status.peers.iter().map(|peer| self.peer_json(peer)).collect::<Vec<_>>(),
            "not_ready": readiness(status, &self.now),
            "advice": advice(status, self.condition, &self.now),
        })
    }

    fn peer_json(&self, peer: &PeerStatus) -> Value {
        let figures = &peer.figures;
        json!({
            "node_index": figures.node_index,
            "connected": figures.is_connected,
            "admitted": figures.is_admitted,
            "in_sync": figures.is_in_sync,
            "received": figures.received,
            "durable": figures.durable,
            "applied": figures.applied,
            "lag_entries": peer.lag_entries,
            "last_heard_ms": self.heard(peer),
            "connects": figures.connects,
        })
    }
}

fn digest_text(status: &NodeStatus) -> String {
    if status.digest_sequence == 0 {
        return "none since the start".to_owned();
    }
    let age = status.sequences.commit.saturating_sub(status.digest_sequence);
    format!("{:#034x} at {}, {age} entries ago", status.digest, status.digest_sequence)
}

fn scrub_text(status: &NodeStatus) -> String {
    let journal = &status.journal;
    let read = size_text(journal.scrub_bytes);
    if journal.scrub_passes == 0 {
        return format!(
            "{} damaged segments; no pass ended since the start, {read} read",
            journal.scrub_damaged
        );
    }
    format!(
        "{} damaged segments; {} passes, the last ended {}, {read} read",
        journal.scrub_damaged,
        journal.scrub_passes,
        timestamp_text(journal.scrub_pass_at_ns)
    )
}

const fn peer_state(peer: &PeerStatus) -> &'static str {
    let figures = &peer.figures;
    match (figures.is_connected, figures.is_admitted, figures.is_in_sync) {
        (false, _, _) => "not connected",
        (_, false, _) => "new disk, catching up",
        (_, _, false) => "catching up",
        _ => "in sync",
    }
}

const fn mean_sync_us(status: &NodeStatus) -> u64 {
    let groups = if status.journal.groups == 0 { 1 } else { status.journal.groups };
    status.journal.sync_ns / groups / 1_000
}

/// A span of time for people, in the two largest units that it has.
fn time_text(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{} ms", time.as_millis()),
        10..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min {} s", seconds / 60, seconds % 60),
        7_200..172_800 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} days {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_node::status::{AckPolicy, Alarms, ClusterFigures, Limit, PeerFigures, Phase};

    const NOW: Moment = Moment { monotonic_ns: 9_000_000_000, boot: 3 };

    fn seen(condition: Condition, role: NodeRole) -> Seen {
        let peer = PeerFigures {
            node_index: 2,
            is_connected: true,
            is_admitted: true,
            is_in_sync: true,
            durable: 90,
            heard_monotonic_ns: 8_960_000_000,
            ..PeerFigures::default()
        };
        let mut status = NodeStatus {
            phase: Phase::Running,
            process: 42,
            boot: 3,
            beat_monotonic_ns: 8_950_000_000,
            cluster: ClusterFigures {
                role,
                node_count: 3,
                min_sync: 2,
                min_sync_base: 2,
                policy: AckPolicy::TwoDisks,
                ..ClusterFigures::default()
            },
            peers: vec![PeerStatus { figures: peer, lag_entries: 7 }],
            ..NodeStatus::default()
        };
        status.gateway.refusals = vec![("sessions_full", 4), ("overloaded", 0)];
        Seen { status, condition, now: NOW }
    }

    fn lines(table: &Table) -> String {
        table.lines().join("\n")
    }

    #[test]
    fn the_alarm_that_ended_a_node_decides_its_code_and_others_are_over_with_it() {
        let mut seen = seen(Condition::Failed, NodeRole::Stopped);
        for (alarm, code) in [
            (Alarm::StateDiffers, exit::CORRUPT),
            (Alarm::LogsDiffer, exit::CORRUPT),
            (Alarm::AcknowledgedSuffix, exit::CORRUPT),
            (Alarm::PrimarySilent, exit::PROBLEM),
        ] {
            seen.status.alarms = Alarms::NONE.with(alarm, true);
            assert_eq!(seen.exit_code(), code, "{}", alarm.name());
        }
    }

    #[test]
    fn a_primary_is_shown_with_its_peers_and_there_is_nothing_to_do() {
        let seen = seen(Condition::Running, NodeRole::Primary);
        let facts = lines(&seen.facts());
        for expected in [
            "RUNNING; process 42, last sign of life 50 ms ago",
            "primary, policy two-disks",
            "2 of 3 nodes; an acknowledgement needs 2",
            "4 sessions_full",
        ] {
            assert!(facts.contains(expected), "{expected}: {facts}");
        }
        assert!(!facts.contains("overloaded"), "{facts}");
        let peers = lines(&seen.peers());
        assert!(peers.contains("in sync") && peers.contains("40 ms ago"), "{peers}");
        assert_eq!(seen.exit_code(), exit::OK);
        let value = seen.json();
        assert_eq!(value["advice"], json!([]));
        assert_eq!(value["peers"][0]["last_heard_ms"], 40);
        assert_eq!(value["peers"][0]["lag_entries"], 7);
    }

    #[test]
    fn a_node_that_needs_somebody_has_the_code_of_a_problem() {
        for (condition, code) in [
            (Condition::Running, exit::OK),
            (Condition::Recovering, exit::OK),
            (Condition::Stopped, exit::OK),
            (Condition::Silent, exit::PROBLEM),
            (Condition::Died, exit::PROBLEM),
            (Condition::Failed, exit::PROBLEM),
        ] {
            assert_eq!(seen(condition, NodeRole::Primary).exit_code(), code, "{condition:?}");
        }
        let mut alarmed = seen(Condition::Running, NodeRole::Primary);
        alarmed.status.alarms = Alarms::NONE.with(Alarm::Insecure, true);
        assert_eq!(alarmed.exit_code(), exit::OK);
        alarmed.status.alarms = Alarms::NONE.with(Alarm::SingleCopy, true);
        assert_eq!(alarmed.exit_code(), exit::PROBLEM);
        assert!(seen(Condition::Running, NodeRole::Waiting).exit_code() == exit::PROBLEM);
        alarmed.status.alarms = Alarms::NONE.with(Alarm::JournalSpaceLow, true);
        assert_eq!(alarmed.exit_code(), exit::RESOURCE);
        let mut lonely = seen(Condition::Running, NodeRole::Primary);
        lonely.status.cluster.min_sync = 1;
        lonely.status.peers[0].figures.is_connected = false;
        assert_eq!(lonely.exit_code(), exit::PROBLEM, "a node is dead");
        for condition in [Condition::Stopped, Condition::Died] {
            let mut full = seen(condition, NodeRole::Single);
            full.status.limits = vec![Limit { name: "transfers", used: 95, max: 100 }];
            assert_eq!(full.exit_code(), exit::RESOURCE, "{condition:?}");
            let advice = full.json()["advice"].to_string();
            assert!(advice.contains("95 of 100 transfers are used (95 %)"), "{advice}");
        }
    }

    #[test]
    fn spans_of_time_have_the_units_that_people_think_in() {
        let text = |seconds| time_text(Duration::from_secs(seconds));
        assert_eq!(time_text(Duration::from_millis(1_234)), "1234 ms");
        assert_eq!((text(75), text(130)), ("75 s".to_owned(), "2 min 10 s".to_owned()));
        assert_eq!(text(3 * 3_600 + 61), "3 h 1 min");
        assert_eq!(text(3 * 86_400 + 3_600), "3 days 1 h");
    }
}
