//! What `import-state` takes for an export, and payment files that are sent again to the node that took one.

use crate::import_state::{alter, export, import, import_with, varied};
use crate::node::{Ran, TestNode};
use mizan_cli::exit;
use std::path::{Path, PathBuf};

fn pay(node: &TestNode, file: &Path, flags: &str) -> Ran {
    let columns = "--currency USD --id-column id --from-column payer --to-column payee --amount-column amount";
    node.mizan(&format!("import {} {columns} {flags} --json", file.display()))
}

fn posted(node: &TestNode, account: &str) -> String {
    let account = node.json(&format!("account {account} USD"));
    account[0]["balance"]["posted"].as_str().expect("an amount").to_owned()
}

#[test]
fn a_payments_file_and_its_rejects_pay_nothing_again_on_the_node_that_took_the_books() {
    let old = TestNode::with_wallets();
    let text =
        "id,payer,payee,amount\nr-1,alice,bob,1.00\nr-2,alice,bob,5000.00\nr-3,alice,bob,7000.00\n";
    let file = old.file("pay.csv", text);
    let rejects = file.with_file_name("rejects.csv");
    let first = pay(&old, &file, &format!("--rejects {}", rejects.display()));
    assert_eq!(first.json()["rejects"], 2, "{first:?}");
    old.json("transfer bank alice 5000.00 USD --id top-up");
    // The second attempt of r-2 is paid, that of r-3 spends another id.
    assert_eq!(pay(&old, &rejects, "").json()["imported"]["amount"], "5000.00");
    assert_eq!(posted(&old, "bob"), "5001.00");
    assert_eq!(old.json("status")["spent_ids"], 3);

    for format in ["csv", "jsonl"] {
        let from = export(&old, format, format);
        let new = TestNode::start();
        let ran = import(&new, &from);
        assert_eq!(ran.code, exit::OK, "{ran:?}");
        let report = ran.json();
        assert_eq!((&report["spent_ids"], &report["ids_spent"]), (&3.into(), &3.into()));
        let again = import(&new, &from);
        assert_eq!(again.code, exit::OK, "{again:?}");
        let again = again.json();
        assert_eq!((&again["ids_spent"], &again["ids_spent_already"]), (&0.into(), &3.into()));
        assert_eq!(again["unspent_ids"], serde_json::json!([]));
        assert_eq!(new.json("status")["spent_ids"], 3);

        new.json("transfer bank alice 50000.00 USD --id plenty");
        for file in [&file, &rejects, &file] {
            let ran = pay(&new, file, "");
            assert_eq!(ran.json()["imported"]["count"], 0, "{ran:?}");
        }
        assert_eq!(posted(&new, "bob"), "5001.00");
    }
}

#[test]
fn what_no_table_tells_is_told_by_the_manifest_alone() {
    let old = varied();
    let new = TestNode::start();
    let from = export(&old, "code", "csv");
    alter(&from.join("accounts.csv"), &|text| text.replacen(",7,,1,", ",7,,2,", 1));
    let ran = import(&new, &from);
    assert_eq!(ran.code, exit::CORRUPT, "{ran:?}");
    assert!(ran.talk.contains("accounts.csv is not what the manifest says"), "{ran:?}");
    let ran = import_with(&new, &from, &["--accept-changed", "--dry-run"]);
    assert_eq!(ran.code, exit::OK, "{ran:?}");
    assert_eq!(ran.json()["manifest_agrees"], false);
    assert!(ran.talk.contains("accepted although it was changed: accounts.csv"), "{ran:?}");

    let manifest = |name: &str, change: &dyn Fn(String) -> String| {
        let from = export(&old, name, "jsonl");
        let whole = import_with(&new, &from, &["--dry-run"]);
        assert_eq!((whole.code, &whole.json()["is_complete"]), (exit::OK, &true.into()));
        alter(&from.join("manifest.json"), change);
        let ran = import(&new, &from);
        let accepted = import_with(&new, &from, &["--accept-changed", "--dry-run"]);
        (ran, accepted.code)
    };
    let rows = |text: String| text.replacen("\"rows\": ", "\"rows\": 1", 1);
    let (ran, accepted) = manifest("rows", &rows);
    assert_eq!((ran.code, accepted), (exit::CORRUPT, exit::OK), "{ran:?}");
    assert!(ran.talk.contains("accounts.jsonl has "), "{ran:?}");
    let (ran, accepted) = manifest("cut", &|text| text[..text.len() / 2].to_owned());
    assert_eq!((ran.code, accepted), (exit::CORRUPT, exit::OK), "{ran:?}");
    let name = |text: String| text.replacen("ledgers.jsonl", "../ledgers.jsonl", 1);
    assert_eq!(manifest("name", &name).0.code, exit::CORRUPT);
    let version = |text: String| text.replacen("\"version\": 1", "\"version\": 2", 1);
    let (ran, accepted) = manifest("version", &version);
    assert_eq!((ran.code, accepted), (exit::VERSION, exit::VERSION), "{ran:?}");

    let from = export(&old, "without", "csv");
    std::fs::remove_file(from.join("manifest.json")).unwrap();
    let ran = import(&new, &from);
    assert_eq!(ran.code, exit::CORRUPT, "{ran:?}");
    assert!(ran.talk.contains("manifest.json is missing"), "{ran:?}");
    assert_eq!(import_with(&new, &from, &["--accept-changed", "--dry-run"]).code, exit::OK);
    std::fs::remove_file(from.join("spent_ids.csv")).unwrap();
    assert_ne!(import_with(&new, &from, &["--accept-changed", "--dry-run"]).code, exit::OK);
    let status = new.json("status");
    assert_eq!(status["limits"]["accounts"]["used"], 0);
}

