//! Trading against its model: the same random requests to both; replies, balances, transfers, orders, reports, depth
//! and digest must be equal after each of them, and the engine's audit must find nothing.
//!
//! `MIZAN_TEST_SEED` repeats a run or begins another one, `MIZAN_TEST_CASES` makes it shorter or longer.

mod trading_cases {
    pub(crate) mod pair;
    pub(crate) mod plan;
}

use mizan_wire::limits::{EVENTS_MAX, LOOKS_MAX, SWEEP_ENDS_MAX};
use mizan_wire::orders::{CancelReason, OrderReject};
use mizan_wire::trading::{InstrumentCommand, MassCancelEvent, OrderStatus, SubmitOrder};
use mizan_wire::{CREATED, CreateTransferStatus, Status};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::cell::RefCell;
use std::str::FromStr;
use trading_cases::pair::{Coverage, Pair};
use trading_cases::plan::{Case, Request, Step, base_account, case};

const SEED_DEFAULT: u64 = 0x4D69_7A61_6E00_0003;
/// Takes a few seconds with the development profile.
const CASES_DEFAULT: u32 = 3_000;

fn from_environment<N: FromStr>(name: &str, default: N) -> N {
    match std::env::var(name) {
        Err(_) => default,
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")),
    }
}

/// The digest at the end, and the number of log entries.
fn run(case: &Case, coverage: &mut Coverage) -> Result<(u128, u64), String> {
    run_on(Pair::new()?, case, coverage)
}

fn run_on(mut pair: Pair, case: &Case, coverage: &mut Coverage) -> Result<(u128, u64), String> {
    for (position, step) in case.steps.iter().enumerate() {
        pair.step(step, coverage).map_err(|reason| format!("step {position}: {reason}"))?;
    }
    Ok((pair.engine.digest(), pair.engine.sequence()))
}

/// Runs a check on random cases; a failure is shrunk, and shown with the line that repeats it.
fn on_random_cases(test: &str, cases_default: u32, check: impl Fn(&Case) -> Result<(), String>) {
    let seed: u64 = from_environment("MIZAN_TEST_SEED", SEED_DEFAULT);
    let cases = from_environment("MIZAN_TEST_CASES", cases_default);
    let repeat = format!(
        "MIZAN_TEST_SEED={seed} MIZAN_TEST_CASES={cases} cargo test -p mizan-tests --test \
         trading_against_model {test}"
    );
    println!("seed {seed}, repeat with: {repeat}");
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, random);
    match runner.run(&case(), |case| check(&case).map_err(TestCaseError::fail)) {
        Ok(()) => {}
        Err(TestError::Fail(reason, case)) => {
            panic!("{reason}\nsmallest case: {case:#?}\nrepeat with: {repeat}")
        }
        Err(TestError::Abort(reason)) => panic!("{reason}\nrepeat with: {repeat}"),
    }
}

/// Names of what the random cases never met.
fn missing(coverage: &Coverage) -> Vec<&'static str> {
    let met = |number: u32| coverage.statuses.contains_key(&number);
    let statuses = OrderStatus::PRECEDENCE.iter().filter(|status| !met(status.number()));
    let mut missing: Vec<_> = statuses.map(|status| status.name()).collect();
    // An order that has ended is found before its book is asked.
    let rejects = OrderReject::PRECEDENCE.iter().filter(|status| !met(status.number()));
    let rejects = rejects.filter(|status| !OUT_OF_REACH.contains(status));
    let rejects = rejects.filter(|status| **status != OrderReject::TooManyLooks);
    missing.extend(rejects.map(|status| status.name()));
    let ends = CancelReason::PRECEDENCE.iter().filter(|reason| !TOO_RARE.contains(reason));
    let ends = ends.filter(|reason| !coverage.reasons.contains_key(&(reason.number() as u16)));
    missing.extend(ends.map(|reason| reason.name()));
    if !met(CreateTransferStatus::AccountHasOpenOrders.number()) {
        missing.push("account_has_open_orders");
    }
    missing
}

/// What the engine decides before a book is asked.
const OUT_OF_REACH: [OrderReject; 3] =
    [OrderReject::OrderUnknown, OrderReject::ExpiryMustBeZero, OrderReject::AlreadyExpired];
/// What takes more orders than a random case has; tests of their own reach them.
const TOO_RARE: [CancelReason; 2] = [CancelReason::LevelsFull, CancelReason::LooksSpent];

#[test]
fn engine_and_model_agree_on_every_reply_balance_order_and_report() {
    let coverage = RefCell::new(Coverage::default());
    let test = "engine_and_model_agree_on_every_reply_balance_order_and_report";
    on_random_cases(test, CASES_DEFAULT, |case| run(case, &mut coverage.borrow_mut()).map(|_| ()));
    let coverage = coverage.into_inner();
    println!("{coverage:?}");
    // A shorter run, or one that began elsewhere, may miss what is rare.
    let is_whole = from_environment("MIZAN_TEST_CASES", CASES_DEFAULT) >= CASES_DEFAULT;
    if is_whole && from_environment("MIZAN_TEST_SEED", SEED_DEFAULT) == SEED_DEFAULT {
        assert_eq!(missing(&coverage), [""; 0], "what the random cases never reach");
        assert!(coverage.filled > 100 && coverage.expired > 100 && coverage.replayed > 100);
    }
}

