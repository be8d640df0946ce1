//! A consumer: reads published cells in place, as far as the cursors it waits for allow, and hands them back.
//!
//! It has two positions. *Read* is where the next batch starts; *released* is its public cursor: below it, the
//! consumers behind may go on, and the producer may write again once the last of them has released, too.
//! A consumer may read far ahead of what it releases, and release in parts.

use crate::core::Core;
use crate::cursor::{CursorReader, CursorWriter, slowest};
use crate::poison::{Poison, Poisoned};
use crate::sync::Arc;

/// One consumer of a ring; sees every cell. Owned by one thread at a time.
pub struct Consumer<T> {
    core: Arc<Core<T>>,
    name: Arc<str>,
    released: CursorWriter,
    gates: Box<[CursorReader]>,
    batch_max: u64,
    read: u64,
    // What the gates allowed at the last look at them.
    limit: u64,
    // Where the last batch started: a caller that took nothing of it wants more than the last look showed.
    offered_from: u64,
}

impl<T> Consumer<T> {
    pub(crate) fn new(
        core: Arc<Core<T>>,
        name: Arc<str>,
        released: CursorWriter,
        gates: Box<[CursorReader]>,
        batch_max: u64,
    ) -> Self {
        let start = released.get();
        Self {
            core,
            name,
            released,
            gates,
            batch_max,
            read: start,
            limit: start,
            offered_from: start,
        }
    }

    /// The cells that may be read now, from the read position on; maybe none. Moves nothing.
    ///
    /// While cells known from the last look are left, and the caller took some since, no shared line but the
    /// poison's is touched; otherwise the gates are looked at anew. So two calls in a row without a move in
    /// between always show the newest.
    ///
    /// # Errors
    /// [`Poisoned`] once the ring is poisoned, even if published cells are left.
    #[inline(always)]
    pub fn available(&mut self) -> Result<Batch<'_, T>, Poisoned> {
        self.core.poison.check()?;
        if self.read == self.limit || self.read == self.offered_from {
            // A gate outside the ring may stand below our start at first.
            self.limit = self.limit.max(slowest(&self.gates));
        }
        self.offered_from = self.read;
        let end = self.limit.min(self.read.saturating_add(self.batch_max));
        Ok(self.batch(self.read, end))
    }

    /// Moves the read position: the next batch starts at `position`. Releases nothing.
    ///
    /// # Panics
    /// If `position` is behind the read position or beyond what [`Consumer::available`] has shown.
    #[inline(always)]
    pub fn read_to(&mut self, position: u64) {
        if position < self.read || position > self.limit {
            self.cannot_read_to(position);
        }
        self.read = position;
    }

    /// Hands back all cells below `position`, and moves the read position there if it is behind.
    ///
    /// Costs one store. Nobody is woken: that is up to a [`Signal`](crate::Signal).
    ///
    /// # Panics
    /// If `position` is behind the released position or beyond what [`Consumer::available`] has shown.
    #[inline(always)]
    pub fn release_to(&mut self, position: u64) {
        if position > self.limit {
            self.cannot_release_to(position);
        }
        self.core.cells.note_read(self.released.get(), position);
        self.released.advance_to(position);
        self.read = self.read.max(position);
    }

    /// Cells that were read but not released, once more.
    ///
    /// # Panics
    /// If the range reaches below the released or above the read position.
    #[inline]
    pub fn unreleased(&self, start: u64, end: u64) -> Batch<'_, T> {
        assert!(
            self.released.get() <= start && start <= end && end <= self.read,
            "consumer `{}` holds {}..{}, not {start}..{end}",
            self.name,
            self.released.get(),
            self.read
        );
        self.batch(start, end)
    }

    #[inline(always)]
    fn batch(&self, start: u64, end: u64) -> Batch<'_, T> {
        self.core.cells.note_read(start, end);
        let (first, second) = self.core.cells.parts(start, (end - start) as usize);
        // SAFETY: the parts are inside the allocation and initialised since it was made. All cells in
        // `released..limit` are published, which we saw with Acquire directly or through the consumer before
        // us, and are not written again before our released cursor passes them: the producer is held by us or
        // by a consumer that our cursor holds. Moving that cursor needs `&mut self`, which the borrow of the
        // batch excludes. Other consumers only read.
        let (first, second) = unsafe { (&*first, &*second) };
        Batch { first, second, start }
    }

    #[cold]
    #[inline(never)]
    fn cannot_read_to(&self, position: u64) -> ! {
        panic!(
            "consumer `{}` has read up to {} and seen up to {}, it cannot read to {position}",
            self.name, self.read, self.limit
        )
    }

    #[cold]
    #[inline(never)]
    fn cannot_release_to(&self, position: u64) -> ! {
        panic!(
            "consumer `{}` has seen up to {}, it cannot release to {position}",
            self.name, self.limit
        )
    }

    /// Where the next batch starts.
    #[inline]
    pub fn read_position(&self) -> u64 {
        self.read
    }

    /// Everything below has been handed back.
    #[inline]
    pub fn released_position(&self) -> u64 {
        self.released.get()
    }

    /// A reader of the released position, for those who come after this consumer.
    pub fn cursor(&self) -> CursorReader {
        self.released.reader()
    }

    /// The name that this consumer was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The poison of this ring.
    pub fn poison(&self) -> &Poison {
        &self.core.poison
    }
}

