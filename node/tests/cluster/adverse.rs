//! Whoever reaches the replication address without knowing the secret: nothing that they send may stop the cluster.

use crate::fixture::{Cluster, accounts, transfer, wait_until};
use mizan_journal::sim::SimRandom;
use mizan_node::cluster::{AdminReply, AdminRequest, Policy};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

fn promote() -> AdminRequest {
    AdminRequest::Promote {
        expect_epoch: None,
        solo: false,
        accept_loss_after: None,
        accept_clock: false,
    }
}

/// A header that looks right as far as anybody can tell without the secret.
fn header(magic: &[u8; 4], size: u32, kind: u8, from: u8, to: u8) -> Vec<u8> {
    let mut bytes = vec![0; 80];
    bytes[32..36].copy_from_slice(magic);
    bytes[36..40].copy_from_slice(&size.to_le_bytes());
    bytes[40..44].copy_from_slice(&[kind, 2, from, to]);
    bytes
}

#[test]
fn bytes_of_strangers_stop_neither_the_nodes_nor_the_clients() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.promote(0, &promote());
    let mut client = cluster.client();
    accounts(&mut client);
    let seed = 7;
    let mut random = SimRandom::new(seed);
    let mut held = Vec::new();
    for round in 0..120u128 {
        let mut stranger = TcpStream::connect(cluster.node_address((round % 2) as usize)).unwrap();
        let mut bytes = match round % 6 {
            0 => header(b"MZR1", 112, 1, 1, 0),
            1 => header(b"MZR1", u32::MAX, 6, 1, 0),
            2 => header(b"MZA1", 0, 2, 0, 0),
            3 => header(b"MZA1", 64 << 10, 1, 0, 0),
            4 => header(b"MZR1", 4_000, 6, 0, 1),
            _ => Vec::new(),
        };
        bytes.extend((0..2_000).map(|_| random.below(256) as u8));
        // It may be hung up on in the middle.
        let _ = stranger.write_all(&bytes);
        if round % 3 == 0 {
            held.push(stranger);
        }
        assert!(transfer(&mut client, round + 1), "seed {seed}");
    }
    wait_until("the nodes know each other", || {
        cluster.status(0).is_some_and(|status| status.peers[0].is_connected)
    });
    assert!(transfer(&mut client, 1_000));
    drop(held);
    cluster.stop_all();
}

#[test]
fn silent_guests_make_room_for_the_operator() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    let guests: Vec<_> =
        (0..270).map(|_| TcpStream::connect(cluster.node_address(0)).unwrap()).collect();
    assert!(matches!(cluster.promote(0, &promote()), AdminReply::Promoted { .. }));
    // Those who came first were hung up on.
    let closed = guests.iter().filter(|guest| {
        guest.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        // The greeting, and then the end.
        matches!((&**guest).read_to_end(&mut Vec::new()), Ok(64))
    });
    assert!(closed.take(20).count() >= 20);
    cluster.stop_all();
}
