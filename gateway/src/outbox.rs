//! Frames on their way out: made here, appended to the connection's outbox, and written in bulk.

use crate::common::Common;
use crate::config::milliseconds;
use crate::connection::{Connection, Phase};
use bytes::BytesMut;
use mizan_wire::frame::{Error, HelloReply, NodeLimits, Pong, Reply};
use mizan_wire::limits::{EVENTS_MAX, FRAME_SIZE_MAX, HEADER_SIZE};
use mizan_wire::{RegisterRecord, RequestStatus, Status};
use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use zerocopy::IntoBytes;

/// Bytes that wait for a socket.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: BytesMut,
    sent: usize,
}

impl Outbox {
    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory behind it.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.sent = 0;
    }

    fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Forgets what was sent. What is left moves to the front once it is the smaller part, so that a byte moves at
    /// most as often as another is sent, and memory stays within twice of what waits.
    fn advance(&mut self, count: usize) {
        self.sent += count;
        let left = self.len();
        if left <= self.sent {
            self.bytes.copy_within(self.sent.., 0);
            self.bytes.truncate(left);
            self.sent = 0;
        }
    }
}

impl Common {
    pub(crate) fn push_frame(
        &mut self,
        connection: &mut Connection,
        header: &[u8; HEADER_SIZE],
        body: &[u8],
    ) {
        if connection.outbox.capacity() == 0 {
            connection.outbox = self.spare_outbox();
        }
        connection.outbox.append(header);
        connection.outbox.append(body);
        self.unsent_bytes += HEADER_SIZE + body.len();
        self.make_dirty(connection);
    }

    pub(crate) fn make_dirty(&mut self, connection: &mut Connection) {
        if !connection.is_in_dirty {
            connection.is_in_dirty = true;
            self.dirty.push(connection.token.slot());
        }
    }

    pub(crate) fn push_pong(&mut self, connection: &mut Connection, nonce: u64) {
        let pong = Pong { nonce, commit: self.view.commit, ..Pong::default() };
        self.push_frame(connection, &pong.seal(&[]), &[]);
    }

    pub(crate) fn push_error(
        &mut self,
        connection: &mut Connection,
        status: RequestStatus,
        request: u64,
    ) {
        self.counters.refusals.note(status.number());
        let text = status.meaning().as_bytes();
        let error = Error { status: status.number(), request, ..Error::default() };
        self.push_frame(connection, &error.seal(text), text);
    }

    /// Answers a request that was not sequenced.
    pub(crate) fn push_refusal(
        &mut self,
        connection: &mut Connection,
        request: u64,
        operation: u16,
        status: u32,
    ) {
        let reply = Reply {
            request,
            epoch: self.view.epoch,
            commit: self.view.commit,
            operation,
            status,
            ..Reply::default()
        };
        self.counters.replies += 1;
        self.counters.refusals.note(status);
        self.push_frame(connection, &reply.seal(&[]), &[]);
    }

    pub(crate) fn push_hello_reply(
        &mut self,
        connection: &mut Connection,
        status: RequestStatus,
        record: &RegisterRecord,
    ) {
        self.counters.refusals.note(status.number());
        let limits = self.limits();
        let reply = HelloReply {
            client: connection.client,
            cluster: self.view.cluster,
            session: record.session,
            request_last: record.request_last,
            epoch: self.view.epoch,
            commit: self.view.commit,
            role: self.view.role,
            resumed: u8::from(record.resumed != 0),
            status: status.number(),
            ..HelloReply::default()
        };
        let body = limits.as_bytes();
        self.push_frame(connection, &reply.seal(body), body);
    }

    fn limits(&self) -> NodeLimits {
        NodeLimits {
            frame_size_max: FRAME_SIZE_MAX as u32,
            events_max: EVENTS_MAX,
            partial_timeout_ms: milliseconds(self.config.partial_timeout),
            slow_reader_timeout_ms: milliseconds(self.config.slow_reader_timeout),
            reply_bytes_max: self.config.reply_bytes_max as u32,
            ..self.view.limits
        }
    }

    /// Writes as much as the socket takes. Whether the connection is to live on.
    pub(crate) fn write_out(&mut self, connection: &mut Connection) -> bool {
        let mut has_progressed = false;
        while connection.is_writable && !connection.outbox.is_empty() {
            match connection.stream.write(connection.outbox.unsent()) {
                Ok(0) => return false,
                Ok(count) => {
                    has_progressed = true;
                    connection.outbox.advance(count);
                    self.unsent_bytes -= count;
                    self.counters.bytes_out += count as u64;
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => connection.is_writable = false,
                    _ => return false,
                },
            }
        }
        self.note_stall(connection, has_progressed);
        if connection.outbox.is_empty() {
            if connection.outbox.capacity() > 0 {
                self.recycle_outbox(connection);
            }
            if connection.phase == Phase::Closing && !connection.is_shut {
                connection.is_shut = true;
                // A socket that is already gone is found when it is read.
                let _ = connection.stream.shutdown(Shutdown::Write);
            }
        }
        if has_progressed {
            self.unblock(connection);
        }
        !connection.is_done()
    }

    /// A socket stalls from when it last took something while more waits.
    fn note_stall(&mut self, connection: &mut Connection, has_progressed: bool) {
        let since_ns = if connection.outbox.is_empty() {
            None
        } else if has_progressed {
            Some(self.now_ns)
        } else {
            connection.stalled_since.or(Some(self.now_ns))
        };
        let slot = connection.token.slot();
        self.stalled.set(slot, &mut connection.stalled_since, since_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_gives_back_its_bytes_in_order_and_keeps_little_of_what_was_sent() {
        let mut outbox = Outbox::default();
        let mut expected = 0u8;
        let mut next = 0u8;
        for round in 0..2000usize {
            let bytes: Vec<u8> = (0..7).map(|offset| next.wrapping_add(offset)).collect();
            next = next.wrapping_add(7);
            outbox.append(&bytes);
            let count = (round % 9).min(outbox.len());
            for byte in &outbox.unsent()[..count] {
                assert_eq!(*byte, expected);
                expected = expected.wrapping_add(1);
            }
            let left = outbox.len() - count;
            outbox.advance(count);
            assert_eq!(outbox.len(), left);
            assert!(outbox.bytes.len() <= 2 * left + 16);
        }
    }
}
