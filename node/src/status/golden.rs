//! A file of counters of version 1, word by word, which every later build must read in the same way.

use super::board::{Board, Glimpse};
use super::layout::{COUNTERS_WORDS, word};
use super::{
    AckPolicy, Alarms, ClusterCounters, ClusterFigures, Condition, GatewayFigures, JournalFigures,
    Limit, Moment, NodeRole, NodeStatus, PeerFigures, PeerStatus, Phase, RingFigures, Sequences,
    advice, metrics_page, readiness,
};
use crate::layout::Layout;
use mizan_wire::{RequestStatus, Status};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Words of a file of version 1, by their offsets in bytes as the reference draws them: never to be changed.
const GOLDEN: &[(usize, &[u64])] = &[
    (0, &[0x544e_554f_435a_494d, 1, 512, 900, 900, 3, 4_242]),
    (64, &[0x11, 0x22, 2, 3, 0x33, 0x44, 1_700_000_000_000_000_000, 5_000, 2, 1 << 3]),
    (192, &[77, 6_000, 1_700_000_000_000_000_500, 78, 6_100]),
    (
        256,
        &[
            2, 9, 105, 104, 103, 102, 101, 11, 12, 13, 14, 15, 16, 17, 1, 1, 18, 1, 96, 0x55, 0x66,
            19, 20, 21, 22,
        ],
    ),
    (456, &[63, 64, 65, 66, 5_700]),
    (512, &[23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38]),
    (768, &[39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49]),
    (1_024, &[50]),
    (1_216, &[51]),
    (1_536, &[52, 1, 3, 2, 3, 3, 4, 1, 1, 2, 53, 1 << 16, 59, 60, 61, 62]),
    (1_920, &[3, 1, 1, 1, 54, 55, 56, 57, 5_900, 58]),
];

/// Offset and value of each of them.
fn golden_words() -> impl Iterator<Item = (usize, u64)> {
    GOLDEN.iter().flat_map(|(offset, values)| {
        values.iter().enumerate().map(move |(place, value)| (offset + 8 * place, *value))
    })
}

fn golden_status() -> NodeStatus {
    let peer = PeerFigures {
        node_index: 2,
        is_connected: true,
        is_admitted: true,
        is_in_sync: true,
        received: 54,
        durable: 55,
        applied: 56,
        lag_bytes: 57,
        heard_monotonic_ns: 5_900,
        connects: 58,
    };
    let limit = |name, used, max| Limit { name, used, max };
    NodeStatus {
        is_whole: true,
        phase: Phase::Running,
        process: 4_242,
        cluster_id: 0x22 << 64 | 0x11,
        node: 2,
        incarnation: 3,
        boot: 0x44 << 64 | 0x33,
        started_at_ns: 1_700_000_000_000_000_000,
        started_monotonic_ns: 5_000,
        layout: Some(Layout::Split),
        beats: 77,
        beat_monotonic_ns: 6_000,
        beat_realtime_ns: 1_700_000_000_000_000_500,
        copies: 78,
        sequences: golden_sequences(),
        ring: RingFigures { used: 11, size: 12 },
        output_ring: RingFigures { used: 13, size: 14 },
        journal: JournalFigures {
            groups: 15,
            groups_inline: 16,
            sync_ns: 17,
            space_is_low: true,
            is_stalled: true,
            recovery_bytes_done: 19,
            recovery_bytes_total: 20,
            disk_free_bytes: 21,
            disk_total_bytes: 22,
            scrub_bytes: 63,
            scrub_passes: 64,
            scrub_damaged: 65,
            scrub_pass_at_ns: 66,
            waits_since_ns: 5_700,
        },
        gateway: golden_gateway(),
        limits: vec![
            limit("accounts", 39, 40),
            limit("transfers", 41, 42),
            limit("holds", 43, 44),
            limit("sessions", 45, 46),
            limit("ledgers", 47, 48),
        ],
        engine_timestamp_ns: 49,
        clock_jumps: 18,
        digest_sequence: 96,
        digest: 0x66 << 64 | 0x55,
        cluster: golden_cluster(),
        cluster_updates: 52,
        peers: vec![PeerStatus { figures: peer, lag_entries: 49 }],
        alarms: Alarms::from_bits(1 << 16 | 1 << 3),
    }
}

