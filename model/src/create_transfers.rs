//! `create_transfers`, one event: the checks that all share, then the plain transfer or hold.

use crate::batch::{BatchStatuses, Event};
use crate::exists;
use crate::ledger::{HoldState, Ledger};
use crate::post_void;
use mizan_wire::limits::{NS_PER_S, TIMESTAMP_MAX, id_is_reserved};
use mizan_wire::{
    Account, AccountFlags, CreateTransferStatus as S, Status, Transfer, TransferFlags as F,
};

/// Reasons that may pass: a late repetition of the transfer must not succeed by surprise.
const TRANSIENT: [S; 8] = [
    S::DebitAccountNotFound,
    S::CreditAccountNotFound,
    S::PendingTransferNotFound,
    S::ExceedsCredits,
    S::ExceedsDebits,
    S::DebitAccountAlreadyClosed,
    S::CreditAccountAlreadyClosed,
    S::AccountHasOpenOrders,
];

impl Event for Transfer {
    const STATUSES: BatchStatuses = BatchStatuses {
        linked_event_failed: S::LinkedEventFailed as u32,
        linked_event_chain_open: S::LinkedEventChainOpen as u32,
        imported_event_expected: S::ImportedEventExpected as u32,
        imported_event_not_expected: S::ImportedEventNotExpected as u32,
        timestamp_must_be_zero: S::TimestampMustBeZero as u32,
        imported_event_timestamp_out_of_range: S::ImportedEventTimestampOutOfRange as u32,
        imported_event_timestamp_must_not_advance: S::ImportedEventTimestampMustNotAdvance as u32,
        exists: S::Exists as u32,
        created: S::Created as u32,
    };

    fn is_linked(&self) -> bool {
        has(self, F::LINKED)
    }

    fn is_imported(&self) -> bool {
        has(self, F::IMPORTED)
    }

    fn own_timestamp(&self) -> u64 {
        self.timestamp
    }

    fn stored_timestamp(&self, ledger: &Ledger) -> Option<u64> {
        ledger.transfer(self.id).map(|transfer| transfer.timestamp)
    }

    fn create(&self, ledger: &mut Ledger, number: u64) -> u32 {
        let free = ledger.free_transfer_places();
        let outcome = check_id(self, ledger).and_then(|()| {
            if has(self, F::POST_PENDING | F::VOID_PENDING) {
                // A hold keeps a place for its end; a spent id would need another one.
                let outcome = post_void::post_or_void(self, ledger, number);
                let spends = |status: &S| free == 0 && TRANSIENT.contains(status);
                return outcome.map_err(|status| match spends(&status) {
                    true => S::TransfersFull,
                    false => status,
                });
            }
            let places = if has(self, F::PENDING) { 2 } else { 1 };
            refuse_if(free < places, S::TransfersFull)?;
            transfer_or_hold(self, ledger, number)
        });
        outcome.err().unwrap_or(S::Created).number()
    }

    fn after_failure(&self, ledger: &mut Ledger, status: u32) {
        if TRANSIENT.iter().any(|transient| transient.number() == status) {
            ledger.burn(self.id);
        }
    }
}

/// Whether any of these flags is set.
pub(crate) fn has(t: &Transfer, flags: u16) -> bool {
    t.flags & flags != 0
}

pub(crate) fn refuse_if(wrong: bool, status: S) -> Result<(), S> {
    if wrong { Err(status) } else { Ok(()) }
}

fn check_id(t: &Transfer, ledger: &Ledger) -> Result<(), S> {
    refuse_if(t.flags & !F::ALL != 0, S::ReservedFlag)?;
    refuse_if(t.id == 0, S::IdMustNotBeZero)?;
    refuse_if(t.id == u128::MAX, S::IdMustNotBeIntMax)?;
    refuse_if(id_is_reserved(t.id), S::IdReserved)?;
    if let Some(existing) = ledger.transfer(t.id) {
        return Err(exists::exists(t, existing, ledger));
    }
    refuse_if(ledger.is_burnt(t.id), S::IdAlreadyFailed)
}

fn transfer_or_hold(t: &Transfer, ledger: &mut Ledger, number: u64) -> Result<(), S> {
    check_fields(t)?;
    let (dr, cr) = find_accounts(t, ledger)?;
    if t.is_imported() {
        check_imported(t, &dr, &cr, ledger)?;
    }
    refuse_if(is_closed(&dr), S::DebitAccountAlreadyClosed)?;
    refuse_if(is_closed(&cr), S::CreditAccountAlreadyClosed)?;
    let trades = |account: &Account| ledger.in_trading.contains(&account.id);
    let closes_trader =
        has(t, F::CLOSING_DEBIT) && trades(&dr) || has(t, F::CLOSING_CREDIT) && trades(&cr);
    refuse_if(closes_trader, S::AccountHasOpenOrders)?;
    let holds_full = ledger.open_hold_count() >= ledger.genesis.hold_count_max;
    refuse_if(has(t, F::PENDING) && holds_full, S::HoldsFull)?;

    let timestamp = if t.is_imported() { t.timestamp } else { number };
    let stored = Transfer { amount: actual_amount(t, &dr, &cr), timestamp, ..*t };
    check_overflow(&stored, &dr, &cr, ledger)?;
    check_limits(stored.amount, &dr, &cr)?;
    store(&stored, dr, cr, ledger);
    Ok(())
}

