//! The command line's contract: what its verbs say, for people and in JSON.

mod shop;

use mizan_client::names;
use mizan_tests::binary::{mizan, mizan_binary, mizan_ok};
use mizan_wire::{
    CreateAccountStatus, CreateTransferStatus, RegistryStatus, RequestStatus, Status,
};
use serde_json::Value;
use shop::{Shop, code, said, stdout};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const PROBLEM: i32 = 1;
const USAGE: i32 = 2;

/// Posted, held and available of an account in USD.
fn balance(shop: &Shop, name: &str) -> [String; 3] {
    let accounts = shop.json(&["account", name, "USD"]);
    let balance = &accounts[0]["balance"];
    ["posted", "held", "available"].map(|column| text(&balance[column]))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string")).to_owned()
}

#[test]
fn a_transfer_shows_both_balances_and_its_repetition_the_original_result() {
    let shop = Shop::open();
    let payment = ["transfer", "alice", "bob", "25.00", "USD", "--id", "invoice-17"];
    let first = shop.ok(&payment);
    for part in ["transferred 25.00 USD from alice to bob", "before", "after", "100.00", "75.00"] {
        assert!(first.contains(part), "no `{part}` in {first}");
    }
    let again = shop.run(&payment);
    assert_eq!(code(&again), 0, "{}", said(&again));
    assert_eq!(stdout(&again).lines().next(), Some("duplicate: original result"));
    let other = shop.run(&["transfer", "alice", "bob", "26.00", "USD", "--id", "invoice-17"]);
    assert_eq!(code(&other), PROBLEM, "{}", said(&other));
    assert_eq!(stdout(&other).lines().next(), Some("duplicate_different (amount)"));
    assert_eq!(balance(&shop, "alice"), ["75.00", "0.00", "75.00"]);
    assert_eq!(balance(&shop, "bob"), ["25.00", "0.00", "25.00"]);
}

#[test]
fn a_refused_transfer_names_its_status_and_exits_with_1() {
    let shop = Shop::open();
    let refused = shop.run(&["transfer", "alice", "bob", "100.01", "USD"]);
    assert_eq!(code(&refused), PROBLEM);
    assert!(stdout(&refused).contains("refused: exceeds_credits"), "{}", said(&refused));
    let missing = shop.run(&["transfer", "alice", "nobody", "1", "USD"]);
    assert_eq!(code(&missing), PROBLEM);
    assert!(said(&missing).contains("mizan accounts create nobody USD"), "{}", said(&missing));
    let precise = shop.run(&["transfer", "alice", "bob", "1.005", "USD"]);
    assert_eq!(code(&precise), USAGE, "{}", said(&precise));
    assert_eq!(balance(&shop, "alice"), ["100.00", "0.00", "100.00"]);
}

#[test]
fn a_hold_keeps_posted_held_and_available_apart_until_it_is_posted_or_voided() {
    let shop = Shop::open();
    let held = shop.ok(&["hold", "alice", "shop", "40.00", "USD", "--id", "booking-9"]);
    for column in ["posted", "held", "available"] {
        assert!(held.contains(column), "{held}");
    }
    assert_eq!(balance(&shop, "alice"), ["100.00", "40.00", "60.00"]);
    shop.ok(&["post", "booking-9", "32.50"]);
    assert_eq!(balance(&shop, "alice"), ["67.50", "0.00", "67.50"]);
    assert_eq!(balance(&shop, "shop"), ["32.50", "0.00", "32.50"]);
    let again = shop.ok(&["post", "booking-9", "32.50"]);
    assert!(again.starts_with("duplicate: original result"), "{again}");

    shop.ok(&["hold", "alice", "shop", "10", "USD", "--id", "booking-10", "--timeout", "1h"]);
    assert_eq!(balance(&shop, "alice"), ["67.50", "10.00", "57.50"]);
    shop.ok(&["void", "booking-10"]);
    assert_eq!(balance(&shop, "alice"), ["67.50", "0.00", "67.50"]);
    let late = shop.run(&["post", "booking-10"]);
    assert_eq!(code(&late), PROBLEM);
    assert!(said(&late).contains("pending_transfer_already_voided"), "{}", said(&late));
    let unknown = shop.run(&["void", "booking-11"]);
    assert_eq!(code(&unknown), PROBLEM, "{}", said(&unknown));
    let too_much = shop.run(&["hold", "alice", "shop", "67.51", "USD", "--id", "booking-12"]);
    assert_eq!(code(&too_much), PROBLEM);
    assert_eq!(balance(&shop, "alice"), ["67.50", "0.00", "67.50"]);
}

