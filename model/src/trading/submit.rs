//! `submit_orders`, one event.

use crate::books::ModelBook;
use crate::ledger::Ledger;
use crate::trading::order::TradingOrder;
use crate::trading::{Refused, Step, Trading, refuse_if};
use mizan_wire::limits::LOOKS_PER_MATCH;
use mizan_wire::orders::{
    BookCommand, NewOrder, OrderKind, OrderReject, ReportKind, SelfTrade, Side, TimeInForce,
};
use mizan_wire::trading::{
    OrderFlags, OrderState, OrderStatus as S, SubmitOrder, decode_kind, decode_self_trade,
    decode_side, decode_time_in_force,
};
use mizan_wire::{Account, AccountFlags};

impl Trading {
    pub(crate) fn submit(
        &mut self,
        ledger: &mut Ledger,
        event: &SubmitOrder,
        session: u64,
        step: &mut Step,
    ) -> Result<usize, Refused> {
        refuse_if(event.flags & OrderFlags::LINKED != 0, S::OrdersCannotBeLinked)?;
        refuse_if(event.flags & !OrderFlags::ALL != 0, S::ReservedFlag)?;
        refuse_if(event.reserved != [0; 4] || event.timestamp != 0, S::ReservedField)?;
        let side = decode_side(event.side).ok_or(S::CodeUnknown)?;
        let kind = decode_kind(event.kind).ok_or(S::CodeUnknown)?;
        let time_in_force = decode_time_in_force(event.time_in_force).ok_or(S::CodeUnknown)?;
        refuse_if(event.self_trade > 4, S::CodeUnknown)?;
        refuse_if(event.client_order_id == 0, S::ClientOrderIdMustNotBeZero)?;
        refuse_if(!self.markets.contains_key(&event.instrument), S::InstrumentUnknown)?;
        self.go_on_with(ledger, event.instrument, step);
        let market = &self.markets[&event.instrument];
        let terms = market.record;
        let quote = *ledger.account(event.quote_account_id).ok_or(S::AccountNotFound)?;
        let base = *ledger.account(event.base_account_id).ok_or(S::AccountNotFound)?;
        if let Some(position) = self.positions.get(&(quote.id, event.client_order_id)) {
            let is_same = self.orders[*position].event == *event;
            let status = if is_same { S::Exists } else { S::ExistsWithDifferentTerms };
            return Err(Refused { status: status as u32, position: Some(*position) });
        }
        let fits = quote.ledger == terms.quote_ledger && base.ledger == terms.base_ledger;
        refuse_if(!fits, S::AccountInOtherLedger)?;
        let is_own = self.is_of_instrument(quote.id) || self.is_of_instrument(base.id);
        refuse_if(is_own, S::AccountOfInstrument)?;
        let either = |flag: u16| (quote.flags | base.flags) & flag != 0;
        refuse_if(either(AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS), S::AccountLimitsCredits)?;
        refuse_if(either(AccountFlags::CLOSED), S::AccountClosed)?;
        let budget = event.budget / u128::from(terms.quote_per_tick_lot);
        refuse_if(event.budget != 0 && budget == 0, S::BudgetTooSmall)?;
        let is_full = self.orders.len() as u64 >= self.genesis.order_count_max;
        refuse_if(is_full, S::OrdersFull)?;
        let book = &market.book;
        let trades = trades_max(book, side, kind, event.price, event.quantity, step.looks_left);
        refuse_if(self.room(ledger) < 4 * trades, S::TransfersFull)?;
        let may_expire = match time_in_force {
            TimeInForce::GoodTillDate => event.expires_ns > step.timestamp,
            _ => event.expires_ns == 0,
        };
        refuse_if(!may_expire, S::AlreadyExpired)?;

        let owner = ledger.accounts().iter().position(|account| account.id == quote.id);
        let mode = if event.self_trade == 0 { terms.self_trade } else { event.self_trade };
        let waits = matches!(kind, OrderKind::Stop | OrderKind::StopLimit);
        let is_whole = time_in_force == TimeInForce::FillOrKill && !waits;
        let is_own = |order: &TradingOrder| order.is_open() && order.quote_account == quote.id;
        // Who has no order cannot meet one of his own.
        let never_meets_itself = is_whole && !self.orders.iter().any(is_own);
        let new = NewOrder {
            budget,
            price: event.price,
            stop_price: event.stop_price,
            quantity: event.quantity,
            expires_ns: 0,
            owner: owner.expect("the account was found") as u32,
            tag: self.orders.len() as u32,
            side,
            kind,
            time_in_force: match time_in_force {
                TimeInForce::GoodTillDate => TimeInForce::GoodTillCancelled,
                other => other,
            },
            self_trade: match never_meets_itself {
                true => SelfTrade::Allow,
                false => decode_self_trade(mode).unwrap_or(SelfTrade::CancelNewest),
            },
            is_post_only: event.flags & OrderFlags::POST_ONLY != 0,
        };
        let keeps_session = event.flags & OrderFlags::CANCEL_ON_DISCONNECT != 0;
        let order = TradingOrder {
            event: *event,
            quote_account: quote.id,
            base_account: base.id,
            side,
            kind,
            time_in_force,
            price: event.price,
            price_bound: match kind {
                OrderKind::Limit | OrderKind::StopLimit => event.price,
                OrderKind::Stop => terms.price_max_ticks,
                OrderKind::Market => {
                    let best = book.resting(side.opposite()).first();
                    let best = best.map_or(0, |order| order.terms.price);
                    terms.price_max_ticks.min(best.saturating_add(terms.protection_ticks))
                }
            },
            stop_price: event.stop_price,
            quantity: event.quantity,
            filled: 0,
            open: event.quantity,
            expires_ns: event.expires_ns,
            timestamp: step.timestamp,
            session: if keeps_session { session } else { 0 },
            book_number: 0,
            held: 0,
            notional: 0,
            budget: (budget != 0).then_some(budget),
            fee_exact: 0,
            fee: 0,
            paid_flat: false,
            reason: 0,
            state: OrderState::Open,
        };
        let mut after = book.clone();
        after.looks_left = Some(step.looks_left);
        if let Some(reject) = after.refusal(&new) {
            return Err(reject.into());
        }
        let before_looks = after.clone();
        let may_look = after.may_look_for(&new);
        step.looks_left = after.looks_left.expect("set above");
        refuse_if(!may_look, OrderReject::TooManyLooks)?;
        let hold = order.hold(&terms).ok_or(S::AmountTooLarge)?;
        let payer = if side == Side::Buy { quote } else { base };
        refuse_if(!covers(&payer, hold), S::InsufficientFunds)?;
        let mut after = before_looks;
        let reports = after.apply(&BookCommand::Submit(new));
        assert!(!reports[0].is(ReportKind::Rejected), "every reason was looked for before");

        self.orders.push(order);
        let position = self.orders.len() - 1;
        self.positions.insert((quote.id, event.client_order_id), position);
        self.set_book(event.instrument, after, step);
        self.settle(ledger, event.instrument, &reports, step);
        Ok(position)
    }

