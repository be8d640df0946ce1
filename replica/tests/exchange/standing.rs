//! An epoch that was begun is stood for: peers that go away meanwhile are asked again when they are back.

use crate::net::{MS, Net, node_at};
use mizan_replica::constants::PROMOTION_TIMEOUT_NS;
use mizan_replica::{Command, Config, Led, Policy, Refusal, Role};

/// Kind of a message that carries frames.
const FRAMES: u8 = 6;

/// Delivers messages one by one until something is so.
fn run_until(net: &mut Net, mut is_so: impl FnMut(&mut Net) -> bool) {
    loop {
        (0..net.nodes.len() as u8).for_each(|index| net.drain(index));
        if is_so(net) {
            return;
        }
        let (from, to, bytes) = net.in_flight.pop_front().expect("it does not come to that");
        let now_ns = net.now_ns;
        let _ = net.node(to).replica.handle_message(from, &bytes, now_ns);
    }
}

fn ask(net: &mut Net, index: u8, accept_loss_after: Option<u64>) {
    let (now_ns, command) =
        (net.now_ns, Command::Promote { solo: false, accept_loss_after, log_timestamp: None });
    net.node(index).replica.handle_admin(command, now_ns).unwrap();
}

/// Three nodes of policy `disk`, whose node 1 has begun an epoch when node 0, the primary, starts again.
fn with_a_primary_that_starts_again() -> Net {
    let mut net = Net::of(3, Policy::Disk);
    net.promote(0, false, None);
    net.write(0, b"acknowledged");
    ask(&mut net, 1, None);
    run_until(&mut net, |net| net.node(1).persisted > 3);
    net.restart(0, 1, 0);
    net.run();
    net
}

fn back(net: &mut Net) {
    net.connect(0, 1);
    net.connect(0, 2);
    net.run();
    net.pass(200);
}

#[test]
fn a_fenced_primary_that_starts_again_grants_when_it_is_back() {
    let mut net = with_a_primary_that_starts_again();
    // Much longer than grants take of nodes that are there.
    net.pass(3_000);
    assert_eq!((net.role(1), net.node(1).refusals.len()), (Role::Candidate, 0));
    back(&mut net);
    assert_eq!(net.role(1), Role::Primary(4));
    net.write(1, b"more");
    assert_eq!(net.commit(1), net.end(1));
    net.pass(200);
    assert_eq!((net.role(0), net.role(2)), (Role::Live, Role::Live));
    assert!(net.nodes[0].log == net.nodes[1].log);
}

/// Three nodes, of which node 0, the primary, alone has an entry, and node 1 has begun an epoch and takes that over.
fn while_a_log_is_taken_over(policy: Policy) -> Net {
    let mut net = Net::of(3, policy);
    net.promote(0, false, None);
    net.disconnect(0, 1);
    net.disconnect(0, 2);
    net.write(0, b"on one disk");
    assert_eq!(net.commit(0) == net.end(0), policy == Policy::Disk);
    net.connect(0, 1);
    ask(&mut net, 1, None);
    // The frames in this epoch are for the candidate; those of the former one come too late.
    let is_sent = |(from, to, bytes): &(u8, u8, Vec<u8>)| {
        let epoch = u64::from_le_bytes(bytes[64..72].try_into().unwrap());
        (*from, *to, bytes[40], epoch) == (0, 1, FRAMES, 4)
    };
    net.connect(0, 2);
    run_until(&mut net, |net| net.in_flight.iter().any(is_sent));
    assert_eq!(net.role(1), Role::Candidate);
    assert!(net.end(1) < net.end(0));
    net
}

#[test]
fn the_log_of_a_source_that_starts_again_is_taken_over_when_it_is_back() {
    let mut net = while_a_log_is_taken_over(Policy::Disk);
    net.restart(0, 1, 0);
    net.run();
    net.pass(1_000);
    assert_eq!((net.role(1), net.node(1).refusals.len()), (Role::Candidate, 0));
    back(&mut net);
    assert_eq!(net.role(1), Role::Primary(4));
    let has_it = |node: usize| net.nodes[node].log.iter().any(|(_, it)| it == b"on one disk");
    assert!((0..3).all(has_it));
}

