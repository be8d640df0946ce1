//! What all events of `create_accounts` and `create_transfers` have in common: chains, imported batches, timestamps.
//!
//! The checks stand in the order of their precedence; the first that applies is the answer.

use crate::ledger::Ledger;
use mizan_wire::CreateResult;
use mizan_wire::limits::TIMESTAMP_MAX;

/// The status numbers that belong to the place of an event in its batch.
pub(crate) struct BatchStatuses {
    pub(crate) linked_event_failed: u32,
    pub(crate) linked_event_chain_open: u32,
    pub(crate) imported_event_expected: u32,
    pub(crate) imported_event_not_expected: u32,
    pub(crate) timestamp_must_be_zero: u32,
    pub(crate) imported_event_timestamp_out_of_range: u32,
    pub(crate) imported_event_timestamp_must_not_advance: u32,
    pub(crate) exists: u32,
    pub(crate) created: u32,
}

/// An event of a create.
pub(crate) trait Event {
    const STATUSES: BatchStatuses;

    fn is_linked(&self) -> bool;
    fn is_imported(&self) -> bool;
    /// The timestamp that the event carries itself.
    fn own_timestamp(&self) -> u64;
    /// The timestamp of the stored record with the event's id.
    fn stored_timestamp(&self, ledger: &Ledger) -> Option<u64>;
    /// Does what the event says, or nothing; the status number says which.
    fn create(&self, ledger: &mut Ledger, number: u64) -> u32;
    /// What a failure leaves behind, outside of every chain.
    fn after_failure(&self, ledger: &mut Ledger, status: u32);
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Chain {
    None,
    Open { start: usize },
    Broken,
}

/// Executes a batch whose first event has the number `first`. One result per event, in order.
pub(crate) fn create_batch<E: Event>(
    ledger: &mut Ledger,
    events: &[E],
    first: u64,
) -> Vec<CreateResult> {
    let created = E::STATUSES.created;
    let last_index = events.len() - 1;
    let mut results = Vec::new();
    let mut chain = Chain::None;
    for (index, event) in events.iter().enumerate() {
        let number = first + index as u64;
        let ends_open = event.is_linked() && index == last_index;
        if event.is_linked() && chain == Chain::None {
            ledger.begin_chain();
            chain = Chain::Open { start: index };
        }

        let status = if ends_open {
            E::STATUSES.linked_event_chain_open
        } else if chain == Chain::Broken {
            E::STATUSES.linked_event_failed
        } else {
            let imported = events[0].is_imported();
            let last_number = first + last_index as u64;
            match misplaced(event, imported, last_number) {
                Some(status) => status,
                None => event.create(ledger, number),
            }
        };
        // An event may exist because of its own chain, so its timestamp is read before the chain is undone.
        results.push(result(ledger, event, status, number));

        if status != created {
            if let Chain::Open { start } = chain {
                ledger.roll_back_chain();
                for result in &mut results[start..index] {
                    result.status = E::STATUSES.linked_event_failed;
                }
                chain = Chain::Broken;
            }
            event.after_failure(ledger, status);
        }
        if !event.is_linked() || ends_open {
            if matches!(chain, Chain::Open { .. }) {
                ledger.keep_chain();
            }
            chain = Chain::None;
        }
    }
    results
}

/// What is wrong with an event's being imported or not, and with the timestamp that it carries.
fn misplaced<E: Event>(event: &E, imported_batch: bool, last_number: u64) -> Option<u32> {
    let timestamp = event.own_timestamp();
    if imported_batch && !event.is_imported() {
        return Some(E::STATUSES.imported_event_expected);
    }
    if !imported_batch && event.is_imported() {
        return Some(E::STATUSES.imported_event_not_expected);
    }
    if event.is_imported() {
        if timestamp == 0 || timestamp > TIMESTAMP_MAX {
            return Some(E::STATUSES.imported_event_timestamp_out_of_range);
        }
        if timestamp >= last_number {
            return Some(E::STATUSES.imported_event_timestamp_must_not_advance);
        }
    } else if timestamp != 0 {
        return Some(E::STATUSES.timestamp_must_be_zero);
    }
    None
}

fn result<E: Event>(ledger: &Ledger, event: &E, status: u32, number: u64) -> CreateResult {
    let timestamp = if status == E::STATUSES.exists {
        event.stored_timestamp(ledger).expect("invariant: what exists is stored")
    } else if event.is_imported() {
        event.own_timestamp()
    } else {
        number
    };
    CreateResult { timestamp, status, reserved: 0 }
}
