//! A listener for GET requests without parameters: as much of HTTP/1.1 as a scraper and a prober need.
//!
//! One thread polls all sockets. Invariants: a connection gets one answer and a fixed time for all of it; memory is
//! bounded by [`CONNECTIONS_MAX`] times a request and an answer; when all places are taken the oldest connection makes
//! room, so that connections that neither send nor read cannot keep others out.
//!
//! What is absent: keep-alive, bodies of requests, compression, encryption; and every effect: an answer is made of what
//! the handler reads.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Connections at one time.
pub(super) const CONNECTIONS_MAX: usize = 32;
/// Bytes of a request, headers included.
const REQUEST_SIZE_MAX: usize = 8 << 10;
/// How long a request and its answer may take together.
const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a client gets to close after its answer: closed at once, the answer could be lost on its way.
const FAREWELL_TIME_MAX: Duration = Duration::from_secs(1);
/// Pause after the system refused another descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a request is answered with.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: String,
}

impl Response {
    /// Text for people.
    pub(super) fn plain(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }

    /// The bytes of the answer; `with_body` is not set for HEAD, whose answer has the headers only.
    fn bytes(&self, with_body: bool) -> Vec<u8> {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            431 => "Request Header Fields Too Large",
            _ => "Service Unavailable",
        };
        let allow = if self.status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
        let mut text = format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n{allow}Connection: close\r\n\r\n",
            self.status,
            self.content_type,
            self.body.len()
        );
        if with_body {
            text.push_str(&self.body);
        }
        text.into_bytes()
    }
}

/// A listening thread; it ends with this value.
#[derive(Debug)]
pub(super) struct HttpListener {
    local_addr: SocketAddr,
    /// Dropped to end the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl HttpListener {
    /// Listens, and answers every path with what `answer` makes of it.
    ///
    /// # Errors
    /// An address that is not to be had; no thread.
    pub(super) fn start(
        listen: SocketAddr,
        answer: impl Fn(&str) -> Response + Send + 'static,
    ) -> io::Result<Self> {
        Self::start_within(EXCHANGE_TIME_MAX, listen, answer)
    }

    fn start_within(
        exchange_time: Duration,
        listen: SocketAddr,
        answer: impl Fn(&str) -> Response + Send + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let local_addr = listener.local_addr()?;
        let (stop, stopped) = UnixStream::pair()?;
        let server = Server {
            listener,
            stopped,
            exchange_time,
            connections: Vec::new(),
            accept_after: None,
        };
        let thread = std::thread::Builder::new()
            .name("mizan-metrics".to_owned())
            .spawn(move || server.run(&answer))?;
        Ok(Self { local_addr, stop: Some(stop), thread: Some(thread) })
    }

    /// The address that scrapers reach.
    pub(super) const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
}

impl Drop for HttpListener {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has said so itself.
            let _ = thread.join();
        }
    }
}

struct Server {
    listener: TcpListener,
    /// Becomes readable when the thread is to end.
    stopped: UnixStream,
    exchange_time: Duration,
    /// The oldest first.
    connections: Vec<Connection>,
    accept_after: Option<Instant>,
}

impl Server {
    fn run(mut self, answer: &dyn Fn(&str) -> Response) {
        loop {
            let Ok(readiness) = self.wait() else {
                // Only a want of memory is left as a reason; it passes, or the node ends.
                std::thread::sleep(ACCEPT_PAUSE);
                continue;
            };
            if readiness.is_stopped {
                return;
            }
            let now = Instant::now();
            let mut ready = readiness.connections.into_iter();
            self.connections.retain_mut(|connection| {
                let is_ready = ready.next().unwrap_or(false);
                now < connection.deadline && (!is_ready || connection.advance(answer))
            });
            if readiness.has_new {
                self.accept(now, answer);
            }
        }
    }

