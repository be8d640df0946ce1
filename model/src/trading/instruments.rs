//! `create_instruments`, one event.

use crate::books::ModelBook;
use crate::ledger::Ledger;
use crate::trading::{Market, Refused, Trading, refuse_if};
use mizan_wire::AccountFlags;
use mizan_wire::trading::{CreateInstrument, InstrumentStatus as S, decode_self_trade};

impl Trading {
    /// Makes an instrument; refused with the stored timestamp if there is one like it.
    pub(crate) fn create(
        &mut self,
        ledger: &Ledger,
        event: &CreateInstrument,
        number: u64,
    ) -> Result<(), (u32, u64)> {
        if let Some(market) = self.markets.get(&event.id) {
            let stored = market.record;
            let is_clean = event.timestamp == 0
                && event.state == 0
                && event.reserved == [0; 5]
                && event.reserved_2 == [0; 10];
            if is_clean && (CreateInstrument { timestamp: stored.timestamp, ..*event }) == stored {
                return Err((S::Exists as u32, stored.timestamp));
            }
        }
        self.check(ledger, event).map_err(|refused| (refused.status, number))?;
        let record = CreateInstrument { timestamp: number, ..*event };
        let book = ModelBook::new(event.rules(), event.capacity());
        self.markets.insert(event.id, Market { record, book });
        Ok(())
    }

    fn check(&self, ledger: &Ledger, event: &CreateInstrument) -> Result<(), Refused> {
        refuse_if(event.timestamp != 0, S::TimestampMustBeZero)?;
        refuse_if(event.state != 0 || event.reserved != [0; 5], S::ReservedField)?;
        refuse_if(event.reserved_2 != [0; 10], S::ReservedField)?;
        refuse_if(event.id == 0, S::InstrumentMustNotBeZero)?;
        refuse_if(self.markets.contains_key(&event.id), S::ExistsWithDifferentTerms)?;
        let count_max = self.genesis.instrument_count_max as usize;
        refuse_if(count_max == 0, S::TradingNotEnabled)?;
        refuse_if(self.markets.len() >= count_max, S::InstrumentsFull)?;
        refuse_if(event.base_ledger == event.quote_ledger, S::LedgersMustBeDifferent)?;
        refuse_if(event.quote_per_tick_lot == 0, S::UnitsMustNotBeZero)?;
        refuse_if(event.base_per_lot == 0, S::UnitsMustNotBeZero)?;
        refuse_if(event.maker_fee_bps.unsigned_abs() > 10_000, S::FeeOutOfRange)?;
        refuse_if(event.taker_fee_bps.unsigned_abs() > 10_000, S::FeeOutOfRange)?;
        refuse_if(event.rounding != 1, S::RoundingUnknown)?;
        refuse_if(decode_self_trade(event.self_trade).is_none(), S::SelfTradeInvalid)?;
        refuse_if(event.rules().check(event.capacity()).is_err(), S::RulesOutOfRange)?;
        let ids =
            [event.fee_account_id, event.base_clearing_account_id, event.quote_clearing_account_id];
        let found: Vec<_> = ids.iter().filter_map(|id| ledger.account(*id)).collect();
        refuse_if(found.len() != 3, S::AccountNotFound)?;
        let ledgers = [event.quote_ledger, event.base_ledger, event.quote_ledger];
        let fits = found.iter().zip(ledgers).all(|(account, ledger)| account.ledger == ledger);
        refuse_if(!fits, S::AccountInOtherLedger)?;
        let limits = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS
            | AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS
            | AccountFlags::CLOSED;
        let is_limited = found.iter().any(|account| account.flags & limits != 0);
        refuse_if(is_limited, S::AccountMustBeUnlimited)?;
        refuse_if(ids[0] == ids[2], S::AccountsMustBeDifferent)?;
        let trades = ids.iter().any(|id| {
            let of = [*id];
            self.orders.iter().any(|order| {
                order.is_open()
                    && (of.contains(&order.quote_account) || of.contains(&order.base_account))
            })
        });
        refuse_if(trades, S::AccountHasOpenOrders)?;
        let room = |all: u32, part: fn(&CreateInstrument) -> u32| {
            let taken = self.markets.values().map(|market| u64::from(part(&market.record)));
            taken.sum::<u64>() + u64::from(part(event)) <= u64::from(all)
        };
        let fits = room(self.genesis.open_order_count_max, |record| record.orders_max)
            && room(self.genesis.book_level_count_max, |record| record.levels_max);
        refuse_if(!fits, S::BookSpaceFull)
    }
}
