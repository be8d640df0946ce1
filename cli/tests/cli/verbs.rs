//! The verbs that ask a node, against a real one: what people see, and the exit codes that scripts see.

use crate::node::{Ran, TestNode, mizan_at};
use mizan_cli::exit;

fn line_of<'a>(ran: &'a Ran, start: &str) -> &'a str {
    ran.data
        .lines()
        .find(|line| line.starts_with(start))
        .unwrap_or_else(|| panic!("no line begins with {start:?}: {ran:?}"))
}

#[test]
fn a_transfer_shows_both_balances_and_its_repetition_the_original_result() {
    let node = TestNode::with_wallets();
    let first = node.mizan("transfer alice bob 25.00 USD --id invoice-17");
    assert_eq!(first.code, exit::OK, "{first:?}");
    let lines = first.lines();
    assert_eq!(lines[0], "transferred 25.00 USD from alice to bob");
    assert_eq!(lines[2..], ["account before after", "alice 100.00 75.00", "bob 0.00 25.00"]);

    let again = node.mizan("transfer alice bob 25.00 USD --id invoice-17");
    assert_eq!(again.code, exit::OK, "{again:?}");
    assert_eq!(again.lines()[0], "duplicate: original result");
    assert_eq!(again.lines()[4..], ["alice 75.00 75.00", "bob 25.00 25.00"]);
}

#[test]
fn the_same_id_with_another_content_is_refused_by_the_field_that_differs() {
    let node = TestNode::with_wallets();
    assert_eq!(node.mizan("transfer alice bob 25.00 USD --id x").code, exit::OK);
    for (line, field) in [
        ("transfer alice bob 26.00 USD --id x", "amount"),
        ("transfer bank bob 25.00 USD --id x", "debit_account_id"),
        ("transfer alice bob 25.00 USD --id x --code 2", "code"),
        ("hold alice bob 25.00 USD --id x", "flags"),
    ] {
        let ran = node.mizan(line);
        assert_eq!(ran.code, exit::PROBLEM, "{ran:?}");
        assert_eq!(ran.lines()[0], format!("duplicate_different ({field})"));
    }
    assert_eq!(node.json("account bob USD")[0]["balance"]["posted"], "25.00");
}

#[test]
fn the_duplicates_timestamp_is_that_of_the_original() {
    let node = TestNode::with_wallets();
    let line = "transfer alice bob 1 USD --id x";
    let (first, again) = (node.json(line), node.json(line));
    assert_eq!((&first["outcome"], &again["outcome"]), (&"created".into(), &"duplicate".into()));
    assert_eq!(first["timestamp_ns"], again["timestamp_ns"]);
    assert_eq!(first["id"], again["id"]);
}

#[test]
fn without_an_id_a_fresh_one_is_printed_that_repeats_the_transfer_safely() {
    let node = TestNode::with_wallets();
    let first = node.mizan("transfer alice bob 1 USD");
    let id = line_of(&first, "id ").trim_start_matches("id ").to_owned();
    assert!(first.talk.contains(&format!("--id {id}")), "{first:?}");
    let again = node.mizan(&format!("transfer alice bob 1 USD --id {id}"));
    assert_eq!(again.lines()[0], "duplicate: original result");
    let other = node.mizan("transfer alice bob 1 USD");
    assert_ne!(line_of(&other, "id "), format!("id {id}"));
}

#[test]
fn a_transfer_without_funds_is_refused_by_name_and_moves_nothing() {
    let node = TestNode::with_wallets();
    let ran = node.mizan("transfer alice bob 100.01 USD --id x");
    assert_eq!(ran.code, exit::PROBLEM);
    assert_eq!(ran.lines()[0], "refused: exceeds_credits");
    assert_eq!(ran.lines()[3..], ["alice 100.00 100.00", "bob 0.00 0.00"]);
    assert!(ran.talk.contains("Not enough funds"), "{ran:?}");
}

#[test]
fn a_missing_account_is_named_and_does_not_spend_the_id() {
    let node = TestNode::with_wallets();
    let ran = node.mizan("transfer alice carol 1 USD --id x");
    assert_eq!(ran.code, exit::PROBLEM);
    assert_eq!(ran.lines()[0], "refused: credit_account_not_found");
    assert!(ran.talk.contains("mizan accounts create carol USD"), "{ran:?}");
    let refused = node.mizan("transfer alice carol 1 USD --id x --json").json();
    assert_eq!(refused["status"], "credit_account_not_found");
    assert_eq!(node.mizan("accounts create carol USD").code, exit::OK);
    let ran = node.mizan("transfer alice carol 1 USD --id x");
    assert_eq!(ran.code, exit::OK, "{ran:?}");
}

