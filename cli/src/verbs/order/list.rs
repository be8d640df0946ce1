//! `mizan order list`: the open orders of an account, or one order.

use super::{OrderName, reason_name, state_name};
use crate::Context;
use crate::args::ListOrdersArgs;
use crate::connection::with_reader;
use crate::error::CliError;
use crate::exit;
use crate::market::{Market, Markets, Refusal};
use crate::money::Signed;
use crate::names::{account_id, id_text};
use crate::output::Table;
use crate::units::timestamp_text;
use mizan_client::Client;
use mizan_wire::amount::format_amount;
use mizan_wire::orders::{OrderKind, Side, TimeInForce};
use mizan_wire::trading::{
    OpenOrdersQuery, OrderKey, OrderStatus, OrderView, decode_kind, decode_time_in_force,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Lists orders; exit 1 if there is no order of that id.
///
/// # Errors
/// There is no such instrument or order, or the node cannot be asked.
pub fn run_list(context: &mut Context, args: &ListOrdersArgs) -> Result<u8, CliError> {
    with_reader(context, &args.connect, |context, client| {
        let markets = Markets::read(client)?;
        let market = args.instrument.as_deref().map(|text| markets.find(text)).transpose()?;
        let orders = match (&args.id, market) {
            (Some(id), Some(market)) => vec![one(client, market, &args.account, id)?],
            _ => open(client, &markets, market, &args.account)?,
        };
        let known = orders
            .iter()
            .filter_map(|order| markets.numbered(order.instrument).map(|market| (market, order)));
        let output = &mut context.output;
        if output.is_json() {
            output.json(&known.map(|(market, order)| as_json(market, order)).collect())?;
        } else if orders.is_empty() {
            output.note(format!("{} has no open order", args.account))?;
        } else {
            output.table(&as_table(known))?;
        }
        Ok(exit::OK)
    })
}

/// An order by its client id, whatever its state.
fn one(
    client: &mut Client,
    market: &Market,
    account: &str,
    id: &str,
) -> Result<OrderView, CliError> {
    let quote = account_id(market.quote.number, account)?;
    let found = match OrderName::read(id)? {
        OrderName::ClientId(client_order_id) => {
            let keys = [OrderKey { account_id: quote, client_order_id }];
            client.get_orders(&keys)?.first().copied()
        }
        OrderName::Number(number) => {
            let query = OpenOrdersQuery {
                account_id: quote,
                after_order_number: number - 1,
                limit: 1,
                ..OpenOrdersQuery::default()
            };
            let found = client.get_open_orders(&query)?;
            found.into_iter().find(|order| order.is_order() && order.order_number == number)
        }
    };
    found.ok_or_else(|| {
        let text = format!("{account} has no order {id} in {}", market.name());
        Refusal::new(OrderStatus::OrderUnknown, text).into()
    })
}

/// All open orders of the account of that name in every quote ledger, page by page.
fn open(
    client: &mut Client,
    markets: &Markets,
    market: Option<&Market>,
    account: &str,
) -> Result<Vec<OrderView>, CliError> {
    let quotes: BTreeSet<u32> = match market {
        Some(market) => BTreeSet::from([market.quote.number]),
        None => markets.all.iter().map(|market| market.quote.number).collect(),
    };
    // A number is the same id in every ledger.
    let ids = quotes
        .into_iter()
        .map(|ledger| account_id(ledger, account))
        .collect::<Result<BTreeSet<u128>, CliError>>()?;
    let asked: Vec<u128> = ids.iter().copied().collect();
    if client.lookup_accounts(&asked)?.is_empty() {
        return Err(no_account(account));
    }
    let mut orders = Vec::new();
    for account_id in ids {
        let mut query = OpenOrdersQuery {
            account_id,
            instrument: market.map_or(0, |market| market.record.id),
            ..OpenOrdersQuery::default()
        };
        loop {
            let page = client.get_open_orders(&query)?;
            let Some(last) = page.last() else { break };
            query.after_order_number = last.order_number;
            orders.extend(page.into_iter().filter(OrderView::is_order));
        }
    }
    Ok(orders)
}

/// Nobody of that name can have orders.
pub(crate) fn no_account(account: &str) -> CliError {
    CliError::Problem(format!(
        "there is no account {account} in the quote ledger of any instrument; see `mizan instrument list`"
    ))
}

const fn side_name(side: u8) -> &'static str {
    if side == Side::Sell as u8 { "sell" } else { "buy" }
}

