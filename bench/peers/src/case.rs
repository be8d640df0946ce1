//! What is measured: the case that all rivals run, the events that they carry, and what must arrive.
//!
//! Invariant: a run counts only if every event arrived once, whole, and in the order of its producer.

use clap::ValueEnum;
use serde::Serialize;

/// Most producers of a case.
pub(crate) const PRODUCERS_MAX: usize = 2;
/// Bits of a value below the number of its producer.
const PRODUCER_SHIFT: u32 = 56;
const VALUE_MASK: u64 = (1 << PRODUCER_SHIFT) - 1;
/// Words of an event: 128 bytes, as the cells of a node.
const WORDS: usize = 16;

/// Who produces; there is always one consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// The producer that must be alone, and is.
    Single,
    /// The producer that could be cloned, alone: two threads on two cores.
    Multi,
    /// Two producers at the same time: three threads, so on two cores also a measure of the scheduler.
    MultiTwo,
}

impl Mode {
    pub(crate) const fn producers(self) -> usize {
        match self {
            Self::Single | Self::Multi => 1,
            Self::MultiTwo => 2,
        }
    }
}

/// What both sides do while there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wait {
    /// Look again at once, with the hint that tells the core to relax.
    Spin,
    /// Give the rest of the time slice away.
    Yield,
    /// What the rival offers to save the processor: a wake-up, or a short sleep.
    Block,
}

/// One case, the same for all rivals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) mode: Mode,
    pub(crate) wait: Wait,
    /// Events that are published together.
    pub(crate) batch: usize,
    /// Events that the ring holds.
    pub(crate) capacity: usize,
    /// Events in all, a multiple of `batch` times the producers.
    pub(crate) events: u64,
    /// Whether each of two threads has a core of its own.
    pub(crate) pinned: bool,
    /// Whether our ring asks for huge pages, as that of a node does.
    pub(crate) huge_pages: bool,
}

impl Case {
    /// Batches that each producer publishes.
    pub(crate) fn batches_each(&self) -> u64 {
        self.events / self.mode.producers() as u64 / self.batch as u64
    }

    /// Events that each producer publishes.
    pub(crate) fn events_each(&self) -> u64 {
        self.events / self.mode.producers() as u64
    }
}

/// What travels: 128 bytes, aligned as the cells of a node.
#[derive(Clone, Copy)]
#[repr(C, align(128))]
pub(crate) struct Event(pub(crate) [u64; WORDS]);

impl Event {
    pub(crate) const EMPTY: Self = Self([0; WORDS]);

    /// The event of a producer that carries `value`; all of it is written.
    #[inline(always)]
    pub(crate) fn of(producer: usize, value: u64) -> Self {
        Self(words_of(producer, value))
    }
}

/// The words of an event, for rivals whose slots are better off without its alignment.
#[inline(always)]
pub(crate) fn words_of(producer: usize, value: u64) -> [u64; WORDS] {
    // One word over and over: whatever the rival, the compiler finds the same few vector stores.
    [(producer as u64) << PRODUCER_SHIFT | value; WORDS]
}

/// An event without alignment.
pub(crate) type Words = [u64; WORDS];

/// What a consumer saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrivals {
    next: [u64; PRODUCERS_MAX],
    faults: u64,
    sum: u64,
    count: u64,
}

impl Arrivals {
    /// Looks at both cache lines of an event.
    #[inline(always)]
    pub(crate) fn take(&mut self, words: &Words) {
        let (producer, value) = (words[0] >> PRODUCER_SHIFT, words[0] & VALUE_MASK);
        let next = &mut self.next[producer as usize % PRODUCERS_MAX];
        self.faults += u64::from(value != *next) + u64::from(words[WORDS - 1] != words[0]);
        *next = value + 1;
        self.sum += value;
        self.count += 1;
    }

    #[inline(always)]
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Why the run does not count, if it does not.
    pub(crate) fn check(&self, case: &Case) -> Result<(), String> {
        let each = case.events_each();
        let sum = (each * (each - 1) / 2).wrapping_mul(case.mode.producers() as u64);
        if (self.count, self.faults, self.sum) == (case.events, 0, sum) {
            return Ok(());
        }
        Err(format!(
            "{} of {} events arrived, {} of them torn or out of order, with the sum {} instead of {sum}",
            self.count, case.events, self.faults, self.sum
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: Case = Case {
        mode: Mode::MultiTwo,
        wait: Wait::Yield,
        batch: 1,
        capacity: 64,
        events: 4,
        pinned: false,
        huge_pages: false,
    };

    fn arrivals(events: &[Words]) -> Result<(), String> {
        let mut arrivals = Arrivals::default();
        events.iter().for_each(|words| arrivals.take(words));
        arrivals.check(&CASE)
    }

    #[test]
    fn events_of_two_producers_may_interleave_but_not_overtake_lose_or_tear() {
        let [a, b, c, d] = [words_of(0, 0), words_of(0, 1), words_of(1, 0), words_of(1, 1)];
        assert_eq!(arrivals(&[a, c, b, d]), Ok(()));
        assert!(arrivals(&[b, a, c, d]).is_err(), "one overtook");
        assert!(arrivals(&[a, b, c]).is_err(), "one is missing");
        assert!(arrivals(&[a, a, c, d]).is_err(), "one came twice");
        let mut torn = d;
        torn[15] = 7;
        assert!(arrivals(&[a, b, c, torn]).is_err(), "one is torn");
    }
}
