//! The world: time, events, and the nodes and clients in it.
//!
//! One queue of events ordered by time and number; whatever is random is drawn from one generator in the order of
//! events. So a seed gives one run.

use crate::client::{Answer, Ask, Client, Heard};
use crate::node::{SimNode, format};
use crate::oracle::{Oracle, Violation};
use crate::{Options, PolicyName, Report};
use mizan_journal::JournalError;
use mizan_journal::sim::{SimRandom, SimStorage};
use mizan_replica::Config;
use mizan_wire::SessionKey;
use std::collections::{BTreeMap, VecDeque};

pub(crate) const MS: u64 = 1_000_000;
const TICK_NS: u64 = 25 * MS;
const CLIENTS: usize = 3;
/// And one that comes under ever new names.
const VISITORS: usize = 1;
const CLIENT_TIMEOUT_NS: u64 = 400 * MS;
const TRACE_MAX: usize = 200;
/// How long the faults last.
const CHAOS_NS: u64 = 6_000 * MS;
/// How long a healed cluster may take.
const HEALED_NS: u64 = 15_000 * MS;
/// Requests that every client must get through after everything has healed.
const PROGRESS: u64 = 5;

/// Something that happens. A node that stopped is replaced, one that was damaged is scrubbed, and a candidate whose
/// promotion is to be disturbed is contested.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Message { connection: u64, from: u8, to: u8, bytes: Vec<u8> },
    Connect { one: u8, other: u8 },
    Tick { node: u8, life: u64 },
    Sync { node: u8, life: u64 },
    Restart { node: u8 },
    Replace { node: u8 },
    Scrub { node: u8 },
    Asked { client: usize, node: u8, ask: Ask },
    HungUp { node: u8, key: SessionKey },
    Answered { client: usize, node: u8, answer: Answer },
    Client { client: usize, turn: u64 },
    Chaos,
    Operator,
    Contest { candidate: u8, rival: u8 },
    Promote { node: u8 },
    Heal { what: Healing },
}

/// What a fault leaves behind to be undone.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Healing {
    Cut { from: u8, to: u8 },
    Slow { node: u8 },
    Full { node: u8 },
}

/// A place for a node: its disk, and what the world does to it.
pub(crate) struct Place {
    /// `None` while it is down.
    pub(crate) node: Option<SimNode>,
    pub(crate) storage: SimStorage,
    pub(crate) incarnation: u64,
    pub(crate) life: u64,
    pub(crate) paused_until_ns: u64,
    pub(crate) sync_ns: u64,
    pub(crate) clock_skew_ns: i64,
    /// Recovery would refuse what is on the disk.
    pub(crate) is_damaged: bool,
    /// What a refused promotion said that its log ends with, and whether the one under way accepts a loss.
    pub(crate) refused_at: Option<u64>,
    pub(crate) accepting: bool,
    /// The promotion under way, if it needs more than this node's own grant.
    pub(crate) standing: Option<Standing>,
    /// Its next candidacy is disturbed, by the promotion of this other node among other things.
    pub(crate) rival: Option<u8>,
}

/// A promotion as the operator began it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// Highest epoch of the node before.
    pub(crate) epoch: u64,
    /// A peer has said since that it would grant it.
    pub(crate) was_answered: bool,
}

/// The world.
pub(crate) struct World {
    pub(crate) random: SimRandom,
    pub(crate) now_ns: u64,
    queue: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    pub(crate) places: Vec<Place>,
    /// Number of the connection of each pair, 0 for none; by lower, then higher index.
    pub(crate) connections: BTreeMap<(u8, u8), u64>,
    pub(crate) next_connection: u64,
    /// Directions in which nothing gets through.
    pub(crate) cut: BTreeMap<(u8, u8), u32>,
    pub(crate) loss_percent: u64,
    pub(crate) clients: Vec<Client>,
    pub(crate) oracle: Oracle,
    pub(crate) is_healing: bool,
    /// The clients begin nothing new.
    is_quiet: bool,
    pub(crate) last_commit: u64,
    pub(crate) base_config: Config,
    /// The node that was told to acknowledge alone; until it has company again, no other is promoted.
    pub(crate) single: Option<u8>,
    /// The node that the operator turned to last, after everything healed.
    pub(crate) turn: u8,
    /// Highest epoch that any node has seen.
    pub(crate) highest_epoch: u64,
    pub(crate) report: Report,
    trace: VecDeque<String>,
    /// Everything that happens, if it is to be compared.
    log: Option<Vec<String>>,
    #[cfg(feature = "unsafe-faults")]
    pub(crate) fault: Option<crate::SimFault>,
}

