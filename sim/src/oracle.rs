//! The judge: what clients were told, what nodes applied, and whether it can all be true.
//!
//! Every reply that a client took is compared with what the model answers at that place of the final log. Only what an
//! operator gave up with `--accept-loss-after` may be missing: what was acknowledged in earlier epochs and is not in the
//! log that the promotion began on.

use mizan_engine::Engine;
use mizan_engine::Output;
use mizan_model::{Model, ModelReply};
use mizan_replica::{Alarm, FrameEnd};
use mizan_wire::frame::REPLY_REPLAYED;
use mizan_wire::{CREATED, CreateResult, RequestHeader, RequestStatus, Transfer};
use std::collections::BTreeMap;
use thiserror::Error;

use crate::node::{Reply, StoredFrame, for_each_entry};
use crate::workload::genesis;

/// A broken promise.
#[derive(Clone, Debug, Error)]
pub enum Violation {
    /// (a)
    #[error(
        "transfer {id:x} was acknowledged with number {acknowledged}, the final ledger has {found:?}"
    )]
    Lost {
        /// Its id.
        id: u128,
        /// The timestamp that the client was given, 0 for a refusal.
        acknowledged: u64,
        /// The timestamp in the ledger.
        found: Option<u64>,
    },
    /// (a)
    #[error("client {client} took a reply to request {request} that {what}")]
    WrongReply {
        /// The client.
        client: u128,
        /// Its request.
        request: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// (b)
    #[error(
        "request {request} of client {client} was executed twice, the second time as {sequence}"
    )]
    Doubled {
        /// The client.
        client: u128,
        /// Its request.
        request: u64,
        /// The second entry.
        sequence: u64,
    },
    /// (b), (c)
    #[error("the final state contradicts itself: {0}")]
    State(String),
    /// (d)
    #[error("node {node} has another digest at committed sequence {sequence}")]
    Digest {
        /// The node.
        node: u8,
        /// Where.
        sequence: u64,
    },
    /// (e)
    #[error("nodes {first} and {second} both acknowledged in epoch {epoch}")]
    TwoPrimaries {
        /// One.
        first: u8,
        /// The other.
        second: u8,
        /// The epoch.
        epoch: u64,
    },
    /// A read was answered from a state that lacked what had been acknowledged when it was asked.
    #[error(
        "a read saw sequence {seen}, but {acknowledged} had been acknowledged before it was sent"
    )]
    StaleRead {
        /// What it saw.
        seen: u64,
        /// What it should have seen.
        acknowledged: u64,
    },
    /// A node stopped although nothing justified it.
    #[error("node {node} raised an alarm: {alarm}")]
    Alarm {
        /// The node.
        node: u8,
        /// Why.
        alarm: Alarm,
    },
    /// A log entry could not be applied.
    #[error("node {node} cannot apply its log: {reason}")]
    Apply {
        /// The node.
        node: u8,
        /// Why.
        reason: String,
    },
    /// A promotion was refused for want of grants, and ended whoever led all the same.
    #[error(
        "node {node} raised the epoch from {before} to {after} before anybody had said that it would grant it"
    )]
    Disturbance {
        /// The node.
        node: u8,
        /// Its highest epoch before.
        before: u64,
        /// And when the promotion was refused.
        after: u64,
    },
    /// Healed, but no progress.
    #[error("after everything had healed: {0}")]
    NoProgress(String),
}

impl Violation {
    /// Whether something that was acknowledged is missing or has become something else.
    #[must_use]
    pub const fn is_loss(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::WrongReply { .. })
    }

    /// Whether something was executed more than once.
    #[must_use]
    pub const fn is_doubled(&self) -> bool {
        matches!(self, Self::Doubled { .. })
    }

    /// Whether two states differ that must not.
    #[must_use]
    pub const fn is_divergence(&self) -> bool {
        matches!(self, Self::Digest { .. } | Self::State(_) | Self::Apply { .. })
    }
}

/// An operator's word: what was acknowledged in earlier epochs may be lost, but for what a log holds.
#[derive(Clone, Copy, Debug)]
struct AcceptedLoss {
    /// The epoch that began with it.
    epoch: u64,
    /// Last epoch and sequence of the log that it began on.
    log_epoch: u64,
    after: u64,
    moment: u64,
}

