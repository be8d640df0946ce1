//! The orders: every one that was ever accepted, in the order of their numbers, and who has which of them open.
//!
//! Invariants: an order's number is its place plus 1; an order is found by account and client id for ever; the open
//! orders of an account form a list in the order of their numbers; an order good till a date stands in the queue of
//! due times exactly while it is open.
//!
//! What is absent: prices and queues (the books have them), and balances.

use crate::heap::{Due, DueHeap, Positions};
use crate::id_table::{IdHash, IdTable};
use crate::trading::limits::NONE;
use crate::trading::open_set::OpenSet;
use mizan_memory::{prefetch_lines, prefetch_push, reserve_touched};
use mizan_wire::orders::{OrderHandle, OrderKind, Side, TimeInForce};
use mizan_wire::trading::OrderState;

/// Places of orders are asked for so many orders ahead.
const PUSHES_AHEAD: usize = 4;

/// What is remembered of an order. What entry, trades and cancel need is in its first two cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Order {
    pub(crate) client_order_id: u128,
    /// What it reserves: quote units of a buy, base units of a sell.
    pub(crate) held: u128,
    pub(crate) quote_slot: u32,
    pub(crate) base_slot: u32,
    pub(crate) instrument: u32,
    /// Its place in its book.
    pub(crate) slot: u32,
    /// Ticks times lots of its fills.
    pub(crate) notional: u128,
    /// Its number in its book.
    pub(crate) book_number: u64,
    pub(crate) open: u64,
    /// The highest price at which it can buy.
    pub(crate) price_bound: u64,
    pub(crate) filled: u64,
    pub(crate) expires_ns: u64,
    /// The account's next open order.
    pub(crate) next: u32,
    /// The account's open order before it.
    pub(crate) previous: u32,
    /// Where it stands in the queue of due times.
    pub(crate) position: u32,
    pub(crate) reason: u16,
    pub(crate) state: OrderState,
    pub(crate) side: Side,
    pub(crate) kind: OrderKind,
    pub(crate) time_in_force: TimeInForce,
    /// Whether the flat fee has been paid.
    pub(crate) paid_flat: bool,
    /// Ticks times lots that it may still spend, unless its price bounds it.
    pub(crate) budget: Option<u128>,
    /// Its fees so far in units of 1/10,000, flat fees apart.
    pub(crate) fee_exact: i128,
    /// Its fees so far.
    pub(crate) fee: i128,
    /// The limit in ticks; 0 for none.
    pub(crate) price: u64,
    pub(crate) stop_price: u64,
    pub(crate) quantity: u64,
    pub(crate) user_data_64: u64,
    pub(crate) timestamp: u64,
    /// The session that takes it along when it ends; 0 for none.
    pub(crate) session: u64,
    /// Tells an order from another one with the same client id.
    pub(crate) fingerprint: u64,
}

const _: () = {
    assert!(size_of::<Order>() == 256);
    assert!(std::mem::offset_of!(Order, paid_flat) < 128);
};

impl Order {
    /// An order that has only its names and its accounts.
    pub(crate) const fn empty(client_order_id: u128, quote_slot: u32, base_slot: u32) -> Self {
        Self {
            client_order_id,
            held: 0,
            notional: 0,
            budget: None,
            fee_exact: 0,
            fee: 0,
            price: 0,
            price_bound: 0,
            stop_price: 0,
            quantity: 0,
            filled: 0,
            open: 0,
            expires_ns: 0,
            user_data_64: 0,
            timestamp: 0,
            session: 0,
            book_number: 0,
            fingerprint: 0,
            quote_slot,
            base_slot,
            instrument: 0,
            slot: NONE,
            next: NONE,
            previous: NONE,
            position: NONE,
            reason: 0,
            state: OrderState::Open,
            side: Side::Buy,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::GoodTillCancelled,
            paid_flat: false,
        }
    }

    #[inline]
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.state, OrderState::Open | OrderState::Dormant)
    }

    /// The account that pays if the order trades.
    #[inline]
    pub(crate) const fn paying_slot(&self) -> u32 {
        match self.side {
            Side::Buy => self.quote_slot,
            Side::Sell => self.base_slot,
        }
    }

    #[inline]
    pub(crate) const fn handle(&self) -> OrderHandle {
        OrderHandle { number: self.book_number, slot: self.slot }
    }
}

/// The ends of an account's list of open orders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenList {
    pub(crate) head: u32,
    tail: u32,
}

impl OpenList {
    pub(crate) const EMPTY: Self = Self { head: NONE, tail: NONE };
}

/// See the module.
pub(crate) struct Orders {
    pub(crate) records: Records,
    table: IdTable,
    pub(crate) due: DueHeap,
    pub(crate) open: OpenSet,
    count_max: usize,
}

pub(crate) struct Records(pub(crate) Vec<Order>);

impl Positions for Records {
    fn set_position(&mut self, index: u32, position: u32) {
        self.0[index as usize].position = position;
    }
}

impl Orders {
    /// Reserves and touches room for `count_max` orders, about 270 bytes each.
    pub(crate) fn new(count_max: usize, open_count_max: usize, seed: u64) -> Self {
        Self {
            records: Records(reserve_touched(count_max)),
            table: IdTable::new(count_max.max(1), seed),
            due: DueHeap::new(open_count_max),
            open: OpenSet::new(count_max),
            count_max,
        }
    }

