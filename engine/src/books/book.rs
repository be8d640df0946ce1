//! The book of one instrument: what it keeps, and one door for all commands.

use crate::books::ReportSink;
use crate::books::levels::Levels;
use crate::books::order::Orders;
use crate::books::waiting::Waiting;
use crate::heap::DueHeap;
use mizan_wire::orders::{
    BookCapacity, BookCommand, BookRules, BookRulesError, OrderReport, ReportKind, TradingState,
};

/// The order book of one instrument. See [`crate::books`] for its rules.
pub struct Book {
    pub(crate) rules: BookRules,
    pub(crate) orders: Orders,
    pub(crate) levels: Levels,
    /// When orders that are good till a date end.
    pub(crate) due: DueHeap,
    pub(crate) state: TradingState,
    pub(crate) now_ns: u64,
    /// The number of the order entered last.
    pub(crate) number_last: u64,
    /// The price of the last trade; 0 before the first.
    pub(crate) last_trade: u64,
    pub(crate) traded: TradedRange,
    /// Orders that were triggered and wait for their turn; empty between commands, unless the looks were spent.
    pub(crate) waiting: Waiting,
    /// What commands may still look at.
    pub(crate) looks: u64,
    /// Numbers and slots of orders that one command cancels; empty between commands.
    pub(crate) chosen: Vec<(u64, u32)>,
}

/// The lowest and the highest price of trades that have not yet been compared with stop prices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TradedRange {
    pub(crate) lowest: u64,
    pub(crate) highest: u64,
}

impl TradedRange {
    pub(crate) const EMPTY: Self = Self { lowest: u64::MAX, highest: 0 };

    #[inline]
    pub(crate) fn include(&mut self, price: u64) {
        self.lowest = self.lowest.min(price);
        self.highest = self.highest.max(price);
    }

    #[inline]
    pub(crate) const fn is_empty(self) -> bool {
        self.highest == 0
    }
}

impl Book {
    /// An empty book, open for trading, at time 0. Reserves and touches all its memory: about 172 bytes per order and
    /// 104 per level.
    ///
    /// # Errors
    /// Rules or a capacity that are out of range.
    pub fn new(rules: BookRules, capacity: BookCapacity) -> Result<Self, BookRulesError> {
        let mut bytes_left = usize::MAX;
        Self::within(rules, capacity, &mut bytes_left)
    }

    /// As [`Book::new`], but touches no more of its memory than `bytes_left`, which all books that share it use up. What is
    /// not touched is mapped as orders come, so that each pays for its own.
    ///
    /// # Errors
    /// As [`Book::new`].
    pub fn within(
        rules: BookRules,
        capacity: BookCapacity,
        bytes_left: &mut usize,
    ) -> Result<Self, BookRulesError> {
        rules.check(capacity)?;
        let orders_max = capacity.orders_max as usize;
        Ok(Self {
            rules,
            orders: Orders::new(orders_max, bytes_left),
            levels: Levels::new(capacity.levels_max as usize, bytes_left),
            due: DueHeap::within(orders_max, bytes_left),
            state: TradingState::Open,
            now_ns: 0,
            number_last: 0,
            last_trade: 0,
            traded: TradedRange::EMPTY,
            waiting: Waiting::NONE,
            looks: u64::MAX,
            chosen: mizan_memory::reserve_touched_within(orders_max, bytes_left),
        })
    }

    /// Executes one command, whatever it is.
    pub fn apply<S: ReportSink>(&mut self, command: &BookCommand, sink: &mut S) {
        match command {
            BookCommand::Submit(new) => self.submit(new, sink),
            BookCommand::Amend(amend) => self.amend(amend, sink),
            BookCommand::Cancel(cancel) => self.cancel(cancel, sink),
            BookCommand::MassCancel(mass) => self.mass_cancel(mass, sink),
            BookCommand::SetTradingState(state) => self.set_trading_state(*state, sink),
            BookCommand::CloseSession => self.close_session(sink),
            BookCommand::AdvanceTime(now_ns) => self.advance_time(*now_ns, sink),
        }
    }

    /// Bounds what the commands that follow may look at, all together. Nothing bounds a new book.
    ///
    /// A level or an order that a fill-or-kill looks at before its entry is a look, and so is a stop that is triggered,
    /// and one whose turn has come; a trade is [`LOOKS_PER_MATCH`](mizan_wire::limits::LOOKS_PER_MATCH). What would need more: a new order, or an amend, is
    /// refused (`TooManyLooks`) if it could not trade at all, and loses its rest (`LooksSpent`) if it could not go on;
    /// a triggered stop waits ([`Book::run_waiting`]).
    #[inline]
    pub const fn bound_looks(&mut self, looks: u64) {
        self.looks = looks;
    }

    /// What is left of it.
    #[must_use]
    #[inline]
    pub const fn looks_left(&self) -> u64 {
        self.looks
    }

    /// Takes some of the looks that are left, or none if they are too few.
    #[inline]
    pub(crate) const fn look(&mut self, count: u32) -> bool {
        let is_enough = count as u64 <= self.looks;
        if is_enough {
            self.looks -= count as u64;
        }
        is_enough
    }

    /// Halts, resumes, or allows nothing but cancels. Orders stay as they are.
    pub fn set_trading_state<S: ReportSink>(&mut self, state: TradingState, sink: &mut S) {
        self.state = state;
        sink.report(&OrderReport::summary(ReportKind::TradingStateSet, state as u64));
    }

    /// Asks for the memory of the order that stands in a place, ahead of a command that names it. Changes nothing; any
    /// number will do.
    #[inline]
    pub fn prefetch_slot(&self, slot: u32) {
        mizan_memory::prefetch_index(&self.orders.places, slot as usize);
    }

    /// Asks for the memory of the neighbours of the order in a place, which must have been asked for before.
    #[inline]
    pub fn prefetch_neighbours(&self, slot: u32) {
        if let Some(order) = self.orders.places.get(slot as usize) {
            mizan_memory::prefetch_index(&self.orders.places, order.next as usize);
            mizan_memory::prefetch_index(&self.orders.places, order.previous as usize);
        }
    }
}
