//! `mizan instrument`: makes, lists, halts and closes what can be traded.
//!
//! Invariants: an instrument's own accounts are made before it, without limits; asking for one that is there already
//! with the same terms is a success, with other terms a refusal.

mod create;

pub use create::run_create;

use crate::Context;
use crate::args::{CloseInstrumentArgs, InstrumentStateArgs, ListInstrumentsArgs, StateName};
use crate::connection::{with_reader, with_session};
use crate::error::CliError;
use crate::exit;
use crate::market::{Market, Markets, NO_TRADING, Refusal, describe};
use crate::names::id_text;
use crate::output::Table;
use crate::units::timestamp_text;
use mizan_client::Client;
use mizan_wire::CREATED;
use mizan_wire::amount::format_amount;
use mizan_wire::orders::TradingState;
use mizan_wire::trading::{InstrumentCommand, OrderResult, decode_trading_state};
use serde_json::{Value, json};

/// Lists the instruments.
///
/// # Errors
/// The node cannot be asked.
pub fn run_list(context: &mut Context, args: &ListInstrumentsArgs) -> Result<u8, CliError> {
    with_reader(context, &args.connect, |context, client| {
        let markets = Markets::read(client)?;
        let output = &mut context.output;
        if output.is_json() {
            output.json(&markets.all.iter().map(as_json).collect::<Vec<Value>>().into())?;
        } else if markets.all.is_empty() {
            output.note(if markets.has_trading {
                "there is no instrument: `mizan instrument create BASE QUOTE --tick 0.01` makes one"
            } else {
                NO_TRADING
            })?;
        } else {
            output.table(&as_table(&markets.all))?;
        }
        Ok(exit::OK)
    })
}

fn as_table(markets: &[Market]) -> Table {
    let headings = [
        "instrument",
        "state",
        "number",
        "tick",
        "lot",
        "lowest price",
        "highest price",
        "largest order",
        "maker bps",
        "taker bps",
        "flat fee",
        "orders",
        "levels",
    ];
    let mut table = Table::new(&headings, 2);
    for market in markets {
        let record = &market.record;
        table.row([
            market.name(),
            state_name(record.state).to_owned(),
            record.id.to_string(),
            market.price(record.price_step_ticks),
            market.quantity(record.quantity_step_lots),
            market.price(record.price_min_ticks),
            market.price(record.price_max_ticks),
            market.quantity(record.quantity_max_lots),
            record.maker_fee_bps.to_string(),
            record.taker_fee_bps.to_string(),
            format_amount(record.taker_fee_flat.into(), market.quote.scale),
            record.orders_max.to_string(),
            record.levels_max.to_string(),
        ]);
    }
    table
}

/// The word for what a book accepts, as it is typed.
const fn state_name(state: u8) -> &'static str {
    match decode_trading_state(state) {
        Some(TradingState::Open) => "open",
        Some(TradingState::CancelOnly) => "cancel-only",
        Some(TradingState::Halted) => "halted",
        None => "?",
    }
}

/// The terms; amounts, prices, quantities and ids are strings.
pub(crate) fn as_json(market: &Market) -> Value {
    let record = &market.record;
    let notional_max = record.notional_max;
    json!({
        "instrument": market.name(),
        "number": record.id,
        "state": state_name(record.state),
        "base_ledger": record.base_ledger,
        "quote_ledger": record.quote_ledger,
        "tick": market.price(1),
        "lot": market.quantity(1),
        "price_step": market.price(record.price_step_ticks),
        "quantity_step": market.quantity(record.quantity_step_lots),
        "price_min": market.price(record.price_min_ticks),
        "price_max": market.price(record.price_max_ticks),
        "quantity_max": market.quantity(record.quantity_max_lots),
        "notional_max": if notional_max == 0 { Value::Null } else { market.money(notional_max).into() },
        "protection": market.price(record.protection_ticks),
        "maker_fee_bps": record.maker_fee_bps,
        "taker_fee_bps": record.taker_fee_bps,
        "taker_fee_flat": format_amount(record.taker_fee_flat.into(), market.quote.scale),
        "self_trade": record.self_trade,
        "orders_max": record.orders_max,
        "levels_max": record.levels_max,
        "fee_account": id_text(record.fee_account_id),
        "quote_clearing_account": id_text(record.quote_clearing_account_id),
        "base_clearing_account": id_text(record.base_clearing_account_id),
        "created": timestamp_text(record.timestamp),
    })
}

/// Opens, halts, or allows nothing but cancels.
///
/// # Errors
/// There is no such instrument, or the node cannot be asked.
pub fn run_state(context: &mut Context, args: &InstrumentStateArgs) -> Result<u8, CliError> {
    let state = match args.state {
        StateName::Open => TradingState::Open,
        StateName::CancelOnly => TradingState::CancelOnly,
        StateName::Halted => TradingState::Halted,
    } as u8;
    let word = state_name(state);
    with_session(context, &args.connect, |context, client| {
        let (instrument, name) = chosen(client, &args.instrument)?;
        let command = InstrumentCommand { instrument, state, ..InstrumentCommand::default() };
        let result = first(&client.set_trading_states(&[command])?)?;
        let value = json!({ "instrument": name, "state": word, "instruments": result.open });
        tell(context, result, &format!("{name} is {word}"), &value)
    })
}

/// Ends the orders of the day.
///
/// # Errors
/// There is no such instrument, or the node cannot be asked.
pub fn run_close(context: &mut Context, args: &CloseInstrumentArgs) -> Result<u8, CliError> {
    with_session(context, &args.connect, |context, client| {
        let (instrument, name) = chosen(client, &args.instrument)?;
        let mut command = InstrumentCommand { instrument, ..InstrumentCommand::default() };
        let mut ended = 0;
        let result = loop {
            let result = first(&client.close_trading_sessions(&[command])?)?;
            ended += result.open;
            command.from_order_number = result.order_number;
            if result.order_number == 0 {
                break OrderResult { open: ended, ..result };
            }
        };
        let value = json!({ "instrument": name, "ended": result.open });
        tell(context, result, &format!("{name}: {} orders of the day ended", result.open), &value)
    })
}

/// Number and name of what was typed; 0 is all.
fn chosen(client: &mut Client, text: &str) -> Result<(u32, String), CliError> {
    if text == "all" {
        return Ok((0, "every instrument".to_owned()));
    }
    let markets = Markets::read(client)?;
    markets.find(text).map(|market| (market.record.id, market.name()))
}

pub(crate) fn first(results: &[OrderResult]) -> Result<OrderResult, CliError> {
    results.first().copied().ok_or_else(|| {
        CliError::failed(exit::VERSION, "the node answered a command without a result")
    })
}

fn tell(
    context: &mut Context,
    result: OrderResult,
    done: &str,
    value: &Value,
) -> Result<u8, CliError> {
    if result.status != CREATED {
        let (_, meaning) = describe(result.status);
        return Err(Refusal { status: result.status, text: meaning.to_owned() }.into());
    }
    if context.output.is_json() {
        context.output.json(value)?;
    } else {
        context.output.line(done)?;
    }
    Ok(exit::OK)
}
