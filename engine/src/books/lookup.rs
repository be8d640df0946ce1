//! What a caller that keeps money beside the book has to know before it sends a command.

use crate::books::book::Book;
use crate::books::levels::Ladder;
use mizan_wire::orders::{AmendOrder, OrderReject};

impl Book {
    /// Why an amend would be refused, if it would. Changes nothing.
    #[must_use]
    pub fn refuses_amend(&self, amend: &AmendOrder) -> Option<OrderReject> {
        if let Err(reject) = self.check_open() {
            return Some(reject);
        }
        match self.orders.find(amend.handle, amend.owner) {
            None => Some(OrderReject::OrderUnknown),
            Some(order) => self.check_amend(amend, order).err(),
        }
    }

    /// Whether any order is dormant. O(1).
    #[must_use]
    #[inline]
    pub fn has_dormant(&self) -> bool {
        self.levels.best(Ladder::StopsToBuy).is_some()
            || self.levels.best(Ladder::StopsToSell).is_some()
    }
}
