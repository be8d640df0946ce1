//! Looking at a journal's files without touching them, on a stopped or a running node.
//!
//! It takes no lock and writes nothing. On a running node the log ends wherever it ended at that moment; a break
//! that later bytes contradict is read again before it is reported. It reports what it finds and repairs nothing.

use std::sync::Arc;

use crate::constants::SUPERBLOCK_COPIES;
use crate::error::{BreakReason, Damage, JournalError, Result, VisitorError};
use crate::frame::{Chain, Frame, Position};
use crate::reader::{Break, Event, Log, Place, Survey};
use crate::recovery::{damage, proof};
use crate::segment::{Catalog, HeaderState, SegmentFile, SegmentHeader, read_header, segment_name};
use crate::storage::Storage;
use crate::superblock::{self, CopyState, Superblock, read_copy};

/// What a scan comes across, in order.
#[derive(Debug)]
#[non_exhaustive]
pub enum ScanEvent<'a> {
    /// A copy of the superblock.
    Superblock {
        /// Number of the copy.
        copy: usize,
        /// What it holds.
        state: &'a CopyState,
    },
    /// A segment in use begins.
    Segment(&'a SegmentHeader),
    /// A segment that is prepared and not yet used.
    Ready {
        /// Its index.
        segment: u64,
    },
    /// A valid frame.
    Frame(&'a Frame<'a>),
    /// Damage, with its exact place.
    Damage(&'a Damage),
    /// Another problem: a file that is missing, foreign, of another size, cluster or version.
    Problem(&'a JournalError),
    /// Bytes behind the end of the log that nothing proves durable: what a crash leaves, or a write under way.
    Tail(&'a ScanTail),
    /// The scan has read so far.
    Progress {
        /// Bytes read.
        bytes_done: u64,
        /// Bytes to read.
        bytes_total: u64,
    },
}

/// An unsynced tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanTail {
    /// Where the log ends.
    pub position: Position,
    /// Sequence that would come next.
    pub sequence: u64,
    /// Why the log ends there.
    pub reason: BreakReason,
    /// Bytes from the first to the last that is not zero, summed over segments.
    pub bytes: u64,
    /// Intact frame headers in it.
    pub frames: u64,
}

/// The sums of a scan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanSummary {
    /// Segments in use that were entered in order.
    pub segments: u64,
    /// Valid frames.
    pub frames: u64,
    /// Entries in them.
    pub entries: u64,
    /// Bytes of payload in them.
    pub payload_bytes: u64,
    /// Sequence of the first entry seen, 0 for none.
    pub first_sequence: u64,
    /// Sequence after the last entry seen.
    pub next_sequence: u64,
    /// Highest commit that a frame names.
    pub commit: u64,
    /// Damage and other problems reported.
    pub problems: u64,
}

/// Receives the events of a scan; an error stops it.
pub type ScanVisitor<'v> = dyn FnMut(ScanEvent<'_>) -> std::result::Result<(), VisitorError> + 'v;

struct Scan<'v, 'f> {
    visit: &'v mut ScanVisitor<'f>,
    summary: ScanSummary,
    stop_at_first_problem: bool,
    done: bool,
}

impl Scan<'_, '_> {
    fn tell(&mut self, event: ScanEvent<'_>) -> Result<()> {
        let sequence = self.summary.next_sequence;
        (self.visit)(event)
            .map_err(|error| JournalError::Visitor { sequence, source: Arc::from(error) })
    }

    fn problem(&mut self, problem: &JournalError) -> Result<()> {
        if self.done {
            return Ok(());
        }
        self.summary.problems += 1;
        self.done = self.stop_at_first_problem;
        match problem {
            JournalError::Corrupt(damage) => self.tell(ScanEvent::Damage(damage)),
            other => self.tell(ScanEvent::Problem(other)),
        }
    }

    fn note(&mut self, event: Event<'_>, first: &SegmentFile, total: u64) -> Result<()> {
        match event {
            Event::Segment(header) => {
                self.summary.segments += 1;
                if self.summary.next_sequence == 0 {
                    self.summary.first_sequence = header.first_sequence;
                    self.summary.next_sequence = header.first_sequence;
                }
                self.tell(ScanEvent::Segment(header))
            }
            Event::Frame(frame) => {
                self.summary.frames += 1;
                self.summary.entries += u64::from(frame.count);
                self.summary.payload_bytes += frame.payload.len() as u64;
                self.summary.commit = self.summary.commit.max(frame.commit);
                if self.summary.next_sequence == 0 {
                    self.summary.first_sequence = frame.sequence;
                }
                self.summary.next_sequence = frame.last_sequence() + 1;
                self.tell(ScanEvent::Frame(frame))
            }
            Event::Progress(position) => {
                let done = (position.segment - first.index) * first.size + position.offset;
                let progress =
                    ScanEvent::Progress { bytes_done: done.min(total), bytes_total: total };
                self.tell(progress)
            }
        }
    }
}

/// Reads everything and reports what it finds. Damage is an event, not an error.
///
/// # Errors
/// `NotFormatted`, `SuperblockDamaged`, `VersionNotSupported` of the superblock; `Visitor`; `Io`.
///
/// Cost: reads every segment once, and again what lies behind damage.
pub fn scan<S: Storage>(
    storage: &S,
    stop_at_first_problem: bool,
    visit: &mut ScanVisitor<'_>,
) -> Result<ScanSummary> {
    let summary = ScanSummary::default();
    let mut scan = Scan { visit, summary, stop_at_first_problem, done: false };
    let superblock = scan_superblock(storage, &mut scan)?;
    let mut catalog = Catalog::read(storage)?;
    let segments = usable_segments(storage, &superblock, &mut catalog, &mut scan)?;
    if !scan.done && !segments.is_empty() {
        scan_log(storage, &superblock, &segments, &mut scan)?;
    }
    Ok(scan.summary)
}

