//! A ladder: the levels of one kind sorted by keys, in chunks, so that no change moves more than one chunk.
//!
//! One sorted vector does as well while there are few levels. With 15,000 on each side an order at a fresh price moves
//! 100 KB, and whoever wants to slow a book down could do just that: 590 ns a message were measured, 70 with chunks.
//! Within a chunk keys are counted, not halved, because no branch of such a search can be predicted; among the chunks'
//! lowest keys halving is better (counting blocks of 32 was 5 ns slower with 1,000 chunks). The best rung is
//! remembered apart.
//!
//! Invariants: keys rise within a chunk and from chunk to chunk; no chunk is empty; two neighbours hold more than half
//! of what one can, so that [`Chunks`] never runs out.

use crate::books::limits::{CHUNK_RUNGS, LINE_KEYS, NONE};
use mizan_memory::reserve_touched_within;

/// A rung of a ladder: the higher its key, the better its level.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rung {
    pub(crate) key: u64,
    pub(crate) level: u32,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Chunk {
    /// Rising; those beyond the count are `KEY_NONE`, which no search counts.
    keys: [u64; CHUNK_RUNGS],
    levels: [u32; CHUNK_RUNGS],
    count: u32,
}

const KEY_NONE: u64 = u64::MAX;

impl Chunk {
    const EMPTY: Self = Self { keys: [KEY_NONE; CHUNK_RUNGS], levels: [0; CHUNK_RUNGS], count: 0 };

    fn is_consistent(&self) -> bool {
        let (used, unused) = self.keys.split_at(self.count as usize);
        !used.is_empty() && unused.iter().all(|key| *key == KEY_NONE)
    }

    fn rung(&self, index: usize) -> Rung {
        Rung { key: self.keys[index], level: self.levels[index] }
    }

    /// Where a key is, or belongs: the number of lower keys. First which cache line, then which key of it; both by
    /// counting, because nobody can predict the branches of a search.
    #[inline]
    fn search(&self, key: u64) -> Result<usize, usize> {
        let lines = self.keys.as_chunks::<LINE_KEYS>().0;
        let line: usize = lines[..lines.len() - 1]
            .iter()
            .map(|line| usize::from(line[LINE_KEYS - 1] < key))
            .sum();
        let lower: usize = lines[line].iter().map(|found| usize::from(*found < key)).sum();
        let index = line * LINE_KEYS + lower;
        let is_found = index < self.count as usize && self.keys[index] == key;
        if is_found { Ok(index) } else { Err(index) }
    }

    fn insert(&mut self, index: usize, rung: Rung) {
        let count = self.count as usize;
        self.keys.copy_within(index..count, index + 1);
        self.levels.copy_within(index..count, index + 1);
        self.keys[index] = rung.key;
        self.levels[index] = rung.level;
        self.count += 1;
    }

    fn remove(&mut self, index: usize) {
        let count = self.count as usize;
        self.keys.copy_within(index + 1..count, index);
        self.levels.copy_within(index + 1..count, index);
        self.keys[count - 1] = KEY_NONE;
        self.count -= 1;
    }

    /// Takes over all rungs of the chunk behind this one.
    fn append(&mut self, behind: &Self) {
        let (count, more) = (self.count as usize, behind.count as usize);
        self.keys[count..count + more].copy_from_slice(&behind.keys[..more]);
        self.levels[count..count + more].copy_from_slice(&behind.levels[..more]);
        self.count += behind.count;
    }

    /// Leaves the lower half; gives the upper one.
    fn split(&mut self) -> Self {
        let half = self.count as usize / 2;
        let more = self.count as usize - half;
        let mut upper = Self::EMPTY;
        upper.keys[..more].copy_from_slice(&self.keys[half..half + more]);
        upper.levels[..more].copy_from_slice(&self.levels[half..half + more]);
        upper.count = more as u32;
        self.keys[half..].fill(KEY_NONE);
        self.count = half as u32;
        upper
    }
}

/// The chunks of all ladders.
pub(crate) struct Chunks {
    pool: Vec<Chunk>,
    free: Vec<u32>,
}

impl Chunks {
    /// Reserves what `rung_count_max` rungs in `ladder_count` ladders can need, about 50 bytes each, and touches it as far
    /// as `bytes_left` goes.
    pub(crate) fn new(rung_count_max: usize, ladder_count: usize, bytes_left: &mut usize) -> Self {
        // Two neighbours hold more than half a chunk; the last chunk of a ladder may have no neighbour, and one more
        // may be needed for a moment.
        let count_max = rung_count_max.div_ceil(CHUNK_RUNGS / 4) + 2 * ladder_count;
        let pool = reserve_touched_within(count_max, bytes_left);
        Self { pool, free: reserve_touched_within(count_max, bytes_left) }
    }

