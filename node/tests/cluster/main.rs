//! Nodes of a cluster in this process, over real sockets and files: following, promotion, fencing, new disks.
//!
//! Every test here runs twice, once for each way of writing the journal: `../cluster_direct.rs` is this module again.
//! So the modules below name each other by way of `crate::`, and what they share of this file is `pub(crate)`.

mod adverse;
pub(crate) mod alarms;
mod clock;
mod copies;
mod counters;
mod disk;
pub(crate) mod fixture;
mod founders;
mod grants;
mod hangs;
mod impostor;
mod recordings;
mod refusals;
mod rounds;
#[path = "../shared/said.rs"]
pub(crate) mod said;
mod scrub;
mod standing;
mod streams;
mod trust;

use fixture::{Cluster, digest_of, transfer, wait_until};
use mizan_client::{Client, ClientConfig, ClientError};
use mizan_node::cluster::{AdminReply, AdminRequest, ClusterStatus, Policy};
use std::time::Duration;

pub(crate) fn promote(solo: bool) -> AdminRequest {
    AdminRequest::Promote { expect_epoch: None, solo, accept_loss_after: None, accept_clock: false }
}

fn has_all(status: &ClusterStatus, of: &ClusterStatus) -> bool {
    status.durable == of.end && status.applied == of.end
}

/// Waits until the nodes hold the same log, applied, and returns how long it is.
pub(crate) fn settle(cluster: &Cluster, primary: usize) -> u64 {
    wait_until("the nodes agree", || {
        let Some(leading) = cluster.status(primary) else { return false };
        let others = (0..cluster.count()).filter(|node| *node != primary);
        leading.commit == leading.end
            && others
                .filter_map(|node| cluster.status(node))
                .all(|status| has_all(&status, &leading))
    });
    cluster.status(primary).expect("it runs").end
}

#[test]
fn a_standby_follows_a_primary_and_both_files_end_in_the_same_state() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    for id in 1..=200 {
        assert!(transfer(&mut client, id));
    }
    let reply = client.engine_status().expect("a read that a round confirmed");
    assert_eq!(reply.transfer_count, 200);
    assert_eq!(cluster.status(1).expect("it runs").role, "live");
    settle(&cluster, 0);
    cluster.stop_all();
    let digests: Vec<_> = (0..2).map(|node| digest_of(cluster.data(node))).collect();
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn a_standby_refuses_clients_and_a_client_of_several_addresses_finds_the_primary() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.promote(1, &promote(false));
    let alone = ClientConfig {
        connect_timeout: Duration::from_millis(300),
        ..ClientConfig::at(cluster.address(0))
    };
    let Err(refused) = Client::connect(alone) else { panic!("a standby takes no sessions") };
    assert!(matches!(&refused, ClientError::NotPrimary { .. }), "{refused}");
    let mut client = cluster.client();
    assert_eq!(client.node().address, cluster.address(1));
    fixture::accounts(&mut client);
    assert!(transfer(&mut client, 1));
    cluster.stop_all();
}

#[test]
fn what_was_acknowledged_outlives_its_primary_and_a_repetition_is_not_applied_again() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    (1..=50).for_each(|id| assert!(transfer(&mut client, id)));
    cluster.stop(0);
    let AdminReply::Promoted { epoch, is_stalled, .. } = cluster.promote(1, &promote(true)) else {
        panic!("not promoted")
    };
    assert!(epoch > 2 && !is_stalled);
    // The same client goes on: it finds the new primary by itself.
    (1..=60).for_each(|id| assert!(transfer(&mut client, id)));
    assert_eq!(client.engine_status().expect("a read").transfer_count, 60);
    // One copy suffices until the other is back; then two are asked for again.
    cluster.restart(0);
    wait_until("two copies again", || {
        cluster.status(1).is_some_and(|status| status.min_sync == 2 && status.is_ready)
    });
    assert!(transfer(&mut client, 61));
    settle(&cluster, 1);
    cluster.stop_all();
    assert_eq!(digest_of(cluster.data(0)), digest_of(cluster.data(1)));
}

