//! Formatting the nodes of a cluster: the first one makes it, the others join.
//!
//! Invariants: every disk has a random incarnation of its own. Those of the first disks are drawn when the cluster is made,
//! stand in its record, and are given out once each; these disks hold the same first entry, byte for byte. A disk that
//! comes later is empty, and counts only after a primary has admitted it.

use crate::cluster::admin::{JoinInfo, from_hex};
use crate::cluster::record::ClusterRecord;
use crate::error::NodeError;
use crate::format::{FormatOptions, Place, genesis_entry, make, random};
use crate::recover::read_genesis;
use mizan_journal::{FileStorage, JournalIo, Superblock, replace_config};
use mizan_replica::constants::NODES_MAX;
use mizan_replica::{Config, Led, Policy, Secret, Starts, secret_hash};
use std::path::Path;
use std::sync::Arc;

/// A number for a disk that none of `known` has; never 0.
fn new_incarnation(known: &[u64]) -> Result<u64, NodeError> {
    loop {
        let drawn = random::<u64>()?;
        if drawn != 0 && !known.contains(&drawn) {
            return Ok(drawn);
        }
    }
}

/// Makes node 0 of a cluster of two or three, which from then on is only started with this secret. Returns the cluster.
///
/// # Errors
/// As [`crate::format()`]; a number of nodes that makes no cluster.
pub fn format_first(
    options: &FormatOptions,
    nodes: u8,
    policy: Policy,
    secret: Option<&Secret>,
) -> Result<u128, NodeError> {
    if !(2..=3).contains(&nodes) {
        return Err(NodeError::Options(format!("a cluster has 2 or 3 nodes, not {nodes}")));
    }
    let genesis = options.genesis()?;
    mizan_engine::check_genesis(&genesis)?;
    let mut config = Config::new(nodes, policy);
    config.incarnations = [0; NODES_MAX];
    for at in 0..usize::from(nodes) {
        config.incarnations[at] = new_incarnation(&config.incarnations)?;
    }
    let record = ClusterRecord {
        node: 0,
        config,
        // All but this one.
        to_give: ((1 << nodes) - 1) & !1,
        secret_hash: secret.map(|secret| secret_hash(genesis.cluster, secret)),
        led: Led::default(),
        starts: Starts::default(),
    };
    let place = Place {
        journal_io: options.journal_io,
        segment_size: options.segment_size,
        node: 0,
        incarnation: config.incarnations[0],
        record: record.encode(),
    };
    let storage = create(&options.data, options.journal_io)?;
    make(storage, &place, &genesis, Some(&genesis_entry(&genesis)))?;
    Ok(genesis.cluster)
}

/// Makes a disk for the node that a running one has described. Returns its record.
///
/// # Errors
/// As [`crate::format()`]; a description that this build does not understand.
pub fn format_join(
    data: &Path,
    journal_io: JournalIo,
    info: &JoinInfo,
) -> Result<ClusterRecord, NodeError> {
    let place = data.display().to_string();
    let refuse = |what: &str| {
        NodeError::Options(format!("the node's description has {what} that cannot be read"))
    };
    let record = from_hex(&info.record).ok_or_else(|| refuse("a record"))?;
    let known = ClusterRecord::decode(&place, &record)?.ok_or_else(|| refuse("a record"))?;
    let genesis = from_hex(&info.genesis).ok_or_else(|| refuse("a genesis record"))?;
    let genesis = read_genesis(&place, &genesis)?;
    mizan_engine::check_genesis(&genesis)?;
    let first_entry = match &info.first_entry {
        Some(text) => Some(from_hex(text).ok_or_else(|| refuse("a first entry"))?),
        None => None,
    };
    let incarnation = match &first_entry {
        Some(_) => known.config.incarnations[usize::from(known.node)],
        // Never one that a disk of this node had: what that one promised is not known here.
        None => new_incarnation(&known.config.incarnations)?,
    };
    let disk = Place {
        journal_io,
        segment_size: info.segment_size,
        node: known.node.into(),
        incarnation,
        record,
    };
    make(create(data, journal_io)?, &disk, &genesis, first_entry.as_deref())?;
    Ok(known)
}

/// Lets a node that does not run start with another secret from now on. The nodes of a cluster find each other again when
/// all of them were told. Returns the node's record.
///
/// # Errors
/// A directory that is in use, or of no cluster; whatever the disk says.
pub fn change_secret(data: &Path, secret: &Secret) -> Result<ClusterRecord, NodeError> {
    let storage = FileStorage::new(data);
    let superblock = Superblock::read(&storage)?;
    let place = data.display().to_string();
    let record = ClusterRecord::decode(&place, &superblock.config)?.ok_or_else(|| {
        NodeError::Options(format!("{place} is a node of its own, and so has no cluster's secret"))
    })?;
    let secret_hash = Some(secret_hash(superblock.cluster, secret));
    let changed = ClusterRecord { secret_hash, ..record };
    replace_config(&storage, &superblock.config, &changed.encode())?;
    Ok(changed)
}

fn create(data: &Path, journal_io: JournalIo) -> Result<Arc<FileStorage>, NodeError> {
    let storage = FileStorage::create(data).map_err(|source| NodeError::Io {
        what: format!("failed to make {}", data.display()),
        source,
    })?;
    Ok(Arc::new(storage.with_journal_io(journal_io)))
}
