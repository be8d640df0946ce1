//! The desk in front of a book: orders under the names that their owners give them, each entered at most once.
//!
//! An order is known by (owner, client order id). While it is open, and for a while after, entering it again gives the
//! original's outcome and never a second order; the outcome is state, so it is the same after a restart or failover.
//!
//! How long is "a while"? The last `outcomes_max` orders that ended or were refused are remembered, in the order in
//! which they ended: a number fixed with the book, not a time, so that every replay forgets at the same command and
//! memory is bounded. At a million orders a second and a resend after at most ten seconds it is 10 million, 1.1 GB; an
//! instrument that sees a thousand a second needs 10,000. Who repeats later than that is a new order, as it would be
//! for anybody who keeps no infinite record.
//!
//! Invariants: every open order has exactly one entry, whose number is the order's tag; what an entry says of filled
//! and open lots is what the book's reports said.
//!
//! What is absent: repeated cancels and amends (a session's request numbers find those), and money.

use crate::books::ReportSink;
use crate::books::book::Book;
use crate::id_table::{IdHash, IdTable};
use mizan_memory::reserve_touched;
use mizan_wire::orders::{
    AmendOrder, BookCapacity, BookCommand, BookRules, BookRulesError, CancelOrder, CancelReason,
    NewOrder, OrderHandle, OrderReport, ReportKind, SLOT_NONE,
};
use std::collections::VecDeque;

/// What has become of an order.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// Lots in total; what was asked for last.
    pub original: u64,
    /// Lots that were traded.
    pub filled: u64,
    /// Lots that can still trade; 0 once it has ended.
    pub open: u64,
    /// Its number; 0 if it was refused.
    pub number: u64,
    /// Its place, while it has one.
    pub slot: u32,
    /// Why it was refused, or why its rest was cancelled; 0 for neither.
    pub reason: u16,
}

impl Outcome {
    /// Whether the order can still trade.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open > 0
    }
}

#[derive(Clone, Copy)]
struct Entry {
    client_order_id: u128,
    outcome: Outcome,
    owner: u32,
}

/// Takes the reports of a desk: as [`ReportSink`], with the orders' names.
pub trait DeskSink {
    /// The next report; `counterparty_name` is that of the other order of a trade, otherwise 0. Reports about no order
    /// have the name 0.
    fn report(&mut self, report: &OrderReport, name: u128, counterparty_name: u128);
}

/// The names and outcomes, apart from the book that they follow.
struct Entries {
    table: IdTable,
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// Those that have ended, in this order.
    ended: VecDeque<u32>,
    outcomes_max: usize,
}

/// See the module.
pub struct Desk {
    book: Book,
    entries: Entries,
}

impl Desk {
    /// An empty desk and its book. `hash_seed` changes no result.
    ///
    /// # Errors
    /// As [`Book::new`].
    ///
    /// # Panics
    /// If `outcomes_max` is 0 or orders and outcomes together exceed 32 bits: whoever reads genesis checks that first.
    pub fn new(
        rules: BookRules,
        capacity: BookCapacity,
        outcomes_max: u32,
        hash_seed: u64,
    ) -> Result<Self, BookRulesError> {
        let book = Book::new(rules, capacity)?;
        let count =
            capacity.orders_max.checked_add(outcomes_max).and_then(|sum| sum.checked_add(1));
        let count_max = count.expect("invariant: genesis bounds orders and outcomes") as usize;
        assert!(outcomes_max > 0, "invariant: genesis asks for at least one outcome");
        let entries = Entries {
            table: IdTable::new(count_max, hash_seed),
            entries: reserve_touched(count_max),
            free: reserve_touched(count_max),
            ended: VecDeque::with_capacity(outcomes_max as usize + 1),
            outcomes_max: outcomes_max as usize,
        };
        Ok(Self { book, entries })
    }

    /// The book behind the desk.
    #[must_use]
    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// What has become of an order, if it is open or remembered.
    #[must_use]
    pub fn find(&self, owner: u32, client_order_id: u128) -> Option<Outcome> {
        let number = self.entries.find(owner, client_order_id)?;
        Some(self.entries.entries[number as usize].outcome)
    }

    /// Enters an order under a name; its tag is the desk's to give. If its owner has entered that name before, nothing
    /// happens and the original's outcome is the answer, whatever the two orders say.
    pub fn submit<S: DeskSink>(
        &mut self,
        client_order_id: u128,
        new: &NewOrder,
        sink: &mut S,
    ) -> Option<Outcome> {
        if let Some(before) = self.find(new.owner, client_order_id) {
            return Some(before);
        }
        let number = self.entries.open(new.owner, client_order_id);
        let entries = &mut self.entries;
        let mut follower = Follower { entries, sink, entered: Some(number) };
        self.book.submit(&NewOrder { tag: number, ..*new }, &mut follower);
        None
    }

    /// Gives an order new terms, as [`Book::amend`] does; the handle is found by the name.
    pub fn amend<S: DeskSink>(&mut self, client_order_id: u128, amend: &AmendOrder, sink: &mut S) {
        let handle = self.handle(amend.owner, client_order_id);
        self.apply(&BookCommand::Amend(AmendOrder { handle, ..*amend }), sink);
    }

