//! Amounts as text: exact in both directions for every `u128` and every scale.
//!
//! Nothing here rounds. Signs, exponents, blanks and grouping are refused: who accepts them decides so at the edge.

use crate::limits::SCALE_MAX;
use thiserror::Error;

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum AmountError {
    /// Something other than digits with at most one point between digits.
    #[error("not a plain decimal number (digits, optionally a point and more digits)")]
    Malformed,
    /// More decimal places than the ledger keeps.
    #[error("more than {scale} decimal places, which this ledger does not keep")]
    TooPrecise {
        /// Decimal places that the ledger keeps.
        scale: u8,
    },
    /// Larger than 2^128 - 1 of the smallest unit.
    #[error("larger than 2^128 - 1 of the smallest unit")]
    TooLarge,
    /// A scale above [`SCALE_MAX`].
    #[error("a scale above 38")]
    ScaleTooLarge,
}

/// Reads an amount in units of the currency, giving the number of smallest units (10^-scale).
///
/// # Errors
/// Says what is wrong with the text; trailing zeros beyond the scale are accepted, other digits are not.
pub fn parse_amount(text: &str, scale: u8) -> Result<u128, AmountError> {
    if scale > SCALE_MAX {
        return Err(AmountError::ScaleTooLarge);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return Err(AmountError::Malformed);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > usize::from(scale) {
        return Err(AmountError::TooPrecise { scale });
    }
    let padding = usize::from(scale) - fraction.len();
    let digits = whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', padding));
    digits
        .into_iter()
        .try_fold(0u128, |sum, byte| sum.checked_mul(10)?.checked_add(u128::from(byte - b'0')))
        .ok_or(AmountError::TooLarge)
}

/// Writes a number of smallest units in units of the currency, with all decimal places of the scale.
///
/// Scales above [`SCALE_MAX`] are written all the same: the result is exact for every pair.
#[must_use]
pub fn format_amount(amount: u128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{amount:0>width$}", width = scale + 1);
    if scale == 0 {
        return digits;
    }
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_read_as_people_write_them() {
        assert_eq!(parse_amount("25.00", 2), Ok(2500));
        assert_eq!(parse_amount("25", 2), Ok(2500));
        assert_eq!(parse_amount("0.1", 2), Ok(10));
        assert_eq!(parse_amount("7.50000", 2), Ok(750));
        assert_eq!(parse_amount("007", 0), Ok(7));
        assert_eq!(parse_amount("340282366920938463463374607431768211455", 0), Ok(u128::MAX));
    }

    #[test]
    fn what_is_no_amount_is_refused_with_its_reason() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", " 1", "1,000", "1.2.3", "٣"] {
            assert_eq!(parse_amount(text, 2), Err(AmountError::Malformed), "{text:?}");
        }
        assert_eq!(parse_amount("1.005", 2), Err(AmountError::TooPrecise { scale: 2 }));
        let beyond = "340282366920938463463374607431768211456";
        assert_eq!(parse_amount(beyond, 0), Err(AmountError::TooLarge));
        assert_eq!(parse_amount("1", 39), Err(AmountError::ScaleTooLarge));
    }

    #[test]
    fn all_decimal_places_are_written() {
        assert_eq!(format_amount(2500, 2), "25.00");
        assert_eq!(format_amount(5, 2), "0.05");
        assert_eq!(format_amount(0, 0), "0");
        assert_eq!(format_amount(u128::MAX, 38), "3.40282366920938463463374607431768211455");
    }

    proptest! {
        #[test]
        fn every_amount_survives_the_way_to_text_and_back(amount: u128, scale in 0..=SCALE_MAX) {
            prop_assert_eq!(parse_amount(&format_amount(amount, scale), scale), Ok(amount));
        }

        #[test]
        fn no_text_panics(text in ".{0,60}", scale: u8) {
            let _ = parse_amount(&text, scale);
        }
    }
}
