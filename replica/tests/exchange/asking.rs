//! Promotions that are refused, and epochs that no cluster comes to.

use crate::net::{Net, node_at};
use mizan_replica::constants::EPOCH_STEP_MAX;
use mizan_replica::{Alarm, Command, Config, DiskState, Led, Policy, Refusal, Role};

#[test]
fn a_promotion_that_is_refused_changes_nothing_and_the_primary_goes_on() {
    let mut net = Net::new(3);
    net.promote(0, false, None);
    net.write(0, b"one");
    net.disconnect(2, 0);
    net.disconnect(2, 1);
    let before = net.node(2).replica.status();
    for confirmed in [None, Some(1)] {
        net.promote(2, false, confirmed);
        net.pass(400);
        assert_eq!(net.node(2).replica.status().epoch, before.epoch);
        assert_eq!(net.node(2).persisted, before.epoch);
    }
    let last_sequence = before.end.sequence;
    let refusals = [
        Refusal::Grants { grants: 1, needed: 2, last_sequence },
        Refusal::WrongLoss { last_sequence },
    ];
    assert_eq!(net.node(2).refusals, refusals);
    net.connect(2, 0);
    net.connect(2, 1);
    net.run();
    net.pass(200);
    assert_eq!(net.role(0), Role::Primary(3));
    assert_eq!(net.role(2), Role::Live);
    net.write(0, b"two");
    assert_eq!(net.commit(0), net.end(0));
}

#[test]
fn a_node_follows_its_primary_while_it_asks() {
    let mut net = Net::new(3);
    net.promote(0, false, None);
    // The other standby is connected and says nothing, so that the answers are waited for.
    net.dead = vec![1];
    net.disconnect(0, 2);
    net.promote(2, false, None);
    net.connect(0, 2);
    let now_ns = net.now_ns;
    let promote = Command::Promote { solo: false, accept_loss_after: None, log_timestamp: None };
    assert_eq!(net.node(2).replica.handle_admin(promote, now_ns), Err(Refusal::Role));
    net.pass(100);
    assert_eq!((net.role(0), net.role(2)), (Role::Primary(3), Role::Live));
    net.pass(300);
    // The former primary said that it would grant, and did.
    assert!(matches!(net.role(2), Role::Primary(5)), "{:?}", net.role(2));
    assert_eq!(net.role(0), Role::Live);
}

#[test]
fn an_epoch_far_above_the_own_is_refused_with_an_alarm_and_promotions_go_on() {
    let config = Config::new(3, Policy::TwoDisks);
    for (highest, is_refused) in [
        (u64::MAX, true),
        (u64::MAX - 5, true),
        (3 + EPOCH_STEP_MAX + 1, true),
        (3 + EPOCH_STEP_MAX, false),
    ] {
        let mut net = Net::new(3);
        net.promote(0, false, None);
        net.disconnect(1, 0);
        net.disconnect(1, 2);
        net.nodes[1] = node_at(1, config, 1, Vec::new(), highest, Led::default());
        net.connect(1, 0);
        net.connect(1, 2);
        net.run();
        let alarm = Alarm::EpochRefused { peer: 1, epoch: highest };
        assert_eq!(net.node(0).alarms.contains(&alarm), is_refused, "{highest}");
        let expected = if is_refused { 3 } else { highest };
        assert_eq!(net.node(0).replica.status().epoch, expected);
        assert_eq!(net.node(0).persisted, expected);
        net.pass(200);
        net.promote(2, false, None);
        net.pass(400);
        assert!(matches!(net.role(2), Role::Primary(_)), "{highest}: {:?}", net.role(2));
        net.write(2, b"more");
        net.pass(200);
        assert_eq!(net.commit(2), net.end(2));
    }
}

#[test]
fn a_node_with_no_epoch_left_says_so() {
    let mut net = Net::new(2);
    net.disconnect(0, 1);
    let config = Config::new(2, Policy::TwoDisks);
    net.nodes[0] = node_at(0, config, 1, Vec::new(), u64::MAX, Led::default());
    let promote = Command::Promote { solo: true, accept_loss_after: None, log_timestamp: None };
    let refusal = Err(Refusal::NoEpoch(u64::MAX));
    assert_eq!(net.node(0).replica.handle_admin(promote, 0), refusal);
}

#[test]
fn what_a_node_answered_that_is_gone_counts_no_more() {
    let mut net = Net::new(3);
    net.promote(0, false, None);
    // The primary is connected and silent, so that its answer is waited for.
    net.dead = vec![0];
    net.promote(2, false, None);
    let last_sequence = net.end(2);
    net.disconnect(1, 2);
    net.pass(400);
    let refusal = Refusal::Grants { grants: 1, needed: 2, last_sequence };
    assert_eq!(net.node(2).refusals, [refusal]);
    assert_eq!((net.role(0), net.node(2).persisted), (Role::Primary(3), 3));
}

