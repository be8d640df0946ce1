//! One connection's proofs: that nothing is forged, replayed, reordered or missing.
//!
//! All messages are under the key that the handshake has made, so a recording of another connection is worth nothing.
//! A number per message and direction shows repetitions and gaps. It deliberately encrypts nothing.

use crate::error::MessageError;
use crate::handshake::Session;
use crate::message::{HEADER_SIZE, Header, MAC_SIZE, Message};
use crate::starts::KnownStart;

/// The cluster's secret.
pub type Secret = [u8; 32];

/// What a node's files keep of the secret: enough to know it again, and nothing to find it by.
#[must_use]
pub fn secret_hash(cluster: u128, secret: &Secret) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(secret);
    hasher.update(b"mizan cluster secret 1").update(&cluster.to_le_bytes());
    *hasher.finalize().as_bytes()
}

/// The state of a connection to a peer.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    session: Session,
    sent: u64,
    received: u64,
    pub(crate) last_heard_ns: u64,
}

/// Puts the code of a message, over these parts and the rest of it, into its first bytes.
pub(crate) fn seal(parts: &[&[u8]], bytes: &mut [u8], key: &[u8; 32]) {
    let code = code(parts, &bytes[MAC_SIZE..], key);
    bytes[..MAC_SIZE].copy_from_slice(code.as_bytes());
}

/// Whether the code of a message holds, over these parts and the rest of it.
pub(crate) fn is_sealed(parts: &[&[u8]], bytes: &[u8], key: &[u8; 32]) -> bool {
    let Some((found, rest)) = bytes.split_first_chunk::<MAC_SIZE>() else { return false };
    // Compared in constant time by the hash's own type.
    code(parts, rest, key) == *found
}

fn code(parts: &[&[u8]], rest: &[u8], key: &[u8; 32]) -> blake3::Hash {
    if parts.is_empty() {
        return blake3::keyed_hash(key, rest);
    }
    let mut hasher = blake3::Hasher::new_keyed(key);
    for part in parts {
        hasher.update(part);
    }
    hasher.update(rest).finalize()
}

impl Connection {
    /// A connection whose handshake is over.
    pub(crate) const fn new(session: Session, now_ns: u64) -> Self {
        Connection { session, sent: 1, received: 1, last_heard_ns: now_ns }
    }

    /// Incarnation of the peer's disk.
    pub(crate) const fn peer_incarnation(&self) -> u64 {
        self.session.peer_start.incarnation
    }

    /// The peer's disk and its start.
    pub(crate) const fn known_start(&self) -> KnownStart {
        self.session.peer_start
    }

    /// What tells the peer's process from others.
    pub(crate) const fn process(&self) -> u64 {
        self.session.peer_process
    }

    /// Whether the peer has proved that it has the key, too.
    pub(crate) const fn is_proved(&self) -> bool {
        self.received > 1
    }

    /// The bytes of the next message.
    pub(crate) fn send(&mut self, cluster: u128, epoch: u64, message: &Message<'_>) -> Vec<u8> {
        let (from, to) = (self.session.own_index, self.session.peer);
        let mut bytes = message.encode(&Header { cluster, epoch, counter: self.sent, from, to });
        self.sent += 1;
        seal(&[], &mut bytes, &self.session.key);
        bytes
    }

    /// Checks a message that decoded. After an error nothing has changed.
    ///
    /// # Errors
    /// `Forged`, `Gap`, `Repeated`.
    pub(crate) fn admit(&mut self, header: &Header, bytes: &[u8]) -> Result<(), MessageError> {
        if !is_sealed(&[], bytes, &self.session.key) {
            return Err(MessageError::Forged);
        }
        if header.counter < self.received {
            return Err(MessageError::Repeated);
        }
        if header.counter > self.received {
            return Err(MessageError::Gap { expected: self.received, found: header.counter });
        }
        self.received += 1;
        Ok(())
    }
}

const _: () = assert!(HEADER_SIZE > MAC_SIZE);
