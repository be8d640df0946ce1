//! What the stages store on the board: the front at every beat, the engine once between two beats.

use super::alarm::{Alarm, Alarms};
use super::board::Board;
use super::cluster::{NodeRole, Sequences, store_sequences};
use super::layout::{REFUSALS, word};
use super::snapshot::Phase;
use crate::clock::Reading;
use crate::cursors::CursorsReader;
use mizan_gateway::GatewayCounters;
use mizan_wire::{DigestRecord, EngineStatus};
use std::sync::Arc;

/// Time between two beats: what is shown is at most so old, and an idle front wakes as often anyway.
const BEAT_INTERVAL_NS: u64 = 100_000_000;

/// What only the front knows.
pub(crate) struct FrontFigures {
    pub(crate) epoch: u64,
    pub(crate) published_sequence: u64,
    pub(crate) commit_sequence: u64,
    pub(crate) is_clock_held_back: bool,
    pub(crate) digest: DigestRecord,
    pub(crate) gateway: GatewayCounters,
}

/// The front's side of the board.
pub(crate) struct FrontBeat {
    board: Arc<Board>,
    cursors: CursorsReader,
    next_ns: u64,
}

impl FrontBeat {
    pub(crate) const fn new(board: Arc<Board>, cursors: CursorsReader) -> Self {
        Self { board, cursors, next_ns: 0 }
    }

    /// The alarms that stand. Cost: three loads.
    pub(crate) fn alarms(&self) -> Alarms {
        let at = |index| self.board.get(index);
        Alarms::from_bits(at(word::NODE_ALARMS) | at(word::WATCH_ALARMS) | at(word::CLUSTER_ALARMS))
    }

    /// Whether it is time.
    pub(crate) const fn is_due(&self, monotonic_ns: u64) -> bool {
        monotonic_ns >= self.next_ns
    }

    /// The front is about to end.
    pub(crate) fn begin_shutdown(&self) {
        self.board.set(word::PHASE, Phase::Stopping as u64);
    }

    /// Stores everything. Cost: about a microsecond.
    pub(crate) fn beat(&mut self, reading: Reading, figures: &FrontFigures) {
        self.next_ns = reading.monotonic_ns + BEAT_INTERVAL_NS;
        self.board.update(|board| {
            store_progress(board, &self.cursors, figures);
            store_gateway(board, &figures.gateway);
            store_beat(board, reading);
        });
    }
}

/// The sign of life of a front without rings, that of a standby, if one is due.
pub(super) fn beat_standby(board: &Board, gateway: &GatewayCounters) {
    let reading = Reading::now();
    if reading.monotonic_ns < board.get(word::BEAT_MONOTONIC).saturating_add(BEAT_INTERVAL_NS) {
        return;
    }
    board.update(|board| {
        store_gateway(board, gateway);
        store_beat(board, reading);
    });
}

/// Counts a sign of life.
pub(super) fn store_beat(board: &Board, reading: Reading) {
    board.set(word::BEATS, board.get(word::BEATS).wrapping_add(1));
    board.set(word::BEAT_MONOTONIC, reading.monotonic_ns);
    board.set(word::BEAT_REALTIME, reading.realtime_ns);
}

fn store_progress(board: &Board, cursors: &CursorsReader, figures: &FrontFigures) {
    let role = NodeRole::from_word(board.get(word::ROLE));
    let now = cursors.get();
    if role == NodeRole::Single {
        board.set(word::EPOCH, figures.epoch);
    }
    if role.takes_requests() {
        let applied = board.get(word::APPLIED).max(figures.commit_sequence);
        store_sequences(
            board,
            &Sequences {
                published: figures.published_sequence,
                appended: now.appended_sequence,
                durable: now.durable_sequence,
                // The engine's own word comes once between two beats.
                applied,
                commit: figures.commit_sequence,
            },
        );
    }
    let (used, size) = cursors.occupancy();
    let (outputs_used, outputs_size) = cursors.outputs_occupancy();
    let alarms = Alarms::from_bits(board.get(word::NODE_ALARMS) & Alarm::Insecure.bit())
        .with(Alarm::JournalSpaceLow, now.space_is_low)
        .with(Alarm::JournalStalled, now.is_stalled)
        .with(Alarm::ClockHeldBack, figures.is_clock_held_back);
    for (index, value) in [
        (word::RING_USED, used),
        (word::RING_SIZE, size as u64),
        (word::OUTPUTS_USED, outputs_used),
        (word::OUTPUTS_SIZE, outputs_size as u64),
        (word::GROUPS, now.groups),
        (word::GROUPS_INLINE, now.groups_inline),
        (word::SYNC_NS, now.sync_ns),
        (word::SPACE_LOW, now.space_is_low.into()),
        (word::STALLED, now.is_stalled.into()),
        (word::CLOCK_JUMPS, now.clock_jumps),
        (word::CLOCK_HELD, figures.is_clock_held_back.into()),
        (word::DIGEST_SEQUENCE, figures.digest.at_sequence),
        (word::NODE_ALARMS, alarms.bits()),
    ] {
        board.set(index, value);
    }
    board.set_wide([word::DIGEST_LOW, word::DIGEST_HIGH], figures.digest.digest);
}

