//! The state of one node, and the way of events into it. What only one role does is in the files beside.

mod ask;
mod backlog;
mod clocks;
mod copies;
mod follow;
mod lead;
mod outlook;
mod promote;

use crate::config::{Config, Control, LogRecords};
use crate::connection::{Connection, Secret};
use crate::constants::{
    EPOCH_STEP_MAX, HEARTBEAT_INTERVAL_NS, NODES_MAX, OUTPUTS_MAX, PEER_TIMEOUT_NS,
};
use crate::error::MessageError;
use crate::handshake::{Identity, Session};
use crate::log::{FrameEnd, LogIndex};
use crate::message::{self, Header, Message, PeerRole};
use crate::output::{Alarm, Command, DiskState, Output, Refusal, Role, Status};
use crate::starts::Starts;
use backlog::Backlog;
use copies::Copies;
pub use copies::Verdict;
use follow::Follow;
use lead::{Lead, Stream};
use outlook::Hearing;
pub use promote::Standing;
use promote::{Ballot, Candidacy};
use std::collections::VecDeque;

/// Deliberate mistakes, so that the simulator can prove that it finds them.
#[cfg(feature = "unsafe-faults")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// A standby calls durable what it only received.
    AckBeforeSync,
    /// A log is cut at this node's own commit instead of the shared point.
    CutAtLocalWatermark,
    /// Messages of lower epochs are taken, and a primary does not step down for a higher one.
    SkipEpochCheck,
    /// A candidate begins its epoch on its own log, whatever its granters hold.
    PromoteWithoutTakeOver,
    /// A new disk's acknowledgements and grants count at once.
    SkipAdmission,
    /// A candidate raises its epoch before it has asked anybody.
    PromoteWithoutAsking,
    /// Copies of a disk are taken for the disk.
    TakeCopies,
}

/// What a node knows when it starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// Index of this node, from 0.
    pub index: u8,
    /// Cluster id.
    pub cluster: u128,
    /// The cluster's secret.
    pub secret: Secret,
    /// Incarnation of this node's disk.
    pub incarnation: u64,
    /// What its disk knows of starts; the own one is this, and durable: see [`Starts::next`].
    pub starts: Starts,
    /// Random, drawn for this process.
    pub process: u64,
    /// The record that the cluster was formatted with.
    pub base_config: Config,
    /// What the log says of who counts.
    pub records: LogRecords,
    /// Highest epoch seen, from the superblock.
    pub highest_epoch: u64,
    /// The log as recovery found it; all of it is durable.
    pub log: LogIndex,
    /// Highest commit that a frame of the log names.
    pub commit: u64,
}

/// A peer that is connected.
#[derive(Debug)]
pub(crate) struct Peer {
    connection: Connection,
    role: PeerRole,
    /// End of its log as it said last.
    end: FrameEnd,
    /// The last round that it asked to be echoed.
    heard_round: u64,
    /// The last round that it echoed, in this epoch.
    echoed_round: u64,
    /// Round that must be echoed by others before this peer's new disk is admitted; 0 before it has caught up.
    admission_round: u64,
    /// What it is sent, if it is sent frames.
    stream: Option<Stream>,
    /// Its wall clock in its last heartbeat, and when that came.
    clock: Option<(u64, u64)>,
}

#[derive(Debug)]
pub(crate) enum State {
    Standby,
    Candidate(Box<Candidacy>),
    Primary(Lead),
    Stopped,
}

