//! The operator's connection: one question, one answer, both proved under the cluster's secret.
//!
//! The node greets, the operator's hello is sealed over the greeting, the node's answer over both, and what follows is
//! under a key made of all three, as between nodes. So a recording neither promotes nor gets a place. Bodies are opaque
//! here. It deliberately encrypts nothing.

use crate::connection::{Secret, is_sealed};
use crate::handshake::{GREETING_SIZE, Greeting};
use thiserror::Error;

/// Bytes of a header; the body follows.
pub const ADMIN_HEADER_SIZE: usize = 64;
/// Largest message.
pub const ADMIN_MESSAGE_SIZE_MAX: usize = 64 << 10;
/// First bytes of a message behind its code.
pub const ADMIN_MAGIC: [u8; 4] = *b"MZA1";

const VERSION: u8 = 2;
const NONCE_SIZE: usize = 32;
const HELLO: &[u8] = b"mizan admin hello 2";
const ANSWER: &[u8] = b"mizan admin answer 2";

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
    state: State,
    sent: u64,
    received: u64,
}

#[derive(Debug)]
enum State {
    /// The operator's side, until the node has answered.
    Dialled {
        secret: Secret,
        greeting: [u8; GREETING_SIZE],
        hello: Vec<u8>,
    },
    Open {
        key: [u8; 32],
    },
}

impl AdminChannel {
    /// The operator's side of a connection to a node that greeted, and the hello to send. `nonce` is 32 fresh random
    /// bytes.
    #[must_use]
    pub fn dial(greeting: &Greeting, nonce: [u8; NONCE_SIZE], secret: Secret) -> (Self, Vec<u8>) {
        let greeting = greeting.encode();
        let hello = seal(&[HELLO, &greeting], Kind::Hello, 0, &nonce, &secret);
        let state = State::Dialled { secret, greeting, hello: hello.clone() };
        (Self { state, sent: 1, received: 0 }, hello)
    }

    /// The node's side: judges the hello that came behind its greeting, and makes the answer.
    ///
    /// # Errors
    /// [`AdminError`].
    pub fn accept(
        greeting: &Greeting,
        hello: &[u8],
        secret: &Secret,
    ) -> Result<(Self, Vec<u8>), AdminError> {
        let bytes = greeting.encode();
        check(&[HELLO, &bytes], Kind::Hello, 0, hello, secret)?;
        let answer = seal(&[ANSWER, &bytes, hello], Kind::Hello, 0, &greeting.nonce, secret);
        let key = connection_key(secret, &bytes, hello, &answer);
        Ok((Self { state: State::Open { key }, sent: 1, received: 1 }, answer))
    }

    /// Takes a message; `None` for the answer to the hello, else its body.
    ///
    /// # Errors
    /// [`AdminError`]; nothing has changed.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, AdminError> {
        match &self.state {
            State::Dialled { secret, greeting, hello } => {
                let body = check(&[ANSWER, greeting, hello], Kind::Hello, 0, bytes, secret)?;
                if body != &greeting[GREETING_SIZE - NONCE_SIZE..] {
                    return Err(AdminError::Malformed);
                }
                let key = connection_key(secret, greeting, hello, bytes);
                self.state = State::Open { key };
                self.received = 1;
                Ok(None)
            }
            State::Open { key } => {
                let body = check(&[], Kind::Body, self.received, bytes, key)?;
                self.received += 1;
                Ok(Some(body.to_vec()))
            }
        }
    }

    /// The bytes of the next message; `None` before the other side's hello, or when the body is too long.
    #[must_use]
    pub fn send(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        let State::Open { key } = self.state else { return None };
        if ADMIN_HEADER_SIZE + body.len() > ADMIN_MESSAGE_SIZE_MAX {
            return None;
        }
        let bytes = seal(&[], Kind::Body, self.sent, body, &key);
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

/// The body of a message of this kind and number whose code holds over these parts and itself.
fn check<'a>(
    parts: &[&[u8]],
    kind: Kind,
    number: u64,
    bytes: &'a [u8],
    key: &[u8; 32],
) -> Result<&'a [u8], AdminError> {
    if bytes.len() < ADMIN_HEADER_SIZE {
        return Err(AdminError::Malformed);
    }
    if !is_sealed(parts, bytes, key) {
        return Err(AdminError::Forged);
    }
    let body = &bytes[ADMIN_HEADER_SIZE..];
    let is_one = message_size(bytes) == Some(bytes.len())
        && counter(bytes) == number
        && bytes[40] == kind as u8
        && (kind == Kind::Body || body.len() == NONCE_SIZE);
    if is_one { Ok(body) } else { Err(AdminError::Malformed) }
}

fn connection_key(secret: &Secret, greeting: &[u8], hello: &[u8], answer: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(secret);
    hasher.update(b"mizan admin connection 2");
    hasher.update(greeting).update(hello).update(answer);
    *hasher.finalize().as_bytes()
}

