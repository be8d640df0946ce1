//! A book with a thousand orders on each side, and commands to it.

use mizan_engine::books::{Book, ReportSink};
use mizan_wire::orders::{
    AmendOrder, BookCapacity, BookCommand, BookRules, CancelOrder, NewOrder, OrderHandle,
    OrderKind, OrderReport, ReportKind, SelfTrade, Side, TimeInForce,
};

/// Orders on each side, and commands of a batch.
pub const ORDERS: u32 = 1_000;
/// Price levels on each side.
const LEVELS: u32 = 40;
const MIDDLE: u64 = 10_000;
const CAPACITY: BookCapacity = BookCapacity { orders_max: 1 << 12, levels_max: 1 << 8 };

/// What the commands of a batch do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Rest behind others.
    Rest,
    /// Trade with one order as a whole, immediate or cancel.
    Take,
    /// Lose a lot in their place.
    Reduce,
    /// Get another price.
    Move,
    /// End.
    Cancel,
}

/// Counts reports, and keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting {
    /// All reports.
    pub reports: u64,
    /// Those that refuse something.
    pub rejected: u64,
    /// Those of trades.
    pub trades: u64,
}

impl ReportSink for Counting {
    #[inline]
    fn report(&mut self, report: &OrderReport) {
        self.reports += 1;
        self.rejected += u64::from(report.is(ReportKind::Rejected));
        self.trades += u64::from(report.is(ReportKind::Trade));
    }
}

/// A book and what will be sent to it.
pub struct Prepared {
    book: Book,
    sort: Sort,
    commands: Vec<BookCommand>,
}

impl Prepared {
    /// A book and a batch of so many commands of one sort.
    ///
    /// # Panics
    /// If the book refuses an order: a fault of the benchmark.
    #[must_use]
    pub fn new(sort: Sort) -> Self {
        let rules = BookRules::unlimited(CAPACITY);
        let mut book = Book::new(rules, CAPACITY).expect("the rules are sound");
        let mut reports: Vec<OrderReport> = Vec::new();
        for index in 0..2 * ORDERS {
            book.submit(&resting(index), &mut reports);
        }
        assert_eq!(reports.len(), 2 * ORDERS as usize, "every order rests");
        let command = |(index, report): (u32, &OrderReport)| {
            let handle = OrderHandle { number: report.number, slot: report.slot };
            let new = resting(index);
            let amend =
                AmendOrder { handle, owner: new.owner, price: 0, stop_price: 0, quantity: 10 };
            match sort {
                Sort::Rest => BookCommand::Submit(resting(index + 2 * ORDERS)),
                Sort::Take => BookCommand::Submit(taking(index)),
                Sort::Reduce => {
                    BookCommand::Amend(AmendOrder { price: new.price, quantity: 9, ..amend })
                }
                Sort::Move => BookCommand::Amend(AmendOrder { price: new.price ^ 1, ..amend }),
                Sort::Cancel => BookCommand::Cancel(CancelOrder { handle, owner: new.owner }),
            }
        };
        let commands = (0..ORDERS).zip(&reports).map(command).collect();
        Self { book, sort, commands }
    }

    /// Executes the batch.
    ///
    /// # Panics
    /// If a command did not do what it is for.
    pub fn execute(&mut self) -> Counting {
        let mut counting = Counting::default();
        for command in &self.commands {
            self.book.apply(command, &mut counting);
        }
        let trades = if self.sort == Sort::Take { ORDERS } else { 0 };
        assert_eq!((counting.rejected, counting.trades), (0, trades.into()), "{:?}", self.sort);
        counting
    }
}

fn resting(index: u32) -> NewOrder {
    let side = if index.is_multiple_of(2) { Side::Buy } else { Side::Sell };
    // Scattered over the levels; pairs of prices belong together, so that a move stays on its side.
    let distance = 2 + u64::from(index.wrapping_mul(0x9E37_79B9) >> 16) % u64::from(LEVELS);
    NewOrder {
        budget: 0,
        price: if side == Side::Buy { MIDDLE - distance } else { MIDDLE + distance },
        stop_price: 0,
        quantity: 10,
        expires_ns: 0,
        owner: index % 97,
        tag: index,
        side,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::GoodTillCancelled,
        self_trade: SelfTrade::Allow,
        is_post_only: false,
    }
}

/// Takes exactly one order, because all have the same number of lots.
fn taking(index: u32) -> NewOrder {
    let new = resting(index);
    let price = if new.side == Side::Buy { MIDDLE + 100 } else { MIDDLE - 100 };
    NewOrder { price, time_in_force: TimeInForce::ImmediateOrCancel, ..new }
}