    pub(crate) fn room(&self, ledger: &Ledger) -> u64 {
        ledger.free_transfer_places()
    }

    /// Puts a book in the place of the one that it was a copy of; what it looked at counts.
    pub(crate) fn set_book(&mut self, instrument: u32, book: ModelBook, step: &mut Step) {
        step.looks_left = book.looks_left.expect("set before each command");
        self.markets.get_mut(&instrument).expect("the instrument was found").book = book;
    }
}

/// Whether an account may reserve so much more.
pub(crate) fn covers(account: &Account, amount: u128) -> bool {
    account.flags & AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS == 0
        || account.debits_pending + account.debits_posted + amount <= account.credits_posted
}

/// How many trades a command can cause at the most, as the documentation has it.
pub(crate) fn trades_max(
    book: &ModelBook,
    side: Side,
    kind: OrderKind,
    price: u64,
    quantity: u64,
    looks: u64,
) -> u64 {
    let crosses = book.resting(side.opposite()).first().is_some_and(|best| match side {
        Side::Buy => best.terms.price <= price,
        Side::Sell => best.terms.price >= price,
    });
    if kind == OrderKind::Limit && !crosses && !book.is_waiting() {
        return 0;
    }
    let sides = [Side::Buy, Side::Sell];
    let dormant: usize = sides.iter().map(|side| book.dormant(*side).len()).sum();
    let resting: usize = sides.iter().map(|side| book.resting(*side).len()).sum();
    let open = (dormant + resting + book.waiting().len()) as u64 + 1;
    let waits = matches!(kind, OrderKind::Stop | OrderKind::StopLimit);
    let may_cascade = waits || dormant > 0 || book.is_waiting();
    let trades = if may_cascade { 2 * open } else { quantity.min(open) + 1 };
    trades.min(looks / u64::from(LOOKS_PER_MATCH))
}
