//! `mizan import`: transfers from a CSV or TSV file, in any number of attempts, each counted once.
//!
//! Invariants: the file is read as a stream, once to look at it and once to send it, byte for byte the same, and of it
//! only the set of account ids is kept; ids come from the file's text alone, so that the same file gives the same ids for
//! ever; a line is imported, or counted as there already or as left out, or reported with a reason, never silently passed over; nothing behind a line that hides where the next
//! record begins is paid; a transfer whose accounts are missing is not sent, because that would spend its id; a signal
//! ends the import between two requests, after what is in flight was counted.
//!
//! What is absent: names, memos and dates in the log: they are looked at and dropped.

mod columns;
mod dates;
mod earlier;
mod guard;
mod ledgers;
mod record;
mod rejects;
mod report;
mod rows;
mod sender;
mod source;
mod survey;

use crate::Context;
use crate::args::ImportArgs;
use crate::connection::{with_reader, with_session};
use crate::error::CliError;
use crate::exit;
use crate::signals::{INTERRUPTED, Signals};
use indicatif::ProgressBar;
use ledgers::Ledgers;
use mizan_client::{Client, ClientError};
use mizan_wire::Operation;
use rejects::{Kept, Rejects};
use report::Tally;
use rows::{Line, Row, Rows};
use sender::{Plan, Sender};
use source::Source;
use std::sync::{Mutex, PoisonError};
use survey::Survey;

/// Held by the import that listens to signals: one verb at a time may do that, and a program that embeds this one may
/// start several.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Bytes of lines in one request at the most, so that long lines do not fill the memory.
const BATCH_SIZE_MAX: usize = 4 << 20;

/// Runs the verb; exit 1 if there were bad or refused lines.
///
/// # Errors
/// The line makes no sense, the file cannot be read, the node cannot be asked, or a signal came. What was imported until
/// then is reported all the same, and running the command again continues.
pub fn run(context: &mut Context, args: &ImportArgs) -> Result<u8, CliError> {
    if args.dry_run {
        return dry_run(context, args);
    }
    let has_expectations = args.expect_count.is_some() || !args.expect_sum.is_empty();
    check_namespace(args)?;
    let source = Source::open(args)?;
    // What is wrong with file or columns is told before any node is asked.
    let rows = Rows::open(args, &source)?;
    let rejects = args.rejects.as_deref();
    let rejects = rejects.map(|path| Rejects::create(path, &rows, args)).transpose()?;
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // Held until the session is closed; before it is open, a signal may simply end the process.
    let mut signals = None;
    with_session(context, &args.connect, |context, client| {
        let signals = signals.insert(Signals::install()?);
        let mut ledgers = Ledgers::choose(client, args)?;
        let mut rows = rows;
        if has_expectations {
            check_expectations(context, args, &source, &ledgers, signals)?;
        }
        ledgers.create(client, args)?;
        let plan = Plan::new(args, &ledgers)?;
        let mut sender = Sender::new(client, &plan, Tally::of(&ledgers));
        let bar = context.output.progress(source.size(), "looking up");
        let mut talk = Talk { context: &mut *context, bar: &bar, args, rejects: None };
        let looked_up = earlier::refuse(&mut sender, &mut talk, &source, &ledgers, signals);
        bar.finish_and_clear();
        looked_up?;
        let bar = context.output.progress(source.size(), "importing");
        let mut talk = Talk { context: &mut *context, bar: &bar, args, rejects };
        let fed = feed(&mut talk, &mut rows, &ledgers, &mut sender, signals);
        // Whatever went wrong, what is in flight is counted before the report.
        let drained = sender.finish(&mut talk);
        bar.finish_and_clear();
        let rejects = talk.rejects.take();
        let tally = sender.into_tally();
        let rejects = rejects.map(|rejects| (rejects, rows.width_with_columns()));
        let failure = fed.and(drained).err();
        Ending { ledgers: &ledgers, tally, rejects, failure }.show(context, client)
    })
}

