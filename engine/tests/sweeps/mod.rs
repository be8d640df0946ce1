//! Mass cancels and ends of sessions, of more orders than one request may end or look at.

use crate::common::CREATED;
use crate::market::{
    BANK, BUYER, CASH, ISSUER, Market, SELLER, SHARES, THIRD, buy, cancel, genesis, instrument,
    sell,
};
use mizan_wire::limits::{EVENTS_MAX, SWEEP_ENDS_MAX, SWEEP_LOOKS_MAX};
use mizan_wire::trading::{InstrumentCommand, MassCancelEvent, OrderState, SubmitOrder};
use mizan_wire::{Genesis, Operation};

const ORDERS_MAX: u32 = 50_000;
const ENDS: u64 = SWEEP_ENDS_MAX as u64;
const LOOKS: u64 = SWEEP_LOOKS_MAX as u64;

fn large_market() -> Market {
    let genesis = Genesis {
        order_count_max: u64::from(ORDERS_MAX),
        open_order_count_max: ORDERS_MAX,
        ..genesis()
    };
    let instrument = mizan_wire::trading::CreateInstrument {
        orders_max: ORDERS_MAX,
        taker_fee_flat: 0,
        ..instrument()
    };
    let mut market = Market::with(&genesis, instrument);
    assert_eq!(market.pay(BANK, BUYER, 10_000_000, CASH), CREATED);
    assert_eq!(market.pay(ISSUER, SELLER + 100, 10_000_000, SHARES), CREATED);
    market
}

fn enter(market: &mut Market, orders: &[SubmitOrder]) {
    for part in orders.chunks(EVENTS_MAX as usize) {
        let results = market.send(Operation::SubmitOrders, part);
        assert!(results.iter().all(|result| result.status == CREATED));
    }
}

/// Repeats an event until nothing is left; gives how many orders each request ended.
fn repeat(market: &mut Market, event: MassCancelEvent) -> Vec<u64> {
    let (mut from_order_number, mut ended) = (0, Vec::new());
    loop {
        let event = MassCancelEvent { from_order_number, ..event };
        let result = market.send(Operation::MassCancelOrders, &[event])[0];
        assert_eq!(result.status, CREATED);
        ended.push(result.open);
        from_order_number = result.order_number;
        if from_order_number == 0 {
            return ended;
        }
    }
}

#[test]
fn a_mass_cancel_ends_what_one_request_may_and_says_where_to_go_on() {
    for account_id in [0, BUYER] {
        let mut market = large_market();
        let orders: Vec<SubmitOrder> =
            (1..=2 * u128::from(SWEEP_ENDS_MAX) + 7).map(|id| buy(BUYER, id, 1, 10)).collect();
        enter(&mut market, &orders);
        let event = MassCancelEvent { account_id, ..MassCancelEvent::default() };
        let first = market.send(Operation::MassCancelOrders, &[event])[0];
        assert_eq!((first.open, first.order_number), (ENDS, ENDS + 1));
        assert_eq!(market.order(BUYER, u128::from(ENDS)).state, OrderState::Cancelled as u8);
        assert_eq!(market.order(BUYER, u128::from(ENDS) + 1).state, OrderState::Open as u8);
        assert_eq!(repeat(&mut market, event), [ENDS, 7]);
        assert_eq!(repeat(&mut market, event), [0]);
        assert_eq!(market.held(BUYER), 0);
        market.log.engine.check_invariants().expect("the engine is sound");
    }
}

#[test]
fn orders_that_are_not_meant_are_looked_at_in_bounded_steps() {
    for account_id in [0, SELLER] {
        let mut market = large_market();
        let mut orders: Vec<SubmitOrder> =
            (1..=u128::from(SWEEP_LOOKS_MAX) + 5).map(|id| sell(SELLER, id, 1, 100)).collect();
        orders.push(buy(SELLER, 90_000, 1, 10));
        enter(&mut market, &orders);
        let buys = MassCancelEvent { account_id, sides: 1, ..MassCancelEvent::default() };
        let first = market.send(Operation::MassCancelOrders, &[buys])[0];
        assert_eq!((first.open, first.order_number), (0, LOOKS + 1));
        assert_eq!(repeat(&mut market, buys), [0, 1]);
    }
}

#[test]
fn the_events_of_one_request_share_what_it_may_end() {
    let mut market = large_market();
    let mut orders: Vec<SubmitOrder> =
        (1..=u128::from(SWEEP_ENDS_MAX) - 1).map(|id| buy(BUYER, id, 1, 10)).collect();
    orders.extend((1..=3).map(|id| buy(THIRD, id, 1, 10)));
    enter(&mut market, &orders);
    let of = |account_id| MassCancelEvent { account_id, ..MassCancelEvent::default() };
    let results = market.send(Operation::MassCancelOrders, &[of(BUYER), of(THIRD), of(0)]);
    let told: Vec<(u64, u64)> =
        results.iter().map(|result| (result.open, result.order_number)).collect();
    assert_eq!(told, [(ENDS - 1, 0), (1, ENDS + 1), (0, ENDS + 1)]);
    assert_eq!(market.open_count(THIRD), 2);
}

#[test]
fn a_sweep_whose_next_order_has_ended_meanwhile_misses_nothing() {
    for account_id in [0, BUYER] {
        let mut market = large_market();
        let mut orders = vec![buy(BUYER, 60_000, 1, 20)];
        orders.extend(
            (1..=u128::from(SWEEP_ENDS_MAX) + 9)
                .map(|id| SubmitOrder { time_in_force: 1, ..buy(BUYER, id, 1, 10) }),
        );
        orders.push(sell(SELLER, 1, 1, 100));
        enter(&mut market, &orders);
        let sides = 1;
        let event = MassCancelEvent { account_id, sides, ..MassCancelEvent::default() };
        let first = market.send(Operation::MassCancelOrders, &[event])[0];
        assert_eq!(first.order_number, ENDS + 1);
        let next = u128::from(ENDS);
        market.send(Operation::CancelOrders, &[cancel(BUYER, next)]);
        let from_order_number = first.order_number;
        let rest = MassCancelEvent { from_order_number, ..event };
        let result = market.send(Operation::MassCancelOrders, &[rest])[0];
        assert_eq!((result.open, result.order_number), (9, 0));
        assert_eq!(market.open_count(BUYER), 0);
    }
}

#[test]
fn the_end_of_a_session_goes_on_where_the_request_before_stopped() {
    let mut market = large_market();
    let day = |id| SubmitOrder { time_in_force: 1, ..buy(BUYER, id, 1, 10) };
    let mut orders: Vec<SubmitOrder> = (1..=u128::from(SWEEP_ENDS_MAX) + 3).map(day).collect();
    orders.push(buy(BUYER, 60_000, 1, 10));
    enter(&mut market, &orders);
    let close = InstrumentCommand { instrument: 7, ..InstrumentCommand::default() };
    let first = market.send(Operation::CloseTradingSessions, &[close])[0];
    assert_eq!((first.open, first.order_number), (ENDS, ENDS + 1));
    let close = InstrumentCommand { from_order_number: first.order_number, ..close };
    let rest = market.send(Operation::CloseTradingSessions, &[close])[0];
    assert_eq!((rest.open, rest.order_number), (3, 0));
    assert_eq!(market.open_count(BUYER), 1);
}
