//! Reads: they see the state after the last applied entry, change nothing and get no sequence.

use crate::engine::Engine;
use crate::error::ApplyError;
use crate::id_table::{IdHash, IdTable};
use crate::limits::{LOOK_AHEAD_IDS, LOOK_AHEAD_RECORDS};
use crate::output::Output;
use mizan_wire::limits::BODY_SIZE_MAX;
use mizan_wire::{
    DigestRecord, Genesis, Operation, RequestHeader, RequestStatus, SessionRecord, SessionsQuery,
};
use zerocopy::{FromBytes, IntoBytes};

const ID_SIZE: usize = size_of::<u128>();

impl Engine {
    /// Executes a read. `header.replies_received` is the sequence that must be applied at least; if it is not, the
    /// status is `SequenceNotReached` and the body is empty.
    ///
    /// # Errors
    /// An operation that is not a read, or sizes that do not fit each other.
    pub fn read(
        &self,
        header: &RequestHeader,
        body: &[u8],
        output: &mut Output,
    ) -> Result<(), ApplyError> {
        output.clear();
        let operation = self.check_read(header, body)?;
        output.sequence = self.sequence;
        output.timestamp = self.timestamp;
        if header.replies_received > self.sequence {
            output.status = RequestStatus::SequenceNotReached;
            return Ok(());
        }
        output.event_count = header.event_count;
        output.result_size = operation.result_size() as u16;
        match operation {
            Operation::LookupAccounts => self.lookup_accounts(body, output),
            Operation::LookupTransfers => self.lookup_transfers(body, output),
            Operation::GetLedgers => {
                let registered = |ledger: &crate::ledgers::Ledger| ledger.registered;
                for ledger in self.ledger.ledgers.ascending().filter_map(registered) {
                    output.push(ledger.as_bytes());
                }
            }
            Operation::GetCodes => {
                self.codes.ascending().for_each(|code| output.push(code.as_bytes()));
            }
            Operation::TrialBalance => {
                let rows = self.ledger.ledgers.ascending().map(crate::ledgers::Ledger::row);
                rows.for_each(|row| output.push(row.as_bytes()));
            }
            Operation::GetSessions => {
                let query = SessionsQuery::read_from_bytes(body)
                    .expect("invariant: the body's size was checked");
                let count_max = BODY_SIZE_MAX / size_of::<SessionRecord>();
                for record in self.sessions.list(query.after, count_max) {
                    output.push(record.as_bytes());
                }
            }
            Operation::GetEngineStatus => output.push(self.status().as_bytes()),
            _ => {
                let is_read = self.trading.read(&self.ledger, operation, body, output);
                assert!(is_read, "invariant: checked to be a read");
            }
        }
        Ok(())
    }

    fn check_read(&self, header: &RequestHeader, body: &[u8]) -> Result<Operation, ApplyError> {
        let sequence = self.sequence;
        let operation = header
            .operation()
            .filter(|operation| operation.is_read())
            .ok_or(ApplyError::OperationInvalid { sequence, operation: header.operation })?;
        if !sizes_fit(operation, header, body) {
            return Err(size_invalid(header, sequence, body));
        }
        if header.flags != 0 {
            return Err(ApplyError::FlagsInvalid { sequence, flags: header.flags });
        }
        Ok(operation)
    }

    fn lookup_accounts(&self, body: &[u8], output: &mut Output) {
        let accounts = &self.ledger.accounts;
        let fetch = |hash| accounts.prefetch_whole(hash);
        for_each_id(body, &accounts.table, fetch, |id| {
            if let Some(slot) = accounts.find(id, accounts.table.hash(id)) {
                output.push(self.ledger.account(slot).as_bytes());
            }
        });
    }

    fn lookup_transfers(&self, body: &[u8], output: &mut Output) {
        let transfers = &self.ledger.transfers;
        let fetch = |hash| {
            transfers.prefetch_candidate(hash);
        };
        for_each_id(body, &transfers.table, fetch, |id| {
            if let Some(slot) = transfers.find_stored(id, transfers.table.hash(id)) {
                let record = &transfers.records[slot as usize];
                output.push(self.ledger.transfer(record).as_bytes());
            }
        });
    }
}

/// Visits the ids of a body in order, with their buckets fetched far ahead, and by `fetch` what those name.
fn for_each_id(body: &[u8], table: &IdTable, fetch: impl Fn(IdHash), mut visit: impl FnMut(u128)) {
    let (ids, _) = body.as_chunks::<ID_SIZE>();
    for (index, id) in ids.iter().enumerate() {
        if let Some(later) = ids.get(index + LOOK_AHEAD_IDS) {
            table.prefetch(table.hash(u128::from_le_bytes(*later)));
        }
        if let Some(soon) = ids.get(index + LOOK_AHEAD_RECORDS) {
            fetch(table.hash(u128::from_le_bytes(*soon)));
        }
        visit(u128::from_le_bytes(*id));
    }
}

/// Whether number and size of the events are such that ingress lets the request through.
pub(crate) fn sizes_fit(operation: Operation, header: &RequestHeader, body: &[u8]) -> bool {
    let (count_min, count_max) = operation.event_count_range();
    let body_size = match operation {
        Operation::Digest => size_of::<DigestRecord>(),
        Operation::Genesis => size_of::<Genesis>(),
        _ => header.event_count as usize * operation.event_size(),
    };
    usize::from(header.event_size) == operation.event_size()
        && (count_min..=count_max).contains(&header.event_count)
        && header.body_size as usize == body_size
        && body.len() == body_size
}

/// As [`sizes_fit`], for a repetition whose body was left out.
pub(crate) fn sizes_of_repetition_fit(
    operation: Operation,
    header: &RequestHeader,
    body: &[u8],
) -> bool {
    let (count_min, count_max) = operation.event_count_range();
    usize::from(header.event_size) == operation.event_size()
        && (count_min..=count_max).contains(&header.event_count)
        && header.body_size == 0
        && body.is_empty()
}

pub(crate) fn size_invalid(header: &RequestHeader, sequence: u64, body: &[u8]) -> ApplyError {
    ApplyError::SizeInvalid {
        sequence,
        operation: header.operation,
        body_size: body.len(),
        event_count: header.event_count,
        event_size: header.event_size,
    }
}
