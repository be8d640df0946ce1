//! The cluster's record in the superblock: who this node is, and the config record that the cluster was formatted with.
//!
//! | offset | size | field |
//! |---:|---:|---|
//! | 0 | 4 | `MZCL` |
//! | 4 | 1 | version, 2 |
//! | 5 | 1 | this node's number |
//! | 6 | 1 | nodes, 2 or 3 |
//! | 7 | 1 | policy: 1 `disk`, 3 `two-disks` |
//! | 8 | 24 | incarnations of the first disks, 8 bytes each |
//! | 32 | 32 | keyed BLAKE3 of `mizan cluster secret 1` and the cluster (16 bytes) under the secret; zeros for none |
//! | 64 | 1 | bits of the nodes whose first disk this one has still to give out |
//! | 65 | 7 | zeros |
//! | 72 | 16 | what this node wrote down of its leading: epoch and sequence, 8 bytes each; zeros if it never led |
//! | 88 | 24 | the disk's last start: number, nonce, and 1 if a peer has taken it |
//! | 112 | 72 | the last known start of each node's disk: incarnation, number, nonce; zeros for none |
//!
//! An empty record is a node of its own.

use crate::error::NodeError;
use mizan_replica::constants::NODES_MAX;
use mizan_replica::{Config, Led, Policy, STARTS_SIZE, Secret, Starts, secret_hash};

const MAGIC: [u8; 4] = *b"MZCL";
const VERSION: u8 = 2;
const HASH_AT: usize = 8 + 8 * NODES_MAX;
const HASH_SIZE: usize = 32;
const TO_GIVE_AT: usize = HASH_AT + HASH_SIZE;
const LED_AT: usize = TO_GIVE_AT + 8;
const STARTS_AT: usize = LED_AT + 16;
const RECORD_SIZE: usize = STARTS_AT + STARTS_SIZE;

