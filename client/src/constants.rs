//! Every limit and delay of the client, in one place.

use std::time::Duration;

/// The port that a node listens on unless told otherwise.
pub const PORT_DEFAULT: u16 = 7117;
/// How long one attempt to connect and say hello may take.
pub const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(2);
/// How long a request may stay unanswered before its fate is reported as unknown.
pub const REQUEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// The shortest pause between two rounds of attempts to connect.
pub const RECONNECT_DELAY_MIN: Duration = Duration::from_millis(10);
/// A pause is this part of the time that attempts have been in vain: so much later than a promotion can a client find it.
pub const RECONNECT_DELAY_SHARE: u32 = 8;
/// The longest pause between two rounds of attempts to connect: what a client may miss of a promotion.
pub const RECONNECT_DELAY_MAX: Duration = Duration::from_millis(250);
/// A connection on which an answer is due and nothing came for so long is silent: other nodes are asked whether they are
/// primary. A durable reply takes a thousandth of it on a good day.
pub const SILENCE_MAX: Duration = Duration::from_millis(100);
/// How long one of these may take to answer before the next one is asked: more than once around the world.
pub const SCOUT_TIMEOUT: Duration = Duration::from_millis(500);
/// Pause before the first repetition of refused requests; it doubles with every refusal in a row.
pub const REFUSAL_DELAY_FIRST: Duration = Duration::from_millis(1);
/// The longest pause between two repetitions of refused requests.
pub const REFUSAL_DELAY_MAX: Duration = Duration::from_millis(100);

/// Timeouts beyond this count as this: a point in time has to be expressible.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// Reads in flight at the most. Writes are limited by the node's window.
pub const READS_IN_FLIGHT_MAX: usize = 256;
/// Bit of a request number that marks the tag of a read, so that no read is mistaken for a write.
pub const READ_TAG_BIT: u64 = 1 << 63;
/// The largest number of a write that a node may claim to have executed: at a million writes a second, 146,000 years.
/// Everything that is counted from there stays clear of [`READ_TAG_BIT`].
pub const REQUEST_LAST_MAX: u64 = 1 << 62;
/// The largest epoch, sequence, commit and timestamp that a node may name: what a signed number holds.
pub const COUNTER_MAX: u64 = (1 << 63) - 1;
/// Writes in flight at the most, whatever window the node offers: no node can be formatted with a larger one.
pub const WRITES_IN_FLIGHT_MAX: u32 = 65_536;
/// Bytes of the window that are used at the most, whatever the node offers: the bodies of that many are kept to be sent again.
pub const WINDOW_BYTES_MAX: u32 = 256 * 1024 * 1024;
/// Bytes that an event counts in the node's window until its reply is reported as received, except for events of
/// orders, which count the size of their result.
pub const WINDOW_BYTES_PER_EVENT: u64 = 16;

/// The congestion control of connections within one machine, where there is nothing to be congested. Controls that pace,
/// such as BBR, arm a timer for every burst instead, which costs a virtual machine up to a third of the rate.
pub const LOOPBACK_CONGESTION_CONTROL: &str = "reno";

/// Bytes read from the socket at once, at least.
pub const RECEIVE_CHUNK_SIZE: usize = 64 * 1024;
/// Bytes of sealed frames that may wait for the socket. Later frames are sealed later, and report more replies as received.
pub const OUTGOING_SIZE_MAX: usize = 2 * 1024 * 1024;
/// Bytes of submitted requests that are sent without waiting for a poll, so that the node does not idle meanwhile.
pub const FLUSH_SIZE: usize = 64 * 1024;
/// Slices given to the socket in one call; the kernel takes 1,024 at the most.
pub const WRITE_SLICES_MAX: usize = 32;
/// Bodies of requests up to this size are copied behind their headers to be sent: cheaper than a slice of their own.
pub const GATHERED_BODY_SIZE_MAX: usize = 2 * 1024;
/// Bodies of requests up to this size lie together in blocks, each of which is freed when its last request is answered.
pub const SMALL_BODY_SIZE_MAX: usize = 4 * 1024;
/// Bytes of such a block.
pub const BODY_BLOCK_SIZE: usize = 64 * 1024;
/// Bytes of larger bodies of answered requests that are kept for reuse.
pub const SPARE_BODIES_SIZE_MAX: usize = 16 * 1024 * 1024;

/// The client's release as the protocol carries it: major, minor and patch in a byte each.
pub const RELEASE: u32 = (number(env!("CARGO_PKG_VERSION_MAJOR")) << 16)
    | (number(env!("CARGO_PKG_VERSION_MINOR")) << 8)
    | number(env!("CARGO_PKG_VERSION_PATCH"));

const fn number(text: &str) -> u32 {
    match u32::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => panic!("a part of the package's version is not a number"),
    }
}
