//! Who commits: the journal's thread, or, when little waits, the front's thread itself.
//!
//! A hand-over to another thread and back costs about as much as half a sync of a page. So in the fused layout the front
//! writes and syncs a small group itself, and leaves everything else to the journal's thread, which copies and syncs
//! while the front reads and applies.
//!
//! * The journal stage has one owner at a time: the holder of the token, a mutex around it. The front only ever tries to
//!   take it, and does so only when the journal's thread has nothing to do; the journal's thread waits at the most for
//!   the one small group that the front is writing. In a steady state, alone or under load, nobody finds it taken.
//! * What was published is either committed here, or the journal's thread was told of it after it was published. So no
//!   entry waits for a wake that never comes.
//! * The front commits only while the load is calm: a front that sits in a sync reads and applies nothing meanwhile.
//!   A group that is too large, or a sync that is too slow, sends a number of groups to the other thread.
//! * A failure here is the front's failure and ends the node like the journal thread's. Until the other thread knows, the
//!   stage itself refuses: a stage that has failed makes nothing durable any more, for nobody.
//!
//! What is absent: any decision about what a group holds; that is the journal stage's.

use crate::error::NodeError;
use crate::journal_stage::{JournalStage, JournalState};
use crate::layout::Stage;
use mizan_journal::Storage;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Cells that the front commits itself at the most, waiting ones included: a page of the disk. More is worth the other
/// thread, because there is something to overlap with.
pub(crate) const INLINE_CELLS_MAX: u64 = 32;
/// Groups that the journal's thread gets after one that was too large or too slow for the front. A pipelining client
/// fills the ring in bursts: a small burst between large ones is no sign of calm.
const CALM_GROUPS_MIN: u32 = 64;
/// A sync on the front's thread that takes longer than this is the disk's trouble, and no longer the front's.
pub(crate) const INLINE_SYNC_MAX: Duration = Duration::from_millis(2);

/// The journal stage and the token that says who runs it. It is gone once the stage was closed.
pub(crate) type SharedJournal<S> = Arc<Mutex<Option<JournalStage<S>>>>;

/// What the front asks of the journal, whatever its storage.
pub(crate) trait CommitHere {
    /// Writes and syncs one group on this thread; `None` if the other thread has the journal.
    ///
    /// # Errors
    /// As the journal stage's poll: the node must end.
    fn try_commit(&mut self, state: &JournalState) -> Result<Option<bool>, NodeError>;
}

impl<S: Storage> CommitHere for SharedJournal<S> {
    fn try_commit(&mut self, state: &JournalState) -> Result<Option<bool>, NodeError> {
        let Some(mut token) = self.try_lock() else { return Ok(None) };
        // Only the token's holder counts groups; reads alone make none.
        let before = state.groups.load(Ordering::Relaxed);
        let worked = token.as_mut().map(Stage::poll).transpose()?;
        let synced = state.groups.load(Ordering::Relaxed) - before;
        state.groups_inline.fetch_add(synced, Ordering::Relaxed);
        Ok(worked)
    }
}

/// The journal's thread works through the token, too.
impl<S: Storage> Stage for SharedJournal<S> {
    const NAME: &'static str = <JournalStage<S> as Stage>::NAME;
    const RANK: usize = <JournalStage<S> as Stage>::RANK;

    fn poll(&mut self) -> Result<bool, NodeError> {
        self.lock().as_mut().map_or(Ok(false), Stage::poll)
    }

    fn has_work(&mut self) -> Result<bool, NodeError> {
        self.lock().as_mut().map_or(Ok(false), Stage::has_work)
    }

    fn close(self) -> Result<(), NodeError> {
        self.lock().take().map_or(Ok(()), Stage::close)
    }
}

/// The front's side: decides group by group.
pub(crate) struct InlineCommit {
    journal: Box<dyn CommitHere + Send>,
    state: Arc<JournalState>,
    calm: Calm,
}

impl InlineCommit {
    pub(crate) fn new(journal: Box<dyn CommitHere + Send>, state: Arc<JournalState>) -> Self {
        Self { journal, state, calm: Calm::default() }
    }

    /// Whether so many cells that wait to be durable are for the front itself. To be asked once for what is new.
    pub(crate) fn is_for_the_front(&mut self, waiting: u64) -> bool {
        self.calm.admit(waiting) && !self.state.is_stalled.load(Ordering::Relaxed)
    }

    /// Commits what waits, and says how long it took; `None`: the journal's thread is to be told.
    ///
    /// # Errors
    /// Any failure of the journal but a full disk.
    pub(crate) fn commit(&mut self) -> Result<Option<Duration>, NodeError> {
        let started = Instant::now();
        if self.journal.try_commit(&self.state)? != Some(true) {
            return Ok(None);
        }
        let took = started.elapsed();
        self.calm.note(took);
        Ok(Some(took))
    }
}

/// Whether the load is such that the front has nothing better to do than to sync.
#[derive(Debug, Default)]
struct Calm {
    /// Groups that the other thread still gets.
    busy_groups: u32,
}

impl Calm {
    fn admit(&mut self, waiting: u64) -> bool {
        if waiting > INLINE_CELLS_MAX {
            self.busy_groups = CALM_GROUPS_MIN;
            return false;
        }
        let is_calm = self.busy_groups == 0;
        self.busy_groups = self.busy_groups.saturating_sub(1);
        is_calm
    }

