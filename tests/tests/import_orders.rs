//! `mizan import-orders`: the book chooses the orders that the market chose, also on a real hour of a real market.
//!
//! The hour is LOBSTER's academic sample, which is not part of the repository: without it the test that needs it says so
//! and passes.

use mizan_tests::binary::{NodeProcess, format_small, mizan};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

/// Executions of visible orders in the hour, and those of orders from before it, counted in the file itself.
const EXECUTIONS: u64 = 4_067;
const BEFORE_FILE: usize = 12;
/// Executions of the order at the head of its queue, counted in the order of the file without any book.
const AT_THE_HEAD: u64 = 4_031;

/// Two asks at one price, the second of which is executed first; a bid that a later ask passes; an order from before the
/// file; a reduction, after which the rest is executed; a hidden execution; two lines that are no messages.
const SAMPLE: &str = "\
34200.0,1,11,100,1000000,-1
34200.1,1,12,50,1000000,-1
34200.2,1,13,30,1000100,-1
34200.3,1,21,80,999900,1
34200.4,4,11,40,1000000,-1
34200.5,4,12,20,1000000,-1
34200.6,4,12,30,1000000,-1
34200.7,4,11,60,1000000,-1
34200.8,2,13,10,1000100,-1
34200.9,4,13,20,1000100,-1
34201.0,5,0,500,1000050,1
34201.1,4,99,10,999900,1
34201.2,3,98,10,999900,1
34201.3,1,31,10,999900,-1
34201.4,1,22,70,999800,1
34201.5,nonsense
34201.6,1,23,0,999800,1
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in a room").to_owned()
}

fn sample() -> (TempDir, String) {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("messages.csv");
    std::fs::write(&file, SAMPLE).expect("writes");
    let name = file.to_str().expect("temporary paths are UTF-8").to_owned();
    (directory, name)
}

fn value(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn check_sample(value: &Value) {
    assert_eq!((&value["messages"], &value["entered"]), (&json!(15), &json!(6)), "{value}");
    assert_eq!((&value["executions"], &value["agreed"]), (&json!(6), &json!(4)), "{value}");
    // The market took 20 of order 12 while order 11 stood before it. From then on order 12 is the first.
    let disagreement = json!([{
        "line": 6, "order": 12, "size": 20, "price": "100.0000", "place": 1,
        "chosen": [{ "order": 11, "size": 20 }],
    }]);
    assert_eq!(value["disagreements"], disagreement, "{value}");
    assert_eq!(value["before_file"], json!([{ "line": 12, "order": 99 }]));
    assert_eq!(value["unknown"], json!([13]));
    // An ask at the bid's price rests, so the bid was gone.
    assert_eq!(value["passed"], json!([{ "line": 14, "order": 21 }]));
    let bad: Vec<u64> = value["bad"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|bad| bad["line"].as_u64())
        .collect();
    assert_eq!(bad, [16, 17]);
    assert_eq!(value["refused"], json!([]), "{value}");
    // 40 + 20 + 30 + 60 at 100.00, and 20 at 100.01.
    assert_eq!((&value["traded"], &value["money"]), (&json!("170"), &json!("17000.2000")));
    // 3 - 1 basis points of 15,000.00; of 2,000.20 the taker's 0.60006 and the maker's 0.20002, each rounded.
    assert_eq!(value["fees"], "3.4001", "{value}");
    assert_eq!((&value["open_at_end"], &value["cancelled_at_end"]), (&json!(2), &json!(2)));
    assert_eq!((&value["same_book"], &value["balanced"]), (&json!(true), &json!(true)));
    for row in value["trial_balance"].as_array().expect("a list") {
        assert_eq!(row["debits_posted"], row["credits_posted"], "{row}");
        assert!(["0", "0.0000"].contains(&row["held"].as_str().expect("a text")), "{row}");
    }
}

#[test]
fn a_small_file_is_followed_disagreements_are_listed_and_the_same_file_gives_the_same_hash() {
    let (_directory, file) = sample();
    let runs = [(); 2].map(|()| mizan(&["import-orders", &file, "--json"]));
    let values = runs.each_ref().map(value);
    for (run, value) in runs.iter().zip(&values) {
        assert_eq!(run.status.code(), Some(1), "bad lines are a problem: {run:?}");
        check_sample(value);
    }
    assert_eq!(values[0]["output_hash"], values[1]["output_hash"]);
    let text = mizan(&["import-orders", &file]);
    let talk = String::from_utf8_lossy(&text.stderr);
    assert!(talk.contains("line 6: the market chose 20 of order 12"), "{talk}");
    assert!(talk.contains("line 16: 2 columns"), "{talk}");
    let said = String::from_utf8_lossy(&text.stdout);
    let hash = values[0]["output_hash"].as_str().expect("a text");
    assert!(said.contains(&format!("output hash {hash}")), "{said}");
}

#[test]
fn a_node_that_is_there_takes_a_file_once_under_each_name() {
    let (directory, file) = sample();
    let data = directory.path().join("data");
    let books = ["--orders", "100000", "--open-orders", "200000", "--book-levels", "100000"];
    format_small(&data, &books);
    let node = NodeProcess::start(&data, "127.0.0.1:0");
    let address = node.address().to_string();
    let import = |name: &str| {
        mizan(&["import-orders", &file, "--json", "--address", &address, "--name", name])
    };
    check_sample(&value(&import("ONE")));
    let again = import("ONE");
    let talk = String::from_utf8_lossy(&again.stderr);
    assert!(talk.contains("give another --name"), "{talk}");
    assert_eq!(again.status.code(), Some(1));
    check_sample(&value(&import("TWO")));
}

#[test]
fn a_file_that_is_none_is_a_usage_error() {
    let missing = mizan(&["import-orders", "/nowhere/messages.csv"]);
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
}

#[test]
fn a_real_hour_of_nasdaq_is_followed_order_by_order() {
    let file = root().join("../shared/data/lobster_aapl_first_hour_50.csv.gz");
    if !file.exists() {
        println!("skipped: a real hour is not replayed, there is no {}", file.display());
        return;
    }
    let file = file.to_str().expect("the path is UTF-8");
    let output = mizan(&["import-orders", file, "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let value = value(&output);
    let counts = ["messages", "entered", "reductions", "deletions", "executions", "others"];
    let counts = counts.map(|name| value[name].as_u64().expect("a number"));
    assert_eq!(counts, [91_997, 44_256, 469, 41_004, EXECUTIONS, 2_201]);
    let agreed = value["agreed"].as_u64().expect("a number");
    assert!(agreed >= AT_THE_HEAD, "the node agrees with {agreed} executions");
    let listed = |name: &str| value[name].as_array().expect("a list").len();
    assert_eq!(listed("before_file"), BEFORE_FILE);
    // Nothing is left out: every execution agrees, is listed, or is of an order that the file never entered.
    let told = agreed + (listed("disagreements") + listed("before_file")) as u64;
    assert_eq!(told, EXECUTIONS);
    assert_eq!((listed("passed"), listed("refused"), listed("bad")), (0, 0, 0));
    assert_eq!((&value["same_book"], &value["balanced"]), (&json!(true), &json!(true)));
}
