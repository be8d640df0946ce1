//! Behaviour of accounts and plain transfers: movement, limits, repetition, chains, imports, capacity.

mod common;

use common::*;
use mizan_engine::{PendingState, Resolved};
use mizan_wire::{
    Account, AccountFlags, CreateAccountStatus as AccountStatus, CreateTransferStatus as Status,
    Genesis, Operation, Transfer, TransferFlags,
};

const LINKED: u16 = TransferFlags::LINKED;

fn with_accounts(count: u128) -> Log {
    let mut log = Log::new();
    let events: Vec<Account> = (1..=count).map(account).collect();
    assert!(log.accounts(&events).iter().all(|status| *status == CREATED));
    log
}

#[test]
fn a_transfer_moves_its_amount_between_the_posted_sums() {
    let mut log = with_accounts(2);
    let results = log.create(Operation::CreateTransfers, &[transfer(1, 1, 2, 25)]);
    assert_eq!((results[0].status, results[0].timestamp), (CREATED, log.engine.timestamp()));
    assert_eq!(log.balances(1), [0, 25, 0, 0]);
    assert_eq!(log.balances(2), [0, 0, 0, 25]);
    let stored = log.find_transfer(1).unwrap();
    assert_eq!(stored, Transfer { timestamp: results[0].timestamp, ..transfer(1, 1, 2, 25) });
}

#[test]
fn events_get_consecutive_numbers_and_batches_growing_ones() {
    let mut log = with_accounts(2);
    let first =
        log.create(Operation::CreateTransfers, &[transfer(1, 1, 2, 1), transfer(2, 1, 2, 1)]);
    assert_eq!(first[1].timestamp, first[0].timestamp + 1);
    let second = log.create(Operation::CreateTransfers, &[transfer(3, 1, 2, 1)]);
    assert_eq!(second[0].timestamp, first[1].timestamp + 1);
    log.clock_ns += 5 * SECOND_NS;
    let third = log.create(Operation::CreateTransfers, &[transfer(4, 1, 2, 1)]);
    assert_eq!(third[0].timestamp, log.clock_ns);
}

#[test]
fn the_same_transfer_again_is_answered_with_the_original_and_moves_nothing() {
    let mut log = with_accounts(2);
    let original = log.create(Operation::CreateTransfers, &[transfer(1, 1, 2, 25)])[0];
    let again = log.create(Operation::CreateTransfers, &[transfer(1, 1, 2, 25)])[0];
    assert_eq!((again.status, again.timestamp), (Status::Exists as u32, original.timestamp));
    let different = [
        (Transfer { flags: 2, ..transfer(1, 1, 2, 25) }, Status::ExistsWithDifferentFlags),
        (Transfer { pending_id: 9, ..transfer(1, 1, 2, 25) }, Status::ExistsWithDifferentPendingId),
        (Transfer { timeout: 9, ..transfer(1, 1, 2, 25) }, Status::ExistsWithDifferentTimeout),
        (transfer(1, 9, 2, 24), Status::ExistsWithDifferentDebitAccountId),
        (transfer(1, 1, 9, 24), Status::ExistsWithDifferentCreditAccountId),
        (transfer(1, 1, 2, 24), Status::ExistsWithDifferentAmount),
        (
            Transfer { user_data_128: 9, ..transfer(1, 1, 2, 25) },
            Status::ExistsWithDifferentUserData128,
        ),
        (
            Transfer { user_data_64: 9, ..transfer(1, 1, 2, 25) },
            Status::ExistsWithDifferentUserData64,
        ),
        (
            Transfer { user_data_32: 9, ..transfer(1, 1, 2, 25) },
            Status::ExistsWithDifferentUserData32,
        ),
        (Transfer { ledger: 9, ..transfer(1, 1, 2, 25) }, Status::ExistsWithDifferentLedger),
        (Transfer { code: 9, ..transfer(1, 1, 2, 25) }, Status::ExistsWithDifferentCode),
    ];
    for (event, status) in different {
        let result = log.create(Operation::CreateTransfers, &[event])[0];
        assert_eq!((result.status, result.timestamp), (status as u32, log.engine.timestamp()));
    }
    assert_eq!(log.balances(1), [0, 25, 0, 0]);
}

