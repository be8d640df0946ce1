//! `mizan import-state`: takes what `mizan export` wrote into another node, with its ids, times and balances.
//!
//! Invariants: nothing is sent before the export was found to agree with its manifest and with itself; spent ids are
//! spent before any money is there; running the command again sends the same events, so that nothing moves twice; in the
//! end the balances of every account are compared with the export, and every spent id is found to be spent.
//!
//! What is absent: order books, open orders, client ids of orders, sessions and names.

mod books;
mod checks;
mod manifest;
mod spent;
mod tables;

use crate::Context;
use crate::args::ImportStateArgs;
use crate::connection::with_session;
use crate::error::CliError;
use crate::exit;
use crate::files::count_text;
use crate::movement::describe;
use crate::names::id_text;
use crate::output::Table;
use crate::verbs::create::{Wish, register};
use books::{Books, OpenHold};
use indicatif::ProgressBar;
use manifest::Seal;
use mizan_client::{Client, ClientError};
use mizan_wire::limits::NS_PER_S;
use mizan_wire::{
    Account, AccountFlags, CREATED, CreateAccountStatus, CreateTransferStatus, EngineStatus,
    Operation, Status, Transfer, TransferFlags,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Runs the verb; exit 1 if balances differ in the end.
///
/// # Errors
/// The export is incomplete, the node has no room or holds something else, or it cannot be asked.
pub fn run(context: &mut Context, args: &ImportStateArgs) -> Result<u8, CliError> {
    let size = size_of_transfers(args);
    let bar = context.output.progress(size, "comparing with the manifest");
    let sealed = manifest::compare(args, |count| bar.inc(count));
    bar.finish_and_clear();
    let manifest::Sealed { source, seal } = sealed?;
    let bar = context.output.progress(size / ROW_SIZE, "checking");
    let books = Books::read(source, |count| bar.set_position(count));
    bar.finish_and_clear();
    let books = books?;
    let seal = seal.compare_rows(args, books.row_counts())?;
    for difference in &seal.accepted {
        context.output.note(format!("accepted although it was changed: {difference}"))?;
    }
    if seal.is_complete() == Some(false) {
        context.output.note("the export ends where the damage of the node's files begins: what came later is given up")?;
    }
    if args.dry_run {
        return Outcome::default().show(context, &books, &seal, true);
    }
    with_session(context, &args.connect, |context, client| {
        check_room(&books, &client.engine_status()?)?;
        check_emptiness(client, &books)?;
        for ledger in books.ledgers.iter().filter(|ledger| !ledger.currency.is_empty()) {
            let (number, currency) = (Some(ledger.number), ledger.currency.as_str());
            register(client, &Wish { number, scale: ledger.scale, currency, name: None })?;
        }
        let spent = books.spent_ids.len() as u64;
        let total = books.accounts.len() as u64 + books.transfer_count + 2 * spent;
        let bar = context.output.progress(total, "importing");
        let mut sender = Sender { client, bar: &bar, outcome: Outcome::default() };
        let sent = sender.send_all(&books);
        let outcome = sender.outcome;
        bar.finish_and_clear();
        sent.map_err(|error| incomplete(&error))?;
        outcome.show(context, &books, &seal, false)
    })
}

/// Bytes of a transfer's row at the least.
const ROW_SIZE: u64 = 150;

/// How large the table of transfers is; only the progress bars want to know.
fn size_of_transfers(args: &ImportStateArgs) -> u64 {
    let size = |name: &str| std::fs::metadata(args.from.join(name)).map_or(0, |file| file.len());
    size("transfers.csv").max(size("transfers.jsonl"))
}

/// Places that the export takes in the tables of a node.
struct Needs {
    accounts: u64,
    /// Spent ids and the ends of open holds take a place each, as transfers do.
    transfers: u64,
    /// At once, on the way to what the books are in the end.
    holds: u64,
    ledgers: u64,
}

impl Needs {
    fn of(books: &Books) -> Self {
        let spent = books.spent_ids.len() as u64;
        Self {
            accounts: books.accounts.len() as u64,
            transfers: books.transfer_count
                + books.expiries.len() as u64
                + books.hold_count
                + spent,
            holds: books.holds_open_max,
            ledgers: books.ledgers.len() as u64,
        }
    }
}

fn check_room(books: &Books, status: &EngineStatus) -> Result<(), CliError> {
    let needs = Needs::of(books);
    // Ids that are spent on the node without being in the export.
    let foreign = status.burnt_id_count.saturating_sub(books.spent_ids.len() as u64);
    let transfers = needs.transfers + foreign;
    for (what, wanted, there, flag) in [
        ("accounts", needs.accounts, status.account_count_max, "--accounts"),
        ("transfers and spent ids", transfers, status.transfer_count_max, "--transfers"),
        ("holds that are open at once", needs.holds, status.hold_count_max, "--holds"),
        ("ledgers", needs.ledgers, status.ledger_count_max.into(), "--ledgers"),
    ] {
        if wanted > there {
            return Err(CliError::failed(
                exit::RESOURCE,
                format!(
                    "the export needs room for {} {what}, and the node has it for {}: format a larger one with {flag}",
                    count_text(wanted),
                    count_text(there)
                ),
            ));
        }
    }
    Ok(())
}

/// A node that holds anything else would refuse older timestamps, after some had been taken.
fn check_emptiness(client: &mut Client, books: &Books) -> Result<(), CliError> {
    let status = client.engine_status()?;
    if status.account_count == 0 {
        return Ok(());
    }
    let first = books.accounts.first();
    let found = first.map(|account| client.lookup_accounts(&[account.id])).transpose()?;
    let is_begun = found
        .unwrap_or_default()
        .first()
        .is_some_and(|found| first.is_some_and(|account| account.timestamp == found.timestamp));
    if is_begun {
        return Ok(());
    }
    Err(CliError::failed(
        exit::STATE,
        "the node holds other accounts: an export goes into a node that is new, or into which the same export was begun",
    ))
}

/// What an import that ended early says last.
fn incomplete(error: &CliError) -> CliError {
    let what = error.to_string();
    let what = what.trim_end_matches('.');
    let text = format!(
        "{what}. The import is not complete; run the same command again: nothing moves twice"
    );
    CliError::failed(error.exit_code(), text)
}

/// What has become of the events.
#[derive(Default)]
struct Outcome {
    accounts_created: u64,
    transfers_created: u64,
    already_there: u64,
    /// Ids that were spent by this run...
    spent_now: u64,
    /// ... and before it.
    spent_already: u64,
    /// Spent ids of the export that are not spent in the end.
    unspent: Vec<u128>,
    /// Accounts whose balances are not those of the export.
    different: Vec<u128>,
}

struct Sender<'a> {
    client: &'a mut Client,
    bar: &'a ProgressBar,
    outcome: Outcome,
}

