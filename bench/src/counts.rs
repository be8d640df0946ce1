//! The gate: instruction counts that were recorded in the tree, and those of now.
//!
//! Invariants: every benchmark has a line in [`MEASURED`], which says what its count is divided by, and a recorded count;
//! a count that grew by more than the tolerance, and by more than a few instructions, fails. A count that fell is no failure, but should be recorded, or the
//! gate lets it grow back.
//!
//! What is absent: times. Counts say nothing of cache misses, which cost more than instructions in a large ledger.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;
use thiserror::Error;

/// Growth in percent that passes when a file is made anew: another patch release of the compiler moves counts by less.
pub const TOLERANCE_PERCENT: f64 = 3.0;
/// Growth in instructions that passes always: what the compiler inlines moves a short path by that much when some other
/// crate of the program changes.
pub const SLACK_INSTRUCTIONS: u64 = 100;
/// Transfers of a full batch.
const BATCH: u64 = mizan_wire::limits::EVENTS_MAX as u64;
/// Commands to a book in one benchmark.
const COMMANDS: u64 = crate::book::ORDERS as u64;
/// Spans that pass the ring in one benchmark.
pub const SPANS: u64 = 1_024;

/// What a benchmark's count stands for.
#[derive(Debug)]
pub struct Measured {
    /// Group, function and case.
    pub name: &'static str,
    /// What it does, for a table.
    pub what: &'static str,
    /// What the table divides by, in one word.
    pub unit: &'static str,
    /// How many of them a run has.
    pub units: u64,
}

const fn measured(
    name: &'static str,
    what: &'static str,
    unit: &'static str,
    units: u64,
) -> Measured {
    Measured { name, what, unit, units }
}

/// All benchmarks, in the order of the table.
#[rustfmt::skip]
pub const MEASURED: [Measured; 37] = [
    measured("engine::transfers::uniform", "engine: batch of 8,189, 10,000 accounts, uniform", "transfer", BATCH),
    measured("engine::transfers::hot", "engine: the same, all credits to 16 accounts", "transfer", BATCH),
    measured("engine::transfers::one", "engine: batch of 1", "request", 1),
    measured("engine::transfers::pending", "engine: batch of 8,189 holds", "hold", BATCH),
    measured("engine::transfers::posting", "engine: batch of 8,189 that posts holds", "posting", BATCH),
    measured("engine::transfers::linked", "engine: batch of 8,189 in chains of 10", "transfer", BATCH),
    measured("engine::existing::batch", "engine: batch of 8,189 that exist already", "result", BATCH),
    measured("engine::duplicate::created", "engine: a request again, its events were created", "request", 1),
    measured("engine::duplicate::existing", "engine: a request again, 8,189 stored results", "result", BATCH),
    measured("engine::lookup::accounts", "engine: lookup of 8,189 accounts", "account", BATCH),
    measured("engine::lookup::transfers", "engine: lookup of 8,189 transfers", "transfer", BATCH),
    measured("books::commands::rest", "book of 2,000 orders on 80 levels: an order that rests", "order", COMMANDS),
    measured("books::commands::take", "the same: one that trades with one other", "order", COMMANDS),
    measured("books::commands::reduce", "the same: an amend that keeps its place", "amend", COMMANDS),
    measured("books::commands::shift", "the same: an amend to another price", "amend", COMMANDS),
    measured("books::commands::cancel", "the same: a cancel", "cancel", COMMANDS),
    measured("trading::orders::rest", "engine, 10,000 accounts: batch of 8,189 orders that rest", "order", BATCH),
    measured("trading::orders::take", "the same: orders that trade with one other, and settle", "order", BATCH),
    measured("trading::orders::amend", "the same: amends to another price", "amend", BATCH),
    measured("trading::orders::cancel", "the same: cancels by number", "cancel", BATCH),
    measured("trading::orders::cancel_by_client_id", "the same: cancels by client id", "cancel", BATCH),
    measured("ring::single_producer::spans_of_1", "ring, single producer: claim, publish, consume", "cell", SPANS),
    measured("ring::single_producer::spans_of_16", "the same, spans of 16", "cell", SPANS * 16),
    measured("ring::single_producer::spans_of_256", "the same, spans of 256", "cell", SPANS * 256),
    measured("ring::multi_producer::spans_of_1", "ring, multi producer: claim, publish, consume", "cell", SPANS),
    measured("ring::multi_producer::spans_of_16", "the same, spans of 16", "cell", SPANS * 16),
    measured("ring::multi_producer::spans_of_256", "the same, spans of 256", "cell", SPANS * 256),
    measured("wire::encode::events_1", "wire: encode a request of 1 event", "request", 1),
    measured("wire::encode::events_8189", "wire: encode a request of 8,189 events", "event", BATCH),
    measured("wire::decode::events_1", "wire: decode and check a request of 1 event", "request", 1),
    measured("wire::decode::events_8189", "wire: decode and check a request of 8,189 events", "event", BATCH),
    measured("wire::checksum::events_1", "wire: checksum of 128 bytes", "checksum", 1),
    measured("wire::checksum::events_8189", "wire: checksum of 8,189 events", "event", BATCH),
    measured("wire::tag::events_1", "wire: tag of 128 bytes", "tag", 1),
    measured("wire::tag::events_8189", "wire: tag of 8,189 events", "event", BATCH),
    measured("journal::append::events_1", "journal: frame with 1 event, without sync", "frame", 1),
    measured("journal::append::events_8189", "journal: frame with 8,189 events, without sync", "event", BATCH),
];