#[test]
fn an_id_that_failed_for_a_passing_reason_is_spent() {
    let mut log = Log::new();
    let limited = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS;
    log.accounts(&[account_with(1, limited), account(2)]);
    assert_eq!(log.transfer(transfer(1, 1, 2, 5)), Status::ExceedsCredits as u32);
    assert_eq!(log.transfer(transfer(2, 9, 2, 5)), Status::DebitAccountNotFound as u32);
    assert_eq!(log.transfer(transfer(3, 2, 2, 5)), Status::AccountsMustBeDifferent as u32);
    assert_eq!(log.transfer(transfer(4, 2, 1, 100)), CREATED);
    assert_eq!(log.transfer(transfer(1, 1, 2, 5)), Status::IdAlreadyFailed as u32);
    assert_eq!(log.transfer(transfer(2, 1, 2, 5)), Status::IdAlreadyFailed as u32);
    assert_eq!(log.transfer(transfer(3, 1, 2, 5)), CREATED);
    assert_eq!(log.find_transfer(1), None);
    assert_eq!(log.engine.status().burnt_id_count, 2);
    assert_eq!(log.balances(1), [0, 5, 0, 100]);
}

#[test]
fn limits_hold_on_both_sides_to_the_last_unit() {
    let mut log = Log::new();
    let debits = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS;
    let credits = AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS;
    log.accounts(&[account_with(1, debits), account_with(2, credits), account(3)]);
    let statuses = log.transfers(&[
        transfer(1, 3, 1, 100),
        transfer(2, 1, 3, 101),
        transfer(3, 1, 3, 100),
        transfer(4, 1, 3, 1),
        transfer(5, 3, 2, 1),
        transfer(6, 2, 3, 7),
        transfer_with(7, 3, 2, 7, TransferFlags::PENDING),
        transfer(8, 3, 2, 1),
    ]);
    let (short, over) = (Status::ExceedsCredits as u32, Status::ExceedsDebits as u32);
    assert_eq!(statuses, [CREATED, short, CREATED, short, over, CREATED, CREATED, over]);
    assert_eq!(log.balances(1), [0, 100, 0, 100]);
    assert_eq!(log.balances(2), [0, 7, 7, 0]);
}

#[test]
fn sums_that_would_not_fit_are_refused_and_leave_everything_as_it_was() {
    let mut log = with_accounts(4);
    let pending = TransferFlags::PENDING;
    let statuses = log.transfers(&[
        transfer(1, 1, 2, u128::MAX),
        transfer(2, 1, 3, 1),
        transfer(3, 3, 2, 1),
        transfer_with(4, 3, 4, u128::MAX, pending),
        transfer_with(5, 3, 1, 1, pending),
        transfer_with(6, 2, 4, 1, pending),
        transfer(7, 3, 1, 1),
        transfer(8, 2, 4, 1),
    ]);
    let expected = [
        CREATED,
        Status::OverflowsDebitsPosted as u32,
        Status::OverflowsCreditsPosted as u32,
        CREATED,
        Status::OverflowsDebitsPending as u32,
        Status::OverflowsCreditsPending as u32,
        Status::OverflowsDebits as u32,
        Status::OverflowsCredits as u32,
    ];
    assert_eq!(statuses, expected);
    assert_eq!(log.engine.status().burnt_id_count, 0);
}

#[test]
fn a_timeout_beyond_the_last_timestamp_is_refused() {
    let mut log = with_accounts(2);
    log.clock_ns = (1 << 63) - 2 * SECOND_NS;
    let pending = |id, timeout| Transfer { timeout, ..transfer_with(id, 1, 2, 1, 2) };
    assert_eq!(
        log.transfers(&[pending(1, 1), pending(2, 2)]),
        [CREATED, Status::OverflowsTimeout as u32]
    );
}

#[test]
fn a_balancing_transfer_takes_what_is_there() {
    let mut log = with_accounts(3);
    log.transfers(&[transfer(1, 3, 1, 50), transfer_with(2, 1, 3, 20, TransferFlags::PENDING)]);
    let debit = TransferFlags::BALANCING_DEBIT;
    let statuses = log.transfers(&[
        transfer_with(3, 1, 2, u128::MAX, debit),
        transfer_with(4, 1, 2, 5, debit),
        transfer_with(5, 2, 3, 100, TransferFlags::BALANCING_CREDIT),
    ]);
    assert_eq!(statuses, [CREATED; 3]);
    let amounts: Vec<u128> = (3..=5).map(|id| log.find_transfer(id).unwrap().amount).collect();
    assert_eq!(amounts, [30, 0, 30]);
    assert_eq!(log.transfer(transfer_with(3, 1, 2, 30, debit)), Status::Exists as u32);
    assert_eq!(log.transfer(transfer_with(3, 1, 2, u128::MAX, debit)), Status::Exists as u32);
    assert_eq!(
        log.transfer(transfer_with(3, 1, 2, 29, debit)),
        Status::ExistsWithDifferentAmount as u32
    );
}

