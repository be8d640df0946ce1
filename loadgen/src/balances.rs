//! What the accounts must hold after what was acknowledged.

use crate::created::Created;
use crate::mix::BatchKind;
use crate::{BenchOptions, LoadError, Workload};
use mizan_wire::{Account, Transfer, TransferFlags};

/// The four balances of one account.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Balance {
    pub(crate) debits_pending: u128,
    pub(crate) debits_posted: u128,
    pub(crate) credits_pending: u128,
    pub(crate) credits_posted: u128,
}

impl Balance {
    pub(crate) const fn of(account: &Account) -> Self {
        Self {
            debits_pending: account.debits_pending,
            debits_posted: account.debits_posted,
            credits_pending: account.credits_pending,
            credits_posted: account.credits_posted,
        }
    }

    /// The first side on which the balances differ: its name, what was found, what was expected.
    pub(crate) fn difference(&self, expected: &Self) -> Option<(&'static str, u128, u128)> {
        [
            ("posted debits", self.debits_posted, expected.debits_posted),
            ("posted credits", self.credits_posted, expected.credits_posted),
            ("pending debits", self.debits_pending, expected.debits_pending),
            ("pending credits", self.credits_pending, expected.credits_pending),
        ]
        .into_iter()
        .find(|(_, found, expected)| found != expected)
    }
}

/// Adds to the balances everything that was created.
///
/// Makes every batch once more, which is cheaper than keeping what was in it.
///
/// # Errors
/// A post or void is acknowledged whose hold is not.
pub(crate) fn add_created(
    options: &BenchOptions,
    workload: &Workload,
    created: &Created,
    balances: &mut [Balance],
) -> Result<(), LoadError> {
    let (mut transfers, mut holds) = (Vec::new(), Vec::new());
    let batches = created.end().div_ceil(u64::from(options.batch));
    for batch_index in 0..batches.min(options.batch_count()) {
        let count = options.batch_size(batch_index) as usize;
        let first = batch_index * u64::from(options.batch);
        transfers.clear();
        workload.each(batch_index, count, |transfer| transfers.push(transfer));
        holds.clear();
        if workload.kind(batch_index) == BatchKind::Resolutions {
            workload.each(batch_index - 1, count, |hold| holds.push(hold));
        }
        for (place, transfer) in transfers.iter().enumerate() {
            if !created.contains(first + place as u64) {
                continue;
            }
            let hold = if transfer.pending_id == 0 { None } else { holds.get(place) };
            let hold_index = first.wrapping_sub(u64::from(options.batch)) + place as u64;
            if hold.is_some() && !created.contains(hold_index) {
                let what = "a post or void of a hold that was not created was acknowledged";
                return Err(LoadError::AnswerWrong { what, batch_index, place });
            }
            add(workload, balances, transfer, hold);
        }
    }
    Ok(())
}

fn add(
    workload: &Workload,
    balances: &mut [Balance],
    transfer: &Transfer,
    hold: Option<&Transfer>,
) {
    let held = hold.map_or(0, |hold| hold.amount);
    let (pending, posted) = match transfer.flags {
        TransferFlags::PENDING => (transfer.amount, 0),
        TransferFlags::VOID_PENDING => (0, 0),
        _ => (0, transfer.amount),
    };
    if let Some(debit) = workload.account_index(transfer.debit_account_id) {
        let balance = &mut balances[debit as usize];
        balance.debits_pending = balance.debits_pending + pending - held;
        balance.debits_posted += posted;
    }
    if let Some(credit) = workload.account_index(transfer.credit_account_id) {
        let balance = &mut balances[credit as usize];
        balance.credits_pending = balance.credits_pending + pending - held;
        balance.credits_posted += posted;
    }
}
