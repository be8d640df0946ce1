//! The batches of trading: one event after the other, each with its own timestamp and its own result.

use crate::ledger::LedgerState;
use crate::resolved::PendingState;
use crate::trading::commands::Step;
use crate::trading::limits::NONE;
use crate::trading::look_ahead::LookAhead;
use crate::trading::settlement::Numbers;
use crate::trading::state::Trading;
use crate::trading::submit::Refused;
use crate::trading::sweep::{SweepRoom, Swept};
use mizan_wire::limits::TICK_ACTIONS_MAX;
use mizan_wire::trading::{
    AmendOrderEvent, CancelOrderEvent, InstrumentCommand, MassCancelEvent, OrderResult, SubmitOrder,
};
use mizan_wire::{CREATED, Operation};
use zerocopy::FromBytes;

/// Events between the first look at an event's ids and its execution.
const LOOK_AHEAD_IDS: usize = 16;
/// Events between the fetch of what an event names and its execution.
const LOOK_AHEAD_RECORDS: usize = 8;
/// Events between the fetch of what that is linked with and its execution.
const LOOK_AHEAD_LINKS: usize = 4;

impl Trading {
    /// Executes all events of a trading operation; `results` has one result for each. Gives the last timestamp.
    pub(crate) fn execute(
        &mut self,
        ledger: &mut LedgerState,
        operation: Operation,
        body: &[u8],
        session: u64,
        first: u64,
    ) -> u64 {
        self.results.clear();
        self.sweep_room = SweepRoom::WHOLE;
        let mut numbers = Numbers::of_entry(ledger.sequence, first, self.looks_max);
        match operation {
            Operation::SubmitOrders => self.submit_all(ledger, body, session, &mut numbers),
            Operation::AmendOrders => {
                self.for_each_named(
                    ledger,
                    body,
                    &mut numbers,
                    |trading, event: &AmendOrderEvent, step| trading.amend(event, step),
                );
            }
            Operation::CancelOrders => {
                self.for_each_named(
                    ledger,
                    body,
                    &mut numbers,
                    |trading, event: &CancelOrderEvent, step| trading.cancel(event, step),
                );
            }
            Operation::MassCancelOrders => {
                self.for_each(
                    ledger,
                    body,
                    &mut numbers,
                    |trading, event: &MassCancelEvent, step| {
                        trading.mass_cancel(event, step).map(Outcome::Swept)
                    },
                );
            }
            Operation::SetTradingStates => {
                self.for_each(
                    ledger,
                    body,
                    &mut numbers,
                    |trading, event: &InstrumentCommand, step| {
                        trading.set_state(event, step).map(Outcome::Count)
                    },
                );
            }
            Operation::CloseTradingSessions => {
                self.for_each(
                    ledger,
                    body,
                    &mut numbers,
                    |trading, event: &InstrumentCommand, step| {
                        trading.close_session(event, step).map(Outcome::Swept)
                    },
                );
            }
            _ => unreachable!("invariant: the operation is one of trading"),
        }
        self.desk.touched.assert_balanced(&ledger.ledgers);
        numbers.next - 1
    }

    fn submit_all(
        &mut self,
        ledger: &mut LedgerState,
        body: &[u8],
        session: u64,
        numbers: &mut Numbers,
    ) {
        let mut events = std::mem::take(&mut self.submits);
        copy_events(body, &mut events);
        for (index, event) in events.iter().enumerate() {
            if let Some(later) = events.get(index + LOOK_AHEAD_IDS) {
                let accounts = &ledger.accounts;
                accounts.table.prefetch(accounts.table.hash(later.quote_account_id));
                accounts.table.prefetch(accounts.table.hash(later.base_account_id));
            }
            if let Some(later) = events.get(index + LOOK_AHEAD_RECORDS) {
                self.look_ahead(ledger, later);
            }
            if let Some(later) = events.get(index + LOOK_AHEAD_LINKS) {
                self.look_ahead_links(ledger, later);
            }
            let timestamp = numbers.take();
            let outcome = self.submit(ledger, event, session, timestamp, numbers);
            let result = self.result_of(outcome.map(Outcome::Order), timestamp);
            self.results.push(result);
        }
        self.submits = events;
    }

    fn look_ahead(&self, ledger: &LedgerState, later: &SubmitOrder) {
        let accounts = &ledger.accounts;
        let guess = accounts.prefetch_candidates(accounts.table.hash(later.quote_account_id));
        accounts.prefetch_candidates(accounts.table.hash(later.base_account_id));
        if let Some(quote_slot) = guess {
            self.desk.orders.prefetch(quote_slot, later.client_order_id);
            mizan_memory::prefetch_index(&self.desk.traders, quote_slot as usize);
        }
    }

    /// The new order will be linked behind its account's last one.
    fn look_ahead_links(&self, ledger: &LedgerState, later: &SubmitOrder) {
        let table = &ledger.accounts.table;
        let guess = table.candidates(table.hash(later.quote_account_id)).next();
        if let Some(trader) = guess.and_then(|slot| self.desk.traders.get(slot as usize)) {
            self.desk.orders.prefetch_tail(&trader.open);
        }
    }

