//! The journal stage: everything that came meanwhile becomes one group, is written, synced once, and is then durable.
//!
//! The cells of a write entry go into the frame as they are. Reads and padding are passed over: what is durable up to
//! the write before them is durable up to them.

use crate::cell::{Cell, Entries, Entry, EntryHeader};
use crate::cluster::ClusterState;
use crate::error::NodeError;
use mizan_journal::constants::PAYLOAD_SIZE_MAX;
use mizan_journal::{Journal, JournalError, Space, Storage};
use mizan_replica::{Control, FrameEnd};
use mizan_ring::{Batch, Consumer, CursorWriter};
use mizan_wire::limits::HEADER_SIZE;
use mizan_wire::{Operation, RequestHeader};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;
use zerocopy::IntoBytes;

/// Bytes after which a group is synced although more entries wait: a group's sync time is its entries' latency.
const GROUP_SIZE_MAX: usize = 4 << 20;

/// What the journal stage tells the others, and they it.
#[derive(Debug, Default)]
pub(crate) struct JournalState {
    /// The next segment cannot be made for want of room on the disk: new writes are refused.
    pub(crate) space_is_low: AtomicBool,
    /// As before, but for want of a descriptor or of memory.
    pub(crate) is_starved: AtomicBool,
    /// Entries wait in the ring for space.
    pub(crate) is_stalled: AtomicBool,
    /// Sequence up to which replies were released, for the frames' `commit`.
    pub(crate) commit_sequence: AtomicU64,
    /// Highest sequence that is durable.
    pub(crate) durable_sequence: AtomicU64,
    /// Highest sequence that was written, synced or not.
    pub(crate) appended_sequence: AtomicU64,
    /// Groups synced.
    pub(crate) groups: AtomicU64,
    /// Nanoseconds in their syncs.
    pub(crate) sync_ns: AtomicU64,
    /// Of these, groups that the front's thread wrote itself.
    pub(crate) groups_inline: AtomicU64,
}

/// Owns the journal.
pub(crate) struct JournalStage<S: Storage> {
    journal: Journal<S>,
    requests: Consumer<Cell>,
    durable: CursorWriter,
    sequence_next: u64,
    /// Kept for its memory.
    frame: Frame,
    state: Arc<JournalState>,
    /// Is told of every frame once it can be read from the files, and of every sync.
    cluster: Option<Arc<ClusterState>>,
    /// The first failure of the disk. What is durable is unknown from then on, so whoever comes next, on whichever
    /// thread, gets the same error: reads behind a write that failed would else make its position durable.
    failure: Option<JournalError>,
    /// Ends of frames that nobody was told of yet.
    ends: VecDeque<(FrameEnd, Option<Control>)>,
}

impl<S: Storage> JournalStage<S> {
    pub(crate) fn new(
        journal: Journal<S>,
        requests: Consumer<Cell>,
        durable: CursorWriter,
        sequence_next: u64,
        state: Arc<JournalState>,
        cluster: Option<Arc<ClusterState>>,
    ) -> Self {
        state.durable_sequence.store(sequence_next - 1, Ordering::Relaxed);
        state.appended_sequence.store(sequence_next - 1, Ordering::Relaxed);
        let frame = Frame::default();
        Self {
            journal,
            requests,
            durable,
            sequence_next,
            frame,
            state,
            cluster,
            failure: None,
            ends: VecDeque::new(),
        }
    }

    /// Persists the highest epoch seen, and with it the cluster's record; frames go on in the epoch that they are in.
    ///
    /// # Errors
    /// A failing disk.
    pub(crate) fn note_epoch(&mut self, epoch: u64, record: &[u8]) -> Result<(), NodeError> {
        self.check()?;
        let noted = self.journal.note_epoch_and_config(epoch, record);
        self.note_failure(noted)
    }

    fn check(&self) -> Result<(), NodeError> {
        self.failure.as_ref().map_or(Ok(()), |error| Err(error.clone().into()))
    }

    /// Turns the first failure of the disk into the error of every later call.
    fn note_failure<T>(&mut self, outcome: Result<T, JournalError>) -> Result<T, NodeError> {
        outcome.map_err(|error| self.failure.get_or_insert(error).clone().into())
    }

    /// Whether there is something to do, and space to do it.
    pub(crate) fn has_work(&mut self) -> Result<bool, NodeError> {
        self.check()?;
        Ok(!self.state.is_stalled.load(Ordering::Relaxed) && !self.requests.available()?.is_empty())
    }

