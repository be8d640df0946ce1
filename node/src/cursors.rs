//! The node's progress as others may see it, from any thread and at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::journal_stage::JournalState;
use crate::status::{JournalWork, WatchedJournal};
use mizan_ring::{CursorReader, RingStats};

/// Progress that has no cursor of a ring.
#[derive(Debug)]
pub(crate) struct Progress {
    published: AtomicU64,
    commit: AtomicU64,
    commit_sequence: AtomicU64,
    clock_jumps: AtomicU64,
    outputs: CursorReader,
}

impl Progress {
    pub(crate) fn new(outputs_published: CursorReader) -> Self {
        Self {
            published: AtomicU64::new(0),
            commit: AtomicU64::new(0),
            commit_sequence: AtomicU64::new(0),
            clock_jumps: AtomicU64::new(0),
            outputs: outputs_published,
        }
    }

    pub(crate) fn note_ingress(&self, published: u64, clock_jumps: u64) {
        self.published.store(published, Ordering::Relaxed);
        self.clock_jumps.store(clock_jumps, Ordering::Relaxed);
    }

    pub(crate) fn note_commit(&self, commit: u64, sequence: u64) {
        self.commit.store(commit, Ordering::Relaxed);
        self.commit_sequence.store(sequence, Ordering::Relaxed);
    }

    pub(crate) fn outputs_published(&self) -> u64 {
        self.outputs.get()
    }
}

/// Where every stage stands: positions in the ring's cells since the start, and sequences of the log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cursors {
    /// Cells published by ingress.
    pub published: u64,
    /// Cells that the journal stage has copied.
    pub journaled: u64,
    /// Cells whose entries are durable.
    pub durable: u64,
    /// Cells whose entries are applied.
    pub applied: u64,
    /// Cells that are durable and applied.
    pub commit: u64,
    /// Cells of the output ring released.
    pub released: u64,
    /// Highest sequence that is durable.
    pub durable_sequence: u64,
    /// Highest sequence whose reply was released.
    pub commit_sequence: u64,
    /// Groups synced since the start.
    pub groups: u64,
    /// Of these, groups that the front's thread synced itself, because little waited.
    pub groups_inline: u64,
    /// How often the wall clock ran ahead and was held back.
    pub clock_jumps: u64,
    /// Whether new writes are refused for lack of space.
    pub space_is_low: bool,
    /// The same for want of a descriptor or of memory.
    pub is_starved: bool,
    /// Whether accepted entries wait for space.
    pub is_stalled: bool,
    /// Highest sequence that was written to the journal, synced or not.
    pub appended_sequence: u64,
    /// Nanoseconds in the syncs of groups since the start.
    pub sync_ns: u64,
}

/// Reads a running node's cursors. Cheap to clone; works while the stages run.
#[derive(Clone, Debug)]
pub struct CursorsReader {
    pub(crate) requests: RingStats,
    pub(crate) outputs: RingStats,
    pub(crate) durable: CursorReader,
    pub(crate) journal: Arc<JournalState>,
    pub(crate) progress: Arc<Progress>,
}

impl CursorsReader {
    /// Where every stage stands now; each cursor is read when it is its turn.
    #[must_use]
    pub fn get(&self) -> Cursors {
        let released = |name: &str, stats: &RingStats| {
            let consumer = stats.consumers().find(|consumer| &*consumer.name == name);
            consumer.map_or(0, |consumer| consumer.released)
        };
        Cursors {
            released: released("reply", &self.outputs),
            commit: self.progress.commit.load(Ordering::Relaxed),
            applied: released("engine", &self.requests),
            durable: self.durable.get(),
            journaled: released("journal", &self.requests),
            published: self.progress.published.load(Ordering::Relaxed),
            durable_sequence: self.journal.durable_sequence.load(Ordering::Relaxed),
            commit_sequence: self.progress.commit_sequence.load(Ordering::Relaxed),
            groups: self.journal.groups.load(Ordering::Relaxed),
            groups_inline: self.journal.groups_inline.load(Ordering::Relaxed),
            clock_jumps: self.progress.clock_jumps.load(Ordering::Relaxed),
            space_is_low: self.journal.space_is_low.load(Ordering::Relaxed),
            is_starved: self.journal.is_starved.load(Ordering::Relaxed),
            is_stalled: self.journal.is_stalled.load(Ordering::Relaxed),
            appended_sequence: self.journal.appended_sequence.load(Ordering::Relaxed),
            sync_ns: self.journal.sync_ns.load(Ordering::Relaxed),
        }
    }

    /// Cells of the request ring that are published and not yet released by its slowest consumer, and how many fit.
    #[must_use]
    pub fn occupancy(&self) -> (u64, usize) {
        (self.requests.occupied(), self.requests.capacity())
    }

    /// As [`CursorsReader::occupancy`], of the output ring.
    #[must_use]
    pub fn outputs_occupancy(&self) -> (u64, usize) {
        (self.outputs.occupied(), self.outputs.capacity())
    }
}

impl WatchedJournal for CursorsReader {
    fn work(&self) -> JournalWork {
        JournalWork {
            done: self.durable.get(),
            asked: self.progress.published.load(Ordering::Relaxed),
            waits_for_room: self.journal.is_stalled.load(Ordering::Relaxed),
        }
    }
}
