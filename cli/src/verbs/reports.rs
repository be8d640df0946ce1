//! `mizan reports`: the execution reports of an account, in the order of their numbers.

use crate::Context;
use crate::args::ReportsArgs;
use crate::connection::with_reader;
use crate::error::CliError;
use crate::exit;
use crate::market::{Market, Markets};
use crate::money::Signed;
use crate::names::{account_id, id_text};
use crate::output::Table;
use crate::units::timestamp_text;
use crate::verbs::order::{no_account, reason_name};
use mizan_client::{Client, ReportPage};
use mizan_wire::trading::{ExecutionKind, ExecutionReport, ReportsQuery};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Bit of a report's marks: it was a sell.
const MARK_SELL: u8 = 1;
/// Bit of a report's marks: it was the taker.
const MARK_TAKER: u8 = 2;

/// Shows reports; exit 1 if there is no such account.
///
/// # Errors
/// There is no such account, or the node cannot be asked.
pub fn run(context: &mut Context, args: &ReportsArgs) -> Result<u8, CliError> {
    with_reader(context, &args.connect, |context, client| {
        let markets = Markets::read(client)?;
        let page = find(client, &markets, args)?;
        let known = |report: &ExecutionReport| {
            markets.numbered(report.instrument).map(|market| (market.clone(), *report))
        };
        let rows: Vec<(Market, ExecutionReport)> = page.reports.iter().filter_map(known).collect();
        let output = &mut context.output;
        if output.is_json() {
            let reports: Vec<Value> =
                rows.iter().map(|(market, row)| as_json(market, row)).collect();
            output.json(&json!({
                "account": args.account,
                "first_kept": page.first_kept,
                "next": page.next,
                "reports": reports,
            }))?;
        } else if rows.is_empty() {
            output.note(format!("no report: the next one of {} is {}", args.account, page.next))?;
        } else {
            output.table(&as_table(&rows))?;
        }
        if args.from < page.first_kept {
            let first = page.first_kept;
            context.output.note(format!("reports before {first} are not kept any more"))?;
        }
        Ok(exit::OK)
    })
}

/// The reports of the account of that name in the quote ledgers; the first one that exists counts.
fn find(
    client: &mut Client,
    markets: &Markets,
    args: &ReportsArgs,
) -> Result<ReportPage, CliError> {
    let quotes: BTreeSet<u32> = markets.all.iter().map(|market| market.quote.number).collect();
    let mut found: Option<ReportPage> = None;
    for ledger in quotes {
        let id = account_id(ledger, &args.account)?;
        let page = read(client, id, args)?;
        // An account that has reports counts before one that has none.
        let is_better = |page: &ReportPage| found.as_ref().is_none_or(|best| page.next > best.next);
        if let Some(page) = page.filter(is_better) {
            found = Some(page);
        }
    }
    found.ok_or_else(|| no_account(&args.account))
}

/// Page after page, until the end or the limit.
fn read(
    client: &mut Client,
    account_id: u128,
    args: &ReportsArgs,
) -> Result<Option<ReportPage>, CliError> {
    let mut query =
        ReportsQuery { account_id, from_number: args.from.max(1), ..ReportsQuery::default() };
    let mut all: Option<ReportPage> = None;
    loop {
        let taken = all.as_ref().map_or(0, |page| page.reports.len() as u64);
        let left = args.limit.map_or(u64::MAX, |limit| limit.saturating_sub(taken));
        if left == 0 && all.is_some() {
            return Ok(all);
        }
        query.limit = u32::try_from(left).unwrap_or(0);
        let Some(page) = client.get_execution_reports(&query)? else { return Ok(None) };
        let last = page.reports.last().map(|report| report.number);
        match &mut all {
            Some(all) => all.reports.extend(page.reports),
            None => all = Some(page),
        }
        // A node that counts backwards would be asked for ever.
        let next = last.and_then(|last| last.checked_add(1));
        let Some(next) = next.filter(|next| *next > query.from_number) else { return Ok(all) };
        query.from_number = next;
    }
}

fn kind_name(kind: u8) -> &'static str {
    [
        (ExecutionKind::New, "new"),
        (ExecutionKind::Dormant, "waiting"),
        (ExecutionKind::Fill, "fill"),
        (ExecutionKind::Cancelled, "cancelled"),
        (ExecutionKind::Reduced, "reduced"),
        (ExecutionKind::Replaced, "replaced"),
        (ExecutionKind::Triggered, "triggered"),
    ]
    .into_iter()
    .find(|(known, _)| *known as u8 == kind)
    .map_or("?", |(_, name)| name)
}

const fn side_name(marks: u8) -> &'static str {
    if marks & MARK_SELL == 0 { "buy" } else { "sell" }
}

/// Whether a fill's order rested or came to it.
fn role(report: &ExecutionReport) -> &'static str {
    match (report.kind == ExecutionKind::Fill as u8, report.marks & MARK_TAKER != 0) {
        (false, _) => "",
        (true, true) => "taker",
        (true, false) => "maker",
    }
}

fn fee(market: &Market, report: &ExecutionReport) -> String {
    let fee = Signed { negative: report.fee < 0, magnitude: report.fee.unsigned_abs() };
    fee.text(market.quote.scale)
}

fn as_table(rows: &[(Market, ExecutionReport)]) -> Table {
    let headings = [
        "report",
        "instrument",
        "order",
        "side",
        "what",
        "role",
        "quantity",
        "price",
        "filled",
        "open",
        "fee",
        "reason",
    ];
    let mut table = Table::new(&headings, 6);
    for (market, report) in rows {
        let is_fill = report.kind == ExecutionKind::Fill as u8;
        let price = if report.price == 0 { String::new() } else { market.price(report.price) };
        table.row([
            report.number.to_string(),
            market.name(),
            format!("#{}", report.order_number),
            side_name(report.marks).to_owned(),
            kind_name(report.kind).to_owned(),
            role(report).to_owned(),
            market.quantity(report.quantity),
            price,
            market.quantity(report.filled),
            market.quantity(report.open),
            if is_fill { fee(market, report) } else { String::new() },
            reason_name(report.reason).unwrap_or("").to_owned(),
        ]);
    }
    table
}

fn as_json(market: &Market, report: &ExecutionReport) -> Value {
    let is_fill = report.kind == ExecutionKind::Fill as u8;
    json!({
        "number": report.number,
        "instrument": market.name(),
        "order_number": report.order_number,
        "client_order_id": id_text(report.client_order_id),
        "what": kind_name(report.kind),
        "side": side_name(report.marks),
        "role": if is_fill { Value::from(role(report)) } else { Value::Null },
        "quantity": market.quantity(report.quantity),
        "price": (report.price != 0).then(|| market.price(report.price)),
        "filled": market.quantity(report.filled),
        "open": market.quantity(report.open),
        "fee": is_fill.then(|| fee(market, report)),
        "transfer_id": is_fill.then(|| id_text(report.transfer_id)),
        "reason": reason_name(report.reason),
        "sequence": report.sequence,
        "timestamp": timestamp_text(report.timestamp),
        "timestamp_ns": report.timestamp.to_string(),
    })
}
