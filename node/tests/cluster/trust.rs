//! Who may start a node of a cluster, and what it believes of its files before they are its own.

use crate::fixture::{Cluster, SECRET, wait_until};
use mizan_journal::{Entry, FileStorage, Journal, LockError, OpenOptions, Storage};
use mizan_node::cluster::{
    AdminReply, AdminRequest, CATCH_UP_RATE, ClusterNode, ClusterOptions, Policy, Secret, ask,
    change_secret,
};
use mizan_node::{Failure, NodeError, NodeOptions};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn options(data: &Path, secret: Option<Secret>) -> (NodeOptions, ClusterOptions) {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let cluster = ClusterOptions {
        listen: any,
        peers: vec![any],
        secret,
        journal_only: false,
        catch_up_rate: CATCH_UP_RATE,
        standing: None,
    };
    (NodeOptions::new(data, any), cluster)
}

#[test]
fn a_node_of_a_cluster_with_a_secret_does_not_start_without_it_or_with_another() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.stop_all();
    for node in 0..2 {
        for secret in [None, Some([0; 32]), Some([9; 32])] {
            let (options, cluster) = options(&cluster.data(node), secret);
            let error = ClusterNode::open(&options, &cluster, &mut |_| ()).err();
            let error = error.expect("another secret");
            assert_eq!(error.failure(), Failure::Usage);
            assert!(matches!(&error, NodeError::Options(text) if text.contains("--secret-file")));
        }
        let (options, cluster) = options(&cluster.data(node), Some(SECRET));
        ClusterNode::open(&options, &cluster, &mut |_| ()).expect("with its secret it starts");
    }
}

#[test]
fn a_secret_that_was_changed_on_all_nodes_is_the_one_that_counts() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    let error = change_secret(&cluster.data(0), &[9; 32]).expect_err("the node runs");
    assert_eq!(error.failure(), Failure::WrongState);
    cluster.stop_all();
    for node in 0..2 {
        let record = change_secret(&cluster.data(node), &[9; 32]).unwrap();
        assert_eq!(usize::from(record.node), node);
        let (options, old) = options(&cluster.data(node), Some(SECRET));
        assert!(ClusterNode::open(&options, &old, &mut |_| ()).is_err(), "the old one");
        let new = ClusterOptions { secret: Some([9; 32]), ..old };
        ClusterNode::open(&options, &new, &mut |_| ()).expect("the new one");
    }
}

/// A directory whose last user is just ending: it writes a higher epoch down and then lets the lock go.
struct Leaving(FileStorage);

/// Far above what a new cluster has seen.
const LAST_EPOCH: u64 = 41;

impl Storage for Leaving {
    type Segment = <FileStorage as Storage>::Segment;
    type Lock = <FileStorage as Storage>::Lock;

    fn lock(&self) -> Result<Self::Lock, LockError> {
        let mut ignore = |_: &mizan_journal::Frame<'_>| Ok(());
        let last = FileStorage::new(self.0.directory());
        let (mut last, _) = Journal::open(last, &OpenOptions::default(), &mut ignore).unwrap();
        last.note_epoch(LAST_EPOCH).unwrap();
        last.close().unwrap();
        self.0.lock()
    }
    fn describe(&self) -> String {
        self.0.describe()
    }
    fn list(&self) -> io::Result<Vec<Entry>> {
        self.0.list()
    }
    fn make_directory(&self, name: &str) -> io::Result<()> {
        self.0.make_directory(name)
    }
    fn create(&self, name: &str, size: u64) -> io::Result<()> {
        self.0.create(name, size)
    }
    fn read(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(name, offset, buffer)
    }
    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write(name, offset, bytes)
    }
    fn sync_file(&self, name: &str) -> io::Result<()> {
        self.0.sync_file(name)
    }
    fn settle(&self, name: &str) -> io::Result<()> {
        self.0.settle(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
    fn sync_directory(&self, name: &str) -> io::Result<()> {
        self.0.sync_directory(name)
    }
    fn open_segment(&self, name: &str, size: u64) -> io::Result<Self::Segment> {
        self.0.open_segment(name, size)
    }
}

#[test]
fn what_the_last_user_of_the_directory_wrote_before_it_let_go_is_not_forgotten() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.stop_all();
    let data = cluster.data(0);
    let (options, cluster) = options(&data, Some(SECRET));
    let storage = Arc::new(Leaving(FileStorage::new(&data)));
    let node = ClusterNode::open_storage(storage, &options, &cluster, &mut |_| ()).unwrap();
    let (address, stop) = (node.cluster_addr(), node.stop_handle());
    let thread = std::thread::spawn(move || node.run());
    let mut epoch = 0;
    wait_until("the node says which epoch it has seen", || {
        let reply = ask(address, SECRET, &AdminRequest::Status, Duration::from_secs(5));
        let Ok(AdminReply::Status(status)) = reply else { return false };
        epoch = status.epoch;
        true
    });
    stop.stop();
    thread.join().unwrap().unwrap();
    assert_eq!(epoch, LAST_EPOCH, "an epoch that was granted is granted for ever");
}
