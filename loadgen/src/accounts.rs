//! The accounts of a run: created before, looked up and compared after.

use crate::created::Created;
use crate::{BenchOptions, LoadError, Observer, Phase, Progress, UniformTransfers, Workload};
use mizan_client::Client;
use mizan_wire::{Account, CREATED, CreateAccountStatus, CreateResult, Transfer};

/// Debits and credits of one account.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Balance {
    debits: u128,
    credits: u128,
}

/// What the accounts held before the run; accounts that were new held nothing.
pub(crate) struct Opening {
    balances: Vec<Balance>,
}

/// Creates the accounts, or finds them from an earlier run with the same seed and ledger.
pub(crate) fn open(
    client: &mut Client,
    options: &BenchOptions,
    workload: &UniformTransfers,
    observer: &dyn Observer,
) -> Result<Opening, LoadError> {
    let mut balances = vec![Balance::default(); options.accounts as usize];
    let mut have_existed = false;
    for (first, count) in chunks(options.accounts, client.events_max()) {
        let accounts: Vec<Account> = (first..first + count)
            .map(|index| Account {
                id: workload.account_id(index),
                ledger: options.ledger,
                code: options.code,
                ..Account::default()
            })
            .collect();
        let results = client
            .create_accounts(&accounts)
            .map_err(LoadError::client("the accounts could not be created"))?;
        have_existed |= check_created(&accounts, &results)?;
        progress(observer, Phase::Accounts, first + count, options.accounts);
    }
    if have_existed {
        look_up(client, options, workload, |index, balance| balances[index as usize] = balance)?;
    }
    Ok(Opening { balances })
}

/// Whether any of these accounts existed before.
fn check_created(accounts: &[Account], results: &[CreateResult]) -> Result<bool, LoadError> {
    let mut have_existed = false;
    for (account, result) in accounts.iter().zip(results) {
        if result.status == CreateAccountStatus::Exists as u32 {
            have_existed = true;
        } else if result.status != CREATED {
            return Err(LoadError::AccountRefused { id: account.id, status: result.status });
        }
    }
    Ok(have_existed)
}

/// Finds out which transfers of a batch whose reply never came were created all the same.
pub(crate) fn resolve(
    client: &mut Client,
    options: &BenchOptions,
    workload: &UniformTransfers,
    batch_index: u64,
    created: &mut Created,
) -> Result<(), LoadError> {
    let first_id = workload.first_id(batch_index);
    let count = u128::from(options.batch_size(batch_index));
    let ids: Vec<u128> = (0..count).map(|index| first_id.wrapping_add(index)).collect();
    let found = client
        .lookup_transfers(&ids)
        .map_err(LoadError::client("transfers in doubt could not be looked up"))?;
    for transfer in found {
        let index = transfer.id.wrapping_sub(first_id);
        if index < count {
            created.insert(batch_index * u64::from(options.batch) + index as u64);
        }
    }
    Ok(())
}

/// Compares every account with what it held before and what was acknowledged since.
pub(crate) fn verify(
    client: &mut Client,
    options: &BenchOptions,
    workload: &UniformTransfers,
    opening: Opening,
    created: &Created,
    observer: &dyn Observer,
) -> Result<(), LoadError> {
    let mut expected = opening.balances;
    add_created(options, workload, created, &mut expected);
    let mut found = vec![None; expected.len()];
    let mut done = 0;
    look_up(client, options, workload, |index, balance| {
        found[index as usize] = Some(balance);
        done += 1;
        if done % u64::from(options.batch) == 0 || done == options.accounts {
            progress(observer, Phase::Verification, done, options.accounts);
        }
    })?;
    let mut differing = (0..options.accounts).filter_map(|index| {
        let found: Balance = found[index as usize].unwrap_or_default();
        difference(found, expected[index as usize]).map(|difference| (index, difference))
    });
    let Some((first, (side, found, expected))) = differing.next() else { return Ok(()) };
    Err(LoadError::BalancesDiffer {
        count: 1 + differing.count() as u64,
        accounts: options.accounts,
        first: workload.account_id(first),
        side,
        found,
        expected,
    })
}

fn difference(found: Balance, expected: Balance) -> Option<(&'static str, u128, u128)> {
    if found.debits != expected.debits {
        Some(("debits", found.debits, expected.debits))
    } else if found.credits != expected.credits {
        Some(("credits", found.credits, expected.credits))
    } else {
        None
    }
}

/// Makes every batch once more, which is cheaper than keeping what was in it.
fn add_created(
    options: &BenchOptions,
    workload: &UniformTransfers,
    created: &Created,
    balances: &mut [Balance],
) {
    let mut transfers = vec![Transfer::default(); options.batch as usize];
    for batch_index in 0..options.batch_count() {
        let transfers = &mut transfers[..options.batch_size(batch_index) as usize];
        workload.fill(batch_index, transfers);
        let first = batch_index * u64::from(options.batch);
        for (index, transfer) in (first..).zip(transfers.iter()) {
            if !created.contains(index) {
                continue;
            }
            if let Some(debit) = workload.account_index(transfer.debit_account_id) {
                balances[debit as usize].debits += transfer.amount;
            }
            if let Some(credit) = workload.account_index(transfer.credit_account_id) {
                balances[credit as usize].credits += transfer.amount;
            }
        }
    }
}

fn look_up(
    client: &mut Client,
    options: &BenchOptions,
    workload: &UniformTransfers,
    mut each: impl FnMut(u64, Balance),
) -> Result<(), LoadError> {
    for (first, count) in chunks(options.accounts, client.events_max()) {
        let ids: Vec<u128> =
            (first..first + count).map(|index| workload.account_id(index)).collect();
        let accounts = client
            .lookup_accounts(&ids)
            .map_err(LoadError::client("the accounts could not be looked up"))?;
        for account in accounts {
            if let Some(index) = workload.account_index(account.id) {
                let (debits, credits) = (account.debits_posted, account.credits_posted);
                each(index, Balance { debits, credits });
            }
        }
    }
    Ok(())
}

fn chunks(total: u64, chunk: u32) -> impl Iterator<Item = (u64, u64)> {
    let chunk = u64::from(chunk.max(1));
    (0..total.div_ceil(chunk)).map(move |index| {
        let first = index * chunk;
        (first, chunk.min(total - first))
    })
}

fn progress(observer: &dyn Observer, phase: Phase, done: u64, total: u64) {
    observer.on_progress(&Progress { phase, done, total });
}