fn seal(parts: &[&[u8]], kind: Kind, counter: u64, body: &[u8], key: &[u8; 32]) -> Vec<u8> {
    let mut bytes = vec![0; ADMIN_HEADER_SIZE];
    bytes.extend_from_slice(body);
    let size = bytes.len() as u32;
    bytes[32..36].copy_from_slice(&ADMIN_MAGIC);
    bytes[36..40].copy_from_slice(&size.to_le_bytes());
    bytes[40] = kind as u8;
    bytes[41] = VERSION;
    bytes[48..56].copy_from_slice(&counter.to_le_bytes());
    crate::connection::seal(parts, &mut bytes, key);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(nonce: u8) -> Greeting {
        Greeting { cluster: 5, index: 1, nonce: [nonce; 32] }
    }

    fn dial(nonce: u8) -> (AdminChannel, Vec<u8>) {
        AdminChannel::dial(&greeting(nonce), [1; 32], [7; 32])
    }

    fn accept(nonce: u8, hello: &[u8]) -> Result<(AdminChannel, Vec<u8>), AdminError> {
        AdminChannel::accept(&greeting(nonce), hello, &[7; 32])
    }

    #[test]
    fn a_question_and_an_answer_pass_between_two_who_know_the_secret() {
        let (mut client, hello) = dial(2);
        let (mut server, answer) = accept(2, &hello).unwrap();
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
        let (_, foreign) = AdminChannel::dial(&greeting(2), [1; 32], [8; 32]);
        assert_eq!(accept(2, &foreign).err(), Some(AdminError::Forged));

        let (mut client, hello) = dial(2);
        for at in 0..hello.len() {
            let mut changed = hello.clone();
            changed[at] ^= 1;
            assert!(accept(2, &changed).is_err(), "byte {at}");
        }
        let (mut server, answer) = accept(2, &hello).unwrap();
        for at in 0..answer.len() {
            let mut changed = answer.clone();
            changed[at] ^= 1;
            assert!(client.receive(&changed).is_err(), "byte {at}");
        }
        client.receive(&answer).unwrap();
        let question = client.send(b"promote").unwrap();
        server.receive(&question).unwrap();
        // The same hello on a later connection: the node's nonce is another one.
        assert_eq!(accept(3, &hello).err(), Some(AdminError::Forged));
        // The same hello at another node, or at one of another cluster.
        for other in [Greeting { index: 2, ..greeting(2) }, Greeting { cluster: 6, ..greeting(2) }]
        {
            let taken = AdminChannel::accept(&other, &hello, &[7; 32]);
            assert_eq!(taken.err(), Some(AdminError::Forged));
        }
        // A hello is no answer.
        let (mut client, hello) = dial(2);
        assert_eq!(client.receive(&hello), Err(AdminError::Forged));
    }

    #[test]
    fn no_prefix_of_a_message_is_taken_for_one() {
        let (_, hello) = dial(2);
        assert_eq!(message_size(&hello), Some(hello.len()));
        for length in 0..hello.len() {
            assert!(accept(2, &hello[..length]).is_err());
        }
        for size in [0u32, 63, ADMIN_MESSAGE_SIZE_MAX as u32 + 1, u32::MAX] {
            let mut changed = hello.clone();
            changed[36..40].copy_from_slice(&size.to_le_bytes());
            assert_eq!(message_size(&changed), None);
        }
    }

    #[test]
    fn the_codes_cover_what_is_drawn() {
        let (_, hello) = dial(2);
        let (mut server, answer) = accept(2, &hello).unwrap();
        let greeting = greeting(2).encode();
        let head = |kind: u8, size: u8, number: u8| {
            let mut bytes = [0; 32];
            bytes[..10].copy_from_slice(&[b'M', b'Z', b'A', b'1', size, 0, 0, 0, kind, 2]);
            bytes[16] = number;
            bytes
        };
        let code = |key: [u8; 32], parts: &[&[u8]]| {
            let code = *blake3::keyed_hash(&key, &parts.concat()).as_bytes();
            [&code[..], &parts[parts.len() - 2..].concat()].concat()
        };
        let secret = [7; 32];
        assert_eq!(
            hello,
            code(secret, &[b"mizan admin hello 2", &greeting, &head(1, 96, 0), &[1; 32]])
        );
        let parts: [&[u8]; 5] =
            [b"mizan admin answer 2", &greeting, &hello, &head(1, 96, 0), &[2; 32]];
        assert_eq!(answer, code(secret, &parts));
        let parts: [&[u8]; 4] = [b"mizan admin connection 2", &greeting, &hello, &answer];
        let key = *blake3::keyed_hash(&secret, &parts.concat()).as_bytes();
        assert_eq!(server.send(b"xy").unwrap(), code(key, &[&head(2, 66, 1), b"xy"]));
    }
}
