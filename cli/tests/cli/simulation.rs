//! `mizan sim`: what people see, and what scripts see. It needs no node.

use crate::node::mizan_at;
use mizan_cli::exit;

fn json(words: &[&str]) -> serde_json::Value {
    let ran = mizan_at("127.0.0.1:1", words);
    assert_eq!(ran.code, exit::OK, "{ran:?}");
    ran.json()
}

#[test]
fn the_closing_table_counts_what_was_done_and_that_nothing_was_lost() {
    let ran = mizan_at("127.0.0.1:1", &["sim", "--seeds", "4"]);
    assert_eq!(ran.code, exit::OK, "{ran:?}");
    let lines = ran.lines();
    for line in ["seeds 4", "seeds that broke a promise 0", "lost 0", "doubled 0"] {
        assert!(lines.iter().any(|found| found == line), "no {line:?} in {ran:?}");
    }
}

#[test]
fn the_same_seeds_give_the_same_sums_however_many_are_played_at_a_time() {
    let words = ["sim", "--seeds", "6", "--first", "40", "--nodes", "3", "--json", "--jobs"];
    let sums = |jobs| json(&[words.as_slice(), &[jobs]].concat());
    let one = sums("1");
    assert_eq!(one, sums("3"));
    assert_eq!((&one["seeds"], &one["lost"], &one["doubled"]), (&6.into(), &0.into(), &0.into()));
    assert_eq!(one["digests_equal"], true);
    assert!(one["acknowledged"].as_u64().is_some_and(|count| count > 100), "{one}");
}

#[test]
fn a_seed_can_be_looked_at_event_by_event() {
    let ran = mizan_at("127.0.0.1:1", &["sim", "--first", "7", "--log", "--policy", "disk"]);
    assert_eq!(ran.code, exit::OK, "{ran:?}");
    assert!(ran.talk.lines().count() > 1_000, "{} lines", ran.talk.lines().count());
    assert!(ran.talk.contains("everything heals"));
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    for words in [["--nodes", "4"], ["--seeds", "0"], ["--policy", "paper"], ["--jobs", "0"]] {
        let ran = mizan_at("127.0.0.1:1", &["sim", words[0], words[1]]);
        assert_eq!(ran.code, exit::USAGE, "{ran:?}");
    }
}
