//! Turns a plan into a request, given the state that it meets.

use super::events::{account, code, ledger, transfer};
use super::plan::{Action, Case, Claim, Received, RequestNumber, Step, Who};
use super::requests::request;
use mizan_model::{Model, ModelReply};
use mizan_wire::frame::REPLY_REPLAYED;
use mizan_wire::limits::TIMESTAMP_MAX;
use mizan_wire::{
    Account, CreateCode, CreateLedger, DigestRecord, Operation, RegisterRecord, RequestHeader,
    RequestStatus, Transfer,
};
use std::collections::BTreeMap;
use zerocopy::{FromBytes, IntoBytes};

/// What goes to the engine and to the model.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) header: RequestHeader,
    pub(crate) body: Vec<u8>,
    /// How far the entry's sequence is from the one that is due.
    pub(crate) sequence_offset: u64,
    pub(crate) is_read: bool,
    /// The entry is broken: both must refuse it with an error.
    pub(crate) is_broken: bool,
}

#[derive(Clone, Debug, Default)]
struct Client {
    session: u64,
    request_last: u64,
    /// Executed requests, by number.
    sent: BTreeMap<u64, (RequestHeader, Vec<u8>)>,
}

/// What a case has to remember itself: the clock, and what each client knows.
#[derive(Clone, Debug)]
pub(crate) struct World {
    clock: u64,
    clients: BTreeMap<u128, Client>,
}

impl World {
    pub(crate) fn new(clock: u64) -> Self {
        Self { clock, clients: BTreeMap::new() }
    }

    /// What every case begins with: some accounts, each of its own request, and some sessions.
    pub(crate) fn prelude(&self, case: &Case) -> Vec<Request> {
        let account = |(flags, id): (&u16, u128)| {
            let (ledger, code) = (1 + u32::from(id > 7), 1);
            let account = Account { id, ledger, code, flags: *flags, ..Account::default() };
            self.internal(Operation::CreateAccounts, account.as_bytes())
        };
        let register = |client: u8| {
            let mut request = self.internal(Operation::Register, &[]);
            request.header.client = client.into();
            request
        };
        let accounts = case.accounts.iter().zip(1..).map(account);
        accounts.chain((1..=case.clients).map(register)).collect()
    }

    /// The request that the step means.
    pub(crate) fn request(&mut self, step: &Step, model: &Model) -> Request {
        self.clock += step.advance_ns;
        match &step.action {
            Action::Accounts(who, plans) => {
                let events: Vec<Account> = plans
                    .iter()
                    .zip(0..)
                    .map(|(plan, index)| account(plan, index, model))
                    .collect();
                self.write(who, Operation::CreateAccounts, events.as_bytes())
            }
            Action::Transfers(who, plans) => {
                let events: Vec<Transfer> = plans
                    .iter()
                    .zip(0..)
                    .map(|(plan, index)| transfer(plan, index, model))
                    .collect();
                self.write(who, Operation::CreateTransfers, events.as_bytes())
            }
            Action::Ledgers(who, plans) => {
                let events: Vec<CreateLedger> = plans.iter().map(ledger).collect();
                self.write(who, Operation::CreateLedgers, events.as_bytes())
            }
            Action::Codes(who, plans) => {
                let events: Vec<CreateCode> = plans.iter().map(code).collect();
                self.write(who, Operation::CreateCodes, events.as_bytes())
            }
            Action::Close(who) => self.write(who, Operation::CloseSession, &[]),
            Action::Register { client, claims } => {
                let client = u128::from(*client);
                let mut request = self.internal(Operation::Register, &[]);
                request.header.client = client;
                request.header.session = self.session(client, *claims);
                request
            }
            Action::Tick => self.internal(Operation::Tick, &[]),
            Action::Digest => match model.digest_due() {
                Some(record) => self.internal(Operation::Digest, record.as_bytes()),
                None => self.internal(Operation::Tick, &[]),
            },
            Action::Read { what, ids, ahead } => self.read(*what, ids, *ahead, model),
            Action::Broken(how) => Request { is_broken: true, ..self.broken(*how, model) },
        }
    }

    /// Notes what a client learns from a reply.
    pub(crate) fn learn(&mut self, request: &Request, reply: &ModelReply) {
        let header = &request.header;
        let is_new = reply.status == RequestStatus::Ok && reply.flags & REPLY_REPLAYED == 0;
        if !is_new || request.is_read || header.client == 0 {
            return;
        }
        let client = self.clients.entry(header.client).or_default();
        if header.operation == Operation::Register.number() {
            let record = RegisterRecord::read_from_bytes(&reply.body).expect("a register record");
            if record.resumed == 0 {
                *client = Client::default();
            }
            client.session = record.session;
        } else {
            client.request_last = header.request;
            client.sent.insert(header.request, (*header, request.body.clone()));
        }
    }

