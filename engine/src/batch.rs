//! The frame in which accounts and transfers are created: numbers, chains, imported batches, and the list of results
//! that say more than "created at its own number".
//!
//! Invariants: an event either happens as a whole or leaves no trace; a chain likewise; a list of exceptions is in
//! the order of the events.

use crate::ledger::LedgerState;
use crate::refusal::Refusal;
use crate::resolved::Resolved;
use mizan_wire::limits::TIMESTAMP_MAX;
use mizan_wire::{CREATED, CreateAccountStatus, ResultException, Status};

/// The flag bit and the statuses that both kinds of events share.
const LINKED: u16 = 1;
const LINKED_EVENT_FAILED: u32 = CreateAccountStatus::LinkedEventFailed as u32;
const LINKED_EVENT_CHAIN_OPEN: u32 = CreateAccountStatus::LinkedEventChainOpen as u32;

/// An event that can be linked and imported.
pub(crate) trait BatchEvent: Sized {
    /// The kind's statuses.
    type Status: Status + Into<Refusal>;
    const IMPORTED: u16;
    const IMPORTED_EXPECTED: Self::Status;
    const IMPORTED_NOT_EXPECTED: Self::Status;
    const TIMESTAMP_MUST_BE_ZERO: Self::Status;
    const IMPORTED_OUT_OF_RANGE: Self::Status;
    const IMPORTED_MUST_NOT_ADVANCE: Self::Status;

    fn flags(&self) -> u16;
    fn timestamp(&self) -> u64;
    fn look_ahead_first(ledger: &mut LedgerState, events: &[Self]);
    fn look_ahead(ledger: &mut LedgerState, events: &[Self], index: usize);
    /// Executes the event, or changes nothing.
    fn create(
        &self,
        ledger: &mut LedgerState,
        index: usize,
        number: u64,
        resolved: &Resolved<'_>,
    ) -> Result<(), Refusal>;
    /// Executes an event outside of chains that is like most others and needs no old record, or changes nothing and
    /// says no.
    fn create_plain(&self, ledger: &mut LedgerState, index: usize, number: u64) -> bool;
    /// Spends the event's id.
    fn burn(&self, ledger: &mut LedgerState);

    fn is_imported(&self) -> bool {
        self.flags() & Self::IMPORTED != 0
    }

    /// The timestamp of a result that is not `exists`.
    fn result_timestamp(&self, number: u64) -> u64 {
        if self.is_imported() { self.timestamp() } else { number }
    }
}

/// The timestamps of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// A chain that has begun.
struct Chain {
    start: usize,
    /// Exceptions that lay before the chain.
    exceptions: usize,
    is_broken: bool,
}

/// Executes all events in order; `exceptions` is cleared and filled.
// A function of its own: together with all that surrounds it, its loop would find no registers.
#[inline(never)]
pub(crate) fn execute<E: BatchEvent>(
    ledger: &mut LedgerState,
    events: &[E],
    numbers: Numbers,
    resolved: &Resolved<'_>,
    exceptions: &mut Vec<ResultException>,
) {
    exceptions.clear();
    E::look_ahead_first(ledger, events);
    let mut chain: Option<Chain> = None;
    let imports = events.first().is_some_and(E::is_imported);
    let may_be_plain = !imports && resolved.is_empty();
    for (index, event) in events.iter().enumerate() {
        E::look_ahead(ledger, events, index);
        let number = numbers.first + index as u64;
        let is_linked = event.flags() & LINKED != 0;
        let is_alone = !is_linked && chain.is_none();
        if may_be_plain && is_alone && event.create_plain(ledger, index, number) {
            continue;
        }
        if is_linked && chain.is_none() {
            chain = Some(Chain { start: index, exceptions: exceptions.len(), is_broken: false });
            ledger.undo.begin();
        }
        let is_broken = chain.as_ref().is_some_and(|chain| chain.is_broken);
        let outcome = if is_linked && index + 1 == events.len() {
            Err(shared_refusal(LINKED_EVENT_CHAIN_OPEN))
        } else if is_broken {
            Err(shared_refusal(LINKED_EVENT_FAILED))
        } else {
            check_frame(event, imports, numbers.last)
                .map_err(Into::into)
                .and_then(|()| event.create(ledger, index, number, resolved))
        };
        match outcome {
            Ok(()) => {
                let timestamp = event.result_timestamp(number);
                if timestamp != number {
                    exceptions.push(exception(timestamp, index, CREATED));
                }
            }
            Err(refusal) => {
                if let Some(chain) = chain.as_mut().filter(|chain| !chain.is_broken) {
                    break_chain(ledger, chain, &events[..index], numbers.first, exceptions);
                }
                let own = event.result_timestamp(number);
                let timestamp = refusal.stored_timestamp.unwrap_or(own);
                exceptions.push(exception(timestamp, index, refusal.status));
                if refusal.burns {
                    event.burn(ledger);
                }
            }
        }
        if !is_linked && chain.take().is_some() {
            ledger.undo.end();
        }
    }
    ledger.undo.end();
    ledger.ledgers.assert_balanced();
}

/// The checks that come before any of the event itself.
#[inline]
fn check_frame<E: BatchEvent>(event: &E, imports: bool, last: u64) -> Result<(), E::Status> {
    if event.is_imported() != imports {
        return Err(if imports { E::IMPORTED_EXPECTED } else { E::IMPORTED_NOT_EXPECTED });
    }
    let timestamp = event.timestamp();
    if !imports {
        return if timestamp == 0 { Ok(()) } else { Err(E::TIMESTAMP_MUST_BE_ZERO) };
    }
    if !(1..=TIMESTAMP_MAX).contains(&timestamp) {
        return Err(E::IMPORTED_OUT_OF_RANGE);
    }
    if timestamp >= last {
        return Err(E::IMPORTED_MUST_NOT_ADVANCE);
    }
    Ok(())
}

/// Takes back what the chain did, and says so of each of its events so far.
fn break_chain<E: BatchEvent>(
    ledger: &mut LedgerState,
    chain: &mut Chain,
    before: &[E],
    first: u64,
    exceptions: &mut Vec<ResultException>,
) {
    ledger.roll_back();
    chain.is_broken = true;
    exceptions.truncate(chain.exceptions);
    for (index, event) in before.iter().enumerate().skip(chain.start) {
        let timestamp = event.result_timestamp(first + index as u64);
        exceptions.push(exception(timestamp, index, LINKED_EVENT_FAILED));
    }
}

const fn shared_refusal(status: u32) -> Refusal {
    Refusal { status, stored_timestamp: None, burns: false }
}

const fn exception(timestamp: u64, index: usize, status: u32) -> ResultException {
    ResultException { timestamp, index: index as u32, status }
}
