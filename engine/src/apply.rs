//! Applying one log entry: checks of the entry itself, session, execution, reply, digest.
//!
//! Invariants: an entry that is refused with an [`ApplyError`] has changed nothing; every other entry takes at least
//! one timestamp and moves the digest, whatever became of it.

use crate::batch::{self, Numbers};
use crate::engine::Engine;
use crate::error::ApplyError;
use crate::output::Output;
use crate::reads::{size_invalid, sizes_fit, sizes_of_repetition_fit};
use crate::refusal::Refusal;
use crate::registry::{self, register_code, register_ledger};
use crate::resolved::Resolved;
use crate::sessions::{Admission, StoredReply};
use crate::trading::limits::BOOK_TOUCH_MAX;
use mizan_wire::frame::{REPLY_COMPACT, REPLY_REPLAYED};
use mizan_wire::limits::{TICK_ACTIONS_MAX, TIMESTAMP_MAX};
use mizan_wire::trading::OrderResult;
use mizan_wire::{
    CreateCode, CreateLedger, DigestRecord, Operation, RequestHeader, RequestStatus,
    ResultException, SessionKey,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// One log entry, on its way through the engine.
struct Entry<'a> {
    sequence: u64,
    operation: Operation,
    header: &'a RequestHeader,
    body: &'a [u8],
    /// Its first timestamp.
    first: u64,
}

/// What the digest absorbs of an entry besides its header.
enum Effect {
    /// Nothing was executed, or nothing that has results.
    None,
    /// The results in the scratch list of exceptions.
    Created,
    /// The results of trading.
    Traded,
    /// The released holds and orders in the scratch list, and the books' reports if stops that waited have gone on.
    Released { has_gone_on: bool },
    /// The number of the session that was opened or resumed.
    Registered(u64),
}

impl Engine {
    /// Applies the next entry of the log. `body` is the entry's body without padding.
    ///
    /// The reply, with whatever status, is in `output`. Cost: about 100 ns per transfer of a large batch.
    ///
    /// # Errors
    /// An entry that cannot stand there: the log is broken, or this program is not the one to apply it. Nothing has
    /// changed.
    ///
    /// # Panics
    /// If an invariant of the state is broken: an unbalanced ledger must not answer.
    pub fn apply(
        &mut self,
        sequence: u64,
        header: &RequestHeader,
        body: &[u8],
        resolved: &Resolved<'_>,
        output: &mut Output,
    ) -> Result<(), ApplyError> {
        output.clear();
        let operation = self.check_entry(sequence, header, body)?;
        let first = self.first_timestamp(sequence, operation, header)?;
        output.sequence = sequence;
        output.timestamp = first;
        let entry = Entry { sequence, operation, header, body, first };
        let (effect, last) = match operation {
            Operation::Register => (self.register(&entry, output), first),
            Operation::CloseSession => {
                self.close_session(&entry, output);
                (Effect::None, first)
            }
            Operation::ConnectionLost => {
                let mut copies = Vec::new();
                self.sessions.lose(events_of(entry.body, &mut copies), first);
                (Effect::None, first)
            }
            Operation::Tick => self.tick(&entry, output),
            Operation::Digest => {
                self.compare_digest(&entry)?;
                (Effect::None, first)
            }
            Operation::Genesis => (Effect::None, first),
            _ => self.write(&entry, resolved, output),
        };
        self.finish(&entry, &effect, last, output);
        Ok(())
    }

    /// Checks everything that can be checked of an entry before anything changes.
    fn check_entry(
        &self,
        sequence: u64,
        header: &RequestHeader,
        body: &[u8],
    ) -> Result<Operation, ApplyError> {
        if sequence != self.sequence + 1 {
            return Err(ApplyError::SequenceGap { applied: self.sequence, found: sequence });
        }
        let operation = header
            .operation()
            .filter(|operation| !operation.is_read() && *operation != Operation::Padding)
            .ok_or(ApplyError::OperationInvalid { sequence, operation: header.operation })?;
        let fits = match header.is_repeated() {
            true => sizes_of_repetition_fit(operation, header, body),
            false => sizes_fit(operation, header, body),
        };
        if !fits {
            return Err(size_invalid(header, sequence, body));
        }
        if header.unknown_flags(operation) != 0 {
            return Err(ApplyError::FlagsInvalid { sequence, flags: header.flags });
        }
        let is_internal = matches!(
            operation,
            Operation::Tick | Operation::Digest | Operation::Genesis | Operation::ConnectionLost
        );
        if is_internal && header.client != 0 {
            return Err(ApplyError::InternalOperation { sequence, operation: header.operation });
        }
        if (operation == Operation::Genesis) != (sequence == 1) {
            return Err(ApplyError::GenesisMisplaced { sequence });
        }
        if operation == Operation::Genesis && body != self.genesis.as_bytes() {
            return Err(ApplyError::GenesisDiffers);
        }
        Ok(operation)
    }

