//! A node that is full goes on in a larger one, by export and `import-state`.

use crate::export::{Row, csv_rows};
use crate::node::{Ran, TestNode};
use mizan_cli::exit;
use mizan_client::{Client, ClientConfig};
use mizan_wire::{
    Account, AccountFlags, CREATED, CreateTransferStatus, Transfer, TransferFlags as Flags,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LIMITED: u16 = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS;
const HOUR_S: u32 = 3_600;

fn connect(node: &TestNode) -> Client {
    Client::connect(ClientConfig::at(node.address())).expect("a session")
}

fn account(id: u128, flags: u16) -> Account {
    Account { id, ledger: 7, code: 1, flags, user_data_64: 9, ..Account::default() }
}

fn transfer(id: u128, debit: u128, credit: u128, amount: u128) -> Transfer {
    let (debit_account_id, credit_account_id) = (debit, credit);
    Transfer {
        id,
        debit_account_id,
        credit_account_id,
        amount,
        ledger: 7,
        code: 3,
        user_data_128: 9,
        user_data_64: 6,
        user_data_32: 5,
        ..Transfer::default()
    }
}

fn hold(id: u128, debit: u128, credit: u128, amount: u128, timeout: u32) -> Transfer {
    Transfer { flags: Flags::PENDING, timeout, ..transfer(id, debit, credit, amount) }
}

fn end(id: u128, pending_id: u128, flags: u16, amount: u128) -> Transfer {
    Transfer { id, pending_id, flags, amount, ..Transfer::default() }
}

fn create(client: &mut Client, transfers: &[Transfer]) {
    let results = client.create_transfers(transfers).expect("the node answers");
    for (transfer, result) in std::iter::zip(transfers, results) {
        assert_eq!(result.status, CREATED, "{transfer:?}");
    }
}

/// A node with every kind of transfer that there is, and an expired hold whose money was spent again at once.
pub(crate) fn varied() -> TestNode {
    let node = TestNode::with_wallets();
    let mut client = connect(&node);
    let accounts = [
        account(1, 0),
        account(2, LIMITED),
        account(3, LIMITED),
        account(4, 0),
        account(5, AccountFlags::CLOSED),
    ];
    client.create_accounts(&accounts).expect("accounts");
    let linked = Transfer { flags: Flags::LINKED, ..transfer(101, 1, 3, 4) };
    let balancing = Transfer { flags: Flags::BALANCING_DEBIT, ..transfer(103, 3, 1, 1_000) };
    let closing = |flags: u16, hold: Transfer| Transfer { flags: hold.flags | flags, ..hold };
    create(&mut client, &[transfer(100, 1, 2, 1_000), linked, transfer(102, 1, 3, 5), balancing]);
    create(
        &mut client,
        &[
            hold(110, 2, 1, 900, 1),
            hold(111, 1, 3, 7, 0),
            hold(112, 1, 3, 8, HOUR_S),
            hold(113, 1, 3, 9, HOUR_S),
            hold(114, 1, 3, 10, 0),
            end(115, 113, Flags::POST_PENDING, 6),
            end(116, 114, Flags::VOID_PENDING, 0),
            // An account that a hold closes, and older holds that are open.
            hold(120, 1, 4, 11, HOUR_S),
            closing(Flags::CLOSING_CREDIT, hold(121, 1, 4, 0, 0)),
        ],
    );
    // Refused until the hold of nearly everything has expired.
    let deadline = Instant::now() + Duration::from_secs(60);
    for id in 200.. {
        let result = client.create_transfers(&[transfer(id, 2, 1, 800)]).expect("an answer");
        if result[0].status == CREATED {
            break;
        }
        assert_eq!(result[0].status, CreateTransferStatus::ExceedsCredits as u32);
        assert!(Instant::now() < deadline, "the hold expires");
        std::thread::sleep(Duration::from_millis(20));
    }
    client.close().expect("closes");
    node
}

pub(crate) fn export(node: &TestNode, name: &str, format: &str) -> PathBuf {
    let (data, to) = (node.data(), node.place(name));
    let words = ["--data", data.to_str().unwrap(), "--to", to.to_str().unwrap()];
    let ran = node.words(&[&["export", "--format", format][..], &words].concat());
    assert_eq!(ran.code, exit::OK, "{ran:?}");
    to
}

pub(crate) fn import(node: &TestNode, from: &Path) -> Ran {
    node.words(&["import-state", "--from", from.to_str().unwrap(), "--json"])
}

pub(crate) fn import_with(node: &TestNode, from: &Path, flags: &[&str]) -> Ran {
    let words = ["import-state", "--from", from.to_str().unwrap(), "--json"];
    node.words(&[&words, flags].concat())
}

pub(crate) fn alter(path: &Path, change: &dyn Fn(String) -> String) {
    let text = std::fs::read_to_string(path).unwrap();
    let changed = change(text.clone());
    assert_ne!(changed, text, "{}", path.display());
    std::fs::write(path, changed).unwrap();
}

fn by_id(rows: Vec<Row>) -> BTreeMap<String, Row> {
    rows.into_iter().map(|row| (row["id"].clone(), row)).collect()
}

/// Without what an import changes on purpose.
fn plain(flags: &str) -> Vec<&str> {
    let is_kept = |flag: &&str| !["", "imported", "linked"].contains(flag);
    flags.split('|').filter(is_kept).collect()
}

#[test]
fn everything_stands_in_the_larger_node_as_it_was() {
    let old = varied();
    for format in ["csv", "jsonl"] {
        let from = export(&old, format, format);
        let new = TestNode::start();
        let ran = import(&new, &from);
        assert_eq!(ran.code, exit::OK, "{ran:?}");
        let report = ran.json();
        assert_eq!(report["different_accounts"], serde_json::json!([]), "{report}");
        assert_eq!((&report["expired_holds"], &report["open_holds"]), (&1.into(), &4.into()));
        assert_eq!(report["holds_entered_again"], 3, "{report}");

        let before = export(&old, &format!("{format}-before"), "csv");
        let after = export(&new, "after", "csv");
        let accounts = |place: &Path| by_id(csv_rows(&place.join("accounts.csv")));
        let (was, is) = (accounts(&before), accounts(&after));
        assert_eq!(was.len(), is.len());
        for (id, was) in &was {
            let is = &is[id];
            for (column, value) in was.iter().filter(|(column, _)| *column != "flags") {
                assert_eq!(value, &is[column], "{id} {column}");
            }
            assert_eq!(plain(&was["flags"]), plain(&is["flags"]), "{id}");
        }
        let transfers = |place: &Path| by_id(csv_rows(&place.join("transfers.csv")));
        let (was, is) = (transfers(&before), transfers(&after));
        assert_eq!(is.len(), was.len() + 1, "and the end of the hold that expired");
        let data = ["user_data_128", "user_data_64", "user_data_32"];
        assert_eq!(data.map(|column| was["0x64"][column].as_str()), ["0x9", "6", "5"]);
        let time = |row: &Row| row["timestamp_ns"].parse::<u64>().unwrap();
        let ended = is.values().find(|row| row["pending_id"] == "0x6e").expect("it was ended");
        let expiry = time(&was["0x6e"]) + 1_000_000_000;
        assert!((expiry - 1_000..=expiry).contains(&time(ended)), "{ended:?}");
        for (id, was) in &was {
            let is = &is[id];
            let is_anew = !is["flags"].contains("imported");
            for (column, value) in was.iter().filter(|(column, _)| *column != "flags") {
                let is_kept = match column.as_str() {
                    "timestamp" | "timestamp_ns" => !is_anew,
                    "timeout_s" => false,
                    "state" => value != "expired",
                    _ => true,
                };
                assert!(!is_kept || value == &is[column], "{id} {column}: {value}, {is:?}");
            }
            assert_eq!(plain(&was["flags"]), plain(&is["flags"]), "{id}");
            let timeout: u32 = is["timeout_s"].parse().unwrap();
            let had_timeout = was["state"] == "open" && was["timeout_s"] != "0";
            assert_eq!(timeout != 0, had_timeout, "{id}");
            assert!(timeout <= HOUR_S);
        }
        assert_eq!(is["0x6e"]["state"], "voided");

        let again = import(&new, &from);
        assert_eq!(again.code, exit::OK, "{again:?}");
        let again = again.json();
        assert_eq!(
            (&again["transfers_created"], &again["accounts_created"]),
            (&0.into(), &0.into())
        );
        assert_eq!(again["already_there"], (accounts(&before).len() + is.len()) as u64);

        // Whoever sends an old payment again is refused, and pays nothing.
        let mut client = connect(&new);
        let result = client.create_transfers(&[transfer(100, 1, 2, 1_000)]).expect("an answer");
        let status = CreateTransferStatus::ExistsWithDifferentFlags as u32;
        assert_eq!(result[0].status, status);
        // And the money of open holds can be had.
        create(
            &mut client,
            &[end(300, 121, Flags::VOID_PENDING, 0), end(302, 120, Flags::POST_PENDING, 11)],
        );
        create(&mut client, &[end(301, 112, Flags::POST_PENDING, u128::MAX)]);
        // What has moved since then is no export any more.
        let moved = import(&new, &from);
        assert_eq!(moved.code, exit::PROBLEM, "{moved:?}");
        assert!(moved.json()["different_accounts"].as_array().is_some_and(|ids| !ids.is_empty()));
        let verified =
            new.words(&["verify", "--independent", "--data", new.data().to_str().unwrap()]);
        assert_eq!(verified.code, exit::OK, "{verified:?}");
    }
}

#[test]
fn trades_are_taken_over_and_open_orders_are_named() {
    let old = TestNode::with_market();
    let from = export(&old, "books", "csv");
    let new = TestNode::start();
    let ran = import(&new, &from);
    assert_eq!(ran.code, exit::OK, "{ran:?}");
    let report = ran.json();
    assert!(report["fills"].as_u64().is_some_and(|fills| fills > 0), "{report}");
    assert!(report["accounts_with_orders"].as_u64().is_some_and(|count| count > 0), "{report}");
    assert!(ran.talk.contains("orders are not taken over"), "{ran:?}");
    for (name, currency) in [("alice", "USD"), ("bob", "USD"), ("alice", "ACME"), ("bob", "ACME")] {
        let line = format!("account {name} {currency}");
        let (was, is) = (old.json(&line), new.json(&line));
        assert_eq!(was["balance"]["posted"], is["balance"]["posted"], "{line}: {was} {is}");
    }
}

#[test]
fn an_export_that_was_changed_or_cut_is_refused_before_anything_is_sent() {
    let old = varied();
    let new = TestNode::start();
    let change = |name: &str, file: &str, change: &dyn Fn(String) -> String| {
        let from = export(&old, name, "csv");
        alter(&from.join(file), change);
        // The manifest tells; and if that was accepted, the tables themselves.
        let ran = import(&new, &from);
        assert_eq!(ran.code, exit::CORRUPT, "{name}: {ran:?}");
        assert!(ran.talk.contains(file) && ran.talk.contains("the manifest says"), "{ran:?}");
        let ran = import_with(&new, &from, &["--accept-changed"]);
        assert_eq!(ran.code, exit::CORRUPT, "{name}: {ran:?}");
        let status = new.json("status");
        assert_eq!(status["limits"]["accounts"]["used"], 0, "{name}");
        assert_eq!(status["spent_ids"], 0, "{name}");
        ran
    };
    let without_last = |text: String| {
        let lines: Vec<&str> = text.lines().collect();
        lines[..lines.len() - 1].join("\n") + "\n"
    };
    let cut = change("cut", "transfers.csv", &without_last);
    assert!(cut.talk.contains("are not the sums of its transfers"), "{cut:?}");
    change("accounts", "accounts.csv", &without_last);
    let amount = |text: String| text.replacen(",1000,7,", ",1001,7,", 1);
    change("amount", "transfers.csv", &amount);
    let flag = |text: String| text.replacen(",pending,", ",pendlng,", 1);
    let named = change("flag", "transfers.csv", &flag);
    assert!(named.talk.contains("transfers.csv: line ") && named.talk.contains("pendlng"));
    change("state", "transfers.csv", &|text| text.replacen(",voided,", ",,", 1));
    change("scale", "ledgers.csv", &|text| text.replacen("USD,2", "USD,3", 1));
    let currency = change("currency", "ledgers.csv", &|text| text.replacen("USD", "EUR", 1));
    assert!(currency.talk.contains("has the currency `EUR`, not `USD`"), "{currency:?}");
    let totals = change("totals", "ledgers.csv", &|text| text.replace("100.00", "200.00"));
    assert!(totals.talk.contains("totals are not the sums of its accounts"), "{totals:?}");
    let twice = change("twice", "transfers.csv", &|text| text.replacen("\n0x66,", "\n0x65,", 1));
    assert!(twice.talk.contains("transfer 0x65 stands there twice"), "{twice:?}");
    let plain_post = |text: String| text.replacen(",post_pending_transfer,", ",,", 1);
    let plain_post = change("post", "transfers.csv", &plain_post);
    assert!(plain_post.talk.contains("neither posts nor voids it"), "{plain_post:?}");
    // A void moves nothing that the sums would miss.
    let without_void =
        |text: String| text.split_inclusive('\n').filter(|row| !row.starts_with("0x74,")).collect();
    let unended = change("void", "transfers.csv", &without_void);
    assert!(unended.talk.contains("hold 0x72 was posted or voided, and no"), "{unended:?}");
    let open = change("open", "accounts.csv", &|text| text.replacen(",closed,", ",,", 1));
    assert!(open.talk.contains("its flag closed does not fit its holds"), "{open:?}");
    let limit = |text: String| text.replacen(",7,,1,,", ",7,,1,debits_must_not_exceed_credits,", 1);
    let limit = change("limit", "accounts.csv", &limit);
    assert!(limit.talk.contains("not within the limits of its flags"), "{limit:?}");
    let spent = change("spent", "spent_ids.csv", &|text| text + "0x64\n");
    assert!(spent.talk.contains("0x64 is a spent id and that of a transfer"), "{spent:?}");
    change("column", "transfers.csv", &|text| text.replacen("pending_id", "pending", 1));
}

#[test]
fn only_a_new_node_with_room_takes_an_export() {
    let old = varied();
    let from = export(&old, "books", "csv");
    let other = TestNode::with_wallets();
    let ran = import(&other, &from);
    assert_eq!(ran.code, exit::STATE, "{ran:?}");
    let small = TestNode::formatted(|options| mizan_node::FormatOptions {
        transfer_count_max: 19,
        hold_count_max: 10,
        ..options
    });
    let ran = import(&small, &from);
    assert_eq!(ran.code, exit::RESOURCE, "{ran:?}");
    assert!(ran.talk.contains("--transfers"), "{ran:?}");
    let ran = old.words(&["import-state", "--from", from.to_str().unwrap(), "--dry-run"]);
    assert!(ran.data.contains("agrees with itself and with its manifest"), "{ran:?}");

    // Spent ids take places, too: a node that lacks one of them takes nothing.
    let refused = old.mizan("transfer alice bob 5000.00 USD --id too-much");
    assert_eq!(refused.code, exit::PROBLEM, "{refused:?}");
    // Holds that have ended are open on the way: as many at once as there were then.
    for verb in ["hold alice bob 0.01 USD --id", "void"] {
        for number in 0..12 {
            let ran = old.mizan(&format!("{verb} at-once-{number}"));
            assert_eq!(ran.code, exit::OK, "{ran:?}");
        }
    }
    let from = export(&old, "with-spent", "csv");
    let dry = import_with(&old, &from, &["--dry-run"]).json();
    assert_eq!(dry["spent_ids"], old.json("status")["spent_ids"], "{dry}");
    assert!(dry["spent_ids"].as_u64() >= Some(1), "{dry}");
    let needed = dry["needs"]["transfers"].as_u64().expect("a number");
    let holds = dry["needs"]["holds"].as_u64().expect("a number");
    assert!(holds >= 12, "{dry}");
    let few_holds = TestNode::formatted(|options| mizan_node::FormatOptions {
        transfer_count_max: needed,
        hold_count_max: holds - 1,
        ..options
    });
    let ran = import(&few_holds, &from);
    assert_eq!(ran.code, exit::RESOURCE, "{ran:?}");
    assert!(ran.talk.contains("--holds"), "{ran:?}");
    assert_eq!(few_holds.json("status")["spent_ids"], 0, "nothing was sent");
    let tight = TestNode::formatted(|options| mizan_node::FormatOptions {
        transfer_count_max: needed - 1,
        hold_count_max: holds,
        ..options
    });
    let ran = import(&tight, &from);
    assert_eq!(ran.code, exit::RESOURCE, "{ran:?}");
    assert!(ran.talk.contains("transfers and spent ids"), "{ran:?}");
    assert_eq!(tight.json("status")["spent_ids"], 0);
    let exact = TestNode::formatted(|options| mizan_node::FormatOptions {
        transfer_count_max: needed,
        hold_count_max: holds,
        ..options
    });
    assert_eq!(import(&exact, &from).code, exit::OK);

    let ran = old.words(&["import-state", "--from", old.data().to_str().unwrap()]);
    assert_eq!(ran.code, exit::USAGE, "{ran:?}");
}
