//! The book of this project beside other order books, in one run, in turns.
//!
//! `cargo run --release --manifest-path bench/peers/Cargo.toml --bin books -- --help`; README.md says how to read it.
//!
//! Invariants: every book gets the same messages, and its reports go through the same ring to a second core, which
//! hashes them before the clock stops; whose trades are not the same, one by one, ends the program with an error.
//! No time is ever asserted.
#![forbid(unsafe_code)]

mod lobster;
mod orderbook_rs;
mod peer;

#[path = "../../../engine/examples/books/flow.rs"]
mod flow;
#[path = "../../../engine/examples/books/sink.rs"]
mod sink;

use clap::{Parser, ValueEnum};
use flow::{Amends, Message, Scenario, make_messages};
use mizan_engine::books::{Book, ReportSink};
use mizan_ring::RingOptions;
use mizan_wire::orders::{BookCapacity, BookCommand, BookRules, OrderReport};
use peer::Adapter;
use serde::Serialize;
use sink::{RingSink, Totals, drain};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const CAPACITY: BookCapacity = BookCapacity { orders_max: 1 << 18, levels_max: 1 << 16 };
const RING_CELLS: usize = 1 << 12;
/// Messages between the first look at a message and its execution, for a book that can look.
const LOOK_AHEAD: usize = 8;

/// The book of this project beside other order books: the same messages, the same trades.
#[derive(Debug, Parser)]
struct Options {
    /// How the middle of the market moves; may be given several times.
    #[arg(long, default_values = ["static", "swinging", "flash-crash"])]
    scenario: Vec<String>,
    /// Rounds; in each, every book runs every scenario once.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only the first so many messages.
    #[arg(long)]
    messages: Option<usize>,
    /// Only this rival; ours always runs.
    #[arg(long, value_enum)]
    rival: Option<Rival>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Rival {
    /// This project's.
    Ours,
    /// Single-threaded; arena, `BTreeMap` of queues.
    Lobster,
    /// Concurrent; skip list of levels.
    OrderbookRs,
}

const RIVALS: [Rival; 3] = [Rival::Ours, Rival::Lobster, Rival::OrderbookRs];

#[derive(Debug, Serialize)]
struct Row {
    scenario: String,
    book: Rival,
    messages: usize,
    trades: u64,
    rounds: usize,
    messages_per_s_median: f64,
    messages_per_s_min: f64,
    messages_per_s_max: f64,
    /// The median of the ratios of the rounds: above 1, ours was faster.
    ours_to_this: f64,
}

/// What every book can do.
trait Matcher {
    fn look_ahead(&self, message: &Message);
    fn execute<S: ReportSink>(&mut self, message: &Message, sink: &mut S);
}

impl Matcher for Book {
    #[inline]
    fn look_ahead(&self, message: &Message) {
        self.prefetch_slot(message.slot);
    }

