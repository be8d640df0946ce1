//! `mizan ledgers`: the registry.

use crate::Context;
use crate::args::LedgersArgs;
use crate::connection::with_reader;
use crate::error::CliError;
use crate::exit;
use crate::output::Table;
use crate::units::timestamp_text;
use mizan_wire::{CreateLedger, read_name};
use serde_json::{Value, json};

/// Runs the verb.
///
/// # Errors
/// The node cannot be asked.
pub fn run(context: &mut Context, args: &LedgersArgs) -> Result<u8, CliError> {
    with_reader(context, &args.connect, |context, client| {
        let ledgers = client.ledgers()?;
        let output = &mut context.output;
        if output.is_json() {
            output.json(&ledgers.iter().map(as_json).collect::<Vec<Value>>().into())?;
        } else if ledgers.is_empty() {
            output.note(
                "no ledger is registered: `mizan ledger create USD --scale 2` registers one",
            )?;
        } else {
            let mut table = Table::new(&["currency", "name", "ledger", "scale"], 2);
            for ledger in &ledgers {
                table.row([
                    name(&ledger.currency),
                    name(&ledger.name),
                    ledger.ledger.to_string(),
                    ledger.scale.to_string(),
                ]);
            }
            output.table(&table)?;
        }
        Ok(exit::OK)
    })
}

fn name(bytes: &[u8]) -> String {
    read_name(bytes).unwrap_or("?").to_owned()
}

fn as_json(ledger: &CreateLedger) -> Value {
    json!({
        "ledger": ledger.ledger,
        "currency": name(&ledger.currency),
        "name": name(&ledger.name),
        "scale": ledger.scale,
        "registered": timestamp_text(ledger.timestamp),
    })
}
