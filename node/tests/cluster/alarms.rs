//! Alarms of a cluster, each from its cause to its end, as operators and the file of counters show them.

use crate::fixture::{self, Cluster, transfer, wait_until};
use crate::{said, settle};
use mizan_journal::{FileStorage, Frame, Journal, OpenOptions};
use mizan_node::cluster::{AdminReply, AdminRequest, Policy};
use mizan_node::status::{Alarm, NodeRole, NodeStatus, Phase};
use mizan_node::{Failure, NodeError};
use mizan_wire::{Operation, RequestHeader};
use zerocopy::IntoBytes;

const PROMOTE: AdminRequest = AdminRequest::Promote {
    expect_epoch: None,
    solo: false,
    accept_loss_after: None,
    accept_clock: false,
};

/// Whether a node tells operators and the file of its counters of an alarm.
fn stands(cluster: &Cluster, node: usize, alarm: Alarm) -> (bool, bool) {
    let name = alarm.name().replace('_', "-");
    let told = cluster
        .status(node)
        .is_some_and(|status| status.alarms.iter().any(|alarm| alarm.name == name));
    let shown = NodeStatus::read(&cluster.data(node)).is_ok_and(|it| it.alarms.contains(alarm));
    (told, shown)
}

/// As [`await_alarm`], of a node on a storage that has no file of counters.
pub(super) fn await_told(cluster: &Cluster, node: usize, alarm: Alarm, is_raised: bool) {
    let what = format!("node {node}: {} is {is_raised}", alarm.name());
    wait_until(&what, || stands(cluster, node, alarm).0 == is_raised);
}

pub(super) fn await_alarm(cluster: &Cluster, node: usize, alarm: Alarm, is_raised: bool) {
    let what = format!("node {node}: {} is {is_raised}", alarm.name());
    wait_until(&what, || stands(cluster, node, alarm) == (is_raised, is_raised));
}

#[test]
fn survivors_miss_their_primary_say_that_either_can_take_over_and_are_content_with_the_next() {
    let mut cluster = Cluster::start(3, Policy::TwoDisks);
    cluster.promote(0, &PROMOTE);
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    assert!(transfer(&mut client, 1));
    wait_until("the others follow", || {
        (1..3).all(|node| cluster.status(node).is_some_and(|status| status.role == "live"))
    });
    cluster.stop(0);
    for node in 1..3 {
        await_alarm(&cluster, node, Alarm::PrimarySilent, true);
        wait_until("it could take over", || {
            let told = cluster.status(node);
            let shown = NodeStatus::read(&cluster.data(node)).expect("a file of counters");
            told.is_some_and(|status| status.role == "waiting" && status.is_ready)
                && shown.cluster.can_take_over
        });
    }
    // Alone, it could not, and says why.
    cluster.stop(2);
    wait_until("grants are missing", || {
        cluster.status(1).is_some_and(|status| {
            status.not_ready.is_some_and(|reason| reason.contains("1 of 2 grants"))
        })
    });
    cluster.restart(2);
    wait_until("both are there", || cluster.status(1).is_some_and(|status| status.is_ready));
    cluster.promote(1, &PROMOTE);
    for node in 1..3 {
        await_alarm(&cluster, node, Alarm::PrimarySilent, false);
    }
    cluster.stop_all();
}

#[test]
fn want_of_copies_is_an_alarm_until_they_are_back_or_one_copy_suffices() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.promote(0, &PROMOTE);
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    await_alarm(&cluster, 0, Alarm::AcknowledgementsWait, false);
    await_alarm(&cluster, 0, Alarm::PeerLost, false);
    cluster.stop(1);
    await_alarm(&cluster, 0, Alarm::AcknowledgementsWait, true);
    await_alarm(&cluster, 0, Alarm::PeerLost, true);
    assert_eq!(cluster.ask(0, &AdminRequest::Detach { node: 1 }), AdminReply::Detached);
    await_alarm(&cluster, 0, Alarm::SingleCopy, true);
    await_alarm(&cluster, 0, Alarm::AcknowledgementsWait, false);
    assert!(transfer(&mut client, 1));
    cluster.restart(1);
    await_alarm(&cluster, 0, Alarm::SingleCopy, false);
    await_alarm(&cluster, 0, Alarm::PeerLost, false);
    cluster.stop(1);
    cluster.wipe(1, 0);
    cluster.restart(1);
    await_alarm(&cluster, 0, Alarm::DiskAdmitted, true);
    cluster.stop_all();
}

