//! How the part of a node that replicates says where it stands.
//!
//! A [`ClusterCounters`] is cheap to clone; each of its calls belongs to one thread. A call is some twenty relaxed
//! stores into memory, never waits, and may be made as often as anything changes; ten times a second is enough. A node
//! for which nobody makes a call is a single one.

use super::alarm::Alarms;
use super::beat::{beat_standby, store_engine};
use super::board::Board;
use super::layout::{PEER_WORDS, PEERS, peer, word};
use super::snapshot::NodeStatus;
use mizan_gateway::GatewayCounters;
use mizan_wire::EngineStatus;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// What a node is, as it knows itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum NodeRole {
    /// Nothing is said, or not in words of this build.
    #[default]
    Unknown = 0,
    /// A node without others.
    Single = 1,
    /// Takes requests.
    Primary = 2,
    /// Follows a primary and has all that it sent.
    Live = 3,
    /// Follows a primary and is not up to date.
    CatchingUp = 4,
    /// Has nobody to follow.
    Waiting = 5,
    /// Is about to take over.
    Candidate = 6,
    /// Stopped with an alarm.
    Stopped = 7,
}

impl NodeRole {
    /// All roles.
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Single,
        Self::Primary,
        Self::Live,
        Self::CatchingUp,
        Self::Waiting,
        Self::Candidate,
        Self::Stopped,
    ];

    /// The name in metrics and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Single => "single",
            Self::Primary => "primary",
            Self::Live => "standby",
            Self::CatchingUp => "catching_up",
            Self::Waiting => "waiting",
            Self::Candidate => "candidate",
            Self::Stopped => "stopped",
        }
    }

    pub(crate) fn from_word(word: u64) -> Self {
        Self::ALL.into_iter().find(|role| *role as u64 == word).unwrap_or_default()
    }

    /// Whether the node's own stages write the log, so that their cursors are its sequences.
    pub(crate) const fn takes_requests(self) -> bool {
        matches!(self, Self::Single | Self::Primary)
    }
}

/// What an acknowledgement guarantees.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum AckPolicy {
    /// A node without others: fsynced here.
    #[default]
    Single = 0,
    /// One fsynced copy, on the primary.
    Disk = 1,
    /// As many fsynced copies as are needed to count.
    TwoDisks = 3,
}

impl AckPolicy {
    /// The name, as options and status write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Disk => "disk",
            Self::TwoDisks => "two-disks",
        }
    }

    pub(crate) fn from_word(word: u64) -> Self {
        let all = [Self::Single, Self::Disk, Self::TwoDisks];
        all.into_iter().find(|policy| *policy as u64 == word).unwrap_or_default()
    }
}

/// How far a log is. Sequences of the last entry each; 0 for none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sequences {
    /// Has its place in the order.
    pub published: u64,
    /// Was written to the journal, synced or not.
    pub appended: u64,
    /// Is durable here.
    pub durable: u64,
    /// Was applied by the engine.
    pub applied: u64,
    /// Had its reply released; on a standby: is known to be committed.
    pub commit: u64,
}

/// Where a node of a cluster stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ClusterFigures {
    /// What it is.
    pub role: NodeRole,
    /// Its epoch; for a standby the highest that it has seen.
    pub epoch: u64,
    /// This node's place in the cluster, from 0.
    pub node_index: u8,
    /// Nodes of the cluster; 0 for a single node.
    pub node_count: u8,
    /// Durable copies that an acknowledgement needs now.
    pub min_sync: u8,
    /// Durable copies that it is to need again when enough nodes have caught up.
    pub min_sync_base: u8,
    /// What an acknowledgement guarantees.
    pub policy: AckPolicy,
    /// Number of the config record.
    pub config_revision: u32,
    /// Whether this node's disk is one that counts.
    pub is_admitted: bool,
    /// Whether this standby may be promoted without losing anything. Of no meaning on a primary.
    pub can_take_over: bool,
    /// Place of the primary, if one is known.
    pub primary: Option<u8>,
    /// Last entry of the primary's log, as far as known here.
    pub primary_sequence: u64,
    /// What somebody has to look at; the node's own alarms are not to be repeated here.
    pub alarms: Alarms,
    /// Bytes that this node read from its log for other nodes.
    pub log_read_bytes: u64,
    /// Bytes of log that came of it, each as often as it was read for a node.
    pub log_sent_bytes: u64,
    /// Rounds begun to confirm reads.
    pub read_rounds: u64,
    /// Reads of the log for other nodes that found no intact frame.
    pub log_read_failures: u64,
}

/// Where another node of the cluster stands, as far as this one knows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PeerFigures {
    /// Its place in the cluster, from 0.
    pub node_index: u8,
    /// Whether there is a connection.
    pub is_connected: bool,
    /// Whether its disk is one that counts.
    pub is_admitted: bool,
    /// Whether its copies count for acknowledgements and it has all that is committed.
    pub is_in_sync: bool,
    /// Last entry that it has received.
    pub received: u64,
    /// Last entry that is durable there.
    pub durable: u64,
    /// Last entry that it has applied.
    pub applied: u64,
    /// Bytes of log that it has not received; a node does not count them yet, and shows them nowhere.
    pub lag_bytes: u64,
    /// When it was last heard, by the monotonic clock (`CLOCK_BOOTTIME`) in nanoseconds; 0 for never.
    pub heard_monotonic_ns: u64,
    /// Connections made with it since the start.
    pub connects: u64,
}

/// Where the part that replicates stores its figures. Cheap to clone.
#[derive(Clone)]
pub struct ClusterCounters {
    board: Arc<Board>,
}

impl std::fmt::Debug for ClusterCounters {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ClusterCounters").finish_non_exhaustive()
    }
}

