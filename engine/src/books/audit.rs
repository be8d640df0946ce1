//! The audit of a whole book: everything that is kept incrementally is computed anew and compared.

use crate::books::book::Book;
use crate::books::levels::Ladder;
use crate::books::limits::NONE;
use crate::error::InvariantError;

fn ensure(condition: bool, what: impl FnOnce() -> String) -> Result<(), InvariantError> {
    if condition { Ok(()) } else { Err(InvariantError(what())) }
}

impl Book {
    /// Checks everything that must hold between two commands. Cost: a walk over all orders; for tests and `verify`.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn check_invariants(&self) -> Result<(), InvariantError> {
        let mut standing = 0;
        for ladder in Ladder::ALL {
            standing += self.check_ladder(ladder)?;
        }
        standing += self.check_waiting()?;
        ensure(standing == self.orders.count(), || {
            format!("{} orders are open, but {standing} stand in a queue", self.orders.count())
        })?;
        ensure(self.levels.is_consistent(), || {
            "a ladder is out of order, or a level is neither free nor in one".to_owned()
        })?;
        let bid = self.levels.best(Ladder::Bids);
        let crosses = bid.is_some_and(|bid| {
            self.levels.best(Ladder::Asks).is_some_and(|ask| !ask.key <= bid.key)
        });
        ensure(!crosses, || "the best bid reaches the best ask".to_owned())?;
        ensure(self.chosen.is_empty(), || "a command has left work undone".to_owned())?;
        self.check_due()
    }

    /// Walks the queue of triggered orders; gives their number.
    fn check_waiting(&self) -> Result<usize, InvariantError> {
        let (mut previous, mut slot, mut count) = (NONE, self.waiting.head, 0);
        while slot != NONE {
            let order = &self.orders.places[slot as usize];
            let name = order.number;
            let stands = name != 0 && order.level == NONE && order.previous == previous;
            let total = order.filled + order.open + self.orders.cancelled(slot);
            let is_sound = order.open > 0 && total == order.original && !order.kind.is_dormant();
            ensure(stands && is_sound, || format!("order {name} waits where it does not belong"))?;
            count += 1;
            previous = slot;
            slot = order.next;
        }
        let agrees = previous == self.waiting.tail && count == self.waiting.count;
        let is_begun = self.waiting.begun.is_some();
        ensure(agrees && !(is_begun && count == 0), || {
            format!("{count} triggered orders wait, not {:?}", self.waiting)
        })?;
        Ok(count as usize)
    }

    /// Checks the queues of a ladder; gives the number of orders in them.
    fn check_ladder(&self, ladder: Ladder) -> Result<usize, InvariantError> {
        let mut standing = 0;
        for rung in self.levels.rungs(ladder) {
            let level = &self.levels.slab[rung.level as usize];
            let price = level.price;
            ensure(ladder.key(price) == rung.key && level.ladder == ladder, || {
                format!("the level at {price} does not stand where it belongs")
            })?;
            let (count, quantity) = self.check_queue(rung.level)?;
            ensure((count, quantity) == (level.count, level.quantity) && count > 0, || {
                format!(
                    "the level at {price} has {count} orders for {quantity} lots, not {level:?}"
                )
            })?;
            standing += count as usize;
        }
        Ok(standing)
    }

    /// Walks a level's queue; gives the number of orders and the sum of their open lots.
    fn check_queue(&self, number: u32) -> Result<(u32, u64), InvariantError> {
        let level = &self.levels.slab[number as usize];
        let (mut previous, mut slot, mut count, mut quantity) = (NONE, level.head, 0, 0);
        while slot != NONE {
            let order = &self.orders.places[slot as usize];
            let name = order.number;
            ensure(name != 0 && order.level == number && order.previous == previous, || {
                format!("order {name} does not stand where its level has it")
            })?;
            let total = order.filled + order.open + self.orders.cancelled(slot);
            ensure(order.open > 0 && total == order.original, || {
                format!("order {name} is for {} lots, accounted for are {total}", order.original)
            })?;
            let is_dormant = matches!(level.ladder, Ladder::StopsToBuy | Ladder::StopsToSell);
            ensure(order.kind.is_dormant() == is_dormant, || {
                format!("order {name} stands among orders of another kind")
            })?;
            ensure(is_dormant || order.price == level.price, || {
                format!("order {name} stands at {}, its limit is {}", level.price, order.price)
            })?;
            count += 1;
            quantity += order.open;
            previous = slot;
            slot = order.next;
        }
        ensure(previous == level.tail, || {
            format!("the queue at {} does not end with its last order", level.price)
        })?;
        Ok((count, quantity))
    }

    fn check_due(&self) -> Result<(), InvariantError> {
        let mut timed = 0;
        for (slot, order) in
            (0u32..).zip(&self.orders.places).filter(|(_, order)| order.number != 0)
        {
            let terms = self.orders.terms(slot);
            if terms.expires_ns == 0 {
                continue;
            }
            timed += 1;
            let due = self.due.at(terms.position);
            let agrees = due.is_some_and(|due| {
                (due.hold, due.expires_ns, due.timestamp) == (slot, terms.expires_ns, order.number)
            });
            ensure(agrees && terms.expires_ns > self.now_ns, || {
                format!("order {} does not stand in the queue of due times", order.number)
            })?;
        }
        ensure(timed == self.due.count() && self.due.is_ordered(), || {
            "the queue of due times is not that of the orders that end".to_owned()
        })
    }
}
