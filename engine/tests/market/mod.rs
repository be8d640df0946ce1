//! A market to test with: an instrument, its accounts, three traders, and short words for what they do.

use crate::common::{CREATED, Log, small_genesis};
use mizan_wire::trading::{
    CancelOrderEvent, CreateInstrument, ExecutionReport, OpenOrdersQuery, OrderKey, OrderResult,
    OrderState, OrderStatus, OrderView, ReportsQuery, SubmitOrder,
};
use mizan_wire::{Account, AccountFlags, Genesis, Operation, RequestStatus, Status, Transfer};
use zerocopy::{Immutable, IntoBytes};

pub(crate) const CASH: u32 = 1;
pub(crate) const SHARES: u32 = 2;
pub(crate) const FEES: u128 = 901;
pub(crate) const BASE_CLEARING: u128 = 902;
pub(crate) const QUOTE_CLEARING: u128 = 903;
pub(crate) const BANK: u128 = 904;
pub(crate) const ISSUER: u128 = 905;
/// Cash accounts of three traders; their shares are in the account with the number plus 100.
pub(crate) const BUYER: u128 = 11;
pub(crate) const SELLER: u128 = 12;
pub(crate) const THIRD: u128 = 13;

pub(crate) fn genesis() -> Genesis {
    Genesis {
        transfer_count_max: 512,
        window_bytes: 8_189 * 64,
        instrument_count_max: 2,
        order_count_max: 64,
        report_count_max: 16,
        open_order_count_max: 24,
        book_level_count_max: 40,
        ..small_genesis()
    }
}

pub(crate) fn instrument() -> CreateInstrument {
    CreateInstrument {
        fee_account_id: FEES,
        base_clearing_account_id: BASE_CLEARING,
        quote_clearing_account_id: QUOTE_CLEARING,
        taker_fee_flat: 100,
        quote_per_tick_lot: 10,
        base_per_lot: 1,
        price_step_ticks: 1,
        price_min_ticks: 1,
        price_max_ticks: 100_000,
        quantity_step_lots: 1,
        quantity_max_lots: 1_000,
        protection_ticks: 50,
        id: 7,
        base_ledger: SHARES,
        quote_ledger: CASH,
        orders_max: 12,
        levels_max: 20,
        rounding: 1,
        self_trade: 1,
        ..CreateInstrument::default()
    }
}

pub(crate) struct Market {
    pub(crate) log: Log,
    pub(crate) next_id: u128,
}

impl Market {
    /// Cash in cents, a tick is ten cents, and everybody has 2,000.00 and ten shares.
    pub(crate) fn with(genesis: &Genesis, instrument: CreateInstrument) -> Self {
        let mut market = Self { log: Log::with(genesis), next_id: 1 };
        let account = |id: u128, ledger: u32, flags: u16| Account {
            id,
            ledger,
            code: 1,
            flags,
            ..Account::default()
        };
        let limited = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS;
        let mut accounts = vec![
            account(FEES, CASH, 0),
            account(QUOTE_CLEARING, CASH, 0),
            account(BANK, CASH, 0),
            account(BASE_CLEARING, SHARES, 0),
            account(ISSUER, SHARES, 0),
        ];
        for trader in [BUYER, SELLER, THIRD] {
            accounts.push(account(trader, CASH, limited));
            accounts.push(account(trader + 100, SHARES, limited));
        }
        assert!(market.log.accounts(&accounts).iter().all(|status| *status == CREATED));
        for trader in [BUYER, SELLER, THIRD] {
            assert_eq!(market.pay(BANK, trader, 200_000, CASH), CREATED);
            assert_eq!(market.pay(ISSUER, trader + 100, 10, SHARES), CREATED);
        }
        let created = market.log.create(Operation::CreateInstruments, &[instrument]);
        assert_eq!(created[0].status, CREATED);
        market
    }

    pub(crate) fn new() -> Self {
        Self::with(&genesis(), instrument())
    }

