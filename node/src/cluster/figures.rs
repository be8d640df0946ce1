//! What a node of a cluster shows on its board: the state machine's status in the words of `crate::status`.

use crate::cluster::alarms::shown;
use crate::cluster::replication::view::lacks_copies;
use crate::cluster::status::ClusterStatus;
use crate::cluster::streams::StreamFigures;
use crate::status::{
    AckPolicy, Alarm as ShownAlarm, Alarms, ClusterCounters, ClusterFigures, NodeRole, PeerFigures,
    Sequences,
};
use mizan_replica::constants::NODES_MAX;
use mizan_replica::{Alarm, Policy, Replica, Role};

/// Shows where the node stands. Cost: some stores for the node and for each peer.
pub(crate) fn show<'a>(
    counters: &ClusterCounters,
    replica: &Replica,
    view: &ClusterStatus,
    alarms: impl Iterator<Item = &'a Alarm>,
    streams: &StreamFigures,
    connects: &[u64; NODES_MAX],
) {
    let status = replica.status();
    let role = node_role(status.role);
    let peers = || view.peers.iter().map(|peer| replica.peer_status(peer.node));
    let primary = peers().find(|peer| peer.is_primary);
    let is_primary = role == NodeRole::Primary;
    let alarms = alarms
        .fold(Alarms::NONE, |set, alarm| set.with(shown(alarm), true))
        .with(ShownAlarm::LogUnreadable, streams.is_unreadable)
        .with(ShownAlarm::SingleCopy, view.min_sync < view.min_sync_base)
        .with(ShownAlarm::AcknowledgementsWait, is_primary && lacks_copies(view))
        .with(ShownAlarm::PeerLost, is_primary && view.peers.iter().any(|peer| !peer.is_connected));
    if !is_primary {
        counters.set_sequences(&Sequences {
            published: view.end,
            appended: view.end,
            durable: view.durable,
            applied: view.applied,
            commit: view.commit,
        });
    }
    counters.set(&ClusterFigures {
        role,
        epoch: view.epoch,
        node_index: view.node,
        node_count: view.nodes,
        min_sync: view.min_sync,
        min_sync_base: view.min_sync_base,
        policy: ack_policy(status.config.policy),
        config_revision: status.config.revision,
        is_admitted: view.is_admitted,
        can_take_over: !is_primary && view.is_ready,
        primary: if is_primary { Some(view.node) } else { primary.map(|peer| peer.peer) },
        primary_sequence: if is_primary { view.end } else { primary.map_or(0, |peer| peer.end) },
        alarms,
        log_read_bytes: view.log_read_bytes,
        log_sent_bytes: view.log_sent_bytes,
        read_rounds: view.read_rounds,
        log_read_failures: view.log_read_failures,
    });
    for (place, peer) in view.peers.iter().enumerate() {
        let known = replica.peer_status(peer.node);
        counters.set_peer(
            place,
            Some(&PeerFigures {
                node_index: peer.node,
                is_connected: peer.is_connected,
                is_admitted: peer.is_admitted,
                is_in_sync: peer.is_in_sync,
                received: peer.received,
                durable: peer.durable,
                applied: peer.applied,
                heard_monotonic_ns: known.last_heard_ns,
                connects: connects[usize::from(peer.node)],
                ..PeerFigures::default()
            }),
        );
    }
}

const fn node_role(role: Role) -> NodeRole {
    match role {
        Role::Waiting => NodeRole::Waiting,
        Role::CatchingUp => NodeRole::CatchingUp,
        Role::Live => NodeRole::Live,
        Role::Candidate => NodeRole::Candidate,
        Role::Primary(_) => NodeRole::Primary,
        Role::Stopped => NodeRole::Stopped,
    }
}

const fn ack_policy(policy: Policy) -> AckPolicy {
    match policy {
        Policy::Disk => AckPolicy::Disk,
        Policy::TwoDisks => AckPolicy::TwoDisks,
    }
}
