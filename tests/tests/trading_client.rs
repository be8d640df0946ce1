//! The client's calls about instruments and orders, over TCP against a real node in a process of its own.

mod market;

use market::{ACME, SHARES, USD, account, connect, fund, instrument, limit};
use mizan_client::{Client, ClientConfig, ClientError, Outcome};
use mizan_tests::binary::{NodeProcess, format_small, mizan_ok};
use mizan_wire::limits::EVENTS_MAX;
use mizan_wire::orders::{CancelReason, OrderKind, OrderReject, Side, TimeInForce, TradingState};
use mizan_wire::trading::{
    AmendOrderEvent, CancelOrderEvent, CreateInstrument, DepthQuery, ExecutionKind,
    InstrumentCommand, InstrumentStatus, MassCancelEvent, OpenOrdersQuery, OrderFlags, OrderKey,
    OrderResult, OrderState, OrderStatus, ReportsQuery, SubmitOrder,
};
use mizan_wire::{CREATED, Operation, Status};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use zerocopy::IntoBytes;

/// A node with an open market, on which alice has money and bob has shares.
struct Market {
    directory: TempDir,
    node: NodeProcess,
    client: Client,
}

fn market() -> Market {
    let directory = TempDir::new().expect("a directory");
    let data = directory.path().join("data");
    market::format(&data, &[]);
    let node = market::start(&data);
    let mut client = connect(&node);
    market::open(&mut client);
    for (name, cash, shares) in [("alice", 10_000_000, 0), ("bob", 100_000, 100_000)] {
        fund(&mut client, USD, name, cash);
        fund(&mut client, SHARES, name, shares);
    }
    Market { directory, node, client }
}

impl Market {
    fn one(&mut self, order: SubmitOrder) -> OrderResult {
        self.client.submit_orders(&[order]).expect("an answer")[0]
    }

    fn depth(&mut self, side: Side) -> Vec<(u64, u64, u32)> {
        let query = DepthQuery { instrument: ACME, side: side as u8, ..DepthQuery::default() };
        let levels = self.client.get_depth(&query).expect("an answer");
        levels.iter().map(|level| (level.price, level.quantity, level.order_count)).collect()
    }

    fn key(name: &str, id: u128) -> OrderKey {
        OrderKey { account_id: account(USD, name), client_order_id: id }
    }
}

#[test]
fn instruments_are_made_once_and_read_as_they_were_made() {
    let mut market = market();
    let client = &mut market.client;
    let found = client.get_instruments().expect("an answer");
    assert_eq!(found.len(), 1);
    let timestamp = found[0].timestamp;
    assert_eq!(found[0], CreateInstrument { timestamp, ..instrument() });
    let other = CreateInstrument { maker_fee_bps: 1, ..instrument() };
    let free = CreateInstrument { id: 2, fee_account_id: account(USD, "alice"), ..instrument() };
    let results = client.create_instruments(&[instrument(), other, free]).expect("an answer");
    let statuses: Vec<u32> = results.iter().map(|result| result.status).collect();
    use InstrumentStatus as S;
    let expected = [S::Exists, S::ExistsWithDifferentTerms, S::AccountMustBeUnlimited];
    assert_eq!(statuses, expected.map(Status::number));
    assert_eq!(results[0].timestamp, timestamp);
    assert!(client.create_instruments(&[]).expect("nothing is asked").is_empty());
}

#[test]
fn an_order_rests_trades_and_is_found_by_its_client_id() {
    let mut market = market();
    let maker = market.one(limit("bob", Side::Sell, 1, 10, 19_000));
    assert_eq!((maker.status, maker.state, maker.open), (CREATED, OrderState::Open as u8, 10));
    assert_eq!(market.depth(Side::Sell), [(19_000, 10, 1)]);
    assert_eq!(market.depth(Side::Buy), []);
    let taker = market.one(limit("alice", Side::Buy, 1, 4, 19_100));
    assert_eq!((taker.status, taker.state), (CREATED, OrderState::Filled as u8));
    assert_eq!((taker.filled, taker.open, taker.notional), (4, 0, 4 * 19_000));
    let keys = [Market::key("bob", 1), Market::key("bob", 2), Market::key("alice", 1)];
    let found = market.client.get_orders(&keys).expect("an answer");
    assert_eq!(found.len(), 2, "bob has no order 2");
    assert_eq!((found[0].order_number, found[0].open, found[0].filled), (1, 6, 4));
    assert_eq!((found[1].order_number, found[1].fee, found[1].held), (2, 100, 0));
    let transfer = market.client.lookup_accounts(&[account(USD, "alice")]).expect("an answer")[0];
    assert_eq!((transfer.debits_posted, transfer.debits_pending), (4 * 19_000 + 100, 0));
}

