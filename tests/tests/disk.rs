//! Disks that are full or fail: nothing acknowledged is lost, nothing unacknowledged is answered, and the node says
//! what to do.

use mizan_client::{Client, ClientConfig, ClientError};
use mizan_journal::FileStorage;
use mizan_journal::fault::{Call, FaultStorage, Faults, Operation, Verdict};
use mizan_node::{Failure, FormatOptions, Node, NodeOptions, format};
use mizan_tests::binary::{NodeProcess, format_small, mizan};
use mizan_tests::ledger::{
    LedgerView, PATIENCE, client, create_accounts, pay, reader, transfer, wait_until,
};
use mizan_wire::limits::EVENTS_MAX;
use mizan_wire::{CREATED, CreateTransferStatus, RequestStatus, Status, Transfer};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Size of the small file system.
const DISK_SIZE: u64 = 48 << 20;
/// The input/output error's number.
const EIO: i32 = 5;
/// Syncs of the segment in use that succeed before one fails.
const GOOD_SYNCS: u64 = 20;

/// A file system of its own, unmounted when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`, and a word about it, where mounting is not allowed.
    fn mount(test: &str) -> Option<Self> {
        let directory = TempDir::new().expect("a temporary directory");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={DISK_SIZE}"), "mizan-test"]);
        match command.arg(directory.path()).output() {
            Ok(output) if output.status.success() => Some(Self(directory)),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                println!("skipped: {test}: no small file system can be mounted ({})", said.trim());
                None
            }
            Err(error) => {
                println!("skipped: {test}: mount cannot be run ({error})");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

/// A client that gives up on a write soon, so that a refusal that lasts is seen.
fn impatient(address: SocketAddr) -> Result<Client, ClientError> {
    Client::connect(ClientConfig {
        request_timeout: Duration::from_millis(500),
        connect_timeout: PATIENCE,
        ..ClientConfig::at(address)
    })
}

/// Writes batches until the node has no space. Gives the ids that were acknowledged, and the refusal.
fn fill(address: SocketAddr) -> (u128, RequestStatus) {
    let mut client = impatient(address).expect("the node answers");
    let mut acknowledged = 0;
    loop {
        let first = acknowledged + 1;
        let batch: Vec<Transfer> =
            (first..first + u128::from(EVENTS_MAX)).map(|id| transfer(id, 1)).collect();
        match client.create_transfers(&batch) {
            Ok(results) => {
                let exists = CreateTransferStatus::Exists.number();
                let is_there = |status| status == CREATED || status == exists;
                assert!(results.iter().all(|result| is_there(result.status)), "batch from {first}");
                acknowledged += u128::from(EVENTS_MAX);
            }
            Err(ClientError::Refused(status)) => return (acknowledged, status),
            // The space may run out between a request and its reply; the same is sent once more.
            Err(ClientError::Unknown) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_full_disk_stops_writes_but_not_reads_and_room_lets_them_go_on_without_a_restart() {
    let test = "a_full_disk_stops_writes_but_not_reads";
    let Some(disk) = SmallDisk::mount(test) else { return };
    let data = disk.path().join("data");
    format_small(&data, &["--transfers", "1000000", "--accounts", "100", "--holds", "100"]);
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; 20 << 20]).expect("there is room at first");
    let mut node = NodeProcess::start(&data, "127.0.0.1:0");
    let address = node.address();
    create_accounts(&mut client(address), 2);

    let (acknowledged, status) = fill(address);
    assert_eq!(status, RequestStatus::JournalSpaceLow);
    assert!(acknowledged > 0, "there was room for something");
    let ids = [1, acknowledged];
    assert_eq!(reader(address).lookup_transfers(&ids).expect("reads go on").len(), 2);
    let (view, _) = LedgerView::of(&mut reader(address));
    let error = impatient(address).expect_err("a new session would be a write");
    assert_eq!(error, ClientError::Refused(RequestStatus::JournalSpaceLow));
    let output = mizan(&["accounts", "create", "9", "7", "--address", &address.to_string()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(8), "{said}");
    assert!(said.contains("make room"), "{said}");
    wait_until("the node says what to do", || node.stderr().contains("free space on the disk"));

    std::fs::remove_file(&ballast).expect("room can be made");
    wait_until("writes go on", || match impatient(address) {
        Ok(mut client) => pay(&mut client, u128::MAX - 7, 1).is_ok(),
        Err(ClientError::Refused(RequestStatus::JournalSpaceLow)) => false,
        Err(error) => panic!("{error}"),
    });
    wait_until("the node says that it has room", || node.stderr().contains("has room again"));
    node.kill9();
    let node = NodeProcess::start(&data, "127.0.0.1:0");
    let (after, status) = LedgerView::of(&mut reader(node.address()));
    let moved = after.accounts[0].debits_posted;
    assert!(moved > view.accounts[0].debits_posted, "the last transfer is there");
    assert_eq!(moved, u128::from(status.transfer_count), "every transfer moved one");
    assert!(moved > acknowledged, "nothing acknowledged is lost");
    let mut reader = reader(node.address());
    let all: Vec<u128> = (1..=acknowledged).collect();
    for ids in all.chunks(EVENTS_MAX as usize) {
        assert_eq!(reader.lookup_transfers(ids).expect("the node answers").len(), ids.len());
    }
    println!("{acknowledged} transfers were acknowledged before the disk was full");
}

#[test]
fn a_directory_on_a_disk_without_room_is_not_formatted_and_says_so() {
    let Some(disk) = SmallDisk::mount("a_directory_on_a_disk_without_room") else { return };
    let data = disk.path().join("data");
    let data = data.to_str().expect("temporary paths are UTF-8");
    let output = mizan(&["format", "--data", data, "--segment-size", "1GiB"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(8), "{said}");
    assert!(said.contains("no room") && said.contains("free space"), "{said}");
}

/// Lets some syncs pass and fails all others.
struct FailingSync {
    good_left: AtomicU64,
}

impl Faults for FailingSync {
    fn before(&self, call: &Call<'_>) -> Verdict {
        let is_sync = call.operation == Operation::SegmentSync;
        let is_good = !is_sync
            || self
                .good_left
                .try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok();
        if is_good { Verdict::Proceed } else { Verdict::Fail(EIO) }
    }
}

#[test]
fn a_failing_sync_ends_the_node_with_a_message_and_answers_nothing_that_is_not_durable() {
    let directory = TempDir::new().expect("a temporary directory");
    let data = directory.path().join("data");
    format(&FormatOptions {
        account_count_max: 100,
        transfer_count_max: 10_000,
        hold_count_max: 100,
        segment_size: 2 << 20,
        ..FormatOptions::new(&data)
    })
    .expect("the directory can be formatted");
    let faults = Arc::new(FailingSync { good_left: AtomicU64::new(GOOD_SYNCS) });
    let storage = Arc::new(FaultStorage::new(FileStorage::new(&data), faults));
    let options = NodeOptions::new(&data, "127.0.0.1:0".parse().expect("an address"));
    let node = Node::open_storage(storage, &options, &mut |_| ()).expect("the node opens");
    let address = node.local_addr();
    let thread = std::thread::spawn(move || node.run());

    let mut client = Client::connect(ClientConfig {
        reconnect: false,
        request_timeout: PATIENCE,
        ..ClientConfig::at(address)
    })
    .expect("the node answers");
    create_accounts(&mut client, 2);
    let mut acknowledged = Vec::new();
    let error = loop {
        let id = acknowledged.len() as u128 + 1;
        match pay(&mut client, id, 1) {
            Ok(timestamp) => acknowledged.push((id, timestamp)),
            Err(error) => break error,
        }
    };
    assert!(error.is_final(), "the connection is lost: {error}");
    assert!(!acknowledged.is_empty() && acknowledged.len() < GOOD_SYNCS as usize);
    let ended = thread.join().expect("the node does not panic");
    let failure = ended.expect_err("the node ends with its journal");
    assert_eq!(failure.failure(), Failure::Resource);
    let said = failure.to_string();
    assert!(said.contains("i/o failed") && said.contains("restart"), "{said}");

    let node = NodeProcess::start(&data, "127.0.0.1:0");
    let ids: Vec<u128> = acknowledged.iter().map(|(id, _)| *id).collect();
    let found = reader(node.address()).lookup_transfers(&ids).expect("the node answers");
    let found: Vec<(u128, u64)> = found.iter().map(|t| (t.id, t.timestamp)).collect();
    assert_eq!(found, acknowledged, "everything acknowledged is there");
}
