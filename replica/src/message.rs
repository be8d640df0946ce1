//! The bytes of messages: an 80-byte header and a body, all numbers little-endian.
//!
//! Invariants: decoding never panics and never allocates more than the message is long; what decodes encodes to the
//! same bytes. Authentication is in `connection`. `docs/reference/replication-protocol.md` draws the bytes.

use crate::constants::{EPOCHS_MAX, MESSAGE_SIZE_MAX, NODES_MAX, PROTOCOL_VERSION};
use crate::error::MessageError;
use crate::log::FrameEnd;
use crate::starts::{Copied, KnownStart, Start};

/// "MZR1".
pub const MAGIC: u32 = u32::from_le_bytes(*b"MZR1");
/// Bytes of the header.
pub const HEADER_SIZE: usize = 80;
/// Bytes of the authentication code, which is first.
pub const MAC_SIZE: usize = 32;
const FRAME_END_SIZE: usize = 32;

/// The header without its authentication code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Cluster id.
    pub cluster: u128,
    /// The sender's highest epoch.
    pub epoch: u64,
    /// Number of the message on this connection and in this direction, from 0.
    pub counter: u64,
    /// Index of the sender.
    pub from: u8,
    /// Index of the receiver.
    pub to: u8,
}

/// A node's role as its peers hear it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum PeerRole {
    /// Follows, or waits for somebody to follow.
    Standby = 1,
    /// Takes requests.
    Primary = 2,
    /// Collects grants or takes over a log.
    Candidate = 3,
    /// Stopped with an alarm.
    Stopped = 4,
}

/// What nodes say to each other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message<'a> {
    /// First on every connection, in both directions; proves nothing yet.
    Hello {
        /// Random, new for every connection.
        nonce: [u8; 32],
        /// Incarnation of the sender's disk.
        incarnation: u64,
        /// Nodes of the cluster.
        node_count: u8,
        /// The start of the sender's disk.
        start: Start,
        /// Random, drawn by the sender's process and kept nowhere.
        process: u64,
    },
    /// I live.
    Heartbeat {
        /// The sender's role.
        role: PeerRole,
        /// Round that asks for an echo; counts up.
        round: u64,
        /// Highest committed sequence.
        commit: u64,
        /// End of the sender's log.
        end: FrameEnd,
        /// The sender's wall clock, nanoseconds since 1970; 0 if it gives none.
        clock_reading: u64,
        /// The last start of each node's disk that the sender knows, its own included.
        starts: [KnownStart; NODES_MAX],
    },
    /// To the node that is followed: how far its frames have come.
    Ack {
        /// In memory up to here.
        received: u64,
        /// Durable up to here.
        durable: u64,
        /// Applied up to here.
        applied: u64,
        /// The last round heard.
        round: u64,
    },
    /// Where do our logs part? Send me yours from there on.
    Locate {
        /// Ends of the sender's epochs, ascending.
        ends: Vec<FrameEnd>,
    },
    /// The answer: cut back to this point, acknowledge it, and frames follow.
    StreamStart {
        /// Last shared point.
        after: FrameEnd,
    },
    /// Frames as they lie in the log, one behind the other: shared half of the header, payload.
    Frames {
        /// Highest committed sequence.
        commit: u64,
        /// Last sequence of the sender's log.
        source_end: u64,
        /// The frames.
        frames: &'a [u8],
    },
    /// I want to become primary in the epoch of the header.
    GrantRequest {
        /// End of the candidate's log.
        end: FrameEnd,
    },
    /// The answer.
    Grant {
        /// Whether the epoch is granted.
        granted: bool,
        /// Whether the sender's disk is admitted by the sender's own record.
        is_admitted: bool,
        /// Epoch that was asked for.
        epoch: u64,
        /// End of the sender's log.
        end: FrameEnd,
        /// Highest sequence that the sender knows to be committed.
        commit: u64,
    },
    /// Would you grant this epoch? Changes nothing anywhere.
    Ask {
        /// Epoch that would be asked for.
        epoch: u64,
        /// End of the sender's log.
        end: FrameEnd,
    },
    /// The answer.
    Answer {
        /// Whether the epoch would be granted.
        would_grant: bool,
        /// Whether the sender's disk is admitted by the sender's own record.
        is_admitted: bool,
        /// Whether the sender leads and its journal is damaged: fenced, it does not start again.
        is_damaged: bool,
        /// Epoch that was asked for.
        epoch: u64,
        /// End of the sender's log.
        end: FrameEnd,
        /// Nanoseconds since the sender heard the primary that it follows; 0 from the primary itself, all ones if it
        /// follows nobody.
        primary_silent_ns: u64,
    },
    /// You are a copy, or an older copy of yours counts: this connection is over.
    Refused {
        /// Why.
        copied: Copied,
    },
}

