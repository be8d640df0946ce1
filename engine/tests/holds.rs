//! Behaviour of holds: post, void, expiry, closing.

mod common;

use common::*;
use mizan_wire::{AccountFlags, CreateTransferStatus as Status, Transfer, TransferFlags};

const PENDING: u16 = TransferFlags::PENDING;
const POST: u16 = TransferFlags::POST_PENDING;
const VOID: u16 = TransferFlags::VOID_PENDING;

fn with_accounts() -> Log {
    let mut log = Log::new();
    log.accounts(&[account(1), account(2), account(3)]);
    log
}

fn timed(id: u128, amount: u128, timeout: u32) -> Transfer {
    Transfer { timeout, ..transfer_with(id, 1, 2, amount, PENDING) }
}

#[test]
fn a_post_moves_a_part_and_gives_the_rest_back() {
    let mut log = with_accounts();
    let pending =
        Transfer { user_data_64: 5, user_data_32: 6, ..transfer_with(1, 1, 2, 100, PENDING) };
    assert_eq!(log.transfer(pending), CREATED);
    assert_eq!(log.balances(1), [100, 0, 0, 0]);
    let post = Transfer { user_data_32: 7, ..resolution(2, 1, 60, POST) };
    assert_eq!(log.transfer(post), CREATED);
    assert_eq!(log.balances(1), [0, 60, 0, 0]);
    assert_eq!(log.balances(2), [0, 0, 0, 60]);
    let stored = log.find_transfer(2).unwrap();
    assert_eq!((stored.debit_account_id, stored.credit_account_id), (1, 2));
    assert_eq!((stored.ledger, stored.code, stored.amount), (1, 1, 60));
    assert_eq!((stored.user_data_64, stored.user_data_32), (5, 7));
    assert_eq!(log.transfer(post), Status::Exists as u32);
    let different = resolution(2, 1, 60, POST);
    assert_eq!(log.transfer(different), Status::ExistsWithDifferentUserData32 as u32);
    let again = resolution(3, 1, 60, POST);
    assert_eq!(log.transfer(again), Status::PendingTransferAlreadyPosted as u32);
}

#[test]
fn the_whole_amount_is_named_by_zero_in_a_void_and_by_the_maximum_in_a_post() {
    let mut log = with_accounts();
    log.transfers(&[transfer_with(1, 1, 2, 9, PENDING), transfer_with(2, 1, 2, 8, PENDING)]);
    log.transfer(transfer_with(3, 1, 2, 7, PENDING));
    let statuses = log.transfers(&[
        resolution(10, 1, u128::MAX, POST),
        resolution(11, 2, 0, VOID),
        resolution(12, 3, 0, POST),
    ]);
    assert_eq!(statuses, [CREATED; 3]);
    assert_eq!(log.balances(1), [0, 9, 0, 0]);
    let amounts: Vec<u128> = (10..=12).map(|id| log.find_transfer(id).unwrap().amount).collect();
    assert_eq!(amounts, [9, 8, 0]);
    assert_eq!(log.transfer(resolution(10, 1, u128::MAX, POST)), Status::Exists as u32);
    assert_eq!(log.transfer(resolution(10, 1, 9, POST)), Status::Exists as u32);
    assert_eq!(log.transfer(resolution(11, 2, 0, VOID)), Status::Exists as u32);
    let voided = resolution(13, 2, u128::MAX, POST);
    assert_eq!(log.transfer(voided), Status::PendingTransferAlreadyVoided as u32);
}

