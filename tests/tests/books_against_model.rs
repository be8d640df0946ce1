//! The book against its model: the same random commands to both, and every report and every queue must be equal.
//!
//! `MIZAN_TEST_SEED` repeats a run or begins another one, `MIZAN_TEST_CASES` makes it shorter or longer.

mod books_cases {
    pub(crate) mod pair;
    pub(crate) mod plan;
}

use books_cases::pair::{Coverage, Pair};
use books_cases::plan::{Case, case, long_case};
use mizan_engine::books::{Book, ReportChain};
use mizan_wire::Status;
use mizan_wire::orders::{BookCommand, CancelReason, OrderReject, OrderReport, ReportKind, Side};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::cell::{Cell, RefCell};
use std::str::FromStr;

const SEED_DEFAULT: u64 = 0x4D69_7A61_6E00_0002;
/// Takes a few seconds with the development profile.
const CASES_DEFAULT: u32 = 30_000;

fn from_environment<N: FromStr>(name: &str, default: N) -> N {
    match std::env::var(name) {
        Err(_) => default,
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")),
    }
}

/// Runs a check on random cases; a failure is shrunk, and shown with the line that repeats it.
fn on_random_cases(
    test: &str,
    cases_default: u32,
    cases: impl Strategy<Value = Case>,
    check: impl Fn(&Case) -> Result<(), String>,
) {
    let seed: u64 = from_environment("MIZAN_TEST_SEED", SEED_DEFAULT);
    let count = from_environment("MIZAN_TEST_CASES", cases_default);
    let repeat = format!(
        "MIZAN_TEST_SEED={seed} MIZAN_TEST_CASES={count} cargo test -p mizan-tests --test \
         books_against_model {test}"
    );
    println!("seed {seed}, repeat with: {repeat}");
    let config = Config {
        cases: count,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, random);
    let outcome = runner.run(&cases, |case| check(&case).map_err(TestCaseError::fail));
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, case)) => {
            panic!("{reason}\nsmallest case: {case:#?}\nrepeat with: {repeat}")
        }
        Err(TestError::Abort(reason)) => panic!("{reason}\nrepeat with: {repeat}"),
    }
}

/// Runs a case on book and model; gives the commands, and the most levels to buy at once. Reports are compared after every command, all queues only after
/// so many.
fn run(
    case: &Case,
    compared_every: usize,
    coverage: &mut Coverage,
) -> Result<(Vec<BookCommand>, usize), String> {
    let mut pair = Pair::new(case.rules, case.capacity);
    let (mut now_ns, mut levels_max) = (1, 0);
    let mut commands = vec![BookCommand::AdvanceTime(now_ns)];
    pair.apply(&commands[0], coverage)?;
    for step in &case.steps {
        let command = step.command(&pair, case, now_ns);
        if let BookCommand::AdvanceTime(later_ns) = command {
            now_ns = later_ns;
        }
        pair.apply(&command, coverage)?;
        commands.push(command);
        if commands.len().is_multiple_of(compared_every) {
            pair.compare_state().map_err(|error| format!("after {command:?}: {error}"))?;
            levels_max = levels_max.max(pair.book.depth(Side::Buy).count());
        }
    }
    pair.compare_state()?;
    Ok((commands, levels_max))
}

/// Names of the reasons and kinds that never were in a report.
fn missing(coverage: &Coverage) -> Vec<String> {
    let mut missing = Vec::new();
    let is_missing = |number: u32| !coverage.reasons.contains_key(&(number as u16));
    // Looks are counted by whoever has many books.
    let rejects = OrderReject::PRECEDENCE.iter().filter(|status| is_missing(status.number()));
    let rejects = rejects.filter(|status| **status != OrderReject::TooManyLooks);
    missing.extend(rejects.map(|status| status.name().to_owned()));
    let reasons = CancelReason::PRECEDENCE.iter().filter(|status| is_missing(status.number()));
    let reasons = reasons.filter(|status| **status != CancelReason::LooksSpent);
    missing.extend(reasons.map(|status| status.name().to_owned()));
    let kinds = ReportKind::Accepted as u8..=ReportKind::TradingStateSet as u8;
    let kinds = kinds.filter(|kind| !coverage.kinds.contains_key(kind));
    missing.extend(kinds.map(|kind| format!("kind {kind}")));
    missing
}

#[test]
fn book_and_model_agree_on_every_report_and_every_queue() {
    let coverage = RefCell::new(Coverage::default());
    let test = "book_and_model_agree_on_every_report_and_every_queue";
    on_random_cases(test, CASES_DEFAULT, case(), |case| {
        run(case, 1, &mut coverage.borrow_mut()).map(|_| ())
    });
    let coverage = coverage.into_inner();
    println!("{} commands, {} reports", coverage.commands, coverage.reports);
    println!("kinds {:?}\nreasons {:?}", coverage.kinds, coverage.reasons);
    // A shorter run, or one that began elsewhere, may miss what is rare.
    let is_whole = from_environment("MIZAN_TEST_CASES", CASES_DEFAULT) >= CASES_DEFAULT;
    if is_whole && from_environment("MIZAN_TEST_SEED", SEED_DEFAULT) == SEED_DEFAULT {
        assert_eq!(missing(&coverage), [""; 0], "what the random cases never reach");
    }
}

