//! The engine against the model: the same random requests to both, and everything that shows must be equal.
//!
//! `MIZAN_TEST_SEED` repeats a run or begins another one, `MIZAN_TEST_CASES` makes it shorter or longer.

mod extremes;
mod ledger_cases {
    pub(crate) mod events;
    mod full_tables;
    pub(crate) mod pair;
    pub(crate) mod plan;
    pub(crate) mod reply;
    pub(crate) mod requests;
    mod sessions;
    pub(crate) mod world;
}

use ledger_cases::pair::{Coverage, Pair, run};
use ledger_cases::plan::{Case, case};
use ledger_cases::requests::{request, small_genesis};
use mizan_engine::{Engine, Output, Resolved, check_genesis};
use mizan_model::Model;
use mizan_wire::limits::{EVENTS_MAX, NS_PER_S};
use mizan_wire::{
    Account, CreateAccountStatus, CreateTransferStatus, Genesis, Operation, RegistryStatus,
    RequestFlags, RequestHeader, RequestStatus, Status, Transfer, TransferFlags,
};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::cell::RefCell;
use std::str::FromStr;
use zerocopy::IntoBytes;

const SEED_DEFAULT: u64 = 0x4D69_7A61_6E00_0001;
/// Takes a few seconds with the development profile.
const CASES_DEFAULT: u32 = 5_000;

fn from_environment<N: FromStr>(name: &str, default: N) -> N {
    match std::env::var(name) {
        Err(_) => default,
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")),
    }
}

/// Runs a check on random cases; a failure is shrunk, and shown with the line that repeats it.
fn on_random_cases(test: &str, cases_default: u32, check: impl Fn(&Case) -> Result<(), String>) {
    let seed: u64 = from_environment("MIZAN_TEST_SEED", SEED_DEFAULT);
    let cases = from_environment("MIZAN_TEST_CASES", cases_default);
    let repeat = format!(
        "MIZAN_TEST_SEED={seed} MIZAN_TEST_CASES={cases} cargo test -p mizan-tests --test \
         engine_against_model {test}"
    );
    println!("seed {seed}, repeat with: {repeat}");
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, random);
    let outcome = runner.run(&case(), |case| check(&case).map_err(TestCaseError::fail));
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, case)) => {
            panic!("{reason}\nsmallest case: {case:#?}\nrepeat with: {repeat}")
        }
        Err(TestError::Abort(reason)) => panic!("{reason}\nrepeat with: {repeat}"),
    }
}

/// Statuses of requests that the engine gives; all others are the gateway's.
const REQUEST_STATUSES: [RequestStatus; 9] = [
    RequestStatus::Ok,
    RequestStatus::SessionUnknown,
    RequestStatus::SessionsFull,
    RequestStatus::RequestNumberGap,
    RequestStatus::ReplyDiscarded,
    RequestStatus::RequestMismatch,
    RequestStatus::WindowFull,
    RequestStatus::ClientIdInvalid,
    RequestStatus::SequenceNotReached,
];

/// Names of the statuses that never were an answer.
fn missing(coverage: &Coverage) -> Vec<String> {
    fn of<S: Status>(operations: &[Operation], coverage: &Coverage) -> Vec<String> {
        let is_missing = |status: &S| {
            operations.iter().all(|operation| coverage.count(*operation, status.number()) == 0)
        };
        let missing = S::PRECEDENCE.iter().filter(|status| is_missing(status));
        missing.map(|status| format!("{}: {}", S::SCOPE, status.name())).collect()
    }
    let mut missing = of::<CreateAccountStatus>(&[Operation::CreateAccounts], coverage);
    missing.extend(of::<CreateTransferStatus>(&[Operation::CreateTransfers], coverage));
    // Orders are the matter of `trading_against_model`.
    let of_trading = CreateTransferStatus::AccountHasOpenOrders.name();
    missing.retain(|missing| !missing.ends_with(of_trading));
    let registry = [Operation::CreateLedgers, Operation::CreateCodes];
    missing.extend(of::<RegistryStatus>(&registry, coverage));
    let requests = REQUEST_STATUSES.iter().filter(|status| coverage.request_count(**status) == 0);
    missing.extend(requests.map(|status| format!("request: {}", status.name())));
    missing
}

