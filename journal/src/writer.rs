//! One frame while it is written: payload goes straight to its place in the segment, the header comes last.

use crate::error::{JournalError, Result};
use crate::frame::Position;
use crate::journal::Journal;
use crate::storage::Storage;

/// A frame that was begun. Dropping it undoes it.
pub struct FrameWriter<'j, S: Storage> {
    journal: &'j mut Journal<S>,
    payload_size: usize,
    written: usize,
    finished: bool,
}

impl<'j, S: Storage> FrameWriter<'j, S> {
    pub(crate) fn new(journal: &'j mut Journal<S>, payload_size: usize) -> Self {
        FrameWriter { journal, payload_size, written: 0, finished: false }
    }

    /// Appends `bytes` to the payload.
    ///
    /// # Errors
    /// `InvalidFrame` when they exceed what was announced, nothing was put; `Io`: fatal.
    ///
    /// Cost: one copy into the mapping.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.journal.check()?;
        if bytes.len() > self.payload_size - self.written {
            let reason =
                format!("payload is longer than the {} bytes announced", self.payload_size);
            return Err(JournalError::InvalidFrame { reason });
        }
        self.journal.put(self.written, bytes)?;
        self.written += bytes.len();
        Ok(())
    }

    /// Bytes put so far.
    #[must_use]
    pub fn written(&self) -> usize {
        self.written
    }

    /// Appends the frame with `count` entries and returns its place. It is durable after the next sync.
    ///
    /// `commit` is the highest committed sequence; what is noted is at most what is durable here.
    ///
    /// # Errors
    /// `InvalidFrame` when `count` is 0 or the sequences run out, nothing was appended; `Io`: fatal.
    ///
    /// Cost: a hash over the payload.
    pub fn finish(mut self, count: u32, commit: u64) -> Result<Position> {
        self.journal.check()?;
        if count == 0 || self.journal.next_sequence().checked_add(u64::from(count)).is_none() {
            let reason = format!("{count} entries from sequence {}", self.journal.next_sequence());
            return Err(JournalError::InvalidFrame { reason });
        }
        self.finished = true;
        self.journal.append(count, self.written, commit)
    }
}

impl<S: Storage> Drop for FrameWriter<'_, S> {
    fn drop(&mut self) {
        if !self.finished && self.written > 0 && self.journal.check().is_ok() {
            // A shorter frame may follow at this place, and nothing but zeros may stand behind it.
            // A failure here poisons the journal, and the next call says so.
            let _ = self.journal.put(0, &vec![0; self.written]);
        }
    }
}
