//! The limits of trading: which were asked for, and how every verb that shows limits shows them.
//!
//! Invariant: one flag or one limit is enough; what is not given is a default that goes with what is.

use crate::args::FormatArgs;
use crate::config::{Key, Settings};
use crate::error::CliError;
use crate::files::count_text;
use mizan_node::TradingLimits;
use mizan_wire::Genesis;
use serde_json::{Value, json};

/// What was asked for; `None` for a node without trading.
pub(super) fn limits(
    settings: &Settings,
    args: &FormatArgs,
) -> Result<Option<TradingLimits>, CliError> {
    let default = TradingLimits::default();
    let asked = [
        (Key::FormatInstruments, &args.instruments),
        (Key::FormatOrders, &args.orders),
        (Key::FormatOpenOrders, &args.open_orders),
        (Key::FormatBookLevels, &args.book_levels),
        (Key::FormatReports, &args.reports),
    ];
    let is_asked = asked.iter().any(|(key, flag)| settings.pick(*key, flag.as_deref()).is_some());
    if !args.trading && !is_asked {
        return Ok(None);
    }
    let number =
        |key, flag: &Option<String>, default| settings.number(key, flag.as_deref(), default);
    let count = |key: Key, flag: &Option<String>, default: u32| {
        super::narrow(key, number(key, flag, default.into())?)
    };
    let instruments =
        count(Key::FormatInstruments, &args.instruments, default.instrument_count_max)?;
    if instruments == 0 {
        return Err(CliError::Usage(
            "a node with trading has at least one instrument: leave --instruments away, or give a number above 0"
                .to_owned(),
        ));
    }
    let orders = number(Key::FormatOrders, &args.orders, default.order_count_max)?;
    // No more orders can be open than there can be at all.
    let open_default = u32::try_from(orders).unwrap_or(u32::MAX).min(default.open_order_count_max);
    let open_orders = count(Key::FormatOpenOrders, &args.open_orders, open_default)?;
    let levels_default = default.book_level_count_max.min(open_orders);
    Ok(Some(TradingLimits {
        instrument_count_max: instruments,
        order_count_max: orders,
        open_order_count_max: open_orders,
        book_level_count_max: count(Key::FormatBookLevels, &args.book_levels, levels_default)?,
        report_count_max: number(Key::FormatReports, &args.reports, default.report_count_max)?,
    }))
}

/// The limits in a genesis record; `None` for a node without trading.
pub(crate) fn of_genesis(genesis: &Genesis) -> Option<TradingLimits> {
    genesis.has_trading().then_some(TradingLimits {
        instrument_count_max: genesis.instrument_count_max,
        order_count_max: genesis.order_count_max,
        open_order_count_max: genesis.open_order_count_max,
        book_level_count_max: genesis.book_level_count_max,
        report_count_max: genesis.report_count_max,
    })
}

/// The rows of a table; one row that says so for a node without trading.
pub(crate) fn rows(limits: Option<&TradingLimits>) -> Vec<(&'static str, String)> {
    let Some(limits) = limits else { return vec![("trading", "no".to_owned())] };
    vec![
        ("instruments", count_text(limits.instrument_count_max.into())),
        ("orders, for ever", count_text(limits.order_count_max)),
        ("open orders", count_text(limits.open_order_count_max.into())),
        ("price levels", count_text(limits.book_level_count_max.into())),
        ("execution reports kept", count_text(limits.report_count_max)),
    ]
}

/// As JSON; null for a node without trading.
pub(crate) fn as_json(limits: Option<&TradingLimits>) -> Value {
    limits.map_or(Value::Null, |limits| {
        json!({
            "instruments": limits.instrument_count_max,
            "orders": limits.order_count_max,
            "open_orders": limits.open_order_count_max,
            "book_levels": limits.book_level_count_max,
            "reports": limits.report_count_max,
        })
    })
}
