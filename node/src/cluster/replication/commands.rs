//! What operators ask of the thread.

use super::{Replication, Seat};
use crate::clock::Reading;
use crate::cluster::admin::{AdminReply, AdminRequest};
use crate::cluster::links::OperatorId;
use crate::cluster::operator::Promotion;
use crate::error::NodeError;
use crate::status::Alarm;
use mizan_journal::Storage;
use mizan_replica::{Command, FrameEnd, Refusal, Role};

/// Why a node cannot lead that has the alarm.
const DISK_HANGS: &str = "this node's disk hangs, so that no entry and no epoch becomes durable here, and it cannot lead before the disk goes on";

impl<S: Storage> Replication<S> {
    pub(super) fn take_admin(&mut self, at: OperatorId, body: &[u8]) {
        let Ok(request) = serde_json::from_slice(body) else {
            tracing::warn!(
                "an operator asked what this release does not know; use the same release for both"
            );
            return self.links.close_admin(at);
        };
        let reply = match request {
            AdminRequest::Status => Some(AdminReply::Status(Box::new(self.renewed_status()))),
            AdminRequest::Promote { expect_epoch, solo, accept_loss_after, accept_clock } => {
                let log_timestamp = if accept_clock { None } else { self.log_timestamp() };
                let command = Command::Promote { solo, accept_loss_after, log_timestamp };
                self.promote(at, expect_epoch, command).err()
            }
            AdminRequest::Detach { node } => Some(self.detach(node)),
            AdminRequest::Join { node } => {
                let (status, replica) = (self.renewed_status(), &self.replica);
                let seat = &self.seat;
                let persist = |record| match seat {
                    Seat::Standby { worker, .. } => worker.note_record(record),
                    _ => Err(NodeError::Options("this node is no standby".to_owned())),
                };
                Some(self.operators.join(node, &status, replica, &mut self.reader, persist))
            }
        };
        if let Some(reply) = reply {
            self.answer(at, &reply);
        }
    }

    fn answer(&mut self, at: OperatorId, reply: &AdminReply) {
        if let Ok(body) = serde_json::to_vec(reply) {
            self.links.send_admin(at, &body);
        }
        self.links.close_admin(at);
    }

    fn promote(
        &mut self,
        at: OperatorId,
        expect_epoch: Option<u64>,
        command: Command,
    ) -> Result<(), AdminReply> {
        let epoch = self.replica.status().epoch;
        if let Some(expected) = expect_epoch.filter(|expected| *expected != epoch) {
            return Err(AdminReply::Refused {
                name: "other-epoch".to_owned(),
                text: other_epoch(epoch, expected),
            });
        }
        if let Role::Primary(epoch) = self.replica.status().role {
            return Err(AdminReply::Refused {
                name: "role".to_owned(),
                text: format!(
                    "this node is the primary already, in epoch {epoch}: nothing is to do"
                ),
            });
        }
        if self.disk_hangs() {
            // It would stand for an epoch that it cannot write down, until the disk goes on.
            let mut text = format!("{DISK_HANGS}: promote another node, or look at the disk");
            let status = self.replica.status();
            if status.role == Role::Candidate {
                text.push_str(&standing(status.epoch));
            }
            return Err(AdminReply::Refused { name: "disk-hangs".to_owned(), text });
        }
        let is_confirmed = matches!(command, Command::Promote { accept_loss_after: Some(_), .. });
        let status = self.replica.status();
        if self.is_damaged() && !is_confirmed && status.role != Role::Candidate {
            return Err(AdminReply::Refused {
                name: "journal-damaged".to_owned(),
                text: format!(
                    "this node's journal is damaged, so that it would not start again from its files once it leads and is fenced: promote another node and give this one a new disk, or, if no other is left, confirm the end of its log with --accept-loss-after {}",
                    status.end.sequence
                ),
            });
        }
        // The decision is made in a moment, and the last look at the clock may be a wait for sockets old.
        self.replica.note_clock(self.wall_clock.read().realtime_ns);
        self.note_disk();
        self.replica.handle_admin(command, self.now_ns).map_err(|refusal| refused(&refusal))?;
        self.promotion = Some(Promotion { operator: at, begun_ns: self.now_ns });
        Ok(())
    }

    /// The last timestamp of this node's log, with which a clock is compared that nobody confirms; `None` if it is to be
    /// believed all the same.
    pub(super) fn log_timestamp(&self) -> Option<u64> {
        // What is only formatted has nothing that could expire.
        if self.accept_clock || self.replica.status().end.sequence <= 1 {
            return None;
        }
        let Seat::Standby { engine, .. } = &self.seat else { return None };
        Some(engine.timestamp().max(self.log_clock.reading()))
    }

    pub(super) fn answer_promotion(&mut self, start: FrameEnd) {
        let Some(promotion) = self.promotion.take() else { return };
        let took_ns = Reading::now().monotonic_ns.saturating_sub(promotion.begun_ns);
        let config = self.replica.status().config;
        let others = (0..config.node_count).filter(|peer| {
            let peer = self.replica.peer_status(*peer);
            peer.is_connected && peer.is_admitted
        });
        let reply = AdminReply::Promoted {
            epoch: start.epoch,
            sequence: start.sequence,
            took_us: took_ns / 1_000,
            is_stalled: 1 + others.count() < usize::from(config.min_sync),
        };
        self.answer(promotion.operator, &reply);
    }

