//! The client's inner workings: joins connection, session and time.
//!
//! Everything happens inside of calls, in rounds: connect or say hello if need be, seal and send what may be sent,
//! read and check what has come, report what is over, and only then wait.

use crate::ClientError;
use crate::client::{Client, Link};
use crate::config::after;
use crate::connection::Connection;
use crate::constants::{RELEASE, TIMEOUT_MAX};
use crate::error::Trouble;
use crate::hello;
use crate::reply::Completion;
use crate::writes::Settled;
use bytes::Bytes;
use mizan_wire::frame::{Ping, Request};
use mizan_wire::{RequestStatus, Status};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::net::SocketAddr;
use std::time::Instant;

impl Client {
    /// Does what can be done, and waits at most until then if there was nothing.
    pub(crate) fn round(&mut self, until: Instant) {
        let progress = match self.link {
            Link::Down => self.try_connect(),
            Link::Hello { .. } | Link::Ready(_) => self.drive(),
        };
        let progress = self.scout() | progress;
        self.expire();
        if !progress && self.completions.is_empty() && self.failure.is_none() {
            self.wait(until);
        }
    }

    fn try_connect(&mut self) -> bool {
        if self.route.not_before().is_some_and(|at| Instant::now() < at) {
            return false;
        }
        let address = self.route.take_next();
        match Connection::open(address) {
            Ok(mut connection) => {
                let session = if self.is_established { self.info.session } else { 0 };
                let credential = Bytes::copy_from_slice(&self.config.credential);
                connection.outgoing.push(&hello::hello(&self.config, session), &credential);
                let deadline = after(self.config.connect_timeout);
                self.link = Link::Hello { connection: Box::new(connection), deadline };
            }
            Err(error) => {
                let error = ClientError::Unreachable(address, error.kind().to_string());
                self.trouble(Trouble::Passing { error, primary_hint: None });
            }
        }
        true
    }

    /// Sends and receives on a connection that is up; says whether anything moved.
    fn drive(&mut self) -> bool {
        let now = Instant::now();
        self.stamp(now);
        self.settle(now);
        self.seal(now);
        let connection = match &mut self.link {
            Link::Down => return true,
            Link::Hello { connection, deadline } if now >= *deadline => {
                let text = "the hello was not answered in time".to_owned();
                let error = ClientError::Unreachable(connection.address, text);
                self.trouble(Trouble::Passing { error, primary_hint: None });
                return true;
            }
            Link::Hello { connection, .. } | Link::Ready(connection) => connection,
        };
        let sent = connection.flush(now);
        let received = connection.receive(now);
        let progress = !matches!((&sent, &received), (Ok(false), Ok(false)));
        // What came before the end, such as the reason for it, counts first.
        self.take_frames(now);
        if let Err(error) = sent.and(received) {
            self.lost_by(&error);
        }
        progress
    }

    fn take_frames(&mut self, now: Instant) {
        loop {
            let (Link::Hello { connection, .. } | Link::Ready(connection)) = &mut self.link else {
                return;
            };
            let address = connection.address;
            let result = match connection.reader.next_frame() {
                Ok(None) => return,
                Ok(Some((header, body))) => self.on_frame(&header, body, now),
                Err(status) => Err(damaged(address, status)),
            };
            if let Err(trouble) = result {
                self.trouble(trouble);
            }
        }
    }

    fn settle(&mut self, now: Instant) {
        self.retry_at = self.reads.settle(now);
        let completions = &mut self.completions;
        let settled = self.writes.settle(now, |request, write, outcome| {
            completions.push_back(Completion {
                id: write.id,
                request,
                operation: write.operation,
                outcome,
            });
        });
        match settled {
            Settled::Idle => {}
            Settled::Wait(at) => self.retry_at = Some(self.retry_at.map_or(at, |r| r.min(at))),
            Settled::Leave if !self.config.reconnect => {}
            Settled::Leave => {
                let text = "the node takes no requests now".to_owned();
                let error = ClientError::Unreachable(self.info.address, text);
                self.trouble(Trouble::Passing { error, primary_hint: None });
            }
            Settled::Stuck => {
                let text = "a write that may have been executed before is refused for good now";
                self.fail(ClientError::Protocol(text.to_owned()));
            }
        }
    }

    /// Seals what may be sent now. Sealed late, a frame reports more replies as received.
    pub(crate) fn seal(&mut self, now: Instant) {
        let Link::Ready(connection) = &mut self.link else { return };
        self.unsent_size = 0;
        if let Some(ping) = self.ping.as_mut().filter(|ping| !ping.sent) {
            ping.sent = true;
            let ping = Ping { nonce: ping.nonce, ..Ping::default() };
            connection.outgoing.push(&ping.seal(&[]), &Bytes::new());
        }
        let template =
            Request { session: self.info.session, release: RELEASE, ..Request::default() };
        while connection.outgoing.has_room() {
            let replies_received = self.writes.answered();
            if let Some((number, write)) = self.writes.take_next(now) {
                let frame = Request {
                    request: number,
                    replies_received,
                    operation: write.operation.number(),
                    event_size: write.operation.event_size() as u16,
                    event_count: write.event_count,
                    ..template
                };
                connection.outgoing.push(&frame.seal(&write.body), &write.body);
            } else if let Some(read) = self.reads.take_next(now) {
                let frame = Request {
                    request: read.tag,
                    min_sequence: self.sequence_seen,
                    operation: read.operation.number(),
                    event_size: read.operation.event_size() as u16,
                    event_count: read.event_count,
                    ..template
                };
                connection.outgoing.push(&frame.seal(&read.body), &read.body);
            } else {
                break;
            }
        }
    }

