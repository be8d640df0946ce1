//! Driving a node: carrying out what its replica asks for, in order.

use crate::client::{Answer, Ask};
use crate::node::{Origin, SimNode, StoredFrame, faulty};
use crate::oracle::Violation;
use crate::workload::{CLOCK_START_NS, entry, header};
use crate::world::{Event, MS, Standing, World};
use mizan_engine::ApplyError;
use mizan_journal::JournalError;
use mizan_replica::{Alarm, Control, ControlKind, FrameEnd, Output, Refusal, Role};
use mizan_wire::{Operation, RequestHeader, SessionKey};
use zerocopy::IntoBytes;

/// The engine remembers 64 digests, one per 8 entries; a record of one that it forgot would break the log.
const DIGEST_AGE_MAX: u64 = 256;

/// How long it takes until somebody looks after a node that stopped.
const LOOK_NS: u64 = 100 * MS;

/// Why a node cannot go on.
pub(crate) enum Halt {
    Journal(JournalError),
    Apply(ApplyError),
    Violation(Violation),
}

impl From<JournalError> for Halt {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl From<ApplyError> for Halt {
    fn from(error: ApplyError) -> Self {
        Self::Apply(error)
    }
}

impl From<Violation> for Halt {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl World {
    /// Carries out everything that a node's replica asks for.
    pub(crate) fn drain(&mut self, index: u8) -> Result<(), Violation> {
        loop {
            let Some(node) = &mut self.places[usize::from(index)].node else { return Ok(()) };
            let Some(output) = node.replica.poll_output() else { return Ok(()) };
            let outcome = self.carry_out(index, output);
            self.judge_halt(index, outcome)?;
        }
    }

    /// A journal that fails takes its process with it, and is not asked again; everything else is a broken promise.
    pub(crate) fn judge_halt(
        &mut self,
        index: u8,
        outcome: Result<(), Halt>,
    ) -> Result<(), Violation> {
        match outcome {
            Ok(()) => Ok(()),
            Err(Halt::Journal(error)) => {
                self.note(&format!("node {index}: {error}"));
                let loses_power = self.places[usize::from(index)].storage.is_powerless();
                self.crash(index, loses_power);
                Ok(())
            }
            Err(Halt::Apply(error)) => {
                Err(Violation::Apply { node: index, reason: error.to_string() })
            }
            Err(Halt::Violation(violation)) => Err(violation),
        }
    }

    fn node(&mut self, index: u8) -> &mut SimNode {
        self.places[usize::from(index)].node.as_mut().expect("invariant: the node runs")
    }

    fn carry_out(&mut self, index: u8, output: Output) -> Result<(), Halt> {
        match output {
            Output::Send { peer, bytes } => self.send(index, peer, bytes),
            Output::Disconnect { peer } => self.disconnect(index, peer),
            Output::PersistEpoch(epoch) => {
                self.highest_epoch = self.highest_epoch.max(epoch);
                let node = self.node(index);
                if !faulty!(node, GrantNotPersisted) {
                    node.note_epoch(epoch)?;
                }
            }
            Output::PersistStarts(starts) => self.node(index).note_starts(&starts)?,
            Output::Append { frames, commit } => {
                let node = self.node(index);
                node.append_received(&frames, commit)?;
                if faulty!(node, ApplyBeforeCommit) {
                    let end = node.log.last().map_or(0, |frame| frame.header.last_sequence());
                    node.apply_to(end)?;
                }
                self.schedule_sync(index);
            }
            Output::CutBack { to, generation } => {
                self.report.cuts += 1;
                self.note(&format!("node {index} cuts back to {}", to.sequence));
                self.node(index).cut(to, generation)?;
            }
            Output::ReadFrames { peer, after, size_max } => {
                let node = self.node(index);
                let frames = node.read_frames(after, size_max);
                node.replica.handle_frames_read(peer, after, &frames);
            }
            Output::AppendControl { control, epoch } => {
                self.append_control(index, control, epoch)?;
            }
            Output::Commit(sequence) => self.commit(index, sequence)?,
            Output::ReadsConfirmed(round) => self.answer_reads(index, round),
            Output::RoleChanged(role) => self.change_role(index, role),
            Output::PromotionRefused(refusal) => {
                self.note(&format!("node {index}: {refusal}"));
                let place = &mut self.places[usize::from(index)];
                place.accepting = false;
                let standing = place.standing.take();
                let after = place.node.as_ref().map_or(0, |node| node.replica.status().epoch);
                if let Some(Standing { epoch: before, was_answered: false }) = standing
                    && matches!(refusal, Refusal::Grants { .. })
                    && after > before
                {
                    return Err(Violation::Disturbance { node: index, before, after }.into());
                }
                let place = &mut self.places[usize::from(index)];
                place.refused_at = match refusal {
                    Refusal::Grants { last_sequence, .. }
                    | Refusal::Acknowledged { last_sequence, .. }
                    | Refusal::WrongLoss { last_sequence } => Some(last_sequence),
                    _ => None,
                };
            }
            Output::AlarmEnded(alarm) => self.note(&format!("node {index}: over: {alarm}")),
            Output::Alarm(alarm) => {
                self.note(&format!("node {index}: {alarm}"));
                let end_epoch = self.node(index).log.last().map_or(0, |last| last.header.epoch);
                if self.oracle.excuses_alarm(&alarm, end_epoch) {
                    // What was given up is found again. Somebody looks, and gives the node a new disk.
                    self.after(LOOK_NS, Event::Replace { node: index });
                } else if !matches!(
                    alarm,
                    Alarm::PrimarySilent(_) | Alarm::SingleCopy | Alarm::Admitted(_)
                ) {
                    return Err(Violation::Alarm { node: index, alarm }.into());
                }
            }
        }
        Ok(())
    }

