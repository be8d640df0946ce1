//! How many order messages per second the engine executes on one core, settlement included.
//!
//! `cargo run --release -p mizan-engine --example trading [-- ROUNDS CROSSING_PERCENT BATCH]`
//!
//! 5,000 traders with two accounts each enter orders and cancel what is left of them: in each round one request of new
//! orders, one of cancels. CROSSING_PERCENT of the orders are priced to trade at once, with orders of the round before.
//! Only the time inside `Engine::apply` counts; making requests does not. One message is one event.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::float_arithmetic)]

use mizan_engine::{Engine, Output, Resolved};
use mizan_wire::limits::EVENTS_MAX;
use mizan_wire::trading::{CancelOrderEvent, CreateInstrument, OrderResult, SubmitOrder};
use mizan_wire::{
    Account, AccountFlags, Genesis, Operation, RequestHeader, SEMANTICS_VERSION, Transfer,
};
use std::time::{Duration, Instant};
use zerocopy::{FromBytes, Immutable, IntoBytes};

const TRADERS: u64 = 5_000;
const CASH: u32 = 1;
const SHARES: u32 = 2;
const MIDDLE: u64 = 10_000;

struct Node {
    engine: Engine,
    output: Output,
    clock: u64,
    spent: Duration,
}

impl Node {
    fn apply<E: IntoBytes + Immutable>(&mut self, operation: Operation, events: &[E]) {
        let body = events.as_bytes();
        self.clock += 1_000_000;
        let header = RequestHeader {
            operation: operation.number(),
            event_size: operation.event_size() as u16,
            event_count: if operation.event_size() == 0 { 0 } else { events.len() as u32 },
            body_size: body.len() as u32,
            clock_reading: self.clock,
            ..RequestHeader::default()
        };
        let sequence = self.engine.sequence() + 1;
        let start = Instant::now();
        self.engine
            .apply(sequence, &header, body, &Resolved::none(), &mut self.output)
            .expect("the log is sound");
        self.spent += start.elapsed();
    }
}

/// Source: xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }
}

fn argument(position: usize, default: u64) -> u64 {
    let text = std::env::args().nth(position);
    text.map_or(default, |text| text.parse().expect("arguments are numbers"))
}

fn genesis(orders: u64) -> Genesis {
    Genesis {
        cluster: 1,
        hash_seed: 2,
        account_count_max: 16_384,
        transfer_count_max: orders * 2 + 100_000,
        hold_count_max: 16,
        session_idle_ns: 1,
        semantics_version: SEMANTICS_VERSION,
        digest_interval: 4_096,
        ledger_count_max: 4,
        code_count_max: 4,
        session_count_max: 4,
        window_requests: 4,
        window_bytes: EVENTS_MAX * 64,
        instrument_count_max: 4,
        order_count_max: orders,
        report_count_max: 1 << 20,
        open_order_count_max: 1 << 16,
        book_level_count_max: 1 << 12,
        ..Genesis::default()
    }
}

