//! The scrubber: a thread that reads the sealed segments of a running node's journal, from the oldest to the newest,
//! again and again.
//!
//! Nobody reads them else before the next start, and then it is late. Damage is an alarm, never an end: what the node
//! acknowledged is right in its memory, and in the copies of others.
//!
//! Invariants: it shares words of the board and two numbers of the journal with the node, no lock, and nothing of the
//! pipeline; it writes no file; it reads no faster than it was told, and lets everybody go first; after its end was asked
//! for it says nothing more.

use crate::clock::Reading;
use crate::status::{Board, NodeRole, word};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use mizan_journal::{Journal, Look, Scrub, SegmentDamage, Storage};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes a second if nothing is said: 100 GiB take three and a half hours, and no disk of today is busy with it.
pub const SCRUB_RATE: u64 = 8 << 20;
/// Time between two passes: what there is to read may be nothing.
const PASS_PAUSE: Duration = Duration::from_secs(1);
/// Segments that are told of one by one; a disk that is gone damages all of them.
const TOLD_MAX: usize = 16;
/// The lowest priority. The kernel derives that of the reads from it (ioprio_set(2)).
const NICE: i32 = 19;
/// How long the end of a node waits for it: a disk that hangs must not keep it.
const END_WAIT_MAX: Duration = Duration::from_secs(1);

/// What a scrubber needs of a journal before that goes its way.
pub(crate) struct ScrubPlan<S> {
    scrub: Scrub<S>,
    rate: u64,
}

impl<S: Storage> ScrubPlan<S> {
    /// `rate` in bytes a second; 0: nothing is read.
    pub(crate) fn of(journal: &Journal<S>, rate: u64) -> Self {
        Self { scrub: journal.scrub(), rate }
    }

    /// Starts the thread, if there is something for it to do.
    pub(crate) fn start(self, board: Arc<Board>) -> Option<Scrubber> {
        if self.rate == 0 {
            return None;
        }
        let (stop, stopped) = bounded::<()>(0);
        let (ending, ended) = bounded::<()>(0);
        let pace = Pace { rate: self.rate, due: Instant::now(), stopped };
        let pass = Pass {
            scrub: self.scrub,
            board,
            pace,
            damaged: BTreeSet::new(),
            told: 0,
            is_unknown: false,
        };
        let run = move || {
            lower_priority();
            pass.again_and_again();
            drop(ending);
        };
        match std::thread::Builder::new().name("mizan-scrub".to_owned()).spawn(run) {
            Ok(thread) => Some(Scrubber { stop: Some(stop), ended, thread: Some(thread) }),
            Err(error) => {
                tracing::warn!("no thread reads the sealed segments of the journal: {error}");
                None
            }
        }
    }
}

/// A thread that reads; it ends with this value.
pub(crate) struct Scrubber {
    /// Dropped to end the thread.
    stop: Option<Sender<()>>,
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Scrubber {
    fn drop(&mut self) {
        self.stop = None;
        // Nothing is ever sent: it is disconnected when the thread has ended, and else left behind in its read.
        let has_ended =
            self.ended.recv_timeout(END_WAIT_MAX) == Err(RecvTimeoutError::Disconnected);
        if let Some(thread) = self.thread.take().filter(|_| has_ended) {
            let _ = thread.join();
        }
    }
}

/// Lets everybody else go first. Where that is not to be had, the rate alone has to do.
fn lower_priority() {
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
}

/// Says when the next read may begin.
struct Pace {
    rate: u64,
    due: Instant,
    stopped: Receiver<()>,
}

impl Pace {
    /// Waits for the time of a read of so many bytes; false if the end was asked for.
    fn wait(&mut self, bytes: u64) -> bool {
        // Time in which nothing was read is not made up for.
        let begin = self.due.max(Instant::now());
        let time_ns = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate);
        self.due = begin + Duration::from_nanos(u64::try_from(time_ns).unwrap_or(u64::MAX));
        self.pause(begin.saturating_duration_since(Instant::now()))
    }

    /// Waits; false if the end was asked for.
    fn pause(&self, time: Duration) -> bool {
        self.stopped.recv_timeout(time) == Err(RecvTimeoutError::Timeout)
    }

    fn is_stopped(&self) -> bool {
        !self.pause(Duration::ZERO)
    }
}

/// What the thread works with.
struct Pass<S> {
    scrub: Scrub<S>,
    board: Arc<Board>,
    pace: Pace,
    /// Segments whose last look found damage.
    damaged: BTreeSet<u64>,
    /// How many of them there were at the end of the last pass.
    told: usize,
    /// The last look came to nothing, and that was told.
    is_unknown: bool,
}

