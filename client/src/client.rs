//! The client itself: joins connection, session and time.
//!
//! Everything happens inside of calls, in rounds: connect or say hello if need be, seal and send what may be sent,
//! read and check what has come, report what is over, and only then wait.

use crate::connection::Connection;
use crate::constants::{FLUSH_SIZE, RELEASE, SPARE_BODIES_MAX};
use crate::error::Trouble;
use crate::hello::{self, NodeInfo};
use crate::reads::Reads;
use crate::reply::{Completion, RequestId};
use crate::route::Route;
use crate::writes::{Settled, Writes};
use crate::{ClientConfig, ClientError};
use bytes::{Bytes, BytesMut};
use mizan_wire::frame::{NodeLimits, Ping, Request};
use mizan_wire::{Operation, RequestStatus, Status};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

pub(crate) enum Link {
    Down,
    Hello { connection: Box<Connection>, deadline: Instant },
    Ready(Box<Connection>),
}

/// A ping that waits for its pong.
pub(crate) struct PendingPing {
    pub(crate) nonce: u64,
    pub(crate) sent: bool,
    pub(crate) commit: Option<u64>,
}

/// A connection to a cluster, with one session; see the crate's own page.
pub struct Client {
    pub(crate) config: ClientConfig,
    pub(crate) link: Link,
    pub(crate) info: NodeInfo,
    pub(crate) is_established: bool,
    pub(crate) writes: Writes,
    pub(crate) reads: Reads,
    pub(crate) completions: VecDeque<Completion>,
    pub(crate) failure: Option<ClientError>,
    pub(crate) ping: Option<PendingPing>,
    /// The highest sequence in a reply: no later read may show less.
    pub(crate) sequence_seen: u64,
    pub(crate) route: Route,
    id_last: u64,
    unsent_size: usize,
    retry_at: Option<Instant>,
    spare_bodies: Vec<BytesMut>,
}

impl Client {
    /// Connects, and opens or resumes the client's session.
    ///
    /// Tries each address once (and a primary that a node names), and blocks for at most the connect timeout on each.
    ///
    /// # Errors
    /// The error of the last address, or the first that no other address can mend.
    pub fn connect(config: ClientConfig) -> Result<Self, ClientError> {
        let Some(address) = config.addresses.first().copied() else {
            return Err(ClientError::Invalid("no address given; name at least one node"));
        };
        if config.client_id == 0 && !config.read_only {
            return Err(ClientError::Invalid("client id 0 has no session; choose one at random"));
        }
        if config.credential.len() > mizan_wire::limits::CREDENTIAL_SIZE_MAX {
            return Err(ClientError::Invalid("a credential has at most 256 bytes"));
        }
        let mut client = Self::new(config, address);
        while !client.is_established && client.failure.is_none() {
            client.round(Instant::now() + client.config.connect_timeout);
        }
        match client.failure.take() {
            Some(error) => Err(error),
            None => Ok(client),
        }
    }

    fn new(config: ClientConfig, address: SocketAddr) -> Self {
        let info = NodeInfo {
            address,
            cluster: config.cluster,
            session: 0,
            epoch: 0,
            commit: 0,
            role: 0,
            resumed: false,
            limits: NodeLimits::default(),
        };
        Self {
            route: Route::new(config.addresses.clone()),
            config,
            link: Link::Down,
            info,
            is_established: false,
            writes: Writes::new(0),
            reads: Reads::default(),
            completions: VecDeque::new(),
            failure: None,
            ping: None,
            sequence_seen: 0,
            id_last: 0,
            unsent_size: 0,
            retry_at: None,
            spare_bodies: Vec::new(),
        }
    }

    /// What the node allows, as it said in its last hello.
    #[must_use]
    pub fn limits(&self) -> &NodeLimits {
        &self.info.limits
    }

    /// Events of a request at the most.
    #[must_use]
    pub fn events_max(&self) -> u32 {
        self.info.events_max()
    }

    /// The node's cluster.
    #[must_use]
    pub fn cluster(&self) -> u128 {
        self.info.cluster
    }

    /// The session's number; 0 for a read-only client.
    #[must_use]
    pub fn session(&self) -> u64 {
        self.info.session
    }

