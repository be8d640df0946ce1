//! Following: finding where two logs part, cutting back, taking frames, acknowledging them.
//!
//! A candidate that takes over a log follows its source in the same way.

use super::backlog::Backlog;
use super::{Replica, State, faulty};
use crate::config::{Config, Control};
use crate::constants::BACKLOG_SIZE_MAX;
use crate::error::MessageError;
use crate::log::FrameEnd;
use crate::message::{Message, PeerRole};
use crate::output::{Alarm, Output};
use mizan_journal::{SHARED_HEADER_SIZE, SharedHeader};

/// Whom this node follows and how far that has come.
#[derive(Debug, Default)]
pub(crate) struct Follow {
    pub(crate) source: Option<u8>,
    /// The logs agree up to this one's end; frames are taken.
    pub(crate) is_started: bool,
    /// The log is being cut; until then nothing is taken.
    is_cutting: bool,
    /// Last sequence of the source's log, as it said.
    pub(crate) source_end: u64,
}

impl Follow {
    pub(crate) fn of(source: u8) -> Self {
        Follow { source: Some(source), ..Follow::default() }
    }
}

/// One frame of a message, judged.
struct Received {
    end: FrameEnd,
    size: u64,
    control: Option<Control>,
}

impl Replica {
    pub(super) fn hear_heartbeat(&mut self, peer: u8, role: PeerRole, commit: u64, now_ns: u64) {
        if role == PeerRole::Primary {
            self.note_primary(peer, now_ns);
            // The sender's epoch is this node's by now.
            self.heard_commit = self.heard_commit.max((self.highest_epoch, commit));
        }
        if !matches!(self.state, State::Standby) {
            return;
        }
        if role == PeerRole::Primary && self.follow.source != Some(peer) {
            self.follow = Follow::of(peer);
            self.send_locate();
        }
        if self.follow.source == Some(peer) && self.follow.is_started {
            self.learn_commit(commit);
            self.acknowledge();
        }
    }

    /// Repeats what was asked and not answered.
    pub(super) fn ask_again(&mut self) {
        match self.state {
            State::Candidate(_) => self.request_grants(),
            State::Standby => self.acknowledge(),
            _ => {}
        }
        self.ask_peers();
        if self.follow.source.is_some() && !self.follow.is_started && !self.follow.is_cutting {
            self.send_locate();
        }
    }

    pub(super) fn send_locate(&mut self) {
        if let Some(source) = self.follow.source {
            let ends = self.log.ends().to_vec();
            self.send(source, &Message::Locate { ends });
        }
    }

    pub(super) fn hear_stream_start(
        &mut self,
        peer: u8,
        after: FrameEnd,
    ) -> Result<(), MessageError> {
        if self.follow.source != Some(peer) || self.follow.is_started || self.follow.is_cutting {
            return Ok(());
        }
        let last = self.log.last();
        let acknowledged = self.acknowledged_at_most();
        if after.sequence > last.sequence {
            return Err(MessageError::Malformed);
        }
        let mut to = after;
        if faulty!(self, CutAtLocalWatermark) {
            to = self.watermark(after);
        }
        if to == last {
            self.start_following();
        } else if to.sequence == last.sequence {
            // There is nothing behind it to cut: one epoch has two frames of one sequence.
            self.stop(Alarm::LogsDiffer { sequence: to.sequence });
        } else if to.sequence < acknowledged {
            self.stop(Alarm::AcknowledgedSuffix { shared: to.sequence, commit: acknowledged });
        } else {
            self.generation += 1;
            self.follow.is_cutting = true;
            self.log.cut_to(to);
            self.durable = self.durable.min(to.sequence);
            self.backlog.cut_to(to);
            let generation = self.generation;
            self.output(Output::CutBack { to, generation });
        }
        Ok(())
    }

    /// Where a mistaken node would cut: where its own durability ends.
    fn watermark(&self, after: FrameEnd) -> FrameEnd {
        let last = self.log.last();
        if self.durable >= last.sequence { last } else { after }
    }

    /// The log was cut and is durable to its end. `log_config` is the last config record that is left in it.
    pub fn handle_cut(&mut self, log_config: Option<(u64, Config)>) {
        (self.config_sequence, self.config) = log_config.unwrap_or((0, self.options.base_config));
        self.durable = self.log.last().sequence;
        self.backlog = Backlog::new(self.log.last());
        self.applied = self.applied.min(self.durable);
        if std::mem::take(&mut self.follow.is_cutting) {
            self.start_following();
        }
        self.note_role();
    }

    fn start_following(&mut self) {
        self.follow.is_started = true;
        self.acknowledge();
    }

    /// Tells the source how far its frames have come.
    pub(super) fn acknowledge(&mut self) {
        let Some(source) = self.follow.source.filter(|_| self.follow.is_started) else { return };
        let received = self.log.last().sequence;
        let durable = if faulty!(self, AckBeforeSync) { received } else { self.durable };
        let round = self.peer(source).map_or(0, |known| known.heard_round);
        let applied = self.applied;
        self.send(source, &Message::Ack { received, durable, applied, round });
    }

