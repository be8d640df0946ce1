//! Rounds that confirm reads: a read is answered once other nodes have confirmed, after it came, that this node still
//! leads.
//!
//! Invariants: a round confirms the reads that had come before it began, all of them, and none that came later; one round
//! is under way at a time, and those that come meanwhile share the next one. What is absent: the messages of a round,
//! which are the replica's.

use crate::cluster::state::ClusterState;

/// A round that was begun.
#[derive(Clone, Copy, Debug)]
struct Round {
    number: u64,
    /// Ring position of the last read that had come.
    position: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct ReadRounds {
    running: Option<Round>,
    begun: u64,
}

impl ReadRounds {
    /// Begins a round if reads wait that none was begun for. `begin` returns its number; `None`: this node does not lead.
    pub(crate) fn begin(&mut self, state: &ClusterState, begin: impl FnOnce() -> Option<u64>) {
        // Looked at before the round begins: what comes from now on waits for the next.
        let position = state.reads_wanted();
        if self.running.is_some() || position <= state.reads_confirmed() {
            return;
        }
        if let Some(number) = begin() {
            self.running = Some(Round { number, position });
            self.begun += 1;
        }
    }

    /// All rounds up to this one are confirmed.
    pub(crate) fn confirm(&mut self, state: &ClusterState, number: u64) {
        if let Some(round) = self.running.take_if(|round| round.number <= number) {
            state.confirm_reads(round.position);
        }
    }

    /// Rounds begun for reads.
    pub(crate) const fn begun(&self) -> u64 {
        self.begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::status::ClusterStatus;
    use mio::{Poll, Token, Waker};
    use std::sync::Arc;

    fn state() -> ClusterState {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        ClusterState::new(waker, mizan_ring::Signal::new(), ClusterStatus::default())
    }

    #[test]
    fn a_round_confirms_all_reads_that_came_before_it_began_and_none_that_came_after() {
        let (state, mut rounds) = (state(), ReadRounds::default());
        rounds.begin(&state, || panic!("no read waits"));
        state.want_reads(10);
        state.want_reads(30);
        rounds.begin(&state, || Some(7));
        state.want_reads(50);
        rounds.begin(&state, || panic!("a round is under way"));
        assert_eq!(state.reads_confirmed(), 0);
        rounds.confirm(&state, 6);
        assert_eq!(state.reads_confirmed(), 0, "that was another round");
        rounds.confirm(&state, 7);
        assert_eq!(state.reads_confirmed(), 30, "the read at 50 came after the round began");
        rounds.confirm(&state, 8);
        assert_eq!(state.reads_confirmed(), 30, "no round for it was begun");
        rounds.begin(&state, || Some(9));
        rounds.confirm(&state, 11);
        assert_eq!((state.reads_confirmed(), rounds.begun()), (50, 2));
        rounds.begin(&state, || panic!("no read waits"));
    }

    #[test]
    fn a_round_that_cannot_begin_is_tried_again() {
        let (state, mut rounds) = (state(), ReadRounds::default());
        state.want_reads(3);
        rounds.begin(&state, || None);
        rounds.begin(&state, || Some(1));
        rounds.confirm(&state, 1);
        assert_eq!((state.reads_confirmed(), rounds.begun()), (3, 1));
    }
}
