//! What an import counted, and how it is told.

use crate::error::CliError;
use crate::files::count_text;
use crate::market::{Market, describe};
use crate::money::wide_text;
use crate::names::Ledger;
use crate::output::{Output, Table};
use mizan_wire::TrialBalanceRow;
use mizan_wire::amount::format_amount;
use mizan_wire::trading::OrderResult;
use serde_json::{Value, json};

/// An execution for which the node chose another order than the market did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Disagreement {
    pub(super) line: u64,
    /// The order that the market chose.
    pub(super) order: u64,
    pub(super) size: u64,
    pub(super) price: u64,
    /// Orders before it in the queue, as the file shows it.
    pub(super) place: usize,
    /// The orders that the node chose, and how much of each.
    pub(super) chosen: Vec<(u64, u64)>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) messages: u64,
    pub(super) entries: u64,
    pub(super) reductions: u64,
    pub(super) deletions: u64,
    pub(super) executions: u64,
    /// Hidden executions, cross trades, halts.
    pub(super) others: u64,
    pub(super) agreed: u64,
    pub(super) disagreements: Vec<Disagreement>,
    /// Line and order of executions of orders that the file never entered.
    pub(super) before_window: Vec<(u64, u64)>,
    /// Lines of reductions and deletions of orders that the file never entered.
    pub(super) unknown: Vec<u64>,
    /// Line and order of orders that were taken out because the market had passed them.
    pub(super) stale: Vec<(u64, u64)>,
    /// Orders that were cancelled and entered again to mend a level.
    pub(super) entered_anew: u64,
    /// Line and status of what the node refused.
    pub(super) refused: Vec<(u64, u32)>,
    /// Lines that are no messages, or contradict earlier ones, and why.
    pub(super) bad: Vec<(u64, String)>,
    /// Lots that were traded.
    pub(super) lots: u128,
    /// Ticks times lots.
    pub(super) notional: u128,
    /// The result of the last event that was answered.
    pub(super) last_result: Option<OrderResult>,
}

/// What is known at the end, besides what was counted.
pub(super) struct Ending {
    /// Orders of the file that are open at its end.
    pub(super) open: usize,
    /// Whether the node's levels are those of the file.
    pub(super) is_same_book: bool,
    /// Orders that were cancelled at the end.
    pub(super) cancelled: u64,
    pub(super) trial_balance: Vec<TrialBalanceRow>,
    /// What the fee account got.
    pub(super) fees: String,
    pub(super) output_hash: String,
    pub(super) seconds: f64,
}

impl Ending {
    fn is_balanced(&self) -> bool {
        self.trial_balance.iter().all(TrialBalanceRow::is_balanced)
    }
}

impl Tally {
    /// Whether everything was read, accepted, and balances. That the node chose another order is no fault.
    pub(super) fn is_good(&self, ending: &Ending) -> bool {
        self.bad.is_empty()
            && self.refused.is_empty()
            && ending.is_same_book
            && ending.is_balanced()
    }

    pub(super) fn show(
        &self,
        output: &mut Output,
        market: &Market,
        ending: &Ending,
    ) -> Result<(), CliError> {
        self.tell_disagreements(output, market)?;
        let quote = &market.quote.currency;
        let mut table = Table::new(&["imported", "count"], 1);
        let count = |number: usize| count_text(number as u64);
        for (name, value) in [
            ("messages", count_text(self.messages)),
            ("  orders entered", count_text(self.entries)),
            ("  reductions", count_text(self.reductions)),
            ("  deletions", count_text(self.deletions)),
            ("  executions", count_text(self.executions)),
            ("    of the order that the market chose", count_text(self.agreed)),
            ("    of another order", count(self.disagreements.len())),
            ("    of orders from before the file, not sent", count(self.before_window.len())),
            ("  hidden executions and others, not sent", count_text(self.others)),
            ("reductions and deletions of unknown orders", count(self.unknown.len())),
            ("orders taken out that the market had passed", count(self.stale.len())),
            ("orders entered again to mend a level", count_text(self.entered_anew)),
            ("refused by the node", count(self.refused.len())),
            ("bad lines", count(self.bad.len())),
            ("open at the end, then cancelled", count(ending.open)),
        ] {
            table.row([name.to_owned(), value]);
        }
        output.table(&table)?;
        output.line("")?;
        output.line(format!(
            "traded {} {} for {} {quote}; fees {} {quote}",
            format_amount(self.lots, market.base.scale),
            market.base.currency,
            market.money(self.notional),
            ending.fees,
        ))?;
        for row in &ending.trial_balance {
            let (sum, currency) = (|sum| wide_text(sum, row.scale), currency(market, row));
            output.line(format!(
                "trial balance of {currency}: debits {}, credits {}, held {} ({})",
                sum(row.debits_posted),
                sum(row.credits_posted),
                sum(row.debits_pending),
                if row.is_balanced() { "balanced" } else { "NOT BALANCED" },
            ))?;
        }
        let same = if ending.is_same_book {
            "level by level as in the file"
        } else {
            "NOT as in the file"
        };
        output.line(format!("book at the end: {same}"))?;
        output.line(format!("output hash {}", ending.output_hash))
    }

