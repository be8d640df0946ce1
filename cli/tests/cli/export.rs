//! What a node holds, written as text from its files alone.

use crate::node::TestNode;
use mizan_cli::exit;
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) type Row = BTreeMap<String, String>;

pub(crate) fn csv_rows(path: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(path).expect("the file is there");
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    lines.map(|line| std::iter::zip(header.clone(), line).collect()).collect()
}

fn json_rows(path: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(path).expect("the file is there");
    text.lines().map(|line| serde_json::from_str(line).expect("an object of strings")).collect()
}

fn cents(text: &str) -> i64 {
    text.replace('.', "").parse().expect("two decimals")
}

fn node_with_holds() -> TestNode {
    let node = TestNode::with_wallets();
    for line in [
        "transfer alice bob 12.34 USD --id t1",
        "hold alice bob 5.00 USD --id open",
        "hold alice bob 6.00 USD --id taken",
        "post taken 4.00",
        "hold alice bob 7.00 USD --id given-back",
        "void given-back",
    ] {
        let ran = node.mizan(line);
        assert_eq!(ran.code, exit::OK, "{line}: {ran:?}");
    }
    node
}

#[test]
fn what_is_exported_adds_up_to_the_balances_and_says_what_became_of_holds() {
    let node = node_with_holds();
    let (data, to) = (node.data(), node.place("books"));
    let words = ["export", "--data", data.to_str().unwrap(), "--to", to.to_str().unwrap()];
    let ran = node.words(&words);
    assert_eq!(ran.code, exit::OK, "{ran:?}");
    assert!(ran.talk.contains("runs on these files"), "{ran:?}");

    let transfers = csv_rows(&to.join("transfers.csv"));
    let accounts = csv_rows(&to.join("accounts.csv"));
    assert_eq!((accounts.len(), transfers.len()), (3, 7));
    let states: Vec<&str> = transfers.iter().map(|row| row["state"].as_str()).collect();
    assert_eq!(states, ["", "", "open", "posted", "", "voided", ""]);
    let mut posted: BTreeMap<&str, i64> = BTreeMap::new();
    for row in
        transfers.iter().filter(|row| row["state"].is_empty() && !row["flags"].contains("void"))
    {
        *posted.entry(&row["debit_account_id"]).or_default() -= cents(&row["amount"]);
        *posted.entry(&row["credit_account_id"]).or_default() += cents(&row["amount"]);
    }
    for account in &accounts {
        let balance = cents(&account["credits_posted"]) - cents(&account["debits_posted"]);
        assert_eq!(
            posted.get(account["id"].as_str()).copied().unwrap_or(0),
            balance,
            "{account:?}"
        );
    }
    let ledgers = csv_rows(&to.join("ledgers.csv"));
    assert_eq!((ledgers.len(), ledgers[0]["balanced"].as_str()), (1, "true"));
    assert_eq!(ledgers[0]["debits_posted"], "116.34");
    assert_eq!(ledgers[0]["debits_pending"], "5.00");

    let again = node.words(&words);
    assert_eq!(again.code, exit::STATE, "{again:?}");
    assert!(again.talk.contains("accounts.csv exists"), "{again:?}");
}

#[test]
fn an_export_that_fails_leaves_nothing_under_the_names_of_its_tables() {
    let node = node_with_holds();
    let (data, to) = (node.data(), node.place("books"));
    std::fs::create_dir(&to).unwrap();
    // The last of the three tables has no place; what is in the way is no earlier export.
    std::fs::create_dir(to.join("ledgers.csv")).unwrap();
    let words = ["export", "--data", data.to_str().unwrap(), "--to", to.to_str().unwrap()];
    assert_eq!(node.words(&words).code, exit::STATE);
    let names = || std::fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names().collect::<Vec<_>>(), ["ledgers.csv"]);
    std::fs::remove_dir(to.join("ledgers.csv")).unwrap();
    // What an export that was killed leaves behind is in nobody's way.
    std::fs::write(to.join(".mizan-export-cut"), "id,led").unwrap();
    assert_eq!(node.words(&words).code, exit::OK);
}

#[test]
fn json_lines_hold_the_same_as_csv() {
    let node = node_with_holds();
    let (data, csv, jsonl) = (node.data(), node.place("csv"), node.place("jsonl"));
    let data = data.to_str().unwrap();
    let ran = node.words(&["export", "--data", data, "--to", csv.to_str().unwrap(), "--json"]);
    assert_eq!(ran.code, exit::OK, "{ran:?}");
    assert_eq!((&ran.json()["sound"], &ran.json()["files"][1]["rows"]), (&true.into(), &7.into()));
    let to = jsonl.to_str().unwrap();
    let ran = node.words(&["export", "--data", data, "--to", to, "--format", "jsonl"]);
    assert_eq!(ran.code, exit::OK, "{ran:?}");
    for table in ["accounts", "transfers", "ledgers"] {
        let one = csv_rows(&csv.join(format!("{table}.csv")));
        assert!(!one.is_empty());
        assert_eq!(one, json_rows(&jsonl.join(format!("{table}.jsonl"))), "{table}");
    }
}
