//! The short way for transfers that are like most others: they post or reserve an amount, and nothing about them is
//! unusual.
//!
//! Invariant: what goes this way changes the state exactly as the rules of `create_transfers` would, and everything
//! that they would refuse, or that is not quite plain, is left to them with nothing changed. So this file knows no
//! status: where several reasons speak against an event, the order of precedence is theirs.
//!
//! Cost: amounts and balances are single words here, all conditions are tested on lines that were fetched ahead, and
//! no intermediate result travels through memory.

use crate::accounts::{AccountLine, Sum};
use crate::ledger::LedgerState;
use crate::look_ahead::{Hints, resolves_hold};
use crate::resolved::PendingState;
use crate::transfers::StoredTransfer;
use crate::undo::UndoStep;
use mizan_wire::limits::{NS_PER_S, TIMESTAMP_MAX, id_is_reserved};
use mizan_wire::{AccountFlags, Transfer, TransferFlags};

const OF_TWO_PHASES: u16 =
    TransferFlags::PENDING | TransferFlags::POST_PENDING | TransferFlags::VOID_PENDING;
/// The balances that a transfer adds to.
const POSTED: [Sum; 2] = [Sum::DebitsPosted, Sum::CreditsPosted];
const PENDING: [Sum; 2] = [Sum::DebitsPending, Sum::CreditsPending];

impl LedgerState {
    /// Executes the plain event at `index`, which has no old record, or changes nothing and says no.
    ///
    /// `IN_CHAIN` says whether a chain is open, so that others need not ask at each change.
    #[inline(always)]
    pub(crate) fn create_plain<const IN_CHAIN: bool>(
        &mut self,
        event: &Transfer,
        index: usize,
        number: u64,
    ) -> bool {
        if event.flags & OF_TWO_PHASES == 0 {
            self.move_plain::<IN_CHAIN, false>(event, index, number)
        } else if resolves_hold(event) {
            self.resolve_plain::<IN_CHAIN>(event, index, number)
        } else {
            self.reserve_plain::<IN_CHAIN>(event, index, number)
        }
    }

    #[inline(never)]
    fn reserve_plain<const IN_CHAIN: bool>(
        &mut self,
        event: &Transfer,
        index: usize,
        number: u64,
    ) -> bool {
        // For the transfer and for the one that ends it.
        let has_room = !self.holds.is_full()
            && self.transfers.room() >= 2
            && u64::from(event.timeout) * NS_PER_S <= TIMESTAMP_MAX - number;
        has_room && self.move_plain::<IN_CHAIN, true>(event, index, number)
    }

    #[inline(always)]
    fn move_plain<const IN_CHAIN: bool, const IS_PENDING: bool>(
        &mut self,
        event: &Transfer,
        index: usize,
        number: u64,
    ) -> bool {
        let hints = self.verified(event, self.look_ahead.hints(index));
        let slots = [hints.debit_guess as usize, hints.credit_guess as usize];
        // Refuses slots that are the same, and those that are none: the others have the event's ids.
        let Ok([debit, credit]) = self.accounts.lines.get_disjoint_mut(slots) else { return false };
        let ledger_slot = u32::from(debit.ledger_slot);
        let is_plain = is_plain::<IS_PENDING>(event)
            && debit.ledger_slot == credit.ledger_slot
            && event.ledger == self.ledgers.number(ledger_slot)
            && !self.transfers.is_full()
            && !are_unusual(debit, credit);
        if !is_plain {
            return false;
        }
        let [debits, credits] = if IS_PENDING { PENDING } else { POSTED };
        let amount = event.amount as u64;
        let before = [debit.low[debits as usize], credit.low[credits as usize]];
        let Some(debits_after) = before[0].checked_add(amount) else { return false };
        let Some(credits_after) = before[1].checked_add(amount) else { return false };
        if exceeds_limit(debit, credit, amount) || self.transfers.find(event.id, hints.id).is_some()
        {
            return false;
        }
        debit.low[debits as usize] = debits_after;
        credit.low[credits as usize] = credits_after;
        self.ledgers.check_later(ledger_slot);
        let totals = &mut self.ledgers.get_mut(ledger_slot).totals;
        totals.total_mut(debits).add((debits_after - before[0]).into());
        totals.total_mut(credits).add((credits_after - before[1]).into());
        let record = plain_record::<IS_PENDING>(event, number, self.sequence, hints);
        let slot = self.transfers.push(hints.id, record);
        if IN_CHAIN {
            self.record_plain(hints, [debits, credits], before);
        }
        if IS_PENDING {
            self.open_hold(slot);
        }
        true
    }

