//! Replaying the log: journal frames back into entries, entries into the engine.

use crate::error::NodeError;
use mizan_engine::{ApplyError, Engine, Output, Resolved};
use mizan_journal::{Frame, RecoveryVisitor, VisitorError};
use mizan_wire::limits::HEADER_SIZE;
use mizan_wire::{Genesis, RequestHeader};
use thiserror::Error;
use zerocopy::FromBytes;

/// How far a recovery has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RecoveryProgress {
    /// Bytes of the journal read.
    pub bytes_done: u64,
    /// Bytes of the journal in all.
    pub bytes_total: u64,
    /// Log entries applied.
    pub entries: u64,
    /// Transfers in the ledger.
    pub transfers: u64,
}

/// Why a frame's payload is not a sequence of entries, although its checksum holds.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum EntryError {
    /// The payload ends within an entry.
    #[error("the payload of the frame at sequence {sequence} ends within an entry")]
    Cut {
        /// Sequence of the frame's first entry.
        sequence: u64,
    },
    /// The frame counts other entries than it holds.
    #[error("the frame at sequence {sequence} says {said} entries and holds {held}")]
    Count {
        /// Sequence of the frame's first entry.
        sequence: u64,
        /// Entries by its header.
        said: u32,
        /// Entries in its payload.
        held: u32,
    },
}

/// Hands every entry of a frame to `each`: sequence, header, body.
///
/// # Errors
/// [`EntryError`], or what `each` says.
pub fn for_each_entry<E: From<EntryError>>(
    frame: &Frame<'_>,
    each: impl FnMut(u64, &RequestHeader, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    for_each_entry_in(frame.sequence, frame.count, frame.payload, each)
}

/// As [`for_each_entry`], of a frame with `count` entries from `sequence` on.
pub(crate) fn for_each_entry_in<E: From<EntryError>>(
    sequence: u64,
    count: u32,
    payload: &[u8],
    mut each: impl FnMut(u64, &RequestHeader, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut rest = payload;
    let mut held = 0u32;
    while !rest.is_empty() {
        let (header, _) =
            RequestHeader::read_from_prefix(rest).map_err(|_| EntryError::Cut { sequence })?;
        let entry = rest.get(..header.entry_size()).ok_or(EntryError::Cut { sequence })?;
        let body = &entry[HEADER_SIZE..HEADER_SIZE + header.body_size as usize];
        each(sequence + u64::from(held), &header, body)?;
        held += 1;
        rest = &rest[entry.len()..];
    }
    if held == count {
        Ok(())
    } else {
        Err(EntryError::Count { sequence, said: count, held }.into())
    }
}

/// Why a replay stopped.
#[derive(Debug, Error)]
pub(crate) enum ReplayError {
    #[error(transparent)]
    Entry(#[from] EntryError),
    #[error("log entry {sequence} cannot be applied: {source}")]
    Apply { sequence: u64, source: ApplyError },
}

/// An engine that is fed with frames.
pub(crate) struct Replay<'p> {
    pub(crate) engine: Engine,
    output: Output,
    progress: &'p mut dyn FnMut(RecoveryProgress),
}

impl<'p> Replay<'p> {
    pub(crate) fn new(
        genesis: &Genesis,
        progress: &'p mut dyn FnMut(RecoveryProgress),
    ) -> Result<Self, NodeError> {
        crate::memory::check(genesis)?;
        Ok(Self { engine: Engine::new(genesis)?, output: Output::new(), progress })
    }

    /// Applies the first entry of a log, given as the journal keeps it.
    pub(crate) fn begin(&mut self, entry: &[u8]) -> Result<(), NodeError> {
        let cut = || NodeError::Options("the genesis entry is shorter than its header".to_owned());
        let (header, body) = RequestHeader::read_from_prefix(entry).map_err(|_| cut())?;
        let body = body.get(..header.body_size as usize).ok_or_else(cut)?;
        self.engine
            .apply(1, &header, body, &Resolved::none(), &mut self.output)
            .map_err(|source| NodeError::Apply { sequence: 1, source })
    }

    pub(crate) fn apply(&mut self, frame: &Frame<'_>) -> Result<(), ReplayError> {
        let (engine, output) = (&mut self.engine, &mut self.output);
        for_each_entry(frame, |sequence, header, body| {
            engine
                .apply(sequence, header, body, &Resolved::none(), output)
                .map_err(|source| ReplayError::Apply { sequence, source })
        })
    }
}

impl RecoveryVisitor for Replay<'_> {
    fn frame(&mut self, frame: &Frame<'_>) -> Result<(), VisitorError> {
        Ok(self.apply(frame)?)
    }

    fn progress(&mut self, bytes_done: u64, bytes_total: u64) {
        (self.progress)(RecoveryProgress {
            bytes_done,
            bytes_total,
            entries: self.engine.sequence(),
            transfers: self.engine.status().transfer_count,
        });
    }
}

/// The limits that a superblock keeps.
///
/// # Errors
/// A record that this build cannot read.
pub fn read_genesis(directory: &str, record: &[u8]) -> Result<Genesis, NodeError> {
    let refuse =
        |reason: String| NodeError::GenesisRecord { directory: directory.to_owned(), reason };
    let genesis = Genesis::read_from_bytes(record).map_err(|_| {
        refuse(format!("{} bytes instead of {}", record.len(), size_of::<Genesis>()))
    })?;
    if genesis.semantics_version != mizan_wire::SEMANTICS_VERSION {
        return Err(refuse(format!(
            "semantics version {}, this build implements {}",
            genesis.semantics_version,
            mizan_wire::SEMANTICS_VERSION
        )));
    }
    Ok(genesis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;

    #[test]
    fn a_log_with_other_semantics_is_refused_by_their_version() {
        let own =
            Genesis { semantics_version: mizan_wire::SEMANTICS_VERSION, ..Genesis::default() };
        assert_eq!(read_genesis("/data", own.as_bytes()).ok(), Some(own));
        let before = Genesis { semantics_version: 1, ..own };
        let error = read_genesis("/data", before.as_bytes()).expect_err("version 1 is another one");
        let text = error.to_string();
        assert!(text.contains("semantics version 1, this build implements 2"), "{text}");
        assert!(text.contains("/data"), "{text}");
    }
}
