//! What a node must know of its log to compare it with another's: where each epoch ends.
//!
//! An epoch has one writer, so two logs that both hold frames of an epoch agree up to the shorter one's end in it.
//! The last shared point therefore follows from the ends alone. It deliberately holds no frames.

use crate::constants::EPOCHS_MAX;
use mizan_journal::Hash;

/// The end of a frame: how positions of logs are named.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct FrameEnd {
    /// Epoch of the frame; 0 for the start of the log.
    pub epoch: u64,
    /// Sequence of its last entry; 0 for the start of the log.
    pub sequence: u64,
    /// Hash of the frame; zeros for the start of the log.
    pub hash: Hash,
}

impl FrameEnd {
    /// The start of every log.
    pub const START: Self = Self { epoch: 0, sequence: 0, hash: [0; 16] };
}

/// The ends of a log's epochs, ascending.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LogIndex {
    ends: Vec<FrameEnd>,
}

impl LogIndex {
    /// Notes a frame that was appended.
    pub fn push(&mut self, end: FrameEnd) {
        match self.ends.last_mut() {
            Some(last) if last.epoch == end.epoch => *last = end,
            _ => {
                // The first epoch stays: it is what every log of the cluster shares.
                if self.ends.len() == EPOCHS_MAX {
                    self.ends.remove(1);
                }
                self.ends.push(end);
            }
        }
    }

    /// The last frame.
    #[must_use]
    pub fn last(&self) -> FrameEnd {
        self.ends.last().copied().unwrap_or(FrameEnd::START)
    }

    /// All ends, ascending.
    #[must_use]
    pub fn ends(&self) -> &[FrameEnd] {
        &self.ends
    }

    /// The last point that this log shares with another one; [`FrameEnd::START`] if there is none.
    #[must_use]
    pub fn shared_with(&self, others: &[FrameEnd]) -> FrameEnd {
        let mut shared = FrameEnd::START;
        for own in &self.ends {
            if let Some(other) = others.iter().find(|other| other.epoch == own.epoch) {
                let shorter = if own.sequence <= other.sequence { own } else { other };
                if shorter.epoch > shared.epoch {
                    shared = *shorter;
                }
            }
        }
        shared
    }

    /// Goes back to `end`, which is a point of this log.
    pub fn cut_to(&mut self, end: FrameEnd) {
        self.ends.retain(|known| known.epoch < end.epoch);
        if end.sequence > 0 {
            self.ends.push(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(epoch: u64, sequence: u64) -> FrameEnd {
        FrameEnd { epoch, sequence, hash: [epoch as u8; 16] }
    }

    fn index(ends: &[FrameEnd]) -> LogIndex {
        let mut index = LogIndex::default();
        ends.iter().for_each(|end| index.push(*end));
        index
    }

    #[test]
    fn two_logs_part_at_the_shorter_end_of_the_last_epoch_that_both_hold() {
        let primary = index(&[end(1, 5), end(4, 9), end(6, 20)]);
        assert_eq!(primary.shared_with(&[end(1, 5), end(3, 8)]), end(1, 5));
        assert_eq!(primary.shared_with(&[end(1, 5), end(4, 12)]), end(4, 9));
        assert_eq!(primary.shared_with(&[end(1, 5), end(4, 7)]), end(4, 7));
        assert_eq!(primary.shared_with(&[]), FrameEnd::START);
        assert_eq!(primary.shared_with(&[end(2, 7)]), FrameEnd::START);
    }

    #[test]
    fn a_cut_forgets_later_epochs_and_shortens_its_own() {
        let mut log = index(&[end(1, 5), end(4, 9), end(6, 20)]);
        log.cut_to(end(4, 7));
        assert_eq!(log.ends(), [end(1, 5), end(4, 7)]);
        log.cut_to(FrameEnd::START);
        assert_eq!(log.last(), FrameEnd::START);
    }

    #[test]
    fn the_index_stays_bounded_and_keeps_the_first_epoch() {
        let mut log = LogIndex::default();
        for epoch in 1..=EPOCHS_MAX as u64 + 10 {
            log.push(end(epoch, epoch));
        }
        assert_eq!(log.ends().len(), EPOCHS_MAX);
        assert_eq!(log.ends()[0], end(1, 1));
        assert_eq!(log.last().epoch, EPOCHS_MAX as u64 + 10);
    }
}
