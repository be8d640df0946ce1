//! A market from the command line, over TCP: what an order holds, what its fills move, what its refusals say, and that
//! the same input gives the same output hash, also over a kill.

use mizan_tests::binary::{NodeProcess, format_small, mizan, mizan_binary, mizan_ok};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const LIMITED: &str = "debits_must_not_exceed_credits";

/// Everything up to the order that is looked at: ACME in whole shares against USD, a tick of 0.10, and 1.00 for takers.
/// Bob offers what alice is to buy, and dave one share before him.
const OPENING: [&str; 13] = [
    "ledger create USD --scale 2",
    "ledger create ACME --scale 0",
    "accounts create bank USD",
    "accounts create issuer ACME",
    "accounts create alice bob carol dave USD --flags LIMITED",
    "accounts create alice bob carol dave ACME --flags LIMITED",
    "transfer bank alice 2,000.00 USD --id cash-of-alice",
    "transfer bank carol 500.00 USD --id cash-of-carol",
    "transfer issuer bob 10 ACME --id shares-of-bob",
    "transfer issuer dave 1 ACME --id shares-of-dave",
    "instrument create ACME USD --tick 0.10 --taker-fee-flat 1.00 --orders 1000 --levels 100",
    "order sell ACME 1 @ 189.90 --account dave --client-order-id d1",
    "order sell ACME 6 @ 189.90 --account bob --client-order-id b1 --post-only",
];
/// The order waits for a trade at 189.90, and holds 10 x 190.00 and the fee until then.
const ENTRY: [&str; 2] = [
    "order sell ACME 4 @ 190.00 --account bob --client-order-id b2",
    "order buy ACME 10 @ 190.00 --stop 189.90 --account alice --client-order-id a1",
];
/// Carol's trade with dave releases it.
const TRIGGER: &str = "order buy ACME 1 @ 189.90 --account carol --client-order-id c1";

struct Market {
    _directory: TempDir,
    data: PathBuf,
    node: NodeProcess,
    standby: Option<Standby>,
}

/// The node that takes over.
struct Standby {
    data: PathBuf,
    node: NodeProcess,
    replica: SocketAddr,
}

/// What happens in the middle of the play.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Interruption {
    None,
    /// kill -9 and a restart, twice.
    Kill,
    /// kill -9 of the primary, and its standby is promoted.
    Failover,
}

/// Limits of a market's node.
const LIMITS: [&str; 5] = ["--trading", "--orders", "10000", "--reports", "10000"];

impl Market {
    fn start() -> Self {
        let directory = TempDir::new().expect("a directory");
        let data = directory.path().join("data");
        format_small(&data, &LIMITS);
        let node = NodeProcess::start(&data, "127.0.0.1:0");
        Self { _directory: directory, data, node, standby: None }
    }

    /// On a primary with a standby.
    fn start_pair() -> Self {
        let directory = TempDir::new().expect("a directory");
        let bound = [0; 2].map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let replicas = bound.each_ref().map(|bound| bound.local_addr().expect("it is bound"));
        drop(bound);
        let place = |node: usize| directory.path().join(format!("node-{node}"));
        let run = |node: usize| {
            let mut command = Command::new(mizan_binary());
            command.arg("start").arg("--data").arg(place(node)).args(["--listen", "127.0.0.1:0"]);
            command.args(["--replicate", &replicas[node].to_string()]);
            command.args(["--peers", &replicas[1 - node].to_string()]);
            NodeProcess::spawn(command)
        };
        let limits: Vec<&str> = ["--nodes", "2", "--no-secret"].into_iter().chain(LIMITS).collect();
        format_small(&place(0), &limits);
        let node = run(0);
        let second = place(1);
        let data = second.to_str().expect("temporary paths are UTF-8");
        mizan_ok(&["format", "--data", data, "--join", &replicas[0].to_string()]);
        let standby = Standby { data: second.clone(), node: run(1), replica: replicas[1] };
        mizan_ok(&["promote", "--replica", &replicas[0].to_string()]);
        let data = place(0);
        Self { _directory: directory, data, node, standby: Some(standby) }
    }

    fn opened() -> Self {
        Self::start().open()
    }

    fn open(self) -> Self {
        OPENING.iter().for_each(|line| self.ok(line));
        self
    }

