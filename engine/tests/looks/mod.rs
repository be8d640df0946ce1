//! What one request may look at, and trade.

use crate::common::{CLOCK_NS, CREATED};
use crate::market::{
    BANK, BUYER, CASH, ISSUER, Market, SELLER, SHARES, THIRD, buy, cancel, genesis, instrument,
    sell,
};
use mizan_wire::limits::{EVENTS_MAX, LOOKS_MAX, LOOKS_PER_MATCH};
use mizan_wire::orders::{CancelReason, OrderReject};
use mizan_wire::trading::{
    AmendOrderEvent, CreateInstrument, InstrumentCommand, OpenOrdersQuery, OrderState, OrderStatus,
    OrderView, SubmitOrder,
};
use mizan_wire::{Genesis, Operation, Status, Transfer};

const FILL_OR_KILL: u8 = 4;
const CANCEL_OLDEST: u8 = 2;
const RESTING: u64 = 1_000;
/// One level, and every order on it.
const LOOKS_EACH: u64 = 1 + RESTING;

/// A market in which the seller has so many orders of one lot at 100.
fn market_with_sells() -> Market {
    let genesis = Genesis {
        transfer_count_max: 10_000,
        order_count_max: 20_000,
        open_order_count_max: 12_000,
        ..genesis()
    };
    let instrument = CreateInstrument { orders_max: 12_000, taker_fee_flat: 0, ..instrument() };
    let mut market = Market::with(&genesis, instrument);
    for trader in [BUYER, SELLER, THIRD] {
        assert_eq!(market.pay(BANK, trader, 1 << 60, CASH), CREATED);
        assert_eq!(market.pay(ISSUER, trader + 100, 1 << 40, SHARES), CREATED);
    }
    let sells: Vec<SubmitOrder> =
        (1..=u128::from(RESTING)).map(|id| sell(SELLER, id, 1, 100)).collect();
    let results = market.send(Operation::SubmitOrders, &sells);
    assert!(results.iter().all(|result| result.status == CREATED));
    market
}

fn whole(trader: u128, id: u128, quantity: u64) -> SubmitOrder {
    let self_trade = CANCEL_OLDEST;
    SubmitOrder { time_in_force: FILL_OR_KILL, self_trade, ..buy(trader, id, quantity, 100) }
}

#[test]
fn fill_or_kill_orders_of_one_request_look_at_no_more_than_it_may() {
    let mut market = market_with_sells();
    let (held, next_id) = (market.held(SELLER), 1_000_000);
    // All that the seller's own orders could fill: it looks at each of them, and trades with none.
    let orders: Vec<SubmitOrder> =
        (0..100).map(|id| whole(SELLER, next_id + id, RESTING)).collect();
    let results = market.send(Operation::SubmitOrders, &orders);
    let affordable = (u64::from(LOOKS_MAX) / LOOKS_EACH) as usize;
    for (index, result) in results.iter().enumerate() {
        let (status, state) = match index < affordable {
            true => (CREATED, OrderState::Cancelled as u8),
            false => (OrderReject::TooManyLooks.number(), 0),
        };
        assert_eq!((result.status, result.state, result.filled), (status, state, 0), "{index}");
    }
    assert_eq!(market.held(SELLER), held, "nothing is reserved");
    let refused = market.log.engine.status().order_count;
    assert_eq!(refused, RESTING + affordable as u64, "what was refused is not remembered");
    // The next request may look again, and the id is free.
    let again = market.submit(whole(SELLER, next_id + 99, RESTING));
    assert_eq!((again.status, again.reason), (CREATED, CancelReason::FillOrKill as u16));
    market.log.engine.check_invariants().expect("the engine is sound");
}

