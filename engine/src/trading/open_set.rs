//! Which orders are open, by their indexes, so that whoever goes through them in the order of their numbers never meets
//! the others, however many have ended.
//!
//! Words of 64 bits; above each level another one has a bit for every word that is not zero, up to a single word. So
//! the next open order is found in as many steps as there are levels: six for 2^31 orders.

use mizan_memory::reserve_touched;

const WORD_BITS: usize = u64::BITS as usize;

/// See the module.
pub(crate) struct OpenSet {
    /// The lowest level first.
    levels: Vec<Vec<u64>>,
}

impl OpenSet {
    /// Reserves and touches room for indexes below `count_max`: a bit for each, and a little.
    pub(crate) fn new(count_max: usize) -> Self {
        let mut levels = Vec::new();
        let mut bits = count_max.max(1);
        loop {
            let words = bits.div_ceil(WORD_BITS);
            let mut level = reserve_touched(words);
            level.resize(words, 0);
            levels.push(level);
            if words == 1 {
                return Self { levels };
            }
            bits = words;
        }
    }

    /// Adds an index. Cost: a word, and another one if that was zero.
    #[inline]
    pub(crate) fn insert(&mut self, index: u32) {
        let mut place = index as usize;
        for level in &mut self.levels {
            let word = &mut level[place / WORD_BITS];
            let before = *word;
            *word |= 1 << (place % WORD_BITS);
            if before != 0 {
                return;
            }
            place /= WORD_BITS;
        }
    }

    /// Takes out an index. Cost: as [`OpenSet::insert`].
    #[inline]
    pub(crate) fn remove(&mut self, index: u32) {
        let mut place = index as usize;
        for level in &mut self.levels {
            let word = &mut level[place / WORD_BITS];
            *word &= !(1 << (place % WORD_BITS));
            if *word != 0 {
                return;
            }
            place /= WORD_BITS;
        }
    }

    /// The lowest index that is not below this one.
    pub(crate) fn next(&self, from: u32) -> Option<u32> {
        let mut place = from as usize;
        for (height, level) in self.levels.iter().enumerate() {
            let word = level.get(place / WORD_BITS)?;
            let left = word & (u64::MAX << (place % WORD_BITS));
            if left != 0 {
                let found = place / WORD_BITS * WORD_BITS + left.trailing_zeros() as usize;
                return Some(self.lowest_below(height, found));
            }
            // Nothing more in this word: on with the words behind it.
            place = place / WORD_BITS + 1;
        }
        None
    }

    /// The lowest index under a bit of a level.
    fn lowest_below(&self, height: usize, mut place: usize) -> u32 {
        for level in self.levels[..height].iter().rev() {
            place = place * WORD_BITS + level[place].trailing_zeros() as usize;
        }
        place as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_holds_what_an_ordered_set_holds(
            count_max in prop::sample::select(vec![1usize, 63, 64, 65, 4_095, 4_096, 4_097, 300_000]),
            steps in prop::collection::vec((any::<bool>(), any::<u32>(), any::<u32>()), 1..200),
        ) {
            let mut set = OpenSet::new(count_max);
            let mut plain = BTreeSet::new();
            for (is_insert, index, from) in steps {
                // Near each other, so that they are met again.
                let index = index % 400 % count_max as u32 * (1 + count_max as u32 / 400) % count_max as u32;
                if is_insert {
                    set.insert(index);
                    plain.insert(index);
                } else {
                    set.remove(index);
                    plain.remove(&index);
                }
                let from = from % (count_max as u32 + 100);
                prop_assert_eq!(set.next(from), plain.range(from..).next().copied());
            }
            for index in plain {
                set.remove(index);
            }
            prop_assert_eq!(set.next(0), None);
            prop_assert!(set.levels.iter().flatten().all(|word| *word == 0));
        }
    }
}
