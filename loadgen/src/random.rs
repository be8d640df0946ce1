//! A small generator of random numbers: fast, seeded, the same on every machine. Not for secrets.

/// SplitMix64 (Steele, Lea, Flood 2014): 64 bits of state, passes BigCrush, about 1 ns a number.
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    /// The generator of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The generator of one part of a seeded whole; parts may be made in any order.
    #[must_use]
    pub const fn of_part(seed: u64, part: u64) -> Self {
        Self(mix(seed ^ mix(part.wrapping_add(GOLDEN_GAMMA))))
    }

    /// The next 64 bits.
    #[inline]
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN_GAMMA);
        mix(self.0)
    }

    /// A number below the bound, which is at most 2^32; 0 if the bound is 0. The bias is below 2^-32.
    #[inline]
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.next_u64() as u128 * bound as u128) >> 64) as u64
    }

    /// Two numbers, each below its bound of at most 2^32, from one draw. The bias of either is below 2^-31.
    #[inline]
    pub const fn below_two(&mut self, bound: u64, bound_2: u64) -> (u64, u64) {
        let product = self.next_u64() as u128 * bound as u128;
        // What the first leaves of the draw is at least 32 bits, as evenly spread as the draw itself.
        let product_2 = (product as u64) as u128 * bound_2 as u128;
        ((product >> 64) as u64, (product_2 >> 64) as u64)
    }
}

#[inline]
pub(crate) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_numbers_of_splitmix64_come_out() {
        let mut random = Random::new(1_234_567);
        let numbers = [(); 3].map(|()| random.next_u64());
        let published =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(numbers, published);
    }

    #[test]
    fn two_numbers_of_one_draw_are_even_and_independent() {
        for bound in [10, 1 << 32] {
            let mut random = Random::of_part(8, bound);
            let mut counts = [0_u32; 100];
            for _ in 0..1_000_000 {
                let (first, second) = random.below_two(bound, bound - 1);
                assert!(first < bound && second < bound - 1);
                // Tenths of the range; the second of 9 numbers fills nine of them.
                let (first, second) = (first * 10 / bound, second * 10 / bound);
                counts[(first * 10 + second) as usize] += 1;
            }
            let expected: u32 = if bound == 10 { 11_111 } else { 10_000 };
            for (pair, count) in counts.into_iter().enumerate() {
                let expected = if bound == 10 && pair % 10 == 9 { 0 } else { expected };
                // Five standard deviations of a count of about 10,000.
                assert!(count.abs_diff(expected) <= 530, "bound {bound}, pair {pair}: {count}");
            }
        }
    }

    #[test]
    fn every_number_below_a_small_bound_is_drawn_about_equally_often() {
        let mut random = Random::of_part(7, 9);
        let mut counts = [0; 10];
        for _ in 0..100_000 {
            counts[random.below(10) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }
}
