//! What the fuzzer's sessions were told: a repetition must get the same, for ever, and over restarts.

use crate::protocol_fuzz::mirror::known;
use crate::protocol_fuzz::replies;
use mizan_wire::frame::{HelloReply, REPLY_COMPACT, REPLY_REPLAYED, Reply, Request};
use mizan_wire::limits::HEADER_SIZE;
use mizan_wire::{Operation, RequestStatus, Status, tag};
use std::collections::BTreeMap;

/// A request that was sent whole, or is refused by its header.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) request: Request,
    /// The session of its connection.
    pub(crate) session: u64,
    /// The connection it was sent on.
    pub(crate) connection: u64,
    /// Whether the reply to a write of this number had been read when it was sent.
    pub(crate) was_executed: bool,
    /// The only right answer, if it is known beforehand.
    pub(crate) refusal: Option<RequestStatus>,
    /// Of operation and events: the same number with another one is another request.
    pub(crate) identity: u128,
    pub(crate) frame: Vec<u8>,
}

impl Asked {
    /// The operation, if it is one that is executed once.
    pub(crate) fn write(&self) -> Option<Operation> {
        Operation::from_number(self.request.operation)
            .filter(|operation| operation.is_for_clients() && !operation.is_read())
    }

    pub(crate) fn events(&self) -> &[u8] {
        self.frame.get(HEADER_SIZE..).unwrap_or_default()
    }
}

/// A write whose reply was received.
struct Executed {
    identity: u128,
    /// The connection on which that was told.
    connection: u64,
    reply: Reply,
    body: u128,
    frame: Vec<u8>,
}

#[derive(Default)]
struct Session {
    client: u128,
    executed: BTreeMap<u64, Executed>,
    /// The highest number up to which replies were reported as received.
    received: u64,
}

impl Session {
    /// The last write whose reply was received.
    fn last(&self) -> u64 {
        self.executed.keys().next_back().copied().unwrap_or(0)
    }
}

/// What was known of a client's session when it said hello.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    session: u64,
    last: u64,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Record {
    sessions: BTreeMap<u64, Session>,
    hellos: BTreeMap<u128, u64>,
    /// Replies of all sorts, those of writes that were executed, and those that were repeated.
    pub(crate) replies: u64,
    pub(crate) executed: u64,
    pub(crate) repeated: u64,
    /// Which statuses were an answer.
    pub(crate) statuses: BTreeMap<u32, u64>,
}

/// Frames that are kept to be sent again are no larger.
const KEPT_SIZE_MAX: usize = 16 << 10;

impl Record {
    /// A hello is sent; gives what is known of the client's session by now.
    pub(crate) fn hello_sent(&mut self, client: u128) -> Option<Known> {
        *self.hellos.entry(client).or_default() += 1;
        let mut sessions = self.sessions.iter().rev();
        let (number, session) = sessions.find(|(_, session)| session.client == client)?;
        Some(Known { session: *number, last: session.last() })
    }

    pub(crate) fn hello_count(&self, client: u128) -> u64 {
        self.hellos.get(&client).copied().unwrap_or(0)
    }

    /// A hello has opened a session, or found it.
    pub(crate) fn opened(
        &mut self,
        reply: &HelloReply,
        known: Option<Known>,
    ) -> Result<(), String> {
        if let Some(Known { session, last }) = known
            && session == reply.session
            && (reply.resumed != 1 || reply.request_last < last)
        {
            return Err(format!("{reply:?}, but the reply to write {last} was received before"));
        }
        let session = self.sessions.entry(reply.session).or_default();
        if ![0, reply.client].contains(&session.client) {
            return Err(format!("{reply:?} gives the session of {:#x}", session.client));
        }
        session.client = reply.client;
        Ok(())
    }

    pub(crate) fn asked(&mut self, asked: &Asked) {
        if let Some(session) = self.sessions.get_mut(&asked.session)
            && asked.write().is_some()
        {
            session.received = session.received.max(asked.request.replies_received);
        }
    }

    /// Whether a reply to a write of this number was read.
    pub(crate) fn has_executed(&self, session: u64, number: u64) -> bool {
        self.sessions.get(&session).is_some_and(|session| session.executed.contains_key(&number))
    }

    /// The number behind the last write that was acknowledged.
    pub(crate) fn next_number(&self, session: u64) -> u64 {
        self.sessions.get(&session).map_or(1, |session| session.last() + 1)
    }

