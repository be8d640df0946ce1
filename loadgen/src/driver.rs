//! Drives clients in a closed loop: one thread, any number of them.
//!
//! Batches are taken from a counter that all drivers share, so that no client waits for a slower one at the end.

use crate::constants::{
    DRIVER_WAIT_MAX, LATENCY_DIGITS, LATENCY_US_MAX, LATENCY_US_MIN, PROGRESS_INTERVAL,
};
use crate::created::Created;
use crate::{
    Acknowledged, BenchOptions, LoadError, Observer, Phase, Progress, UniformTransfers, Workload,
};
use hdrhistogram::Histogram;
use mizan_client::{Client, ClientError, Completion, Outcome, Reply, RequestId};
use mizan_wire::{CREATED, CreateTransferStatus, Operation, RequestStatus, Status, Transfer};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

/// What all drivers of a run share.
pub(crate) struct Shared<'a> {
    pub(crate) options: &'a BenchOptions,
    pub(crate) workload: &'a UniformTransfers,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) next_batch: AtomicU64,
    pub(crate) transfers_done: AtomicU64,
    /// A driver has failed; the others stop.
    pub(crate) is_cancelled: AtomicBool,
}

/// What one driver, or all of them together, found.
pub(crate) struct Tally {
    pub(crate) created: Created,
    pub(crate) latency: Histogram<u64>,
    pub(crate) error_statuses: BTreeMap<String, u64>,
    pub(crate) unknown_batches: Vec<u64>,
    pub(crate) replayed_batches: u64,
}

impl Tally {
    pub(crate) fn new(transfers: u64) -> Self {
        let latency = Histogram::new_with_bounds(LATENCY_US_MIN, LATENCY_US_MAX, LATENCY_DIGITS)
            .expect("invariant: the bounds of the histogram are valid");
        Self {
            created: Created::new(transfers),
            latency,
            error_statuses: BTreeMap::new(),
            unknown_batches: Vec::new(),
            replayed_batches: 0,
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.created.merge(&other.created);
        self.latency.add(other.latency).expect("invariant: all histograms have the same bounds");
        for (name, count) in other.error_statuses {
            *self.error_statuses.entry(name).or_default() += count;
        }
        self.unknown_batches.extend(other.unknown_batches);
        self.replayed_batches += other.replayed_batches;
    }

    fn count_error(&mut self, name: &str, count: u64) {
        match self.error_statuses.get_mut(name) {
            Some(counted) => *counted += count,
            None => {
                self.error_statuses.insert(name.to_owned(), count);
            }
        }
    }
}

struct Pending {
    id: RequestId,
    batch_index: u64,
    submitted_at: Instant,
}

/// A client and what it has in flight.
pub(crate) struct Lane {
    pub(crate) client_index: u32,
    pub(crate) client: Client,
    pending: VecDeque<Pending>,
}

impl Lane {
    pub(crate) fn new(client_index: u32, client: Client) -> Self {
        Self { client_index, client, pending: VecDeque::new() }
    }
}

pub(crate) struct Driver<'a> {
    shared: &'a Shared<'a>,
    lanes: Vec<Lane>,
    transfers: Vec<Transfer>,
    tally: Tally,
    is_out_of_batches: bool,
    progress_at: Instant,
    completed_at: Instant,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(shared: &'a Shared<'a>, lanes: Vec<Lane>) -> Self {
        Self {
            shared,
            lanes,
            transfers: vec![Transfer::default(); shared.options.batch as usize],
            tally: Tally::new(shared.options.transfers),
            is_out_of_batches: false,
            progress_at: Instant::now(),
            completed_at: Instant::now(),
        }
    }

    /// Sends batches until there are none left and all are answered.
    ///
    /// # Errors
    /// The first that ends a client. The sessions are left to the node.
    pub(crate) fn run(mut self) -> Result<(Tally, Vec<Lane>), LoadError> {
        loop {
            let mut progress = false;
            for index in 0..self.lanes.len() {
                self.submit(index)?;
                progress |= self.collect(index)?;
            }
            let is_idle = self.lanes.iter().all(|lane| lane.pending.is_empty());
            let is_cancelled = self.shared.is_cancelled.load(Ordering::Relaxed);
            if is_cancelled || (is_idle && self.is_out_of_batches) {
                return Ok((self.tally, self.lanes));
            }
            if !progress {
                self.check_patience()?;
                self.wait();
            }
        }
    }

    /// Batches of unknown fate stay in the node's window, so that at last nothing may be submitted any more.
    fn check_patience(&self) -> Result<(), LoadError> {
        if self.completed_at.elapsed() > self.shared.options.request_timeout * 2 {
            let what = "no batch was answered for twice the request timeout";
            return Err(LoadError::Client { what, error: ClientError::Unknown });
        }
        Ok(())
    }

