//! One case: a node with limits of its own, some connections, and what happens to them step by step.

use crate::extremes::events;
use crate::extremes::random::Random;
use crate::protocol_fuzz::Story;
use crate::protocol_fuzz::bystander::{Bystander, PAYER};
use crate::protocol_fuzz::connection::Connection;
use crate::protocol_fuzz::frames::{self, Place};
use crate::protocol_fuzz::record::Record;
use mizan_tests::binary::{NodeProcess, format_small, mizan, mizan_binary};
use mizan_tests::ledger::PATIENCE;
use mizan_tests::raw::request_frame;
use mizan_wire::Operation;
use mizan_wire::frame::{HELLO_OPERATOR, HELLO_READ_ONLY};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use zerocopy::IntoBytes;

const CLUSTER: u128 = 0xF0;
/// Connections at once.
const CONNECTIONS: u64 = 10;
/// Clients that write: few, so that they take each other's connections over. With their sessions, those of the connections
/// and the bystander's there is always a place, because sessions without a connection make room.
const WRITERS: u64 = 8;
const SESSIONS: &str = "32";
const STEPS: u64 = 1_500;
/// Steps from one probe of the bystander to the next.
const PROBE_STEPS: u64 = 8;
/// Frames of the largest size in a case: the tables have room for all of them, so that the bystander's is never taken.
const LARGE_FRAMES: u64 = 6;
/// Resident bytes that the node may grow by: its rings and segments, its full receive buffers, and for each connection two
/// times the replies that it may leave unread; see the tests beside this one.
const GROWTH_BYTES_MAX: u64 = (160 << 20) + CONNECTIONS * (17 << 20);
/// Bytes of a frame that are shown.
const SHOWN_MAX: usize = 288;

/// See the module.
pub(crate) struct Case {
    random: Random,
    directory: TempDir,
    layout: &'static str,
    node: NodeProcess,
    resident_first: u64,
    resident_most: u64,
    connections: Vec<Option<Connection>>,
    record: Record,
    bystander: Bystander,
    large: u64,
    visitors: u128,
    clock: u64,
    story: Story,
}

impl Case {
    /// Plays a case to its end; gives a line about it.
    pub(crate) fn run(seed: u64, story: &Story) -> Result<String, String> {
        let mut case = Self::begin(seed, story)?;
        let outcome = case.play();
        outcome.map_err(|reason| {
            let said = case.node.stderr();
            let tail: Vec<&str> = said.lines().rev().take(12).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            format!("{reason}\nthe node said:\n{}\n", tail.join("\n"))
        })
    }

    fn begin(seed: u64, story: &Story) -> Result<Self, String> {
        let mut random = Random(seed);
        let directory = TempDir::new().map_err(|error| error.to_string())?;
        let cluster = CLUSTER.to_string();
        let limits = [
            ("--cluster", cluster.as_str()),
            ("--accounts", "60000"),
            ("--transfers", "250000"),
            ("--sessions", SESSIONS),
            ("--session-idle", "7d"),
            ("--window-requests", random.pick(&["3", "64", "1024"])),
            ("--window-bytes", random.pick(&["524096", "4MiB"])),
            ("--digest-interval", random.pick(&["16", "64"])),
            ("--instruments", "3"),
            ("--orders", random.pick(&["50", "20000"])),
            ("--open-orders", random.pick(&["20", "50"])),
            ("--reports", random.pick(&["10", "5000"])),
        ];
        let layout = random.pick(&["fused", "split"]);
        story.tell(format!("{layout}, {limits:?}"));
        let options: Vec<&str> = limits.iter().flat_map(|(name, value)| [*name, *value]).collect();
        format_small(&directory.path().join("data"), &options);
        let node = start(&directory, layout);
        let bystander = Bystander::start(node.address())?;
        let resident_first = node.resident_bytes();
        let now =
            SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
        let mut case = Self {
            random,
            directory,
            layout,
            node,
            resident_first,
            resident_most: resident_first,
            connections: (0..CONNECTIONS).map(|_| None).collect(),
            record: Record::default(),
            bystander,
            large: LARGE_FRAMES,
            visitors: 0,
            clock: now.as_nanos() as u64,
            story: story.clone(),
        };
        case.furnish()?;
        Ok(case)
    }

    /// Accounts and instruments, so that not everything is refused for want of them.
    fn furnish(&mut self) -> Result<(), String> {
        let mut connection = Connection::open(self.node.address(), 1)?;
        connection.push(&frames::hello(&self.place(&connection, &[]), 0));
        self.connections[0] = Some(connection);
        self.settle(0)?;
        let session = self.session(0);
        let accounts = events::accounts();
        let instruments = [1, 2].map(|id| events::instrument(&mut self.random, id));
        for (number, operation, body) in [
            (1, Operation::CreateAccounts, accounts.as_bytes()),
            (2, Operation::CreateInstruments, instruments.as_bytes()),
        ] {
            let frame = request_frame(session, number, operation, body);
            if let Some(connection) = &mut self.connections[0] {
                connection.push(&frame);
            }
        }
        self.settle(0)
    }