#[test]
fn without_funds_a_fill_or_kill_looks_at_no_more_either() {
    let mut market = market_with_sells();
    let lack = market.posted(SELLER) - market.held(SELLER);
    assert_eq!(market.pay(SELLER, BANK, lack, CASH), CREATED);
    let orders: Vec<SubmitOrder> =
        (0..100).map(|id| whole(SELLER, 1_000_000 + id, RESTING)).collect();
    let results = market.send(Operation::SubmitOrders, &orders);
    let affordable = (u64::from(LOOKS_MAX) / LOOKS_EACH) as usize;
    assert_eq!(results[affordable - 1].status, OrderStatus::InsufficientFunds as u32);
    assert_eq!(results[affordable].status, OrderReject::TooManyLooks.number());
    assert_eq!(results[99].status, OrderReject::TooManyLooks.number());
}

#[test]
fn sums_of_levels_decide_for_an_owner_without_orders() {
    let mut market = market_with_sells();
    // One lot more than there is: one look each, so that a full request of them is executed.
    let orders: Vec<SubmitOrder> = (1..=u128::from(EVENTS_MAX))
        .map(|id| SubmitOrder { instrument: 7, ..whole(THIRD, id, RESTING) })
        .collect();
    let one_less = market.submit(buy(BUYER, 1, 1, 100));
    assert_eq!(one_less.filled, 1);
    let results = market.send(Operation::SubmitOrders, &orders);
    assert!(results.iter().all(|result| result.status == CREATED && result.filled == 0));
    let filled = market.submit(whole(THIRD, 1 << 40, RESTING - 1));
    assert_eq!((filled.status, filled.filled), (CREATED, RESTING - 1));
}

#[test]
fn a_triggered_fill_or_kill_ends_when_the_looks_are_spent() {
    let mut market = market_with_sells();
    // Dormant until there is a trade at 100; then they would look at all the seller's own orders.
    let stops: Vec<SubmitOrder> = (0..40)
        .map(|id| SubmitOrder {
            kind: 3,
            stop_price: 100,
            ..whole(SELLER, 2_000_000 + id, RESTING - 1)
        })
        .collect();
    let results = market.send(Operation::SubmitOrders, &stops);
    assert!(results.iter().all(|result| result.state == OrderState::Dormant as u8));
    assert_eq!(market.submit(buy(BUYER, 1, 1, 100)).filled, 1);
    // Each takes a look for its trigger, one for its turn, and one for the level before the orders there.
    let affordable = u128::from((u64::from(LOOKS_MAX) - 42) / (RESTING + 1));
    let reason = |market: &mut Market, id: u128| market.order(SELLER, 2_000_000 + id).reason;
    assert_eq!(reason(&mut market, affordable - 1), CancelReason::FillOrKill as u16);
    assert_eq!(reason(&mut market, affordable), CancelReason::LooksSpent as u16);
    assert_eq!(market.order(SELLER, 2_000_039).state, OrderState::Open as u8, "it waits");
    market.log.tick(CLOCK_NS + 1);
    assert_eq!(reason(&mut market, 39), CancelReason::FillOrKill as u16);
    assert_eq!(market.held(SELLER), 0, "what has ended holds nothing");
    market.log.engine.check_invariants().expect("the engine is sound");
}

#[test]
fn the_states_that_one_request_sets_are_bounded() {
    const INSTRUMENTS: u32 = 1_000;
    let genesis = Genesis {
        instrument_count_max: INSTRUMENTS,
        open_order_count_max: INSTRUMENTS,
        book_level_count_max: INSTRUMENTS,
        ..genesis()
    };
    let small = CreateInstrument { orders_max: 1, levels_max: 1, ..instrument() };
    let mut market = Market::with(&genesis, small);
    let more: Vec<CreateInstrument> =
        (1..INSTRUMENTS).map(|id| CreateInstrument { id: 1_000 + id, ..small }).collect();
    let results = market.log.create(Operation::CreateInstruments, &more);
    assert!(results.iter().all(|result| result.status == CREATED));
    let halt_all = InstrumentCommand { state: 2, ..InstrumentCommand::default() };
    let halt_one = InstrumentCommand { instrument: 7, ..halt_all };
    let affordable = (LOOKS_MAX / INSTRUMENTS) as usize;
    let mut events = vec![halt_all; affordable + 1];
    events.push(halt_one);
    let results = market.send(Operation::SetTradingStates, &events);
    let told: Vec<(u32, u64)> = results.iter().map(|result| (result.status, result.open)).collect();
    assert_eq!(told[affordable - 1], (CREATED, u64::from(INSTRUMENTS)));
    assert_eq!(told[affordable], (OrderReject::TooManyLooks.number(), 0));
    assert_eq!(told[affordable + 1], (CREATED, 1), "what it needs is left");
    let every_one = vec![halt_one; EVENTS_MAX as usize];
    let results = market.send(Operation::SetTradingStates, &every_one);
    assert!(results.iter().all(|result| result.status == CREATED));
}

