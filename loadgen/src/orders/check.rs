//! After a run: every order against the answers and the flow, every balance against the orders, what was bought against
//! what was sold.

use crate::balances::Balance;
use crate::constants::QUOTE_PER_TICK_LOT;
use crate::orders::answers::OrderTally;
use crate::orders::flow::{Command, OrderFlow};
use crate::orders::market::{self, House, records};
use crate::{BenchOptions, LoadError, Observer, Phase, Progress};
use mizan_client::Client;
use mizan_wire::orders::CancelReason;
use mizan_wire::trading::{OrderKey, OrderState, OrderView};
use mizan_wire::{Operation, Status};
use std::collections::{HashMap, HashSet};
use zerocopy::IntoBytes;

/// What the orders of a run say together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    pub(crate) orders: u64,
    pub(crate) open: u64,
    pub(crate) lots_bought: u64,
}

/// Both sides of an instrument's trades.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Sides {
    lots_bought: u64,
    lots_sold: u64,
    notional_bought: u128,
    notional_sold: u128,
}

struct Check<'a> {
    flow: &'a OrderFlow,
    tally: &'a OrderTally,
    /// Orders of commands whose reply never came: nothing is known of them but what they say now.
    doubtful: HashSet<u64>,
    expected: Vec<Balance>,
    sides: Vec<Sides>,
    found: Found,
}

/// Reads every order and every account, and compares.
///
/// # Errors
/// The first order, or the first account, that is not as it must be.
pub(crate) fn check(
    client: &mut Client,
    options: &BenchOptions,
    flow: &OrderFlow,
    opening: Vec<Balance>,
    (tally, unknown_batches): (&OrderTally, &[u64]),
    observer: &dyn Observer,
) -> Result<Found, LoadError> {
    let mut check = Check {
        flow,
        tally,
        doubtful: doubtful(options, flow, unknown_batches),
        expected: opening,
        sides: vec![Sides::default(); flow.instruments as usize],
        found: Found::default(),
    };
    let chunk = (client.events_max() / 2).max(1);
    for batch_index in 0..options.batch_count() {
        let Command::Submit { first } = flow.command(batch_index) else { continue };
        let count = u64::from(options.batch_size(batch_index));
        let is_told = |order| tally.accepted.contains(order) || check.doubtful.contains(&order);
        if !(first..first + count).any(is_told) {
            // A duration has ended the run before this batch.
            continue;
        }
        for places in market::chunks(count, chunk) {
            check.take(client, first + places.start..first + places.end)?;
        }
        let (done, total) = (batch_index + 1, options.batch_count());
        observer.on_progress(&Progress { phase: Phase::Verification, done, total });
    }
    check.conclude(client)
}

fn doubtful(options: &BenchOptions, flow: &OrderFlow, batches: &[u64]) -> HashSet<u64> {
    let orders = |batch_index: &u64| {
        let command = flow.command(*batch_index);
        (0..u64::from(options.batch_size(*batch_index))).map(move |place| command.order(place))
    };
    batches.iter().flat_map(orders).collect()
}

