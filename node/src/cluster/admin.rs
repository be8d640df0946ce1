//! What an operator may ask a node of a cluster, and the blocking client for it.
//!
//! Bodies are JSON under the cluster's secret; see `mizan_replica::admin` for the proof.

use crate::cluster::status::ClusterStatus;
use mizan_replica::admin::{ADMIN_HEADER_SIZE, AdminChannel, AdminError, message_size};
use mizan_replica::handshake::{GREETING_SIZE, Greeting};
use mizan_replica::{MessageError, Secret};
use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use thiserror::Error;

const NO_NODE: &str = "this is no node's replication address; see --replicate of the node";

/// A question.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum AdminRequest {
    /// Where the node stands.
    Status,
    /// Make this node the primary.
    Promote {
        /// Refuse if the node has seen another epoch.
        expect_epoch: Option<u64>,
        /// Acknowledge with this copy alone until another one has caught up.
        solo: bool,
        /// Go on without enough grants: what follows this sequence may be lost.
        accept_loss_after: Option<u64>,
        /// Believe the node's wall clock, also where it is more than a day ahead of the log and no other node tells the time.
        #[serde(default)]
        accept_clock: bool,
    },
    /// On the primary: go on without this node.
    Detach {
        /// Its number.
        node: u8,
    },
    /// What a new disk needs to join.
    Join {
        /// The number it is to have; `None` takes one that is free.
        node: Option<u8>,
    },
}

/// What a new disk needs to know. Bytes are hexadecimal.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct JoinInfo {
    /// Cluster id.
    pub cluster: String,
    /// The number of the new node.
    pub node: u8,
    /// Whether this is the node's first disk: then it begins with the cluster's first entry.
    pub is_first_disk: bool,
    /// The limits fixed at format.
    pub genesis: String,
    /// The log's first entry, for a first disk.
    pub first_entry: Option<String>,
    /// The cluster's record, without what is the node's own.
    pub record: String,
    /// Bytes of a segment.
    pub segment_size: u64,
}

/// An answer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum AdminReply {
    /// To `Status`.
    Status(Box<ClusterStatus>),
    /// The node is primary.
    Promoted {
        /// Its epoch.
        epoch: u64,
        /// Sequence of the epoch's first entry.
        sequence: u64,
        /// From the question to the epoch's first entry on this disk, in microseconds.
        took_us: u64,
        /// More copies are needed before anything is acknowledged.
        is_stalled: bool,
    },
    /// The record that needs one copy is on its way.
    Detached,
    /// To `Join`.
    Join(Box<JoinInfo>),
    /// Nothing was done.
    Refused {
        /// A stable word.
        name: String,
        /// What it is, and what to do.
        text: String,
    },
}