impl World {
    pub(crate) fn new(options: &Options) -> Self {
        let mut random = SimRandom::new(options.seed);
        let chosen = 2 + (random.below(3) > 0) as u8;
        let node_count = options.node_count.unwrap_or(chosen);
        let drawn = PolicyName::ALL[usize::from(random.below(3) == 0)];
        let policy = options.policy.unwrap_or(drawn);
        let base_config = Config::new(node_count, policy.into());
        // A hello must be committed before anything else is asked: where every client says one, no stale primary is read.
        let hangs_up = random.below(4) == 0;
        let places = (0..node_count)
            .map(|index| Place {
                node: None,
                storage: format(index, 1).expect("invariant: an empty disk can be formatted"),
                incarnation: 1,
                life: 0,
                paused_until_ns: 0,
                sync_ns: MS / 2,
                clock_skew_ns: 0,
                is_damaged: false,
                refused_at: None,
                accepting: false,
                standing: None,
                rival: None,
            })
            .collect();
        World {
            random,
            now_ns: 0,
            queue: BTreeMap::new(),
            next_event: 0,
            places,
            connections: BTreeMap::new(),
            next_connection: 1,
            cut: BTreeMap::new(),
            loss_percent: 0,
            clients: (0..CLIENTS + VISITORS)
                .map(|index| Client::new(index, index >= CLIENTS, hangs_up, node_count))
                .collect(),
            oracle: Oracle::default(),
            is_healing: false,
            is_quiet: false,
            last_commit: 0,
            base_config,
            single: None,
            turn: 0,
            highest_epoch: 0,
            report: Report::default(),
            trace: VecDeque::new(),
            log: None,
            #[cfg(feature = "unsafe-faults")]
            fault: options.fault,
        }
    }

    pub(crate) fn node_count(&self) -> u8 {
        self.places.len() as u8
    }

    pub(crate) fn policy(&self) -> PolicyName {
        let policy = self.base_config.policy;
        let named = PolicyName::ALL.into_iter().find(|name| policy == (*name).into());
        named.expect("invariant: every policy has a name")
    }

    pub(crate) fn report(&self) -> Report {
        let sessions_lost = self.clients.iter().map(|client| client.sessions_lost).sum();
        let (acknowledged, reads) = (self.oracle.acknowledged, self.oracle.reads);
        Report { acknowledged, reads, sessions_lost, ..self.report }
    }

    pub(crate) fn trace(&self) -> Vec<String> {
        self.trace.iter().cloned().collect()
    }

