//! Fetches what the events of a batch will need while earlier ones are executed.
//!
//! Three looks at each event: its ids are hashed and their buckets fetched; then the buckets name the records, which
//! are fetched; then, for a post or void, the pending transfer names accounts and hold, which are fetched. By the time
//! of its execution an event finds nearly everything in the nearest cache.
//!
//! A request of few events has none to look ahead of. So whoever sees the requests that follow may have their first
//! events looked at, too, while earlier requests are applied: [`Engine::look_ahead_ids`] and then
//! [`Engine::look_ahead_records`] leave nothing behind but cache lines.
//!
//! Invariant: what is found here is a guess. Execution verifies each, so that no result depends on this file.

use crate::engine::Engine;
use crate::id_table::IdHash;
use crate::ledger::LedgerState;
use crate::limits::{
    LOOK_AHEAD_IDS, LOOK_AHEAD_OF_REQUEST, LOOK_AHEAD_PENDING, LOOK_AHEAD_RECORDS, LOOK_AHEAD_RING,
};
use mizan_wire::{Account, Operation, RequestHeader, Transfer, TransferFlags};
use zerocopy::FromBytes;

/// A slot that no account has.
const NO_GUESS: u32 = u32::MAX;

/// What is known of an event before its execution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hints {
    pub(crate) id: IdHash,
    /// Of the debit account's id, or of the pending transfer's if the event names one.
    first: IdHash,
    pub(crate) credit: IdHash,
    pub(crate) debit_guess: u32,
    pub(crate) credit_guess: u32,
}

impl Hints {
    pub(crate) const fn debit(&self) -> IdHash {
        self.first
    }

    pub(crate) const fn pending(&self) -> IdHash {
        self.first
    }
}

impl Default for Hints {
    fn default() -> Self {
        let none = IdHash::default();
        Self { id: none, first: none, credit: none, debit_guess: NO_GUESS, credit_guess: NO_GUESS }
    }
}

/// The hints of the events that are being looked at: a ring over their positions.
#[derive(Default)]
pub(crate) struct LookAhead {
    ring: [Hints; LOOK_AHEAD_RING],
}

impl LookAhead {
    #[inline]
    pub(crate) const fn hints(&self, index: usize) -> Hints {
        self.ring[index % LOOK_AHEAD_RING]
    }

    #[inline]
    const fn hints_mut(&mut self, index: usize) -> &mut Hints {
        &mut self.ring[index % LOOK_AHEAD_RING]
    }
}

/// Whether the event names a pending transfer instead of accounts.
pub(crate) const fn resolves_hold(event: &Transfer) -> bool {
    event.flags & (TransferFlags::POST_PENDING | TransferFlags::VOID_PENDING) != 0
}

impl Engine {
    /// Asks for the lines in which the ids of a request's first events are looked for. Changes nothing.
    ///
    /// For a request that will be applied a few hundred nanoseconds from now. Anything but a create of transfers with
    /// an aligned body does nothing. Cost: 30 to 60 ns per event, of 8 at the most, nearly all of it the translation of
    /// addresses that nobody used lately.
    #[inline]
    pub fn look_ahead_ids(&self, header: &RequestHeader, body: &[u8]) {
        for event in first_transfers(header, body) {
            self.ledger.fetch_ids(event);
        }
    }

    /// Asks for the records that the lines of [`Engine::look_ahead_ids`] name. Changes nothing.
    ///
    /// To be called when those lines have come, some 100 ns after they were asked for. Cost: about 20 ns per event.
    #[inline]
    pub fn look_ahead_records(&self, header: &RequestHeader, body: &[u8]) {
        for event in first_transfers(header, body) {
            self.ledger.fetch_records(event);
        }
    }
}

/// The first events of a request, if it creates transfers and they can be read in place.
#[inline]
fn first_transfers<'a>(header: &RequestHeader, body: &'a [u8]) -> &'a [Transfer] {
    if header.operation != Operation::CreateTransfers.number() {
        return &[];
    }
    let events = <[Transfer]>::ref_from_bytes(body).unwrap_or_default();
    &events[..events.len().min(LOOK_AHEAD_OF_REQUEST)]
}

impl LedgerState {
    #[inline]
    fn fetch_ids(&self, event: &Transfer) {
        let (accounts, transfers) = (&self.accounts.table, &self.transfers.table);
        transfers.prefetch(transfers.hash(event.id));
        if resolves_hold(event) {
            transfers.prefetch(transfers.hash(event.pending_id));
        } else {
            accounts.prefetch(accounts.hash(event.debit_account_id));
            accounts.prefetch(accounts.hash(event.credit_account_id));
        }
    }

