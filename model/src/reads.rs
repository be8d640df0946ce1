//! Reads: they change nothing, and see everything up to the last entry.

use crate::ledger::{Ledger, LedgerSlot};
use mizan_wire::{Account, CreateCode, CreateLedger, Transfer, TrialBalanceRow};

pub(crate) fn lookup_accounts(ledger: &Ledger, ids: &[u128]) -> Vec<Account> {
    ids.iter().filter_map(|id| ledger.account(*id)).copied().collect()
}

pub(crate) fn lookup_transfers(ledger: &Ledger, ids: &[u128]) -> Vec<Transfer> {
    ids.iter().filter_map(|id| ledger.transfer(*id)).copied().collect()
}

pub(crate) fn get_ledgers(ledger: &Ledger) -> Vec<CreateLedger> {
    ledger.ledgers().values().filter_map(|slot| slot.registered).collect()
}

pub(crate) fn get_codes(ledger: &Ledger) -> Vec<CreateCode> {
    ledger.codes().values().copied().collect()
}

/// A row per ledger that is registered or used, in ascending order. Cost: all accounts, for every row.
pub(crate) fn trial_balance(ledger: &Ledger) -> Vec<TrialBalanceRow> {
    ledger.ledgers().iter().map(|(number, slot)| row(ledger, *number, slot)).collect()
}

fn row(ledger: &Ledger, number: u32, slot: &LedgerSlot) -> TrialBalanceRow {
    let mut row = TrialBalanceRow { ledger: number, ..TrialBalanceRow::default() };
    if let Some(record) = slot.registered {
        row.registered = 1;
        row.scale = record.scale;
        row.currency = record.currency;
    }
    for account in ledger.accounts().iter().filter(|account| account.ledger == number) {
        row.account_count += 1;
        row.debits_pending.add(account.debits_pending);
        row.debits_posted.add(account.debits_posted);
        row.credits_pending.add(account.credits_pending);
        row.credits_posted.add(account.credits_posted);
    }
    row
}
