use super::*;
use mizan_wire::orders::{MassCancel, OrderKind, OrderReject, SelfTrade, Side, TimeInForce};
use proptest::prelude::*;

const CAPACITY: BookCapacity = BookCapacity { orders_max: 8, levels_max: 8 };

#[derive(Default)]
struct Named(Vec<(OrderReport, u128, u128)>);

impl DeskSink for Named {
    fn report(&mut self, report: &OrderReport, name: u128, counterparty_name: u128) {
        self.0.push((*report, name, counterparty_name));
    }
}

fn desk(outcomes_max: u32) -> Desk {
    Desk::new(BookRules::unlimited(CAPACITY), CAPACITY, outcomes_max, 3).expect("sound rules")
}

fn limit(owner: u32, side: Side, price: u64, quantity: u64) -> NewOrder {
    NewOrder {
        budget: 0,
        price,
        stop_price: 0,
        quantity,
        expires_ns: 0,
        owner,
        tag: 0,
        side,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::GoodTillCancelled,
        self_trade: SelfTrade::DecrementAndCancel,
        is_post_only: false,
    }
}

#[test]
fn an_order_entered_again_gives_the_outcome_of_the_first_and_no_second_order() {
    let mut desk = desk(10);
    let mut sink = Named::default();
    let sell = limit(1, Side::Sell, 100, 5);
    assert_eq!(desk.submit(77, &sell, &mut sink), None);
    let open = desk.submit(77, &NewOrder { quantity: 9, ..sell }, &mut sink).expect("known");
    assert_eq!((open.original, open.filled, open.open, open.number), (5, 0, 5, 1));
    assert_eq!(sink.0.len(), 1, "nothing was reported for the repetition");
    // The same name of another owner is another order.
    assert_eq!(desk.submit(77, &limit(2, Side::Buy, 100, 2), &mut sink), None);
    let (trade, maker, taker) = sink.0[2];
    assert!(trade.is(ReportKind::Trade));
    assert_eq!((maker, taker), (77, 77));
    let filled = desk.submit(77, &limit(2, Side::Buy, 100, 2), &mut sink).expect("known");
    assert_eq!((filled.filled, filled.open, filled.reason), (2, 0, 0));
    desk.cancel(1, 77, &mut sink);
    let cancelled = desk.submit(77, &sell, &mut sink).expect("known");
    assert_eq!((cancelled.filled, cancelled.open), (2, 0));
    assert_eq!(cancelled.reason, CancelReason::Requested as u16);
    assert_eq!(desk.book().order_count(), 0);
}

#[test]
fn a_refusal_is_an_outcome_too() {
    let mut desk = desk(10);
    let mut sink = Named::default();
    let nothing = limit(1, Side::Sell, 100, 0);
    assert_eq!(desk.submit(5, &nothing, &mut sink), None);
    let refused = desk.submit(5, &limit(1, Side::Sell, 100, 1), &mut sink).expect("known");
    assert_eq!((refused.number, refused.reason), (0, OrderReject::QuantityZero as u16));
    assert_eq!(sink.0.len(), 1);
    assert_eq!(sink.0[0].1, 5, "the refusal has the order's name");
}

#[test]
fn the_oldest_outcome_is_forgotten_first_and_open_orders_never() {
    let mut desk = desk(2);
    let mut sink = Named::default();
    for name in 1..=5 {
        desk.submit(name, &limit(1, Side::Buy, 100, 1), &mut sink);
    }
    for name in [4, 2, 3] {
        desk.cancel(1, name, &mut sink);
    }
    let known: Vec<u128> = (1..=5).filter(|name| desk.find(1, *name).is_some()).collect();
    assert_eq!(known, [1, 2, 3, 5], "4 ended first");
    assert_eq!(desk.submit(4, &limit(1, Side::Buy, 100, 1), &mut sink), None, "4 is new again");
    let open = desk.find(1, 4).expect("entered anew");
    assert_eq!((open.number, open.is_open()), (6, true));
}

/// What a naive desk remembers: all orders that ever were, and the order in which they ended.
#[derive(Default)]
struct Naive {
    orders: Vec<(u32, u128, Outcome)>,
    ended: Vec<usize>,
}

