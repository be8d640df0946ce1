//! Reading frames while somebody else appends them: what replication sends to a node that lacks them.
//!
//! Invariants: every frame handed out is intact and continues the chain of the one before it; nothing behind the
//! sequence that the caller names is looked at, because it may be half written. It deliberately has no say in what is
//! durable or committed, and it holds no lock: the caller belongs to the node that has the journal open.

use std::sync::Arc;

use crate::checksum::is_zero;
use crate::constants::{FRAME_HEADER_SIZE, FRAME_LOCAL_SIZE, PAGE_SIZE, SEGMENT_HEADER_SIZE};
use crate::error::{JournalError, Result};
use crate::frame::{
    Chain, FoundHeader, Position, align_frame, align_page, judge_frame, judge_header,
};
use crate::layout::{RawFrameHeader, kind};
use crate::segment::{Catalog, HeaderState, SegmentFile, SegmentHeader, read_header, segment_name};
use crate::storage::Storage;

/// Bytes of a call's first read at the least: the rest of a page and the next one, where a group begins. Every further
/// read is at least twice the one before, up to [`READ_SIZE`], so that one small frame costs two pages and many cost
/// few reads.
const READ_SIZE_FIRST: usize = 2 * PAGE_SIZE as usize;
/// Bytes read at once, if a frame is not larger.
const READ_SIZE: usize = 64 << 10;

/// Reads the frames of a journal that is being written, in order, from any sequence.
///
/// It goes on cheaply only from where its last call ended: whoever sends several peers what each of them lacks has one
/// reader for each.
pub struct LogReader<S: Storage> {
    storage: Arc<S>,
    cluster: u128,
    segment_size: u64,
    place: Option<Place>,
    buffer: Vec<u8>,
    /// Segment, offset of the buffer's first byte, and bytes of it, while it holds what was read in the same call.
    window: Option<(u64, u64, usize)>,
    /// Bytes of the next read at the least.
    read_size: usize,
    bytes_read: u64,
}

/// The end of a frame that was read.
#[derive(Clone, Copy)]
struct Place {
    segment: u64,
    end: u64,
    chain: Chain,
}

impl<S: Storage> LogReader<S> {
    /// A reader of the journal in `storage`.
    #[must_use]
    pub fn new(storage: Arc<S>, cluster: u128, segment_size: u64) -> Self {
        Self {
            storage,
            cluster,
            segment_size,
            place: None,
            buffer: Vec::new(),
            window: None,
            read_size: READ_SIZE_FIRST,
            bytes_read: 0,
        }
    }

