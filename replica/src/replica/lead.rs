//! Leading: streams of frames to peers, and the commit point that follows from their acknowledgements.
//!
//! A stream holds no frames: it asks the node to read them from its log, within a window of what the peer has not
//! yet said to have received, and to have on its disk. So a peer that does not read costs nothing but its own place,
//! and one whose disk is slow or full does not fill its memory.

use super::backlog::Window;
use super::follow::split_frame;
use super::{Replica, State};
use crate::config::{Config, Control, ControlKind, Policy};
use crate::constants::{BULK_READ_SIZE, BULK_WINDOW_SIZE, READ_SIZE, WINDOW_SIZE};
use crate::error::MessageError;
use crate::log::FrameEnd;
use crate::message::{Message, PeerRole};
use crate::output::{Alarm, Output, PeerStatus, Refusal};

/// Frames on their way to one peer.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Sequence of the last entry sent.
    after: u64,
    /// Where the stream begins: the shared point.
    start: u64,
    /// What was sent and not acknowledged as received.
    unreceived: Window,
    /// What was sent and not acknowledged as durable: the peer holds it in memory.
    unsynced: Window,
    /// The peer has cut its log to the shared point, and all of it is durable there.
    is_ready: bool,
    is_reading: bool,
    durable: u64,
    received: u64,
    applied: u64,
}

/// What only a primary knows.
#[derive(Debug)]
pub(crate) struct Lead {
    pub(super) epoch: u64,
    /// Sequence of the epoch's first entry, once it is appended.
    pub(super) start_sequence: Option<u64>,
    /// A control entry is asked for and not yet appended.
    pub(super) is_control_pending: bool,
}

impl Replica {
    /// Whether frames may be sent to a peer: by a primary to everybody, else to the candidate of this epoch by those
    /// who granted it.
    fn may_serve(&self, peer: u8) -> bool {
        match &self.state {
            State::Primary(_) => true,
            State::Standby => {
                self.granted_epoch == self.highest_epoch
                    && self.config.owner(self.highest_epoch) == peer
            }
            _ => false,
        }
    }

    pub(super) fn hear_locate(&mut self, peer: u8, ends: &[FrameEnd]) {
        let shared = self.log.shared_with(ends);
        if !self.may_serve(peer) {
            return;
        }
        let Some(known) = self.peer_mut(peer) else { return };
        // A repetition of a question that was answered on this connection: the peer may have moved on since.
        if known.stream.is_some() {
            return;
        }
        known.stream = Some(Stream {
            after: shared.sequence,
            start: shared.sequence,
            unreceived: Window::default(),
            unsynced: Window::default(),
            is_ready: false,
            is_reading: false,
            durable: 0,
            received: 0,
            applied: 0,
        });
        self.send(peer, &Message::StreamStart { after: shared });
    }

    pub(super) fn hear_ack(
        &mut self,
        peer: u8,
        received: u64,
        durable: u64,
        applied: u64,
        round: u64,
    ) -> Result<(), MessageError> {
        let Some(known) = self.peer_mut(peer) else { return Ok(()) };
        let Some(stream) = known.stream.as_mut() else { return Ok(()) };
        if received > stream.after || durable > received {
            return Err(MessageError::Malformed);
        }
        stream.is_ready |= durable >= stream.start;
        stream.received = stream.received.max(received);
        stream.durable = stream.durable.max(durable);
        stream.applied = stream.applied.max(applied);
        stream.unreceived.release_to(received);
        stream.unsynced.release_to(durable);
        known.echoed_round = known.echoed_round.max(round);
        self.advance_commit();
        self.note_held(peer, durable);
        self.confirm_reads();
        self.adjust_config();
        self.pump(peer);
        Ok(())
    }

    /// Whether a peer is behind what is committed while another one keeps up. Its frames can wait, those of the other one
    /// cannot: somebody waits for their commit.
    fn is_bulk(&self, peer: u8) -> bool {
        let keeps_up =
            |other: u8| self.stream(other).is_some_and(|it| it.is_ready && it.after >= self.commit);
        !keeps_up(peer) && (0..self.config.node_count).any(|other| other != peer && keeps_up(other))
    }

