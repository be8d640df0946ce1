//! What a node says of a silent primary and of its own prospects.

use super::net::{MS, Net};
use mizan_replica::{Alarm, Command, Refusal, Role};

const PROMOTE: Command =
    Command::Promote { solo: false, accept_loss_after: None, log_timestamp: None };

/// Three nodes of which the first leads and has written something that is committed.
fn led() -> Net {
    let mut net = Net::new(3);
    let now_ns = net.now_ns;
    net.node(0).replica.handle_admin(PROMOTE, now_ns).expect("a standby");
    net.run();
    net.pass(100);
    net.write(0, b"one");
    net.run();
    net.pass(100);
    for node in 1..3 {
        assert_eq!(net.node(node).replica.status().role, Role::Live);
        let node = net.node(node);
        assert!(node.alarms.is_empty() && node.ended.is_empty());
    }
    net
}

/// Time passes for the standbys and not for the primary, whose connections stand.
fn pause(net: &mut Net, milliseconds: u64) {
    for _ in 0..milliseconds / 50 {
        net.now_ns += 50 * MS;
        let now_ns = net.now_ns;
        (1..3).for_each(|node| net.node(node).replica.handle_tick(now_ns));
        net.run();
    }
}

#[test]
fn a_pause_of_the_primary_raises_the_alarm_and_its_next_heartbeat_ends_it() {
    let mut net = led();
    pause(&mut net, 250);
    assert!(net.node(1).alarms.is_empty(), "not long enough");
    pause(&mut net, 100);
    for node in 1..3 {
        assert_eq!(net.node(node).alarms, [Alarm::PrimarySilent(0)]);
    }
    pause(&mut net, 200);
    assert_eq!(net.node(1).alarms.len(), 1, "it is said once");
    net.pass(50);
    for node in 1..3 {
        assert_eq!(net.node(node).ended, [Alarm::PrimarySilent(0)]);
        assert_eq!(net.node(node).replica.status().role, Role::Live);
    }
    // And once more: the alarm was not used up.
    pause(&mut net, 400);
    assert_eq!(net.node(1).alarms.len(), 2);
}

#[test]
fn a_primary_that_is_killed_is_missed_and_both_survivors_could_take_over() {
    let mut net = led();
    net.dead.push(0);
    net.disconnect(0, 1);
    net.disconnect(0, 2);
    net.pass(350);
    let now_ns = net.now_ns;
    for node in 1..3 {
        let node = net.node(node);
        assert_eq!(node.alarms, [Alarm::PrimarySilent(0)]);
        assert_eq!(node.replica.status().role, Role::Waiting);
        assert_eq!(node.replica.foreseen_refusal(None, now_ns), None);
    }
    net.node(1).replica.handle_admin(PROMOTE, now_ns).expect("a standby");
    net.run();
    net.pass(400);
    assert!(matches!(net.node(1).replica.status().role, Role::Primary(_)));
    for node in 1..3 {
        assert_eq!(net.node(node).ended, [Alarm::PrimarySilent(0)], "somebody leads again");
    }
    assert_eq!(net.node(1).replica.foreseen_refusal(None, 0), Some(Refusal::Role));
}

#[test]
fn a_survivor_that_is_left_alone_says_that_grants_are_missing() {
    let mut net = led();
    net.dead.extend([0, 1]);
    net.disconnect(0, 2);
    net.disconnect(1, 2);
    net.pass(350);
    let foreseen = net.node(2).replica.foreseen_refusal(None, 0);
    assert!(matches!(foreseen, Some(Refusal::Grants { grants: 1, needed: 2, .. })), "{foreseen:?}");
    // The same as a promotion finds by asking.
    let now_ns = net.now_ns;
    net.node(2).replica.handle_admin(PROMOTE, now_ns).expect("a standby");
    net.run();
    net.pass(400);
    assert_eq!(net.node(2).refusals, foreseen.into_iter().collect::<Vec<_>>());
}

#[test]
fn a_cluster_that_nobody_has_led_yet_misses_nobody() {
    let mut net = Net::new(3);
    net.pass(1_000);
    assert!((0..3).all(|node| net.node(node).alarms.is_empty()));
}

#[test]
fn a_node_that_is_started_into_the_silence_misses_the_last_primary() {
    let mut net = led();
    net.dead.push(0);
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        net.disconnect(one, other);
    }
    net.restart(1, 1, 0);
    net.now_ns += 5_000 * MS;
    net.pass(50);
    assert!(net.node(1).alarms.is_empty(), "it has only begun to listen");
    net.pass(350);
    assert_eq!(net.node(1).alarms, [Alarm::PrimarySilent(0)]);
}
