//! Naive trading: the oracle of the engine's. Plain vectors and ordered maps around the naive book.
//!
//! A command runs on the book first, which gives a list of reports; then the reports are settled one by one. What an
//! order must reserve is computed anew after each of them. Everything is kept for ever; which execution reports count
//! as dropped is found out by counting.

mod commands;
mod instruments;
mod order;
mod reads;
mod settle;
mod submit;
mod waiting;

use crate::books::ModelBook;
use crate::ledger::Ledger;
use crate::trading::order::TradingOrder;
use mizan_wire::limits::LOOKS_MAX;
use mizan_wire::orders::{CancelReason, OrderReport, SLOT_NONE};
use mizan_wire::trading::{
    AmendOrderEvent, CancelOrderEvent, CreateInstrument, ExecutionReport, InstrumentCommand,
    MassCancelEvent, OrderResult, OrderStatus, SubmitOrder,
};
use mizan_wire::{CREATED, EngineStatus, Genesis, Operation, Status};
use std::collections::BTreeMap;
use zerocopy::{FromBytes, IntoBytes};

/// What is bought and sold, and the book for it.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    pub(crate) record: CreateInstrument,
    pub(crate) book: ModelBook,
}

/// All that trading adds to a ledger.
#[derive(Clone, Debug)]
pub(crate) struct Trading {
    genesis: Genesis,
    /// By number.
    markets: BTreeMap<u32, Market>,
    /// In the order of their numbers, which begin at 1.
    orders: Vec<TradingOrder>,
    /// Quote account and client id to position.
    positions: BTreeMap<(u128, u128), usize>,
    /// Every report ever given, and its account.
    reports: Vec<(u128, ExecutionReport)>,
    chain: u128,
    /// What one entry may look at.
    pub(crate) looks_max: u64,
}

/// Numbers of the entry that is being executed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) sequence: u64,
    pub(crate) timestamp: u64,
    pub(crate) next: u64,
    pub(crate) derived: u32,
    /// Open orders that mass cancels and ends of sessions have looked at, and ended.
    pub(crate) looked_at: u32,
    pub(crate) swept: u32,
    /// What may still be looked at, or traded with.
    pub(crate) looks_left: u64,
}

impl Step {
    /// The step of an entry whose first timestamp this is.
    fn of_entry(sequence: u64, timestamp: u64, looks_left: u64) -> Self {
        let next = timestamp;
        Self { sequence, timestamp, next, derived: 0, looked_at: 0, swept: 0, looks_left }
    }
}

/// Why something was refused, and which order it is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    pub(crate) status: u32,
    pub(crate) position: Option<usize>,
}

impl<S: Status> From<S> for Refused {
    fn from(status: S) -> Self {
        Self { status: status.number(), position: None }
    }
}

/// What an event that was executed is about.
#[derive(Clone, Copy)]
pub(crate) enum Done {
    Order(usize),
    Count(u64),
    /// How many ended, and the order to go on with.
    Swept(u64, u64),
}

impl Trading {
    pub(crate) fn new(genesis: &Genesis) -> Self {
        Self {
            genesis: *genesis,
            markets: BTreeMap::new(),
            orders: Vec::new(),
            positions: BTreeMap::new(),
            reports: Vec::new(),
            chain: 0,
            looks_max: LOOKS_MAX.into(),
        }
    }

    /// Counters and limits of trading; everything else is zero.
    pub(crate) fn status(&self) -> EngineStatus {
        let taken = |part: fn(&CreateInstrument) -> u32| {
            self.markets.values().map(|market| part(&market.record)).sum()
        };
        EngineStatus {
            instrument_count: self.markets.len() as u32,
            instrument_count_max: self.genesis.instrument_count_max,
            open_order_count: self.orders.iter().filter(|order| order.is_open()).count() as u32,
            order_count: self.orders.len() as u64,
            order_count_max: self.genesis.order_count_max,
            report_count_max: self.genesis.report_count_max,
            book_digest: self.chain,
            open_order_count_max: self.genesis.open_order_count_max,
            open_order_count_taken: taken(|record| record.orders_max),
            book_level_count_max: self.genesis.book_level_count_max,
            book_level_count_taken: taken(|record| record.levels_max),
            ..EngineStatus::default()
        }
    }

    /// Executes a request; gives a result per event, and the last timestamp.
    pub(crate) fn execute(
        &mut self,
        ledger: &mut Ledger,
        operation: Operation,
        body: &[u8],
        session: u64,
        sequence: u64,
        first: u64,
    ) -> (Vec<OrderResult>, u64) {
        let mut step = Step::of_entry(sequence, first, self.looks_max);
        let mut results = Vec::new();
        for bytes in body.chunks_exact(operation.event_size()) {
            step.timestamp = step.next;
            step.next += 1;
            let step = &mut step;
            let outcome = match operation {
                Operation::SubmitOrders => {
                    self.submit(ledger, &read::<SubmitOrder>(bytes), session, step).map(Done::Order)
                }
                Operation::AmendOrders => {
                    self.amend(ledger, &read::<AmendOrderEvent>(bytes), step).map(Done::Order)
                }
                Operation::CancelOrders => {
                    self.cancel(ledger, &read::<CancelOrderEvent>(bytes), step).map(Done::Order)
                }
                Operation::MassCancelOrders => {
                    self.mass_cancel(ledger, &read::<MassCancelEvent>(bytes), step)
                }
                Operation::SetTradingStates => {
                    self.set_state(ledger, &read::<InstrumentCommand>(bytes), step).map(Done::Count)
                }
                _ => self.close_session(ledger, &read::<InstrumentCommand>(bytes), step),
            };
            results.push(self.result(outcome, step.timestamp));
        }
        (results, step.next - 1)
    }