/// Who a node is in its cluster.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClusterRecord {
    /// Its number, from 0.
    pub node: u8,
    /// The record that the cluster was formatted with.
    pub config: Config,
    /// Tells the cluster's secret from others; `None` if the cluster was formatted without one.
    pub secret_hash: Option<[u8; HASH_SIZE]>,
    /// Bits of the nodes whose first disk this one has still to give out: none but on the disk that made the cluster.
    pub to_give: u8,
    /// What it wrote down of its leading, when that was ended by a higher epoch.
    pub led: Led,
    /// What its disk knows of starts.
    pub starts: Starts,
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
        bytes.extend(self.secret_hash.unwrap_or_default());
        bytes.extend([self.to_give, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(self.led.epoch.to_le_bytes());
        bytes.extend(self.led.acknowledged.to_le_bytes());
        bytes.extend(self.starts.encode());
        bytes
    }

    /// Whether this is the secret that the cluster was formatted with, or none and it was formatted without.
    ///
    /// # Errors
    /// Another secret, none where there must be one, or one where there must be none.
    pub fn check_secret(
        &self,
        directory: &str,
        cluster: u128,
        secret: Option<&Secret>,
    ) -> Result<(), NodeError> {
        let refuse = |what: &str| Err(NodeError::Options(format!("{directory} {what}")));
        match (&self.secret_hash, secret) {
            (None, None) => Ok(()),
            (None, Some(_)) => refuse(
                "has no secret (--no-secret at format), and one was given: if the cluster is to have it, stop all nodes and give it to each with `mizan change-secret`; else leave out --secret-file",
            ),
            (Some(_), None) => refuse(
                "belongs to a cluster with a secret, and none was given: whoever reaches the node could promote it; give the file with --secret-file",
            ),
            (Some(known), Some(given)) => {
                if *known == secret_hash(cluster, given) {
                    return Ok(());
                }
                refuse(
                    "belongs to a cluster with another secret than --secret-file holds: give the file of the last `mizan change-secret`, or, if there was none, the one that the cluster was formatted with",
                )
            }
        }
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
        if bytes.len() < 5 || bytes[..4] != MAGIC {
            return Err(refuse("not one"));
        }
        if bytes[4] != VERSION {
            return Err(refuse(&format!(
                "it has version {}, and this build reads version {VERSION}",
                bytes[4]
            )));
        }
        if bytes.len() != RECORD_SIZE {
            return Err(refuse("of another length"));
        }
        let (node, nodes) = (bytes[5], bytes[6]);
        let policy = Policy::from_number(bytes[7]).ok_or_else(|| {
            refuse("a policy that this version does not have; format the cluster anew with two-disks or disk")
        })?;
        if !(2..=NODES_MAX as u8).contains(&nodes) || node >= nodes {
            return Err(refuse("node numbers outside their limits"));
        }
        let mut config = Config::new(nodes, policy);
        for (incarnation, word) in
            config.incarnations.iter_mut().zip(bytes[8..HASH_AT].chunks_exact(8))
        {
            *incarnation = u64::from_le_bytes(word.try_into().expect("invariant: eight bytes"));
        }
        let hash: [u8; HASH_SIZE] =
            bytes[HASH_AT..TO_GIVE_AT].try_into().expect("invariant: the length was checked");
        let secret_hash = (hash != [0; HASH_SIZE]).then_some(hash);
        let (to_give, reserved) = (bytes[TO_GIVE_AT], &bytes[TO_GIVE_AT + 1..LED_AT]);
        if to_give >> nodes != 0 || reserved.iter().any(|byte| *byte != 0) {
            return Err(refuse("reserved bits that are not zero"));
        }
        let number = |at: usize| {
            u64::from_le_bytes(bytes[at..at + 8].try_into().expect("invariant: eight bytes"))
        };
        let led = Led { epoch: number(LED_AT), acknowledged: number(LED_AT + 8) };
        let starts = bytes[STARTS_AT..].first_chunk().and_then(Starts::decode);
        let starts = starts.ok_or_else(|| refuse("starts that cannot be read"))?;
        Ok(Some(Self { node, config, secret_hash, to_give, led, starts }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> ClusterRecord {
        ClusterRecord {
            node: 1,
            config: Config::new(2, Policy::Disk),
            secret_hash: None,
            to_give: 2,
            led: Led::default(),
            starts: Starts::default(),
        }
    }

    #[test]
    fn a_record_has_the_bytes_that_are_drawn_and_comes_back() {
        let mut config = Config::new(3, Policy::TwoDisks);
        config.incarnations = [1, 0x0102_0304_0506_0708, 3];
        let hash = std::array::from_fn(|at| at as u8 + 100);
        let record = ClusterRecord {
            node: 2,
            config,
            secret_hash: Some(hash),
            to_give: 6,
            led: Led { epoch: 5, acknowledged: 0x0203 },
            starts: Starts { is_confirmed: true, ..Starts::default() }.next(9),
        };
        let bytes = record.encode();
        assert_eq!(
            bytes[..HASH_AT],
            [
                b'M', b'Z', b'C', b'L', 2, 2, 3, 3, 1, 0, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1,
                3, 0, 0, 0, 0, 0, 0, 0
            ]
        );
        assert_eq!(bytes[HASH_AT..TO_GIVE_AT], hash);
        assert_eq!(
            bytes[TO_GIVE_AT..STARTS_AT],
            [6, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(
            bytes[STARTS_AT..STARTS_AT + 16],
            [1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(bytes[STARTS_AT + 16..], [0; STARTS_SIZE - 16]);
        assert_eq!(ClusterRecord::decode("d", &bytes).unwrap(), Some(record));
        let without = ClusterRecord { secret_hash: None, ..record };
        assert_eq!(without.encode()[HASH_AT..TO_GIVE_AT], [0; HASH_SIZE]);
        assert_eq!(ClusterRecord::decode("d", &without.encode()).unwrap(), Some(without));
        assert_eq!(ClusterRecord::decode("d", &[]).unwrap(), None);
    }

    #[test]
    fn a_record_outside_its_limits_is_refused() {
        let good = record().encode();
        assert!(ClusterRecord::decode("d", &good[..good.len() - 1]).is_err());
        for (at, value) in [
            (0, 0),
            (4, 1),
            (4, 3),
            (5, 2),
            (6, 1),
            (6, 4),
            (7, 0),
            (7, 2),
            (7, 4),
            (64, 4),
            (65, 1),
            (STARTS_AT + 16, 2),
        ] {
            let mut bytes = good.clone();
            bytes[at] = value;
            assert!(ClusterRecord::decode("d", &bytes).is_err(), "{at} {value}");
        }
        let mut first = good[..HASH_AT].to_vec();
        first[4] = 1;
        let error = ClusterRecord::decode("d", &first).unwrap_err().to_string();
        assert!(error.contains("version 1"), "{error}");
    }

    #[test]
    fn a_record_that_knows_a_secret_wants_that_one_and_no_other() {
        let (secret, other) = ([7; 32], [8; 32]);
        let with = ClusterRecord { secret_hash: Some(secret_hash(5, &secret)), ..record() };
        with.check_secret("d", 5, Some(&secret)).unwrap();
        for (cluster, given) in
            [(5, None), (5, Some(&[0; 32])), (5, Some(&other)), (6, Some(&secret))]
        {
            let error = with.check_secret("d", cluster, given).unwrap_err();
            assert_eq!(error.failure(), crate::Failure::Usage);
            assert!(error.to_string().contains("--secret-file"), "{error}");
        }
        record().check_secret("d", 5, None).unwrap();
        let error = record().check_secret("d", 5, Some(&secret)).unwrap_err().to_string();
        assert!(error.contains("--no-secret"), "{error}");
    }

    #[test]
    fn policies_have_names() {
        for policy in Policy::ALL {
            assert_eq!(policy_from_name(policy_name(policy)), Some(policy));
        }
        assert_eq!(policy_from_name("disk+ram"), None);
    }
}
