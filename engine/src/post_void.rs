//! The rules of transfers that end a hold: post moves what was reserved, or a part of it; void gives it back.
//!
//! Invariant: a hold that has ended, by whatever way, stays ended.

use crate::accounts::Sum;
use crate::batch::BatchEvent;
use crate::exists::{differs, or};
use crate::ledger::LedgerState;
use crate::look_ahead::Hints;
use crate::refusal::{Refusal, refuse_if};
use crate::resolved::{PendingState, Resolved};
use crate::transfers::StoredTransfer;
use mizan_wire::{AccountFlags, CreateTransferStatus, Transfer, TransferFlags};

use CreateTransferStatus as Status;

const POST_AND_VOID: u16 = TransferFlags::POST_PENDING | TransferFlags::VOID_PENDING;
const NOT_FOR_RESOLUTIONS: u16 = TransferFlags::PENDING
    | TransferFlags::BALANCING_DEBIT
    | TransferFlags::BALANCING_CREDIT
    | TransferFlags::CLOSING_DEBIT
    | TransferFlags::CLOSING_CREDIT;

impl LedgerState {
    pub(crate) fn post_or_void(
        &mut self,
        event: &Transfer,
        number: u64,
        hints: &Hints,
        resolved: &Resolved<'_>,
    ) -> Result<(), Refusal> {
        check_fields(event)?;
        let Some(slot) = self.transfers.find_stored(event.pending_id, hints.pending()) else {
            return Err(refuse_old(event, resolved).into());
        };
        let pending = self.transfers.records[slot as usize];
        let amount = check_pending(event, &self.transfer(&pending), pending.pending_state)?;
        let expires_ns = pending.expires_ns();
        let is_due = expires_ns != 0 && expires_ns <= number;
        refuse_if(is_due, Status::PendingTransferExpired)?;
        if event.flags & TransferFlags::IMPORTED != 0 {
            self.check_imported(event)?;
        }
        let is_post = event.flags & TransferFlags::POST_PENDING != 0;
        let is_closed =
            |slot: u32| self.accounts.flags(slot) & AccountFlags::CLOSED != 0 && is_post;
        refuse_if(is_closed(pending.debit_slot), Status::DebitAccountAlreadyClosed)?;
        refuse_if(is_closed(pending.credit_slot), Status::CreditAccountAlreadyClosed)?;
        let (state, posted) =
            if is_post { (PendingState::Posted, amount) } else { (PendingState::Voided, 0) };
        self.release(slot, state, posted);
        let sequence = self.sequence;
        let record = resolution_of(event, number, &pending);
        self.store_transfer(hints.id, StoredTransfer { amount, sequence, ..record });
        Ok(())
    }

    /// Ends the open hold of the pending transfer in `slot`: gives back what it reserves, and posts `posted` of it.
    ///
    /// Accounts that the pending transfer closed are opened again, unless it is posted.
    pub(crate) fn release(&mut self, slot: u32, state: PendingState, posted: u128) {
        let pending = self.transfers.records[slot as usize];
        let (debit_slot, credit_slot) = (pending.debit_slot, pending.credit_slot);
        let ledger_slot = self.accounts.ledger_slot(debit_slot);
        let debit = self.accounts.balances(debit_slot);
        let credit = self.accounts.balances(credit_slot);
        let debits_pending = less(debit.debits_pending, pending.amount);
        let credits_pending = less(credit.credits_pending, pending.amount);
        let debits_posted = more(debit.debits_posted, posted);
        let credits_posted = more(credit.credits_posted, posted);
        self.set_balance(debit_slot, ledger_slot, Sum::DebitsPending, debits_pending);
        self.set_balance(credit_slot, ledger_slot, Sum::CreditsPending, credits_pending);
        if posted != 0 {
            self.set_balance(debit_slot, ledger_slot, Sum::DebitsPosted, debits_posted);
            self.set_balance(credit_slot, ledger_slot, Sum::CreditsPosted, credits_posted);
        }
        self.close_hold(slot, state);
        if state != PendingState::Posted {
            if pending.flags & TransferFlags::CLOSING_DEBIT != 0 {
                self.set_closed(debit_slot, false);
            }
            if pending.flags & TransferFlags::CLOSING_CREDIT != 0 {
                self.set_closed(credit_slot, false);
            }
        }
        self.assert_sound(ledger_slot, [debit_slot, credit_slot]);
    }
}

