//! Files and outputs that break in the middle of an import, and ids of several forms: nothing is paid that the file does
//! not say, nothing twice, and the exit code is the true one.

use crate::node::{Ran, TestNode};
use mizan_cli::output::Output;
use mizan_cli::verbs::repl::split_words;
use mizan_cli::{exit, run_with};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

const BY_NAME: &str =
    "--currency USD --id-column id --from-column payer --to-column payee --amount-column amount";
const BY_NUMBER: &str =
    "--currency USD --no-header --id-column 1 --from-column 2 --to-column 3 --amount-column 5";

fn import(node: &TestNode, file: &Path, flags: &str) -> Ran {
    node.mizan(&format!("import {} {flags} --json", file.display()))
}

fn posted(node: &TestNode, account: &str) -> String {
    let account = node.json(&format!("account {account} USD"));
    account[0]["balance"]["posted"].as_str().expect("an amount").to_owned()
}

fn transfers(node: &TestNode) -> serde_json::Value {
    node.json("status")["transfers"].clone()
}

/// What stands behind `words` in the talk, up to a blank.
fn said_after<'a>(ran: &'a Ran, words: &str) -> &'a str {
    let (_, rest) = ran.talk.split_once(words).unwrap_or_else(|| panic!("{words}: {ran:?}"));
    rest.split_whitespace().next().expect("a word")
}

#[test]
fn rejects_without_a_header_pay_nothing_that_was_added_to_them() {
    for (name, text, pays) in [
        ("short-first", "fl-1,alice,bob\nfl-2,alice,bob,rent,7.00\n", "0.00"),
        ("all-short", "fl-1,alice,bob\nfl-2,alice,bob\n", "0.00"),
        ("short-later", "fl-1,alice,bob,rent,1.00\nfl-2,alice,bob\nfl-3,alice,bob,x\n", "1.00"),
        ("long", "fl-1,alice,bob,rent,x\nfl-2,alice,bob,rent,7,000.00\n", "0.00"),
    ] {
        let node = TestNode::with_wallets();
        let text = format!("a\nb\nc\nd\n{text}");
        let file = node.file("fl.csv", &text);
        let rejects = file.with_file_name("fr.csv");
        let flags = format!("{BY_NUMBER} --skip 4");
        let ran = import(&node, &file, &format!("{flags} --rejects {}", rejects.display()));
        assert_eq!((ran.code, posted(&node, "bob").as_str()), (exit::PROBLEM, pays), "{ran:?}");
        let column = said_after(&ran, "--attempt-column ").to_owned();
        for amount in ["4", "5", "6", "7"] {
            // With another column of amounts, too, and with any column of attempts or none.
            let flags = flags.replace("--amount-column 5", &format!("--amount-column {amount}"));
            for attempt in [column.as_str(), "4", "5"] {
                let more = format!("{flags} --attempt-column {attempt} --create-accounts");
                import(&node, &rejects, &more);
            }
            let ran = import(&node, &rejects, &format!("{flags} --create-accounts"));
            assert_eq!(ran.code, exit::PROBLEM, "{name} {amount}: {ran:?}");
            assert!(ran.talk.contains("say --attempt-column"), "{name} {amount}: {ran:?}");
        }
        let expected = if name == "short-first" { "7.00" } else { pays };
        assert_eq!(posted(&node, "bob"), expected, "{name}");
    }
}

#[test]
fn a_file_that_lies_under_ids_of_two_forms_is_refused_before_anything_is_sent() {
    let node = TestNode::with_wallets();
    let ledger = node.json("ledgers")[0]["ledger"].to_string();
    let line = |number: u32| format!("i-{number},alice,bob,0.01\n");
    let head = "id,payer,payee,amount\n";
    // More than one request of them; the earlier release had come to the last line alone.
    let last = node.file("last.csv", &format!("{head}{}", line(3_000)));
    let earlier = format!("--id-namespace ledger-{ledger}");
    assert_eq!(import(&node, &last, &format!("{BY_NAME} {earlier}")).code, exit::OK);
    let all: String = (1..=3_000).map(line).collect();
    let whole = node.file("whole.csv", &format!("{head}{all}"));
    let before = transfers(&node);
    let ran = import(&node, &whole, BY_NAME);
    assert_eq!(ran.code, exit::STATE, "{ran:?}");
    assert!(ran.talk.contains("line 3001") && ran.talk.contains(&earlier), "{ran:?}");
    assert_eq!(transfers(&node), before, "nothing was sent");

    // Where a line is there under its present id as well, neither form pays every line once.
    let first = node.file("first.csv", &format!("{head}{}", line(1)));
    assert_eq!(import(&node, &first, BY_NAME).code, exit::OK);
    let before = transfers(&node);
    for flags in [BY_NAME.to_owned(), format!("{BY_NAME} {earlier}")] {
        let ran = import(&node, &whole, &flags);
        assert_eq!(ran.code, exit::STATE, "{ran:?}");
        assert!(ran.talk.contains("out of the file"), "{ran:?}");
        assert!(!ran.talk.contains("with --id-namespace"), "{ran:?}");
        assert_eq!(transfers(&node), before, "nothing was sent");
    }
    // What was said is done, and every line is paid once: 3,000 times 0.01.
    std::fs::write(&whole, format!("{head}{}", all.replace(&line(3_000), ""))).expect("writes");
    assert_eq!(import(&node, &whole, BY_NAME).code, exit::OK);
    assert_eq!(posted(&node, "bob"), "30.00");
}

