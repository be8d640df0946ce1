//! What one request may look at without trading with it.

use crate::common::CREATED;
use crate::market::{
    BANK, BUYER, CASH, ISSUER, Market, SELLER, SHARES, THIRD, buy, genesis, instrument, sell,
};
use mizan_wire::limits::{EVENTS_MAX, LOOKS_MAX};
use mizan_wire::orders::{CancelReason, OrderReject};
use mizan_wire::trading::{
    CreateInstrument, InstrumentCommand, OpenOrdersQuery, OrderState, OrderStatus, OrderView,
    SubmitOrder,
};
use mizan_wire::{Genesis, Operation, Status};

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
    let affordable = u128::from(u64::from(LOOKS_MAX) / RESTING);
    let reason = |market: &mut Market, id: u128| market.order(SELLER, 2_000_000 + id).reason;
    assert_eq!(reason(&mut market, affordable - 1), CancelReason::FillOrKill as u16);
    assert_eq!(reason(&mut market, affordable), CancelReason::LooksSpent as u16);
    assert_eq!(reason(&mut market, 39), CancelReason::LooksSpent as u16);
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
