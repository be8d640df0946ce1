//! A connection that speaks the native protocol frame by frame, so that a test decides about every byte.
//!
//! Invariant: everything that the node sends must be whole, intact frames of a server; anything else is a panic.
//! What is absent: resending, windows, and everything else that a client does for its user.

use mizan_wire::frame::{
    HELLO_READ_ONLY, Header, Hello, HelloReply, NodeLimits, REPLY_REPLAYED, Reply, Request,
};
use mizan_wire::limits::HEADER_SIZE;
use mizan_wire::{Operation, RequestStatus, Status};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a node says.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The answer to a hello.
    Hello(HelloReply),
    /// The answer to a request, with its body.
    Reply(Reply, Vec<u8>),
    /// The connection ends, with this status and text.
    Error(RequestStatus, String),
    /// The answer to a ping.
    Pong,
    /// The connection has ended.
    End,
}

/// One connection.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
}

impl RawConnection {
    /// Connects.
    ///
    /// # Panics
    /// If nobody listens.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address)
            .unwrap_or_else(|error| panic!("nobody listens at {address}: {error}"));
        stream.set_nodelay(true).expect("a socket can be set up");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket can be set up");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket can be set up");
        Self { stream }
    }

    /// Connects and opens the client's session.
    ///
    /// # Panics
    /// If the node refuses.
    pub fn open(address: SocketAddr, client: u128) -> (Self, HelloReply) {
        let mut connection = Self::connect(address);
        let reply = connection.hello(client);
        assert_eq!(reply.status, RequestStatus::Ok.number(), "the hello is refused");
        (connection, reply)
    }

    /// Connects as a reader without a session.
    ///
    /// # Panics
    /// If the node refuses.
    pub fn open_reader(address: SocketAddr) -> Self {
        let mut connection = Self::connect(address);
        assert!(connection.send(&reader_hello_frame()), "the node has hung up");
        let Answer::Hello(reply) = connection.receive() else { panic!("no answer to a hello") };
        assert_eq!(reply.status, RequestStatus::Ok.number(), "the hello is refused");
        connection
    }

    /// Says hello, whatever the answer's status.
    ///
    /// # Panics
    /// If the answer is none to a hello.
    pub fn hello(&mut self, client: u128) -> HelloReply {
        assert!(self.send(&hello_frame(client)), "the node has hung up");
        match self.receive() {
            Answer::Hello(reply) => reply,
            other => panic!("{other:?} answers a hello"),
        }
    }

    /// Sends these bytes; false if the node has hung up.
    ///
    /// # Panics
    /// If the node takes nothing for a minute.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        match self.stream.write_all(bytes) {
            Ok(()) => true,
            Err(error) if has_hung_up(error.kind()) => false,
            Err(error) => panic!("the node takes no bytes: {error}"),
        }
    }

    /// Sends a request and gives its reply.
    ///
    /// # Panics
    /// If the answer is none to this request.
    pub fn request(&mut self, bytes: &[u8]) -> (Reply, Vec<u8>) {
        assert!(self.send(bytes), "the node has hung up");
        match self.receive() {
            Answer::Reply(reply, body) => (reply, body),
            other => panic!("{other:?} answers a request"),
        }
    }

    /// Nothing more will be sent.
    pub fn finish_sending(&self) {
        // A connection that is already gone needs no end.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next frame, or the end.
    ///
    /// # Panics
    /// If it is no intact frame of a server, or none comes for a minute.
    pub fn receive(&mut self) -> Answer {
        let mut head = [0; HEADER_SIZE];
        if !self.fill(&mut head, true) {
            return Answer::End;
        }
        let header = Header::parse(&head)
            .unwrap_or_else(|status| panic!("the node sent a bad header: {}", status.name()));
        let mut body = vec![0; header.body_size()];
        if !self.fill(&mut body, false) {
            return Answer::End;
        }
        header.check_body(&body).expect("the node's bodies match their checksums");
        answer(&header, body)
    }

    /// All frames up to the end.
    pub fn receive_all(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        loop {
            match self.receive() {
                Answer::End => return answers,
                other => answers.push(other),
            }
        }
    }

    /// Whether something, also the end, waits to be received.
    ///
    /// # Panics
    /// If the socket cannot be asked.
    pub fn has_answer(&self) -> bool {
        self.stream.set_nonblocking(true).expect("a socket can be set up");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("a socket can be set up");
        !matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Fills the buffer; false if the connection ends, in order only where a frame may begin.
    fn fill(&mut self, buffer: &mut [u8], at_start: bool) -> bool {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) => {
                    assert!(at_start && filled == 0, "the node ended within a frame");
                    return false;
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if has_hung_up(error.kind()) => return false,
                Err(error) => panic!("the node does not answer: {error}"),
            }
        }
        true
    }
}

fn has_hung_up(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
    )
}

fn answer(header: &Header, body: Vec<u8>) -> Answer {
    let known = |number: u32| {
        RequestStatus::from_number(number)
            .unwrap_or_else(|| panic!("the node answers with the unknown status {number}"))
    };
    match header {
        Header::HelloReply(reply) => {
            known(reply.status);
            assert_eq!(body.len(), size_of::<NodeLimits>(), "limits follow a hello's reply");
            Answer::Hello(*reply)
        }
        Header::Reply(reply) => {
            known(reply.status);
            Answer::Reply(*reply, body)
        }
        Header::Error(error) => {
            let text = String::from_utf8(body).expect("the node's texts are UTF-8");
            assert!(!text.is_empty(), "an error has a text");
            Answer::Error(known(error.status), text)
        }
        Header::Pong(_) => Answer::Pong,
        Header::Hello(_) | Header::Request(_) | Header::Ping(_) => {
            panic!("the node sent a client's frame")
        }
    }
}

/// A hello that opens or resumes the client's session.
#[must_use]
pub fn hello_frame(client: u128) -> Vec<u8> {
    Hello { client, ..Hello::default() }.seal(&[]).to_vec()
}

/// A hello that opens no session.
#[must_use]
pub fn reader_hello_frame() -> Vec<u8> {
    Hello { flags: HELLO_READ_ONLY, ..Hello::default() }.seal(&[]).to_vec()
}

/// A request that reports no reply as received.
///
/// # Panics
/// If the events are larger than the protocol allows.
#[must_use]
pub fn request_frame(session: u64, number: u64, operation: Operation, events: &[u8]) -> Vec<u8> {
    let event_size = operation.event_size();
    let request = Request {
        request: number,
        session,
        operation: operation.number(),
        event_size: event_size as u16,
        event_count: events.len().checked_div(event_size).unwrap_or(0) as u32,
        ..Request::default()
    };
    let mut frame = request.seal(events).to_vec();
    frame.extend_from_slice(events);
    frame
}

/// Whether the reply repeats a stored one.
#[must_use]
pub const fn is_replayed(reply: &Reply) -> bool {
    reply.flags & REPLY_REPLAYED != 0
}
