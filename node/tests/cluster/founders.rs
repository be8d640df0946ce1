//! First disks: each is given out once, whatever the node that gives it out has missed.

use crate::fixture::{self, Cluster, transfer};
use crate::promote;
use mizan_node::cluster::{AdminReply, AdminRequest, Policy};

#[test]
fn a_first_disk_is_not_given_out_again_by_a_node_that_missed_every_epoch() {
    let mut cluster = Cluster::start(3, Policy::TwoDisks);
    cluster.stop(0);
    cluster.promote(1, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    (1..=10).for_each(|id| assert!(transfer(&mut client, id)));
    drop(client);
    cluster.stop(2);
    cluster.stop(1);
    // By its own files nothing ever happened here.
    cluster.restart(0);
    let reply = cluster.ask(0, &AdminRequest::Join { node: None });
    assert!(matches!(&reply, AdminReply::Refused { name, .. } if name == "full"), "{reply:?}");
    let reply = cluster.ask(0, &AdminRequest::Join { node: Some(1) });
    let AdminReply::Join(info) = reply else { panic!("{reply:?}") };
    assert!(!info.is_first_disk && info.first_entry.is_none());
    // Such a disk does not help anybody to an epoch.
    cluster.wipe(1, 0);
    cluster.restart(1);
    fixture::wait_until("the new disk is connected", || {
        cluster.status(0).is_some_and(|status| status.peers.iter().any(|peer| peer.is_connected))
    });
    let reply = cluster.ask(0, &promote(false));
    assert!(matches!(&reply, AdminReply::Refused { name, .. } if name == "grants"), "{reply:?}");
    cluster.stop_all();
}
