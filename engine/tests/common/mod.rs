//! A log in memory with its engine: each step appends one entry, and audits the whole state.
#![allow(dead_code, unreachable_pub)]

use mizan_engine::{ApplyError, Engine, Output, Resolved};
use mizan_wire::frame::REPLY_COMPACT;
use mizan_wire::{
    Account, CreateResult, Genesis, Operation, RegisterRecord, RequestHeader, RequestStatus,
    ResultException, SEMANTICS_VERSION, Transfer, expand_results,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The clock reading of entries that say nothing else.
pub const CLOCK_NS: u64 = 1_000_000_000_000;
pub const SECOND_NS: u64 = 1_000_000_000;
pub const CREATED: u32 = u32::MAX;

pub fn small_genesis() -> Genesis {
    Genesis {
        cluster: 7,
        hash_seed: 11,
        account_count_max: 64,
        transfer_count_max: 512,
        hold_count_max: 8,
        session_idle_ns: 1_000,
        semantics_version: SEMANTICS_VERSION,
        digest_interval: 4,
        ledger_count_max: 3,
        code_count_max: 2,
        session_count_max: 2,
        window_requests: 3,
        window_bytes: 8_189 * 16,
        ..Genesis::default()
    }
}

pub struct Log {
    pub engine: Engine,
    pub output: Output,
    pub clock_ns: u64,
}

impl Log {
    pub fn new() -> Self {
        Self::with(&small_genesis())
    }

    pub fn with(genesis: &Genesis) -> Self {
        let engine = Engine::new(genesis).unwrap();
        let mut log = Self { engine, output: Output::new(), clock_ns: CLOCK_NS };
        log.apply(&log.header(Operation::Genesis, 0, 128), genesis.as_bytes()).unwrap();
        log
    }

    pub fn header(&self, operation: Operation, event_count: usize, size: usize) -> RequestHeader {
        RequestHeader {
            operation: operation.number(),
            event_size: operation.event_size() as u16,
            event_count: event_count as u32,
            body_size: size as u32,
            clock_reading: self.clock_ns,
            ..RequestHeader::default()
        }
    }

    pub fn apply(&mut self, header: &RequestHeader, body: &[u8]) -> Result<(), ApplyError> {
        self.apply_resolved(header, body, &Resolved::none())
    }

    pub fn apply_resolved(
        &mut self,
        header: &RequestHeader,
        body: &[u8],
        resolved: &Resolved<'_>,
    ) -> Result<(), ApplyError> {
        let sequence = self.engine.sequence() + 1;
        let outcome = self.engine.apply(sequence, header, body, resolved, &mut self.output);
        self.engine.check_invariants().unwrap();
        outcome
    }

    /// Executes a create without a session; gives one result per event.
    pub fn create<E: IntoBytes + Immutable>(
        &mut self,
        operation: Operation,
        events: &[E],
    ) -> Vec<CreateResult> {
        self.create_resolved(operation, events, &Resolved::none())
    }

    pub fn create_resolved<E: IntoBytes + Immutable>(
        &mut self,
        operation: Operation,
        events: &[E],
        resolved: &Resolved<'_>,
    ) -> Vec<CreateResult> {
        let body = events.as_bytes();
        let header = self.header(operation, events.len(), body.len());
        self.apply_resolved(&header, body, resolved).unwrap();
        assert_eq!(self.output.status, RequestStatus::Ok);
        assert_eq!(self.output.flags, REPLY_COMPACT);
        assert_eq!(self.output.sequence, self.engine.sequence());
        assert_eq!(self.output.timestamp, self.engine.timestamp());
        self.results()
    }

    /// The results of the last create, expanded.
    pub fn results(&self) -> Vec<CreateResult> {
        let exceptions: Vec<ResultException> = self.records();
        assert!(exceptions.is_sorted_by_key(|exception| exception.index));
        expand_results(self.output.timestamp, self.output.event_count, &exceptions)
    }

    /// The records of the last reply's body.
    pub fn records<T: FromBytes>(&self) -> Vec<T> {
        let body = self.output.body();
        assert_eq!(body.len(), self.output.result_count as usize * size_of::<T>());
        body.chunks(size_of::<T>()).map(|chunk| T::read_from_bytes(chunk).unwrap()).collect()
    }

    pub fn accounts(&mut self, events: &[Account]) -> Vec<u32> {
        statuses(&self.create(Operation::CreateAccounts, events))
    }

    pub fn transfers(&mut self, events: &[Transfer]) -> Vec<u32> {
        statuses(&self.create(Operation::CreateTransfers, events))
    }

    /// One transfer's status.
    pub fn transfer(&mut self, event: Transfer) -> u32 {
        self.transfers(&[event])[0]
    }

    /// Lets time pass up to a clock reading; gives the number of holds that expired.
    pub fn tick(&mut self, clock_ns: u64) -> u32 {
        self.clock_ns = clock_ns;
        self.apply(&self.header(Operation::Tick, 0, 0), &[]).unwrap();
        assert_eq!(self.output.status, RequestStatus::Ok);
        assert_eq!(self.output.timestamp, self.engine.timestamp());
        self.output.event_count
    }

    pub fn read<T: FromBytes, E: IntoBytes + Immutable>(
        &mut self,
        operation: Operation,
        events: &[E],
    ) -> Vec<T> {
        let body = events.as_bytes();
        let header = self.header(operation, events.len(), body.len());
        self.engine.read(&header, body, &mut self.output).unwrap();
        assert_eq!(self.output.status, RequestStatus::Ok);
        self.records()
    }

    pub fn account(&mut self, id: u128) -> Account {
        self.read::<Account, _>(Operation::LookupAccounts, &[id])[0]
    }

    pub fn find_transfer(&mut self, id: u128) -> Option<Transfer> {
        self.read(Operation::LookupTransfers, &[id]).first().copied()
    }

    /// Pending and posted debits, then pending and posted credits.
    pub fn balances(&mut self, id: u128) -> [u128; 4] {
        let account = self.account(id);
        [
            account.debits_pending,
            account.debits_posted,
            account.credits_pending,
            account.credits_posted,
        ]
    }

    /// All that a client can see of accounts and transfers.
    pub fn visible(&self) -> (Vec<Account>, Vec<Transfer>) {
        (self.engine.accounts().collect(), self.engine.transfers().collect())
    }

    pub fn register(
        &mut self,
        client: u128,
        session: u64,
    ) -> Result<RegisterRecord, RequestStatus> {
        let header = RequestHeader { client, session, ..self.header(Operation::Register, 0, 0) };
        self.apply(&header, &[]).unwrap();
        match self.output.status {
            RequestStatus::Ok => Ok(self.records()[0]),
            refused => {
                assert!(self.output.body().is_empty());
                Err(refused)
            }
        }
    }
}

/// Any record's bytes, one byte off its alignment.
pub fn misaligned<E: IntoBytes + Immutable + KnownLayout>(events: &[E]) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::with_capacity(size_of_val(events) + 16);
    let offset = bytes.as_ptr().align_offset(16) + 1;
    bytes.resize(offset, 0);
    bytes.extend_from_slice(events.as_bytes());
    bytes
}

pub fn statuses(results: &[CreateResult]) -> Vec<u32> {
    results.iter().map(|result| result.status).collect()
}

pub fn account(id: u128) -> Account {
    Account { id, ledger: 1, code: 1, ..Account::default() }
}

pub fn account_with(id: u128, flags: u16) -> Account {
    Account { flags, ..account(id) }
}

pub fn transfer(id: u128, debit: u128, credit: u128, amount: u128) -> Transfer {
    Transfer {
        id,
        debit_account_id: debit,
        credit_account_id: credit,
        amount,
        ledger: 1,
        code: 1,
        ..Transfer::default()
    }
}

pub fn transfer_with(id: u128, debit: u128, credit: u128, amount: u128, flags: u16) -> Transfer {
    Transfer { flags, ..transfer(id, debit, credit, amount) }
}

/// A post or void that leaves all but the amount open.
pub fn resolution(id: u128, pending_id: u128, amount: u128, flags: u16) -> Transfer {
    Transfer { id, pending_id, amount, flags, ..Transfer::default() }
}
