//! How many order messages a second a book alone executes, its reports handed to a second core through a ring.
//!
//! `cargo run --release -p mizan-engine --example books [ROUNDS [SCENARIO [SINK]]]`
//!
//! Two million messages are made beforehand (see `flow`). The clock runs from the first message until the second core
//! has hashed the last report. A plain book of ordered maps (see `rival`) gets the same messages, through the same
//! ring, in turn; its trades must be the same. SINK is `ring`, `count` for one thread whose reports are only counted,
//! which is for counting instructions, and shows what the ring costs:
//! `valgrind --tool=callgrind --toggle-collect='books::execute*' ... 1 static count`.
//! `desk` is as `count`, with orders known by name and every name entered once.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::float_arithmetic)]

mod flow;
mod rival;
mod sink;

use flow::{Amends, Message, Scenario, make_messages};
use mizan_engine::books::{Book, Desk, DeskSink, ReportSink};
use mizan_ring::RingOptions;
use mizan_wire::orders::{BookCapacity, BookCommand, BookRules, OrderReport, ReportKind};
use rival::PlainBook;
use sink::{RingSink, Totals, drain};
use std::time::{Duration, Instant};

const CAPACITY: BookCapacity = BookCapacity { orders_max: 1 << 18, levels_max: 1 << 16 };
const OUTCOMES_MAX: u32 = 1 << 20;
const RING_CELLS: usize = 1 << 12;
/// Messages between the first look at a message and its execution.
const LOOK_AHEAD: usize = 8;

/// What both books do.
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

fn new_book() -> Book {
    Book::new(BookRules::unlimited(CAPACITY), CAPACITY).expect("the rules are sound")
}

#[inline(never)]
fn execute<M: Matcher, S: ReportSink>(matcher: &mut M, messages: &[Message], sink: &mut S) {
    for (index, message) in messages.iter().enumerate() {
        if let Some(later) = messages.get(index + LOOK_AHEAD) {
            matcher.look_ahead(later);
        }
        matcher.execute(message, sink);
    }
}

/// One timed run: the caller's thread matches, another one hashes.
fn timed(mut matcher: impl Matcher, messages: &[Message]) -> (Duration, Totals) {
    let mut setup =
        RingOptions::new(RING_CELLS).allocate(OrderReport::default()).expect("the ring is made");
    let mut consumer = setup.consumer("hash").add();
    let mut sink = RingSink::new(setup.single_producer().expect("the ring has a consumer"));
    let hashing = std::thread::spawn(move || drain(&mut consumer));
    let start = Instant::now();
    execute(&mut matcher, messages, &mut sink);
    sink.finish();
    let totals = hashing.join().expect("the consumer ends in order");
    (start.elapsed(), totals)
}

struct Counting(u64);

impl ReportSink for Counting {
    #[inline]
    fn report(&mut self, report: &OrderReport) {
        self.0 += u64::from(report.is(ReportKind::Trade));
    }
}

impl DeskSink for Counting {
    #[inline]
    fn report(&mut self, report: &OrderReport, _: u128, _: u128) {
        self.0 += u64::from(report.is(ReportKind::Trade));
    }
}

/// The desk, which knows orders by the names that their owners give them.
struct NamedBook(Desk);

impl NamedBook {
    fn new() -> Self {
        let rules = BookRules::unlimited(CAPACITY);
        Self(Desk::new(rules, CAPACITY, OUTCOMES_MAX, 42).expect("the rules are sound"))
    }

    #[inline(never)]
    fn execute_all(&mut self, messages: &[Message], sink: &mut Counting) {
        for message in messages {
            let name = u128::from(message.number);
            match message.command() {
                BookCommand::Submit(new) => {
                    self.0.submit(name, &new, sink);
                }
                BookCommand::Amend(amend) => self.0.amend(name, &amend, sink),
                BookCommand::Cancel(cancel) => self.0.cancel(cancel.owner, name, sink),
                other => self.0.apply(&other, sink),
            }
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().map_or(5, |text| text.parse().expect("ROUNDS is a number"));
    let wanted = arguments.next();
    let sink = arguments.next().unwrap_or_else(|| "ring".to_owned());
    let is_wanted = |scenario: &&Scenario| {
        wanted.as_deref().is_none_or(|name| name == "all" || name == scenario.name())
    };
    for scenario in Scenario::ALL.iter().filter(is_wanted) {
        let messages = make_messages(*scenario, Amends::Any, new_book());
        if sink != "ring" {
            count(*scenario, &messages, rounds, sink == "desk");
        } else {
            compare(*scenario, &messages, rounds);
        }
    }
}

/// Timed runs on this thread alone.
fn count(scenario: Scenario, messages: &[Message], rounds: usize, is_desk: bool) {
    let mut times = Vec::new();
    let mut sink = Counting(0);
    for _ in 0..rounds {
        let (mut book, mut desk) = (new_book(), is_desk.then(NamedBook::new));
        let start = Instant::now();
        match &mut desk {
            Some(desk) => desk.execute_all(messages, &mut sink),
            None => execute(&mut book, messages, &mut sink),
        }
        times.push(start.elapsed());
    }
    let trades = sink.0 / rounds as u64;
    println!("{}: {} messages, {trades} trades", scenario.name(), messages.len());
    print_rates("  one thread", &mut times, messages.len());
}

fn compare(scenario: Scenario, messages: &[Message], rounds: usize) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut digest = None;
    for _ in 0..rounds {
        let (time, totals) = timed(new_book(), messages);
        assert_eq!(*digest.get_or_insert(totals.digest), totals.digest, "two runs differ");
        ours.push(time);
        let (time, plain) = timed(PlainBook::default(), messages);
        let told = |totals: &Totals| (totals.trades, totals.volume, totals.trade_digest);
        assert_eq!(told(&plain), told(&totals), "trades differ");
        theirs.push(time);
        if ours.len() == rounds {
            println!(
                "{}: {} messages, {} reports, {} trades, digest {:032x}",
                scenario.name(),
                messages.len(),
                totals.reports,
                totals.trades,
                totals.digest
            );
        }
    }
    print_rates("  book     ", &mut ours, messages.len());
    print_rates("  BTreeMap ", &mut theirs, messages.len());
}

fn print_rates(name: &str, times: &mut [Duration], count: usize) {
    times.sort_unstable();
    let rate = |time: Duration| count as f64 / time.as_secs_f64() / 1e6;
    let (best, worst) = (times[0], times[times.len() - 1]);
    let median = times[times.len() / 2];
    println!(
        "{name} n {}: median {:.2} M messages/s ({:.1} ns each), {:.2} to {:.2}",
        times.len(),
        rate(median),
        median.as_secs_f64() * 1e9 / count as f64,
        rate(worst),
        rate(best),
    );
}