    /// Asks for the next frames of a stream if its window has room.
    fn pump(&mut self, peer: u8) {
        let end = self.log.last().sequence;
        let (size_max, window_size) = if self.is_bulk(peer) {
            (BULK_READ_SIZE, BULK_WINDOW_SIZE)
        } else {
            (READ_SIZE, WINDOW_SIZE)
        };
        let Some(stream) = self.peer_mut(peer).and_then(|known| known.stream.as_mut()) else {
            return;
        };
        let wants = stream.is_ready && !stream.is_reading && stream.after < end;
        let has_room =
            stream.unreceived.size() < window_size && stream.unsynced.size() < WINDOW_SIZE;
        if wants && has_room {
            stream.is_reading = true;
            let after = stream.after;
            self.output(Output::ReadFrames { peer, after, size_max });
        }
    }

    /// Frames that an output asked for, one behind the other; none if there are none (any more).
    pub fn handle_frames_read(&mut self, peer: u8, after: u64, frames: &[u8]) {
        let (commit, source_end) = (self.commit, self.log.last().sequence);
        let Some(stream) = self.peer_mut(peer).and_then(|known| known.stream.as_mut()) else {
            return;
        };
        if !stream.is_reading || stream.after != after {
            return;
        }
        stream.is_reading = false;
        let mut last = after;
        let mut rest = frames;
        while let Some((header, _, behind)) = split_frame(rest) {
            last = header.last_sequence();
            rest = behind;
        }
        if last == after || last > source_end {
            return;
        }
        stream.after = last;
        stream.unreceived.push(last, frames.len() as u64);
        stream.unsynced.push(last, frames.len() as u64);
        self.send(peer, &Message::Frames { commit, source_end, frames });
        // A bulk stream goes on with the next acknowledgement or frame, so that others get their turn in between.
        if !self.is_bulk(peer) {
            self.pump(peer);
        }
    }

    pub(super) fn lead_appended(&mut self, end: FrameEnd, control: Option<Control>) {
        let State::Primary(lead) = &mut self.state else { return };
        if let Some(control) = control {
            lead.is_control_pending = false;
            if control.kind == ControlKind::EpochStart && end.epoch == lead.epoch {
                lead.start_sequence = Some(end.sequence);
            }
        }
        // Those first for whom a commit waits.
        let mut peers: Vec<u8> = (0..self.config.node_count).collect();
        peers.sort_by_key(|peer| self.is_bulk(*peer));
        for peer in peers {
            self.pump(peer);
        }
    }

    /// Durable positions of the nodes that count, this one included, highest first.
    fn positions(&self, of: impl Fn(&Stream) -> u64) -> Vec<u64> {
        let mut positions = Vec::new();
        // A record counts from its own entry on: before it is durable somewhere, that copy knows another one.
        if self.durable >= self.config_sequence {
            positions.push(self.durable);
        }
        for peer in 0..self.config.node_count {
            let stream = self.peer(peer).and_then(|known| known.stream.as_ref());
            if let Some(stream) = stream.filter(|_| self.is_admitted(peer))
                && of(stream) >= self.config_sequence
            {
                positions.push(of(stream));
            }
        }
        positions.sort_unstable_by(|one, other| other.cmp(one));
        positions
    }

    pub(super) fn advance_commit(&mut self) {
        let State::Primary(lead) = &self.state else { return };
        let Some(start) = lead.start_sequence else { return };
        // Without its own record this node could be promoted again by an older one, and need fewer grants.
        if self.durable < self.config_sequence {
            return;
        }
        let positions = self.positions(|stream| stream.durable);
        let place = usize::from(self.config.min_sync) - 1;
        let mut commit = positions.get(place).copied().unwrap_or(0);
        if self.config.policy == Policy::Disk {
            commit = commit.min(self.durable);
        }
        if commit >= start && commit > self.commit {
            self.commit = commit;
            self.output(Output::Commit(commit));
            self.confirm_reads();
        }
    }

    /// A round for reads that have arrived: they may be answered once it is confirmed. `None` if this is no primary.
    pub fn begin_read_round(&mut self) -> Option<u64> {
        if !matches!(self.state, State::Primary(_)) {
            return None;
        }
        self.round += 1;
        self.send_heartbeats();
        self.confirm_reads();
        Some(self.round)
    }

    /// A set that confirms meets every set that could have granted a later epoch.
    fn confirm_reads(&mut self) {
        let State::Primary(lead) = &self.state else { return };
        if lead.start_sequence.is_none_or(|start| self.commit < start) {
            return;
        }
        let mut rounds = vec![self.round];
        for peer in 0..self.config.node_count {
            if let Some(known) = self.peer(peer).filter(|_| self.is_admitted(peer)) {
                rounds.push(known.echoed_round);
            }
        }
        rounds.sort_unstable_by(|one, other| other.cmp(one));
        let round = rounds.get(usize::from(self.config.min_sync) - 1).copied().unwrap_or(0);
        if round > self.confirmed_round {
            self.confirmed_round = round;
            self.output(Output::ReadsConfirmed(round));
        }
    }

