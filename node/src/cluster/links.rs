//! Sockets between nodes, and the operator's: bytes in, whole messages out.
//!
//! The node of the higher index dials the lower one, so that two nodes never have two connections for long. Whoever is
//! accepted says in its first message what it is. Invariants: memory per connection is bounded by the largest message
//! and the outbox; a peer that does not read is disconnected; a connection that says nothing is closed in time. What is
//! absent: any judgement of what a message says.

use crate::error::NodeError;
use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use mizan_replica::admin;
use mizan_replica::constants::{MESSAGE_SIZE_MAX, NODES_MAX};
use mizan_replica::message::{self, HEADER_SIZE};
use mizan_replica::{Secret, is_sealed_hello};
use rustix::buffer::spare_capacity;
use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Bytes that may wait for a peer's socket: a window of frames and the small messages beside it.
const OUTBOX_SIZE_MAX: usize = 24 << 20;
/// Connections that have not said what they are, and operators, at the most; the oldest of the former make room.
const GUESTS_MAX: usize = 16;
/// A guest that has sent nothing whole for so long is closed.
const GUEST_TIMEOUT_NS: u64 = 15_000_000_000;
/// Largest first message of a connection: it can only be a hello.
const FIRST_MESSAGE_SIZE_MAX: usize = 4096;
/// Time between two attempts to reach a peer.
const DIAL_INTERVAL_NS: u64 = 50_000_000;
/// An attempt that has not come through after this is given up.
const DIAL_TIMEOUT_NS: u64 = 1_000_000_000;
/// Bytes taken from a socket at once.
const READ_CHUNK: usize = 256 << 10;
/// Reads from one socket before it is the others' turn.
const READS_PER_TURN: usize = 16;

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
const FIRST_CONNECTION: usize = 2;

/// What happened on the sockets.
pub(crate) enum LinkEvent {
    /// A peer is there; its messages follow. An older connection to it is gone.
    Connected(u8),
    /// A whole message of a peer.
    Message(u8, Vec<u8>),
    /// The connection to a peer is gone.
    Disconnected(u8),
    /// A whole message of an operator's connection.
    Admin(usize, Vec<u8>),
    /// An operator's connection is gone.
    AdminGone(usize),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Who {
    Unknown,
    Peer(u8),
    Admin,
}

struct Connection {
    stream: TcpStream,
    who: Who,
    is_connecting: bool,
    /// To be closed when everything is sent.
    is_closing: bool,
    /// Bytes of a message, or of several small ones.
    inbox: Vec<u8>,
    outbox: VecDeque<Vec<u8>>,
    /// Bytes of the first message of the outbox that are sent.
    sent: usize,
    unsent: usize,
    since_ns: u64,
}

impl Connection {
    /// Room for the rest of a large message, and little more, so that it can be handed on as it is; else for small ones.
    fn make_room(&mut self) {
        let begun = next_message(&self.inbox, self.who).and_then(Result::ok);
        let rest = begun.map_or(0, |size| size.saturating_sub(self.inbox.len()));
        if self.inbox.capacity() == self.inbox.len() || rest > READ_CHUNK {
            self.inbox.reserve_exact(rest.max(READ_CHUNK));
        }
    }

    /// The first message, if all of it is there.
    fn take_message(&mut self, size: usize) -> Option<Vec<u8>> {
        if self.inbox.len() < size {
            return None;
        }
        if self.inbox.len() == size && size > READ_CHUNK {
            return Some(std::mem::take(&mut self.inbox));
        }
        let bytes = self.inbox[..size].to_vec();
        self.inbox.drain(..size);
        Some(bytes)
    }
}

/// How to reach the nodes.
pub(crate) struct LinkOptions {
    pub(crate) index: u8,
    pub(crate) listen: SocketAddr,
    pub(crate) secret: Secret,
    /// Address of each node by index; the own one is not used.
    pub(crate) addresses: [Option<SocketAddr>; NODES_MAX],
}

/// See the module.
pub(crate) struct Links {
    options: LinkOptions,
    poll: Poll,
    events: Events,
    listener: TcpListener,
    waker: Arc<Waker>,
    connections: Vec<Option<Connection>>,
    of_peer: [Option<usize>; NODES_MAX],
    dialed_ns: [u64; NODES_MAX],
    found: VecDeque<LinkEvent>,
}

fn failed(what: &str) -> impl FnOnce(std::io::Error) -> NodeError {
    let what = what.to_owned();
    move |source| NodeError::Io { what, source }
}

impl Links {
    /// Binds the listener.
    ///
    /// # Errors
    /// An address that cannot be bound.
    pub(crate) fn bind(options: LinkOptions) -> Result<Self, NodeError> {
        let poll = Poll::new().map_err(failed("failed to make a poll"))?;
        let mut listener = TcpListener::bind(options.listen).map_err(|error| {
            let what = format!("failed to listen for nodes at {}", options.listen);
            NodeError::listen(options.listen, &what, error)
        })?;
        let registry = poll.registry();
        listener
            .register(registry, LISTENER, Interest::READABLE)
            .map_err(failed("failed to watch the listener for nodes"))?;
        let waker = Waker::new(registry, WAKER).map_err(failed("failed to make a waker"))?;
        Ok(Self {
            options,
            poll,
            events: Events::with_capacity(64),
            listener,
            waker: Arc::new(waker),
            connections: Vec::new(),
            of_peer: [None; NODES_MAX],
            dialed_ns: [0; NODES_MAX],
            found: VecDeque::new(),
        })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or(self.options.listen)
    }

