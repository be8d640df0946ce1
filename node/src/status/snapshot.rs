//! A board as somebody reads it: words with their meaning.
//!
//! Invariant: any words can be read, whoever wrote them; a number that means nothing to this build is *unknown*.

use super::alarm::Alarms;
use super::board::{Glimpse, glimpse_file};
use super::cluster::{AckPolicy, ClusterFigures, NodeRole, PeerFigures, Sequences};
use super::layout::{
    COUNTERS_VERSION, COUNTERS_WORDS, MAGIC, PEER_WORDS, PEERS, REFUSAL_FIRST, REFUSALS, peer, word,
};
use crate::layout::Layout;
use mizan_journal::constants::COUNTERS_FILE;
use mizan_memory::CountersReader;
use mizan_wire::{RequestStatus, Status};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why the file of counters tells nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StatusError {
    /// There is none: no node of a release that writes one has run on the directory, or it is not ready yet.
    #[error("{} is not there: no node has run here since the directory was made", .0.display())]
    Missing(PathBuf),
    /// The file is no file of counters.
    #[error("{} is no file of counters; the next start of the node makes a new one", .0.display())]
    Foreign(PathBuf),
    /// Another release wrote it.
    #[error("{} has version {version}; use the release that wrote it", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that it names.
        version: u64,
    },
    /// It could not be read.
    #[error("failed to read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What the process is doing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum Phase {
    /// Nothing is said, or not in words of this build.
    #[default]
    Unknown = 0,
    /// Reads its journal.
    Recovering = 1,
    /// Has recovered and listens, but does not serve yet.
    Opened = 2,
    /// Serves.
    Running = 3,
    /// Answers what it has accepted, and nothing else.
    Stopping = 4,
    /// Ended in order.
    Stopped = 5,
    /// Ended with an error.
    Failed = 6,
}

impl Phase {
    /// All phases.
    pub const ALL: [Self; 7] = [
        Self::Unknown,
        Self::Recovering,
        Self::Opened,
        Self::Running,
        Self::Stopping,
        Self::Stopped,
        Self::Failed,
    ];

    /// The name in metrics and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Recovering => "recovering",
            Self::Opened => "opened",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }

    fn from_word(word: u64) -> Self {
        Self::ALL.into_iter().find(|phase| *phase as u64 == word).unwrap_or_default()
    }
}

/// How full a ring is, in cells.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RingFigures {
    /// Cells in use.
    pub used: u64,
    /// Cells in all.
    pub size: u64,
}

/// How much of a limit that was fixed at format is used.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Limit {
    /// What is limited, in metrics and JSON.
    pub name: &'static str,
    /// In use.
    pub used: u64,
    /// What fits.
    pub max: u64,
}

impl Limit {
    /// Hundredths that are used, rounded down; 0 for a table that is not there.
    #[must_use]
    pub fn percent(&self) -> u64 {
        let percent = u128::from(self.used) * 100 / u128::from(self.max.max(1));
        if self.max == 0 { 0 } else { u64::try_from(percent).unwrap_or(u64::MAX) }
    }

    /// Whether it grows with use. How many ledgers and instruments there are is a choice, and all of them may be taken.
    #[must_use]
    pub fn grows_with_use(&self) -> bool {
        !matches!(self.name, "ledgers" | "instruments")
    }
}

/// How the journal is doing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct JournalFigures {
    /// Groups written, each with one sync.
    pub groups: u64,
    /// Of these, groups that the front's thread wrote.
    pub groups_inline: u64,
    /// Nanoseconds in these syncs, in all.
    pub sync_ns: u64,
    /// Writes are refused for want of room.
    pub space_is_low: bool,
    /// Accepted entries wait for room.
    pub is_stalled: bool,
    /// Bytes that are free on the file system; with `disk_total_bytes` 0: unknown.
    pub disk_free_bytes: u64,
    /// Size of the file system in bytes, 0 for unknown.
    pub disk_total_bytes: u64,
    /// Bytes of the journal read at start.
    pub recovery_bytes_done: u64,
    /// Bytes to be read at start.
    pub recovery_bytes_total: u64,
    /// Bytes of sealed segments read by the scrubber.
    pub scrub_bytes: u64,
    /// Its passes over all sealed segments.
    pub scrub_passes: u64,
    /// When the last one ended, nanoseconds since 1970; 0: none has.
    pub scrub_pass_at_ns: u64,
    /// Sealed segments in which its last look found damage.
    pub scrub_damaged: u64,
    /// Since when entries wait for the disk and none became durable, by the monotonic clock; 0: none waits.
    pub waits_since_ns: u64,
}

