//! What a node that is far behind costs the others: commit latency, in the time of a simulated machine.
//!
//! One thread of the primary does everything in turn, and reading, sealing and sending takes it a nanosecond a byte. No
//! real time passes here, so the figures are the same in every run.

use mizan_journal::{Hash, SharedHeader};
use mizan_replica::handshake::connect;
use mizan_replica::{
    Command, Config, Control, FrameEnd, LogIndex, LogRecords, Options, Output, Policy, Replica,
    Starts,
};
use std::collections::{BTreeMap, VecDeque};
use zerocopy::IntoBytes;

const CLUSTER: u128 = 5;
const US: u64 = 1_000;
const MS: u64 = 1_000 * US;
const CALL_NS: u64 = 2 * US;
const LATENCY_NS: u64 = 100 * US;
const SYNC_NS: u64 = 500 * US;
/// Writes of the primary: one frame of this size in every interval.
const FRAME_SIZE: usize = 4 << 10;
const INTERVAL_NS: u64 = MS;
/// Frames of what the third node lacks.
const LAG_FRAME_SIZE: usize = 64 << 10;

enum Event {
    Message { from: u8, to: u8, bytes: Vec<u8> },
    Synced { node: u8, sequence: u64 },
    Write,
    Tick,
}

struct Node {
    replica: Replica,
    log: Vec<(SharedHeader, Vec<u8>)>,
    /// The thread is at work until then.
    busy_until_ns: u64,
}

impl Node {
    fn hash(&self) -> Hash {
        self.log.last().map_or([0; 16], |(header, payload)| header.frame_hash(payload))
    }

    fn append(&mut self, epoch: u64, payload: &[u8]) -> u64 {
        let header = SharedHeader {
            previous: self.hash(),
            cluster: CLUSTER,
            epoch,
            sequence: self.log.len() as u64 + 1,
            count: 1,
            length: payload.len() as u32,
            semantics_version: 1,
        };
        self.log.push((header, payload.to_vec()));
        let end = FrameEnd { epoch, sequence: header.sequence, hash: self.hash() };
        self.replica.handle_appended(end, Control::from_payload(1, payload));
        header.sequence
    }
}

struct Machine {
    nodes: Vec<Node>,
    events: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    /// When each frame was appended, and how long its commit took.
    appended_ns: VecDeque<(u64, u64)>,
    latencies_ns: Vec<u64>,
    /// Longest turn of the primary's thread.
    turn_max_ns: u64,
    epoch: u64,
}

impl Machine {
    fn new(node_count: u8) -> Self {
        let node = |index| Node {
            replica: Replica::new(Options {
                index,
                cluster: CLUSTER,
                secret: [1; 32],
                incarnation: 1,
                starts: Starts::default(),
                process: 0,
                base_config: Config::new(node_count, Policy::TwoDisks),
                records: LogRecords::new(index, Config::new(node_count, Policy::TwoDisks)),
                highest_epoch: 0,
                log: LogIndex::default(),
                commit: 0,
            }),
            log: Vec::new(),
            busy_until_ns: 0,
        };
        Machine {
            nodes: (0..node_count).map(node).collect(),
            events: BTreeMap::new(),
            next_event: 0,
            appended_ns: VecDeque::new(),
            latencies_ns: Vec::new(),
            turn_max_ns: 0,
            epoch: 0,
        }
    }

    fn at(&mut self, time_ns: u64, event: Event) {
        self.events.insert((time_ns, self.next_event), event);
        self.next_event += 1;
    }

    fn connect(&mut self, one: u8, other: u8, now_ns: u64) {
        let identities = [one, other].map(|node| self.nodes[usize::from(node)].replica.identity());
        let nonces = [[one + 7; 32], [other + 9; 32]];
        let (dialled, accepted) = connect(&identities[0], &identities[1], nonces).unwrap();
        self.nodes[usize::from(one)].replica.handle_connected(dialled, now_ns);
        self.nodes[usize::from(other)].replica.handle_connected(accepted, now_ns);
        self.drain(one, now_ns);
        self.drain(other, now_ns);
    }

    /// One turn of a node's thread: everything that its replica asks for.
    fn drain(&mut self, index: u8, now_ns: u64) {
        let begun_ns = now_ns.max(self.nodes[usize::from(index)].busy_until_ns);
        let mut now_ns = begun_ns + CALL_NS;
        while let Some(output) = self.nodes[usize::from(index)].replica.poll_output() {
            let node = &mut self.nodes[usize::from(index)];
            match output {
                Output::Send { peer, bytes } => {
                    let event = Event::Message { from: index, to: peer, bytes };
                    self.at(now_ns + LATENCY_NS, event);
                }
                Output::Append { frames, .. } => {
                    let mut rest = frames.as_slice();
                    while let Some((head, behind)) = rest.split_first_chunk() {
                        let header = SharedHeader::decode(head).unwrap();
                        let (payload, behind) = behind.split_at(header.length as usize);
                        node.log.push((header, payload.to_vec()));
                        rest = behind;
                    }
                    let sequence = node.log.len() as u64;
                    self.at(now_ns + SYNC_NS, Event::Synced { node: index, sequence });
                }
                Output::ReadFrames { peer, after, size_max } => {
                    let mut bytes = Vec::new();
                    for (header, payload) in &node.log[after as usize..] {
                        if !bytes.is_empty() && (bytes.len() + payload.len()) as u64 > size_max {
                            break;
                        }
                        bytes.extend_from_slice(&header.encode());
                        bytes.extend_from_slice(payload);
                    }
                    now_ns += bytes.len() as u64;
                    node.replica.handle_frames_read(peer, after, &bytes);
                }
                Output::AppendControl { control, epoch } => {
                    self.epoch = epoch;
                    let sequence = node.append(epoch, control.entry(5).as_bytes());
                    self.at(now_ns + SYNC_NS, Event::Synced { node: index, sequence });
                }
                Output::Commit(sequence) if index == 0 => self.committed(sequence, now_ns),
                Output::CutBack { .. } | Output::Disconnect { .. } => {
                    panic!("no log parts from another here, and nothing gets lost")
                }
                _ => {}
            }
        }
        let node = &mut self.nodes[usize::from(index)];
        node.busy_until_ns = now_ns;
        if index == 0 {
            self.turn_max_ns = self.turn_max_ns.max(now_ns - begun_ns);
        }
    }

