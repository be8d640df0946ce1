//! Random commands. They name orders by their place in the list of those known, so that a shrunk case stays a case.

use crate::books_cases::pair::Pair;
use mizan_wire::orders::{
    AmendOrder, BookCapacity, BookCommand, BookRules, CancelOrder, MassCancel, NewOrder,
    OrderHandle, OrderKind, SelfTrade, Side, TimeInForce, TradingState,
};
use proptest::prelude::*;

/// Prices of a short case lie from its base on, those of a long one spread over so many times the range.
const PRICES: u64 = 14;
const SPREAD: u64 = 60;

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) rules: BookRules,
    pub(crate) capacity: BookCapacity,
    pub(crate) base_price: u64,
    /// What a tick of a step's price counts for.
    pub(crate) spread: u64,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Prices are counted from the base, times from now.
    Submit(NewOrder),
    Amend {
        pick: usize,
        owner: Option<u32>,
        price: u64,
        stop_price: u64,
        quantity: u64,
    },
    Cancel {
        pick: usize,
        owner: Option<u32>,
    },
    MassCancel(MassCancel),
    SetTradingState(TradingState),
    CloseSession,
    AdvanceTime(u64),
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Buy), Just(Side::Sell)]
}

fn new_order() -> impl Strategy<Value = NewOrder> {
    let kind = prop_oneof![
        12 => Just(OrderKind::Limit),
        2 => Just(OrderKind::Market),
        2 => Just(OrderKind::Stop),
        3 => Just(OrderKind::StopLimit),
    ];
    let time_in_force = prop_oneof![
        6 => Just(TimeInForce::GoodTillCancelled),
        2 => Just(TimeInForce::Day),
        2 => Just(TimeInForce::GoodTillDate),
        3 => Just(TimeInForce::ImmediateOrCancel),
        3 => Just(TimeInForce::FillOrKill),
    ];
    let self_trade = prop_oneof![
        Just(SelfTrade::Allow),
        Just(SelfTrade::CancelNewest),
        Just(SelfTrade::CancelOldest),
        Just(SelfTrade::CancelBoth),
        Just(SelfTrade::DecrementAndCancel),
    ];
    let budget = prop_oneof![3 => Just(0), 1 => 1..4_000u128];
    let numbers = (0..PRICES, 0..PRICES, 0..20u64, 0..6u64, 0..4u32);
    let choices = (side(), kind, time_in_force, self_trade, budget);
    let is_wild = prop::bool::weighted(0.05);
    let fields = (numbers, choices, prop::bool::weighted(0.15), is_wild, any::<u32>());
    fields.prop_map(|(numbers, choices, is_post_only, is_wild, tag)| {
        let (price, stop_price, quantity, expires_ns, owner) = numbers;
        let (side, kind, time_in_force, self_trade, budget) = choices;
        let mut new = NewOrder {
            budget,
            price,
            stop_price,
            quantity,
            expires_ns,
            owner,
            tag,
            side,
            kind,
            time_in_force,
            self_trade,
            is_post_only,
        };
        // Most orders make sense; wild ones may have anything anywhere.
        if !is_wild {
            make_sensible(&mut new);
        }
        new
    })
}

fn round_to_steps(new: &mut NewOrder, rules: &BookRules) {
    new.price -= new.price % rules.price_step_ticks;
    new.stop_price -= new.stop_price % rules.price_step_ticks;
    new.quantity -= new.quantity % rules.quantity_step_lots;
}

fn make_sensible(new: &mut NewOrder) {
    let can_rest = new.time_in_force.can_rest();
    if new.kind == OrderKind::Market && can_rest {
        new.time_in_force = TimeInForce::ImmediateOrCancel;
    }
    if new.kind.has_limit() || new.side == Side::Sell {
        new.budget = 0;
    }
    new.is_post_only &= new.kind == OrderKind::Limit && can_rest;
}

