//! What operators are told when there is nothing to do, or not by this node: the words fit the case, and nothing changes.

use crate::fixture::{self, Cluster, SECRET, transfer, wait_until};
use crate::promote;
use mizan_node::cluster::{AdminReply, AdminRequest, AskError, Policy, ask};
use std::time::Duration;

fn refusal(cluster: &Cluster, node: usize, request: &AdminRequest) -> (String, String) {
    match cluster.ask(node, request) {
        AdminReply::Refused { name, text } => (name, text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_node_that_nothing_waits_for_is_not_detached() {
    let mut cluster = Cluster::start(3, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    assert!(transfer(&mut client, 1));
    wait_until("the others follow", || {
        (1..3).all(|node| cluster.status(node).is_some_and(|status| status.role == "live"))
    });
    cluster.stop(2);
    wait_until("the primary has noticed, and all is committed", || {
        cluster.status(0).is_some_and(|status| {
            !status.peers[1].is_connected && status.is_ready && status.commit == status.durable
        })
    });
    let before = cluster.status(0).expect("it runs");
    let (name, text) = refusal(&cluster, 0, &AdminRequest::Detach { node: 2 });
    assert_eq!(name, "in-sync", "{text}");
    assert!(text.contains("nothing waits for node 2"), "{text}");
    let after = cluster.status(0).expect("it runs");
    assert_eq!((after.min_sync, after.end), (2, before.end));
    // Without the other one something does wait.
    cluster.stop(1);
    wait_until("the primary has noticed", || {
        cluster.status(0).is_some_and(|status| !status.peers[0].is_connected)
    });
    assert_eq!(cluster.ask(0, &AdminRequest::Detach { node: 2 }), AdminReply::Detached);
    cluster.stop_all();
}

#[test]
fn refusals_say_who_is_primary_and_which_epoch_is_wrong() {
    let mut cluster = Cluster::start(3, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    assert!(transfer(&mut client, 1));
    wait_until("the others follow", || {
        (1..3).all(|node| cluster.status(node).is_some_and(|status| status.role == "live"))
    });
    let (name, text) = refusal(&cluster, 0, &promote(false));
    assert!(name == "role" && text.contains("is the primary already"), "{name}: {text}");
    let (name, text) = refusal(&cluster, 1, &AdminRequest::Detach { node: 1 });
    assert!(name == "role" && text.contains("ask node 0"), "{name}: {text}");
    let epoch = cluster.status(0).expect("it runs").epoch;
    let expecting = |expected| {
        let mut request = promote(false);
        if let AdminRequest::Promote { expect_epoch, .. } = &mut request {
            *expect_epoch = Some(expected);
        }
        request
    };
    let (name, text) = refusal(&cluster, 1, &expecting(epoch + 7));
    assert!(name == "other-epoch" && !text.contains("promoted meanwhile"), "{name}: {text}");
    let (_, text) = refusal(&cluster, 1, &expecting(epoch - 1));
    assert!(text.contains("promoted meanwhile"), "{text}");
    // A primary's own progress is its engine's, not that of the moment at which it was promoted.
    wait_until("everything is applied", || {
        cluster.status(0).is_some_and(|status| status.applied == status.commit && status.commit > 2)
    });
    cluster.stop_all();
}

#[test]
fn a_wrong_secret_is_told_from_silence_and_both_from_an_unknown_fate() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    let another = [7; 32];
    assert_ne!(another, SECRET);
    for (secret, expected) in [(another, true), ([0; 32], false)] {
        let error = cluster.ask_with(secret, 0, &promote(false)).expect_err("another secret");
        assert!(
            matches!(&error, AskError::Secret { has_secret, .. } if *has_secret == expected),
            "{error:?}"
        );
        assert!(!error.was_asked());
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr();
    let nobody = nobody.expect("an address");
    let error = ask(nobody, SECRET, &promote(false), Duration::from_secs(30)).expect_err("nobody");
    assert!(matches!(error, AskError::Io { .. }) && !error.was_asked(), "{error:?}");
    cluster.stop_all();
}
