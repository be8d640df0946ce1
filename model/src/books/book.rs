//! The state of the naive book.

use mizan_wire::orders::{
    BookCapacity, BookRules, CancelReason, NewOrder, OrderKind, OrderReport, ReportKind, SLOT_NONE,
    Side, TradingState,
};
use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};

/// An open order: what was asked for, and what has become of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ModelOrder {
    /// Its number.
    pub number: u64,
    /// What was asked for last; of a triggered order `kind` is what it has become.
    pub terms: NewOrder,
    /// Its place in time: orders that came later have a higher one.
    pub priority: u64,
    /// Lots that were traded.
    pub filled: u64,
    /// Lots that it lost without ending.
    pub cancelled: u64,
    /// Ticks times lots of its trades as a taker; only where it has a budget.
    pub(crate) spent: u128,
}

impl ModelOrder {
    /// Lots that can still trade.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.terms.quantity - self.filled - self.cancelled
    }

    pub(crate) fn report(&self, kind: ReportKind, quantity: u64) -> OrderReport {
        OrderReport {
            number: self.number,
            price: self.terms.price,
            quantity,
            open: self.open(),
            owner: self.terms.owner,
            tag: self.terms.tag,
            slot: SLOT_NONE,
            kind: kind as u8,
            side: self.terms.side as u8,
            ..OrderReport::default()
        }
    }

    pub(crate) fn ended(&self, reason: CancelReason) -> OrderReport {
        let report = self.report(ReportKind::Cancelled, self.open());
        OrderReport { open: 0, reason: reason as u16, ..report }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct ModelBook {
    pub(crate) rules: BookRules,
    pub(crate) capacity: BookCapacity,
    /// Resting orders, those that trade first in front; bids, then asks.
    pub(crate) resting: [Vec<ModelOrder>; 2],
    /// Dormant orders, those that trades reach first in front; to buy, then to sell.
    pub(crate) dormant: [Vec<ModelOrder>; 2],
    pub(crate) state: TradingState,
    pub(crate) now_ns: u64,
    pub(crate) number_last: u64,
    pub(crate) priority_last: u64,
    /// The price of the last trade.
    pub(crate) last_trade: Option<u64>,
    /// Prices that are still to be compared with stop prices.
    pub(crate) fresh: Vec<u64>,
    /// Triggered orders whose turn has not come, in their order.
    pub(crate) waiting: VecDeque<ModelOrder>,
    /// The first of them has begun to trade, and goes on up to this price.
    pub(crate) begun: Option<u64>,
    /// What commands may still look at; no bound by itself.
    pub(crate) looks_left: Option<u64>,
}

impl ModelBook {
    /// An empty book, open, at time 0.
    #[must_use]
    pub fn new(rules: BookRules, capacity: BookCapacity) -> Self {
        Self {
            rules,
            capacity,
            resting: [Vec::new(), Vec::new()],
            dormant: [Vec::new(), Vec::new()],
            state: TradingState::Open,
            now_ns: 0,
            number_last: 0,
            priority_last: 0,
            last_trade: None,
            fresh: Vec::new(),
            waiting: VecDeque::new(),
            begun: None,
            looks_left: None,
        }
    }

    /// The resting orders of a side, in the order in which they trade.
    #[must_use]
    pub fn resting(&self, side: Side) -> &[ModelOrder] {
        &self.resting[side as usize]
    }

    /// The dormant orders of a side, in the order in which trades reach them.
    #[must_use]
    pub fn dormant(&self, side: Side) -> &[ModelOrder] {
        &self.dormant[side as usize]
    }

    /// Bounds what the commands that follow may look at.
    pub fn bound_looks(&mut self, looks: u64) {
        self.looks_left = Some(looks);
    }

    /// What is left of it, if there is a bound.
    #[must_use]
    pub const fn looks_left(&self) -> Option<u64> {
        self.looks_left
    }

    /// Takes so many looks, or none if they are too few.
    pub(crate) fn look(&mut self, count: u64) -> bool {
        let Some(left) = &mut self.looks_left else { return true };
        let is_enough = *left >= count;
        if is_enough {
            *left -= count;
        }
        is_enough
    }

    /// The triggered orders whose turn has not come, in their order.
    #[must_use]
    pub const fn waiting(&self) -> &VecDeque<ModelOrder> {
        &self.waiting
    }

    /// Whether any wait, or are still to be triggered.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || !self.fresh.is_empty()
    }

    fn standing(&self) -> impl Iterator<Item = &ModelOrder> {
        self.resting.iter().chain(&self.dormant).flatten()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &ModelOrder> {
        self.standing().chain(&self.waiting)
    }

    /// Puts an order behind all that came before it.
    pub(crate) fn put(&mut self, mut order: ModelOrder) {
        self.priority_last += 1;
        order.priority = self.priority_last;
        let side = order.terms.side as usize;
        if is_dormant(&order) {
            let orders = &mut self.dormant[side];
            orders.push(order);
            match side {
                0 => orders.sort_by_key(|order| (order.terms.stop_price, order.priority)),
                _ => orders.sort_by_key(|order| (Reverse(order.terms.stop_price), order.priority)),
            }
        } else {
            let orders = &mut self.resting[side];
            orders.push(order);
            match side {
                0 => orders.sort_by_key(|order| (Reverse(order.terms.price), order.priority)),
                _ => orders.sort_by_key(|order| (order.terms.price, order.priority)),
            }
        }
    }

    /// Takes an order out, wherever it is.
    pub(crate) fn pull(&mut self, number: u64) -> Option<ModelOrder> {
        for orders in self.resting.iter_mut().chain(&mut self.dormant) {
            if let Some(index) = orders.iter().position(|order| order.number == number) {
                return Some(orders.remove(index));
            }
        }
        let index = self.waiting.iter().position(|order| order.number == number)?;
        if index == 0 {
            self.begun = None;
        }
        self.waiting.remove(index)
    }

    pub(crate) fn find(&self, number: u64, owner: u32) -> Option<&ModelOrder> {
        self.all().find(|order| order.number == number && order.terms.owner == owner)
    }

    /// Whether an order with these terms finds a level, if the order `without` has left.
    pub(crate) fn has_level(&self, terms: &NewOrder, without: u64) -> bool {
        let level = |terms: &NewOrder| match terms.kind {
            OrderKind::Stop | OrderKind::StopLimit => (true, terms.side, terms.stop_price),
            OrderKind::Limit | OrderKind::Market => (false, terms.side, terms.price),
        };
        let others = self.standing().filter(|order| order.number != without);
        let mut levels: BTreeSet<_> = others.map(|order| level(&order.terms)).collect();
        levels.insert(level(terms));
        levels.len() <= self.capacity.levels_max as usize
    }
}

pub(crate) fn is_dormant(order: &ModelOrder) -> bool {
    matches!(order.terms.kind, OrderKind::Stop | OrderKind::StopLimit)
}
