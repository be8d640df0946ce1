//! Of what sorts the requests of a run are, and in which proportion.

use crate::LoadError;
use crate::random::Random;
use std::fmt;
use std::str::FromStr;

/// Weights of the sorts of requests; any numbers, of which only the proportion matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mix {
    /// Single-phase transfers.
    pub transfers: u32,
    /// A batch of holds, and behind it one that posts, posts in part or voids them; one hold of eight stays open.
    pub two_phase: u32,
    /// Linked chains of four transfers, of which one in eight fails as a whole on purpose.
    pub chains: u32,
    /// Lookups of accounts.
    pub lookups: u32,
}

/// What a batch is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BatchKind {
    /// Single-phase transfers.
    Transfers,
    /// Pending transfers.
    Holds,
    /// What posts or voids the holds of the batch before.
    Resolutions,
    /// Linked chains.
    Chains,
    /// Lookups of accounts.
    Lookups,
}

const NAMES: [&str; 4] = ["transfers", "two-phase", "chains", "lookups"];

impl Default for Mix {
    /// Nothing but single-phase transfers.
    fn default() -> Self {
        Self { transfers: 100, two_phase: 0, chains: 0, lookups: 0 }
    }
}

impl Mix {
    const fn weights(&self) -> [u32; 4] {
        [self.transfers, self.two_phase, self.chains, self.lookups]
    }

    fn total(&self) -> u64 {
        self.weights().into_iter().map(u64::from).sum()
    }

    /// What this batch is. Two batches that follow each other are of one sort, because resolutions follow their holds.
    pub(crate) fn kind(&self, seed: u64, batch_index: u64) -> BatchKind {
        if self.two_phase | self.chains | self.lookups == 0 {
            return BatchKind::Transfers;
        }
        let total = self.total();
        // A seed of its own, so that contents do not depend on the sort.
        let mut drawn = Random::of_part(!seed, batch_index / 2).below(total);
        for (weight, sort) in self.weights().into_iter().zip(0..) {
            if drawn < u64::from(weight) {
                return match (sort, batch_index % 2) {
                    (0, _) => BatchKind::Transfers,
                    (1, 0) => BatchKind::Holds,
                    (1, _) => BatchKind::Resolutions,
                    (2, _) => BatchKind::Chains,
                    _ => BatchKind::Lookups,
                };
            }
            drawn -= u64::from(weight);
        }
        BatchKind::Transfers
    }

    pub(crate) fn check(&self) -> Result<(), LoadError> {
        match self.total() {
            0 => Err(LoadError::Options("a mix needs a weight above 0".to_owned())),
            total if total > 1 << 32 => {
                Err(LoadError::Options("the weights of a mix exceed 2^32 together".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

impl FromStr for Mix {
    type Err = LoadError;

    /// Reads `transfers=80,two-phase=10,chains=5,lookups=5`; what is not named has weight 0.
    fn from_str(text: &str) -> Result<Self, LoadError> {
        let mut weights = [None; 4];
        for part in text.split(',') {
            let refuse = || {
                let names = NAMES.join(", ");
                let text = format!("`{part}` is no part of a mix; write NAME=WEIGHT with {names}");
                LoadError::Options(text)
            };
            let (name, weight) = part.split_once('=').ok_or_else(refuse)?;
            let place = NAMES.iter().position(|known| *known == name).ok_or_else(refuse)?;
            let weight = weight.parse::<u32>().map_err(|_| refuse())?;
            if weights[place].replace(weight).is_some() {
                return Err(LoadError::Options(format!("`{name}` stands twice in the mix")));
            }
        }
        let [transfers, two_phase, chains, lookups] = weights.map(Option::unwrap_or_default);
        let mix = Self { transfers, two_phase, chains, lookups };
        mix.check()?;
        Ok(mix)
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = NAMES.into_iter().zip(self.weights()).filter(|(_, weight)| *weight > 0);
        let parts: Vec<String> = parts.map(|(name, weight)| format!("{name}={weight}")).collect();
        formatter.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_read_as_it_is_written() {
        let mix: Mix = "transfers=80,two-phase=10,chains=5,lookups=5".parse().unwrap();
        assert_eq!(mix, Mix { transfers: 80, two_phase: 10, chains: 5, lookups: 5 });
        assert_eq!(mix.to_string().parse::<Mix>().unwrap(), mix);
        assert_eq!("chains=1".parse::<Mix>().unwrap().weights(), [0, 0, 1, 0]);
        for text in
            ["", "transfers", "transfers=0", "transfers=-1", "orders=5", "chains=1,chains=2"]
        {
            assert!(text.parse::<Mix>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn sorts_come_in_their_proportion_and_in_pairs() {
        let mix: Mix = "transfers=80,two-phase=10,chains=5,lookups=5".parse().unwrap();
        let kinds: Vec<BatchKind> = (0..40_000).map(|index| mix.kind(3, index)).collect();
        let share = |kind| kinds.iter().filter(|found| **found == kind).count();
        assert!((31_000..33_000).contains(&share(BatchKind::Transfers)));
        assert!((1_700..2_300).contains(&share(BatchKind::Holds)));
        assert_eq!(share(BatchKind::Holds), share(BatchKind::Resolutions));
        assert!((1_700..2_300).contains(&share(BatchKind::Chains)));
        assert!((1_700..2_300).contains(&share(BatchKind::Lookups)));
        for pair in kinds.chunks(2) {
            assert_eq!(pair[0] == BatchKind::Holds, pair[1] == BatchKind::Resolutions);
        }
    }
}