impl Naive {
    fn known(&self, outcomes_max: usize) -> Vec<(u32, u128, Outcome)> {
        let remembered = &self.ended[self.ended.len().saturating_sub(outcomes_max)..];
        let is_known = |index: usize| self.orders[index].2.is_open() || remembered.contains(&index);
        let known = (0..self.orders.len()).filter(|index| is_known(*index));
        known.map(|index| self.orders[index]).collect()
    }
}

impl DeskSink for Naive {
    fn report(&mut self, report: &OrderReport, name: u128, counterparty_name: u128) {
        let latest = |orders: &[(u32, u128, Outcome)], number: u64| {
            orders.iter().rposition(|order| order.2.number == number)
        };
        if report.is(ReportKind::Accepted) {
            let outcome = Outcome {
                original: report.quantity,
                filled: 0,
                open: report.quantity,
                number: report.number,
                slot: report.slot,
                reason: 0,
            };
            self.orders.push((report.owner, name, outcome));
            return;
        }
        if report.is(ReportKind::Rejected) {
            if report.number == 0 && name != 0 {
                let outcome =
                    Outcome { slot: SLOT_NONE, reason: report.reason, ..Outcome::default() };
                self.ended.push(self.orders.len());
                self.orders.push((report.owner, name, outcome));
            }
            return;
        }
        let Some(index) = latest(&self.orders, report.number).filter(|_| report.number != 0) else {
            return;
        };
        assert_eq!(self.orders[index].1, name);
        let parties = match report.is(ReportKind::Trade) {
            true => {
                let taker = latest(&self.orders, report.counterparty).expect("takers are known");
                assert_eq!(self.orders[taker].1, counterparty_name);
                vec![index, taker]
            }
            false => vec![index],
        };
        for index in parties {
            let outcome = &mut self.orders[index].2;
            if report.is(ReportKind::Trade) {
                outcome.filled += report.quantity;
                outcome.open -= report.quantity;
            } else if report.is(ReportKind::Replaced) {
                (outcome.original, outcome.open) = (report.quantity, report.open);
            } else {
                outcome.open = report.open;
                let is_less = report.is(ReportKind::Reduced)
                    && report.reason == CancelReason::Requested as u16;
                outcome.original -= if is_less { report.quantity } else { 0 };
                outcome.reason = match report.is(ReportKind::Cancelled) {
                    true => report.reason,
                    false => 0,
                };
            }
            if outcome.open == 0 {
                outcome.slot = SLOT_NONE;
                self.ended.push(index);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_desk_remembers_what_a_list_of_everything_tells(
        outcomes_max in 1..6u32,
        steps in prop::collection::vec((0..8u8, 0..3u32, 0..12u128, 98..103u64, 0..6u64), 1..120),
    ) {
        let mut desk = desk(outcomes_max);
        let mut naive = Naive::default();
        for (step, owner, name, price, quantity) in steps {
            let side = if price % 2 == 0 { Side::Buy } else { Side::Sell };
            let known = naive.known(outcomes_max as usize);
            let found = known.iter().find(|order| (order.0, order.1) == (owner, name + 1));
            let expected = found.map(|order| order.2);
            match step {
                0..=4 => {
                    let new = limit(owner, side, price, quantity);
                    prop_assert_eq!(desk.submit(name + 1, &new, &mut naive), expected);
                }
                5 => desk.cancel(owner, name + 1, &mut naive),
                6 => {
                    let handle = OrderHandle { number: 0, slot: 0 };
                    let amend = AmendOrder { handle, owner, price, stop_price: 0, quantity };
                    desk.amend(name + 1, &amend, &mut naive);
                }
                _ => {
                    let mass = MassCancel { owner: Some(owner), side: Some(side) };
                    desk.apply(&BookCommand::MassCancel(mass), &mut naive);
                    let cancel = CancelOrder {
                        handle: OrderHandle { number: 0, slot: 0 },
                        owner,
                    };
                    desk.apply(&BookCommand::Cancel(cancel), &mut naive);
                }
            }
            let known = naive.known(outcomes_max as usize);
            prop_assert_eq!(desk.entries.table.count(), known.len());
            for (owner, name, outcome) in known {
                prop_assert_eq!(desk.find(owner, name), Some(outcome));
            }
            desk.book.check_invariants().map_err(|error| TestCaseError::fail(error.to_string()))?;
        }
    }
}
