//! The node's two clocks, read at ingress only, and the guard between them.
//!
//! Timestamps are made by the engine from the readings given here. A wall clock that is set forward by hours would
//! expire every hold at once and could never be taken back, so a reading may run ahead of the monotonic clock's
//! progress by one second at the most; what is beyond is held back and counted. The first reading has nothing before
//! it: a promotion takes the time that most nodes tell (`mizan_replica`), and a clock that nobody can confirm is
//! compared with the log's last timestamp.

use crate::error::NodeError;
use mizan_replica::constants::CLOCK_AHEAD_MAX_NS;
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

/// How far the wall clock may run ahead of the monotonic one.
const JUMP_NS_MAX: u64 = 1_000_000_000;

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Reading {
    /// Nanoseconds since some start; never goes back.
    pub(crate) monotonic_ns: u64,
    /// Nanoseconds since 1970.
    pub(crate) realtime_ns: u64,
}

impl Reading {
    /// What the machine's clocks show. Costs about 50 ns.
    #[must_use]
    pub(crate) fn now() -> Self {
        Self {
            // It goes on while the machine is suspended, as the wall clock does: waking up is no jump.
            monotonic_ns: nanoseconds(ClockId::Boottime),
            realtime_ns: nanoseconds(ClockId::Realtime),
        }
    }
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    // A clock set to the year 2600 is no reason to panic.
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// The machine's wall clock, or one that differs from it.
///
/// Clones show the same time. Nothing but tests shifts it.
#[derive(Clone, Debug, Default)]
pub struct WallClock {
    shift_ns: Arc<AtomicI64>,
}

impl WallClock {
    /// From now on it shows the machine's time and so many nanoseconds more.
    pub fn shift(&self, shift_ns: i64) {
        self.shift_ns.store(shift_ns, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Reading {
        let reading = Reading::now();
        let shift_ns = self.shift_ns.load(Ordering::Relaxed);
        Reading { realtime_ns: reading.realtime_ns.saturating_add_signed(shift_ns), ..reading }
    }
}

/// Whether a wall clock that nobody confirms is believed, with a log that ends at this timestamp.
///
/// # Errors
/// It is too far ahead, and nobody said that it is right.
pub(crate) fn check_alone(clock_ns: u64, log_timestamp_ns: u64) -> Result<(), NodeError> {
    if clock_ns > log_timestamp_ns.saturating_add(CLOCK_AHEAD_MAX_NS) {
        return Err(NodeError::ClockAhead { clock_ns, log_timestamp_ns });
    }
    Ok(())
}

/// A point in time as people write it.
pub(crate) fn time_text(realtime_ns: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_nanos(realtime_ns)).to_string()
}

/// Lets the wall clock through as long as it is believable.
#[derive(Debug)]
pub(crate) struct ClockGuard {
    /// When the last reading was, and the furthest that the wall clock could have been believed then.
    last: Reading,
    /// The time is not the wall clock's but one that was agreed on, and the wall clock has not agreed with it yet.
    is_agreed: bool,
    pub(crate) held_back: bool,
    /// How often the wall clock began to be held back.
    pub(crate) jumps: u64,
}

impl ClockGuard {
    /// A guard that believes this first reading.
    #[must_use]
    pub(crate) const fn new(first: Reading) -> Self {
        Self { last: first, is_agreed: false, held_back: false, jumps: 0 }
    }

    /// A guard that goes on from a time that was agreed on, until the wall clock shows the same, give or take a second.
    #[must_use]
    pub(crate) const fn agreed(time: Reading) -> Self {
        Self { is_agreed: true, ..Self::new(time) }
    }

    /// What the next reading is measured against.
    #[cfg(test)]
    pub(crate) const fn last(&self) -> Reading {
        self.last
    }

