//! The config record: who counts, and how many copies an acknowledgement needs.
//!
//! It is part of the log: every epoch begins with one, and each change appends one. A node lives by the last one in
//! its log, committed or not; a cut takes it back. As a log entry it is a tick of the node's own whose free fields
//! carry the record, so that an engine sees nothing but time passing.

use crate::constants::NODES_MAX;
use mizan_wire::{Operation, RequestHeader};
use zerocopy::{FromBytes, IntoBytes};

/// Marks a tick as a control entry: "MZCTRL01" in its `origin`.
const CONTROL_MAGIC: u64 = u64::from_le_bytes(*b"MZCTRL01");

/// What an acknowledgement guarantees.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Policy {
    /// One fsynced copy, on the primary.
    Disk = 1,
    /// `min_sync` fsynced copies.
    TwoDisks = 3,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Disk, Self::TwoDisks];

    /// The policy of this number. 2 was another one and is not given again.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| *policy as u8 == number)
    }
}

/// Who counts and how many copies are needed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Config {
    /// Counts the changes.
    pub revision: u32,
    /// Two or three.
    pub node_count: u8,
    /// Fsynced copies that an acknowledgement needs now.
    pub min_sync: u8,
    /// The number to go back to when enough nodes have caught up.
    pub min_sync_base: u8,
    /// What an acknowledgement guarantees.
    pub policy: Policy,
    /// The admitted incarnation of each node's disk.
    pub incarnations: [u64; NODES_MAX],
}

impl Config {
    /// The record that a cluster is formatted with: every disk is in its first incarnation.
    ///
    /// # Panics
    /// When `node_count` is not 2 or 3.
    #[must_use]
    pub fn new(node_count: u8, policy: Policy) -> Self {
        assert!((2..=NODES_MAX as u8).contains(&node_count), "a cluster has two or three nodes");
        let min_sync = if policy == Policy::Disk { 1 } else { 2 };
        Config {
            revision: 0,
            node_count,
            min_sync,
            min_sync_base: min_sync,
            policy,
            incarnations: [1; NODES_MAX],
        }
    }

    /// Grants that a promotion needs, self included, so that they meet every set that acknowledged: n - min_sync + 1.
    #[must_use]
    pub fn grants_needed(&self) -> usize {
        usize::from(self.node_count - self.min_sync) + 1
    }

    /// Admitting a disk: how many nodes, the primary included and the new disk not, must confirm the epoch.
    ///
    /// As many as a promotion needs, so that one of them knows of any promotion that the old disk may have granted. A
    /// promotion that needs every node needs the primary too, so it alone is enough.
    pub(crate) fn confirmations_needed(&self) -> usize {
        let grants = usize::from(self.node_count - self.min_sync_base) + 1;
        if grants == usize::from(self.node_count) { 1 } else { grants }
    }

    /// The lowest epoch above `highest` that belongs to the node `index`; `None` when none is left.
    #[must_use]
    pub fn next_epoch(&self, highest: u64, index: u8) -> Option<u64> {
        let count = u64::from(self.node_count);
        let turn = highest.max(count - 1) / count;
        let epoch = (turn * count).checked_add(u64::from(index))?;
        if epoch > highest && turn > 0 { Some(epoch) } else { epoch.checked_add(count) }
    }

    /// The node that owns `epoch`.
    #[must_use]
    pub fn owner(&self, epoch: u64) -> u8 {
        (epoch % u64::from(self.node_count)) as u8
    }

    fn is_valid(&self) -> bool {
        (2..=NODES_MAX as u8).contains(&self.node_count)
            && (1..=self.node_count).contains(&self.min_sync)
            && (1..=self.node_count).contains(&self.min_sync_base)
    }
}

/// Why a config record stands in the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum ControlKind {
    /// The first entry of an epoch.
    EpochStart = 1,
    /// A change within an epoch.
    Change = 2,
}

/// A config record as a log entry. It is alone in its frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Control {
    /// Why it is there.
    pub kind: ControlKind,
    /// The record.
    pub config: Config,
}

impl Control {
    /// The log entry, a header without body.
    #[must_use]
    pub fn entry(&self, clock_reading_ns: u64) -> RequestHeader {
        let config = &self.config;
        let [first, second, third] = config.incarnations;
        let facts = [
            self.kind as u8,
            config.node_count,
            config.min_sync,
            config.min_sync_base,
            config.policy as u8,
            0,
            0,
            0,
        ];
        RequestHeader {
            operation: Operation::Tick.number(),
            clock_reading: clock_reading_ns,
            origin: CONTROL_MAGIC,
            origin_sequence: u64::from_le_bytes(facts),
            request: config.revision.into(),
            principal: u128::from(first) | u128::from(second) << 64,
            session: third,
            ..RequestHeader::default()
        }
    }

    /// Recognises the payload of a frame that holds one control entry.
    #[must_use]
    pub fn from_payload(count: u32, payload: &[u8]) -> Option<Self> {
        if count != 1 || payload.len() != size_of::<RequestHeader>() {
            return None;
        }
        let header = RequestHeader::read_from_bytes(payload).ok()?;
        let [kind, node_count, min_sync, min_sync_base, policy, ..] =
            header.origin_sequence.to_le_bytes();
        let kind = match kind {
            1 => ControlKind::EpochStart,
            2 => ControlKind::Change,
            _ => return None,
        };
        let policy = Policy::from_number(policy)?;
        let config = Config {
            revision: u32::try_from(header.request).ok()?,
            node_count,
            min_sync,
            min_sync_base,
            policy,
            incarnations: [
                header.principal as u64,
                (header.principal >> 64) as u64,
                header.session,
            ],
        };
        let control = Control { kind, config };
        // A tick of any other sort, or of a client, is not one.
        let same = control.entry(header.clock_reading).as_bytes() == payload;
        (same && config.is_valid()).then_some(control)
    }
}