#[test]
fn a_page_of_open_orders_says_where_to_go_on_when_its_looks_are_spent() {
    let count = u64::from(LOOKS_MAX) + 10;
    let genesis =
        Genesis { order_count_max: count + 10, open_order_count_max: LOOKS_MAX + 20, ..genesis() };
    let instrument = CreateInstrument { orders_max: LOOKS_MAX + 20, ..instrument() };
    let mut market = Market::with(&genesis, instrument);
    assert_eq!(market.pay(ISSUER, SELLER + 100, 1 << 40, SHARES), CREATED);
    assert_eq!(market.pay(BANK, BUYER, 1 << 40, CASH), CREATED);
    assert_eq!(market.submit(buy(BUYER, 1, 1, 10)).order_number, 1);
    let sells: Vec<SubmitOrder> =
        (1..=u128::from(count)).map(|id| sell(SELLER, id, 1, 100)).collect();
    for part in sells.chunks(EVENTS_MAX as usize) {
        market.send(Operation::SubmitOrders, part);
    }
    let last = market.submit(buy(BUYER, 2, 1, 10)).order_number;
    assert_eq!(last, count + 2);
    let mut page = |account_id: u128, after_order_number: u64| -> Vec<OrderView> {
        let query =
            OpenOrdersQuery { account_id, after_order_number, ..OpenOrdersQuery::default() };
        market.log.read(Operation::GetOpenOrders, &[query])
    };
    // The list of an account leads on from its own orders, however many others lie between.
    let own: Vec<u64> = page(BUYER, 1).iter().map(|order| order.order_number).collect();
    assert_eq!(own, [last]);
    // From another one's order everybody's are looked at.
    let begun = page(BUYER, 2);
    assert_eq!((begun.len(), begun[0].is_order()), (1, false));
    assert_eq!(begun[0].order_number, 2 + u64::from(LOOKS_MAX));
    let ended = page(BUYER, begun[0].order_number);
    assert_eq!((ended.len(), ended[0].order_number, ended[0].is_order()), (1, last, true));
    // From a high number on, no more is looked at than what is given.
    let high = page(SELLER, count - 3);
    assert_eq!(high.len(), 4);
    assert!(high.iter().all(OrderView::is_order));
    assert_eq!(page(SELLER, u64::MAX).len(), 0);
}

#[test]
fn a_budget_of_all_ones_is_a_budget_and_more_than_anybody_may_reserve() {
    let instrument = CreateInstrument { quote_per_tick_lot: 1, ..instrument() };
    let mut market = Market::with(&genesis(), instrument);
    let stop = |budget: u128| SubmitOrder {
        kind: 2,
        stop_price: 10,
        price: 0,
        budget,
        ..buy(BUYER, 1, 1, 0)
    };
    for budget in [u128::MAX, u128::MAX - 1] {
        market.refused(stop(budget), OrderStatus::AmountTooLarge);
    }
    assert_eq!(market.submit(stop(1_000)).status, CREATED);
}

/// Trades that the looks of one request do for.
const TRADES_MAX: u64 = (LOOKS_MAX / LOOKS_PER_MATCH) as u64;