    /// Notes an event: its words go into the run's hash.
    pub(crate) fn note(&mut self, words: &str) {
        self.report.events += 1;
        let line = format!("{:>10} us {words}", self.now_ns / 1_000);
        for byte in line.bytes() {
            // FNV-1a: stable everywhere, and only used to compare two runs.
            self.report.events_hash =
                (self.report.events_hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.trace.len() == TRACE_MAX {
            self.trace.pop_front();
        }
        if let Some(log) = &mut self.log {
            log.push(line.clone());
        }
        self.trace.push_back(line);
    }

    /// Keeps everything that happens from now on.
    pub(crate) fn keep_log(&mut self) {
        self.log = Some(Vec::new());
    }

    pub(crate) fn take_log(&mut self) -> Vec<String> {
        self.log.take().unwrap_or_default()
    }

    pub(crate) fn after(&mut self, delay_ns: u64, event: Event) {
        self.queue.insert((self.now_ns + delay_ns, self.next_event), event);
        self.next_event += 1;
    }

    /// Plays the run to its end.
    ///
    /// # Errors
    /// The first broken promise.
    pub(crate) fn play(&mut self) -> Result<(), Violation> {
        for node in 0..self.node_count() {
            self.start(node)?;
        }
        for client in 0..self.clients.len() {
            self.client_again(client, 0);
        }
        self.after(MS, Event::Operator);
        self.after(200 * MS, Event::Chaos);
        self.play_until(CHAOS_NS, |_| false)?;
        self.heal()?;
        let goals: Vec<u64> = self.clients.iter().map(|client| client.done + PROGRESS).collect();
        let is_served = move |world: &World| {
            world.clients.iter().zip(&goals).all(|(client, goal)| client.done >= *goal)
        };
        if !self.play_until(CHAOS_NS + HEALED_NS, is_served)? {
            return Err(Violation::NoProgress(self.describe()));
        }
        self.is_quiet = true;
        if !self.play_until(self.now_ns + HEALED_NS, World::has_converged)? {
            return Err(Violation::NoProgress(self.describe()));
        }
        let node = self.places[0].node.as_ref().expect("invariant: all nodes run");
        self.oracle.judge(&node.engine, &node.log)
    }

    fn play_until(
        &mut self,
        end_ns: u64,
        is_reached: impl Fn(&World) -> bool,
    ) -> Result<bool, Violation> {
        while let Some((&key, _)) = self.queue.first_key_value() {
            if key.0 > end_ns {
                break;
            }
            let event = self.queue.remove(&key).expect("invariant: it was just seen");
            self.now_ns = self.now_ns.max(key.0);
            self.happen(event)?;
            if is_reached(self) {
                return Ok(true);
            }
        }
        self.now_ns = self.now_ns.max(end_ns);
        Ok(false)
    }

    /// All nodes run and have the same log, applied.
    fn has_converged(&self) -> bool {
        let mut ends = self.places.iter().map(|place| {
            place.node.as_ref().map(|node| {
                (node.replica.status().end, node.engine.sequence(), node.engine.digest())
            })
        });
        let first = ends.next().flatten();
        first.is_some_and(|first| first.0.sequence == first.1) && ends.all(|end| end == first)
    }

    fn describe(&self) -> String {
        let nodes = self.places.iter().map(|place| match &place.node {
            None => "down".to_owned(),
            Some(node) => format!("{:?} applied {}", node.replica.status(), node.engine.sequence()),
        });
        let done: Vec<u64> = self.clients.iter().map(|client| client.done).collect();
        format!("clients {done:?}; {}", nodes.collect::<Vec<_>>().join("; "))
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        if let Some(delay_ns) = self.pause_of(&event) {
            self.after(delay_ns, event);
            return Ok(());
        }
        if let Some(log) = &mut self.log {
            log.push(format!("{} {event:?}", self.now_ns));
        }
        match event {
            Event::Message { connection, from, to, bytes } => {
                self.deliver(connection, from, to, &bytes)
            }
            Event::Connect { one, other } => self.connect(one, other),
            Event::Tick { node, life } => {
                if self.places[usize::from(node)].life == life {
                    self.after(TICK_NS, Event::Tick { node, life });
                    return self.tick(node);
                }
                Ok(())
            }
            Event::Sync { node, life } => self.sync(node, life),
            Event::Restart { node } => self.start(node),
            Event::Scrub { node } => self.scrub(node),
            Event::Replace { node } => self.replace_stopped(node),
            Event::Asked { client, node, ask } => self.asked(client, node, ask),
            Event::HungUp { node, key } => {
                self.hung_up(node, key);
                Ok(())
            }
            Event::Answered { client, node, answer } => self.answered(client, node, &answer),
            Event::Client { client, turn } => {
                self.client_speaks(client, turn);
                Ok(())
            }
            Event::Chaos => self.chaos(),
            Event::Operator => self.operate(),
            Event::Contest { candidate, rival } => self.contest(candidate, rival),
            Event::Promote { node } => self.promote_in_haste(node),
            Event::Heal { what } => {
                self.undo(what);
                Ok(())
            }
        }
    }

    /// A stopped process does nothing until it goes on.
    fn pause_of(&self, event: &Event) -> Option<u64> {
        let node = match event {
            Event::Message { to: node, .. }
            | Event::Tick { node, .. }
            | Event::Sync { node, .. }
            | Event::Asked { node, .. }
            | Event::HungUp { node, .. } => *node,
            _ => return None,
        };
        let until_ns = self.places[usize::from(node)].paused_until_ns;
        (until_ns > self.now_ns).then(|| until_ns - self.now_ns)
    }

    pub(crate) fn start(&mut self, index: u8) -> Result<(), Violation> {
        let place = &mut self.places[usize::from(index)];
        if place.node.is_some() {
            return Ok(());
        }
        let storage = place.storage.clone();
        // Every start has another life.
        let nonce = u64::from(index) << 48 | place.life;
        let opened = SimNode::boot(index, storage, self.base_config, nonce);
        let mut node = match opened {
            Ok(node) => node,
            Err(error) => return self.start_failed(index, &error),
        };
        #[cfg(feature = "unsafe-faults")]
        {
            node.fault = self.fault;
            if let Some(crate::SimFault::Replica(fault)) = self.fault {
                node.replica.set_fault(Some(fault));
            }
        }
        place.accepting = false;
        place.standing = None;
        place.rival = None;
        let commit = node.commit;
        let applied = node.apply_to(commit);
        self.places[usize::from(index)].node = Some(node);
        self.judge_halt(index, applied.map_err(crate::drive::Halt::from))?;
        self.places[usize::from(index)].life += 1;
        let life = self.places[usize::from(index)].life;
        self.note(&format!("node {index} starts"));
        self.after(TICK_NS, Event::Tick { node: index, life });
        for other in (0..self.node_count()).filter(|other| *other != index) {
            self.after(MS, Event::Connect { one: index, other });
        }
        self.drain(index)
    }

    /// A node could not start: it tries again, after a loss of power, with a new disk if its own is damaged, or when there
    /// is room.
    fn start_failed(&mut self, index: u8, error: &JournalError) -> Result<(), Violation> {
        self.note(&format!("node {index} cannot start: {error}"));
        let place = &mut self.places[usize::from(index)];
        self.report.crashes += 1;
        match error {
            JournalError::Io { .. } if place.storage.is_powerless() => {
                place.storage = place.storage.power_cycle(&mut self.random);
                self.report.power_losses += 1;
            }
            JournalError::Io { .. } | JournalError::NoSpace { .. } => {
                place.storage = place.storage.restart();
                self.report.kills += 1;
            }
            _ if place.is_damaged => {
                self.report.kills += 1;
                self.new_disk(index)?;
            }
            _ => return Err(Violation::State(format!("node {index}: {error}"))),
        }
        self.after(100 * MS, Event::Restart { node: index });
        Ok(())
    }

    /// Lets a client speak later, and only then: what was planned for it before is void.
    fn client_again(&mut self, index: usize, delay_ns: u64) {
        self.clients[index].turn += 1;
        let turn = self.clients[index].turn;
        self.after(delay_ns, Event::Client { client: index, turn });
    }

    pub(crate) fn client_speaks(&mut self, index: usize, turn: u64) {
        let client = &mut self.clients[index];
        if client.turn != turn || (self.is_quiet && !client.is_waiting()) {
            return;
        }
        let before = client.target;
        if client.sent_ns > 0 && self.now_ns - client.sent_ns >= CLIENT_TIMEOUT_NS {
            client.try_next();
        }
        client.sent_ns = self.now_ns;
        let ask = client.ask(&mut self.random, &self.oracle);
        let node = client.target;
        // Behind everything that was sent there.
        if let Some(key) = client.take_hang_up() {
            self.after(MS / 5, Event::HungUp { node: before, key });
        }
        self.after(MS / 5, Event::Asked { client: index, node, ask });
        self.client_again(index, CLIENT_TIMEOUT_NS);
    }

    pub(crate) fn answer(&mut self, node: u8, client: usize, answer: Answer) {
        if self.random.below(100) >= self.loss_percent {
            self.after(MS / 5, Event::Answered { client, node, answer });
        }
    }

    fn answered(&mut self, index: usize, node: u8, answer: &Answer) -> Result<(), Violation> {
        let client = &mut self.clients[index];
        if matches!(answer, Answer::NotPrimary) {
            if client.target == node {
                client.try_next();
                client.sent_ns = 0;
                let hang_up = client.take_hang_up();
                if let Some(key) = hang_up {
                    self.after(MS / 5, Event::HungUp { node, key });
                }
                self.client_again(index, 20 * MS);
            }
            return Ok(());
        }
        let heard = client.hear(node, answer, &mut self.oracle)?;
        if heard != Heard::Nothing {
            client.sent_ns = 0;
            let pause_ns = if heard == Heard::Welcome { 0 } else { self.random.below(20) * MS };
            self.client_again(index, pause_ns);
        }
        Ok(())
    }
}
