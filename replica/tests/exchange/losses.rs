//! Policies, nodes that go on alone, and what may be lost.

use crate::net::{Net, node, node_of};
use mizan_replica::{Alarm, Command, Config, Led, Policy, Refusal, Role};

#[test]
fn a_node_that_heard_the_other_go_solo_is_not_promoted_behind_its_back() {
    let mut net = Net::new(2);
    net.promote(0, true, None);
    net.run();
    assert_eq!(net.node(1).replica.status().config.min_sync_base, 2);
    let now_ns = net.now_ns;
    net.node(1).is_quick = false;
    net.node(0).replica.handle_admin(Command::Detach, now_ns).unwrap();
    net.run();
    assert_eq!(net.node(1).replica.status().config.min_sync, 1, "it heard of it");
    net.dead = vec![0];
    net.node(1).is_quick = true;
    net.sync(1);
    net.promote(1, false, None);
    net.pass(400);
    let last_sequence = net.end(1);
    assert_eq!(net.node(1).refusals, [Refusal::Grants { grants: 1, needed: 2, last_sequence }]);
    net.promote(1, false, Some(last_sequence));
    net.pass(400);
    assert!(matches!(net.role(1), Role::Primary(_)));
}

#[test]
fn a_node_that_only_heard_of_a_later_commit_is_not_promoted_without_a_word_about_losses() {
    let mut net = Net::new(2);
    net.promote(0, false, None);
    net.write(0, b"shared");
    net.node(1).is_quick = false;
    // Node 1 hears heartbeats, and no frame gets through to it.
    net.disconnect(0, 1);
    let now_ns = net.now_ns;
    net.node(0).replica.handle_admin(Command::Detach, now_ns).unwrap();
    net.run();
    net.write(0, b"acknowledged alone");
    net.connect(0, 1);
    while let Some((from, to, bytes)) = {
        net.drain(0);
        net.drain(1);
        net.in_flight.pop_front()
    } {
        if bytes[40] != 6 {
            let _ = net.node(to).replica.handle_message(from, &bytes, now_ns);
        }
    }
    net.dead = vec![0];
    net.disconnect(0, 1);
    net.node(1).is_quick = true;
    let (acknowledged, last_sequence) = (net.commit(0), net.end(1));
    assert!(acknowledged > last_sequence);
    net.promote(1, false, None);
    net.pass(400);
    let refusal = Refusal::Acknowledged { acknowledged, last_sequence };
    assert_eq!(net.node(1).refusals, [refusal]);
    net.promote(1, false, Some(last_sequence));
    net.pass(400);
    assert!(matches!(net.role(1), Role::Primary(_)));
}

#[test]
fn what_a_node_wrote_alone_before_it_restarted_is_not_cut_although_no_frame_calls_it_acknowledged()
{
    let mut net = Net::new(2);
    net.promote(0, false, None);
    net.write(0, b"shared");
    net.disconnect(0, 1);
    let now_ns = net.now_ns;
    net.node(0).replica.handle_admin(Command::Detach, now_ns).unwrap();
    net.run();
    net.write(0, b"acknowledged alone");
    let shared = net.end(1);
    net.dead = vec![0];
    // A rival that did not hear of it.
    net.promote(1, true, None);
    net.pass(400);
    assert!(matches!(net.role(1), Role::Primary(_)));
    net.dead.clear();
    net.restart(0, 1, 0);
    assert_eq!(net.node(0).replica.status().commit, 0, "its frames name no commit");
    let commit = net.end(0);
    net.connect_all();
    net.pass(200);
    assert_eq!(net.node(0).alarms, [Alarm::AcknowledgedSuffix { shared, commit }]);
    assert!(net.node(0).cuts.is_empty());
}

#[test]
fn where_a_promotion_needs_every_node_the_primary_alone_admits_a_new_disk() {
    for policy in [Policy::Disk, Policy::TwoDisks] {
        let mut net = Net::of(2, policy);
        net.promote(0, false, None);
        net.disconnect(0, 1);
        let now_ns = net.now_ns;
        net.node(0).replica.handle_admin(Command::Detach, now_ns).unwrap();
        net.run();
        net.write(0, b"one");
        net.nodes[1] = node_of(1, Config::new(2, policy), 2, Vec::new());
        net.connect(0, 1);
        net.pass(300);
        let config = net.node(0).replica.status().config;
        assert_eq!(config.incarnations[1], 2, "{policy:?}");
        assert_eq!(config.min_sync, config.min_sync_base, "{policy:?}");
        net.write(0, b"two");
        assert_eq!(net.commit(0), net.end(0), "{policy:?}");
    }
}

#[test]
fn a_record_that_asks_for_two_copies_again_does_not_forget_what_was_acknowledged_alone() {
    let mut net = Net::new(2);
    net.promote(0, false, None);
    net.write(0, b"shared");
    net.disconnect(0, 1);
    let shared = net.end(1);
    let now_ns = net.now_ns;
    net.node(0).replica.handle_admin(Command::Detach, now_ns).unwrap();
    net.run();
    net.write(0, b"acknowledged alone");
    let alone = net.end(0);
    assert_eq!(net.commit(0), alone);
    net.connect(0, 1);
    net.run();
    net.pass(300);
    assert_eq!(net.node(0).replica.status().config.min_sync, 2);
    // The other disk forgets what it was sent, and its node is promoted by its older record.
    let frames_lost = net.nodes[1].log.iter().filter(|(head, _)| head.sequence > shared).count();
    net.restart(1, 1, frames_lost);
    net.dead = vec![0];
    net.promote(1, true, None);
    net.pass(400);
    assert!(matches!(net.role(1), Role::Primary(_)));
    net.dead.clear();
    net.restart(0, 1, 0);
    net.connect_all();
    net.pass(200);
    assert_eq!(net.node(0).alarms, [Alarm::AcknowledgedSuffix { shared, commit: alone }]);
    assert!(net.node(0).cuts.is_empty());
}

