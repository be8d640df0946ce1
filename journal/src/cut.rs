//! Cutting a closed journal back to a frame that another node shares.
//!
//! Invariants: what is cut is durable in a quarantine file first; the superblock's hint is lowered before the first
//! byte goes; then frames go from the last to the first, each durably, so a crash in between leaves a shorter log
//! that opens, never a hole. It deliberately does not ask whether anybody was promised what it cuts.

use crate::constants::{PREPARE_CHUNK, SEGMENT_HEADER_SIZE};
use crate::error::{BreakReason, JournalError, Result};
use crate::journal::lock;
use crate::quarantine;
use crate::reader::{Break, Event, Log, Place, Residue};
use crate::segment::{Catalog, SegmentFile};
use crate::storage::Storage;
use crate::superblock;

/// What a cut did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutReport {
    /// Last sequence that is left, 0 for none.
    pub sequence: u64,
    /// File that keeps what was cut, and its size in bytes; `None` when nothing lay behind the cut.
    pub quarantined: Option<(String, u64)>,
}

/// A frame's place: segment in the list, first byte, end.
type Span = (usize, u64, u64);

/// Cuts everything behind the frame that ends with `keep` from a journal that nobody has open.
///
/// # Errors
/// `InvalidOptions`: no frame ends there, nothing was changed. `NoSpace`: nothing was cut. Those of a scan. `Io`.
///
/// Cost: reads the log once; one sync per frame that is cut.
pub fn cut_back<S: Storage>(storage: &S, keep: u64) -> Result<CutReport> {
    let _lock = lock(storage)?;
    let mut superblock = superblock::read(storage)?;
    let mut catalog = Catalog::read(storage)?;
    let first = superblock.first_segment;
    catalog.check(&storage.describe(), first, superblock.segment_size)?;
    let segments = &catalog.segments;
    let log = Log { storage, cluster: superblock.cluster, segments };
    let (from, cut) = find(&log, first, keep)?;
    let survey = log.survey(&from)?;
    if survey.residue.is_empty() {
        return Ok(CutReport { sequence: keep, quarantined: None });
    }
    let quarantined = quarantine::keep(storage, segments, &survey, keep + 1)?;
    superblock.durable_hint = superblock.durable_hint.min(keep);
    superblock.clean = false;
    superblock::update(storage, &mut superblock)?;
    for piece in survey.residue.iter().rev() {
        erase_backwards(storage, segments, piece, &cut)?;
    }
    Ok(CutReport { sequence: keep, quarantined: Some(quarantined) })
}

/// The place to cut at, and the frames behind it in order.
fn find<S: Storage>(log: &Log<'_, S>, first: u64, keep: u64) -> Result<(Break, Vec<Span>)> {
    let mut kept = None;
    let mut cut: Vec<Span> = Vec::new();
    let start = Place { segment: 0, end: 0, chain: log.blank_chain() };
    let end = log.walk(start, &mut |event| {
        match event {
            Event::Segment(header) if kept.is_none() && header.first_sequence == keep + 1 => {
                // Also right when the segment before ends with `keep`: only the frames behind matter.
                kept = Some(((header.index - first) as usize, SEGMENT_HEADER_SIZE));
            }
            Event::Frame(frame) => {
                let at = (frame.position.segment - first) as usize;
                let begin = frame.position.offset;
                let end =
                    begin + (crate::constants::FRAME_HEADER_SIZE + frame.payload.len()) as u64;
                if frame.last_sequence() == keep {
                    kept = Some((at, end));
                } else if frame.sequence > keep {
                    cut.push((at, begin, end));
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    let Some((segment, offset)) = kept else {
        let reason = format!("no frame ends with sequence {keep}, so nothing can be cut there");
        return Err(JournalError::InvalidOptions { reason });
    };
    // With this sequence no frame behind the cut decides the survey before all of them are seen.
    let chain = crate::frame::Chain { next_sequence: u64::MAX, ..end.chain };
    Ok((Break { segment, offset, end: offset, chain, reason: BreakReason::Chain }, cut))
}

/// Zeros a piece from its end to its begin: what follows the last frame, then frame by frame, then the head.
fn erase_backwards<S: Storage>(
    storage: &S,
    segments: &[SegmentFile],
    piece: &Residue,
    cut: &[Span],
) -> Result<()> {
    let name = &segments[piece.segment].name;
    let mut end = piece.end;
    for &(_, begin, frame_end) in cut.iter().rev().filter(|span| span.0 == piece.segment) {
        erase(storage, name, frame_end.min(end), end)?;
        erase(storage, name, begin, frame_end.min(end))?;
        end = begin;
    }
    erase(storage, name, piece.begin, end)
}

fn erase<S: Storage>(storage: &S, name: &str, begin: u64, end: u64) -> Result<()> {
    if begin >= end {
        return Ok(());
    }
    let zeros = vec![0; PREPARE_CHUNK.min((end - begin) as usize)];
    let mut from = begin;
    while from < end {
        let length = (end - from).min(zeros.len() as u64) as usize;
        storage
            .write(name, from, &zeros[..length])
            .map_err(|error| JournalError::io("write", name, error))?;
        from += length as u64;
    }
    storage.sync_file(name).map_err(|error| JournalError::io("sync", name, error))
}
