//! The ids of a run's transfers: a pure function of their place in the run, so that nothing has to be remembered.

use crate::LoadError;
use crate::constants::IDS_PER_MILLISECOND;
use crate::random::{Random, mix};
use serde::Serialize;
use std::str::FromStr;

const MILLISECOND_SHIFT: u32 = 80;

/// In which order ids come: what an index of ids finds easy or hard.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IdOrder {
    /// One after the other, without a gap.
    #[default]
    Sequential,
    /// Milliseconds above, random bits below, as ULIDs: ascending, with gaps. The time is that of the run's first id, and
    /// advances by a millisecond for every 1,000 ids.
    Time,
    /// All bits but the first are random.
    Random,
}

impl IdOrder {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::Time => "time",
            Self::Random => "random",
        }
    }
}

impl FromStr for IdOrder {
    type Err = LoadError;

    fn from_str(word: &str) -> Result<Self, LoadError> {
        [Self::Sequential, Self::Time, Self::Random]
            .into_iter()
            .find(|order| order.name() == word)
            .ok_or_else(|| {
                let text = format!("`{word}` is no order of ids; write sequential, time or random");
                LoadError::Options(text)
            })
    }
}

/// Gives the id of every transfer of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids {
    order: IdOrder,
    base: u128,
    millisecond_first: u64,
    key: u64,
}

impl Ids {
    /// Ids that belong to this base: the same base gives the same ids.
    pub(crate) const fn new(order: IdOrder, base: u128) -> Self {
        let millisecond_first = (base >> MILLISECOND_SHIFT) as u64;
        Self { order, base, millisecond_first, key: mix((base >> 64) as u64 ^ mix(base as u64)) }
    }

    /// Itself if it is sequential, for loops that are to know it.
    pub(crate) fn as_sequential(&self) -> Option<SequentialIds> {
        let is_sequential = self.order == IdOrder::Sequential;
        is_sequential.then_some(SequentialIds { base: self.base })
    }

    /// The id of the transfer with this index. Cost: up to two mixings, about 2 ns.
    pub(crate) const fn id(&self, index: u64) -> u128 {
        match self.order {
            IdOrder::Sequential => SequentialIds { base: self.base }.id(index),
            IdOrder::Time => {
                let millisecond = self.millisecond_first + index / IDS_PER_MILLISECOND;
                let mut random = Random::of_part(self.key, millisecond);
                // The top random bit stays clear, so that what is added never reaches the milliseconds.
                let high = (random.next_u64() >> 49) as u128;
                let low = random.next_u64() as u128;
                ((millisecond as u128) << MILLISECOND_SHIFT | high << 64 | low)
                    + (index % IDS_PER_MILLISECOND) as u128
            }
            // Mixing is a bijection, so no two ids share their lower half. The top bit keeps out of the reserved ids, the set
            // one from 0.
            IdOrder::Random => {
                let high = mix(self.key.wrapping_add(mix(index))) >> 1 | 1;
                (high as u128) << 64 | mix(index ^ self.key) as u128
            }
        }
    }
}

/// One id after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SequentialIds {
    base: u128,
}

impl SequentialIds {
    #[inline]
    pub(crate) const fn id(self, index: u64) -> u128 {
        self.base.wrapping_add(index as u128).wrapping_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_wire::limits::id_is_reserved;
    use std::collections::HashSet;

    fn ids(order: IdOrder, base: u128) -> Vec<u128> {
        let ids = Ids::new(order, base);
        (0..200_000).map(|index| ids.id(index)).collect()
    }

    #[test]
    fn ids_of_every_order_are_usable_and_none_comes_twice() {
        for order in [IdOrder::Sequential, IdOrder::Time, IdOrder::Random] {
            for base in [0, 5_000, mizan_client::id()] {
                let ids = ids(order, base);
                assert!(ids.iter().all(|id| *id != 0 && *id != u128::MAX && !id_is_reserved(*id)));
                assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "{order:?} {base}");
            }
        }
    }

    #[test]
    fn sequential_ids_have_no_gaps_and_time_ordered_ones_ascend_with_gaps() {
        let base = mizan_client::id();
        let sequential = ids(IdOrder::Sequential, base);
        assert!(sequential.windows(2).all(|pair| pair[0] + 1 == pair[1]));
        let ordered = ids(IdOrder::Time, base);
        assert!(ordered.is_sorted_by(|a, b| a < b));
        assert_eq!(ordered[0] >> 80, base >> 80);
        assert_eq!(ordered[199_999] >> 80, (base >> 80) + 199);
        assert!(ordered[1_000] - ordered[999] > 1 << 64);
    }

    #[test]
    fn random_ids_are_spread_over_the_whole_space() {
        let ids = ids(IdOrder::Random, mizan_client::id());
        let mut counts = [0; 16];
        for id in &ids {
            counts[(id >> 123) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (12_000..13_000).contains(count)), "{counts:?}");
        let descents = ids.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!((99_000..101_000).contains(&descents), "{descents}");
    }

    #[test]
    fn another_base_gives_other_ids_and_the_same_base_the_same() {
        for order in [IdOrder::Sequential, IdOrder::Time, IdOrder::Random] {
            let (one, other) = (5_u128 << 80, 6_u128 << 80);
            assert_eq!(ids(order, one), ids(order, one));
            let seen: HashSet<u128> = ids(order, one).into_iter().collect();
            assert!(ids(order, other).iter().all(|id| !seen.contains(id)), "{order:?}");
        }
    }
}
