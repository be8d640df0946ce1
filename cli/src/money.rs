//! Amounts as people type and read them.
//!
//! Typed amounts may have a sign `+`, a missing zero (`.5`) and thousands separators: `,` between groups of three
//! digits of the whole part, as in `1,000.00`. The point is always the decimal point, so `1,5` is refused instead of
//! being guessed. Everything is exact: nothing rounds, and what the ledger's scale cannot hold is an error.
//!
//! Printed amounts have all decimal places of the ledger and no separators, so that they can be pasted anywhere. In
//! JSON they are strings, because a JSON number loses digits beyond 2^53.
//!
//! What is absent: currencies, symbols, and any arithmetic on amounts but the differences that balances are.

use mizan_wire::Wide;
use mizan_wire::amount::{AmountError, format_amount, parse_amount};
use rust_decimal::Decimal;
use thiserror::Error;

/// Why a typed text is not an amount.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum MoneyError {
    /// Amounts are never negative: the direction is that of the accounts.
    #[error("amount {0} is negative: swap the accounts instead")]
    Negative(String),
    /// A comma somewhere else than between groups of three digits.
    #[error(
        "amount {0}: a comma separates thousands here, as in 1,000.00; the decimal point is a point"
    )]
    Grouping(String),
    /// Not a number, too precise, or too large.
    #[error("amount {text}: {source}")]
    Amount {
        /// What was typed.
        text: String,
        /// What is wrong with it.
        source: AmountError,
    },
}

/// Reads a typed amount, giving the number of smallest units (10^-scale).
///
/// # Errors
/// Says what is wrong with the text. Nothing is rounded.
pub fn parse(text: &str, scale: u8) -> Result<u128, MoneyError> {
    let text = text.trim();
    let plain = ungroup(text)?;
    if plain.starts_with('-') {
        return Err(MoneyError::Negative(text.to_owned()));
    }
    // A decimal has 96 bits: it understands what people write, and what does not fit must be plain digits.
    let normal = match Decimal::from_str_exact(&plain) {
        Ok(decimal) if !plain.contains('_') => decimal.normalize().to_string(),
        _ => plain,
    };
    parse_amount(&normal, scale)
        .map_err(|source| MoneyError::Amount { text: text.to_owned(), source })
}

/// Takes the thousands separators away, if they stand where they belong.
fn ungroup(text: &str) -> Result<String, MoneyError> {
    if !text.contains(',') {
        return Ok(text.to_owned());
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let groups: Vec<&str> = whole.trim_start_matches(['+', '-']).split(',').collect();
    let is_group = |group: &&str, least: usize| {
        (least..=3).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_digit())
    };
    let first_fits = groups.first().is_some_and(|group| is_group(group, 1));
    let rest_fits = groups.iter().skip(1).all(|group| is_group(group, 3));
    if !first_fits || !rest_fits || fraction.contains(',') {
        return Err(MoneyError::Grouping(text.to_owned()));
    }
    Ok(text.replace(',', ""))
}

/// A difference of two amounts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Signed {
    /// Below zero; never set for zero.
    pub negative: bool,
    /// The distance from zero, in smallest units.
    pub magnitude: u128,
}

impl Signed {
    /// `plus - minus`.
    #[must_use]
    pub const fn difference(plus: u128, minus: u128) -> Self {
        Self { negative: plus < minus, magnitude: plus.abs_diff(minus) }
    }

    /// As text with all decimal places of the scale.
    #[must_use]
    pub fn text(self, scale: u8) -> String {
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}{}", format_amount(self.magnitude, scale))
    }
}

/// Writes a 256-bit sum with all decimal places of the scale. Exact for every sum.
#[must_use]
pub fn wide_text(sum: Wide, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", wide_digits(sum), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 { digits } else { format!("{whole}.{fraction}") }
}

