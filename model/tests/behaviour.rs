//! What the model does, checked against figures that were worked out by hand from the text.

use mizan_model::{GenesisError, HoldState, LogError, Model, ModelReply};
use mizan_wire::frame::{REPLY_COMPACT, REPLY_REPLAYED};
use mizan_wire::limits::{EVENTS_MAX, NS_PER_S};
use mizan_wire::{
    Account, AccountFlags, CREATED, CreateTransferStatus, DigestRecord, Genesis, Operation,
    RegisterRecord, RequestHeader, RequestStatus, ResultException, SEMANTICS_VERSION, Transfer,
    TransferFlags,
};
use zerocopy::{FromBytes, IntoBytes};

const GENESIS: Genesis = Genesis {
    cluster: 3,
    hash_seed: 0,
    account_count_max: 10,
    transfer_count_max: 20,
    hold_count_max: 5,
    session_idle_ns: 100,
    semantics_version: SEMANTICS_VERSION,
    digest_interval: 2,
    ledger_count_max: 2,
    code_count_max: 2,
    session_count_max: 1,
    window_requests: 2,
    window_bytes: EVENTS_MAX * 16,
    instrument_count_max: 0,
    order_count_max: 0,
    report_count_max: 0,
    open_order_count_max: 0,
    book_level_count_max: 0,
    reserved: [0; 2],
};

fn header(operation: Operation, body: &[u8], clock_reading: u64) -> RequestHeader {
    let event_size = operation.event_size();
    RequestHeader {
        operation: operation.number(),
        event_size: event_size as u16,
        event_count: body.len().checked_div(event_size).unwrap_or(0) as u32,
        body_size: body.len() as u32,
        clock_reading,
        ..RequestHeader::default()
    }
}

fn apply(model: &mut Model, operation: Operation, body: &[u8], clock: u64) -> ModelReply {
    let header = header(operation, body, clock);
    model.apply(model.sequence() + 1, &header, body).expect("the entry is sound")
}

fn begun() -> Model {
    let mut model = Model::new(&GENESIS).expect("the genesis record is allowed");
    apply(&mut model, Operation::Genesis, GENESIS.as_bytes(), 1_000);
    model
}

fn account(id: u128) -> Account {
    Account { id, ledger: 1, code: 1, ..Account::default() }
}

fn transfer(id: u128, amount: u128, flags: u16) -> Transfer {
    Transfer {
        id,
        debit_account_id: 1,
        credit_account_id: 2,
        amount,
        ledger: 1,
        code: 1,
        flags,
        ..Transfer::default()
    }
}

/// Two accounts, created at 2,000 and 2,001.
fn with_two_accounts() -> Model {
    let mut model = begun();
    apply(&mut model, Operation::CreateAccounts, [account(1), account(2)].as_bytes(), 2_000);
    model
}

fn exceptions(reply: &ModelReply) -> Vec<(u32, u32, u64)> {
    let size = size_of::<ResultException>();
    let read = |bytes| ResultException::read_from_bytes(bytes).expect("a result");
    let exceptions = reply.body.chunks_exact(size).map(read);
    exceptions.map(|found| (found.index, found.status, found.timestamp)).collect()
}

fn balances(model: &Model, id: u128) -> [u128; 4] {
    let account = model.accounts().find(|account| account.id == id).expect("it exists");
    let (pending, posted) = (account.debits_pending, account.debits_posted);
    [pending, posted, account.credits_pending, account.credits_posted]
}

#[test]
fn events_get_consecutive_numbers_from_the_clock_or_after_the_last_one() {
    let mut model = with_two_accounts();
    assert_eq!(model.timestamp(), 2_001);
    let batch = [transfer(1, 5, 0), transfer(2, 5, 0), transfer(1, 5, 0)];
    let reply = apply(&mut model, Operation::CreateTransfers, batch.as_bytes(), 1_500);
    assert_eq!((reply.sequence, reply.timestamp, reply.event_count), (3, 2_004, 3));
    assert_eq!((reply.flags, reply.result_size, reply.result_count), (REPLY_COMPACT, 16, 1));
    assert_eq!(exceptions(&reply), [(2, CreateTransferStatus::Exists as u32, 2_002)]);
    assert_eq!(balances(&model, 1), [0, 10, 0, 0]);
    assert_eq!(balances(&model, 2), [0, 0, 0, 10]);
}

