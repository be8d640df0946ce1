//! Why a command is refused: the reasons, one after the other, in their order.

use crate::books::book::ModelBook;
use mizan_wire::limits::LOOKS_PER_MATCH;
use mizan_wire::orders::{NewOrder, OrderKind, OrderReject, Side, TimeInForce, TradingState};

impl ModelBook {
    /// The first reason to refuse a new order.
    pub(crate) fn refusal(&self, new: &NewOrder) -> Option<OrderReject> {
        use OrderKind::{Limit, Market, Stop, StopLimit};
        use OrderReject as Reject;
        let is_immediate =
            matches!(new.time_in_force, TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill);
        let is_till_date = new.time_in_force == TimeInForce::GoodTillDate;
        let needs_room = match new.kind {
            Limit => !is_immediate,
            Market => false,
            Stop | StopLimit => true,
        };
        let may_have_budget = new.side == Side::Buy && matches!(new.kind, Market | Stop);
        let opposite = self.best_price(new.side.opposite());
        let reasons = [
            (self.state == TradingState::Halted, Reject::Halted),
            (self.state == TradingState::CancelOnly, Reject::CancelOnly),
            (self.is_waiting(), Reject::TooManyLooks),
            (new.quantity == 0, Reject::QuantityZero),
        ];
        let later = [
            (new.budget != 0 && !may_have_budget, Reject::BudgetNotAllowed),
            (new.kind == Market && !is_immediate, Reject::TimeInForceInvalid),
            (new.is_post_only && (new.kind != Limit || is_immediate), Reject::PostOnlyInvalid),
            (!is_till_date && new.expires_ns != 0, Reject::ExpiryMustBeZero),
            (is_till_date && new.expires_ns <= self.now_ns, Reject::AlreadyExpired),
            (self.is_too_dear(new), Reject::NotionalExceedsMax),
            (
                needs_room && self.all().count() >= self.capacity.orders_max as usize,
                Reject::OrdersFull,
            ),
            (needs_room && !self.has_level(new, 0), Reject::LevelsFull),
            (new.is_post_only && self.meets(new.side, new.price), Reject::PostOnlyWouldTake),
            (new.kind == Market && opposite.is_none(), Reject::NoLiquidity),
        ];
        first(&reasons).or_else(|| self.wrong_numbers(new)).or_else(|| first(&later))
    }

    /// The first reason to refuse new terms for the order with this number.
    pub(crate) fn amend_refusal(&self, terms: &NewOrder, number: u64) -> Option<OrderReject> {
        let takes = terms.is_post_only && self.meets(terms.side, terms.price);
        let is_limit = terms.kind == OrderKind::Limit;
        let later = [
            (self.is_too_dear(terms), OrderReject::NotionalExceedsMax),
            (!self.has_level(terms, number), OrderReject::LevelsFull),
            (takes, OrderReject::PostOnlyWouldTake),
            (is_limit && !self.may_trade(terms), OrderReject::TooManyLooks),
        ];
        self.wrong_numbers(terms).or_else(|| first(&later))
    }

    /// Whether there are looks for the first trade of an order, if it would trade.
    pub(crate) fn may_trade(&self, terms: &NewOrder) -> bool {
        let takes = terms.kind == OrderKind::Market || self.meets(terms.side, terms.price);
        !takes || self.looks_left.is_none_or(|left| left >= u64::from(LOOKS_PER_MATCH))
    }

    /// What can be wrong with quantity and prices alone.
    fn wrong_numbers(&self, terms: &NewOrder) -> Option<OrderReject> {
        use OrderReject as Reject;
        let rules = &self.rules;
        let (price, stop_price) = (terms.price, terms.stop_price);
        let has_limit = matches!(terms.kind, OrderKind::Limit | OrderKind::StopLimit);
        let has_stop = matches!(terms.kind, OrderKind::Stop | OrderKind::StopLimit);
        let is_off_tick = |price: u64| !price.is_multiple_of(rules.price_step_ticks);
        let is_outside =
            |price: u64| price < rules.price_min_ticks || price > rules.price_max_ticks;
        first(&[
            (!terms.quantity.is_multiple_of(rules.quantity_step_lots), Reject::QuantityOffLot),
            (terms.quantity > rules.quantity_max_lots, Reject::QuantityExceedsMax),
            (has_limit && price == 0, Reject::PriceZero),
            (!has_limit && price != 0, Reject::PriceMustBeZero),
            (has_limit && is_off_tick(price), Reject::PriceOffTick),
            (has_limit && is_outside(price), Reject::PriceOutOfBand),
            (has_stop && stop_price == 0, Reject::StopPriceZero),
            (!has_stop && stop_price != 0, Reject::StopPriceMustBeZero),
            (has_stop && is_off_tick(stop_price), Reject::StopPriceOffTick),
            (has_stop && is_outside(stop_price), Reject::StopPriceOutOfBand),
        ])
    }

    fn is_too_dear(&self, terms: &NewOrder) -> bool {
        let price = match terms.kind {
            OrderKind::Limit | OrderKind::StopLimit => terms.price,
            OrderKind::Stop => terms.stop_price,
            OrderKind::Market => self.best_price(terms.side.opposite()).unwrap_or(0),
        };
        u128::from(price) * u128::from(terms.quantity) > self.rules.notional_max
    }

    pub(crate) fn best_price(&self, side: Side) -> Option<u64> {
        self.resting(side).first().map(|order| order.terms.price)
    }

    /// Whether an order of this side at this limit meets another one.
    pub(crate) fn meets(&self, side: Side, limit: u64) -> bool {
        match (side, self.best_price(side.opposite())) {
            (_, None) => false,
            (Side::Buy, Some(ask)) => ask <= limit,
            (Side::Sell, Some(bid)) => bid >= limit,
        }
    }
}

fn first(reasons: &[(bool, OrderReject)]) -> Option<OrderReject> {
    reasons.iter().find(|(applies, _)| *applies).map(|(_, reason)| *reason)
}