    pub(crate) const fn count(&self) -> usize {
        self.records.0.len()
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.records.0.len() >= self.count_max
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> &Order {
        &self.records.0[index as usize]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32) -> &mut Order {
        &mut self.records.0[index as usize]
    }

    #[inline]
    pub(crate) fn hash(&self, quote_slot: u32, client_order_id: u128) -> IdHash {
        // Any bijection of the id will do, as long as accounts that count from 1 do not share keys.
        const SPREAD: u128 = 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835;
        let spread = u128::from(quote_slot).wrapping_mul(SPREAD);
        self.table.hash(client_order_id ^ spread)
    }

    /// Asks for the line in which a search for an order begins.
    #[inline]
    pub(crate) fn prefetch(&self, quote_slot: u32, client_order_id: u128) {
        self.table.prefetch(self.hash(quote_slot, client_order_id));
    }

    /// Asks for what a cancel needs of an order that may not exist.
    #[inline]
    pub(crate) fn prefetch_number(&self, number: u64) {
        prefetch_lines::<2, _>(&self.records.0, number.wrapping_sub(1) as usize);
    }

    /// Asks for the neighbours of an order in its account's list.
    #[inline]
    pub(crate) fn prefetch_neighbours(&self, order: &Order) {
        prefetch_lines::<2, _>(&self.records.0, order.next as usize);
        prefetch_lines::<2, _>(&self.records.0, order.previous as usize);
    }

    /// Asks for the last order of an account's list, to which the next one is linked.
    #[inline]
    pub(crate) fn prefetch_tail(&self, list: &OpenList) {
        prefetch_lines::<2, _>(&self.records.0, list.tail as usize);
    }

    /// The order with this number, if there is one.
    #[inline]
    pub(crate) fn numbered(&self, number: u64) -> Option<&Order> {
        self.records.0.get(number.wrapping_sub(1) as usize)
    }

    /// An order that is likely to have this client id.
    #[inline]
    pub(crate) fn candidate(&self, quote_slot: u32, client_order_id: u128) -> Option<u32> {
        self.table.candidates(self.hash(quote_slot, client_order_id)).next()
    }

    /// The order of an account with this client id.
    #[inline]
    pub(crate) fn find(&self, quote_slot: u32, client_order_id: u128) -> Option<u32> {
        let is_it = |index: u32| {
            let order = self.get(index);
            order.client_order_id == client_order_id && order.quote_slot == quote_slot
        };
        self.table.find(self.hash(quote_slot, client_order_id), is_it)
    }

    /// Adds an order that its book may yet refuse; gives its index.
    #[inline]
    pub(crate) fn push(&mut self, order: Order) -> u32 {
        prefetch_push::<4, _>(&self.records.0, PUSHES_AHEAD);
        self.records.0.push(order);
        self.records.0.len() as u32 - 1
    }

    /// Forgets the order that was added last, which was refused.
    pub(crate) fn pop(&mut self) {
        self.records.0.pop();
    }

    /// Has an order that its book accepted found, and listed as open.
    #[inline]
    pub(crate) fn enter(&mut self, index: u32, list: &mut OpenList) {
        let order = self.get_mut(index);
        order.previous = list.tail;
        let (quote_slot, client_order_id) = (order.quote_slot, order.client_order_id);
        let (expires_ns, timestamp) = (order.expires_ns, order.timestamp);
        self.table.insert(self.hash(quote_slot, client_order_id), index);
        self.open.insert(index);
        match std::mem::replace(&mut list.tail, index) {
            NONE => list.head = index,
            before => self.get_mut(before).next = index,
        }
        if expires_ns != 0 {
            self.due.insert(Due { expires_ns, timestamp, hold: index }, &mut self.records);
        }
    }

    /// Takes an order that has ended out of the list and the queue.
    #[inline]
    pub(crate) fn leave(&mut self, index: u32, list: &mut OpenList) {
        let order = self.get_mut(index);
        let (next, previous, position) = (order.next, order.previous, order.position);
        order.position = NONE;
        self.open.remove(index);
        match previous {
            NONE => list.head = next,
            _ => self.get_mut(previous).next = next,
        }
        match next {
            NONE => list.tail = previous,
            _ => self.get_mut(next).previous = previous,
        }
        if position != NONE {
            self.due.remove(position, &mut self.records);
        }
    }

    /// The open orders of a list, by their indexes, ascending.
    pub(crate) fn listed(&self, list: OpenList) -> impl Iterator<Item = u32> + '_ {
        let first = (list.head != NONE).then_some(list.head);
        std::iter::successors(first, |index| self.listed_after(*index))
    }

    /// The open order behind an open one in its account's list.
    pub(crate) fn listed_after(&self, index: u32) -> Option<u32> {
        let next = self.get(index).next;
        (next != NONE).then_some(next)
    }

    /// Whether the queue of due times is that of the open orders that end, and the open orders are those in the set.
    pub(crate) fn is_consistent(&self) -> bool {
        let timed = |order: &&Order| order.is_open() && order.expires_ns != 0;
        let stands = |order: &Order| {
            self.due.at(order.position).is_some_and(|due| {
                (due.expires_ns, due.timestamp) == (order.expires_ns, order.timestamp)
            })
        };
        let all = &self.records.0;
        let mut open = self.open.next(0);
        for (index, order) in (0..).zip(all) {
            if order.is_open() != (open == Some(index)) {
                return false;
            }
            if order.is_open() {
                open = self.open.next(index + 1);
            }
        }
        open.is_none()
            && self.due.is_ordered()
            && self.due.count() == all.iter().filter(timed).count()
            && all.iter().filter(timed).all(stands)
            && self.table.count() == all.len()
    }
}