fn store_gateway(board: &Board, gateway: &GatewayCounters) {
    for (index, value) in [
        (word::CONNECTIONS, gateway.connections),
        (word::ACCEPTED, gateway.accepted),
        (word::ACCEPT_FAILURES, gateway.accept_failures),
        (word::HELLOS, gateway.hellos),
        (word::TAKEN_OVER, gateway.taken_over),
        (word::REQUESTS, gateway.requests),
        (word::REQUESTS_REFUSED, gateway.requests_refused),
        (word::REPLIES, gateway.replies),
        (word::REPLIES_DROPPED, gateway.replies_dropped),
        (word::IN_FLIGHT, gateway.in_flight),
        (word::UNSENT_BYTES, gateway.unsent_bytes),
        (word::BYTES_IN, gateway.bytes_in),
        (word::BYTES_OUT, gateway.bytes_out),
        (word::CUT_OFF_PARTIAL, gateway.cut_off_partial),
        (word::CUT_OFF_SLOW, gateway.cut_off_slow),
        (word::FRAME_ERRORS, gateway.frame_errors),
    ] {
        board.set(index, value);
    }
    for (index, count) in gateway.refusals.counts().iter().take(REFUSALS).enumerate() {
        board.set(word::REFUSED + index, *count);
    }
}

/// The engine's side of the board.
pub(crate) struct EngineReport {
    board: Arc<Board>,
    beats: u64,
}

impl EngineReport {
    pub(crate) const fn new(board: Arc<Board>) -> Self {
        Self { board, beats: u64::MAX }
    }

    /// Whether the front has beaten since the last report. Cost: one load of a line that changes ten times a second.
    pub(crate) fn is_due(&mut self) -> bool {
        let beats = self.board.get(word::BEATS);
        let is_due = beats != self.beats;
        self.beats = beats;
        is_due
    }

    /// Stores how full the engine is, and how far.
    pub(crate) fn store(&self, engine: &EngineStatus) {
        store_engine(&self.board, engine);
        if NodeRole::from_word(self.board.get(word::ROLE)).takes_requests() {
            self.board.set(word::APPLIED, engine.sequence);
        }
    }
}

/// Stores how full the engine is.
pub(super) fn store_engine(board: &Board, engine: &EngineStatus) {
    // Places that are reserved for the ends of open holds are not free for anybody else.
    let transfers = engine.transfers_taken();
    for (index, value) in [
        (word::ACCOUNTS, engine.account_count),
        (word::ACCOUNTS_MAX, engine.account_count_max),
        (word::TRANSFERS, transfers),
        (word::TRANSFERS_MAX, engine.transfer_count_max),
        (word::HOLDS, engine.hold_count),
        (word::HOLDS_MAX, engine.hold_count_max),
        (word::SESSIONS, engine.session_count.into()),
        (word::SESSIONS_MAX, engine.session_count_max.into()),
        (word::LEDGERS, engine.ledger_count.into()),
        (word::LEDGERS_MAX, engine.ledger_count_max.into()),
        (word::ENGINE_TIMESTAMP, engine.timestamp),
        (word::INSTRUMENTS, engine.instrument_count.into()),
        (word::INSTRUMENTS_MAX, engine.instrument_count_max.into()),
        (word::ORDERS, engine.order_count),
        (word::ORDERS_MAX, engine.order_count_max),
        (word::OPEN_ORDERS, engine.open_order_count_taken.into()),
        (word::OPEN_ORDERS_MAX, engine.open_order_count_max.into()),
        (word::BOOK_LEVELS, engine.book_level_count_taken.into()),
        (word::BOOK_LEVELS_MAX, engine.book_level_count_max.into()),
    ] {
        board.set(index, value);
    }
}
