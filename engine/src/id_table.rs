//! The table from 128-bit ids to 32-bit slots.
//!
//! Open addressing in buckets of one cache line: 12 tags of a byte, 12 slots, and how many entries had to pass the
//! bucket by. The table holds no ids; whoever searches compares the id in the record that the slot names. A search
//! that finds nothing touches one line, but for the 1 in 16 buckets that overflowed.
//!
//! Invariants: the table never grows and never moves an entry, so no insert stalls; an entry lies in the first bucket
//! from its home on that had a free place; `passed_by` of a bucket counts exactly the entries that lie beyond it.
//!
//! What is absent: iteration (its order would depend on the seed), growth, and any protection against an adversary
//! who knows the seed other than bounded searches.

use crate::limits::{BUCKET_LOAD, BUCKET_PLACES};
use mizan_memory::{BYTES_AT_ONCE, matching_bytes};
use zerocopy::{Immutable, IntoBytes};

/// The tag of a free place.
const FREE: u8 = 0;

#[derive(Clone, Copy, Immutable, IntoBytes)]
#[repr(C, align(64))]
struct Bucket {
    tags: [u8; BUCKET_PLACES],
    /// Entries that found this bucket full and went on to a later one.
    passed_by: u32,
    slots: [u32; BUCKET_PLACES],
}

const _: () = {
    assert!(size_of::<Bucket>() == 64);
    assert!(std::mem::offset_of!(Bucket, tags) == 0 && BUCKET_PLACES <= BYTES_AT_ONCE);
};

impl Bucket {
    const EMPTY: Self =
        Self { tags: [FREE; BUCKET_PLACES], passed_by: 0, slots: [0; BUCKET_PLACES] };

    /// The places with this tag.
    #[inline(always)]
    fn places_with(&self, tag: u8) -> Places {
        let first = self.as_bytes().first_chunk().expect("invariant: a bucket has 64 bytes");
        // The bytes behind the tags are looked at, too, and left out.
        Places(matching_bytes(first, tag) & ((1 << BUCKET_PLACES) - 1))
    }

    /// Puts an entry into the first free place, if there is one.
    #[inline(always)]
    fn take_place(&mut self, tag: u8, slot: u32) -> bool {
        let Some(place) = self.places_with(FREE).next() else { return false };
        self.tags[place] = tag;
        self.slots[place] = slot;
        true
    }
}

/// A set of places, visited in ascending order.
#[derive(Clone, Copy)]
struct Places(u32);

impl Places {
    #[inline(always)]
    const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Iterator for Places {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let place = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(place)
    }
}

/// A keyed hash of an id, as one table uses it: the bucket in which a search begins, and the tag.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct IdHash {
    home: u32,
    tag: u8,
}

/// See the module.
pub(crate) struct IdTable {
    buckets: Vec<Bucket>,
    keys: [u64; 4],
    count: usize,
    capacity: usize,
}

impl IdTable {
    /// A table with room for `capacity` entries, all its memory touched.
    pub(crate) fn new(capacity: usize, seed: u64) -> Self {
        let bucket_count = capacity.div_ceil(BUCKET_LOAD) + 1;
        let mut buckets = mizan_memory::reserve_touched(bucket_count);
        buckets.resize(bucket_count, Bucket::EMPTY);
        let mut state = seed;
        let keys = std::array::from_fn(|_| next_key(&mut state));
        Self { buckets, keys, count: 0, capacity }
    }

    /// Entries in the table.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// The hash under which an id is searched, inserted and removed.
    #[inline(always)]
    pub(crate) const fn hash(&self, id: u128) -> IdHash {
        let [a, b, c, d] = self.keys;
        // Folded once, ids with a pattern resonate with some keys: up to 4 in 10 buckets overflowed.
        let first = fold(id as u64 ^ a, (id >> 64) as u64 ^ b);
        let hash = fold(first ^ c, d);
        // The high half of the product is uniform over the buckets, without a division.
        let home = (hash as u128 * self.buckets.len() as u128) >> 64;
        let tag = hash as u8;
        IdHash { home: home as u32, tag: if tag == FREE { 1 } else { tag } }
    }

