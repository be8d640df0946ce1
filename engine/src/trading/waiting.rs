//! Triggered stops that wait because the looks of a request were spent: which instruments have some, and when they go on.
//!
//! They go on with the looks of a later entry: of each tick, and of each new order or amend for their instrument, before
//! that is executed. So a cascade of any length costs no single entry more than its bound, and comes out as if it had been
//! executed at once: in the same order, and before anything else trades there.
//!
//! Invariant: the set has each instrument whose book says that some wait.

use crate::ledger::LedgerState;
use crate::trading::commands::Step;
use crate::trading::limits::LEGS_PER_FILL;
use crate::trading::settlement::Numbers;
use crate::trading::state::Trading;
use mizan_wire::limits::LOOKS_PER_MATCH;
use mizan_wire::orders::TradingState;

impl Trading {
    /// Notes whether stops of an instrument wait, after its book has executed something.
    #[inline]
    pub(super) fn note_waiting(&mut self, place: usize) {
        let is_waiting = self.books[place].is_waiting();
        if is_waiting || !self.waiting.is_empty() {
            self.set_waiting(place, is_waiting);
        }
    }

    #[cold]
    fn set_waiting(&mut self, place: usize, is_waiting: bool) {
        match is_waiting {
            true => self.waiting.insert(place as u32),
            false => self.waiting.remove(&(place as u32)),
        };
    }

    /// Whether any stops wait, be it that they can go on or not.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a tick would go on with stops that wait.
    pub(crate) fn is_due(&self, ledger: &LedgerState) -> bool {
        self.waiting.iter().any(|place| self.can_go_on(ledger, *place as usize, self.looks_max))
    }

    /// The instrument is open, and there is room for all that its stops could trade with so many looks: since they were
    /// entered, others may have taken that.
    fn can_go_on(&self, ledger: &LedgerState, place: usize, looks: u64) -> bool {
        let book = &self.books[place];
        let trades = (2 * book.order_count() as u64).min(looks / u64::from(LOOKS_PER_MATCH));
        book.is_waiting()
            && book.trading_state() == TradingState::Open
            && looks > 0
            && ledger.transfers.room() >= trades * LEGS_PER_FILL
    }

    /// Goes on with the stops of an instrument that wait, if there are some, and it can.
    #[inline]
    pub(super) fn go_on_with(&mut self, place: usize, step: &mut Step<'_>) {
        if self.books[place].is_waiting() {
            self.go_on(place, step);
        }
    }

    #[cold]
    fn go_on(&mut self, place: usize, step: &mut Step<'_>) {
        if self.can_go_on(step.ledger, place, step.numbers.looks) {
            self.settle(place, step, |book, sink| book.run_waiting(sink))
                .expect("invariant: nothing is refused that was accepted before");
        }
    }

    /// Goes on with the stops of all instruments that can, in the order of their creation, each with a timestamp of its
    /// own; says whether there were any.
    pub(super) fn go_on_with_all(
        &mut self,
        ledger: &mut LedgerState,
        numbers: &mut Numbers,
    ) -> bool {
        let places: Vec<u32> = self.waiting.iter().copied().collect();
        let mut has_gone_on = false;
        for place in places {
            if self.can_go_on(ledger, place as usize, numbers.looks) {
                let timestamp = numbers.take();
                self.go_on(place as usize, &mut Step { ledger, numbers, timestamp });
                has_gone_on = true;
            }
        }
        has_gone_on
    }
}
