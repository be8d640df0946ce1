//! What a file would pay, counted before anything is sent.
//!
//! A line that pays nothing is not counted among those that would be paid: one whose id an earlier line has, with the
//! same content or with another one, and one whose payer is its payee. What only the node knows is not foreseen.

use super::ledgers::Ledgers;
use super::report::Sum;
use super::rows::{Line, Row, Rows, Side};
use super::sender::Plan;
use super::source::Source;
use super::{Talk, stopped};
use crate::args::ImportArgs;
use crate::error::CliError;
use crate::exit;
use crate::money::{self, Signed, wide_text};
use crate::names::Ledger;
use crate::output::{Output, Table};
use crate::signals::Signals;
use mizan_wire::{Transfer, Wide};
use serde_json::{Value, json};
use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{BTreeSet, HashMap};
use std::hash::Hasher;
use zerocopy::IntoBytes;

/// Ids that are remembered, in about 64 bytes each, so that no file fills the memory.
const IDS_MAX: usize = 4_000_000;

/// Counts and sums of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    lines: u64,
    left_out: u64,
    bad: u64,
    /// Lines that say again what an earlier line says.
    repeated: u64,
    /// Of each id the line that has it first, and the hash of what it pays.
    ids: HashMap<u128, (u64, u64)>,
    /// Whether there were more ids than are remembered.
    forgets: bool,
    /// Accounts of lines that would be paid, if they are wanted.
    accounts: Option<BTreeSet<u128>>,
    /// Those of them that the node does not have.
    missing_accounts: Option<u64>,
    /// By ledger.
    sums: Vec<Sums>,
    is_statement: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// Of a statement, what comes in; else everything.
    incoming: Sum,
    /// Of a statement, what goes out.
    outgoing: Sum,
}

impl Sums {
    fn count(&self) -> u64 {
        self.incoming.count + self.outgoing.count
    }

    /// What comes in less what goes out: whether that is below zero, and how much it is.
    fn net(&self) -> (bool, Wide) {
        let (plus, minus) = (self.incoming.amount, self.outgoing.amount);
        let difference = super::report::difference(plus, minus);
        ((plus.high, plus.low) < (minus.high, minus.low), difference)
    }

    fn net_text(&self, scale: u8) -> String {
        let (is_negative, amount) = self.net();
        format!("{}{}", if is_negative { "-" } else { "" }, wide_text(amount, scale))
    }

    fn is(&self, expected: Signed) -> bool {
        let (is_negative, amount) = self.net();
        (is_negative, amount) == (expected.negative, Wide { low: expected.magnitude, high: 0 })
    }
}

impl Survey {
    /// Reads the whole file and tells which lines are bad. Keeps the accounts if the node is to be asked for them.
    pub(super) fn of(
        talk: &mut Talk<'_>,
        source: &Source,
        ledgers: &Ledgers,
        plan: &Plan,
        keeps_accounts: bool,
        signals: Option<&Signals>,
    ) -> Result<Self, CliError> {
        let mut rows = Rows::open(talk.args, source)?;
        let sums = vec![Sums::default(); ledgers.all().len()];
        let is_statement = talk.args.account.is_some();
        let accounts = keeps_accounts.then(BTreeSet::new);
        let mut survey = Self { sums, is_statement, accounts, ..Self::default() };
        while let Some(line) = rows.next(ledgers)? {
            if let Some(signals) = signals {
                signals.check()?;
            }
            survey.lines += 1;
            match line {
                Line::Good(row) => {
                    if let Err(reason) = survey.add(&row, plan) {
                        survey.bad += 1;
                        talk.say(survey.bad, row.line, &reason)?;
                    }
                }
                Line::LeftOut => survey.left_out += 1,
                Line::Bad { line, reason, .. } => {
                    survey.bad += 1;
                    talk.say(survey.bad, line, &reason)?;
                }
                Line::Stop { line, reason } => return Err(stopped(line, &reason)),
            }
            if survey.lines.is_multiple_of(1_024) {
                talk.bar.set_position(rows.position());
            }
        }
        survey.ids = HashMap::new();
        Ok(survey)
    }

