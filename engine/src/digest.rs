//! The digest: a chain over all results, and a rolling look at the accounts.
//!
//! Two executions of one log have the same digest after every entry, or something is wrong. Beside the results, each
//! executed event makes the digest absorb one account, in turn, so that silent damage to a balance is found within
//! one round of the accounts.
//!
//! What is absent: protection against somebody who wants two logs with one digest.

use crate::accounts::{AccountMeta, Balances};
use crate::ledger::LedgerState;
use crate::limits::DIGESTS_REMEMBERED;
use mizan_wire::{CREATED, DigestRecord, ResultException};
use std::collections::VecDeque;
use std::ops::Range;

/// Source: the multiplier of the xorshift128+ star generators and the golden ratio, joined; odd.
const MULTIPLIER: u128 = 0x2545_F491_4F6C_DD1D_9E37_79B9_7F4A_7C15;
/// Source: the golden ratio in 128 bits.
const FOLD_STEP: u128 = 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835;
const FOLD_WORDS: usize = 6;
const FOLD_KEYS: [u128; FOLD_WORDS] = {
    let mut keys = [0; FOLD_WORDS];
    let mut index = 0;
    while index < FOLD_WORDS {
        keys[index] = FOLD_STEP.wrapping_mul(index as u128 + 1);
        index += 1;
    }
    keys
};

/// A digest that an entry of the log can be compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remembered {
    pub(crate) record: DigestRecord,
    is_confirmed: bool,
}

/// See the module.
pub(crate) struct DigestChain {
    value: u128,
    scrub_position: u64,
    /// The slot of that position among `scrub_count` accounts, so that it need not be divided again.
    scrub_slot: usize,
    scrub_count: usize,
    interval: u64,
    remembered: VecDeque<Remembered>,
    /// The newest that no entry has confirmed: asked for after every entry.
    due: Option<DigestRecord>,
}

impl DigestChain {
    pub(crate) fn new(cluster: u128, interval: u32) -> Self {
        Self {
            value: cluster,
            scrub_position: 0,
            scrub_slot: 0,
            scrub_count: 0,
            interval: interval.into(),
            remembered: VecDeque::with_capacity(DIGESTS_REMEMBERED + 1),
            due: None,
        }
    }

    pub(crate) const fn value(&self) -> u128 {
        self.value
    }

    #[inline]
    pub(crate) const fn absorb(&mut self, word: u128) {
        self.value = absorbed(self.value, word);
    }

    /// Absorbs the results of a batch, of which `exceptions` are those not created at their own number.
    pub(crate) fn absorb_results(
        &mut self,
        first: u64,
        event_count: u32,
        exceptions: &[ResultException],
    ) {
        let mut next = 0;
        for exception in exceptions {
            self.absorb_created(first, next..exception.index);
            let ResultException { timestamp, index, status } = *exception;
            self.absorb(result_word(timestamp, status, index));
            next = exception.index + 1;
        }
        self.absorb_created(first, next..event_count);
    }

    fn absorb_created(&mut self, first: u64, indexes: Range<u32>) {
        // Each step waits for the one before it: not for memory, too.
        let mut value = self.value;
        for index in indexes {
            value = absorbed(value, result_word(first + u64::from(index), CREATED, index));
        }
        self.value = value;
    }

    /// Absorbs `count` accounts, one after the other, round and round.
    pub(crate) fn scrub(&mut self, ledger: &LedgerState, count: u32) {
        let account_count = ledger.accounts.count();
        if account_count == 0 {
            return;
        }
        if account_count != self.scrub_count {
            self.scrub_count = account_count;
            self.scrub_slot = (self.scrub_position % account_count as u64) as usize;
        }
        let mut slot = self.scrub_slot;
        let mut left = count as usize;
        while left > 0 {
            let end = account_count.min(slot + left);
            left -= end - slot;
            let mut value = self.value;
            for (meta, balances) in ledger.accounts.range(slot..end) {
                let number = ledger.ledgers.number(meta.ledger_slot);
                value = absorbed(value, fold(&meta, &balances, number));
            }
            self.value = value;
            slot = if end == account_count { 0 } else { end };
        }
        self.scrub_slot = slot;
        let (position, has_wrapped) = self.scrub_position.overflowing_add(count.into());
        self.scrub_position = position;
        if has_wrapped {
            self.scrub_count = 0;
        }
    }