    pub(crate) fn pay(&mut self, debit: u128, credit: u128, amount: u128, ledger: u32) -> u32 {
        self.next_id += 1;
        self.log.transfer(Transfer {
            id: self.next_id,
            debit_account_id: debit,
            credit_account_id: credit,
            amount,
            ledger,
            code: 1,
            ..Transfer::default()
        })
    }

    pub(crate) fn send<E: IntoBytes + Immutable>(
        &mut self,
        operation: Operation,
        events: &[E],
    ) -> Vec<OrderResult> {
        let body = events.as_bytes();
        let header = self.log.header(operation, events.len(), body.len());
        self.log.apply(&header, body).unwrap();
        assert_eq!(self.log.output.status, RequestStatus::Ok);
        assert_eq!(self.log.output.timestamp, self.log.engine.timestamp());
        let results = self.log.records();
        assert_eq!(results.len(), events.len());
        results
    }

    pub(crate) fn submit(&mut self, order: SubmitOrder) -> OrderResult {
        self.send(Operation::SubmitOrders, &[order])[0]
    }

    /// Submits an order and expects a status.
    pub(crate) fn refused(&mut self, order: SubmitOrder, status: impl Status) {
        assert_eq!(self.submit(order).status, status.number(), "{}", status.name());
    }

    pub(crate) fn account(&mut self, id: u128) -> Account {
        self.log.read(Operation::LookupAccounts, &[id])[0]
    }

    pub(crate) fn held(&mut self, id: u128) -> u128 {
        self.account(id).debits_pending
    }

    pub(crate) fn posted(&mut self, id: u128) -> u128 {
        let account = self.account(id);
        account.credits_posted - account.debits_posted
    }

    pub(crate) fn order(&mut self, account_id: u128, client_order_id: u128) -> OrderView {
        self.log.read(Operation::GetOrders, &[OrderKey { account_id, client_order_id }])[0]
    }

    pub(crate) fn reports(&mut self, account_id: u128, from_number: u64) -> Vec<ExecutionReport> {
        let query = ReportsQuery { account_id, from_number, ..ReportsQuery::default() };
        self.log.read(Operation::GetExecutionReports, &[query])
    }

    pub(crate) fn open_count(&mut self, account_id: u128) -> usize {
        let query = OpenOrdersQuery { account_id, ..OpenOrdersQuery::default() };
        self.log.read::<OrderView, _>(Operation::GetOpenOrders, &[query]).len()
    }
}

pub(crate) fn order(
    trader: u128,
    client_order_id: u128,
    side: u8,
    quantity: u64,
    price: u64,
) -> SubmitOrder {
    SubmitOrder {
        client_order_id,
        quote_account_id: trader,
        base_account_id: trader + 100,
        price,
        quantity,
        instrument: 7,
        side,
        ..SubmitOrder::default()
    }
}

pub(crate) fn buy(trader: u128, client_order_id: u128, quantity: u64, price: u64) -> SubmitOrder {
    order(trader, client_order_id, 0, quantity, price)
}

pub(crate) fn sell(trader: u128, client_order_id: u128, quantity: u64, price: u64) -> SubmitOrder {
    order(trader, client_order_id, 1, quantity, price)
}

pub(crate) fn cancel(account_id: u128, client_order_id: u128) -> CancelOrderEvent {
    CancelOrderEvent { account_id, client_order_id, ..CancelOrderEvent::default() }
}

/// 2,000.00 in cash; buy 10 at 190.00 with a fee of 1.00: 6 at 189.90 and 4 at 190.00.
pub(crate) fn bought_ten(market: &mut Market) {
    let dormant = SubmitOrder { kind: 3, stop_price: 1_899, ..buy(BUYER, 1, 10, 1_900) };
    assert_eq!(market.submit(dormant).state, OrderState::Dormant as u8);
    assert_eq!(market.held(BUYER), 190_100, "price times quantity and the fee");
    assert_eq!(market.submit(sell(SELLER, 1, 7, 1_899)).open, 7);
    assert_eq!(market.submit(sell(SELLER, 2, 3, 1_900)).open, 3);
    assert_eq!(market.submit(sell(SELLER, 2, 3, 1_900)).status, OrderStatus::Exists as u32);
    assert_eq!(market.held(SELLER + 100), 10);
}