/// Two nodes of policy `disk`: one wrote two entries alone, and the other is promoted without the second, which was on its
/// way when the first node was fenced. Starts the first again, with what it has written down, and returns where they part.
fn with_an_entry_that_came_after_the_fence(net: &mut Net, led: Led) -> u64 {
    net.promote(0, false, None);
    net.write(0, b"acknowledged");
    net.disconnect(0, 1);
    let shared = net.end(1);
    assert_eq!(net.commit(0), shared);
    net.node(0).append(2, b"on its way");
    net.dead = vec![0];
    net.promote(1, false, Some(shared));
    net.pass(400);
    assert_eq!(net.role(1), Role::Primary(3));
    net.dead.clear();
    net.restart_led(0, 1, 0, led);
    net.connect_all();
    net.pass(200);
    shared
}

#[test]
fn what_reached_the_disk_after_a_primary_was_fenced_is_cut_and_what_it_acknowledged_is_not() {
    let of = |epoch: u64, acknowledged: u64| {
        let mut net = Net::of(2, Policy::Disk);
        let led = Led { epoch, acknowledged };
        let shared = with_an_entry_that_came_after_the_fence(&mut net, led);
        (net.nodes[0].cuts.clone(), net.nodes[0].alarms.clone(), shared)
    };
    // Genesis, the epoch's start, one entry.
    let (cuts, alarms, shared) = of(2, 3);
    assert_eq!((cuts, alarms, shared), (vec![3], vec![], 3));
    let stopped = |(cuts, alarms, shared): (Vec<u64>, Vec<Alarm>, u64)| {
        assert_eq!(cuts, [0; 0]);
        assert_eq!(alarms, [Alarm::AcknowledgedSuffix { shared, commit: 4 }]);
    };
    stopped(of(2, 4));
    // What it knows of an earlier epoch, or nothing at all, as after a crash, says nothing of this one.
    stopped(of(1, 3));
    stopped(of(0, 0));
}

#[test]
fn under_the_policy_disk_nothing_is_acknowledged_that_the_primarys_own_disk_lacks() {
    let mut net = Net::of(3, Policy::Disk);
    net.promote(0, false, None);
    let before = net.commit(0);
    net.node(0).is_quick = false;
    net.write(0, b"on two other disks");
    net.pass(100);
    assert_eq!(net.commit(0), before);
    net.node(0).is_quick = true;
    net.sync(0);
    net.run();
    assert_eq!(net.commit(0), net.end(0));
}

#[test]
fn a_record_in_the_log_that_is_taken_over_may_ask_for_more_grants() {
    let mut net = Net::new(3);
    net.promote(0, false, None);
    net.dead = vec![1];
    net.node(2).is_quick = false;
    let now_ns = net.now_ns;
    net.node(0).replica.handle_admin(Command::Detach, now_ns).unwrap();
    net.run();
    net.write(0, b"acknowledged by one disk");
    assert_eq!(net.commit(0), net.end(0));
    net.dead = vec![0];
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        net.disconnect(one, other);
    }
    // Node 1 knows of no node that went on alone, and node 2 has no more than that on its disk.
    let detached = net.end(2) - 1;
    net.restart(2, 1, 1);
    net.connect(1, 2);
    net.run();
    net.promote(1, false, None);
    net.pass(1_000);
    assert_eq!((net.role(1), net.end(1)), (Role::Candidate, detached));
    net.dead.clear();
    net.connect(0, 1);
    net.connect(0, 2);
    net.run();
    net.pass(400);
    assert!(matches!(net.role(1), Role::Primary(_)), "{:?}", net.role(1));
    assert!(net.nodes[1].log.iter().any(|(_, it)| it == b"acknowledged by one disk"));
}

/// Three nodes, of which node 1 has a new disk and `gone` is not there.
fn with_a_new_disk(gone: u8) -> Net {
    let mut net = Net::new(3);
    net.promote(0, false, None);
    net.write(0, b"on all disks");
    net.dead = vec![gone];
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        net.disconnect(one, other);
    }
    net.nodes[1] = node(1, 3, 8);
    net.connect(1, 2 - gone);
    net.run();
    net
}

#[test]
fn a_new_disk_grants_no_epoch() {
    let mut net = with_a_new_disk(0);
    let last_sequence = net.end(2);
    net.promote(2, false, None);
    net.pass(600);
    let refusal = Refusal::Grants { grants: 1, needed: 2, last_sequence };
    assert_eq!(net.node(2).refusals, [refusal]);
}

#[test]
fn a_new_disk_is_not_admitted_while_a_later_epoch_may_have_been_granted_by_the_old_one() {
    let mut net = with_a_new_disk(2);
    net.pass(400);
    assert_eq!(net.end(1), net.end(0), "it has caught up");
    assert_eq!(net.node(0).replica.status().config.incarnations[1], 1);
    net.dead.clear();
    net.connect(0, 2);
    net.run();
    net.pass(400);
    assert_eq!(net.node(0).replica.status().config.incarnations[1], 8);
}