    fn take(&mut self, chunk: Chunk) -> u32 {
        match self.free.pop() {
            Some(number) => {
                self.pool[number as usize] = chunk;
                number
            }
            None => {
                let is_room = self.pool.len() < self.pool.capacity();
                assert!(is_room, "invariant: two neighbouring chunks are more than half full");
                self.pool.push(chunk);
                self.pool.len() as u32 - 1
            }
        }
    }
}

/// Where a key is, or belongs.
#[derive(Clone, Copy)]
pub(crate) struct Spot {
    head: usize,
    index: usize,
}

/// See the module.
pub(crate) struct Rungs {
    /// The lowest key of each chunk: nothing else, so that all of them fit the nearest cache.
    lowest: Vec<u64>,
    /// The chunks' numbers, in the same order.
    numbers: Vec<u32>,
    /// Its level is `NONE` while there is none.
    best: Rung,
    count: usize,
}

const NO_RUNG: Rung = Rung { key: 0, level: NONE };

impl Rungs {
    pub(crate) fn new(rung_count_max: usize, bytes_left: &mut usize) -> Self {
        let head_count_max = rung_count_max.div_ceil(CHUNK_RUNGS / 4) + 2;
        Self {
            lowest: reserve_touched_within(head_count_max, bytes_left),
            numbers: reserve_touched_within(head_count_max, bytes_left),
            best: NO_RUNG,
            count: 0,
        }
    }

    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// The rung with the highest key.
    #[inline]
    pub(crate) fn best(&self) -> Option<Rung> {
        (self.best.level != NONE).then_some(self.best)
    }

    /// The level with this key, or where a new one belongs.
    #[inline]
    pub(crate) fn search(&self, chunks: &Chunks, key: u64) -> Result<(u32, Spot), Spot> {
        let Some(last) = self.lowest.last() else { return Err(Spot { head: 0, index: 0 }) };
        let head = match *last <= key {
            true => self.lowest.len() - 1,
            false => self.lowest.partition_point(|lowest| *lowest <= key).saturating_sub(1),
        };
        let chunk = &chunks.pool[self.numbers[head] as usize];
        match chunk.search(key) {
            Ok(index) => Ok((chunk.levels[index], Spot { head, index })),
            Err(index) => Err(Spot { head, index }),
        }
    }

    /// Puts a rung where the search for its key has ended.
    pub(crate) fn insert(&mut self, chunks: &mut Chunks, spot: Spot, rung: Rung) {
        let Spot { mut head, mut index } = spot;
        self.count += 1;
        if rung.key >= self.best.key {
            self.best = rung;
        }
        if self.lowest.is_empty() {
            self.lowest.push(rung.key);
            self.numbers.push(chunks.take(Chunk::EMPTY));
        }
        let chunk = &mut chunks.pool[self.numbers[head] as usize];
        if chunk.count as usize == CHUNK_RUNGS {
            let upper = chunk.split();
            let half = chunk.count as usize;
            let lowest = upper.keys[0];
            self.lowest.insert(head + 1, lowest);
            self.numbers.insert(head + 1, chunks.take(upper));
            if index > half {
                (head, index) = (head + 1, index - half);
            }
        }
        let lowest = &mut self.lowest[head];
        *lowest = rung.key.min(*lowest);
        chunks.pool[self.numbers[head] as usize].insert(index, rung);
    }

    /// Takes out the rung at a spot.
    pub(crate) fn remove(&mut self, chunks: &mut Chunks, spot: Spot) {
        let Spot { head, index } = spot;
        self.count -= 1;
        let number = self.numbers[head];
        let chunk = &mut chunks.pool[number as usize];
        let is_best = head + 1 == self.lowest.len() && index + 1 == chunk.count as usize;
        chunk.remove(index);
        let (count, lowest) = (chunk.count, chunk.keys[0]);
        if count == 0 {
            self.lowest.remove(head);
            self.numbers.remove(head);
            chunks.free.push(number);
        } else {
            self.lowest[head] = lowest;
            if count as usize <= CHUNK_RUNGS / 2 {
                self.merge_around(chunks, head);
            }
        }
        if is_best {
            self.best = self.numbers.last().map_or(NO_RUNG, |last| {
                let chunk = &chunks.pool[*last as usize];
                chunk.rung(chunk.count as usize - 1)
            });
        }
    }

