//! What an operator sees of a node from outside: the real binary, stopped, killed, and scraped.

#[path = "monitoring/replicas.rs"]
mod replicas;
#[path = "monitoring/scrub.rs"]
mod scrub;

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a process may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn command(place: &TempDir, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mizan"));
    command.args(line.split_whitespace()).env("TMPDIR", place.path()).current_dir(place.path());
    for variable in ["MIZAN_ADDRESS", "MIZAN_CONFIG", "MIZAN_DATA", "MIZAN_LISTEN", "MIZAN_METRICS"]
    {
        command.env_remove(variable);
    }
    command
}

fn mizan(place: &TempDir, line: &str) -> Output {
    command(place, line).output().expect("the binary can be run")
}

fn formatted() -> TempDir {
    let place = tempfile::tempdir().expect("a directory");
    let format = "format --data ./node --accounts 100 --transfers 10000 --segment-size 2MiB \
                  --digest-interval 16";
    assert!(mizan(&place, format).status.success());
    place
}

/// `mizan status --data ./node --json`, and its exit code.
fn status(place: &TempDir) -> (Value, Option<i32>) {
    let output = mizan(place, "status --data ./node --json");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (value, output.status.code())
}

/// Waits until the counters are as asked for.
fn status_when(
    place: &TempDir,
    what: &str,
    is_so: impl Fn(&Value) -> bool,
) -> (Value, Option<i32>) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (value, code) = status(place);
        if is_so(&value["counters"]) {
            return (value, code);
        }
        assert!(Instant::now() < deadline, "{what} does not come: {value:#}");
        std::thread::yield_now();
    }
}

/// A node with a page for scrapers; killed when dropped.
struct Running {
    child: Child,
    address: String,
    metrics: String,
}

impl Running {
    fn start(place: &TempDir) -> Self {
        let line = "start --data ./node --listen 127.0.0.1:0 --metrics 127.0.0.1:0 --json";
        let mut child = command(place, line)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary can be run");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let value: Value = serde_json::from_str(&line).expect("JSON");
        let text = |name: &str| value[name].as_str().expect("an address").to_owned();
        Self { child, address: text("listening"), metrics: text("metrics") }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).expect("a signal");
    }

    fn ended(&mut self) -> Option<i32> {
        self.child.wait().expect("a child can be waited for").code()
    }

    fn request(&self) -> TcpStream {
        TcpStream::connect(&self.metrics).expect("the listener answers")
    }

    /// Status and body of a page.
    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = self.request();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: node\r\n\r\n").expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("answered");
        let (head, body) = text.split_once("\r\n\r\n").expect("headers end");
        let status = head.split(' ').nth(1).and_then(|number| number.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    /// The samples of `/metrics`.
    fn scrape(&self) -> BTreeMap<String, f64> {
        let (status, body) = self.get("/metrics");
        assert_eq!(status, 200);
        let samples = body.lines().filter(|line| !line.starts_with('#'));
        samples
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').expect("a value");
                (series.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line}")))
            })
            .collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_scrape_shows_what_clients_did() {
    let place = formatted();
    let node = Running::start(&place);
    let load =
        format!("bench --address {} --transfers 1000 --accounts 50 --batch 10", node.address);
    assert!(mizan(&place, &load).status.success());
    let deadline = Instant::now() + PATIENCE;
    let samples = loop {
        let samples = node.scrape();
        let is_shown = samples["mizan_table_entries{table=\"transfers\"}"] >= 1000.0
            && samples["mizan_digest_sequence"] > 0.0
            && samples["mizan_connections"] == 0.0;
        if is_shown {
            break samples;
        }
        assert!(Instant::now() < deadline, "the load does not show: {samples:#?}");
    };
    let at = |series: &str| samples[series];
    for sequence in ["published", "appended", "durable", "applied"] {
        let series = format!("mizan_sequence_{sequence}");
        assert!(at(&series) >= at("mizan_sequence_commit"), "{series}");
    }
    assert!(at("mizan_sequence_commit") > 100.0 && at("mizan_requests_total") > 100.0);
    assert!(at("mizan_replies_total") > 100.0 && at("mizan_journal_sync_seconds_total") > 0.0);
    let groups = at("mizan_journal_groups_total{thread=\"journal\"}")
        + at("mizan_journal_groups_total{thread=\"front\"}");
    assert!(groups > 0.0 && groups <= at("mizan_sequence_commit"));
    assert_eq!((at("mizan_role{role=\"single\"}"), at("mizan_ready")), (1.0, 1.0));
    assert_eq!(at("mizan_table_entries_max{table=\"accounts\"}"), 100.0);
    let (code, body) = node.get("/readyz");
    assert!(code == 200 && body.starts_with("ready\n"), "{body}");
    assert_eq!(node.get("/livez"), (200, "live\n".to_owned()));
    assert_eq!(node.get("/").0, 404);

    let refused = format!("transfer alice bob 1 USD --address {} --cluster 99", node.address);
    assert!(!mizan(&place, &refused).status.success());
    let refusals = "mizan_refusals_total{reason=\"cluster_mismatch\"}";
    let deadline = Instant::now() + PATIENCE;
    while node.scrape()[refusals] < 1.0 {
        assert!(Instant::now() < deadline, "the refusal is not counted");
    }
}

