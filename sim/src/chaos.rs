//! What goes wrong.

use crate::node::format;
use crate::oracle::Violation;
use crate::world::{Event, Healing, MS, World};
use mizan_journal::sim::SimRandom;

/// Forward or back, by seconds, now and then by an hour.
fn clock_jump_ns(random: &mut SimRandom) -> i64 {
    let longest_ms = if random.below(8) == 0 { 3_600_000 } else { 2_000 };
    let jump_ns = (random.below(longest_ms) * MS) as i64;
    if random.below(3) == 0 { -jump_ns } else { jump_ns }
}

impl World {
    /// A node's process ends; with its power gone, so is what was not synced.
    pub(crate) fn crash(&mut self, index: u8, loses_power: bool) {
        self.count_candidate(index);
        let place = &mut self.places[usize::from(index)];
        if place.node.take().is_none() {
            return;
        }
        place.life += 1;
        place.storage = if loses_power {
            place.storage.power_cycle(&mut self.random)
        } else {
            place.storage.restart()
        };
        self.report.crashes += 1;
        if loses_power {
            self.report.power_losses += 1;
        } else {
            self.report.kills += 1;
        }
        self.note(&format!("node {index} crashes, power lost: {loses_power}"));
        self.leave(index);
    }

    /// A process ends in order: everything is synced, and its disk knows.
    fn stop(&mut self, index: u8) {
        self.count_candidate(index);
        let place = &mut self.places[usize::from(index)];
        let Some(node) = place.node.take() else { return };
        place.life += 1;
        let is_closed = node.journal.is_some_and(|journal| journal.close().is_ok());
        place.storage = place.storage.restart();
        self.note(&format!("node {index} stops, in order: {is_closed}"));
        self.leave(index);
    }

    /// What the end of a process does to the others.
    fn leave(&mut self, index: u8) {
        for other in (0..self.node_count()).filter(|other| *other != index) {
            self.disconnect(index, other);
        }
        if !self.is_healing {
            let delay_ns = (50 + self.random.below(800)) * MS;
            self.after(delay_ns, Event::Restart { node: index });
        } else {
            self.after(50 * MS, Event::Restart { node: index });
        }
    }

    pub(crate) fn chaos(&mut self) -> Result<(), Violation> {
        if self.is_healing {
            return Ok(());
        }
        let delay_ns = (30 + self.random.below(350)) * MS;
        self.after(delay_ns, Event::Chaos);
        let node = self.random.below(self.node_count().into()) as u8;
        let length_ns = (50 + self.random.below(1_200)) * MS;
        self.strike(node, length_ns)
    }

    fn strike(&mut self, node: u8, length_ns: u64) -> Result<(), Violation> {
        let random = &mut self.random;
        let place = &mut self.places[usize::from(node)];
        match random.below(21) {
            0 | 1 => self.crash(node, true),
            2 | 3 => self.crash(node, false),
            4 => self.stop(node),
            5 => place.storage.lose_power_within(random.below(12), random.next_u64()),
            6 => place.storage.fail_next_sync(random.next_u64()),
            7 => {
                place.storage.set_full(true);
                self.note(&format!("node {node} has no room left"));
                self.after(length_ns, Event::Heal { what: Healing::Full { node } });
            }
            8 | 9 => return self.damage(node),
            10 => self.part(node, length_ns, true),
            11 => self.part(node, length_ns, false),
            12 => self.isolate(node, length_ns),
            13 => {
                place.paused_until_ns = self.now_ns + length_ns;
                self.note(&format!("node {node} pauses"));
            }
            14 => {
                // Once in a while a sync takes as long as on a disk that is about to fail.
                let longest_ms = if random.below(4) == 0 { 3_000 } else { 100 };
                place.sync_ns = (1 + random.below(longest_ms)) * MS;
                self.after(length_ns, Event::Heal { what: Healing::Slow { node } });
            }
            15 => self.loss_percent = random.below(6),
            16 => place.clock_skew_ns += clock_jump_ns(random),
            17 => return self.wipe(node),
            18 | 19 => return self.begin_contest(node, length_ns),
            _ => return self.promote(node),
        }
        Ok(())
    }

