//! One TCP connection: sealed frames out, checked frames in, never blocking except to be opened.
//!
//! What is absent: any idea of what a frame means.

use crate::incoming::FrameReader;
use crate::outgoing::Outgoing;
use crate::socket;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// An open connection.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) address: SocketAddr,
    /// When bytes came last, or when the connection was opened.
    pub(crate) heard_at: Instant,
    pub(crate) reader: FrameReader,
    pub(crate) outgoing: Outgoing,
}

impl Connection {
    /// Opens a connection, for which it blocks at most as long as the timeout says.
    pub(crate) fn open(address: SocketAddr, timeout: Duration) -> std::io::Result<Self> {
        Ok(Self {
            stream: socket::connect(address, timeout)?,
            address,
            heard_at: Instant::now(),
            reader: FrameReader::default(),
            outgoing: Outgoing::default(),
        })
    }

    /// Writes what the socket takes; says whether it took anything.
    pub(crate) fn flush(&mut self) -> std::io::Result<bool> {
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