#[test]
fn every_refusal_has_its_status_and_leaves_nothing_behind() {
    let mut market = market();
    let order = limit("alice", Side::Buy, 1, 10, 19_000);
    use OrderReject as R;
    use OrderStatus as S;
    let cases = [
        (SubmitOrder { flags: OrderFlags::LINKED, ..order }, S::OrdersCannotBeLinked.number()),
        (SubmitOrder { flags: 64, ..order }, S::ReservedFlag.number()),
        (SubmitOrder { timestamp: 1, ..order }, S::ReservedField.number()),
        (SubmitOrder { side: 7, ..order }, S::CodeUnknown.number()),
        (SubmitOrder { client_order_id: 0, ..order }, S::ClientOrderIdMustNotBeZero.number()),
        (SubmitOrder { instrument: 9, ..order }, S::InstrumentUnknown.number()),
        (SubmitOrder { quote_account_id: 9, ..order }, S::AccountNotFound.number()),
        (
            SubmitOrder { base_account_id: account(USD, "bob"), ..order },
            S::AccountInOtherLedger.number(),
        ),
        (SubmitOrder { expires_ns: 1, ..order }, S::AlreadyExpired.number()),
        (SubmitOrder { quantity: 0, ..order }, R::QuantityZero.number()),
        (SubmitOrder { quantity: 1_000_001, ..order }, R::QuantityExceedsMax.number()),
        (SubmitOrder { price: 0, ..order }, R::PriceZero.number()),
        (SubmitOrder { price: 1_000_001, ..order }, R::PriceOutOfBand.number()),
        (SubmitOrder { quantity: 1_000, ..order }, S::InsufficientFunds.number()),
    ];
    let orders: Vec<SubmitOrder> = cases.iter().map(|(order, _)| *order).collect();
    let results = market.client.submit_orders(&orders).expect("an answer");
    for ((order, expected), result) in cases.iter().zip(&results) {
        assert_eq!(result.status, *expected, "{order:?}");
        assert_eq!((result.order_number, result.state), (0, 0), "{order:?}");
    }
    assert_eq!(market.depth(Side::Buy), []);
    assert_eq!(market.client.get_orders(&[Market::key("alice", 1)]).expect("an answer"), []);
}

#[test]
fn the_same_order_again_is_recognised_and_another_one_under_its_id_refused() {
    let mut market = market();
    let order = limit("alice", Side::Buy, 77, 10, 19_000);
    let first = market.one(order);
    let again = market.one(order);
    assert_eq!(again.status, OrderStatus::Exists.number());
    assert_eq!((again.order_number, again.timestamp), (first.order_number, first.timestamp));
    let other = market.one(SubmitOrder { quantity: 11, ..order });
    assert_eq!(other.status, OrderStatus::ExistsWithDifferentTerms.number());
    assert_eq!(market.depth(Side::Buy), [(19_000, 10, 1)]);
}

#[test]
fn orders_are_amended_and_cancelled_by_number_or_by_client_id() {
    let mut market = market();
    let first = market.one(limit("alice", Side::Buy, 1, 10, 19_000));
    market.one(limit("alice", Side::Buy, 2, 10, 18_000));
    let amend = AmendOrderEvent {
        account_id: account(USD, "alice"),
        client_order_id: 1,
        price: 19_100,
        quantity: 5,
        ..AmendOrderEvent::default()
    };
    let by_number =
        AmendOrderEvent { client_order_id: 0, order_number: first.order_number, ..amend };
    let both = AmendOrderEvent { order_number: 1, ..amend };
    let stranger = AmendOrderEvent { account_id: account(USD, "bob"), ..by_number };
    let results =
        market.client.amend_orders(&[amend, by_number, both, stranger]).expect("an answer");
    let statuses: Vec<u32> = results.iter().map(|result| result.status).collect();
    let ambiguous = OrderStatus::OrderNameAmbiguous.number();
    assert_eq!(statuses, [CREATED, CREATED, ambiguous, OrderStatus::OwnerMismatch.number()]);
    assert_eq!(market.depth(Side::Buy), [(19_100, 5, 1), (18_000, 10, 1)]);

    let account_id = account(USD, "alice");
    let by_id = CancelOrderEvent { account_id, client_order_id: 1, ..CancelOrderEvent::default() };
    let unknown = CancelOrderEvent { client_order_id: 3, ..by_id };
    let results = market.client.cancel_orders(&[by_id, by_id, unknown]).expect("an answer");
    let statuses: Vec<u32> = results.iter().map(|result| result.status).collect();
    let ended = OrderStatus::OrderEnded.number();
    assert_eq!(statuses, [CREATED, ended, OrderStatus::OrderUnknown.number()]);
    assert_eq!(results[0].reason, CancelReason::Requested as u16);
    assert_eq!(market.depth(Side::Buy), [(18_000, 10, 1)]);
}