impl Sender<'_> {
    fn send_all(&mut self, books: &Books) -> Result<(), CliError> {
        self.spend(books)?;
        let size = self.client.events_max_of(Operation::CreateAccounts).max(1) as usize;
        for accounts in books.accounts.chunks(size) {
            self.create_accounts(accounts)?;
        }
        let size = self.client.events_max_of(Operation::CreateTransfers).max(1) as usize;
        let mut imported = books.imported()?;
        let mut batch = Vec::with_capacity(size);
        loop {
            let next = imported.next()?;
            let is_last = next.is_none();
            batch.extend(next);
            if batch.len() == size || is_last {
                self.create_transfers(&batch)?;
                batch.clear();
            }
            if is_last {
                break;
            }
        }
        // What is left of a hold's time counts from when it is entered again.
        for holds in books.open.chunks(size) {
            let now = now_ns();
            let again: Vec<Transfer> = holds.iter().map(|hold| anew(hold, now)).collect();
            self.create_transfers(&again)?;
        }
        self.compare(books)?;
        self.check_spent(books)
    }

    fn create_accounts(&mut self, accounts: &[Account]) -> Result<(), CliError> {
        let events: Vec<Account> = accounts.iter().map(Books::to_create).collect();
        let results = self.client.create_accounts(&events)?;
        for (account, result) in std::iter::zip(accounts, results) {
            match CreateAccountStatus::from_number(result.status) {
                Some(CreateAccountStatus::Created) => self.outcome.accounts_created += 1,
                // A hold that was entered by an earlier attempt may have closed it. All else is compared in the end.
                Some(
                    CreateAccountStatus::Exists | CreateAccountStatus::ExistsWithDifferentFlags,
                ) => self.outcome.already_there += 1,
                known => {
                    let name = known.map_or("unknown status", CreateAccountStatus::name);
                    let meaning = known.map_or("", CreateAccountStatus::meaning);
                    let id = id_text(account.id);
                    let text = format!("account {id} was refused ({name}): {meaning}");
                    return Err(CliError::Problem(text));
                }
            }
        }
        self.bar.inc(accounts.len() as u64);
        Ok(())
    }

    fn create_transfers(&mut self, transfers: &[Transfer]) -> Result<(), CliError> {
        let results = self.client.create_transfers(transfers)?;
        for (transfer, result) in std::iter::zip(transfers, results) {
            use CreateTransferStatus as S;
            let is_imported = transfer.flags & TransferFlags::IMPORTED != 0;
            match S::from_number(result.status) {
                _ if result.status == CREATED => self.outcome.transfers_created += 1,
                Some(S::Exists) => self.outcome.already_there += 1,
                // Entered by an earlier attempt, when more of its time was left.
                Some(S::ExistsWithDifferentTimeout) if !is_imported => {
                    self.outcome.already_there += 1;
                }
                _ => {
                    let (name, meaning) = describe(result.status);
                    let id = id_text(transfer.id);
                    let text = format!("transfer {id} was refused ({name}): {meaning}");
                    return Err(CliError::Problem(text));
                }
            }
        }
        self.bar.inc(transfers.len() as u64);
        Ok(())
    }

    /// Looks every account up and compares it with the export.
    fn compare(&mut self, books: &Books) -> Result<(), CliError> {
        // What may have expired meanwhile.
        let mut passing: HashMap<u128, (u128, u128)> = HashMap::new();
        for hold in books.open.iter().filter(|hold| hold.expires_ns != 0) {
            let Transfer { debit_account_id, credit_account_id, amount, .. } = hold.transfer;
            passing.entry(debit_account_id).or_default().0 += amount;
            passing.entry(credit_account_id).or_default().1 += amount;
        }
        let size = self.client.events_max_of(Operation::LookupAccounts).max(1) as usize;
        for accounts in books.accounts.chunks(size) {
            let ids: Vec<u128> = accounts.iter().map(|account| account.id).collect();
            let found = self.client.lookup_accounts(&ids)?;
            if found.len() != accounts.len() {
                return Err(ClientError::Protocol("an account is missing".to_owned()).into());
            }
            for (account, found) in std::iter::zip(accounts, found) {
                let passing = passing.get(&account.id).copied().unwrap_or_default();
                if !is_same(account, &found, passing) {
                    self.outcome.different.push(account.id);
                }
            }
        }
        Ok(())
    }
}

