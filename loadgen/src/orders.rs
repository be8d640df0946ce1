//! Order flow for a node that trades: a market of its own, orders that are entered, amended and cancelled, and at the
//! end a comparison of every order with the answers, and of every balance with the orders.
//!
//! Invariants: batch number *n* of a run has the same content whoever sends it and whenever; orders are named by client
//! ids, which follow from their place in the run, so that a cancel waits for no reply; whatever the interleaving of
//! several clients, the sums at the end must come out, because they are taken from the orders as the node has them.
//!
//! What is absent: a strategy. Prices stay around one middle, so that a figure means the same at every moment.

mod answers;
mod check;
mod figures;
mod flow;
mod market;
mod run;

pub use figures::OrderFigures;

pub(crate) use answers::OrderTally;
pub(crate) use flow::OrderFlow;
pub(crate) use run::run;

use crate::constants::{
    ACCOUNTS_MAX, INSTRUMENTS_DEFAULT, INSTRUMENTS_MAX, TRADERS_PER_INSTRUMENT_MIN,
};
use crate::{BenchOptions, LoadError, Target};

/// What an order workload is told besides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OrderOptions {
    /// Instruments; each trades a ledger of its own against the run's ledger, and each trader trades in one of them.
    pub instruments: u32,
}

impl Default for OrderOptions {
    /// All in one book.
    fn default() -> Self {
        Self { instruments: INSTRUMENTS_DEFAULT }
    }
}

/// The room that a run takes in a node, for whoever formats one for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OrderRoom {
    /// All accounts: two per trader, and the market's own.
    pub accounts: u64,
    /// Opening balances and what trades post, at the most.
    pub transfers: u64,
    /// Instruments.
    pub instruments: u32,
    /// Orders that are entered.
    pub orders: u64,
    /// Orders that are open at a time, in all books together.
    pub open_orders: u32,
    /// Price levels in all books together.
    pub levels: u32,
    /// Ledgers.
    pub ledgers: u32,
}

impl OrderRoom {
    /// The room that a run with these options takes.
    ///
    /// # Errors
    /// Options that contradict themselves.
    pub fn of(options: &BenchOptions, orders: OrderOptions) -> Result<Self, LoadError> {
        orders.check(options)?;
        Ok(OrderFlow::new(options, orders).room(options))
    }
}

impl OrderOptions {
    pub(crate) fn check(self, options: &BenchOptions) -> Result<(), LoadError> {
        let refuse = |text: &str| Err(LoadError::Options(text.to_owned()));
        if !(1..=INSTRUMENTS_MAX).contains(&self.instruments) {
            return refuse("a run trades in 1 to 1,000 instruments");
        }
        if options.accounts < u64::from(self.instruments) * 2 * TRADERS_PER_INSTRUMENT_MIN
            || options.accounts > ACCOUNTS_MAX / 2
        {
            return refuse(
                "order flow needs at least 8 accounts for each instrument: a trader has two of them",
            );
        }
        if options.target == Target::Null {
            return refuse("a null server has no order books; leave the workload at transfers");
        }
        if options.ledger.checked_add(self.instruments).is_none() {
            return refuse("the ledgers behind the run's ledger are those of its instruments");
        }
        Ok(())
    }
}
