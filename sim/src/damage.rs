//! Disks that rot, and what an operator does about it: a damaged node comes back with a new disk.
//!
//! Only damage that recovery can prove is done, to one node at a time and only while the other copies are whole:
//! damage to the last durable group looks like a group that was never synced, which is a stated non-guarantee.

use crate::node::log_end;
use crate::oracle::Violation;
use crate::world::{Event, MS, World};
use mizan_journal::scan;
use mizan_journal::sim::{Damage, SimStorage};

/// What a scan of a disk finds wrong.
fn problems(storage: &SimStorage) -> u64 {
    scan(storage, false, &mut |_| Ok(())).map_or(1, |summary| summary.problems)
}

impl World {
    /// Damages a disk at rest, unless nobody could ever tell.
    pub(crate) fn damage(&mut self, index: u8) -> Result<(), Violation> {
        let damage = Damage::ALL[self.random.below(Damage::ALL.len() as u64) as usize];
        let (seed, which) = (self.random.next_u64(), self.random.next_u64());
        let place = &self.places[usize::from(index)];
        let is_settled = place.node.as_ref().is_some_and(|node| !node.is_sync_due);
        if !is_settled || !self.is_every_copy_whole() {
            return Ok(());
        }
        let mut names = place.storage.names();
        names.retain(|name| name.ends_with(".seg") || name.starts_with("superblock"));
        let name = &names[(which % names.len() as u64) as usize];
        let copy = place.storage.fork();
        // Whether recovery finds the damage is the question here, not whether it has room for a tail.
        copy.set_full(false);
        let end = log_end(&copy.fork());
        copy.damage(name, damage, seed).map_err(|error| Violation::State(error.to_string()))?;
        let found = problems(&copy);
        match (log_end(&copy), end) {
            (Ok(after), Ok(before)) if after != before => return Ok(()),
            (Ok(_), _) => {}
            (Err(error), _) if found == 0 => {
                let reason = format!("a scan finds nothing on node {index}, but {error}");
                return Err(Violation::State(reason));
            }
            (Err(_), _) => self.places[usize::from(index)].is_damaged = true,
        }
        let storage = &self.places[usize::from(index)].storage;
        storage.damage(name, damage, seed).map_err(|error| Violation::State(error.to_string()))?;
        self.report.damages += 1;
        self.note(&format!("node {index}: {damage:?} in {name}, {found} problems"));
        let delay_ns = (100 + self.random.below(2_000)) * MS;
        self.after(delay_ns, Event::Scrub { node: index });
        Ok(())
    }

    /// A scrub reads a disk that was damaged: what it finds ends the node, which gets a new disk.
    pub(crate) fn scrub(&mut self, index: u8) -> Result<(), Violation> {
        let place = &mut self.places[usize::from(index)];
        if !place.is_damaged || place.node.is_none() {
            return Ok(());
        }
        if problems(&place.storage) == 0 {
            // It was cut off with the end of the log.
            place.is_damaged = false;
            return Ok(());
        }
        self.note(&format!("node {index}: a scrub finds damage"));
        self.crash(index, false);
        self.new_disk(index)
    }
}
