//! What the benchmarks share: ledgers of a given size and batches of transfers between their accounts.
#![forbid(unsafe_code)]

use mizan_engine::{Engine, Output, Resolved};
use mizan_wire::limits::EVENTS_MAX;
use mizan_wire::{Account, Genesis, Operation, RequestHeader, SEMANTICS_VERSION, Transfer};
use zerocopy::IntoBytes;

/// An engine with accounts, and the sequence of its log.
pub struct Ledger {
    /// The engine.
    pub engine: Engine,
    output: Output,
    accounts: u64,
    next_id: u128,
    random: u64,
}

impl Ledger {
    /// A ledger with so many accounts and room for so many transfers.
    ///
    /// # Panics
    /// If the engine refuses limits or accounts: a fault of the benchmark.
    #[must_use]
    pub fn new(accounts: u64, transfers: u64) -> Self {
        let genesis = Genesis {
            account_count_max: accounts,
            transfer_count_max: transfers,
            hold_count_max: 1,
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
        let mut ledger = Self { engine, output: Output::new(), accounts, next_id: 1, random: 7 };
        ledger.apply(Operation::Genesis, 0, genesis.as_bytes());
        let ids: Vec<u64> = (1..=accounts).collect();
        for chunk in ids.chunks(EVENTS_MAX as usize) {
            let records: Vec<Account> = chunk
                .iter()
                .map(|id| Account { id: u128::from(*id), ledger: 1, code: 1, ..Account::default() })
                .collect();
            ledger.apply(Operation::CreateAccounts, records.len() as u32, records.as_bytes());
            assert!(ledger.output.body().is_empty(), "every account is created");
        }
        ledger
    }

    /// The next batch: uniform random accounts, ascending ids.
    pub fn batch(&mut self, count: u32) -> Vec<Transfer> {
        (0..count)
            .map(|_| {
                let debit = self.random() % self.accounts;
                let credit = (debit + 1 + self.random() % (self.accounts - 1)) % self.accounts;
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

    /// Applies a batch of transfers, all of which must be created.
    ///
    /// # Panics
    /// If one is not.
    pub fn transfer(&mut self, batch: &[Transfer]) {
        self.apply(Operation::CreateTransfers, batch.len() as u32, batch.as_bytes());
        assert!(self.output.body().is_empty(), "every transfer is created");
    }

    fn apply(&mut self, operation: Operation, event_count: u32, body: &[u8]) {
        let header = RequestHeader {
            operation: operation.number(),
            event_size: operation.event_size() as u16,
            event_count,
            body_size: body.len() as u32,
            clock_reading: 1,
            ..RequestHeader::default()
        };
        let sequence = self.engine.sequence() + 1;
        self.engine
            .apply(sequence, &header, body, &Resolved::none(), &mut self.output)
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
