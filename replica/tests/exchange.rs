//! Scripted exchanges between state machines, with a network that loses nothing unless told so.

use mizan_journal::{Hash, SharedHeader};
use mizan_replica::{
    Alarm, Command, Config, Control, FrameEnd, LogIndex, MessageError, Options, Output, Policy,
    Refusal, Replica, Role,
};
use std::collections::VecDeque;
use zerocopy::IntoBytes;

const CLUSTER: u128 = 99;
const SECRET: [u8; 32] = [7; 32];
const MS: u64 = 1_000_000;

struct Node {
    replica: Replica,
    log: Vec<(SharedHeader, Vec<u8>)>,
    persisted: u64,
    /// Whether what is appended becomes durable at once.
    is_quick: bool,
    generation: u64,
    commit: u64,
    rounds: u64,
    alarms: Vec<Alarm>,
    refusals: Vec<Refusal>,
    cuts: Vec<u64>,
}

impl Node {
    fn hash(&self) -> Hash {
        self.log.last().map_or([0; 16], |(header, payload)| header.frame_hash(payload))
    }

    fn end(&self) -> u64 {
        self.log.last().map_or(0, |(header, _)| header.last_sequence())
    }

    fn append(&mut self, epoch: u64, payload: &[u8]) {
        let header = SharedHeader {
            previous: self.hash(),
            cluster: CLUSTER,
            epoch,
            sequence: self.end() + 1,
            count: 1,
            length: payload.len() as u32,
            semantics_version: 1,
        };
        self.log.push((header, payload.to_vec()));
        let end = FrameEnd { epoch, sequence: header.sequence, hash: self.hash() };
        self.replica.handle_appended(end, Control::from_payload(1, payload));
    }
}

struct Net {
    nodes: Vec<Node>,
    in_flight: VecDeque<(u8, u8, Vec<u8>)>,
    /// Nodes that hear and say nothing.
    dead: Vec<u8>,
    now_ns: u64,
    /// Every message that was delivered.
    delivered: Vec<(u8, u8, Vec<u8>)>,
}

impl Net {
    fn new(node_count: u8) -> Self {
        Self::of(node_count, Policy::TwoDisks)
    }

    fn of(node_count: u8, policy: Policy) -> Self {
        let config = Config::new(node_count, policy);
        let nodes = (0..node_count).map(|index| node_of(index, config, 1, Vec::new())).collect();
        let mut net = Net {
            nodes,
            in_flight: VecDeque::new(),
            dead: Vec::new(),
            now_ns: MS,
            delivered: Vec::new(),
        };
        for one in 0..node_count {
            for other in one + 1..node_count {
                net.connect(one, other);
            }
        }
        net.run();
        net
    }

    fn connect(&mut self, one: u8, other: u8) {
        let nonce = [self.delivered.len() as u8 ^ 0x5a; 32];
        self.node(one).replica.handle_connected(other, nonce, 0);
        self.node(other).replica.handle_connected(one, [1; 32], 0);
    }

    fn disconnect(&mut self, one: u8, other: u8) {
        self.node(one).replica.handle_disconnected(other);
        self.node(other).replica.handle_disconnected(one);
        self.in_flight
            .retain(|(from, to, _)| ![one, other].contains(from) || ![one, other].contains(to));
    }

    fn node(&mut self, index: u8) -> &mut Node {
        &mut self.nodes[usize::from(index)]
    }

