//! What the gateway and the node say to each other.

use crate::refusals::Refusals;
use mizan_wire::frame::NodeLimits;
use mizan_wire::{Operation, RequestHeader, RequestStatus};

/// The time of a poll, as the node read it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Clock {
    /// Nanoseconds since some start; never goes back. All timeouts are measured with it.
    pub monotonic_ns: u64,
    /// Nanoseconds since 1970. The gateway decides nothing by it.
    pub realtime_ns: u64,
}

/// What became of a request that was handed to the sink.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Submission {
    /// It has its place in the order; exactly one [`crate::Gateway::reply`] with its origin follows.
    Accepted,
    /// Not now. The gateway keeps it and offers it again at a later poll.
    Busy,
    /// Not at all: it was not sequenced, and is answered with this status.
    Refused(RequestStatus),
}

/// Where complete, validated requests go.
pub trait RequestSink {
    /// Bytes of entries (a header of 128 bytes, the body padded to a multiple of 128) that can surely be taken now.
    ///
    /// A sink must at some time offer the largest entry, or it will never get one.
    fn room_bytes(&self) -> usize;

    /// Takes a request. `body` is exactly `header.body_size` bytes; `clock_reading` is left to the sink.
    fn submit(&mut self, header: &RequestHeader, body: &[u8]) -> Submission;
}

/// Which requests the node takes at present.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Accepting {
    /// All.
    All,
    /// Reads. Writes and hellos that want a session are refused with the status.
    ReadsOnly(RequestStatus),
    /// None; requests and hellos are refused with the status.
    Nothing(RequestStatus),
}

/// The node as clients may see it, at the time of a poll.
#[derive(Clone, Copy, Debug)]
pub struct NodeView {
    /// The node's cluster.
    pub cluster: u128,
    /// The node's epoch.
    pub epoch: u64,
    /// Sequence up to which everything is committed.
    pub commit: u64,
    /// 1 primary, 2 standby.
    pub role: u8,
    /// For hello's replies. What the gateway itself limits (sizes of frames and requests, timeouts, bytes of replies)
    /// is overwritten with its own configuration.
    pub limits: NodeLimits,
    /// What is taken.
    pub accepting: Accepting,
}

/// A result on its way to the connection that asked.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingReply<'a> {
    /// [`RequestHeader::origin`] of the request. 0 is the node itself: nothing is sent.
    pub origin: u64,
    /// The request's client.
    pub client: u128,
    /// The request's session.
    pub session: u64,
    /// The request's number or tag.
    pub request: u64,
    /// The request's operation. For `Register` the body is one [`mizan_wire::RegisterRecord`] if the status is ok.
    pub operation: Operation,
    /// Number of a [`RequestStatus`].
    pub status: u32,
    /// See [`mizan_wire::frame::Reply::flags`].
    pub flags: u32,
    /// Log sequence of the request; for a read, of the last write before it.
    pub sequence: u64,
    /// The node's epoch.
    pub epoch: u64,
    /// The commit sequence at the reply's release.
    pub commit: u64,
    /// The number of the request's last event.
    pub timestamp: u64,
    /// Events of the request.
    pub event_count: u32,
    /// Bytes of one record of the body.
    pub result_size: u16,
    /// Records in the body.
    pub result_count: u32,
    /// Durable copies at the reply's release.
    pub copies_durable: u8,
    /// The records.
    pub body: &'a [u8],
}

/// What the gateway has done since it was bound, and what it holds now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct GatewayCounters {
    /// Connections accepted, those included that were refused at once.
    pub accepted: u64,
    /// Connections refused because there were too many.
    pub refused_connections: u64,
    /// Connections lost because the system had no descriptor or no watch for them.
    pub accept_failures: u64,
    /// Hellos that came through.
    pub hellos: u64,
    /// Hellos refused.
    pub hellos_refused: u64,
    /// Sessions that moved to a newer connection.
    pub taken_over: u64,
    /// Requests accepted by the sink, hellos that want a session included.
    pub requests: u64,
    /// Mass cancels submitted for sessions without a connection.
    pub disconnect_cancels: u64,
    /// Entries submitted that tell of sessions without a connection.
    pub connection_losses: u64,
    /// Requests refused without being sequenced.
    pub requests_refused: u64,
    /// By status: replies, hello's replies and last frames that said anything but ok, and slow readers.
    pub refusals: Refusals,
    /// Connections ended because of a frame that is not one, or came at the wrong time.
    pub frame_errors: u64,
    /// Connections cut off because a frame stayed incomplete.
    pub cut_off_partial: u64,
    /// Connections cut off because replies were not read.
    pub cut_off_slow: u64,
    /// Replies sent on their way.
    pub replies: u64,
    /// Replies whose connection was gone.
    pub replies_dropped: u64,
    /// Bytes read from sockets.
    pub bytes_in: u64,
    /// Bytes written to sockets.
    pub bytes_out: u64,
    /// Connections now, those included that are being closed.
    pub connections: u64,
    /// Requests now at the sink and not yet answered.
    pub in_flight: u64,
    /// Bytes of replies that now wait for sockets.
    pub unsent_bytes: u64,
    /// Small receive buffers now in use.
    pub buffers_small: u64,
    /// Full receive buffers now in use.
    pub buffers_full: u64,
}

/// Bytes of the largest reply that a request can have, header included.
pub(crate) fn reply_size_max(operation: Operation, event_count: u32) -> usize {
    use mizan_wire::limits::{BODY_SIZE_MAX, HEADER_SIZE};
    let records = match operation {
        Operation::GetLedgers
        | Operation::GetCodes
        | Operation::TrialBalance
        | Operation::GetInstruments
        | Operation::GetOpenOrders
        | Operation::GetExecutionReports
        | Operation::GetDepth
        | Operation::GetSessions => BODY_SIZE_MAX,
        Operation::GetEngineStatus => operation.result_size(),
        _ => event_count as usize * operation.result_size(),
    };
    HEADER_SIZE + records
}
