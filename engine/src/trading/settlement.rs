//! Settlement: what a book reports becomes reservations, transfers and execution reports, while the book goes on.
//!
//! Invariants: after every report the order's reservation is what its open lots may still cost; a fill posts exactly
//! what its parties pay; nothing here can be refused (see the module `trading` for why).

use crate::accounts::Sum;
use crate::books::ReportSink;
use crate::ledger::LedgerState;
use crate::resolved::PendingState;
use crate::trading::fees::{exact, growth};
use crate::trading::instruments::Instrument;
use crate::trading::reports::Report;
use crate::trading::state::Desk;
use crate::transfers::StoredTransfer;
use mizan_wire::orders::{CancelReason, OrderReject, OrderReport, ReportKind, SLOT_NONE, Side};
use mizan_wire::trading::{DerivedTransfer, ExecutionKind, OrderState};

/// The ids of derived transfers are known ahead, so their places in the table can be fetched ahead.
const IDS_AHEAD: u32 = 8;

/// Numbers that one log entry gives out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    pub(crate) sequence: u64,
    /// The next timestamp.
    pub(crate) next: u64,
    /// Transfers derived so far.
    pub(crate) derived: u32,
    /// What the entry may still look at, and trade with.
    pub(crate) looks: u64,
}

impl Numbers {
    /// Those of an entry whose first timestamp is `first`.
    pub(crate) const fn of_entry(sequence: u64, first: u64, looks: u64) -> Self {
        Self { sequence, next: first, derived: 0, looks }
    }

    /// Takes some of the looks that are left, or none if they are too few.
    #[inline]
    pub(crate) const fn look(&mut self, count: u64) -> bool {
        let is_enough = count <= self.looks;
        if is_enough {
            self.looks -= count;
        }
        is_enough
    }

    /// The next timestamp.
    #[inline]
    pub(crate) const fn take(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }
}

/// The settlement of one command.
pub(crate) struct Settlement<'a> {
    pub(crate) ledger: &'a mut LedgerState,
    pub(crate) desk: &'a mut Desk,
    pub(crate) instrument: &'a Instrument,
    pub(crate) numbers: &'a mut Numbers,
    /// The event's own.
    pub(crate) timestamp: u64,
    pub(crate) rejected: Option<OrderReject>,
    /// Orders that the command has ended by cancelling them.
    pub(crate) cancelled: u64,
}

/// One side of a fill.
#[derive(Clone, Copy)]
struct Party {
    index: u32,
    counterparty: u32,
    is_taker: bool,
}

impl ReportSink for Settlement<'_> {
    #[inline]
    fn report(&mut self, report: &OrderReport) {
        if report.is(ReportKind::Rejected) {
            self.rejected = report.reject();
            return;
        }
        // Places are the book's own affair.
        self.desk.chain.report(&OrderReport { slot: SLOT_NONE, ..*report });
        if report.is(ReportKind::Accepted) {
            self.enter(report, OrderState::Open, ExecutionKind::New);
        } else if report.is(ReportKind::Trade) {
            self.fill(report);
        } else if report.is(ReportKind::Cancelled) {
            self.cancel(report);
        } else {
            self.report_other(report);
        }
    }
}

