//! Sealed segments that do not read as they were written, found while the node runs.

use crate::common::{account, assert_sound, small, transfer, wait_until};
use mizan_client::{Client, ClientConfig};
use mizan_journal::FileStorage;
use mizan_journal::fault::{Call, FaultStorage, Faults, Operation, Verdict};
use mizan_node::{Node, NodeError, NodeOptions, StopHandle, format};
use mizan_wire::{CREATED, Transfer};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use tempfile::TempDir;

const EIO: i32 = 5;
/// So fast that a test need not wait.
const FAST: u64 = 1 << 30;
/// The first segment of a journal.
const FIRST: &str = "journal-0000000000000000.seg";

#[derive(Default)]
struct Seen {
    read: BTreeSet<String>,
    /// The segment that was written last, which is in use.
    in_use: String,
    read_in_use: bool,
    fails: bool,
    held: bool,
    waits_now: bool,
}

/// A disk that tells who reads it past the cache, and lets such reads fail or wait.
#[derive(Default)]
struct Disk {
    seen: Mutex<Seen>,
    changed: Condvar,
}

impl Disk {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    fn hold(&self, held: bool) {
        self.seen().held = held;
        self.changed.notify_all();
    }
}

impl Faults for Disk {
    fn before(&self, call: &Call<'_>) -> Verdict {
        let mut seen = self.seen();
        match call.operation {
            Operation::SegmentWrite => {
                if seen.in_use != call.name {
                    seen.in_use = call.name.to_owned();
                }
                Verdict::Proceed
            }
            Operation::ReadUncached => {
                seen.read.insert(call.name.to_owned());
                seen.read_in_use |= seen.in_use == call.name;
                seen.waits_now = seen.held;
                while seen.held {
                    seen = self.changed.wait(seen).unwrap();
                }
                seen.waits_now = false;
                if seen.fails && call.name == FIRST { Verdict::Fail(EIO) } else { Verdict::Proceed }
            }
            _ => Verdict::Proceed,
        }
    }
}

struct Running {
    address: SocketAddr,
    metrics: SocketAddr,
    stop: StopHandle,
    disk: Arc<Disk>,
    thread: JoinHandle<Result<(), NodeError>>,
}

impl Running {
    fn start(data: &Path, scrub_rate: u64) -> Self {
        let disk = Arc::new(Disk::default());
        let storage = FaultStorage::new(FileStorage::new(data), Arc::clone(&disk));
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let options = NodeOptions { metrics: Some(any), scrub_rate, ..NodeOptions::new(data, any) };
        let node = Node::open_storage(Arc::new(storage), &options, &mut |_| ()).unwrap();
        let (address, stop) = (node.local_addr(), node.stop_handle());
        let metrics = node.metrics_addr().unwrap();
        let thread = std::thread::spawn(move || node.run());
        Self { address, metrics, stop, disk, thread }
    }

    /// Creates the accounts and so many full requests of transfers, one to two of which fill a segment.
    fn load(&self, first_id: u128, requests: u128) {
        let mut client = Client::connect(ClientConfig::at(self.address)).unwrap();
        client.create_accounts(&[account(1), account(2)]).unwrap();
        for request in 0..requests {
            let ids = first_id + request * 8_000..first_id + (request + 1) * 8_000;
            let batch: Vec<Transfer> = ids.map(transfer).collect();
            let results = client.create_transfers(&batch).unwrap();
            assert!(results.iter().all(|result| result.status == CREATED));
        }
    }

    fn metric(&self, name: &str) -> f64 {
        let mut stream = TcpStream::connect(self.metrics).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    }

    /// What the node ends with after it was told to stop.
    fn stop(self) -> Result<(), NodeError> {
        self.stop.stop();
        wait_until("the node ends", || self.thread.is_finished());
        self.thread.join().unwrap()
    }
}

fn formatted() -> TempDir {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    format(&small(directory.path())).unwrap();
    directory
}

#[test]
fn a_sector_that_cannot_be_read_is_counted_while_the_node_goes_on_and_no_longer_when_it_can() {
    let directory = formatted();
    let node = Running::start(directory.path(), FAST);
    node.load(1, 5);
    let passes = || node.metric("mizan_scrub_passes_total");
    wait_until("a pass", || node.disk.seen().read.len() >= 2 && passes() >= 1.0);
    assert_eq!(node.metric("mizan_scrub_damaged_segments"), 0.0);
    assert!(node.metric("mizan_scrub_read_bytes_total") >= f64::from(2 << 20));
    assert!(node.metric("mizan_scrub_pass_timestamp_seconds") > 1e9);

    node.disk.seen().fails = true;
    wait_until("the damage", || node.metric("mizan_scrub_damaged_segments") == 1.0);
    node.load(100_001, 1);
    let before = passes();
    wait_until("another pass", || passes() > before);
    assert_eq!(node.metric("mizan_scrub_damaged_segments"), 1.0);
    node.disk.seen().fails = false;
    wait_until("no damage", || node.metric("mizan_scrub_damaged_segments") == 0.0);
    let disk = Arc::clone(&node.disk);
    node.stop().unwrap();
    assert_sound(directory.path());
    let seen = disk.seen();
    assert!(!seen.read_in_use && !seen.read.contains(&seen.in_use), "{:?}", seen.read);
}

#[test]
fn a_rate_of_zero_reads_nothing() {
    let directory = formatted();
    let node = Running::start(directory.path(), 0);
    node.load(1, 3);
    node.stop().unwrap();
    // With segments that are sealed from the beginning.
    for (rate, reads) in [(0, false), (FAST, true)] {
        let node = Running::start(directory.path(), rate);
        wait_until("it runs", || node.metric("mizan_beats_total") >= 10.0);
        let is_read = || !node.disk.seen().read.is_empty();
        if reads {
            wait_until("a read", is_read);
        }
        assert_eq!(is_read(), reads);
        node.stop().unwrap();
    }
}

#[test]
fn a_node_stops_while_the_scrubber_waits_for_its_time_and_while_its_read_hangs() {
    let directory = formatted();
    let node = Running::start(directory.path(), FAST);
    node.load(1, 3);
    node.stop().unwrap();

    // A page took its first second of more than an hour.
    let node = Running::start(directory.path(), 1);
    wait_until("a first read", || !node.disk.seen().read.is_empty());
    node.stop().unwrap();

    let node = Running::start(directory.path(), FAST);
    node.disk.hold(true);
    wait_until("a read that hangs", || node.disk.seen().waits_now);
    let disk = Arc::clone(&node.disk);
    node.stop().unwrap();
    assert!(disk.seen().waits_now, "nobody waited for it");
    disk.hold(false);
    assert_sound(directory.path());
}

/// Whether a thread of this process that scrubs has the lowest priority.
fn a_scrubber_is_nice() -> bool {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // Threads come and go meanwhile.
    tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok()).any(
        |stat| {
            let (name, figures) = stat.rsplit_once(')').unwrap();
            // proc_pid_stat(5): the third field is the state, the nineteenth the nice value.
            name.ends_with("(mizan-scrub") && figures.split_whitespace().nth(19 - 3) == Some("19")
        },
    )
}

#[test]
fn the_scrubber_lets_everybody_else_go_first() {
    let directory = formatted();
    let node = Running::start(directory.path(), FAST);
    wait_until("it has the lowest priority", a_scrubber_is_nice);
    node.stop().unwrap();
}