fn step() -> impl Strategy<Value = Step> {
    let owner = || prop_oneof![12 => Just(None), 1 => (0..4u32).prop_map(Some)];
    let state = prop_oneof![
        8 => Just(TradingState::Open),
        1 => Just(TradingState::CancelOnly),
        1 => Just(TradingState::Halted),
    ];
    let mass = (prop::option::of(0..4u32), prop::option::of(side()));
    let amend = (any::<usize>(), owner(), 0..PRICES, 0..PRICES, 0..24u64);
    prop_oneof![
        60 => new_order().prop_map(Step::Submit),
        18 => amend.prop_map(|(pick, owner, price, stop_price, quantity)| Step::Amend {
            pick, owner, price, stop_price, quantity,
        }),
        12 => (any::<usize>(), owner()).prop_map(|(pick, owner)| Step::Cancel { pick, owner }),
        1 => mass.prop_map(|(owner, side)| Step::MassCancel(MassCancel { owner, side })),
        3 => state.prop_map(Step::SetTradingState),
        1 => Just(Step::CloseSession),
        3 => (0..4u64).prop_map(Step::AdvanceTime),
    ]
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    let capacity = prop_oneof![
        2 => Just(BookCapacity { orders_max: 1_000, levels_max: 100 }),
        1 => (1..12u32, 1..8u32)
            .prop_map(|(orders_max, levels_max)| BookCapacity { orders_max, levels_max }),
    ];
    // The lowest and the highest prices that there are, and some between.
    let base_price = prop_oneof![Just(0), Just(100), Just(u64::MAX - PRICES + 1)];
    let steps_of_rules = prop::option::weighted(0.3, (1..3u64, 1..3u64));
    let protection_ticks = prop_oneof![2 => Just(u64::MAX), 1 => 0..6u64];
    let steps = prop::collection::vec(step(), 1..60);
    (capacity, base_price, steps_of_rules, protection_ticks, steps).prop_map(
        |(capacity, base_price, steps_of_rules, protection_ticks, steps)| {
            let mut rules = BookRules { protection_ticks, ..BookRules::unlimited(capacity) };
            if let Some((price_step_ticks, quantity_step_lots)) = steps_of_rules {
                rules.notional_max = u128::from(base_price + PRICES / 2) * 16;
                rules.price_step_ticks = price_step_ticks;
                rules.price_min_ticks = base_price + 2;
                rules.price_max_ticks = base_price + (PRICES - 2);
                rules.quantity_step_lots = quantity_step_lots;
                rules.quantity_max_lots = 18;
            }
            Case { rules, capacity, base_price, spread: 1, steps }
        },
    )
}

/// A few thousand commands over some hundred levels on each side.
pub(crate) fn long_case() -> impl Strategy<Value = Case> {
    let capacity = BookCapacity { orders_max: 2_000, levels_max: 1_000 };
    let rules = BookRules::unlimited(capacity);
    let steps = prop::collection::vec(step(), 5_000..6_000);
    steps.prop_map(move |mut steps| {
        // Orders that live long, and reach each other seldom, fill the ladders.
        steps.retain(|step| !matches!(step, Step::MassCancel(_) | Step::CloseSession));
        steps.retain(|step| !matches!(step, Step::SetTradingState(_)));
        for step in &mut steps {
            if let Step::Submit(new) = step {
                let is_far = new.tag % 64 != 63;
                new.price += if new.side == Side::Sell && is_far { PRICES - 2 } else { 0 };
                let is_rare = new.kind.has_limit() && new.time_in_force.can_rest();
                new.quantity = if is_rare { new.quantity } else { new.quantity % 3 };
            }
        }
        // In between and at the end most of them go at once, so that ladders shrink as well.
        let sparing_one =
            (0..3).map(|owner| Step::MassCancel(MassCancel { owner: Some(owner), side: None }));
        steps.splice(2_000..2_000, sparing_one.clone());
        steps.extend(sparing_one);
        Case { rules, capacity, base_price: 10_000, spread: SPREAD, steps }
    })
}

