//! When which batch is to leave.
//!
//! Batches are dealt in pairs, so that one client sends a batch of holds and, behind it, what resolves them.
//!
//! In an open loop batch *n* is to leave exactly when the events before it have had their time at the asked rate, counted
//! from the start of the run, and not from the batch before: no delay ever shifts what comes later.

use crate::BenchOptions;
use std::sync::atomic::{AtomicU64, Ordering};

const NS_PER_S: u128 = 1_000_000_000;

/// What all drivers of a run deal from.
pub(crate) struct Schedule {
    batch: u64,
    batch_count: u64,
    rate: Option<u64>,
    duration_ns: u64,
    next_pair: AtomicU64,
}

/// What a driver gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Deal {
    /// The batches from the first to before the second; one or two.
    Batches(u64, u64),
    /// The next batch is to leave then.
    NotBefore(u64),
    /// There is nothing left.
    Over,
}

impl Schedule {
    pub(crate) fn new(options: &BenchOptions) -> Self {
        let duration_ns = options
            .duration
            .map_or(u64::MAX, |duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        Self {
            batch: u64::from(options.batch),
            batch_count: options.batch_count(),
            rate: options.rate,
            duration_ns,
            next_pair: AtomicU64::new(0),
        }
    }

    /// When a batch is to leave, in nanoseconds since the start; `None` in a closed loop.
    pub(crate) fn intended_ns(&self, batch_index: u64) -> Option<u64> {
        let rate = u128::from(self.rate?);
        let events_before = u128::from(batch_index) * u128::from(self.batch);
        Some(u64::try_from(events_before * NS_PER_S / rate).unwrap_or(u64::MAX))
    }

    /// Takes the next pair, if it is time. No pair is given twice.
    pub(crate) fn deal(&self, now_ns: u64) -> Deal {
        loop {
            let pair = self.next_pair.load(Ordering::Relaxed);
            let first = pair * 2;
            let begins_ns = self.intended_ns(first);
            if first >= self.batch_count || begins_ns.unwrap_or(now_ns) >= self.duration_ns {
                return Deal::Over;
            }
            if let Some(begins_ns) = begins_ns.filter(|begins_ns| *begins_ns > now_ns) {
                return Deal::NotBefore(begins_ns);
            }
            let exchanged = self.next_pair.compare_exchange(
                pair,
                pair + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if exchanged.is_ok() {
                return Deal::Batches(first, self.batch_count.min(first + 2));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn schedule(options: &BenchOptions) -> Schedule {
        Schedule::new(options)
    }

    #[test]
    fn intended_times_have_no_drift_however_odd_the_rate() {
        let options =
            BenchOptions { rate: Some(7), batch: 3, transfers: 1 << 40, ..BenchOptions::default() };
        let schedule = schedule(&options);
        for batch_index in [0, 1, 2, 1_000_003, 7_000_000_000] {
            let exact = u128::from(batch_index) * 3 * NS_PER_S / 7;
            assert_eq!(schedule.intended_ns(batch_index).map(u128::from), Some(exact));
        }
        // 7 events of 3 a second: after 7 billion batches, 3 billion seconds to the nanosecond.
        assert_eq!(schedule.intended_ns(7_000_000_000), Some(3_000_000_000 * 1_000_000_000));
    }

    #[test]
    fn an_open_loop_deals_what_is_due_however_late_it_is_asked() {
        let options =
            BenchOptions { rate: Some(1_000), batch: 1, transfers: 9, ..BenchOptions::default() };
        let schedule = schedule(&options);
        assert_eq!(schedule.deal(0), Deal::Batches(0, 2));
        assert_eq!(schedule.deal(0), Deal::NotBefore(2_000_000));
        for first in [2, 4, 6] {
            assert_eq!(schedule.deal(50_000_000), Deal::Batches(first, first + 2));
        }
        assert_eq!(schedule.deal(50_000_000), Deal::Batches(8, 9));
        assert_eq!(schedule.deal(50_000_000), Deal::Over);
    }

    #[test]
    fn a_duration_ends_the_schedule_of_intended_times_and_not_of_late_ones() {
        let duration = Some(Duration::from_millis(3));
        let open = BenchOptions {
            rate: Some(1_000),
            batch: 1,
            transfers: 1_000,
            duration,
            ..BenchOptions::default()
        };
        let schedule_open = schedule(&open);
        // Asked a minute late, an open loop still owes everything that was to leave within its duration.
        assert_eq!(schedule_open.deal(60_000_000_000), Deal::Batches(0, 2));
        assert_eq!(schedule_open.deal(60_000_000_000), Deal::Batches(2, 4));
        assert_eq!(schedule_open.deal(60_000_000_000), Deal::Over);
        let closed = schedule(&BenchOptions { rate: None, ..open });
        assert_eq!(closed.deal(2_999_999), Deal::Batches(0, 2));
        assert_eq!(closed.deal(3_000_000), Deal::Over);
    }

    #[test]
    fn several_drivers_never_get_the_same_batch() {
        let options = BenchOptions { transfers: 20_000, batch: 1, ..BenchOptions::default() };
        let schedule = schedule(&options);
        let take = || {
            let mut taken = Vec::new();
            while let Deal::Batches(first, end) = schedule.deal(1) {
                taken.extend(first..end);
            }
            taken
        };
        let mut all: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        all.sort_unstable();
        assert_eq!(all, (0..20_000).collect::<Vec<_>>());
    }
}
