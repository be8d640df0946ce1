//! The accounts: two dense arrays addressed by slots, and the table from ids to slots.
//!
//! What every transfer needs of an account is one cache line: id, flags, ledger, and the low words of its balances.
//! The rest is another, which only reports, imports and balances of 2^64 and more touch.
//!
//! Invariants: slots are given in order of creation, which is also the order of timestamps; a balance is low word plus
//! 2^64 times high word, and an account is marked as wide exactly while one of its high words is not zero.
//!
//! What is absent: the sums of ledgers (see `ledger`), and the removal of any account but the last one.

use crate::id_table::{IdHash, IdTable};
use crate::limits::LEDGER_COUNT_MAX;
use mizan_memory::{prefetch_index, reserve_touched};
use mizan_wire::AccountFlags;
use std::ops::Range;

/// Which of an account's balances.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sum {
    DebitsPending,
    DebitsPosted,
    CreditsPending,
    CreditsPosted,
}

/// Balances of an account, in the smallest unit of its ledger.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Balances {
    pub(crate) debits_pending: u128,
    pub(crate) debits_posted: u128,
    pub(crate) credits_pending: u128,
    pub(crate) credits_posted: u128,
}

/// What is known of an account besides its balances.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
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

/// In [`AccountLine::marks`]: a high word of the balances is not zero.
const WIDE: u16 = 1 << 15;

/// The part of an account that every transfer needs.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct AccountLine {
    pub(crate) id: u128,
    /// The low words of the balances, in the order of [`Sum`].
    pub(crate) low: [u64; 4],
    /// Not needed by transfers; it finds room here.
    user_data_64: u64,
    terms: u32,
    pub(crate) ledger_slot: u16,
    /// The account's flags, and [`WIDE`].
    marks: u16,
}

/// The rest of an account.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct AccountRest {
    /// The high words of the balances, in the order of [`Sum`].
    high: [u64; 4],
    user_data_128: u128,
    timestamp: u64,
    user_data_32: u32,
    code: u16,
}

