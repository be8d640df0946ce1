//! `mizan verify`: whether a node's files are sound, from the files alone.
//!
//! Invariants: nothing is changed and nothing is repaired; *sound* is said only if every frame, every digest, every
//! invariant of the state and every ledger's trial balance holds.
//!
//! What is absent: a way to tell damage to the last synced group from a torn tail; only a second copy could.

use crate::Context;
use crate::args::VerifyArgs;
use crate::error::CliError;
use crate::exit;
use crate::files::{JournalProgress, count_text, node_error};
use crate::independent::{self, Comparison};
use crate::money::wide_text;
use crate::output::{Output, Table};
use crate::verbs::files_status::holder;
use mizan_node::offline::{self, VerifyReport};
use mizan_wire::{EngineStatus, TrialBalanceRow, read_name};
use serde_json::{Value, json};
use std::path::Path;

/// What a verification came to.
pub(crate) struct Verdict {
    pub(crate) report: VerifyReport,
    pub(crate) comparison: Option<Comparison>,
    /// The process that holds the directory, if one does.
    pub(crate) holder: Option<String>,
}

impl Verdict {
    /// Everything that is wrong.
    pub(crate) fn problems(&self) -> impl Iterator<Item = &String> {
        self.report.problems.iter().chain(self.differences())
    }

