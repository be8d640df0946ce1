//! What a book reported becomes money.

use crate::ledger::Ledger;
use crate::trading::order::half_even;
use crate::trading::{Step, Trading};
use mizan_wire::Transfer;
use mizan_wire::orders::{CancelReason, OrderReport, ReportKind, Side};
use mizan_wire::trading::{DerivedTransfer, ExecutionKind, ExecutionReport, OrderState};

impl Trading {
    /// Settles the reports of one command; gives the number of orders that were cancelled.
    pub(crate) fn settle(
        &mut self,
        ledger: &mut Ledger,
        instrument: u32,
        reports: &[OrderReport],
        step: &mut Step,
    ) -> u64 {
        let mut cancelled = 0;
        for report in reports {
            self.absorb(report);
            let position = report.tag as usize;
            if report.is(ReportKind::Trade) {
                self.trade(ledger, instrument, report, step);
                continue;
            }
            let Some(order) = self.orders.get_mut(position) else { continue };
            let kind = if report.is(ReportKind::Accepted) {
                order.book_number = report.number;
                ExecutionKind::New
            } else if report.is(ReportKind::Dormant) {
                order.book_number = report.number;
                order.state = OrderState::Dormant;
                ExecutionKind::Dormant
            } else if report.is(ReportKind::Cancelled) {
                order.open = 0;
                order.state = OrderState::Cancelled;
                order.reason = report.reason;
                cancelled += 1;
                ExecutionKind::Cancelled
            } else if report.is(ReportKind::Reduced) {
                if report.cancel_reason() == Some(CancelReason::Requested) {
                    order.quantity -= report.quantity;
                }
                order.open = report.open;
                ExecutionKind::Reduced
            } else if report.is(ReportKind::Replaced) {
                order.quantity = report.quantity;
                order.open = report.open;
                order.price = report.price;
                order.stop_price = report.counterparty;
                if report.price != 0 {
                    order.price_bound = report.price;
                }
                ExecutionKind::Replaced
            } else if report.is(ReportKind::Triggered) {
                order.state = OrderState::Open;
                order.stop_price = 0;
                ExecutionKind::Triggered
            } else {
                continue;
            };
            self.hold_again(ledger, instrument, position);
            self.tell(instrument, report, position, kind, 0, 0, false, step);
        }
        cancelled
    }

    /// Brings a reservation to what the order's terms ask for.
    fn hold_again(&mut self, ledger: &mut Ledger, instrument: u32, position: usize) {
        let terms = self.markets[&instrument].record;
        let order = &mut self.orders[position];
        let after = order.hold(&terms).expect("what an order reserves was checked before");
        let mut payer = *ledger.account(order.paying_account()).expect("accounts never go");
        let clearing = match order.side {
            Side::Buy => terms.quote_clearing_account_id,
            Side::Sell => terms.base_clearing_account_id,
        };
        let mut other = *ledger.account(clearing).expect("accounts never go");
        payer.debits_pending = payer.debits_pending - order.held + after;
        other.credits_pending = other.credits_pending - order.held + after;
        order.held = after;
        ledger.update_account(payer);
        ledger.update_account(other);
    }

