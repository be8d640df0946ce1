//! The flow: a pure function from the number of a batch to its commands.
//!
//! Orders come in cycles of ten batches. Of ten orders, one takes at once what it can (immediate or cancel, priced
//! beyond the middle); nine rest on their own side of it. The cycle that is `lag_cycles` later amends two of the nine
//! and then cancels all nine, so that a cycle has 10 batches of orders, 2 of amends and 9 of cancels, mixed, and a
//! book keeps its depth. The first cycles of a run have nothing to cancel: they enter orders only.

use crate::constants::{
    AMENDS_PER_CYCLE, CANCELS_PER_CYCLE, INSTRUMENTS_MAX, OPEN_ORDERS_AIM, ORDER_DISTANCE_MAX,
    ORDER_IN_FLIGHT_LAG_MAX, ORDER_LEVELS_MAX, ORDER_QUANTITY_MAX, ORDERS_PER_CYCLE, PRICE_MIDDLE,
};
use crate::distribution::AccountDraw;
use crate::orders::{OrderOptions, OrderRoom};
use crate::random::Random;
use crate::{BenchOptions, Distribution};
use mizan_wire::Operation;
use mizan_wire::orders::TimeInForce;
use mizan_wire::trading::{AmendOrderEvent, CancelOrderEvent, SubmitOrder};
use zerocopy::transmute;

/// What each batch of a full cycle is: orders, amends, cancels. Amends stand before the cancels of the same orders.
const CYCLE: &[u8; 21] = b"SASCSCSASCSCSCSCSCSCC";

/// Of ten orders, the ones from here on are amended before they are cancelled.
const AMENDED_FROM: u64 = ORDERS_PER_CYCLE - AMENDS_PER_CYCLE;

const _: () =
    assert!(CYCLE.len() as u64 == ORDERS_PER_CYCLE + AMENDS_PER_CYCLE + CANCELS_PER_CYCLE);

/// What a batch asks for. Orders are numbered by their place in the run, from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Command {
    /// New orders, from this number on.
    Submit { first: u64 },
    /// Other terms for the order with this number, and for every tenth after it.
    Amend { first: u64 },
    /// The end of the order with this number, and of every tenth after it.
    Cancel { first: u64 },
}

impl Command {
    /// The operation on the wire.
    pub(crate) const fn operation(self) -> Operation {
        match self {
            Self::Submit { .. } => Operation::SubmitOrders,
            Self::Amend { .. } => Operation::AmendOrders,
            Self::Cancel { .. } => Operation::CancelOrders,
        }
    }

    /// The number of the order that the event at this place is about.
    pub(crate) const fn order(self, place: u64) -> u64 {
        match self {
            Self::Submit { first } => first + place,
            Self::Amend { first } | Self::Cancel { first } => first + place * ORDERS_PER_CYCLE,
        }
    }
}

/// What an order says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Terms {
    pub(crate) trader: u64,
    pub(crate) price: u64,
    pub(crate) quantity: u64,
    pub(crate) is_sell: bool,
    /// It takes what it can, and never rests.
    pub(crate) takes: bool,
    /// Price and quantity after its amend, if it has one.
    pub(crate) amended: Option<(u64, u64)>,
}

/// The content of a run. Batches may be asked for in any order, on any thread, and more than once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderFlow {
    seed: u64,
    batch: u64,
    pub(crate) traders: u64,
    pub(crate) instruments: u32,
    pub(crate) ledger: u32,
    draw: AccountDraw,
    is_even: bool,
    lag_cycles: u64,
    client_order_id_base: u128,
    account_id_base: u128,
    instrument_id_base: u32,
}

