//! Copies the board into the file `counters` and looks how full its disk is.
//!
//! A thread of its own, because a store into a mapped file waits when the file system writes the page, and what it
//! waits for is the disk that the node may be in trouble with. A file that cannot be made or written is a pity and no
//! reason for a node to stop.
//!
//! Invariant: the file is only made by a process that holds the directory's lock.

use super::alarm::{Alarm, Alarms};
use super::board::{Board, update};
use super::layout::{COUNTERS_WORDS, word};
use super::snapshot::NodeStatus;
use super::watch::log_changes;
use crate::clock::Reading;
use crossbeam::channel::{RecvTimeoutError, Sender, bounded};
use mizan_journal::constants::{COUNTERS_FILE, COUNTERS_FILE_UNFINISHED};
use mizan_memory::MappedCounters;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

/// Time between two copies.
const COPY_INTERVAL: Duration = Duration::from_millis(100);
/// Copies between two looks at the disk.
const COPIES_PER_LOOK: u64 = 20;
/// How long the end of a node waits for the last copy: a disk that hangs must not keep it.
const LAST_COPY_WAIT_MAX: Duration = Duration::from_secs(1);

/// A thread that copies; it ends with this value, after a last copy.
pub(super) struct Mirror {
    /// Dropped to end the thread.
    stop: Option<Sender<()>>,
    ended: crossbeam::channel::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Mirror {
    /// Makes the file, if there is a directory, and starts to watch and to copy. The caller holds the directory's lock.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn start(board: Arc<Board>, data: Option<&Path>) -> io::Result<Self> {
        // A full disk is the last thing to be silent about: alarms are watched without the file, too.
        let file = data.and_then(|data| match counters_in(data) {
            Ok(file) => Some(file),
            Err(error) => {
                tracing::warn!(
                    "the file of counters cannot be made in {}, so that `mizan status --data` shows nothing of this node: {error}",
                    data.display()
                );
                None
            }
        });
        let (stop, stopped) = bounded::<()>(0);
        let (ending, ended) = bounded::<()>(0);
        let data = data.map(Path::to_owned);
        // Before the thread runs, so that a reader who finds the file finds the node in it.
        copy(&board, file.as_ref(), 1);
        let mut standing = Alarms::NONE;
        let run = move || {
            let mut copies = 1;
            loop {
                if copies % COPIES_PER_LOOK == 1
                    && let Some(data) = &data
                {
                    look_at_disk(&board, data);
                }
                standing = watch(&board, standing);
                let wait = stopped.recv_timeout(COPY_INTERVAL);
                let is_end = wait != Err(RecvTimeoutError::Timeout);
                if is_end {
                    // What ends the node may be an alarm, and this its only look.
                    watch(&board, standing);
                }
                copies += 1;
                copy(&board, file.as_ref(), copies);
                if is_end {
                    break;
                }
            }
            drop(ending);
        };
        let thread = std::thread::Builder::new().name("mizan-counters".to_owned()).spawn(run)?;
        Ok(Self { stop: Some(stop), ended, thread: Some(thread) })
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.stop = None;
        // Nothing is ever sent: it is disconnected when the thread has ended, and else left behind.
        let has_ended =
            self.ended.recv_timeout(LAST_COPY_WAIT_MAX) == Err(RecvTimeoutError::Disconnected);
        if let Some(thread) = self.thread.take().filter(|_| has_ended) {
            let _ = thread.join();
        }
    }
}

fn counters_in(data: &Path) -> io::Result<MappedCounters> {
    let (place, unfinished) = (data.join(COUNTERS_FILE), data.join(COUNTERS_FILE_UNFINISHED));
    MappedCounters::create(&place, &unfinished, COUNTERS_WORDS)
}

/// Judges how full everything is, and logs which alarms began and ended since the last look.
fn watch(board: &Board, standing: Alarms) -> Alarms {
    let status = NodeStatus::of(&board.glimpse());
    let is_damaged = board.get(word::SCRUB_DAMAGED) > 0;
    let watched = status.fullness_alarms().with(Alarm::JournalDamaged, is_damaged);
    board.set(word::WATCH_ALARMS, watched.bits());
    let now = NodeStatus::of(&board.glimpse()).alarms;
    log_changes(standing, now);
    now
}

fn copy(board: &Board, file: Option<&MappedCounters>, number: u64) {
    let Some(file) = file else { return };
    let glimpse = board.glimpse();
    update(file.words(), |words| {
        for (index, value) in glimpse.words.iter().enumerate() {
            if !matches!(index, word::BEGUN | word::DONE) {
                words[index].store(*value, Ordering::Relaxed);
            }
        }
        words[word::COPIES].store(number, Ordering::Relaxed);
        words[word::COPIED_MONOTONIC].store(Reading::now().monotonic_ns, Ordering::Relaxed);
    });
}

fn look_at_disk(board: &Board, data: &Path) {
    let Ok(found) = rustix::fs::statvfs(data) else { return };
    board.set(word::DISK_FREE, found.f_bavail.saturating_mul(found.f_frsize));
    // What is reserved for others is neither used nor free.
    let used = found.f_blocks.saturating_sub(found.f_bfree);
    let size = used.saturating_add(found.f_bavail);
    board.set(word::DISK_TOTAL, size.saturating_mul(found.f_frsize));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Phase, StatusError};
    use std::time::Instant;

    fn read(place: &Path) -> NodeStatus {
        NodeStatus::read(place).expect("readable")
    }

    #[test]
    fn what_is_stored_on_the_board_comes_to_the_file_and_the_last_word_with_the_end() {
        let place = tempfile::tempdir().expect("a directory");
        let board = Arc::new(Board::new());
        board.set(word::PROCESS, 42);
        let mirror = Mirror::start(Arc::clone(&board), Some(place.path()));
        let mirror = mirror.expect("started");
        assert_eq!(read(place.path()).process, 42);
        board.set(word::PHASE, Phase::Running as u64);
        let deadline = Instant::now() + Duration::from_secs(60);
        while read(place.path()).phase != Phase::Running {
            assert!(Instant::now() < deadline, "no copy is made");
            std::thread::yield_now();
        }
        board.set(word::PHASE, Phase::Stopped as u64);
        drop(mirror);
        let status = read(place.path());
        assert_eq!((status.phase, status.is_whole), (Phase::Stopped, true));
        assert!(status.journal.disk_total_bytes > 0 && status.copies >= 2);
    }

    #[test]
    fn a_file_that_says_nothing_is_told_apart_from_one_of_another_release() {
        let place = tempfile::tempdir().expect("a directory");
        let file = place.path().join(COUNTERS_FILE);
        let error = || NodeStatus::read(place.path()).expect_err("refused");
        assert!(matches!(error(), StatusError::Missing(_)));
        std::fs::write(&file, b"MIZCOUNT").expect("written");
        assert!(matches!(error(), StatusError::Foreign(_)));
        // What a power loss leaves of a file that was never synced.
        std::fs::write(&file, [0; 4096]).expect("written");
        assert!(matches!(error(), StatusError::Foreign(_)));
        let board = Board::new();
        board.set(word::VERSION, 2);
        let bytes: Vec<u8> =
            board.glimpse().words.iter().flat_map(|word| word.to_le_bytes()).collect();
        std::fs::write(&file, bytes).expect("written");
        assert!(matches!(error(), StatusError::Version { version: 2, .. }), "{}", error());
    }
}
