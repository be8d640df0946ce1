//! Lines that were refused are paid later from a file of rejects, and whatever is imported in whatever order, no line is
//! paid twice.

use crate::node::{Ran, TestNode};
use mizan_cli::exit;
use std::path::{Path, PathBuf};

const FLAGS: &str =
    "--currency USD --id-column id --from-column payer --to-column payee --amount-column amount";

fn import(node: &TestNode, file: &Path, flags: &str) -> Ran {
    node.mizan(&format!("import {} {FLAGS} {flags} --json", file.display()))
}

fn import_with_rejects(node: &TestNode, file: &Path, rejects: &Path) -> Ran {
    import(node, file, &format!("--rejects {}", rejects.display()))
}

fn posted(node: &TestNode, account: &str) -> String {
    let account = node.json(&format!("account {account} USD"));
    account[0]["balance"]["posted"].as_str().expect("an amount").to_owned()
}

fn fund(node: &TestNode, amount: &str, id: &str) {
    node.json(&format!("transfer bank alice {amount} USD --id {id}"));
}

/// A path beside `file` under which there is nothing.
fn beside(file: &Path, name: &str) -> PathBuf {
    file.with_file_name(name)
}

const PAYMENTS: &str = "id,payer,payee,amount,memo\n\
    r-1,alice,bob,1.00,one\n\
    r-2,alice,bob,5000.00,\"two, with\na break\"\n\
    \" r-3\",alice,bob,0.5x,three\n\
    r-4,alice,zoe,2.00,four\n\
    r-5,alice,bob,3.00,five\n";

#[test]
fn refused_and_bad_lines_are_paid_from_the_rejects_once_the_cause_is_mended() {
    let node = TestNode::with_wallets();
    let file = node.file("pay.csv", PAYMENTS);
    let rejects = beside(&file, "rejects.csv");
    let first = import_with_rejects(&node, &file, &rejects);
    assert_eq!(first.code, exit::PROBLEM);
    assert_eq!(first.json()["rejects"], 3, "{first:?}");
    let text = std::fs::read_to_string(&rejects).expect("the rejects");
    assert!(
        text.contains("\"r-2\",\"alice\",\"bob\",\"5000.00\",\"two, with\na break\",\"1\",\"3\","),
        "{text}"
    );
    // Whoever followed such words would pay the line under its old id as well.
    for words in ["new id", "new transfer id", "is spent"] {
        assert!(!text.contains(words) && !first.data.contains(words), "{words}: {text}{first:?}");
    }
    assert!(text.contains("leave the line's id as it is"), "{text}");
    assert!(first.talk.contains("leave ids and attempts as they are"), "{first:?}");
    // What was never sent keeps its first id, with the blanks that were quoted.
    assert!(text.contains("\" r-3\",\"alice\",\"bob\",\"0.5x\",\"three\",\"0\",\"5\","), "{text}");
    assert_eq!(posted(&node, "bob"), "4.00");

    // The causes are mended: funds, a typing error, an account.
    fund(&node, "9000", "top-up");
    assert_eq!(node.mizan("accounts create zoe USD").code, exit::OK);
    std::fs::write(&rejects, text.replace("0.5x", "0.50")).expect("writes");
    let again = import(&node, &rejects, "");
    assert_eq!(again.code, exit::OK, "{again:?}");
    assert_eq!(again.json()["imported"]["amount"], "5002.50");
    assert_eq!(posted(&node, "bob"), "5004.50");
    assert_eq!(posted(&node, "zoe"), "2.00");

    // Both files again, in any order, pay nothing.
    for _ in 0..2 {
        assert_eq!(import(&node, &rejects, "").json()["imported"]["count"], 0);
        assert_eq!(import(&node, &file, "").json()["imported"]["count"], 0);
    }
    // Nor do the rejects of the first file, which name the attempt that is paid.
    let rejects = beside(&file, "more.csv");
    let third = import_with_rejects(&node, &file, &rejects).json();
    assert_eq!(third["refused"]["by_status"]["id_already_failed"], 1);
    let fourth = import(&node, &rejects, "");
    assert_eq!(fourth.json()["imported"]["count"], 0, "{fourth:?}");
    assert_eq!(posted(&node, "bob"), "5004.50");
}

