//! Open orders: one cache line each, in a slab, and beside it what only some of them have.
//!
//! Invariants: a place is free exactly while its number is 0; places are given last in, first out, so that the next
//! order's line is likely near; terms count only while the order's mark says so.
//!
//! What is absent: the queues that orders stand in (see `queue`); the slab only keeps their links.

use crate::books::limits::NONE;
use crate::heap::Positions;
use mizan_memory::reserve_touched_within;
use mizan_wire::orders::{NewOrder, OrderHandle, OrderKind, SelfTrade, Side, TimeInForce};

/// An order, as long as it is open.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Order {
    /// Its limit in ticks; 0 for none.
    pub(crate) price: u64,
    pub(crate) open: u64,
    pub(crate) filled: u64,
    /// The total: filled + open + cancelled.
    pub(crate) original: u64,
    /// Unique in the book, rising with entry; 0 marks a free place.
    pub(crate) number: u64,
    pub(crate) owner: u32,
    pub(crate) tag: u32,
    /// The order behind it on its level.
    pub(crate) next: u32,
    /// The order before it on its level.
    pub(crate) previous: u32,
    /// The level that it stands on.
    pub(crate) level: u32,
    pub(crate) side: Side,
    /// Of a triggered order what it has become: limit or market.
    pub(crate) kind: OrderKind,
    pub(crate) time_in_force: TimeInForce,
    pub(crate) marks: Marks,
}

const _: () = assert!(size_of::<Order>() == 64);

/// The self-trade mode in the low bits, and two marks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Marks(u8);

impl Marks {
    const SELF_TRADE: u8 = 7;
    const POST_ONLY: u8 = 8;
    const TERMS: u8 = 16;

    fn new(self_trade: SelfTrade, is_post_only: bool) -> Self {
        Self(self_trade as u8 | if is_post_only { Self::POST_ONLY } else { 0 })
    }

    #[inline]
    pub(crate) const fn self_trade(self) -> SelfTrade {
        match self.0 & Self::SELF_TRADE {
            0 => SelfTrade::Allow,
            1 => SelfTrade::CancelNewest,
            2 => SelfTrade::CancelOldest,
            3 => SelfTrade::CancelBoth,
            _ => SelfTrade::DecrementAndCancel,
        }
    }

    pub(crate) const fn is_post_only(self) -> bool {
        self.0 & Self::POST_ONLY != 0
    }

    /// Whether the order has terms in its place.
    #[inline]
    pub(crate) const fn has_terms(self) -> bool {
        self.0 & Self::TERMS != 0
    }
}

/// What only some orders have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderTerms {
    /// What a dormant stop order may spend once it is triggered, if anything but its price bounds that.
    pub(crate) budget: Option<u128>,
    /// When it ends; 0 for never.
    pub(crate) expires_ns: u64,
    /// Lots that it lost to its owner's other orders while it stayed open.
    pub(crate) cancelled: u64,
    /// Where it stands in the queue of due times.
    pub(crate) position: u32,
}

impl OrderTerms {
    pub(crate) const NONE: Self =
        Self { budget: None, expires_ns: 0, cancelled: 0, position: NONE };
}

impl Order {
    const FREE: Self = Self {
        price: 0,
        open: 0,
        filled: 0,
        original: 0,
        number: 0,
        owner: 0,
        tag: 0,
        next: NONE,
        previous: NONE,
        level: NONE,
        side: Side::Buy,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::GoodTillCancelled,
        marks: Marks(0),
    };

    #[inline]
    pub(crate) fn new(new: &NewOrder, number: u64) -> Self {
        Self {
            price: new.price,
            open: new.quantity,
            original: new.quantity,
            number,
            owner: new.owner,
            tag: new.tag,
            side: new.side,
            kind: new.kind,
            time_in_force: new.time_in_force,
            marks: Marks::new(new.self_trade, new.is_post_only),
            ..Self::FREE
        }
    }
}

/// The terms of all places.
pub(crate) struct AllTerms(Vec<OrderTerms>);

impl Positions for AllTerms {
    fn set_position(&mut self, slot: u32, position: u32) {
        self.0[slot as usize].position = position;
    }
}

/// See the module.
pub(crate) struct Orders {
    pub(crate) places: Vec<Order>,
    pub(crate) terms: AllTerms,
    free: Vec<u32>,
    count_max: usize,
}

impl Orders {
    /// Reserves room for `count_max` orders, 132 bytes each, and touches it as far as `bytes_left` goes.
    pub(crate) fn new(count_max: usize, bytes_left: &mut usize) -> Self {
        Self {
            places: reserve_touched_within(count_max, bytes_left),
            terms: AllTerms(reserve_touched_within(count_max, bytes_left)),
            free: reserve_touched_within(count_max, bytes_left),
            count_max,
        }
    }

    pub(crate) const fn count(&self) -> usize {
        self.places.len() - self.free.len()
    }

    #[inline]
    pub(crate) const fn is_full(&self) -> bool {
        self.free.is_empty() && self.places.len() >= self.count_max
    }

    /// A free place, which is the caller's to fill.
    ///
    /// # Panics
    /// If there is none: the checks at entry come first.
    #[inline]
    pub(crate) fn take_place(&mut self) -> u32 {
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        assert!(!self.is_full(), "invariant: open orders never exceed their maximum");
        self.places.push(Order::FREE);
        self.terms.0.push(OrderTerms::NONE);
        self.places.len() as u32 - 1
    }

    /// Gives a place back.
    #[inline]
    pub(crate) fn give_back(&mut self, slot: u32) {
        self.places[slot as usize].number = 0;
        self.free.push(slot);
    }

    /// The open order of this owner with this handle.
    #[inline]
    pub(crate) fn find(&self, handle: OrderHandle, owner: u32) -> Option<&Order> {
        let order = self.places.get(handle.slot as usize)?;
        let is_it = order.number == handle.number && order.number != 0 && order.owner == owner;
        is_it.then_some(order)
    }

    /// The terms of the order in a place.
    pub(crate) fn terms(&self, slot: u32) -> OrderTerms {
        match self.places[slot as usize].marks.has_terms() {
            true => self.terms.0[slot as usize],
            false => OrderTerms::NONE,
        }
    }

    /// Stores terms for the order in a place.
    pub(crate) fn set_terms(&mut self, slot: u32, terms: OrderTerms) {
        self.places[slot as usize].marks.0 |= Marks::TERMS;
        self.terms.0[slot as usize] = terms;
    }

    /// Lots of the order in a place that were cancelled while it stayed open.
    #[inline]
    pub(crate) fn cancelled(&self, slot: u32) -> u64 {
        match self.places[slot as usize].marks.has_terms() {
            true => self.terms.0[slot as usize].cancelled,
            false => 0,
        }
    }
}