fn is_same(account: &Account, found: &Account, passing: (u128, u128)) -> bool {
    let fits =
        |found: u128, wanted: u128, passing: u128| found <= wanted && wanted - found <= passing;
    let wanted = Account {
        debits_pending: found.debits_pending,
        credits_pending: found.credits_pending,
        flags: account.flags | AccountFlags::IMPORTED | found.flags & AccountFlags::CLOSED,
        ..*account
    };
    wanted == *found
        && fits(found.debits_pending, account.debits_pending, passing.0)
        && fits(found.credits_pending, account.credits_pending, passing.1)
}

/// An open hold as it is entered again, for the rest of its time.
fn anew(hold: &OpenHold, now_ns: u64) -> Transfer {
    let timeout = match hold.expires_ns {
        0 => 0,
        // Too late by less than a second, and never early. A hold whose time is over has yet to be ended by the node.
        expires => expires.saturating_sub(now_ns).div_ceil(NS_PER_S).max(1),
    };
    let flags = hold.transfer.flags & !(TransferFlags::LINKED | TransferFlags::IMPORTED);
    let timeout = u32::try_from(timeout).unwrap_or(u32::MAX).min(hold.transfer.timeout);
    Transfer { timeout, flags, timestamp: 0, ..hold.transfer }
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

impl Outcome {
    fn show(
        &self,
        context: &mut Context,
        books: &Books,
        seal: &Seal,
        is_dry: bool,
    ) -> Result<u8, CliError> {
        let output = &mut context.output;
        if books.with_orders > 0 {
            output.note(format!(
                "open orders reserved money of {} accounts: orders are not taken over, and that money is free",
                books.with_orders
            ))?;
        }
        for id in &self.different {
            output.note(format!("account {} is not as it was in the export", id_text(*id)))?;
        }
        for id in &self.unspent {
            output.note(format!("id {} is spent in the export, and was not", id_text(*id)))?;
        }
        let needs = Needs::of(books);
        if output.is_json() {
            output.json(&self.json(books, seal, is_dry))?;
        } else {
            let mut table = Table::new(&["what", "number"], 1);
            for (what, number) in [
                ("accounts in the export", books.accounts.len() as u64),
                ("transfers in the export", books.transfer_count),
                ("fills under new ids", books.fill_count),
                ("expired holds, ended by a void", books.expiries.len() as u64),
                ("open holds", books.hold_count),
                ("open holds entered for the rest of their time", books.open.len() as u64),
                ("spent ids in the export", books.spent_ids.len() as u64),
                ("places needed: accounts", needs.accounts),
                ("places needed: transfers and spent ids", needs.transfers),
                ("places needed: open holds", needs.holds),
                ("places needed: ledgers", needs.ledgers),
                ("accounts created now", self.accounts_created),
                ("transfers created now", self.transfers_created),
                ("there already", self.already_there),
                ("ids spent now", self.spent_now),
                ("ids spent already", self.spent_already),
            ] {
                table.row([what.to_owned(), count_text(number)]);
            }
            output.table(&table)?;
            output.line(if is_dry && seal.agrees() {
                "the export agrees with itself and with its manifest; nothing was sent"
            } else if is_dry {
                "the export agrees with itself, and not with its manifest; nothing was sent"
            } else if !self.different.is_empty() {
                "balances differ from the export"
            } else if !self.unspent.is_empty() {
                "spent ids differ from the export"
            } else {
                "all balances and spent ids are those of the export"
            })?;
        }
        let is_same = self.different.is_empty() && self.unspent.is_empty();
        Ok(if is_same { exit::OK } else { exit::PROBLEM })
    }

    fn json(&self, books: &Books, seal: &Seal, is_dry: bool) -> Value {
        let texts = |ids: &[u128]| ids.iter().map(|id| id_text(*id)).collect::<Vec<_>>();
        let needs = Needs::of(books);
        json!({
            "dry_run": is_dry,
            "manifest_agrees": seal.agrees(),
            "is_complete": seal.is_complete(),
            "differences": seal.accepted,
            "accounts": books.accounts.len(),
            "transfers": books.transfer_count,
            "fills": books.fill_count,
            "expired_holds": books.expiries.len(),
            "open_holds": books.hold_count,
            "holds_entered_again": books.open.len(),
            "accounts_with_orders": books.with_orders,
            "spent_ids": books.spent_ids.len(),
            "needs": {
                "accounts": needs.accounts,
                "transfers": needs.transfers,
                "holds": needs.holds,
                "ledgers": needs.ledgers,
            },
            "accounts_created": self.accounts_created,
            "transfers_created": self.transfers_created,
            "already_there": self.already_there,
            "ids_spent": self.spent_now,
            "ids_spent_already": self.spent_already,
            "different_accounts": texts(&self.different),
            "unspent_ids": texts(&self.unspent),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_entered_again_for_the_rest_of_its_time_and_never_ends_early() {
        let timeout = |expires_ns: u64, now_ns: u64| {
            let transfer = Transfer { timeout: 60, ..Transfer::default() };
            anew(&OpenHold { transfer, expires_ns }, now_ns).timeout
        };
        let expires_ns = 1_000 * NS_PER_S;
        for (left_ns, expected) in [
            (60 * NS_PER_S, 60),
            (30 * NS_PER_S, 30),
            (30 * NS_PER_S + 1, 31),
            (1, 1),
            (0, 1),
            (90 * NS_PER_S, 60),
        ] {
            assert_eq!(timeout(expires_ns, expires_ns - left_ns), expected, "{left_ns}");
        }
        assert_eq!(timeout(expires_ns, expires_ns + NS_PER_S), 1, "the node ends it");
        assert_eq!(timeout(0, expires_ns), 0, "one that never expires");
    }
}
