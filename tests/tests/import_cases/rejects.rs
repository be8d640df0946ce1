//! An import with rejects that is killed in its middle: the second run finds every refused line, and pays no other twice.

use super::{Node, kill};
use mizan_tests::binary::{mizan_binary, mizan_ok};
use mizan_tests::proxy::{Direction, Proxy};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

const LINES: u64 = 2_000;
/// Every so many lines pay from an account without funds.
const POOR: u64 = 50;

fn import(file: &Path, address: SocketAddr, further: &[&str]) -> Command {
    let mut command = Command::new(mizan_binary());
    let columns = "--id-column 1 --from-column 2 --to-column 3 --amount-column 5 --no-header";
    command.arg("import").arg(file).args(columns.split(' ')).args(further);
    command.args(["--currency", "CZK", "--create-accounts", "--batch", "64", "--json"]);
    command.args(["--address", &address.to_string()]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(file: &Path, address: SocketAddr, further: &[&str]) -> Value {
    let output = import(file, address, further).output().expect("the binary can be run");
    serde_json::from_slice(&output.stdout).expect("a report")
}

#[test]
fn an_import_killed_in_the_middle_writes_all_its_rejects_the_next_time_and_pays_nothing_twice() {
    let node = Node::start();
    let address = node.address().to_string();
    let at = ["--address", &address];
    mizan_ok(&[&["ledger", "create", "CZK", "--scale", "2"][..], &at].concat());
    let limited = ["--flags", "debits_must_not_exceed_credits"];
    mizan_ok(&[&["accounts", "create", "poor", "CZK"][..], &limited, &at].concat());
    let file = node.directory.path().join("pay.csv");
    let payer = |line: u64| if line.is_multiple_of(POOR) { "poor" } else { "payer" };
    let text: String = (1..=LINES)
        .map(|line| format!("{line},{},payee,\"a\nline {line}\",1\n", payer(line)))
        .collect();
    std::fs::write(&file, text).expect("a file can be written");
    let rejects = node.directory.path().join("rejects.csv");
    let path = rejects.to_str().expect("temporary paths are UTF-8");
    let with_rejects = ["--rejects", path];

    let proxy = Proxy::start(node.address());
    proxy.stall_after(Direction::Up, (crate::LOOKED_UP + 128 / 2) * LINES as usize);
    let mut importer =
        import(&file, proxy.address(), &with_rejects).spawn().expect("the binary can be run");
    proxy.wait_for_stall();
    kill(&mut importer);
    assert!(!rejects.exists(), "rejects of an import that is not complete");
    proxy.release(node.address());

    let second = run(&file, node.address(), &with_rejects);
    let refused = LINES / POOR;
    assert_eq!(second["together"]["count"], LINES - refused, "{second}");
    assert_ne!(second["already_there"]["count"], 0, "{second}");
    assert_eq!(
        (&second["refused"]["count"], &second["rejects"]),
        (&refused.into(), &refused.into())
    );
    mizan_ok(&[&["transfer", "payer", "poor", "40", "CZK", "--id", "funds"][..], &at].concat());
    let attempt = ["--attempt-column", "6"];
    let third = run(&rejects, node.address(), &attempt);
    assert_eq!(third["imported"]["count"], refused, "{third}");
    for (file, further) in [(&file, &[][..]), (&rejects, &attempt[..])] {
        let again = run(file, node.address(), further);
        assert_eq!(again["imported"]["count"], 0, "{again}");
    }
    assert_eq!(node.row().debits_posted.low, u128::from(LINES + refused) * 100);
}