#[test]
fn what_a_lost_source_alone_had_is_not_waited_for_where_it_was_never_acknowledged() {
    let mut net = while_a_log_is_taken_over(Policy::TwoDisks);
    net.disconnect(0, 1);
    net.disconnect(0, 2);
    net.dead = vec![0];
    net.pass(400);
    assert_eq!(net.role(1), Role::Primary(4));
    net.write(1, b"more");
    assert_eq!(net.commit(1), net.end(1));
}

#[test]
fn an_operator_is_told_what_is_missing_and_may_ask_again_of_a_node_that_stands() {
    let mut net = with_a_primary_that_starts_again();
    net.pass(PROMOTION_TIMEOUT_NS / MS + 100);
    let last_sequence = net.end(1);
    let refusal = Refusal::Grants { grants: 2, needed: 3, last_sequence };
    assert_eq!(net.node(1).refusals, [refusal]);
    assert_eq!(net.role(1), Role::Candidate);
    net.pass(PROMOTION_TIMEOUT_NS / MS + 100);
    assert_eq!(net.node(1).refusals.len(), 1, "nobody waits any more");
    // Another number loses nothing, now or later; the right one leads.
    ask(&mut net, 1, Some(last_sequence + 1));
    net.pass(PROMOTION_TIMEOUT_NS / MS + 100);
    assert_eq!(net.node(1).refusals, [refusal, Refusal::WrongLoss { last_sequence }]);
    ask(&mut net, 1, Some(last_sequence));
    let (now_ns, command) = (
        net.now_ns,
        Command::Promote { solo: false, accept_loss_after: None, log_timestamp: None },
    );
    assert_eq!(net.node(1).replica.handle_admin(command, now_ns), Err(Refusal::Role));
    net.pass(400);
    assert_eq!(net.role(1), Role::Primary(4));
}

#[test]
fn whoever_stands_for_an_epoch_gives_way_to_a_promotion_of_another() {
    let mut net = with_a_primary_that_starts_again();
    net.pass(1_000);
    back_to_two(&mut net);
    let last_sequence = net.end(2);
    ask(&mut net, 2, Some(last_sequence));
    net.run();
    net.pass(400);
    assert_eq!(net.role(2), Role::Primary(5));
    assert_eq!(net.node(1).refusals, [Refusal::Overtaken(5)]);
    assert_eq!(net.role(1), Role::Live);
}

/// Only nodes 1 and 2 are there.
fn back_to_two(net: &mut Net) {
    net.dead = vec![0];
    net.run();
}

#[test]
fn a_word_about_losses_counts_for_the_answer_that_it_was_given_for_and_not_later() {
    let mut net = Net::of(3, Policy::Disk);
    net.promote(0, false, None);
    net.write(0, b"acknowledged");
    ask(&mut net, 1, None);
    run_until(&mut net, |net| net.node(1).persisted > 3);
    net.disconnect(1, 0);
    net.disconnect(1, 2);
    net.dead = vec![0];
    net.pass(PROMOTION_TIMEOUT_NS / MS + 100);
    let last_sequence = net.end(1);
    ask(&mut net, 1, Some(last_sequence + 1));
    net.pass(PROMOTION_TIMEOUT_NS / MS + 100);
    let told = net.node(1).refusals.clone();
    assert_eq!(told.last(), Some(&Refusal::WrongLoss { last_sequence }));
    // Node 2 comes back with one entry more, so that the number would fit now.
    let mut header = net.node(2).log.last().expect("not empty").0;
    (header.previous, header.sequence, header.length) = (net.node(2).hash(), last_sequence + 1, 4);
    net.node(2).log.push((header, b"more".to_vec()));
    net.restart(2, 1, 0);
    net.connect(1, 2);
    net.run();
    net.pass(1_000);
    assert_eq!((net.role(1), &net.node(1).refusals), (Role::Candidate, &told));
}