    /// As [`Trading::for_each`], for events that begin with the name of an order.
    fn for_each_named<E: FromBytes>(
        &mut self,
        ledger: &mut LedgerState,
        body: &[u8],
        numbers: &mut Numbers,
        execute: impl Fn(&mut Self, &E, &mut Step<'_>) -> Result<u32, Refused>,
    ) {
        let mut look_ahead = LookAhead::new(body);
        for (index, bytes) in body.chunks_exact(size_of::<E>()).enumerate() {
            look_ahead.step(self, ledger, index);
            let event =
                E::read_from_bytes(bytes).expect("invariant: a chunk has the size of a record");
            let timestamp = numbers.take();
            let mut step = Step { ledger, numbers, timestamp };
            let outcome = execute(self, &event, &mut step).map(Outcome::Order);
            let result = self.result_of(outcome, timestamp);
            self.results.push(result);
        }
    }

    fn for_each<E: FromBytes>(
        &mut self,
        ledger: &mut LedgerState,
        body: &[u8],
        numbers: &mut Numbers,
        execute: impl Fn(&mut Self, &E, &mut Step<'_>) -> Result<Outcome, Refused>,
    ) {
        for bytes in body.chunks_exact(size_of::<E>()) {
            let event =
                E::read_from_bytes(bytes).expect("invariant: a chunk has the size of a record");
            let timestamp = numbers.take();
            let mut step = Step { ledger, numbers, timestamp };
            let outcome = execute(self, &event, &mut step);
            let result = self.result_of(outcome, timestamp);
            self.results.push(result);
        }
    }

    fn result_of(&self, outcome: Result<Outcome, Refused>, timestamp: u64) -> OrderResult {
        let (status, index) = match outcome {
            Ok(Outcome::Count(open)) => {
                return OrderResult { timestamp, open, status: CREATED, ..OrderResult::default() };
            }
            Ok(Outcome::Swept(Swept { count: open, next_number: order_number })) => {
                let status = CREATED;
                // So that whoever goes on later spares what was entered meanwhile, if he wishes.
                let entered = self.desk.orders.count() as u64;
                let filled = if order_number == 0 { 0 } else { entered };
                return OrderResult {
                    timestamp,
                    open,
                    order_number,
                    filled,
                    status,
                    ..OrderResult::default()
                };
            }
            Ok(Outcome::Order(index)) => (CREATED, index),
            Err(refused) => (refused.status, refused.order),
        };
        if index == NONE {
            return OrderResult { timestamp, status, ..OrderResult::default() };
        }
        let order = self.desk.orders.get(index);
        let exists = status == mizan_wire::trading::OrderStatus::Exists as u32;
        OrderResult {
            notional: order.notional,
            order_number: u64::from(index) + 1,
            timestamp: if exists { order.timestamp } else { timestamp },
            filled: order.filled,
            open: order.open,
            status,
            reason: order.reason,
            state: order.state as u8,
            ..OrderResult::default()
        }
    }

    /// Performs what is due at `first`, holds and orders together, in the order of due time and timestamp; then, if that
    /// was all, goes on with stops that wait. Gives the last timestamp, and whether there were such stops.
    pub(crate) fn tick(
        &mut self,
        ledger: &mut LedgerState,
        first: u64,
        released: &mut Vec<u64>,
    ) -> (u64, bool) {
        released.clear();
        let mut numbers = Numbers::of_entry(ledger.sequence, first, self.looks_max);
        while released.len() < TICK_ACTIONS_MAX as usize {
            let hold = ledger.holds.first_due().map(|(expires_ns, slot)| {
                (expires_ns, ledger.transfers.records[slot as usize].timestamp, slot)
            });
            let order = self.first_due();
            let is_order = match (hold, order) {
                (None, None) => break,
                (Some(_), None) => false,
                (None, Some(_)) => true,
                (Some((expires_ns, timestamp, _)), Some(order)) => order < (expires_ns, timestamp),
            };
            let expires_ns = if is_order { order.map(|due| due.0) } else { hold.map(|due| due.0) };
            if expires_ns.is_none_or(|expires_ns| expires_ns > first) {
                break;
            }
            let timestamp = numbers.take();
            if is_order {
                let mut step = Step { ledger, numbers: &mut numbers, timestamp };
                released.push(self.expire_first(&mut step));
            } else if let Some((_, timestamp, slot)) = hold {
                ledger.release(slot, PendingState::Expired, 0);
                released.push(timestamp);
            }
        }
        let is_all = released.len() < TICK_ACTIONS_MAX as usize;
        let has_gone_on = is_all && self.go_on_with_all(ledger, &mut numbers);
        self.desk.touched.assert_balanced(&ledger.ledgers);
        (first.max(numbers.next - 1), has_gone_on)
    }
}

/// What an event that was executed is about.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    /// The order with this index.
    Order(u32),
    /// So many orders, or instruments.
    Count(u64),
    Swept(Swept),
}

/// The body may lie at any address.
fn copy_events<E: FromBytes + Copy>(body: &[u8], events: &mut Vec<E>) {
    events.clear();
    let records = body.chunks_exact(size_of::<E>());
    events.extend(records.map(|record| {
        E::read_from_bytes(record).expect("invariant: a chunk has the size of a record")
    }));
}
