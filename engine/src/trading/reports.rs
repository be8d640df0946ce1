//! Execution reports: the last ones of all accounts in one ring, chained per account, with links that skip many.
//!
//! Invariants: the reports of an account are numbered from 1 without gaps; those from `first` to `count` are kept.
//!
//! What is absent: reports of commands that were refused; the reply tells of them.

use crate::trading::limits::NONE;
use crate::trading::order::OpenList;
use mizan_memory::{prefetch_lines, prefetch_push, reserve_touched};
use mizan_wire::trading::ExecutionKind;

/// Places of reports are asked for so many reports ahead.
const PUSHES_AHEAD: usize = 8;
/// A link skips to the account's report before whose number is a multiple of this: one among a million is found in
/// 2,000 steps.
const STRIDE: u64 = 1_024;

/// What is kept of one report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) fee: i128,
    pub(crate) transfer_id: u128,
    pub(crate) number: u64,
    pub(crate) timestamp: u64,
    pub(crate) sequence: u64,
    pub(crate) price: u64,
    pub(crate) quantity: u64,
    pub(crate) open: u64,
    pub(crate) filled: u64,
    /// The account's report before it, as a count of all reports; meaningless for its first.
    pub(crate) previous: u64,
    /// The account's report before it whose number is a multiple of the stride, as a count of all reports; meaningless
    /// if there is none.
    pub(crate) skip: u64,
    pub(crate) order: u32,
    pub(crate) trader: u32,
    pub(crate) reason: u16,
    pub(crate) kind: ExecutionKind,
    pub(crate) marks: u8,
}

/// What trading knows of an account: a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Trader {
    /// Reports given so far.
    pub(crate) report_count: u64,
    /// The first one that is kept.
    pub(crate) report_first: u64,
    /// The last one, as a count of all reports.
    report_last: u64,
    /// The last one whose number is a multiple of the stride, as a count of all reports.
    report_stride: u64,
    pub(crate) open: OpenList,
}

impl Trader {
    pub(crate) const NEW: Self = Self {
        report_count: 0,
        report_first: 1,
        report_last: 0,
        report_stride: 0,
        open: OpenList::EMPTY,
    };

    /// Whether the account has open orders.
    #[inline]
    pub(crate) const fn has_open(&self) -> bool {
        self.open.head != NONE
    }
}

/// See the module.
pub(crate) struct Reports {
    ring: Vec<Report>,
    count: u64,
    count_max: u64,
    /// Where the next one goes.
    place: usize,
}

impl Reports {
    pub(crate) fn new(count_max: usize) -> Self {
        Self { ring: reserve_touched(count_max), count: 0, count_max: count_max as u64, place: 0 }
    }

    /// Numbers a report and keeps it, in the place of the oldest one if need be.
    #[inline]
    pub(crate) fn push(&mut self, mut report: Report, traders: &mut [Trader]) {
        let trader = &mut traders[report.trader as usize];
        trader.report_count += 1;
        report.number = trader.report_count;
        report.previous = std::mem::replace(&mut trader.report_last, self.count);
        report.skip = trader.report_stride;
        if report.number.is_multiple_of(STRIDE) {
            trader.report_stride = self.count;
        }
        if self.count < self.count_max {
            prefetch_push::<2, _>(&self.ring, PUSHES_AHEAD);
            self.ring.push(report);
        } else {
            prefetch_lines::<2, _>(&self.ring, self.place + PUSHES_AHEAD);
            let dropped = std::mem::replace(&mut self.ring[self.place], report);
            traders[dropped.trader as usize].report_first = dropped.number + 1;
        }
        self.place += 1;
        if self.place as u64 == self.count_max {
            self.place = 0;
        }
        self.count += 1;
    }

    /// Adds so many of an account's kept reports from a number on to a list, the last one first. Cost: a step for each,
    /// and for what comes after them one for each stride, and a stride.
    pub(crate) fn collect(
        &self,
        trader: &Trader,
        from: u64,
        count: usize,
        found: &mut Vec<Report>,
    ) {
        let from = from.max(trader.report_first);
        let end = trader.report_count.min(from.saturating_add(count as u64).saturating_sub(1));
        if from > end {
            return;
        }
        let mut place = trader.report_last;
        let mut number = trader.report_count;
        while number > end {
            let report = self.at(place);
            let skipped = (number - 1) / STRIDE * STRIDE;
            (number, place) = match skipped >= end {
                true => (skipped, report.skip),
                false => (number - 1, report.previous),
            };
        }
        for _ in from..=end {
            let report = self.at(place);
            found.push(*report);
            place = report.previous;
        }
    }

    fn at(&self, place: u64) -> &Report {
        &self.ring[(place % self.count_max) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(trader: u32, order: u32) -> Report {
        Report {
            fee: 0,
            transfer_id: 0,
            number: 0,
            timestamp: 0,
            sequence: 0,
            price: 0,
            quantity: 0,
            open: 0,
            filled: 0,
            previous: 0,
            skip: 0,
            order,
            trader,
            reason: 0,
            kind: ExecutionKind::New,
            marks: 0,
        }
    }

    #[test]
    fn an_account_whose_reports_were_dropped_knows_the_first_that_is_left() {
        let mut traders = [Trader::NEW; 3];
        let mut reports = Reports::new(4);
        for (order, trader) in [0, 0, 1, 0, 1, 0].into_iter().enumerate() {
            reports.push(report(trader, order as u32), &mut traders);
        }
        let orders_of = |trader: usize, from: u64| {
            let mut found = Vec::new();
            reports.collect(&traders[trader], from, 10, &mut found);
            found.iter().map(|report| (report.number, report.order)).collect::<Vec<_>>()
        };
        assert_eq!(orders_of(0, 0), [(4, 5), (3, 3)]);
        assert_eq!(orders_of(0, 4), [(4, 5)]);
        assert_eq!(orders_of(1, 1), [(2, 4), (1, 2)]);
        assert_eq!(orders_of(1, 3), []);
        assert_eq!(orders_of(2, 0), []);
        assert_eq!((traders[0].report_first, traders[1].report_first), (3, 1));
    }

    #[test]
    fn any_part_of_many_reports_is_found_also_when_old_ones_were_dropped() {
        for kept in [3 * STRIDE, 20 * STRIDE] {
            let mut traders = [Trader::NEW; 2];
            let mut reports = Reports::new(kept as usize);
            for order in 0..6 * STRIDE as u32 {
                reports.push(report(u32::from(order % 3 == 0), order), &mut traders);
            }
            for trader in &traders {
                let first = trader.report_first;
                for from in (first.saturating_sub(2)..trader.report_count + 3).step_by(97) {
                    for count in [0, 1, 5, 2_000] {
                        let mut found = Vec::new();
                        reports.collect(trader, from, count, &mut found);
                        let end = (from.max(first) + count as u64).min(trader.report_count + 1);
                        let numbers = found.iter().rev().map(|report| report.number);
                        assert!(numbers.eq(from.max(first)..end), "{from} {count}");
                    }
                }
            }
        }
    }
}
