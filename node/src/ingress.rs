//! The ingress stage: gives every complete request a place in the ring, and lets time pass.
//!
//! The ring's order is the only order. Ingress decides nothing about money: it adds the clock's reading, emits a tick
//! when the engine's next expiry is due, and records digests that the engine announces.

use crate::cell::{Cell, cells_of, free_cells, publish};
use crate::clock::{ClockGuard, Reading};
use crate::error::NodeError;
use mizan_gateway::{RequestSink, Submission};
use mizan_ring::{ClaimError, CursorReader, SingleProducer};
use mizan_wire::limits::{BODY_SIZE_MAX, HEADER_SIZE};
use mizan_wire::{DigestRecord, Operation, RequestHeader, RequestStatus, checksum};
use zerocopy::IntoBytes;

/// Cells kept free, beyond what clients may take, for the node's own entries.
const OWN_CELLS: usize = 64;

/// Owns the producer side of the ring.
pub(crate) struct Ingress {
    ring: SingleProducer<Cell>,
    ring_cells: usize,
    /// The slowest of these limits what is free.
    released: [CursorReader; 2],
    clock: ClockGuard,
    clock_reading: u64,
    /// Position after the last tick or digest entry; another waits until this one is committed.
    own_entry_end: u64,
    digest_waiting: Option<DigestRecord>,
    refuse_writes: Option<RequestStatus>,
}

impl Ingress {
    pub(crate) fn new(
        ring: SingleProducer<Cell>,
        ring_cells: usize,
        released: [CursorReader; 2],
    ) -> Self {
        let reading = Reading::now();
        Self {
            ring,
            ring_cells,
            released,
            clock: ClockGuard::new(reading),
            clock_reading: reading.realtime_ns,
            own_entry_end: 0,
            digest_waiting: None,
            refuse_writes: None,
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

    /// Takes a new reading for the entries that follow.
    pub(crate) fn read_clock(&mut self) -> Reading {
        let reading = Reading::now();
        self.clock_reading = self.clock.admit(reading);
        reading
    }

    /// The time that the engine would give an entry now, if its last timestamp was this.
    pub(crate) fn time(&self, engine_timestamp: u64) -> u64 {
        self.clock_reading.max(engine_timestamp)
    }

    /// New writes get this status instead of a place in the ring, until it is lifted.
    pub(crate) const fn refuse_writes(&mut self, status: Option<RequestStatus>) {
        self.refuse_writes = status;
    }

    /// Keeps a digest that fell due until it can be recorded.
    pub(crate) const fn record_digest(&mut self, digest: DigestRecord) {
        self.digest_waiting = Some(digest);
    }

    /// Emits a tick if something is due, and a digest if one waits; one of them at a time.
    ///
    /// # Errors
    /// Another stage's death.
    pub(crate) fn emit_own_entries(
        &mut self,
        is_due: bool,
        committed: u64,
    ) -> Result<bool, NodeError> {
        if committed < self.own_entry_end || self.refuse_writes.is_some() {
            return Ok(false);
        }
        if is_due {
            return self.emit(Operation::Tick, &[]);
        }
        if let Some(digest) = self.digest_waiting {
            let emitted = self.emit(Operation::Digest, digest.as_bytes())?;
            if emitted {
                self.digest_waiting = None;
            }
            return Ok(emitted);
        }
        Ok(false)
    }

    fn emit(&mut self, operation: Operation, body: &[u8]) -> Result<bool, NodeError> {
        let mut header = RequestHeader {
            operation: operation.number(),
            body_size: body.len() as u32,
            clock_reading: self.clock_reading,
            ..RequestHeader::default()
        };
        header.request_checksum = header.identity(checksum(body));
        match publish(&mut self.ring, &header, body) {
            Ok(end) => {
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

    fn submit(&mut self, header: &RequestHeader, body: &[u8]) -> Submission {
        let is_read = header.operation().is_some_and(Operation::is_read);
        if let Some(status) = self.refuse_writes.filter(|_| !is_read) {
            return Submission::Refused(status);
        }
        let stamped = RequestHeader { clock_reading: self.clock_reading, ..*header };
        match publish(&mut self.ring, &stamped, body) {
            Ok(_) => Submission::Accepted,
            // The poison itself is found by the next poll of the stage; until then nothing is taken.
            Err(_) => Submission::Busy,
        }
    }
}
