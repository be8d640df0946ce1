//! Cases as text: a line is a command, a bar, and the reports that it gives.
//!
//! ```text
//! sell a 101 x5 | accepted a
//! buy b 103 x7 ioc | accepted b, trade a 101 x5, cancelled b x2 immediate_rest
//! depth | bids -, asks -
//! ```
//! Orders: `buy NAME PRICE xLOTS`, `market` instead of a price for none; then any of `by=OWNER` (its own otherwise),
//! `day`, `till=TIME`, `ioc`, `fok`, `post`, `stop=PRICE`, `budget=SUM`, `oldest`, `both`, `decrement`, `allow`
//! (`newest` otherwise). Others: `amend NAME PRICE xLOTS`, `cancel NAME`, `mass [by=OWNER] [buy|sell]`, `halt`,
//! `cancel-only`, `resume`, `close`, `time TIME`, `depth`, `looks COUNT` for all that follow, and `go on` with what waits.
//! Names that were used for another order before are free.

use crate::books_cases::pair::{Coverage, Pair};
use mizan_wire::Status;
use mizan_wire::orders::{
    AmendOrder, BookCapacity, BookCommand, BookRules, CancelOrder, MassCancel, NewOrder,
    OrderHandle, OrderKind, OrderReport, ReportKind, SLOT_NONE, SelfTrade, Side, TimeInForce,
    TradingState,
};
use std::collections::BTreeMap;

/// Runs a script on a wide book without limits.
pub(crate) fn check(script: &str) {
    let capacity = BookCapacity { orders_max: 10_000, levels_max: 10_000 };
    check_with(BookRules::unlimited(capacity), capacity, script);
}

/// Runs a script.
pub(crate) fn check_with(rules: BookRules, capacity: BookCapacity, script: &str) {
    let mut stage = Stage { pair: Pair::new(rules, capacity), names: BTreeMap::new(), owner: 100 };
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (command, expected) = line.split_once('|').expect("a bar ends the command");
        assert_eq!(stage.run(command.trim()), expected.trim(), "in `{line}`");
    }
}

struct Stage {
    pair: Pair,
    /// Name to handle.
    names: BTreeMap<String, OrderHandle>,
    owner: u32,
}

impl Stage {
    fn run(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words == ["depth"] {
            self.pair.compare_state().unwrap_or_else(|error| panic!("at `depth`: {error}"));
            return format!("bids {}, asks {}", self.depth(Side::Buy), self.depth(Side::Sell));
        }
        if words[0] == "looks" {
            self.pair.bound_looks(words[1].parse().expect("a count"));
            return String::new();
        }
        if words == ["go", "on"] {
            let reports = self.pair.run_waiting(&mut Coverage::default());
            let reports = reports.unwrap_or_else(|error| panic!("{error}")).to_vec();
            self.pair.compare_state().unwrap_or_else(|error| panic!("after going on: {error}"));
            let shown: Vec<String> = reports.iter().map(|report| self.show(report)).collect();
            return shown.join(", ");
        }
        let command = self.command(&words);
        let is_new = matches!(command, BookCommand::Submit(_));
        let reports = self.pair.apply(&command, &mut Coverage::default());
        let reports = reports.unwrap_or_else(|error| panic!("in `{line}`: {error}")).to_vec();
        // In a long script every queue is compared only now and then.
        if self.pair.book.order_count() < 300 || self.pair.handles.len().is_multiple_of(500) {
            self.pair.compare_state().unwrap_or_else(|error| panic!("after `{line}`: {error}"));
        }
        if is_new && !reports[0].is(ReportKind::Rejected) {
            let OrderReport { number, slot, .. } = reports[0];
            self.names.insert(words[1].to_owned(), OrderHandle { number, slot });
        }
        let shown: Vec<String> = reports.iter().map(|report| self.show(report)).collect();
        shown.join(", ")
    }

    fn depth(&self, side: Side) -> String {
        let level = |level: mizan_engine::books::DepthLevel| {
            format!("{}x{}/{}", level.price, level.quantity, level.order_count)
        };
        let levels: Vec<String> = self.pair.book.depth(side).map(level).collect();
        if levels.is_empty() { "-".to_owned() } else { levels.join(" ") }
    }