impl ClusterCounters {
    /// Peers that have a place.
    pub const PEERS_MAX: usize = PEERS;

    pub(crate) const fn new(board: Arc<Board>) -> Self {
        Self { board }
    }

    /// Counters of no node, for tests of their caller.
    #[must_use]
    pub fn detached() -> Self {
        Self::new(Arc::new(Board::new()))
    }

    /// Stores where the node stands in its cluster.
    pub fn set(&self, figures: &ClusterFigures) {
        let board = &self.board;
        for (index, value) in [
            (word::EPOCH, figures.epoch),
            (word::NODE_INDEX, figures.node_index.into()),
            (word::NODE_COUNT, figures.node_count.into()),
            (word::MIN_SYNC, figures.min_sync.into()),
            (word::MIN_SYNC_BASE, figures.min_sync_base.into()),
            (word::POLICY, figures.policy as u64),
            (word::CONFIG_REVISION, figures.config_revision.into()),
            (word::ADMITTED, figures.is_admitted.into()),
            (word::CAN_TAKE_OVER, figures.can_take_over.into()),
            (word::PRIMARY, figures.primary.map_or(0, |index| u64::from(index) + 1)),
            (word::PRIMARY_SEQUENCE, figures.primary_sequence),
            (word::CLUSTER_ALARMS, figures.alarms.bits()),
            (word::LOG_READ_BYTES, figures.log_read_bytes),
            (word::LOG_SENT_BYTES, figures.log_sent_bytes),
            (word::READ_ROUNDS, figures.read_rounds),
            (word::LOG_READ_FAILURES, figures.log_read_failures),
        ] {
            board.set(index, value);
        }
        // Who sees the new role sees what belongs to it.
        fence(Ordering::Release);
        board.set(word::ROLE, figures.role as u64);
        board.set(word::CLUSTER_UPDATES, board.get(word::CLUSTER_UPDATES).wrapping_add(1));
    }

    /// Stores how far this node's log is, where the node's own stages do not write it: on a standby. While the role is
    /// single or primary, the front stores its own at every beat.
    pub fn set_sequences(&self, sequences: &Sequences) {
        store_sequences(&self.board, sequences);
    }

    /// Stores how full the engine is, where no engine stage does: on a standby.
    pub fn set_engine(&self, engine: &EngineStatus) {
        store_engine(&self.board, engine);
    }

    /// A sign of life of the thread that serves a standby's clients, with what its gateway did. To be called in every
    /// round of its loop, at least ten times a second, and by that thread alone; once it runs a front, that does it.
    /// Cost: a look at the clock; ten times a second a microsecond.
    pub fn beat(&self, gateway: &GatewayCounters) {
        beat_standby(&self.board, gateway);
    }

    /// What the board shows.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        NodeStatus::of(&self.board.glimpse())
    }

    /// Stores where a peer stands; `None` empties the place. Places beyond [`ClusterCounters::PEERS_MAX`] are left out.
    pub fn set_peer(&self, place: usize, figures: Option<&PeerFigures>) {
        if place >= PEERS {
            return;
        }
        let first = word::PEER + place * PEER_WORDS;
        let Some(figures) = figures else {
            (first..first + PEER_WORDS).for_each(|index| self.board.set(index, 0));
            return;
        };
        for (index, value) in [
            (peer::NODE, u64::from(figures.node_index) + 1),
            (peer::CONNECTED, figures.is_connected.into()),
            (peer::ADMITTED, figures.is_admitted.into()),
            (peer::IN_SYNC, figures.is_in_sync.into()),
            (peer::RECEIVED, figures.received),
            (peer::DURABLE, figures.durable),
            (peer::APPLIED, figures.applied),
            (peer::LAG_BYTES, figures.lag_bytes),
            (peer::HEARD, figures.heard_monotonic_ns),
            (peer::CONNECTS, figures.connects),
        ] {
            self.board.set(first + index, value);
        }
    }
}

pub(super) fn store_sequences(board: &Board, sequences: &Sequences) {
    board.set(word::PUBLISHED, sequences.published);
    board.set(word::APPENDED, sequences.appended);
    board.set(word::DURABLE, sequences.durable);
    board.set(word::APPLIED, sequences.applied);
    board.set(word::COMMIT, sequences.commit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn the_front_of_a_standby_shows_that_it_lives_and_what_its_gateway_did() {
        let counters = ClusterCounters::detached();
        counters.beat(&GatewayCounters { accepted: 1, ..GatewayCounters::default() });
        counters.beat(&GatewayCounters { accepted: 2, ..GatewayCounters::default() });
        let status = counters.status();
        assert_eq!((status.beats, status.gateway.accepted), (1, 1), "one beat is enough");
        assert!(status.beat_monotonic_ns > 0 && status.is_whole);
        let deadline = Instant::now() + Duration::from_secs(60);
        while counters.status().beats < 2 {
            assert!(Instant::now() < deadline, "no second beat");
            counters.beat(&GatewayCounters { accepted: 3, ..GatewayCounters::default() });
        }
        assert_eq!(counters.status().gateway.accepted, 3);
    }

    #[test]
    fn the_engine_of_a_standby_is_shown_without_a_word_on_its_progress() {
        let counters = ClusterCounters::detached();
        counters.set(&ClusterFigures { role: NodeRole::Live, ..ClusterFigures::default() });
        counters.set_sequences(&Sequences { applied: 9, ..Sequences::default() });
        counters.set_engine(&EngineStatus {
            sequence: 5,
            account_count: 3,
            account_count_max: 4,
            ..EngineStatus::default()
        });
        let status = counters.status();
        assert_eq!((status.sequences.applied, status.limits[0].used), (9, 3));
        assert_eq!(status.limits[0].max, 4);
    }
}