#[test]
fn a_node_that_only_keeps_the_log_applies_it_when_it_is_promoted() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    cluster.stop(1);
    cluster.journal_only = true;
    cluster.restart(1);
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    (1..=50).for_each(|id| assert!(transfer(&mut client, id)));
    let status = cluster.status(1).expect("it runs");
    assert!(status.applied < 10 && status.durable > 50, "{status:?}");
    cluster.stop(0);
    cluster.promote(1, &promote(true));
    (1..=60).for_each(|id| assert!(transfer(&mut client, id)));
    assert_eq!(client.engine_status().expect("a read").transfer_count, 60);
    cluster.stop_all();
}

#[test]
fn a_primary_that_hears_of_a_higher_epoch_answers_nothing_more_and_follows() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    (1..=20).for_each(|id| assert!(transfer(&mut client, id)));
    cluster.promote(1, &promote(false));
    wait_until("the former primary follows", || {
        cluster.status(0).is_some_and(|status| status.role == "live")
    });
    (1..=40).for_each(|id| assert!(transfer(&mut client, id)));
    assert_eq!(client.node().address, cluster.address(1));
    settle(&cluster, 1);
    // And back again, so that the first one's engine is the one that was rebuilt.
    cluster.promote(0, &promote(false));
    (30..=50).for_each(|id| assert!(transfer(&mut client, id)));
    assert_eq!(client.engine_status().expect("a read").transfer_count, 50);
    settle(&cluster, 0);
    cluster.stop_all();
    assert_eq!(digest_of(cluster.data(0)), digest_of(cluster.data(1)));
}

#[test]
fn two_nodes_stop_when_one_dies_and_a_detached_node_lets_one_copy_suffice() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    assert!(transfer(&mut client, 1));
    cluster.stop(1);
    wait_until("the primary sees it", || {
        cluster.status(0).is_some_and(|status| !status.is_ready && !status.peers[0].is_connected)
    });
    // Neither a write nor a read is answered with one copy.
    let request_timeout = Duration::from_millis(300);
    let patient = ClientConfig { request_timeout, ..ClientConfig::at(cluster.address(0)) };
    let outcome = Client::connect(patient).and_then(|mut other| other.engine_status());
    assert!(outcome.is_err(), "{outcome:?}");
    assert_eq!(cluster.ask(0, &AdminRequest::Detach { node: 1 }), AdminReply::Detached);
    assert!(transfer(&mut client, 2));
    let status = cluster.status(0).expect("it runs");
    assert_eq!((status.min_sync, status.min_sync_base), (1, 2));
    assert!(status.alarms.iter().any(|alarm| alarm.name == "single-copy"), "{status:?}");
    cluster.stop_all();
}

#[test]
fn a_primary_whose_rings_are_full_of_what_nobody_confirms_can_still_be_told_to_go_on_alone() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    assert!(transfer(&mut client, 1));
    cluster.stop(1);
    wait_until("the primary sees it", || {
        cluster.status(0).is_some_and(|status| !status.peers[0].is_connected)
    });
    // More than both rings hold, so that requests wait in the sockets, too.
    let events = client.events_max();
    let mut submitted = 0;
    while submitted < 40 && client.can_submit(events) {
        fixture::submit_transfers(&mut client, 1_000_000 + u128::from(events) * submitted, events);
        submitted += 1;
        assert!(client.poll(Duration::from_millis(20)).expect("no error").is_none());
    }
    assert!(submitted >= 20, "{submitted}");
    assert_eq!(cluster.ask(0, &AdminRequest::Detach { node: 1 }), AdminReply::Detached);
    let mut answered = 0;
    wait_until("everything is answered", || {
        answered += u128::from(client.poll(Duration::from_millis(50)).expect("no error").is_some());
        answered == submitted
    });
    let transfers = 1 + submitted as u64 * u64::from(events);
    assert_eq!(client.engine_status().expect("a read").transfer_count, transfers);
    cluster.restart(1);
    // The record that restores this is the last entry.
    wait_until("two copies again", || {
        cluster.status(0).is_some_and(|status| status.min_sync == 2 && status.is_ready)
    });
    settle(&cluster, 0);
    cluster.stop_all();
    assert_eq!(digest_of(cluster.data(0)), digest_of(cluster.data(1)));
}