impl AcceptedLoss {
    /// Highest sequence that is kept of what was written in an epoch and acknowledged at a moment. Later epochs are lost,
    /// too, if nobody else knew of them; and what an earlier one goes on acknowledging.
    const fn kept(&self, epoch: u64, moment: u64) -> u64 {
        if epoch >= self.epoch && moment >= self.moment {
            u64::MAX
        } else if epoch > self.log_epoch {
            0
        } else {
            self.after
        }
    }
}

/// What had been acknowledged at a moment: the highest sequence of each epoch, and when that was.
pub(crate) type Floor = BTreeMap<u64, (u64, u64)>;

/// A reply that a client took.
struct Taken {
    client: u128,
    request: u64,
    epoch: u64,
    /// Sequence of the entry that was answered.
    at: u64,
    moment: u64,
    output: Output,
}

/// A transfer as a client was told of it.
#[derive(Clone, Copy, Debug)]
struct Told {
    /// Its number; 0 if it was refused.
    number: u64,
    epoch: u64,
    at: u64,
    moment: u64,
}

/// What is known to be true so far.
#[derive(Default)]
pub(crate) struct Oracle {
    transfers: BTreeMap<u128, Told>,
    taken: Vec<Taken>,
    /// Digest, epoch and moment of what was committed at each sequence.
    digests: BTreeMap<u64, (u128, u64, u64)>,
    /// Counts what is told.
    moment: u64,
    primaries: BTreeMap<u64, u8>,
    acknowledged_floor: Floor,
    losses: Vec<AcceptedLoss>,
    pub(crate) acknowledged: u64,
    pub(crate) reads: u64,
}

impl Oracle {
    /// An operator confirmed that what is not in a log may be lost, and the promotion began `epoch` on that log.
    pub(crate) fn accept_loss(&mut self, epoch: u64, end: FrameEnd) {
        let (log_epoch, after) = (end.epoch, end.sequence);
        self.moment += 1;
        self.losses.push(AcceptedLoss { epoch, log_epoch, after, moment: self.moment });
    }

    pub(crate) const fn has_losses(&self) -> bool {
        !self.losses.is_empty()
    }

    /// Whether an operator gave up what was written in `epoch` at `sequence` and acknowledged at `moment`.
    fn may_be_lost(&self, epoch: u64, sequence: u64, moment: u64) -> bool {
        self.losses.iter().any(|loss| sequence > loss.kept(epoch, moment))
    }

    /// Whether a node whose log ends in `epoch` may find what it calls acknowledged gone from the primary's log.
    pub(crate) fn excuses_alarm(&self, alarm: &Alarm, epoch: u64) -> bool {
        let Alarm::AcknowledgedSuffix { commit, .. } = alarm else { return false };
        self.may_be_lost(epoch, *commit, 0)
    }

    pub(crate) fn take(
        &mut self,
        node: u8,
        header: &RequestHeader,
        reply: &Reply,
    ) -> Result<(), Violation> {
        let epoch = reply.epoch;
        let first = *self.primaries.entry(epoch).or_insert(node);
        if first != node {
            return Err(Violation::TwoPrimaries { first, second: node, epoch });
        }
        self.moment += 1;
        let moment = self.moment;
        let floor = self.acknowledged_floor.entry(epoch).or_default();
        *floor = (reply.at, moment).max(*floor);
        self.acknowledged += u64::from(reply.output.status == RequestStatus::Ok);
        self.taken.push(Taken {
            client: header.client,
            request: header.request,
            epoch,
            at: reply.at,
            moment,
            output: reply.output.clone(),
        });
        Ok(())
    }

    pub(crate) fn results(
        &mut self,
        transfers: &[Transfer],
        results: &[CreateResult],
        reply: &Reply,
    ) -> Result<(), Violation> {
        for (transfer, result) in transfers.iter().zip(results) {
            let number = if result.status == CREATED { result.timestamp } else { 0 };
            let told = Told { number, epoch: reply.epoch, at: reply.at, moment: self.moment };
            let known = *self.transfers.entry(transfer.id).or_insert(told);
            if known.number != number && !self.may_be_lost(known.epoch, known.at, known.moment) {
                let (id, acknowledged) = (transfer.id, known.number);
                return Err(Violation::Lost { id, acknowledged, found: Some(number) });
            }
        }
        Ok(())
    }

    /// What has been acknowledged until now.
    pub(crate) fn floor(&self) -> Floor {
        self.acknowledged_floor.clone()
    }

