//! The book of record: accounts, transfers, holds and ledgers, and the few primitive changes that all else is made of.
//!
//! Invariants: every change of a balance, a flag, a record or a hold passes through this file, so that the sums of its
//! ledger follow and an open chain can take it back; after every event the touched ledger's debits equal its credits.
//!
//! What is absent: the rules by which an event is accepted (`create_accounts`, `create_transfers`, `post_void`).

use crate::accounts::{AccountMeta, Accounts, Sum};
use crate::holds::Holds;
use crate::id_table::IdHash;
use crate::ledgers::Ledgers;
use crate::look_ahead::LookAhead;
use crate::resolved::PendingState;
use crate::trading::limits::ORDINARY_SUM_MAX;
use crate::transfers::{StoredTransfer, Transfers};
use crate::undo::{UndoLog, UndoStep};
use mizan_wire::{Account, AccountFlags, Genesis, Transfer};

/// See the module.
pub(crate) struct LedgerState {
    pub(crate) accounts: Accounts,
    pub(crate) transfers: Transfers,
    pub(crate) holds: Holds,
    pub(crate) ledgers: Ledgers,
    pub(crate) undo: UndoLog,
    pub(crate) look_ahead: LookAhead,
    /// The log entry that is being executed.
    pub(crate) sequence: u64,
    /// By account slot: open orders, and whether it belongs to an instrument; empty without trading.
    pub(crate) trading_uses: Vec<u32>,
    /// What ordinary transfers may bring a sum to.
    pub(crate) sum_max: u128,
}

impl LedgerState {
    pub(crate) fn new(genesis: &Genesis) -> Self {
        let seed = genesis.hash_seed;
        Self {
            accounts: Accounts::new(genesis.account_count_max as usize, seed),
            // The tables must not share keys, or a long walk in one would be one in the other, too.
            transfers: Transfers::new(genesis.transfer_count_max as usize, seed ^ 1),
            holds: Holds::new(genesis.hold_count_max as usize),
            ledgers: Ledgers::new(genesis.ledger_count_max as usize),
            undo: UndoLog::new(),
            look_ahead: LookAhead::default(),
            sequence: 0,
            trading_uses: match genesis.has_trading() {
                true => vec![0; genesis.account_count_max as usize],
                false => Vec::new(),
            },
            sum_max: match genesis.has_trading() {
                true => ORDINARY_SUM_MAX,
                false => u128::MAX,
            },
        }
    }

    /// Whether an account has open orders or belongs to an instrument.
    pub(crate) fn is_trading(&self, slot: u32) -> bool {
        self.trading_uses.get(slot as usize).is_some_and(|uses| *uses != 0)
    }

    /// Stores a new balance of an account; the sum of its ledger follows.
    #[inline(always)]
    pub(crate) fn set_balance(&mut self, slot: u32, ledger_slot: u32, sum: Sum, after: u128) {
        let before = self.accounts.replace(slot, sum, after);
        self.ledgers.get_mut(ledger_slot).totals.follow(sum, before, after);
        self.undo.record(|| UndoStep::Balance { account_slot: slot, sum, before });
    }

    /// Sets or clears an account's `closed` flag.
    pub(crate) fn set_closed(&mut self, slot: u32, is_closed: bool) {
        let before = self.accounts.flags(slot);
        let after = match is_closed {
            true => before | AccountFlags::CLOSED,
            false => before & !AccountFlags::CLOSED,
        };
        self.accounts.set_flags(slot, after);
        self.undo.record(|| UndoStep::Flags { account_slot: slot, flags: before });
    }

    /// Stores a new account with zero balances.
    pub(crate) fn store_account(&mut self, meta: AccountMeta, opened_ledger: bool) {
        self.ledgers.get_mut(meta.ledger_slot).account_count += 1;
        self.accounts.push(meta);
        self.undo.record(|| UndoStep::Account { opened_ledger });
    }

    /// Stores a new transfer, and opens its hold if it is pending.
    #[inline(always)]
    pub(crate) fn store_transfer(&mut self, hash: IdHash, record: StoredTransfer) {
        let slot = self.transfers.push(hash, record);
        self.undo.record(|| UndoStep::Transfer);
        if record.pending_state == PendingState::Pending {
            self.open_hold(slot);
        }
    }

