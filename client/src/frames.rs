//! What the client makes of each frame that arrives. Anything that was not asked for ends the client.

use crate::ClientError;
use crate::client::{Client, Link};
use crate::constants::{COUNTER_MAX, READ_TAG_BIT, SMALL_BODY_SIZE_MAX};
use crate::error::Trouble;
use crate::hello::{check_reply, known_status, printable, reject};
use crate::reply::{Completion, Outcome, Reply, contradiction};
use crate::writes::{Refusal, Writes, refusal};
use bytes::Bytes;
use mizan_wire::frame::{self, Header, REPLY_REPLAYED};
use mizan_wire::{RequestStatus, Status};
use std::time::Instant;

impl Client {
    pub(crate) fn on_frame(
        &mut self,
        header: &Header,
        body: Bytes,
        now: Instant,
    ) -> Result<(), Trouble> {
        match (header, matches!(self.link, Link::Ready(_))) {
            (Header::HelloReply(reply), false) => self.on_hello_reply(reply, &body),
            (Header::Error(error), _) => self.on_error(error, &body),
            (Header::Reply(reply), true) => self.on_reply(reply, body, now),
            (Header::Pong(pong), true) => self.on_pong(pong),
            // A port from the range of outgoing ones can be connected to itself while nobody listens on it.
            (Header::Hello(_), false) => Err(self.passing("nobody listens there")),
            _ => Err(protocol("a frame of a kind that is not expected now")),
        }
    }

    fn on_hello_reply(&mut self, reply: &frame::HelloReply, body: &[u8]) -> Result<(), Trouble> {
        let Link::Hello { connection, .. } = &self.link else { return Ok(()) };
        let known = self.is_established.then_some(&self.info);
        self.info = check_reply(&self.config, connection.address, known, reply, body)?;
        if self.is_established {
            if !self.config.read_only {
                self.writes.resumed(reply.request_last)?;
            }
        } else {
            self.writes = Writes::new(reply.request_last);
            self.is_established = true;
        }
        match std::mem::replace(&mut self.link, Link::Down) {
            Link::Hello { connection, .. } => self.link = Link::Ready(connection),
            other => self.link = other,
        }
        Ok(())
    }

    fn passing(&self, text: &str) -> Trouble {
        let address = self.link_address().unwrap_or(self.info.address);
        Trouble::Passing {
            error: ClientError::Unreachable(address, text.to_owned()),
            primary_hint: None,
        }
    }

    fn on_error(&self, error: &frame::Error, body: &[u8]) -> Result<(), Trouble> {
        let status = known_status(error.status)?;
        let address = self.link_address().unwrap_or(self.info.address);
        Err(reject(&self.config, address, status, None, 0, &printable(body)))
    }

    fn on_pong(&mut self, pong: &frame::Pong) -> Result<(), Trouble> {
        match self.ping.as_mut().filter(|ping| ping.sent && ping.nonce == pong.nonce) {
            Some(ping) if ping.commit.is_none() => ping.commit = Some(pong.commit),
            _ => return Err(protocol("a pong without a ping")),
        }
        if pong.commit > COUNTER_MAX {
            return Err(protocol("a pong has a number beyond 2^63"));
        }
        self.info.commit = self.info.commit.max(pong.commit);
        Ok(())
    }

    fn on_reply(&mut self, reply: &frame::Reply, body: Bytes, now: Instant) -> Result<(), Trouble> {
        let status = known_status(reply.status)?;
        let numbers = [reply.epoch, reply.commit, reply.sequence, reply.timestamp];
        if numbers.iter().any(|number| *number > COUNTER_MAX) {
            return Err(protocol("a reply has a number beyond 2^63"));
        }
        self.info.epoch = self.info.epoch.max(reply.epoch);
        self.info.commit = self.info.commit.max(reply.commit);
        if reply.request & READ_TAG_BIT != 0 {
            self.on_read_reply(reply, status, body, now)
        } else {
            self.on_write_reply(reply, status, body)
        }
    }

