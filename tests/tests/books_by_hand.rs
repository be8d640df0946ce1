//! Cases of the books by hand, each on the book and on its model. The language is that of `books_cases::script`.

mod books_cases {
    pub(crate) mod pair;
    pub(crate) mod script;
}

use books_cases::script::{check, check_with};
use mizan_wire::orders::{BookCapacity, BookRules};

const CAPACITY: BookCapacity = BookCapacity { orders_max: 100, levels_max: 100 };

#[test]
fn orders_cancelled_at_the_head_and_in_the_middle_are_not_met_by_a_sweep() {
    check(
        "sell a 101 x1 | accepted a
         sell b 101 x2 | accepted b
         sell c 101 x3 | accepted c
         sell d 101 x4 | accepted d
         cancel a | cancelled a x1 requested
         cancel c | cancelled c x3 requested
         depth | bids -, asks 101x6/2
         buy t 101 x9 | accepted t, trade b 101 x2, trade d 101 x4
         depth | bids 101x3/1, asks -",
    );
}

#[test]
fn a_deep_queue_with_scattered_cancels_keeps_its_order() {
    let mut script = String::new();
    for number in 0..200 {
        script += &format!("buy o{number} 50 x{} | accepted o{number}\n", number + 1);
    }
    for number in (0..200).filter(|number| number % 3 == 1 || (60..80).contains(number)) {
        script += &format!("cancel o{number} | cancelled o{number} x{} requested\n", number + 1);
    }
    let left = || (0..200).filter(|number| number % 3 != 1 && !(60..80).contains(number));
    let total: u64 = left().map(|number| number + 1).sum();
    let trades: Vec<String> =
        left().map(|number| format!("trade o{number} 50 x{}", number + 1)).collect();
    script += &format!("sell t 50 x{total} | accepted t, {}\n", trades.join(", "));
    script += "depth | bids -, asks -";
    check(&script);
}

#[test]
fn an_immediate_order_sweeps_levels_up_to_an_exact_boundary() {
    check(
        "sell a 101 x5 | accepted a
         sell b 102 x5 | accepted b
         sell c 103 x5 | accepted c
         buy t 102 x10 ioc | accepted t, trade a 101 x5, trade b 102 x5
         depth | bids -, asks 103x5/1
         buy u 102 x1 ioc | accepted u, cancelled u x1 immediate_rest
         depth | bids -, asks 103x5/1",
    );
}

#[test]
fn what_a_sweep_leaves_becomes_the_best_price() {
    check(
        "buy z 99 x1 | accepted z
         sell a 101 x5 | accepted a
         sell b 103 x5 | accepted b
         buy t 102 x8 | accepted t, trade a 101 x5
         depth | bids 102x3/1 99x1/1, asks 103x5/1
         sell u 100 x4 | accepted u, trade t 102 x3
         depth | bids 99x1/1, asks 100x1/1 103x5/1",
    );
}

#[test]
fn an_order_modified_into_a_cross_trades_at_the_resting_price() {
    check(
        "buy a 100 x5 | accepted a
         sell b 105 x5 | accepted b
         sell c 106 x2 | accepted c
         amend a 107 x6 | replaced a 107 x6, trade b 105 x5, trade c 106 x1
         depth | bids -, asks 106x1/1
         buy d 101 x3 | accepted d
         buy e 102 x1 | accepted e
         amend c 90 x7 | replaced c 90 x7, trade e 102 x1, trade d 101 x3
         depth | bids -, asks 90x2/1",
    );
}

#[test]
fn fewer_lots_keep_the_place_and_anything_else_loses_it() {
    check(
        "buy a 100 x5 | accepted a
         buy b 100 x5 | accepted b
         buy c 100 x5 | accepted c
         amend a 100 x4 | reduced a x1 requested
         amend a 100 x4 | reduced a x0 requested
         amend b 100 x6 | replaced b 100 x6
         sell t 100 x10 ioc | accepted t, trade a 100 x4, trade c 100 x5, trade b 100 x1
         amend b 99 x6 | replaced b 99 x6
         depth | bids 99x5/1, asks -",
    );
}

