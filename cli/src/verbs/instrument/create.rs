//! `mizan instrument create`: from decimal terms to ticks, lots and smallest units.

use super::as_json;
use crate::Context;
use crate::args::{CreateInstrumentArgs, SelfTradeMode};
use crate::connection::with_session;
use crate::error::CliError;
use crate::exit;
use crate::market::{Market, Markets, NO_TRADING, Refusal, describe};
use crate::money;
use crate::names::{self, Ledger};
use mizan_client::Client;
use mizan_wire::amount::format_amount;
use mizan_wire::trading::{CreateInstrument, InstrumentStatus, RoundingRule};
use mizan_wire::{
    Account, AccountFlags, CREATED, CreateAccountStatus, CreateLedger, EngineStatus, Status,
};

/// Code of an instrument's own accounts.
const OWN_ACCOUNT_CODE: u16 = 1;
/// Ticks of the highest price, and lots of the largest order, if nothing else is said: their product fits into a hold
/// (at most 2^94 units) with room to spare.
const DEFAULT_MAX: u64 = 1_000_000_000_000;

impl SelfTradeMode {
    /// The number on the wire.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Newest => 1,
            Self::Oldest => 2,
            Self::Both => 3,
            Self::Decrement => 4,
        }
    }
}

/// Makes an instrument and its own accounts; exit 1 if it exists with other terms.
///
/// # Errors
/// Terms that make no sense, a refusal, or the node cannot be asked.
pub fn run_create(context: &mut Context, args: &CreateInstrumentArgs) -> Result<u8, CliError> {
    with_session(context, &args.connect, |context, client| {
        let markets = Markets::read(client)?;
        let record = terms(&markets, args)?;
        // First as it is: whatever is refused for another reason leaves no accounts behind.
        let is_new = match create(client, &record)? {
            Some(is_new) => is_new,
            None => {
                create_accounts(client, &record)?;
                create(client, &record)?
                    .ok_or_else(|| refused(&record, InstrumentStatus::AccountNotFound.number()))?
            }
        };
        // What is there now, with the node's timestamp.
        let markets = Markets::read(client)?;
        let market = markets.numbered(record.id).cloned();
        let market = market.unwrap_or_else(|| Market::new(&record, &markets.ledgers));
        let outcome = if is_new { "created" } else { "exists" };
        if context.output.is_json() {
            let mut value = as_json(&market);
            value["outcome"] = outcome.into();
            context.output.json(&value)?;
        } else {
            context.output.line(format!(
                "{outcome}: instrument {}, {}, tick {}, lot {}",
                record.id,
                market.name(),
                market.price_with_unit(1),
                market.quantity_with_unit(1),
            ))?;
        }
        Ok(exit::OK)
    })
}

fn terms(markets: &Markets, args: &CreateInstrumentArgs) -> Result<CreateInstrument, CliError> {
    let ledgers: &[CreateLedger] = &markets.ledgers;
    let base = names::resolve_ledger(ledgers, &args.base)?;
    let quote = names::resolve_ledger(ledgers, &args.quote)?;
    let name = format!("{}/{}", base.currency, quote.currency);
    let (base_per_lot, quote_per_tick_lot) = units(args, &base, &quote)?;
    let own = |ledger: &Ledger, given: &Option<String>, default: &str| {
        let text = given.clone().unwrap_or_else(|| format!("{default}:{name}"));
        names::account_id(ledger.number, &text)
    };
    let record = CreateInstrument {
        id: number(markets, args, &base, &quote),
        base_ledger: base.number,
        quote_ledger: quote.number,
        base_per_lot,
        quote_per_tick_lot,
        fee_account_id: own(&quote, &args.fee_account, "fees")?,
        quote_clearing_account_id: own(&quote, &args.clearing_account, "clearing")?,
        base_clearing_account_id: own(&base, &args.clearing_account, "clearing")?,
        taker_fee_flat: flat_fee(args, &quote)?,
        maker_fee_bps: args.maker_fee_bps,
        taker_fee_bps: args.taker_fee_bps,
        price_step_ticks: 1,
        quantity_step_lots: 1,
        rounding: RoundingRule::HalfEven as u8,
        self_trade: args.self_trade.number(),
        orders_max: args.orders,
        levels_max: args.levels,
        ..CreateInstrument::default()
    };
    let market = Market::new(&record, ledgers);
    let mark = args.decimal.decimal;
    let ticks = |text: &Option<String>, default| {
        text.as_deref().map_or(Ok(default), |text| market.ticks(text, mark))
    };
    let lots = |text: &Option<String>, default| {
        text.as_deref().map_or(Ok(default), |text| market.lots(text, mark))
    };
    let price_max_ticks = ticks(&args.max_price, DEFAULT_MAX)?;
    Ok(CreateInstrument {
        price_min_ticks: ticks(&args.min_price, 1)?,
        price_max_ticks,
        quantity_max_lots: lots(&args.max_quantity, DEFAULT_MAX.min(sum_max(args.orders)))?,
        notional_max: notional_max(args, &quote, quote_per_tick_lot)?,
        protection_ticks: ticks(&args.protection, price_max_ticks)?,
        ..record
    })
}

