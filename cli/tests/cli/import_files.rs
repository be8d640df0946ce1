//! `mizan import` of files as banks, shops and spreadsheets write them: they pay what they say, or nothing.

use crate::node::{Ran, TestNode};
use mizan_cli::exit;

const BY_NAME: &str = "--id-column id --from-column payer --to-column payee --amount-column amount";
const CREATE: &str = "--currency EUR --create-ledger --scale 2 --create-accounts";

fn import(node: &TestNode, text: impl AsRef<[u8]>, flags: &str) -> Ran {
    let file = node.file("pay.csv", "");
    std::fs::write(&file, text).expect("writes");
    node.mizan(&format!("import {} {flags} --json", file.display()))
}

fn posted(node: &TestNode, account: &str, currency: &str) -> String {
    let account = node.json(&format!("account {account} {currency}"));
    account[0]["balance"]["posted"].as_str().expect("an amount").to_owned()
}

#[test]
fn a_line_break_in_a_memo_makes_no_payment() {
    let node = TestNode::start();
    let text = "id,payer,payee,amount,memo\r\n\
        p-1,alice,bob,1.00,\"rent\r\np-2,alice,bob,400.00,x\r\nthanks\"\r\n\
        p-3,alice,bob,2.00,ok\r\n";
    let ran = import(&node, text, &format!("{CREATE} {BY_NAME} --memo-column memo"));
    assert_eq!(ran.code, exit::OK, "{ran:?}");
    assert_eq!(ran.json()["lines"], 2);
    assert_eq!(posted(&node, "bob", "EUR"), "3.00");
}

#[test]
fn a_comma_behind_a_zero_and_one_that_may_be_decimal_pay_nothing_until_the_mark_is_named() {
    let node = TestNode::start();
    let text = "id;payer;payee;amount\nk-1;a;b;1,500\nk-2;a;b;2,750\nk-3;a;b;12,345\nz;a;b;0,500\n";
    let flags = format!(
        "--currency TND --create-ledger --scale 3 --create-accounts --delimiter ; {BY_NAME}"
    );
    let ran = import(&node, text, &flags);
    assert_eq!((ran.code, &ran.json()["bad_lines"]), (exit::PROBLEM, &4.into()), "{ran:?}");
    assert_eq!(node.json("status")["transfers"], 0);
    let ran = import(&node, text, &format!("{flags} --decimal ,"));
    assert_eq!(ran.code, exit::OK, "{ran:?}");
    // 1.500 + 2.750 + 12.345 + 0.500.
    assert_eq!(posted(&node, "b", "TND"), "17.095");
}

#[test]
fn columns_that_nobody_asked_for_stand_in_nobodys_way() {
    let node = TestNode::start();
    let text = "id,payer,payee,amount,memo,memo\nud-1,alice,bob,1.00,a,b\n";
    assert_eq!(import(&node, text, &format!("{CREATE} {BY_NAME}")).code, exit::OK);
    let by_number = "--header --id-column 1 --from-column 2 --to-column 3 --amount-column 4";
    let ran = import(&node, text, &format!("{CREATE} {by_number}"));
    assert_eq!(ran.json()["already_there"]["count"], 1, "{ran:?}");
}

#[test]
fn files_that_are_no_text_are_named_for_what_they_are() {
    let node = TestNode::start();
    let utf_16: Vec<u8> = "\u{FEFF}id,payer\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (text, word) in [(utf_16, "UTF-16"), (b"\x1F\x8B\x08\0\0".to_vec(), "gzip")] {
        let ran = import(&node, text, &format!("{CREATE} {BY_NAME}"));
        assert_eq!(ran.code, exit::USAGE, "{ran:?}");
        assert!(ran.talk.contains(word), "{ran:?}");
    }
}

#[test]
fn ids_that_differ_in_quoted_blanks_are_two_payments() {
    let node = TestNode::start();
    let text = "id,payer,payee,amount\n\"x\",a,b,1.00\n\"x \",a,b,1.00\n x , a , b ,1.00\n";
    let report = import(&node, text, &format!("{CREATE} {BY_NAME}")).json();
    assert_eq!(report["imported"]["count"], 2, "{report}");
    assert_eq!(report["already_there"]["count"], 1, "{report}");
}

