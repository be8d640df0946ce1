//! Clients: a session, one request at a time, repeated to one node after the other until it is answered.
//!
//! A visitor is a client that comes under another name every few requests: its old sessions are there to be evicted.

use crate::node::Reply;
use crate::oracle::{Floor, Oracle, Violation};
use crate::workload::{accounts, header, transfers};
use mizan_journal::sim::SimRandom;
use mizan_wire::{
    Operation, RegisterRecord, RequestHeader, RequestStatus, ResultException, SessionKey, Transfer,
    expand_results,
};
use zerocopy::{FromBytes, IntoBytes};

/// Requests of one visit.
const VISIT: u64 = 3;

/// What a client sends; a repetition has the same tag.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Write { tag: u64, header: Box<RequestHeader>, body: Vec<u8> },
    Read { tag: u64 },
}

/// What a node answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    NotPrimary,
    Reply(Box<Reply>),
    Read { tag: u64, epoch: u64, sequence: u64 },
}

/// What an answer was to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Heard {
    /// To nothing that is open.
    Nothing,
    /// To the hello: what is open can be sent.
    Welcome,
    /// To the open request.
    Done,
}

/// One client.
pub(crate) struct Client {
    index: usize,
    is_visitor: bool,
    /// It has one connection at a time; else it keeps those that it has, and asks on each without a new hello.
    hangs_up: bool,
    visits: u64,
    session: u64,
    request: u64,
    next_id: u64,
    has_accounts: bool,
    transfers: Vec<Transfer>,
    tag: u64,
    /// What was acknowledged by anybody when the read was sent.
    read_floor: Floor,
    ask: Option<Ask>,
    /// The session must be taken to another node first.
    hello: Option<Ask>,
    /// The session whose connection has just been given up.
    hang_up: Option<SessionKey>,
    pub(crate) target: u8,
    pub(crate) done: u64,
    /// Number of the last plan to speak.
    pub(crate) turn: u64,
    pub(crate) sent_ns: u64,
    /// Sessions that were gone when they were used.
    pub(crate) sessions_lost: u64,
    node_count: u8,
}

impl Client {
    pub(crate) fn new(index: usize, is_visitor: bool, hangs_up: bool, node_count: u8) -> Self {
        Client {
            index,
            is_visitor,
            hangs_up,
            visits: 0,
            session: 0,
            request: 0,
            next_id: 1,
            has_accounts: is_visitor,
            transfers: Vec::new(),
            tag: 0,
            read_floor: Floor::new(),
            ask: None,
            hello: None,
            hang_up: None,
            target: 0,
            done: 0,
            turn: 0,
            sent_ns: 0,
            sessions_lost: 0,
            node_count,
        }
    }

    fn id(&self) -> u64 {
        self.index as u64 + 1
    }

    /// Its name in the log; a visitor has another one at every visit.
    fn name(&self) -> u128 {
        u128::from(self.id()) | u128::from(self.visits) << 64
    }

    /// What to send now: the open request again, or a new one.
    pub(crate) fn ask(&mut self, random: &mut SimRandom, oracle: &Oracle) -> Ask {
        if let Some(hello) = &self.hello {
            return hello.clone();
        }
        if self.ask.is_none() {
            self.ask = Some(self.next_ask(random, oracle));
        }
        self.ask.clone().expect("invariant: it was just set")
    }

    fn next_ask(&mut self, random: &mut SimRandom, oracle: &Oracle) -> Ask {
        self.tag += 1;
        let tag = self.tag;
        if self.is_visitor && self.request >= VISIT {
            self.hang_up = self.key();
            self.visits += 1;
            self.session = 0;
        }
        let (mut head, body) = if self.session == 0 {
            (header(Operation::Register, &[]), Vec::new())
        } else if !self.has_accounts {
            let body = accounts().as_bytes().to_vec();
            (header(Operation::CreateAccounts, &body), body)
        } else if random.below(5) == 0 {
            self.read_floor = oracle.floor();
            return Ask::Read { tag };
        } else {
            self.transfers = transfers(random, self.id(), self.next_id);
            self.next_id += self.transfers.len() as u64;
            let body = self.transfers.as_bytes().to_vec();
            (header(Operation::CreateTransfers, &body), body)
        };
        head.client = self.name();
        head.session = self.session;
        if self.session != 0 {
            self.request += 1;
            head.request = self.request;
            head.replies_received = self.request - 1;
        }
        Ask::Write { tag, header: Box::new(head), body }
    }

