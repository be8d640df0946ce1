//! The open loop: what a stall does to latencies, and how long a run lasts.

use crate::ledger::{FakeLedger, Faults};
use mizan_loadgen::{BenchOptions, run};
use std::time::Duration;

/// 1,000 batches of one transfer, one every 0.5 ms.
fn options(ledger: &FakeLedger) -> BenchOptions {
    BenchOptions {
        addresses: vec![ledger.address],
        accounts: 10,
        transfers: 1_000,
        batch: 1,
        in_flight: 64,
        rate: Some(2_000),
        request_timeout: Duration::from_secs(20),
        ..BenchOptions::default()
    }
}

#[test]
fn a_stall_is_counted_for_every_batch_that_it_delays() {
    // The ledger stands still for 400 ms from batch 100 on: the 800 batches that were to leave meanwhile wait for the rest
    // of it, though at most 64 can be on their way.
    let faults = Faults { stall_at: 100, stall_ms: 400, ..Faults::default() };
    for clients in [1, 2] {
        let ledger = FakeLedger::start(faults);
        let report = run(&BenchOptions { clients, ..options(&ledger) }, &()).unwrap();
        assert_eq!(report.acknowledged, 1_000);
        let share_beyond = |latency_us: u64| {
            let within = report.latency_curve.iter().rfind(|point| point.latency_us < latency_us);
            1.0 - within.map_or(0.0, |point| point.quantile)
        };
        // 600 batches waited at least 100 ms, 200 at least 300 ms. More only if the machine was slow.
        assert!(share_beyond(100_000) >= 0.58, "{:?}", report.latency_curve);
        assert!(share_beyond(300_000) >= 0.19, "{:?}", report.latency_curve);
        assert!(report.latency_us.max >= 390_000, "{:?}", report.latency_us);
        let delay = report.send_delay_us.expect("an open loop tells how late it was");
        assert!(delay.max >= 100_000, "what could not leave is told: {delay:?}");
    }
}

#[test]
fn the_same_stall_hides_in_a_closed_loop_and_the_report_says_which_loop_it_was() {
    let ledger = FakeLedger::start(Faults { stall_at: 100, stall_ms: 400, ..Faults::default() });
    let options = BenchOptions { rate: None, in_flight: 1, ..options(&ledger) };
    let report = run(&options, &()).unwrap();
    assert!(report.latency_us.max >= 390_000 && report.rate.is_none());
    let slow = report.latency_curve.iter().filter(|point| point.latency_us >= 390_000);
    assert!(slow.map(|point| point.quantile).fold(1.0, f64::min) > 0.99);
    assert!(report.send_delay_us.is_none());
}

#[test]
fn an_open_loop_never_runs_ahead_of_its_schedule() {
    let ledger = FakeLedger::start(Faults::default());
    let options = BenchOptions { clients: 5, driver_threads: 2, ..options(&ledger) };
    let report = run(&options, &()).unwrap();
    // The last of 1,000 batches was to leave after 499.5 ms.
    assert!(report.duration_s >= 0.4995, "{}", report.duration_s);
    assert_eq!(report.acknowledged, 1_000);
    assert_eq!(ledger.transfer_count(), 1_000);
}

#[test]
fn a_duration_ends_either_loop_and_what_was_sent_is_verified() {
    for rate in [None, Some(2_000)] {
        let ledger = FakeLedger::start(Faults::default());
        let duration = Some(Duration::from_millis(200));
        let transfers = 100_000_000;
        let options = BenchOptions { rate, duration, transfers, ..options(&ledger) };
        let report = run(&options, &()).unwrap();
        assert_eq!(ledger.transfer_count() as u64, report.acknowledged);
        assert!(report.acknowledged > 0 && report.acknowledged < transfers);
        if rate.is_some() {
            assert_eq!(report.acknowledged, 400);
        }
        let answered: f64 = report
            .timeline
            .iter()
            .scan(0.0, |from_s, slot| {
                let events = slot.events_per_s * (slot.until_s - *from_s);
                *from_s = slot.until_s;
                Some(events)
            })
            .sum();
        assert_eq!(answered.round() as u64, report.acknowledged, "the timeline loses nothing");
    }
}
