//! From bytes on the wire to the words of the books. A byte without a meaning gives `None`.

use crate::orders::{OrderKind, SelfTrade, Side, TimeInForce, TradingState};

/// 0 buy, 1 sell.
#[must_use]
#[inline]
pub const fn decode_side(byte: u8) -> Option<Side> {
    match byte {
        0 => Some(Side::Buy),
        1 => Some(Side::Sell),
        _ => None,
    }
}

/// 0 limit, 1 market, 2 stop, 3 stop-limit.
#[must_use]
#[inline]
pub const fn decode_kind(byte: u8) -> Option<OrderKind> {
    match byte {
        0 => Some(OrderKind::Limit),
        1 => Some(OrderKind::Market),
        2 => Some(OrderKind::Stop),
        3 => Some(OrderKind::StopLimit),
        _ => None,
    }
}

/// 0 good till cancelled, 1 day, 2 good till a date, 3 immediate or cancel, 4 fill or kill.
#[must_use]
#[inline]
pub const fn decode_time_in_force(byte: u8) -> Option<TimeInForce> {
    match byte {
        0 => Some(TimeInForce::GoodTillCancelled),
        1 => Some(TimeInForce::Day),
        2 => Some(TimeInForce::GoodTillDate),
        3 => Some(TimeInForce::ImmediateOrCancel),
        4 => Some(TimeInForce::FillOrKill),
        _ => None,
    }
}

/// 1 cancel newest, 2 cancel oldest, 3 cancel both, 4 decrement and cancel. A trade with oneself is never allowed.
#[must_use]
#[inline]
pub const fn decode_self_trade(byte: u8) -> Option<SelfTrade> {
    match byte {
        1 => Some(SelfTrade::CancelNewest),
        2 => Some(SelfTrade::CancelOldest),
        3 => Some(SelfTrade::CancelBoth),
        4 => Some(SelfTrade::DecrementAndCancel),
        _ => None,
    }
}

/// 0 open, 1 cancel-only, 2 halted.
#[must_use]
pub const fn decode_trading_state(byte: u8) -> Option<TradingState> {
    match byte {
        0 => Some(TradingState::Open),
        1 => Some(TradingState::CancelOnly),
        2 => Some(TradingState::Halted),
        _ => None,
    }
}
