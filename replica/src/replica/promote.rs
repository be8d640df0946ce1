//! Promotion once the peers have said that they would grant it (`ask`): grants, the take-over of the best log, and the epoch's first entry.
//!
//! Invariant: whoever began an epoch stands for it until it leads or a higher one is seen. The epoch has fenced the former
//! primary by then, so giving up would leave nobody to lead. A peer that goes away, as a fenced primary does to start
//! again, is asked again when it is back. An operator is told after a time what is still missing.

use super::follow::Follow;
use super::lead::Lead;
use super::{Replica, State, faulty};
use crate::config::{Config, Control, ControlKind};
use crate::constants::{
    ALIVE_WITHIN_NS, GRANT_ASKED_MIN, GRANT_WAIT_NS, NODES_MAX, PROMOTION_TIMEOUT_NS,
};
use crate::error::MessageError;
use crate::log::FrameEnd;
use crate::message::Message;
use crate::output::{Alarm, Output, Refusal};

/// What a peer answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// Granted, or said to be as long as it is only asked.
    pub(super) granted: bool,
    /// Of its disk, when it answered.
    pub(super) incarnation: u64,
    /// By its own record its disk was not admitted: nothing was ever acknowledged by it, however long its log is.
    pub(super) is_outsider: bool,
    /// It leads, and its journal is damaged; only said as long as it is asked.
    pub(super) is_damaged: bool,
    pub(super) end: FrameEnd,
}

/// What an operator wants, and what the peers have said to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ballot {
    pub(super) epoch: u64,
    pub(super) solo: bool,
    pub(super) accept_loss_after: Option<u64>,
    /// What the own wall clock is compared with if no peer tells the time.
    pub(super) log_timestamp: Option<u64>,
    pub(super) begun_ns: u64,
    /// Peers that are not connected are waited for as if they were: this node has just started, and knows of none.
    pub(super) awaits_all: bool,
    pub(super) answers: [Option<Answer>; NODES_MAX],
}

/// A promotion for which a node stands, as it is carried over a start from the node's files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standing {
    epoch: u64,
    solo: bool,
    accept_loss_after: Option<u64>,
    agreed_clock: Option<(u64, u64)>,
    heard_commit: (u64, u64),
}

/// A promotion under way.
#[derive(Debug)]
pub(crate) struct Candidacy {
    ballot: Ballot,
    /// The end to reach, once the best log is chosen, and whose log that is.
    target: Option<(FrameEnd, u8)>,
    /// The operator was told what is missing, and waits no more.
    is_told: bool,
}

impl Replica {
    /// Asks for the epoch of a ballot in earnest.
    pub(super) fn stand(&mut self, ballot: Ballot, now_ns: u64) {
        // The own grant: persisted before anybody hears of the epoch.
        self.observe_epoch(ballot.epoch);
        let answers = [None; NODES_MAX];
        let ballot = Ballot { begun_ns: now_ns, awaits_all: false, answers, ..ballot };
        let candidacy = Candidacy { ballot, target: None, is_told: false };
        self.state = State::Candidate(Box::new(candidacy));
        self.request_grants();
    }

    /// An operator asks again for the promotion for which this node stands: what he confirms now counts.
    pub(super) fn stand_again(
        &mut self,
        solo: bool,
        accept_loss_after: Option<u64>,
        now_ns: u64,
    ) -> Result<(), Refusal> {
        let State::Candidate(candidacy) = &mut self.state else { return Err(Refusal::Role) };
        if !std::mem::take(&mut candidacy.is_told) {
            return Err(Refusal::Role);
        }
        let ballot = candidacy.ballot;
        let (begun_ns, awaits_all) = (now_ns, false);
        candidacy.ballot = Ballot { solo, accept_loss_after, begun_ns, awaits_all, ..ballot };
        self.request_grants();
        Ok(())
    }

