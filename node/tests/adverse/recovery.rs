//! Directories that a node did not leave behind in order: half a format, and entries that no node would write.

use crate::common::{Running, account, assert_sound, formatted, small};
use mizan_journal::sim::SimRandom;
use mizan_journal::{FileStorage, Frame, Journal, OpenOptions};
use mizan_node::{Failure, Layout, Node, NodeError, NodeOptions};
use mizan_wire::{CREATED, Operation, RequestHeader};
use std::path::Path;
use tempfile::TempDir;
use zerocopy::IntoBytes;

/// A directory with a superblock, and no entry.
fn half_formatted(genesis: &[u8], cluster: u128) -> TempDir {
    let directory = TempDir::new().unwrap();
    Journal::<FileStorage>::format(
        &FileStorage::create(directory.path()).unwrap(),
        &mizan_journal::FormatOptions {
            segment_size: small(directory.path()).segment_size,
            genesis: genesis.to_vec(),
            ..mizan_journal::FormatOptions::new(cluster, 1)
        },
    )
    .unwrap();
    directory
}

#[test]
fn a_format_that_was_interrupted_before_its_first_entry_is_completed_by_the_first_start() {
    let whole = mizan_node::offline::superblock(formatted().path()).unwrap();
    let directory = half_formatted(&whole.genesis, whole.cluster);
    for id in 1..=2 {
        let node = Running::start(directory.path(), Layout::Fused);
        let created = node.client().create_accounts(&[account(id)]).unwrap();
        assert_eq!(created[0].status, CREATED);
        node.stop().unwrap();
    }
    let report = assert_sound(directory.path());
    assert_eq!(report.engine.account_count, 2);
}

/// Appends a frame with an intact checksum, whatever is in it.
fn append(data: &Path, count: u32, payload: &[u8]) {
    let mut nothing = |_: &Frame<'_>| Ok(());
    let storage = FileStorage::new(data);
    let (mut journal, _) = Journal::open(storage, &OpenOptions::default(), &mut nothing).unwrap();
    let mut frame = journal.begin(journal.next_sequence(), payload.len()).unwrap();
    frame.put(payload).unwrap();
    frame.finish(count, 0).unwrap();
    journal.close().unwrap();
}

/// Neither a start nor a verification takes the directory for a sound one, and neither panics.
fn assert_refused(data: &Path, what: &str) {
    let options = NodeOptions::new(data, "127.0.0.1:0".parse().unwrap());
    let error: NodeError = match Node::open(&options, &mut |_| ()) {
        Err(error) => error,
        Ok(_) => panic!("{what} was taken for sound"),
    };
    assert_eq!(error.failure(), Failure::Corrupt, "{what}: {error}");
    let report = mizan_node::offline::verify(data, &mut |_| ()).unwrap();
    assert!(report.is_damaged && !report.is_sound(), "{what}: {:?}", report.problems);
}

fn entry(operation: Operation, body_size: u32) -> RequestHeader {
    RequestHeader { operation: operation.number(), body_size, ..RequestHeader::default() }
}

#[test]
fn entries_that_no_node_writes_are_refused_although_their_checksums_hold() {
    let far_future = RequestHeader { clock_reading: u64::MAX, ..entry(Operation::Tick, 0) };
    let unknown = RequestHeader { operation: 9_999, ..RequestHeader::default() };
    let cases = [
        ("a body of 4 GiB that is not there", 1, entry(Operation::CreateTransfers, u32::MAX)),
        ("a body beyond the end", 1, entry(Operation::CreateTransfers, 128)),
        ("a body without its events", 1, entry(Operation::Digest, 0)),
        ("more entries than there are", 2, entry(Operation::Tick, 0)),
        ("a read", 1, entry(Operation::TrialBalance, 0)),
        ("padding", 1, entry(Operation::Padding, 0)),
        ("a second genesis", 1, entry(Operation::Genesis, 0)),
        ("a reading beyond all time", 1, far_future),
        ("an operation that does not exist", 1, unknown),
    ];
    for (what, count, header) in cases {
        let directory = formatted();
        append(directory.path(), count, header.as_bytes());
        assert_refused(directory.path(), what);
    }
}

#[test]
fn a_first_entry_that_is_not_the_genesis_of_the_superblock_is_refused() {
    let [one, other] = [formatted(), formatted()];
    let one = mizan_node::offline::superblock(one.path()).unwrap();
    let other = mizan_node::offline::superblock(other.path()).unwrap();
    let directory = half_formatted(&one.genesis, one.cluster);
    let header = entry(Operation::Genesis, other.genesis.len() as u32);
    let mut payload = [header.as_bytes(), &other.genesis].concat();
    payload.resize(payload.len().next_multiple_of(128), 0);
    append(directory.path(), 1, &payload);
    assert_refused(directory.path(), "the genesis of another cluster");
}

#[test]
fn noise_with_an_intact_checksum_is_refused() {
    let seed = std::env::var("MIZAN_SEED").map_or(0x5eed, |text| text.parse().unwrap());
    println!("repeat with MIZAN_SEED={seed} cargo test -p mizan-node noise");
    let mut random = SimRandom::new(seed);
    for _ in 0..8 {
        let directory = formatted();
        let words = 16 * (1 + random.below(64));
        let payload: Vec<u8> = (0..words).flat_map(|_| random.next_u64().to_le_bytes()).collect();
        append(directory.path(), 1 + random.below(4) as u32, &payload);
        assert_refused(directory.path(), "noise");
    }
}