#[inline(always)]
pub(crate) fn resolution_of(
    event: &Transfer,
    number: u64,
    pending: &StoredTransfer,
) -> StoredTransfer {
    StoredTransfer {
        id: event.id,
        pending_id: event.pending_id,
        user_data_128: or(event.user_data_128, pending.user_data_128),
        timestamp: event.result_timestamp(number),
        user_data_64: or(event.user_data_64, pending.user_data_64),
        debit_slot: pending.debit_slot,
        credit_slot: pending.credit_slot,
        user_data_32: or(event.user_data_32, pending.user_data_32),
        ledger: pending.ledger,
        code: pending.code,
        flags: event.flags,
        ..StoredTransfer::default()
    }
}

fn check_fields(event: &Transfer) -> Result<(), Status> {
    let exclusive =
        event.flags & POST_AND_VOID == POST_AND_VOID || event.flags & NOT_FOR_RESOLUTIONS != 0;
    refuse_if(exclusive, Status::FlagsAreMutuallyExclusive)?;
    refuse_if(event.pending_id == 0, Status::PendingIdMustNotBeZero)?;
    refuse_if(event.pending_id == u128::MAX, Status::PendingIdMustNotBeIntMax)?;
    refuse_if(event.pending_id == event.id, Status::PendingIdMustBeDifferent)?;
    refuse_if(event.timeout != 0, Status::TimeoutReservedForPendingTransfer)
}

/// The answer where the pending transfer is not in the engine: its hold has ended, or there is none.
#[cold]
fn refuse_old(event: &Transfer, resolved: &Resolved<'_>) -> Status {
    let Some((pending, state)) = resolved.find(event.pending_id) else {
        return Status::PendingTransferNotFound;
    };
    // `Resolved` holds no open holds, so that some refusal always applies.
    check_pending(event, pending, *state).err().unwrap_or(Status::PendingTransferNotFound)
}

/// Compares an event with the pending transfer that it names; gives the actual amount.
#[inline(always)]
fn check_pending(
    event: &Transfer,
    pending: &Transfer,
    state: PendingState,
) -> Result<u128, Status> {
    refuse_if(state == PendingState::None, Status::PendingTransferNotPending)?;
    refuse_if(
        differs(event.debit_account_id, pending.debit_account_id),
        Status::PendingTransferHasDifferentDebitAccountId,
    )?;
    refuse_if(
        differs(event.credit_account_id, pending.credit_account_id),
        Status::PendingTransferHasDifferentCreditAccountId,
    )?;
    refuse_if(differs(event.ledger, pending.ledger), Status::PendingTransferHasDifferentLedger)?;
    refuse_if(differs(event.code, pending.code), Status::PendingTransferHasDifferentCode)?;
    let is_void = event.flags & TransferFlags::VOID_PENDING != 0;
    let whole_amount = if is_void { 0 } else { u128::MAX };
    let amount = if event.amount == whole_amount { pending.amount } else { event.amount };
    refuse_if(amount > pending.amount, Status::ExceedsPendingTransferAmount)?;
    refuse_if(is_void && amount < pending.amount, Status::PendingTransferHasDifferentAmount)?;
    match state {
        PendingState::Posted => Err(Status::PendingTransferAlreadyPosted),
        PendingState::Voided => Err(Status::PendingTransferAlreadyVoided),
        PendingState::Expired => Err(Status::PendingTransferExpired),
        PendingState::None | PendingState::Pending => Ok(amount),
    }
}

fn less(balance: u128, amount: u128) -> u128 {
    balance.checked_sub(amount).expect("invariant: a pending sum covers its open holds")
}

fn more(balance: u128, amount: u128) -> u128 {
    balance.checked_add(amount).expect("invariant: a hold was opened only with room to post it")
}
