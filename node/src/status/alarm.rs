//! What somebody has to look at, as bits of a word: numbers, names, and what to do.
//!
//! Invariants: a bit keeps its meaning for ever; an alarm stands for as long as its cause does.

/// A cause for somebody to look.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Alarm {
    /// The next journal segment cannot be made.
    JournalSpaceLow = 0,
    /// Accepted entries wait for room.
    JournalStalled = 1,
    /// The wall clock is held back.
    ClockHeldBack = 2,
    /// Whoever reaches the listener can move money.
    Insecure = 3,
    /// Four fifths of a table are used.
    TablesFilling = 4,
    /// A table that grows with use is nearly full.
    TablesNearlyFull = 5,
    /// Four fifths of the journal's disk are used.
    DiskFilling = 6,
    /// The journal's disk is nearly full.
    DiskNearlyFull = 7,
    /// Sealed segments of the journal do not read as they were written.
    JournalDamaged = 8,
    /// Entries wait for the disk, and none becomes durable.
    DiskHangs = 9,
    /// Acknowledgements rest on one copy.
    SingleCopy = 16,
    /// The primary is silent.
    PrimarySilent = 17,
    /// The primary has too few copies to acknowledge anything.
    AcknowledgementsWait = 18,
    /// The state is not the primary's.
    StateDiffers = 19,
    /// Two logs differ within one epoch.
    LogsDiffer = 20,
    /// The primary lacks what was acknowledged here.
    AcknowledgedSuffix = 21,
    /// A new disk was admitted.
    DiskAdmitted = 22,
    /// A node names an epoch that no cluster comes to.
    EpochRefused = 23,
    /// Another node lacks what cannot be read from this node's log.
    LogUnreadable = 24,
    /// A node of the cluster has no connection with the primary.
    PeerLost = 25,
    /// A copy of a node's directory was started, or two processes of one node.
    DiskCopied = 26,
    /// Another node refuses this one as a copy.
    CopyRefused = 27,
}

impl Alarm {
    /// All alarms, in the order of their bits.
    pub const ALL: [Self; 22] = [
        Self::JournalSpaceLow,
        Self::JournalStalled,
        Self::ClockHeldBack,
        Self::Insecure,
        Self::TablesFilling,
        Self::TablesNearlyFull,
        Self::DiskFilling,
        Self::DiskNearlyFull,
        Self::JournalDamaged,
        Self::DiskHangs,
        Self::SingleCopy,
        Self::PrimarySilent,
        Self::AcknowledgementsWait,
        Self::StateDiffers,
        Self::LogsDiffer,
        Self::AcknowledgedSuffix,
        Self::DiskAdmitted,
        Self::EpochRefused,
        Self::LogUnreadable,
        Self::PeerLost,
        Self::DiskCopied,
        Self::CopyRefused,
    ];