/// Whether all is well, but for the disk of this machine, which may be as full as it likes (exit code 8).
fn well(value: &Value, code: Option<i32>) -> bool {
    let alarms = value["counters"]["alarms"].as_array().expect("a list");
    code == Some(0) || (code == Some(8) && alarms.iter().any(|alarm| alarm == "disk_nearly_full"))
}

#[test]
fn a_node_that_is_stopped_in_its_tracks_is_seen_and_so_is_its_return() {
    let place = formatted();
    let node = Running::start(&place);
    let (value, code) =
        status_when(&place, "a running node", |counters| counters["condition"] == "running");
    let alarms = value["counters"]["alarms"].as_array().expect("a list");
    // The disk of the machine may be as full as it likes.
    let is_disk = |alarm: &Value| alarm.as_str().is_some_and(|name| name.starts_with("disk_"));
    assert!(well(&value, code) && alarms.iter().all(is_disk), "{value:#}");
    assert_eq!(value["held_by"], format!("process {}", node.child.id()));

    node.signal(rustix::process::Signal::STOP);
    let (value, code) =
        status_when(&place, "its silence", |counters| counters["condition"] == "silent");
    let counters = &value["counters"];
    assert!(matches!(code, Some(1 | 8)), "{value:#}");
    assert_eq!(counters["process"], Value::from(node.child.id()));
    assert!(counters["silence_ms"].as_u64().is_some_and(|silence| silence >= 2_000));
    assert!(counters["not_ready"][0].as_str().is_some_and(|text| text.contains("no sign of life")));
    let shown = mizan(&place, "status --data ./node");
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("SILENT; process") && text.contains("what to do:"), "{text}");

    node.signal(rustix::process::Signal::CONT);
    let (value, code) =
        status_when(&place, "its return", |counters| counters["condition"] == "running");
    assert!(well(&value, code), "{value:#}");
}

#[test]
fn the_way_in_which_a_node_ended_is_told_after_it() {
    let place = formatted();
    let mut node = Running::start(&place);
    node.signal(rustix::process::Signal::TERM);
    assert_eq!(node.ended(), Some(0));
    let (value, code) = status(&place);
    assert!(well(&value, code) && value["counters"]["condition"] == "stopped", "{value:#}");
    assert_eq!((&value["held_by"], &value["clean"]), (&Value::Null, &Value::from(true)));

    let mut node = Running::start(&place);
    node.signal(rustix::process::Signal::KILL);
    node.ended();
    let (value, code) = status(&place);
    assert!(matches!(code, Some(1 | 8)), "{value:#}");
    assert_eq!(value["counters"]["condition"], "died");
    assert_eq!((&value["clean"], &value["problems"]), (&false.into(), &Vec::<u8>::new().into()));
    assert!(value["counters"]["advice"][0].as_str().is_some_and(|text| text.contains("start")));

    let mut node = Running::start(&place);
    assert_eq!(status(&place).0["counters"]["process"], node.child.id());
    node.signal(rustix::process::Signal::TERM);
    assert_eq!(node.ended(), Some(0));
}

