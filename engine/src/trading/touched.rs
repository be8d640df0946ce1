//! The ledgers that a request has moved, so that their sums are compared once, at its end.
//!
//! To compare them right after they were stored would wait for all stores before, at each reservation.

use crate::ledgers::Ledgers;

/// Requests seldom touch more: one instrument has two.
const COUNT_MAX: usize = 8;

/// See the module.
pub(crate) struct Touched {
    slots: [u32; COUNT_MAX],
    count: usize,
}

impl Touched {
    pub(crate) const fn new() -> Self {
        Self { slots: [0; COUNT_MAX], count: 0 }
    }

    /// Notes that sums of a ledger have moved.
    #[inline(always)]
    pub(crate) fn note(&mut self, slot: u32, ledgers: &Ledgers) {
        if self.slots[..self.count].contains(&slot) {
            return;
        }
        if self.count == COUNT_MAX {
            self.assert_balanced(ledgers);
        }
        self.slots[self.count] = slot;
        self.count += 1;
    }

    /// Stops the process rather than let an unbalanced ledger be seen.
    pub(crate) fn assert_balanced(&mut self, ledgers: &Ledgers) {
        for slot in &self.slots[..self.count] {
            let totals = &ledgers.get(*slot).totals;
            assert!(totals.are_balanced(), "invariant: the debits of a ledger equal its credits");
        }
        self.count = 0;
    }
}
