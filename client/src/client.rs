//! The client as its users see it: connect, submit, poll. How it works inside is in `rounds`.

use crate::config::after;
use crate::connection::Connection;
use crate::constants::{BODY_BLOCK_SIZE, FLUSH_SIZE, SMALL_BODY_SIZE_MAX, SPARE_BODIES_SIZE_MAX};
use crate::hello::NodeInfo;
use crate::reads::Reads;
use crate::reply::{Completion, RequestId};
use crate::route::Route;
use crate::scout::Scout;
use crate::writes::Writes;
use crate::{ClientConfig, ClientError};
use bytes::{Bytes, BytesMut};
use mizan_wire::Operation;
use mizan_wire::frame::NodeLimits;
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
    /// What was wrong with the addresses of this round, before the first connection.
    pub(crate) faults: Vec<ClientError>,
    pub(crate) ping: Option<PendingPing>,
    /// The highest sequence in a reply: no later read may show less.
    pub(crate) sequence_seen: u64,
    pub(crate) route: Route,
    pub(crate) scout: Scout,
    id_last: u64,
    pub(crate) unsent_size: usize,
    pub(crate) retry_at: Option<Instant>,
    /// What is left of the block in which small bodies lie.
    body_block: BytesMut,
    spare_bodies: Vec<BytesMut>,
    spare_bodies_size: usize,
}

impl Client {
    /// Connects, and opens or resumes the client's session.
    ///
    /// Tries each address once (and a primary that a node names), and waits for at most the connect timeout on each. While
    /// one is silent the others are asked, too.
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
            client.round(after(client.config.connect_timeout));
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
            scout: Scout::default(),
            link: Link::Down,
            info,
            is_established: false,
            writes: Writes::new(0),
            reads: Reads::default(),
            completions: VecDeque::new(),
            failure: None,
            faults: Vec::new(),
            ping: None,
            sequence_seen: 0,
            id_last: 0,
            unsent_size: 0,
            retry_at: None,
            body_block: BytesMut::new(),
            spare_bodies: Vec::new(),
            spare_bodies_size: 0,
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

    /// Events of a request of this operation at the most.
    #[must_use]
    pub fn events_max_of(&self, operation: Operation) -> u32 {
        let (_, of_operation) = operation.event_count_range();
        let max = self.info.events_max().min(of_operation);
        if operation.is_read() {
            return max;
        }
        let window_bytes = u64::from(self.info.limits.window_bytes);
        let of_window = window_bytes / crate::writes::window_bytes_per_event(operation);
        u32::try_from(of_window).map_or(max, |of_window| max.min(of_window))
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
        self.submit_with(operation, events.len(), |body| body.copy_from_slice(events))
    }

