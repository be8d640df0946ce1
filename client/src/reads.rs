//! Reads in flight: tagged, independent of each other, and free to be asked again.
//!
//! A read that timed out keeps its place until its reply arrives or the connection ends, so that every reply can be
//! told from nonsense.

use crate::constants::{READ_TAG_BIT, READS_IN_FLIGHT_MAX, REFUSAL_DELAY_FIRST, REFUSAL_DELAY_MAX};
use crate::reply::{Outcome, RequestId};
use bytes::Bytes;
use mizan_wire::{Operation, RequestStatus};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ReadState {
    Queued,
    Sent { at: Instant },
    Waiting { until: Instant },
}

#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) id: RequestId,
    pub(crate) tag: u64,
    pub(crate) operation: Operation,
    pub(crate) event_count: u32,
    pub(crate) body: Bytes,
    deadline: Instant,
    state: ReadState,
    delay: Duration,
    refusal: Option<RequestStatus>,
    was_sent: bool,
    reported: bool,
}

impl Read {
    pub(crate) fn is_reported(&self) -> bool {
        self.reported
    }
}

#[derive(Debug, Default)]
pub(crate) struct Reads {
    reads: VecDeque<Read>,
    tag_last: u64,
    queued: usize,
    waiting: usize,
}

impl Reads {
    pub(crate) fn has_room(&self) -> bool {
        self.reads.len() < READS_IN_FLIGHT_MAX
    }

    /// Reads that are not reported yet.
    pub(crate) fn unreported(&self) -> usize {
        self.reads.iter().filter(|read| !read.reported).count()
    }

    pub(crate) fn push(
        &mut self,
        id: RequestId,
        operation: Operation,
        event_count: u32,
        body: Bytes,
        deadline: Instant,
    ) {
        self.tag_last += 1;
        self.queued += 1;
        self.reads.push_back(Read {
            id,
            tag: self.tag_last | READ_TAG_BIT,
            operation,
            event_count,
            body,
            deadline,
            state: ReadState::Queued,
            delay: REFUSAL_DELAY_FIRST,
            refusal: None,
            was_sent: false,
            reported: false,
        });
    }

    /// The next read to be sent; it counts as sent from now on.
    pub(crate) fn take_next(&mut self, now: Instant) -> Option<&Read> {
        if self.queued == 0 {
            return None;
        }
        let read = self.reads.iter_mut().find(|read| read.state == ReadState::Queued)?;
        read.state = ReadState::Sent { at: now };
        read.was_sent = true;
        self.queued -= 1;
        Some(read)
    }

    /// The read that a reply with this tag answers, if it waits for one.
    pub(crate) fn find_sent(&self, tag: u64) -> Option<&Read> {
        self.reads
            .iter()
            .find(|read| read.tag == tag && matches!(read.state, ReadState::Sent { .. }))
    }

    /// Takes out a read that is answered for good.
    pub(crate) fn take(&mut self, tag: u64) -> Option<Read> {
        let position = self.reads.iter().position(|read| read.tag == tag)?;
        self.reads.remove(position)
    }

    /// A refusal that may pass: the read is asked again after a pause. A reported one is forgotten instead.
    pub(crate) fn refused_for_now(&mut self, tag: u64, status: RequestStatus, now: Instant) {
        let Some(position) = self.reads.iter().position(|read| read.tag == tag) else { return };
        let read = &mut self.reads[position];
        if read.reported {
            self.reads.remove(position);
            return;
        }
        read.refusal = Some(status);
        read.state = ReadState::Waiting { until: now + read.delay };
        read.delay = (read.delay * 2).min(REFUSAL_DELAY_MAX);
        self.waiting += 1;
    }

    /// Queues what has waited long enough; says when the next one is due.
    pub(crate) fn settle(&mut self, now: Instant) -> Option<Instant> {
        if self.waiting == 0 {
            return None;
        }
        let mut next: Option<Instant> = None;
        for read in &mut self.reads {
            match read.state {
                ReadState::Waiting { until } if until <= now => {
                    read.state = ReadState::Queued;
                    self.waiting -= 1;
                    self.queued += 1;
                }
                ReadState::Waiting { until } => next = Some(next.map_or(until, |n| n.min(until))),
                _ => {}
            }
        }
        next
    }

    /// The connection is gone: all that matters is asked again on the next one.
    pub(crate) fn disconnected(&mut self) {
        self.reads.retain(|read| !read.reported);
        for read in &mut self.reads {
            read.state = ReadState::Queued;
        }
        self.queued = self.reads.len();
        self.waiting = 0;
    }

    /// Reports reads whose time is over through `report`; gives the time since which the oldest of those has waited
    /// for the node.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        mut report: impl FnMut(&Read, Outcome),
    ) -> Option<Instant> {
        let mut silent_since: Option<Instant> = None;
        // Deadlines ascend, so the search may stop at the first that is not over.
        for read in self.reads.iter_mut().take_while(|read| read.deadline <= now) {
            if read.reported {
                continue;
            }
            read.reported = true;
            report(read, read.outcome_at_deadline());
            if let ReadState::Sent { at } = read.state {
                silent_since = Some(silent_since.map_or(at, |since| since.min(at)));
            }
        }
        self.reads.retain(|read| !read.reported || matches!(read.state, ReadState::Sent { .. }));
        self.recount();
        silent_since
    }

    /// Reports and forgets everything.
    pub(crate) fn fail_all(&mut self, mut report: impl FnMut(&Read, Outcome)) {
        for read in self.reads.drain(..).filter(|read| !read.reported) {
            let outcome = if read.was_sent { Outcome::Unknown } else { Outcome::NotSent };
            report(&read, outcome);
        }
        self.recount();
    }

    /// When the next unreported read's time is over.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.reads.iter().find(|read| !read.reported).map(|read| read.deadline)
    }

    fn recount(&mut self) {
        let is_waiting = |read: &&Read| matches!(read.state, ReadState::Waiting { .. });
        self.queued = self.reads.iter().filter(|read| read.state == ReadState::Queued).count();
        self.waiting = self.reads.iter().filter(is_waiting).count();
    }
}

impl Read {
    fn outcome_at_deadline(&self) -> Outcome {
        match (self.state, self.refusal) {
            (ReadState::Queued | ReadState::Waiting { .. }, Some(status)) => {
                Outcome::Refused(status)
            }
            (ReadState::Queued, None) if !self.was_sent => Outcome::NotSent,
            _ => Outcome::Unknown,
        }
    }
}
