//! Recovery at open: where the log ends, and whether what lies behind it may be cut off.
//!
//! 1. The log is read up to the first place F where it does not go on.
//! 2. Everything behind F is looked at. An intact later header that was written when F's sequence was durable, a
//!    later segment in use, or the superblock's hint proves damage in the middle: nothing is changed, and the
//!    journal is refused.
//! 3. Otherwise what lies behind F was never durable: it goes to quarantine, is zeroed, and the log goes on at F.
//!
//! It cannot tell a damaged last group from one that was never synced (nothing later proves that it was): that
//! group is cut off like any unsynced tail. Only a second copy closes this gap.

use std::sync::Arc;

use crate::error::{BreakReason, Damage, JournalError, Proof, Result, VisitorError};
use crate::frame::{Frame, Position};
use crate::quarantine;
use crate::reader::{Break, Event, Log, Place, Survey};
use crate::segment::{HeaderState, SegmentFile, SegmentHeader, read_header, segment_name};
use crate::storage::Storage;
use crate::superblock::Superblock;

/// Receives what recovery reads.
pub trait RecoveryVisitor {
    /// A valid frame, in order. If the journal turns out to be damaged later on, what was visited is void.
    ///
    /// # Errors
    /// Any error stops the recovery and is returned by it.
    fn frame(&mut self, frame: &Frame<'_>) -> std::result::Result<(), VisitorError>;

    /// Recovery has read `bytes_done` of `bytes_total`.
    fn progress(&mut self, bytes_done: u64, bytes_total: u64) {
        let _ = (bytes_done, bytes_total);
    }
}

impl<F> RecoveryVisitor for F
where
    F: FnMut(&Frame<'_>) -> std::result::Result<(), VisitorError>,
{
    fn frame(&mut self, frame: &Frame<'_>) -> std::result::Result<(), VisitorError> {
        self(frame)
    }
}

/// What recovery found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Whether the journal had been closed in order.
    pub was_clean: bool,
    /// Segments in use.
    pub segments: u64,
    /// Valid frames.
    pub frames: u64,
    /// Entries in them.
    pub entries: u64,
    /// Bytes of payload in them.
    pub payload_bytes: u64,
    /// Sequence of the first entry that is still there.
    pub first_sequence: u64,
    /// Sequence that the next entry gets.
    pub next_sequence: u64,
    /// Highest commit that a frame names, 0 for none.
    pub commit: u64,
    /// What was cut off.
    pub quarantined: Option<Quarantined>,
}

/// The unsynced tail that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// File that keeps it, relative to the directory.
    pub file: String,
    /// Size of that file, in bytes.
    pub size: u64,
    /// Where the log broke.
    pub position: Position,
    /// First sequence that is gone.
    pub sequence: u64,
    /// What was wrong there.
    pub reason: BreakReason,
    /// Intact frame headers in the tail.
    pub frames: u64,
}

/// What the journal needs to go on.
pub(crate) struct Recovered {
    pub(crate) report: RecoveryReport,
    pub(crate) end: Break,
    /// Headers of the segments in use, in order.
    pub(crate) headers: Vec<SegmentHeader>,
}

/// Runs the rules on the segments.
///
/// # Errors
/// `Corrupt` and the distinct errors of the files: nothing was changed. `NoSpace`: the tail could not be kept,
/// nothing was cut. `Visitor`, `Io`.
pub(crate) fn recover<S: Storage>(
    storage: &S,
    superblock: &Superblock,
    segments: &[SegmentFile],
    visitor: &mut dyn RecoveryVisitor,
) -> Result<Recovered> {
    let total = settle(storage, superblock.cluster, segments)?;
    let log = Log { storage, cluster: superblock.cluster, segments };
    let mut report = RecoveryReport {
        was_clean: superblock.clean,
        segments: 0,
        frames: 0,
        entries: 0,
        payload_bytes: 0,
        first_sequence: 0,
        next_sequence: 0,
        commit: 0,
        quarantined: None,
    };
    let mut headers: Vec<SegmentHeader> = Vec::new();
    let start = Place { segment: 0, end: 0, chain: log.blank_chain() };
    let end = log.walk(start, &mut |event| {
        match event {
            Event::Segment(header) => headers.push(*header),
            Event::Progress(position) => {
                let done = (position.segment - superblock.first_segment) * superblock.segment_size
                    + position.offset;
                visitor.progress(done.min(total), total);
            }
            Event::Frame(frame) => {
                report.frames += 1;
                report.entries += u64::from(frame.count);
                report.payload_bytes += frame.payload.len() as u64;
                report.commit = report.commit.max(frame.commit);
                visitor.frame(frame).map_err(|error| JournalError::Visitor {
                    sequence: frame.sequence,
                    source: Arc::from(error),
                })?;
            }
        }
        Ok(())
    })?;
    let survey = log.survey(&end)?;
    if let Some(proof) = proof(superblock, &end, &survey, headers.is_empty()) {
        return Err(JournalError::Corrupt(Box::new(damage(storage, segments, &end, proof))));
    }
    report.segments = headers.len() as u64;
    report.first_sequence = headers.first().map_or(0, |header| header.first_sequence);
    report.next_sequence = end.chain.next_sequence;
    if !survey.residue.is_empty() {
        let (file, size) = quarantine::keep(storage, segments, &survey, end.chain.next_sequence)?;
        quarantine::erase(storage, segments, &survey)?;
        report.quarantined = Some(Quarantined {
            file,
            size,
            position: Position { segment: segments[end.segment].index, offset: end.offset },
            sequence: end.chain.next_sequence,
            reason: end.reason,
            frames: survey.frames,
        });
    }
    visitor.progress(total, total);
    Ok(Recovered { report, end, headers })
}

/// Makes sure that what is read is on the disk and not only in a cache that a failed write-back left behind.
/// Returns the bytes that a scan has to read.
///
/// Segments before the last one in use were durable before the next one was begun.
fn settle<S: Storage>(storage: &S, cluster: u128, segments: &[SegmentFile]) -> Result<u64> {
    let mut last_in_use = 0;
    for (at, segment) in segments.iter().enumerate().rev() {
        if read_header(storage, cluster, segment)? != HeaderState::Ready {
            last_in_use = at;
            break;
        }
    }
    for segment in &segments[last_in_use..] {
        storage
            .settle(&segment.name)
            .map_err(|error| JournalError::io("sync", &segment.name, error))?;
    }
    Ok(segments.iter().take(last_in_use + 1).map(|segment| segment.size).sum())
}

pub(crate) fn proof(
    superblock: &Superblock,
    end: &Break,
    survey: &Survey,
    nothing_read: bool,
) -> Option<Proof> {
    if nothing_read {
        return Some(Proof::FirstSegment);
    }
    if superblock.durable_hint >= end.chain.next_sequence {
        return Some(Proof::DurableHint { sequence: superblock.durable_hint });
    }
    survey.proof
}

pub(crate) fn damage<S: Storage>(
    storage: &S,
    segments: &[SegmentFile],
    end: &Break,
    proof: Proof,
) -> Damage {
    let segment = segments[end.segment].index;
    Damage {
        directory: storage.describe(),
        file: segment_name(segment),
        segment,
        offset: end.offset,
        sequence: end.chain.next_sequence,
        reason: end.reason,
        proof,
    }
}