    #[inline]
    fn execute<S: ReportSink>(&mut self, message: &Message, sink: &mut S) {
        match message.command() {
            BookCommand::Submit(new) => self.submit(&new, sink),
            BookCommand::Amend(amend) => self.amend(&amend, sink),
            BookCommand::Cancel(cancel) => self.cancel(&cancel, sink),
            other => self.apply(&other, sink),
        }
    }
}

/// One timed run: the caller's thread matches, another one hashes.
fn timed(mut matcher: impl Matcher, messages: &[Message]) -> Result<(Duration, Totals), String> {
    let ring = RingOptions::new(RING_CELLS).allocate(OrderReport::default());
    let mut setup = ring.map_err(|error| format!("the ring cannot be made: {error}"))?;
    let mut consumer = setup.consumer("hash").add();
    let producer = setup.single_producer();
    let mut sink = RingSink::new(producer.map_err(|error| format!("no producer: {error}"))?);
    let hashing = std::thread::spawn(move || drain(&mut consumer));
    let start = Instant::now();
    for (index, message) in messages.iter().enumerate() {
        if let Some(later) = messages.get(index + LOOK_AHEAD) {
            matcher.look_ahead(later);
        }
        matcher.execute(message, &mut sink);
    }
    sink.finish();
    let totals = hashing.join().map_err(|_| "the hashing thread has panicked".to_owned())?;
    Ok((start.elapsed(), totals))
}

fn run(rival: Rival, messages: &[Message]) -> Result<(Duration, Totals), String> {
    match rival {
        Rival::Ours => timed(new_book()?, messages),
        Rival::Lobster => timed(Adapter::new(lobster::Lobster::new(), messages.len()), messages),
        Rival::OrderbookRs => {
            timed(Adapter::new(orderbook_rs::OrderbookRs::new(), messages.len()), messages)
        }
    }
}

fn new_book() -> Result<Book, String> {
    let book = Book::new(BookRules::unlimited(CAPACITY), CAPACITY);
    book.map_err(|error| format!("the book cannot be made: {error}"))
}

fn main() -> ExitCode {
    let options = Options::parse();
    match measure(&options) {
        Ok(rows) if options.json => match serde_json::to_string_pretty(&rows) {
            Ok(text) => println!("{text}"),
            Err(error) => return fail(&error.to_string()),
        },
        Ok(rows) => print(&rows),
        Err(error) => return fail(&error),
    }
    ExitCode::SUCCESS
}

fn fail(error: &str) -> ExitCode {
    eprintln!("books: {error}");
    ExitCode::FAILURE
}

fn measure(options: &Options) -> Result<Vec<Row>, String> {
    if options.rounds == 0 {
        return Err("there is nothing to do: choose rounds above zero".to_owned());
    }
    let rivals: Vec<Rival> = RIVALS
        .into_iter()
        .filter(|rival| {
            *rival == Rival::Ours || options.rival.is_none_or(|wanted| wanted == *rival)
        })
        .collect();
    let mut rows = Vec::new();
    for name in &options.scenario {
        let scenario = Scenario::ALL.into_iter().find(|scenario| scenario.name() == name);
        let scenario = scenario.ok_or_else(|| format!("there is no scenario `{name}`"))?;
        let mut messages = make_messages(scenario, Amends::LosingTheirPlace, new_book()?);
        messages.truncate(options.messages.unwrap_or(usize::MAX));
        rows.extend(measure_one(name, &messages, &rivals, options.rounds)?);
    }
    Ok(rows)
}

fn measure_one(
    scenario: &str,
    messages: &[Message],
    rivals: &[Rival],
    rounds: usize,
) -> Result<Vec<Row>, String> {
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); rivals.len()];
    let (_, truth) = run(Rival::Ours, messages)?;
    for round in 0..rounds {
        for turn in 0..rivals.len() {
            // Everybody is first once, so that nobody always runs behind the same neighbour.
            let index = (turn + round) % rivals.len();
            let (time, totals) = run(rivals[index], messages)?;
            let told = |totals: &Totals| {
                (totals.reports, totals.trades, totals.volume, totals.trade_digest)
            };
            if told(&totals) != told(&truth) {
                let rival = rivals[index];
                return Err(format!("{rival:?} trades otherwise: {totals:?} and not {truth:?}"));
            }
            times[index].push(time.as_secs_f64());
        }
    }
    let median = |mut values: Vec<f64>| {
        values.sort_unstable_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let row = |(rival, own): (&Rival, &Vec<f64>)| {
        let rates: Vec<f64> = own.iter().map(|time| messages.len() as f64 / time).collect();
        Row {
            scenario: scenario.to_owned(),
            book: *rival,
            messages: messages.len(),
            trades: truth.trades,
            rounds,
            messages_per_s_median: median(rates.clone()),
            messages_per_s_min: rates.iter().copied().fold(f64::INFINITY, f64::min),
            messages_per_s_max: rates.iter().copied().fold(0.0, f64::max),
            ours_to_this: median(own.iter().zip(&times[0]).map(|(own, ours)| own / ours).collect()),
        }
    };
    Ok(rivals.iter().zip(&times).map(row).collect())
}

fn print(rows: &[Row]) {
    println!(
        "scenario     book           messages    trades  M messages/s (min to max)  ours / this"
    );
    for row in rows {
        let millions = |rate: f64| rate / 1e6;
        println!(
            "{:<12} {:<12} {:>10} {:>9}  {:>7.3} ({:.3} to {:.3}) {:>12.2}",
            row.scenario,
            format!("{:?}", row.book),
            row.messages,
            row.trades,
            millions(row.messages_per_s_median),
            millions(row.messages_per_s_min),
            millions(row.messages_per_s_max),
            row.ours_to_this
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_book_makes_the_same_trades_and_as_many_reports_in_every_scenario() {
        for scenario in Scenario::ALL {
            let mut messages =
                make_messages(scenario, Amends::LosingTheirPlace, new_book().unwrap());
            messages.truncate(60_000);
            let rows = measure_one(scenario.name(), &messages, &RIVALS, 1).unwrap();
            assert!(rows.iter().all(|row| row.trades > 1_000), "{rows:?}");
        }
    }
}
