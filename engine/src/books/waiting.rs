//! Triggered orders that wait for their turn: first come, first served, linked through the orders themselves.
//!
//! Invariants: an order that waits stands on no level, and is what its trigger has made of it: a limit or a market order.
//! Whoever waits is released before anything else trades in the book, so that the bound of looks changes when a stop is
//! released, and never in which order.

use crate::books::book::Book;
use crate::books::limits::NONE;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) head: u32,
    pub(crate) tail: u32,
    pub(crate) count: u32,
    /// The first one has traded already and goes on, up to this price. What its trades have reached comes after it.
    pub(crate) begun: Option<u64>,
}

impl Waiting {
    pub(crate) const NONE: Self = Self { head: NONE, tail: NONE, count: 0, begun: None };
}

impl Book {
    /// Whether triggered stops wait because the looks were spent; nothing is entered or amended then.
    #[must_use]
    #[inline]
    pub const fn is_waiting(&self) -> bool {
        self.waiting.head != NONE || !self.traded.is_empty()
    }

    /// Puts a triggered order, which stands on no level, at the end of the queue.
    pub(crate) fn wait(&mut self, slot: u32) {
        let before = std::mem::replace(&mut self.waiting.tail, slot);
        let order = &mut self.orders.places[slot as usize];
        (order.previous, order.next) = (before, NONE);
        match before {
            NONE => self.waiting.head = slot,
            _ => self.orders.places[before as usize].next = slot,
        }
        self.waiting.count += 1;
    }

    /// Puts an order back that has begun to trade and goes on later, as the first one.
    pub(crate) fn wait_again(&mut self, slot: u32, limit: u64) {
        let behind = std::mem::replace(&mut self.waiting.head, slot);
        let order = &mut self.orders.places[slot as usize];
        (order.previous, order.next) = (NONE, behind);
        match behind {
            NONE => self.waiting.tail = slot,
            _ => self.orders.places[behind as usize].previous = slot,
        }
        self.waiting.count += 1;
        self.waiting.begun = Some(limit);
    }

    /// Takes an order out of the queue, wherever it stands.
    #[cold]
    pub(crate) fn leave_waiting(&mut self, slot: u32) {
        let order = &self.orders.places[slot as usize];
        let (previous, next) = (order.previous, order.next);
        match previous {
            NONE => {
                self.waiting.head = next;
                self.waiting.begun = None;
            }
            _ => self.orders.places[previous as usize].next = next,
        }
        match next {
            NONE => self.waiting.tail = previous,
            _ => self.orders.places[next as usize].previous = previous,
        }
        self.waiting.count -= 1;
    }
}
