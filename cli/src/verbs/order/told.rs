//! What became of a command about an order: the words for people, the value for scripts, and the exit code.

use super::Trader;
use crate::Context;
use crate::balance::Balance;
use crate::error::CliError;
use crate::exit;
use crate::market::{Market, describe};
use crate::names::id_text;
use crate::output::Table;
use crate::units::timestamp_text;
use mizan_client::Client;
use mizan_wire::orders::{CancelReason, OrderReject, Side};
use mizan_wire::trading::{OrderResult, OrderState, OrderStatus};
use mizan_wire::{Account, CREATED, Status};
use serde_json::{Value, json};

/// What a status means to the person.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Done now.
    Done,
    /// Done before, with the same content.
    Duplicate,
    /// The id was used before, with other terms.
    Different,
    /// Not done.
    Refused,
}

impl Verdict {
    pub(super) const fn of(status: u32) -> Self {
        const EXISTS: u32 = OrderStatus::Exists as u32;
        const DIFFERENT: u32 = OrderStatus::ExistsWithDifferentTerms as u32;
        match status {
            CREATED => Self::Done,
            EXISTS => Self::Duplicate,
            DIFFERENT => Self::Different,
            _ => Self::Refused,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Duplicate => "duplicate",
            Self::Different => "duplicate_different",
            Self::Refused => "refused",
        }
    }

    /// A refusal for want of room has a code of its own.
    pub(super) const fn exit_code(self, status: u32) -> u8 {
        match self {
            Self::Done | Self::Duplicate => exit::OK,
            Self::Different => exit::PROBLEM,
            Self::Refused => exit::of_refusal(status),
        }
    }
}

/// The word for an order's state.
pub(crate) fn state_name(number: u8) -> &'static str {
    [
        (OrderState::Open, "open"),
        (OrderState::Dormant, "waiting"),
        (OrderState::Filled, "filled"),
        (OrderState::Cancelled, "cancelled"),
    ]
    .into_iter()
    .find(|(state, _)| *state as u8 == number)
    .map_or("none", |(_, name)| name)
}

/// The word for why an order ended; `None` if it did not, or was filled.
pub(crate) fn reason_name(number: u16) -> Option<&'static str> {
    CancelReason::from_number(number.into()).map(Status::name)
}

/// A command about one order, and what the node said.
pub(super) struct Told<'a> {
    pub(super) market: &'a Market,
    pub(super) trader: &'a Trader,
    pub(super) result: OrderResult,
    /// What was asked for: `buy 10 ACME at 190.00 USD`.
    pub(super) asked: String,
    /// What the person asked for, for scripts.
    pub(super) terms: Value,
    pub(super) client_order_id: Option<u128>,
    /// The text that the person gave for it, if it was a name.
    pub(super) client_order_name: Option<String>,
    /// Which side it is on, if that is known.
    pub(super) side: Option<Side>,
    /// What it would reserve, and how to bound that, if the person did not say so.
    pub(super) reserves: Option<String>,
    /// Why it is refused in advance, so that nothing was sent.
    pub(super) in_advance: Option<String>,
}