    fn internal(&self, operation: Operation, body: &[u8]) -> Request {
        Request {
            header: request(operation, body, self.clock),
            body: body.to_vec(),
            sequence_offset: 0,
            is_read: operation.is_read(),
            is_broken: false,
        }
    }

    fn session(&self, client: u128, claims: Claim) -> u64 {
        let known = self.clients.get(&client).map_or(0, |client| client.session);
        match claims {
            Claim::Nothing => 0,
            Claim::Known => known,
            Claim::Wrong => known + 1,
        }
    }

    fn write(&self, who: &Who, operation: Operation, body: &[u8]) -> Request {
        let mut request = self.internal(operation, body);
        if who.client == 0 {
            return request;
        }
        let id = u128::from(who.client);
        let client = self.clients.get(&id).cloned().unwrap_or_default();
        let earlier = |back: u8| client.request_last.saturating_sub(back.into());
        let number = match who.number {
            RequestNumber::Next => client.request_last + 1,
            RequestNumber::Repeat(back) | RequestNumber::Reuse(back) => earlier(back),
            RequestNumber::Gap => client.request_last + 2,
            RequestNumber::Zero => 0,
        };
        let repeated = client.sent.get(&number);
        if let (RequestNumber::Repeat(_), Some((header, body))) = (who.number, repeated) {
            request.header = RequestHeader { clock_reading: self.clock, ..*header };
            request.body.clone_from(body);
        }
        request.header.client = id;
        request.header.session = self.session(id, who.claims);
        request.header.request = number;
        request.header.replies_received = match who.received {
            Received::Nothing => 0,
            Received::AllBut(count) => client.request_last.saturating_sub(count.into()),
            Received::TooMany => u64::MAX,
        };
        request
    }

    fn read(&self, what: u8, ids: &[u8], ahead: u8, model: &Model) -> Request {
        let ids: Vec<u128> = ids.iter().map(|id| u128::from(*id)).collect();
        let (operation, body) = match what {
            0 => (Operation::LookupAccounts, ids.as_bytes()),
            1 => (Operation::LookupTransfers, ids.as_bytes()),
            2 => (Operation::GetLedgers, &[][..]),
            3 => (Operation::GetCodes, &[][..]),
            4 => (Operation::TrialBalance, &[][..]),
            _ => (Operation::GetEngineStatus, &[][..]),
        };
        let mut request = self.internal(operation, body);
        request.header.replies_received = (model.sequence() + u64::from(ahead)).saturating_sub(1);
        request
    }

    /// An entry that no sound log has.
    fn broken(&self, how: u8, model: &Model) -> Request {
        let tick = self.internal(Operation::Tick, &[]);
        let account = Account { id: 90, ledger: 1, code: 1, ..Account::default() };
        let create = self.internal(Operation::CreateAccounts, account.as_bytes());
        let with = |request: &Request, change: fn(&mut RequestHeader)| {
            let mut request = request.clone();
            change(&mut request.header);
            request
        };
        let digest = model.digest_due().unwrap_or_default();
        let digest_with = |digest: u128, at_sequence: u64| {
            let record = DigestRecord { digest, at_sequence, reserved: 0 };
            self.internal(Operation::Digest, record.as_bytes())
        };
        match how {
            0 => Request { sequence_offset: 1, ..tick },
            1 => Request { sequence_offset: u64::MAX, ..tick },
            2 => with(&tick, |header| header.operation = 9_999),
            3 => with(&tick, |header| header.operation = Operation::Padding.number()),
            4 => self.internal(Operation::Genesis, super::requests::small_genesis().as_bytes()),
            5 => Request { is_read: false, ..self.internal(Operation::TrialBalance, &[]) },
            6 => with(&create, |header| header.flags = 1),
            7 => with(&create, |header| header.body_size = 127),
            8 => with(&create, |header| header.event_size = 64),
            9 => Request { body: Vec::new(), ..with(&create, |header| header.body_size = 0) },
            10 => with(&tick, |header| header.client = 1),
            11 => digest_with(digest.digest, model.sequence() + 1),
            12 => digest_with(digest.digest ^ 1, digest.at_sequence),
            13 => Request { is_read: true, ..create },
            14 => with(&create, |header| header.clock_reading = TIMESTAMP_MAX + 1),
            _ => {
                let mut register = self.internal(Operation::Register, &[0]);
                register.header.client = 1;
                register
            }
        }
    }
}