fn scan_superblock<S: Storage>(storage: &S, scan: &mut Scan<'_, '_>) -> Result<Superblock> {
    let superblock = superblock::read(storage)?;
    for copy in 0..SUPERBLOCK_COPIES {
        let mut state = read_copy(storage, copy)?;
        if !matches!(state, CopyState::Intact(_)) {
            // A running node may have been writing it just then.
            state = read_copy(storage, copy)?;
        }
        scan.tell(ScanEvent::Superblock { copy, state: &state })?;
        if !matches!(state, CopyState::Intact(_)) {
            scan.problem(&JournalError::SuperblockCopyDamaged {
                file: superblock::copy_name(copy),
                reason: state.to_string(),
            })?;
        }
    }
    Ok(superblock)
}

/// The segments that can be read at all; what is wrong with the others is reported.
fn usable_segments<S: Storage>(
    storage: &S,
    superblock: &Superblock,
    catalog: &mut Catalog,
    scan: &mut Scan<'_, '_>,
) -> Result<Vec<SegmentFile>> {
    for file in std::mem::take(&mut catalog.foreign) {
        scan.problem(&JournalError::ForeignFile { directory: storage.describe(), file })?;
    }
    let mut usable: Vec<SegmentFile> = Vec::new();
    let mut expected = superblock.first_segment;
    for segment in catalog.segments.drain(..) {
        if segment.index < superblock.first_segment {
            continue;
        }
        while expected < segment.index && !scan.done {
            scan.problem(&missing(expected))?;
            expected += 1;
        }
        expected = segment.index + 1;
        if segment.size != superblock.segment_size {
            scan.problem(&JournalError::SegmentSize {
                file: segment.name.clone(),
                expected: superblock.segment_size,
                found: segment.size,
            })?;
            continue;
        }
        match read_header(storage, superblock.cluster, &segment) {
            Ok(HeaderState::Ready) => scan.tell(ScanEvent::Ready { segment: segment.index })?,
            Ok(_) => {}
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => {
                scan.problem(&error)?;
                continue;
            }
        }
        usable.push(segment);
    }
    if expected == superblock.first_segment {
        scan.problem(&missing(expected))?;
    }
    Ok(usable)
}

fn missing(index: u64) -> JournalError {
    JournalError::MissingSegment { file: segment_name(index), sequence: 0 }
}

fn scan_log<S: Storage>(
    storage: &S,
    superblock: &Superblock,
    segments: &[SegmentFile],
    scan: &mut Scan<'_, '_>,
) -> Result<()> {
    let log = Log { storage, cluster: superblock.cluster, segments };
    let total = segments.iter().map(|segment| segment.size).sum();
    let first = &segments[0];
    let mut place = Place { segment: 0, end: 0, chain: log.blank_chain() };
    let mut last_break: Option<(usize, u64)> = None;
    loop {
        let broken = match log.walk(place, &mut |event| scan.note(event, first, total)) {
            Ok(broken) => broken,
            Err(JournalError::MissingSegment { file, sequence }) => {
                // A running node may have begun it since the directory was listed; the scan ends before it.
                let listed = Catalog::read(storage)?;
                if listed.segments.iter().any(|segment| segment.name == file) {
                    return Ok(());
                }
                return scan.problem(&JournalError::MissingSegment { file, sequence });
            }
            Err(
                error @ (JournalError::VersionNotSupported { .. }
                | JournalError::KindNotSupported { .. }),
            ) => return scan.problem(&error),
            Err(error) => return Err(error),
        };
        let survey = log.survey(&broken)?;
        let nothing_read = broken.segment == 0 && broken.end == 0;
        let Some(proof) = proof(superblock, &broken, &survey, nothing_read) else {
            return tell_tail(segments, &broken, &survey, scan);
        };
        let here = Some((broken.segment, broken.offset));
        if last_break != here {
            // Perhaps the frame was just being written when it was read: look once more.
            last_break = here;
            place = Place { segment: broken.segment, end: broken.end, chain: broken.chain };
            continue;
        }
        let damage = damage(storage, segments, &broken, proof);
        scan.problem(&JournalError::Corrupt(Box::new(damage)))?;
        match resume(&log, &survey) {
            Some(next) if !scan.done => place = next,
            _ => return Ok(()),
        }
    }
}

/// The first intact frame behind the damage, with the chain that it claims.
fn resume<S: Storage>(log: &Log<'_, S>, survey: &Survey) -> Option<Place> {
    let (segment, header) = survey.resume.as_ref()?;
    let chain = Chain {
        cluster: log.cluster,
        previous: header.previous,
        next_sequence: header.sequence,
        epoch: header.epoch,
    };
    Some(Place { segment: *segment, end: header.offset, chain })
}

fn tell_tail(
    segments: &[SegmentFile],
    broken: &Break,
    survey: &Survey,
    scan: &mut Scan<'_, '_>,
) -> Result<()> {
    if survey.residue.is_empty() {
        return Ok(());
    }
    let tail = ScanTail {
        position: Position { segment: segments[broken.segment].index, offset: broken.offset },
        sequence: broken.chain.next_sequence,
        reason: broken.reason,
        bytes: survey.residue.iter().map(|piece| piece.end - piece.begin).sum(),
        frames: survey.frames,
    };
    scan.tell(ScanEvent::Tail(&tail))
}
