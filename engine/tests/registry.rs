//! Behaviour of the registry and of reports.

mod common;

use common::*;
use mizan_wire::{
    Account, CodeClass, CreateCode, CreateLedger, EngineStatus, Operation,
    RegistryStatus as Status, TrialBalanceRow, Wide, write_name,
};

fn ledger(number: u32) -> CreateLedger {
    CreateLedger::new(number, 2, "EUR", "customers").unwrap()
}

fn code(number: u16) -> CreateCode {
    CreateCode::new(number, CodeClass::Asset, "cash").unwrap()
}

#[test]
fn ledgers_are_refused_in_the_order_of_precedence() {
    let mut log = Log::new();
    let stored = log.create(Operation::CreateLedgers, &[ledger(1)])[0];
    assert_eq!((stored.status, stored.timestamp), (CREATED, log.engine.timestamp()));
    let again = log.create(Operation::CreateLedgers, &[ledger(1)])[0];
    assert_eq!((again.status, again.timestamp), (Status::Exists as u32, stored.timestamp));
    let other = |currency: &str, name: &str| CreateLedger {
        currency: write_name(currency).unwrap(),
        name: write_name(name).unwrap(),
        ..ledger(2)
    };
    let cases = [
        (CreateLedger { timestamp: 1, reserved: [1; 3], ..ledger(0) }, Status::TimestampMustBeZero),
        (CreateLedger { reserved_3: [1; 24], ..ledger(0) }, Status::ReservedField),
        (ledger(0), Status::LedgerMustNotBeZero),
        (CreateLedger { scale: 99, ..ledger(1) }, Status::ExistsWithDifferentScale),
        (CreateLedger { currency: [0; 12], ..ledger(1) }, Status::ExistsWithDifferentCurrency),
        (CreateLedger { name: [0; 64], ..ledger(1) }, Status::ExistsWithDifferentName),
        (CreateLedger { scale: 39, currency: [0; 12], ..ledger(2) }, Status::ScaleTooLarge),
        (other("", ""), Status::CurrencyInvalid),
        (other("E UR", "x"), Status::CurrencyInvalid),
        (other("USDC.e-1", ""), Status::NameInvalid),
        (other("EUR", "a\nb"), Status::NameInvalid),
        (other("EUR", "a\u{85}b"), Status::NameInvalid),
    ];
    for (event, status) in cases {
        let result = log.create(Operation::CreateLedgers, &[event])[0];
        assert_eq!(result.status, status as u32, "{status:?}");
    }
}

#[test]
fn the_registry_and_the_ledgers_in_use_share_their_room() {
    let mut log = Log::new();
    log.accounts(&[Account { ledger: 9, ..account(1) }]);
    let results =
        log.create(Operation::CreateLedgers, &[ledger(7), ledger(5), ledger(3), ledger(9)]);
    assert_eq!(statuses(&results), [CREATED, CREATED, Status::RegistryFull as u32, CREATED]);
    let stored: Vec<CreateLedger> = log.read::<_, u128>(Operation::GetLedgers, &[]);
    let numbers: Vec<u32> = stored.iter().map(|ledger| ledger.ledger).collect();
    assert_eq!(numbers, [5, 7, 9]);
    assert_eq!(stored[0].timestamp, results[1].timestamp);
    assert_eq!(log.engine.status().ledger_count, 3);
}

#[test]
fn codes_are_refused_in_the_order_of_precedence_and_read_in_order() {
    let mut log = Log::new();
    let events = [
        code(8),
        code(8),
        CreateCode { class: 2, name: [0; 64], ..code(8) },
        CreateCode { name: [0; 64], ..code(8) },
        CreateCode { reserved: [1; 29], ..code(0) },
        code(0),
        CreateCode { class: 0, name: [0; 64], ..code(3) },
        CreateCode { class: 6, ..code(3) },
        CreateCode { name: [0; 64], ..code(3) },
        code(3),
        code(4),
    ];
    let results = log.create(Operation::CreateCodes, &events);
    let expected = [
        CREATED,
        Status::Exists as u32,
        Status::ExistsWithDifferentClass as u32,
        Status::ExistsWithDifferentName as u32,
        Status::ReservedField as u32,
        Status::CodeMustNotBeZero as u32,
        Status::ClassInvalid as u32,
        Status::ClassInvalid as u32,
        Status::NameInvalid as u32,
        CREATED,
        Status::RegistryFull as u32,
    ];
    assert_eq!(statuses(&results), expected);
    assert_eq!(results[1].timestamp, results[0].timestamp);
    let stored: Vec<CreateCode> = log.read::<_, u128>(Operation::GetCodes, &[]);
    let numbers: Vec<u16> = stored.iter().map(|code| code.code).collect();
    assert_eq!(numbers, [3, 8]);
}

#[test]
fn the_trial_balance_is_exact_beyond_one_accounts_range() {
    let mut log = Log::new();
    log.create(Operation::CreateLedgers, &[ledger(1)]);
    log.accounts(&[account(1), account(2), account(3), account(4)]);
    log.transfers(&[transfer(1, 1, 2, u128::MAX), transfer(2, 3, 4, u128::MAX)]);
    let rows: Vec<TrialBalanceRow> = log.read::<_, u128>(Operation::TrialBalance, &[]);
    assert_eq!(rows, log.engine.trial_balance());
    let [row] = rows[..] else { panic!("one ledger has one row") };
    assert_eq!(row.debits_posted, Wide { low: u128::MAX - 1, high: 1 });
    assert!(row.is_balanced());
    assert_eq!((row.ledger, row.scale, row.registered, row.account_count), (1, 2, 1, 4));
}

#[test]
fn lookups_give_what_is_found_in_the_order_of_the_request() {
    let mut log = Log::new();
    log.accounts(&[account(5), account(6)]);
    log.transfers(&[transfer(1, 5, 6, 1), transfer(2, 5, 9, 1)]);
    let found: Vec<Account> = log.read(Operation::LookupAccounts, &[6u128, 0, 9, 5, 6]);
    assert_eq!(found.iter().map(|account| account.id).collect::<Vec<_>>(), [6, 5, 6]);
    assert_eq!((log.output.event_count, log.output.result_size), (5, 128));
    assert_eq!(log.find_transfer(1).unwrap().credit_account_id, 6);
    assert_eq!(log.find_transfer(2), None);
    let status: Vec<EngineStatus> = log.read::<_, u128>(Operation::GetEngineStatus, &[]);
    assert_eq!(status, [log.engine.status()]);
    assert_eq!((status[0].account_count, status[0].burnt_id_count), (2, 1));
}