fn check_fields(t: &Transfer) -> Result<(), S> {
    let (dr_id, cr_id) = (t.debit_account_id, t.credit_account_id);
    refuse_if(dr_id == 0, S::DebitAccountIdMustNotBeZero)?;
    refuse_if(dr_id == u128::MAX, S::DebitAccountIdMustNotBeIntMax)?;
    refuse_if(cr_id == 0, S::CreditAccountIdMustNotBeZero)?;
    refuse_if(cr_id == u128::MAX, S::CreditAccountIdMustNotBeIntMax)?;
    refuse_if(dr_id == cr_id, S::AccountsMustBeDifferent)?;
    refuse_if(t.pending_id != 0, S::PendingIdMustBeZero)?;
    if !has(t, F::PENDING) {
        refuse_if(t.timeout != 0, S::TimeoutReservedForPendingTransfer)?;
        refuse_if(has(t, F::CLOSING_DEBIT | F::CLOSING_CREDIT), S::ClosingTransferMustBePending)?;
    }
    refuse_if(t.ledger == 0, S::LedgerMustNotBeZero)?;
    refuse_if(t.code == 0, S::CodeMustNotBeZero)
}

fn find_accounts(t: &Transfer, ledger: &Ledger) -> Result<(Account, Account), S> {
    let dr = *ledger.account(t.debit_account_id).ok_or(S::DebitAccountNotFound)?;
    let cr = *ledger.account(t.credit_account_id).ok_or(S::CreditAccountNotFound)?;
    refuse_if(dr.ledger != cr.ledger, S::AccountsMustHaveTheSameLedger)?;
    refuse_if(t.ledger != dr.ledger, S::TransferMustHaveTheSameLedgerAsAccounts)?;
    Ok((dr, cr))
}

fn check_imported(t: &Transfer, dr: &Account, cr: &Account, ledger: &Ledger) -> Result<(), S> {
    let fits = ledger.transfer_timestamp_fits(t.timestamp);
    refuse_if(!fits, S::ImportedEventTimestampMustNotRegress)?;
    let postdates = |account: &Account| t.timestamp > account.timestamp;
    refuse_if(!postdates(dr), S::ImportedEventTimestampMustPostdateDebitAccount)?;
    refuse_if(!postdates(cr), S::ImportedEventTimestampMustPostdateCreditAccount)?;
    refuse_if(t.timeout != 0, S::ImportedEventTimeoutMustBeZero)
}

pub(crate) fn is_closed(account: &Account) -> bool {
    account.flags & AccountFlags::CLOSED != 0
}

/// The amount, cut down to what the accounts can give if the transfer is balancing.
fn actual_amount(t: &Transfer, dr: &Account, cr: &Account) -> u128 {
    let mut amount = t.amount;
    if has(t, F::BALANCING_DEBIT) {
        let debits = dr.debits_posted + dr.debits_pending;
        amount = amount.min(dr.credits_posted.saturating_sub(debits));
    }
    if has(t, F::BALANCING_CREDIT) {
        let credits = cr.credits_posted + cr.credits_pending;
        amount = amount.min(cr.debits_posted.saturating_sub(credits));
    }
    amount
}

fn check_overflow(t: &Transfer, dr: &Account, cr: &Account, ledger: &Ledger) -> Result<(), S> {
    let overflows = |sum: u128| sum.checked_add(t.amount).is_none();
    if has(t, F::PENDING) {
        refuse_if(overflows(dr.debits_pending), S::OverflowsDebitsPending)?;
        refuse_if(overflows(cr.credits_pending), S::OverflowsCreditsPending)?;
    }
    refuse_if(overflows(dr.debits_posted), S::OverflowsDebitsPosted)?;
    refuse_if(overflows(cr.credits_posted), S::OverflowsCreditsPosted)?;
    refuse_if(overflows(dr.debits_pending + dr.debits_posted), S::OverflowsDebits)?;
    refuse_if(overflows(cr.credits_pending + cr.credits_posted), S::OverflowsCredits)?;
    if ledger.genesis.has_trading() {
        let exceeds = |sum: u128| sum + t.amount >= 1 << 127;
        refuse_if(exceeds(dr.debits_pending + dr.debits_posted), S::OverflowsDebits)?;
        refuse_if(exceeds(cr.credits_pending + cr.credits_posted), S::OverflowsCredits)?;
    }
    let due_ns = u128::from(t.timestamp) + u128::from(t.timeout) * u128::from(NS_PER_S);
    refuse_if(due_ns > u128::from(TIMESTAMP_MAX), S::OverflowsTimeout)
}

fn check_limits(amount: u128, dr: &Account, cr: &Account) -> Result<(), S> {
    let debits = dr.debits_pending + dr.debits_posted + amount;
    let debits_limited = dr.flags & AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS != 0;
    refuse_if(debits_limited && debits > dr.credits_posted, S::ExceedsCredits)?;
    let credits = cr.credits_pending + cr.credits_posted + amount;
    let credits_limited = cr.flags & AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS != 0;
    refuse_if(credits_limited && credits > cr.debits_posted, S::ExceedsDebits)
}

fn store(stored: &Transfer, mut dr: Account, mut cr: Account, ledger: &mut Ledger) {
    if has(stored, F::PENDING) {
        dr.debits_pending += stored.amount;
        cr.credits_pending += stored.amount;
    } else {
        dr.debits_posted += stored.amount;
        cr.credits_posted += stored.amount;
    }
    ledger.update_account(dr);
    ledger.update_account(cr);
    if has(stored, F::CLOSING_DEBIT) {
        ledger.set_closed(dr.id, true);
    }
    if has(stored, F::CLOSING_CREDIT) {
        ledger.set_closed(cr.id, true);
    }
    ledger.add_transfer(*stored);
    if has(stored, F::PENDING) {
        ledger.set_hold(stored.id, Some(HoldState::Open));
    }
}