    fn on_write_reply(
        &mut self,
        reply: &frame::Reply,
        status: RequestStatus,
        body: Bytes,
    ) -> Result<(), Trouble> {
        let number = reply.request;
        let write = self.writes.find_sent(number).ok_or_else(|| unexpected("write", number))?;
        let (operation, event_count) = (write.operation, write.event_count);
        if reply.operation != operation.number() {
            return Err(protocol("a reply is for another operation than its request"));
        }
        if status != RequestStatus::Ok {
            refusal(status).ok_or_else(|| end_of_session(status))?;
            return Ok(self.writes.refused(number, status)?);
        }
        if let Some(text) = contradiction(reply, &body, operation, event_count) {
            return Err(protocol(text));
        }
        let Some(write) = self.writes.executed(number, reply.sequence)? else { return Ok(()) };
        self.sequence_seen = self.sequence_seen.max(reply.sequence);
        self.route.progressed();
        if !write.is_reported() {
            let outcome = Outcome::Reply(executed(reply, operation, body));
            self.completions.push_back(Completion {
                id: write.id,
                request: number,
                operation,
                outcome,
            });
        }
        if write.body.len() > SMALL_BODY_SIZE_MAX {
            self.recycle(write.body);
        }
        Ok(())
    }

    fn on_read_reply(
        &mut self,
        reply: &frame::Reply,
        status: RequestStatus,
        body: Bytes,
        now: Instant,
    ) -> Result<(), Trouble> {
        let tag = reply.request;
        let read = self.reads.find_sent(tag).ok_or_else(|| unexpected("read", tag))?;
        let operation = read.operation;
        if reply.operation != operation.number() {
            return Err(protocol("a reply is for another operation than its request"));
        }
        let outcome = if status == RequestStatus::Ok {
            if let Some(text) = contradiction(reply, &body, operation, read.event_count) {
                return Err(protocol(text));
            }
            self.sequence_seen = self.sequence_seen.max(reply.sequence);
            Outcome::Reply(executed(reply, operation, body))
        } else {
            match refusal(status).ok_or_else(|| end_of_session(status))? {
                Refusal::Permanent => Outcome::Refused(status),
                Refusal::Passing => {
                    self.reads.refused_for_now(tag, status, now);
                    return Ok(());
                }
                Refusal::NotHere => {
                    self.reads.refused_for_now(tag, status, now);
                    return Err(reject(&self.config, self.info.address, status, None, 0, ""));
                }
            }
        };
        self.route.progressed();
        if let Some(read) = self.reads.take(tag) {
            if !read.is_reported() {
                self.completions.push_back(Completion {
                    id: read.id,
                    request: tag,
                    operation,
                    outcome,
                });
            }
            self.recycle(read.body);
        }
        Ok(())
    }
}

fn executed(reply: &frame::Reply, operation: mizan_wire::Operation, body: Bytes) -> Reply {
    Reply {
        status: RequestStatus::Ok,
        operation,
        sequence: reply.sequence,
        timestamp: reply.timestamp,
        epoch: reply.epoch,
        commit: reply.commit,
        replayed: reply.flags & REPLY_REPLAYED != 0,
        copies_durable: reply.copies_durable,
        event_count: reply.event_count,
        body,
    }
}

/// A status that says more than "this one request was not executed".
fn end_of_session(status: RequestStatus) -> Trouble {
    Trouble::Final(match status {
        RequestStatus::SessionUnknown => ClientError::SessionLost,
        RequestStatus::RequestMismatch | RequestStatus::ReplyDiscarded => {
            let text = format!("{}: another process uses the same client id", status.name());
            ClientError::Protocol(text)
        }
        _ => ClientError::Connection(status, "as the answer to a request".to_owned()),
    })
}

fn unexpected(what: &str, number: u64) -> Trouble {
    let text = format!("a reply to {what} {number}, which does not wait for one");
    Trouble::Final(ClientError::Protocol(text))
}

fn protocol(text: &str) -> Trouble {
    Trouble::Final(ClientError::Protocol(text.to_owned()))
}
