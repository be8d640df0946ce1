//! A run as a page: one file with everything in it, which opens without a network and is well-formed XML, too.
//!
//! What is absent: scripts, and anything that is fetched.

use crate::html_chart::{Chart, escaped, push, round_marks};
use crate::{BenchReport, LatencyUs};

const STYLE: &str = include_str!("html.css");
/// Shares of the CPUs that others may use before a figure is called disturbed.
const QUIET_SHARE: f64 = 0.1;

/// The page of a run. `facts` are further rows, such as where the node was.
#[must_use]
pub fn page(report: &BenchReport, facts: &[(String, String)]) -> String {
    let mut page = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>Mizan bench</title>\n<style>\n",
    );
    page.push_str(STYLE);
    page.push_str("</style>\n</head>\n<body>\n<main>\n<h1>Mizan bench</h1>\n");
    push(&mut page, format_args!("<p class=\"lead\">{}</p>\n", escaped(&lead(report))));
    push_tiles(&mut page, report);
    push_card(
        &mut page,
        "Events answered per second",
        "Over the time of the run.",
        &rate_chart(report),
    );
    push_card(
        &mut page,
        "Longest batch latency",
        "Of the batches answered in each slot of time, in milliseconds.",
        &latency_chart(report),
    );
    push_card(&mut page, "Batch latency by percentile", curve_text(report), &curve_chart(report));
    page.push_str("<div class=\"halves\">\n");
    push_table(&mut page, "Latency", &latency_rows(report));
    let mut rows = rows(report);
    rows.extend_from_slice(facts);
    push_table(&mut page, "Run", &rows);
    page.push_str("</div>\n</main>\n</body>\n</html>\n");
    page
}

fn lead(report: &BenchReport) -> String {
    let how = match report.rate {
        Some(rate) => format!("open loop at {} per second", grouped(rate)),
        None => format!("closed loop, {} in flight per connection", report.in_flight),
    };
    let seconds = report.duration_s;
    format!(
        "{} {} in {seconds:.2} s: {how}, batches of {}, {} connection{}.",
        grouped(report.acknowledged),
        events_name(report),
        grouped(report.batch.into()),
        report.clients,
        if report.clients == 1 { "" } else { "s" }
    )
}

const fn events_name(report: &BenchReport) -> &'static str {
    if report.orders.is_some() { "order messages" } else { "transfers" }
}

fn push_tiles(page: &mut String, report: &BenchReport) {
    let latency = &report.latency_us;
    let per_s =
        report.orders.as_ref().map_or(report.transfers_per_s, |orders| orders.messages_per_s);
    page.push_str("<div class=\"tiles\">\n");
    for (value, name) in [
        (grouped(per_s as u64), format!("{} per second", events_name(report)).as_str()),
        (milliseconds(latency.p50), "batch latency p50"),
        (milliseconds(latency.p99), "batch latency p99"),
        (milliseconds(latency.p999), "batch latency p99.9"),
        (milliseconds(latency.max), "batch latency max"),
    ] {
        push(page, format_args!("<div class=\"tile\"><b>{value}</b><span>{name}</span></div>\n"));
    }
    page.push_str("</div>\n");
}

fn push_card(page: &mut String, title: &str, text: &str, chart: &Chart<'_>) {
    push(
        page,
        format_args!(
            "<section class=\"card\">\n<h2>{}</h2>\n<p>{}</p>\n",
            escaped(title),
            escaped(text)
        ),
    );
    page.push_str(&chart.svg());
    page.push_str("\n</section>\n");
}

fn push_table(page: &mut String, title: &str, rows: &[(String, String)]) {
    push(page, format_args!("<section class=\"card\">\n<h2>{}</h2>\n<table>\n", escaped(title)));
    for (name, value) in rows {
        push(
            page,
            format_args!("<tr><td>{}</td><td>{}</td></tr>\n", escaped(name), escaped(value)),
        );
    }
    page.push_str("</table>\n</section>\n");
}

fn rate_chart(report: &BenchReport) -> Chart<'static> {
    let values = report.timeline.iter().map(|slot| slot.events_per_s);
    let marks = round_marks(values.clone().fold(0.0, f64::max));
    over_time(report, "events per second over time", "rate", values.collect(), marks, short)
}

fn latency_chart(report: &BenchReport) -> Chart<'static> {
    let values = report.timeline.iter().map(|slot| slot.latency_us_max as f64 / 1e3);
    let marks = round_marks(values.clone().fold(0.0, f64::max));
    let label = "longest latency in milliseconds over time";
    over_time(report, label, "latency", values.collect(), marks, trimmed)
}

/// A value per slot, drawn as steps: it holds for the whole slot.
fn over_time(
    report: &BenchReport,
    label: &'static str,
    color_class: &'static str,
    values: Vec<f64>,
    marks: Vec<f64>,
    text: impl Fn(f64) -> String,
) -> Chart<'static> {
    let top = marks.last().copied().unwrap_or(1.0);
    let marks_x = round_marks(report.timeline.last().map_or(1.0, |slot| slot.until_s));
    let end_s = report.timeline.last().map_or(1.0, |slot| slot.until_s);
    let mut points = Vec::with_capacity(values.len() * 2);
    let mut from_s = 0.0;
    for (slot, value) in report.timeline.iter().zip(values) {
        points.push((from_s / end_s, value / top));
        points.push((slot.until_s / end_s, value / top));
        from_s = slot.until_s;
    }
    Chart {
        label,
        color_class,
        marks_x: marks_x
            .into_iter()
            .filter(|mark| *mark <= end_s * 1.000_001)
            .map(|mark| (mark / end_s, format!("{} s", trimmed(mark))))
            .collect(),
        marks_y: marks.into_iter().map(|mark| (mark / top, text(mark))).collect(),
        points,
        dots: Vec::new(),
    }
}

