//! Trading: orders reserve, match and settle, and whatever happens the money is all there.

mod common;
mod looks;
mod market;
mod sweeps;

use common::{CLOCK_NS, CREATED, Log, SECOND_NS};
use market::*;
use mizan_wire::orders::{CancelReason, OrderReject};
use mizan_wire::trading::{
    AmendOrderEvent, CancelOrderEvent, CreateInstrument, DepthQuery, DepthRecord, ExecutionKind,
    ExecutionReport, InstrumentCommand, InstrumentStatus, MassCancelEvent, OrderFlags, OrderResult,
    OrderState, OrderStatus, ReportsQuery, SubmitOrder,
};
use mizan_wire::{
    Account, AccountFlags, CreateTransferStatus, Genesis, Operation, Transfer, TransferFlags,
};
use zerocopy::IntoBytes;

#[test]
fn a_buy_holds_limit_and_fee_and_pays_what_it_was_filled_at() {
    let mut market =
        Market::with(&genesis(), CreateInstrument { taker_fee_flat: 100, ..instrument() });
    assert_eq!(market.submit(sell(SELLER, 1, 6, 1_899)).open, 6);
    assert_eq!(market.submit(sell(SELLER, 2, 4, 1_900)).open, 4);
    // It waits for a trade at 189.80, so that what it holds can be seen.
    let dormant = SubmitOrder { kind: 3, stop_price: 1_890, ..buy(BUYER, 1, 10, 1_900) };
    market.submit(dormant);
    assert_eq!(market.held(BUYER), 190_100);
    assert_eq!(market.posted(BUYER), 200_000);
    assert_eq!(market.submit(buy(THIRD, 1, 1, 1_890)).open, 1);
    let result = market.submit(sell(SELLER, 3, 1, 1_890));
    assert_eq!(result.status, OrderStatus::InsufficientFunds as u32, "all ten shares are held");
    assert_eq!(market.pay(ISSUER, SELLER + 100, 1, SHARES), CREATED);
    let result = market.submit(sell(SELLER, 3, 1, 1_890));
    assert_eq!((result.filled, result.notional), (1, 1_890));

    let bought = market.order(BUYER, 1);
    assert_eq!((bought.filled, bought.open, bought.fee), (10, 0, 100));
    assert_eq!(bought.notional, 6 * 1_899 + 4 * 1_900);
    assert_eq!(bought.state, OrderState::Filled as u8);
    assert_eq!((market.posted(BUYER), market.held(BUYER)), (9_960, 0));
    assert_eq!(market.posted(BUYER + 100), 20);
    let paid_by_third = 18_900;
    // The seller took from the third trader, and paid the flat fee for that.
    assert_eq!(market.posted(SELLER), 200_000 + 189_940 + paid_by_third - 100);
    assert_eq!(market.posted(FEES), 200);
    assert_eq!(market.held(SELLER + 100), 0);
}

#[test]
fn a_taker_that_sweeps_two_prices_pays_each_and_keeps_the_difference() {
    let mut market = Market::new();
    market.submit(sell(SELLER, 1, 6, 1_899));
    market.submit(sell(SELLER, 2, 4, 1_900));
    let result = market.submit(buy(BUYER, 1, 10, 1_900));
    assert_eq!((result.status, result.filled, result.open), (CREATED, 10, 0));
    assert_eq!((market.posted(BUYER), market.held(BUYER)), (9_960, 0));
    assert_eq!(market.posted(SELLER), 389_940, "1,899.40 on top of 2,000.00");
    assert_eq!(market.posted(BUYER + 100), 20);
    let fills: Vec<_> = market
        .reports(BUYER, 1)
        .iter()
        .filter(|report| report.kind == ExecutionKind::Fill as u8)
        .map(|report| (report.price, report.quantity, report.open, report.fee))
        .collect();
    assert_eq!(fills, [(1_899, 6, 4, 100), (1_900, 4, 0, 0)]);
}

#[test]
fn the_same_input_gives_the_same_digest_and_another_one_does_not() {
    let digest = |price: u64| {
        let mut market = Market::new();
        bought_ten(&mut market);
        market.submit(buy(THIRD, 1, 2, price));
        market.log.engine.digest()
    };
    assert_eq!(digest(1_899), digest(1_899));
    assert_ne!(digest(1_899), digest(1_898));
}

