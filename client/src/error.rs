//! What can go wrong, in classes that a tool can act on.

use mizan_wire::{RequestStatus, Status};
use std::net::SocketAddr;
use thiserror::Error;

/// Why a call failed.
///
/// Only [`ClientError::Unknown`] and the errors that end a client ([`ClientError::is_final`]) leave the fate of a
/// write open. After any other error nothing was executed.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ClientError {
    /// No connection to any node; the address is the last one tried.
    #[error("no node answers at {0}: {1}; check that it is started and that the address is right")]
    Unreachable(SocketAddr, String),
    /// The node lives, but is a standby: another one may serve.
    #[error("the node at {address} is not the primary{}", named(*.primary))]
    NotPrimary {
        /// The address that answered.
        address: SocketAddr,
        /// Where the primary is, as the node says.
        primary: Option<SocketAddr>,
    },
    /// No address was of use; each one's fault.
    #[error("none of the nodes serves: {}", all_of(.0))]
    NoneOf(Vec<ClientError>),
    /// The node does not accept the credential, or not this kind of it.
    #[error("the node refused the credential ({}): {}", .0.name(), .0.meaning())]
    RefusedCredentials(RequestStatus),
    /// The node refused the request as a whole; nothing was executed.
    #[error("the node refused the request ({}): {}", .0.name(), .0.meaning())]
    Refused(RequestStatus),
    /// The node ended the connection and said why.
    #[error("the node ended the connection ({name}: {1}): {meaning}", name = .0.name(), meaning = .0.meaning())]
    Connection(RequestStatus, String),
    /// The peer does not follow the protocol.
    #[error(
        "the peer does not follow the protocol: {0}; check that the address is that of a node of a matching release"
    )]
    Protocol(String),
    /// No reply in time: the request may have been executed, may be executed yet, or never.
    #[error(
        "no reply in time, so the request's fate is unknown; send the same again: with the same ids nothing counts twice"
    )]
    Unknown,
    /// The request was never sent, so it was not executed.
    #[error(
        "no connection in time, so the request was not sent; send it again when a node is reachable"
    )]
    NotSent,
    /// The node does not know the session any longer; the fate of everything in flight is unknown.
    #[error(
        "the node no longer knows this session, so the fate of requests in flight is unknown; connect anew and send them again: with the same ids nothing counts twice"
    )]
    SessionLost,
    /// The node lacks writes that were acknowledged before: it serves an older state.
    #[error(
        "the node knows writes up to {executed} of this session, but {acknowledged} were acknowledged; stop, and find out which state it serves"
    )]
    AcknowledgedWritesLost {
        /// The last write that was answered.
        acknowledged: u64,
        /// The last write that the node knows.
        executed: u64,
    },
    /// More events than one request may have.
    #[error(
        "{count} events in one request, where {max} are allowed; split them into several requests"
    )]
    TooManyEvents {
        /// Events that were given.
        count: usize,
        /// Events that are allowed.
        max: u32,
    },
    /// The request does not fit into the window now; poll for replies first.
    #[error(
        "too many requests are in flight for the node's window; wait for replies, then submit again"
    )]
    WouldExceedWindow,
    /// The node belongs to another cluster.
    #[error("the node belongs to cluster {found}, not to {expected}; check the address")]
    ClusterMismatch {
        /// The cluster that was asked for, or met before.
        expected: u128,
        /// The cluster that answered; 0 if it did not say.
        found: u128,
    },
    /// The node speaks another version of the protocol.
    #[error(
        "the node does not speak version {} of the protocol; use a client of a matching release",
        mizan_wire::frame::PROTOCOL
    )]
    VersionMismatch,
    /// The call itself makes no sense; nothing was sent.
    #[error("{0}")]
    Invalid(&'static str),
}

fn named(primary: Option<SocketAddr>) -> String {
    match primary {
        Some(primary) => format!("; it names {primary}"),
        None => "; give the addresses of all nodes, and if none of them is, `mizan promote` one"
            .to_owned(),
    }
}

fn all_of(faults: &[ClientError]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(". ")
}

impl ClientError {
    /// What a whole round over the addresses came to.
    pub(crate) fn of_round(mut faults: Vec<Self>, last: Self) -> Self {
        faults.push(last);
        faults.dedup();
        if faults.len() > 1 { Self::NoneOf(faults) } else { faults.remove(0) }
    }

    /// Whether the client is of no use any more: every later call gives the same error.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        !matches!(
            self,
            Self::Refused(_)
                | Self::Unknown
                | Self::NotSent
                | Self::TooManyEvents { .. }
                | Self::WouldExceedWindow
                | Self::Invalid(_)
        )
    }
}

/// Why a connection is of no use any more.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Another address, or the same one later, may do better.
    Passing { error: ClientError, primary_hint: Option<SocketAddr> },
    /// Repeating it is pointless.
    Final(ClientError),
}

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        Self::Final(error)
    }
}