    /// Delivers everything and carries out everything until nothing is left.
    fn run(&mut self) {
        loop {
            for index in 0..self.nodes.len() as u8 {
                self.drain(index);
            }
            let Some((from, to, bytes)) = self.in_flight.pop_front() else { return };
            if self.dead.contains(&from) || self.dead.contains(&to) {
                continue;
            }
            let now_ns = self.now_ns;
            self.delivered.push((from, to, bytes.clone()));
            let _ = self.node(to).replica.handle_message(from, &bytes, now_ns);
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds / 50 {
            self.now_ns += 50 * MS;
            let now_ns = self.now_ns;
            for index in 0..self.nodes.len() as u8 {
                if !self.dead.contains(&index) {
                    self.node(index).replica.handle_tick(now_ns);
                }
            }
            self.run();
        }
    }

    fn drain(&mut self, index: u8) {
        let now_ns = self.now_ns;
        while let Some(output) = self.node(index).replica.poll_output() {
            let node = &mut self.nodes[usize::from(index)];
            match output {
                Output::Send { peer, bytes } => self.in_flight.push_back((index, peer, bytes)),
                Output::Disconnect { peer } => self.disconnect(index, peer),
                Output::PersistEpoch(epoch) => node.persisted = epoch,
                Output::Append { frames, .. } => {
                    let mut rest = frames.as_slice();
                    while let Some((head, behind)) = rest.split_first_chunk() {
                        let header = SharedHeader::decode(head).unwrap();
                        let (payload, behind) = behind.split_at(header.length as usize);
                        assert_eq!(header.previous, node.hash());
                        node.log.push((header, payload.to_vec()));
                        rest = behind;
                    }
                    self.sync(index);
                }
                Output::CutBack { to, generation } => {
                    node.log.retain(|(header, _)| header.last_sequence() <= to.sequence);
                    node.generation = generation;
                    node.cuts.push(to.sequence);
                    let config = node.log.iter().rev().find_map(|(header, payload)| {
                        let control = Control::from_payload(header.count, payload)?;
                        Some((header.sequence, control.config))
                    });
                    node.replica.handle_cut(config);
                }
                Output::ReadFrames { peer, after, .. } => {
                    let mut bytes = Vec::new();
                    for (header, payload) in
                        node.log.iter().filter(|(head, _)| head.sequence > after)
                    {
                        bytes.extend_from_slice(&header.encode());
                        bytes.extend_from_slice(payload);
                    }
                    node.replica.handle_frames_read(peer, after, &bytes);
                }
                Output::AppendControl { control, epoch } => {
                    node.append(epoch, control.entry(5).as_bytes());
                    self.sync(index);
                }
                Output::Commit(sequence) => node.commit = sequence,
                Output::ReadsConfirmed(round) => node.rounds = round,
                Output::PromotionRefused(refusal) => node.refusals.push(refusal),
                Output::Alarm(alarm) => node.alarms.push(alarm),
                Output::RoleChanged(_) => {}
            }
            let _ = now_ns;
        }
    }

    fn sync(&mut self, index: u8) {
        let now_ns = self.now_ns;
        let node = self.node(index);
        if node.is_quick {
            let (generation, end) = (node.generation, node.end());
            node.replica.handle_durable(generation, end, now_ns);
        }
    }

    fn write(&mut self, index: u8, payload: &[u8]) {
        let Role::Primary(epoch) = self.node(index).replica.status().role else {
            panic!("node {index} is no primary")
        };
        self.node(index).append(epoch, payload);
        self.sync(index);
        self.run();
    }

    fn promote(&mut self, index: u8, solo: bool, loss: Option<u64>) {
        let now_ns = self.now_ns;
        let command = Command::Promote { solo, accept_loss_after: loss };
        self.node(index).replica.handle_admin(command, now_ns).unwrap();
        self.run();
    }

    fn commit(&self, index: u8) -> u64 {
        self.nodes[usize::from(index)].commit
    }

    fn end(&self, index: u8) -> u64 {
        self.nodes[usize::from(index)].end()
    }

    /// A node's process starts again on what its disk has of its log.
    fn restart(&mut self, index: u8, incarnation: u64, frames_lost: usize) {
        for other in (0..self.nodes.len() as u8).filter(|other| *other != index) {
            self.disconnect(index, other);
        }
        let node = &mut self.nodes[usize::from(index)];
        let mut log = std::mem::take(&mut node.log);
        log.truncate(log.len() - frames_lost);
        let config = node.replica.status().config;
        let base = Config::new(config.node_count, config.policy);
        *node = node_of(index, base, incarnation, log);
    }

    fn connect_all(&mut self) {
        for one in 0..self.nodes.len() as u8 {
            for other in one + 1..self.nodes.len() as u8 {
                if !self.dead.contains(&one) && !self.dead.contains(&other) {
                    self.disconnect(one, other);
                    self.connect(one, other);
                }
            }
        }
        self.run();
    }

    fn role(&self, index: u8) -> Role {
        self.nodes[usize::from(index)].replica.status().role
    }
}

fn node(index: u8, node_count: u8, incarnation: u64) -> Node {
    node_of(index, Config::new(node_count, Policy::TwoDisks), incarnation, Vec::new())
}

/// A node that starts on a log; without one, on the cluster's first entry if its disk is one of the first.
fn node_of(
    index: u8,
    base_config: Config,
    incarnation: u64,
    mut frames: Vec<(SharedHeader, Vec<u8>)>,
) -> Node {
    let header = SharedHeader {
        previous: [0; 16],
        cluster: CLUSTER,
        epoch: 1,
        sequence: 1,
        count: 1,
        length: 4,
        semantics_version: 1,
    };
    let payload = b"gen0".to_vec();
    if incarnation == 1 && frames.is_empty() {
        frames.push((header, payload));
    }
    let mut log = LogIndex::default();
    let mut log_config = None;
    for (header, payload) in &frames {
        let (epoch, sequence) = (header.epoch, header.last_sequence());
        log.push(FrameEnd { epoch, sequence, hash: header.frame_hash(payload) });
        let control = Control::from_payload(header.count, payload);
        log_config = control.map(|control| (sequence, control.config)).or(log_config);
    }
    let replica = Replica::new(Options {
        index,
        cluster: CLUSTER,
        secret: SECRET,
        incarnation,
        base_config,
        log_config,
        highest_epoch: 1,
        log,
        commit: 0,
    });
    Node {
        replica,
        log: frames,
        persisted: 0,
        is_quick: true,
        generation: 0,
        commit: 0,
        rounds: 0,
        alarms: Vec::new(),
        refusals: Vec::new(),
        cuts: Vec::new(),
    }
}

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
    let promote = Command::Promote { solo: false, accept_loss_after: None };
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
fn under_disk_ram_a_copy_in_memory_counts_and_its_node_can_be_promoted_alone() {
    let mut net = Net::of(2, Policy::DiskRam);
    net.promote(0, false, None);
    net.node(1).is_quick = false;
    net.write(0, b"in memory there");
    assert_eq!(net.commit(0), net.end(0));
    net.node(0).is_quick = false;
    net.write(0, b"in memory on both");
    assert!(net.commit(0) < net.end(0), "the primary's own disk has to have it");
    net.dead = vec![0];
    net.node(1).is_quick = true;
    net.sync(1);
    net.promote(1, false, None);
    net.pass(400);
    assert!(matches!(net.role(1), Role::Primary(_)));
    assert!(net.node(1).log.iter().any(|(_, payload)| payload == b"in memory there"));
}

#[test]
fn under_disk_ram_a_node_that_lost_its_memory_counts_only_after_it_was_admitted_again() {
    let mut net = Net::of(2, Policy::DiskRam);
    net.promote(0, false, None);
    net.write(0, b"on both disks");
    net.node(1).is_quick = false;
    net.write(0, b"in memory there");
    let acknowledged = net.end(0);
    assert_eq!(net.commit(0), acknowledged);
    let renewed = 1 | 1 << 48;
    net.restart(1, renewed, 1);
    net.dead = vec![0];
    net.promote(1, false, None);
    net.pass(400);
    let last_sequence = net.end(1);
    assert_eq!(net.node(1).refusals, [Refusal::Grants { grants: 0, needed: 1, last_sequence }]);
    // With every disk's grant it may lead: the primary's is among them.
    net.dead.clear();
    net.connect_all();
    net.promote(1, false, None);
    net.pass(400);
    assert!(matches!(net.role(1), Role::Primary(_)));
    assert!(net.end(1) > acknowledged);
    assert_eq!(net.node(1).replica.status().config.incarnations[..2], [1, renewed]);
    net.restart(1, renewed | 1 << 49, 0);
    net.connect_all();
    net.promote(0, false, None);
    net.pass(400);
    net.write(0, b"more");
    assert_eq!(net.commit(0), net.end(0));
    assert_eq!(net.node(0).replica.status().config.incarnations[1], renewed | 1 << 49);
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
