//! What the thread shows of the node.

use super::{Replication, Seat};
use crate::cluster::alarms;
use crate::cluster::figures;
use crate::cluster::record::policy_name;
use crate::cluster::status::{AlarmView, ClusterStatus, PeerView};
use crate::status::{Alarm as ShownAlarm, Alarms, hangs};
use mizan_journal::Storage;
use mizan_replica::{Alarm, DiskState, Refusal, Role};

impl<S: Storage> Replication<S> {
    pub(super) fn raise(&mut self, alarm: Alarm) {
        // A single copy follows from the record, which may come later than this, or be older than this process.
        if alarm != Alarm::SingleCopy {
            tracing::warn!("alarm: {alarm}");
            self.alarms.raise(alarm, self.now_ns);
        }
    }

    pub(super) fn end_alarm(&mut self, alarm: &Alarm) {
        if self.alarms.end(alarm) {
            tracing::info!("the alarm is over: {alarm}");
        }
    }

    /// Tells the state machine what it cannot see of the disk.
    pub(super) fn note_disk(&mut self) {
        let is_full =
            matches!(&self.seat, Seat::Standby { worker, .. } if worker.is_out_of_space());
        let is_damaged = self.counters.status().alarms.contains(ShownAlarm::JournalDamaged);
        self.replica.note_disk(DiskState { is_full, is_damaged });
    }

    pub(super) fn publish_status(&mut self) {
        self.status_ns = self.now_ns;
        let status = self.renewed_status();
        let (alarms, streams) = (self.alarms.iter(), self.streams.figures());
        figures::show(&self.counters, &self.replica, &status, alarms, &streams, &self.connects);
        if let Seat::Standby { engine, .. } = &self.seat {
            self.counters.set_engine(&engine.status());
        }
        self.state.set_status(status);
    }

    pub(super) fn renewed_status(&mut self) -> ClusterStatus {
        self.note_disk();
        let status = self.replica.status();
        let (config, role) = (status.config, status.role);
        let log_timestamp = if role == Role::Waiting { self.log_timestamp() } else { None };
        if config.min_sync < config.min_sync_base {
            if !self.alarms.iter().any(|alarm| *alarm == Alarm::SingleCopy) {
                tracing::warn!("alarm: {}", Alarm::SingleCopy);
            }
            self.alarms.raise(Alarm::SingleCopy, self.now_ns);
        } else {
            self.end_alarm(&Alarm::SingleCopy);
        }
        for alarm in self.alarms.expire(self.now_ns) {
            tracing::info!("the alarm is over: {alarm}");
        }
        let is_primary = matches!(role, Role::Primary(_));
        let view = &mut self.status;
        view.nodes = config.node_count;
        view.role = role_name(role).to_owned();
        view.epoch = status.epoch;
        view.policy = policy_name(config.policy).to_owned();
        (view.min_sync, view.min_sync_base) = (config.min_sync, config.min_sync_base);
        view.is_admitted = status.is_admitted;
        (view.end, view.durable, view.commit) =
            (status.end.sequence, status.durable, status.commit);
        if let Seat::Standby { engine, .. } = &self.seat {
            view.applied = engine.sequence();
        } else if is_primary {
            // The engine's stage counts by itself.
            view.applied = self.counters.status().sequences.applied;
        }
        let (now_ns, sequence_last) = (self.now_ns, view.end);
        view.peers.clear();
        for number in (0..config.node_count).filter(|number| *number != view.node) {
            let peer = self.replica.peer_status(number);
            let stall = &mut self.stalls[usize::from(number)];
            let waits = is_primary && sequence_last > peer.durable;
            // Where commits wait for a peer whose disk hangs, it has all that is committed, for ever.
            let is_stuck = hangs(stall.look(waits, peer.durable, now_ns), now_ns);
            let has_all = peer.durable >= status.commit && !is_stuck;
            view.peers.push(PeerView {
                node: number,
                is_connected: peer.is_connected,
                is_admitted: peer.is_admitted,
                is_in_sync: peer.is_following && peer.is_admitted && has_all,
                end: peer.end.max(peer.received),
                received: peer.received,
                durable: peer.durable,
                applied: peer.applied,
                lag_entries: if is_primary { view.end.saturating_sub(peer.durable) } else { 0 },
                heard_ms_ago: (peer.last_heard_ns > 0)
                    .then(|| self.now_ns.saturating_sub(peer.last_heard_ns) / 1_000_000),
            });
        }
        let streams = self.streams.figures();
        (view.log_read_bytes, view.log_sent_bytes) = (streams.bytes_read, streams.bytes_sent);
        view.log_read_failures = streams.failures;
        view.read_rounds = self.rounds.begun();
        let foreseen = || self.replica.foreseen_refusal(log_timestamp, self.now_ns);
        let shown = self.counters.status().alarms;
        view.not_ready = not_ready(view, role, &self.seat, shown, foreseen);
        view.is_ready = view.not_ready.is_none();
        let raised = self.alarms.iter().map(alarms::view);
        view.alarms = raised.chain(self.streams.alarms().cloned()).collect();
        // What the node itself raised, and what follows from the figures above.
        let waits = is_primary && lacks_copies(view);
        let lacks_peer = is_primary && view.peers.iter().any(|peer| !peer.is_connected);
        let follows = |alarm: ShownAlarm| match alarm {
            ShownAlarm::AcknowledgementsWait => waits,
            ShownAlarm::PeerLost => lacks_peer,
            _ => alarm.is_of_the_node(),
        };
        let shown = shown.with(ShownAlarm::AcknowledgementsWait, waits);
        let shown = shown.with(ShownAlarm::PeerLost, lacks_peer);
        for alarm in shown.iter().filter(|alarm| follows(*alarm)) {
            view.alarms.push(AlarmView {
                name: alarms::wire_name(alarm),
                text: alarm.advice().to_owned(),
            });
        }
        view.clone()
    }
}

