//! `mizan import` against a real node: exact sums, any number of attempts, nothing twice, nothing silently left out.

use crate::node::{Ran, TestNode, real_data};
use mizan_cli::exit;
use std::path::Path;

const COLUMNS: &str = "--id-column 1 --from-column 2 --to-column 3,4 --amount-column 5 --no-header";

fn import(node: &TestNode, file: &Path, flags: &str) -> Ran {
    let flags = format!("--currency CZK {COLUMNS} {flags}");
    let mut words = vec!["import", file.to_str().expect("a path of text"), "--json"];
    words.extend(flags.split_whitespace());
    node.words(&words)
}

/// `count` lines; line n pays n.01 from one of 30 accounts to one of 50.
fn orders(count: u64) -> String {
    let line = |number: u64| {
        format!("{number}\t{}\tYZ\t{}\t{number}.01\n", number % 30, number % 50 + 1_000)
    };
    (1..=count).map(line).collect()
}

#[test]
fn a_second_attempt_after_half_a_file_moves_nothing_twice() {
    let node = TestNode::start();
    let create = "--create-ledger --scale 2 --create-accounts --batch 64";
    let half = node.file("half.tsv", &orders(500));
    let whole = node.file("whole.tsv", &orders(1_000));
    let first = import(&node, &half, create).json();
    // 1.01 + ... + 500.01 = 500 * 501 / 2 + 5.00.
    assert_eq!(first["imported"]["amount"], "125255.00");
    let second = import(&node, &whole, create).json();
    assert_eq!(second["already_there"]["count"], 500);
    assert_eq!(second["imported"]["count"], 500);
    assert_eq!(second["accounts_created"], 0);
    let third = import(&node, &whole, create);
    assert_eq!(third.code, exit::OK);
    let third = third.json();
    assert_eq!(third["already_there"]["count"], 1_000);
    assert_eq!(third["together"]["amount"], "500510.00");
    assert_eq!(third["trial_balance"]["debits_posted"], "500510.00");
    assert_eq!(third["trial_balance"]["balanced"], true);
}

#[test]
fn missing_accounts_make_bad_lines_whose_ids_are_not_spent() {
    let node = TestNode::start();
    assert_eq!(node.mizan("ledger create CZK --scale 2").code, exit::OK);
    let file = node.file("orders.tsv", &orders(40));
    let first = import(&node, &file, "");
    assert_eq!(first.code, exit::PROBLEM);
    assert_eq!(first.json()["bad_lines"], 40);
    assert!(first.talk.contains("line 1: the paying account 1 does not exist"), "{first:?}");
    let second = import(&node, &file, "--create-accounts");
    assert_eq!((second.code, &second.json()["imported"]["count"]), (exit::OK, &40.into()));
}

#[test]
fn bad_and_refused_lines_are_reported_and_all_others_are_imported() {
    let node = TestNode::start();
    let text = "\
1,a,YZ,b,5.00
2,a,YZ,b,1.234
3,a,YZ
4,x,x,x,1.00
1,a,YZ,b,6.00
5,a,YZ,b,\"1,000.00\"
6,a,YZ,b,
7,a,YZ,b,-3
8,YZ/b,YZ,b,1
";
    let file = node.file("orders.csv", text);
    let ran = import(&node, &file, "--create-ledger --scale 2 --create-accounts");
    assert_eq!(ran.code, exit::PROBLEM);
    let report = ran.json();
    assert_eq!(report["lines"], 9);
    assert_eq!(report["imported"]["count"], 3, "{report}");
    assert_eq!(report["imported"]["amount"], "1006.00");
    assert_eq!(report["bad_lines"], 4);
    assert_eq!(report["refused"]["by_status"]["exists_with_different_amount"], 1);
    assert_eq!(report["refused"]["by_status"]["accounts_must_be_different"], 1);
    for start in [
        "line 2: amount 1.234",
        "line 3: the line has 3 columns, the first line 5",
        "line 5: refused (exists_with_different_amount)",
        "line 7: column 5 is empty",
        "line 8: amount -3 is negative",
        "line 9: refused (accounts_must_be_different)",
    ] {
        assert!(ran.talk.lines().any(|line| line.starts_with(start)), "{start}: {ran:?}");
    }
}