/// Why counts could not be read, or do not pass.
#[derive(Debug, Error)]
pub enum CountsError {
    /// The framework printed something else than it is known to.
    #[error("the benchmarks printed `{line}`, which holds no count; is gungraun another version?")]
    Output {
        /// The beginning of the line.
        line: String,
    },
    /// A benchmark without a line in [`MEASURED`], or the other way round.
    #[error(
        "benchmarks and the table `MEASURED` differ in: {names}; give each benchmark a line in bench/src/counts.rs"
    )]
    Table {
        /// What is in one of them only.
        names: String,
    },
    /// Counts grew.
    #[error(
        "{names} grew by more than {tolerance} %; find out why, or record the new counts: {RECORD}\nall that changed:\n{changes}"
    )]
    Grown {
        /// A line for each count that changed.
        changes: String,
        /// The benchmarks, with their growth.
        names: String,
        /// What would have passed, in percent.
        tolerance: f64,
    },
    /// Counts were never recorded, or belong to no benchmark any more.
    #[error("the recorded counts do not fit the benchmarks: {names}; record them anew: {RECORD}")]
    Unrecorded {
        /// The benchmarks.
        names: String,
    },
}

/// How new counts are recorded.
pub const RECORD: &str = "cargo run -p mizan-bench --bin instructions -- record";

/// Counts by name.
pub type Counts = BTreeMap<String, u64>;

/// What lies in the tree.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// Growth in percent that passes.
    pub tolerance_percent: f64,
    /// The compiler; another one makes other code.
    pub rustc: String,
    /// The counter.
    pub valgrind: String,
    /// Instructions by benchmark.
    pub instructions: Counts,
}

/// One line of the framework's output: a benchmark.
#[derive(Deserialize)]
struct Line {
    module_path: String,
    id: Option<String>,
    profiles: Vec<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    total: Total,
}

#[derive(Deserialize)]
struct Total {
    metrics: BTreeMap<String, Metric>,
}

#[derive(Deserialize)]
struct Metric {
    values: BTreeMap<String, f64>,
}

impl Line {
    fn name(&self) -> String {
        // The first part is the file, of which there is one.
        let path = self.module_path.split_once("::").map_or("", |(_, path)| path);
        self.id.as_ref().map_or_else(|| path.to_owned(), |id| format!("{path}::{id}"))
    }

    fn instructions(&self) -> Option<u64> {
        let metrics = &self.profiles.first()?.data.total.metrics;
        Some(*metrics.get("Ir")?.values.get("new")? as u64)
    }
}

/// Reads the counts from what the framework printed, one benchmark in JSON per line.
///
/// # Errors
/// A line that is no benchmark; benchmarks that [`MEASURED`] does not know, or that it misses.
pub fn parse(output: &str) -> Result<Counts, CountsError> {
    let mut counts = Counts::new();
    for text in output.lines().filter(|line| !line.trim().is_empty()) {
        let line: Option<Line> = serde_json::from_str(text).ok();
        let count = line.and_then(|line| Some((line.name(), line.instructions()?)));
        let (name, instructions) =
            count.ok_or_else(|| CountsError::Output { line: text.chars().take(120).collect() })?;
        counts.insert(name, instructions);
    }
    let known: Vec<&str> = MEASURED.iter().map(|measured| measured.name).collect();
    let missing = known.iter().filter(|name| !counts.contains_key(**name)).copied();
    let unknown = counts.keys().map(String::as_str).filter(|name| !known.contains(name));
    let names: Vec<&str> = missing.chain(unknown).collect();
    if names.is_empty() { Ok(counts) } else { Err(CountsError::Table { names: names.join(", ") }) }
}

/// Compares; returns a line for each count that changed.
///
/// # Errors
/// Counts that grew by more than the tolerance, or that were not recorded.
pub fn compare(recorded: &Recorded, found: &Counts) -> Result<String, CountsError> {
    let both = recorded.instructions.keys().chain(found.keys());
    let strangers: Vec<&str> = both
        .filter(|name| recorded.instructions.contains_key(*name) != found.contains_key(*name))
        .map(String::as_str)
        .collect();
    if !strangers.is_empty() {
        return Err(CountsError::Unrecorded { names: strangers.join(", ") });
    }
    let (mut changes, mut grown) = (String::new(), Vec::new());
    for (name, found) in found {
        let before = recorded.instructions[name];
        if *found == before {
            continue;
        }
        let percent = growth_percent(before, *found);
        // Writing to a string cannot fail.
        let _ = writeln!(changes, "{name}: {before} -> {found} instructions ({percent:+.2} %)");
        if percent > recorded.tolerance_percent && *found > before + SLACK_INSTRUCTIONS {
            grown.push(format!("{name} ({percent:+.2} %)"));
        }
    }
    if grown.is_empty() {
        return Ok(changes);
    }
    let (names, tolerance) = (grown.join(", "), recorded.tolerance_percent);
    Err(CountsError::Grown { changes, names, tolerance })
}

fn growth_percent(before: u64, found: u64) -> f64 {
    (found as f64 - before as f64) / (before.max(1) as f64) * 100.0
}

/// The counts as a table in Markdown, per unit and in all.
#[must_use]
pub fn table(recorded: &Recorded) -> String {
    let mut text = format!(
        "| what | instructions | per | in all |\n|---|---|---|---|\n\
         | *{}, {}* | | | |\n",
        recorded.rustc, recorded.valgrind
    );
    for measured in &MEASURED {
        let Some(count) = recorded.instructions.get(measured.name) else { continue };
        let each = *count as f64 / measured.units as f64;
        let digits = usize::from(each < 100.0);
        let Measured { what, unit, .. } = measured;
        let _ = writeln!(text, "| {what} | {each:.digits$} | {unit} | {count} |");
    }
    text
}

#[cfg(test)]
mod tests;
