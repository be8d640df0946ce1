//! Segments as files: their names, their header page, and the catalog of a directory.
//!
//! A segment file is either ready (prepared, all zeros) or in use (its header page is written). The header is
//! written only after the segment before it is durable to its end, so an intact header proves that.

use zerocopy::{FromZeros, IntoBytes};

use crate::checksum::Hash;
use crate::constants::{COUNTERS_FILE, FORMAT_VERSION, PAGE_SIZE, SUPERBLOCK_COPIES};
use crate::error::{BreakReason, JournalError, Result};
use crate::file::LOCK_FILE;
use crate::layout::{RawSegmentHeader, Sealed, Unreadable};
use crate::storage::{Entry, Source, Storage};
use crate::superblock::copy_name;

/// Subdirectory that keeps what recovery cut off.
pub const QUARANTINE_DIRECTORY: &str = "quarantine";
/// End of the name of a file that is not finished.
const UNFINISHED: &str = ".tmp";

/// File name of the segment `index`.
#[must_use]
pub fn segment_name(index: u64) -> String {
    format!("journal-{index:016x}.seg")
}

/// Name of the segment `index` while it is prepared.
pub(crate) fn unfinished_name(index: u64) -> String {
    format!("prepare-{index:016x}{UNFINISHED}")
}

/// Name of a copy of the superblock while the journal is formatted.
pub(crate) fn unfinished_copy_name(copy: usize) -> String {
    format!("{}{UNFINISHED}", copy_name(copy))
}

pub(crate) fn segment_index(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("journal-")?.strip_suffix(".seg")?;
    let index = u64::from_str_radix(digits, 16).ok()?;
    (segment_name(index) == name).then_some(index)
}

/// What the header page of a segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Cluster id.
    pub cluster: u128,
    /// Index of the segment.
    pub index: u64,
    /// Epoch in which it was begun.
    pub epoch: u64,
    /// Sequence of its first entry.
    pub first_sequence: u64,
    /// Hash of the last frame before it.
    pub seal: Hash,
    /// Size of the segment, in bytes.
    pub segment_size: u64,
}

impl SegmentHeader {
    /// The bytes of the header page.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut raw = RawSegmentHeader::new_zeroed();
        raw.cluster = self.cluster;
        raw.seal = self.seal;
        raw.index = self.index;
        raw.epoch = self.epoch;
        raw.first_sequence = self.first_sequence;
        raw.segment_size = self.segment_size;
        raw.seal();
        raw.as_bytes().to_vec()
    }

    /// Understands a header page.
    ///
    /// # Errors
    /// [`Unreadable`].
    ///
    /// # Panics
    /// When `page` is not one page long.
    pub fn decode(page: &[u8]) -> std::result::Result<Self, Unreadable> {
        let raw = RawSegmentHeader::parse(page)?;
        Ok(SegmentHeader {
            cluster: raw.cluster,
            index: raw.index,
            epoch: raw.epoch,
            first_sequence: raw.first_sequence,
            seal: raw.seal,
            segment_size: raw.segment_size,
        })
    }
}

/// A segment file and what its header page says.
#[derive(Debug, Clone)]
pub(crate) struct SegmentFile {
    pub(crate) index: u64,
    pub(crate) name: String,
    pub(crate) size: u64,
}

/// The files of a journal, sorted out.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// By index.
    pub(crate) segments: Vec<SegmentFile>,
    /// Files that an interrupted operation left.
    pub(crate) unfinished: Vec<String>,
    /// Files that the journal did not make.
    pub(crate) foreign: Vec<String>,
}