    fn session(&self, slot: usize) -> u64 {
        self.connections[slot].as_ref().and_then(|found| found.mirror.session()).unwrap_or(0)
    }

    fn place<'a>(&self, connection: &Connection, keys: &'a [(u128, u64)]) -> Place<'a> {
        Place {
            client: connection.client,
            cluster: CLUSTER,
            session: connection.mirror.session().unwrap_or(0),
            next: connection.next,
            received: connection.next.saturating_sub(1),
            is_sound: connection.is_sound,
            may_write: connection.may_write,
            keys,
            foreign: PAYER,
            clock: self.clock,
        }
    }

    fn play(&mut self) -> Result<String, String> {
        let kill_at = STEPS / 4 + self.random.below(STEPS / 4);
        let stop_at = kill_at + STEPS / 8 + self.random.below(STEPS / 4);
        for step in 0..STEPS {
            let told = |reason: String| format!("step {step}: {reason}");
            self.step(step).map_err(told)?;
            self.pump().map_err(told)?;
            if step % PROBE_STEPS == 0 {
                self.probe().map_err(told)?;
            }
            if step == kill_at || step == stop_at {
                self.restart(step == kill_at).map_err(told)?;
            }
        }
        self.finish()
    }

    /// The node runs, has not said that anything panicked, serves its honest client, and is no larger than it may be.
    fn probe(&mut self) -> Result<(), String> {
        self.look_at_node()?;
        self.bystander.probe()?;
        let resident = self.node.resident_bytes();
        self.resident_most = self.resident_most.max(resident);
        let grown = resident.saturating_sub(self.resident_first);
        (grown <= GROWTH_BYTES_MAX).then_some(()).ok_or_else(|| format!("grown by {grown} bytes"))
    }

    fn look_at_node(&mut self) -> Result<(), String> {
        if self.node.has_ended() {
            return Err("the node has ended".to_owned());
        }
        if self.node.stderr().contains("panicked") {
            return Err("a thread of the node panicked".to_owned());
        }
        Ok(())
    }

    fn step(&mut self, step: u64) -> Result<(), String> {
        let slot = self.random.below(CONNECTIONS) as usize;
        let Some(mut connection) = self.connections[slot].take() else {
            self.connections[slot] = Some(self.open(step, slot)?);
            // Mostly it waits for its session, as clients do.
            return if self.random.once_in(4) { Ok(()) } else { self.settle(slot) };
        };
        let record = &mut self.record;
        match self.random.below(24) {
            0..10 => {
                let count = 1 + self.random.below(4);
                self.add(step, slot, &mut connection, count);
            }
            10 => self.add(step, slot, &mut connection, 70),
            11..14 => self.repeat(step, slot, &mut connection),
            14 => {
                connection.reads = !connection.reads;
                connection.mirror.was_deaf |= !connection.reads;
            }
            15 if self.random.once_in(3) => connection.finish(),
            16 if self.random.once_in(3) => return Ok(()),
            21 if self.random.once_in(3) => connection.forget_unsent(),
            17..21 => {
                connection.send(usize::MAX, record)?;
                self.connections[slot] = Some(connection);
                return self.settle(slot);
            }
            _ => {}
        }
        // Mostly all of it; else a part, which ends anywhere.
        let most = match self.random.below(3) {
            0 => self.random.below(connection.unsent() as u64 + 1) as usize,
            _ => usize::MAX,
        };
        connection.send(most, &mut self.record)?;
        self.connections[slot] = Some(connection);
        Ok(())
    }

    fn open(&mut self, step: u64, slot: usize) -> Result<Connection, String> {
        let may_write = !self.random.once_in(4);
        let client = if may_write {
            1 + u128::from(self.random.below(WRITERS))
        } else {
            self.visitors += 1;
            self.visitors << 64
        };
        let mut connection = Connection::open(self.node.address(), client)?;
        connection.may_write = may_write;
        connection.is_sound = self.random.once_in(2);
        if connection.is_sound || !self.random.once_in(6) {
            let flags = match self.random.below(6) {
                0 if !may_write => HELLO_READ_ONLY,
                1 => HELLO_OPERATOR,
                _ => 0,
            };
            let hello = frames::hello(&self.place(&connection, &[]), flags);
            connection.push(&hello);
            self.show(step, slot, &connection, &hello);
        }
        Ok(connection)
    }

    /// Adds frames to what is to be sent.
    fn add(&mut self, step: u64, slot: usize, connection: &mut Connection, count: u64) {
        let keys = self.record.keys();
        for _ in 0..count {
            let session = connection.mirror.session().unwrap_or(0);
            if !connection.mirror.has_writes_owed() && connection.unsent() == 0 {
                connection.next = self.record.next_number(session);
            }
            let place = self.place(connection, &keys);
            let frame = frames::next(&mut self.random, &place, &mut self.large);
            connection.next += u64::from(frame.is_next);
            connection.push(&frame.bytes);
            self.show(step, slot, connection, &frame.bytes);
        }
    }

    /// Sends a write again whose reply was received, as it was or with other events.
    fn repeat(&mut self, step: u64, slot: usize, connection: &mut Connection) {
        let frames = self.record.frames(connection.mirror.session().unwrap_or(0));
        if frames.is_empty() {
            return;
        }
        let mut frame = frames[self.random.below(frames.len() as u64) as usize].to_vec();
        if self.random.once_in(5) {
            frames::change_events(&mut frame);
        }
        connection.push(&frame);
        self.show(step, slot, connection, &frame);
    }

    fn show(&self, step: u64, slot: usize, connection: &Connection, frame: &[u8]) {
        let hex: String = frame.iter().take(SHOWN_MAX).map(|byte| format!("{byte:02x}")).collect();
        let (client, size) = (connection.client, frame.len());
        self.story.tell(format!(
            "step {step}, connection {slot}, client {client:#x}: {size} bytes: {hex}"
        ));
    }

    /// Takes what has come for everybody who reads, and lets go of connections that have ended.
    fn pump(&mut self) -> Result<(), String> {
        for (slot, place) in self.connections.iter_mut().enumerate() {
            let Some(connection) = place else { continue };
            if connection.reads {
                connection
                    .receive(&mut self.record)
                    .map_err(|reason| format!("connection {slot}: {reason}"))?;
            }
            if connection.has_ended {
                *place = None;
            }
        }
        Ok(())
    }

    /// Waits until everything that was sent on a connection is answered, or the connection has ended as it must.
    fn settle(&mut self, slot: usize) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        loop {
            self.pump()?;
            let Some(connection) = &mut self.connections[slot] else { return Ok(()) };
            connection.reads = true;
            connection.send(usize::MAX, &mut self.record)?;
            if connection.mirror.is_quiet() && connection.unsent() == 0 {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!("connection {slot} is not answered"));
            }
            self.look_at_node()?;
            std::thread::yield_now();
        }
    }

    /// Ends the node, by force or in order, and starts it again.
    fn restart(&mut self, by_force: bool) -> Result<(), String> {
        self.story.tell(if by_force { "kill -9" } else { "SIGTERM" }.to_owned());
        if by_force {
            self.bystander.begin_load()?;
        }
        self.look_at_node()?;
        self.end(by_force)?;
        self.node = start(&self.directory, self.layout);
        self.resident_first = self.resident_first.min(self.node.resident_bytes());
        self.bystander.come_back(self.node.address())
    }

    fn end(&mut self, by_force: bool) -> Result<(), String> {
        for connection in self.connections.iter_mut().flatten() {
            connection.mirror.is_stopping = true;
            connection.reads = true;
        }
        if by_force {
            self.node.kill9();
        } else {
            self.node.terminate();
            let until = Instant::now() + PATIENCE;
            while !self.node.has_ended() {
                self.pump()?;
                if Instant::now() > until {
                    return Err("the node does not stop".to_owned());
                }
                std::thread::yield_now();
            }
            let status = self.node.wait();
            if status.code() != Some(0) {
                return Err(format!("the node stopped with {status}"));
            }
        }
        // What was answered before the end counts.
        self.pump()?;
        self.connections.iter_mut().for_each(|place| *place = None);
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn finish(&mut self) -> Result<String, String> {
        for slot in 0..self.connections.len() {
            self.settle(slot).map_err(|reason| format!("at the end: {reason}"))?;
        }
        self.probe()?;
        self.bystander.audit()?;
        self.end(false)?;
        let data = self.data();
        let output = mizan(&["verify", "--independent", "--data", &data.to_string_lossy()]);
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let more = String::from_utf8_lossy(&output.stderr);
            return Err(format!("verify --independent: {}\n{said}{more}", output.status));
        }
        let Record { replies, executed, repeated, statuses, .. } = &self.record;
        let grown = self.resident_most.saturating_sub(self.resident_first) >> 20;
        Ok(format!(
            "{replies} replies, {executed} of them to writes that were executed, {repeated} repeated; by status: \
             {statuses:?}; {} transfers of the bystander; grown by {grown} MiB",
            self.bystander.acknowledged()
        ))
    }
}

fn start(directory: &TempDir, layout: &str) -> NodeProcess {
    let mut command = Command::new(mizan_binary());
    command.arg("start").arg("--data").arg(directory.path().join("data"));
    command.args(["--listen", "127.0.0.1:0", "--layout", layout]);
    NodeProcess::spawn(command)
}
