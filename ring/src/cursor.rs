//! Cursors: positions that only grow, each written by one owner and read by anybody.
//!
//! A cursor at `p` says that its owner is done with every position below `p`. The write is a `Release` and
//! the read an `Acquire`, so whoever reads `p` also sees everything that the owner did before it got there.
//! Each cursor has a pair of cache lines to itself.
//!
//! A cursor deliberately wakes nobody: pair it with a [`Signal`](crate::Signal) where somebody blocks.

use crossbeam::utils::CachePadded;

use crate::sync::{Arc, AtomicU64, Ordering};

/// The shared word of a cursor.
pub(crate) type CursorCell = Arc<CachePadded<AtomicU64>>;

/// Makes cursors that belong to no ring: `durable`, `acked` and the like.
///
/// Such *external* cursors live in the same domain of positions as the ring whose stages wait for them.
#[derive(Debug)]
pub struct Cursor;

impl Cursor {
    /// A cursor that stands at `position`: its one writer, and the first of its readers.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(position: u64) -> (CursorWriter, CursorReader) {
        let cell: CursorCell = Arc::new(CachePadded::new(AtomicU64::new(position)));
        let reader = CursorReader { cell: Arc::clone(&cell) };
        (CursorWriter { cell, position }, reader)
    }
}

/// The only handle that can move its cursor.
#[derive(Debug)]
pub struct CursorWriter {
    cell: CursorCell,
    // The writer is alone, so it need not read the shared line to know where it stands.
    position: u64,
}

impl CursorWriter {
    /// Moves the cursor to `position`, which says that everything below it is done.
    ///
    /// Costs one plain store; it does not wait for readers.
    ///
    /// # Panics
    /// If `position` is behind the cursor: readers rely on cursors never going back.
    #[inline(always)]
    pub fn advance_to(&mut self, position: u64) {
        if position < self.position {
            going_back(self.position, position);
        }
        self.position = position;
        self.cell.store(position, Ordering::Release);
    }

    /// Where the cursor stands. Costs nothing: the shared line is not touched.
    #[inline]
    pub fn get(&self) -> u64 {
        self.position
    }

    /// Another reader of this cursor.
    pub fn reader(&self) -> CursorReader {
        CursorReader { cell: Arc::clone(&self.cell) }
    }

    /// Gives the shared word to several writers, who then keep it monotonic among themselves.
    pub(crate) fn into_shared(self) -> CursorCell {
        self.cell
    }
}

/// A handle that sees where a cursor stands. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CursorReader {
    cell: CursorCell,
}

impl CursorReader {
    /// Where the cursor stands; everything that its owner did below that position is visible to the caller.
    ///
    /// Costs one load, of a line that the owner keeps taking back: read it seldom, cache the answer.
    #[inline]
    pub fn get(&self) -> u64 {
        self.cell.load(Ordering::Acquire)
    }

    /// Whether both handles read the same cursor.
    pub fn same_cursor(&self, other: &CursorReader) -> bool {
        Arc::ptr_eq(&self.cell, &other.cell)
    }
}

#[cold]
#[inline(never)]
fn going_back(stands_at: u64, position: u64) -> ! {
    panic!("a cursor never goes back: it stands at {stands_at}, asked for {position}")
}

/// Where the slowest of the cursors stands, or `u64::MAX` if there are none.
#[inline(always)]
pub(crate) fn slowest(cursors: &[CursorReader]) -> u64 {
    // Mostly there is one, and a loop for any number would cost more than the look itself.
    if let [only] = cursors { only.get() } else { slowest_of_many(cursors) }
}

#[inline(never)]
fn slowest_of_many(cursors: &[CursorReader]) -> u64 {
    cursors.iter().map(CursorReader::get).min().unwrap_or(u64::MAX)
}
