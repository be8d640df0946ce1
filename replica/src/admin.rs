//! The operator's connection: one question, one answer, both proved under the cluster's secret.
//!
//! Both sides send a hello with a fresh nonce; what follows is under a key made of the secret and both hellos, as
//! between nodes. So a recording promotes nobody. Bodies are opaque here. It deliberately encrypts nothing.

use crate::connection::Secret;
use thiserror::Error;

/// Bytes of a header; the body follows.
pub const ADMIN_HEADER_SIZE: usize = 64;
/// Largest message.
pub const ADMIN_MESSAGE_SIZE_MAX: usize = 64 << 10;
/// First bytes of a message behind its code.
pub const ADMIN_MAGIC: [u8; 4] = *b"MZA1";

const MAC_SIZE: usize = 32;
const VERSION: u8 = 1;
const NONCE_SIZE: usize = 32;

/// Why a message is not taken. The connection is to be ended.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum AdminError {
    /// It does not follow the protocol.
    #[error("an admin message does not follow the protocol")]
    Malformed,
    /// It is sealed with another secret, or for another connection.
    #[error(
        "an admin message is not sealed with this cluster's secret; give the same --secret-file as the nodes have"
    )]
    Forged,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
enum Kind {
    Hello = 1,
    Body = 2,
}

/// One side of a connection.
#[derive(Debug)]
pub struct AdminChannel {
    secret: Secret,
    is_client: bool,
    own_hello: Vec<u8>,
    key: Option<[u8; 32]>,
    sent: u64,
    received: u64,
}

impl AdminChannel {
    /// A new connection and the hello to send on it. `nonce` is 32 fresh random bytes.
    #[must_use]
    pub fn new(is_client: bool, nonce: [u8; NONCE_SIZE], secret: Secret) -> (Self, Vec<u8>) {
        let own_hello = seal(Kind::Hello, 0, &nonce, &secret);
        let bytes = own_hello.clone();
        (Self { secret, is_client, own_hello, key: None, sent: 1, received: 0 }, bytes)
    }

    /// Takes a message; `None` for the hello, else its body.
    ///
    /// # Errors
    /// [`AdminError`]; nothing has changed.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, AdminError> {
        let (code, rest) = bytes.split_first_chunk::<MAC_SIZE>().ok_or(AdminError::Malformed)?;
        let key = self.key.as_ref().unwrap_or(&self.secret);
        if blake3::keyed_hash(key, rest) != *code {
            return Err(AdminError::Forged);
        }
        if message_size(bytes) != Some(bytes.len()) || counter(bytes) != self.received {
            return Err(AdminError::Malformed);
        }
        let (kind, body) = (bytes[40], &bytes[ADMIN_HEADER_SIZE..]);
        let is_first = self.key.is_none();
        if is_first != (kind == Kind::Hello as u8) || (is_first && body.len() != NONCE_SIZE) {
            return Err(AdminError::Malformed);
        }
        self.received += 1;
        if !is_first {
            return Ok(Some(body.to_vec()));
        }
        let (client, server) = if self.is_client {
            (self.own_hello.as_slice(), bytes)
        } else {
            (bytes, self.own_hello.as_slice())
        };
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(b"mizan admin connection 1");
        hasher.update(client);
        hasher.update(server);
        self.key = Some(*hasher.finalize().as_bytes());
        Ok(None)
    }

    /// The bytes of the next message; `None` before the other side's hello, or when the body is too long.
    #[must_use]
    pub fn send(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        let key = self.key?;
        if ADMIN_HEADER_SIZE + body.len() > ADMIN_MESSAGE_SIZE_MAX {
            return None;
        }
        let bytes = seal(Kind::Body, self.sent, body, &key);
        self.sent += 1;
        Some(bytes)
    }
}

