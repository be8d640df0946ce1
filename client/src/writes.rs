//! Writes in flight: gap-free numbers, and what happens when some are refused, lost or late.
//!
//! The queue holds, oldest first, all writes that the node has not answered for good. A write's number is its place:
//! the last answered number plus 1 plus its index. Numbers are answered in order, because the node executes them in
//! order.
//!
//! **Refusals.** A refused write consumed no number, so the node refuses all later ones too. The queue then sends
//! nothing new, waits until every copy on the connection is answered, pauses, and sends everything again in order.
//!
//! **Doubt.** A write whose copy went down with a connection is in doubt: it may have been executed. A gateway may then
//! refuse its next copy and yet execute a later write; such a later write is asked again in its turn, and the node
//! repeats its reply.
//!
//! **Giving up.** A number may go to another body only if no copy of the first body can ever run. That is certain for
//! a write that was never sent, and for one that is not in doubt and was refused.
//! Only such a write leaves the queue without having been executed, and the later ones move up. Any other write whose
//! time is over is reported as unknown, keeps its number and body, and is sent again for as long as the session lives;
//! its reply, if it comes, is dropped.
//!
//! What is absent: sockets, clocks, and the meaning of bodies.

use crate::ClientError;
use crate::constants::{REFUSAL_DELAY_FIRST, REFUSAL_DELAY_MAX, WINDOW_BYTES_PER_EVENT};
use crate::reply::{Outcome, RequestId};
use bytes::Bytes;
use mizan_wire::frame::NodeLimits;
use mizan_wire::{Operation, RequestStatus};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum WriteState {
    /// Not sent on this connection.
    Queued,
    /// One copy is on its way on this connection.
    Sent { at: Instant },
    /// The copy on this connection was refused.
    Refused(RequestStatus),
    /// The copy was executed, but that of an earlier write was refused.
    Premature,
}

#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) id: RequestId,
    pub(crate) operation: Operation,
    pub(crate) event_count: u32,
    pub(crate) body: Bytes,
    /// `None` until the client looks at the clock.
    deadline: Option<Instant>,
    state: WriteState,
    was_sent: bool,
    /// Whether a copy may have been executed, in spite of later refusals.
    in_doubt: bool,
    reported: bool,
}

impl Write {
    pub(crate) fn is_reported(&self) -> bool {
        self.reported
    }

    /// Whether no copy can ever run, and why.
    fn certain_refusal(&self) -> Option<RequestStatus> {
        match self.state {
            WriteState::Refused(status) if !self.in_doubt => Some(status),
            _ => None,
        }
    }
}

/// What a refusal means for the write that it answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// Sending it again later may help.
    Passing,
    /// Sending it again here cannot help; another connection may.
    NotHere,
    /// Sending it again can never help.
    Permanent,
}

/// The class of a status other than `Ok`; `None` if it says nothing about the one write that it answers.
pub(crate) fn refusal(status: RequestStatus) -> Option<Refusal> {
    use RequestStatus as Status;
    match status {
        Status::WindowFull
        | Status::JournalSpaceLow
        | Status::Overloaded
        | Status::TooManyInFlight
        | Status::SequenceNotReached
        | Status::RequestNumberGap => Some(Refusal::Passing),
        Status::NotPrimary | Status::ShuttingDown => Some(Refusal::NotHere),
        Status::OperationUnknown
        | Status::EventSizeInvalid
        | Status::EventCountInvalid
        | Status::BodySizeInvalid
        | Status::RequestFlagsInvalid
        | Status::SessionRequired => Some(Refusal::Permanent),
        _ => None,
    }
}

/// What the queue wants after its refusals were looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Settled {
    /// Nothing is refused, or copies are still on their way.
    Idle,
    /// Repetition is due then.
    Wait(Instant),
    /// This connection is of no use any more.
    Leave,
    /// A write can neither be executed nor given up.
    Stuck,
}

/// Bytes that a write may take in the node's window.
fn window_cost(operation: Operation, event_count: u32) -> u64 {
    u64::from(event_count) * window_bytes_per_event(operation)
}

/// Bytes that an event of a write may take in the node's window.
pub(crate) const fn window_bytes_per_event(operation: Operation) -> u64 {
    if operation.is_trading() { operation.result_size() as u64 } else { WINDOW_BYTES_PER_EVENT }
}

#[derive(Debug)]
pub(crate) struct Writes {
    queue: VecDeque<Write>,
    /// All numbers up to this one are answered.
    answered: u64,
    /// `queue[..sent]` are sent or answered, the rest is queued.
    sent: usize,
    /// How many of those are refused or premature.
    refused: usize,
    reported: usize,
    /// Writes at the end that have no deadline yet.
    unstamped: usize,
    window_bytes: u64,
    sequence_last: u64,
    retry_at: Option<Instant>,
    delay: Duration,
    expiry: Option<Instant>,
}