/// Three nodes: node 0 led epoch 3 and has an entry of it that nobody else has; node 1 led a later one and is gone. Node 0
/// stands, takes over the log of node 2, and starts again to cut its own.
fn while_a_candidate_starts_again() -> Net {
    let mut net = Net::new(3);
    net.starts_again_at_cuts = true;
    net.promote(0, false, None);
    net.write(0, b"acknowledged");
    net.disconnect(0, 1);
    net.disconnect(0, 2);
    net.write(0, b"of nobody else");
    net.promote(1, false, None);
    net.write(1, b"of the others");
    net.disconnect(1, 2);
    net.dead = vec![1];
    net.connect(0, 2);
    net.run();
    ask(&mut net, 0, None);
    net.run();
    net.pass(400);
    net
}

#[test]
fn a_candidate_that_starts_again_to_cut_its_log_goes_on_standing() {
    let mut net = while_a_candidate_starts_again();
    let epoch = net.node(0).persisted;
    assert_eq!((net.node(0).cuts.len(), net.role(0)), (1, Role::Candidate));
    net.pass(PROMOTION_TIMEOUT_NS / MS + 100);
    assert_eq!((net.role(0), net.node(0).refusals.len()), (Role::Candidate, 0), "nobody waits");
    net.connect(0, 2);
    net.run();
    net.pass(400);
    assert_eq!(net.role(0), Role::Primary(epoch));
    net.write(0, b"more");
    assert_eq!(net.commit(0), net.end(0));
    let has = |node: usize, entry: &[u8]| net.nodes[node].log.iter().any(|(_, it)| it == entry);
    for node in [0, 2] {
        assert!(has(node, b"acknowledged") && has(node, b"of the others"), "node {node}");
        assert!(!has(node, b"of nobody else"), "node {node}");
    }
}

#[test]
fn an_operator_may_ask_again_of_a_candidate_that_started_again() {
    let mut net = while_a_candidate_starts_again();
    ask(&mut net, 0, None);
    net.pass(PROMOTION_TIMEOUT_NS / MS + 100);
    let last_sequence = net.end(0);
    assert_eq!(net.node(0).refusals, [Refusal::Grants { grants: 1, needed: 2, last_sequence }]);
    assert_eq!(net.role(0), Role::Candidate);
}

#[test]
fn a_candidate_that_started_again_gives_way_to_a_higher_epoch() {
    let mut net = while_a_candidate_starts_again();
    let epoch = net.node(0).persisted;
    // Node 2 is promoted meanwhile, for which node 1 is back.
    net.dead = vec![];
    net.connect(1, 2);
    net.run();
    ask(&mut net, 2, None);
    net.run();
    net.pass(400);
    let Role::Primary(higher) = net.role(2) else { panic!("{:?}", net.role(2)) };
    assert!(higher > epoch);
    net.connect(0, 2);
    net.connect(0, 1);
    net.run();
    net.pass(400);
    assert_eq!(
        (net.role(0), net.role(1), net.role(2)),
        (Role::Live, Role::Live, Role::Primary(higher))
    );
}

#[test]
fn nothing_is_stood_for_behind_a_higher_epoch_or_before_the_own_one_is_persisted() {
    let mut net = while_a_candidate_starts_again();
    let (epoch, now_ns) = (net.node(0).persisted, net.now_ns);
    let standing = net.node(0).replica.standing().expect("it stands");
    let config = Config::new(3, Policy::TwoDisks);
    for highest in [epoch - 1, epoch, epoch + 1] {
        let mut node = node_at(0, config, 1, Vec::new(), highest, Led::default());
        node.replica.resume(standing, now_ns);
        let stands = node.replica.status().role == Role::Candidate;
        assert_eq!(stands, highest == epoch, "{highest}");
    }
    let mut other = node_at(1, config, 1, Vec::new(), epoch, Led::default());
    other.replica.resume(standing, now_ns);
    assert_eq!(other.replica.status().role, Role::Waiting);
}
