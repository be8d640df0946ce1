//! The producer of a ring that has only one: a claim is arithmetic, a publication one store.

use crate::core::Core;
use crate::cursor::{CursorReader, CursorWriter, slowest};
use crate::poison::Poison;
use crate::span::{ClaimError, Claimant, Span, check_claim};
use crate::stats::RingStats;
use crate::sync::Arc;

/// The one producer of its ring. Not `Clone`: being alone is what makes it cheap.
pub struct SingleProducer<T> {
    core: Arc<Core<T>>,
    published: CursorWriter,
    holds: Box<[CursorReader]>,
    // Every position below is known to be free; asked anew only when that is not enough.
    free_until: u64,
    stats: RingStats,
}

impl<T> SingleProducer<T> {
    pub(crate) fn new(
        core: Arc<Core<T>>,
        published: CursorWriter,
        holds: Box<[CursorReader]>,
        stats: RingStats,
    ) -> Self {
        let free_until = published.get();
        Self { core, published, holds, free_until, stats }
    }

    /// Claims `cells` cells that follow the last published one.
    ///
    /// Costs no shared line but the poison's while the last look at the consumers still allows it.
    ///
    /// # Errors
    /// [`ClaimError::Full`] under back-pressure, [`ClaimError::TooLarge`] or [`ClaimError::Empty`] for what can
    /// never be claimed, [`ClaimError::Poisoned`] when a stage died. Nothing is claimed then.
    #[inline(always)]
    pub fn try_claim(&mut self, cells: usize) -> Result<Span<'_, T>, ClaimError> {
        check_claim(&self.core, cells)?;
        let start = self.published.get();
        if start + cells as u64 > self.free_until {
            self.look_for_room(start, cells)?;
        }
        Ok(Span::new(Claimant::Single(self), start, cells))
    }

    #[inline(never)]
    fn look_for_room(&mut self, start: u64, wanted: usize) -> Result<(), ClaimError> {
        self.free_until = slowest(&self.holds) + self.core.cells.capacity() as u64;
        // A cursor from outside may still stand far below our start.
        let free = self.free_until.saturating_sub(start) as usize;
        if wanted > free { Err(ClaimError::Full { wanted, free }) } else { Ok(()) }
    }

    /// Position that the next claim starts at, which is also the published position.
    #[inline]
    pub fn position(&self) -> u64 {
        self.published.get()
    }

    /// Cells from the next position up to the physical end: a longer span would come in two slices.
    ///
    /// Whoever needs side-by-side cells claims and publishes so many as padding first.
    #[inline]
    pub fn contiguous_room(&self) -> usize {
        self.core.cells.contiguous_from(self.published.get())
    }

    /// A reader of the published position.
    pub fn published(&self) -> CursorReader {
        self.published.reader()
    }

    /// The poison of this ring.
    pub fn poison(&self) -> &Poison {
        &self.core.poison
    }

    /// A handle to watch the ring from any thread.
    pub fn stats(&self) -> RingStats {
        self.stats.clone()
    }

    #[inline(always)]
    pub(crate) fn core(&self) -> &Core<T> {
        &self.core
    }

    #[inline(always)]
    pub(crate) fn commit(&mut self, end: u64) {
        self.published.advance_to(end);
    }
}

impl<T> std::fmt::Debug for SingleProducer<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SingleProducer").field("stats", &self.stats).finish_non_exhaustive()
    }
}
