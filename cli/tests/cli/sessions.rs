//! `mizan sessions`: what is listed, what is closed, and what cannot be.

use crate::node::{Ran, TestNode, mizan_at};
use mizan_cli::exit;
use mizan_client::{Client, ClientConfig, ClientError};
use mizan_wire::{Account, RequestStatus};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long the node may take on a busy machine to see that a connection is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client that has made one write.
fn writer(node: &TestNode, id: u128) -> Client {
    let mut client = Client::connect(ClientConfig::at(node.address())).expect("connects");
    let account = Account { id, ledger: 9, code: 1, ..Account::default() };
    client.create_accounts(&[account]).expect("answers");
    client
}

/// A client whose connection is gone; gives its session's number.
fn lost(node: &TestNode, id: u128) -> u64 {
    let session = writer(node, id).session();
    let until = Instant::now() + PATIENCE;
    while !numbers(&node.json("sessions list --lost")).contains(&session) {
        assert!(Instant::now() < until, "the connection of session {session} is never lost");
        std::thread::yield_now();
    }
    session
}

fn numbers(list: &Value) -> Vec<u64> {
    let list = list.as_array().expect("a list");
    list.iter().map(|session| session["session"].as_u64().expect("a number")).collect()
}

fn refused(ran: &Ran, code: u8) {
    assert_eq!(ran.code, code, "{ran:?}");
    assert!(ran.data.is_empty() && !ran.talk.is_empty(), "{ran:?}");
}

#[test]
fn sessions_are_listed_with_whose_they_are_and_whether_they_have_a_connection() {
    let node = TestNode::start();
    let client = writer(&node, 1);
    let gone = lost(&node, 2);
    let list = node.json("sessions list");
    assert_eq!(numbers(&list), [client.session(), gone], "in the order of their numbers");
    let open = &list[0];
    assert_eq!(open["client"], format!("{:#x}", client.client_id()));
    assert_eq!((&open["writes"], &open["lost"]), (&json!(1), &Value::Null));
    assert_eq!(open["replies_kept"], 1);
    assert_eq!(open["reply_bytes"], 0, "what was created needs no words");
    assert!(list[1]["lost"].is_string() && list[1]["last_activity"].is_string(), "{list:#}");
    assert_eq!(numbers(&node.json("sessions list --lost")), [gone]);

    let ran = node.mizan("sessions list");
    assert_eq!((ran.code, ran.talk.as_str()), (exit::OK, ""));
    let lines = ran.lines();
    assert_eq!(lines.len(), 3, "{ran:?}");
    assert_eq!(lines[0], "session client writes kept replies last used connection");
    let first = format!("{} {:#x} 1 1 ", client.session(), client.client_id());
    assert!(lines[1].starts_with(&first) && lines[1].ends_with(" open"), "{ran:?}");
    assert!(lines[2].starts_with(&format!("{gone} ")) && lines[2].contains(" lost "), "{ran:?}");
}

#[test]
fn a_session_that_is_closed_is_gone_for_its_client() {
    let node = TestNode::start();
    let mut client = writer(&node, 1);
    let other = writer(&node, 2);
    let ran = node.mizan(&format!("sessions close {}", client.session()));
    assert_eq!((ran.code, ran.lines()), (exit::OK, vec!["closed 1 session".to_owned()]), "{ran:?}");
    let account = Account { id: 3, ledger: 9, code: 1, ..Account::default() };
    let error = client.create_accounts(&[account]).expect_err("the session is gone");
    assert!(
        matches!(
            error,
            ClientError::SessionLost | ClientError::Refused(RequestStatus::SessionUnknown)
        ),
        "{error:?}"
    );
    assert_eq!(numbers(&node.json("sessions list")), [other.session()]);
}

#[test]
fn what_is_not_there_is_named_and_the_rest_is_closed_all_the_same() {
    let node = TestNode::start();
    let client = writer(&node, 1);
    let unknown = u64::MAX;
    let line = format!("sessions close {unknown} {}", client.session());
    let ran = node.mizan(&line);
    assert_eq!((ran.code, ran.lines()), (exit::PROBLEM, vec!["closed 1 session".to_owned()]));
    assert!(ran.talk.contains(&format!("session {unknown} was not closed")), "{ran:?}");

    let ran = node.mizan(&format!("{line} --json"));
    assert_eq!(ran.code, exit::PROBLEM, "{ran:?}");
    assert_eq!(ran.json(), json!({ "closed": 0, "unknown": [unknown, client.session()] }));
    assert_eq!(node.json("sessions list"), json!([]), "the command's own session is closed, too");
}

#[test]
fn those_without_a_connection_are_closed_at_once() {
    let node = TestNode::start();
    let client = writer(&node, 1);
    let gone = [lost(&node, 2), lost(&node, 3)];
    assert_eq!(numbers(&node.json("sessions list --lost")), gone);
    assert_eq!(node.json("sessions close --lost"), json!({ "closed": 2, "unknown": [] }));
    assert_eq!(numbers(&node.json("sessions list")), [client.session()]);
    let ran = node.mizan("sessions close --lost");
    assert_eq!((ran.code, ran.lines()), (exit::OK, vec!["closed 0 sessions".to_owned()]));
}

#[test]
fn a_line_that_names_no_session_or_no_node_is_refused() {
    let node = TestNode::start();
    for line in ["sessions", "sessions close", "sessions close 5 --lost", "sessions close five"] {
        refused(&node.mizan(line), exit::USAGE);
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let nowhere = listener.local_addr().expect("bound").to_string();
    drop(listener);
    for words in [["sessions", "list", "--lost"], ["sessions", "close", "--lost"]] {
        refused(&mizan_at(&nowhere, &words), exit::UNREACHABLE);
    }
}

#[test]
fn the_examples_of_the_help_are_lines_that_run() {
    let node = TestNode::start();
    for verb in ["list", "close"] {
        let help = node.mizan(&format!("sessions {verb} --help")).data;
        let examples: Vec<&str> =
            help.lines().filter_map(|line| line.strip_prefix("  mizan ")).collect();
        assert!(examples.len() >= 2, "{help}");
        for example in examples {
            let ran = node.mizan(example);
            // The numbers in them are none of this node's.
            let is_done = ran.code == exit::OK || ran.code == exit::PROBLEM;
            assert!(is_done && !ran.data.is_empty(), "{example}: {ran:?}");
        }
    }
}
