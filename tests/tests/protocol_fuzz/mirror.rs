//! What the node must make of the bytes that one connection was sent, and whether what it says agrees with that.
//!
//! It reads the bytes as the page about the protocol says: the first check that fails is the answer, replies come in the
//! order of the requests, an error ends the connection.

use crate::protocol_fuzz::record::{Asked, Known, Record};
use mizan_wire::frame::{HELLO_READ_ONLY, Header, Hello, HelloReply, MAGIC, NodeLimits};
use mizan_wire::limits::HEADER_SIZE;
use mizan_wire::{Operation, RequestStatus, Status, tag};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use zerocopy::FromBytes;

/// Tells connections apart.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// What is still to be answered.
enum Owed {
    Hello(Hello, Option<Known>),
    Reply(Box<Asked>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Fresh,
    Registering,
    /// With this session; 0 for a reader.
    Open(u64),
    /// The hello was refused, or an error was told.
    Over,
}

/// See the module.
pub(crate) struct Mirror {
    connection: u64,
    /// Sent, and not yet a whole frame.
    unparsed: Vec<u8>,
    /// Bytes of a refused request's body that are still to come.
    skip: usize,
    owed: VecDeque<Owed>,
    pongs: VecDeque<u64>,
    /// The error that must end the connection.
    verdict: Option<RequestStatus>,
    phase: Phase,
    client: u128,
    was_partial: bool,
    /// What the outside did to the connection or its node.
    pub(crate) is_stopping: bool,
    pub(crate) was_deaf: bool,
    pub(crate) is_finished: bool,
}

impl Mirror {
    pub(crate) fn new() -> Self {
        Self {
            connection: CONNECTIONS.fetch_add(1, Ordering::Relaxed),
            unparsed: Vec::new(),
            skip: 0,
            owed: VecDeque::new(),
            pongs: VecDeque::new(),
            verdict: None,
            phase: Phase::Fresh,
            client: 0,
            was_partial: false,
            is_stopping: false,
            was_deaf: false,
            is_finished: false,
        }
    }

    /// The session that the connection has, if it was told.
    pub(crate) const fn session(&self) -> Option<u64> {
        match self.phase {
            Phase::Open(session) => Some(session),
            _ => None,
        }
    }

    /// Whether the node has nothing more to say, unless it is asked.
    pub(crate) fn is_quiet(&self) -> bool {
        let must_end = self.verdict.is_some() || self.phase == Phase::Over || self.is_finished;
        !must_end && self.owed.is_empty() && self.pongs.is_empty()
    }

    /// Whether a frame has begun that is not whole.
    pub(crate) fn is_partial(&self) -> bool {
        !self.unparsed.is_empty() || self.skip > 0
    }

    /// Writes that were sent and not answered.
    pub(crate) fn has_writes_owed(&self) -> bool {
        self.owed.iter().any(|owed| match owed {
            Owed::Hello(..) => true,
            Owed::Reply(asked) => asked.write().is_some(),
        })
    }

    /// These bytes have been given to the socket.
    pub(crate) fn sent(&mut self, bytes: &[u8], record: &mut Record) {
        let mut unparsed = std::mem::take(&mut self.unparsed);
        unparsed.extend_from_slice(bytes);
        let mut rest = unparsed.as_slice();
        while self.verdict.is_none() {
            let passed = self.skip.min(rest.len());
            self.skip -= passed;
            rest = &rest[passed..];
            let Some(size) = self.take(rest, record) else { break };
            self.skip = size.saturating_sub(rest.len());
            rest = &rest[size.min(rest.len())..];
        }
        if self.verdict.is_none() {
            self.unparsed = rest.to_vec();
        }
        self.was_partial |= self.is_partial() && self.phase != Phase::Registering;
    }

    /// Takes the frame at the front; gives its size, unless it is not whole or ends the connection.
    fn take(&mut self, bytes: &[u8], record: &mut Record) -> Option<usize> {
        let Some(head) = bytes.first_chunk::<HEADER_SIZE>() else {
            if bytes.get(32..36).is_some_and(|magic| magic != MAGIC.to_le_bytes()) {
                self.verdict = Some(RequestStatus::BadMagic);
            }
            return None;
        };
        let header = match Header::parse(head) {
            Ok(header) => header,
            Err(status) => return self.end_with(status),
        };
        let size = HEADER_SIZE + header.body_size();
        let body = bytes.get(HEADER_SIZE..size);
        match header {
            Header::Ping(ping) => {
                if let Err(status) = header.check_body(&[]) {
                    return self.end_with(status);
                }
                self.pongs.push_back(ping.nonce);
            }
            Header::Hello(hello) => {
                if self.phase != Phase::Fresh {
                    return self.end_with(RequestStatus::HelloRepeated);
                }
                if let Err(status) = header.check_body(body?) {
                    return self.end_with(status);
                }
                self.phase = Phase::Registering;
                self.client = hello.client;
                let known = record.hello_sent(hello.client);
                self.owed.push_back(Owed::Hello(hello, known));
            }
            Header::Request(request) => {
                match self.phase {
                    Phase::Fresh => return self.end_with(RequestStatus::HelloExpected),
                    // It is held until the hello is answered.
                    Phase::Registering => return None,
                    Phase::Open(_) | Phase::Over => {}
                }
                let operation = request.check();
                let refusal = operation.and_then(|operation| self.admit(&request, operation)).err();
                if refusal.is_none()
                    && let Err(status) = header.check_body(body?)
                {
                    return self.end_with(status);
                }
                let whole = body.unwrap_or_default();
                let identity = tag(whole) ^ u128::from(request.operation);
                let frame = bytes[..size.min(bytes.len())].to_vec();
                let session = self.session().unwrap_or(request.session);
                let was_executed = record.has_executed(session, request.request);
                let asked = Asked {
                    request,
                    session,
                    connection: self.connection,
                    was_executed,
                    refusal,
                    identity,
                    frame,
                };
                record.asked(&asked);
                self.owed.push_back(Owed::Reply(Box::new(asked)));
            }
            Header::HelloReply(_) | Header::Reply(_) | Header::Error(_) | Header::Pong(_) => {
                return self.end_with(RequestStatus::FrameKindUnknown);
            }
        }
        Some(size)
    }