    /// From now on the time of new writes runs: one look at the clock for all that were submitted since the last.
    pub(crate) fn stamp(&mut self, now: Instant) {
        self.writes.stamp(now + self.config.request_timeout.min(TIMEOUT_MAX));
    }

    fn expire(&mut self) {
        let now = Instant::now();
        self.stamp(now);
        let completions = &mut self.completions;
        let of_writes = self.writes.expire(now, |request, write, outcome| {
            let (id, operation) = (write.id, write.operation);
            completions.push_back(Completion { id, request, operation, outcome });
        });
        let of_reads = self.reads.expire(now, |read, outcome| {
            let (id, operation) = (read.id, read.operation);
            completions.push_back(Completion { id, request: read.tag, operation, outcome });
        });
        let Some(since) = of_writes.into_iter().chain(of_reads).min() else { return };
        if let Link::Ready(connection) = &self.link
            && connection.heard_at < since
            && self.config.reconnect
        {
            let error = ClientError::Unreachable(connection.address, "it is silent".to_owned());
            self.trouble(Trouble::Passing { error, primary_hint: None });
        }
    }

    pub(crate) fn trouble(&mut self, trouble: Trouble) {
        let (error, primary_hint) = match trouble {
            Trouble::Final(error) => return self.fail(error),
            Trouble::Passing { error, primary_hint } => (error, primary_hint),
        };
        let was_ready = matches!(self.link, Link::Ready(_));
        self.link = Link::Down;
        self.writes.disconnected();
        self.reads.disconnected();
        if let Some(ping) = &mut self.ping {
            ping.sent = false;
        }
        let now = Instant::now();
        if was_ready && primary_hint.is_none() {
            self.route.lost(now);
        } else if self.route.failed(now, primary_hint) && !self.is_established {
            let error = ClientError::of_round(std::mem::take(&mut self.faults), error);
            return self.fail(error);
        } else if !self.is_established {
            // At most one for each address, and one for a hint.
            self.faults.push(error);
            return;
        }
        if self.is_established && !self.config.reconnect {
            self.fail(error);
        }
    }

    /// Ends the client: nothing in flight can be told apart from now on.
    pub(crate) fn fail(&mut self, error: ClientError) {
        self.link = Link::Down;
        let completions = &mut self.completions;
        self.writes.fail_all(|request, write, outcome| {
            let (id, operation) = (write.id, write.operation);
            completions.push_back(Completion { id, request, operation, outcome });
        });
        self.reads.fail_all(|read, outcome| {
            let (id, operation) = (read.id, read.operation);
            completions.push_back(Completion { id, request: read.tag, operation, outcome });
        });
        self.failure = Some(error);
    }

    pub(crate) fn lost_by(&mut self, error: &std::io::Error) {
        let text = match error.kind() {
            std::io::ErrorKind::UnexpectedEof => "the node closed the connection".to_owned(),
            kind => kind.to_string(),
        };
        if let Some(address) = self.link_address() {
            let error = ClientError::Unreachable(address, text);
            self.trouble(Trouble::Passing { error, primary_hint: None });
        }
    }

    pub(crate) fn link_address(&self) -> Option<SocketAddr> {
        match &self.link {
            Link::Down => None,
            Link::Hello { connection, .. } | Link::Ready(connection) => Some(connection.address),
        }
    }

    fn wait(&self, until: Instant) {
        let times = [self.writes.next_deadline(), self.reads.next_deadline(), self.retry_at];
        let of_link = match &self.link {
            Link::Down => self.route.not_before(),
            Link::Hello { deadline, .. } => Some(*deadline),
            Link::Ready(_) => None,
        };
        let times = times.into_iter().chain([of_link, self.scout_at()]).flatten();
        let until = times.fold(until, Instant::min);
        let pause = until.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(pause.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(pause.subsec_nanos()),
        };
        let mut events = PollFlags::IN;
        events.set(PollFlags::OUT, self.wants_write());
        let mut sockets: Vec<PollFd<'_>> =
            self.socket().into_iter().map(|fd| PollFd::from_borrowed_fd(fd, events)).collect();
        if let Some(scout) = self.scout.connection() {
            let mut events = PollFlags::IN;
            events.set(PollFlags::OUT, !scout.outgoing.is_empty());
            sockets.push(PollFd::new(&scout.stream, events));
        }
        // Whatever ends the wait, an interruption included, the next round finds out what there is to do.
        let _ = rustix::event::poll(&mut sockets, Some(&timeout));
    }
}

fn damaged(address: SocketAddr, status: RequestStatus) -> Trouble {
    let text = format!("{address} sent a frame that is not one ({})", status.name());
    let error = ClientError::Protocol(text);
    match status {
        RequestStatus::ProtocolUnsupported => Trouble::Final(ClientError::VersionMismatch),
        // Damage on the way: the same frames may arrive sound next time.
        RequestStatus::HeaderChecksumMismatch | RequestStatus::BodyChecksumMismatch => {
            Trouble::Passing { error, primary_hint: None }
        }
        _ => Trouble::Final(error),
    }
}
