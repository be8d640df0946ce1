//! From bytes to requests: takes whole frames off the front of a slice, checks them, and hands them over.
//!
//! The order of checks is the protocol's: header, phase of the connection, room for a reply, the request's own sizes,
//! session, what the node takes; then, with the whole body, its checksum; then the sink. Nothing has an effect before
//! the frame is whole, so the same bytes may be looked at again later. A refused request is answered when its header is
//! there, and its body is passed over without being kept.
//!
//! What is absent: sockets and buffers.

use crate::common::Common;
use crate::connection::{Connection, InFlight, Phase};
use crate::interface::{RequestSink, Submission, reply_size_max};
use mizan_wire::frame::MAGIC;
use mizan_wire::frame::{HELLO_OPERATOR, HELLO_READ_ONLY, Header, Hello, PROTOCOL, Request};
use mizan_wire::limits::HEADER_SIZE;
use mizan_wire::{Operation, RegisterRecord, RequestFlags, RequestHeader, RequestStatus, Status};

/// Why a connection is not read on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Block {
    /// The sink has no room.
    Room,
    /// Replies must be sent first.
    Replies,
}

/// How a connection is to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Farewell {
    /// With an error frame about this request (0 if none).
    Error(RequestStatus, u64),
    /// Everything has been said.
    Said,
}

enum Step {
    Taken(usize),
    Incomplete(usize),
    Blocked(Block),
    Close(Farewell),
}

/// Why no more frames were taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stop {
    /// Nothing is left.
    End,
    /// A frame of this size (at least) is not complete.
    Incomplete(usize),
    /// The next frame must wait.
    Blocked(Block),
    /// The connection is to be closed.
    Close(Farewell),
}

/// Whether nothing that comes now could be taken.
pub(crate) fn is_blocked(connection: &Connection, common: &Common) -> bool {
    connection.phase == Phase::Registering
        || connection.in_flight.len() >= common.config.in_flight_max
        || connection.pending_reply_bytes() + HEADER_SIZE > common.config.reply_bytes_max
}

/// Takes frames off the front of `bytes` for as long as it can. Returns the bytes taken, and why it stopped.
///
/// `room` is what the sink can take; it is reduced by what it was given.
pub(crate) fn take_all(
    connection: &mut Connection,
    common: &mut Common,
    room: &mut usize,
    sink: &mut impl RequestSink,
    bytes: &[u8],
) -> (usize, Stop) {
    let mut taken = 0;
    loop {
        taken += pass_over(connection, bytes.len() - taken);
        let rest = &bytes[taken..];
        if rest.is_empty() {
            return (taken, Stop::End);
        }
        let mut taking = Taking { connection, common, room, sink };
        match taking.take(rest) {
            Step::Taken(size) => {
                taken += size;
                connection.has_completed = true;
            }
            Step::Incomplete(size) => return (taken, Stop::Incomplete(size)),
            Step::Blocked(block) => return (taken, Stop::Blocked(block)),
            Step::Close(farewell) => return (taken, Stop::Close(farewell)),
        }
    }
}

/// Passes over what is left of a refused request's body. Returns how much of `available` that is.
pub(crate) fn pass_over(connection: &mut Connection, available: usize) -> usize {
    let passed = available.min(connection.skip as usize);
    if passed > 0 {
        connection.skip -= passed as u32;
        connection.has_completed |= connection.skip == 0;
    }
    passed
}

struct Taking<'a, S> {
    connection: &'a mut Connection,
    common: &'a mut Common,
    room: &'a mut usize,
    sink: &'a mut S,
}

