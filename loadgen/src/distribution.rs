//! Which accounts take part in a transfer.

use crate::LoadError;
use crate::random::Random;
use crate::zipf::Zipf;
use serde::Serialize;
use std::str::FromStr;

/// How transfers are spread over the accounts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// All accounts alike.
    #[default]
    Uniform,
    /// By Zipf's law with exponent 0.99; the frequent accounts lie scattered among the others.
    Zipf,
    /// One account takes part in every transfer, on either side; the other one is any.
    Hot,
}

impl Distribution {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
            Self::Hot => "hot",
        }
    }
}

impl FromStr for Distribution {
    type Err = LoadError;

    fn from_str(word: &str) -> Result<Self, LoadError> {
        [Self::Uniform, Self::Zipf, Self::Hot]
            .into_iter()
            .find(|distribution| distribution.name() == word)
            .ok_or_else(|| {
                LoadError::Options(format!(
                    "`{word}` is no distribution; write uniform, zipf or hot"
                ))
            })
    }
}

/// Draws accounts by their index, from 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccountDraw {
    distribution: Distribution,
    accounts: u64,
    zipf: Zipf,
    /// Coprime to the number of accounts, so that ranks times this are all indexes, each once.
    scatter: u64,
}

impl AccountDraw {
    /// For at least 2 and at most 2^32 accounts.
    pub(crate) fn new(distribution: Distribution, accounts: u64) -> Self {
        // Near the golden ratio, multiples lie far apart from each other.
        let mut scatter = (accounts as f64 * 0.618_033_988_749_895) as u64 | 1;
        while greatest_common_divisor(scatter, accounts) != 1 {
            scatter += 2;
        }
        Self { distribution, accounts, zipf: Zipf::new(accounts), scatter }
    }

    /// Itself if it is uniform, for loops that are to know it.
    pub(crate) fn as_uniform(&self) -> Option<UniformDraw> {
        let is_uniform = self.distribution == Distribution::Uniform;
        is_uniform.then_some(UniformDraw { accounts: self.accounts })
    }

    /// Two different accounts: who pays, and whom.
    pub(crate) fn pair(&self, random: &mut Random) -> (u64, u64) {
        match self.distribution {
            Distribution::Uniform => UniformDraw { accounts: self.accounts }.pair(random),
            Distribution::Zipf => {
                let debit = self.one(random);
                loop {
                    let credit = self.one(random);
                    if credit != debit {
                        return (debit, credit);
                    }
                }
            }
            Distribution::Hot => {
                let other = 1 + random.below(self.accounts - 1);
                if random.next_u64() >> 63 == 0 { (0, other) } else { (other, 0) }
            }
        }
    }

    /// Any account; the hot one half of the time.
    pub(crate) fn one(&self, random: &mut Random) -> u64 {
        match self.distribution {
            Distribution::Uniform => random.below(self.accounts),
            // Both factors are at most 2^32 and a little.
            Distribution::Zipf => {
                (u128::from(self.zipf.draw(random)) * u128::from(self.scatter)
                    % u128::from(self.accounts)) as u64
            }
            Distribution::Hot => {
                let (debit, _) = self.pair(random);
                debit
            }
        }
    }
}

/// Draws any two different accounts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UniformDraw {
    accounts: u64,
}

impl UniformDraw {
    #[inline]
    pub(crate) const fn pair(self, random: &mut Random) -> (u64, u64) {
        let (debit, others) = random.below_two(self.accounts, self.accounts - 1);
        let credit = debit + 1 + others;
        (debit, if credit >= self.accounts { credit - self.accounts } else { credit })
    }
}

const fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn pairs_are_two_different_accounts_of_the_run() {
        for distribution in [Distribution::Uniform, Distribution::Zipf, Distribution::Hot] {
            for accounts in [2, 3, 10, 1 << 20, 1 << 32] {
                let draw = AccountDraw::new(distribution, accounts);
                let mut random = Random::new(accounts);
                for _ in 0..1_000 {
                    let (debit, credit) = draw.pair(&mut random);
                    assert_ne!(debit, credit, "{distribution:?} over {accounts}");
                    assert!(debit < accounts && credit < accounts);
                    assert!(draw.one(&mut random) < accounts);
                }
            }
        }
    }

    #[test]
    fn the_hot_account_is_in_every_transfer_and_on_both_sides() {
        let draw = AccountDraw::new(Distribution::Hot, 100);
        let mut random = Random::new(4);
        let pairs: Vec<_> = (0..10_000).map(|_| draw.pair(&mut random)).collect();
        assert!(pairs.iter().all(|(debit, credit)| *debit == 0 || *credit == 0));
        let debits = pairs.iter().filter(|(debit, _)| *debit == 0).count();
        assert!((4_500..5_500).contains(&debits), "{debits}");
    }

    #[test]
    fn scattering_gives_every_rank_an_account_of_its_own() {
        for accounts in [2_u64, 3, 4, 10, 97, 1_000, 30_030] {
            let draw = AccountDraw::new(Distribution::Zipf, accounts);
            let mut seen = vec![false; accounts as usize];
            for rank in 0..accounts {
                seen[(rank * draw.scatter % accounts) as usize] = true;
            }
            assert!(seen.into_iter().all(|seen| seen), "{accounts} accounts");
        }
    }

    #[test]
    fn frequent_accounts_are_those_of_the_law() {
        let draw = AccountDraw::new(Distribution::Zipf, 1_000);
        let mut random = Random::new(8);
        let mut counts = BTreeMap::new();
        for _ in 0..100_000 {
            *counts.entry(draw.one(&mut random)).or_insert(0_u32) += 1;
        }
        let (most, count) = counts.iter().max_by_key(|(_, count)| **count).unwrap();
        assert_eq!(*most, 0);
        // 1 / sum of k^-0.99 over 1,000 ranks is 0.1279.
        assert!((12_200..13_400).contains(count), "{count}");
    }
}
