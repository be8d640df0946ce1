//! Entering an order: the checks in the order of precedence of `OrderStatus`, then the book.

use crate::ledger::LedgerState;
use crate::refusal::refuse_if;
use crate::trading::commands::Step;
use crate::trading::limits::{INSTRUMENT_MARK, LEGS_PER_FILL, NONE};
use crate::trading::order::Order;
use crate::trading::settlement::{Numbers, Settlement};
use crate::trading::state::Trading;
use mizan_wire::AccountFlags;
use mizan_wire::limits::LOOKS_PER_MATCH;
use mizan_wire::orders::{NewOrder, OrderKind, OrderReject, Side, TimeInForce};
use mizan_wire::trading::{
    OrderFlags, OrderStatus, SubmitOrder, decode_kind, decode_self_trade, decode_side,
    decode_time_in_force,
};
use mizan_wire::{Status as _, orders::SelfTrade};

use OrderStatus as Status;

/// Why a command was refused, and the order that it is about, if there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    pub(crate) status: u32,
    pub(crate) order: u32,
}

impl From<OrderStatus> for Refused {
    fn from(status: OrderStatus) -> Self {
        Self { status: status.number(), order: NONE }
    }
}

impl From<OrderReject> for Refused {
    fn from(reject: OrderReject) -> Self {
        Self { status: reject.number(), order: NONE }
    }
}

impl Refused {
    pub(crate) fn about(status: OrderStatus, order: u32) -> Self {
        Self { status: status.number(), order }
    }
}

/// The words of an order, decoded.
#[derive(Clone, Copy)]
struct Words {
    side: Side,
    kind: OrderKind,
    time_in_force: TimeInForce,
    /// `Allow` for the instrument's default.
    self_trade: SelfTrade,
}

