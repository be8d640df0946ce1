//! What a refusal or a dry run tells somebody who does not know better: nothing that makes matters worse if it is followed.

use crate::node::{Ran, TestNode, mizan_at};
use mizan_cli::exit;
use mizan_node::FormatOptions;

const COLUMNS: &str = "--id-column id --from-column p --to-column q --amount-column a";

fn import(node: &TestNode, text: &str, flags: &str) -> Ran {
    let file = node.file("hints.csv", text);
    node.mizan(&format!("import {} --currency USD {COLUMNS} {flags}", file.display()))
}

#[test]
fn a_missing_account_is_proposed_with_a_limit_and_the_limit_is_said_to_be_for_ever() {
    let node = TestNode::with_wallets();
    let ran = node.mizan("transfer zoe bob 5 USD");
    assert_eq!(ran.code, exit::PROBLEM, "{ran:?}");
    let proposed = "mizan accounts create zoe USD --flags debits_must_not_exceed_credits";
    assert!(ran.talk.contains(proposed) && ran.talk.contains("flags never change"), "{ran:?}");
    assert_eq!(node.mizan("accounts create zoe USD").code, exit::OK);
    let ran = node.mizan("accounts create zoe USD --flags debits_must_not_exceed_credits");
    assert_eq!(ran.code, exit::PROBLEM, "{ran:?}");
    assert!(ran.talk.contains("flags never change"), "{ran:?}");
}

#[test]
fn a_refused_instrument_leaves_no_accounts_behind() {
    let node = TestNode::with_wallets();
    assert_eq!(node.mizan("ledger create ACME --scale 0").code, exit::OK);
    let before = node.json("status")["limits"]["accounts"].clone();
    let ran = node.mizan("instrument create ACME USD --tick 0.1");
    assert_eq!(ran.code, exit::PROBLEM, "{ran:?}");
    assert!(ran.talk.contains("trading_not_enabled, 1455"), "{ran:?}");
    assert_eq!(node.json("status")["limits"]["accounts"], before);

    let node = TestNode::with_market();
    assert_eq!(node.mizan("ledger create GOLD --scale 0").code, exit::OK);
    let before = node.json("status")["limits"]["accounts"].clone();
    for (terms, code) in [
        ("--tick 0.10 --orders 1000000", exit::RESOURCE),
        ("--tick 0.10 --taker-fee-bps 20000", exit::PROBLEM),
        ("--tick 0.10 --fee-account alice", exit::PROBLEM),
        ("--tick 0.10 --fee-account own --clearing-account own", exit::PROBLEM),
    ] {
        let ran = node.mizan(&format!("instrument create GOLD USD {terms}"));
        assert_eq!(ran.code, code, "{terms}: {ran:?}");
        assert_eq!(node.json("status")["limits"]["accounts"], before, "{terms}");
    }
    let ran = node.mizan("instrument create GOLD USD --tick 0.10 --orders 10 --levels 10");
    assert_eq!(ran.code, exit::OK, "{ran:?}");
}

#[test]
fn a_node_without_trading_says_so_to_whoever_would_trade() {
    let node = TestNode::with_wallets();
    for line in [
        "order buy ACME 1 @ 1.00 --account alice",
        "book ACME",
        "instrument state ACME halted",
        "instrument list",
    ] {
        let ran = node.mizan(line);
        assert!(ran.talk.contains("--trading"), "{line}: {ran:?}");
        assert!(!ran.talk.contains("instrument create"), "{line}: {ran:?}");
    }
}

