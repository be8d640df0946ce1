//! The replication thread: sockets, the state machine, and on a standby also the engine.
//!
//! One thread owns the [`Replica`]; everything reaches it through the sockets, the shared state and time, and all its
//! outputs are carried out here, in order; those that rest on a new epoch are held back until it is persisted, and the
//! thread goes on meanwhile: it waits for no disk. On a standby the node's journal is at the worker's and its engine here; a
//! promotion hands both to the pipeline, and the thread only keeps watch from then on. A primary that is fenced, and a
//! log that must be cut, end the thread: the node then starts again from its files, as after a restart.

mod commands;
mod persist;
pub(crate) mod view;

use crate::clock::{ClockGuard, Reading, WallClock};
use crate::cluster::alarms::AlarmBook;
use crate::cluster::held::{EpochWriter, Held, Noted};
use crate::cluster::links::{LinkEvent, Links};
use crate::cluster::operator::{Operators, Promotion};
use crate::cluster::pace::{Delayed, Pace};
use crate::cluster::pending::{LogClock, Pending, apply_frame, received_frames};
use crate::cluster::rounds::ReadRounds;
use crate::cluster::state::ClusterState;
use crate::cluster::status::ClusterStatus;
use crate::cluster::streams::Streams;
use crate::cluster::worker::{JournalWorker, ended};
use crate::commit::SharedJournal;
use crate::error::NodeError;
use crate::status::{ClusterCounters, Stall};
use crossbeam::channel::{Receiver, Sender};
use mizan_engine::{Engine, Output as EngineOutput, Resolved};
use mizan_journal::{Journal, LogReader, Storage};
use mizan_replica::constants::NODES_MAX;
use mizan_replica::{Control, ControlKind, FrameEnd, Output, Replica, Role, Standing};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use view::role_name;

/// Longest wait between two looks at the time.
const TICK: Duration = Duration::from_millis(20);
/// As long as a promotion is under way.
const TICK_CANDIDATE: Duration = Duration::from_millis(2);
/// How often the status that others see is renewed.
const STATUS_INTERVAL_NS: u64 = 100_000_000;
/// Bytes of the log applied at once by a promotion of a node that only kept it.
const APPLY_READ_SIZE: usize = 8 << 20;

/// Why the thread ended in order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ReplicationEnd {
    /// It was told to.
    Stopped,
    /// The node was primary and is not any more; its files say what it is now.
    Left {
        /// What it stands for since.
        standing: Option<Standing>,
    },
    /// The log is to be cut back.
    Cut {
        /// To this sequence.
        to: u64,
        /// What the node stands for.
        standing: Option<Standing>,
    },
}

/// What a promotion hands to the pipeline.
pub(crate) struct Handover<S: Storage> {
    pub(crate) journal: Journal<S>,
    pub(crate) engine: Engine,
    /// The time goes on from what the nodes agreed on.
    pub(crate) clock: ClockGuard,
}

/// Where the journal and the engine are.
enum Seat<S: Storage> {
    Standby {
        worker: JournalWorker<S>,
        engine: Box<Engine>,
        /// `None`: the node only keeps the log, and applies it when it is promoted.
        pending: Option<Pending>,
    },
    /// At the pipeline, or on the way there.
    Primary { journal: Option<SharedJournal<S>>, adopted: Receiver<SharedJournal<S>> },
    /// Between the two, and after an error.
    Empty,
}

/// The first entry of an epoch, on its way to the disk.
struct Beginning {
    control: Control,
    epoch: u64,
    clock: ClockGuard,
    clock_reading: u64,
    done: Receiver<FrameEnd>,
}

/// What the thread is made of.
pub(crate) struct ReplicationParts<S: Storage> {
    pub(crate) replica: Replica,
    pub(crate) links: Links,
    pub(crate) worker: JournalWorker<S>,
    pub(crate) engine: Engine,
    pub(crate) pending: Option<Pending>,
    pub(crate) reader: LogReader<S>,
    pub(crate) state: Arc<ClusterState>,
    pub(crate) stopped: Arc<AtomicBool>,
    pub(crate) handover: Sender<Handover<S>>,
    pub(crate) adopted: Receiver<SharedJournal<S>>,
    pub(crate) operators: Operators,
    pub(crate) status: ClusterStatus,
    /// What the node stood for before it started again.
    pub(crate) standing: Option<Standing>,
    /// Bytes per second that a node that lags is sent.
    pub(crate) catch_up_rate: u64,
    pub(crate) counters: ClusterCounters,
    pub(crate) log_clock: LogClock,
    pub(crate) wall_clock: WallClock,
    /// Every promotion believes the wall clock.
    pub(crate) accept_clock: bool,
}

