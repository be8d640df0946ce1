//! Making a new journal.
//!
//! The superblock's copies get their names last. What an interrupted format leaves has no superblock and no
//! frames, and a second format starts over; anything else is left alone.

use crate::checksum::{Hash, is_zero};
use crate::constants::{
    PAGE_SIZE, PREPARE_CHUNK, SEGMENT_HEADER_SIZE, SEGMENT_SIZE_DEFAULT, SUPERBLOCK_COPIES,
};
use crate::error::{JournalError, Result, is_no_space};
use crate::file::JournalIo;
use crate::journal::{Journal, lock, probe};
use crate::prepare::make_file;
use crate::segment::{Catalog, SegmentHeader, unfinished_copy_name};
use crate::storage::Storage;
use crate::superblock::{CopyState, Superblock, copy_name, read_copy};

/// What is fixed when a journal is made.
#[derive(Debug, Clone)]
pub struct FormatOptions {
    /// Cluster id.
    pub cluster: u128,
    /// Node id.
    pub node: u64,
    /// Incarnation of the node's disk.
    pub incarnation: u64,
    /// Epoch to begin with.
    pub epoch: u64,
    /// Size of every segment, in bytes: a multiple of 4,096.
    pub segment_size: u64,
    /// Sequence of the first entry, at least 1.
    pub first_sequence: u64,
    /// Hash of the frame before the first entry; zeros for a new log.
    pub seal: Hash,
    /// How the node is to write its segments.
    pub journal_io: JournalIo,
    /// Config record, at most 256 bytes.
    pub config: Vec<u8>,
    /// Limits fixed now, opaque, at most 1,024 bytes.
    pub genesis: Vec<u8>,
}

impl FormatOptions {
    /// A new log of `cluster` on `node`, with the default segment size.
    #[must_use]
    pub fn new(cluster: u128, node: u64) -> Self {
        FormatOptions {
            cluster,
            node,
            incarnation: 1,
            epoch: 1,
            segment_size: SEGMENT_SIZE_DEFAULT,
            first_sequence: 1,
            seal: [0; 16],
            journal_io: JournalIo::Mmap,
            config: Vec::new(),
            genesis: Vec::new(),
        }
    }
}

impl<S: Storage> Journal<S> {
    /// Makes a new journal in an empty directory. Returns when it is durable.
    ///
    /// # Errors
    /// `AlreadyFormatted`, `ForeignFile`, `Locked`, `InvalidOptions`, `DirectIoUnsupported`, `NotFormatted` when there
    /// is no directory: nothing was changed. `NoSpace`, `Io`: call it again.
    ///
    /// Cost: writes one segment of zeros.
    pub fn format(storage: &S, options: &FormatOptions) -> Result<()> {
        let superblock = Superblock {
            cluster: options.cluster,
            node: options.node,
            incarnation: options.incarnation,
            highest_epoch: options.epoch,
            version: 1,
            clean: true,
            durable_hint: 0,
            segment_size: options.segment_size,
            first_segment: 0,
            journal_io: options.journal_io,
            config: options.config.clone(),
            genesis: options.genesis.clone(),
        };
        superblock.validate()?;
        if options.first_sequence == 0 {
            let reason = "the first sequence must be at least 1".to_owned();
            return Err(JournalError::InvalidOptions { reason });
        }
        let _lock = lock(storage)?;
        make_room(storage)?;
        probe(storage)?;
        let header = SegmentHeader {
            cluster: options.cluster,
            index: 0,
            epoch: options.epoch,
            first_sequence: options.first_sequence,
            seal: options.seal,
            segment_size: options.segment_size,
        };
        make_file(storage, 0, options.segment_size, PAGE_SIZE, Some(&header.encode()), &|| false)?;
        write_copies(storage, &superblock)
    }
}

/// Refuses a directory in use and clears what an interrupted format left.
fn make_room<S: Storage>(storage: &S) -> Result<()> {
    let already =
        |file: String| Err(JournalError::AlreadyFormatted { directory: storage.describe(), file });
    for copy in 0..SUPERBLOCK_COPIES {
        if read_copy(storage, copy)? != CopyState::Missing {
            return already(copy_name(copy));
        }
    }
    let catalog = Catalog::read(storage)?;
    if let Some(file) = catalog.foreign.first() {
        let directory = storage.describe();
        return Err(JournalError::ForeignFile { directory, file: file.clone() });
    }
    for segment in &catalog.segments {
        let mut chunk = vec![0; PREPARE_CHUNK];
        let mut offset = SEGMENT_HEADER_SIZE;
        while offset < segment.size {
            let length = storage
                .read(&segment.name, offset, &mut chunk)
                .map_err(|error| JournalError::io("read", &segment.name, error))?;
            if !is_zero(&chunk[..length]) {
                return already(segment.name.clone());
            }
            offset += chunk.len() as u64;
        }
    }
    let segments = catalog.segments.iter().map(|segment| &segment.name);
    for name in catalog.unfinished.iter().chain(segments) {
        storage.remove(name).map_err(|error| JournalError::io("remove", name, error))?;
    }
    Ok(())
}

fn write_copies<S: Storage>(storage: &S, superblock: &Superblock) -> Result<()> {
    let bytes = superblock.encode();
    for copy in 0..SUPERBLOCK_COPIES {
        let name = unfinished_copy_name(copy);
        storage
            .create(&name, bytes.len() as u64)
            .and_then(|()| storage.write(&name, 0, &bytes))
            .and_then(|()| storage.sync_file(&name))
            .map_err(|error| match is_no_space(&error) {
                true => JournalError::NoSpace {
                    file: name.clone(),
                    size: bytes.len() as u64,
                    source: error.into(),
                },
                false => JournalError::io("write", &name, error),
            })?;
    }
    for copy in 0..SUPERBLOCK_COPIES {
        storage
            .rename(&unfinished_copy_name(copy), &copy_name(copy))
            .map_err(|error| JournalError::io("rename", &copy_name(copy), error))?;
    }
    storage.sync_directory("").map_err(|error| JournalError::io("sync", "the directory", error))
}
