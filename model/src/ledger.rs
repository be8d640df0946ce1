//! Accounts, transfers, holds and the registry, in ordered maps, and the few ways in which they change.
//!
//! Invariants: every change goes through a function of this module, which notes how to take it back while a chain is
//! open; accounts and transfers ascend by timestamp in the order of their creation.

use crate::undo::{Change, ChangeLog};
use mizan_wire::limits::NS_PER_S;
use mizan_wire::{Account, AccountFlags, CreateCode, CreateLedger, Genesis, Transfer};
use std::collections::{BTreeMap, BTreeSet};

/// What has become of a transfer that was pending.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HoldState {
    /// Neither posted nor voided nor expired.
    Open,
    /// Posted, in full or in part.
    Posted,
    /// Voided.
    Voided,
    /// Released by a tick.
    Expired,
}

/// A ledger that is registered, or used by an account, or both.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct LedgerSlot {
    pub(crate) registered: Option<CreateLedger>,
    pub(crate) account_count: u64,
}

/// The whole state but sessions, time and digest.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) genesis: Genesis,
    /// In order of creation.
    accounts: Vec<Account>,
    account_positions: BTreeMap<u128, usize>,
    account_timestamps: BTreeSet<u64>,
    transfers: BTreeMap<u128, Transfer>,
    /// Timestamp to id: the order of creation.
    transfer_ids: BTreeMap<u64, u128>,
    burnt_ids: BTreeSet<u128>,
    /// Of every transfer that was ever pending.
    holds: BTreeMap<u128, HoldState>,
    open_holds: BTreeSet<u128>,
    /// Due time, timestamp and id of the open holds that have a timeout.
    expiries: BTreeSet<(u64, u64, u128)>,
    ledgers: BTreeMap<u32, LedgerSlot>,
    codes: BTreeMap<u16, CreateCode>,
    /// Accounts that have open orders or belong to an instrument.
    pub(crate) in_trading: BTreeSet<u128>,
    changes: ChangeLog,
}

/// When a pending transfer expires, if it ever does.
pub(crate) fn expires_ns(pending: &Transfer) -> Option<u64> {
    let timeout_ns = u64::from(pending.timeout) * NS_PER_S;
    (pending.timeout != 0).then(|| pending.timestamp + timeout_ns)
}

impl Ledger {
    pub(crate) fn new(genesis: &Genesis) -> Self {
        Self {
            genesis: *genesis,
            accounts: Vec::new(),
            account_positions: BTreeMap::new(),
            account_timestamps: BTreeSet::new(),
            transfers: BTreeMap::new(),
            transfer_ids: BTreeMap::new(),
            burnt_ids: BTreeSet::new(),
            holds: BTreeMap::new(),
            open_holds: BTreeSet::new(),
            expiries: BTreeSet::new(),
            ledgers: BTreeMap::new(),
            codes: BTreeMap::new(),
            in_trading: BTreeSet::new(),
            changes: ChangeLog::default(),
        }
    }

    pub(crate) fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    pub(crate) fn account(&self, id: u128) -> Option<&Account> {
        self.account_positions.get(&id).map(|position| &self.accounts[*position])
    }

    pub(crate) fn transfers(&self) -> impl Iterator<Item = &Transfer> {
        self.transfer_ids.values().map(|id| &self.transfers[id])
    }

    pub(crate) fn transfer_count(&self) -> u64 {
        self.transfers.len() as u64
    }

    pub(crate) fn transfer(&self, id: u128) -> Option<&Transfer> {
        self.transfers.get(&id)
    }

    pub(crate) fn hold(&self, id: u128) -> Option<HoldState> {
        self.holds.get(&id).copied()
    }

    pub(crate) fn open_hold_count(&self) -> u64 {
        self.open_holds.len() as u64
    }

    /// Places for transfers and spent ids that are left when every open hold keeps one for its end.
    pub(crate) fn free_transfer_places(&self) -> u64 {
        let taken = self.transfer_count() + self.burnt_count() + self.open_hold_count();
        self.genesis.transfer_count_max - taken
    }

    pub(crate) fn is_burnt(&self, id: u128) -> bool {
        self.burnt_ids.contains(&id)
    }

    pub(crate) fn burnt_count(&self) -> u64 {
        self.burnt_ids.len() as u64
    }

    pub(crate) fn ledgers(&self) -> &BTreeMap<u32, LedgerSlot> {
        &self.ledgers
    }

    pub(crate) fn codes(&self) -> &BTreeMap<u16, CreateCode> {
        &self.codes
    }

    /// Open holds in the order in which they expire: due time, then timestamp.
    pub(crate) fn expiries(&self) -> &BTreeSet<(u64, u64, u128)> {
        &self.expiries
    }

