//! What is asked of the node. A workload is a pure function from the number of a batch to its content.

use crate::BenchOptions;
use crate::constants::AMOUNT_MAX;
use crate::random::Random;
use mizan_wire::Transfer;

/// A source of batches.
pub trait Workload: Sync {
    /// Writes this batch into `transfers`, which holds whatever was there before. Batches may be asked for in any
    /// order, on any thread, and more than once; the answer is always the same.
    fn fill(&self, batch_index: u64, transfers: &mut [Transfer]);
}

/// Transfers between two different accounts, all pairs alike likely, of 1 to 1,000 units.
#[derive(Clone, Copy, Debug)]
pub struct UniformTransfers {
    seed: u64,
    batch: u64,
    accounts: u64,
    account_id_base: u128,
    transfer_id_base: u128,
    ledger: u32,
    code: u16,
}

impl UniformTransfers {
    /// The workload of these options. Without a base in the options, ids begin at the present time.
    #[must_use]
    pub fn new(options: &BenchOptions) -> Self {
        // The lower 64 bits count the transfers, so that a run's ids ascend without a gap.
        let fresh_base = || mizan_client::id() & !u128::from(u64::MAX);
        Self {
            seed: options.seed,
            batch: u64::from(options.batch),
            accounts: options.accounts,
            account_id_base: account_id_base(options.seed, options.ledger),
            transfer_id_base: options.transfer_id_base.unwrap_or_else(fresh_base),
            ledger: options.ledger,
            code: options.code,
        }
    }

    /// The id of an account.
    #[must_use]
    pub const fn account_id(&self, account_index: u64) -> u128 {
        self.account_id_base + 1 + account_index as u128
    }

    /// The index of an account, if the id is that of one.
    #[must_use]
    pub fn account_index(&self, id: u128) -> Option<u64> {
        let index = id.checked_sub(self.account_id_base)?.checked_sub(1)?;
        u64::try_from(index).ok().filter(|index| *index < self.accounts)
    }

    /// The id of the first transfer of a batch; the others follow without a gap.
    #[must_use]
    pub const fn first_id(&self, batch_index: u64) -> u128 {
        self.transfer_id_base.wrapping_add(1 + batch_index as u128 * self.batch as u128)
    }
}

impl Workload for UniformTransfers {
    fn fill(&self, batch_index: u64, transfers: &mut [Transfer]) {
        let mut random = Random::of_part(self.seed, batch_index);
        let template = Transfer { ledger: self.ledger, code: self.code, ..Transfer::default() };
        let mut id = self.first_id(batch_index);
        for transfer in transfers {
            let debit = random.below(self.accounts);
            let distance = 1 + random.below(self.accounts - 1);
            let credit = (debit + distance) % self.accounts;
            *transfer = Transfer {
                id,
                debit_account_id: self.account_id(debit),
                credit_account_id: self.account_id(credit),
                amount: u128::from(1 + random.below(AMOUNT_MAX)),
                ..template
            };
            id = id.wrapping_add(1);
        }
    }
}

/// The top bit stays clear, so that no id is reserved.
fn account_id_base(seed: u64, ledger: u32) -> u128 {
    u128::from(Random::of_part(seed, u64::from(ledger)).next_u64() >> 1) << 64
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_wire::limits::id_is_reserved;

    fn workload(accounts: u64) -> UniformTransfers {
        let options = BenchOptions {
            accounts,
            batch: 100,
            transfer_id_base: Some(5_000),
            ..BenchOptions::default()
        };
        UniformTransfers::new(&options)
    }

    #[test]
    fn a_batch_is_the_same_whenever_it_is_asked_for() {
        let workload = workload(1_000);
        let mut first = [Transfer { flags: 7, ..Transfer::default() }; 100];
        let mut second = [Transfer::default(); 100];
        workload.fill(3, &mut first);
        workload.fill(4, &mut second);
        assert_ne!(first[0].debit_account_id, second[0].debit_account_id);
        workload.fill(3, &mut second);
        assert_eq!(first, second);
    }

    #[test]
    fn transfers_have_ascending_ids_and_two_different_accounts_of_the_run() {
        for accounts in [2, 3, 1_000] {
            let workload = workload(accounts);
            let mut transfers = [Transfer::default(); 100];
            workload.fill(2, &mut transfers);
            for (index, transfer) in transfers.iter().enumerate() {
                assert_eq!(transfer.id, 5_201 + index as u128);
                assert_ne!(transfer.debit_account_id, transfer.credit_account_id);
                assert!(workload.account_index(transfer.debit_account_id).is_some());
                assert!(workload.account_index(transfer.credit_account_id).is_some());
                assert!((1..=1_000).contains(&transfer.amount));
            }
        }
    }

    #[test]
    fn account_ids_are_usable_and_lead_back_to_their_index() {
        for seed in 0..1_000 {
            let options = BenchOptions { seed, ..BenchOptions::default() };
            let workload = UniformTransfers::new(&options);
            let id = workload.account_id(9_999);
            assert!(id != 0 && !id_is_reserved(id));
            assert_eq!(workload.account_index(id), Some(9_999));
            assert_eq!(workload.account_index(id + 1), None);
            assert!(!id_is_reserved(workload.first_id(0)));
        }
    }
}
