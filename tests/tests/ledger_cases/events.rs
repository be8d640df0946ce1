//! Turns the plan of an event into the event, given the state that it meets.

use super::plan::{AccountPlan, Kind, OwnTime, PLACE_MAX, RegistryPlan, TransferPlan};
use mizan_model::Model;
use mizan_wire::{
    Account, AccountFlags as A, CreateCode, CreateLedger, Transfer, TransferFlags as F, write_name,
};
use zerocopy::FromZeros;

fn own_time(own_time: OwnTime, index: u64, model: &Model) -> u64 {
    let account = |place: usize| model.accounts().nth(place).map_or(0, |account| account.timestamp);
    let transfer = |place: usize| model.transfers().nth(place).map_or(0, |found| found.timestamp);
    let newest_account = account(model.accounts().count().saturating_sub(1));
    let newest_transfer = model.transfers().last().map_or(0, |found| found.timestamp);
    match own_time {
        OwnTime::Zero => 0,
        OwnTime::Absolute(timestamp) => timestamp.into(),
        OwnTime::AfterAll(by) => newest_account.max(newest_transfer) + u64::from(by) + index,
        OwnTime::AfterTransfers(by) => newest_transfer + u64::from(by) + index,
        OwnTime::AfterAccounts(by) => newest_account + u64::from(by) + index,
        OwnTime::OfAccount(place) => account(place.into()),
        OwnTime::OfTransfer(place) => transfer(place.into()),
        OwnTime::Now(by) => model.timestamp() + u64::from(by),
        OwnTime::Huge => u64::MAX - index,
    }
}

pub(crate) fn account(plan: &AccountPlan, index: u64, model: &Model) -> Account {
    let user_data = plan.user_data;
    let mut account = Account {
        id: plan.id.into(),
        user_data_128: user_data.into(),
        user_data_64: user_data.into(),
        user_data_32: user_data.into(),
        ledger: plan.ledger.into(),
        code: plan.code.into(),
        flags: plan.flags,
        ..Account::default()
    };
    let stored = plan.copies.and_then(|place| model.accounts().nth(place.into()));
    if let Some(stored) = stored {
        account = Account {
            id: stored.id,
            user_data_128: stored.user_data_128,
            user_data_64: stored.user_data_64,
            user_data_32: stored.user_data_32,
            ledger: stored.ledger,
            code: stored.code,
            flags: stored.flags,
            ..Account::default()
        };
    }
    if account.flags & A::IMPORTED != 0 {
        account.timestamp = own_time(plan.own_time, index, model);
    }
    match plan.fault {
        None => {}
        Some(0) => account.reserved = 1,
        Some(1) => account.flags |= 1 << 9,
        Some(2) => account.id = 0,
        Some(3) => account.id = u128::MAX,
        Some(4) => account.id = 0xFFFE << 112,
        Some(5) => account.flags ^= A::HISTORY,
        Some(6) => account.user_data_128 += 1,
        Some(7) => account.user_data_64 += 1,
        Some(8) => account.user_data_32 += 1,
        Some(9) => account.ledger += 1,
        Some(10) => account.code += 1,
        Some(11) => account.debits_pending = 1,
        Some(12) => account.debits_posted = 1,
        Some(13) => account.credits_pending = 1,
        Some(14) => account.credits_posted = 1,
        Some(15) => account.ledger = 0,
        Some(16) => account.code = 0,
        Some(_) => account.timestamp ^= 1,
    }
    account
}

pub(crate) fn transfer(plan: &TransferPlan, index: u64, model: &Model) -> Transfer {
    let accounts: Vec<&Account> = model.accounts().collect();
    let account_id = |place: u8| match accounts.get(usize::from(place) % accounts.len().max(1)) {
        Some(account) if place <= PLACE_MAX => account.id,
        _ => u128::from(place),
    };
    let ledger_of = |id: u128| {
        accounts.iter().find(|account| account.id == id).map_or(1, |account| account.ledger)
    };
    let (dr, mut cr) = (account_id(plan.dr), account_id(plan.cr));
    if dr == cr {
        cr = account_id(plan.cr.saturating_add(1));
    }
    let mut transfer = Transfer {
        id: plan.id.into(),
        debit_account_id: dr,
        credit_account_id: cr,
        amount: plan.amount,
        user_data_128: plan.user_data.into(),
        user_data_64: plan.user_data.into(),
        user_data_32: plan.user_data.into(),
        ledger: 1,
        code: 1,
        flags: plan.flags,
        ..Transfer::default()
    };
    match plan.kind {
        // Closing without a hold is refused: seldom is often enough.
        Kind::Plain if plan.user_data != 0 => {
            transfer.flags &= !(F::CLOSING_DEBIT | F::CLOSING_CREDIT);
        }
        Kind::Plain => {}
        Kind::Hold => {
            transfer.flags |= F::PENDING;
            transfer.timeout = plan.timeout;
        }
        Kind::Post(back) | Kind::Void(back) => post_or_void(plan, back, &mut transfer, model),
        Kind::Copy(back) => copy(plan, back, &mut transfer, model),
    }
    if matches!(plan.kind, Kind::Plain | Kind::Hold) {
        transfer.ledger = ledger_of(transfer.debit_account_id);
    }
    if transfer.flags & F::IMPORTED != 0 {
        transfer.timestamp = own_time(plan.own_time, index, model);
    }
    spoil(plan, &mut transfer, model);
    transfer
}