    /// The promotion for which this node stands, if it does.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        let State::Candidate(candidacy) = &self.state else { return None };
        let Ballot { epoch, solo, accept_loss_after, .. } = candidacy.ballot;
        let (agreed_clock, heard_commit) = (self.agreed_clock, self.heard_commit);
        Some(Standing { epoch, solo, accept_loss_after, agreed_clock, heard_commit })
    }

    /// A node that has just started from its files goes on standing, in the epoch that is persisted there: nobody else can
    /// write in it, this node has not yet, and who granted it grants it again. Nothing is resumed if a higher epoch is
    /// persisted, or none so high. No operator waits for it; the loss that one accepted holds for as long as if he did.
    pub fn resume(&mut self, standing: Standing, now_ns: u64) {
        let Standing { epoch, solo, accept_loss_after, agreed_clock, heard_commit } = standing;
        let is_mine = self.config.owner(epoch) == self.options.index && epoch == self.highest_epoch;
        let is_fresh = matches!(self.state, State::Standby) && self.asking.is_none();
        if !is_mine || !is_fresh || self.log.last().epoch >= epoch {
            return;
        }
        (self.agreed_clock, self.heard_commit) = (agreed_clock, heard_commit);
        let ballot = Ballot {
            epoch,
            solo,
            accept_loss_after,
            log_timestamp: None,
            begun_ns: now_ns,
            awaits_all: true,
            answers: [None; NODES_MAX],
        };
        self.state = State::Candidate(Box::new(Candidacy { ballot, target: None, is_told: true }));
        self.note_role();
    }

    pub(super) fn request_grants(&mut self) {
        let State::Candidate(candidacy) = &self.state else { return };
        let answers = candidacy.ballot.answers;
        let end = self.log.last();
        for peer in (0..self.config.node_count).filter(|peer| answers[usize::from(*peer)].is_none())
        {
            self.send(peer, &Message::GrantRequest { end });
        }
    }

    pub(super) fn hear_grant_request(&mut self, peer: u8, epoch: u64) -> Result<(), MessageError> {
        if self.config.owner(epoch) != peer {
            return Err(MessageError::Malformed);
        }
        if epoch != self.highest_epoch {
            return Ok(());
        }
        if self.waits_for_own_disk(epoch) {
            return Ok(());
        }
        self.answer_grant_request(peer);
        Ok(())
    }

    fn answer_grant_request(&mut self, peer: u8) {
        let epoch = self.highest_epoch;
        // Whether the disk counts is for the candidate to say: its log may hold the record that admits it.
        let granted = matches!(self.state, State::Standby);
        let is_admitted = self.is_admitted_here();
        if granted {
            self.granted_epoch = epoch;
        }
        let (end, commit) = (self.end_to_grant(), self.commit);
        self.send(peer, &Message::Grant { granted, is_admitted, epoch, end, commit });
    }

    /// Whether a grant is put off because frames are on their way to the disk.
    fn waits_for_own_disk(&mut self, epoch: u64) -> bool {
        if self.backlog.is_empty() || !matches!(self.state, State::Standby) {
            return false;
        }
        let asked = if self.grant_asked.0 == epoch { self.grant_asked.1 + 1 } else { 1 };
        self.grant_asked = (epoch, asked);
        asked < GRANT_ASKED_MIN
    }

    /// The disk has everything: whoever waits for a grant gets it.
    pub(super) fn grant_at_last(&mut self) {
        let (epoch, asked) = self.grant_asked;
        let is_awaited = (1..GRANT_ASKED_MIN).contains(&asked) && epoch == self.highest_epoch;
        if is_awaited && self.backlog.is_empty() && matches!(self.state, State::Standby) {
            self.grant_asked = (0, 0);
            self.answer_grant_request(self.config.owner(epoch));
        }
    }

    /// The end of what a candidate has to take over from here. What is not durable here was never acknowledged as a copy
    /// of this node, and on a disk that is full it never will be: it must not keep anybody from being promoted.
    pub(super) fn end_to_grant(&self) -> FrameEnd {
        self.backlog.durable_end(self.durable).unwrap_or(self.log.last())
    }

    pub(super) fn hear_grant(
        &mut self,
        peer: u8,
        granted: bool,
        is_admitted: bool,
        epoch: u64,
        end: FrameEnd,
    ) {
        let Some(known) = self.peer(peer) else { return };
        let incarnation = known.connection.peer_incarnation();
        if let State::Candidate(candidacy) = &mut self.state
            && candidacy.ballot.epoch == epoch
        {
            let (is_outsider, is_damaged) = (!is_admitted, false);
            candidacy.ballot.answers[usize::from(peer)] =
                Some(Answer { granted, incarnation, is_outsider, is_damaged, end });
        }
    }

    /// The connection to a peer is gone. Its grant holds, for it is persisted there; but what only its log has must be
    /// taken over from somebody, and it may come back with another end.
    pub(super) fn forget_source(&mut self, gone: u8) {
        let own = self.log.last();
        let State::Candidate(candidacy) = &mut self.state else { return };
        let is_ahead = |end: &FrameEnd| (end.epoch, end.sequence) > (own.epoch, own.sequence);
        if let Some(answer) = candidacy.ballot.answers.get_mut(usize::from(gone)) {
            *answer = answer.filter(|answer| !is_ahead(&answer.end));
        }
        let is_lost = |(end, source): &(FrameEnd, u8)| *source == gone && is_ahead(end);
        candidacy.target = candidacy.target.filter(|target| !is_lost(target));
    }

    /// Takes the next step of a promotion if it can be taken.
    pub(super) fn advance_promotion(&mut self, now_ns: u64) {
        self.advance_asking(now_ns);
        let State::Candidate(candidacy) = &self.state else { return };
        let ballot = candidacy.ballot;
        let step = match candidacy.target {
            Some((target, _)) => self.take_over(target),
            None if self.has_heard_enough(&ballot, now_ns) => self.choose_log(),
            None => Err(self.lack_of_grants(&ballot, self.log.last().sequence)),
        };
        if let Err(missing) = step {
            self.stand_on(missing, now_ns);
        }
    }

    /// Goes on standing; says why once the operator has waited long enough.
    fn stand_on(&mut self, missing: Refusal, now_ns: u64) {
        let State::Candidate(candidacy) = &mut self.state else { return };
        let waited_ns = now_ns.saturating_sub(candidacy.ballot.begun_ns);
        if waited_ns < PROMOTION_TIMEOUT_NS {
            return;
        }
        // Nobody loses anything later by a word that was given for now.
        candidacy.ballot.accept_loss_after = None;
        if !std::mem::replace(&mut candidacy.is_told, true) {
            self.output(Output::PromotionRefused(missing));
        }
    }

    /// Begins the epoch once this log is durable up to the end that is to be reached.
    ///
    /// # Errors
    /// It is not.
    fn take_over(&mut self, target: FrameEnd) -> Result<(), Refusal> {
        let last = self.log.last();
        let has_taken_over = (last.epoch, last.sequence) >= (target.epoch, target.sequence);
        if !has_taken_over || self.durable != last.sequence {
            return Err(Refusal::TakeOver);
        }
        self.begin_epoch()
    }

    /// Whether there are grants enough, and everybody who seems to live has answered, or the time is over. Waiting for
    /// others would not make it safer: they can only be ahead with what they have not acknowledged.
    pub(super) fn has_heard_enough(&self, ballot: &Ballot, now_ns: u64) -> bool {
        let is_owing = |peer: u8| {
            let seems_to_live = self.peer(peer).is_some_and(|known| {
                // A connection that was only made says nothing of who is at the other end.
                let silent_ns = now_ns.saturating_sub(known.connection.last_heard_ns);
                known.connection.is_proved() && silent_ns < ALIVE_WITHIN_NS
            });
            let is_awaited = ballot.awaits_all && peer != self.options.index;
            ballot.answers[usize::from(peer)].is_none() && (seems_to_live || is_awaited)
        };
        let is_enough = self.has_enough_grants(ballot) || ballot.accept_loss_after.is_some();
        (is_enough && !(0..self.config.node_count).any(is_owing))
            || now_ns.saturating_sub(ballot.begun_ns) >= GRANT_WAIT_NS
    }

    /// Whether an answer is a grant of the disk that the config record names.
    fn is_grant(&self, peer: u8, answer: &Answer) -> bool {
        let admitted = self.config.incarnations[usize::from(peer)];
        answer.granted && (faulty!(self, SkipAdmission) || admitted == answer.incarnation)
    }

    /// Whether the log behind an answer may be taken over: it may hold the record that admits its own disk.
    fn is_source(&self, peer: u8, answer: &Answer) -> bool {
        answer.granted && (!answer.is_outsider || self.is_grant(peer, answer))
    }

    /// Grants so far, self included, of disks that the config record names.
    pub(super) fn grants(&self, ballot: &Ballot) -> usize {
        let others = (0u8..).zip(&ballot.answers);
        let others =
            others.filter(|(peer, answer)| answer.is_some_and(|it| self.is_grant(*peer, &it)));
        usize::from(self.is_admitted_here()) + others.count()
    }

    /// Whether the grants meet every set that acknowledged.
    fn has_enough_grants(&self, ballot: &Ballot) -> bool {
        self.grants(ballot) >= self.config.grants_needed()
    }

    /// What a primary called acknowledged and the best log at hand does not hold.
    pub(super) fn lacks_acknowledged(&self, best: &FrameEnd) -> Option<u64> {
        let (epoch, commit) = self.heard_commit;
        (best.epoch <= epoch && best.sequence < commit).then_some(commit)
    }

    /// The log to take over and whose it is, as far as the answers go.
    ///
    /// # Errors
    /// Why there is to be no promotion.
    pub(super) fn judge(&self, ballot: &Ballot) -> Result<(FrameEnd, u8), Refusal> {
        let own = self.log.last();
        let order = |end: &FrameEnd| (end.epoch, end.sequence);
        let mut best = (own, self.options.index);
        for (peer, answer) in (0u8..).zip(&ballot.answers) {
            if let Some(answer) = answer.filter(|answer| self.is_source(peer, answer))
                && order(&answer.end) > order(&best.0)
            {
                best = (answer.end, peer);
            }
        }
        let last_sequence = best.0.sequence;
        let is_enough = self.has_enough_grants(ballot);
        let lacking = self.lacks_acknowledged(&best.0);
        let ahead = (0..self.config.node_count).find_map(|peer| {
            let answer = ballot.answers[usize::from(peer)];
            let known = self.peer(peer).filter(|_| {
                answer.is_none_or(|it| !self.is_source(peer, &it) && !it.is_outsider)
            })?;
            let end = answer.map_or(known.end, |answer| answer.end);
            (order(&end) > order(&best.0)).then_some((peer, end.sequence))
        });
        match ballot.accept_loss_after {
            Some(confirmed) => {
                let may_lose = !is_enough || ahead.is_some() || lacking.is_some();
                if confirmed != last_sequence && may_lose {
                    return Err(Refusal::WrongLoss { last_sequence });
                }
            }
            None if !is_enough => return Err(self.lack_of_grants(ballot, last_sequence)),
            None => {
                if let Some((peer, sequence)) = ahead {
                    return Err(Refusal::PeerAhead { peer, sequence });
                }
                if let Some(acknowledged) = lacking {
                    return Err(Refusal::Acknowledged { acknowledged, last_sequence });
                }
            }
        }
        if faulty!(self, PromoteWithoutTakeOver) {
            best = (own, self.options.index);
        }
        Ok(best)
    }

    fn choose_log(&mut self) -> Result<(), Refusal> {
        let State::Candidate(candidacy) = &self.state else { return Ok(()) };
        let best = self.judge(&candidacy.ballot)?;
        if let State::Candidate(candidacy) = &mut self.state {
            candidacy.target = Some(best);
        }
        if best.1 == self.options.index {
            // Nothing to take over; what is on its way to this disk is waited for.
            return self.take_over(best.0);
        }
        self.follow = Follow::of(best.1);
        self.send_locate();
        Err(Refusal::TakeOver)
    }

    fn begin_epoch(&mut self) -> Result<(), Refusal> {
        let State::Candidate(candidacy) = &mut self.state else { return Ok(()) };
        let ballot = candidacy.ballot;
        // What was taken over may hold a record that asks for more: then the rest is waited for, and judged again.
        candidacy.target = None;
        if ballot.accept_loss_after.is_none() && !self.has_enough_grants(&ballot) {
            return Err(self.lack_of_grants(&ballot, self.log.last().sequence));
        }
        let epoch = ballot.epoch;
        let min_sync = if ballot.solo { 1 } else { self.config.min_sync };
        if min_sync == 1 && self.config.min_sync_base > 1 {
            self.output(Output::Alarm(Alarm::SingleCopy));
        }
        let revision = self.config.revision.saturating_add(1);
        let mut config = Config { revision, min_sync, ..self.config };
        // As a last resort its disk is one that nobody admitted.
        config.incarnations[usize::from(self.options.index)] = self.options.incarnation;
        self.become_standby();
        self.state = State::Primary(Lead { epoch, start_sequence: None, is_control_pending: true });
        self.note_role();
        let control = Control { kind: ControlKind::EpochStart, config };
        self.output(Output::AppendControl { control, epoch });
        self.send_heartbeats();
        Ok(())
    }

    fn lack_of_grants(&self, ballot: &Ballot, last_sequence: u64) -> Refusal {
        let (grants, needed) = (self.grants(ballot), self.config.grants_needed());
        Refusal::Grants { grants, needed, last_sequence }
    }
}
