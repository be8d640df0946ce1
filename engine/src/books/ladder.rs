//! A ladder: the levels of one kind sorted by keys, in chunks, so that no change moves more than one chunk.
//!
//! One sorted vector is faster while there are few levels, and 10 times slower with 15,000 of them, where an order
//! at a fresh price moves 100 KB; whoever wants to slow a book down could do that. Chunks of 32 cost 3 % in the
//! former case. The best rung is remembered apart.
//!
//! Invariants: keys rise within a chunk and from chunk to chunk; no chunk is empty; two neighbours hold more than half
//! of what one can, so that [`Chunks`] never runs out.

use crate::books::limits::{CHUNK_RUNGS, NEAR_RUNGS, NONE};
use mizan_memory::reserve_touched;

/// A rung of a ladder: the higher its key, the better its level.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rung {
    pub(crate) key: u64,
    pub(crate) level: u32,
}

#[derive(Clone, Copy)]
struct Chunk {
    keys: [u64; CHUNK_RUNGS],
    levels: [u32; CHUNK_RUNGS],
    count: u32,
}

impl Chunk {
    const EMPTY: Self = Self { keys: [0; CHUNK_RUNGS], levels: [0; CHUNK_RUNGS], count: 0 };

    #[inline]
    fn keys(&self) -> &[u64] {
        &self.keys[..self.count as usize]
    }

    fn rung(&self, index: usize) -> Rung {
        Rung { key: self.keys[index], level: self.levels[index] }
    }

    /// Where a key is, or belongs.
    #[inline]
    fn search(&self, key: u64) -> Result<usize, usize> {
        let keys = self.keys();
        let index = keys.partition_point(|found| *found < key);
        if keys.get(index) == Some(&key) { Ok(index) } else { Err(index) }
    }

    /// As [`Chunk::search`], but looks at the last rungs one by one first: for the chunk with the best ones, near which
    /// most orders stand.
    #[inline]
    fn search_near_end(&self, key: u64) -> Result<usize, usize> {
        let keys = self.keys();
        let far = keys.len().saturating_sub(NEAR_RUNGS);
        for index in (far..keys.len()).rev() {
            let found = keys[index];
            if found <= key {
                return if found == key { Ok(index) } else { Err(index + 1) };
            }
        }
        self.search(key)
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
    /// Reserves and touches what `rung_count_max` rungs in `ladder_count` ladders can need: about 50 bytes each.
    pub(crate) fn new(rung_count_max: usize, ladder_count: usize) -> Self {
        // Two neighbours hold more than half a chunk; the last chunk of a ladder may have no neighbour, and one more
        // may be needed for a moment.
        let count_max = rung_count_max.div_ceil(CHUNK_RUNGS / 4) + 2 * ladder_count;
        Self { pool: reserve_touched(count_max), free: reserve_touched(count_max) }
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

#[derive(Clone, Copy)]
struct Head {
    /// The lowest key of the chunk.
    lowest: u64,
    chunk: u32,
}

/// Where a key is, or belongs.
#[derive(Clone, Copy)]
pub(crate) struct Spot {
    head: usize,
    index: usize,
}

/// See the module.
pub(crate) struct Rungs {
    heads: Vec<Head>,
    /// Its level is `NONE` while there is none.
    best: Rung,
    count: usize,
}

const NO_RUNG: Rung = Rung { key: 0, level: NONE };

impl Rungs {
    pub(crate) fn new(rung_count_max: usize) -> Self {
        let head_count_max = rung_count_max.div_ceil(CHUNK_RUNGS / 4) + 2;
        Self { heads: reserve_touched(head_count_max), best: NO_RUNG, count: 0 }
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
        let Some(last) = self.heads.last() else { return Err(Spot { head: 0, index: 0 }) };
        let is_near = last.lowest <= key;
        let head = match is_near {
            true => self.heads.len() - 1,
            false => self.heads.partition_point(|head| head.lowest <= key).saturating_sub(1),
        };
        let chunk = &chunks.pool[self.heads[head].chunk as usize];
        match if is_near { chunk.search_near_end(key) } else { chunk.search(key) } {
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
        if self.heads.is_empty() {
            let chunk = chunks.take(Chunk::EMPTY);
            self.heads.push(Head { lowest: rung.key, chunk });
        }
        let chunk = &mut chunks.pool[self.heads[head].chunk as usize];
        if chunk.count as usize == CHUNK_RUNGS {
            let upper = chunk.split();
            let half = chunk.count as usize;
            let lowest = upper.keys[0];
            let number = chunks.take(upper);
            self.heads.insert(head + 1, Head { lowest, chunk: number });
            if index > half {
                (head, index) = (head + 1, index - half);
            }
        }
        let place = &mut self.heads[head];
        place.lowest = place.lowest.min(rung.key);
        chunks.pool[place.chunk as usize].insert(index, rung);
    }

    /// Takes out the rung at a spot.
    pub(crate) fn remove(&mut self, chunks: &mut Chunks, spot: Spot) {
        let Spot { head, index } = spot;
        self.count -= 1;
        let number = self.heads[head].chunk;
        let chunk = &mut chunks.pool[number as usize];
        let is_best = head + 1 == self.heads.len() && index + 1 == chunk.count as usize;
        chunk.remove(index);
        let (count, lowest) = (chunk.count, chunk.keys[0]);
        if count == 0 {
            self.heads.remove(head);
            chunks.free.push(number);
        } else {
            self.heads[head].lowest = lowest;
            if count as usize <= CHUNK_RUNGS / 2 {
                self.merge_around(chunks, head);
            }
        }
        if is_best {
            self.best = self.heads.last().map_or(NO_RUNG, |last| {
                let chunk = &chunks.pool[last.chunk as usize];
                chunk.rung(chunk.count as usize - 1)
            });
        }
    }

    /// Joins a chunk with a neighbour if both together fill no more than half of one.
    fn merge_around(&mut self, chunks: &mut Chunks, head: usize) {
        let count = |head: usize| {
            self.heads.get(head).map(|head| chunks.pool[head.chunk as usize].count as usize)
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
        let behind = self.heads.remove(lower + 1).chunk;
        let upper = chunks.pool[behind as usize];
        chunks.pool[self.heads[lower].chunk as usize].append(&upper);
        chunks.free.push(behind);
    }

    /// All rungs, the best one first.
    pub(crate) fn iter<'a>(&'a self, chunks: &'a Chunks) -> impl Iterator<Item = Rung> + 'a {
        self.heads.iter().rev().flat_map(move |head| {
            let chunk = &chunks.pool[head.chunk as usize];
            (0..chunk.count as usize).rev().map(move |index| chunk.rung(index))
        })
    }

    /// Whether heads, chunks and the best rung agree, and keys rise.
    pub(crate) fn is_consistent(&self, chunks: &Chunks) -> bool {
        let rungs = || self.iter(chunks);
        let chunk = |head: &Head| &chunks.pool[head.chunk as usize];
        rungs().map(|rung| rung.key).is_sorted_by(|one, next| one > next)
            && rungs().next() == self.best()
            && rungs().count() == self.count
            && self.heads.iter().all(|head| chunk(head).keys().first() == Some(&head.lowest))
            && self.heads.windows(2).all(|pair| {
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
            let mut chunks = Chunks::new(RUNGS_MAX, 1);
            let (pool_room, free_room) = (chunks.pool.capacity(), chunks.free.capacity());
            let mut rungs = Rungs::new(RUNGS_MAX);
            let heads_room = rungs.heads.capacity();
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
            prop_assert_eq!(rungs.heads.capacity(), heads_room);
        }
    }
}
