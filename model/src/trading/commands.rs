//! Everything else that happens to orders.

use crate::ledger::Ledger;
use crate::trading::order::TradingOrder;
use crate::trading::submit::{covers, trades_max};
use crate::trading::{Done, Refused, Step, Trading, refuse_if};
use mizan_wire::Status;
use mizan_wire::limits::{SWEEP_ENDS_MAX, SWEEP_LOOKS_MAX};
use mizan_wire::orders::{
    AmendOrder, BookCommand, CancelOrder, CancelReason, OrderHandle, OrderKind, OrderReject,
    OrderReport, ReportKind, SLOT_NONE, TimeInForce,
};
use mizan_wire::trading::{
    AmendOrderEvent, CancelOrderEvent, InstrumentCommand, MassCancelEvent, OrderState,
    OrderStatus as S, decode_trading_state,
};

impl Trading {
    fn find_open(
        &self,
        ledger: &Ledger,
        account_id: u128,
        client_order_id: u128,
        number: u64,
    ) -> Result<usize, Refused> {
        let names = [client_order_id != 0, number != 0];
        refuse_if(names[0] == names[1], S::OrderNameAmbiguous)?;
        refuse_if(ledger.account(account_id).is_none(), S::AccountNotFound)?;
        let position = if number == 0 {
            *self.positions.get(&(account_id, client_order_id)).ok_or(S::OrderUnknown)?
        } else {
            refuse_if(number > self.orders.len() as u64, S::OrderUnknown)?;
            number as usize - 1
        };
        let order = &self.orders[position];
        refuse_if(order.quote_account != account_id, S::OwnerMismatch)?;
        if order.is_open() { Ok(position) } else { Err(about(S::OrderEnded, position)) }
    }

    /// The owner as the book knows it, and the order's handle there.
    fn handle(&self, ledger: &Ledger, order: &TradingOrder) -> (u32, OrderHandle) {
        let owner = ledger.accounts().iter().position(|account| account.id == order.quote_account);
        let owner = owner.expect("accounts never go") as u32;
        (owner, OrderHandle { number: order.book_number, slot: SLOT_NONE })
    }

    pub(crate) fn amend(
        &mut self,
        ledger: &mut Ledger,
        event: &AmendOrderEvent,
        step: &mut Step,
    ) -> Result<usize, Refused> {
        let AmendOrderEvent { account_id, client_order_id, order_number, .. } = *event;
        let position = self.find_open(ledger, account_id, client_order_id, order_number)?;
        let instrument = self.orders[position].event.instrument;
        if self.go_on_with(ledger, instrument, step) {
            self.find_open(ledger, account_id, client_order_id, order_number)?;
        }
        let order = self.orders[position].clone();
        let (owner, handle) = self.handle(ledger, &order);
        let AmendOrderEvent { price, stop_price, quantity, .. } = *event;
        let mut after = self.markets[&instrument].book.clone();
        after.looks_left = Some(step.looks_left);
        let amend = AmendOrder { handle, owner, price, stop_price, quantity };
        let reports = after.apply(&BookCommand::Amend(amend));
        refuse_rejected(&reports, position)?;
        let gone = order.quantity - order.open;
        if quantity > gone {
            let is_dormant = order.state == OrderState::Dormant;
            let kind = if is_dormant { order.kind } else { OrderKind::Limit };
            let has_limit = kind != OrderKind::Stop;
            let changed = TradingOrder {
                open: quantity - gone,
                price_bound: if has_limit { price } else { order.price_bound },
                ..order.clone()
            };
            let terms = self.markets[&instrument].record;
            let hold = changed.hold(&terms).ok_or(about(S::AmountTooLarge, position))?;
            let payer = ledger.account(order.paying_account()).expect("accounts never go");
            if hold > order.held && !covers(payer, hold - order.held) {
                return Err(about(S::InsufficientFunds, position));
            }
            let book = &self.markets[&instrument].book;
            let looks = step.looks_left;
            let trades = trades_max(book, order.side, kind, price, changed.open, looks);
            if self.room(ledger) < 4 * trades {
                return Err(about(S::TransfersFull, position));
            }
        }
        self.set_book(instrument, after, step);
        self.settle(ledger, instrument, &reports, step);
        Ok(position)
    }

    pub(crate) fn cancel(
        &mut self,
        ledger: &mut Ledger,
        event: &CancelOrderEvent,
        step: &mut Step,
    ) -> Result<usize, Refused> {
        refuse_if(event.reserved != [0; 3], S::ReservedField)?;
        let CancelOrderEvent { account_id, client_order_id, order_number, .. } = *event;
        let position = self.find_open(ledger, account_id, client_order_id, order_number)?;
        let order = self.orders[position].clone();
        let (owner, handle) = self.handle(ledger, &order);
        let command = BookCommand::Cancel(CancelOrder { handle, owner });
        let reports = self.book(order.event.instrument).apply(&command);
        refuse_rejected(&reports, position)?;
        self.settle(ledger, order.event.instrument, &reports, step);
        Ok(position)
    }

