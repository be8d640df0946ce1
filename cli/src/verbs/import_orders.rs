//! `mizan import-orders`: a market's own order messages, replayed through the ledger; does the book choose as the market did?
//!
//! Invariants: without `--address` everything happens on a scratch node, which is gone afterwards; every execution that
//! goes to another order than the market's is listed, and mended, so that one of them does not cause the next; at the
//! end the node's levels are compared with those of the file, and nothing is held any more.
//!
//! What is absent: any matching of its own, and hidden orders, which the file does not show.

mod messages;
mod mirror;
mod replay;
mod tally;

use crate::Context;
use crate::args::{ImportOrdersArgs, OrderFormat};
use crate::balance::Balance;
use crate::connection::with_session;
use crate::error::CliError;
use crate::exit;
use crate::market::{Market, Markets, Refusal};
use crate::names;
use crate::scratch::{ScratchNode, ScratchOptions};
use crate::signals::Signals;
use crate::verbs::create::{Wish, register};
use crate::verbs::order::cancel_orders_of;
use crate::verbs::verify::output_hash;
use messages::Messages;
use mirror::Mirror;
use mizan_client::Client;
use mizan_node::{FormatOptions, TradingLimits};
use mizan_wire::orders::Side;
use mizan_wire::trading::{
    CreateInstrument, DepthQuery, InstrumentStatus, MassCancelEvent, RoundingRule,
};
use mizan_wire::{
    Account, AccountFlags, CREATED, CreateAccountStatus, CreateTransferStatus, Status, Transfer,
};
use replay::{Desk, Replay};
use std::time::Instant;
use tally::{Ending, Tally};

/// Decimal places of the file's prices.
const PRICE_SCALE: u8 = 4;
/// What each trader gets before the first message, in the smallest units of both ledgers: more than any file moves.
const FUNDS: u128 = 1_000_000_000_000_000_000;
/// Basis points that an order pays that rested: a rebate; and one that came to it. As usual in the market of the file.
const MAKER_FEE_BPS: i16 = -1;
const TAKER_FEE_BPS: i16 = 3;
/// The largest price, in 1/10,000, and the largest size.
const PRICE_MAX: u64 = 1 << 40;
const SIZE_MAX: u64 = 1 << 40;
/// Room of the book: open orders and levels.
const OPEN_ORDERS: u32 = 65_536;
const LEVELS: u32 = 32_768;
/// Room of a scratch node: orders, and transfers (four for each fill).
const SCRATCH_ORDERS: u64 = 1_000_000;
const SCRATCH_TRANSFERS: u64 = 2_000_000;

/// Runs the verb; exit 1 if lines were bad, orders refused, or the book or the ledger is not as it must be.
///
/// # Errors
/// The file cannot be read, the node cannot be asked, or a signal came.
pub fn run(context: &mut Context, args: &ImportOrdersArgs) -> Result<u8, CliError> {
    let OrderFormat::Lobster = args.format;
    let mut messages = Messages::open(&args.file)?;
    let signals = Signals::install()?;
    let mut connect = args.connect.clone();
    let mut scratch = None;
    // Only the flag counts, as for a bench: what is imported stays.
    if connect.address.is_none() {
        let node = start_scratch(context, &signals)?;
        connect.address = Some(node.address().to_string());
        scratch = Some(node);
    }
    let result = with_session(context, &connect, |context, client| {
        import(context, client, args, &mut messages, &signals)
    });
    drop(scratch);
    result
}

fn start_scratch(context: &mut Context, signals: &Signals) -> Result<ScratchNode, CliError> {
    let limits = FormatOptions {
        account_count_max: 1_000,
        transfer_count_max: SCRATCH_TRANSFERS,
        hold_count_max: 1_000,
        session_count_max: 16,
        trading: Some(TradingLimits {
            instrument_count_max: 1,
            order_count_max: SCRATCH_ORDERS,
            open_order_count_max: OPEN_ORDERS,
            book_level_count_max: LEVELS,
            report_count_max: SCRATCH_ORDERS,
        }),
        ..FormatOptions::new("")
    };
    let options = ScratchOptions { limits, data: None, keep: false, layout: None };
    let mut node = ScratchNode::format(options)?;
    let ready = node.start(signals)?;
    context.output.note(format!(
        "scratch node at {}, ready in {} ms",
        node.address(),
        ready.as_millis()
    ))?;
    Ok(node)
}

