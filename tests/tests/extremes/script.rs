//! What a case asks for: its limits, its clock, its session, and one operation after the other.

use super::events::{
    account, accounts, amend, cancel, command, instrument, mass_cancel, order, read, transfer,
};
use super::random::Random;
use mizan_model::{Model, ModelReply};
use mizan_wire::frame::REPLY_REPLAYED;
use mizan_wire::limits::{EVENTS_MAX, NS_PER_S, TIMESTAMP_MAX};
use mizan_wire::trading::CreateInstrument;
use mizan_wire::{
    Genesis, Operation, RegisterRecord, RequestFlags, RequestHeader, RequestStatus,
    SEMANTICS_VERSION,
};
use zerocopy::{FromBytes, IntoBytes};

const CLIENT: u128 = 77;

/// See the module.
pub(crate) struct Script {
    pub(crate) genesis: Genesis,
    /// Entries and reads of the case.
    pub(crate) length: u64,
    clock: u64,
    position: u64,
    session: u64,
    request_last: u64,
    last: Option<(RequestHeader, Vec<u8>)>,
    told: String,
}

impl Script {
    pub(crate) fn new(random: &mut Random) -> Self {
        let clock = match random.below(4) {
            0 => random.below(3),
            1 => 1_700_000_000 * NS_PER_S,
            2 => TIMESTAMP_MAX - random.below(400),
            _ => TIMESTAMP_MAX - random.below(400) * NS_PER_S,
        };
        let length = 20 + random.below(120);
        let genesis = genesis(random);
        let (session, request_last) = (0, 0);
        Self {
            genesis,
            length,
            clock,
            position: 0,
            session,
            request_last,
            last: None,
            told: String::new(),
        }
    }

    /// What went wrong, and where.
    pub(crate) fn tell(&self, index: u64, header: &RequestHeader, reason: &str) -> String {
        let Self { genesis, told, .. } = self;
        format!("{reason}\nentry {index} of {genesis:?}\n{header:?}\nthe last events: {told}")
    }

    pub(crate) fn header(&self, operation: Operation, body: &[u8]) -> RequestHeader {
        let event_size = operation.event_size();
        let mut header = RequestHeader {
            operation: operation.number(),
            event_size: event_size as u16,
            event_count: body.len().checked_div(event_size).unwrap_or(0) as u32,
            body_size: body.len() as u32,
            clock_reading: self.clock,
            ..RequestHeader::default()
        };
        header.request_checksum = header.identity(body);
        header
    }

    /// The next entry or read.
    pub(crate) fn next(&mut self, random: &mut Random, model: &Model) -> (RequestHeader, Vec<u8>) {
        self.position += 1;
        self.clock = match random.below(12) {
            0..6 => self.clock,
            6..9 => self.clock.saturating_add(random.below(50)),
            9 => self.clock.saturating_add(random.below(4) * NS_PER_S),
            10 => self.clock.saturating_sub(random.below(1_000)),
            _ if random.once_in(12) => random.edge_u64(),
            _ => self.clock,
        };
        let (operation, body) = match self.position {
            1 => (Operation::Register, Vec::new()),
            2 => (Operation::CreateAccounts, accounts().as_bytes().to_vec()),
            3 => (Operation::CreateInstruments, self.instruments(random)),
            _ => self.events(random, model),
        };
        let mut header = self.header(operation, &body);
        if operation == Operation::Register {
            header.client = CLIENT;
        } else if !operation.is_read() && !is_internal(operation) && random.once_in(2) {
            header = self.in_session(random, header);
            let repeats = header.request <= self.request_last && random.once_in(2);
            if let (true, Some((last, body))) = (repeats, &self.last) {
                // Ingress leaves the body of a repetition out.
                let is_bare = random.once_in(2);
                let flags = if is_bare { RequestFlags::REPEATED } else { last.flags };
                let body_size = if is_bare { 0 } else { last.body_size };
                let body = if is_bare { Vec::new() } else { body.clone() };
                return (RequestHeader { flags, body_size, ..*last }, body);
            }
            if random.once_in(40) {
                header.flags = random.pick(&[1, RequestFlags::REPEATED, 3]);
            }
            self.last = Some((header, body.clone()));
        }
        (header, body)
    }