    /// All numbers that an entry of this kind and size could take at the most lie in range, whether it will take them or
    /// not: a later sum of timestamps cannot overflow, and what is refused does not depend on sessions or on what is due.
    fn first_timestamp(
        &self,
        sequence: u64,
        operation: Operation,
        header: &RequestHeader,
    ) -> Result<u64, ApplyError> {
        let numbers_max = match operation {
            Operation::Tick => {
                let timed = self.ledger.holds.count() + self.trading.due_count();
                let traded = match self.trading.has_waiting() {
                    // Each instrument's turn, and what its stops trade.
                    true => self.ledger.transfers.room() + self.trading.instruments.len() as u64,
                    false => 0,
                };
                timed.min(TICK_ACTIONS_MAX as usize) as u64 + traded
            }
            Operation::ConnectionLost => 1,
            // Every event and every transfer that trades may derive.
            _ if operation.is_trading() => {
                u64::from(header.event_count) + self.ledger.transfers.room()
            }
            _ => header.event_count.into(),
        };
        let first = header.clock_reading.max(self.timestamp + 1);
        if first > TIMESTAMP_MAX - (numbers_max.max(1) - 1) {
            let clock_reading = header.clock_reading;
            return Err(ApplyError::TimestampOutOfRange { sequence, clock_reading });
        }
        Ok(first)
    }

    fn register(&mut self, entry: &Entry<'_>, output: &mut Output) -> Effect {
        match self.sessions.register(entry.header, entry.sequence, entry.first) {
            Ok(record) => {
                output.push(record.as_bytes());
                Effect::Registered(record.session)
            }
            Err(status) => {
                output.status = status;
                Effect::None
            }
        }
    }

    fn close_session(&mut self, entry: &Entry<'_>, output: &mut Output) {
        match self.sessions.admit(entry.header, entry.first, None) {
            Admission::Execute(_) if entry.header.is_repeated() => {
                output.status = RequestStatus::Overloaded;
            }
            Admission::Execute(place) => self.sessions.close(place),
            Admission::Replay(reply) => replay(reply, output),
            Admission::Refuse(status) => output.status = status,
        }
    }

    fn tick(&mut self, entry: &Entry<'_>, output: &mut Output) -> (Effect, u64) {
        self.ledger.sequence = entry.sequence;
        let released = &mut self.scratch.released;
        let (last, has_gone_on) = self.trading.tick(&mut self.ledger, entry.first, released);
        output.event_count = released.len() as u32;
        output.timestamp = last;
        (Effect::Released { has_gone_on }, last)
    }

    fn compare_digest(&mut self, entry: &Entry<'_>) -> Result<(), ApplyError> {
        let sequence = entry.sequence;
        let record = DigestRecord::read_from_bytes(entry.body)
            .expect("invariant: the body's size was checked");
        let at_sequence = record.at_sequence;
        let found = self
            .digest
            .find(at_sequence)
            .ok_or(ApplyError::DigestUnknown { sequence, at_sequence })?;
        if found != record.digest {
            let expected = record.digest;
            return Err(ApplyError::DigestDiffers { at_sequence, expected, found });
        }
        self.digest.confirm(at_sequence);
        Ok(())
    }

    fn write(
        &mut self,
        entry: &Entry<'_>,
        resolved: &Resolved<'_>,
        output: &mut Output,
    ) -> (Effect, u64) {
        let header = entry.header;
        let mut place = None;
        if header.client != 0 {
            let result_size = entry.operation.result_size() as u64;
            let reply_size_max = u64::from(header.event_count) * result_size;
            match self.sessions.admit(header, entry.first, Some(reply_size_max)) {
                // It was not executed after all, and its body is not here.
                Admission::Execute(_) if header.is_repeated() => {
                    output.status = RequestStatus::Overloaded;
                    return (Effect::None, entry.first);
                }
                Admission::Execute(admitted) => place = Some(admitted),
                Admission::Replay(reply) => {
                    replay(reply, output);
                    return (Effect::None, entry.first);
                }
                Admission::Refuse(status) => {
                    output.status = status;
                    return (Effect::None, entry.first);
                }
            }
        }
        let (effect, last) = if entry.operation.is_trading() {
            (Effect::Traded, self.trade(entry, output))
        } else {
            let last = last_timestamp(entry.first, header.event_count);
            self.execute(entry, Numbers { first: entry.first, last }, resolved);
            set_exceptions(&self.scratch.exceptions, output);
            (Effect::Created, last)
        };
        output.timestamp = last;
        output.event_count = header.event_count;
        if let Some(place) = place {
            let reply = StoredReply {
                request: header.request,
                request_checksum: header.request_checksum,
                sequence: entry.sequence,
                timestamp: last,
                event_count: header.event_count,
                body: output.body().into(),
                result_size: output.result_size,
                flags: output.flags,
            };
            self.sessions.store(place, reply);
        }
        (effect, last)
    }

    /// Executes the events of a trading operation; gives the last timestamp.
    fn trade(&mut self, entry: &Entry<'_>, output: &mut Output) -> u64 {
        let Self { trading, ledger, .. } = self;
        ledger.sequence = entry.sequence;
        let session = entry.header.session;
        let last = trading.execute(ledger, entry.operation, entry.body, session, entry.first);
        output.set_records(trading.results.as_bytes(), size_of::<OrderResult>());
        last
    }