#[test]
fn a_failed_chain_leaves_nothing_but_its_culprits_burnt_id() {
    let mut model = with_two_accounts();
    let hold = transfer(1, 7, TransferFlags::PENDING | TransferFlags::CLOSING_DEBIT);
    apply(&mut model, Operation::CreateTransfers, hold.as_bytes(), 3_000);
    let accounts: Vec<Account> = model.accounts().copied().collect();
    let void = TransferFlags::VOID_PENDING | TransferFlags::LINKED;
    let chain = [
        Transfer { id: 2, pending_id: 1, flags: void, ..Transfer::default() },
        transfer(3, 4, TransferFlags::LINKED | TransferFlags::PENDING),
        Transfer { debit_account_id: 9, ..transfer(4, 1, 0) },
    ];
    let reply = apply(&mut model, Operation::CreateTransfers, chain.as_bytes(), 4_000);
    let failed = CreateTransferStatus::LinkedEventFailed as u32;
    let culprit = CreateTransferStatus::DebitAccountNotFound as u32;
    let expected = [(0, failed, 4_000), (1, failed, 4_001), (2, culprit, 4_002)];
    assert_eq!(exceptions(&reply), expected);
    assert!(model.accounts().eq(accounts.iter()));
    assert_eq!(model.hold(1), Some(HoldState::Open));
    assert_eq!(model.transfers().count(), 1);
    assert_eq!(model.status().burnt_id_count, 1);
}

#[test]
fn a_hold_closes_what_it_says_until_a_tick_releases_it() {
    let mut model = with_two_accounts();
    let flags = TransferFlags::PENDING | TransferFlags::CLOSING_CREDIT;
    let hold = Transfer { timeout: 2, ..transfer(1, 7, flags) };
    apply(&mut model, Operation::CreateTransfers, hold.as_bytes(), 3_000);
    let due_ns = 3_000 + 2 * NS_PER_S;
    assert_eq!(model.next_due_ns(), Some(due_ns));
    assert_eq!(balances(&model, 2), [0, 0, 7, 0]);
    let early = apply(&mut model, Operation::Tick, &[], due_ns - 1);
    assert_eq!((early.event_count, early.timestamp), (0, due_ns - 1));
    let on_time = apply(&mut model, Operation::Tick, &[], due_ns);
    assert_eq!((on_time.event_count, on_time.timestamp), (1, due_ns));
    assert_eq!(balances(&model, 2), [0; 4]);
    assert!(model.accounts().all(|account| account.flags & AccountFlags::CLOSED == 0));
    assert_eq!((model.hold(1), model.next_due_ns()), (Some(HoldState::Expired), None));
}

#[test]
fn a_repeated_request_gets_its_reply_again_and_is_not_executed() {
    let mut model = with_two_accounts();
    let register = RequestHeader { client: 8, ..header(Operation::Register, &[], 3_000) };
    let reply = model.apply(3, &register, &[]).expect("the entry is sound");
    let record = RegisterRecord::read_from_bytes(&reply.body).expect("a register record");
    assert_eq!((record.session, record.request_last, record.resumed), (3, 0, 0));

    let event = transfer(0, 5, 0);
    let first = RequestHeader {
        client: 8,
        session: 3,
        request: 1,
        request_checksum: 77,
        ..header(Operation::CreateTransfers, event.as_bytes(), 4_000)
    };
    let original = model.apply(4, &first, event.as_bytes()).expect("the entry is sound");
    let repeated = model.apply(5, &first, event.as_bytes()).expect("the entry is sound");
    let flags = REPLY_COMPACT | REPLY_REPLAYED;
    assert_eq!(repeated, ModelReply { flags, ..original });
    assert_eq!(model.timestamp(), 4_001);

    let mut refused = |change: fn(&mut RequestHeader), expected: RequestStatus| {
        let mut header = first;
        change(&mut header);
        let sequence = model.sequence() + 1;
        let reply = model.apply(sequence, &header, event.as_bytes()).expect("the entry is sound");
        assert_eq!((reply.status, reply.event_count, reply.flags), (expected, 0, 0));
    };
    refused(|header| header.request_checksum = 78, RequestStatus::RequestMismatch);
    refused(|header| header.request = 3, RequestStatus::RequestNumberGap);
    refused(|header| header.request = 0, RequestStatus::ReplyDiscarded);
    refused(|header| header.session = 4, RequestStatus::SessionUnknown);
    refused(|header| header.replies_received = 9, RequestStatus::ReplyDiscarded);
}

