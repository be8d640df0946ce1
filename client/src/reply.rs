//! What becomes of a request, as its sender sees it.

use bytes::Bytes;
use mizan_wire::trading::{CreateInstrument, DepthRecord, ExecutionReport, OrderResult, OrderView};
use mizan_wire::{
    Account, CreateCode, CreateLedger, CreateResult, EngineStatus, Operation, RequestStatus,
    ResultException, SessionRecord, Transfer, TrialBalanceRow, expand_results,
};
use zerocopy::FromBytes;

/// Names a submitted request within its client. Never given twice; not the number on the wire.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub(crate) u64);

/// A request that is over. Each submitted request gives exactly one.
#[derive(Clone, Debug)]
pub struct Completion {
    /// What `submit` returned.
    pub id: RequestId,
    /// The number (writes) or tag (reads) on the wire; 0 if it was never sent.
    pub request: u64,
    /// What was asked.
    pub operation: Operation,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was executed, and this is the reply.
    Reply(Reply),
    /// It was refused, and certainly not executed.
    Refused(RequestStatus),
    /// It was not sent within the request's timeout, so it was certainly not executed.
    NotSent,
    /// No reply in time, or the client ended: it may have been executed, may be executed yet, or never.
    Unknown,
}

/// The reply to a request that was executed.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Always `Ok`: refusals are [`Outcome::Refused`].
    pub status: RequestStatus,
    /// What was asked.
    pub operation: Operation,
    /// The write's place in the log; for a read, that of the last write before it.
    pub sequence: u64,
    /// The number of the last event: nanoseconds since 1970.
    pub timestamp: u64,
    /// The node's epoch.
    pub epoch: u64,
    /// The node's commit sequence when it replied.
    pub commit: u64,
    /// Whether the node repeats a stored reply: the request was sent twice and executed once.
    pub replayed: bool,
    /// Durable copies when the reply was released.
    pub copies_durable: u8,
    /// Events in the request.
    pub event_count: u32,
    /// The records, as they came.
    pub body: Bytes,
}

impl Reply {
    /// One result per event of a create, in order; empty for any other operation.
    #[must_use]
    pub fn create_results(&self) -> Vec<CreateResult> {
        if self.operation.is_create() {
            expand_results(self.timestamp, self.event_count, &self.exceptions())
        } else {
            Vec::new()
        }
    }

    /// The results of a create that are not "created at its own number", by ascending index.
    #[must_use]
    pub fn exceptions(&self) -> Vec<ResultException> {
        if self.operation.is_create() { self.records() } else { Vec::new() }
    }

    /// The accounts that a lookup found, in the order of the request.
    #[must_use]
    pub fn accounts(&self) -> Vec<Account> {
        self.records_of(Operation::LookupAccounts)
    }

    /// The transfers that a lookup found, in the order of the request.
    #[must_use]
    pub fn transfers(&self) -> Vec<Transfer> {
        self.records_of(Operation::LookupTransfers)
    }

    /// The registered ledgers.
    #[must_use]
    pub fn ledgers(&self) -> Vec<CreateLedger> {
        self.records_of(Operation::GetLedgers)
    }

    /// The registered codes.
    #[must_use]
    pub fn codes(&self) -> Vec<CreateCode> {
        self.records_of(Operation::GetCodes)
    }

    /// The rows of a trial balance.
    #[must_use]
    pub fn trial_balance(&self) -> Vec<TrialBalanceRow> {
        self.records_of(Operation::TrialBalance)
    }

    /// The sessions, by number.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionRecord> {
        self.records_of(Operation::GetSessions)
    }

    /// The engine's status, if that was asked for.
    #[must_use]
    pub fn engine_status(&self) -> Option<EngineStatus> {
        self.records_of(Operation::GetEngineStatus).pop()
    }

    /// One result per event of a command about orders or instruments' books, in order; empty for any other operation.
    #[must_use]
    pub fn order_results(&self) -> Vec<OrderResult> {
        if self.operation.is_trading() { self.records() } else { Vec::new() }
    }

    /// The instruments.
    #[must_use]
    pub fn instruments(&self) -> Vec<CreateInstrument> {
        self.records_of(Operation::GetInstruments)
    }

    /// The orders that were found, or those that are open.
    #[must_use]
    pub fn orders(&self) -> Vec<OrderView> {
        match self.operation {
            Operation::GetOrders | Operation::GetOpenOrders => self.records(),
            _ => Vec::new(),
        }
    }

    /// The execution reports, the head first.
    #[must_use]
    pub fn execution_reports(&self) -> Vec<ExecutionReport> {
        self.records_of(Operation::GetExecutionReports)
    }

    /// The price levels.
    #[must_use]
    pub fn depth(&self) -> Vec<DepthRecord> {
        self.records_of(Operation::GetDepth)
    }

    fn records_of<T: FromBytes>(&self, operation: Operation) -> Vec<T> {
        if self.operation == operation { self.records() } else { Vec::new() }
    }

    fn records<T: FromBytes>(&self) -> Vec<T> {
        self.body
            .chunks_exact(size_of::<T>())
            .filter_map(|record| T::read_from_bytes(record).ok())
            .collect()
    }
}

/// Why a frame's content contradicts the request that it claims to answer; `None` if it does not.
pub(crate) fn contradiction(
    frame: &mizan_wire::frame::Reply,
    body: &[u8],
    operation: Operation,
    event_count: u32,
) -> Option<&'static str> {
    use mizan_wire::frame::{REPLY_COMPACT, REPLY_REPLAYED};
    if frame.event_count != event_count {
        return Some("a reply counts other events than its request");
    }
    if frame.flags & !(REPLY_COMPACT | REPLY_REPLAYED) != 0 {
        return Some("a reply has an unknown flag");
    }
    let result_size = operation.result_size();
    if frame.result_count as usize * result_size != body.len()
        || (frame.result_count != 0 && usize::from(frame.result_size) != result_size)
    {
        return Some("a reply's body does not have the size of its records");
    }
    if !operation.is_read() && frame.timestamp < u64::from(event_count) {
        return Some("a reply's events have numbers below 1");
    }
    if operation.is_create() {
        return exceptions_contradiction(frame, body);
    }
    if operation.is_trading() && frame.result_count != event_count {
        return Some("a command about orders does not have a result for each of its events");
    }
    // An operation that takes one event asks for a list.
    let is_lookup = operation.event_size() != 0 && operation.event_count_range() != (1, 1);
    if is_lookup && frame.result_count > event_count {
        return Some("a lookup found more than was asked for");
    }
    if operation == Operation::GetEngineStatus && frame.result_count != 1 {
        return Some("an engine's status is not exactly one record");
    }
    None
}

fn exceptions_contradiction(frame: &mizan_wire::frame::Reply, body: &[u8]) -> Option<&'static str> {
    if frame.flags & mizan_wire::frame::REPLY_COMPACT == 0 {
        return Some("a create's reply is not compact");
    }
    let mut index_min = 0;
    for record in body.chunks_exact(size_of::<ResultException>()) {
        let Ok(exception) = ResultException::read_from_bytes(record) else { continue };
        if exception.index < index_min || exception.index >= frame.event_count {
            return Some("a result stands at an index that the request does not have, or twice");
        }
        index_min = exception.index + 1;
    }
    None
}
