//! A market whose orders settle in a ledger of 10,000 accounts, and full batches of orders.

use mizan_engine::{Engine, Output, Resolved};
use mizan_wire::limits::EVENTS_MAX;
use mizan_wire::orders::TimeInForce;
use mizan_wire::trading::{
    AmendOrderEvent, CancelOrderEvent, CreateInstrument, OrderResult, SubmitOrder,
};
use mizan_wire::{
    Account, AccountFlags, CREATED, Genesis, Operation, RequestHeader, SEMANTICS_VERSION, Transfer,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

const TRADERS: u64 = 5_000;
const CASH: u32 = 1;
const SHARES: u32 = 2;
const MIDDLE: u64 = 10_000;
const LEVELS: u64 = 40;
const LOTS: u64 = 10;
const FUNDS: u128 = 1 << 60;
/// Ids of the traders' accounts for money and for what is traded are these and the trader's number.
const CASH_BASE: u128 = 1_000_000;
const SHARES_BASE: u128 = 2_000_000;
/// Fees, both clearing accounts, and who gives the traders what they have.
const HOUSE: [(u128, u32); 5] = [(1, CASH), (2, CASH), (3, SHARES), (4, CASH), (5, SHARES)];

/// What a batch asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orders {
    /// New orders that rest.
    Rest,
    /// New orders, each of which trades with one other as a whole.
    Take,
    /// Another price for orders that rest.
    Amend,
    /// The end of orders, by their numbers.
    Cancel,
    /// The end of orders, by the ids that their clients gave them.
    CancelByClientId,
}

/// A market and what will be sent to it.
pub struct Market {
    engine: Engine,
    output: Output,
    orders: Orders,
    operation: Operation,
    body: Vec<u8>,
}

impl Market {
    /// A market with a full batch of resting orders, and the batch to measure.
    ///
    /// # Panics
    /// If the engine refuses something: a fault of the benchmark.
    #[must_use]
    pub fn new(orders: Orders) -> Self {
        let genesis = genesis();
        let engine = Engine::new(&genesis).expect("the limits are sound");
        let output = Output::new();
        let operation = Operation::SubmitOrders;
        let mut market = Self { engine, output, orders, operation, body: Vec::new() };
        market.apply(Operation::Genesis, &[genesis]);
        market.open();
        let count = u64::from(EVENTS_MAX);
        let resting: Vec<SubmitOrder> = (0..count).map(|id| order(id, false)).collect();
        let results = market.submit(&resting);
        market.operation = match orders {
            Orders::Rest | Orders::Take => Operation::SubmitOrders,
            Orders::Amend => Operation::AmendOrders,
            Orders::Cancel | Orders::CancelByClientId => Operation::CancelOrders,
        };
        for (order_before, result) in resting.iter().zip(&results) {
            let id = order_before.client_order_id as u64 - 1 + 2 * count;
            let account_id = order_before.quote_account_id;
            let order_number = result.order_number;
            let amend = AmendOrderEvent {
                account_id,
                order_number,
                price: order_before.price ^ 1,
                quantity: LOTS,
                ..AmendOrderEvent::default()
            };
            let cancel = CancelOrderEvent { account_id, ..CancelOrderEvent::default() };
            let client_order_id = order_before.client_order_id;
            match orders {
                Orders::Rest => market.queue(&order(id, false)),
                Orders::Take => market.queue(&order(id, true)),
                Orders::Amend => market.queue(&amend),
                Orders::Cancel => market.queue(&CancelOrderEvent { order_number, ..cancel }),
                Orders::CancelByClientId => {
                    market.queue(&CancelOrderEvent { client_order_id, ..cancel });
                }
            }
        }
        market
    }

    fn queue<E: IntoBytes + Immutable>(&mut self, event: &E) {
        self.body.extend_from_slice(event.as_bytes());
    }

    /// Executes the batch.
    ///
    /// # Panics
    /// If the engine fails.
    pub fn execute(&mut self) {
        let body = std::mem::take(&mut self.body);
        self.apply_bytes(self.operation, EVENTS_MAX as usize, &body);
        self.body = body;
    }

    /// Looks at the results of the batch.
    ///
    /// # Panics
    /// If a command did not do what it is for.
    pub fn check(self) {
        let results = self.results();
        assert!(results.iter().all(|result| result.status == CREATED), "all are executed");
        let filled = results.iter().filter(|result| result.filled > 0).count();
        let expected = if self.orders == Orders::Take { EVENTS_MAX as usize } else { 0 };
        assert_eq!(filled, expected, "trades happen exactly where they are meant to");
    }

    fn results(&self) -> Vec<OrderResult> {
        let read = |bytes| OrderResult::read_from_bytes(bytes).expect("the size is right");
        self.output.body().chunks_exact(size_of::<OrderResult>()).map(read).collect()
    }

