//! The model: one entry after the other.
//!
//! Invariant: an entry is checked completely before anything changes, so an error leaves the state as it was.

mod view;

use crate::batch::create_batch;
use crate::digest::Digest;
use crate::error::{GenesisError, LogError};
use crate::genesis::check_genesis;
use crate::ledger::{Ledger, expires_ns};
use crate::reply::ModelReply;
use crate::sessions::{Decision, Sessions, StoredReply};
use crate::trading::Trading;
use crate::{reads, registry, tick};
use mizan_wire::frame::{REPLY_COMPACT, REPLY_REPLAYED};
use mizan_wire::limits::{TICK_ACTIONS_MAX, TIMESTAMP_MAX};
use mizan_wire::trading::CreateInstrument;
use mizan_wire::{
    Account, CREATED, CreateResult, DigestRecord, Genesis, Operation, RequestHeader, RequestStatus,
    ResultException, SessionKey, SessionsQuery, Transfer,
};
use std::collections::BTreeSet;
use zerocopy::{FromBytes, IntoBytes};

/// The state after some entries of a log.
#[derive(Clone, Debug)]
pub struct Model {
    genesis: Genesis,
    ledger: Ledger,
    sessions: Sessions,
    trading: Trading,
    digest: Digest,
    sequence: u64,
    timestamp: u64,
}

/// What an entry is to do, and the numbers that it takes.
struct Plan {
    action: Action,
    first: u64,
    last: u64,
}

enum Action {
    Genesis,
    Digest { at_sequence: u64 },
    Tick { due: Vec<Due> },
    Register,
    Lose,
    Close,
    Create,
    Trade,
    Refuse(RequestStatus),
    Replay(StoredReply),
}

/// A hold or an order that has come to its end.
enum Due {
    Hold(Transfer),
    Order(usize),
}

/// What the digest learns from an entry, besides sequence, operation, status and time.
#[derive(Default)]
struct Traces {
    words: Vec<u128>,
    scrub_count: usize,
}

impl Model {
    /// The state before the first entry.
    ///
    /// # Errors
    /// A genesis record that no log can begin with.
    pub fn new(genesis: &Genesis) -> Result<Self, GenesisError> {
        check_genesis(genesis)?;
        Ok(Self {
            genesis: *genesis,
            ledger: Ledger::new(genesis),
            sessions: Sessions::new(genesis),
            trading: Trading::new(genesis),
            digest: Digest::new(genesis.cluster),
            sequence: 0,
            timestamp: 0,
        })
    }

    /// Executes the log entry that follows the last one. `sequence` begins at 1 with the genesis record.
    ///
    /// # Errors
    /// A log that is broken, or not this model's. Nothing has changed then.
    pub fn apply(
        &mut self,
        sequence: u64,
        header: &RequestHeader,
        body: &[u8],
    ) -> Result<ModelReply, LogError> {
        if sequence != self.sequence + 1 {
            return Err(LogError::SequenceGap { last: self.sequence, found: sequence });
        }
        let operation = self.check_entry(header, body)?;
        if operation.is_read() || operation == Operation::Padding {
            return Err(self.misplaced(header));
        }
        let plan = self.plan(sequence, operation, header, body)?;
        let (reply, traces, last) = self.execute(sequence, plan, operation, header, body);
        self.ledger.in_trading = self.accounts_in_trading();

        self.sequence = sequence;
        self.timestamp = last;
        self.absorb(operation, &reply, &traces);
        if sequence.is_multiple_of(u64::from(self.genesis.digest_interval)) {
            self.digest.remember(sequence);
        }
        Ok(reply)
    }

