//! A claimed span of cells: filled in place, then published as a whole.

use thiserror::Error;

use crate::core::Core;
use crate::multi::MultiProducer;
use crate::poison::Poisoned;
use crate::single::SingleProducer;

/// Why a span was not claimed. Nothing was changed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ClaimError {
    /// The slowest consumer has not released enough cells: back-pressure. Try again later.
    #[error(
        "no room for {wanted} cells, {free} are free; wait until the slowest consumer releases some"
    )]
    Full {
        /// Cells asked for.
        wanted: usize,
        /// Cells that were free at the last look.
        free: usize,
    },
    /// The ring could never hold the span.
    #[error(
        "a span of {wanted} cells does not fit a ring of {capacity}; claim less or make the ring larger"
    )]
    TooLarge {
        /// Cells asked for.
        wanted: usize,
        /// Cells of the ring.
        capacity: usize,
    },
    /// A span of no cells has no position of its own, so it could not be published.
    #[error("a span of no cells was asked for; claim at least one")]
    Empty,
    /// A stage of the pipeline died.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
}

/// Refuses what no wait can help: a poisoned ring, a span that never fits.
#[inline(always)]
pub(crate) fn check_claim<T>(core: &Core<T>, wanted: usize) -> Result<(), ClaimError> {
    core.poison.check()?;
    let capacity = core.cells.capacity();
    if wanted == 0 {
        return Err(ClaimError::Empty);
    }
    if wanted > capacity {
        return Err(ClaimError::TooLarge { wanted, capacity });
    }
    Ok(())
}

/// Who claimed a span, and gets it back.
pub(crate) enum Claimant<'a, T> {
    Single(&'a mut SingleProducer<T>),
    Multi(&'a mut MultiProducer<T>),
}

impl<T> Claimant<'_, T> {
    #[inline(always)]
    fn core(&self) -> &Core<T> {
        match self {
            Self::Single(producer) => producer.core(),
            Self::Multi(producer) => producer.core(),
        }
    }
}

/// A span of claimed cells that only its holder sees, until [`Span::publish`].
///
/// The cells still hold what they held a round ago; the holder writes all that readers will look at.
///
/// Dropped unpublished: with a [`SingleProducer`] the claim is undone, and the next claim gets the same
/// positions. With a [`MultiProducer`] later spans may already be claimed behind it, and a hole would hang all
/// consumers without a word, so the ring is poisoned.
#[must_use = "a span that is dropped unpublished is undone (single producer) or poisons the ring (several)"]
pub struct Span<'a, T> {
    claimant: Claimant<'a, T>,
    start: u64,
    cells: usize,
}

impl<'a, T> Span<'a, T> {
    /// The caller has made sure that the cells are free and that nobody else claims them.
    #[inline(always)]
    pub(crate) fn new(claimant: Claimant<'a, T>, start: u64, cells: usize) -> Self {
        let span = Self { claimant, start, cells };
        span.claimant.core().cells.note_write(span.start, span.end());
        span
    }

    /// Position of the first cell.
    #[inline]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Position after the last cell.
    #[inline]
    pub fn end(&self) -> u64 {
        self.start + self.cells as u64
    }

    /// Number of cells, at least one.
    #[inline]
    #[allow(clippy::len_without_is_empty)] // A span is never empty.
    pub fn len(&self) -> usize {
        self.cells
    }

    /// Whether all cells lie side by side, so that the second slice is empty.
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        self.cells <= self.claimant.core().cells.contiguous_from(self.start)
    }

    /// The cells: those up to the physical end of the ring, then those from its front (often none).
    #[inline(always)]
    pub fn slices_mut(&mut self) -> (&mut [T], &mut [T]) {
        let (first, second) = self.claimant.core().cells.parts(self.start, self.cells);
        // SAFETY: the parts are inside the allocation, initialised since it was made, and do not overlap. They
        // belong to this span alone: the claim took these positions from the one owner of them (the single
        // producer that we borrow mutably, or the exchange on the shared counter); all consumers released the
        // previous round of the cells before the claim, which the claim saw with Acquire; and no consumer reads
        // a position before it is published, which consumes the span. `&mut self` bounds the borrow.
        unsafe { (&mut *first, &mut *second) }
    }

    /// The cell at `offset` from the start of the span.
    ///
    /// # Panics
    /// If `offset` is not inside the span.
    #[inline(always)]
    pub fn cell_mut(&mut self, offset: usize) -> &mut T {
        if offset >= self.cells {
            not_inside(offset, self.cells);
        }
        let cell = self.claimant.core().cells.cell(self.start + offset as u64);
        // SAFETY: the cell is inside the allocation, initialised since it was made, and one of those that belong to
        // this span alone, as `slices_mut` says. `&mut self` bounds the borrow.
        unsafe { &mut *cell }
    }

    /// Copies `source` into the cells from `offset` on, around the physical end if need be.
    ///
    /// # Panics
    /// If `source` reaches beyond the span.
    #[inline]
    pub fn copy_from(&mut self, offset: usize, source: &[T])
    where
        T: Copy,
    {
        let (first, second) = self.slices_mut();
        if offset >= first.len() {
            let offset = offset - first.len();
            second[offset..offset + source.len()].copy_from_slice(source);
        } else {
            let (head, tail) = source.split_at(source.len().min(first.len() - offset));
            first[offset..offset + head.len()].copy_from_slice(head);
            second[..tail.len()].copy_from_slice(tail);
        }
    }

    /// Shows the cells to the consumers, all at once, and answers the position after the last one.
    ///
    /// With a single producer this is one plain store. With several it is a store and a fence, and a compare-and-swap
    /// for each span that is carried along; consumers see the span when all spans before it are published, too.
    /// Nobody is woken: that is up to a [`Signal`](crate::Signal).
    #[inline(always)]
    pub fn publish(mut self) -> u64 {
        let end = self.end();
        self.claimant.core().cells.note_write(self.start, end);
        match &mut self.claimant {
            Claimant::Single(producer) => producer.commit(end),
            Claimant::Multi(producer) => producer.commit(self.start, end),
        }
        // Nothing but borrows inside, so nothing leaks; the drop would abandon the span.
        std::mem::forget(self);
        end
    }
}

#[cold]
#[inline(never)]
fn not_inside(offset: usize, cells: usize) -> ! {
    panic!("a span of {cells} cells has none at offset {offset}")
}

impl<T> Drop for Span<'_, T> {
    fn drop(&mut self) {
        let end = self.end();
        match &mut self.claimant {
            // The producer moves on only when it commits, so there is nothing to undo.
            Claimant::Single(_) => {}
            Claimant::Multi(producer) => producer.abandon(self.start, end),
        }
    }
}

impl<T> std::fmt::Debug for Span<'_, T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Span({}..{})", self.start, self.end())
    }
}
