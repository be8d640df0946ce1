//! Every sort of request, against a right ledger and against wrong ones: what is wrong must be found.

use crate::ledger::{FakeLedger, Faults, Wrong};
use mizan_loadgen::{BenchOptions, Distribution, IdOrder, LoadError, run};
use std::time::Duration;

fn options(ledger: &FakeLedger, mix: &str) -> BenchOptions {
    BenchOptions {
        addresses: vec![ledger.address],
        accounts: 200,
        transfers: 8_050,
        batch: 50,
        clients: 3,
        in_flight: 3,
        mix: mix.parse().unwrap(),
        request_timeout: Duration::from_secs(20),
        ..BenchOptions::default()
    }
}

#[test]
fn every_mix_comes_out_exactly_with_every_distribution_order_and_size_of_batch() {
    let mixes =
        ["transfers=1", "two-phase=1", "chains=1", "transfers=8,two-phase=4,chains=2,lookups=2"];
    for (round, mix) in mixes.into_iter().cycle().take(12).enumerate() {
        let ledger = FakeLedger::start(Faults::default());
        let distributions = [Distribution::Uniform, Distribution::Zipf, Distribution::Hot];
        let orders = [IdOrder::Sequential, IdOrder::Time, IdOrder::Random];
        let options = BenchOptions {
            distribution: distributions[round % 3],
            ids: orders[round / 4],
            batch: [1, 7, 50][round / 2 % 3],
            transfers: 2_001,
            ..options(&ledger, mix)
        };
        let report = run(&options, &()).unwrap_or_else(|error| panic!("{options:?}: {error}"));
        assert_eq!(report.errors, 0, "{options:?}");
        let all = report.acknowledged + report.failed_as_meant + report.lookups;
        assert_eq!(all, 2_001, "{options:?}");
        assert_eq!(ledger.transfer_count() as u64, report.acknowledged);
        assert_eq!(report.failed_as_meant > 0, mix.contains("chains"), "{options:?}");
        assert_eq!(report.lookups > 0, mix.contains("lookups"), "{options:?}");
    }
}

#[test]
fn a_second_run_counts_from_the_holds_that_the_first_left_open() {
    let ledger = FakeLedger::start(Faults::default());
    for _ in 0..2 {
        assert_eq!(run(&options(&ledger, "two-phase=1"), &()).unwrap().acknowledged, 8_050);
    }
}

#[test]
fn refused_holds_and_connections_that_break_do_not_confuse_the_balances() {
    let ledger = FakeLedger::start(Faults { break_every: 30, ..Faults::default() });
    let report = run(&options(&ledger, "two-phase=2,chains=1"), &()).unwrap();
    assert!(report.replayed_batches > 0 && report.errors == 0);
}

fn error_of(mix: &str, wrong: Wrong) -> LoadError {
    let ledger = FakeLedger::start(Faults { wrong, wrong_every: 9, ..Faults::default() });
    let once = options(&ledger, mix);
    let first = run(&once, &());
    // Empty accounts are noticed only by who knows that they were not empty before.
    let result = if wrong == Wrong::LookupFindsEmpty { run(&once, &()) } else { first };
    result.map(|report| panic!("{wrong:?} was not found: {report:?}")).unwrap_err()
}

#[test]
fn wrong_two_phase_transfers_show_in_the_balances() {
    for (wrong, expected) in [
        (Wrong::PostMovesNothing, "posted"),
        (Wrong::PartialPostKeepsTheRest, "pending"),
        (Wrong::VoidKeepsTheHold, "pending"),
        (Wrong::HoldMovesAtOnce, "posted"),
    ] {
        let error = error_of("two-phase=1", wrong);
        let LoadError::BalancesDiffer { side, .. } = error else { panic!("{wrong:?}: {error}") };
        assert!(side.starts_with(expected), "{wrong:?}: {side}");
    }
}

#[test]
fn wrong_chains_show_in_the_answers_or_in_the_balances() {
    let error = error_of("chains=1", Wrong::ChainsTakenApart);
    assert!(error.to_string().contains("one part of a linked chain"), "{error}");
    let error = error_of("chains=1", Wrong::ImpossibleIsCreated);
    assert!(error.to_string().contains("one of its transfers is impossible"), "{error}");
    let error = error_of("chains=1", Wrong::FailedChainMoves);
    assert!(matches!(error, LoadError::BalancesDiffer { .. }), "{error}");
}

#[test]
fn wrong_lookups_show_in_the_answers() {
    for (wrong, expected) in [
        (Wrong::LookupLosesOne, "found not every account"),
        (Wrong::LookupReverses, "found another account"),
        (Wrong::LookupFindsEmpty, "holds less than before"),
    ] {
        let error = error_of("transfers=1,lookups=1", wrong);
        let is_answer = matches!(error, LoadError::AnswerWrong { .. });
        assert!(is_answer && error.to_string().contains(expected), "{wrong:?}: {error}");
    }
}
