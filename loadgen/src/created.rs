//! Which transfers of a run are known to be created: one bit each.

/// A set of transfers, by their index in the run. It grows with the highest index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Created {
    words: Vec<u64>,
}

impl Created {
    pub(crate) fn insert_range(&mut self, first: u64, count: u64) {
        if count == 1 {
            return self.insert(first);
        }
        let words = (first + count).div_ceil(64) as usize;
        if words > self.words.len() {
            self.words.resize(words, 0);
        }
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
        let word = (index / 64) as usize;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (index % 64);
    }

    pub(crate) fn remove(&mut self, index: u64) {
        if let Some(word) = self.words.get_mut((index / 64) as usize) {
            *word &= !(1 << (index % 64));
        }
    }

    pub(crate) fn contains(&self, index: u64) -> bool {
        self.words.get((index / 64) as usize).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// No transfer with this index, or a higher one, is in the set.
    pub(crate) fn end(&self) -> u64 {
        self.words.len() as u64 * 64
    }

    /// Adds the transfers of another set of the same run; it may be the longer one.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.words.resize(self.words.len().max(other.words.len()), 0);
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
                let mut created = Created::default();
                created.insert_range(first, count);
                let found: Vec<u64> = (0..300).filter(|index| created.contains(*index)).collect();
                assert_eq!(found, (first..first + count).collect::<Vec<_>>());
                assert_eq!(created.count(), count);
            }
        }
    }

    #[test]
    fn sets_are_merged_and_single_transfers_taken_out() {
        let mut created = Created::default();
        let mut other = Created::default();
        created.insert_range(10, 20);
        other.insert(150);
        created.merge(&other);
        created.remove(10);
        assert_eq!(created.count(), 20);
        assert!(!created.contains(10) && created.contains(11) && created.contains(150));
    }
}