    fn committed(&mut self, sequence: u64, now_ns: u64) {
        while self.appended_ns.front().is_some_and(|(at, _)| *at <= sequence) {
            let (_, appended_ns) = self.appended_ns.pop_front().unwrap();
            self.latencies_ns.push(now_ns - appended_ns);
        }
    }

    fn run_until(&mut self, end_ns: u64) {
        while let Some((&(time_ns, number), event)) = self.events.first_key_value() {
            if time_ns > end_ns {
                return;
            }
            let nodes: Vec<u8> = match event {
                Event::Message { to, .. } => vec![*to],
                Event::Synced { node, .. } => vec![*node],
                Event::Write => vec![0],
                Event::Tick => (0..self.nodes.len() as u8).collect(),
            };
            let event = self.events.remove(&(time_ns, number)).unwrap();
            let busy = |node: &u8| self.nodes[usize::from(*node)].busy_until_ns;
            let free_ns = nodes.iter().map(busy).max().unwrap_or(0);
            if free_ns > time_ns && !matches!(event, Event::Tick) {
                self.events.insert((free_ns, number), event);
                continue;
            }
            self.happen(event, time_ns);
            nodes.into_iter().for_each(|node| self.drain(node, time_ns));
        }
    }

    fn happen(&mut self, event: Event, now_ns: u64) {
        match event {
            Event::Message { from, to, bytes } => {
                let _ = self.nodes[usize::from(to)].replica.handle_message(from, &bytes, now_ns);
            }
            Event::Synced { node, sequence } => {
                self.nodes[usize::from(node)].replica.handle_durable(0, sequence, now_ns);
            }
            Event::Write => {
                let sequence = self.write(FRAME_SIZE);
                self.appended_ns.push_back((sequence, now_ns));
                self.at(now_ns + SYNC_NS, Event::Synced { node: 0, sequence });
                self.at(now_ns + INTERVAL_NS, Event::Write);
            }
            Event::Tick => {
                for node in &mut self.nodes {
                    node.replica.handle_tick(now_ns);
                }
                self.at(now_ns + 50 * MS, Event::Tick);
            }
        }
    }

    fn write(&mut self, size: usize) -> u64 {
        let epoch = self.epoch;
        self.nodes[0].append(epoch, &vec![7; size])
    }
}

struct Figures {
    median_ns: u64,
    max_ns: u64,
    turn_max_ns: u64,
    /// How long the third node took to catch up.
    caught_up_ns: u64,
}

/// Commit latencies of a primary with a standby that keeps up, while a third node lacks so many bytes.
fn measure(lag: usize) -> Figures {
    const BEGIN_NS: u64 = 1_000 * MS;
    let mut machine = Machine::new(3);
    machine.connect(0, 1, 0);
    machine.at(0, Event::Tick);
    let promote = Command::Promote { solo: false, accept_loss_after: None, log_timestamp: None };
    machine.nodes[0].replica.handle_admin(promote, 0).unwrap();
    machine.drain(0, 0);
    machine.run_until(400 * MS);
    for _ in 0..lag / LAG_FRAME_SIZE {
        let sequence = machine.write(LAG_FRAME_SIZE);
        machine.at(401 * MS, Event::Synced { node: 0, sequence });
        machine.drain(0, 400 * MS);
    }
    machine.run_until(BEGIN_NS - MS);
    let end = machine.nodes[0].log.len();
    assert_eq!(machine.nodes[1].log.len(), end, "the standby keeps up");
    machine.turn_max_ns = 0;
    machine.at(BEGIN_NS, Event::Write);
    machine.connect(0, 2, BEGIN_NS);
    let mut caught_up_ns = 0;
    // No longer than it takes to catch up: what comes after is quiet.
    for step in 1..=2_000 {
        machine.run_until(BEGIN_NS + step * MS);
        if caught_up_ns == 0 && machine.nodes[2].log.len() >= end {
            caught_up_ns = step * MS;
        }
        if caught_up_ns > 0 && step >= 90 {
            break;
        }
    }
    let mut latencies = std::mem::take(&mut machine.latencies_ns);
    latencies.sort_unstable();
    assert!(latencies.len() > 80, "{} commits", latencies.len());
    Figures {
        median_ns: latencies[latencies.len() / 2],
        max_ns: latencies[latencies.len() - 1],
        turn_max_ns: machine.turn_max_ns,
        caught_up_ns,
    }
}

#[test]
fn a_node_that_is_far_behind_hardly_delays_the_commits_of_the_others() {
    let (level, behind) = (measure(0), measure(96 << 20));
    for (name, figures) in [("level", &level), ("behind", &behind)] {
        println!(
            "third node {name}: commit p50 {} us, at most {} us, longest turn {} us, caught up in {} ms",
            figures.median_ns / US,
            figures.max_ns / US,
            figures.turn_max_ns / US,
            figures.caught_up_ns / MS,
        );
    }
    assert!(behind.caught_up_ns > 0, "it catches up while the others go on");
    assert!(behind.turn_max_ns < MS, "{} ns in one turn", behind.turn_max_ns);
    assert!(behind.max_ns < level.max_ns * 3, "{} ns at most", behind.max_ns);
}