    fn append_control(&mut self, index: u8, control: Control, epoch: u64) -> Result<(), Halt> {
        let clock_ns = self.clock_ns(index);
        self.note(&format!("node {index} in epoch {epoch}: {control:?}"));
        let node = self.node(index);
        if control.kind == ControlKind::EpochStart {
            node.journal().set_epoch(epoch)?;
            let end = node.log.last().map_or(0, |frame| frame.header.last_sequence());
            node.apply_to(end)?;
            let log_end = node.log.last().map_or(FrameEnd::START, StoredFrame::end);
            if std::mem::take(&mut self.places[usize::from(index)].accepting) {
                self.report.losses_accepted += 1;
                self.oracle.accept_loss(epoch, log_end);
            }
        } else if !node.pending.is_empty() {
            // A control entry is alone in its frame.
            node.append_pending()?;
        }
        let node = self.node(index);
        node.append_own(control.entry(clock_ns).as_bytes(), 1)?;
        let end = node.log.last().map_or(0, |frame| frame.header.last_sequence());
        node.apply_to(end)?;
        self.schedule_sync(index);
        Ok(())
    }

    fn commit(&mut self, index: u8, sequence: u64) -> Result<(), Halt> {
        let node = self.node(index);
        node.commit = node.commit.max(sequence);
        if !node.is_primary {
            node.apply_to(sequence)?;
        }
        self.judge_committed(index)?;
        let node = self.node(index);
        let mut replies = Vec::new();
        while node.held.front().is_some_and(|(at, _)| *at <= sequence) {
            replies.extend(node.held.pop_front().map(|(_, reply)| reply));
        }
        for reply in replies {
            self.answer(index, reply.origin.client, Answer::Reply(Box::new(reply)));
        }
        self.last_commit = self.last_commit.max(sequence);
        Ok(())
    }

    /// Compares the digests of what is committed and applied and was not compared before.
    fn judge_committed(&mut self, index: u8) -> Result<(), Halt> {
        let node = self.node(index);
        let upto = node.commit.min(node.engine.sequence());
        let digests: Vec<(u64, u128, u64)> = (node.judged + 1..=upto)
            .filter_map(|at| Some((at, *node.digests.get(at as usize - 1)?, node.epoch_of(at))))
            .collect();
        node.judged = node.judged.max(upto);
        for (sequence, digest, epoch) in digests {
            self.oracle.committed(index, sequence, digest, epoch)?;
        }
        Ok(())
    }

    fn change_role(&mut self, index: u8, role: Role) {
        self.note(&format!("node {index} is {role:?}"));
        let node = self.node(index);
        node.is_primary = matches!(role, Role::Primary(_));
        node.digest_asked = 0;
        node.forget_requests();
        if role == Role::Candidate
            && let Some(rival) = self.places[usize::from(index)].rival.take()
        {
            // While its requests are on their way, or just after the first grants.
            let delay_ns = self.random.below(30) * MS / 10;
            self.after(delay_ns, Event::Contest { candidate: index, rival });
        }
        let node = self.node(index);
        if matches!(role, Role::Primary(_)) {
            // Whoever had a connection had it to another primary.
            let session = SessionKey::EVERY_SESSION;
            node.lose(SessionKey { client: 0, session, reserved: 0 });
            self.report.promotions += 1;
        }
    }

    pub(crate) fn clock_ns(&self, index: u8) -> u64 {
        let skew_ns = self.places[usize::from(index)].clock_skew_ns;
        (CLOCK_START_NS + self.now_ns).saturating_add_signed(skew_ns)
    }

    pub(crate) fn schedule_sync(&mut self, index: u8) {
        let place = &mut self.places[usize::from(index)];
        let (life, sync_ns) = (place.life, place.sync_ns);
        let Some(node) = &mut place.node else { return };
        if !std::mem::replace(&mut node.is_sync_due, true) {
            let jitter_ns = self.random.below(sync_ns);
            self.after(sync_ns + jitter_ns, Event::Sync { node: index, life });
        }
    }

