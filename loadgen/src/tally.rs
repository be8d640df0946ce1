//! What a driver counts, and whether each answer is one that a right node may give.

use crate::balances::Balance;
use crate::constants::{CHAIN_LENGTH, LATENCY_DIGITS, LATENCY_US_MAX, LATENCY_US_MIN};
use crate::created::Created;
use crate::mix::BatchKind;
use crate::orders::{OrderFlow, OrderTally};
use crate::timeline::Timeline;
use crate::{BenchOptions, LoadError, Target, Workload};
use hdrhistogram::Histogram;
use mizan_client::Reply;
use mizan_wire::{CREATED, CreateTransferStatus, Status};
use std::collections::BTreeMap;

/// What one driver, or all of them together, found.
pub(crate) struct Tally {
    pub(crate) created: Created,
    pub(crate) orders: OrderTally,
    pub(crate) latency: Histogram<u64>,
    pub(crate) send_delay: Histogram<u64>,
    pub(crate) timeline: Timeline,
    /// Latencies alike that are not yet recorded.
    alike: Alike,
    pub(crate) error_statuses: BTreeMap<String, u64>,
    /// Transfers that were meant to fail, and did.
    pub(crate) failed_as_meant: u64,
    pub(crate) lookups: u64,
    pub(crate) unknown_batches: Vec<u64>,
    pub(crate) replayed_batches: u64,
}

/// Batches that were answered at the same moment, as far as the clock was looked at, with the same latency.
#[derive(Clone, Copy, Default)]
struct Alike {
    at_ns: u64,
    latency_us: u64,
    batches: u64,
    events: u64,
}

