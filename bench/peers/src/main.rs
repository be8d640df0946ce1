//! The ring of this project beside other rings, in one run, in turns.
//!
//! `cargo run --release --manifest-path bench/peers/Cargo.toml -- --help`; README.md says how to read the table.
//!
//! Invariants: rounds alternate between the rivals, so that a neighbour's load falls on all of them; a run whose events
//! did not all arrive once, whole and in order ends the program with an error. No time is ever asserted.
#![forbid(unsafe_code)]

mod case;
mod processor;
mod race;
mod report;
mod rivals;

use case::{Case, Mode, Wait};
use clap::Parser;
use processor::{Ticks, rate};
use report::{Report, Row, Samples};
use rivals::{RIVALS, Rival};
use std::process::ExitCode;

/// The ring of this project beside other rings: events of 128 bytes, one consumer.
#[derive(Debug, Parser)]
struct Options {
    /// Who produces; may be given several times.
    #[arg(long, value_enum, default_values_t = [Mode::Single, Mode::Multi])]
    mode: Vec<Mode>,
    /// What a side does that finds nothing to do; may be given several times.
    #[arg(long, value_enum, default_values_t = [Wait::Spin])]
    wait: Vec<Wait>,
    /// Events that are published together; may be given several times.
    #[arg(long, default_values_t = [1, 16, 256])]
    batch: Vec<usize>,
    /// Events that each ring holds, a power of two.
    #[arg(long, default_value_t = 16_384)]
    capacity: usize,
    /// Events of one run; rounded up to whole batches.
    #[arg(long, default_value_t = 1 << 22)]
    events: u64,
    /// Rounds; in each, every rival runs every case once.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Leave the threads to the scheduler instead of giving each of two threads a core.
    #[arg(long)]
    unpinned: bool,
    /// Let our ring ask for huge pages, as that of a node does; no rival does.
    #[arg(long)]
    huge_pages: bool,
    /// Only rivals whose name contains this; ours always runs.
    #[arg(long)]
    rival: Option<String>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Options {
    fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for mode in &self.mode {
            for wait in &self.wait {
                for batch in &self.batch {
                    let multiple = (*batch * mode.producers()) as u64;
                    cases.push(Case {
                        mode: *mode,
                        wait: *wait,
                        batch: *batch,
                        capacity: self.capacity,
                        events: self.events.next_multiple_of(multiple),
                        pinned: !self.unpinned,
                        huge_pages: self.huge_pages,
                    });
                }
            }
        }
        cases
    }

    fn rivals(&self) -> Vec<&'static Rival> {
        let wanted =
            |rival: &Rival| self.rival.as_ref().is_none_or(|part| rival.name.contains(part));
        let (ours, others) = RIVALS.split_first().map_or((None, &[][..]), |(a, b)| (Some(a), b));
        ours.into_iter().chain(others.iter().filter(|rival| wanted(rival))).collect()
    }

    fn check(&self) -> Result<(), String> {
        let largest = self.batch.iter().copied().max().unwrap_or(0);
        let smallest = self.batch.iter().copied().min().unwrap_or(0);
        if !self.capacity.is_power_of_two() || self.capacity < 64 {
            return Err("the capacity is no power of two from 64 on".into());
        }
        if smallest == 0 || largest > self.capacity {
            return Err("a batch is empty or larger than the ring".into());
        }
        if self.events == 0 || self.rounds == 0 {
            return Err("there is nothing to do: choose events and rounds above zero".into());
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match options.check().and_then(|()| measure(&options)) {
        Ok(report) if options.json => match serde_json::to_string_pretty(&report) {
            Ok(text) => println!("{text}"),
            Err(error) => return fail(&error.to_string()),
        },
        Ok(report) => print!("{}", report.table()),
        Err(error) => return fail(&error),
    }
    ExitCode::SUCCESS
}

fn fail(error: &str) -> ExitCode {
    eprintln!("mizan-peers: {error}");
    ExitCode::FAILURE
}

fn measure(options: &Options) -> Result<Report, String> {
    let (cases, rivals) = (options.cases(), options.rivals());
    let mut samples: Vec<Vec<Samples>> = cases
        .iter()
        .map(|_| {
            rivals.iter().map(|_| Samples { rates: Vec::new(), ticks: Ticks::default() }).collect()
        })
        .collect();
    for round in 0..options.rounds {
        for (case, samples) in cases.iter().zip(&mut samples) {
            for turn in 0..rivals.len() {
                // Everybody is first once, so that nobody always runs behind the same neighbour.
                let index = (turn + round) % rivals.len();
                run(case, rivals[index], &mut samples[index])?;
            }
        }
    }
    let rows = cases
        .iter()
        .zip(&samples)
        .flat_map(|(case, samples)| {
            let ours = &samples[0].rates;
            rivals
                .iter()
                .zip(samples)
                .filter(|(_, samples)| !samples.rates.is_empty())
                .map(|(rival, samples)| Row::new(case, rival, samples, ours))
                .collect::<Vec<_>>()
        })
        .collect();
    Ok(Report {
        capacity: options.capacity,
        events: options.events,
        pinned: !options.unpinned,
        rows,
    })
}

fn run(case: &Case, rival: &Rival, samples: &mut Samples) -> Result<(), String> {
    let before = Ticks::now();
    let Some(result) = (rival.run)(case) else { return Ok(()) };
    let time = result.map_err(|error| format!("{} failed in {case:?}: {error}", rival.name))?;
    samples.ticks = samples.ticks.plus(Ticks::now().since(before));
    samples.rates.push(rate(case.events, time));
    Ok(())
}