    fn submit(&mut self, orders: &[SubmitOrder]) -> Vec<OrderResult> {
        self.apply(Operation::SubmitOrders, orders);
        let results = self.results();
        assert!(results.iter().all(|result| result.open == LOTS), "all rest");
        results
    }

    fn open(&mut self) {
        let limited = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS;
        let account = |id: u128, ledger: u32, flags: u16| Account {
            id,
            ledger,
            code: 1,
            flags,
            ..Account::default()
        };
        let mut accounts: Vec<Account> =
            HOUSE.iter().map(|(id, ledger)| account(*id, *ledger, 0)).collect();
        let mut transfers = Vec::new();
        for trader in 0..u128::from(TRADERS) {
            for (base, from, ledger) in [(CASH_BASE, 4, CASH), (SHARES_BASE, 5, SHARES)] {
                accounts.push(account(base + trader, ledger, limited));
                transfers.push(Transfer {
                    id: base + trader,
                    debit_account_id: from,
                    credit_account_id: base + trader,
                    amount: FUNDS,
                    ledger,
                    code: 1,
                    ..Transfer::default()
                });
            }
        }
        for part in accounts.chunks(EVENTS_MAX as usize) {
            self.apply(Operation::CreateAccounts, part);
        }
        for part in transfers.chunks(EVENTS_MAX as usize) {
            self.apply(Operation::CreateTransfers, part);
        }
        self.apply(Operation::CreateInstruments, &[instrument()]);
        assert!(self.output.body().is_empty(), "the instrument is created");
    }

    fn apply<E: IntoBytes + Immutable>(&mut self, operation: Operation, events: &[E]) {
        let count = if operation.event_size() == 0 { 0 } else { events.len() };
        self.apply_bytes(operation, count, events.as_bytes());
    }

    fn apply_bytes(&mut self, operation: Operation, count: usize, body: &[u8]) {
        let header = RequestHeader {
            operation: operation.number(),
            event_size: operation.event_size() as u16,
            event_count: count as u32,
            body_size: body.len() as u32,
            clock_reading: 1,
            ..RequestHeader::default()
        };
        let sequence = self.engine.sequence() + 1;
        self.engine
            .apply(sequence, &header, body, &Resolved::none(), &mut self.output)
            .expect("the log is sound");
    }
}

fn genesis() -> Genesis {
    Genesis {
        account_count_max: 2 * TRADERS + HOUSE.len() as u64,
        transfer_count_max: 1 << 17,
        hold_count_max: 16,
        session_idle_ns: 1,
        semantics_version: SEMANTICS_VERSION,
        digest_interval: 4_096,
        ledger_count_max: 16,
        code_count_max: 16,
        session_count_max: 16,
        window_requests: 16,
        window_bytes: 4 << 20,
        instrument_count_max: 4,
        order_count_max: 1 << 16,
        report_count_max: 1 << 16,
        open_order_count_max: 1 << 15,
        book_level_count_max: 1 << 9,
        ..Genesis::default()
    }
}

fn instrument() -> CreateInstrument {
    CreateInstrument {
        fee_account_id: 1,
        quote_clearing_account_id: 2,
        base_clearing_account_id: 3,
        quote_per_tick_lot: 10,
        base_per_lot: 1,
        price_step_ticks: 1,
        price_min_ticks: 1,
        price_max_ticks: 2 * MIDDLE,
        quantity_step_lots: 1,
        quantity_max_lots: 1_000,
        protection_ticks: MIDDLE,
        id: 7,
        base_ledger: SHARES,
        quote_ledger: CASH,
        orders_max: 1 << 15,
        levels_max: 1 << 9,
        taker_fee_bps: 10,
        rounding: 1,
        self_trade: 3,
        ..CreateInstrument::default()
    }
}

/// The order with this number. One that takes meets the resting orders of other traders: those have odd numbers.
fn order(id: u64, takes: bool) -> SubmitOrder {
    let half = TRADERS / 2;
    let scattered = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
    let trader = u128::from(scattered % half * 2 + u64::from(!takes));
    let is_sell = id.is_multiple_of(2) != takes;
    // Pairs of prices belong together, so that an amended order stays on its side.
    let distance = 2 + scattered % LEVELS;
    let distance = if takes { LEVELS * 2 } else { distance };
    let is_above = is_sell != takes;
    let time_in_force = match takes {
        true => TimeInForce::ImmediateOrCancel,
        false => TimeInForce::GoodTillCancelled,
    };
    SubmitOrder {
        client_order_id: u128::from(id) + 1,
        quote_account_id: CASH_BASE + trader,
        base_account_id: SHARES_BASE + trader,
        price: if is_above { MIDDLE + distance } else { MIDDLE - distance },
        quantity: LOTS,
        instrument: 7,
        side: u8::from(is_sell),
        time_in_force: time_in_force as u8,
        ..SubmitOrder::default()
    }
}