#[test]
fn a_partly_filled_order_is_cancelled_or_modified_by_what_is_left() {
    check(
        "buy a 100 x10 | accepted a
         buy b 100 x10 | accepted b
         sell t 100 x4 | accepted t, trade a 100 x4
         amend a 100 x7 | reduced a x3 requested
         depth | bids 100x13/2, asks -
         sell u 100 x5 | accepted u, trade a 100 x3, trade b 100 x2
         amend b 101 x5 | replaced b 101 x5
         depth | bids 101x3/1, asks -
         amend b 101 x2 | cancelled b x3 amended_to_filled
         depth | bids -, asks -
         buy c 100 x10 | accepted c
         sell v 100 x4 | accepted v, trade c 100 x4
         cancel c | cancelled c x6 requested
         cancel c | order_unknown",
    );
}

#[test]
fn a_filled_or_cancelled_order_stays_unknown_when_its_place_is_used_again() {
    check(
        "buy a 100 x1 | accepted a
         sell t 100 x1 | accepted t, trade a 100 x1
         cancel a | order_unknown
         amend a 100 x2 | order_unknown
         buy b 100 x1 by=7 | accepted b
         cancel a by=7 | order_unknown
         cancel b by=7 | cancelled b x1 requested
         buy c 100 x1 by=7 | accepted c
         cancel b by=7 | order_unknown
         cancel c by=8 | order_unknown
         cancel c by=7 | cancelled c x1 requested",
    );
}

#[test]
fn fill_or_kill_agrees_with_each_self_trade_mode() {
    let own_first = "sell a 101 x5 by=7 | accepted a
                     sell b 101 x5 by=8 | accepted b\n";
    let own_behind = "sell b 101 x5 by=8 | accepted b
                      sell a 101 x5 by=7 | accepted a\n";
    let killed = "| accepted t, cancelled t x5 fill_or_kill";
    for mode in ["newest", "both", "decrement"] {
        check(&format!("{own_first} buy t 101 x5 by=7 fok {mode} {killed}"));
        let filled = "| accepted t, trade b 101 x5";
        check(&format!("{own_behind} buy t 101 x5 by=7 fok {mode} {filled}"));
    }
    let fill = "| accepted t, cancelled a x5 self_trade, trade b 101 x5";
    check(&format!("{own_first} buy t 101 x5 by=7 fok oldest {fill}"));
    check(&format!(
        "{own_first} buy t 101 x6 by=7 fok oldest | accepted t, cancelled t x6 fill_or_kill"
    ));
    check(&format!("{own_first} buy t 101 x5 by=7 fok allow | accepted t, trade a 101 x5"));
}

#[test]
fn a_self_trade_is_prevented_as_the_taker_says() {
    let own = "sell a 101 x5 by=7 | accepted a
               sell b 101 x5 by=8 | accepted b
               sell c 102 x9 by=7 | accepted c\n";
    check(&format!("{own} buy t 102 x12 by=7 newest | accepted t, cancelled t x12 self_trade"));
    check(&format!(
        "{own} buy t 102 x12 by=7 oldest | accepted t, cancelled a x5 self_trade, trade b 101 x5, cancelled c x9 self_trade
         depth | bids 102x7/1, asks -"
    ));
    check(&format!(
        "{own} buy t 102 x12 by=7 both | accepted t, cancelled a x5 self_trade, cancelled t x12 self_trade
         depth | bids -, asks 101x5/1 102x9/1"
    ));
    check(&format!(
        "{own} buy t 102 x12 by=7 decrement | accepted t, cancelled a x5 self_trade, reduced t x5 self_trade, trade b 101 x5, reduced c x2 self_trade, cancelled t x2 self_trade
         depth | bids -, asks 102x7/1
         amend c 102 x9 by=7 | reduced c x0 requested
         amend c 102 x3 by=7 | reduced c x6 requested
         amend c 102 x2 by=7 | cancelled c x1 amended_to_filled"
    ));
}

#[test]
fn a_post_only_order_never_takes_and_a_refused_amend_changes_nothing() {
    check(
        "sell a 101 x5 | accepted a
         buy b 101 x1 post | post_only_would_take
         buy b 100 x1 post | accepted b
         buy c 100 x1 | accepted c
         amend b 101 x3 | post_only_would_take
         amend b 102 x1 | post_only_would_take
         depth | bids 100x2/2, asks 101x5/1
         sell t 100 x1 | accepted t, trade b 100 x1
         depth | bids 100x1/1, asks 101x5/1",
    );
}

