//! The accounts: two dense arrays addressed by slots, and the table from ids to slots.
//!
//! Invariants: slots are given in order of creation, which is also the order of timestamps; the four balances of an
//! account share one cache line, everything else about it shares another.
//!
//! What is absent: the sums of ledgers (see `ledger`), and the removal of any account but the last one.

use crate::id_table::{IdHash, IdTable};
use mizan_memory::{prefetch_index, reserve_touched};
use mizan_wire::AccountFlags;

/// Balances of an account, in the smallest unit of its ledger.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Balances {
    pub(crate) debits_pending: u128,
    pub(crate) debits_posted: u128,
    pub(crate) credits_pending: u128,
    pub(crate) credits_posted: u128,
}

/// What is known of an account besides its balances.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct AccountMeta {
    pub(crate) id: u128,
    pub(crate) user_data_128: u128,
    pub(crate) user_data_64: u64,
    pub(crate) timestamp: u64,
    pub(crate) user_data_32: u32,
    /// Where the ledger's number and sums stand.
    pub(crate) ledger_slot: u32,
    /// Where the account's own terms stand; 0 is a plain account.
    pub(crate) terms: u32,
    pub(crate) code: u16,
    pub(crate) flags: u16,
}

const _: () = {
    assert!(size_of::<Balances>() == 64);
    assert!(size_of::<AccountMeta>() == 64);
};

impl Balances {
    /// Whether the balances lie within what the flags allow.
    #[inline(always)]
    pub(crate) fn are_within(&self, flags: u16) -> bool {
        const LIMITS: u16 = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS
            | AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS;
        if flags & LIMITS == 0 {
            return true;
        }
        let is_within = |pending: u128, posted: u128, cover: u128| {
            pending.checked_add(posted).is_some_and(|total| total <= cover)
        };
        let debits_fit = flags & AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS == 0
            || is_within(self.debits_pending, self.debits_posted, self.credits_posted);
        let credits_fit = flags & AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS == 0
            || is_within(self.credits_pending, self.credits_posted, self.debits_posted);
        debits_fit && credits_fit
    }
}

/// See the module.
pub(crate) struct Accounts {
    pub(crate) table: IdTable,
    pub(crate) balances: Vec<Balances>,
    pub(crate) meta: Vec<AccountMeta>,
    count_max: usize,
}

impl Accounts {
    /// Reserves and touches room for `count_max` accounts: 136 bytes each.
    pub(crate) fn new(count_max: usize, hash_seed: u64) -> Self {
        Self {
            table: IdTable::new(count_max, hash_seed),
            balances: reserve_touched(count_max),
            meta: reserve_touched(count_max),
            count_max,
        }
    }

    pub(crate) const fn count(&self) -> usize {
        self.meta.len()
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.meta.len() >= self.count_max
    }

    /// The slot of the account with this id.
    #[inline]
    pub(crate) fn find(&self, id: u128, hash: IdHash) -> Option<u32> {
        self.table.find(hash, |slot| self.meta[slot as usize].id == id)
    }

    /// As [`Accounts::find`], with a guess from an earlier look into the table.
    #[inline]
    pub(crate) fn find_with_guess(&self, id: u128, hash: IdHash, guess: u32) -> Option<u32> {
        match self.meta.get(guess as usize) {
            Some(meta) if meta.id == id => Some(guess),
            _ => self.find(id, hash),
        }
    }

    /// Asks for both cache lines of an account.
    #[inline]
    pub(crate) fn prefetch(&self, slot: u32) {
        prefetch_index(&self.balances, slot as usize);
        prefetch_index(&self.meta, slot as usize);
    }

    pub(crate) fn push(&mut self, meta: AccountMeta) {
        let slot = self.meta.len() as u32;
        self.table.insert(self.table.hash(meta.id), slot);
        self.meta.push(meta);
        self.balances.push(Balances::default());
    }

    /// Forgets the account that was created last.
    pub(crate) fn pop(&mut self) -> AccountMeta {
        let meta = self.meta.pop().expect("invariant: only a created account is undone");
        self.balances.pop();
        self.table.remove(self.table.hash(meta.id), self.meta.len() as u32);
        meta
    }

    /// The highest timestamp of all accounts; 0 if there are none.
    pub(crate) fn timestamp_last(&self) -> u64 {
        self.meta.last().map_or(0, |meta| meta.timestamp)
    }

    pub(crate) fn has_timestamp(&self, timestamp: u64) -> bool {
        self.meta.binary_search_by_key(&timestamp, |meta| meta.timestamp).is_ok()
    }
}
