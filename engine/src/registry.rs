//! The registry: names and scales of ledgers, names and classes of codes. Registered once, never changed.
//!
//! The rules stand in the order of precedence of `RegistryStatus`. Registrations have no chains and are not imported.
//!
//! What is absent: any effect on transfers; an unregistered ledger or code works as well.

use crate::ledgers::Ledgers;
use crate::refusal::{Refusal, refuse_if};
use mizan_wire::limits::SCALE_MAX;
use mizan_wire::{CodeClass, CreateCode, CreateLedger, RegistryStatus, ResultException, read_name};
use std::collections::BTreeMap;

use RegistryStatus as Status;

/// The registered codes.
pub(crate) struct Codes {
    entries: BTreeMap<u16, CreateCode>,
    count_max: usize,
}

impl Codes {
    pub(crate) const fn new(count_max: usize) -> Self {
        Self { entries: BTreeMap::new(), count_max }
    }

    /// All codes, ascending.
    pub(crate) fn ascending(&self) -> impl Iterator<Item = &CreateCode> {
        self.entries.values()
    }
}

/// Runs registrations one by one; `exceptions` is cleared and filled.
pub(crate) fn execute<E>(
    events: &[E],
    first: u64,
    exceptions: &mut Vec<ResultException>,
    mut register: impl FnMut(&E, u64) -> Result<(), Refusal>,
) {
    exceptions.clear();
    for (index, event) in (0u32..).zip(events) {
        let number = first + u64::from(index);
        if let Err(refusal) = register(event, number) {
            let timestamp = refusal.stored_timestamp.unwrap_or(number);
            exceptions.push(ResultException { timestamp, index, status: refusal.status });
        }
    }
}

/// Registers a ledger, which may be in use already.
pub(crate) fn register_ledger(
    ledgers: &mut Ledgers,
    event: &CreateLedger,
    number: u64,
) -> Result<(), Refusal> {
    refuse_if(event.timestamp != 0, Status::TimestampMustBeZero)?;
    let is_used = event.reserved != [0; 3] || event.reserved_2 != [0; 12];
    refuse_if(is_used || event.reserved_3 != [0; 24], Status::ReservedField)?;
    refuse_if(event.ledger == 0, Status::LedgerMustNotBeZero)?;
    let slot = ledgers.find(event.ledger);
    if let Some(stored) = slot.and_then(|slot| ledgers.get(slot).registered) {
        refuse_if(event.scale != stored.scale, Status::ExistsWithDifferentScale)?;
        refuse_if(event.currency != stored.currency, Status::ExistsWithDifferentCurrency)?;
        refuse_if(event.name != stored.name, Status::ExistsWithDifferentName)?;
        return Err(Refusal::exists(Status::Exists, stored.timestamp));
    }
    refuse_if(event.scale > SCALE_MAX, Status::ScaleTooLarge)?;
    refuse_if(!is_currency(&event.currency), Status::CurrencyInvalid)?;
    refuse_if(!is_name(&event.name), Status::NameInvalid)?;
    refuse_if(slot.is_none() && ledgers.is_full(), Status::RegistryFull)?;
    let slot = slot.unwrap_or_else(|| ledgers.open(event.ledger));
    ledgers.get_mut(slot).registered = Some(CreateLedger { timestamp: number, ..*event });
    Ok(())
}

/// Registers a code.
pub(crate) fn register_code(
    codes: &mut Codes,
    event: &CreateCode,
    number: u64,
) -> Result<(), Refusal> {
    refuse_if(event.timestamp != 0, Status::TimestampMustBeZero)?;
    let is_used = event.reserved != [0; 29] || event.reserved_2 != [0; 24];
    refuse_if(is_used, Status::ReservedField)?;
    refuse_if(event.code == 0, Status::CodeMustNotBeZero)?;
    if let Some(stored) = codes.entries.get(&event.code) {
        refuse_if(event.class != stored.class, Status::ExistsWithDifferentClass)?;
        refuse_if(event.name != stored.name, Status::ExistsWithDifferentName)?;
        return Err(Refusal::exists(Status::Exists, stored.timestamp));
    }
    let classes = CodeClass::Asset as u8..=CodeClass::Expense as u8;
    refuse_if(!classes.contains(&event.class), Status::ClassInvalid)?;
    refuse_if(!is_name(&event.name), Status::NameInvalid)?;
    refuse_if(codes.entries.len() >= codes.count_max, Status::RegistryFull)?;
    codes.entries.insert(event.code, CreateCode { timestamp: number, ..*event });
    Ok(())
}

fn is_currency(bytes: &[u8]) -> bool {
    let is_symbol = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    read_name(bytes).is_some_and(|text| text.bytes().all(is_symbol))
}

fn is_name(bytes: &[u8]) -> bool {
    read_name(bytes).is_some_and(|text| !text.chars().any(char::is_control))
}
