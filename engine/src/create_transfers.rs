//! The rules of `create_transfers` for transfers that move or reserve an amount, in the order of precedence of
//! `CreateTransferStatus`. Those that end a hold are in `post_void`, repetitions in `exists`.

use crate::accounts::{Balances, Sum};
use crate::batch::BatchEvent;
use crate::ledger::LedgerState;
use crate::look_ahead::{Hints, resolves_hold};
use crate::refusal::{Refusal, refuse_if};
use crate::resolved::{PendingState, Resolved};
use crate::transfers::StoredTransfer;
use mizan_wire::limits::{NS_PER_S, TIMESTAMP_MAX, id_is_reserved};
use mizan_wire::{AccountFlags, CreateTransferStatus, Transfer, TransferFlags};

use CreateTransferStatus as Status;

const CLOSING: u16 = TransferFlags::CLOSING_DEBIT | TransferFlags::CLOSING_CREDIT;

impl BatchEvent for Transfer {
    type Status = CreateTransferStatus;
    const IMPORTED: u16 = TransferFlags::IMPORTED;
    const IMPORTED_EXPECTED: Status = Status::ImportedEventExpected;
    const IMPORTED_NOT_EXPECTED: Status = Status::ImportedEventNotExpected;
    const TIMESTAMP_MUST_BE_ZERO: Status = Status::TimestampMustBeZero;
    const IMPORTED_OUT_OF_RANGE: Status = Status::ImportedEventTimestampOutOfRange;
    const IMPORTED_MUST_NOT_ADVANCE: Status = Status::ImportedEventTimestampMustNotAdvance;

    #[inline]
    fn flags(&self) -> u16 {
        self.flags
    }

    #[inline]
    fn timestamp(&self) -> u64 {
        self.timestamp
    }

    fn look_ahead_first(ledger: &mut LedgerState, events: &[Self]) {
        ledger.look_ahead_first_transfers(events);
    }

    #[inline]
    fn look_ahead(ledger: &mut LedgerState, events: &[Self], index: usize) {
        ledger.look_ahead_transfers(events, index);
    }

    #[inline]
    fn create(
        &self,
        ledger: &mut LedgerState,
        index: usize,
        number: u64,
        resolved: &Resolved<'_>,
    ) -> Result<(), Refusal> {
        let may_be_plain = ledger.undo.is_recording() && resolved.is_empty();
        if may_be_plain && ledger.create_plain::<true>(self, index, number) {
            return Ok(());
        }
        let hints = ledger.look_ahead.hints(index);
        ledger.create_transfer(self, number, &hints, resolved)
    }

    #[inline(always)]
    fn create_plain(&self, ledger: &mut LedgerState, index: usize, number: u64) -> bool {
        ledger.create_plain::<false>(self, index, number)
    }

    fn burn(&self, ledger: &mut LedgerState) {
        ledger.transfers.burn(self.id);
    }
}

/// The two accounts of a transfer.
#[derive(Clone, Copy)]
struct Sides {
    debit_slot: u32,
    credit_slot: u32,
    ledger_slot: u32,
    debit_flags: u16,
    credit_flags: u16,
}