#[test]
fn a_fill_is_found_as_ordinary_transfers_after_the_event_that_caused_it() {
    let mut market = Market::new();
    market.submit(sell(SELLER, 1, 2, 1_000));
    let result = market.submit(buy(BUYER, 1, 2, 1_000));
    let fill = market.reports(BUYER, 1)[2];
    let quote: Transfer = market.log.read(Operation::LookupTransfers, &[fill.transfer_id])[0];
    assert_eq!((quote.debit_account_id, quote.credit_account_id), (BUYER, SELLER));
    assert_eq!((quote.amount, quote.user_data_64, quote.user_data_32), (20_000, 1_000, 7));
    assert_eq!(quote.timestamp, result.timestamp + 1);
    assert_eq!(quote.user_data_128, 2 << 64 | 1, "taker's and maker's number");
    let all: Vec<Transfer> = market.log.engine.transfers().collect();
    let codes: Vec<u16> = all.iter().rev().take(3).map(|transfer| transfer.code).collect();
    assert_eq!(codes, [65_027, 65_026, 65_025], "fee, base, quote");
}

#[test]
fn each_event_is_numbered_after_the_transfers_of_the_one_before() {
    let mut market = Market::new();
    let events = [sell(SELLER, 1, 2, 1_000), buy(BUYER, 1, 2, 1_000), buy(BUYER, 2, 1, 900)];
    let results = market.send(Operation::SubmitOrders, &events);
    let first = results[0].timestamp;
    let timestamps: Vec<u64> = results.iter().map(|result| result.timestamp - first).collect();
    assert_eq!(timestamps, [0, 1, 5], "three transfers lie between the second and the third");
    assert_eq!(market.log.output.timestamp, first + 5);
}

#[test]
fn a_cancel_releases_everything_and_a_second_one_tells_the_end() {
    let mut market = Market::new();
    market.submit(buy(BUYER, 1, 10, 1_900));
    assert_eq!(market.held(BUYER), 190_100);
    assert_eq!(market.held(BUYER), market.account(QUOTE_CLEARING).credits_pending);
    let result = market.send(Operation::CancelOrders, &[cancel(BUYER, 1)])[0];
    assert_eq!((result.status, result.open), (CREATED, 0));
    assert_eq!(result.reason, CancelReason::Requested as u16);
    assert_eq!(market.held(BUYER), 0);
    let result = market.send(Operation::CancelOrders, &[cancel(BUYER, 1)])[0];
    assert_eq!(result.status, OrderStatus::OrderEnded as u32);
    assert_eq!(result.order_number, 1);
    let foreign = CancelOrderEvent { account_id: SELLER, order_number: 1, ..cancel(SELLER, 0) };
    let result = market.send(Operation::CancelOrders, &[foreign])[0];
    assert_eq!(result.status, OrderStatus::OwnerMismatch as u32);
}

#[test]
fn an_order_sent_twice_gives_the_original_and_its_present_state() {
    let mut market = Market::new();
    let first = market.submit(buy(BUYER, 5, 4, 1_000));
    market.submit(sell(SELLER, 1, 1, 1_000));
    let again = market.submit(buy(BUYER, 5, 4, 1_000));
    assert_eq!(again.status, OrderStatus::Exists as u32);
    assert_eq!((again.order_number, again.timestamp), (first.order_number, first.timestamp));
    assert_eq!((again.filled, again.open), (1, 3));
    market.refused(buy(BUYER, 5, 4, 999), OrderStatus::ExistsWithDifferentTerms);
    assert_eq!(market.submit(sell(SELLER, 5, 1, 2_000)).status, CREATED, "ids are per account");
    assert_eq!(market.open_count(BUYER), 1);
}

