//! The page for a scraper: the Prometheus text format, version 0.0.4.
//!
//! Invariants: names begin with `mizan_` and end in their unit; counters end in `_total`; every family has its HELP
//! and TYPE; the same figures give the same bytes. `docs/operating/monitoring.md` names every family, and a test
//! compares the two.

use super::alarm::Alarm;
use super::cluster::NodeRole;
use super::health::{Moment, liveness, readiness};
use super::snapshot::{NodeStatus, PeerStatus, Phase};
use std::fmt::{Display, Write};

/// Room for a page, so that it is rarely copied.
const PAGE_SIZE_USUAL: usize = 16 << 10;

/// The page for these figures at this moment.
#[must_use]
pub fn metrics_page(status: &NodeStatus, now: &Moment) -> String {
    let mut page = Page { text: String::with_capacity(PAGE_SIZE_USUAL) };
    identity(&mut page, status, now);
    progress(&mut page, status);
    journal(&mut page, status);
    engine(&mut page, status);
    gateway(&mut page, status);
    cluster(&mut page, status, now);
    page.text
}

/// Nanoseconds, written as seconds without losing a digit.
struct Seconds(u64);

impl Display for Seconds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, sort: &str, help: &str) {
        self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {sort}\n"));
    }

    fn push(&mut self, line: std::fmt::Arguments<'_>) {
        self.text.write_fmt(line).expect("invariant: a string takes everything");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.push(format_args!("{name} {value}\n"));
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "counter", help);
        self.push(format_args!("{name} {value}\n"));
    }

    /// A sample with a label, whose values need no escapes: they are names of this build and numbers.
    fn sample(&mut self, name: &str, label: &str, of: impl Display, value: impl Display) {
        self.push(format_args!("{name}{{{label}=\"{of}\"}} {value}\n"));
    }
}

fn identity(page: &mut Page, status: &NodeStatus, now: &Moment) {
    page.family("mizan_build_info", "gauge", "Always 1; the labels say what runs.");
    page.push(format_args!(
        "mizan_build_info{{version=\"{}\",cluster=\"{:#x}\",node=\"{}\"}} 1\n",
        env!("CARGO_PKG_VERSION"),
        status.cluster_id,
        status.node
    ));
    page.gauge(
        "mizan_start_time_seconds",
        "When the process began with the directory, since 1970.",
        Seconds(status.started_at_ns),
    );
    page.family("mizan_phase", "gauge", "1 for what the process is doing.");
    for phase in Phase::ALL.into_iter().filter(|phase| *phase != Phase::Unknown) {
        page.sample("mizan_phase", "phase", phase.name(), u8::from(phase == status.phase));
    }
    let is_live = liveness(status, now).is_empty();
    page.gauge("mizan_live", "1 if /livez says 200.", u8::from(is_live));
    let is_ready = readiness(status, now).is_empty();
    page.gauge("mizan_ready", "1 if /readyz says 200.", u8::from(is_ready));
    page.counter("mizan_beats_total", "Signs of life of the front.", status.beats);
    let silence = status.silence(now).map_or(u64::MAX, |time| time.as_nanos() as u64);
    page.gauge(
        "mizan_silence_seconds",
        "Time since the front's last sign of life; an idle one gives ten a second.",
        Seconds(silence),
    );
    let wait = status.disk_wait(now).map_or(0, |time| time.as_nanos() as u64);
    page.gauge(
        "mizan_journal_wait_seconds",
        "Time for which entries have waited for the disk while none became durable; 0: none waits.",
        Seconds(wait),
    );
    page.family("mizan_alarm", "gauge", "1 while an alarm stands.");
    for alarm in Alarm::ALL {
        let is_raised = u8::from(status.alarms.contains(alarm));
        page.sample("mizan_alarm", "alarm", alarm.name(), is_raised);
    }
    page.counter(
        "mizan_clock_jumps_total",
        "How often the wall clock began to be held back.",
        status.clock_jumps,
    );
}

