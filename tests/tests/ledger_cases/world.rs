//! Turns a plan into a request, given the state that it meets.

use super::plan::{
    AccountPlan, Action, Case, Claim, Kind, OwnTime, PLACE_MAX, Received, RegistryPlan,
    RequestNumber, Step, TransferPlan, Who,
};
use super::requests::request;
use mizan_model::{Model, ModelReply};
use mizan_wire::frame::REPLY_REPLAYED;
use mizan_wire::limits::TIMESTAMP_MAX;
use mizan_wire::{
    Account, AccountFlags as A, CreateCode, CreateLedger, DigestRecord, Operation, RegisterRecord,
    RequestHeader, RequestStatus, Transfer, TransferFlags as F, write_name,
};
use std::collections::BTreeMap;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// What goes to the engine and to the model.
#[derive(Clone, Debug)]
pub struct Request {
    pub header: RequestHeader,
    pub body: Vec<u8>,
    /// How far the entry's sequence is from the one that is due.
    pub sequence_offset: u64,
    pub is_read: bool,
    /// The entry is broken: both must refuse it with an error.
    pub is_broken: bool,
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
pub struct World {
    clock: u64,
    clients: BTreeMap<u128, Client>,
}

impl World {
    pub fn new(clock: u64) -> Self {
        Self { clock, clients: BTreeMap::new() }
    }