const BY_NAME: &str = "--currency EUR --create-ledger --scale 2 --create-accounts \
    --id-column id --from-column payer --to-column payee --amount-column amount";

#[test]
fn neither_an_unquoted_comma_nor_an_unclosed_quote_moves_a_wrong_amount() {
    let node = TestNode::start();
    let text = "\
id,payer,payee,amount
t-1,alice,bob,1,000.00
t-2,alice,bob,2.00
t-3,alice,bob,
t-4,alice,\"bob,4.00
t-5,alice,bob,5.00
";
    let file = node.file("th.csv", text);
    let ran = node.mizan(&format!("import {} {BY_NAME} --json", file.display()));
    assert_eq!(ran.code, exit::PROBLEM);
    let report = ran.json();
    assert_eq!((&report["lines"], &report["bad_lines"]), (&4.into(), &3.into()));
    assert_eq!(report["imported"]["amount"], "2.00");
    assert_eq!(report["complete"], false);
    for line in [
        "line 2: the line has 5 columns, the header 4; quote amounts that contain the delimiter",
        "line 4: column 4 (amount) is empty",
        "line 5: a quote opened in line 5 is not closed",
    ] {
        assert!(ran.talk.lines().any(|said| said == line), "{line}: {ran:?}");
    }
    assert!(ran.talk.contains("nothing behind it was read"), "{ran:?}");
    // Mended, the same file pays the rest, and nothing twice.
    let file = node.file("th.csv", &text.replace("\"bob", "bob"));
    let report = node.mizan(&format!("import {} {BY_NAME} --json", file.display())).json();
    assert_eq!(report["already_there"]["amount"], "2.00");
    assert_eq!(report["imported"]["amount"], "9.00");
}

#[test]
fn an_empty_file_and_a_column_of_an_ambiguous_name_are_usage_errors() {
    let node = TestNode::start();
    for (text, reason) in [
        ("", "the file is empty"),
        ("id,payer,payee,amount,amount\n1,a,b,1,2\n", "columns 4 and 5 both `amount`"),
    ] {
        let file = node.file("pay.csv", text);
        let ran = node.mizan(&format!("import {} {BY_NAME}", file.display()));
        assert_eq!(ran.code, exit::USAGE);
        assert!(ran.talk.contains(reason), "{ran:?}");
    }
    assert_eq!(node.json("status")["transfers"], 0);
}

#[test]
fn a_negative_amount_is_refused_as_an_amount_and_not_as_a_flag() {
    let node = TestNode::with_wallets();
    for line in
        ["transfer alice bob -3 USD --id x", "hold alice bob -3 USD --id x", "post booking -2.50"]
    {
        let ran = node.mizan(line);
        assert_ne!(ran.code, exit::OK);
        assert!(!ran.talk.contains("unexpected argument"), "{line}: {ran:?}");
    }
    let ran = node.mizan("transfer alice bob -3 USD");
    assert_eq!(ran.code, exit::USAGE);
    assert!(ran.talk.contains("amount -3 is negative: swap the accounts"), "{ran:?}");
}

#[test]
fn prefixes_keep_payers_and_receivers_of_the_same_number_apart() {
    let node = TestNode::start();
    let file = node.file("orders.csv", "id,from,to,amount\n1,7,7,5\n");
    let columns = "--id-column id --from-column from --to-column to --amount-column amount";
    let flags = format!("{columns} --currency EUR --create-ledger --scale 2 --create-accounts");
    let run = |extra: &str| {
        let line = format!("import {} {flags} {extra}", file.display());
        node.mizan(&line)
    };
    assert_eq!(run("").code, exit::PROBLEM);
    // The node refused the transfer, but not for a reason that may pass, so its id can still be used.
    assert_eq!(run("--from-prefix payer/ --to-prefix payee/").code, exit::OK);
    let payer = &node.json("account payer/7 EUR")[0]["balance"];
    assert_eq!(payer["posted"], "-5.00");
    assert_eq!(node.json("account payee/7 EUR")[0]["balance"]["posted"], "5.00");
}