    /// Ends a wait from any thread.
    pub(crate) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Waits for at most `timeout` and moves bytes. What came of it is taken with [`Links::next_event`].
    ///
    /// # Errors
    /// Waiting failed; no connection can cause that.
    pub(crate) fn poll(&mut self, timeout: Duration, now_ns: u64) -> Result<(), NodeError> {
        self.dial(now_ns);
        self.close_silent(now_ns);
        let timeout = if self.found.is_empty() { timeout } else { Duration::ZERO };
        if let Err(error) = self.poll.poll(&mut self.events, Some(timeout))
            && error.kind() != ErrorKind::Interrupted
        {
            return Err(failed("failed to wait for nodes")(error));
        }
        let ready: Vec<(Token, bool, bool)> = self
            .events
            .iter()
            .map(|event| {
                let is_over = event.is_error() || event.is_read_closed();
                (event.token(), event.is_readable() || is_over, event.is_writable() || is_over)
            })
            .collect();
        for (token, readable, writable) in ready {
            match token {
                WAKER => {}
                LISTENER => self.accept(now_ns),
                Token(number) => {
                    let at = number - FIRST_CONNECTION;
                    if writable {
                        self.finish_dialing(at, now_ns);
                        self.write(at);
                    }
                    if readable {
                        self.read(at, now_ns);
                    }
                }
            }
        }
        Ok(())
    }

    pub(crate) fn next_event(&mut self) -> Option<LinkEvent> {
        self.found.pop_front()
    }

    /// Sends a message to a peer; without a connection it is dropped.
    pub(crate) fn send(&mut self, peer: u8, bytes: Vec<u8>) {
        if let Some(at) = self.of_peer[usize::from(peer)] {
            self.put(at, bytes);
        }
    }

    /// Sends a message on an operator's connection.
    pub(crate) fn send_admin(&mut self, at: usize, bytes: Vec<u8>) {
        if self.who(at) == Some(Who::Admin) {
            self.put(at, bytes);
        }
    }

    /// Closes an operator's connection when everything is sent.
    pub(crate) fn close_admin(&mut self, at: usize) {
        if self.who(at) != Some(Who::Admin) {
            return;
        }
        if let Some(connection) = self.connections[at].as_mut() {
            connection.is_closing = true;
        }
        self.write(at);
    }

    /// Ends the connection to a peer; no event follows.
    pub(crate) fn disconnect(&mut self, peer: u8) {
        if let Some(at) = self.of_peer[usize::from(peer)].take() {
            self.connections[at] = None;
        }
    }

    fn who(&self, at: usize) -> Option<Who> {
        Some(self.connections.get(at)?.as_ref()?.who)
    }

    fn put(&mut self, at: usize, bytes: Vec<u8>) {
        let Some(connection) = self.connections[at].as_mut() else { return };
        connection.unsent += bytes.len();
        connection.outbox.push_back(bytes);
        if connection.unsent > OUTBOX_SIZE_MAX {
            self.drop_connection(at);
        } else {
            self.write(at);
        }
    }

    fn accept(&mut self, now_ns: u64) {
        while let Ok((stream, _)) = self.listener.accept() {
            let guests = self.connections.iter().flatten();
            let guests = guests.filter(|guest| !matches!(guest.who, Who::Peer(_))).count();
            if guests >= GUESTS_MAX && !self.drop_oldest_stranger() {
                continue;
            }
            self.insert(stream, Who::Unknown, false, now_ns);
        }
    }

