//! Requests as ingress would hand them over.

use mizan_wire::limits::EVENTS_MAX;
use mizan_wire::{Genesis, Operation, RequestHeader, SEMANTICS_VERSION};

/// A node with room for everything that a small case needs.
pub(crate) fn small_genesis() -> Genesis {
    Genesis {
        cluster: 0xC1,
        hash_seed: 7,
        account_count_max: 64,
        transfer_count_max: 256,
        hold_count_max: 64,
        session_idle_ns: 1_000,
        semantics_version: SEMANTICS_VERSION,
        digest_interval: 4,
        ledger_count_max: 8,
        code_count_max: 8,
        session_count_max: 2,
        window_requests: 2,
        window_bytes: EVENTS_MAX * 16,
        ..Genesis::default()
    }
}

/// A request without a session, whose body is whole events of the operation's own size.
pub(crate) fn request(operation: Operation, body: &[u8], clock_reading: u64) -> RequestHeader {
    let event_size = operation.event_size();
    let event_count = body.len().checked_div(event_size).unwrap_or(0);
    let mut header = RequestHeader {
        operation: operation.number(),
        event_size: event_size as u16,
        event_count: event_count as u32,
        body_size: body.len() as u32,
        clock_reading,
        ..RequestHeader::default()
    };
    header.request_checksum = header.identity(body);
    header
}
