//! The answers to a run's commands: counted, and each looked at for what no right node says.

use crate::LoadError;
use crate::created::Created;
use crate::orders::flow::{Command, OrderFlow};
use mizan_client::Reply;
use mizan_wire::orders::OrderReject;
use mizan_wire::trading::{OrderResult, OrderState, OrderStatus};
use mizan_wire::{CREATED, Status};
use std::collections::BTreeMap;
use zerocopy::FromBytes;

/// What one driver, or all of them together, were told.
#[derive(Clone, Debug, Default)]
pub(crate) struct OrderTally {
    /// Orders that were accepted, amended, cancelled, by their numbers.
    pub(crate) accepted: Created,
    pub(crate) amended: Created,
    pub(crate) cancelled: Created,
    /// Commands whose order had ended before: filled, or overtaken by another client's cancel.
    pub(crate) ended_before: u64,
    /// Commands that were answered, whatever the answer.
    pub(crate) submits: u64,
    pub(crate) amends: u64,
    pub(crate) cancels: u64,
}

impl OrderTally {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.accepted.merge(&other.accepted);
        self.amended.merge(&other.amended);
        self.cancelled.merge(&other.cancelled);
        self.ended_before += other.ended_before;
        self.submits += other.submits;
        self.amends += other.amends;
        self.cancels += other.cancels;
    }

    /// Commands that were executed.
    pub(crate) fn executed(&self) -> u64 {
        self.accepted.count() + self.amended.count() + self.cancelled.count()
    }

    /// Takes in the answer to a batch of so many commands; what was refused is counted by its name.
    ///
    /// # Errors
    /// Results that are missing or contradict themselves or their command.
    pub(crate) fn take(
        &mut self,
        flow: &OrderFlow,
        batch_index: u64,
        count: u32,
        reply: &Reply,
        refused: &mut BTreeMap<String, u64>,
    ) -> Result<(), LoadError> {
        let command = flow.command(batch_index);
        let wrong = |what, place| LoadError::AnswerWrong { what, batch_index, place };
        if reply.body.len() != count as usize * size_of::<OrderResult>() {
            return Err(wrong("not every command has one result", reply.body.len()));
        }
        for (place, bytes) in reply.body.chunks_exact(size_of::<OrderResult>()).enumerate() {
            let Ok(result) = OrderResult::read_from_bytes(bytes) else { continue };
            let order = command.order(place as u64);
            if result.status == CREATED {
                let fault = match command {
                    Command::Submit { .. } => fault_of_entry(flow, order, &result),
                    Command::Amend { .. } => None,
                    Command::Cancel { .. } => fault_of_cancel(&result),
                };
                if let Some(what) = fault {
                    return Err(wrong(what, place));
                }
                self.of_command(command).insert(order);
            } else if result.status == OrderStatus::OrderEnded as u32 {
                self.ended_before += 1;
            } else {
                *refused.entry(name_of(result.status).to_owned()).or_default() += 1;
            }
        }
        match command {
            Command::Submit { .. } => self.submits += u64::from(count),
            Command::Amend { .. } => self.amends += u64::from(count),
            Command::Cancel { .. } => self.cancels += u64::from(count),
        }
        Ok(())
    }

    const fn of_command(&mut self, command: Command) -> &mut Created {
        match command {
            Command::Submit { .. } => &mut self.accepted,
            Command::Amend { .. } => &mut self.amended,
            Command::Cancel { .. } => &mut self.cancelled,
        }
    }
}

fn fault_of_entry(flow: &OrderFlow, order: u64, result: &OrderResult) -> Option<&'static str> {
    let terms = flow.terms(order);
    let is_open = result.state == OrderState::Open as u8;
    if result.order_number == 0 {
        Some("an accepted order has no number")
    } else if result.filled + result.open > terms.quantity {
        Some("an order is filled or open beyond its quantity")
    } else if is_open != (result.open > 0) {
        Some("an order is open with nothing to trade, or ended with something")
    } else if is_open && terms.takes {
        Some("an order that is immediate or cancel rests")
    } else if (result.filled == 0) != (result.notional == 0) {
        Some("lots were traded for nothing, or nothing for money")
    } else {
        None
    }
}