    pub(super) fn hear_frames(
        &mut self,
        peer: u8,
        commit: u64,
        source_end: u64,
        frames: &[u8],
    ) -> Result<(), MessageError> {
        if self.follow.source != Some(peer) || !self.follow.is_started {
            return Ok(());
        }
        if self.backlog.size() + frames.len() as u64 > BACKLOG_SIZE_MAX {
            return Err(MessageError::Window);
        }
        let Some(received) = self.judge_frames(frames)? else { return Ok(()) };
        self.output(Output::Append { frames: frames.to_vec(), commit: self.commit });
        for frame in received {
            self.log.push(frame.end);
            self.backlog.push(frame.end, frame.size);
            self.note_control(frame.end.sequence, frame.control);
        }
        self.follow.source_end = source_end;
        self.learn_commit(commit);
        self.acknowledge();
        Ok(())
    }

    /// Judges all frames before any is taken; `None` when this node stopped over them.
    fn judge_frames(&mut self, mut bytes: &[u8]) -> Result<Option<Vec<Received>>, MessageError> {
        let mut received = Vec::new();
        let mut last = self.log.last();
        while !bytes.is_empty() {
            let (header, payload, rest) = split_frame(bytes).ok_or(MessageError::Malformed)?;
            if header.cluster != self.options.cluster || header.epoch > self.highest_epoch {
                return Err(MessageError::Malformed);
            }
            let follows = header.sequence == last.sequence + 1
                && header.previous == last.hash
                && header.epoch >= last.epoch;
            if !follows {
                self.stop(Alarm::LogsDiffer { sequence: header.sequence });
                return Ok(None);
            }
            last = FrameEnd {
                epoch: header.epoch,
                sequence: header.last_sequence(),
                hash: SharedHeader::hash_of(&bytes[..bytes.len() - rest.len()]),
            };
            let control = Control::from_payload(header.count, payload);
            let size = (bytes.len() - rest.len()) as u64;
            received.push(Received { end: last, size, control });
            bytes = rest;
        }
        Ok(Some(received))
    }

    fn learn_commit(&mut self, commit: u64) {
        let commit = commit.min(self.log.last().sequence);
        if commit > self.commit {
            self.commit = commit;
            self.output(Output::Commit(commit));
        }
    }
}

/// The first frame of a row: header, payload, and what follows.
pub(super) fn split_frame(bytes: &[u8]) -> Option<(SharedHeader, &[u8], &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<SHARED_HEADER_SIZE>()?;
    let header = SharedHeader::decode(header)?;
    let (payload, rest) = rest.split_at_checked(header.length as usize)?;
    Some((header, payload, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LogRecords, Policy};
    use crate::connection::Connection;
    use crate::handshake::connect;
    use crate::log::LogIndex;
    use crate::message::PeerRole;
    use crate::replica::Options;

    const CLUSTER: u128 = 5;
    const EPOCH: u64 = 2;

    fn replica(index: u8) -> Replica {
        let config = Config::new(2, Policy::TwoDisks);
        Replica::new(Options {
            index,
            cluster: CLUSTER,
            secret: [7; 32],
            incarnation: 1,
            starts: crate::starts::Starts::default(),
            process: 0,
            base_config: config,
            records: LogRecords::new(index, config),
            highest_epoch: EPOCH,
            log: LogIndex::default(),
            commit: 0,
        })
    }

    #[test]
    fn whoever_sends_more_than_a_window_is_cut_off_before_memory_grows() {
        let mut standby = replica(1);
        let identities = (standby.identity(), replica(0).identity());
        let (session, its) = connect(&identities.0, &identities.1, [[1; 32], [2; 32]]).unwrap();
        standby.handle_connected(session, 0);
        let mut primary = Connection::new(its, 0);
        let mut say = |message: &Message<'_>| {
            let bytes = primary.send(CLUSTER, EPOCH, message);
            let outcome = standby.handle_message(0, &bytes, 1);
            (outcome, std::iter::from_fn(|| standby.poll_output()).collect::<Vec<_>>())
        };
        let end = FrameEnd::START;
        let role = PeerRole::Primary;
        let starts = Default::default();
        let heartbeat =
            Message::Heartbeat { role, round: 0, commit: 0, end, clock_reading: 0, starts };
        say(&heartbeat).0.unwrap();
        say(&Message::StreamStart { after: end }).0.unwrap();
        let payload = vec![7; 512 << 10];
        let (mut previous, mut taken) = ([0; 16], 0);
        for sequence in 1.. {
            let header = SharedHeader {
                previous,
                cluster: CLUSTER,
                epoch: EPOCH,
                sequence,
                count: 1,
                length: payload.len() as u32,
                semantics_version: 1,
            };
            previous = header.frame_hash(&payload);
            let frames = [header.encode().as_slice(), &payload].concat();
            let message = Message::Frames { commit: 0, source_end: sequence, frames: &frames };
            let (outcome, outputs) = say(&message);
            if let Err(error) = outcome {
                assert_eq!(error, MessageError::Window);
                assert_eq!(outputs, [Output::Disconnect { peer: 0 }]);
                break;
            }
            taken += frames.len() as u64;
            assert!(taken <= BACKLOG_SIZE_MAX, "{taken} bytes are in memory");
        }
        assert!(taken > BACKLOG_SIZE_MAX - (1 << 20), "{taken}");
    }
}
