//! The short way for transfers that are like most others: they post an amount, and nothing about them is unusual.
//!
//! Invariant: what goes this way changes the state exactly as the rules of `create_transfers` would, and everything
//! that they would refuse, or that is not quite plain, is left to them with nothing changed. So this file knows no
//! status: where several reasons speak against an event, the order of precedence is theirs.
//!
//! Cost: amounts and balances are single words here, all conditions are tested on lines that were fetched ahead, and
//! no intermediate result travels through memory.

use crate::accounts::{AccountLine, Sum};
use crate::ledger::LedgerState;
use crate::look_ahead::Hints;
use crate::resolved::PendingState;
use crate::transfers::StoredTransfer;
use crate::undo::UndoStep;
use mizan_wire::limits::id_is_reserved;
use mizan_wire::{AccountFlags, Transfer, TransferFlags};

impl LedgerState {
    /// Executes a plain event that has no old record, or changes nothing and says no.
    ///
    /// `IN_CHAIN` says whether a chain is open, so that others need not ask at each change.
    #[inline(always)]
    pub(crate) fn create_plain<const IN_CHAIN: bool>(
        &mut self,
        event: &Transfer,
        number: u64,
        hints: Hints,
    ) -> bool {
        let hints = self.verified(event, hints);
        let slots = [hints.debit_guess as usize, hints.credit_guess as usize];
        // Refuses slots that are the same, and those that are none.
        let Ok([debit, credit]) = self.accounts.lines.get_disjoint_mut(slots) else { return false };
        let ledger_slot = u32::from(debit.ledger_slot);
        let is_plain = is_plain(event)
            && (debit.id ^ event.debit_account_id) | (credit.id ^ event.credit_account_id) == 0
            && debit.ledger_slot == credit.ledger_slot
            && event.ledger == self.ledgers.number(ledger_slot)
            && !self.transfers.is_full()
            && !are_unusual(debit, credit);
        if !is_plain {
            return false;
        }
        let amount = event.amount as u64;
        let debits_before = debit.low[Sum::DebitsPosted as usize];
        let credits_before = credit.low[Sum::CreditsPosted as usize];
        let Some(debits) = debits_before.checked_add(amount) else { return false };
        let Some(credits) = credits_before.checked_add(amount) else { return false };
        if exceeds_limit(debit, credit, debits, credits)
            || self.transfers.find(event.id, hints.id).is_some()
        {
            return false;
        }
        debit.low[Sum::DebitsPosted as usize] = debits;
        credit.low[Sum::CreditsPosted as usize] = credits;
        self.ledgers.check_later(ledger_slot);
        let totals = &mut self.ledgers.get_mut(ledger_slot).totals;
        totals.debits_posted.add(debits.wrapping_sub(debits_before).into());
        totals.credits_posted.add(credits.wrapping_sub(credits_before).into());
        self.transfers.push(hints.id, plain_record(event, number, self.sequence, hints));
        if IN_CHAIN {
            self.record_plain(hints, debits_before, credits_before);
        }
        true
    }

    fn record_plain(&mut self, hints: Hints, debits_before: u64, credits_before: u64) {
        let (debit, credit) = (Sum::DebitsPosted, Sum::CreditsPosted);
        for (account_slot, sum, before) in [
            (hints.debit_guess, debit, debits_before),
            (hints.credit_guess, credit, credits_before),
        ] {
            self.undo.record(|| UndoStep::Balance { account_slot, sum, before: before.into() });
        }
        self.undo.record(|| UndoStep::Transfer);
    }
}

/// Whether the event itself, whatever the state, asks for nothing but to post an amount of one word.
///
/// That its accounts' ids and its ledger are valid follows later, from those that are stored.
#[inline(always)]
fn is_plain(event: &Transfer) -> bool {
    let high =
        (event.amount >> 64) as u64 | event.pending_id as u64 | (event.pending_id >> 64) as u64;
    let low = u64::from(event.flags & !TransferFlags::LINKED) | u64::from(event.timeout);
    let is_id_valid = event.id != 0 && event.id != u128::MAX && !id_is_reserved(event.id);
    high | low | event.timestamp == 0 && event.code != 0 && is_id_valid
}

/// Whether an account is closed, or has a balance of more than one word.
#[inline(always)]
fn are_unusual(debit: &AccountLine, credit: &AccountLine) -> bool {
    let is_closed = (debit.flags() | credit.flags()) & AccountFlags::CLOSED != 0;
    is_closed || debit.is_wide() || credit.is_wide()
}

/// Whether the new sums would take an account outside its limits.
#[inline(always)]
fn exceeds_limit(debit: &AccountLine, credit: &AccountLine, debits: u64, credits: u64) -> bool {
    let exceeds = |pending: u64, posted: u64, cover: u64| {
        u128::from(pending) + u128::from(posted) > u128::from(cover)
    };
    let debits_exceed = debit.flags() & AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS != 0
        && exceeds(
            debit.low[Sum::DebitsPending as usize],
            debits,
            debit.low[Sum::CreditsPosted as usize],
        );
    debits_exceed
        || credit.flags() & AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS != 0
            && exceeds(
                credit.low[Sum::CreditsPending as usize],
                credits,
                credit.low[Sum::DebitsPosted as usize],
            )
}

#[inline(always)]
fn plain_record(event: &Transfer, number: u64, sequence: u64, hints: Hints) -> StoredTransfer {
    StoredTransfer {
        id: event.id,
        amount: event.amount,
        pending_id: 0,
        user_data_128: event.user_data_128,
        timestamp: number,
        sequence,
        user_data_64: event.user_data_64,
        debit_slot: hints.debit_guess,
        credit_slot: hints.credit_guess,
        user_data_32: event.user_data_32,
        timeout: 0,
        ledger: event.ledger,
        code: event.code,
        flags: event.flags,
        hold: 0,
        pending_state: PendingState::None,
    }
}