/// The node ends by itself with an alarm: its files say so from then on, and the log has it once.
pub(crate) fn assert_stopped(cluster: &mut Cluster, node: usize, alarm: Alarm) {
    let error = cluster.end(node).expect_err("it stops with the alarm");
    assert_eq!(error.failure(), Failure::Corrupt);
    // The last line of the node names what stopped it, and no other alarm that stands.
    let words = match alarm {
        Alarm::AcknowledgedSuffix => "were or may have been acknowledged here",
        Alarm::LogsDiffer => "does not continue this log",
        Alarm::StateDiffers => "the state differs",
        _ => panic!("{alarm:?} stops no node"),
    };
    let NodeError::Stopped { text } = error else { panic!("{error}") };
    assert!(text.contains(words), "{text}");
    let shown = NodeStatus::read(&cluster.data(node)).expect("a file of counters");
    assert!(shown.alarms.contains(alarm), "{:?}", shown.alarms);
    assert_eq!((shown.phase, shown.cluster.role), (Phase::Failed, NodeRole::Stopped));
    assert_eq!(said::of_alarm(alarm.name()).0, 1, "{}", alarm.name());
}

/// The node comes back with a new disk, and nothing is wrong with it.
pub(crate) fn assert_mended(cluster: &mut Cluster, node: usize, alarm: Alarm) {
    cluster.wipe(node, 1 - node);
    cluster.restart(node);
    await_alarm(cluster, node, alarm, false);
    settle(cluster, 1 - node);
    assert_eq!(said::of_alarm(alarm.name()).0, 1);
    cluster.stop_all();
}

#[test]
fn two_single_copies_end_with_an_alarm_of_the_older_one() {
    said::listen();
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.promote(0, &PROMOTE);
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    assert!(transfer(&mut client, 1));
    settle(&cluster, 0);
    cluster.stop(1);
    wait_until("the primary sees it", || {
        cluster.status(0).is_some_and(|status| !status.peers[0].is_connected)
    });
    assert_eq!(cluster.ask(0, &AdminRequest::Detach { node: 1 }), AdminReply::Detached);
    assert!(transfer(&mut client, 2), "acknowledged by this copy alone");
    drop(client);
    cluster.stop(0);
    cluster.restart(1);
    cluster.promote(1, &crate::promote(true));
    let mut client = cluster.client();
    assert!(transfer(&mut client, 3));
    drop(client);
    cluster.restart(0);
    assert_stopped(&mut cluster, 0, Alarm::AcknowledgedSuffix);
    assert_mended(&mut cluster, 0, Alarm::AcknowledgedSuffix);
}

/// Appends a tick of this time to a node's log, as the primary of its last epoch would.
pub(crate) fn append_tick(cluster: &Cluster, node: usize, clock_reading: u64) {
    let mut nothing = |_: &Frame<'_>| Ok(());
    let storage = FileStorage::new(cluster.data(node));
    let (mut journal, _) = Journal::open(storage, &OpenOptions::default(), &mut nothing).unwrap();
    let operation = Operation::Tick.number();
    let tick = RequestHeader { operation, clock_reading, ..RequestHeader::default() };
    let mut frame = journal.begin(journal.next_sequence(), tick.as_bytes().len()).unwrap();
    frame.put(tick.as_bytes()).unwrap();
    frame.finish(1, 0).unwrap();
    journal.sync().unwrap();
    journal.close().unwrap();
}

#[test]
fn logs_that_part_within_an_epoch_stop_the_one_that_does_not_lead() {
    said::listen();
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.promote(0, &PROMOTE);
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    assert!(transfer(&mut client, 1));
    drop(client);
    settle(&cluster, 0);
    cluster.stop_all();
    // The same place in the same epoch, and not the same entry.
    (0..2).for_each(|node| append_tick(&cluster, node, 1 + node as u64));
    cluster.restart(1);
    cluster.promote(1, &crate::promote(true));
    cluster.restart(0);
    assert_stopped(&mut cluster, 0, Alarm::LogsDiffer);
    assert_mended(&mut cluster, 0, Alarm::LogsDiffer);
}