#[test]
fn want_of_room_turns_readiness_off_and_room_turns_it_on_again() {
    let place = formatted();
    // Room for what a node makes at its start and for no further segment.
    let script = "ulimit -f 2047; exec \"$0\" start --data ./node --listen 127.0.0.1:0 \
                  --metrics 127.0.0.1:0 --json";
    let mut shell = Command::new("sh");
    shell
        .args(["-c", script, env!("CARGO_BIN_EXE_mizan")])
        .current_dir(place.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = shell.spawn().expect("a shell");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let value: Value = serde_json::from_str(&line).expect("JSON");
    let text = |name: &str| value[name].as_str().expect("an address").to_owned();
    let node = Running { child, address: text("listening"), metrics: text("metrics") };
    let ready_when = |what: &str, expected: u16, part: &str| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (status, body) = node.get("/readyz");
            if status == expected && body.contains(part) {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {status} {body}");
        }
    };
    ready_when("the next segment cannot be made", 503, "journal_space_low");
    assert_eq!(node.get("/livez").0, 200);
    let samples = node.scrape();
    assert_eq!(samples["mizan_alarm{alarm=\"journal_space_low\"}"], 1.0);
    assert_eq!((samples["mizan_ready"], samples["mizan_journal_space_low"]), (0.0, 1.0));
    let (value, code) =
        status_when(&place, "the alarm", |counters| counters["alarms"][0] == "journal_space_low");
    assert_eq!(code, Some(8), "{value:#}");
    // And the client's side of it: the node answers, and says that it refuses.
    let asked = mizan(&place, &format!("status --address {} --json", node.address));
    let said: Value = serde_json::from_slice(&asked.stdout).expect("JSON");
    assert_eq!((asked.status.code(), &said["alarms"][0]), (Some(8), &"journal_space_low".into()));

    let id = rustix::process::Pid::from_child(&node.child);
    let none = rustix::process::Rlimit { current: None, maximum: None };
    match rustix::process::prlimit(Some(id), rustix::process::Resource::Fsize, none) {
        Ok(_) => ready_when("there is room again", 200, "ready"),
        Err(error) => {
            println!("skipped: the limit of another process is not to be raised: {error}");
        }
    }
}

#[test]
fn readers_that_do_not_read_keep_neither_scrapers_nor_clients_out() {
    let place = formatted();
    let node = Running::start(&place);
    let idle: Vec<TcpStream> = (0..200)
        .map(|number| {
            let mut stream = node.request();
            if number % 2 == 0 {
                stream.write_all(b"GET /metrics HTTP/1.1\r\n").expect("sent");
            }
            stream
        })
        .collect();
    assert_eq!(node.get("/readyz").0, 200);
    assert!(node.scrape()["mizan_beats_total"] > 0.0);
    let load = format!("bench --address {} --transfers 200 --accounts 50 --batch 1", node.address);
    assert!(mizan(&place, &load).status.success());
    drop(idle);
}

#[test]
fn a_page_beyond_this_machine_needs_the_word_insecure_and_a_taken_port_is_said() {
    let place = formatted();
    let line = "start --data ./node --listen 127.0.0.1:0 --metrics";
    let output = mizan(&place, &format!("{line} 0.0.0.0:0"));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--insecure"), "{output:?}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let output = mizan(&place, &format!("{line} {address}"));
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("taken"), "{output:?}");
}