impl<S: Storage> Pass<S> {
    fn again_and_again(mut self) {
        while self.all_segments() && self.pace.pause(PASS_PAUSE) {}
    }

    /// Looks at every segment that is sealed now; false if the end was asked for.
    fn all_segments(&mut self) -> bool {
        let sealed = self.scrub.sealed();
        self.damaged.retain(|index| sealed.contains(index));
        self.show_damage();
        for index in sealed {
            let (pace, board) = (&mut self.pace, &self.board);
            let look = self.scrub.look(index, &mut |bytes| {
                let goes_on = pace.wait(bytes);
                if goes_on {
                    board.add(word::SCRUB_BYTES, bytes);
                }
                goes_on
            });
            // A read that hung may return when the node is gone.
            if look == Look::Stopped || self.pace.is_stopped() {
                return false;
            }
            if let Look::Unknown(reason) = &look {
                // A pass that does not see everything is none.
                if !std::mem::replace(&mut self.is_unknown, true) {
                    tracing::warn!("the scrubber rests: {reason}");
                }
                return true;
            }
            self.is_unknown = false;
            self.judge(index, look);
        }
        if self.damaged.len() > TOLD_MAX && self.damaged.len() != self.told {
            tracing::error!(
                "{} sealed segments of {} are damaged: not every one is told of here, `mizan verify --data DIR` names them",
                self.damaged.len(),
                self.scrub.describe()
            );
        }
        self.told = self.damaged.len();
        self.board.set(word::SCRUB_PASS_AT, Reading::now().realtime_ns);
        self.board.add(word::SCRUB_PASSES, 1);
        true
    }

    fn judge(&mut self, index: u64, look: Look) {
        match look {
            Look::Damaged(damage) => {
                if self.damaged.insert(index) && self.damaged.len() <= TOLD_MAX {
                    self.tell(&damage);
                }
            }
            Look::Whole => {
                if self.damaged.remove(&index) {
                    tracing::info!(
                        "the sealed segment {index} of {} is whole again",
                        self.scrub.describe()
                    );
                }
            }
            // Released: nobody needs it.
            _ => {
                self.damaged.remove(&index);
            }
        }
        self.show_damage();
    }

    fn show_damage(&self) {
        self.board.set(word::SCRUB_DAMAGED, self.damaged.len() as u64);
    }

    fn tell(&self, damage: &SegmentDamage) {
        let place = self.scrub.describe();
        let what_to_do = what_to_do(self.board.role(), &place);
        tracing::error!(
            "{place}/{damage}; the node goes on, what it acknowledged is in its memory, but it would not start again from these files: {what_to_do}"
        );
    }
}

/// Whoever has another copy takes that; nobody stops the only one that is right.
fn what_to_do(role: NodeRole, place: &str) -> String {
    match role {
        NodeRole::Single => format!(
            "keep it running, see with `mizan verify --data {place}` what else is damaged, and put the file back from a backup"
        ),
        NodeRole::Primary => format!(
            "promote another node, then rebuild this one from it: move {place} aside, `mizan format --join`, and start it"
        ),
        _ => format!(
            "rebuild it from a peer: stop it, move {place} aside, `mizan format --join`, and start it"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_is_told_what_it_can_do() {
        for role in NodeRole::ALL {
            let text = what_to_do(role, "/data");
            let (alone, leads) = (role == NodeRole::Single, role == NodeRole::Primary);
            assert_eq!(text.contains("mizan verify --data /data"), alone, "{role:?}");
            assert_eq!(text.contains("--join"), !alone, "{role:?}");
            assert_eq!(text.starts_with("promote another"), leads, "{role:?}");
        }
    }

    #[test]
    fn reads_begin_when_the_rate_allows_and_not_after_the_end_was_asked_for() {
        let (stop, stopped) = bounded::<()>(0);
        let begin = Instant::now();
        let mut pace = Pace { rate: 1_000_000, due: begin, stopped };
        assert!((0..5).all(|_| pace.wait(1_000)));
        // The first read waits for nothing, each other one for what the read before it takes.
        assert!(begin.elapsed() >= Duration::from_millis(4));
        pace.rate = 1;
        assert!(pace.wait(u64::MAX) && pace.due > Instant::now() + Duration::from_secs(1 << 32));
        drop(stop);
        assert!(!pace.wait(0) && pace.is_stopped());
    }
}