#[test]
fn an_id_that_the_file_has_in_its_own_right_is_no_evidence_of_an_earlier_form() {
    let node = TestNode::with_wallets();
    let ledger = node.json("ledgers")[0]["ledger"].to_string();
    let text =
        format!("id,payer,payee,amount\nledger-{ledger}/z-1,alice,bob,1.00\nz-1,alice,bob,2.00\n");
    let file = node.file("z.csv", &text);
    for (key, count) in [("imported", 2), ("already_there", 2)] {
        let ran = import(&node, &file, BY_NAME);
        assert_eq!((ran.code, &ran.json()[key]["count"]), (exit::OK, &count.into()), "{ran:?}");
    }
    // Also if the import had come to the first of them only.
    let text = text.replace("z-1", "y-1");
    let half = node.file("half.csv", &text[..text.find("\ny-1").expect("two lines") + 1]);
    let whole = node.file("y.csv", &text);
    for file in [half, whole] {
        assert_eq!(import(&node, &file, BY_NAME).code, exit::OK);
    }
    assert_eq!(posted(&node, "bob"), "6.00");
}

#[test]
fn a_last_line_without_an_end_is_not_paid_unless_the_file_is_said_to_be_complete() {
    let node = TestNode::with_wallets();
    let text = "id,payer,payee,amount\nc-1,alice,bob,1.00\nc-2,alice,bob,20";
    let file = node.file("cut.csv", text);
    let ran = import(&node, &file, BY_NAME);
    assert_eq!((ran.code, &ran.json()["complete"]), (exit::PROBLEM, &false.into()), "{ran:?}");
    assert!(ran.talk.contains("line 3: the file ends within this line"), "{ran:?}");
    assert!(ran.talk.contains("--no-final-newline"), "{ran:?}");
    assert_eq!(posted(&node, "bob"), "1.00", "what stands before it is whole");
    for flags in ["--dry-run", "--expect-count 2", "--expect-sum 21.00"] {
        assert_eq!(import(&node, &file, &format!("{BY_NAME} {flags}")).code, exit::PROBLEM);
    }
    let ran = import(&node, &file, &format!("{BY_NAME} --no-final-newline"));
    assert_eq!((ran.code, posted(&node, "bob").as_str()), (exit::OK, "21.00"), "{ran:?}");
    let file = node.file("header.csv", "id,payer,payee,amount");
    assert_eq!(import(&node, &file, BY_NAME).code, exit::USAGE);
}

#[test]
fn a_namespace_with_the_mark_that_ends_it_is_refused() {
    let node = TestNode::with_wallets();
    let file = node.file("n.csv", "id,payer,payee,amount\n2,alice,bob,1.00\n");
    let ran = import(&node, &file, &format!("{BY_NAME} --id-namespace shop/1"));
    assert_eq!((ran.code, posted(&node, "bob").as_str()), (exit::USAGE, "0.00"), "{ran:?}");
}

#[test]
fn an_id_of_digits_is_one_payment_in_a_file_and_as_a_transfer() {
    let node = TestNode::with_wallets();
    let ids = ["7", "007", "2026_001", "2026001", "20_26001"];
    let lines: String = ids.iter().map(|id| format!("{id},alice,bob,1.00\n")).collect();
    let file = node.file("ids.csv", &format!("id,payer,payee,amount\n{lines}"));
    assert_eq!(import(&node, &file, BY_NAME).json()["imported"]["count"], ids.len());
    for id in ids {
        let line = format!("transfer alice bob 1.00 USD --id {id}");
        assert_eq!(node.json(&line)["outcome"], "duplicate", "{id}");
    }
    assert_eq!(node.json("transfer alice bob 1.00 USD --id 0x7")["outcome"], "created");
    assert_eq!(node.mizan("transfer alice bob 1.00 USD --id 0x7_7").code, exit::USAGE);
    // An id that was shown can be given back.
    let held = node.json("hold alice bob 1.00 USD --id 0x99");
    let id = held["id"].as_str().expect("an id").to_owned();
    assert_eq!(node.mizan(&format!("void {id}")).code, exit::OK);
}

/// A stream whose reader has gone, or whose disk is full.
struct Broken(io::ErrorKind);

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn run_unheard(node: &TestNode, line: &str, kind: io::ErrorKind) -> u8 {
    let mut output = Output::new(Box::new(Broken(kind)), Box::new(Broken(kind)));
    let address = node.address().to_string();
    let environment = Rc::new(move |name: &str| (name == "MIZAN_ADDRESS").then(|| address.clone()));
    let words = split_words(line).expect("closed quotes");
    let words = std::iter::once("mizan".to_owned()).chain(words).map(OsString::from);
    run_with(words, environment, &mut output)
}