const fn golden_sequences() -> Sequences {
    Sequences { published: 105, appended: 104, durable: 103, applied: 102, commit: 101 }
}

fn golden_gateway() -> GatewayFigures {
    let counted = |status: &RequestStatus| match status {
        RequestStatus::BadMagic => 50,
        RequestStatus::JournalSpaceLow => 51,
        _ => 0,
    };
    let refusals = RequestStatus::PRECEDENCE.iter().filter(|status| status.number() != 0);
    GatewayFigures {
        connections: 23,
        accepted: 24,
        accept_failures: 25,
        hellos: 26,
        taken_over: 27,
        requests: 28,
        requests_refused: 29,
        replies: 30,
        replies_dropped: 31,
        in_flight: 32,
        unsent_bytes: 33,
        bytes_in: 34,
        bytes_out: 35,
        cut_off_partial: 36,
        cut_off_slow: 37,
        frame_errors: 38,
        refusals: refusals.map(|status| (status.name(), counted(status))).collect(),
    }
}

fn golden_cluster() -> ClusterFigures {
    ClusterFigures {
        role: NodeRole::Primary,
        epoch: 9,
        node_index: 1,
        node_count: 3,
        min_sync: 2,
        min_sync_base: 3,
        policy: AckPolicy::TwoDisks,
        config_revision: 4,
        is_admitted: true,
        can_take_over: true,
        primary: Some(1),
        primary_sequence: 53,
        log_read_bytes: 59,
        log_sent_bytes: 60,
        read_rounds: 61,
        log_read_failures: 62,
        alarms: Alarms::from_bits(1 << 16),
    }
}

#[test]
fn a_file_of_version_1_is_read_as_ever() {
    let mut bytes = vec![0_u8; 4_096];
    for (offset, value) in golden_words() {
        bytes[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
    }
    assert_eq!(&bytes[..8], b"MIZCOUNT");
    let place = tempfile::tempdir().expect("a directory");
    std::fs::write(place.path().join("counters"), &bytes).expect("written");
    assert_eq!(NodeStatus::read(place.path()).expect("readable"), golden_status());
}

#[test]
fn what_the_cluster_stores_stands_where_the_golden_file_has_it() {
    let board = Arc::new(Board::new());
    let counters = ClusterCounters::new(Arc::clone(&board));
    let golden = golden_status();
    board.set(word::CLUSTER_UPDATES, 51);
    counters.set(&golden.cluster);
    counters.set_sequences(&golden.sequences);
    counters.set_peer(1, Some(&golden.peers[0].figures));
    counters.set_peer(0, Some(&golden.peers[0].figures));
    counters.set_peer(0, None);
    counters.set_peer(ClusterCounters::PEERS_MAX, Some(&golden.peers[0].figures));
    let glimpse = board.glimpse();
    let stored = [256..=304, 1_536..=1_992];
    for (offset, value) in golden_words().filter(|(at, _)| stored.iter().any(|of| of.contains(at)))
    {
        assert_eq!(glimpse.words[offset / 8], value, "offset {offset}");
    }
    let known: BTreeSet<usize> = golden_words().map(|(offset, _)| offset / 8).collect();
    let strays = (0..COUNTERS_WORDS).filter(|index| !known.contains(index));
    assert!(strays.into_iter().all(|index| glimpse.words[index] == 0));
}

#[test]
fn any_words_can_be_read() {
    for filling in [u64::MAX, 1 << 63, 0x5555_5555_5555_5555] {
        let words = Box::new([filling; COUNTERS_WORDS]);
        let status = NodeStatus::of(&Glimpse { words, is_whole: false });
        assert_eq!((status.phase, status.cluster.role), (Phase::Unknown, NodeRole::Unknown));
        let now = Moment { monotonic_ns: 7, boot: status.boot };
        assert!(!metrics_page(&status, &now).is_empty());
        assert!(!readiness(&status, &now).is_empty());
        let condition = Condition::of(&status, Some(1), &now);
        let _ = advice(&status, condition, &now);
    }
}