/// A market with so many resting orders of one lot to sell at 100, and room for all that can happen to them.
fn deep_market(resting: u64) -> Market {
    let genesis = Genesis {
        transfer_count_max: 400_000,
        order_count_max: 100_000,
        open_order_count_max: 100_000,
        ..genesis()
    };
    let instrument = CreateInstrument {
        orders_max: 100_000,
        quantity_max_lots: 100_000,
        taker_fee_flat: 0,
        ..instrument()
    };
    let mut market = Market::with(&genesis, instrument);
    for trader in [BUYER, SELLER, THIRD] {
        assert_eq!(market.pay(BANK, trader, 1 << 50, CASH), CREATED);
        assert_eq!(market.pay(ISSUER, trader + 100, 1 << 50, SHARES), CREATED);
    }
    let sells: Vec<SubmitOrder> =
        (1..=u128::from(resting)).map(|id| sell(SELLER, id, 1, 100)).collect();
    for part in sells.chunks(EVENTS_MAX as usize) {
        let results = market.send(Operation::SubmitOrders, part);
        assert!(results.iter().all(|result| result.status == CREATED));
    }
    market
}

#[test]
fn the_trades_of_one_request_are_bounded() {
    let resting = 2 * TRADES_MAX + 20;
    let mut market = deep_market(resting);
    let cash = market.posted(BUYER);
    let orders = [
        buy(BUYER, 1, 10, 100),
        buy(BUYER, 2, resting, 100),
        buy(BUYER, 3, 1, 100),
        SubmitOrder { kind: 1, time_in_force: 3, ..buy(BUYER, 4, 1, 0) },
        SubmitOrder { time_in_force: 4, ..buy(BUYER, 5, 1, 100) },
        buy(BUYER, 6, 1, 99),
    ];
    let results = market.send(Operation::SubmitOrders, &orders);
    let told: Vec<(u32, u64, u64, u16)> = results
        .iter()
        .map(|result| (result.status, result.filled, result.open, result.reason))
        .collect();
    let refused = (OrderReject::TooManyLooks.number(), 0, 0, 0);
    assert_eq!(told[0], (CREATED, 10, 0, 0));
    assert_eq!(told[1], (CREATED, TRADES_MAX - 10, 0, CancelReason::LooksSpent as u16));
    assert_eq!(told[2..5], [refused; 3]);
    assert_eq!(told[5], (CREATED, 0, 1, 0), "what rests costs no looks");
    assert_eq!(market.held(BUYER), 990, "of what was cut nothing is held");
    assert_eq!(cash - market.posted(BUYER), u128::from(TRADES_MAX) * 1_000);
    // The ids of what was refused are free, and the next request has its own looks.
    let again = market.submit(buy(BUYER, 3, resting, 100));
    assert_eq!((again.filled, again.reason), (TRADES_MAX, CancelReason::LooksSpent as u16));
    let last = market.submit(buy(BUYER, 7, 100, 100));
    assert_eq!((last.filled, last.open), (20, 80));
}

#[test]
fn an_amend_that_could_not_trade_changes_nothing() {
    let mut market = deep_market(TRADES_MAX + 5);
    assert_eq!(market.submit(buy(THIRD, 1, 1, 99)).open, 1);
    assert_eq!(market.submit(buy(THIRD, 2, 3, 98)).open, 3);
    let through = |client_order_id, quantity| AmendOrderEvent {
        account_id: THIRD,
        client_order_id,
        price: 100,
        quantity,
        ..AmendOrderEvent::default()
    };
    let amends = [through(1, 50_000), through(2, 3)];
    let results = market.send(Operation::AmendOrders, &amends);
    let cut = (results[0].status, results[0].filled, results[0].reason);
    assert_eq!(cut, (CREATED, TRADES_MAX, CancelReason::LooksSpent as u16));
    assert_eq!(results[1].status, OrderReject::TooManyLooks.number());
    let order = market.order(THIRD, 2);
    assert_eq!((order.price, order.open, market.held(THIRD)), (98, 3, 2_940));
    assert_eq!(market.send(Operation::AmendOrders, &amends[1..])[0].filled, 3);
}

