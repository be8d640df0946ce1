//! The journal of a standby, on a thread of its own: frames of the primary are appended and synced while the
//! replication thread receives and applies others.
//!
//! Invariants: jobs are done in order; whatever waits is one group, up to a size; a full disk is waited for, any other failure ends
//! the node. Steps that must be finished before anything else leaves the node are asked for with an answer.

use crate::cluster::pending::received_frames;
use crate::error::NodeError;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use mio::Waker;
use mizan_journal::{Journal, JournalError, Storage};
use mizan_replica::{Control, FrameEnd};
use mizan_wire::RequestHeader;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use zerocopy::IntoBytes;

/// Bytes after which a group is synced although more frames wait.
const GROUP_SIZE_MAX: usize = 4 << 20;
/// Time between two looks for space on a full disk.
const SPACE_INTERVAL: Duration = Duration::from_millis(100);

enum Job {
    Append { frames: Arc<Vec<u8>>, commit: u64 },
    NoteEpoch { epoch: u64, done: Sender<()> },
    MakeReadable { done: Sender<()> },
    Control { entry: Box<RequestHeader>, epoch: u64, done: Sender<FrameEnd> },
}

/// What the worker tells while it works.
#[derive(Debug, Default)]
pub(crate) struct WorkerState {
    durable: AtomicU64,
    is_out_of_space: AtomicBool,
    /// What waits need not be written any more.
    is_given_up: AtomicBool,
}

/// A handle to the journal's thread.
pub(crate) struct JournalWorker<S: Storage> {
    jobs: Sender<Job>,
    state: Arc<WorkerState>,
    thread: JoinHandle<Result<Journal<S>, NodeError>>,
}

fn ended() -> NodeError {
    NodeError::Options("the journal's thread ended early".to_owned())
}

impl<S: Storage> JournalWorker<S> {
    /// Starts the thread; `waker` is used after every sync.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn start(journal: Journal<S>, waker: Arc<Waker>) -> Result<Self, NodeError> {
        let (jobs, work) = unbounded();
        let state = Arc::new(WorkerState::default());
        let told = Arc::clone(&state);
        let thread = std::thread::Builder::new()
            .name("mizan-standby".to_owned())
            .spawn(move || {
                let outcome = run(journal, &work, &told, &waker);
                let _ = waker.wake();
                outcome
            })
            .map_err(|source| NodeError::Io {
                what: "failed to start the thread mizan-standby".to_owned(),
                source,
            })?;
        Ok(Self { jobs, state, thread })
    }

    /// Appends frames in the background. The replica's window bounds how many wait.
    pub(crate) fn append(&self, frames: Arc<Vec<u8>>, commit: u64) {
        // If the thread is gone, `check` says why.
        let _ = self.jobs.send(Job::Append { frames, commit });
    }

    /// Persists the highest epoch seen; returns when that is done.
    ///
    /// # Errors
    /// The thread has ended.
    pub(crate) fn note_epoch(&self, epoch: u64) -> Result<(), NodeError> {
        let (done, is_done) = bounded(1);
        self.jobs.send(Job::NoteEpoch { epoch, done }).map_err(|_| ended())?;
        is_done.recv().map_err(|_| ended())
    }

    /// Returns when what was given to [`JournalWorker::append`] can be read from the files.
    ///
    /// # Errors
    /// The thread has ended.
    pub(crate) fn make_readable(&self) -> Result<(), NodeError> {
        let (done, is_done) = bounded(1);
        self.jobs.send(Job::MakeReadable { done }).map_err(|_| ended())?;
        is_done.recv().map_err(|_| ended())
    }

    /// Begins an epoch with this entry, alone in its frame and durable; returns the frame.
    ///
    /// # Errors
    /// The thread has ended.
    pub(crate) fn begin_epoch(
        &self,
        control: &Control,
        epoch: u64,
        clock_reading: u64,
    ) -> Result<FrameEnd, NodeError> {
        let (done, is_done) = bounded(1);
        let entry = Box::new(control.entry(clock_reading));
        self.jobs.send(Job::Control { entry, epoch, done }).map_err(|_| ended())?;
        is_done.recv().map_err(|_| ended())
    }

    /// Highest sequence that this thread has made durable.
    pub(crate) fn durable(&self) -> u64 {
        self.state.durable.load(Ordering::Acquire)
    }

    pub(crate) fn is_out_of_space(&self) -> bool {
        self.state.is_out_of_space.load(Ordering::Relaxed)
    }

    /// Whether the thread has failed; [`JournalWorker::finish`] then says why.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Lets what waits be: nothing of it was acknowledged.
    pub(crate) fn give_up(&self) {
        self.state.is_given_up.store(true, Ordering::Relaxed);
    }

    /// Ends the thread when its jobs are done and returns the journal.
    ///
    /// # Errors
    /// What ended it early.
    pub(crate) fn finish(self) -> Result<Journal<S>, NodeError> {
        drop(self.jobs);
        self.thread.join().unwrap_or_else(|_| Err(ended()))
    }
}

