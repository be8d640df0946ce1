//! A node of a cluster whose disk hangs: the sync returns no error, it does not return at all. It says so itself, a
//! primary that waits for its copy says so, and nobody promotes it.

use super::disk::Disk;
use crate::alarms::await_told;
use crate::fixture::{self, Cluster, submit_transfers, transfer, wait_until};
use crate::{promote, settle};
use mizan_client::Client;
use mizan_journal::fault::Operation;
use mizan_node::cluster::{AdminReply, Policy};
use mizan_node::status::Alarm;
use std::sync::Arc;
use std::time::Duration;

/// Two nodes, the first of which leads; one of them is on a disk whose sync waits, and a write waits for it.
fn waiting_for(node: usize) -> (Cluster, Client, Arc<Disk>) {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    let disk = Arc::new(Disk::default());
    cluster.stop(node);
    cluster.restart_on(node, &disk);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    assert!(transfer(&mut client, 1));
    settle(&cluster, 0);
    for node in 0..2 {
        wait_until("it is ready", || is_ready(&cluster, node) && cluster.page(node).0 == 200);
        await_told(&cluster, node, Alarm::DiskHangs, false);
    }
    disk.hold(Operation::SegmentSync);
    submit_transfers(&mut client, 2, 1);
    client.flush();
    wait_until("the sync waits", || disk.waits_now());
    (cluster, client, disk)
}

fn is_ready(cluster: &Cluster, node: usize) -> bool {
    cluster.status(node).is_some_and(|status| status.is_ready)
}

/// The node says that its disk hangs, to operators and to probers.
fn await_unready(cluster: &Cluster, node: usize) {
    await_told(cluster, node, Alarm::DiskHangs, true);
    wait_until("it says that it is not ready", || {
        let reason = cluster.status(node).and_then(|status| status.not_ready);
        reason.is_some_and(|reason| reason.contains("its disk hangs"))
    });
    wait_until("probers see it", || {
        let (code, body) = cluster.page(node);
        code == 503 && body.contains("disk_hangs: entries wait for the disk")
    });
}

/// The write is answered, and everybody is well.
fn await_well(mut cluster: Cluster, mut client: Client, disk: &Disk) {
    disk.release();
    let mut is_answered = false;
    wait_until("it is answered", || {
        is_answered |= client.poll(Duration::from_millis(50)).unwrap().is_some();
        is_answered
    });
    for node in 0..2 {
        await_told(&cluster, node, Alarm::DiskHangs, false);
        await_told(&cluster, node, Alarm::AcknowledgementsWait, false);
        wait_until("it is ready", || is_ready(&cluster, node) && cluster.page(node).0 == 200);
    }
    assert!(transfer(&mut client, 3));
    settle(&cluster, 0);
    cluster.stop_all();
}

#[test]
fn a_primary_whose_disk_hangs_is_not_ready_until_it_goes_on() {
    let (cluster, client, disk) = waiting_for(0);
    await_unready(&cluster, 0);
    let standby = cluster.status(1).expect("it runs");
    assert!(!standby.alarms.iter().any(|alarm| alarm.name == "disk-hangs"), "{standby:?}");
    await_well(cluster, client, &disk);
}

#[test]
fn a_standby_whose_disk_hangs_cannot_take_over_and_its_primary_says_what_it_waits_for() {
    let (cluster, client, disk) = waiting_for(1);
    await_unready(&cluster, 1);
    let AdminReply::Refused { name, text } = cluster.ask(1, &promote(false)) else {
        panic!("it is promoted")
    };
    assert_eq!(name, "disk-hangs", "{text}");
    assert_eq!(cluster.status(1).expect("it runs").role, "live", "nothing has begun");
    // The primary's own disk is well, and that does not suffice.
    await_told(&cluster, 0, Alarm::AcknowledgementsWait, true);
    wait_until("the primary is not ready", || {
        let status = cluster.status(0).expect("it runs");
        !status.is_ready && !status.peers[0].is_in_sync && cluster.page(0).0 == 503
    });
    let primary = cluster.status(0).expect("it runs");
    assert!(!primary.alarms.iter().any(|alarm| alarm.name == "disk-hangs"), "{primary:?}");
    await_well(cluster, client, &disk);
}

/// A restart would make its disk no faster, and what a prober does with a node that has failed is a restart.
#[test]
fn a_primary_that_is_fenced_while_its_disk_hangs_is_stopping_and_has_not_failed() {
    let mut cluster = Cluster::start(3, Policy::TwoDisks);
    let disk = Arc::new(Disk::default());
    cluster.stop(0);
    cluster.restart_on(0, &disk);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    assert!(transfer(&mut client, 1));
    settle(&cluster, 0);
    disk.hold(Operation::SyncFile);
    cluster.promote(1, &promote(false));
    wait_until("the new epoch waits for the old primary's disk", || disk.waits_now());
    wait_until("its front has ended", || cluster.page(0).1.contains("the node is stopping"));
    assert!(transfer(&mut client, 2), "the others go on");
    assert!(cluster.page(0).1.contains("the node is stopping"));
    disk.release();
    wait_until("it follows", || cluster.status(0).is_some_and(|it| it.role == "live"));
    settle(&cluster, 1);
    cluster.stop_all();
}
