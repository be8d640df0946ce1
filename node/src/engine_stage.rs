//! The engine stage: applies what the ring holds, in its order, and hands the results to the reply stage.
//!
//! It runs beside the journal, not behind it: nothing of what it does is seen outside before the commit cursor has
//! passed, and after a crash the state comes from the journal.

use crate::cell::{Cell, Entries, cells_of, free_cells, publish};
use crate::error::NodeError;
use crate::output::OutputHeader;
use crate::status::EngineReport;
use mizan_engine::{Engine, Output, Resolved};
use mizan_ring::{ClaimError, Consumer, CursorReader, SingleProducer};
use mizan_wire::limits::{BODY_SIZE_MAX, EVENTS_MAX};
use mizan_wire::{DigestRecord, Operation, RequestHeader};
use zerocopy::IntoBytes;

/// Events after which a poll returns, so that stages on the same thread get their turn.
const POLL_EVENTS_MAX: u64 = 2 * EVENTS_MAX as u64;
/// Cells that one log entry's outputs can take at the most: a full reply, and a digest that fell due.
const OUTPUT_CELLS_MAX: usize = cells_of(BODY_SIZE_MAX) + cells_of(size_of::<DigestRecord>());
/// Cells of the output ring: several full replies.
pub(crate) const OUTPUT_RING_CELLS: usize = 32_768;

/// Requests between the first look at a request's ids and its turn: a line takes 100 ns and more to come, and a
/// request of one event about 200 ns.
const AHEAD_IDS: usize = 8;
/// Requests between the fetch of a request's records and its turn.
const AHEAD_RECORDS: usize = 4;

/// Owns the state of the ledger.
pub(crate) struct EngineStage {
    engine: Engine,
    requests: Consumer<Cell>,
    outputs: SingleProducer<Cell>,
    outputs_released: CursorReader,
    output: Output,
    announced: u64,
    report: EngineReport,
}

impl EngineStage {
    pub(crate) fn new(
        engine: Engine,
        requests: Consumer<Cell>,
        outputs: SingleProducer<Cell>,
        outputs_released: CursorReader,
        report: EngineReport,
    ) -> Self {
        let output = Output::new();
        // A digest that fell due before the restart is announced again: it may never have been recorded.
        Self { engine, requests, outputs, outputs_released, output, announced: 0, report }
    }

    /// Whether there is an entry to apply, and room for its outputs.
    pub(crate) fn has_work(&mut self) -> Result<bool, NodeError> {
        Ok(self.has_room() && !self.requests.available()?.is_empty())
    }

    fn has_room(&self) -> bool {
        has_room(&self.outputs, &self.outputs_released)
    }

    /// Applies entries until the ring is empty, the output ring is full, or it is another stage's turn. Nobody is woken.
    ///
    /// # Errors
    /// A log entry that the engine cannot apply, or another stage's death. The node must stop.
    pub(crate) fn poll(&mut self) -> Result<bool, NodeError> {
        let batch = self.requests.available()?;
        let mut done = batch.start();
        let mut events = 0;
        let entries = Entries::<RequestHeader>::new(&batch);
        let mut ahead = Ahead::new(&self.engine, &entries);
        for entry in entries {
            ahead.step(&self.engine);
            if crate::cell::EntryHeader::is_padding(entry.header) {
                done = entry.end;
                continue;
            }
            if events >= POLL_EVENTS_MAX || !has_room(&self.outputs, &self.outputs_released) {
                break;
            }
            let header = entry.header;
            if header.operation().is_some_and(Operation::is_read) {
                self.engine.read(header, entry.body, &mut self.output)?;
            } else {
                let sequence = self.engine.sequence() + 1;
                let resolved = Resolved::none();
                self.engine.apply(sequence, header, entry.body, &resolved, &mut self.output)?;
            }
            events += u64::from(header.event_count.max(1));
            done = entry.end;
            let reply = outgoing(&self.engine, header, &self.output, entry.end);
            publish(&mut self.outputs, reply, self.output.body()).map_err(unroomy)?;
            announce_digest(&self.engine, &mut self.outputs, &mut self.announced, entry.end)?;
        }
        let worked = done > self.requests.released_position();
        if worked {
            self.requests.release_to(done);
        }
        if self.report.is_due() {
            self.report.store(&self.engine.status());
        }
        Ok(worked)
    }
}

/// Looks at the requests that follow the one to be applied, so that the engine need not wait for memory.
struct Ahead<'a> {
    ids: Entries<'a, RequestHeader>,
    records: Entries<'a, RequestHeader>,
}

impl<'a> Ahead<'a> {
    /// Looks at the first of these entries; [`Ahead::step`] follows before each.
    fn new(engine: &Engine, entries: &Entries<'a, RequestHeader>) -> Self {
        let mut ahead = Self { ids: entries.clone(), records: entries.clone() };
        for entry in ahead.ids.by_ref().take(AHEAD_IDS) {
            engine.look_ahead_ids(entry.header, entry.body);
        }
        for entry in ahead.records.by_ref().take(AHEAD_RECORDS) {
            engine.look_ahead_records(entry.header, entry.body);
        }
        ahead
    }

    fn step(&mut self, engine: &Engine) {
        if let Some(entry) = self.ids.next() {
            engine.look_ahead_ids(entry.header, entry.body);
        }
        if let Some(entry) = self.records.next() {
            engine.look_ahead_records(entry.header, entry.body);
        }
    }
}

/// Whether the outputs of any one entry fit, whatever padding they cost.
fn has_room(outputs: &SingleProducer<Cell>, released: &CursorReader) -> bool {
    let (published, released) = (outputs.position(), released.get());
    free_cells(OUTPUT_RING_CELLS, published, released, OUTPUT_CELLS_MAX) >= OUTPUT_CELLS_MAX
}

#[inline(always)]
fn outgoing(
    engine: &Engine,
    header: &RequestHeader,
    output: &Output,
    position: u64,
) -> OutputHeader {
    OutputHeader {
        client: header.client,
        session: header.session,
        request: header.request,
        origin: header.origin,
        position,
        sequence: output.sequence,
        applied_sequence: engine.sequence(),
        timestamp: output.timestamp,
        next_due_ns: engine.next_due_ns().unwrap_or(u64::MAX),
        operation: header.operation,
        result_size: output.result_size,
        status: output.status as u32,
        flags: output.flags,
        event_count: output.event_count,
        result_count: output.result_count,
        body_size: output.body().len() as u32,
        ..OutputHeader::default()
    }
}

/// Tells ingress that a digest fell due, so that it writes it into the log.
fn announce_digest(
    engine: &Engine,
    outputs: &mut SingleProducer<Cell>,
    announced: &mut u64,
    position: u64,
) -> Result<(), NodeError> {
    let Some(digest) = engine.digest_due().filter(|digest| digest.at_sequence > *announced) else {
        return Ok(());
    };
    *announced = digest.at_sequence;
    let header = OutputHeader {
        position,
        sequence: engine.sequence(),
        applied_sequence: engine.sequence(),
        next_due_ns: engine.next_due_ns().unwrap_or(u64::MAX),
        operation: Operation::Digest.number(),
        body_size: size_of::<DigestRecord>() as u32,
        ..OutputHeader::default()
    };
    publish(outputs, header, digest.as_bytes()).map_err(unroomy)?;
    Ok(())
}

/// Room was made sure of before the entry was applied, so only a dead stage is left as a reason.
fn unroomy(error: ClaimError) -> NodeError {
    match error {
        ClaimError::Poisoned(poisoned) => poisoned.into(),
        other => unreachable!("invariant: room in the output ring was checked before: {other}"),
    }
}
