//! First come, first served: the queue of orders on a level, linked through the orders themselves.

use crate::books::book::Book;
use crate::books::levels::Ladder;
use crate::books::limits::NONE;

impl Book {
    /// Puts an order at the end of the queue at a price.
    #[inline]
    pub(crate) fn append(&mut self, slot: u32, ladder: Ladder, price: u64) {
        let number = self.levels.find_or_open(ladder, price);
        let level = &mut self.levels.slab[number as usize];
        let before = std::mem::replace(&mut level.tail, slot);
        let order = &mut self.orders.places[slot as usize];
        order.level = number;
        order.previous = before;
        order.next = NONE;
        level.quantity += order.open;
        level.count += 1;
        match before {
            NONE => level.head = slot,
            _ => self.orders.places[before as usize].next = slot,
        }
    }

    /// Takes an order out of its queue, and the level with its last one; or out of the queue of those that wait. O(1) but for
    /// the search of such a level.
    #[inline]
    pub(crate) fn unlink(&mut self, slot: u32) {
        let order = &mut self.orders.places[slot as usize];
        let (next, previous, number, open) = (order.next, order.previous, order.level, order.open);
        order.level = NONE;
        let Some(level) = self.levels.slab.get_mut(number as usize) else {
            return self.leave_waiting(slot);
        };
        level.quantity -= open;
        level.count -= 1;
        if level.count == 0 {
            self.levels.close(number);
            return;
        }
        match previous {
            NONE => level.head = next,
            _ => self.orders.places[previous as usize].next = next,
        }
        match next {
            NONE => level.tail = previous,
            _ => self.orders.places[next as usize].previous = previous,
        }
    }
}
