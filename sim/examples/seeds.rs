//! Plays any number of seeds: `seeds [--first SEED] [--seeds COUNT] [--nodes 2|3] [--trace]`.

use indicatif::{ProgressBar, ProgressStyle};
use mizan_sim::{Options, run};
use std::process::ExitCode;

fn number(arguments: &[String], name: &str) -> Option<u64> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1)?.parse().ok()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let first = number(&arguments, "--first").unwrap_or(1);
    let count = number(&arguments, "--seeds").unwrap_or(1_000);
    let node_count = number(&arguments, "--nodes").map(|nodes| nodes.clamp(2, 3) as u8);
    let trace = arguments.iter().any(|argument| argument == "--trace");
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(count).with_style(style);
    let (mut failures, mut sums) = (0u64, [0u64; 6]);
    if arguments.iter().any(|argument| argument == "--log") {
        let options = Options { node_count, ..Options::new(first) };
        let (outcome, log) = mizan_sim::run_logged(&options);
        log.iter().for_each(|line| println!("{line}"));
        return if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    for seed in first..first + count {
        match run(&Options { node_count, ..Options::new(seed) }) {
            Ok(report) => {
                let parts = [
                    report.acknowledged,
                    report.reads,
                    report.promotions,
                    report.crashes,
                    report.cuts,
                    report.wipes,
                ];
                sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
            }
            Err(failure) => {
                failures += 1;
                bar.suspend(|| {
                    if trace {
                        failure.trace.iter().for_each(|line| eprintln!("{line}"));
                    }
                    eprintln!("{failure}");
                });
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let [acknowledged, reads, promotions, crashes, cuts, wipes] = sums;
    println!(
        "{count} seeds, {failures} failed; {acknowledged} writes and {reads} reads answered, {promotions} promotions, {crashes} crashes, {cuts} cut-backs, {wipes} new disks"
    );
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
