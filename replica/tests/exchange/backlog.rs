//! A peer whose disk is slow or full: how much it is sent, and what it grants.

use crate::net::Net;
use mizan_replica::Role;
use mizan_replica::constants::{BACKLOG_SIZE_MAX, WINDOW_SIZE};

/// Bytes of frames that a node holds and its disk does not.
fn payload_behind(net: &Net, node: usize, sequence: u64) -> u64 {
    let frames = net.nodes[node].log.iter();
    frames
        .filter(|(header, _)| header.sequence > sequence)
        .map(|(_, payload)| payload.len() as u64)
        .sum()
}

#[test]
fn a_peer_whose_disk_hangs_is_sent_a_window_and_the_rest_once_its_disk_goes_on() {
    let mut net = Net::new(3);
    net.promote(0, false, None);
    net.node(2).is_quick = false;
    let durable = net.node(2).replica.status().durable;
    let payload = vec![7; 512 << 10];
    for _ in 0..40 {
        net.write(0, &payload);
        assert_eq!(net.commit(0), net.end(0), "the other two are enough");
    }
    // Whoever sends more than a window is cut off.
    assert!(net.nodes[0].replica.peer_status(2).is_connected);
    let held = payload_behind(&net, 2, durable);
    assert!((WINDOW_SIZE..BACKLOG_SIZE_MAX).contains(&held), "{held}");
    // A new connection gives no second window.
    for _ in 0..3 {
        net.disconnect(0, 2);
        net.connect(0, 2);
        net.run();
        net.pass(200);
    }
    assert_eq!(payload_behind(&net, 2, durable), held);
    net.node(2).is_quick = true;
    net.sync(2);
    net.run();
    net.pass(100);
    assert!(net.nodes[2].log == net.nodes[0].log);
    assert_eq!(net.role(2), Role::Live);
}

/// Three nodes, of which node 2 alone holds an entry of the lost primary, and not on its disk.
fn with_an_entry_in_memory() -> Net {
    let mut net = Net::new(3);
    net.promote(0, false, None);
    net.write(0, b"on all disks");
    net.dead = vec![1];
    net.node(2).is_quick = false;
    net.node(0).is_quick = false;
    net.write(0, b"in memory");
    assert!(net.commit(0) < net.end(0));
    net.dead = vec![0];
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        net.disconnect(one, other);
    }
    net.connect(1, 2);
    net.run();
    net
}

fn has(net: &Net, node: usize, entry: &[u8]) -> bool {
    net.nodes[node].log.iter().any(|(_, payload)| payload == entry)
}

#[test]
fn an_entry_that_never_reaches_the_disk_keeps_nobody_from_being_promoted() {
    let mut net = with_an_entry_in_memory();
    let shared = net.end(1);
    net.promote(1, false, None);
    assert_eq!(net.role(1), Role::Candidate, "the disk gets a moment");
    net.pass(250);
    assert!(matches!(net.role(1), Role::Primary(_)), "{:?}", net.nodes[1].refusals);
    assert!(has(&net, 1, b"on all disks") && !has(&net, 1, b"in memory"));
    net.pass(200);
    assert_eq!(net.nodes[2].cuts, [shared]);
}

#[test]
fn an_entry_that_reaches_the_disk_while_a_grant_is_asked_for_is_taken_over() {
    let mut net = with_an_entry_in_memory();
    net.promote(1, false, None);
    net.node(2).is_quick = true;
    net.sync(2);
    net.run();
    assert!(matches!(net.role(1), Role::Primary(_)), "it need not be asked again");
    assert!(has(&net, 1, b"in memory"));
    assert_eq!(net.nodes[2].cuts, [0; 0]);
}

#[test]
fn a_grant_names_what_is_acknowledged_as_durable_and_nothing_less() {
    let mut net = Net::new(3);
    net.promote(0, false, None);
    net.dead = vec![1];
    net.node(2).is_quick = false;
    net.write(0, b"first");
    net.write(0, b"second");
    // Only the first one is durable at node 2, and so it is acknowledged.
    let first = net.end(2) - 1;
    let now_ns = net.now_ns;
    net.node(2).replica.handle_durable(0, first, now_ns);
    net.run();
    assert_eq!(net.commit(0), first);
    net.dead = vec![0];
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        net.disconnect(one, other);
    }
    net.connect(1, 2);
    net.run();
    net.promote(1, false, None);
    net.pass(600);
    assert!(matches!(net.role(1), Role::Primary(_)), "{:?}", net.nodes[1].refusals);
    assert!(has(&net, 1, b"first"));
}
