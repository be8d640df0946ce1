//! `mizan order buy` and `mizan order sell`.

use super::told::Told;
use super::{Trader, as_name, price_word};
use crate::Context;
use crate::args::EnterOrderArgs;
use crate::connection::with_session;
use crate::error::CliError;
use crate::exit;
use crate::market::{Market, Markets, Refusal, Typed};
use crate::money;
use crate::movement::WITHOUT_A_LIMIT;
use crate::names::{self, Ledger, id_text};
use crate::units::{parse_duration, parse_timestamp, timestamp_text};
use crate::verbs::instrument::first;
use mizan_client::{Client, ClientError};
use mizan_wire::orders::{OrderKind, Side, TimeInForce};
use mizan_wire::trading::{OrderFlags, OrderResult, OrderStatus, SubmitOrder};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Enters an order; exit 1 if the node refuses it.
///
/// # Errors
/// The line makes no sense, there is no such instrument, or the node cannot be asked.
pub fn run_enter(context: &mut Context, side: Side, args: &EnterOrderArgs) -> Result<u8, CliError> {
    with_session(context, &args.connect, |context, client| {
        let markets = Markets::read(client)?;
        let market = markets.find(&args.instrument)?;
        let trader = Trader::read(market, &args.account, args.base_account.as_deref())?;
        let client_order_id = match &args.client_order_id {
            Some(text) => names::transfer_id(text)?,
            None => mizan_client::id(),
        };
        let mut told = Told {
            market,
            trader: &trader,
            result: OrderResult::default(),
            asked: asked(market, side, args),
            terms: terms(side, args),
            client_order_id: Some(client_order_id),
            client_order_name: args.client_order_id.as_deref().and_then(as_name),
            side: Some(side),
            reserves: reserves(market, side, args),
            in_advance: None,
        };
        let order = match order(market, &trader, side, args) {
            Ok(order) => SubmitOrder { client_order_id, ..order },
            Err(Typed::Wrong(error)) => return Err(error),
            Err(Typed::Refused(refusal)) => return refuse(context, client, told, refusal),
        };
        if let Some(refusal) = missing_account(client, market, &trader)? {
            return refuse(context, client, told, refusal);
        }
        let sent = client.submit_orders(&[order]);
        told.result = first(&sent.map_err(|error| with_id(&error, args, client_order_id))?)?;
        let code = told.show(context, client)?;
        if args.client_order_id.is_none() && code == exit::OK {
            let id = id_text(client_order_id);
            context.output.note(format!("to repeat this safely, add --client-order-id {id}"))?;
        }
        Ok(code)
    })
}

fn refuse(
    context: &mut Context,
    client: &mut Client,
    mut told: Told<'_>,
    refusal: Refusal,
) -> Result<u8, CliError> {
    told.result.status = refusal.status;
    told.in_advance = Some(refusal.text);
    told.show(context, client)
}

/// The terms in ticks, lots and smallest units.
fn order(
    market: &Market,
    trader: &Trader,
    side: Side,
    args: &EnterOrderArgs,
) -> Result<SubmitOrder, Typed> {
    let price = price_word(&args.price).map_err(Typed::Wrong)?;
    let kind = kind(args, price.is_some()).map_err(Typed::Wrong)?;
    let (time_in_force, expires_ns) = lifetime(args, kind).map_err(Typed::Wrong)?;
    let flags = if args.post_only { OrderFlags::POST_ONLY } else { 0 };
    let mark = args.decimal.decimal;
    let budget = args.budget.as_deref().map_or(Ok(0), |text| {
        money::parse(text, market.quote.scale, mark).map_err(|error| Typed::Wrong(error.into()))
    });
    let ticks = |text: Option<&str>| text.map_or(Ok(0), |text| market.ticks(text, mark));
    Ok(SubmitOrder {
        quote_account_id: trader.quote_id,
        base_account_id: trader.base_id,
        budget: budget?,
        price: ticks(price)?,
        stop_price: ticks(args.stop.as_deref())?,
        quantity: market.lots(&args.quantity, mark)?,
        expires_ns,
        user_data_64: args.user_data,
        instrument: market.record.id,
        flags,
        side: side as u8,
        kind: kind as u8,
        time_in_force: time_in_force as u8,
        self_trade: args.self_trade.map_or(0, |mode| mode.number()),
        ..SubmitOrder::default()
    })
}

/// What a buy without a limit and without a budget reserves: it may cost as much as the instrument allows.
fn reserves(market: &Market, side: Side, args: &EnterOrderArgs) -> Option<String> {
    let has_limit = price_word(&args.price).ok()?.is_some();
    if side == Side::Sell || has_limit || args.budget.is_some() {
        return None;
    }
    let record = &market.record;
    let lots = market.lots(&args.quantity, args.decimal.decimal).ok()?;
    let quantity = market.quantity_with_unit(lots);
    let is_protected = args.market && record.protection_ticks < record.price_max_ticks;
    let rule = if !is_protected {
        let unit = u128::from(record.quote_per_tick_lot);
        let most =
            u128::from(lots).checked_mul(record.price_max_ticks.into())?.checked_mul(unit)?;
        format!(
            "Without a limit an order to buy reserves what it could cost at the highest price: {quantity} at {} is {} {}, and the fee.",
            market.price(record.price_max_ticks),
            market.money(most),
            market.quote.currency
        )
    } else {
        format!(
            "Without a limit an order to buy reserves what it could cost: {quantity} at the best price and {} more, and the fee.",
            market.price(record.protection_ticks)
        )
    };
    Some(format!(
        "{rule} `--budget AMOUNT` bounds what it may spend, and a limit (`@ PRICE`) what it pays for one."
    ))
}