/// See the module.
pub(crate) struct Replication<S: Storage> {
    replica: Replica,
    links: Links,
    seat: Seat<S>,
    /// Outputs that wait for an epoch.
    held: Held,
    epoch_writer: Option<EpochWriter>,
    /// A primary's record on its way to the disk, and whether it has changed since.
    record_writer: Option<EpochWriter>,
    is_record_due: bool,
    beginning: Option<Beginning>,
    /// For what this node itself needs of its log.
    reader: LogReader<S>,
    streams: Streams<S>,
    state: Arc<ClusterState>,
    stopped: Arc<AtomicBool>,
    handover: Sender<Handover<S>>,
    adopted: Option<Receiver<SharedJournal<S>>>,
    operators: Operators,
    promotion: Option<Promotion>,
    standing: Option<Standing>,
    /// The first frame of the epoch, until the pipeline runs.
    started: Option<FrameEnd>,
    status: ClusterStatus,
    status_ns: u64,
    counters: ClusterCounters,
    alarms: AlarmBook,
    output: EngineOutput,
    frames: Vec<u8>,
    durable: u64,
    rounds: ReadRounds,
    pace: Pace,
    log_clock: LogClock,
    wall_clock: WallClock,
    accept_clock: bool,
    /// Connections made with each peer since the start.
    connects: [u64; NODES_MAX],
    /// Of the peers of a primary: since when nothing becomes durable there although something is missing.
    stalls: [Stall; NODES_MAX],
    now_ns: u64,
}

impl<S: Storage> Replication<S> {
    pub(crate) fn new(parts: ReplicationParts<S>) -> Self {
        let ReplicationParts { worker, engine, pending, .. } = parts;
        Self {
            replica: parts.replica,
            links: parts.links,
            seat: Seat::Standby { worker, engine: Box::new(engine), pending },
            held: Held::default(),
            epoch_writer: None,
            record_writer: None,
            is_record_due: false,
            beginning: None,
            streams: Streams::new(NODES_MAX, || parts.reader.another()),
            reader: parts.reader,
            state: parts.state,
            stopped: parts.stopped,
            handover: parts.handover,
            adopted: Some(parts.adopted),
            operators: parts.operators,
            promotion: None,
            standing: parts.standing,
            started: None,
            status: parts.status,
            status_ns: 0,
            counters: parts.counters,
            alarms: AlarmBook::default(),
            output: EngineOutput::new(),
            frames: Vec::new(),
            durable: 0,
            rounds: ReadRounds::default(),
            pace: Pace::new(parts.catch_up_rate),
            log_clock: parts.log_clock,
            wall_clock: parts.wall_clock,
            accept_clock: parts.accept_clock,
            connects: [0; NODES_MAX],
            stalls: [Stall::default(); NODES_MAX],
            now_ns: 0,
        }
    }

    /// Runs until the node is stopped, fenced, or must cut its log. A standby's journal is closed in order.
    ///
    /// # Errors
    /// A failing disk, an alarm that stops the node, a state that is not the primary's.
    pub(crate) fn run(mut self) -> Result<ReplicationEnd, NodeError> {
        let mut end = self.poll_until_ended();
        self.publish_status();
        // Nobody hears of its epoch any more, but the journal is not let go before it is done.
        for writer in [self.record_writer.take(), self.epoch_writer.take()].into_iter().flatten() {
            let noted = writer.finish();
            end = end.and_then(|end| noted.map(|_| end));
        }
        let seat = std::mem::replace(&mut self.seat, Seat::Empty);
        if let Seat::Standby { worker, .. } = seat {
            let is_stop = matches!(end, Ok(ReplicationEnd::Stopped));
            if !is_stop || worker.is_out_of_space() {
                worker.give_up();
            }
            let mut journal = worker.finish()?;
            if let Some(Beginning { epoch, .. }) = self.beginning.take() {
                // Its first entry may be on the disk, and was never acknowledged.
                journal.set_config(&self.record_of_leading(epoch))?;
            }
            if is_stop {
                journal.close()?;
            } else if let Ok(ReplicationEnd::Cut { to, .. }) = &mut end {
                // What was not written need not be cut.
                *to = (*to).min(journal.next_sequence() - 1);
            }
        }
        end
    }

