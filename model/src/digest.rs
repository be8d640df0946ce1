//! The digest: a chain over all results, and one account after the other.

use mizan_wire::{Account, DigestRecord};
use std::collections::BTreeMap;

use crate::limits::DIGESTS_REMEMBERED;

const MULTIPLIER: u128 = 0x2545F4914F6CDD1D_9E3779B97F4A7C15;
const FOLD: u128 = 0x9E3779B97F4A7C15_F39CC0605CEDC835;

#[derive(Clone, Copy, Debug)]
struct Remembered {
    digest: u128,
    is_confirmed: bool,
}

/// The running digest, and what it was at the last intervals.
#[derive(Clone, Debug)]
pub(crate) struct Digest {
    value: u128,
    scrub_position: u64,
    /// By sequence.
    remembered: BTreeMap<u64, Remembered>,
}

impl Digest {
    pub(crate) fn new(cluster: u128) -> Self {
        Self { value: cluster, scrub_position: 0, remembered: BTreeMap::new() }
    }

    pub(crate) fn value(&self) -> u128 {
        self.value
    }

    pub(crate) fn absorb(&mut self, word: u128) {
        self.value = (self.value ^ word).wrapping_mul(MULTIPLIER);
        self.value ^= self.value >> 67;
    }

    /// Looks at the next account, if there is any.
    pub(crate) fn scrub(&mut self, accounts: &[Account]) {
        if accounts.is_empty() {
            return;
        }
        let slot = self.scrub_position % accounts.len() as u64;
        self.scrub_position += 1;
        self.absorb(fold(&accounts[slot as usize]));
    }

    pub(crate) fn remember(&mut self, sequence: u64) {
        self.remembered.insert(sequence, Remembered { digest: self.value, is_confirmed: false });
        if self.remembered.len() > DIGESTS_REMEMBERED {
            self.remembered.pop_first();
        }
    }

    /// The digest after an earlier entry, if it is remembered.
    pub(crate) fn at(&self, sequence: u64) -> Option<u128> {
        self.remembered.get(&sequence).map(|remembered| remembered.digest)
    }

    pub(crate) fn confirm(&mut self, sequence: u64) {
        if let Some(remembered) = self.remembered.get_mut(&sequence) {
            remembered.is_confirmed = true;
        }
    }

    /// The newest remembered digest that the log has not confirmed.
    pub(crate) fn due(&self) -> Option<DigestRecord> {
        let newest = self.remembered.iter().rev().find(|(_, remembered)| !remembered.is_confirmed);
        newest.map(|(at_sequence, remembered)| DigestRecord {
            digest: remembered.digest,
            at_sequence: *at_sequence,
            reserved: 0,
        })
    }
}

fn fold(account: &Account) -> u128 {
    let words = [
        account.debits_pending,
        account.debits_posted,
        account.credits_pending,
        account.credits_posted,
        account.id,
        u128::from(account.timestamp)
            | u128::from(account.flags) << 64
            | u128::from(account.ledger) << 96,
    ];
    let mut sum = 0u128;
    for (word, position) in words.into_iter().zip(1u128..) {
        let constant = position.wrapping_mul(FOLD);
        sum = sum.wrapping_add((word ^ constant).wrapping_mul(constant | 1));
    }
    sum
}