    /// Answers a read from the state as it is.
    ///
    /// # Errors
    /// A request that is no read, or whose sizes contradict each other.
    pub fn read(&self, header: &RequestHeader, body: &[u8]) -> Result<ModelReply, LogError> {
        let operation = self.check_entry(header, body)?;
        let reply = ModelReply::empty(RequestStatus::Ok, self.sequence, self.timestamp);
        let min_sequence = header.replies_received;
        if operation.is_read() && min_sequence > self.sequence {
            return Ok(ModelReply { status: RequestStatus::SequenceNotReached, ..reply });
        }
        let reply = ModelReply { event_count: header.event_count, ..reply };
        let ledger = &self.ledger;
        Ok(match operation {
            Operation::LookupAccounts => {
                reply.with_records(&reads::lookup_accounts(ledger, &records(body)))
            }
            Operation::LookupTransfers => {
                reply.with_records(&reads::lookup_transfers(ledger, &records(body)))
            }
            Operation::GetLedgers => reply.with_records(&reads::get_ledgers(ledger)),
            Operation::GetCodes => reply.with_records(&reads::get_codes(ledger)),
            Operation::TrialBalance => reply.with_records(&reads::trial_balance(ledger)),
            Operation::GetEngineStatus => reply.with_records(&[self.status()]),
            Operation::GetSessions => {
                let query = records::<SessionsQuery>(body)[0];
                reply.with_records(&self.sessions.list(query.after))
            }
            _ if operation.is_read() => self.trading.answer(ledger, operation, body, reply),
            _ => return Err(self.misplaced(header)),
        })
    }

    /// Whether operation, flags and sizes are such that ingress would have let the request through.
    fn check_entry(&self, header: &RequestHeader, body: &[u8]) -> Result<Operation, LogError> {
        let last = self.sequence;
        let operation = header.operation().ok_or_else(|| self.misplaced(header))?;
        if header.unknown_flags(operation) != 0 {
            return Err(LogError::FlagsInvalid { last, flags: header.flags });
        }
        let (count_min, count_max) = operation.event_count_range();
        let event_size = operation.event_size();
        let body_size = match operation {
            Operation::Genesis => size_of::<Genesis>(),
            Operation::Digest => size_of::<DigestRecord>(),
            // The header speaks of the events of the request that it repeats.
            _ if header.is_repeated() => 0,
            _ => event_size * header.event_count as usize,
        };
        let sizes_fit = usize::from(header.event_size) == event_size
            && (count_min..=count_max).contains(&header.event_count)
            && header.body_size as usize == body_size
            && body.len() == body_size;
        if sizes_fit {
            Ok(operation)
        } else {
            Err(LogError::SizeInvalid { last, found: body.len() })
        }
    }

    fn misplaced(&self, header: &RequestHeader) -> LogError {
        LogError::OperationInvalid { last: self.sequence, operation: header.operation }
    }

    /// Decides what the entry does and which numbers it takes. Changes nothing.
    fn plan(
        &self,
        sequence: u64,
        operation: Operation,
        header: &RequestHeader,
        body: &[u8],
    ) -> Result<Plan, LogError> {
        if (operation == Operation::Genesis) != (sequence == 1) {
            return Err(LogError::GenesisMisplaced { sequence });
        }
        let is_internal = matches!(
            operation,
            Operation::Genesis | Operation::Digest | Operation::Tick | Operation::ConnectionLost
        );
        if is_internal && header.client != 0 {
            return Err(self.misplaced(header));
        }
        let first = header.clock_reading.max(self.timestamp + 1);
        let action = match operation {
            Operation::Genesis if body != self.genesis.as_bytes() => {
                return Err(LogError::GenesisDiffers);
            }
            Operation::Genesis => Action::Genesis,
            Operation::Digest => self.plan_digest(sequence, body)?,
            Operation::Tick => Action::Tick { due: self.due(first) },
            Operation::Register => Action::Register,
            Operation::ConnectionLost => Action::Lose,
            Operation::CloseSession => self.plan_write(header, operation, Action::Close),
            // Internal writes have no session.
            _ if header.client == 0 => creates(operation),
            _ => self.plan_write(header, operation, creates(operation)),
        };
        self.check_time(operation, header, first)?;
        let numbers = match &action {
            Action::Create => u64::from(header.event_count),
            Action::Tick { due } => due.len() as u64,
            _ => 1,
        };
        Ok(Plan { action, first, last: first + numbers.max(1) - 1 })
    }

