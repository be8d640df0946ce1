//! What became of a request: the reply's fields and its body, in a buffer that is used again and again.

use mizan_wire::RequestStatus;
use mizan_wire::limits::BODY_SIZE_MAX;

/// The reply to one log entry or read. [`Engine::apply`](crate::Engine::apply) and
/// [`Engine::read`](crate::Engine::read) clear it first.
#[derive(Clone, Debug)]
pub struct Output {
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
    /// Bytes of one record of the body.
    pub result_size: u16,
    /// Records of the body.
    pub result_count: u32,
    body: Vec<u8>,
}

impl Output {
    /// An empty reply with room for the largest body.
    #[must_use]
    pub fn new() -> Self {
        Self {
            status: RequestStatus::Ok,
            flags: 0,
            sequence: 0,
            timestamp: 0,
            event_count: 0,
            result_size: 0,
            result_count: 0,
            body: mizan_memory::reserve_touched(BODY_SIZE_MAX),
        }
    }

    /// The reply's body: `result_count` records of `result_size` bytes.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    pub(crate) fn clear(&mut self) {
        self.status = RequestStatus::Ok;
        self.flags = 0;
        self.sequence = 0;
        self.timestamp = 0;
        self.event_count = 0;
        self.result_size = 0;
        self.result_count = 0;
        self.body.clear();
    }

    /// Adds one record to the body. All records of a reply have the same size.
    pub(crate) fn push(&mut self, record: &[u8]) {
        self.result_size = record.len() as u16;
        self.result_count += 1;
        self.body.extend_from_slice(record);
    }

    /// Makes the body a list of records that lie one after the other.
    pub(crate) fn set_records(&mut self, records: &[u8], size: usize) {
        self.result_size = size as u16;
        self.result_count = (records.len() / size) as u32;
        self.body.clear();
        self.body.extend_from_slice(records);
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}