#[test]
fn another_namespace_is_another_set_of_transfers() {
    let node = TestNode::start();
    let create = "--create-ledger --scale 2 --create-accounts";
    let file = node.file("orders.tsv", &orders(10));
    assert_eq!(import(&node, &file, create).json()["imported"]["count"], 10);
    let other = import(&node, &file, &format!("{create} --id-namespace february")).json();
    assert_eq!(other["imported"]["count"], 10);
}

#[test]
fn payers_that_may_not_be_overdrawn_are_refused_by_name() {
    let node = TestNode::start();
    let file = node.file("orders.tsv", &orders(5));
    let flags = "--create-ledger --scale 2 --create-accounts --no-overdraft --report 2";
    let ran = import(&node, &file, flags);
    assert_eq!(ran.code, exit::PROBLEM);
    let report = ran.json();
    assert_eq!(report["refused"]["by_status"]["exceeds_credits"], 5);
    assert_eq!(report["examples"].as_array().map(Vec::len), Some(2));
    assert_eq!(ran.talk.lines().filter(|line| line.starts_with("line ")).count(), 2);
}

#[test]
fn a_scale_or_column_or_file_that_does_not_fit_is_refused_before_anything_is_sent() {
    let node = TestNode::start();
    assert_eq!(node.mizan("ledger create CZK --scale 2").code, exit::OK);
    let file = node.file("orders.tsv", &orders(5));
    assert_eq!(import(&node, &file, "--scale 3").code, exit::USAGE);
    assert_eq!(import(&node, &file, "--create-ledger --scale 3").code, exit::PROBLEM);
    assert_eq!(import(&node, &file, "--header --user-data-64-column kind").code, exit::USAGE);
    assert_eq!(import(&node, Path::new("/nonexistent.tsv"), "").code, exit::USAGE);
    assert_eq!(node.json("status")["transfers"], 0);
}

#[test]
fn real_standing_orders_come_out_at_their_exact_sum_also_on_a_second_run() {
    let Some(file) = real_data("berka_standing_orders.tsv") else {
        println!("skipped: berka_standing_orders.tsv is not on this machine");
        return;
    };
    let node = TestNode::start();
    let create = "--create-ledger --scale 2 --create-accounts --batch 500";
    for attempt in ["imported", "already_there"] {
        let ran = import(&node, &file, create);
        assert_eq!(ran.code, exit::OK, "{ran:?}");
        let report = ran.json();
        assert_eq!(report["lines"], 6_471);
        assert_eq!(report[attempt]["amount"], "2122899.36");
        assert_eq!(report["trial_balance"]["credits_posted"], "2122899.36");
        assert_eq!(report["trial_balance"]["balanced"], true);
        assert_eq!(report["trial_balance"]["accounts"], 3_758 + 6_446);
    }
}

#[test]
fn an_id_is_one_payment_whether_it_comes_in_a_file_or_as_a_transfer() {
    let node = TestNode::with_wallets();
    assert_eq!(node.mizan("transfer alice bob 25.00 USD --id INV-1").code, exit::OK);
    let file =
        node.file("pay.csv", "id,from,to,amount\nINV-1,alice,bob,25.00\nINV-2,alice,bob,1.00\n");
    let columns = "--id-column id --from-column from --to-column to --amount-column amount";
    let line = format!("import {} {columns} --currency USD", file.display());
    let report = node.json(&line);
    assert_eq!(
        (&report["already_there"]["count"], &report["imported"]["count"]),
        (&1.into(), &1.into())
    );
    assert_eq!(node.json("transfer alice bob 1.00 USD --id INV-2")["outcome"], "duplicate");
    assert_eq!(node.json("account bob USD")[0]["balance"]["posted"], "26.00");
}