    /// The wall clock's time, never more than a second ahead of the monotonic clock's progress.
    ///
    /// A clock that was set back is passed on: the engine's timestamps still only grow.
    pub(crate) fn admit(&mut self, reading: Reading) -> u64 {
        let progress = reading.monotonic_ns.saturating_sub(self.last.monotonic_ns);
        let expected = self.last.realtime_ns.saturating_add(progress);
        let is_ahead = reading.realtime_ns > expected.saturating_add(JUMP_NS_MAX);
        let is_behind = expected > reading.realtime_ns.saturating_add(JUMP_NS_MAX);
        self.is_agreed &= is_ahead || is_behind;
        let jumped = is_ahead || (self.is_agreed && is_behind);
        if jumped && !self.held_back {
            self.jumps += 1;
            tracing::warn!(
                "wall clock is {} ms {}; held back until restart or until it agrees",
                reading.realtime_ns.abs_diff(expected) / 1_000_000,
                match (self.is_agreed, is_ahead) {
                    (false, _) => "ahead of the monotonic clock",
                    (true, true) => "ahead of the time that the nodes agreed on",
                    (true, false) => "behind the time that the nodes agreed on",
                }
            );
        }
        self.held_back = jumped;
        let admitted = if jumped { expected } else { reading.realtime_ns };
        // After a step back the clock may return to where it would be without it: that time was believed before.
        let realtime_ns = admitted.max(expected);
        self.last = Reading { monotonic_ns: reading.monotonic_ns, realtime_ns };
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(monotonic_ns: u64, realtime_ns: u64) -> Reading {
        Reading { monotonic_ns, realtime_ns }
    }

    #[test]
    fn a_clock_that_jumps_ahead_is_held_to_the_monotonic_progress() {
        let mut guard = ClockGuard::new(at(0, 1000));
        assert_eq!(guard.admit(at(10, 1010)), 1010);
        assert_eq!(guard.admit(at(20, 1020 + 2 * JUMP_NS_MAX)), 1020);
        assert_eq!(guard.admit(at(30, 1030 + 2 * JUMP_NS_MAX)), 1030);
        assert_eq!(guard.jumps, 1);
        assert_eq!(guard.admit(at(40, 1041)), 1041);
        assert_eq!(guard.admit(at(50, 5 * JUMP_NS_MAX)), 1051);
        assert_eq!(guard.jumps, 2);
    }

    #[test]
    fn small_steps_and_steps_back_are_let_through() {
        let mut guard = ClockGuard::new(at(0, 10 * JUMP_NS_MAX));
        assert_eq!(guard.admit(at(1, 11 * JUMP_NS_MAX)), 11 * JUMP_NS_MAX);
        assert_eq!(guard.admit(at(2, 3 * JUMP_NS_MAX)), 3 * JUMP_NS_MAX);
    }

    #[test]
    fn a_clock_that_was_set_back_may_return_but_go_no_further() {
        let hour_ns = 3_600 * JUMP_NS_MAX;
        let mut guard = ClockGuard::new(at(0, 5 * hour_ns));
        assert_eq!(guard.admit(at(10, 4 * hour_ns)), 4 * hour_ns);
        assert_eq!(guard.admit(at(20, 5 * hour_ns + 20)), 5 * hour_ns + 20);
        assert_eq!(guard.jumps, 0);
        assert_eq!(guard.admit(at(30, 6 * hour_ns)), 5 * hour_ns + 30);
        assert_eq!(guard.jumps, 1);
    }

    #[test]
    fn an_agreed_time_goes_on_until_the_wall_clock_agrees_and_then_as_ever() {
        let hour_ns = 3_600 * JUMP_NS_MAX;
        for other_ns in [4 * hour_ns, 6 * hour_ns] {
            let mut guard = ClockGuard::agreed(at(0, 5 * hour_ns));
            assert_eq!(guard.admit(at(10, other_ns)), 5 * hour_ns + 10);
            assert_eq!(guard.admit(at(20, other_ns + 10)), 5 * hour_ns + 20);
            assert!(guard.held_back && guard.jumps == 1);
            // Mended: from now on it may be set back, as on every node.
            assert_eq!(guard.admit(at(30, 5 * hour_ns + 33)), 5 * hour_ns + 33);
            assert!(!guard.held_back);
            assert_eq!(guard.admit(at(40, 4 * hour_ns)), 4 * hour_ns);
            assert_eq!(guard.jumps, 1);
        }
    }

    #[test]
    fn a_clock_that_nobody_confirms_may_be_a_day_ahead_of_the_log_and_no_more() {
        let day_ns = 86_400 * JUMP_NS_MAX;
        for (clock_ns, is_believed) in
            [(0, true), (9 * day_ns, true), (10 * day_ns, true), (10 * day_ns + 1, false)]
        {
            assert_eq!(check_alone(clock_ns, 9 * day_ns).is_ok(), is_believed, "{clock_ns}");
        }
        let text = check_alone(11 * day_ns, 9 * day_ns).expect_err("refused").to_string();
        for part in ["1970-01-12T00:00:00Z", "1970-01-10T00:00:00Z", "--accept-clock"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(time_text(u64::MAX).starts_with("2554-"));
    }

    #[test]
    fn the_machine_has_clocks() {
        let first = Reading::now();
        let second = Reading::now();
        assert!(first.realtime_ns > 1_700_000_000 * 1_000_000_000);
        assert!(second.monotonic_ns >= first.monotonic_ns);
    }
}
