//! The fixed pool of receive buffers, in two sizes.
//!
//! A buffer is a number, not a pointer: whoever holds one must give it back, and cannot hold it twice. The memory is
//! zeroed by the system when first touched, so an unused pool costs address space only.

use crate::config::{BUFFER_FULL_SIZE, BUFFER_SMALL_SIZE};

/// The right to a receive buffer.
#[derive(Debug)]
pub(crate) struct Buffer {
    is_full_size: bool,
    index: u32,
}

impl Buffer {
    /// Bytes that fit.
    pub(crate) const fn size(&self) -> usize {
        if self.is_full_size { BUFFER_FULL_SIZE } else { BUFFER_SMALL_SIZE }
    }
}

/// All receive buffers.
pub(crate) struct Pool {
    small: Class,
    full: Class,
}

impl Pool {
    pub(crate) fn new(small_count: usize, full_count: usize) -> Self {
        Self {
            small: Class::new(BUFFER_SMALL_SIZE, small_count),
            full: Class::new(BUFFER_FULL_SIZE, full_count),
        }
    }

    /// A buffer for so many bytes: a small one if that is enough and there is one, else a full one.
    pub(crate) fn acquire(&mut self, bytes: usize) -> Option<Buffer> {
        debug_assert!(bytes <= BUFFER_FULL_SIZE);
        if bytes <= BUFFER_SMALL_SIZE
            && let Some(index) = self.small.free.pop()
        {
            return Some(Buffer { is_full_size: false, index });
        }
        let index = self.full.free.pop()?;
        Some(Buffer { is_full_size: true, index })
    }

    #[expect(clippy::needless_pass_by_value, reason = "who gives a buffer back has it no longer")]
    pub(crate) fn release(&mut self, buffer: Buffer) {
        let Buffer { is_full_size, index } = buffer;
        if is_full_size { self.full.free.push(index) } else { self.small.free.push(index) }
    }

    /// Whether [`Pool::acquire`] would give one.
    pub(crate) const fn has(&self, bytes: usize) -> bool {
        !self.full.free.is_empty() || (bytes <= BUFFER_SMALL_SIZE && !self.small.free.is_empty())
    }

    pub(crate) fn bytes(&self, buffer: &Buffer) -> &[u8] {
        if buffer.is_full_size {
            self.full.bytes(buffer.index)
        } else {
            self.small.bytes(buffer.index)
        }
    }

    pub(crate) fn bytes_mut(&mut self, buffer: &Buffer) -> &mut [u8] {
        if buffer.is_full_size {
            self.full.bytes_mut(buffer.index)
        } else {
            self.small.bytes_mut(buffer.index)
        }
    }

    /// Small and full buffers in use.
    pub(crate) const fn in_use(&self) -> (usize, usize) {
        (self.small.count - self.small.free.len(), self.full.count - self.full.free.len())
    }
}

struct Class {
    memory: Vec<u8>,
    size: usize,
    count: usize,
    free: Vec<u32>,
}

impl Class {
    fn new(size: usize, count: usize) -> Self {
        // Low numbers are handed out first, so that a quiet gateway touches little memory.
        Self { memory: vec![0; size * count], size, count, free: (0..count as u32).rev().collect() }
    }

    fn bytes(&self, index: u32) -> &[u8] {
        &self.memory[index as usize * self.size..][..self.size]
    }

    fn bytes_mut(&mut self, index: u32) -> &mut [u8] {
        &mut self.memory[index as usize * self.size..][..self.size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_need_is_met_by_a_full_buffer_when_the_small_ones_are_gone() {
        let mut pool = Pool::new(1, 1);
        let small = pool.acquire(BUFFER_SMALL_SIZE).unwrap();
        assert_eq!((small.size(), pool.in_use()), (BUFFER_SMALL_SIZE, (1, 0)));
        let full = pool.acquire(1).unwrap();
        assert_eq!((full.size(), pool.in_use()), (BUFFER_FULL_SIZE, (1, 1)));
        assert!(pool.acquire(1).is_none() && !pool.has(1));
        pool.release(small);
        assert!(pool.has(BUFFER_SMALL_SIZE) && !pool.has(BUFFER_SMALL_SIZE + 1));
        assert!(pool.acquire(BUFFER_SMALL_SIZE + 1).is_none());
        pool.release(full);
        assert_eq!(pool.in_use(), (0, 0));
    }

    #[test]
    fn buffers_do_not_overlap() {
        let mut pool = Pool::new(2, 2);
        let buffers: Vec<Buffer> = (0..4).map(|_| pool.acquire(1).unwrap()).collect();
        for (number, buffer) in buffers.iter().enumerate() {
            pool.bytes_mut(buffer).fill(number as u8 + 1);
        }
        for (number, buffer) in buffers.iter().enumerate() {
            let bytes = pool.bytes(buffer);
            assert!(bytes.len() == buffer.size() && bytes.iter().all(|b| *b == number as u8 + 1));
        }
    }
}