/// Size of the message that begins with these bytes, if they are enough to tell and it can be one.
#[must_use]
pub fn message_size(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..ADMIN_HEADER_SIZE)?;
    let size = u32::from_le_bytes(*head[36..].first_chunk()?) as usize;
    let is_one = head[32..36] == ADMIN_MAGIC
        && head[41] == VERSION
        && (ADMIN_HEADER_SIZE..=ADMIN_MESSAGE_SIZE_MAX).contains(&size);
    is_one.then_some(size)
}

fn counter(bytes: &[u8]) -> u64 {
    bytes[48..].first_chunk().map_or(u64::MAX, |word| u64::from_le_bytes(*word))
}

fn seal(kind: Kind, counter: u64, body: &[u8], key: &[u8; 32]) -> Vec<u8> {
    let mut bytes = vec![0; ADMIN_HEADER_SIZE];
    bytes.extend_from_slice(body);
    let size = bytes.len() as u32;
    bytes[32..36].copy_from_slice(&ADMIN_MAGIC);
    bytes[36..40].copy_from_slice(&size.to_le_bytes());
    bytes[40] = kind as u8;
    bytes[41] = VERSION;
    bytes[48..56].copy_from_slice(&counter.to_le_bytes());
    let code = blake3::keyed_hash(key, &bytes[MAC_SIZE..]);
    bytes[..MAC_SIZE].copy_from_slice(code.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(secrets: [Secret; 2]) -> [(AdminChannel, Vec<u8>); 2] {
        [
            AdminChannel::new(true, [1; 32], secrets[0]),
            AdminChannel::new(false, [2; 32], secrets[1]),
        ]
    }

    #[test]
    fn a_question_and_an_answer_pass_between_two_who_know_the_secret() {
        let [(mut client, hello), (mut server, answer)] = pair([[7; 32]; 2]);
        assert_eq!(server.receive(&hello), Ok(None));
        assert_eq!(client.send(b"too early"), None);
        assert_eq!(client.receive(&answer), Ok(None));
        let question = client.send(b"promote").expect("after the hellos");
        assert_eq!(server.receive(&question), Ok(Some(b"promote".to_vec())));
        assert_eq!(server.receive(&question), Err(AdminError::Malformed), "a repetition");
        let reply = server.send(b"done").expect("after the hellos");
        assert_eq!(client.receive(&reply), Ok(Some(b"done".to_vec())));
        assert_eq!(client.send(&vec![0; ADMIN_MESSAGE_SIZE_MAX]), None, "too long");
    }

    #[test]
    fn another_secret_a_changed_byte_and_a_recording_are_refused() {
        let [(_, hello), (mut server, _)] = pair([[7; 32], [8; 32]]);
        assert_eq!(server.receive(&hello), Err(AdminError::Forged));

        let [(mut client, hello), (mut server, answer)] = pair([[7; 32]; 2]);
        for at in 0..hello.len() {
            let mut changed = hello.clone();
            changed[at] ^= 1;
            assert!(server.receive(&changed).is_err(), "byte {at}");
        }
        server.receive(&hello).unwrap();
        client.receive(&answer).unwrap();
        let question = client.send(b"promote").unwrap();
        // The same client bytes on a later connection: the server's nonce is another one.
        let (mut later, _) = AdminChannel::new(false, [3; 32], [7; 32]);
        later.receive(&hello).unwrap();
        assert_eq!(later.receive(&question), Err(AdminError::Forged));
    }

    #[test]
    fn no_prefix_of_a_message_is_taken_for_one() {
        let (_, hello) = AdminChannel::new(true, [1; 32], [7; 32]);
        assert_eq!(message_size(&hello), Some(hello.len()));
        for length in 0..hello.len() {
            let (mut server, _) = AdminChannel::new(false, [2; 32], [7; 32]);
            assert!(server.receive(&hello[..length]).is_err());
        }
        for size in [0u32, 63, ADMIN_MESSAGE_SIZE_MAX as u32 + 1, u32::MAX] {
            let mut changed = hello.clone();
            changed[36..40].copy_from_slice(&size.to_le_bytes());
            assert_eq!(message_size(&changed), None);
        }
    }
}
