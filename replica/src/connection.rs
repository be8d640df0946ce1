//! One connection's proofs: who is at the other end, and that nothing is forged, replayed, reordered or missing.
//!
//! Both sides send a hello with a nonce, under the cluster's secret. All that follows is under a key made of the
//! secret and both hellos, so a recording of another connection is worth nothing. A number per message and direction
//! shows repetitions and gaps. It deliberately encrypts nothing.

use crate::error::MessageError;
use crate::message::{HEADER_SIZE, Header, MAC_SIZE, Message};

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
    own_index: u8,
    peer_index: u8,
    own_hello: Vec<u8>,
    /// Known once the peer's hello came.
    key: Option<[u8; 32]>,
    sent: u64,
    received: u64,
    /// The peer proved that it knows the secret now, not only once.
    pub(crate) is_proved: bool,
    pub(crate) peer_incarnation: u64,
    pub(crate) last_heard_ns: u64,
}

fn seal(bytes: &mut [u8], key: &[u8; 32]) {
    let mac = blake3::keyed_hash(key, &bytes[MAC_SIZE..]);
    bytes[..MAC_SIZE].copy_from_slice(mac.as_bytes());
}

fn is_sealed(bytes: &[u8], key: &[u8; 32]) -> bool {
    let Some((mac, rest)) = bytes.split_first_chunk::<MAC_SIZE>() else { return false };
    // Compared in constant time by the hash's own type.
    blake3::keyed_hash(key, rest) == *mac
}

/// Whether a first message was made by somebody who knows the secret. It may be a recording all the same.
#[must_use]
pub fn is_sealed_hello(bytes: &[u8], secret: &Secret) -> bool {
    let is_hello = matches!(crate::message::decode(bytes), Ok((_, Message::Hello { .. })));
    is_hello && is_sealed(bytes, secret)
}

impl Connection {
    /// A new connection and the hello to send on it.
    pub(crate) fn new(
        header: &Header,
        hello: &Message<'_>,
        secret: &Secret,
        now_ns: u64,
    ) -> (Self, Vec<u8>) {
        let mut bytes = hello.encode(header);
        seal(&mut bytes, secret);
        let connection = Connection {
            own_index: header.from,
            peer_index: header.to,
            own_hello: bytes.clone(),
            key: None,
            sent: 1,
            received: 0,
            is_proved: false,
            peer_incarnation: 0,
            last_heard_ns: now_ns,
        };
        (connection, bytes)
    }

    /// Whether messages may be sent.
    pub(crate) fn is_open(&self) -> bool {
        self.key.is_some()
    }

    /// The bytes of the next message. Only on an open connection.
    pub(crate) fn send(&mut self, cluster: u128, epoch: u64, message: &Message<'_>) -> Vec<u8> {
        let key = self.key.expect("invariant: messages follow the hello");
        let (from, to) = (self.own_index, self.peer_index);
        let mut bytes = message.encode(&Header { cluster, epoch, counter: self.sent, from, to });
        self.sent += 1;
        seal(&mut bytes, &key);
        bytes
    }

    /// Checks a message that decoded. After an error nothing has changed.
    ///
    /// # Errors
    /// `NoHello`, `Forged`, `Gap`, `Repeated`.
    pub(crate) fn admit(
        &mut self,
        header: &Header,
        message: &Message<'_>,
        bytes: &[u8],
        secret: &Secret,
    ) -> Result<(), MessageError> {
        if let Message::Hello { incarnation, .. } = message {
            if !is_sealed(bytes, secret) {
                return Err(MessageError::Forged);
            }
            if self.key.is_some() {
                return Err(MessageError::Repeated);
            }
            self.key = Some(self.connection_key(bytes, secret));
            self.peer_incarnation = *incarnation;
            self.received = 1;
            return Ok(());
        }
        let key = self.key.ok_or(MessageError::NoHello)?;
        if !is_sealed(bytes, &key) {
            return Err(MessageError::Forged);
        }
        if header.counter < self.received {
            return Err(MessageError::Repeated);
        }
        if header.counter > self.received {
            return Err(MessageError::Gap { expected: self.received, found: header.counter });
        }
        self.received += 1;
        self.is_proved = true;
        Ok(())
    }

    fn connection_key(&self, peer_hello: &[u8], secret: &Secret) -> [u8; 32] {
        let (first, second) = if self.own_index < self.peer_index {
            (self.own_hello.as_slice(), peer_hello)
        } else {
            (peer_hello, self.own_hello.as_slice())
        };
        let mut hasher = blake3::Hasher::new_keyed(secret);
        hasher.update(b"mizan replication connection 1");
        hasher.update(first);
        hasher.update(second);
        *hasher.finalize().as_bytes()
    }
}

const _: () = assert!(HEADER_SIZE > MAC_SIZE);
