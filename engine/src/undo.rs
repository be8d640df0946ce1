//! The undo log of an open chain: what to put back, in reverse, if an event of the chain fails.
//!
//! Invariants: nothing is recorded outside of a chain; every step is the exact inverse of one change, so steps taken
//! back in reverse order always find the state that they expect.
//!
//! What is absent: the changes themselves (the ledger makes and unmakes them).

use crate::accounts::Sum;
use crate::limits::UNDO_STEPS_PER_EVENT;
use mizan_memory::reserve_touched;
use mizan_wire::limits::EVENTS_MAX;

/// The inverse of one change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum UndoStep {
    /// Put this balance back.
    Balance { account_slot: u32, sum: Sum, before: u128 },
    /// Put these account flags back.
    Flags { account_slot: u32, flags: u16 },
    /// Forget the last account, and its ledger with it if the account was what opened it.
    Account { opened_ledger: bool },
    /// Forget the last transfer.
    Transfer,
    /// Take the hold out that this pending transfer opened.
    HoldOpened { transfer_slot: u32 },
    /// Open the hold again that this pending transfer had.
    HoldClosed { transfer_slot: u32 },
}

/// See the module.
pub(crate) struct UndoLog {
    steps: Vec<UndoStep>,
    is_recording: bool,
}

impl UndoLog {
    /// Reserves room for a chain as long as a whole request.
    pub(crate) fn new() -> Self {
        let capacity = EVENTS_MAX as usize * UNDO_STEPS_PER_EVENT;
        Self { steps: reserve_touched(capacity), is_recording: false }
    }

    /// Begins a chain.
    pub(crate) fn begin(&mut self) {
        self.steps.clear();
        self.is_recording = true;
    }

    /// Ends a chain; what is still recorded stays done.
    pub(crate) fn end(&mut self) {
        self.steps.clear();
        self.is_recording = false;
    }

    /// Whether a chain is open that nothing has broken.
    #[inline(always)]
    pub(crate) const fn is_recording(&self) -> bool {
        self.is_recording
    }

    #[inline(always)]
    pub(crate) fn record(&mut self, step: impl FnOnce() -> UndoStep) {
        if self.is_recording {
            self.steps.push(step());
        }
    }

    /// The newest step that was not taken back yet; nothing is recorded from now on.
    pub(crate) fn take_back(&mut self) -> Option<UndoStep> {
        self.is_recording = false;
        self.steps.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_come_back_in_reverse_and_only_those_of_the_chain() {
        let mut log = UndoLog::new();
        log.record(|| UndoStep::Transfer);
        assert_eq!(log.take_back(), None);
        log.begin();
        log.record(|| UndoStep::Transfer);
        log.record(|| UndoStep::Account { opened_ledger: true });
        assert_eq!(log.take_back(), Some(UndoStep::Account { opened_ledger: true }));
        log.record(|| UndoStep::HoldOpened { transfer_slot: 1 });
        assert_eq!(log.take_back(), Some(UndoStep::Transfer));
        assert_eq!(log.take_back(), None);
        log.begin();
        log.record(|| UndoStep::Transfer);
        log.end();
        assert_eq!(log.take_back(), None);
    }
}