#[test]
fn lines_above_the_header_are_skipped_and_counted() {
    let node = TestNode::start();
    let text = "\"Account:\";\"0000 / current\"\n\"\"\n\"From:\";\"26.03.2013\"\n\
        \"id\";\"payer\";\"payee\";\"amount\"\n\"r1\";\"alice\";\"bob\";\"30.78\"\nr2;alice;bob;x\n";
    let ran = import(&node, text, &format!("{CREATE} {BY_NAME} --delimiter ; --skip 3"));
    assert!(ran.talk.contains("line 6: amount x"), "{ran:?}");
    assert_eq!(posted(&node, "bob", "EUR"), "30.78");
}

const CURRENCIES: &str = "id,payer,payee,amount,currency,status\n\
    c-1,alice,bob,1.00,EUR,Completed\n\
    c-2,alice,bob,1.00,usd,Completed\n\
    c-3,alice,bob,100,JPY,Completed\n\
    c-4,alice,bob,5.00,EUR,Pending\n";

fn with_ledgers() -> TestNode {
    let node = TestNode::start();
    for (currency, scale) in [("EUR", 2), ("USD", 2), ("JPY", 0)] {
        node.json(&format!("ledger create {currency} --scale {scale}"));
    }
    node
}

#[test]
fn with_one_currency_chosen_lines_of_others_are_bad_and_those_that_are_not_settled_left_out() {
    let node = with_ledgers();
    let flags =
        "--create-accounts --currency EUR --currency-column currency --where status=Completed";
    let ran = import(&node, CURRENCIES, &format!("{flags} {BY_NAME}"));
    assert_eq!(ran.code, exit::PROBLEM);
    let report = ran.json();
    assert_eq!((&report["bad_lines"], &report["left_out"]), (&2.into(), &1.into()), "{report}");
    assert!(ran.talk.contains("line 4: the currency is JPY, and not EUR"), "{ran:?}");
    assert_eq!(posted(&node, "bob", "EUR"), "1.00");
}

#[test]
fn without_one_each_line_goes_to_the_ledger_of_its_currency() {
    let node = with_ledgers();
    let flags = "--create-accounts --currency-column currency --where status=Completed";
    let ran = import(&node, CURRENCIES, &format!("{flags} {BY_NAME}"));
    assert_eq!(ran.code, exit::OK, "{ran:?}");
    let report = ran.json();
    let amounts = report["by_currency"].as_array().expect("a list").iter();
    let amounts: Vec<&str> =
        amounts.map(|row| row["imported"]["amount"].as_str().expect("an amount")).collect();
    assert_eq!(amounts, ["1.00", "1.00", "100"]);
    for (currency, amount) in [("EUR", "1.00"), ("USD", "1.00"), ("JPY", "100")] {
        assert_eq!(posted(&node, "bob", currency), amount);
    }
}

#[test]
fn a_statement_moves_what_comes_in_and_what_goes_out() {
    let node = TestNode::start();
    let text = "balance_transaction_id,created_utc,currency,gross,fee,net,reporting_category\n\
        txn_1,2026-03-01 10:00:00,eur,20.00,0.55,19.45,charge\n\
        txn_2,2026-03-01 11:00:00,eur,-20.00,0.00,-20.00,refund\n\
        txn_3,2026-03-02 02:00:00,eur,(7.00),0.00,(7.00),payout\n";
    let flags = format!(
        "{CREATE} --account bank --other-column reporting_category --amount-column gross \
         --id-column balance_transaction_id --currency-column currency --date-column created_utc"
    );
    let wrong = import(&node, text, &format!("{flags} --expect-sum 7.00"));
    assert_eq!(wrong.code, exit::PROBLEM);
    assert!(wrong.talk.contains("the sum would be -7.00 EUR, not 7.00"), "{wrong:?}");
    assert_eq!(node.json("status")["transfers"], 0);
    let ran = import(&node, text, &format!("{flags} --expect-sum -7.00 --expect-count 3"));
    assert_eq!(ran.code, exit::OK, "{ran:?}");
    for (account, amount) in
        [("bank", "-7.00"), ("charge", "-20.00"), ("refund", "20.00"), ("payout", "7.00")]
    {
        assert_eq!(posted(&node, account, "EUR"), amount, "{account}");
    }
    let dry = import(&node, text, &format!("{flags} --dry-run")).json();
    let row = &dry["by_currency"][0];
    assert_eq!((&row["in"], &row["out"]), (&"20.00".into(), &"27.00".into()), "{dry}");
    assert_eq!(row["sum"], "-7.00");
}

