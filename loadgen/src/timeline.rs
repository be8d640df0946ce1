//! What happened when: events and latencies in slots of equal width, whose number is bounded however long the run is.

use crate::constants::{TIMELINE_SLOT_FIRST, TIMELINE_SLOTS_MAX};

/// What was answered within one slot.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Slot {
    pub(crate) events: u64,
    pub(crate) latency_us_max: u64,
}

impl Slot {
    fn add(&mut self, other: Self) {
        self.events += other.events;
        self.latency_us_max = self.latency_us_max.max(other.latency_us_max);
    }
}

/// The slots of a run, from its start.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    pub(crate) slot_ns: u64,
    pub(crate) slots: Vec<Slot>,
}

impl Timeline {
    pub(crate) fn new() -> Self {
        Self { slot_ns: TIMELINE_SLOT_FIRST.as_nanos() as u64, slots: Vec::new() }
    }

    pub(crate) fn record(&mut self, at_ns: u64, events: u64, latency_us: u64) {
        let mut place = at_ns / self.slot_ns;
        while place >= TIMELINE_SLOTS_MAX as u64 {
            self.coarsen();
            place = at_ns / self.slot_ns;
        }
        let place = place as usize;
        if place >= self.slots.len() {
            self.slots.resize(place + 1, Slot::default());
        }
        self.slots[place].add(Slot { events, latency_us_max: latency_us });
    }

    pub(crate) fn merge(&mut self, mut other: Self) {
        while other.slot_ns < self.slot_ns {
            other.coarsen();
        }
        while self.slot_ns < other.slot_ns {
            self.coarsen();
        }
        self.slots.resize(self.slots.len().max(other.slots.len()), Slot::default());
        for (slot, others) in self.slots.iter_mut().zip(other.slots) {
            slot.add(others);
        }
    }

    fn coarsen(&mut self) {
        self.slot_ns *= 2;
        self.slots = self
            .slots
            .chunks(2)
            .map(|pair| {
                let mut sum = Slot::default();
                pair.iter().for_each(|slot| sum.add(*slot));
                sum
            })
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_however_long_the_run() {
        let mut timeline = Timeline::new();
        for second in 0..10_000 {
            timeline.record(second * 1_000_000_000, 3, second);
        }
        assert!(timeline.slots.len() <= TIMELINE_SLOTS_MAX);
        assert_eq!(timeline.slots.iter().map(|slot| slot.events).sum::<u64>(), 30_000);
        assert_eq!(timeline.slots.last().map(|slot| slot.latency_us_max), Some(9_999));
        let ascends = timeline.slots.is_sorted_by_key(|slot| slot.latency_us_max);
        assert!(ascends, "{timeline:?}");
    }

    #[test]
    fn timelines_of_different_widths_are_merged_slot_by_slot() {
        let (mut short, mut long) = (Timeline::new(), Timeline::new());
        short.record(25_000_000, 5, 9);
        long.record(25_000_000, 1, 4);
        long.record(100_000_000_000, 2, 8);
        let width = long.slot_ns;
        short.merge(long);
        assert_eq!((short.slot_ns, short.slots[0]), (width, Slot { events: 6, latency_us_max: 9 }));
        assert_eq!(short.slots.iter().map(|slot| slot.events).sum::<u64>(), 8);
    }
}
