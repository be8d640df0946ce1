//! From what people type to ids, and from a currency to its ledger.
//!
//! * An account is a number (decimal without leading zeros, or hex after `0x`), which is its id, or else a name, whose id
//!   is the documented hash of [`mizan_client::names`]. `name:TEXT` is always a name, also if TEXT looks like a number.
//! * The id of a transfer or order is a number only in hex after `0x`, as ids are shown. Anything else is hashed as text,
//!   digits too: so a file's `7` and a typed `7` are one payment, and `7`, `007` and `0x7` are three.
//! * A currency is `USD`, which must be that of exactly one registered ledger; `USD:LEDGER`, if several have it; or
//!   the number of a ledger, registered or not. An unregistered ledger has no decimal places.
//!
//! Names are compared in their normal form ([`mizan_client::names`]): `Alice` is not `alice`, and what nobody can see is
//! refused.

use crate::error::CliError;
use crate::exit;
use mizan_client::names::NameError;
use mizan_wire::{CreateLedger, read_name};

/// A ledger as amounts need it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ledger {
    /// The ledger's number.
    pub number: u32,
    /// Decimal places.
    pub scale: u8,
    /// The registered currency, else the number as text.
    pub currency: String,
    /// Whether the registry knows it.
    pub is_registered: bool,
}

impl Ledger {
    /// A ledger that the registry does not know.
    #[must_use]
    pub fn unregistered(number: u32) -> Self {
        Self { number, scale: 0, currency: format!("ledger {number}"), is_registered: false }
    }

    /// An amount of this ledger with its currency.
    #[must_use]
    pub fn amount_text(&self, amount: u128) -> String {
        format!("{} {}", mizan_wire::amount::format_amount(amount, self.scale), self.currency)
    }

    /// The ledger of an account or transfer, by its number.
    #[must_use]
    pub fn of_number(ledgers: &[CreateLedger], number: u32) -> Self {
        let registered = ledgers.iter().find(|ledger| ledger.ledger == number);
        registered.map_or_else(|| Self::unregistered(number), Self::from)
    }
}

impl From<&CreateLedger> for Ledger {
    fn from(record: &CreateLedger) -> Self {
        let currency = read_name(&record.currency).unwrap_or("?").to_owned();
        Self { number: record.ledger, scale: record.scale, currency, is_registered: true }
    }
}

/// A number as ids are typed: decimal, or hex after `0x`; `_` may separate digits. `None` if it is none.
#[must_use]
pub fn parse_number(text: &str) -> Option<u128> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = hex.map_or((text, 10), |digits| (digits, 16));
    // `from_str_radix` would accept a sign.
    let is_number = digits.starts_with(|letter: char| letter.is_digit(radix))
        && digits.chars().all(|letter| letter.is_digit(radix) || letter == '_');
    if !is_number {
        return None;
    }
    u128::from_str_radix(&digits.replace('_', ""), radix).ok()
}

/// A number as an account is typed: plain decimal, or hex after `0x`. No sign, `_` or zero may be left away or added.
fn parse_id(text: &str) -> Option<u128> {
    let is_hex = text.starts_with("0x");
    let is_plain = !text.contains('_') && (is_hex || text == "0" || !text.starts_with('0'));
    parse_number(text).filter(|_| is_plain)
}

/// The id of an account that someone typed.
///
/// # Errors
/// The text is empty, or looks like a number and is none.
pub fn account_id(ledger: u32, text: &str) -> Result<u128, CliError> {
    id_of("account", text, parse_id, |name| mizan_client::names::account_id(ledger, name))
}

/// The id of a transfer that someone typed.
///
/// # Errors
/// The text is empty, or begins with `0x` and is no number.
pub fn transfer_id(text: &str) -> Result<u128, CliError> {
    let in_hex = |text: &str| parse_id(text).filter(|_| text.starts_with("0x"));
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let named = if is_digits { format!("name:{text}") } else { text.to_owned() };
    id_of("transfer id", &named, in_hex, mizan_client::names::transfer_id)
}

/// The id that earlier releases gave an account's name, which they hashed as it is; `None` if it is the same.
pub(crate) fn earlier_account_id(ledger: u32, name: &str) -> Option<u128> {
    let normal = mizan_client::names::normal_form(name).ok()?;
    let is_same = *normal == *name;
    (!is_same).then(|| mizan_client::names::account_id_as_written(ledger, name))
}

/// An account that an earlier release made under another id of the same name.
pub(crate) fn earlier_account(place: &str, name: &str, id: u128) -> CliError {
    let (name, id) = (name.escape_debug(), id_text(id));
    CliError::failed(
        exit::STATE,
        format!(
            "{place}an earlier release made the account {name} as {id}, because its letters were composed otherwise; the same name means another account now: write {id} for it, or move its money first"
        ),
    )
}

/// The id of an account that Mizan itself named.
pub(crate) fn own_account_id(ledger: u32, name: &str) -> u128 {
    mizan_client::names::account_id(ledger, name).expect("invariant: letters that everybody sees")
}

