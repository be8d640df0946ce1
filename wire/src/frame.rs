//! Frames of the native protocol: a header of 128 bytes, then a body whose size the header gives.
//!
//! Every frame begins with the same 48 bytes ([`Prefix`]); the other 80 depend on the kind. Header and body have a
//! checksum each, so that a receiver can trust the size before it finds room for the body. The whole protocol is
//! drawn in `docs/reference/wire-protocol.md`.

use crate::limits::{BODY_SIZE_MAX, CREDENTIAL_SIZE_MAX, FRAME_SIZE_MAX, HEADER_SIZE};
use crate::{Operation, RequestStatus, frame_checksum};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// The first bytes of the common part's identity: "MZN1".
pub const MAGIC: u32 = u32::from_le_bytes(*b"MZN1");
/// The version of the protocol that this crate speaks.
pub const PROTOCOL: u8 = 1;
/// Set in a reply that repeats a stored one.
pub const REPLY_REPLAYED: u32 = 1;
/// Set in a reply whose body lists only results that are not "created at its own number".
pub const REPLY_COMPACT: u32 = 2;
/// Set in a hello that wants no session: only reads are allowed.
pub const HELLO_READ_ONLY: u8 = 1;
/// Set in the hello of an operator's tool: it may take the places that are kept for those. Believed on the node's machine.
pub const HELLO_OPERATOR: u8 = 2;

/// The kinds of frames.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Kind {
    /// Client: who I am, what I speak.
    Hello = 1,
    /// Server: who I am, the session, the limits.
    HelloReply = 2,
    /// Client: do this.
    Request = 3,
    /// Server: this became of it.
    Reply = 4,
    /// Server: this connection ends, and why.
    Error = 5,
    /// Client: are you there?
    Ping = 6,
    /// Server: yes.
    Pong = 7,
}

/// The part that all frames share.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Prefix {
    /// Checksum over bytes 16..128 of the header.
    pub checksum: u128,
    /// Checksum over the body.
    pub checksum_body: u128,
    /// [`MAGIC`].
    pub magic: u32,
    /// Bytes of header and body.
    pub size: u32,
    /// See [`Kind`].
    pub kind: u8,
    /// [`PROTOCOL`].
    pub protocol: u8,
    /// Zero.
    pub reserved: [u8; 6],
}