struct Writer<'o>(&'o mut Vec<u8>);

impl Writer<'_> {
    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A number of one byte in a word of eight.
    fn small(&mut self, value: u8) {
        self.u64(value.into());
    }

    fn start(&mut self, start: &Start) {
        self.u64(start.number);
        self.u64(start.nonce);
    }

    fn end(&mut self, end: &FrameEnd) {
        self.u64(end.epoch);
        self.u64(end.sequence);
        self.0.extend_from_slice(&end.hash);
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn small(&mut self) -> Option<u8> {
        u8::try_from(self.u64()?).ok()
    }

    fn flag(&mut self) -> Option<bool> {
        match self.u64()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn start(&mut self) -> Option<Start> {
        Some(Start { number: self.u64()?, nonce: self.u64()? })
    }

    fn starts(&mut self) -> Option<[KnownStart; NODES_MAX]> {
        let mut starts = [KnownStart::default(); NODES_MAX];
        for known in &mut starts {
            *known = KnownStart { incarnation: self.u64()?, start: self.start()? };
        }
        Some(starts)
    }

    fn end(&mut self) -> Option<FrameEnd> {
        Some(FrameEnd { epoch: self.u64()?, sequence: self.u64()?, hash: self.take()? })
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

impl Message<'_> {
    /// The kind's number.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Hello { .. } => 1,
            Self::Heartbeat { .. } => 2,
            Self::Ack { .. } => 3,
            Self::Locate { .. } => 4,
            Self::StreamStart { .. } => 5,
            Self::Frames { .. } => 6,
            Self::GrantRequest { .. } => 7,
            Self::Grant { .. } => 8,
            Self::Ask { .. } => 9,
            Self::Answer { .. } => 10,
            Self::Refused { .. } => 15,
        }
    }

    /// The end of the sender's log, in messages that name it.
    pub(crate) const fn sender_end(&self) -> Option<&FrameEnd> {
        match self {
            Self::Heartbeat { end, .. }
            | Self::GrantRequest { end }
            | Self::Grant { end, .. }
            | Self::Ask { end, .. }
            | Self::Answer { end, .. } => Some(end),
            _ => None,
        }
    }

    /// The whole message with zeros for the authentication code.
    #[must_use]
    pub fn encode(&self, header: &Header) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_SIZE];
        self.encode_body(&mut Writer(&mut bytes));
        let size = bytes.len() as u32;
        bytes[32..36].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[36..40].copy_from_slice(&size.to_le_bytes());
        bytes[40..44].copy_from_slice(&[self.kind(), PROTOCOL_VERSION, header.from, header.to]);
        bytes[48..64].copy_from_slice(&header.cluster.to_le_bytes());
        bytes[64..72].copy_from_slice(&header.epoch.to_le_bytes());
        bytes[72..80].copy_from_slice(&header.counter.to_le_bytes());
        bytes
    }

    fn encode_body(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Hello { nonce, incarnation, node_count, start, process } => {
                writer.0.extend_from_slice(nonce);
                writer.u64(*incarnation);
                writer.small(*node_count);
                writer.start(start);
                writer.u64(*process);
            }
            Self::Heartbeat { role, round, commit, end, clock_reading, starts } => {
                writer.small(*role as u8);
                writer.u64(*round);
                writer.u64(*commit);
                writer.end(end);
                writer.u64(*clock_reading);
                for known in starts {
                    writer.u64(known.incarnation);
                    writer.start(&known.start);
                }
            }
            Self::Ack { received, durable, applied, round } => {
                [received, durable, applied, round].iter().for_each(|value| writer.u64(**value));
            }
            Self::Locate { ends } => ends.iter().for_each(|end| writer.end(end)),
            Self::StreamStart { after } => writer.end(after),
            Self::Frames { commit, source_end, frames } => {
                writer.u64(*commit);
                writer.u64(*source_end);
                writer.0.extend_from_slice(frames);
            }
            Self::GrantRequest { end } => writer.end(end),
            Self::Grant { granted, is_admitted, epoch, end, commit } => {
                writer.small((*granted).into());
                writer.small((*is_admitted).into());
                writer.u64(*epoch);
                writer.end(end);
                writer.u64(*commit);
            }
            Self::Ask { epoch, end } => {
                writer.u64(*epoch);
                writer.end(end);
            }
            Self::Answer {
                would_grant,
                is_admitted,
                is_damaged,
                epoch,
                end,
                primary_silent_ns,
            } => {
                writer.small((*would_grant).into());
                writer.small((*is_admitted).into());
                writer.small((*is_damaged).into());
                writer.u64(*epoch);
                writer.end(end);
                writer.u64(*primary_silent_ns);
            }
            Self::Refused { copied } => copied.words().iter().for_each(|word| writer.u64(*word)),
        }
    }
}