    /// Nothing gets through to and from a node.
    pub(crate) fn isolate(&mut self, node: u8, length_ns: u64) {
        self.report.candidates_cut += u64::from(self.is_candidate(node));
        for other in (0..self.node_count()).filter(|other| *other != node) {
            for (from, to) in [(node, other), (other, node)] {
                *self.cut.entry((from, to)).or_default() += 1;
                self.after(length_ns, Event::Heal { what: Healing::Cut { from, to } });
            }
        }
        self.note(&format!("node {node} is cut off"));
    }

    /// Nothing gets through between two nodes, or only in one direction.
    fn part(&mut self, node: u8, length_ns: u64, both: bool) {
        let other = (node + 1) % self.node_count();
        self.part_from(node, other, length_ns, both);
    }

    pub(crate) fn part_from(&mut self, node: u8, other: u8, length_ns: u64, both: bool) {
        self.note(&format!("{node} and {other} are parted, both ways: {both}"));
        for (from, to) in [(node, other), (other, node)].into_iter().take(1 + usize::from(both)) {
            *self.cut.entry((from, to)).or_default() += 1;
            self.after(length_ns, Event::Heal { what: Healing::Cut { from, to } });
        }
    }

    /// Whether a disk may go: no other one is damaged, new, or alone with what was acknowledged.
    pub(crate) fn is_every_copy_whole(&self) -> bool {
        let incarnations: Vec<u64> = self.places.iter().map(|place| place.incarnation).collect();
        self.single.is_none()
            && !self.places.iter().any(|place| place.is_damaged)
            && self.places.iter().filter_map(|place| place.node.as_ref()).any(|node| {
                let config = node.replica.status().config;
                node.is_primary
                    && node.has_committed_config()
                    && config.min_sync == config.min_sync_base
                    && config.incarnations[..incarnations.len()] == incarnations
            })
    }

    /// A disk is replaced: only while every other copy is whole, as an operator would.
    fn wipe(&mut self, index: u8) -> Result<(), Violation> {
        if !self.is_every_copy_whole() {
            return Ok(());
        }
        self.crash(index, true);
        self.new_disk(index)
    }

    /// A node stopped with an alarm: somebody has looked, and it gets a new disk, unless it may be the only one that is left.
    pub(crate) fn replace_stopped(&mut self, index: u8) -> Result<(), Violation> {
        let node = self.places[usize::from(index)].node.as_ref();
        if node.is_none_or(|node| node.replica.status().role != mizan_replica::Role::Stopped) {
            return Ok(());
        }
        let has_truth = self.places.iter().any(|place| {
            !place.is_damaged && place.node.as_ref().is_some_and(|node| node.is_primary)
        });
        self.crash(index, has_truth);
        if has_truth { self.new_disk(index) } else { Ok(()) }
    }

    /// An empty disk takes the place of the one that a node had.
    pub(crate) fn new_disk(&mut self, index: u8) -> Result<(), Violation> {
        #[cfg(feature = "unsafe-faults")]
        let is_new = self.fault != Some(crate::SimFault::SameDiskTwice);
        #[cfg(not(feature = "unsafe-faults"))]
        let is_new = true;
        let place = &mut self.places[usize::from(index)];
        place.incarnation += u64::from(is_new);
        place.storage = format(index, place.incarnation)
            .map_err(|error| Violation::State(error.to_string()))?;
        place.is_damaged = false;
        if self.single == Some(index) {
            self.single = None;
        }
        self.report.wipes += 1;
        self.note(&format!("node {index} gets a new disk"));
        Ok(())
    }

    pub(crate) fn undo(&mut self, what: Healing) {
        match what {
            Healing::Cut { from, to } => {
                if let Some(count) = self.cut.get_mut(&(from, to)) {
                    *count -= 1;
                    if *count == 0 {
                        self.cut.remove(&(from, to));
                    }
                }
            }
            Healing::Full { node } => self.places[usize::from(node)].storage.set_full(false),
            Healing::Slow { node } => self.places[usize::from(node)].sync_ns = MS / 2,
        }
    }

    /// Everything works again, and every node runs.
    pub(crate) fn heal(&mut self) -> Result<(), Violation> {
        self.note("everything heals");
        self.is_healing = true;
        self.cut.clear();
        self.loss_percent = 0;
        for index in 0..self.node_count() {
            let now_ns = self.now_ns;
            let place = &mut self.places[usize::from(index)];
            place.paused_until_ns = now_ns;
            place.sync_ns = MS / 2;
            place.storage.set_full(false);
            self.start(index)?;
        }
        Ok(())
    }
}
