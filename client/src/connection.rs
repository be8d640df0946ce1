//! One TCP connection: sealed frames out, checked frames in, never blocking except to be opened.
//!
//! What is absent: any idea of what a frame means.

use crate::constants::{OUTGOING_SIZE_MAX, RECEIVE_CHUNK_SIZE, WRITE_SLICES_MAX};
use crate::incoming::FrameReader;
use crate::socket;
use bytes::Bytes;
use mizan_wire::limits::HEADER_SIZE;
use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

struct OutgoingFrame {
    header: [u8; HEADER_SIZE],
    body: Bytes,
    written: usize,
}

impl OutgoingFrame {
    fn rest(&self) -> [&[u8]; 2] {
        let of_header = self.written.min(HEADER_SIZE);
        [&self.header[of_header..], &self.body[self.written - of_header..]]
    }

    fn rest_size(&self) -> usize {
        HEADER_SIZE + self.body.len() - self.written
    }
}

/// An open connection.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) address: SocketAddr,
    /// When bytes came last, or when the connection was opened.
    pub(crate) heard_at: Instant,
    pub(crate) reader: FrameReader,
    outgoing: VecDeque<OutgoingFrame>,
    outgoing_size: usize,
    chunk: Vec<u8>,
}

impl Connection {
    /// Opens a connection, for which it blocks at most as long as the timeout says.
    pub(crate) fn open(address: SocketAddr, timeout: Duration) -> std::io::Result<Self> {
        let stream = socket::connect(address, timeout)?;
        Ok(Self {
            stream,
            address,
            heard_at: Instant::now(),
            reader: FrameReader::default(),
            outgoing: VecDeque::new(),
            outgoing_size: 0,
            chunk: vec![0; RECEIVE_CHUNK_SIZE],
        })
    }

    /// Whether a further frame should be queued now rather than sealed later.
    pub(crate) fn has_room(&self) -> bool {
        self.outgoing_size < OUTGOING_SIZE_MAX
    }

    pub(crate) fn is_flushed(&self) -> bool {
        self.outgoing.is_empty()
    }

    pub(crate) fn queue(&mut self, header: [u8; HEADER_SIZE], body: Bytes) {
        let frame = OutgoingFrame { header, body, written: 0 };
        self.outgoing_size += frame.rest_size();
        self.outgoing.push_back(frame);
    }

    /// Writes what the socket takes; says whether it took anything.
    pub(crate) fn flush(&mut self) -> std::io::Result<bool> {
        let mut progress = false;
        while !self.outgoing.is_empty() {
            let slices: Vec<IoSlice<'_>> = self
                .outgoing
                .iter()
                .flat_map(OutgoingFrame::rest)
                .filter(|slice| !slice.is_empty())
                .take(WRITE_SLICES_MAX)
                .map(IoSlice::new)
                .collect();
            match self.stream.write_vectored(&slices) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.advance(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            progress = true;
        }
        Ok(progress)
    }

    fn advance(&mut self, mut count: usize) {
        self.outgoing_size -= count;
        while let Some(frame) = self.outgoing.front_mut() {
            let taken = frame.rest_size().min(count);
            frame.written += taken;
            count -= taken;
            if frame.rest_size() > 0 {
                break;
            }
            self.outgoing.pop_front();
        }
    }

    /// Reads once, into the frame reader; says whether anything came.
    ///
    /// # Errors
    /// Also the orderly end of the stream, as `UnexpectedEof`.
    pub(crate) fn receive(&mut self, now: Instant) -> std::io::Result<bool> {
        loop {
            match self.stream.read(&mut self.chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.reader.extend(&self.chunk[..count]);
                    self.heard_at = now;
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
}
