//! Posting and voiding a hold, and how a hold gives back what it reserved.

use crate::batch::Event;
use crate::create_transfers::{has, is_closed, refuse_if};
use crate::ledger::{HoldState, Ledger, expires_ns};
use mizan_wire::{CreateTransferStatus as S, Transfer, TransferFlags as F};

pub(crate) fn post_or_void(t: &Transfer, ledger: &mut Ledger, number: u64) -> Result<(), S> {
    check_fields(t)?;
    let p = find_pending(t, ledger)?;
    let amount = actual_amount(t, &p)?;
    check_open(&p, ledger, number)?;
    refuse_if(
        t.is_imported() && !ledger.transfer_timestamp_fits(t.timestamp),
        S::ImportedEventTimestampMustNotRegress,
    )?;
    let closed = |id: u128| ledger.account(id).is_some_and(is_closed);
    let is_void = has(t, F::VOID_PENDING);
    refuse_if(!is_void && closed(p.debit_account_id), S::DebitAccountAlreadyClosed)?;
    refuse_if(!is_void && closed(p.credit_account_id), S::CreditAccountAlreadyClosed)?;

    let state = if is_void { HoldState::Voided } else { HoldState::Posted };
    let reopens = is_void;
    release(&p, state, reopens, ledger);
    if !is_void {
        post(amount, &p, ledger);
    }
    let or = |given: u128, pending: u128| if given != 0 { given } else { pending };
    ledger.add_transfer(Transfer {
        id: t.id,
        debit_account_id: p.debit_account_id,
        credit_account_id: p.credit_account_id,
        amount,
        pending_id: t.pending_id,
        user_data_128: or(t.user_data_128, p.user_data_128),
        user_data_64: or(t.user_data_64.into(), p.user_data_64.into()) as u64,
        user_data_32: or(t.user_data_32.into(), p.user_data_32.into()) as u32,
        timeout: 0,
        ledger: p.ledger,
        code: p.code,
        flags: t.flags,
        timestamp: if t.is_imported() { t.timestamp } else { number },
    });
    Ok(())
}

fn check_fields(t: &Transfer) -> Result<(), S> {
    const EXCLUDED: u16 = F::PENDING
        | F::BALANCING_DEBIT
        | F::BALANCING_CREDIT
        | F::CLOSING_DEBIT
        | F::CLOSING_CREDIT;
    let both = has(t, F::POST_PENDING) && has(t, F::VOID_PENDING);
    refuse_if(both || has(t, EXCLUDED), S::FlagsAreMutuallyExclusive)?;
    refuse_if(t.pending_id == 0, S::PendingIdMustNotBeZero)?;
    refuse_if(t.pending_id == u128::MAX, S::PendingIdMustNotBeIntMax)?;
    refuse_if(t.pending_id == t.id, S::PendingIdMustBeDifferent)?;
    refuse_if(t.timeout != 0, S::TimeoutReservedForPendingTransfer)
}

fn find_pending(t: &Transfer, ledger: &Ledger) -> Result<Transfer, S> {
    let p = *ledger.transfer(t.pending_id).ok_or(S::PendingTransferNotFound)?;
    refuse_if(!has(&p, F::PENDING), S::PendingTransferNotPending)?;
    let differs = |given: u128, pending: u128| given != 0 && given != pending;
    refuse_if(
        differs(t.debit_account_id, p.debit_account_id),
        S::PendingTransferHasDifferentDebitAccountId,
    )?;
    refuse_if(
        differs(t.credit_account_id, p.credit_account_id),
        S::PendingTransferHasDifferentCreditAccountId,
    )?;
    let ledger_differs = differs(t.ledger.into(), p.ledger.into());
    refuse_if(ledger_differs, S::PendingTransferHasDifferentLedger)?;
    let code_differs = differs(t.code.into(), p.code.into());
    refuse_if(code_differs, S::PendingTransferHasDifferentCode)?;
    Ok(p)
}

/// What is posted, or for a void, what is given back.
fn actual_amount(t: &Transfer, p: &Transfer) -> Result<u128, S> {
    let is_void = has(t, F::VOID_PENDING);
    let means_all = if is_void { t.amount == 0 } else { t.amount == u128::MAX };
    let amount = if means_all { p.amount } else { t.amount };
    refuse_if(amount > p.amount, S::ExceedsPendingTransferAmount)?;
    refuse_if(is_void && amount < p.amount, S::PendingTransferHasDifferentAmount)?;
    Ok(amount)
}

fn check_open(p: &Transfer, ledger: &Ledger, number: u64) -> Result<(), S> {
    match ledger.hold(p.id).expect("invariant: a pending transfer has a hold") {
        HoldState::Posted => Err(S::PendingTransferAlreadyPosted),
        HoldState::Voided => Err(S::PendingTransferAlreadyVoided),
        HoldState::Expired => Err(S::PendingTransferExpired),
        // The time has come, and the tick has not: the hold may not be used any more, but it is not ours to release.
        HoldState::Open => {
            let is_due = expires_ns(p).is_some_and(|due_ns| due_ns <= number);
            refuse_if(is_due, S::PendingTransferExpired)
        }
    }
}

/// Ends an open hold: takes its amount from both pending sums, and opens again what it had closed.
pub(crate) fn release(p: &Transfer, state: HoldState, reopens: bool, ledger: &mut Ledger) {
    let mut dr = *ledger.account(p.debit_account_id).expect("invariant: its accounts exist");
    let mut cr = *ledger.account(p.credit_account_id).expect("invariant: its accounts exist");
    dr.debits_pending -= p.amount;
    cr.credits_pending -= p.amount;
    ledger.update_account(dr);
    ledger.update_account(cr);
    if reopens && has(p, F::CLOSING_DEBIT) {
        ledger.set_closed(dr.id, false);
    }
    if reopens && has(p, F::CLOSING_CREDIT) {
        ledger.set_closed(cr.id, false);
    }
    ledger.set_hold(p.id, Some(state));
}

fn post(amount: u128, p: &Transfer, ledger: &mut Ledger) {
    let mut dr = *ledger.account(p.debit_account_id).expect("invariant: its accounts exist");
    let mut cr = *ledger.account(p.credit_account_id).expect("invariant: its accounts exist");
    dr.debits_posted += amount;
    cr.credits_posted += amount;
    ledger.update_account(dr);
    ledger.update_account(cr);
}