    /// Joins a chunk with a neighbour if both together fill no more than half of one.
    fn merge_around(&mut self, chunks: &mut Chunks, head: usize) {
        let count = |head: usize| {
            self.numbers.get(head).map(|number| chunks.pool[*number as usize].count as usize)
        };
        let fits = |lower: usize| {
            let sum = count(lower).zip(count(lower + 1)).map(|(one, other)| one + other);
            sum.is_some_and(|sum| sum <= CHUNK_RUNGS / 2)
        };
        let lower = match head.checked_sub(1) {
            Some(before) if fits(before) => before,
            _ if fits(head) => head,
            _ => return,
        };
        self.lowest.remove(lower + 1);
        let behind = self.numbers.remove(lower + 1);
        let upper = chunks.pool[behind as usize];
        chunks.pool[self.numbers[lower] as usize].append(&upper);
        chunks.free.push(behind);
    }

    /// All rungs, the best one first.
    pub(crate) fn iter<'a>(&'a self, chunks: &'a Chunks) -> impl Iterator<Item = Rung> + 'a {
        self.numbers.iter().rev().flat_map(move |number| {
            let chunk = &chunks.pool[*number as usize];
            (0..chunk.count as usize).rev().map(move |index| chunk.rung(index))
        })
    }

    /// Whether heads, chunks and the best rung agree, and keys rise.
    pub(crate) fn is_consistent(&self, chunks: &Chunks) -> bool {
        let rungs = || self.iter(chunks);
        let chunk = |number: &u32| &chunks.pool[*number as usize];
        let lowest = || self.numbers.iter().map(|number| chunk(number).keys[0]);
        rungs().map(|rung| rung.key).is_sorted_by(|one, next| one > next)
            && rungs().next() == self.best()
            && rungs().count() == self.count
            && self.numbers.iter().all(|number| chunk(number).is_consistent())
            && lowest().eq(self.lowest.iter().copied())
            && self.numbers.windows(2).all(|pair| {
                (chunk(&pair[0]).count + chunk(&pair[1]).count) as usize > CHUNK_RUNGS / 2
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const RUNGS_MAX: usize = 300;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_ladder_finds_orders_and_forgets_as_an_ordered_map_does(
            steps in prop::collection::vec((0..12u8, 0..400u64), 1..1_500),
        ) {
            let mut chunks = Chunks::new(RUNGS_MAX, 1, &mut 0);
            let (pool_room, free_room) = (chunks.pool.capacity(), chunks.free.capacity());
            let mut rungs = Rungs::new(RUNGS_MAX, &mut 0);
            let heads_room = (rungs.lowest.capacity(), rungs.numbers.capacity());
            let mut oracle = BTreeMap::new();
            for (number, (step, pick)) in (0u32..).zip(steps) {
                // Long phases of growth and of decline, so that chunks are split and joined.
                let grows = (number / 300) % 2 == 0;
                let key = if step == 0 { u64::MAX - pick } else { pick };
                match rungs.search(&chunks, key) {
                    Ok((level, spot)) => {
                        prop_assert_eq!(oracle.get(&key), Some(&level));
                        if !grows || step < 4 {
                            rungs.remove(&mut chunks, spot);
                            oracle.remove(&key);
                        }
                    }
                    Err(spot) => {
                        prop_assert!(!oracle.contains_key(&key));
                        if oracle.len() < RUNGS_MAX && (grows || step < 4) {
                            rungs.insert(&mut chunks, spot, Rung { key, level: number });
                            oracle.insert(key, number);
                        }
                    }
                }
                let best = oracle.last_key_value().map(|(key, level)| Rung { key: *key, level: *level });
                prop_assert_eq!(rungs.best(), best);
                prop_assert!(rungs.is_consistent(&chunks));
                prop_assert_eq!(rungs.count(), oracle.len());
            }
            let found = rungs.iter(&chunks).map(|rung| (rung.key, rung.level));
            prop_assert!(found.eq(oracle.iter().rev().map(|(key, level)| (*key, *level))));
            prop_assert_eq!((chunks.pool.capacity(), chunks.free.capacity()), (pool_room, free_room));
            prop_assert_eq!((rungs.lowest.capacity(), rungs.numbers.capacity()), heads_room);
        }
    }
}
