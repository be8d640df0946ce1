//! Which address to try next, and when.
//!
//! All addresses are tried in turn without a pause; after a whole round in vain comes a pause, which grows with the time
//! that nothing was of use. A node's hint at the primary is followed once per round, so that two nodes that name each other
//! do not keep a client running in circles.

use crate::constants::{RECONNECT_DELAY_MAX, RECONNECT_DELAY_MIN, RECONNECT_DELAY_SHARE};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub(crate) struct Route {
    addresses: Vec<SocketAddr>,
    next: usize,
    tried_in_round: usize,
    hint: Option<SocketAddr>,
    hint_followed: bool,
    /// When the first attempt since the last progress was in vain.
    since: Option<Instant>,
    not_before: Option<Instant>,
}

impl Route {
    /// # Panics
    /// If there is no address; the client checks that first.
    pub(crate) fn new(addresses: Vec<SocketAddr>) -> Self {
        assert!(!addresses.is_empty(), "invariant: a client has at least one address");
        Self {
            addresses,
            next: 0,
            tried_in_round: 0,
            hint: None,
            hint_followed: false,
            since: None,
            not_before: None,
        }
    }

    /// The time before which nothing should be tried.
    pub(crate) fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    /// The address to try now. The caller has waited long enough.
    pub(crate) fn take_next(&mut self) -> SocketAddr {
        self.not_before = None;
        if let Some(hint) = self.hint.take() {
            self.hint_followed = true;
            return hint;
        }
        let address = self.addresses[self.next];
        self.next = (self.next + 1) % self.addresses.len();
        self.tried_in_round += 1;
        address
    }

    /// Notes that the last address was of no use; says whether the whole round was in vain.
    pub(crate) fn failed(&mut self, now: Instant, hint: Option<SocketAddr>) -> bool {
        if let Some(hint) = hint.filter(|_| !self.hint_followed) {
            self.hint = Some(hint);
            return false;
        }
        if self.tried_in_round < self.addresses.len() {
            return false;
        }
        self.tried_in_round = 0;
        self.hint_followed = false;
        self.pause(now);
        true
    }

    /// Notes that a connection broke that had been of use: the first new attempt follows after the shortest pause.
    pub(crate) fn lost(&mut self, now: Instant) {
        self.tried_in_round = 0;
        self.hint_followed = false;
        self.pause(now);
    }

    fn pause(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        self.not_before = Some(now + pause_after(now - since));
    }

    /// Notes that a request was answered. A hello alone is no progress: a node may accept it and fail at the request.
    pub(crate) fn progressed(&mut self) {
        self.since = None;
    }
}

/// The pause after attempts that have been in vain for so long.
pub(crate) fn pause_after(in_vain: Duration) -> Duration {
    (in_vain / RECONNECT_DELAY_SHARE).clamp(RECONNECT_DELAY_MIN, RECONNECT_DELAY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn the_pause_grows_with_the_time_in_vain_up_to_a_limit_and_begins_anew_after_progress() {
        let mut route = Route::new(vec![address(1), address(2)]);
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for after_ms in [0, 40, 120, 240, 1_000, 10_000] {
            now += Duration::from_millis(after_ms);
            assert_eq!(route.take_next(), address(1));
            assert!(!route.failed(now, None));
            assert_eq!(route.take_next(), address(2));
            assert!(route.failed(now, None));
            pauses.push((route.not_before().unwrap() - now).as_millis());
        }
        assert_eq!(pauses, [10, 10, 20, 50, 175, 250]);
        route.progressed();
        route.lost(now);
        assert_eq!((route.not_before().unwrap() - now).as_millis(), 10);
    }

    #[test]
    fn a_hint_is_followed_once_per_round() {
        let mut route = Route::new(vec![address(1)]);
        let now = Instant::now();
        for _ in 0..2 {
            assert_eq!(route.take_next(), address(1));
            assert!(!route.failed(now, Some(address(9))));
            assert_eq!(route.take_next(), address(9));
            assert!(route.failed(now, Some(address(1))));
        }
    }
}
