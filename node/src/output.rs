//! What the engine stage hands to the reply stage: an entry of the output ring per log entry and per read.

use crate::cell::EntryHeader;
use mizan_wire::limits::HEADER_SIZE;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Marks an entry that only fills the end of the output ring.
const PADDING: u16 = u16::MAX;

/// Header of an output entry.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub(crate) struct OutputHeader {
    pub(crate) client: u128,
    pub(crate) session: u64,
    pub(crate) request: u64,
    pub(crate) origin: u64,
    /// Position in the request ring after the entry: released when the commit cursor is there.
    pub(crate) position: u64,
    /// Sequence of the entry whose result this is; for a read, of the last entry before it.
    pub(crate) sequence: u64,
    /// Sequence of the last entry applied.
    pub(crate) applied_sequence: u64,
    pub(crate) timestamp: u64,
    /// When the next hold expires; `u64::MAX` for never.
    pub(crate) next_due_ns: u64,
    // Not in the order of the engine's output: what it has just written word by word would be read in one piece, and
    // that waits until all stores before it are in the cache.
    pub(crate) status: u32,
    pub(crate) body_size: u32,
    pub(crate) flags: u32,
    pub(crate) operation: u16,
    pub(crate) result_size: u16,
    pub(crate) result_count: u32,
    pub(crate) reserved: u32,
    pub(crate) event_count: u32,
    pub(crate) reserved_2: u32,
    pub(crate) reserved_3: [u64; 2],
}

const _: () = assert!(size_of::<OutputHeader>() == HEADER_SIZE);

impl EntryHeader for OutputHeader {
    fn body_size(&self) -> usize {
        self.body_size as usize
    }

    fn padding(body_size: usize) -> Self {
        Self { operation: PADDING, body_size: body_size as u32, ..Self::default() }
    }

    fn is_padding(&self) -> bool {
        self.operation == PADDING
    }
}