impl Check<'_> {
    fn take(&mut self, client: &mut Client, orders: std::ops::Range<u64>) -> Result<(), LoadError> {
        let keys: Vec<OrderKey> = orders
            .clone()
            .map(|order| {
                let account_id = self.flow.account_id(self.flow.terms(order).trader);
                OrderKey { account_id, client_order_id: self.flow.client_order_id(order) }
            })
            .collect();
        let reply = client
            .call(Operation::GetOrders, keys.as_bytes())
            .map_err(LoadError::client("the orders could not be read"))?;
        let views: HashMap<u128, OrderView> = records::<OrderView>(&reply.body)
            .into_iter()
            .map(|view| (view.client_order_id, view))
            .collect();
        for order in orders {
            let view = views.get(&self.flow.client_order_id(order));
            if let Some(what) = self.fault(order, view) {
                let client_order_id = self.flow.client_order_id(order);
                return Err(LoadError::OrderDiffers { what, order, client_order_id });
            }
            if let Some(view) = view {
                self.add(order, view);
            }
        }
        Ok(())
    }

    fn fault(&self, order: u64, view: Option<&OrderView>) -> Option<&'static str> {
        let is_doubtful = self.doubtful.contains(&order);
        let Some(view) = view else {
            let is_lost = self.tally.accepted.contains(order);
            return is_lost.then_some("it was accepted and is not there");
        };
        let terms = self.flow.terms(order);
        let is_open = view.state == OrderState::Open as u8;
        let asked = (terms.price, terms.quantity);
        let is_amended = self.tally.amended.contains(order);
        let now = (view.price, view.quantity);
        let amended = terms.amended.unwrap_or(asked);
        // An amend to less than what is filled ends the order and changes nothing else.
        let may_be_amended = is_amended || is_doubtful;
        let may_be_as_asked =
            !is_amended || view.reason == CancelReason::AmendedToFilled.number() as u16;
        if !self.tally.accepted.contains(order) && !is_doubtful {
            Some("it was refused and is there")
        } else if view.side != u8::from(terms.is_sell)
            || view.instrument != self.flow.instrument_id(self.flow.instrument_of(terms.trader))
        {
            Some("it has another side or instrument than was asked for")
        } else if !(now == asked && may_be_as_asked || now == amended && may_be_amended) {
            Some("its price or quantity is not that of its entry or its acknowledged amend")
        } else if view.filled + view.open > view.quantity || is_open != (view.open > 0) {
            Some("its lots do not add up")
        } else if !is_open && view.held != 0 {
            Some("it has ended and still holds money")
        } else if self.tally.cancelled.contains(order) && is_open {
            Some("its cancel was acknowledged and it is open")
        } else {
            None
        }
    }

    /// Adds what an order did to the accounts that it names.
    fn add(&mut self, order: u64, view: &OrderView) {
        let terms = self.flow.terms(order);
        let instrument = self.flow.instrument_of(terms.trader);
        let money = view.notional * u128::from(QUOTE_PER_TICK_LOT);
        let lots = u128::from(view.filled);
        let flow = self.flow;
        let expected = &mut self.expected;
        let (quote, base) = (terms.trader as usize, (flow.traders + terms.trader) as usize);
        let sides = &mut self.sides[instrument as usize];
        if terms.is_sell {
            expected[quote].credits_posted += money;
            expected[base].debits_posted += lots;
            expected[base].debits_pending += view.held;
            expected[flow.house(instrument, House::BaseClearing) as usize].credits_pending +=
                view.held;
            sides.lots_sold += view.filled;
            sides.notional_sold += view.notional;
        } else {
            expected[quote].debits_posted += money;
            expected[base].credits_posted += lots;
            expected[quote].debits_pending += view.held;
            expected[flow.house(instrument, House::QuoteClearing) as usize].credits_pending +=
                view.held;
            sides.lots_bought += view.filled;
            sides.notional_bought += view.notional;
            self.found.lots_bought += view.filled;
        }
        // The market has no rebates.
        let fee = view.fee.unsigned_abs();
        expected[quote].debits_posted += fee;
        expected[flow.house(instrument, House::Fee) as usize].credits_posted += fee;
        self.found.orders += 1;
        self.found.open += u64::from(view.open > 0);
    }

    fn conclude(self, client: &mut Client) -> Result<Found, LoadError> {
        for (instrument, sides) in (0..).zip(&self.sides) {
            if sides.lots_bought != sides.lots_sold || sides.notional_bought != sides.notional_sold
            {
                return Err(LoadError::TradesDiffer {
                    instrument: self.flow.instrument_id(instrument),
                    bought: sides.lots_bought,
                    sold: sides.lots_sold,
                });
            }
        }
        let found = market::balances(client, self.flow)?;
        let differs = |index: &usize| found[*index].difference(&self.expected[*index]);
        let mut differing = (0..found.len()).filter(|index| differs(index).is_some());
        let Some(first) = differing.next() else { return Ok(self.found) };
        let (side, is, expected) = differs(&first).unwrap_or_default();
        Err(LoadError::BalancesDiffer {
            count: 1 + differing.count() as u64,
            accounts: found.len() as u64,
            first: self.flow.account_id(first as u64),
            side,
            found: is,
            expected,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::OrderOptions;

    /// An order that is amended, as it is after entry.
    fn rests(flow: &OrderFlow, order: u64) -> OrderView {
        let terms = flow.terms(order);
        OrderView {
            price: terms.price,
            quantity: terms.quantity,
            open: terms.quantity,
            held: 5,
            instrument: flow.instrument_id(0),
            state: OrderState::Open as u8,
            side: u8::from(terms.is_sell),
            ..OrderView::default()
        }
    }

    #[test]
    fn an_order_must_be_as_it_was_acknowledged() {
        const ORDER: u64 = 9;
        let flow = OrderFlow::new(&BenchOptions::default(), OrderOptions::default());
        let amended = |view: OrderView| {
            let (price, quantity) = flow.terms(ORDER).amended.unwrap();
            OrderView { price, quantity, open: quantity, ..view }
        };
        let view = rests(&flow, ORDER);
        let gone = OrderView { open: 0, held: 0, state: OrderState::Cancelled as u8, ..view };
        // Accepted, amended, cancelled, in doubt; what is found; whether that is right.
        let cases = [
            ([true, false, false, false], Some(view), true),
            ([true, false, false, false], None, false),
            ([false, false, false, false], None, true),
            ([false, false, false, false], Some(view), false),
            ([false, false, false, true], Some(view), true),
            ([false, false, false, true], Some(amended(view)), true),
            ([false, false, false, true], None, true),
            ([true, false, false, false], Some(amended(view)), false),
            ([true, true, false, false], Some(amended(view)), true),
            ([true, true, false, false], Some(view), false),
            ([true, false, true, false], Some(view), false),
            ([true, false, true, false], Some(gone), true),
            ([true, false, false, false], Some(OrderView { held: 1, ..gone }), false),
            ([true, false, false, false], Some(OrderView { open: view.open + 1, ..view }), false),
            ([true, false, false, false], Some(OrderView { side: 1 - view.side, ..view }), false),
            ([true, false, false, false], Some(OrderView { instrument: 1, ..view }), false),
        ];
        for (index, (told, found, is_right)) in cases.into_iter().enumerate() {
            let mut tally = OrderTally::default();
            let sets = [&mut tally.accepted, &mut tally.amended, &mut tally.cancelled];
            for (set, _) in sets.into_iter().zip(told).filter(|(_, is_told)| *is_told) {
                set.insert(ORDER);
            }
            let check = Check {
                flow: &flow,
                tally: &tally,
                doubtful: told[3].then_some(ORDER).into_iter().collect(),
                expected: Vec::new(),
                sides: Vec::new(),
                found: Found::default(),
            };
            let fault = check.fault(ORDER, found.as_ref());
            assert_eq!(fault.is_none(), is_right, "case {index}: {fault:?}");
        }
    }
}
