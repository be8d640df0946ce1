//! What one instrument allows, and how much its book holds.

use thiserror::Error;

/// What is checked of every order. All of it can change a result, so all of it is fixed when the book is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BookRules {
    /// The largest product of price and quantity.
    pub notional_max: u128,
    /// Prices are multiples of this many ticks.
    pub price_step_ticks: u64,
    /// The lowest price that may be given.
    pub price_min_ticks: u64,
    /// The highest price that may be given.
    pub price_max_ticks: u64,
    /// Quantities are multiples of this many lots.
    pub quantity_step_lots: u64,
    /// The largest quantity of an order.
    pub quantity_max_lots: u64,
    /// How far beyond the best price that it meets a market order may trade.
    pub protection_ticks: u64,
}

/// How many things a book has room for. It can change a result, so it is fixed when the book is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BookCapacity {
    /// Open orders, dormant ones included.
    pub orders_max: u32,
    /// Price levels: bids, asks and stop prices together.
    pub levels_max: u32,
}

/// Why a book cannot have these rules.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum BookRulesError {
    /// A number outside its range.
    #[error("book rule {field} is {found}, outside {min}..={max}; choose another value")]
    OutOfRange {
        /// The field's name.
        field: &'static str,
        /// Its value.
        found: u64,
        /// The smallest value that works.
        min: u64,
        /// The largest value that works.
        max: u64,
    },
}

impl BookRules {
    /// Rules that allow everything that `capacity` can count: one tick, one lot, no band, no protection.
    #[must_use]
    pub const fn unlimited(capacity: BookCapacity) -> Self {
        Self {
            notional_max: u128::MAX,
            price_step_ticks: 1,
            price_min_ticks: 1,
            price_max_ticks: u64::MAX,
            quantity_step_lots: 1,
            quantity_max_lots: u64::MAX / capacity.orders_max as u64,
            protection_ticks: u64::MAX,
        }
    }

    /// Checks the rules against each other and against the book's capacity: no sum of quantities may exceed 64 bits.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub const fn check(&self, capacity: BookCapacity) -> Result<(), BookRulesError> {
        // The two highest numbers stand for "none" in links.
        let count_max = u32::MAX as u64 - 2;
        let orders_max = capacity.orders_max as u64;
        let quantity_max = match u64::MAX.checked_div(orders_max) {
            Some(quantity_max) => quantity_max,
            None => 0,
        };
        let ranges = [
            ("orders_max", orders_max, 1, count_max),
            ("levels_max", capacity.levels_max as u64, 1, count_max),
            ("price_step_ticks", self.price_step_ticks, 1, u64::MAX),
            ("price_min_ticks", self.price_min_ticks, 1, u64::MAX),
            ("price_max_ticks", self.price_max_ticks, self.price_min_ticks, u64::MAX),
            ("quantity_step_lots", self.quantity_step_lots, 1, u64::MAX),
            ("quantity_max_lots", self.quantity_max_lots, 1, quantity_max),
        ];
        let mut index = 0;
        while index < ranges.len() {
            let (field, found, min, max) = ranges[index];
            if found < min || found > max {
                return Err(BookRulesError::OutOfRange { field, found, min, max });
            }
            index += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_whose_sum_could_exceed_64_bits_are_refused() {
        let capacity = BookCapacity { orders_max: 4, levels_max: 1 };
        let rules = BookRules::unlimited(capacity);
        assert_eq!(rules.check(capacity), Ok(()));
        let more = BookCapacity { orders_max: 5, ..capacity };
        let error = rules.check(more).expect_err("the sum could exceed 64 bits");
        let BookRulesError::OutOfRange { field, .. } = error;
        assert_eq!(field, "quantity_max_lots");
    }

    #[test]
    fn a_band_that_ends_before_it_begins_is_refused() {
        let capacity = BookCapacity { orders_max: 4, levels_max: 1 };
        let unlimited = BookRules::unlimited(capacity);
        let rules = BookRules { price_min_ticks: 9, price_max_ticks: 8, ..unlimited };
        let error = rules.check(capacity).expect_err("no price lies in the band");
        assert!(error.to_string().contains("price_max_ticks is 8"), "{error}");
    }
}
