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

#[cfg(test)]
mod tests {
    use super::prefetch_index;

    #[test]
    fn an_index_outside_the_slice_does_nothing() {
        prefetch_index(&[1, 2, 3], 2);
        prefetch_index(&[1, 2, 3], 3);
        prefetch_index::<u8>(&[], usize::MAX);
    }
}
