//! Promotions that are disturbed: while a node stands, processes start again, links are cut, and another node is promoted.
//!
//! What a node promised by a grant must outlive its process, and a candidate that starts again has forgotten that it
//! stood. Such things show only in the few milliseconds between a candidacy and its end, where ordinary faults hardly
//! ever fall.

use crate::oracle::Violation;
use crate::world::{Event, MS, World};
use mizan_replica::Role;

impl World {
    pub(crate) fn is_candidate(&self, index: u8) -> bool {
        let node = self.places[usize::from(index)].node.as_ref();
        node.is_some_and(|node| node.replica.status().role == Role::Candidate)
    }

    /// Counts a process that is about to end.
    pub(crate) fn count_candidate(&mut self, index: u8) {
        self.report.candidates_ended += u64::from(self.is_candidate(index));
    }

    /// A node that may reach too few others is promoted, and will not be left in peace.
    pub(crate) fn begin_contest(&mut self, node: u8, length_ns: u64) -> Result<(), Violation> {
        let others: Vec<u8> = (0..self.node_count()).filter(|other| *other != node).collect();
        let leads = |index: u8| {
            let other = self.places[usize::from(index)].node.as_ref();
            other.is_some_and(|other| other.is_primary)
        };
        let primary = others.iter().copied().find(|other| leads(*other));
        // Whoever is asked for a grant, if there is such a one beside the primary.
        let rival = others.iter().copied().find(|other| Some(*other) != primary);
        let rival = rival.unwrap_or(others[0]);
        match (primary, self.random.below(6)) {
            (_, 0) => self.isolate(node, length_ns),
            (Some(primary), 1..=4) => self.part_from(node, primary, length_ns, true),
            _ => {}
        }
        self.places[usize::from(node)].rival = Some(rival);
        self.promote(node)
    }

    /// A node stands: somebody starts again at once, it is cut off, another one is promoted, or several of these.
    pub(crate) fn contest(&mut self, candidate: u8, rival: u8) -> Result<(), Violation> {
        if self.is_healing {
            return Ok(());
        }
        self.report.contests += 1;
        self.note(&format!("the promotion of {candidate} is disturbed"));
        if self.random.below(3) > 0 {
            let length_ns = (50 + self.random.below(1_200)) * MS;
            self.isolate(candidate, length_ns);
        }
        if self.random.below(4) > 0 {
            let node = if self.random.below(3) == 0 { candidate } else { rival };
            let loses_power = self.random.below(2) == 0;
            self.crash(node, loses_power);
            let delay_ns = (1 + self.random.below(20)) * MS;
            self.after(delay_ns, Event::Restart { node });
        }
        if self.random.below(2) == 0 {
            let delay_ns = self.random.below(40) * MS;
            self.after(delay_ns, Event::Promote { node: rival });
        }
        Ok(())
    }

    /// Somebody else, who does not know of the first promotion.
    pub(crate) fn promote_in_haste(&mut self, node: u8) -> Result<(), Violation> {
        if self.is_healing { Ok(()) } else { self.promote(node) }
    }
}