#[test]
fn open_orders_come_in_pages_and_a_mass_cancel_counts_them() {
    let mut market = market();
    let orders: Vec<SubmitOrder> =
        (1..=100).map(|id| limit("alice", Side::Buy, id, 1, 100 + id as u64)).collect();
    let results = market.client.submit_orders(&orders).expect("an answer");
    assert!(results.iter().all(|result| result.status == CREATED));
    let mut query = OpenOrdersQuery {
        account_id: account(USD, "alice"),
        limit: 30,
        ..OpenOrdersQuery::default()
    };
    let mut found = Vec::new();
    loop {
        let page = market.client.get_open_orders(&query).expect("an answer");
        let Some(last) = page.last() else { break };
        query.after_order_number = last.order_number;
        found.extend(page.iter().map(|order| order.client_order_id));
    }
    assert_eq!(found, (1..=100).collect::<Vec<u128>>());
    let event = MassCancelEvent {
        account_id: account(USD, "alice"),
        instrument: ACME,
        sides: 1,
        ..MassCancelEvent::default()
    };
    let of_sells = MassCancelEvent { sides: 2, ..event };
    let results = market.client.mass_cancel_orders(&[of_sells, event]).expect("an answer");
    assert_eq!((results[0].open, results[1].open), (0, 100));
    assert_eq!(market.depth(Side::Buy), []);
}

#[test]
fn stops_beyond_the_bound_of_a_request_go_on_while_nobody_sends_anything() {
    const STOPS: u128 = 18_000;
    let mut market = market();
    assert_eq!(market.one(limit("bob", Side::Sell, 1, 1, 19_000)).open, 1);
    // A look for the trigger of each, and one for its turn: together more than a request has.
    let stop = |id: u128| SubmitOrder {
        kind: OrderKind::Stop as u8,
        stop_price: 19_000,
        ..limit("bob", Side::Sell, 1 + id, 1, 0)
    };
    for first in (1..=STOPS).step_by(6_000) {
        let stops: Vec<SubmitOrder> = (first..first + 6_000).map(stop).collect();
        let results = market.client.submit_orders(&stops).expect("an answer");
        assert!(results.iter().all(|result| result.state == OrderState::Dormant as u8));
    }
    assert_eq!(market.one(limit("alice", Side::Buy, 1, 1, 19_000)).filled, 1);
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let last = market.client.get_orders(&[Market::key("bob", 1 + STOPS)]).expect("an answer");
        if last[0].state == OrderState::Cancelled as u8 {
            assert_eq!(last[0].reason, CancelReason::MarketRest as u16);
            break;
        }
        assert!(Instant::now() < until, "the last stop waits for ever: {:?}", last[0]);
    }
    let bob = market.client.lookup_accounts(&[account(SHARES, "bob")]).expect("an answer");
    assert_eq!(bob[0].debits_pending, 0, "what has ended holds nothing");
    market.node.kill9();
    let data = market.directory.path().join("data");
    mizan_ok(&["verify", "--data", data.to_str().expect("temporary paths are UTF-8")]);
}

#[test]
fn reports_are_numbered_without_gaps_and_survive_a_kill() {
    let mut market = market();
    market.one(limit("bob", Side::Sell, 1, 10, 19_000));
    market.one(limit("alice", Side::Buy, 1, 4, 19_000));
    let query = ReportsQuery { account_id: account(USD, "bob"), ..ReportsQuery::default() };
    let before = market.client.get_execution_reports(&query).expect("an answer").expect("bob");
    let kinds: Vec<u8> = before.reports.iter().map(|report| report.kind).collect();
    assert_eq!(kinds, [ExecutionKind::New as u8, ExecutionKind::Fill as u8]);
    let numbers: Vec<u64> = before.reports.iter().map(|report| report.number).collect();
    assert_eq!((numbers, before.first_kept, before.next), (vec![1, 2], 1, 3));
    assert_eq!((before.reports[1].price, before.reports[1].quantity), (19_000, 4));

    let hash = market.client.engine_status().expect("an answer").book_digest;
    market.node.kill9();
    market.node = market::start(&market.directory.path().join("data"));
    market.client = connect(&market.node);
    let after = market.client.get_execution_reports(&query).expect("an answer").expect("bob");
    assert_eq!(after, before);
    assert_eq!(market.client.engine_status().expect("an answer").book_digest, hash);
    let later = ReportsQuery { from_number: 2, ..query };
    let later = market.client.get_execution_reports(&later).expect("an answer").expect("bob");
    assert_eq!(later.reports, before.reports[1..]);
    let nobody = ReportsQuery { account_id: 99, ..query };
    assert_eq!(market.client.get_execution_reports(&nobody).expect("an answer"), None);
}

