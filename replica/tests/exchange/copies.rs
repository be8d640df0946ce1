//! A disk that is there twice: whoever hears of both refuses one of them, and a restart is never refused.

use crate::net::{MS, Net};
use mizan_replica::constants::{PEER_TIMEOUT_NS, RIVAL_ANSWERS_NS};
use mizan_replica::handshake::connect;
use mizan_replica::{Alarm, Copied, Identity, KnownStart, Replica, Role, Session, Start, Verdict};

/// How often a process that is not taken tries again.
const AGAIN_NS: u64 = 50 * MS;

fn start(number: u64, nonce: u64) -> Start {
    Start { number, nonce }
}

/// A node's process starts again, and says that this is the start of its disk.
fn restart(net: &mut Net, index: u8, number: u64, nonce: u64) {
    net.restart(index, 1, 0);
    let node = net.node(index);
    node.options.starts.own = start(number, nonce);
    node.options.process = nonce;
    node.replica = Replica::new(node.options.clone());
}

/// Three nodes, of which node 1 is in its third start.
fn net_of_three() -> Net {
    let mut net = Net::new(3);
    restart(&mut net, 1, 3, 30);
    net.connect_all();
    net
}

/// Another process of node 1, on a copy of its disk: its session at that end, and at the listener.
fn sessions(net: &mut Net, listener: u8, number: u64, nonce: u64) -> (Session, Session) {
    let known = net.node(1).replica.identity();
    let identity = Identity { start: start(number, nonce), process: nonce, ..known };
    let other = net.node(listener).replica.identity();
    connect(&identity, &other, [[nonce as u8; 32], [9; 32]]).unwrap()
}

fn verdict(net: &mut Net, by: u8, number: u64, nonce: u64, has_older: bool) -> Verdict {
    let (_, session) = sessions(net, by, number, nonce);
    let now_ns = net.now_ns;
    let verdict = net.node(by).replica.judge_connection(&session, has_older, now_ns);
    net.drain(by);
    verdict
}

fn told(net: &mut Net, by: u8) -> Vec<Copied> {
    let alarms = std::mem::take(&mut net.node(by).alarms).into_iter();
    alarms
        .filter_map(|alarm| match alarm {
            Alarm::DiskCopied { peer: 1, copied } => Some(copied),
            _ => None,
        })
        .collect()
}

#[test]
fn a_start_that_another_copy_took_or_left_behind_is_refused_with_an_alarm() {
    for (number, nonce, expected) in
        [(3, 31, Copied::Other { number: 3 }), (2, 20, Copied::Older { known: 3, found: 2 })]
    {
        for has_older in [true, false] {
            let mut net = net_of_three();
            let Verdict::Refuse(bytes) = verdict(&mut net, 0, number, nonce, has_older) else {
                panic!("it is taken")
            };
            assert_eq!(told(&mut net, 0), [expected]);
            // The copy hears why, and stops.
            let (at_copy, _) = sessions(&mut net, 0, number, nonce);
            let mut options = net.node(1).options.clone();
            options.starts.own = start(number, nonce);
            let mut copy = Replica::new(options);
            copy.handle_connected(at_copy, net.now_ns);
            let outcome = copy.handle_message(0, &bytes, net.now_ns);
            assert_eq!((outcome, copy.status().role), (Ok(()), Role::Stopped));
            // The same connection and process again are the same disk, and the next start is, too.
            assert_eq!(verdict(&mut net, 0, 3, 30, true), Verdict::Take);
            assert_eq!(verdict(&mut net, 0, 4, 40, false), Verdict::Take);
        }
    }
}

#[test]
fn a_later_start_waits_for_the_older_process_and_is_refused_if_that_one_goes_on() {
    let mut net = net_of_three();
    for _ in 0..RIVAL_ANSWERS_NS / AGAIN_NS {
        assert_eq!(verdict(&mut net, 0, 4, 40, true), Verdict::Wait);
        net.pass(50);
    }
    let outcome = verdict(&mut net, 0, 4, 40, true);
    assert!(matches!(outcome, Verdict::Refuse(_)), "{outcome:?}");
    assert_eq!(told(&mut net, 0), [Copied::Running]);
}

#[test]
fn a_later_start_is_taken_when_the_older_process_is_gone() {
    let mut net = net_of_three();
    net.dead.push(1);
    for _ in 0..PEER_TIMEOUT_NS / AGAIN_NS - 1 {
        assert_eq!(verdict(&mut net, 0, 4, 40, true), Verdict::Wait);
        net.pass(50);
    }
    net.pass(200);
    assert!(!net.node(0).replica.peer_status(1).is_connected);
    assert_eq!(verdict(&mut net, 0, 4, 40, false), Verdict::Take);
    assert_eq!(told(&mut net, 0), []);
}

