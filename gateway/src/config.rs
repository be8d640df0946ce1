//! The gateway's limits: those that may be configured, and those that may not.

use crate::error::GatewayError;
use mizan_wire::limits::{FRAME_SIZE_MAX, HEADER_SIZE};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Bytes of a small receive buffer; a frame up to this size never needs a full one.
pub(crate) const BUFFER_SMALL_SIZE: usize = 8 * 1024;
/// Bytes of a full receive buffer: the largest frame.
pub(crate) const BUFFER_FULL_SIZE: usize = FRAME_SIZE_MAX;
/// A bulk read of less than this is not worth its call: the gateway waits until the sink has room for it.
pub(crate) const READ_BYTES_MIN: usize = 256;
/// Bytes of the smallest write: one event of 128 bytes. Guides how much is read from a connection near its limit.
pub(crate) const WRITE_FRAME_SIZE_MIN: usize = 2 * HEADER_SIZE;
/// The congestion control of connections within one machine. Controls that pace, such as BBR, arm a timer for every
/// burst of replies instead, which costs a virtual machine dear.
pub(crate) const LOOPBACK_CONGESTION_CONTROL: &str = "reno";
/// Connections accepted in one poll at the most, so that a flood of them does not starve those that are there.
pub(crate) const ACCEPTS_PER_POLL: usize = 256;
/// Places beyond `connection_count_max` for connections that are only told that there are too many.
pub(crate) const REFUSED_COUNT_MAX: usize = 64;
/// Descriptors that connections leave to the rest of the process: segments, peers, listeners, and files of tools.
pub(crate) const DESCRIPTORS_KEPT: u64 = 256;
/// A connection that has not said hello for so long may have to make room for another.
pub(crate) const HELLO_GRACE_NS: u64 = 1_000_000_000;
/// How long a connection that came when all places were taken has to say that it is an operator's.
pub(crate) const EXTRA_HELLO_NS: u64 = 1_000_000_000;
/// When the system begins to ask an idle peer whether it is still there, how often, and how many answers it may miss.
pub(crate) const KEEPALIVE: (Duration, Duration, u32) =
    (Duration::from_secs(60), Duration::from_secs(15), 4);
/// Pause after the system refused another descriptor.
pub(crate) const ACCEPT_PAUSE_NS: u64 = 100_000_000;
/// Readiness events taken from the system in one poll at the most.
pub(crate) const EVENTS_PER_POLL: usize = 1024;
/// Reply buffers and queues kept for the next connection that needs one.
pub(crate) const SPARES_MAX: usize = 64;
/// Reply buffers larger than this are given back to the system.
pub(crate) const SPARE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Connections at the most, whatever is configured: their numbers must fit half of a token.
const CONNECTIONS_LIMIT: usize = 1 << 24;
/// Bytes of one pool of receive buffers at the most, whatever is configured.
const POOL_LIMIT: usize = 1 << 40;