/// The thread's side.
struct Work<'w, S: Storage> {
    journal: Journal<S>,
    jobs: &'w Receiver<Job>,
    /// Jobs that came while a full disk was waited for.
    waiting: VecDeque<Job>,
    state: &'w WorkerState,
}

fn run<S: Storage>(
    journal: Journal<S>,
    jobs: &Receiver<Job>,
    state: &WorkerState,
    waker: &Waker,
) -> Result<Journal<S>, NodeError> {
    let mut work = Work { journal, jobs, waiting: VecDeque::new(), state };
    while let Some(first) = work.waiting.pop_front().or_else(|| work.jobs.recv().ok()) {
        let mut next = Some(first);
        let mut size = 0;
        while let Some(job) = next {
            if let Job::Append { frames, .. } = &job {
                size += frames.len();
            }
            work.take(job)?;
            // A node that catches up always has more: what it has must become durable all the same.
            let may_go_on = size < GROUP_SIZE_MAX;
            let more = || work.waiting.pop_front().or_else(|| work.jobs.try_recv().ok());
            next = may_go_on.then(more).flatten();
        }
        if size > 0 {
            let durable = work.journal.sync()?;
            state.durable.store(durable, Ordering::Release);
            let _ = waker.wake();
        }
    }
    Ok(work.journal)
}

impl<S: Storage> Work<'_, S> {
    fn take(&mut self, job: Job) -> Result<(), NodeError> {
        match job {
            Job::Append { frames, commit } => self.append(&frames, commit)?,
            Job::NoteEpoch { epoch, done } => {
                self.journal.note_epoch(epoch)?;
                let _ = done.send(());
            }
            Job::MakeReadable { done } => {
                if self.journal.readable() + 1 < self.journal.next_sequence() {
                    let durable = self.journal.sync()?;
                    self.state.durable.store(durable, Ordering::Release);
                }
                let _ = done.send(());
            }
            Job::Control { entry, epoch, done } => {
                self.journal.sync()?;
                let end = append_control(&mut self.journal, &entry, epoch)?;
                self.state.durable.store(end.sequence, Ordering::Release);
                let _ = done.send(end);
            }
        }
        Ok(())
    }

    fn append(&mut self, frames: &[u8], commit: u64) -> Result<(), NodeError> {
        for (header, payload) in received_frames(frames) {
            loop {
                if self.state.is_given_up.load(Ordering::Relaxed) {
                    return Ok(());
                }
                match self.journal.append_received(&header, &frames[payload.clone()], commit) {
                    Ok(_) => break,
                    // The primary waits with us: what it cannot commit it does not acknowledge.
                    Err(JournalError::NoSpace { .. }) => self.wait_for_space()?,
                    Err(error) => return Err(error.into()),
                }
            }
            if self.state.is_out_of_space.swap(false, Ordering::Relaxed) {
                tracing::info!("the disk has room again: frames are taken");
            }
        }
        Ok(())
    }

    fn wait_for_space(&mut self) -> Result<(), NodeError> {
        if !self.state.is_out_of_space.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "no room for the primary's frames: this standby acknowledges nothing until there is; free space on the disk of the data directory"
            );
        }
        // An epoch needs no room, and whoever asks for a grant is not to wait for the disk.
        match self.jobs.recv_timeout(SPACE_INTERVAL) {
            Ok(Job::NoteEpoch { epoch, done }) => {
                self.journal.note_epoch(epoch)?;
                let _ = done.send(());
            }
            Ok(job) => self.waiting.push_back(job),
            Err(RecvTimeoutError::Timeout) => {}
            // The node stops: what has no room was not acknowledged, and nobody waits for it.
            Err(RecvTimeoutError::Disconnected) => {
                self.state.is_given_up.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

fn append_control<S: Storage>(
    journal: &mut Journal<S>,
    entry: &RequestHeader,
    epoch: u64,
) -> Result<FrameEnd, NodeError> {
    journal.set_epoch(epoch)?;
    let sequence = journal.next_sequence();
    let bytes = entry.as_bytes();
    let mut frame = journal.begin(sequence, bytes.len())?;
    frame.put(bytes)?;
    frame.finish(1, 0)?;
    journal.sync()?;
    Ok(FrameEnd { epoch, sequence, hash: journal.last_hash() })
}
