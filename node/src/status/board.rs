//! The board: words in memory, stored by the stages and read by anyone.
//!
//! Invariant: an update that is bracketed by [`Board::update`] has one writer at a time, and a [`glimpse`] that was
//! taken between two updates holds all of one and nothing of the next. Words stored outside of an update stand for
//! themselves.

use super::cluster::NodeRole;
use super::layout::{COUNTERS_VERSION, COUNTERS_WORDS, MAGIC, word};
use mizan_memory::CountersReader;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// How often a glimpse is tried again when an update came between.
const GLIMPSES_MAX: usize = 100;

/// A copy of all words.
pub(crate) struct Glimpse {
    pub(crate) words: Box<[u64; COUNTERS_WORDS]>,
    /// No update came between.
    pub(crate) is_whole: bool,
}

/// Words in this process's memory.
pub(crate) struct Board {
    words: Box<[AtomicU64; COUNTERS_WORDS]>,
}

impl Board {
    /// A board that says only what it is.
    pub(crate) fn new() -> Self {
        let board = Self { words: Box::new([const { AtomicU64::new(0) }; COUNTERS_WORDS]) };
        board.set(word::MAGIC, MAGIC);
        board.set(word::VERSION, COUNTERS_VERSION);
        board.set(word::SIZE, COUNTERS_WORDS as u64);
        board
    }

    /// Stores a word.
    pub(crate) fn set(&self, index: usize, value: u64) {
        self.words[index].store(value, Ordering::Relaxed);
    }

    /// The word as it is now.
    pub(crate) fn get(&self, index: usize) -> u64 {
        self.words[index].load(Ordering::Relaxed)
    }

    /// Adds to a word that one thread stores.
    pub(crate) fn add(&self, index: usize, more: u64) {
        self.set(index, self.get(index).wrapping_add(more));
    }

    /// What the node is now.
    pub(crate) fn role(&self) -> NodeRole {
        NodeRole::from_word(self.get(word::ROLE))
    }

    /// Stores the lower and the upper half of a number.
    pub(crate) fn set_wide(&self, [low, high]: [usize; 2], value: u128) {
        self.set(low, value as u64);
        self.set(high, (value >> 64) as u64);
    }

    /// Lets `store` make an update that readers see as a whole. One thread at a time.
    pub(crate) fn update(&self, store: impl FnOnce(&Self)) {
        update(&*self.words, |_| store(self));
    }

    /// A copy of the words, of one update if that is to be had.
    pub(crate) fn glimpse(&self) -> Glimpse {
        glimpse(&|index| self.get(index))
    }
}

/// As [`Board::update`], on any words.
pub(super) fn update(words: &[AtomicU64], store: impl FnOnce(&[AtomicU64])) {
    let number = words[word::DONE].load(Ordering::Relaxed).wrapping_add(1);
    words[word::BEGUN].store(number, Ordering::Relaxed);
    // Who sees anything of what is stored now also sees that it was begun.
    fence(Ordering::Release);
    store(words);
    words[word::DONE].store(number, Ordering::Release);
}

/// Copies words that others store meanwhile. A writer that died within an update leaves a mixture; so does one that
/// never pauses, which the front is not.
fn glimpse(load: &dyn Fn(usize) -> u64) -> Glimpse {
    let mut words = Box::new([0; COUNTERS_WORDS]);
    for _ in 0..GLIMPSES_MAX {
        let done = load(word::DONE);
        fence(Ordering::Acquire);
        for (index, value) in words.iter_mut().enumerate() {
            *value = load(index);
        }
        fence(Ordering::Acquire);
        if load(word::BEGUN) == done {
            return Glimpse { words, is_whole: true };
        }
        std::thread::yield_now();
    }
    Glimpse { words, is_whole: false }
}

/// A copy of the words of a mapped file.
pub(super) fn glimpse_file(file: &CountersReader) -> Glimpse {
    glimpse(&|index| file.load(index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn a_glimpse_holds_one_update_and_nothing_of_another() {
        let board = Board::new();
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 1..=20_000 {
                    board.update(|board| (100..200).for_each(|index| board.set(index, number)));
                    // As the front, which does other things between two beats.
                    std::thread::yield_now();
                }
                ended.store(true, Ordering::Release);
            });
            let mut seen = 0;
            while !ended.load(Ordering::Acquire) {
                let Glimpse { words, is_whole: true } = board.glimpse() else { continue };
                assert!(words[100..200].iter().all(|value| *value == words[100]));
                assert!(words[100] >= seen, "time went back");
                seen = words[100];
            }
        });
        assert_eq!(board.glimpse().words[199], 20_000);
    }

    #[test]
    fn a_writer_that_died_within_an_update_can_still_be_read() {
        let board = Board::new();
        board.set(word::BEGUN, 7);
        board.set(word::PROCESS, 42);
        let glimpse = board.glimpse();
        assert_eq!((glimpse.is_whole, glimpse.words[word::PROCESS]), (false, 42));
    }
}