    /// Asks for the line in which a search of this hash begins.
    #[inline]
    pub(crate) fn prefetch(&self, hash: IdHash) {
        mizan_memory::prefetch_index(&self.buckets, hash.home as usize);
    }

    /// The slots that are likely to belong to the hash, the likeliest first; none is sure to.
    ///
    /// Looks no further than one bucket beyond the first: the rest is for those who search.
    #[inline(always)]
    pub(crate) fn candidates(&self, hash: IdHash) -> impl Iterator<Item = u32> {
        let bucket = &self.buckets[hash.home as usize];
        let mut places = bucket.places_with(hash.tag);
        let mut from = bucket;
        if places.is_empty() && bucket.passed_by != 0 {
            from = &self.buckets[self.after(hash.home as usize)];
            places = from.places_with(hash.tag);
        }
        places.map(|place| from.slots[place])
    }

    /// The slot for which `is_it` says yes, among those inserted with this hash.
    #[inline(always)]
    pub(crate) fn find(&self, hash: IdHash, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let home = hash.home as usize;
        let bucket = &self.buckets[home];
        for place in bucket.places_with(hash.tag) {
            if is_it(bucket.slots[place]) {
                return Some(bucket.slots[place]);
            }
        }
        if bucket.passed_by == 0 { None } else { self.find_beyond(home, hash.tag, is_it) }
    }

    /// Goes on with a search for which `first` was not enough.
    #[inline(never)]
    fn find_beyond(&self, first: usize, tag: u8, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut index = first;
        for _ in 1..self.buckets.len() {
            index = self.after(index);
            let bucket = &self.buckets[index];
            for place in bucket.places_with(tag) {
                if is_it(bucket.slots[place]) {
                    return Some(bucket.slots[place]);
                }
            }
            if bucket.passed_by == 0 {
                return None;
            }
        }
        None
    }

    /// Adds an entry that is not in the table.
    ///
    /// # Panics
    /// If the table is full: whoever owns the records checks their number first.
    #[inline(always)]
    pub(crate) fn insert(&mut self, hash: IdHash, slot: u32) {
        assert!(self.count < self.capacity, "invariant: an id table never exceeds its capacity");
        self.count += 1;
        if !self.buckets[hash.home as usize].take_place(hash.tag, slot) {
            self.insert_beyond(hash, slot);
        }
    }

    /// Goes on with an insert for which the first bucket has no room.
    #[inline(never)]
    fn insert_beyond(&mut self, hash: IdHash, slot: u32) {
        let mut index = hash.home as usize;
        loop {
            self.buckets[index].passed_by += 1;
            index = self.after(index);
            if self.buckets[index].take_place(hash.tag, slot) {
                return;
            }
        }
    }

    /// Takes out the entry that was inserted with this hash and slot.
    ///
    /// # Panics
    /// If there is none: records and table would contradict each other.
    pub(crate) fn remove(&mut self, hash: IdHash, slot: u32) {
        let mut index = hash.home as usize;
        for _ in 0..self.buckets.len() {
            let bucket = &mut self.buckets[index];
            let found = (0..BUCKET_PLACES)
                .find(|place| bucket.tags[*place] == hash.tag && bucket.slots[*place] == slot);
            if let Some(place) = found {
                bucket.tags[place] = FREE;
                bucket.slots[place] = 0;
                self.count -= 1;
                return;
            }
            bucket.passed_by =
                bucket.passed_by.checked_sub(1).expect("invariant: only entries are removed");
            index = self.after(index);
        }
        unreachable!("invariant: only entries are removed");
    }

    #[inline]
    const fn after(&self, index: usize) -> usize {
        if index + 1 == self.buckets.len() { 0 } else { index + 1 }
    }
}

