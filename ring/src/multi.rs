//! The producers of a ring that has several.
//!
//! A claim is one compare-and-swap on the shared counter, however long the span. A publisher whose turn it is,
//! because the published cursor stands where its span starts, moves the cursor: one store. Any other writes one
//! *mark*: at the cell where the span starts, the position where it ends. The mark left there by an earlier
//! round is at most that start, because no span is longer than the ring; so a mark above its own position says
//! "published up to here", and marks are never cleared.
//!
//! The store needs no exchange: a cursor at the start of a span passes it only by that span's mark, which its
//! owner alone could have written.
//!
//! Whoever publishes then carries the published cursor over all marks that follow it, its own or others'. Of
//! two publishers at the same time at least one sees what the other did, because each puts a sequentially
//! consistent fence between its store, of a mark or of the cursor, and its look; so no published span is left
//! behind. Consumers see one cursor and need not know how many producers there are.

use crossbeam::utils::CachePadded;

use crate::core::Core;
use crate::cursor::{CursorCell, CursorReader, CursorWriter, slowest};
use crate::poison::Poison;
use crate::span::{ClaimError, Claimant, Span, check_claim};
use crate::stats::RingStats;
use crate::sync::{Arc, AtomicU64, Ordering, fence};

/// One of several producers of a ring; cloned for each thread that publishes.
pub struct MultiProducer<T> {
    core: Arc<Core<T>>,
    shared: Arc<Shared>,
    // Every position below is known to be free. Own to each handle: consumers only move forward.
    free_until: u64,
    // Where the published cursor was when we last looked at it, or moved it.
    seen_published: u64,
}

struct Shared {
    claimed: CachePadded<AtomicU64>,
    published: CursorCell,
    marks: Box<[AtomicU64]>,
    holds: Box<[CursorReader]>,
    stats: RingStats,
}

impl<T> MultiProducer<T> {
    pub(crate) fn new(
        core: Arc<Core<T>>,
        published: CursorWriter,
        holds: Box<[CursorReader]>,
        stats: RingStats,
    ) -> Self {
        let start = published.get();
        // A mark is told from a stale one by being above its position, and no position is below the start.
        let marks = (0..core.cells.capacity()).map(|_| AtomicU64::new(start)).collect();
        let shared = Shared {
            claimed: CachePadded::new(AtomicU64::new(start)),
            published: published.into_shared(),
            marks,
            holds,
            stats,
        };
        Self { core, shared: Arc::new(shared), free_until: start, seen_published: start }
    }

    /// Claims `cells` cells that follow all claims so far.
    ///
    /// Costs one compare-and-swap on a line shared by the producers, more when they collide.
    ///
    /// # Errors
    /// [`ClaimError::Full`] under back-pressure, [`ClaimError::TooLarge`] or [`ClaimError::Empty`] for what can
    /// never be claimed, [`ClaimError::Poisoned`] when a stage died. Nothing is claimed then.
    #[inline(always)]
    pub fn try_claim(&mut self, cells: usize) -> Result<Span<'_, T>, ClaimError> {
        check_claim(&self.core, cells)?;
        let mut start = self.shared.claimed.load(Ordering::Relaxed);
        loop {
            let end = start + cells as u64;
            if end > self.free_until {
                self.look_for_room(start, cells)?;
            }
            // Relaxed: the counter hands out numbers only. That the cells are free was seen by the look at
            // the consumers, with Acquire.
            let exchange = self.shared.claimed.compare_exchange(
                start,
                end,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match exchange {
                Ok(_) => return Ok(Span::new(Claimant::Multi(self), start, cells)),
                Err(moved_on) => start = moved_on,
            }
        }
    }

    #[inline(never)]
    fn look_for_room(&mut self, start: u64, wanted: usize) -> Result<(), ClaimError> {
        self.free_until = slowest(&self.shared.holds) + self.core.cells.capacity() as u64;
        // `start` may be newer than our view of the consumers, whom it has run ahead of by then.
        let free = self.free_until.saturating_sub(start) as usize;
        if wanted > free { Err(ClaimError::Full { wanted, free }) } else { Ok(()) }
    }

    /// Cells from the next unclaimed position up to the physical end.
    ///
    /// A hint only: another producer may claim first. [`Span::is_contiguous`] tells for sure.
    #[inline]
    pub fn contiguous_room(&self) -> usize {
        self.core.cells.contiguous_from(self.shared.claimed.load(Ordering::Relaxed))
    }

    /// A reader of the published position.
    pub fn published(&self) -> CursorReader {
        self.shared.stats.published_cursor().clone()
    }

    /// The poison of this ring.
    pub fn poison(&self) -> &Poison {
        &self.core.poison
    }

    /// A handle to watch the ring from any thread.
    pub fn stats(&self) -> RingStats {
        self.shared.stats.clone()
    }

    #[inline(always)]
    pub(crate) fn core(&self) -> &Core<T> {
        &self.core
    }

    #[inline(always)]
    pub(crate) fn commit(&mut self, start: u64, end: u64) {
        let Shared { published, marks, .. } = &*self.shared;
        // The cursor cannot pass an unpublished span, so where it was once seen at the start of this one, it still is.
        let at = if self.seen_published == start || published.load(Ordering::Acquire) == start {
            // Our turn: only the mark of this span could let anybody else move the cursor, and there is none.
            published.store(end, Ordering::Release);
            fence(Ordering::SeqCst);
            end
        } else {
            marks[self.core.cells.index(start)].store(end, Ordering::Release);
            fence(Ordering::SeqCst);
            published.load(Ordering::Acquire)
        };
        self.seen_published = self.carry_from(at);
    }

    /// Carries the published cursor, which stood at `at`, over all marks from there on; answers where it then stood.
    #[inline(always)]
    fn carry_from(&self, mut at: u64) -> u64 {
        let Shared { published, marks, .. } = &*self.shared;
        loop {
            let marked_end = marks[self.core.cells.index(at)].load(Ordering::Acquire);
            if marked_end <= at {
                return at;
            }
            // A failure means that another publisher was there first; then `at` was old and is read anew. The
            // exchange cannot take a mark of a later round for one of this: the cursor only grows.
            match published.compare_exchange(at, marked_end, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => at = marked_end,
                Err(moved_on) => at = moved_on,
            }
        }
    }

    #[cold]
    pub(crate) fn abandon(&mut self, start: u64, end: u64) {
        self.core
            .poison
            .raise(&format!("the span {start}..{end} was claimed and dropped unpublished"));
    }
}

impl<T> Clone for MultiProducer<T> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            shared: Arc::clone(&self.shared),
            free_until: self.free_until,
            seen_published: self.seen_published,
        }
    }
}

impl<T> std::fmt::Debug for MultiProducer<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("MultiProducer")
            .field("stats", &self.shared.stats)
            .finish_non_exhaustive()
    }
}
