//! `mizan import`: transfers from a CSV or TSV file, in any number of attempts, each counted once.
//!
//! Invariants: the file is read as a stream, and of it only the set of account ids is kept; ids come from the file's
//! text alone, so that the same file gives the same ids for ever; a line is imported, or counted as there already, or
//! reported with a reason, never silently left out; a transfer whose accounts are missing is not sent, because that
//! would spend its id; a signal ends the import between two requests, after what is in flight was counted.
//!
//! What is absent: fields that contain line breaks, and changes of sign, of currency, or of anything else that the file says.

mod columns;
mod record;
mod report;
mod rows;
mod sender;

use crate::Context;
use crate::args::ImportArgs;
use crate::connection::with_session;
use crate::error::CliError;
use crate::exit;
use crate::names::{self, Ledger};
use crate::signals::{INTERRUPTED, Signals};
use crate::verbs::create::{Wish, register};
use indicatif::ProgressBar;
use mizan_client::Client;
use report::Tally;
use rows::{Line, Rows};
use sender::{Plan, Sender};
use std::sync::{Mutex, PoisonError};

/// Held by the import that listens to signals: one verb at a time may do that, and a program that embeds this one may
/// start several.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs the verb; exit 1 if there were bad or refused lines.
///
/// # Errors
/// The line makes no sense, the file cannot be read, the node cannot be asked, or a signal came. What was imported until
/// then is reported all the same, and running the command again continues.
pub fn run(context: &mut Context, args: &ImportArgs) -> Result<u8, CliError> {
    let mut rows = Rows::open(args)?;
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // Held until the session is closed; before it is open, a signal may simply end the process.
    let mut signals = None;
    with_session(context, &args.connect, |context, client| {
        let signals = signals.insert(Signals::install()?);
        let ledger = choose_ledger(client, args)?;
        let plan = Plan::new(args, &ledger);
        let bar = context.output.progress(rows.size(), "importing");
        let mut sender = Sender::new(client, &plan);
        let mut talk = Talk { context: &mut *context, bar: &bar, args };
        let fed = feed(&mut talk, &mut rows, &ledger, &mut sender, signals);
        // Whatever went wrong, what is in flight is counted before the report.
        let drained = sender.finish(&mut talk);
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
    talk: &mut Talk<'_>,
    rows: &mut Rows,
    ledger: &Ledger,
    sender: &mut Sender<'_>,
    signals: &Signals,
) -> Result<(), CliError> {
    let batch_size = talk.args.batch as usize;
    let mut batch = Vec::with_capacity(batch_size);
    loop {
        let line = rows.next(ledger.scale)?;
        // After the reading: a signal that also ended whoever writes the input may have cut its last line short.
        signals.check()?;
        let Some(line) = line else { break };
        sender.tally.lines += 1;
        match line {
            Line::Bad { line, reason } => {
                sender.tally.bad += 1;
                talk.line(&mut sender.tally, line, &reason)?;
            }
            Line::Good(row) => batch.push(row),
        }
        if batch.len() == batch_size {
            sender.send(&batch, talk)?;
            batch.clear();
            talk.bar.set_position(rows.position());
        }
    }
    sender.send(&batch, talk)
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
        return Err(incomplete(&error));
    }
    let is_balanced = row.is_none_or(|row| row.is_balanced());
    let is_good = tally.bad == 0 && tally.refused_count() == 0 && is_balanced;
    Ok(if is_good { exit::OK } else { exit::PROBLEM })
}

/// What an import that ended early says last, and its exit code.
fn incomplete(error: &CliError) -> CliError {
    let code = error.exit_code();
    if code == INTERRUPTED {
        let text = "stopped: run the same command again, nothing moves twice";
        return CliError::failed(code, text);
    }
    let what = error.to_string();
    let what = what.trim_end_matches('.');
    CliError::failed(
        code,
        format!(
            "{what}. The import is not complete; run the same command again: nothing moves twice"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_an_import_is_one_sentence_whether_or_not_it_came_with_a_full_stop() {
        for said in ["the disk is full. Reads go on.", "the disk is full. Reads go on"] {
            let error = incomplete(&CliError::failed(exit::RESOURCE, said));
            assert_eq!(error.exit_code(), exit::RESOURCE);
            let text = error.to_string();
            assert!(text.starts_with("the disk is full. Reads go on. The import"), "{text}");
        }
    }

    #[test]
    fn an_import_that_was_stopped_says_how_to_go_on() {
        let error = incomplete(&CliError::failed(INTERRUPTED, "stopped by a signal"));
        assert_eq!(error.exit_code(), INTERRUPTED);
        assert!(error.to_string().starts_with("stopped: run the same command again"), "{error}");
    }
}
