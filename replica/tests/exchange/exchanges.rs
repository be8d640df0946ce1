//! Promotion, following, reads and messages, with a network that loses nothing unless told so.

use crate::net::{Net, node};
use mizan_replica::{Alarm, Command, MessageError, Output, Refusal, Role};

#[test]
fn a_promoted_node_commits_once_two_disks_hold_the_entry() {
    let mut net = Net::new(3);
    net.promote(0, false, None);
    assert_eq!(net.role(0), Role::Primary(3));
    net.node(1).is_quick = false;
    net.node(2).is_quick = false;
    let before = net.commit(0);
    net.write(0, b"payment");
    assert_eq!(net.commit(0), before, "one copy is not enough");
    net.node(2).is_quick = true;
    net.sync(2);
    net.run();
    assert_eq!(net.commit(0), net.end(0));
    net.pass(100);
    assert_eq!(net.commit(1), net.end(0));
    assert_eq!(net.nodes[1].log, net.nodes[0].log, "the bytes are the same everywhere");
}

#[test]
fn a_promotion_with_too_few_grants_is_refused_and_says_what_may_be_lost() {
    let mut net = Net::new(3);
    net.promote(0, false, None);
    net.write(0, b"payment");
    net.dead = vec![0, 2];
    net.promote(1, false, None);
    net.pass(500);
    let last_sequence = net.end(1);
    assert_eq!(net.node(1).refusals, [Refusal::Grants { grants: 1, needed: 2, last_sequence }]);
    net.promote(1, false, Some(last_sequence));
    net.pass(500);
    assert!(matches!(net.role(1), Role::Primary(_)));
}

#[test]
fn an_epoch_is_persisted_before_it_is_granted() {
    let mut net = Net::new(3);
    net.promote(2, false, None);
    assert_eq!(net.role(2), Role::Primary(5));
    for index in 0..3 {
        assert_eq!(net.node(index).persisted, 5);
    }
}

#[test]
fn a_candidate_takes_over_the_longer_log_of_a_granter() {
    let mut net = Net::new(3);
    net.promote(0, false, None);
    net.dead = vec![2];
    net.write(0, b"only on zero and one");
    let end = net.end(0);
    assert_eq!(net.commit(0), end);
    net.dead = vec![0];
    net.disconnect(0, 1);
    net.disconnect(0, 2);
    net.disconnect(1, 2);
    net.connect(1, 2);
    net.run();
    net.promote(2, false, None);
    net.pass(600);
    assert!(matches!(net.role(2), Role::Primary(_)));
    assert!(net.node(2).log.iter().any(|(_, payload)| payload == b"only on zero and one"));
    assert!(net.commit(2) > end);
}

#[test]
fn a_former_primary_cuts_back_to_the_last_shared_frame() {
    let mut net = Net::new(3);
    net.promote(0, false, None);
    net.write(0, b"shared");
    let shared = net.end(0);
    net.dead = vec![0];
    net.write(0, b"nobody saw this");
    net.promote(1, false, None);
    net.pass(600);
    assert!(matches!(net.role(1), Role::Primary(_)));
    net.dead.clear();
    for other in [1, 2] {
        net.disconnect(0, other);
        net.connect(0, other);
    }
    net.run();
    net.pass(200);
    assert_eq!(net.node(0).cuts, [shared]);
    assert_eq!(net.role(0), Role::Live);
    assert_eq!(net.nodes[0].log, net.nodes[1].log);
}

#[test]
fn a_survivor_of_two_is_promoted_but_acknowledges_only_with_a_second_copy_or_solo() {
    let mut net = Net::new(2);
    net.promote(0, false, None);
    net.write(0, b"one");
    let acknowledged = net.commit(0);
    net.dead = vec![0];
    net.promote(1, false, None);
    net.pass(400);
    assert!(matches!(net.role(1), Role::Primary(_)));
    net.write(1, b"two");
    assert!(net.commit(1) <= acknowledged);
    let now_ns = net.now_ns;
    net.node(1).replica.handle_admin(Command::Detach, now_ns).unwrap();
    net.run();
    assert_eq!(net.commit(1), net.end(1));
    assert!(net.node(1).alarms.contains(&Alarm::SingleCopy));
    // The other one comes back, and two copies are asked for again.
    net.dead.clear();
    net.disconnect(0, 1);
    net.connect(0, 1);
    net.run();
    net.pass(300);
    assert_eq!(net.node(1).replica.status().config.min_sync, 2);
    assert_eq!(net.nodes[0].log, net.nodes[1].log);
}

#[test]
fn a_new_disk_counts_only_after_it_was_admitted() {
    let mut net = Net::new(2);
    net.promote(0, false, None);
    net.write(0, b"one");
    net.disconnect(0, 1);
    net.nodes[1] = node(1, 2, 8);
    let now_ns = net.now_ns;
    let promote = Command::Promote { solo: false, accept_loss_after: None, log_timestamp: None };
    assert_eq!(net.node(1).replica.handle_admin(promote, now_ns), Err(Refusal::NotAdmitted));
    net.connect(0, 1);
    net.run();
    net.pass(300);
    assert_eq!(net.node(0).replica.status().config.incarnations[1], 8);
    assert!(net.node(1).replica.status().is_admitted);
    net.write(0, b"two");
    assert_eq!(net.commit(0), net.end(0));
}