const _: () = {
    assert!(size_of::<AccountLine>() == 64);
    assert!(size_of::<AccountRest>() == 64);
    assert!(AccountFlags::ALL & WIDE == 0);
    assert!(LEDGER_COUNT_MAX <= u16::MAX as u32);
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

impl AccountLine {
    #[inline(always)]
    pub(crate) const fn flags(&self) -> u16 {
        self.marks & !WIDE
    }

    /// Whether `low` is not all there is of the balances.
    #[inline(always)]
    pub(crate) const fn is_wide(&self) -> bool {
        self.marks & WIDE != 0
    }

    #[inline(always)]
    const fn meta(&self, rest: &AccountRest) -> AccountMeta {
        AccountMeta {
            id: self.id,
            user_data_128: rest.user_data_128,
            user_data_64: self.user_data_64,
            timestamp: rest.timestamp,
            user_data_32: rest.user_data_32,
            ledger_slot: self.ledger_slot as u32,
            terms: self.terms,
            code: rest.code,
            flags: self.flags(),
        }
    }

    #[inline(always)]
    fn balances(&self, high: [u64; 4]) -> Balances {
        let whole =
            |sum: Sum| u128::from(self.low[sum as usize]) | u128::from(high[sum as usize]) << 64;
        Balances {
            debits_pending: whole(Sum::DebitsPending),
            debits_posted: whole(Sum::DebitsPosted),
            credits_pending: whole(Sum::CreditsPending),
            credits_posted: whole(Sum::CreditsPosted),
        }
    }
}

/// See the module.
pub(crate) struct Accounts {
    pub(crate) table: IdTable,
    pub(crate) lines: Vec<AccountLine>,
    rests: Vec<AccountRest>,
    count_max: usize,
}

impl Accounts {
    /// Reserves and touches room for `count_max` accounts: 136 bytes each.
    pub(crate) fn new(count_max: usize, hash_seed: u64) -> Self {
        Self {
            table: IdTable::new(count_max, hash_seed),
            lines: reserve_touched(count_max),
            rests: reserve_touched(count_max),
            count_max,
        }
    }

    pub(crate) const fn count(&self) -> usize {
        self.lines.len()
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.lines.len() >= self.count_max
    }

    /// The slot of the account with this id.
    #[inline]
    pub(crate) fn find(&self, id: u128, hash: IdHash) -> Option<u32> {
        self.table.find(hash, |slot| self.lines[slot as usize].id == id)
    }

    /// As [`Accounts::find`], with a guess from an earlier look into the table.
    #[inline]
    pub(crate) fn find_with_guess(&self, id: u128, hash: IdHash, guess: u32) -> Option<u32> {
        match self.lines.get(guess as usize) {
            Some(line) if line.id == id => Some(guess),
            _ => self.find(id, hash),
        }
    }

    /// Asks for the cache line of an account.
    #[inline(always)]
    pub(crate) fn prefetch(&self, slot: u32) {
        prefetch_index(&self.lines, slot as usize);
    }

    /// Asks for the cache lines that a search of this hash is likely to compare; gives the likeliest slot.
    #[inline(always)]
    pub(crate) fn prefetch_candidates(&self, hash: IdHash) -> Option<u32> {
        let mut candidates = self.table.candidates(hash);
        let first = candidates.next()?;
        self.prefetch(first);
        for other in candidates {
            self.prefetch(other);
        }
        Some(first)
    }

    /// As [`Accounts::prefetch_candidates`], with the rest of the likeliest account.
    #[inline]
    pub(crate) fn prefetch_whole(&self, hash: IdHash) {
        if let Some(slot) = self.prefetch_candidates(hash) {
            prefetch_index(&self.rests, slot as usize);
        }
    }

    #[inline(always)]
    pub(crate) fn line(&self, slot: u32) -> &AccountLine {
        &self.lines[slot as usize]
    }

    #[inline]
    pub(crate) fn id(&self, slot: u32) -> u128 {
        self.line(slot).id
    }

    #[inline]
    pub(crate) fn ledger_slot(&self, slot: u32) -> u32 {
        self.line(slot).ledger_slot.into()
    }

    #[inline]
    pub(crate) fn flags(&self, slot: u32) -> u16 {
        self.line(slot).flags()
    }

    pub(crate) fn set_flags(&mut self, slot: u32, flags: u16) {
        let line = &mut self.lines[slot as usize];
        line.marks = line.marks & WIDE | flags & !WIDE;
    }

    pub(crate) fn timestamp(&self, slot: u32) -> u64 {
        self.rests[slot as usize].timestamp
    }

    /// All of an account but its balances.
    #[inline]
    pub(crate) fn meta(&self, slot: u32) -> AccountMeta {
        self.line(slot).meta(&self.rests[slot as usize])
    }

    #[inline(always)]
    pub(crate) fn balances(&self, slot: u32) -> Balances {
        let line = self.line(slot);
        let high = if line.is_wide() { self.rests[slot as usize].high } else { [0; 4] };
        line.balances(high)
    }

    /// One of an account's balances.
    #[inline(always)]
    pub(crate) fn balance(&self, slot: u32, sum: Sum) -> u128 {
        let line = self.line(slot);
        let high = if line.is_wide() { self.rests[slot as usize].high[sum as usize] } else { 0 };
        u128::from(line.low[sum as usize]) | u128::from(high) << 64
    }

    /// Stops the process rather than let an account be seen outside its limits.
    #[inline(always)]
    pub(crate) fn assert_within_limits(&self, slot: u32) {
        assert!(
            self.balances(slot).are_within(self.flags(slot)),
            "invariant: no account stands outside its limits"
        );
    }

    /// The accounts in these slots, one after the other.
    #[inline(always)]
    pub(crate) fn range(
        &self,
        slots: Range<usize>,
    ) -> impl Iterator<Item = (AccountMeta, Balances)> {
        let both = self.lines[slots.clone()].iter().zip(&self.rests[slots]);
        both.map(|(line, rest)| (line.meta(rest), line.balances(rest.high)))
    }

    /// Stores a balance, and gives what it was.
    #[inline(always)]
    pub(crate) fn replace(&mut self, slot: u32, sum: Sum, after: u128) -> u128 {
        let line = &mut self.lines[slot as usize];
        let low = std::mem::replace(&mut line.low[sum as usize], after as u64);
        let high = (after >> 64) as u64;
        if high == 0 && !line.is_wide() {
            return low.into();
        }
        u128::from(low) | u128::from(self.replace_high(slot, sum, high)) << 64
    }

    #[cold]
    fn replace_high(&mut self, slot: u32, sum: Sum, after: u64) -> u64 {
        let (line, rest) = (&mut self.lines[slot as usize], &mut self.rests[slot as usize]);
        let before = std::mem::replace(&mut rest.high[sum as usize], after);
        let is_wide = rest.high != [0; 4];
        line.marks = if is_wide { line.marks | WIDE } else { line.marks & !WIDE };
        before
    }

    pub(crate) fn push(&mut self, meta: AccountMeta) {
        let slot = self.lines.len() as u32;
        self.table.insert(self.table.hash(meta.id), slot);
        self.lines.push(AccountLine {
            id: meta.id,
            low: [0; 4],
            user_data_64: meta.user_data_64,
            terms: meta.terms,
            ledger_slot: meta.ledger_slot as u16,
            marks: meta.flags & !WIDE,
        });
        self.rests.push(AccountRest {
            high: [0; 4],
            user_data_128: meta.user_data_128,
            timestamp: meta.timestamp,
            user_data_32: meta.user_data_32,
            code: meta.code,
        });
    }

    /// Forgets the account that was created last.
    pub(crate) fn pop(&mut self) -> AccountMeta {
        let last = self.lines.len().checked_sub(1);
        let slot = last.expect("invariant: only a created account is undone") as u32;
        let meta = self.meta(slot);
        self.lines.pop();
        self.rests.pop();
        self.table.remove(self.table.hash(meta.id), slot);
        meta
    }

    /// The highest timestamp of all accounts; 0 if there are none.
    pub(crate) fn timestamp_last(&self) -> u64 {
        self.rests.last().map_or(0, |rest| rest.timestamp)
    }

    pub(crate) fn has_timestamp(&self, timestamp: u64) -> bool {
        self.rests.binary_search_by_key(&timestamp, |rest| rest.timestamp).is_ok()
    }

    /// Whether exactly the accounts with a high word that is not zero are marked as wide.
    pub(crate) fn are_marked(&self) -> bool {
        let mut both = self.lines.iter().zip(&self.rests);
        both.all(|(line, rest)| line.is_wide() == (rest.high != [0; 4]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_account(flags: u16) -> Accounts {
        let mut accounts = Accounts::new(2, 3);
        accounts.push(AccountMeta { id: 5, flags, ..AccountMeta::default() });
        accounts
    }

    #[test]
    fn a_balance_is_stored_and_given_back_whatever_its_size() {
        let mut accounts = one_account(0);
        let sums = [Sum::DebitsPending, Sum::DebitsPosted, Sum::CreditsPending, Sum::CreditsPosted];
        let values = [0, 7, u128::from(u64::MAX), 1 << 64, u128::MAX, 1 << 64 | 9, 3];
        for sum in sums {
            let mut before = 0;
            for value in values {
                assert_eq!(accounts.replace(0, sum, value), before);
                assert!(accounts.are_marked());
                before = value;
            }
        }
        let all =
            Balances { debits_pending: 3, debits_posted: 3, credits_pending: 3, credits_posted: 3 };
        assert_eq!(accounts.balances(0), all);
    }

    #[test]
    fn an_account_is_wide_until_its_last_wide_balance_shrinks() {
        let mut accounts = one_account(0);
        accounts.replace(0, Sum::DebitsPosted, 1 << 64);
        accounts.replace(0, Sum::CreditsPosted, 1 << 100);
        accounts.replace(0, Sum::DebitsPosted, 1);
        assert!(accounts.line(0).is_wide());
        assert_eq!(accounts.balances(0).credits_posted, 1 << 100);
        accounts.replace(0, Sum::CreditsPosted, 2);
        assert!(!accounts.line(0).is_wide());
        assert_eq!(
            (accounts.balances(0).debits_posted, accounts.balances(0).credits_posted),
            (1, 2)
        );
    }

    #[test]
    fn width_and_flags_do_not_disturb_each_other() {
        let mut accounts = one_account(AccountFlags::HISTORY);
        accounts.replace(0, Sum::DebitsPosted, 1 << 64);
        assert_eq!(accounts.flags(0), AccountFlags::HISTORY);
        accounts.set_flags(0, AccountFlags::CLOSED);
        assert_eq!(accounts.flags(0), AccountFlags::CLOSED);
        assert!(accounts.are_marked());
        assert_eq!(accounts.pop().flags, AccountFlags::CLOSED);
    }
}
