//! The state of one ledger, and what can be asked of it. `apply` and `read` are in files of their own.

use crate::audit;
use crate::digest::DigestChain;
use crate::error::{GenesisError, InvariantError};
use crate::genesis::check_genesis;
use crate::ledger::LedgerState;
use crate::registry::Codes;
use crate::resolved::PendingState;
use crate::sessions::Sessions;
use crate::trading::Trading;
use mizan_memory::reserve_touched;
use mizan_wire::limits::EVENTS_MAX;
use mizan_wire::trading::CreateInstrument;
use mizan_wire::{
    Account, DigestRecord, EngineStatus, Genesis, ResultException, SEMANTICS_VERSION, Transfer,
    TrialBalanceRow,
};

/// One ledger state: a pure function of the genesis record and the log entries applied to it.
pub struct Engine {
    pub(crate) genesis: Genesis,
    pub(crate) ledger: LedgerState,
    pub(crate) codes: Codes,
    pub(crate) sessions: Sessions,
    pub(crate) trading: Trading,
    pub(crate) digest: DigestChain,
    pub(crate) sequence: u64,
    pub(crate) timestamp: u64,
    pub(crate) scratch: Scratch,
}

/// Lists that are filled anew by every entry.
pub(crate) struct Scratch {
    pub(crate) exceptions: Vec<ResultException>,
    pub(crate) released: Vec<u64>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) transfers: Vec<Transfer>,
    pub(crate) instruments: Vec<CreateInstrument>,
}

impl Engine {
    /// An empty state. Cost: reserves and touches all memory that the maxima ask for, at 1 to 4 GB/s.
    ///
    /// # Errors
    /// A genesis record that no log can begin with.
    pub fn new(genesis: &Genesis) -> Result<Self, GenesisError> {
        check_genesis(genesis)?;
        let events = EVENTS_MAX as usize;
        Ok(Self {
            genesis: *genesis,
            ledger: LedgerState::new(genesis),
            codes: Codes::new(genesis.code_count_max as usize),
            sessions: Sessions::new(genesis),
            trading: Trading::new(genesis),
            digest: DigestChain::new(genesis.cluster, genesis.digest_interval),
            sequence: 0,
            timestamp: 0,
            scratch: Scratch {
                exceptions: reserve_touched(events),
                released: reserve_touched(events),
                accounts: reserve_touched(events),
                transfers: reserve_touched(events),
                instruments: Vec::new(),
            },
        })
    }

    /// The genesis record that the state was made with.
    #[must_use]
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// When the first open hold or order with an end of its own ends, in nanoseconds since 1970; the last timestamp while
    /// triggered stops wait for a tick.
    #[must_use]
    pub fn next_due_ns(&self) -> Option<u64> {
        let hold = self.ledger.holds.first_due().map(|(expires_ns, _)| expires_ns);
        let order = self.trading.first_due().map(|(expires_ns, _)| expires_ns);
        let stops = self.trading.is_due(&self.ledger).then_some(self.timestamp);
        hold.into_iter().chain(order).chain(stops).min()
    }

    /// Bounds the looks of an entry by another number than `LOOKS_MAX`, so that tests meet the bound with few orders. Not
    /// part of any log: whoever sets it sets it anew for each replay.
    #[doc(hidden)]
    pub fn bound_looks(&mut self, looks_max: u64) {
        self.trading.looks_max = looks_max;
    }

    /// The newest digest that should go into the log and that no entry has confirmed yet.
    #[must_use]
    pub const fn digest_due(&self) -> Option<DigestRecord> {
        self.digest.due()
    }

    /// The digest after the last applied entry.
    #[must_use]
    pub const fn digest(&self) -> u128 {
        self.digest.value()
    }

    /// Sequence of the last applied entry; 0 before the first.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The last timestamp given, in nanoseconds since 1970; 0 before the first.
    #[must_use]
    pub const fn timestamp(&self) -> u64 {
        self.timestamp
    }

    /// Counters, limits and digest.
    #[must_use]
    pub fn status(&self) -> EngineStatus {
        let ledger = &self.ledger;
        EngineStatus {
            digest: self.digest.value(),
            cluster: self.genesis.cluster,
            sequence: self.sequence,
            timestamp: self.timestamp,
            account_count: ledger.accounts.count() as u64,
            account_count_max: self.genesis.account_count_max,
            transfer_count: ledger.transfers.count() as u64,
            transfer_count_max: self.genesis.transfer_count_max,
            burnt_id_count: ledger.transfers.burnt_count() as u64,
            transfer_reserved_count: ledger.transfers.reserved_count() as u64,
            hold_count: ledger.holds.count() as u64,
            hold_count_max: self.genesis.hold_count_max,
            session_count: self.sessions.count() as u32,
            session_count_max: self.genesis.session_count_max,
            ledger_count: ledger.ledgers.count() as u32,
            ledger_count_max: self.genesis.ledger_count_max,
            semantics_version: SEMANTICS_VERSION,
            ..self.trading.status(&self.genesis)
        }
    }

    /// All accounts in order of creation.
    pub fn accounts(&self) -> impl Iterator<Item = Account> + '_ {
        (0..self.ledger.accounts.count() as u32).map(|slot| self.ledger.account(slot))
    }

    /// All stored transfers in order of their timestamps.
    pub fn transfers(&self) -> impl Iterator<Item = Transfer> + '_ {
        self.ledger.transfers.records.iter().map(|record| self.ledger.transfer(record))
    }

    /// The same with what became of those that were pending.
    pub fn transfers_and_states(&self) -> impl Iterator<Item = (Transfer, PendingState)> + '_ {
        let records = self.ledger.transfers.records.iter();
        records.map(|record| (self.ledger.transfer(record), record.pending_state))
    }

    /// All ids of transfers that were refused for a reason that may pass, in the order in which they were spent.
    pub fn spent_ids(&self) -> impl Iterator<Item = u128> + '_ {
        self.ledger.transfers.burnt_ids()
    }

    /// The sums of each ledger in use, ascending by ledger.
    #[must_use]
    pub fn trial_balance(&self) -> Vec<TrialBalanceRow> {
        self.ledger.ledgers.ascending().map(crate::ledgers::Ledger::row).collect()
    }

    /// Audits the whole state: sums, holds, limits, order, and that every record is found by its id.
    ///
    /// Cost: several passes over all accounts and transfers, and 64 bytes of memory per account.
    ///
    /// # Errors
    /// The first contradiction. The state must not be used further.
    pub fn check_invariants(&self) -> Result<(), InvariantError> {
        audit::check(&self.ledger, &self.trading)
    }
}
