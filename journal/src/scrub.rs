//! Reading sealed segments again, so that rot is found while there are other copies, and not at the next start.
//!
//! A segment is sealed when the one after it was begun: it is durable to its end and never written again. Each is judged
//! by the code of recovery, over reads past the page cache: they see the disk rather than a copy of what was written to
//! it, and take nobody's place in memory.
//!
//! Invariants: the segment in use is not touched; nothing is written; no lock is shared with the journal, which only
//! stores two numbers. It deliberately does not pace itself, does not repair, and does not end anything: what was
//! found is the caller's business.

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;
use zerocopy::IntoBytes;

use crate::constants::{PAGE_SIZE, SCRUB_PIECE};
use crate::direct::Page;
use crate::error::{JournalError, Result};
use crate::frame::{Chain, align_page};
use crate::reader::{Break, Log, Place};
use crate::segment::{SegmentFile, segment_name};
use crate::storage::{Source, Storage};
use crate::superblock::Superblock;

/// Which segments are sealed, as the journal says it: two numbers that it stores and others load.
#[derive(Debug, Clone)]
pub(crate) struct SealedSegments(Arc<Bounds>);

#[derive(Debug)]
struct Bounds {
    first: AtomicU64,
    /// The segment in use.
    end: AtomicU64,
}

impl SealedSegments {
    pub(crate) fn new(first: u64, end: u64) -> Self {
        Self(Arc::new(Bounds { first: first.into(), end: end.into() }))
    }

    /// The segment `index` is begun: those before it are durable to their ends.
    pub(crate) fn seal_before(&self, index: u64) {
        self.0.end.store(index, Ordering::Release);
    }

    /// The segments before `index` are about to go.
    pub(crate) fn release_before(&self, index: u64) {
        self.0.first.store(index, Ordering::Release);
    }

    fn first(&self) -> u64 {
        self.0.first.load(Ordering::Acquire)
    }

    fn range(&self) -> Range<u64> {
        self.first()..self.0.end.load(Ordering::Acquire)
    }
}

/// What a look at a segment came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Look {
    /// Header, frames and chain are as they were written.
    Whole,
    /// They are not.
    Damaged(SegmentDamage),
    /// It was released, and nobody needs it.
    Released,
    /// This process lacked something to read it, memory or a descriptor: nothing is known of the segment.
    Unknown(String),
    /// The caller asked to stop.
    Stopped,
}

/// Where a sealed segment is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} is damaged at offset {offset}, where sequence {sequence} belongs: {reason}")]
pub struct SegmentDamage {
    /// File name.
    pub file: String,
    /// Byte offset of what is wrong, or of the piece of the file that cannot be read.
    pub offset: u64,
    /// First sequence that cannot be read there, 0 when unknown.
    pub sequence: u64,
    /// What is wrong.
    pub reason: String,
}

/// Looks at sealed segments, one after the other. See the module.
#[derive(Debug)]
pub struct Scrub<S> {
    storage: Arc<S>,
    cluster: u128,
    segment_size: u64,
    sealed: SealedSegments,
    pages: Vec<Page>,
    buffer: Vec<u8>,
    /// A segment, and what the one before it, which is whole, demands of it.
    next: Option<(u64, Chain)>,
}

impl<S: Storage> Scrub<S> {
    pub(crate) fn new(storage: Arc<S>, superblock: &Superblock, sealed: SealedSegments) -> Self {
        let (cluster, segment_size) = (superblock.cluster, superblock.segment_size);
        let (pages, buffer, next) = (Vec::new(), Vec::new(), None);
        Self { storage, cluster, segment_size, sealed, pages, buffer, next }
    }

    /// The segments that are sealed now.
    #[must_use]
    pub fn sealed(&self) -> Range<u64> {
        self.sealed.range()
    }

    /// Where the files are, for messages.
    #[must_use]
    pub fn describe(&self) -> String {
        self.storage.describe()
    }

