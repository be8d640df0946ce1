//! Orders as people enter them, on a node with trading.

use crate::node::TestNode;
use mizan_cli::exit;
use mizan_node::{FormatOptions, TradingLimits};

/// ACME against USD in ticks of 0.10; alice has 1,000.00, bob three shares.
fn market() -> TestNode {
    let small = TradingLimits {
        instrument_count_max: 4,
        order_count_max: 1_000,
        open_order_count_max: 500,
        book_level_count_max: 500,
        report_count_max: 2_000,
    };
    let node = TestNode::formatted(|options| FormatOptions { trading: Some(small), ..options });
    for line in [
        "ledger create USD --scale 2",
        "ledger create ACME --scale 0",
        "accounts create bank USD",
        "accounts create issuer ACME",
        "accounts create alice bob USD --flags debits_must_not_exceed_credits",
        "accounts create alice bob ACME --flags debits_must_not_exceed_credits",
        "transfer bank alice 1000.00 USD --id money",
        "transfer issuer bob 3 ACME --id shares",
        "instrument create ACME USD --tick 0.10 --orders 200 --levels 200",
        "order sell ACME 3 @ 18.90 --account bob",
    ] {
        let ran = node.mizan(line);
        assert_eq!(ran.code, exit::OK, "{line}: {ran:?}");
    }
    node
}

#[test]
fn a_market_order_without_a_budget_says_what_it_would_reserve_and_how_to_bound_it() {
    let node = market();
    let ran = node.mizan("order buy ACME 1 --market --account alice");
    assert_eq!(ran.code, exit::PROBLEM, "{ran:?}");
    for part in
        ["insufficient_funds", "alice has 1000.00 USD available", "highest price", "--budget"]
    {
        assert!(ran.talk.contains(part) || ran.data.contains(part), "{part}: {ran:?}");
    }
    let bounded = node.mizan("order buy ACME 1 --market --budget 20.00 --account alice");
    assert_eq!(bounded.code, exit::OK, "{bounded:?}");
    assert!(bounded.data.contains("filled at 18.90"), "{bounded:?}");
    // A limit that is too dear is another matter: nothing is said of budgets.
    let ran = node.mizan("order buy ACME 2 @ 900.00 --account alice");
    assert!(ran.talk.contains("available") && !ran.talk.contains("--budget"), "{ran:?}");
}

#[test]
fn a_client_order_id_is_shown_as_it_was_given() {
    let node = market();
    let line = "order buy ACME 1 @ 18.00 --account alice --client-order-id bid-1";
    let ran = node.mizan(line);
    assert!(ran.data.contains("client order id bid-1 (0x"), "{ran:?}");
    let again = node.json(line);
    assert_eq!(
        (&again["outcome"], &again["client_order_name"]),
        (&"duplicate".into(), &"bid-1".into())
    );
    let ended = node.mizan("order cancel ACME bid-1 --account alice");
    assert!(ended.data.contains("client order id bid-1 (0x"), "{ended:?}");
}
