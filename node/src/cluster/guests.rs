//! What a connection between nodes, or of an operator, has shown of itself so far.
//!
//! Whoever is accepted is greeted, says a hello, and is believed after the first message under the key that both make of
//! that. Until then it holds a small buffer, may be closed to make room, and displaces nobody.

use crate::cluster::admin::nonce;
use mizan_replica::admin::{self, AdminChannel, AdminError};
use mizan_replica::constants::MESSAGE_SIZE_MAX;
use mizan_replica::handshake::{Dialled, GREETING_SIZE, Greeting};
use mizan_replica::message::{self, HEADER_SIZE};
use mizan_replica::{Identity, MessageError, Session};
use thiserror::Error;

/// Largest message of a connection that has not proved itself: a hello, a heartbeat, an operator's question.
pub(crate) const UNPROVED_MESSAGE_SIZE_MAX: usize = 4096;

/// Who is at the other end.
pub(crate) enum Who {
    /// Accepted and greeted.
    Stranger(Greeting),
    /// It said a peer's hello, and has yet to show that it has the key.
    Newcomer(Session),
    /// It said an operator's hello, and has yet to show that it has the key.
    Visitor(AdminChannel),
    /// This peer was dialled; its greeting is due.
    Dialling(u8),
    /// This peer was dialled; its answer is due.
    Dialled(u8, Dialled),
    /// It proved to be this peer.
    Peer(u8),
    /// It proved to be an operator.
    Operator(AdminChannel),
}

/// What a message of a connection came to.
pub(crate) enum Heard {
    /// Send this; more is to come.
    Answer(Vec<u8>),
    /// The connection to a peer that was dialled is made.
    Made(Session),
    /// A peer that dialled has proved itself with this message, which is for the state machine.
    Proved(Session, Vec<u8>),
    /// A message of a peer.
    Message(u8, Vec<u8>),
    /// An operator's first question, and so its proof.
    FirstQuestion(Vec<u8>),
    /// Another question of an operator.
    Question(Vec<u8>),
}

/// Why a connection is ended.
#[derive(Debug, Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Peer(#[from] MessageError),
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A peer that is to be dialled, not to dial.
    #[error("a node dialled that has a lower number than this one")]
    Direction,
    #[error("there are no random bytes: {0}")]
    Random(#[from] std::io::Error),
}

impl Who {
    /// The peer that the connection is, or is to be, to. Who only says that it is one does not count.
    pub(crate) const fn peer(&self) -> Option<u8> {
        match self {
            Self::Dialling(peer) | Self::Dialled(peer, _) | Self::Peer(peer) => Some(*peer),
            _ => None,
        }
    }

    /// Whether it was accepted and has not proved itself.
    pub(crate) const fn is_unproved_guest(&self) -> bool {
        matches!(self, Self::Stranger(_) | Self::Newcomer(_) | Self::Visitor(_))
    }

    /// Whether it showed that it knows the secret and has the connection's key.
    pub(crate) const fn is_proved(&self) -> bool {
        matches!(self, Self::Peer(_) | Self::Operator(_))
    }

    /// Size of the message that begins here; `None` while that cannot be told, an error if it can be none.
    pub(crate) fn next_message(&self, bytes: &[u8]) -> Option<Result<usize, ()>> {
        let head = bytes.get(..GREETING_SIZE.max(admin::ADMIN_HEADER_SIZE))?;
        if matches!(self, Self::Dialling(_)) {
            return Some(Ok(GREETING_SIZE));
        }
        let size = u32::from_le_bytes(*head[36..].first_chunk()?) as usize;
        let is_admin = head[32..36] == admin::ADMIN_MAGIC;
        let is_peer = head[32..36] == message::MAGIC.to_le_bytes();
        let (is_expected, size_max) = match self {
            Self::Stranger(_) => (is_admin || is_peer, UNPROVED_MESSAGE_SIZE_MAX),
            Self::Visitor(_) => (is_admin, UNPROVED_MESSAGE_SIZE_MAX),
            Self::Newcomer(_) | Self::Dialling(_) | Self::Dialled(..) => {
                (is_peer, UNPROVED_MESSAGE_SIZE_MAX)
            }
            Self::Peer(_) => (is_peer, MESSAGE_SIZE_MAX),
            Self::Operator(_) => (is_admin, admin::ADMIN_MESSAGE_SIZE_MAX),
        };
        let size_min = if is_admin { admin::ADMIN_HEADER_SIZE } else { HEADER_SIZE };
        let fits = (size_min..=size_max).contains(&size);
        Some(if fits && is_expected { Ok(size) } else { Err(()) })
    }

    /// Takes a whole message.
    ///
    /// # Errors
    /// The connection is to be ended.
    pub(crate) fn hear(&mut self, identity: &Identity, bytes: Vec<u8>) -> Result<Heard, Refused> {
        match self {
            Self::Peer(peer) => Ok(Heard::Message(*peer, bytes)),
            Self::Operator(channel) => Ok(Heard::Question(question(channel, &bytes)?)),
            Self::Stranger(greeting) if bytes[32..36] == admin::ADMIN_MAGIC => {
                let (channel, answer) = AdminChannel::accept(greeting, &bytes, &identity.secret)?;
                *self = Self::Visitor(channel);
                Ok(Heard::Answer(answer))
            }
            Self::Stranger(greeting) => {
                let (session, answer) = identity.answer(greeting, &bytes)?;
                // So that two nodes never have two connections for long.
                if session.peer() < identity.index {
                    return Err(Refused::Direction);
                }
                *self = Self::Newcomer(session);
                Ok(Heard::Answer(answer))
            }
            Self::Newcomer(session) => {
                if !session.is_proved_by(&bytes) {
                    return Err(MessageError::Forged.into());
                }
                let session = session.clone();
                *self = Self::Peer(session.peer());
                Ok(Heard::Proved(session, bytes))
            }
            Self::Visitor(channel) => {
                let question = question(channel, &bytes)?;
                if let Self::Visitor(channel) = std::mem::replace(self, Self::Dialling(0)) {
                    *self = Self::Operator(channel);
                }
                Ok(Heard::FirstQuestion(question))
            }
            Self::Dialling(peer) => {
                let greeting = Greeting::decode(&bytes)?;
                let (dialled, hello) = identity.dial(*peer, &greeting, nonce()?)?;
                *self = Self::Dialled(*peer, dialled);
                Ok(Heard::Answer(hello))
            }
            Self::Dialled(peer, dialled) => {
                let session = dialled.conclude(&bytes)?;
                *self = Self::Peer(*peer);
                Ok(Heard::Made(session))
            }
        }
    }
}

fn question(channel: &mut AdminChannel, bytes: &[u8]) -> Result<Vec<u8>, AdminError> {
    channel.receive(bytes)?.ok_or(AdminError::Malformed)
}
