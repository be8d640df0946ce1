//! Getting segments ready ahead of their use, so that an append never waits for the file system.
//!
//! A segment is ready when its file has all its room, holds real zeros, is durable under its final name, and is
//! open with its memory touched. A helper thread does this, or, for a simulation, the journal's own thread at
//! the moments when it takes a segment. Lack of room is not an error here: it is a state that is tried again at
//! intervals; partial files are removed. Any other failure is final.
//!
//! How a segment is filled depends on how large the groups were in the one used last ([`Storage::write_zeros`]): by
//! their size and not by the time, so that the same appends prepare the same way, and because many small groups are
//! no reason for large pieces. Real zeros are worth their price under load, too: with room that is only reserved, the
//! syncs of a mapped segment took 1.4 times as long, and the faults cost what the zeros had saved.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::constants::{PAGE_SIZE, PREPARE_CHUNK, PREPARE_SYNC_INTERVAL};
use crate::error::{JournalError, Result, is_no_space};
use crate::segment::{segment_name, unfinished_name};
use crate::storage::Storage;

/// How often a waiting append looks whether the helper still lives.
const HELPER_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Whether there is room to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// The next segment is ready or being made.
    Ok,
    /// The next segment could not be made, mostly for lack of room: refuse new work, what is under way still fits into
    /// the segment in use as far as it goes.
    Low,
    /// As `Low`, but it is not the disk: the system has no descriptor or no memory to give at the moment.
    Starved,
}

/// Who prepares segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepare {
    /// A helper thread; after a lack of room it tries again at this interval.
    Helper {
        /// Time between two tries.
        retry_interval: Duration,
    },
    /// The calling thread, whenever it takes a segment: deterministic, for simulations.
    Inline,
}

enum Status {
    Working,
    NoSpace(JournalError),
    Failed(JournalError),
}

struct State<G> {
    ready: VecDeque<(u64, G)>,
    next_index: u64,
    /// Bytes that a sync covered on average in the segment that was used last.
    sync_size: u64,
    /// Used segments that the helper has not let go of yet.
    retired: Vec<G>,
    status: Status,
    stop: bool,
}

struct Shared<S: Storage> {
    storage: Arc<S>,
    segment_size: u64,
    ahead: usize,
    state: Mutex<State<S::Segment>>,
    changed: Condvar,
}

/// Keeps segments ready.
pub(crate) struct Preparer<S: Storage> {
    shared: Arc<Shared<S>>,
    helper: Option<JoinHandle<()>>,
}