#[test]
fn one_account_pays_all_lines_of_a_payroll() {
    let node = TestNode::start();
    let text = "id,who,amount,code\ns-1,alice,10.00,7\ns-2,bob,20.00,8\ns-3,carol,5.00,x\n";
    let flags = format!(
        "{CREATE} --from firm --to-column who --to-prefix staff: --id-column id \
         --amount-column amount --code-column code"
    );
    let report = import(&node, text, &flags).json();
    assert_eq!((&report["imported"]["count"], &report["bad_lines"]), (&2.into(), &1.into()));
    assert_eq!(posted(&node, "firm", "EUR"), "-30.00");
    assert_eq!(posted(&node, "staff:bob", "EUR"), "20.00");
}

#[test]
fn a_dry_run_counts_and_sums_by_currency_and_sends_nothing() {
    let node = with_ledgers();
    let before = node.json("status");
    let flags = format!("--currency-column currency --where status=Completed {BY_NAME} --dry-run");
    let ran = import(&node, CURRENCIES, &flags);
    assert_eq!(ran.code, exit::OK, "{ran:?}");
    let report = ran.json();
    assert_eq!((&report["count"], &report["left_out"]), (&3.into(), &1.into()));
    assert_eq!(report["by_currency"][2]["sum"], "100");
    let ran = import(&node, CURRENCIES, &format!("{flags} --expect-count 4"));
    assert_eq!(ran.code, exit::PROBLEM, "{ran:?}");
    let new = import(
        &node,
        "id,payer,payee,amount\n1,a,b,2.50\n",
        &format!("{BY_NAME} --dry-run --currency CHF --create-ledger --scale 2"),
    );
    assert_eq!(new.json()["by_currency"][0]["sum"], "2.50", "{new:?}");
    let after = node.json("status");
    for key in ["transfers", "accounts", "ledgers"] {
        assert_eq!(after[key], before[key], "{key}");
    }
}

#[test]
fn nothing_is_sent_unless_count_and_sums_are_as_expected() {
    let node = with_ledgers();
    let base = format!("--create-accounts --currency-column currency {BY_NAME}");
    for flags in [
        "--expect-count 5",
        "--expect-sum EUR=6.00",
        "--expect-sum EUR=6.00 --expect-sum USD=1.00 --expect-sum JPY=101",
        "--expect-sum EUR=-6.00 --expect-sum USD=1.00 --expect-sum JPY=100",
    ] {
        let ran = import(&node, CURRENCIES, &format!("{base} {flags}"));
        assert_eq!(ran.code, exit::PROBLEM, "{flags}: {ran:?}");
        assert!(ran.talk.contains("nothing was sent"), "{flags}: {ran:?}");
    }
    assert_eq!(node.json("status")["transfers"], 0);
    let usage = import(&node, CURRENCIES, &format!("{base} --expect-sum 6.00"));
    assert_eq!(usage.code, exit::USAGE, "{usage:?}");
    let right = "--expect-count 4 --expect-sum EUR=6.00 --expect-sum USD=1 --expect-sum jpy=100";
    let ran = import(&node, CURRENCIES, &format!("{base} {right}"));
    assert_eq!(ran.code, exit::OK, "{ran:?}");
    assert_eq!(node.json("status")["transfers"], 4);
}