    fn poll_until_ended(&mut self) -> Result<ReplicationEnd, NodeError> {
        if let Some(standing) = self.standing.take() {
            self.replica.resume(standing, Reading::now().monotonic_ns);
        }
        loop {
            self.now_ns = Reading::now().monotonic_ns;
            let tick = if self.promotion.is_some() { TICK_CANDIDATE } else { TICK };
            let (replica, now_ns) = (&mut self.replica, self.now_ns);
            self.links.poll(self.pace.wait(now_ns, tick), now_ns, &mut |session, has_older| {
                // The wait for sockets was long before this.
                replica.judge_connection(session, has_older, Reading::now().monotonic_ns)
            })?;
            self.now_ns = Reading::now().monotonic_ns;
            while let Some(Delayed { peer, after, size_max, .. }) = self.pace.take_due(self.now_ns)
            {
                self.read_frames(peer, after, size_max)?;
            }
            while let Some(event) = self.links.next_event() {
                self.take_event(event)?;
                if let Some(end) = self.carry_out()? {
                    return Ok(end);
                }
            }
            self.take_progress()?;
            if let Some(end) = self.take_persisted()? {
                return Ok(end);
            }
            self.rounds.begin(&self.state, || self.replica.begin_read_round());
            self.replica.note_clock(self.wall_clock.read().realtime_ns);
            self.replica.handle_tick(self.now_ns);
            if let Some(end) = self.carry_out()? {
                return Ok(end);
            }
            if self.now_ns.saturating_sub(self.status_ns) >= STATUS_INTERVAL_NS {
                self.publish_status();
            }
            if self.stopped.load(Ordering::Acquire) {
                return Ok(ReplicationEnd::Stopped);
            }
        }
    }

    fn take_event(&mut self, event: LinkEvent) -> Result<(), NodeError> {
        match event {
            LinkEvent::Connected(session) => {
                let peer = session.peer();
                self.pace.begin(peer);
                self.held.forget_peer(peer);
                self.connects[usize::from(peer)] += 1;
                self.replica.handle_connected(session, self.now_ns);
            }
            LinkEvent::Disconnected(peer) => {
                self.held.forget_peer(peer);
                self.replica.handle_disconnected(peer);
            }
            LinkEvent::Message(peer, bytes) => {
                if let Err(error) = self.replica.handle_message(peer, &bytes, self.now_ns)
                    && !error.is_harmless()
                {
                    tracing::warn!("node {peer}: {error}");
                }
            }
            LinkEvent::Admin(operator, body) => self.take_admin(operator, &body),
        }
        Ok(())
    }

    /// What the journal has done since the last look.
    fn take_progress(&mut self) -> Result<(), NodeError> {
        self.write_record()?;
        let role = self.replica.status().role;
        // Whoever was overtaken meanwhile hands nothing over: its end is on its way.
        let has_begun = |it: &mut Beginning| !it.done.is_empty() && role == Role::Primary(it.epoch);
        if let Some(beginning) = self.beginning.take_if(has_begun) {
            self.hand_over(beginning)?;
        }
        let durable = match &mut self.seat {
            Seat::Standby { worker, .. } => {
                if worker.has_ended() {
                    let seat = std::mem::replace(&mut self.seat, Seat::Empty);
                    if let Seat::Standby { worker, .. } = seat {
                        worker.finish()?;
                    }
                    return Err(ended());
                }
                worker.durable()
            }
            Seat::Primary { journal, adopted } => {
                if journal.is_none() {
                    *journal = adopted.try_recv().ok();
                }
                // Not before clients are served here.
                if journal.is_some()
                    && let Some(start) = self.started.take()
                {
                    self.answer_promotion(start);
                }
                let appended = self.state.take_appended();
                for (end, control) in appended.ends {
                    self.replica.handle_appended(end, control);
                    if control.is_some() {
                        self.state.set_copies(self.replica.status().config.min_sync);
                    }
                }
                appended.durable
            }
            Seat::Empty => return Err(ended()),
        };
        if durable > self.durable {
            self.durable = durable;
            self.replica.handle_durable(0, durable, self.now_ns);
        }
        Ok(())
    }