    /// All numbers that an entry of this kind and size could take at the most must lie before the end of time, whether it
    /// will take them or not.
    fn check_time(
        &self,
        operation: Operation,
        header: &RequestHeader,
        first: u64,
    ) -> Result<(), LogError> {
        let events = u64::from(header.event_count);
        let numbers = match operation {
            Operation::Tick => {
                let timed = self.ledger.open_hold_count() + self.trading.expiries().len() as u64;
                let traded = match self.trading.has_waiting() {
                    true => self.trading.room(&self.ledger) + self.trading.instrument_count(),
                    false => 0,
                };
                timed.min(TICK_ACTIONS_MAX.into()) + traded
            }
            _ if operation.is_trading() => events + self.trading.room(&self.ledger),
            _ => events,
        };
        let last = first.checked_add(numbers.max(1) - 1);
        match last.is_some_and(|last| last <= TIMESTAMP_MAX) {
            true => Ok(()),
            false => Err(LogError::TimestampOutOfRange {
                last: self.sequence,
                clock_reading: header.clock_reading,
            }),
        }
    }

    fn plan_digest(&self, sequence: u64, body: &[u8]) -> Result<Action, LogError> {
        let record = records::<DigestRecord>(body)[0];
        let (expected, at_sequence) = (record.digest, record.at_sequence);
        match self.digest.at(at_sequence) {
            None => Err(LogError::DigestUnknown { sequence, at_sequence }),
            Some(found) if found != expected => {
                Err(LogError::DigestDiffers { at_sequence, expected, found })
            }
            Some(_) => Ok(Action::Digest { at_sequence }),
        }
    }

    fn plan_write(&self, header: &RequestHeader, operation: Operation, action: Action) -> Action {
        match self.sessions.decide(header, operation) {
            Decision::Execute if header.is_repeated() => Action::Refuse(RequestStatus::Overloaded),
            Decision::Execute => action,
            Decision::Refuse(status) => Action::Refuse(status),
            Decision::Replay(stored) => Action::Replay(stored),
        }
    }

    fn execute(
        &mut self,
        sequence: u64,
        plan: Plan,
        operation: Operation,
        header: &RequestHeader,
        body: &[u8],
    ) -> (ModelReply, Traces, u64) {
        if matches!(plan.action, Action::Trade) {
            return self.execute_trade(operation, header, body, sequence, plan.first);
        }
        if let Action::Tick { due } = &plan.action {
            return self.execute_tick(due, sequence, plan.first);
        }
        let (first, last) = (plan.first, plan.last);
        if operation != Operation::Register {
            self.sessions.touch(header, last);
        }
        let empty = ModelReply::empty(RequestStatus::Ok, sequence, last);
        let (reply, traces) = match plan.action {
            Action::Genesis => (empty, Traces::default()),
            Action::Digest { at_sequence } => {
                self.digest.confirm(at_sequence);
                (empty, Traces::default())
            }
            Action::Register => self.execute_register(header, sequence, first, empty),
            Action::Lose => {
                self.sessions.lose(&records(body), first);
                (empty, Traces::default())
            }
            Action::Close => {
                self.sessions.close(header.client);
                (empty, Traces::default())
            }
            Action::Create => self.execute_create(operation, header, body, first, empty),
            Action::Refuse(status) => (ModelReply { status, ..empty }, Traces::default()),
            Action::Replay(stored) => (replayed(&stored), Traces::default()),
            Action::Trade | Action::Tick { .. } => unreachable!("handled above"),
        };
        (reply, traces, last)
    }