impl Writes {
    /// An empty queue of a session whose last executed write has this number.
    pub(crate) fn new(answered: u64) -> Self {
        Self {
            queue: VecDeque::new(),
            answered,
            sent: 0,
            refused: 0,
            reported: 0,
            unstamped: 0,
            window_bytes: 0,
            sequence_last: 0,
            retry_at: None,
            delay: REFUSAL_DELAY_FIRST,
            expiry: None,
        }
    }

    /// Replies up to this number have arrived.
    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    /// Writes that are not reported yet.
    pub(crate) fn unreported(&self) -> usize {
        self.queue.len() - self.reported
    }

    /// Whether the node's window has room for one more write.
    pub(crate) fn has_room(
        &self,
        operation: Operation,
        event_count: u32,
        limits: &NodeLimits,
    ) -> bool {
        let cost = window_cost(operation, event_count);
        self.queue.len() < limits.window_requests as usize
            && self.window_bytes + cost <= u64::from(limits.window_bytes)
    }

    pub(crate) fn push(
        &mut self,
        id: RequestId,
        operation: Operation,
        event_count: u32,
        body: Bytes,
    ) {
        self.window_bytes += window_cost(operation, event_count);
        self.unstamped += 1;
        self.queue.push_back(Write {
            id,
            operation,
            event_count,
            body,
            deadline: None,
            state: WriteState::Queued,
            was_sent: false,
            in_doubt: false,
            reported: false,
        });
    }

    /// Gives all writes a deadline that have none yet.
    pub(crate) fn stamp(&mut self, deadline: Instant) {
        if self.unstamped == 0 {
            return;
        }
        self.expiry = Some(self.expiry.map_or(deadline, |expiry| expiry.min(deadline)));
        for write in self.queue.iter_mut().rev().take(self.unstamped) {
            write.deadline = Some(deadline);
        }
        self.unstamped = 0;
    }

    /// The next write to be sent, with its number; it counts as sent from now on.
    pub(crate) fn take_next(&mut self, now: Instant) -> Option<(u64, &Write)> {
        if self.refused > 0 {
            return None;
        }
        let number = self.number_of(self.sent);
        let write = self.queue.get_mut(self.sent)?;
        write.state = WriteState::Sent { at: now };
        write.was_sent = true;
        self.sent += 1;
        Some((number, write))
    }

    /// The write that waits for a reply with this number.
    pub(crate) fn find_sent(&self, number: u64) -> Option<&Write> {
        let write = self.queue.get(self.index_of(number)?)?;
        matches!(write.state, WriteState::Sent { .. }).then_some(write)
    }

    /// Takes out the oldest write, which was executed; `None` if the reply is premature and will be asked for again.
    ///
    /// # Errors
    /// If the reply came out of order, or the log's order contradicts that of the numbers.
    pub(crate) fn executed(
        &mut self,
        number: u64,
        sequence: u64,
    ) -> Result<Option<Write>, ClientError> {
        let index = self.index_of(number).expect("invariant: the caller found the write");
        if index != 0 {
            return self.premature(index).map(|()| None);
        }
        if sequence <= self.sequence_last {
            let last = self.sequence_last;
            let text = format!("write {number} has sequence {sequence}, the one before it {last}");
            return Err(ClientError::Protocol(text));
        }
        self.sequence_last = sequence;
        self.answered = number;
        self.delay = REFUSAL_DELAY_FIRST;
        self.sent -= 1;
        Ok(self.remove(0))
    }

    fn premature(&mut self, index: usize) -> Result<(), ClientError> {
        let may_be_executed = |write: &Write| {
            write.in_doubt && matches!(write.state, WriteState::Refused(_) | WriteState::Premature)
        };
        if !self.queue.iter().take(index).all(may_be_executed) {
            let number = self.number_of(index);
            let text = format!("write {number} was answered before write {}", self.answered + 1);
            return Err(ClientError::Protocol(text));
        }
        let write = &mut self.queue[index];
        write.state = WriteState::Premature;
        write.in_doubt = true;
        self.refused += 1;
        Ok(())
    }

    /// Notes that the copy of a write was refused and consumed no number.
    ///
    /// # Errors
    /// If the node says that it lacks a write that it had answered.
    pub(crate) fn refused(
        &mut self,
        number: u64,
        status: RequestStatus,
    ) -> Result<(), ClientError> {
        let index = self.index_of(number).expect("invariant: the caller found the write");
        if index == 0 && status == RequestStatus::RequestNumberGap {
            let acknowledged = self.answered;
            let executed = acknowledged.saturating_sub(1);
            return Err(ClientError::AcknowledgedWritesLost { acknowledged, executed });
        }
        self.queue[index].state = WriteState::Refused(status);
        self.refused += 1;
        Ok(())
    }

