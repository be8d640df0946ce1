//! One TCP connection: sealed frames out, checked frames in, never blocking.
//!
//! What is absent: any idea of what a frame means.

use crate::incoming::FrameReader;
use crate::outgoing::Outgoing;
use crate::socket;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

/// An open connection.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) address: SocketAddr,
    /// When bytes came last, or when the connection was opened.
    pub(crate) heard_at: Instant,
    /// When bytes were sent first since then.
    pub(crate) asked_at: Instant,
    pub(crate) reader: FrameReader,
    pub(crate) outgoing: Outgoing,
}

impl Connection {
    /// Opens a connection without waiting for the other side: until it is there, nothing moves, and a refusal shows
    /// itself at the first attempt to move something.
    pub(crate) fn open(address: SocketAddr) -> std::io::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            stream: socket::begin(address)?.0,
            address,
            heard_at: now,
            asked_at: now,
            reader: FrameReader::default(),
            outgoing: Outgoing::default(),
        })
    }

    /// Writes what the socket takes; says whether it took anything.
    pub(crate) fn flush(&mut self, now: Instant) -> std::io::Result<bool> {
        let mut progress = false;
        let Self { outgoing, stream, .. } = self;
        while !outgoing.is_empty() {
            match outgoing.write_with(|slices| stream.write_vectored(slices)) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            progress = true;
        }
        if progress && self.asked_at <= self.heard_at {
            self.asked_at = now;
        }
        Ok(progress)
    }

    /// Reads once, into the frame reader; says whether anything came.
    ///
    /// # Errors
    /// Also the orderly end of the stream, as `UnexpectedEof`.
    pub(crate) fn receive(&mut self, now: Instant) -> std::io::Result<bool> {
        loop {
            match self.stream.read(self.reader.space()) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.reader.filled(count);
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