    /// Looks at the sealed segment `index`. Before each read `pace` is told how many bytes it takes, waits for as long
    /// as that needs, and answers whether to go on.
    ///
    /// Cost: reads the file once, little of it twice, and keeps the memory of a window between two calls.
    pub fn look(&mut self, index: u64, pace: &mut dyn FnMut(u64) -> bool) -> Look {
        let segment = SegmentFile { index, name: segment_name(index), size: self.segment_size };
        self.pages.resize((SCRUB_PIECE / PAGE_SIZE) as usize, Page::ZERO);
        let pages = self.pages.as_mut_slice();
        let reads = Reads { pages, pace, stopped: false, failed_at: None };
        let source = Pieces { storage: &*self.storage, reads: RefCell::new(reads) };
        let log =
            Log { storage: &source, cluster: self.cluster, segments: slice::from_ref(&segment) };
        let chain = match self.next.take() {
            Some((next, chain)) if next == index => chain,
            _ => log.blank_chain(),
        };
        let mut place = Place { segment: 0, end: 0, chain };
        let walked = log
            .walk_segment(&segment, &mut place, &mut self.buffer, &mut |_| Ok(()))
            .and_then(|broken| match broken {
                Some(broken) => Ok(Found::Broken(broken)),
                None => source.end_of(&segment),
            });
        let Reads { stopped, failed_at, .. } = source.reads.into_inner();
        let damaged = |offset, reason| {
            Look::Damaged(SegmentDamage {
                file: segment.name.clone(),
                offset,
                sequence: place.chain.next_sequence,
                reason,
            })
        };
        if stopped {
            return Look::Stopped;
        }
        let look = match walked {
            Ok(Found::Whole) => {
                self.next = Some((index + 1, place.chain));
                Look::Whole
            }
            Ok(Found::Broken(Break { offset, reason, .. })) => damaged(offset, reason.to_string()),
            Ok(Found::TooLong) => {
                damaged(segment.size, format!("it is longer than {} bytes", segment.size))
            }
            Err(JournalError::Io { source, .. } | JournalError::NotPermitted { source, .. }) => {
                let offset = failed_at.unwrap_or(place.end);
                match Errno::from_io_error(&source) {
                    Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => {
                        Look::Unknown(format!("{} cannot be looked at: {source}", segment.name))
                    }
                    _ if source.kind() == io::ErrorKind::NotFound => {
                        damaged(0, "the file is missing".to_owned())
                    }
                    _ if source.kind() == io::ErrorKind::UnexpectedEof => {
                        damaged(place.end, format!("it is shorter than {} bytes", segment.size))
                    }
                    _ => damaged(offset, format!("it cannot be read ({source})")),
                }
            }
            Err(error) => damaged(place.end, error.to_string()),
        };
        // Whatever was found of a file that was about to go, it is not missed.
        if index < self.sealed.first() { Look::Released } else { look }
    }
}

/// What a segment that could be read is.
enum Found {
    Whole,
    Broken(Break),
    TooLong,
}

/// What reading needs and tells.
struct Reads<'p> {
    pages: &'p mut [Page],
    pace: &'p mut dyn FnMut(u64) -> bool,
    stopped: bool,
    /// Offset of the read that failed.
    failed_at: Option<u64>,
}

/// Reads in pieces of whole pages, past the cache, each when it is its time.
struct Pieces<'p, S> {
    storage: &'p S,
    reads: RefCell<Reads<'p>>,
}

impl<S: Storage> Pieces<'_, S> {
    /// Whether the file ends where it should.
    fn end_of(&self, segment: &SegmentFile) -> Result<Found> {
        let mut byte = [0];
        let read = self.read_at(&segment.name, segment.size, &mut byte);
        match read.map_err(|error| JournalError::io("read", &segment.name, error))? {
            0 => Ok(Found::Whole),
            _ => Ok(Found::TooLong),
        }
    }
}

impl<S: Storage> Source for Pieces<'_, S> {
    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let reads = &mut *self.reads.borrow_mut();
        let end = offset + buffer.len() as u64;
        let mut at = offset;
        while at < end {
            let first = at - at % PAGE_SIZE;
            let length = (align_page(end) - first).min(SCRUB_PIECE);
            if !(reads.pace)(length) {
                reads.stopped = true;
                return Err(io::ErrorKind::Interrupted.into());
            }
            let piece = &mut reads.pages.as_mut_bytes()[..length as usize];
            let read = match self.storage.read_uncached(name, first, piece) {
                Ok(read) => read,
                Err(error) => {
                    reads.failed_at = Some(first);
                    return Err(error);
                }
            };
            let (from, to) = ((at - first) as usize, read.min((end - first) as usize));
            if to <= from {
                break;
            }
            let done = (at - offset) as usize;
            buffer[done..done + to - from].copy_from_slice(&piece[from..to]);
            at = first + to as u64;
            if (read as u64) < length {
                break;
            }
        }
        Ok((at - offset) as usize)
    }
}

#[cfg(test)]
mod tests;
