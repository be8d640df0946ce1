//! Whole runs against a little ledger: what is counted, what is verified, and what is noticed.

use crate::ledger::{FakeLedger, Faults};
use mizan_loadgen::{
    Acknowledged, BenchOptions, LoadError, Observer, Phase, Progress, Workload, run,
};
use std::sync::Mutex;
use std::time::Duration;

fn options(ledger: &FakeLedger) -> BenchOptions {
    BenchOptions {
        addresses: vec![ledger.address],
        accounts: 1_000,
        transfers: 20_050,
        batch: 100,
        in_flight: 3,
        request_timeout: Duration::from_secs(20),
        ..BenchOptions::default()
    }
}

#[derive(Default)]
struct Record {
    progress: Mutex<Vec<Progress>>,
    acknowledged: Mutex<Vec<Acknowledged>>,
}

impl Observer for Record {
    fn on_progress(&self, progress: &Progress) {
        self.progress.lock().unwrap().push(*progress);
    }

    fn on_acknowledged(&self, acknowledged: &Acknowledged) {
        self.acknowledged.lock().unwrap().push(*acknowledged);
    }
}

#[test]
fn every_transfer_of_a_run_is_made_once_and_every_session_closed() {
    for (clients, driver_threads) in [(1, 1), (4, 1), (5, 2)] {
        let ledger = FakeLedger::start(Faults::default());
        let options = BenchOptions { clients, driver_threads, ..options(&ledger) };
        let report = run(&options, &()).unwrap();
        assert_eq!((report.acknowledged, report.errors, report.unknown), (20_050, 0, 0));
        assert_eq!(ledger.transfer_count(), 20_050);
        assert_eq!(ledger.sessions(), (0, u64::from(clients) + 1));
        assert!(report.transfers_per_s > 0.0 && report.latency_us.max >= report.latency_us.p50);
    }
}

#[test]
fn acknowledged_batches_are_told_with_their_ids() {
    let ledger = FakeLedger::start(Faults::default());
    let options = BenchOptions { clients: 3, transfer_id_base: Some(1 << 100), ..options(&ledger) };
    let record = Record::default();
    run(&options, &record).unwrap();
    let mut acknowledged = record.acknowledged.into_inner().unwrap();
    acknowledged.sort_by_key(|batch| batch.first_id);
    assert_eq!(acknowledged.len(), 201);
    for (index, batch) in acknowledged.iter().enumerate() {
        let count = if index == 200 { 50 } else { 100 };
        assert_eq!(batch.first_id, (1 << 100) + 1 + index as u128 * 100);
        assert_eq!((batch.count, batch.created, batch.replayed), (count, count, false));
        assert!(ledger.has_transfer(batch.first_id));
        assert!(ledger.has_transfer(batch.first_id + u128::from(count) - 1));
        assert!(batch.client_index < 3);
    }
    let progress = record.progress.into_inner().unwrap();
    for phase in [Phase::Accounts, Phase::Transfers, Phase::Verification] {
        let last = progress.iter().rfind(|progress| progress.phase == phase).unwrap();
        assert_eq!(last.done, last.total, "{phase:?}");
    }
}

#[test]
fn refused_transfers_are_counted_by_status_and_not_expected_in_the_balances() {
    let ledger = FakeLedger::start(Faults { refuse_every: 7, ..Faults::default() });
    let report = run(&options(&ledger), &()).unwrap();
    assert_eq!(report.errors, 20_050 / 7);
    assert_eq!(report.error_statuses.get("exceeds_credits"), Some(&report.errors));
    assert_eq!(report.acknowledged + report.errors, 20_050);
    assert_eq!(ledger.transfer_count() as u64, report.acknowledged);
}

#[test]
fn connections_that_break_lose_and_double_nothing() {
    let ledger = FakeLedger::start(Faults { break_every: 40, ..Faults::default() });
    let options = BenchOptions { clients: 2, ..options(&ledger) };
    let report = run(&options, &()).unwrap();
    assert_eq!((report.acknowledged, report.unknown), (20_050, 0));
    assert!(report.replayed_batches >= 5, "{}", report.replayed_batches);
}

#[test]
fn a_batch_of_unknown_fate_is_looked_up_in_the_end() {
    let ledger = FakeLedger::start(Faults { silent_at: 30, ..Faults::default() });
    let request_timeout = Duration::from_millis(500);
    let options = BenchOptions { in_flight: 1, request_timeout, ..options(&ledger) };
    let report = run(&options, &()).unwrap();
    assert_eq!((report.unknown, report.errors), (100, 0));
    assert_eq!(report.acknowledged, 20_050 - 100);
    assert_eq!(ledger.transfer_count(), 20_050);
}

#[test]
fn a_second_run_counts_from_the_balances_of_the_first() {
    let ledger = FakeLedger::start(Faults::default());
    for round in 1..=2 {
        run(&options(&ledger), &()).unwrap();
        assert_eq!(ledger.transfer_count(), round * 20_050);
    }
}

#[test]
fn a_single_unit_too_much_is_found() {
    let ledger = FakeLedger::start(Faults { skim_at: 150, ..Faults::default() });
    let error = run(&options(&ledger), &()).unwrap_err();
    let LoadError::BalancesDiffer { count, accounts, side, found, expected, first } = error else {
        panic!("{error}")
    };
    assert_eq!((count, accounts, side), (1, 1_000, "posted credits"));
    assert_eq!(found, expected + 1);
    assert!(Workload::new(&options(&ledger)).account_index(first).is_some());
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let ledger = FakeLedger::start(Faults::default());
    let good = options(&ledger);
    let bad = [
        BenchOptions { accounts: 1, ..good.clone() },
        BenchOptions { batch: 0, ..good.clone() },
        BenchOptions { batch: 8_190, ..good.clone() },
        BenchOptions { clients: 0, ..good.clone() },
        BenchOptions { transfers: 0, ..good.clone() },
        BenchOptions { ledger: 0, ..good },
    ];
    for options in bad {
        assert!(matches!(run(&options, &()), Err(LoadError::Options(_))), "{options:?}");
    }
}

#[test]
fn a_report_is_written_as_json_with_the_documented_names() {
    let ledger = FakeLedger::start(Faults::default());
    let options = BenchOptions { transfers: 1_000, ..options(&ledger) };
    let json = serde_json::to_value(run(&options, &()).unwrap()).unwrap();
    for name in ["transfers_per_s", "acknowledged", "errors", "seed", "batch", "duration_s"] {
        assert!(json[name].is_number(), "{name}");
    }
    for name in ["p50", "p99", "p999", "max"] {
        assert!(json["latency_us"][name].is_u64(), "{name}");
    }
    assert!(json["machine"]["cpus"].is_u64());
    // A run that is shorter than a tick of the kernel's clock has no share.
    let share = json["machine"].as_object().and_then(|machine| machine.get("others_cpu_share"));
    let share = share.expect("the share is always written");
    assert!(share.is_null() || share.as_f64().is_some_and(|share| (0.0..=1.0).contains(&share)));
}