/// Latency on a logarithmic axis, over the number of nines.
fn curve_chart(report: &BenchReport) -> Chart<'static> {
    let curve = &report.latency_curve;
    let inner = curve.iter().filter(|point| point.quantile < 1.0);
    let nines = |quantile: f64| -(1.0 - quantile).log10();
    let nines_last = inner.clone().map(|point| nines(point.quantile)).fold(1.0, f64::max);
    let log = |latency_us: u64| (latency_us.max(1) as f64).log10();
    let low = inner.clone().map(|point| log(point.latency_us)).fold(f64::MAX, f64::min);
    let high = curve.iter().map(|point| log(point.latency_us)).fold(0.0, f64::max);
    // Whole decades, at least one.
    let low = if low > high { 0.0 } else { low.floor() };
    let high = high.ceil().max(low + 1.0);
    let height = |latency_us: u64| (log(latency_us) - low) / (high - low);
    let places = ["50 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %"];
    let quantiles = [0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999_999];
    let dots = inner
        .clone()
        .map(|point| {
            let text =
                format!("{:.4} %: {}", point.quantile * 100.0, milliseconds(point.latency_us));
            (nines(point.quantile) / nines_last, height(point.latency_us), text)
        })
        .collect();
    Chart {
        label: "latency by percentile, both axes logarithmic",
        color_class: "curve",
        marks_x: quantiles
            .into_iter()
            .zip(places)
            .filter(|(quantile, _)| nines(*quantile) <= nines_last * 1.000_001)
            .map(|(quantile, text)| (nines(quantile) / nines_last, text.to_owned()))
            .collect(),
        marks_y: (low as i32..=high as i32)
            .map(|decade| {
                let latency_ms = 10_f64.powi(decade) / 1e3;
                ((f64::from(decade) - low) / (high - low), format!("{} ms", trimmed(latency_ms)))
            })
            .collect(),
        points: inner
            .map(|point| (nines(point.quantile) / nines_last, height(point.latency_us)))
            .collect(),
        dots,
    }
}

const fn curve_text(report: &BenchReport) -> &'static str {
    if report.rate.is_some() {
        "Open loop: counted from the time at which a batch was to leave, so that a stall is counted for every batch that it delayed."
    } else {
        "Closed loop: counted from the submission of a batch. Batches that would have come during a stall are not in it."
    }
}

fn latency_rows(report: &BenchReport) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut add = |name: &str, latency: &LatencyUs| {
        for (quantile, value) in [
            ("p50", latency.p50),
            ("p90", latency.p90),
            ("p99", latency.p99),
            ("p99.9", latency.p999),
            ("max", latency.max),
        ] {
            rows.push((format!("{name} {quantile}"), milliseconds(value)));
        }
    };
    add("batch", &report.latency_us);
    if let Some(delay) = &report.send_delay_us {
        add("left late by", delay);
    }
    rows
}

fn rows(report: &BenchReport) -> Vec<(String, String)> {
    let balances = if report.balances_compared {
        "all as acknowledged"
    } else {
        "none: the server keeps no accounts"
    };
    let others = match report.machine.others_cpu_share {
        None => "unknown".to_owned(),
        Some(share) if share <= QUIET_SHARE => format!("{:.0} %", share * 100.0),
        Some(share) => format!("{:.0} %: the machine was not quiet", share * 100.0),
    };
    let mut rows = vec![
        (format!("acknowledged {}", events_name(report)), grouped(report.acknowledged)),
        ("not created".to_owned(), grouped(report.errors)),
        ("failed as they were meant to".to_owned(), grouped(report.failed_as_meant)),
        ("accounts looked up".to_owned(), grouped(report.lookups)),
        ("balances".to_owned(), balances.to_owned()),
        ("mix".to_owned(), report.mix.replace(',', ", ")),
        (
            "accounts".to_owned(),
            format!("{}, {}", grouped(report.accounts), report.distribution.name()),
        ),
        ("ids".to_owned(), report.ids.name().to_owned()),
        ("seed".to_owned(), report.seed.to_string()),
        ("cpus".to_owned(), report.machine.cpus.to_string()),
        ("cpu time of other processes".to_owned(), others),
    ];
    for (status, count) in &report.error_statuses {
        rows.push((format!("answered {status}"), grouped(*count)));
    }
    rows
}

fn milliseconds(latency_us: u64) -> String {
    match latency_us {
        0..1_000 => format!("{latency_us} µs"),
        1_000..100_000 => format!("{:.2} ms", latency_us as f64 / 1e3),
        100_000..10_000_000 => format!("{:.0} ms", latency_us as f64 / 1e3),
        _ => format!("{:.1} s", latency_us as f64 / 1e6),
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with a letter for its magnitude.
fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{} M", trimmed(value / 1e6)),
        value if value >= 1e3 => format!("{} k", trimmed(value / 1e3)),
        value => trimmed(value),
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