#[test]
fn stops_cascade_in_waves_and_in_a_fixed_order() {
    check(
        "buy a 100 x1 | accepted a
         buy b 98 x1 | accepted b
         buy c 96 x1 | accepted c
         buy d 94 x1 | accepted d
         sell s1 market x1 stop=96 | dormant s1
         sell s2 market x1 stop=98 | dormant s2
         sell s3 90 x1 stop=100 | dormant s3
         sell s4 market x1 stop=100 fok | dormant s4
         buy up 95 x1 stop=94 | dormant up
         sell t 100 x1 | accepted t, trade a 100 x1, triggered up, triggered s3, triggered s4, \
         trade b 98 x1, triggered s2, trade c 96 x1, triggered s1, trade up 95 x1, trade d 94 x1
         depth | bids -, asks -",
    );
}

#[test]
fn stops_for_which_no_looks_are_left_wait_and_go_on_in_the_same_order() {
    check(
        "buy a 100 x1 | accepted a
         buy b 98 x1 | accepted b
         buy c 96 x1 | accepted c
         buy d 94 x1 | accepted d
         sell s1 market x1 stop=96 | dormant s1
         sell s2 market x1 stop=98 | dormant s2
         sell s3 90 x1 stop=100 | dormant s3
         sell s4 market x1 stop=100 fok | dormant s4
         buy up 95 x1 stop=94 | dormant up
         looks 6 |
         sell t 100 x1 | accepted t, trade a 100 x1, triggered up, triggered s3, triggered s4
         depth | bids 98x1/1 96x1/1 95x1/1 94x1/1, asks -
         buy z 50 x1 | too_many_looks
         amend c 96 x1 | too_many_looks
         amend s3 91 x1 | too_many_looks
         cancel s4 | cancelled s4 x1 requested
         cancel d | cancelled d x1 requested
         go on |
         looks 4 |
         go on | trade b 98 x1, triggered s2
         looks 3 |
         go on | trade c 96 x1
         looks 9 |
         go on | triggered s1, trade up 95 x1
         buy z 50 x1 | accepted z",
    );
}

#[test]
fn a_stop_that_is_cut_in_the_middle_goes_on_before_what_it_has_reached() {
    check(
        "sell a 101 x1 | accepted a
         sell b 102 x1 | accepted b
         sell c 103 x1 | accepted c
         sell d 104 x1 | accepted d
         buy first 103 x3 stop=101 | dormant first
         buy second market x1 stop=102 | dormant second
         sell low 90 x1 stop=102 | dormant low
         looks 8 |
         buy t 101 x1 | accepted t, trade a 101 x1, triggered first, triggered low, trade b 102 x1
         looks 3 |
         go on | trade c 103 x1
         looks 3 |
         go on | triggered second
         looks 9 |
         go on | trade first 103 x1, trade d 104 x1
         depth | bids -, asks -",
    );
}

#[test]
fn what_the_looks_do_not_do_for_is_refused_or_cut() {
    check(
        "sell a 101 x1 | accepted a
         sell b 101 x1 | accepted b
         sell c 102 x1 | accepted c
         buy r 90 x2 | accepted r
         buy q 89 x2 | accepted q
         looks 4 |
         buy w 102 x2 fok | too_many_looks
         looks 3 |
         buy t 102 x3 | accepted t, trade a 101 x1, cancelled t x2 looks_spent
         buy u 102 x1 ioc | too_many_looks
         buy v market x1 | too_many_looks
         amend q 102 x2 | too_many_looks
         amend q 88 x2 | replaced q 88 x2
         looks 3 |
         amend r 102 x2 | replaced r 102 x2, trade b 101 x1, cancelled r x1 looks_spent
         buy y 101 x1 | accepted y
         depth | bids 101x1/1 88x2/1, asks 102x1/1",
    );
}

#[test]
fn a_stop_counts_the_trade_that_touches_it_and_every_trade_of_a_sweep() {
    check(
        "sell a 101 x1 | accepted a
         sell b 103 x1 | accepted b
         sell low 100 x1 stop=101 | dormant low
         buy high 102 x1 stop=104 | dormant high
         buy t 103 x2 | accepted t, trade a 101 x1, trade b 103 x1, triggered low
         depth | bids -, asks 100x1/1
         buy late 99 x1 stop=103 | dormant late, triggered late
         depth | bids 99x1/1, asks 100x1/1
         amend high 102 x1 stop=103 | replaced high 102 x1, triggered high, trade low 100 x1
         depth | bids 99x1/1, asks -",
    );
}

