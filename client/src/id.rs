//! Ids for accounts and transfers: ordered by time, strictly growing within a process.
//!
//! The layout is that of a ULID: 48 bits of milliseconds since 1970, then 80 bits that are random in the first id of
//! a millisecond and grow by one after that. Ordered ids keep the node's indexes dense. They are unique, not secret.

use rustix::rand::{GetRandomFlags, getrandom};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

const RANDOM_BITS: u32 = 80;
/// Keeps the top 16 bits below 0xFFFE, the engine's own space, even with a clock from another age.
const MILLISECOND_MAX: u128 = 0xFFFD_FFFF_FFFF;

static LAST_ID: Mutex<u128> = Mutex::new(0);

/// A fresh id, larger than every id that this process got before; never 0, 2^128-1, or in the engine's own space.
///
/// May be called from any thread. Cost: a lock and a clock reading; once a millisecond a system call.
///
/// # Panics
/// If the kernel gives no random numbers.
#[must_use]
pub fn id() -> u128 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millisecond = since_1970.as_millis().clamp(1, MILLISECOND_MAX);
    // The guarded number is valid at any moment, so a panic elsewhere while it was held means nothing.
    let mut last = LAST_ID.lock().unwrap_or_else(PoisonError::into_inner);
    *last = next_id(*last, millisecond, random_u128);
    *last
}

/// The id after `last`. A clock that stands still or goes back only makes the lower bits count on.
fn next_id(last: u128, millisecond: u128, random: impl FnOnce() -> u128) -> u128 {
    if millisecond > last >> RANDOM_BITS {
        // The top random bit stays clear: 2^79 more ids fit into the millisecond.
        let random = random() >> (128 - RANDOM_BITS + 1);
        millisecond << RANDOM_BITS | random
    } else {
        last + 1
    }
}

pub(crate) fn random_u128() -> u128 {
    let mut bytes = [0; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("the kernel gives no random numbers: {error}"),
        }
    }
    u128::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_wire::limits::id_is_reserved;
    use std::collections::HashSet;

    #[test]
    fn a_million_ids_of_one_thread_are_strictly_increasing() {
        let mut last = 0;
        for _ in 0..1_000_000 {
            let next = id();
            assert!(next > last, "{next:x} follows {last:x}");
            last = next;
        }
    }

    #[test]
    fn ids_of_four_threads_are_unique_and_grow_within_each() {
        let ids_of_a_thread = || (0..100_000).map(|_| id()).collect::<Vec<_>>();
        let lists: Vec<Vec<u128>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ids_of_a_thread)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for list in &lists {
            assert!(list.is_sorted_by(|a, b| a < b));
        }
        let all: HashSet<u128> = lists.into_iter().flatten().collect();
        assert_eq!(all.len(), 400_000);
        assert!(all.iter().all(|id| *id != 0 && *id != u128::MAX && !id_is_reserved(*id)));
    }

    #[test]
    fn a_clock_that_goes_back_does_not_repeat_ids() {
        let first = next_id(0, 1_000, || u128::MAX);
        let second = next_id(first, 999, || unreachable!("no new millisecond"));
        assert_eq!(second, first + 1);
        assert_eq!(first >> RANDOM_BITS, 1_000);
        assert_eq!(next_id(second, 1_001, || 0), 1_001 << RANDOM_BITS);
    }

    #[test]
    fn a_full_millisecond_runs_over_into_the_next() {
        let last = (1_000 << RANDOM_BITS) | ((1 << RANDOM_BITS) - 1);
        assert_eq!(next_id(last, 1_000, || 7), 1_001 << RANDOM_BITS);
    }

    #[test]
    fn a_clock_from_another_age_stays_out_of_the_engines_own_space() {
        let id = next_id(0, MILLISECOND_MAX, || u128::MAX);
        assert!(!id_is_reserved(id));
        assert_eq!(id >> 112, 0xFFFD);
    }
}