fn import(
    context: &mut Context,
    client: &mut Client,
    args: &ImportOrdersArgs,
    messages: &mut Messages,
    signals: &Signals,
) -> Result<u8, CliError> {
    let (market, desk) = furnish(client, &args.name)?;
    let begin = Instant::now();
    let mut replay = Replay::new(client, desk);
    while let Some(message) = messages.next()? {
        signals.check()?;
        match message {
            Ok(message) => replay.message(&message)?,
            Err(reason) => replay.tally.bad.push((messages.line(), reason)),
        }
    }
    replay.finish()?;
    let seconds = begin.elapsed().as_secs_f64();
    let Replay { mirror, tally, .. } = replay;
    let ending = end(client, &market, &desk, &mirror, seconds)?;
    let output = &mut context.output;
    if output.is_json() {
        output.json(&tally.json(&market, &ending))?;
    } else {
        tally.show(output, &market, &ending)?;
    }
    let rate = tally.messages as f64 / seconds.max(1e-9);
    output.note(format!("{} messages in {seconds:.1} s, {rate:.0} per second", tally.messages))?;
    Ok(if Tally::is_good(&tally, &ending) { exit::OK } else { exit::PROBLEM })
}

/// Ledgers, traders with funds, and the instrument, as far as they are not there; and an empty book.
fn furnish(client: &mut Client, name: &str) -> Result<(Market, Desk), CliError> {
    let (base_name, quote_name) = (name.to_owned(), format!("{name}.USD"));
    let mut ledger = |currency: &str, scale| {
        register(client, &Wish { number: None, scale, currency, name: None })
            .map(|(record, _)| record.ledger)
    };
    let (base, quote) = (ledger(&base_name, 0)?, ledger(&quote_name, PRICE_SCALE)?);
    let pair = |trader: &str| {
        let id = |ledger| names::account_id(ledger, &format!("{name}:{trader}"));
        Ok::<[u128; 2], CliError>([id(quote)?, id(base)?])
    };
    let (maker, taker, own) = (pair("maker")?, pair("taker")?, pair("clearing")?);
    let (issuer, fees) = (pair("issuer")?, pair("fees")?);
    let limited = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS;
    let account = |id, ledger, flags| Account { id, ledger, code: 1, flags, ..Account::default() };
    let mut accounts = vec![account(fees[0], quote, 0)];
    for (ids, flags) in [(issuer, 0), (own, 0), (maker, limited), (taker, limited)] {
        accounts.extend([account(ids[0], quote, flags), account(ids[1], base, flags)]);
    }
    let exists =
        |status| CreateAccountStatus::from_number(status) == Some(CreateAccountStatus::Exists);
    let results = client.create_accounts(&accounts)?;
    accepted(results.iter().map(|result| result.status), exists)?;
    let funding = |trader: &str, to: [u128; 2]| {
        [(quote, 0), (base, 1)].map(|(ledger, place)| Transfer {
            id: names::own_transfer_id(&format!("{name}: funds of {trader} in {ledger}")),
            debit_account_id: issuer[place],
            credit_account_id: to[place],
            amount: FUNDS,
            ledger,
            code: 1,
            ..Transfer::default()
        })
    };
    let transfers = [funding("maker", maker), funding("taker", taker)].concat();
    let exists =
        |status| CreateTransferStatus::from_number(status) == Some(CreateTransferStatus::Exists);
    let results = client.create_transfers(&transfers)?;
    accepted(results.iter().map(|result| result.status), exists)?;
    let market = create_instrument(client, base, quote, fees[0], own)?;
    let desk = Desk { instrument: market.record.id, maker, taker };
    for side in [Side::Buy, Side::Sell] {
        if !depth(client, &market, side)?.is_empty() {
            return Err(CliError::Problem(format!(
                "the book of {} is not empty: give another --name, which makes a market of its own",
                market.name()
            )));
        }
    }
    Ok((market, desk))
}

