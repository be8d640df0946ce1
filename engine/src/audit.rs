//! The audit of a whole state: what `verify` runs, and tests after every scenario.
//!
//! Everything that the engine keeps incrementally is computed anew here from the transfers and holds, and compared.

use crate::accounts::Balances;
use crate::error::InvariantError;
use crate::ledger::LedgerState;
use crate::ledgers::LedgerTotals;
use crate::resolved::PendingState;
use crate::trading::{self, Trading};
use mizan_wire::TransferFlags;

/// See [`crate::Engine::check_invariants`].
pub(crate) fn check(ledger: &LedgerState, trading: &Trading) -> Result<(), InvariantError> {
    check_totals(ledger)?;
    check_limits_and_ids(ledger)?;
    check_transfers(ledger)?;
    check_holds(ledger)?;
    check_balances(ledger, trading)?;
    trading::audit::check(trading, ledger)
}

fn ensure(condition: bool, what: impl FnOnce() -> String) -> Result<(), InvariantError> {
    if condition { Ok(()) } else { Err(InvariantError(what())) }
}

fn check_totals(ledger: &LedgerState) -> Result<(), InvariantError> {
    let count = ledger.ledgers.count();
    let mut totals = vec![LedgerTotals::default(); count];
    let mut account_counts = vec![0; count];
    for account_slot in 0..ledger.accounts.count() as u32 {
        let meta = ledger.accounts.meta(account_slot);
        let slot = meta.ledger_slot as usize;
        ensure(slot < count, || format!("account {} has no ledger", meta.id))?;
        totals[slot].add(&ledger.accounts.balances(account_slot));
        account_counts[slot] += 1;
    }
    for (slot, (sums, account_count)) in (0u32..).zip(totals.iter().zip(&account_counts)) {
        let stored = ledger.ledgers.get(slot);
        let number = stored.number;
        ensure(stored.totals == *sums, || {
            format!("the sums of ledger {number} are not those of its accounts")
        })?;
        ensure(stored.row().is_balanced(), || {
            format!("the debits of ledger {number} differ from its credits")
        })?;
        ensure(stored.account_count == *account_count, || {
            format!("ledger {number} has {account_count} accounts, not {}", stored.account_count)
        })?;
    }
    Ok(())
}

fn check_limits_and_ids(ledger: &LedgerState) -> Result<(), InvariantError> {
    let accounts = &ledger.accounts;
    let mut timestamp_last = 0;
    for slot in 0..accounts.count() as u32 {
        let meta = accounts.meta(slot);
        ensure(accounts.balances(slot).are_within(meta.flags), || {
            format!("account {} stands outside its limits", meta.id)
        })?;
        let found = accounts.find(meta.id, accounts.table.hash(meta.id));
        ensure(found == Some(slot), || format!("account {} is not found by its id", meta.id))?;
        ensure(meta.timestamp > timestamp_last, || {
            "the accounts are not in the order of their timestamps".to_owned()
        })?;
        timestamp_last = meta.timestamp;
    }
    ensure(accounts.are_marked(), || {
        "the accounts marked as wide are not those with wide balances".to_owned()
    })?;
    ensure(accounts.table.count() == accounts.count(), || {
        "the table of account ids has entries without accounts".to_owned()
    })
}

fn check_transfers(ledger: &LedgerState) -> Result<(), InvariantError> {
    let transfers = &ledger.transfers;
    for (slot, record) in (0u32..).zip(&transfers.records) {
        let found = transfers.find_stored(record.id, transfers.table.hash(record.id));
        ensure(found == Some(slot), || format!("transfer {} is not found by its id", record.id))?;
        let is_pending = record.flags & TransferFlags::PENDING != 0;
        ensure(is_pending == (record.pending_state != PendingState::None), || {
            format!("transfer {} has the state of another kind of transfer", record.id)
        })?;
    }
    ensure(transfers.records.is_sorted_by(|one, next| one.timestamp < next.timestamp), || {
        "the transfers are not in the order of their timestamps".to_owned()
    })?;
    ensure(transfers.table.count() == transfers.count() + transfers.burnt_count(), || {
        "the table of transfer ids has entries without transfers or burnt ids".to_owned()
    })
}

fn check_holds(ledger: &LedgerState) -> Result<(), InvariantError> {
    ensure(ledger.holds.is_consistent(), || {
        "the queue of due times is not that of the open holds".to_owned()
    })?;
    let is_open = |state: &PendingState| *state == PendingState::Pending;
    let records = &ledger.transfers.records;
    let open = records.iter().filter(|record| is_open(&record.pending_state)).count();
    let transfers = &ledger.transfers;
    ensure(transfers.reserved_count() == open, || {
        format!("{} places are reserved for the ends of {open} holds", transfers.reserved_count())
    })?;
    ensure(ledger.holds.count() == open, || {
        format!("{} holds are open, but {open} transfers are pending", ledger.holds.count())
    })?;
    for (number, hold) in ledger.holds.iter() {
        let agrees = records.get(hold.transfer_slot as usize).is_some_and(|record| {
            is_open(&record.pending_state)
                && record.hold == number
                && record.amount == hold.remaining
                && record.expires_ns() == hold.expires_ns
        });
        ensure(agrees, || format!("hold {number} does not agree with its pending transfer"))?;
        ensure(hold.class == 0 && hold.captures == 0, || {
            format!("hold {number} is of a kind that does not exist")
        })?;
    }
    Ok(())
}

/// Computes all balances anew: pending sums from the open holds and orders, posted sums from the transfers.
fn check_balances(ledger: &LedgerState, trading: &Trading) -> Result<(), InvariantError> {
    let mut expected = vec![Balances::default(); ledger.accounts.count()];
    for record in &ledger.transfers.records {
        let (debit, credit) = (record.debit_slot as usize, record.credit_slot as usize);
        let is_void = record.flags & TransferFlags::VOID_PENDING != 0;
        if record.pending_state == PendingState::Pending {
            add(&mut expected[debit].debits_pending, record.amount)?;
            add(&mut expected[credit].credits_pending, record.amount)?;
        } else if record.pending_state == PendingState::None && !is_void {
            add(&mut expected[debit].debits_posted, record.amount)?;
            add(&mut expected[credit].credits_posted, record.amount)?;
        }
    }
    trading::audit::add_holds(trading, &mut expected);
    for (slot, expected) in (0u32..).zip(&expected) {
        ensure(ledger.accounts.balances(slot) == *expected, || {
            let id = ledger.accounts.id(slot);
            format!("the balances of account {id} are not the sums of its transfers")
        })?;
    }
    Ok(())
}

fn add(sum: &mut u128, amount: u128) -> Result<(), InvariantError> {
    let total = sum.checked_add(amount);
    *sum = total.ok_or_else(|| InvariantError("a sum of transfers exceeds 2^128-1".to_owned()))?;
    Ok(())
}
