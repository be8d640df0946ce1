//! Open holds: what pending transfers reserve, and when that ends.
//!
//! Invariants: a hold exists exactly while its pending transfer is neither posted, voided nor expired; one with a
//! timeout stands in the queue of due times exactly once, one without stands nowhere; a resolved hold leaves both at
//! once and its place is used again.
//!
//! What is absent: balances; a hold knows its transfer's slot, and the ledger does the rest.

use crate::heap::{Due, DueHeap, Positions};
use mizan_memory::reserve_touched;

/// The position of a hold that never expires, or is not open.
const NOWHERE: u32 = u32::MAX;

/// The states of a place for a hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
enum HoldState {
    Free,
    Open,
}

/// An open hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    /// What is still reserved.
    pub(crate) remaining: u128,
    /// When it ends by itself, nanoseconds since 1970; 0 for never.
    pub(crate) expires_ns: u64,
    /// The pending transfer.
    pub(crate) transfer_slot: u32,
    position: u32,
    /// Which kind of hold: 0 is the plain pending transfer.
    pub(crate) class: u16,
    /// How often part of it was taken.
    pub(crate) captures: u16,
    state: HoldState,
}

struct Slab(Vec<Hold>);

impl Positions for Slab {
    fn set_position(&mut self, hold: u32, position: u32) {
        self.0[hold as usize].position = position;
    }
}

/// See the module.
pub(crate) struct Holds {
    slab: Slab,
    free: Vec<u32>,
    queue: DueHeap,
    count_max: usize,
}

impl Holds {
    /// Reserves and touches room for `count_max` open holds: 76 bytes each.
    pub(crate) fn new(count_max: usize) -> Self {
        Self {
            slab: Slab(reserve_touched(count_max)),
            free: reserve_touched(count_max),
            queue: DueHeap::new(count_max),
            count_max,
        }
    }

    /// Open holds.
    pub(crate) const fn count(&self) -> usize {
        self.slab.0.len() - self.free.len()
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.count() >= self.count_max
    }

    /// The first due time, and the transfer slot of its hold.
    pub(crate) fn first_due(&self) -> Option<(u64, u32)> {
        let due = self.queue.first()?;
        Some((due.expires_ns, self.slab.0[due.hold as usize].transfer_slot))
    }

    #[inline]
    pub(crate) fn prefetch(&self, hold: u32) {
        mizan_memory::prefetch_index(&self.slab.0, hold as usize);
    }

    /// Opens a hold; `timestamp` is the pending transfer's. Gives the hold's number.
    ///
    /// # Panics
    /// If all places are taken: the ledger checks that first.
    pub(crate) fn open(
        &mut self,
        remaining: u128,
        expires_ns: u64,
        transfer_slot: u32,
        timestamp: u64,
    ) -> u32 {
        assert!(!self.is_full(), "invariant: holds never exceed their maximum");
        let opened = Hold {
            remaining,
            expires_ns,
            transfer_slot,
            position: NOWHERE,
            class: 0,
            captures: 0,
            state: HoldState::Open,
        };
        let hold = match self.free.pop() {
            Some(hold) => {
                self.slab.0[hold as usize] = opened;
                hold
            }
            None => {
                self.slab.0.push(opened);
                self.slab.0.len() as u32 - 1
            }
        };
        if expires_ns != 0 {
            self.queue.insert(Due { expires_ns, timestamp, hold }, &mut self.slab);
        }
        hold
    }

    /// Takes a hold out, and its due time with it; gives what was reserved.
    ///
    /// # Panics
    /// If it is not open: transfers and holds would contradict each other.
    pub(crate) fn close(&mut self, hold: u32) -> u128 {
        let place = &mut self.slab.0[hold as usize];
        assert!(place.state == HoldState::Open, "invariant: only an open hold is closed");
        place.state = HoldState::Free;
        let (remaining, position) = (place.remaining, place.position);
        if position != NOWHERE {
            place.position = NOWHERE;
            self.queue.remove(position, &mut self.slab);
        }
        self.free.push(hold);
        remaining
    }

    /// All open holds, in no particular order that matters.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Hold)> {
        let numbered = (0u32..).zip(&self.slab.0);
        numbered.filter(|(_, hold)| hold.state == HoldState::Open)
    }

    /// Whether the queue holds exactly the open holds with a due time, in order.
    pub(crate) fn is_consistent(&self) -> bool {
        let is_queued = |number: u32, hold: &Hold| match hold.expires_ns {
            0 => hold.position == NOWHERE,
            expires_ns => self
                .queue
                .at(hold.position)
                .is_some_and(|due| due.hold == number && due.expires_ns == expires_ns),
        };
        let timed = self.iter().filter(|(_, hold)| hold.expires_ns != 0).count();
        self.queue.is_ordered()
            && self.queue.count() == timed
            && self.iter().all(|(number, hold)| is_queued(number, hold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_hold_leaves_the_queue_at_once_and_its_place_is_used_again() {
        let mut holds = Holds::new(3);
        let early = holds.open(10, 100, 0, 1);
        let late = holds.open(20, 200, 1, 2);
        let never = holds.open(30, 0, 2, 3);
        assert!(holds.is_full() && holds.is_consistent());
        assert_eq!(holds.first_due(), Some((100, 0)));
        assert_eq!(holds.close(early), 10);
        assert_eq!(holds.first_due(), Some((200, 1)));
        assert!(holds.iter().all(|(number, _)| number != early));
        assert_eq!(holds.open(40, 150, 3, 4), early);
        assert_eq!(holds.first_due(), Some((150, 3)));
        assert_eq!((holds.close(never), holds.close(late)), (30, 20));
        assert_eq!(holds.count(), 1);
        assert!(holds.is_consistent());
    }
}
