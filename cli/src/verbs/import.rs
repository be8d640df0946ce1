//! `mizan import`: transfers from a CSV or TSV file, in any number of attempts, each counted once.
//!
//! Invariants: the file is read as a stream, and of it only the set of account ids is kept; ids come from the file's
//! text alone, so that the same file gives the same ids for ever; a line is imported, or counted as there already, or
//! reported with a reason, never silently left out; a transfer whose accounts are missing is not sent, because that
//! would spend its id.
//!
//! What is absent: changes of sign, of currency, or of anything else that the file says.

mod columns;
mod report;
mod rows;
mod sender;

use crate::Context;
use crate::args::ImportArgs;
use crate::connection::with_session;
use crate::error::CliError;
use crate::exit;
use crate::names::{self, Ledger};
use crate::verbs::create::{Wish, register};
use indicatif::ProgressBar;
use mizan_client::Client;
use report::Tally;
use rows::{Line, Rows};
use sender::{Plan, Sender};

/// Runs the verb; exit 1 if there were bad or refused lines.
///
/// # Errors
/// The line makes no sense, the file cannot be read, or the node cannot be asked. What was imported until then is
/// reported all the same, and running the command again continues.
pub fn run(context: &mut Context, args: &ImportArgs) -> Result<u8, CliError> {
    let mut rows = Rows::open(args)?;
    with_session(context, &args.connect, |context, client| {
        let ledger = choose_ledger(client, args)?;
        let plan = Plan::new(args, &ledger);
        let bar = context.output.progress(rows.size(), "importing");
        let mut sender = Sender::new(client, &plan);
        let fed = feed(context, args, &mut rows, &ledger, &mut sender, &bar);
        // Whatever went wrong, what is in flight is counted before the report.
        let drained = sender.finish(&mut Talk { context, bar: &bar, args });
        bar.finish_and_clear();
        let tally = sender.into_tally();
        let failure = fed.and(drained).err();
        finish(context, client, &ledger, &tally, failure)
    })
}

/// Reports single lines without tearing the progress bar.
struct Talk<'a> {
    context: &'a mut Context,
    bar: &'a ProgressBar,
    args: &'a ImportArgs,
}

impl Talk<'_> {
    /// Says what is wrong with a line, unless enough has been said.
    fn line(&mut self, tally: &mut Tally, line: u64, reason: &str) -> Result<(), CliError> {
        tally.say(line, reason, self.args.report);
        if tally.said > self.args.report {
            return Ok(());
        }
        self.bar.suspend(|| self.context.output.note(format!("line {line}: {reason}")))
    }
}

fn feed(
    context: &mut Context,
    args: &ImportArgs,
    rows: &mut Rows,
    ledger: &Ledger,
    sender: &mut Sender<'_>,
    bar: &ProgressBar,
) -> Result<(), CliError> {
    let mut batch = Vec::with_capacity(args.batch as usize);
    while let Some(line) = rows.next(ledger.scale)? {
        sender.tally.lines += 1;
        let mut talk = Talk { context: &mut *context, bar, args };
        match line {
            Line::Bad { line, reason } => {
                sender.tally.bad += 1;
                talk.line(&mut sender.tally, line, &reason)?;
            }
            Line::Good(row) => batch.push(row),
        }
        if batch.len() == args.batch as usize {
            sender.send(&batch, &mut talk)?;
            batch.clear();
            bar.set_position(rows.position());
        }
    }
    sender.send(&batch, &mut Talk { context, bar, args })
}

fn choose_ledger(client: &mut Client, args: &ImportArgs) -> Result<Ledger, CliError> {
    if args.create_ledger {
        return create_ledger(client, args);
    }
    let ledger = names::resolve_ledger(&client.ledgers()?, &args.currency)?;
    match args.scale {
        Some(scale) if scale != ledger.scale => Err(CliError::Usage(format!(
            "{} has {} decimal places, not {scale}; leave --scale away, or register another ledger",
            ledger.currency, ledger.scale
        ))),
        _ => Ok(ledger),
    }
}

fn create_ledger(client: &mut Client, args: &ImportArgs) -> Result<Ledger, CliError> {
    let (currency, number) = match args.currency.split_once(':') {
        Some((currency, number)) => {
            let parsed = number.parse::<u32>().ok().filter(|number| *number != 0);
            let text = || CliError::Usage(format!("`{number}` is not the number of a ledger"));
            (currency, Some(parsed.ok_or_else(text)?))
        }
        None => (args.currency.as_str(), None),
    };
    if names::is_number(currency) {
        let text = "--create-ledger needs a currency: write --currency USD or --currency USD:7";
        return Err(CliError::Usage(text.to_owned()));
    }
    // clap lets --create-ledger pass only together with --scale.
    let wish = Wish { number, scale: args.scale.unwrap_or(0), currency, name: None };
    let (record, _) = register(client, &wish)?;
    Ok(Ledger::from(&record))
}

fn finish(
    context: &mut Context,
    client: &mut Client,
    ledger: &Ledger,
    tally: &Tally,
    failure: Option<CliError>,
) -> Result<u8, CliError> {
    let row = match failure {
        Some(_) => None,
        None => client.trial_balance()?.into_iter().find(|row| row.ledger == ledger.number),
    };
    let output = &mut context.output;
    if output.is_json() {
        output.json(&tally.json(ledger, row.as_ref(), failure.as_ref()))?;
    } else {
        tally.show(output, ledger, row.as_ref())?;
    }
    if let Some(error) = failure {
        return Err(CliError::failed(
            error.exit_code(),
            format!(
                "{error}. The import is not complete; run the same command again: nothing moves twice"
            ),
        ));
    }
    let is_balanced = row.is_none_or(|row| row.is_balanced());
    let is_good = tally.bad == 0 && tally.refused_count() == 0 && is_balanced;
    Ok(if is_good { exit::OK } else { exit::PROBLEM })
}
