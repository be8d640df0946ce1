//! `create_ledgers` and `create_codes`: names and scales, registered once and never changed. There are no chains here.

use crate::ledger::Ledger;
use mizan_wire::limits::SCALE_MAX;
use mizan_wire::{
    CodeClass, CreateCode, CreateLedger, CreateResult, RegistryStatus as S, Status, read_name,
};

/// Executes a batch whose first event has the number `first`. One result per event, in order.
pub(crate) fn create_ledgers(
    ledger: &mut Ledger,
    events: &[CreateLedger],
    first: u64,
) -> Vec<CreateResult> {
    let mut results = Vec::new();
    for (event, number) in events.iter().zip(first..) {
        let stored = ledger.ledgers().get(&event.ledger).and_then(|slot| slot.registered);
        let status = match check_ledger(event, stored.as_ref(), ledger) {
            Ok(()) => {
                ledger.register_ledger(CreateLedger { timestamp: number, ..*event });
                S::Created
            }
            Err(status) => status,
        };
        results.push(result(status, number, stored.map(|stored| stored.timestamp)));
    }
    results
}

/// Executes a batch whose first event has the number `first`. One result per event, in order.
pub(crate) fn create_codes(
    ledger: &mut Ledger,
    events: &[CreateCode],
    first: u64,
) -> Vec<CreateResult> {
    let mut results = Vec::new();
    for (event, number) in events.iter().zip(first..) {
        let stored = ledger.codes().get(&event.code).copied();
        let status = match check_code(event, stored.as_ref(), ledger) {
            Ok(()) => {
                ledger.register_code(CreateCode { timestamp: number, ..*event });
                S::Created
            }
            Err(status) => status,
        };
        results.push(result(status, number, stored.map(|stored| stored.timestamp)));
    }
    results
}

fn check_ledger(
    event: &CreateLedger,
    stored: Option<&CreateLedger>,
    ledger: &Ledger,
) -> Result<(), S> {
    let reserved_is_zero =
        event.reserved == [0; 3] && event.reserved_2 == [0; 12] && event.reserved_3 == [0; 24];
    refuse_if(event.timestamp != 0, S::TimestampMustBeZero)?;
    refuse_if(!reserved_is_zero, S::ReservedField)?;
    refuse_if(event.ledger == 0, S::LedgerMustNotBeZero)?;
    if let Some(stored) = stored {
        refuse_if(event.scale != stored.scale, S::ExistsWithDifferentScale)?;
        refuse_if(event.currency != stored.currency, S::ExistsWithDifferentCurrency)?;
        refuse_if(event.name != stored.name, S::ExistsWithDifferentName)?;
        return Err(S::Exists);
    }
    refuse_if(event.scale > SCALE_MAX, S::ScaleTooLarge)?;
    refuse_if(!is_currency(&event.currency), S::CurrencyInvalid)?;
    refuse_if(!is_readable(&event.name), S::NameInvalid)?;
    let has_slot = ledger.ledgers().contains_key(&event.ledger) || ledger.has_free_ledger_slot();
    refuse_if(!has_slot, S::RegistryFull)
}

fn check_code(event: &CreateCode, stored: Option<&CreateCode>, ledger: &Ledger) -> Result<(), S> {
    let reserved_is_zero = event.reserved == [0; 29] && event.reserved_2 == [0; 24];
    let classes = CodeClass::Asset as u8..=CodeClass::Expense as u8;
    refuse_if(event.timestamp != 0, S::TimestampMustBeZero)?;
    refuse_if(!reserved_is_zero, S::ReservedField)?;
    refuse_if(event.code == 0, S::CodeMustNotBeZero)?;
    if let Some(stored) = stored {
        refuse_if(event.class != stored.class, S::ExistsWithDifferentClass)?;
        refuse_if(event.name != stored.name, S::ExistsWithDifferentName)?;
        return Err(S::Exists);
    }
    refuse_if(!classes.contains(&event.class), S::ClassInvalid)?;
    refuse_if(!is_readable(&event.name), S::NameInvalid)?;
    let code_count_max = ledger.genesis.code_count_max as usize;
    refuse_if(ledger.codes().len() >= code_count_max, S::RegistryFull)
}

fn is_currency(bytes: &[u8]) -> bool {
    let is_allowed =
        |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '.';
    read_name(bytes).is_some_and(|text| text.chars().all(is_allowed))
}

fn is_readable(bytes: &[u8]) -> bool {
    read_name(bytes).is_some_and(|text| !text.chars().any(char::is_control))
}

fn result(status: S, number: u64, stored_timestamp: Option<u64>) -> CreateResult {
    let timestamp = match status {
        S::Exists => stored_timestamp.expect("invariant: what exists is stored"),
        _ => number,
    };
    CreateResult { timestamp, status: status.number(), reserved: 0 }
}

fn refuse_if(wrong: bool, status: S) -> Result<(), S> {
    if wrong { Err(status) } else { Ok(()) }
}
