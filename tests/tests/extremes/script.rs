//! What a case asks for: few names and few accounts, so that everything meets, and numbers at their edges.

use super::random::Random;
use mizan_model::{Model, ModelReply};
use mizan_wire::frame::REPLY_REPLAYED;
use mizan_wire::limits::{EVENTS_MAX, NS_PER_S, TIMESTAMP_MAX};
use mizan_wire::trading::{
    AmendOrderEvent, CancelOrderEvent, CreateInstrument, DepthQuery, InstrumentCommand,
    MassCancelEvent, OpenOrdersQuery, OrderKey, ReportsQuery, SubmitOrder,
};
use mizan_wire::{
    Account, AccountFlags, Genesis, Operation, RegisterRecord, RequestFlags, RequestHeader,
    RequestStatus, SEMANTICS_VERSION, Transfer, TransferFlags as F, checksum,
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
        header.request_checksum = header.identity(checksum(body));
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

/// 1 to 3 have whatever they like, 4 and 5 only what they were paid, 6 is limited the other way; the same in ledger 2
/// with 10 more; 21 and 22 are the instruments' own.
fn accounts() -> Vec<Account> {
    let flags = |id: u128| match id % 10 {
        4 | 5 => AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS,
        6 => AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS,
        _ => 0,
    };
    let ids = [1, 11, 2, 12, 21, 22, 31, 4, 14, 5, 6, 16];
    let account = |id: u128| Account {
        id,
        ledger: if (11..20).contains(&id) || id == 22 { 2 } else { 1 },
        code: 1,
        flags: if id > 20 { 0 } else { flags(id) },
        ..Account::default()
    };
    ids.into_iter().map(account).collect()
}

fn account(random: &mut Random, clock: u64) -> Account {
    let flags = random.below(64) as u16;
    let is_imported = flags & AccountFlags::IMPORTED != 0;
    Account {
        id: random.pick(&[1, 7, 17, 8, u128::MAX, u128::MAX - 1, 0]),
        ledger: random.pick(&[1, 2, 3, u32::MAX]),
        code: random.pick(&[1, u16::MAX]),
        flags,
        timestamp: if is_imported { own_time(random, clock) } else { 0 },
        ..Account::default()
    }
}

fn own_time(random: &mut Random, clock: u64) -> u64 {
    match random.below(3) {
        0 => random.edge_u64(),
        _ => clock.wrapping_sub(random.below(200)),
    }
}

fn trader(random: &mut Random) -> u128 {
    random.pick(&[1, 1, 2, 2, 4, 4, 5, 6, 21, 99])
}

fn instrument(random: &mut Random, id: u32) -> CreateInstrument {
    let edge_or_one = |random: &mut Random| match random.below(3) {
        0 => random.edge_u64(),
        _ => 1,
    };
    let orders_max = random.pick(&[1, 2, 9, 40, 200]);
    let largest = u64::MAX / u64::from(orders_max);
    CreateInstrument {
        fee_account_id: 31,
        base_clearing_account_id: 22,
        quote_clearing_account_id: 21,
        notional_max: if random.once_in(4) { random.edge_u128() } else { u128::MAX },
        taker_fee_flat: if random.once_in(3) { random.edge_u64() } else { 0 },
        quote_per_tick_lot: edge_or_one(random),
        base_per_lot: edge_or_one(random),
        price_step_ticks: random.pick(&[1, 1, 1, 2, u64::MAX]),
        price_min_ticks: random.pick(&[1, 1, 1, 2, u64::MAX]),
        price_max_ticks: random.pick(&[u64::MAX, u64::MAX, 9, 1]),
        quantity_step_lots: random.pick(&[1, 1, 1, 3, 1 << 40]),
        quantity_max_lots: random.pick(&[largest, largest, 20, 1]),
        protection_ticks: edge_or_one(random),
        id: if random.once_in(9) { random.pick(&[0, u32::MAX]) } else { id },
        base_ledger: 2,
        quote_ledger: 1,
        orders_max,
        levels_max: random.pick(&[1, 2, 9, 40]),
        maker_fee_bps: random.pick(&[0, 10_000, -10_000, 10_001, 1, -1, 333]),
        taker_fee_bps: random.pick(&[0, 10_000, -10_000, i16::MIN, 1, -1, 777]),
        rounding: 1,
        self_trade: 1 + random.below(4) as u8,
        ..CreateInstrument::default()
    }
}

fn price(random: &mut Random) -> u64 {
    if random.once_in(4) { random.edge_u64() } else { 1 + random.below(9) }
}

fn quantity(random: &mut Random) -> u64 {
    if random.once_in(4) { random.edge_u64() } else { 1 + random.below(9) }
}

fn order(random: &mut Random, clock: u64) -> SubmitOrder {
    let quote = trader(random);
    let kind = random.pick(&[0, 0, 0, 0, 1, 2, 2, 3, 3, 4]);
    let has_limit = kind == 0 || kind == 3;
    let side = if random.once_in(30) { 2 } else { random.below(2) as u8 };
    let time_in_force = random.pick(&[0, 0, 1, 2, 3, 4, 4, 5]);
    let expires_ns = match random.below(3) {
        0 => random.edge_u64(),
        _ => clock.saturating_add(random.below(3 * NS_PER_S)),
    };
    let may_have_budget = !has_limit && side == 0;
    SubmitOrder {
        client_order_id: 1 + random.edge_u128() % 300,
        quote_account_id: quote,
        base_account_id: quote + if random.once_in(30) { 1 } else { 10 },
        budget: if may_have_budget && random.once_in(2) { random.edge_u128() } else { 0 },
        price: if has_limit { price(random) } else { 0 },
        stop_price: if kind > 1 { price(random) } else { 0 },
        quantity: quantity(random),
        expires_ns: if time_in_force == 2 { expires_ns } else { 0 },
        instrument: random.pick(&[1, 1, 1, 2, u32::MAX]),
        flags: random.pick(&[0, 0, 0, 2, 4, 6, 1]),
        side,
        kind,
        time_in_force: match kind {
            1 if !random.once_in(9) => 3 + time_in_force % 2,
            _ => time_in_force,
        },
        self_trade: random.below(6) as u8 % 5,
        ..SubmitOrder::default()
    }
}

fn name(random: &mut Random) -> (u128, u128, u64) {
    let account_id = trader(random);
    match random.below(8) {
        0 => (account_id, 1 + random.edge_u128() % 300, 0),
        1 => (account_id, 0, random.edge_u64()),
        _ => (account_id, 0, 1 + random.below(40)),
    }
}

fn amend(random: &mut Random) -> AmendOrderEvent {
    let (account_id, client_order_id, order_number) = name(random);
    let is_dormant = random.once_in(3);
    AmendOrderEvent {
        account_id,
        client_order_id,
        order_number,
        price: if random.once_in(4) { 0 } else { price(random) },
        stop_price: if is_dormant { price(random) } else { 0 },
        quantity: quantity(random),
    }
}

fn cancel(random: &mut Random) -> CancelOrderEvent {
    let (account_id, client_order_id, order_number) = name(random);
    CancelOrderEvent { account_id, client_order_id, order_number, ..CancelOrderEvent::default() }
}

fn mass_cancel(random: &mut Random) -> MassCancelEvent {
    let is_bounded = random.once_in(2);
    MassCancelEvent {
        account_id: if random.once_in(2) { trader(random) } else { 0 },
        session: random.pick(&[0, 2, MassCancelEvent::EVERY_SESSION]),
        instrument: random.pick(&[0, 1, 2, u32::MAX]),
        sides: random.below(4) as u8,
        from_order_number: if is_bounded { random.edge_u64() } else { 0 },
        to_order_number: if is_bounded { random.edge_u64() } else { 0 },
        ..MassCancelEvent::default()
    }
}

fn command(random: &mut Random, states: u64) -> InstrumentCommand {
    InstrumentCommand {
        instrument: random.pick(&[0, 1, 2]),
        // Mostly open, or nothing would be traded.
        state: if random.once_in(3) { random.below(states + 1) as u8 } else { 0 },
        from_order_number: if states == 1 { random.edge_u64() } else { 0 },
        ..InstrumentCommand::default()
    }
}

fn transfer(random: &mut Random, clock: u64) -> Transfer {
    let shape = random.pick(&[
        0,
        0,
        0,
        F::PENDING,
        F::PENDING,
        F::PENDING,
        F::POST_PENDING,
        F::VOID_PENDING,
        F::PENDING | F::CLOSING_DEBIT,
        F::BALANCING_DEBIT,
        F::BALANCING_CREDIT | F::PENDING,
        F::IMPORTED,
        u16::MAX,
    ]);
    let flags = shape | if random.once_in(6) { F::LINKED } else { 0 };
    let is_end = shape == F::POST_PENDING || shape == F::VOID_PENDING;
    let is_second = random.once_in(2);
    let account = |random: &mut Random| match is_second {
        true => random.pick(&[11, 12, 14, 16, 22]),
        false => random.pick(&[1, 2, 4, 5, 6, 31]),
    };
    let (debit_account_id, credit_account_id) = (account(random), account(random));
    let id = 1 + random.edge_u128() % 64;
    if is_end {
        let amount = match shape == F::POST_PENDING {
            true => random.pick(&[u128::MAX, u128::MAX, 0, 1]),
            false => 0,
        };
        let pending_id = 1 + random.edge_u128() % 64;
        return Transfer { id, pending_id, amount, flags, ..Transfer::default() };
    }
    Transfer {
        id,
        debit_account_id,
        credit_account_id,
        amount: random.edge_u128(),
        timeout: match shape & F::PENDING != 0 && random.once_in(2) {
            true => random.pick(&[1, 2, u32::MAX]),
            false => 0,
        },
        ledger: if is_second { 2 } else { 1 },
        code: 1,
        flags,
        timestamp: if shape == F::IMPORTED { own_time(random, clock) } else { 0 },
        ..Transfer::default()
    }
}

fn read(random: &mut Random) -> (Operation, Vec<u8>) {
    let account_id = trader(random);
    let limit = random.pick(&[0, 1, 3, u32::MAX]);
    match random.below(5) {
        0 => {
            let after_order_number = random.edge_u64();
            let instrument = random.pick(&[0, 1, u32::MAX]);
            let query = OpenOrdersQuery { account_id, after_order_number, instrument, limit };
            (Operation::GetOpenOrders, query.as_bytes().to_vec())
        }
        1 | 2 => {
            let from_number = random.edge_u64();
            let query = ReportsQuery { account_id, from_number, limit, reserved: 0 };
            (Operation::GetExecutionReports, query.as_bytes().to_vec())
        }
        3 => {
            let side = random.below(3) as u8;
            let query = DepthQuery { instrument: 1, limit, side, ..DepthQuery::default() };
            (Operation::GetDepth, query.as_bytes().to_vec())
        }
        _ => {
            let keys: Vec<OrderKey> =
                (1..20).map(|client_order_id| OrderKey { account_id, client_order_id }).collect();
            (Operation::GetOrders, keys.as_bytes().to_vec())
        }
    }
}
