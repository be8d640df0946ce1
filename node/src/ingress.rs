//! The ingress stage: gives every complete request a place in the ring, and lets time pass.
//!
//! The ring's order is the only order. Ingress decides nothing about money: it adds the clock's reading, emits a tick
//! when the engine's next expiry is due, and records digests that the engine announces.

use crate::cell::{Cell, cells_of, free_cells, publish};
use crate::clock::{ClockGuard, Reading, WallClock};
use crate::error::NodeError;
use crate::mirror::{Known, Mirrors};
use crate::output::OutputHeader;
use mizan_gateway::{RequestSink, Submission};
use mizan_replica::Control;
use mizan_ring::{ClaimError, CursorReader, SingleProducer};
use mizan_wire::limits::{BODY_SIZE_MAX, HEADER_SIZE};
use mizan_wire::{DigestRecord, Operation, RequestFlags, RequestHeader, RequestStatus};
use zerocopy::IntoBytes;

/// Cells kept free, beyond what clients may take, for the node's own entries.
const OWN_CELLS: usize = 64;
/// Digests are recorded only while at most so many newer ones may have fallen due: the engine remembers the last 64,
/// and takes a record of one that it has forgotten for a broken log.
const DIGEST_AGE_MAX: u64 = 48;

/// Owns the producer side of the ring.
pub(crate) struct Ingress {
    ring: SingleProducer<Cell>,
    ring_cells: usize,
    /// The slowest of these limits what is free.
    released: [CursorReader; 2],
    /// Sequence of the last write in the ring.
    sequence: u64,
    digest_interval: u64,
    wall_clock: WallClock,
    clock: ClockGuard,
    clock_reading: u64,
    /// The reading was taken before a wait.
    is_reading_old: bool,
    /// Position after the last tick or digest entry; another waits until this one's result is there.
    own_entry_end: u64,
    digest_waiting: Option<DigestRecord>,
    refuse_writes: Option<RequestStatus>,
    mirrors: Mirrors,
}

impl Ingress {
    pub(crate) fn new(
        ring: SingleProducer<Cell>,
        ring_cells: usize,
        released: [CursorReader; 2],
        sequence: u64,
        digest_interval: u32,
        wall_clock: WallClock,
        mut clock: ClockGuard,
    ) -> Self {
        let clock_reading = clock.admit(wall_clock.read());
        Self {
            ring,
            ring_cells,
            released,
            sequence,
            digest_interval: digest_interval.max(1).into(),
            wall_clock,
            clock,
            clock_reading,
            is_reading_old: false,
            own_entry_end: 0,
            digest_waiting: None,
            refuse_writes: None,
            mirrors: Mirrors::default(),
        }
    }

    /// Position after the last published entry.
    pub(crate) fn published(&self) -> u64 {
        self.ring.position()
    }

    /// How often the wall clock was held back.
    pub(crate) const fn clock_jumps(&self) -> u64 {
        self.clock.jumps
    }

    /// Whether it is held back now.
    pub(crate) const fn is_clock_held_back(&self) -> bool {
        self.clock.held_back
    }

    /// Sequence of the last write in the ring.
    pub(crate) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Takes a new reading for the entries that follow.
    pub(crate) fn read_clock(&mut self) -> Reading {
        let reading = self.wall_clock.read();
        self.clock_reading = self.clock.admit(reading);
        self.is_reading_old = false;
        reading
    }

    /// A wait for sockets follows: what it brings is not to get the time from before it.
    pub(crate) const fn expect_wait(&mut self) {
        self.is_reading_old = true;
    }

    /// The time that the engine would give an entry now, if its last timestamp was this.
    pub(crate) fn time(&self, engine_timestamp: u64) -> u64 {
        self.clock_reading.max(engine_timestamp)
    }

    /// New writes get this status instead of a place in the ring, until it is lifted.
    pub(crate) const fn refuse_writes(&mut self, status: Option<RequestStatus>) {
        self.refuse_writes = status;
    }

