//! Vectors that are reserved and touched at start: the first touch of a huge page can take milliseconds.

use rustix::mm::{Advice, madvise};

/// The size from which huge pages are worth asking for.
const HUGE_PAGE_SIZE: usize = 2 << 20;
/// Every page is at least this large.
const PAGE_SIZE: usize = 4 << 10;

/// An empty vector with room for `capacity` elements, every page of which is already mapped.
///
/// Huge pages are asked for where the vector is large enough; a kernel that has none is no error.
/// Cost: one pass over the memory, about 1 to 4 GB/s.
///
/// # Panics
/// If the memory cannot be had (as `Vec::with_capacity` does): better now than under load.
#[must_use]
pub fn reserve_touched<T: Copy>(capacity: usize) -> Vec<T> {
    let mut bytes_left = usize::MAX;
    reserve_touched_within(capacity, &mut bytes_left)
}

/// As [`reserve_touched`], but of all vectors that share `bytes_left` no more than that is touched. What is not is mapped
/// when it is first used, page by page.
///
/// # Panics
/// As [`reserve_touched`].
#[must_use]
pub fn reserve_touched_within<T: Copy>(capacity: usize, bytes_left: &mut usize) -> Vec<T> {
    let mut vector = Vec::<T>::with_capacity(capacity);
    let spare = vector.spare_capacity_mut();
    let size = size_of_val(spare);
    let start = spare.as_mut_ptr().cast::<u8>();
    ask_for_huge_pages(start, size);
    let touched = size.min(*bytes_left);
    *bytes_left -= touched;
    for offset in (0..touched).step_by(PAGE_SIZE) {
        // SAFETY: `offset < touched <= size`, and the spare capacity is ours to write; `T: Copy` has no drop, and the bytes stay
        // uninitialised in the eyes of the vector, whose length is 0.
        unsafe { start.add(offset).write_volatile(0) };
    }
    vector
}

fn ask_for_huge_pages(start: *mut u8, size: usize) {
    let skipped = start.align_offset(HUGE_PAGE_SIZE);
    if size < skipped.saturating_add(HUGE_PAGE_SIZE) {
        return;
    }
    let whole = (size - skipped) / HUGE_PAGE_SIZE * HUGE_PAGE_SIZE;
    // A kernel without huge pages only costs time, so its answer does not matter.
    // SAFETY: the range lies inside an allocation that is ours alone, and this advice changes no contents.
    let _ = unsafe { madvise(start.add(skipped).cast(), whole, Advice::LinuxHugepage) };
}

#[cfg(test)]
mod tests {
    use super::{reserve_touched, reserve_touched_within};

    #[test]
    fn vectors_share_what_is_touched_and_have_all_their_room() {
        let mut bytes_left = 10_000;
        assert_eq!(reserve_touched_within::<u64>(1_000, &mut bytes_left).capacity(), 1_000);
        assert_eq!(bytes_left, 2_000);
        for _ in 0..2 {
            let mut vector = reserve_touched_within::<u64>(1 << 20, &mut bytes_left);
            assert_eq!((vector.capacity(), bytes_left), (1 << 20, 0));
            vector.extend(0..1 << 20);
            assert_eq!(vector.iter().sum::<u64>(), (1 << 19) * ((1 << 20) - 1));
        }
    }

    #[test]
    fn a_reserved_vector_is_empty_and_does_not_move_while_it_fills() {
        let mut vector = reserve_touched::<u64>(1 << 20);
        assert!(vector.is_empty());
        let start = vector.as_ptr();
        vector.extend(0..1 << 20);
        assert_eq!(vector.as_ptr(), start);
        assert_eq!(vector.iter().sum::<u64>(), (1 << 19) * ((1 << 20) - 1));
    }

    #[test]
    fn nothing_can_be_reserved() {
        assert_eq!(reserve_touched::<u128>(0).capacity(), 0);
    }
}
