//! Spending ids on the new node that the old one has as spent, so that nothing is paid there under one of them.
//!
//! A transfer of nothing between two accounts that are not there is refused, and its id is spent with that. It can be
//! sent at any time and any number of times: an id that is spent stays spent.

use super::{Books, Sender};
use crate::error::CliError;
use crate::movement::describe;
use crate::names::id_text;
use mizan_wire::{CreateTransferStatus, Operation, Status, Transfer};

impl Sender<'_> {
    /// Spends every spent id of the export.
    pub(super) fn spend(&mut self, books: &Books) -> Result<(), CliError> {
        self.send_spent(books, |outcome, id, status| {
            use CreateTransferStatus as S;
            match S::from_number(status) {
                Some(S::IdAlreadyFailed) => outcome.spent_already += 1,
                Some(known) if known.is_transient() => outcome.spent_now += 1,
                _ => {
                    let (name, meaning) = describe(status);
                    let id = id_text(id);
                    let text = format!("id {id} could not be spent ({name}): {meaning}");
                    return Err(CliError::Problem(text));
                }
            }
            Ok(())
        })
    }

    /// Asks of every spent id whether it is spent now.
    pub(super) fn check_spent(&mut self, books: &Books) -> Result<(), CliError> {
        self.send_spent(books, |outcome, id, status| {
            if status != CreateTransferStatus::IdAlreadyFailed as u32 {
                outcome.unspent.push(id);
            }
            Ok(())
        })
    }

    fn send_spent(
        &mut self,
        books: &Books,
        mut take: impl FnMut(&mut super::Outcome, u128, u32) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let [debit_account_id, credit_account_id] = books.absent_accounts();
        let size = self.client.events_max_of(Operation::CreateTransfers).max(1) as usize;
        for ids in books.spent_ids.chunks(size) {
            let to_event = |id: &u128| Transfer {
                id: *id,
                debit_account_id,
                credit_account_id,
                ledger: 1,
                code: 1,
                ..Transfer::default()
            };
            let events: Vec<Transfer> = ids.iter().map(to_event).collect();
            let results = self.client.create_transfers(&events)?;
            for (id, result) in std::iter::zip(ids, results) {
                take(&mut self.outcome, *id, result.status)?;
            }
            self.bar.inc(ids.len() as u64);
        }
        Ok(())
    }
}