/// Understands a message. Its authentication code is not looked at.
///
/// # Errors
/// `Malformed`, `Version`.
pub fn decode(bytes: &[u8]) -> Result<(Header, Message<'_>), MessageError> {
    let malformed = MessageError::Malformed;
    if bytes.len() < HEADER_SIZE || bytes.len() > MESSAGE_SIZE_MAX {
        return Err(malformed);
    }
    let mut reader = Reader(&bytes[MAC_SIZE..]);
    let magic = reader.take().map(u32::from_le_bytes).ok_or(malformed)?;
    let size = reader.take().map(u32::from_le_bytes).ok_or(malformed)?;
    let [kind, version, from, to] = reader.take().ok_or(malformed)?;
    let reserved: [u8; 4] = reader.take().ok_or(malformed)?;
    if magic != MAGIC || size as usize != bytes.len() || reserved != [0; 4] {
        return Err(malformed);
    }
    if version != PROTOCOL_VERSION {
        return Err(MessageError::Version(version));
    }
    let cluster = reader.take().map(u128::from_le_bytes).ok_or(malformed)?;
    let epoch = reader.u64().ok_or(malformed)?;
    let counter = reader.u64().ok_or(malformed)?;
    let message = decode_body(kind, &mut reader).ok_or(malformed)?;
    if !reader.0.is_empty() {
        return Err(malformed);
    }
    Ok((Header { cluster, epoch, counter, from, to }, message))
}

fn decode_body<'a>(kind: u8, reader: &mut Reader<'a>) -> Option<Message<'a>> {
    Some(match kind {
        1 => Message::Hello {
            nonce: reader.take()?,
            incarnation: reader.u64()?,
            node_count: reader.small()?,
            start: reader.start()?,
            process: reader.u64()?,
        },
        2 => Message::Heartbeat {
            role: match reader.small()? {
                1 => PeerRole::Standby,
                2 => PeerRole::Primary,
                3 => PeerRole::Candidate,
                4 => PeerRole::Stopped,
                _ => return None,
            },
            round: reader.u64()?,
            commit: reader.u64()?,
            end: reader.end()?,
            clock_reading: reader.u64()?,
            starts: reader.starts()?,
        },
        3 => Message::Ack {
            received: reader.u64()?,
            durable: reader.u64()?,
            applied: reader.u64()?,
            round: reader.u64()?,
        },
        4 => {
            let count = reader.0.len() / FRAME_END_SIZE;
            if count > EPOCHS_MAX {
                return None;
            }
            let ends = (0..count).map(|_| reader.end()).collect::<Option<Vec<_>>>()?;
            let ascending = ends
                .windows(2)
                .all(|pair| pair[0].epoch < pair[1].epoch && pair[0].sequence < pair[1].sequence);
            if !ascending {
                return None;
            }
            Message::Locate { ends }
        }
        5 => Message::StreamStart { after: reader.end()? },
        6 => Message::Frames {
            commit: reader.u64()?,
            source_end: reader.u64()?,
            frames: reader.rest(),
        },
        7 => Message::GrantRequest { end: reader.end()? },
        8 => Message::Grant {
            granted: reader.flag()?,
            is_admitted: reader.flag()?,
            epoch: reader.u64()?,
            end: reader.end()?,
            commit: reader.u64()?,
        },
        9 => Message::Ask { epoch: reader.u64()?, end: reader.end()? },
        10 => Message::Answer {
            would_grant: reader.flag()?,
            is_admitted: reader.flag()?,
            is_damaged: reader.flag()?,
            epoch: reader.u64()?,
            end: reader.end()?,
            primary_silent_ns: reader.u64()?,
        },
        15 => Message::Refused {
            copied: Copied::from_words([reader.u64()?, reader.u64()?, reader.u64()?])?,
        },
        _ => return None,
    })
}