fn kind_name(kind: u8) -> &'static str {
    match decode_kind(kind) {
        Some(OrderKind::Limit) => "limit",
        Some(OrderKind::Market) => "market",
        Some(OrderKind::Stop) => "stop",
        Some(OrderKind::StopLimit) => "stop-limit",
        None => "?",
    }
}

fn time_in_force_name(time_in_force: u8) -> &'static str {
    match decode_time_in_force(time_in_force) {
        Some(TimeInForce::GoodTillCancelled) => "till cancelled",
        Some(TimeInForce::Day) => "day",
        Some(TimeInForce::GoodTillDate) => "till date",
        Some(TimeInForce::ImmediateOrCancel) => "ioc",
        Some(TimeInForce::FillOrKill) => "fok",
        None => "?",
    }
}

/// A price, or nothing where there is none.
fn price(market: &Market, ticks: u64) -> Option<String> {
    (ticks != 0).then(|| market.price(ticks))
}

/// What it holds: money of a buy, base of a sell.
fn held(market: &Market, order: &OrderView) -> String {
    let ledger = if order.side == Side::Sell as u8 { &market.base } else { &market.quote };
    format_amount(order.held, ledger.scale)
}

fn fee(market: &Market, order: &OrderView) -> String {
    let fee = Signed { negative: order.fee < 0, magnitude: order.fee.unsigned_abs() };
    fee.text(market.quote.scale)
}

fn as_table<'a>(orders: impl Iterator<Item = (&'a Market, &'a OrderView)>) -> Table {
    let headings = [
        "order",
        "instrument",
        "side",
        "kind",
        "lifetime",
        "state",
        "quantity",
        "price",
        "stop",
        "filled",
        "open",
        "average",
        "held",
        "fee",
    ];
    let mut table = Table::new(&headings, 6);
    for (market, order) in orders {
        let state = match reason_name(order.reason) {
            Some(reason) => format!("{} ({reason})", state_name(order.state)),
            None => state_name(order.state).to_owned(),
        };
        table.row([
            format!("#{}", order.order_number),
            market.name(),
            side_name(order.side).to_owned(),
            kind_name(order.kind).to_owned(),
            time_in_force_name(order.time_in_force).to_owned(),
            state,
            market.quantity(order.quantity),
            price(market, order.price).unwrap_or_default(),
            price(market, order.stop_price).unwrap_or_default(),
            market.quantity(order.filled),
            market.quantity(order.open),
            market.average(order.notional, order.filled).unwrap_or_default(),
            held(market, order),
            fee(market, order),
        ]);
    }
    table
}

fn as_json(market: &Market, order: &OrderView) -> Value {
    json!({
        "order_number": order.order_number,
        "client_order_id": id_text(order.client_order_id),
        "instrument": market.name(),
        "account": id_text(order.quote_account_id),
        "base_account": id_text(order.base_account_id),
        "side": side_name(order.side),
        "kind": kind_name(order.kind),
        "lifetime": time_in_force_name(order.time_in_force),
        "state": state_name(order.state),
        "reason": reason_name(order.reason),
        "quantity": market.quantity(order.quantity),
        "price": price(market, order.price),
        "stop": price(market, order.stop_price),
        "filled": market.quantity(order.filled),
        "open": market.quantity(order.open),
        "traded": market.money(order.notional),
        "average_price": market.average(order.notional, order.filled),
        "held": held(market, order),
        "fee": fee(market, order),
        "until": (order.expires_ns != 0).then(|| timestamp_text(order.expires_ns)),
        "user_data": order.user_data_64.to_string(),
        "timestamp": timestamp_text(order.timestamp),
        "timestamp_ns": order.timestamp.to_string(),
    })
}