impl Settlement<'_> {
    #[inline(never)]
    fn report_other(&mut self, report: &OrderReport) {
        if report.is(ReportKind::Dormant) {
            self.enter(report, OrderState::Dormant, ExecutionKind::Dormant);
        } else if report.is(ReportKind::Reduced) {
            self.reduce(report);
        } else if report.is(ReportKind::Replaced) {
            let order = self.desk.orders.get_mut(report.tag);
            order.price = report.price;
            order.price_bound = if report.price != 0 { report.price } else { order.price_bound };
            order.stop_price = report.counterparty;
            order.quantity = report.quantity;
            order.open = report.open;
            self.hold_again(report.tag);
            self.tell(report, ExecutionKind::Replaced);
        } else if report.is(ReportKind::Triggered) {
            let order = self.desk.orders.get_mut(report.tag);
            order.state = OrderState::Open;
            order.stop_price = 0;
            self.tell(report, ExecutionKind::Triggered);
        }
    }

    /// The book has accepted an order: it reserves, and is remembered from now on.
    #[inline]
    fn enter(&mut self, report: &OrderReport, state: OrderState, kind: ExecutionKind) {
        let Self { desk, ledger, .. } = self;
        let order = desk.orders.get_mut(report.tag);
        order.book_number = report.number;
        order.slot = report.slot;
        order.state = state;
        let (quote_slot, base_slot) = (order.quote_slot, order.base_slot);
        ledger.trading_uses[quote_slot as usize] += 1;
        ledger.trading_uses[base_slot as usize] += 1;
        desk.orders.enter(report.tag, &mut desk.traders[quote_slot as usize].open);
        self.hold_again(report.tag);
        self.tell(report, kind);
    }

    /// Brings an order's reservation to what it has to be.
    // Whether it changes at all is not asked: comparing two words at once that were stored one by one would wait for
    // all stores before them.
    #[inline(never)]
    fn hold_again(&mut self, index: u32) {
        let order = self.desk.orders.get_mut(index);
        let after = self.instrument.hold_of(order);
        let after = after.expect("invariant: what an order reserves was checked before");
        let before = std::mem::replace(&mut order.held, after);
        let clearing = self.instrument.clearing(order.side);
        let paying_slot = order.paying_slot();
        self.ledger.move_hold(paying_slot, clearing, before, after);
        self.ledger.accounts.assert_within_limits(paying_slot);
        self.desk.touched.note(clearing.1, &self.ledger.ledgers);
    }

    /// An order has nothing left that could trade.
    #[inline]
    fn end(&mut self, index: u32, state: OrderState, reason: u16) {
        let Self { desk, ledger, .. } = self;
        let order = desk.orders.get_mut(index);
        assert!(order.is_open(), "invariant: an order ends once");
        order.state = state;
        order.reason = reason;
        let (quote_slot, base_slot) = (order.quote_slot, order.base_slot);
        ledger.trading_uses[quote_slot as usize] -= 1;
        ledger.trading_uses[base_slot as usize] -= 1;
        desk.orders.leave(index, &mut desk.traders[quote_slot as usize].open);
        self.hold_again(index);
        assert!(self.desk.orders.get(index).held == 0, "invariant: what has ended holds nothing");
    }

    #[inline]
    fn cancel(&mut self, report: &OrderReport) {
        let order = self.desk.orders.get_mut(report.tag);
        order.open = 0;
        self.end(report.tag, OrderState::Cancelled, report.reason);
        self.cancelled += 1;
        self.tell(report, ExecutionKind::Cancelled);
    }

    fn reduce(&mut self, report: &OrderReport) {
        let order = self.desk.orders.get_mut(report.tag);
        order.open = report.open;
        if report.reason == CancelReason::Requested as u16 {
            order.quantity -= report.quantity;
        }
        self.hold_again(report.tag);
        self.tell(report, ExecutionKind::Reduced);
    }

    /// Two orders have traded: both give back what they no longer need, and the legs are posted.
    fn fill(&mut self, report: &OrderReport) {
        let maker =
            Party { index: report.tag, counterparty: report.counterparty_tag, is_taker: false };
        let taker =
            Party { index: report.counterparty_tag, counterparty: report.tag, is_taker: true };
        let maker_buys = report.side == Side::Buy as u8;
        let (buyer, seller) = if maker_buys { (maker, taker) } else { (taker, maker) };
        let record = &self.instrument.record;
        let notional = u128::from(report.price) * u128::from(report.quantity);
        let money = notional * u128::from(record.quote_per_tick_lot);
        let goods = u128::from(report.quantity) * u128::from(record.base_per_lot);
        let buyer_fee = self.charge(buyer, report, notional, money);
        let seller_fee = self.charge(seller, report, notional, money);
        self.hold_again(buyer.index);
        self.hold_again(seller.index);

        let (buying, selling) =
            (self.desk.orders.get(buyer.index), self.desk.orders.get(seller.index));
        let quote = [buying.quote_slot, selling.quote_slot];
        let base = [selling.base_slot, buying.base_slot];
        let numbers = u128::from(taker.index + 1) << 64 | u128::from(maker.index + 1);
        let (quote_ledger, base_ledger) =
            (self.instrument.quote_ledger_slot, self.instrument.base_ledger_slot);
        let price = report.price;
        let transfer_id = DerivedTransfer::id(self.numbers.sequence, self.numbers.derived);
        self.post(quote, quote_ledger, money, DerivedTransfer::CODE_QUOTE, numbers, price);
        self.post(base, base_ledger, goods, DerivedTransfer::CODE_BASE, numbers, price);
        self.post_fee(buyer, quote[0], buyer_fee, price);
        self.post_fee(seller, quote[1], seller_fee, price);
        for slot in quote.into_iter().chain(base) {
            self.ledger.accounts.assert_within_limits(slot);
        }
        self.desk.touched.note(quote_ledger, &self.ledger.ledgers);
        self.desk.touched.note(base_ledger, &self.ledger.ledgers);

        let (maker_fee, taker_fee) =
            if maker_buys { (buyer_fee, seller_fee) } else { (seller_fee, buyer_fee) };
        for (party, fee) in [(maker, maker_fee), (taker, taker_fee)] {
            self.tell_fill(party, report, fee, transfer_id);
            if self.desk.orders.get(party.index).open == 0 {
                self.end(party.index, OrderState::Filled, 0);
            }
        }
    }

    /// Counts a fill in an order's record; gives the fee, which of a sell never exceeds what the fill brings.
    #[inline]
    fn charge(&mut self, party: Party, report: &OrderReport, notional: u128, money: u128) -> i128 {
        let terms = &self.instrument.record;
        let order = self.desk.orders.get_mut(party.index);
        order.filled += report.quantity;
        order.open -= report.quantity;
        order.notional += notional;
        if let Some(budget) = &mut order.budget {
            *budget -= notional;
        }
        let rate = if party.is_taker { terms.taker_fee_bps } else { terms.maker_fee_bps };
        let mut fee = 0;
        if rate != 0 {
            let after = order.fee_exact + exact(money, rate);
            fee = growth(order.fee_exact, after);
            order.fee_exact = after;
        }
        if party.is_taker && !order.paid_flat {
            order.paid_flat = true;
            fee += i128::from(terms.taker_fee_flat);
        }
        if order.side == Side::Sell {
            fee = fee.min(money as i128);
        }
        order.fee += fee;
        fee
    }

    fn post_fee(&mut self, party: Party, slot: u32, fee: i128, price: u64) {
        if fee == 0 {
            return;
        }
        let fee_slot = self.instrument.fee_slot;
        let ledger_slot = self.instrument.quote_ledger_slot;
        let numbers = u128::from(party.index + 1) << 64 | u128::from(party.counterparty + 1);
        let amount = fee.unsigned_abs();
        let (slots, code) = match fee > 0 {
            true => ([slot, fee_slot], DerivedTransfer::CODE_FEE),
            false => ([fee_slot, slot], DerivedTransfer::CODE_REBATE),
        };
        self.post(slots, ledger_slot, amount, code, numbers, price);
    }

    /// Posts a transfer. One between an account and itself moves nothing, and is not stored.
    #[inline]
    fn post(
        &mut self,
        [debit_slot, credit_slot]: [u32; 2],
        ledger_slot: u32,
        amount: u128,
        code: u16,
        user_data_128: u128,
        price: u64,
    ) {
        if debit_slot == credit_slot {
            return;
        }
        let ledger = &mut *self.ledger;
        let debits = ledger.accounts.balance(debit_slot, Sum::DebitsPosted) + amount;
        let credits = ledger.accounts.balance(credit_slot, Sum::CreditsPosted) + amount;
        ledger.set_balance(debit_slot, ledger_slot, Sum::DebitsPosted, debits);
        ledger.set_balance(credit_slot, ledger_slot, Sum::CreditsPosted, credits);
        let id = DerivedTransfer::id(self.numbers.sequence, self.numbers.derived);
        self.numbers.derived += 1;
        let soon = DerivedTransfer::id(self.numbers.sequence, self.numbers.derived + IDS_AHEAD);
        ledger.transfers.table.prefetch(ledger.transfers.table.hash(soon));
        let record = StoredTransfer {
            id,
            amount,
            pending_id: 0,
            user_data_128,
            timestamp: self.numbers.take(),
            sequence: self.numbers.sequence,
            user_data_64: price,
            debit_slot,
            credit_slot,
            user_data_32: self.instrument.record.id,
            timeout: 0,
            ledger: ledger.ledgers.number(ledger_slot),
            code,
            flags: 0,
            hold: 0,
            pending_state: PendingState::None,
        };
        ledger.store_transfer(ledger.transfers.table.hash(id), record);
    }

    fn tell_fill(&mut self, party: Party, report: &OrderReport, fee: i128, transfer_id: u128) {
        let kind = ExecutionKind::Fill;
        let told = OrderReport { tag: party.index, reason: 0, ..*report };
        self.keep(&told, kind, fee, transfer_id, party.is_taker);
    }

    #[inline]
    fn tell(&mut self, report: &OrderReport, kind: ExecutionKind) {
        self.keep(report, kind, 0, 0, false);
    }

    #[inline]
    fn keep(
        &mut self,
        report: &OrderReport,
        kind: ExecutionKind,
        fee: i128,
        transfer_id: u128,
        is_taker: bool,
    ) {
        let Self { desk, numbers, timestamp, .. } = self;
        let order = desk.orders.get(report.tag);
        let kept = Report {
            fee,
            transfer_id,
            number: 0,
            timestamp: *timestamp,
            sequence: numbers.sequence,
            price: report.price,
            quantity: report.quantity,
            open: order.open,
            filled: order.filled,
            previous: 0,
            skip: 0,
            order: report.tag,
            trader: order.quote_slot,
            reason: report.reason,
            kind,
            marks: order.side as u8 | u8::from(is_taker) << 1,
        };
        desk.reports.push(kept, &mut desk.traders);
    }
}