    /// Learns from the engine's answer to a client what will become of later writes of its session.
    #[inline]
    pub(crate) fn learn(&mut self, header: &OutputHeader, body: &[u8]) {
        let is_write = header.client != 0
            && Operation::from_number(header.operation).is_some_and(|found| !found.is_read());
        if !is_write {
            return;
        }
        if header.operation != Operation::Register.number() {
            self.mirrors.learn(header.client, header.session, header.request, header.status);
        } else if header.status == RequestStatus::Ok as u32 {
            self.mirrors.open(header.client, body);
        }
    }

    /// Keeps a digest that fell due until it can be recorded.
    pub(crate) const fn record_digest(&mut self, digest: DigestRecord) {
        self.digest_waiting = Some(digest);
    }

    /// Whether an own entry could be emitted now; `answered` is the position up to which results have come back.
    pub(crate) const fn may_emit(&self, answered: u64) -> bool {
        answered >= self.own_entry_end && self.refuse_writes.is_none()
    }

    /// Emits a tick if something is due, and a digest if one waits; one of them at a time.
    ///
    /// # Errors
    /// Another stage's death.
    pub(crate) fn emit_own_entries(
        &mut self,
        is_due: bool,
        answered: u64,
    ) -> Result<bool, NodeError> {
        if !self.may_emit(answered) {
            return Ok(false);
        }
        if is_due {
            return self.emit(Operation::Tick, &[]);
        }
        let Some(digest) = self.digest_waiting else { return Ok(false) };
        // Under load many entries may lie between the result that announced it and the place that it would get.
        if self.age(&digest) > DIGEST_AGE_MAX {
            self.digest_waiting = None;
            return Ok(false);
        }
        let emitted = self.emit(Operation::Digest, digest.as_bytes())?;
        if emitted {
            self.digest_waiting = None;
        }
        Ok(emitted)
    }

    /// How many newer digests fall due before a record of this one could be applied.
    const fn age(&self, digest: &DigestRecord) -> u64 {
        self.sequence.saturating_sub(digest.at_sequence) / self.digest_interval
    }

    /// Puts a config record into the ring; false while there is no room even for the node's own entries.
    ///
    /// # Errors
    /// Another stage's death.
    pub(crate) fn emit_control(&mut self, control: &Control) -> Result<bool, NodeError> {
        match publish(&mut self.ring, control.entry(self.clock_reading), &[]) {
            Ok(_) => {
                self.sequence += 1;
                Ok(true)
            }
            Err(ClaimError::Poisoned(poisoned)) => Err(poisoned.into()),
            Err(_) => Ok(false),
        }
    }

    fn emit(&mut self, operation: Operation, body: &[u8]) -> Result<bool, NodeError> {
        let mut header = RequestHeader {
            operation: operation.number(),
            body_size: body.len() as u32,
            clock_reading: self.clock_reading,
            ..RequestHeader::default()
        };
        header.request_checksum = header.identity(body);
        match publish(&mut self.ring, header, body) {
            Ok(end) => {
                self.sequence += 1;
                self.own_entry_end = end;
                Ok(true)
            }
            Err(ClaimError::Poisoned(poisoned)) => Err(poisoned.into()),
            Err(_) => Ok(false),
        }
    }
}

impl RequestSink for Ingress {
    fn room_bytes(&self) -> usize {
        let released = self.released[0].get().min(self.released[1].get());
        let entry_max = cells_of(BODY_SIZE_MAX) + OWN_CELLS;
        free_cells(self.ring_cells, self.ring.position(), released, entry_max) * HEADER_SIZE
    }