    /// Lets go what waited for an epoch once that is durable.
    fn take_persisted(&mut self) -> Result<Option<ReplicationEnd>, NodeError> {
        let Some(epoch) = self.held.epoch() else { return Ok(None) };
        if let Some(writer) = self.epoch_writer.take_if(|writer| writer.has_ended()) {
            match writer.finish()? {
                Noted::Durable(noted) => self.held.note_durable(noted),
                // What waits for the epoch is never sent.
                Noted::Closed => return Ok(Some(ReplicationEnd::Stopped)),
            }
            if let Some(higher) = self.held.epoch() {
                self.persist_epoch(higher)?;
            }
        } else if let Seat::Standby { worker, .. } = &self.seat
            && worker.has_persisted(epoch)
        {
            self.held.note_durable(epoch);
        }
        self.carry_out()
    }

    fn carry_out(&mut self) -> Result<Option<ReplicationEnd>, NodeError> {
        while let Some(output) = self.next_output() {
            if let Some(end) = self.carry_out_one(output)? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    /// The next thing to do. Behind an epoch that is being persisted only a higher one, the end of a connection, and a word
    /// to an operator, who is not to wait for the disk.
    fn next_output(&mut self) -> Option<Output> {
        if self.held.epoch().is_none()
            && let Some(output) = self.held.pop()
        {
            return Some(output);
        }
        while let Some(output) = self.replica.poll_output() {
            let is_free = self.held.epoch().is_none()
                || matches!(
                    output,
                    Output::PersistEpoch(_)
                        | Output::Disconnect { .. }
                        | Output::PromotionRefused(_)
                );
            if is_free {
                return Some(output);
            }
            self.held.push(output);
        }
        None
    }

    fn carry_out_one(&mut self, output: Output) -> Result<Option<ReplicationEnd>, NodeError> {
        match output {
            Output::Send { peer, bytes } => self.links.send(peer, bytes),
            Output::Disconnect { peer } => {
                self.links.disconnect(peer);
                self.held.forget_peer(peer);
                self.replica.handle_disconnected(peer);
            }
            Output::PersistEpoch(epoch) => self.persist_epoch(epoch)?,
            Output::PersistStarts(starts) => self.persist_starts(starts)?,
            Output::Append { frames, commit } => {
                if let Seat::Standby { worker, pending, .. } = &mut self.seat {
                    let frames = Arc::new(frames);
                    self.log_clock.note(&frames);
                    if let Some(pending) = pending {
                        pending.push_received(&frames);
                    }
                    worker.append(frames, commit);
                }
            }
            Output::CutBack { to, .. } => {
                let (to, standing) = (to.sequence, self.replica.standing());
                self.answer_before_cut(to);
                return Ok(Some(ReplicationEnd::Cut { to, standing }));
            }
            Output::ReadFrames { peer, after, size_max } => {
                self.read_frames(peer, after, size_max)?;
            }
            Output::AppendControl { control, epoch } => self.append_control(control, epoch)?,
            Output::Commit(sequence) => self.note_commit(sequence)?,
            Output::ReadsConfirmed(round) => self.rounds.confirm(&self.state, round),
            Output::RoleChanged(role) => return self.change_role(role),
            Output::PromotionRefused(refusal) => self.refuse_promotion(&refusal),
            Output::Alarm(alarm) => self.raise(alarm),
            Output::AlarmEnded(alarm) => self.end_alarm(&alarm),
        }
        Ok(None)
    }

    fn read_frames(&mut self, peer: u8, after: u64, size_max: u64) -> Result<(), NodeError> {
        if !self.pace.admits(peer, after, size_max, self.now_ns) {
            return Ok(());
        }
        let status = self.replica.status();
        // A node that serves a candidate has granted what is on its disk, and what it only received may never get there.
        let is_standby = matches!(self.seat, Seat::Standby { .. });
        let up_to = if is_standby { status.durable } else { status.end.sequence };
        self.frames.clear();
        if after >= up_to {
            self.replica.handle_frames_read(peer, after, &[]);
            return Ok(());
        }
        let size_max = self.pace.size_max(peer, size_max);
        let size_max = usize::try_from(size_max).unwrap_or(usize::MAX);
        if let Some(last) = self.streams.read(peer, after, up_to, size_max, &mut self.frames) {
            self.pace.note(peer, self.frames.len(), last == up_to, self.now_ns);
        }
        self.replica.handle_frames_read(peer, after, &self.frames);
        Ok(())
    }

    fn append_control(&mut self, control: Control, epoch: u64) -> Result<(), NodeError> {
        if matches!(self.seat, Seat::Primary { .. }) {
            self.state.ask_for_control(control);
            return Ok(());
        }
        if control.kind == ControlKind::EpochStart {
            self.begin_epoch(&control, epoch)?;
        }
        Ok(())
    }

    /// The last steps of a promotion: apply the whole log, begin the epoch durably, and then hand over.
    fn begin_epoch(&mut self, control: &Control, epoch: u64) -> Result<(), NodeError> {
        let seat = std::mem::replace(&mut self.seat, Seat::Empty);
        let Seat::Standby { worker, mut engine, mut pending } = seat else { return Err(ended()) };
        // A candidate begins only when its log is durable to its end.
        let end = self.replica.status().end.sequence;
        match &mut pending {
            Some(pending) => pending.apply_to(end, &mut engine, &mut self.output)?,
            None => self.apply_from_files(end, &mut engine)?,
        }
        let agreed = self.replica.agreed_clock();
        let mut clock = match agreed {
            Some((realtime_ns, monotonic_ns)) => {
                ClockGuard::agreed(Reading { monotonic_ns, realtime_ns })
            }
            None => ClockGuard::new(self.wall_clock.read()),
        };
        let clock_reading = clock.admit(self.wall_clock.read());
        let done = worker.begin_epoch(control, epoch, clock_reading);
        self.seat = Seat::Standby { worker, engine, pending };
        let control = *control;
        self.beginning = Some(Beginning { control, epoch, clock, clock_reading, done });
        Ok(())
    }

    /// The first entry of the epoch is durable: the pipeline takes over.
    fn hand_over(&mut self, beginning: Beginning) -> Result<(), NodeError> {
        let Beginning { control, clock, clock_reading, done, .. } = beginning;
        let start = done.try_recv().map_err(|_| ended())?;
        let seat = std::mem::replace(&mut self.seat, Seat::Empty);
        let Seat::Standby { worker, mut engine, .. } = seat else { return Err(ended()) };
        let entry = control.entry(clock_reading);
        let sequence = start.sequence;
        engine
            .apply(sequence, &entry, &[], &Resolved::none(), &mut self.output)
            .map_err(|source| NodeError::Apply { sequence, source })?;
        let journal = worker.finish()?;
        let adopted = self.adopted.take().ok_or_else(ended)?;
        self.seat = Seat::Primary { journal: None, adopted };
        self.state.set_copies(control.config.min_sync);
        self.durable = sequence;
        self.replica.handle_appended(start, Some(control));
        self.replica.handle_durable(0, sequence, self.now_ns);
        // Whoever waits for it may have been stopped meanwhile; then the journal is closed by its end.
        let _ = self.handover.send(Handover { journal, engine: *engine, clock });
        self.state.wake_front();
        self.started = Some(start);
        Ok(())
    }

    /// Applies what the files hold behind the engine's state.
    fn apply_from_files(&mut self, end: u64, engine: &mut Engine) -> Result<(), NodeError> {
        while engine.sequence() < end {
            let mut frames = std::mem::take(&mut self.frames);
            frames.clear();
            self.reader.read_after(engine.sequence(), end, APPLY_READ_SIZE, &mut frames)?;
            for (header, payload) in received_frames(&frames) {
                let (sequence, count) = (header.sequence, header.count);
                apply_frame(sequence, count, &frames[payload], engine, &mut self.output)?;
            }
            self.frames = frames;
        }
        Ok(())
    }

    fn note_commit(&mut self, sequence: u64) -> Result<(), NodeError> {
        match &mut self.seat {
            Seat::Standby { pending: None, .. } => {}
            Seat::Standby { engine, pending: Some(pending), .. } => {
                match pending.apply_to(sequence, engine, &mut self.output) {
                    Ok(()) => self.replica.handle_applied(engine.sequence()),
                    Err(NodeError::Apply { sequence, source }) => {
                        tracing::error!("log entry {sequence} cannot be applied: {source}");
                        self.replica.handle_state_mismatch(sequence);
                    }
                    Err(error) => return Err(error),
                }
            }
            _ => self.state.set_commit(sequence),
        }
        Ok(())
    }

    fn change_role(&mut self, role: Role) -> Result<Option<ReplicationEnd>, NodeError> {
        tracing::info!("role: {}", role_name(role));
        if role == Role::Stopped {
            self.state.fence();
            // What ends the node is shown by its files from now on.
            self.publish_status();
            return Err(NodeError::Stopped { text: self.alarms.text_of_stop() });
        }
        let has_led = matches!(self.seat, Seat::Primary { .. }) || self.beginning.is_some();
        if has_led && !matches!(role, Role::Primary(_)) {
            self.state.fence();
            return Ok(Some(ReplicationEnd::Left { standing: self.replica.standing() }));
        }
        self.publish_status();
        Ok(None)
    }
}