    /// kill -9; then the standby takes over, or the node comes back.
    fn interrupt(&mut self) {
        self.node.kill9();
        let Some(standby) = self.standby.take() else {
            self.node = NodeProcess::start(&self.data, "127.0.0.1:0");
            return;
        };
        let replica = standby.replica.to_string();
        mizan_ok(&["promote", "--replica", &replica, "--solo", "--yes-single-copy"]);
        (self.node, self.data) = (standby.node, standby.data);
    }

    fn run(&self, line: &str) -> Output {
        let line = line.replace("LIMITED", LIMITED);
        let address = self.node.address().to_string();
        let mut words: Vec<&str> = line.split_whitespace().collect();
        words.extend(["--address", &address]);
        mizan(&words)
    }

    fn ok(&self, line: &str) {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {output:?}");
    }

    fn json(&self, line: &str) -> Value {
        let output = self.run(&format!("{line} --json"));
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{line}: {error}: {output:?}"))
    }

    /// Posted, held and available.
    fn balance(&self, name: &str, currency: &str) -> [String; 3] {
        let accounts = self.json(&format!("account {name} {currency}"));
        ["posted", "held", "available"].map(|column| {
            let text = accounts[0]["balance"][column].as_str();
            text.unwrap_or_else(|| panic!("{accounts}")).to_owned()
        })
    }

    fn output_hash(&self) -> String {
        let status = self.json("status");
        status["output_hash"].as_str().unwrap_or_else(|| panic!("{status}")).to_owned()
    }

    /// What the files say when the node is gone.
    fn verify(mut self) -> Value {
        self.node.terminate();
        assert!(self.node.wait().success());
        let data = self.data.to_str().expect("temporary paths are UTF-8");
        let text = mizan_ok(&["verify", "--independent", "--json", "--data", data]);
        serde_json::from_str(&text).expect("JSON")
    }
}