    fn tell_disagreements(&self, output: &mut Output, market: &Market) -> Result<(), CliError> {
        for one in &self.disagreements {
            let chosen: Vec<String> =
                one.chosen.iter().map(|(order, size)| format!("{size} of {order}")).collect();
            output.note(format!(
                "line {}: the market chose {} of order {} at {}, with {} before it; the node {}",
                one.line,
                one.size,
                one.order,
                market.price(one.price),
                one.place,
                if chosen.is_empty() { "found none".to_owned() } else { chosen.join(", ") },
            ))?;
        }
        for (line, order) in &self.before_window {
            output.note(format!("line {line}: order {order} is from before the file"))?;
        }
        for (line, order) in &self.stale {
            output.note(format!(
                "line {line}: order {order} was taken out, the market had passed it"
            ))?;
        }
        for (line, reason) in &self.bad {
            output.note(format!("line {line}: {reason}"))?;
        }
        for (line, status) in &self.refused {
            let (name, meaning) = describe(*status);
            output.note(format!("line {line}: refused: {name} ({status}): {meaning}"))?;
        }
        Ok(())
    }

    pub(super) fn json(&self, market: &Market, ending: &Ending) -> Value {
        let order = |(line, order): &(u64, u64)| json!({ "line": line, "order": order });
        let disagreement = |one: &Disagreement| {
            let chosen = |(order, size): &(u64, u64)| json!({ "order": order, "size": size });
            json!({
                "line": one.line,
                "order": one.order,
                "size": one.size,
                "price": market.price(one.price),
                "place": one.place,
                "chosen": one.chosen.iter().map(chosen).collect::<Vec<Value>>(),
            })
        };
        json!({
            "messages": self.messages,
            "entered": self.entries,
            "reductions": self.reductions,
            "deletions": self.deletions,
            "executions": self.executions,
            "agreed": self.agreed,
            "disagreements": self.disagreements.iter().map(disagreement).collect::<Vec<Value>>(),
            "before_file": self.before_window.iter().map(order).collect::<Vec<Value>>(),
            "others": self.others,
            "unknown": self.unknown,
            "passed": self.stale.iter().map(order).collect::<Vec<Value>>(),
            "entered_again": self.entered_anew,
            "refused": self.refused.iter().map(|(line, status)| {
                json!({ "line": line, "status": describe(*status).0, "status_number": status })
            }).collect::<Vec<Value>>(),
            "bad": self.bad.iter().map(|(line, reason)| {
                json!({ "line": line, "reason": reason })
            }).collect::<Vec<Value>>(),
            "open_at_end": ending.open,
            "cancelled_at_end": ending.cancelled,
            "same_book": ending.is_same_book,
            "traded": format_amount(self.lots, market.base.scale),
            "money": market.money(self.notional),
            "fees": ending.fees,
            "trial_balance": ending.trial_balance.iter().map(|row| json!({
                "currency": currency(market, row),
                "balanced": row.is_balanced(),
                "debits_posted": wide_text(row.debits_posted, row.scale),
                "credits_posted": wide_text(row.credits_posted, row.scale),
                "held": wide_text(row.debits_pending, row.scale),
            })).collect::<Vec<Value>>(),
            "balanced": ending.is_balanced(),
            "output_hash": ending.output_hash,
            "duration_s": ending.seconds,
        })
    }
}

fn currency<'a>(market: &'a Market, row: &TrialBalanceRow) -> &'a str {
    let of = |ledger: &Ledger| ledger.number == row.ledger;
    if of(&market.base) { &market.base.currency } else { &market.quote.currency }
}
