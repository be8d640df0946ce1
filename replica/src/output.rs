//! What the state machine asks of its node, and what it tells.

use crate::config::{Config, Control};
use crate::log::FrameEnd;
use crate::starts::{Copied, Starts};
use thiserror::Error;

/// What a node is, as it knows itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Has nobody to follow: just started, or the primary is gone, or this node was fenced.
    Waiting,
    /// Follows a primary and is not up to date.
    CatchingUp,
    /// Follows a primary and has all that it sent.
    Live,
    /// Collects grants or takes over a log.
    Candidate,
    /// Takes requests in this epoch.
    Primary(u64),
    /// Stopped with an alarm.
    Stopped,
}

/// Things to do, in this order, each completed before the next is taken; only `Append` and `ReadFrames` may go on
/// in the background.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    /// Send these bytes to a peer; may be dropped only together with the connection.
    Send {
        /// The peer's index.
        peer: u8,
        /// A whole message.
        bytes: Vec<u8>,
    },
    /// End the connection to a peer, and call `handle_disconnected`.
    Disconnect {
        /// The peer's index.
        peer: u8,
    },
    /// Make this the highest epoch seen, durably. Everything behind it in the row depends on it. A node that leads writes
    /// down together with it what it may have acknowledged ([`crate::Led`]); it acknowledges nothing from here on.
    PersistEpoch(u64),
    /// Write this down durably, soon; nothing waits for it.
    PersistStarts(Starts),
    /// Append these frames verbatim; `handle_durable` later.
    Append {
        /// Shared halves of headers and payloads, one behind the other.
        frames: Vec<u8>,
        /// Highest committed sequence.
        commit: u64,
    },
    /// Cut the log back to this frame, with the rest in quarantine; an engine that is ahead starts again from a
    /// snapshot at or below. Then call `handle_cut`.
    CutBack {
        /// The last frame that stays.
        to: FrameEnd,
        /// The number that `handle_durable` carries from now on.
        generation: u64,
    },
    /// Read frames behind a sequence and call `handle_frames_read`.
    ReadFrames {
        /// For whom.
        peer: u8,
        /// Sequence of the last entry that the peer has.
        after: u64,
        /// Stop when so many bytes are read; at least one frame.
        size_max: u64,
    },
    /// Append this entry alone in a frame of this epoch, then call `handle_appended`. All earlier frames are applied
    /// first when it starts an epoch.
    AppendControl {
        /// The entry.
        control: Control,
        /// Its epoch.
        epoch: u64,
    },
    /// Everything up to here is committed: apply it, release replies up to it.
    Commit(u64),
    /// Reads that arrived before this round began may be answered.
    ReadsConfirmed(u64),
    /// The role changed. Other than to primary: refuse requests, and forget those without a reply.
    RoleChanged(Role),
    /// A promotion has not come through: tell the operator. If the role is still [`Role::Candidate`], the epoch was begun,
    /// and the node goes on standing for it; else it ended, and unless it was overtaken, nothing was changed. This waits
    /// for no epoch.
    PromotionRefused(Refusal),
    /// Somebody has to look.
    Alarm(Alarm),
    /// What an alarm told of is over.
    AlarmEnded(Alarm),
}