    /// A reader of the same journal with a place of its own.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::new(Arc::clone(&self.storage), self.cluster, self.segment_size)
    }

    /// Bytes of segments read since it was made.
    #[must_use]
    pub const fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Appends frames to `out` as they are sent (the shared half of the header, then the payload), from the first one
    /// behind the sequence `after` on; stops before a frame that goes beyond `up_to`, or beyond `size_max` bytes, but
    /// reads one frame at the least. Returns the last sequence read; `after` if there is none.
    ///
    /// `up_to` must be readable ([`crate::Journal::readable`]) when the call begins, and `after` must end a frame.
    ///
    /// # Errors
    /// `MissingSegment`: the frames are not kept any more. `LogUnreadable`: a frame is damaged. `Io`.
    ///
    /// Cost: where it goes on from its last call, one read of the frames; else also of the headers before them in their
    /// segment.
    pub fn read_after(
        &mut self,
        after: u64,
        up_to: u64,
        size_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<u64> {
        if after >= up_to {
            return Ok(after);
        }
        // What lay behind the log's end in an earlier call may have been written since.
        self.window = None;
        self.read_size = READ_SIZE_FIRST;
        let mut place = match self.place {
            Some(place) if place.chain.next_sequence == after + 1 => place,
            _ => self.find(after)?,
        };
        let begin = out.len();
        while place.chain.next_sequence <= up_to {
            let skipped = place.chain.next_sequence <= after;
            let Some((next, offset, header)) = self.frame_after(&place)? else {
                place = self.next_segment(&place)?;
                continue;
            };
            let size = FRAME_HEADER_SIZE - FRAME_LOCAL_SIZE + header.length as usize;
            if next.chain.next_sequence - 1 > up_to {
                break;
            }
            if !skipped {
                if out.len() > begin && out.len() - begin + size > size_max {
                    break;
                }
                // It names the hash of the frame before, which that one's header has, too: so what was skipped is not read.
                let frame = self.judged(&place, offset, &header)?;
                out.extend_from_slice(&frame[FRAME_LOCAL_SIZE..]);
            }
            place = next;
        }
        self.place = Some(place);
        Ok(place.chain.next_sequence - 1)
    }

    /// The start of the segment that holds the frame behind `after`.
    fn find(&self, after: u64) -> Result<Place> {
        let catalog = Catalog::read(&*self.storage)?;
        let mut found: Option<SegmentHeader> = None;
        // From the end: a peer that lags seldom lags by much.
        for segment in catalog.segments.iter().rev() {
            if let HeaderState::InUse(header) = read_header(&*self.storage, self.cluster, segment)?
                && header.first_sequence <= after + 1
            {
                found = Some(header);
                break;
            }
        }
        let header = found.ok_or_else(|| JournalError::MissingSegment {
            file: segment_name(catalog.segments.first().map_or(0, |segment| segment.index)),
            sequence: after + 1,
        })?;
        Ok(self.start_of(&header))
    }

    fn start_of(&self, header: &SegmentHeader) -> Place {
        let chain = Chain {
            cluster: self.cluster,
            previous: header.seal,
            next_sequence: header.first_sequence,
            epoch: header.epoch,
        };
        Place { segment: header.index, end: SEGMENT_HEADER_SIZE, chain }
    }

    fn next_segment(&self, place: &Place) -> Result<Place> {
        let index = place.segment + 1;
        let name = segment_name(index);
        let segment = SegmentFile { index, name: name.clone(), size: self.segment_size };
        match read_header(&*self.storage, self.cluster, &segment)? {
            HeaderState::InUse(header)
                if header.first_sequence == place.chain.next_sequence
                    && header.seal == place.chain.previous =>
            {
                Ok(self.start_of(&header))
            }
            _ => Err(JournalError::LogUnreadable {
                file: name,
                offset: 0,
                sequence: place.chain.next_sequence,
            }),
        }
    }

    /// The header of the frame behind `place`, with its offset and the place behind it; `None` at the segment's end.
    fn frame_after(&mut self, place: &Place) -> Result<Option<(Place, u64, RawFrameHeader)>> {
        let close = align_frame(place.end);
        if close + FRAME_HEADER_SIZE as u64 > self.segment_size {
            return Ok(None);
        }
        let page = align_page(place.end);
        // Within a group frames follow each other closely; the next group starts on a fresh page.
        let gap = ((page - close) as usize).min(FRAME_LOCAL_SIZE);
        let offset = if is_zero(self.bytes(place.segment, close, gap)?) { page } else { close };
        let unreadable = || JournalError::LogUnreadable {
            file: segment_name(place.segment),
            offset,
            sequence: place.chain.next_sequence,
        };
        if offset + FRAME_HEADER_SIZE as u64 > self.segment_size {
            return Ok(None);
        }
        let (cluster, segment_size) = (self.cluster, self.segment_size);
        let bytes = self.bytes(place.segment, offset, FRAME_HEADER_SIZE)?;
        let position = Position { segment: place.segment, offset };
        let FoundHeader::Intact(header) = judge_header(bytes, cluster, position, segment_size)
        else {
            return Err(unreadable());
        };
        if header.kind == kind::SEGMENT_END {
            return Ok(None);
        }
        let end = offset + (FRAME_HEADER_SIZE + header.length as usize) as u64;
        let chain = place.chain.after(&header);
        Ok(Some((Place { end, chain, ..*place }, offset, header)))
    }

    /// The whole frame at `offset`, if it is what its header says and continues the chain.
    fn judged(&mut self, place: &Place, offset: u64, header: &RawFrameHeader) -> Result<&[u8]> {
        let length = FRAME_HEADER_SIZE + header.length as usize;
        let frame = self.bytes(place.segment, offset, length)?;
        if judge_frame(header, frame, &place.chain).is_err() {
            let (file, sequence) = (segment_name(place.segment), place.chain.next_sequence);
            return Err(JournalError::LogUnreadable { file, offset, sequence });
        }
        Ok(frame)
    }

    fn bytes(&mut self, segment: u64, offset: u64, length: usize) -> Result<&[u8]> {
        let end = offset + length as u64;
        let from = match self.window {
            Some((of, start, filled))
                if of == segment && start <= offset && end <= start + filled as u64 =>
            {
                (offset - start) as usize
            }
            _ => {
                self.fill(segment, offset, length)?;
                0
            }
        };
        Ok(&self.buffer[from..from + length])
    }

    /// Makes the window begin at `offset`; what it holds of that is kept, and not read again.
    fn fill(&mut self, segment: u64, offset: u64, length: usize) -> Result<()> {
        let name = segment_name(segment);
        let rest = usize::try_from(self.segment_size - offset).unwrap_or(usize::MAX);
        let held = match self.window {
            Some((of, start, filled))
                if of == segment && (start..start + filled as u64).contains(&offset) =>
            {
                let from = (offset - start) as usize;
                self.buffer.copy_within(from..filled, 0);
                filled - from
            }
            _ => 0,
        };
        self.window = None;
        let wanted = length.max((held + self.read_size).min(rest));
        self.read_size = (2 * self.read_size).min(READ_SIZE);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        let read = self
            .storage
            .read(&name, offset + held as u64, &mut self.buffer[held..wanted])
            .map_err(|error| JournalError::io("read", &name, error))?;
        self.bytes_read += read as u64;
        self.buffer[held + read..wanted].fill(0);
        self.window = Some((segment, offset, wanted));
        Ok(())
    }
}