#[test]
fn a_halt_refuses_orders_by_name_and_the_close_ends_those_of_the_day() {
    let mut market = market();
    let day = TimeInForce::Day as u8;
    market.one(SubmitOrder { time_in_force: day, ..limit("alice", Side::Buy, 1, 1, 100) });
    market.one(limit("alice", Side::Buy, 2, 1, 100));
    let command = |state: TradingState| InstrumentCommand {
        instrument: ACME,
        state: state as u8,
        ..InstrumentCommand::default()
    };
    for (state, status) in [
        (TradingState::Halted, OrderReject::Halted.number()),
        (TradingState::CancelOnly, OrderReject::CancelOnly.number()),
        (TradingState::Open, CREATED),
    ] {
        let set = market.client.set_trading_states(&[command(state)]).expect("an answer")[0];
        assert_eq!((set.status, set.open), (CREATED, 1));
        assert_eq!(market.one(limit("alice", Side::Buy, 3, 1, 100)).status, status, "{state:?}");
    }
    let close = command(TradingState::Open);
    let closed = market.client.close_trading_sessions(&[close]).expect("an answer")[0];
    assert_eq!((closed.status, closed.open), (CREATED, 1));
    assert_eq!(market.depth(Side::Buy), [(100, 2, 2)]);
}

#[test]
fn full_batches_go_in_one_request_and_larger_ones_are_refused_before_they_are_sent() {
    let mut market = market();
    let count = u128::from(EVENTS_MAX);
    let orders: Vec<SubmitOrder> =
        (1..=count + 1).map(|id| limit("alice", Side::Buy, id, 1, 1 + (id % 100) as u64)).collect();
    let results = market.client.submit_orders(&orders[..count as usize]).expect("an answer");
    assert_eq!(results.len(), count as usize);
    assert!(results.iter().all(|result| result.status == CREATED));
    let error = market.client.submit_orders(&orders).expect_err("one too many");
    assert!(matches!(error, ClientError::TooManyEvents { .. }), "{error:?}");
    // Pipelined: never more than the node's window holds, and every one is answered.
    let patience = Duration::from_secs(20);
    let mut completions = Vec::new();
    for chunk in orders[..count as usize].chunks(1_000) {
        while !market.client.can_submit_of(Operation::SubmitOrders, chunk.len() as u32) {
            completions.extend(market.client.poll(patience).expect("connected"));
        }
        market.client.submit(Operation::SubmitOrders, chunk.as_bytes()).expect("room");
    }
    let requests = count.div_ceil(1_000) as usize;
    while completions.len() < requests {
        completions.extend(market.client.poll(patience).expect("connected"));
    }
    for completion in completions {
        let Outcome::Reply(reply) = completion.outcome else { panic!("{completion:?}") };
        let exists = OrderStatus::Exists.number();
        assert!(reply.order_results().iter().all(|result| result.status == exists));
    }
    assert_eq!(market.client.engine_status().expect("an answer").order_count, count as u64);
}

#[test]
fn a_market_order_takes_what_is_there_and_its_rest_never_rests() {
    let mut market = market();
    market.one(limit("bob", Side::Sell, 1, 3, 500));
    let order = SubmitOrder {
        kind: OrderKind::Market as u8,
        time_in_force: TimeInForce::ImmediateOrCancel as u8,
        price: 0,
        budget: 100_000,
        ..limit("alice", Side::Buy, 1, 5, 1)
    };
    let result = market.one(order);
    assert_eq!((result.status, result.filled, result.notional), (CREATED, 3, 1_500));
    assert_eq!(result.reason, CancelReason::MarketRest as u16);
    let empty = market.one(SubmitOrder { client_order_id: 2, ..order });
    assert_eq!(empty.status, OrderReject::NoLiquidity.number());
}