fn kind(args: &EnterOrderArgs, has_price: bool) -> Result<OrderKind, CliError> {
    let usage = |text: &str| Err(CliError::Usage(text.to_owned()));
    match (args.market, args.stop.is_some(), has_price) {
        (true, _, true) => usage("a market order has no limit: leave out the price, or --market"),
        (true, _, false) => Ok(OrderKind::Market),
        (false, true, true) => Ok(OrderKind::StopLimit),
        (false, true, false) => Ok(OrderKind::Stop),
        (false, false, true) => Ok(OrderKind::Limit),
        (false, false, false) => usage("no price: write @ 190.00, or --market"),
    }
}

/// The time in force, and when an order good till a date ends.
fn lifetime(args: &EnterOrderArgs, kind: OrderKind) -> Result<(TimeInForce, u64), CliError> {
    if let Some(text) = &args.until {
        return Ok((TimeInForce::GoodTillDate, until(text)?));
    }
    let time_in_force = match (args.ioc, args.fok, args.day) {
        (true, ..) => TimeInForce::ImmediateOrCancel,
        (_, true, _) => TimeInForce::FillOrKill,
        (.., true) => TimeInForce::Day,
        _ if kind == OrderKind::Market => TimeInForce::ImmediateOrCancel,
        _ => TimeInForce::GoodTillCancelled,
    };
    Ok((time_in_force, 0))
}

/// A span from now, or a point in time, as nanoseconds since 1970.
fn until(text: &str) -> Result<u64, CliError> {
    let since_1970 = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let found = match parse_duration(text) {
        Ok(span) => u64::try_from(since_1970().saturating_add(span).as_nanos()).ok(),
        Err(_) => parse_timestamp(text),
    };
    found.ok_or_else(|| {
        CliError::Usage(format!(
            "--until {text}: write a span, as in 8h, or a point in time, as in 2026-01-31T16:00:00Z"
        ))
    })
}

/// An account that is not there, in words that say how to make it.
fn missing_account(
    client: &mut Client,
    market: &Market,
    trader: &Trader,
) -> Result<Option<Refusal>, CliError> {
    let sought = [
        (trader.quote_id, &trader.name, &market.quote),
        (trader.base_id, &trader.base_name, &market.base),
    ];
    let found = client.lookup_accounts(&sought.map(|(id, ..)| id))?;
    let is_missing = |(id, ..): &(u128, &String, &Ledger)| found.iter().all(|one| one.id != *id);
    Ok(sought.into_iter().find(is_missing).map(|(_, name, ledger)| {
        let currency = &ledger.currency;
        let (quoted_name, quoted_currency) = (names::quoted(name), names::quoted(currency));
        let text = format!(
            "there is no account {name} in {currency}; create it with `mizan accounts create {quoted_name} {quoted_currency} --flags debits_must_not_exceed_credits`. {WITHOUT_A_LIMIT}"
        );
        Refusal::new(OrderStatus::AccountNotFound, text)
    }))
}

/// An error after which the order may have been entered must tell how to find out.
fn with_id(error: &ClientError, args: &EnterOrderArgs, id: u128) -> CliError {
    let hint = match &args.client_order_id {
        Some(_) => "run the same command again: it enters nothing twice".to_owned(),
        None => {
            let id = id_text(id);
            format!("run it again with --client-order-id {id}: it enters nothing twice")
        }
    };
    CliError::failed(exit::of_client_error(error), format!("{error}. {hint}"))
}

const fn side_word(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

/// What was asked for, in words.
fn asked(market: &Market, side: Side, args: &EnterOrderArgs) -> String {
    let what = market.lots(&args.quantity, args.decimal.decimal).map_or_else(
        |_| format!("{} {}", args.quantity, market.base.currency),
        |lots| market.quantity_with_unit(lots),
    );
    let price = |text: &str| {
        market
            .ticks(text, args.decimal.decimal)
            .map_or_else(|_| text.to_owned(), |ticks| market.price_with_unit(ticks))
    };
    let limit = match price_word(&args.price) {
        Ok(Some(text)) => format!(" at {}", price(text)),
        _ => " at the market".to_owned(),
    };
    let stop =
        args.stop.as_deref().map_or(String::new(), |text| format!(" from {} on", price(text)));
    format!("{} {what}{limit}{stop}", side_word(side))
}

/// What was asked for, as it was typed.
fn terms(side: Side, args: &EnterOrderArgs) -> Value {
    let until = args.until.as_deref().and_then(|text| until(text).ok()).map(timestamp_text);
    json!({
        "side": side_word(side),
        "quantity": args.quantity,
        "price": price_word(&args.price).ok().flatten(),
        "stop": args.stop,
        "budget": args.budget,
        "until": until,
    })
}
