//! The header of a log entry: a request with everything that its execution depends on.

use crate::checksum::tag_under;
use crate::{Operation, limits::HEADER_SIZE};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The meaning of results: a change in any result of any request is a new version.
pub const SEMANTICS_VERSION: u32 = 2;

/// What the ring carries and the journal keeps in front of every request's body.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct RequestHeader {
    /// Who asks; 0 for the node itself and for readers without a session.
    pub client: u128,
    /// Identity of the request; see [`RequestHeader::identity`].
    pub request_checksum: u128,
    /// Who was authenticated; 0 is local.
    pub principal: u128,
    /// The session's number; 0 for the node itself and for readers without a session.
    pub session: u64,
    /// The request's number within its session, from 1 without gaps; a free tag for reads.
    pub request: u64,
    /// Replies up to this number have arrived, so they need not be stored any longer.
    pub replies_received: u64,
    /// Where the reply goes, in the terms of the gateway; means nothing to the engine.
    pub origin: u64,
    /// The gateway's own number, for gateways with sessions of their own.
    pub origin_sequence: u64,
    /// Zero.
    pub reserved: u64,
    /// The client's release.
    pub release: u32,
    /// See [`Operation`].
    pub operation: u16,
    /// Version of the events' layout.
    pub event_version: u8,
    /// The protocol that the request came by: 1 native.
    pub protocol: u8,
    /// See [`RequestFlags`].
    pub flags: u32,
    /// Bytes of one event.
    pub event_size: u16,
    /// Zero.
    pub reserved_2: u16,
    /// Number of events.
    pub event_count: u32,
    /// Bytes of the body, without what pads it to whole cells.
    pub body_size: u32,
    /// What the clock showed at ingress: nanoseconds since 1970. The engine makes timestamps of it.
    pub clock_reading: u64,
}

const _: () = {
    assert!(size_of::<RequestHeader>() == HEADER_SIZE);
    assert!(std::mem::offset_of!(RequestHeader, session) == 48);
    assert!(std::mem::offset_of!(RequestHeader, release) == 96);
    assert!(std::mem::offset_of!(RequestHeader, operation) == 100);
    assert!(std::mem::offset_of!(RequestHeader, event_size) == 108);
    assert!(std::mem::offset_of!(RequestHeader, clock_reading) == 120);
};

/// Bits of [`RequestHeader::flags`].
#[derive(Clone, Copy, Debug)]
pub struct RequestFlags;

impl RequestFlags {
    /// Reserved for "tell me what would happen"; refused until it is built.
    pub const DRY_RUN: u32 = 1;
    /// Set by the gateway, never by a client: the write was executed before, and its body is left out. What the header
    /// says of events is that of the whole request.
    pub const REPEATED: u32 = 2;
    /// Of a [`Operation::Register`] only: the session may take a place that is kept for operators.
    pub const OPERATOR: u32 = 4;
}

impl RequestHeader {
    /// Bytes of header and body, padded to whole cells of [`HEADER_SIZE`].
    #[must_use]
    pub const fn entry_size(&self) -> usize {
        HEADER_SIZE + (self.body_size as usize).next_multiple_of(HEADER_SIZE)
    }

    /// What makes two requests the same: operation, event layout, flags and body. The tag of the body, with the rest as
    /// its nonce.
    ///
    /// Not part of it: what may differ between a request and its repetition (clock, replies received, origin).
    #[must_use]
    #[inline]
    pub fn identity(&self, body: &[u8]) -> u128 {
        let mut nonce = [0u8; 16];
        nonce[0..2].copy_from_slice(&self.operation.to_le_bytes());
        nonce[2] = self.event_version;
        nonce[3..5].copy_from_slice(&self.event_size.to_le_bytes());
        nonce[8..12].copy_from_slice(&self.event_count.to_le_bytes());
        nonce[12..16].copy_from_slice(&self.flags.to_le_bytes());
        tag_under(&nonce, body)
    }

    /// Whether the entry is a repetition without its body.
    #[must_use]
    pub const fn is_repeated(&self) -> bool {
        self.flags == RequestFlags::REPEATED
    }

    /// The flags that have no meaning for the operation as a log entry. A session alone knows what it has executed.
    #[must_use]
    #[inline]
    pub fn unknown_flags(&self, operation: Operation) -> u32 {
        let known = match operation {
            Operation::Register => RequestFlags::OPERATOR,
            _ if self.client != 0 && !operation.is_read() => RequestFlags::REPEATED,
            _ => 0,
        };
        self.flags & !known
    }

    /// The operation, if its number is known.
    #[must_use]
    pub fn operation(&self) -> Option<Operation> {
        Operation::from_number(self.operation)
    }
}

/// Body of a [`Operation::Register`] entry's reply: what became of the session.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct RegisterRecord {
    /// The session's number.
    pub session: u64,
    /// Number of the last write that was executed in it.
    pub request_last: u64,
    /// 1 if the session was there before.
    pub resumed: u32,
    /// Zero.
    pub reserved: u32,
    /// Zero.
    pub reserved_2: u64,
}

/// Body of a [`Operation::Digest`] entry.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct DigestRecord {
    /// The digest of the state after `at_sequence`.
    pub digest: u128,
    /// The sequence that it belongs to.
    pub at_sequence: u64,
    /// Zero.
    pub reserved: u64,
}

/// Body of the first log entry: everything fixed at format that can change a result.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Genesis {
    /// The cluster.
    pub cluster: u128,
    /// Seed of the id tables, drawn at format; it changes no result, but must be the same on replay of a snapshot.
    pub hash_seed: u64,
    /// Accounts that fit.
    pub account_count_max: u64,
    /// Transfers and burnt ids that fit.
    pub transfer_count_max: u64,
    /// Open pending transfers that fit.
    pub hold_count_max: u64,
    /// A session without a write for this long (in log time) may make room for another.
    pub session_idle_ns: u64,
    /// See [`SEMANTICS_VERSION`].
    pub semantics_version: u32,
    /// A digest is due after every so many log entries.
    pub digest_interval: u32,
    /// Ledgers that fit.
    pub ledger_count_max: u32,
    /// Registered codes that fit.
    pub code_count_max: u32,
    /// Sessions that fit.
    pub session_count_max: u32,
    /// Stored replies of a session.
    pub window_requests: u32,
    /// Bytes of a session's stored replies.
    pub window_bytes: u32,
    /// Instruments that fit; 0, as all that follows, for a node without trading.
    pub instrument_count_max: u32,
    /// Orders that are remembered, for ever.
    pub order_count_max: u64,
    /// Execution reports that are kept, of all accounts together.
    pub report_count_max: u64,
    /// Open orders that fit, in all books together.
    pub open_order_count_max: u32,
    /// Price levels that fit, in all books together.
    pub book_level_count_max: u32,
    /// Zero.
    pub reserved: [u64; 2],
}

impl Genesis {
    /// Whether the node has order books.
    #[must_use]
    pub const fn has_trading(&self) -> bool {
        self.instrument_count_max != 0
    }
}

const _: () = {
    assert!(size_of::<RegisterRecord>() == 32);
    assert!(size_of::<DigestRecord>() == 32);
    assert!(size_of::<Genesis>() == 128);
};
