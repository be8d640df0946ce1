//! `mizan drill`, as a user runs it: the real binary, real clusters.

use serde_json::Value;
use std::process::{Command, Output};
use tempfile::TempDir;

fn mizan(place: &TempDir, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mizan"))
        .args(line.split_whitespace())
        .env("TMPDIR", place.path())
        .output()
        .expect("the binary can be run")
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn place() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn a_drill_reports_what_was_done_and_seen_and_leaves_nothing_behind() {
    let place = place();
    let output = mizan(&place, "drill client-retry wiped-disk-returns --seed 7 --json");
    let value = json(&output);
    assert_eq!(output.status.code(), Some(0), "{value:#}");
    assert_eq!(
        (&value["passed"], &value["failed"], &value["skipped"]),
        (&2.into(), &0.into(), &0.into())
    );
    for drill in value["drills"].as_array().expect("drills") {
        assert_eq!(drill["rpo_transfers"], 0, "{drill:#}");
        assert!(!drill["done"].as_array().expect("steps").is_empty());
        assert!(drill["rto_ms"].as_f64().expect("a failover") > 0.0);
        let verdict = &drill["oracle"][0];
        assert_eq!(verdict["clean"], true, "{verdict:#}");
        assert!(verdict["acknowledged"].as_u64().expect("a count") > 2_000);
        assert!(verdict["digests_compared"].as_u64().expect("a count") > 100);
    }
    let phases = value["failovers"].as_array().expect("phases");
    assert!(phases.iter().any(|row| row["phase"] == "reconnect" && row["runs"] == 1), "{phases:?}");
    let left = std::fs::read_dir(place.path()).expect("a directory").count();
    assert_eq!(left, 0, "files are left behind");
}

#[test]
fn an_unknown_drill_is_a_usage_error_that_names_the_others() {
    let output = mizan(&place(), "drill kill-secondary");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("kill-secondary") && said.contains("rival-solo"), "{said}");
}