#[test]
fn a_failed_chain_leaves_no_trace_but_its_results_and_the_spent_id() {
    let mut log = with_accounts(3);
    log.transfer(transfer_with(1, 1, 2, 10, TransferFlags::PENDING));
    let before = log.visible();
    let due = log.engine.next_due_ns();
    let timed =
        Transfer { timeout: 5, ..transfer_with(11, 1, 3, 7, LINKED | TransferFlags::PENDING) };
    let closing = LINKED | TransferFlags::PENDING | TransferFlags::CLOSING_CREDIT;
    let statuses = log.transfers(&[
        transfer_with(10, 1, 3, 5, LINKED),
        timed,
        transfer_with(12, 1, 2, 0, closing),
        resolution(13, 1, 0, LINKED | TransferFlags::VOID_PENDING),
        transfer_with(14, 9, 2, 1, LINKED),
        transfer(15, 1, 3, 1),
        transfer(16, 1, 3, 1),
    ]);
    assert_eq!(statuses, [1, 1, 1, 1, Status::DebitAccountNotFound as u32, 1, CREATED]);
    let after = log.visible();
    assert_eq!(after.1.len(), before.1.len() + 1);
    assert_eq!(after.0[1], before.0[1]);
    assert_eq!(log.balances(3), [0, 0, 0, 1]);
    assert_eq!((log.engine.next_due_ns(), log.engine.status().hold_count), (due, 1));
    assert_eq!(log.transfer(transfer(14, 1, 2, 1)), Status::IdAlreadyFailed as u32);
    assert_eq!(log.transfer(transfer(10, 1, 3, 1)), CREATED);
    assert_eq!(log.transfer(resolution(17, 1, 0, TransferFlags::VOID_PENDING)), CREATED);
}

#[test]
fn a_chain_without_an_end_is_named_at_its_last_event_even_when_it_is_broken() {
    let mut log = with_accounts(2);
    let open = Status::LinkedEventChainOpen as u32;
    let statuses = log.transfers(&[transfer(1, 1, 2, 1), transfer_with(2, 1, 2, 1, LINKED)]);
    assert_eq!(statuses, [CREATED, open]);
    let statuses = log.transfers(&[
        transfer_with(3, 1, 2, 1, LINKED),
        transfer_with(4, 1, 1, 1, LINKED),
        transfer_with(5, 1, 2, 1, LINKED),
    ]);
    assert_eq!(statuses, [1, Status::AccountsMustBeDifferent as u32, open]);
    assert_eq!(log.engine.status().transfer_count, 1);
}

#[test]
fn accounts_of_a_failed_chain_take_their_ledger_with_them() {
    let mut log = Log::new();
    let linked = |id, ledger| Account { ledger, ..account_with(id, AccountFlags::LINKED) };
    let statuses = log.accounts(&[linked(1, 10), linked(2, 20), linked(3, 30), account_with(0, 0)]);
    assert_eq!(statuses, [1, 1, 1, AccountStatus::IdMustNotBeZero as u32]);
    assert_eq!(log.engine.status().ledger_count, 0);
    let in_ledger = |id, ledger| Account { ledger, ..account(id) };
    let statuses = log.accounts(&[
        in_ledger(1, 5),
        in_ledger(2, 6),
        in_ledger(3, 7),
        in_ledger(4, 8),
        in_ledger(4, 6),
    ]);
    assert_eq!(statuses, [CREATED, CREATED, CREATED, AccountStatus::LedgersFull as u32, CREATED]);
    let ledgers: Vec<u32> = log.engine.trial_balance().iter().map(|row| row.ledger).collect();
    assert_eq!(ledgers, [5, 6, 7]);
}