    /// What a tick at `now` ends, holds and orders together, in the order of due time and timestamp.
    fn due(&self, now: u64) -> Vec<Due> {
        let holds = tick::due(&self.ledger, now).into_iter().map(|pending| {
            let due_ns = expires_ns(&pending).expect("invariant: it is due");
            (due_ns, pending.timestamp, Due::Hold(pending))
        });
        let orders = self.trading.expiries().into_iter();
        let orders = orders.filter(|(due_ns, _, _)| *due_ns <= now);
        let orders =
            orders.map(|(due_ns, timestamp, order)| (due_ns, timestamp, Due::Order(order)));
        let mut all: Vec<_> = holds.chain(orders).collect();
        all.sort_by_key(|(due_ns, timestamp, _)| (*due_ns, *timestamp));
        all.truncate(TICK_ACTIONS_MAX as usize);
        all.into_iter().map(|(_, _, due)| due).collect()
    }

    fn execute_tick(
        &mut self,
        due: &[Due],
        sequence: u64,
        first: u64,
    ) -> (ModelReply, Traces, u64) {
        let mut traces = Traces { words: Vec::new(), scrub_count: due.len() };
        for (index, due) in due.iter().enumerate() {
            let timestamp = match due {
                Due::Hold(pending) => {
                    tick::expire(pending, &mut self.ledger);
                    pending.timestamp
                }
                Due::Order(position) => {
                    let now = first + index as u64;
                    self.trading.expire(&mut self.ledger, *position, sequence, now)
                }
            };
            traces.words.push(u128::from(timestamp));
        }
        let mut next = first + due.len() as u64;
        if due.len() < TICK_ACTIONS_MAX as usize {
            let has_gone_on;
            (next, has_gone_on) = self.trading.go_on_with_all(&mut self.ledger, sequence, next);
            if has_gone_on {
                traces.words.push(self.trading.chain());
            }
        }
        let last = first.max(next - 1);
        let empty = ModelReply::empty(RequestStatus::Ok, sequence, last);
        (ModelReply { event_count: due.len() as u32, ..empty }, traces, last)
    }

    fn execute_register(
        &mut self,
        header: &RequestHeader,
        sequence: u64,
        first: u64,
        empty: ModelReply,
    ) -> (ModelReply, Traces) {
        match self.sessions.register(header, sequence, first) {
            Err(status) => (ModelReply { status, ..empty }, Traces::default()),
            Ok(record) => {
                let words = vec![u128::from(record.session)];
                (empty.with_records(&[record]), Traces { words, scrub_count: 0 })
            }
        }
    }

    fn execute_trade(
        &mut self,
        operation: Operation,
        header: &RequestHeader,
        body: &[u8],
        sequence: u64,
        first: u64,
    ) -> (ModelReply, Traces, u64) {
        let ledger = &mut self.ledger;
        let session = header.session;
        let (results, last) =
            self.trading.execute(ledger, operation, body, session, sequence, first);
        self.sessions.touch(header, last);
        let empty = ModelReply::empty(RequestStatus::Ok, sequence, last);
        let reply = ModelReply { event_count: header.event_count, ..empty }.with_records(&results);
        self.store(header, &reply);
        let words = self.trading.words(&results);
        (reply, Traces { words, scrub_count: results.len() }, last)
    }

    fn store(&mut self, header: &RequestHeader, reply: &ModelReply) {
        if header.client == 0 {
            return;
        }
        let stored = StoredReply {
            request_checksum: header.request_checksum,
            sequence: reply.sequence,
            timestamp: reply.timestamp,
            event_count: reply.event_count,
            flags: reply.flags,
            result_size: reply.result_size,
            body: reply.body.clone(),
        };
        self.sessions.store(header, stored);
    }

    fn accounts_in_trading(&self) -> BTreeSet<u128> {
        let ids = self.ledger.accounts().iter().map(|account| account.id);
        ids.filter(|id| self.trading.uses(*id)).collect()
    }

