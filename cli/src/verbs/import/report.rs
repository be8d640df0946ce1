//! What became of the lines.

use super::ledgers::Ledgers;
use crate::error::CliError;
use crate::money::wide_text;
use crate::names::Ledger;
use crate::output::{Output, Table};
use crate::verbs::trial_balance;
use mizan_wire::{TrialBalanceRow, Wide};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Transfers and their sum.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Sum {
    pub(super) count: u64,
    pub(super) amount: Wide,
}

impl Sum {
    pub(super) fn add(&mut self, amount: u128) {
        self.count += 1;
        self.amount.add(amount);
    }
}

/// What was paid of one ledger.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Sums {
    /// Transfers that this run made.
    pub(super) imported: Sum,
    /// Transfers that were there with the same content.
    pub(super) already_there: Sum,
}

impl Sums {
    fn together(&self) -> Sum {
        let mut sum = self.imported;
        sum.count += self.already_there.count;
        let amount = self.already_there.amount;
        sum.amount.add(amount.low);
        sum.amount.high = sum.amount.high.wrapping_add(amount.high);
        sum
    }

    fn named(&self) -> [(&'static str, Sum); 3] {
        [
            ("imported", self.imported),
            ("already there", self.already_there),
            ("together", self.together()),
        ]
    }
}

/// Everything counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Lines of data, good and bad.
    pub(super) lines: u64,
    /// Lines that were not to be paid.
    pub(super) left_out: u64,
    /// Lines that could not be sent.
    pub(super) bad: u64,
    /// What was paid, by the place of the ledger.
    pub(super) sums: Vec<Sums>,
    /// Transfers that the node refused, by status.
    pub(super) refused: BTreeMap<String, u64>,
    /// Those of them whose ids can never be paid.
    pub(super) spent: u64,
    /// Transfers that were sent, and whose outcome the node did not say.
    pub(super) fate_unknown: u64,
    /// Accounts that this run made.
    pub(super) accounts_created: u64,
    /// Lines about which something was to be said.
    pub(super) said: usize,
    examples: Vec<(u64, String)>,
}

impl Tally {
    pub(super) fn of(ledgers: &Ledgers) -> Self {
        Self { sums: vec![Sums::default(); ledgers.all().len()], ..Self::default() }
    }

    /// Keeps the first `max` reasons for the JSON report.
    pub(super) fn say(&mut self, line: u64, reason: &str, max: usize) {
        self.said += 1;
        if self.examples.len() < max {
            self.examples.push((line, reason.to_owned()));
        }
    }

    pub(super) fn refused_count(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Good lines that were read, but not sent because the import ended before.
    fn not_sent(&self) -> u64 {
        let paid: u64 = self.sums.iter().map(|sums| sums.together().count).sum();
        let settled = paid + self.refused_count() + self.left_out;
        self.lines.saturating_sub(settled + self.bad + self.fate_unknown)
    }

    /// The ledgers that there is something to say about.
    fn used<'a>(&'a self, ledgers: &'a Ledgers) -> impl Iterator<Item = (&'a Ledger, &'a Sums)> {
        let is_used =
            |(_, sums): &(&Ledger, &Sums)| sums.together().count > 0 || ledgers.one().is_some();
        ledgers.all().iter().zip(&self.sums).filter(is_used)
    }

    /// For people.
    pub(super) fn show(
        &self,
        output: &mut Output,
        ledgers: &Ledgers,
        balance: &[TrialBalanceRow],
    ) -> Result<(), CliError> {
        let heading = ledgers.one().map_or("amount", |ledger| ledger.currency.as_str());
        let mut table = Table::new(&["", "count", heading], 1);
        for (ledger, sums) in self.used(ledgers) {
            for (name, sum) in sums.named() {
                let name = match ledgers.one() {
                    Some(_) => name.to_owned(),
                    None => format!("{name} {}", ledger.currency),
                };
                let amount = wide_text(sum.amount, ledger.scale);
                table.row([name, sum.count.to_string(), amount]);
            }
        }
        for (status, count) in &self.refused {
            table.row([format!("refused: {status}"), count.to_string()]);
        }
        table.row(["bad lines".to_owned(), self.bad.to_string()]);
        for (name, count) in [
            ("left out", self.left_out),
            ("fate unknown", self.fate_unknown),
            ("not sent", self.not_sent()),
        ] {
            if count > 0 {
                table.row([name.to_owned(), count.to_string()]);
            }
        }
        table.row(["lines".to_owned(), self.lines.to_string()]);
        table.row(["accounts created".to_owned(), self.accounts_created.to_string()]);
        output.table(&table)?;
        let unsaid = self.said.saturating_sub(self.examples.len());
        if unsaid > 0 {
            output.note(format!("{unsaid} more lines are not shown; --report N shows more"))?;
        }
        for (ledger, row) in self.balances(ledgers, balance) {
            output.line(format!(
                "trial balance of {}: debits {}, credits {}, difference {} ({})",
                ledger.currency,
                wide_text(row.debits_posted, row.scale),
                wide_text(row.credits_posted, row.scale),
                wide_text(difference(row.debits_posted, row.credits_posted), row.scale),
                if row.is_balanced() { "balanced" } else { "OUT OF BALANCE" },
            ))?;
        }
        Ok(())
    }