    /// What takes a plain transfer back, except for a hold.
    fn record_plain(&mut self, hints: Hints, sums: [Sum; 2], before: [u64; 2]) {
        let slots = [hints.debit_guess, hints.credit_guess];
        for ((account_slot, sum), before) in slots.into_iter().zip(sums).zip(before) {
            self.undo.record(|| UndoStep::Balance { account_slot, sum, before: before.into() });
        }
        self.undo.record(|| UndoStep::Transfer);
    }
}

/// Whether the event itself, whatever the state, asks for nothing but to post or reserve an amount of one word.
///
/// That its accounts' ids and its ledger are valid follows later, from those that are stored.
#[inline(always)]
fn is_plain<const IS_PENDING: bool>(event: &Transfer) -> bool {
    let high =
        (event.amount >> 64) as u64 | event.pending_id as u64 | (event.pending_id >> 64) as u64;
    let low = match IS_PENDING {
        true => event.flags & !(TransferFlags::LINKED | TransferFlags::PENDING),
        false => event.flags & !TransferFlags::LINKED,
    };
    let timeout = if IS_PENDING { 0 } else { event.timeout };
    let low = u64::from(low) | u64::from(timeout);
    high | low | event.timestamp == 0 && event.code != 0 && is_id_valid(event.id)
}

#[inline(always)]
pub(crate) const fn is_id_valid(id: u128) -> bool {
    id != 0 && id != u128::MAX && !id_is_reserved(id)
}

/// Whether an account is closed, or has a balance of more than one word.
#[inline(always)]
pub(crate) fn are_unusual(debit: &AccountLine, credit: &AccountLine) -> bool {
    let is_closed = (debit.flags() | credit.flags()) & AccountFlags::CLOSED != 0;
    is_closed || debit.is_wide() || credit.is_wide()
}

/// Whether an amount more, posted or pending, would take an account outside its limits.
#[inline(always)]
fn exceeds_limit(debit: &AccountLine, credit: &AccountLine, amount: u64) -> bool {
    let exceeds = |line: &AccountLine, pending: Sum, posted: Sum, cover: Sum| {
        let word = |sum: Sum| u128::from(line.low[sum as usize]);
        word(pending) + word(posted) + u128::from(amount) > word(cover)
    };
    let debits_exceed = debit.flags() & AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS != 0
        && exceeds(debit, Sum::DebitsPending, Sum::DebitsPosted, Sum::CreditsPosted);
    debits_exceed
        || credit.flags() & AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS != 0
            && exceeds(credit, Sum::CreditsPending, Sum::CreditsPosted, Sum::DebitsPosted)
}

#[inline(always)]
fn plain_record<const IS_PENDING: bool>(
    event: &Transfer,
    number: u64,
    sequence: u64,
    hints: Hints,
) -> StoredTransfer {
    StoredTransfer {
        id: event.id,
        amount: event.amount,
        pending_id: 0,
        user_data_128: event.user_data_128,
        timestamp: number,
        sequence,
        user_data_64: event.user_data_64,
        debit_slot: hints.debit_guess,
        credit_slot: hints.credit_guess,
        user_data_32: event.user_data_32,
        timeout: if IS_PENDING { event.timeout } else { 0 },
        ledger: event.ledger,
        code: event.code,
        flags: event.flags,
        hold: 0,
        pending_state: if IS_PENDING { PendingState::Pending } else { PendingState::None },
    }
}
