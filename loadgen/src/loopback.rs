//! What bare TCP sockets carry: the measure of how much of a machine a client and a server leave to themselves.
//!
//! The bytes are those of the run: the same frames in the same number, with as many unanswered ones on as many
//! connections; a reply is a header. One thread sends, one receives, as client and server do. The sockets are set up as
//! those of a client are.
//!
//! What is absent: checks, sessions, and everything else that makes a protocol.

use crate::constants::{
    LOOPBACK_BYTES_MAX, LOOPBACK_FRAMES_SIZE, LOOPBACK_IDLE_ROUNDS_MAX, LOOPBACK_PATIENCE,
    LOOPBACK_READ_SIZE,
};
use crate::{BenchOptions, LoadError, Workload};
use mizan_client::socket;
use mizan_wire::Operation;
use mizan_wire::frame::Request;
use mizan_wire::limits::HEADER_SIZE;
use rustix::event::{PollFd, PollFlags, Timespec};
use serde::Serialize;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Instant;
use zerocopy::IntoBytes;

/// What the sockets carried.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LoopbackReport {
    /// Bytes of frames, without the replies.
    pub bytes: u64,
    /// From the first byte to the last reply, in seconds.
    pub duration_s: f64,
    /// Bytes of frames per second.
    pub bytes_per_s: f64,
}

/// Moves the frames of such a run over bare sockets, or as many as suffice. Blocks until done.
///
/// # Errors
/// Sockets that fail or stand still.
pub fn measure(options: &BenchOptions) -> Result<LoopbackReport, LoadError> {
    let failed = |error: std::io::Error| LoadError::Loopback(error.to_string());
    let frame_size = HEADER_SIZE + options.batch as usize * 128;
    let frames = frames(options, frame_size);
    let all = options.batch_count().min(LOOPBACK_BYTES_MAX / frame_size as u64).max(1);
    let clients = u64::from(options.clients);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (mut senders, mut receivers) = (Vec::new(), Vec::new());
    for index in 0..clients {
        // The first connections take what does not divide evenly.
        let frame_count = all / clients + u64::from(index < all % clients);
        let stream = socket::connect(address, LOOPBACK_PATIENCE).map_err(failed)?;
        senders.push(Sender::new(stream, frame_count));
        let (stream, _) = listener.accept().map_err(failed)?;
        receivers.push(Receiver::new(prepared(stream).map_err(failed)?, frame_count));
    }
    let frame_size_64 = frame_size as u64;
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let receiving = scope.spawn(move || {
            let mut scratch = vec![0; LOOPBACK_READ_SIZE];
            drive(&mut receivers, LOOPBACK_IDLE_ROUNDS_MAX, |end| {
                end.step(&mut scratch, frame_size_64)
            })
        });
        let window = u64::from(options.in_flight);
        let sent = drive(&mut senders, 0, |end| end.step(&frames, frame_size_64, window));
        // A sender that failed has hung up, so that the receiver comes to an end, too.
        drop(senders);
        let received = receiving.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        sent.and(received)
    })
    .map_err(failed)?;
    let duration_s = begin.elapsed().as_secs_f64();
    let bytes = all * frame_size_64;
    Ok(LoopbackReport { bytes, duration_s, bytes_per_s: bytes as f64 / duration_s })
}

/// Frames of the run's first batches, sealed, as many as there is room for.
fn frames(options: &BenchOptions, frame_size: usize) -> Vec<u8> {
    let workload = Workload::new(options);
    let count = (LOOPBACK_FRAMES_SIZE / frame_size).max(1) as u64;
    let mut frames = Vec::with_capacity(count as usize * frame_size);
    let mut body = Vec::with_capacity(frame_size);
    for batch_index in 0..count {
        body.clear();
        workload.each(batch_index, options.batch as usize, |transfer| {
            body.extend_from_slice(transfer.as_bytes());
        });
        let header = Request {
            request: batch_index + 1,
            operation: Operation::CreateTransfers.number(),
            event_size: 128,
            event_count: options.batch,
            ..Request::default()
        };
        frames.extend_from_slice(&header.seal(&body));
        frames.extend_from_slice(&body);
    }
    frames
}

