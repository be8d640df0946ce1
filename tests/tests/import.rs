//! `mizan import`: real orders come out to the last digit, also after a kill in the middle; bad lines are reported and
//! the good ones kept.
//!
//! The file is the public Berka data set's standing orders, which is not part of the repository: without it the tests
//! that need it say so and pass.

mod import_cases {
    use super::{Node, kill};

    mod rejects;
}

use mizan_tests::binary::{NodeProcess, format_small, mizan, mizan_binary};
use mizan_tests::ledger::reader;
use mizan_tests::proxy::{Direction, Proxy};
use mizan_wire::{TrialBalanceRow, Wide, read_name};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// Orders in the file.
const ORDERS: u64 = 6_471;
/// Paying and receiving accounts in it.
const ACCOUNTS: u64 = 3_758 + 6_446;
/// Sum of the orders, as the file's own description has it.
const SUM: &str = "2122899.36";
/// The same in the smallest unit.
const SUM_UNITS: u128 = 212_289_936;
/// Transfers in a request: so small that the import takes many.
const BATCH: &str = "64";
/// Bytes from the importer to the node after which an import is surely in its middle: accounts and then transfers are
/// 128 bytes each, and before them the lines are looked up.
const MIDDLE_BYTES: usize =
    128 * (ACCOUNTS as usize + ORDERS as usize / 2) + LOOKED_UP * ORDERS as usize;

fn orders() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in a room");
    let file = root.join("../shared/data/berka_standing_orders.tsv");
    if file.exists() {
        return Some(file);
    }
    println!("skipped: standing orders are not imported, there is no {}", file.display());
    None
}

struct Node {
    directory: TempDir,
    process: NodeProcess,
}

impl Node {
    fn start() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let data = directory.path().join("data");
        format_small(&data, &["--transfers", "20000", "--holds", "100"]);
        let process = NodeProcess::start(&data, "127.0.0.1:0");
        Self { directory, process }
    }

    fn address(&self) -> SocketAddr {
        self.process.address()
    }

    fn restart(&mut self) {
        self.process.kill9();
        self.process = NodeProcess::start(&self.directory.path().join("data"), "127.0.0.1:0");
    }

    fn row(&self) -> TrialBalanceRow {
        let rows = reader(self.address()).trial_balance().expect("the node answers");
        let is_crowns = |row: &&TrialBalanceRow| read_name(&row.currency) == Some("CZK");
        *rows.iter().find(is_crowns).expect("the ledger is there")
    }

    fn assert_complete(&self) {
        let row = self.row();
        assert!(row.is_balanced());
        assert_eq!(row.debits_posted, Wide { low: SUM_UNITS, high: 0 });
        assert_eq!(row.debits_pending, Wide::default());
        assert_eq!((row.account_count, row.scale), (ACCOUNTS, 2));
        let status = reader(self.address()).engine_status().expect("the node answers");
        assert_eq!((status.transfer_count, status.burnt_id_count), (ORDERS, 0));
    }
}

fn import(file: &Path, address: SocketAddr) -> Command {
    import_within("60s", file, address)
}

fn import_within(request_timeout: &str, file: &Path, address: SocketAddr) -> Command {
    let mut command = Command::new(mizan_binary());
    command.arg("import").arg(file).args([
        "--currency",
        "CZK",
        "--create-ledger",
        "--scale",
        "2",
        "--create-accounts",
        "--no-header",
        "--id-column",
        "1",
        "--from-column",
        "2",
        "--to-column",
        "3,4",
        "--amount-column",
        "5",
        "--batch",
        BATCH,
        "--request-timeout",
        request_timeout,
        "--json",
        "--address",
        &address.to_string(),
    ]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    })
}

/// Imports everything that is left, and checks the report against what had been there.
fn finish(file: &Path, node: &Node) -> Value {
    let output = import(file, node.address()).output().expect("the binary can be run");
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!(report["lines"], ORDERS);
    assert_eq!((&report["together"]["amount"], &report["bad_lines"]), (&SUM.into(), &0.into()));
    assert_eq!(report["together"]["count"], ORDERS);
    assert_eq!(report["trial_balance"]["balanced"], true);
    assert_eq!(report["trial_balance"]["debits_posted"], SUM);
    node.assert_complete();
    report
}

/// Starts an import through a proxy that lets only a part of it pass, and waits until that part has passed.
fn start_and_stall(file: &Path, node: &Node) -> (Proxy, Child) {
    let proxy = Proxy::start(node.address());
    proxy.stall_after(Direction::Up, MIDDLE_BYTES);
    let importer = import(file, proxy.address()).spawn().expect("the binary can be run");
    proxy.wait_for_stall();
    (proxy, importer)
}

