//! Frames that a standby holds and has not applied, because nobody has told it yet that they are committed.
//!
//! Invariant: frames are applied whole, in order, and only up to a committed sequence, so that a cut never has to take
//! back what the engine did. Bounded by what a primary has in flight.

use crate::error::NodeError;
use crate::recover::{EntryError, for_each_entry_in};
use mizan_engine::{Engine, Output, Resolved};
use mizan_journal::{SHARED_HEADER_SIZE, SharedHeader};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Entries of one frame.
struct Waiting {
    sequence: u64,
    count: u32,
    bytes: Arc<Vec<u8>>,
    payload: Range<usize>,
}

impl Waiting {
    fn last(&self) -> u64 {
        self.sequence + u64::from(self.count) - 1
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct Pending {
    frames: VecDeque<Waiting>,
}

impl Pending {
    /// Adds the frame behind the last one.
    pub(crate) fn push(&mut self, sequence: u64, count: u32, payload: &[u8]) {
        let bytes = Arc::new(payload.to_vec());
        self.frames.push_back(Waiting { sequence, count, payload: 0..bytes.len(), bytes });
    }

    /// Adds frames as they were sent, one behind the other; the replica has judged them. Nothing is copied.
    pub(crate) fn push_received(&mut self, frames: &Arc<Vec<u8>>) {
        for (header, payload) in received_frames(frames) {
            let (sequence, count, bytes) = (header.sequence, header.count, Arc::clone(frames));
            self.frames.push_back(Waiting { sequence, count, bytes, payload });
        }
    }

    /// The latest clock reading in the last frame that waits; 0 if none does.
    pub(crate) fn last_reading(&self) -> u64 {
        let last = self.frames.back();
        last.map_or(0, |it| reading_of(it.sequence, it.count, &it.bytes[it.payload.clone()]))
    }

    /// Applies whole frames up to a committed sequence.
    ///
    /// # Errors
    /// An entry that the engine cannot apply: the log or the state is not what the primary's was.
    pub(crate) fn apply_to(
        &mut self,
        committed: u64,
        engine: &mut Engine,
        output: &mut Output,
    ) -> Result<(), NodeError> {
        while self.frames.front().is_some_and(|frame| frame.last() <= committed) {
            let Some(frame) = self.frames.pop_front() else { break };
            let payload = &frame.bytes[frame.payload.clone()];
            apply_frame(frame.sequence, frame.count, payload, engine, output)?;
        }
        Ok(())
    }
}

/// The latest clock reading at the end of a log, applied or not.
pub(crate) struct LogClock {
    /// Of what recovery found.
    found: u64,
    /// What was received last since.
    received: Option<Arc<Vec<u8>>>,
}

impl LogClock {
    pub(crate) const fn new(found: u64) -> Self {
        Self { found, received: None }
    }

    /// Frames were appended. Nothing is read before somebody asks.
    pub(crate) fn note(&mut self, frames: &Arc<Vec<u8>>) {
        self.received = Some(Arc::clone(frames));
    }

    /// The reading; 0 if everything at the start was applied and nothing came since.
    pub(crate) fn reading(&self) -> u64 {
        let received = self.received.as_ref().and_then(|frames| {
            let (header, payload) = received_frames(frames).last()?;
            Some(reading_of(header.sequence, header.count, &frames[payload]))
        });
        received.unwrap_or(0).max(self.found)
    }
}

/// The latest clock reading in a frame.
fn reading_of(sequence: u64, count: u32, payload: &[u8]) -> u64 {
    let mut latest = 0;
    // Where a frame cannot be read to its end, applying it says so.
    let _ = for_each_entry_in::<EntryError>(sequence, count, payload, |_, header, _| {
        latest = latest.max(header.clock_reading);
        Ok(())
    });
    latest
}

/// Applies the entries of a frame.
///
/// # Errors
/// As [`Pending::apply_to`].
pub(crate) fn apply_frame(
    sequence: u64,
    count: u32,
    payload: &[u8],
    engine: &mut Engine,
    output: &mut Output,
) -> Result<(), NodeError> {
    for_each_entry_in(sequence, count, payload, |sequence, header, body| {
        engine
            .apply(sequence, header, body, &Resolved::none(), output)
            .map_err(|source| NodeError::Apply { sequence, source })
    })
}

/// Frames as they are sent, one after the other: header, and where the payload lies.
pub(crate) fn received_frames(bytes: &[u8]) -> impl Iterator<Item = (SharedHeader, Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let header = SharedHeader::decode(bytes.get(at..)?.first_chunk()?)?;
        let payload = at + SHARED_HEADER_SIZE..at + SHARED_HEADER_SIZE + header.length as usize;
        bytes.get(payload.clone())?;
        at = payload.end;
        Some((header, payload))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_wire::{Operation, RequestHeader};
    use zerocopy::IntoBytes;

    fn ticks(readings: &[u64]) -> Vec<u8> {
        let operation = Operation::Tick.number();
        let tick = |reading: &u64| RequestHeader {
            operation,
            clock_reading: *reading,
            ..RequestHeader::default()
        };
        readings.iter().flat_map(|reading| tick(reading).as_bytes().to_vec()).collect()
    }

    fn frame(sequence: u64, readings: &[u64]) -> Vec<u8> {
        let payload = ticks(readings);
        let header = SharedHeader {
            previous: [0; 16],
            cluster: 1,
            epoch: 1,
            sequence,
            count: readings.len() as u32,
            length: payload.len() as u32,
            semantics_version: 1,
        };
        [&header.encode()[..], &payload].concat()
    }

    #[test]
    fn the_log_ends_with_the_latest_reading_of_its_last_frame_applied_or_not() {
        let mut pending = Pending::default();
        assert_eq!(pending.last_reading(), 0);
        pending.push(1, 1, &ticks(&[9]));
        pending.push(2, 3, &ticks(&[4, 6, 5]));
        assert_eq!(pending.last_reading(), 6);
        let mut clock = LogClock::new(pending.last_reading());
        assert_eq!(clock.reading(), 6);
        clock.note(&Arc::new([frame(5, &[11, 12]), frame(7, &[8, 10])].concat()));
        assert_eq!(clock.reading(), 10);
        // A clock that was set back does not make the log any younger.
        clock.note(&Arc::new(frame(9, &[3])));
        assert_eq!(clock.reading(), 6);
    }
}