fn progress(page: &mut Page, status: &NodeStatus) {
    let sequences = &status.sequences;
    for (name, help, value) in [
        (
            "mizan_sequence_published",
            "Last log entry with a place in the order.",
            sequences.published,
        ),
        ("mizan_sequence_appended", "Last log entry written to the journal.", sequences.appended),
        ("mizan_sequence_durable", "Last log entry that is durable here.", sequences.durable),
        ("mizan_sequence_applied", "Last log entry applied by the engine.", sequences.applied),
        ("mizan_sequence_commit", "Last log entry whose reply was released.", sequences.commit),
        (
            "mizan_digest_sequence",
            "Log entry of the last committed digest of the state.",
            status.digest_sequence,
        ),
    ] {
        page.gauge(name, help, value);
    }
    page.family("mizan_ring_cells", "gauge", "Cells of a ring in use.");
    page.sample("mizan_ring_cells", "ring", "requests", status.ring.used);
    page.sample("mizan_ring_cells", "ring", "outputs", status.output_ring.used);
    page.family("mizan_ring_cells_max", "gauge", "Cells of a ring.");
    page.sample("mizan_ring_cells_max", "ring", "requests", status.ring.size);
    page.sample("mizan_ring_cells_max", "ring", "outputs", status.output_ring.size);
}

fn journal(page: &mut Page, status: &NodeStatus) {
    let journal = &status.journal;
    page.family("mizan_journal_groups_total", "counter", "Groups written, each with one sync.");
    let by_journal = journal.groups.saturating_sub(journal.groups_inline);
    page.sample("mizan_journal_groups_total", "thread", "journal", by_journal);
    page.sample("mizan_journal_groups_total", "thread", "front", journal.groups_inline);
    page.counter(
        "mizan_journal_sync_seconds_total",
        "Time in syncs of groups.",
        Seconds(journal.sync_ns),
    );
    page.gauge(
        "mizan_journal_space_low",
        "1 while writes are refused for want of room.",
        u8::from(journal.space_is_low),
    );
    page.gauge(
        "mizan_journal_stalled",
        "1 while accepted entries wait for room.",
        u8::from(journal.is_stalled),
    );
    for (name, help, value) in [
        (
            "mizan_disk_free_bytes",
            "Free for the process on the data directory's file system.",
            journal.disk_free_bytes,
        ),
        ("mizan_disk_size_bytes", "Size of that file system.", journal.disk_total_bytes),
        (
            "mizan_recovery_read_bytes",
            "Bytes of the journal read at start.",
            journal.recovery_bytes_done,
        ),
        ("mizan_recovery_size_bytes", "Bytes to be read at start.", journal.recovery_bytes_total),
        (
            "mizan_scrub_damaged_segments",
            "Sealed segments in which the scrubber's last look found damage.",
            journal.scrub_damaged,
        ),
    ] {
        page.gauge(name, help, value);
    }
    page.counter(
        "mizan_scrub_read_bytes_total",
        "Bytes of sealed segments read by the scrubber.",
        journal.scrub_bytes,
    );
    page.counter(
        "mizan_scrub_passes_total",
        "Its passes over all sealed segments.",
        journal.scrub_passes,
    );
    page.gauge(
        "mizan_scrub_pass_timestamp_seconds",
        "When its last pass ended, since 1970; 0 if none has.",
        Seconds(journal.scrub_pass_at_ns),
    );
}

fn engine(page: &mut Page, status: &NodeStatus) {
    page.family("mizan_table_entries", "gauge", "Entries of a table of the engine.");
    for limit in &status.limits {
        page.sample("mizan_table_entries", "table", limit.name, limit.used);
    }
    page.family("mizan_table_entries_max", "gauge", "Entries that fit, fixed at format.");
    for limit in &status.limits {
        page.sample("mizan_table_entries_max", "table", limit.name, limit.max);
    }
    page.gauge(
        "mizan_engine_timestamp_seconds",
        "The engine's last timestamp, since 1970.",
        Seconds(status.engine_timestamp_ns),
    );
}

