//! What a frame is on every node: the second half of its header and its payload.
//!
//! Replication sends exactly these bytes; a frame's hash covers them, so whoever has the hash of the frame before
//! can judge them. It deliberately knows nothing of places: where a frame lies is each node's own affair.

use zerocopy::{FromBytes, FromZeros, IntoBytes};

use crate::checksum::{Hash, hash};
use crate::constants::{FRAME_HEADER_SIZE, FRAME_LOCAL_SIZE, PAYLOAD_SIZE_MAX};
use crate::frame::shared_half;
use crate::layout::{RawFrameHeader, kind};

/// Bytes of a header that are the same on every node.
pub const SHARED_HEADER_SIZE: usize = FRAME_HEADER_SIZE - FRAME_LOCAL_SIZE;

/// The fields that the chain covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedHeader {
    /// Hash of the frame before; zeros for the first.
    pub previous: Hash,
    /// Cluster id.
    pub cluster: u128,
    /// Epoch in which the entries were made.
    pub epoch: u64,
    /// Sequence of the first entry.
    pub sequence: u64,
    /// Entries, at least one.
    pub count: u32,
    /// Bytes of payload.
    pub length: u32,
    /// Version of the meaning of the entries.
    pub semantics_version: u32,
}

impl SharedHeader {
    /// The bytes that are sent and hashed.
    #[must_use]
    pub fn encode(&self) -> [u8; SHARED_HEADER_SIZE] {
        let mut raw = RawFrameHeader::new_zeroed();
        raw.previous = self.previous;
        raw.cluster = self.cluster;
        raw.epoch = self.epoch;
        raw.sequence = self.sequence;
        raw.count = self.count;
        raw.length = self.length;
        raw.kind = kind::ENTRIES;
        raw.semantics_version = self.semantics_version;
        let mut bytes = [0; SHARED_HEADER_SIZE];
        bytes.copy_from_slice(shared_half(&raw));
        bytes
    }

    /// Understands the bytes; `None` if this version cannot write a frame with such a header.
    #[must_use]
    pub fn decode(bytes: &[u8; SHARED_HEADER_SIZE]) -> Option<Self> {
        let mut whole = [0; FRAME_HEADER_SIZE];
        whole[FRAME_LOCAL_SIZE..].copy_from_slice(bytes);
        let raw = RawFrameHeader::read_from_bytes(&whole).ok()?;
        let header = SharedHeader {
            previous: raw.previous,
            cluster: raw.cluster,
            epoch: raw.epoch,
            sequence: raw.sequence,
            count: raw.count,
            length: raw.length,
            semantics_version: raw.semantics_version,
        };
        let fits = header.count > 0
            && header.sequence > 0
            && header.length as usize <= PAYLOAD_SIZE_MAX
            && header.sequence.checked_add(u64::from(header.count)).is_some();
        // Whatever else is set in the bytes belongs to a later version.
        (fits && header.encode() == *bytes).then_some(header)
    }

    /// Sequence of the last entry.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.sequence + u64::from(self.count) - 1
    }

    /// The hash of a frame that lies in one piece, header and payload, which the next frame names.
    ///
    /// Cost: one pass over it.
    #[must_use]
    pub fn hash_of(frame: &[u8]) -> Hash {
        hash(frame)
    }

    /// The frame's hash, which the next frame names.
    ///
    /// Cost: one pass over the payload.
    #[must_use]
    pub fn frame_hash(&self, payload: &[u8]) -> Hash {
        let mut bytes = Vec::with_capacity(SHARED_HEADER_SIZE + payload.len());
        bytes.extend_from_slice(self.encode().as_bytes());
        bytes.extend_from_slice(payload);
        hash(&bytes)
    }
}
