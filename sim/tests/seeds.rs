//! Seeds: the promises hold, and the same seed gives the same run.

use mizan_sim::{Failure, Options, PolicyName, Totals, Violation, run, run_logged};
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
    let mut disturbed = [0; 4];
    for seed in 1..=SEEDS_MAX {
        if seed > SEEDS_MIN && begun.elapsed() > PLAY_FOR {
            break;
        }
        match run(&Options::new(seed)) {
            Ok(report) => {
                acknowledged += report.acknowledged;
                let parts = [
                    report.contests,
                    report.candidates_ended,
                    report.candidates_cut,
                    report.rivals,
                ];
                disturbed.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
            }
            Err(failure) => panic!("{}\n{failure}", failure.trace.join("\n")),
        }
    }
    assert!(acknowledged > SEEDS_MIN * 20, "the clients got hardly anything done: {acknowledged}");
    assert!(
        disturbed.iter().all(|count| *count > 2),
        "too few candidates were disturbed: {disturbed:?}"
    );
}

#[test]
fn the_same_seed_gives_the_same_run_event_by_event() {
    for seed in 1..=8 {
        let (first, log) = run_logged(&Options::new(seed));
        let (second, again) = run_logged(&Options::new(seed));
        let different = log.iter().zip(&again).find(|(one, other)| one != other);
        assert_eq!(different, None, "seed {seed}");
        assert_eq!(log.len(), again.len(), "seed {seed}");
        assert!(log.len() > 1_000, "seed {seed}: only {} events", log.len());
        let first = first.unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(first, second.unwrap_or_else(|failure| panic!("{failure}")));
        // Keeping the log changes nothing.
        let plain = run(&Options::new(seed)).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(plain, first, "seed {seed}");
        let other = run(&Options::new(seed + 1_000)).unwrap_or_else(|failure| panic!("{failure}"));
        assert_ne!(first.events_hash, other.events_hash, "seed {seed}");
    }
}

#[test]
fn a_run_that_fails_names_the_command_that_repeats_it() {
    let failure = Failure {
        seed: 17,
        nodes: 3,
        policy: PolicyName::Disk,
        flags: " --nodes 3 --policy disk".to_owned(),
        violation: Violation::NoProgress("nobody leads".to_owned()),
        trace: Vec::new(),
    };
    let line = "mizan sim --first 17 --seeds 1 --nodes 3 --policy disk";
    assert!(failure.to_string().ends_with(line), "{failure}");
}

#[test]
fn clusters_of_two_and_of_three_under_every_policy_go_through_every_sort_of_fault() {
    for nodes in [2, 3] {
        for policy in PolicyName::ALL {
            let mut totals = Totals::default();
            for seed in 1..=12 {
                let (node_count, policy) = (Some(nodes), Some(policy));
                let outcome = run(&Options { node_count, policy, ..Options::new(seed) });
                totals.add(&outcome);
                outcome.unwrap_or_else(|failure| panic!("{failure}"));
            }
            let report = totals.report;
            let parts = [
                report.kills,
                report.power_losses,
                report.promotions,
                report.reads,
                report.wipes,
                report.damages,
                report.sessions_lost,
                report.connections_lost,
            ];
            let name = policy.name();
            assert!(parts.iter().all(|part| *part > 0), "{nodes} nodes, {name}: {parts:?}");
            assert_eq!((totals.seeds, totals.failed), (12, 0));
        }
    }
}

#[test]
fn losses_are_accepted_only_where_the_policy_may_lose_or_a_node_went_on_alone() {
    let mut of_disk = 0;
    for seed in 1..=40 {
        let report = |policy| {
            let outcome = run(&Options { policy: Some(policy), ..Options::new(seed) });
            outcome.unwrap_or_else(|failure| panic!("{failure}"))
        };
        of_disk += report(PolicyName::Disk).losses_accepted;
        let of_two = report(PolicyName::TwoDisks);
        assert!(of_two.singles > 0 || of_two.losses_accepted == 0, "seed {seed}: {of_two:?}");
    }
    assert!(of_disk > 0, "the simulation is too kind");
}
