//! Looking at a book. Nothing here changes it.

use crate::books::book::Book;
use crate::books::ladder::Rung;
use crate::books::levels::Ladder;
use crate::books::limits::NONE;
use crate::books::order::Order;
use mizan_wire::orders::{OrderHandle, OrderKind, Side, TradingState};

/// A price at which orders rest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DepthLevel {
    /// Ticks.
    pub price: u64,
    /// Open lots of all orders there.
    pub quantity: u64,
    /// Orders there.
    pub order_count: u32,
}

/// An open order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenOrder {
    /// Number and place.
    pub handle: OrderHandle,
    /// Whose it is.
    pub owner: u32,
    /// The tag that it came with.
    pub tag: u32,
    /// Buy or sell.
    pub side: Side,
    /// Stop and stop-limit are dormant; a triggered one is a limit order.
    pub kind: OrderKind,
    /// The limit in ticks; 0 for a dormant stop order.
    pub price: u64,
    /// The stop price in ticks; 0 unless it is dormant.
    pub stop_price: u64,
    /// Its total: what is open, was filled, and was decremented.
    pub original: u64,
    /// Lots that can still trade.
    pub open: u64,
    /// Lots that were traded.
    pub filled: u64,
}

impl Book {
    /// The best price of a side, and what rests there. O(1).
    #[must_use]
    pub fn best(&self, side: Side) -> Option<DepthLevel> {
        self.levels.best(Ladder::of(side)).map(|rung| self.depth_level(rung))
    }

    /// What rests on a side at a price. O(log levels).
    #[must_use]
    pub fn depth_at(&self, side: Side, price: u64) -> Option<DepthLevel> {
        let level = self.levels.find(Ladder::of(side), price)?;
        Some(self.depth_level(Rung { key: 0, level }))
    }

    /// The levels of a side, best first.
    pub fn depth(&self, side: Side) -> impl Iterator<Item = DepthLevel> {
        let rungs = self.levels.rungs(Ladder::of(side));
        rungs.map(|rung| self.depth_level(rung))
    }

    /// The resting orders of a side, in the order in which they trade.
    pub fn resting(&self, side: Side) -> impl Iterator<Item = OpenOrder> {
        self.standing(Ladder::of(side))
    }

    /// The dormant orders of a side, in the order in which trades reach them.
    pub fn dormant(&self, side: Side) -> impl Iterator<Item = OpenOrder> {
        self.standing(Ladder::of_stops(side))
    }

    /// Triggered orders that wait for their turn, the first one in front.
    pub fn waiting(&self) -> impl Iterator<Item = OpenOrder> {
        Queue { book: self, slot: self.waiting.head }
    }

    /// The open order with this handle. O(1).
    #[must_use]
    pub fn order(&self, handle: OrderHandle) -> Option<OpenOrder> {
        let order = self.orders.places.get(handle.slot as usize)?;
        let is_it = order.number == handle.number && order.number != 0;
        is_it.then(|| self.open_order(handle.slot, order))
    }

    /// Open orders, dormant ones included.
    #[must_use]
    pub const fn order_count(&self) -> usize {
        self.orders.count()
    }

    /// The price of the last trade.
    #[must_use]
    pub const fn last_trade(&self) -> Option<u64> {
        if self.last_trade == 0 { None } else { Some(self.last_trade) }
    }

    /// What the book accepts at the moment.
    #[must_use]
    pub const fn trading_state(&self) -> TradingState {
        self.state
    }

    /// When the next order expires, nanoseconds since 1970.
    #[must_use]
    pub fn next_due_ns(&self) -> Option<u64> {
        self.due.first().map(|due| due.expires_ns)
    }

    #[inline]
    pub(crate) fn best_price(&self, side: Side) -> Option<u64> {
        let best = self.levels.best(Ladder::of(side))?;
        Some(self.levels.slab[best.level as usize].price)
    }

    fn depth_level(&self, rung: Rung) -> DepthLevel {
        let level = &self.levels.slab[rung.level as usize];
        DepthLevel { price: level.price, quantity: level.quantity, order_count: level.count }
    }

    fn standing(&self, ladder: Ladder) -> impl Iterator<Item = OpenOrder> {
        let rungs = self.levels.rungs(ladder);
        let queue =
            |rung: Rung| Queue { book: self, slot: self.levels.slab[rung.level as usize].head };
        rungs.flat_map(queue)
    }

    fn open_order(&self, slot: u32, order: &Order) -> OpenOrder {
        let stop_price = match order.kind.is_dormant() {
            true => self.levels.slab[order.level as usize].price,
            false => 0,
        };
        OpenOrder {
            handle: OrderHandle { number: order.number, slot },
            owner: order.owner,
            tag: order.tag,
            side: order.side,
            kind: order.kind,
            price: order.price,
            stop_price,
            original: order.original,
            open: order.open,
            filled: order.filled,
        }
    }
}

struct Queue<'a> {
    book: &'a Book,
    slot: u32,
}

impl Iterator for Queue<'_> {
    type Item = OpenOrder;

    fn next(&mut self) -> Option<OpenOrder> {
        if self.slot == NONE {
            return None;
        }
        let (slot, order) = (self.slot, &self.book.orders.places[self.slot as usize]);
        self.slot = order.next;
        Some(self.book.open_order(slot, order))
    }
}
