//! Directories of nodes that were copied: what must not count is refused by name, and a move goes through.

use crate::alarms::await_alarm;
use crate::fixture::{self, Cluster, SECRET, digest_of, transfer, wait_until};
use crate::{promote, settle};
use mizan_client::Client;
use mizan_gateway::GatewayConfig;
use mizan_node::cluster::{CATCH_UP_RATE, ClusterNode, ClusterOptions, Policy, RunEnd};
use mizan_node::status::Alarm;
use mizan_node::{Failure, NodeError, NodeOptions, StopHandle};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// The node whose directory is copied: it dials both others.
const COPIED: usize = 2;

fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_files(&entry.path(), &place);
        } else if !entry.file_name().to_string_lossy().ends_with(".tmp") {
            std::fs::copy(entry.path(), place).unwrap();
        }
    }
}

/// A copy of the node's directory as it is now.
fn copy_of(cluster: &Cluster, name: &str) -> PathBuf {
    let copy = cluster.data(COPIED).with_file_name(name);
    copy_files(&cluster.data(COPIED), &copy);
    copy
}

/// Replaces the node's directory by a copy.
fn put_back(cluster: &Cluster, copy: &Path) {
    let data = cluster.data(COPIED);
    std::fs::rename(
        &data,
        data.with_file_name(format!("moved-by-{}", copy.file_name().unwrap().display())),
    )
    .unwrap();
    copy_files(copy, &data);
}

/// A process on a copy of the node's directory that listens elsewhere.
struct Beside {
    stop: Arc<Mutex<Option<StopHandle>>>,
    thread: JoinHandle<Result<(), NodeError>>,
}

impl Beside {
    fn start(cluster: &Cluster, data: &Path) -> Self {
        let anywhere = "127.0.0.1:0".parse().unwrap();
        let options = NodeOptions {
            gateway: GatewayConfig { listen: anywhere, ..GatewayConfig::default() },
            ..NodeOptions::new(data.to_owned(), anywhere)
        };
        let peers = (0..cluster.count()).filter(|node| *node != COPIED);
        let cluster = ClusterOptions {
            listen: anywhere,
            peers: peers.map(|node| cluster.node_address(node)).collect(),
            secret: Some(SECRET),
            journal_only: false,
            catch_up_rate: CATCH_UP_RATE,
            standing: None,
        };
        let stop = Arc::new(Mutex::new(None));
        let handle = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            loop {
                let node = ClusterNode::open(&options, &cluster, &mut |_| ())?;
                *handle.lock().unwrap() = Some(node.stop_handle());
                if node.run()? == RunEnd::Stopped {
                    return Ok(());
                }
            }
        });
        Self { stop, thread }
    }

    /// Stops it, if it has not ended by itself.
    fn stop(self) -> Result<(), NodeError> {
        wait_until("it is open", || self.stop.lock().unwrap().is_some());
        if let Some(stop) = &*self.stop.lock().unwrap() {
            stop.stop();
        }
        self.thread.join().unwrap()
    }
}

/// What a process on a copy of the node's directory ends with.
fn start_beside(cluster: &Cluster, data: &Path) -> NodeError {
    let copy = Beside::start(cluster, data);
    wait_until("the copy ends", || copy.thread.is_finished());
    copy.thread.join().unwrap().expect_err("the copy is refused")
}

fn assert_refused(error: &NodeError, why: &str) {
    assert!(matches!(error, NodeError::Stopped { .. }), "{error}");
    assert_eq!(error.failure(), Failure::Corrupt);
    let text = error.to_string();
    assert!(text.contains(why) && text.contains("mizan format"), "{text}");
}

fn pay(client: &mut Client, ids: std::ops::Range<u128>) {
    ids.for_each(|id| assert!(transfer(client, id)));
}

