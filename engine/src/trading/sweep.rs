//! The end of many orders: mass cancels and the end of a trading session, so many orders at a time.
//!
//! # Invariants
//! * Orders end in the order of their numbers.
//! * All events of one request look at no more than `SWEEP_LOOKS_MAX` open orders and end no more than
//!   `SWEEP_ENDS_MAX`, so that no step takes long. What is left is the caller's to ask for again, from the number that
//!   the result gives.
//!
//! What is absent: memory of what is left. Orders that enter between two requests have higher numbers, and are met.

use crate::refusal::refuse_if;
use crate::trading::commands::Step;
use crate::trading::order::Order;
use crate::trading::state::Trading;
use crate::trading::submit::Refused;
use mizan_wire::limits::{SWEEP_ENDS_MAX, SWEEP_LOOKS_MAX};
use mizan_wire::orders::{CancelReason, Side, TimeInForce};
use mizan_wire::trading::{InstrumentCommand, MassCancelEvent, OrderStatus as Status};

/// What the events of one request may still look at and end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SweepRoom {
    looks: u32,
    ends: u32,
}

impl SweepRoom {
    pub(crate) const WHOLE: Self = Self { looks: SWEEP_LOOKS_MAX, ends: SWEEP_ENDS_MAX };
}

/// What an event has ended, and where it is to go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Swept {
    pub(crate) count: u64,
    /// The number of the next order to look at; 0 if there is none.
    pub(crate) next_number: u64,
}

/// Which orders an event means.
#[derive(Clone, Copy)]
struct Meant {
    quote_slot: Option<u32>,
    place: Option<u32>,
    side: Option<Side>,
    /// 0 for any.
    session: u64,
    only_day: bool,
    /// Orders entered later than this one are not meant; 0 for any.
    to_number: u64,
}

impl Trading {
    /// Cancels the orders that the event covers, as many as one request may.
    pub(crate) fn mass_cancel(
        &mut self,
        event: &MassCancelEvent,
        step: &mut Step<'_>,
    ) -> Result<Swept, Refused> {
        let is_used = event.reserved != [0; 3] || event.reserved_2 != [0; 2];
        refuse_if(is_used, Status::ReservedField)?;
        let side = match event.sides {
            0 => None,
            1 => Some(Side::Buy),
            2 => Some(Side::Sell),
            _ => return Err(Status::CodeUnknown.into()),
        };
        let place = self.named(event.instrument)?;
        let quote_slot = match event.account_id {
            0 => None,
            id => {
                let accounts = &step.ledger.accounts;
                let found = accounts.find(id, accounts.table.hash(id));
                Some(found.ok_or(Status::AccountNotFound)?)
            }
        };
        let (session, to_number) = (event.session, event.to_order_number);
        let meant = Meant { quote_slot, place, side, session, only_day: false, to_number };
        Ok(self.sweep(&meant, event.from_order_number, CancelReason::MassCancelled, step))
    }

    /// Ends the orders of the day, as many as one request may.
    pub(crate) fn close_session(
        &mut self,
        event: &InstrumentCommand,
        step: &mut Step<'_>,
    ) -> Result<Swept, Refused> {
        let is_used = event.reserved != [0; 3] || event.state != 0;
        refuse_if(is_used, Status::ReservedField)?;
        let place = self.named(event.instrument)?;
        let meant =
            Meant { quote_slot: None, place, side: None, session: 0, only_day: true, to_number: 0 };
        Ok(self.sweep(&meant, event.from_order_number, CancelReason::SessionClosed, step))
    }

    fn sweep(
        &mut self,
        meant: &Meant,
        from_number: u64,
        reason: CancelReason,
        step: &mut Step<'_>,
    ) -> Swept {
        let mut next = self.first_of_sweep(meant.quote_slot, from_number);
        let mut count = 0;
        while let Some(index) = next {
            if meant.to_number != 0 && u64::from(index) >= meant.to_number {
                break;
            }
            if self.sweep_room.looks == 0 || self.sweep_room.ends == 0 {
                return Swept { count, next_number: u64::from(index) + 1 };
            }
            self.sweep_room.looks -= 1;
            // Before it ends, because then it leaves its list.
            next = match meant.quote_slot {
                None => self.desk.orders.open.next(index + 1),
                Some(_) => self.desk.orders.listed_after(index),
            };
            if self.is_meant(meant, self.desk.orders.get(index)) {
                self.sweep_room.ends -= 1;
                count += 1;
                self.end_order(index, reason, step);
            }
        }
        Swept { count, next_number: 0 }
    }

    /// Where a sweep begins. One through an account's list that was to go on with an order which has ended meanwhile
    /// begins anew: all of the account's orders that it has met before are none that it means.
    fn first_of_sweep(&self, quote_slot: Option<u32>, from_number: u64) -> Option<u32> {
        let orders = &self.desk.orders;
        let Some(slot) = quote_slot else {
            let from = from_number.saturating_sub(1);
            return orders.open.next(u32::try_from(from).ok()?);
        };
        match orders.numbered(from_number) {
            Some(order) if order.is_open() && order.quote_slot == slot => {
                Some(from_number as u32 - 1)
            }
            _ => orders.listed(self.desk.traders.get(slot as usize)?.open).next(),
        }
    }

    fn is_meant(&self, meant: &Meant, order: &Order) -> bool {
        meant.place.is_none_or(|place| place == order.instrument)
            && meant.side.is_none_or(|side| side == order.side)
            && MassCancelEvent::is_session_covered(meant.session, order.session)
            && !(meant.only_day && order.time_in_force != TimeInForce::Day)
    }

    /// The place of the instrument with this number; `None` for 0, which names all.
    fn named(&self, id: u32) -> Result<Option<u32>, Status> {
        match id {
            0 => Ok(None),
            _ => Ok(Some(self.find_instrument(id).ok_or(Status::InstrumentUnknown)? as u32)),
        }
    }
}