#[test]
fn files_without_an_end_and_rows_without_one_are_refused() {
    let old = varied();
    let from = export(&old, "device", "csv");
    let ledgers = from.join("ledgers.csv");
    std::fs::remove_file(&ledgers).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &ledgers).unwrap();
    for flags in [&["--dry-run"][..], &["--dry-run", "--accept-changed"]] {
        let ran = import_with(&old, &from, flags);
        assert_eq!(ran.code, exit::CORRUPT, "{ran:?}");
        assert!(ran.talk.contains("ledgers.csv: it is no regular file"), "{ran:?}");
    }
    for (format, begin) in [("csv", "\""), ("jsonl", "{\"id\":\"")] {
        let from = export(&old, &format!("{format}-long"), format);
        let endless = "0x1\n".repeat(100_000);
        let endless = if format == "csv" { endless } else { endless.replace('\n', " ") };
        let table = from.join("accounts").with_extension(format);
        alter(&table, &|text| text + begin + &endless);
        let ran = import_with(&old, &from, &["--dry-run", "--accept-changed"]);
        assert_eq!(ran.code, exit::CORRUPT, "{ran:?}");
        assert!(ran.talk.contains("a row is longer than 65536 bytes"), "{ran:?}");
    }
}

/// A copy of a node's files with a bit of an early transfer flipped.
fn damaged_copy(node: &TestNode) -> PathBuf {
    let (from, to) = (node.data(), node.place("damaged"));
    std::fs::create_dir(&to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    let segment = to.join(mizan_journal::segment_name(0));
    let mut bytes = std::fs::read(&segment).unwrap();
    let transfer: Vec<u8> =
        [100_u128, 1, 2, 1_000].iter().flat_map(|id| id.to_le_bytes()).collect();
    let place = bytes.windows(transfer.len()).position(|window| window == transfer);
    bytes[place.expect("the transfer is in the log")] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    to
}

#[test]
fn the_export_of_a_damaged_node_is_marked_and_taken_only_if_what_is_missing_is_given_up() {
    let node = varied();
    let (data, to) = (damaged_copy(&node), node.place("books"));
    let words = ["export", "--data", data.to_str().unwrap(), "--to", to.to_str().unwrap()];
    let ran = node.words(&words);
    assert_eq!(ran.code, exit::CORRUPT, "{ran:?}");
    for flags in [&["--dry-run"][..], &["--dry-run", "--accept-changed"]] {
        let ran = import_with(&node, &to, flags);
        assert_eq!(ran.code, exit::CORRUPT, "{ran:?}");
        assert!(ran.talk.contains("the export is not complete"), "{ran:?}");
    }
    let ran = import_with(&node, &to, &["--dry-run", "--accept-incomplete"]);
    assert_eq!(ran.code, exit::OK, "{ran:?}");
    let report = ran.json();
    assert_eq!((&report["is_complete"], &report["accounts"]), (&false.into(), &8.into()));
    assert!(ran.talk.contains("what came later is given up"), "{ran:?}");
}
