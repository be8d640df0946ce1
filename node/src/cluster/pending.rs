//! Frames that a standby holds and has not applied, because nobody has told it yet that they are committed.
//!
//! Invariant: frames are applied whole, in order, and only up to a committed sequence, so that a cut never has to take
//! back what the engine did. Bounded by what a primary has in flight.

use crate::error::NodeError;
use crate::recover::for_each_entry_in;
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