/// What the gateway did and holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GatewayFigures {
    /// Connections now.
    pub connections: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections lost for want of a descriptor or a watch.
    pub accept_failures: u64,
    /// Hellos that came through.
    pub hellos: u64,
    /// Sessions that moved to a newer connection.
    pub taken_over: u64,
    /// Requests that got a place in the ring.
    pub requests: u64,
    /// Requests refused before that.
    pub requests_refused: u64,
    /// Replies sent on their way.
    pub replies: u64,
    /// Replies whose connection was gone.
    pub replies_dropped: u64,
    /// Requests accepted and not yet answered.
    pub in_flight: u64,
    /// Bytes of replies that wait for sockets.
    pub unsent_bytes: u64,
    /// Bytes read from sockets.
    pub bytes_in: u64,
    /// Bytes written to sockets.
    pub bytes_out: u64,
    /// Connections cut off because a request stayed incomplete.
    pub cut_off_partial: u64,
    /// Connections cut off because replies were not read.
    pub cut_off_slow: u64,
    /// Connections ended for a malformed frame.
    pub frame_errors: u64,
    /// What was refused or ended, by the name of the status, in the order of the statuses.
    pub refusals: Vec<(&'static str, u64)>,
}

/// A peer, and how far behind this node's log it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PeerStatus {
    /// What was stored.
    pub figures: PeerFigures,
    /// On a primary: entries of its log that are not durable there. Others know nothing of that, and say 0.
    pub lag_entries: u64,
}

/// A node as its board shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeStatus {
    /// No update came between: the figures of the last beat belong together.
    pub is_whole: bool,
    /// What the process is doing.
    pub phase: Phase,
    /// Id of the process.
    pub process: u32,
    /// The cluster's number.
    pub cluster_id: u128,
    /// The node's number in its superblock.
    pub node: u64,
    /// Incarnation of the node's disk.
    pub incarnation: u64,
    /// Id of the machine's boot.
    pub boot: u128,
    /// When the process began with the directory, nanoseconds since 1970.
    pub started_at_ns: u64,
    /// The same by the monotonic clock.
    pub started_monotonic_ns: u64,
    /// Which thread polls which stage; `None` while that is open.
    pub layout: Option<Layout>,
    /// Signs of life.
    pub beats: u64,
    /// The last one by the monotonic clock.
    pub beat_monotonic_ns: u64,
    /// The last one, nanoseconds since 1970.
    pub beat_realtime_ns: u64,
    /// Copies of the board to the file.
    pub copies: u64,
    /// How far the log is.
    pub sequences: Sequences,
    /// The request ring.
    pub ring: RingFigures,
    /// The output ring.
    pub output_ring: RingFigures,
    /// The journal.
    pub journal: JournalFigures,
    /// The gateway.
    pub gateway: GatewayFigures,
    /// What is limited since format, and how full it is.
    pub limits: Vec<Limit>,
    /// The engine's last timestamp, nanoseconds since 1970.
    pub engine_timestamp_ns: u64,
    /// How often the wall clock began to be held back.
    pub clock_jumps: u64,
    /// Sequence of the last digest that fell due and was committed; 0 for none since the start.
    pub digest_sequence: u64,
    /// That digest.
    pub digest: u128,
    /// Role, epoch and cluster.
    pub cluster: ClusterFigures,
    /// How often the figures of the cluster were stored: 0 for a single node.
    pub cluster_updates: u64,
    /// The other nodes.
    pub peers: Vec<PeerStatus>,
    /// What somebody has to look at, the node's own alarms and the cluster's.
    pub alarms: Alarms,
}

