//! `mizan dev`: a node to play with, in this process: ledgers, named accounts, balances, and commands to paste.
//!
//! Invariants: what is printed as a command works in another terminal as it stands; with `--data` a second run finds
//! everything as the first left it, because accounts and funding have names of their own; a directory that `dev` did not
//! make is refused before its node is opened, so that no play money ever stands in somebody's ledger; the scratch
//! directory goes away with the process unless it is to be kept.
//!
//! What is absent: anything that `mizan start` has not, but the furniture.

mod market;
mod origin;

use crate::Context;
use crate::args::DevArgs;
use crate::config::{ADDRESS_DEFAULT, Key};
use crate::error::CliError;
use crate::exit;
use crate::files::{node_error, running_node_error};
use crate::names::{Ledger, own_account_id, own_transfer_id};
use crate::output::{Output, Table};
use crate::signals::Signals;
use crate::verbs::start;
use mizan_client::{Client, ClientConfig};
use mizan_node::{
    FormatOptions, Node, NodeError, NodeOptions, TradingLimits, format, is_formatted,
};
use mizan_wire::{
    Account, AccountFlags, CREATED, CodeClass, CreateAccountStatus, CreateCode, CreateLedger,
    CreateResult, CreateTransferStatus, RegistryStatus, Status, Transfer,
};
use serde_json::json;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;

/// Room for order books: small, because it is taken at the start.
pub(crate) const TRADING: TradingLimits = TradingLimits {
    instrument_count_max: 100,
    order_count_max: 100_000,
    open_order_count_max: 65_536,
    book_level_count_max: 16_384,
    report_count_max: 100_000,
};
/// How often it is looked whether the node still runs.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Ledgers: number by ISO 4217, decimal places, currency, name.
pub(crate) const LEDGERS: [(u32, u8, &str, &str); 2] =
    [(840, 2, "USD", "US dollar"), (978, 2, "EUR", "euro")];
/// Codes of accounts.
const CODES: [(u16, CodeClass, &str); 3] = [
    (1, CodeClass::Liability, "wallets"),
    (2, CodeClass::Liability, "merchant settlement"),
    (3, CodeClass::Asset, "cash at bank"),
];
/// The account that funds the others.
const BANK: (&str, u16) = ("bank", 3);
/// The others: name, code, and what the bank pays in, in smallest units.
const WALLETS: [(&str, u16, u128); 3] =
    [("alice", 1, 100_000), ("bob", 1, 50_000), ("merchant", 2, 0)];
/// Code of the transfers that fund the accounts.
const DEPOSIT_CODE: u16 = 1;

/// Runs the verb.
///
/// # Errors
/// No room, an address that cannot be bound, or a node that fails.
pub fn run(context: &mut Context, args: &DevArgs) -> Result<u8, CliError> {
    let signals = Signals::install()?;
    let (listen, is_other) = choose_address(context, args)?;
    let place = Place::choose(args)?;
    if !is_formatted(&place.data) {
        format(&limits(&place.data)).map_err(|error| node_error(&error))?;
    } else {
        origin::check(&place.data)?;
    }
    // It is for playing, and may be taken up again after days.
    let options = NodeOptions { accept_clock: true, ..NodeOptions::new(&place.data, listen) };
    let node = start::open(&options, &signals, &mut context.output)?;
    let address = node.local_addr();
    let stop = node.stop_handle();
    let running = spawn(node)?;
    let outcome = furnish(address)
        .and_then(|()| show(&mut context.output, address, is_other, &place))
        .and_then(|()| stay(&signals, &running));
    stop.stop();
    let ended = running.join().unwrap_or_else(|_| {
        Err(NodeError::Options("the node's thread ended by a fault of its own".to_owned()))
    });
    ended.map_err(|error| running_node_error(&error))?;
    outcome?;
    context.output.note(place.farewell())?;
    Ok(exit::OK)
}

fn spawn(node: Node) -> Result<JoinHandle<Result<(), NodeError>>, CliError> {
    let thread = std::thread::Builder::new().name("mizan-front".to_owned());
    thread
        .spawn(move || node.run())
        .map_err(|source| CliError::File { what: "cannot start a thread".to_owned(), source })
}

/// Where the files are.
struct Place {
    data: PathBuf,
    // Deleted when it is dropped, after the node has ended.
    scratch: Option<TempDir>,
    keep: bool,
}