/// Spreads a step's price: the other numbers of the step decide where in its range it lies, so that shrinking works.
fn spread(price: u64, spread: u64, salt: u64) -> u64 {
    price * spread + if spread > 1 { salt % spread } else { 0 }
}

impl Step {
    /// The command that the step means, as things stand.
    pub(crate) fn command(&self, pair: &Pair, case: &Case, now_ns: u64) -> BookCommand {
        let base_price = case.base_price;
        match self {
            Self::Submit(new) => {
                let mut new = *new;
                // A price of 0 stays a fault to be found; others move to where the case plays.
                let (takes_price, takes_stop) = (new.kind.has_limit(), new.kind.is_dormant());
                let salt = u64::from(new.tag / 64);
                let at = |price| base_price + spread(price, case.spread, salt);
                new.price = if takes_price { at(new.price) } else { 0 };
                new.stop_price = if takes_stop { at(new.stop_price) } else { 0 };
                match new.tag % 64 {
                    0 => (new.price, new.stop_price) = (new.stop_price, new.price),
                    2 => new.stop_price = base_price + 2,
                    3..=8 => {}
                    _ => round_to_steps(&mut new, &case.rules),
                }
                let is_timed = new.time_in_force == TimeInForce::GoodTillDate || new.tag % 64 == 1;
                new.expires_ns = if is_timed { now_ns + new.expires_ns } else { 0 };
                new.budget *= u128::from(base_price / 100 + 1);
                BookCommand::Submit(new)
            }
            Self::Amend { pick, owner, price, stop_price, quantity } => {
                let handle = pick_handle(pair, *pick);
                let found = pair.book.order(handle);
                let keeps_price = pick.is_multiple_of(3);
                let is_sell = found.is_some_and(|order| order.side == Side::Sell);
                let far = if is_sell && case.spread > 1 { PRICES - 2 } else { 0 };
                let at = |price| base_price + spread(price + far, case.spread, *pick as u64 / 96);
                let price = match found {
                    Some(order) if keeps_price => order.price,
                    Some(order) if !order.kind.has_limit() => 0,
                    _ => at(*price),
                };
                let stop_price = match found {
                    Some(order) if !order.kind.is_dormant() => 0,
                    Some(order) if keeps_price => order.stop_price,
                    _ => at(*stop_price),
                };
                let owner = owner.or(found.map(|order| order.owner)).unwrap_or(0);
                BookCommand::Amend(AmendOrder {
                    handle,
                    owner,
                    price,
                    stop_price,
                    quantity: *quantity,
                })
            }
            Self::Cancel { pick, owner } => {
                let handle = pick_handle(pair, *pick);
                let found = pair.book.order(handle).map(|order| order.owner);
                BookCommand::Cancel(CancelOrder { handle, owner: owner.or(found).unwrap_or(0) })
            }
            Self::MassCancel(mass) => BookCommand::MassCancel(*mass),
            Self::SetTradingState(state) => BookCommand::SetTradingState(*state),
            Self::CloseSession => BookCommand::CloseSession,
            Self::AdvanceTime(step_ns) => BookCommand::AdvanceTime(now_ns + step_ns),
        }
    }
}

/// Mostly an order that is open, often one of the last handles, which may be stale, sometimes one that never was.
fn pick_handle(pair: &Pair, pick: usize) -> OrderHandle {
    let known = &pair.handles;
    if known.is_empty() || pick.is_multiple_of(32) {
        return OrderHandle { number: 1_000_000, slot: (pick / 32 % 64) as u32 };
    }
    let recent = &known[known.len().saturating_sub(12)..];
    let open: Vec<_> = known.iter().filter(|handle| pair.book.order(**handle).is_some()).collect();
    match pick % 5 {
        0 => recent[pick / 32 % recent.len()],
        _ if open.is_empty() => recent[pick / 32 % recent.len()],
        _ => *open[pick / 32 % open.len()],
    }
}
