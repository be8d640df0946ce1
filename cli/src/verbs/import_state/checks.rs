//! What the rows of an export must agree in beyond the sums of accounts.

use super::books::State;
use crate::names::id_text;
use mizan_wire::limits::id_is_reserved;
use mizan_wire::{Account, AccountFlags, Transfer, TransferFlags};
use std::collections::HashMap;

const ENDS: u16 = TransferFlags::POST_PENDING | TransferFlags::VOID_PENDING;
const CLOSING: u16 = TransferFlags::CLOSING_DEBIT | TransferFlags::CLOSING_CREDIT;
const NOT_FOR_ENDS: u16 = TransferFlags::PENDING
    | TransferFlags::BALANCING_DEBIT
    | TransferFlags::BALANCING_CREDIT
    | CLOSING;
const LIMITS: u16 =
    AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS | AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS;

/// Checks transfers in the order of their rows: each id once, and each end of a hold with its hold.
#[derive(Default)]
pub(super) struct TransferChecks {
    ids: Vec<u128>,
    /// Holds that a later row must end: posted, or voided.
    ended: HashMap<u128, (Transfer, State)>,
}

impl TransferChecks {
    /// # Errors
    /// What the row contradicts.
    pub(super) fn take(&mut self, transfer: &Transfer, state: State) -> Result<(), String> {
        let Transfer { id, pending_id, flags, .. } = *transfer;
        if id == 0 || id == u128::MAX {
            return Err("no transfer has this id".to_owned());
        }
        self.ids.push(id);
        let is_pending = flags & TransferFlags::PENDING != 0;
        let ends = flags & ENDS;
        if ends == 0 {
            if pending_id != 0 {
                return Err("it names a hold, and neither posts nor voids it".to_owned());
            }
            if !is_pending && (transfer.timeout != 0 || flags & CLOSING != 0) {
                return Err("only a hold has a timeout or closes an account".to_owned());
            }
            if matches!(state, State::Posted | State::Voided) {
                self.ended.insert(id, (*transfer, state));
            }
            return Ok(());
        }
        if ends == ENDS || flags & NOT_FOR_ENDS != 0 {
            return Err("its flags exclude each other".to_owned());
        }
        let is_post = ends == TransferFlags::POST_PENDING;
        let wanted = if is_post { State::Posted } else { State::Voided };
        let (hold, state) = self.ended.remove(&pending_id).ok_or_else(|| {
            format!(
                "there is no hold {} before it that ended and that no other row ends",
                id_text(pending_id)
            )
        })?;
        let fields = |transfer: &Transfer| {
            let Transfer { debit_account_id, credit_account_id, ledger, code, .. } = *transfer;
            (debit_account_id, credit_account_id, ledger, code)
        };
        let amount_fits = match is_post {
            true => transfer.amount <= hold.amount,
            false => transfer.amount == hold.amount,
        };
        if state != wanted || fields(&hold) != fields(transfer) || !amount_fits {
            return Err(format!("it does not fit the hold {} that it ends", id_text(pending_id)));
        }
        Ok(())
    }

    /// Gives all ids in ascending order.
    ///
    /// # Errors
    /// What the rows contradict together.
    pub(super) fn finish(self) -> Result<Vec<u128>, String> {
        if let Some(id) = self.ended.keys().min() {
            let id = id_text(*id);
            return Err(format!("hold {id} was posted or voided, and no transfer says so"));
        }
        let mut ids = self.ids;
        ids.sort_unstable();
        match twice(&ids) {
            Some(id) => Err(format!("transfer {} stands there twice", id_text(id))),
            None => Ok(ids),
        }
    }
}

/// Checks ids that can never be used against those of transfers, which are sorted.
///
/// # Errors
/// What they contradict.
pub(super) fn check_spent_ids(spent: &[u128], transfers: &[u128]) -> Result<(), String> {
    let is_one = |id: u128| id != 0 && id != u128::MAX && !id_is_reserved(id);
    if let Some(id) = spent.iter().find(|id| !is_one(**id)) {
        return Err(format!("{} cannot be a spent id", id_text(*id)));
    }
    if let Some(id) = spent.iter().find(|id| transfers.binary_search(id).is_ok()) {
        return Err(format!("{} is a spent id and that of a transfer", id_text(*id)));
    }
    let mut sorted = spent.to_vec();
    sorted.sort_unstable();
    let twice = twice(&sorted).map(|id| format!("spent id {} stands there twice", id_text(id)));
    twice.map_or(Ok(()), Err)
}

fn twice(sorted: &[u128]) -> Option<u128> {
    sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

/// Whether an account's flags allow its balances; `is_held_closed` says that an open hold closes it.
///
/// # Errors
/// What they contradict.
pub(super) fn check_account_flags(
    account: &Account,
    is_held_closed: bool,
    has_transfers: bool,
) -> Result<(), &'static str> {
    let is_within = |pending: u128, posted: u128, cover: u128| {
        pending.checked_add(posted).is_some_and(|total| total <= cover)
    };
    let Account { flags, debits_posted, debits_pending, credits_posted, credits_pending, .. } =
        *account;
    if flags & LIMITS == LIMITS {
        return Err("its limits exclude each other");
    }
    let debits_fit = flags & AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS == 0
        || is_within(debits_pending, debits_posted, credits_posted);
    let credits_fit = flags & AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS == 0
        || is_within(credits_pending, credits_posted, debits_posted);
    if !debits_fit || !credits_fit {
        return Err("its balances are not within the limits of its flags");
    }
    let is_closed = flags & AccountFlags::CLOSED != 0;
    if is_closed != is_held_closed && (is_held_closed || has_transfers) {
        return Err("its flag closed does not fit its holds");
    }
    Ok(())
}