/// What an operator may ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Command {
    /// Make this node the primary.
    Promote {
        /// Acknowledge with this copy alone until another one has caught up.
        solo: bool,
        /// Go on without enough grants: the operator confirms that what follows this sequence may be lost.
        accept_loss_after: Option<u64>,
        /// The log's last timestamp: where no peer tells the time, the own wall clock may be a day ahead of it at the most.
        /// `None`: the own clock is believed then, however far it is.
        log_timestamp: Option<u64>,
    },
    /// On the primary: acknowledge with this copy alone until enough others have caught up.
    Detach,
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Refusal {
    /// The node has another role.
    #[error("this node is not in a role for that; see its status")]
    Role,
    /// The disk is new and was not admitted.
    #[error(
        "this node's disk is new to the cluster; let it catch up with a primary first, or, if no other disk is left, confirm the last sequence of its log with --accept-loss-after"
    )]
    NotAdmitted,
    /// Too few nodes answered.
    #[error(
        "only {grants} of {needed} grants came; start another node, or confirm with --accept-loss-after {last_sequence} that what was acknowledged behind {last_sequence}, or in an epoch later than that log's last one, may be lost"
    )]
    Grants {
        /// Grants, self included.
        grants: usize,
        /// Grants needed.
        needed: usize,
        /// Last sequence of the best log at hand.
        last_sequence: u64,
    },
    /// A reachable node that did not grant holds more.
    #[error("node {peer} did not grant and its log goes on to {sequence}; promote that node")]
    PeerAhead {
        /// The node.
        peer: u8,
        /// Its last sequence.
        sequence: u64,
    },
    /// A primary told of entries as acknowledged that are in no log at hand.
    #[error(
        "entries up to {acknowledged} were acknowledged, the best log at hand ends with {last_sequence}; start the node that has them, or confirm that they are lost with --accept-loss-after {last_sequence}"
    )]
    Acknowledged {
        /// Highest sequence that is known to be acknowledged.
        acknowledged: u64,
        /// Last sequence of the best log at hand.
        last_sequence: u64,
    },
    /// The epochs are used up.
    #[error(
        "no epoch is left above {0}; somebody with the secret has raised it: format the cluster anew"
    )]
    NoEpoch(u64),
    /// A higher epoch was seen on the way.
    #[error("epoch {0} was seen meanwhile; look who is primary now")]
    Overtaken(u64),
    /// The disk has no room for what this node's log has to hold before it can lead.
    #[error(
        "this node's disk has no room: its log is durable up to {durable}, and the log to lead with goes on to {last_sequence}; make room, or promote another node"
    )]
    NoRoom {
        /// Last sequence that is durable here.
        durable: u64,
        /// Last sequence of the best log at hand.
        last_sequence: u64,
    },
    /// The primary's journal is damaged, so that it will be gone once it is fenced, and too few nodes are left then.
    #[error(
        "the journal of node {peer}, which leads, is damaged: fenced by a promotion it would end, and {}; nothing was changed, and it goes on",
        without_it(*peer, *last_sequence)
    )]
    PeerDamaged {
        /// The primary.
        peer: u8,
        /// Grants are missing without it: the end of this node's log, which can be confirmed once that primary is stopped.
        /// `None`: copies are missing.
        last_sequence: Option<u64>,
    },
    /// The log of another node is still being taken over.
    #[error("the log of the best node could not be taken over in time")]
    TakeOver,
    /// No peer tells the time, and the own wall clock is far ahead of the log.
    #[error(
        "no other node tells the time, and this node's wall clock is {} h ahead of the log's last timestamp: holds and orders that are due by it would expire for ever; correct the clock, or, if the clock is right, confirm it with --accept-clock",
        clock.saturating_sub(*log_timestamp) / 3_600_000_000_000
    )]
    ClockAhead {
        /// What the wall clock shows, nanoseconds since 1970.
        clock: u64,
        /// The log's last timestamp.
        log_timestamp: u64,
    },
    /// The confirmed sequence is not the one that the log ends with.
    #[error("the best log at hand ends with {last_sequence}; confirm that number")]
    WrongLoss {
        /// The number to confirm.
        last_sequence: u64,
    },
}

fn without_it(peer: u8, last_sequence: Option<u64>) -> String {
    match last_sequence {
        Some(last_sequence) => format!(
            "without its grant this node could not lead; start another node first, or, if none is left, stop node {peer} in order, see that the log here ends where its own did, and confirm that end with --accept-loss-after, {last_sequence} as of now"
        ),
        None => "without its copy nothing would be acknowledged; let another node catch up first, or promote with --solo, so that one copy suffices until a new disk has caught up".to_owned(),
    }
}

