//! Drives clients: one thread, any number of them, in a closed or an open loop.
//!
//! Batches are taken from a schedule that all drivers share, so that no client waits for a slower one at the end. In an
//! open loop latencies count from the intended time, so that whatever delays a batch, in the node, on the way or in
//! this very process, is counted for every batch that it delays.

use crate::constants::{
    CLOCK_EVENTS_MAX, DRIVER_WAIT_MAX, LATENCY_US_MAX, LATENCY_US_MIN, PROGRESS_INTERVAL,
    TIMER_SLACK_NS,
};
use crate::mix::BatchKind;
use crate::orders::OrderFlow;
use crate::schedule::{Deal, Schedule};
use crate::tally::{Tally, Truth};
use crate::{Acknowledged, BenchOptions, LoadError, Observer, Phase, Progress};
use mizan_client::{Client, ClientError, Completion, Outcome, Reply, RequestId};
use mizan_wire::{Operation, Status};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What all drivers of a run share.
pub(crate) struct Shared<'a> {
    pub(crate) truth: Truth<'a>,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) schedule: Schedule,
    pub(crate) started: Instant,
    pub(crate) events_done: AtomicU64,
    /// A driver has failed; the others stop.
    pub(crate) is_cancelled: AtomicBool,
}

struct Pending {
    id: RequestId,
    batch_index: u64,
    /// From when its latency counts, in nanoseconds since the start of the run.
    since_ns: u64,
}

/// The time since the start of the run. In an open loop every question is a look at the clock.
struct RunClock {
    started: Instant,
    now_ns: u64,
    /// Batches for which a look holds, and how many of them are left.
    stride: u32,
    left: u32,
}

impl RunClock {
    fn new(started: Instant, options: &BenchOptions) -> Self {
        let stride = if options.rate.is_some() { 1 } else { CLOCK_EVENTS_MAX / options.batch };
        Self { started, now_ns: 0, stride: stride.max(1), left: 0 }
    }

    /// The next question is a look at the clock.
    fn expire(&mut self) {
        self.left = 0;
    }

    fn look(&mut self) -> u64 {
        self.now_ns = nanoseconds(self.started.elapsed());
        self.left = self.stride - 1;
        self.now_ns
    }

    /// The time for the next batch: that of the last look, if it is recent.
    fn next(&mut self) -> u64 {
        if self.left == 0 {
            return self.look();
        }
        self.left -= 1;
        self.now_ns
    }
}

/// A client, what it is to send, and what it has in flight.
pub(crate) struct Lane {
    pub(crate) client_index: u32,
    pub(crate) client: Client,
    dealt: VecDeque<u64>,
    pending: VecDeque<Pending>,
    /// Whether there is a reason to look at its socket.
    is_awake: bool,
}

impl Lane {
    pub(crate) fn new(client_index: u32, client: Client) -> Self {
        let (dealt, pending) = (VecDeque::new(), VecDeque::new());
        Self { client_index, client, dealt, pending, is_awake: true }
    }

    fn is_idle(&self) -> bool {
        self.dealt.is_empty() && self.pending.is_empty()
    }
}

