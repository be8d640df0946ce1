//! Sending a file's messages to a book, and seeing whom it chooses.
//!
//! Invariants: what the file says is sent in its order; several requests are in flight, but none passes an execution
//! before it is known which order the node chose; after every execution the levels of the node's book are those of the
//! file, whatever it chose.

use super::messages::{Event, Message};
use super::mirror::{Mirror, Standing, order_of};
use super::tally::{Disagreement, Tally};
use crate::error::CliError;
use crate::market::Refusal;
use mizan_client::{Client, Completion, Outcome, Reply, ReportPage, RequestId};
use mizan_wire::orders::{OrderKind, Side, TimeInForce};
use mizan_wire::trading::{
    AmendOrderEvent, CancelOrderEvent, ExecutionKind, OrderResult, OrderStatus, ReportsQuery,
    SubmitOrder,
};
use mizan_wire::{CREATED, Operation};
use std::collections::HashMap;
use std::time::Duration;
use zerocopy::IntoBytes;

/// Requests in flight at the most.
const IN_FLIGHT_MAX: usize = 64;
/// Events in a request at the most: enough to share a request's cost, and few enough to keep the node busy.
const BATCH_MAX: usize = 512;
/// How long one poll may wait; the client's own deadline ends a request.
const POLL_TIMEOUT: Duration = Duration::from_secs(1);
/// Marks the client order ids of the orders that take.
const TAKER_MARK: u128 = 1 << 120;

/// Whose orders are sent, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Desk {
    pub(super) instrument: u32,
    /// Quote and base account of the orders that rest.
    pub(super) maker: [u128; 2],
    /// Quote and base account of the orders that take.
    pub(super) taker: [u128; 2],
}

/// Events of one operation that wait to be sent.
#[derive(Default)]
struct Pending {
    operation: Option<Operation>,
    bytes: Vec<u8>,
    lines: Vec<u64>,
}

/// See the module.
pub(super) struct Replay<'a> {
    client: &'a mut Client,
    desk: Desk,
    pub(super) mirror: Mirror,
    pub(super) tally: Tally,
    pending: Pending,
    /// Lines of the requests in flight.
    in_flight: HashMap<RequestId, Vec<u64>>,
    /// The number of the maker's next report that was not read.
    next_report: u64,
}

/// One fill of an order that rested.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Fill {
    client_order_id: u128,
    price: u64,
    quantity: u64,
}

impl<'a> Replay<'a> {
    pub(super) fn new(client: &'a mut Client, desk: Desk) -> Self {
        Self {
            client,
            desk,
            mirror: Mirror::default(),
            tally: Tally::default(),
            pending: Pending::default(),
            in_flight: HashMap::new(),
            next_report: 1,
        }
    }

    /// Sends what one message says.
    pub(super) fn message(&mut self, message: &Message) -> Result<(), CliError> {
        let Message { line, order, event } = *message;
        self.tally.messages += 1;
        match event {
            Event::New { side, price, size } => self.enter(line, order, side, price, size),
            Event::Reduced { size } => self.reduce(line, order, size),
            Event::Deleted => {
                self.tally.deletions += 1;
                match self.mirror.remove(order) {
                    Some(standing) => self.cancel(line, &standing),
                    None => self.unknown(line),
                }
            }
            Event::Executed { size, price, side } => self.execute(line, order, size, price, side),
            Event::Other => {
                self.tally.others += 1;
                Ok(())
            }
        }
    }

    /// Waits until everything that was sent is answered.
    pub(super) fn finish(&mut self) -> Result<(), CliError> {
        self.flush()?;
        while !self.in_flight.is_empty() {
            self.wait()?;
        }
        Ok(())
    }

    fn unknown(&mut self, line: u64) -> Result<(), CliError> {
        self.tally.unknown.push(line);
        Ok(())
    }

    fn enter(
        &mut self,
        line: u64,
        order: u64,
        side: Side,
        price: u64,
        size: u64,
    ) -> Result<(), CliError> {
        self.tally.entries += 1;
        // An id that is entered twice names the later order.
        if let Some(standing) = self.mirror.remove(order) {
            self.tally.stale.push((line, order));
            self.cancel(line, &standing)?;
        }
        // The market let the order rest: what it would trade with is not there any more.
        let crossed = self.mirror.crossed_by(side, price);
        self.take_out(line, &crossed)?;
        let entries = self.mirror.next_entry(order);
        let standing = Standing { order, side, price, open: size, total: size, entries };
        self.mirror.enter(standing);
        self.submit(line, &standing)
    }