    /// As [`Client::submit`], but the events are written where they stay: saves their copy.
    ///
    /// `write` gets exactly `size` bytes of unspecified content, and must write them all. It is not called on an error.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub fn submit_with(
        &mut self,
        operation: Operation,
        size: usize,
        write: impl FnOnce(&mut [u8]),
    ) -> Result<RequestId, ClientError> {
        let event_count = self.check_submission(operation, size)?;
        let has_room = if operation.is_read() {
            self.reads.has_room()
        } else {
            self.writes.has_room(operation, event_count, &self.info.limits)
        };
        if !has_room {
            return Err(ClientError::WouldExceedWindow);
        }
        let id = self.enqueue(operation, event_count, size, write);
        self.unsent_size += mizan_wire::limits::HEADER_SIZE + size;
        if self.unsent_size >= FLUSH_SIZE {
            self.flush();
        }
        Ok(id)
    }

    fn check_submission(
        &self,
        operation: Operation,
        events_size: usize,
    ) -> Result<u32, ClientError> {
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
        let count = match operation.event_size() {
            0 if events_size == 0 => 0,
            size if size != 0 && events_size != 0 && events_size.is_multiple_of(size) => {
                events_size / size
            }
            _ => return Err(ClientError::Invalid("the events are not whole records, or none")),
        };
        let max = self.events_max_of(operation);
        match u32::try_from(count) {
            Ok(count) if count <= max => Ok(count),
            _ => Err(ClientError::TooManyEvents { count, max }),
        }
    }

    pub(crate) fn enqueue(
        &mut self,
        operation: Operation,
        event_count: u32,
        size: usize,
        write: impl FnOnce(&mut [u8]),
    ) -> RequestId {
        self.id_last += 1;
        let id = RequestId(self.id_last);
        let body = self.body(size, write);
        if operation.is_read() {
            let deadline = after(self.config.request_timeout);
            self.reads.push(id, operation, event_count, body, deadline);
        } else {
            self.writes.push(id, operation, event_count, body);
        }
        id
    }

    /// Whether a write of transfers, accounts, ledgers or codes with so many events could be submitted now.
    #[must_use]
    pub fn can_submit(&self, event_count: u32) -> bool {
        self.can_submit_of(Operation::CreateTransfers, event_count)
    }

    /// Whether a write of this operation with so many events could be submitted now.
    #[must_use]
    pub fn can_submit_of(&self, operation: Operation, event_count: u32) -> bool {
        self.failure.is_none()
            && event_count <= self.events_max_of(operation)
            && self.writes.has_room(operation, event_count, &self.info.limits)
    }

    /// Sends what is queued as far as the socket takes it; does not wait, and reads nothing.
    pub fn flush(&mut self) {
        let now = Instant::now();
        self.stamp(now);
        self.seal(now);
        if let Link::Ready(connection) = &mut self.link
            && let Err(error) = connection.flush(now)
        {
            self.lost_by(&error);
        }
    }

    /// Gives the next request that is over; waits for it at most as long as the timeout says.
    ///
    /// Sends, reads, reconnects and resends as needed. With a timeout of zero nothing is waited for.
    ///
    /// # Errors
    /// The error that ended the client, after everything that was in flight has been given.
    pub fn poll(&mut self, timeout: Duration) -> Result<Option<Completion>, ClientError> {
        // Many replies come at once: only the first is worth a look at the clock.
        if let Some(completion) = self.completions.pop_front() {
            return Ok(Some(completion));
        }
        let until = after(timeout);
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

    /// Gives the next request that is known to be over. Sends nothing, reads nothing, and waits for nothing: what is
    /// left after a [`Client::poll`] that gave one of many.
    pub fn take_ready(&mut self) -> Option<Completion> {
        self.completions.pop_front()
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
            Link::Hello { connection, .. } | Link::Ready(connection) => {
                !connection.outgoing.is_empty()
            }
        }
    }

    fn body(&mut self, size: usize, write: impl FnOnce(&mut [u8])) -> Bytes {
        if size == 0 {
            return Bytes::new();
        }
        if size <= SMALL_BODY_SIZE_MAX {
            if self.body_block.capacity() < size {
                self.body_block.reserve(BODY_BLOCK_SIZE);
            }
            self.body_block.resize(size, 0);
            write(&mut self.body_block);
            return self.body_block.split().freeze();
        }
        let mut body = self.spare_bodies.pop().unwrap_or_default();
        self.spare_bodies_size -= body.capacity();
        // What an earlier request left is written over, so that only growth costs zeros.
        body.resize(size, 0);
        write(&mut body);
        body.freeze()
    }

    /// Keeps the memory of an answered request for the next one.
    pub(crate) fn recycle(&mut self, body: Bytes) {
        if body.len() > SMALL_BODY_SIZE_MAX
            && self.spare_bodies_size + body.len() <= SPARE_BODIES_SIZE_MAX
            && let Ok(body) = body.try_into_mut()
        {
            self.spare_bodies_size += body.capacity();
            self.spare_bodies.push(body);
        }
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
