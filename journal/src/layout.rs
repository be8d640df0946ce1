//! The bytes of superblock, segment header and frame header.
//!
//! Each begins with its checksum, then an 8-byte magic and the format version at offset 24; that much never
//! changes, so that every build can name the version of any file. Numbers are little-endian.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::checksum::{Hash, hash, is_zero};
use crate::constants::{
    CONFIG_SIZE_MAX, FORMAT_VERSION, FRAME_HEADER_SIZE, FRAME_LOCAL_SIZE, GENESIS_SIZE_MAX,
};

#[cfg(not(target_endian = "little"))]
compile_error!("the journal's structures are little-endian");

/// First bytes of a superblock after its checksum.
pub const SUPERBLOCK_MAGIC: [u8; 8] = *b"MIZSUPER";
/// First bytes of a segment header after its checksum.
pub const SEGMENT_MAGIC: [u8; 8] = *b"MIZSEGMT";
/// First bytes of a frame header after its checksum.
pub const FRAME_MAGIC: [u8; 8] = *b"MIZFRAME";

/// What a frame holds. Append-only.
pub mod kind {
    /// Log entries of every sort (requests, and also ticks and digests), as opaque bytes.
    pub const ENTRIES: u8 = 1;
    /// Reserved.
    pub const TICK: u8 = 2;
    /// Reserved.
    pub const EPOCH_START: u8 = 3;
    /// Reserved.
    pub const DIGEST: u8 = 4;
    /// Reserved.
    pub const CONFIG: u8 = 5;
    /// Reserved.
    pub const UPGRADE: u8 = 6;
    /// The segment ends here; the log goes on in the next one. Not part of the hash chain.
    pub const SEGMENT_END: u8 = 7;
}

/// Why a structure cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// Zeros only.
    Blank,
    /// Another magic.
    Magic,
    /// The checksum does not hold.
    Checksum,
    /// Intact, but of another version.
    Version(u16),
}

/// One copy of the superblock as it stands on disk: 4,096 bytes.
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RawSuperblock {
    /// Hash of everything after it.
    pub checksum: Hash,
    /// [`SUPERBLOCK_MAGIC`].
    pub magic: [u8; 8],
    /// [`FORMAT_VERSION`].
    pub format: u16,
    /// 1 after an orderly close.
    pub clean: u8,
    /// How the node writes its segments: 0 through a mapping, 1 directly; anything else counts as 0.
    pub journal_io: u8,
    /// Zero.
    pub reserved: [u8; 4],
    /// Cluster id.
    pub cluster: u128,
    /// Counts the updates; the copy with the higher one holds.
    pub version: u64,
    /// Node id.
    pub node: u64,
    /// Incarnation of the node's disk.
    pub incarnation: u64,
    /// Highest epoch seen.
    pub highest_epoch: u64,
    /// Everything up to this sequence was durable when this was written.
    pub durable_hint: u64,
    /// Size of every segment, in bytes.
    pub segment_size: u64,
    /// Index of the oldest segment that was not released.
    pub first_segment: u64,
    /// Bytes used of `config`.
    pub config_length: u16,
    /// Bytes used of `genesis`.
    pub genesis_length: u16,
    /// Zero.
    pub reserved_lengths: [u8; 4],
    /// Config record.
    pub config: [u8; CONFIG_SIZE_MAX],
    /// Limits fixed at format.
    pub genesis: [u8; GENESIS_SIZE_MAX],
    /// Zero.
    pub reserved_end: [u8; 2704],
}

/// The first page of a segment: 4,096 bytes.
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RawSegmentHeader {
    /// Hash of everything after it.
    pub checksum: Hash,
    /// [`SEGMENT_MAGIC`].
    pub magic: [u8; 8],
    /// [`FORMAT_VERSION`].
    pub format: u16,
    /// Zero.
    pub reserved: [u8; 6],
    /// Cluster id.
    pub cluster: u128,
    /// Hash of the last frame before this segment.
    pub seal: Hash,
    /// Index of the segment.
    pub index: u64,
    /// Epoch in which the segment was begun.
    pub epoch: u64,
    /// Sequence of the first entry.
    pub first_sequence: u64,
    /// Size of the segment, in bytes.
    pub segment_size: u64,
    /// Zero.
    pub reserved_end: [u8; 4000],
}