impl<T> std::fmt::Debug for Consumer<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Consumer")
            .field("name", &self.name)
            .field("released", &self.released.get())
            .field("read", &self.read)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// Cells to read, in the order of their positions: two slices, because a batch may pass the physical end.
#[derive(Clone, Copy)]
pub struct Batch<'a, T> {
    first: &'a [T],
    second: &'a [T],
    start: u64,
}

impl<'a, T> Batch<'a, T> {
    /// Position of the first cell.
    #[inline]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Position after the last cell.
    #[inline]
    pub fn end(&self) -> u64 {
        self.start + self.len() as u64
    }

    /// Number of cells.
    #[inline]
    pub fn len(&self) -> usize {
        self.first.len() + self.second.len()
    }

    /// Whether there is nothing to read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        // The second slice is filled only when the first reaches the physical end.
        self.first.is_empty()
    }

    /// The cells up to the physical end of the ring, then those from its front (often none).
    #[inline]
    pub fn slices(&self) -> (&'a [T], &'a [T]) {
        (self.first, self.second)
    }

    /// The cell at `offset` from the start of the batch, if the batch reaches that far.
    #[inline]
    pub fn get(&self, offset: usize) -> Option<&'a T> {
        if offset < self.first.len() {
            self.first.get(offset)
        } else {
            self.second.get(offset - self.first.len())
        }
    }

    /// The cells in order.
    #[inline]
    pub fn iter(&self) -> std::iter::Chain<std::slice::Iter<'a, T>, std::slice::Iter<'a, T>> {
        self.first.iter().chain(self.second)
    }

    /// Copies the cells from `offset` on into all of `target`.
    ///
    /// # Panics
    /// If the batch has fewer cells than that.
    pub fn copy_to(&self, offset: usize, target: &mut [T])
    where
        T: Copy,
    {
        if offset >= self.first.len() {
            let offset = offset - self.first.len();
            target.copy_from_slice(&self.second[offset..offset + target.len()]);
        } else {
            let (head, tail) = target.split_at_mut(target.len().min(self.first.len() - offset));
            head.copy_from_slice(&self.first[offset..offset + head.len()]);
            tail.copy_from_slice(&self.second[..tail.len()]);
        }
    }
}

impl<'a, T> IntoIterator for Batch<'a, T> {
    type Item = &'a T;
    type IntoIter = std::iter::Chain<std::slice::Iter<'a, T>, std::slice::Iter<'a, T>>;

    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> std::fmt::Debug for Batch<'_, T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Batch({}..{})", self.start, self.end())
    }
}
