//! The simulator finds mistakes: each is made on purpose, and a seed must show it.
#![cfg(feature = "unsafe-faults")]

use mizan_replica::Fault;
use mizan_sim::{Options, SimFault, run};

/// The first seed that finds the mistake, and what it found.
fn seeds_to_find(fault: SimFault, seeds_max: u64) -> u64 {
    for seed in 1..=seeds_max {
        if let Err(failure) = run(&Options { fault: Some(fault), ..Options::new(seed) }) {
            // It must be the mistake that breaks the promise, not the seed.
            run(&Options::new(seed))
                .unwrap_or_else(|failure| panic!("without the mistake: {failure}"));
            println!("{fault:?}: found by seed {seed}: {}", failure.violation);
            return seed;
        }
    }
    panic!("{fault:?} was not found by {seeds_max} seeds");
}

macro_rules! finds {
    ($($name:ident: $fault:expr, within $seeds:literal;)*) => {
        $(#[test]
        fn $name() {
            assert!(seeds_to_find($fault, $seeds) <= $seeds);
        })*
    };
}

finds! {
    an_acknowledgement_before_the_sync_is_found: SimFault::Replica(Fault::AckBeforeSync), within 400;
    a_cut_at_the_local_watermark_is_found: SimFault::Replica(Fault::CutAtLocalWatermark), within 400;
    messages_of_old_epochs_that_are_taken_are_found: SimFault::Replica(Fault::SkipEpochCheck), within 400;
    a_promotion_without_take_over_is_found: SimFault::Replica(Fault::PromoteWithoutTakeOver), within 400;
    a_new_disk_that_counts_at_once_is_found: SimFault::Replica(Fault::SkipAdmission), within 2000;
    a_reply_before_its_commit_is_found: SimFault::StaleSessionReply, within 400;
    applying_before_the_commit_is_found: SimFault::ApplyBeforeCommit, within 400;
    a_grant_that_is_not_persisted_is_found: SimFault::GrantNotPersisted, within 2000;
    a_read_without_a_round_is_found: SimFault::ReadWithoutRound, within 400;
}
