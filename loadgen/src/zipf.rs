//! Ranks by Zipf's law with exponent 0.99, exactly, at a few nanoseconds each and without tables.
//!
//! Source: Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions",
//! 1996. With this exponent the inverse of the integral is a power of 100, so a draw needs no logarithm.
//!
//! What is absent: any other exponent; the field measures with 0.99.

use crate::random::Random;

/// The exponent: rank k is drawn with a probability proportional to 1 / k^0.99.
pub const THETA: f64 = 0.99;
const ONE_MINUS_THETA: f64 = 0.01;

/// A source of ranks from 0 to `count - 1`; 0 is the most frequent.
#[derive(Clone, Copy, Debug)]
pub struct Zipf {
    count: u64,
    integral_first: f64,
    integral_last: f64,
    /// Nearer to its rank than this, a point is accepted without a look at the curve.
    shortcut: f64,
}

impl Zipf {
    /// The law over so many ranks, at least 1.
    #[must_use]
    pub fn new(count: u64) -> Self {
        let count = count.max(1);
        Self {
            count,
            integral_first: integral(1.5) - 1.0,
            integral_last: integral(count as f64 + 0.5),
            shortcut: 2.0 - inverse(integral(2.5) - density(2.0)),
        }
    }

    /// The next rank, from 0.
    pub fn draw(&self, random: &mut Random) -> u64 {
        loop {
            let unit = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
            let area = self.integral_last + unit * (self.integral_first - self.integral_last);
            let point = inverse(area);
            let rank = ((point + 0.5) as u64).clamp(1, self.count);
            let place = rank as f64;
            if place - point <= self.shortcut || area >= integral(place + 0.5) - density(place) {
                return rank - 1;
            }
        }
    }
}

fn density(place: f64) -> f64 {
    place.powf(-THETA)
}

/// The density's integral, up to a constant: (x^0.01 - 1) / 0.01.
fn integral(place: f64) -> f64 {
    (place.powf(ONE_MINUS_THETA) - 1.0) / ONE_MINUS_THETA
}

/// The integral's inverse: (1 + y / 100)^100, by squaring (100 = 64 + 32 + 4).
fn inverse(area: f64) -> f64 {
    let power_1 = 1.0 + area * ONE_MINUS_THETA;
    let power_2 = power_1 * power_1;
    let power_4 = power_2 * power_2;
    let power_8 = power_4 * power_4;
    let power_16 = power_8 * power_8;
    let power_32 = power_16 * power_16;
    power_32 * power_32 * power_32 * power_4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rank_is_drawn_as_often_as_the_law_says() {
        const DRAWS: u64 = 1_000_000;
        for (count, seed) in [(2, 1), (10, 2), (1_000, 3)] {
            let zipf = Zipf::new(count);
            let mut random = Random::new(seed);
            let mut counts = vec![0_u64; count as usize];
            for _ in 0..DRAWS {
                counts[zipf.draw(&mut random) as usize] += 1;
            }
            let total: f64 = (1..=count).map(|rank| density(rank as f64)).sum();
            let mut chi_square = 0.0;
            for (rank, counted) in (1..).zip(&counts) {
                let expected = DRAWS as f64 * density(f64::from(rank)) / total;
                let deviation = (*counted as f64 - expected) / expected.sqrt();
                assert!(deviation.abs() < 5.0, "Zipf::new({count}), seed {seed}, rank {rank}");
                chi_square += deviation * deviation;
            }
            // Mean n - 1, standard deviation sqrt(2 (n - 1)).
            let freedom = (count - 1) as f64;
            let bound = freedom + 5.0 * (2.0 * freedom).sqrt();
            assert!(chi_square < bound, "Zipf::new({count}), seed {seed}: {chi_square}");
        }
    }

    #[test]
    fn the_largest_population_is_drawn_from_end_to_end() {
        let zipf = Zipf::new(1 << 32);
        let mut random = Random::new(5);
        let ranks: Vec<u64> = (0..100_000).map(|_| zipf.draw(&mut random)).collect();
        assert!(ranks.iter().all(|rank| *rank < 1 << 32));
        assert!(ranks.iter().any(|rank| *rank > 1 << 31) && ranks.contains(&0));
    }

    #[test]
    fn a_population_of_one_is_always_the_one() {
        let mut random = Random::new(5);
        assert!((0..100).all(|_| Zipf::new(1).draw(&mut random) == 0));
    }
}
