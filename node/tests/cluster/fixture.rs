//! A cluster in this process: each node on a thread that opens it again whenever it ends to start again.

use super::disk::Disk;
use mizan_client::{Client, ClientConfig};
use mizan_journal::fault::FaultStorage;
use mizan_journal::{FileStorage, JournalError, JournalIo, Storage};
use mizan_node::cluster::{
    AdminReply, AdminRequest, AskError, CATCH_UP_RATE, ClusterNode, ClusterOptions, ClusterStatus,
    Policy, RunEnd, Secret, ask, format_first, format_join,
};
use mizan_node::{
    FormatOptions, GatewayConfig, NodeError, NodeOptions, StopHandle, WallClock, offline,
};
use mizan_wire::{Account, CREATED, CreateTransferStatus, Operation, Status, Transfer};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use zerocopy::IntoBytes;

/// How long anything may take before a test is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a node may take to answer an operator.
const ANSWER_MAX: Duration = Duration::from_secs(20);
pub(crate) const SECRET: Secret = [3; 32];
const LEDGER: u32 = 7;

/// How the nodes of this test binary write their journals.
fn journal_io() -> JournalIo {
    if env!("CARGO_CRATE_NAME") == "cluster_direct" { JournalIo::Direct } else { JournalIo::Mmap }
}

/// Polls until something is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

struct Running {
    stop: Arc<Mutex<Option<StopHandle>>>,
    thread: JoinHandle<Result<(), NodeError>>,
}

pub(crate) struct Cluster {
    directory: TempDir,
    clients: Vec<SocketAddr>,
    nodes: Vec<SocketAddr>,
    /// Where scrapers are answered.
    metrics: Vec<SocketAddr>,
    running: Vec<Option<Running>>,
    journal_io: JournalIo,
    /// The nodes' wall clocks.
    pub(crate) clocks: Vec<WallClock>,
    /// Nodes that are started from now on only keep the log while they follow.
    pub(crate) journal_only: bool,
}

/// Addresses that were free a moment ago.
fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let bound: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    bound.iter().map(|listener| listener.local_addr().unwrap()).collect()
}

impl Cluster {
    pub(crate) fn start(count: usize, policy: Policy) -> Self {
        let addresses = free_addresses(3 * count);
        let (clients, others) = addresses.split_at(count);
        let (nodes, metrics) = others.split_at(count);
        let mut cluster = Self {
            // Beside what was compiled: more often on a disk than the system's temporary files.
            directory: TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
            clients: clients.to_vec(),
            nodes: nodes.to_vec(),
            metrics: metrics.to_vec(),
            running: (0..count).map(|_| None).collect(),
            journal_io: journal_io(),
            clocks: (0..count).map(|_| WallClock::default()).collect(),
            journal_only: false,
        };
        let options = FormatOptions {
            account_count_max: 1_000,
            transfer_count_max: 500_000,
            hold_count_max: 1_000,
            segment_size: 2 << 20,
            digest_interval: 16,
            journal_io: cluster.journal_io,
            ..FormatOptions::new(cluster.data(0))
        };
        match format_first(&options, count as u8, policy, Some(&SECRET)) {
            Err(NodeError::Journal(error @ JournalError::DirectIoUnsupported { .. })) => {
                println!("skipped: {error}");
                cluster.journal_io = JournalIo::Mmap;
                let options = FormatOptions { journal_io: JournalIo::Mmap, ..options };
                format_first(&options, count as u8, policy, Some(&SECRET)).map(drop)
            }
            outcome => outcome.map(drop),
        }
        .unwrap();
        cluster.restart(0);
        for node in 1..count {
            cluster.wipe(node, 0);
            cluster.restart(node);
        }
        wait_until("the nodes know each other", || {
            (0..count).all(|node| {
                cluster
                    .status(node)
                    .is_some_and(|status| status.peers.iter().all(|peer| peer.is_connected))
            })
        });
        cluster
    }

    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn data(&self, node: usize) -> PathBuf {
        self.directory.path().join(format!("node-{node}"))
    }

    pub(crate) fn address(&self, node: usize) -> SocketAddr {
        self.clients[node]
    }

    pub(crate) fn node_address(&self, node: usize) -> SocketAddr {
        self.nodes[node]
    }

    /// Replaces a node's disk by a new one, described by another node that runs.
    pub(crate) fn wipe(&mut self, node: usize, source: usize) {
        let data = self.data(node);
        let _ = std::fs::remove_dir_all(&data);
        let reply = self.ask(source, &AdminRequest::Join { node: Some(node as u8) });
        let AdminReply::Join(info) = reply else { panic!("{reply:?}") };
        let record = format_join(&data, self.journal_io, &info).unwrap();
        assert_eq!(usize::from(record.node), node);
    }

    pub(crate) fn restart(&mut self, node: usize) {
        self.run(node, |options, cluster| ClusterNode::open(options, cluster, &mut |_| ()));
    }

    /// As [`Cluster::restart`], on a disk that does what a test says.
    pub(crate) fn restart_on(&mut self, node: usize, disk: &Arc<Disk>) {
        let (data, disk, journal_io) = (self.data(node), Arc::clone(disk), self.journal_io);
        self.run(node, move |options, cluster| {
            let files = FileStorage::new(&data).with_journal_io(journal_io);
            let storage = FaultStorage::new(files, Arc::clone(&disk));
            ClusterNode::open_storage(Arc::new(storage), options, cluster, &mut |_| ())
        });
    }

