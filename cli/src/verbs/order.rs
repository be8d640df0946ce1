//! `mizan order`: enters, amends, cancels and lists orders.
//!
//! Invariants: what people type is turned into ticks and lots exactly, or refused by the status that the node would
//! give; a refusal is exit code 1, with the status's name and number; the same order again is a success.
//!
//! What is absent: any check that the node makes. What it refuses is explained, not foreseen.

mod change;

pub(crate) use change::cancel_orders_of;
mod enter;
mod list;
mod told;

pub use change::{run_amend, run_cancel};
pub use enter::run_enter;
pub(crate) use list::no_account;
pub use list::run_list;
pub(crate) use told::{reason_name, state_name};

use crate::error::CliError;
use crate::market::Market;
use crate::names;

/// The accounts of an order, as typed and as understood.
pub(crate) struct Trader {
    pub(crate) name: String,
    pub(crate) base_name: String,
    pub(crate) quote_id: u128,
    pub(crate) base_id: u128,
}

impl Trader {
    /// The accounts of this name in both ledgers of the market, or of another one in the base ledger.
    ///
    /// # Errors
    /// A name is none, or a number that cannot be an account of both ledgers.
    pub(crate) fn read(market: &Market, name: &str, base: Option<&str>) -> Result<Self, CliError> {
        if names::is_number(name) && base.is_none() {
            return Err(CliError::Usage(format!(
                "account {name} is a number, which can belong to one ledger only: give the account in {} with --base-account",
                market.base.currency
            )));
        }
        let base_name = base.unwrap_or(name);
        Ok(Self {
            name: name.to_owned(),
            base_name: base_name.to_owned(),
            quote_id: names::account_id(market.quote.number, name)?,
            base_id: names::account_id(market.base.number, base_name)?,
        })
    }
}

/// The price among the words behind a quantity: `@ 190.00`, `@190.00` or `190.00`.
///
/// # Errors
/// The words are something else.
pub(crate) fn price_word(words: &[String]) -> Result<Option<&str>, CliError> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let price = match words.as_slice() {
        [] => return Ok(None),
        ["@", price] => price,
        [price] => price.strip_prefix('@').unwrap_or(price),
        other => {
            let text = other.join(" ");
            return Err(CliError::Usage(format!("`{text}` is no price: write @ 190.00")));
        }
    };
    if price.is_empty() {
        return Err(CliError::Usage("no price behind the @: write @ 190.00".to_owned()));
    }
    Ok(Some(price))
}

/// The text itself if it is a name, neither a number nor that of an order.
pub(crate) fn as_name(text: &str) -> Option<String> {
    let is_name = !text.starts_with('#') && !text.starts_with("0x");
    is_name.then(|| text.to_owned())
}

/// How an order is named.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OrderName {
    /// `#` and its number.
    Number(u64),
    /// Its client order id.
    ClientId(u128),
}

impl OrderName {
    /// Reads `#12`, a number in hex after `0x`, or any text.
    ///
    /// # Errors
    /// Neither.
    pub(crate) fn read(text: &str) -> Result<Self, CliError> {
        let Some(number) = text.strip_prefix('#') else {
            return names::transfer_id(text).map(Self::ClientId);
        };
        let number = number.parse::<u64>().ok().filter(|number| *number != 0);
        number.map(Self::Number).ok_or_else(|| {
            CliError::Usage(format!("`{text}` is no order's number: they begin with #1"))
        })
    }

    /// Client id and number, one of which is 0.
    pub(crate) const fn parts(self) -> (u128, u64) {
        match self {
            Self::Number(number) => (0, number),
            Self::ClientId(id) => (id, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_stands_behind_an_at_sign_that_may_be_left_away() {
        let word = |text: &str| {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            price_word(&words).map(|price| price.map(str::to_owned))
        };
        for text in ["@ 190.00", "@190.00", "190.00"] {
            assert_eq!(word(text).expect("a price").as_deref(), Some("190.00"), "{text}");
        }
        assert_eq!(word("").expect("none"), None);
        for text in ["@", "190 191", "at 190"] {
            assert!(word(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_order_is_named_by_its_number_or_by_its_client_id() {
        assert_eq!(OrderName::read("#12").expect("a number"), OrderName::Number(12));
        assert_eq!(OrderName::read("0xc").expect("an id"), OrderName::ClientId(12));
        let id = mizan_client::names::transfer_id("first").expect("a name");
        assert_eq!(OrderName::read("first").expect("a text"), OrderName::ClientId(id));
        for text in ["#", "#0", "#x", ""] {
            assert!(OrderName::read(text).is_err(), "{text}");
        }
    }
}
