//! The rules of `create_accounts`, in the order of precedence of `CreateAccountStatus`.

use crate::accounts::AccountMeta;
use crate::batch::BatchEvent;
use crate::ledger::LedgerState;
use crate::refusal::{Refusal, refuse_if};
use crate::resolved::Resolved;
use mizan_wire::limits::id_is_reserved;
use mizan_wire::{Account, AccountFlags, CreateAccountStatus};

use CreateAccountStatus as Status;

const BOTH_LIMITS: u16 =
    AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS | AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS;

impl BatchEvent for Account {
    type Status = CreateAccountStatus;
    const IMPORTED: u16 = AccountFlags::IMPORTED;
    const IMPORTED_EXPECTED: Status = Status::ImportedEventExpected;
    const IMPORTED_NOT_EXPECTED: Status = Status::ImportedEventNotExpected;
    const TIMESTAMP_MUST_BE_ZERO: Status = Status::TimestampMustBeZero;
    const IMPORTED_OUT_OF_RANGE: Status = Status::ImportedEventTimestampOutOfRange;
    const IMPORTED_MUST_NOT_ADVANCE: Status = Status::ImportedEventTimestampMustNotAdvance;

    fn flags(&self) -> u16 {
        self.flags
    }

    fn timestamp(&self) -> u64 {
        self.timestamp
    }

    fn look_ahead_first(_ledger: &mut LedgerState, _events: &[Self]) {}

    fn look_ahead(ledger: &mut LedgerState, events: &[Self], index: usize) {
        ledger.look_ahead_accounts(events, index);
    }

    fn create(
        &self,
        ledger: &mut LedgerState,
        _index: usize,
        number: u64,
        _resolved: &Resolved<'_>,
    ) -> Result<(), Refusal> {
        ledger.create_account(self, self.result_timestamp(number))
    }

    fn create_plain(&self, _ledger: &mut LedgerState, _index: usize, _number: u64) -> bool {
        false
    }

    fn burn(&self, _ledger: &mut LedgerState) {
        unreachable!("invariant: no account status is transient");
    }
}

impl LedgerState {
    fn create_account(&mut self, event: &Account, timestamp: u64) -> Result<(), Refusal> {
        check_id(event)?;
        let hash = self.accounts.table.hash(event.id);
        if let Some(slot) = self.accounts.find(event.id, hash) {
            return Err(self.repeated_account(event, slot));
        }
        refuse_if(self.accounts.is_full(), Status::AccountsFull)?;
        check_fields(event)?;
        if event.flags & AccountFlags::IMPORTED != 0 {
            let regresses = timestamp <= self.accounts.timestamp_last()
                || self.transfers.has_timestamp(timestamp);
            refuse_if(regresses, Status::ImportedEventTimestampMustNotRegress)?;
        }
        let known_ledger = self.ledgers.find(event.ledger);
        refuse_if(known_ledger.is_none() && self.ledgers.is_full(), Status::LedgersFull)?;
        let ledger_slot = known_ledger.unwrap_or_else(|| self.ledgers.open(event.ledger));
        let meta = AccountMeta {
            id: event.id,
            user_data_128: event.user_data_128,
            user_data_64: event.user_data_64,
            timestamp,
            user_data_32: event.user_data_32,
            ledger_slot,
            terms: 0,
            code: event.code,
            flags: event.flags,
        };
        self.store_account(meta, known_ledger.is_none());
        Ok(())
    }

    fn repeated_account(&self, event: &Account, slot: u32) -> Refusal {
        let stored = &self.accounts.meta(slot);
        if event.flags != stored.flags {
            Status::ExistsWithDifferentFlags.into()
        } else if event.user_data_128 != stored.user_data_128 {
            Status::ExistsWithDifferentUserData128.into()
        } else if event.user_data_64 != stored.user_data_64 {
            Status::ExistsWithDifferentUserData64.into()
        } else if event.user_data_32 != stored.user_data_32 {
            Status::ExistsWithDifferentUserData32.into()
        } else if event.ledger != self.ledgers.number(stored.ledger_slot) {
            Status::ExistsWithDifferentLedger.into()
        } else if event.code != stored.code {
            Status::ExistsWithDifferentCode.into()
        } else {
            Refusal::exists(Status::Exists, stored.timestamp)
        }
    }
}

fn check_id(event: &Account) -> Result<(), Status> {
    refuse_if(event.reserved != 0, Status::ReservedField)?;
    refuse_if(event.flags & !AccountFlags::ALL != 0, Status::ReservedFlag)?;
    refuse_if(event.id == 0, Status::IdMustNotBeZero)?;
    refuse_if(event.id == u128::MAX, Status::IdMustNotBeIntMax)?;
    refuse_if(id_is_reserved(event.id), Status::IdReserved)
}

fn check_fields(event: &Account) -> Result<(), Status> {
    refuse_if(event.flags & BOTH_LIMITS == BOTH_LIMITS, Status::FlagsAreMutuallyExclusive)?;
    refuse_if(event.debits_pending != 0, Status::DebitsPendingMustBeZero)?;
    refuse_if(event.debits_posted != 0, Status::DebitsPostedMustBeZero)?;
    refuse_if(event.credits_pending != 0, Status::CreditsPendingMustBeZero)?;
    refuse_if(event.credits_posted != 0, Status::CreditsPostedMustBeZero)?;
    refuse_if(event.ledger == 0, Status::LedgerMustNotBeZero)?;
    refuse_if(event.code == 0, Status::CodeMustNotBeZero)
}
