//! A node that does what a script says, frame by frame. It checks nothing that the script does not ask it to check.
//!
//! Each test binary uses its own part of this, so unused parts are no mistake.
#![allow(dead_code, unreachable_pub)]

use mizan_client::{Client, ClientConfig, Completion, NodeLimits};
use mizan_wire::frame::{self, Header, Hello, HelloReply, REPLY_COMPACT, REPLY_REPLAYED, Request};
use mizan_wire::limits::{EVENTS_MAX, FRAME_SIZE_MAX, HEADER_SIZE};
use mizan_wire::{Operation, RequestStatus, Transfer};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

/// Nothing here takes this long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const CLUSTER: u128 = 77;
pub const SESSION: u64 = 5;
/// No frame begins like this: its first 16 bytes are a checksum.
const KNOCK: &[u8; 16] = b"knock knock ----";

pub fn limits() -> NodeLimits {
    NodeLimits {
        frame_size_max: FRAME_SIZE_MAX as u32,
        events_max: EVENTS_MAX,
        window_requests: 16,
        window_bytes: 1 << 20,
        ..NodeLimits::default()
    }
}

pub struct FakeNode {
    pub address: SocketAddr,
    thread: JoinHandle<()>,
}

impl FakeNode {
    /// Runs the script on a thread of its own, with a listener on a free port.
    pub fn run(script: impl FnOnce(&Door) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || script(&Door(listener)));
        Self { address, thread }
    }

    /// Waits for the end of the script, and fails if it failed.
    pub fn join(self) {
        if let Err(panic) = self.thread.join() {
            std::panic::resume_unwind(panic);
        }
    }

    /// Ends the script of a node that waits with [`Door::accept_until_knocked`].
    pub fn knock(&self) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(KNOCK).unwrap();
    }

    pub fn config(&self) -> ClientConfig {
        ClientConfig { request_timeout: PATIENCE, ..ClientConfig::at(self.address) }
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.config()).unwrap()
    }
}

pub struct Door(TcpListener);

impl Door {
    /// The next connection, as it comes.
    pub fn accept(&self) -> Peer {
        let mut sockets = [PollFd::new(&self.0, PollFlags::IN)];
        let timeout = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        let ready = rustix::event::poll(&mut sockets, Some(&timeout)).unwrap();
        assert_eq!(ready, 1, "nobody connects");
        let (stream, _) = self.0.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Peer { stream, limits: limits() }
    }

    /// The next connection of a client, or `None` for a knock. A client that has gone already is passed over.
    pub fn accept_until_knocked(&self) -> Option<Peer> {
        loop {
            let peer = self.accept();
            let mut first = [0; KNOCK.len()];
            let mut taken = 0;
            while taken < first.len() {
                match peer.stream.peek(&mut first) {
                    Ok(count) if count > taken => taken = count,
                    _ => break,
                }
            }
            match taken == first.len() {
                true if first == *KNOCK => return None,
                true => return Some(peer),
                false => {}
            }
        }
    }

    /// The next connection, with its hello answered.
    pub fn welcome(&self, request_last: u64) -> Peer {
        let mut peer = self.accept();
        let hello = peer.hello();
        peer.welcome(&hello, request_last);
        peer
    }
}

pub struct Peer {
    pub stream: TcpStream,
    pub limits: NodeLimits,
}

impl Peer {
    pub fn frame(&mut self) -> (Header, Vec<u8>) {
        self.frame_or_end().expect("the client closed the connection")
    }

    pub fn frame_or_end(&mut self) -> Option<(Header, Vec<u8>)> {
        let mut bytes = [0; HEADER_SIZE];
        if self.stream.read_exact(&mut bytes).is_err() {
            return None;
        }
        let header = Header::parse(&bytes).expect("the client's header is sound");
        let mut body = vec![0; header.body_size()];
        self.stream.read_exact(&mut body).ok()?;
        header.check_body(&body).expect("the client's body is sound");
        Some((header, body))
    }

    pub fn hello(&mut self) -> Hello {
        match self.frame() {
            (Header::Hello(hello), _) => hello,
            (other, _) => panic!("a hello was expected, not {other:?}"),
        }
    }

    pub fn request(&mut self) -> (Request, Vec<u8>) {
        match self.frame() {
            (Header::Request(request), body) => {
                request.check().expect("the client's request is sound");
                (request, body)
            }
            (other, _) => panic!("a request was expected, not {other:?}"),
        }
    }

