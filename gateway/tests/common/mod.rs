//! A gateway with a sink that answers everything, and clients on real sockets, all turned by one thread.
//!
//! Time stands still unless a test moves it, so no timeout ever strikes by accident.
#![allow(dead_code, reason = "every test binary uses its own part")]

use mizan_gateway::{
    Accepting, Clock, Gateway, GatewayConfig, GatewayCounters, NodeView, OutgoingReply,
    RequestSink, Submission,
};
use mizan_wire::frame::{
    Error, HELLO_READ_ONLY, Header, Hello, HelloReply, NodeLimits, Ping, Pong, Reply, Request,
};
use mizan_wire::limits::HEADER_SIZE;
use mizan_wire::{Operation, RegisterRecord, RequestHeader, RequestStatus, SessionKey};
use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use zerocopy::{FromBytes, IntoBytes};

/// How long a test waits for what must happen.
const DEADLINE: Duration = Duration::from_secs(30);
pub(crate) const MILLISECOND: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1000 * MILLISECOND;
pub(crate) const CLUSTER: u128 = 0xC0FFEE;
pub(crate) const EPOCH: u64 = 3;

/// Takes requests, remembers them, and answers them when told.
pub(crate) struct TestSink {
    pub(crate) room_bytes: usize,
    pub(crate) submitted: Vec<(RequestHeader, Vec<u8>)>,
    /// What the gateway itself said of sessions without a connection.
    pub(crate) losses: Vec<SessionKey>,
    /// Requests accepted and not answered, the oldest first.
    pub(crate) waiting: VecDeque<(RequestHeader, Vec<u8>)>,
    /// What to say instead of accepting.
    pub(crate) verdict: Option<Submission>,
    /// What to say to a hello that wants a session.
    pub(crate) register_status: RequestStatus,
    /// Bytes of a reply's body; `None`: the first 16 bytes of the request's.
    pub(crate) reply_size: Option<usize>,
    sessions: HashMap<u128, (u64, u64)>,
    sequence: u64,
    room_taken: std::cell::Cell<usize>,
}

impl RequestSink for TestSink {
    fn room_bytes(&self) -> usize {
        self.room_taken.set(0);
        self.room_bytes
    }

    fn submit(&mut self, header: &RequestHeader, body: &[u8]) -> Submission {
        if let Some(verdict) = self.verdict {
            return verdict;
        }
        let taken = self.room_taken.get() + header.entry_size();
        assert!(taken <= self.room_bytes, "submitted without room");
        self.room_taken.set(taken);
        assert_eq!(header.body_size as usize, body.len());
        assert_eq!(header.request_checksum, header.identity(body));
        if header.operation() == Some(Operation::ConnectionLost) {
            assert_eq!((header.client, header.origin), (0, 0));
            let keys = body.chunks_exact(size_of::<SessionKey>());
            self.losses.extend(keys.map(|key| SessionKey::read_from_bytes(key).expect("a key")));
            return Submission::Accepted;
        }
        self.submitted.push((*header, body.to_vec()));
        self.waiting.push_back((*header, body.to_vec()));
        Submission::Accepted
    }
}

