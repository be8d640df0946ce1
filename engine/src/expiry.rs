//! Time passes: a tick releases the holds whose time has come.
//!
//! Invariants: due holds end in the order of `(expires_ns, timestamp of the pending transfer)`; a tick performs a
//! bounded number of actions, and another follows while more are due.

use crate::ledger::LedgerState;
use crate::resolved::PendingState;
use mizan_wire::limits::TICK_ACTIONS_MAX;

impl LedgerState {
    /// Releases what is due at `now`; `released` is cleared and gets the timestamps of the pending transfers.
    pub(crate) fn tick(&mut self, now: u64, released: &mut Vec<u64>) {
        released.clear();
        while released.len() < TICK_ACTIONS_MAX as usize {
            let Some((expires_ns, transfer_slot)) = self.holds.first_due() else { break };
            if expires_ns > now {
                break;
            }
            self.release(transfer_slot, PendingState::Expired, 0);
            released.push(self.transfers.records[transfer_slot as usize].timestamp);
        }
    }
}