impl Place {
    fn choose(args: &DevArgs) -> Result<Self, CliError> {
        let keep = args.keep || args.data.is_some();
        if let Some(data) = &args.data {
            return Ok(Self { data: data.clone(), scratch: None, keep });
        }
        let scratch =
            tempfile::Builder::new().prefix("mizan-dev-").disable_cleanup(keep).tempdir().map_err(
                |source| CliError::File {
                    what: "cannot make a temporary directory".to_owned(),
                    source,
                },
            )?;
        Ok(Self { data: scratch.path().to_owned(), scratch: Some(scratch), keep })
    }

    fn farewell(&self) -> String {
        match (&self.scratch, self.keep) {
            (Some(_), false) => "stopped; the scratch files are deleted".to_owned(),
            _ => format!("stopped; the files stay in {}", self.data.display()),
        }
    }
}

fn limits(data: &Path) -> FormatOptions {
    FormatOptions {
        account_count_max: 100_000,
        transfer_count_max: 1_000_000,
        hold_count_max: 100_000,
        segment_size: 16 << 20,
        trading: Some(TRADING),
        ..FormatOptions::new(data)
    }
}

/// The address to listen on, and whether it is not the default one although nobody asked for another.
fn choose_address(context: &Context, args: &DevArgs) -> Result<(SocketAddr, bool), CliError> {
    let flag = args.listen.as_deref();
    let listen = context.settings.listen(flag)?;
    let is_asked_for = context.settings.pick(Key::Listen, flag).is_some();
    start::check_reach(listen, false)?;
    // Looked at before the files are touched: a port that is taken is no reason to fail if any will do.
    match TcpListener::bind(listen) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && !is_asked_for => {
            Ok((SocketAddr::new(listen.ip(), 0), true))
        }
        _ => Ok((listen, false)),
    }
}

/// Makes ledgers, codes, accounts and balances, as far as they are not there.
pub(crate) fn furnish(address: SocketAddr) -> Result<(), CliError> {
    let mut client = Client::connect(ClientConfig::at(address))?;
    let codes = CODES.iter().map(|(code, class, name)| {
        CreateCode::new(*code, *class, name).expect("invariant: the names fit")
    });
    let codes: Vec<CreateCode> = codes.collect();
    check::<RegistryStatus>(&client.create_ledgers(&ledgers())?, RegistryStatus::Exists)?;
    check::<RegistryStatus>(&client.create_codes(&codes)?, RegistryStatus::Exists)?;
    check(&client.create_accounts(&accounts())?, CreateAccountStatus::Exists)?;
    check(&client.create_transfers(&deposits())?, CreateTransferStatus::Exists)?;
    market::furnish(&mut client)?;
    client.close()?;
    Ok(())
}

/// What is written first into an empty directory.
fn ledgers() -> Vec<CreateLedger> {
    let ledger = |(number, scale, currency, name): &(u32, u8, &str, &str)| {
        CreateLedger::new(*number, *scale, currency, name).expect("invariant: the names fit")
    };
    LEDGERS.iter().map(ledger).collect()
}

/// Whether everything is there now, made by this run or by an earlier one.
fn check<S: Status + PartialEq>(results: &[CreateResult], exists: S) -> Result<(), CliError> {
    let is_there = |result: &&CreateResult| {
        result.status == CREATED || S::from_number(result.status) == Some(exists)
    };
    match results.iter().find(|result| !is_there(result)) {
        None => Ok(()),
        Some(result) => {
            let name = S::from_number(result.status).map_or("an unknown status", Status::name);
            Err(CliError::failed(
                exit::STATE,
                format!(
                    "the directory was not made by `mizan dev` ({}: {name}); use another --data",
                    S::SCOPE
                ),
            ))
        }
    }
}

fn accounts() -> Vec<Account> {
    let account = |ledger, name, code, flags| Account {
        id: own_account_id(ledger, name),
        ledger,
        code,
        flags,
        ..Account::default()
    };
    let of_ledger = |ledger: u32| {
        let bank = account(ledger, BANK.0, BANK.1, AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS);
        let wallets = WALLETS.iter().map(move |(name, code, _)| {
            account(ledger, name, *code, AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS)
        });
        std::iter::once(bank).chain(wallets).collect::<Vec<_>>()
    };
    LEDGERS.iter().flat_map(|(ledger, ..)| of_ledger(*ledger)).collect()
}