    fn reduce(&mut self, line: u64, order: u64, size: u64) -> Result<(), CliError> {
        self.tally.reductions += 1;
        let Some(standing) = self.mirror.get_mut(order) else { return self.unknown(line) };
        if size >= standing.open {
            let standing = *standing;
            self.mirror.remove(order);
            return self.cancel(line, &standing);
        }
        standing.open -= size;
        standing.total -= size;
        let event = AmendOrderEvent {
            account_id: self.desk.maker[0],
            client_order_id: standing.client_order_id(),
            price: standing.price,
            quantity: standing.total,
            ..AmendOrderEvent::default()
        };
        self.push(Operation::AmendOrders, event.as_bytes(), line)
    }

    /// Orders that the market has passed, so that it must have lost them before.
    fn take_out(&mut self, line: u64, orders: &[u64]) -> Result<(), CliError> {
        for order in orders {
            if let Some(standing) = self.mirror.remove(*order) {
                self.tally.stale.push((line, *order));
                self.cancel(line, &standing)?;
            }
        }
        Ok(())
    }

    fn submit(&mut self, line: u64, standing: &Standing) -> Result<(), CliError> {
        let event = SubmitOrder {
            client_order_id: standing.client_order_id(),
            price: standing.price,
            quantity: standing.total,
            side: standing.side as u8,
            ..self.order(self.desk.maker)
        };
        self.push(Operation::SubmitOrders, event.as_bytes(), line)
    }

    fn order(&self, [quote_account_id, base_account_id]: [u128; 2]) -> SubmitOrder {
        SubmitOrder {
            quote_account_id,
            base_account_id,
            instrument: self.desk.instrument,
            kind: OrderKind::Limit as u8,
            ..SubmitOrder::default()
        }
    }

    fn cancel(&mut self, line: u64, standing: &Standing) -> Result<(), CliError> {
        let event = CancelOrderEvent {
            account_id: self.desk.maker[0],
            client_order_id: standing.client_order_id(),
            ..CancelOrderEvent::default()
        };
        self.push(Operation::CancelOrders, event.as_bytes(), line)
    }

    /// Takes as much at that price as was traded, and looks whom the node chose.
    fn execute(
        &mut self,
        line: u64,
        order: u64,
        size: u64,
        price: u64,
        side: Side,
    ) -> Result<(), CliError> {
        self.tally.executions += 1;
        let Some(expected) = self.mirror.get(order).copied() else {
            self.tally.before_window.push((line, order));
            return Ok(());
        };
        if (expected.price, expected.side) != (price, side) || expected.open < size {
            let reason = "the file executes more, or at another price or side, than the order has";
            self.tally.bad.push((line, reason.to_owned()));
            return Ok(());
        }
        let better = self.mirror.better_than(side, price);
        self.take_out(line, &better)?;
        let level = self.mirror.level(side, price);
        let event = SubmitOrder {
            client_order_id: TAKER_MARK | u128::from(line),
            price,
            quantity: size,
            side: side.opposite() as u8,
            time_in_force: TimeInForce::ImmediateOrCancel as u8,
            ..self.order(self.desk.taker)
        };
        self.push(Operation::SubmitOrders, event.as_bytes(), line)?;
        let fills = self.fills()?;
        self.tally.lots += u128::from(size);
        self.tally.notional += u128::from(size) * u128::from(price);
        self.traded(order, size);
        let meant = Fill { client_order_id: expected.client_order_id(), price, quantity: size };
        if fills == [meant] {
            self.tally.agreed += 1;
            return Ok(());
        }
        let chosen = fills.iter().map(|fill| (order_of(fill.client_order_id), fill.quantity));
        let place = level.iter().position(|one| one.order == order).unwrap_or_default();
        self.tally.disagreements.push(Disagreement {
            line,
            order,
            size,
            price,
            place,
            chosen: chosen.collect(),
        });
        self.mend(line, order, &level, &fills)
    }

    /// What the file says was traded.
    fn traded(&mut self, order: u64, size: u64) {
        if let Some(standing) = self.mirror.get_mut(order) {
            standing.open -= size;
            if standing.open == 0 {
                self.mirror.remove(order);
            }
        }
    }

    /// Makes the level what the file says: everything on it is cancelled and entered anew, the order that the market
    /// chose first, because by price and time it must have been the first.
    fn mend(
        &mut self,
        line: u64,
        order: u64,
        level: &[Standing],
        fills: &[Fill],
    ) -> Result<(), CliError> {
        for standing in level {
            let id = standing.client_order_id();
            let of_order = fills.iter().filter(|fill| fill.client_order_id == id);
            let filled: u64 = of_order.map(|fill| fill.quantity).sum();
            if filled < standing.open {
                self.cancel(line, standing)?;
            }
        }
        self.mirror.move_to_head(order);
        let Some(first) = level.first() else { return Ok(()) };
        for standing in self.mirror.level(first.side, first.price) {
            let entries = self.mirror.next_entry(standing.order);
            let anew = Standing { total: standing.open, entries, ..standing };
            if let Some(standing) = self.mirror.get_mut(standing.order) {
                *standing = anew;
            }
            self.tally.entered_anew += 1;
            self.submit(line, &anew)?;
        }
        Ok(())
    }