#[test]
fn what_moves_money_goes_to_its_end_and_has_its_own_exit_code_though_nobody_listens() {
    let node = TestNode::with_wallets();
    let gone = io::ErrorKind::BrokenPipe;
    let text = "id,payer,payee,amount\nb-1,alice,bob,x\nb-2,alice,bob,y\nb-3,alice,bob,3.00\n";
    let file = node.file("b.csv", text);
    let line = format!("import {} {BY_NAME}", file.display());
    assert_eq!(run_unheard(&node, &line, gone), exit::PROBLEM);
    assert_eq!(posted(&node, "bob"), "3.00", "the line behind those that were told of");
    for (line, code) in [
        ("transfer alice bob 9000 USD --id q-1", exit::PROBLEM),
        ("transfer alice bob 1.00 USD --id q-2", exit::OK),
        ("transfer alice nobody 1.00 USD", exit::PROBLEM),
        ("transfer alice bob 1.00 XXX", exit::PROBLEM),
        ("transfer alice", exit::USAGE),
        ("hold alice bob 9000 USD", exit::PROBLEM),
        ("repl -c 'explain_nonsense'", exit::USAGE),
        ("repl -c 'account bob USD; transfer alice bob 1.00 USD --id q-4'", exit::OK),
        ("status", exit::OK),
        // Whoever only looks has seen enough.
        ("account bob USD", exit::OK),
        ("ledgers", exit::OK),
    ] {
        assert_eq!(run_unheard(&node, line, gone), code, "{line}");
    }
    assert_eq!(posted(&node, "bob"), "5.00");
    // A full disk is told, after the work.
    let full = io::ErrorKind::StorageFull;
    let line = "transfer alice bob 1.00 USD --id q-3";
    assert_eq!(run_unheard(&node, line, full), exit::RESOURCE);
    assert_eq!(posted(&node, "bob"), "6.00");
}

#[test]
fn an_error_of_a_wide_file_is_short_and_a_loop_of_links_is_the_callers_mistake() {
    let node = TestNode::with_wallets();
    let head: Vec<String> = (0..100_000).map(|column| format!("c{column}")).collect();
    let file = node.file("wide.csv", &format!("{}\n", head.join(",")));
    let ran = import(&node, &file, BY_NAME);
    assert_eq!(ran.code, exit::USAGE);
    assert!(ran.talk.len() < 4_000 && ran.talk.contains("and 99970 more"), "{}", ran.talk.len());
    let ran = node.mizan("--config /dev/zero status");
    assert_eq!(ran.code, exit::USAGE, "{ran:?}");
    let link = file.with_file_name("loop.csv");
    std::os::unix::fs::symlink(&link, &link).expect("a link");
    let ran = import(&node, &link, BY_NAME);
    assert_eq!(ran.code, exit::USAGE, "{ran:?}");
}

#[test]
fn rejects_of_a_file_with_tabs_say_how_they_are_read() {
    let node = TestNode::with_wallets();
    let file = node.file("t.tsv", "id\tpayer\tpayee\tamount\nt-1\talice\tbob\t1.00x\n");
    let rejects = file.with_file_name("t.csv");
    let ran = import(&node, &file, &format!("{BY_NAME} --rejects {}", rejects.display()));
    assert!(ran.talk.contains("with the same flags and --delimiter tab"), "{ran:?}");
    let text = std::fs::read_to_string(&rejects).expect("the rejects");
    std::fs::write(&rejects, text.replace("1.00x", "1.00")).expect("writes");
    assert_eq!(import(&node, &rejects, &format!("{BY_NAME} --delimiter tab")).code, exit::OK);
    assert_eq!(posted(&node, "bob"), "1.00");
}

#[test]
fn a_line_whose_later_attempt_was_paid_under_an_id_of_another_form_is_not_paid_again() {
    for (first, second) in [(true, false), (false, true)] {
        let node = TestNode::with_wallets();
        let ledger = node.json("ledgers")[0]["ledger"].to_string();
        let ran = node.mizan("accounts create poor USD --flags debits_must_not_exceed_credits");
        assert_eq!(ran.code, exit::OK, "{ran:?}");
        let flags = |is_of_then: bool| {
            let earlier = format!(" --id-namespace ledger-{ledger}");
            format!("{BY_NAME}{}", if is_of_then { &earlier } else { "" })
        };
        let file = node.file("g.csv", "id,payer,payee,amount\ng-1,poor,bob,5.00\n");
        let rejects = file.with_file_name("gr.csv");
        let more = format!("{} --rejects {}", flags(first), rejects.display());
        assert_eq!(import(&node, &file, &more).code, exit::PROBLEM);
        assert_eq!(node.mizan("transfer alice poor 20 USD").code, exit::OK);
        assert_eq!(import(&node, &rejects, &flags(first)).code, exit::OK);
        assert_eq!(posted(&node, "bob"), "5.00");
        for again in [&rejects, &file] {
            let ran = import(&node, again, &flags(second));
            assert_eq!(ran.code, exit::STATE, "{ran:?}");
            assert_eq!(posted(&node, "bob"), "5.00", "nothing was paid twice");
        }
    }
}