    /// Counts a line. An error says why it would not be paid, whatever the node has.
    fn add(&mut self, row: &Row, plan: &Plan) -> Result<(), String> {
        let transfer = plan.transfer(row).map_err(|error| error.to_string())?;
        if transfer.debit_account_id == transfer.credit_account_id {
            return Err(format!("{} would pay itself", row.from.escape_debug()));
        }
        match self.earlier(row, &transfer) {
            Some((line, false)) => {
                return Err(format!(
                    "the id {} is that of line {line}, which says something else: it would be refused",
                    row.id.escape_debug()
                ));
            }
            Some((_, true)) => {
                self.repeated += 1;
                return Ok(());
            }
            None => {}
        }
        if let Some(accounts) = &mut self.accounts {
            accounts.extend([transfer.debit_account_id, transfer.credit_account_id]);
        }
        let sums = &mut self.sums[row.ledger];
        let goes_out = self.is_statement && row.own == Some(Side::From);
        let sum = if goes_out { &mut sums.outgoing } else { &mut sums.incoming };
        sum.add(row.amount);
        Ok(())
    }

    /// The earlier line of this id, and whether it says the same.
    fn earlier(&mut self, row: &Row, transfer: &Transfer) -> Option<(u64, bool)> {
        let mut hasher = DefaultHasher::new();
        hasher.write(transfer.as_bytes());
        let content = hasher.finish();
        let is_full = self.ids.len() >= IDS_MAX;
        match self.ids.entry(transfer.id) {
            Entry::Occupied(found) => {
                let (line, same) = *found.get();
                Some((line, same == content))
            }
            Entry::Vacant(_) if is_full => {
                self.forgets = true;
                None
            }
            Entry::Vacant(place) => {
                place.insert((row.line, content));
                None
            }
        }
    }

    /// The accounts of the lines that would be paid.
    pub(super) fn accounts(&self) -> Vec<u128> {
        self.accounts.iter().flatten().copied().collect()
    }

    /// So many of the accounts are not there.
    pub(super) fn set_missing_accounts(&mut self, count: u64) {
        self.missing_accounts = Some(count);
    }

    fn count(&self) -> u64 {
        self.sums.iter().map(Sums::count).sum()
    }

    /// Compares with what was said to be expected.
    ///
    /// # Errors
    /// It is something else, and nothing may be sent.
    pub(super) fn check(&self, args: &ImportArgs, ledgers: &Ledgers) -> Result<(), CliError> {
        let wrong = |what: String| Err(CliError::Problem(format!("{what}: nothing was sent")));
        if let Some(expected) = args.expect_count.filter(|count| *count != self.count()) {
            return wrong(format!("{} lines would be paid, not {expected}", self.count()));
        }
        let expected = expected_sums(args, ledgers)?;
        if expected.is_empty() {
            return Ok(());
        }
        for (place, (sums, ledger)) in self.sums.iter().zip(ledgers.all()).enumerate() {
            let named = expected.iter().find(|(named, _)| *named == place);
            let is_right = match named {
                Some((_, expected)) => sums.is(*expected),
                None => sums.count() == 0,
            };
            if !is_right {
                let (found, currency) = (sums.net_text(ledger.scale), &ledger.currency);
                let expected = named.map_or("no line of that currency".to_owned(), |(_, sum)| {
                    sum.text(ledger.scale)
                });
                return wrong(format!("the sum would be {found} {currency}, not {expected}"));
            }
        }
        Ok(())
    }