    /// Whether a request is open.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.ask.is_some()
    }

    /// The session, if there is one.
    fn key(&self) -> Option<SessionKey> {
        let (client, session) = (self.name(), self.session);
        (session != 0).then_some(SessionKey { client, session, reserved: 0 })
    }

    /// The node did not answer, or is not the one. Who hangs up takes the session along, by a hello.
    pub(crate) fn try_next(&mut self) {
        self.target = (self.target + 1) % self.node_count;
        let Some(key) = self.key().filter(|_| self.hangs_up) else { return };
        self.hang_up = Some(key);
        self.tag += 1;
        let mut head = header(Operation::Register, &[]);
        (head.client, head.session) = (key.client, key.session);
        let (tag, header) = (self.tag, Box::new(head));
        self.hello = Some(Ask::Write { tag, header, body: Vec::new() });
    }

    /// The session whose connection was given up since this was asked last.
    pub(crate) const fn take_hang_up(&mut self) -> Option<SessionKey> {
        self.hang_up.take()
    }

    /// Takes an answer, and tells what it was to.
    pub(crate) fn hear(
        &mut self,
        node: u8,
        answer: &Answer,
        oracle: &mut Oracle,
    ) -> Result<Heard, Violation> {
        if let (Answer::Reply(reply), Some(Ask::Write { tag, header, .. })) = (answer, &self.hello)
            && reply.tag == *tag
        {
            let header = header.clone();
            oracle.take(node, &header, reply)?;
            self.hello = None;
            // A session that is gone is gone for what waits as well.
            if reply.output.status != RequestStatus::Ok {
                self.begin_again();
            }
            return Ok(Heard::Welcome);
        }
        if self.hello.is_some() {
            return Ok(Heard::Nothing);
        }
        match (answer, &self.ask) {
            (Answer::Read { tag, epoch, sequence }, Some(Ask::Read { tag: asked }))
                if tag == asked =>
            {
                oracle.read(*epoch, *sequence, &self.read_floor)?;
            }
            (Answer::Reply(reply), Some(Ask::Write { tag, header, .. })) if reply.tag == *tag => {
                let header = header.clone();
                oracle.take(node, &header, reply)?;
                if !self.hear_reply(reply, &header, oracle)? {
                    self.begin_again();
                }
            }
            _ => return Ok(Heard::Nothing),
        }
        self.ask = None;
        self.done += 1;
        Ok(Heard::Done)
    }

    /// Takes a reply in; whether the request was executed.
    fn hear_reply(
        &mut self,
        reply: &Reply,
        header: &RequestHeader,
        oracle: &mut Oracle,
    ) -> Result<bool, Violation> {
        let output = &reply.output;
        match output.status {
            RequestStatus::Ok => {}
            // Sessions that were idle are evicted; whether this one was is for the model to say.
            RequestStatus::SessionUnknown | RequestStatus::SessionsFull => return Ok(false),
            // The log went back, and the session with it.
            _ if oracle.has_losses() => return Ok(false),
            status => {
                return Err(Violation::State(format!("a sound request was refused: {status:?}")));
            }
        }
        if header.operation == Operation::Register.number() {
            let record = RegisterRecord::read_from_bytes(output.body())
                .map_err(|_| Violation::State("a registration without a record".to_owned()))?;
            self.session = record.session;
            self.request = record.request_last;
            return Ok(true);
        }
        if header.operation == Operation::CreateAccounts.number() {
            self.has_accounts = true;
            return Ok(true);
        }
        let exceptions: Vec<ResultException> = output
            .body()
            .chunks_exact(size_of::<ResultException>())
            .filter_map(|bytes| ResultException::read_from_bytes(bytes).ok())
            .collect();
        let results = expand_results(output.timestamp, header.event_count, &exceptions);
        oracle.results(&self.transfers, &results, reply)?;
        Ok(true)
    }

    /// Gives the open request up, its fate unknown, and asks for a session.
    fn begin_again(&mut self) {
        self.sessions_lost += u64::from(self.session != 0);
        self.ask = None;
        self.session = 0;
        self.request = 0;
        self.has_accounts = self.is_visitor;
    }
}
