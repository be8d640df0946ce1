//! Every limit and every fixed place of the journal.

/// Version of the superblock, the segment header and the frame header that this build writes and reads.
pub const FORMAT_VERSION: u16 = 1;

/// Unit of preparing, of group starts and of what a power loss keeps or drops, in bytes.
pub const PAGE_SIZE: u64 = 4096;
/// Frames start at multiples of this, in bytes.
pub const FRAME_ALIGNMENT: u64 = 128;
/// Size of a frame header, in bytes.
pub const FRAME_HEADER_SIZE: usize = 256;
/// Size of the part of a frame header that describes the local place, in bytes.
pub const FRAME_LOCAL_SIZE: usize = 128;
/// Size of a segment's header page, in bytes.
pub const SEGMENT_HEADER_SIZE: u64 = PAGE_SIZE;
/// Every segment keeps its last page for the end frame, in bytes.
pub const SEGMENT_END_RESERVE: u64 = PAGE_SIZE;

/// Smallest segment, in bytes.
pub const SEGMENT_SIZE_MIN: u64 = 2 << 20;
/// Default size of a segment, in bytes.
pub const SEGMENT_SIZE_DEFAULT: u64 = 64 << 20;
/// Largest segment, in bytes.
pub const SEGMENT_SIZE_MAX: u64 = 4 << 30;

/// Largest payload of one frame, in bytes: what the smallest segment can take beside its header page,
/// its end page and the frame header.
pub const PAYLOAD_SIZE_MAX: usize =
    (SEGMENT_SIZE_MIN - SEGMENT_HEADER_SIZE - SEGMENT_END_RESERVE) as usize - FRAME_HEADER_SIZE;

/// A file in the journal's directory that is the node's, which says how it is doing; the journal passes over it.
pub const COUNTERS_FILE: &str = "counters";
/// The same while it is made; the next start removes what is left of it.
pub const COUNTERS_FILE_UNFINISHED: &str = "counters.tmp";

/// Size of one copy of the superblock, in bytes.
pub const SUPERBLOCK_SIZE: usize = 4096;
/// Number of copies of the superblock.
pub const SUPERBLOCK_COPIES: usize = 2;
/// Largest config record in the superblock, in bytes.
pub const CONFIG_SIZE_MAX: usize = 256;
/// Largest genesis record in the superblock, in bytes.
pub const GENESIS_SIZE_MAX: usize = 1024;

/// Largest piece of the page cache that zeros are written in, in bytes. Larger ones save nothing any more, and from
/// 1 MiB on the kernel may have to move memory to find one: 64 MiB took 17 ms of CPU in pieces of 128 KiB, 48 of 1 MiB.
pub(crate) const PREPARE_PIECE_MAX: u64 = 128 << 10;
/// A piece is at most this part of what one sync covers: a sync writes whole pieces, at both ends.
pub(crate) const PREPARE_PIECES_PER_SYNC: u64 = 4;
/// Bytes of zeros written in one call while a segment is prepared.
pub(crate) const PREPARE_CHUNK: usize = 1 << 20;
/// A preparing helper syncs after so many bytes, so that one large flush does not delay the group commits.
pub(crate) const PREPARE_SYNC_INTERVAL: u64 = 2 << 20;
/// Bytes that are asked into the page cache in one call; the kernel ignores what exceeds its read-ahead, which is
/// seldom less.
pub(crate) const CACHE_CHUNK: u64 = 128 << 10;
/// Window of a sequential reader, in bytes; holds the largest frame wherever it starts.
pub(crate) const READ_WINDOW: usize = 4 << 20;
/// Bytes looked at in one step of a sweep for later frames.
pub(crate) const SWEEP_CHUNK: usize = 256 << 10;

/// Bytes that a scrub reads in one call: a sync that comes meanwhile waits for no more.
pub(crate) const SCRUB_PIECE: u64 = 256 << 10;

/// Room that a direct writer starts with, in bytes: a node's usual group; a larger group makes it grow.
pub(crate) const DIRECT_STAGING_SIZE: usize = 4 << 20;
/// A group that is written directly goes out in pieces of this size, in bytes, if several can be in flight.
pub(crate) const DIRECT_PIECE_SIZE: usize = 256 << 10;
/// Most pieces in flight at once; a power of two.
pub(crate) const DIRECT_IN_FLIGHT_MAX: u32 = 32;

/// Most segments that may be kept ready ahead of the one in use.
pub const SEGMENTS_AHEAD_MAX: usize = 16;

const _: () = assert!(READ_WINDOW >= PAYLOAD_SIZE_MAX + 2 * FRAME_HEADER_SIZE + PAGE_SIZE as usize);
const _: () = assert!(PAYLOAD_SIZE_MAX == 2_088_704);
const _: () = assert!(PREPARE_PIECE_MAX.is_power_of_two() && PREPARE_PIECE_MAX >= PAGE_SIZE);
const _: () = assert!((PREPARE_CHUNK as u64).is_multiple_of(PREPARE_PIECE_MAX));
const _: () = assert!(DIRECT_PIECE_SIZE.is_multiple_of(PAGE_SIZE as usize));
const _: () = assert!(DIRECT_IN_FLIGHT_MAX.is_power_of_two());
