//! What a model can be asked besides requests: where it stands, and what it holds.

use super::Model;
use crate::ledger::HoldState;
use crate::reads;
use mizan_wire::{
    Account, DigestRecord, EngineStatus, SEMANTICS_VERSION, Transfer, TrialBalanceRow,
};

impl Model {
    /// The digest after the last entry.
    #[must_use]
    pub fn digest(&self) -> u128 {
        self.digest.value()
    }

    /// The newest remembered digest that no entry of the log has confirmed yet.
    #[must_use]
    pub fn digest_due(&self) -> Option<DigestRecord> {
        self.digest.due()
    }

    /// The sequence of the last entry; 0 before the first.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The last timestamp given, in nanoseconds since 1970.
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        self.timestamp
    }

    /// All accounts, in the order of their creation.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.ledger.accounts().iter()
    }

    /// All transfers, in the order of their creation.
    pub fn transfers(&self) -> impl Iterator<Item = &Transfer> {
        self.ledger.transfers()
    }

    /// What has become of a pending transfer; `None` for any other id.
    #[must_use]
    pub fn hold(&self, id: u128) -> Option<HoldState> {
        self.ledger.hold(id)
    }

    /// A row per ledger in use, ascending. Cost: all accounts for every ledger.
    #[must_use]
    pub fn trial_balance(&self) -> Vec<TrialBalanceRow> {
        reads::trial_balance(&self.ledger)
    }

    /// When the next open hold or order ends by itself, in nanoseconds since 1970.
    #[must_use]
    pub fn next_due_ns(&self) -> Option<u64> {
        let hold = self.ledger.expiries().first().map(|(due_ns, _, _)| *due_ns);
        let order = self.trading.expiries().first().map(|(due_ns, _, _)| *due_ns);
        let stops = self.trading.is_due(&self.ledger).then_some(self.timestamp);
        hold.into_iter().chain(order).chain(stops).min()
    }

    /// Bounds the looks of an entry by another number than `LOOKS_MAX`, so that tests meet the bound with few orders.
    #[doc(hidden)]
    pub fn bound_looks(&mut self, looks_max: u64) {
        self.trading.looks_max = looks_max;
    }

    /// Counters, limits and digest.
    #[must_use]
    pub fn status(&self) -> EngineStatus {
        EngineStatus {
            digest: self.digest.value(),
            cluster: self.genesis.cluster,
            sequence: self.sequence,
            timestamp: self.timestamp,
            account_count: self.ledger.accounts().len() as u64,
            account_count_max: self.genesis.account_count_max,
            transfer_count: self.ledger.transfer_count(),
            transfer_count_max: self.genesis.transfer_count_max,
            burnt_id_count: self.ledger.burnt_count(),
            transfer_reserved_count: self.ledger.open_hold_count(),
            hold_count: self.ledger.open_hold_count(),
            hold_count_max: self.genesis.hold_count_max,
            session_count: self.sessions.count(),
            session_count_max: self.genesis.session_count_max,
            ledger_count: self.ledger.ledgers().len() as u32,
            ledger_count_max: self.genesis.ledger_count_max,
            semantics_version: SEMANTICS_VERSION,
            ..self.trading.status()
        }
    }
}