/// `a/b` before `c` would be the namespace `a` before `b/c`: two payments with one id.
fn check_namespace(args: &ImportArgs) -> Result<(), CliError> {
    match args.id_namespace.as_deref().filter(|namespace| namespace.contains('/')) {
        None => Ok(()),
        Some(namespace) => Err(CliError::Usage(format!(
            "--id-namespace is `{namespace}`: `/` stands between a namespace and an id, so no namespace may contain it"
        ))),
    }
}

fn dry_run(context: &mut Context, args: &ImportArgs) -> Result<u8, CliError> {
    check_namespace(args)?;
    let source = Source::open(args)?;
    let ledgers = with_reader(context, &args.connect, |_, client| Ledgers::choose(client, args))?;
    let plan = Plan::new(args, &ledgers)?;
    let bar = context.output.progress(source.size(), "reading");
    let mut talk = Talk { context: &mut *context, bar: &bar, args, rejects: None };
    let survey = Survey::of(&mut talk, &source, &ledgers, &plan, true, None);
    bar.finish_and_clear();
    let mut survey = survey?;
    // By a connection of its own: the file may have taken long.
    let missing = with_reader(context, &args.connect, |_, client| {
        let accounts = survey.accounts();
        let size_max = client.events_max_of(Operation::LookupAccounts).max(1) as usize;
        let mut missing = accounts.len() as u64;
        for ids in accounts.chunks(size_max) {
            missing = missing.saturating_sub(client.lookup_accounts(ids)?.len() as u64);
        }
        Ok(missing)
    })?;
    survey.set_missing_accounts(missing);
    let code = survey.show(&mut context.output, args, &ledgers)?;
    survey.check(args, &ledgers).map(|()| code)
}

fn check_expectations(
    context: &mut Context,
    args: &ImportArgs,
    source: &Source,
    ledgers: &Ledgers,
    signals: &Signals,
) -> Result<(), CliError> {
    let bar = context.output.progress(source.size(), "reading");
    let mut talk = Talk { context, bar: &bar, args, rejects: None };
    let plan = Plan::new(args, ledgers)?;
    let survey = Survey::of(&mut talk, source, ledgers, &plan, false, Some(signals));
    bar.finish_and_clear();
    survey?.check(args, ledgers)
}

/// Reports single lines without tearing the progress bar, and keeps those that may be mended.
struct Talk<'a> {
    context: &'a mut Context,
    bar: &'a ProgressBar,
    args: &'a ImportArgs,
    rejects: Option<Rejects>,
}

impl Talk<'_> {
    /// Says what is wrong with a line, unless enough has been said, and keeps it if there is a file for that.
    fn reject(
        &mut self,
        tally: &mut Tally,
        line: u64,
        reason: &str,
        kept: Option<&Kept>,
        is_spent: bool,
    ) -> Result<(), CliError> {
        tally.say(line, reason, self.args.report);
        if let (Some(rejects), Some(kept)) = (&mut self.rejects, kept) {
            rejects.add(line, reason, kept, is_spent)?;
        }
        self.say(tally.said as u64, line, reason)
    }

    /// Says what is wrong with the line that is the `count`th of its kind, unless enough has been said.
    fn say(&mut self, count: u64, line: u64, reason: &str) -> Result<(), CliError> {
        if count > self.args.report as u64 {
            return Ok(());
        }
        self.bar.suspend(|| self.context.output.note(format!("line {line}: {reason}")))
    }
}

