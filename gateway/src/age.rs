//! Connections in the order of how long they have been in some state.
//!
//! The order is total, and changes cost O(log n): only connections that are slow or at an end stand in such a queue.

use std::collections::BTreeSet;

/// A set of connections by the time since which something is so.
#[derive(Debug, Default)]
pub(crate) struct AgeQueue {
    members: BTreeSet<(u64, u32)>,
}

impl AgeQueue {
    /// Moves a connection from one time to another; `None` is outside of the queue.
    pub(crate) fn set(&mut self, slot: u32, place: &mut Option<u64>, since_ns: Option<u64>) {
        if *place == since_ns {
            return;
        }
        if let Some(old) = *place {
            self.members.remove(&(old, slot));
        }
        if let Some(new) = since_ns {
            self.members.insert((new, slot));
        }
        *place = since_ns;
    }

    /// The connection that has been here for longest.
    pub(crate) fn oldest(&self) -> Option<(u64, u32)> {
        self.members.first().copied()
    }

    /// The connection that has been here for longest, if for at least so long.
    pub(crate) fn expired(&self, now_ns: u64, timeout_ns: u64) -> Option<u32> {
        let (since_ns, slot) = self.oldest()?;
        (now_ns.saturating_sub(since_ns) >= timeout_ns).then_some(slot)
    }

    /// All connections, the oldest first, that have been here for at least so long.
    pub(crate) fn all_expired(
        &self,
        now_ns: u64,
        timeout_ns: u64,
    ) -> impl Iterator<Item = u32> + '_ {
        let members = self.members.iter();
        members
            .take_while(move |(since_ns, _)| now_ns.saturating_sub(*since_ns) >= timeout_ns)
            .map(|(_, slot)| *slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_comes_first_and_leaves_when_told() {
        let mut queue = AgeQueue::default();
        let (mut first, mut second) = (None, None);
        queue.set(1, &mut first, Some(20));
        queue.set(2, &mut second, Some(10));
        assert_eq!(queue.oldest(), Some((10, 2)));
        assert_eq!(queue.expired(19, 10), None);
        assert_eq!(queue.expired(20, 10), Some(2));
        assert_eq!(queue.all_expired(30, 10).collect::<Vec<_>>(), [2, 1]);
        queue.set(2, &mut second, Some(30));
        assert_eq!(queue.oldest(), Some((20, 1)));
        queue.set(1, &mut first, None);
        queue.set(2, &mut second, None);
        assert_eq!((queue.oldest(), first, second), (None, None, None));
    }
}
