//! `mizan order amend` and `mizan order cancel`.

use super::told::{Told, Verdict};
use super::{OrderName, Trader, as_name, price_word};
use crate::Context;
use crate::args::{AmendOrderArgs, CancelOrderArgs};
use crate::connection::with_session;
use crate::error::CliError;
use crate::exit;
use crate::market::{Market, Markets, Refusal, Typed, describe};
use crate::names::{account_id, id_text};
use crate::verbs::instrument::first;
use mizan_client::Client;
use mizan_wire::trading::{
    AmendOrderEvent, CancelOrderEvent, MassCancelEvent, OpenOrdersQuery, OrderKey, OrderResult,
    OrderState, OrderStatus, OrderView, decode_side,
};
use serde_json::json;

/// Gives an open order new terms; exit 1 if the node refuses them.
///
/// # Errors
/// The line makes no sense, or the node cannot be asked.
pub fn run_amend(context: &mut Context, args: &AmendOrderArgs) -> Result<u8, CliError> {
    with_session(context, &args.connect, |context, client| {
        let markets = Markets::read(client)?;
        let market = markets.find(&args.instrument)?;
        let account = account_id(market.quote.number, &args.account)?;
        let name = OrderName::read(&args.id)?;
        let price = price_word(&args.price)?;
        let view = find(client, market, account, name)?;
        let trader = trader(market, &args.account, account, view.as_ref());
        let mut told = Told {
            market,
            trader: &trader,
            result: OrderResult::default(),
            asked: format!("amend {}", args.id),
            terms: json!({ "quantity": args.quantity, "price": price, "stop": args.stop }),
            client_order_id: view.as_ref().map(|view| view.client_order_id),
            client_order_name: as_name(&args.id),
            side: view.as_ref().and_then(|view| decode_side(view.side)),
            reserves: None,
            in_advance: None,
        };
        match amended(market, account, name, view.as_ref(), args) {
            Ok(event) => told.result = first(&client.amend_orders(&[event])?)?,
            Err(Typed::Wrong(error)) => return Err(error),
            Err(Typed::Refused(refusal)) => {
                told.result.status = refusal.status;
                told.in_advance = Some(refusal.text);
            }
        }
        told.show(context, client)
    })
}

/// All terms as they shall be: what was not given stays.
fn amended(
    market: &Market,
    account_id: u128,
    name: OrderName,
    view: Option<&OrderView>,
    args: &AmendOrderArgs,
) -> Result<AmendOrderEvent, Typed> {
    let Some(view) = view else {
        let text = format!("{} has no order {} that is open", args.account, args.id);
        return Err(Typed::Refused(Refusal::new(OrderStatus::OrderUnknown, text)));
    };
    let is_waiting = view.state == OrderState::Dormant as u8;
    let price = price_word(&args.price).map_err(Typed::Wrong)?;
    let (client_order_id, order_number) = name.parts();
    let mark = args.decimal.decimal;
    Ok(AmendOrderEvent {
        account_id,
        client_order_id,
        order_number,
        price: price.map_or(Ok(view.price), |text| market.ticks(text, mark))?,
        stop_price: match &args.stop {
            Some(text) => market.ticks(text, mark)?,
            None if is_waiting => view.stop_price,
            None => 0,
        },
        quantity: market.lots(&args.quantity, mark)?,
    })
}

/// Ends an open order, or all of an account; exit 1 if there is nothing to end under that name.
///
/// # Errors
/// The line makes no sense, or the node cannot be asked.
pub fn run_cancel(context: &mut Context, args: &CancelOrderArgs) -> Result<u8, CliError> {
    with_session(context, &args.connect, |context, client| {
        let markets = Markets::read(client)?;
        let market = markets.find(&args.instrument)?;
        let account = account_id(market.quote.number, &args.account)?;
        let Some(id) = &args.id else { return cancel_all(context, client, market, account, args) };
        let name = OrderName::read(id)?;
        let (client_order_id, order_number) = name.parts();
        let view = find(client, market, account, name)?;
        let trader = trader(market, &args.account, account, view.as_ref());
        let event = CancelOrderEvent {
            account_id: account,
            client_order_id,
            order_number,
            ..CancelOrderEvent::default()
        };
        let told = Told {
            market,
            trader: &trader,
            result: first(&client.cancel_orders(&[event])?)?,
            asked: format!("cancel {id}"),
            terms: json!({ "id": id }),
            client_order_id: view.as_ref().map(|view| view.client_order_id),
            client_order_name: as_name(id),
            side: view.as_ref().and_then(|view| decode_side(view.side)),
            reserves: None,
            in_advance: None,
        };
        told.show(context, client)
    })
}

fn cancel_all(
    context: &mut Context,
    client: &mut Client,
    market: &Market,
    account_id: u128,
    args: &CancelOrderArgs,
) -> Result<u8, CliError> {
    let event =
        MassCancelEvent { account_id, instrument: market.record.id, ..MassCancelEvent::default() };
    let result = cancel_orders_of(client, event)?;
    if Verdict::of(result.status) != Verdict::Done {
        let (_, meaning) = describe(result.status);
        return Err(Refusal { status: result.status, text: meaning.to_owned() }.into());
    }
    let output = &mut context.output;
    if output.is_json() {
        output.json(&json!({
            "instrument": market.name(),
            "account": args.account,
            "account_id": id_text(account_id),
            "cancelled": result.open,
        }))?;
    } else {
        let name = market.name();
        output.line(format!("cancelled {} orders of {} in {name}", result.open, args.account))?;
    }
    Ok(exit::OK)
}

/// Repeats a mass cancel until it has come to its end; the result counts all the orders that ended.
pub(crate) fn cancel_orders_of(
    client: &mut Client,
    mut event: MassCancelEvent,
) -> Result<OrderResult, CliError> {
    let mut ended = 0;
    loop {
        let result = first(&client.mass_cancel_orders(&[event])?)?;
        ended += result.open;
        if result.order_number == 0 {
            return Ok(OrderResult { open: ended, ..result });
        }
        event.from_order_number = result.order_number;
        // What is entered meanwhile was not meant.
        if event.to_order_number == 0 {
            event.to_order_number = result.filled;
        }
    }
}

/// The order as it is now, if it can be found: by its client id always, by its number while it is open.
fn find(
    client: &mut Client,
    market: &Market,
    account_id: u128,
    name: OrderName,
) -> Result<Option<OrderView>, CliError> {
    Ok(match name {
        OrderName::ClientId(client_order_id) => {
            client.get_orders(&[OrderKey { account_id, client_order_id }])?.first().copied()
        }
        OrderName::Number(number) => {
            let query = OpenOrdersQuery {
                account_id,
                after_order_number: number - 1,
                instrument: market.record.id,
                limit: 1,
            };
            let found = client.get_open_orders(&query)?;
            found.into_iter().find(|view| view.is_order() && view.order_number == number)
        }
    })
}

/// The accounts of the order that was found; else the quote account alone.
fn trader(market: &Market, name: &str, quote_id: u128, view: Option<&OrderView>) -> Trader {
    let base_id = view.map_or(0, |view| view.base_account_id);
    let is_namesake = account_id(market.base.number, name).is_ok_and(|id| id == base_id);
    let base_name = if is_namesake { name.to_owned() } else { id_text(base_id) };
    Trader { name: name.to_owned(), base_name, quote_id, base_id }
}
