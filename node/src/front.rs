//! The front: sockets, ingress and replies, which share one thread in every layout because they share the sockets.

use crate::cell::{Cell, Entries, EntryHeader};
use crate::clock::Reading;
use crate::cluster::ClusterState;
use crate::commit::{INLINE_SYNC_MAX, InlineCommit};
use crate::cursors::Progress;
use crate::error::NodeError;
use crate::ingress::Ingress;
use crate::journal_stage::JournalState;
use crate::output::OutputHeader;
use crate::release::Release;
use crate::status::{FrontBeat, FrontFigures};
use mizan_gateway::{Accepting, Clock, Gateway, NodeView, OutgoingReply};
use mizan_ring::{Consumer, CursorReader, Signal};
use mizan_wire::frame::NodeLimits;
use mizan_wire::trading::OrderResult;
use mizan_wire::{DigestRecord, Operation, RequestStatus};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use zerocopy::FromBytes;

/// Durable copies that a reply of a single node stands for.
const COPIES: u8 = 1;

/// What the front needs of the others.
pub(crate) struct FrontParts {
    pub(crate) gateway: Gateway,
    pub(crate) ingress: Ingress,
    pub(crate) outputs: Consumer<Cell>,
    /// The cursors whose slowest is the commit point.
    pub(crate) durable: CursorReader,
    pub(crate) applied: CursorReader,
    /// Wakes the stages behind the ring: entries were published.
    pub(crate) stage_signal: Signal,
    /// Wakes the engine, if it has a thread of its own: outputs were released.
    pub(crate) engine_signal: Option<Signal>,
    /// Lets the front commit small groups itself.
    pub(crate) inline_commit: Option<InlineCommit>,
    pub(crate) journal: Arc<JournalState>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) cluster: u128,
    pub(crate) epoch: u64,
    pub(crate) limits: NodeLimits,
    pub(crate) commit_sequence: u64,
    pub(crate) next_due_ns: u64,
    /// The engine's last timestamp as far as it is committed.
    pub(crate) timestamp: u64,
    /// Where the front shows that it lives.
    pub(crate) beat: FrontBeat,
    /// What replication says of commits and reads; `None` for a node of its own.
    pub(crate) cluster_state: Option<Arc<ClusterState>>,
}

/// Ingress and reply stage.
pub(crate) struct Front {
    parts: FrontParts,
    /// Position in the request ring up to which results have come back.
    answered: u64,
    /// Position up to which it is settled who makes the entries durable.
    settled: u64,
    /// What was published last is for the front to commit.
    commits_next: bool,
    /// Time lost in slow syncs on this thread: connections are not to be blamed for what the front did not read.
    paused_ns: u64,
    stopping: bool,
    /// Whether it was said that there is no room on the disk.
    space_was_low: bool,
    /// Whether it was said that there is no descriptor or no memory.
    was_starved: bool,
    /// The last digest that fell due and is committed.
    digest: DigestRecord,
}

impl Front {
    pub(crate) fn new(parts: FrontParts) -> Self {
        Self {
            parts,
            answered: 0,
            settled: 0,
            commits_next: false,
            paused_ns: 0,
            stopping: false,
            space_was_low: false,
            was_starved: false,
            digest: DigestRecord::default(),
        }
    }