macro_rules! frame {
    ($(#[$doc:meta])* $name:ident, $kind:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct $name {
            /// The part that all frames share.
            pub prefix: Prefix,
            $($(#[$field_doc])* pub $field: $type,)*
        }
        const _: () = assert!(size_of::<$name>() == HEADER_SIZE);

        impl Default for $name {
            fn default() -> Self {
                let mut frame = Self::new_zeroed();
                frame.prefix.kind = Kind::$kind as u8;
                frame
            }
        }

        impl $name {
            /// Fills in magic, version, size and both checksums. The frame is then ready to be sent, body after header.
            ///
            /// # Panics
            /// If the body is larger than the protocol allows: the sender's own error.
            #[must_use]
            pub fn seal(mut self, body: &[u8]) -> [u8; HEADER_SIZE] {
                assert!(body.len() <= BODY_SIZE_MAX, "a body of {} bytes is not sendable", body.len());
                self.prefix.kind = Kind::$kind as u8;
                self.prefix.magic = MAGIC;
                self.prefix.protocol = PROTOCOL;
                self.prefix.size = (HEADER_SIZE + body.len()) as u32;
                self.prefix.checksum_body = frame_checksum(body);
                self.prefix.checksum = frame_checksum(&self.as_bytes()[16..]);
                let mut bytes = [0; HEADER_SIZE];
                bytes.copy_from_slice(self.as_bytes());
                bytes
            }
        }
    };
}

frame! {
    /// The client's first frame; the body is the credential.
    Hello, Hello {
        /// The client's id: random, not 0, kept for as long as its session matters. 0 only with the read-only flag.
        client: u128,
        /// The cluster that the client expects; 0 for any.
        cluster: u128,
        /// The session to resume; 0 for whichever the client has, or a new one.
        session: u64,
        /// Optional abilities; none are defined.
        features: u64,
        /// The client's release.
        release: u32,
        /// How the client proves who it is: 0 not at all.
        auth_method: u8,
        /// [`HELLO_READ_ONLY`], [`HELLO_OPERATOR`].
        flags: u8,
        /// Zero.
        reserved: [u8; 26],
    }
}

frame! {
    /// The server's answer to a hello; the body is one [`NodeLimits`].
    HelloReply, HelloReply {
        /// The client's id, as it was sent.
        client: u128,
        /// The server's cluster.
        cluster: u128,
        /// The session's number; 0 for a reader.
        session: u64,
        /// Number of the last write that was executed in the session.
        request_last: u64,
        /// The server's epoch.
        epoch: u64,
        /// The server's commit sequence.
        commit: u64,
        /// 1 primary, 2 standby.
        role: u8,
        /// 1 if the session was there before.
        resumed: u8,
        /// Zero.
        reserved: [u8; 2],
        /// See [`RequestStatus`]; not 0: there is no session, and the connection is closed after this frame.
        status: u32,
        /// Optional abilities that the server grants; none are defined.
        features: u64,
    }
}

frame! {
    /// A request; the body is `event_count` events of `event_size` bytes.
    Request, Request {
        /// Writes: the last number plus 1. Reads: any tag.
        request: u64,
        /// The session, as the hello's reply gave it; 0 for a reader.
        session: u64,
        /// Replies of writes up to this number have arrived.
        replies_received: u64,
        /// Reads: at least this sequence must be applied before the read is answered.
        min_sequence: u64,
        /// See [`Operation`].
        operation: u16,
        /// Version of the events' layout: 0.
        event_version: u8,
        /// Zero.
        reserved: u8,
        /// See [`crate::RequestFlags`].
        flags: u32,
        /// Bytes of one event.
        event_size: u16,
        /// Zero.
        reserved_2: u16,
        /// Number of events.
        event_count: u32,
        /// The client's release.
        release: u32,
        /// Zero.
        reserved_3: [u8; 28],
    }
}

frame! {
    /// What became of a request; the body is `result_count` records of `result_size` bytes.
    Reply, Reply {
        /// The request's number or tag.
        request: u64,
        /// The log sequence of the request, or, for a read, of the last write before it.
        sequence: u64,
        /// The server's epoch.
        epoch: u64,
        /// The number of the request's last event: nanoseconds since 1970.
        timestamp: u64,
        /// The server's commit sequence when it replied.
        commit: u64,
        /// The request's operation.
        operation: u16,
        /// Bytes of one record.
        result_size: u16,
        /// Number of records in the body.
        result_count: u32,
        /// Number of events in the request.
        event_count: u32,
        /// See [`RequestStatus`].
        status: u32,
        /// [`REPLY_REPLAYED`], [`REPLY_COMPACT`].
        flags: u32,
        /// Durable copies when the reply was released; 0 for a refusal that was never sequenced.
        copies_durable: u8,
        /// Zero.
        reserved: [u8; 19],
    }
}

frame! {
    /// The connection ends, and why; the body is a text for people.
    Error, Error {
        /// See [`RequestStatus`].
        status: u32,
        /// Zero.
        reserved: u32,
        /// The request that it is about, if known.
        request: u64,
        /// Zero.
        reserved_2: [u8; 64],
    }
}

frame! {
    /// Are you there? No body.
    Ping, Ping {
        /// Comes back in the pong.
        nonce: u64,
        /// Zero.
        reserved: [u8; 72],
    }
}

frame! {
    /// Yes. No body.
    Pong, Pong {
        /// From the ping.
        nonce: u64,
        /// The server's commit sequence.
        commit: u64,
        /// Zero.
        reserved: [u8; 64],
    }
}

/// Body of a hello's reply: what the server allows.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct NodeLimits {
    /// Bytes of a frame at the most.
    pub frame_size_max: u32,
    /// Events of a request at the most.
    pub events_max: u32,
    /// Writes of a session whose replies are not reported as received, at the most.
    pub window_requests: u32,
    /// Bytes of a session's stored replies at the most; an event counts 16 until its reply is reported as received.
    pub window_bytes: u32,
    /// A request must arrive whole within this time.
    pub partial_timeout_ms: u32,
    /// Replies must be read with at most this pause.
    pub slow_reader_timeout_ms: u32,
    /// Bytes of unread replies at the most before the server stops reading.
    pub reply_bytes_max: u32,
    /// Zero.
    pub reserved: u32,
    /// Accounts that fit.
    pub account_count_max: u64,
    /// Transfers that fit.
    pub transfer_count_max: u64,
    /// Alarms of the node that stand, as the bits of its file of counters.
    pub alarms: u64,
    /// Zero.
    pub reserved_2: [u8; 8],
    /// Address of the primary if this node is not it, padded with zeros.
    pub primary_hint: [[u8; 32]; 2],
}

const _: () = {
    assert!(size_of::<Prefix>() == 48);
    assert!(size_of::<NodeLimits>() == 128);
};

/// A header that passed all checks that need no context.
#[derive(Clone, Copy, Debug)]
pub enum Header {
    /// See [`Hello`].
    Hello(Hello),
    /// See [`HelloReply`].
    HelloReply(HelloReply),
    /// See [`Request`].
    Request(Request),
    /// See [`Reply`].
    Reply(Reply),
    /// See [`Error`].
    Error(Error),
    /// See [`Ping`].
    Ping(Ping),
    /// See [`Pong`].
    Pong(Pong),
}

impl Header {
    /// Reads a header: magic, checksum, version, size, kind and reserved bytes, in this order.
    ///
    /// # Errors
    /// The first check that fails, as the status that ends the connection.
    #[inline]
    pub fn parse(bytes: &[u8; HEADER_SIZE]) -> Result<Self, RequestStatus> {
        let prefix: Prefix = read(bytes);
        if prefix.magic != MAGIC {
            return Err(RequestStatus::BadMagic);
        }
        if prefix.checksum != frame_checksum(&bytes[16..]) {
            return Err(RequestStatus::HeaderChecksumMismatch);
        }
        if prefix.protocol != PROTOCOL {
            return Err(RequestStatus::ProtocolUnsupported);
        }
        if prefix.size < HEADER_SIZE as u32 || prefix.size > FRAME_SIZE_MAX as u32 {
            return Err(RequestStatus::FrameSizeInvalid);
        }
        let header = match prefix.kind {
            1 => Self::Hello(read(bytes)),
            2 => Self::HelloReply(read(bytes)),
            3 => Self::Request(read(bytes)),
            4 => Self::Reply(read(bytes)),
            5 => Self::Error(read(bytes)),
            6 => Self::Ping(read(bytes)),
            7 => Self::Pong(read(bytes)),
            _ => return Err(RequestStatus::FrameKindUnknown),
        };
        if prefix.reserved != [0; 6] || !header.reserved_is_zero() {
            return Err(RequestStatus::ReservedNotZero);
        }
        if header.body_size() > header.body_size_max() {
            return Err(RequestStatus::FrameSizeInvalid);
        }
        Ok(header)
    }

    /// The part that all frames share.
    #[must_use]
    pub const fn prefix(&self) -> &Prefix {
        match self {
            Self::Hello(frame) => &frame.prefix,
            Self::HelloReply(frame) => &frame.prefix,
            Self::Request(frame) => &frame.prefix,
            Self::Reply(frame) => &frame.prefix,
            Self::Error(frame) => &frame.prefix,
            Self::Ping(frame) => &frame.prefix,
            Self::Pong(frame) => &frame.prefix,
        }
    }

    /// Bytes of the body that follows.
    #[must_use]
    pub const fn body_size(&self) -> usize {
        self.prefix().size as usize - HEADER_SIZE
    }

    /// Whether the body is the one that the header was made for.
    ///
    /// # Errors
    /// The status that ends the connection.
    pub fn check_body(&self, body: &[u8]) -> Result<(), RequestStatus> {
        if self.prefix().checksum_body == frame_checksum(body) {
            Ok(())
        } else {
            Err(RequestStatus::BodyChecksumMismatch)
        }
    }

    const fn body_size_max(&self) -> usize {
        match self {
            Self::Hello(_) => CREDENTIAL_SIZE_MAX,
            Self::HelloReply(_) => size_of::<NodeLimits>(),
            Self::Request(_) | Self::Reply(_) => BODY_SIZE_MAX,
            Self::Error(_) => crate::limits::ERROR_TEXT_SIZE_MAX,
            Self::Ping(_) | Self::Pong(_) => 0,
        }
    }

    fn reserved_is_zero(&self) -> bool {
        match self {
            Self::Hello(frame) => {
                frame.reserved == [0; 26] && frame.flags & !(HELLO_READ_ONLY | HELLO_OPERATOR) == 0
            }
            Self::HelloReply(frame) => frame.reserved == [0; 2],
            Self::Request(frame) => {
                frame.reserved == 0 && frame.reserved_2 == 0 && frame.reserved_3 == [0; 28]
            }
            Self::Reply(frame) => frame.reserved == [0; 19],
            Self::Error(frame) => frame.reserved == 0 && frame.reserved_2 == [0; 64],
            Self::Ping(frame) => frame.reserved == [0; 72],
            Self::Pong(frame) => frame.reserved == [0; 64],
        }
    }
}

impl Request {
    /// Checks that operation, sizes and flags agree with each other, in this order.
    ///
    /// # Errors
    /// The status of the reply that refuses the request; the connection goes on.
    pub fn check(&self) -> Result<Operation, RequestStatus> {
        let operation = Operation::from_number(self.operation)
            .filter(|operation| operation.is_for_clients())
            .ok_or(RequestStatus::OperationUnknown)?;
        if usize::from(self.event_size) != operation.event_size() || self.event_version != 0 {
            return Err(RequestStatus::EventSizeInvalid);
        }
        let (least, most) = operation.event_count_range();
        if !(least..=most).contains(&self.event_count) {
            return Err(RequestStatus::EventCountInvalid);
        }
        let body_size = self.prefix.size as usize - HEADER_SIZE;
        if self.event_count as usize * operation.event_size() != body_size {
            return Err(RequestStatus::BodySizeInvalid);
        }
        if self.flags != 0 {
            return Err(RequestStatus::RequestFlagsInvalid);
        }
        Ok(operation)
    }
}

fn read<T: FromBytes>(bytes: &[u8; HEADER_SIZE]) -> T {
    T::read_from_prefix(bytes).expect("invariant: no header part is larger than the header").0
}

#[cfg(test)]
mod tests;
