//! Sockets between nodes, and the operator's: bytes in, whole messages out.
//!
//! The node of the higher index dials the lower one, so that two nodes never have two connections for long. Whoever is
//! accepted is greeted and proves what it is; see `guests`. Invariants: memory per connection is bounded by the largest
//! message and the outbox, and by a few kilobytes before it is proved; nobody loses a connection to somebody who has not
//! proved to be the same peer, and whom the state machine does not take for it; a peer that does not read is
//! disconnected; a connection that says nothing is closed in time. What is absent: any judgement of what a message says.

mod connection;

use crate::cluster::admin::nonce;
use crate::cluster::guests::{Heard, Refused, Who};
use crate::error::NodeError;
use connection::Connection;
use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use mizan_replica::admin::AdminError;
use mizan_replica::constants::NODES_MAX;
use mizan_replica::{Identity, MessageError, Session, Verdict};
use rustix::buffer::spare_capacity;
use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Bytes that may wait for a peer's socket: a window of frames and the small messages beside it.
const OUTBOX_SIZE_MAX: usize = 24 << 20;
/// Connections that were accepted and have not proved themselves, at the most; the oldest make room.
const UNPROVED_MAX: usize = 256;
/// Nobody is closed to make room before it had so much time: a flood of strangers must not push out who is just proving
/// itself. So no more than 1,280 connections are accepted per second, and the others wait in the listener's queue.
const UNPROVED_GRACE_NS: u64 = 200_000_000;
/// Who has not proved itself after this is closed.
const UNPROVED_TIMEOUT_NS: u64 = 2_000_000_000;
/// Operators at the most. All of them have proved that they know the secret.
const OPERATORS_MAX: usize = 16;
/// An operator that has asked nothing for so long is closed.
const OPERATOR_TIMEOUT_NS: u64 = 15_000_000_000;
/// Time between two attempts to reach a peer.
const DIAL_INTERVAL_NS: u64 = 50_000_000;
/// An attempt that has not come through after this, or whose peer has not proved itself then, is given up.
const DIAL_TIMEOUT_NS: u64 = 1_000_000_000;
/// Bytes taken from a socket at once.
const READ_CHUNK: usize = 256 << 10;
/// Reads from one socket before it is the others' turn.
const READS_PER_TURN: usize = 16;
/// Time between two lines about connections that were refused: strangers must not fill the log.
const COMPLAINT_INTERVAL_NS: u64 = 1_000_000_000;

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
const FIRST_CONNECTION: usize = 2;

/// What happened on the sockets.
pub(crate) enum LinkEvent {
    /// A peer is there and has proved itself; its messages follow. An older connection to it is gone.
    Connected(Session),
    /// A whole message of a peer.
    Message(u8, Vec<u8>),
    /// The connection to a peer is gone.
    Disconnected(u8),
    /// What an operator asks, proved.
    Admin(OperatorId, Vec<u8>),
}

/// An operator's connection; never that of another one, also when it is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct OperatorId {
    at: usize,
    number: u64,
}

/// Decides about a connection whose peer has proved itself.
pub(crate) type Judge<'j> = dyn FnMut(&Session, bool) -> Verdict + 'j;

/// How to reach the nodes.
pub(crate) struct LinkOptions {
    pub(crate) identity: Identity,
    /// Address of each node by index; the own one is not used.
    pub(crate) addresses: [Option<SocketAddr>; NODES_MAX],
}

/// See the module.
pub(crate) struct Links {
    options: LinkOptions,
    poll: Poll,
    events: Events,
    listener: TcpListener,
    local_addr: SocketAddr,
    /// Connections may wait in the listener's queue.
    accept_waits: bool,
    waker: Arc<Waker>,
    connections: Vec<Option<Connection>>,
    next_number: u64,
    of_peer: [Option<usize>; NODES_MAX],
    dialed_ns: [u64; NODES_MAX],
    found: VecDeque<LinkEvent>,
    /// When the last line about a refused connection was written, and how many were refused since.
    complained_ns: u64,
    complaints: u64,
}