#[test]
fn accounts_are_refused_in_the_order_of_precedence() {
    let mut log = Log::new();
    log.accounts(&[Account { user_data_64: 3, ..account(1) }]);
    let cases = [
        (Account { timestamp: 1, reserved: 1, ..account(1) }, AccountStatus::TimestampMustBeZero),
        (Account { reserved: 1, flags: 64, ..account(0) }, AccountStatus::ReservedField),
        (account_with(0, 64), AccountStatus::ReservedFlag),
        (account(u128::MAX), AccountStatus::IdMustNotBeIntMax),
        (account(0xFFFE << 112), AccountStatus::IdReserved),
        (
            Account { flags: 6, user_data_64: 4, ..account(1) },
            AccountStatus::ExistsWithDifferentFlags,
        ),
        (Account { ledger: 2, ..account(1) }, AccountStatus::ExistsWithDifferentUserData64),
        (
            Account { user_data_64: 3, code: 0, ..account(1) },
            AccountStatus::ExistsWithDifferentCode,
        ),
        (Account { user_data_64: 3, debits_posted: 1, ..account(1) }, AccountStatus::Exists),
        (
            Account { flags: 6, debits_pending: 1, ..account(2) },
            AccountStatus::FlagsAreMutuallyExclusive,
        ),
        (
            Account { credits_posted: 1, ledger: 0, ..account(2) },
            AccountStatus::CreditsPostedMustBeZero,
        ),
        (Account { ledger: 0, code: 0, ..account(2) }, AccountStatus::LedgerMustNotBeZero),
        (Account { code: 0, ..account(2) }, AccountStatus::CodeMustNotBeZero),
    ];
    for (event, status) in cases {
        assert_eq!(log.accounts(&[event]), [status as u32], "{status:?}");
    }
}

#[test]
fn imported_events_keep_their_own_timestamps_and_their_order() {
    let mut log = Log::new();
    let imported = AccountFlags::IMPORTED;
    let old = |id, timestamp| Account { timestamp, ..account_with(id, imported) };
    let results = log.create(
        Operation::CreateAccounts,
        &[
            old(1, 100),
            old(2, 200),
            old(3, 150),
            old(4, 0),
            old(5, u64::MAX),
            old(6, CLOCK_NS * 2),
            account(7),
        ],
    );
    let pairs: Vec<_> = results.iter().map(|result| (result.timestamp, result.status)).collect();
    let last = log.engine.timestamp();
    assert_eq!(pairs[..3], [(100, CREATED), (200, CREATED), (150, 26)]);
    assert_eq!(pairs[3..], [(0, 24), (u64::MAX, 24), (CLOCK_NS * 2, 25), (last, 22)]);
    assert_eq!(log.account(2).timestamp, 200);
    let old = |id, timestamp| Transfer {
        timestamp,
        ..transfer_with(id, 1, 2, 1, TransferFlags::IMPORTED)
    };
    let statuses =
        log.transfers(&[old(1, 150), old(2, 200), old(3, 201), old(4, 201), transfer(5, 1, 2, 1)]);
    let expected = [
        Status::ImportedEventTimestampMustPostdateCreditAccount as u32,
        Status::ImportedEventTimestampMustNotRegress as u32,
        CREATED,
        Status::ImportedEventTimestampMustNotRegress as u32,
        Status::ImportedEventExpected as u32,
    ];
    assert_eq!(statuses, expected);
    let statuses = log.accounts(&[Account { timestamp: 201, ..account_with(9, imported) }]);
    assert_eq!(statuses, [AccountStatus::ImportedEventTimestampMustNotRegress as u32]);
    let again = log.create(Operation::CreateTransfers, &[old(3, 300)]);
    assert_eq!((again[0].status, again[0].timestamp), (Status::Exists as u32, 201));
    assert_eq!(log.transfers(&[transfer(6, 1, 2, 1), old(7, 300)]), [CREATED, 57]);
}

#[test]
fn a_failed_chain_of_imported_events_has_one_result_per_event() {
    let mut log = with_accounts(2);
    let imported = |id, timestamp, flags| Transfer {
        timestamp,
        ..transfer_with(id, 1, 2, 1, TransferFlags::IMPORTED | flags)
    };
    log.clock_ns += SECOND_NS;
    let first = log.engine.timestamp() + 1;
    let events = [
        imported(1, first, 0),
        imported(2, first + 1, LINKED),
        imported(3, first + 2, LINKED),
        imported(4, first + 2, 0),
        imported(5, first + 2, 0),
    ];
    let results = log.create(Operation::CreateTransfers, &events);
    let pairs: Vec<_> = results.iter().map(|result| (result.timestamp, result.status)).collect();
    let regresses = Status::ImportedEventTimestampMustNotRegress as u32;
    let expected = [
        (first, CREATED),
        (first + 1, 1),
        (first + 2, 1),
        (first + 2, regresses),
        (first + 2, CREATED),
    ];
    assert_eq!(pairs, expected);
    assert_eq!(log.output.result_count, 5);
}