#[test]
fn engine_and_model_agree_on_every_reply_and_every_balance() {
    let coverage = RefCell::new(Coverage::default());
    let test = "engine_and_model_agree_on_every_reply_and_every_balance";
    on_random_cases(test, CASES_DEFAULT, |case| run(case, &mut coverage.borrow_mut()).map(|_| ()));
    let coverage = coverage.into_inner();
    println!("{} requests with {} events", coverage.requests, coverage.events);
    let (broken, replayed, expired) = (coverage.broken, coverage.replayed, coverage.expired);
    println!("{broken} broken entries, {replayed} replayed replies, {expired} expired holds");
    for ((operation, status), count) in &coverage.statuses {
        println!("operation {operation} status {status}: {count}");
    }
    // A shorter run, or one that began elsewhere, may miss what is rare.
    let is_whole = from_environment("MIZAN_TEST_CASES", CASES_DEFAULT) >= CASES_DEFAULT;
    if is_whole && from_environment("MIZAN_TEST_SEED", SEED_DEFAULT) == SEED_DEFAULT {
        assert_eq!(missing(&coverage), [""; 0], "statuses that the random cases never reach");
        assert!(broken.min(replayed).min(expired) >= 100, "{broken}, {replayed}, {expired}");
    }
}

#[test]
fn the_seed_of_the_id_tables_changes_no_reply_and_no_digest() {
    let test = "the_seed_of_the_id_tables_changes_no_reply_and_no_digest";
    on_random_cases(test, 100, |case| {
        let log = run(case, &mut Coverage::default())?;
        let genesis = Genesis { hash_seed: !case.genesis.hash_seed, ..case.genesis };
        let mut engine = Engine::new(&genesis).map_err(|error| error.to_string())?;
        let mut output = Output::new();
        for (sequence, ((header, body), reply)) in (1..).zip(&log) {
            let body = if sequence == 1 { genesis.as_bytes() } else { body };
            engine
                .apply(sequence, header, body, &Resolved::none(), &mut output)
                .map_err(|error| error.to_string())?;
            if ledger_cases::reply::reply_of(&output) != *reply {
                return Err(format!("entry {sequence} has another reply: {output:?}"));
            }
        }
        Ok(())
    });
}

#[test]
fn both_begin_with_the_same_genesis_records() {
    type Set = fn(&mut Genesis, u64);
    let fields: [(Set, u64); 8] = [
        (|genesis, value| genesis.account_count_max = value, 1 << 31),
        (|genesis, value| genesis.transfer_count_max = value, 1 << 31),
        (|genesis, value| genesis.hold_count_max = value, small_genesis().transfer_count_max),
        (|genesis, value| genesis.ledger_count_max = value as u32, 4_000),
        (|genesis, value| genesis.code_count_max = value as u32, 8_000),
        (|genesis, value| genesis.session_count_max = value as u32, 65_535),
        (|genesis, value| genesis.window_requests = value as u32, 65_536),
        (|genesis, value| genesis.digest_interval = value as u32, u32::MAX.into()),
    ];
    let mut allowed = 0;
    for (set, max) in fields {
        for value in [0, 1, max, max.saturating_add(1).min(u32::MAX.into())] {
            let mut genesis = Genesis { hold_count_max: 1, ..small_genesis() };
            set(&mut genesis, value);
            let model = Model::new(&genesis).is_ok();
            assert_eq!(check_genesis(&genesis).is_ok(), model, "{genesis:?}");
            assert_eq!(model, (1..=max).contains(&value), "{genesis:?}");
            allowed += usize::from(model);
        }
    }
    assert!(allowed >= 16, "both ends of every range are allowed");
    for window_bytes in [0, EVENTS_MAX * 16 - 1, EVENTS_MAX * 16, u32::MAX] {
        let genesis = Genesis { window_bytes, ..small_genesis() };
        assert_eq!(check_genesis(&genesis).is_ok(), window_bytes >= EVENTS_MAX * 16);
        assert_eq!(Model::new(&genesis).is_ok(), window_bytes >= EVENTS_MAX * 16);
    }
}

fn transfers(count: u32, change: impl Fn(u128, &mut Transfer)) -> Vec<Transfer> {
    let plain = Transfer {
        debit_account_id: 1,
        credit_account_id: 2,
        amount: 1,
        ledger: 1,
        code: 1,
        ..Transfer::default()
    };
    let changed = |id: u128| {
        let mut transfer = Transfer { id, ..plain };
        change(id, &mut transfer);
        transfer
    };
    (1..=u128::from(count)).map(changed).collect()
}

fn pair_with_two_accounts(genesis: &Genesis) -> Pair {
    let mut pair = Pair::new(genesis, 1_000).expect("both begin");
    let accounts = [1, 2].map(|id| Account { id, ledger: 1, code: 1, ..Account::default() });
    create(&mut pair, Operation::CreateAccounts, accounts.as_bytes(), 1_000);
    pair
}

fn create(pair: &mut Pair, operation: Operation, body: &[u8], clock: u64) -> u32 {
    let reply = pair.apply(&request(operation, body, clock), body).expect("both agree");
    assert_eq!(reply.status, RequestStatus::Ok);
    reply.result_count
}

