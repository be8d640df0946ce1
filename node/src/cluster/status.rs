//! Where a node of a cluster stands, as an operator sees it.

use serde::{Deserialize, Serialize};

/// A peer, as this node knows it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct PeerView {
    /// Its number.
    pub node: u8,
    /// Whether there is a proved connection to it.
    pub is_connected: bool,
    /// Whether its disk is the one that the config record names.
    pub is_admitted: bool,
    /// Whether it has all that is committed, durably. Only a primary knows.
    pub is_in_sync: bool,
    /// Last sequence of its log, as it said.
    pub end: u64,
    /// Highest sequence received, durable, applied, if this node sends it frames.
    pub received: u64,
    /// See `received`.
    pub durable: u64,
    /// See `received`.
    pub applied: u64,
    /// Entries of this node's log that it has not made durable. Only a primary knows.
    pub lag_entries: u64,
    /// Milliseconds since something came from it; `None` for never.
    pub heard_ms_ago: Option<u64>,
}

/// Something that somebody has to look at.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AlarmView {
    /// A stable word for it.
    pub name: String,
    /// What it is, and what to do.
    pub text: String,
}

/// Where the node stands.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ClusterStatus {
    /// Cluster id, hexadecimal.
    pub cluster: String,
    /// This node's number.
    pub node: u8,
    /// Nodes of the cluster.
    pub nodes: u8,
    /// `waiting`, `catching-up`, `live`, `candidate`, `primary` or `stopped`.
    pub role: String,
    /// Highest epoch seen.
    pub epoch: u64,
    /// `disk` or `two-disks`.
    pub policy: String,
    /// Fsynced copies that an acknowledgement needs now.
    pub min_sync: u8,
    /// The number that was fixed at format.
    pub min_sync_base: u8,
    /// Whether this disk is the one that the config record names.
    pub is_admitted: bool,
    /// Last sequence of this log.
    pub end: u64,
    /// Highest sequence that is durable here.
    pub durable: u64,
    /// Highest sequence known to be committed.
    pub commit: u64,
    /// Highest sequence applied here.
    pub applied: u64,
    /// Whether replies flow (primary), or this node could take over with what it has (standby).
    pub is_ready: bool,
    /// Why not.
    pub not_ready: Option<String>,
    /// Bytes that this node read from its log for other nodes since it started.
    pub log_read_bytes: u64,
    /// Bytes of log that came of it, each as often as it was read for a node.
    pub log_sent_bytes: u64,
    /// Reads of the log for other nodes that found no intact frame.
    pub log_read_failures: u64,
    /// Rounds begun to confirm reads.
    pub read_rounds: u64,
    /// Address that clients reach.
    pub clients: String,
    /// Whether the secret is missing although the address can be reached from elsewhere.
    pub is_insecure: bool,
    /// The others.
    pub peers: Vec<PeerView>,
    /// Alarms that hold now.
    pub alarms: Vec<AlarmView>,
}