/// See the crate.
#[derive(Debug)]
pub struct Replica {
    options: Options,
    config: Config,
    config_sequence: u64,
    highest_epoch: u64,
    log: LogIndex,
    generation: u64,
    durable: u64,
    backlog: Backlog,
    applied: u64,
    commit: u64,
    /// Highest epoch and commit that a primary told of, held here or not.
    heard_commit: (u64, u64),
    /// Up to here a log that this node wrote alone may have been acknowledged before it restarted.
    maybe_acknowledged: u64,
    peers: [Option<Peer>; NODES_MAX],
    state: State,
    /// A promotion for which the peers are asked and nothing was changed yet.
    asking: Option<Ballot>,
    follow: Follow,
    starts: Starts,
    copies: Copies,
    hearing: Hearing,
    /// The epoch granted to another node.
    granted_epoch: u64,
    /// The epoch that is asked for while frames are on their way to the disk, and how often it was.
    grant_asked: (u64, u32),
    round: u64,
    confirmed_round: u64,
    last_heartbeat_ns: u64,
    /// The node's wall clock as it said last, for heartbeats.
    clock_reading: u64,
    /// The time as it was agreed on before this node stood for its last epoch, and when that was.
    agreed_clock: Option<(u64, u64)>,
    disk: DiskState,
    role: Role,
    outputs: VecDeque<Output>,
    #[cfg(feature = "unsafe-faults")]
    fault: Option<Fault>,
}

/// Whether a deliberate mistake is made; never without the feature.
macro_rules! faulty {
    ($replica:expr, $fault:ident) => {{
        #[cfg(feature = "unsafe-faults")]
        let is_made = $replica.fault == Some($crate::replica::Fault::$fault);
        #[cfg(not(feature = "unsafe-faults"))]
        let is_made = false;
        is_made
    }};
}
pub(crate) use faulty;