#[test]
fn engine_and_model_agree_when_looks_are_few_and_stops_wait() {
    let coverage = RefCell::new(Coverage::default());
    let test = "engine_and_model_agree_when_looks_are_few_and_stops_wait";
    on_random_cases(test, 1_500, |case| {
        let looks_max = 1 + case.steps.len() as u64 % 11;
        run_on(Pair::with_looks(looks_max)?, case, &mut coverage.borrow_mut()).map(|_| ())
    });
    let coverage = coverage.into_inner();
    println!("{coverage:?}");
    if from_environment("MIZAN_TEST_CASES", 1_500) >= 1_500 {
        assert!(coverage.statuses[&OrderReject::TooManyLooks.number()] > 100);
        assert!(coverage.reasons[&(CancelReason::LooksSpent as u16)] > 100);
        assert!(coverage.waited > 100 && coverage.late_transfers > 20);
    }
}

/// The trader who may owe as much as he likes.
const UNLIMITED: u128 = 12;

#[test]
fn a_sweep_of_more_orders_than_one_request_ends_goes_on_as_in_the_model() {
    let of = |account_id, from_order_number| MassCancelEvent {
        account_id,
        from_order_number,
        ..MassCancelEvent::default()
    };
    let close =
        |from_order_number| InstrumentCommand { from_order_number, ..InstrumentCommand::default() };
    let ends = u64::from(SWEEP_ENDS_MAX);
    let to_the_bound = [
        Request::MassCancel(vec![of(UNLIMITED, 0), of(0, 0)]),
        Request::MassCancel(vec![of(11, 0), of(0, ends + 5)]),
        Request::MassCancel(vec![of(UNLIMITED, ends + 1)]),
    ];
    let in_parts = [
        Request::CloseSession(InstrumentCommand { instrument: 2, ..close(60) }),
        Request::MassCancel(vec![of(UNLIMITED, 5_000), of(0, 3_000), of(11, 0)]),
        Request::CloseSession(close(2_000)),
        Request::MassCancel(vec![of(UNLIMITED, 17)]),
    ];
    for (requests, unfinished) in [(&to_the_bound[..], 2), (&in_parts[..], 0)] {
        let coverage = &mut Coverage::default();
        let mut pair = Pair::with_room(SWEEP_ENDS_MAX + 100).expect("the pair is made");
        let mut step = |request: &Request| {
            let step = Step { request: request.clone(), in_session: true };
            pair.step(&step, coverage).unwrap_or_else(|why| panic!("{why}"));
        };
        for part in many_orders(SWEEP_ENDS_MAX + 90).chunks(EVENTS_MAX as usize) {
            step(&Request::Submit(part.to_vec()));
        }
        requests.iter().for_each(step);
        assert_eq!(coverage.unfinished, unfinished);
        assert!(coverage.statuses[&CREATED] > ends);
    }
}

#[test]
fn looks_of_fill_or_kill_orders_are_those_of_the_model() {
    const RESTING: u32 = 200;
    let plain = |id: u128| SubmitOrder {
        client_order_id: id,
        quote_account_id: UNLIMITED,
        base_account_id: base_account(UNLIMITED),
        price: 4,
        quantity: 1,
        instrument: 1,
        ..SubmitOrder::default()
    };
    let resting: Vec<SubmitOrder> = (1..=u128::from(RESTING)).map(plain).collect();
    // It looks at the level and at all its owner's orders there, and is killed.
    let whole =
        |id: u128| SubmitOrder { side: 1, time_in_force: 4, self_trade: 2, ..plain(10_000 + id) };
    let dormant = SubmitOrder { kind: 3, stop_price: 4, ..whole(1_000) };
    let trade = SubmitOrder {
        quote_account_id: 11,
        base_account_id: base_account(11),
        side: 1,
        time_in_force: 3,
        ..plain(20_000)
    };
    let affordable = LOOKS_MAX / (RESTING + 1);
    let mut last: Vec<SubmitOrder> = (0..u128::from(affordable)).map(whole).collect();
    last.extend([trade, whole(2_000), whole(2_001)]);
    let coverage = &mut Coverage::default();
    let mut pair = Pair::with_room(1_000).expect("the pair is made");
    for orders in [resting, vec![dormant], last] {
        let step = Step { request: Request::Submit(orders), in_session: true };
        pair.step(&step, coverage).unwrap_or_else(|why| panic!("{why}"));
    }
    assert_eq!(coverage.statuses[&OrderReject::TooManyLooks.number()], 2);
    assert!(coverage.reasons[&(CancelReason::LooksSpent as u16)] > 0);
    assert!(coverage.filled > 0);
}

/// Orders of one trader: two of three in the first instrument, every other one for the day.
fn many_orders(count: u32) -> Vec<SubmitOrder> {
    let order = |id: u32| SubmitOrder {
        client_order_id: u128::from(id) + 1,
        quote_account_id: UNLIMITED,
        base_account_id: base_account(UNLIMITED),
        price: 4,
        quantity: 2,
        instrument: if id % 3 == 2 { 2 } else { 1 },
        time_in_force: (id % 2) as u8,
        ..SubmitOrder::default()
    };
    (0..count).map(order).collect()
}

#[test]
fn the_same_requests_give_the_same_digest_and_fewer_give_another() {
    let test = "the_same_requests_give_the_same_digest_and_fewer_give_another";
    on_random_cases(test, 50, |case| {
        let whole = run(case, &mut Coverage::default())?;
        let fewer = Case { steps: case.steps[1..].to_vec() };
        let is_same = run(case, &mut Coverage::default())? == whole;
        let fewer = run(&fewer, &mut Coverage::default())?;
        // A first step that repeats an earlier request has none to repeat, and sends nothing.
        let differs = fewer.0 != whole.0 || fewer.1 == whole.1;
        if is_same && differs {
            Ok(())
        } else {
            Err("the digest does not stand for the state".to_owned())
        }
    });
}
