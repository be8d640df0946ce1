//! `mizan book`: the price levels of both sides, best first.

use crate::Context;
use crate::args::BookArgs;
use crate::connection::with_reader;
use crate::error::CliError;
use crate::exit;
use crate::market::{Market, Markets};
use crate::output::{Output, Table};
use crate::signals::Signals;
use mizan_client::Client;
use mizan_wire::orders::Side;
use mizan_wire::trading::{DepthQuery, DepthRecord};
use serde_json::{Value, json};
use std::time::Duration;

/// How often a watched book is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Bids and asks; the two are read one after the other, and orders may come in between.
#[derive(PartialEq)]
struct Book {
    bids: Vec<DepthRecord>,
    asks: Vec<DepthRecord>,
}

/// Shows a book, once or whenever it has changed.
///
/// # Errors
/// There is no such instrument, or the node cannot be asked.
pub fn run(context: &mut Context, args: &BookArgs) -> Result<u8, CliError> {
    with_reader(context, &args.connect, |context, client| {
        let markets = Markets::read(client)?;
        let market = markets.find(&args.instrument)?;
        let mut book = read(client, market, args.depth)?;
        show(&mut context.output, market, &book)?;
        if !args.watch {
            return Ok(exit::OK);
        }
        let signals = Signals::install()?;
        while !signals.wait(LOOK_INTERVAL)? {
            let now = read(client, market, args.depth)?;
            if now != book {
                book = now;
                show(&mut context.output, market, &book)?;
            }
        }
        Ok(exit::OK)
    })
}

fn read(client: &mut Client, market: &Market, limit: u32) -> Result<Book, CliError> {
    let instrument = market.record.id;
    let mut side = |side: Side| {
        let query = DepthQuery { instrument, limit, side: side as u8, ..DepthQuery::default() };
        client.get_depth(&query)
    };
    Ok(Book { bids: side(Side::Buy)?, asks: side(Side::Sell)? })
}

fn show(output: &mut Output, market: &Market, book: &Book) -> Result<(), CliError> {
    if output.is_json() {
        return output.json(&as_json(market, book));
    }
    if book.bids.is_empty() && book.asks.is_empty() {
        return output.line(format!("{}: the book is empty", market.name()));
    }
    output.line(market.name())?;
    output.table(&as_table(market, book))
}

fn as_table(market: &Market, book: &Book) -> Table {
    let headings = ["orders", "quantity", "bid", "ask", "quantity", "orders"];
    let mut table = Table::new(&headings, 0);
    for row in 0..book.bids.len().max(book.asks.len()) {
        let cells = |levels: &[DepthRecord]| {
            levels.get(row).map_or_else(Default::default, |level| {
                let quantity = market.quantity(level.quantity);
                [level.order_count.to_string(), quantity, market.price(level.price)]
            })
        };
        let ([bid_orders, bid_quantity, bid], [ask_orders, ask_quantity, ask]) =
            (cells(&book.bids), cells(&book.asks));
        table.row([bid_orders, bid_quantity, bid, ask, ask_quantity, ask_orders]);
    }
    table
}

fn as_json(market: &Market, book: &Book) -> Value {
    let levels = |levels: &[DepthRecord]| -> Value {
        levels
            .iter()
            .map(|level| {
                json!({
                    "price": market.price(level.price),
                    "quantity": market.quantity(level.quantity),
                    "orders": level.order_count,
                })
            })
            .collect()
    };
    json!({ "instrument": market.name(), "bids": levels(&book.bids), "asks": levels(&book.asks) })
}
