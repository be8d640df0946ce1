//! What clients ask for, and the ledger that it happens in.

use mizan_journal::sim::SimRandom;
use mizan_wire::{
    Account, AccountFlags, Genesis, Operation, RequestHeader, SEMANTICS_VERSION, Transfer,
    TransferFlags,
};
use zerocopy::IntoBytes;

pub(crate) const CLUSTER: u128 = 0x5eed;
const ACCOUNTS: u64 = 8;
/// Fewer than there are clients and visits: idle ones must make room.
const SESSIONS: u32 = 6;
const SESSION_IDLE_NS: u64 = 100_000_000;
/// What the clocks of all nodes show at the start of a run.
pub(crate) const CLOCK_START_NS: u64 = 1_000_000_000_000_000_000;

pub(crate) fn genesis() -> Genesis {
    Genesis {
        cluster: CLUSTER,
        hash_seed: 3,
        account_count_max: 64,
        transfer_count_max: 8_192,
        hold_count_max: 1_024,
        session_idle_ns: SESSION_IDLE_NS,
        semantics_version: SEMANTICS_VERSION,
        digest_interval: 8,
        ledger_count_max: 4,
        code_count_max: 4,
        session_count_max: SESSIONS,
        window_requests: 8,
        window_bytes: 8_189 * 16,
        ..Genesis::default()
    }
}

/// A header for a body, without what the node adds.
pub(crate) fn header(operation: Operation, body: &[u8]) -> RequestHeader {
    let event_size = operation.event_size();
    let event_count = body.len().checked_div(event_size).unwrap_or(0);
    let mut header = RequestHeader {
        operation: operation.number(),
        event_size: event_size as u16,
        event_count: event_count as u32,
        body_size: body.len() as u32,
        ..RequestHeader::default()
    };
    header.request_checksum = header.identity(body);
    header
}

/// An entry as the journal keeps it.
pub(crate) fn entry(header: &RequestHeader, body: &[u8]) -> Vec<u8> {
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes.resize(header.entry_size(), 0);
    bytes
}

pub(crate) fn accounts() -> Vec<Account> {
    (1..=ACCOUNTS)
        .map(|id| Account {
            id: id.into(),
            ledger: 1,
            code: 1,
            flags: if id == 1 { AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS } else { 0 },
            ..Account::default()
        })
        .collect()
}

/// A few transfers with ids that nobody used before.
pub(crate) fn transfers(random: &mut SimRandom, client: u64, first: u64) -> Vec<Transfer> {
    let count = 1 + random.below(4);
    (first..first + count)
        .map(|number| {
            let debit = 1 + random.below(ACCOUNTS);
            let credit = 1 + (debit + random.below(ACCOUNTS - 1)) % ACCOUNTS;
            let is_pending = random.below(6) == 0;
            Transfer {
                id: u128::from(client) << 64 | u128::from(number),
                debit_account_id: debit.into(),
                credit_account_id: credit.into(),
                amount: (1 + random.below(100)).into(),
                timeout: u32::from(is_pending),
                flags: if is_pending { TransferFlags::PENDING } else { 0 },
                ledger: 1,
                code: 1,
                ..Transfer::default()
            }
        })
        .collect()
}