pub(crate) struct Driver<'a> {
    shared: &'a Shared<'a>,
    lanes: Vec<Lane>,
    tally: Tally,
    is_out_of_batches: bool,
    /// When the next batch is to leave that has not left because it is too early.
    next_due_ns: u64,
    clock: RunClock,
    progress_at_ns: u64,
    completed_at_ns: u64,
    looked_at_all_ns: u64,
    /// Events that are done and not yet counted in what is shared.
    events_done: u64,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(shared: &'a Shared<'a>, lanes: Vec<Lane>) -> Self {
        Self {
            shared,
            lanes,
            tally: Tally::new(),
            is_out_of_batches: false,
            next_due_ns: u64::MAX,
            clock: RunClock::new(shared.started, shared.truth.options),
            progress_at_ns: 0,
            completed_at_ns: 0,
            looked_at_all_ns: 0,
            events_done: 0,
        }
    }

    /// Sends batches until there are none left and all are answered.
    ///
    /// # Errors
    /// The first that ends a client, or an answer that no right node gives. The sessions are left to the node.
    pub(crate) fn run(mut self) -> Result<(Tally, Vec<Lane>), LoadError> {
        if self.shared.truth.options.rate.is_some() {
            // A coarser timer only makes latencies look worse.
            let _ = rustix::thread::set_current_timer_slack(NonZero::new(TIMER_SLACK_NS));
        }
        loop {
            let mut progress = false;
            self.next_due_ns = u64::MAX;
            for index in 0..self.lanes.len() {
                self.submit(index)?;
                if self.lanes[index].is_awake {
                    progress |= self.collect(index)?;
                } else {
                    self.lanes[index].client.flush();
                }
            }
            let is_idle = self.lanes.iter().all(Lane::is_idle);
            let is_cancelled = self.shared.is_cancelled.load(Ordering::Relaxed);
            if is_cancelled || (is_idle && self.is_out_of_batches) {
                self.tally.settle();
                return Ok((self.tally, self.lanes));
            }
            if progress {
                self.find_awake(Duration::ZERO);
            } else {
                self.check_patience()?;
                self.find_awake(self.patience(DRIVER_WAIT_MAX));
            }
        }
    }

    /// Batches of unknown fate stay in the node's window, so that at last nothing may be submitted any more.
    fn check_patience(&mut self) -> Result<(), LoadError> {
        let now_ns = self.clock.look();
        if self.lanes.iter().all(|lane| lane.pending.is_empty()) {
            // Nothing is owed by the node: an open loop may just be slow.
            self.completed_at_ns = now_ns;
        }
        let longest = self.shared.truth.options.request_timeout * 2;
        if now_ns.saturating_sub(self.completed_at_ns) > nanoseconds(longest) {
            let what = "no batch was answered for twice the request timeout";
            return Err(LoadError::Client { what, error: ClientError::Unknown });
        }
        Ok(())
    }

    fn submit(&mut self, index: usize) -> Result<(), LoadError> {
        let options = self.shared.truth.options;
        self.clock.expire();
        loop {
            let lane = &mut self.lanes[index];
            let has_room = lane.pending.len() < options.in_flight as usize
                && lane.client.can_submit(options.batch);
            if !has_room {
                return Ok(());
            }
            let now_ns = self.clock.next();
            if lane.dealt.is_empty() && !self.is_out_of_batches {
                match self.shared.schedule.deal(now_ns) {
                    Deal::Batches(first, end) => lane.dealt.extend(first..end),
                    Deal::NotBefore(due_ns) => self.next_due_ns = self.next_due_ns.min(due_ns),
                    Deal::Over => self.is_out_of_batches = true,
                }
            }
            let Some(batch_index) = lane.dealt.front().copied() else { return Ok(()) };
            let intended_ns = self.shared.schedule.intended_ns(batch_index);
            if let Some(due_ns) = intended_ns.filter(|due_ns| *due_ns > now_ns) {
                self.next_due_ns = self.next_due_ns.min(due_ns);
                return Ok(());
            }
            if !self.send(index, batch_index, now_ns, intended_ns)? {
                return Ok(());
            }
        }
    }

    /// Hands a batch to its client; false if the client has no room after all.
    fn send(
        &mut self,
        index: usize,
        batch_index: u64,
        now_ns: u64,
        intended_ns: Option<u64>,
    ) -> Result<bool, LoadError> {
        let Truth { options, workload, .. } = self.shared.truth;
        let lane = &mut self.lanes[index];
        let count = options.batch_size(batch_index) as usize;
        let submitted = if let Some(flow) = self.shared.truth.orders {
            let operation = flow.command(batch_index).operation();
            let size = count * operation.event_size();
            lane.client.submit_with(operation, size, |body| flow.fill(batch_index, body))
        } else if workload.kind(batch_index) == BatchKind::Lookups {
            lane.client.submit_with(Operation::LookupAccounts, count * 16, |body| {
                let mut places = body.as_chunks_mut::<16>().0.iter_mut();
                workload.each_lookup(batch_index, count, |account| {
                    if let Some(place) = places.next() {
                        *place = workload.account_id(account).to_le_bytes();
                    }
                });
            })
        } else {
            lane.client.submit_with(Operation::CreateTransfers, count * 128, |body| {
                workload.fill(batch_index, body);
            })
        };
        let id = match submitted {
            Ok(id) => id,
            Err(ClientError::WouldExceedWindow) => return Ok(false),
            Err(error) => {
                return Err(LoadError::client("a batch could not be submitted")(error));
            }
        };
        if let Some(intended_ns) = intended_ns {
            self.tally.send_delay.saturating_record(microseconds(now_ns - intended_ns));
        }
        let since_ns = intended_ns.unwrap_or(now_ns);
        lane.pending.push_back(Pending { id, batch_index, since_ns });
        lane.dealt.pop_front();
        Ok(true)
    }

    /// Takes what is answered, without waiting, unless this is the only client: then waiting is up to it.
    ///
    /// Reads once: what takes the place of the answered batches is to leave before more is read, so that the node has
    /// something to do.
    fn collect(&mut self, index: usize) -> Result<bool, LoadError> {
        let is_alone = self.lanes.len() == 1 && !self.lanes[0].pending.is_empty();
        let timeout = if is_alone { self.patience(PROGRESS_INTERVAL) } else { Duration::ZERO };
        let lane = &mut self.lanes[index];
        if lane.pending.is_empty() && self.is_out_of_batches {
            return Ok(false);
        }
        let mut ready = lane
            .client
            .poll(timeout)
            .map_err(LoadError::client("a client ended in the middle of the run"))?;
        let progress = ready.is_some();
        self.clock.expire();
        while let Some(completion) = ready {
            self.complete(index, &completion)?;
            ready = self.lanes[index].client.take_ready();
        }
        self.report_progress();
        Ok(progress)
    }

    fn complete(&mut self, index: usize, completion: &Completion) -> Result<(), LoadError> {
        let truth = self.shared.truth;
        let lane = &mut self.lanes[index];
        let Some(position) = lane.pending.iter().position(|pending| pending.id == completion.id)
        else {
            return Ok(());
        };
        let pending =
            if position == 0 { lane.pending.pop_front() } else { lane.pending.remove(position) };
        let Some(pending) = pending else { return Ok(()) };
        self.completed_at_ns = self.clock.next();
        let client_index = lane.client_index;
        let batch_index = pending.batch_index;
        let count = u64::from(truth.options.batch_size(batch_index));
        match &completion.outcome {
            Outcome::Reply(reply) => {
                let latency_us = microseconds(self.completed_at_ns - pending.since_ns);
                self.tally.take_latency(self.completed_at_ns, count, latency_us);
                if let Some(flow) = truth.orders {
                    self.acknowledge_orders(flow, batch_index, reply)?;
                } else if completion.operation == Operation::LookupAccounts {
                    self.tally.take_lookups(&truth, batch_index, reply)?;
                } else {
                    self.acknowledge(client_index, batch_index, reply)?;
                }
            }
            Outcome::Refused(status) => self.tally.count_error(status.name(), count),
            Outcome::NotSent => {
                let what = "a batch found no node";
                return Err(LoadError::Client { what, error: ClientError::NotSent });
            }
            Outcome::Unknown => self.tally.unknown_batches.push(batch_index),
        }
        self.events_done += count;
        Ok(())
    }

    fn acknowledge(
        &mut self,
        client_index: u32,
        batch_index: u64,
        reply: &Reply,
    ) -> Result<(), LoadError> {
        let truth = self.shared.truth;
        let created = self.tally.take_transfers(&truth, batch_index, reply)?;
        self.tally.replayed_batches += u64::from(reply.replayed);
        self.shared.observer.on_acknowledged(&Acknowledged {
            client_index,
            batch_index,
            first_id: truth.workload.first_id(batch_index),
            count: truth.options.batch_size(batch_index),
            created,
            sequence: reply.sequence,
            replayed: reply.replayed,
        });
        Ok(())
    }

    fn acknowledge_orders(
        &mut self,
        flow: &OrderFlow,
        batch_index: u64,
        reply: &Reply,
    ) -> Result<(), LoadError> {
        let count = self.shared.truth.options.batch_size(batch_index);
        let Tally { orders, error_statuses, replayed_batches, .. } = &mut self.tally;
        *replayed_batches += u64::from(reply.replayed);
        orders.take(flow, batch_index, count, reply, error_statuses)
    }

    fn report_progress(&mut self) {
        let news = std::mem::take(&mut self.events_done);
        if news == 0 {
            return;
        }
        let done = self.shared.events_done.fetch_add(news, Ordering::Relaxed) + news;
        let total = self.shared.truth.options.transfers;
        let since_ns = self.completed_at_ns - self.progress_at_ns;
        if done == total || since_ns >= nanoseconds(PROGRESS_INTERVAL) {
            self.progress_at_ns = self.completed_at_ns;
            let progress = Progress { phase: Phase::Transfers, done, total };
            self.shared.observer.on_progress(&progress);
        }
    }

    /// How long nothing but an answer can change anything, at most so long.
    fn patience(&self, longest: Duration) -> Duration {
        if self.next_due_ns == u64::MAX {
            return longest;
        }
        let now_ns = nanoseconds(self.shared.started.elapsed());
        longest.min(Duration::from_nanos(self.next_due_ns.saturating_sub(now_ns)))
    }

    /// Finds out which clients can go on, and sleeps until one can, but no longer than so.
    fn find_awake(&mut self, pause: Duration) {
        if self.lanes.len() == 1 && pause.is_zero() {
            return;
        }
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(pause.subsec_nanos()) };
        let mut sockets = Vec::with_capacity(self.lanes.len());
        let mut owners = Vec::with_capacity(self.lanes.len());
        let mut awake = vec![self.lanes.len() == 1; self.lanes.len()];
        for (index, lane) in self.lanes.iter().enumerate() {
            if lane.pending.is_empty() {
                continue;
            }
            let Some(socket) = lane.client.socket() else {
                // It is to connect anew, which no socket announces.
                awake[index] = true;
                continue;
            };
            let mut events = PollFlags::IN;
            events.set(PollFlags::OUT, lane.client.wants_write());
            sockets.push(PollFd::from_borrowed_fd(socket, events));
            owners.push(index);
        }
        // Whatever ends the wait, the next round finds out what there is to do.
        let _ = rustix::event::poll(&mut sockets, Some(&timeout));
        for (owner, socket) in owners.into_iter().zip(&sockets) {
            awake[owner] |= !socket.revents().is_empty();
        }
        drop(sockets);
        // The clients' own timers are not known here, so each gets its turn now and then.
        let now_ns = self.clock.look();
        let is_time_for_all = now_ns - self.looked_at_all_ns >= nanoseconds(DRIVER_WAIT_MAX);
        if is_time_for_all {
            self.looked_at_all_ns = now_ns;
        }
        for (lane, awake) in self.lanes.iter_mut().zip(awake) {
            lane.is_awake = awake || is_time_for_all;
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Within the bounds of the histograms.
fn microseconds(time_ns: u64) -> u64 {
    (time_ns / 1_000).clamp(LATENCY_US_MIN, LATENCY_US_MAX)
}
