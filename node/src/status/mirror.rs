//! Copies the board into the file `counters` and looks how full its disk is.
//!
//! A thread of its own, because a store into a mapped file waits when the file system writes the page, and what it
//! waits for is the disk that the node may be in trouble with. A file that cannot be made or written is a pity and no
//! reason for a node to stop.
//!
//! Invariant: the file is only made by a process that holds the directory's lock.

use super::board::{Board, update};
use super::layout::{COUNTERS_WORDS, word};
use super::watcher::{LOOK_INTERVAL, Patient};
use crate::clock::Reading;
use crossbeam::channel::{RecvTimeoutError, Sender, bounded};
use mizan_journal::constants::{COUNTERS_FILE, COUNTERS_FILE_UNFINISHED};
use mizan_memory::MappedCounters;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Copies between two looks at the disk.
const COPIES_PER_LOOK: u64 = 20;

/// A thread that copies; it ends with this value, after a last copy, unless the disk keeps it.
pub(super) struct Mirror {
    /// Dropped to end the thread.
    stop: Option<Sender<()>>,
    /// Dropped after that.
    _thread: Patient,
}

impl Mirror {
    /// Makes the file and starts to copy. The caller holds the directory's lock.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn start(board: Arc<Board>, data: &Path) -> io::Result<Self> {
        let file = match counters_in(data) {
            Ok(file) => Some(file),
            Err(error) => {
                tracing::warn!(
                    "the file of counters cannot be made in {}, so that `mizan status --data` shows nothing of this node: {error}",
                    data.display()
                );
                None
            }
        };
        let (stop, stopped) = bounded::<()>(0);
        let data = data.to_owned();
        // Before the thread runs, so that a reader who finds the file finds the node in it.
        copy(&board, file.as_ref(), 1);
        let run = move || {
            let mut copies = 1;
            loop {
                if copies % COPIES_PER_LOOK == 1 {
                    look_at_disk(&board, &data);
                }
                let is_end = stopped.recv_timeout(LOOK_INTERVAL) != Err(RecvTimeoutError::Timeout);
                copies += 1;
                copy(&board, file.as_ref(), copies);
                if is_end {
                    break;
                }
            }
        };
        Ok(Self { stop: Some(stop), _thread: Patient::spawn("mizan-counters", run)? })
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.stop = None;
    }
}

fn counters_in(data: &Path) -> io::Result<MappedCounters> {
    let (place, unfinished) = (data.join(COUNTERS_FILE), data.join(COUNTERS_FILE_UNFINISHED));
    MappedCounters::create(&place, &unfinished, COUNTERS_WORDS)
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
    use crate::status::{NodeStatus, Phase, StatusError};
    use std::time::{Duration, Instant};

    fn read(place: &Path) -> NodeStatus {
        NodeStatus::read(place).expect("readable")
    }

    #[test]
    fn what_is_stored_on_the_board_comes_to_the_file_and_the_last_word_with_the_end() {
        let place = tempfile::tempdir().expect("a directory");
        let board = Arc::new(Board::new());
        board.set(word::PROCESS, 42);
        let mirror = Mirror::start(Arc::clone(&board), place.path()).expect("started");
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
