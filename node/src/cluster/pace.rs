//! How fast a node that lags is sent what it lacks, so that those who are served meanwhile do not notice.
//!
//! A peer is paced from the begin of its stream until it has had everything once; from then on it is live and never
//! waits. What is absent: any clock; times are given.

use mizan_replica::constants::NODES_MAX;
use std::time::Duration;

/// Bytes sent at once to a node that lags, if a frame is not larger: it syncs what it gets, and where two nodes share a
/// disk every sync waits for the one before.
const PACED_READ_SIZE: u64 = 256 << 10;

/// A read that is put off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Delayed {
    pub(crate) peer: u8,
    pub(crate) after: u64,
    pub(crate) size_max: u64,
    due_ns: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Bytes per second.
    rate: u64,
    is_live: [bool; NODES_MAX],
    next_ns: [u64; NODES_MAX],
    delayed: [Option<Delayed>; NODES_MAX],
}

impl Pace {
    /// At most so many bytes per second for each peer.
    pub(crate) fn new(rate: u64) -> Self {
        Self {
            rate: rate.max(1),
            is_live: [false; NODES_MAX],
            next_ns: [0; NODES_MAX],
            delayed: [None; NODES_MAX],
        }
    }

    /// A new connection: the peer may lack anything.
    pub(crate) fn begin(&mut self, peer: u8) {
        self.is_live[usize::from(peer)] = false;
        self.delayed[usize::from(peer)] = None;
    }

    /// Whether a read may be done now; if not, it is kept.
    pub(crate) fn admits(&mut self, peer: u8, after: u64, size_max: u64, now_ns: u64) -> bool {
        let place = usize::from(peer);
        let due_ns = self.next_ns[place];
        if self.is_live[place] || due_ns <= now_ns {
            return true;
        }
        self.delayed[place] = Some(Delayed { peer, after, size_max, due_ns });
        false
    }

    /// How much may be read at once.
    pub(crate) fn size_max(&self, peer: u8, size_max: u64) -> u64 {
        if self.is_live[usize::from(peer)] { size_max } else { size_max.min(PACED_READ_SIZE) }
    }

    /// A peer was sent so many bytes, and has everything or not.
    pub(crate) fn note(&mut self, peer: u8, size: usize, has_all: bool, now_ns: u64) {
        let place = usize::from(peer);
        self.is_live[place] |= has_all;
        let cost_ns = u128::from(size as u64) * 1_000_000_000 / u128::from(self.rate);
        let cost_ns = u64::try_from(cost_ns).unwrap_or(u64::MAX);
        self.next_ns[place] = self.next_ns[place].max(now_ns).saturating_add(cost_ns);
    }

    /// A read whose time has come.
    pub(crate) fn take_due(&mut self, now_ns: u64) -> Option<Delayed> {
        self.delayed
            .iter_mut()
            .find(|delayed| delayed.is_some_and(|delayed| delayed.due_ns <= now_ns))?
            .take()
    }

    /// How long until the next one.
    pub(crate) fn wait(&self, now_ns: u64, longest: Duration) -> Duration {
        let due = self.delayed.iter().flatten().map(|delayed| delayed.due_ns).min();
        due.map_or(longest, |due_ns| {
            longest.min(Duration::from_nanos(due_ns.saturating_sub(now_ns)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    #[test]
    fn a_peer_that_lags_gets_no_more_than_the_rate_and_a_live_one_never_waits() {
        let mut pace = Pace::new(1_000_000);
        let (mut now_ns, mut sent) = (5 * SECOND_NS, 0);
        let end_ns = now_ns + 10 * SECOND_NS;
        assert!(pace.admits(1, 0, 100, now_ns));
        while now_ns < end_ns {
            pace.note(1, 50_000, false, now_ns);
            sent += 50_000;
            if !pace.admits(1, sent, 100, now_ns) {
                assert_eq!(pace.take_due(now_ns), None);
                now_ns += u64::try_from(pace.wait(now_ns, Duration::MAX).as_nanos()).unwrap();
                let delayed = pace.take_due(now_ns).expect("its time has come");
                assert_eq!((delayed.peer, delayed.after), (1, sent));
            }
        }
        assert!((9_900_000..=10_100_000).contains(&sent), "{sent}");
        pace.note(1, 50_000_000, true, now_ns);
        assert!(pace.admits(1, 0, 100, now_ns), "it has everything");
        pace.begin(1);
        assert!(!pace.admits(1, 0, 100, now_ns), "and on a new connection it may lack anything");
    }

    #[test]
    fn one_peer_that_waits_keeps_no_other_waiting() {
        let mut pace = Pace::new(1);
        pace.note(0, 1_000, false, 0);
        assert!(!pace.admits(0, 7, 100, 1));
        assert!(pace.admits(2, 7, 100, 1));
        assert_eq!(pace.wait(1, Duration::from_millis(20)), Duration::from_millis(20));
    }
}