    #[inline]
    fn fetch_records(&self, event: &Transfer) {
        let (accounts, transfers) = (&self.accounts, &self.transfers);
        transfers.prefetch_candidate(transfers.table.hash(event.id));
        if resolves_hold(event) {
            transfers.prefetch_candidate(transfers.table.hash(event.pending_id));
        } else {
            accounts.prefetch_candidates(accounts.table.hash(event.debit_account_id));
            accounts.prefetch_candidates(accounts.table.hash(event.credit_account_id));
        }
    }

    /// Looks at the first events of a batch; [`LedgerState::look_ahead_transfers`] follows before each event.
    pub(crate) fn look_ahead_first_transfers(&mut self, events: &[Transfer]) {
        for index in 0..LOOK_AHEAD_IDS.min(events.len()) {
            self.look_at_ids(events, index);
        }
        for index in 0..LOOK_AHEAD_RECORDS.min(events.len()) {
            self.look_at_records(events, index);
        }
        for index in 0..LOOK_AHEAD_PENDING.min(events.len()) {
            self.look_at_pending(events, index);
        }
    }

    /// Looks ahead of the event at `index`, which is executed next.
    #[inline]
    pub(crate) fn look_ahead_transfers(&mut self, events: &[Transfer], index: usize) {
        self.look_at_ids(events, index + LOOK_AHEAD_IDS);
        self.look_at_records(events, index + LOOK_AHEAD_RECORDS);
        self.look_at_pending(events, index + LOOK_AHEAD_PENDING);
    }

    #[inline(always)]
    fn look_at_ids(&mut self, events: &[Transfer], index: usize) {
        let Some(event) = events.get(index) else { return };
        let (accounts, transfers) = (&self.accounts.table, &self.transfers.table);
        let mut hints = Hints { id: transfers.hash(event.id), ..Hints::default() };
        transfers.prefetch(hints.id);
        if resolves_hold(event) {
            hints.first = transfers.hash(event.pending_id);
            transfers.prefetch(hints.first);
        } else {
            hints.first = accounts.hash(event.debit_account_id);
            accounts.prefetch(hints.first);
            hints.credit = accounts.hash(event.credit_account_id);
            accounts.prefetch(hints.credit);
        }
        *self.look_ahead.hints_mut(index) = hints;
    }

    #[inline(always)]
    fn look_at_records(&mut self, events: &[Transfer], index: usize) {
        let Some(event) = events.get(index) else { return };
        let hints = self.look_ahead.hints(index);
        self.transfers.prefetch_candidate(hints.id);
        if resolves_hold(event) {
            self.transfers.prefetch_candidate(hints.pending());
            return;
        }
        let debit_guess = self.accounts.prefetch_candidates(hints.debit());
        let credit_guess = self.accounts.prefetch_candidates(hints.credit);
        let hints = self.look_ahead.hints_mut(index);
        hints.debit_guess = debit_guess.unwrap_or(NO_GUESS);
        hints.credit_guess = credit_guess.unwrap_or(NO_GUESS);
    }

    #[inline]
    fn look_at_pending(&self, events: &[Transfer], index: usize) {
        let Some(event) = events.get(index) else { return };
        if !resolves_hold(event) {
            return;
        }
        let hints = self.look_ahead.hints(index);
        let candidate = self.transfers.prefetch_candidate(hints.pending());
        let Some(pending) = candidate.and_then(|slot| self.transfers.records.get(slot as usize))
        else {
            return;
        };
        self.accounts.prefetch(pending.debit_slot);
        self.accounts.prefetch(pending.credit_slot);
        self.holds.prefetch(pending.hold);
    }

    /// The hints of an event that names its accounts, with guesses that hold, or are none where an account is unknown.
    #[inline(always)]
    pub(crate) fn verified(&self, event: &Transfer, hints: Hints) -> Hints {
        let is_of = |slot: u32, id: u128| {
            self.accounts.lines.get(slot as usize).is_some_and(|line| line.id == id)
        };
        let (debit, credit) = (event.debit_account_id, event.credit_account_id);
        if is_of(hints.debit_guess, debit) && is_of(hints.credit_guess, credit) {
            hints
        } else {
            self.corrected(event, hints)
        }
    }

    #[inline(never)]
    fn corrected(&self, event: &Transfer, hints: Hints) -> Hints {
        let find = |id: u128, hash: IdHash, guess: u32| {
            self.accounts.find_with_guess(id, hash, guess).unwrap_or(NO_GUESS)
        };
        Hints {
            debit_guess: find(event.debit_account_id, hints.debit(), hints.debit_guess),
            credit_guess: find(event.credit_account_id, hints.credit, hints.credit_guess),
            ..hints
        }
    }

    /// Looks ahead of the account event at `index`, which is executed next.
    #[inline]
    pub(crate) fn look_ahead_accounts(&self, events: &[Account], index: usize) {
        if let Some(event) = events.get(index + LOOK_AHEAD_IDS) {
            self.accounts.table.prefetch(self.accounts.table.hash(event.id));
        }
    }
}