    /// Sends everything, waits for the last order's result, and gives the fills that it caused.
    fn fills(&mut self) -> Result<Vec<Fill>, CliError> {
        self.flush()?;
        let mut query = ReportsQuery {
            account_id: self.desk.maker[0],
            from_number: self.next_report,
            ..ReportsQuery::default()
        };
        let mut fills = Vec::new();
        loop {
            let (page, last) = self.reports(&query)?;
            if page.first_kept > query.from_number {
                return Err(CliError::Problem(format!(
                    "the node keeps too few execution reports: number {} is gone; format it with more --reports",
                    query.from_number
                )));
            }
            for report in &page.reports {
                let is_fill = report.kind == ExecutionKind::Fill as u8;
                if is_fill && last.is_some_and(|last| report.timestamp == last.timestamp) {
                    fills.push(Fill {
                        client_order_id: report.client_order_id,
                        price: report.price,
                        quantity: report.quantity,
                    });
                }
            }
            let read = page
                .reports
                .last()
                .map_or(query.from_number, |report| report.number.saturating_add(1));
            query.from_number = read;
            if read >= page.next {
                self.next_report = read;
                return Ok(fills);
            }
        }
    }

    /// A page of the maker's reports, and the last result of the write before it.
    fn reports(
        &mut self,
        query: &ReportsQuery,
    ) -> Result<(ReportPage, Option<OrderResult>), CliError> {
        let id = self.client.submit(Operation::GetExecutionReports, query.as_bytes())?;
        loop {
            let Some(completion) = self.client.poll(POLL_TIMEOUT)? else { continue };
            if completion.id != id {
                self.collect(completion)?;
                continue;
            }
            let reply = reply_of(completion)?;
            let page = ReportPage::from_records(&reply.execution_reports());
            let page = page.ok_or_else(|| {
                CliError::Problem("the account of the orders that rest is gone".to_owned())
            })?;
            // A read is answered in the order of the log, but writes have completions of their own.
            while !self.in_flight.is_empty() {
                self.wait()?;
            }
            return Ok((page, self.tally.last_result));
        }
    }

    fn push(&mut self, operation: Operation, event: &[u8], line: u64) -> Result<(), CliError> {
        let is_other = self.pending.operation.is_some_and(|pending| pending != operation);
        if is_other || self.pending.lines.len() == BATCH_MAX {
            self.flush()?;
        }
        self.pending.operation = Some(operation);
        self.pending.bytes.extend_from_slice(event);
        self.pending.lines.push(line);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), CliError> {
        let Some(operation) = self.pending.operation.take() else { return Ok(()) };
        let count = self.pending.lines.len() as u32;
        while self.in_flight.len() >= IN_FLIGHT_MAX
            || (!self.in_flight.is_empty() && !self.client.can_submit_of(operation, count))
        {
            self.wait()?;
        }
        let id = self.client.submit(operation, &self.pending.bytes)?;
        self.in_flight.insert(id, std::mem::take(&mut self.pending.lines));
        self.pending.bytes.clear();
        Ok(())
    }

    fn wait(&mut self) -> Result<(), CliError> {
        match self.client.poll(POLL_TIMEOUT)? {
            Some(completion) => self.collect(completion),
            None => Ok(()),
        }
    }

    /// A refusal is counted, unless it says that nothing of the file can be imported.
    fn refused(&mut self, line: u64, status: u32) -> Result<(), CliError> {
        if status == OrderStatus::Exists as u32 {
            let text = format!(
                "line {line} was imported into this node before: give another --name, which makes a market of its own"
            );
            return Err(Refusal { status, text }.into());
        }
        self.tally.refused.push((line, status));
        Ok(())
    }

    /// Counts the results of a write.
    fn collect(&mut self, completion: Completion) -> Result<(), CliError> {
        let lines = self.in_flight.remove(&completion.id).unwrap_or_default();
        let results = reply_of(completion)?.order_results();
        for (line, result) in lines.iter().zip(&results) {
            if result.status != CREATED {
                self.refused(*line, result.status)?;
            }
        }
        self.tally.last_result = results.last().copied().or(self.tally.last_result);
        Ok(())
    }
}

fn reply_of(completion: Completion) -> Result<Reply, CliError> {
    use mizan_client::ClientError;
    match completion.outcome {
        Outcome::Reply(reply) => Ok(reply),
        Outcome::Refused(status) => Err(ClientError::Refused(status).into()),
        Outcome::NotSent => Err(ClientError::NotSent.into()),
        Outcome::Unknown => Err(ClientError::Unknown.into()),
    }
}