impl OrderFlow {
    /// The flow of these options. Without a base in the options, client ids begin at the present time.
    pub(crate) fn new(options: &BenchOptions, orders: OrderOptions) -> Self {
        let fresh_base = || mizan_client::id() & !u128::from(u64::MAX);
        let traders = options.accounts / 2;
        let batch = u64::from(options.batch);
        let resting = batch * CANCELS_PER_CYCLE;
        // Of a short run at most a quarter only fills the books.
        let lag_max = options.transfers / (4 * ORDERS_PER_CYCLE * batch);
        let mut lag_cycles = OPEN_ORDERS_AIM.div_ceil(resting).min(lag_max).max(1);
        if options.clients > 1 {
            // Clients overtake each other: a cancel must not come before its order.
            let in_flight = options.in_flight.min(ORDER_IN_FLIGHT_LAG_MAX) + 2;
            let batches = u64::from(options.clients) * u64::from(in_flight) * 2;
            lag_cycles = lag_cycles.max(batches.div_ceil(CYCLE.len() as u64) + 1);
        }
        Self {
            seed: options.seed,
            batch,
            traders,
            instruments: orders.instruments,
            ledger: options.ledger,
            draw: AccountDraw::new(options.distribution, traders),
            is_even: options.distribution == Distribution::Uniform,
            lag_cycles,
            client_order_id_base: options.transfer_id_base.unwrap_or_else(fresh_base),
            account_id_base: crate::workload::account_id_base(options.seed, options.ledger),
            instrument_id_base: instrument_id_base(options.seed, options.ledger),
        }
    }

    /// What a batch is.
    pub(crate) fn command(&self, batch_index: u64) -> Command {
        let (orders_of_cycle, lag) = (ORDERS_PER_CYCLE * self.batch, self.lag_cycles);
        let Some(beyond) = batch_index.checked_sub(lag * ORDERS_PER_CYCLE) else {
            return Command::Submit { first: batch_index * self.batch };
        };
        let (cycle, position) = (beyond / CYCLE.len() as u64, beyond as usize % CYCLE.len());
        let sort = CYCLE[position];
        let earlier = CYCLE[..position].iter().filter(|found| **found == sort).count() as u64;
        let first_of_lagged = cycle * orders_of_cycle;
        match sort {
            b'S' => {
                let first = (cycle + lag) * orders_of_cycle + earlier * self.batch;
                Command::Submit { first }
            }
            b'A' => Command::Amend { first: first_of_lagged + AMENDED_FROM + earlier },
            // The first of ten takes, and so never rests.
            _ => Command::Cancel { first: first_of_lagged + 1 + earlier },
        }
    }

    /// Orders that the first so many events of a run enter.
    fn orders_of(&self, events: u64) -> u64 {
        let before = (self.lag_cycles * ORDERS_PER_CYCLE * self.batch).min(events);
        // A cycle that has begun counts as if all its orders had been entered.
        let cycles = (events - before).div_ceil(CYCLE.len() as u64 * self.batch);
        before + cycles * ORDERS_PER_CYCLE * self.batch
    }

    /// Cost: three random numbers.
    #[inline]
    pub(crate) fn terms(&self, order: u64) -> Terms {
        let mut random = Random::of_part(self.seed, order);
        let trader = self.draw.one(&mut random);
        let (distance, quantity) = random.below_two(ORDER_DISTANCE_MAX, ORDER_QUANTITY_MAX);
        let (distance, quantity) = (distance + 1, quantity + 1);
        let is_sell = random.next_u64() >> 63 == 1;
        let class = order % ORDERS_PER_CYCLE;
        let takes = class == 0;
        let price = |distance: u64| {
            if is_sell != takes { PRICE_MIDDLE + distance } else { PRICE_MIDDLE - distance }
        };
        let amended = if class < AMENDED_FROM {
            None
        } else if class == AMENDED_FROM {
            // Less at the same price: it keeps its place.
            Some((price(distance), quantity.div_ceil(2)))
        } else {
            Some((price(distance % ORDER_DISTANCE_MAX + 1), quantity + 1))
        };
        Terms { trader, price: price(distance), quantity, is_sell, takes, amended }
    }

    /// The client's id of an order.
    #[inline]
    pub(crate) const fn client_order_id(&self, order: u64) -> u128 {
        self.client_order_id_base.wrapping_add(order as u128 + 1)
    }

    /// The instrument in which a trader trades, from 0.
    #[inline]
    pub(crate) const fn instrument_of(&self, trader: u64) -> u32 {
        if self.instruments == 1 { 0 } else { (trader % self.instruments as u64) as u32 }
    }

    /// The id of the account with this index; see [`super::market`].
    #[inline]
    pub(crate) const fn account_id(&self, account_index: u64) -> u128 {
        self.account_id_base | (account_index as u128 + 1)
    }

    /// The index of an account, if the id may be that of one.
    pub(crate) fn account_index(&self, id: u128) -> Option<u64> {
        let index = id.checked_sub(self.account_id_base)?.checked_sub(1)?;
        u64::try_from(index).ok()
    }

