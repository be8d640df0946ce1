//! The rivals, each in a file of its own, all under the same rules: events of 128 bytes written whole, both of their
//! cache lines read, a producer that finds the ring full waits as the case says, a consumer takes all that is there.

mod crossbeam_rivals;
mod disruptor_rival;
mod mizan;
mod rtrb_rival;

use crate::case::Case;
use std::time::Duration;

/// How a rival runs a case: `None` if it has no such mode.
type Run = fn(&Case) -> Option<Result<Duration, String>>;

/// One ring to be measured.
pub(crate) struct Rival {
    pub(crate) name: &'static str,
    /// The package that it comes from.
    pub(crate) package: &'static str,
    pub(crate) run: Run,
}

/// All of them; the first is ours.
pub(crate) const RIVALS: [Rival; 5] = [
    Rival { name: "mizan-ring", package: "mizan-ring", run: mizan::run },
    Rival { name: "disruptor", package: "disruptor", run: disruptor_rival::run },
    Rival { name: "rtrb", package: "rtrb", run: rtrb_rival::run },
    Rival {
        name: "crossbeam ArrayQueue",
        package: "crossbeam-queue",
        run: crossbeam_rivals::array_queue,
    },
    Rival {
        name: "crossbeam channel",
        package: "crossbeam-channel",
        run: crossbeam_rivals::channel,
    },
];

/// The version of a package that was compiled in, from the lock file.
pub(crate) fn version(package: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{package}\""));
    lines
        .nth(1)
        .and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
        .unwrap_or("unknown")
}

/// A wait that needs nobody else: one round of looking away.
trait Pause: Copy + Send + 'static {
    fn pause(self);
}

#[derive(Clone, Copy)]
struct Spin;

impl Pause for Spin {
    #[inline(always)]
    fn pause(self) {
        std::hint::spin_loop();
    }
}

#[derive(Clone, Copy)]
struct Yield;

impl Pause for Yield {
    #[inline(always)]
    fn pause(self) {
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Mode, Wait};

    #[test]
    fn every_rival_carries_every_case_that_it_offers_without_loss() {
        let mut runs = 0;
        for rival in &RIVALS {
            for mode in [Mode::Single, Mode::Multi, Mode::MultiTwo] {
                for wait in [Wait::Yield, Wait::Block] {
                    for batch in [1, 16, 64] {
                        let case = Case {
                            mode,
                            wait,
                            batch,
                            capacity: 128,
                            events: 4_096,
                            pinned: false,
                            huge_pages: true,
                        };
                        if let Some(run) = (rival.run)(&case) {
                            assert!(run.is_ok(), "{} {case:?}: {run:?}", rival.name);
                            runs += 1;
                        }
                    }
                }
            }
        }
        assert!(runs > 30, "only {runs} runs");
    }

    #[test]
    fn the_versions_are_found_in_the_lock_file() {
        for rival in &RIVALS {
            assert!(version(rival.package).contains('.'), "{}", rival.package);
        }
    }
}
