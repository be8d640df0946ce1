//! What was measured: a table for people, JSON for programs.

use crate::case::{Case, Mode, Wait};
use crate::processor::Ticks;
use crate::rivals::{Rival, version};
use serde::Serialize;
use std::fmt::Write;

/// One rival in one case.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    mode: Mode,
    wait: Wait,
    batch: usize,
    rival: &'static str,
    version: &'static str,
    /// Rounds.
    n: usize,
    median_millions_per_second: f64,
    min_millions_per_second: f64,
    max_millions_per_second: f64,
    /// Median of the rounds' ratios of ours to this rival's: above one, ours is faster.
    ours_to_this: f64,
    /// Part of both processors that others used; nothing if the runs were too short to tell.
    others_share: Option<f64>,
}

/// The rates of one rival, a round each.
pub(crate) struct Samples {
    pub(crate) rates: Vec<f64>,
    pub(crate) ticks: Ticks,
}

impl Row {
    pub(crate) fn new(case: &Case, rival: &Rival, samples: &Samples, ours: &[f64]) -> Self {
        let rates = &samples.rates;
        let ratios: Vec<f64> = ours.iter().zip(rates).map(|(ours, this)| ours / this).collect();
        Self {
            mode: case.mode,
            wait: case.wait,
            batch: case.batch,
            rival: rival.name,
            version: version(rival.package),
            n: rates.len(),
            median_millions_per_second: median(rates),
            min_millions_per_second: rates.iter().copied().fold(f64::INFINITY, f64::min),
            max_millions_per_second: rates.iter().copied().fold(0.0, f64::max),
            ours_to_this: median(&ratios),
            others_share: samples.ticks.share_of_others(),
        }
    }
}

fn others(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// Everything that was measured, with what it was measured with.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) capacity: usize,
    pub(crate) events: u64,
    pub(crate) pinned: bool,
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// A table in Markdown.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from(
            "| mode | wait | batch | ring | M events/s, median | least to most | n | ours / this | others |\n\
             |---|---|---|---|---|---|---|---|---|\n",
        );
        for row in &self.rows {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {:?} | {:?} | {} | {} {} | {:.1} | {:.1} to {:.1} | {} | {:.2} | {} |",
                row.mode,
                row.wait,
                row.batch,
                row.rival,
                row.version,
                row.median_millions_per_second,
                row.min_millions_per_second,
                row.max_millions_per_second,
                row.n,
                row.ours_to_this,
                others(row.others_share),
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
    }
}
