//! Amends, cancels, mass cancels, trading states, the end of a trading session, and expiry.

use crate::books::Book;
use crate::ledger::LedgerState;
use crate::refusal::refuse_if;
use crate::trading::limits::{LEGS_PER_FILL, NONE};
use crate::trading::order::Order;
use crate::trading::settlement::{Numbers, Settlement};
use crate::trading::state::Trading;
use crate::trading::submit::Refused;
use mizan_wire::Status as _;
use mizan_wire::orders::{
    AmendOrder, CancelOrder, CancelReason, OrderKind, OrderReject, Side, TradingState,
};
use mizan_wire::trading::{
    AmendOrderEvent, CancelOrderEvent, InstrumentCommand, MassCancelEvent, OrderState, OrderStatus,
    decode_trading_state,
};

use OrderStatus as Status;

/// What all commands about orders need.
pub(crate) struct Step<'a> {
    pub(crate) ledger: &'a mut LedgerState,
    pub(crate) numbers: &'a mut Numbers,
    pub(crate) timestamp: u64,
}

impl Trading {
    /// Has a book do something, and settles what it reports; gives the number of orders that were cancelled.
    fn settle(
        &mut self,
        place: usize,
        step: &mut Step<'_>,
        command: impl FnOnce(&mut Book, &mut Settlement<'_>),
    ) -> Result<u64, OrderReject> {
        let Self { books, desk, instruments, .. } = self;
        let mut settlement = Settlement {
            ledger: step.ledger,
            desk,
            instrument: &instruments[place],
            numbers: step.numbers,
            timestamp: step.timestamp,
            rejected: None,
            cancelled: 0,
        };
        command(&mut books[place], &mut settlement);
        match settlement.rejected {
            None => Ok(settlement.cancelled),
            Some(reject) => Err(reject),
        }
    }

    /// The open order that a command names by number or by client id.
    fn find_open(
        &self,
        ledger: &LedgerState,
        account_id: u128,
        client_order_id: u128,
        number: u64,
    ) -> Result<u32, Refused> {
        let is_ambiguous = (client_order_id == 0) == (number == 0);
        refuse_if(is_ambiguous, Status::OrderNameAmbiguous)?;
        let accounts = &ledger.accounts;
        if let Some(order) = self.desk.orders.numbered(number)
            && accounts.id(order.quote_slot) == account_id
            && order.is_open()
        {
            // The account needs no search: the order leads to it.
            return Ok(number as u32 - 1);
        }
        let quote_slot = accounts
            .find(account_id, accounts.table.hash(account_id))
            .ok_or(Status::AccountNotFound)?;
        let orders = &self.desk.orders;
        let index = match number {
            0 => orders.find(quote_slot, client_order_id).ok_or(Status::OrderUnknown)?,
            _ if number <= orders.count() as u64 => number as u32 - 1,
            _ => return Err(Status::OrderUnknown.into()),
        };
        let order = orders.get(index);
        refuse_if(order.quote_slot != quote_slot, Status::OwnerMismatch)?;
        if order.is_open() { Ok(index) } else { Err(Refused::about(Status::OrderEnded, index)) }
    }

    /// Gives an open order new terms; gives its index.
    pub(crate) fn amend(
        &mut self,
        event: &AmendOrderEvent,
        step: &mut Step<'_>,
    ) -> Result<u32, Refused> {
        let index = self.find_open(
            step.ledger,
            event.account_id,
            event.client_order_id,
            event.order_number,
        )?;
        let order = *self.desk.orders.get(index);
        let place = order.instrument as usize;
        let amend = AmendOrder {
            handle: order.handle(),
            owner: order.quote_slot,
            price: event.price,
            stop_price: event.stop_price,
            quantity: event.quantity,
        };
        let refused = |status: u32| Refused { status, order: index };
        if let Err(status) = self.check_amend(step.ledger, place, &order, &amend) {
            let earlier = self.books[place].refuses_amend(&amend);
            return Err(refused(earlier.map_or(status.number(), |reject| reject.number())));
        }
        let outcome = self.settle(place, step, |book, sink| book.amend(&amend, sink));
        outcome.map(|_| index).map_err(|reject| refused(reject.number()))
    }

    /// Room and funds for an amend.
    fn check_amend(
        &self,
        ledger: &LedgerState,
        place: usize,
        order: &Order,
        amend: &AmendOrder,
    ) -> Result<(), Status> {
        let gone = order.quantity - order.open;
        if amend.quantity <= gone {
            return Ok(());
        }
        let kind = match order.state {
            OrderState::Dormant => order.kind,
            _ => OrderKind::Limit,
        };
        let open = amend.quantity - gone;
        let trades = self.trades_max(place, order.side, kind, amend.price, open);
        let changed = Order {
            price_bound: if kind.has_limit() { amend.price } else { order.price_bound },
            open,
            ..*order
        };
        self.check_funds(ledger, place, &changed)?;
        refuse_if(ledger.transfers.room() < trades * LEGS_PER_FILL, Status::TransfersFull)
    }

    /// Cancels an open order; gives its index.
    pub(crate) fn cancel(
        &mut self,
        event: &CancelOrderEvent,
        step: &mut Step<'_>,
    ) -> Result<u32, Refused> {
        refuse_if(event.reserved != [0; 3], Status::ReservedField)?;
        let index = self.find_open(
            step.ledger,
            event.account_id,
            event.client_order_id,
            event.order_number,
        )?;
        let order = self.desk.orders.get(index);
        let place = order.instrument as usize;
        let cancel = CancelOrder { handle: order.handle(), owner: order.quote_slot };
        let outcome = self.settle(place, step, |book, sink| book.cancel(&cancel, sink));
        let refused = |reject: OrderReject| Refused { status: reject.number(), order: index };
        outcome.map(|_| index).map_err(refused)
    }

    /// Cancels all orders that the event covers, in the order of their numbers; gives how many.
    pub(crate) fn mass_cancel(
        &mut self,
        event: &MassCancelEvent,
        step: &mut Step<'_>,
    ) -> Result<u64, Refused> {
        let is_used = event.reserved != [0; 3] || event.reserved_2 != [0; 4];
        refuse_if(is_used, Status::ReservedField)?;
        let side = match event.sides {
            0 => None,
            1 => Some(Side::Buy),
            2 => Some(Side::Sell),
            _ => return Err(Status::CodeUnknown.into()),
        };
        let place = match event.instrument {
            0 => None,
            id => Some(self.find_instrument(id).ok_or(Status::InstrumentUnknown)? as u32),
        };
        let quote_slot = match event.account_id {
            0 => None,
            id => {
                let accounts = &step.ledger.accounts;
                let found = accounts.find(id, accounts.table.hash(id));
                Some(found.ok_or(Status::AccountNotFound)?)
            }
        };
        let is_halted =
            |place: u32| self.books[place as usize].trading_state() == TradingState::Halted;
        if place.is_some_and(is_halted) {
            return Err(Refused { status: OrderReject::Halted.number(), order: NONE });
        }
        let is_meant = |order: &Order| {
            side.is_none_or(|side| side == order.side)
                && place.is_none_or(|place| place == order.instrument)
                && quote_slot.is_none_or(|slot| slot == order.quote_slot)
                && (event.session == 0 || event.session == order.session)
                && !is_halted(order.instrument)
        };
        let mut chosen = std::mem::take(&mut self.chosen);
        self.choose(quote_slot, &mut chosen);
        chosen.retain(|index| is_meant(self.desk.orders.get(*index)));
        for index in &chosen {
            self.end_order(*index, CancelReason::MassCancelled, step);
        }
        let count = chosen.len() as u64;
        chosen.clear();
        self.chosen = chosen;
        Ok(count)
    }

    /// The open orders of an account, or all, in the order of their numbers.
    fn choose(&self, quote_slot: Option<u32>, chosen: &mut Vec<u32>) {
        if let Some(slot) = quote_slot {
            if let Some(trader) = self.desk.traders.get(slot as usize) {
                chosen.extend(self.desk.orders.listed(trader.open));
            }
            return;
        }
        for book in &self.books {
            chosen.extend(book.tags());
        }
        chosen.sort_unstable();
    }

    fn end_order(&mut self, index: u32, reason: CancelReason, step: &mut Step<'_>) {
        let order = self.desk.orders.get(index);
        let (place, slot) = (order.instrument as usize, order.slot);
        let outcome = self.settle(place, step, |book, sink| book.end(slot, reason, sink));
        assert!(outcome == Ok(1), "invariant: an open order stands in its book");
    }

    /// Halts, resumes, or allows nothing but cancels; gives the number of instruments.
    pub(crate) fn set_state(
        &mut self,
        event: &InstrumentCommand,
        step: &mut Step<'_>,
    ) -> Result<u64, Refused> {
        refuse_if(event.reserved != [0; 11], Status::ReservedField)?;
        let state = decode_trading_state(event.state).ok_or(Status::CodeUnknown)?;
        let mut count = 0;
        for place in self.places(event.instrument)? {
            self.settle(place, step, |book, sink| book.set_trading_state(state, sink))
                .expect("invariant: a state is always accepted");
            count += 1;
        }
        Ok(count)
    }

    /// Ends the orders of the day; gives how many.
    pub(crate) fn close_session(
        &mut self,
        event: &InstrumentCommand,
        step: &mut Step<'_>,
    ) -> Result<u64, Refused> {
        let is_used = event.reserved != [0; 11] || event.state != 0;
        refuse_if(is_used, Status::ReservedField)?;
        let mut count = 0;
        for place in self.places(event.instrument)? {
            count += self
                .settle(place, step, |book, sink| book.close_session(sink))
                .expect("invariant: the end of a session is always accepted");
        }
        Ok(count)
    }

    /// The place of one instrument, or those of all, ascending by number.
    fn places(&self, id: u32) -> Result<Vec<usize>, Status> {
        if id == 0 {
            return Ok(self.sorted.iter().map(|(_, place)| *place as usize).collect());
        }
        Ok(vec![self.find_instrument(id).ok_or(Status::InstrumentUnknown)?])
    }

    /// When the first open order ends by itself, and its timestamp.
    pub(crate) fn first_due(&self) -> Option<(u64, u64)> {
        self.desk.orders.due.first().map(|due| (due.expires_ns, due.timestamp))
    }

    /// Open orders that end by themselves.
    pub(crate) fn due_count(&self) -> usize {
        self.desk.orders.due.count()
    }

    /// Ends the order that is due first; gives its timestamp.
    pub(crate) fn expire_first(&mut self, step: &mut Step<'_>) -> u64 {
        let due = self.desk.orders.due.first().expect("invariant: an order is due");
        self.end_order(due.hold, CancelReason::Expired, step);
        due.timestamp
    }
}