#[test]
fn a_file_that_was_imported_under_the_ids_of_an_earlier_release_is_not_paid_again() {
    let node = TestNode::with_wallets();
    let file = node.file("pay.csv", "id,from,to,amount\na,alice,bob,2.00\nb,alice,bob,3.00\n");
    let columns = "--id-column id --from-column from --to-column to --amount-column amount";
    let line = format!("import {} {columns} --currency USD", file.display());
    let ledger = node.json("ledgers")[0]["ledger"].to_string();
    // What an earlier release did by itself.
    let earlier = format!("{line} --id-namespace ledger-{ledger}");
    assert_eq!(node.mizan(&earlier).code, exit::OK);
    let ran = node.mizan(&line);
    assert_eq!(ran.code, exit::STATE, "{ran:?}");
    assert!(ran.talk.contains(&format!("--id-namespace ledger-{ledger}")), "{ran:?}");
    assert!(ran.talk.contains("line 2"), "{ran:?}");
    assert_eq!(node.json("account bob USD")[0]["balance"]["posted"], "5.00");
    assert_eq!(node.json(&earlier)["already_there"]["count"], 2);
}

#[test]
fn accounts_that_an_earlier_release_made_of_other_letters_are_not_made_again_under_their_names() {
    let node = TestNode::with_wallets();
    let ledger = node.json("ledgers")[0]["ledger"].as_u64().expect("a number") as u32;
    // Composed of two characters each, as an earlier release hashed them.
    let name = "Jose\u{301}";
    let id = mizan_client::names::account_id_as_written(ledger, name);
    assert_eq!(node.mizan(&format!("accounts create {id:#x} USD")).code, exit::OK);
    let text = format!("id,from,to,amount\na,alice,bob,2.00\nb,alice,{name},3.00\n");
    let file = node.file("pay.csv", &text);
    let columns = "--id-column id --from-column from --to-column to --amount-column amount";
    let line = format!("import {} {columns} --currency USD --create-accounts", file.display());
    for (line, place) in [(line, "line 3: "), (format!("accounts create {name} USD"), "")] {
        let ran = node.mizan(&line);
        assert_eq!(ran.code, exit::STATE, "{ran:?}");
        assert!(ran.talk.contains(&format!("{place}an earlier release made")), "{ran:?}");
        assert!(ran.talk.contains(&format!("{id:#x}")), "{ran:?}");
    }
    assert_eq!(node.json("account bob USD")[0]["balance"]["posted"], "0.00", "nothing was paid");
    // A name of one form is nobody else's.
    assert_eq!(node.mizan("accounts create Zoe\u{308} USD").code, exit::OK);
}

#[test]
fn a_line_that_an_earlier_release_paid_under_an_id_of_other_letters_is_not_paid_again() {
    use mizan_client::names::{transfer_id, transfer_id_as_written};
    let node = TestNode::with_wallets();
    let ledger = node.json("ledgers")[0]["ledger"].to_string();
    let columns = "--id-column id --from-column from --to-column to --amount-column amount";
    let forms: [fn(&str, &str) -> u128; 3] = [
        |ledger, id| transfer_id_as_written(&format!("ledger-{ledger}/{id}")),
        |ledger, id| transfer_id(&format!("ledger-{ledger}/{id}")).expect("a name"),
        |_, id| transfer_id_as_written(id),
    ];
    for (number, form) in forms.iter().enumerate() {
        // Composed of two characters.
        let id = format!("cafe\u{301}-{number}");
        let earlier = form(&ledger, &id);
        let paid = node.mizan(&format!("transfer alice bob 2.00 USD --id {earlier:#x}"));
        assert_eq!(paid.code, exit::OK, "{paid:?}");
        let text = format!("id,from,to,amount\n{id},alice,bob,2.00\n");
        let file = node.file(&format!("pay-{number}.csv"), &text);
        let ran = node.mizan(&format!("import {} {columns} --currency USD", file.display()));
        assert_eq!(ran.code, exit::STATE, "{ran:?}");
        assert!(ran.talk.contains("line 2: "), "{ran:?}");
    }
    assert_eq!(node.json("account bob USD")[0]["balance"]["posted"], "6.00");
}