fn kill(importer: &mut Child) {
    importer.kill().expect("a child can be killed");
    importer.wait().expect("a child can be waited for");
}

#[test]
fn standing_orders_of_a_real_bank_add_up_to_the_last_digit_and_are_there_once() {
    let Some(file) = orders() else { return };
    let node = Node::start();
    let first = finish(&file, &node);
    assert_eq!(first["imported"]["count"], ORDERS);
    assert_eq!(first["accounts_created"], ACCOUNTS);
    let again = finish(&file, &node);
    assert_eq!(again["already_there"]["count"], ORDERS);
    assert_eq!((&again["imported"]["count"], &again["accounts_created"]), (&0.into(), &0.into()));
}

#[test]
fn an_importer_killed_in_the_middle_and_run_again_doubles_nothing() {
    let Some(file) = orders() else { return };
    let node = Node::start();
    let (proxy, mut importer) = start_and_stall(&file, &node);
    kill(&mut importer);
    let row = node.row();
    assert!(row.debits_posted.low < SUM_UNITS, "the import was complete already");
    proxy.release(node.address());
    let report = finish(&file, &node);
    assert_ne!(report["already_there"]["count"], 0, "nothing had been imported before");
    println!("{} orders were there before the second run", report["already_there"]["count"]);
}

#[test]
fn a_node_killed_in_the_middle_of_an_import_ends_up_with_every_order_once() {
    let Some(file) = orders() else { return };
    let mut node = Node::start();
    let (proxy, mut importer) = start_and_stall(&file, &node);
    node.restart();
    assert!(node.row().debits_posted.low < SUM_UNITS, "the import was complete already");
    // The same importer finds the node again, resumes its session, and goes on.
    proxy.release(node.address());
    let status = importer.wait().expect("a child can be waited for");
    assert_eq!(status.code(), Some(0));
    node.assert_complete();
    let report = finish(&file, &node);
    assert_eq!(report["already_there"]["count"], ORDERS);
}

/// Orders of the tests that need no real ones; each pays 1.00.
const MADE_ORDERS: u64 = 3_000;

fn made_orders(node: &Node) -> PathBuf {
    let file = node.directory.path().join("made.tsv");
    let lines: String =
        (1..=MADE_ORDERS).map(|id| format!("{id}\tpayer\tYZ\tpayee\t1\n")).collect();
    std::fs::write(&file, lines).expect("a file can be written");
    file
}

/// Bytes of what is looked up for a line before any is sent: the id of its earlier form, and three attempts of that.
pub(crate) const LOOKED_UP: usize = 4 * 16;

/// Starts an import through a proxy that has stalled in the middle of the transfers.
fn stall_made_orders(file: &Path, node: &Node, request_timeout: &str) -> (Proxy, Child) {
    let proxy = Proxy::start(node.address());
    proxy.stall_after(Direction::Up, (LOOKED_UP + 128 / 2) * MADE_ORDERS as usize);
    let importer = import_within(request_timeout, file, proxy.address()).spawn();
    proxy.wait_for_stall();
    (proxy, importer.expect("the binary can be run"))
}

#[test]
fn an_import_that_is_interrupted_counts_what_it_sent_closes_its_session_and_can_be_repeated() {
    let node = Node::start();
    let file = made_orders(&node);
    let (proxy, importer) = stall_made_orders(&file, &node, "60s");
    kill_process(Pid::from_child(&importer), Signal::INT).expect("a child can be sent a signal");
    proxy.release(node.address());
    let output = importer.wait_with_output().expect("a child can be waited for");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("stopped: run the same command again, nothing moves twice"), "{said}");
    let first = report(&output);
    let imported = first["imported"]["count"].as_u64().expect("a number");
    assert!(0 < imported && imported < MADE_ORDERS, "{first}");
    assert_eq!((&first["complete"], &first["fate_unknown"]), (&false.into(), &0.into()));
    let status = reader(node.address()).engine_status().expect("the node answers");
    assert_eq!((status.transfer_count, status.session_count), (imported, 0), "{first}");

    let output = import(&file, node.address()).output().expect("the binary can be run");
    let second = report(&output);
    assert_eq!(second["already_there"]["count"], imported);
    assert_eq!(second["together"]["count"], MADE_ORDERS);
    assert_eq!(second["trial_balance"]["debits_posted"], "3000.00");
}

#[test]
fn an_import_without_answers_says_how_many_fates_are_unknown() {
    let node = Node::start();
    let file = made_orders(&node);
    let (_proxy, importer) = stall_made_orders(&file, &node, "2s");
    let output = importer.wait_with_output().expect("a child can be waited for");
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let report = report(&output);
    let count = |name: &str| report[name].as_u64().expect("a number");
    assert!(count("fate_unknown") > 0, "{report}");
    let imported = report["imported"]["count"].as_u64().expect("a number");
    assert_eq!(imported + count("fate_unknown") + count("not_sent"), count("lines"), "{report}");
}

