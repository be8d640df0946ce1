//! How two ends of a connection find out that both know the cluster's secret now.
//!
//! Whoever accepted the connection greets first, with a nonce. The dialler's hello is sealed over that greeting, so it
//! is worth nothing on any other connection; the answer is sealed over greeting and hello, and the key of all that
//! follows is made of all three. So no recording proves anything, and each hello is for one listener alone.
//!
//! Invariant: neither side holds more than its peer's last message, of a fixed size, before the peer has proved itself.
//! What is absent: sockets, times, and who may push whom aside; the node sees to that with [`Session::is_proved_by`].

use crate::connection::{Secret, is_sealed, seal};
use crate::constants::{NODES_MAX, PROTOCOL_VERSION};
use crate::error::MessageError;
use crate::message::{Header, MAC_SIZE, Message, decode};
use crate::starts::{KnownStart, Start};

/// First bytes of a greeting.
pub const GREETING_MAGIC: [u8; 4] = *b"MZG1";
/// Bytes of a greeting.
pub const GREETING_SIZE: usize = 64;

/// What a listener says first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Greeting {
    /// The listener's cluster.
    pub cluster: u128,
    /// The listener's index.
    pub index: u8,
    /// 32 fresh random bytes.
    pub nonce: [u8; 32],
}

impl Greeting {
    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; GREETING_SIZE] {
        let mut bytes = [0; GREETING_SIZE];
        bytes[..4].copy_from_slice(&GREETING_MAGIC);
        bytes[4] = PROTOCOL_VERSION;
        bytes[5] = self.index;
        bytes[8..24].copy_from_slice(&self.cluster.to_le_bytes());
        bytes[32..].copy_from_slice(&self.nonce);
        bytes
    }

    /// Understands a greeting. Nothing of it is proved.
    ///
    /// # Errors
    /// `Malformed`, `Version`.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let bytes: &[u8; GREETING_SIZE] = bytes.try_into().map_err(|_| MessageError::Malformed)?;
        if bytes[..4] != GREETING_MAGIC {
            return Err(MessageError::Malformed);
        }
        if bytes[4] != PROTOCOL_VERSION {
            return Err(MessageError::Version(bytes[4]));
        }
        let greeting = Greeting {
            index: bytes[5],
            cluster: u128::from_le_bytes(*bytes[8..].first_chunk().expect("invariant: 16 bytes")),
            nonce: *bytes[32..].first_chunk().expect("invariant: 32 bytes"),
        };
        if greeting.encode() != *bytes {
            return Err(MessageError::Malformed);
        }
        Ok(greeting)
    }
}

/// Who a node is to its peers. It holds the secret, and so has no form for logs.
#[derive(Clone, Copy)]
pub struct Identity {
    /// Its cluster.
    pub cluster: u128,
    /// Its index.
    pub index: u8,
    /// Nodes of the cluster.
    pub node_count: u8,
    /// Incarnation of its disk.
    pub incarnation: u64,
    /// The disk's start, durable there.
    pub start: Start,
    /// Random, drawn by this process.
    pub process: u64,
    /// The cluster's secret.
    pub secret: Secret,
}

/// A connection whose peer has shown that it knows the secret.
#[derive(Clone)]
pub struct Session {
    pub(crate) key: [u8; 32],
    pub(crate) own_index: u8,
    pub(crate) peer: u8,
    pub(crate) peer_start: KnownStart,
    pub(crate) peer_process: u64,
}

impl std::fmt::Debug for Session {
    /// Without the key.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "session with node {}", self.peer)
    }
}

impl Session {
    /// Index of the peer.
    #[must_use]
    pub const fn peer(&self) -> u8 {
        self.peer
    }

    /// The peer's disk and its start.
    #[must_use]
    pub(crate) const fn known_start(&self) -> KnownStart {
        self.peer_start
    }

    /// Whether these bytes are the peer's first message behind its hello, made with the key of this connection.
    #[must_use]
    pub fn is_proved_by(&self, bytes: &[u8]) -> bool {
        let is_first = matches!(decode(bytes), Ok((header, _)) if header.counter == 1);
        is_first && is_sealed(&[], bytes, &self.key)
    }
}

impl Identity {
    fn hello(&self, to: u8, nonce: [u8; 32]) -> Vec<u8> {
        let (incarnation, node_count) = (self.incarnation, self.node_count);
        let (start, process) = (self.start, self.process);
        let (cluster, from) = (self.cluster, self.index);
        let header = Header { cluster, epoch: 0, counter: 0, from, to };
        Message::Hello { nonce, incarnation, node_count, start, process }.encode(&header)
    }

    /// The greeting of this node as a listener. `nonce` is 32 fresh random bytes.
    #[must_use]
    pub const fn greeting(&self, nonce: [u8; 32]) -> Greeting {
        Greeting { cluster: self.cluster, index: self.index, nonce }
    }

