//! The verbs that make, run and examine nodes, as a user runs them: the real binary, real processes, real files.

mod operators;
mod rights;

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a process may take to end on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place for temporary files of one test, so that what is left behind is seen.
fn place() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn command(place: &TempDir, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mizan"));
    command.args(line.split_whitespace()).env("TMPDIR", place.path()).current_dir(place.path());
    for variable in ["MIZAN_ADDRESS", "MIZAN_CONFIG", "MIZAN_DATA", "MIZAN_LISTEN"] {
        command.env_remove(variable);
    }
    command
}

fn mizan(place: &TempDir, line: &str) -> Output {
    command(place, line).output().expect("the binary can be run")
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn is_empty(place: &Path) -> bool {
    std::fs::read_dir(place).expect("a directory").next().is_none()
}

/// A process that stays up, and where it listens; killed when dropped.
struct Running {
    child: Child,
    address: String,
    lines: BufReader<std::process::ChildStdout>,
}

impl Running {
    fn start(command: Command) -> Self {
        Self::start_with(command, "listening ")
    }

    /// As [`Running::start`]; the first line begins with this word.
    fn start_with(mut command: Command, word: &str) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary can be run");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix(word).expect("an address").to_owned();
        Self { child, address, lines }
    }

    fn terminate(&mut self) -> Option<i32> {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("a signal");
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status.code();
            }
            assert!(Instant::now() < until, "the process does not stop");
            std::thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_demo_plays_all_its_acts_and_leaves_nothing_behind() {
    let place = place();
    let output = mizan(&place, "demo --transfers 40000 --seed 7 --json");
    let value = json(&output);
    assert_eq!(output.status.code(), Some(0), "{value:#}");
    assert_eq!(value["ok"], true, "{value:#}");
    let acts: Vec<&str> = value["acts"]
        .as_array()
        .expect("acts")
        .iter()
        .map(|act| {
            assert_eq!(act["ok"], true, "{act:#}");
            act["act"].as_str().expect("a name")
        })
        .collect();
    let expected = [
        "format and start",
        "a payment",
        "the same again",
        "with another amount",
        "a hold, posted in part",
        "a trade that settles",
        "a load",
        "kill -9 in mid-load",
        "restart and compare",
        "verify, independently",
        "trial balance",
        "a standby takes over",
    ];
    assert_eq!(acts, expected);
    let crash = &value["acts"][8]["figures"];
    assert_eq!((&crash["lost"], &crash["doubled"]), (&Value::from(0), &Value::from(0)));
    let verified = &value["acts"][9]["figures"];
    assert_eq!(verified["digest"], verified["independent_digest"]);
    let failover = &value["acts"][11]["figures"];
    assert_eq!((&failover["rpo_transfers"], &failover["passed"]), (&0.into(), &true.into()));
    assert!(is_empty(place.path()), "files are left behind");
}

#[test]
fn a_bench_without_an_address_brings_its_own_node_and_takes_it_away_again() {
    let place = place();
    let output = mizan(
        &place,
        "bench --transfers 3000 --accounts 50 --batch 100 --clients 2 --seed 9 --json",
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = json(&output);
    assert_eq!(report["acknowledged"], 3000);
    assert_eq!(report["seed"], 9);
    for field in ["p50", "p99", "p999", "max"] {
        assert!(report["latency_us"][field].is_u64(), "{field}");
    }
    assert!(report["machine"]["cpus"].is_u64() && report["transfers_per_s"].is_f64());
    assert!(is_empty(place.path()), "files are left behind");
}

#[test]
fn a_bench_of_every_sort_of_request_comes_out_exactly_on_a_real_node() {
    let place = place();
    for (flags, acknowledged) in [
        ("--mix two-phase=1 --dist hot --ids random --batch 64 --transfers 2000", Some(2000)),
        ("--mix chains=1 --dist zipf --ids time --batch 7 --transfers 2001", None),
        (
            "--mix transfers=8,two-phase=4,chains=2,lookups=2 --batch 1 --clients 3 --transfers 999",
            None,
        ),
        ("--rate 20000 --duration 200ms --batch 20 --clients 2 --report bench.html", Some(4000)),
    ] {
        let output = mizan(&place, &format!("bench --accounts 50 {flags} --json"));
        assert_eq!(output.status.code(), Some(0), "{flags}: {output:?}");
        let report = json(&output);
        assert_eq!((&report["errors"], &report["balances_compared"]), (&0.into(), &true.into()));
        if let Some(acknowledged) = acknowledged {
            assert_eq!(report["acknowledged"], acknowledged, "{flags}");
        }
    }
    let page = std::fs::read_to_string(place.path().join("bench.html")).expect("a report");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("open loop at 20,000 per second"));
}

#[test]
fn a_bench_of_orders_comes_out_exactly_and_reads_every_order_back() {
    let place = place();
    for flags in [
        "--transfers 4000 --batch 100",
        "--transfers 1500 --batch 1 --dist zipf",
        "--transfers 6000 --batch 20 --clients 3 --instruments 4 --dist hot",
        "--rate 20000 --duration 200ms --batch 50 --report bench.html",
    ] {
        let line = format!("bench --workload orders --accounts 200 {flags} --json");
        let output = mizan(&place, &line);
        assert_eq!(output.status.code(), Some(0), "{flags}: {output:?}");
        let report = json(&output);
        assert_eq!((&report["errors"], &report["balances_compared"]), (&0.into(), &true.into()));
        let orders = &report["orders"];
        let number = |name: &str| orders[name].as_u64().unwrap_or_default();
        assert_eq!(orders["messages"], report["transfers"], "{flags}: {report}");
        assert_eq!(number("orders_compared"), number("submits"), "{flags}: {report}");
        for part in ["amends", "cancels", "lots_traded", "transfers_posted", "orders_open"] {
            assert!(number(part) > 0, "{flags}: no {part} in {report}");
        }
        let executed = number("messages") - number("ended_before");
        assert_eq!(report["acknowledged"], executed, "{flags}: {report}");
    }
    let page = std::fs::read_to_string(place.path().join("bench.html")).expect("a report");
    assert!(page.contains("order messages per second"));
    for refused in ["--null", "--mix chains=1", "--ids random", "--accounts 6"] {
        let output = mizan(&place, &format!("bench --workload orders {refused}"));
        assert_eq!(output.status.code(), Some(2), "{refused}: {output:?}");
    }
    assert_eq!(mizan(&place, "bench --instruments 2").status.code(), Some(2));
}

#[test]
fn a_second_bench_of_orders_on_one_node_begins_with_empty_books() {
    let place = place();
    let node = "format --data ./node --trading --orders 20000 --accounts 1000 --transfers 100000";
    assert_eq!(mizan(&place, node).status.code(), Some(0));
    let mut node = Running::start(command(&place, "start --data ./node --listen 127.0.0.1:0"));
    for seed in [5, 5, 6] {
        let line = format!(
            "bench --workload orders --address {} --transfers 3000 --accounts 100 --batch 50 --seed {seed} --json",
            node.address
        );
        let output = mizan(&place, &line);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(json(&output)["errors"], 0);
    }
    assert_eq!(node.terminate(), Some(0));
}

#[test]
fn a_null_bench_is_compared_with_bare_sockets_and_claims_no_balances() {
    let place = place();
    let output = mizan(&place, "bench --null --transfers 50000 --batch 1000 --clients 2 --json");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = json(&output);
    assert_eq!(report["acknowledged"], 50_000);
    assert_eq!(report["balances_compared"], false);
    assert!(report["loopback_ratio"].as_f64().is_some_and(|ratio| ratio > 0.0));
    assert_eq!(report["loopback"]["bytes"], 50 * (1_000 + 1) * 128);
    assert!(is_empty(place.path()), "files are left behind");
    let refused = mizan(&place, "bench --null --mix lookups=1");
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
}

#[test]
fn a_dev_node_is_found_furnished_as_it_was_left() {
    let place = place();
    for expected in ["975.00", "975.00"] {
        let mut dev = Running::start(command(&place, "dev --listen 127.0.0.1:0 --data ./scratch"));
        let address = dev.address.clone();
        let pay = format!("transfer alice bob 25.00 USD --id lunch-17 --json --address {address}");
        let output = mizan(&place, &pay);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let shown = mizan(&place, &format!("account alice USD --address {address}"));
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(text.contains(expected), "{text}");
        assert_eq!(dev.terminate(), Some(0));
    }
}

#[test]
fn a_dev_node_refuses_a_directory_that_something_else_made_and_writes_nothing_into_it() {
    let place = place();
    let format = "format --data ./node --accounts 100 --transfers 1000 --segment-size 2MiB";
    assert_eq!(mizan(&place, format).status.code(), Some(0));
    let refused = |place: &TempDir| {
        let before = json(&mizan(place, "verify --data ./node --json"));
        let output = mizan(place, "dev --listen 127.0.0.1:0 --data ./node");
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(6), "{output:?}");
        assert!(talk.contains("was not made by `mizan dev`"), "{talk}");
        assert!(talk.contains("mizan start --data ./node"), "{talk}");
        let after = json(&mizan(place, "verify --data ./node --json"));
        assert_eq!(before, after);
    };
    // Empty, but somebody chose its limits.
    refused(&place);
    let mut node = Running::start(command(&place, "start --data ./node --listen 127.0.0.1:0"));
    let create = format!("ledger create USD --scale 2 --address {}", node.address);
    assert_eq!(mizan(&place, &create).status.code(), Some(0));
    assert_eq!(node.terminate(), Some(0));
    refused(&place);
}