#[test]
fn a_line_that_is_refused_again_and_again_is_paid_once() {
    let node = TestNode::with_wallets();
    let text = "id,payer,payee,amount\nr-2,alice,bob,5000.00\n";
    let file = node.file("pay.csv", text);
    let mut files = vec![file.clone()];
    for attempt in 1..=3 {
        let rejects = beside(&file, &format!("rejects-{attempt}.csv"));
        let ran = import_with_rejects(&node, files.last().expect("a file"), &rejects);
        assert_eq!(ran.json()["refused"]["count"], 1, "{ran:?}");
        let text = std::fs::read_to_string(&rejects).expect("the rejects");
        assert!(text.contains(&format!("\"5000.00\",\"{attempt}\",\"2\",")), "{text}");
        assert_eq!(text.matches("mizan_").count(), 3, "{text}");
        files.push(rejects);
    }
    fund(&node, "20000", "top-up");
    // The newest pays; all older ones find their own ids spent.
    for file in files.iter().rev().chain(&files) {
        import(&node, file, "");
        assert_eq!(posted(&node, "bob"), "5000.00", "{}", file.display());
    }
}

#[test]
fn a_file_without_a_header_names_the_column_of_the_attempt_by_number() {
    let node = TestNode::with_wallets();
    let flags =
        "--currency USD --no-header --id-column 1 --from-column 2 --to-column 3 --amount-column 4";
    let file = node.file("pay.csv", "r-1,alice,bob,1.00\nr-2,alice,bob,5000.00\n");
    let rejects = beside(&file, "rejects.csv");
    let run =
        |file: &Path, more: &str| node.mizan(&format!("import {} {flags} {more}", file.display()));
    let first = run(&file, &format!("--rejects {}", rejects.display()));
    assert!(first.talk.contains("the same flags and --attempt-column 5"), "{first:?}");
    fund(&node, "9000", "top-up");
    // Without it, the spent id is tried again, which pays nothing.
    assert_eq!(run(&rejects, "").code, exit::PROBLEM);
    assert_eq!(posted(&node, "bob"), "1.00");
    assert_eq!(run(&rejects, "--attempt-column 5").code, exit::OK);
    assert_eq!(posted(&node, "bob"), "5001.00");
}

#[test]
fn lines_that_cannot_be_split_are_kept_as_they_are() {
    let node = TestNode::with_wallets();
    let text = "Bank\nid;payer;payee;amount\nr-1;alice;bo\"b;1.00\nr-2;alice;bob;2;00\n";
    let file = node.file("pay.csv", text);
    let rejects = beside(&file, "rejects.csv");
    let flags = "--skip 1 --delimiter ;";
    let ran = import(&node, &file, &format!("{flags} --rejects {}", rejects.display()));
    assert_eq!(ran.json()["rejects"], 2, "{ran:?}");
    let text = std::fs::read_to_string(&rejects).expect("the rejects");
    assert!(text.starts_with("Bank\n\"id\";"), "{text}");
    assert!(text.contains("\nr-1;alice;bo\"b;1.00;0;3;\"a quote stands"), "{text}");
    let mended = text.replace("bo\"b", "bob").replace(";2;00;", ";2.00;");
    std::fs::write(&rejects, mended).expect("writes");
    let ran = import(&node, &rejects, flags);
    assert_eq!(
        (ran.code, &ran.json()["imported"]["amount"]),
        (exit::OK, &"3.00".into()),
        "{ran:?}"
    );
}

#[test]
fn a_file_that_is_there_is_never_written_over_and_without_rejects_there_is_none() {
    let node = TestNode::with_wallets();
    let file = node.file("pay.csv", "id,payer,payee,amount\nr-1,alice,bob,1.00\n");
    let ran = import_with_rejects(&node, &file, &file);
    assert_eq!(ran.code, exit::USAGE, "{ran:?}");
    assert!(ran.talk.contains("is there already"), "{ran:?}");
    assert_eq!(posted(&node, "bob"), "0.00");
    let rejects = beside(&file, "rejects.csv");
    assert_eq!(import_with_rejects(&node, &file, &rejects).code, exit::OK);
    assert!(!rejects.exists());
    let nowhere = Path::new("/nonexistent/rejects.csv");
    let ran = import_with_rejects(&node, &file, nowhere);
    assert_eq!(ran.code, exit::USAGE, "{ran:?}");
}

