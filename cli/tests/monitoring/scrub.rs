//! A bit that flips in a sealed segment under the real binary: raised, shown, logged, and ended when it is mended.

use super::{PATIENCE, Running, command, mizan, status_when};
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;
use tempfile::TempDir;

const SEGMENT: &str = "node/journal-0000000000000000.seg";
/// A place within a frame.
const PLACE: u64 = 300_000;

fn flip(path: &Path) {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("a segment");
    let mut byte = [0];
    file.read_exact_at(&mut byte, PLACE).expect("read");
    file.write_all_at(&[byte[0] ^ 4], PLACE).expect("written");
}

/// As [`Running::start`], with a log in a file.
fn start(place: &TempDir, options: &str) -> Running {
    let line =
        format!("start --data ./node --listen 127.0.0.1:0 --metrics 127.0.0.1:0 --json {options}");
    let log = File::create(place.path().join("log")).expect("a log");
    let mut child = command(place, &line)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("the binary can be run");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let value: Value = serde_json::from_str(&line).expect("JSON");
    let text = |name: &str| value[name].as_str().expect("an address").to_owned();
    Running { child, address: text("listening"), metrics: text("metrics") }
}

/// The lines of the log that have this in them, once there are as many.
fn logged(place: &TempDir, part: &str, count: usize) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let log = std::fs::read_to_string(place.path().join("log")).expect("a log");
        let lines: Vec<String> =
            log.lines().filter(|line| line.contains(part)).map(str::to_owned).collect();
        if lines.len() >= count {
            return lines;
        }
        assert!(Instant::now() < deadline, "`{part}` is not logged: {log}");
        std::thread::yield_now();
    }
}

fn is_raised(counters: &Value) -> bool {
    let alarms = counters["alarms"].as_array().expect("a list");
    alarms.iter().any(|alarm| alarm == "journal_damaged")
}

fn a_flipped_bit_is_found_and_so_is_its_end(journal_io: &str) {
    // Beside what was compiled: more often on a disk than the system's temporary files.
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let format = format!(
        "format --data ./node --accounts 100 --transfers 100000 --segment-size 2MiB --journal-io {journal_io}"
    );
    let output = mizan(&place, &format);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() && said.contains("cannot be written directly") {
        println!("skipped: {said}");
        return;
    }
    assert!(output.status.success(), "{said}");
    let mut node = start(&place, "--scrub-rate 1GiB");
    let load =
        format!("bench --address {} --transfers 40000 --accounts 50 --batch 1000", node.address);
    assert!(mizan(&place, &load).status.success());
    let seen = |counters: &Value| {
        let scrub = &counters["scrub"];
        scrub["read_bytes"].as_u64() > Some(4 << 20) && scrub["passes"].as_u64() > Some(1)
    };
    let (value, _) = status_when(&place, "passes", seen);
    assert!(!is_raised(&value["counters"]), "{value:#}");

    flip(&place.path().join(SEGMENT));
    let (value, code) = status_when(&place, "the alarm", is_raised);
    let counters = &value["counters"];
    assert_eq!((code, &counters["scrub"]["damaged_segments"]), (Some(5), &json!(1)), "{value:#}");
    let advice = counters["advice"].to_string();
    assert!(advice.contains("sealed segments of the journal are damaged"), "{advice}");
    // The front learns of it with its next beat.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let asked = mizan(&place, &format!("status --address {} --json", node.address));
        let said: Value = serde_json::from_slice(&asked.stdout).expect("JSON");
        if is_raised(&said) {
            assert_eq!(asked.status.code(), Some(5), "{said:#}");
            break;
        }
        assert!(Instant::now() < deadline, "{said:#}");
    }
    let samples = node.scrape();
    assert_eq!(samples["mizan_alarm{alarm=\"journal_damaged\"}"], 1.0);
    assert_eq!(samples["mizan_scrub_damaged_segments"], 1.0);
    assert_eq!(node.get("/readyz").0, 200, "it does its part");
    let again = format!(
        "bench --address {} --transfers 1000 --accounts 50 --batch 100 --seed 9",
        node.address
    );
    let output = mizan(&place, &again);
    assert!(output.status.success(), "{output:?}");
    let lines = logged(&place, "is damaged at offset", 1);
    for part in [SEGMENT, "where sequence ", "payload hash", "mizan verify --data", "backup"] {
        assert!(lines[0].contains(part), "{part}: {lines:?}");
    }
    let verify = mizan(&place, "verify --data ./node");
    assert_eq!(verify.status.code(), Some(5), "{verify:?}");

    flip(&place.path().join(SEGMENT));
    status_when(&place, "the end of the alarm", |counters| !is_raised(counters));
    logged(&place, "alarm journal_damaged begins", 1);
    logged(&place, "alarm journal_damaged ends", 1);
    logged(&place, "is whole again", 1);
    assert_eq!(logged(&place, "is damaged at offset", 1).len(), 1, "told once");
    node.signal(rustix::process::Signal::TERM);
    assert_eq!(node.ended(), Some(0));
}

#[test]
fn a_flipped_bit_in_a_sealed_segment_is_an_alarm_until_it_is_mended() {
    a_flipped_bit_is_found_and_so_is_its_end("mmap");
}

#[test]
fn a_flipped_bit_in_a_sealed_segment_that_was_written_directly_is_one_as_well() {
    a_flipped_bit_is_found_and_so_is_its_end("direct");
}

#[test]
fn a_node_that_is_told_to_read_nothing_reads_nothing_and_a_rate_that_is_none_is_refused() {
    let place = super::formatted();
    let mut node = start(&place, "--scrub-rate 0");
    let shown = |counters: &Value| counters["beats"].as_u64() > Some(20);
    let (value, _) = status_when(&place, "a running node", shown);
    let none = json!({
        "read_bytes": 0, "passes": 0, "last_pass_at": null, "damaged_segments": 0
    });
    assert_eq!(value["counters"]["scrub"], none);
    node.signal(rustix::process::Signal::TERM);
    assert_eq!(node.ended(), Some(0));
    let output = mizan(&place, "start --data ./node --scrub-rate fast");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--scrub-rate"), "{output:?}");
}