#[test]
fn every_refusal_has_its_own_status_and_changes_nothing() {
    let mut market = Market::new();
    let limits = AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS;
    let loan = Account { id: 21, ledger: CASH, code: 1, flags: limits, ..Account::default() };
    assert_eq!(market.log.accounts(&[loan]), [CREATED]);
    let good = buy(BUYER, 1, 1, 1_000);
    let before = market.log.engine.accounts().collect::<Vec<_>>();
    market.refused(
        SubmitOrder { flags: OrderFlags::LINKED, ..good },
        OrderStatus::OrdersCannotBeLinked,
    );
    market.refused(SubmitOrder { flags: 8, ..good }, OrderStatus::ReservedFlag);
    market.refused(SubmitOrder { timestamp: 1, ..good }, OrderStatus::ReservedField);
    market.refused(SubmitOrder { side: 2, ..good }, OrderStatus::CodeUnknown);
    market.refused(SubmitOrder { self_trade: 5, ..good }, OrderStatus::CodeUnknown);
    market.refused(
        SubmitOrder { client_order_id: 0, ..good },
        OrderStatus::ClientOrderIdMustNotBeZero,
    );
    market.refused(SubmitOrder { instrument: 8, ..good }, OrderStatus::InstrumentUnknown);
    market.refused(SubmitOrder { base_account_id: 999, ..good }, OrderStatus::AccountNotFound);
    market.refused(
        SubmitOrder { base_account_id: SELLER, ..good },
        OrderStatus::AccountInOtherLedger,
    );
    market
        .refused(SubmitOrder { quote_account_id: FEES, ..good }, OrderStatus::AccountOfInstrument);
    market.refused(SubmitOrder { quote_account_id: 21, ..good }, OrderStatus::AccountLimitsCredits);
    market.refused(
        SubmitOrder { budget: 9, kind: 1, price: 0, time_in_force: 3, ..good },
        OrderStatus::BudgetTooSmall,
    );
    market.refused(SubmitOrder { expires_ns: 5, ..good }, OrderStatus::AlreadyExpired);
    market.refused(
        SubmitOrder { expires_ns: CLOCK_NS, time_in_force: 2, ..good },
        OrderStatus::AlreadyExpired,
    );
    market.refused(SubmitOrder { quantity: 0, ..good }, OrderReject::QuantityZero);
    market.refused(SubmitOrder { price: 200_000, ..good }, OrderReject::PriceOutOfBand);
    market.refused(SubmitOrder { quantity: 1_001, ..good }, OrderReject::QuantityExceedsMax);
    market.refused(
        SubmitOrder { kind: 1, price: 0, time_in_force: 3, ..good },
        OrderReject::NoLiquidity,
    );
    market.refused(SubmitOrder { quantity: 20, ..good }, OrderStatus::InsufficientFunds);
    market.refused(sell(BUYER, 1, 11, 1_000), OrderStatus::InsufficientFunds);
    assert_eq!(before, market.log.engine.accounts().collect::<Vec<_>>());
    assert_eq!(market.open_count(BUYER), 0);
    assert_eq!(market.submit(good).order_number, 1, "a refused order takes no number");
}

#[test]
fn an_account_with_open_orders_cannot_be_closed_and_one_without_can() {
    let mut market = Market::new();
    market.submit(buy(BUYER, 1, 1, 1_000));
    let close = |id: u128, account: u128, ledger: u32| Transfer {
        id,
        debit_account_id: account,
        credit_account_id: if ledger == CASH { BANK } else { ISSUER },
        ledger,
        code: 1,
        flags: TransferFlags::PENDING | TransferFlags::CLOSING_DEBIT,
        ..Transfer::default()
    };
    let refused = CreateTransferStatus::AccountHasOpenOrders as u32;
    assert_eq!(market.log.transfer(close(70, BUYER, CASH)), refused);
    assert_eq!(market.log.transfer(close(71, BUYER + 100, SHARES)), refused);
    assert_eq!(market.log.transfer(close(72, QUOTE_CLEARING, CASH)), refused);
    market.send(Operation::CancelOrders, &[cancel(BUYER, 1)]);
    assert_eq!(market.log.transfer(close(73, BUYER + 100, SHARES)), CREATED);
    market.refused(buy(BUYER, 2, 1, 1_000), OrderStatus::AccountClosed);
}

#[test]
fn ordinary_transfers_leave_room_for_fills_on_a_node_with_trading() {
    let mut market = Market::new();
    let half = (1 << 127) - 1;
    let rest = half - market.account(BANK).debits_posted;
    assert_eq!(
        market.pay(BANK, FEES, rest + 1, CASH),
        CreateTransferStatus::OverflowsDebits as u32
    );
    assert_eq!(market.pay(BANK, FEES, rest, CASH), CREATED);
    market.submit(sell(SELLER, 1, 1, 1_000));
    assert_eq!(market.submit(buy(BUYER, 1, 1, 1_000)).filled, 1);
}

