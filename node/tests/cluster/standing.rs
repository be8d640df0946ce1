//! A promotion that has begun comes through, whatever the nodes that it needs do meanwhile.

use super::disk::Disk;
use super::fixture::{self, Cluster, digest_of, transfer, wait_until};
use super::{promote, settle};
use crate::alarms::append_tick;
use mizan_journal::fault::Operation;
use mizan_journal::{FileStorage, Superblock};
use mizan_node::cluster::{AdminReply, ClusterRecord, Policy};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn is_in_sync(cluster: &Cluster, primary: usize) -> bool {
    cluster.status(primary).is_some_and(|status| {
        status.role == "primary" && status.peers.iter().all(|peer| peer.is_in_sync)
    })
}

/// Ends the load, also when a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Moves the primary round a cluster under load: each promotion is asked for once.
fn move_round(count: usize, policy: Policy) {
    let mut cluster = Cluster::start(count, policy);
    cluster.promote(0, &promote(false));
    fixture::accounts(&mut cluster.client());
    let is_over = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writers = [1u128, 2].map(|writer| {
            let (mut client, is_over) = (cluster.client(), &is_over);
            scope.spawn(move || {
                let mut written = 0;
                while !is_over.load(Ordering::Relaxed) {
                    written += 1;
                    assert!(transfer(&mut client, (writer << 64) + written));
                }
                written
            })
        });
        let over = Over(&is_over);
        for turn in 0..6 {
            let (primary, next) = (turn % count, (turn + 1) % count);
            wait_until("all are in sync", || is_in_sync(&cluster, primary));
            cluster.promote(next, &promote(false));
        }
        drop(over);
        writers.into_iter().map(|writer| writer.join().unwrap()).sum::<u128>()
    });
    let primary = 6 % count;
    let mut reader = cluster.client();
    let status = reader.engine_status().expect("a read");
    assert_eq!(u128::from(status.transfer_count), written);
    wait_until("all are in sync", || is_in_sync(&cluster, primary));
    settle(&cluster, primary);
    cluster.stop_all();
    let digests: Vec<_> = (0..count).map(|node| digest_of(cluster.data(node))).collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn a_primary_is_moved_under_load_where_every_node_has_to_grant() {
    move_round(3, Policy::Disk);
}

#[test]
fn a_primary_is_moved_under_load_where_the_other_copy_is_the_former_primarys() {
    move_round(2, Policy::TwoDisks);
}

#[test]
fn a_node_whose_disk_hangs_at_its_promotion_is_promoted_when_it_goes_on() {
    let mut cluster = Cluster::start(3, Policy::TwoDisks);
    let disk = Arc::new(Disk::default());
    cluster.stop(1);
    cluster.restart_on(1, &disk);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    wait_until("all are in sync", || is_in_sync(&cluster, 0));
    // Every write of the superblock waits, for longer than an operator does.
    disk.hold(Operation::SyncFile);
    let reply = cluster.ask(1, &promote(false));
    let AdminReply::Refused { text, .. } = &reply else { panic!("{reply:?}") };
    assert!(text.contains("stands for epoch"), "{text}");
    assert!(text.contains("this node's disk hangs"), "{text}");
    // Nobody has heard of the epoch.
    assert!(transfer(&mut client, 1));
    assert_eq!(cluster.status(0).expect("it runs").role, "primary");
    disk.release();
    wait_until("it leads", || is_in_sync(&cluster, 1));
    assert!(transfer(&mut client, 2));
    settle(&cluster, 1);
    cluster.stop_all();
    assert_eq!(digest_of(cluster.data(0)), digest_of(cluster.data(1)));
}

#[test]
fn a_frame_that_reaches_the_disk_of_a_fenced_primary_is_no_acknowledged_one() {
    let mut cluster = Cluster::start(2, Policy::Disk);
    let disk = Arc::new(Disk::default());
    cluster.stop(0);
    cluster.restart_on(0, &disk);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    assert!(transfer(&mut client, 1));
    settle(&cluster, 0);
    let before = cluster.status(0).expect("it runs").epoch;
    disk.hold(Operation::SegmentSync);
    fixture::submit_transfers(&mut client, 2, 1);
    client.flush();
    wait_until("the frame is on its way to the disk", || disk.waits_now());
    let asked = cluster.ask_meanwhile(1, promote(false));
    wait_until("the primary is fenced", || {
        cluster.status(0).is_some_and(|status| status.epoch > before)
    });
    disk.release();
    let reply = asked.join().unwrap().unwrap();
    assert!(matches!(reply, AdminReply::Promoted { .. }), "{reply:?}");
    // It goes on as a standby, and the client's transfer gets through once.
    wait_until("the former primary follows", || is_in_sync(&cluster, 1));
    assert!(transfer(&mut client, 2) && transfer(&mut client, 3));
    assert_eq!(client.engine_status().expect("a read").transfer_count, 3);
    settle(&cluster, 1);
    cluster.stop_all();
    assert_eq!(digest_of(cluster.data(0)), digest_of(cluster.data(1)));
    // What it may have acknowledged in the epoch that it led is written down.
    let superblock = Superblock::read(&FileStorage::new(cluster.data(0))).unwrap();
    let record = ClusterRecord::decode("a test", &superblock.config).unwrap().unwrap();
    assert_eq!(record.led.epoch, before);
    assert!(record.led.acknowledged > 0);
}

#[test]
fn a_candidate_that_cuts_its_log_starts_again_and_leads() {
    let mut cluster = Cluster::start(3, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    assert!(transfer(&mut client, 1));
    settle(&cluster, 0);
    cluster.stop_all();
    // An entry of its epoch that nobody else has, and that it never acknowledged.
    append_tick(&cluster, 0, 1);
    cluster.restart(1);
    cluster.restart(2);
    let reaches = |cluster: &Cluster, node: usize, peer: u8| {
        let status = cluster.status(node);
        status.is_some_and(|it| it.peers.iter().any(|it| it.node == peer && it.is_connected))
    };
    wait_until("the others know each other", || reaches(&cluster, 1, 2) && reaches(&cluster, 2, 1));
    cluster.promote(1, &promote(false));
    assert!(transfer(&mut client, 2));
    wait_until("the other has everything", || {
        let Some(leading) = cluster.status(1) else { return false };
        cluster.status(2).is_some_and(|status| status.durable == leading.end)
    });
    cluster.stop(1);
    cluster.restart(0);
    wait_until("the two that are left know each other", || {
        reaches(&cluster, 0, 2) && reaches(&cluster, 2, 0)
    });
    // It takes over the log of node 2 and has to cut its own for that; nobody asks it again.
    let reply = cluster.ask(0, &promote(false));
    let AdminReply::Refused { name, text } = reply else { panic!("{reply:?}") };
    assert_eq!(name, "log-cut", "{text}");
    assert!(text.contains("stands for epoch"), "{text}");
    wait_until("it leads", || cluster.status(0).is_some_and(|status| status.role == "primary"));
    assert!(transfer(&mut client, 3));
    assert_eq!(client.engine_status().expect("a read").transfer_count, 3);
    cluster.restart(1);
    settle(&cluster, 0);
    wait_until("all are in sync", || is_in_sync(&cluster, 0));
    settle(&cluster, 0);
    cluster.stop_all();
    let digests: Vec<_> = (0..3).map(|node| digest_of(cluster.data(node))).collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}
