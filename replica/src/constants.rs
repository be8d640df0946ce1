//! Every limit of the protocol. Times are nanoseconds of a clock that never goes back.

use mizan_journal::SHARED_HEADER_SIZE;
use mizan_journal::constants::PAYLOAD_SIZE_MAX;

/// Version of the protocol.
pub const PROTOCOL_VERSION: u8 = 2;
/// Nodes of a cluster at the most.
pub const NODES_MAX: usize = 3;
/// How often a node tells its peers that it lives, and repeats what was not answered.
pub const HEARTBEAT_INTERVAL_NS: u64 = 50_000_000;
/// Silence of the primary after which a standby raises an alarm.
pub const SUSPECT_AFTER_NS: u64 = 300_000_000;
/// Silence after which a connection is given up.
pub const PEER_TIMEOUT_NS: u64 = 2_000_000_000;
/// A wall clock that a peer told longer ago says nothing of the time now.
pub const CLOCK_HEARD_WITHIN_NS: u64 = 1_000_000_000;
/// How far a wall clock that nobody can confirm may be ahead of the log's last timestamp without somebody's word: a day.
pub const CLOCK_AHEAD_MAX_NS: u64 = 86_400 * 1_000_000_000;
/// Who was heard within this time is waited for by a candidate: three heartbeats.
pub const ALIVE_WITHIN_NS: u64 = 150_000_000;
/// How long reachable peers are waited for once there is what is needed, and how long somebody who asks waits for answers.
pub const GRANT_WAIT_NS: u64 = 300_000_000;
/// After so long an operator is told what a candidate still waits for.
pub const PROMOTION_TIMEOUT_NS: u64 = 10_000_000_000;
/// Bytes of frames that a peer may be sent without having said that it received them, or without having said that they
/// are durable there: a peer whose disk is slow or full holds no more in memory.
pub const WINDOW_SIZE: u64 = 8 << 20;
/// Bytes of frames that a node takes while they are not durable there. Whoever keeps to the window sends no more.
pub const BACKLOG_SIZE_MAX: u64 = WINDOW_SIZE + MESSAGE_SIZE_MAX as u64;
/// A grant waits for frames that are on their way to the disk until it is asked for so many times: about two
/// heartbeats, less than a candidate waits. A disk that is quick has them by then, and none has to be cut off again.
pub const GRANT_ASKED_MIN: u32 = 3;
/// Bytes of frames asked from the log at once.
pub const READ_SIZE: u64 = 2 << 20;
/// Bytes asked at once for a peer that is behind while another one keeps up: what a new frame may have to wait for.
pub const BULK_READ_SIZE: u64 = 256 << 10;
/// Bytes that such a peer may be sent without having said that it received them. Every acknowledgement lets one read
/// follow, so this is what can stand before a new frame in a busy node's queue.
pub const BULK_WINDOW_SIZE: u64 = 2 * BULK_READ_SIZE;
/// Epochs whose ends are remembered and compared; one promotion makes one.
pub const EPOCHS_MAX: usize = 1024;
/// How far above the own highest epoch one that a peer names may be: more promotions than a cluster has in its life, and
/// so little of all epochs that 2^32 such messages in a row would have to be taken before none is left.
pub const EPOCH_STEP_MAX: u64 = 1 << 32;
/// How long a connected process must go on answering, after another one of the same node has shown itself, until both are
/// known to live: longer than messages of a process that has ended are on their way, as a rule.
pub const RIVAL_ANSWERS_NS: u64 = 2_000_000_000;
/// Time between two alarms of the same copy.
pub const COPY_TOLD_INTERVAL_NS: u64 = 60_000_000_000;
/// Outputs that may wait; a node takes all of them after every call.
pub const OUTPUTS_MAX: usize = 4096;
/// Largest message: one frame of the largest size always fits.
pub const MESSAGE_SIZE_MAX: usize =
    READ_SIZE as usize + PAYLOAD_SIZE_MAX + 2 * SHARED_HEADER_SIZE + 4096;