#[test]
fn a_fill_or_kill_has_looks_for_all_its_trades_or_is_refused() {
    let mut market = deep_market(TRADES_MAX + 5);
    let whole = |id: u128, quantity: u64| SubmitOrder {
        time_in_force: FILL_OR_KILL,
        ..buy(BUYER, id, quantity, 100)
    };
    // A look for the level.
    market.refused(whole(1, TRADES_MAX), OrderReject::TooManyLooks);
    let resting = u128::from(TRADES_MAX) + 5;
    assert_eq!((market.held(BUYER), market.held(SELLER + 100)), (0, resting));
    assert_eq!(market.submit(whole(1, TRADES_MAX - 1)).filled, TRADES_MAX - 1);
}

#[test]
fn stops_beyond_the_looks_wait_and_go_on_with_the_next_tick() {
    const STOPS: u64 = 30_000;
    let mut market = deep_market(1);
    let stops: Vec<SubmitOrder> = (0..u128::from(STOPS))
        .map(|id| SubmitOrder { kind: 2, stop_price: 100, ..sell(THIRD, 1 + id, 1, 0) })
        .collect();
    for part in stops.chunks(EVENTS_MAX as usize) {
        market.send(Operation::SubmitOrders, part);
    }
    assert_eq!(market.held(THIRD + 100), u128::from(STOPS));
    assert_eq!(market.log.engine.next_due_ns(), None);
    // A trade, and all stops are reached. Nobody buys, so each ends when its turn comes.
    assert_eq!(market.submit(buy(BUYER, 1, 1, 100)).filled, 1);
    let ended = |market: &mut Market| STOPS - market.held(THIRD + 100) as u64;
    let looks = u64::from(LOOKS_MAX) - u64::from(LOOKS_PER_MATCH);
    assert_eq!(ended(&mut market), looks - STOPS, "a look each for its trigger, one for its turn");
    let now = market.log.engine.timestamp();
    assert_eq!(market.log.engine.next_due_ns(), Some(now), "a tick is due at once");
    // One that waits can leave.
    let last = market.send(Operation::CancelOrders, &[cancel(THIRD, u128::from(STOPS))])[0];
    assert_eq!((last.status, last.reason), (CREATED, CancelReason::Requested as u16));
    // While nothing may trade they wait on.
    let set = |state| InstrumentCommand { instrument: 7, state, ..InstrumentCommand::default() };
    market.send(Operation::SetTradingStates, &[set(2)]);
    assert_eq!(market.log.engine.next_due_ns(), None);
    market.log.tick(CLOCK_NS + 1);
    assert_eq!(ended(&mut market), looks - STOPS + 1);
    market.send(Operation::SetTradingStates, &[set(0)]);
    market.log.tick(CLOCK_NS + 2);
    assert_eq!((ended(&mut market), market.log.engine.next_due_ns()), (STOPS, None));
    assert_eq!(market.order(THIRD, 1).reason, CancelReason::MarketRest as u16);
}