impl Replica {
    /// A node that has just started: it assumes nothing, and waits for a primary or for the operator.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let (config_sequence, config) = options.records.last().unwrap_or((0, options.base_config));
        let end = options.log.last();
        Replica {
            config,
            config_sequence,
            highest_epoch: options.highest_epoch.max(end.epoch),
            log: options.log.clone(),
            generation: 0,
            durable: end.sequence,
            backlog: Backlog::new(end),
            applied: 0,
            commit: options.commit.min(end.sequence),
            heard_commit: (0, 0),
            maybe_acknowledged: options.records.alone(),
            peers: [const { None }; NODES_MAX],
            state: State::Standby,
            asking: None,
            follow: Follow::default(),
            starts: options.starts,
            copies: Copies::default(),
            hearing: Hearing::default(),
            granted_epoch: 0,
            grant_asked: (0, 0),
            round: 0,
            confirmed_round: 0,
            last_heartbeat_ns: 0,
            clock_reading: 0,
            agreed_clock: None,
            disk: DiskState::default(),
            role: Role::Waiting,
            outputs: VecDeque::new(),
            #[cfg(feature = "unsafe-faults")]
            fault: None,
            options,
        }
    }

    /// Makes a deliberate mistake from now on.
    #[cfg(feature = "unsafe-faults")]
    pub fn set_fault(&mut self, fault: Option<Fault>) {
        self.fault = fault;
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Where this node stands.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            role: self.role,
            epoch: self.highest_epoch,
            end: self.log.last(),
            durable: self.durable,
            commit: self.commit,
            config: self.config,
            is_admitted: self.is_admitted_here(),
        }
    }

    /// Nothing behind this sequence was acknowledged by this node so far.
    #[must_use]
    pub fn acknowledged_at_most(&self) -> u64 {
        self.commit.max(self.maybe_acknowledged)
    }

    /// Who this node is to its peers.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            cluster: self.options.cluster,
            index: self.options.index,
            node_count: self.config.node_count,
            incarnation: self.options.incarnation,
            start: self.starts.own,
            process: self.options.process,
            secret: self.options.secret,
        }
    }

    /// A connection to a peer is there, which has proved itself. An older one to it is gone.
    pub fn handle_connected(&mut self, session: Session, now_ns: u64) {
        let peer = session.peer();
        if peer == self.options.index || peer >= self.config.node_count {
            return;
        }
        self.handle_disconnected(peer);
        self.peers[usize::from(peer)] = Some(Peer {
            connection: Connection::new(session, now_ns),
            role: PeerRole::Standby,
            end: FrameEnd::START,
            heard_round: 0,
            echoed_round: 0,
            admission_round: 0,
            stream: None,
            clock: None,
        });
        self.note_start(peer);
        self.send_heartbeat(peer);
    }

    /// The connection to a peer is gone.
    pub fn handle_disconnected(&mut self, peer: u8) {
        if let Some(place) = self.peers.get_mut(usize::from(peer)) {
            *place = None;
        }
        if self.follow.source == Some(peer) {
            self.follow = Follow::default();
        }
        self.forget_answer(peer);
        self.forget_rival(peer);
        self.forget_source(peer);
        self.note_role();
    }

    /// A message came from a peer.
    ///
    /// # Errors
    /// The message changed nothing. Unless the error is harmless, the connection is to be ended: an output says so.
    pub fn handle_message(
        &mut self,
        peer: u8,
        bytes: &[u8],
        now_ns: u64,
    ) -> Result<(), MessageError> {
        let outcome = self.admit_message(peer, bytes, now_ns);
        if outcome.is_err_and(|error| !error.is_harmless()) && self.peer(peer).is_some() {
            self.output(Output::Disconnect { peer });
        }
        self.note_role();
        outcome
    }

    fn admit_message(&mut self, peer: u8, bytes: &[u8], now_ns: u64) -> Result<(), MessageError> {
        if matches!(self.state, State::Stopped) {
            return Err(MessageError::Stopped);
        }
        let (header, message) = message::decode(bytes)?;
        if header.cluster != self.options.cluster {
            return Err(MessageError::Cluster);
        }
        if (header.from, header.to) != (peer, self.options.index) {
            return Err(MessageError::Address);
        }
        let known = self.peers.get_mut(usize::from(peer)).and_then(Option::as_mut);
        let known = known.ok_or(MessageError::NotConnected)?;
        known.connection.admit(&header, bytes)?;
        known.connection.last_heard_ns = now_ns;
        // Whatever its epoch: a copy must hear it.
        if let Message::Refused { copied } = message {
            self.hear_refused(peer, copied, now_ns);
            return Ok(());
        }
        if header.epoch > self.highest_epoch.saturating_add(EPOCH_STEP_MAX) {
            let (found, highest) = (header.epoch, self.highest_epoch);
            self.output(Output::Alarm(Alarm::EpochRefused { peer, epoch: found }));
            return Err(MessageError::EpochTooFar { found, highest });
        }
        // Nobody's log goes on beyond the epochs that its node has seen.
        if message.sender_end().is_some_and(|end| end.epoch > header.epoch) {
            return Err(MessageError::Malformed);
        }
        if header.epoch < self.highest_epoch && !faulty!(self, SkipEpochCheck) {
            let (found, highest) = (header.epoch, self.highest_epoch);
            return Err(MessageError::OldEpoch { found, highest });
        }
        let is_deaf = faulty!(self, SkipEpochCheck) && matches!(self.state, State::Primary(_));
        if header.epoch > self.highest_epoch && !is_deaf {
            self.observe_epoch(header.epoch);
        }
        self.dispatch(peer, &header, message, now_ns)
    }

    fn dispatch(
        &mut self,
        peer: u8,
        header: &Header,
        message: Message<'_>,
        now_ns: u64,
    ) -> Result<(), MessageError> {
        match message {
            // Hellos belong to the handshake, which is over.
            Message::Hello { .. } | Message::Refused { .. } => Err(MessageError::Malformed),
            Message::Heartbeat { role, round, commit, end, clock_reading, starts } => {
                if self.lacks_held(peer, &end, now_ns) {
                    return Ok(());
                }
                if let Some(known) = self.peer_mut(peer) {
                    known.clock = (clock_reading > 0).then_some((clock_reading, now_ns));
                    known.role = role;
                    known.end = end;
                    known.heard_round = known.heard_round.max(round);
                }
                self.hear_starts(peer, &starts, now_ns);
                self.hear_heartbeat(peer, role, commit, now_ns);
                Ok(())
            }
            Message::Ack { received, durable, applied, round } => {
                self.hear_ack(peer, received, durable, applied, round)
            }
            Message::Locate { ends } => {
                self.hear_locate(peer, &ends);
                Ok(())
            }
            Message::StreamStart { after } => self.hear_stream_start(peer, after),
            Message::Frames { commit, source_end, frames } => {
                if self.peer(peer).is_some_and(|known| known.role == PeerRole::Primary) {
                    self.note_primary(peer, now_ns);
                }
                self.hear_frames(peer, commit, source_end, frames)?;
                self.advance_promotion(now_ns);
                Ok(())
            }
            Message::GrantRequest { .. } => self.hear_grant_request(peer, header.epoch),
            Message::Grant { granted, is_admitted, epoch, end, commit: _ } => {
                self.hear_grant(peer, granted, is_admitted, epoch, end);
                self.advance_promotion(now_ns);
                Ok(())
            }
            Message::Ask { epoch, end: _ } => self.hear_ask(peer, epoch, now_ns),
            Message::Answer { epoch, .. } => {
                self.hear_answer(peer, epoch, &message);
                self.advance_promotion(now_ns);
                Ok(())
            }
        }
    }

    /// This node appended a frame of its own, as primary.
    pub fn handle_appended(&mut self, end: FrameEnd, control: Option<Control>) {
        self.log.push(end);
        self.note_control(end.sequence, control);
        self.lead_appended(end, control);
    }

    /// The log is durable up to here. `generation` is that of the last cut, 0 before the first.
    pub fn handle_durable(&mut self, generation: u64, sequence: u64, now_ns: u64) {
        if generation != self.generation || sequence <= self.durable {
            return;
        }
        self.durable = sequence.min(self.log.last().sequence);
        self.backlog.release_to(self.durable);
        self.grant_at_last();
        self.advance_commit();
        self.acknowledge();
        self.advance_promotion(now_ns);
        self.note_role();
    }

    /// The engine has applied up to here.
    pub fn handle_applied(&mut self, sequence: u64) {
        self.applied = sequence;
    }

    /// The engine found its state to differ from what the log says of the primary's: this node stops.
    pub fn handle_state_mismatch(&mut self, at_sequence: u64) {
        self.stop(Alarm::StateDiffers(at_sequence));
    }

    /// What this node's wall clock shows now, for the heartbeats that follow and for its own promotion: who is promoted
    /// takes the time that most nodes tell. Nothing else is decided by it.
    pub fn note_clock(&mut self, clock_reading: u64) {
        self.clock_reading = clock_reading;
    }

    /// How this node's disk is, for promotions that are asked for from now on.
    pub fn note_disk(&mut self, disk: DiskState) {
        self.disk = disk;
    }

    /// Time passes. To be called at least every [`HEARTBEAT_INTERVAL_NS`].
    pub fn handle_tick(&mut self, now_ns: u64) {
        if matches!(self.state, State::Stopped) {
            return;
        }
        for peer in 0..self.config.node_count {
            let heard = self.peer(peer).map(|known| known.connection.last_heard_ns);
            let Some(heard_ns) = heard else { continue };
            let silent_ns = now_ns.saturating_sub(heard_ns);
            if silent_ns >= PEER_TIMEOUT_NS {
                self.output(Output::Disconnect { peer });
            }
        }
        self.judge_silence(now_ns);
        if now_ns.saturating_sub(self.last_heartbeat_ns) >= HEARTBEAT_INTERVAL_NS {
            self.last_heartbeat_ns = now_ns;
            self.send_heartbeats();
            self.ask_again();
        }
        self.advance_promotion(now_ns);
        self.note_role();
    }

    /// The operator asks for something.
    ///
    /// # Errors
    /// Nothing has changed. A promotion that was begun may still be refused by an output.
    pub fn handle_admin(&mut self, command: Command, now_ns: u64) -> Result<(), Refusal> {
        let outcome = match command {
            Command::Promote { solo, accept_loss_after, log_timestamp } => {
                self.begin_promotion(solo, accept_loss_after, log_timestamp, now_ns)
            }
            Command::Detach => self.detach(),
        };
        self.note_role();
        outcome
    }

    /// Takes a higher epoch to heart: whoever led or stood in a lower one ends that.
    fn observe_epoch(&mut self, epoch: u64) {
        self.highest_epoch = epoch;
        self.output(Output::PersistEpoch(epoch));
        if matches!(self.state, State::Candidate(_)) || self.asking.take().is_some() {
            self.output(Output::PromotionRefused(Refusal::Overtaken(epoch)));
        }
        self.become_standby();
    }

    fn become_standby(&mut self) {
        self.state = State::Standby;
        self.follow = Follow::default();
        self.forget_held();
        for peer in self.peers.iter_mut().flatten() {
            peer.stream = None;
            peer.echoed_round = 0;
            peer.admission_round = 0;
        }
    }

    fn stop(&mut self, alarm: Alarm) {
        if self.asking.take().is_some() {
            self.output(Output::PromotionRefused(Refusal::Role));
        }
        self.become_standby();
        self.state = State::Stopped;
        self.output(Output::Alarm(alarm));
        self.note_role();
    }

    fn note_control(&mut self, sequence: u64, control: Option<Control>) {
        if let Some(control) = control {
            self.config = control.config;
            self.config_sequence = sequence;
            (0..self.config.node_count).for_each(|peer| self.note_start(peer));
        }
    }

    fn note_role(&mut self) {
        let role = match &self.state {
            State::Stopped => Role::Stopped,
            State::Candidate(_) => Role::Candidate,
            State::Primary(_) => Role::Primary(self.highest_epoch),
            State::Standby if !self.follow.is_started => Role::Waiting,
            State::Standby if self.log.last().sequence < self.follow.source_end => Role::CatchingUp,
            State::Standby => Role::Live,
        };
        if role != self.role {
            self.role = role;
            self.output(Output::RoleChanged(role));
        }
    }

    fn is_admitted_here(&self) -> bool {
        faulty!(self, SkipAdmission)
            || self.config.incarnations[usize::from(self.options.index)] == self.options.incarnation
    }

    /// Whether a peer's disk is the one that the config record names.
    fn is_admitted(&self, peer: u8) -> bool {
        faulty!(self, SkipAdmission)
            || self.peer(peer).is_some_and(|known| {
                known.connection.peer_incarnation() == self.config.incarnations[usize::from(peer)]
            })
    }

    fn peer(&self, peer: u8) -> Option<&Peer> {
        self.peers.get(usize::from(peer))?.as_ref()
    }

    fn peer_mut(&mut self, peer: u8) -> Option<&mut Peer> {
        self.peers.get_mut(usize::from(peer))?.as_mut()
    }

    fn output(&mut self, output: Output) {
        assert!(self.outputs.len() < OUTPUTS_MAX, "outputs are taken after every call");
        self.outputs.push_back(output);
    }

    /// Sends to a peer if it is connected.
    fn send(&mut self, peer: u8, message: &Message<'_>) {
        let (cluster, epoch) = (self.options.cluster, self.highest_epoch);
        let Some(known) = self.peer_mut(peer) else { return };
        let bytes = known.connection.send(cluster, epoch, message);
        self.output(Output::Send { peer, bytes });
    }

    fn send_heartbeat(&mut self, peer: u8) {
        let role = match self.state {
            State::Standby => PeerRole::Standby,
            State::Candidate(_) => PeerRole::Candidate,
            State::Primary(_) => PeerRole::Primary,
            State::Stopped => PeerRole::Stopped,
        };
        let (round, commit, end) = (self.round, self.commit, self.log.last());
        let (clock_reading, starts) = (self.clock_reading, self.told_starts());
        self.send(peer, &Message::Heartbeat { role, round, commit, end, clock_reading, starts });
    }

    fn send_heartbeats(&mut self) {
        for peer in 0..self.config.node_count {
            self.send_heartbeat(peer);
        }
    }
}
