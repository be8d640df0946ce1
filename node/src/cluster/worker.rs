//! The journal of a standby, on a thread of its own: frames of the primary are appended and synced while the
//! replication thread receives and applies others.
//!
//! Invariants: frames are appended in order; whatever waits is one group, up to a size; an epoch overtakes everything
//! that waits; a full disk is waited for, any other failure ends the node. Nobody waits for this thread before the end.

use crate::cluster::pending::received_frames;
use crate::error::NodeError;
use crate::status::{JournalWork, WatchedJournal};
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
    Append {
        frames: Arc<Vec<u8>>,
        commit: u64,
    },
    /// An epoch is asked for: the state says which.
    Epoch,
    /// The cluster's record of the superblock.
    Record {
        record: Vec<u8>,
        /// Who waits for it, if anybody does.
        done: Option<Sender<()>>,
    },
    Control {
        entry: Box<RequestHeader>,
        epoch: u64,
        done: Sender<FrameEnd>,
    },
}

/// What the worker and its owner tell each other while it works.
#[derive(Debug, Default)]
pub(crate) struct WorkerState {
    durable: AtomicU64,
    /// Highest epoch that is to be persisted.
    epoch_wanted: AtomicU64,
    /// Highest epoch that was asked for and is persisted.
    epoch_persisted: AtomicU64,
    is_out_of_space: AtomicBool,
    /// Jobs that the thread was given.
    jobs_given: AtomicU64,
    /// Of these, jobs that it has done, syncs included.
    jobs_done: AtomicU64,
    /// What waits need not be written any more.
    is_given_up: AtomicBool,
}

impl WatchedJournal for WorkerState {
    fn work(&self) -> JournalWork {
        JournalWork {
            done: self.jobs_done.load(Ordering::Relaxed),
            asked: self.jobs_given.load(Ordering::Relaxed),
            waits_for_room: self.is_out_of_space.load(Ordering::Relaxed),
        }
    }
}

/// A handle to the journal's thread.
pub(crate) struct JournalWorker<S: Storage> {
    jobs: Sender<Job>,
    state: Arc<WorkerState>,
    thread: JoinHandle<Result<Journal<S>, NodeError>>,
}

