//! The simulator finds mistakes: each is made on purpose, and a seed must show it.
#![cfg(feature = "unsafe-faults")]

use mizan_replica::Fault;
use mizan_sim::{Options, PolicyName, SimFault, run};

/// The first seed that finds the mistake, and what it found.
fn seeds_to_find(fault: SimFault, policy: PolicyName, seeds_max: u64) -> u64 {
    for seed in 1..=seeds_max {
        let sound = Options { policy: Some(policy), ..Options::new(seed) };
        if let Err(failure) = run(&Options { fault: Some(fault), ..sound }) {
            // It must be the mistake that breaks the promise, not the seed.
            run(&sound).unwrap_or_else(|failure| panic!("without the mistake: {failure}"));
            println!("{fault:?}, {}: found by seed {seed}: {}", policy.name(), failure.violation);
            return seed;
        }
    }
    panic!("{fault:?} was not found by {seeds_max} seeds");
}

macro_rules! finds {
    ($($name:ident: $fault:expr, $policy:ident, within $seeds:literal;)*) => {
        $(#[test]
        fn $name() {
            assert!(seeds_to_find($fault, PolicyName::$policy, $seeds) <= $seeds);
        })*
    };
}

finds! {
    an_acknowledgement_before_the_sync_is_found: SimFault::Replica(Fault::AckBeforeSync), TwoDisks, within 400;
    a_cut_at_the_local_watermark_is_found: SimFault::Replica(Fault::CutAtLocalWatermark), TwoDisks, within 400;
    messages_of_old_epochs_that_are_taken_are_found: SimFault::Replica(Fault::SkipEpochCheck), TwoDisks, within 400;
    a_promotion_without_take_over_is_found: SimFault::Replica(Fault::PromoteWithoutTakeOver), TwoDisks, within 400;
    a_new_disk_that_counts_at_once_is_found: SimFault::Replica(Fault::SkipAdmission), TwoDisks, within 2000;
    a_promotion_without_asking_is_found: SimFault::Replica(Fault::PromoteWithoutAsking), TwoDisks, within 400;
    a_reply_before_its_commit_is_found: SimFault::StaleSessionReply, TwoDisks, within 400;
    applying_before_the_commit_is_found: SimFault::ApplyBeforeCommit, TwoDisks, within 400;
    a_grant_that_is_not_persisted_is_found: SimFault::GrantNotPersisted, TwoDisks, within 400;
    a_disk_given_out_twice_is_found: SimFault::SameDiskTwice, TwoDisks, within 2000;
    a_read_without_a_round_is_found: SimFault::ReadWithoutRound, TwoDisks, within 400;
    a_lost_connection_that_is_not_applied_is_found: SimFault::LossNotApplied, TwoDisks, within 400;
    an_eviction_that_is_lost_is_found: SimFault::LostEviction, TwoDisks, within 400;
}
