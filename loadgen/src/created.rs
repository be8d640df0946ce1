//! Which transfers of a run are known to be created: one bit each.

/// A set of transfers, by their index in the run.
#[derive(Clone, Debug)]
pub(crate) struct Created {
    words: Vec<u64>,
}

impl Created {
    /// An empty set for a run of so many transfers.
    pub(crate) fn new(transfers: u64) -> Self {
        Self { words: vec![0; transfers.div_ceil(64) as usize] }
    }

    pub(crate) fn insert_range(&mut self, first: u64, count: u64) {
        let mut index = first;
        while index < first + count {
            let bit = index % 64;
            let bits = (64 - bit).min(first + count - index);
            let mask = if bits == 64 { u64::MAX } else { ((1 << bits) - 1) << bit };
            self.words[(index / 64) as usize] |= mask;
            index += bits;
        }
    }

    pub(crate) fn insert(&mut self, index: u64) {
        self.insert_range(index, 1);
    }

    pub(crate) fn remove(&mut self, index: u64) {
        self.words[(index / 64) as usize] &= !(1 << (index % 64));
    }

    pub(crate) fn contains(&self, index: u64) -> bool {
        self.words[(index / 64) as usize] >> (index % 64) & 1 == 1
    }

    /// Adds the transfers of another set of the same run.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (word, others) in self.words.iter_mut().zip(&other.words) {
            *word |= others;
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_set_exactly_their_own_bits() {
        for first in [0, 1, 63, 64, 65, 100] {
            for count in [0, 1, 2, 63, 64, 65, 130, 191] {
                let mut created = Created::new(300);
                created.insert_range(first, count);
                let found: Vec<u64> = (0..300).filter(|index| created.contains(*index)).collect();
                assert_eq!(found, (first..first + count).collect::<Vec<_>>());
                assert_eq!(created.count(), count);
            }
        }
    }

    #[test]
    fn sets_are_merged_and_single_transfers_taken_out() {
        let mut created = Created::new(200);
        let mut other = Created::new(200);
        created.insert_range(10, 20);
        other.insert(150);
        created.merge(&other);
        created.remove(10);
        assert_eq!(created.count(), 20);
        assert!(!created.contains(10) && created.contains(11) && created.contains(150));
    }
}