    fn note(&mut self, took: Duration) {
        if took > INLINE_SYNC_MAX {
            self.busy_groups = CALM_GROUPS_MIN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{Cell, publish};
    use mizan_journal::fault::{Call, FaultStorage, Faults, Operation as DiskOperation, Verdict};
    use mizan_journal::sim::SimStorage;
    use mizan_journal::{FormatOptions, Frame, Journal, JournalError, OpenOptions, Prepare};
    use mizan_ring::{Cursor, CursorReader, RingOptions, SingleProducer};
    use mizan_wire::{Operation, RequestHeader};
    use std::sync::atomic::AtomicBool;

    const EIO: i32 = 5;

    /// A disk whose next sync of a segment fails, and no other: the kernel reports a lost page once.
    #[derive(Default)]
    struct FailsOnce {
        fails_next: AtomicBool,
    }

    impl Faults for FailsOnce {
        fn before(&self, call: &Call<'_>) -> Verdict {
            let is_sync = call.operation == DiskOperation::SegmentSync;
            if is_sync && self.fails_next.swap(false, Ordering::Relaxed) {
                return Verdict::Fail(EIO);
            }
            Verdict::Proceed
        }
    }

    type Disk = FaultStorage<SimStorage, FailsOnce>;

    struct Bench {
        journal: SharedJournal<Disk>,
        disk: Arc<FailsOnce>,
        requests: SingleProducer<Cell>,
        durable: CursorReader,
        state: Arc<JournalState>,
    }

    fn bench() -> Bench {
        let disk = Arc::new(FailsOnce::default());
        let storage = Arc::new(FaultStorage::new(SimStorage::new(), Arc::clone(&disk)));
        let segment_size = mizan_journal::constants::SEGMENT_SIZE_MIN;
        let options = FormatOptions { segment_size, ..FormatOptions::new(1, 1) };
        Journal::format(&*storage, &options).unwrap();
        let inline = OpenOptions { prepare: Prepare::Inline, ..OpenOptions::default() };
        let (journal, _) =
            Journal::open(storage, &inline, &mut |_: &Frame<'_>| Ok(())).expect("opens");
        let mut ring = RingOptions::new(16).allocate(Cell::ZERO).unwrap();
        let consumer = ring.consumer("journal").add();
        let requests = ring.single_producer().unwrap();
        let (writer, durable) = Cursor::new(0);
        let state = Arc::new(JournalState::default());
        let stage = JournalStage::new(journal, consumer, writer, 1, Arc::clone(&state), None);
        Bench { journal: Arc::new(Mutex::new(Some(stage))), disk, requests, durable, state }
    }

    fn put(bench: &mut Bench, operation: Operation) -> u64 {
        let header = RequestHeader { operation: operation.number(), ..RequestHeader::default() };
        publish(&mut bench.requests, header, &[]).unwrap()
    }

    fn is_eio(outcome: &Result<impl std::fmt::Debug, NodeError>) -> bool {
        matches!(outcome, Err(NodeError::Journal(JournalError::Io { .. })))
    }

    #[test]
    fn a_write_whose_sync_failed_is_made_durable_by_no_read_behind_it() {
        let mut bench = bench();
        let first = put(&mut bench, Operation::Tick);
        assert!(Stage::poll(&mut bench.journal).unwrap());
        assert_eq!(bench.durable.get(), first);

        put(&mut bench, Operation::Tick);
        bench.disk.fails_next.store(true, Ordering::Relaxed);
        let outcome = Stage::poll(&mut bench.journal);
        assert!(is_eio(&outcome), "{outcome:?}");
        // The other thread looks before it hears of the failure: a read alone needs no disk.
        put(&mut bench, Operation::LookupAccounts);
        let outcome = bench.journal.try_commit(&bench.state);
        assert!(is_eio(&outcome), "{outcome:?}");
        assert_eq!(bench.durable.get(), first);
        let outcome = Stage::has_work(&mut bench.journal);
        assert!(is_eio(&outcome), "{outcome:?}");
        put(&mut bench, Operation::Tick);
        let outcome = Stage::poll(&mut bench.journal);
        assert!(is_eio(&outcome), "{outcome:?}");
        let outcome = bench.journal.lock().as_mut().unwrap().note_epoch(9, &[]);
        assert!(is_eio(&outcome), "{outcome:?}");
        let outcome = Stage::close(bench.journal);
        assert!(is_eio(&outcome), "{outcome:?}");
        assert_eq!(bench.durable.get(), first);
        assert_eq!(bench.state.durable_sequence.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_front_commits_small_groups_as_long_as_no_large_one_comes_between() {
        let mut calm = Calm::default();
        assert!(calm.admit(2));
        assert!(calm.admit(INLINE_CELLS_MAX));
        assert!(!calm.admit(INLINE_CELLS_MAX + 1));
        assert!((0..CALM_GROUPS_MIN).all(|_| !calm.admit(2)));
        assert!(calm.admit(2));
    }

    #[test]
    fn a_slow_sync_sends_the_groups_after_it_to_the_other_thread() {
        let mut calm = Calm::default();
        calm.note(INLINE_SYNC_MAX);
        assert!(calm.admit(2));
        calm.note(INLINE_SYNC_MAX * 2);
        assert!((0..CALM_GROUPS_MIN).all(|_| !calm.admit(2)));
        assert!(calm.admit(2));
    }
}
