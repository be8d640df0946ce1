//! The ledgers in use: their registration, and the sums of all balances of their accounts.
//!
//! A ledger has a slot as soon as it is registered or an account uses it. Slots are given in order of first use; an
//! index sorted by number serves searches and reports. The sums move with every stored balance, by what it really
//! changed by, so that debits and credits that differ show an error in the balances themselves.
//!
//! What is absent: codes (see `registry`), and any notion of exchange between ledgers.

use crate::accounts::{Balances, Sum};
use mizan_memory::reserve_touched;
use mizan_wire::{CreateLedger, TrialBalanceRow, Wide};

/// The sums of one ledger.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct LedgerTotals {
    pub(crate) debits_pending: Wide,
    pub(crate) debits_posted: Wide,
    pub(crate) credits_pending: Wide,
    pub(crate) credits_posted: Wide,
}

impl LedgerTotals {
    #[inline(always)]
    pub(crate) const fn total_mut(&mut self, sum: Sum) -> &mut Wide {
        match sum {
            Sum::DebitsPending => &mut self.debits_pending,
            Sum::DebitsPosted => &mut self.debits_posted,
            Sum::CreditsPending => &mut self.credits_pending,
            Sum::CreditsPosted => &mut self.credits_posted,
        }
    }

    /// Follows the change of one balance.
    #[inline(always)]
    pub(crate) fn follow(&mut self, sum: Sum, before: u128, after: u128) {
        let total = self.total_mut(sum);
        if after >= before {
            total.add(after - before);
        } else {
            total.subtract(before - after);
        }
    }

    /// Adds all balances of an account.
    pub(crate) fn add(&mut self, balances: &Balances) {
        self.debits_pending.add(balances.debits_pending);
        self.debits_posted.add(balances.debits_posted);
        self.credits_pending.add(balances.credits_pending);
        self.credits_posted.add(balances.credits_posted);
    }

    /// Whether debits equal credits, modulo 2^128.
    #[inline]
    pub(crate) const fn are_balanced(&self) -> bool {
        self.debits_pending.low == self.credits_pending.low
            && self.debits_posted.low == self.credits_posted.low
    }
}

/// One ledger in use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ledger {
    pub(crate) totals: LedgerTotals,
    pub(crate) account_count: u64,
    pub(crate) number: u32,
    pub(crate) registered: Option<CreateLedger>,
}

/// See the module.
pub(crate) struct Ledgers {
    entries: Vec<Ledger>,
    /// Numbers alone, for those who need nothing else of an account's ledger.
    numbers: Vec<u32>,
    /// Slots in the order of their ledgers' numbers.
    sorted: Vec<u32>,
    /// The ledger whose sums have moved and were not compared since.
    unchecked: Option<u32>,
    count_max: usize,
}

impl Ledgers {
    pub(crate) fn new(count_max: usize) -> Self {
        Self {
            entries: reserve_touched(count_max),
            numbers: reserve_touched(count_max),
            sorted: reserve_touched(count_max),
            unchecked: None,
            count_max,
        }
    }

    pub(crate) const fn count(&self) -> usize {
        self.entries.len()
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.entries.len() >= self.count_max
    }

    pub(crate) fn find(&self, number: u32) -> Option<u32> {
        let index = self.position(number).ok()?;
        Some(self.sorted[index])
    }

    /// Gives a slot to a ledger that has none.
    ///
    /// # Panics
    /// If all slots are taken or the ledger has one: callers check both first.
    pub(crate) fn open(&mut self, number: u32) -> u32 {
        assert!(!self.is_full(), "invariant: ledgers never exceed their maximum");
        let index = self.position(number).expect_err("invariant: a ledger is opened once");
        let slot = self.entries.len() as u32;
        let totals = LedgerTotals::default();
        self.entries.push(Ledger { totals, account_count: 0, number, registered: None });
        self.numbers.push(number);
        self.sorted.insert(index, slot);
        slot
    }