    /// Waits for sockets, and for the next deadline.
    fn wait(&self) -> io::Result<Readiness> {
        let now = Instant::now();
        let accept_after = self.accept_after.filter(|after| *after > now);
        let mut watched = vec![
            PollFd::new(&self.stopped, PollFlags::IN),
            // A flag less: the listener is not looked at while it is paused.
            PollFd::new(
                &self.listener,
                if accept_after.is_some() { PollFlags::empty() } else { PollFlags::IN },
            ),
        ];
        watched.extend(self.connections.iter().map(Connection::watch));
        let deadlines = self.connections.iter().map(|connection| connection.deadline);
        let timeout = deadlines.chain(accept_after).min().map(|next| {
            // A millisecond more, so that the deadline has passed when the wait is over.
            let wait = next.saturating_duration_since(now) + Duration::from_millis(1);
            Timespec { tv_sec: wait.as_secs().cast_signed(), tv_nsec: wait.subsec_nanos().into() }
        });
        match poll(&mut watched, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut ready = watched.iter().map(|socket| !socket.revents().is_empty());
        Ok(Readiness {
            is_stopped: ready.next().unwrap_or(false),
            has_new: ready.next().unwrap_or(false),
            connections: ready.collect(),
        })
    }

    fn accept(&mut self, now: Instant, answer: &dyn Fn(&str) -> Response) {
        // As many as have a place, so that one round ends.
        for _ in 0..CONNECTIONS_MAX {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    let Ok(mut connection) = Connection::new(stream, now + self.exchange_time)
                    else {
                        continue;
                    };
                    // The request is mostly there already.
                    if connection.advance(answer) {
                        if self.connections.len() >= CONNECTIONS_MAX {
                            self.connections.remove(0);
                        }
                        self.connections.push(connection);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(_) => {
                    self.accept_after = Some(now + ACCEPT_PAUSE);
                    return;
                }
            }
        }
    }
}

struct Readiness {
    is_stopped: bool,
    has_new: bool,
    connections: Vec<bool>,
}

enum Stage {
    /// Collects the request.
    Request(Vec<u8>),
    /// Sends the answer: its bytes, and how many are sent.
    Answer(Vec<u8>, usize),
    /// Waits for the client to close.
    Farewell,
}

struct Connection {
    stream: TcpStream,
    stage: Stage,
    deadline: Instant,
}

impl Connection {
    fn new(stream: TcpStream, deadline: Instant) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, stage: Stage::Request(Vec::new()), deadline })
    }

    fn watch(&self) -> PollFd<'_> {
        let flags = match self.stage {
            Stage::Answer(..) => PollFlags::OUT,
            _ => PollFlags::IN,
        };
        PollFd::new(&self.stream, flags)
    }

    /// Goes on as far as the socket lets it; whether there is more to come.
    fn advance(&mut self, answer: &dyn Fn(&str) -> Response) -> bool {
        loop {
            let next = match &mut self.stage {
                Stage::Request(request) => read_request(&mut self.stream, request)
                    .map(|is_whole| Stage::Answer(answer_to(request, is_whole, answer), 0)),
                Stage::Answer(bytes, sent) => {
                    write_answer(&mut self.stream, bytes, sent).map(|()| {
                        self.deadline = self.deadline.min(Instant::now() + FAREWELL_TIME_MAX);
                        // Refused if the client is gone, which the next read finds.
                        let _ = self.stream.shutdown(Shutdown::Write);
                        Stage::Farewell
                    })
                }
                // One piece in a turn: between turns the deadline is looked at, and others have theirs.
                Stage::Farewell => {
                    return match pass_over(&mut self.stream) {
                        Ok(()) => true,
                        Err(error) => error.kind() == ErrorKind::WouldBlock,
                    };
                }
            };
            match next {
                Ok(stage) => self.stage = stage,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }
}

/// Reads until the request's headers are whole (true) or too long (false).
fn read_request(stream: &mut TcpStream, request: &mut Vec<u8>) -> io::Result<bool> {
    let mut chunk = [0; 1_024];
    loop {
        let count = read_some(stream, &mut chunk)?;
        request.extend_from_slice(&chunk[..count]);
        // Either end of line will do; no header line is empty.
        if request.windows(4).any(|end| end == b"\r\n\r\n")
            || request.windows(2).any(|end| end == b"\n\n")
        {
            return Ok(true);
        }
        if request.len() >= REQUEST_SIZE_MAX {
            return Ok(false);
        }
    }
}

/// Reads what is there; the end is an error, because nothing more can be done then.
fn read_some(stream: &mut TcpStream, chunk: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(chunk) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn write_answer(stream: &mut TcpStream, bytes: &[u8], sent: &mut usize) -> io::Result<()> {
    while *sent < bytes.len() {
        match stream.write(&bytes[*sent..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => *sent += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads one piece of what nobody asked for.
fn pass_over(stream: &mut TcpStream) -> io::Result<()> {
    read_some(stream, &mut [0; 1_024]).map(drop)
}

fn answer_to(request: &[u8], is_whole: bool, answer: &dyn Fn(&str) -> Response) -> Vec<u8> {
    if !is_whole {
        return Response::plain(431, "the request is too long\n").bytes(true);
    }
    let line = request.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).unwrap_or_default();
    let words: Vec<&str> = line.trim_end().split(' ').collect();
    let [method, target, version] = words[..] else {
        return Response::plain(400, "not a request of HTTP/1.1\n").bytes(true);
    };
    if !version.starts_with("HTTP/1.") || !target.starts_with('/') {
        return Response::plain(400, "not a request of HTTP/1.1\n").bytes(true);
    }
    let path = target.split('?').next().unwrap_or_default();
    match method {
        "GET" => answer(path).bytes(true),
        "HEAD" => answer(path).bytes(false),
        _ => Response::plain(405, "GET and HEAD only\n").bytes(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any socket's buffers take.
    const LARGE: usize = 32 << 20;

    fn listener() -> HttpListener {
        let answer = |path: &str| match path {
            "/large" => Response::plain(200, "x".repeat(LARGE)),
            "/" => Response::plain(200, "here\n"),
            _ => Response::plain(404, "nothing\n"),
        };
        HttpListener::start("127.0.0.1:0".parse().unwrap(), answer).unwrap()
    }

    fn connect(listener: &HttpListener) -> TcpStream {
        TcpStream::connect(listener.local_addr()).unwrap()
    }

    fn exchange(listener: &HttpListener, request: &[u8]) -> String {
        let mut stream = connect(listener);
        stream.write_all(request).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_request_is_answered_and_the_connection_closed() {
        let listener = listener();
        let text = exchange(&listener, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(text.contains("\r\nContent-Length: 5\r\n") && text.ends_with("\r\n\r\nhere\n"));
        let text = exchange(&listener, b"GET /?a=b HTTP/1.0\n\n");
        assert!(text.ends_with("here\n"), "{text}");
        let text = exchange(&listener, b"HEAD / HTTP/1.1\r\n\r\n");
        assert!(text.contains("Content-Length: 5") && text.ends_with("\r\n\r\n"), "{text}");
    }

    #[test]
    fn what_is_no_request_for_a_page_is_answered_with_the_reason() {
        let listener = listener();
        let long = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'x'; REQUEST_SIZE_MAX]].concat();
        for (request, status) in [
            (b"GET /nowhere HTTP/1.1\r\n\r\n".as_slice(), "404 Not Found"),
            (b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", "405 Method Not Allowed"),
            (b"GET / HTTP/2\r\n\r\n", "400 Bad Request"),
            (b"GET http://elsewhere/ HTTP/1.1\r\n\r\n", "400 Bad Request"),
            (b"\x00\xff\r\n\r\n", "400 Bad Request"),
            (&long, "431 Request Header Fields Too Large"),
        ] {
            let text = exchange(&listener, request);
            assert!(text.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{text}");
        }
    }

    #[test]
    fn an_answer_arrives_whole_however_slowly_it_is_read() {
        let listener = listener();
        let mut stream = connect(&listener);
        for byte in b"GET /large HTTP/1.1\r\n\r\n" {
            stream.write_all(&[*byte]).unwrap();
        }
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let body = bytes.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(bytes.len() - body, LARGE);
    }

    #[test]
    fn connections_that_say_nothing_or_read_nothing_keep_nobody_out() {
        let listener = listener();
        let mut others = Vec::new();
        for number in 0..CONNECTIONS_MAX * 4 {
            let mut stream = connect(&listener);
            match number % 3 {
                0 => {}
                1 => stream.write_all(b"GET / HT").unwrap(),
                _ => stream.write_all(b"GET /large HTTP/1.1\r\n\r\n").unwrap(),
            }
            others.push(stream);
            let text = exchange(&listener, b"GET / HTTP/1.1\r\n\r\n");
            assert!(text.ends_with("here\n"), "{number}: {text}");
        }
        // Those that had to make room were closed: a quarter of them is left at the most.
        let closed = others.iter().filter(|stream| is_closed(stream)).count();
        assert!(closed >= CONNECTIONS_MAX * 2, "{closed}");
    }

    /// Whether the other side has closed: what it sent before that is read and dropped.
    fn is_closed(mut stream: &TcpStream) -> bool {
        stream.set_nonblocking(true).unwrap();
        let mut chunk = vec![0; 64 << 10];
        loop {
            match stream.read(&mut chunk) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
    }

    #[test]
    fn a_connection_that_never_ends_its_request_is_closed_after_its_time() {
        let any = "127.0.0.1:0".parse().unwrap();
        let time = Duration::from_millis(20);
        let listener =
            HttpListener::start_within(time, any, |_| Response::plain(200, "here\n")).unwrap();
        let mut stream = connect(&listener);
        stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        // Waits for the other side; a listener that kept the connection would make this an error.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_client_that_goes_on_sending_after_its_answer_gets_one_turn_at_a_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut connection = Connection::new(stream, deadline).unwrap();
        connection.stage = Stage::Farewell;
        client.write_all(&[b'x'; 16 << 10]).unwrap();
        let is_there = |connection: &Connection| {
            connection.stream.peek(&mut [0; 4 << 10]).is_ok_and(|count| count == 4 << 10)
        };
        while !is_there(&connection) {}
        assert!(connection.advance(&|_| unreachable!("it was answered")));
        assert!(is_there(&connection), "all was read in one turn");
    }

    #[test]
    fn the_thread_ends_with_the_value_and_gives_the_address_back() {
        let listener = listener();
        let address = listener.local_addr();
        let _open = connect(&listener);
        drop(listener);
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
}