#[test]
fn a_node_that_was_only_told_of_a_start_refuses_its_copy() {
    let mut net = net_of_three();
    net.disconnect(1, 2);
    net.disconnect(0, 1);
    restart(&mut net, 1, 4, 40);
    net.connect(0, 1);
    net.run();
    net.pass(100);
    let known = KnownStart { incarnation: 1, start: start(4, 40) };
    assert_eq!(net.node(2).options.starts.known[1], known, "it is to be persisted");
    assert!(matches!(verdict(&mut net, 2, 4, 41, false), Verdict::Refuse(_)));
    assert_eq!(told(&mut net, 2), [Copied::Other { number: 4 }]);
}

#[test]
fn a_start_of_a_disk_that_was_replaced_is_no_rival_of_the_new_one() {
    let mut net = net_of_three();
    net.disconnect(0, 1);
    net.disconnect(0, 2);
    restart(&mut net, 1, 4, 40);
    net.connect(1, 2);
    net.run();
    // Node 0 meets the new disk before it hears of the last start of the old one.
    net.restart(1, 8, 1);
    net.connect(0, 1);
    net.connect(0, 2);
    net.run();
    net.pass(2 * RIVAL_ANSWERS_NS / MS);
    assert_eq!(told(&mut net, 0), []);
    assert!(net.node(0).replica.peer_status(1).is_connected);
    let known = KnownStart { incarnation: 1, start: start(4, 40) };
    assert_eq!(net.node(0).options.starts.known[1], known);
}

#[test]
fn two_copies_that_two_nodes_took_are_found_when_these_talk() {
    let mut net = net_of_three();
    net.disconnect(0, 2);
    net.disconnect(1, 2);
    let (_, session) = sessions(&mut net, 2, 3, 31);
    // Node 2 has not heard of the other one.
    net.restart(2, 1, 0);
    net.connect(0, 1);
    net.run();
    let now_ns = net.now_ns;
    net.node(2).replica.handle_connected(session, now_ns);
    net.connect(0, 2);
    net.run();
    for node in [0, 2] {
        assert_eq!(told(&mut net, node), [Copied::Other { number: 3 }], "node {node}");
    }
}

#[test]
fn a_disk_without_what_it_acknowledged_to_this_primary_is_refused() {
    let mut net = net_of_three();
    net.promote(0, false, None);
    for text in [b"one", b"two"] {
        net.write(0, text);
    }
    net.pass(100);
    assert_eq!((net.commit(0), net.end(1)), (net.end(0), net.end(0)));
    let acknowledged = net.end(0);
    net.restart(1, 1, 1);
    let node = net.node(1);
    node.options.starts.own = start(4, 40);
    node.options.process = 40;
    node.replica = Replica::new(node.options.clone());
    net.connect(0, 1);
    // The heartbeat with the end of its log is the first that it says.
    net.run();
    let copied = Copied::Lacking { acknowledged, end: acknowledged - 1 };
    assert_eq!(told(&mut net, 0), [copied]);
    assert!(!net.node(0).replica.peer_status(1).is_connected);
    assert!(matches!(verdict(&mut net, 0, 4, 40, false), Verdict::Refuse(_)), "again");
    // The disk that has it all comes with the start that the copy took.
    assert_eq!(verdict(&mut net, 0, 4, 41, false), Verdict::Take);
}

#[test]
fn a_start_is_confirmed_by_the_first_peer_that_takes_it_and_persisted() {
    let mut net = Net::new(3);
    restart(&mut net, 1, 1, 10);
    assert!(!net.node(1).options.starts.is_confirmed);
    net.connect(1, 2);
    net.run();
    assert!(net.node(1).options.starts.is_confirmed);
    assert_eq!(net.node(1).options.starts.next(11).own, start(2, 11));
}

#[test]
fn a_node_that_is_refused_while_another_process_seems_to_answer_goes_on_asking() {
    let mut net = net_of_three();
    for _ in 0..RIVAL_ANSWERS_NS / AGAIN_NS {
        assert_eq!(verdict(&mut net, 0, 4, 40, true), Verdict::Wait);
        net.pass(50);
    }
    let Verdict::Refuse(bytes) = verdict(&mut net, 0, 4, 40, true) else { panic!("it is taken") };
    let (at_copy, _) = sessions(&mut net, 0, 4, 40);
    let mut options = net.node(1).options.clone();
    options.starts.own = start(4, 40);
    let mut later = Replica::new(options);
    later.handle_connected(at_copy, net.now_ns);
    assert_eq!(later.handle_message(0, &bytes, net.now_ns), Ok(()));
    assert_eq!(later.status().role, Role::Waiting, "it does not stop");
    // What held the older connection up is over.
    assert_eq!(verdict(&mut net, 0, 4, 40, false), Verdict::Take);
}
