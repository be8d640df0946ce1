//! The journal stage: everything that came meanwhile becomes one group, is written, synced once, and is then durable.
//!
//! The cells of a write entry go into the frame as they are. Reads and padding are passed over: what is durable up to
//! the write before them is durable up to them.

use crate::cell::{Cell, Entries, EntryHeader};
use crate::error::NodeError;
use mizan_journal::constants::PAYLOAD_SIZE_MAX;
use mizan_journal::{Journal, JournalError, Space, Storage};
use mizan_ring::{Consumer, CursorWriter};
use mizan_wire::{Operation, RequestHeader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Bytes after which a group is synced although more entries wait: a group's sync time is its entries' latency.
const GROUP_SIZE_MAX: usize = 4 << 20;

/// What the journal stage tells the others, and they it.
#[derive(Debug, Default)]
pub(crate) struct JournalState {
    /// The next segment cannot be made: new writes are refused.
    pub(crate) space_is_low: AtomicBool,
    /// Entries wait in the ring for space.
    pub(crate) is_stalled: AtomicBool,
    /// Sequence up to which replies were released, for the frames' `commit`.
    pub(crate) commit_sequence: AtomicU64,
    /// Highest sequence that is durable.
    pub(crate) durable_sequence: AtomicU64,
    /// Groups synced.
    pub(crate) groups: AtomicU64,
    /// Of these, groups that the front's thread wrote itself.
    pub(crate) groups_inline: AtomicU64,
}

/// Owns the journal.
pub(crate) struct JournalStage<S: Storage> {
    journal: Journal<S>,
    requests: Consumer<Cell>,
    durable: CursorWriter,
    sequence_next: u64,
    state: Arc<JournalState>,
}

impl<S: Storage> JournalStage<S> {
    pub(crate) fn new(
        journal: Journal<S>,
        requests: Consumer<Cell>,
        durable: CursorWriter,
        sequence_next: u64,
        state: Arc<JournalState>,
    ) -> Self {
        state.durable_sequence.store(sequence_next - 1, Ordering::Relaxed);
        Self { journal, requests, durable, sequence_next, state }
    }

    /// Whether there is something to do, and space to do it.
    pub(crate) fn has_work(&mut self) -> Result<bool, NodeError> {
        Ok(!self.state.is_stalled.load(Ordering::Relaxed) && !self.requests.available()?.is_empty())
    }

    /// Writes and syncs one group of what waits. Nobody is woken.
    ///
    /// # Errors
    /// Any failure of the journal but a full disk: what is durable is then unknown, and the node must end.
    pub(crate) fn poll(&mut self) -> Result<bool, NodeError> {
        let space_is_low = self.journal.space() == Space::Low;
        self.state.space_is_low.store(space_is_low, Ordering::Relaxed);
        if space_is_low {
            // Lack of space passes; anything else that keeps the next segment from being made does not.
            self.journal.check_preparing()?;
        }
        let batch = self.requests.available()?;
        if batch.is_empty() {
            return Ok(false);
        }
        let commit = self.state.commit_sequence.load(Ordering::Relaxed);
        let mut group = Group {
            journal: &mut self.journal,
            sequence_next: &mut self.sequence_next,
            commit,
            size: 0,
            done: batch.start(),
        };
        let outcome = group.write(Entries::new(&batch));
        let (done, wrote) = (group.done, group.size > 0);
        let progressed = done > self.requests.released_position();
        if progressed {
            self.requests.release_to(done);
        }
        let is_stalled = matches!(outcome, Err(JournalError::NoSpace { .. }));
        self.state.is_stalled.store(is_stalled, Ordering::Relaxed);
        if is_stalled {
            self.state.space_is_low.store(true, Ordering::Relaxed);
        } else {
            outcome?;
        }
        if wrote {
            let durable_sequence = self.journal.sync()?;
            self.state.durable_sequence.store(durable_sequence, Ordering::Relaxed);
            self.state.groups.fetch_add(1, Ordering::Relaxed);
        }
        if progressed {
            self.durable.advance_to(done);
        }
        Ok(progressed)
    }

    /// Everything that the ring held is durable: marks the journal as closed in order.
    ///
    /// # Errors
    /// As [`JournalStage::poll`].
    pub(crate) fn close(self) -> Result<(), NodeError> {
        Ok(self.journal.close()?)
    }
}

/// One group in the making.
struct Group<'a, S: Storage> {
    journal: &'a mut Journal<S>,
    sequence_next: &'a mut u64,
    commit: u64,
    size: usize,
    /// Position in the ring up to which entries are in the group.
    done: u64,
}

impl<S: Storage> Group<'_, S> {
    fn write(&mut self, entries: Entries<'_, RequestHeader>) -> Result<(), JournalError> {
        let mut frame: Vec<&[u8]> = Vec::new();
        let mut payload_size = 0;
        let mut end = self.done;
        for entry in entries {
            let is_write = is_journaled(entry.header);
            if is_write && payload_size + entry.bytes.len() > PAYLOAD_SIZE_MAX {
                self.write_frame(&frame, payload_size, end)?;
                frame.clear();
                payload_size = 0;
                if self.size >= GROUP_SIZE_MAX {
                    return Ok(());
                }
            }
            if is_write {
                frame.push(entry.bytes);
                payload_size += entry.bytes.len();
            }
            end = entry.end;
        }
        self.write_frame(&frame, payload_size, end)
    }

    fn write_frame(
        &mut self,
        entries: &[&[u8]],
        payload_size: usize,
        end: u64,
    ) -> Result<(), JournalError> {
        if !entries.is_empty() {
            let mut frame = self.journal.begin(*self.sequence_next, payload_size)?;
            for entry in entries {
                frame.put(entry)?;
            }
            frame.finish(entries.len() as u32, self.commit)?;
            *self.sequence_next += entries.len() as u64;
            self.size += payload_size;
        }
        self.done = end;
        Ok(())
    }
}

/// Whether the entry belongs in the log.
fn is_journaled(header: &RequestHeader) -> bool {
    !header.is_padding() && !header.operation().is_some_and(Operation::is_read)
}