    /// What every case begins with: some accounts, each of its own request, and some sessions.
    pub fn prelude(&self, case: &Case) -> Vec<Request> {
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
    pub fn request(&mut self, step: &Step, model: &Model) -> Request {
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
    pub fn learn(&mut self, request: &Request, reply: &ModelReply) {
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

fn own_time(own_time: OwnTime, index: u64, model: &Model) -> u64 {
    let account = |place: usize| model.accounts().nth(place).map_or(0, |account| account.timestamp);
    let transfer = |place: usize| model.transfers().nth(place).map_or(0, |found| found.timestamp);
    let newest_account = account(model.accounts().count().saturating_sub(1));
    let newest_transfer = model.transfers().last().map_or(0, |found| found.timestamp);
    match own_time {
        OwnTime::Zero => 0,
        OwnTime::Absolute(timestamp) => timestamp.into(),
        OwnTime::AfterAll(by) => newest_account.max(newest_transfer) + u64::from(by) + index,
        OwnTime::AfterTransfers(by) => newest_transfer + u64::from(by) + index,
        OwnTime::AfterAccounts(by) => newest_account + u64::from(by) + index,
        OwnTime::OfAccount(place) => account(place.into()),
        OwnTime::OfTransfer(place) => transfer(place.into()),
        OwnTime::Now(by) => model.timestamp() + u64::from(by),
        OwnTime::Huge => u64::MAX - index,
    }
}

fn account(plan: &AccountPlan, index: u64, model: &Model) -> Account {
    let user_data = plan.user_data;
    let mut account = Account {
        id: plan.id.into(),
        user_data_128: user_data.into(),
        user_data_64: user_data.into(),
        user_data_32: user_data.into(),
        ledger: plan.ledger.into(),
        code: plan.code.into(),
        flags: plan.flags,
        ..Account::default()
    };
    let stored = plan.copies.and_then(|place| model.accounts().nth(place.into()));
    if let Some(stored) = stored {
        account = Account {
            id: stored.id,
            user_data_128: stored.user_data_128,
            user_data_64: stored.user_data_64,
            user_data_32: stored.user_data_32,
            ledger: stored.ledger,
            code: stored.code,
            flags: stored.flags,
            ..Account::default()
        };
    }
    if account.flags & A::IMPORTED != 0 {
        account.timestamp = own_time(plan.own_time, index, model);
    }
    match plan.fault {
        None => {}
        Some(0) => account.reserved = 1,
        Some(1) => account.flags |= 1 << 9,
        Some(2) => account.id = 0,
        Some(3) => account.id = u128::MAX,
        Some(4) => account.id = 0xFFFE << 112,
        Some(5) => account.flags ^= A::HISTORY,
        Some(6) => account.user_data_128 += 1,
        Some(7) => account.user_data_64 += 1,
        Some(8) => account.user_data_32 += 1,
        Some(9) => account.ledger += 1,
        Some(10) => account.code += 1,
        Some(11) => account.debits_pending = 1,
        Some(12) => account.debits_posted = 1,
        Some(13) => account.credits_pending = 1,
        Some(14) => account.credits_posted = 1,
        Some(15) => account.ledger = 0,
        Some(16) => account.code = 0,
        Some(_) => account.timestamp ^= 1,
    }
    account
}

fn transfer(plan: &TransferPlan, index: u64, model: &Model) -> Transfer {
    let accounts: Vec<&Account> = model.accounts().collect();
    let account_id = |place: u8| match accounts.get(usize::from(place) % accounts.len().max(1)) {
        Some(account) if place <= PLACE_MAX => account.id,
        _ => u128::from(place),
    };
    let ledger_of = |id: u128| {
        accounts.iter().find(|account| account.id == id).map_or(1, |account| account.ledger)
    };
    let (dr, mut cr) = (account_id(plan.dr), account_id(plan.cr));
    if dr == cr {
        cr = account_id(plan.cr.saturating_add(1));
    }
    let mut transfer = Transfer {
        id: plan.id.into(),
        debit_account_id: dr,
        credit_account_id: cr,
        amount: plan.amount,
        user_data_128: plan.user_data.into(),
        user_data_64: plan.user_data.into(),
        user_data_32: plan.user_data.into(),
        ledger: 1,
        code: 1,
        flags: plan.flags,
        ..Transfer::default()
    };
    match plan.kind {
        // Closing without a hold is refused: seldom is often enough.
        Kind::Plain if plan.user_data != 0 => {
            transfer.flags &= !(F::CLOSING_DEBIT | F::CLOSING_CREDIT);
        }
        Kind::Plain => {}
        Kind::Hold => {
            transfer.flags |= F::PENDING;
            transfer.timeout = plan.timeout;
        }
        Kind::Post(back) | Kind::Void(back) => post_or_void(plan, back, &mut transfer, model),
        Kind::Copy(back) => copy(plan, back, &mut transfer, model),
    }
    if matches!(plan.kind, Kind::Plain | Kind::Hold) {
        transfer.ledger = ledger_of(transfer.debit_account_id);
    }
    if transfer.flags & F::IMPORTED != 0 {
        transfer.timestamp = own_time(plan.own_time, index, model);
    }
    spoil(plan, &mut transfer, model);
    transfer
}

fn post_or_void(plan: &TransferPlan, back: u8, transfer: &mut Transfer, model: &Model) {
    let is_post = matches!(plan.kind, Kind::Post(_));
    let mut holds: Vec<_> =
        model.transfers().filter(|stored| stored.flags & F::PENDING != 0).collect();
    holds.reverse();
    let hold = holds.get(usize::from(back) % holds.len().max(1)).copied();
    transfer.pending_id = hold.map_or(u128::from(plan.id) + 1, |hold| hold.id);
    transfer.flags &= F::LINKED | F::IMPORTED;
    transfer.flags |= if is_post { F::POST_PENDING } else { F::VOID_PENDING };
    let takes_all = plan.user_data == 0 || (!is_post && plan.amount != 3);
    if takes_all {
        transfer.amount = if is_post { u128::MAX } else { 0 };
    } else if let Some(hold) = hold.filter(|_| plan.user_data == 1) {
        transfer.amount = hold.amount / 2;
    }
    let named = hold.filter(|_| plan.names_all).copied().unwrap_or_default();
    transfer.debit_account_id = named.debit_account_id;
    transfer.credit_account_id = named.credit_account_id;
    transfer.ledger = named.ledger;
    transfer.code = named.code;
}

fn copy(plan: &TransferPlan, back: u8, transfer: &mut Transfer, model: &Model) {
    let stored: Vec<_> = model.transfers().collect();
    let place = stored.len().checked_sub(1 + usize::from(back));
    let Some(place) = place else { return };
    *transfer = Transfer { timestamp: 0, ..*stored[place] };
    let is_post_or_void = transfer.flags & (F::POST_PENDING | F::VOID_PENDING) != 0;
    if is_post_or_void && !plan.names_all {
        *transfer = Transfer {
            id: transfer.id,
            pending_id: transfer.pending_id,
            flags: transfer.flags,
            amount: if transfer.flags & F::POST_PENDING != 0 { u128::MAX } else { 0 },
            ..Transfer::default()
        };
    }
}

/// Makes one thing wrong, or different from what is stored.
fn spoil(plan: &TransferPlan, transfer: &mut Transfer, model: &Model) {
    match plan.fault {
        None => {}
        Some(0) => transfer.flags |= 1 << 12,
        Some(1) => transfer.id = 0,
        Some(2) => transfer.id = u128::MAX,
        Some(3) => transfer.id = 0xFFFE << 112 | 5,
        Some(4) => transfer.flags ^= F::PENDING,
        Some(5) => transfer.pending_id = model.transfers().next().map_or(0, |stored| stored.id),
        Some(6) => transfer.timeout ^= 1,
        Some(7) => transfer.debit_account_id += 1,
        Some(8) => transfer.credit_account_id += 1,
        Some(9) => transfer.amount = transfer.amount.wrapping_sub(1),
        Some(10) => transfer.user_data_128 += 1,
        Some(11) => transfer.user_data_64 += 1,
        Some(12) => transfer.user_data_32 += 1,
        Some(13) => transfer.ledger += 1,
        Some(14) => transfer.code += 1,
        Some(15) => transfer.debit_account_id = 0,
        Some(16) => transfer.debit_account_id = u128::MAX,
        Some(17) => transfer.credit_account_id = 0,
        Some(18) => transfer.credit_account_id = u128::MAX,
        Some(19) => transfer.credit_account_id = transfer.debit_account_id,
        Some(20) => transfer.pending_id = transfer.id,
        Some(21) => transfer.pending_id = u128::MAX,
        Some(22) => transfer.code = 0,
        Some(23) => transfer.ledger = 0,
        Some(24) => transfer.timestamp ^= 1,
        Some(_) => transfer.flags ^= F::POST_PENDING,
    }
}

fn ledger(plan: &RegistryPlan) -> CreateLedger {
    let mut record = CreateLedger::new_zeroed();
    record.ledger = plan.number.into();
    record.scale = plan.grade;
    record.currency = write_name(plan.currency).expect("the currency fits");
    record.name = write_name(plan.name).expect("the name fits");
    match plan.fault {
        None => {}
        Some(0) => record.timestamp = 1,
        Some(1) => record.reserved_2[3] = 1,
        Some(2) => record.name[63] = 1,
        Some(_) => record.name[0] = 0xFF,
    }
    record
}

fn code(plan: &RegistryPlan) -> CreateCode {
    let mut record = CreateCode::new_zeroed();
    record.code = plan.number.into();
    record.class = plan.grade;
    record.name = write_name(plan.name).expect("the name fits");
    match plan.fault {
        None => {}
        Some(0) => record.timestamp = 1,
        Some(1) => record.reserved[28] = 1,
        Some(2) => record.name[63] = 1,
        Some(_) => record.name[0] = 0xFF,
    }
    record
}