/// Everything of a test.
pub(crate) struct Bed {
    pub(crate) gateway: Gateway,
    pub(crate) sink: TestSink,
    pub(crate) clock: Clock,
    pub(crate) view: NodeView,
    /// Requests are answered in the turn in which they come.
    pub(crate) answers: bool,
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: GatewayConfig) -> Self {
        let gateway = Gateway::bind(config).unwrap();
        let sink = TestSink {
            room_bytes: 16 << 20,
            submitted: Vec::new(),
            losses: Vec::new(),
            waiting: VecDeque::new(),
            verdict: None,
            register_status: RequestStatus::Ok,
            reply_size: None,
            sessions: HashMap::new(),
            sequence: 0,
            room_taken: std::cell::Cell::new(0),
        };
        let clock = Clock { monotonic_ns: 5 * SECOND, realtime_ns: 1 };
        let limits =
            NodeLimits { window_requests: 64, window_bytes: 1 << 20, ..NodeLimits::default() };
        let view = NodeView {
            cluster: CLUSTER,
            epoch: EPOCH,
            commit: 0,
            role: 1,
            limits,
            accepting: Accepting::All,
        };
        Self { gateway, sink, clock, view, answers: true }
    }

    pub(crate) fn counters(&self) -> GatewayCounters {
        self.gateway.counters()
    }

    pub(crate) fn advance(&mut self, time_ns: u64) {
        self.clock.monotonic_ns += time_ns;
    }

    /// One round of everything.
    pub(crate) fn turn(&mut self) -> bool {
        let zero = Some(Duration::ZERO);
        let worked =
            self.gateway.poll(zero, &self.view, &self.clock, &mut self.sink).expect("polling");
        if self.answers {
            self.answer(usize::MAX);
        }
        self.gateway.flush() | worked
    }

    /// Answers the oldest requests.
    pub(crate) fn answer(&mut self, count: usize) {
        for _ in 0..count {
            let Some((header, body)) = self.sink.waiting.pop_front() else { break };
            self.answer_one(&header, &body);
        }
    }

    fn answer_one(&mut self, header: &RequestHeader, body: &[u8]) {
        self.sink.sequence += 1;
        self.view.commit = self.sink.sequence;
        let operation = header.operation().unwrap();
        let (status, body) = match operation {
            Operation::Register => self.register(header),
            _ => {
                let size = self.sink.reply_size;
                let echo = || body[..body.len().min(16)].to_vec();
                (RequestStatus::Ok, size.map_or_else(echo, |size| vec![0xAB; size]))
            }
        };
        if let Some((_, last)) = self.sink.sessions.get_mut(&header.client) {
            *last = (*last).max(header.request);
        }
        self.gateway.reply(&OutgoingReply {
            origin: header.origin,
            client: header.client,
            session: header.session,
            request: header.request,
            operation,
            status: status as u32,
            flags: 0,
            sequence: self.sink.sequence,
            epoch: EPOCH,
            commit: self.sink.sequence,
            timestamp: 1000 + self.sink.sequence,
            event_count: header.event_count,
            result_size: 16,
            result_count: (body.len() / 16) as u32,
            copies_durable: 1,
            body: &body,
        });
    }

    fn register(&mut self, header: &RequestHeader) -> (RequestStatus, Vec<u8>) {
        if self.sink.register_status != RequestStatus::Ok {
            return (self.sink.register_status, Vec::new());
        }
        let resumed = u32::from(self.sink.sessions.contains_key(&header.client));
        let number = 1000 + self.sink.sequence;
        let (session, request_last) =
            *self.sink.sessions.entry(header.client).or_insert((number, 0));
        let record = RegisterRecord { session, request_last, resumed, ..RegisterRecord::default() };
        (RequestStatus::Ok, record.as_bytes().to_vec())
    }

    /// Turns until something is so.
    pub(crate) fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !is_so(self) {
            self.turn();
            assert!(Instant::now() < deadline, "never happened: {what}; {:?}", self.counters());
        }
    }

    /// Turns until nothing moves any more.
    pub(crate) fn settle(&mut self) {
        let mut quiet = 0;
        self.until("rest", |bed| {
            quiet = if bed.turn() { 0 } else { quiet + 1 };
            quiet > 3
        });
    }

    pub(crate) fn connect(&mut self) -> Client {
        Client::connect(self.gateway.local_addr())
    }

    /// A connection that has said hello for a session.
    pub(crate) fn session(&mut self, client: u128) -> Client {
        let mut connection = self.connect();
        connection.send(&hello(client, |_| ()));
        let reply = self.hello_reply(&mut connection);
        assert_eq!(reply.status, 0);
        connection.session = reply.session;
        connection
    }

    /// A connection that has said hello for reads only.
    pub(crate) fn reader(&mut self) -> Client {
        let mut connection = self.connect();
        connection.send(&hello(0, |hello| hello.flags = HELLO_READ_ONLY));
        assert_eq!(self.hello_reply(&mut connection).status, 0);
        connection
    }

    /// Everything that a client wants to send is sent.
    pub(crate) fn send_all(&mut self, client: &mut Client) {
        self.until("all is sent", |_| {
            client.pump();
            client.unsent.is_empty()
        });
    }

    /// The next frame, or `None` at the end of the connection.
    pub(crate) fn receive(&mut self, client: &mut Client) -> Option<(Header, Vec<u8>)> {
        let mut frame = None;
        self.until("a frame or the end", |_| {
            client.pump();
            frame = client.next_frame();
            frame.is_some() || client.is_ended
        });
        frame
    }

    pub(crate) fn hello_reply(&mut self, client: &mut Client) -> HelloReply {
        match self.receive(client) {
            Some((Header::HelloReply(reply), body)) => {
                assert_eq!(body.len(), 128);
                reply
            }
            other => panic!("a hello's reply was expected: {other:?}"),
        }
    }

    pub(crate) fn reply(&mut self, client: &mut Client) -> (Reply, Vec<u8>) {
        match self.receive(client) {
            Some((Header::Reply(reply), body)) => (reply, body),
            other => panic!("a reply was expected: {other:?}"),
        }
    }

    pub(crate) fn pong(&mut self, client: &mut Client) -> Pong {
        match self.receive(client) {
            Some((Header::Pong(pong), _)) => pong,
            other => panic!("a pong was expected: {other:?}"),
        }
    }

    /// The frame that ends the connection, and its end.
    pub(crate) fn error(&mut self, client: &mut Client) -> (Error, String) {
        let (error, text) = match self.receive(client) {
            Some((Header::Error(error), text)) => (error, String::from_utf8(text).unwrap()),
            other => panic!("an error was expected: {other:?}"),
        };
        self.end(client);
        (error, text)
    }

    pub(crate) fn end(&mut self, client: &mut Client) {
        let frame = self.receive(client);
        assert!(frame.is_none(), "the end was expected: {frame:?}");
    }

    /// Proves that a client is served, and that all that came before has been looked at.
    pub(crate) fn assert_served(&mut self, client: &mut Client) {
        client.number += 1;
        client.send(&write_of(client.session, client.number, 1));
        let (reply, _) = self.reply(client);
        assert_eq!((reply.request, reply.status), (client.number, 0));
    }
}