#[test]
fn what_waits_comes_before_a_new_order_and_who_finds_no_looks_is_refused() {
    // Each stop buys one lot, whose trade reaches the next.
    let stops = TRADES_MAX;
    let mut market = deep_market(2 * stops);
    let orders: Vec<SubmitOrder> = (0..u128::from(stops))
        .map(|id| SubmitOrder { kind: 3, stop_price: 100, ..buy(THIRD, 1 + id, 1, 100) })
        .collect();
    for part in orders.chunks(EVENTS_MAX as usize) {
        market.send(Operation::SubmitOrders, part);
    }
    let resting = buy(BUYER, 3, 1, 50);
    let results = market.send(Operation::SubmitOrders, &[buy(BUYER, 1, 1, 100), resting]);
    assert_eq!(results[0].filled, 1);
    assert_eq!(results[1].status, OrderReject::TooManyLooks.number(), "stops wait before it");
    let filled = |market: &mut Market| market.posted(THIRD + 100) - (1 << 50) - 10;
    let before = filled(&mut market);
    // A look for each trigger; of the rest, three for each that trades.
    let left = u64::from(LOOKS_MAX) - u64::from(LOOKS_PER_MATCH) - stops;
    assert_eq!(before, u128::from(left / 3));
    // The next order has to wait for them, and its own entry does for all.
    let result = market.submit(buy(BUYER, 2, 1, 100));
    let rest = u128::from(stops) - before;
    assert_eq!((result.status, result.filled), (OrderReject::TooManyLooks.number(), 0));
    assert!(filled(&mut market) > before && rest * 3 > u128::from(LOOKS_MAX));
    let result = market.submit(buy(BUYER, 2, 1, 100));
    assert_eq!((result.status, result.filled), (CREATED, 1));
    assert_eq!(filled(&mut market), u128::from(stops));
    assert_eq!(market.held(THIRD), 0);
}

#[cfg(target_os = "linux")]
#[test]
#[expect(clippy::disallowed_methods, reason = "the system alone knows what memory was touched")]
fn instruments_touch_no_more_memory_at_once_than_one_request_may() {
    // About 700 MB for the book.
    const ORDERS_MAX: u32 = 4_000_000;
    let resident_bytes = || {
        let text = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
        let pages = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
        4_096 * pages.unwrap_or(0u64)
    };
    let genesis = Genesis { open_order_count_max: ORDERS_MAX + 100, ..genesis() };
    let mut market = Market::with(&genesis, instrument());
    let before = resident_bytes();
    let large = CreateInstrument { id: 8, orders_max: ORDERS_MAX, ..instrument() };
    let large = CreateInstrument { quantity_max_lots: 1_000, ..large };
    assert_eq!(market.log.create(Operation::CreateInstruments, &[large])[0].status, CREATED);
    let touched = resident_bytes().saturating_sub(before);
    assert!(touched < 300 << 20, "{touched} bytes were touched");
    let order = SubmitOrder { instrument: 8, ..buy(BUYER, 1, 1, 100) };
    assert_eq!(market.submit(order).open, 1);
}

#[test]
fn stops_that_wait_do_not_go_on_where_others_took_the_room_for_their_trades() {
    let stops = TRADES_MAX;
    let mut market = deep_market(2 * stops);
    let orders: Vec<SubmitOrder> = (0..u128::from(stops))
        .map(|id| SubmitOrder { kind: 3, stop_price: 100, ..buy(THIRD, 1 + id, 1, 100) })
        .collect();
    for part in orders.chunks(EVENTS_MAX as usize) {
        market.send(Operation::SubmitOrders, part);
    }
    assert_eq!(market.submit(buy(BUYER, 1, 1, 100)).filled, 1);
    let before = market.posted(THIRD + 100);
    let payment = Transfer {
        debit_account_id: BANK,
        credit_account_id: BUYER,
        amount: 1,
        ledger: CASH,
        code: 1,
        ..Transfer::default()
    };
    for first_id in (1u128 << 64..).step_by(EVENTS_MAX as usize) {
        let payments: Vec<Transfer> = (first_id..first_id + u128::from(EVENTS_MAX))
            .map(|id| Transfer { id, ..payment })
            .collect();
        let results = market.log.create(Operation::CreateTransfers, &payments);
        if results.iter().any(|result| result.status != CREATED) {
            break;
        }
    }
    assert_eq!(market.log.engine.next_due_ns(), None, "no tick could go on with them");
    market.log.tick(CLOCK_NS + 1);
    assert_eq!(market.posted(THIRD + 100), before);
    let last = market.send(Operation::CancelOrders, &[cancel(THIRD, u128::from(stops))])[0];
    assert_eq!((last.status, last.reason), (CREATED, CancelReason::Requested as u16));
    market.log.engine.check_invariants().expect("the engine is sound");
}