fn prepared(stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// One end of a connection.
trait End {
    fn stream(&self) -> &TcpStream;
    fn is_done(&self) -> bool;
    fn wants_write(&self) -> bool;
}

/// Steps all ends until they are done; yields so many times when none gets on, and then waits for the sockets.
fn drive<E: End>(
    ends: &mut [E],
    idle_rounds_max: u32,
    mut step: impl FnMut(&mut E) -> std::io::Result<bool>,
) -> std::io::Result<()> {
    let mut idle_rounds = 0;
    loop {
        let mut progress = false;
        for end in ends.iter_mut().filter(|end| !end.is_done()) {
            progress |= step(end)?;
        }
        if ends.iter().all(End::is_done) {
            return Ok(());
        }
        idle_rounds = if progress { 0 } else { idle_rounds + 1 };
        if progress || idle_rounds < idle_rounds_max {
            if !progress {
                std::thread::yield_now();
            }
            continue;
        }
        let mut sockets: Vec<PollFd<'_>> = ends
            .iter()
            .filter(|end| !end.is_done())
            .map(|end| {
                let mut events = PollFlags::IN;
                events.set(PollFlags::OUT, end.wants_write());
                PollFd::new(end.stream(), events)
            })
            .collect();
        let timeout = Timespec { tv_sec: LOOPBACK_PATIENCE.as_secs() as i64, tv_nsec: 0 };
        match rustix::event::poll(&mut sockets, Some(&timeout)) {
            Ok(0) => return Err(ErrorKind::TimedOut.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

struct Sender {
    stream: TcpStream,
    frame_count: u64,
    bytes_sent: u64,
    reply_bytes: u64,
    is_full: bool,
}

impl Sender {
    const fn new(stream: TcpStream, frame_count: u64) -> Self {
        Self { stream, frame_count, bytes_sent: 0, reply_bytes: 0, is_full: false }
    }

    fn step(&mut self, frames: &[u8], frame_size: u64, window: u64) -> std::io::Result<bool> {
        let mut replies = [0; 16 * HEADER_SIZE];
        let received = read(&mut self.stream, &mut replies)?;
        self.reply_bytes += received as u64;
        let answered = self.reply_bytes / HEADER_SIZE as u64;
        let may_send = (answered + window).min(self.frame_count) * frame_size - self.bytes_sent;
        self.is_full = false;
        if may_send == 0 {
            return Ok(received > 0);
        }
        let place = (self.bytes_sent % frames.len() as u64) as usize;
        let end = frames.len().min(place.saturating_add(may_send as usize));
        let written = match self.stream.write(&frames[place..end]) {
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        self.bytes_sent += written as u64;
        self.is_full = written == 0;
        Ok(received > 0 || written > 0)
    }
}

impl End for Sender {
    fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn is_done(&self) -> bool {
        self.reply_bytes == self.frame_count * HEADER_SIZE as u64
    }

    fn wants_write(&self) -> bool {
        self.is_full
    }
}

struct Receiver {
    stream: TcpStream,
    frame_count: u64,
    bytes_received: u64,
    reply_bytes: u64,
    owed: u64,
}

impl Receiver {
    const fn new(stream: TcpStream, frame_count: u64) -> Self {
        Self { stream, frame_count, bytes_received: 0, reply_bytes: 0, owed: 0 }
    }

    fn step(&mut self, scratch: &mut [u8], frame_size: u64) -> std::io::Result<bool> {
        let received = read(&mut self.stream, scratch)?;
        self.bytes_received += received as u64;
        let replies = [0; 64 * HEADER_SIZE];
        let mut written_any = false;
        loop {
            self.owed = self.bytes_received / frame_size * HEADER_SIZE as u64 - self.reply_bytes;
            if self.owed == 0 {
                break;
            }
            let size = replies.len().min(self.owed as usize);
            match self.stream.write(&replies[..size]) {
                Ok(written) => self.reply_bytes += written as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            written_any = true;
        }
        Ok(received > 0 || written_any)
    }
}

impl End for Receiver {
    fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn is_done(&self) -> bool {
        self.reply_bytes == self.frame_count * HEADER_SIZE as u64
    }

    fn wants_write(&self) -> bool {
        self.owed > 0
    }
}

/// Reads once; 0 if there is nothing now.
fn read(stream: &mut TcpStream, bytes: &mut [u8]) -> std::io::Result<usize> {
    match stream.read(bytes) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(count) => Ok(count),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_of_every_shape_of_run_arrives_and_is_answered() {
        for (transfers, batch, clients, in_flight) in
            [(1, 1, 1, 1), (5_000, 1, 3, 7), (40_000, 8_189, 1, 4), (20_000, 100, 64, 2)]
        {
            let options =
                BenchOptions { transfers, batch, clients, in_flight, ..BenchOptions::default() };
            let report = measure(&options).unwrap();
            let frame_size = 128 + u64::from(batch) * 128;
            assert_eq!(report.bytes, options.batch_count() * frame_size, "{options:?}");
            assert!(report.bytes_per_s > 0.0 && report.duration_s > 0.0);
        }
    }

    #[test]
    fn the_frames_are_those_that_a_client_would_send() {
        let options = BenchOptions { batch: 10, ..BenchOptions::default() };
        let frames = frames(&options, 1_408);
        assert!(frames.len() > LOOPBACK_FRAMES_SIZE - 1_408);
        for frame in frames.chunks(1_408) {
            let (header, body) = frame.split_first_chunk().unwrap();
            let header = mizan_wire::frame::Header::parse(header).unwrap();
            assert_eq!((header.body_size(), header.check_body(body)), (1_280, Ok(())));
        }
    }
}
