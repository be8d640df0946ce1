//! Damage in the sealed segments of a node of a cluster: found while it runs, whatever it is, told, and ended.

use crate::fixture::{self, Cluster};
use mizan_client::Client;
use mizan_node::Failure;
use mizan_node::cluster::{AdminReply, AdminRequest, Policy};
use mizan_node::status::Alarm;
use std::os::unix::fs::FileExt;

use super::alarms::await_alarm;
use super::{promote, settle};

/// Transfers of a request, of which two fill a segment.
const BATCH: u32 = 8_000;
/// A place in the first segment, within a frame.
const PLACE: u64 = 300_000;

/// Flips a bit on a node's disk; once more, and it is as it was.
fn flip(cluster: &Cluster, node: usize) {
    let path = cluster.data(node).join("journal-0000000000000000.seg");
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, PLACE).unwrap();
    file.write_all_at(&[byte[0] ^ 4], PLACE).unwrap();
    file.sync_all().unwrap();
}

/// A cluster whose first node leads and has sealed segments; and its client.
fn loaded(count: usize) -> (Cluster, Client) {
    let cluster = Cluster::start(count, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    for batch in 0..4 {
        fixture::submit_transfers(&mut client, 1 + batch * u128::from(BATCH), BATCH);
    }
    let mut answered = 0;
    fixture::wait_until("the load is answered", || {
        let polled = client.poll(std::time::Duration::from_millis(50)).expect("no error");
        answered += u32::from(polled.is_some());
        answered == 4
    });
    (cluster, client)
}

#[test]
fn a_standby_and_a_primary_find_a_flipped_bit_in_a_sealed_segment_and_see_it_mended() {
    let (mut cluster, mut client) = loaded(2);
    for node in [1, 0] {
        flip(&cluster, node);
        await_alarm(&cluster, node, Alarm::JournalDamaged, true);
        await_alarm(&cluster, 1 - node, Alarm::JournalDamaged, false);
        assert!(fixture::transfer(&mut client, 1_000_000 + node as u128), "both go on");
        flip(&cluster, node);
        await_alarm(&cluster, node, Alarm::JournalDamaged, false);
    }
    cluster.stop_all();
    assert_eq!(fixture::digest_of(cluster.data(0)), fixture::digest_of(cluster.data(1)));
}

/// A promotion is refused under this name, and the primary goes on in its epoch.
fn assert_refused(cluster: &Cluster, node: usize, request: &AdminRequest, expected: &str) {
    let before = cluster.status(0).expect("it runs").epoch;
    let reply = cluster.ask(node, request);
    let AdminReply::Refused { name, text } = reply else { panic!("{reply:?}") };
    assert_eq!(name, expected, "{text}");
    let leading = cluster.status(0).expect("it runs");
    assert_eq!((leading.role.as_str(), leading.epoch), ("primary", before));
}

/// The damaged primary ends for good, and comes back with a new disk.
fn replace_former_primary(mut cluster: Cluster) {
    let error = cluster.end(0).expect_err("it does not start from a damaged journal");
    assert_eq!(error.failure(), Failure::Corrupt);
    cluster.wipe(0, 1);
    cluster.restart(0);
    fixture::wait_until("the new disk counts", || {
        cluster.status(1).is_some_and(|status| {
            status.min_sync == 2 && status.peers.iter().all(|peer| peer.is_in_sync)
        })
    });
    settle(&cluster, 1);
    cluster.stop_all();
    assert_eq!(fixture::digest_of(cluster.data(0)), fixture::digest_of(cluster.data(1)));
}

#[test]
fn a_damaged_primary_whose_grant_is_needed_leads_on_until_another_node_is_there() {
    let (mut cluster, mut client) = loaded(3);
    settle(&cluster, 0);
    cluster.stop(2);
    flip(&cluster, 0);
    await_alarm(&cluster, 0, Alarm::JournalDamaged, true);
    assert_refused(&cluster, 1, &promote(false), "peer-damaged");
    assert!(fixture::transfer(&mut client, 1_000_000), "it goes on");
    cluster.restart(2);
    fixture::wait_until("the third follows", || {
        let status = cluster.status(0).expect("it runs");
        status.peers.iter().all(|peer| peer.is_in_sync)
    });
    fixture::wait_until("it is promoted", || {
        // The two standbys may have lost each other a moment ago.
        matches!(cluster.ask(1, &promote(false)), AdminReply::Promoted { .. })
    });
    assert!(fixture::transfer(&mut client, 1_000_001));
    replace_former_primary(cluster);
}

#[test]
fn a_damaged_primary_of_two_gives_way_where_one_copy_suffices_and_a_damaged_standby_is_refused() {
    let (cluster, mut client) = loaded(2);
    settle(&cluster, 0);
    flip(&cluster, 1);
    await_alarm(&cluster, 1, Alarm::JournalDamaged, true);
    assert_refused(&cluster, 1, &promote(true), "journal-damaged");
    flip(&cluster, 1);
    await_alarm(&cluster, 1, Alarm::JournalDamaged, false);
    flip(&cluster, 0);
    await_alarm(&cluster, 0, Alarm::JournalDamaged, true);
    assert_refused(&cluster, 1, &promote(false), "peer-damaged");
    assert!(fixture::transfer(&mut client, 1_000_000), "it goes on");
    cluster.promote(1, &promote(true));
    assert!(fixture::transfer(&mut client, 1_000_001));
    replace_former_primary(cluster);
}
