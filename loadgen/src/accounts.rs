//! The accounts of a run: created before, looked up and compared after.

use crate::balances::{Balance, add_created};
use crate::created::Created;
use crate::{BenchOptions, LoadError, Observer, Phase, Progress, Workload};
use mizan_client::Client;
use mizan_wire::{Account, CREATED, CreateAccountStatus, CreateResult};
use std::collections::HashMap;

/// What the accounts held before the run; accounts that were new held nothing.
#[derive(Default)]
pub(crate) struct Opening {
    pub(crate) balances: Vec<Balance>,
}

/// Creates the accounts, or finds them from an earlier run with the same seed and ledger.
pub(crate) fn open(
    client: &mut Client,
    options: &BenchOptions,
    workload: &Workload,
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
    workload: &Workload,
    batch_index: u64,
    created: &mut Created,
) -> Result<(), LoadError> {
    let first = batch_index * u64::from(options.batch);
    let mut places = HashMap::new();
    workload.each(batch_index, options.batch_size(batch_index) as usize, |transfer| {
        places.insert(transfer.id, first + places.len() as u64);
    });
    if places.is_empty() {
        return Ok(());
    }
    let ids: Vec<u128> = places.keys().copied().collect();
    let found = client
        .lookup_transfers(&ids)
        .map_err(LoadError::client("transfers in doubt could not be looked up"))?;
    for transfer in found {
        if let Some(index) = places.get(&transfer.id) {
            created.insert(*index);
        }
    }
    Ok(())
}

/// Compares every account with what it held before and what was acknowledged since.
pub(crate) fn verify(
    client: &mut Client,
    options: &BenchOptions,
    workload: &Workload,
    opening: Opening,
    created: &Created,
    observer: &dyn Observer,
) -> Result<(), LoadError> {
    let mut expected = opening.balances;
    add_created(options, workload, created, &mut expected)?;
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
        found.difference(&expected[index as usize]).map(|difference| (index, difference))
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

fn look_up(
    client: &mut Client,
    options: &BenchOptions,
    workload: &Workload,
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
                each(index, Balance::of(&account));
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