impl Catalog {
    /// Lists the directory.
    ///
    /// # Errors
    /// `NotFormatted` when there is no directory, `Io`.
    pub(crate) fn read<S: Storage>(storage: &S) -> Result<Self> {
        let entries = storage.list().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                JournalError::NotFormatted { directory: storage.describe() }
            }
            _ => JournalError::io("list", "the directory", error),
        })?;
        let mut catalog = Catalog::default();
        for entry in entries {
            catalog.sort_in(entry);
        }
        catalog.segments.sort_by_key(|segment| segment.index);
        catalog.foreign.sort();
        Ok(catalog)
    }

    fn sort_in(&mut self, entry: Entry) {
        let name = entry.name;
        // A file system's own directory is there when the journal has a disk of its own.
        let ours = name == LOCK_FILE
            || name == COUNTERS_FILE
            || (0..SUPERBLOCK_COPIES).any(|copy| copy_name(copy) == name)
            || (entry.is_directory && (name == QUARANTINE_DIRECTORY || name == "lost+found"));
        let unfinished = name.strip_suffix(UNFINISHED).is_some_and(|stem| {
            stem.starts_with("prepare-") || stem.starts_with("superblock-") || stem == COUNTERS_FILE
        });
        match segment_index(&name) {
            Some(index) if !entry.is_directory => {
                self.segments.push(SegmentFile { index, name, size: entry.size });
            }
            _ if ours => {}
            _ if unfinished && !entry.is_directory => self.unfinished.push(name),
            _ => self.foreign.push(name),
        }
    }

    /// Checks that the segments from `first_segment` on are complete and of the right size, and drops older ones
    /// from the catalog, which are what an interrupted release left; returns their names.
    ///
    /// # Errors
    /// `ForeignFile`, `MissingSegment`, `SegmentSize`.
    pub(crate) fn check(
        &mut self,
        directory: &str,
        first_segment: u64,
        segment_size: u64,
    ) -> Result<Vec<String>> {
        if let Some(file) = self.foreign.first() {
            return Err(JournalError::ForeignFile {
                directory: directory.to_owned(),
                file: file.clone(),
            });
        }
        let released = self.segments.partition_point(|segment| segment.index < first_segment);
        let released = self.segments.drain(..released).map(|segment| segment.name).collect();
        if self.segments.is_empty() {
            return Err(missing(first_segment));
        }
        for (segment, index) in self.segments.iter().zip(first_segment..) {
            if segment.index != index {
                return Err(missing(index));
            }
            if segment.size != segment_size {
                return Err(JournalError::SegmentSize {
                    file: segment.name.clone(),
                    expected: segment_size,
                    found: segment.size,
                });
            }
        }
        Ok(released)
    }
}

fn missing(index: u64) -> JournalError {
    JournalError::MissingSegment { file: segment_name(index), sequence: 0 }
}

/// State of a segment's header page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderState {
    Ready,
    InUse(SegmentHeader),
    Bad(BreakReason),
}

/// Reads the header page of a segment.
///
/// # Errors
/// `WrongCluster`, `VersionNotSupported`, `Io`.
pub(crate) fn read_header<S: Source>(
    storage: &S,
    cluster: u128,
    segment: &SegmentFile,
) -> Result<HeaderState> {
    let mut page = vec![0; PAGE_SIZE as usize];
    let length = storage
        .read_at(&segment.name, 0, &mut page)
        .map_err(|error| JournalError::io("read", &segment.name, error))?;
    page[length..].fill(0);
    match SegmentHeader::decode(&page) {
        Ok(header) if header.cluster != cluster => Err(JournalError::WrongCluster {
            file: segment.name.clone(),
            expected: cluster,
            found: header.cluster,
        }),
        Ok(header) if header.index != segment.index || header.segment_size != segment.size => {
            Ok(HeaderState::Bad(BreakReason::SegmentMisplaced))
        }
        Ok(header) => Ok(HeaderState::InUse(header)),
        Err(Unreadable::Blank) => Ok(HeaderState::Ready),
        Err(Unreadable::Version(found)) => Err(JournalError::VersionNotSupported {
            file: segment.name.clone(),
            offset: 0,
            found,
            supported: FORMAT_VERSION,
        }),
        Err(Unreadable::Magic | Unreadable::Checksum) => {
            Ok(HeaderState::Bad(BreakReason::SegmentChecksum))
        }
    }
}
