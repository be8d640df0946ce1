//! Random numbers from a seed, and the values at which arithmetic breaks.

use mizan_wire::limits::TIMESTAMP_MAX;

/// A splitmix64 generator: any seed will do, and a case of a run is repeated without those before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below a bound, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Once in so many times.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// A number that is small, at an edge, next to one, or anything.
    pub(crate) fn edge_u64(&mut self) -> u64 {
        const EDGES: [u64; 9] = [
            0,
            1,
            u32::MAX as u64,
            1 << 32,
            TIMESTAMP_MAX,
            1 << 63,
            u64::MAX,
            u64::MAX / 2 + 1,
            1_000_000_000,
        ];
        match self.below(8) {
            0..4 => self.below(12),
            4 | 5 => self.pick(&EDGES),
            6 => self.pick(&EDGES).wrapping_add(self.below(5)).wrapping_sub(2),
            _ => self.next() >> self.below(64),
        }
    }

    /// As [`Random::edge_u64`], of two words.
    pub(crate) fn edge_u128(&mut self) -> u128 {
        const EDGES: [u128; 9] = [
            1 << 63,
            1 << 64,
            1 << 94,
            1 << 95,
            1 << 126,
            1 << 127,
            u128::MAX,
            (1 << 127) - (1 << 94),
            u128::MAX - (1 << 94),
        ];
        match self.below(8) {
            0..4 => self.below(12).into(),
            4 | 5 => self.pick(&EDGES),
            6 => self.pick(&EDGES).wrapping_add(self.below(5).into()).wrapping_sub(2),
            _ => (u128::from(self.next()) << 64 | u128::from(self.next())) >> self.below(128),
        }
    }
}
