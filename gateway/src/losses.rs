//! Sessions whose connection is gone, and the entries that say so in the log.
//!
//! Where places for sessions are few, those without a connection make room first. What the engine decides comes from the
//! log alone, so the gateway submits what it alone can know, as requests of the node's own.
//!
//! Invariants: an entry that names a session follows everything that was taken from the lost connection; none follows the
//! hello with which the session's client has come back. Many losses are one entry. What waits is bounded by the number of
//! connections.

use crate::interface::{RequestSink, Submission};
use mizan_wire::frame::PROTOCOL;
use mizan_wire::limits::SESSIONS_PER_REQUEST_MAX;
use mizan_wire::{Operation, RequestHeader, SessionKey};
use zerocopy::IntoBytes;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    due: Vec<SessionKey>,
}

impl Losses {
    /// The client's session has no connection any more; 0 for a session whose number is not known yet.
    pub(crate) fn lose(&mut self, client: u128, session: u64) {
        self.due.push(SessionKey { client, session, reserved: 0 });
    }

    /// No session has a connection: those that had one had it before the process.
    pub(crate) fn lose_all(&mut self) {
        let session = SessionKey::EVERY_SESSION;
        self.due.insert(0, SessionKey { client: 0, session, reserved: 0 });
    }

    /// The client is back.
    pub(crate) fn regain(&mut self, client: u128) {
        self.due.retain(|key| key.client != client);
    }

    pub(crate) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Submits what is due as far as the sink takes it; gives how many requests that were.
    pub(crate) fn submit(&mut self, sink: &mut impl RequestSink) -> u64 {
        let mut count = 0;
        while !self.due.is_empty() {
            let most = self.due.len().min(SESSIONS_PER_REQUEST_MAX as usize);
            let body = self.due[..most].as_bytes();
            let mut header = RequestHeader {
                operation: Operation::ConnectionLost.number(),
                protocol: PROTOCOL,
                event_size: size_of::<SessionKey>() as u16,
                event_count: most as u32,
                body_size: body.len() as u32,
                ..RequestHeader::default()
            };
            header.request_checksum = header.identity(body);
            let is_taken = sink.room_bytes() >= header.entry_size()
                && sink.submit(&header, body) == Submission::Accepted;
            if !is_taken {
                break;
            }
            self.due.drain(..most);
            count += 1;
        }
        count
    }
}