#[test]
fn the_digest_of_a_log_of_one_entry_is_what_the_definition_gives() {
    let model = begun();
    let mut digest = 3u128;
    for word in [1u128, 514, 1_000] {
        digest = (digest ^ word).wrapping_mul(0x2545F4914F6CDD1D_9E3779B97F4A7C15);
        digest ^= digest >> 67;
    }
    assert_eq!(model.digest(), digest);
}

#[test]
fn a_digest_is_due_until_the_log_confirms_it() {
    let mut model = with_two_accounts();
    let due = model.digest_due().expect("two is divisible by two");
    assert_eq!((due.at_sequence, due.digest), (2, model.digest()));
    apply(&mut model, Operation::Digest, due.as_bytes(), 3_000);
    assert_eq!(model.digest_due(), None);
    let wrong = DigestRecord { digest: due.digest ^ 1, ..due };
    let header = header(Operation::Digest, wrong.as_bytes(), 3_000);
    let (expected, found) = (wrong.digest, due.digest);
    assert_eq!(
        model.apply(4, &header, wrong.as_bytes()),
        Err(LogError::DigestDiffers { at_sequence: 2, expected, found })
    );
}

#[test]
fn a_broken_entry_changes_nothing() {
    let mut model = with_two_accounts();
    let digest = model.digest();
    let event = transfer(1, 5, 0);
    let sound = header(Operation::CreateTransfers, event.as_bytes(), 3_000);
    let short = RequestHeader { event_count: 2, ..sound };
    let late = RequestHeader { clock_reading: 1 << 63, ..sound };
    for (sequence, header) in [(4, sound), (2, sound), (3, short), (3, late)] {
        model.apply(sequence, &header, event.as_bytes()).expect_err("the entry is broken");
    }
    assert_eq!((model.sequence(), model.timestamp(), model.digest()), (2, 2_001, digest));
    let reply = model.apply(3, &sound, event.as_bytes()).expect("the entry is sound");
    assert_eq!((reply.status, reply.result_count), (RequestStatus::Ok, 0));
}

#[test]
fn a_genesis_record_is_refused_field_by_field() {
    type Change = fn(&mut Genesis);
    let changes: [(&str, Change); 10] = [
        ("account_count_max", |genesis| genesis.account_count_max = 0),
        ("account_count_max", |genesis| genesis.account_count_max = (1 << 31) + 1),
        ("transfer_count_max", |genesis| genesis.transfer_count_max = 0),
        ("hold_count_max", |genesis| genesis.hold_count_max = genesis.transfer_count_max + 1),
        ("ledger_count_max", |genesis| genesis.ledger_count_max = 4_001),
        ("code_count_max", |genesis| genesis.code_count_max = 8_001),
        ("session_count_max", |genesis| genesis.session_count_max = 65_536),
        ("window_requests", |genesis| genesis.window_requests = 65_537),
        ("window_bytes", |genesis| genesis.window_bytes = EVENTS_MAX * 16 - 1),
        ("digest_interval", |genesis| genesis.digest_interval = 0),
    ];
    for (name, change) in changes {
        let mut genesis = GENESIS;
        change(&mut genesis);
        let error = Model::new(&genesis).expect_err("a field is out of its range");
        assert!(
            matches!(error, GenesisError::OutOfRange { field, .. } if field == name),
            "{error}"
        );
    }
    let other = Genesis { semantics_version: SEMANTICS_VERSION + 1, ..GENESIS };
    assert!(matches!(Model::new(&other), Err(GenesisError::SemanticsVersion { .. })));
    let reserved = Genesis { reserved: [0, 1], ..GENESIS };
    assert_eq!(Model::new(&reserved).err(), Some(GenesisError::ReservedNotZero));
}

#[test]
fn an_imported_event_keeps_its_own_timestamp() {
    let mut model = begun();
    let imported = |id: u128, timestamp: u64| Account {
        flags: AccountFlags::IMPORTED,
        timestamp,
        ..account(id)
    };
    // The first carries the very number that it would have been given, so nothing needs to be said about it.
    let batch = [imported(1, 2_000), imported(2, 2_000)];
    let reply = apply(&mut model, Operation::CreateAccounts, batch.as_bytes(), 2_000);
    assert_eq!(exceptions(&reply), [(1, 26, 2_000)]);
    let reply = apply(&mut model, Operation::CreateAccounts, imported(2, 2_001).as_bytes(), 3_000);
    assert_eq!(exceptions(&reply), [(0, CREATED, 2_001)]);
}