/// What answers are compared with.
#[derive(Clone, Copy)]
pub(crate) struct Truth<'a> {
    pub(crate) options: &'a BenchOptions,
    pub(crate) workload: &'a Workload,
    /// What the accounts of transfers held before.
    pub(crate) opening: &'a [Balance],
    /// The flow, if orders are sent instead of transfers.
    pub(crate) orders: Option<&'a OrderFlow>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        let histogram = || {
            Histogram::new_with_bounds(LATENCY_US_MIN, LATENCY_US_MAX, LATENCY_DIGITS)
                .expect("invariant: the bounds of the histogram are valid")
        };
        Self {
            created: Created::default(),
            orders: OrderTally::default(),
            latency: histogram(),
            send_delay: histogram(),
            timeline: Timeline::new(),
            alike: Alike::default(),
            error_statuses: BTreeMap::new(),
            failed_as_meant: 0,
            lookups: 0,
            unknown_batches: Vec::new(),
            replayed_batches: 0,
        }
    }

    /// Notes the latency of a batch with so many events.
    pub(crate) fn take_latency(&mut self, at_ns: u64, events: u64, latency_us: u64) {
        if (self.alike.at_ns, self.alike.latency_us) != (at_ns, latency_us) {
            self.settle();
            self.alike = Alike { at_ns, latency_us, ..Alike::default() };
        }
        self.alike.batches += 1;
        self.alike.events += events;
    }

    /// Records what was noted. To be called before anything is read.
    pub(crate) fn settle(&mut self) {
        let Alike { at_ns, latency_us, batches, events } = std::mem::take(&mut self.alike);
        if batches > 0 {
            self.latency.saturating_record_n(latency_us, batches);
            self.timeline.record(at_ns, events, latency_us);
        }
    }

    pub(crate) fn merge(&mut self, mut other: Self) {
        self.settle();
        other.settle();
        const SAME_BOUNDS: &str = "invariant: all histograms have the same bounds";
        self.created.merge(&other.created);
        self.orders.merge(&other.orders);
        self.latency.add(other.latency).expect(SAME_BOUNDS);
        self.send_delay.add(other.send_delay).expect(SAME_BOUNDS);
        self.timeline.merge(other.timeline);
        for (name, count) in other.error_statuses {
            *self.error_statuses.entry(name).or_default() += count;
        }
        self.failed_as_meant += other.failed_as_meant;
        self.lookups += other.lookups;
        self.unknown_batches.extend(other.unknown_batches);
        self.replayed_batches += other.replayed_batches;
    }

    pub(crate) fn count_error(&mut self, name: &str, count: u64) {
        match self.error_statuses.get_mut(name) {
            Some(counted) => *counted += count,
            None => {
                self.error_statuses.insert(name.to_owned(), count);
            }
        }
    }

    /// Takes in the answer to a batch of transfers; gives how many were created.
    ///
    /// # Errors
    /// A chain of which one part was created and another was not, or that must fail and did not.
    pub(crate) fn take_transfers(
        &mut self,
        truth: &Truth<'_>,
        batch_index: u64,
        reply: &Reply,
    ) -> Result<u32, LoadError> {
        let count = truth.options.batch_size(batch_index);
        let first = batch_index * u64::from(truth.options.batch);
        self.created.insert_range(first, u64::from(count));
        let mut created = count;
        let exceptions = if reply.body.is_empty() { Vec::new() } else { reply.exceptions() };
        for exception in exceptions.iter().filter(|found| found.status != CREATED) {
            created -= 1;
            let place = exception.index as usize;
            self.created.remove(first + place as u64);
            let expected = truth.workload.expected_status(batch_index, place, count as usize);
            if exception.status == expected {
                self.failed_as_meant += 1;
            } else {
                let status = CreateTransferStatus::from_number(exception.status);
                self.count_error(status.map_or("a status without a name", Status::name), 1);
            }
        }
        let is_node = truth.options.target == Target::Node;
        if is_node && truth.workload.kind(batch_index) == BatchKind::Chains {
            self.check_chains(truth.workload, batch_index, first, count as usize)?;
        }
        Ok(created)
    }

    fn check_chains(
        &self,
        workload: &Workload,
        batch_index: u64,
        first: u64,
        count: usize,
    ) -> Result<(), LoadError> {
        for start in (0..count).step_by(CHAIN_LENGTH) {
            let places = start..count.min(start + CHAIN_LENGTH);
            let is_created = |place: usize| self.created.contains(first + place as u64);
            let created = places.clone().filter(|place| is_created(*place)).count();
            let must_fail = workload.expected_status(batch_index, start, count) != CREATED;
            let what = if created != 0 && created != places.len() {
                "one part of a linked chain was created and another was not"
            } else if created != 0 && must_fail {
                "a linked chain was created although one of its transfers is impossible"
            } else {
                continue;
            };
            return Err(LoadError::AnswerWrong { what, batch_index, place: start });
        }
        Ok(())
    }

    /// Takes in the answer to a batch of lookups.
    ///
    /// # Errors
    /// An account that is missing or was not asked for, or holds less than before the run.
    pub(crate) fn take_lookups(
        &mut self,
        truth: &Truth<'_>,
        batch_index: u64,
        reply: &Reply,
    ) -> Result<(), LoadError> {
        let count = truth.options.batch_size(batch_index) as usize;
        let wrong = |what, place| Err(LoadError::AnswerWrong { what, batch_index, place });
        let found = reply.accounts();
        if found.len() != count {
            return wrong("a lookup found not every account, or more", found.len());
        }
        let mut asked = Vec::with_capacity(count);
        truth.workload.each_lookup(batch_index, count, |index| asked.push(index));
        for (place, (index, account)) in asked.into_iter().zip(&found).enumerate() {
            let (ledger, code) = (truth.options.ledger, truth.options.code);
            let id = truth.workload.account_id(index);
            if (account.id, account.ledger, account.code) != (id, ledger, code) {
                return wrong("a lookup found another account than the one asked for", place);
            }
            let before = &truth.opening[index as usize];
            if account.debits_posted < before.debits_posted
                || account.credits_posted < before.credits_posted
            {
                return wrong("a looked-up account holds less than before the run", place);
            }
        }
        self.lookups += count as u64;
        Ok(())
    }
}