#[test]
fn fees_and_rebates_in_basis_points_are_rounded_over_the_whole_order() {
    let terms =
        CreateInstrument { taker_fee_flat: 0, taker_fee_bps: 5, maker_fee_bps: -2, ..instrument() };
    let mut market = Market::with(&genesis(), terms);
    market.submit(sell(SELLER, 1, 1, 100));
    market.submit(sell(SELLER, 2, 1, 100));
    let result = market.submit(buy(BUYER, 1, 2, 100));
    assert_eq!(result.filled, 2);
    // 2,000 at 5 basis points is 1.0; each half alone would be 0.5.
    assert_eq!(market.order(BUYER, 1).fee, 1);
    assert_eq!(market.order(SELLER, 1).fee, 0, "1,000 at -2 basis points is -0.2");
    market.submit(sell(SELLER, 3, 5, 1_000));
    market.submit(buy(BUYER, 2, 5, 1_000));
    assert_eq!(market.order(SELLER, 3).fee, -10);
    assert_eq!(market.order(BUYER, 2).fee, 25);
    assert_eq!(market.posted(FEES), 16);
}

#[test]
fn a_market_buy_spends_no_more_than_its_budget() {
    let mut market = Market::new();
    market.submit(sell(SELLER, 1, 4, 1_000));
    let market_buy =
        SubmitOrder { kind: 1, price: 0, time_in_force: 3, budget: 25_000, ..buy(BUYER, 1, 4, 0) };
    let result = market.submit(market_buy);
    assert_eq!((result.filled, result.open), (2, 0));
    assert_eq!(result.reason, CancelReason::BudgetSpent as u16);
    assert_eq!((market.posted(BUYER), market.held(BUYER)), (200_000 - 20_000 - 100, 0));
    let unbounded = SubmitOrder { client_order_id: 2, budget: 0, quantity: 2, ..market_buy };
    assert_eq!(market.submit(unbounded).filled, 2, "two lots at 105.00 and the fee are there");
}

#[test]
fn an_amend_moves_the_reservation_by_the_difference_or_changes_nothing() {
    let mut market = Market::new();
    market.submit(buy(BUYER, 1, 5, 1_000));
    let amend = |quantity: u64, price: u64| AmendOrderEvent {
        account_id: BUYER,
        client_order_id: 1,
        quantity,
        price,
        ..AmendOrderEvent::default()
    };
    let status = |market: &mut Market, event: AmendOrderEvent| {
        market.send(Operation::AmendOrders, &[event])[0].status
    };
    assert_eq!(status(&mut market, amend(3, 1_000)), CREATED);
    assert_eq!(market.held(BUYER), 30_100);
    assert_eq!(status(&mut market, amend(10, 1_990)), CREATED);
    assert_eq!(market.held(BUYER), 199_100);
    assert_eq!(status(&mut market, amend(10, 2_000)), OrderStatus::InsufficientFunds as u32);
    assert_eq!(status(&mut market, amend(10, 200_000)), OrderReject::PriceOutOfBand as u32);
    assert_eq!(market.held(BUYER), 199_100);
    market.submit(sell(SELLER, 1, 1, 2_000));
    assert_eq!(status(&mut market, amend(4, 2_000)), CREATED);
    assert_eq!(market.order(BUYER, 1).filled, 1);
    assert_eq!(market.held(BUYER), 60_000, "three lots, the flat fee is paid");
    let result = market.send(Operation::AmendOrders, &[amend(1, 2_000)])[0];
    assert_eq!(result.reason, CancelReason::AmendedToFilled as u16);
    assert_eq!(market.held(BUYER), 0);
}

#[test]
fn orders_and_holds_expire_in_the_order_of_their_due_times() {
    let mut market = Market::new();
    let second = |count: u64| CLOCK_NS + count * SECOND_NS;
    for (id, expires) in [(1, 3), (2, 1)] {
        let timed = buy(BUYER, id, 1, 1_000);
        market.submit(SubmitOrder { time_in_force: 2, expires_ns: second(expires), ..timed });
    }
    let hold = Transfer {
        id: 90,
        debit_account_id: THIRD,
        credit_account_id: BANK,
        amount: 5,
        ledger: CASH,
        code: 1,
        timeout: 2,
        flags: TransferFlags::PENDING,
        ..Transfer::default()
    };
    assert_eq!(market.log.transfer(hold), CREATED);
    assert_eq!(market.log.engine.next_due_ns(), Some(second(1)));
    assert_eq!(market.log.tick(second(1) - 1), 0);
    assert_eq!(market.log.tick(second(1)), 1);
    assert_eq!(market.order(BUYER, 2).reason, CancelReason::Expired as u16);
    assert_eq!((market.held(BUYER), market.held(THIRD)), (10_100, 5));
    assert_eq!(market.log.tick(second(4)), 2);
    assert_eq!((market.held(BUYER), market.held(THIRD)), (0, 0));
    assert_eq!(market.log.engine.next_due_ns(), None);
}

