//! The way back: results become frames, and frames go out, many in one write.

use crate::common::Common;
use crate::connection::{Connection, Phase};
use crate::gateway::Gateway;
use crate::interface::OutgoingReply;
use crate::slots::Token;
use crate::take::Farewell;
use mizan_wire::frame::Reply;
use mizan_wire::{Operation, RegisterRecord, RequestStatus, Status};
use zerocopy::FromBytes;

impl Gateway {
    /// Takes the result of a request that the sink accepted; exactly one for each. It leaves with the next
    /// [`Gateway::flush`], unless the connection is gone.
    ///
    /// Cost: two checksums and a copy of the body.
    ///
    /// # Panics
    /// If a body is larger than the protocol allows, or a register's is not a [`RegisterRecord`]: the node's own error.
    pub fn reply(&mut self, reply: &OutgoingReply<'_>) {
        if reply.origin == 0 {
            return;
        }
        let Self { connections, common, .. } = self;
        common.in_flight = common.in_flight.saturating_sub(1);
        let found = connections.by_token(Token::from_number(reply.origin));
        let is_its_own =
            |found: &&mut Connection| found.client == reply.client && found.phase != Phase::Closing;
        let Some(connection) = found.filter(is_its_own) else {
            common.counters.replies_dropped += 1;
            return;
        };
        if reply.operation == Operation::Register {
            let slot = connection.token.slot();
            if let Some(farewell) = finish_hello(connection, common, reply) {
                self.begin_close(slot, farewell);
            }
            return;
        }
        answer(connection, common, reply);
        if self.common.unsent_bytes > self.common.config.reply_bytes_total_max {
            self.flush();
        }
    }

    /// Writes what the sockets take, one write for all replies of a connection. Whether something was written.
    ///
    /// If more waits afterwards than all connections together may leave unread, those that have not read for longest
    /// are cut off.
    pub fn flush(&mut self) -> bool {
        let before = self.common.counters.bytes_out;
        let mut dirty = std::mem::take(&mut self.common.dirty);
        for slot in dirty.drain(..) {
            let Some(connection) = self.connections.get_mut(slot) else { continue };
            connection.is_in_dirty = false;
            if !self.common.write_out(connection) {
                self.destroy(slot);
            }
        }
        // Nothing was added meanwhile; the list's memory is used again.
        debug_assert!(self.common.dirty.is_empty());
        self.common.dirty = dirty;
        while self.common.unsent_bytes > self.common.config.reply_bytes_total_max {
            let Some((_, slot)) = self.common.stalled.oldest() else { break };
            self.cut_off_slow(slot);
        }
        self.common.counters.bytes_out > before
    }
}

fn answer(connection: &mut Connection, common: &mut Common, reply: &OutgoingReply<'_>) {
    let place = connection.in_flight.iter().position(|entry| {
        entry.refusal == 0
            && entry.request == reply.request
            && entry.operation == reply.operation.number()
    });
    // The usual place is the first: results come in the order of the requests.
    let Some(entry) = place.and_then(|place| connection.in_flight.remove(place)) else {
        common.counters.replies_dropped += 1;
        return;
    };
    connection.reserved_bytes -= entry.reserve as usize;
    let frame = Reply {
        request: reply.request,
        sequence: reply.sequence,
        epoch: reply.epoch,
        timestamp: reply.timestamp,
        commit: reply.commit,
        operation: reply.operation.number(),
        result_size: reply.result_size,
        result_count: reply.result_count,
        event_count: reply.event_count,
        status: reply.status,
        flags: reply.flags,
        copies_durable: reply.copies_durable,
        ..Reply::default()
    };
    common.counters.replies += 1;
    // The log has its end; that the connection follows is no news.
    connection.is_sessionless |= reply.operation == Operation::CloseSession && reply.status == 0;
    if reply.status != 0 {
        common.counters.refusals.note(reply.status);
    }
    common.push_frame(connection, &frame.seal(reply.body), reply.body);
    send_refusals(connection, common);
    if connection.in_flight.is_empty() {
        common.recycle_in_flight(connection);
    }
    common.unblock(connection);
}

/// Sends the refusals that waited only for the replies before them.
fn send_refusals(connection: &mut Connection, common: &mut Common) {
    while let Some(entry) = connection.in_flight.front().copied().filter(|entry| entry.refusal != 0)
    {
        connection.in_flight.pop_front();
        connection.reserved_bytes -= entry.reserve as usize;
        common.push_refusal(connection, entry.request, entry.operation, entry.refusal.into());
    }
}

/// The session is open, or is not.
fn finish_hello(
    connection: &mut Connection,
    common: &mut Common,
    reply: &OutgoingReply<'_>,
) -> Option<Farewell> {
    if connection.phase != Phase::Registering {
        common.counters.replies_dropped += 1;
        return None;
    }
    let status = RequestStatus::from_number(reply.status).unwrap_or(RequestStatus::SessionUnknown);
    if status != RequestStatus::Ok {
        // There is no session then that could lose its connection.
        connection.is_sessionless = status == RequestStatus::SessionsFull;
        common.counters.hellos_refused += 1;
        common.push_hello_reply(connection, status, &RegisterRecord::default());
        return Some(Farewell::Said);
    }
    let record = RegisterRecord::read_from_bytes(reply.body)
        .expect("invariant: a register that succeeds is answered with one record");
    connection.phase = Phase::Open;
    common.enter_idle(connection);
    connection.session = record.session;
    common.counters.hellos += 1;
    common.push_hello_reply(connection, status, &record);
    common.unblock(connection);
    None
}
