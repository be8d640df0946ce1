//! Asking before standing: a promotion that would be refused changes nothing, here and at the peers.
//!
//! The peers say whether they would grant the epoch, and where their logs end. Only if the promotion would then go
//! through is the epoch persisted and asked for in earnest. So a node that reaches too few others cannot end the
//! primary of those that it cannot reach, however often it is told to lead.

use super::promote::{Answer, Ballot};
use super::{Replica, State, faulty};
use crate::constants::{EPOCH_STEP_MAX, NODES_MAX};
use crate::error::MessageError;
use crate::log::FrameEnd;
use crate::message::Message;
use crate::output::{Output, Refusal};

/// Who follows nobody has not heard a primary for this long.
const NEVER_NS: u64 = u64::MAX;

impl Replica {
    pub(super) fn begin_promotion(
        &mut self,
        solo: bool,
        accept_loss_after: Option<u64>,
        log_timestamp: Option<u64>,
        now_ns: u64,
    ) -> Result<(), Refusal> {
        let stands = matches!(self.state, State::Candidate(_));
        if !(stands || matches!(self.state, State::Standby)) || self.asking.is_some() {
            return Err(Refusal::Role);
        }
        let is_last_resort = accept_loss_after.is_some() && self.log.last() != FrameEnd::START;
        if !self.is_admitted_here() && !is_last_resort {
            return Err(Refusal::NotAdmitted);
        }
        if stands {
            return self.stand_again(solo, accept_loss_after, now_ns);
        }
        let epoch = self.config.next_epoch(self.highest_epoch, self.options.index);
        let epoch = epoch.ok_or(Refusal::NoEpoch(self.highest_epoch))?;
        let answers = [None; NODES_MAX];
        let ballot = Ballot {
            epoch,
            solo,
            accept_loss_after,
            log_timestamp,
            begun_ns: now_ns,
            awaits_all: false,
            answers,
        };
        if faulty!(self, PromoteWithoutAsking) {
            self.stand(ballot, now_ns);
            return Ok(());
        }
        self.asking = Some(ballot);
        self.ask_peers();
        Ok(())
    }

    /// Asks those that have not answered.
    pub(super) fn ask_peers(&mut self) {
        let Some(Ballot { epoch, answers, .. }) = self.asking else { return };
        let end = self.log.last();
        for peer in (0..self.config.node_count).filter(|peer| answers[usize::from(*peer)].is_none())
        {
            self.send(peer, &Message::Ask { epoch, end });
        }
    }

    /// Says what would become of a grant request, and changes nothing.
    pub(super) fn hear_ask(
        &mut self,
        peer: u8,
        epoch: u64,
        now_ns: u64,
    ) -> Result<(), MessageError> {
        if self.config.owner(epoch) != peer {
            return Err(MessageError::Malformed);
        }
        let highest = self.highest_epoch;
        let would_grant = epoch > highest && epoch <= highest.saturating_add(EPOCH_STEP_MAX);
        let answer = Message::Answer {
            would_grant,
            is_admitted: self.is_admitted_here(),
            // A standby goes on; a primary that is fenced has to start again from its files.
            is_damaged: self.disk.is_damaged && matches!(self.state, State::Primary(_)),
            epoch,
            end: self.end_to_grant(),
            primary_silent_ns: self.primary_silent_ns(now_ns),
        };
        self.send(peer, &answer);
        Ok(())
    }

    fn primary_silent_ns(&self, now_ns: u64) -> u64 {
        if matches!(self.state, State::Primary(_)) {
            return 0;
        }
        let source = self.follow.source.and_then(|source| self.peer(source));
        source.map_or(NEVER_NS, |peer| now_ns.saturating_sub(peer.connection.last_heard_ns))
    }

    pub(super) fn hear_answer(&mut self, peer: u8, epoch: u64, answer: &Message<'_>) {
        let Message::Answer { would_grant, is_admitted, is_damaged, end, .. } = *answer else {
            return;
        };
        let Some(known) = self.peer(peer) else { return };
        let incarnation = known.connection.peer_incarnation();
        if let Some(ballot) = self.asking.as_mut().filter(|ballot| ballot.epoch == epoch) {
            // Who accepts a loss counts on nobody who will be gone.
            let granted = would_grant && !(is_damaged && ballot.accept_loss_after.is_some());
            let is_outsider = !is_admitted;
            ballot.answers[usize::from(peer)] =
                Some(Answer { granted, incarnation, is_outsider, is_damaged, end });
        }
    }

    /// What a peer said that is gone says nothing about now.
    pub(super) fn forget_answer(&mut self, peer: u8) {
        if let Some(ballot) = &mut self.asking
            && let Some(answer) = ballot.answers.get_mut(usize::from(peer))
        {
            *answer = None;
        }
    }

    /// Stands for the epoch, or refuses, once enough was heard.
    pub(super) fn advance_asking(&mut self, now_ns: u64) {
        let Some(ballot) = self.asking.take() else { return };
        if !self.has_heard_enough(&ballot, now_ns) {
            self.asking = Some(ballot);
            return;
        }
        let agreed = self
            .judge(&ballot)
            .and_then(|(best, _)| self.check_room(&best))
            .and_then(|()| self.check_damage(&ballot))
            .and_then(|()| self.agree_on_clock(ballot.log_timestamp, now_ns));
        match agreed {
            Ok(agreed) => {
                self.agreed_clock = agreed;
                self.stand(ballot, now_ns);
            }
            Err(refusal) => self.output(Output::PromotionRefused(refusal)),
        }
    }

    /// Whether this disk can come to hold the log that is to be led with. Without room it would stand for an epoch that it
    /// cannot begin, and its primary would be fenced.
    pub(super) fn check_room(&self, best: &FrameEnd) -> Result<(), Refusal> {
        let durable = self.end_to_grant();
        let lacks_some = (best.epoch, best.sequence) > (durable.epoch, durable.sequence);
        if self.disk.is_full && lacks_some {
            let (durable, last_sequence) = (durable.sequence, best.sequence);
            return Err(Refusal::NoRoom { durable, last_sequence });
        }
        Ok(())
    }

    /// Whether enough nodes are left without a primary whose journal is damaged: fenced, it ends, and neither grants again
    /// nor serves its log nor holds a copy.
    fn check_damage(&self, ballot: &Ballot) -> Result<(), Refusal> {
        let is_damaged = |answer: &Option<Answer>| answer.is_some_and(|it| it.is_damaged);
        let damaged = (0u8..).zip(&ballot.answers).find(|(_, answer)| is_damaged(answer));
        let Some((peer, _)) = damaged else { return Ok(()) };
        let mut left = *ballot;
        left.answers[usize::from(peer)] = None;
        let nodes = self.grants(&left);
        let last_sequence = self.log.last().sequence;
        if nodes < self.config.grants_needed() && ballot.accept_loss_after.is_none() {
            return Err(Refusal::PeerDamaged { peer, last_sequence: Some(last_sequence) });
        }
        if nodes < usize::from(self.config.min_sync) && !ballot.solo {
            return Err(Refusal::PeerDamaged { peer, last_sequence: None });
        }
        Ok(())
    }
}