    fn submit(&mut self, index: usize) -> Result<(), LoadError> {
        let options = self.shared.options;
        let lane = &mut self.lanes[index];
        while !self.is_out_of_batches
            && lane.pending.len() < options.in_flight as usize
            && lane.client.can_submit(options.batch)
        {
            let batch_index = self.shared.next_batch.fetch_add(1, Ordering::Relaxed);
            if batch_index >= options.batch_count() {
                self.is_out_of_batches = true;
                break;
            }
            let transfers = &mut self.transfers[..options.batch_size(batch_index) as usize];
            self.shared.workload.fill(batch_index, transfers);
            let submitted_at = Instant::now();
            let id = lane
                .client
                .submit(Operation::CreateTransfers, transfers.as_bytes())
                .map_err(LoadError::client("a batch of transfers could not be submitted"))?;
            lane.pending.push_back(Pending { id, batch_index, submitted_at });
        }
        Ok(())
    }

    /// Takes what is answered, without waiting, unless this is the only client: then waiting is up to it.
    fn collect(&mut self, index: usize) -> Result<bool, LoadError> {
        let mut timeout = if self.lanes.len() == 1 { PROGRESS_INTERVAL } else { Duration::ZERO };
        let mut progress = false;
        loop {
            let lane = &mut self.lanes[index];
            if lane.pending.is_empty() && (progress || self.is_out_of_batches) {
                return Ok(progress);
            }
            let completion = lane
                .client
                .poll(timeout)
                .map_err(LoadError::client("a client ended in the middle of the run"))?;
            let Some(completion) = completion else { return Ok(progress) };
            self.complete(index, &completion)?;
            progress = true;
            timeout = Duration::ZERO;
        }
    }

    fn complete(&mut self, index: usize, completion: &Completion) -> Result<(), LoadError> {
        let lane = &mut self.lanes[index];
        let Some(position) = lane.pending.iter().position(|pending| pending.id == completion.id)
        else {
            return Ok(());
        };
        let Some(pending) = lane.pending.remove(position) else { return Ok(()) };
        self.completed_at = Instant::now();
        let client_index = lane.client_index;
        let count = self.shared.options.batch_size(pending.batch_index);
        match &completion.outcome {
            Outcome::Reply(reply) => {
                let latency = pending.submitted_at.elapsed().as_micros();
                let latency_us = u64::try_from(latency).unwrap_or(LATENCY_US_MAX);
                self.tally.latency.saturating_record(latency_us.max(LATENCY_US_MIN));
                self.acknowledge(client_index, pending.batch_index, count, reply);
            }
            Outcome::Refused(status) => self.refuse(*status, count),
            Outcome::NotSent => {
                let what = "a batch of transfers found no node";
                return Err(LoadError::Client { what, error: ClientError::NotSent });
            }
            Outcome::Unknown => self.tally.unknown_batches.push(pending.batch_index),
        }
        let done = self.shared.transfers_done.fetch_add(u64::from(count), Ordering::Relaxed);
        self.report_progress(done + u64::from(count));
        Ok(())
    }

    fn acknowledge(&mut self, client_index: u32, batch_index: u64, count: u32, reply: &Reply) {
        let first = batch_index * u64::from(self.shared.options.batch);
        let exceptions = reply.exceptions();
        self.tally.created.insert_range(first, u64::from(count));
        let mut created = count;
        for exception in exceptions.iter().filter(|exception| exception.status != CREATED) {
            created -= 1;
            self.tally.created.remove(first + u64::from(exception.index));
            let status = CreateTransferStatus::from_number(exception.status);
            self.tally.count_error(status.map_or("a status without a name", Status::name), 1);
        }
        self.tally.replayed_batches += u64::from(reply.replayed);
        self.shared.observer.on_acknowledged(&Acknowledged {
            client_index,
            batch_index,
            first_id: self.shared.workload.first_id(batch_index),
            count,
            created,
            sequence: reply.sequence,
            replayed: reply.replayed,
        });
    }

    fn refuse(&mut self, status: RequestStatus, count: u32) {
        self.tally.count_error(status.name(), u64::from(count));
    }

    fn report_progress(&mut self, done: u64) {
        let total = self.shared.options.transfers;
        if self.progress_at.elapsed() >= PROGRESS_INTERVAL || done == total {
            self.progress_at = Instant::now();
            let progress = Progress { phase: Phase::Transfers, done, total };
            self.shared.observer.on_progress(&progress);
        }
    }

    /// Sleeps until any client can go on.
    fn wait(&self) {
        let mut sockets: Vec<PollFd<'_>> = self
            .lanes
            .iter()
            .filter(|lane| !lane.pending.is_empty())
            .filter_map(|lane| {
                let mut events = PollFlags::IN;
                events.set(PollFlags::OUT, lane.client.wants_write());
                Some(PollFd::from_borrowed_fd(lane.client.socket()?, events))
            })
            .collect();
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(DRIVER_WAIT_MAX.subsec_nanos()) };
        // Whatever ends the wait, the next round finds out what there is to do.
        let _ = rustix::event::poll(&mut sockets, Some(&timeout));
    }
}