#[test]
fn a_tick_performs_what_one_reply_can_count_and_the_next_one_goes_on() {
    let wide = Genesis { transfer_count_max: 40_000, hold_count_max: 20_000, ..small_genesis() };
    let mut pair = pair_with_two_accounts(&wide);
    let holds = transfers(2 * EVENTS_MAX, |id, transfer| {
        transfer.flags = TransferFlags::PENDING;
        // Due times do not follow the order of creation.
        transfer.timeout = 1 + (id % 7) as u32;
    });
    let (first, second) = holds.split_at(EVENTS_MAX as usize);
    for batch in [first, second, &transfers(1, |_, transfer| transfer.id = 0)] {
        create(&mut pair, Operation::CreateTransfers, batch.as_bytes(), 2_000);
    }
    let late = 100 * NS_PER_S;
    for actions in [EVENTS_MAX, EVENTS_MAX, 0] {
        let reply = pair.apply(&request(Operation::Tick, &[], late), &[]).expect("both agree");
        assert_eq!(reply.event_count, actions);
    }
    assert_eq!(pair.model.next_due_ns(), None);
    pair.finish().expect("both agree");
}

#[test]
fn the_largest_chain_is_undone_as_a_whole() {
    let wide = Genesis { transfer_count_max: 20_000, ..small_genesis() };
    let mut pair = pair_with_two_accounts(&wide);
    let chain = transfers(EVENTS_MAX, |id, transfer| {
        transfer.flags = TransferFlags::LINKED;
        if id == u128::from(EVENTS_MAX) {
            (transfer.flags, transfer.debit_account_id) = (0, 3);
        }
    });
    let failures = create(&mut pair, Operation::CreateTransfers, chain.as_bytes(), 2_000);
    assert_eq!(failures, EVENTS_MAX);
    assert_eq!(pair.model.transfers().count(), 0);
    assert_eq!(pair.model.status().burnt_id_count, 1);
    pair.finish().expect("both agree");
}

#[test]
fn a_repetition_is_answered_from_its_header_alone() {
    let mut pair = pair_with_two_accounts(&Genesis { window_requests: 10, ..small_genesis() });
    let register = RequestHeader { client: 5, ..request(Operation::Register, &[], 0) };
    pair.apply(&register, &[]).expect("both agree");
    let session = pair.model.sequence();
    let header = |number: u64, received: u64, events: &[Transfer]| {
        let body = events.as_bytes();
        let mut header = request(Operation::CreateTransfers, body, 0);
        (header.client, header.session) = (5, session);
        (header.request, header.replies_received) = (number, received);
        header.request_checksum = header.identity(body);
        header
    };
    let events = transfers(3, |_, _| ());
    let whole = header(1, 0, &events);
    let bare = |header: RequestHeader| RequestHeader {
        flags: RequestFlags::REPEATED,
        body_size: 0,
        ..header
    };
    // Nothing was executed under this number: its body is needed.
    let early = pair.apply(&bare(whole), &[]).expect("both agree");
    assert_eq!(early.status, RequestStatus::Overloaded);
    let first = pair.apply(&whole, events.as_bytes()).expect("both agree");
    assert_eq!(first.status, RequestStatus::Ok);
    let again = pair.apply(&bare(whole), &[]).expect("both agree");
    assert_eq!((again.sequence, again.body), (first.sequence, first.body));
    let other = pair.apply(&bare(header(1, 0, &events[1..])), &[]).expect("both agree");
    assert_eq!(other.status, RequestStatus::RequestMismatch);
    let late = pair.apply(&bare(header(1, 1, &events)), &[]).expect("both agree");
    assert_eq!(late.status, RequestStatus::ReplyDiscarded);
    pair.finish().expect("both agree");
}

#[test]
fn stored_replies_are_bounded_in_bytes_as_well_as_in_number() {
    let mut pair = pair_with_two_accounts(&Genesis { window_requests: 10, ..small_genesis() });
    let register = RequestHeader { client: 5, ..request(Operation::Register, &[], 0) };
    pair.apply(&register, &[]).expect("both agree");
    let session = pair.model.sequence();
    let mut write = |number: u64, received: u64, events: &[Transfer]| {
        let body = events.as_bytes();
        let mut header = request(Operation::CreateTransfers, body, 0);
        (header.client, header.session) = (5, session);
        (header.request, header.replies_received) = (number, received);
        header.request_checksum = header.identity(body);
        pair.apply(&header, body).expect("both agree").status
    };
    let failing = transfers(EVENTS_MAX, |_, transfer| transfer.id = 0);
    assert_eq!(write(1, 0, &failing[1..]), RequestStatus::Ok);
    // One result's room is left: not enough for two that may both fail.
    assert_eq!(write(2, 0, &failing[..2]), RequestStatus::WindowFull);
    assert_eq!(write(2, 0, &failing[..1]), RequestStatus::Ok);
    assert_eq!(write(3, 0, &failing[..1]), RequestStatus::WindowFull);
    assert_eq!(write(3, 1, &failing[..1]), RequestStatus::Ok);
    pair.finish().expect("both agree");
}