/// Three nodes that hold ten transfers, led by node 0.
fn cluster_of_three() -> (Cluster, Client) {
    let cluster = Cluster::start(3, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    pay(&mut client, 1..11);
    settle(&cluster, 0);
    (cluster, client)
}

/// Whoever hears of the copy first says so; then it is gone.
fn await_found(cluster: &Cluster) {
    let is_told = |node| {
        let status = cluster.status(node);
        status.is_some_and(|it| it.alarms.iter().any(|alarm| alarm.name == "disk-copied"))
    };
    wait_until("somebody tells of the copy", || (0..cluster.count()).any(is_told));
}

fn await_admitted(cluster: &Cluster) {
    wait_until("the new disk is admitted", || {
        cluster.status(COPIED).is_some_and(|it| it.is_admitted && it.role == "live")
    });
}

fn await_live(cluster: &Cluster, node: usize) {
    wait_until("it follows", || cluster.status(node).is_some_and(|it| it.role == "live"));
}

#[test]
fn of_two_copies_that_are_started_the_second_is_refused_however_often_it_starts() {
    let (mut cluster, mut client) = cluster_of_three();
    cluster.stop(COPIED);
    let copy = copy_of(&cluster, "copy");
    cluster.restart(COPIED);
    await_live(&cluster, COPIED);
    for _ in 0..3 {
        assert_refused(&start_beside(&cluster, &copy), "was begun by another copy");
    }
    await_found(&cluster);
    pay(&mut client, 11..21);
    // Not the primary is lost, and the copy is not asked.
    cluster.stop(0);
    assert_refused(&start_beside(&cluster, &copy), "was begun by another copy");
    cluster.promote(1, &promote(false));
    pay(&mut client, 21..31);
    assert_eq!(client.engine_status().expect("a read").transfer_count, 30);
    // The original starts as often as it likes.
    cluster.stop(COPIED);
    cluster.restart(COPIED);
    cluster.restart(0);
    settle(&cluster, 1);
    cluster.stop_all();
    assert_eq!(digest_of(cluster.data(COPIED)), digest_of(cluster.data(1)));
}

#[test]
fn a_copy_of_a_running_node_is_refused_while_that_one_answers_and_when_it_lacks_entries() {
    let (mut cluster, mut client) = cluster_of_three();
    let copy = copy_of(&cluster, "copy");
    // It may be what the original sent before it ended, so the copy is refused, and goes on asking.
    let beside = Beside::start(&cluster, &copy);
    await_found(&cluster);
    pay(&mut client, 11..21);
    settle(&cluster, 0);
    assert!(cluster.status(COPIED).is_some_and(|it| it.role == "live"), "the original stays");
    beside.stop().expect("it ends when it is told to");
    // The node is down, and the copy comes in its place: without what this disk has acknowledged since.
    cluster.stop(COPIED);
    put_back(&cluster, &copy);
    cluster.restart(COPIED);
    assert_refused(&cluster.end(COPIED).expect_err("it is refused"), "has acknowledged entries");
    cluster.wipe(COPIED, 0);
    cluster.restart(COPIED);
    await_admitted(&cluster);
    pay(&mut client, 21..31);
    settle(&cluster, 0);
    cluster.stop_all();
}

#[test]
fn an_old_backup_is_refused_by_nodes_that_were_all_started_since_and_a_new_disk_is_admitted() {
    let (mut cluster, mut client) = cluster_of_three();
    cluster.stop(COPIED);
    let backup = copy_of(&cluster, "backup");
    for _ in 0..2 {
        cluster.restart(COPIED);
        await_live(&cluster, COPIED);
        pay(&mut client, 11..21);
        settle(&cluster, 0);
        cluster.stop(COPIED);
    }
    drop(client);
    cluster.stop_all();
    put_back(&cluster, &backup);
    // Alone with the one that acknowledged nothing of late, it could give a promotion away.
    cluster.restart(1);
    cluster.restart(COPIED);
    assert_refused(&cluster.end(COPIED).expect_err("it is refused"), "is an older copy");
    await_alarm(&cluster, 1, Alarm::DiskCopied, true);
    cluster.restart(0);
    wait_until("two nodes", || cluster.status(1).is_some_and(|it| it.peers[0].is_connected));
    cluster.promote(1, &promote(false));
    cluster.wipe(COPIED, 1);
    cluster.restart(COPIED);
    await_admitted(&cluster);
    let mut client = cluster.client();
    pay(&mut client, 21..31);
    assert_eq!(client.engine_status().expect("a read").transfer_count, 30);
    settle(&cluster, 1);
    cluster.stop_all();
}

#[test]
fn a_directory_that_is_moved_while_its_node_is_stopped_goes_on() {
    let (mut cluster, mut client) = cluster_of_three();
    for node in [COPIED, COPIED] {
        cluster.stop(node);
        let moved = copy_of(&cluster, "moved");
        put_back(&cluster, &moved);
        std::fs::remove_dir_all(moved).unwrap();
        std::fs::remove_dir_all(cluster.data(COPIED).with_file_name("moved-by-moved")).unwrap();
        cluster.restart(node);
        await_live(&cluster, node);
    }
    pay(&mut client, 11..21);
    settle(&cluster, 0);
    assert_eq!(cluster.status(0).expect("it runs").alarms, []);
    cluster.stop_all();
    assert_eq!(digest_of(cluster.data(COPIED)), digest_of(cluster.data(0)));
}