fn fault_of_cancel(result: &OrderResult) -> Option<&'static str> {
    let is_cancelled = result.state == OrderState::Cancelled as u8;
    (!is_cancelled || result.open != 0).then_some("a cancelled order is still open")
}

fn name_of(status: u32) -> &'static str {
    OrderStatus::from_number(status)
        .map(Status::name)
        .or_else(|| OrderReject::from_number(status).map(Status::name))
        .unwrap_or("a status without a name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BenchOptions;
    use crate::orders::OrderOptions;
    use bytes::Bytes;
    use mizan_wire::{Operation, RequestStatus};
    use zerocopy::IntoBytes;

    const COUNT: u32 = 20;

    fn flow() -> OrderFlow {
        let options = BenchOptions { batch: COUNT, transfers: 4_000, ..BenchOptions::default() };
        OrderFlow::new(&options, OrderOptions::default())
    }

    fn reply(results: &[OrderResult]) -> Reply {
        Reply {
            status: RequestStatus::Ok,
            operation: Operation::SubmitOrders,
            sequence: 1,
            timestamp: 1,
            epoch: 1,
            commit: 1,
            replayed: false,
            copies_durable: 1,
            event_count: COUNT,
            body: Bytes::copy_from_slice(results.as_bytes()),
        }
    }

    /// What a right node with empty books says to the first batch.
    fn right(flow: &OrderFlow) -> Vec<OrderResult> {
        let right_one = |order: u64| {
            let terms = flow.terms(order);
            let state = if terms.takes { OrderState::Cancelled } else { OrderState::Open };
            OrderResult {
                order_number: order + 1,
                open: if terms.takes { 0 } else { terms.quantity },
                status: CREATED,
                state: state as u8,
                ..OrderResult::default()
            }
        };
        (0..u64::from(COUNT)).map(right_one).collect()
    }

    fn take(tally: &mut OrderTally, results: &[OrderResult]) -> Result<(), LoadError> {
        tally.take(&flow(), 0, COUNT, &reply(results), &mut BTreeMap::new())
    }

    #[test]
    fn right_answers_are_counted_and_contradictions_are_found() {
        let mut tally = OrderTally::default();
        take(&mut tally, &right(&flow())).unwrap();
        assert_eq!((tally.submits, tally.accepted.count(), tally.executed()), (20, 20, 20));
        let spoils: [fn(&mut OrderResult); 6] = [
            |result| result.order_number = 0,
            |result| result.open += 1,
            |result| result.state = OrderState::Cancelled as u8,
            |result| result.filled = 1,
            |result| result.notional = 1,
            |result| (result.open, result.state) = (0, OrderState::Open as u8),
        ];
        for (index, spoil) in spoils.into_iter().enumerate() {
            let mut results = right(&flow());
            spoil(&mut results[3]);
            let error = take(&mut OrderTally::default(), &results).unwrap_err();
            assert!(matches!(error, LoadError::AnswerWrong { place: 3, .. }), "{index}: {error}");
        }
        let mut resting = right(&flow());
        (resting[0].open, resting[0].state) = (1, OrderState::Open as u8);
        assert!(take(&mut OrderTally::default(), &resting).is_err(), "a taker rests");
        assert!(take(&mut OrderTally::default(), &right(&flow())[1..]).is_err(), "one is missing");
    }

    #[test]
    fn a_refusal_is_counted_by_its_name_and_an_order_that_had_ended_apart() {
        let mut results = right(&flow());
        results[1].status = OrderStatus::InsufficientFunds as u32;
        results[2].status = OrderReject::OrdersFull as u32;
        results[4].status = OrderStatus::OrderEnded as u32;
        let (mut tally, mut refused) = (OrderTally::default(), BTreeMap::new());
        tally.take(&flow(), 0, COUNT, &reply(&results), &mut refused).unwrap();
        assert_eq!((tally.accepted.count(), tally.ended_before), (17, 1));
        let names: Vec<(&str, u64)> =
            refused.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!(names, [("insufficient_funds", 1), ("orders_full", 1)]);
    }
}
