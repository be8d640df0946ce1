//! `mizan demo`: the main job in acts, on a real node in a process of its own, ending in one table.
//!
//! Invariants: every act checks what it shows, and says so in the table; what is typed is shown as a command that
//! works; any check that fails makes the exit code 1; the node and its files are gone afterwards, whatever happens.
//!
//! What is absent: anything that only the demonstration could do. The acts use the verbs, the client and the files.

mod acts;
mod failover;

use crate::Context;
use crate::args::DemoArgs;
use crate::error::CliError;
use crate::exit;
use crate::files::count_text;
use crate::output::{Output, Table};
use crate::scratch::{ScratchNode, ScratchOptions};
use crate::signals::Signals;
use crate::verbs::{bench, dev};
use mizan_node::FormatOptions;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Instant;

/// Room for accounts, and for transfers besides those of the loads.
const SPARE: u64 = 100_000;

/// Log entries between two digests: a demonstration has few entries, and its digests shall be seen.
const DIGEST_INTERVAL: u32 = 32;

/// One act: what it showed, and whether it was as it must be.
pub(crate) struct Act {
    name: &'static str,
    outcome: String,
    figures: Value,
    is_right: bool,
}

/// What the acts share.
pub(crate) struct Stage<'a> {
    output: &'a mut Output,
    signals: &'a Signals,
    node: ScratchNode,
    seed: u64,
    transfers: u64,
}

type Play = fn(&mut Stage<'_>) -> Result<Vec<Act>, CliError>;

/// The acts in their order.
const PLAYS: [Play; 7] = [
    acts::start,
    acts::payments,
    acts::market,
    acts::load,
    acts::crash,
    acts::verify,
    failover::take_over,
];

/// Runs the verb.
///
/// # Errors
/// No room for a scratch node, a signal, or a failure that leaves nothing to show.
pub fn run(context: &mut Context, args: &DemoArgs) -> Result<u8, CliError> {
    let begin = Instant::now();
    let signals = Signals::install()?;
    let seed = args.seed.unwrap_or_else(bench::fresh_seed);
    let node = ScratchNode::format(ScratchOptions {
        limits: limits(args.transfers),
        data: None,
        keep: args.keep,
        layout: None,
    })?;
    let output = &mut context.output;
    let transfers = args.transfers;
    let mut stage = Stage { output, signals: &signals, node, seed, transfers };
    let mut shown = Vec::new();
    let failure = PLAYS.iter().try_for_each(|play| {
        signals.check()?;
        shown.extend(play(&mut stage)?);
        Ok::<(), CliError>(())
    });
    let Stage { output, node, .. } = stage;
    if args.keep {
        output.note(format!("the files stay in {}", node.data().display()))?;
    }
    drop(node);
    let is_right = failure.is_ok() && shown.iter().all(|act| act.is_right);
    let seconds = begin.elapsed().as_secs_f64();
    if output.is_json() {
        output.json(&as_json(&shown, is_right, seed, seconds))?;
    } else {
        output.line("")?;
        output.table(&table(&shown))?;
        output.line("")?;
        let verdict = match (&failure, is_right) {
            (Err(_), _) => "ended before the last act",
            (Ok(()), true) => "everything held",
            (Ok(()), false) => "something did not hold",
        };
        output.line(format!("{verdict}; {seconds:.1} s, seed {seed}"))?;
    }
    failure?;
    Ok(if is_right { exit::OK } else { exit::PROBLEM })
}

fn limits(transfers: u64) -> FormatOptions {
    FormatOptions {
        account_count_max: SPARE,
        transfer_count_max: transfers.saturating_mul(2).saturating_add(SPARE),
        hold_count_max: SPARE,
        session_count_max: 64,
        digest_interval: DIGEST_INTERVAL,
        trading: Some(dev::TRADING),
        ..FormatOptions::new("")
    }
}

fn table(acts: &[Act]) -> Table {
    let mut table = Table::new(&["act", "", "what was seen"], 3);
    for act in acts {
        let mark = if act.is_right { "ok" } else { "WRONG" };
        table.row([act.name.to_owned(), mark.to_owned(), act.outcome.clone()]);
    }
    table
}

fn as_json(acts: &[Act], is_right: bool, seed: u64, seconds: f64) -> Value {
    let acts: Vec<Value> = acts
        .iter()
        .map(|act| {
            json!({
                "act": act.name,
                "ok": act.is_right,
                "outcome": act.outcome,
                "figures": act.figures,
            })
        })
        .collect();
    json!({ "ok": is_right, "seed": seed, "duration_s": seconds, "acts": acts })
}

/// What a verb wrote, and its exit code.
pub(crate) struct Said {
    code: u8,
    text: String,
}

#[derive(Clone, Default)]
struct Memory(Rc<RefCell<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stage<'_> {
    /// Runs a verb as if it had been typed, against the scratch node, and shows both.
    pub(crate) fn type_line(&mut self, line: &str) -> Result<Said, CliError> {
        self.say(format!("$ mizan {line}"))?;
        let memory = Memory::default();
        let mut output = Output::new(Box::new(memory.clone()), Box::new(memory.clone()));
        let address = self.node.address().to_string();
        let environment =
            Rc::new(move |name: &str| (name == "MIZAN_ADDRESS").then(|| address.clone()));
        let words = std::iter::once("mizan").chain(line.split_whitespace()).map(Into::into);
        let code = crate::run_with(words, environment, &mut output);
        let text = String::from_utf8_lossy(&memory.0.borrow()).into_owned();
        text.lines().try_for_each(|line| self.say(format!("  {line}")))?;
        Ok(Said { code, text })
    }

    /// Shows a line, unless the output is JSON.
    pub(crate) fn say(&mut self, text: impl AsRef<str>) -> Result<(), CliError> {
        if self.output.is_json() { Ok(()) } else { self.output.line(text) }
    }

    /// Begins an act.
    pub(crate) fn headline(&mut self, text: &str) -> Result<(), CliError> {
        self.say("")?;
        self.say(format!("== {text}"))
    }

    /// The most transfers of the load that is crashed.
    pub(crate) const fn crash_transfers_max(&self) -> u64 {
        self.transfers / 2
    }
}

/// A count with its noun.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}", count_text(count))
}
