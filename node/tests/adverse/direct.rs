//! A node whose journal is written directly: it serves, fails and recovers as any other.

use crate::common::{Running, account, assert_sound, small, transfer};
use mizan_client::{Client, ClientConfig};
use mizan_journal::{FileStorage, JournalError, JournalIo};
use mizan_node::{Failure, FormatOptions, Layout, Node, NodeError, NodeOptions, format};
use mizan_wire::{CREATED, Transfer};
use tempfile::TempDir;

const EIO: i32 = 5;

/// A directory whose superblock asks for direct writes; says what it skips where they are not possible.
pub(crate) fn formatted_direct() -> Option<TempDir> {
    // Beside what was compiled: more often on a disk than the system's temporary files.
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let options = FormatOptions { journal_io: JournalIo::Direct, ..small(directory.path()) };
    match format(&options) {
        Ok(_) => Some(directory),
        Err(NodeError::Journal(error @ JournalError::DirectIoUnsupported { .. })) => {
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn direct(directory: &TempDir) -> FileStorage {
    FileStorage::new(directory.path()).with_journal_io(JournalIo::Direct)
}

/// Creates accounts 1 and 2 and as many transfers of 1 as the sizes say, one request each; returns their number.
fn load(client: &mut Client, first_id: u128, sizes: &[usize]) -> u64 {
    client.create_accounts(&[account(1), account(2)]).unwrap();
    let mut id = first_id;
    for size in sizes {
        let batch: Vec<Transfer> = (id..).take(*size).map(transfer).collect();
        let results = client.create_transfers(&batch).unwrap();
        assert!(results.iter().all(|result| result.status == CREATED));
        id += *size as u128;
    }
    (id - first_id) as u64
}

#[test]
fn what_a_direct_node_acknowledged_is_found_by_the_next_node_however_that_one_writes() {
    for layout in [Layout::Fused, Layout::Split] {
        let Some(directory) = formatted_direct() else { return };
        let sizes = [1, 8_189, 3, 4_000, 1, 1];
        let with_ring = direct(&directory).with_io_uring();
        let mapped = FileStorage::new(directory.path());
        let mut count = 0;
        for (round, files) in [direct(&directory), mapped, with_ring].into_iter().enumerate() {
            let node = Running::start_files(files, layout);
            count += load(&mut node.client(), 1 + (round as u128) * 100_000, &sizes);
            node.stop().unwrap();
            let report = assert_sound(directory.path());
            assert_eq!(report.engine.transfer_count, count, "round {round}");
        }
    }
}

#[test]
fn a_start_writes_as_the_superblock_says() {
    let Some(directory) = formatted_direct() else { return };
    let superblock = mizan_node::offline::superblock(directory.path()).unwrap();
    assert_eq!(superblock.journal_io, JournalIo::Direct);
    let options = NodeOptions::new(directory.path(), "127.0.0.1:0".parse().unwrap());
    let node = Node::open(&options, &mut |_| ()).unwrap();
    let (address, stop) = (node.local_addr(), node.stop_handle());
    let thread = std::thread::spawn(move || node.run());
    let mut client = Client::connect(ClientConfig::at(address)).unwrap();
    // No mapping of a segment while it writes.
    assert_eq!(load(&mut client, 1, &[1, 500]), 501);
    let mappings = std::fs::read_to_string("/proc/self/maps").unwrap();
    let segments = directory.path().join("journal-");
    assert!(!mappings.contains(segments.to_str().unwrap()), "a segment is mapped");
    stop.stop();
    thread.join().unwrap().unwrap();
    let superblock = mizan_node::offline::superblock(directory.path()).unwrap();
    assert_eq!((superblock.journal_io, superblock.clean), (JournalIo::Direct, true));
    assert_sound(directory.path());
}

#[test]
fn a_failed_direct_sync_ends_the_node_and_nothing_acknowledged_is_lost() {
    let Some(directory) = formatted_direct() else { return };
    let node = Running::start_files(direct(&directory), Layout::Fused);
    let mut client = node.client();
    let count = load(&mut client, 1, &[10, 8_000]);
    node.switch.fail_syncs(Some(EIO));
    client.create_transfers(&[transfer(50_000)]).expect_err("never acknowledged");
    let error = node.end().expect_err("the node ends");
    assert_eq!(error.failure(), Failure::Resource, "{error}");
    assert_eq!(assert_sound(directory.path()).engine.transfer_count, count);
}
