//! What time does: it releases holds that nobody has posted or voided.

use crate::ledger::{HoldState, Ledger};
use crate::post_void::release;
use mizan_wire::Transfer;
use mizan_wire::limits::TICK_ACTIONS_MAX;

/// The holds that a tick at `now` releases, in their order: the oldest due time first, then the oldest transfer.
pub(crate) fn due(ledger: &Ledger, now: u64) -> Vec<Transfer> {
    ledger
        .expiries()
        .iter()
        .take_while(|(due_ns, _, _)| *due_ns <= now)
        .take(TICK_ACTIONS_MAX as usize)
        .map(|(_, _, id)| *ledger.transfer(*id).expect("invariant: a hold is a stored transfer"))
        .collect()
}

/// Releases one hold.
pub(crate) fn expire(pending: &Transfer, ledger: &mut Ledger) {
    let reopens = true;
    release(pending, HoldState::Expired, reopens, ledger);
}