    /// Writes and syncs one group of what waits. Nobody is woken.
    ///
    /// # Errors
    /// Any failure of the journal but a full disk: what is durable is then unknown, and the node must end.
    pub(crate) fn poll(&mut self) -> Result<bool, NodeError> {
        self.check()?;
        let space = self.journal.space();
        self.state.space_is_low.store(space == Space::Low, Ordering::Relaxed);
        self.state.is_starved.store(space == Space::Starved, Ordering::Relaxed);
        if space != Space::Ok {
            // Lack of space passes; anything else that keeps the next segment from being made does not.
            let preparing = self.journal.check_preparing();
            self.note_failure(preparing)?;
        }
        let batch = self.requests.available()?;
        if batch.is_empty() {
            return Ok(false);
        }
        let commit = self.state.commit_sequence.load(Ordering::Relaxed);
        let mut group = Group {
            journal: &mut self.journal,
            sequence_next: &mut self.sequence_next,
            frame: &mut self.frame,
            cluster: self.cluster.as_deref(),
            ends: &mut self.ends,
            commit,
            size: 0,
            done: batch.start(),
        };
        let outcome = group.write(&batch);
        let (done, wrote) = (group.done, group.size > 0);
        let progressed = done > self.requests.released_position();
        if progressed {
            self.requests.release_to(done);
        }
        let is_stalled = matches!(outcome, Err(JournalError::NoSpace { .. }));
        self.state.is_stalled.store(is_stalled, Ordering::Relaxed);
        if is_stalled {
            let is_starved = self.journal.space() == Space::Starved;
            self.state.space_is_low.store(!is_starved, Ordering::Relaxed);
            self.state.is_starved.store(is_starved, Ordering::Relaxed);
        } else {
            self.note_failure(outcome)?;
        }
        if wrote {
            self.state.appended_sequence.store(self.sequence_next - 1, Ordering::Relaxed);
            // Where frames can be read before they are synced, the peers receive them while this disk syncs.
            if let Some(cluster) = &self.cluster {
                cluster.wake();
            }
            let started = Instant::now();
            let synced = self.journal.sync();
            let durable_sequence = self.note_failure(synced)?;
            let sync_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.state.sync_ns.fetch_add(sync_ns, Ordering::Relaxed);
            if let Some(cluster) = &self.cluster {
                tell_ends(cluster, &mut self.ends, self.journal.readable());
                cluster.note_durable(durable_sequence);
                cluster.wake();
            }
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
        self.check()?;
        Ok(self.journal.close()?)
    }
}

/// One group in the making.
struct Group<'a, S: Storage> {
    journal: &'a mut Journal<S>,
    sequence_next: &'a mut u64,
    frame: &'a mut Frame,
    cluster: Option<&'a ClusterState>,
    ends: &'a mut VecDeque<(FrameEnd, Option<Control>)>,
    commit: u64,
    size: usize,
    /// Position in the ring up to which entries are in the group.
    done: u64,
}

impl<S: Storage> Group<'_, S> {
    fn write(&mut self, batch: &Batch<'_, Cell>) -> Result<(), JournalError> {
        self.frame.clear();
        let mut end = self.done;
        for entry in Entries::<RequestHeader>::new(batch) {
            let is_write = is_journaled(entry.header);
            let control = self.control(&entry);
            let is_full = self.frame.size + entry.bytes.len() > PAYLOAD_SIZE_MAX;
            if is_write && (is_full || control.is_some()) {
                self.write_frame(batch, end, None)?;
                if self.size >= GROUP_SIZE_MAX {
                    return Ok(());
                }
            }
            if is_write {
                self.frame.add(end, entry.end);
            }
            end = entry.end;
            if control.is_some() {
                self.write_frame(batch, end, control)?;
            }
        }
        self.write_frame(batch, end, None)
    }

    /// The config record that an entry is, if it is one: that is alone in its frame.
    fn control(&self, entry: &Entry<'_, RequestHeader>) -> Option<Control> {
        let is_own_tick = entry.header.operation == Operation::Tick.number();
        (self.cluster.is_some() && is_own_tick).then(|| Control::from_payload(1, entry.bytes))?
    }

    fn write_frame(
        &mut self,
        batch: &Batch<'_, Cell>,
        end: u64,
        control: Option<Control>,
    ) -> Result<(), JournalError> {
        let count = self.frame.count;
        if count > 0 {
            let mut frame = self.journal.begin(*self.sequence_next, self.frame.size)?;
            for run in &self.frame.runs {
                for part in cells_between(batch, run.start, run.end) {
                    frame.put(part.as_bytes())?;
                }
            }
            frame.finish(count, self.commit)?;
            *self.sequence_next += u64::from(count);
            self.size += self.frame.size;
            if let Some(cluster) = self.cluster {
                let (epoch, hash) = (self.journal.epoch(), self.journal.last_hash());
                let sequence = *self.sequence_next - 1;
                self.ends.push_back((FrameEnd { epoch, sequence, hash }, control));
                tell_ends(cluster, self.ends, self.journal.readable());
            }
        }
        self.frame.clear();
        self.done = end;
        Ok(())
    }
}

