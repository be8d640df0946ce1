//! Frames: building their headers and judging what is found on disk.
//!
//! A frame is a 256-byte header and a payload. The second half of the header and the payload make the frame's
//! hash, which the next frame names; so the chain is the same on every node that holds the entries, wherever
//! they lie. The first half ties the frame to its place, and its checksum covers the whole header, so that a
//! header can be trusted before its payload is read.

use zerocopy::{FromZeros, IntoBytes};

use crate::checksum::{Hash, hash};
use crate::constants::{
    FRAME_ALIGNMENT, FRAME_HEADER_SIZE, FRAME_LOCAL_SIZE, PAGE_SIZE, PAYLOAD_SIZE_MAX,
    SEGMENT_END_RESERVE,
};
use crate::error::BreakReason;
use crate::layout::{RawFrameHeader, Sealed, Unreadable, kind};

/// A place in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Index of the segment.
    pub segment: u64,
    /// Byte offset in the segment.
    pub offset: u64,
}

/// A valid frame, as recovery and scans see it.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Sequence of the first entry.
    pub sequence: u64,
    /// Number of entries; they have consecutive sequences.
    pub count: u32,
    /// The entries, opaque.
    pub payload: &'a [u8],
    /// Highest sequence that was committed when the frame was written, 0 for none.
    pub commit: u64,
    /// Highest sequence that was durable when the frame was written, 0 for none.
    pub durable_up_to: u64,
    /// Epoch in which the entries were made.
    pub epoch: u64,
    /// Version of the meaning of the entries.
    pub semantics_version: u32,
    /// Hash of this frame, which the next one names.
    pub hash: Hash,
    /// Where its header starts.
    pub position: Position,
}

impl Frame<'_> {
    /// Sequence of the last entry.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.sequence + u64::from(self.count) - 1
    }
}

/// Rounds up to where a frame of the same group may start.
pub(crate) fn align_frame(offset: u64) -> u64 {
    offset.next_multiple_of(FRAME_ALIGNMENT)
}

/// Rounds up to where a group may start.
pub(crate) fn align_page(offset: u64) -> u64 {
    offset.next_multiple_of(PAGE_SIZE)
}

/// First offset that frames with entries may not reach into.
pub(crate) fn entries_limit(segment_size: u64) -> u64 {
    segment_size - SEGMENT_END_RESERVE
}

/// What the log demands of its next frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) cluster: u128,
    /// Hash of the last frame.
    pub(crate) previous: Hash,
    pub(crate) next_sequence: u64,
    /// Epoch of the last frame.
    pub(crate) epoch: u64,
}

impl Chain {
    /// The chain after a frame with entries.
    pub(crate) fn after(self, header: &RawFrameHeader) -> Self {
        Chain {
            previous: header.hash,
            next_sequence: header.sequence + u64::from(header.count),
            epoch: header.epoch,
            ..self
        }
    }
}

/// The part of a header that a writer decides; the rest is computed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameDraft {
    pub(crate) kind: u8,
    pub(crate) count: u32,
    pub(crate) length: u32,
    pub(crate) epoch: u64,
    pub(crate) semantics_version: u32,
    pub(crate) position: Position,
    pub(crate) durable_up_to: u64,
    pub(crate) commit: u64,
}

impl FrameDraft {
    /// A header that is complete but for `hash` and the checksum.
    pub(crate) fn header(&self, chain: &Chain) -> RawFrameHeader {
        let mut raw = RawFrameHeader::new_zeroed();
        raw.segment = self.position.segment;
        raw.offset = self.position.offset;
        raw.durable_up_to = self.durable_up_to;
        raw.commit = self.commit;
        raw.previous = chain.previous;
        raw.cluster = chain.cluster;
        raw.epoch = self.epoch;
        raw.sequence = chain.next_sequence;
        raw.count = self.count;
        raw.length = self.length;
        raw.kind = self.kind;
        raw.semantics_version = self.semantics_version;
        raw
    }
}

/// The half of the header that is hashed together with the payload.
pub(crate) fn shared_half(header: &RawFrameHeader) -> &[u8] {
    &header.as_bytes()[FRAME_LOCAL_SIZE..]
}

/// The half that describes the place.
pub(crate) fn local_half(header: &RawFrameHeader) -> &[u8] {
    &header.as_bytes()[..FRAME_LOCAL_SIZE]
}

/// What was found where a frame header should be.
#[expect(clippy::large_enum_variant, reason = "lives on the stack for one step")]
pub(crate) enum FoundHeader {
    /// Intact, and written for that place.
    Intact(RawFrameHeader),
    /// Intact, but of this other version.
    OtherVersion(u16),
    /// Not to be used.
    Bad(BreakReason),
}

/// Judges `bytes`, found at `position`.
pub(crate) fn judge_header(
    bytes: &[u8],
    cluster: u128,
    position: Position,
    segment_size: u64,
) -> FoundHeader {
    let header = match RawFrameHeader::parse(&bytes[..FRAME_HEADER_SIZE]) {
        Ok(header) => header,
        Err(Unreadable::Version(found)) => return FoundHeader::OtherVersion(found),
        Err(Unreadable::Blank) => return FoundHeader::Bad(BreakReason::Blank),
        Err(Unreadable::Magic) => return FoundHeader::Bad(BreakReason::NotAFrame),
        Err(Unreadable::Checksum) => return FoundHeader::Bad(BreakReason::HeaderChecksum),
    };
    if header.cluster != cluster {
        FoundHeader::Bad(BreakReason::Cluster)
    } else if (header.segment, header.offset) != (position.segment, position.offset) {
        FoundHeader::Bad(BreakReason::Misplaced)
    } else if !fields_are_within_limits(&header, segment_size) {
        FoundHeader::Bad(BreakReason::Field)
    } else {
        FoundHeader::Intact(header)
    }
}

fn fields_are_within_limits(header: &RawFrameHeader, segment_size: u64) -> bool {
    let end = header.offset.saturating_add((FRAME_HEADER_SIZE + header.length as usize) as u64);
    let place_fits = match header.kind {
        kind::SEGMENT_END => header.length == 0 && header.count == 0 && end <= segment_size,
        _ => header.count > 0 && end <= entries_limit(segment_size),
    };
    place_fits
        && header.length as usize <= PAYLOAD_SIZE_MAX
        && header.sequence > 0
        && header.sequence.checked_add(u64::from(header.count)).is_some()
        && header.commit <= header.durable_up_to
        && header.durable_up_to < header.sequence
}

/// Whether the payload and the chain of an intact header hold. `frame` starts at the header.
pub(crate) fn judge_frame(
    header: &RawFrameHeader,
    frame: &[u8],
    chain: &Chain,
) -> Result<(), BreakReason> {
    let end = FRAME_HEADER_SIZE + header.length as usize;
    if hash(&frame[FRAME_LOCAL_SIZE..end]) != header.hash {
        return Err(BreakReason::PayloadHash);
    }
    if header.previous != chain.previous {
        return Err(BreakReason::Chain);
    }
    if header.sequence != chain.next_sequence {
        return Err(BreakReason::Sequence);
    }
    if header.epoch < chain.epoch {
        return Err(BreakReason::Epoch);
    }
    Ok(())
}

/// Whether `bytes` may begin a frame header; cheap, to sweep with.
pub(crate) fn looks_like_a_frame(bytes: &[u8]) -> bool {
    bytes.len() >= FRAME_HEADER_SIZE && bytes[16..24] == RawFrameHeader::MAGIC
}
