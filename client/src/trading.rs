//! Calls about instruments and orders; like those of `calls`, they block until their reply.

use crate::{Client, ClientError};
use mizan_wire::trading::{
    AmendOrderEvent, CancelOrderEvent, CreateInstrument, DepthQuery, DepthRecord, ExecutionKind,
    ExecutionReport, InstrumentCommand, MassCancelEvent, OpenOrdersQuery, OrderKey, OrderResult,
    OrderView, ReportsQuery, SubmitOrder,
};
use mizan_wire::{CreateResult, Operation};
use zerocopy::IntoBytes;

/// Execution reports of an account, and which there are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReportPage {
    /// The number of the first report that the node still keeps.
    pub first_kept: u64,
    /// The number that the account's next report will get.
    pub next: u64,
    /// Those that were asked for, in the order of their numbers, as many as a reply holds.
    pub reports: Vec<ExecutionReport>,
}

impl ReportPage {
    /// From the records of a reply, the first of which is the head; `None` if there is no such account.
    #[must_use]
    pub fn from_records(records: &[ExecutionReport]) -> Option<Self> {
        let (head, reports) = records.split_first()?;
        let is_head = head.kind == ExecutionKind::Head as u8;
        is_head.then(|| Self {
            first_kept: head.number,
            next: head.order_number,
            reports: reports.to_vec(),
        })
    }
}

/// # Errors of all calls
/// As those of the calls about accounts and transfers. A refused order is a result, not an error: its status is the
/// number of an `OrderStatus` or of an `OrderReject`.
impl Client {
    /// Makes instruments, at most 4,094; one result per instrument, in order. An empty list asks nothing.
    ///
    /// # Errors
    /// See above.
    pub fn create_instruments(
        &mut self,
        instruments: &[CreateInstrument],
    ) -> Result<Vec<CreateResult>, ClientError> {
        if instruments.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.call(Operation::CreateInstruments, instruments.as_bytes())?.create_results())
    }

    /// Enters orders, which reserve, match and settle; one result per order, in order. An empty list asks nothing.
    ///
    /// # Errors
    /// See above.
    pub fn submit_orders(
        &mut self,
        orders: &[SubmitOrder],
    ) -> Result<Vec<OrderResult>, ClientError> {
        self.trade(Operation::SubmitOrders, orders.as_bytes())
    }

    /// Gives open orders new terms; one result per amend, in order. An empty list asks nothing.
    ///
    /// # Errors
    /// See above.
    pub fn amend_orders(
        &mut self,
        amends: &[AmendOrderEvent],
    ) -> Result<Vec<OrderResult>, ClientError> {
        self.trade(Operation::AmendOrders, amends.as_bytes())
    }

    /// Ends open orders; one result per cancel, in order. An empty list asks nothing.
    ///
    /// # Errors
    /// See above.
    pub fn cancel_orders(
        &mut self,
        cancels: &[CancelOrderEvent],
    ) -> Result<Vec<OrderResult>, ClientError> {
        self.trade(Operation::CancelOrders, cancels.as_bytes())
    }

    /// Ends all orders that meet the conditions of an event; `open` of its result says how many. An empty list asks
    /// nothing.
    ///
    /// # Errors
    /// See above.
    pub fn mass_cancel_orders(
        &mut self,
        events: &[MassCancelEvent],
    ) -> Result<Vec<OrderResult>, ClientError> {
        self.trade(Operation::MassCancelOrders, events.as_bytes())
    }

    /// Halts and resumes instruments; `open` of a result says how many it covers. An empty list asks nothing.
    ///
    /// # Errors
    /// See above.
    pub fn set_trading_states(
        &mut self,
        commands: &[InstrumentCommand],
    ) -> Result<Vec<OrderResult>, ClientError> {
        self.trade(Operation::SetTradingStates, commands.as_bytes())
    }

    /// Ends the orders of the day; `open` of a result says how many. An empty list asks nothing.
    ///
    /// # Errors
    /// See above.
    pub fn close_trading_sessions(
        &mut self,
        commands: &[InstrumentCommand],
    ) -> Result<Vec<OrderResult>, ClientError> {
        self.trade(Operation::CloseTradingSessions, commands.as_bytes())
    }

    /// All instruments, ascending.
    ///
    /// # Errors
    /// See above.
    pub fn get_instruments(&mut self) -> Result<Vec<CreateInstrument>, ClientError> {
        Ok(self.call(Operation::GetInstruments, &[])?.instruments())
    }

    /// Finds orders by account and client id, at most 4,094; those that do not exist are left out. An empty list asks
    /// nothing.
    ///
    /// # Errors
    /// See above.
    pub fn get_orders(&mut self, keys: &[OrderKey]) -> Result<Vec<OrderView>, ClientError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.call(Operation::GetOrders, keys.as_bytes())?.orders())
    }

    /// The open orders of an account in the order of their numbers, as many as a reply holds; the next page begins
    /// after the last one's number.
    ///
    /// # Errors
    /// See above.
    pub fn get_open_orders(
        &mut self,
        query: &OpenOrdersQuery,
    ) -> Result<Vec<OrderView>, ClientError> {
        Ok(self.call(Operation::GetOpenOrders, query.as_bytes())?.orders())
    }

    /// The private reports of an account from a number on; `None` if there is no such account.
    ///
    /// # Errors
    /// See above.
    pub fn get_execution_reports(
        &mut self,
        query: &ReportsQuery,
    ) -> Result<Option<ReportPage>, ClientError> {
        let reply = self.call(Operation::GetExecutionReports, query.as_bytes())?;
        Ok(ReportPage::from_records(&reply.execution_reports()))
    }

    /// The price levels of one side of a book, best first; none if there is no such instrument.
    ///
    /// # Errors
    /// See above.
    pub fn get_depth(&mut self, query: &DepthQuery) -> Result<Vec<DepthRecord>, ClientError> {
        Ok(self.call(Operation::GetDepth, query.as_bytes())?.depth())
    }

    fn trade(
        &mut self,
        operation: Operation,
        events: &[u8],
    ) -> Result<Vec<OrderResult>, ClientError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.call(operation, events)?.order_results())
    }
}