/// Whether a primary has too few copies in sync to acknowledge anything.
pub(crate) fn lacks_copies(view: &ClusterStatus) -> bool {
    1 + view.peers.iter().filter(|peer| peer.is_in_sync).count() < usize::from(view.min_sync)
}

/// Why a node is not ready: a primary that cannot acknowledge, a standby that could not take over.
fn not_ready<S: Storage>(
    view: &ClusterStatus,
    role: Role,
    seat: &Seat<S>,
    shown: Alarms,
    foreseen: impl FnOnce() -> Option<Refusal>,
) -> Option<String> {
    if let Seat::Standby { worker, .. } = seat
        && worker.is_out_of_space()
    {
        return Some("there is no room for the primary's frames".to_owned());
    }
    if shown.contains(ShownAlarm::DiskHangs) {
        return Some(
            "its disk hangs: entries wait for it, and none becomes durable here".to_owned(),
        );
    }
    match role {
        Role::Primary(_) if lacks_copies(view) => Some(format!(
            "acknowledgements need {} copies, and {} other nodes are in sync",
            view.min_sync,
            view.peers.iter().filter(|peer| peer.is_in_sync).count()
        )),
        Role::Primary(_) => None,
        _ if !view.is_admitted => Some("this disk is new and was not admitted yet".to_owned()),
        Role::Live => None,
        Role::CatchingUp => Some("this node is catching up".to_owned()),
        // Nobody leads: what counts is whether this node could.
        Role::Waiting => foreseen()
            .map(|refusal| format!("this node follows nobody, and could not take over: {refusal}")),
        Role::Candidate => Some("a promotion is under way".to_owned()),
        Role::Stopped => Some("this node stopped with an alarm".to_owned()),
    }
}

pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Waiting => "waiting",
        Role::CatchingUp => "catching-up",
        Role::Live => "live",
        Role::Candidate => "candidate",
        Role::Primary(_) => "primary",
        Role::Stopped => "stopped",
    }
}
