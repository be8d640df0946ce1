//! `mizan account`: one name, in every ledger in which it exists.

use crate::Context;
use crate::args::AccountArgs;
use crate::balance::{Balance, flag_names};
use crate::connection::with_reader;
use crate::error::CliError;
use crate::exit;
use crate::names::{self, Ledger, id_text};
use crate::output::Table;
use crate::units::timestamp_text;
use mizan_client::Client;
use mizan_wire::Account;
use mizan_wire::amount::format_amount;
use serde_json::{Value, json};

/// Runs the verb; exit 1 if there is no such account.
///
/// # Errors
/// The line makes no sense, there is no such account, or the node cannot be asked.
pub fn run(context: &mut Context, args: &AccountArgs) -> Result<u8, CliError> {
    with_reader(context, &args.connect, |context, client| {
        let ledgers = ledgers_to_search(client, args.currency.as_deref())?;
        let found = find(client, &ledgers, args)?;
        if found.is_empty() {
            return Err(unknown_account(&args.name, args.currency.as_deref()));
        }
        if context.output.is_json() {
            let rows: Vec<Value> =
                found.iter().map(|(ledger, row)| as_json(args, ledger, row)).collect();
            context.output.json(&Value::from(rows))?;
        } else {
            context.output.table(&as_table(&found))?;
        }
        Ok(exit::OK)
    })
}

/// The chosen ledger, or all that the node knows, registered or only used.
fn ledgers_to_search(client: &mut Client, currency: Option<&str>) -> Result<Vec<Ledger>, CliError> {
    let registered = client.ledgers()?;
    if let Some(currency) = currency {
        return Ok(vec![names::resolve_ledger(&registered, currency)?]);
    }
    let rows = client.trial_balance()?;
    Ok(rows.iter().map(|row| Ledger::of_number(&registered, row.ledger)).collect())
}

fn find(
    client: &mut Client,
    ledgers: &[Ledger],
    args: &AccountArgs,
) -> Result<Vec<(Ledger, Account)>, CliError> {
    let ids = ledgers
        .iter()
        .map(|ledger| names::account_id(ledger.number, &args.name))
        .collect::<Result<Vec<u128>, CliError>>()?;
    let mut asked = ids.clone();
    // A number is the same id in every ledger.
    asked.dedup();
    let mut accounts = Vec::new();
    for chunk in asked.chunks(client.events_max().max(1) as usize) {
        accounts.extend(client.lookup_accounts(chunk)?);
    }
    let belongs = |ledger: &Ledger, id: u128| {
        let same = |account: &&Account| account.id == id && account.ledger == ledger.number;
        accounts.iter().find(same).map(|account| (ledger.clone(), *account))
    };
    Ok(std::iter::zip(ledgers, ids).filter_map(|(ledger, id)| belongs(ledger, id)).collect())
}

fn unknown_account(name: &str, currency: Option<&str>) -> CliError {
    let place = currency.map_or("any ledger".to_owned(), str::to_owned);
    let currency = names::quoted(currency.unwrap_or("CURRENCY"));
    let quoted = names::quoted(name);
    let number = if names::is_number(name) {
        format!("; a number is taken as an id, so write name:{name} if it is a name")
    } else {
        String::new()
    };
    CliError::Problem(format!(
        "there is no account {name} in {place}: create it with `mizan accounts create {quoted} {currency}`, or see `mizan ledgers`{number}"
    ))
}

fn as_table(found: &[(Ledger, Account)]) -> Table {
    let headings =
        ["currency", "ledger", "id", "normal", "limit", "posted", "held", "incoming", "available"];
    let mut table = Table::new(&headings, 5);
    for (ledger, account) in found {
        let balance = Balance::of(account);
        let limit = if balance.is_limited { "limited" } else { "no limit" };
        let mut cells = vec![
            ledger.currency.clone(),
            ledger.number.to_string(),
            id_text(account.id),
            balance.normal.name().to_owned(),
            limit.to_owned(),
        ];
        cells.extend(balance.cells(ledger));
        table.row(cells);
    }
    table
}

fn as_json(args: &AccountArgs, ledger: &Ledger, account: &Account) -> Value {
    let amount = |amount: u128| format_amount(amount, ledger.scale);
    json!({
        "name": args.name,
        "id": id_text(account.id),
        "ledger": ledger.number,
        "currency": ledger.currency,
        "scale": ledger.scale,
        "balance": Balance::of(account).json(ledger.scale),
        "debits_pending": amount(account.debits_pending),
        "debits_posted": amount(account.debits_posted),
        "credits_pending": amount(account.credits_pending),
        "credits_posted": amount(account.credits_posted),
        "code": account.code,
        "flags": flag_names(account.flags),
        "user_data_128": id_text(account.user_data_128),
        "user_data_64": account.user_data_64.to_string(),
        "user_data_32": account.user_data_32,
        "created": timestamp_text(account.timestamp),
        "created_ns": account.timestamp.to_string(),
    })
}
