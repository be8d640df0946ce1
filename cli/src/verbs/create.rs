//! `mizan ledger create` and `mizan accounts create`: both succeed if what is asked for is there already.

use crate::Context;
use crate::args::{CreateAccountsArgs, CreateLedgerArgs};
use crate::balance::flag_of_name;
use crate::connection::with_session;
use crate::error::CliError;
use crate::exit;
use crate::names::{self, Ledger, id_text};
use mizan_client::Client;
use mizan_wire::{
    Account, CREATED, CreateAccountStatus, CreateLedger, RegistryStatus, Status, read_name,
};
use serde_json::{Value, json};

/// Registers a ledger; exit 1 if it is registered with other properties.
///
/// # Errors
/// The currency or name is none, or the node cannot be asked.
pub fn run_ledger(context: &mut Context, args: &CreateLedgerArgs) -> Result<u8, CliError> {
    with_session(context, &args.connect, |context, client| {
        let name = args.name.as_deref();
        let wish = Wish { number: args.number, scale: args.scale, currency: &args.currency, name };
        let (record, is_new) = register(client, &wish)?;
        let outcome = if is_new { "created" } else { "exists" };
        let output = &mut context.output;
        if output.is_json() {
            output.json(&json!({
                "outcome": outcome,
                "ledger": record.ledger,
                "currency": args.currency,
                "scale": record.scale,
                "name": read_name(&record.name),
            }))?;
        } else {
            let (number, scale) = (record.ledger, record.scale);
            output.line(format!("{outcome}: ledger {number}, {}, scale {scale}", args.currency))?;
        }
        Ok(exit::OK)
    })
}

/// A ledger as someone wants it.
pub(crate) struct Wish<'a> {
    pub(crate) number: Option<u32>,
    pub(crate) scale: u8,
    pub(crate) currency: &'a str,
    pub(crate) name: Option<&'a str>,
}

/// Finds the ledger or registers it; also says whether it is new. Without a number the currency's only ledger counts
/// as the one that is wanted, else the next number above all that are registered or used is taken.
pub(crate) fn register(
    client: &mut Client,
    wish: &Wish<'_>,
) -> Result<(CreateLedger, bool), CliError> {
    let registered = client.ledgers()?;
    let is_wanted = |ledger: &&CreateLedger| match wish.number {
        Some(number) => ledger.ledger == number,
        None => read_name(&ledger.currency) == Some(wish.currency),
    };
    if let Some(found) = registered.iter().find(is_wanted) {
        return same_ledger(found, wish).map(|()| (*found, false));
    }
    let number = match wish.number {
        Some(number) => number,
        None => next_number(client, &registered)?,
    };
    let name = wish.name.unwrap_or(wish.currency);
    let record = CreateLedger::new(number, wish.scale, wish.currency, name).ok_or_else(|| {
        CliError::Usage("a currency has at most 12 bytes, and a name at most 64".to_owned())
    })?;
    let results = client.create_ledgers(&[record])?;
    match results.first().map(|result| result.status) {
        Some(CREATED) => Ok((record, true)),
        Some(status) => match RegistryStatus::from_number(status) {
            Some(RegistryStatus::Exists) => Ok((record, false)),
            known => Err(refused_ledger(number, status, known)),
        },
        None => Err(CliError::failed(exit::VERSION, "the node answered without a result")),
    }
}

fn same_ledger(found: &CreateLedger, wish: &Wish<'_>) -> Result<(), CliError> {
    let currency = read_name(&found.currency).unwrap_or("?");
    let name = read_name(&found.name);
    let is_same = found.scale == wish.scale
        && currency == wish.currency
        && wish.name.is_none_or(|wanted| name == Some(wanted));
    if is_same {
        return Ok(());
    }
    Err(CliError::Problem(format!(
        "ledger {} is registered as {currency}, scale {}, name {}, which never changes; choose another with --number",
        found.ledger,
        found.scale,
        name.unwrap_or("?")
    )))
}

fn next_number(client: &mut Client, registered: &[CreateLedger]) -> Result<u32, CliError> {
    let used = client.trial_balance()?;
    let numbers = registered.iter().map(|ledger| ledger.ledger);
    let highest = numbers.chain(used.iter().map(|row| row.ledger)).max().unwrap_or(0);
    highest.checked_add(1).ok_or_else(|| {
        CliError::Usage(
            "the highest ledger number is in use: choose a free one with --number".into(),
        )
    })
}

fn refused_ledger(number: u32, status: u32, known: Option<RegistryStatus>) -> CliError {
    let name = known.map_or_else(|| format!("status {status}"), |known| known.name().to_owned());
    let meaning = known.map_or("", RegistryStatus::meaning);
    CliError::failed(
        exit::of_refusal(status),
        format!("ledger {number} was refused ({name}): {meaning}"),
    )
}