impl LedgerState {
    #[inline(never)]
    fn create_transfer(
        &mut self,
        event: &Transfer,
        number: u64,
        hints: &Hints,
        resolved: &Resolved<'_>,
    ) -> Result<(), Refusal> {
        check_id(event)?;
        self.check_repetition(event, hints.id, resolved)?;
        let room = self.transfers.room();
        if resolves_hold(event) {
            // Its own place is reserved. There may be none for an id that is spent in vain.
            let outcome = self.post_or_void(event, number, hints, resolved);
            let is_without_place = |refusal: &Refusal| refusal.burns && room == 0;
            return outcome.map_err(|refusal| match is_without_place(&refusal) {
                true => Status::TransfersFull.into(),
                false => refusal,
            });
        }
        refuse_if(room < places_of(event), Status::TransfersFull)?;
        check_fields(event)?;
        let sides = self.find_sides(event, hints)?;
        if event.flags & TransferFlags::IMPORTED != 0 {
            self.check_imported(event)?;
            self.check_postdates(event, &sides)?;
            refuse_if(event.timeout != 0, Status::ImportedEventTimeoutMustBeZero)?;
        }
        let is_closed = |flags: u16| flags & AccountFlags::CLOSED != 0;
        refuse_if(is_closed(sides.debit_flags), Status::DebitAccountAlreadyClosed)?;
        refuse_if(is_closed(sides.credit_flags), Status::CreditAccountAlreadyClosed)?;
        let closes = |flag: u16, slot: u32| event.flags & flag != 0 && self.is_trading(slot);
        let closes_trader = closes(TransferFlags::CLOSING_DEBIT, sides.debit_slot)
            || closes(TransferFlags::CLOSING_CREDIT, sides.credit_slot);
        refuse_if(closes_trader, Status::AccountHasOpenOrders)?;
        let is_pending = event.flags & TransferFlags::PENDING != 0;
        refuse_if(is_pending && self.holds.is_full(), Status::HoldsFull)?;
        let debit = self.accounts.balances(sides.debit_slot);
        let credit = self.accounts.balances(sides.credit_slot);
        let amount = balanced_amount(event, &debit, &credit);
        let after = add_amount(&debit, &credit, amount, is_pending)?;
        refuse_if(after.debits_total > self.sum_max, Status::OverflowsDebits)?;
        refuse_if(after.credits_total > self.sum_max, Status::OverflowsCredits)?;
        let timeout_ns = u64::from(event.timeout) * NS_PER_S;
        refuse_if(timeout_ns > TIMESTAMP_MAX - number, Status::OverflowsTimeout)?;
        let is_limited = |flags: u16, limit: u16| flags & limit != 0;
        refuse_if(
            is_limited(sides.debit_flags, AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS)
                && after.debits_total > debit.credits_posted,
            Status::ExceedsCredits,
        )?;
        refuse_if(
            is_limited(sides.credit_flags, AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS)
                && after.credits_total > credit.debits_posted,
            Status::ExceedsDebits,
        )?;
        let (debits, credits) = match is_pending {
            true => (Sum::DebitsPending, Sum::CreditsPending),
            false => (Sum::DebitsPosted, Sum::CreditsPosted),
        };
        self.set_balance(sides.debit_slot, sides.ledger_slot, debits, after.debits);
        self.set_balance(sides.credit_slot, sides.ledger_slot, credits, after.credits);
        let record = StoredTransfer { amount, ..self.record_of(event, number, &sides) };
        self.store_transfer(hints.id, record);
        if event.flags & TransferFlags::CLOSING_DEBIT != 0 {
            self.set_closed(sides.debit_slot, true);
        }
        if event.flags & TransferFlags::CLOSING_CREDIT != 0 {
            self.set_closed(sides.credit_slot, true);
        }
        self.assert_sound(sides.ledger_slot, [sides.debit_slot, sides.credit_slot]);
        Ok(())
    }

    // Handing the sides over in memory would stall the loads of the next event behind this one's cache misses.
    #[inline(always)]
    fn find_sides(&self, event: &Transfer, hints: &Hints) -> Result<Sides, Status> {
        let accounts = &self.accounts;
        let debit_slot = accounts
            .find_with_guess(event.debit_account_id, hints.debit(), hints.debit_guess)
            .ok_or(Status::DebitAccountNotFound)?;
        let credit_slot = accounts
            .find_with_guess(event.credit_account_id, hints.credit, hints.credit_guess)
            .ok_or(Status::CreditAccountNotFound)?;
        let (debit, credit) = (accounts.line(debit_slot), accounts.line(credit_slot));
        let ledger_slot = debit.ledger_slot.into();
        refuse_if(debit.ledger_slot != credit.ledger_slot, Status::AccountsMustHaveTheSameLedger)?;
        refuse_if(
            event.ledger != self.ledgers.number(ledger_slot),
            Status::TransferMustHaveTheSameLedgerAsAccounts,
        )?;
        Ok(Sides {
            debit_slot,
            credit_slot,
            ledger_slot,
            debit_flags: debit.flags(),
            credit_flags: credit.flags(),
        })
    }

    /// The record of an event that moves or reserves the amount that it names.
    #[inline(always)]
    fn record_of(&self, event: &Transfer, number: u64, sides: &Sides) -> StoredTransfer {
        let is_pending = event.flags & TransferFlags::PENDING != 0;
        StoredTransfer {
            id: event.id,
            amount: event.amount,
            pending_id: 0,
            user_data_128: event.user_data_128,
            timestamp: event.result_timestamp(number),
            sequence: self.sequence,
            user_data_64: event.user_data_64,
            debit_slot: sides.debit_slot,
            credit_slot: sides.credit_slot,
            user_data_32: event.user_data_32,
            timeout: event.timeout,
            ledger: event.ledger,
            code: event.code,
            flags: event.flags,
            hold: 0,
            pending_state: if is_pending { PendingState::Pending } else { PendingState::None },
        }
    }

    /// Imported transfers come in the order of their timestamps, and none has an account's.
    pub(crate) fn check_imported(&self, event: &Transfer) -> Result<(), Status> {
        let regresses = event.timestamp <= self.transfers.timestamp_last()
            || self.accounts.has_timestamp(event.timestamp);
        refuse_if(regresses, Status::ImportedEventTimestampMustNotRegress)
    }