    /// Opens the hold of a pending transfer.
    #[inline(always)]
    pub(crate) fn open_hold(&mut self, transfer_slot: u32) {
        self.put_hold(transfer_slot);
        self.undo.record(|| UndoStep::HoldOpened { transfer_slot });
    }

    /// Ends an open hold; the balances are the caller's to change.
    pub(crate) fn close_hold(&mut self, transfer_slot: u32, state: PendingState) {
        let record = &mut self.transfers.records[transfer_slot as usize];
        let remaining = self.holds.close(record.hold);
        assert!(remaining == record.amount, "invariant: an open hold reserves its whole amount");
        record.pending_state = state;
        self.transfers.release_end();
        self.undo.record(|| UndoStep::HoldClosed { transfer_slot });
    }

    fn put_hold(&mut self, transfer_slot: u32) {
        let record = &mut self.transfers.records[transfer_slot as usize];
        record.pending_state = PendingState::Pending;
        let expires_ns = record.expires_ns();
        record.hold = self.holds.open(record.amount, expires_ns, transfer_slot, record.timestamp);
        self.transfers.reserve_end();
    }

    /// Takes back everything that the open chain has done.
    pub(crate) fn roll_back(&mut self) {
        while let Some(step) = self.undo.take_back() {
            self.take_back(step);
        }
    }

    fn take_back(&mut self, step: UndoStep) {
        match step {
            UndoStep::Balance { account_slot, sum, before } => {
                let ledger_slot = self.accounts.ledger_slot(account_slot);
                let after = self.accounts.replace(account_slot, sum, before);
                self.ledgers.get_mut(ledger_slot).totals.follow(sum, after, before);
            }
            UndoStep::Flags { account_slot, flags } => self.accounts.set_flags(account_slot, flags),
            UndoStep::Account { opened_ledger } => {
                let meta = self.accounts.pop();
                self.ledgers.get_mut(meta.ledger_slot).account_count -= 1;
                if opened_ledger {
                    self.ledgers.close_last();
                }
            }
            UndoStep::Transfer => self.transfers.pop(),
            UndoStep::HoldOpened { transfer_slot } => {
                let hold = self.transfers.records[transfer_slot as usize].hold;
                self.holds.close(hold);
                self.transfers.release_end();
            }
            UndoStep::HoldClosed { transfer_slot } => self.put_hold(transfer_slot),
        }
    }

    /// Stops the process rather than let an unbalanced ledger or a broken limit be seen.
    #[inline(always)]
    pub(crate) fn assert_sound(&self, ledger_slot: u32, slots: [u32; 2]) {
        assert!(
            self.ledgers.get(ledger_slot).totals.are_balanced(),
            "invariant: the debits of a ledger equal its credits"
        );
        for slot in slots {
            assert!(
                self.accounts.balances(slot).are_within(self.accounts.flags(slot)),
                "invariant: no account stands outside its limits"
            );
        }
    }

    /// The account in a slot, as it travels.
    pub(crate) fn account(&self, slot: u32) -> Account {
        let balances = self.accounts.balances(slot);
        let meta = self.accounts.meta(slot);
        Account {
            id: meta.id,
            debits_pending: balances.debits_pending,
            debits_posted: balances.debits_posted,
            credits_pending: balances.credits_pending,
            credits_posted: balances.credits_posted,
            user_data_128: meta.user_data_128,
            user_data_64: meta.user_data_64,
            user_data_32: meta.user_data_32,
            reserved: 0,
            ledger: self.ledgers.number(meta.ledger_slot),
            code: meta.code,
            flags: meta.flags,
            timestamp: meta.timestamp,
        }
    }

    /// A stored transfer, as it travels.
    #[inline(always)]
    pub(crate) fn transfer(&self, record: &StoredTransfer) -> Transfer {
        Transfer {
            id: record.id,
            debit_account_id: self.accounts.id(record.debit_slot),
            credit_account_id: self.accounts.id(record.credit_slot),
            amount: record.amount,
            pending_id: record.pending_id,
            user_data_128: record.user_data_128,
            user_data_64: record.user_data_64,
            user_data_32: record.user_data_32,
            timeout: record.timeout,
            ledger: record.ledger,
            code: record.code,
            flags: record.flags,
            timestamp: record.timestamp,
        }
    }
}