    pub(crate) fn mass_cancel(
        &mut self,
        ledger: &mut Ledger,
        event: &MassCancelEvent,
        step: &mut Step,
    ) -> Result<Done, Refused> {
        let is_used = event.reserved != [0; 3] || event.reserved_2 != [0; 2];
        refuse_if(is_used, S::ReservedField)?;
        refuse_if(event.sides > 2, S::CodeUnknown)?;
        let unknown = event.instrument != 0 && !self.markets.contains_key(&event.instrument);
        refuse_if(unknown, S::InstrumentUnknown)?;
        let unknown = event.account_id != 0 && ledger.account(event.account_id).is_none();
        refuse_if(unknown, S::AccountNotFound)?;
        let every_session = event.session == u64::MAX;
        let is_meant = |_: &Self, order: &TradingOrder| {
            (event.session == 0
                || event.session == order.session
                || every_session && order.session != 0)
                && (event.instrument == 0 || event.instrument == order.event.instrument)
                && (event.sides == 0 || event.sides == order.side as u8 + 1)
        };
        let bounds = (event.account_id, event.from_order_number, event.to_order_number);
        Ok(self.sweep(ledger, bounds, is_meant, CancelReason::MassCancelled, step))
    }

    /// Ends open orders from a number on and up to another unless it is 0, of one account unless it is 0, as far as one
    /// request goes.
    fn sweep(
        &mut self,
        ledger: &mut Ledger,
        (account_id, from_number, to_number): (u128, u64, u64),
        is_meant: impl Fn(&Self, &TradingOrder) -> bool,
        reason: CancelReason,
        step: &mut Step,
    ) -> Done {
        let candidates: Vec<usize> = (0..self.orders.len())
            .filter(|position| self.orders[*position].is_open())
            .filter(|position| [0, self.orders[*position].quote_account].contains(&account_id))
            .collect();
        let number = |position: &usize| *position as u64 + 1;
        let start = match account_id {
            0 => candidates.partition_point(|position| number(position) < from_number),
            // Where that order has ended meanwhile, all is looked at anew.
            _ => candidates.iter().position(|it| number(it) == from_number).unwrap_or(0),
        };
        let mut count = 0;
        for position in &candidates[start..] {
            if to_number != 0 && number(position) > to_number {
                break;
            }
            if step.looked_at == SWEEP_LOOKS_MAX || step.swept == SWEEP_ENDS_MAX {
                return Done::Swept(count, number(position));
            }
            step.looked_at += 1;
            if is_meant(self, &self.orders[*position]) {
                step.swept += 1;
                count += 1;
                self.end(ledger, *position, reason, step);
            }
        }
        Done::Swept(count, 0)
    }

    /// Ends an open order, whatever the state of its book.
    pub(crate) fn end(
        &mut self,
        ledger: &mut Ledger,
        position: usize,
        reason: CancelReason,
        step: &mut Step,
    ) {
        let order = &self.orders[position];
        let (instrument, number) = (order.event.instrument, order.book_number);
        let mut reports = Vec::new();
        self.book(instrument).end(number, reason, &mut reports);
        self.settle(ledger, instrument, &reports, step);
    }

    pub(crate) fn set_state(
        &mut self,
        ledger: &mut Ledger,
        event: &InstrumentCommand,
        step: &mut Step,
    ) -> Result<u64, Refused> {
        let is_used = event.reserved != [0; 3] || event.from_order_number != 0;
        refuse_if(is_used, S::ReservedField)?;
        let state = decode_trading_state(event.state).ok_or(S::CodeUnknown)?;
        let instruments = self.named(event.instrument)?;
        refuse_if(instruments.len() as u64 > step.looks_left, OrderReject::TooManyLooks)?;
        step.looks_left -= instruments.len() as u64;
        for id in &instruments {
            let reports = self.book(*id).apply(&BookCommand::SetTradingState(state));
            self.settle(ledger, *id, &reports, step);
        }
        Ok(instruments.len() as u64)
    }

    pub(crate) fn close_session(
        &mut self,
        ledger: &mut Ledger,
        event: &InstrumentCommand,
        step: &mut Step,
    ) -> Result<Done, Refused> {
        let is_used = event.reserved != [0; 3] || event.state != 0;
        refuse_if(is_used, S::ReservedField)?;
        let instruments = self.named(event.instrument)?;
        let is_meant = |_: &Self, order: &TradingOrder| {
            order.time_in_force == TimeInForce::Day && instruments.contains(&order.event.instrument)
        };
        let from = (0, event.from_order_number, 0);
        Ok(self.sweep(ledger, from, is_meant, CancelReason::SessionClosed, step))
    }

    fn named(&self, id: u32) -> Result<Vec<u32>, Refused> {
        refuse_if(id != 0 && !self.markets.contains_key(&id), S::InstrumentUnknown)?;
        Ok(if id == 0 { self.markets.keys().copied().collect() } else { vec![id] })
    }

    fn book(&mut self, instrument: u32) -> &mut crate::books::ModelBook {
        &mut self.markets.get_mut(&instrument).expect("the instrument was found").book
    }
}

fn about(status: S, position: usize) -> Refused {
    Refused { status: status.number(), position: Some(position) }
}

fn refuse_rejected(reports: &[OrderReport], position: usize) -> Result<(), Refused> {
    if reports[0].is(ReportKind::Rejected) {
        return Err(Refused { status: reports[0].reason.into(), position: Some(position) });
    }
    Ok(())
}