    fn result(&self, outcome: Result<Done, Refused>, timestamp: u64) -> OrderResult {
        let plain = OrderResult { timestamp, status: CREATED, ..OrderResult::default() };
        let (status, position) = match outcome {
            Ok(Done::Count(open)) => return OrderResult { open, ..plain },
            Ok(Done::Swept(open, order_number)) => {
                let filled = if order_number == 0 { 0 } else { self.orders.len() as u64 };
                return OrderResult { open, order_number, filled, ..plain };
            }
            Ok(Done::Order(position)) => (CREATED, Some(position)),
            Err(refused) => (refused.status, refused.position),
        };
        let Some(position) = position else { return OrderResult { status, ..plain } };
        let order = &self.orders[position];
        let exists = status == OrderStatus::Exists.number();
        OrderResult {
            notional: order.notional,
            order_number: position as u64 + 1,
            timestamp: if exists { order.timestamp } else { timestamp },
            filled: order.filled,
            open: order.open,
            status,
            reason: order.reason,
            state: order.state as u8,
            ..plain
        }
    }

    /// The digest of all that the books reported.
    pub(crate) const fn chain(&self) -> u128 {
        self.chain
    }

    /// The words that a digest absorbs after some results.
    pub(crate) fn words(&self, results: &[OrderResult]) -> Vec<u128> {
        let mut words = Vec::new();
        for result in results {
            words.push(u128::from(result.timestamp) | u128::from(result.status) << 64);
            words.push(u128::from(result.order_number) | u128::from(result.open) << 64);
        }
        words.push(self.chain);
        words
    }

    /// Absorbs a book's report; places are the engine's own affair.
    fn absorb(&mut self, report: &OrderReport) {
        const MULTIPLIER: u128 = 0x2545F4914F6CDD1D_9E3779B97F4A7C15;
        const STEP: u128 = 0x9E3779B97F4A7C15_F39CC0605CEDC835;
        let report = OrderReport { slot: SLOT_NONE, ..*report };
        let mut folded = 0u128;
        for (index, bytes) in report.as_bytes().chunks_exact(16).enumerate() {
            let word = u128::from_le_bytes(bytes.try_into().expect("a chunk has 16 bytes"));
            let key = STEP.wrapping_mul(index as u128 + 1);
            folded = folded.wrapping_add((word ^ key).wrapping_mul(key | 1));
        }
        self.chain = (self.chain ^ folded).wrapping_mul(MULTIPLIER);
        self.chain ^= self.chain >> 67;
    }

    /// Whether an account has open orders or belongs to an instrument.
    pub(crate) fn uses(&self, account_id: u128) -> bool {
        let of_order = |order: &TradingOrder| {
            order.is_open() && [order.quote_account, order.base_account].contains(&account_id)
        };
        self.is_of_instrument(account_id) || self.orders.iter().any(of_order)
    }

    fn is_of_instrument(&self, account_id: u128) -> bool {
        self.markets.values().any(|market| {
            let record = &market.record;
            let clearing = [record.base_clearing_account_id, record.quote_clearing_account_id];
            record.fee_account_id == account_id || clearing.contains(&account_id)
        })
    }

    /// Ends an order whose time has come; gives its timestamp.
    pub(crate) fn expire(
        &mut self,
        ledger: &mut Ledger,
        position: usize,
        sequence: u64,
        timestamp: u64,
    ) -> u64 {
        let step = Step::of_entry(sequence, timestamp, self.looks_max);
        let mut step = Step { next: timestamp + 1, ..step };
        self.end(ledger, position, CancelReason::Expired, &mut step);
        self.orders[position].timestamp
    }

    /// Due time, timestamp and position of the open orders that end by themselves, in their order.
    pub(crate) fn expiries(&self) -> Vec<(u64, u64, usize)> {
        let mut due: Vec<_> = (0..self.orders.len())
            .filter(|position| self.orders[*position].is_open())
            .filter(|position| self.orders[*position].expires_ns != 0)
            .map(|position| {
                let order = &self.orders[position];
                (order.expires_ns, order.timestamp, position)
            })
            .collect();
        due.sort_unstable();
        due
    }
}

fn read<E: FromBytes>(bytes: &[u8]) -> E {
    E::read_from_bytes(bytes).expect("invariant: sizes were checked")
}

pub(crate) fn refuse_if<S: Status>(wrong: bool, status: S) -> Result<(), Refused> {
    if wrong { Err(status.into()) } else { Ok(()) }
}
