//! The durable log: segments, group commit, recovery.
//!
//! A journal is a directory of equal segments, a superblock in two copies, and a lock. [`Journal::format`] makes
//! one, [`Journal::open`] recovers it and hands over its entries, [`Journal::begin`] and [`Journal::sync`] append
//! in groups, [`scan`] looks at the files without touching them. All I/O passes through [`Storage`].
//!
//! Invariants: what [`Journal::sync`] reported is found again after any crash, byte for byte and in order, and
//! behind it nothing but entries that were appended, without gaps; damage in the middle is never cut off.
//!
//! It deliberately does not know what an entry means, does not replicate, and does not repair: that takes a
//! second copy. The bytes on disk are drawn in `docs/reference/journal-format.md`.
#![deny(unsafe_code)]

mod access;
mod checksum;
pub mod constants;
mod cut;
mod direct;
mod error;
pub mod fault;
mod file;
mod format;
mod frame;
mod journal;
pub mod layout;
mod mapping;
mod prepare;
mod quarantine;
mod reader;
mod recovery;
mod scan;
mod scrub;
mod segment;
mod shared;
pub mod sim;
mod storage;
mod superblock;
mod tail;
mod uring;
mod writer;

pub use checksum::{Hash, hash};
pub use cut::{CutReport, cut_back};
pub use direct::DirectSegment;
pub use error::{BreakReason, Damage, JournalError, Proof, Result, VisitorError};
pub use file::{FileLock, FileSegment, FileStorage, JournalIo};
pub use format::FormatOptions;
pub use frame::{Frame, Position};
pub use journal::{Counters, Journal, OpenOptions, lock_directory};
pub use mapping::MappedSegment;
pub use prepare::{Prepare, Space};
pub use recovery::{Quarantined, RecoveryReport, RecoveryVisitor};
pub use scan::{ScanEvent, ScanSummary, ScanTail, ScanVisitor, scan};
pub use scrub::{Look, Scrub, SegmentDamage};
pub use segment::{QUARANTINE_DIRECTORY, SegmentHeader, segment_name};
pub use shared::{SHARED_HEADER_SIZE, SharedHeader};
pub use storage::{Entry, LockError, Segment, Storage};
pub use superblock::{CopyState, Superblock, replace_config};
pub use tail::LogReader;
pub use writer::FrameWriter;