    /// Reads requests and lets time pass. `timeout` bounds the wait for sockets.
    ///
    /// # Errors
    /// Failing sockets of the listener, or another stage's death.
    pub(crate) fn poll_ingress(&mut self, timeout: Option<Duration>) -> Result<bool, NodeError> {
        let before = self.parts.ingress.published();
        self.tell_space();
        let refusal = self.refusal();
        self.parts.ingress.refuse_writes(refusal);
        let reading = self.parts.ingress.read_clock();
        let clock = Clock {
            monotonic_ns: reading.monotonic_ns.saturating_sub(self.paused_ns),
            realtime_ns: reading.realtime_ns,
        };
        let view = self.view(refusal);
        let parts = &mut self.parts;
        if timeout != Some(Duration::ZERO) {
            parts.ingress.expect_wait();
        }
        let worked = parts.gateway.poll(timeout, &view, &clock, &mut parts.ingress)?;
        if let Some(cluster) = &parts.cluster_state
            && let Some(control) = cluster.control()
            && parts.ingress.emit_control(&control)?
        {
            cluster.control_is_placed();
        }
        let is_due = self.time_to_due_ns() == 0;
        self.parts.ingress.emit_own_entries(is_due, self.answered)?;
        let published = self.parts.ingress.published();
        self.parts.progress.note_ingress(published, self.parts.ingress.clock_jumps());
        if self.parts.beat.is_due(reading.monotonic_ns) {
            self.beat();
        }
        Ok(worked || published > before)
    }

    /// Shows where it stands.
    fn beat(&mut self) {
        let parts = &mut self.parts;
        let figures = FrontFigures {
            epoch: parts.epoch,
            published_sequence: parts.ingress.sequence(),
            commit_sequence: parts.commit_sequence,
            is_clock_held_back: parts.ingress.is_clock_held_back(),
            digest: self.digest,
            gateway: parts.gateway.counters(),
        };
        // Read again: the front may have waited for sockets since.
        parts.beat.beat(Reading::now(), &figures);
    }

    /// Wakes the stages behind the ring for what was published, unless the front is to commit it itself.
    ///
    /// To be called after every look for requests; [`Front::commit_small`] follows before the next.
    pub(crate) fn hand_over(&mut self) {
        let published = self.parts.ingress.published();
        if published == self.settled {
            return;
        }
        self.settled = published;
        let waiting = published - self.parts.durable.get();
        let inline = self.parts.inline_commit.as_mut();
        self.commits_next = inline.is_some_and(|inline| inline.is_for_the_front(waiting));
        if !self.commits_next {
            self.parts.stage_signal.notify();
        }
    }

    /// Makes durable what [`Front::hand_over`] kept for the front. Whether it did.
    ///
    /// # Errors
    /// Any failure of the journal but a full disk.
    pub(crate) fn commit_small(&mut self) -> Result<bool, NodeError> {
        if !std::mem::take(&mut self.commits_next) {
            return Ok(false);
        }
        let Some(inline) = &mut self.parts.inline_commit else { return Ok(false) };
        let took = inline.commit()?;
        let slow = took.map_or(Duration::ZERO, |took| took.saturating_sub(INLINE_SYNC_MAX));
        self.paused_ns += u64::try_from(slow.as_nanos()).unwrap_or(u64::MAX);
        if self.parts.durable.get() < self.settled {
            self.parts.stage_signal.notify();
        }
        Ok(took.is_some())
    }

    /// Hands replies up to the commit point to their connections.
    pub(crate) fn poll_replies(&mut self) -> Result<bool, NodeError> {
        let commit = self.committed();
        let mut release = self.release();
        let parts = &mut self.parts;
        let copies = parts.cluster_state.as_ref().map_or(COPIES, |cluster| cluster.copies());
        let batch = parts.outputs.available()?;
        let mut done = batch.start();
        let mut entries = Entries::<OutputHeader>::new(&batch);
        while let Some(entry) = entries.next() {
            if entry.header.is_padding() {
                done = entry.end;
                continue;
            }
            if !release.admits(entry.header) && !release.look_ahead(entry.header, entries.clone()) {
                if let Some(cluster) = &parts.cluster_state
                    && release.waits_for_round(entry.header)
                {
                    // One round for all that has come, answered or not: it begins after this.
                    cluster.want_reads(parts.ingress.published());
                }
                break;
            }
            self.answered = entry.header.position;
            parts.commit_sequence = parts.commit_sequence.max(entry.header.applied_sequence);
            parts.next_due_ns = entry.header.next_due_ns;
            parts.timestamp = parts.timestamp.max(entry.header.timestamp);
            parts.ingress.learn(entry.header, entry.body);
            if !deliver(&mut parts.gateway, parts.epoch, parts.commit_sequence, copies, &entry) {
                if let Some(digest) = digest_of(&entry) {
                    parts.ingress.record_digest(digest);
                    self.digest = digest;
                } else if let Some(result) = mass_cancel_of(&entry) {
                    parts.gateway.note_mass_cancel(&result);
                }
            }
            done = entry.end;
        }
        let worked = done > parts.outputs.released_position();
        if worked {
            parts.outputs.release_to(done);
            if let Some(engine_signal) = &parts.engine_signal {
                engine_signal.notify();
            }
            parts.journal.commit_sequence.store(parts.commit_sequence, Ordering::Relaxed);
            parts.progress.note_commit(commit, parts.commit_sequence);
        }
        Ok(parts.gateway.flush() | worked)
    }