/// The id of a transfer that Mizan itself named.
pub(crate) fn own_transfer_id(text: &str) -> u128 {
    mizan_client::names::transfer_id(text).expect("invariant: letters that everybody sees")
}

fn id_of(
    what: &str,
    text: &str,
    number: impl Fn(&str) -> Option<u128>,
    hash: impl Fn(&str) -> Result<u128, NameError>,
) -> Result<u128, CliError> {
    let hash = |name: &str| {
        hash(name)
            .map_err(|error| CliError::Usage(format!("{what} `{}`: {error}", name.escape_debug())))
    };
    if let Some(name) = text.strip_prefix("name:") {
        return if name.is_empty() {
            Err(CliError::Usage(format!("{what} `{text}` has no name after `name:`")))
        } else {
            hash(name)
        };
    }
    if let Some(number) = number(text) {
        return Ok(number);
    }
    let looks_like_a_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if looks_like_a_number || text.starts_with("0x") || text.starts_with("0X") {
        return Err(CliError::Usage(format!(
            "{what} `{text}` looks like a number but is not one below 2^128 without leading zeros; write `name:{text}` if it is a name"
        )));
    }
    if text.trim().is_empty() {
        return Err(CliError::Usage(format!("{what} is empty: give a name or a number")));
    }
    hash(text)
}

/// Whether a typed account is a number, and so the same id in every ledger.
#[must_use]
pub fn is_number(text: &str) -> bool {
    parse_id(text).is_some()
}

/// An id as it is shown: hex, as it can be typed.
#[must_use]
pub fn id_text(id: u128) -> String {
    format!("{id:#x}")
}

/// The ledger that a typed currency means.
///
/// # Errors
/// No ledger has the currency, several have it, or the number and the currency do not go together.
pub fn resolve_ledger(ledgers: &[CreateLedger], text: &str) -> Result<Ledger, CliError> {
    if let Some(number) = parse_number(text) {
        return ledger_number(number).map(|number| Ledger::of_number(ledgers, number));
    }
    let (currency, number) = match text.split_once(':') {
        Some((currency, number)) => (currency, Some(parse_ledger(number)?)),
        None => (text, None),
    };
    let has_currency = |ledger: &&CreateLedger| read_name(&ledger.currency) == Some(currency);
    let found: Vec<&CreateLedger> = ledgers.iter().filter(has_currency).collect();
    match (number, found.as_slice()) {
        (None, [ledger]) => Ok(Ledger::from(*ledger)),
        (None, []) => Err(CliError::Problem(unknown_currency(ledgers, currency))),
        (None, several) => Err(CliError::Usage(format!(
            "several ledgers have the currency {currency}: write {}",
            several
                .iter()
                .map(|ledger| format!("{currency}:{}", ledger.ledger))
                .collect::<Vec<_>>()
                .join(" or ")
        ))),
        (Some(number), found) => found
            .iter()
            .find(|ledger| ledger.ledger == number)
            .map(|ledger| Ledger::from(*ledger))
            .ok_or_else(|| {
                let known = "see `mizan ledgers` for those that there are";
                CliError::Problem(format!(
                    "ledger {number} has not the currency {currency}: {known}"
                ))
            }),
    }
}

fn unknown_currency(ledgers: &[CreateLedger], currency: &str) -> String {
    let same = |ledger: &&CreateLedger| {
        read_name(&ledger.currency).is_some_and(|name| name.eq_ignore_ascii_case(currency))
    };
    match ledgers.iter().find(same).and_then(|ledger| read_name(&ledger.currency)) {
        Some(name) => format!("no ledger has the currency {currency}: did you mean {name}?"),
        None => format!(
            "no ledger has the currency {currency}: register one with `mizan ledger create {currency} --scale N`, where N is its number of decimal places, or see `mizan ledgers`"
        ),
    }
}

fn parse_ledger(text: &str) -> Result<u32, CliError> {
    let number = parse_number(text)
        .ok_or_else(|| CliError::Usage(format!("`{text}` is not the number of a ledger")))?;
    ledger_number(number)
}

fn ledger_number(number: u128) -> Result<u32, CliError> {
    u32::try_from(number).ok().filter(|number| *number != 0).ok_or_else(|| {
        CliError::Usage(format!("ledger {number}: ledgers are numbered 1..=4294967295"))
    })
}