    /// The number of an instrument.
    #[inline]
    pub(crate) const fn instrument_id(&self, instrument: u32) -> u32 {
        self.instrument_id_base + instrument
    }

    /// The ledger of what an instrument trades.
    pub(crate) const fn base_ledger(&self, instrument: u32) -> u32 {
        self.ledger + 1 + instrument
    }

    pub(crate) fn submit(&self, order: u64) -> SubmitOrder {
        let terms = self.terms(order);
        let time_in_force = match terms.takes {
            true => TimeInForce::ImmediateOrCancel,
            false => TimeInForce::GoodTillCancelled,
        };
        SubmitOrder {
            client_order_id: self.client_order_id(order),
            quote_account_id: self.account_id(terms.trader),
            base_account_id: self.account_id(self.traders + terms.trader),
            price: terms.price,
            quantity: terms.quantity,
            instrument: self.instrument_id(self.instrument_of(terms.trader)),
            side: u8::from(terms.is_sell),
            time_in_force: time_in_force as u8,
            ..SubmitOrder::default()
        }
    }

    fn amend(&self, order: u64) -> AmendOrderEvent {
        let terms = self.terms(order);
        let (price, quantity) = terms.amended.unwrap_or((terms.price, terms.quantity));
        AmendOrderEvent {
            account_id: self.account_id(terms.trader),
            client_order_id: self.client_order_id(order),
            price,
            quantity,
            ..AmendOrderEvent::default()
        }
    }

    fn cancel(&self, order: u64) -> CancelOrderEvent {
        CancelOrderEvent {
            account_id: self.account_id(self.draw.one(&mut Random::of_part(self.seed, order))),
            client_order_id: self.client_order_id(order),
            ..CancelOrderEvent::default()
        }
    }

    /// Writes the first commands of a batch, as many as there is room for, in their wire layout.
    pub(crate) fn fill(&self, batch_index: u64, body: &mut [u8]) {
        let command = self.command(batch_index);
        match command {
            Command::Submit { first } => {
                let places = body.as_chunks_mut::<{ size_of::<SubmitOrder>() }>().0;
                for (place, order) in places.iter_mut().zip(first..) {
                    *place = transmute!(self.submit(order));
                }
            }
            Command::Amend { .. } => {
                let places = body.as_chunks_mut::<{ size_of::<AmendOrderEvent>() }>().0;
                for (place, index) in places.iter_mut().zip(0..) {
                    *place = transmute!(self.amend(command.order(index)));
                }
            }
            Command::Cancel { .. } => {
                let places = body.as_chunks_mut::<{ size_of::<CancelOrderEvent>() }>().0;
                for (place, index) in places.iter_mut().zip(0..) {
                    *place = transmute!(self.cancel(command.order(index)));
                }
            }
        }
    }

    pub(crate) fn room(&self, options: &BenchOptions) -> OrderRoom {
        let orders = self.orders_of(options.transfers);
        let open = (self.lag_cycles + 1) * ORDERS_PER_CYCLE * self.batch;
        let open = u32::try_from(open.min(orders)).unwrap_or(u32::MAX / 2);
        let instruments = self.instruments;
        OrderRoom {
            accounts: self.account_count(),
            // Every lot of an order that takes may come from another order; three legs each, the maker pays no fee.
            transfers: self.account_count() + orders.div_ceil(10) * ORDER_QUANTITY_MAX * 3,
            instruments,
            orders,
            open_orders: self.book_orders_max(open) * instruments,
            levels: ORDER_LEVELS_MAX * instruments,
            ledgers: instruments + 1,
        }
    }

    /// Room of one book out of so many open orders in all.
    pub(crate) fn book_orders_max(&self, open: u32) -> u32 {
        // Traders that are drawn evenly are spread evenly; other draws may fall on one instrument.
        let share = if self.is_even { open / self.instruments * 2 } else { open };
        if self.instruments == 1 { open } else { share.clamp(1_024, open.max(1_024)) }
    }
}

