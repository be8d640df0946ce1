//! A fuzzer of the engine against the model, at the edges: tables of one place and of many, amounts, prices, quantities
//! and budgets around the widths of their words, fees of everything, clocks at the first and at the last nanosecond.
//!
//! Whatever comes, both give the same replies or both refuse the entry, their states are the same, and the engine's
//! audit finds nothing. `docs/maintaining/fuzzing.md` tells how to run it for hours and how to repeat a case.

mod events;
mod random;
mod run;
mod script;

use run::run;
use std::time::{Duration, Instant};

const SEED_DEFAULT: u64 = 0x4D69_7A61_6E00_0021;
/// A few seconds with the development profile.
const CASES_DEFAULT: u64 = 400;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")))
}

/// `MIZAN_FUZZ_SECONDS` runs it for so long, `MIZAN_FUZZ_SEED` from another seed, `MIZAN_FUZZ_CASE` one case alone.
#[test]
fn fuzz_engine_against_model() {
    let seed = number("MIZAN_FUZZ_SEED").unwrap_or(SEED_DEFAULT);
    let seconds = number("MIZAN_FUZZ_SECONDS");
    let first = number("MIZAN_FUZZ_CASE");
    let begun = Instant::now();
    let goes_on = |case: u64| match (first, seconds) {
        (Some(only), _) => case == only,
        (None, Some(seconds)) => begun.elapsed() < Duration::from_secs(seconds),
        (None, None) => case < CASES_DEFAULT,
    };
    println!("seed {seed}");
    let mut case = first.unwrap_or(0);
    let (mut entries, mut refused) = (0, 0);
    while goes_on(case) {
        let repeat = format!(
            "MIZAN_FUZZ_SEED={seed} MIZAN_FUZZ_CASE={case} cargo test --workspace --test \
             engine_against_model fuzz_engine_against_model"
        );
        // A panic of either side names no case of itself.
        let outcome = std::panic::catch_unwind(|| run(seed, case));
        match outcome {
            Ok(Ok(counts)) => {
                entries += counts.entries;
                refused += counts.refused;
            }
            Ok(Err(reason)) => panic!("case {case}: {reason}\nrepeat with: {repeat}"),
            Err(_) => panic!("case {case} panicked\nrepeat with: {repeat}"),
        }
        case += 1;
    }
    let cases = case - first.unwrap_or(0);
    println!("{cases} cases, {entries} entries, {refused} of them refused by both, all alike");
    assert!(entries > 0, "nothing was compared");
}