    /// Admits new disks that have caught up, and asks for more copies again when there are enough.
    fn adjust_config(&mut self) {
        let State::Primary(lead) = &self.state else { return };
        let is_open = !lead.is_control_pending
            && lead
                .start_sequence
                .is_some_and(|start| self.commit >= start || self.durable >= start);
        if !is_open {
            return;
        }
        let caught_up_at = self.commit.max(self.config_sequence);
        let has_caught_up = |stream: &Stream| stream.is_ready && stream.durable >= caught_up_at;
        let mut config = self.config;
        for peer in 0..self.config.node_count {
            let Some(known) = self.peer_mut(peer) else { continue };
            let incarnation = known.connection.peer_incarnation();
            let asked_round = known.admission_round;
            if self.is_admitted(peer) || !self.stream(peer).is_some_and(has_caught_up) {
                continue;
            }
            if asked_round == 0 {
                self.ask_for_admission(peer);
            }
            if self.may_admit(peer) {
                config.incarnations[usize::from(peer)] = incarnation;
                self.change_config(config);
                return self.output(Output::Alarm(Alarm::Admitted(peer)));
            }
        }
        let copies =
            self.positions(|stream| if has_caught_up(stream) { stream.durable } else { 0 });
        let caught_up = copies.iter().filter(|durable| **durable >= self.commit).count();
        if config.min_sync < config.min_sync_base && caught_up >= usize::from(config.min_sync_base)
        {
            config.min_sync = config.min_sync_base;
            self.change_config(config);
        }
    }

    /// Where a peer stands.
    #[must_use]
    pub fn peer_status(&self, peer: u8) -> PeerStatus {
        let is_admitted = self.is_admitted(peer);
        let Some(known) = self.peer(peer) else {
            return PeerStatus { peer, ..PeerStatus::default() };
        };
        let stream = known.stream.as_ref();
        PeerStatus {
            peer,
            is_connected: known.connection.is_proved(),
            is_admitted,
            is_primary: known.role == PeerRole::Primary,
            is_following: stream.is_some_and(|stream| stream.is_ready),
            end: known.end.sequence,
            received: stream.map_or(0, |stream| stream.received),
            durable: stream.map_or(0, |stream| stream.durable),
            applied: stream.map_or(0, |stream| stream.applied),
            last_heard_ns: known.connection.last_heard_ns,
            clock: known.clock,
        }
    }

    fn stream(&self, peer: u8) -> Option<&Stream> {
        self.peer(peer)?.stream.as_ref()
    }

    /// Begins the round that the others have to echo before a new disk is admitted.
    fn ask_for_admission(&mut self, new: u8) {
        self.round += 1;
        let round = self.round;
        if let Some(known) = self.peer_mut(new) {
            known.admission_round = round;
        }
        self.send_heartbeats();
    }

    /// Whether enough nodes other than the new disk have confirmed, since it caught up, that this epoch still holds. The
    /// old disk may have granted a later one, and its grant is forgotten: as many as a promotion needs must know of
    /// none. A node with a new disk of its own may confirm, too: what it forgot as a candidate is over.
    fn may_admit(&self, new: u8) -> bool {
        let round = self.peer(new).map_or(u64::MAX, |known| known.admission_round);
        let confirms = |peer: u8| {
            peer != new && self.peer(peer).is_some_and(|known| known.echoed_round >= round)
        };
        let others = (0..self.config.node_count).filter(|peer| confirms(*peer)).count();
        1 + others >= self.config.confirmations_needed()
    }

    fn change_config(&mut self, config: Config) {
        let State::Primary(lead) = &mut self.state else { return };
        lead.is_control_pending = true;
        let epoch = lead.epoch;
        let config = Config { revision: config.revision.saturating_add(1), ..config };
        let control = Control { kind: ControlKind::Change, config };
        self.output(Output::AppendControl { control, epoch });
    }

    pub(super) fn detach(&mut self) -> Result<(), Refusal> {
        let State::Primary(lead) = &self.state else { return Err(Refusal::Role) };
        if lead.is_control_pending || lead.start_sequence.is_none() {
            return Err(Refusal::Role);
        }
        self.change_config(Config { min_sync: 1, ..self.config });
        self.output(Output::Alarm(Alarm::SingleCopy));
        Ok(())
    }
}