    fn execute(&mut self, entry: &Entry<'_>, numbers: Numbers, resolved: &Resolved<'_>) {
        let Self { ledger, codes, scratch, trading, sessions, .. } = self;
        ledger.sequence = entry.sequence;
        let exceptions = &mut scratch.exceptions;
        match entry.operation {
            Operation::CreateAccounts => {
                let events = events_of(entry.body, &mut scratch.accounts);
                batch::execute(ledger, events, numbers, resolved, exceptions);
            }
            Operation::CreateTransfers => {
                let events = events_of(entry.body, &mut scratch.transfers);
                batch::execute(ledger, events, numbers, resolved, exceptions);
            }
            Operation::CreateLedgers => {
                let mut copies = Vec::new();
                let events: &[CreateLedger] = events_of(entry.body, &mut copies);
                registry::execute(events, numbers.first, exceptions, |event, number| {
                    register_ledger(&mut ledger.ledgers, event, number)
                });
            }
            Operation::CreateCodes => {
                let mut copies = Vec::new();
                let events: &[CreateCode] = events_of(entry.body, &mut copies);
                registry::execute(events, numbers.first, exceptions, |event, number| {
                    register_code(codes, event, number)
                });
            }
            Operation::CreateInstruments => {
                let events = events_of(entry.body, &mut scratch.instruments);
                trading.touch_left = BOOK_TOUCH_MAX;
                registry::execute(events, numbers.first, exceptions, |event, number| {
                    trading.create_instrument(ledger, event, number)
                });
            }
            Operation::CloseSessions => {
                let mut copies = Vec::new();
                let events: &[SessionKey] = events_of(entry.body, &mut copies);
                let client = entry.header.client;
                registry::execute(events, numbers.first, exceptions, |event, _| {
                    sessions.close_other(event, client).map_err(Refusal::new)
                });
            }
            _ => unreachable!("invariant: all other operations are handled before"),
        }
    }

    /// Moves sequence, time and digest.
    fn finish(&mut self, entry: &Entry<'_>, effect: &Effect, last: u64, output: &Output) {
        self.sequence = entry.sequence;
        self.timestamp = last;
        self.digest.absorb(entry.sequence.into());
        self.digest.absorb(
            u128::from(entry.operation.number())
                | u128::from(output.status as u32) << 16
                | u128::from(output.event_count) << 48,
        );
        self.digest.absorb(last.into());
        match effect {
            Effect::None => {}
            Effect::Created => {
                let exceptions = &self.scratch.exceptions;
                self.digest.absorb_results(entry.first, output.event_count, exceptions);
                self.digest.scrub(&self.ledger, output.event_count);
            }
            Effect::Traded => {
                for result in &self.trading.results {
                    for word in result_words(result) {
                        self.digest.absorb(word);
                    }
                }
                self.digest.absorb(self.trading.desk.chain.value());
                self.digest.scrub(&self.ledger, output.event_count);
            }
            Effect::Released { has_gone_on } => {
                for timestamp in &self.scratch.released {
                    self.digest.absorb((*timestamp).into());
                }
                if *has_gone_on {
                    self.digest.absorb(self.trading.desk.chain.value());
                }
                self.digest.scrub(&self.ledger, output.event_count);
            }
            Effect::Registered(session) => self.digest.absorb((*session).into()),
        }
        self.digest.remember(entry.sequence);
    }
}

/// Entries without events take one timestamp all the same.
fn last_timestamp(first: u64, count: u32) -> u64 {
    first + u64::from(count.max(1)) - 1
}

/// The events in place if the body is aligned, as it is in the ring, else copied.
fn events_of<'a, E>(body: &'a [u8], copies: &'a mut Vec<E>) -> &'a [E]
where
    E: FromBytes + Immutable + IntoBytes + KnownLayout + Copy,
{
    if let Ok(events) = <[E]>::ref_from_bytes(body) {
        return events;
    }
    copies.clear();
    let records = body.chunks_exact(size_of::<E>());
    copies.extend(records.map(|record| {
        E::read_from_bytes(record).expect("invariant: a chunk has the size of a record")
    }));
    copies
}

fn set_exceptions(exceptions: &[ResultException], output: &mut Output) {
    output.flags |= REPLY_COMPACT;
    output.set_records(exceptions.as_bytes(), size_of::<ResultException>());
}

fn replay(reply: &StoredReply, output: &mut Output) {
    output.status = RequestStatus::Ok;
    output.flags = REPLY_REPLAYED;
    output.sequence = reply.sequence;
    output.timestamp = reply.timestamp;
    output.event_count = reply.event_count;
    output.flags |= reply.flags;
    output.set_records(&reply.body, reply.result_size.into());
}

/// What the digest absorbs of a result; the books' reports, which it absorbs as well, have the rest.
fn result_words(result: &OrderResult) -> [u128; 2] {
    [
        u128::from(result.timestamp) | u128::from(result.status) << 64,
        u128::from(result.order_number) | u128::from(result.open) << 64,
    ]
}