    fn used<'a>(&'a self, ledgers: &'a Ledgers) -> impl Iterator<Item = (&'a Ledger, &'a Sums)> {
        let is_used = |(_, sums): &(&Ledger, &Sums)| sums.count() > 0 || ledgers.one().is_some();
        ledgers.all().iter().zip(&self.sums).filter(is_used)
    }

    /// Shows the counts; gives the exit code.
    pub(super) fn show(
        &self,
        output: &mut Output,
        args: &ImportArgs,
        ledgers: &Ledgers,
    ) -> Result<u8, CliError> {
        if output.is_json() {
            output.json(&self.json(ledgers))?;
        } else {
            let mut table = Table::new(&["would be paid", "count", "sum"], 1);
            for (ledger, sums) in self.used(ledgers) {
                let mut row = |name: String, sum: Sum| {
                    table.row([name, sum.count.to_string(), wide_text(sum.amount, ledger.scale)]);
                };
                let currency = &ledger.currency;
                if self.is_statement {
                    row(format!("{currency} in"), sums.incoming);
                    row(format!("{currency} out"), sums.outgoing);
                    let net = sums.net_text(ledger.scale);
                    table.row([format!("{currency} in less out"), sums.count().to_string(), net]);
                } else {
                    row(currency.clone(), sums.incoming);
                }
            }
            if self.repeated > 0 {
                table.row(["repeated lines".to_owned(), self.repeated.to_string()]);
            }
            for (name, count) in
                [("left out", self.left_out), ("bad lines", self.bad), ("lines", self.lines)]
            {
                table.row([name.to_owned(), count.to_string()]);
            }
            let missing = match (args.create_accounts, args.no_overdraft) {
                (false, _) => "accounts missing",
                (true, true) => "accounts to create",
                (true, false) => "accounts to create, without a limit",
            };
            if let Some(count) = self.missing_accounts {
                table.row([missing.to_owned(), count.to_string()]);
            }
            output.table(&table)?;
            output.note(
                "dry run: nothing was sent, and whether funds are there, or lines are paid already, was not asked",
            )?;
            if self.forgets {
                output.note(format!(
                    "there are more than {IDS_MAX} ids: later lines were compared with the first {IDS_MAX} only"
                ))?;
            }
        }
        Ok(if self.bad == 0 { exit::OK } else { exit::PROBLEM })
    }

    fn json(&self, ledgers: &Ledgers) -> Value {
        let by_currency: Vec<Value> = self
            .used(ledgers)
            .map(|(ledger, sums)| {
                let mut value = json!({
                    "currency": ledger.currency,
                    "scale": ledger.scale,
                    "count": sums.count(),
                    "sum": sums.net_text(ledger.scale),
                });
                if self.is_statement {
                    value["in"] = wide_text(sums.incoming.amount, ledger.scale).into();
                    value["out"] = wide_text(sums.outgoing.amount, ledger.scale).into();
                }
                value
            })
            .collect();
        json!({
            "dry_run": true,
            "lines": self.lines,
            "count": self.count(),
            "by_currency": by_currency,
            "left_out": self.left_out,
            "bad_lines": self.bad,
            "repeated_lines": self.repeated,
            "accounts_missing": self.missing_accounts,
        })
    }
}

/// The sums that --expect-sum names, by the place of their ledger.
fn expected_sums(args: &ImportArgs, ledgers: &Ledgers) -> Result<Vec<(usize, Signed)>, CliError> {
    let mut all: Vec<(usize, Signed)> = Vec::new();
    for text in &args.expect_sum {
        let (place, sum) = match (text.split_once('='), ledgers.one()) {
            (Some((currency, sum)), _) => (ledgers.find(currency).map_err(CliError::Usage)?, sum),
            (None, Some(_)) => (0, text.as_str()),
            (None, None) => {
                let text = format!("--expect-sum is `{text}`: write CURRENCY=SUM");
                return Err(CliError::Usage(text));
            }
        };
        let sum = money::parse_signed(sum, ledgers.all()[place].scale, args.decimal.decimal)?;
        if all.iter().any(|(named, _)| *named == place) {
            return Err(CliError::Usage("--expect-sum is given twice for one currency".to_owned()));
        }
        all.push((place, sum));
    }
    Ok(all)
}
