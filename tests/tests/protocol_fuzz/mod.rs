//! A fuzzer of the native protocol against a real node: every operation, every field at its edges, frames in pieces and
//! many in one, repetitions, hellos in the wrong place, readers that do not read, noise, and kills.
//!
//! Whatever comes, the node goes on, answers as the page about the protocol says, serves the client beside it, repeats
//! what it repeats unchanged, and has everything that it acknowledged after each restart; at the end its files are sound
//! to the independent check. `docs/maintaining/fuzzing.md` tells how to run it for hours and how to repeat a case.

mod bystander;
mod case;
mod connection;
mod frames;
mod mirror;
mod record;
mod replies;

use case::Case;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::{Duration, Instant};

const SEED_DEFAULT: u64 = 0x4D69_7A61_6E00_0022;
/// Nodes that are made, fuzzed, killed and verified; a few seconds each with the development profile.
const CASES_DEFAULT: u64 = 1;
/// Lines of a case's story that are shown.
const STORY_MAX: usize = 24;

/// What was done last.
#[derive(Clone, Default)]
pub(crate) struct Story(Rc<RefCell<VecDeque<String>>>);

impl Story {
    pub(crate) fn tell(&self, line: String) {
        let mut lines = self.0.borrow_mut();
        if lines.len() == STORY_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn text(&self) -> String {
        self.0.borrow().iter().map(|line| format!("{line}\n")).collect()
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")))
}

/// `MIZAN_FUZZ_SECONDS` runs it for so long, `MIZAN_FUZZ_SEED` from another seed, `MIZAN_FUZZ_CASE` one case alone.
#[test]
fn fuzz_native_protocol() {
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
    let mut number = first.unwrap_or(0);
    while goes_on(number) {
        let story = Story::default();
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
            Case::run(seed ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93), &story)
        }));
        let reason = match outcome {
            Ok(Ok(summary)) => {
                println!("case {number}: {summary}");
                number += 1;
                continue;
            }
            Ok(Err(reason)) => reason,
            // A panic of what the tests share names no case of itself, and has been shown.
            Err(_) => "a panic, see above".to_owned(),
        };
        panic!(
            "case {number}: {reason}\nthe last steps:\n{}repeat with: MIZAN_FUZZ_SEED={seed} \
             MIZAN_FUZZ_CASE={number} cargo test --workspace --test ingress fuzz_native_protocol",
            story.text()
        );
    }
}