#[test]
fn every_verb_that_asks_a_node_answers_in_json() {
    let shop = Shop::open();
    let transfer = shop.json(&["transfer", "alice", "bob", "1", "USD", "--id", "j1"]);
    assert_eq!((&transfer["outcome"], &transfer["amount"]), (&"created".into(), &"1.00".into()));
    assert_eq!(transfer["id"], format!("{:#x}", names::transfer_id("j1").unwrap()));
    let other = shop.json(&["transfer", "alice", "bob", "2", "USD", "--id", "j1"]);
    assert_eq!(other["outcome"], "duplicate_different");
    assert_eq!(other["differs_in"], "amount");
    assert_eq!(
        shop.json(&["hold", "alice", "bob", "3", "USD", "--id", "j2"])["outcome"],
        "created"
    );
    assert_eq!(shop.json(&["post", "j2", "2"])["outcome"], "created");
    shop.json(&["hold", "alice", "bob", "3", "USD", "--id", "j3"]);
    assert_eq!(shop.json(&["void", "j3"])["outcome"], "created");
    assert_eq!(shop.json(&["account", "alice"])[0]["ledger"], 840);
    assert_eq!(shop.json(&["accounts", "create", "carol", "USD"])[0]["status"], "created");
    assert_eq!(shop.json(&["ledger", "create", "EUR", "--scale", "2"])["outcome"], "created");
    assert!(shop.json(&["ledgers"]).to_string().contains("EUR"));
    assert_eq!(shop.json(&["trial-balance"])["balanced"], true);
    let status = shop.json(&["status"]);
    assert_eq!((&status["role"], &status["transfers"]), (&"primary".into(), &6.into()));
}

/// The error in what a failed verb leaves on standard output under `--json`, which is one value.
fn json_error(output: &std::process::Output) -> (i64, String, String) {
    let value: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", said(output)));
    let error = &value["error"];
    let code = error["code"].as_i64().unwrap_or_else(|| panic!("no code in {value}"));
    (code, text(&error["name"]), text(&error["message"]))
}

#[test]
fn a_verb_that_fails_says_so_in_json_and_in_words() {
    let shop = Shop::open();
    for (words, expected, name, part) in [
        (&["transfer", "alice", "bob", "1.005", "USD"][..], USAGE, "usage", "1.005"),
        (
            &["transfer", "alice", "nobody", "1", "USD"],
            PROBLEM,
            "credit_account_not_found",
            "nobody",
        ),
        (&["transfer", "alice", "bob", "101", "USD"], PROBLEM, "exceeds_credits", "credit"),
        (
            &["transfer", "bank", "alice", "99", "USD", "--id", "opening"],
            PROBLEM,
            "exists_with_different_amount",
            "amount",
        ),
        (&["void", "never-held"], PROBLEM, "problem", "never-held"),
        (&["account", "nobody"], PROBLEM, "problem", "nobody"),
        (&["transfer", "alice"], USAGE, "usage", "<TO>"),
    ] {
        let failed = shop.run(&[words, &["--json"]].concat());
        let (code_in_json, name_in_json, message) = json_error(&failed);
        assert_eq!((code(&failed), code_in_json), (expected, i64::from(expected)), "{words:?}");
        assert_eq!(name_in_json, name, "{words:?}");
        assert!(message.contains(part), "{words:?}: {message}");
        let words_of_it = String::from_utf8_lossy(&failed.stderr).into_owned();
        assert!(words_of_it.contains(part), "{words:?}: {words_of_it}");
        assert!(!stdout(&shop.run(words)).contains('{'), "{words:?}");
    }
    let unreachable = mizan(&["ledgers", "--address", "127.0.0.1:1", "--json"]);
    assert_eq!(json_error(&unreachable).1, "unreachable");
    let lines = shop.run(&["repl", "-c", "account nobody --json"]);
    assert_eq!(json_error(&lines).1, "problem", "{}", said(&lines));
}