pub(crate) fn ended() -> NodeError {
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

    /// What is to be watched: whether the disk hangs.
    pub(crate) fn watched(&self) -> Arc<dyn WatchedJournal> {
        Arc::clone(&self.state) as _
    }

    /// Gives the thread a job; fails if it is gone.
    fn give(&self, job: Job) -> Result<(), NodeError> {
        self.state.jobs_given.fetch_add(1, Ordering::Relaxed);
        self.jobs.send(job).map_err(|_| ended())
    }

    /// Appends frames in the background. The replica takes no more than a window of them ahead of [`Self::durable`].
    pub(crate) fn append(&self, frames: Arc<Vec<u8>>, commit: u64) {
        // If the thread is gone, `check` says why.
        let _ = self.give(Job::Append { frames, commit });
    }

    /// Asks for the highest epoch seen to be persisted, ahead of all frames that wait.
    pub(crate) fn note_epoch(&self, epoch: u64) {
        self.state.epoch_wanted.fetch_max(epoch, Ordering::AcqRel);
        // If the thread is gone, `finish` says why, and the epoch is never called persisted.
        let _ = self.give(Job::Epoch);
    }

    /// Replaces the cluster's record; returns when that is durable. Only for a log that takes no frames yet: it waits
    /// for what was asked for before.
    ///
    /// # Errors
    /// The thread has ended.
    pub(crate) fn note_record(&self, record: Vec<u8>) -> Result<(), NodeError> {
        let (done, is_done) = bounded(1);
        let done = Some(done);
        self.give(Job::Record { record, done })?;
        is_done.recv().map_err(|_| ended())
    }

    /// Replaces the cluster's record in the background.
    pub(crate) fn note_record_later(&self, record: Vec<u8>) {
        // If the thread is gone, `finish` says why.
        let _ = self.give(Job::Record { record, done: None });
    }

    /// Whether this epoch, which was asked for, is persisted.
    pub(crate) fn has_persisted(&self, epoch: u64) -> bool {
        self.state.epoch_persisted.load(Ordering::Acquire) >= epoch
    }

    /// Begins an epoch with this entry, alone in its frame. The frame comes when it is durable.
    pub(crate) fn begin_epoch(
        &self,
        control: &Control,
        epoch: u64,
        clock_reading: u64,
    ) -> Receiver<FrameEnd> {
        let (done, is_done) = bounded(1);
        let entry = Box::new(control.entry(clock_reading));
        // If the thread is gone, `finish` says why.
        let _ = self.give(Job::Control { entry, epoch, done });
        is_done
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
    waker: &'w Waker,
}

fn run<S: Storage>(
    journal: Journal<S>,
    jobs: &Receiver<Job>,
    state: &WorkerState,
    waker: &Waker,
) -> Result<Journal<S>, NodeError> {
    let mut work = Work { journal, jobs, waiting: VecDeque::new(), state, waker };
    while let Some(first) = work.waiting.pop_front().or_else(|| work.jobs.recv().ok()) {
        let mut next = Some(first);
        let mut size = 0;
        let mut count = 0;
        while let Some(job) = next {
            count += 1;
            if let Job::Append { frames, .. } = &job {
                size += frames.len();
            }
            work.take(job)?;
            // A node that catches up always has more: what it has must become durable all the same.
            let may_go_on = size < GROUP_SIZE_MAX;
            let more = || work.waiting.pop_front().or_else(|| work.jobs.try_recv().ok());
            next = may_go_on.then(more).flatten();
        }
        work.persist_epoch()?;
        if size > 0 {
            let durable = work.journal.sync()?;
            state.durable.store(durable, Ordering::Release);
            let _ = waker.wake();
        }
        state.jobs_done.fetch_add(count, Ordering::Relaxed);
    }
    Ok(work.journal)
}

impl<S: Storage> Work<'_, S> {
    fn take(&mut self, job: Job) -> Result<(), NodeError> {
        self.persist_epoch()?;
        match job {
            Job::Append { frames, commit } => self.append(&frames, commit)?,
            Job::Epoch => {}
            Job::Record { record, done } => {
                self.journal.set_config(&record)?;
                if let Some(done) = done {
                    let _ = done.send(());
                }
            }
            Job::Control { entry, epoch, done } => {
                if let Some(end) = self.begin_epoch(&entry, epoch)? {
                    self.state.durable.store(end.sequence, Ordering::Release);
                    // Nobody waits for it any more if the node ends.
                    let _ = done.send(end);
                    let _ = self.waker.wake();
                }
            }
        }
        Ok(())
    }

    /// Persists the epoch that is asked for, if there is one. It needs no room and nothing that waits, and whoever asks
    /// for a grant is not to wait for frames.
    fn persist_epoch(&mut self) -> Result<(), NodeError> {
        let wanted = self.state.epoch_wanted.load(Ordering::Acquire);
        if wanted > self.state.epoch_persisted.load(Ordering::Relaxed) {
            self.journal.note_epoch(wanted)?;
            self.state.epoch_persisted.store(wanted, Ordering::Release);
            let _ = self.waker.wake();
        }
        Ok(())
    }

    fn is_given_up(&self) -> bool {
        self.state.is_given_up.load(Ordering::Relaxed)
    }

    /// Appends the first entry of an epoch and makes it durable; `None` when it was given up for want of room.
    fn begin_epoch(
        &mut self,
        entry: &RequestHeader,
        epoch: u64,
    ) -> Result<Option<FrameEnd>, NodeError> {
        self.journal.sync()?;
        self.journal.set_epoch(epoch)?;
        while !self.is_given_up() {
            match append_control(&mut self.journal, entry) {
                Ok(()) => {
                    let sequence = self.journal.sync()?;
                    self.note_room();
                    return Ok(Some(FrameEnd { epoch, sequence, hash: self.journal.last_hash() }));
                }
                Err(JournalError::NoSpace { .. }) => self.wait_for_space()?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    fn append(&mut self, frames: &[u8], commit: u64) -> Result<(), NodeError> {
        for (header, payload) in received_frames(frames) {
            self.persist_epoch()?;
            loop {
                if self.is_given_up() {
                    return Ok(());
                }
                match self.journal.append_received(&header, &frames[payload.clone()], commit) {
                    Ok(_) => break,
                    // The primary waits with us: what it cannot commit it does not acknowledge.
                    Err(JournalError::NoSpace { .. }) => self.wait_for_space()?,
                    Err(error) => return Err(error.into()),
                }
            }
            self.note_room();
        }
        Ok(())
    }

    fn note_room(&self) {
        if self.state.is_out_of_space.swap(false, Ordering::Relaxed) {
            tracing::info!("the disk has room again: frames are taken");
        }
    }

    fn wait_for_space(&mut self) -> Result<(), NodeError> {
        if !self.state.is_out_of_space.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "no room for the primary's frames: this standby acknowledges nothing until there is; free space on the disk of the data directory"
            );
        }
        match self.jobs.recv_timeout(SPACE_INTERVAL) {
            Ok(Job::Epoch) => {
                self.persist_epoch()?;
                self.state.jobs_done.fetch_add(1, Ordering::Relaxed);
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
) -> Result<(), JournalError> {
    let sequence = journal.next_sequence();
    let bytes = entry.as_bytes();
    let mut frame = journal.begin(sequence, bytes.len())?;
    frame.put(bytes)?;
    frame.finish(1, 0)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_journal::constants::SEGMENT_SIZE_MIN;
    use mizan_journal::fault::{Call, FaultStorage, Faults, Operation, Verdict};
    use mizan_journal::sim::SimStorage;
    use mizan_journal::{FormatOptions, Frame, OpenOptions, Prepare, SharedHeader};
    use std::time::Instant;

    const CLUSTER: u128 = 1;
    const ENOSPC: i32 = 28;
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A disk whose syncs of segments each need a permit, and that may be full.
    struct Slow {
        permits: Receiver<()>,
        is_full: AtomicBool,
    }

    impl Faults for Slow {
        fn before(&self, call: &Call<'_>) -> Verdict {
            match call.operation {
                // Without its owner the disk is quick.
                Operation::SegmentSync => drop(self.permits.recv_timeout(PATIENCE)),
                Operation::Create if self.is_full.load(Ordering::Relaxed) => {
                    return Verdict::Fail(ENOSPC);
                }
                _ => {}
            }
            Verdict::Proceed
        }
    }

    type Disk = FaultStorage<SimStorage, Slow>;

    fn worker() -> (JournalWorker<Disk>, Sender<()>, Arc<Slow>) {
        let (permit, permits) = unbounded();
        let slow = Arc::new(Slow { permits, is_full: AtomicBool::new(false) });
        let storage = Arc::new(FaultStorage::new(SimStorage::new(), Arc::clone(&slow)));
        let segment_size = SEGMENT_SIZE_MIN;
        let options = FormatOptions { segment_size, ..FormatOptions::new(CLUSTER, 1) };
        Journal::format(&*storage, &options).unwrap();
        let inline = OpenOptions { prepare: Prepare::Inline, ..OpenOptions::default() };
        let (journal, _) =
            Journal::open(storage, &inline, &mut |_: &Frame<'_>| Ok(())).expect("opens");
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), mio::Token(0)).unwrap());
        (JournalWorker::start(journal, waker).unwrap(), permit, slow)
    }

    /// Frames of one entry each that follow one upon the other.
    fn frames(count: u64, size: usize) -> Vec<Arc<Vec<u8>>> {
        let payload = vec![7; size];
        let mut previous = [0; 16];
        (1..=count)
            .map(|sequence| {
                let header = SharedHeader {
                    previous,
                    cluster: CLUSTER,
                    epoch: 1,
                    sequence,
                    count: 1,
                    length: size as u32,
                    semantics_version: 1,
                };
                previous = header.frame_hash(&payload);
                Arc::new([header.encode().as_slice(), &payload].concat())
            })
            .collect()
    }

    fn wait_until(what: &str, is_so: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < until, "waited in vain: {what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn an_epoch_overtakes_the_frames_that_wait_for_the_disk() {
        let (worker, permit, _) = worker();
        // More than two groups.
        let size = 1 << 20;
        for frames in frames(12, size) {
            worker.append(frames, 0);
        }
        worker.note_epoch(9);
        worker.note_epoch(12);
        // The sync that is under way goes on, and none of the others that the frames need.
        permit.send(()).unwrap();
        wait_until("the epoch is persisted", || worker.has_persisted(12));
        assert!(worker.has_persisted(9) && worker.durable() < 12);
        drop(permit);
        wait_until("everything is durable", || worker.durable() == 12);
        let journal = worker.finish().unwrap();
        assert_eq!(journal.superblock().highest_epoch, 12);
    }

    #[test]
    fn a_full_disk_takes_an_epoch_and_what_waits_for_room_can_be_given_up() {
        let (worker, permit, disk) = worker();
        drop(permit);
        disk.is_full.store(true, Ordering::Relaxed);
        for frames in frames(40, 1 << 20) {
            worker.append(frames, 0);
        }
        wait_until("there is no room", || worker.is_out_of_space());
        worker.note_epoch(9);
        wait_until("the epoch is persisted", || worker.has_persisted(9));
        worker.give_up();
        let journal = worker.finish().unwrap();
        assert!(journal.next_sequence() <= 40);
        assert_eq!(journal.superblock().highest_epoch, 9);
    }
}
