//! The engine and the model with a small market, side by side.

use crate::trading_cases::plan::{NANOSECONDS, Request, Step, TRADERS, base_account};
use mizan_engine::{Engine, Output, Resolved};
use mizan_model::{Model, ModelReply};
use mizan_wire::limits::EVENTS_MAX;
use mizan_wire::trading::{
    CreateInstrument, DepthQuery, ExecutionReport, OpenOrdersQuery, OrderKey, OrderResult,
    ReportsQuery, SubmitOrder,
};
use mizan_wire::{
    Account, AccountFlags, CREATED, Genesis, Operation, RequestHeader, RequestStatus,
    SEMANTICS_VERSION, Transfer,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use zerocopy::{FromBytes, Immutable, IntoBytes};

const CLIENT: u128 = 77;
const START: u64 = 1_000 * NANOSECONDS;

pub(crate) fn genesis() -> Genesis {
    Genesis {
        cluster: 0xC1,
        hash_seed: 7,
        account_count_max: 64,
        transfer_count_max: 130,
        hold_count_max: 16,
        session_idle_ns: 1_000,
        semantics_version: SEMANTICS_VERSION,
        digest_interval: 4,
        ledger_count_max: 4,
        code_count_max: 4,
        session_count_max: 2,
        window_requests: 2,
        window_bytes: EVENTS_MAX * 64,
        instrument_count_max: 3,
        order_count_max: 45,
        report_count_max: 40,
        open_order_count_max: 20,
        book_level_count_max: 20,
        ..Genesis::default()
    }
}

fn instruments() -> [CreateInstrument; 2] {
    let first = CreateInstrument {
        fee_account_id: 901,
        base_clearing_account_id: 902,
        quote_clearing_account_id: 903,
        notional_max: 300,
        quote_per_tick_lot: 37,
        base_per_lot: 2,
        price_step_ticks: 1,
        price_min_ticks: 2,
        price_max_ticks: 18,
        quantity_step_lots: 1,
        quantity_max_lots: 40,
        protection_ticks: 4,
        id: 1,
        base_ledger: 2,
        quote_ledger: 1,
        orders_max: 9,
        levels_max: 7,
        maker_fee_bps: -30,
        taker_fee_bps: 170,
        rounding: 1,
        self_trade: 3,
        ..CreateInstrument::default()
    };
    let second = CreateInstrument {
        id: 2,
        taker_fee_flat: 90,
        maker_fee_bps: 333,
        taker_fee_bps: -50,
        price_step_ticks: 2,
        levels_max: 3,
        quantity_step_lots: 2,
        ..first
    };
    [first, second]
}

#[derive(Debug, Default)]
pub(crate) struct Coverage {
    pub(crate) statuses: BTreeMap<u32, u64>,
    pub(crate) reasons: BTreeMap<u16, u64>,
    pub(crate) filled: u64,
    pub(crate) expired: u64,
    pub(crate) replayed: u64,
    /// Mass cancels and ends of sessions that have more to do.
    pub(crate) unfinished: u64,
    /// Steps after which triggered stops waited.
    pub(crate) waited: u64,
    /// Transfers that ticks caused.
    pub(crate) late_transfers: u64,
}

pub(crate) struct Pair {
    pub(crate) engine: Engine,
    pub(crate) model: Model,
    output: Output,
    clock: u64,
    session: u64,
    request_last: u64,
    orders: Vec<SubmitOrder>,
    /// Why orders ended, as execution reports have it.
    reasons: BTreeSet<u16>,
}

impl Pair {
    pub(crate) fn new() -> Result<Self, String> {
        Self::with(&genesis(), &instruments())
    }

    /// As [`Pair::new`], with so much room for orders.
    pub(crate) fn with_room(orders_max: u32) -> Result<Self, String> {
        let genesis = Genesis {
            transfer_count_max: 20_000,
            order_count_max: orders_max.into(),
            open_order_count_max: 2 * orders_max,
            ..genesis()
        };
        let roomy = |instrument| CreateInstrument { orders_max, ..instrument };
        Self::with(&genesis, &instruments().map(roomy))
    }

    /// As [`Pair::new`], with so few looks for each entry.
    pub(crate) fn with_looks(looks_max: u64) -> Result<Self, String> {
        let mut pair = Self::new()?;
        pair.engine.bound_looks(looks_max);
        pair.model.bound_looks(looks_max);
        Ok(pair)
    }

    fn with(genesis: &Genesis, instruments: &[CreateInstrument; 2]) -> Result<Self, String> {
        let mut pair = Self {
            engine: Engine::new(genesis).map_err(|error| error.to_string())?,
            model: Model::new(genesis).map_err(|error| error.to_string())?,
            output: Output::new(),
            clock: START,
            session: 0,
            request_last: 0,
            orders: Vec::new(),
            reasons: BTreeSet::new(),
        };
        pair.send(Operation::Genesis, genesis.as_bytes(), false)?;
        let mut register = pair.header(Operation::Register, &[]);
        register.client = CLIENT;
        pair.apply(&register, &[])?;
        pair.session = pair.engine.sequence();
        pair.open_accounts()?;
        pair.send(Operation::CreateInstruments, instruments.as_bytes(), false)?;
        Ok(pair)
    }

    fn open_accounts(&mut self) -> Result<(), String> {
        let account = |id: u128, ledger: u32, flags: u16| Account {
            id,
            ledger,
            code: 1,
            flags,
            ..Account::default()
        };
        let limited = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS;
        let mut accounts = vec![
            account(901, 1, 0),
            account(902, 2, 0),
            account(903, 1, 0),
            account(904, 1, 0),
            account(905, 2, 0),
            account(15, 1, AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS),
            account(115, 2, 0),
            account(113, 2, limited),
        ];
        let mut transfers = Vec::new();
        let mut pay = |debit: u128, credit: u128, amount: u128, ledger: u32| {
            transfers.push(Transfer {
                id: 20_000 + transfers.len() as u128,
                debit_account_id: debit,
                credit_account_id: credit,
                amount,
                ledger,
                code: 1,
                ..Transfer::default()
            });
        };
        for trader in TRADERS {
            // One of them may owe as much as it likes.
            accounts.push(account(trader, 1, if trader == 12 { 0 } else { limited }));
            if base_account(trader) != 113 {
                accounts.push(account(base_account(trader), 2, limited));
            }
            pay(904, trader, 9_000, 1);
            pay(905, base_account(trader), 60, 2);
        }
        self.send(Operation::CreateAccounts, accounts.as_bytes(), false)?;
        self.send(Operation::CreateTransfers, transfers.as_bytes(), false)
    }

    fn header(&self, operation: Operation, body: &[u8]) -> RequestHeader {
        let size = operation.event_size();
        let mut header = RequestHeader {
            operation: operation.number(),
            event_size: size as u16,
            event_count: body.len().checked_div(size).unwrap_or(0) as u32,
            body_size: body.len() as u32,
            clock_reading: self.clock,
            ..RequestHeader::default()
        };
        header.request_checksum = header.identity(body);
        header
    }

    /// Sends a request; one of the session is sent twice, and must be answered alike.
    fn send(&mut self, operation: Operation, body: &[u8], in_session: bool) -> Result<(), String> {
        let mut header = self.header(operation, body);
        if !in_session {
            return self.apply(&header, body).map(|_| ());
        }
        self.request_last += 1;
        header.client = CLIENT;
        header.session = self.session;
        header.request = self.request_last;
        header.replies_received = self.request_last - 1;
        let reply = self.apply(&header, body)?;
        let again = self.apply(&header, body)?;
        same("the body of the replayed reply", &again.body, &reply.body)?;
        same("the status of the request", &reply.status, &RequestStatus::Ok)
    }

    fn apply(&mut self, header: &RequestHeader, body: &[u8]) -> Result<ModelReply, String> {
        let sequence = self.engine.sequence() + 1;
        let resolved = Resolved::none();
        let engine = self.engine.apply(sequence, header, body, &resolved, &mut self.output);
        let model = self.model.apply(sequence, header, body);
        engine.map_err(|error| error.to_string())?;
        let model = model.map_err(|error| error.to_string())?;
        self.same_reply("the reply", &model)?;
        Ok(model)
    }

    fn same_reply(&self, what: &str, model: &ModelReply) -> Result<(), String> {
        let output = &self.output;
        let engine = ModelReply {
            status: output.status,
            flags: output.flags,
            sequence: output.sequence,
            timestamp: output.timestamp,
            event_count: output.event_count,
            result_size: output.result_size,
            result_count: output.result_count,
            body: output.body().to_vec(),
        };
        if engine.body != model.body && engine.result_size == 64 {
            same(what, &results(&engine.body), &results(&model.body))?;
        }
        same(what, &engine, model)
    }

    pub(crate) fn step(&mut self, step: &Step, coverage: &mut Coverage) -> Result<(), String> {
        let in_session = step.in_session;
        let mut operation = Operation::Tick;
        match &step.request {
            Request::Submit(orders) => {
                operation = Operation::SubmitOrders;
                let timed = |order: &SubmitOrder| match order.expires_ns {
                    0 => *order,
                    later => SubmitOrder { expires_ns: self.clock + later * NANOSECONDS, ..*order },
                };
                let orders: Vec<SubmitOrder> = orders.iter().map(timed).collect();
                self.send(operation, orders.as_bytes(), in_session)?;
                self.orders.extend(orders);
            }
            Request::Repeat(places) => {
                operation = Operation::SubmitOrders;
                let count = self.orders.len();
                if count == 0 {
                    return Ok(());
                }
                let orders: Vec<SubmitOrder> =
                    places.iter().map(|place| self.orders[place % count]).collect();
                self.send(operation, orders.as_bytes(), in_session)?;
            }
            Request::Amend(events) => {
                operation = Operation::AmendOrders;
                self.send(operation, events.as_bytes(), in_session)?;
            }
            Request::Cancel(events) => {
                operation = Operation::CancelOrders;
                self.send(operation, events.as_bytes(), in_session)?;
            }
            Request::MassCancel(events) => {
                operation = Operation::MassCancelOrders;
                self.send(operation, events.as_bytes(), in_session)?;
            }
            Request::SetState(event) => {
                operation = Operation::SetTradingStates;
                self.send(operation, event.as_bytes(), in_session)?;
            }
            Request::CloseSession(event) => {
                operation = Operation::CloseTradingSessions;
                self.send(operation, event.as_bytes(), in_session)?;
            }
            Request::Transfers(events) => {
                operation = Operation::CreateTransfers;
                self.send(operation, events.as_bytes(), in_session)?;
            }
            Request::Tick(seconds) => {
                self.clock += seconds * NANOSECONDS;
                let before = self.engine.status().transfer_count;
                self.send(Operation::Tick, &[], false)?;
                coverage.late_transfers += self.engine.status().transfer_count - before;
                coverage.expired += u64::from(self.output.event_count);
            }
        }
        if operation.is_trading() {
            coverage.replayed += u64::from(in_session);
            for result in results(self.output.body()) {
                *coverage.statuses.entry(result.status).or_default() += 1;
                *coverage.reasons.entry(result.reason).or_default() += 1;
                coverage.filled += u64::from(result.filled > 0);
                let is_sweep = result.status == CREATED && result.state == 0;
                coverage.unfinished += u64::from(is_sweep && result.order_number > 0);
            }
        } else if operation == Operation::CreateTransfers {
            let bytes = self.output.body().chunks_exact(16);
            for status in
                bytes.map(|bytes| u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]))
            {
                *coverage.statuses.entry(status).or_default() += 1;
            }
        }
        let now = self.engine.timestamp();
        coverage.waited += u64::from(self.engine.next_due_ns() == Some(now));
        self.compare()?;
        for reason in &self.reasons {
            *coverage.reasons.entry(*reason).or_default() += 1;
        }
        Ok(())
    }

    /// Compares everything that shows, and has the engine audit itself.
    fn compare(&mut self) -> Result<(), String> {
        self.engine.check_invariants().map_err(|error| error.to_string())?;
        let accounts: Vec<_> = self.engine.accounts().collect();
        same("the accounts", &accounts, &self.model.accounts().copied().collect())?;
        let transfers: Vec<_> = self.engine.transfers().collect();
        same("the transfers", &transfers, &self.model.transfers().copied().collect())?;
        same("the trial balance", &self.engine.trial_balance(), &self.model.trial_balance())?;
        same("next_due_ns", &self.engine.next_due_ns(), &self.model.next_due_ns())?;
        same("the digest", &self.engine.digest(), &self.model.digest())?;
        self.read::<u128>(Operation::GetEngineStatus, &[])?;
        self.read::<u128>(Operation::GetInstruments, &[])?;
        for account_id in TRADERS.into_iter().chain([15, 999]) {
            let keys: Vec<_> =
                (1..30).map(|id| OrderKey { account_id, client_order_id: id }).collect();
            self.read(Operation::GetOrders, &keys)?;
            let query = OpenOrdersQuery { account_id, ..OpenOrdersQuery::default() };
            self.read(Operation::GetOpenOrders, &[query])?;
            let some = OpenOrdersQuery { after_order_number: 3, instrument: 2, limit: 2, ..query };
            self.read(Operation::GetOpenOrders, &[some])?;
            let query = ReportsQuery { account_id, ..ReportsQuery::default() };
            self.read(Operation::GetExecutionReports, &[query])?;
            let some = ReportsQuery { from_number: 4, limit: 3, ..query };
            self.read(Operation::GetExecutionReports, &[some])?;
        }
        for (instrument, side) in [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (1, 2)] {
            let query = DepthQuery { instrument, side, limit: 0, ..DepthQuery::default() };
            self.read(Operation::GetDepth, &[query])?;
        }
        Ok(())
    }

    fn read<E: IntoBytes + Immutable>(
        &mut self,
        operation: Operation,
        events: &[E],
    ) -> Result<(), String> {
        let body = events.as_bytes();
        let header = self.header(operation, body);
        self.engine.read(&header, body, &mut self.output).map_err(|error| error.to_string())?;
        let model = self.model.read(&header, body).map_err(|error| error.to_string())?;
        self.same_reply(operation.name(), &model)?;
        if operation == Operation::GetExecutionReports {
            let read = |bytes| ExecutionReport::read_from_bytes(bytes).expect("the size is right");
            let reports = model.body.chunks_exact(size_of::<ExecutionReport>()).map(read);
            self.reasons.extend(reports.map(|report: ExecutionReport| report.reason));
        }
        Ok(())
    }
}

fn results(body: &[u8]) -> Vec<OrderResult> {
    let read = |bytes| OrderResult::read_from_bytes(bytes).expect("the size is right");
    body.chunks_exact(size_of::<OrderResult>()).map(read).collect()
}

fn same<T: PartialEq + Debug>(what: &str, engine: &T, model: &T) -> Result<(), String> {
    if engine == model {
        return Ok(());
    }
    Err(format!("{what} differs\nengine: {engine:?}\nmodel:  {model:?}"))
}
