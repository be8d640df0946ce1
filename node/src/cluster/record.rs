//! The cluster's record in the superblock: who this node is, and the config record that the cluster was formatted with.
//!
//! | offset | size | field |
//! |---:|---:|---|
//! | 0 | 4 | `MZCL` |
//! | 4 | 1 | version, 1 |
//! | 5 | 1 | this node's number |
//! | 6 | 1 | nodes, 2 or 3 |
//! | 7 | 1 | policy: 1 `disk`, 3 `two-disks` |
//! | 8 | 24 | incarnations of the first disks, 8 bytes each |
//!
//! An empty record is a node of its own.

use crate::error::NodeError;
use mizan_replica::constants::NODES_MAX;
use mizan_replica::{Config, Policy};

const MAGIC: [u8; 4] = *b"MZCL";
const VERSION: u8 = 1;
const RECORD_SIZE: usize = 8 + 8 * NODES_MAX;

/// Who a node is in its cluster.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClusterRecord {
    /// Its number, from 0.
    pub node: u8,
    /// The record that the cluster was formatted with.
    pub config: Config,
}

/// The policy's name, as options and status write it.
#[must_use]
pub const fn policy_name(policy: Policy) -> &'static str {
    match policy {
        Policy::Disk => "disk",
        Policy::TwoDisks => "two-disks",
    }
}

/// The policy of this name.
#[must_use]
pub fn policy_from_name(name: &str) -> Option<Policy> {
    Policy::ALL.into_iter().find(|policy| policy_name(*policy) == name)
}

impl ClusterRecord {
    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([VERSION, self.node, self.config.node_count, self.config.policy as u8]);
        bytes.extend(self.config.incarnations.iter().flat_map(|number| number.to_le_bytes()));
        bytes
    }

    /// Understands a superblock's record; `None` for a node of its own.
    ///
    /// # Errors
    /// A record that this build cannot read.
    pub fn decode(directory: &str, bytes: &[u8]) -> Result<Option<Self>, NodeError> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let refuse = |reason: &str| NodeError::GenesisRecord {
            directory: directory.to_owned(),
            reason: format!("cluster record: {reason}"),
        };
        if bytes.len() != RECORD_SIZE || bytes[..4] != MAGIC {
            return Err(refuse("not one"));
        }
        if bytes[4] != VERSION {
            return Err(refuse("another version"));
        }
        let (node, nodes) = (bytes[5], bytes[6]);
        let policy = Policy::from_number(bytes[7]).ok_or_else(|| {
            refuse("a policy that this version does not have; format the cluster anew with two-disks or disk")
        })?;
        if !(2..=NODES_MAX as u8).contains(&nodes) || node >= nodes {
            return Err(refuse("node numbers outside their limits"));
        }
        let mut config = Config::new(nodes, policy);
        for (incarnation, word) in config.incarnations.iter_mut().zip(bytes[8..].chunks_exact(8)) {
            *incarnation = u64::from_le_bytes(word.try_into().expect("invariant: eight bytes"));
        }
        Ok(Some(Self { node, config }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_bytes_that_are_drawn_and_comes_back() {
        let mut config = Config::new(3, Policy::TwoDisks);
        config.incarnations = [1, 0x0102_0304_0506_0708, 3];
        let record = ClusterRecord { node: 2, config };
        let bytes = record.encode();
        assert_eq!(
            bytes,
            [
                b'M', b'Z', b'C', b'L', 1, 2, 3, 3, 1, 0, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1,
                3, 0, 0, 0, 0, 0, 0, 0
            ]
        );
        assert_eq!(ClusterRecord::decode("d", &bytes).unwrap(), Some(record));
        assert_eq!(ClusterRecord::decode("d", &[]).unwrap(), None);
    }

    #[test]
    fn a_record_outside_its_limits_is_refused() {
        let good = ClusterRecord { node: 1, config: Config::new(2, Policy::Disk) }.encode();
        assert!(ClusterRecord::decode("d", &good[..31]).is_err());
        for (at, value) in [(0, 0), (4, 2), (5, 2), (6, 1), (6, 4), (7, 0), (7, 2), (7, 4)] {
            let mut bytes = good.clone();
            bytes[at] = value;
            assert!(ClusterRecord::decode("d", &bytes).is_err(), "{at} {value}");
        }
    }

    #[test]
    fn policies_have_names() {
        for policy in Policy::ALL {
            assert_eq!(policy_from_name(policy_name(policy)), Some(policy));
        }
        assert_eq!(policy_from_name("disk+ram"), None);
    }
}
