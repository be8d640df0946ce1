//! What is checked before anything changes, in the order of `OrderReject`.

use crate::books::book::Book;
use crate::books::levels::Ladder;
use crate::books::order::Order;
use mizan_wire::limits::LOOKS_PER_MATCH;
use mizan_wire::orders::{
    AmendOrder, NewOrder, OrderKind, OrderReject, Side, TimeInForce, TradingState,
};

type Checked = Result<(), OrderReject>;

#[inline]
fn ensure(condition: bool, otherwise: OrderReject) -> Checked {
    if condition { Ok(()) } else { Err(otherwise) }
}

/// Most steps are 1, and a division costs as much as all other checks.
#[inline]
const fn is_multiple(number: u64, step: u64) -> bool {
    step == 1 || number.is_multiple_of(step)
}

impl Book {
    /// Everything that can be wrong with a new order, apart from a fill-or-kill that looks at too much
    /// ([`Book::decide`]).
    #[inline]
    pub(crate) fn check_new(&self, new: &NewOrder) -> Checked {
        self.check_open()?;
        ensure(new.quantity != 0, OrderReject::QuantityZero)?;
        self.check_quantity(new.quantity)?;
        self.check_prices(new.kind, new.price, new.stop_price)?;
        let is_simple = new.kind == OrderKind::Limit
            && new.budget == 0
            && new.time_in_force != TimeInForce::GoodTillDate
            && new.expires_ns == 0
            && !new.is_post_only;
        if !is_simple {
            self.check_combination(new)?;
        }
        let best_opposite = self.best_price(new.side.opposite());
        let reference = match new.kind {
            OrderKind::Limit | OrderKind::StopLimit => new.price,
            OrderKind::Stop => new.stop_price,
            OrderKind::Market => best_opposite.unwrap_or(0),
        };
        self.check_notional(reference, new.quantity)?;
        if new.time_in_force.can_rest() || new.kind.is_dormant() {
            ensure(!self.orders.is_full(), OrderReject::OrdersFull)?;
            if self.levels.is_full() {
                let (ladder, price) = home(new.kind, new.side, new.price, new.stop_price);
                let found = self.levels.find(ladder, price);
                ensure(found.is_some(), OrderReject::LevelsFull)?;
            }
        }
        let takes = new.is_post_only && self.would_take(new.side, new.price);
        ensure(!takes, OrderReject::PostOnlyWouldTake)?;
        ensure(new.kind != OrderKind::Market || best_opposite.is_some(), OrderReject::NoLiquidity)
    }

    /// Everything that can be wrong with new terms for an order, apart from a total that ends it.
    pub(crate) fn check_amend(&self, amend: &AmendOrder, order: &Order) -> Checked {
        self.check_quantity(amend.quantity)?;
        self.check_prices(order.kind, amend.price, amend.stop_price)?;
        let reference = if order.kind.has_limit() { amend.price } else { amend.stop_price };
        self.check_notional(reference, amend.quantity)?;
        let (ladder, price) = home(order.kind, order.side, amend.price, amend.stop_price);
        // The order's own level is free again when it leaves it as the last one.
        let leaves_one = self.levels.slab[order.level as usize].count == 1;
        if self.levels.is_full() && !leaves_one {
            ensure(self.levels.find(ladder, price).is_some(), OrderReject::LevelsFull)?;
        }
        let takes = || !order.kind.is_dormant() && self.would_take(order.side, amend.price);
        let is_kept_out = order.marks.is_post_only() && takes();
        ensure(!is_kept_out, OrderReject::PostOnlyWouldTake)?;
        let may_trade = self.looks >= LOOKS_PER_MATCH.into();
        ensure(may_trade || !takes(), OrderReject::TooManyLooks)
    }

    /// Whether orders may be entered and amended. Nobody comes before stops that were triggered and wait.
    #[inline]
    pub(crate) fn check_open(&self) -> Checked {
        match self.state {
            TradingState::Open => ensure(!self.is_waiting(), OrderReject::TooManyLooks),
            TradingState::CancelOnly => Err(OrderReject::CancelOnly),
            TradingState::Halted => Err(OrderReject::Halted),
        }
    }

    /// Whether an order of this side with this limit would meet another one.
    #[inline]
    pub(crate) fn would_take(&self, side: Side, limit: u64) -> bool {
        let ladder = Ladder::of(side.opposite());
        self.levels.best(ladder).is_some_and(|best| best.key >= ladder.key(limit))
    }

    #[inline]
    fn check_quantity(&self, quantity: u64) -> Checked {
        let rules = &self.rules;
        ensure(is_multiple(quantity, rules.quantity_step_lots), OrderReject::QuantityOffLot)?;
        ensure(quantity <= rules.quantity_max_lots, OrderReject::QuantityExceedsMax)
    }

    #[inline]
    fn check_prices(&self, kind: OrderKind, price: u64, stop_price: u64) -> Checked {
        let rules = &self.rules;
        let band = rules.price_min_ticks..=rules.price_max_ticks;
        if kind.has_limit() {
            ensure(price != 0, OrderReject::PriceZero)?;
            ensure(is_multiple(price, rules.price_step_ticks), OrderReject::PriceOffTick)?;
            ensure(band.contains(&price), OrderReject::PriceOutOfBand)?;
        } else {
            ensure(price == 0, OrderReject::PriceMustBeZero)?;
        }
        if kind.is_dormant() {
            ensure(stop_price != 0, OrderReject::StopPriceZero)?;
            ensure(is_multiple(stop_price, rules.price_step_ticks), OrderReject::StopPriceOffTick)?;
            ensure(band.contains(&stop_price), OrderReject::StopPriceOutOfBand)
        } else {
            ensure(stop_price == 0, OrderReject::StopPriceMustBeZero)
        }
    }

    fn check_combination(&self, new: &NewOrder) -> Checked {
        let can_rest = new.time_in_force.can_rest();
        let has_budget_field = !new.kind.has_limit() && new.side == Side::Buy;
        ensure(new.budget == 0 || has_budget_field, OrderReject::BudgetNotAllowed)?;
        ensure(new.kind != OrderKind::Market || !can_rest, OrderReject::TimeInForceInvalid)?;
        let may_be_post_only = new.kind == OrderKind::Limit && can_rest;
        ensure(!new.is_post_only || may_be_post_only, OrderReject::PostOnlyInvalid)?;
        if new.time_in_force == TimeInForce::GoodTillDate {
            ensure(new.expires_ns > self.now_ns, OrderReject::AlreadyExpired)
        } else {
            ensure(new.expires_ns == 0, OrderReject::ExpiryMustBeZero)
        }
    }

    #[inline]
    fn check_notional(&self, price: u64, quantity: u64) -> Checked {
        let notional = u128::from(price) * u128::from(quantity);
        ensure(notional <= self.rules.notional_max, OrderReject::NotionalExceedsMax)
    }
}

/// The ladder in which an order stands, and its price there.
#[inline]
pub(crate) const fn home(
    kind: OrderKind,
    side: Side,
    price: u64,
    stop_price: u64,
) -> (Ladder, u64) {
    match kind.is_dormant() {
        true => (Ladder::of_stops(side), stop_price),
        false => (Ladder::of(side), price),
    }
}

/// The bound that a new order's budget means.
#[inline]
pub(crate) const fn budget_of(new: &NewOrder) -> Option<u128> {
    if new.budget == 0 { None } else { Some(new.budget) }
}