#[test]
fn a_hold_keeps_posted_held_and_available_apart_until_it_is_posted() {
    let node = TestNode::with_wallets();
    let held = node.mizan("hold alice bob 40.00 USD --timeout 1h --id booking");
    assert_eq!(held.code, exit::OK, "{held:?}");
    assert_eq!(
        held.lines()[2..],
        [
            "account posted held incoming available",
            "alice 100.00 40.00 0.00 60.00",
            "bob 0.00 0.00 40.00 0.00",
        ]
    );
    assert_eq!(node.mizan("transfer alice bob 60.01 USD").lines()[0], "refused: exceeds_credits");

    let posted = node.mizan("post booking 32.50");
    assert_eq!(posted.lines()[0], "posted 32.50 USD of hold booking");
    let alice = &node.json("account alice USD")[0]["balance"];
    assert_eq!((&alice["posted"], &alice["held"]), (&"67.50".into(), &"0.00".into()));
    assert_eq!(alice["available"], "67.50");
}

#[test]
fn repeating_a_post_or_a_void_is_a_duplicate_and_mixing_them_is_refused() {
    let node = TestNode::with_wallets();
    assert_eq!(node.mizan("hold alice bob 40 USD --id a").code, exit::OK);
    assert_eq!(node.mizan("hold alice bob 10 USD --id b").code, exit::OK);
    assert_eq!(node.mizan("post a").lines()[0], "posted 40.00 USD of hold a");
    assert_eq!(node.mizan("post a").lines()[0], "duplicate: original result");
    assert_eq!(node.mizan("post a 39").lines()[0], "duplicate_different (amount)");
    assert_eq!(node.mizan("void a").lines()[0], "refused: pending_transfer_already_posted");
    assert_eq!(node.mizan("void b").lines()[0], "voided 10.00 USD of hold b");
    assert_eq!(node.mizan("void b").lines()[0], "duplicate: original result");
    assert_eq!(node.mizan("post b").lines()[0], "refused: pending_transfer_already_voided");
    let missing = node.mizan("post c");
    assert_eq!(missing.code, exit::PROBLEM);
    assert!(missing.talk.contains("there is no hold c"), "{missing:?}");
}

#[test]
fn an_account_is_shown_in_every_ledger_in_which_its_name_exists() {
    let node = TestNode::with_wallets();
    assert_eq!(node.mizan("ledger create JPY --scale 0").code, exit::OK);
    assert_eq!(node.mizan("accounts create alice JPY").code, exit::OK);
    let both = node.json("account alice");
    let currencies: Vec<&str> =
        both.as_array().expect("rows").iter().filter_map(|row| row["currency"].as_str()).collect();
    assert_eq!(currencies, ["USD", "JPY"]);
    assert_eq!(both[0]["balance"]["posted"], "100.00");
    assert_eq!(both[1]["balance"]["posted"], "0");
    let id = both[0]["id"].as_str().expect("an id").to_owned();
    let by_id = node.json(&format!("account {id}"));
    assert_eq!(by_id[0]["ledger"], both[0]["ledger"]);

    let unknown = node.mizan("account nobody");
    assert_eq!(unknown.code, exit::PROBLEM);
    assert!(unknown.talk.contains("mizan accounts create nobody"), "{unknown:?}");
}

#[test]
fn accounts_and_ledgers_that_exist_already_are_a_success_unless_they_differ() {
    let node = TestNode::with_wallets();
    assert!(line_of(&node.mizan("ledger create USD --scale 2"), "exists").contains("ledger 1"));
    assert_eq!(node.mizan("ledger create USD --scale 3").code, exit::PROBLEM);
    assert_eq!(node.mizan("accounts create bank USD").code, exit::OK);
    let other = node.mizan("accounts create bank carol USD --flags history");
    assert_eq!(other.code, exit::PROBLEM);
    assert!(line_of(&other, "exists_with_different_flags: bank").contains("USD"));
    assert!(line_of(&other, "created: carol").contains("USD"));
    let second = node.json("ledger create USD --scale 4 --number 9");
    assert_eq!(second["ledger"], 9);
    let ambiguous = node.mizan("account alice USD");
    assert!(ambiguous.talk.contains("USD:1 or USD:9"), "{ambiguous:?}");
}