/// A client's end of a connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) session: u64,
    pub(crate) number: u64,
    pub(crate) unsent: Vec<u8>,
    pub(crate) inbox: Vec<u8>,
    pub(crate) is_ended: bool,
    /// Received bytes are left in the socket.
    pub(crate) is_deaf: bool,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            session: 0,
            number: 0,
            unsent: Vec::new(),
            inbox: Vec::new(),
            is_ended: false,
            is_deaf: false,
        }
    }

    /// Queues bytes and sends what the socket takes.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
        self.pump();
    }

    /// Sends and receives what goes.
    pub(crate) fn pump(&mut self) {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.unsent.clear(),
            }
        }
        let mut buffer = vec![0; 64 * 1024];
        while !self.is_deaf && !self.is_ended {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.is_ended = true,
                Ok(count) => self.inbox.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.is_ended = true,
            }
        }
    }

    fn next_frame(&mut self) -> Option<(Header, Vec<u8>)> {
        let header = Header::parse(self.inbox.first_chunk::<HEADER_SIZE>()?).expect("a frame");
        let size = HEADER_SIZE + header.body_size();
        let body = self.inbox.get(HEADER_SIZE..size)?.to_vec();
        header.check_body(&body).expect("a sound body");
        self.inbox.drain(..size);
        Some((header, body))
    }
}

pub(crate) fn config() -> GatewayConfig {
    GatewayConfig { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ..GatewayConfig::default() }
}

fn joined(header: &[u8], body: &[u8]) -> Vec<u8> {
    [header, body].concat()
}

pub(crate) fn hello(client: u128, change: impl FnOnce(&mut Hello)) -> Vec<u8> {
    hello_with(client, &[], change)
}

pub(crate) fn hello_with(
    client: u128,
    credential: &[u8],
    change: impl FnOnce(&mut Hello),
) -> Vec<u8> {
    let mut hello = Hello { client, release: 7, ..Hello::default() };
    change(&mut hello);
    joined(&hello.seal(credential), credential)
}

pub(crate) fn ping(nonce: u64) -> Vec<u8> {
    Ping { nonce, ..Ping::default() }.seal(&[]).to_vec()
}

/// A request with a body that tells its number.
pub(crate) fn request(
    operation: Operation,
    session: u64,
    number: u64,
    event_count: u32,
    change: impl FnOnce(&mut Request),
) -> Vec<u8> {
    let mut request = Request {
        request: number,
        session,
        operation: operation.number(),
        event_size: operation.event_size() as u16,
        event_count,
        release: 7,
        ..Request::default()
    };
    let size = event_count as usize * operation.event_size();
    let body: Vec<u8> = number.to_le_bytes().iter().copied().cycle().take(size).collect();
    change(&mut request);
    joined(&request.seal(&body), &body)
}

/// A write of so many transfers.
pub(crate) fn write_of(session: u64, number: u64, event_count: u32) -> Vec<u8> {
    request(Operation::CreateTransfers, session, number, event_count, |_| ())
}

/// The largest write: 1 MiB.
pub(crate) fn large(session: u64, number: u64) -> Vec<u8> {
    write_of(session, number, mizan_wire::limits::EVENTS_MAX)
}