impl Trading {
    /// Enters an order; gives its index.
    pub(crate) fn submit(
        &mut self,
        ledger: &mut LedgerState,
        event: &SubmitOrder,
        session: u64,
        timestamp: u64,
        numbers: &mut Numbers,
    ) -> Result<u32, Refused> {
        let words = check_event(event)?;
        let place = self.find_instrument(event.instrument).ok_or(Status::InstrumentUnknown)?;
        self.go_on_with(place, &mut Step { ledger, numbers, timestamp });
        let find = |id: u128| {
            let accounts = &ledger.accounts;
            accounts.find(id, accounts.table.hash(id)).ok_or(Status::AccountNotFound)
        };
        let (quote_slot, base_slot) = (find(event.quote_account_id)?, find(event.base_account_id)?);
        let fingerprint = fingerprint(event);
        if let Some(index) = self.desk.orders.find(quote_slot, event.client_order_id) {
            let is_same = self.desk.orders.get(index).fingerprint == fingerprint;
            let status = if is_same { Status::Exists } else { Status::ExistsWithDifferentTerms };
            return Err(Refused::about(status, index));
        }
        self.check_accounts(ledger, place, quote_slot, base_slot)?;
        let instrument = &self.instruments[place];
        let unit = u128::from(instrument.record.quote_per_tick_lot);
        let budget = if event.budget == 0 { 0 } else { event.budget / unit };
        refuse_if(event.budget != 0 && budget == 0, Status::BudgetTooSmall)?;
        refuse_if(self.desk.orders.is_full(), Status::OrdersFull)?;
        let is_whole = words.time_in_force == TimeInForce::FillOrKill && !words.kind.is_dormant();
        let new = NewOrder {
            budget,
            price: event.price,
            stop_price: event.stop_price,
            quantity: event.quantity,
            expires_ns: 0,
            owner: quote_slot,
            tag: self.desk.orders.count() as u32,
            side: words.side,
            kind: words.kind,
            // The engine keeps the due times of all books together.
            time_in_force: match words.time_in_force {
                TimeInForce::GoodTillDate => TimeInForce::GoodTillCancelled,
                other => other,
            },
            self_trade: match words.self_trade {
                // It cannot meet itself, so that sums of levels decide.
                _ if is_whole && !self.desk.traders[quote_slot as usize].has_open() => {
                    SelfTrade::Allow
                }
                SelfTrade::Allow => decode_self_trade(instrument.record.self_trade)
                    .expect("invariant: an instrument's mode was checked"),
                named => named,
            },
            is_post_only: event.flags & OrderFlags::POST_ONLY != 0,
        };
        let looks = numbers.looks;
        let trades =
            self.trades_max(place, words.side, words.kind, event.price, event.quantity, looks);
        refuse_if(ledger.transfers.room() < trades * LEGS_PER_FILL, Status::TransfersFull)?;
        let is_timed = words.time_in_force == TimeInForce::GoodTillDate;
        let may_expire =
            if is_timed { event.expires_ns > timestamp } else { event.expires_ns == 0 };
        refuse_if(!may_expire, Status::AlreadyExpired)?;
        let order = Order {
            budget: (budget != 0).then_some(budget),
            price: event.price,
            price_bound: self.price_bound(place, &new),
            stop_price: event.stop_price,
            quantity: event.quantity,
            open: event.quantity,
            expires_ns: event.expires_ns,
            user_data_64: event.user_data_64,
            timestamp,
            session: if event.flags & OrderFlags::CANCEL_ON_DISCONNECT != 0 { session } else { 0 },
            fingerprint,
            instrument: place as u32,
            side: words.side,
            kind: words.kind,
            time_in_force: words.time_in_force,
            ..Order::empty(event.client_order_id, quote_slot, base_slot)
        };
        if let Err(status) = self.check_funds(ledger, place, &order) {
            // What the book refuses comes first.
            let book = &mut self.books[place];
            book.bound_looks(looks);
            let earlier = book.refuses_new(&new);
            numbers.looks = book.looks_left();
            let status = earlier.map_or(status.number(), |reject| reject.number());
            return Err(Refused { status, order: NONE });
        }
        let index = self.desk.orders.push(order);
        let Self { books, desk, instruments, .. } = self;
        let mut settlement = Settlement {
            ledger,
            desk,
            instrument: &instruments[place],
            numbers,
            timestamp,
            rejected: None,
            cancelled: 0,
        };
        let book = &mut books[place];
        book.bound_looks(looks);
        book.submit(&new, &mut settlement);
        settlement.numbers.looks = book.looks_left();
        let rejected = settlement.rejected;
        self.note_waiting(place);
        match rejected {
            None => Ok(index),
            Some(reject) => {
                self.desk.orders.pop();
                Err(Refused { status: reject.number(), order: NONE })
            }
        }
    }

    #[inline]
    fn check_accounts(
        &self,
        ledger: &LedgerState,
        place: usize,
        quote_slot: u32,
        base_slot: u32,
    ) -> Result<(), Status> {
        let instrument = &self.instruments[place];
        let (quote, base) = (ledger.accounts.line(quote_slot), ledger.accounts.line(base_slot));
        let fits = u32::from(quote.ledger_slot) == instrument.quote_ledger_slot
            && u32::from(base.ledger_slot) == instrument.base_ledger_slot;
        refuse_if(!fits, Status::AccountInOtherLedger)?;
        let uses = &ledger.trading_uses;
        let marks = (uses[quote_slot as usize] | uses[base_slot as usize]) & INSTRUMENT_MARK;
        refuse_if(marks != 0, Status::AccountOfInstrument)?;
        let flags = quote.flags() | base.flags();
        let limits_credits = flags & AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS != 0;
        refuse_if(limits_credits, Status::AccountLimitsCredits)?;
        refuse_if(flags & AccountFlags::CLOSED != 0, Status::AccountClosed)
    }

