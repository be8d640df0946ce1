//! The threads that look at the board ten times a second, judge what somebody has to look at, and log it.
//!
//! Invariant: the thread that judges waits for nothing: neither for the data directory nor for the log, which may be on
//! the disk that hangs. What is logged is handed to a thread of its own, and the file of counters has one as well.

use super::alarm::{Alarm, Alarms};
use super::board::Board;
use super::layout::word;
use super::snapshot::NodeStatus;
use super::stall::{Stall, WatchedJournal, hangs};
use crate::clock::Reading;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Time between two looks.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Changes that wait for the log at the most; a later one tells what those have left out.
const CHANGES_MAX: usize = 64;
/// How long the end of a node waits for a thread that may wait for the disk: a disk that hangs must not keep it.
const END_WAIT_MAX: Duration = Duration::from_secs(1);

/// The journal that is watched: a standby's, later that of the pipeline; none before and after.
pub(super) type Watched = Mutex<Option<Arc<dyn WatchedJournal>>>;

/// A thread that may wait for the disk, so that its end is not waited for without bound.
pub(super) struct Patient {
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Patient {
    pub(super) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (ending, ended) = bounded::<()>(0);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            run();
            drop(ending);
        })?;
        Ok(Self { ended, thread: Some(thread) })
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        // Nothing is ever sent: it is disconnected when the thread has ended, and else left behind.
        let has_ended =
            self.ended.recv_timeout(END_WAIT_MAX) == Err(RecvTimeoutError::Disconnected);
        if let Some(thread) = self.thread.take().filter(|_| has_ended) {
            let _ = thread.join();
        }
    }
}

/// The threads that judge and log; they end with this value, after a last look.
pub(super) struct Watcher {
    /// Dropped to end the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Dropped after the thread that judges has ended.
    _log: Patient,
}

impl Watcher {
    /// Starts both. `say` logs what changed between two sets of alarms.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn start(
        board: Arc<Board>,
        journal: Arc<Watched>,
        say: impl Fn(Alarms, Alarms) + Send + 'static,
    ) -> io::Result<Self> {
        let (changed, changes) = bounded::<Alarms>(CHANGES_MAX);
        let log = Patient::spawn("mizan-alarms", move || {
            changes.iter().fold(Alarms::NONE, |before, now| {
                say(before, now);
                now
            });
        })?;
        let (stop, stopped) = bounded::<()>(0);
        let run = move || {
            let mut stall = Stall::default();
            let mut told = Alarms::NONE;
            loop {
                // What ends the node may be an alarm, and this its only look: so the last one comes after the end.
                let is_end = stopped.recv_timeout(LOOK_INTERVAL) != Err(RecvTimeoutError::Timeout);
                let now = look(&board, &journal, &mut stall);
                if now != told && changed.try_send(now).is_ok() {
                    told = now;
                }
                if is_end {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new().name("mizan-watch".to_owned()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread), _log: log })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has said so itself.
            let _ = thread.join();
        }
    }
}

/// Judges the journal and how full everything is; what stands now.
fn look(board: &Board, journal: &Watched, stall: &mut Stall) -> Alarms {
    let work = journal.lock().as_ref().map(|journal| journal.work()).unwrap_or_default();
    let now_ns = Reading::now().monotonic_ns;
    let since_ns = stall.look_at(&work, now_ns);
    board.set(word::WAITS_SINCE, since_ns.unwrap_or(0));
    let status = NodeStatus::of(&board.glimpse());
    let watched = status
        .fullness_alarms()
        .with(Alarm::JournalDamaged, status.journal.scrub_damaged > 0)
        .with(Alarm::DiskHangs, hangs(since_ns, now_ns));
    board.set(word::WATCH_ALARMS, watched.bits());
    NodeStatus::of(&board.glimpse()).alarms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::stall::JournalWork;
    use std::time::Instant;

    /// A journal that was asked for more than it does.
    struct Stuck;

    impl WatchedJournal for Stuck {
        fn work(&self) -> JournalWork {
            JournalWork { asked: 5, done: 4, waits_for_room: false }
        }
    }

    fn wait_until(what: &str, is_so: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(60);
        while !is_so() {
            assert!(Instant::now() < until, "waited in vain: {what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_disk_that_hangs_is_judged_and_ends_although_the_log_hangs_with_it() {
        let board = Arc::new(Board::new());
        let journal: Arc<Watched> = Arc::new(Mutex::new(Some(Arc::new(Stuck))));
        let (permit, permits) = bounded::<()>(0);
        let said = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&said);
        let say = move |before: Alarms, now: Alarms| {
            let _ = permits.recv_timeout(Duration::from_secs(60));
            kept.lock().push((before, now));
        };
        let watcher = Watcher::start(Arc::clone(&board), Arc::clone(&journal), say).unwrap();
        let stands = || NodeStatus::of(&board.glimpse()).alarms.contains(Alarm::DiskHangs);
        wait_until("it waits", || board.get(word::WAITS_SINCE) > 0);
        wait_until("the alarm stands", stands);
        *journal.lock() = None;
        wait_until("the alarm is over", || !stands() && board.get(word::WAITS_SINCE) == 0);
        assert!(said.lock().is_empty(), "the log still waits");
        drop(permit);
        drop(watcher);
        let hangs = Alarms::NONE.with(Alarm::DiskHangs, true);
        assert_eq!(*said.lock(), [(Alarms::NONE, hangs), (hangs, Alarms::NONE)]);
    }

    #[test]
    fn what_ends_a_node_is_seen_and_said_before_the_watch_ends() {
        let board = Arc::new(Board::new());
        let said = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&said);
        let say = move |before: Alarms, now: Alarms| kept.lock().push((before, now));
        let watcher = Watcher::start(Arc::clone(&board), Arc::default(), say).unwrap();
        let stopped = Alarms::NONE.with(Alarm::LogsDiffer, true);
        board.set(word::CLUSTER_ALARMS, stopped.bits());
        drop(watcher);
        assert_eq!(*said.lock(), [(Alarms::NONE, stopped)]);
    }
}