impl NodeStatus {
    /// Reads the file of counters in the data directory. Works while the node runs, hangs, or is gone.
    ///
    /// # Errors
    /// [`StatusError`]. Cost: one page.
    pub fn read(data: &Path) -> Result<Self, StatusError> {
        let path = data.join(COUNTERS_FILE);
        let file = match CountersReader::open(&path, COUNTERS_WORDS) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StatusError::Missing(path));
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(StatusError::Foreign(path));
            }
            Err(source) => return Err(StatusError::Io { path, source }),
        };
        let glimpse = glimpse_file(&file);
        if glimpse.words[word::MAGIC] != MAGIC {
            return Err(StatusError::Foreign(path));
        }
        match glimpse.words[word::VERSION] {
            COUNTERS_VERSION => Ok(Self::of(&glimpse)),
            version => Err(StatusError::Version { path, version }),
        }
    }

    pub(crate) fn of(glimpse: &Glimpse) -> Self {
        let at = |index: usize| glimpse.words[index];
        let wide = |low: usize, high: usize| u128::from(at(low)) | u128::from(at(high)) << 64;
        let sequences = sequences(&at);
        Self {
            is_whole: glimpse.is_whole,
            phase: Phase::from_word(at(word::PHASE)),
            process: at(word::PROCESS) as u32,
            cluster_id: wide(word::CLUSTER_LOW, word::CLUSTER_HIGH),
            node: at(word::NODE),
            incarnation: at(word::INCARNATION),
            boot: wide(word::BOOT_LOW, word::BOOT_HIGH),
            started_at_ns: at(word::STARTED_AT),
            started_monotonic_ns: at(word::STARTED_MONOTONIC),
            layout: layout(at(word::LAYOUT)),
            beats: at(word::BEATS),
            beat_monotonic_ns: at(word::BEAT_MONOTONIC),
            beat_realtime_ns: at(word::BEAT_REALTIME),
            copies: at(word::COPIES),
            sequences,
            ring: RingFigures { used: at(word::RING_USED), size: at(word::RING_SIZE) },
            output_ring: RingFigures { used: at(word::OUTPUTS_USED), size: at(word::OUTPUTS_SIZE) },
            journal: journal(&at),
            gateway: gateway(&at),
            limits: limits(&at),
            engine_timestamp_ns: at(word::ENGINE_TIMESTAMP),
            clock_jumps: at(word::CLOCK_JUMPS),
            digest_sequence: at(word::DIGEST_SEQUENCE),
            digest: wide(word::DIGEST_LOW, word::DIGEST_HIGH),
            cluster: cluster(&at),
            cluster_updates: at(word::CLUSTER_UPDATES),
            peers: peers(&at),
            alarms: Alarms::from_bits(
                at(word::NODE_ALARMS) | at(word::WATCH_ALARMS) | at(word::CLUSTER_ALARMS),
            ),
        }
    }
}

const fn layout(word: u64) -> Option<Layout> {
    match word {
        1 => Some(Layout::Fused),
        2 => Some(Layout::Split),
        _ => None,
    }
}

type Load<'a> = &'a dyn Fn(usize) -> u64;

fn limits(at: Load<'_>) -> Vec<Limit> {
    let limit = |(name, index)| Limit { name, used: at(index), max: at(index + 1) };
    let ledger = [
        ("accounts", word::ACCOUNTS),
        ("transfers", word::TRANSFERS),
        ("holds", word::HOLDS),
        ("sessions", word::SESSIONS),
        ("ledgers", word::LEDGERS),
    ];
    let trading = [
        ("instruments", word::INSTRUMENTS),
        ("orders", word::ORDERS),
        ("open_orders", word::OPEN_ORDERS),
        ("book_levels", word::BOOK_LEVELS),
    ];
    // A node without trading has none of these tables.
    let trading = trading.map(limit).into_iter().filter(|limit| limit.max > 0);
    ledger.map(limit).into_iter().chain(trading).collect()
}

fn sequences(at: Load<'_>) -> Sequences {
    Sequences {
        published: at(word::PUBLISHED),
        appended: at(word::APPENDED),
        durable: at(word::DURABLE),
        applied: at(word::APPLIED),
        commit: at(word::COMMIT),
    }
}

