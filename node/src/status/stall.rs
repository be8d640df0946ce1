//! Since when work waits and nothing of it is done: what tells a disk that hangs from one that is slow or busy.
//!
//! A disk that hangs returns no error, so nobody is told. What can be seen is that more is asked for than is done, and
//! that the count of what is done does not move. Invariants: any move ends the wait; time in which nobody looked is no
//! evidence, so that a machine or a process that stood still is not taken for its disk.

use std::time::Duration;

/// Work that waits for so long, while nothing is done, has a disk that hangs.
pub const DISK_HANGS_AFTER: Duration = Duration::from_secs(2);
/// Time between two looks that counts at the most.
const LOOK_MAX_NS: u64 = 500_000_000;

/// What was asked of a journal and what it has done, both counted by whoever has it, from the same beginning.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct JournalWork {
    pub(crate) asked: u64,
    pub(crate) done: u64,
    /// A full disk is waited for, which has an alarm of its own.
    pub(crate) waits_for_room: bool,
}

/// A journal whose work can be looked at from any thread, also while its own thread waits for the disk.
pub(crate) trait WatchedJournal: Send + Sync {
    /// Where it stands. Cost: some loads.
    fn work(&self) -> JournalWork;
}

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stall {
    done: u64,
    looked_ns: u64,
    since_ns: Option<u64>,
}

impl Stall {
    /// Looks: whether more is asked for than is done, and how much that is. Returns since when it waits, if it does.
    pub(crate) fn look(&mut self, waits: bool, done: u64, now_ns: u64) -> Option<u64> {
        let unseen = now_ns.saturating_sub(self.looked_ns).saturating_sub(LOOK_MAX_NS);
        self.since_ns = match self.since_ns {
            _ if !waits => None,
            Some(since) if done == self.done => Some(since.saturating_add(unseen).min(now_ns)),
            _ => Some(now_ns),
        };
        (self.done, self.looked_ns) = (done, now_ns);
        self.since_ns
    }

    /// As [`Stall::look`] at a journal.
    pub(crate) fn look_at(&mut self, work: &JournalWork, now_ns: u64) -> Option<u64> {
        self.look(work.asked > work.done && !work.waits_for_room, work.done, now_ns)
    }
}

/// Whether what waits since then waits for a disk that hangs.
pub(crate) fn hangs(since_ns: Option<u64>, now_ns: u64) -> bool {
    let wait = since_ns.map(|since| Duration::from_nanos(now_ns.saturating_sub(since)));
    wait.is_some_and(|wait| wait > DISK_HANGS_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENTH: u64 = 100_000_000;

    #[test]
    fn what_moves_at_every_look_never_hangs_however_much_waits() {
        let mut stall = Stall::default();
        for look in 1..1_000 {
            let work = JournalWork { asked: look + 1_000, done: look, waits_for_room: false };
            let since = stall.look_at(&work, look * TENTH);
            assert_eq!(since, Some(look * TENTH));
            assert!(!hangs(since, look * TENTH));
        }
    }

    #[test]
    fn what_stands_still_hangs_after_a_time_and_no_longer_than_it_stands() {
        let mut stall = Stall::default();
        let mut work = JournalWork { asked: 8, done: 7, waits_for_room: false };
        for look in 10..=30 {
            assert_eq!(stall.look_at(&work, look * TENTH), Some(10 * TENTH));
            assert!(!hangs(Some(10 * TENTH), look * TENTH), "a sync may take that long");
        }
        // More comes meanwhile.
        work.asked = 20;
        assert!(hangs(stall.look_at(&work, 31 * TENTH), 31 * TENTH));
        work.done = 8;
        assert_eq!(stall.look_at(&work, 32 * TENTH), Some(32 * TENTH), "it moved");
        work.done = 20;
        assert_eq!(stall.look_at(&work, 33 * TENTH), None);
    }

    #[test]
    fn an_idle_journal_and_a_full_disk_do_not_hang() {
        let mut stall = Stall::default();
        let idle = JournalWork { asked: 7, done: 7, waits_for_room: false };
        let full = JournalWork { asked: 9, done: 7, waits_for_room: true };
        for look in 1..100 {
            assert_eq!(stall.look_at(&idle, look * TENTH), None);
            assert_eq!(stall.look_at(&full, look * TENTH), None);
        }
    }

    #[test]
    fn time_in_which_nobody_looked_is_no_evidence() {
        let mut stall = Stall::default();
        let work = JournalWork { asked: 2, done: 1, waits_for_room: false };
        stall.look_at(&work, TENTH);
        // The process was stopped for a minute.
        let now = TENTH + 60_000_000_000;
        let since = stall.look_at(&work, now);
        assert_eq!(since, Some(now - LOOK_MAX_NS));
        assert!(!hangs(since, now));
    }
}