#[test]
fn an_import_whose_session_is_closed_says_so_and_can_be_repeated() {
    let node = Node::start();
    let file = made_orders(&node);
    let (proxy, importer) = stall_made_orders(&file, &node, "60s");
    let address = node.address().to_string();
    let at = ["--address", &address];
    let list = mizan(&[&["sessions", "list", "--json"][..], &at].concat());
    let list: Value = serde_json::from_slice(&list.stdout).expect("a list");
    let session = list[0]["session"].as_u64().expect("a number").to_string();
    let closed = mizan(&[&["sessions", "close", &session][..], &at].concat());
    assert_eq!(closed.status.code(), Some(0));
    proxy.release(node.address());
    let output = importer.wait_with_output().expect("a child can be waited for");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(said.contains("the node closed the session of this import"), "{said}");
    assert!(!said.contains("no reply in time"), "{said}");
    let output = import(&file, node.address()).output().expect("the binary can be run");
    assert_eq!(report(&output)["together"]["count"], MADE_ORDERS);
    assert_eq!(report(&output)["trial_balance"]["debits_posted"], "3000.00");
}

#[test]
fn bad_lines_are_reported_with_number_and_reason_and_the_good_ones_kept() {
    let node = Node::start();
    let file = node.directory.path().join("pay.csv");
    let lines = [
        "id,payer,payee,amount",
        "p1,alice,bob,10.00",
        "p2,alice,bob,1.005",
        "p3,alice,,5.00",
        "p4,alice,bob",
        "p5,alice,bob,-3",
        "p6,alice,bob,0.50",
        "p7,alice,alice,1",
        "p8,\"smith, john\",bob,\"1,000.00\"",
        "p1,alice,bob,10.01",
        "p9,alice,bob,abc",
    ];
    std::fs::write(&file, lines.join("\n") + "\n").expect("a file can be written");
    let address = node.address().to_string();
    let file = file.to_str().expect("temporary paths are UTF-8");
    let mut words = vec![
        "import",
        file,
        "--currency",
        "EUR",
        "--create-ledger",
        "--scale",
        "2",
        "--create-accounts",
        "--id-column",
        "id",
        "--from-column",
        "payer",
        "--to-column",
        "payee",
        "--amount-column",
        "amount",
        "--address",
        &address,
    ];
    let output = mizan(&words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for line in ["line 3:", "line 4:", "line 5:", "line 6:", "line 8:", "line 10:", "line 11:"] {
        assert!(said.contains(line), "no `{line}` in {said}");
    }
    for line in ["line 1:", "line 2:", "line 7:", "line 9:"] {
        assert!(!said.contains(line), "`{line}` in {said}");
    }
    assert!(said.contains("column 3 (payee) is empty"), "{said}");
    assert!(said.contains("exists_with_different_amount"), "{said}");
    assert!(said.contains("accounts_must_be_different"), "{said}");

    words.push("--json");
    let output = mizan(&words);
    let report = report(&output);
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert_eq!(report["already_there"]["amount"], "1010.50");
    assert_eq!((&report["imported"]["count"], &report["lines"]), (&0.into(), &10.into()));
    assert_eq!(report["bad_lines"].as_u64(), Some(5), "{report}");
    assert_eq!(report["refused"]["count"].as_u64(), Some(2), "{report}");
    assert_eq!(report["trial_balance"]["debits_posted"], "1010.50");
    assert_eq!(report["trial_balance"]["balanced"], true);
}

#[test]
fn a_file_or_column_that_is_not_there_is_a_usage_error_and_nothing_is_sent() {
    let node = Node::start();
    let address = node.address().to_string();
    let file = node.directory.path().join("pay.csv");
    std::fs::write(&file, "id,payer,payee,amount\np1,a,b,1\n").expect("a file can be written");
    let file = file.to_str().expect("temporary paths are UTF-8");
    for (file, column) in [("/nonexistent/pay.csv", "amount"), (file, "sum")] {
        let output = mizan(&[
            "import",
            file,
            "--currency",
            "EUR",
            "--create-ledger",
            "--scale",
            "2",
            "--create-accounts",
            "--id-column",
            "id",
            "--from-column",
            "payer",
            "--to-column",
            "payee",
            "--amount-column",
            column,
            "--address",
            &address,
        ]);
        assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let status = reader(node.address()).engine_status().expect("the node answers");
    assert_eq!((status.account_count, status.ledger_count), (0, 0));
}
