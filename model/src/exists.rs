//! What a transfer whose id is stored already is told: that it is the same, or in what it differs.

use crate::create_transfers::has;
use crate::ledger::Ledger;
use mizan_wire::{CreateTransferStatus as S, Transfer, TransferFlags as F};

pub(crate) fn exists(t: &Transfer, e: &Transfer, ledger: &Ledger) -> S {
    if t.flags != e.flags {
        return S::ExistsWithDifferentFlags;
    }
    if t.pending_id != e.pending_id {
        return S::ExistsWithDifferentPendingId;
    }
    if t.timeout != e.timeout {
        return S::ExistsWithDifferentTimeout;
    }
    if has(t, F::POST_PENDING | F::VOID_PENDING) {
        let p = ledger.transfer(e.pending_id).expect("invariant: what was posted is stored");
        post_or_void_exists(t, e, p)
    } else {
        plain_exists(t, e)
    }
}

fn plain_exists(t: &Transfer, e: &Transfer) -> S {
    let is_balancing = has(t, F::BALANCING_DEBIT | F::BALANCING_CREDIT);
    // A balancing transfer was stored with what it could get, which is at most what was asked for.
    let amount_differs = if is_balancing { t.amount < e.amount } else { t.amount != e.amount };
    if t.debit_account_id != e.debit_account_id {
        S::ExistsWithDifferentDebitAccountId
    } else if t.credit_account_id != e.credit_account_id {
        S::ExistsWithDifferentCreditAccountId
    } else if amount_differs {
        S::ExistsWithDifferentAmount
    } else if t.user_data_128 != e.user_data_128 {
        S::ExistsWithDifferentUserData128
    } else if t.user_data_64 != e.user_data_64 {
        S::ExistsWithDifferentUserData64
    } else if t.user_data_32 != e.user_data_32 {
        S::ExistsWithDifferentUserData32
    } else if t.ledger != e.ledger {
        S::ExistsWithDifferentLedger
    } else if t.code != e.code {
        S::ExistsWithDifferentCode
    } else {
        S::Exists
    }
}

/// A field that was left out took over the pending transfer's value, so that is what it is compared with.
fn post_or_void_exists(t: &Transfer, e: &Transfer, p: &Transfer) -> S {
    let given_differs = |given: u128, stored: u128| given != 0 && given != stored;
    let differs = |given: u128, stored: u128, pending: u128| {
        if given == 0 { pending != stored } else { given != stored }
    };
    let all = if has(t, F::VOID_PENDING) { 0 } else { u128::MAX };
    let amount_differs = if t.amount == all { p.amount != e.amount } else { t.amount != e.amount };
    if given_differs(t.debit_account_id, e.debit_account_id) {
        S::ExistsWithDifferentDebitAccountId
    } else if given_differs(t.credit_account_id, e.credit_account_id) {
        S::ExistsWithDifferentCreditAccountId
    } else if amount_differs {
        S::ExistsWithDifferentAmount
    } else if differs(t.user_data_128, e.user_data_128, p.user_data_128) {
        S::ExistsWithDifferentUserData128
    } else if differs(t.user_data_64.into(), e.user_data_64.into(), p.user_data_64.into()) {
        S::ExistsWithDifferentUserData64
    } else if differs(t.user_data_32.into(), e.user_data_32.into(), p.user_data_32.into()) {
        S::ExistsWithDifferentUserData32
    } else if given_differs(t.ledger.into(), e.ledger.into()) {
        S::ExistsWithDifferentLedger
    } else if given_differs(t.code.into(), e.code.into()) {
        S::ExistsWithDifferentCode
    } else {
        S::Exists
    }
}