#[test]
fn a_node_that_is_started_with_json_says_in_json_where_it_listens() {
    let mut shop = Shop::open();
    shop.node.terminate();
    assert!(shop.node.wait().success(), "{}", shop.node.stderr());
    let mut node = Command::new(mizan_binary())
        .args(["start", "--json", "--stop-with-stdin", "--listen", "127.0.0.1:0", "--data"])
        .arg(shop.data())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary can be run");
    let mut line = String::new();
    let mut lines = BufReader::new(node.stdout.take().expect("the output is piped"));
    lines.read_line(&mut line).expect("a line");
    let ready: Value =
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let address = text(&ready["listening"]);
    let status = mizan_ok(&["status", "--address", &address, "--json"]);
    assert!(status.contains("\"primary\""), "{status}");
    drop(node.stdin.take());
    assert!(node.wait().expect("it ends").success());
}

#[test]
fn every_verb_that_reads_files_answers_in_json() {
    let mut shop = Shop::open();
    shop.node.terminate();
    assert!(shop.node.wait().success(), "{}", shop.node.stderr());
    let data = shop.data();
    let data = data.to_str().expect("temporary paths are UTF-8");
    let json = |words: &[&str]| -> Vec<Value> {
        let output = mizan_ok(&[words, &["--data", data, "--json"]].concat());
        let lines = output.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{words:?}: {error}"))
    };
    assert_eq!(json(&["verify"])[0]["sound"], true);
    let independent = json(&["verify", "--independent"]).remove(0);
    assert_eq!(independent["independent"]["differences"], Value::Array(Vec::new()));
    assert_eq!(independent["independent"]["digest"], independent["digest"]);
    for words in [
        &["status"][..],
        &["inspect", "superblock"],
        &["inspect", "segments"],
        &["inspect", "frames"],
    ] {
        assert!(!json(words).is_empty(), "{words:?}");
    }
    assert!(!json(&["inspect", "frames", "--entries", "--limit", "2"]).is_empty());
    let other = shop.directory.path().join("other");
    let other = other.to_str().expect("temporary paths are UTF-8");
    let formatted =
        mizan_ok(&["format", "--data", other, "--accounts", "10", "--transfers", "10", "--json"]);
    let formatted: Value = serde_json::from_str(&formatted).expect("JSON");
    assert_eq!(formatted["accounts"], 10);
}

#[test]
fn a_bench_against_a_node_reports_in_json_what_the_node_confirms() {
    let shop = Shop::with(&["--transfers", "20000"]);
    let words =
        ["bench", "--accounts", "50", "--transfers", "2000", "--batch", "100", "--seed", "7"];
    let report = shop.json(&words);
    assert_eq!(report["acknowledged"], 2_000);
    assert_eq!(report["seed"], 7);
    assert!(report["transfers_per_s"].as_f64().is_some_and(|rate| rate > 0.0), "{report}");
    let latencies = ["p50", "p99", "p999", "max"].map(|name| report["latency_us"][name].as_f64());
    let latencies: Vec<f64> = latencies.into_iter().flatten().collect();
    assert!(latencies.len() == 4 && latencies.is_sorted(), "{report}");
    assert!(report["machine"]["cpus"].is_number(), "{report}");
    // A run shorter than the kernel's clock tick has no share: it is there, and null.
    assert!(report["machine"].get("others_cpu_share").is_some(), "{report}");
    assert_eq!(shop.json(&["status"])["transfers"], 2_001);
}

#[test]
fn the_demo_reports_every_act_in_json_and_all_of_them_are_well() {
    let report = mizan_ok(&["demo", "--transfers", "20000", "--seed", "7", "--json"]);
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!((&report["ok"], &report["seed"]), (&true.into(), &7.into()));
    let acts = report["acts"].as_array().expect("acts");
    assert!(acts.len() >= 7 && acts.iter().all(|act| act["ok"] == true), "{report}");
    let compared = acts.iter().find(|act| act["figures"].get("lost").is_some());
    let figures = &compared.expect("an act compares what was acknowledged")["figures"];
    assert_eq!((&figures["lost"], &figures["doubled"]), (&0.into(), &0.into()));
}

