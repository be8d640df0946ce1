//! The journal: one writer that appends frames in groups and makes them durable.
//!
//! Invariants:
//! * Sequences have no gaps: a frame starts where the last one ended.
//! * A group starts on a fresh page, so a page under sync is never written again.
//! * A segment's header is written only when the segment before is durable to its end.
//! * `durable()` never runs ahead of what the storage said was synced.
//! * After a failed write or sync nothing is tried again: every later call returns that error.
//!
//! It deliberately knows nothing of what entries mean, of replication, and of when old entries may go.

mod open;
mod received;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::checksum::Hash;
use crate::constants::{FRAME_HEADER_SIZE, PAYLOAD_SIZE_MAX, SEGMENT_HEADER_SIZE};
use crate::error::{JournalError, Result};
use crate::file::FileStorage;
use crate::frame::{
    Chain, FrameDraft, Position, align_frame, align_page, entries_limit, local_half, shared_half,
};
use crate::layout::kind;
use crate::prepare::{Preparer, Space};
use crate::scrub::{Scrub, SealedSegments};
use crate::segment::{SegmentHeader, segment_name};
use crate::storage::{Segment, Storage};
use crate::superblock::{self, Superblock};
use crate::writer::FrameWriter;

pub use open::{OpenOptions, lock_directory};
pub(crate) use open::{lock, probe};

/// What the journal did since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames appended, end frames not counted.
    pub frames: u64,
    /// Entries in them.
    pub entries: u64,
    /// Bytes of payload in them.
    pub payload_bytes: u64,
    /// Bytes of storage used: headers, payload, padding.
    pub storage_bytes: u64,
    /// Syncs of a segment.
    pub syncs: u64,
    /// Segments begun.
    pub segments: u64,
}

/// The segment in use.
pub(crate) struct Active<G> {
    pub(crate) segment: G,
    pub(crate) index: u64,
    /// Where the next frame of this group starts.
    pub(crate) offset: u64,
    /// Start of the pages that were written since the last sync; at `offset` if there are none.
    dirty_from: u64,
    /// Bytes synced, and in how many syncs, since the segment was begun or opened.
    synced: u64,
    syncs: u64,
}

impl<G> Active<G> {
    fn new(segment: G, index: u64, offset: u64, dirty_from: u64) -> Self {
        Active { segment, index, offset, dirty_from, synced: 0, syncs: 0 }
    }

    /// Bytes that a sync covered on average, 0 when there was none.
    fn sync_size(&self) -> u64 {
        self.synced.checked_div(self.syncs).unwrap_or(0)
    }
}

/// An open journal. It belongs to one thread.
pub struct Journal<S: Storage = FileStorage> {
    storage: Arc<S>,
    superblock: Superblock,
    active: Active<S::Segment>,
    preparer: Preparer<S>,
    chain: Chain,
    durable: u64,
    semantics_version: u32,
    /// Index and first sequence of every segment in use.
    in_use: VecDeque<(u64, u64)>,
    sealed: SealedSegments,
    counters: Counters,
    poison: Option<JournalError>,
    // Last, so that the preparing thread has ended when the lock goes.
    _lock: S::Lock,
}

