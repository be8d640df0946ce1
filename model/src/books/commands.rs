//! The commands, one function each.

use crate::books::book::{ModelBook, ModelOrder, is_dormant};
use mizan_wire::orders::{
    AmendOrder, BookCommand, CancelOrder, CancelReason, MassCancel, NewOrder, OrderReject,
    OrderReport, ReportKind, Side, TimeInForce, TradingState,
};

type Reports = Vec<OrderReport>;

impl ModelBook {
    /// Executes a command; gives its reports.
    pub fn apply(&mut self, command: &BookCommand) -> Reports {
        let mut reports = Vec::new();
        match command {
            BookCommand::Submit(new) => self.submit(new, &mut reports),
            BookCommand::Amend(amend) => self.amend(amend, &mut reports),
            BookCommand::Cancel(cancel) => self.cancel(cancel, &mut reports),
            BookCommand::MassCancel(mass) => self.mass_cancel(mass, &mut reports),
            BookCommand::SetTradingState(state) => {
                self.state = *state;
                let kind = ReportKind::TradingStateSet;
                reports.push(OrderReport::summary(kind, *state as u64));
            }
            BookCommand::CloseSession => self.close_session(&mut reports),
            BookCommand::AdvanceTime(now_ns) => self.advance_time(*now_ns, &mut reports),
        }
        reports
    }

    fn submit(&mut self, new: &NewOrder, reports: &mut Reports) {
        if let Some(reason) = self.refusal(new) {
            let report = OrderReport::rejected(reason, 0, new.owner, new.tag);
            reports.push(OrderReport { side: new.side as u8, ..report });
            return;
        }
        if !self.may_look_for(new) {
            let reason = OrderReject::TooManyLooks;
            let report = OrderReport::rejected(reason, 0, new.owner, new.tag);
            reports.push(OrderReport { side: new.side as u8, ..report });
            return;
        }
        self.number_last += 1;
        let order = ModelOrder {
            number: self.number_last,
            terms: *new,
            priority: 0,
            filled: 0,
            cancelled: 0,
            spent: 0,
        };
        if is_dormant(&order) {
            let report = order.report(ReportKind::Dormant, new.quantity);
            reports.push(OrderReport { counterparty: new.stop_price, ..report });
            self.put(order);
            self.look_back(new.side, new.stop_price);
        } else {
            reports.push(order.report(ReportKind::Accepted, new.quantity));
            self.execute(order, reports);
        }
        self.release_stops(reports);
    }

    fn amend(&mut self, amend: &AmendOrder, reports: &mut Reports) {
        let AmendOrder { handle, owner, price, stop_price, quantity } = *amend;
        let reject = |reason| OrderReport::rejected(reason, handle.number, owner, 0);
        match self.state {
            TradingState::Halted => return reports.push(reject(OrderReject::Halted)),
            TradingState::CancelOnly => return reports.push(reject(OrderReject::CancelOnly)),
            TradingState::Open if self.is_waiting() => {
                return reports.push(reject(OrderReject::TooManyLooks));
            }
            TradingState::Open => {}
        }
        let Some(before) = self.find(handle.number, owner).cloned() else {
            return reports.push(reject(OrderReject::OrderUnknown));
        };
        let terms = NewOrder { price, stop_price, quantity, ..before.terms };
        if let Some(reason) = self.amend_refusal(&terms, before.number) {
            return reports.push(reject(reason));
        }
        if quantity <= before.filled + before.cancelled {
            self.end(before.number, CancelReason::AmendedToFilled, reports);
            return;
        }
        let mut after = ModelOrder { terms, ..before.clone() };
        let is_same_place = (price, stop_price) == (before.terms.price, before.terms.stop_price);
        if is_same_place && quantity <= before.terms.quantity {
            let report = after.report(ReportKind::Reduced, before.terms.quantity - quantity);
            reports.push(OrderReport { reason: CancelReason::Requested as u16, ..report });
            let all = self.resting.iter_mut().chain(&mut self.dormant).flatten();
            for order in all.filter(|order| order.number == after.number) {
                order.terms = terms;
            }
            return;
        }
        self.pull(before.number);
        after.priority = 0;
        let report = after.report(ReportKind::Replaced, quantity);
        reports.push(OrderReport { counterparty: stop_price, ..report });
        if is_dormant(&after) {
            self.put(after);
            self.look_back(terms.side, stop_price);
        } else {
            self.execute(after, reports);
        }
        self.release_stops(reports);
    }

    fn cancel(&mut self, cancel: &CancelOrder, reports: &mut Reports) {
        let CancelOrder { handle, owner } = *cancel;
        let reject = |reason| OrderReport::rejected(reason, handle.number, owner, 0);
        if self.find(handle.number, owner).is_none() {
            reports.push(reject(OrderReject::OrderUnknown));
        } else {
            self.end(handle.number, CancelReason::Requested, reports);
        }
    }

    fn mass_cancel(&mut self, mass: &MassCancel, reports: &mut Reports) {
        let is_meant = |order: &ModelOrder| {
            (mass.owner.is_none() || mass.owner == Some(order.terms.owner))
                && (mass.side.is_none() || mass.side == Some(order.terms.side))
        };
        let mut numbers: Vec<u64> =
            self.all().filter(|order| is_meant(order)).map(|order| order.number).collect();
        numbers.sort_unstable();
        for number in &numbers {
            self.end(*number, CancelReason::MassCancelled, reports);
        }
        reports.push(OrderReport::summary(ReportKind::MassCancelled, numbers.len() as u64));
    }

    fn close_session(&mut self, reports: &mut Reports) {
        let is_meant = |order: &&ModelOrder| order.terms.time_in_force == TimeInForce::Day;
        let mut numbers: Vec<u64> = self.all().filter(is_meant).map(|order| order.number).collect();
        numbers.sort_unstable();
        for number in &numbers {
            self.end(*number, CancelReason::SessionClosed, reports);
        }
        reports.push(OrderReport::summary(ReportKind::SessionClosed, numbers.len() as u64));
    }

    fn advance_time(&mut self, now_ns: u64, reports: &mut Reports) {
        self.now_ns = self.now_ns.max(now_ns);
        let is_due = |order: &&ModelOrder| {
            order.terms.time_in_force == TimeInForce::GoodTillDate
                && order.terms.expires_ns <= self.now_ns
        };
        let mut due: Vec<(u64, u64)> =
            self.all().filter(is_due).map(|order| (order.terms.expires_ns, order.number)).collect();
        due.sort_unstable();
        for (_, number) in &due {
            self.end(*number, CancelReason::Expired, reports);
        }
        reports.push(OrderReport::summary(ReportKind::TimeAdvanced, due.len() as u64));
    }

    pub(crate) fn end(&mut self, number: u64, reason: CancelReason, reports: &mut Reports) {
        let order = self.pull(number).expect("only open orders end");
        reports.push(order.ended(reason));
    }

    /// Dormant orders that trades reach, in the order in which they are released.
    pub(crate) fn reached(&self, lowest: u64, highest: u64) -> Vec<u64> {
        let to_buy = self.dormant(Side::Buy).iter();
        let to_buy = to_buy.filter(|order| order.terms.stop_price <= highest);
        let to_sell = self.dormant(Side::Sell).iter();
        let to_sell = to_sell.filter(|order| order.terms.stop_price >= lowest);
        to_buy.chain(to_sell).map(|order| order.number).collect()
    }
}