/// Long division by 10^18, nine of which fit a `u128` remainder step with a 32-bit limb beside it.
fn wide_digits(sum: Wide) -> String {
    const CHUNK: u128 = 1_000_000_000_000_000_000;
    let limb = |number: u128, index: u32| (number >> (32 * index)) & 0xFFFF_FFFF;
    let mut limbs: Vec<u128> = (0..4).rev().map(|index| limb(sum.high, index)).collect();
    limbs.extend((0..4).rev().map(|index| limb(sum.low, index)));
    let mut chunks = Vec::new();
    while limbs.iter().any(|limb| *limb != 0) {
        let mut remainder = 0;
        for limb in &mut limbs {
            let dividend = (remainder << 32) | *limb;
            *limb = dividend / CHUNK;
            remainder = dividend % CHUNK;
        }
        chunks.push(remainder);
    }
    let Some(first) = chunks.pop() else { return "0".to_owned() };
    chunks.iter().rev().fold(first.to_string(), |text, chunk| format!("{text}{chunk:0>18}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_people_type_them() {
        for (text, expected) in [
            ("25.00", 2500),
            ("25", 2500),
            (" 25.5 ", 2550),
            (".5", 50),
            ("+7", 700),
            ("1,000.00", 100_000),
            ("12,345,678.9", 1_234_567_890),
            ("0.10000", 10),
            ("0", 0),
        ] {
            assert_eq!(parse(text, 2), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn a_comma_elsewhere_than_between_thousands_is_refused_instead_of_guessed() {
        for text in ["1,5", "1,50", "1,0000", ",100", "1,,000", "1000,000", "1,000,", "1.000,00"] {
            assert_eq!(parse(text, 2), Err(MoneyError::Grouping(text.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn a_negative_amount_names_the_way_out() {
        let error = parse("-1.00", 2).expect_err("negative").to_string();
        assert_eq!(error, "amount -1.00 is negative: swap the accounts instead");
        assert_eq!(parse("-1,000", 2), Err(MoneyError::Negative("-1,000".to_owned())));
    }

    #[test]
    fn what_is_no_number_or_too_precise_or_too_large_is_refused() {
        let reason = |text: &str, scale| match parse(text, scale) {
            Err(MoneyError::Amount { source, .. }) => source,
            other => panic!("{text:?} gave {other:?}"),
        };
        for text in ["", "abc", "1e3", "1_000", "1.2.3", "0x10", "٣", "1 000", "NaN"] {
            assert_eq!(reason(text, 2), AmountError::Malformed, "{text:?}");
        }
        assert_eq!(reason("1.005", 2), AmountError::TooPrecise { scale: 2 });
        let beyond = "340282366920938463463374607431768211456";
        assert_eq!(reason(beyond, 0), AmountError::TooLarge);
    }

    #[test]
    fn amounts_beyond_a_decimals_96_bits_are_exact() {
        let largest = u128::MAX.to_string();
        assert_eq!(parse(&largest, 0), Ok(u128::MAX));
        let grouped = "340,282,366,920,938,463,463,374,607,431,768,211,455";
        assert_eq!(parse(grouped, 0), Ok(u128::MAX));
        assert_eq!(
            parse("123456789012345678901234567890.12", 2),
            Ok(12345678901234567890123456789012)
        );
    }

    #[test]
    fn differences_keep_their_sign_and_every_digit() {
        assert_eq!(Signed::difference(100, 2600).text(2), "-25.00");
        assert_eq!(Signed::difference(2600, 100).text(2), "25.00");
        assert_eq!(Signed::difference(5, 5).text(2), "0.00");
        assert_eq!(Signed::difference(0, u128::MAX).text(0), format!("-{}", u128::MAX));
    }

    #[test]
    fn sums_of_256_bits_are_written_exactly() {
        assert_eq!(wide_text(Wide { low: 0, high: 0 }, 2), "0.00");
        assert_eq!(wide_text(Wide { low: 5, high: 0 }, 2), "0.05");
        assert_eq!(wide_text(Wide { low: u128::MAX, high: 0 }, 0), u128::MAX.to_string());
        let two_to_the_128 = "340282366920938463463374607431768211456";
        assert_eq!(wide_text(Wide { low: 0, high: 1 }, 0), two_to_the_128);
        // 2^256 - 1, from any table of powers of two.
        let largest =
            "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        assert_eq!(wide_text(Wide { low: u128::MAX, high: u128::MAX }, 0), largest);
        assert_eq!(wide_text(Wide { low: 10u128.pow(18), high: 0 }, 0), 10u128.pow(18).to_string());
    }
}
