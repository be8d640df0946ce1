//! Matching, self-trade prevention and stops.

use crate::books::book::{ModelBook, ModelOrder};
use mizan_wire::orders::{
    CancelReason, NewOrder, OrderKind, OrderReport, ReportKind, SelfTrade, Side, TimeInForce,
};
use std::collections::VecDeque;

/// How a walk through the other side ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// Everything is filled (or was decremented).
    Nothing,
    /// Nothing is left that could trade.
    NoMatch,
    /// It met an order of its own owner.
    SelfTrade,
    /// Its budget does not pay for another step.
    Budget,
}

impl ModelBook {
    /// Executes an order that is not in the book: it trades, and its rest rests or ends.
    pub(crate) fn execute(&mut self, mut order: ModelOrder, reports: &mut Vec<OrderReport>) {
        if order.terms.time_in_force == TimeInForce::FillOrKill {
            let mut attempt = order.clone();
            self.clone().walk(&mut attempt, &mut Vec::new());
            if attempt.filled != order.terms.quantity {
                reports.push(order.ended(CancelReason::FillOrKill));
                return;
            }
        }
        let reason = match self.walk(&mut order, reports) {
            End::Nothing => return,
            End::SelfTrade => CancelReason::SelfTrade,
            End::Budget => CancelReason::BudgetSpent,
            End::NoMatch if order.terms.kind == OrderKind::Market => CancelReason::MarketRest,
            End::NoMatch if order.terms.time_in_force == TimeInForce::ImmediateOrCancel => {
                CancelReason::ImmediateRest
            }
            End::NoMatch if !self.has_level(&order.terms, 0) => CancelReason::LevelsFull,
            End::NoMatch => return self.put(order),
        };
        reports.push(order.ended(reason));
    }

    /// Counts what a fill-or-kill looks at before it is executed; says no, and leaves nothing, if that is too much. An
    /// order that is dormant, or no fill-or-kill, looks at nothing.
    pub(crate) fn may_look_for(&mut self, terms: &NewOrder) -> bool {
        let is_dormant = matches!(terms.kind, OrderKind::Stop | OrderKind::StopLimit);
        let Some(left) = self.looks_left else { return true };
        if terms.time_in_force != TimeInForce::FillOrKill || is_dormant {
            return true;
        }
        let looks = self.looks_for(terms);
        self.looks_left = Some(left.saturating_sub(looks));
        looks <= left
    }

    /// First the levels, up to the one that would fill the order or the one that it cannot pay for. If they would fill
    /// it and it may meet its owner, then the orders, up to the one that decides.
    fn looks_for(&self, terms: &NewOrder) -> u64 {
        let limit = self.worst_price(terms);
        let is_within = |order: &&ModelOrder| match terms.side {
            Side::Buy => order.terms.price <= limit,
            Side::Sell => order.terms.price >= limit,
        };
        let makers: Vec<&ModelOrder> =
            self.resting(terms.side.opposite()).iter().take_while(is_within).collect();
        let (mut looks, mut lots, mut spent) = (0, 0u64, 0u128);
        let pays_for = |spent: u128| terms.budget == 0 || spent <= terms.budget;
        for level in makers.chunk_by(|one, next| one.terms.price == next.terms.price) {
            looks += 1;
            let open: u64 = level.iter().map(|maker| maker.open()).sum();
            let wanted = open.min(terms.quantity - lots);
            lots += wanted;
            spent += u128::from(level[0].terms.price) * u128::from(wanted);
            if lots == terms.quantity || !pays_for(spent) {
                break;
            }
        }
        let is_possible = lots == terms.quantity && pays_for(spent);
        if !is_possible || terms.self_trade == SelfTrade::Allow {
            return looks;
        }
        let (mut lots, mut spent) = (0, 0);
        for maker in makers {
            looks += 1;
            if maker.terms.owner == terms.owner {
                match terms.self_trade {
                    SelfTrade::CancelOldest => continue,
                    _ => break,
                }
            }
            let wanted = maker.open().min(terms.quantity - lots);
            lots += wanted;
            spent += u128::from(maker.terms.price) * u128::from(wanted);
            if lots == terms.quantity || !pays_for(spent) {
                break;
            }
        }
        looks
    }