/// How a gateway is set up. The defaults suit 16,384 connections within about 320 MiB.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Connections at the most. Where the process may not have as many descriptors, it is fewer.
    pub connection_count_max: usize,
    /// Places beyond those, for operators on the node's own machine.
    pub operator_count_max: usize,
    /// Bytes read from a connection in its turn at the most.
    pub read_bytes_max: usize,
    /// Receive buffers of 8 KiB.
    pub buffer_small_count: usize,
    /// Receive buffers for the largest frame.
    pub buffer_full_count: usize,
    /// Requests of a connection without a reply at the most; then the connection is not read.
    pub in_flight_max: usize,
    /// Bytes of a connection's replies at the most: those that wait for its socket, and the largest that those in
    /// flight may become. Then the connection is not read.
    pub reply_bytes_max: usize,
    /// Bytes of all replies that wait for sockets at the most; beyond, who has not read for longest is cut off.
    pub reply_bytes_total_max: usize,
    /// A frame must arrive whole within this time.
    pub partial_timeout: Duration,
    /// The same while another connection needs the buffer that the frame fills.
    pub partial_grace: Duration,
    /// Replies must be read with at most this pause.
    pub slow_reader_timeout: Duration,
    /// Time for the first hello; `None` lets connections be silent for ever.
    pub hello_timeout: Option<Duration>,
    /// How long a connection may send nothing while nothing is owed to it; `None` is for ever.
    pub idle_timeout: Option<Duration>,
    /// The same while all places are taken and another connection waits for one.
    pub idle_grace: Duration,
    /// Time that a connection which is being closed has to take the last frame and hang up.
    pub linger_timeout: Duration,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7117)),
            connection_count_max: 16_384,
            operator_count_max: 16,
            // A round of 256 requests of one event: with more, what is read first waits long for the rest to be taken.
            read_bytes_max: 64 * 1024,
            buffer_small_count: 1024,
            buffer_full_count: 32,
            in_flight_max: 16_384,
            reply_bytes_max: 8 * 1024 * 1024,
            reply_bytes_total_max: 256 * 1024 * 1024,
            partial_timeout: Duration::from_secs(10),
            partial_grace: Duration::from_millis(100),
            slow_reader_timeout: Duration::from_secs(10),
            hello_timeout: Some(Duration::from_secs(10)),
            idle_timeout: Some(Duration::from_secs(3_600)),
            idle_grace: Duration::from_secs(60),
            linger_timeout: Duration::from_secs(1),
        }
    }
}

impl GatewayConfig {
    /// Whether every value is within its limits.
    ///
    /// # Errors
    /// The first option that is not, with its limits.
    pub fn check(&self) -> Result<(), GatewayError> {
        let read_most = FRAME_SIZE_MAX - HEADER_SIZE;
        let replies = self.reply_bytes_max;
        let small_most = POOL_LIMIT / BUFFER_SMALL_SIZE;
        let full_most = POOL_LIMIT / BUFFER_FULL_SIZE;
        for (option, value, least, most) in [
            ("connection_count_max", self.connection_count_max, 1, CONNECTIONS_LIMIT),
            ("operator_count_max", self.operator_count_max, 0, CONNECTIONS_LIMIT),
            ("read_bytes_max", self.read_bytes_max, READ_BYTES_MIN, read_most),
            ("buffer_small_count", self.buffer_small_count, 1, small_most),
            ("buffer_full_count", self.buffer_full_count, 1, full_most),
            ("in_flight_max", self.in_flight_max, 1, u32::MAX as usize),
            ("reply_bytes_max", replies, FRAME_SIZE_MAX, u32::MAX as usize),
            ("reply_bytes_total_max", self.reply_bytes_total_max, replies, usize::MAX),
        ] {
            if !(least..=most).contains(&value) {
                return Err(GatewayError::Option { option, value, least, most });
            }
        }
        Ok(())
    }
}

/// A time as nanoseconds; what does not fit lasts for ever.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A time as the wire's milliseconds.
pub(crate) fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_within_their_limits() {
        assert!(GatewayConfig::default().check().is_ok());
    }

    #[test]
    fn a_value_outside_its_limits_is_named_in_the_error() {
        let refused = |config: GatewayConfig| match config.check() {
            Err(GatewayError::Option { option, .. }) => option,
            other => panic!("{other:?}"),
        };
        let base = GatewayConfig::default();
        let reply_bytes_max = FRAME_SIZE_MAX - 1;
        assert_eq!(refused(GatewayConfig { reply_bytes_max, ..base.clone() }), "reply_bytes_max");
        let read_bytes_max = FRAME_SIZE_MAX;
        assert_eq!(refused(GatewayConfig { read_bytes_max, ..base.clone() }), "read_bytes_max");
        let buffer_full_count = 0;
        assert_eq!(refused(GatewayConfig { buffer_full_count, ..base }), "buffer_full_count");
    }
}
