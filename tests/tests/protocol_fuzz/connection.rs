//! One socket of the fuzzer: never waits, and gives everything that passes to its mirror.

use crate::protocol_fuzz::mirror::Mirror;
use crate::protocol_fuzz::record::Record;
use mizan_wire::frame::Header;
use mizan_wire::limits::HEADER_SIZE;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

/// Bytes taken from the socket at once.
const READ_SIZE: usize = 64 << 10;

/// See the module.
pub(crate) struct Connection {
    stream: TcpStream,
    pub(crate) mirror: Mirror,
    pub(crate) client: u128,
    /// Whether it keeps to the protocol, and whether it may write.
    pub(crate) is_sound: bool,
    pub(crate) may_write: bool,
    /// The number of the next write, while some are on their way.
    pub(crate) next: u64,
    /// Whether it takes what the node sends.
    pub(crate) reads: bool,
    pub(crate) has_ended: bool,
    unsent: Vec<u8>,
    received: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr, client: u128) -> Result<Self, String> {
        let stream = TcpStream::connect(address).map_err(|error| format!("connect: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        stream.set_nonblocking(true).map_err(|error| error.to_string())?;
        Ok(Self {
            stream,
            mirror: Mirror::new(),
            client,
            is_sound: true,
            may_write: true,
            next: 0,
            reads: true,
            has_ended: false,
            unsent: Vec::new(),
            received: Vec::new(),
        })
    }

    /// These bytes are to be sent.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if !self.mirror.is_finished {
            self.unsent.extend_from_slice(bytes);
        }
    }

    pub(crate) const fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// What was pushed and not sent never comes.
    pub(crate) fn forget_unsent(&mut self) {
        self.unsent.clear();
    }

    /// Sends so many bytes, if the socket takes them.
    pub(crate) fn send(&mut self, most: usize, record: &mut Record) -> Result<(), String> {
        let mut left = most.min(self.unsent.len());
        while left > 0 && !self.has_ended {
            match self.stream.write(&self.unsent[..left]) {
                Ok(count) => {
                    self.mirror.sent(&self.unsent[..count], record);
                    self.unsent.drain(..count);
                    left -= count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Why, is read.
                Err(_) => {
                    self.unsent.clear();
                    break;
                }
            }
        }
        Ok(())
    }

    /// Nothing more will be sent.
    pub(crate) fn finish(&mut self) {
        self.forget_unsent();
        self.mirror.is_finished = true;
        // A connection that is already gone needs no end.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Takes what has come.
    pub(crate) fn receive(&mut self, record: &mut Record) -> Result<(), String> {
        let mut bytes = [0; READ_SIZE];
        while !self.has_ended {
            match self.stream.read(&mut bytes) {
                Ok(0) => self.has_ended = true,
                Ok(count) => self.received.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.has_ended = true,
            }
        }
        let received = std::mem::take(&mut self.received);
        let mut rest = received.as_slice();
        while let Some(head) = rest.first_chunk::<HEADER_SIZE>() {
            let header = Header::parse(head)
                .map_err(|status| format!("the node sent a bad header: {status:?}: {head:02x?}"))?;
            let size = HEADER_SIZE + header.body_size();
            let Some(body) = rest.get(HEADER_SIZE..size) else { break };
            header
                .check_body(body)
                .map_err(|_| format!("the body of {header:?} does not match its checksum"))?;
            self.mirror.heard(&header, body, record)?;
            rest = &rest[size..];
        }
        self.received = rest.to_vec();
        if self.has_ended {
            self.unsent.clear();
            if !self.received.is_empty() && !self.mirror.is_excused() {
                return Err("the node ended within a frame".to_owned());
            }
            return self.mirror.ended();
        }
        Ok(())
    }
}
