//! A few state machines and a network that loses nothing unless told so.

use mizan_journal::{Hash, SharedHeader};
use mizan_replica::handshake::connect;
use mizan_replica::{
    Alarm, Command, Config, Control, FrameEnd, Led, LogIndex, LogRecords, Options, Output, Policy,
    Refusal, Replica, Role, Starts,
};
use std::collections::VecDeque;
use zerocopy::IntoBytes;

pub(crate) const CLUSTER: u128 = 99;
pub(crate) const SECRET: [u8; 32] = [7; 32];
pub(crate) const MS: u64 = 1_000_000;

pub(crate) struct Node {
    pub(crate) replica: Replica,
    /// What it started with.
    pub(crate) options: Options,
    pub(crate) log: Vec<(SharedHeader, Vec<u8>)>,
    pub(crate) persisted: u64,
    /// Whether what is appended becomes durable at once.
    pub(crate) is_quick: bool,
    pub(crate) generation: u64,
    pub(crate) commit: u64,
    pub(crate) rounds: u64,
    pub(crate) alarms: Vec<Alarm>,
    /// Alarms that were said to be over.
    pub(crate) ended: Vec<Alarm>,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) cuts: Vec<u64>,
}

impl Node {
    pub(crate) fn hash(&self) -> Hash {
        self.log.last().map_or([0; 16], |(header, payload)| header.frame_hash(payload))
    }

    pub(crate) fn end(&self) -> u64 {
        self.log.last().map_or(0, |(header, _)| header.last_sequence())
    }

