//! Looking at orders, reports, instruments and books. Nothing here changes anything.

use crate::ledger::LedgerState;
use crate::output::Output;
use crate::trading::order::Order;
use crate::trading::state::Trading;
use mizan_wire::Operation;
use mizan_wire::limits::{BODY_SIZE_MAX, LOOKS_MAX};
use mizan_wire::orders::Side;
use mizan_wire::trading::{
    CreateInstrument, DepthQuery, DepthRecord, ExecutionKind, ExecutionReport, OpenOrdersQuery,
    OrderKey, OrderView, ReportsQuery, decode_side,
};
use zerocopy::{FromBytes, IntoBytes};

/// Records that a reply may have: what was asked for, and what fits.
fn count_max(limit: u32, size: usize) -> usize {
    let fits = BODY_SIZE_MAX / size;
    if limit == 0 { fits } else { fits.min(limit as usize) }
}

fn event<E: FromBytes>(body: &[u8]) -> E {
    E::read_from_bytes(body).expect("invariant: the body's size was checked")
}

fn find(ledger: &LedgerState, id: u128) -> Option<u32> {
    ledger.accounts.find(id, ledger.accounts.table.hash(id))
}

/// Ends a reply that is not complete: the number is that of the last order that was looked at, and the state is none.
fn push_unfinished(next_index: u32, output: &mut Output) {
    let order_number = u64::from(next_index);
    output.push(OrderView { order_number, ..OrderView::default() }.as_bytes());
}

impl Trading {
    /// Answers a read about trading; says whether it is one.
    pub(crate) fn read(
        &self,
        ledger: &LedgerState,
        operation: Operation,
        body: &[u8],
        output: &mut Output,
    ) -> bool {
        match operation {
            Operation::GetInstruments => {
                for (_, place) in &self.sorted {
                    let place = *place as usize;
                    let state = self.books[place].trading_state() as u8;
                    let record = CreateInstrument { state, ..self.instruments[place].record };
                    output.push(record.as_bytes());
                }
            }
            Operation::GetOrders => {
                for bytes in body.chunks_exact(size_of::<OrderKey>()) {
                    let key: OrderKey = event(bytes);
                    let index = find(ledger, key.account_id)
                        .and_then(|slot| self.desk.orders.find(slot, key.client_order_id));
                    if let Some(index) = index {
                        output.push(self.view(ledger, index).as_bytes());
                    }
                }
            }
            Operation::GetOpenOrders => self.read_open(ledger, &event(body), output),
            Operation::GetExecutionReports => self.read_reports(ledger, &event(body), output),
            Operation::GetDepth => self.read_depth(&event(body), output),
            _ => return false,
        }
        true
    }

    fn read_open(&self, ledger: &LedgerState, query: &OpenOrdersQuery, output: &mut Output) {
        let slot = find(ledger, query.account_id);
        let Some(slot) = slot.filter(|slot| (*slot as usize) < self.desk.traders.len()) else {
            return;
        };
        let mut looks = LOOKS_MAX;
        let mut count_left = count_max(query.limit, size_of::<OrderView>());
        let mut next = match self.first_open(slot, query.after_order_number, &mut looks) {
            Ok(first) => first,
            Err(looked_at) => return push_unfinished(looked_at, output),
        };
        while let Some(index) = next {
            if count_left == 0 {
                return;
            }
            if looks == 0 {
                return push_unfinished(index, output);
            }
            looks -= 1;
            let order = self.desk.orders.get(index);
            let id = self.instruments[order.instrument as usize].record.id;
            if query.instrument == 0 || query.instrument == id {
                output.push(self.view(ledger, index).as_bytes());
                count_left -= 1;
            }
            next = self.desk.orders.listed_after(index);
        }
    }

    /// The first open order of an account after a number.
    ///
    /// # Errors
    /// The looks are spent: the index of the order that would have been looked at next.
    fn first_open(&self, slot: u32, after: u64, looks: &mut u32) -> Result<Option<u32>, u32> {
        let orders = &self.desk.orders;
        if after == 0 {
            return Ok(orders.listed(self.desk.traders[slot as usize].open).next());
        }
        let Some(before) = orders.numbered(after) else { return Ok(None) };
        if before.is_open() && before.quote_slot == slot {
            return Ok(orders.listed_after(after as u32 - 1));
        }
        // That order has ended, or is another account's: no list leads on.
        let mut next = orders.open.next(after as u32);
        while let Some(index) = next {
            if orders.get(index).quote_slot == slot {
                return Ok(Some(index));
            }
            if *looks == 0 {
                return Err(index);
            }
            *looks -= 1;
            next = orders.open.next(index + 1);
        }
        Ok(None)
    }

    fn read_reports(&self, ledger: &LedgerState, query: &ReportsQuery, output: &mut Output) {
        let slot = find(ledger, query.account_id);
        let trader = slot.and_then(|slot| self.desk.traders.get(slot as usize));
        let Some(trader) = trader else { return };
        output.push(
            ExecutionReport {
                number: trader.report_first,
                order_number: trader.report_count + 1,
                kind: ExecutionKind::Head as u8,
                ..ExecutionReport::default()
            }
            .as_bytes(),
        );
        // The head takes one place.
        let size = size_of::<ExecutionReport>();
        let count = count_max(query.limit, size).min(BODY_SIZE_MAX / size - 1);
        let mut found = Vec::new();
        self.desk.reports.collect(trader, query.from_number, count, &mut found);
        for report in found.iter().rev() {
            let order = self.desk.orders.get(report.order);
            let record = ExecutionReport {
                client_order_id: order.client_order_id,
                fee: report.fee,
                transfer_id: report.transfer_id,
                number: report.number,
                order_number: u64::from(report.order) + 1,
                timestamp: report.timestamp,
                sequence: report.sequence,
                price: report.price,
                quantity: report.quantity,
                open: report.open,
                filled: report.filled,
                instrument: self.instruments[order.instrument as usize].record.id,
                reason: report.reason,
                kind: report.kind as u8,
                marks: report.marks,
                reserved: 0,
            };
            output.push(record.as_bytes());
        }
    }

    fn read_depth(&self, query: &DepthQuery, output: &mut Output) {
        let side: Option<Side> = decode_side(query.side);
        let (Some(side), Some(place)) = (side, self.find_instrument(query.instrument)) else {
            return;
        };
        let levels = self.books[place].depth(side);
        for level in levels.take(count_max(query.limit, size_of::<DepthRecord>())) {
            let record = DepthRecord {
                price: level.price,
                quantity: level.quantity,
                order_count: level.order_count,
                reserved: [0; 3],
            };
            output.push(record.as_bytes());
        }
    }

    /// An order, as it travels.
    fn view(&self, ledger: &LedgerState, index: u32) -> OrderView {
        let order: &Order = self.desk.orders.get(index);
        OrderView {
            client_order_id: order.client_order_id,
            quote_account_id: ledger.accounts.id(order.quote_slot),
            base_account_id: ledger.accounts.id(order.base_slot),
            held: order.held,
            notional: order.notional,
            fee: order.fee,
            order_number: u64::from(index) + 1,
            timestamp: order.timestamp,
            price: order.price,
            stop_price: order.stop_price,
            quantity: order.quantity,
            filled: order.filled,
            open: order.open,
            expires_ns: order.expires_ns,
            user_data_64: order.user_data_64,
            session: order.session,
            instrument: self.instruments[order.instrument as usize].record.id,
            reason: order.reason,
            state: order.state as u8,
            side: order.side as u8,
            kind: order.kind as u8,
            time_in_force: order.time_in_force as u8,
            ..OrderView::default()
        }
    }
}