fn open(node: &mut Node) {
    let account = |id: u64, ledger: u32, flags: u16| Account {
        id: id.into(),
        ledger,
        code: 1,
        flags,
        ..Account::default()
    };
    let mut accounts = vec![
        account(1, CASH, 0),
        account(2, CASH, 0),
        account(3, SHARES, 0),
        account(4, CASH, 0),
        account(5, SHARES, 0),
    ];
    let mut transfers = Vec::new();
    for trader in 0..TRADERS {
        let limited = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS;
        accounts.push(account(100_000 + trader, CASH, limited));
        accounts.push(account(200_000 + trader, SHARES, limited));
        for (id, from, to, ledger) in
            [(1, 4, 100_000 + trader, CASH), (2, 5, 200_000 + trader, SHARES)]
        {
            transfers.push(Transfer {
                id: u128::from(trader * 2 + id),
                debit_account_id: from,
                credit_account_id: to.into(),
                amount: 1 << 50,
                ledger,
                code: 1,
                ..Transfer::default()
            });
        }
    }
    accounts
        .chunks(EVENTS_MAX as usize)
        .for_each(|part| node.apply(Operation::CreateAccounts, part));
    transfers
        .chunks(EVENTS_MAX as usize)
        .for_each(|part| node.apply(Operation::CreateTransfers, part));
    let instrument = CreateInstrument {
        fee_account_id: 1,
        quote_clearing_account_id: 2,
        base_clearing_account_id: 3,
        quote_per_tick_lot: 10,
        base_per_lot: 1,
        price_step_ticks: 1,
        price_min_ticks: 1,
        price_max_ticks: 1_000_000,
        quantity_step_lots: 1,
        quantity_max_lots: 1_000_000,
        protection_ticks: 1_000,
        id: 7,
        base_ledger: SHARES,
        quote_ledger: CASH,
        orders_max: 1 << 16,
        levels_max: 1 << 12,
        maker_fee_bps: 0,
        taker_fee_bps: 10,
        rounding: 1,
        self_trade: 1,
        ..CreateInstrument::default()
    };
    node.apply(Operation::CreateInstruments, &[instrument]);
}

fn main() {
    let (rounds, crossing, batch) =
        (argument(1, 100), argument(2, 10), argument(3, EVENTS_MAX.into()));
    let genesis = genesis((rounds + 1) * batch + 1);
    let engine = Engine::new(&genesis).expect("the genesis record is sound");
    let mut node = Node { engine, output: Output::new(), clock: 1 << 60, spent: Duration::ZERO };
    node.apply(Operation::Genesis, genesis.as_bytes());
    open(&mut node);
    let transfers_before = node.engine.status().transfer_count;
    node.spent = Duration::ZERO;
    let mut random = Random(0x4D69_7A61_6E00_0001);
    let (mut client_order_id, mut messages, mut resting) = (0u128, 0u64, Vec::new());
    for _ in 0..rounds {
        let orders: Vec<SubmitOrder> = (0..batch)
            .map(|_| {
                client_order_id += 1;
                let trader = random.below(TRADERS);
                let is_sell = random.below(2) == 1;
                let distance = 1 + random.below(40);
                let crosses = random.below(100) < crossing;
                let is_above = is_sell != crosses;
                SubmitOrder {
                    client_order_id,
                    quote_account_id: u128::from(100_000 + trader),
                    base_account_id: u128::from(200_000 + trader),
                    price: if is_above { MIDDLE + distance } else { MIDDLE - distance },
                    quantity: 1 + random.below(10),
                    instrument: 7,
                    side: u8::from(is_sell),
                    ..SubmitOrder::default()
                }
            })
            .collect();
        node.apply(Operation::SubmitOrders, &orders);
        let read = |bytes| OrderResult::read_from_bytes(bytes).expect("the size is right");
        let results: Vec<OrderResult> = node.output.body().chunks_exact(64).map(read).collect();
        assert!(results.iter().all(|result| result.status == u32::MAX), "an order was refused");
        let open = orders.iter().zip(&results).filter(|(_, result)| result.open > 0);
        let left: Vec<CancelOrderEvent> = open
            .map(|(order, result)| CancelOrderEvent {
                account_id: order.quote_account_id,
                order_number: result.order_number,
                ..CancelOrderEvent::default()
            })
            .collect();
        let cancels = std::mem::replace(&mut resting, left);
        messages += batch + cancels.len() as u64;
        if !cancels.is_empty() {
            node.apply(Operation::CancelOrders, &cancels);
        }
    }
    let fills = node.engine.status().transfer_count - transfers_before;
    let ns = node.spent.as_nanos() as f64 / messages as f64;
    println!(
        "{messages} messages, {fills} transfers posted, {ns:.1} ns per message, {:.2} M messages/s, digest {:032x}",
        1e3 / ns,
        node.engine.digest()
    );
}