    fn trade(
        &mut self,
        ledger: &mut Ledger,
        instrument: u32,
        report: &OrderReport,
        step: &mut Step,
    ) {
        let terms = self.markets[&instrument].record;
        let (maker, taker) = (report.tag as usize, report.counterparty_tag as usize);
        let (buyer, seller) =
            if report.side == Side::Buy as u8 { (maker, taker) } else { (taker, maker) };
        let notional = u128::from(report.price) * u128::from(report.quantity);
        let money = notional * u128::from(terms.quote_per_tick_lot);
        let mut fees = Vec::new();
        for position in [buyer, seller] {
            let is_taker = position == taker;
            let order = &mut self.orders[position];
            order.filled += report.quantity;
            order.open -= report.quantity;
            order.notional += notional;
            order.budget = order.budget.map(|budget| budget - notional);
            let before = half_even(order.fee_exact);
            let rate = if is_taker { terms.taker_fee_bps } else { terms.maker_fee_bps };
            order.fee_exact += i128::from(rate) * money as i128;
            let mut fee = half_even(order.fee_exact) - before;
            if is_taker && !order.paid_flat {
                order.paid_flat = true;
                fee += i128::from(terms.taker_fee_flat);
            }
            if position == seller {
                fee = fee.min(money as i128);
            }
            order.fee += fee;
            fees.push(fee);
            self.hold_again(ledger, instrument, position);
        }
        let transfer_id = DerivedTransfer::id(step.sequence, step.derived);
        let (buying, selling) = (self.orders[buyer].clone(), self.orders[seller].clone());
        let goods = u128::from(report.quantity) * u128::from(terms.base_per_lot);
        let number = |position: usize| position as u128 + 1;
        let plain = Transfer {
            user_data_64: report.price,
            user_data_32: instrument,
            user_data_128: number(taker) << 64 | number(maker),
            ..Transfer::default()
        };
        let quote = Transfer {
            debit_account_id: buying.quote_account,
            credit_account_id: selling.quote_account,
            amount: money,
            code: DerivedTransfer::CODE_QUOTE,
            ..plain
        };
        let base = Transfer {
            debit_account_id: selling.base_account,
            credit_account_id: buying.base_account,
            amount: goods,
            code: DerivedTransfer::CODE_BASE,
            ..plain
        };
        post(ledger, quote, step);
        post(ledger, base, step);
        for (position, other, fee) in [(buyer, seller, fees[0]), (seller, buyer, fees[1])] {
            let trader = self.orders[position].quote_account;
            let paid = Transfer {
                debit_account_id: trader,
                credit_account_id: terms.fee_account_id,
                amount: fee.unsigned_abs(),
                code: DerivedTransfer::CODE_FEE,
                user_data_128: number(position) << 64 | number(other),
                ..plain
            };
            if fee > 0 {
                post(ledger, paid, step);
            } else if fee < 0 {
                let got = Transfer {
                    debit_account_id: terms.fee_account_id,
                    credit_account_id: trader,
                    code: DerivedTransfer::CODE_REBATE,
                    ..paid
                };
                post(ledger, got, step);
            }
        }
        for position in [maker, taker] {
            let fee = if position == buyer { fees[0] } else { fees[1] };
            let kind = ExecutionKind::Fill;
            let is_taker = position == taker;
            self.tell(instrument, report, position, kind, fee, transfer_id, is_taker, step);
            if self.orders[position].open == 0 {
                self.orders[position].state = OrderState::Filled;
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "every field of a report comes from somewhere")]
    fn tell(
        &mut self,
        instrument: u32,
        report: &OrderReport,
        position: usize,
        kind: ExecutionKind,
        fee: i128,
        transfer_id: u128,
        is_taker: bool,
        step: &Step,
    ) {
        let order = &self.orders[position];
        let account = order.quote_account;
        let given = self.reports.iter().filter(|(of, _)| *of == account).count();
        let told = ExecutionReport {
            client_order_id: order.event.client_order_id,
            fee,
            transfer_id,
            number: given as u64 + 1,
            order_number: position as u64 + 1,
            timestamp: step.timestamp,
            sequence: step.sequence,
            price: report.price,
            quantity: report.quantity,
            open: order.open,
            filled: order.filled,
            instrument,
            reason: report.reason,
            kind: kind as u8,
            marks: order.side as u8 | u8::from(is_taker) << 1,
            reserved: 0,
        };
        self.reports.push((account, told));
    }
}

/// Stores a transfer, unless it is one between an account and itself.
fn post(ledger: &mut Ledger, transfer: Transfer, step: &mut Step) {
    if transfer.debit_account_id == transfer.credit_account_id {
        return;
    }
    let mut debit = *ledger.account(transfer.debit_account_id).expect("accounts never go");
    let mut credit = *ledger.account(transfer.credit_account_id).expect("accounts never go");
    debit.debits_posted += transfer.amount;
    credit.credits_posted += transfer.amount;
    ledger.update_account(debit);
    ledger.update_account(credit);
    let id = DerivedTransfer::id(step.sequence, step.derived);
    ledger.add_transfer(Transfer { id, ledger: debit.ledger, timestamp: step.next, ..transfer });
    step.derived += 1;
    step.next += 1;
}