    /// As a dialler: the hello to a listener that greeted, and what its answer is judged by. `nonce` is 32 fresh random
    /// bytes.
    ///
    /// # Errors
    /// `Cluster`, `Address`: it is not the peer that was looked for.
    pub fn dial(
        &self,
        peer: u8,
        greeting: &Greeting,
        nonce: [u8; 32],
    ) -> Result<(Dialled, Vec<u8>), MessageError> {
        if greeting.cluster != self.cluster {
            return Err(MessageError::Cluster);
        }
        if greeting.index != peer || peer == self.index {
            return Err(MessageError::Address);
        }
        let greeting = greeting.encode();
        let mut hello = self.hello(peer, nonce);
        seal(&[b"mizan hello 2", &greeting], &mut hello, &self.secret);
        Ok((Dialled { identity: *self, greeting, hello: hello.clone() }, hello))
    }

    /// As a listener: judges the hello that came behind a greeting, and makes the answer. The peer has proved that it
    /// knows the secret, if nobody relays for it; it has yet to show that it has the key.
    ///
    /// # Errors
    /// `Malformed`, `Version`, `NoHello`, `Cluster`, `Address`, `Forged`.
    pub fn answer(
        &self,
        greeting: &Greeting,
        hello: &[u8],
    ) -> Result<(Session, Vec<u8>), MessageError> {
        let bytes = greeting.encode();
        let seal_parts: [&[u8]; 2] = [b"mizan hello 2", &bytes];
        let said = self.judge(hello, &seal_parts)?;
        let peer = said.from;
        let mut answer = self.hello(peer, greeting.nonce);
        seal(&[b"mizan answer 2", &bytes, hello], &mut answer, &self.secret);
        let key = connection_key(&self.secret, &bytes, hello, &answer);
        Ok((said.session(key, self.index), answer))
    }

    /// Whose hello it is, and what it says.
    fn judge(&self, hello: &[u8], seal: &[&[u8]]) -> Result<Said, MessageError> {
        let (header, message) = decode(hello)?;
        let Message::Hello { nonce, incarnation, node_count, start, process } = message else {
            return Err(MessageError::NoHello);
        };
        // First, so that a stranger learns nothing from the refusal.
        if !is_sealed(seal, hello, &self.secret) {
            return Err(MessageError::Forged);
        }
        if header.cluster != self.cluster {
            return Err(MessageError::Cluster);
        }
        let is_peer = header.from < self.node_count && header.from != self.index;
        if header.to != self.index || !is_peer || node_count != self.node_count {
            return Err(MessageError::Address);
        }
        if header.counter != 0 {
            return Err(MessageError::Malformed);
        }
        Ok(Said { from: header.from, nonce, disk: KnownStart { incarnation, start }, process })
    }
}

/// What a peer's hello says.
struct Said {
    from: u8,
    nonce: [u8; 32],
    disk: KnownStart,
    process: u64,
}

impl Said {
    fn session(&self, key: [u8; 32], own_index: u8) -> Session {
        let (peer, peer_start, peer_process) = (self.from, self.disk, self.process);
        Session { key, own_index, peer, peer_start, peer_process }
    }
}

/// A dialler that has said hello.
#[derive(Clone)]
pub struct Dialled {
    identity: Identity,
    greeting: [u8; GREETING_SIZE],
    hello: Vec<u8>,
}

impl Dialled {
    /// Judges the answer: then the listener knows the secret now.
    ///
    /// # Errors
    /// As [`Identity::answer`].
    pub fn conclude(&self, answer: &[u8]) -> Result<Session, MessageError> {
        let seal_parts: [&[u8]; 3] = [b"mizan answer 2", &self.greeting, &self.hello];
        let said = self.identity.judge(answer, &seal_parts)?;
        if said.nonce != self.greeting[32..] || said.from != self.greeting[5] {
            return Err(MessageError::Address);
        }
        let key = connection_key(&self.identity.secret, &self.greeting, &self.hello, answer);
        Ok(said.session(key, self.identity.index))
    }
}

fn connection_key(secret: &Secret, greeting: &[u8], hello: &[u8], answer: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(secret);
    hasher.update(b"mizan replication connection 2");
    hasher.update(greeting).update(hello).update(answer);
    *hasher.finalize().as_bytes()
}

/// Both sides at once, for simulations and tests: the sessions of the one that dials and of the one that listens.
///
/// # Errors
/// What one of the two refuses.
pub fn connect(
    dialler: &Identity,
    listener: &Identity,
    nonces: [[u8; 32]; 2],
) -> Result<(Session, Session), MessageError> {
    let greeting = listener.greeting(nonces[1]);
    let (dialled, hello) = dialler.dial(listener.index, &greeting, nonces[0])?;
    let (accepted, answer) = listener.answer(&greeting, &hello)?;
    Ok((dialled.conclude(&answer)?, accepted))
}

const _: () = assert!(NODES_MAX < 256 && MAC_SIZE == 32);