#[test]
fn a_triggered_order_has_a_new_place_in_time() {
    check(
        "sell s 105 x1 stop=100 | dormant s
         sell a 105 x1 | accepted a
         buy b 100 x1 | accepted b
         sell t 100 x1 | accepted t, trade b 100 x1, triggered s
         buy u 105 x2 | accepted u, trade a 105 x1, trade s 105 x1",
    );
}

#[test]
fn prices_at_both_ends_of_the_range_trade() {
    check(
        "buy a 1 x5 | accepted a
         sell b 18446744073709551615 x5 | accepted b
         buy z 0 x5 | price_zero
         depth | bids 1x5/1, asks 18446744073709551615x5/1
         buy c 18446744073709551614 x1 | accepted c
         sell d 1 x2 | accepted d, trade c 18446744073709551614 x1, trade a 1 x1
         buy e 18446744073709551615 x6 | accepted e, trade b 18446744073709551615 x5
         sell f market x9 | accepted f, trade e 18446744073709551615 x1, trade a 1 x4, cancelled f x4 market_rest
         depth | bids -, asks -",
    );
}

#[test]
fn a_sweep_of_five_thousand_fills_meets_everybody_once() {
    let mut script = String::new();
    for number in 0..5_000 {
        let price = 1_000 + number % 50;
        script += &format!("sell o{number} {price} x3 | accepted o{number}\n");
    }
    let mut trades = Vec::new();
    for price in 0..50 {
        for number in (price..5_000).step_by(50) {
            trades.push(format!("trade o{number} {} x3", 1_000 + price));
        }
    }
    script += &format!("buy t 1049 x15001 | accepted t, {}\n", trades.join(", "));
    script += "depth | bids 1049x1/1, asks -";
    check(&script);
}

#[test]
fn orders_expire_in_the_order_of_time_and_number_before_anything_matches() {
    check(
        "time 10 | 0 ended
         buy a 100 x1 till=30 | accepted a
         buy b 101 x2 till=20 | accepted b
         buy c 99 x3 till=20 stop=120 | dormant c
         buy d 101 x4 till=31 | accepted d
         buy e 101 x1 till=10 | already_expired
         time 19 | 0 ended
         time 30 | cancelled b x2 expired, cancelled c x3 expired, cancelled a x1 expired, 3 ended
         sell t 100 x5 | accepted t, trade d 101 x4
         time 12 | 0 ended
         buy f 100 x1 till=30 | already_expired
         time 40 | 0 ended
         depth | bids -, asks 100x1/1",
    );
}

#[test]
fn a_session_close_ends_day_orders_and_no_others() {
    check(
        "buy a 100 x1 day | accepted a
         buy b 100 x2 | accepted b
         sell c 110 x3 day stop=90 | dormant c
         sell d 105 x4 till=9 | accepted d
         close | cancelled a x1 session_closed, cancelled c x3 session_closed, 2 ended
         close | 0 ended
         depth | bids 100x2/1, asks 105x4/1",
    );
}

#[test]
fn a_mass_cancel_reports_every_order_in_the_order_of_numbers() {
    check(
        "buy a 100 x1 by=7 | accepted a
         sell b 105 x2 by=7 | accepted b
         buy c 101 x3 by=8 | accepted c
         buy d 99 x4 by=7 stop=120 | dormant d
         amend a 98 x5 by=7 | replaced a 98 x5
         mass by=7 buy | cancelled a x5 mass_cancelled, cancelled d x4 mass_cancelled, 2 ended
         mass sell | cancelled b x2 mass_cancelled, 1 ended
         mass | cancelled c x3 mass_cancelled, 1 ended
         mass | 0 ended",
    );
}