#[test]
fn a_node_without_room_is_refused_as_long_as_its_disk_lacks_some_of_the_log() {
    for node_count in [2, 3] {
        let mut net = Net::new(node_count);
        net.promote(0, false, None);
        net.write(0, b"one");
        net.node(1).is_quick = false;
        net.write(0, b"two");
        net.write(0, b"three");
        let (end, epoch) = (net.end(0), net.node(1).replica.status().epoch);
        net.node(1).replica.note_disk(DiskState { is_full: true, is_damaged: false });
        net.promote(1, false, None);
        net.pass(400);
        let refusal = Refusal::NoRoom { durable: end - 2, last_sequence: end };
        assert_eq!(net.node(1).refusals, [refusal]);
        assert_eq!((net.role(0), net.node(1).persisted), (Role::Primary(epoch), epoch));
        // A full disk that has all of it can lead.
        net.node(1).is_quick = true;
        net.sync(1);
        net.run();
        net.promote(1, false, None);
        net.pass(400);
        assert_eq!(net.role(1), Role::Primary(epoch + 1));
    }
}

const DAMAGED: DiskState = DiskState { is_full: false, is_damaged: true };

#[test]
fn a_damaged_primary_whose_grant_is_needed_goes_on_until_another_node_can_give_one() {
    let mut net = Net::new(3);
    net.promote(0, false, None);
    net.write(0, b"one");
    net.disconnect(2, 0);
    net.disconnect(2, 1);
    net.node(0).replica.note_disk(DAMAGED);
    net.promote(1, false, None);
    net.pass(400);
    let last_sequence = net.end(1);
    let refusal = Refusal::PeerDamaged { peer: 0, last_sequence: Some(last_sequence) };
    assert_eq!(net.node(1).refusals, [refusal]);
    assert_eq!((net.node(0).persisted, net.node(1).persisted), (3, 3));
    net.write(0, b"two");
    assert_eq!((net.role(0), net.commit(0)), (Role::Primary(3), net.end(0)));
    net.connect(2, 0);
    net.connect(2, 1);
    net.run();
    net.pass(200);
    net.promote(1, false, None);
    net.pass(400);
    assert_eq!(net.role(1), Role::Primary(4));
}

#[test]
fn a_loss_is_accepted_where_only_a_damaged_primary_could_grant() {
    let mut net = Net::new(3);
    net.promote(0, false, None);
    net.write(0, b"one");
    net.disconnect(2, 0);
    net.disconnect(2, 1);
    net.node(0).replica.note_disk(DAMAGED);
    let last_sequence = net.end(1);
    net.promote(1, false, Some(last_sequence - 1));
    net.pass(400);
    assert_eq!(net.node(1).refusals, [Refusal::WrongLoss { last_sequence }]);
    assert_eq!(net.role(0), Role::Primary(3));
    // It holds the only copy beside the own one: that has to be confirmed, too.
    net.promote(1, false, Some(last_sequence));
    net.pass(400);
    let refusal = Refusal::PeerDamaged { peer: 0, last_sequence: None };
    assert_eq!(net.node(1).refusals.last(), Some(&refusal));
    net.promote(1, true, Some(last_sequence));
    net.pass(400);
    assert_eq!(net.role(1), Role::Primary(4));
}

#[test]
fn a_damaged_primary_of_two_gives_way_only_to_a_node_for_which_one_copy_suffices() {
    let mut net = Net::new(2);
    net.promote(0, false, None);
    net.write(0, b"one");
    net.node(0).replica.note_disk(DAMAGED);
    net.promote(1, false, None);
    net.pass(400);
    let refusal = Refusal::PeerDamaged { peer: 0, last_sequence: None };
    assert_eq!(net.node(1).refusals, [refusal]);
    assert_eq!(net.role(0), Role::Primary(2));
    net.promote(1, true, None);
    net.pass(400);
    assert_eq!(net.role(1), Role::Primary(3));
}

#[test]
fn a_damaged_standby_grants_as_ever() {
    let mut net = Net::new(3);
    net.promote(0, false, None);
    net.node(2).replica.note_disk(DAMAGED);
    net.disconnect(0, 1);
    net.disconnect(0, 2);
    net.dead = vec![0];
    net.promote(1, false, None);
    net.pass(400);
    assert_eq!(net.role(1), Role::Primary(4));
}