/// Instruments belong to seed and ledger, as accounts do: the same two use the same instruments.
fn instrument_id_base(seed: u64, ledger: u32) -> u32 {
    let blocks = u64::from(u32::MAX / INSTRUMENTS_MAX - 2);
    let block = Random::of_part(!seed, u64::from(ledger)).below(blocks) as u32;
    (block + 1) * INSTRUMENTS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn flow(batch: u32, clients: u32) -> OrderFlow {
        let options = BenchOptions {
            batch,
            clients,
            transfer_id_base: Some(1 << 64),
            ..BenchOptions::default()
        };
        OrderFlow::new(&options, OrderOptions::default())
    }

    #[test]
    fn every_order_that_rests_is_cancelled_once_after_it_was_entered_and_amended() {
        for (batch, clients) in [(8_189, 1), (100, 1), (100, 3), (1, 1)] {
            let flow = flow(batch, clients);
            let (mut entered, mut amended, mut cancelled) = (0, HashMap::new(), HashMap::new());
            let batches = (flow.lag_cycles + 3) * ORDERS_PER_CYCLE + 3 * CYCLE.len() as u64;
            for batch_index in 0..batches {
                let command = flow.command(batch_index);
                for place in 0..u64::from(batch).min(50) {
                    let order = command.order(place);
                    let is_fresh = match command {
                        Command::Submit { first } => {
                            assert_eq!(first, entered);
                            true
                        }
                        Command::Amend { .. } => {
                            assert!(flow.terms(order).amended.is_some());
                            assert!(!cancelled.contains_key(&order));
                            order < entered && amended.insert(order, batch_index).is_none()
                        }
                        Command::Cancel { .. } => {
                            assert!(!flow.terms(order).takes);
                            let needs_amend = flow.terms(order).amended.is_some();
                            assert_eq!(needs_amend, amended.contains_key(&order));
                            order < entered && cancelled.insert(order, batch_index).is_none()
                        }
                    };
                    assert!(is_fresh, "order {order} in batch {batch_index}");
                }
                if let Command::Submit { .. } = command {
                    entered += u64::from(batch);
                }
            }
            assert!(!amended.is_empty() && cancelled.len() > amended.len());
        }
    }

    #[test]
    fn cancels_name_the_account_of_their_order_and_stay_on_their_side_of_the_middle() {
        let flow = flow(100, 1);
        for order in 0..1_000 {
            let submit = flow.submit(order);
            assert_eq!(flow.cancel(order).account_id, submit.quote_account_id);
            assert_eq!(flow.cancel(order).client_order_id, submit.client_order_id);
            assert_eq!(flow.amend(order).account_id, submit.quote_account_id);
            let terms = flow.terms(order);
            let is_above = submit.price > PRICE_MIDDLE;
            assert_eq!(is_above, terms.is_sell != (order % ORDERS_PER_CYCLE == 0));
            assert_eq!(flow.amend(order).price > PRICE_MIDDLE, is_above);
            assert!((1..=ORDER_QUANTITY_MAX).contains(&submit.quantity));
        }
    }

    #[test]
    fn what_is_written_is_what_is_given() {
        let flow = flow(7, 1);
        for batch_index in 0..60_000 {
            let command = flow.command(batch_index);
            if batch_index % 997 != 0 && !matches!(command, Command::Amend { .. }) {
                continue;
            }
            let size = command.operation().event_size();
            let mut body = vec![0; 7 * size];
            flow.fill(batch_index, &mut body);
            let account = match command {
                Command::Submit { .. } => &body[3 * size + 16..3 * size + 32],
                _ => &body[3 * size..3 * size + 16],
            };
            let expected = flow.submit(command.order(3)).quote_account_id;
            assert_eq!(*account, expected.to_le_bytes(), "{command:?}");
        }
    }

    #[test]
    fn the_room_covers_every_order_of_a_run_and_no_order_more_than_a_cycle() {
        for batch in [1_u32, 100, 8_189] {
            for transfers in [1, 5_000, 1_000_000] {
                let options = BenchOptions { batch, transfers, ..BenchOptions::default() };
                let flow = OrderFlow::new(&options, OrderOptions::default());
                let entered: u64 = (0..options.batch_count())
                    .filter(|index| matches!(flow.command(*index), Command::Submit { .. }))
                    .map(|index| u64::from(options.batch_size(index)))
                    .sum();
                let room = flow.room(&options).orders;
                assert!((entered..=entered + 10 * u64::from(batch)).contains(&room));
            }
        }
    }
}