/// Tells of the frames that can be read from the files: the peers are sent what is read there.
fn tell_ends(
    cluster: &ClusterState,
    ends: &mut VecDeque<(FrameEnd, Option<Control>)>,
    readable: u64,
) {
    while let Some((end, control)) = ends.pop_front_if(|(end, _)| end.sequence <= readable) {
        cluster.note_appended(end, control);
    }
}

/// Positions of the entries of one frame: neighbours are one run, which is written with one copy. Reads and padding
/// between entries end a run.
#[derive(Debug, Default)]
struct Frame {
    runs: Vec<Range<u64>>,
    count: u32,
    size: usize,
}

impl Frame {
    fn clear(&mut self) {
        self.runs.clear();
        (self.count, self.size) = (0, 0);
    }

    /// Adds an entry between these positions; entries come in order.
    fn add(&mut self, start: u64, end: u64) {
        self.count += 1;
        self.size += (end - start) as usize * HEADER_SIZE;
        match self.runs.last_mut() {
            Some(run) if run.end == start => run.end = end,
            _ => self.runs.push(start..end),
        }
    }
}

/// The cells of a batch between two positions: those up to the physical end of the ring, then those from its front.
fn cells_between<'a>(batch: &Batch<'a, Cell>, start: u64, end: u64) -> [&'a [Cell]; 2] {
    let (first, second) = batch.slices();
    let offset = |position: u64| (position - batch.start()) as usize;
    let (start, end) = (offset(start), offset(end));
    let wrap = first.len();
    [
        &first[start.min(wrap)..end.min(wrap)],
        &second[start.saturating_sub(wrap)..end.saturating_sub(wrap)],
    ]
}

/// Whether the entry belongs in the log.
fn is_journaled(header: &RequestHeader) -> bool {
    !header.is_padding() && !header.operation().is_some_and(Operation::is_read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_ring::RingOptions;

    #[test]
    fn neighbours_are_one_run_and_a_gap_ends_it() {
        let mut frame = Frame::default();
        for (start, end) in [(4, 6), (6, 7), (9, 12), (12, 14)] {
            frame.add(start, end);
        }
        assert_eq!(frame.runs, [4..7, 9..14]);
        assert_eq!((frame.count, frame.size), (4, 8 * HEADER_SIZE));
        frame.clear();
        assert!(frame.runs.is_empty() && frame.count == 0 && frame.size == 0);
    }

    #[test]
    fn a_run_that_passes_the_end_of_the_ring_keeps_its_cells_in_order() {
        let mut setup = RingOptions::new(8).allocate(Cell::ZERO).unwrap();
        let mut consumer = setup.consumer("test").add();
        let mut producer = setup.single_producer().unwrap();
        let mut publish = |numbers: Range<u8>| {
            for number in numbers {
                let mut span = producer.try_claim(1).unwrap();
                *span.cell_mut(0) = Cell([number; HEADER_SIZE]);
                span.publish();
            }
        };
        publish(0..5);
        assert_eq!(consumer.available().unwrap().len(), 5);
        consumer.release_to(5);
        publish(5..13);
        let batch = consumer.available().unwrap();
        for start in 5..=13u8 {
            for end in start..=13 {
                let parts = cells_between(&batch, start.into(), end.into());
                let numbers: Vec<u8> = parts.concat().iter().map(|cell| cell.0[0]).collect();
                assert_eq!(numbers, (start..end).collect::<Vec<u8>>());
            }
        }
    }
}