/// Plays everything, with an interruption before the trade if it is to be; gives the output hash.
fn play(interruption: Interruption) -> String {
    let market = match interruption {
        Interruption::Failover => Market::start_pair(),
        _ => Market::start(),
    };
    let mut market = market.open();
    ENTRY.iter().for_each(|line| market.ok(line));
    assert_eq!(market.balance("alice", "USD"), ["2000.00", "1901.00", "99.00"]);
    if interruption != Interruption::None {
        market.interrupt();
        assert_eq!(market.balance("alice", "USD"), ["2000.00", "1901.00", "99.00"]);
    }
    market.ok(TRIGGER);
    if interruption == Interruption::Kill {
        market.interrupt();
    }
    assert_eq!(market.balance("alice", "USD"), ["99.60", "0.00", "99.60"]);
    assert_eq!(market.balance("alice", "ACME"), ["10", "0", "10"]);
    assert_eq!(market.balance("bob", "USD"), ["1899.40", "0.00", "1899.40"]);
    assert_eq!(market.balance("bob", "ACME"), ["0", "0", "0"]);
    assert_eq!(market.balance("fees:ACME/USD", "USD"), ["2.00", "0.00", "2.00"]);
    assert_eq!(market.balance("clearing:ACME/USD", "USD"), ["0.00", "0.00", "0.00"]);
    let reports = market.json("reports alice");
    let fills: Vec<String> = reports["reports"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|report| report["what"] == "fill")
        .map(|report| {
            format!("{} at {} fee {}", report["quantity"], report["price"], report["fee"])
        })
        .collect();
    assert_eq!(
        fills,
        [r#""6" at "189.90" fee "1.00""#, r#""4" at "190.00" fee "0.00""#],
        "{reports}"
    );
    let hash = market.output_hash();
    let verified = market.verify();
    assert_eq!(verified["sound"], true, "{verified}");
    assert_eq!(verified["output_hash"], hash.as_str());
    assert_eq!(verified["independent"]["differences"], serde_json::json!([]));
    hash
}

#[test]
fn the_same_input_gives_the_same_output_hash_also_over_kills_and_on_a_standby() {
    let first = play(Interruption::None);
    assert_ne!(first, "0".repeat(32), "the hash of nothing");
    assert_eq!(play(Interruption::None), first, "the same input again");
    assert_eq!(play(Interruption::Kill), first, "the same input over two kills");
    assert_eq!(play(Interruption::Failover), first, "the same input over a failover");
    let market = Market::opened();
    ENTRY.iter().for_each(|line| market.ok(line));
    market.ok("order cancel ACME a1 --account alice");
    assert_eq!(market.balance("alice", "USD"), ["2000.00", "0.00", "2000.00"]);
    assert_ne!(market.output_hash(), first, "another input");
}

#[test]
fn every_refusal_is_told_by_name_and_number_and_changes_nothing() {
    let market = Market::opened();
    for (line, status, words) in [
        ("order buy ACME 1 @ 190.05 --account alice", "price_off_tick (1308)", "0.10 USD"),
        ("order buy ACME 1.5 @ 190.00 --account alice", "quantity_off_lot (1304)", "1 ACME"),
        ("order buy ACME 11 @ 190.00 --account alice", "insufficient_funds (1431)", "2000.00 USD"),
        ("order sell ACME 5 @ 190.00 --account bob", "insufficient_funds (1431)", "4 ACME"),
        ("order buy ACME 0 @ 190.00 --account alice", "quantity_zero (1303)", "at least one lot"),
        (
            "order buy ACME 1 @ 100,000,000,000.10 --account alice",
            "price_out_of_band (1309)",
            "between 0.10 and 100000000000.00 USD",
        ),
        (
            "order buy ACME 1 @ 189.90 --account alice --post-only",
            "post_only_would_take (1322)",
            "post-only",
        ),
        ("order sell ACME 1 --market --account bob", "no_liquidity (1323)", "no order"),
        ("order buy ACME 1 @ 1 --account nobody", "account_not_found (1407)", "accounts create"),
        ("order cancel ACME nothing --account bob", "order_not_found (1410)", "no order"),
        ("order amend ACME nothing 1 --account bob", "order_not_found (1410)", "nothing"),
        ("order amend ACME b1 11 --account bob", "insufficient_funds (1431)", "4 ACME"),
        (
            "order sell ACME 2 @ 1 --account dave --client-order-id d1",
            "duplicate_different (1408)",
            "another order",
        ),
    ] {
        let output = market.run(line);
        let said = String::from_utf8_lossy(&output.stdout);
        let talk = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}: {output:?}");
        assert!(said.lines().next().is_some_and(|first| first.ends_with(status)), "{line}: {said}");
        assert!(talk.contains(words), "{line}: {talk}");
        let value = market.json(line);
        let number = status.split(['(', ')']).nth(1).expect("a number");
        assert_eq!(value["status_number"].to_string(), number, "{value}");
        assert_eq!(value["error"]["code"], 1, "{value}");
    }
    let unknown = market.run("order buy NOPE 1 @ 1 --account alice");
    assert_eq!(unknown.status.code(), Some(1));
    let talk = String::from_utf8_lossy(&unknown.stderr);
    assert!(talk.contains("instrument_unknown, 1406") && talk.contains("ACME/USD"), "{talk}");
    assert_eq!(market.balance("alice", "USD"), ["2000.00", "0.00", "2000.00"]);
    let book = market.json("book ACME");
    assert_eq!(book["asks"].as_array().map(Vec::len), Some(1), "{book}");
    assert_eq!(
        (&book["asks"][0]["quantity"], &book["asks"][0]["orders"]),
        (&"7".into(), &2.into())
    );
}

#[test]
fn a_halted_instrument_refuses_orders_until_it_is_open_again() {
    let market = Market::opened();
    market.ok("instrument state ACME halted");
    assert_eq!(market.json("instrument list")[0]["state"], "halted");
    let refused = market.json("order buy ACME 1 @ 189.90 --account alice");
    assert_eq!(refused["status"], "halted", "{refused}");
    let amend = market.json("order amend ACME b1 5 --account bob");
    assert_eq!(amend["status"], "halted", "{amend}");
    market.ok("order cancel ACME b1 --account bob");
    market.ok("instrument state all open");
    let done = market.json("order buy ACME 1 @ 189.90 --account alice --client-order-id x");
    assert_eq!((&done["outcome"], &done["state"]), (&"done".into(), &"filled".into()), "{done}");
    assert_eq!(done["average_price"], "189.90");
    let again = market.json("order buy ACME 1 @ 189.90 --account alice --client-order-id x");
    assert_eq!(again["outcome"], "duplicate", "{again}");
    assert_eq!(again["order_number"], done["order_number"]);
    assert_eq!(again["timestamp_ns"], done["timestamp_ns"]);
}

