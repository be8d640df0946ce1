//! A queue of due times from which any entry can be taken out at once.
//!
//! A binary heap of `(expires_ns, timestamp, hold)`, ordered by the first two, which together are unique. The owner
//! of the holds remembers where in the heap each of them stands; the heap tells it of every move.
//!
//! What is absent: the holds themselves.

/// One due time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Due {
    /// When: nanoseconds since 1970.
    pub(crate) expires_ns: u64,
    /// Ties are broken by the timestamp of the pending transfer, which is unique.
    pub(crate) timestamp: u64,
    /// Whose time it is.
    pub(crate) hold: u32,
}

impl Due {
    const fn key(&self) -> (u64, u64) {
        (self.expires_ns, self.timestamp)
    }
}

/// Learns where in the heap an entry stands.
pub(crate) trait Positions {
    fn set_position(&mut self, hold: u32, position: u32);
}

/// See the module.
pub(crate) struct DueHeap {
    entries: Vec<Due>,
}

impl DueHeap {
    pub(crate) fn new(capacity: usize) -> Self {
        let mut bytes_left = usize::MAX;
        Self::within(capacity, &mut bytes_left)
    }

    /// As [`DueHeap::new`]; no more than `bytes_left` are touched.
    pub(crate) fn within(capacity: usize, bytes_left: &mut usize) -> Self {
        Self { entries: mizan_memory::reserve_touched_within(capacity, bytes_left) }
    }

    pub(crate) const fn count(&self) -> usize {
        self.entries.len()
    }

    /// The entry that is due first.
    pub(crate) fn first(&self) -> Option<Due> {
        self.entries.first().copied()
    }

    /// The entry at a position.
    pub(crate) fn at(&self, position: u32) -> Option<Due> {
        self.entries.get(position as usize).copied()
    }

    /// Whether every entry is due no earlier than the one above it.
    pub(crate) fn is_ordered(&self) -> bool {
        (1..self.entries.len())
            .all(|index| self.entries[(index - 1) / 2].key() < self.entries[index].key())
    }

    /// Adds an entry. Cost: O(log n), O(1) if it is due last.
    pub(crate) fn insert(&mut self, due: Due, positions: &mut impl Positions) {
        self.entries.push(due);
        self.rise(self.entries.len() - 1, positions);
    }

    /// Takes out the entry at a position that was told by [`Positions`]. Cost: O(log n).
    pub(crate) fn remove(&mut self, position: u32, positions: &mut impl Positions) {
        let index = position as usize;
        self.entries.swap_remove(index);
        if index < self.entries.len() {
            self.sink(index, positions);
            self.rise(index, positions);
        }
    }

    fn rise(&mut self, mut index: usize, positions: &mut impl Positions) {
        let entry = self.entries[index];
        while index > 0 {
            let parent = (index - 1) / 2;
            if self.entries[parent].key() <= entry.key() {
                break;
            }
            self.put(index, self.entries[parent], positions);
            index = parent;
        }
        self.put(index, entry, positions);
    }

    fn sink(&mut self, mut index: usize, positions: &mut impl Positions) {
        let entry = self.entries[index];
        loop {
            let left = 2 * index + 1;
            let right = left + 1;
            let Some(mut child) = self.entries.get(left) else { break };
            let mut child_index = left;
            if let Some(other) = self.entries.get(right)
                && other.key() < child.key()
            {
                child = other;
                child_index = right;
            }
            if entry.key() <= child.key() {
                break;
            }
            self.put(index, *child, positions);
            index = child_index;
        }
        self.put(index, entry, positions);
    }

    fn put(&mut self, index: usize, entry: Due, positions: &mut impl Positions) {
        self.entries[index] = entry;
        positions.set_position(entry.hold, index as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Positions for Vec<u32> {
        fn set_position(&mut self, hold: u32, position: u32) {
            self[hold as usize] = position;
        }
    }

    proptest! {
        #[test]
        fn the_queue_orders_and_forgets_as_a_sorted_list_does(
            steps in prop::collection::vec((0..4u8, 0..20u64, 0..64usize), 1..300),
        ) {
            let mut heap = DueHeap::new(300);
            let mut positions = vec![u32::MAX; 300];
            let mut oracle: Vec<(u64, u64, u32)> = Vec::new();
            for (number, (step, expires_ns, pick)) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => {
                        let due = Due { expires_ns, timestamp: number as u64, hold: number as u32 };
                        heap.insert(due, &mut positions);
                        oracle.push((expires_ns, number as u64, number as u32));
                        oracle.sort_unstable();
                    }
                    2 if !oracle.is_empty() => {
                        let (_, _, hold) = oracle.remove(pick % oracle.len());
                        heap.remove(positions[hold as usize], &mut positions);
                    }
                    3 if !oracle.is_empty() => {
                        oracle.remove(0);
                        heap.remove(0, &mut positions);
                    }
                    _ => {}
                }
                prop_assert!(heap.is_ordered());
                prop_assert_eq!(heap.count(), oracle.len());
                let first = heap.first().map(|due| (due.expires_ns, due.timestamp, due.hold));
                prop_assert_eq!(first, oracle.first().copied());
                for (_, _, hold) in &oracle {
                    let at = heap.at(positions[*hold as usize]).map(|due| due.hold);
                    prop_assert_eq!(at, Some(*hold));
                }
            }
        }
    }
}
