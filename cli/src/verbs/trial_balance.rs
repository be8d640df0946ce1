//! `mizan trial-balance`: the sums of all accounts, whose two sides must be equal.

use crate::Context;
use crate::args::TrialBalanceArgs;
use crate::connection::with_reader;
use crate::error::CliError;
use crate::exit;
use crate::money::wide_text;
use crate::output::Table;
use mizan_wire::{TrialBalanceRow, read_name};
use serde_json::{Value, json};

/// Runs the verb; exit 1 if debits and credits of a ledger differ.
///
/// # Errors
/// The node cannot be asked.
pub fn run(context: &mut Context, args: &TrialBalanceArgs) -> Result<u8, CliError> {
    with_reader(context, &args.connect, |context, client| {
        let rows = client.trial_balance()?;
        let is_balanced = rows.iter().all(TrialBalanceRow::is_balanced);
        let output = &mut context.output;
        if output.is_json() {
            let ledgers: Vec<Value> = rows.iter().map(row_json).collect();
            output.json(&json!({ "balanced": is_balanced, "ledgers": ledgers }))?;
        } else {
            output.table(&table(&rows))?;
            let verdict = if is_balanced { "balanced" } else { "OUT OF BALANCE" };
            output.line(format!("{} ledgers, {verdict}", rows.len()))?;
        }
        if !is_balanced {
            output.note(
                "debits and credits differ: stop the node and run `mizan verify --data DIR`",
            )?;
        }
        Ok(if is_balanced { exit::OK } else { exit::PROBLEM })
    })
}

/// The rows as people read them.
#[must_use]
pub fn table(rows: &[TrialBalanceRow]) -> Table {
    let headings = [
        "currency",
        "balanced",
        "ledger",
        "accounts",
        "debits posted",
        "credits posted",
        "debits pending",
        "credits pending",
    ];
    let mut table = Table::new(&headings, 2);
    for row in rows {
        table.row([
            currency(row),
            (if row.is_balanced() { "yes" } else { "NO" }).to_owned(),
            row.ledger.to_string(),
            row.account_count.to_string(),
            wide_text(row.debits_posted, row.scale),
            wide_text(row.credits_posted, row.scale),
            wide_text(row.debits_pending, row.scale),
            wide_text(row.credits_pending, row.scale),
        ]);
    }
    table
}

/// One row for `--json`; amounts are strings.
#[must_use]
pub fn row_json(row: &TrialBalanceRow) -> Value {
    json!({
        "ledger": row.ledger,
        "currency": currency(row),
        "scale": row.scale,
        "registered": row.registered != 0,
        "accounts": row.account_count,
        "debits_posted": wide_text(row.debits_posted, row.scale),
        "credits_posted": wide_text(row.credits_posted, row.scale),
        "debits_pending": wide_text(row.debits_pending, row.scale),
        "credits_pending": wide_text(row.credits_pending, row.scale),
        "balanced": row.is_balanced(),
    })
}

fn currency(row: &TrialBalanceRow) -> String {
    read_name(&row.currency).map_or_else(|| format!("ledger {}", row.ledger), str::to_owned)
}
