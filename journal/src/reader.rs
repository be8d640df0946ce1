//! Walking the log front to back, and sweeping what lies behind its end.
//!
//! Reads with pread through a bounded window. It judges and reports; it changes nothing and decides nothing.

use crate::checksum::is_zero;
use crate::constants::{
    FORMAT_VERSION, FRAME_ALIGNMENT, FRAME_HEADER_SIZE, FRAME_LOCAL_SIZE, READ_WINDOW,
    SEGMENT_HEADER_SIZE, SWEEP_CHUNK,
};
use crate::error::{BreakReason, JournalError, Proof, Result};
use crate::frame::{
    Chain, FoundHeader, Frame, Position, align_frame, align_page, judge_frame, judge_header,
    looks_like_a_frame,
};
use crate::layout::{RawFrameHeader, kind};
use crate::segment::{HeaderState, SegmentFile, SegmentHeader, read_header};
use crate::storage::Source;

/// Reads one segment through a window.
struct Window<'s, S> {
    storage: &'s S,
    segment: &'s SegmentFile,
    buffer: Vec<u8>,
    start: u64,
    filled: usize,
}

impl<'s, S: Source> Window<'s, S> {
    fn new(storage: &'s S, segment: &'s SegmentFile, buffer: Vec<u8>) -> Self {
        Window { storage, segment, buffer, start: 0, filled: 0 }
    }

    /// The bytes at `offset`, as many as asked for.
    fn bytes(&mut self, offset: u64, length: usize) -> Result<&[u8]> {
        debug_assert!(length <= READ_WINDOW);
        let end = offset + length as u64;
        if offset < self.start || end > self.start + self.filled as u64 {
            let wanted = (self.segment.size - offset).min(READ_WINDOW as u64) as usize;
            let size = self.segment.size.min(READ_WINDOW as u64) as usize;
            self.buffer.resize(size.max(self.buffer.len()), 0);
            self.start = offset;
            self.filled = self
                .storage
                .read_at(&self.segment.name, offset, &mut self.buffer[..wanted])
                .map_err(|error| JournalError::io("read", &self.segment.name, error))?;
            if self.filled < wanted {
                let source = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                return Err(JournalError::io("read", &self.segment.name, source));
            }
        }
        let from = (offset - self.start) as usize;
        Ok(&self.buffer[from..from + length])
    }
}

/// What a walk comes across.
#[derive(Clone, Copy)]
pub(crate) enum Event<'a> {
    /// A segment in use begins.
    Segment(&'a SegmentHeader),
    /// A valid frame with entries.
    Frame(&'a Frame<'a>),
    /// The walk has read so far.
    Progress(Position),
}

/// Where the log does not go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Break {
    /// Place in the list of segments.
    pub(crate) segment: usize,
    /// Where the next frame should have been; 0 for a segment header.
    pub(crate) offset: u64,
    /// End of the last valid frame, or the end of the header page, or 0 if that is bad.
    pub(crate) end: u64,
    pub(crate) chain: Chain,
    pub(crate) reason: BreakReason,
}

/// Where a walk stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) segment: usize,
    /// End of the last valid frame; 0 to begin with the segment header.
    pub(crate) end: u64,
    pub(crate) chain: Chain,
}

impl Place {
    /// The log does not go on from here: what should be at `offset` is not.
    fn broken(&self, offset: u64, reason: BreakReason) -> Break {
        let Place { segment, end, chain } = *self;
        Break { segment, offset, end, chain, reason }
    }
}

enum Step {
    Frame,
    End,
    Broken { offset: u64, reason: BreakReason },
}

/// The segments of one journal.
pub(crate) struct Log<'s, S> {
    pub(crate) storage: &'s S,
    pub(crate) cluster: u128,
    pub(crate) segments: &'s [SegmentFile],
}