impl<S: Storage> Preparer<S> {
    /// Starts with the segments that are ready already, in order; the next to make is `next_index`.
    ///
    /// # Errors
    /// `Io` when no thread can be started.
    pub(crate) fn start(
        storage: Arc<S>,
        segment_size: u64,
        ready: VecDeque<(u64, S::Segment)>,
        next_index: u64,
        ahead: usize,
        prepare: Prepare,
    ) -> Result<Self> {
        let state = State {
            ready,
            next_index,
            sync_size: PAGE_SIZE,
            retired: Vec::new(),
            status: Status::Working,
            stop: false,
        };
        let shared = Arc::new(Shared {
            storage,
            segment_size,
            ahead,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let helper = match prepare {
            Prepare::Inline => None,
            Prepare::Helper { retry_interval } => {
                let shared = Arc::clone(&shared);
                let helper = std::thread::Builder::new()
                    .name("journal-prepare".to_owned())
                    .spawn(move || shared.keep_ready(retry_interval))
                    .map_err(|error| JournalError::io("start", "the preparing thread", error))?;
                Some(helper)
            }
        };
        let preparer = Preparer { shared, helper };
        preparer.prepare_inline();
        Ok(preparer)
    }

    /// Takes the next segment; waits while the helper makes it. In the segment that was used last a sync covered
    /// `sync_size` bytes on average, which is what the segments made from now on are prepared for.
    ///
    /// # Errors
    /// `NoSpace`, to be tried again later; `Io`, final.
    pub(crate) fn take(&self, sync_size: u64) -> Result<(u64, S::Segment)> {
        self.shared.lock().sync_size = sync_size.max(PAGE_SIZE);
        self.prepare_inline();
        let mut state = self.shared.lock();
        loop {
            if let Some(next) = state.ready.pop_front() {
                self.shared.changed.notify_all();
                return Ok(next);
            }
            match &state.status {
                Status::NoSpace(error) | Status::Failed(error) => return Err(error.clone()),
                Status::Working => {
                    if self.helper.as_ref().is_none_or(JoinHandle::is_finished) {
                        let ended = std::io::Error::other("the preparing thread has ended");
                        return Err(JournalError::io("prepare", "the next segment", ended));
                    }
                    // Whether it timed out does not matter: everything is looked at again.
                    let _ = self.shared.changed.wait_for(&mut state, HELPER_CHECK_INTERVAL);
                }
            }
        }
    }

    /// Lets go of a used segment. Unmapping one can take milliseconds, so the helper does it where there is one.
    pub(crate) fn retire(&self, segment: S::Segment) {
        if self.helper.is_some() {
            self.shared.lock().retired.push(segment);
            self.shared.changed.notify_all();
        }
    }

    /// Without a helper, makes segments now if some are missing; with one, does nothing.
    pub(crate) fn prepare_inline(&self) {
        if self.helper.is_some() {
            return;
        }
        while self.shared.wants_more() {
            let index = self.shared.lock().next_index;
            if !self.shared.record(index, self.shared.make(index)) {
                break;
            }
        }
    }

    /// What the next segment is prepared for, as [`Preparer::take`] was told.
    #[cfg(test)]
    pub(crate) fn prepared_for(&self) -> u64 {
        self.shared.lock().sync_size
    }

    pub(crate) fn check(&self) -> Result<()> {
        match &self.shared.lock().status {
            Status::Failed(error) => Err(error.clone()),
            Status::Working | Status::NoSpace(_) => Ok(()),
        }
    }

    pub(crate) fn space(&self) -> Space {
        match &self.shared.lock().status {
            Status::NoSpace(JournalError::NoSpace { source, .. }) if !is_no_space(source) => {
                Space::Starved
            }
            Status::NoSpace(_) | Status::Failed(_) => Space::Low,
            Status::Working => Space::Ok,
        }
    }
}

impl<S: Storage> Drop for Preparer<S> {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
        if let Some(helper) = self.helper.take() {
            // A helper that panicked has nothing left to stop.
            let _ = helper.join();
        }
    }
}

impl<S: Storage> Shared<S> {
    /// A panic while the lock was held leaves the state whole: every change is a single assignment.
    fn lock(&self) -> MutexGuard<'_, State<S::Segment>> {
        self.state.lock()
    }

    fn wants_more(&self) -> bool {
        let state = self.lock();
        state.ready.len() < self.ahead && !matches!(state.status, Status::Failed(_)) && !state.stop
    }

    /// The helper's life.
    fn keep_ready(&self, retry_interval: Duration) {
        loop {
            let mut state = self.lock();
            while !state.stop
                && state.retired.is_empty()
                && (state.ready.len() >= self.ahead || matches!(state.status, Status::Failed(_)))
            {
                self.changed.wait(&mut state);
            }
            if state.stop {
                return;
            }
            let retired = std::mem::take(&mut state.retired);
            let index = state.next_index;
            drop(state);
            drop(retired);
            if !self.wants_more() {
                continue;
            }
            if !self.record(index, self.make(index)) {
                let mut state = self.lock();
                // Whether it timed out does not matter: either way it is time to try again, or to stop.
                let _ =
                    self.changed.wait_while_for(&mut state, |state| !state.stop, retry_interval);
            }
        }
    }

