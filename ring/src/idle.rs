//! What a stage does between two looks that found nothing: spin a little, yield a little, then block.
//!
//! More spinning threads than cores is ruin: a third spinner on two cores turned a round trip of 160 ns into
//! 8 ms, and two spinners starved the kernel's flush worker. So both phases are counted, never timed, may be
//! of length zero, and at their end the caller is told to block. This module does not block by itself: how to
//! wait (a [`Signal`](crate::Signal), a poll of sockets) is the caller's to know.

use crate::limits::{DEFAULT_SPINS, DEFAULT_YIELDS};
use crate::sync::{spin_loop, yield_now};

/// How patient an idle stage is before it blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleStrategy {
    /// Rounds that only tell the core to relax. Zero is allowed, and right when stages outnumber cores.
    pub spins: u32,
    /// Rounds, after those, that give the rest of the time slice away. Zero is allowed.
    pub yields: u32,
}

impl IdleStrategy {
    /// Blocks in the first idle round.
    pub const BLOCK_AT_ONCE: Self = Self { spins: 0, yields: 0 };
}

impl Default for IdleStrategy {
    fn default() -> Self {
        Self { spins: DEFAULT_SPINS, yields: DEFAULT_YIELDS }
    }
}

/// What the caller has to do after a [`Idle::pause`].
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Look again; the pause has been taken.
    Again,
    /// Patience is used up: prepare to wait, look once more, and block.
    Block,
}

/// The idle rounds of one stage. Not shared: each stage owns one.
#[derive(Clone, Debug)]
pub struct Idle {
    strategy: IdleStrategy,
    spins_left: u32,
    yields_left: u32,
}

impl Idle {
    /// A counter with full patience.
    pub fn new(strategy: IdleStrategy) -> Self {
        Self { strategy, spins_left: strategy.spins, yields_left: strategy.yields }
    }

    /// Restores full patience. To be called when the stage found something to do; costs two stores.
    #[inline]
    pub fn reset(&mut self) {
        self.spins_left = self.strategy.spins;
        self.yields_left = self.strategy.yields;
    }

    /// Takes one idle round: a spin, a yield, or the advice to block.
    ///
    /// The advice repeats until [`Idle::reset`].
    #[inline]
    pub fn pause(&mut self) -> Pause {
        if self.spins_left > 0 {
            self.spins_left -= 1;
            spin_loop();
            Pause::Again
        } else if self.yields_left > 0 {
            self.yields_left -= 1;
            yield_now();
            Pause::Again
        } else {
            Pause::Block
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn idle_rounds_are_bounded_and_start_anew_after_work() {
        let mut idle = Idle::new(IdleStrategy { spins: 2, yields: 3 });
        for _ in 0..2 {
            for _ in 0..5 {
                assert_eq!(idle.pause(), Pause::Again);
            }
            assert_eq!(idle.pause(), Pause::Block);
            assert_eq!(idle.pause(), Pause::Block);
            idle.reset();
        }
    }

    #[test]
    fn a_strategy_without_patience_blocks_at_once() {
        assert_eq!(Idle::new(IdleStrategy::BLOCK_AT_ONCE).pause(), Pause::Block);
    }
}