#[test]
fn a_halt_and_cancel_only_stop_everything_but_the_ends_of_orders() {
    check(
        "buy a 100 x1 by=7 till=50 | accepted a
         buy b 100 x2 by=7 day | accepted b
         buy c 100 x3 by=7 | accepted c
         buy e 100 x4 by=8 | accepted e
         buy f 100 x5 by=9 | accepted f
         halt | set
         buy d 100 x1 | halted
         amend a 100 x1 by=7 | halted
         cancel a by=9 | order_unknown
         cancel e by=8 | cancelled e x4 requested
         mass by=9 | cancelled f x5 mass_cancelled, 1 ended
         time 50 | cancelled a x1 expired, 1 ended
         close | cancelled b x2 session_closed, 1 ended
         cancel-only | set
         buy d 100 x1 | cancel_only
         amend c 100 x1 by=7 | cancel_only
         cancel c by=7 | cancelled c x3 requested
         resume | set
         buy d 100 x1 | accepted d",
    );
}

#[test]
fn a_market_order_is_bounded_by_liquidity_protection_and_budget() {
    let rules = BookRules { protection_ticks: 3, ..BookRules::unlimited(CAPACITY) };
    check_with(
        rules,
        CAPACITY,
        "buy t market x5 | no_liquidity
         sell a 100 x2 | accepted a
         sell b 103 x2 | accepted b
         sell c 104 x2 | accepted c
         buy t market x5 | accepted t, trade a 100 x2, trade b 103 x2, cancelled t x1 market_rest
         depth | bids -, asks 104x2/1
         sell d 103 x2 | accepted d
         buy u market x5 budget=309 | accepted u, trade d 103 x2, cancelled u x3 budget_spent
         buy v market x2 fok budget=207 | accepted v, cancelled v x2 fill_or_kill
         buy v market x2 fok budget=208 | accepted v, trade c 104 x2
         buy w 100 x1 budget=1 | budget_not_allowed",
    );
}

#[test]
fn every_rule_of_the_instrument_has_a_reason_of_its_own() {
    let rules = BookRules {
        notional_max: 2_000,
        price_step_ticks: 5,
        price_min_ticks: 90,
        price_max_ticks: 110,
        quantity_step_lots: 2,
        quantity_max_lots: 40,
        protection_ticks: 20,
    };
    check_with(
        rules,
        CAPACITY,
        "buy a 100 x0 | quantity_zero
         buy a 100 x3 | quantity_off_lot
         buy a 100 x42 | quantity_exceeds_max
         buy a 101 x2 | price_off_tick
         buy a 85 x2 | price_out_of_band
         buy a 115 x2 | price_out_of_band
         buy a 110 x2 stop=101 | stop_price_off_tick
         buy a 110 x2 stop=115 | stop_price_out_of_band
         buy a 110 x20 | notional_exceeds_max
         buy a 100 x2 fok post | post_only_invalid
         buy a 100 x20 | accepted a
         amend a 105 x20 | notional_exceeds_max
         amend a 100 x19 | quantity_off_lot
         amend a 100 x20 stop=100 | stop_price_must_be_zero
         depth | bids 100x20/1, asks -",
    );
}

#[test]
fn a_full_book_refuses_what_might_rest_and_takes_what_cannot() {
    let capacity = BookCapacity { orders_max: 2, levels_max: 9 };
    check_with(
        BookRules::unlimited(capacity),
        capacity,
        "sell a 101 x1 | accepted a
         sell b 101 x1 | accepted b
         buy c 101 x2 | orders_full
         buy c 101 x1 ioc | accepted c, trade a 101 x1
         buy d 101 x2 | accepted d, trade b 101 x1
         depth | bids 101x1/1, asks -",
    );
}

#[test]
fn a_book_whose_levels_are_taken_refuses_new_prices_and_ends_what_cannot_rest() {
    let capacity = BookCapacity { orders_max: 20, levels_max: 3 };
    check_with(
        BookRules::unlimited(capacity),
        capacity,
        "buy a 100 x1 | accepted a
         sell s 108 x1 stop=100 | dormant s
         sell u 109 x1 stop=100 | dormant u
         sell b 105 x1 | accepted b
         sell c 106 x1 | levels_full
         sell c 105 x1 | accepted c
         amend c 106 x1 | levels_full
         cancel c | cancelled c x1 requested
         amend b 106 x1 | replaced b 106 x1
         buy d 100 x1 | accepted d
         sell t 100 x1 ioc | accepted t, trade a 100 x1, triggered s, triggered u, cancelled u x1 levels_at_maximum
         depth | bids 100x1/1, asks 106x1/1 108x1/1",
    );
}