/// Why a question was not answered.
#[derive(Debug, Error)]
pub enum AskError {
    /// Nobody there, or nobody who speaks the protocol. Nothing was asked.
    #[error("{address} does not answer: {source}")]
    Io {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The node does not take the secret, or does not prove the same one. Nothing was asked.
    #[error("{address} refused: {}", of_secret(*.has_secret))]
    Secret {
        /// The address.
        address: SocketAddr,
        /// Whether a secret was given at all.
        has_secret: bool,
    },
    /// The question was sent, and no answer came. What was asked for may have happened or not.
    #[error("{address} did not answer: {source}")]
    NoAnswer {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The question was sent, and the answer is none of the protocol. What was asked for may have happened or not.
    #[error("{address}: {source}")]
    Protocol {
        /// The address.
        address: SocketAddr,
        /// What is wrong.
        source: AdminError,
    },
}

impl AskError {
    /// Whether the question left, so that what was asked for may have happened.
    #[must_use]
    pub const fn was_asked(&self) -> bool {
        matches!(self, Self::NoAnswer { .. } | Self::Protocol { .. })
    }
}

const fn of_secret(has_secret: bool) -> &'static str {
    if has_secret {
        "its cluster has another secret than the one that was given, or none"
    } else {
        "no secret was given, and its cluster has one; name the file that holds it with --secret-file"
    }
}

/// Asks the node whose replication listener is at `address`; blocks for at most about `timeout`, or twice that if the node
/// hangs up.
///
/// # Errors
/// [`AskError`].
pub fn ask(
    address: SocketAddr,
    secret: Secret,
    request: &AdminRequest,
    timeout: Duration,
) -> Result<AdminReply, AskError> {
    match ask_once(address, secret, request, timeout) {
        // A node that starts again from its files hangs up, too: it says nothing the next time, or all.
        Err(AskError::Secret { .. }) => ask_once(address, secret, request, timeout),
        outcome => outcome,
    }
}

fn ask_once(
    address: SocketAddr,
    secret: Secret,
    request: &AdminRequest,
    timeout: Duration,
) -> Result<AdminReply, AskError> {
    let io = |source| AskError::Io { address, source };
    let mut stream = TcpStream::connect_timeout(&address, timeout).map_err(io)?;
    stream.set_read_timeout(Some(timeout)).map_err(io)?;
    stream.set_write_timeout(Some(timeout)).map_err(io)?;
    stream.set_nodelay(true).map_err(io)?;
    let greeting = receive_greeting(&mut stream).map_err(io)?;
    let (mut channel, hello) = AdminChannel::dial(&greeting, nonce().map_err(io)?, secret);
    stream.write_all(&hello).map_err(io)?;
    // A node closes the connection of whoever does not know its secret.
    let refused = || AskError::Secret { address, has_secret: secret != Secret::default() };
    let answer = receive(&mut stream)
        .map_err(|error| if is_hang_up(&error) { refused() } else { io(error) })?;
    let protocol = |source| AskError::Protocol { address, source };
    channel.receive(&answer).map_err(|error| match error {
        AdminError::Forged => refused(),
        AdminError::Malformed => io(std::io::Error::other(NO_NODE)),
    })?;
    let no_answer = |source| AskError::NoAnswer { address, source };
    let body = serde_json::to_vec(request).expect("invariant: a request has a JSON form");
    let question = channel.send(&body).ok_or(AdminError::Malformed).map_err(protocol)?;
    stream.write_all(&question).map_err(no_answer)?;
    let reply = receive(&mut stream).map_err(no_answer)?;
    let body = channel.receive(&reply).map_err(protocol)?.unwrap_or_default();
    serde_json::from_slice(&body).map_err(|_| protocol(AdminError::Malformed))
}

fn is_hang_up(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}

/// What a node says first; one that is still recovering says it when it is done.
fn receive_greeting(stream: &mut TcpStream) -> std::io::Result<Greeting> {
    use std::io::{Error, ErrorKind};
    let mut bytes = [0; GREETING_SIZE];
    stream.read_exact(&mut bytes).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::new(
            ErrorKind::TimedOut,
            "it says nothing: a node that is still recovering answers later, and other addresses than --replicate of a node never do",
        ),
        _ => error,
    })?;
    Greeting::decode(&bytes).map_err(|error| match error {
        MessageError::Version(_) => Error::other(error),
        _ => Error::other(NO_NODE),
    })
}

fn receive(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; ADMIN_HEADER_SIZE];
    stream.read_exact(&mut bytes).map_err(|error| {
        if !is_hang_up(&error) {
            return error;
        }
        std::io::Error::new(
            error.kind(),
            "it closed the connection, as it does when it starts again from its files: another node was promoted, or its own log had to be cut back first, and a promotion of it that had begun goes on; look at the status of all nodes",
        )
    })?;
    let size = message_size(&bytes).ok_or_else(|| std::io::Error::other(NO_NODE))?;
    bytes.resize(size, 0);
    stream.read_exact(&mut bytes[ADMIN_HEADER_SIZE..])?;
    Ok(bytes)
}

/// Fresh random bytes.
///
/// # Errors
/// The system has none.
pub(crate) fn nonce() -> std::io::Result<[u8; 32]> {
    let mut nonce = [0; 32];
    getrandom(&mut nonce, GetRandomFlags::empty())?;
    Ok(nonce)
}

/// Bytes as hexadecimal text.
#[must_use]
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Hexadecimal text as bytes.
#[must_use]
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
