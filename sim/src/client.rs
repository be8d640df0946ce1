//! Clients: a session, one request at a time, repeated to one node after the other until it is answered.

use crate::node::Reply;
use crate::oracle::{Oracle, Violation};
use crate::workload::{accounts, header, transfers};
use mizan_journal::sim::SimRandom;
use mizan_wire::{
    Operation, RegisterRecord, RequestHeader, RequestStatus, ResultException, Transfer,
    expand_results,
};
use zerocopy::{FromBytes, IntoBytes};

/// What a client sends.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Write { header: Box<RequestHeader>, body: Vec<u8> },
    Read { tag: u64 },
}

/// What a node answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    NotPrimary,
    Reply(Box<Reply>),
    Read { tag: u64, sequence: u64 },
}

/// One client.
pub(crate) struct Client {
    index: usize,
    session: u64,
    request: u64,
    next_id: u64,
    has_accounts: bool,
    transfers: Vec<Transfer>,
    read_tag: u64,
    /// What was acknowledged by anybody when the read was sent.
    read_floor: u64,
    ask: Option<Ask>,
    pub(crate) target: u8,
    pub(crate) done: u64,
    /// Number of the last plan to speak.
    pub(crate) turn: u64,
    pub(crate) sent_ns: u64,
    node_count: u8,
}

impl Client {
    pub(crate) fn new(index: usize, node_count: u8) -> Self {
        Client {
            index,
            session: 0,
            request: 0,
            next_id: 1,
            has_accounts: false,
            transfers: Vec::new(),
            read_tag: 0,
            read_floor: 0,
            ask: None,
            target: 0,
            done: 0,
            turn: 0,
            sent_ns: 0,
            node_count,
        }
    }

    fn id(&self) -> u64 {
        self.index as u64 + 1
    }

    /// What to send now: the open request again, or a new one.
    pub(crate) fn ask(&mut self, random: &mut SimRandom, oracle: &Oracle) -> Ask {
        if self.ask.is_none() {
            self.ask = Some(self.next_ask(random, oracle));
        }
        self.ask.clone().expect("invariant: it was just set")
    }

    fn next_ask(&mut self, random: &mut SimRandom, oracle: &Oracle) -> Ask {
        let (mut head, body) = if self.session == 0 {
            (header(Operation::Register, &[]), Vec::new())
        } else if !self.has_accounts {
            let body = accounts().as_bytes().to_vec();
            (header(Operation::CreateAccounts, &body), body)
        } else if random.below(5) == 0 {
            self.read_tag += 1;
            self.read_floor = oracle.acknowledged_sequence;
            return Ask::Read { tag: self.read_tag };
        } else {
            self.transfers = transfers(random, self.id(), self.next_id);
            self.next_id += self.transfers.len() as u64;
            let body = self.transfers.as_bytes().to_vec();
            (header(Operation::CreateTransfers, &body), body)
        };
        head.client = self.id().into();
        head.session = self.session;
        if self.session != 0 {
            self.request += 1;
            head.request = self.request;
            head.replies_received = self.request - 1;
        }
        Ask::Write { header: Box::new(head), body }
    }

    /// The node did not answer, or is not the one.
    pub(crate) fn try_next(&mut self) {
        self.target = (self.target + 1) % self.node_count;
    }

    /// Takes an answer; whether it ended the open request.
    pub(crate) fn hear(
        &mut self,
        node: u8,
        answer: &Answer,
        oracle: &mut Oracle,
    ) -> Result<bool, Violation> {
        match (answer, &self.ask) {
            (Answer::Read { tag, sequence }, Some(Ask::Read { .. })) if *tag == self.read_tag => {
                oracle.read(*sequence, self.read_floor)?;
            }
            (Answer::Reply(reply), Some(Ask::Write { header, .. }))
                if reply.request == header.request =>
            {
                let (operation, count) = (header.operation, header.event_count);
                self.hear_reply(node, reply, operation, count, oracle)?;
            }
            _ => return Ok(false),
        }
        self.ask = None;
        self.done += 1;
        Ok(true)
    }

    fn hear_reply(
        &mut self,
        node: u8,
        reply: &Reply,
        operation: u16,
        event_count: u32,
        oracle: &mut Oracle,
    ) -> Result<(), Violation> {
        let output = &reply.output;
        if output.status != RequestStatus::Ok {
            let status = output.status;
            return Err(Violation::State(format!("a sound request was refused: {status:?}")));
        }
        oracle.acknowledge(node, reply.epoch, reply.sequence)?;
        if operation == Operation::Register.number() {
            let record = RegisterRecord::read_from_bytes(output.body())
                .map_err(|_| Violation::State("a registration without a record".to_owned()))?;
            self.session = record.session;
            return Ok(());
        }
        let exceptions: Vec<ResultException> = output
            .body()
            .chunks_exact(size_of::<ResultException>())
            .filter_map(|bytes| ResultException::read_from_bytes(bytes).ok())
            .collect();
        let results = expand_results(output.timestamp, event_count, &exceptions);
        if operation == Operation::CreateAccounts.number() {
            self.has_accounts = true;
            return Ok(());
        }
        oracle.results(&self.transfers, &results)
    }
}