    /// Takes back the slot that was given last, of a ledger without accounts.
    pub(crate) fn close_last(&mut self) {
        let ledger = self.entries.pop().expect("invariant: only an opened ledger is closed");
        assert!(ledger.account_count == 0 && ledger.registered.is_none());
        self.numbers.pop();
        let index = self.sorted.partition_point(|slot| {
            self.numbers.get(*slot as usize).is_some_and(|other| *other < ledger.number)
        });
        self.sorted.remove(index);
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32) -> &Ledger {
        &self.entries[slot as usize]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32) -> &mut Ledger {
        &mut self.entries[slot as usize]
    }

    /// Has the sums of a ledger compared by the next [`Ledgers::assert_balanced`], or before another ledger's move.
    ///
    /// To compare sums right after they were stored, for each transfer, would wait for all stores before them.
    #[inline(always)]
    pub(crate) fn check_later(&mut self, slot: u32) {
        if self.unchecked != Some(slot) {
            self.assert_balanced();
            self.unchecked = Some(slot);
        }
    }

    /// Stops the process rather than let an unbalanced ledger be seen.
    pub(crate) fn assert_balanced(&mut self) {
        if let Some(slot) = self.unchecked.take() {
            let totals = &self.get(slot).totals;
            assert!(totals.are_balanced(), "invariant: the debits of a ledger equal its credits");
        }
    }

    #[inline]
    pub(crate) fn number(&self, slot: u32) -> u32 {
        self.numbers[slot as usize]
    }

    /// All ledgers in use, ascending by number.
    pub(crate) fn ascending(&self) -> impl Iterator<Item = &Ledger> {
        self.sorted.iter().map(|slot| self.get(*slot))
    }

    fn position(&self, number: u32) -> Result<usize, usize> {
        self.sorted.binary_search_by_key(&number, |slot| self.numbers[*slot as usize])
    }
}

impl Ledger {
    /// The ledger's row of a trial balance.
    pub(crate) fn row(&self) -> TrialBalanceRow {
        TrialBalanceRow {
            debits_pending: self.totals.debits_pending,
            debits_posted: self.totals.debits_posted,
            credits_pending: self.totals.credits_pending,
            credits_posted: self.totals.credits_posted,
            account_count: self.account_count,
            ledger: self.number,
            scale: self.registered.map_or(0, |registered| registered.scale),
            registered: u8::from(self.registered.is_some()),
            currency: self.registered.map_or([0; 12], |registered| registered.currency),
            ..TrialBalanceRow::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(ledgers: &Ledgers) -> Vec<u32> {
        ledgers.ascending().map(|ledger| ledger.number).collect()
    }

    #[test]
    fn ledgers_are_reported_in_order_and_forgotten_in_reverse() {
        let mut ledgers = Ledgers::new(4);
        for number in [50, 10, 70, 30] {
            ledgers.open(number);
        }
        assert!(ledgers.is_full());
        assert_eq!(numbers(&ledgers), [10, 30, 50, 70]);
        assert_eq!(ledgers.find(70), Some(2));
        ledgers.close_last();
        ledgers.close_last();
        assert_eq!(numbers(&ledgers), [10, 50]);
        assert_eq!((ledgers.find(30), ledgers.find(70)), (None, None));
        assert_eq!(ledgers.open(20), 2);
        assert_eq!(numbers(&ledgers), [10, 20, 50]);
    }

    #[test]
    #[should_panic = "the debits of a ledger equal its credits"]
    fn a_ledger_that_is_to_be_compared_is_compared_before_the_next_one() {
        let mut ledgers = Ledgers::new(2);
        let (one, other) = (ledgers.open(1), ledgers.open(2));
        ledgers.get_mut(one).totals.debits_posted.add(5);
        ledgers.check_later(one);
        ledgers.check_later(other);
    }

    #[test]
    fn sums_beyond_128_bits_stay_exact() {
        let mut totals = LedgerTotals::default();
        totals.follow(Sum::DebitsPosted, 0, u128::MAX);
        totals.add(&Balances { debits_posted: u128::MAX, ..Balances::default() });
        assert_eq!(totals.debits_posted, Wide { low: u128::MAX - 1, high: 1 });
        assert!(!totals.are_balanced());
        totals.follow(Sum::DebitsPosted, u128::MAX, 0);
        totals.follow(Sum::DebitsPosted, u128::MAX, 0);
        assert_eq!(totals, LedgerTotals::default());
    }
}