fn failed(what: &str) -> impl FnOnce(std::io::Error) -> NodeError {
    let what = what.to_owned();
    move |source| NodeError::Io { what, source }
}

impl Links {
    /// Binds the listener. Nobody is greeted yet.
    ///
    /// # Errors
    /// An address that cannot be bound.
    pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener, NodeError> {
        TcpListener::bind(address).map_err(|error| {
            NodeError::listen(address, &format!("failed to listen for nodes at {address}"), error)
        })
    }

    /// Watches the listener.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn new(mut listener: TcpListener, options: LinkOptions) -> Result<Self, NodeError> {
        let poll = Poll::new().map_err(failed("failed to make a poll"))?;
        let registry = poll.registry();
        listener
            .register(registry, LISTENER, Interest::READABLE)
            .map_err(failed("failed to watch the listener for nodes"))?;
        let local_addr = listener.local_addr().map_err(failed("failed to ask for the address"))?;
        let waker = Waker::new(registry, WAKER).map_err(failed("failed to make a waker"))?;
        Ok(Self {
            options,
            poll,
            events: Events::with_capacity(64),
            listener,
            local_addr,
            accept_waits: false,
            waker: Arc::new(waker),
            connections: Vec::new(),
            next_number: 0,
            of_peer: [None; NODES_MAX],
            dialed_ns: [0; NODES_MAX],
            found: VecDeque::new(),
            complained_ns: 0,
            complaints: 0,
        })
    }

    pub(crate) const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Ends a wait from any thread.
    pub(crate) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Waits for at most `timeout` and moves bytes. What came of it is taken with [`Links::next_event`]. `judge` says what
    /// becomes of a connection whose peer has proved itself, and is told whether there is an older one.
    ///
    /// # Errors
    /// Waiting failed; no connection can cause that.
    pub(crate) fn poll(
        &mut self,
        timeout: Duration,
        now_ns: u64,
        judge: &mut Judge<'_>,
    ) -> Result<(), NodeError> {
        self.dial(now_ns);
        self.close_silent(now_ns);
        if self.accept_waits {
            self.accept(now_ns);
        }
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
                        self.read(at, now_ns, judge);
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

    /// Answers an operator; if it is gone, or the answer too long, nothing is sent.
    pub(crate) fn send_admin(&mut self, operator: OperatorId, body: &[u8]) {
        let Some(connection) = self.operator(operator) else { return };
        let Who::Operator(channel) = &mut connection.who else { return };
        if let Some(bytes) = channel.send(body) {
            self.put(operator.at, bytes);
        }
    }

    /// Closes an operator's connection when everything is sent.
    pub(crate) fn close_admin(&mut self, operator: OperatorId) {
        if let Some(connection) = self.operator(operator) {
            connection.is_closing = true;
            self.write(operator.at);
        }
    }

    fn operator(&mut self, operator: OperatorId) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(operator.at)?.as_mut()?;
        (connection.number == operator.number).then_some(connection)
    }

    /// Ends the connection to a peer; no event follows.
    pub(crate) fn disconnect(&mut self, peer: u8) {
        if let Some(at) = self.of_peer[usize::from(peer)].take() {
            self.connections[at] = None;
        }
    }

    fn put(&mut self, at: usize, bytes: Vec<u8>) {
        let Some(connection) = self.connections[at].as_mut() else { return };
        connection.push(bytes);
        if connection.unsent > OUTBOX_SIZE_MAX {
            self.drop_connection(at);
        } else {
            self.write(at);
        }
    }

    fn accept(&mut self, now_ns: u64) {
        self.accept_waits = true;
        while self.has_room(now_ns) {
            match self.listener.accept() {
                Ok((stream, _)) => self.greet(stream, now_ns),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    // What the system lacks for a moment it may have again: then those who wait are accepted.
                    self.accept_waits = error.kind() != ErrorKind::WouldBlock;
                    return;
                }
            }
        }
    }

    fn greet(&mut self, stream: TcpStream, now_ns: u64) {
        let Ok(nonce) = nonce() else { return };
        let greeting = self.options.identity.greeting(nonce);
        if let Some(at) = self.insert(stream, Who::Stranger(greeting), false, now_ns) {
            self.put(at, greeting.encode().to_vec());
        }
    }

    /// Whether one more may be accepted. Who has said nothing right goes first, and the oldest of them.
    fn has_room(&mut self, now_ns: u64) -> bool {
        let guests = self.connections.iter().enumerate().filter_map(|(at, connection)| {
            let connection = connection.as_ref().filter(|guest| guest.who.is_unproved_guest())?;
            let is_stranger = matches!(connection.who, Who::Stranger(_));
            Some((!is_stranger, connection.since_ns, at))
        });
        let guests: Vec<_> = guests.collect();
        if guests.len() < UNPROVED_MAX {
            return true;
        }
        let is_old = |since_ns: u64| now_ns.saturating_sub(since_ns) >= UNPROVED_GRACE_NS;
        let oldest = guests.into_iter().filter(|(_, since_ns, _)| is_old(*since_ns)).min();
        let Some((_, _, oldest)) = oldest else { return false };
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
        self.next_number += 1;
        self.connections[at] = Some(Connection {
            stream,
            number: self.next_number,
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
        for peer in 0..self.options.identity.index {
            let place = usize::from(peer);
            let is_due = now_ns.saturating_sub(self.dialed_ns[place]) >= DIAL_INTERVAL_NS;
            let Some(address) = self.options.addresses[place].filter(|_| is_due) else { continue };
            if self.of_peer[place].is_some() {
                continue;
            }
            self.dialed_ns[place] = now_ns;
            if let Ok(stream) = TcpStream::connect(address) {
                self.of_peer[place] = self.insert(stream, Who::Dialling(peer), true, now_ns);
            }
        }
    }

    fn finish_dialing(&mut self, at: usize, now_ns: u64) {
        let Some(connection) = self.connections.get_mut(at).and_then(Option::as_mut) else {
            return;
        };
        let Who::Dialling(peer) = connection.who else { return };
        if !connection.is_connecting {
            return;
        }
        let failed = !matches!(connection.stream.take_error(), Ok(None));
        match connection.stream.peer_addr() {
            Ok(_) if !failed => {
                connection.is_connecting = false;
                connection.since_ns = now_ns;
            }
            Err(error) if !failed && error.kind() == ErrorKind::NotConnected => {}
            _ => self.disconnect(peer),
        }
    }

    /// Guests that say nothing, and attempts that do not come through.
    fn close_silent(&mut self, now_ns: u64) {
        for at in 0..self.connections.len() {
            let Some(connection) = &self.connections[at] else { continue };
            let limit_ns = match connection.who {
                Who::Peer(_) if connection.is_closing => UNPROVED_TIMEOUT_NS,
                // The state machine sees to it.
                Who::Peer(_) => continue,
                Who::Dialling(_) | Who::Dialled(..) => DIAL_TIMEOUT_NS,
                Who::Operator(_) => OPERATOR_TIMEOUT_NS,
                Who::Stranger(_) | Who::Newcomer(_) | Who::Visitor(_) => UNPROVED_TIMEOUT_NS,
            };
            if now_ns.saturating_sub(connection.since_ns) > limit_ns {
                self.drop_connection(at);
            }
        }
    }

    /// Ends a connection and tells of it.
    fn drop_connection(&mut self, at: usize) {
        let Some(connection) = self.connections.get_mut(at).and_then(Option::take) else { return };
        self.forget(at, &connection);
    }

    fn forget(&mut self, at: usize, connection: &Connection) {
        let Some(peer) = connection.who.peer() else { return };
        if self.of_peer[usize::from(peer)] == Some(at) {
            self.of_peer[usize::from(peer)] = None;
            if matches!(connection.who, Who::Peer(_)) {
                self.found.push_back(LinkEvent::Disconnected(peer));
            }
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

    fn read(&mut self, at: usize, now_ns: u64, judge: &mut Judge<'_>) {
        for _ in 0..READS_PER_TURN {
            let Some(connection) = self.connections.get_mut(at).and_then(Option::as_mut) else {
                return;
            };
            connection.make_room();
            let room = spare_capacity(&mut connection.inbox);
            match rustix::io::read(&connection.stream, room).map_err(std::io::Error::from) {
                Ok(0) => return self.drop_connection(at),
                Ok(_) => {
                    if !self.take_messages(at, now_ns, judge) {
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

    /// Takes whole messages from the inbox; false if the connection is to be ended.
    fn take_messages(&mut self, at: usize, now_ns: u64, judge: &mut Judge<'_>) -> bool {
        let Some(mut connection) = self.connections[at].take() else { return true };
        let is_sound = loop {
            if connection.is_closing {
                // What it says is not heard any more: it may have been refused.
                connection.inbox.clear();
                break true;
            }
            let size = match connection.who.next_message(&connection.inbox) {
                Some(Ok(size)) => size,
                Some(Err(())) => break false,
                None => break true,
            };
            let Some(bytes) = connection.take_message(size) else { break true };
            connection.since_ns = now_ns;
            match connection.who.hear(&self.options.identity, bytes) {
                Ok(heard) => {
                    if !self.take_heard(at, &mut connection, heard, judge) {
                        break false;
                    }
                }
                Err(refused) => {
                    self.complain(&refused, now_ns);
                    break false;
                }
            }
        };
        self.connections[at] = Some(connection);
        self.write(at);
        is_sound
    }

    /// False if the connection is to be ended.
    fn take_heard(
        &mut self,
        at: usize,
        connection: &mut Connection,
        heard: Heard,
        judge: &mut Judge<'_>,
    ) -> bool {
        let operator = OperatorId { at, number: connection.number };
        match heard {
            Heard::Answer(bytes) => connection.push(bytes),
            Heard::Message(peer, bytes) => self.found.push_back(LinkEvent::Message(peer, bytes)),
            Heard::Made(session) => match judge(&session, false) {
                Verdict::Take => self.found.push_back(LinkEvent::Connected(session)),
                Verdict::Wait => return false,
                Verdict::Refuse(bytes) => connection.close_with(bytes),
            },
            Heard::Proved(session, bytes) => {
                let peer = session.peer();
                let older = self.of_peer[usize::from(peer)];
                match judge(&session, older.is_some()) {
                    Verdict::Take => {}
                    Verdict::Wait => return false,
                    Verdict::Refuse(bytes) => {
                        connection.close_with(bytes);
                        return true;
                    }
                }
                // Proved to be the same peer: the older connection may be half open.
                if let Some(older) = self.of_peer[usize::from(peer)].replace(at)
                    && let Some(older) = self.connections[older].take()
                    && matches!(older.who, Who::Peer(_))
                {
                    self.found.push_back(LinkEvent::Disconnected(peer));
                }
                self.found.push_back(LinkEvent::Connected(session));
                self.found.push_back(LinkEvent::Message(peer, bytes));
            }
            Heard::FirstQuestion(body) => {
                let others = self.connections.iter().flatten();
                let others = others.filter(|guest| matches!(guest.who, Who::Operator(_)));
                if others.count() >= OPERATORS_MAX {
                    return false;
                }
                self.found.push_back(LinkEvent::Admin(operator, body));
            }
            Heard::Question(body) => self.found.push_back(LinkEvent::Admin(operator, body)),
        }
        true
    }

    fn complain(&mut self, refused: &Refused, now_ns: u64) {
        let is_noise = matches!(
            refused,
            Refused::Peer(MessageError::Malformed | MessageError::NoHello)
                | Refused::Admin(AdminError::Malformed)
        );
        if is_noise {
            return;
        }
        self.complaints += 1;
        if now_ns.saturating_sub(self.complained_ns) < COMPLAINT_INTERVAL_NS {
            return;
        }
        self.complained_ns = now_ns;
        let advice = match refused {
            Refused::Peer(MessageError::Address | MessageError::Cluster) | Refused::Direction => {
                "; check --peers, which names the other nodes in the order of their numbers"
            }
            _ => "",
        };
        let more = std::mem::take(&mut self.complaints) - 1;
        let own = self.options.identity.index;
        tracing::warn!(
            "node {own} refused a connection between nodes or of an operator: {refused}{advice}; {more} more since the last such line"
        );
    }
}