    /// Whether the paying account has what the order is to reserve.
    #[inline]
    pub(crate) fn check_funds(
        &self,
        ledger: &LedgerState,
        place: usize,
        order: &Order,
    ) -> Result<(), Status> {
        let hold = self.instruments[place].hold_of(order).ok_or(Status::AmountTooLarge)?;
        let more = hold.saturating_sub(order.held);
        let is_covered = more == 0 || ledger.covers(order.paying_slot(), more);
        refuse_if(!is_covered, Status::InsufficientFunds)
    }

    /// How many trades a command can cause at the most.
    ///
    /// A trade fills one of its two orders, or spends a taker's budget. So there are at most as many as there are
    /// orders, and one more for each that may become a taker: all of them if there are stops, otherwise one. And there are
    /// no more than the looks that are left allow.
    #[inline]
    pub(crate) fn trades_max(
        &self,
        place: usize,
        side: Side,
        kind: OrderKind,
        price: u64,
        quantity: u64,
        looks: u64,
    ) -> u64 {
        let book = &self.books[place];
        if kind == OrderKind::Limit && !book.would_take(side, price) && !book.is_waiting() {
            return 0;
        }
        let open = book.order_count() as u64 + 1;
        let may_cascade = kind.is_dormant() || book.has_dormant() || book.is_waiting();
        let trades = if may_cascade { 2 * open } else { open.min(quantity) + 1 };
        trades.min(looks / u64::from(LOOKS_PER_MATCH))
    }

    /// The highest price at which an order can buy.
    fn price_bound(&self, place: usize, new: &NewOrder) -> u64 {
        let rules = &self.instruments[place].record;
        match new.kind {
            OrderKind::Limit | OrderKind::StopLimit => new.price,
            OrderKind::Stop => rules.price_max_ticks,
            OrderKind::Market => {
                let best = self.books[place].best_price(new.side.opposite()).unwrap_or(0);
                best.saturating_add(rules.protection_ticks).min(rules.price_max_ticks)
            }
        }
    }
}

#[inline]
fn check_event(event: &SubmitOrder) -> Result<Words, Status> {
    refuse_if(event.flags & OrderFlags::LINKED != 0, Status::OrdersCannotBeLinked)?;
    refuse_if(event.flags & !OrderFlags::ALL != 0, Status::ReservedFlag)?;
    let is_used = event.reserved != [0; 4] || event.timestamp != 0;
    refuse_if(is_used, Status::ReservedField)?;
    let self_trade = match event.self_trade {
        0 => Some(SelfTrade::Allow),
        named => decode_self_trade(named),
    };
    let words = Words {
        side: decode_side(event.side).ok_or(Status::CodeUnknown)?,
        kind: decode_kind(event.kind).ok_or(Status::CodeUnknown)?,
        time_in_force: decode_time_in_force(event.time_in_force).ok_or(Status::CodeUnknown)?,
        self_trade: self_trade.ok_or(Status::CodeUnknown)?,
    };
    refuse_if(event.client_order_id == 0, Status::ClientOrderIdMustNotBeZero)?;
    Ok(words)
}

/// One word for all of an order but its id and its quote account.
///
/// Who wants two orders with one fingerprint gets the first one's outcome for both, and hurts nobody else.
#[inline]
fn fingerprint(event: &SubmitOrder) -> u64 {
    const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
    let codes = u64::from(event.side)
        | u64::from(event.kind) << 8
        | u64::from(event.time_in_force) << 16
        | u64::from(event.self_trade) << 24
        | u64::from(event.flags) << 32;
    let words = [
        event.base_account_id as u64,
        (event.base_account_id >> 64) as u64,
        event.budget as u64,
        (event.budget >> 64) as u64,
        event.price,
        event.stop_price,
        event.quantity,
        event.expires_ns,
        event.user_data_64,
        event.instrument.into(),
        codes,
    ];
    words.iter().fold(1, |value: u64, word| {
        let mixed = (value ^ word).wrapping_mul(MULTIPLIER);
        mixed ^ (mixed >> 29)
    })
}
