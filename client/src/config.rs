//! What a client is told before it connects.

use crate::constants::{
    CONNECT_TIMEOUT_DEFAULT, PORT_DEFAULT, REQUEST_TIMEOUT_DEFAULT, TIMEOUT_MAX,
};
use crate::id::random_u128;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// What a client is told before it connects.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The nodes, tried in this order; not empty.
    pub addresses: Vec<SocketAddr>,
    /// Who the client is; not 0. A process that takes up an earlier session again gives the same id again, and then
    /// declares all replies of that session as received.
    pub client_id: u128,
    /// Opens no session: only reads are allowed, and nothing is left behind on the node.
    pub read_only: bool,
    /// Says that this is a tool of the node's operator, which may take the places that are kept for those. Nodes believe it
    /// of who comes from their own machine.
    pub operator: bool,
    /// The cluster that must answer; 0 for any.
    pub cluster: u128,
    /// How long one attempt to connect and say hello may take.
    pub connect_timeout: Duration,
    /// How long a request may stay unanswered before its fate is reported as unknown. The time of a write that was
    /// submitted runs from the next poll or flush.
    pub request_timeout: Duration,
    /// Whether to connect again and resend after a connection broke.
    pub reconnect: bool,
    /// How the client proves who it is: 0 not at all.
    pub auth_method: u8,
    /// The proof; at most 256 bytes.
    pub credential: Vec<u8>,
}

impl Default for ClientConfig {
    /// A node on this machine, a random client id, no credential. Cost: one system call for the id.
    fn default() -> Self {
        Self {
            addresses: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, PORT_DEFAULT))],
            client_id: random_client_id(),
            read_only: false,
            operator: false,
            cluster: 0,
            connect_timeout: CONNECT_TIMEOUT_DEFAULT,
            request_timeout: REQUEST_TIMEOUT_DEFAULT,
            reconnect: true,
            auth_method: 0,
            credential: Vec::new(),
        }
    }
}

impl ClientConfig {
    /// The defaults, for the node at this address.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self { addresses: vec![address], ..Self::default() }
    }
}

/// The moment at which a timeout that begins now is over.
pub(crate) fn after(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(TIMEOUT_MAX)
}

fn random_client_id() -> u128 {
    loop {
        let id = random_u128();
        if id != 0 {
            return id;
        }
    }
}