    pub(crate) fn sync(&mut self, index: u8, life: u64) -> Result<(), Violation> {
        let now_ns = self.now_ns;
        let place = &mut self.places[usize::from(index)];
        if place.life != life {
            return Ok(());
        }
        let Some(node) = &mut place.node else { return Ok(()) };
        node.is_sync_due = false;
        let generation = node.generation;
        let outcome = match node.journal().sync() {
            Ok(durable) => {
                node.replica.handle_durable(generation, durable, now_ns);
                self.flush(index)
            }
            Err(error) => Err(error.into()),
        };
        self.judge_halt(index, outcome)?;
        self.drain(index)
    }

    /// A primary puts what waits into a frame, unless one is on its way to the disk.
    pub(crate) fn flush(&mut self, index: u8) -> Result<(), Halt> {
        let Some(node) = &mut self.places[usize::from(index)].node else { return Ok(()) };
        if !node.is_primary || node.is_sync_due || node.pending.is_empty() {
            return Ok(());
        }
        node.append_pending()?;
        let end = node.log.last().map_or(0, |frame| frame.header.last_sequence());
        node.apply_to(end)?;
        self.release_stale(index);
        self.schedule_sync(index);
        Ok(())
    }

    /// Only as a deliberate mistake: repeated requests are answered before their commit.
    fn release_stale(&mut self, index: u8) {
        let node = self.node(index);
        if !faulty!(node, StaleSessionReply) {
            return;
        }
        let is_stale = |held: &&(u64, crate::node::Reply)| {
            held.1.output.flags & mizan_wire::frame::REPLY_REPLAYED != 0
        };
        let replies: Vec<_> =
            node.held.iter().filter(is_stale).map(|(_, reply)| reply.clone()).collect();
        for reply in replies {
            self.answer(index, reply.origin.client, Answer::Reply(Box::new(reply)));
        }
    }

    pub(crate) fn tick(&mut self, index: u8) -> Result<(), Violation> {
        let clock_ns = self.clock_ns(index);
        let now_ns = self.now_ns;
        let Some(node) = &mut self.places[usize::from(index)].node else { return Ok(()) };
        node.replica.handle_tick(now_ns);
        if node.is_primary {
            if node.engine.next_due_ns().is_some_and(|due_ns| due_ns <= clock_ns) {
                let head =
                    RequestHeader { clock_reading: clock_ns, ..header(Operation::Tick, &[]) };
                node.pending.push((None, entry(&head, &[])));
            }
            if !node.losses.is_empty() {
                let keys = std::mem::take(&mut node.losses);
                let mut head = header(Operation::ConnectionLost, keys.as_bytes());
                head.clock_reading = clock_ns;
                node.pending.push((None, entry(&head, keys.as_bytes())));
                self.report.connections_lost += 1;
            }
            let due = node.engine.digest_due();
            let oldest = node.engine.sequence().saturating_sub(DIGEST_AGE_MAX);
            if let Some(record) = due.filter(|record| {
                record.at_sequence > node.digest_asked.max(oldest)
                    && record.at_sequence <= node.commit
            }) {
                node.digest_asked = record.at_sequence;
                let mut head = header(Operation::Digest, record.as_bytes());
                head.clock_reading = clock_ns;
                node.pending.push((None, entry(&head, record.as_bytes())));
            }
            let outcome = self.flush(index);
            self.judge_halt(index, outcome)?;
        }
        self.drain(index)
    }

    pub(crate) fn asked(&mut self, client: usize, index: u8, ask: Ask) -> Result<(), Violation> {
        let clock_ns = self.clock_ns(index);
        let Some(node) = &mut self.places[usize::from(index)].node else { return Ok(()) };
        if !node.is_primary {
            self.answer(index, client, Answer::NotPrimary);
            return Ok(());
        }
        match ask {
            Ask::Write { tag, mut header, body } => {
                header.clock_reading = clock_ns;
                if header.operation == Operation::Register.number() {
                    node.regain(header.client);
                }
                node.pending.push((Some(Origin { client, tag }), entry(&header, &body)));
                let outcome = self.flush(index);
                self.judge_halt(index, outcome)?;
            }
            Ask::Read { tag } => {
                if faulty!(node, ReadWithoutRound) {
                    let (epoch, sequence) = (node.replica.status().epoch, node.commit);
                    self.answer(index, client, Answer::Read { tag, epoch, sequence });
                } else if let Some(round) = node.replica.begin_read_round() {
                    node.reads.push((round, client, tag));
                }
            }
        }
        self.drain(index)
    }

    /// A client has hung up on a node.
    pub(crate) fn hung_up(&mut self, index: u8, key: SessionKey) {
        if let Some(node) = &mut self.places[usize::from(index)].node {
            node.lose(key);
        }
    }

    fn answer_reads(&mut self, index: u8, round: u64) {
        let node = self.node(index);
        let (epoch, sequence) = (node.replica.status().epoch, node.commit);
        let (ready, waiting) = node.reads.drain(..).partition(|read| read.0 <= round);
        node.reads = waiting;
        let ready: Vec<(u64, usize, u64)> = ready;
        for (_, client, tag) in ready {
            self.answer(index, client, Answer::Read { tag, epoch, sequence });
        }
    }
}
