//! Answers about trading.

use crate::ledger::Ledger;
use crate::reply::ModelReply;
use crate::trading::order::TradingOrder;
use crate::trading::{Trading, read};
use mizan_wire::Operation;
use mizan_wire::limits::{BODY_SIZE_MAX, LOOKS_MAX};
use mizan_wire::orders::Side;
use mizan_wire::trading::{
    CreateInstrument, DepthQuery, DepthRecord, ExecutionReport, OpenOrdersQuery, OrderKey,
    OrderView, ReportsQuery,
};
use std::collections::BTreeMap;

fn limit(asked: u32, size: usize) -> usize {
    let most = BODY_SIZE_MAX / size;
    if asked == 0 { most } else { most.min(asked as usize) }
}

impl Trading {
    /// Answers a read of trading.
    pub(crate) fn answer(
        &self,
        ledger: &Ledger,
        operation: Operation,
        body: &[u8],
        reply: ModelReply,
    ) -> ModelReply {
        match operation {
            Operation::GetInstruments => {
                let all = self.markets.values().map(|market| CreateInstrument {
                    state: market.book.state as u8,
                    ..market.record
                });
                reply.with_records(&all.collect::<Vec<CreateInstrument>>())
            }
            Operation::GetOrders => {
                let mut views = Vec::new();
                for bytes in body.chunks_exact(size_of::<OrderKey>()) {
                    let key = read::<OrderKey>(bytes);
                    let position = self.positions.get(&(key.account_id, key.client_order_id));
                    views.extend(position.map(|position| self.view(*position)));
                }
                reply.with_records(&views)
            }
            Operation::GetOpenOrders => {
                let query: OpenOrdersQuery = read(body);
                let is_known = ledger.account(query.account_id).is_some();
                let views = if is_known { self.open_orders(&query) } else { Vec::new() };
                reply.with_records(&views)
            }
            Operation::GetExecutionReports => {
                reply.with_records(&self.execution_reports(ledger, &read(body)))
            }
            _ => reply.with_records(&self.depth(&read(body))),
        }
    }

    /// The account's open orders after a number. Looks are bounded: at the account's own, and before the first of them at
    /// everybody's, unless the number is that of an open order of the account.
    fn open_orders(&self, query: &OpenOrdersQuery) -> Vec<OrderView> {
        let count_max = limit(query.limit, size_of::<OrderView>());
        let is_own = |position: usize| self.orders[position].quote_account == query.account_id;
        let after = query.after_order_number;
        let mut is_found = after == 0
            || self.orders.get(after as usize - 1).is_some_and(TradingOrder::is_open)
                && is_own(after as usize - 1);
        let (mut views, mut looks) = (Vec::new(), 0);
        for position in (0..self.orders.len()).filter(|position| *position as u64 >= after) {
            if !self.orders[position].is_open() || (is_found && !is_own(position)) {
                continue;
            }
            if views.len() == count_max {
                break;
            }
            if looks == LOOKS_MAX {
                let order_number = position as u64;
                views.push(OrderView { order_number, ..OrderView::default() });
                break;
            }
            looks += 1;
            is_found |= is_own(position);
            let instrument = self.orders[position].event.instrument;
            if is_own(position) && [0, instrument].contains(&query.instrument) {
                views.push(self.view(position));
            }
        }
        views
    }

    fn execution_reports(&self, ledger: &Ledger, query: &ReportsQuery) -> Vec<ExecutionReport> {
        if !self.genesis.has_trading() || ledger.account(query.account_id).is_none() {
            return Vec::new();
        }
        let dropped = self.reports.len().saturating_sub(self.genesis.report_count_max as usize);
        let own = |reports: &[(u128, ExecutionReport)]| -> Vec<ExecutionReport> {
            let own = reports.iter().filter(|(account, _)| *account == query.account_id);
            own.map(|(_, report)| *report).collect()
        };
        let kept = own(&self.reports[dropped..]);
        let first = own(&self.reports[..dropped]).len() as u64 + 1;
        let head = ExecutionReport {
            number: first,
            order_number: first + kept.len() as u64,
            ..ExecutionReport::default()
        };
        let size = size_of::<ExecutionReport>();
        let count = limit(query.limit, size).min(BODY_SIZE_MAX / size - 1);
        let wanted = kept.into_iter().filter(|report| report.number >= query.from_number);
        std::iter::once(head).chain(wanted.take(count)).collect()
    }

    fn depth(&self, query: &DepthQuery) -> Vec<DepthRecord> {
        let Some(market) = self.markets.get(&query.instrument) else { return Vec::new() };
        let side = match query.side {
            0 => Side::Buy,
            1 => Side::Sell,
            _ => return Vec::new(),
        };
        let mut levels = BTreeMap::<u64, DepthRecord>::new();
        for order in market.book.resting(side) {
            let price = order.terms.price;
            let level = levels.entry(price).or_insert(DepthRecord { price, ..Default::default() });
            level.quantity += order.open();
            level.order_count += 1;
        }
        let mut levels: Vec<DepthRecord> = levels.into_values().collect();
        if side == Side::Buy {
            levels.reverse();
        }
        levels.truncate(limit(query.limit, size_of::<DepthRecord>()));
        levels
    }

    fn view(&self, position: usize) -> OrderView {
        let order = &self.orders[position];
        OrderView {
            client_order_id: order.event.client_order_id,
            quote_account_id: order.quote_account,
            base_account_id: order.base_account,
            held: order.held,
            notional: order.notional,
            fee: order.fee,
            order_number: position as u64 + 1,
            timestamp: order.timestamp,
            price: order.price,
            stop_price: order.stop_price,
            quantity: order.quantity,
            filled: order.filled,
            open: order.open,
            expires_ns: order.expires_ns,
            user_data_64: order.event.user_data_64,
            session: order.session,
            instrument: order.event.instrument,
            reason: order.reason,
            state: order.state as u8,
            side: order.side as u8,
            kind: order.kind as u8,
            time_in_force: order.time_in_force as u8,
            ..OrderView::default()
        }
    }
}