    /// What may be answered now.
    fn release(&self) -> Release {
        let position = self.committed();
        match &self.parts.cluster_state {
            None => Release::of_one_node(position),
            // Fenced: what waits is never answered by this node.
            Some(cluster) if cluster.is_fenced() => Release::of_one_node(0),
            Some(cluster) => {
                Release { position, sequence: cluster.commit(), reads: cluster.reads_confirmed() }
            }
        }
    }

    /// Whether another node was promoted.
    pub(crate) fn is_fenced(&self) -> bool {
        self.parts.cluster_state.as_ref().is_some_and(|cluster| cluster.is_fenced())
    }

    /// Position up to which everything is durable and applied.
    pub(crate) fn committed(&self) -> u64 {
        self.parts.durable.get().min(self.parts.applied.get())
    }

    /// Whether a stage behind the front still has to work on what was published.
    pub(crate) fn is_waiting_for_commit(&self) -> bool {
        self.committed() < self.parts.ingress.published()
    }

    /// Whether outputs wait whose commit has come.
    pub(crate) fn has_replies(&mut self) -> Result<bool, NodeError> {
        let mut release = self.release();
        let batch = self.parts.outputs.available()?;
        let mut entries = Entries::<OutputHeader>::new(&batch);
        let next = entries.by_ref().find(|entry| !entry.header.is_padding());
        Ok(next.is_some_and(|entry| {
            release.admits(entry.header) || release.look_ahead(entry.header, entries)
        }))
    }

    /// How long the front may block before time itself gives it work.
    ///
    /// Where no tick can be emitted, what stands in its way is worth waiting for, and not the time.
    pub(crate) fn block_time(&self, longest: Duration) -> Duration {
        if self.parts.ingress.may_emit(self.answered) {
            longest.min(Duration::from_nanos(self.time_to_due_ns()))
        } else {
            longest
        }
    }

    /// Nanoseconds until a hold is due by the time that the engine would give an entry now: that may run ahead of the
    /// clock, but never behind it.
    fn time_to_due_ns(&self) -> u64 {
        self.parts.next_due_ns.saturating_sub(self.parts.ingress.time(self.parts.timestamp))
    }

    /// Takes no new connections and no new writes from now on.
    pub(crate) fn begin_shutdown(&mut self) {
        self.stopping = true;
        self.parts.beat.begin_shutdown();
        self.parts.gateway.begin_shutdown();
    }

    /// Whether everything that was accepted has been answered.
    pub(crate) fn is_answered(&self) -> bool {
        !self.is_waiting_for_commit()
            && self.parts.outputs.released_position() == self.parts.progress.outputs_published()
            && self.parts.gateway.in_flight() == 0
    }

    /// Whether the sockets have taken all replies.
    pub(crate) const fn is_sent(&self) -> bool {
        self.parts.gateway.counters().unsent_bytes == 0
    }

    /// Whether the journal works on what was accepted, and is not waiting for space that may never come.
    pub(crate) fn can_commit(&self) -> bool {
        self.is_waiting_for_commit() && !self.parts.journal.is_stalled.load(Ordering::Relaxed)
    }