impl<S: RequestSink> Taking<'_, S> {
    fn take(&mut self, bytes: &[u8]) -> Step {
        let Some(header) = bytes.first_chunk::<HEADER_SIZE>() else {
            // Another protocol's client may wait for an answer before it sends as much as a header.
            let is_foreign = bytes.get(32..36).is_some_and(|magic| magic != MAGIC.to_le_bytes());
            return if is_foreign {
                Step::Close(Farewell::Error(RequestStatus::BadMagic, 0))
            } else {
                Step::Incomplete(HEADER_SIZE)
            };
        };
        let header = match Header::parse(header) {
            Ok(header) => header,
            Err(status) => return Step::Close(Farewell::Error(status, 0)),
        };
        match &header {
            Header::Request(request) => self.take_request(&header, request, bytes),
            Header::Hello(hello) => self.take_hello(&header, hello, bytes),
            Header::Ping(ping) => {
                if let Err(status) = header.check_body(&[]) {
                    return Step::Close(Farewell::Error(status, 0));
                }
                let limit = self.common.config.reply_bytes_max;
                if self.connection.pending_reply_bytes() + HEADER_SIZE > limit {
                    return Step::Blocked(Block::Replies);
                }
                self.common.push_pong(self.connection, ping.nonce);
                Step::Taken(HEADER_SIZE)
            }
            Header::HelloReply(_) | Header::Reply(_) | Header::Error(_) | Header::Pong(_) => {
                Step::Close(Farewell::Error(RequestStatus::FrameKindUnknown, 0))
            }
        }
    }

    fn take_request(&mut self, header: &Header, request: &Request, bytes: &[u8]) -> Step {
        let number = request.request;
        match self.connection.phase {
            Phase::Fresh => {
                return Step::Close(Farewell::Error(RequestStatus::HelloExpected, number));
            }
            Phase::Registering => return Step::Blocked(Block::Replies),
            Phase::Open | Phase::Closing => {}
        }
        if is_blocked(self.connection, self.common) {
            return Step::Blocked(Block::Replies);
        }
        let size = HEADER_SIZE + header.body_size();
        let operation = match request.check().and_then(|found| self.admit_request(request, found)) {
            Ok(operation) => operation,
            Err(status) => {
                self.refuse(request, status);
                let available = size.min(bytes.len());
                self.connection.skip = (size - available) as u32;
                return Step::Taken(available);
            }
        };
        let Some(body) = bytes.get(HEADER_SIZE..size) else {
            return Step::Incomplete(size);
        };
        if let Err(status) = header.check_body(body) {
            return Step::Close(Farewell::Error(status, number));
        }
        let reserve = reply_size_max(operation, request.event_count);
        if self.connection.pending_reply_bytes() + reserve > self.common.config.reply_bytes_max {
            return Step::Blocked(Block::Replies);
        }
        match self.submit(&self.request_entry(request, operation, body), body) {
            Submission::Accepted => {
                let Connection { client, session, .. } = *self.connection;
                self.common.disconnects.note(client, session, operation, body);
                let entry = InFlight {
                    request: number,
                    reserve: reserve as u32,
                    refusal: 0,
                    operation: request.operation,
                };
                self.common.push_in_flight(self.connection, entry);
                Step::Taken(size)
            }
            Submission::Busy => Step::Blocked(Block::Room),
            Submission::Refused(status) => {
                self.refuse(request, status);
                Step::Taken(size)
            }
        }
    }

    /// The checks that need to know the connection and the node.
    fn admit_request(
        &self,
        request: &Request,
        operation: Operation,
    ) -> Result<Operation, RequestStatus> {
        let is_read = operation.is_read();
        if !is_read && self.connection.session == 0 {
            return Err(RequestStatus::SessionRequired);
        }
        if request.session != self.connection.session {
            return Err(RequestStatus::SessionUnknown);
        }
        self.common.refusal(is_read).map_or(Ok(operation), Err)
    }

    // Inlined with what follows it, so that the header is first written where the sink wants it.
    #[inline(always)]
    fn request_entry(&self, request: &Request, operation: Operation, body: &[u8]) -> RequestHeader {
        let replies_received =
            if operation.is_read() { request.min_sequence } else { request.replies_received };
        let mut entry = RequestHeader {
            client: self.connection.client,
            session: self.connection.session,
            request: request.request,
            replies_received,
            origin: self.connection.token.number(),
            release: request.release,
            operation: request.operation,
            event_version: request.event_version,
            protocol: PROTOCOL,
            flags: request.flags,
            event_size: request.event_size,
            event_count: request.event_count,
            body_size: request.prefix.size - HEADER_SIZE as u32,
            ..RequestHeader::default()
        };
        entry.request_checksum = entry.identity(body);
        entry
    }

    #[inline(always)]
    fn submit(&mut self, entry: &RequestHeader, body: &[u8]) -> Submission {
        let Some(room) = self.room.checked_sub(entry.entry_size()) else {
            return Submission::Busy;
        };
        let submission = self.sink.submit(entry, body);
        if submission == Submission::Accepted {
            *self.room = room;
            self.common.in_flight += 1;
            self.common.counters.requests += 1;
        }
        submission
    }

    /// Answers without the sink; behind the replies that are still to come.
    fn refuse(&mut self, request: &Request, status: RequestStatus) {
        self.common.counters.requests_refused += 1;
        let (number, operation) = (request.request, request.operation);
        if self.connection.in_flight.is_empty() {
            self.common.push_refusal(self.connection, number, operation, status.number());
            return;
        }
        let reserve = HEADER_SIZE as u32;
        let refusal = u16::try_from(status.number())
            .expect("invariant: the numbers of statuses of requests have 16 bits");
        let entry = InFlight { request: number, reserve, refusal, operation };
        self.common.push_in_flight(self.connection, entry);
    }

    fn take_hello(&mut self, header: &Header, hello: &Hello, bytes: &[u8]) -> Step {
        if self.connection.phase != Phase::Fresh {
            return Step::Close(Farewell::Error(RequestStatus::HelloRepeated, 0));
        }
        let size = HEADER_SIZE + header.body_size();
        let Some(credential) = bytes.get(HEADER_SIZE..size) else {
            return Step::Incomplete(size);
        };
        if let Err(status) = header.check_body(credential) {
            return Step::Close(Farewell::Error(status, 0));
        }
        if self.connection.is_extra && !self.take_operator_place(hello) {
            self.common.counters.refused_connections += 1;
            return Step::Close(Farewell::Error(RequestStatus::TooManyConnections, 0));
        }
        self.connection.client = hello.client;
        if let Err(status) = self.admit_hello(hello, credential) {
            return self.refuse_hello(status);
        }
        if is_reader(hello) {
            self.connection.phase = Phase::Open;
            self.common.enter_idle(self.connection);
            self.common.counters.hellos += 1;
            let record = RegisterRecord::default();
            self.common.push_hello_reply(self.connection, RequestStatus::Ok, &record);
            return Step::Taken(size);
        }
        let mut entry = RequestHeader {
            client: hello.client,
            session: hello.session,
            origin: self.connection.token.number(),
            release: hello.release,
            operation: Operation::Register.number(),
            protocol: PROTOCOL,
            ..RequestHeader::default()
        };
        if is_operator(self.connection, hello) {
            entry.flags = RequestFlags::OPERATOR;
        }
        entry.request_checksum = entry.identity(&[]);
        match self.submit(&entry, &[]) {
            Submission::Accepted => {
                self.connection.phase = Phase::Registering;
                self.take_session_over(hello.client);
                Step::Taken(size)
            }
            Submission::Busy => Step::Blocked(Block::Room),
            Submission::Refused(status) => self.refuse_hello(status),
        }
    }

    fn admit_hello(&self, hello: &Hello, credential: &[u8]) -> Result<(), RequestStatus> {
        if hello.cluster != 0 && hello.cluster != self.common.view.cluster {
            return Err(RequestStatus::ClusterMismatch);
        }
        if hello.auth_method != 0 {
            return Err(RequestStatus::AuthMethodUnsupported);
        }
        if !credential.is_empty() {
            return Err(RequestStatus::CredentialsRefused);
        }
        if !is_reader(hello) && hello.client == 0 {
            return Err(RequestStatus::ClientIdInvalid);
        }
        self.common.refusal(is_reader(hello)).map_or(Ok(()), Err)
    }

    /// Whether the connection may stay although all places are taken.
    fn take_operator_place(&mut self, hello: &Hello) -> bool {
        if self.connection.is_operator {
            return true;
        }
        let is_free = self.common.operators < self.common.config.operator_count_max;
        let is_operator = is_free && is_operator(self.connection, hello);
        self.connection.is_operator = is_operator;
        self.common.operators += usize::from(is_operator);
        is_operator
    }

    fn refuse_hello(&mut self, status: RequestStatus) -> Step {
        self.common.counters.hellos_refused += 1;
        let record = RegisterRecord::default();
        self.common.push_hello_reply(self.connection, status, &record);
        Step::Close(Farewell::Said)
    }

    /// A session lives on one connection. The older one loses it now, before the engine sees the newer hello, so that
    /// nothing of the older follows the hello in the order, and the number in its reply is final.
    fn take_session_over(&mut self, client: u128) {
        self.common.losses.regain(client);
        let older = self.common.sessions.insert(client, self.connection.token);
        self.common.taken_over.extend(older);
    }
}

/// Nobody proves yet who they are, so that only who has come onto the node's machine is believed.
const fn is_operator(connection: &Connection, hello: &Hello) -> bool {
    connection.is_local && hello.flags & HELLO_OPERATOR != 0
}

const fn is_reader(hello: &Hello) -> bool {
    hello.flags & HELLO_READ_ONLY != 0
}
