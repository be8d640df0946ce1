//! Alarms of a cluster, each from its cause to its end, as operators and the file of counters show them.

use crate::fixture::{self, Cluster, transfer, wait_until};
use mizan_node::cluster::{AdminReply, AdminRequest, Policy};
use mizan_node::status::{Alarm, NodeStatus};

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
    cluster.stop(1);
    await_alarm(&cluster, 0, Alarm::AcknowledgementsWait, true);
    assert_eq!(cluster.ask(0, &AdminRequest::Detach { node: 1 }), AdminReply::Detached);
    await_alarm(&cluster, 0, Alarm::SingleCopy, true);
    await_alarm(&cluster, 0, Alarm::AcknowledgementsWait, false);
    assert!(transfer(&mut client, 1));
    cluster.restart(1);
    await_alarm(&cluster, 0, Alarm::SingleCopy, false);
    cluster.stop(1);
    cluster.wipe(1, 0);
    cluster.restart(1);
    await_alarm(&cluster, 0, Alarm::DiskAdmitted, true);
    cluster.stop_all();
}