    fn in_session(&self, random: &mut Random, header: RequestHeader) -> RequestHeader {
        let request = match random.below(12) {
            0 => random.edge_u64(),
            1 => self.request_last,
            _ => self.request_last + 1,
        };
        let replies_received = match random.below(8) {
            0 => random.edge_u64(),
            1 => 0,
            _ => self.request_last,
        };
        let session = if random.once_in(20) { random.edge_u64() } else { self.session };
        RequestHeader { client: CLIENT, session, request, replies_received, ..header }
    }

    /// Notes what the session learns from a reply.
    pub(crate) fn learn(&mut self, header: &RequestHeader, reply: &ModelReply) {
        let is_new = reply.status == RequestStatus::Ok && reply.flags & REPLY_REPLAYED == 0;
        if header.client != CLIENT || !is_new {
            return;
        }
        if header.operation == Operation::Register.number() {
            let record = RegisterRecord::read_from_bytes(&reply.body).expect("a register record");
            (self.session, self.request_last) = (record.session, record.request_last);
        } else {
            self.request_last = header.request;
        }
    }

    fn instruments(&mut self, random: &mut Random) -> Vec<u8> {
        let events: Vec<CreateInstrument> = (1..=2).map(|id| instrument(random, id)).collect();
        self.told = format!("{events:?}");
        events.as_bytes().to_vec()
    }

    fn events(&mut self, random: &mut Random, model: &Model) -> (Operation, Vec<u8>) {
        let count = 1 + random.below(6);
        macro_rules! all {
            ($operation:expr, $event:expr) => {{
                let events: Vec<_> = (0..count).map(|_| $event).collect();
                self.told = format!("{events:?}");
                ($operation, events.as_bytes().to_vec())
            }};
        }
        let clock = self.clock;
        match random.below(40) {
            0..12 => all!(Operation::CreateTransfers, transfer(random, clock)),
            12..23 => all!(Operation::SubmitOrders, order(random, clock)),
            23 | 24 => all!(Operation::AmendOrders, amend(random)),
            25 => all!(Operation::CancelOrders, cancel(random)),
            26 => all!(Operation::MassCancelOrders, mass_cancel(random)),
            27 => all!(Operation::SetTradingStates, command(random, 3)),
            28 => all!(Operation::CloseTradingSessions, command(random, 1)),
            29 => (Operation::CreateInstruments, self.instruments(random)),
            30 => all!(Operation::CreateAccounts, account(random, clock)),
            31 => (Operation::Register, Vec::new()),
            32 if random.once_in(6) => (Operation::CloseSession, Vec::new()),
            33 => match model.digest_due() {
                Some(record) => (Operation::Digest, record.as_bytes().to_vec()),
                None => (Operation::Tick, Vec::new()),
            },
            34..36 => read(random),
            _ => (Operation::Tick, Vec::new()),
        }
    }
}

fn is_internal(operation: Operation) -> bool {
    matches!(operation, Operation::Tick | Operation::Digest | Operation::Genesis)
}

fn genesis(random: &mut Random) -> Genesis {
    let transfers = random.pick(&[1, 2, 3, 5, 9, 40, 300, 300, 2_000, 100_000]);
    let has_trading = !random.once_in(5);
    let trading = |number: u32| if has_trading { number } else { 0 };
    Genesis {
        cluster: random.edge_u128(),
        hash_seed: random.next(),
        account_count_max: random.pick(&[1, 3, 9, 12, 12, 100, 10_000]),
        transfer_count_max: transfers,
        hold_count_max: random.pick(&[1, 2, 5, 1_000]).min(transfers),
        session_idle_ns: random.edge_u64(),
        semantics_version: SEMANTICS_VERSION,
        digest_interval: random.pick(&[1, 2, 7, u32::MAX]),
        ledger_count_max: random.pick(&[1, 2, 2, 3, 4_000]),
        code_count_max: random.pick(&[1, 8_000]),
        session_count_max: random.pick(&[1, 2, 65_535]),
        window_requests: random.pick(&[1, 2, 65_536]),
        window_bytes: random.pick(&[EVENTS_MAX * 64, u32::MAX]),
        instrument_count_max: trading(random.pick(&[1, 2, 2, 4_000])),
        order_count_max: trading(random.pick(&[1, 3, 40, 40, 1_000])).into(),
        report_count_max: trading(random.pick(&[1, 2, 40, 5_000])).into(),
        open_order_count_max: trading(random.pick(&[1, 2, 9, 40, 400])),
        book_level_count_max: trading(random.pick(&[1, 2, 9, 40, 400])),
        ..Genesis::default()
    }
}