/// As many looks as the command with this number may take: none, hardly any, or a few.
fn looks_of(number: usize) -> u64 {
    [0, 9, 2, 4, 1, 14, 3, 6][number % 8]
}

#[test]
fn book_and_model_agree_when_looks_are_few_and_stops_wait() {
    let test = "book_and_model_agree_when_looks_are_few_and_stops_wait";
    let coverage = RefCell::new(Coverage::default());
    let waited = Cell::new(0);
    on_random_cases(test, 10_000, case(), |case| {
        let coverage = &mut *coverage.borrow_mut();
        let mut pair = Pair::new(case.rules, case.capacity);
        let mut now_ns = 1;
        for (number, step) in case.steps.iter().enumerate() {
            let command = step.command(&pair, case, now_ns);
            if let BookCommand::AdvanceTime(later_ns) = command {
                now_ns = later_ns;
            }
            pair.bound_looks(looks_of(number + case.steps.len()));
            pair.apply(&command, coverage)?;
            pair.compare_state().map_err(|error| format!("after {command:?}: {error}"))?;
            if pair.book.is_waiting() && number % 3 != 0 {
                waited.set(waited.get() + 1);
                pair.bound_looks(looks_of(number));
                pair.run_waiting(coverage)?;
                pair.compare_state().map_err(|error| format!("going on: {error}"))?;
            }
        }
        // Three looks are enough for something to happen.
        for _ in 0..10_000 {
            if !pair.book.is_waiting() {
                return Ok(());
            }
            pair.bound_looks(3);
            pair.run_waiting(coverage)?;
            pair.compare_state()?;
        }
        Err("stops wait for ever".to_owned())
    });
    let coverage = coverage.into_inner();
    println!("stops waited {} times, reasons {:?}", waited.get(), coverage.reasons);
    assert!(waited.get() > 100);
    assert!(coverage.reasons[&(CancelReason::LooksSpent as u16)] > 100);
    assert!(coverage.reasons[&(OrderReject::TooManyLooks as u16)] > 100);
}

/// Whether looks have changed what a command does, and not only when.
fn is_cut(reports: &[OrderReport]) -> bool {
    let reasons = [OrderReject::TooManyLooks as u16, CancelReason::LooksSpent as u16];
    reports.iter().any(|report| reasons.contains(&report.reason))
}

#[test]
fn stops_that_waited_come_out_as_if_they_had_not() {
    let test = "stops_that_waited_come_out_as_if_they_had_not";
    let waited = Cell::new(0);
    on_random_cases(test, 20_000, case(), |case| {
        // The first one's commands are those that are sent.
        let mut pair = Pair::new(case.rules, case.capacity);
        let mut bounded = Book::new(case.rules, case.capacity).expect("the rules are sound");
        let mut now_ns = 1;
        for step in &case.steps {
            let command = step.command(&pair, case, now_ns);
            if let BookCommand::AdvanceTime(later_ns) = command {
                now_ns = later_ns;
            }
            let whole = pair.apply(&command, &mut Coverage::default())?.to_vec();
            let mut parts: Vec<OrderReport> = Vec::new();
            bounded.bound_looks(8);
            bounded.apply(&command, &mut parts);
            while bounded.is_waiting() {
                waited.set(waited.get() + 1);
                bounded.bound_looks(3);
                bounded.run_waiting(&mut parts);
            }
            if is_cut(&parts) {
                return Ok(());
            }
            if whole != parts {
                return Err(format!("{command:?}: at once {whole:#?}\nin parts {parts:#?}"));
            }
        }
        Ok(())
    });
    println!("stops waited {} times", waited.get());
    assert!(waited.get() > 100);
}

#[test]
fn the_same_commands_give_the_same_digest_and_fewer_give_another() {
    let test = "the_same_commands_give_the_same_digest_and_fewer_give_another";
    on_random_cases(test, 500, case(), |case| {
        let (commands, _) = run(case, 1, &mut Coverage::default())?;
        let digest = |commands: &[BookCommand]| {
            let mut book = Book::new(case.rules, case.capacity).expect("the rules are sound");
            let mut chain = ReportChain::default();
            for command in commands {
                book.prefetch_slot(chain.count() as u32);
                book.apply(command, &mut chain);
            }
            chain.value()
        };
        let whole = digest(&commands);
        if digest(&commands) != whole || digest(&commands[1..]) == whole {
            return Err("the digest does not stand for the reports".to_owned());
        }
        Ok(())
    });
}

#[test]
fn book_and_model_agree_over_hundreds_of_levels() {
    let test = "book_and_model_agree_over_hundreds_of_levels";
    let levels_max = Cell::new(0);
    on_random_cases(test, 8, long_case(), |case| {
        let (_, levels) = run(case, 100, &mut Coverage::default())?;
        levels_max.set(levels.max(levels_max.get()));
        Ok(())
    });
    println!("up to {} levels to buy", levels_max.get());
    if from_environment("MIZAN_TEST_SEED", SEED_DEFAULT) == SEED_DEFAULT {
        assert!(levels_max.get() > 100, "{} levels are not many", levels_max.get());
    }
}
