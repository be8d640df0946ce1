//! A book and its model side by side: the same commands to both, and everything that shows must be equal.

use mizan_engine::books::{Book, OpenOrder};
use mizan_model::books::{ModelBook, ModelOrder};
use mizan_wire::orders::{
    BookCapacity, BookCommand, BookRules, OrderHandle, OrderReport, ReportKind, SLOT_NONE, Side,
};
use std::collections::{BTreeMap, BTreeSet};

/// How often each kind of report, and each reason, was seen.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    pub(crate) commands: u64,
    pub(crate) reports: u64,
    pub(crate) kinds: BTreeMap<u8, u64>,
    pub(crate) reasons: BTreeMap<u16, u64>,
}

impl Coverage {
    fn add(&mut self, reports: &[OrderReport]) {
        self.commands += 1;
        self.reports += reports.len() as u64;
        for report in reports {
            *self.kinds.entry(report.kind).or_default() += 1;
            *self.reasons.entry(report.reason).or_default() += 1;
        }
    }
}

/// See the module.
pub(crate) struct Pair {
    pub(crate) book: Book,
    pub(crate) model: ModelBook,
    reports: Vec<OrderReport>,
    /// Every handle that was ever given, in order.
    pub(crate) handles: Vec<OrderHandle>,
}

impl Pair {
    pub(crate) fn new(rules: BookRules, capacity: BookCapacity) -> Self {
        Self {
            book: Book::new(rules, capacity).expect("the rules are sound"),
            model: ModelBook::new(rules, capacity),
            reports: Vec::new(),
            handles: Vec::new(),
        }
    }

    /// Bounds what the next command may look at, on both.
    pub(crate) fn bound_looks(&mut self, looks: u64) {
        self.book.bound_looks(looks);
        self.model.bound_looks(looks);
    }

    /// Both go on with what waits, and must report the same.
    pub(crate) fn run_waiting(
        &mut self,
        coverage: &mut Coverage,
    ) -> Result<&[OrderReport], String> {
        self.reports.clear();
        self.book.run_waiting(&mut self.reports);
        let expected = self.model.run_waiting();
        coverage.add(&self.reports);
        let shown = |report: &OrderReport| OrderReport { slot: SLOT_NONE, ..*report };
        let found: Vec<OrderReport> = self.reports.iter().map(shown).collect();
        if found != expected {
            return Err(format!("going on gives\n{found:#?}\nand by the model\n{expected:#?}"));
        }
        Ok(&self.reports)
    }

    /// Executes a command on both; gives the book's reports.
    pub(crate) fn apply(
        &mut self,
        command: &BookCommand,
        coverage: &mut Coverage,
    ) -> Result<&[OrderReport], String> {
        self.reports.clear();
        self.book.apply(command, &mut self.reports);
        let expected = self.model.apply(command);
        coverage.add(&self.reports);
        let shown = |report: &OrderReport| OrderReport { slot: SLOT_NONE, ..*report };
        let found: Vec<OrderReport> = self.reports.iter().map(shown).collect();
        if found != expected {
            return Err(format!("{command:?} gives\n{found:#?}\nand by the model\n{expected:#?}"));
        }
        if found.is_empty() {
            return Err(format!("{command:?} gives no report"));
        }
        for report in &self.reports {
            let is_new = report.is(ReportKind::Accepted) || report.is(ReportKind::Dormant);
            if is_new && report.slot != SLOT_NONE {
                self.handles.push(OrderHandle { number: report.number, slot: report.slot });
            }
        }
        Ok(&self.reports)
    }

    /// Compares all queues and depths, and audits the book.
    pub(crate) fn compare_state(&self) -> Result<(), String> {
        self.book.check_invariants().map_err(|error| error.to_string())?;
        let mut slots = BTreeSet::new();
        for side in [Side::Buy, Side::Sell] {
            compare_queue(side, self.book.resting(side), self.model.resting(side), &mut slots)?;
            compare_queue(side, self.book.dormant(side), self.model.dormant(side), &mut slots)?;
            self.compare_depth(side)?;
        }
        let expected: Vec<ModelOrder> = self.model.waiting().iter().cloned().collect();
        compare_queue(Side::Buy, self.book.waiting(), &expected, &mut slots)?;
        let waits = (self.book.is_waiting(), self.model.is_waiting());
        let looks = (self.book.looks_left(), self.model.looks_left().unwrap_or(u64::MAX));
        if waits.0 != waits.1 || looks.0 != looks.1 && self.model.looks_left().is_some() {
            return Err(format!("waiting {waits:?}, looks left {looks:?}"));
        }
        if slots.len() != self.book.order_count() {
            return Err("two orders share a place".to_owned());
        }
        for order in self.book.resting(Side::Buy).chain(self.book.dormant(Side::Sell)) {
            if self.book.order(order.handle) != Some(order) {
                return Err(format!("{order:?} is not found by its handle"));
            }
        }
        Ok(())
    }

    fn compare_depth(&self, side: Side) -> Result<(), String> {
        let mut expected: Vec<(u64, u64, u32)> = Vec::new();
        for order in self.model.resting(side) {
            match expected.last_mut().filter(|level| level.0 == order.terms.price) {
                Some(level) => *level = (level.0, level.1 + order.open(), level.2 + 1),
                None => expected.push((order.terms.price, order.open(), 1)),
            }
        }
        let depth = self.book.depth(side);
        let found: Vec<_> =
            depth.map(|level| (level.price, level.quantity, level.order_count)).collect();
        let at = |price| self.book.depth_at(side, price).map(|level| level.quantity);
        let finds_all = expected.iter().all(|(price, quantity, _)| at(*price) == Some(*quantity));
        let best =
            self.book.best(side).map(|level| (level.price, level.quantity, level.order_count));
        if found != expected || !finds_all || best != expected.first().copied() {
            return Err(format!("{side:?}: depth {found:?}, best {best:?}, expected {expected:?}"));
        }
        Ok(())
    }
}

fn compare_queue(
    side: Side,
    found: impl Iterator<Item = OpenOrder>,
    expected: &[ModelOrder],
    slots: &mut BTreeSet<u32>,
) -> Result<(), String> {
    let found: Vec<OpenOrder> = found.collect();
    slots.extend(found.iter().map(|order| order.handle.slot));
    let found_terms = found.iter().map(|order| {
        let terms = (order.owner, order.tag, order.side, order.kind, order.price, order.stop_price);
        (order.handle.number, terms, order.original, order.open, order.filled)
    });
    let expected_terms = expected.iter().map(|order| {
        let terms = &order.terms;
        let fields =
            (terms.owner, terms.tag, terms.side, terms.kind, terms.price, terms.stop_price);
        (order.number, fields, terms.quantity, order.open(), order.filled)
    });
    match found_terms.eq(expected_terms) {
        true => Ok(()),
        false => Err(format!("{side:?}: orders {found:#?}, expected {expected:#?}")),
    }
}