    /// Records the outcome; returns whether a segment was added.
    fn record(&self, index: u64, made: Result<Option<S::Segment>>) -> bool {
        let mut state = self.lock();
        let added = match made {
            Ok(Some(segment)) => {
                state.ready.push_back((index, segment));
                state.next_index = index + 1;
                state.status = Status::Working;
                true
            }
            Ok(None) => false,
            Err(error @ JournalError::NoSpace { .. }) => {
                state.status = Status::NoSpace(error);
                false
            }
            Err(error) => {
                state.status = Status::Failed(error);
                false
            }
        };
        self.changed.notify_all();
        added
    }

    fn make(&self, index: u64) -> Result<Option<S::Segment>> {
        let stop = || self.lock().stop;
        let sync_size = self.lock().sync_size;
        if !make_file(&*self.storage, index, self.segment_size, sync_size, None, &stop)? {
            return Ok(None);
        }
        open(&*self.storage, index, self.segment_size).map(Some).map_err(|error| match error {
            JournalError::Io { source, .. } if is_passing(&source) => {
                JournalError::NoSpace { file: segment_name(index), size: self.segment_size, source }
            }
            other => other,
        })
    }
}

/// Whether another try may succeed: lack of room, or for a moment of descriptors or of memory. Peers that open as
/// many connections as they can must not be able to end the journal.
fn is_passing(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let lacks = [Errno::MFILE, Errno::NFILE, Errno::NOMEM];
    is_no_space(error)
        || lacks.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Opens a segment for writing.
///
/// # Errors
/// `Io`.
pub(crate) fn open<S: Storage>(storage: &S, index: u64, size: u64) -> Result<S::Segment> {
    let name = segment_name(index);
    storage.open_segment(&name, size).map_err(|error| JournalError::io("open", &name, error))
}

/// Makes the file of segment `index`, durable under its final name, with `header` as its first page if given.
/// `sync_size` is as in [`Storage::write_zeros`].
/// Returns whether it was finished; `stop` ends it early.
///
/// # Errors
/// `NoSpace` and `Io`; what was begun is removed as far as possible.
pub(crate) fn make_file<S: Storage>(
    storage: &S,
    index: u64,
    size: u64,
    sync_size: u64,
    header: Option<&[u8]>,
    stop: &dyn Fn() -> bool,
) -> Result<bool> {
    let name = unfinished_name(index);
    let filled = fill(storage, &name, size, sync_size, header, stop);
    match filled {
        Ok(true) => {}
        Ok(false) | Err(_) => {
            // If this fails too, the next start removes the file by its name.
            let _ = storage.remove(&name);
        }
    }
    let finished = filled.map_err(|error| {
        if is_passing(&error) {
            JournalError::NoSpace { file: segment_name(index), size, source: error.into() }
        } else {
            JournalError::io("prepare", &name, error)
        }
    })?;
    if finished {
        let final_name = segment_name(index);
        storage
            .rename(&name, &final_name)
            .and_then(|()| storage.sync_directory(""))
            .map_err(|error| JournalError::io("rename", &final_name, error))?;
    }
    Ok(finished)
}

fn fill<S: Storage>(
    storage: &S,
    name: &str,
    size: u64,
    sync_size: u64,
    header: Option<&[u8]>,
    stop: &dyn Fn() -> bool,
) -> std::io::Result<bool> {
    if let Err(error) = storage.create(name, size) {
        if error.kind() != std::io::ErrorKind::AlreadyExists {
            return Err(error);
        }
        // Left by a try that could not clean up behind itself.
        storage.remove(name)?;
        storage.create(name, size)?;
    }
    let mut offset = 0;
    while offset < size {
        if stop() {
            return Ok(false);
        }
        let length = (size - offset).min(PREPARE_CHUNK as u64);
        storage.write_zeros(name, offset, length, sync_size)?;
        offset += length;
        if offset.is_multiple_of(PREPARE_SYNC_INTERVAL) {
            storage.sync_file(name)?;
        }
    }
    if let Some(page) = header {
        storage.write(name, 0, page)?;
    }
    storage.sync_file(name)?;
    Ok(true)
}
