//! One connection: its socket, what it has shown of itself, and the bytes that wait on either side.

use super::READ_CHUNK;
use crate::cluster::guests::{UNPROVED_MESSAGE_SIZE_MAX, Who};
use mio::net::TcpStream;
use std::collections::VecDeque;

/// See the module.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// Counts the connections.
    pub(super) number: u64,
    pub(super) who: Who,
    pub(super) is_connecting: bool,
    /// To be closed when everything is sent.
    pub(super) is_closing: bool,
    /// Bytes of a message, or of several small ones.
    pub(super) inbox: Vec<u8>,
    pub(super) outbox: VecDeque<Vec<u8>>,
    /// Bytes of the first message of the outbox that are sent.
    pub(super) sent: usize,
    pub(super) unsent: usize,
    pub(super) since_ns: u64,
}

impl Connection {
    /// Room for the rest of a large message, and little more, so that it can be handed on as it is; else for small ones.
    pub(super) fn make_room(&mut self) {
        let chunk = if self.who.is_proved() { READ_CHUNK } else { UNPROVED_MESSAGE_SIZE_MAX };
        let begun = self.who.next_message(&self.inbox).and_then(Result::ok);
        let rest = begun.map_or(0, |size| size.saturating_sub(self.inbox.len()));
        if self.inbox.capacity() == self.inbox.len() || rest > chunk {
            self.inbox.reserve_exact(rest.max(chunk));
        }
    }

    /// The first message, if all of it is there.
    pub(super) fn take_message(&mut self, size: usize) -> Option<Vec<u8>> {
        if self.inbox.len() < size {
            return None;
        }
        if self.inbox.len() == size && size > READ_CHUNK {
            return Some(std::mem::take(&mut self.inbox));
        }
        let bytes = self.inbox[..size].to_vec();
        self.inbox.drain(..size);
        Some(bytes)
    }

    /// The last bytes; nothing is heard any more.
    pub(super) fn close_with(&mut self, bytes: Vec<u8>) {
        self.push(bytes);
        self.is_closing = true;
    }

    pub(super) fn push(&mut self, bytes: Vec<u8>) {
        self.unsent += bytes.len();
        self.outbox.push_back(bytes);
    }
}