fn journal(at: Load<'_>) -> JournalFigures {
    JournalFigures {
        groups: at(word::GROUPS),
        groups_inline: at(word::GROUPS_INLINE),
        sync_ns: at(word::SYNC_NS),
        space_is_low: at(word::SPACE_LOW) != 0,
        is_stalled: at(word::STALLED) != 0,
        disk_free_bytes: at(word::DISK_FREE),
        disk_total_bytes: at(word::DISK_TOTAL),
        recovery_bytes_done: at(word::RECOVERY_DONE),
        recovery_bytes_total: at(word::RECOVERY_TOTAL),
        scrub_bytes: at(word::SCRUB_BYTES),
        scrub_passes: at(word::SCRUB_PASSES),
        scrub_pass_at_ns: at(word::SCRUB_PASS_AT),
        scrub_damaged: at(word::SCRUB_DAMAGED),
        waits_since_ns: at(word::WAITS_SINCE),
    }
}

fn gateway(at: Load<'_>) -> GatewayFigures {
    let refusals = RequestStatus::PRECEDENCE.iter().filter_map(|status| {
        let place = status.number().checked_sub(REFUSAL_FIRST)? as usize;
        (place < REFUSALS).then(|| (status.name(), at(word::REFUSED + place)))
    });
    GatewayFigures {
        connections: at(word::CONNECTIONS),
        accepted: at(word::ACCEPTED),
        accept_failures: at(word::ACCEPT_FAILURES),
        hellos: at(word::HELLOS),
        taken_over: at(word::TAKEN_OVER),
        requests: at(word::REQUESTS),
        requests_refused: at(word::REQUESTS_REFUSED),
        replies: at(word::REPLIES),
        replies_dropped: at(word::REPLIES_DROPPED),
        in_flight: at(word::IN_FLIGHT),
        unsent_bytes: at(word::UNSENT_BYTES),
        bytes_in: at(word::BYTES_IN),
        bytes_out: at(word::BYTES_OUT),
        cut_off_partial: at(word::CUT_OFF_PARTIAL),
        cut_off_slow: at(word::CUT_OFF_SLOW),
        frame_errors: at(word::FRAME_ERRORS),
        refusals: refusals.collect(),
    }
}

fn cluster(at: Load<'_>) -> ClusterFigures {
    ClusterFigures {
        role: NodeRole::from_word(at(word::ROLE)),
        epoch: at(word::EPOCH),
        node_index: at(word::NODE_INDEX) as u8,
        node_count: at(word::NODE_COUNT) as u8,
        min_sync: at(word::MIN_SYNC) as u8,
        min_sync_base: at(word::MIN_SYNC_BASE) as u8,
        policy: AckPolicy::from_word(at(word::POLICY)),
        config_revision: at(word::CONFIG_REVISION) as u32,
        is_admitted: at(word::ADMITTED) != 0,
        can_take_over: at(word::CAN_TAKE_OVER) != 0,
        primary: at(word::PRIMARY).checked_sub(1).map(|index| index as u8),
        primary_sequence: at(word::PRIMARY_SEQUENCE),
        alarms: Alarms::from_bits(at(word::CLUSTER_ALARMS)),
        log_read_bytes: at(word::LOG_READ_BYTES),
        log_sent_bytes: at(word::LOG_SENT_BYTES),
        read_rounds: at(word::READ_ROUNDS),
        log_read_failures: at(word::LOG_READ_FAILURES),
    }
}

fn peers(at: Load<'_>) -> Vec<PeerStatus> {
    let is_primary = NodeRole::from_word(at(word::ROLE)) == NodeRole::Primary;
    let sequence_last = if is_primary { at(word::APPENDED) } else { 0 };
    let peer_at = |place: usize| {
        let at = |index| at(word::PEER + place * PEER_WORDS + index);
        let node_index = at(peer::NODE).checked_sub(1)? as u8;
        let figures = PeerFigures {
            node_index,
            is_connected: at(peer::CONNECTED) != 0,
            is_admitted: at(peer::ADMITTED) != 0,
            is_in_sync: at(peer::IN_SYNC) != 0,
            received: at(peer::RECEIVED),
            durable: at(peer::DURABLE),
            applied: at(peer::APPLIED),
            lag_bytes: at(peer::LAG_BYTES),
            heard_monotonic_ns: at(peer::HEARD),
            connects: at(peer::CONNECTS),
        };
        Some(PeerStatus { figures, lag_entries: sequence_last.saturating_sub(figures.durable) })
    };
    (0..PEERS).filter_map(peer_at).collect()
}
