//! `mizan status --replica` of three real nodes, of which some are killed.

use super::{PATIENCE, command, mizan};
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::time::Instant;
use tempfile::TempDir;

const COUNT: usize = 3;

/// Three nodes; killed when dropped.
struct Nodes {
    place: TempDir,
    replicas: Vec<String>,
    children: Vec<Option<Child>>,
}

impl Nodes {
    fn start() -> Self {
        let bound: Vec<TcpListener> =
            (0..COUNT).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
        let address = |it: &TcpListener| it.local_addr().expect("an address").to_string();
        let replicas: Vec<String> = bound.iter().map(address).collect();
        drop(bound);
        let place = tempfile::tempdir().expect("a directory");
        let mut nodes = Self { place, replicas, children: (0..COUNT).map(|_| None).collect() };
        nodes.ok(
            "format --data ./node-0 --nodes 3 --accounts 100 --transfers 10000 --segment-size 2MiB --secret-file ./secret",
        );
        nodes.restart(0);
        for node in 1..COUNT {
            let source = nodes.replicas[0].clone();
            nodes.ok(&format!(
                "format --data ./node-{node} --join {source} --node {node} --secret-file ./secret"
            ));
            nodes.restart(node);
        }
        nodes.promote(0);
        nodes
    }

    fn ok(&self, line: &str) {
        let output = mizan(&self.place, line);
        assert!(output.status.success(), "{line}: {output:?}");
    }

    fn restart(&mut self, node: usize) {
        let mut peers = self.replicas.clone();
        let own = peers.remove(node);
        let line = format!(
            "start --data ./node-{node} --listen 127.0.0.1:0 --replicate {own} --peers {} --secret-file ./secret",
            peers.join(",")
        );
        let log = OpenOptions::new().create(true).append(true).open(self.log_path(node));
        let mut child = command(&self.place, &line)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.expect("a file"))
            .spawn()
            .expect("the binary can be run");
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let listens = lines.map_while(Result::ok).any(|line| line.starts_with("listening "));
        self.children[node] = Some(child);
        assert!(listens, "node {node} does not start: {}", self.log(node));
    }

    fn kill(&mut self, node: usize) {
        let mut child = self.children[node].take().expect("it runs");
        child.kill().expect("a child can be killed");
        child.wait().expect("a child can be waited for");
    }

    /// Until it comes through: who was just started has not heard of the others.
    fn promote(&self, node: usize) {
        let line = format!("promote --replica {} --secret-file ./secret", self.replicas[node]);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = mizan(&self.place, &line);
            if output.status.success() {
                return;
            }
            assert!(Instant::now() < deadline, "{output:?}");
        }
    }

    fn log_path(&self, node: usize) -> std::path::PathBuf {
        self.place.path().join(format!("log-{node}"))
    }

    fn log(&self, node: usize) -> String {
        std::fs::read_to_string(self.log_path(node)).expect("a log")
    }

    /// `mizan status --replica` of these nodes, with a further word.
    fn status(&self, nodes: &[usize], further: &str) -> std::process::Output {
        let named: Vec<&str> = nodes.iter().map(|node| self.replicas[*node].as_str()).collect();
        let line = format!("status --replica {} --secret-file ./secret {further}", named.join(","));
        mizan(&self.place, &line)
    }

    /// Waits until it ends with this code and says so. The disk of the machine may be as full as it likes (8).
    fn await_code(
        &self,
        nodes: &[usize],
        expected: i32,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = self.status(nodes, "--json");
            let value: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            let is_full = output.status.code() == Some(8)
                && value.to_string().contains("\"disk-nearly-full\"");
            if (output.status.code() == Some(expected) || is_full) && is_so(&value["nodes"]) {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {:?} {value:#}", output.status);
        }
    }

    fn await_log(&self, node: usize, part: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log(node).contains(part) {
            assert!(Instant::now() < deadline, "node {node} does not log `{part}`");
            std::thread::yield_now();
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for child in self.children.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whether this row has an alarm.
fn has_alarm(row: &Value, name: &str) -> bool {
    let alarms = row["status"]["alarms"].as_array();
    alarms.is_some_and(|alarms| alarms.iter().any(|alarm| alarm["name"] == name))
}

#[test]
fn a_killed_node_decides_the_exit_code_until_it_is_back() {
    let mut nodes = Nodes::start();
    let all = [0, 1, 2];
    nodes.await_code(&all, 0, "all is well", |rows| rows[2]["status"]["role"] == "live");

    nodes.kill(2);
    nodes.await_code(&all, 1, "a standby is gone", |rows| {
        rows[2]["error"].is_string() && rows[0]["status"]["is_ready"] == true
    });
    nodes.await_code(&all[..2], 1, "the primary misses one that was not named", |rows| {
        rows[0]["status"]["peers"][1]["is_connected"] == false
    });
    let shown = nodes.status(&all, "");
    assert!(String::from_utf8_lossy(&shown.stdout).contains("no answer"), "{shown:?}");
    nodes.restart(2);
    nodes.await_code(&all, 0, "it is back", |rows| rows[2]["status"]["role"] == "live");

    nodes.kill(0);
    nodes.await_code(&all, 6, "there is no primary", |rows| {
        rows[0]["error"].is_string()
            && (1..COUNT).all(|node| {
                has_alarm(&rows[node], "primary-silent") && rows[node]["status"]["is_ready"] == true
            })
    });
    for node in 1..COUNT {
        nodes.await_log(node, "alarm primary_silent begins: ");
    }
    nodes.promote(1);
    nodes.await_code(&all[1..], 1, "led again, and one node is missing", |rows| {
        rows[0]["status"]["role"] == "primary" && !has_alarm(&rows[1], "primary-silent")
    });
    for node in 1..COUNT {
        nodes.await_log(node, "alarm primary_silent ends");
    }
    nodes.restart(0);
    nodes.await_code(&all, 0, "all are there", |rows| rows[0]["status"]["role"] == "live");
}
