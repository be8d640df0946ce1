//! Seeds: the promises hold, and the same seed gives the same run.

use mizan_sim::{Options, run};
use std::time::{Duration, Instant};

/// Seeds that are always played.
const SEEDS_MIN: u64 = 40;
const SEEDS_MAX: u64 = 400;
/// No new seed is begun after this; it decides how many seeds are played, never what becomes of them.
const PLAY_FOR: Duration = Duration::from_secs(20);

#[test]
fn no_seed_breaks_a_promise() {
    let begun = Instant::now();
    let mut acknowledged = 0;
    for seed in 1..=SEEDS_MAX {
        if seed > SEEDS_MIN && begun.elapsed() > PLAY_FOR {
            break;
        }
        match run(&Options::new(seed)) {
            Ok(report) => acknowledged += report.acknowledged,
            Err(failure) => panic!("{}\n{failure}", failure.trace.join("\n")),
        }
    }
    assert!(acknowledged > SEEDS_MIN * 20, "the clients got hardly anything done: {acknowledged}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 1..=6 {
        let first = run(&Options::new(seed)).expect("the seed holds");
        let second = run(&Options::new(seed)).expect("the seed holds");
        assert_eq!(first, second);
        let other = run(&Options::new(seed + 1_000)).expect("the seed holds");
        assert_ne!(first.events_hash, other.events_hash);
    }
}

#[test]
fn clusters_of_two_and_of_three_go_through_every_sort_of_fault() {
    for nodes in [2, 3] {
        let mut sums = [0; 4];
        for seed in 1..=15 {
            let options = Options { node_count: Some(nodes), ..Options::new(seed) };
            let report = run(&options).unwrap_or_else(|failure| panic!("{failure}"));
            let parts = [report.crashes, report.promotions, report.reads, report.wipes];
            sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        }
        assert!(sums.iter().all(|sum| *sum > 0), "{nodes} nodes: {sums:?}");
    }
}