    pub(crate) fn append(&mut self, epoch: u64, payload: &[u8]) {
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

pub(crate) struct Net {
    pub(crate) nodes: Vec<Node>,
    pub(crate) in_flight: VecDeque<(u8, u8, Vec<u8>)>,
    /// Nodes that hear and say nothing.
    pub(crate) dead: Vec<u8>,
    pub(crate) now_ns: u64,
    /// A node whose log is to be cut starts again from its files, as processes do, instead of going on.
    pub(crate) starts_again_at_cuts: bool,
    /// Every message that was delivered.
    pub(crate) delivered: Vec<(u8, u8, Vec<u8>)>,
}

impl Net {
    pub(crate) fn new(node_count: u8) -> Self {
        Self::of(node_count, Policy::TwoDisks)
    }

    pub(crate) fn of(node_count: u8, policy: Policy) -> Self {
        let config = Config::new(node_count, policy);
        let nodes = (0..node_count).map(|index| node_of(index, config, 1, Vec::new())).collect();
        let mut net = Net {
            nodes,
            in_flight: VecDeque::new(),
            dead: Vec::new(),
            now_ns: MS,
            starts_again_at_cuts: false,
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

    pub(crate) fn connect(&mut self, one: u8, other: u8) {
        let nonces = [[self.delivered.len() as u8 ^ 0x5a; 32], [1; 32]];
        let identities = [one, other].map(|node| self.node(node).replica.identity());
        let (dialled, accepted) = connect(&identities[0], &identities[1], nonces).unwrap();
        self.node(one).replica.handle_connected(dialled, 0);
        self.node(other).replica.handle_connected(accepted, 0);
    }

    pub(crate) fn disconnect(&mut self, one: u8, other: u8) {
        self.node(one).replica.handle_disconnected(other);
        self.node(other).replica.handle_disconnected(one);
        self.in_flight
            .retain(|(from, to, _)| ![one, other].contains(from) || ![one, other].contains(to));
    }

    pub(crate) fn node(&mut self, index: u8) -> &mut Node {
        &mut self.nodes[usize::from(index)]
    }

    /// Delivers everything and carries out everything until nothing is left.
    pub(crate) fn run(&mut self) {
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

    pub(crate) fn pass(&mut self, milliseconds: u64) {
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

    pub(crate) fn drain(&mut self, index: u8) {
        let now_ns = self.now_ns;
        while let Some(output) = self.node(index).replica.poll_output() {
            let node = &mut self.nodes[usize::from(index)];
            match output {
                Output::Send { peer, bytes } => self.in_flight.push_back((index, peer, bytes)),
                Output::Disconnect { peer } => self.disconnect(index, peer),
                Output::PersistEpoch(epoch) => node.persisted = epoch,
                Output::PersistStarts(starts) => node.options.starts = starts,
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
                Output::CutBack { to, .. } if self.starts_again_at_cuts => {
                    self.cut_and_start_again(index, to.sequence);
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
                Output::ReadFrames { peer, after, size_max } => {
                    let mut bytes = Vec::new();
                    for (header, payload) in
                        node.log.iter().filter(|(head, _)| head.sequence > after)
                    {
                        if bytes.len() as u64 >= size_max {
                            break;
                        }
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
                Output::AlarmEnded(alarm) => node.ended.push(alarm),
                Output::RoleChanged(_) => {}
            }
            let _ = now_ns;
        }
    }

    pub(crate) fn sync(&mut self, index: u8) {
        let now_ns = self.now_ns;
        let node = self.node(index);
        if node.is_quick {
            let (generation, end) = (node.generation, node.end());
            node.replica.handle_durable(generation, end, now_ns);
        }
    }

    pub(crate) fn write(&mut self, index: u8, payload: &[u8]) {
        let Role::Primary(epoch) = self.node(index).replica.status().role else {
            panic!("node {index} is no primary")
        };
        self.node(index).append(epoch, payload);
        self.sync(index);
        self.run();
    }

    pub(crate) fn promote(&mut self, index: u8, solo: bool, loss: Option<u64>) {
        let now_ns = self.now_ns;
        let command = Command::Promote { solo, accept_loss_after: loss, log_timestamp: None };
        self.node(index).replica.handle_admin(command, now_ns).unwrap();
        self.run();
    }

    pub(crate) fn commit(&self, index: u8) -> u64 {
        self.nodes[usize::from(index)].commit
    }

    pub(crate) fn end(&self, index: u8) -> u64 {
        self.nodes[usize::from(index)].end()
    }

    /// A node's process starts again on what its disk has of its log.
    pub(crate) fn restart(&mut self, index: u8, incarnation: u64, frames_lost: usize) {
        self.restart_led(index, incarnation, frames_lost, Led::default());
    }

    /// As [`Net::restart`], with what its disk has of its leading.
    pub(crate) fn restart_led(
        &mut self,
        index: u8,
        incarnation: u64,
        frames_lost: usize,
        led: Led,
    ) {
        self.restart_at(index, incarnation, frames_lost, led, 1);
    }

    fn restart_at(
        &mut self,
        index: u8,
        incarnation: u64,
        frames_lost: usize,
        led: Led,
        highest_epoch: u64,
    ) {
        for other in (0..self.nodes.len() as u8).filter(|other| *other != index) {
            self.disconnect(index, other);
        }
        let node = &mut self.nodes[usize::from(index)];
        let mut log = std::mem::take(&mut node.log);
        log.truncate(log.len() - frames_lost);
        let config = node.replica.status().config;
        let base = Config::new(config.node_count, config.policy);
        *node = node_at(index, base, incarnation, log, highest_epoch, led);
    }

    /// A node cuts its log and starts again; what it stands for is all that it takes along.
    fn cut_and_start_again(&mut self, index: u8, to: u64) {
        let now_ns = self.now_ns;
        let node = self.node(index);
        let (standing, incarnation) =
            (node.replica.standing(), node.replica.identity().incarnation);
        let (highest_epoch, mut cuts) = (node.persisted, std::mem::take(&mut node.cuts));
        cuts.push(to);
        let frames_lost = node.log.iter().filter(|(it, _)| it.last_sequence() > to).count();
        self.restart_at(index, incarnation, frames_lost, Led::default(), highest_epoch);
        let node = self.node(index);
        (node.cuts, node.persisted) = (cuts, highest_epoch);
        if let Some(standing) = standing {
            node.replica.resume(standing, now_ns);
        }
    }

    pub(crate) fn connect_all(&mut self) {
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

    pub(crate) fn role(&self, index: u8) -> Role {
        self.nodes[usize::from(index)].replica.status().role
    }
}

pub(crate) fn node(index: u8, node_count: u8, incarnation: u64) -> Node {
    node_of(index, Config::new(node_count, Policy::TwoDisks), incarnation, Vec::new())
}

/// A node that starts on a log; without one, on the cluster's first entry if its disk is one of the first.
pub(crate) fn node_of(
    index: u8,
    base_config: Config,
    incarnation: u64,
    frames: Vec<(SharedHeader, Vec<u8>)>,
) -> Node {
    node_at(index, base_config, incarnation, frames, 1, Led::default())
}

/// As [`node_of`], with the highest epoch that it has seen, and what its disk has of its leading.
pub(crate) fn node_at(
    index: u8,
    base_config: Config,
    incarnation: u64,
    mut frames: Vec<(SharedHeader, Vec<u8>)>,
    highest_epoch: u64,
    led: Led,
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
    let mut records = LogRecords::new(index, base_config).with_led(led);
    for (header, payload) in &frames {
        let (epoch, sequence) = (header.epoch, header.last_sequence());
        log.push(FrameEnd { epoch, sequence, hash: header.frame_hash(payload) });
        records.push(epoch, sequence, Control::from_payload(header.count, payload));
    }
    let options = Options {
        index,
        cluster: CLUSTER,
        secret: SECRET,
        incarnation,
        starts: Starts::default(),
        process: 0,
        base_config,
        records,
        highest_epoch,
        log,
        commit: 0,
    };
    Node {
        replica: Replica::new(options.clone()),
        options,
        log: frames,
        persisted: 0,
        is_quick: true,
        generation: 0,
        commit: 0,
        rounds: 0,
        alarms: Vec::new(),
        ended: Vec::new(),
        refusals: Vec::new(),
        cuts: Vec::new(),
    }
}
