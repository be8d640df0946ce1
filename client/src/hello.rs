//! The first exchange on a connection: what the client says, and what it makes of the answer.

use crate::constants::{
    COUNTER_MAX, RELEASE, REQUEST_LAST_MAX, WINDOW_BYTES_MAX, WINDOW_BYTES_PER_EVENT,
    WRITES_IN_FLIGHT_MAX,
};
use crate::error::Trouble;
use crate::{ClientConfig, ClientError};
use mizan_wire::RequestStatus;
use mizan_wire::frame::{HELLO_OPERATOR, HELLO_READ_ONLY, Hello, HelloReply, NodeLimits};
use mizan_wire::limits::{EVENTS_MAX, HEADER_SIZE};
use std::net::SocketAddr;
use zerocopy::FromBytes;

const ROLE_PRIMARY: u8 = 1;
const ROLE_STANDBY: u8 = 2;

/// What the node said of itself when the client connected last.
#[derive(Clone, Copy, Debug)]
pub struct NodeInfo {
    /// The address that answered.
    pub address: SocketAddr,
    /// The node's cluster.
    pub cluster: u128,
    /// The session's number; 0 for a read-only client.
    pub session: u64,
    /// The highest epoch seen so far.
    pub epoch: u64,
    /// The highest commit sequence seen so far.
    pub commit: u64,
    /// 1 primary, 2 standby.
    pub role: u8,
    /// Whether the session was there before.
    pub resumed: bool,
    /// What the node allows, as it said; the window is cut to what a client uses at the most.
    pub limits: NodeLimits,
}

impl NodeInfo {
    /// Whether the node is the primary.
    #[must_use]
    pub const fn is_primary(&self) -> bool {
        self.role == ROLE_PRIMARY
    }

    /// Events of a request at the most: the least of what protocol, node and window allow.
    #[must_use]
    pub fn events_max(&self) -> u32 {
        let of_window = u64::from(self.limits.window_bytes) / WINDOW_BYTES_PER_EVENT;
        let of_frame = (self.limits.frame_size_max as usize).saturating_sub(HEADER_SIZE) / 128;
        let least = of_window.min(of_frame as u64).min(u64::from(EVENTS_MAX));
        self.limits.events_max.min(least as u32)
    }
}

/// The first frame of a connection; `session` is the one to resume, or 0.
pub(crate) fn hello(config: &ClientConfig, session: u64) -> [u8; HEADER_SIZE] {
    let frame = Hello {
        client: if config.read_only { 0 } else { config.client_id },
        cluster: config.cluster,
        session,
        release: RELEASE,
        auth_method: config.auth_method,
        flags: if config.read_only { HELLO_READ_ONLY } else { 0 }
            | if config.operator { HELLO_OPERATOR } else { 0 },
        ..Hello::default()
    };
    frame.seal(&config.credential)
}

/// Checks the answer against what was asked, and against the node that was met before.
pub(crate) fn check_reply(
    config: &ClientConfig,
    address: SocketAddr,
    known: Option<&NodeInfo>,
    reply: &HelloReply,
    body: &[u8],
) -> Result<NodeInfo, Trouble> {
    let status = known_status(reply.status).map_err(Trouble::Final)?;
    let limits = NodeLimits::read_from_bytes(body).ok();
    if status != RequestStatus::Ok {
        let hint = limits.and_then(|limits| parse_hint(&limits.primary_hint));
        return Err(reject(config, address, status, hint, reply.cluster, ""));
    }
    let Some(limits) = limits else {
        return Err(protocol("a hello's reply has no limits"));
    };
    let expected_cluster = known.map_or(config.cluster, |known| known.cluster);
    if expected_cluster != 0 && reply.cluster != expected_cluster {
        let (expected, found) = (expected_cluster, reply.cluster);
        return Err(Trouble::Final(ClientError::ClusterMismatch { expected, found }));
    }
    let client = if config.read_only { 0 } else { config.client_id };
    if reply.client != client || (reply.session == 0) != config.read_only {
        return Err(protocol("a hello's reply is for another client"));
    }
    check_numbers(config, reply)?;
    if known.is_some_and(|known| reply.epoch < known.epoch) {
        // It does not know yet that it was succeeded, and may lack what was acknowledged since.
        let text = "the node was primary in an earlier epoch".to_owned();
        let error = ClientError::Unreachable(address, text);
        return Err(Trouble::Passing { error, primary_hint: None });
    }
    if known.is_some_and(|known| known.session != reply.session) {
        return Err(Trouble::Final(ClientError::SessionLost));
    }
    let info = NodeInfo {
        address,
        cluster: reply.cluster,
        session: reply.session,
        epoch: known.map_or(0, |known| known.epoch).max(reply.epoch),
        commit: known.map_or(0, |known| known.commit).max(reply.commit),
        role: reply.role,
        resumed: reply.resumed != 0,
        limits: NodeLimits {
            window_requests: limits.window_requests.min(WRITES_IN_FLIGHT_MAX),
            window_bytes: limits.window_bytes.min(WINDOW_BYTES_MAX),
            ..limits
        },
    };
    if info.events_max() == 0 || limits.window_requests == 0 {
        return Err(protocol("the node's limits allow no request at all"));
    }
    Ok(info)
}