    /// The trial balance of the ledgers that there is something to say about.
    pub(super) fn balances<'a>(
        &'a self,
        ledgers: &'a Ledgers,
        balance: &'a [TrialBalanceRow],
    ) -> impl Iterator<Item = (&'a Ledger, &'a TrialBalanceRow)> {
        self.used(ledgers).filter_map(|(ledger, _)| {
            Some((ledger, balance.iter().find(|row| row.ledger == ledger.number)?))
        })
    }

    /// For scripts; amounts are strings.
    pub(super) fn json(
        &self,
        ledgers: &Ledgers,
        balance: &[TrialBalanceRow],
        failure: Option<&CliError>,
    ) -> Value {
        let examples: Vec<Value> = self
            .examples
            .iter()
            .map(|(line, reason)| json!({ "line": line, "reason": reason }))
            .collect();
        let of_ledger = |ledger: &Ledger, sums: &Sums| {
            let sum = |sum: Sum| json!({ "count": sum.count, "amount": wide_text(sum.amount, ledger.scale) });
            let row = balance.iter().find(|row| row.ledger == ledger.number);
            json!({
                "ledger": ledger.number,
                "currency": ledger.currency,
                "scale": ledger.scale,
                "imported": sum(sums.imported),
                "already_there": sum(sums.already_there),
                "together": sum(sums.together()),
                "trial_balance": row.map(trial_balance::row_json),
            })
        };
        let by_currency: Vec<Value> =
            self.used(ledgers).map(|(ledger, sums)| of_ledger(ledger, sums)).collect();
        let mut report = json!({
            "lines": self.lines,
            "by_currency": by_currency,
            "refused": { "count": self.refused_count(), "by_status": self.refused },
            "bad_lines": self.bad,
            "left_out": self.left_out,
            "fate_unknown": self.fate_unknown,
            "not_sent": self.not_sent(),
            "examples": examples,
            "accounts_created": self.accounts_created,
            "complete": failure.is_none(),
            "error": failure.map(crate::error_json),
        });
        // The one ledger of the file stands at the top as well.
        if let (Some(ledger), Some(sums)) = (ledgers.one(), self.sums.first())
            && let (Value::Object(one), Some(report)) =
                (of_ledger(ledger, sums), report.as_object_mut())
        {
            report.extend(one);
        }
        report
    }
}

pub(super) fn difference(left: Wide, right: Wide) -> Wide {
    let is_less = (left.high, left.low) < (right.high, right.low);
    let (larger, smaller) = if is_less { (right, left) } else { (left, right) };
    let mut difference = larger;
    difference.subtract(smaller.low);
    difference.high = difference.high.wrapping_sub(smaller.high);
    difference
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_above_128_bits_stay_exact() {
        let mut sums = Sums::default();
        sums.imported.add(u128::MAX);
        sums.imported.add(u128::MAX);
        sums.already_there.add(2);
        let together = sums.together();
        assert_eq!(together.count, 3);
        // 2 * (2^128 - 1) + 2 = 2^129.
        assert_eq!(together.amount, Wide { low: 0, high: 2 });
    }

    #[test]
    fn a_difference_is_the_same_from_both_sides() {
        let (left, right) = (Wide { low: 0, high: 1 }, Wide { low: 1, high: 0 });
        assert_eq!(difference(left, right), Wide { low: u128::MAX, high: 0 });
        assert_eq!(difference(right, left), Wide { low: u128::MAX, high: 0 });
        assert_eq!(difference(left, left), Wide::default());
    }

    #[test]
    fn every_line_is_accounted_for_also_when_the_import_ended_early() {
        let ledgers = Ledgers::of(&[("USD", 0)]);
        let counts = Tally { lines: 21, left_out: 1, bad: 2, fate_unknown: 5, ..Tally::default() };
        let mut tally = Tally { sums: Tally::of(&ledgers).sums, ..counts };
        tally.sums[0].imported.add(1);
        tally.sums[0].already_there.add(1);
        tally.refused.insert("exceeds_credits".to_owned(), 4);
        let report = tally.json(&ledgers, &[], None);
        assert_eq!((&report["fate_unknown"], &report["not_sent"]), (&5.into(), &7.into()));

        let file = tempfile::NamedTempFile::new().expect("a file");
        let data = file.reopen().expect("the file again");
        let mut output = Output::new(Box::new(data), Box::new(std::io::sink()));
        tally.show(&mut output, &ledgers, &[]).expect("a file can be written");
        let table = std::fs::read_to_string(file.path()).expect("the table");
        let is_row = |wanted: &[&str]| {
            table.lines().any(|line| line.split_whitespace().eq(wanted.iter().copied()))
        };
        assert!(is_row(&["fate", "unknown", "5"]) && is_row(&["not", "sent", "7"]), "{table}");
    }

    #[test]
    fn every_reason_is_counted_and_the_first_ones_are_kept() {
        let ledgers = Ledgers::of(&[("USD", 0)]);
        let mut tally = Tally::of(&ledgers);
        (1..=5).for_each(|line| tally.say(line, "bad", 2));
        let report = tally.json(&ledgers, &[], None);
        assert_eq!(tally.said, 5);
        assert_eq!(report["examples"].as_array().map(Vec::len), Some(2));
        assert_eq!(report["complete"], true);
    }
}