    /// Closes all connections.
    pub(crate) fn close(mut self) {
        self.parts.gateway.flush();
        self.parts.gateway.close_all();
    }

    /// Says once that writes are refused for want of room, and once that they go on.
    fn tell_space(&mut self) {
        let is_starved = self.parts.journal.is_starved.load(Ordering::Relaxed);
        if is_starved && !std::mem::replace(&mut self.was_starved, is_starved) {
            tracing::warn!(
                "the next journal segment cannot be made for want of a descriptor or of memory: writes are refused (overloaded), reads go on; raise the limit of open files, or close what holds them"
            );
        } else if !is_starved && std::mem::take(&mut self.was_starved) {
            tracing::info!("the journal has a descriptor again: writes go on");
        }
        let is_low = self.parts.journal.space_is_low.load(Ordering::Relaxed);
        if is_low == self.space_was_low {
            return;
        }
        self.space_was_low = is_low;
        if is_low {
            tracing::warn!(
                "the next journal segment cannot be made: writes are refused (journal_space_low), reads go on; free space on the disk of the data directory"
            );
        } else {
            tracing::info!("the journal has room again: writes go on");
        }
    }

    fn refusal(&self) -> Option<RequestStatus> {
        if self.stopping {
            Some(RequestStatus::ShuttingDown)
        } else if self.parts.journal.space_is_low.load(Ordering::Relaxed) {
            Some(RequestStatus::JournalSpaceLow)
        } else if self.parts.journal.is_starved.load(Ordering::Relaxed) {
            Some(RequestStatus::Overloaded)
        } else {
            None
        }
    }

    fn view(&self, refusal: Option<RequestStatus>) -> NodeView {
        NodeView {
            cluster: self.parts.cluster,
            epoch: self.parts.epoch,
            commit: self.parts.commit_sequence,
            role: 1,
            limits: NodeLimits { alarms: self.parts.beat.alarms().bits(), ..self.parts.limits },
            accepting: match refusal {
                None => Accepting::All,
                Some(RequestStatus::ShuttingDown) => {
                    Accepting::Nothing(RequestStatus::ShuttingDown)
                }
                Some(status) => Accepting::ReadsOnly(status),
            },
        }
    }
}

/// Gives a result to the connection that asked for it; false if the node itself asked.
fn deliver(
    gateway: &mut Gateway,
    epoch: u64,
    commit: u64,
    copies_durable: u8,
    entry: &crate::cell::Entry<'_, OutputHeader>,
) -> bool {
    let header = entry.header;
    if header.origin == 0 {
        return false;
    }
    let Some(operation) = Operation::from_number(header.operation) else {
        return false;
    };
    gateway.reply(&OutgoingReply {
        origin: header.origin,
        client: header.client,
        session: header.session,
        request: header.request,
        operation,
        status: header.status,
        flags: header.flags,
        sequence: header.sequence,
        epoch,
        commit,
        timestamp: header.timestamp,
        event_count: header.event_count,
        result_size: header.result_size,
        result_count: header.result_count,
        copies_durable,
        body: entry.body,
    });
    true
}

/// The result of a mass cancel of the node's own, which may have to go on.
fn mass_cancel_of(entry: &crate::cell::Entry<'_, OutputHeader>) -> Option<OrderResult> {
    let is_one = entry.header.operation == Operation::MassCancelOrders.number();
    is_one.then(|| OrderResult::read_from_bytes(entry.body).unwrap_or_default())
}

/// A digest that the engine announces, which is to be recorded in the log; other results of own entries need nothing.
fn digest_of(entry: &crate::cell::Entry<'_, OutputHeader>) -> Option<DigestRecord> {
    let is_digest = entry.header.operation == Operation::Digest.number();
    is_digest.then(|| DigestRecord::read_from_bytes(entry.body).ok()).flatten()
}