#[test]
fn posts_and_voids_are_refused_in_the_order_of_precedence() {
    let mut log = with_accounts();
    log.transfers(&[transfer_with(1, 1, 2, 100, PENDING), transfer(2, 1, 2, 1)]);
    let given = |event: Transfer| Transfer { ledger: 9, code: 9, amount: 101, ..event };
    let cases = [
        (resolution(9, 0, 0, POST | VOID), Status::FlagsAreMutuallyExclusive),
        (
            resolution(9, 0, 0, POST | TransferFlags::CLOSING_DEBIT),
            Status::FlagsAreMutuallyExclusive,
        ),
        (resolution(9, 0, 0, VOID), Status::PendingIdMustNotBeZero),
        (resolution(9, u128::MAX, 0, VOID), Status::PendingIdMustNotBeIntMax),
        (Transfer { timeout: 1, ..resolution(9, 9, 0, VOID) }, Status::PendingIdMustBeDifferent),
        (
            Transfer { timeout: 1, ..resolution(9, 8, 0, VOID) },
            Status::TimeoutReservedForPendingTransfer,
        ),
        (resolution(9, 2, 0, VOID), Status::PendingTransferNotPending),
        (
            given(Transfer {
                debit_account_id: 2,
                credit_account_id: 1,
                ..resolution(9, 1, 0, POST)
            }),
            Status::PendingTransferHasDifferentDebitAccountId,
        ),
        (
            given(Transfer {
                debit_account_id: 1,
                credit_account_id: 1,
                ..resolution(9, 1, 0, POST)
            }),
            Status::PendingTransferHasDifferentCreditAccountId,
        ),
        (given(resolution(9, 1, 0, POST)), Status::PendingTransferHasDifferentLedger),
        (
            Transfer { ledger: 1, ..given(resolution(9, 1, 0, POST)) },
            Status::PendingTransferHasDifferentCode,
        ),
        (resolution(9, 1, 101, POST), Status::ExceedsPendingTransferAmount),
        (resolution(9, 1, 99, VOID), Status::PendingTransferHasDifferentAmount),
    ];
    for (event, status) in cases {
        assert_eq!(log.transfer(event), status as u32, "{status:?}");
    }
    assert_eq!(log.balances(1), [100, 1, 0, 0]);
    assert_eq!(log.transfer(resolution(9, 8, 0, VOID)), Status::PendingTransferNotFound as u32);
    assert_eq!(log.transfer(resolution(9, 1, 0, VOID)), Status::IdAlreadyFailed as u32);
}

#[test]
fn a_hold_ends_when_its_time_has_come_and_not_before() {
    let mut log = with_accounts();
    assert_eq!(log.engine.next_due_ns(), None);
    assert_eq!(log.transfers(&[timed(1, 10, 2), timed(2, 20, 1)]), [CREATED; 2]);
    let first = log.engine.timestamp() - 1;
    assert_eq!(log.engine.next_due_ns(), Some(first + 1 + SECOND_NS));
    assert_eq!(log.tick(first + SECOND_NS), 0);
    assert_eq!(log.balances(1), [30, 0, 0, 0]);
    assert_eq!(log.tick(first + 1 + SECOND_NS), 1);
    assert_eq!(log.balances(1), [10, 0, 0, 0]);
    assert_eq!(log.engine.next_due_ns(), Some(first + 2 * SECOND_NS));
    assert_eq!(log.transfer(resolution(3, 2, 20, POST)), Status::PendingTransferExpired as u32);
    assert_eq!(log.tick(first + 3 * SECOND_NS), 1);
    assert_eq!((log.balances(1), log.balances(2)), ([0; 4], [0; 4]));
    assert_eq!((log.engine.next_due_ns(), log.engine.status().hold_count), (None, 0));
}

#[test]
fn a_hold_that_is_due_answers_expired_before_it_is_released() {
    let mut log = with_accounts();
    log.transfer(timed(1, 10, 1));
    let due = log.engine.next_due_ns().unwrap();
    log.clock_ns = due - 1;
    let statuses = log.transfers(&[timed(2, 5, 9), resolution(3, 1, 10, POST)]);
    assert_eq!(statuses, [CREATED, Status::PendingTransferExpired as u32]);
    assert_eq!(log.balances(1), [15, 0, 0, 0]);
    assert_eq!(log.tick(0), 1);
    assert_eq!(log.balances(1), [5, 0, 0, 0]);
}

#[test]
fn a_resolved_hold_is_not_due_any_more() {
    let mut log = with_accounts();
    log.transfers(&[timed(1, 10, 1), timed(2, 20, 1), timed(3, 30, 1)]);
    log.transfers(&[resolution(4, 2, 0, VOID), resolution(5, 1, 10, POST)]);
    assert_eq!(log.tick(CLOCK_NS + 10 * SECOND_NS), 1);
    assert_eq!(log.balances(1), [0, 10, 0, 0]);
}