/// Numbers that no sound node names: what the client counts on from them would leave the numbers' range.
fn check_numbers(config: &ClientConfig, reply: &HelloReply) -> Result<(), Trouble> {
    let request_last_max = if config.read_only { 0 } else { REQUEST_LAST_MAX };
    if reply.request_last > request_last_max {
        return Err(protocol("a hello's reply claims more writes than a session can have"));
    }
    if reply.epoch > COUNTER_MAX || reply.commit > COUNTER_MAX || reply.session > COUNTER_MAX {
        return Err(protocol("a hello's reply has a number beyond 2^63"));
    }
    if !matches!(reply.role, ROLE_PRIMARY | ROLE_STANDBY) || reply.resumed > 1 {
        return Err(protocol("a hello's reply is of a node that is neither primary nor standby"));
    }
    Ok(())
}

/// What a status that ends a hello or a connection means for the client.
pub(crate) fn reject(
    config: &ClientConfig,
    address: SocketAddr,
    status: RequestStatus,
    primary_hint: Option<SocketAddr>,
    cluster: u128,
    text: &str,
) -> Trouble {
    use RequestStatus as Status;
    let passing = |reason: &str| Trouble::Passing {
        error: ClientError::Unreachable(address, reason.to_owned()),
        primary_hint,
    };
    match status {
        Status::CredentialsRefused | Status::AuthMethodUnsupported => {
            Trouble::Final(ClientError::RefusedCredentials(status))
        }
        Status::ClusterMismatch => {
            let expected = config.cluster;
            Trouble::Final(ClientError::ClusterMismatch { expected, found: cluster })
        }
        Status::ProtocolUnsupported => Trouble::Final(ClientError::VersionMismatch),
        Status::SessionUnknown => Trouble::Final(ClientError::SessionLost),
        Status::NotPrimary => Trouble::Passing {
            error: ClientError::NotPrimary { address, primary: primary_hint },
            primary_hint,
        },
        Status::ShuttingDown => passing("the node is stopping"),
        Status::TooManyConnections => passing("the node has as many connections as it allows"),
        Status::IdleTimeout => passing("the connection was idle for long"),
        Status::Overloaded | Status::JournalSpaceLow | Status::SessionsFull => {
            Trouble::Passing { error: ClientError::Refused(status), primary_hint }
        }
        // Damage or delay on the way: the same frames may arrive sound next time.
        Status::HeaderChecksumMismatch
        | Status::BodyChecksumMismatch
        | Status::PartialRequestTimeout
        | Status::HelloTimeout
        | Status::SlowReader => Trouble::Passing {
            error: ClientError::Connection(status, text.to_owned()),
            primary_hint,
        },
        _ => Trouble::Final(ClientError::Connection(status, text.to_owned())),
    }
}

pub(crate) fn known_status(number: u32) -> Result<RequestStatus, ClientError> {
    use mizan_wire::Status;
    RequestStatus::from_number(number)
        .ok_or_else(|| ClientError::Protocol(format!("status {number} is unknown")))
}

fn protocol(text: &str) -> Trouble {
    Trouble::Final(ClientError::Protocol(text.to_owned()))
}

fn parse_hint(hint: &[[u8; 32]; 2]) -> Option<SocketAddr> {
    mizan_wire::read_name(hint.as_flattened())?.parse().ok()
}

/// A text from the node, fit to be shown: no control characters, which could steer a terminal.
pub(crate) fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}
