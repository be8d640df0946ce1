//! Triggered stops that wait because the looks of an entry were spent, and when they go on.

use crate::ledger::Ledger;
use crate::trading::{Market, Step, Trading};
use mizan_wire::limits::LOOKS_PER_MATCH;
use mizan_wire::orders::{Side, TradingState};

impl Trading {
    /// Whether any wait.
    pub(crate) fn has_waiting(&self) -> bool {
        self.markets.values().any(|market| market.book.is_waiting())
    }

    pub(crate) fn instrument_count(&self) -> u64 {
        self.markets.len() as u64
    }

    /// Whether a tick would go on with some.
    pub(crate) fn is_due(&self, ledger: &Ledger) -> bool {
        self.markets.values().any(|market| self.can_go_on(ledger, market, self.looks_max))
    }

    fn can_go_on(&self, ledger: &Ledger, market: &Market, looks: u64) -> bool {
        let book = &market.book;
        let sides = [Side::Buy, Side::Sell];
        let standing: usize =
            sides.iter().map(|side| book.resting(*side).len() + book.dormant(*side).len()).sum();
        let orders = (standing + book.waiting().len()) as u64;
        let trades = (2 * orders).min(looks / u64::from(LOOKS_PER_MATCH));
        book.is_waiting()
            && book.state == TradingState::Open
            && looks > 0
            && self.room(ledger) >= 4 * trades
    }

    /// Goes on with those of an instrument, if there are some, and they can; says whether.
    pub(crate) fn go_on_with(
        &mut self,
        ledger: &mut Ledger,
        instrument: u32,
        step: &mut Step,
    ) -> bool {
        let market = &self.markets[&instrument];
        if !self.can_go_on(ledger, market, step.looks_left) {
            return false;
        }
        let mut after = market.book.clone();
        after.bound_looks(step.looks_left);
        let reports = after.run_waiting();
        self.set_book(instrument, after, step);
        self.settle(ledger, instrument, &reports, step);
        true
    }

    /// Goes on with those of all instruments, the oldest instrument first, each at a time of its own, from `next` on.
    /// Gives the next time, and whether there were any.
    pub(crate) fn go_on_with_all(
        &mut self,
        ledger: &mut Ledger,
        sequence: u64,
        next: u64,
    ) -> (u64, bool) {
        let mut step = Step::of_entry(sequence, next, self.looks_max);
        let mut created: Vec<(u64, u32)> =
            self.markets.iter().map(|(id, market)| (market.record.timestamp, *id)).collect();
        created.sort_unstable();
        let mut has_gone_on = false;
        for (_, id) in created {
            step.timestamp = step.next;
            if self.can_go_on(ledger, &self.markets[&id], step.looks_left) {
                step.next += 1;
                has_gone_on |= self.go_on_with(ledger, id, &mut step);
            }
        }
        (step.next, has_gone_on)
    }
}
