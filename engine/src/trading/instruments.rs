//! Instruments, and the rules of `create_instruments` in the order of precedence of `InstrumentStatus`.
//!
//! An instrument's book takes its memory when the instrument is made, out of totals that genesis fixes. Of that, one
//! request touches `BOOK_TOUCH_MAX` bytes at the most; the rest is mapped as orders come.

use crate::books::Book;
use crate::ledger::LedgerState;
use crate::refusal::{Refusal, refuse_if};
use crate::trading::limits::{FEE_BPS_MAX, INSTRUMENT_MARK};
use crate::trading::state::Trading;
use mizan_wire::AccountFlags;
use mizan_wire::trading::{CreateInstrument, InstrumentStatus, RoundingRule, decode_self_trade};

use InstrumentStatus as Status;

/// An instrument, and where its accounts stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instrument {
    pub(crate) record: CreateInstrument,
    pub(crate) fee_slot: u32,
    pub(crate) base_clearing_slot: u32,
    pub(crate) quote_clearing_slot: u32,
    pub(crate) base_ledger_slot: u32,
    pub(crate) quote_ledger_slot: u32,
}

impl From<InstrumentStatus> for Refusal {
    fn from(status: InstrumentStatus) -> Self {
        Self::new(status)
    }
}

impl Trading {
    /// The place of the instrument with this number.
    #[inline]
    pub(crate) fn find_instrument(&self, id: u32) -> Option<usize> {
        let found = self.sorted.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.sorted[found].1 as usize)
    }

    /// Makes an instrument, or changes nothing.
    pub(crate) fn create_instrument(
        &mut self,
        ledger: &mut LedgerState,
        event: &CreateInstrument,
        number: u64,
    ) -> Result<(), Refusal> {
        refuse_if(event.timestamp != 0, Status::TimestampMustBeZero)?;
        let is_used = event.state != 0 || event.reserved != [0; 5] || event.reserved_2 != [0; 10];
        refuse_if(is_used, Status::ReservedField)?;
        refuse_if(event.id == 0, Status::InstrumentMustNotBeZero)?;
        if let Some(place) = self.find_instrument(event.id) {
            let stored = &self.instruments[place].record;
            let same = CreateInstrument { timestamp: stored.timestamp, ..*event };
            refuse_if(same != *stored, Status::ExistsWithDifferentTerms)?;
            return Err(Refusal::exists(Status::Exists, stored.timestamp));
        }
        refuse_if(self.instrument_count_max == 0, Status::TradingNotEnabled)?;
        let is_full = self.instruments.len() >= self.instrument_count_max;
        refuse_if(is_full, Status::InstrumentsFull)?;
        check_terms(event)?;
        let instrument = find_accounts(ledger, event)?;
        let orders_left = self.orders_left.checked_sub(event.orders_max);
        let levels_left = self.levels_left.checked_sub(event.levels_max);
        let (Some(orders_left), Some(levels_left)) = (orders_left, levels_left) else {
            return Err(Status::BookSpaceFull.into());
        };
        let touch_left = &mut self.touch_left;
        let book = Book::within(event.rules(), event.capacity(), touch_left);
        let Ok(book) = book else { return Err(Status::RulesOutOfRange.into()) };
        self.orders_left = orders_left;
        self.levels_left = levels_left;
        let Instrument { fee_slot, base_clearing_slot, quote_clearing_slot, .. } = instrument;
        for slot in [fee_slot, base_clearing_slot, quote_clearing_slot] {
            ledger.trading_uses[slot as usize] |= INSTRUMENT_MARK;
        }
        let place = self.instruments.len() as u32;
        let index = self.sorted.partition_point(|(id, _)| *id < event.id);
        self.sorted.insert(index, (event.id, place));
        let record = CreateInstrument { timestamp: number, ..*event };
        self.instruments.push(Instrument { record, ..instrument });
        self.books.push(book);
        Ok(())
    }
}

fn check_terms(event: &CreateInstrument) -> Result<(), Status> {
    refuse_if(event.base_ledger == event.quote_ledger, Status::LedgersMustBeDifferent)?;
    let has_unit = event.quote_per_tick_lot != 0 && event.base_per_lot != 0;
    refuse_if(!has_unit, Status::UnitsMustNotBeZero)?;
    let range = -FEE_BPS_MAX..=FEE_BPS_MAX;
    let fits = range.contains(&event.maker_fee_bps) && range.contains(&event.taker_fee_bps);
    refuse_if(!fits, Status::FeeOutOfRange)?;
    refuse_if(event.rounding != RoundingRule::HalfEven as u8, Status::RoundingUnknown)?;
    refuse_if(decode_self_trade(event.self_trade).is_none(), Status::SelfTradeInvalid)?;
    refuse_if(event.rules().check(event.capacity()).is_err(), Status::RulesOutOfRange)
}

fn find_accounts(ledger: &LedgerState, event: &CreateInstrument) -> Result<Instrument, Status> {
    let find = |id: u128| {
        let accounts = &ledger.accounts;
        accounts.find(id, accounts.table.hash(id)).ok_or(Status::AccountNotFound)
    };
    let fee_slot = find(event.fee_account_id)?;
    let base_clearing_slot = find(event.base_clearing_account_id)?;
    let quote_clearing_slot = find(event.quote_clearing_account_id)?;
    let ledger_of = |slot: u32| ledger.ledgers.number(ledger.accounts.ledger_slot(slot));
    let fits = ledger_of(fee_slot) == event.quote_ledger
        && ledger_of(quote_clearing_slot) == event.quote_ledger
        && ledger_of(base_clearing_slot) == event.base_ledger;
    refuse_if(!fits, Status::AccountInOtherLedger)?;
    let slots = [fee_slot, base_clearing_slot, quote_clearing_slot];
    const LIMITS: u16 = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS
        | AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS
        | AccountFlags::CLOSED;
    let is_limited = slots.iter().any(|slot| ledger.accounts.flags(*slot) & LIMITS != 0);
    refuse_if(is_limited, Status::AccountMustBeUnlimited)?;
    refuse_if(fee_slot == quote_clearing_slot, Status::AccountsMustBeDifferent)?;
    let trades =
        slots.iter().any(|slot| ledger.trading_uses[*slot as usize] & !INSTRUMENT_MARK != 0);
    refuse_if(trades, Status::AccountHasOpenOrders)?;
    Ok(Instrument {
        record: *event,
        fee_slot,
        base_clearing_slot,
        quote_clearing_slot,
        base_ledger_slot: ledger.accounts.ledger_slot(base_clearing_slot),
        quote_ledger_slot: ledger.accounts.ledger_slot(quote_clearing_slot),
    })
}
