//! The memory of a ring: one aligned allocation, ours or handed in, written once from end to end when it is made.
//!
//! This module hands out raw parts of the memory and knows nothing of who may use them; the producers and
//! consumers prove that by their cursors. Under loom every cell has a shadow that loom watches: each side
//! says which cells it reads or writes, and loom fails a run in which two accesses are not ordered.

use std::alloc::{Layout, alloc, dealloc};
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

use crate::limits::CELL_ALIGNMENT;

/// The cells of a ring.
pub(crate) struct Cells<T> {
    base: NonNull<T>,
    layout: Layout,
    capacity: usize,
    #[cfg(loom)]
    shadow: Box<[loom::cell::UnsafeCell<()>]>,
}

// SAFETY: the cells are plain memory owned by this value; moving it to another thread moves the `T`s.
unsafe impl<T: Send> Send for Cells<T> {}

// SAFETY: a shared `Cells` gives out raw pointers only. Those who turn them into references (span, consumer)
// write a cell from one thread at a time, which needs `T: Send`, and read it from several, which needs
// `T: Sync`.
unsafe impl<T: Send + Sync> Sync for Cells<T> {}

impl<T: Copy> Cells<T> {
    /// Allocates `capacity` cells, each a copy of `empty`; `None` if there is no memory for them.
    ///
    /// `capacity` is a power of two, which the caller has checked.
    pub(crate) fn allocate(capacity: usize, empty: T) -> Option<Self> {
        const { assert!(size_of::<T>() > 0, "a ring of cells without a size makes no sense") };
        debug_assert!(capacity.is_power_of_two());
        let layout = Layout::array::<T>(capacity).ok()?.align_to(CELL_ALIGNMENT).ok()?;
        // SAFETY: the layout has a size, because neither `T` nor the capacity is zero.
        let base = NonNull::new(unsafe { alloc(layout) }.cast::<T>())?;
        // SAFETY: fresh memory of this layout, which has room for `capacity` cells.
        Some(unsafe { Self::fill(base, layout, capacity, empty) })
    }

    /// Takes over memory that somebody else reserved, whose contents no longer matter; `None` if it has no room for
    /// `capacity` cells or does not begin where the first cell must.
    pub(crate) fn take_over(memory: Vec<T>, capacity: usize, empty: T) -> Option<Self> {
        const { assert!(size_of::<T>() > 0, "a ring of cells without a size makes no sense") };
        debug_assert!(capacity.is_power_of_two());
        if memory.capacity() < capacity || !memory.as_ptr().addr().is_multiple_of(CELL_ALIGNMENT) {
            return None;
        }
        let layout = Layout::array::<T>(memory.capacity()).ok()?;
        let mut memory = ManuallyDrop::new(memory);
        let base = NonNull::new(memory.as_mut_ptr())?;
        // SAFETY: a vector's memory comes from the global allocator with the layout of an array of its capacity, which
        // is at least `capacity`. The vector is forgotten, so this value alone owns its memory now.
        Some(unsafe { Self::fill(base, layout, capacity, empty) })
    }

    /// Writes each cell once.
    ///
    /// # Safety
    /// `base` was allocated by the global allocator with `layout`, which has room for `capacity` cells, and belongs to
    /// the value that is made here.
    unsafe fn fill(base: NonNull<T>, layout: Layout, capacity: usize, empty: T) -> Self {
        for index in 0..capacity {
            // Volatile, so that an `empty` of zeros is not turned into untouched zero pages.
            // SAFETY: `index` is inside the allocation, which nobody else knows.
            unsafe { base.as_ptr().add(index).write_volatile(empty) };
        }
        Self {
            base,
            layout,
            capacity,
            #[cfg(loom)]
            shadow: (0..capacity).map(|_| loom::cell::UnsafeCell::new(())).collect(),
        }
    }
}

impl<T> Cells<T> {
    /// Number of cells.
    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Index of the cell of a position.
    #[inline]
    pub(crate) fn index(&self, position: u64) -> usize {
        (position & (self.capacity as u64 - 1)) as usize
    }

    /// Cells from that of `position` up to the physical end.
    #[inline]
    pub(crate) fn contiguous_from(&self, position: u64) -> usize {
        self.capacity - self.index(position)
    }

    /// The memory of the `count` cells from `start` on: up to the physical end, and the rest from the front.
    ///
    /// # Panics
    /// If `count` exceeds the capacity: the two parts would overlap.
    #[inline(always)]
    pub(crate) fn parts(&self, start: u64, count: usize) -> (*mut [T], *mut [T]) {
        if count > self.capacity {
            too_many(count, self.capacity);
        }
        let before_the_end = count.min(self.contiguous_from(start));
        let first = self.cell(start);
        (
            ptr::slice_from_raw_parts_mut(first, before_the_end),
            ptr::slice_from_raw_parts_mut(self.base.as_ptr(), count - before_the_end),
        )
    }

    /// The memory of the cell of a position.
    #[inline(always)]
    pub(crate) fn cell(&self, position: u64) -> *mut T {
        // SAFETY: the index is below the capacity, so the result is inside the allocation.
        unsafe { self.base.as_ptr().add(self.index(position)) }
    }

    /// Tells loom that the cells are read now. Nothing in a normal build.
    #[inline]
    pub(crate) fn note_read(&self, _start: u64, _end: u64) {
        #[cfg(loom)]
        for position in _start.._end {
            self.shadow[self.index(position)].with(|_| ());
        }
    }

    /// Tells loom that the cells are written now. Nothing in a normal build.
    #[inline]
    pub(crate) fn note_write(&self, _start: u64, _end: u64) {
        #[cfg(loom)]
        for position in _start.._end {
            self.shadow[self.index(position)].with_mut(|_| ());
        }
    }
}

// Out of line, as all panics of the hot path: what formats a message would crowd out what it guards.
#[cold]
#[inline(never)]
fn too_many(count: usize, capacity: usize) -> ! {
    panic!("{count} cells do not fit a ring of {capacity}")
}

impl<T> Drop for Cells<T> {
    fn drop(&mut self) {
        // SAFETY: `base` came from the global allocator with this layout, and the cells, being `Copy`, need no drop. Every
        // handle that could reach them holds the `Arc` around this value, so none is left.
        unsafe { dealloc(self.base.as_ptr().cast(), self.layout) };
    }
}
