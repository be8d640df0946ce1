//! What the tests of the ring share: seeds, random lengths, deadlines.
// Each test binary uses its own part, and none of it is anybody's interface.
#![allow(dead_code, unreachable_pub)]

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// How long a test may be stuck before it fails. No test asserts that anything is fast.
const STUCK: Duration = Duration::from_secs(60);

/// How long one wait on a signal may take before the deadline is looked at again.
pub const WAIT_SLICE: Duration = Duration::from_secs(1);

/// The seed of a random test, printed so that a failure can be repeated: `MIZAN_SEED`, or a new one.
pub fn seed() -> u64 {
    let seed = match std::env::var("MIZAN_SEED") {
        Ok(text) => text.parse().expect("MIZAN_SEED is a number"),
        // Halved, so that tests may count up from it.
        Err(_) => RandomState::new().hash_one(0) / 2,
    };
    println!("repeat with: MIZAN_SEED={seed} and the same test");
    seed
}

/// Random lengths, xorshift64*: good enough to vary spans.
pub struct Lengths {
    state: u64,
}

impl Lengths {
    pub fn new(seed: u64) -> Self {
        // Spread, so that neighbouring seeds differ at once; odd, because zero would stay zero.
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// A length from 1 to `length_max`.
    pub fn next_up_to(&mut self, length_max: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let mixed = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        (mixed % length_max as u64) as usize + 1
    }
}

/// The end of a test's patience.
pub struct Deadline {
    end: Instant,
}

impl Deadline {
    pub fn new() -> Self {
        Self { end: Instant::now() + STUCK }
    }

    /// Fails the test with `what` if it has been stuck for too long.
    pub fn check(&self, what: impl FnOnce() -> String) {
        assert!(Instant::now() < self.end, "{}", what());
    }
}