    fn command(&mut self, words: &[&str]) -> BookCommand {
        let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("`{text}`"));
        let option = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)).map(number);
        let owner = option("by=").map(|owner| owner as u32);
        match words[0] {
            "buy" | "sell" => self.new_order(words, owner, option),
            "amend" => {
                let handle = self.names[words[1]];
                let known = self.pair.book.order(handle);
                BookCommand::Amend(AmendOrder {
                    handle,
                    owner: owner.or(known.map(|order| order.owner)).unwrap_or(0),
                    price: if words[2] == "market" { 0 } else { number(words[2]) },
                    stop_price: option("stop=").unwrap_or(0),
                    quantity: option("x").expect("lots are given"),
                })
            }
            "cancel" => {
                let handle = self.names[words[1]];
                let known = self.pair.book.order(handle).map(|order| order.owner);
                BookCommand::Cancel(CancelOrder { handle, owner: owner.or(known).unwrap_or(0) })
            }
            "mass" => {
                let side = match words.last() {
                    Some(&"buy") => Some(Side::Buy),
                    Some(&"sell") => Some(Side::Sell),
                    _ => None,
                };
                BookCommand::MassCancel(MassCancel { owner, side })
            }
            "halt" => BookCommand::SetTradingState(TradingState::Halted),
            "cancel-only" => BookCommand::SetTradingState(TradingState::CancelOnly),
            "resume" => BookCommand::SetTradingState(TradingState::Open),
            "close" => BookCommand::CloseSession,
            "time" => BookCommand::AdvanceTime(number(words[1])),
            other => panic!("`{other}` is no command"),
        }
    }

    fn new_order(
        &mut self,
        words: &[&str],
        owner: Option<u32>,
        option: impl Fn(&str) -> Option<u64>,
    ) -> BookCommand {
        self.owner += 1;
        let (is_market, has_stop) = (words[2] == "market", option("stop=").is_some());
        let kind = match (is_market, has_stop) {
            (false, false) => OrderKind::Limit,
            (true, false) => OrderKind::Market,
            (true, true) => OrderKind::Stop,
            (false, true) => OrderKind::StopLimit,
        };
        let has = |word: &str| words.contains(&word);
        let time_in_force = match () {
            () if has("day") => TimeInForce::Day,
            () if has("fok") => TimeInForce::FillOrKill,
            () if has("ioc") => TimeInForce::ImmediateOrCancel,
            () if option("till=").is_some() => TimeInForce::GoodTillDate,
            () if kind == OrderKind::Market => TimeInForce::ImmediateOrCancel,
            () => TimeInForce::GoodTillCancelled,
        };
        let self_trade = match () {
            () if has("allow") => SelfTrade::Allow,
            () if has("oldest") => SelfTrade::CancelOldest,
            () if has("both") => SelfTrade::CancelBoth,
            () if has("decrement") => SelfTrade::DecrementAndCancel,
            () => SelfTrade::CancelNewest,
        };
        BookCommand::Submit(NewOrder {
            budget: option("budget=").unwrap_or(0).into(),
            price: if is_market { 0 } else { words[2].parse().expect("a price") },
            stop_price: option("stop=").unwrap_or(0),
            quantity: option("x").expect("lots are given"),
            expires_ns: option("till=").unwrap_or(0),
            owner: owner.unwrap_or(self.owner),
            tag: 0,
            side: if words[0] == "buy" { Side::Buy } else { Side::Sell },
            kind,
            time_in_force,
            self_trade,
            is_post_only: has("post"),
        })
    }

    fn show(&self, report: &OrderReport) -> String {
        let named = self.names.iter().find(|(_, handle)| handle.number == report.number);
        let name = named.map_or("?", |(name, _)| name.as_str());
        let OrderReport { price, quantity, .. } = report;
        let reason = report.cancel_reason().map_or("", Status::name);
        let is = |kind| report.is(kind);
        match () {
            () if is(ReportKind::Accepted) => format!("accepted {name}"),
            () if is(ReportKind::Dormant) => format!("dormant {name}"),
            () if is(ReportKind::Rejected) => {
                assert_eq!(report.slot, SLOT_NONE);
                report.reject().expect("a reject has a reason").name().to_owned()
            }
            () if is(ReportKind::Trade) => format!("trade {name} {price} x{quantity}"),
            () if is(ReportKind::Cancelled) => format!("cancelled {name} x{quantity} {reason}"),
            () if is(ReportKind::Reduced) => format!("reduced {name} x{quantity} {reason}"),
            () if is(ReportKind::Replaced) => format!("replaced {name} {price} x{quantity}"),
            () if is(ReportKind::Triggered) => format!("triggered {name}"),
            () if is(ReportKind::TradingStateSet) => "set".to_owned(),
            () => format!("{quantity} ended"),
        }
    }
}
