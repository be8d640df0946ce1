//! Amounts that people type: what could be a thousandth or a thousand times as much moves nothing.

use crate::node::TestNode;
use mizan_cli::exit;
use mizan_node::{FormatOptions, TradingLimits};

#[test]
fn a_comma_behind_a_leading_zero_moves_nothing_in_any_verb() {
    let trading = Some(TradingLimits {
        instrument_count_max: 4,
        order_count_max: 1_000,
        open_order_count_max: 500,
        book_level_count_max: 500,
        report_count_max: 2_000,
    });
    let node = TestNode::formatted(|options| FormatOptions { trading, ..options }).furnished();
    assert_eq!(node.mizan("hold alice bob 10 USD --id h").code, exit::OK);
    assert_eq!(node.mizan("ledger create ACME --scale 0").code, exit::OK);
    assert_eq!(
        node.mizan("instrument create ACME USD --tick 0.01 --orders 200 --levels 200").code,
        exit::OK
    );
    let before = node.json("trial-balance");
    for line in [
        "transfer alice bob 0,050 USD --id a",
        "transfer alice bob 000,000,001 USD --id b",
        "hold alice bob 0,010 USD --id c",
        "post h 0,001 --id d",
        "order buy ACME 0,005 @ 10 --account alice --ioc",
        "order buy ACME 1 @ 00,010 --account alice --ioc",
        "order buy ACME 1 --market --budget 0,010 --account alice",
        "instrument create ACME USD --tick 0,010 --number 9",
    ] {
        let ran = node.mizan(line);
        assert_eq!(ran.code, exit::USAGE, "{line}: {ran:?}");
        assert!(ran.talk.contains("a comma separates thousands here"), "{line}: {ran:?}");
        let ran = node.words(&["repl", "-c", line]);
        assert_eq!(ran.code, exit::USAGE, "{line} in repl: {ran:?}");
    }
    assert_eq!(node.json("trial-balance"), before);
}

#[test]
fn what_could_be_meant_either_way_is_decided_by_the_mark_alone() {
    let node = TestNode::start();
    assert_eq!(node.mizan("ledger create TND --scale 3").code, exit::OK);
    assert_eq!(node.mizan("accounts create a b TND").code, exit::OK);
    let ran = node.mizan("transfer a b 1,500 TND --id x");
    assert_eq!(ran.code, exit::USAGE);
    assert!(ran.talk.contains("1,500 can be read as 1500 and as 1.500"), "{ran:?}");
    assert_eq!(node.mizan("transfer a b 1,500 TND --id x --decimal ,").code, exit::OK);
    assert_eq!(node.json("account b TND")[0]["balance"]["posted"], "1.500");
    assert_eq!(node.mizan("transfer a b 1,500 TND --id y --decimal .").code, exit::OK);
    assert_eq!(node.json("account b TND")[0]["balance"]["posted"], "1501.500");
    assert_eq!(node.mizan("hold a b 1.500,5 TND --id h --decimal ,").code, exit::OK);
    assert_eq!(node.mizan("post h 1,500 --decimal ,").code, exit::OK);
    assert_eq!(node.json("account b TND")[0]["balance"]["posted"], "1503.000");
    assert_eq!(node.mizan("transfer a b 1 TND --decimal x").code, exit::USAGE);
}