#[test]
fn mass_cancel_session_end_and_halt_reach_what_they_name() {
    let mut market = Market::new();
    market.submit(buy(BUYER, 1, 1, 1_000));
    market.submit(SubmitOrder { time_in_force: 1, ..buy(BUYER, 2, 1, 1_001) });
    market.submit(sell(SELLER, 1, 1, 1_100));
    market.submit(buy(THIRD, 1, 1, 999));
    let state =
        |state: u8| InstrumentCommand { instrument: 7, state, ..InstrumentCommand::default() };
    assert_eq!(market.send(Operation::SetTradingStates, &[state(2)])[0].open, 1);
    market.refused(buy(THIRD, 2, 1, 999), OrderReject::Halted);
    let all = MassCancelEvent { instrument: 7, ..MassCancelEvent::default() };
    let sells = MassCancelEvent { sides: 2, ..all };
    assert_eq!(market.send(Operation::MassCancelOrders, &[sells])[0].open, 1, "also in a halt");
    assert_eq!(market.send(Operation::SetTradingStates, &[state(0)])[0].status, CREATED);
    let close = InstrumentCommand::default();
    assert_eq!(market.send(Operation::CloseTradingSessions, &[close])[0].open, 1);
    assert_eq!(market.order(BUYER, 2).reason, CancelReason::SessionClosed as u16);
    let buys = MassCancelEvent { sides: 1, account_id: THIRD, ..MassCancelEvent::default() };
    assert_eq!(market.send(Operation::MassCancelOrders, &[buys])[0].open, 1);
    assert_eq!(market.send(Operation::MassCancelOrders, &[all])[0].open, 1);
    assert_eq!((market.held(BUYER), market.held(SELLER + 100)), (0, 0));
}

#[test]
fn a_lost_session_takes_along_the_orders_that_asked_for_it() {
    let mut market = Market::new();
    let mut register = market.log.header(Operation::Register, 0, 0);
    register.client = 77;
    market.log.apply(&register, &[]).unwrap();
    let session = market.log.engine.sequence();
    let events = [
        SubmitOrder { flags: OrderFlags::CANCEL_ON_DISCONNECT, ..buy(BUYER, 1, 1, 1_000) },
        buy(BUYER, 2, 1, 1_000),
    ];
    let mut header = market.log.header(Operation::SubmitOrders, 2, 256);
    (header.client, header.session, header.request) = (77, session, 1);
    market.log.apply(&header, events.as_bytes()).unwrap();
    let first: Vec<OrderResult> = market.log.records();
    market.log.apply(&header, events.as_bytes()).unwrap();
    assert_eq!(first, market.log.records::<OrderResult>(), "a reply is given again as it was");
    assert_eq!(market.open_count(BUYER), 2);
    let lost = MassCancelEvent { session, ..MassCancelEvent::default() };
    assert_eq!(market.send(Operation::MassCancelOrders, &[lost])[0].open, 1);
    assert_eq!(market.order(BUYER, 1).state, OrderState::Cancelled as u8);
    assert_eq!(market.order(BUYER, 2).state, OrderState::Open as u8);

    // A node whose connections are all gone names every session, and still only those that asked for it.
    header.request = 2;
    let again = [SubmitOrder { client_order_id: 3, ..events[0] }, buy(BUYER, 4, 1, 1_000)];
    market.log.apply(&header, again.as_bytes()).unwrap();
    let every = MassCancelEvent { session: MassCancelEvent::EVERY_SESSION, ..lost };
    assert_eq!(market.send(Operation::MassCancelOrders, &[every])[0].open, 1);
    assert_eq!(market.order(BUYER, 3).state, OrderState::Cancelled as u8);
    assert_eq!(market.open_count(BUYER), 2);
}

#[test]
fn reports_have_no_gaps_and_say_what_was_dropped() {
    let mut market = Market::new();
    for id in 1..=6 {
        market.submit(buy(BUYER, id, 1, 1_000));
        market.send(Operation::CancelOrders, &[cancel(BUYER, id)]);
    }
    market.submit(buy(SELLER, 1, 1, 1_000));
    let reports = market.reports(BUYER, 3);
    assert_eq!((reports[0].number, reports[0].order_number), (1, 13), "all kept, 13 comes next");
    let numbers: Vec<u64> = reports[1..].iter().map(|report| report.number).collect();
    assert_eq!(numbers, (3..=12).collect::<Vec<u64>>());
    for id in 7..=9 {
        market.submit(buy(BUYER, id, 1, 1_000));
        market.send(Operation::CancelOrders, &[cancel(BUYER, id)]);
    }
    let reports = market.reports(BUYER, 1);
    assert_eq!((reports[0].number, reports[0].order_number), (4, 19));
    assert_eq!(reports.len(), 1 + 15);
    let query = ReportsQuery { account_id: BUYER, from_number: 6, limit: 2, reserved: 0 };
    let two: Vec<ExecutionReport> = market.log.read(Operation::GetExecutionReports, &[query]);
    assert_eq!(two.iter().map(|report| report.number).collect::<Vec<_>>(), [4, 6, 7]);
}