/// Both halves of the product, mixed: every bit of the result depends on every bit of both factors.
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// Spreads a seed, which may be zero, over several keys. Source: the splitmix64 generator.
const fn next_key(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut key = *state;
    key = (key ^ (key >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    key = (key ^ (key >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    key ^ (key >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// The table together with the records that it indexes.
    struct Records {
        table: IdTable,
        ids: Vec<u128>,
    }

    impl Records {
        fn new(capacity: usize, seed: u64) -> Self {
            Self { table: IdTable::new(capacity, seed), ids: Vec::new() }
        }

        fn find(&self, id: u128) -> Option<u32> {
            self.table.find(self.table.hash(id), |slot| self.ids[slot as usize] == id)
        }

        fn push(&mut self, id: u128) {
            self.table.insert(self.table.hash(id), self.ids.len() as u32);
            self.ids.push(id);
        }

        fn pop(&mut self) -> Option<u128> {
            let id = self.ids.pop()?;
            self.table.remove(self.table.hash(id), self.ids.len() as u32);
            Some(id)
        }
    }

    #[test]
    fn a_full_table_finds_all_of_its_ids_and_no_other() {
        let mut records = Records::new(10_000, 3);
        for id in 1..=10_000 {
            records.push(id);
        }
        assert_eq!(records.table.count(), 10_000);
        for id in 1..=10_000u128 {
            assert_eq!(records.find(id), Some(id as u32 - 1));
        }
        assert!((10_001..60_000).all(|id| records.find(id).is_none()));
    }

    #[test]
    fn what_is_taken_out_leaves_no_trace() {
        let mut records = Records::new(1_000, 3);
        for round in 0..3 {
            for id in 1..=1_000 {
                records.push(id << (32 * round));
            }
            while records.pop().is_some() {}
            assert_eq!(records.table.count(), 0);
            assert!(records.table.buckets.iter().all(|bucket| bucket.passed_by == 0));
            assert!(records.table.buckets.iter().all(|bucket| bucket.tags == [FREE; 12]));
        }
    }

    #[test]
    fn entries_that_share_a_hash_are_told_apart_by_their_records() {
        let mut table = IdTable::new(100, 3);
        let hash = table.hash(5);
        for slot in 0..100 {
            table.insert(hash, slot);
        }
        for wanted in 0..100 {
            assert_eq!(table.find(hash, |slot| slot == wanted), Some(wanted));
        }
        assert_eq!(table.find(hash, |_| false), None);
        for slot in (0..100).step_by(2) {
            table.remove(hash, slot);
        }
        for wanted in 0..100 {
            let found = table.find(hash, |slot| slot == wanted);
            assert_eq!(found, (wanted % 2 == 1).then_some(wanted));
        }
    }

    #[test]
    fn ids_with_a_pattern_spread_over_the_buckets() {
        type Pattern = fn(u128) -> u128;
        let patterns: [(&str, Pattern); 8] = [
            ("ascending", |number| number),
            ("shifted by 17", |number| number << 17),
            ("in the high word", |number| number << 64),
            ("shifted by 96", |number| number << 96),
            ("the same in both words", |number| number << 64 | number),
            ("rows and columns", |number| (number % 283) << 64 | number / 283),
            ("time and counter", |number| (1_700_000_000_000 + number / 50) << 80 | number % 50),
            ("descending", |number| u128::MAX - number),
        ];
        for seed in 0..5 {
            for (name, pattern) in patterns {
                let mut records = Records::new(80_000, seed);
                for number in 1..=80_000u128 {
                    records.push(pattern(number));
                }
                let overflown =
                    records.table.buckets.iter().filter(|bucket| bucket.passed_by > 0).count();
                // 1 in 16 is expected of 10,001 buckets filled at random to two thirds, and some for their neighbours.
                assert!(overflown < 1_500, "{overflown} buckets overflow, seed {seed}, ids {name}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_table_finds_what_an_ordered_map_finds(
            seed: u64,
            steps in prop::collection::vec((0..3u8, 0..200u128), 1..400),
        ) {
            let mut records = Records::new(64, seed);
            let mut oracle = BTreeMap::new();
            for (step, id) in steps {
                let is_new = !oracle.contains_key(&id);
                match step {
                    0 | 1 if is_new && records.ids.len() < 64 => {
                        oracle.insert(id, records.ids.len() as u32);
                        records.push(id);
                    }
                    2 => {
                        if let Some(popped) = records.pop() {
                            oracle.remove(&popped);
                        }
                    }
                    _ => {}
                }
                prop_assert_eq!(records.find(id), oracle.get(&id).copied());
                prop_assert_eq!(records.table.count(), oracle.len());
            }
            for id in 0..200 {
                prop_assert_eq!(records.find(id), oracle.get(&id).copied());
            }
        }
    }
}