/// The largest quantity of which so many orders can be summed in 64 bits.
const fn sum_max(orders: u32) -> u64 {
    match u64::MAX.checked_div(orders as u64) {
        Some(max) => max,
        None => u64::MAX,
    }
}

/// The number that was given, that of the same pair, or the next one that is free.
fn number(markets: &Markets, args: &CreateInstrumentArgs, base: &Ledger, quote: &Ledger) -> u32 {
    let pair = (base.number, quote.number);
    let same = |market: &&Market| (market.record.base_ledger, market.record.quote_ledger) == pair;
    let existing = || markets.all.iter().find(same).map(|market| market.record.id);
    let highest = markets.all.iter().map(|market| market.record.id).max().unwrap_or(0);
    args.number.or_else(existing).unwrap_or_else(|| highest.saturating_add(1))
}

/// Base units of a lot, and quote units of a tick times a lot.
fn units(
    args: &CreateInstrumentArgs,
    base: &Ledger,
    quote: &Ledger,
) -> Result<(u64, u64), CliError> {
    /// Decimal places of a typed tick.
    const SCALE: u8 = 18;
    let usage = |text: String| CliError::Usage(text);
    let lot = money::parse(&args.lot, base.scale, args.decimal.decimal)?;
    let tick = money::parse(&args.tick, SCALE, args.decimal.decimal)?;
    let product = || {
        // tick * lot, in quote units: 10^18 of the tick, 10^scale of the lot, 10^scale of the quote ledger.
        let above = tick.checked_mul(lot)?.checked_mul(10u128.checked_pow(quote.scale.into())?)?;
        let below = 10u128.checked_pow(u32::from(SCALE) + u32::from(base.scale))?;
        (above % below == 0).then_some(above / below)
    };
    let product = product().filter(|product| *product != 0).ok_or_else(|| {
        usage(format!(
            "a tick of {} times a lot of {} is not a whole number of {}: choose a larger tick or lot",
            args.tick,
            args.lot,
            quote.amount_text(1),
        ))
    })?;
    let narrow = |what: &str, number: u128| {
        u64::try_from(number).map_err(|_| usage(format!("the {what} is larger than 64 bits")))
    };
    Ok((narrow("lot", lot)?, narrow("tick", product)?))
}

fn flat_fee(args: &CreateInstrumentArgs, quote: &Ledger) -> Result<u64, CliError> {
    let fee = money::parse(&args.taker_fee_flat, quote.scale, args.decimal.decimal)?;
    u64::try_from(fee).map_err(|_| CliError::Usage("the flat fee is larger than 64 bits".into()))
}

/// In ticks times lots; 0 for no bound.
fn notional_max(
    args: &CreateInstrumentArgs,
    quote: &Ledger,
    quote_per_tick_lot: u64,
) -> Result<u128, CliError> {
    let Some(text) = &args.max_notional else { return Ok(0) };
    let found =
        money::parse(text, quote.scale, args.decimal.decimal)? / u128::from(quote_per_tick_lot);
    if found == 0 {
        return Err(CliError::Usage(format!(
            "--max-notional {text} is less than one tick times one lot"
        )));
    }
    Ok(found)
}

