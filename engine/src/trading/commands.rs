//! Amends, cancels, trading states, and expiry. What ends many orders is in `sweep`.

use crate::books::Book;
use crate::ledger::LedgerState;
use crate::refusal::refuse_if;
use crate::trading::limits::LEGS_PER_FILL;
use crate::trading::order::Order;
use crate::trading::settlement::{Numbers, Settlement};
use crate::trading::state::Trading;
use crate::trading::submit::Refused;
use mizan_wire::Status as _;
use mizan_wire::orders::{AmendOrder, CancelOrder, CancelReason, OrderKind, OrderReject};
use mizan_wire::trading::{
    AmendOrderEvent, CancelOrderEvent, InstrumentCommand, OrderState, OrderStatus,
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
    pub(super) fn settle(
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
        let book = &mut books[place];
        book.bound_looks(settlement.numbers.looks);
        command(book, &mut settlement);
        settlement.numbers.looks = book.looks_left();
        let outcome = match settlement.rejected {
            None => Ok(settlement.cancelled),
            Some(reject) => Err(reject),
        };
        self.note_waiting(place);
        outcome
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
        let place = self.desk.orders.get(index).instrument as usize;
        if self.books[place].is_waiting() {
            self.go_on_with(place, step);
            // The order may have been among them.
            let AmendOrderEvent { account_id, client_order_id, order_number, .. } = *event;
            self.find_open(step.ledger, account_id, client_order_id, order_number)?;
        }
        let order = *self.desk.orders.get(index);
        let amend = AmendOrder {
            handle: order.handle(),
            owner: order.quote_slot,
            price: event.price,
            stop_price: event.stop_price,
            quantity: event.quantity,
        };
        let refused = |status: u32| Refused { status, order: index };
        let looks = step.numbers.looks;
        if let Err(status) = self.check_amend(step.ledger, place, &order, &amend, looks) {
            self.books[place].bound_looks(looks);
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
        looks: u64,
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
        let trades = self.trades_max(place, order.side, kind, amend.price, open, looks);
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

    /// Ends an open order, whatever the state of its book.
    pub(super) fn end_order(&mut self, index: u32, reason: CancelReason, step: &mut Step<'_>) {
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
        let is_used = event.reserved != [0; 3] || event.from_order_number != 0;
        refuse_if(is_used, Status::ReservedField)?;
        let state = decode_trading_state(event.state).ok_or(Status::CodeUnknown)?;
        let places = match event.instrument {
            0 => 0..self.instruments.len(),
            id => {
                let found = self.sorted.binary_search_by_key(&id, |(id, _)| *id);
                let index = found.map_err(|_| Status::InstrumentUnknown)?;
                index..index + 1
            }
        };
        let count = places.len() as u64;
        let may_look = step.numbers.look(places.len() as u64);
        refuse_if(!may_look, OrderReject::TooManyLooks)?;
        for index in places {
            let place = self.sorted[index].1 as usize;
            self.settle(place, step, |book, sink| book.set_trading_state(state, sink))
                .expect("invariant: a state is always accepted");
        }
        Ok(count)
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
