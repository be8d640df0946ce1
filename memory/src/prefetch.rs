//! Asking for a cache line before it is needed.

/// Asks the processor to bring the cache line at `value` close. Costs about one instruction; never faults.
#[inline(always)]
pub fn prefetch_read<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of any address has no effect that a program can observe, and this one is valid.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// As [`prefetch_read`], for an element; an index outside the slice does nothing.
#[inline(always)]
pub fn prefetch_index<T>(slice: &[T], index: usize) {
    if let Some(value) = slice.get(index) {
        prefetch_read(value);
    }
}

const LINE_SIZE: usize = 64;

/// As [`prefetch_index`], for the first so many cache lines of an element that begins with a line.
#[inline(always)]
pub fn prefetch_lines<const LINES: usize, T>(slice: &[T], index: usize) {
    if index < slice.len() {
        ask_for::<LINES, T>(slice.as_ptr().wrapping_add(index));
    }
}

/// Asks for the first so many lines of what will be pushed behind these elements after `ahead` others. To store where
/// nothing was loaded before fills the store buffer, and then everything waits. Beyond the vector's capacity it asks
/// for what is no part of it, which does no harm.
#[inline(always)]
pub fn prefetch_push<const LINES: usize, T>(pushed: &[T], ahead: usize) {
    ask_for::<LINES, T>(pushed.as_ptr().wrapping_add(pushed.len() + ahead));
}

#[inline(always)]
fn ask_for<const LINES: usize, T>(first: *const T) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..LINES {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let address = first.cast::<i8>().wrapping_add(line * LINE_SIZE);
        // SAFETY: a prefetch has no effect that a program can observe and never faults, so that any address will do;
        // this one was made by wrapping arithmetic, which is defined for all of them.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = first;
}

#[cfg(test)]
mod tests {
    use super::{prefetch_index, prefetch_lines, prefetch_push};

    #[test]
    fn asking_for_what_is_not_there_changes_nothing() {
        let mut vector: Vec<[u8; 100]> = Vec::new();
        prefetch_push::<2, _>(&vector, 0);
        prefetch_lines::<2, _>(&vector, 0);
        vector.push([7; 100]);
        prefetch_push::<2, _>(&vector, usize::MAX / 200);
        prefetch_lines::<2, _>(&vector, 0);
        prefetch_lines::<2, _>(&vector, 1);
        assert_eq!(vector, [[7; 100]]);
    }

    #[test]
    fn an_index_outside_the_slice_does_nothing() {
        prefetch_index(&[1, 2, 3], 2);
        prefetch_index(&[1, 2, 3], 3);
        prefetch_index::<u8>(&[], usize::MAX);
    }
}
