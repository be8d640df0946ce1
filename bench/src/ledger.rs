//! Ledgers of a given size, and batches of transfers between their accounts.

use mizan_engine::{Engine, Output, Resolved};
use mizan_wire::frame::REPLY_REPLAYED;
use mizan_wire::limits::EVENTS_MAX;
use mizan_wire::{
    Account, Genesis, Operation, RegisterRecord, RequestHeader, RequestStatus, SEMANTICS_VERSION,
    Transfer, TransferFlags,
};
use zerocopy::{FromBytes, IntoBytes};

/// Accounts that get all credits of a hot batch.
const HOT_ACCOUNTS: u64 = 16;
/// The client whose requests are repeated.
const CLIENT: u128 = 77;
/// Seconds until a hold expires: never, in a benchmark.
const HOLD_TIMEOUT_S: u32 = 1 << 30;

/// Which accounts transfers go between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Both sides anywhere.
    Uniform,
    /// From anywhere to one of sixteen accounts.
    Hot,
}

/// An engine with accounts, and the sequence of its log.
pub struct Ledger {
    /// The engine.
    pub engine: Engine,
    output: Output,
    accounts: u64,
    session: u64,
    next_id: u128,
    random: u64,
}

impl Ledger {
    /// A ledger with so many accounts and room for so many transfers and holds.
    ///
    /// # Panics
    /// If the engine refuses limits or accounts: a fault of the benchmark.
    #[must_use]
    pub fn new(accounts: u64, transfers: u64, holds: u64) -> Self {
        let genesis = Genesis {
            account_count_max: accounts,
            transfer_count_max: transfers,
            hold_count_max: holds,
            session_idle_ns: 1,
            semantics_version: SEMANTICS_VERSION,
            digest_interval: 4_096,
            ledger_count_max: 16,
            code_count_max: 16,
            session_count_max: 16,
            window_requests: 16,
            window_bytes: 4 << 20,
            ..Genesis::default()
        };
        let engine = Engine::new(&genesis).expect("the limits are sound");
        let mut ledger =
            Self { engine, output: Output::new(), accounts, session: 0, next_id: 1, random: 7 };
        ledger.apply(&header(Operation::Genesis, 0, genesis.as_bytes()), genesis.as_bytes());
        let ids: Vec<u64> = (1..=accounts).collect();
        for chunk in ids.chunks(EVENTS_MAX as usize) {
            let records: Vec<Account> = chunk
                .iter()
                .map(|id| Account { id: u128::from(*id), ledger: 1, code: 1, ..Account::default() })
                .collect();
            ledger.create(Operation::CreateAccounts, records.as_bytes(), records.len());
        }
        ledger
    }

    /// The next batch: plain transfers with ascending ids.
    pub fn batch(&mut self, count: u32, spread: Spread) -> Vec<Transfer> {
        let credits = if spread == Spread::Hot { HOT_ACCOUNTS } else { self.accounts };
        (0..count)
            .map(|_| {
                let credit = self.random() % credits;
                let debit = (credit + 1 + self.random() % (self.accounts - 1)) % self.accounts;
                let id = self.next_id;
                self.next_id += 1;
                Transfer {
                    id,
                    debit_account_id: u128::from(debit + 1),
                    credit_account_id: u128::from(credit + 1),
                    amount: 1,
                    ledger: 1,
                    code: 1,
                    ..Transfer::default()
                }
            })
            .collect()
    }

    /// The next batch, of holds.
    pub fn pending(&mut self, count: u32) -> Vec<Transfer> {
        let mut batch = self.batch(count, Spread::Uniform);
        for transfer in &mut batch {
            transfer.flags = TransferFlags::PENDING;
            transfer.timeout = HOLD_TIMEOUT_S;
        }
        batch
    }

    /// The next batch, which posts the holds of another one.
    pub fn posting(&mut self, pending: &[Transfer]) -> Vec<Transfer> {
        pending
            .iter()
            .map(|hold| {
                let id = self.next_id;
                self.next_id += 1;
                Transfer {
                    id,
                    pending_id: hold.id,
                    amount: hold.amount,
                    flags: TransferFlags::POST_PENDING,
                    ..Transfer::default()
                }
            })
            .collect()
    }

    /// The next batch, in chains of `length` transfers that succeed together.
    pub fn linked(&mut self, count: u32, length: usize) -> Vec<Transfer> {
        let mut batch = self.batch(count, Spread::Uniform);
        for chain in batch.chunks_mut(length) {
            if let Some((_, linked)) = chain.split_last_mut() {
                linked.iter_mut().for_each(|transfer| transfer.flags = TransferFlags::LINKED);
            }
        }
        batch
    }

    /// Applies a batch of transfers, all of which must be created.
    ///
    /// # Panics
    /// If one is not.
    pub fn transfer(&mut self, batch: &[Transfer]) {
        self.create(Operation::CreateTransfers, batch.as_bytes(), batch.len());
    }

    /// Applies a batch of transfers that exist already.
    ///
    /// # Panics
    /// If one did not.
    pub fn transfer_again(&mut self, batch: &[Transfer]) {
        let body = batch.as_bytes();
        self.apply(&header(Operation::CreateTransfers, batch.len(), body), body);
        assert_eq!(self.output.result_count as usize, batch.len(), "none is created");
    }

    /// Opens the session that [`Ledger::request`] uses.
    ///
    /// # Panics
    /// If it is refused.
    pub fn open_session(&mut self) {
        let header = RequestHeader { client: CLIENT, ..header(Operation::Register, 0, &[]) };
        self.apply(&header, &[]);
        let record = RegisterRecord::read_from_bytes(self.output.body());
        self.session = record.expect("the session is opened").session;
    }

    /// Applies a batch as the first request of the session; says whether the reply was a stored one.
    ///
    /// # Panics
    /// If the request is refused.
    pub fn request(&mut self, batch: &[Transfer]) -> bool {
        let header = RequestHeader {
            client: CLIENT,
            session: self.session,
            request: 1,
            request_checksum: 5,
            ..header(Operation::CreateTransfers, batch.len(), batch.as_bytes())
        };
        self.apply(&header, batch.as_bytes());
        assert_eq!(self.output.status, RequestStatus::Ok, "the request is accepted");
        self.output.flags & REPLY_REPLAYED != 0
    }

    /// Looks up records by id; all of them must be found.
    ///
    /// # Panics
    /// If one is not.
    pub fn lookup(&mut self, operation: Operation, ids: &[u128]) {
        let body = ids.as_bytes();
        self.engine
            .read(&header(operation, ids.len(), body), body, &mut self.output)
            .expect("the read is sound");
        assert_eq!(self.output.result_count as usize, ids.len(), "all are found");
    }

    fn create(&mut self, operation: Operation, body: &[u8], count: usize) {
        self.apply(&header(operation, count, body), body);
        assert!(self.output.body().is_empty(), "every event is created");
    }

    fn apply(&mut self, header: &RequestHeader, body: &[u8]) {
        let sequence = self.engine.sequence() + 1;
        self.engine
            .apply(sequence, header, body, &Resolved::none(), &mut self.output)
            .expect("the log is sound");
    }

    /// xorshift64 (Marsaglia 2003).
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

fn header(operation: Operation, event_count: usize, body: &[u8]) -> RequestHeader {
    RequestHeader {
        operation: operation.number(),
        event_size: operation.event_size() as u16,
        event_count: event_count as u32,
        body_size: body.len() as u32,
        clock_reading: 1,
        ..RequestHeader::default()
    }
}