fn gateway(page: &mut Page, status: &NodeStatus) {
    let gateway = &status.gateway;
    for (name, help, value) in [
        ("mizan_connections", "Client connections now.", gateway.connections),
        ("mizan_requests_in_flight", "Requests accepted and not yet answered.", gateway.in_flight),
        ("mizan_unsent_bytes", "Bytes of replies that wait for sockets.", gateway.unsent_bytes),
    ] {
        page.gauge(name, help, value);
    }
    for (name, help, value) in [
        ("mizan_connections_accepted_total", "Client connections accepted.", gateway.accepted),
        (
            "mizan_accept_failures_total",
            "Connections lost for want of a descriptor or a watch.",
            gateway.accept_failures,
        ),
        ("mizan_hellos_total", "Hellos that came through.", gateway.hellos),
        (
            "mizan_sessions_taken_over_total",
            "Sessions that moved to a newer connection.",
            gateway.taken_over,
        ),
        ("mizan_requests_total", "Requests that got a place in the ring.", gateway.requests),
        (
            "mizan_requests_refused_total",
            "Requests refused before they got one.",
            gateway.requests_refused,
        ),
        ("mizan_replies_total", "Replies sent on their way.", gateway.replies),
        (
            "mizan_replies_dropped_total",
            "Replies whose connection was gone.",
            gateway.replies_dropped,
        ),
        ("mizan_received_bytes_total", "Bytes read from clients.", gateway.bytes_in),
        ("mizan_sent_bytes_total", "Bytes written to clients.", gateway.bytes_out),
        (
            "mizan_connections_cut_partial_total",
            "Connections cut off because a request stayed incomplete.",
            gateway.cut_off_partial,
        ),
        (
            "mizan_connections_cut_slow_total",
            "Connections cut off because replies were not read.",
            gateway.cut_off_slow,
        ),
        (
            "mizan_frame_errors_total",
            "Connections ended for a malformed frame.",
            gateway.frame_errors,
        ),
    ] {
        page.counter(name, help, value);
    }
    page.family(
        "mizan_refusals_total",
        "counter",
        "Requests, hellos and connections that were answered with a status other than ok.",
    );
    for (reason, count) in &gateway.refusals {
        page.sample("mizan_refusals_total", "reason", reason, count);
    }
}

fn cluster(page: &mut Page, status: &NodeStatus, now: &Moment) {
    let cluster = &status.cluster;
    page.family("mizan_role", "gauge", "1 for what the node is.");
    for role in NodeRole::ALL.into_iter().filter(|role| *role != NodeRole::Unknown) {
        page.sample("mizan_role", "role", role.name(), u8::from(role == cluster.role));
    }
    for (name, help, value) in [
        ("mizan_epoch", "The epoch; for a standby the highest that it has seen.", cluster.epoch),
        (
            "mizan_cluster_nodes",
            "Nodes of the cluster; 0 for a single node.",
            cluster.node_count.into(),
        ),
        (
            "mizan_min_sync",
            "Durable copies that an acknowledgement needs; 0 for a single node.",
            cluster.min_sync.into(),
        ),
        (
            "mizan_min_sync_base",
            "Durable copies that it is to need again.",
            cluster.min_sync_base.into(),
        ),
        (
            "mizan_in_sync_nodes",
            "Nodes whose copies count now, this one included.",
            status.in_sync() as u64,
        ),
        (
            "mizan_standby_can_take_over",
            "1 for a standby that may be promoted without losing anything.",
            cluster.can_take_over.into(),
        ),
        (
            "mizan_standby_lag_entries",
            "On a standby: entries of the primary's log that are not durable here.",
            status.lag_behind_primary(),
        ),
    ] {
        page.gauge(name, help, value);
    }
    for (name, help, value) in [
        (
            "mizan_log_read_bytes_total",
            "Bytes read from the own log for other nodes.",
            cluster.log_read_bytes,
        ),
        (
            "mizan_log_sent_bytes_total",
            "Bytes of log that came of it, each as often as it was read for a node.",
            cluster.log_sent_bytes,
        ),
        (
            "mizan_log_read_failures_total",
            "Reads of the log for other nodes that found no intact frame.",
            cluster.log_read_failures,
        ),
        ("mizan_read_rounds_total", "Rounds begun to confirm reads.", cluster.read_rounds),
    ] {
        page.counter(name, help, value);
    }
    peers(page, status, now);
}

/// A family of peers: name, type, help, value.
type PeerFamily<'a> = (&'a str, &'a str, &'a str, &'a dyn Fn(&PeerStatus) -> u64);

