//! Why a message is not taken. The state is then as it was before.

use thiserror::Error;

/// What was wrong with a message.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum MessageError {
    /// Too short, too long, or with fields that contradict each other.
    #[error("a message that cannot be understood; check that both nodes run the same release")]
    Malformed,
    /// Another version of the protocol.
    #[error("a message of protocol version {0}; upgrade the older node")]
    Version(u8),
    /// Another cluster.
    #[error("a message of another cluster; check the addresses of the peers")]
    Cluster,
    /// Not from the peer at the other end, or not for this node.
    #[error("a message with other node indexes than the connection has; check the addresses")]
    Address,
    /// Before both sides have said hello.
    #[error("a message before the hello")]
    NoHello,
    /// The authentication code does not hold.
    #[error("a message that was not made with the cluster's secret, or not for this connection")]
    Forged,
    /// Messages are missing on this connection.
    #[error("message {found} where {expected} was expected; the connection lost something")]
    Gap {
        /// The number expected.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// Came before.
    #[error("a message that came before")]
    Repeated,
    /// From an epoch that is over.
    #[error("a message of epoch {found}, this node has seen {highest}")]
    OldEpoch {
        /// The message's epoch.
        found: u64,
        /// The highest epoch seen.
        highest: u64,
    },
    /// Of an epoch that no cluster comes to.
    #[error(
        "a message of epoch {found}, more than 2^32 above {highest}, the highest that this node has seen; look at the sender"
    )]
    EpochTooFar {
        /// The message's epoch.
        found: u64,
        /// The highest epoch seen.
        highest: u64,
    },
    /// There is no such peer, or no connection to it.
    #[error("a message from a peer that is not connected")]
    NotConnected,
    /// More frames than this node may have to hold in memory.
    #[error(
        "more frames at once than the window allows; check that both nodes run the same release"
    )]
    Window,
    /// This node has stopped with an alarm.
    #[error("this node has stopped with an alarm; restart it after its cause is cleared")]
    Stopped,
}

impl MessageError {
    /// Whether the connection is still good: the message was old, not wrong.
    #[must_use]
    pub const fn is_harmless(self) -> bool {
        matches!(self, Self::Repeated | Self::OldEpoch { .. } | Self::Stopped)
    }
}