impl<S: Source> Log<'_, S> {
    /// The chain to start with when the first segment's header is taken at its word.
    pub(crate) fn blank_chain(&self) -> Chain {
        Chain { cluster: self.cluster, previous: [0; 16], next_sequence: 0, epoch: 0 }
    }

    /// Walks from `place` until the log does not go on.
    ///
    /// # Errors
    /// What the visitor returns; `WrongCluster`, `VersionNotSupported`, `MissingSegment`, `Io`.
    pub(crate) fn walk(
        &self,
        mut place: Place,
        visit: &mut dyn FnMut(Event<'_>) -> Result<()>,
    ) -> Result<Break> {
        let mut buffer = Vec::new();
        self.read_ahead(place.segment);
        loop {
            self.read_ahead(place.segment + 1);
            let Some(segment) = self.segments.get(place.segment) else {
                let index = self.segments.last().map_or(0, |last| last.index + 1);
                return Err(JournalError::MissingSegment {
                    file: crate::segment::segment_name(index),
                    sequence: place.chain.next_sequence,
                });
            };
            if let Some(broken) = self.walk_segment(segment, &mut place, &mut buffer, visit)? {
                return Ok(broken);
            }
            place = Place { segment: place.segment + 1, end: 0, chain: place.chain };
        }
    }

    /// Walks `segment` from `place` to its end, or to where the log does not go on in it.
    ///
    /// # Errors
    /// As [`Log::walk`]; `place` is then where it came to.
    pub(crate) fn walk_segment(
        &self,
        segment: &SegmentFile,
        place: &mut Place,
        buffer: &mut Vec<u8>,
        visit: &mut dyn FnMut(Event<'_>) -> Result<()>,
    ) -> Result<Option<Break>> {
        if place.end == 0 {
            match self.enter(segment, *place)? {
                Ok((header, chain)) => {
                    visit(Event::Segment(&header))?;
                    place.chain = chain;
                    place.end = SEGMENT_HEADER_SIZE;
                }
                Err(reason) => return Ok(Some(place.broken(0, reason))),
            }
        }
        let mut window = Window::new(self.storage, segment, std::mem::take(buffer));
        let mut reported = place.end;
        loop {
            match self.step(&mut window, place, visit)? {
                Step::Frame => {
                    if place.end - reported >= 1 << 20 {
                        reported = place.end;
                        let offset = place.end;
                        visit(Event::Progress(Position { segment: segment.index, offset }))?;
                    }
                }
                Step::End => break,
                Step::Broken { offset, reason } => return Ok(Some(place.broken(offset, reason))),
            }
        }
        visit(Event::Progress(Position { segment: segment.index, offset: segment.size }))?;
        *buffer = window.buffer;
        Ok(None)
    }

    /// What the disk brings while a segment before it is judged and applied need not be waited for.
    fn read_ahead(&self, segment: usize) {
        if let Some(segment) = self.segments.get(segment) {
            self.storage.will_read(&segment.name);
        }
    }

    /// Judges the header of the segment at `place`; the first one is taken at its word.
    fn enter(
        &self,
        segment: &SegmentFile,
        place: Place,
    ) -> Result<std::result::Result<(SegmentHeader, Chain), BreakReason>> {
        let header = match read_header(self.storage, self.cluster, segment)? {
            HeaderState::InUse(header) => header,
            HeaderState::Ready => return Ok(Err(BreakReason::Blank)),
            HeaderState::Bad(reason) => return Ok(Err(reason)),
        };
        let first = place.chain.next_sequence == 0;
        let links = header.seal == place.chain.previous
            && header.first_sequence == place.chain.next_sequence
            && header.epoch >= place.chain.epoch;
        if !first && !links {
            return Ok(Err(BreakReason::Seal));
        }
        let chain = Chain {
            cluster: self.cluster,
            previous: header.seal,
            next_sequence: header.first_sequence,
            epoch: header.epoch,
        };
        Ok(Ok((header, chain)))
    }

    /// Judges what follows `place.end` and moves on if it is a frame.
    fn step(
        &self,
        window: &mut Window<'_, S>,
        place: &mut Place,
        visit: &mut dyn FnMut(Event<'_>) -> Result<()>,
    ) -> Result<Step> {
        let segment = window.segment;
        let size = segment.size;
        let close = align_frame(place.end);
        let page = align_page(place.end);
        // Within a group frames follow each other closely; a group starts on a fresh page. Only the bytes up to
        // that page tell which it is: the first half of a header never crosses a page.
        let gap = (page.min(size) - close) as usize;
        let looked_at = gap.min(FRAME_LOCAL_SIZE);
        let offset = if is_zero(window.bytes(close, looked_at)?) { page } else { close };
        if !is_zero(window.bytes(place.end, (offset.min(size) - place.end) as usize)?) {
            return Ok(Step::Broken { offset, reason: BreakReason::StrayBytes });
        }
        if offset + FRAME_HEADER_SIZE as u64 > size {
            return Ok(Step::Broken { offset, reason: BreakReason::NoEnd });
        }
        let position = Position { segment: segment.index, offset };
        let bytes = window.bytes(offset, FRAME_HEADER_SIZE)?;
        let header = match judge_header(bytes, self.cluster, position, size) {
            FoundHeader::Intact(header) => header,
            FoundHeader::OtherVersion(found) => return Err(version(segment, offset, found)),
            FoundHeader::Bad(reason) => return Ok(Step::Broken { offset, reason }),
        };
        let length = FRAME_HEADER_SIZE + header.length as usize;
        let bytes = window.bytes(offset, length)?;
        if let Err(reason) = judge_frame(&header, bytes, &place.chain) {
            return Ok(Step::Broken { offset, reason });
        }
        place.end = offset + length as u64;
        if header.kind == kind::SEGMENT_END {
            return Ok(Step::End);
        }
        if header.kind != kind::ENTRIES || header.flags != 0 {
            return Err(JournalError::KindNotSupported {
                file: segment.name.clone(),
                offset,
                kind: header.kind,
                flags: header.flags,
            });
        }
        let frame = Frame {
            sequence: header.sequence,
            count: header.count,
            payload: &bytes[FRAME_HEADER_SIZE..],
            commit: header.commit,
            durable_up_to: header.durable_up_to,
            epoch: header.epoch,
            semantics_version: header.semantics_version,
            hash: header.hash,
            position,
        };
        visit(Event::Frame(&frame))?;
        place.chain = place.chain.after(&header);
        Ok(Step::Frame)
    }

    /// Looks at everything behind `from`: what is not zero, which frame headers are intact, and whether
    /// something proves that the sequence at the break was durable. Stops once that and a place to resume
    /// are known.
    ///
    /// # Errors
    /// `WrongCluster`, `VersionNotSupported`, `Io`.
    pub(crate) fn survey(&self, from: &Break) -> Result<Survey> {
        let mut survey = Survey { sequence: from.chain.next_sequence, ..Survey::default() };
        if from.reason == BreakReason::PayloadHash {
            survey.unreadable = Some((from.segment, from.offset));
        }
        let mut buffer = Vec::new();
        for (at, segment) in self.segments.iter().enumerate().skip(from.segment) {
            let start = if at == from.segment { from.end } else { 0 };
            // An intact header that does not link is proof as well: no power loss leaves one.
            if start == 0
                && let HeaderState::InUse(header) =
                    read_header(self.storage, self.cluster, segment)?
            {
                survey.prove(Proof::LaterSegment {
                    segment: header.index,
                    first_sequence: header.first_sequence,
                });
            }
            let mut window = Window::new(self.storage, segment, buffer);
            self.survey_segment(&mut window, at, start, &mut survey)?;
            buffer = window.buffer;
            if survey.is_decided() {
                break;
            }
        }
        Ok(survey)
    }

    fn survey_segment(
        &self,
        window: &mut Window<'_, S>,
        at: usize,
        start: u64,
        survey: &mut Survey,
    ) -> Result<()> {
        let size = window.segment.size;
        let index = window.segment.index;
        let mut residue: Option<(u64, u64)> = None;
        let mut offset = start;
        while offset < size && !survey.is_decided() {
            let next = (offset - offset % SWEEP_CHUNK as u64 + SWEEP_CHUNK as u64).min(size);
            let overlap = (next + FRAME_HEADER_SIZE as u64 - FRAME_ALIGNMENT).min(size);
            let bytes = window.bytes(offset, (overlap - offset) as usize)?;
            let chunk = &bytes[..(next - offset) as usize];
            if !is_zero(chunk) {
                let first = chunk.iter().position(|&byte| byte != 0).unwrap_or(0) as u64;
                let last = chunk.iter().rposition(|&byte| byte != 0).unwrap_or(0) as u64;
                let begin = residue.map_or(offset + first, |(begin, _)| begin);
                residue = Some((begin, offset + last + 1));
                let mut place = align_frame(offset.max(SEGMENT_HEADER_SIZE));
                while place < next {
                    let header = &bytes[(place - offset) as usize..];
                    let position = Position { segment: index, offset: place };
                    if looks_like_a_frame(header)
                        && let FoundHeader::Intact(header) =
                            judge_header(header, self.cluster, position, size)
                    {
                        survey.note(at, &header);
                    }
                    place += FRAME_ALIGNMENT;
                }
            }
            offset = next;
        }
        if let Some((begin, end)) = residue {
            survey.residue.push(Residue { segment: at, begin, end });
        }
        Ok(())
    }
}

fn version(segment: &SegmentFile, offset: u64, found: u16) -> JournalError {
    JournalError::VersionNotSupported {
        file: segment.name.clone(),
        offset,
        found,
        supported: FORMAT_VERSION,
    }
}

/// Bytes other than zero behind the end of the log, within one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Residue {
    /// Place in the list of segments.
    pub(crate) segment: usize,
    pub(crate) begin: u64,
    pub(crate) end: u64,
}

/// What lies behind the end of the log.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Sequence at the break, 0 when unknown.
    sequence: u64,
    /// Frame whose payload is bad: no place to resume at.
    unreadable: Option<(usize, u64)>,
    pub(crate) residue: Vec<Residue>,
    /// Intact frame headers.
    pub(crate) frames: u64,
    /// The first of them that may go on: where a scan can resume.
    pub(crate) resume: Option<(usize, RawFrameHeader)>,
    pub(crate) proof: Option<Proof>,
}

impl Survey {
    fn is_decided(&self) -> bool {
        self.proof.is_some() && self.resume.is_some()
    }

    fn prove(&mut self, proof: Proof) {
        self.proof.get_or_insert(proof);
    }

    fn note(&mut self, at: usize, header: &RawFrameHeader) {
        self.frames += 1;
        let readable = self.unreadable != Some((at, header.offset));
        // Frames below the break are left from before.
        if header.sequence >= self.sequence && readable && self.resume.is_none() {
            self.resume = Some((at, *header));
        }
        if header.durable_up_to >= self.sequence {
            self.prove(Proof::LaterFrame {
                segment: header.segment,
                offset: header.offset,
                durable_up_to: header.durable_up_to,
            });
        }
    }
}
