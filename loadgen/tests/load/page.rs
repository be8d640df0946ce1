//! The page of a run: well-formed, complete in itself, and without numbers that are none.

use crate::ledger::{FakeLedger, Faults};
use mizan_loadgen::{BenchOptions, BenchReport, CurvePoint, LatencyUs, TimelinePoint, html, run};

/// Every element is closed in its order, every attribute quoted, every bare `&` and `<` written as such.
fn assert_well_formed(page: &str) {
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a document type");
    let mut open = Vec::new();
    while let Some(start) = rest.find('<') {
        assert_text(&rest[..start]);
        let end = start + rest[start..].find('>').expect("a tag has an end");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
            continue;
        }
        let (name, attributes) = tag.trim_end_matches('/').split_once(' ').unwrap_or((tag, ""));
        assert!(name.chars().all(|letter| letter.is_ascii_alphanumeric()), "<{tag}>");
        assert_eq!(attributes.matches('"').count() % 2, 0, "<{tag}>");
        assert_eq!(
            attributes.matches("=\"").count() * 2,
            attributes.matches('"').count(),
            "<{tag}>"
        );
        attributes.split('"').skip(1).step_by(2).for_each(assert_text);
        if !tag.ends_with('/') {
            open.push(name.to_owned());
        }
    }
    assert_text(rest);
    assert!(open.is_empty(), "left open: {open:?}");
}

fn assert_text(text: &str) {
    for (place, _) in text.match_indices('&') {
        let is_entity =
            ["&amp;", "&lt;", "&gt;", "&quot;"].iter().any(|e| text[place..].starts_with(e));
        assert!(is_entity, "{text:?}");
    }
}

fn assert_presentable(page: &str) {
    assert_well_formed(page);
    let start = page.find("</style>").expect("a style");
    for word in ["NaN", "inf", "-0.0\"", "http://", "https://", "<script", "url(", "@import"] {
        assert!(!page[start..].contains(word), "{word} stands in the page");
    }
    assert!(!page[..start].contains("url(") && !page[..start].contains("@import"));
    assert!(page.contains("prefers-color-scheme:dark"));
    assert_eq!(page.matches("<svg").count(), 3);
}

fn report() -> BenchReport {
    let ledger = FakeLedger::start(Faults::default());
    let options = BenchOptions {
        addresses: vec![ledger.address],
        accounts: 100,
        transfers: 3_000,
        batch: 10,
        rate: Some(30_000),
        ..BenchOptions::default()
    };
    run(&options, &()).unwrap()
}

#[test]
fn the_page_of_a_run_is_well_formed_and_needs_nothing_else() {
    let report = report();
    let facts = [("a <place> & \"more\"".to_owned(), "\u{7}ring".to_owned())];
    let page = html::page(&report, &facts);
    assert_presentable(&page);
    assert!(page.contains("3,000 transfers in") && page.contains("&lt;place&gt; &amp; &quot;more"));
    // The curve and both timelines have lines.
    assert_eq!(page.matches("<polyline").count(), 3);
}

#[test]
fn no_run_however_odd_makes_a_page_with_numbers_that_are_none() {
    let base = report();
    let slot = |until_s, events_per_s, latency_us_max| TimelinePoint {
        until_s,
        events_per_s,
        latency_us_max,
    };
    let point = |quantile, latency_us| CurvePoint { quantile, latency_us };
    let none = LatencyUs::default();
    let max = LatencyUs { p50: 1, p90: 2, p99: 3, p999: 4, max: u64::MAX };
    let odd = [
        (none, vec![], vec![]),
        (none, vec![point(1.0, 0)], vec![slot(1e-9, 0.0, 0)]),
        (max, vec![point(0.0, 0), point(1.0, u64::MAX)], vec![slot(0.01, 1e18, u64::MAX)]),
        (max, vec![point(0.0, 7), point(0.5, 7), point(1.0, 7)], vec![slot(1e5, 0.1, 1); 256]),
    ];
    for (latency_us, latency_curve, timeline) in odd {
        let mut report = BenchReport { latency_us, latency_curve, timeline, ..base.clone() };
        for (transfers_per_s, share) in [(0.0, None), (1e12, Some(1.0)), (0.4, Some(0.0))] {
            report.transfers_per_s = transfers_per_s;
            report.machine.others_cpu_share = share;
            assert_presentable(&html::page(&report, &[]));
        }
    }
}