#[test]
fn what_does_not_fit_is_refused_with_a_number_and_the_rest_goes_on() {
    let genesis = Genesis {
        account_count_max: 2,
        transfer_count_max: 4,
        hold_count_max: 1,
        ..small_genesis()
    };
    let mut log = Log::with(&genesis);
    assert_eq!(
        log.accounts(&[account(1), account(2), account(3), account(1)]),
        [CREATED, CREATED, AccountStatus::AccountsFull as u32, AccountStatus::Exists as u32]
    );
    let pending = TransferFlags::PENDING;
    let statuses = log.transfers(&[
        transfer_with(1, 1, 2, 1, pending),
        transfer_with(2, 1, 2, 1, pending),
        transfer(3, 1, 9, 1),
        resolution(4, 1, 0, TransferFlags::VOID_PENDING),
        transfer(5, 1, 2, 1),
        transfer(6, 1, 2, 1),
        transfer(6, 0, 0, 1),
        transfer(3, 1, 2, 1),
        transfer_with(1, 1, 2, 1, pending),
    ]);
    let full = Status::TransfersFull as u32;
    let expected = [
        CREATED,
        Status::HoldsFull as u32,
        Status::CreditAccountNotFound as u32,
        CREATED,
        CREATED,
        full,
        full,
        Status::IdAlreadyFailed as u32,
        Status::Exists as u32,
    ];
    assert_eq!(statuses, expected);
}

#[test]
fn old_records_that_the_caller_found_count_as_stored() {
    let mut log = with_accounts(2);
    let old = Transfer { timestamp: 77, ..transfer(50, 1, 2, 9) };
    let held = Transfer { timestamp: 78, ..transfer_with(51, 1, 2, 9, TransferFlags::PENDING) };
    let voided = Transfer {
        timestamp: 79,
        pending_id: 51,
        ..transfer_with(52, 1, 2, 9, TransferFlags::VOID_PENDING)
    };
    let transfers =
        [(old, PendingState::None), (held, PendingState::Voided), (voided, PendingState::None)];
    let resolved = Resolved::new(&transfers, &[60]).unwrap();
    let events = [
        transfer(50, 1, 2, 9),
        transfer(50, 1, 2, 8),
        transfer(60, 1, 2, 1),
        resolution(61, 51, u128::MAX, TransferFlags::POST_PENDING),
        resolution(62, 50, u128::MAX, TransferFlags::POST_PENDING),
        resolution(52, 51, 0, TransferFlags::VOID_PENDING),
        transfer(63, 1, 2, 1),
    ];
    let results = log.create_resolved(Operation::CreateTransfers, &events, &resolved);
    let expected = [
        Status::Exists as u32,
        Status::ExistsWithDifferentAmount as u32,
        Status::IdAlreadyFailed as u32,
        Status::PendingTransferAlreadyVoided as u32,
        Status::PendingTransferNotPending as u32,
        Status::Exists as u32,
        CREATED,
    ];
    assert_eq!(statuses(&results), expected);
    assert_eq!((results[0].timestamp, results[5].timestamp), (77, 79));
}

#[test]
fn a_full_batch_is_executed_wherever_its_body_lies_in_memory() {
    let genesis = Genesis { transfer_count_max: 20_000, ..small_genesis() };
    let events: Vec<Transfer> =
        (1..=8_189).map(|id| transfer(id, 1 + id % 7, 8 + id % 5, id)).collect();
    let accounts: Vec<Account> = (1..=12).map(account).collect();
    let mut digests = Vec::new();
    for is_aligned in [true, false] {
        let mut log = Log::with(&genesis);
        log.accounts(&accounts);
        let bytes = misaligned(&events);
        let size = size_of_val(events.as_slice());
        let body = if is_aligned {
            zerocopy::IntoBytes::as_bytes(events.as_slice())
        } else {
            &bytes[bytes.len() - size..]
        };
        let header = log.header(Operation::CreateTransfers, events.len(), size);
        log.apply(&header, body).unwrap();
        assert_eq!((log.output.event_count, log.output.result_count), (8_189, 0));
        digests.push((log.engine.digest(), log.visible()));
    }
    assert_eq!(digests[0], digests[1]);
}