    fn walk(&mut self, taker: &mut ModelOrder, reports: &mut Vec<OrderReport>) -> End {
        let NewOrder { owner, side, self_trade, budget, .. } = taker.terms;
        let limit = self.worst_price(&taker.terms);
        let mut spent = 0;
        while taker.open() > 0 {
            let opposite = side.opposite();
            let Some(maker) = self.resting(opposite).first().cloned() else { return End::NoMatch };
            let price = maker.terms.price;
            let is_within = match side {
                Side::Buy => price <= limit,
                Side::Sell => price >= limit,
            };
            if !is_within {
                return End::NoMatch;
            }
            if maker.terms.owner == owner && self_trade != SelfTrade::Allow {
                if self.is_ended_by_own(taker, &maker, reports) {
                    return End::SelfTrade;
                }
                continue;
            }
            let mut quantity = taker.open().min(maker.open());
            if budget != 0 {
                let step = self.rules.quantity_step_lots;
                let lots = (budget - spent) / u128::from(price) / u128::from(step);
                quantity = u128::from(quantity).min(lots * u128::from(step)) as u64;
            }
            if quantity == 0 {
                return End::Budget;
            }
            spent += u128::from(price) * u128::from(quantity);
            taker.filled += quantity;
            self.trades.push(price);
            let first = &mut self.resting[opposite as usize][0];
            first.filled += quantity;
            reports.push(OrderReport {
                counterparty: taker.number,
                counterparty_owner: owner,
                counterparty_tag: taker.terms.tag,
                ..first.report(ReportKind::Trade, quantity)
            });
            if first.open() == 0 {
                self.resting[opposite as usize].remove(0);
            }
        }
        End::Nothing
    }

    /// How far an order goes: to its limit, or to the protection from the best price.
    fn worst_price(&self, terms: &NewOrder) -> u64 {
        if terms.kind != OrderKind::Market {
            return terms.price;
        }
        let best = self.best_price(terms.side.opposite()).unwrap_or(1);
        match terms.side {
            Side::Buy => best.saturating_add(self.rules.protection_ticks),
            Side::Sell => best.saturating_sub(self.rules.protection_ticks),
        }
    }

    /// Applies the taker's mode; says whether the taker ends.
    fn is_ended_by_own(
        &mut self,
        taker: &mut ModelOrder,
        maker: &ModelOrder,
        reports: &mut Vec<OrderReport>,
    ) -> bool {
        let reason = CancelReason::SelfTrade;
        let mode = taker.terms.self_trade;
        if matches!(mode, SelfTrade::CancelOldest | SelfTrade::CancelBoth) {
            self.end(maker.number, reason, reports);
        }
        if mode == SelfTrade::DecrementAndCancel {
            let quantity = taker.open().min(maker.open());
            let opposite = maker.terms.side as usize;
            let first = &mut self.resting[opposite][0];
            reports.push(lose(first, quantity));
            if first.open() == 0 {
                self.resting[opposite].remove(0);
            }
            reports.push(lose(taker, quantity));
        }
        matches!(mode, SelfTrade::CancelNewest | SelfTrade::CancelBoth)
    }

    /// A stop price that has just come may have been reached by the last trade already.
    pub(crate) fn release_reached_already(&mut self, reports: &mut Vec<OrderReport>) {
        let Some(last) = self.trades.last().copied() else { return };
        let numbers = self.reached(last, last);
        self.run_queue(numbers, reports);
    }

    /// Releases what the trades of this command have reached.
    pub(crate) fn release_stops(&mut self, reports: &mut Vec<OrderReport>) {
        let numbers = self.newly_reached();
        self.run_queue(numbers, reports);
    }

    fn newly_reached(&mut self) -> Vec<u64> {
        let fresh = &self.trades[self.trades_compared..];
        let range = fresh.iter().min().copied().zip(fresh.iter().max().copied());
        self.trades_compared = self.trades.len();
        range.map_or_else(Vec::new, |(lowest, highest)| self.reached(lowest, highest))
    }

    fn run_queue(&mut self, numbers: Vec<u64>, reports: &mut Vec<OrderReport>) {
        let mut queue = VecDeque::new();
        self.wake(numbers, &mut queue, reports);
        while let Some(mut order) = queue.pop_front() {
            order.terms.kind = match order.terms.kind {
                OrderKind::StopLimit => OrderKind::Limit,
                _ => OrderKind::Market,
            };
            order.terms.stop_price = 0;
            if self.may_look_for(&order.terms) {
                self.execute(order, reports);
            } else {
                reports.push(order.ended(CancelReason::LooksSpent));
            }
            let numbers = self.newly_reached();
            self.wake(numbers, &mut queue, reports);
        }
    }

    fn wake(
        &mut self,
        numbers: Vec<u64>,
        queue: &mut VecDeque<ModelOrder>,
        reports: &mut Vec<OrderReport>,
    ) {
        for number in numbers {
            let order = self.pull(number).expect("only dormant orders are woken");
            reports.push(order.report(ReportKind::Triggered, order.terms.quantity));
            queue.push_back(order);
        }
    }
}

fn lose(order: &mut ModelOrder, quantity: u64) -> OrderReport {
    order.cancelled += quantity;
    let kind = if order.open() == 0 { ReportKind::Cancelled } else { ReportKind::Reduced };
    OrderReport { reason: CancelReason::SelfTrade as u16, ..order.report(kind, quantity) }
}