    /// A read saw `seen` on the primary of `epoch`, and was sent when `floor` had been acknowledged.
    pub(crate) fn read(&mut self, epoch: u64, seen: u64, floor: &Floor) -> Result<(), Violation> {
        self.reads += 1;
        // A primary that an operator gave up does not know it.
        let is_given_up = self.losses.iter().any(|loss| loss.epoch > epoch);
        for (&written_in, &(sequence, moment)) in floor {
            if written_in > epoch && is_given_up {
                continue;
            }
            let kept = self.losses.iter().map(|loss| loss.kept(written_in, moment)).min();
            let acknowledged = sequence.min(kept.unwrap_or(u64::MAX));
            if seen < acknowledged {
                return Err(Violation::StaleRead { seen, acknowledged });
            }
        }
        Ok(())
    }

    /// A node knows an applied sequence, written in `epoch`, to be committed.
    pub(crate) fn committed(
        &mut self,
        node: u8,
        sequence: u64,
        digest: u128,
        epoch: u64,
    ) -> Result<(), Violation> {
        self.moment += 1;
        let told = (digest, epoch, self.moment);
        let (known, known_epoch, moment) = *self.digests.entry(sequence).or_insert(told);
        if known == digest {
            return Ok(());
        }
        if self.may_be_lost(known_epoch, sequence, moment) {
            self.digests.insert(sequence, told);
        } else if !self.may_be_lost(epoch, sequence, self.moment) {
            return Err(Violation::Digest { node, sequence });
        }
        Ok(())
    }

    /// Judges the state that all nodes have come to, by the engine and by the model.
    pub(crate) fn judge(&self, engine: &Engine, log: &[StoredFrame]) -> Result<(), Violation> {
        let broken = |error: &dyn std::fmt::Display| Violation::State(error.to_string());
        engine.check_invariants().map_err(|error| broken(&error))?;
        let found: BTreeMap<u128, u64> =
            engine.transfers().map(|transfer| (transfer.id, transfer.timestamp)).collect();
        for (&id, told) in &self.transfers {
            let found = found.get(&id).copied();
            if found.unwrap_or(0) != told.number
                && !self.may_be_lost(told.epoch, told.at, told.moment)
            {
                return Err(Violation::Lost { id, acknowledged: told.number, found });
            }
        }
        let mut model = Model::new(&genesis()).map_err(|error| broken(&error))?;
        let mut answers: BTreeMap<u64, (RequestHeader, ModelReply)> = BTreeMap::new();
        let mut executed: BTreeMap<(u128, u64, u64), u64> = BTreeMap::new();
        for frame in log {
            for_each_entry(frame, |sequence, header: &RequestHeader, body| {
                let reply = model.apply(sequence, header, body).map_err(|error| broken(&error))?;
                let (client, request) = (header.client, header.request);
                let is_executed = reply.status == RequestStatus::Ok
                    && reply.flags & REPLY_REPLAYED == 0
                    && request > 0;
                if is_executed
                    && executed.insert((client, header.session, request), sequence).is_some()
                {
                    return Err(Violation::Doubled { client, request, sequence });
                }
                answers.insert(sequence, (*header, reply));
                Ok(())
            })?;
        }
        if model.digest() != engine.digest() {
            return Err(Violation::State("model and engine differ".to_owned()));
        }
        self.judge_replies(&answers)
    }

    /// Every reply is the model's answer to the entry that it was for, and that entry is still there.
    fn judge_replies(
        &self,
        answers: &BTreeMap<u64, (RequestHeader, ModelReply)>,
    ) -> Result<(), Violation> {
        for taken in &self.taken {
            if self.may_be_lost(taken.epoch, taken.at, taken.moment) {
                continue;
            }
            let (client, request) = (taken.client, taken.request);
            let wrong = |what| Err(Violation::WrongReply { client, request, what });
            let answer = answers
                .get(&taken.at)
                .filter(|(header, _)| (header.client, header.request) == (client, request));
            let Some((_, reply)) = answer else { return wrong("is not in the final log") };
            let output = &taken.output;
            if (output.status, output.flags) != (reply.status, reply.flags) {
                return wrong("has another status or flags than the model gives");
            }
            if (output.sequence, output.timestamp) != (reply.sequence, reply.timestamp) {
                return wrong("has other numbers than the model gives");
            }
            if output.body() != reply.body {
                return wrong("has other results than the model gives");
            }
        }
        Ok(())
    }
}