#[test]
fn a_node_without_trading_says_so() {
    let directory = TempDir::new().expect("a directory");
    let data = directory.path().join("data");
    format_small(&data, &["--window-bytes", "256KiB"]);
    let node = market::start(&data);
    let mut client = connect(&node);
    let results = client.create_instruments(&[instrument()]).expect("an answer");
    assert_eq!(results[0].status, InstrumentStatus::TradingNotEnabled.number());
    let order = limit("alice", Side::Buy, 1, 1, 1);
    let results = client.submit_orders(&[order]).expect("an answer");
    assert_eq!(results[0].status, OrderStatus::InstrumentUnknown.number());
    assert_eq!(client.get_instruments().expect("an answer"), []);
    // Its window could not hold the results of so many orders, ever.
    let error = client.submit_orders(&vec![order; 5_000]).expect_err("too many");
    assert_eq!(error, ClientError::TooManyEvents { count: 5_000, max: 4_096 });
}

#[test]
fn a_reader_sees_the_book_and_cannot_trade() {
    let mut market = market();
    market.one(limit("bob", Side::Sell, 1, 3, 500));
    let config = ClientConfig { read_only: true, ..ClientConfig::at(market.node.address()) };
    let mut reader = Client::connect(config).expect("the node listens");
    let query = DepthQuery { instrument: ACME, side: Side::Sell as u8, ..DepthQuery::default() };
    assert_eq!(reader.get_depth(&query).expect("an answer").len(), 1);
    let error = reader.submit_orders(&[limit("bob", Side::Sell, 2, 3, 500)]).expect_err("reads");
    assert!(matches!(error, ClientError::Invalid(_)), "{error:?}");
}

/// An order of alice's that ends with the connection it came by, and one that does not.
fn two_bids(client: &mut Client, first_id: u128) {
    let with = OrderFlags::CANCEL_ON_DISCONNECT;
    let orders = [
        SubmitOrder { flags: with, ..limit("alice", Side::Buy, first_id, 1, 500) },
        limit("alice", Side::Buy, first_id + 1, 2, 400),
    ];
    let results = client.submit_orders(&orders).expect("an answer");
    assert!(results.iter().all(|result| result.status == CREATED), "{results:?}");
}

/// Waits until the order has ended, and says why it did.
fn reason_of(client: &mut Client, name: &str, id: u128) -> u16 {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let order = client.get_orders(&[Market::key(name, id)]).expect("an answer")[0];
        if order.state == OrderState::Cancelled as u8 {
            return order.reason;
        }
        assert!(Instant::now() < until, "the order stays open: {order:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_lost_connection_ends_the_orders_that_asked_for_it_also_in_a_halt() {
    let mut market = market();
    let mut trader = connect(&market.node);
    two_bids(&mut trader, 1);
    let halt = InstrumentCommand {
        instrument: ACME,
        state: TradingState::Halted as u8,
        ..InstrumentCommand::default()
    };
    assert_eq!(market.client.set_trading_states(&[halt]).expect("an answer")[0].status, CREATED);
    assert_eq!(market.depth(Side::Buy), [(500, 1, 1), (400, 2, 1)]);
    drop(trader);
    let reason = reason_of(&mut market.client, "alice", 1);
    assert_eq!(reason, CancelReason::MassCancelled as u16);
    assert_eq!(market.depth(Side::Buy), [(400, 2, 1)]);
}

#[test]
fn a_session_that_moves_to_another_connection_keeps_its_orders() {
    let mut market = market();
    let config = ClientConfig { client_id: 4_711, ..ClientConfig::at(market.node.address()) };
    let mut older = Client::connect(config.clone()).expect("the node listens");
    two_bids(&mut older, 1);
    let newer = Client::connect(config).expect("the node listens");
    // The older one's connection ends, and the session goes on.
    drop(older);
    assert_eq!(market.client.engine_status().expect("an answer").open_order_count, 2);
    drop(newer);
    let reason = reason_of(&mut market.client, "alice", 1);
    assert_eq!(reason, CancelReason::MassCancelled as u16);
    assert_eq!(market.client.engine_status().expect("an answer").open_order_count, 1);
}

#[test]
fn a_node_that_was_killed_ends_the_orders_whose_connections_died_with_it() {
    let mut market = market();
    let mut trader = connect(&market.node);
    two_bids(&mut trader, 1);
    let account = account(USD, "alice");
    let held = market.client.lookup_accounts(&[account]).expect("an answer")[0].debits_pending;
    assert_eq!(held, (500 + 100) + (800 + 100));
    market.node.kill9();
    drop(trader);
    market.node = market::start(&market.directory.path().join("data"));
    market.client = connect(&market.node);
    let reason = reason_of(&mut market.client, "alice", 1);
    assert_eq!(reason, CancelReason::MassCancelled as u16);
    assert_eq!(market.depth(Side::Buy), [(400, 2, 1)]);
    let held = market.client.lookup_accounts(&[account]).expect("an answer")[0].debits_pending;
    assert_eq!(held, 800 + 100);
}