    pub fn requests(&mut self, count: usize) -> Vec<(Request, Vec<u8>)> {
        (0..count).map(|_| self.request()).collect()
    }

    pub fn welcome(&mut self, hello: &Hello, request_last: u64) {
        self.welcome_in(1, hello, request_last);
    }

    /// As primary of this epoch.
    pub fn welcome_in(&mut self, epoch: u64, hello: &Hello, request_last: u64) {
        let limits = self.limits;
        let is_reader = hello.flags != 0;
        let reply = HelloReply {
            client: hello.client,
            cluster: CLUSTER,
            session: if is_reader { 0 } else { SESSION },
            request_last,
            epoch,
            commit: 10,
            role: 1,
            resumed: u8::from(hello.session != 0),
            ..HelloReply::default()
        };
        self.send(&reply.seal(limits.as_bytes()), limits.as_bytes());
    }

    pub fn reject(&mut self, hello: &Hello, status: RequestStatus, limits: &NodeLimits) {
        let reply = HelloReply {
            client: hello.client,
            cluster: CLUSTER,
            status: status as u32,
            ..HelloReply::default()
        };
        self.send(&reply.seal(limits.as_bytes()), limits.as_bytes());
    }

    /// Sends what the client may not be there to take.
    pub fn send(&mut self, header: &[u8], body: &[u8]) {
        let _ = self.stream.write_all(&[header, body].concat());
    }

    pub fn execute(&mut self, request: &Request) {
        self.reply(&executed(request), &[]);
    }

    pub fn replay(&mut self, request: &Request) {
        let reply = executed(request);
        self.reply(&frame::Reply { flags: reply.flags | REPLY_REPLAYED, ..reply }, &[]);
    }

    pub fn refuse(&mut self, request: &Request, status: RequestStatus) {
        let reply = executed(request);
        self.reply(
            &frame::Reply { status: status as u32, flags: 0, copies_durable: 0, ..reply },
            &[],
        );
    }

    pub fn reply(&mut self, reply: &frame::Reply, body: &[u8]) {
        self.send(&reply.seal(body), body);
    }

    pub fn error(&mut self, status: RequestStatus, text: &str) {
        let error = frame::Error { status: status as u32, ..frame::Error::default() };
        self.send(&error.seal(text.as_bytes()), text.as_bytes());
    }

    /// Waits until the client has closed the connection.
    pub fn expect_end(&mut self) {
        while self.frame_or_end().is_some() {}
    }
}

/// The reply to a write that was executed, with nothing special about it.
pub fn executed(request: &Request) -> frame::Reply {
    frame::Reply {
        request: request.request,
        sequence: 100 + (request.request & !(1 << 63)),
        epoch: 1,
        timestamp: 1_000 * (request.request & ((1 << 40) - 1)),
        commit: 100,
        operation: request.operation,
        event_count: request.event_count,
        flags: REPLY_COMPACT,
        copies_durable: 1,
        ..frame::Reply::default()
    }
}

/// Transfers that can be told apart.
pub fn transfers(first_id: u128, count: usize) -> Vec<Transfer> {
    (0..count as u128)
        .map(|index| Transfer { id: first_id + index, ..Transfer::default() })
        .collect()
}

/// Submits a batch of transfers.
pub fn submit(client: &mut Client, first_id: u128, count: usize) -> mizan_client::RequestId {
    let transfers = transfers(first_id, count);
    client.submit(Operation::CreateTransfers, transfers.as_bytes()).unwrap()
}

/// The next completion, however long it takes.
pub fn completion(client: &mut Client) -> Completion {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(completion) = client.poll(Duration::from_millis(100)).unwrap() {
            return completion;
        }
    }
    panic!("no completion")
}

/// The error that ends the client, after however many completions.
pub fn failure(client: &mut Client) -> mizan_client::ClientError {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Err(error) = client.poll(Duration::from_millis(100)) {
            return error;
        }
    }
    panic!("the client goes on")
}

/// The error that ends a client of this node, which may come as early as its connection.
pub fn end(node: &FakeNode) -> mizan_client::ClientError {
    match Client::connect(node.config()) {
        Ok(mut client) => failure(&mut client),
        Err(error) => error,
    }
}