    fn check_postdates(&self, event: &Transfer, sides: &Sides) -> Result<(), Status> {
        let is_not_later = |slot: u32| event.timestamp <= self.accounts.timestamp(slot);
        refuse_if(
            is_not_later(sides.debit_slot),
            Status::ImportedEventTimestampMustPostdateDebitAccount,
        )?;
        refuse_if(
            is_not_later(sides.credit_slot),
            Status::ImportedEventTimestampMustPostdateCreditAccount,
        )
    }
}

/// Places that an event which ends no hold takes: a hold takes that of its end, too.
#[inline(always)]
const fn places_of(event: &Transfer) -> u64 {
    if event.flags & TransferFlags::PENDING != 0 { 2 } else { 1 }
}

#[inline]
fn check_id(event: &Transfer) -> Result<(), Status> {
    refuse_if(event.flags & !TransferFlags::ALL != 0, Status::ReservedFlag)?;
    refuse_if(event.id == 0, Status::IdMustNotBeZero)?;
    refuse_if(event.id == u128::MAX, Status::IdMustNotBeIntMax)?;
    refuse_if(id_is_reserved(event.id), Status::IdReserved)
}

#[inline]
fn check_fields(event: &Transfer) -> Result<(), Status> {
    let is_pending = event.flags & TransferFlags::PENDING != 0;
    let (debit, credit) = (event.debit_account_id, event.credit_account_id);
    refuse_if(debit == 0, Status::DebitAccountIdMustNotBeZero)?;
    refuse_if(debit == u128::MAX, Status::DebitAccountIdMustNotBeIntMax)?;
    refuse_if(credit == 0, Status::CreditAccountIdMustNotBeZero)?;
    refuse_if(credit == u128::MAX, Status::CreditAccountIdMustNotBeIntMax)?;
    refuse_if(debit == credit, Status::AccountsMustBeDifferent)?;
    refuse_if(event.pending_id != 0, Status::PendingIdMustBeZero)?;
    refuse_if(!is_pending && event.timeout != 0, Status::TimeoutReservedForPendingTransfer)?;
    refuse_if(!is_pending && event.flags & CLOSING != 0, Status::ClosingTransferMustBePending)?;
    refuse_if(event.ledger == 0, Status::LedgerMustNotBeZero)?;
    refuse_if(event.code == 0, Status::CodeMustNotBeZero)
}

/// What a balancing transfer takes: at most what the account's other side leaves.
#[inline(always)]
fn balanced_amount(event: &Transfer, debit: &Balances, credit: &Balances) -> u128 {
    let mut amount = event.amount;
    if event.flags & TransferFlags::BALANCING_DEBIT != 0 {
        let debits = debit.debits_posted.saturating_add(debit.debits_pending);
        amount = amount.min(debit.credits_posted.saturating_sub(debits));
    }
    if event.flags & TransferFlags::BALANCING_CREDIT != 0 {
        let credits = credit.credits_posted.saturating_add(credit.credits_pending);
        amount = amount.min(credit.debits_posted.saturating_sub(credits));
    }
    amount
}

/// The sums that a transfer changes, as they are after it.
struct SumsAfter {
    debits: u128,
    credits: u128,
    debits_total: u128,
    credits_total: u128,
}

/// The sums after the transfer, or the first that would not fit.
#[inline(always)]
fn add_amount(
    debit: &Balances,
    credit: &Balances,
    amount: u128,
    is_pending: bool,
) -> Result<SumsAfter, Status> {
    let sum = |balance: u128, status: Status| balance.checked_add(amount).ok_or(status);
    let mut pending = (0, 0);
    if is_pending {
        pending.0 = sum(debit.debits_pending, Status::OverflowsDebitsPending)?;
        pending.1 = sum(credit.credits_pending, Status::OverflowsCreditsPending)?;
    }
    // The posted sums must have room even for a pending transfer, which may be posted later.
    let debits_posted = sum(debit.debits_posted, Status::OverflowsDebitsPosted)?;
    let credits_posted = sum(credit.credits_posted, Status::OverflowsCreditsPosted)?;
    let debits_total = sum_of(debit.debits_pending, debits_posted, Status::OverflowsDebits)?;
    let credits_total = sum_of(credit.credits_pending, credits_posted, Status::OverflowsCredits)?;
    let (debits, credits) = if is_pending { pending } else { (debits_posted, credits_posted) };
    Ok(SumsAfter { debits, credits, debits_total, credits_total })
}

#[inline(always)]
fn sum_of(one: u128, other: u128, status: Status) -> Result<u128, Status> {
    one.checked_add(other).ok_or(status)
}