#[test]
fn an_import_that_stopped_leaves_no_rejects_because_the_same_import_finds_them_again() {
    let node = TestNode::with_wallets();
    let text =
        "id,payer,payee,amount\nr-1,alice,bob,5000.00\nr-2,\"alice,bob,1.00\nr-3,alice,bob,1.00\n";
    let file = node.file("pay.csv", text);
    let rejects = beside(&file, "rejects.csv");
    let ran = import_with_rejects(&node, &file, &rejects);
    assert_eq!((ran.code, rejects.exists()), (exit::PROBLEM, false), "{ran:?}");
    let directory = file.parent().expect("a directory").read_dir().expect("reads");
    let names: Vec<_> = directory.map(|entry| entry.expect("an entry").file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().contains("rejects")), "{names:?}");
    std::fs::write(&file, text.replace('"', "")).expect("writes");
    let ran = import_with_rejects(&node, &file, &rejects);
    assert_eq!(ran.json()["refused"]["by_status"]["id_already_failed"], 1, "{ran:?}");
    fund(&node, "9000", "top-up");
    assert_eq!(import(&node, &rejects, "").code, exit::OK);
    assert_eq!(posted(&node, "bob"), "5002.00");
}

#[test]
fn a_line_with_too_few_columns_is_never_paid_by_what_the_rejects_add() {
    let node = TestNode::with_wallets();
    for (name, text) in [
        ("amount", "id,payer,payee,memo,amount\nu2,alice,bob\n"),
        ("memo", "id,payer,payee,amount,memo\nv1,alice,bob,5.00\n"),
        ("more", "id,payer,payee,amount\nw1,alice,bob,5.00,0,1\n"),
    ] {
        let mut file = node.file(&format!("{name}.csv"), text);
        for generation in 0..6 {
            let rejects = beside(&file, &format!("{name}-{generation}.csv"));
            let ran = import_with_rejects(&node, &file, &rejects);
            assert_eq!((ran.code, &ran.json()["rejects"]), (exit::PROBLEM, &1.into()), "{ran:?}");
            file = rejects;
        }
    }
    assert_eq!(posted(&node, "bob"), "0.00");

    // Without a header the width is that of a file of rejects with this column of attempts.
    let flags =
        "--currency USD --no-header --id-column 1 --from-column 2 --to-column 3 --amount-column 4";
    let text = "w1,alice,bob,5.00,memo\nw2,alice,bob,6.00\n";
    let file = node.file("plain.csv", text);
    let rejects = beside(&file, "plain-1.csv");
    let line = format!("import {} {flags} --rejects {}", file.display(), rejects.display());
    let ran = node.mizan(&line);
    assert!(ran.talk.contains("--attempt-column 6"), "{ran:?}");
    let ran = node.mizan(&format!("import {} {flags} --attempt-column 6", rejects.display()));
    assert_eq!(ran.code, exit::PROBLEM, "{ran:?}");
    assert_eq!(posted(&node, "bob"), "5.00");
    let mended = std::fs::read_to_string(&rejects).expect("the rejects");
    std::fs::write(&rejects, mended.replace("6.00,", "6.00,memo,")).expect("writes");
    let ran = node.mizan(&format!("import {} {flags} --attempt-column 6", rejects.display()));
    assert_eq!(ran.code, exit::OK, "{ran:?}");
    // And the original, mended, finds it paid.
    let file = node.file("plain-2.csv", &text.replace("6.00", "6.00,memo"));
    assert_eq!(node.mizan(&format!("import {} {flags}", file.display())).code, exit::OK);
    assert_eq!(posted(&node, "bob"), "11.00");
}

#[test]
fn an_attempt_is_made_only_where_the_one_before_is_spent() {
    let text = "id,payer,payee,amount,mizan_attempt\nx1,alice,bob,5.00,3\n";
    let plain = "id,payer,payee,amount\nx1,alice,bob,5.00\n";
    // Rejects of another node, before and after the file that they come from.
    for order in [[text, plain], [plain, text]] {
        let node = TestNode::with_wallets();
        for (place, text) in order.into_iter().enumerate() {
            let file = node.file(&format!("{place}.csv"), text);
            assert_eq!(import(&node, &file, "").code, exit::OK);
        }
        assert_eq!(posted(&node, "bob"), "5.00");
    }
}