impl<S: Storage> Journal<S> {
    /// Begins a frame whose entries start at `first_sequence`, with at most `payload_size` bytes of payload.
    /// Without [`FrameWriter::finish`] nothing is appended.
    ///
    /// Waits while the next segment is needed and just being made.
    ///
    /// # Errors
    /// `NoSpace`: the segment is full and the next one cannot be made; nothing was written, try again later.
    /// `OutOfOrder`, `InvalidFrame`: nothing was written. `Io`: fatal.
    pub fn begin(
        &mut self,
        first_sequence: u64,
        payload_size: usize,
    ) -> Result<FrameWriter<'_, S>> {
        self.check()?;
        if first_sequence != self.chain.next_sequence {
            let expected = self.chain.next_sequence;
            return Err(JournalError::OutOfOrder { expected, given: first_sequence });
        }
        if payload_size > PAYLOAD_SIZE_MAX {
            let reason = format!("payload of {payload_size} bytes, at most {PAYLOAD_SIZE_MAX} fit");
            return Err(JournalError::InvalidFrame { reason });
        }
        let needed = (FRAME_HEADER_SIZE + payload_size) as u64;
        if self.active.offset + needed > entries_limit(self.superblock.segment_size) {
            self.roll()?;
        }
        Ok(FrameWriter::new(self, payload_size))
    }

    /// Makes everything appended so far durable and returns the highest durable sequence, 0 for none.
    ///
    /// # Errors
    /// `Io`: fatal; what is durable is unknown until a restart.
    ///
    /// Cost: one sync of the pages written since the last one; nothing if there are none.
    pub fn sync(&mut self) -> Result<u64> {
        self.check()?;
        let end = align_page(self.active.offset);
        let dirty = end - self.active.dirty_from;
        if dirty > 0 {
            if !cfg!(feature = "unsafe-no-sync") {
                let synced = self.active.segment.sync(self.active.dirty_from, dirty);
                let index = self.active.index;
                self.guard("sync", index, synced)?;
            }
            self.counters.syncs += 1;
            self.counters.storage_bytes += dirty;
            self.active.syncs += 1;
            self.active.synced += dirty;
            self.active.offset = end;
            self.active.dirty_from = end;
        }
        self.durable = self.chain.next_sequence - 1;
        Ok(self.durable)
    }

    /// Ends the segment in use and begins the next one.
    fn roll(&mut self) -> Result<()> {
        // Taken first: if there is none, nothing must have been written.
        let (index, segment) = match self.preparer.take(self.active.sync_size()) {
            Err(error) if error.is_fatal() => return Err(self.poison(error)),
            other => other?,
        };
        let size = self.superblock.segment_size;
        if self.active.offset < size {
            self.append_end()?;
            self.sync()?;
        }
        let header = SegmentHeader {
            cluster: self.superblock.cluster,
            index,
            epoch: self.chain.epoch,
            first_sequence: self.chain.next_sequence,
            seal: self.chain.previous,
            segment_size: size,
        };
        let used = std::mem::replace(
            &mut self.active,
            Active::new(segment, index, SEGMENT_HEADER_SIZE, 0),
        );
        self.preparer.retire(used.segment);
        let written = self.active.segment.write(0, &header.encode());
        self.guard("write", index, written)?;
        self.in_use.push_back((index, self.chain.next_sequence));
        self.sealed.seal_before(index);
        self.counters.segments += 1;
        self.preparer.prepare_inline();
        Ok(())
    }

    fn append_end(&mut self) -> Result<()> {
        let draft = self.draft(kind::SEGMENT_END, 0, 0, self.durable);
        self.seal_frame(&draft)?;
        self.active.offset = align_frame(self.active.offset + FRAME_HEADER_SIZE as u64);
        Ok(())
    }

    fn draft(&self, kind: u8, count: u32, length: u32, commit: u64) -> FrameDraft {
        FrameDraft {
            kind,
            count,
            length,
            epoch: self.chain.epoch,
            semantics_version: self.semantics_version,
            position: self.position(),
            durable_up_to: self.durable,
            commit: commit.min(self.durable),
        }
    }

    /// Writes the header of a frame whose payload is in place, and returns the frame's hash.
    fn seal_frame(&mut self, draft: &FrameDraft) -> Result<Hash> {
        use crate::constants::FRAME_LOCAL_SIZE;
        use crate::layout::Sealed;
        let mut header = draft.header(&self.chain);
        let start = self.active.offset;
        let shared = start + FRAME_LOCAL_SIZE as u64;
        let index = self.active.index;
        let written = self.active.segment.write(shared, shared_half(&header));
        self.guard("write", index, written)?;
        let covered = FRAME_HEADER_SIZE - FRAME_LOCAL_SIZE + draft.length as usize;
        header.hash = crate::checksum::hash(self.active.segment.view(shared, covered));
        header.seal();
        let written = self.active.segment.write(start, local_half(&header));
        self.guard("write", index, written)?;
        Ok(header.hash)
    }

    /// Puts payload into place for the frame being written.
    pub(crate) fn put(&mut self, written: usize, bytes: &[u8]) -> Result<()> {
        let offset = self.active.offset + (FRAME_HEADER_SIZE + written) as u64;
        let index = self.active.index;
        let outcome = self.active.segment.write(offset, bytes);
        self.guard("write", index, outcome)
    }

    /// Appends the frame whose payload of `length` bytes is in place.
    pub(crate) fn append(&mut self, count: u32, length: usize, commit: u64) -> Result<Position> {
        let position = self.position();
        let draft = self.draft(kind::ENTRIES, count, length as u32, commit);
        self.chain.previous = self.seal_frame(&draft)?;
        self.chain.next_sequence += u64::from(count);
        let end = self.active.offset + (FRAME_HEADER_SIZE + length) as u64;
        self.active.offset = align_frame(end);
        self.counters.frames += 1;
        self.counters.entries += u64::from(count);
        self.counters.payload_bytes += length as u64;
        Ok(position)
    }

    /// Turns the first failure of the storage into the error of every later call.
    fn guard<T>(
        &mut self,
        operation: &'static str,
        index: u64,
        outcome: std::io::Result<T>,
    ) -> Result<T> {
        outcome
            .map_err(|error| self.poison(JournalError::io(operation, &segment_name(index), error)))
    }

    fn poison(&mut self, error: JournalError) -> JournalError {
        self.poison.get_or_insert(error).clone()
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.poison.as_ref().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Whether there is room to go on. Cheap enough for every batch, not for every entry.
    #[must_use]
    pub fn space(&self) -> Space {
        self.preparer.space()
    }

    /// Whether the next segment can be made, now or once there is space.
    ///
    /// # Errors
    /// `Io`: why no segment will be made any more; the journal goes on to the end of those that are ready.
    pub fn check_preparing(&self) -> Result<()> {
        self.preparer.check()
    }

    /// With [`crate::Prepare::Inline`], tries again now to make the segments that are missing; else does nothing.
    pub fn prepare(&self) {
        self.preparer.prepare_inline();
    }

    /// Sequence that the next entry gets.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.chain.next_sequence
    }

    /// Highest durable sequence, 0 for none.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// Highest sequence that a [`crate::LogReader`] finds in the files, 0 for none: all that is appended, or, where the
    /// storage keeps what is written to itself until it is synced, all that is durable.
    #[must_use]
    pub fn readable(&self) -> u64 {
        if self.active.segment.shows_writes() { self.chain.next_sequence - 1 } else { self.durable }
    }

    /// Hash of the last frame appended.
    #[must_use]
    pub fn last_hash(&self) -> Hash {
        self.chain.previous
    }

    /// Where the next frame of this group starts, if it fits there.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { segment: self.active.index, offset: self.active.offset }
    }

    /// The superblock as last written.
    #[must_use]
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// What the journal did since it was opened.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What reads the sealed segments again while this journal goes on with the one in use.
    #[must_use]
    pub fn scrub(&self) -> Scrub<S> {
        Scrub::new(Arc::clone(&self.storage), &self.superblock, self.sealed.clone())
    }

    /// The storage.
    #[must_use]
    pub fn storage(&self) -> &Arc<S> {
        &self.storage
    }

    /// Epoch of the frames from now on.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.chain.epoch
    }

    /// Persists `epoch` as the highest seen, unless a higher one was, and uses it for the frames from now on.
    ///
    /// # Errors
    /// `InvalidOptions` when it is lower than the present one; `Io`: fatal.
    pub fn set_epoch(&mut self, epoch: u64) -> Result<()> {
        if epoch < self.chain.epoch {
            let reason = format!("epoch {epoch} is lower than {}", self.chain.epoch);
            return Err(JournalError::InvalidOptions { reason });
        }
        self.update_superblock(|superblock| {
            superblock.highest_epoch = superblock.highest_epoch.max(epoch);
        })?;
        self.chain.epoch = epoch;
        Ok(())
    }

    /// Version of the meaning of the entries, noted in the frames from now on.
    pub fn set_semantics_version(&mut self, version: u32) {
        self.semantics_version = version;
    }

    /// Replaces the config record.
    ///
    /// # Errors
    /// `InvalidOptions` when it is too long; `Io`: fatal.
    pub fn set_config(&mut self, config: &[u8]) -> Result<()> {
        let config = config.to_vec();
        self.update_superblock(|superblock| superblock.config = config)
    }

    fn update_superblock(&mut self, change: impl FnOnce(&mut Superblock)) -> Result<()> {
        self.check()?;
        let mut changed = self.superblock.clone();
        change(&mut changed);
        changed.validate()?;
        match superblock::update(&*self.storage, &mut changed) {
            Ok(()) => {
                self.superblock = changed;
                Ok(())
            }
            Err(error) => Err(self.poison(error)),
        }
    }

    /// Removes the segments whose entries are all below `sequence`. The segment in use stays. Returns the number
    /// of segments removed. Nothing but the caller knows whether the entries are still needed.
    ///
    /// # Errors
    /// `Io`: fatal.
    pub fn release_before(&mut self, sequence: u64) -> Result<u64> {
        self.check()?;
        let mut released = Vec::new();
        while self.in_use.get(1).is_some_and(|&(_, next_first)| next_first <= sequence) {
            released.extend(self.in_use.pop_front().map(|(index, _)| index));
        }
        let Some(&last) = released.last() else { return Ok(0) };
        // First the superblock: what it names must exist after a restart.
        self.update_superblock(|superblock| superblock.first_segment = last + 1)?;
        // Before they go, so that nobody misses them.
        self.sealed.release_before(last + 1);
        for index in &released {
            let name = segment_name(*index);
            let removed = self.storage.remove(&name);
            self.guard("remove", *index, removed)?;
        }
        let synced = self.storage.sync_directory("");
        self.guard("sync the removal of", last, synced)?;
        Ok(released.len() as u64)
    }

    /// Makes everything durable and marks the journal as closed in order.
    ///
    /// # Errors
    /// `Io`.
    pub fn close(mut self) -> Result<()> {
        let durable = self.sync()?;
        self.update_superblock(|superblock| {
            superblock.clean = true;
            superblock.durable_hint = durable;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constants::{PAGE_SIZE, SEGMENT_SIZE_MIN};
    use crate::sim::SimStorage;
    use crate::{FormatOptions, Frame, Prepare};

    fn append_and_sync(journal: &mut Journal<SimStorage>, size: usize) {
        let sequence = journal.next_sequence();
        let mut frame = journal.begin(sequence, size).expect("begun");
        frame.put(&vec![5; size]).expect("put");
        frame.finish(1, 0).expect("finished");
        journal.sync().expect("synced");
    }

    #[test]
    fn segments_are_prepared_for_the_mean_sync_of_the_segment_before() {
        let storage = SimStorage::new();
        let options = FormatOptions { segment_size: SEGMENT_SIZE_MIN, ..FormatOptions::new(1, 1) };
        Journal::format(&storage, &options).expect("formatted");
        let inline = OpenOptions { prepare: Prepare::Inline, ..OpenOptions::default() };
        let mut ignore = |_: &Frame<'_>| Ok(());
        let (mut journal, _) = Journal::open(storage, &inline, &mut ignore).expect("opens");
        assert_eq!(journal.preparer.prepared_for(), PAGE_SIZE, "nothing is known yet");
        // Frames of 256 bytes and their payload: 65 pages each, then two pages each.
        for (size, pages) in [(64 * PAGE_SIZE, 65), (PAGE_SIZE, 2), (64 * PAGE_SIZE, 65)] {
            let begun = journal.counters().segments;
            while journal.counters().segments < begun + 2 {
                append_and_sync(&mut journal, size as usize);
            }
            let mean = journal.preparer.prepared_for() / PAGE_SIZE;
            // The segment's own end and header are synced, too.
            assert!((pages - pages / 8..=pages).contains(&mean), "{mean} pages, not {pages}");
        }
    }
}