    fn end_with(&mut self, status: RequestStatus) -> Option<usize> {
        self.verdict = Some(status);
        None
    }

    fn admit(
        &self,
        request: &mizan_wire::frame::Request,
        operation: Operation,
    ) -> Result<(), RequestStatus> {
        let Phase::Open(session) = self.phase else { return Ok(()) };
        if session == 0 && !operation.is_read() {
            return Err(RequestStatus::SessionRequired);
        }
        if request.session != session {
            return Err(RequestStatus::SessionUnknown);
        }
        Ok(())
    }

    /// The node has sent this frame.
    pub(crate) fn heard(
        &mut self,
        header: &Header,
        body: &[u8],
        record: &mut Record,
    ) -> Result<(), String> {
        if self.phase == Phase::Over {
            return Err(format!("{header:?} follows the last frame"));
        }
        match header {
            Header::HelloReply(reply) => self.heard_hello(reply, body, record),
            Header::Reply(reply) => match self.owed.pop_front() {
                Some(Owed::Reply(asked)) => record.replied(&asked, reply, body),
                _ => Err(format!("{reply:?} answers nothing that was asked")),
            },
            Header::Pong(pong) => {
                let nonce = self.pongs.pop_front();
                let is_asked = nonce == Some(pong.nonce);
                is_asked.then_some(()).ok_or_else(|| format!("{pong:?} instead of {nonce:?}"))
            }
            Header::Error(error) => {
                let status = known(error.status)?;
                let text = std::str::from_utf8(body).unwrap_or_default();
                if text.is_empty() || !self.may_end_with(status, record) {
                    let expected = self.verdict.map(RequestStatus::name);
                    let name = status.name();
                    return Err(format!("the error {name} ({text:?}) instead of {expected:?}"));
                }
                self.phase = Phase::Over;
                Ok(())
            }
            Header::Hello(_) | Header::Request(_) | Header::Ping(_) => {
                Err("the node sent a client's frame".to_owned())
            }
        }
    }

    fn may_end_with(&self, status: RequestStatus, record: &Record) -> bool {
        self.verdict == Some(status)
            || match status {
                RequestStatus::PartialRequestTimeout => self.was_partial,
                RequestStatus::HelloTimeout => self.session().is_none(),
                RequestStatus::ShuttingDown => self.is_stopping,
                RequestStatus::SessionTakenOver => record.hello_count(self.client) > 1,
                _ => false,
            }
    }

    fn heard_hello(
        &mut self,
        reply: &HelloReply,
        body: &[u8],
        record: &mut Record,
    ) -> Result<(), String> {
        let Some(Owed::Hello(hello, known_session)) = self.owed.pop_front() else {
            return Err(format!("{reply:?} answers no hello"));
        };
        let status = known(reply.status)?;
        let limits =
            NodeLimits::read_from_bytes(body).map_err(|_| "no limits in a hello's reply")?;
        if reply.client != hello.client || limits.events_max == 0 {
            return Err(format!("{reply:?} with {limits:?} answers {hello:?}"));
        }
        if status != RequestStatus::Ok {
            let is_due = match status {
                RequestStatus::ClusterMismatch => hello.cluster != 0,
                RequestStatus::AuthMethodUnsupported => hello.auth_method != 0,
                RequestStatus::CredentialsRefused => hello.prefix.size as usize > HEADER_SIZE,
                RequestStatus::ClientIdInvalid => hello.client == 0,
                RequestStatus::SessionUnknown => hello.session != 0,
                RequestStatus::SessionsFull => true,
                RequestStatus::ShuttingDown => self.is_stopping,
                _ => false,
            };
            self.phase = Phase::Over;
            self.owed.clear();
            return is_due
                .then_some(())
                .ok_or_else(|| format!("{hello:?} is refused with {}", status.name()));
        }
        let is_reader = hello.flags & HELLO_READ_ONLY != 0;
        if is_reader != (reply.session == 0)
            || !is_reader && ![0, reply.session].contains(&hello.session)
        {
            return Err(format!("{reply:?} answers {hello:?}"));
        }
        self.phase = Phase::Open(reply.session);
        if !is_reader {
            record.opened(reply, known_session)?;
        }
        self.sent(&[], record);
        Ok(())
    }

    /// Whether the connection may end anywhere.
    pub(crate) const fn is_excused(&self) -> bool {
        self.is_stopping || self.was_deaf
    }

    /// The node has hung up.
    pub(crate) fn ended(&self) -> Result<(), String> {
        let is_served = self.is_finished && self.owed.is_empty() && self.verdict.is_none();
        if self.phase == Phase::Over || self.is_excused() || is_served {
            return Ok(());
        }
        let (owed, verdict) = (self.owed.len(), self.verdict.map(RequestStatus::name));
        Err(format!(
            "the node hung up without a word; {owed} replies are owed, {verdict:?} was due"
        ))
    }
}

/// The status with this number.
pub(crate) fn known(number: u32) -> Result<RequestStatus, String> {
    RequestStatus::from_number(number).ok_or_else(|| format!("{number} is no status of a request"))
}
