//! Stopping a real node: in order with the first signal, at once with the second.

use mizan_node::offline;
use mizan_tests::binary::{NodeProcess, format_small, mizan_binary};
use mizan_tests::recorder::{Audit, Recorder};
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Requests that are answered before the signal comes.
const REPLIES_BEFORE: u64 = 60;

fn formatted() -> (TempDir, PathBuf) {
    let directory = TempDir::new().expect("a temporary directory");
    let data = directory.path().join("data");
    format_small(&data, &["--transfers", "400000"]);
    (directory, data)
}

fn is_clean(data: &Path) -> bool {
    offline::superblock(data).expect("the superblock can be read").clean
}

fn stops_in_order_under_load(signal: Signal) {
    let (_directory, data) = formatted();
    let mut node = NodeProcess::start(&data, "127.0.0.1:0");
    let address = node.address();
    let mut recorder = Recorder::start(address, 1).expect("the node answers");
    recorder.drive(|recorder| recorder.answered() >= REPLIES_BEFORE).expect("the node answers");
    assert!(!is_clean(&data), "a node that runs is not closed");
    node.signal(signal);
    // The load goes on while the node drains.
    recorder.drive(|_| node.has_ended()).expect("the client waits for the node's return");
    let status = node.wait();
    assert_eq!(status.code(), Some(0), "{}", node.stderr());
    assert!(is_clean(&data), "an orderly stop closes the files");
    let acknowledged = recorder.acknowledged();
    assert!(acknowledged > 0);

    let node = NodeProcess::start(&data, &address.to_string());
    recorder.drain().expect("what was not answered is sent again");
    let audit = recorder.audit().expect("the node answers");
    assert_eq!(audit, Audit { acknowledged: recorder.acknowledged(), ..Audit::default() });
    println!(
        "{acknowledged} transfers were acknowledged before the end; {}",
        node.stderr().lines().next().unwrap_or_default()
    );
}

#[test]
fn sigterm_under_load_answers_what_was_accepted_syncs_and_ends_with_0() {
    stops_in_order_under_load(Signal::TERM);
}

#[test]
fn sigint_is_an_orderly_stop_too() {
    stops_in_order_under_load(Signal::INT);
}

#[test]
fn a_second_signal_ends_the_node_at_once_and_loses_nothing_acknowledged() {
    let (_directory, data) = formatted();
    let mut node = NodeProcess::start(&data, "127.0.0.1:0");
    let address = node.address();
    let mut recorder = Recorder::start(address, 2).expect("the node answers");
    recorder.drive(|recorder| recorder.answered() >= REPLIES_BEFORE).expect("the node answers");
    // Both wait while the node is stopped, so that no drain can come in between.
    node.signal(Signal::STOP);
    node.signal(Signal::TERM);
    node.signal(Signal::INT);
    node.signal(Signal::CONT);
    let status = node.wait();
    let second = status.code().unwrap_or_else(|| panic!("ended by signal {:?}", status.signal()));
    assert!([128 + 2, 128 + 15].contains(&second), "{status}: {}", node.stderr());
    assert!(!is_clean(&data), "there was no orderly close");

    let _node = NodeProcess::start(&data, &address.to_string());
    recorder.drain().expect("what was not answered is sent again");
    let audit = recorder.audit().expect("the node answers");
    assert_eq!(audit, Audit { acknowledged: recorder.acknowledged(), ..Audit::default() });
}

#[test]
fn an_idle_node_writes_exactly_one_line_to_stdout_and_names_the_port_it_was_given() {
    let (_directory, data) = formatted();
    let mut node = NodeProcess::start(&data, "127.0.0.1:0");
    assert_ne!(node.address().port(), 0, "the line names the real port");
    assert!(node.address().ip().is_loopback());
    node.terminate();
    assert_eq!(node.wait().code(), Some(0), "{}", node.stderr());
    assert_eq!(node.further_lines(), Vec::<String>::new());
    assert!(is_clean(&data));
    assert!(node.stderr().contains("recovered"), "talk goes to stderr: {}", node.stderr());
}

#[test]
fn the_line_that_a_node_listens_is_the_first_on_stdout() {
    let (_directory, data) = formatted();
    let mut command = Command::new(mizan_binary());
    command.arg("start").arg("--data").arg(&data).args(["--listen", "127.0.0.1:0"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the binary can be run");
    let mut stdout = std::io::BufReader::new(child.stdout.take().expect("stdout is piped"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stdout, &mut line).expect("stdout can be read");
    let address = line.strip_prefix("listening ").and_then(|rest| rest.strip_suffix('\n'));
    let address = address.unwrap_or_else(|| panic!("{line:?} is not `listening ADDRESS`"));
    address.parse::<std::net::SocketAddr>().expect("an address follows");
    child.kill().expect("a child can be killed");
    child.wait().expect("a child can be waited for");
}