#[test]
fn a_dev_node_without_a_directory_leaves_nothing_behind() {
    let place = place();
    let mut dev = Running::start(command(&place, "dev --listen 127.0.0.1:0"));
    assert!(!is_empty(place.path()));
    assert_eq!(dev.terminate(), Some(0));
    assert!(is_empty(place.path()), "files are left behind");
}

#[test]
fn a_node_that_runs_is_seen_in_its_files_and_not_disturbed() {
    let place = place();
    let format = "format --data ./node --accounts 100 --transfers 1000 --segment-size 2MiB --json";
    let formatted = json(&mizan(&place, format));
    assert_eq!(formatted["transfers"], 1000);
    assert_eq!(mizan(&place, format).status.code(), Some(6));

    let mut node = Running::start(command(&place, "start --data ./node --listen 127.0.0.1:0"));
    let status = json(&mizan(&place, "status --data ./node --json"));
    assert_eq!(status["held_by"], format!("process {}", node.child.id()));
    let second = mizan(&place, "start --data ./node --listen 127.0.0.1:0");
    assert_eq!(second.status.code(), Some(6), "{second:?}");
    assert_eq!(mizan(&place, "inspect frames --data ./node --entries").status.code(), Some(0));

    assert_eq!(node.terminate(), Some(0));
    let mut rest = String::new();
    while node.lines.read_line(&mut rest).expect("a line") > 0 {}
    assert_eq!(rest, "", "standard output has one line only");
    let status = json(&mizan(&place, "status --data ./node --json"));
    assert_eq!((&status["held_by"], &status["clean"]), (&Value::Null, &Value::from(true)));
    let verdict = json(&mizan(&place, "verify --data ./node --independent --json"));
    assert_eq!(verdict["sound"], true, "{verdict:#}");
}