/// What a node that has led knows of it, written down with the epoch that ended it: of what it wrote in epochs up to this
/// one, nothing behind the sequence was acknowledged. Frames that were on their way then may still reach its disk.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Led {
    /// The epoch that it led; 0 for none.
    pub epoch: u64,
    /// What it may have acknowledged in it, and before.
    pub acknowledged: u64,
}

/// What a log says of who counts, read frame by frame from its start.
#[derive(Clone, Copy, Debug)]
pub struct LogRecords {
    index: u8,
    config: Config,
    sequence: Option<u64>,
    led: Led,
    alone: u64,
}

impl LogRecords {
    /// Before the first frame of the log of node `index`.
    #[must_use]
    pub fn new(index: u8, base_config: Config) -> Self {
        Self { index, config: base_config, sequence: None, led: Led::default(), alone: 0 }
    }

    /// With what the node wrote down of its leading.
    #[must_use]
    pub fn with_led(self, led: Led) -> Self {
        Self { led, ..self }
    }

    /// The next frame.
    pub fn push(&mut self, epoch: u64, last_sequence: u64, control: Option<Control>) {
        if let Some(control) = control {
            (self.config, self.sequence) = (control.config, Some(last_sequence));
        }
        let is_own =
            epoch >= u64::from(self.config.node_count) && self.config.owner(epoch) == self.index;
        if is_own && self.config.min_sync == 1 {
            let is_over = epoch <= self.led.epoch;
            let bound = if is_over { self.led.acknowledged } else { u64::MAX };
            self.alone = self.alone.max(last_sequence.min(bound));
        }
    }

    /// The last record with the sequence of its entry, if there is one.
    #[must_use]
    pub fn last(&self) -> Option<(u64, Config)> {
        self.sequence.map(|sequence| (sequence, self.config))
    }

    /// Up to here the node may have acknowledged alone, whatever later records ask for; 0 for nothing.
    #[must_use]
    pub fn alone(&self) -> u64 {
        self.alone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_nodes_own_the_same_epoch_and_the_next_one_is_always_higher() {
        for count in [2, 3] {
            let config = Config::new(count, Policy::TwoDisks);
            for highest in 0..40 {
                for index in 0..count {
                    let epoch = config.next_epoch(highest, index).unwrap();
                    assert!(epoch > highest && epoch >= u64::from(count));
                    assert!(epoch <= highest.max(u64::from(count)) + u64::from(count));
                    assert_eq!(config.owner(epoch), index);
                }
            }
            for highest in u64::MAX - 6..=u64::MAX {
                for index in 0..count {
                    if let Some(epoch) = config.next_epoch(highest, index) {
                        assert!(epoch > highest);
                        assert_eq!(config.owner(epoch), index);
                    }
                }
            }
            assert_eq!(config.next_epoch(u64::MAX, 0), None);
        }
    }

    #[test]
    fn any_set_that_grants_meets_any_set_that_acknowledges() {
        for count in [2u8, 3] {
            for min_sync in 1..=count {
                let config = Config { min_sync, ..Config::new(count, Policy::TwoDisks) };
                assert!(config.grants_needed() + usize::from(min_sync) > usize::from(count));
            }
        }
    }

    #[test]
    fn those_who_confirm_an_admission_meet_every_promotion_that_the_old_disk_granted() {
        for count in [2u8, 3] {
            for policy in Policy::ALL {
                let config = Config::new(count, policy);
                let (confirm, grants) = (config.confirmations_needed(), config.grants_needed());
                let others = usize::from(count) - 1;
                // Either every other node confirms, or a promotion needs the primary itself.
                assert!(confirm == others || grants == usize::from(count), "{count} {policy:?}");
            }
        }
    }

    #[test]
    fn a_control_entry_is_recognised_and_an_ordinary_tick_is_not() {
        let config =
            Config { revision: 9, incarnations: [1, 77, 3], ..Config::new(3, Policy::TwoDisks) };
        let control = Control { kind: ControlKind::EpochStart, config };
        let entry = control.entry(123);
        assert_eq!(Control::from_payload(1, entry.as_bytes()), Some(control));
        let tick =
            RequestHeader { operation: Operation::Tick.number(), ..RequestHeader::default() };
        assert_eq!(Control::from_payload(1, tick.as_bytes()), None);
        let foreign = RequestHeader { client: 5, ..entry };
        assert_eq!(Control::from_payload(1, foreign.as_bytes()), None);
        assert_eq!(Control::from_payload(2, entry.as_bytes()), None);
        assert_eq!(Control::from_payload(1, &entry.as_bytes()[1..]), None);
        // The policy's number is the fifth byte; 2 meant a copy in memory.
        let other = RequestHeader { origin_sequence: entry.origin_sequence ^ (1 << 32), ..entry };
        assert_eq!(Control::from_payload(1, other.as_bytes()), None);
    }
}
