//! Whether a reply has the shape that its operation gives it.

use crate::protocol_fuzz::mirror::known;
use crate::protocol_fuzz::record::Asked;
use mizan_wire::frame::{REPLY_COMPACT, REPLY_REPLAYED, Reply};
use mizan_wire::orders::OrderReject;
use mizan_wire::trading::{InstrumentStatus, OrderResult, OrderStatus};
use mizan_wire::{
    Account, CREATED, CreateAccountStatus, CreateTransferStatus, Operation, RegistryStatus,
    RequestStatus, ResultException, Status, Transfer, TrialBalanceRow,
};
use zerocopy::{FromBytes, Immutable};

/// Refusals that come in a reply.
const REFUSALS: [RequestStatus; 15] = [
    RequestStatus::OperationUnknown,
    RequestStatus::EventSizeInvalid,
    RequestStatus::EventCountInvalid,
    RequestStatus::BodySizeInvalid,
    RequestStatus::RequestFlagsInvalid,
    RequestStatus::SessionRequired,
    RequestStatus::SessionUnknown,
    RequestStatus::RequestNumberGap,
    RequestStatus::ReplyDiscarded,
    RequestStatus::RequestMismatch,
    RequestStatus::WindowFull,
    RequestStatus::JournalSpaceLow,
    RequestStatus::Overloaded,
    RequestStatus::ShuttingDown,
    RequestStatus::SequenceNotReached,
];

/// See the module.
pub(crate) fn judge(asked: &Asked, reply: &Reply, body: &[u8]) -> Result<(), String> {
    let status = known(reply.status)?;
    let size = usize::from(reply.result_size);
    if body.len() != reply.result_count as usize * size {
        return Err(format!("{} bytes of results", body.len()));
    }
    if status != RequestStatus::Ok {
        let is_empty = body.is_empty() && reply.event_count == 0 && reply.result_count == 0;
        let is_known = REFUSALS.contains(&status);
        return (is_empty && is_known).then_some(()).ok_or_else(|| "no such refusal".to_owned());
    }
    let operation = Operation::from_number(reply.operation)
        .filter(|operation| operation.is_for_clients())
        .ok_or("an operation that clients have not")?;
    let is_sized = size == operation.result_size() || body.is_empty();
    let flags = if operation.is_create() { REPLY_COMPACT } else { 0 };
    let may_repeat = if operation.is_read() { 0 } else { REPLY_REPLAYED };
    let is_flagged = reply.flags & !may_repeat == flags;
    let is_durable = operation.is_read() || reply.copies_durable > 0;
    let is_counted = reply.event_count == asked.request.event_count;
    if !is_sized || !is_flagged || !is_durable || !is_counted {
        return Err("not the shape of its operation".to_owned());
    }
    judge_results(operation, asked, reply, body)
}

fn judge_results(
    operation: Operation,
    asked: &Asked,
    reply: &Reply,
    body: &[u8],
) -> Result<(), String> {
    let (events, results) = (reply.event_count, reply.result_count);
    let all = |is_right: bool, what: &str| is_right.then_some(()).ok_or_else(|| what.to_owned());
    match operation {
        Operation::LookupAccounts => {
            let ids = records::<u128>(asked.events());
            let found: Vec<u128> = records::<Account>(body).iter().map(|found| found.id).collect();
            all(is_part(&found, &ids), "accounts that nobody asked for")
        }
        Operation::LookupTransfers => {
            let ids = records::<u128>(asked.events());
            let found: Vec<u128> = records::<Transfer>(body).iter().map(|found| found.id).collect();
            all(is_part(&found, &ids), "transfers that nobody asked for")
        }
        Operation::TrialBalance => {
            let rows = records::<TrialBalanceRow>(body);
            all(rows.iter().all(TrialBalanceRow::is_balanced), "debits are not credits")
        }
        Operation::GetEngineStatus => all(results == 1, "not one status"),
        _ if operation.is_create() => {
            let exceptions = records::<ResultException>(body);
            let places: Vec<u32> = exceptions.iter().map(|exception| exception.index).collect();
            let is_ordered = places.is_sorted_by(|one, next| one < next);
            let is_within = places.last().is_none_or(|last| *last < events);
            let is_known = exceptions.iter().all(|found| has_status(operation, found.status));
            all(is_ordered && is_within && is_known, "results that cannot be")
        }
        _ if operation.is_trading() => {
            let statuses: Vec<u32> =
                records::<OrderResult>(body).iter().map(|result| result.status).collect();
            let is_known = statuses.iter().all(|status| has_status(operation, *status));
            all(results == events && is_known, "results that cannot be")
        }
        Operation::GetOrders => all(results <= events, "more orders than were asked for"),
        _ => Ok(()),
    }
}

fn has_status(operation: Operation, number: u32) -> bool {
    let is = |found: bool| found || number == CREATED;
    match operation {
        Operation::CreateAccounts => is(CreateAccountStatus::from_number(number).is_some()),
        Operation::CreateTransfers => is(CreateTransferStatus::from_number(number).is_some()),
        Operation::CreateLedgers | Operation::CreateCodes => {
            is(RegistryStatus::from_number(number).is_some())
        }
        Operation::CreateInstruments => is(InstrumentStatus::from_number(number).is_some()),
        Operation::CloseSessions => is(RequestStatus::from_number(number).is_some()),
        _ => is(OrderStatus::from_number(number).is_some()
            || OrderReject::from_number(number).is_some()),
    }
}

fn records<T: FromBytes + Immutable>(bytes: &[u8]) -> Vec<T> {
    bytes.chunks_exact(size_of::<T>()).filter_map(|one| T::read_from_bytes(one).ok()).collect()
}

/// Whether the first list is the second one with some left out.
fn is_part(found: &[u128], asked: &[u128]) -> bool {
    let mut rest = asked.iter();
    found.iter().all(|id| rest.any(|asked| asked == id))
}