#[test]
fn the_way_the_journal_is_written_is_chosen_at_format_shown_and_refused_where_it_cannot_be() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let limits = "--accounts 100 --transfers 1000 --segment-size 2MiB --json";
    let output = mizan(&place, &format!("format --data ./node --journal-io direct {limits}"));
    if output.status.code() == Some(8) {
        println!("skipped: {}", String::from_utf8_lossy(&output.stderr));
    } else {
        assert_eq!(json(&output)["journal_io"], "direct");
        assert_eq!(json(&mizan(&place, "status --data ./node --json"))["journal_io"], "direct");
        let shown = mizan(&place, "inspect superblock --data ./node");
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains("journal written by") && shown.contains("direct"), "{shown}");
        let line = "bench --journal-io direct --transfers 2000 --accounts 50 --batch 50 --data ./b";
        let bench = mizan(&place, line);
        assert_eq!(bench.status.code(), Some(0), "{bench:?}");
        assert_eq!(json(&mizan(&place, "status --data ./b --json"))["journal_io"], "direct");
    }
    let formatted = json(&mizan(&place, &format!("format --data ./mapped {limits}")));
    assert_eq!(formatted["journal_io"], "mmap");

    let Ok(memory) = tempfile::tempdir_in("/dev/shm") else { return };
    if rustix::fs::statfs(memory.path()).is_ok_and(|found| found.f_type == 0x0102_1994) {
        let data = memory.path().join("node");
        let line = format!("format --data {} --journal-io direct {limits}", data.display());
        let output = mizan(&place, &line);
        assert_eq!(output.status.code(), Some(8), "{output:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("ext4") && text.contains("mmap"), "{text}");
        assert!(!data.join("superblock-0").exists());
    } else {
        println!("skipped: /dev/shm is no tmpfs here");
    }
}

#[test]
fn an_address_beyond_this_machine_is_refused_before_the_files_are_looked_at() {
    let place = place();
    let output = mizan(&place, "start --data ./nowhere --listen 0.0.0.0:0");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--insecure"));
    assert!(is_empty(place.path()));
}

#[test]
fn a_flipped_bit_in_the_middle_of_the_journal_is_damage_with_its_place() {
    let place = place();
    let format = "format --data ./node --accounts 100 --transfers 10000 --segment-size 2MiB";
    assert!(mizan(&place, format).status.success());
    let mut node = Running::start(command(&place, "start --data ./node --listen 127.0.0.1:0"));
    let load =
        format!("bench --address {} --transfers 2000 --accounts 50 --batch 50", node.address);
    assert!(mizan(&place, &load).status.success());
    assert_eq!(node.terminate(), Some(0));

    let segment = place.path().join("node").join(mizan_journal::segment_name(0));
    let mut bytes = std::fs::read(&segment).expect("a segment");
    // Behind the segment's header page and the frame of the genesis entry, in the payload of an early frame.
    bytes[3 * 4096 + 1000] ^= 1;
    std::fs::write(&segment, &bytes).expect("a write");
    let output = mizan(&place, "verify --data ./node --json");
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let verdict = json(&output);
    assert_eq!((&verdict["sound"], &verdict["damaged"]), (&false.into(), &true.into()));
    let problem = verdict["problems"][0].as_str().expect("a problem").to_owned();
    assert!(
        problem.contains(&mizan_journal::segment_name(0)) && problem.contains("offset"),
        "{problem}"
    );
    assert_eq!(mizan(&place, "status --data ./node").status.code(), Some(5));
    assert_eq!(mizan(&place, "start --data ./node --listen 127.0.0.1:0").status.code(), Some(5));
    assert_eq!(std::fs::read(&segment).expect("a segment"), bytes, "the files were changed");
}
