//! `lobster`: one thread, an arena of orders, a `BTreeMap` of queues for each side. No immediate orders: what is left of
//! one is cancelled.

use crate::CAPACITY;
use crate::peer::{Fill, Limit, Peer};
use mizan_wire::orders::Side;

/// Its own default for the room of a queue.
const QUEUE_CAPACITY: usize = 10;

pub(crate) struct Lobster(lobster::OrderBook);

impl Lobster {
    pub(crate) fn new() -> Self {
        Self(lobster::OrderBook::new(CAPACITY.orders_max as usize, QUEUE_CAPACITY, false))
    }
}

impl Peer for Lobster {
    #[inline]
    fn limit(&mut self, order: &Limit, fill: &mut impl FnMut(Fill)) {
        let id = u128::from(order.number);
        let side = match order.side {
            Side::Buy => lobster::Side::Bid,
            Side::Sell => lobster::Side::Ask,
        };
        let limit = lobster::OrderType::Limit { id, side, qty: order.quantity, price: order.price };
        let (fills, is_left) = match self.0.execute(limit) {
            lobster::OrderEvent::Filled { fills, .. } => (fills, false),
            lobster::OrderEvent::PartiallyFilled { fills, .. } => (fills, true),
            _ => (Vec::new(), true),
        };
        for one in fills {
            // Maker ids are numbers that were given to it.
            fill(Fill { maker: one.order_2 as u64, price: one.price, quantity: one.qty });
        }
        if order.is_immediate && is_left {
            self.0.execute(lobster::OrderType::Cancel { id });
        }
    }

    #[inline]
    fn cancel(&mut self, number: u64) {
        self.0.execute(lobster::OrderType::Cancel { id: number.into() });
    }
}
