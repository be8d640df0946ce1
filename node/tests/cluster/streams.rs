//! What a primary reads of its log for the others.

use crate::fixture::{self, Cluster, transfer, wait_until};
use crate::{promote, said, settle};
use mizan_node::cluster::{ClusterStatus, Policy};
use mizan_node::status::{Alarm, NodeStatus};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// Bytes read for a frame beyond what is sent: what is left of a page, and the local half of the header.
const READ_SIZE_SPARE: u64 = 8 << 10;

#[test]
fn a_log_is_read_once_for_every_node_that_is_sent_it() {
    let mut cluster = Cluster::start(3, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    // Two segments and a half, in frames of some 60 KiB.
    let (requests, events) = (80, 480);
    for request in 0..requests {
        fixture::submit_transfers(&mut client, 1 + u128::from(request * events), events);
        wait_until("it is answered", || {
            client.poll(Duration::from_millis(50)).expect("no error").is_some()
        });
    }
    let entries = settle(&cluster, 0);
    let mut seen = ClusterStatus::default();
    wait_until("all was sent", || {
        seen = cluster.status(0).expect("it runs");
        seen.log_sent_bytes > 2 * 128 * u64::from(requests * events)
    });
    // Every connection places its reader once, which costs the headers of a segment.
    let spare = READ_SIZE_SPARE * 2 * entries;
    assert!(seen.log_read_bytes <= seen.log_sent_bytes + spare, "{entries} entries, {seen:?}");
    // No frame was looked for before it could be read.
    assert_eq!(seen.log_read_failures, 0, "{seen:?}");
    // The disk of the machine may be as full as it likes.
    let others = |alarm: &&mizan_node::cluster::AlarmView| !alarm.name.starts_with("disk-");
    assert_eq!(seen.alarms.iter().filter(others).count(), 0, "{seen:?}");
    // The file follows a moment later.
    wait_until("the counters show it", || {
        let shown = NodeStatus::read(&cluster.data(0)).map(|shown| shown.cluster);
        shown.is_ok_and(|shown| shown.log_read_bytes > 0 && shown.log_sent_bytes > 0)
    });
    cluster.stop_all();
}

#[test]
fn a_frame_that_cannot_be_read_for_a_node_is_an_alarm_until_it_can() {
    said::listen();
    let mut cluster = Cluster::start(3, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    settle(&cluster, 0);
    cluster.stop(2);
    let id = 0x6d61_726b_6564_2074_7261_6e73_6665_7221_u128;
    (1..=5).for_each(|id| assert!(transfer(&mut client, id)));
    assert!(transfer(&mut client, id));
    assert!(transfer(&mut client, 6));
    let path = cluster.data(0).join(mizan_journal::segment_name(0));
    let bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(16).position(|window| window == id.to_le_bytes()).expect("journaled");
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[!bytes[at]], at as u64).unwrap();

    cluster.restart(2);
    let is_raised = |status: &ClusterStatus| {
        status.alarms.iter().any(|alarm| {
            alarm.name == "log-unreadable" && alarm.text.contains("node 2") // who lacks it
        })
    };
    let is_shown = |cluster: &Cluster| {
        NodeStatus::read(&cluster.data(0))
            .is_ok_and(|status| status.alarms.contains(Alarm::LogUnreadable))
    };
    wait_until("the alarm is raised and shown", || {
        cluster.status(0).is_some_and(|status| is_raised(&status)) && is_shown(&cluster)
    });
    wait_until("its beginning is logged", || said::of_alarm("log_unreadable") == (1, 0));
    // That the others can be sent what they need does not end it.
    for id in 7..=20 {
        assert!(transfer(&mut client, id));
        assert!(cluster.status(0).is_some_and(|status| is_raised(&status)));
    }
    assert!(cluster.status(0).is_some_and(|status| status.log_read_failures > 0));
    file.write_all_at(&bytes[at..=at], at as u64).unwrap();
    wait_until("the alarm is over", || {
        cluster.status(0).is_some_and(|status| !is_raised(&status)) && !is_shown(&cluster)
    });
    wait_until("its end is logged", || said::of_alarm("log_unreadable") == (1, 1));
    settle(&cluster, 0);
    cluster.stop_all();
}
