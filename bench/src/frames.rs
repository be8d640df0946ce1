//! A journal in a temporary directory, mapped as a node maps it: what a frame costs before anything is synced.

use mizan_journal::{FileStorage, FormatOptions, Frame, Journal, OpenOptions, Prepare};
use tempfile::TempDir;

/// Small, because it is filled with zeros before the benchmark.
const SEGMENT_SIZE: u64 = 4 << 20;

/// An open journal, and the directory that goes with it.
pub struct Frames {
    journal: Journal<FileStorage>,
    _directory: TempDir,
}

impl Frames {
    /// An empty journal.
    ///
    /// # Panics
    /// If the temporary directory cannot hold one.
    #[must_use]
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("there is a temporary directory");
        let storage = FileStorage::new(directory.path());
        let format = FormatOptions { segment_size: SEGMENT_SIZE, ..FormatOptions::new(1, 1) };
        Journal::format(&storage, &format).expect("the directory can be formatted");
        let options = OpenOptions { prepare: Prepare::Inline, ..OpenOptions::default() };
        let (journal, _) = Journal::open(storage, &options, &mut |_: &Frame<'_>| Ok(()))
            .expect("the journal is empty");
        Self { journal, _directory: directory }
    }

    /// Appends one frame with one entry; returns the next sequence.
    ///
    /// # Panics
    /// If it does not fit the segment.
    pub fn append(&mut self, entry: &[u8]) -> u64 {
        let sequence = self.journal.next_sequence();
        let mut frame = self.journal.begin(sequence, entry.len()).expect("the segment has room");
        frame.put(entry).expect("the size was announced");
        frame.finish(1, 0).expect("the frame has an entry");
        self.journal.next_sequence()
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self::new()
    }
}
