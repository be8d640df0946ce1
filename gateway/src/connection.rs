//! What the gateway knows about one connection.
//!
//! A connection holds at most: a header in the making, one pooled buffer, the list of its requests in flight, and its
//! replies that wait for the socket. Idle, it holds none but the first.

use crate::outbox::Outbox;
use crate::pool::Buffer;
use crate::slots::Token;
use mio::net::TcpStream;
use mizan_wire::limits::HEADER_SIZE;
use std::collections::VecDeque;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// No hello yet.
    Fresh,
    /// The hello is at the sink; what comes behind it waits.
    Registering,
    /// Requests are taken.
    Open,
    /// The last frame is on its way; what still comes is discarded.
    Closing,
}

/// A request that is to be answered. Two words, so that it is handed over in registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InFlight {
    pub(crate) request: u64,
    /// Bytes that its reply may take.
    pub(crate) reserve: u32,
    /// For a refusal that waits for the replies before it: the status, else 0.
    pub(crate) refusal: u16,
    pub(crate) operation: u16,
}

const _: () = assert!(size_of::<InFlight>() == 16, "a connection may have thousands in flight");

/// Bytes in a pooled buffer, beginning with a frame.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) buffer: Buffer,
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Size of the one frame that lies here and is incomplete; `None`: there may be whole frames.
    pub(crate) incomplete: Option<u32>,
}

pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) token: Token,
    pub(crate) phase: Phase,
    pub(crate) client: u128,
    pub(crate) session: u64,
    pub(crate) outbox: Outbox,
    pub(crate) in_flight: VecDeque<InFlight>,
    /// Sum of what is reserved for requests in flight.
    pub(crate) reserved_bytes: usize,
    pub(crate) held: Option<Held>,
    /// Bytes of a refused request's body that are still to come.
    pub(crate) skip: u32,
    pub(crate) head_size: u8,
    pub(crate) head: [u8; HEADER_SIZE],

    /// The socket may have bytes, or the end, that were not read.
    pub(crate) is_readable: bool,
    /// The socket may take bytes.
    pub(crate) is_writable: bool,
    /// The end, or an error, lies behind the bytes in the socket.
    pub(crate) is_ending: bool,
    /// All was read that will ever come.
    pub(crate) is_ended: bool,
    /// Our end is shut.
    pub(crate) is_shut: bool,
    /// A frame was completed in this turn.
    pub(crate) has_completed: bool,
    /// Waits for replies to be sent before it is read again.
    pub(crate) is_blocked: bool,
    /// The peer is on this machine.
    pub(crate) is_local: bool,
    /// Has a place beyond those that all have.
    pub(crate) is_extra: bool,
    /// Has one of the operators' places.
    pub(crate) is_operator: bool,
    /// The engine keeps no session of this client.
    pub(crate) is_sessionless: bool,
    /// Waits for a receive buffer.
    pub(crate) waits_for_buffer: bool,
    pub(crate) is_in_ready: bool,
    pub(crate) is_in_dirty: bool,

    /// When bytes came last.
    pub(crate) heard_ns: u64,
    /// Place in the queue of connections without a hello: that of `extras` for an extra one, else that of `fresh`.
    pub(crate) fresh_since: Option<u64>,
    /// Place in the queue of open connections.
    pub(crate) idle_since: Option<u64>,
    /// Place in the queue of incomplete frames.
    pub(crate) partial_since: Option<u64>,
    /// Place in the queue of sockets that take nothing.
    pub(crate) stalled_since: Option<u64>,
    /// Place in the queue of connections at their end.
    pub(crate) closing_since: Option<u64>,
}

const _: () = assert!(size_of::<Connection>() <= 480, "an idle connection is to stay small");

impl Connection {
    pub(crate) fn new(stream: TcpStream, token: Token) -> Self {
        Self {
            stream,
            token,
            phase: Phase::Fresh,
            client: 0,
            session: 0,
            outbox: Outbox::default(),
            in_flight: VecDeque::new(),
            reserved_bytes: 0,
            held: None,
            skip: 0,
            head_size: 0,
            head: [0; HEADER_SIZE],
            // What came before the socket was watched raises no event of its own on every system.
            is_readable: true,
            is_writable: true,
            is_ending: false,
            is_ended: false,
            is_shut: false,
            has_completed: false,
            is_blocked: false,
            is_local: false,
            is_extra: false,
            is_operator: false,
            is_sessionless: false,
            waits_for_buffer: false,
            is_in_ready: false,
            is_in_dirty: false,
            heard_ns: 0,
            fresh_since: None,
            idle_since: None,
            partial_since: None,
            stalled_since: None,
            closing_since: None,
        }
    }

    /// Bytes of replies that wait for the socket or may come.
    pub(crate) fn pending_reply_bytes(&self) -> usize {
        self.outbox.len() + self.reserved_bytes
    }

    /// Whether a frame lies here that its client has not completed.
    pub(crate) fn has_incomplete_frame(&self) -> bool {
        let is_held_incomplete = self.held.as_ref().is_some_and(|held| held.incomplete.is_some());
        self.phase != Phase::Closing && (self.skip > 0 || self.head_size > 0 || is_held_incomplete)
    }

    /// Whether the peer waits for nothing, so that its silence is its own.
    pub(crate) fn is_owed_nothing(&self) -> bool {
        self.in_flight.is_empty() && self.outbox.is_empty()
    }

    /// Whether nothing is left to be said to a peer that has hung up.
    pub(crate) fn is_done(&self) -> bool {
        self.is_ended
            && self.outbox.is_empty()
            && self.in_flight.is_empty()
            && self.phase != Phase::Registering
    }
}
