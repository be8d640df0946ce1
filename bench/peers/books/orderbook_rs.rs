//! `orderbook-rs`: made for many threads at once, with a skip list of levels and concurrent maps; used by one here.

use crate::peer::{Fill, Limit, Peer};
use orderbook_rs::OrderBook;
use pricelevel::{Hash32, Id, OrderType, Price, Quantity, TimeInForce, TimestampMs};

pub(crate) struct OrderbookRs(OrderBook<()>);

impl OrderbookRs {
    pub(crate) fn new() -> Self {
        Self(OrderBook::new("X"))
    }
}

impl Peer for OrderbookRs {
    fn limit(&mut self, order: &Limit, fill: &mut impl FnMut(Fill)) {
        let side = match order.side {
            mizan_wire::orders::Side::Buy => pricelevel::Side::Buy,
            mizan_wire::orders::Side::Sell => pricelevel::Side::Sell,
        };
        let time_in_force = if order.is_immediate { TimeInForce::Ioc } else { TimeInForce::Gtc };
        let Limit { number, price, quantity, .. } = *order;
        let result = self.0.add_order_with_committed(OrderType::Standard {
            id: Id::Sequential(number),
            price: Price::new(price.into()),
            quantity: Quantity::new(quantity),
            side,
            user_id: Hash32::zero(),
            timestamp: TimestampMs::new(0),
            time_in_force,
            extra_fields: (),
        });
        // What an immediate order leaves is a failure to it, which carries the trades.
        let traded = match &result {
            Ok((_, traded)) => traded.as_ref(),
            Err(failure) => failure.committed.as_deref(),
        };
        for trade in traded.iter().flat_map(|traded| traded.match_result.trades().as_vec()) {
            if let Some(maker) = trade.maker_order_id().as_u64() {
                let price = trade.price().as_u128() as u64;
                fill(Fill { maker, price, quantity: trade.quantity().as_u64() });
            }
        }
    }

    fn cancel(&mut self, number: u64) {
        // An order that is not there makes the trades differ, which ends the run.
        let _ = self.0.cancel_order(Id::Sequential(number));
    }
}
