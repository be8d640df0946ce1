//! Amounts as people type and read them.
//!
//! Typed amounts may have a sign `+`, a missing zero (`.5`) and thousands separators: `,` between groups of three
//! digits of the whole part, as in `1,000.00`. The point is the decimal mark unless the user says that the comma is
//! ([`DecimalMark`]); then points separate thousands. Nothing is guessed: `1,5` is refused, and so is a group of
//! thousands behind a leading zero (`0,500`), because nobody groups like that. A text that can be read in two ways is
//! refused until the user names the mark: `1,500` where the ledger keeps three decimal places or more, and `1.500`
//! where it keeps fewer. Everything is exact: nothing rounds, and what the ledger's scale cannot hold is an error.
//!
//! Printed amounts have all decimal places of the ledger and no separators, so that they can be pasted anywhere. In
//! JSON they are strings, because a JSON number loses digits beyond 2^53.
//!
//! What is absent: currencies, symbols, and any arithmetic on amounts but the differences that balances are.

use mizan_wire::Wide;
use mizan_wire::amount::{AmountError, format_amount, parse_amount};
use rust_decimal::Decimal;
use std::fmt;

/// Digits of a group of thousands.
const GROUP_DIGITS: usize = 3;

/// What stands between the whole part and the decimal places; the other of the two separates thousands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DecimalMark {
    /// `1,000.00`
    Point,
    /// `1.000,00`
    Comma,
}

impl DecimalMark {
    const fn symbol(self) -> char {
        match self {
            Self::Point => '.',
            Self::Comma => ',',
        }
    }

    const fn separator(self) -> char {
        match self {
            Self::Point => ',',
            Self::Comma => '.',
        }
    }
}

/// As `--decimal` has it.
impl std::str::FromStr for DecimalMark {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "." => Ok(Self::Point),
            "," => Ok(Self::Comma),
            _ => Err("write . or , (in a shell ',' may need quotes)".to_owned()),
        }
    }
}

/// Why a typed text is not an amount.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MoneyError {
    /// Amounts are never negative: the direction is that of the accounts.
    Negative(String),
    /// A separator somewhere else than between groups of three digits, of which the first begins with no zero.
    Grouping {
        /// What was typed.
        text: String,
        /// The decimal mark that counts.
        mark: DecimalMark,
    },
    /// One mark with three digits behind it: thousands, or decimal places.
    Ambiguous {
        /// What was typed.
        text: String,
        /// If the mark separates thousands.
        thousands: String,
        /// If it is the decimal mark.
        decimal: String,
    },
    /// Not a number, too precise, or too large.
    Amount {
        /// What was typed.
        text: String,
        /// What is wrong with it.
        source: AmountError,
    },
}

impl MoneyError {
    /// What is wrong, said of an amount, a price, a quantity, or whatever the text was to be.
    #[must_use]
    pub fn said_of(&self, what: &str) -> String {
        match self {
            Self::Negative(text) => format!("{what} {text} is negative"),
            Self::Grouping { text, mark: DecimalMark::Point } => format!(
                "{what} {text}: a comma separates thousands here, as in 1,000.00; the decimal point is a point, or with --decimal , a comma"
            ),
            Self::Grouping { text, mark: DecimalMark::Comma } => format!(
                "{what} {text}: a point separates thousands here, as in 1.000,00; the decimal mark is a comma"
            ),
            Self::Ambiguous { text, thousands, decimal } => format!(
                "{what} {text} can be read as {thousands} and as {decimal}: say --decimal . or --decimal , or write one of these two"
            ),
            Self::Amount { text, source } => format!("{what} {text}: {source}"),
        }
    }
}