    /// Remembers the digest if the entry just finished is one of those to be compared later.
    pub(crate) fn remember(&mut self, sequence: u64) {
        if !sequence.is_multiple_of(self.interval) {
            return;
        }
        if self.remembered.len() == DIGESTS_REMEMBERED {
            self.remembered.pop_front();
        }
        let record = DigestRecord { digest: self.value, at_sequence: sequence, reserved: 0 };
        self.remembered.push_back(Remembered { record, is_confirmed: false });
        self.due = Some(record);
    }

    /// The digest of a sequence, if it is remembered.
    pub(crate) fn find(&self, at_sequence: u64) -> Option<u128> {
        let found = self.remembered.iter().find(|known| known.record.at_sequence == at_sequence);
        found.map(|known| known.record.digest)
    }

    /// An entry of the log has confirmed the digest of this sequence.
    pub(crate) fn confirm(&mut self, at_sequence: u64) {
        for known in &mut self.remembered {
            known.is_confirmed |= known.record.at_sequence == at_sequence;
        }
        let newest = self.remembered.iter().rev().find(|known| !known.is_confirmed);
        self.due = newest.map(|known| known.record);
    }

    /// The newest digest that no entry has confirmed yet.
    pub(crate) const fn due(&self) -> Option<DigestRecord> {
        self.due
    }
}

/// The digest after one more word.
#[inline(always)]
const fn absorbed(value: u128, word: u128) -> u128 {
    let mixed = (value ^ word).wrapping_mul(MULTIPLIER);
    mixed ^ (mixed >> 67)
}

/// One word for a result.
#[inline(always)]
const fn result_word(timestamp: u64, status: u32, index: u32) -> u128 {
    timestamp as u128 | (status as u128) << 64 | (index as u128) << 96
}

/// One word for everything about an account that changes, and what tells it from others.
#[inline(always)]
fn fold(meta: &AccountMeta, balances: &Balances, number: u32) -> u128 {
    let last = u128::from(meta.timestamp) | u128::from(meta.flags) << 64 | u128::from(number) << 96;
    let words = [
        balances.debits_pending,
        balances.debits_posted,
        balances.credits_pending,
        balances.credits_posted,
        meta.id,
        last,
    ];
    words
        .iter()
        .zip(&FOLD_KEYS)
        .fold(0u128, |sum, (word, key)| sum.wrapping_add((word ^ key).wrapping_mul(key | 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_due_until_the_log_has_confirmed_it() {
        let mut chain = DigestChain::new(1, 2);
        chain.remember(1);
        assert_eq!(chain.due(), None);
        chain.remember(2);
        chain.absorb(5);
        chain.remember(4);
        assert_eq!(chain.due().map(|record| record.at_sequence), Some(4));
        assert_eq!(chain.find(2), Some(1));
        chain.confirm(4);
        assert_eq!(chain.due().map(|record| record.at_sequence), Some(2));
        chain.confirm(2);
        assert_eq!(chain.due(), None);
        assert_eq!(chain.find(4), Some(chain.value()));
    }

    #[test]
    fn the_oldest_digest_is_forgotten_first() {
        let mut chain = DigestChain::new(1, 1);
        for sequence in 1..=65 {
            chain.remember(sequence);
        }
        assert_eq!((chain.find(1), chain.find(2), chain.find(65)), (None, Some(1), Some(1)));
    }

    #[test]
    fn results_that_are_exceptions_are_absorbed_in_their_place() {
        let exception = ResultException { timestamp: 9, index: 1, status: 46 };
        let mut chain = DigestChain::new(1, 1);
        chain.absorb_results(100, 3, &[exception]);
        let mut oracle = DigestChain::new(1, 1);
        for word in [
            100 | u128::from(u32::MAX) << 64,
            9 | 46 << 64 | 1 << 96,
            102 | u128::from(u32::MAX) << 64 | 2 << 96,
        ] {
            oracle.absorb(word);
        }
        assert_eq!(chain.value(), oracle.value());
    }
}