#[test]
fn three_nodes_go_on_without_any_one_of_them() {
    let mut cluster = Cluster::start(3, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    (1..=20).for_each(|id| assert!(transfer(&mut client, id)));
    cluster.stop(2);
    (21..=40).for_each(|id| assert!(transfer(&mut client, id)));
    cluster.restart(2);
    settle(&cluster, 0);
    cluster.stop(0);
    let AdminReply::Promoted { is_stalled, .. } = cluster.promote(1, &promote(false)) else {
        panic!("not promoted")
    };
    assert!(!is_stalled);
    (1..=60).for_each(|id| assert!(transfer(&mut client, id)));
    assert_eq!(client.engine_status().expect("a read").transfer_count, 60);
    cluster.restart(0);
    settle(&cluster, 1);
    cluster.stop_all();
    let digests: Vec<_> = (0..3).map(|node| digest_of(cluster.data(node))).collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn a_wiped_disk_comes_back_empty_catches_up_and_is_admitted() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    (1..=30).for_each(|id| assert!(transfer(&mut client, id)));
    let refused = cluster.ask(0, &AdminRequest::Join { node: Some(1) });
    assert!(matches!(&refused, AdminReply::Refused { name, .. } if name == "taken"), "{refused:?}");
    cluster.stop(1);
    cluster.wipe(1, 0);
    cluster.restart(1);
    wait_until("the new disk is admitted", || {
        cluster.status(1).is_some_and(|status| status.is_admitted && status.role == "live")
    });
    assert!(transfer(&mut client, 31));
    settle(&cluster, 0);
    cluster.stop_all();
    assert_eq!(digest_of(cluster.data(0)), digest_of(cluster.data(1)));
}

#[test]
fn a_wiped_disk_comes_back_also_while_one_copy_suffices() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.stop(1);
    cluster.promote(0, &promote(true));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    (1..=30).for_each(|id| assert!(transfer(&mut client, id)));
    cluster.wipe(1, 0);
    cluster.restart(1);
    wait_until("two copies", || {
        cluster.status(0).is_some_and(|status| status.min_sync == 2 && status.is_ready)
    });
    assert!(transfer(&mut client, 31));
    settle(&cluster, 0);
    cluster.stop_all();
    assert_eq!(digest_of(cluster.data(0)), digest_of(cluster.data(1)));
}

#[test]
fn a_promotion_is_refused_with_the_reason_and_changes_no_role() {
    let mut cluster = Cluster::start(3, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    let refused = |reply: AdminReply| match reply {
        AdminReply::Refused { name, .. } => name,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(cluster.ask(0, &promote(false))), "role");
    let stale = AdminRequest::Promote {
        expect_epoch: Some(1),
        solo: false,
        accept_loss_after: None,
        accept_clock: false,
    };
    assert_eq!(refused(cluster.ask(1, &stale)), "other-epoch");
    assert_eq!(refused(cluster.ask(1, &AdminRequest::Detach { node: 0 })), "role");
    assert_eq!(refused(cluster.ask(0, &AdminRequest::Detach { node: 0 })), "no-such-node");
    wait_until("the others follow", || {
        (1..3).all(|node| cluster.status(node).is_some_and(|status| status.role == "live"))
    });
    cluster.stop(0);
    cluster.stop(1);
    wait_until("alone", || {
        cluster.status(2).is_some_and(|status| !status.peers.iter().any(|peer| peer.is_connected))
    });
    assert_eq!(refused(cluster.ask(2, &promote(false))), "grants");
    assert_eq!(cluster.status(2).expect("it runs").role, "waiting");
    cluster.stop_all();
}

#[test]
fn an_operator_with_another_secret_is_not_heard() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    let error = cluster.ask_with([9; 32], 0, &promote(false)).expect_err("another secret");
    assert!(error.to_string().contains("secret"), "{error}");
    assert_eq!(cluster.status(0).expect("it runs").role, "waiting");
    cluster.stop_all();
}