    /// The name in metrics and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::JournalSpaceLow => "journal_space_low",
            Self::JournalStalled => "journal_stalled",
            Self::ClockHeldBack => "clock_held_back",
            Self::Insecure => "insecure",
            Self::TablesFilling => "tables_filling",
            Self::TablesNearlyFull => "tables_nearly_full",
            Self::DiskFilling => "disk_filling",
            Self::DiskNearlyFull => "disk_nearly_full",
            Self::JournalDamaged => "journal_damaged",
            Self::DiskHangs => "disk_hangs",
            Self::SingleCopy => "single_copy",
            Self::PrimarySilent => "primary_silent",
            Self::AcknowledgementsWait => "acknowledgements_wait",
            Self::StateDiffers => "state_differs",
            Self::LogsDiffer => "logs_differ",
            Self::AcknowledgedSuffix => "acknowledged_suffix",
            Self::DiskAdmitted => "disk_admitted",
            Self::EpochRefused => "epoch_refused",
            Self::LogUnreadable => "log_unreadable",
            Self::PeerLost => "peer_lost",
            Self::DiskCopied => "disk_copied",
            Self::CopyRefused => "copy_refused",
        }
    }

    /// What is the matter, and what to do.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::JournalSpaceLow => {
                "the next journal segment cannot be made and writes are refused: free space on the disk of the data directory; nothing that was acknowledged is at risk"
            }
            Self::JournalStalled => {
                "accepted entries wait for room in the journal: free space on the disk of the data directory, and they go on by themselves"
            }
            Self::ClockHeldBack => {
                "the wall clock jumped ahead, or differs from the time that the nodes agreed on, and is not believed: check the time service of this machine; timestamps go on by the monotonic clock until it agrees"
            }
            Self::Insecure => {
                "the node listens beyond this machine without authentication: whoever reaches it can move money"
            }
            Self::TablesFilling => {
                "four fifths of a table are used: plan a node with more room, the limits are fixed at format"
            }
            Self::TablesNearlyFull => {
                "a table is nearly full, and what needs a place in it will be refused: move to a node with more room now"
            }
            Self::DiskFilling => {
                "four fifths of the disk of the data directory are used: plan room for the journal"
            }
            Self::DiskNearlyFull => {
                "the disk of the data directory is nearly full, and writes will be refused: free space on it"
            }
            Self::JournalDamaged => {
                "sealed segments of the journal are damaged on this disk, so that the node would not start again: the log says where; `mizan verify --data DIR` says it again; do not restart it: in a cluster promote another node if this one is the primary, then give this node a new disk that catches up; never use another node's files"
            }
            Self::DiskHangs => {
                "entries wait for the disk of the data directory and none became durable for 2 s: look at that disk; a restart makes it no faster; what was acknowledged is durable, what waits goes on when the disk does, and in a cluster another node can be promoted"
            }
            Self::SingleCopy => {
                "acknowledgements rest on this copy alone: bring another node back and let it catch up"
            }
            Self::PrimarySilent => {
                "the primary is silent: look whether it lives; if it is gone, promote a standby that can take over"
            }
            Self::AcknowledgementsWait => {
                "too few copies are in sync, so nothing is acknowledged: bring a standby back, or detach the lost one"
            }
            Self::StateDiffers => {
                "this node's state is not the primary's and it stopped: keep its files and verify both nodes"
            }
            Self::LogsDiffer => {
                "this node's log parts from the primary's within one epoch and it stopped: keep both nodes' files and verify them"
            }
            Self::AcknowledgedSuffix => {
                "this node's log calls acknowledged what the primary does not have, and it stopped: compare the logs before anything is cut"
            }
            Self::DiskAdmitted => {
                "a node was admitted with a new disk: make sure that this was meant"
            }
            Self::EpochRefused => {
                "a node with the secret names an epoch far above all others and is not heard: look at that node, and who else has the secret"
            }
            Self::LogUnreadable => {
                "another node lacks entries that this node cannot read from its log: look at the disk and verify this node's files; promote a node that has the whole log, then give this one a new disk"
            }
            Self::DiskCopied => {
                "a copy of another node's directory was started, an older copy of it, or a second process of that node: find them, keep the one that the cluster knows, and delete the others"
            }
            Self::CopyRefused => {
                "another node takes this one for a copy, or an older copy, of a directory that counts: it stopped, unless it is the primary, or another process of its number seems to answer and it tries again; keep only the directory that the cluster knows; if that is lost, give this node a new disk"
            }
            Self::PeerLost => {
                "another node of the cluster has no connection with this primary: look whether it lives and whether the network does; one more loss may stop acknowledgements"
            }
        }
    }

    /// Whether service is interrupted or a promise is in danger: the sort that wakes people.
    #[must_use]
    pub const fn is_critical(self) -> bool {
        !matches!(
            self,
            Self::ClockHeldBack
                | Self::Insecure
                | Self::TablesFilling
                | Self::DiskFilling
                | Self::DiskAdmitted
        )
    }

    /// Whether the node raises it by itself, alone or in a cluster; the others come from its cluster's part.
    #[must_use]
    pub const fn is_of_the_node(self) -> bool {
        (self as u8) < Self::SingleCopy as u8
    }

    /// The alarm of this name, with either sign between its words.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.replace('-', "_");
        Self::ALL.into_iter().find(|alarm| alarm.name() == name)
    }

    /// Its bit.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << self as u8
    }
}

/// A set of alarms.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Alarms(u64);

impl Alarms {
    /// None.
    pub const NONE: Self = Self(0);

    /// The set with these bits; bits that are no alarm of this build stay in it.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The set with this alarm if `is_raised`, else the set as it is.
    #[must_use]
    pub const fn with(self, alarm: Alarm, is_raised: bool) -> Self {
        Self(if is_raised { self.0 | alarm.bit() } else { self.0 })
    }

    /// Whether the alarm is in the set.
    #[must_use]
    pub const fn contains(self, alarm: Alarm) -> bool {
        self.0 & alarm.bit() != 0
    }

    /// The alarms in the set, in the order of their bits.
    pub fn iter(self) -> impl Iterator<Item = Alarm> {
        Alarm::ALL.into_iter().filter(move |alarm| self.contains(*alarm))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alarm_has_a_bit_and_a_name_of_its_own() {
        let all = Alarm::ALL.iter().fold(Alarms::NONE, |set, alarm| set.with(*alarm, true));
        assert_eq!(all.bits().count_ones() as usize, Alarm::ALL.len());
        assert!(all.iter().eq(Alarm::ALL));
        let names: std::collections::BTreeSet<_> = Alarm::ALL.map(Alarm::name).into();
        assert_eq!(names.len(), Alarm::ALL.len());
        assert_eq!(Alarms::from_bits(0b1010).iter().count(), 2);
        assert!(!Alarms::NONE.with(Alarm::Insecure, false).contains(Alarm::Insecure));
    }
}
