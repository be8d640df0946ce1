//! The short way for posts and voids that are like most others.
//!
//! Invariant: as in `plain_transfers`: what goes this way changes the state exactly as the rules of `post_void` would,
//! and everything that they would refuse, or that is not quite plain, is left to them with nothing changed.
//!
//! What is absent: limits of accounts, because the end of a hold never takes an account nearer to them; room for the
//! transfer, because the hold has reserved it.

use crate::accounts::Sum;
use crate::exists::differs;
use crate::ledger::LedgerState;
use crate::plain_transfers::{are_unusual, is_id_valid};
use crate::post_void::resolution_of;
use crate::resolved::PendingState;
use crate::transfers::StoredTransfer;
use crate::undo::UndoStep;
use mizan_wire::{Transfer, TransferFlags};

const CLOSING: u16 = TransferFlags::CLOSING_DEBIT | TransferFlags::CLOSING_CREDIT;
/// The balances that the end of a hold may change, of the debit and of the credit account.
const DEBIT_SUMS: [Sum; 2] = [Sum::DebitsPending, Sum::DebitsPosted];
const CREDIT_SUMS: [Sum; 2] = [Sum::CreditsPending, Sum::CreditsPosted];

impl LedgerState {
    /// Executes the plain post or void at `index`, which has no old record, or changes nothing and says no.
    #[inline(never)]
    pub(crate) fn resolve_plain<const IN_CHAIN: bool>(
        &mut self,
        event: &Transfer,
        index: usize,
        number: u64,
    ) -> bool {
        let hints = self.look_ahead.hints(index);
        let Some(slot) = self.transfers.find_stored(event.pending_id, hints.pending()) else {
            return false;
        };
        let pending = &self.transfers.records[slot as usize];
        let Some(posted) = posted_amount(event, pending, number) else { return false };
        let slots = [pending.debit_slot, pending.credit_slot];
        let lines = self.accounts.lines.get_disjoint_mut(slots.map(|slot| slot as usize));
        let Ok([debit, credit]) = lines else { return false };
        let is_plain = !differs(event.debit_account_id, debit.id)
            && !differs(event.credit_account_id, credit.id)
            && !are_unusual(debit, credit)
            && self.transfers.find(event.id, hints.id).is_none();
        if !is_plain {
            return false;
        }
        let reserved = pending.amount as u64;
        let before = [
            DEBIT_SUMS.map(|sum| debit.low[sum as usize]),
            CREDIT_SUMS.map(|sum| credit.low[sum as usize]),
        ];
        let after = |[pending, done]: [u64; 2]| {
            Some([pending.checked_sub(reserved)?, done.checked_add(posted)?])
        };
        let (Some(debits), Some(credits)) = (after(before[0]), after(before[1])) else {
            return false;
        };
        let ledger_slot = u32::from(debit.ledger_slot);
        self.ledgers.check_later(ledger_slot);
        let totals = &mut self.ledgers.get_mut(ledger_slot).totals;
        for place in 0..2 {
            let (debit_sum, credit_sum) = (DEBIT_SUMS[place], CREDIT_SUMS[place]);
            debit.low[debit_sum as usize] = debits[place];
            credit.low[credit_sum as usize] = credits[place];
            totals.follow(debit_sum, before[0][place].into(), debits[place].into());
            totals.follow(credit_sum, before[1][place].into(), credits[place].into());
        }
        let is_post = event.flags & TransferFlags::POST_PENDING != 0;
        let record = StoredTransfer {
            amount: if is_post { posted.into() } else { pending.amount },
            sequence: self.sequence,
            ..resolution_of(event, number, pending)
        };
        self.close_hold(slot, if is_post { PendingState::Posted } else { PendingState::Voided });
        self.transfers.push(hints.id, record);
        if IN_CHAIN {
            self.record_resolution(slots, before);
        }
        true
    }

    /// What takes a plain resolution back, except for the hold.
    fn record_resolution(&mut self, slots: [u32; 2], before: [[u64; 2]; 2]) {
        for ((account_slot, sums), before) in
            slots.into_iter().zip([DEBIT_SUMS, CREDIT_SUMS]).zip(before)
        {
            for (sum, before) in sums.into_iter().zip(before) {
                self.undo.record(|| UndoStep::Balance { account_slot, sum, before: before.into() });
            }
        }
        self.undo.record(|| UndoStep::Transfer);
    }
}

/// How much of an open hold a plain event posts; nothing if event or hold are not plain.
#[inline(always)]
fn posted_amount(event: &Transfer, pending: &StoredTransfer, number: u64) -> Option<u64> {
    let is_post = event.flags & !TransferFlags::LINKED == TransferFlags::POST_PENDING;
    let is_void = event.flags & !TransferFlags::LINKED == TransferFlags::VOID_PENDING;
    let expires_ns = pending.expires_ns();
    let is_plain = (is_post || is_void)
        && event.timeout == 0
        && event.timestamp == 0
        && is_id_valid(event.id)
        && event.pending_id != event.id
        && !differs(event.ledger, pending.ledger)
        && !differs(event.code, pending.code)
        && pending.pending_state == PendingState::Pending
        && pending.flags & CLOSING == 0
        && (expires_ns == 0 || expires_ns > number)
        && pending.amount <= u64::MAX.into();
    let is_whole = event.amount == if is_post { u128::MAX } else { 0 };
    let amount = if is_whole { pending.amount } else { event.amount };
    let is_allowed = if is_post { amount <= pending.amount } else { amount == pending.amount };
    (is_plain && is_allowed).then_some(if is_post { amount as u64 } else { 0 })
}