    /// Makes room for a guest: whoever has said nothing for the longest time goes, so that an operator always gets in.
    fn drop_oldest_stranger(&mut self) -> bool {
        let strangers = self.connections.iter().enumerate().filter_map(|(at, connection)| {
            let connection = connection.as_ref()?;
            (connection.who == Who::Unknown).then_some((connection.since_ns, at))
        });
        let Some((_, oldest)) = strangers.min() else { return false };
        self.drop_connection(oldest);
        true
    }

    fn insert(
        &mut self,
        mut stream: TcpStream,
        who: Who,
        is_connecting: bool,
        now_ns: u64,
    ) -> Option<usize> {
        let at = self.connections.iter().position(Option::is_none).unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        let interest = Interest::READABLE | Interest::WRITABLE;
        let token = Token(at + FIRST_CONNECTION);
        stream.register(self.poll.registry(), token, interest).ok()?;
        // Acknowledgements are small and each is waited for; a socket that cannot do it is only slower.
        let _ = stream.set_nodelay(true);
        self.connections[at] = Some(Connection {
            stream,
            who,
            is_connecting,
            is_closing: false,
            inbox: Vec::new(),
            outbox: VecDeque::new(),
            sent: 0,
            unsent: 0,
            since_ns: now_ns,
        });
        Some(at)
    }

    fn dial(&mut self, now_ns: u64) {
        for peer in 0..self.options.index {
            let place = usize::from(peer);
            let is_due = now_ns.saturating_sub(self.dialed_ns[place]) >= DIAL_INTERVAL_NS;
            let Some(address) = self.options.addresses[place].filter(|_| is_due) else { continue };
            if self.of_peer[place].is_some() {
                continue;
            }
            self.dialed_ns[place] = now_ns;
            if let Ok(stream) = TcpStream::connect(address) {
                self.of_peer[place] = self.insert(stream, Who::Peer(peer), true, now_ns);
            }
        }
    }

    fn finish_dialing(&mut self, at: usize, now_ns: u64) {
        let Some(connection) = self.connections.get_mut(at).and_then(Option::as_mut) else {
            return;
        };
        let Who::Peer(peer) = connection.who else { return };
        if !connection.is_connecting {
            return;
        }
        let failed = !matches!(connection.stream.take_error(), Ok(None));
        match connection.stream.peer_addr() {
            Ok(_) if !failed => {
                connection.is_connecting = false;
                connection.since_ns = now_ns;
                self.found.push_back(LinkEvent::Connected(peer));
            }
            Err(error) if !failed && error.kind() == ErrorKind::NotConnected => {}
            _ => self.disconnect(peer),
        }
    }

    /// Guests that say nothing, and attempts that do not come through.
    fn close_silent(&mut self, now_ns: u64) {
        for at in 0..self.connections.len() {
            let Some(connection) = &self.connections[at] else { continue };
            let age_ns = now_ns.saturating_sub(connection.since_ns);
            let is_over = match connection.who {
                Who::Peer(_) => connection.is_connecting && age_ns > DIAL_TIMEOUT_NS,
                _ => age_ns > GUEST_TIMEOUT_NS,
            };
            if is_over {
                self.drop_connection(at);
            }
        }
    }

    /// Ends a connection and tells of it.
    fn drop_connection(&mut self, at: usize) {
        let Some(connection) = self.connections.get_mut(at).and_then(Option::take) else { return };
        match connection.who {
            Who::Peer(peer) => {
                self.of_peer[usize::from(peer)] = None;
                if !connection.is_connecting {
                    self.found.push_back(LinkEvent::Disconnected(peer));
                }
            }
            Who::Admin => self.found.push_back(LinkEvent::AdminGone(at)),
            Who::Unknown => {}
        }
    }

