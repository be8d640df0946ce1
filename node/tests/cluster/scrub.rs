//! Damage in the sealed segments of a node of a cluster: found while it runs, whatever it is, told, and ended.

use crate::fixture::{self, Cluster};
use mizan_node::cluster::{AdminRequest, Policy};
use mizan_node::status::Alarm;
use std::os::unix::fs::FileExt;

use super::alarms::await_alarm;

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

#[test]
fn a_standby_and_a_primary_find_a_flipped_bit_in_a_sealed_segment_and_see_it_mended() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    let request = AdminRequest::Promote {
        expect_epoch: None,
        solo: false,
        accept_loss_after: None,
        accept_clock: false,
    };
    cluster.promote(0, &request);
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