    /// Client and number of all sessions that were ever opened.
    pub(crate) fn keys(&self) -> Vec<(u128, u64)> {
        self.sessions.iter().map(|(number, session)| (session.client, *number)).collect()
    }

    /// The frames of acknowledged writes of a session, the last ones first.
    pub(crate) fn frames(&self, session: u64) -> Vec<&[u8]> {
        let Some(session) = self.sessions.get(&session) else { return Vec::new() };
        let frames = session.executed.values().rev().map(|executed| executed.frame.as_slice());
        frames.filter(|frame| !frame.is_empty()).take(24).collect()
    }

    /// Judges a reply.
    pub(crate) fn replied(
        &mut self,
        asked: &Asked,
        reply: &Reply,
        body: &[u8],
    ) -> Result<(), String> {
        self.replies += 1;
        *self.statuses.entry(reply.status).or_default() += 1;
        let wrong = |what: &str| {
            let (request, refusal) = (&asked.request, asked.refusal.map(RequestStatus::name));
            Err(format!("{what}: {reply:?}\nanswers {request:?}\nforetold: {refusal:?}"))
        };
        let (number, operation) = (asked.request.request, asked.request.operation);
        if (reply.request, reply.operation) != (number, operation) {
            return wrong("a reply to another request");
        }
        let status = known(reply.status)?;
        if asked.refusal.is_some_and(|refusal| refusal != status) {
            return wrong("another refusal");
        }
        if let Err(what) = replies::judge(asked, reply, body) {
            return wrong(&what);
        }
        if asked.write().is_none() || asked.refusal.is_some() {
            return Ok(());
        }
        let Some(session) = self.sessions.get_mut(&asked.session) else {
            return match status {
                RequestStatus::Ok => wrong("a write of a session that was never opened"),
                _ => Ok(()),
            };
        };
        let is_reported = number <= session.received;
        let is_repeated = reply.flags & REPLY_REPLAYED != 0;
        let known = session.executed.get(&number);
        let is_same = known.map(|known| known.identity == asked.identity);
        // Replies of a connection that was taken over may be read behind those of the next one.
        let was_before =
            known.is_some_and(|it| asked.was_executed || it.connection == asked.connection);
        match (status, is_same) {
            (RequestStatus::Ok, Some(true)) => {
                let known = known.expect("it was just found");
                if !is_repeated || is_other(&known.reply, reply) || known.body != tag(body) {
                    let first = &known.reply;
                    return wrong(&format!("not the reply that was given first, {first:?}"));
                }
                self.repeated += 1;
            }
            (RequestStatus::Ok, Some(false)) => return wrong("another request, executed"),
            (RequestStatus::Ok, None) => {
                // Replies of a connection that was taken over may be read behind those of the next one.
                let before = session.executed.range(..number).next_back();
                let behind = session.executed.range(number..).next();
                if before.is_some_and(|(_, before)| before.reply.sequence >= reply.sequence)
                    || behind.is_some_and(|(_, behind)| behind.reply.sequence <= reply.sequence)
                {
                    return wrong("numbers executed in another order");
                }
                self.executed += 1;
                let is_small = asked.frame.len() <= KEPT_SIZE_MAX;
                let frame = if is_small { asked.frame.clone() } else { Vec::new() };
                let (identity, body) = (asked.identity, tag(body));
                let connection = asked.connection;
                let executed = Executed { identity, connection, reply: *reply, body, frame };
                session.executed.insert(number, executed);
            }
            (RequestStatus::ReplyDiscarded, _) if number != 0 && !is_reported => {
                return wrong("discarded, and nobody said that it was received");
            }
            (RequestStatus::RequestMismatch, Some(true)) => return wrong("the same request"),
            (
                RequestStatus::RequestNumberGap
                | RequestStatus::WindowFull
                | RequestStatus::Overloaded,
                Some(_),
            ) if was_before && !is_reported => return wrong("it was executed before"),
            _ => {}
        }
        Ok(())
    }
}

/// Whether two replies to one write differ in what may not change.
fn is_other(first: &Reply, again: &Reply) -> bool {
    let fixed = |reply: &Reply| {
        (
            (reply.sequence, reply.timestamp, reply.event_count),
            (reply.result_size, reply.result_count, reply.flags & REPLY_COMPACT),
        )
    };
    fixed(first) != fixed(again)
}