/// A name as one word of a command that a person may paste into a shell.
pub fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:@%+=,-".contains(&byte);
    if text.starts_with('-') {
        // Else it would be taken as a flag.
        return quoted(&format!("name:{text}"));
    }
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> Vec<CreateLedger> {
        let record = |number, scale, currency| CreateLedger::new(number, scale, currency, "a name");
        [record(1, 2, "USD"), record(2, 0, "JPY"), record(3, 2, "EUR"), record(4, 4, "EUR")]
            .map(|record| record.expect("fits"))
            .to_vec()
    }

    #[test]
    fn a_name_in_an_advice_is_one_word_whatever_it_holds() {
        assert_eq!(quoted("alice"), "alice");
        assert_eq!(quoted("Anna Maria"), "'Anna Maria'");
        assert_eq!(quoted("x$(touch y)"), "'x$(touch y)'");
        assert_eq!(quoted("it's;rm"), r"'it'\''s;rm'");
        assert_eq!(quoted("-x"), "name:-x");
        assert_eq!(quoted("-x y"), "'name:-x y'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn a_number_is_an_id_and_anything_else_is_a_name() {
        assert_eq!(account_id(1, "17").expect("a number"), 17);
        assert_eq!(account_id(1, "0xFF").expect("a number"), 255);
        assert_eq!(transfer_id("0x10").expect("a number"), 16);
        let alice = mizan_client::names::account_id(1, "alice");
        assert_eq!(account_id(1, "alice").expect("a name"), alice.expect("a name"));
        let name = mizan_client::names::account_id(1, "17");
        assert_eq!(account_id(1, "name:17").expect("a name"), name.expect("a name"));
        let invoice = mizan_client::names::transfer_id("invoice 17/3");
        assert_eq!(transfer_id("invoice 17/3").expect("a name"), invoice.expect("a name"));
    }

    #[test]
    fn a_transfers_id_of_digits_is_text_as_it_is_in_a_file_and_no_two_texts_are_one_id() {
        let texts = ["7", "007", "0x7", "2026001", "2026_001", "20_26001", "name:0x7"];
        let mut ids: Vec<u128> =
            texts.iter().map(|text| transfer_id(text).expect("an id")).collect();
        assert_eq!(ids[0], mizan_client::names::transfer_id("7").expect("a name"));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), texts.len());
        for text in ["0x7_7", "0X7", "0x"] {
            assert!(transfer_id(text).is_err(), "{text}");
        }
        // An account of digits is a number, but never one that was written otherwise.
        let name = |text: &str| mizan_client::names::account_id(1, text).expect("a name");
        assert_eq!(account_id(1, "2026_001").expect("a name"), name("2026_001"));
        assert!(account_id(1, "007").is_err());
    }

    #[test]
    fn what_is_shown_as_an_id_can_be_typed_again() {
        for id in [0, 1, 255, u128::MAX] {
            assert_eq!(account_id(9, &id_text(id)).expect("a number"), id);
            assert_eq!(transfer_id(&id_text(id)).expect("a number"), id);
        }
    }

    #[test]
    fn a_number_that_is_too_large_is_not_silently_a_name() {
        let error = account_id(1, &"9".repeat(40)).expect_err("too large");
        assert!(error.to_string().contains("name:"), "{error}");
        assert!(account_id(1, "0xyz").is_err());
        assert!(account_id(1, "").is_err());
        assert!(account_id(1, "name:").is_err());
        assert!(transfer_id(" ").is_err());
    }

    #[test]
    fn a_sign_makes_a_name_not_a_number() {
        assert_eq!(parse_number("+5"), None);
        assert_eq!(parse_number("-5"), None);
        assert_eq!(parse_number("0x+5"), None);
        assert_eq!(parse_number("_5"), None);
    }

    #[test]
    fn a_currency_means_its_only_ledger() {
        let ledger = resolve_ledger(&registry(), "USD").expect("one ledger");
        assert_eq!((ledger.number, ledger.scale, ledger.is_registered), (1, 2, true));
        assert_eq!(ledger.amount_text(2500), "25.00 USD");
    }

    #[test]
    fn a_currency_of_several_ledgers_needs_its_number() {
        let error = resolve_ledger(&registry(), "EUR").expect_err("two ledgers");
        assert!(error.to_string().contains("EUR:3 or EUR:4"), "{error}");
        assert_eq!(resolve_ledger(&registry(), "EUR:4").expect("ledger 4").scale, 4);
        assert!(resolve_ledger(&registry(), "EUR:1").is_err());
        assert!(resolve_ledger(&registry(), "EUR:x").is_err());
    }

    #[test]
    fn a_bare_number_is_a_ledger_even_if_it_is_not_registered() {
        assert_eq!(resolve_ledger(&registry(), "2").expect("yen").currency, "JPY");
        let unknown = resolve_ledger(&registry(), "77").expect("unregistered");
        assert_eq!((unknown.scale, unknown.is_registered), (0, false));
        assert!(resolve_ledger(&registry(), "0").is_err());
        assert!(resolve_ledger(&registry(), "4294967296").is_err());
    }

    #[test]
    fn an_unknown_currency_says_how_to_register_it_or_what_was_meant() {
        let error = resolve_ledger(&registry(), "CZK").expect_err("unknown");
        assert!(error.to_string().contains("mizan ledger create CZK"), "{error}");
        let error = resolve_ledger(&registry(), "usd").expect_err("another case");
        assert!(error.to_string().contains("did you mean USD?"), "{error}");
    }
}