    fn run<S: Storage>(
        &mut self,
        node: usize,
        open: impl Fn(&NodeOptions, &ClusterOptions) -> Result<ClusterNode<S>, NodeError>
        + Send
        + 'static,
    ) {
        let options = NodeOptions {
            gateway: GatewayConfig { listen: self.clients[node], ..GatewayConfig::default() },
            wall_clock: self.clocks[node].clone(),
            metrics: Some(self.metrics[node]),
            ..NodeOptions::new(self.data(node), self.clients[node])
        };
        let mut peers = self.nodes.clone();
        let listen = peers.remove(node);
        let mut cluster = ClusterOptions {
            listen,
            peers,
            secret: Some(SECRET),
            journal_only: self.journal_only,
            catch_up_rate: CATCH_UP_RATE,
            standing: None,
        };
        let stop = Arc::new(Mutex::new(None));
        let handle = Arc::clone(&stop);
        let (told, tell) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            loop {
                let node = open(&options, &cluster)?;
                *handle.lock().unwrap() = Some(node.stop_handle());
                let _ = told.send(());
                match node.run()? {
                    RunEnd::Stopped => return Ok(()),
                    RunEnd::Again { standing } => cluster.standing = standing,
                }
            }
        });
        tell.recv().expect("the node opens");
        self.running[node] = Some(Running { stop, thread });
    }

    pub(crate) fn stop(&mut self, node: usize) {
        let Some(running) = self.running[node].take() else { return };
        // A node that is opening again gets a new handle: it is told again.
        while !running.thread.is_finished() {
            if let Some(stop) = &*running.stop.lock().unwrap() {
                stop.stop();
            }
            std::thread::yield_now();
        }
        running.thread.join().unwrap().unwrap();
    }

    /// Tells a node to stop, and waits for nothing.
    pub(crate) fn tell_to_stop(&self, node: usize) {
        let running = self.running[node].as_ref().expect("it runs");
        if let Some(stop) = &*running.stop.lock().unwrap() {
            stop.stop();
        }
    }

    /// What a node ends with that is told nothing.
    pub(crate) fn end(&mut self, node: usize) -> Result<(), NodeError> {
        let running = self.running[node].take().expect("it runs");
        wait_until("the node ends", || running.thread.is_finished());
        running.thread.join().unwrap()
    }

    pub(crate) fn stop_all(&mut self) {
        // Standbys first: a primary that stops waits for the copies of what it has accepted.
        for node in (0..self.count()).rev() {
            self.stop(node);
        }
    }

    pub(crate) fn ask_with(
        &self,
        secret: Secret,
        node: usize,
        request: &AdminRequest,
    ) -> Result<AdminReply, AskError> {
        ask(self.nodes[node], secret, request, ANSWER_MAX)
    }

    pub(crate) fn ask(&self, node: usize, request: &AdminRequest) -> AdminReply {
        self.ask_with(SECRET, node, request).unwrap()
    }

    /// As [`Cluster::ask`], on a thread of its own.
    pub(crate) fn ask_meanwhile(
        &self,
        node: usize,
        request: AdminRequest,
    ) -> JoinHandle<Result<AdminReply, AskError>> {
        let address = self.nodes[node];
        std::thread::spawn(move || ask(address, SECRET, &request, PATIENCE))
    }

    pub(crate) fn status(&self, node: usize) -> Option<ClusterStatus> {
        match self.ask_with(SECRET, node, &AdminRequest::Status) {
            Ok(AdminReply::Status(status)) => Some(*status),
            _ => None,
        }
    }

    /// Status and body of the page for probers.
    pub(crate) fn page(&self, node: usize) -> (u16, String) {
        let mut stream = TcpStream::connect(self.metrics[node]).unwrap();
        write!(stream, "GET /readyz HTTP/1.1\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    pub(crate) fn promote(&self, node: usize, request: &AdminRequest) -> AdminReply {
        let reply = self.ask(node, request);
        assert!(matches!(reply, AdminReply::Promoted { .. }), "{reply:?}");
        reply
    }

    pub(crate) fn client(&self) -> Client {
        let config = ClientConfig {
            addresses: self.clients.clone(),
            request_timeout: PATIENCE,
            ..ClientConfig::default()
        };
        Client::connect(config).unwrap()
    }
}

pub(crate) fn accounts(client: &mut Client) {
    let accounts = [1, 2].map(|id| Account { id, ledger: LEDGER, code: 1, ..Account::default() });
    client.create_accounts(&accounts).unwrap();
}

pub(crate) fn one_unit(id: u128) -> Transfer {
    Transfer {
        id,
        debit_account_id: 1,
        credit_account_id: 2,
        amount: 1,
        ledger: LEDGER,
        code: 1,
        ..Transfer::default()
    }
}

/// As [`transfer`], for a row of ids, without waiting for the answer.
pub(crate) fn submit_transfers(client: &mut Client, first_id: u128, count: u32) {
    let transfers: Vec<Transfer> =
        (0..count).map(|at| one_unit(first_id + u128::from(at))).collect();
    client.submit(Operation::CreateTransfers, transfers.as_bytes()).unwrap();
}

/// One unit from the first account to the second; whether it is in the ledger now, also when it was there before.
pub(crate) fn transfer(client: &mut Client, id: u128) -> bool {
    let transfer = one_unit(id);
    let results = client.create_transfers(&[transfer]).unwrap();
    [CREATED, CreateTransferStatus::Exists.number()].contains(&results[0].status)
}

/// Digest and length of a node's log, verified from its files alone.
pub(crate) fn digest_of(data: impl AsRef<Path>) -> (u64, u128) {
    let report = offline::verify(data.as_ref(), &mut |_| ()).unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    (report.engine.sequence, report.engine.digest)
}