    fn write(&mut self, at: usize) {
        let Some(connection) = self.connections.get_mut(at).and_then(Option::as_mut) else {
            return;
        };
        if connection.is_connecting {
            return;
        }
        while let Some(bytes) = connection.outbox.front() {
            match connection.stream.write(&bytes[connection.sent..]) {
                Ok(0) => return self.drop_connection(at),
                Ok(count) => {
                    connection.sent += count;
                    connection.unsent -= count;
                    if connection.sent == bytes.len() {
                        connection.outbox.pop_front();
                        connection.sent = 0;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.drop_connection(at),
            }
        }
        if connection.is_closing {
            self.drop_connection(at);
        }
    }

    fn read(&mut self, at: usize, now_ns: u64) {
        for _ in 0..READS_PER_TURN {
            let Some(connection) = self.connections.get_mut(at).and_then(Option::as_mut) else {
                return;
            };
            connection.make_room();
            let room = spare_capacity(&mut connection.inbox);
            match rustix::io::read(&connection.stream, room).map_err(std::io::Error::from) {
                Ok(0) => return self.drop_connection(at),
                Ok(_) => {
                    if !self.take_messages(at, now_ns) {
                        return self.drop_connection(at);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.drop_connection(at),
            }
        }
        // More may wait, and the edge was used up: ask to be told again.
        if let Some(connection) = self.connections.get_mut(at).and_then(Option::as_mut) {
            let interest = Interest::READABLE | Interest::WRITABLE;
            let token = Token(at + FIRST_CONNECTION);
            if connection.stream.reregister(self.poll.registry(), token, interest).is_err() {
                self.drop_connection(at);
            }
        }
    }

    /// Takes whole messages from the inbox; false if the bytes are no messages.
    fn take_messages(&mut self, at: usize, now_ns: u64) -> bool {
        let Some(mut connection) = self.connections[at].take() else { return true };
        let is_sound = loop {
            let size = match next_message(&connection.inbox, connection.who) {
                Some(Ok(size)) => size,
                Some(Err(())) => break false,
                None => break true,
            };
            let Some(bytes) = connection.take_message(size) else { break true };
            connection.since_ns = now_ns;
            if connection.who == Who::Unknown && !self.introduce(at, &mut connection, &bytes) {
                break false;
            }
            self.found.push_back(match connection.who {
                Who::Peer(peer) => LinkEvent::Message(peer, bytes),
                _ => LinkEvent::Admin(at, bytes),
            });
        };
        self.connections[at] = Some(connection);
        is_sound
    }

    /// Learns from its first message what a connection is. A newer connection of a peer replaces the older one, which
    /// may be half open.
    fn introduce(&mut self, at: usize, connection: &mut Connection, bytes: &[u8]) -> bool {
        if bytes[32..36] == admin::ADMIN_MAGIC {
            connection.who = Who::Admin;
            return true;
        }
        // A stranger must not push a peer aside by saying that it is one.
        if !is_sealed_hello(bytes, &self.options.secret) {
            return false;
        }
        let Ok((header, _)) = message::decode(bytes) else { return false };
        let peer = header.from;
        let may_dial = peer > self.options.index && usize::from(peer) < NODES_MAX;
        if header.to != self.options.index || !may_dial {
            tracing::warn!(
                "a node says that it is number {peer} and looks for number {}, but this is number {}: check --peers, which names the other nodes in the order of their numbers",
                header.to,
                self.options.index
            );
            return false;
        }
        if let Some(older) = self.of_peer[usize::from(peer)] {
            self.drop_connection(older);
        }
        self.of_peer[usize::from(peer)] = Some(at);
        connection.who = Who::Peer(peer);
        self.found.push_back(LinkEvent::Connected(peer));
        true
    }
}

/// Size of the message that begins here; `None` while that cannot be told, an error if it can be none.
fn next_message(bytes: &[u8], who: Who) -> Option<Result<usize, ()>> {
    let head = bytes.get(..admin::ADMIN_HEADER_SIZE)?;
    let size = u32::from_le_bytes(*head[36..].first_chunk()?) as usize;
    let is_admin = head[32..36] == admin::ADMIN_MAGIC;
    let is_peer = head[32..36] == message::MAGIC.to_le_bytes();
    let fits = match who {
        Who::Unknown => size <= FIRST_MESSAGE_SIZE_MAX,
        Who::Peer(_) => size <= MESSAGE_SIZE_MAX,
        Who::Admin => size <= admin::ADMIN_MESSAGE_SIZE_MAX,
    };
    let is_expected = match who {
        Who::Unknown => is_admin || is_peer,
        Who::Peer(_) => is_peer,
        Who::Admin => is_admin,
    };
    let smallest = if is_admin { admin::ADMIN_HEADER_SIZE } else { HEADER_SIZE };
    Some(if fits && is_expected && size >= smallest { Ok(size) } else { Err(()) })
}
