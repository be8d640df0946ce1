//! Opening a journal: lock, superblock, catalog, recovery, and the state to go on from.
//!
//! Until recovery has decided that the journal is sound, nothing is changed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{Active, Counters, Journal};
use crate::constants::{PAGE_SIZE, SEGMENTS_AHEAD_MAX};
use crate::error::{JournalError, Result, is_no_space};
use crate::frame::{Chain, align_page};
use crate::prepare::{Prepare, Preparer, open};
use crate::recovery::{Recovered, RecoveryReport, RecoveryVisitor, recover};
use crate::scrub::SealedSegments;
use crate::segment::{Catalog, segment_name};
use crate::storage::{LockError, Storage};
use crate::superblock::{self, Superblock};

/// How a journal is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Cluster that the journal must belong to; `None` takes what is there.
    pub cluster: Option<u128>,
    /// Version of the meaning of the entries, noted in every frame.
    pub semantics_version: u32,
    /// Segments kept ready ahead of the one in use, 1 to [`SEGMENTS_AHEAD_MAX`].
    pub segments_ahead: usize,
    /// Who prepares them.
    pub prepare: Prepare,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            cluster: None,
            semantics_version: 1,
            segments_ahead: 1,
            prepare: Prepare::Helper { retry_interval: Duration::from_secs(1) },
        }
    }
}

/// Takes the lock on the directory, so that what is read of its files from then on stays true.
///
/// # Errors
/// `Locked`, `NotFormatted`, `NotADirectory`, `NotPermitted`, `Io`.
pub fn lock_directory<S: Storage>(storage: &S) -> Result<S::Lock> {
    lock(storage)
}

/// Takes the lock on the directory.
pub(crate) fn lock<S: Storage>(storage: &S) -> Result<S::Lock> {
    storage.lock().map_err(|error| match error {
        LockError::Held { holder } => {
            JournalError::Locked { directory: storage.describe(), holder }
        }
        LockError::NoDirectory => JournalError::NotFormatted { directory: storage.describe() },
        LockError::Io(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            JournalError::NotADirectory { directory: storage.describe() }
        }
        LockError::Io(error) => JournalError::io("lock", "the directory", error),
    })
}

/// Finds out whether the place is fit.
pub(crate) fn probe<S: Storage>(storage: &S) -> Result<()> {
    storage.probe().map_err(|error| match error.kind() {
        std::io::ErrorKind::Unsupported => JournalError::DirectIoUnsupported {
            directory: storage.describe(),
            reason: error.to_string(),
        },
        _ if is_no_space(&error) => JournalError::NoSpace {
            file: "a test of the directory".to_owned(),
            size: PAGE_SIZE,
            source: error.into(),
        },
        _ => JournalError::io("test", "the directory", error),
    })
}

impl<S: Storage> Journal<S> {
    /// Opens the journal, recovers it, and hands every valid frame to `visitor` in order.
    ///
    /// # Errors
    /// `NotFormatted`, `SuperblockDamaged`, `Locked`, `WrongCluster`, `VersionNotSupported`, `KindNotSupported`,
    /// `DirectIoUnsupported`, `ForeignFile`, `MissingSegment`, `SegmentSize`, `Corrupt`: nothing was changed. `InvalidOptions`. `NoSpace`:
    /// the tail could not be quarantined. `Visitor`: what it returned. `Io`.
    ///
    /// Cost: reads every segment in use once.
    pub fn open(
        storage: impl Into<Arc<S>>,
        options: &OpenOptions,
        visitor: &mut dyn RecoveryVisitor,
    ) -> Result<(Self, RecoveryReport)> {
        let storage = storage.into();
        let lock = lock(&*storage)?;
        Self::open_locked(storage, lock, options, visitor)
    }

    /// As [`Journal::open`], for a caller that has taken the lock with [`lock_directory`].
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_locked(
        storage: impl Into<Arc<S>>,
        lock: S::Lock,
        options: &OpenOptions,
        visitor: &mut dyn RecoveryVisitor,
    ) -> Result<(Self, RecoveryReport)> {
        let storage = storage.into();
        if !(1..=SEGMENTS_AHEAD_MAX).contains(&options.segments_ahead) {
            let reason = format!("segments ahead must be 1 to {SEGMENTS_AHEAD_MAX}");
            return Err(JournalError::InvalidOptions { reason });
        }
        let superblock = superblock::read(&*storage)?;
        if let Some(expected) = options.cluster
            && expected != superblock.cluster
        {
            return Err(JournalError::WrongCluster {
                file: superblock::copy_name(0),
                expected,
                found: superblock.cluster,
            });
        }
        probe(&*storage)?;
        let mut catalog = Catalog::read(&*storage)?;
        let first = superblock.first_segment;
        let released = catalog.check(&storage.describe(), first, superblock.segment_size)?;
        let recovered = recover(&*storage, &superblock, &catalog.segments, visitor)?;
        for name in released.iter().chain(&catalog.unfinished) {
            storage.remove(name).map_err(|error| JournalError::io("remove", name, error))?;
        }
        Self::resume(storage, superblock, &catalog, recovered, options, lock)
    }

    fn resume(
        storage: Arc<S>,
        mut superblock: Superblock,
        catalog: &Catalog,
        recovered: Recovered,
        options: &OpenOptions,
        lock: S::Lock,
    ) -> Result<(Self, RecoveryReport)> {
        let Recovered { report, end, headers } = recovered;
        let durable = end.chain.next_sequence - 1;
        superblock.clean = false;
        superblock.durable_hint = durable;
        superblock::repair(&*storage)?;
        superblock::update(&*storage, &mut superblock)?;
        let size = superblock.segment_size;
        // The log ends in the last segment in use, or at its very end, before a header that is not yet written.
        let in_use = headers.len();
        let ended = end.offset == 0;
        let mut ready = VecDeque::new();
        for segment in &catalog.segments[in_use..] {
            ready.push_back((segment.index, reopen(&*storage, segment.index, size)?));
        }
        let last = &catalog.segments[in_use - 1];
        let offset = if ended { size } else { align_page(end.end) };
        let active = Active::new(reopen(&*storage, last.index, size)?, last.index, offset, offset);
        let preparer = Preparer::start(
            Arc::clone(&storage),
            size,
            ready,
            superblock.first_segment + catalog.segments.len() as u64,
            options.segments_ahead,
            options.prepare,
        )?;
        let epoch = superblock.highest_epoch.max(end.chain.epoch);
        let journal = Journal {
            storage,
            superblock,
            active,
            preparer,
            chain: Chain { epoch, ..end.chain },
            durable,
            semantics_version: options.semantics_version,
            sealed: SealedSegments::new(headers[0].index, last.index),
            in_use: headers.iter().map(|header| (header.index, header.first_sequence)).collect(),
            counters: Counters::default(),
            poison: None,
            _lock: lock,
        };
        Ok((journal, report))
    }
}

/// Opens a segment that recovery has read. The cache that the reads filled goes first: its large folios would
/// make every small sync write far more than was changed.
fn reopen<S: Storage>(storage: &S, index: u64, size: u64) -> Result<S::Segment> {
    let name = segment_name(index);
    storage.settle(&name).map_err(|error| JournalError::io("sync", &name, error))?;
    open(storage, index, size)
}
