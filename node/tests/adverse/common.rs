//! A node in this process over a storage that can be made to wait or to fail, and a real client on a real socket.

use mizan_client::{Client, ClientConfig, Completion};
use mizan_journal::fault::{Call, FaultStorage, Faults, Operation, Verdict};
use mizan_journal::{FileStorage, Storage};
use mizan_node::{
    CursorsReader, FormatOptions, Layout, Node, NodeError, NodeOptions, StopHandle, format,
};
use mizan_wire::{Account, Transfer};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use zerocopy::IntoBytes;

/// How long anything may take before a test is given up.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Plan {
    syncs_wait: bool,
    /// Syncs that may go on although they are to wait.
    syncs_passed: usize,
    /// A sync of a segment waits now.
    sync_waits_now: bool,
    sync_errno: Option<i32>,
    create_errno: Option<i32>,
    segments_opened: usize,
}

/// What the storage is to do.
#[derive(Default)]
pub(crate) struct Switch {
    plan: Mutex<Plan>,
    changed: Condvar,
}

impl Switch {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap()
    }

    /// From now on syncs of segments wait, or those that wait go on.
    pub(crate) fn hold_syncs(&self, hold: bool) {
        self.plan().syncs_wait = hold;
        self.changed.notify_all();
    }

    pub(crate) fn sync_waits(&self) -> bool {
        self.plan().sync_waits_now
    }

    pub(crate) fn fail_syncs(&self, errno: Option<i32>) {
        self.plan().sync_errno = errno;
    }

    pub(crate) fn fail_creates(&self, errno: Option<i32>) {
        self.plan().create_errno = errno;
    }

    pub(crate) fn segments_opened(&self) -> usize {
        self.plan().segments_opened
    }

    /// Lets the sync that waits go on, and no other.
    pub(crate) fn pass_sync(&self) {
        let mut plan = self.plan();
        assert!(std::mem::take(&mut plan.sync_waits_now), "no sync waits");
        plan.syncs_passed += 1;
        self.changed.notify_all();
    }

    fn sync(&self) -> Verdict {
        let mut plan = self.plan();
        plan.sync_waits_now = plan.syncs_wait;
        while plan.syncs_wait && plan.syncs_passed == 0 {
            let (next, wait) = self.changed.wait_timeout(plan, PATIENCE).unwrap();
            assert!(!wait.timed_out(), "nobody let the sync go on");
            plan = next;
        }
        plan.syncs_passed = plan.syncs_passed.saturating_sub(1);
        plan.sync_waits_now = false;
        plan.sync_errno.map_or(Verdict::Proceed, Verdict::Fail)
    }
}

impl Faults for Switch {
    fn before(&self, call: &Call<'_>) -> Verdict {
        match call.operation {
            Operation::SegmentSync => self.sync(),
            Operation::Create => self.plan().create_errno.map_or(Verdict::Proceed, Verdict::Fail),
            Operation::OpenSegment => {
                self.plan().segments_opened += 1;
                Verdict::Proceed
            }
            _ => Verdict::Proceed,
        }
    }
}

/// Polls until something is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

pub(crate) fn small(data: &Path) -> FormatOptions {
    FormatOptions {
        account_count_max: 10_000,
        transfer_count_max: 100_000,
        hold_count_max: 10_000,
        window_requests: 8_192,
        segment_size: 2 << 20,
        digest_interval: 16,
        ..FormatOptions::new(data)
    }
}

/// A formatted directory of its own.
pub(crate) fn formatted() -> TempDir {
    let directory = TempDir::new().unwrap();
    format(&small(directory.path())).unwrap();
    directory
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) stop: StopHandle,
    pub(crate) cursors: CursorsReader,
    pub(crate) switch: Arc<Switch>,
    /// Where scrapers are answered.
    pub(crate) metrics: SocketAddr,
    thread: JoinHandle<Result<(), NodeError>>,
}

impl Running {
    pub(crate) fn start(data: &Path, layout: Layout) -> Self {
        Self::start_files(FileStorage::new(data), layout)
    }

    /// As [`Running::start`], with the files written in the storage's own way.
    pub(crate) fn start_files(files: FileStorage, layout: Layout) -> Self {
        let switch = Arc::new(Switch::default());
        let data = files.directory().to_owned();
        let storage = FaultStorage::new(files, Arc::clone(&switch));
        Self::start_on(storage, &NodeOptions { layout: Some(layout), ..local(&data) }, switch)
    }

    /// As [`Running::start`], and the front goes on while a sync waits, however small its group is.
    pub(crate) fn start_without_inline_commit(data: &Path, layout: Layout) -> Self {
        let switch = Arc::new(Switch::default());
        let storage = FaultStorage::new(FileStorage::new(data), Arc::clone(&switch));
        let options = NodeOptions { layout: Some(layout), inline_commit: false, ..local(data) };
        Self::start_on(storage, &options, switch)
    }

    pub(crate) fn start_on<S: Storage>(
        storage: S,
        options: &NodeOptions,
        switch: Arc<Switch>,
    ) -> Self {
        let node = Node::open_storage(Arc::new(storage), options, &mut |_| ()).unwrap();
        let (address, stop, cursors) = (node.local_addr(), node.stop_handle(), node.cursors());
        let metrics = node.metrics_addr().unwrap();
        let thread = std::thread::spawn(move || node.run());
        Self { address, stop, cursors, switch, metrics, thread }
    }

    /// Status and body of a page of the listener for scrapers.
    pub(crate) fn page(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.metrics).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Whether `/metrics` shows an alarm.
    pub(crate) fn shows(&self, alarm: &str) -> bool {
        self.page("/metrics").1.contains(&format!("\nmizan_alarm{{alarm=\"{alarm}\"}} 1\n"))
    }

    /// A client that gives up rather than connect again.
    pub(crate) fn client(&self) -> Client {
        let config = ClientConfig {
            reconnect: false,
            request_timeout: PATIENCE,
            ..ClientConfig::at(self.address)
        };
        Client::connect(config).unwrap()
    }

    /// What the node ends with.
    pub(crate) fn end(self) -> Result<(), NodeError> {
        wait_until("the node ends", || self.thread.is_finished());
        self.thread.join().unwrap()
    }

    pub(crate) fn stop(self) -> Result<(), NodeError> {
        self.stop.stop();
        self.end()
    }
}

pub(crate) fn local(data: &Path) -> NodeOptions {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    NodeOptions { metrics: Some(any), ..NodeOptions::new(data, any) }
}

/// Waits for so many completions.
pub(crate) fn complete(client: &mut Client, count: usize) -> Vec<Completion> {
    let mut completions = Vec::new();
    wait_until("all requests are over", || {
        completions.extend(client.poll(Duration::from_millis(10)).unwrap());
        completions.len() == count
    });
    completions
}

pub(crate) fn account(id: u128) -> Account {
    Account { id, ledger: 1, code: 1, ..Account::default() }
}

pub(crate) fn transfer(id: u128) -> Transfer {
    Transfer {
        id,
        debit_account_id: 1,
        credit_account_id: 2,
        amount: 1,
        ledger: 1,
        code: 1,
        ..Transfer::default()
    }
}

/// The bytes of as many accounts as one request holds.
pub(crate) fn accounts_of_the_largest_request() -> Vec<u8> {
    (1..=8_189).flat_map(|id| account(id).as_bytes().to_vec()).collect()
}

/// The files say nothing but what was said to clients.
pub(crate) fn assert_sound(data: &Path) -> mizan_node::offline::VerifyReport {
    let report = mizan_node::offline::verify(data, &mut |_| ()).unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    report
}
