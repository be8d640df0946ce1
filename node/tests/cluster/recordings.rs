//! Whoever has recorded connections of nodes and operators, without the secret: what they sent is worth nothing again.

use crate::fixture::{self, Cluster, SECRET, transfer, wait_until};
use crate::promote;
use mizan_client::Client;
use mizan_node::cluster::{AdminRequest, CATCH_UP_RATE, ClusterNode, ClusterOptions, Policy, ask};
use mizan_node::status::NodeStatus;
use mizan_node::{GatewayConfig, NodeOptions};
use mizan_replica::handshake::{GREETING_SIZE, Greeting};
use mizan_replica::{Identity, Start};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Passes connections on to a node and keeps what was sent to it.
struct Recorder {
    address: SocketAddr,
    /// What each dialler sent.
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Recorder {
    fn before(node: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&sent);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(dialler) = stream else { return };
                let Ok(node) = TcpStream::connect(node) else { continue };
                let at = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(Vec::new());
                    kept.len() - 1
                };
                let kept = Arc::clone(&kept);
                let (from_node, to_dialler) =
                    (node.try_clone().unwrap(), dialler.try_clone().unwrap());
                std::thread::spawn(move || {
                    pass(&dialler, &node, |bytes| kept.lock().unwrap()[at].extend(bytes));
                });
                std::thread::spawn(move || pass(&from_node, &to_dialler, |_| ()));
            }
        });
        Self { address, sent }
    }

    /// The recording of the first connection that sent so much.
    fn recording(&self, size_min: usize) -> Vec<u8> {
        let mut found = None;
        wait_until("a recording", || {
            let sent = self.sent.lock().unwrap();
            found = sent.iter().find(|sent| sent.len() >= size_min).cloned();
            found.is_some()
        });
        found.expect("it was found")
    }
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, mut keep: impl FnMut(&[u8])) {
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        keep(&chunk[..count]);
        if to.write_all(&chunk[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}

/// Connections that a node has made with its peer since its start, as of now: the file of counters follows a moment
/// later, so it is read until it shows what the node says itself.
fn connects(cluster: &Cluster, node: usize) -> u64 {
    let commit = cluster.status(node).expect("it runs").commit;
    let mut connects = 0;
    wait_until("the counters follow", || {
        let Ok(shown) = NodeStatus::read(&cluster.data(node)) else { return false };
        let [peer] = &shown.peers[..] else { return false };
        connects = peer.figures.connects;
        connects > 0 && peer.figures.durable >= commit
    });
    connects
}

/// A greeting, and the connection that it came on.
fn greeted(node: SocketAddr) -> (TcpStream, Greeting) {
    let mut stream = TcpStream::connect(node).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut bytes = [0; GREETING_SIZE];
    stream.read_exact(&mut bytes).unwrap();
    (stream, Greeting::decode(&bytes).unwrap())
}

/// Whether the other end closes the connection, having said at most so much.
fn is_hung_up_on(mut stream: &TcpStream, size_max: usize) -> bool {
    let mut rest = Vec::new();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut rest);
    rest.len() <= size_max
}

fn pays(client: &mut Client, ids: std::ops::Range<u128>) {
    ids.for_each(|id| assert!(transfer(client, id)));
}

#[test]
fn a_recorded_connection_of_a_peer_pushes_nobody_off() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.stop(1);
    let recorder = Recorder::before(cluster.node_address(0));
    // Node 1 reaches node 0 through somebody who listens.
    let options = NodeOptions {
        gateway: GatewayConfig { listen: cluster.address(1), ..GatewayConfig::default() },
        ..NodeOptions::new(cluster.data(1), cluster.address(1))
    };
    let listened_to = ClusterOptions {
        listen: cluster.node_address(1),
        peers: vec![recorder.address],
        secret: Some(SECRET),
        journal_only: false,
        catch_up_rate: CATCH_UP_RATE,
        standing: None,
    };
    let node = ClusterNode::open(&options, &listened_to, &mut |_| ()).unwrap();
    let stop = node.stop_handle();
    let thread = std::thread::spawn(move || node.run());
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    pays(&mut client, 1..20);
    let recording = recorder.recording(400);
    let before = connects(&cluster, 0);
    for round in 0..20 {
        let (mut replay, _) = greeted(cluster.node_address(0));
        // It may be hung up on in the middle.
        let _ = replay.write_all(&recording);
        pays(&mut client, 100 * (round + 1)..100 * (round + 1) + 5);
        assert!(is_hung_up_on(&replay, 0), "a recording is answered with nothing");
    }
    pays(&mut client, 5_000..5_020);
    cluster.status(0).expect("the node answers");
    assert_eq!(connects(&cluster, 0), before, "the peer kept its connection");
    stop.stop();
    thread.join().unwrap().unwrap();
    cluster.stop_all();
}

#[test]
fn a_hello_without_what_follows_it_pushes_nobody_off() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    pays(&mut client, 1..5);
    let before = connects(&cluster, 0);
    let mut held = Vec::new();
    for round in 0..10u128 {
        // As one would who passes a challenge on to the real peer, and yet does not get the key.
        let (mut stream, greeting) = greeted(cluster.node_address(0));
        let identity = Identity {
            cluster: greeting.cluster,
            index: 1,
            node_count: 2,
            incarnation: 1,
            start: Start::default(),
            process: 0,
            secret: SECRET,
        };
        let (_, hello) = identity.dial(0, &greeting, [7; 32]).unwrap();
        stream.write_all(&hello).unwrap();
        let mut answer = vec![0; hello.len()];
        stream.read_exact(&mut answer).unwrap();
        if round % 2 == 0 {
            // A first message under another key, or the hello again.
            let _ = stream.write_all(&hello);
            assert!(is_hung_up_on(&stream, 0));
        } else {
            held.push(stream);
        }
        pays(&mut client, 100 * (round + 1)..100 * (round + 1) + 5);
    }
    assert_eq!(connects(&cluster, 0), before, "the peer kept its connection");
    assert!(held.iter().all(|stream| is_hung_up_on(stream, 0)), "nobody waits for ever");
    cluster.stop_all();
}

#[test]
fn recorded_questions_of_operators_take_no_place_from_the_real_ones() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    let recorder = Recorder::before(cluster.node_address(0));
    ask(recorder.address, SECRET, &AdminRequest::Status, Duration::from_secs(20)).unwrap();
    let recording = recorder.recording(160);
    let hello = &recording[..96];
    let mut held = Vec::new();
    for round in 0..40 {
        let (mut replay, _) = greeted(cluster.node_address(0));
        let _ = replay.write_all(if round % 2 == 0 { hello } else { &recording });
        held.push(replay);
    }
    for _ in 0..5 {
        assert!(cluster.status(0).is_some(), "an operator who knows the secret is heard");
    }
    assert!(held.iter().all(|replay| is_hung_up_on(replay, 0)));
    cluster.stop_all();
}