fn post_or_void(plan: &TransferPlan, back: u8, transfer: &mut Transfer, model: &Model) {
    let is_post = matches!(plan.kind, Kind::Post(_));
    let mut holds: Vec<_> =
        model.transfers().filter(|stored| stored.flags & F::PENDING != 0).collect();
    holds.reverse();
    let hold = holds.get(usize::from(back) % holds.len().max(1)).copied();
    transfer.pending_id = hold.map_or(u128::from(plan.id) + 1, |hold| hold.id);
    transfer.flags &= F::LINKED | F::IMPORTED;
    transfer.flags |= if is_post { F::POST_PENDING } else { F::VOID_PENDING };
    let takes_all = plan.user_data == 0 || (!is_post && plan.amount != 3);
    if takes_all {
        transfer.amount = if is_post { u128::MAX } else { 0 };
    } else if let Some(hold) = hold.filter(|_| plan.user_data == 1) {
        transfer.amount = hold.amount / 2;
    }
    let named = hold.filter(|_| plan.names_all).copied().unwrap_or_default();
    transfer.debit_account_id = named.debit_account_id;
    transfer.credit_account_id = named.credit_account_id;
    transfer.ledger = named.ledger;
    transfer.code = named.code;
}

fn copy(plan: &TransferPlan, back: u8, transfer: &mut Transfer, model: &Model) {
    let stored: Vec<_> = model.transfers().collect();
    let place = stored.len().checked_sub(1 + usize::from(back));
    let Some(place) = place else { return };
    *transfer = Transfer { timestamp: 0, ..*stored[place] };
    let is_post_or_void = transfer.flags & (F::POST_PENDING | F::VOID_PENDING) != 0;
    if is_post_or_void && !plan.names_all {
        *transfer = Transfer {
            id: transfer.id,
            pending_id: transfer.pending_id,
            flags: transfer.flags,
            amount: if transfer.flags & F::POST_PENDING != 0 { u128::MAX } else { 0 },
            ..Transfer::default()
        };
    }
}

/// Makes one thing wrong, or different from what is stored.
fn spoil(plan: &TransferPlan, transfer: &mut Transfer, model: &Model) {
    match plan.fault {
        None => {}
        Some(0) => transfer.flags |= 1 << 12,
        Some(1) => transfer.id = 0,
        Some(2) => transfer.id = u128::MAX,
        Some(3) => transfer.id = 0xFFFE << 112 | 5,
        Some(4) => transfer.flags ^= F::PENDING,
        Some(5) => transfer.pending_id = model.transfers().next().map_or(0, |stored| stored.id),
        Some(6) => transfer.timeout ^= 1,
        Some(7) => transfer.debit_account_id += 1,
        Some(8) => transfer.credit_account_id += 1,
        Some(9) => transfer.amount = transfer.amount.wrapping_sub(1),
        Some(10) => transfer.user_data_128 += 1,
        Some(11) => transfer.user_data_64 += 1,
        Some(12) => transfer.user_data_32 += 1,
        Some(13) => transfer.ledger += 1,
        Some(14) => transfer.code += 1,
        Some(15) => transfer.debit_account_id = 0,
        Some(16) => transfer.debit_account_id = u128::MAX,
        Some(17) => transfer.credit_account_id = 0,
        Some(18) => transfer.credit_account_id = u128::MAX,
        Some(19) => transfer.credit_account_id = transfer.debit_account_id,
        Some(20) => transfer.pending_id = transfer.id,
        Some(21) => transfer.pending_id = u128::MAX,
        Some(22) => transfer.code = 0,
        Some(23) => transfer.ledger = 0,
        Some(24) => transfer.timestamp ^= 1,
        Some(_) => transfer.flags ^= F::POST_PENDING,
    }
}

pub(crate) fn ledger(plan: &RegistryPlan) -> CreateLedger {
    let mut record = CreateLedger::new_zeroed();
    record.ledger = plan.number.into();
    record.scale = plan.grade;
    record.currency = write_name(plan.currency).expect("the currency fits");
    record.name = write_name(plan.name).expect("the name fits");
    match plan.fault {
        None => {}
        Some(0) => record.timestamp = 1,
        Some(1) => record.reserved_2[3] = 1,
        Some(2) => record.name[63] = 1,
        Some(_) => record.name[0] = 0xFF,
    }
    record
}

pub(crate) fn code(plan: &RegistryPlan) -> CreateCode {
    let mut record = CreateCode::new_zeroed();
    record.code = plan.number.into();
    record.class = plan.grade;
    record.name = write_name(plan.name).expect("the name fits");
    match plan.fault {
        None => {}
        Some(0) => record.timestamp = 1,
        Some(1) => record.reserved[28] = 1,
        Some(2) => record.name[63] = 1,
        Some(_) => record.name[0] = 0xFF,
    }
    record
}