#[test]
fn a_closing_transfer_closes_until_it_is_voided_or_expires() {
    let mut log = with_accounts();
    log.transfer(transfer_with(1, 1, 2, 5, PENDING));
    let closing = TransferFlags::CLOSING_DEBIT | TransferFlags::CLOSING_CREDIT;
    let close = |id| timed(id, 0, 1);
    let close = |id| Transfer { flags: PENDING | closing, ..close(id) };
    assert_eq!(log.transfer(close(2)), CREATED);
    assert_eq!(log.account(1).flags & AccountFlags::CLOSED, AccountFlags::CLOSED);
    let (debit, credit) =
        (Status::DebitAccountAlreadyClosed as u32, Status::CreditAccountAlreadyClosed as u32);
    let statuses = log.transfers(&[
        transfer(3, 1, 3, 1),
        transfer(4, 3, 2, 1),
        resolution(5, 2, 0, POST),
        resolution(6, 1, 5, POST),
        resolution(7, 1, 5, VOID),
        resolution(8, 2, 0, VOID),
        transfer(9, 1, 2, 1),
    ]);
    assert_eq!(statuses, [debit, credit, debit, debit, CREATED, CREATED, CREATED]);
    assert_eq!(log.transfer(close(10)), CREATED);
    assert_eq!(log.account(2).flags, AccountFlags::CLOSED);
    assert_eq!(log.tick(CLOCK_NS + 10 * SECOND_NS), 1);
    assert_eq!((log.account(1).flags, log.account(2).flags), (0, 0));
    assert_eq!(
        log.transfer(transfer_with(11, 1, 2, 0, closing)),
        Status::ClosingTransferMustBePending as u32
    );
}

#[test]
fn the_void_of_a_failed_chain_is_undone_with_its_due_time_and_its_closing() {
    let mut log = with_accounts();
    let closing = PENDING | TransferFlags::CLOSING_DEBIT;
    log.transfer(Transfer { flags: closing, ..timed(1, 10, 5) });
    let due = log.engine.next_due_ns();
    let before = log.visible();
    let linked = TransferFlags::LINKED;
    let statuses = log.transfers(&[
        resolution(2, 1, 0, VOID | linked),
        transfer_with(3, 1, 2, 1, linked),
        transfer(4, 1, 2, 1 << 40),
        transfer_with(5, 3, 3, 1, linked),
    ]);
    assert_eq!(statuses[..3], [CREATED; 3]);
    assert_eq!(log.engine.next_due_ns(), None);
    log.transfer(Transfer { flags: closing, ..timed(11, 10, 5) });
    let held = log.visible();
    let statuses =
        log.transfers(&[resolution(12, 11, 0, VOID | linked), transfer_with(13, 3, 3, 1, 0)]);
    assert_eq!(statuses, [1, Status::AccountsMustBeDifferent as u32]);
    assert_eq!(log.visible(), held);
    assert!(log.engine.next_due_ns() > due);
    assert_ne!(before, held);
}

#[test]
fn more_due_holds_than_a_tick_performs_are_left_for_the_next_one() {
    let genesis = mizan_wire::Genesis {
        transfer_count_max: 18_000,
        hold_count_max: 9_000,
        ..small_genesis()
    };
    let mut log = Log::with(&genesis);
    log.accounts(&[account(1), account(2)]);
    let events: Vec<Transfer> = (1..=8_189).map(|id| timed(id, 1, 1)).collect();
    assert!(log.transfers(&events).iter().all(|status| *status == CREATED));
    assert_eq!(log.transfers(&[timed(8_190, 1, 1), timed(8_191, 1, 1)]), [CREATED; 2]);
    let late = CLOCK_NS + 10 * SECOND_NS;
    assert_eq!((log.tick(late), log.tick(late), log.tick(late)), (8_189, 2, 0));
    assert_eq!(log.engine.timestamp(), late + 8_189 + 2);
}