fn peers(page: &mut Page, status: &NodeStatus, now: &Moment) {
    let families: [PeerFamily<'_>; 8] = [
        ("mizan_peer_connected", "gauge", "1 while connected.", &|peer| {
            peer.figures.is_connected.into()
        }),
        ("mizan_peer_admitted", "gauge", "1 if the peer's disk is one that counts.", &|peer| {
            peer.figures.is_admitted.into()
        }),
        (
            "mizan_peer_in_sync",
            "gauge",
            "1 while its copies count and it has all that is committed.",
            &|peer| peer.figures.is_in_sync.into(),
        ),
        ("mizan_peer_received_sequence", "gauge", "Last log entry it has received.", &|peer| {
            peer.figures.received
        }),
        ("mizan_peer_durable_sequence", "gauge", "Last log entry durable there.", &|peer| {
            peer.figures.durable
        }),
        ("mizan_peer_applied_sequence", "gauge", "Last log entry it has applied.", &|peer| {
            peer.figures.applied
        }),
        ("mizan_peer_lag_entries", "gauge", "Log entries that are not durable there.", &|peer| {
            peer.lag_entries
        }),
        ("mizan_peer_connects_total", "counter", "Connections made with it.", &|peer| {
            peer.figures.connects
        }),
    ];
    for (name, sort, help, value) in families {
        page.family(name, sort, help);
        for peer in &status.peers {
            page.sample(name, "peer", peer.figures.node_index, value(peer));
        }
    }
    let name = "mizan_peer_silence_seconds";
    page.family(name, "gauge", "Time since it was last heard; missing if it never was.");
    for peer in &status.peers {
        if let Some(time) = status.since(now, peer.figures.heard_monotonic_ns) {
            page.sample(name, "peer", peer.figures.node_index, Seconds(time.as_nanos() as u64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Alarms, Limit, PeerFigures};
    use std::collections::{BTreeMap, BTreeSet};

    const DOCS: &str = include_str!("../../../docs/operating/monitoring.md");

    fn full() -> String {
        let peer = PeerFigures {
            node_index: 1,
            heard_monotonic_ns: 500_000_000,
            durable: 7,
            ..PeerFigures::default()
        };
        let mut status = NodeStatus {
            boot: 9,
            started_at_ns: 1_700_000_000_000_000_001,
            alarms: Alarms::NONE.with(Alarm::SingleCopy, true),
            peers: vec![PeerStatus { figures: peer, lag_entries: 3 }],
            ..NodeStatus::default()
        };
        status.gateway.refusals = vec![("not_primary", 12)];
        status.limits = ["a", "b"].map(|name| Limit { name, ..Limit::default() }).to_vec();
        metrics_page(&status, &Moment { monotonic_ns: 2_000_000_000, boot: 9 })
    }

    /// Name, labels, value.
    type Sample<'a> = (&'a str, &'a str, &'a str);

    /// Families with their type, and samples; panics on any line that is neither.
    fn parse(page: &str) -> (BTreeMap<&str, &str>, Vec<Sample<'_>>) {
        let (mut families, mut samples, mut helped) = (BTreeMap::new(), Vec::new(), "");
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                helped = rest.split_once(' ').expect("a help text").0;
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, sort) = rest.split_once(' ').expect("a type");
                assert_eq!(name, helped, "HELP comes before TYPE");
                assert!(families.insert(name, sort).is_none(), "{name} is there twice");
            } else {
                let (series, value) = line.rsplit_once(' ').expect("a value");
                let (name, labels) = series.split_once('{').unwrap_or((series, ""));
                assert!(families.contains_key(name), "{line}: no family before it");
                assert!(value.parse::<f64>().is_ok(), "{line}");
                samples.push((name, labels, value));
            }
        }
        (families, samples)
    }

    #[test]
    fn every_line_is_help_type_or_a_sample_of_the_family_above_it() {
        let page = full();
        let (families, samples) = parse(&page);
        for (name, sort) in &families {
            assert!(name.starts_with("mizan_"), "{name}");
            assert_eq!(name.ends_with("_total"), *sort == "counter", "{name}");
            assert!(matches!(*sort, "counter" | "gauge"), "{name}");
        }
        let series: BTreeSet<_> = samples.iter().map(|(name, labels, _)| (name, labels)).collect();
        assert_eq!(series.len(), samples.len(), "no series is there twice");
        for expected in [
            ("mizan_start_time_seconds", "", "1700000000.000000001"),
            ("mizan_alarm", "alarm=\"single_copy\"}", "1"),
            ("mizan_alarm", "alarm=\"insecure\"}", "0"),
            ("mizan_peer_lag_entries", "peer=\"1\"}", "3"),
            ("mizan_peer_silence_seconds", "peer=\"1\"}", "1.500000000"),
            ("mizan_refusals_total", "reason=\"not_primary\"}", "12"),
        ] {
            assert!(samples.contains(&expected), "{expected:?}");
        }
    }

    #[test]
    fn the_page_on_monitoring_names_every_family_and_no_other() {
        let page = full();
        let (families, _) = parse(&page);
        let documented: BTreeSet<&str> = DOCS
            .lines()
            .filter_map(|line| line.strip_prefix("| `mizan_")?.split_once('`'))
            .filter(|(_, rest)| rest.starts_with(" | gauge |") || rest.starts_with(" | counter |"))
            .map(|(name, _)| name)
            .collect();
        let rendered: BTreeSet<&str> =
            families.keys().map(|name| name.strip_prefix("mizan_").expect("checked")).collect();
        assert_eq!(documented, rendered);
    }
}
