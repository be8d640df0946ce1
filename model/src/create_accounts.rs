//! `create_accounts`, one event: the checks in their order of precedence, then the new account.

use crate::batch::{BatchStatuses, Event};
use crate::ledger::Ledger;
use mizan_wire::limits::id_is_reserved;
use mizan_wire::{Account, AccountFlags, CreateAccountStatus as S, Status};

impl Event for Account {
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
        self.flags & AccountFlags::LINKED != 0
    }

    fn is_imported(&self) -> bool {
        self.flags & AccountFlags::IMPORTED != 0
    }

    fn own_timestamp(&self) -> u64 {
        self.timestamp
    }

    fn stored_timestamp(&self, ledger: &Ledger) -> Option<u64> {
        ledger.account(self.id).map(|account| account.timestamp)
    }

    fn create(&self, ledger: &mut Ledger, number: u64) -> u32 {
        match check(self, ledger) {
            Err(status) => status.number(),
            Ok(()) => {
                let timestamp = if self.is_imported() { self.timestamp } else { number };
                ledger.add_account(Account { timestamp, ..*self });
                S::Created.number()
            }
        }
    }

    fn after_failure(&self, _: &mut Ledger, _: u32) {}
}

fn check(a: &Account, ledger: &Ledger) -> Result<(), S> {
    let has = |flag: u16| a.flags & flag != 0;
    refuse_if(a.reserved != 0, S::ReservedField)?;
    refuse_if(a.flags & !AccountFlags::ALL != 0, S::ReservedFlag)?;
    refuse_if(a.id == 0, S::IdMustNotBeZero)?;
    refuse_if(a.id == u128::MAX, S::IdMustNotBeIntMax)?;
    refuse_if(id_is_reserved(a.id), S::IdReserved)?;
    if let Some(existing) = ledger.account(a.id) {
        return Err(exists(a, existing));
    }
    let account_count = ledger.accounts().len() as u64;
    refuse_if(account_count >= ledger.genesis.account_count_max, S::AccountsFull)?;
    refuse_if(
        has(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS)
            && has(AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS),
        S::FlagsAreMutuallyExclusive,
    )?;
    refuse_if(a.debits_pending != 0, S::DebitsPendingMustBeZero)?;
    refuse_if(a.debits_posted != 0, S::DebitsPostedMustBeZero)?;
    refuse_if(a.credits_pending != 0, S::CreditsPendingMustBeZero)?;
    refuse_if(a.credits_posted != 0, S::CreditsPostedMustBeZero)?;
    refuse_if(a.ledger == 0, S::LedgerMustNotBeZero)?;
    refuse_if(a.code == 0, S::CodeMustNotBeZero)?;
    refuse_if(
        a.is_imported() && !ledger.account_timestamp_fits(a.timestamp),
        S::ImportedEventTimestampMustNotRegress,
    )?;
    let has_slot = ledger.ledgers().contains_key(&a.ledger) || ledger.has_free_ledger_slot();
    refuse_if(!has_slot, S::LedgersFull)
}

fn exists(a: &Account, existing: &Account) -> S {
    if a.flags != existing.flags {
        S::ExistsWithDifferentFlags
    } else if a.user_data_128 != existing.user_data_128 {
        S::ExistsWithDifferentUserData128
    } else if a.user_data_64 != existing.user_data_64 {
        S::ExistsWithDifferentUserData64
    } else if a.user_data_32 != existing.user_data_32 {
        S::ExistsWithDifferentUserData32
    } else if a.ledger != existing.ledger {
        S::ExistsWithDifferentLedger
    } else if a.code != existing.code {
        S::ExistsWithDifferentCode
    } else {
        S::Exists
    }
}

fn refuse_if(wrong: bool, status: S) -> Result<(), S> {
    if wrong { Err(status) } else { Ok(()) }
}