#[test]
fn the_trial_balance_foots_and_no_verb_leaves_a_session_behind() {
    let node = TestNode::with_wallets();
    assert_eq!(node.mizan("transfer alice bob 1 USD").code, exit::OK);
    assert_eq!(node.mizan("transfer alice bob 1000 USD").code, exit::PROBLEM);
    assert_eq!(node.mizan("hold alice bob 1 EUR").code, exit::PROBLEM);
    let sums = node.json("trial-balance");
    assert_eq!(sums["balanced"], true);
    assert_eq!(sums["ledgers"][0]["debits_posted"], "101.00");
    assert_eq!(sums["ledgers"][0]["credits_posted"], "101.00");
    let status = node.json("status");
    assert_eq!(status["role"], "primary");
    assert_eq!(status["limits"]["accounts"]["used"], 3);
    assert_eq!(status["limits"]["sessions"]["used"], 0);
}

#[test]
fn the_repl_runs_verbs_without_the_word_mizan_and_goes_on_after_an_error() {
    let node = TestNode::with_wallets();
    let line = "transfer alice bob 1 USD --id r; transfer alice bob 2 USD --id r; account 'bob'";
    let ran = node.words(&["repl", "-c", line]);
    assert_eq!(ran.code, exit::PROBLEM, "{ran:?}");
    let lines = ran.lines();
    assert_eq!(lines[0], "transferred 1.00 USD from alice to bob");
    assert!(lines.contains(&"duplicate_different (amount)".to_owned()), "{ran:?}");
    assert!(lines.last().is_some_and(|line| line.ends_with("1.00 0.00 0.00 1.00")), "{ran:?}");
    assert_eq!(node.words(&["repl", "-c", "ledgers; explain exists"]).code, exit::OK);
}

#[test]
fn the_repls_own_address_is_that_of_its_verbs() {
    let node = TestNode::with_wallets();
    let nowhere = closed_port();
    let line = format!("repl -c ledgers --address {nowhere}");
    assert_eq!(node.mizan(&line).code, exit::UNREACHABLE);
}

#[test]
fn what_was_typed_wrong_is_a_usage_error_and_nothing_is_sent() {
    let node = TestNode::with_wallets();
    for line in [
        "transfer alice bob 1,5 USD",
        "transfer alice bob -1 USD",
        "transfer alice bob 1.005 USD",
        "transfer alice bob USD",
        "hold alice bob 1 USD --timeout 60",
        "accounts create carol USD --flags overdraft",
        "account 0xzz USD",
        "ledgers --request-timeout soon",
        "explain no_such_status",
    ] {
        let ran = node.mizan(line);
        assert_eq!(ran.code, exit::USAGE, "{line}: {ran:?}");
        assert!(ran.data.is_empty() && !ran.talk.is_empty(), "{line}: {ran:?}");
    }
    assert_eq!(node.json("status")["transfers"], 1);
}

#[test]
fn a_node_that_does_not_answer_and_a_foreign_cluster_have_exit_codes_of_their_own() {
    let nowhere = closed_port();
    for verb in ["ledgers", "status", "trial-balance", "account alice", "transfer a b 1 USD"] {
        let words: Vec<&str> = verb.split_whitespace().collect();
        let ran = mizan_at(&nowhere, &words);
        assert_eq!(ran.code, exit::UNREACHABLE, "{verb}: {ran:?}");
        assert!(ran.talk.contains(&nowhere), "{ran:?}");
    }
    let node = TestNode::start();
    assert_eq!(node.mizan("ledgers --cluster 0x1234").code, exit::STATE);
}

#[test]
fn help_is_data_and_a_line_that_does_not_parse_is_talk() {
    let help = mizan_at("127.0.0.1:1", &["transfer", "--help"]);
    assert_eq!(help.code, exit::OK);
    assert!(help.data.contains("Examples:") && help.talk.is_empty());
    let wrong = mizan_at("127.0.0.1:1", &["transfre"]);
    assert_eq!(wrong.code, exit::USAGE);
    assert!(wrong.data.is_empty() && wrong.talk.contains("transfer"), "{wrong:?}");
}

/// An address at which nothing listens: the port was free a moment ago.
fn closed_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").to_string()
}
