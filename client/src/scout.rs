//! Looks for another primary while the connection is silent although an answer is due.
//!
//! A machine that is lost refuses nothing: its connections stay up and say nothing until requests time out. So after a
//! short silence the other addresses are asked, one after the other, with the same hello as after a break. The first
//! that answers as primary in a later epoch takes the connection's place, and what is unanswered is sent to it again.
//!
//! Invariants: a connection is never given up because it is slow, only for a primary of a later epoch (or for any
//! primary while it has not even answered the hello); a client with one address never does this.

use crate::client::{Client, Link};
use crate::connection::Connection;
use crate::constants::{SCOUT_TIMEOUT, SILENCE_MAX};
use crate::hello;
use crate::route::pause_after;
use bytes::Bytes;
use mizan_wire::frame::{Header, HelloReply};
use mizan_wire::{RequestStatus, Status};
use std::net::SocketAddr;
use std::time::Instant;

/// The search's state; at most one attempt at a time.
#[derive(Default)]
pub(crate) struct Scout {
    attempt: Option<(Box<Connection>, Instant)>,
    next: usize,
    not_before: Option<Instant>,
    since: Option<Instant>,
}

/// What has come of an attempt.
enum Found {
    Nothing { moved: bool },
    Failed,
    Answer(Box<HelloReply>, Bytes),
}

impl Scout {
    /// The connection is not silent any more.
    fn rest(&mut self) {
        self.attempt = None;
        self.not_before = None;
        self.since = None;
    }

    /// The socket to wait for.
    pub(crate) fn connection(&self) -> Option<&Connection> {
        self.attempt.as_ref().map(|(connection, _)| &**connection)
    }

    /// When there is something to do next, if nothing comes before.
    fn next_at(&self) -> Option<Instant> {
        self.attempt.as_ref().map(|(_, deadline)| *deadline).or(self.not_before)
    }

    /// The address to ask now: not the one that is silent. A pause follows after a whole round.
    fn take_next(
        &mut self,
        addresses: &[SocketAddr],
        silent: SocketAddr,
        now: Instant,
    ) -> Option<SocketAddr> {
        for _ in 0..addresses.len() {
            let address = addresses[self.next % addresses.len()];
            self.next = (self.next + 1) % addresses.len();
            if self.next == 0 {
                let since = *self.since.get_or_insert(now);
                self.not_before = Some(now + pause_after(SILENCE_MAX + (now - since)));
            }
            if address != silent {
                return Some(address);
            }
        }
        None
    }

    fn poll(&mut self, now: Instant) -> Found {
        let Some((connection, deadline)) = &mut self.attempt else {
            return Found::Nothing { moved: false };
        };
        if now >= *deadline {
            return Found::Failed;
        }
        let sent = connection.flush(now);
        let received = connection.receive(now);
        match connection.reader.next_frame() {
            Ok(Some((Header::HelloReply(reply), body))) => {
                return Found::Answer(Box::new(reply), body);
            }
            Ok(None) => {}
            Ok(Some(_)) | Err(_) => return Found::Failed,
        }
        match (sent, received) {
            (Ok(sent), Ok(received)) => Found::Nothing { moved: sent || received },
            _ => Found::Failed,
        }
    }
}

impl Client {
    /// Takes a step of the search if the connection is silent; says whether anything moved.
    pub(crate) fn scout(&mut self) -> bool {
        if self.config.addresses.len() < 2 {
            return false;
        }
        let now = Instant::now();
        let is_silent = self.silent_until().is_some_and(|at| now >= at);
        let Some(silent) = self.link_address().filter(|_| is_silent) else {
            self.scout.rest();
            return false;
        };
        match self.scout.poll(now) {
            Found::Answer(reply, body) => {
                let attempt = self.scout.attempt.take();
                if let Some((connection, deadline)) = attempt.filter(|_| self.is_better(&reply)) {
                    self.scout.rest();
                    self.change_over(connection, deadline, &reply, body, now);
                }
                true
            }
            Found::Failed => {
                self.scout.attempt = None;
                true
            }
            Found::Nothing { moved } if self.scout.attempt.is_some() => moved,
            Found::Nothing { .. } => self.begin_attempt(silent, now),
        }
    }

    fn begin_attempt(&mut self, silent: SocketAddr, now: Instant) -> bool {
        if self.scout.not_before.is_some_and(|at| now < at) {
            return false;
        }
        self.scout.not_before = None;
        let addresses = &self.config.addresses;
        let Some(address) = self.scout.take_next(addresses, silent, now) else { return false };
        // Who cannot be reached is asked again in the next round.
        if let Ok(mut connection) = Connection::open(address) {
            let session = if self.is_established { self.info.session } else { 0 };
            let credential = Bytes::copy_from_slice(&self.config.credential);
            connection.outgoing.push(&hello::hello(&self.config, session), &credential);
            let deadline = crate::config::after(self.config.connect_timeout.min(SCOUT_TIMEOUT));
            self.scout.attempt = Some((Box::new(connection), deadline));
        }
        true
    }

    /// Whether the node that answered is worth more than the silent connection.
    fn is_better(&self, reply: &HelloReply) -> bool {
        let is_accepted = RequestStatus::from_number(reply.status) == Some(RequestStatus::Ok);
        let is_later = match self.link {
            Link::Ready(_) => reply.epoch > self.info.epoch,
            _ => reply.epoch >= self.info.epoch,
        };
        is_accepted && is_later
    }

    fn change_over(
        &mut self,
        connection: Box<Connection>,
        deadline: Instant,
        reply: &HelloReply,
        body: Bytes,
        now: Instant,
    ) {
        self.writes.disconnected();
        self.reads.disconnected();
        if let Some(ping) = &mut self.ping {
            ping.sent = false;
        }
        self.link = Link::Hello { connection, deadline };
        if let Err(trouble) = self.on_frame(&Header::HelloReply(*reply), body, now) {
            self.trouble(trouble);
        }
    }

    /// When the connection will have been silent for too long, if an answer is due on it.
    fn silent_until(&self) -> Option<Instant> {
        let since = match &self.link {
            Link::Down => return None,
            Link::Hello { connection, .. } => connection.heard_at,
            Link::Ready(_) if self.in_flight() == 0 && self.ping.is_none() => return None,
            Link::Ready(connection) => connection.heard_at.max(connection.asked_at),
        };
        Some(since + SILENCE_MAX)
    }

    /// When the search has something to do, if nothing comes before.
    pub(crate) fn scout_at(&self) -> Option<Instant> {
        if self.config.addresses.len() < 2 {
            return None;
        }
        let silent_until = self.silent_until()?;
        Some(self.scout.next_at().map_or(silent_until, |at| at.max(silent_until)))
    }
}
