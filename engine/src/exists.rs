//! What a transfer with a known id is answered: it never moves anything twice, and says what differs.

use crate::id_table::IdHash;
use crate::ledger::LedgerState;
use crate::refusal::{Refusal, refuse_if};
use crate::resolved::Resolved;
use crate::transfers::KnownId;
use mizan_wire::{CreateTransferStatus, Transfer, TransferFlags};

use CreateTransferStatus as Status;

const BALANCING: u16 = TransferFlags::BALANCING_DEBIT | TransferFlags::BALANCING_CREDIT;

impl LedgerState {
    /// Refuses an event whose id is stored or spent, here or among the old records.
    #[inline]
    pub(crate) fn check_repetition(
        &self,
        event: &Transfer,
        hash: IdHash,
        resolved: &Resolved<'_>,
    ) -> Result<(), Refusal> {
        match self.transfers.find(event.id, hash) {
            None => {}
            Some(KnownId::Burnt) => return Err(Status::IdAlreadyFailed.into()),
            Some(KnownId::Stored(slot)) => {
                let stored = self.transfer(&self.transfers.records[slot as usize]);
                return Err(self.repetition(event, &stored, resolved));
            }
        }
        if let Some((stored, _)) = resolved.find(event.id) {
            return Err(self.repetition(event, stored, resolved));
        }
        refuse_if(resolved.is_burnt(event.id), Status::IdAlreadyFailed)?;
        Ok(())
    }

    #[cold]
    fn repetition(&self, event: &Transfer, stored: &Transfer, resolved: &Resolved<'_>) -> Refusal {
        let difference = if event.flags != stored.flags {
            Err(Status::ExistsWithDifferentFlags)
        } else if event.pending_id != stored.pending_id {
            Err(Status::ExistsWithDifferentPendingId)
        } else if event.timeout != stored.timeout {
            Err(Status::ExistsWithDifferentTimeout)
        } else if stored.pending_id == 0 {
            compare(event, stored)
        } else {
            let pending = self.find_transfer(stored.pending_id, resolved);
            // A caller that forgot the pending transfer gets the stored event's own fields as its defaults.
            compare_resolution(event, stored, &pending.unwrap_or(*stored))
        };
        match difference {
            Err(status) => status.into(),
            Ok(()) => Refusal::exists(Status::Exists, stored.timestamp),
        }
    }

    fn find_transfer(&self, id: u128, resolved: &Resolved<'_>) -> Option<Transfer> {
        let slot = self.transfers.find_stored(id, self.transfers.table.hash(id));
        slot.map(|slot| self.transfer(&self.transfers.records[slot as usize]))
            .or_else(|| resolved.find(id).map(|(transfer, _)| *transfer))
    }
}

fn compare(event: &Transfer, stored: &Transfer) -> Result<(), Status> {
    let is_balancing = event.flags & BALANCING != 0;
    // The stored amount of a balancing transfer is what it could take, up to what was asked for.
    let amount_differs = match is_balancing {
        true => event.amount < stored.amount,
        false => event.amount != stored.amount,
    };
    refuse_if(
        event.debit_account_id != stored.debit_account_id,
        Status::ExistsWithDifferentDebitAccountId,
    )?;
    refuse_if(
        event.credit_account_id != stored.credit_account_id,
        Status::ExistsWithDifferentCreditAccountId,
    )?;
    refuse_if(amount_differs, Status::ExistsWithDifferentAmount)?;
    refuse_if(event.user_data_128 != stored.user_data_128, Status::ExistsWithDifferentUserData128)?;
    refuse_if(event.user_data_64 != stored.user_data_64, Status::ExistsWithDifferentUserData64)?;
    refuse_if(event.user_data_32 != stored.user_data_32, Status::ExistsWithDifferentUserData32)?;
    refuse_if(event.ledger != stored.ledger, Status::ExistsWithDifferentLedger)?;
    refuse_if(event.code != stored.code, Status::ExistsWithDifferentCode)
}

/// As [`compare`], for a post or void: a field that is left open stands for the pending transfer's.
fn compare_resolution(
    event: &Transfer,
    stored: &Transfer,
    pending: &Transfer,
) -> Result<(), Status> {
    let is_void = event.flags & TransferFlags::VOID_PENDING != 0;
    let whole_amount = if is_void { 0 } else { u128::MAX };
    let amount = if event.amount == whole_amount { pending.amount } else { event.amount };
    refuse_if(
        differs(event.debit_account_id, stored.debit_account_id),
        Status::ExistsWithDifferentDebitAccountId,
    )?;
    refuse_if(
        differs(event.credit_account_id, stored.credit_account_id),
        Status::ExistsWithDifferentCreditAccountId,
    )?;
    refuse_if(amount != stored.amount, Status::ExistsWithDifferentAmount)?;
    refuse_if(
        or(event.user_data_128, pending.user_data_128) != stored.user_data_128,
        Status::ExistsWithDifferentUserData128,
    )?;
    refuse_if(
        or(event.user_data_64, pending.user_data_64) != stored.user_data_64,
        Status::ExistsWithDifferentUserData64,
    )?;
    refuse_if(
        or(event.user_data_32, pending.user_data_32) != stored.user_data_32,
        Status::ExistsWithDifferentUserData32,
    )?;
    refuse_if(differs(event.ledger, stored.ledger), Status::ExistsWithDifferentLedger)?;
    refuse_if(differs(event.code, stored.code), Status::ExistsWithDifferentCode)
}

/// Whether a field was given, and is another.
pub(crate) fn differs<T: Copy + Default + PartialEq>(given: T, stored: T) -> bool {
    given != T::default() && given != stored
}

/// The given field, or the default where it was left open.
pub(crate) fn or<T: Copy + Default + PartialEq>(given: T, default: T) -> T {
    if given == T::default() { default } else { given }
}