fn feed(
    talk: &mut Talk<'_>,
    rows: &mut Rows,
    ledgers: &Ledgers,
    sender: &mut Sender<'_>,
    signals: &Signals,
) -> Result<(), CliError> {
    let batch_size = talk.args.batch as usize;
    let mut batch: Vec<Row> = Vec::with_capacity(batch_size);
    let mut bytes = 0;
    loop {
        let line = rows.next(ledgers)?;
        // After the reading: a signal that also ended whoever writes the input may have cut its last line short.
        signals.check()?;
        let Some(line) = line else { break };
        sender.tally.lines += 1;
        match line {
            Line::Bad { line, reason, kept } => {
                sender.tally.bad += 1;
                talk.reject(&mut sender.tally, line, &reason, kept.as_ref(), false)?;
            }
            Line::LeftOut => sender.tally.left_out += 1,
            Line::Stop { line, reason } => {
                sender.tally.bad += 1;
                talk.reject(&mut sender.tally, line, &reason, None, false)?;
                sender.send(batch, talk)?;
                return Err(stopped(line, &reason));
            }
            Line::Good(row) => {
                bytes += row.size + row.kept.as_ref().map_or(0, Kept::size);
                batch.push(row);
            }
        }
        if batch.len() == batch_size || bytes >= BATCH_SIZE_MAX {
            let rows_of_batch = std::mem::replace(&mut batch, Vec::with_capacity(batch_size));
            bytes = 0;
            sender.send(rows_of_batch, talk)?;
            talk.bar.set_position(rows.position());
        }
    }
    sender.send(batch, talk)
}

/// Why nothing behind a line was looked at.
fn stopped(line: u64, reason: &str) -> CliError {
    let more = if reason == rows::CUT {
        "it was not read, because whoever wrote it may not have come to its end. Get the whole file or, if it is complete, say --no-final-newline"
    } else {
        "nothing behind it was read, because nobody knows where the next record begins. Mend the line"
    };
    CliError::Problem(format!("line {line}: {reason}: {more}"))
}

/// How an import ended.
struct Ending<'a> {
    ledgers: &'a Ledgers,
    tally: Tally,
    /// With the number of the file's columns.
    rejects: Option<(Rejects, usize)>,
    failure: Option<CliError>,
}

impl Ending<'_> {
    fn show(self, context: &mut Context, client: &mut Client) -> Result<u8, CliError> {
        let Self { ledgers, tally, rejects, failure } = self;
        let balance = match failure {
            Some(_) => Vec::new(),
            None => client.trial_balance()?,
        };
        let has_rejects = rejects.is_some();
        let (in_file, left_away) =
            rejects.as_ref().map_or((0, 0), |(file, _)| (file.count, file.left_away));
        // An incomplete import writes none: the same import again finds the same lines.
        let rejects = match (rejects, &failure) {
            (Some((rejects, width)), None) => rejects.finish(width),
            _ => Ok(None),
        };
        let output = &mut context.output;
        if output.is_json() {
            let mut report = tally.json(ledgers, &balance, failure.as_ref());
            report["rejects"] = if failure.is_none() { in_file.into() } else { 0.into() };
            output.json(&report)?;
        } else {
            tally.show(output, ledgers, &balance)?;
        }
        if let Some(error) = failure {
            return Err(incomplete(&error));
        }
        if let Some(said) = rejects? {
            output.note(said)?;
        }
        if left_away > 0 {
            output.note(format!("{left_away} overlong lines are not among the rejects"))?;
        }
        if tally.spent > 0 && !has_rejects {
            output.note(format!(
                "{} of the refused lines can be paid as another attempt: mend the cause, run the same command again with --rejects FILE, and import that file; leave the ids as they are",
                tally.spent
            ))?;
        }
        let is_balanced = tally.balances(ledgers, &balance).all(|(_, row)| row.is_balanced());
        let is_good = tally.bad == 0 && tally.refused_count() == 0 && is_balanced;
        Ok(if is_good { exit::OK } else { exit::PROBLEM })
    }
}

/// What an import that ended early says last, and its exit code.
fn incomplete(error: &CliError) -> CliError {
    let code = error.exit_code();
    if matches!(error, CliError::Client(ClientError::SessionLost)) {
        let text = "the node closed the session of this import (`mizan sessions close` does that, or it was idle for long), so nobody knows what became of the lines in flight: run the same command again, nothing moves twice";
        return CliError::failed(code, text);
    }
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