#[test]
fn orders_are_listed_amended_and_cancelled_under_the_names_that_people_gave_them() {
    let market = Market::opened();
    market.ok("order buy ACME 2 @ 189.00 --account alice --client-order-id one");
    market.ok("order buy ACME 1 @ 188.00 --account alice --client-order-id two --day");
    market.ok("order buy ACME 1 @ 187.00 --account alice --client-order-id three --until 1h");
    let open = market.json("order list alice");
    let states: Vec<&str> = open
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["lifetime"].as_str())
        .collect();
    assert_eq!(states, ["till cancelled", "day", "till date"]);
    market.ok("order amend ACME one 3 @ 189.10 --account alice");
    let one = market.json("order list alice one --instrument ACME");
    assert_eq!((&one[0]["quantity"], &one[0]["price"]), (&"3".into(), &"189.10".into()), "{one}");
    // The price stays if none is given.
    market.ok("order amend ACME one 2 --account alice");
    let one = market.json("order list alice one --instrument ACME");
    assert_eq!((&one[0]["quantity"], &one[0]["price"]), (&"2".into(), &"189.10".into()), "{one}");
    let closed = market.json("instrument close ACME");
    assert_eq!(closed["ended"], 1, "{closed}");
    let number = one[0]["order_number"].as_u64().expect("a number");
    market.ok(&format!("order cancel ACME #{number} --account alice"));
    let rest = market.json("order cancel ACME --all --account alice");
    assert_eq!(rest["cancelled"], 1, "{rest}");
    assert_eq!(market.json("order list alice"), serde_json::json!([]));
    for line in ["order list nobody", "reports nobody"] {
        let output = market.run(line);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("no account nobody"));
    }
    assert_eq!(market.balance("alice", "USD"), ["2000.00", "0.00", "2000.00"]);
    let reports = market.json("reports alice --from 2 --limit 2");
    let numbers: Vec<u64> = reports["reports"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|report| report["number"].as_u64())
        .collect();
    assert_eq!(numbers, [2, 3], "{reports}");
}

#[test]
fn a_node_shows_what_was_fixed_for_trading_and_says_when_there_is_none() {
    let market = Market::opened();
    let status = market.json("status");
    assert_eq!(status["limits"]["orders"]["max"], 10_000, "{status}");
    assert_eq!(status["limits"]["instruments"]["used"], 1, "{status}");
    assert_eq!(status["limits"]["orders_of_the_books"]["used"], 1_000, "{status}");
    let data = market.data.to_str().expect("temporary paths are UTF-8");
    let superblock = mizan_ok(&["inspect", "superblock", "--data", data, "--json"]);
    let superblock: Value = serde_json::from_str(&superblock).expect("JSON");
    assert_eq!(superblock["trading"]["orders"], 10_000, "{superblock}");

    let directory = TempDir::new().expect("a directory");
    let data = directory.path().join("data");
    format_small(&data, &[]);
    let node = NodeProcess::start(&data, "127.0.0.1:0");
    let address = node.address().to_string();
    let run = |words: &[&str]| mizan(&[words, &["--address", &address]].concat());
    for words in
        [["ledger", "create", "USD", "--scale", "2"], ["ledger", "create", "ACME", "--scale", "0"]]
    {
        assert!(run(&words).status.success());
    }
    let refused = run(&["instrument", "create", "ACME", "USD", "--tick", "0.01"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let talk = String::from_utf8_lossy(&refused.stderr);
    assert!(talk.contains("trading_not_enabled, 1455") && talk.contains("--trading"), "{talk}");
    let status = run(&["status", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert!(status["output_hash"].is_null(), "{status}");
}

#[test]
fn a_watched_book_is_shown_whenever_it_changes_and_ends_in_order() {
    let market = Market::opened();
    let address = market.node.address().to_string();
    let mut watch = Command::new(mizan_binary())
        .args(["book", "ACME", "--watch", "--json", "--address", &address])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary can be run");
    let stdout = watch.stdout.take().expect("stdout is piped");
    let mut lines = BufReader::new(stdout).lines();
    let mut next = || -> Value {
        let line = lines.next().expect("a line comes").expect("stdout can be read");
        serde_json::from_str(&line).expect("JSON")
    };
    assert_eq!(next()["bids"], serde_json::json!([]));
    market.ok("order buy ACME 3 @ 189.00 --account alice");
    let bid = serde_json::json!([{ "price": "189.00", "quantity": "3", "orders": 1 }]);
    assert_eq!(next()["bids"], bid);
    kill_process(Pid::from_child(&watch), Signal::TERM).expect("a signal");
    assert_eq!(watch.wait().expect("a child can be waited for").code(), Some(0));
}
