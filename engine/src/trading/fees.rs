//! Fees: the exact sum of an order's fees is kept, and rounded as a whole.
//!
//! So many small fills cost no more than one large one, and what a reservation has room for is never exceeded: with
//! `exact` in units of 1/10,000, the fee so far is `rounded(exact)`; rounding never falls while `exact` rises.

/// Basis points of one whole.
const WHOLE_BPS: i128 = 10_000;

/// To the nearest whole unit, a tie to the even one.
pub(crate) const fn rounded(exact: i128) -> i128 {
    // A division of two words takes ten times as long as one of one word.
    if exact as i64 as i128 == exact {
        let (below, rest) = ((exact as i64).div_euclid(10_000), (exact as i64).rem_euclid(10_000));
        let is_up = rest > 5_000 || (rest == 5_000 && below % 2 != 0);
        return below as i128 + is_up as i128;
    }
    let (below, rest) = (exact.div_euclid(WHOLE_BPS), exact.rem_euclid(WHOLE_BPS));
    let is_up = rest > WHOLE_BPS / 2 || (rest == WHOLE_BPS / 2 && below % 2 != 0);
    if is_up { below + 1 } else { below }
}

/// The exact fee of an amount, in units of 1/10,000. Amounts stay below 2^95, rates below 2^14.
#[inline]
pub(crate) const fn exact(money: u128, rate_bps: i16) -> i128 {
    money as i128 * rate_bps as i128
}

/// What the rounded fee grows by.
#[inline]
pub(crate) const fn growth(before: i128, after: i128) -> i128 {
    if before == after { 0 } else { rounded(after) - rounded(before) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ties_go_to_the_even_unit_on_both_sides_of_zero() {
        let cases = [
            (5_000, 0),
            (15_000, 2),
            (25_000, 2),
            (5_001, 1),
            (4_999, 0),
            (-5_000, 0),
            (-15_000, -2),
            (-25_000, -2),
            (-5_001, -1),
            (-4_999, 0),
        ];
        for (exact, expected) in cases {
            assert_eq!(rounded(exact), expected, "{exact}");
        }
    }

    proptest! {
        #[test]
        fn fees_of_the_parts_never_exceed_the_fee_of_the_whole_at_the_highest_rate(
            parts in prop::collection::vec((0..1_000_000u128, -50..50i16), 1..20),
        ) {
            let money: u128 = parts.iter().map(|(money, _)| money).sum();
            let bound = rounded(exact(money, 50));
            let (mut so_far, mut charged) = (0, 0);
            for (money, rate) in parts {
                let after = so_far + exact(money, rate);
                charged += growth(so_far, after);
                so_far = after;
                prop_assert_eq!(charged, rounded(so_far));
                prop_assert!(charged <= bound);
            }
        }
    }
}
