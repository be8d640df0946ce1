//! What a node in this process shows of itself while the part that replicates says where it stands.

use mizan_node::status::{
    Alarm, Alarms, ClusterCounters, ClusterFigures, NodeRole, NodeStatus, PeerFigures, Phase,
    Sequences,
};
use mizan_node::{FormatOptions, Node, NodeError, NodeOptions, StopHandle, format};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Running {
    directory: TempDir,
    metrics: SocketAddr,
    cluster: ClusterCounters,
    stop: StopHandle,
    thread: JoinHandle<Result<(), NodeError>>,
}

fn formatted() -> TempDir {
    let directory = TempDir::new().unwrap();
    format(&FormatOptions {
        account_count_max: 100,
        transfer_count_max: 1_000,
        segment_size: 2 << 20,
        ..FormatOptions::new(directory.path())
    })
    .unwrap();
    directory
}

fn start() -> Running {
    let directory = formatted();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let options = NodeOptions { metrics: Some(any), ..NodeOptions::new(directory.path(), any) };
    let node = Node::open(&options, &mut |_| ()).unwrap();
    assert_eq!(node.status().phase, Phase::Opened);
    let (metrics, cluster) = (node.metrics_addr().unwrap(), node.cluster_counters());
    assert_eq!(get(metrics, "/readyz"), (503, "the node is opened\n".to_owned()));
    let stop = node.stop_handle();
    let thread = std::thread::spawn(move || node.run());
    Running { directory, metrics, cluster, stop, thread }
}

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    // How full the disk of this machine is, is not this test's affair.
    let lines = body.split_inclusive('\n').filter(|line| !line.contains(" % of the disk of "));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), lines.collect())
}

impl Running {
    fn status(&self) -> NodeStatus {
        NodeStatus::read(self.directory.path()).unwrap()
    }

    /// What the file shows once it is so.
    fn status_when(&self, what: &str, is_so: impl Fn(&NodeStatus) -> bool) -> NodeStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            // A copy may be looked at while it is made.
            if status.is_whole && is_so(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{what}: {status:#?}");
            std::thread::yield_now();
        }
    }

    /// After the front has beaten some times more, and the file has followed.
    fn after_beats(&self) -> NodeStatus {
        let before = self.status().beats;
        self.status_when("beats", |status| status.beats >= before + 3)
    }
}

#[test]
fn a_single_node_needs_nobody_to_say_so() {
    let node = start();
    let status = node
        .status_when("a running node", |status| status.phase == Phase::Running && status.beats > 3);
    assert_eq!((status.cluster.role, status.cluster_updates), (NodeRole::Single, 0));
    let sequences = status.sequences;
    assert_eq!((sequences.durable, sequences.applied, sequences.commit), (1, 1, 1));
    assert_eq!((status.limits[0].name, status.limits[0].max), ("accounts", 100));
    assert!(status.peers.is_empty() && status.is_whole && status.boot != 0);
    assert_eq!(get(node.metrics, "/readyz").0, 200);
    node.stop.stop();
    node.thread.join().unwrap().unwrap();
    let status = NodeStatus::read(node.directory.path()).unwrap();
    assert_eq!(status.phase, Phase::Stopped);
}

#[test]
fn what_the_cluster_says_stands_and_decides_whether_the_node_is_ready() {
    let node = start();
    node.status_when("a running node", |status| status.phase == Phase::Running);
    let standby = ClusterFigures {
        role: NodeRole::CatchingUp,
        epoch: 7,
        node_index: 1,
        node_count: 2,
        min_sync: 2,
        min_sync_base: 2,
        is_admitted: true,
        primary: Some(0),
        primary_sequence: 500,
        ..ClusterFigures::default()
    };
    let sequences =
        Sequences { published: 480, appended: 480, durable: 460, applied: 440, commit: 450 };
    node.cluster.set(&standby);
    node.cluster.set_sequences(&sequences);
    let status = node.after_beats();
    assert_eq!((status.sequences, status.cluster), (sequences, standby), "the front stores no own");
    let (code, body) = get(node.metrics, "/readyz");
    assert_eq!((code, body.contains("40 entries behind")), (503, true), "{body}");

    let live = ClusterFigures { role: NodeRole::Live, can_take_over: true, ..standby };
    node.cluster.set(&live);
    let (code, body) = get(node.metrics, "/readyz");
    assert!(code == 200 && body.starts_with("ready\n"), "{body}");
    let alarms = Alarms::NONE.with(Alarm::StateDiffers, true);
    node.cluster.set(&ClusterFigures { role: NodeRole::Stopped, alarms, ..live });
    assert_eq!(get(node.metrics, "/readyz").0, 503);
    let (_, page) = get(node.metrics, "/metrics");
    assert!(page.contains("\nmizan_alarm{alarm=\"state_differs\"} 1\n"), "{page}");

    let peer = PeerFigures { node_index: 0, is_connected: true, ..PeerFigures::default() };
    node.cluster.set(&ClusterFigures { role: NodeRole::Primary, primary: Some(1), ..standby });
    node.cluster.set_peer(0, Some(&peer));
    let (code, body) = get(node.metrics, "/readyz");
    assert_eq!((code, body.contains("1 of 2 copies")), (503, true), "{body}");
    node.cluster.set_peer(0, Some(&PeerFigures { is_in_sync: true, durable: 1, ..peer }));
    assert_eq!(get(node.metrics, "/readyz").0, 200);
    let status = node.after_beats();
    assert_eq!(status.sequences.durable, 1, "a primary's own stages write its log");
    assert_eq!((status.peers.len(), status.peers[0].lag_entries, status.in_sync()), (1, 0, 2));
    assert_eq!(status.cluster.epoch, 7, "the epoch is the cluster's");
    node.stop.stop();
    node.thread.join().unwrap().unwrap();
}

#[test]
fn a_node_that_cannot_be_opened_says_that_it_failed_and_gives_its_address_back() {
    let directory = formatted();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let place = std::net::TcpListener::bind(any).unwrap();
    let metrics = place.local_addr().unwrap();
    let taken = NodeOptions { metrics: Some(metrics), ..NodeOptions::new(directory.path(), any) };
    let error = Node::open(&taken, &mut |_| ()).map(drop).unwrap_err();
    assert!(matches!(error, NodeError::AddressInUse { address } if address == metrics), "{error}");
    assert!(!directory.path().join("counters").exists(), "nothing was opened");

    let other = std::net::TcpListener::bind(any).unwrap();
    drop(place);
    let listen = other.local_addr().unwrap();
    let taken =
        NodeOptions { metrics: Some(metrics), ..NodeOptions::new(directory.path(), listen) };
    assert!(Node::open(&taken, &mut |_| ()).is_err());
    drop(other);
    let node = Node::open(&taken, &mut |_| ()).unwrap();
    assert_eq!(node.metrics_addr(), Some(metrics));
    drop(node);
    assert_eq!(NodeStatus::read(directory.path()).unwrap().phase, Phase::Stopped);
}
