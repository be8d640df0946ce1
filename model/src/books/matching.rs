//! Matching, self-trade prevention and stops.

use crate::books::book::{ModelBook, ModelOrder};
use mizan_wire::limits::LOOKS_PER_MATCH;
use mizan_wire::orders::{
    CancelReason, NewOrder, OrderKind, OrderReport, ReportKind, SelfTrade, Side, TimeInForce,
};

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
    /// The looks are spent.
    Looks,
}

impl ModelBook {
    /// Executes an order that is not in the book: it trades, and its rest rests or ends.
    pub(crate) fn execute(&mut self, mut order: ModelOrder, reports: &mut Vec<OrderReport>) {
        let limit = self.worst_price(&order.terms);
        if self.is_killed(&order) {
            reports.push(order.ended(CancelReason::FillOrKill));
            return;
        }
        let end = self.walk(&mut order, limit, reports);
        self.finish(order, end, reports);
    }

    /// Whether it is to be filled whole, and would not be.
    fn is_killed(&self, order: &ModelOrder) -> bool {
        let mut attempt = order.clone();
        let mut book = self.clone();
        book.looks_left = None;
        let limit = self.worst_price(&order.terms);
        order.terms.time_in_force == TimeInForce::FillOrKill && {
            book.walk(&mut attempt, limit, &mut Vec::new());
            attempt.filled != order.terms.quantity
        }
    }

    fn finish(&mut self, order: ModelOrder, end: End, reports: &mut Vec<OrderReport>) {
        let reason = match end {
            End::Nothing => return,
            End::SelfTrade => CancelReason::SelfTrade,
            End::Budget => CancelReason::BudgetSpent,
            End::Looks => CancelReason::LooksSpent,
            End::NoMatch if order.terms.kind == OrderKind::Market => CancelReason::MarketRest,
            End::NoMatch if order.terms.time_in_force == TimeInForce::ImmediateOrCancel => {
                CancelReason::ImmediateRest
            }
            End::NoMatch if !self.has_level(&order.terms, 0) => CancelReason::LevelsFull,
            End::NoMatch => return self.put(order),
        };
        reports.push(order.ended(reason));
    }

    /// Counts what a new order looks at before it is executed; says no if that is too much. A fill-or-kill looks at what
    /// it could trade with, and has to have looks for all its trades; any other has to have looks for the first one.
    pub(crate) fn may_look_for(&mut self, terms: &NewOrder) -> bool {
        let is_dormant = matches!(terms.kind, OrderKind::Stop | OrderKind::StopLimit);
        if terms.time_in_force != TimeInForce::FillOrKill || is_dormant {
            return is_dormant || self.may_trade(terms);
        }
        let (looks, matches) = self.looks_for(terms);
        if !self.look(looks) {
            self.looks_left = Some(0);
            return false;
        }
        self.looks_left.is_none_or(|left| matches * u64::from(LOOKS_PER_MATCH) <= left)
    }

    /// First the levels, up to the one that would fill the order or the one that it cannot pay for. If they would fill
    /// it and it may meet its owner, then the orders, up to the one that decides. Gives the looks, and how many orders it
    /// would meet at the most if it was filled.
    fn looks_for(&self, terms: &NewOrder) -> (u64, u64) {
        let limit = self.worst_price(terms);
        let is_within = |order: &&ModelOrder| match terms.side {
            Side::Buy => order.terms.price <= limit,
            Side::Sell => order.terms.price >= limit,
        };
        let makers: Vec<&ModelOrder> =
            self.resting(terms.side.opposite()).iter().take_while(is_within).collect();
        let (mut looks, mut matches, mut lots, mut spent) = (0, 0, 0u64, 0u128);
        let pays_for = |spent: u128| terms.budget == 0 || spent <= terms.budget;
        for level in makers.chunk_by(|one, next| one.terms.price == next.terms.price) {
            looks += 1;
            matches += (terms.quantity - lots).min(level.len() as u64);
            let open: u64 = level.iter().map(|maker| maker.open()).sum();
            let wanted = open.min(terms.quantity - lots);
            lots += wanted;
            spent += u128::from(level[0].terms.price) * u128::from(wanted);
            if lots == terms.quantity || !pays_for(spent) {
                break;
            }
        }
        let is_possible = lots == terms.quantity && pays_for(spent);
        if !is_possible {
            return (looks, 0);
        }
        if terms.self_trade == SelfTrade::Allow {
            return (looks, matches);
        }
        let (mut matches, mut lots, mut spent) = (0, 0, 0);
        for maker in makers {
            looks += 1;
            matches += 1;
            if maker.terms.owner == terms.owner {
                match terms.self_trade {
                    SelfTrade::CancelOldest => continue,
                    _ => return (looks, 0),
                }
            }
            let wanted = maker.open().min(terms.quantity - lots);
            lots += wanted;
            spent += u128::from(maker.terms.price) * u128::from(wanted);
            if !pays_for(spent) {
                return (looks, 0);
            }
            if lots == terms.quantity {
                return (looks, matches);
            }
        }
        (looks, 0)
    }