/// A frame header: 256 bytes. The first half describes the place and differs between nodes, the second half
/// is the same wherever the entries are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RawFrameHeader {
    /// Hash of the rest of the header.
    pub checksum: Hash,
    /// [`FRAME_MAGIC`].
    pub magic: [u8; 8],
    /// [`FORMAT_VERSION`].
    pub format: u16,
    /// Zero.
    pub reserved_local: [u8; 6],
    /// Hash of the second half and the payload; the next frame names it as `previous`.
    pub hash: Hash,
    /// Index of the segment.
    pub segment: u64,
    /// Byte offset in the segment.
    pub offset: u64,
    /// Highest sequence that was durable here when this was written, 0 for none.
    pub durable_up_to: u64,
    /// Highest sequence that was committed when this was written; never above `durable_up_to`.
    pub commit: u64,
    /// Zero.
    pub reserved_place: [u8; 48],
    /// `hash` of the frame before.
    pub previous: Hash,
    /// Cluster id.
    pub cluster: u128,
    /// Epoch in which the entries were made.
    pub epoch: u64,
    /// Sequence of the first entry.
    pub sequence: u64,
    /// Number of entries.
    pub count: u32,
    /// Bytes of payload.
    pub length: u32,
    /// One of [`kind`].
    pub kind: u8,
    /// 1 compressed, 2 encrypted; zero in version 1.
    pub flags: u8,
    /// Zero.
    pub reserved_flags: [u8; 2],
    /// Version of the meaning of the entries.
    pub semantics_version: u32,
    /// Nonce of the encryption, zero for none.
    pub nonce: [u8; 16],
    /// Key of the encryption, zero for none.
    pub key_id: u32,
    /// Zero.
    pub reserved_end: [u8; 44],
}

const _: () = assert!(size_of::<RawSuperblock>() == 4096);
const _: () = assert!(size_of::<RawSegmentHeader>() == 4096);
const _: () = assert!(size_of::<RawFrameHeader>() == FRAME_HEADER_SIZE);
const _: () = assert!(std::mem::offset_of!(RawFrameHeader, previous) == FRAME_LOCAL_SIZE);

/// A structure that begins with checksum, magic and version.
pub trait Sealed: FromBytes + IntoBytes + Immutable + KnownLayout + Sized {
    /// Its magic.
    const MAGIC: [u8; 8];

    /// Sets magic and version, then the checksum over everything after it.
    fn seal(&mut self) {
        let bytes = self.as_mut_bytes();
        bytes[16..24].copy_from_slice(&Self::MAGIC);
        bytes[24..26].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        let checksum = hash(&bytes[16..]);
        bytes[..16].copy_from_slice(&checksum);
    }

    /// Reads the structure from exactly its bytes.
    ///
    /// # Errors
    /// [`Unreadable`].
    ///
    /// # Panics
    /// When `bytes` has another length.
    fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        if bytes[16..24] != Self::MAGIC {
            return Err(if is_zero(bytes) { Unreadable::Blank } else { Unreadable::Magic });
        }
        if hash(&bytes[16..]) != bytes[..16] {
            return Err(Unreadable::Checksum);
        }
        let format = u16::from_le_bytes([bytes[24], bytes[25]]);
        if format != FORMAT_VERSION {
            return Err(Unreadable::Version(format));
        }
        Ok(Self::read_from_bytes(bytes)
            .expect("invariant: the caller passes exactly one structure"))
    }
}

impl Sealed for RawSuperblock {
    const MAGIC: [u8; 8] = SUPERBLOCK_MAGIC;
}
impl Sealed for RawSegmentHeader {
    const MAGIC: [u8; 8] = SEGMENT_MAGIC;
}
impl Sealed for RawFrameHeader {
    const MAGIC: [u8; 8] = FRAME_MAGIC;
}
