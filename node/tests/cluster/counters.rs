//! What the nodes of a cluster show in their files of counters, read without asking them.

use crate::fixture::{self, Cluster, transfer, wait_until};
use crate::promote;
use mizan_node::cluster::Policy;
use mizan_node::status::{Alarm, Moment, NodeRole, NodeStatus, Phase, liveness, readiness};

/// What a node shows once it is so.
fn shown(
    cluster: &Cluster,
    node: usize,
    what: &str,
    is_so: impl Fn(&NodeStatus) -> bool,
) -> NodeStatus {
    let mut shown = None;
    wait_until(what, || {
        shown = NodeStatus::read(&cluster.data(node)).ok().filter(|status| is_so(status));
        shown.is_some()
    });
    shown.expect("it was so")
}

fn is_ready(status: &NodeStatus) -> bool {
    readiness(status, &Moment::now()).is_empty()
}

#[test]
fn the_counters_of_a_primary_and_its_standby_say_who_they_are_and_how_far() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    let waiting = shown(&cluster, 1, "a node that waits", |status| {
        status.phase == Phase::Running && status.cluster.role == NodeRole::Waiting
    });
    // Whether it is ready depends on who else is there to grant.
    assert!(liveness(&waiting, &Moment::now()).is_empty());
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    (1..=100).for_each(|id| assert!(transfer(&mut client, id)));

    let primary = shown(&cluster, 0, "a primary that is ready", |status| {
        status.cluster.role == NodeRole::Primary
            && status.sequences.commit > 100
            && status.gateway.replies > 100
            && status.peers.first().is_some_and(|peer| peer.figures.is_in_sync)
            && is_ready(status)
    });
    assert_eq!((primary.cluster.min_sync, primary.in_sync()), (2, 2));
    assert!(primary.sequences.durable >= primary.sequences.commit);
    let standby = shown(&cluster, 1, "a standby that has everything", |status| {
        status.cluster.role == NodeRole::Live
            && status.sequences.applied >= primary.sequences.commit
            && status.lag_behind_primary() == 0
            && is_ready(status)
    });
    assert_eq!((standby.cluster.primary, standby.cluster.can_take_over), (Some(0), true));
    assert_eq!((standby.limits[0].used, standby.cluster.epoch), (2, primary.cluster.epoch));
    assert!(standby.beats > 0 && standby.peers[0].figures.is_connected);

    cluster.stop(1);
    let alone = shown(&cluster, 0, "a primary without copies", |status| {
        status.alarms.contains(Alarm::AcknowledgementsWait) && !status.peers[0].figures.is_in_sync
    });
    assert!(!is_ready(&alone));
    assert_eq!(shown(&cluster, 1, "its end", |_| true).phase, Phase::Stopped);
    cluster.stop_all();
}