fn deposits() -> Vec<Transfer> {
    let deposit = |ledger: u32, currency: &str, name: &str, amount| Transfer {
        id: own_transfer_id(&format!("mizan dev: deposit of {name} in {currency}")),
        debit_account_id: own_account_id(ledger, BANK.0),
        credit_account_id: own_account_id(ledger, name),
        amount,
        ledger,
        code: DEPOSIT_CODE,
        ..Transfer::default()
    };
    let of_ledger = |ledger: u32, currency: &'static str| {
        let funded = WALLETS.iter().filter(|(.., amount)| *amount != 0);
        funded.map(move |(name, _, amount)| deposit(ledger, currency, name, *amount))
    };
    LEDGERS.iter().flat_map(|(ledger, _, currency, _)| of_ledger(*ledger, currency)).collect()
}

fn show(
    output: &mut Output,
    address: SocketAddr,
    is_other: bool,
    place: &Place,
) -> Result<(), CliError> {
    if output.is_json() {
        let names: Vec<&str> =
            std::iter::once(BANK.0).chain(WALLETS.iter().map(|(name, ..)| *name)).collect();
        let currencies: Vec<&str> = LEDGERS.iter().map(|(_, _, currency, _)| *currency).collect();
        return output.json(&json!({
            "listening": address.to_string(),
            "data": place.data.display().to_string(),
            "accounts": names,
            "currencies": currencies,
        }));
    }
    output.line(format!("listening {address}"))?;
    if is_other {
        output.note(format!(
            "{ADDRESS_DEFAULT} is taken, so the node listens on another port: note the --address below"
        ))?;
    }
    output.line(format!("files in {}", place.data.display()))?;
    output.line("")?;
    output.table(&accounts_table())?;
    output.line("")?;
    output.line("In another terminal:")?;
    next_steps(address).iter().try_for_each(|line| output.line(format!("  {line}")))?;
    output.line("")?;
    output.line("Ctrl-C stops the node.")
}

fn accounts_table() -> Table {
    let mut table = Table::new(&["account", "currency", "deposited"], 2);
    for (number, scale, currency, _) in LEDGERS {
        let ledger = Ledger { number, scale, currency: currency.to_owned(), is_registered: true };
        for (name, _, amount) in WALLETS {
            let amount = mizan_wire::amount::format_amount(amount, ledger.scale);
            table.row([name.to_owned(), ledger.currency.clone(), amount]);
        }
    }
    table
}

/// Commands that work as they stand.
fn next_steps(address: SocketAddr) -> Vec<String> {
    let flag = if address.to_string() == ADDRESS_DEFAULT {
        String::new()
    } else {
        format!(" --address {address}")
    };
    [
        (
            "transfer alice bob 25.00 USD --id lunch-17",
            "the same line again: a duplicate, and nothing moves",
        ),
        ("hold alice merchant 40.00 USD --id booking-9", "posted, held and available apart"),
        ("post booking-9 30.00", "the rest is released"),
        ("order sell ACME 6 @ 18.90 --account bob", "bob has ten shares to sell"),
        ("order buy ACME 5 @ 19.00 --account alice", "money, shares and fee in one step"),
        ("book ACME", ""),
        ("account alice", ""),
        ("status", ""),
        ("trial-balance", ""),
    ]
    .iter()
    .map(|(line, remark)| {
        let command = format!("mizan {line}{flag}");
        if remark.is_empty() { command } else { format!("{command:<57} # {remark}") }
    })
    .collect()
}

/// Waits for a signal, or for the node to end by itself.
fn stay(signals: &Signals, running: &JoinHandle<Result<(), NodeError>>) -> Result<(), CliError> {
    while !running.is_finished() && !signals.wait(LOOK_INTERVAL)? {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;
    use clap::Parser;

    #[test]
    fn every_command_that_is_shown_is_one() {
        for address in ["127.0.0.1:7117", "127.0.0.1:9"] {
            for line in next_steps(address.parse().expect("an address")) {
                let command = line.split('#').next().expect("a line").trim();
                let parsed = Args::try_parse_from(command.split_whitespace());
                assert!(parsed.is_ok(), "{line}: {parsed:?}");
            }
        }
    }

    #[test]
    fn the_furniture_has_no_id_twice_and_the_bank_pays_what_the_wallets_get() {
        let ids: std::collections::BTreeSet<u128> =
            accounts().iter().map(|account| account.id).collect();
        assert_eq!(ids.len(), LEDGERS.len() * (WALLETS.len() + 1));
        assert_eq!(deposits().len(), LEDGERS.len() * 2);
        for deposit in deposits() {
            assert_eq!(deposit.debit_account_id, own_account_id(deposit.ledger, "bank"));
            assert!(ids.contains(&deposit.credit_account_id));
        }
    }
}