    fn walk(&mut self, taker: &mut ModelOrder, limit: u64, reports: &mut Vec<OrderReport>) -> End {
        let NewOrder { owner, side, self_trade, budget, .. } = taker.terms;
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
            let is_own = maker.terms.owner == owner && self_trade != SelfTrade::Allow;
            let mut quantity = taker.open().min(maker.open());
            if budget != 0 {
                let step = self.rules.quantity_step_lots;
                let lots = (budget - taker.spent) / u128::from(price) / u128::from(step);
                quantity = u128::from(quantity).min(lots * u128::from(step)) as u64;
            }
            if quantity == 0 && !is_own {
                return End::Budget;
            }
            if !self.look(LOOKS_PER_MATCH.into()) {
                return End::Looks;
            }
            if is_own {
                if self.is_ended_by_own(taker, &maker, reports) {
                    return End::SelfTrade;
                }
                continue;
            }
            if budget != 0 {
                taker.spent += u128::from(price) * u128::from(quantity);
            }
            taker.filled += quantity;
            self.last_trade = Some(price);
            self.fresh.push(price);
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
    pub(crate) fn look_back(&mut self, side: Side, stop_price: u64) {
        let is_reached = |last: &u64| match side {
            Side::Buy => *last >= stop_price,
            Side::Sell => *last <= stop_price,
        };
        self.fresh.extend(self.last_trade.filter(is_reached));
    }

    /// Releases what the trades of this command have reached.
    pub(crate) fn release_stops(&mut self, reports: &mut Vec<OrderReport>) {
        if self.dormant.iter().all(Vec::is_empty) {
            self.fresh.clear();
        } else {
            self.release_all(reports);
        }
    }

    /// Goes on with what waits; gives the reports.
    pub fn run_waiting(&mut self) -> Vec<OrderReport> {
        let mut reports = Vec::new();
        self.release_all(&mut reports);
        reports
    }

    fn release_all(&mut self, reports: &mut Vec<OrderReport>) {
        while self.begun.is_some() || self.wake(reports) {
            if self.waiting.is_empty() || !self.look(1) {
                return;
            }
            let limit = self.begun.take();
            let order = self.waiting.pop_front().expect("it is not empty");
            if !self.release(order, limit, reports) {
                return;
            }
        }
    }

    /// Executes an order whose turn has come; says no if the looks are spent before it is done.
    fn release(
        &mut self,
        mut order: ModelOrder,
        limit: Option<u64>,
        reports: &mut Vec<OrderReport>,
    ) -> bool {
        if order.terms.time_in_force == TimeInForce::FillOrKill {
            if self.may_look_for(&order.terms) {
                self.execute(order, reports);
            } else {
                reports.push(order.ended(CancelReason::LooksSpent));
            }
            return true;
        }
        let limit = limit.unwrap_or_else(|| self.worst_price(&order.terms));
        let end = self.walk(&mut order, limit, reports);
        if end == End::Looks {
            self.begun = Some(limit);
            self.waiting.push_front(order);
            return false;
        }
        self.finish(order, end, reports);
        true
    }

    /// Wakes the dormant orders that trades have reached; says no if the looks are spent before that is done.
    fn wake(&mut self, reports: &mut Vec<OrderReport>) -> bool {
        let range = self.fresh.iter().min().copied().zip(self.fresh.iter().max().copied());
        let Some((lowest, highest)) = range else { return true };
        for number in self.reached(lowest, highest) {
            if !self.look(1) {
                return false;
            }
            let mut order = self.pull(number).expect("only dormant orders are woken");
            reports.push(order.report(ReportKind::Triggered, order.terms.quantity));
            order.terms.kind = match order.terms.kind {
                OrderKind::StopLimit => OrderKind::Limit,
                _ => OrderKind::Market,
            };
            order.terms.stop_price = 0;
            self.waiting.push_back(order);
        }
        self.fresh.clear();
        true
    }
}

fn lose(order: &mut ModelOrder, quantity: u64) -> OrderReport {
    order.cancelled += quantity;
    let kind = if order.open() == 0 { ReportKind::Cancelled } else { ReportKind::Reduced };
    OrderReport { reason: CancelReason::SelfTrade as u16, ..order.report(kind, quantity) }
}