impl Told<'_> {
    /// Shows it; gives the exit code.
    pub(super) fn show(&self, context: &mut Context, client: &mut Client) -> Result<u8, CliError> {
        let accounts = self.accounts(client)?;
        let verdict = Verdict::of(self.result.status);
        let meaning = match &self.in_advance {
            Some(text) => format!("{text}; nothing was sent"),
            None => self.meaning(accounts),
        };
        let output = &mut context.output;
        if output.is_json() {
            if verdict.exit_code(self.result.status) != exit::OK {
                output.note(&meaning)?;
            }
            output.json(&self.json(verdict, &meaning, accounts))?;
            return Ok(verdict.exit_code(self.result.status));
        }
        let (name, _) = describe(self.result.status);
        match verdict {
            Verdict::Done => output.line(format!("{}: {}", self.asked, self.state_text()))?,
            Verdict::Duplicate => {
                output.line("duplicate: original order")?;
                output.line(format!("{}: {}", self.asked, self.state_text()))?;
            }
            Verdict::Different => {
                output.line(format!("duplicate_different ({})", self.result.status))?;
                output.note(&meaning)?;
            }
            Verdict::Refused => {
                output.line(format!("refused: {name} ({})", self.result.status))?;
                output.note(&meaning)?;
            }
        }
        if let Some(text) = self.name_text() {
            output.line(text)?;
        }
        output.table(&self.balances(accounts))?;
        Ok(verdict.exit_code(self.result.status))
    }

    fn name_text(&self) -> Option<String> {
        let number =
            (self.result.order_number != 0).then(|| format!("order #{}", self.result.order_number));
        let id = self.client_order_id.map(|id| match &self.client_order_name {
            Some(name) => format!("client order id {name} ({})", id_text(id)),
            None => format!("client order id {}", id_text(id)),
        });
        let parts: Vec<String> = number.into_iter().chain(id).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// `open`, `filled at 189.94 USD on average`, `cancelled (immediate_rest), 3 ACME filled at ...`.
    fn state_text(&self) -> String {
        let (market, result) = (self.market, &self.result);
        let state = state_name(result.state);
        let reason = reason_name(result.reason).map_or(String::new(), |name| format!(" ({name})"));
        let average = market.average(result.notional, result.filled);
        let fills = average.map_or(String::new(), |average| {
            let currency = &market.quote.currency;
            let filled = market.quantity_with_unit(result.filled);
            if result.state == OrderState::Filled as u8 {
                format!(" at {average} {currency} on average")
            } else {
                format!(", {filled} filled at {average} {currency} on average")
            }
        });
        format!("{state}{reason}{fills}")
    }

    /// What the status means in this case.
    fn meaning(&self, accounts: [Option<Account>; 2]) -> String {
        let market = self.market;
        let rules = &market.record;
        let (_, meaning) = describe(self.result.status);
        let more = match OrderStatus::from_number(self.result.status) {
            Some(OrderStatus::InsufficientFunds) => {
                let parts = [Some(self.available(accounts)), self.reserves.clone()];
                parts
                    .into_iter()
                    .flatten()
                    .filter(|part| !part.is_empty())
                    .collect::<Vec<_>>()
                    .join(" ")
            }
            _ => match OrderReject::from_number(self.result.status) {
                Some(OrderReject::PriceOutOfBand | OrderReject::StopPriceOutOfBand) => format!(
                    "Prices of {} lie between {} and {}.",
                    market.name(),
                    market.price(rules.price_min_ticks),
                    market.price_with_unit(rules.price_max_ticks)
                ),
                Some(OrderReject::PriceOffTick | OrderReject::StopPriceOffTick) => {
                    format!("The step is {}.", market.price_with_unit(rules.price_step_ticks))
                }
                Some(OrderReject::QuantityOffLot) => {
                    format!("The step is {}.", market.quantity_with_unit(rules.quantity_step_lots))
                }
                Some(OrderReject::QuantityExceedsMax) => {
                    let max = market.quantity_with_unit(rules.quantity_max_lots);
                    format!("The maximum is {max}.")
                }
                Some(OrderReject::NotionalExceedsMax) => {
                    let (max, currency) =
                        (market.money(rules.notional_max), &market.quote.currency);
                    format!("The maximum is {max} {currency}.")
                }
                _ => String::new(),
            },
        };
        if more.is_empty() { meaning.to_owned() } else { format!("{meaning} {more}") }
    }

    /// What the account has that pays: money for a buy, base for a sell.
    fn available(&self, accounts: [Option<Account>; 2]) -> String {
        let (market, trader) = (self.market, self.trader);
        let (name, ledger, account) = match self.side {
            Some(Side::Buy) => (&trader.name, &market.quote, accounts[0]),
            Some(Side::Sell) => (&trader.base_name, &market.base, accounts[1]),
            None => return String::new(),
        };
        account.map_or(String::new(), |account| {
            let available = Balance::of(&account).available.text(ledger.scale);
            format!("{name} has {available} {} available.", ledger.currency)
        })
    }

    fn accounts(&self, client: &mut Client) -> Result<[Option<Account>; 2], CliError> {
        let ids = [self.trader.quote_id, self.trader.base_id];
        let found = client.lookup_accounts(&ids)?;
        Ok(ids.map(|id| found.iter().find(|account| account.id == id).copied()))
    }

    fn balances(&self, accounts: [Option<Account>; 2]) -> Table {
        let headings = ["account", "currency", "posted", "held", "incoming", "available"];
        let mut table = Table::new(&headings, 2);
        let names = [&self.trader.name, &self.trader.base_name];
        let ledgers = [&self.market.quote, &self.market.base];
        for ((name, ledger), account) in std::iter::zip(std::iter::zip(names, ledgers), accounts) {
            // The base account of an order that was not found is not known.
            if account.is_none() && self.client_order_id.is_none() {
                continue;
            }
            let mut cells = vec![name.clone(), ledger.currency.clone()];
            cells.extend(account.iter().flat_map(|account| Balance::of(account).cells(ledger)));
            table.row(cells);
        }
        table
    }

    fn json(&self, verdict: Verdict, meaning: &str, accounts: [Option<Account>; 2]) -> Value {
        let (market, result) = (self.market, &self.result);
        let (name, _) = describe(result.status);
        let balance = |account: Option<Account>, scale| {
            account.map_or(Value::Null, |account| Balance::of(&account).json(scale))
        };
        let timestamp = (result.timestamp != 0).then_some(result.timestamp);
        let mut value = json!({
            "outcome": verdict.word(),
            "status": name,
            "status_number": result.status,
            "instrument": market.name(),
            "asked": self.terms,
            "order_number": result.order_number,
            "client_order_id": self.client_order_id.map(id_text),
            "client_order_name": self.client_order_name,
            "state": state_name(result.state),
            "reason": reason_name(result.reason),
            "filled": market.quantity(result.filled),
            "open": market.quantity(result.open),
            "traded": market.money(result.notional),
            "average_price": market.average(result.notional, result.filled),
            "timestamp": timestamp.map(timestamp_text),
            "timestamp_ns": timestamp.map(|ns| ns.to_string()),
            "accounts": [
                { "name": self.trader.name, "currency": market.quote.currency, "balance": balance(accounts[0], market.quote.scale) },
                { "name": self.trader.base_name, "currency": market.base.currency, "balance": balance(accounts[1], market.base.scale) },
            ],
        });
        let code = verdict.exit_code(self.result.status);
        if code != exit::OK {
            value["error"] = json!({ "code": code, "name": name, "message": meaning });
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_done_or_was_done_before_ends_in_success() {
        assert_eq!(Verdict::of(CREATED), Verdict::Done);
        for status in OrderStatus::PRECEDENCE {
            let is_success = Verdict::of(status.number()).exit_code(status.number()) == exit::OK;
            let expected = matches!(status, OrderStatus::Created | OrderStatus::Exists);
            assert_eq!(is_success, expected, "{}", status.name());
        }
        assert_eq!(Verdict::of(OrderReject::Halted.number()), Verdict::Refused);
        assert_eq!(Verdict::of(77_777), Verdict::Refused);
    }

    #[test]
    fn states_and_reasons_have_words() {
        assert_eq!(state_name(OrderState::Dormant as u8), "waiting");
        assert_eq!(state_name(0), "none");
        assert_eq!(reason_name(CancelReason::ImmediateRest as u16), Some("immediate_rest"));
        assert_eq!(reason_name(0), None);
    }
}