    /// Deals with refused writes as soon as no copy is on its way any more.
    pub(crate) fn settle(
        &mut self,
        now: Instant,
        mut report: impl FnMut(u64, &Write, Outcome),
    ) -> Settled {
        if !self.is_drained() {
            return Settled::Idle;
        }
        let mut leave = false;
        let mut index = 0;
        while index < self.sent {
            let write = &self.queue[index];
            let certain = write.certain_refusal();
            let class = match write.state {
                WriteState::Refused(status) => refusal(status),
                _ => None,
            };
            leave |= class == Some(Refusal::NotHere);
            match (class, certain) {
                (Some(Refusal::Permanent), Some(status)) => {
                    self.give_up(index, status, &mut report);
                }
                (Some(Refusal::Permanent), None) => return Settled::Stuck,
                (_, Some(status)) if write.reported => self.give_up(index, status, &mut report),
                _ => index += 1,
            }
        }
        if self.refused == 0 {
            self.retry_at = None;
            return Settled::Idle;
        }
        let delay = self.delay;
        let retry_at = *self.retry_at.get_or_insert_with(|| now + delay);
        if now < retry_at {
            return Settled::Wait(retry_at);
        }
        self.delay = (self.delay * 2).min(REFUSAL_DELAY_MAX);
        self.requeue();
        if leave { Settled::Leave } else { Settled::Idle }
    }

    /// The connection is gone: everything is to be sent again on the next one.
    pub(crate) fn disconnected(&mut self) {
        self.requeue();
        for write in self.queue.iter_mut().take_while(|write| write.was_sent) {
            write.in_doubt = true;
        }
    }

    /// Compares what the node has executed with what was sent and answered.
    ///
    /// # Errors
    /// If the node lacks an answered write, or has one that was never sent.
    pub(crate) fn resumed(&self, executed: u64) -> Result<(), ClientError> {
        if executed < self.answered {
            let acknowledged = self.answered;
            return Err(ClientError::AcknowledgedWritesLost { acknowledged, executed });
        }
        let was_sent = |write: &&Write| write.was_sent;
        let sent_last = self.answered + self.queue.iter().take_while(was_sent).count() as u64;
        if executed > sent_last {
            let text = format!(
                "the session has write {executed}, but this client sent {sent_last}: another process uses the same client id"
            );
            return Err(ClientError::Protocol(text));
        }
        Ok(())
    }

    /// Reports writes whose time is over; gives the time since which the oldest of those has waited for the node.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        mut report: impl FnMut(u64, &Write, Outcome),
    ) -> Option<Instant> {
        if self.expiry.is_none_or(|expiry| now < expiry) {
            return None;
        }
        let is_drained = self.is_drained();
        let mut silent_since: Option<Instant> = None;
        let mut index = 0;
        while index < self.queue.len() {
            let write = &self.queue[index];
            if write.reported || write.deadline.is_none_or(|deadline| deadline > now) {
                index += 1;
                continue;
            }
            if let Some(status) = write.certain_refusal().filter(|_| is_drained) {
                self.give_up(index, status, &mut report);
            } else if !write.was_sent {
                let write = self.remove(index).expect("invariant: the index is in range");
                report(0, &write, Outcome::NotSent);
            } else {
                if let WriteState::Sent { at } = write.state {
                    silent_since = Some(silent_since.map_or(at, |since| since.min(at)));
                }
                report(self.number_of(index), write, Outcome::Unknown);
                self.queue[index].reported = true;
                self.reported += 1;
                index += 1;
            }
        }
        let unreported = self.queue.iter().filter(|write| !write.reported);
        self.expiry = unreported.filter_map(|write| write.deadline).min();
        silent_since
    }

    /// Reports and forgets everything.
    pub(crate) fn fail_all(&mut self, mut report: impl FnMut(u64, &Write, Outcome)) {
        for (index, write) in self.queue.iter().enumerate().filter(|(_, write)| !write.reported) {
            if write.was_sent {
                report(self.number_of(index), write, Outcome::Unknown);
            } else {
                report(0, write, Outcome::NotSent);
            }
        }
        *self = Self::new(self.answered);
    }

    /// No later than the moment when the next write's time is over.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.expiry
    }

    fn is_drained(&self) -> bool {
        self.refused > 0 && self.refused == self.sent
    }

    fn requeue(&mut self) {
        for write in self.queue.iter_mut().take(self.sent) {
            write.state = WriteState::Queued;
        }
        self.sent = 0;
        self.refused = 0;
        self.retry_at = None;
    }

    fn give_up(
        &mut self,
        index: usize,
        status: RequestStatus,
        report: &mut impl FnMut(u64, &Write, Outcome),
    ) {
        let number = self.number_of(index);
        self.sent -= 1;
        self.refused -= 1;
        let write = self.remove(index).expect("invariant: the index is in range");
        if !write.reported {
            report(number, &write, Outcome::Refused(status));
        }
    }

    fn remove(&mut self, index: usize) -> Option<Write> {
        let write = if index == 0 { self.queue.pop_front() } else { self.queue.remove(index) }?;
        self.window_bytes -= window_cost(write.operation, write.event_count);
        self.reported -= usize::from(write.reported);
        Some(write)
    }

    fn number_of(&self, index: usize) -> u64 {
        self.answered + 1 + index as u64
    }

    fn index_of(&self, number: u64) -> Option<usize> {
        let index = number.checked_sub(self.answered)?.checked_sub(1)?;
        usize::try_from(index).ok().filter(|index| *index < self.sent)
    }
}

#[cfg(test)]
mod tests;