    fn execute_create(
        &mut self,
        operation: Operation,
        header: &RequestHeader,
        body: &[u8],
        first: u64,
        empty: ModelReply,
    ) -> (ModelReply, Traces) {
        let ledger = &mut self.ledger;
        let results = match operation {
            Operation::CreateAccounts => create_batch::<Account>(ledger, &records(body), first),
            Operation::CreateTransfers => create_batch::<Transfer>(ledger, &records(body), first),
            Operation::CreateLedgers => registry::create_ledgers(ledger, &records(body), first),
            Operation::CreateInstruments => {
                create_instruments(&mut self.trading, ledger, body, first)
            }
            Operation::CloseSessions => {
                let numbered = (first..).zip(records::<SessionKey>(body));
                let close = |(timestamp, key): (u64, SessionKey)| CreateResult {
                    timestamp,
                    status: self.sessions.close_other(&key, header.client),
                    reserved: 0,
                };
                numbered.map(close).collect()
            }
            _ => registry::create_codes(ledger, &records(body), first),
        };
        let exceptions = exceptions(&results, first);
        let reply = ModelReply { event_count: header.event_count, flags: REPLY_COMPACT, ..empty }
            .with_records(&exceptions);
        self.store(header, &reply);
        let word = |(index, result): (usize, &CreateResult)| {
            u128::from(result.timestamp) | u128::from(result.status) << 64 | (index as u128) << 96
        };
        let words = results.iter().enumerate().map(word).collect();
        (reply, Traces { words, scrub_count: results.len() })
    }

    fn absorb(&mut self, operation: Operation, reply: &ModelReply, traces: &Traces) {
        let what = u128::from(operation.number())
            | u128::from(reply.status as u32) << 16
            | u128::from(reply.event_count) << 48;
        self.digest.absorb(u128::from(self.sequence));
        self.digest.absorb(what);
        self.digest.absorb(u128::from(self.timestamp));
        for word in &traces.words {
            self.digest.absorb(*word);
        }
        for _ in 0..traces.scrub_count {
            self.digest.scrub(self.ledger.accounts());
        }
    }
}

/// The records of a body whose size was checked. Copied: a body may lie at any address.
fn records<R: FromBytes>(body: &[u8]) -> Vec<R> {
    let read = |bytes: &[u8]| R::read_from_bytes(bytes).expect("invariant: sizes were checked");
    body.chunks_exact(size_of::<R>()).map(read).collect()
}

/// The results that the reply's timestamp does not imply.
fn exceptions(results: &[CreateResult], first: u64) -> Vec<ResultException> {
    let mut exceptions = Vec::new();
    for (index, result) in results.iter().enumerate() {
        let number = first + index as u64;
        if (result.status, result.timestamp) != (CREATED, number) {
            let (timestamp, status) = (result.timestamp, result.status);
            exceptions.push(ResultException { timestamp, index: index as u32, status });
        }
    }
    exceptions
}

fn replayed(stored: &StoredReply) -> ModelReply {
    let reply = ModelReply::empty(RequestStatus::Ok, stored.sequence, stored.timestamp);
    let result_size = stored.result_size;
    ModelReply {
        flags: stored.flags | REPLY_REPLAYED,
        event_count: stored.event_count,
        result_size,
        result_count: (stored.body.len() / usize::from(result_size.max(1))) as u32,
        body: stored.body.clone(),
        ..reply
    }
}

fn creates(operation: Operation) -> Action {
    if operation.is_trading() { Action::Trade } else { Action::Create }
}

fn create_instruments(
    trading: &mut Trading,
    ledger: &Ledger,
    body: &[u8],
    first: u64,
) -> Vec<CreateResult> {
    let events = records::<CreateInstrument>(body);
    let numbered = (first..).zip(&events);
    let create = |(number, event): (u64, &CreateInstrument)| {
        let (status, timestamp) = match trading.create(ledger, event, number) {
            Ok(()) => (CREATED, number),
            Err(refused) => refused,
        };
        CreateResult { timestamp, status, reserved: 0 }
    };
    numbered.map(create).collect()
}