    /// The highest epoch seen so far.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.info.epoch
    }

    /// The client's own id.
    #[must_use]
    pub fn client_id(&self) -> u128 {
        self.config.client_id
    }

    /// What the node said of itself.
    #[must_use]
    pub fn node(&self) -> &NodeInfo {
        &self.info
    }

    /// Whether a connection is up and the session on it established.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self.link, Link::Ready(_))
    }

    /// Queues a request. It is sent by the next [`Client::poll`] or [`Client::flush`], or when enough has gathered.
    ///
    /// `events` are whole records of the operation, in their wire layout. Writes run in the order of their submission.
    /// A read shows at least every write whose completion was taken before. Cost: one copy of the events.
    ///
    /// # Errors
    /// `WouldExceedWindow` if replies must come first; `TooManyEvents`, `Invalid` for what no node would take; the
    /// error that ended the client. Nothing was sent in any of these cases.
    pub fn submit(
        &mut self,
        operation: Operation,
        events: &[u8],
    ) -> Result<RequestId, ClientError> {
        let event_count = self.check_submission(operation, events)?;
        let has_room = if operation.is_read() {
            self.reads.has_room()
        } else {
            self.writes.has_room(event_count, &self.info.limits)
        };
        if !has_room {
            return Err(ClientError::WouldExceedWindow);
        }
        let id = self.enqueue(operation, event_count, events);
        self.unsent_size += mizan_wire::limits::HEADER_SIZE + events.len();
        if self.unsent_size >= FLUSH_SIZE {
            self.flush();
        }
        Ok(id)
    }

    fn check_submission(&self, operation: Operation, events: &[u8]) -> Result<u32, ClientError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if !operation.is_for_clients() || operation == Operation::CloseSession {
            return Err(ClientError::Invalid("the operation is not one that can be submitted"));
        }
        if self.config.read_only && !operation.is_read() {
            return Err(ClientError::Invalid(
                "a read-only client cannot write; connect with a session",
            ));
        }
        let (Some(count), 0) = (
            events.len().checked_div(operation.event_size()).or(events.is_empty().then_some(0)),
            events.len().checked_rem(operation.event_size()).unwrap_or(0),
        ) else {
            return Err(ClientError::Invalid("the events are not whole records of the operation"));
        };
        if count == 0 && operation.event_size() != 0 {
            return Err(ClientError::Invalid("a request of this operation has at least one event"));
        }
        let max = self.events_max();
        match u32::try_from(count) {
            Ok(count) if count <= max => Ok(count),
            _ => Err(ClientError::TooManyEvents { count, max }),
        }
    }

    pub(crate) fn enqueue(
        &mut self,
        operation: Operation,
        event_count: u32,
        events: &[u8],
    ) -> RequestId {
        self.id_last += 1;
        let id = RequestId(self.id_last);
        let body = self.body(events);
        let deadline = Instant::now() + self.config.request_timeout;
        if operation.is_read() {
            self.reads.push(id, operation, event_count, body, deadline);
        } else {
            self.writes.push(id, operation, event_count, body, deadline);
        }
        id
    }

    /// Whether a write with so many events could be submitted now.
    #[must_use]
    pub fn can_submit(&self, event_count: u32) -> bool {
        self.failure.is_none()
            && event_count <= self.events_max()
            && self.writes.has_room(event_count, &self.info.limits)
    }

    /// Sends what is queued as far as the socket takes it; does not wait, and reads nothing.
    pub fn flush(&mut self) {
        self.seal(Instant::now());
        if let Link::Ready(connection) = &mut self.link
            && let Err(error) = connection.flush()
        {
            self.lost_by(&error);
        }
    }

    /// Gives the next request that is over; waits for it at most as long as the timeout says.
    ///
    /// Sends, reads, reconnects and resends as needed. With a timeout of zero nothing is waited for, except that an
    /// attempt to connect anew may take the connect timeout.
    ///
    /// # Errors
    /// The error that ended the client, after everything that was in flight has been given.
    pub fn poll(&mut self, timeout: Duration) -> Result<Option<Completion>, ClientError> {
        let until = Instant::now() + timeout;
        let mut is_over = false;
        loop {
            if let Some(completion) = self.completions.pop_front() {
                return Ok(Some(completion));
            }
            if let Some(failure) = &self.failure {
                return Err(failure.clone());
            }
            if is_over {
                return Ok(None);
            }
            self.round(until);
            is_over = Instant::now() >= until;
        }
    }

    /// Requests that were submitted and whose completion is not known yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.writes.unreported() + self.reads.unreported()
    }

    /// The socket, for callers that wait for several clients at once; `None` while no connection is up.
    ///
    /// Valid until the next call on this client.
    #[must_use]
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        match &self.link {
            Link::Down => None,
            Link::Hello { connection, .. } | Link::Ready(connection) => {
                Some(connection.stream.as_fd())
            }
        }
    }

    /// Whether frames wait for the socket to take more.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        match &self.link {
            Link::Down => false,
            Link::Hello { connection, .. } | Link::Ready(connection) => !connection.is_flushed(),
        }
    }

    /// Does what can be done, and waits at most until then if there was nothing.
    pub(crate) fn round(&mut self, until: Instant) {
        let progress = match self.link {
            Link::Down => self.try_connect(),
            Link::Hello { .. } | Link::Ready(_) => self.drive(),
        };
        self.expire();
        if !progress && self.completions.is_empty() && self.failure.is_none() {
            self.wait(until);
        }
    }

    fn try_connect(&mut self) -> bool {
        if self.route.not_before().is_some_and(|at| Instant::now() < at) {
            return false;
        }
        let address = self.route.take_next();
        match Connection::open(address, self.config.connect_timeout) {
            Ok(mut connection) => {
                let session = if self.is_established { self.info.session } else { 0 };
                let credential = Bytes::copy_from_slice(&self.config.credential);
                connection.queue(hello::hello(&self.config, session), credential);
                let deadline = Instant::now() + self.config.connect_timeout;
                self.link = Link::Hello { connection: Box::new(connection), deadline };
            }
            Err(error) => {
                let error = ClientError::Unreachable(address, error.kind().to_string());
                self.trouble(Trouble::Passing { error, primary_hint: None });
            }
        }
        true
    }

    /// Sends and receives on a connection that is up; says whether anything moved.
    fn drive(&mut self) -> bool {
        let now = Instant::now();
        self.settle(now);
        self.seal(now);
        let connection = match &mut self.link {
            Link::Down => return true,
            Link::Hello { connection, deadline } if now >= *deadline => {
                let text = "the hello was not answered in time".to_owned();
                let error = ClientError::Unreachable(connection.address, text);
                self.trouble(Trouble::Passing { error, primary_hint: None });
                return true;
            }
            Link::Hello { connection, .. } | Link::Ready(connection) => connection,
        };
        let sent = connection.flush();
        let received = connection.receive(now);
        let progress = !matches!((&sent, &received), (Ok(false), Ok(false)));
        // What came before the end, such as the reason for it, counts first.
        self.take_frames(now);
        if let Err(error) = sent.and(received) {
            self.lost_by(&error);
        }
        progress
    }

    fn take_frames(&mut self, now: Instant) {
        loop {
            let (Link::Hello { connection, .. } | Link::Ready(connection)) = &mut self.link else {
                return;
            };
            let address = connection.address;
            let result = match connection.reader.next_frame() {
                Ok(None) => return,
                Ok(Some((header, body))) => self.on_frame(&header, body, now),
                Err(status) => Err(damaged(address, status)),
            };
            if let Err(trouble) = result {
                self.trouble(trouble);
            }
        }
    }

    fn settle(&mut self, now: Instant) {
        self.retry_at = self.reads.settle(now);
        let completions = &mut self.completions;
        let settled = self.writes.settle(now, |request, write, outcome| {
            completions.push_back(Completion {
                id: write.id,
                request,
                operation: write.operation,
                outcome,
            });
        });
        match settled {
            Settled::Idle => {}
            Settled::Wait(at) => self.retry_at = Some(self.retry_at.map_or(at, |r| r.min(at))),
            Settled::Leave if !self.config.reconnect => {}
            Settled::Leave => {
                let text = "the node takes no requests now".to_owned();
                let error = ClientError::Unreachable(self.info.address, text);
                self.trouble(Trouble::Passing { error, primary_hint: None });
            }
            Settled::Stuck => {
                let text = "a write that may have been executed before is refused for good now";
                self.fail(ClientError::Protocol(text.to_owned()));
            }
        }
    }

    /// Seals what may be sent now. Sealed late, a frame reports more replies as received.
    fn seal(&mut self, now: Instant) {
        let Link::Ready(connection) = &mut self.link else { return };
        self.unsent_size = 0;
        if let Some(ping) = self.ping.as_mut().filter(|ping| !ping.sent) {
            ping.sent = true;
            connection.queue(Ping { nonce: ping.nonce, ..Ping::default() }.seal(&[]), Bytes::new());
        }
        let template =
            Request { session: self.info.session, release: RELEASE, ..Request::default() };
        while connection.has_room() {
            let replies_received = self.writes.answered();
            if let Some((number, write)) = self.writes.take_next(now) {
                let frame = Request {
                    request: number,
                    replies_received,
                    operation: write.operation.number(),
                    event_size: write.operation.event_size() as u16,
                    event_count: write.event_count,
                    ..template
                };
                connection.queue(frame.seal(&write.body), write.body.clone());
            } else if let Some(read) = self.reads.take_next(now) {
                let frame = Request {
                    request: read.tag,
                    min_sequence: self.sequence_seen,
                    operation: read.operation.number(),
                    event_size: read.operation.event_size() as u16,
                    event_count: read.event_count,
                    ..template
                };
                connection.queue(frame.seal(&read.body), read.body.clone());
            } else {
                break;
            }
        }
    }

    fn expire(&mut self) {
        let now = Instant::now();
        let completions = &mut self.completions;
        let of_writes = self.writes.expire(now, |request, write, outcome| {
            let (id, operation) = (write.id, write.operation);
            completions.push_back(Completion { id, request, operation, outcome });
        });
        let of_reads = self.reads.expire(now, |read, outcome| {
            let (id, operation) = (read.id, read.operation);
            completions.push_back(Completion { id, request: read.tag, operation, outcome });
        });
        let Some(since) = of_writes.into_iter().chain(of_reads).min() else { return };
        if let Link::Ready(connection) = &self.link
            && connection.heard_at < since
            && self.config.reconnect
        {
            let error = ClientError::Unreachable(connection.address, "it is silent".to_owned());
            self.trouble(Trouble::Passing { error, primary_hint: None });
        }
    }

    pub(crate) fn trouble(&mut self, trouble: Trouble) {
        let (error, primary_hint) = match trouble {
            Trouble::Final(error) => return self.fail(error),
            Trouble::Passing { error, primary_hint } => (error, primary_hint),
        };
        let was_ready = matches!(self.link, Link::Ready(_));
        self.link = Link::Down;
        self.writes.disconnected();
        self.reads.disconnected();
        if let Some(ping) = &mut self.ping {
            ping.sent = false;
        }
        let now = Instant::now();
        if was_ready && primary_hint.is_none() {
            self.route.lost(now);
        } else if self.route.failed(now, primary_hint) && !self.is_established {
            return self.fail(error);
        }
        if self.is_established && !self.config.reconnect {
            self.fail(error);
        }
    }

    /// Ends the client: nothing in flight can be told apart from now on.
    pub(crate) fn fail(&mut self, error: ClientError) {
        self.link = Link::Down;
        let completions = &mut self.completions;
        self.writes.fail_all(|request, write, outcome| {
            let (id, operation) = (write.id, write.operation);
            completions.push_back(Completion { id, request, operation, outcome });
        });
        self.reads.fail_all(|read, outcome| {
            let (id, operation) = (read.id, read.operation);
            completions.push_back(Completion { id, request: read.tag, operation, outcome });
        });
        self.failure = Some(error);
    }

    fn lost_by(&mut self, error: &std::io::Error) {
        let text = match error.kind() {
            std::io::ErrorKind::UnexpectedEof => "the node closed the connection".to_owned(),
            kind => kind.to_string(),
        };
        if let Some(address) = self.link_address() {
            let error = ClientError::Unreachable(address, text);
            self.trouble(Trouble::Passing { error, primary_hint: None });
        }
    }

    pub(crate) fn link_address(&self) -> Option<SocketAddr> {
        match &self.link {
            Link::Down => None,
            Link::Hello { connection, .. } | Link::Ready(connection) => Some(connection.address),
        }
    }

    fn wait(&self, until: Instant) {
        let times = [self.writes.next_deadline(), self.reads.next_deadline(), self.retry_at];
        let of_link = match &self.link {
            Link::Down => self.route.not_before(),
            Link::Hello { deadline, .. } => Some(*deadline),
            Link::Ready(_) => None,
        };
        let until = times.into_iter().flatten().chain(of_link).fold(until, Instant::min);
        let pause = until.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(pause.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(pause.subsec_nanos()),
        };
        let mut events = PollFlags::IN;
        events.set(PollFlags::OUT, self.wants_write());
        let mut sockets: Vec<PollFd<'_>> =
            self.socket().into_iter().map(|fd| PollFd::from_borrowed_fd(fd, events)).collect();
        // Whatever ends the wait, an interruption included, the next round finds out what there is to do.
        let _ = rustix::event::poll(&mut sockets, Some(&timeout));
    }

    fn body(&mut self, events: &[u8]) -> Bytes {
        if events.is_empty() {
            return Bytes::new();
        }
        let mut body = self.spare_bodies.pop().unwrap_or_default();
        body.clear();
        body.extend_from_slice(events);
        body.freeze()
    }

    /// Keeps the memory of an answered request for the next one.
    pub(crate) fn recycle(&mut self, body: Bytes) {
        if self.spare_bodies.len() < SPARE_BODIES_MAX
            && let Ok(body) = body.try_into_mut()
        {
            self.spare_bodies.push(body);
        }
    }
}

fn damaged(address: SocketAddr, status: RequestStatus) -> Trouble {
    let text = format!("{address} sent a frame that is not one ({})", status.name());
    let error = ClientError::Protocol(text);
    match status {
        RequestStatus::ProtocolUnsupported => Trouble::Final(ClientError::VersionMismatch),
        // Damage on the way: the same frames may arrive sound next time.
        RequestStatus::HeaderChecksumMismatch | RequestStatus::BodyChecksumMismatch => {
            Trouble::Passing { error, primary_hint: None }
        }
        _ => Trouble::Final(error),
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Client")
            .field("node", &self.info)
            .field("connected", &self.is_connected())
            .field("in_flight", &self.in_flight())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}
