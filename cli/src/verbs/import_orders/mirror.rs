//! What the file says of the book: its open orders, level by level, in the order in which the file shows them.
//!
//! It serves to find the order that an execution names, to know what stands in the way of a message, and to be compared
//! with the node's book at the end. It matches nothing.

use mizan_wire::orders::Side;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Bits of a client order id below the count of entries.
const ORDER_BITS: u32 = 64;

/// An open order, as the file has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Standing {
    pub(super) order: u64,
    pub(super) side: Side,
    pub(super) price: u64,
    /// Lots that are open.
    pub(super) open: u64,
    /// The total that the node knows: what was traded since it was entered there is part of it.
    pub(super) total: u64,
    /// How often it was entered: a second entry needs an id of its own.
    pub(super) entries: u32,
}

impl Standing {
    /// The id under which it was entered last; never 0.
    pub(super) const fn client_order_id(&self) -> u128 {
        (self.entries as u128) << ORDER_BITS | self.order as u128
    }
}

/// The order that the file means by a client order id.
pub(super) const fn order_of(client_order_id: u128) -> u64 {
    client_order_id as u64
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    orders: HashMap<u64, Standing>,
    bids: BTreeMap<u64, VecDeque<u64>>,
    asks: BTreeMap<u64, VecDeque<u64>>,
    /// How often each order was entered, those that have ended included.
    entries: HashMap<u64, u32>,
}

impl Mirror {
    /// The open order with this id.
    pub(super) fn get(&self, order: u64) -> Option<&Standing> {
        self.orders.get(&order)
    }

    pub(super) fn get_mut(&mut self, order: u64) -> Option<&mut Standing> {
        self.orders.get_mut(&order)
    }

    /// Open orders.
    pub(super) fn count(&self) -> usize {
        self.orders.len()
    }

    /// Counts one more entry of an order.
    pub(super) fn next_entry(&mut self, order: u64) -> u32 {
        let entries = self.entries.entry(order).or_default();
        *entries += 1;
        *entries
    }

    /// Enters an order at the end of its level.
    pub(super) fn enter(&mut self, standing: Standing) {
        self.level_mut(standing.side, standing.price).push_back(standing.order);
        self.orders.insert(standing.order, standing);
    }

    /// Takes an order out.
    pub(super) fn remove(&mut self, order: u64) -> Option<Standing> {
        let standing = self.orders.remove(&order)?;
        let level = self.level_mut(standing.side, standing.price);
        level.retain(|one| *one != order);
        if level.is_empty() {
            self.side_mut(standing.side).remove(&standing.price);
        }
        Some(standing)
    }

    /// Moves an open order to the head of its level.
    pub(super) fn move_to_head(&mut self, order: u64) {
        let Some(standing) = self.orders.get(&order).copied() else { return };
        let level = self.level_mut(standing.side, standing.price);
        level.retain(|one| *one != order);
        level.push_front(order);
    }

    /// The orders of a level, the first in the queue first.
    pub(super) fn level(&self, side: Side, price: u64) -> Vec<Standing> {
        let level = self.side(side).get(&price);
        level.into_iter().flatten().filter_map(|order| self.orders.get(order)).copied().collect()
    }

    /// The orders of a side at better prices than this one, the best first.
    pub(super) fn better_than(&self, side: Side, price: u64) -> Vec<u64> {
        let all = self.side(side);
        let levels: Vec<&VecDeque<u64>> = match side {
            Side::Buy => {
                all.range(price.saturating_add(1)..).rev().map(|(_, level)| level).collect()
            }
            Side::Sell => all.range(..price).map(|(_, level)| level).collect(),
        };
        levels.into_iter().flatten().copied().collect()
    }

    /// The orders of the other side that an order with this limit would trade with, the best first.
    pub(super) fn crossed_by(&self, side: Side, price: u64) -> Vec<u64> {
        // At the limit, too.
        match side {
            Side::Buy => self.better_than(Side::Sell, price.saturating_add(1)),
            Side::Sell => self.better_than(Side::Buy, price.saturating_sub(1)),
        }
    }

    /// Prices and open lots of a side, the best first.
    pub(super) fn depth(&self, side: Side) -> Vec<(u64, u64)> {
        let of_level = |(price, level): (&u64, &VecDeque<u64>)| {
            let open = level.iter().filter_map(|order| self.orders.get(order));
            (*price, open.map(|standing| standing.open).sum())
        };
        match side {
            Side::Buy => self.bids.iter().rev().map(of_level).collect(),
            Side::Sell => self.asks.iter().map(of_level).collect(),
        }
    }

    const fn side(&self, side: Side) -> &BTreeMap<u64, VecDeque<u64>> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    const fn side_mut(&mut self, side: Side) -> &mut BTreeMap<u64, VecDeque<u64>> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    fn level_mut(&mut self, side: Side, price: u64) -> &mut VecDeque<u64> {
        self.side_mut(side).entry(price).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(orders: &[(u64, Side, u64, u64)]) -> Mirror {
        let mut mirror = Mirror::default();
        for (order, side, price, open) in orders.iter().copied() {
            mirror.enter(Standing { order, side, price, open, total: open, entries: 1 });
        }
        mirror
    }

    #[test]
    fn levels_keep_the_order_of_entry_and_sides_their_best_first() {
        let (buy, sell) = (Side::Buy, Side::Sell);
        let mut mirror = mirror(&[
            (1, buy, 100, 5),
            (2, buy, 101, 6),
            (3, buy, 100, 7),
            (4, sell, 103, 8),
            (5, sell, 102, 9),
        ]);
        let ids = |mirror: &Mirror, price| {
            mirror.level(buy, price).iter().map(|one| one.order).collect::<Vec<_>>()
        };
        assert_eq!(ids(&mirror, 100), [1, 3]);
        assert_eq!(mirror.depth(buy), [(101, 6), (100, 12)]);
        assert_eq!(mirror.depth(sell), [(102, 9), (103, 8)]);
        assert_eq!(mirror.better_than(buy, 100), [2]);
        assert_eq!(mirror.better_than(sell, 104), [5, 4]);
        assert!(mirror.better_than(sell, 102).is_empty());
        assert_eq!(mirror.crossed_by(buy, 102), [5]);
        assert!(mirror.crossed_by(buy, 101).is_empty());
        assert_eq!(mirror.crossed_by(sell, 101), [2]);
        assert_eq!(mirror.crossed_by(sell, 100), [2, 1, 3]);
        mirror.move_to_head(3);
        assert_eq!(ids(&mirror, 100), [3, 1]);
        assert_eq!(mirror.remove(2).map(|one| one.open), Some(6));
        assert_eq!(mirror.remove(2), None);
        assert_eq!((mirror.depth(buy), mirror.count()), (vec![(100, 12)], 4));
    }

    #[test]
    fn an_order_that_is_entered_again_has_another_id_of_the_same_order() {
        let first = Standing { order: 7, side: Side::Buy, price: 1, open: 1, total: 1, entries: 1 };
        let second = Standing { entries: 2, ..first };
        assert_ne!(first.client_order_id(), second.client_order_id());
        assert_eq!(order_of(second.client_order_id()), 7);
    }
}
