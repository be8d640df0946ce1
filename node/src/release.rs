//! Which results may be answered: durable here, committed by the copies that the policy asks for, and, for reads,
//! confirmed not to come from a primary that is one no more.
//!
//! Invariant: results are released in the order of the ring. A write that is committed confirms the reads before it: the
//! nodes that hold it were in this epoch after those reads had come. What is absent: any wait.

use crate::cell::{Entries, EntryHeader};
use crate::output::OutputHeader;
use mizan_wire::Operation;

/// The limits at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Release {
    /// Position in the request ring up to which everything is durable and applied here.
    pub(crate) position: u64,
    /// Highest sequence that enough nodes hold.
    pub(crate) sequence: u64,
    /// Position up to which reads are confirmed.
    pub(crate) reads: u64,
}

impl Release {
    /// A node of its own asks nobody.
    pub(crate) const fn of_one_node(position: u64) -> Self {
        Self { position, sequence: u64::MAX, reads: u64::MAX }
    }

    /// Whether a result may go out.
    pub(crate) fn admits(&self, header: &OutputHeader) -> bool {
        self.is_committed(header) && (self.reads >= header.position || !is_read(header))
    }

    fn is_committed(&self, header: &OutputHeader) -> bool {
        header.position <= self.position && header.applied_sequence <= self.sequence
    }

    /// Whether nothing but a round stands in the way of a result.
    pub(crate) fn waits_for_round(&self, header: &OutputHeader) -> bool {
        self.is_committed(header) && is_read(header) && self.reads < header.position
    }

    /// Whether a committed write behind a read confirms it.
    #[cold]
    pub(crate) fn look_ahead<'a>(
        &mut self,
        header: &OutputHeader,
        rest: Entries<'a, OutputHeader>,
    ) -> bool {
        if !self.waits_for_round(header) {
            return false;
        }
        for entry in rest.filter(|entry| !entry.header.is_padding()) {
            if !self.is_committed(entry.header) {
                return false;
            }
            if !is_read(entry.header) {
                self.reads = entry.header.position;
                return true;
            }
        }
        false
    }
}

fn is_read(header: &OutputHeader) -> bool {
    Operation::from_number(header.operation).is_some_and(Operation::is_read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{Cell, publish};
    use mizan_ring::RingOptions;

    fn result(operation: Operation, position: u64, applied_sequence: u64) -> OutputHeader {
        OutputHeader {
            operation: operation.number(),
            position,
            applied_sequence,
            ..OutputHeader::default()
        }
    }

    const WRITE: Operation = Operation::CreateTransfers;
    const READ: Operation = Operation::LookupAccounts;

    #[test]
    fn a_write_waits_for_its_disk_and_for_the_other_copies() {
        let release = Release { position: 10, sequence: 5, reads: 0 };
        assert!(release.admits(&result(WRITE, 10, 5)));
        assert!(!release.admits(&result(WRITE, 11, 5)));
        assert!(!release.admits(&result(WRITE, 10, 6)));
        assert!(Release::of_one_node(10).admits(&result(WRITE, 10, 99)));
        assert!(Release::of_one_node(10).admits(&result(READ, 10, 99)));
    }

    #[test]
    fn a_read_waits_for_a_round_and_for_the_writes_that_it_saw() {
        let release = Release { position: 10, sequence: 5, reads: 8 };
        assert!(release.admits(&result(READ, 8, 5)));
        assert!(!release.admits(&result(READ, 9, 5)));
        assert!(release.waits_for_round(&result(READ, 9, 5)));
        assert!(!release.admits(&result(READ, 8, 6)), "it saw what is not committed");
        assert!(!release.waits_for_round(&result(READ, 9, 6)));
    }

    #[test]
    fn a_committed_write_behind_a_read_confirms_it_and_an_uncommitted_one_does_not() {
        for (sequence, expected) in [(7, true), (6, false)] {
            let mut setup = RingOptions::new(64).allocate(Cell::ZERO).unwrap();
            let mut consumer = setup.consumer("test").add();
            let mut producer = setup.single_producer().unwrap();
            for header in [result(READ, 11, 6), result(WRITE, 12, 7), result(READ, 13, 7)] {
                publish(&mut producer, header, &[]).unwrap();
            }
            let batch = consumer.available().unwrap();
            let rest = Entries::<OutputHeader>::new(&batch);
            let mut release = Release { position: 20, sequence, reads: 0 };
            let first = result(READ, 10, 6);
            assert_eq!(release.look_ahead(&first, rest), expected);
            assert_eq!(release.admits(&first), expected);
            assert_eq!(release.admits(&result(READ, 11, 6)), expected);
            assert!(!release.admits(&result(READ, 13, 7)), "nothing behind it confirms it");
        }
    }
}
