//! The node's two clocks, read at ingress only, and the guard between them.
//!
//! Timestamps are made by the engine from the readings given here. A wall clock that is set forward by hours would
//! expire every hold at once and could never be taken back, so a reading may run ahead of the monotonic clock's
//! progress by one second at the most; what is beyond is held back and counted.

use rustix::time::{ClockId, clock_gettime};

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

/// Lets the wall clock through as long as it is believable.
#[derive(Debug)]
pub(crate) struct ClockGuard {
    /// When the last reading was, and the furthest that the wall clock could have been believed then.
    last: Reading,
    pub(crate) held_back: bool,
    /// How often the wall clock began to be held back.
    pub(crate) jumps: u64,
}

impl ClockGuard {
    /// A guard that believes this first reading.
    #[must_use]
    pub(crate) const fn new(first: Reading) -> Self {
        Self { last: first, held_back: false, jumps: 0 }
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
        let jumped = reading.realtime_ns > expected.saturating_add(JUMP_NS_MAX);
        if jumped && !self.held_back {
            self.jumps += 1;
            tracing::warn!(
                "wall clock is {} ms ahead of the monotonic clock; held back until restart or until it agrees",
                (reading.realtime_ns - expected) / 1_000_000
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
    fn the_machine_has_clocks() {
        let first = Reading::now();
        let second = Reading::now();
        assert!(first.realtime_ns > 1_700_000_000 * 1_000_000_000);
        assert!(second.monotonic_ns >= first.monotonic_ns);
    }
}