/// What the node would refuse of the accounts that are there, once the others are made.
fn check_own_accounts(
    record: &CreateInstrument,
    wanted: &[Account],
    there: &[Account],
) -> Result<(), CliError> {
    const LIMITS: u16 = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS
        | AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS
        | AccountFlags::CLOSED;
    if record.fee_account_id == record.quote_clearing_account_id {
        return Err(refused(record, InstrumentStatus::AccountsMustBeDifferent.number()));
    }
    for account in wanted {
        let Some(found) = there.iter().find(|found| found.id == account.id) else { continue };
        if found.ledger != account.ledger {
            return Err(refused(record, InstrumentStatus::AccountInOtherLedger.number()));
        }
        if found.flags & LIMITS != 0 {
            return Err(refused(record, InstrumentStatus::AccountMustBeUnlimited.number()));
        }
    }
    Ok(())
}

/// The fee account and the clearing accounts, without limits; those that are there stay as they are.
fn create_accounts(client: &mut Client, record: &CreateInstrument) -> Result<(), CliError> {
    let account = |id, ledger| Account { id, ledger, code: OWN_ACCOUNT_CODE, ..Account::default() };
    let wanted = [
        account(record.fee_account_id, record.quote_ledger),
        account(record.quote_clearing_account_id, record.quote_ledger),
        account(record.base_clearing_account_id, record.base_ledger),
    ];
    let ids = wanted.map(|account| account.id);
    let there = client.lookup_accounts(&ids)?;
    check_own_accounts(record, &wanted, &there)?;
    let status = client.engine_status()?;
    if record.orders_max > status.open_order_count_max.saturating_sub(status.open_order_count_taken)
        || record.levels_max
            > status.book_level_count_max.saturating_sub(status.book_level_count_taken)
    {
        return Err(no_space(record, &status));
    }
    let missing: Vec<Account> = wanted
        .into_iter()
        .filter(|account| there.iter().all(|found| found.id != account.id))
        .collect();
    for result in client.create_accounts(&missing)? {
        if result.status != CREATED {
            let known = CreateAccountStatus::from_number(result.status);
            let (name, meaning) =
                known.map_or(("status", ""), |known| (known.name(), known.meaning()));
            return Err(CliError::failed(
                exit::of_refusal(result.status),
                format!(
                    "an account of the instrument was refused ({name}, {}): {meaning}",
                    result.status
                ),
            ));
        }
    }
    Ok(())
}

/// Says whether it is new; `None` if one of its own accounts is not there, which the node looks for last but one.
fn create(client: &mut Client, record: &CreateInstrument) -> Result<Option<bool>, CliError> {
    let result = client.create_instruments(&[*record])?.first().copied().ok_or_else(|| {
        CliError::failed(exit::VERSION, "the node answered an instrument without a result")
    })?;
    match InstrumentStatus::from_number(result.status) {
        Some(InstrumentStatus::Created) => Ok(Some(true)),
        Some(InstrumentStatus::Exists) => Ok(Some(false)),
        Some(InstrumentStatus::AccountNotFound) => Ok(None),
        Some(InstrumentStatus::TradingNotEnabled) => {
            Err(Refusal { status: result.status, text: NO_TRADING.to_owned() }.into())
        }
        Some(InstrumentStatus::BookSpaceFull) => {
            let status = client.engine_status()?;
            Err(no_space(record, &status))
        }
        _ => Err(refused(record, result.status)),
    }
}

fn refused(record: &CreateInstrument, status: u32) -> CliError {
    let (_, meaning) = describe(status);
    Refusal { status, text: format!("instrument {} was refused: {meaning}", record.id) }.into()
}

fn no_space(record: &CreateInstrument, status: &EngineStatus) -> CliError {
    let left = |max: u32, taken: u32| format_amount(max.saturating_sub(taken).into(), 0);
    let text = format!(
        "the book asks for {} orders and {} levels; the node has {} and {} left: give less with --orders and --levels",
        record.orders_max,
        record.levels_max,
        left(status.open_order_count_max, status.open_order_count_taken),
        left(status.book_level_count_max, status.book_level_count_taken),
    );
    Refusal::new(InstrumentStatus::BookSpaceFull, text).into()
}
