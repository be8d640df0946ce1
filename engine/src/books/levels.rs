//! Price levels: a slab of them, and four ladders that keep them sorted: bids, asks, and the stop prices of both sides.
//!
//! A key is the price itself where the highest is best (bids, stops to sell), and its complement where
//! the lowest is best (asks, stops to buy); so all four are the same code.
//!
//! Invariants: a level stands in exactly one ladder, from its first order to its last; keys of a ladder are unique.

use crate::books::ladder::{Chunks, Rung, Rungs, Spot};
use crate::books::limits::NONE;
use mizan_memory::reserve_touched_within;
use mizan_wire::orders::Side;

/// Which of the four ladders.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ladder {
    Bids = 0,
    Asks = 1,
    StopsToBuy = 2,
    StopsToSell = 3,
}

impl Ladder {
    pub(crate) const ALL: [Self; 4] = [Self::Bids, Self::Asks, Self::StopsToBuy, Self::StopsToSell];

    /// Where orders of a side rest.
    #[inline]
    pub(crate) const fn of(side: Side) -> Self {
        match side {
            Side::Buy => Self::Bids,
            Side::Sell => Self::Asks,
        }
    }

    /// Where dormant orders of a side wait.
    pub(crate) const fn of_stops(side: Side) -> Self {
        match side {
            Side::Buy => Self::StopsToBuy,
            Side::Sell => Self::StopsToSell,
        }
    }

    /// The key of a price: the better the price, the higher the key.
    #[inline]
    pub(crate) const fn key(self, price: u64) -> u64 {
        match self {
            Self::Bids | Self::StopsToSell => price,
            Self::Asks | Self::StopsToBuy => !price,
        }
    }
}

/// All orders of a ladder at one price, first come first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    pub(crate) price: u64,
    /// Open lots of its orders.
    pub(crate) quantity: u64,
    pub(crate) head: u32,
    pub(crate) tail: u32,
    pub(crate) count: u32,
    pub(crate) ladder: Ladder,
}

/// See the module.
pub(crate) struct Levels {
    pub(crate) slab: Vec<Level>,
    free: Vec<u32>,
    ladders: [Rungs; 4],
    chunks: Chunks,
    count_max: usize,
}

impl Levels {
    /// Reserves room for `count_max` levels, about 100 bytes each, and touches it as far as `bytes_left` goes.
    pub(crate) fn new(count_max: usize, bytes_left: &mut usize) -> Self {
        Self {
            slab: reserve_touched_within(count_max, bytes_left),
            free: reserve_touched_within(count_max, bytes_left),
            ladders: std::array::from_fn(|_| Rungs::new(count_max, bytes_left)),
            chunks: Chunks::new(count_max, Ladder::ALL.len(), bytes_left),
            count_max,
        }
    }

    #[inline]
    pub(crate) const fn is_full(&self) -> bool {
        self.free.is_empty() && self.slab.len() >= self.count_max
    }

    /// The rungs of a ladder, the best one first.
    pub(crate) fn rungs(&self, ladder: Ladder) -> impl Iterator<Item = Rung> {
        self.ladders[ladder as usize].iter(&self.chunks)
    }

    /// The best rung of a ladder.
    #[inline]
    pub(crate) fn best(&self, ladder: Ladder) -> Option<Rung> {
        self.ladders[ladder as usize].best()
    }

    /// The level at a price, if orders stand there.
    pub(crate) fn find(&self, ladder: Ladder, price: u64) -> Option<u32> {
        let found = self.ladders[ladder as usize].search(&self.chunks, ladder.key(price));
        found.ok().map(|(level, _)| level)
    }

    /// The level at a price; a new and empty one if there was none, which must then get an order at once.
    ///
    /// # Panics
    /// If a new one is needed and there is none: the checks at entry come first.
    #[inline]
    pub(crate) fn find_or_open(&mut self, ladder: Ladder, price: u64) -> u32 {
        match self.ladders[ladder as usize].search(&self.chunks, ladder.key(price)) {
            Ok((level, _)) => level,
            Err(spot) => self.open(ladder, spot, price),
        }
    }

    fn open(&mut self, ladder: Ladder, spot: Spot, price: u64) -> u32 {
        let opened = Level { price, quantity: 0, head: NONE, tail: NONE, count: 0, ladder };
        let level = match self.free.pop() {
            Some(level) => {
                self.slab[level as usize] = opened;
                level
            }
            None => {
                assert!(!self.is_full(), "invariant: levels never exceed their maximum");
                self.slab.push(opened);
                self.slab.len() as u32 - 1
            }
        };
        let rung = Rung { key: ladder.key(price), level };
        self.ladders[ladder as usize].insert(&mut self.chunks, spot, rung);
        level
    }

    /// Takes out a level that has lost its last order.
    ///
    /// # Panics
    /// If it stands in no ladder: levels and ladders would contradict each other.
    pub(crate) fn close(&mut self, level: u32) {
        let Level { price, ladder, .. } = self.slab[level as usize];
        let rungs = &mut self.ladders[ladder as usize];
        let found = rungs.search(&self.chunks, ladder.key(price)).ok();
        let (_, spot) = found.expect("invariant: a level stands in its ladder");
        rungs.remove(&mut self.chunks, spot);
        self.free.push(level);
    }

    /// Whether every level is free or in a ladder, and all ladders are in order.
    pub(crate) fn is_consistent(&self) -> bool {
        let standing: usize = self.ladders.iter().map(Rungs::count).sum();
        standing + self.free.len() == self.slab.len()
            && self.ladders.iter().all(|rungs| rungs.is_consistent(&self.chunks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ladder_ends_with_its_best_price() {
        let mut levels = Levels::new(400, &mut 0);
        let prices = [1, u64::MAX].into_iter().chain((0..98).map(|step| 1_000 + step * 37 % 98));
        for price in prices {
            for ladder in Ladder::ALL {
                let level = levels.find_or_open(ladder, price);
                assert_eq!(levels.find_or_open(ladder, price), level);
            }
        }
        assert!(levels.is_full());
        for (ladder, best) in Ladder::ALL.into_iter().zip([u64::MAX, 1, 1, u64::MAX]) {
            let rung = levels.best(ladder).expect("the ladder has levels");
            assert_eq!(levels.slab[rung.level as usize].price, best);
            levels.close(rung.level);
            assert_eq!(levels.find(ladder, best), None);
        }
        assert!(levels.is_consistent());
        assert_eq!(levels.free.len(), 4);
    }
}