impl fmt::Display for MoneyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.said_of("amount"))?;
        match self {
            Self::Negative(_) => formatter.write_str(": swap the accounts instead"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for MoneyError {}

/// Reads a typed amount, giving the number of smallest units (10^-scale). Without a mark the point is the decimal one,
/// and what could be meant otherwise is refused.
///
/// # Errors
/// Says what is wrong with the text. Nothing is rounded.
pub fn parse(text: &str, scale: u8, mark: Option<DecimalMark>) -> Result<u128, MoneyError> {
    let text = text.trim();
    let plain = plain(text, mark.unwrap_or(DecimalMark::Point))?;
    if plain.starts_with('-') {
        return Err(MoneyError::Negative(text.to_owned()));
    }
    // A decimal has 96 bits: it understands what people write, and what does not fit must be plain digits.
    let normal = match Decimal::from_str_exact(&plain) {
        Ok(decimal) if !plain.contains('_') => decimal.normalize().to_string(),
        _ => plain,
    };
    let amount = parse_amount(&normal, scale)
        .map_err(|source| MoneyError::Amount { text: text.to_owned(), source })?;
    match mark {
        Some(_) => Ok(amount),
        None => check_unambiguous(text, scale).map(|()| amount),
    }
}

/// Reads an amount that may be below zero: `-7.00`, `7.00-` or `(7.00)`, as accountants write it.
///
/// # Errors
/// As [`parse`].
pub fn parse_signed(
    text: &str,
    scale: u8,
    mark: Option<DecimalMark>,
) -> Result<Signed, MoneyError> {
    let text = text.trim();
    let enclosed = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let negative =
        enclosed.or_else(|| text.strip_prefix(MINUS)).or_else(|| text.strip_suffix(MINUS));
    let Some(rest) = negative else {
        return Ok(Signed::difference(parse(text, scale, mark)?, 0));
    };
    // One sign is enough: what `(-7.00)` means is not for us to say.
    if rest.contains(MINUS) || rest.contains(['+', '(', ')']) {
        let source = AmountError::Malformed;
        return Err(MoneyError::Amount { text: text.to_owned(), source });
    }
    Ok(Signed::difference(0, parse(rest, scale, mark)?))
}

/// The hyphen that keyboards have, and the minus sign that typesetters do.
const MINUS: [char; 2] = ['-', '\u{2212}'];

/// The text with a decimal point and without separators, if these stand where they belong.
fn plain(text: &str, mark: DecimalMark) -> Result<String, MoneyError> {
    let (symbol, separator) = (mark.symbol(), mark.separator());
    let (whole, fraction) = match text.split_once(symbol) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let is_wrong = (whole.contains(separator) && !is_grouped(whole, separator))
        || fraction.is_some_and(|fraction| fraction.contains(separator));
    if is_wrong {
        return Err(MoneyError::Grouping { text: text.to_owned(), mark });
    }
    let whole = whole.replace(separator, "");
    Ok(match fraction {
        // A second mark stays what it is: no part of a number.
        Some(fraction) => format!("{whole}.{fraction}"),
        None => whole,
    })
}

/// Whether a whole part has one to three digits, no zero first, and then groups of three.
fn is_grouped(whole: &str, separator: char) -> bool {
    let mut groups = whole.trim_start_matches(['+', '-']).split(separator);
    let is_digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let first = groups.next().unwrap_or_default();
    let first_fits = (1..=GROUP_DIGITS).contains(&first.len()) && !first.starts_with('0');
    first_fits
        && is_digits(first)
        && groups.all(|group| group.len() == GROUP_DIGITS && is_digits(group))
}

/// Refuses one mark that could be the decimal one or one between thousands. A comma cannot be decimal if the ledger has
/// no place for three digits behind it; a point with three digits, some of them too many, may be one of thousands.
fn check_unambiguous(text: &str, scale: u8) -> Result<(), MoneyError> {
    let has_places = usize::from(scale) >= GROUP_DIGITS;
    let mark = if has_places { ',' } else { '.' };
    let digits = text.trim_start_matches('+');
    let Some((whole, behind)) = digits.split_once(mark) else { return Ok(()) };
    let is_two_groups = behind.len() == GROUP_DIGITS && is_grouped(digits, mark);
    if !is_two_groups {
        return Ok(());
    }
    let (thousands, decimal) = (format!("{whole}{behind}"), format!("{whole}.{behind}"));
    // Where a point is in doubt, the decimal reading must be written without the digits that make the doubt.
    let decimal = if has_places {
        decimal
    } else {
        decimal.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    Err(MoneyError::Ambiguous { text: text.to_owned(), thousands, decimal })
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
            assert_eq!(parse(text, 2, None), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn a_comma_elsewhere_than_between_thousands_is_refused_instead_of_guessed() {
        for text in ["1,5", "1,50", "1,0000", ",100", "1,,000", "1000,000", "1,000,", "1.000,00"] {
            let error = MoneyError::Grouping { text: text.to_owned(), mark: DecimalMark::Point };
            assert_eq!(parse(text, 2, None), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_group_behind_a_leading_zero_is_no_group_of_thousands() {
        for text in ["0,500", "00,100", "000,000,001", "0,500.00", "+0,500", "01,000", "0,000"] {
            for scale in [0, 2, 3, 8] {
                for mark in [None, Some(DecimalMark::Point)] {
                    let found = parse(text, scale, mark);
                    assert!(matches!(found, Err(MoneyError::Grouping { .. })), "{text}: {found:?}");
                }
            }
        }
        for text in ["0.500", "00.100", "0.500,00"] {
            let found = parse(text, 3, Some(DecimalMark::Comma));
            assert!(matches!(found, Err(MoneyError::Grouping { .. })), "{text}: {found:?}");
        }
        assert_eq!(parse("0,500", 3, Some(DecimalMark::Comma)), Ok(500));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused_until_the_mark_is_named() {
        let (point, comma) = (Some(DecimalMark::Point), Some(DecimalMark::Comma));
        for (text, scale, by_point, by_comma) in [
            ("1,500", 3, Ok(1_500_000), Ok(1_500)),
            ("12,345", 4, Ok(123_450_000), Ok(123_450)),
            ("+999,999", 3, Ok(999_999_000), Ok(999_999)),
            ("1.500", 2, Ok(150), Ok(150_000)),
            ("1.000", 0, Ok(1), Ok(1_000)),
        ] {
            let found = parse(text, scale, None);
            assert!(matches!(found, Err(MoneyError::Ambiguous { .. })), "{text}: {found:?}");
            assert_eq!(parse(text, scale, point), by_point, "{text}");
            assert_eq!(parse(text, scale, comma), by_comma, "{text}");
        }
        let error = parse("1,500", 3, None).expect_err("ambiguous").to_string();
        assert!(error.contains("can be read as 1500 and as 1.500"), "{error}");
        let error = parse("1.500", 2, None).expect_err("ambiguous").to_string();
        assert!(error.contains("can be read as 1500 and as 1.5:"), "{error}");
    }

    #[test]
    fn what_can_be_read_in_one_way_only_needs_no_mark() {
        for (text, scale, expected) in [
            ("1,500", 2, 150_000),
            ("1,500.0", 3, 1_500_000),
            ("1,000,000", 8, 100_000_000_000_000),
            ("1.500", 3, 1_500),
            ("0.500", 2, 50),
            ("1000.500", 2, 100_050),
            ("1.50000", 2, 150),
        ] {
            assert_eq!(parse(text, scale, None), Ok(expected), "{text}");
        }
    }

    #[test]
    fn with_a_comma_as_the_decimal_mark_points_separate_thousands() {
        let read = |text| parse(text, 2, Some(DecimalMark::Comma));
        assert_eq!(read("1.000,00"), Ok(100_000));
        assert_eq!(read("1,5"), Ok(150));
        assert_eq!(read(",5"), Ok(50));
        assert_eq!(read("12.345.678,9"), Ok(1_234_567_890));
        for text in ["1,000.00", "1.5", "1.50", "1,2,3", "1,000,000"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(matches!(read("1,005"), Err(MoneyError::Amount { .. })));
    }

    /// Every text of up to seven of these letters, in every scale that matters: whatever is read without a mark is what
    /// it is with one mark, and nothing else with the other one unless the ledger could not hold that.
    #[test]
    fn no_short_text_is_read_in_a_way_that_another_mark_denies() {
        let mut texts = vec![String::new()];
        for _ in 0..7 {
            texts = texts
                .iter()
                .flat_map(|text| ["0", "1", ",", "."].map(|next| format!("{text}{next}")))
                .collect();
            for text in &texts {
                for scale in [0, 2, 3] {
                    let Ok(found) = parse(text, scale, None) else { continue };
                    assert_eq!(parse(text, scale, Some(DecimalMark::Point)), Ok(found), "{text}");
                    let other = parse(text, scale, Some(DecimalMark::Comma));
                    // As people group, and as the ledger itself writes.
                    let zeros = text.contains(',') && usize::from(scale) < GROUP_DIGITS;
                    let own = text.contains('.') && usize::from(scale) == GROUP_DIGITS;
                    assert!(
                        zeros || own || other.is_err() || other == Ok(found),
                        "{text}: {other:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn amounts_of_statements_have_a_sign_before_or_behind_or_parentheses() {
        let read = |text| parse_signed(text, 2, None).map(|signed| signed.text(2));
        for (text, expected) in [
            ("20.00", "20.00"),
            ("+20", "20.00"),
            ("-20.00", "-20.00"),
            ("\u{2212}20", "-20.00"),
            ("20.00-", "-20.00"),
            ("(7.00)", "-7.00"),
            (" ( 1,000.5 ) ", "-1000.50"),
            ("-0.00", "0.00"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
        for text in ["(-7)", "-(7)", "--7", "-7-", "(7", "7)", "()", "-", "-+7", "((7))", "-0,500"]
        {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(matches!(parse_signed("(1,500)", 3, None), Err(MoneyError::Ambiguous { .. })));
    }

    #[test]
    fn a_negative_amount_names_the_way_out() {
        let error = parse("-1.00", 2, None).expect_err("negative").to_string();
        assert_eq!(error, "amount -1.00 is negative: swap the accounts instead");
        assert_eq!(parse("-1,000", 2, None), Err(MoneyError::Negative("-1,000".to_owned())));
    }

    #[test]
    fn what_is_no_number_or_too_precise_or_too_large_is_refused() {
        let reason = |text: &str, scale| match parse(text, scale, None) {
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
        assert_eq!(parse(&largest, 0, None), Ok(u128::MAX));
        let grouped = "340,282,366,920,938,463,463,374,607,431,768,211,455";
        assert_eq!(parse(grouped, 0, None), Ok(u128::MAX));
        assert_eq!(
            parse("123456789012345678901234567890.12", 2, None),
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