#[test]
fn an_instrument_is_made_once_and_only_within_the_nodes_room() {
    let mut market = Market::new();
    let mut status = |event: CreateInstrument| {
        market.log.create(Operation::CreateInstruments, &[event])[0].status
    };
    assert_eq!(status(instrument()), InstrumentStatus::Exists as u32);
    let other = CreateInstrument { maker_fee_bps: 1, ..instrument() };
    assert_eq!(status(other), InstrumentStatus::ExistsWithDifferentTerms as u32);
    let next = CreateInstrument { id: 8, ..instrument() };
    let large = CreateInstrument { orders_max: 13, ..next };
    assert_eq!(status(large), InstrumentStatus::BookSpaceFull as u32);
    let limited = CreateInstrument { fee_account_id: BUYER, ..next };
    assert_eq!(status(limited), InstrumentStatus::AccountMustBeUnlimited as u32);
    let elsewhere = CreateInstrument { fee_account_id: ISSUER, ..next };
    assert_eq!(status(elsewhere), InstrumentStatus::AccountInOtherLedger as u32);
    assert_eq!(status(next), CREATED);
    let third = CreateInstrument { id: 9, ..instrument() };
    assert_eq!(status(third), InstrumentStatus::InstrumentsFull as u32);
    let stored: Vec<CreateInstrument> = market.log.read::<_, u128>(Operation::GetInstruments, &[]);
    assert_eq!(stored.iter().map(|stored| stored.id).collect::<Vec<_>>(), [7, 8]);
}

#[test]
fn a_node_without_trading_refuses_orders_and_instruments() {
    let mut log = Log::new();
    let created = log.create(Operation::CreateInstruments, &[instrument()]);
    assert_eq!(created[0].status, InstrumentStatus::TradingNotEnabled as u32);
    let event = buy(BUYER, 1, 1, 1);
    let header = log.header(Operation::SubmitOrders, 1, 128);
    log.apply(&header, event.as_bytes()).unwrap();
    let results: Vec<OrderResult> = log.records();
    assert_eq!(results[0].status, OrderStatus::InstrumentUnknown as u32);
}

#[test]
fn a_command_that_could_trade_beyond_the_room_for_transfers_is_refused() {
    let mut market = Market::with(&Genesis { transfer_count_max: 13, ..genesis() }, instrument());
    market.submit(sell(SELLER, 1, 1, 1_000));
    market.refused(buy(BUYER, 1, 1, 1_000), OrderStatus::TransfersFull);
    assert_eq!(market.submit(buy(BUYER, 2, 1, 999)).status, CREATED, "it does not trade");
    let depth = DepthQuery { instrument: 7, side: 0, ..DepthQuery::default() };
    let levels: Vec<DepthRecord> = market.log.read(Operation::GetDepth, &[depth]);
    assert_eq!((levels[0].price, levels[0].quantity, levels[0].order_count), (999, 1, 1));
}

#[test]
fn a_triggered_order_that_finds_no_level_ends_and_holds_nothing() {
    let mut market = Market::with(&genesis(), CreateInstrument { levels_max: 3, ..instrument() });
    market.submit(sell(SELLER, 1, 2, 1_000));
    market.submit(buy(THIRD, 1, 1, 890));
    for (id, price) in [(1, 900), (2, 901)] {
        market.submit(SubmitOrder { kind: 3, stop_price: 1_000, ..buy(BUYER, id, 1, price) });
    }
    assert_eq!(market.held(BUYER), 9_100 + 9_110);
    let at_once = SubmitOrder { time_in_force: 3, ..buy(THIRD, 2, 1, 1_000) };
    assert_eq!(market.submit(at_once).filled, 1);
    assert_eq!(market.order(BUYER, 1).state, OrderState::Open as u8);
    assert_eq!(market.order(BUYER, 2).reason, CancelReason::LevelsFull as u16);
    assert_eq!(market.held(BUYER), 9_100);
}