    /// Cancels an order by its name.
    pub fn cancel<S: DeskSink>(&mut self, owner: u32, client_order_id: u128, sink: &mut S) {
        let handle = self.handle(owner, client_order_id);
        self.apply(&BookCommand::Cancel(CancelOrder { handle, owner }), sink);
    }

    /// Executes a command other than a new order. A new order is refused a name by this way, so it must not come here.
    ///
    /// # Panics
    /// If the command is a new order.
    pub fn apply<S: DeskSink>(&mut self, command: &BookCommand, sink: &mut S) {
        let is_new = matches!(command, BookCommand::Submit(_));
        assert!(!is_new, "invariant: a new order has a name; use `submit`");
        let mut follower = Follower { entries: &mut self.entries, sink, entered: None };
        self.book.apply(command, &mut follower);
    }

    /// The order's handle; one that no order has, if the name is unknown or the order has ended.
    fn handle(&self, owner: u32, client_order_id: u128) -> OrderHandle {
        match self.find(owner, client_order_id) {
            Some(Outcome { number, slot, .. }) => OrderHandle { number, slot },
            None => OrderHandle { number: 0, slot: SLOT_NONE },
        }
    }
}

impl Entries {
    fn hash(&self, owner: u32, client_order_id: u128) -> IdHash {
        // Owners may use the same names; the rotation keeps them apart in the bits that names rarely use.
        self.table.hash(client_order_id ^ u128::from(owner).rotate_right(32))
    }

    fn find(&self, owner: u32, client_order_id: u128) -> Option<u32> {
        self.table.find(self.hash(owner, client_order_id), |number| {
            let entry = &self.entries[number as usize];
            entry.owner == owner && entry.client_order_id == client_order_id
        })
    }

    fn open(&mut self, owner: u32, client_order_id: u128) -> u32 {
        let outcome = Outcome { slot: SLOT_NONE, ..Outcome::default() };
        let entry = Entry { client_order_id, outcome, owner };
        let number = match self.free.pop() {
            Some(number) => {
                self.entries[number as usize] = entry;
                number
            }
            None => {
                self.entries.push(entry);
                self.entries.len() as u32 - 1
            }
        };
        self.table.insert(self.hash(owner, client_order_id), number);
        number
    }

    /// Remembers an entry as ended, and forgets the oldest one if they are too many.
    fn end(&mut self, number: u32, reason: u16) {
        let outcome = &mut self.entries[number as usize].outcome;
        (outcome.open, outcome.reason, outcome.slot) = (0, reason, SLOT_NONE);
        self.ended.push_back(number);
        if self.ended.len() > self.outcomes_max
            && let Some(oldest) = self.ended.pop_front()
        {
            let Entry { client_order_id, owner, .. } = self.entries[oldest as usize];
            self.table.remove(self.hash(owner, client_order_id), oldest);
            self.free.push(oldest);
        }
    }

    fn follow(&mut self, report: &OrderReport, entered: Option<u32>) {
        let is = |kind| report.is(kind);
        let outcome = match (is(ReportKind::Rejected), entered) {
            (true, Some(number)) => return self.end(number, report.reason),
            (true, None) => return,
            _ if report.number == 0 => return,
            _ => &mut self.entries[report.tag as usize].outcome,
        };
        if is(ReportKind::Accepted) || is(ReportKind::Dormant) {
            (outcome.number, outcome.slot) = (report.number, report.slot);
            (outcome.original, outcome.open) = (report.quantity, report.open);
        } else if is(ReportKind::Trade) {
            outcome.filled += report.quantity;
            outcome.open = report.open;
            if report.open == 0 {
                self.end(report.tag, 0);
            }
            let taker = &mut self.entries[report.counterparty_tag as usize].outcome;
            taker.filled += report.quantity;
            taker.open -= report.quantity;
            if taker.open == 0 {
                self.end(report.counterparty_tag, 0);
            }
        } else if is(ReportKind::Cancelled) {
            self.end(report.tag, report.reason);
        } else if is(ReportKind::Reduced) {
            outcome.open = report.open;
            if report.reason == CancelReason::Requested as u16 {
                outcome.original -= report.quantity;
            }
        } else if is(ReportKind::Replaced) {
            (outcome.original, outcome.open) = (report.quantity, report.open);
        }
    }

    fn name(&self, tag: u32) -> u128 {
        self.entries.get(tag as usize).map_or(0, |entry| entry.client_order_id)
    }
}

/// Keeps the entries in step with the book's reports, and hands those on.
struct Follower<'a, S> {
    entries: &'a mut Entries,
    sink: &'a mut S,
    /// The entry of the order that is being entered.
    entered: Option<u32>,
}

impl<S: DeskSink> ReportSink for Follower<'_, S> {
    fn report(&mut self, report: &OrderReport) {
        let is_named = report.number != 0 && !report.is(ReportKind::Rejected);
        let name = match self.entered {
            Some(entered) if !is_named => self.entries.name(entered),
            _ if is_named => self.entries.name(report.tag),
            _ => 0,
        };
        let is_trade = report.is(ReportKind::Trade);
        let counterparty = if is_trade { self.entries.name(report.counterparty_tag) } else { 0 };
        self.entries.follow(report, self.entered);
        self.sink.report(report, name, counterparty);
    }
}

#[cfg(test)]
mod tests;
