//! Every limit of the books in one place. What an instrument can choose is in `mizan_wire::orders::BookRules`.

/// Stands for "no order" and "no level" in links; counts stay below it (`BookRules::check`).
pub(crate) const NONE: u32 = u32::MAX;
/// Stands for "no bound" in what a taker may spend.
pub(crate) const BUDGET_NONE: u128 = u128::MAX;
/// Levels that are looked at one by one from the best on, before the rest is searched by halves. Measured: most
/// orders stand near the best price.
pub(crate) const NEAR_LEVELS: usize = 8;
