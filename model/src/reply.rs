//! What became of a request.

use mizan_wire::RequestStatus;
use zerocopy::{Immutable, IntoBytes};

/// The reply to one log entry or read, field by field as it goes to the client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ModelReply {
    /// What became of the request as a whole. Not `Ok`: nothing was executed, and the body is empty.
    pub status: RequestStatus,
    /// `REPLY_REPLAYED`, `REPLY_COMPACT` of `mizan_wire::frame`.
    pub flags: u32,
    /// The entry's sequence; of a replayed reply the original's; of a read the last applied one.
    pub sequence: u64,
    /// The number of the last event; of a replayed reply the original's; of a read the last one given.
    pub timestamp: u64,
    /// Events that were executed, or actions of a tick; 0 if the request was refused.
    pub event_count: u32,
    /// Bytes of one record of the body; 0 if the reply has no records by nature.
    pub result_size: u16,
    /// Records of the body.
    pub result_count: u32,
    /// The records, one after the other.
    pub body: Vec<u8>,
}

impl ModelReply {
    pub(crate) fn empty(status: RequestStatus, sequence: u64, timestamp: u64) -> Self {
        Self {
            status,
            flags: 0,
            sequence,
            timestamp,
            event_count: 0,
            result_size: 0,
            result_count: 0,
            body: Vec::new(),
        }
    }

    pub(crate) fn with_records<R: IntoBytes + Immutable>(mut self, records: &[R]) -> Self {
        self.result_size = size_of::<R>() as u16;
        self.result_count = records.len() as u32;
        self.body = records.as_bytes().to_vec();
        self
    }
}