/// What a node knows of its own disk, beyond what is durable.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DiskState {
    /// Frames wait for room on it.
    pub is_full: bool,
    /// The journal on it is damaged: the node goes on, and would not start again from it.
    pub is_damaged: bool,
}

/// What somebody has to look at.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Alarm {
    /// The primary is silent.
    #[error("primary {0} is silent; promote a standby if it is gone")]
    PrimarySilent(u8),
    /// The node stopped: its log calls acknowledged what the primary does not have.
    #[error(
        "the primary's log parts from this one at {shared}, but up to {commit} entries were or may have been acknowledged here; compare the logs, then give this node a new disk"
    )]
    AcknowledgedSuffix {
        /// Last shared sequence.
        shared: u64,
        /// Highest sequence that was committed, or that this node may have acknowledged alone before it restarted.
        commit: u64,
    },
    /// The node stopped: two logs differ within one epoch.
    #[error(
        "frame {sequence} does not continue this log although it must; verify both nodes' files"
    )]
    LogsDiffer {
        /// First sequence of the frame.
        sequence: u64,
    },
    /// The node stopped: its state is not the primary's.
    #[error("the state differs from the primary's at sequence {0}; verify both nodes")]
    StateDiffers(u64),
    /// Acknowledgements rest on one copy.
    #[error("acknowledgements rest on a single copy; bring another node back")]
    SingleCopy,
    /// A peer named an epoch that no cluster comes to.
    #[error(
        "node {peer} names epoch {epoch}, far above all that this node has seen, and is not heard; look at that node"
    )]
    EpochRefused {
        /// The peer.
        peer: u8,
        /// The epoch.
        epoch: u64,
    },
    /// Two copies of a peer's disk were started, or two processes of that peer live; one was refused.
    #[error(
        "a process that calls itself node {peer} is refused, or was elsewhere: {copied}; find all processes and directories of node {peer}, and keep one"
    )]
    DiskCopied {
        /// The peer.
        peer: u8,
        /// Why.
        copied: Copied,
    },
    /// A peer refuses this node, which stopped unless it leads.
    #[error(
        "node {by} refuses this node: {copied}; keep only the process and directory that the cluster knows, and if that directory is lost, give this node a new disk with `mizan format --data DIR --join ADDRESS`"
    )]
    CopyRefused {
        /// Who refuses.
        by: u8,
        /// Why.
        copied: Copied,
    },
    /// A disk was admitted in a new incarnation.
    #[error("node {0} was admitted with a new disk")]
    Admitted(u8),
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Status {
    /// Its role.
    pub role: Role,
    /// Highest epoch seen.
    pub epoch: u64,
    /// End of its log.
    pub end: FrameEnd,
    /// Highest durable sequence.
    pub durable: u64,
    /// Highest sequence known to be committed.
    pub commit: u64,
    /// The config record that it lives by.
    pub config: Config,
    /// Whether this disk's incarnation is the admitted one.
    pub is_admitted: bool,
}

/// Where a peer stands, as far as this node knows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PeerStatus {
    /// Its index.
    pub peer: u8,
    /// Whether there is a connection on which it proved the secret.
    pub is_connected: bool,
    /// Whether its disk is the one that the config record names.
    pub is_admitted: bool,
    /// Whether it says that it is the primary.
    pub is_primary: bool,
    /// Whether this node sends it frames, and it has taken them up.
    pub is_following: bool,
    /// Last sequence of its log, as it said.
    pub end: u64,
    /// Highest sequence that it has received, if this node sends it frames.
    pub received: u64,
    /// Of these, durable.
    pub durable: u64,
    /// Of these, applied.
    pub applied: u64,
    /// When something came from it last, by the clock of the calls; 0 for never.
    pub last_heard_ns: u64,
    /// Its wall clock in its last heartbeat, and when that came by the clock of the calls.
    pub clock: Option<(u64, u64)>,
}