fn accepted(
    statuses: impl Iterator<Item = u32>,
    exists: impl Fn(u32) -> bool,
) -> Result<(), CliError> {
    for status in statuses {
        if status != CREATED && !exists(status) {
            return Err(CliError::Problem(format!(
                "what the import needs is there with other properties (status {status}): give another --name"
            )));
        }
    }
    Ok(())
}

fn create_instrument(
    client: &mut Client,
    base: u32,
    quote: u32,
    fee_account_id: u128,
    clearing: [u128; 2],
) -> Result<Market, CliError> {
    let markets = Markets::read(client)?;
    let pair =
        |market: &&Market| (market.record.base_ledger, market.record.quote_ledger) == (base, quote);
    let highest = markets.all.iter().map(|market| market.record.id).max().unwrap_or(0);
    let existing = markets.all.iter().find(pair).map(|market| market.record.id);
    let record = CreateInstrument {
        id: existing.unwrap_or_else(|| highest.saturating_add(1)),
        base_ledger: base,
        quote_ledger: quote,
        fee_account_id,
        quote_clearing_account_id: clearing[0],
        base_clearing_account_id: clearing[1],
        quote_per_tick_lot: 1,
        base_per_lot: 1,
        price_step_ticks: 1,
        price_min_ticks: 1,
        price_max_ticks: PRICE_MAX,
        quantity_step_lots: 1,
        quantity_max_lots: SIZE_MAX,
        protection_ticks: PRICE_MAX,
        orders_max: OPEN_ORDERS,
        levels_max: LEVELS,
        maker_fee_bps: MAKER_FEE_BPS,
        taker_fee_bps: TAKER_FEE_BPS,
        rounding: RoundingRule::HalfEven as u8,
        self_trade: 1,
        ..CreateInstrument::default()
    };
    let results = client.create_instruments(&[record])?;
    let status = results.first().map_or(0, |result| result.status);
    match InstrumentStatus::from_number(status) {
        Some(InstrumentStatus::Created | InstrumentStatus::Exists) => {
            Ok(Market::new(&record, &markets.ledgers))
        }
        known => {
            let meaning = known.map_or("", Status::meaning);
            let text = format!(
                "the instrument of the file was refused: {meaning} It needs room for {OPEN_ORDERS} orders and {LEVELS} levels"
            );
            Err(Refusal { status, text }.into())
        }
    }
}

/// Prices and lots of a side, the best first. Cost: one reply, which holds 32,756 levels.
fn depth(client: &mut Client, market: &Market, side: Side) -> Result<Vec<(u64, u64)>, CliError> {
    let instrument = market.record.id;
    let query = DepthQuery { instrument, side: side as u8, ..DepthQuery::default() };
    let levels = client.get_depth(&query)?;
    Ok(levels.iter().map(|level| (level.price, level.quantity)).collect())
}

/// Compares the books, ends what is open, and adds everything up.
fn end(
    client: &mut Client,
    market: &Market,
    desk: &Desk,
    mirror: &Mirror,
    seconds: f64,
) -> Result<Ending, CliError> {
    let mut is_same_book = true;
    for side in [Side::Buy, Side::Sell] {
        is_same_book &= depth(client, market, side)? == mirror.depth(side);
    }
    let event = MassCancelEvent {
        account_id: desk.maker[0],
        instrument: desk.instrument,
        ..MassCancelEvent::default()
    };
    let cancelled = cancel_orders_of(client, event)?;
    let ledgers = [market.base.number, market.quote.number];
    let mut trial_balance = client.trial_balance()?;
    trial_balance.retain(|row| ledgers.contains(&row.ledger));
    let fees = client.lookup_accounts(&[market.record.fee_account_id])?;
    let fees = fees.first().map(|account| Balance::of(account).posted.text(market.quote.scale));
    let status = client.engine_status()?;
    Ok(Ending {
        open: mirror.count(),
        is_same_book,
        cancelled: cancelled.open,
        trial_balance,
        fees: fees.unwrap_or_default(),
        output_hash: output_hash(&status).unwrap_or_default(),
        seconds,
    })
}