#[test]
fn reads_are_confirmed_only_by_a_round_that_another_node_echoed() {
    let mut net = Net::new(2);
    net.promote(0, false, None);
    net.write(0, b"one");
    let round = net.node(0).replica.begin_read_round().unwrap();
    net.drain(0);
    assert!(net.node(0).rounds < round, "nobody has answered yet");
    net.run();
    assert_eq!(net.node(0).rounds, round);
    assert_eq!(net.node(1).replica.begin_read_round(), None);
}

#[test]
fn logs_that_part_within_an_epoch_stop_the_standby_where_both_end_and_where_it_lags() {
    for frames_lost in [0, 1] {
        let mut net = Net::new(2);
        net.promote(1, false, None);
        for payload in [b"1111", b"2222", b"3333"] {
            net.write(1, payload);
        }
        // One frame of the standby's says something else, and what follows continues it.
        let log = &mut net.node(0).log;
        let changed = log.len() - 2;
        log[changed].1 = b"xxxx".to_vec();
        log[changed + 1].0.previous = log[changed].0.frame_hash(b"xxxx");
        net.restart(0, 1, frames_lost);
        net.restart(1, 1, 0);
        net.connect_all();
        net.promote(1, true, None);
        net.pass(200);
        let alarms = &net.node(0).alarms;
        let differs = |alarm: &Alarm| matches!(alarm, Alarm::LogsDiffer { .. });
        assert!(alarms.iter().any(differs), "{frames_lost}: {alarms:?}");
        assert_eq!((net.role(0), net.node(0).cuts.as_slice()), (Role::Stopped, &[][..]));
    }
}

#[test]
fn a_standby_whose_state_differs_stops_with_an_alarm_and_grants_nothing() {
    let mut net = Net::new(2);
    net.promote(0, false, None);
    net.node(1).replica.handle_state_mismatch(1);
    net.run();
    assert_eq!(net.node(1).alarms, [Alarm::StateDiffers(1)]);
    assert_eq!(net.role(1), Role::Stopped);
    net.pass(200);
    assert_eq!(net.role(1), Role::Stopped);
}

#[test]
fn a_log_that_calls_acknowledged_what_the_primary_lacks_stops_instead_of_cutting() {
    let mut net = Net::new(2);
    net.promote(0, true, None);
    net.run();
    net.dead = vec![1];
    net.disconnect(0, 1);
    let now_ns = net.now_ns;
    net.node(0).replica.handle_admin(Command::Detach, now_ns).unwrap();
    net.run();
    net.write(0, b"acknowledged alone");
    assert_eq!(net.commit(0), net.end(0));
    // The operator overrides everything on the other node.
    net.dead = vec![0];
    let last = net.end(1);
    net.promote(1, false, Some(last));
    net.pass(400);
    net.dead.clear();
    net.connect(0, 1);
    net.run();
    net.pass(200);
    assert!(matches!(net.node(0).alarms.last(), Some(Alarm::AcknowledgedSuffix { .. })));
    assert_eq!(net.role(0), Role::Stopped);
    assert!(net.node(0).cuts.is_empty());
}

#[test]
fn forged_repeated_old_and_cut_messages_change_nothing() {
    let mut net = Net::new(2);
    net.promote(0, false, None);
    net.write(0, b"one");
    let status = net.node(1).replica.status();
    let last = net.delivered.iter().rev().find(|(_, to, _)| *to == 1).unwrap().2.clone();
    let now_ns = net.now_ns;
    let outcome = net.node(1).replica.handle_message(0, &last, now_ns);
    assert_eq!(outcome, Err(MessageError::Repeated));
    for at in 0..last.len() {
        let mut forged = last.clone();
        forged[at] ^= 0x41;
        assert!(net.node(1).replica.handle_message(0, &forged, now_ns).is_err(), "byte {at}");
        assert!(net.node(1).replica.handle_message(0, &last[..at], now_ns).is_err(), "cut {at}");
        while net.node(1).replica.poll_output().is_some() {}
    }
    assert_eq!(net.node(1).replica.status(), status);
    // A recording of this connection is worth nothing on the next one.
    net.disconnect(0, 1);
    net.connect(0, 1);
    net.run();
    let outcome = net.node(1).replica.handle_message(0, &last, now_ns);
    assert!(matches!(outcome, Err(MessageError::Forged)));
}

#[test]
fn a_peer_that_does_not_read_costs_no_more_than_its_window() {
    let mut net = Net::new(3);
    net.promote(0, false, None);
    net.run();
    net.dead = vec![2];
    let mut sent = 0;
    for number in 0..40u8 {
        net.node(0).append(3, &vec![number; 1 << 20]);
        let Net { nodes, .. } = &mut net;
        while let Some(output) = nodes[0].replica.poll_output() {
            match output {
                Output::ReadFrames { peer, after, .. } => {
                    let (header, payload) = nodes[0]
                        .log
                        .iter()
                        .find(|(head, _)| head.sequence > after)
                        .cloned()
                        .unwrap();
                    let mut bytes = header.encode().to_vec();
                    bytes.extend_from_slice(&payload);
                    nodes[0].replica.handle_frames_read(peer, after, &bytes);
                }
                Output::Send { peer: 2, bytes } => sent += bytes.len() as u64,
                _ => {}
            }
        }
    }
    let window = mizan_replica::constants::WINDOW_SIZE;
    assert!(sent >= window && sent <= window + (3 << 20), "{sent} bytes");
}
