//! Frames that a standby holds and has not applied, because nobody has told it yet that they are committed.
//!
//! Invariant: frames are applied whole, in order, and only up to a committed sequence, so that a cut never has to take
//! back what the engine did. Bounded by what a primary has in flight.

use crate::error::NodeError;
use crate::recover::for_each_entry_in;
use mizan_engine::{Engine, Output, Resolved};
use mizan_journal::{SHARED_HEADER_SIZE, SharedHeader};
use std::collections::VecDeque;

/// Entries of one frame.
struct Waiting {
    sequence: u64,
    count: u32,
    payload: Vec<u8>,
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
        self.frames.push_back(Waiting { sequence, count, payload: payload.to_vec() });
    }

    /// Adds frames as they were sent, one behind the other; the replica has judged them.
    pub(crate) fn push_received(&mut self, frames: &[u8]) {
        for (header, payload) in received_frames(frames) {
            self.push(header.sequence, header.count, payload);
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
            for_each_entry_in(
                frame.sequence,
                frame.count,
                &frame.payload,
                |sequence, header, body| -> Result<(), NodeError> {
                    engine
                        .apply(sequence, header, body, &Resolved::none(), output)
                        .map_err(|source| NodeError::Apply { sequence, source })
                },
            )?;
        }
        Ok(())
    }
}

/// Frames as they are sent, one after the other.
pub(crate) fn received_frames(mut bytes: &[u8]) -> impl Iterator<Item = (SharedHeader, &[u8])> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_first_chunk::<SHARED_HEADER_SIZE>()?;
        let header = SharedHeader::decode(head)?;
        let (payload, rest) = rest.split_at_checked(header.length as usize)?;
        bytes = rest;
        Some((header, payload))
    })
}
