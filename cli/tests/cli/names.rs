//! Names as people type them: what looks alike is one account, and what nobody can see is refused.

use crate::node::TestNode;
use mizan_cli::exit;

#[test]
fn a_name_is_one_account_however_its_accents_were_typed() {
    let node = TestNode::with_wallets();
    let (composed, decomposed) = ("Zo\u{EB}", "Zoe\u{308}");
    assert_eq!(node.mizan(&format!("accounts create {composed} USD")).code, exit::OK);
    let paid = node.mizan(&format!("transfer alice {decomposed} 5.00 USD --id for-zoe"));
    assert_eq!(paid.code, exit::OK, "{paid:?}");
    assert_eq!(node.json(&format!("account {composed} USD"))[0]["balance"]["posted"], "5.00");

    let (composed, decomposed) = ("caf\u{E9}-1", "cafe\u{301}-1");
    let line = |id: &str| format!("transfer alice bob 1.00 USD --id {id}");
    assert_eq!(node.json(&line(composed))["outcome"], "created");
    assert_eq!(node.json(&line(decomposed))["outcome"], "duplicate");
}

#[test]
fn a_name_with_a_character_that_nobody_sees_is_refused_and_moves_nothing() {
    let node = TestNode::with_wallets();
    for (name, shown) in [
        ("bob\u{A0}", "U+00A0"),
        ("bo\u{200B}b", "U+200B"),
        ("\u{202E}bob", "U+202E"),
        ("bob\u{1B}[31m", "U+001B"),
    ] {
        for words in [
            ["transfer", "alice", name, "1.00", "USD"],
            ["transfer", "alice", "bob", "1.00", "USD"]
                .map(|word| if word == "alice" { name } else { word }),
            ["accounts", "create", name, "USD", "--json"],
        ] {
            let ran = node.words(&words);
            assert_eq!(ran.code, exit::USAGE, "{ran:?}");
            assert!(ran.talk.contains(shown) || ran.data.contains(shown), "{ran:?}");
            assert!(!ran.talk.contains(name) && !ran.data.contains(name), "escaped: {ran:?}");
        }
        let ran = node.words(&["transfer", "alice", "bob", "1.00", "USD", "--id", name]);
        assert_eq!(ran.code, exit::USAGE, "{ran:?}");
    }
    assert_eq!(node.json("account alice USD")[0]["balance"]["posted"], "100.00");
}