    #[inline(always)]
    fn submit(&mut self, header: &RequestHeader, body: &[u8]) -> Submission {
        let is_read = header.operation().is_some_and(Operation::is_read);
        if let Some(status) = self.refuse_writes.filter(|_| !is_read) {
            return Submission::Refused(status);
        }
        if self.is_reading_old {
            self.read_clock();
        }
        let mut stamped = RequestHeader { clock_reading: self.clock_reading, ..*header };
        let mut kept = body;
        let mut mirror = if is_read { None } else { self.mirrors.of(header) };
        if let Some(mirror) = &mut mirror {
            match mirror.look(header.request, header.replies_received) {
                Known::Refused(status) => return Submission::Refused(status),
                // The log need not keep its body again: the identity in the header is that of the whole.
                Known::Repeated if !body.is_empty() => {
                    (stamped.flags, stamped.body_size, kept) = (RequestFlags::REPEATED, 0, &[]);
                }
                Known::Repeated | Known::Nothing => {}
            }
        }
        match publish(&mut self.ring, stamped, kept) {
            Ok(_) => {
                if let Some(mirror) = mirror {
                    mirror.hand_on(header.request, header.replies_received);
                }
                self.sequence += u64::from(!is_read);
                Submission::Accepted
            }
            // The poison itself is found by the next poll of the stage; until then nothing is taken.
            Err(_) => Submission::Busy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_ring::{Consumer, RingOptions};

    const INTERVAL: u32 = 4;

    fn ingress(sequence: u64) -> (Ingress, Consumer<Cell>) {
        let cells = 32_768;
        let mut setup = RingOptions::new(cells).allocate(Cell::ZERO).unwrap();
        let consumer = setup.consumer("test").add();
        let released = [consumer.cursor(), consumer.cursor()];
        let ring = setup.single_producer().unwrap();
        let clock = ClockGuard::new(Reading::now());
        let wall_clock = WallClock::default();
        let ingress = Ingress::new(ring, cells, released, sequence, INTERVAL, wall_clock, clock);
        (ingress, consumer)
    }

    fn write(ingress: &mut Ingress) {
        let header = RequestHeader {
            operation: Operation::CloseSession.number(),
            ..RequestHeader::default()
        };
        assert_eq!(ingress.submit(&header, &[]), Submission::Accepted);
    }

    #[test]
    fn a_digest_that_the_engine_may_have_forgotten_is_not_recorded() {
        let limit = DIGEST_AGE_MAX * u64::from(INTERVAL);
        for (behind, is_recorded) in
            [(0, true), (limit, true), (limit + u64::from(INTERVAL), false)]
        {
            let (mut ingress, _consumer) = ingress(100);
            ingress.record_digest(DigestRecord { at_sequence: 100, ..DigestRecord::default() });
            (0..behind).for_each(|_| write(&mut ingress));
            assert_eq!(ingress.emit_own_entries(false, 0).unwrap(), is_recorded, "{behind}");
            assert!(!ingress.emit_own_entries(false, ingress.published()).unwrap());
        }
    }

    #[test]
    fn the_next_own_entry_waits_for_the_result_of_the_last() {
        let (mut ingress, _consumer) = ingress(1);
        assert!(ingress.emit_own_entries(true, 0).unwrap());
        assert!(!ingress.emit_own_entries(true, 0).unwrap());
        let end = ingress.published();
        assert!(ingress.may_emit(end));
        ingress.refuse_writes(Some(RequestStatus::JournalSpaceLow));
        assert!(!ingress.may_emit(end));
        assert!(!ingress.emit_own_entries(true, end).unwrap());
    }

    #[test]
    fn what_comes_after_a_wait_is_stamped_with_the_time_after_it() {
        let (mut ingress, mut consumer) = ingress(1);
        let before = ingress.read_clock();
        ingress.expect_wait();
        while Reading::now().monotonic_ns == before.monotonic_ns {}
        write(&mut ingress);
        let batch = consumer.available().unwrap();
        let entry = crate::cell::Entries::<RequestHeader>::new(&batch).next().unwrap();
        assert_eq!(entry.header.clock_reading, ingress.clock_reading);
        assert!(!ingress.is_reading_old);
        assert!(ingress.clock.last().monotonic_ns > before.monotonic_ns);
    }
}