/// Creates accounts; exit 1 if any is refused.
///
/// # Errors
/// The line makes no sense, or the node cannot be asked.
pub fn run_accounts(context: &mut Context, args: &CreateAccountsArgs) -> Result<u8, CliError> {
    let flags = read_flags(&args.flags)?;
    with_session(context, &args.connect, |context, client| {
        let ledger = names::resolve_ledger(&client.ledgers()?, &args.currency)?;
        let accounts = args
            .names
            .iter()
            .map(|name| new_account(&ledger, name, args.code, flags))
            .collect::<Result<Vec<Account>, CliError>>()?;
        refuse_earlier(client, &ledger, &args.names)?;
        let mut statuses = Vec::with_capacity(accounts.len());
        for chunk in accounts.chunks(client.events_max().max(1) as usize) {
            let results = client.create_accounts(chunk)?;
            statuses.extend(results.iter().map(|result| result.status));
        }
        show_accounts(context, &ledger, &args.names, &accounts, &statuses)
    })
}

/// A second account of a name that an earlier release hashed otherwise would hide the first.
fn refuse_earlier(client: &mut Client, ledger: &Ledger, names: &[String]) -> Result<(), CliError> {
    let earlier = |name: &String| names::earlier_account_id(ledger.number, name);
    for (name, id) in names.iter().filter_map(|name| Some((name, earlier(name)?))) {
        if !names::is_number(name) && !client.lookup_accounts(&[id])?.is_empty() {
            return Err(names::earlier_account("", name, id));
        }
    }
    Ok(())
}

fn read_flags(names: &[String]) -> Result<u16, CliError> {
    names.iter().map(|name| name.trim()).try_fold(0, |flags, name| {
        flag_of_name(name).map(|flag| flags | flag).ok_or_else(|| {
            CliError::Usage(format!(
                "flag `{name}` is none of debits_must_not_exceed_credits, credits_must_not_exceed_debits, history"
            ))
        })
    })
}

fn new_account(ledger: &Ledger, name: &str, code: u16, flags: u16) -> Result<Account, CliError> {
    let id = names::account_id(ledger.number, name)?;
    Ok(Account { id, ledger: ledger.number, code, flags, ..Account::default() })
}

fn show_accounts(
    context: &mut Context,
    ledger: &Ledger,
    names: &[String],
    accounts: &[Account],
    statuses: &[u32],
) -> Result<u8, CliError> {
    let output = &mut context.output;
    let mut code = exit::OK;
    let mut rows: Vec<Value> = Vec::new();
    for ((name, account), status) in std::iter::zip(std::iter::zip(names, accounts), statuses) {
        let known = CreateAccountStatus::from_number(*status);
        let word =
            known.map_or_else(|| format!("status {status}"), |known| known.name().to_owned());
        let is_there =
            matches!(known, Some(CreateAccountStatus::Created | CreateAccountStatus::Exists));
        if !is_there {
            code = code.max(exit::of_refusal(*status));
        }
        let id = id_text(account.id);
        if output.is_json() {
            rows.push(json!({ "name": name, "id": id, "ledger": ledger.number, "status": word }));
        } else {
            output.line(format!("{word}: {name} in {}, id {id}", ledger.currency))?;
        }
        if let (false, Some(known)) = (is_there, known) {
            output.note(format!("{name}: {}", known.meaning()))?;
        }
    }
    if output.is_json() {
        output.json(&rows.into())?;
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_wire::AccountFlags;

    fn wish(scale: u8, name: Option<&'static str>) -> Wish<'static> {
        Wish { number: None, scale, currency: "USD", name }
    }

    #[test]
    fn a_registered_ledger_is_the_wanted_one_only_if_nothing_differs() {
        let found = CreateLedger::new(1, 2, "USD", "US dollar").expect("fits");
        assert!(same_ledger(&found, &wish(2, None)).is_ok());
        assert!(same_ledger(&found, &wish(2, Some("US dollar"))).is_ok());
        let error = same_ledger(&found, &wish(3, None)).expect_err("another scale");
        assert_eq!(error.exit_code(), exit::PROBLEM);
        assert!(same_ledger(&found, &wish(2, Some("dollar"))).is_err());
    }

    #[test]
    fn flags_are_given_by_their_names() {
        let words = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let both = AccountFlags::HISTORY | AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS;
        let flags = read_flags(&words("history, debits_must_not_exceed_credits")).expect("known");
        assert_eq!(flags, both);
        assert_eq!(read_flags(&[]).expect("none"), 0);
        assert!(read_flags(&words("history,linked")).is_err());
    }
}