#[test]
fn a_dry_run_does_not_count_what_would_not_be_paid_and_counts_accounts_to_be_made() {
    let node = TestNode::with_wallets();
    let text = "id,p,q,a\nk-1,alice,bob,1.00\nk-1,alice,bob,1.00\nk-1,alice,bob,2.00\n\
                k-2,bob,bob,3.00\nk-3,alice,zoe,4.00\nk-4,yan,bob,5.00\n";
    let ran = import(&node, text, "--dry-run --json");
    assert_eq!(ran.code, exit::PROBLEM, "{ran:?}");
    let report = ran.json();
    assert_eq!(report["by_currency"][0]["sum"], "10.00", "{report}");
    assert_eq!((&report["count"], &report["bad_lines"]), (&3.into(), &2.into()), "{report}");
    assert_eq!((&report["repeated_lines"], &report["lines"]), (&1.into(), &6.into()), "{report}");
    assert_eq!(report["accounts_missing"], 2, "{report}");
    assert!(ran.talk.contains("line 4: the id k-1 is that of line 2"), "{ran:?}");
    assert!(ran.talk.contains("line 5: bob would pay itself"), "{ran:?}");
    let shown = import(&node, text, "--dry-run --create-accounts");
    assert!(shown.data.contains("accounts to create, without a limit"), "{shown:?}");
    let shown = import(&node, text, "--dry-run --create-accounts --no-overdraft");
    assert!(!shown.data.contains("without a limit"), "{shown:?}");

    // The import itself pays as many, and what was expected is compared with that.
    let wrong = import(&node, text, "--create-accounts --expect-count 6");
    assert!(wrong.talk.contains("3 lines would be paid, not 6"), "{wrong:?}");
    let flags = "--create-accounts --expect-count 3 --expect-sum 10.00 --json";
    let paid = import(&node, text, flags).json();
    assert_eq!(paid["imported"]["amount"], "10.00", "{paid}");
    assert_eq!(paid["refused"]["count"], 2, "{paid}");
}

#[test]
fn a_bad_day_and_another_delimiter_are_told_with_the_flag_that_reads_them() {
    let node = TestNode::with_wallets();
    let ran = import(&node, "id,p,q,a,d\nk,alice,bob,1.00,30/11/2026\n", "--date-column d");
    assert!(ran.talk.contains("--date-order dmy"), "{ran:?}");
    let ran = import(&node, "id;p;q;a\nk;alice;bob;1.00\n", "");
    assert_eq!(ran.code, exit::USAGE, "{ran:?}");
    assert!(ran.talk.contains("--delimiter ';'"), "{ran:?}");
}

#[test]
fn a_full_table_has_the_code_for_want_of_room() {
    let node = TestNode::formatted(|options| FormatOptions {
        account_count_max: 3,
        transfer_count_max: 1,
        hold_count_max: 1,
        ..options
    })
    .furnished();
    let ran = node.mizan("accounts create zoe USD");
    assert_eq!(ran.code, exit::RESOURCE, "{ran:?}");
    let ran = node.mizan("transfer alice bob 1 USD");
    assert_eq!(ran.code, exit::RESOURCE, "{ran:?}");
}

#[test]
fn words_that_verbs_print_are_explained() {
    for word in ["duplicate_different", "grants", "other-epoch", "in-sync", "disk-hangs"] {
        let ran = mizan_at("127.0.0.1:9", &["explain", word]);
        assert_eq!(ran.code, exit::OK, "{ran:?}");
        assert!(ran.data.starts_with(word), "{ran:?}");
    }
}

#[test]
fn a_new_cluster_says_what_was_made_and_what_comes_next() {
    let place = tempfile::tempdir().expect("a directory");
    let path = |name: &str| place.path().join(name).display().to_string();
    let (data, secret) = (path("node-0"), path("secret"));
    let limits = ["--accounts", "100", "--transfers", "1000", "--segment-size", "2MiB"];
    let mut words = vec!["format", "--data", &data, "--nodes", "3", "--secret-file", &secret];
    words.extend(limits);
    let ran = mizan_at("127.0.0.1:9", &words);
    assert_eq!(ran.code, exit::OK, "{ran:?}");
    assert!(ran.talk.contains(&format!("secret was drawn into {secret}")), "{ran:?}");
    let start = format!("--replicate ADDR --peers ADDRS --secret-file {secret}");
    assert!(ran.talk.contains(&start) && ran.talk.contains("--join"), "{ran:?}");

    // Nobody is there yet.
    let other = path("node-1");
    let nobody = "127.0.0.1:1";
    let join = ["format", "--data", &other, "--join", nobody, "--secret-file", &secret];
    let ran = mizan_at("127.0.0.1:9", &join);
    assert_eq!(ran.code, exit::UNREACHABLE, "{ran:?}");
    assert!(ran.talk.contains("start that node first"), "{ran:?}");
    let promote = ["promote", "--replica", nobody, "--secret-file", &secret];
    let ran = mizan_at("127.0.0.1:9", &promote);
    assert_eq!(ran.code, exit::UNREACHABLE, "{ran:?}");
    assert!(ran.talk.contains("nothing was asked") && !ran.talk.contains("unknown"), "{ran:?}");
}
