//! The operator: promotes where nothing is committed any more, lets a survivor go on alone, accepts losses.
//!
//! A sane one, hostile only in timing: after `detach` or `--solo` nobody but that node is promoted until it has company
//! again, and both are asked only of the node with the highest epoch, while the others are down. A loss is accepted
//! only where the policy leaves nothing else, and only with the number that a refusal named.

use crate::oracle::Violation;
use crate::world::{Event, MS, Standing, World};
use mizan_replica::{Command, Policy, Refusal};

impl World {
    /// The operator looks from time to time: where nothing is committed any more, somebody is promoted.
    pub(crate) fn operate(&mut self) -> Result<(), Violation> {
        let pause_ns = (400 + self.random.below(300)) * MS;
        self.after(pause_ns, Event::Operator);
        self.look_at_single();
        let seen = std::mem::take(&mut self.last_commit);
        if seen > 0 {
            return Ok(());
        }
        let mut index = self.random.below(self.node_count().into()) as u8;
        if self.is_healing {
            // One after the other, so that every refusal is heard.
            self.turn = (self.turn + 1) % self.node_count();
            index = self.turn;
        }
        if self.random.below(2) == 0 && self.may_go_alone(index) {
            return self.go_alone(index);
        }
        self.promote(index)
    }

    /// The node that acknowledges alone has company again when its record says so.
    fn look_at_single(&mut self) {
        let Some(index) = self.single else { return };
        let Some(node) = &self.places[usize::from(index)].node else { return };
        let config = node.replica.status().config;
        let is_restored = config.min_sync == config.min_sync_base;
        if node.is_primary && is_restored && node.has_committed_config() {
            self.single = None;
        }
    }

    fn may_go_alone(&self, index: u8) -> bool {
        let place = &self.places[usize::from(index)];
        let others_are_down = self.places.iter().filter(|other| other.node.is_some()).count() == 1;
        self.single.is_none()
            && !self.places.iter().any(|place| place.is_damaged)
            && self.base_config.min_sync > 1
            && others_are_down
            && place.node.as_ref().is_some_and(|node| {
                node.replica.status().epoch == self.highest_epoch
                    && (node.is_primary || self.node_count() == 2)
            })
    }

    fn go_alone(&mut self, index: u8) -> Result<(), Violation> {
        let now_ns = self.now_ns;
        let Some(node) = &mut self.places[usize::from(index)].node else { return Ok(()) };
        let command = if node.is_primary {
            Command::Detach
        } else {
            Command::Promote { solo: true, accept_loss_after: None, log_timestamp: None }
        };
        let outcome = node.replica.handle_admin(command, now_ns);
        self.note(&format!("operator lets {index} go on alone: {outcome:?}"));
        if outcome.is_ok() {
            self.places[usize::from(index)].standing = None;
            self.single = Some(index);
            self.report.singles += 1;
        }
        self.drain(index)
    }

    pub(crate) fn promote(&mut self, index: u8) -> Result<(), Violation> {
        let index = self.single.unwrap_or(index);
        let now_ns = self.now_ns;
        // The one that went on alone has everything, though no other disk may be left to say so.
        let may_lose = self.base_config.policy != Policy::TwoDisks
            || self.oracle.has_losses()
            || self.single.is_some();
        let accepts = may_lose && (self.is_healing || self.random.below(2) == 0);
        let has_rival =
            (0..self.node_count()).any(|other| other != index && self.is_candidate(other));
        let place = &mut self.places[usize::from(index)];
        let Some(node) = &mut place.node else { return Ok(()) };
        let accept_loss_after = place.refused_at.take().filter(|_| accepts);
        let command = Command::Promote { solo: false, accept_loss_after, log_timestamp: None };
        let before = node.replica.status();
        let outcome = node.replica.handle_admin(command, now_ns);
        if outcome.is_ok() {
            self.report.rivals += u64::from(has_rival);
            let needs_others = before.config.grants_needed() > 1 && accept_loss_after.is_none();
            let (epoch, was_answered) = (before.epoch, false);
            place.standing = needs_others.then_some(Standing { epoch, was_answered });
            place.accepting = accept_loss_after.is_some();
        } else if outcome == Err(Refusal::NotAdmitted) && self.is_healing {
            // All disks that were admitted may be gone: then the last resort is one that had caught up with them.
            place.refused_at = Some(node.replica.status().end.sequence).filter(|end| *end > 0);
        }
        self.note(&format!("operator promotes {index}, {accept_loss_after:?}: {outcome:?}"));
        self.drain(index)
    }
}