#[test]
fn a_dev_node_can_be_paid_with_at_once_and_leaves_no_files_behind() {
    let mut child = Command::new(mizan_binary())
        .args(["dev", "--listen", "127.0.0.1:0", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary can be run");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
    let line = lines.next().expect("a line comes").expect("stdout can be read");
    let dev: Value = serde_json::from_str(&line).expect("JSON");
    let address = text(&dev["listening"]);
    mizan_ok(&["transfer", "alice", "bob", "1.00", "USD", "--address", &address]);
    let data = PathBuf::from(text(&dev["data"]));
    assert!(data.exists());
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).expect("a signal");
    assert_eq!(child.wait().expect("a child can be waited for").code(), Some(0));
    assert!(!data.exists(), "{} is still there", data.display());
}

#[test]
fn explain_knows_every_status_by_name_and_by_number() {
    fn all<S: Status>() -> Vec<(u32, &'static str)> {
        S::PRECEDENCE.iter().map(|status| (status.number(), status.name())).collect()
    }
    let mut statuses = all::<CreateAccountStatus>();
    statuses.extend(all::<CreateTransferStatus>());
    statuses.extend(all::<RegistryStatus>());
    statuses.extend(all::<RequestStatus>());
    let list = mizan_ok(&["explain"]);
    // One process for all of them.
    let line: Vec<String> = statuses
        .iter()
        .flat_map(|(number, name)| [format!("explain {name}"), format!("explain {number}")])
        .collect();
    let explained = mizan_ok(&["repl", "-c", &line.join("; ")]);
    for (number, name) in &statuses {
        assert!(list.contains(name), "{name}");
        let entry = format!("{name} = {number} (");
        assert!(explained.matches(&entry).count() >= 2, "{entry}");
    }
    let unknown = mizan(&["explain", "exceeds_credit"]);
    assert_eq!(code(&unknown), USAGE);
    assert!(said(&unknown).contains("exceeds_credits"), "{}", said(&unknown));
    let json: Value = serde_json::from_str(&mizan_ok(&["explain", "54", "--json"])).expect("JSON");
    assert!(json.to_string().contains("exceeds_credits"));
}

#[test]
fn help_of_every_verb_shows_an_example() {
    let help = mizan_ok(&["help"]);
    let verbs: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // A text that goes on in the next line is indented further.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    assert!(verbs.len() >= 18, "{verbs:?}");
    for verb in &verbs {
        let shown = mizan_ok(&[verb, "--help"]);
        assert!(shown.contains(&format!("mizan {verb}")), "{verb}: {shown}");
        assert!(shown.contains("Example"), "{verb}: {shown}");
    }
    for required in ["demo", "dev", "transfer", "hold", "post", "void", "account", "explain"] {
        assert!(verbs.contains(&required), "{required}");
    }
    for required in ["instrument", "order", "book", "reports", "import-orders"] {
        assert!(verbs.contains(&required), "{required}");
    }
    for required in ["format", "start", "bench", "verify", "status", "inspect", "import", "repl"] {
        assert!(verbs.contains(&required), "{required}");
    }
}

#[test]
fn the_repl_runs_verbs_from_its_argument_and_from_standard_input() {
    let shop = Shop::open();
    let line = "transfer alice bob 1 USD --id r1; account alice; transfer alice bob 1 USD --id r1";
    let output = shop.ok(&["repl", "-c", line]);
    assert!(output.contains("transferred 1.00 USD") && output.contains("99.00"), "{output}");
    assert!(output.contains("duplicate: original result"), "{output}");
    let failing = shop.run(&["repl", "-c", "account nobody; account alice"]);
    assert_eq!(code(&failing), PROBLEM, "the code of the last verb that failed");
    assert!(stdout(&failing).contains("99.00"), "an error does not end it: {}", said(&failing));

    let mut child = Command::new(mizan_binary())
        .args(["repl", "--address", &shop.address])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be run");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin
        .write_all(b"# a comment\ntransfer alice bob 2 USD\nexit\naccount nobody\n")
        .expect("taken");
    drop(stdin);
    let output = child.wait_with_output().expect("a child can be waited for");
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert_eq!(balance(&shop, "alice"), ["97.00", "0.00", "97.00"]);
}