    pub(super) fn refuse_promotion(&mut self, refusal: &Refusal) {
        tracing::warn!("the promotion was refused: {refusal}");
        let Some(promotion) = self.promotion.take() else { return };
        let mut reply = refused(refusal);
        let (status, hangs) = (self.replica.status(), self.disk_hangs());
        if let AdminReply::Refused { text, .. } = &mut reply {
            if hangs {
                // What is missing waits for that.
                text.push_str(&format!("; {DISK_HANGS}"));
            }
            if status.role == Role::Candidate {
                // The epoch is begun, and the former primary fenced by it: whoever asked must know that this is not over.
                text.push_str(&standing(status.epoch));
            }
        }
        self.answer(promotion.operator, &reply);
    }

    /// Whoever waits for a promotion is told what becomes of it: this node starts again, and its connections end.
    pub(super) fn answer_before_cut(&mut self, to: u64) {
        let Some(promotion) = self.promotion.take() else { return };
        let status = self.replica.status();
        let mut text = format!(
            "this node's log goes on behind sequence {to}, where the other nodes' logs part from it, so that it starts again from its files to cut that off"
        );
        if status.role == Role::Candidate {
            text.push_str(&standing(status.epoch));
        } else {
            text.push_str("; nothing else was changed: look at the status of all nodes, and ask again if it is still to be promoted");
        }
        self.answer(promotion.operator, &AdminReply::Refused { name: "log-cut".to_owned(), text });
    }

    fn disk_hangs(&self) -> bool {
        self.counters.status().alarms.contains(Alarm::DiskHangs)
    }

    fn is_damaged(&self) -> bool {
        self.counters.status().alarms.contains(Alarm::JournalDamaged)
    }

    fn detach(&mut self, node: u8) -> AdminReply {
        let commit_before = self.status.commit;
        let status = self.renewed_status();
        let refuse = |name: &str, text: String| AdminReply::Refused { name: name.to_owned(), text };
        if status.role != "primary" {
            let mut peers = status.peers.iter().map(|peer| self.replica.peer_status(peer.node));
            let primary = peers.find(|peer| peer.is_primary && peer.is_connected);
            let whom = match primary {
                Some(peer) => format!("ask node {}, which is", peer.peer),
                None => "see `mizan status --replica` of all nodes".to_owned(),
            };
            return refuse("role", format!("this node is not the primary; {whom}"));
        }
        let Some(peer) = status.peers.iter().find(|peer| peer.node == node) else {
            return refuse(
                "no-such-node",
                format!("there is no other node {node} in this cluster"),
            );
        };
        if peer.is_connected && peer.is_in_sync {
            return refuse(
                "in-sync",
                format!("node {node} is connected and in sync: nothing waits for it"),
            );
        }
        let copies = 1 + status.peers.iter().filter(|peer| peer.is_in_sync).count();
        // A peer that hangs is in sync with what was committed: only that commits follow says that it does not hang.
        let flows = status.commit > commit_before || status.commit == status.durable;
        if status.min_sync > 1 && copies >= usize::from(status.min_sync) && flows {
            return refuse(
                "in-sync",
                format!(
                    "nothing waits for node {node}: {copies} copies are in sync, and {} are needed",
                    status.min_sync
                ),
            );
        }
        match self.replica.handle_admin(Command::Detach, self.now_ns) {
            Ok(()) => AdminReply::Detached,
            Err(refusal) => refused(&refusal),
        }
    }
}

fn other_epoch(seen: u64, expected: u64) -> String {
    let why = if seen > expected {
        "somebody was promoted meanwhile"
    } else {
        "it knows of none so high, so it lags behind or the number is wrong"
    };
    format!(
        "this node has seen epoch {seen}, not {expected}: {why}; look at the status of all nodes"
    )
}

/// What else an operator has to know of a promotion that has begun.
fn standing(epoch: u64) -> String {
    format!(
        "; this node stands for epoch {epoch} all the same, and leads as soon as that is there: start the other nodes and see `mizan status`, promote it again to wait on, or promote another node"
    )
}

fn refused(refusal: &Refusal) -> AdminReply {
    let name = match refusal {
        Refusal::Role => "role",
        Refusal::NotAdmitted => "not-admitted",
        Refusal::Grants { .. } => "grants",
        Refusal::PeerAhead { .. } => "peer-ahead",
        Refusal::Acknowledged { .. } => "acknowledged",
        Refusal::Overtaken(_) => "overtaken",
        Refusal::NoEpoch(_) => "no-epoch",
        Refusal::PeerDamaged { .. } => "peer-damaged",
        Refusal::NoRoom { .. } => "no-room",
        Refusal::TakeOver => "take-over",
        Refusal::WrongLoss { .. } => "wrong-loss",
        Refusal::ClockAhead { .. } => "clock-ahead",
    };
    let text = match *refusal {
        Refusal::ClockAhead { clock: clock_ns, log_timestamp: log_timestamp_ns } => {
            let error = NodeError::ClockAhead { clock_ns, log_timestamp_ns };
            format!("no other node tells the time; {error}")
        }
        _ => refusal.to_string(),
    };
    AdminReply::Refused { name: name.to_owned(), text }
}