    pub(crate) fn has_free_ledger_slot(&self) -> bool {
        self.ledgers.len() < self.genesis.ledger_count_max as usize
    }

    /// Whether an imported account may have this timestamp.
    pub(crate) fn account_timestamp_fits(&self, timestamp: u64) -> bool {
        let highest = self.account_timestamps.last().copied().unwrap_or(0);
        timestamp > highest && !self.transfer_ids.contains_key(&timestamp)
    }

    /// Whether an imported transfer may have this timestamp, as far as other transfers and equal numbers go.
    pub(crate) fn transfer_timestamp_fits(&self, timestamp: u64) -> bool {
        let highest = self.transfer_ids.last_key_value().map_or(0, |(highest, _)| *highest);
        timestamp > highest && !self.account_timestamps.contains(&timestamp)
    }

    pub(crate) fn add_account(&mut self, account: Account) {
        self.account_positions.insert(account.id, self.accounts.len());
        self.account_timestamps.insert(account.timestamp);
        self.ledgers.entry(account.ledger).or_default().account_count += 1;
        self.accounts.push(account);
        self.changes.note(Change::AccountAdded);
    }

    /// Stores new balances and flags of an account that exists.
    pub(crate) fn update_account(&mut self, account: Account) {
        let position = self.account_positions[&account.id];
        let old = std::mem::replace(&mut self.accounts[position], account);
        self.changes.note(Change::AccountUpdated { old });
    }

    pub(crate) fn set_closed(&mut self, id: u128, closed: bool) {
        let mut account = *self.account(id).expect("invariant: a transfer's accounts exist");
        account.flags &= !AccountFlags::CLOSED;
        if closed {
            account.flags |= AccountFlags::CLOSED;
        }
        self.update_account(account);
    }

    pub(crate) fn add_transfer(&mut self, transfer: Transfer) {
        self.transfers.insert(transfer.id, transfer);
        self.transfer_ids.insert(transfer.timestamp, transfer.id);
        self.changes.note(Change::TransferAdded { id: transfer.id });
    }

    /// Gives a stored pending transfer its state; `None` forgets that it was one.
    pub(crate) fn set_hold(&mut self, id: u128, state: Option<HoldState>) {
        let old = self.hold(id);
        let pending = self.transfers[&id];
        let expiry = expires_ns(&pending).map(|due_ns| (due_ns, pending.timestamp, id));
        self.open_holds.remove(&id);
        expiry.map(|expiry| self.expiries.remove(&expiry));
        if state == Some(HoldState::Open) {
            self.open_holds.insert(id);
            self.expiries.extend(expiry);
        }
        match state {
            Some(state) => self.holds.insert(id, state),
            None => self.holds.remove(&id),
        };
        self.changes.note(Change::HoldSet { id, old });
    }

    /// Spends an id for ever. No chain is open: a burnt id is never given back.
    pub(crate) fn burn(&mut self, id: u128) {
        self.burnt_ids.insert(id);
    }

    /// Registers a ledger. Never part of a chain.
    pub(crate) fn register_ledger(&mut self, record: CreateLedger) {
        self.ledgers.entry(record.ledger).or_default().registered = Some(record);
    }

    /// Registers a code. Never part of a chain.
    pub(crate) fn register_code(&mut self, record: CreateCode) {
        self.codes.insert(record.code, record);
    }

    pub(crate) fn begin_chain(&mut self) {
        self.changes.begin();
    }

    pub(crate) fn keep_chain(&mut self) {
        self.changes.end();
    }

    /// Takes back everything since the chain began, the last change first.
    pub(crate) fn roll_back_chain(&mut self) {
        for change in self.changes.end().into_iter().rev() {
            match change {
                Change::AccountAdded => self.remove_last_account(),
                Change::AccountUpdated { old } => self.update_account(old),
                Change::TransferAdded { id } => self.remove_transfer(id),
                Change::HoldSet { id, old } => self.set_hold(id, old),
            }
        }
    }

    fn remove_last_account(&mut self) {
        let account = self.accounts.pop().expect("invariant: the account was added before");
        self.account_positions.remove(&account.id);
        self.account_timestamps.remove(&account.timestamp);
        let slot = self.ledgers.get_mut(&account.ledger).expect("invariant: its ledger has a slot");
        slot.account_count -= 1;
        if *slot == LedgerSlot::default() {
            self.ledgers.remove(&account.ledger);
        }
    }

    fn remove_transfer(&mut self, id: u128) {
        let transfer = self.transfers.remove(&id).expect("invariant: it was added before");
        self.transfer_ids.remove(&transfer.timestamp);
    }
}