    fn differences(&self) -> &[String] {
        self.comparison.as_ref().map_or(&[], |comparison| &comparison.differences)
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_sound(&self) -> bool {
        self.report.is_sound() && self.differences().is_empty()
    }

    fn exit_code(&self) -> u8 {
        match (self.is_sound(), self.report.is_damaged) {
            (true, _) => exit::OK,
            (false, true) => exit::CORRUPT,
            (false, false) => exit::PROBLEM,
        }
    }
}

/// Runs the verb.
///
/// # Errors
/// Files that cannot be read at all.
pub fn run(context: &mut Context, args: &VerifyArgs) -> Result<u8, CliError> {
    let data = context.settings.data(args.data.data.as_deref())?;
    let verdict = verify(&data, args.independent, &context.output)?;
    if context.output.is_json() {
        context.output.json(&as_json(&verdict))?;
    } else {
        show(&verdict, &mut context.output)?;
    }
    Ok(verdict.exit_code())
}

/// Verifies the files; with `is_independent` also against the second implementation.
pub(crate) fn verify(
    data: &Path,
    is_independent: bool,
    output: &Output,
) -> Result<Verdict, CliError> {
    // Asked first: what a node adds meanwhile is then known to be its.
    let holder = holder(data).unwrap_or_default();
    let bar = JournalProgress::new(output, "verifying");
    let report = offline::verify(data, &mut |progress| bar.show(progress))
        .map_err(|error| node_error(&error))?;
    drop(bar);
    // What a damaged log holds up to the damage says nothing of the whole.
    let comparison = if is_independent && !report.is_damaged {
        let bar = JournalProgress::new(output, "recomputing");
        let compared = independent::compare(data, &mut |progress| bar.show(progress));
        Some(compared.map_err(|error| node_error(&error))?)
    } else {
        None
    };
    Ok(Verdict { report, comparison, holder })
}

fn show(verdict: &Verdict, output: &mut Output) -> Result<(), CliError> {
    output.table(&summary(verdict))?;
    if !verdict.report.trial_balance.is_empty() {
        output.line("")?;
        output.table(&trial_balance(&verdict.report.trial_balance))?;
    }
    output.line("")?;
    if let Some(tail) = &verdict.report.unsynced_tail {
        output.note(match &verdict.holder {
            Some(holder) => format!("{holder} is writing behind this snapshot: {tail}"),
            None => format!("unacknowledged tail: {tail}; the next start moves it into quarantine"),
        })?;
    } else if let Some(holder) = &verdict.holder {
        output.note(format!("{holder} runs on these files: this is a snapshot"))?;
    }
    for problem in verdict.problems() {
        output.line(format!("problem: {problem}"))?;
    }
    output.line(if verdict.is_sound() { "sound" } else { "not sound" })
}

fn summary(verdict: &Verdict) -> Table {
    let Verdict { report, comparison, .. } = verdict;
    let mut table = Table::new(&["checked", "count"], 1);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("segments", count_text(report.journal.segments));
    row("frames", count_text(report.journal.frames));
    row("log entries", count_text(report.journal.entries));
    row("last sequence", report.engine.sequence.to_string());
    row("accounts", count_text(report.engine.account_count));
    row("transfers", count_text(report.engine.transfer_count));
    row("open holds", count_text(report.engine.hold_count));
    row("digests confirmed", count_text(report.digests_confirmed));
    row("digest", format!("{:032x}", report.engine.digest));
    if report.engine.has_trading() {
        row("orders", count_text(report.engine.order_count));
        row("open orders", count_text(report.engine.open_order_count.into()));
    }
    if let Some(hash) = output_hash(&report.engine) {
        row("output hash", hash);
    }
    if let Some(comparison) = comparison {
        row("recomputed independently", String::new());
        row("  replies", count_text(comparison.entries));
        row("  accounts", count_text(comparison.accounts));
        row("  transfers", count_text(comparison.transfers));
        row("  digest", format!("{:032x}", comparison.digest));
    }
    table
}

/// The sums of each ledger, as exact text.
pub(crate) fn trial_balance(rows: &[TrialBalanceRow]) -> Table {
    let mut table = Table::new(
        &[
            "ledger",
            "currency",
            "trial balance",
            "accounts",
            "debits posted",
            "credits posted",
            "debits held",
            "credits held",
        ],
        3,
    );
    for row in rows {
        let sum = |sum| wide_text(sum, row.scale);
        table.row([
            row.ledger.to_string(),
            currency(row),
            if row.is_balanced() { "balanced" } else { "NOT BALANCED" }.to_owned(),
            count_text(row.account_count),
            sum(row.debits_posted),
            sum(row.credits_posted),
            sum(row.debits_pending),
            sum(row.credits_pending),
        ]);
    }
    table
}

fn currency(row: &TrialBalanceRow) -> String {
    read_name(&row.currency).unwrap_or("-").to_owned()
}

fn as_json(verdict: &Verdict) -> Value {
    let Verdict { report, comparison, holder } = verdict;
    let comparison = comparison.as_ref().map(|comparison| {
        json!({
            "entries": comparison.entries,
            "accounts": comparison.accounts,
            "transfers": comparison.transfers,
            "digest": format!("{:032x}", comparison.digest),
            "differences": comparison.differences,
        })
    });
    json!({
        "sound": verdict.is_sound(),
        "damaged": report.is_damaged,
        "held_by": holder,
        "problems": verdict.problems().collect::<Vec<_>>(),
        "unsynced_tail": report.unsynced_tail,
        "segments": report.journal.segments,
        "frames": report.journal.frames,
        "entries": report.journal.entries,
        "payload_bytes": report.journal.payload_bytes,
        "sequence": report.engine.sequence,
        "accounts": report.engine.account_count,
        "transfers": report.engine.transfer_count,
        "holds": report.engine.hold_count,
        "digests_confirmed": report.digests_confirmed,
        "digest": format!("{:032x}", report.engine.digest),
        "orders": report.engine.order_count,
        "open_orders": report.engine.open_order_count,
        "output_hash": output_hash(&report.engine),
        "trial_balance": report.trial_balance.iter().map(row_json).collect::<Vec<_>>(),
        "independent": comparison,
    })
}

/// Chain over everything that the books reported; `None` without trading.
pub(crate) fn output_hash(engine: &EngineStatus) -> Option<String> {
    engine.has_trading().then(|| format!("{:032x}", engine.book_digest))
}

fn row_json(row: &TrialBalanceRow) -> Value {
    json!({
        "ledger": row.ledger,
        "currency": currency(row),
        "scale": row.scale,
        "balanced": row.is_balanced(),
        "accounts": row.account_count,
        "debits_posted": wide_text(row.debits_posted, row.scale),
        "credits_posted": wide_text(row.credits_posted, row.scale),
        "debits_pending": wide_text(row.debits_pending, row.scale),
        "credits_pending": wide_text(row.credits_pending, row.scale),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_wire::{Wide, write_name};

    fn row(debits: u128, credits: u128) -> TrialBalanceRow {
        TrialBalanceRow {
            ledger: 1,
            scale: 2,
            currency: write_name("USD").expect("fits"),
            debits_posted: Wide { low: debits, high: 0 },
            credits_posted: Wide { low: credits, high: 0 },
            ..TrialBalanceRow::default()
        }
    }

    fn verdict(problems: &[&str], is_damaged: bool, row: TrialBalanceRow) -> Verdict {
        let report = VerifyReport {
            problems: problems.iter().map(|problem| (*problem).to_owned()).collect(),
            is_damaged,
            trial_balance: vec![row],
            ..VerifyReport::default()
        };
        Verdict { report, comparison: None, holder: None }
    }

    #[test]
    fn the_exit_code_tells_damage_from_other_problems() {
        assert_eq!(verdict(&[], false, row(5, 5)).exit_code(), exit::OK);
        assert_eq!(verdict(&["a foreign file"], false, row(5, 5)).exit_code(), exit::PROBLEM);
        assert_eq!(verdict(&["a wrong hash"], true, row(5, 5)).exit_code(), exit::CORRUPT);
        assert_eq!(verdict(&[], false, row(5, 6)).exit_code(), exit::PROBLEM);
    }

    #[test]
    fn a_difference_between_the_implementations_is_a_problem() {
        let mut verdict = verdict(&[], false, row(5, 5));
        verdict.comparison = Some(Comparison {
            differences: vec!["account 0x2 differs".to_owned()],
            ..Comparison::default()
        });
        assert!(!verdict.is_sound());
        assert_eq!(verdict.exit_code(), exit::PROBLEM);
        assert_eq!(verdict.problems().collect::<Vec<_>>(), ["account 0x2 differs"]);
    }

    #[test]
    fn sums_are_exact_text_with_the_ledgers_decimal_places() {
        let lines = trial_balance(&[row(250_005, 250_005), row(1, 2)]).lines();
        assert!(lines[1].contains("balanced") && lines[1].contains("2500.05"), "{lines:?}");
        assert!(lines[2].contains("NOT BALANCED") && lines[2].contains("0.02"), "{lines:?}");
        assert_eq!(row_json(&row(250_005, 250_005))["debits_posted"], "2500.05");
    }
}
