//! What an export holds, checked against itself before anything is sent.
//!
//! Invariants: an account's posted sums are those of its transfers, and its pending sums at least those of its open
//! holds; a ledger's totals are the sums of its accounts; every end of a hold has its hold, and every hold that ended its
//! end; no id stands there twice, and no spent id is that of a transfer.
//!
//! Transfers are read twice and never held: of each stays its timestamp, and its id while they are checked. An imported transfer has no timeout, so a hold
//! that had one is taken over in one of three ways. One that expired is imported with a void of its own, at the latest
//! free nanosecond before its expiry, because what came later may have spent what it gave back. One that is open is
//! entered after all others as a new hold for the rest of its time; so is an open hold that closes an account, since the
//! account may have older holds. Nothing else closes an account that has transfers.

use super::checks::{TransferChecks, check_account_flags, check_spent_ids};
use super::tables::{Row, Source, Table};
use crate::balance::FLAGS as ACCOUNT_FLAGS;
use crate::error::CliError;
use crate::exit;
use crate::money::wide_text;
use crate::names::{id_text, own_transfer_id};
use crate::verbs::export::{
    ACCOUNT_COLUMNS, LEDGER_COLUMNS, SPENT_ID_COLUMNS, TRANSFER_COLUMNS, TRANSFER_FLAGS,
};
use mizan_wire::limits::{NS_PER_S, SCALE_MAX, id_is_reserved};
use mizan_wire::{Account, AccountFlags, Transfer, TransferFlags, Wide};
use std::collections::{HashMap, HashSet};

const CLOSING: u16 = TransferFlags::CLOSING_DEBIT | TransferFlags::CLOSING_CREDIT;

/// A ledger of the export.
pub(super) struct Ledger {
    pub(super) number: u32,
    /// Empty for one that was never registered.
    pub(super) currency: String,
    pub(super) scale: u8,
    account_count: u64,
    /// Posted and pending, debits and credits, as they are written.
    totals: [String; 4],
    is_balanced: bool,
}

/// The columns of [`Ledger::totals`].
const TOTALS: [&str; 4] = ["debits_posted", "credits_posted", "debits_pending", "credits_pending"];

/// A hold that is entered anew.
#[derive(Clone, Copy)]
pub(super) struct OpenHold {
    pub(super) transfer: Transfer,
    /// When it expires, in nanoseconds; 0 for never.
    pub(super) expires_ns: u64,
}

/// An export that agrees with itself.
pub(super) struct Books {
    source: Source,
    pub(super) ledgers: Vec<Ledger>,
    /// Where in `ledgers` each stands.
    ledger_places: HashMap<u32, usize>,
    /// As they were; pending sums are those of open holds alone.
    pub(super) accounts: Vec<Account>,
    /// Accounts in which open orders reserved money.
    pub(super) with_orders: u64,
    /// Rows of transfers.
    pub(super) transfer_count: u64,
    /// Transfers with ids that only the engine gives: fills of orders.
    pub(super) fill_count: u64,
    /// Ends of expired holds, in the order of their timestamps.
    pub(super) expiries: Vec<Transfer>,
    /// Holds that are entered anew, in the order of their timestamps.
    pub(super) open: Vec<OpenHold>,
    /// Open holds.
    pub(super) hold_count: u64,
    /// Holds that are open at once at the most while all is entered, those that have ended since among them.
    pub(super) holds_open_max: u64,
    /// Ids that were refused for a reason that may pass, in the order in which they were spent.
    pub(super) spent_ids: Vec<u128>,
    /// Ids of `open`.
    entered_anew: HashSet<u128>,
}

/// A transfer of the export, and what became of it if it was a hold.
struct Entry {
    transfer: Transfer,
    state: State,
}

/// What became of a hold.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum State {
    /// It was never one.
    None,
    Open,
    Posted,
    Voided,
    Expired,
}

/// What is known of an account while transfers are added up.
#[derive(Clone, Copy, Default)]
struct Sums {
    debits_posted: u128,
    credits_posted: u128,
    debits_pending: u128,
    credits_pending: u128,
    /// An open hold closes it.
    is_closed: bool,
    has_transfers: bool,
}

/// The most that are open at once, of beginnings (1) and ends (-1) with their times.
fn open_max(mut steps: Vec<(u64, i64)>) -> u64 {
    steps.sort_unstable();
    let (mut open, mut most) = (0_i64, 0);
    for (_, step) in steps {
        open += step;
        most = most.max(open);
    }
    u64::try_from(most).unwrap_or(0)
}

impl Books {
    /// Reads the tables.
    ///
    /// # Errors
    /// They cannot be read, or contradict each other.
    pub(super) fn read(source: Source, mut progress: impl FnMut(u64)) -> Result<Self, CliError> {
        let mut books = Self {
            source,
            ledgers: Vec::new(),
            ledger_places: HashMap::new(),
            accounts: Vec::new(),
            with_orders: 0,
            transfer_count: 0,
            fill_count: 0,
            expiries: Vec::new(),
            open: Vec::new(),
            hold_count: 0,
            holds_open_max: 0,
            spent_ids: Vec::new(),
            entered_anew: HashSet::new(),
        };
        books.read_ledgers()?;
        books.read_accounts()?;
        let places: HashMap<u128, usize> =
            books.accounts.iter().enumerate().map(|(place, account)| (account.id, place)).collect();
        let mut sums = vec![Sums::default(); books.accounts.len()];
        let mut timestamps: Vec<u64> = Vec::new();
        let mut expired: Vec<OpenHold> = Vec::new();
        let mut steps: Vec<(u64, i64)> = Vec::new();
        let mut checks = TransferChecks::default();
        let mut rows = Table::open(&books.source, "transfers", &TRANSFER_COLUMNS)?;
        while let Some(row) = rows.next()? {
            let entry = books.entry(&row)?;
            let transfer = entry.transfer;
            if timestamps.last().is_some_and(|last| *last >= transfer.timestamp) {
                return Err(row.wrong("it does not come after the transfer before it"));
            }
            timestamps.push(transfer.timestamp);
            checks.take(&transfer, entry.state).map_err(|error| row.wrong(&error))?;
            let place = |id: u128| {
                let known = places.get(&id).copied();
                known.ok_or_else(|| row.wrong(&format!("there is no account {}", id_text(id))))
            };
            let debit = place(transfer.debit_account_id)?;
            let credit = place(transfer.credit_account_id)?;
            if books.accounts[debit].ledger != transfer.ledger
                || books.accounts[credit].ledger != transfer.ledger
            {
                return Err(row.wrong("its accounts are of another ledger"));
            }
            add(&mut sums, debit, credit, &entry).ok_or_else(|| row.wrong("a sum overflows"))?;
            books.transfer_count += 1;
            books.fill_count += u64::from(id_is_reserved(transfer.id));
            let hold = OpenHold { transfer, expires_ns: expires_ns(&transfer) };
            if transfer.pending_id != 0 {
                steps.push((transfer.timestamp, -1));
            } else if entry.state != State::None {
                steps.push((transfer.timestamp, 1));
            }
            match entry.state {
                State::Expired => expired.push(hold),
                State::Open => {
                    books.hold_count += 1;
                    if transfer.timeout != 0 || transfer.flags & CLOSING != 0 {
                        books.entered_anew.insert(transfer.id);
                        books.open.push(hold);
                        // It is entered after all others.
                        steps.pop();
                    }
                }
                State::None | State::Posted | State::Voided => {}
            }
            progress(books.transfer_count);
        }
        books.compare(&sums)?;
        let ids = checks.finish().map_err(|error| books.contradicts(&error))?;
        books.read_spent_ids(&ids)?;
        books.end_expired(expired, &timestamps)?;
        steps.extend(books.expiries.iter().map(|end| (end.timestamp, -1)));
        books.holds_open_max = open_max(steps).max(books.hold_count);
        Ok(books)
    }

    fn read_ledgers(&mut self) -> Result<(), CliError> {
        let mut rows = Table::open(&self.source, "ledgers", &LEDGER_COLUMNS)?;
        while let Some(row) = rows.next()? {
            let number = row.number("ledger")?;
            let scale = row.number("scale")?;
            if scale > SCALE_MAX {
                return Err(row.wrong("no ledger has that many decimal places"));
            }
            if self.ledger_places.insert(number, self.ledgers.len()).is_some() {
                return Err(row.wrong("the ledger stands there twice"));
            }
            self.ledgers.push(Ledger {
                number,
                currency: row.text("currency").to_owned(),
                scale,
                account_count: row.number("accounts")?,
                totals: TOTALS.map(|column| row.text(column).to_owned()),
                is_balanced: row.number("balanced")?,
            });
        }
        Ok(())
    }

    fn read_spent_ids(&mut self, transfers: &[u128]) -> Result<(), CliError> {
        let mut rows = Table::open(&self.source, "spent_ids", &SPENT_ID_COLUMNS)?;
        while let Some(row) = rows.next()? {
            self.spent_ids.push(row.id("id")?);
        }
        check_spent_ids(&self.spent_ids, transfers).map_err(|error| self.contradicts(&error))
    }

    fn read_accounts(&mut self) -> Result<(), CliError> {
        let mut found: HashMap<u32, (u64, [Wide; 4])> = HashMap::new();
        let mut ids = HashSet::new();
        let mut rows = Table::open(&self.source, "accounts", &ACCOUNT_COLUMNS)?;
        while let Some(row) = rows.next()? {
            let ledger = row.number("ledger")?;
            let scale = self.scale(&row, ledger)?;
            let account = Account {
                id: row.id("id")?,
                debits_pending: row.amount("debits_pending", scale)?,
                debits_posted: row.amount("debits_posted", scale)?,
                credits_pending: row.amount("credits_pending", scale)?,
                credits_posted: row.amount("credits_posted", scale)?,
                user_data_128: row.id("user_data_128")?,
                user_data_64: row.number("user_data_64")?,
                user_data_32: row.number("user_data_32")?,
                ledger,
                code: row.number("code")?,
                flags: row.flags("flags", ACCOUNT_FLAGS)?,
                timestamp: row.number("timestamp_ns")?,
                ..Account::default()
            };
            if self.accounts.last().is_some_and(|last| last.timestamp >= account.timestamp) {
                return Err(row.wrong("it does not come after the account before it"));
            }
            if !ids.insert(account.id) {
                return Err(row.wrong("the account stands there twice"));
            }
            let (count, sums) = found.entry(ledger).or_default();
            *count += 1;
            let Account { debits_posted, credits_posted, .. } = account;
            let Account { debits_pending, credits_pending, .. } = account;
            let balances = [debits_posted, credits_posted, debits_pending, credits_pending];
            std::iter::zip(sums, balances).for_each(|(sum, balance)| sum.add(balance));
            self.accounts.push(account);
        }
        for ledger in &self.ledgers {
            let (count, sums) = found.get(&ledger.number).copied().unwrap_or_default();
            let says = |what: &str| self.contradicts(&format!("ledger {}: {what}", ledger.number));
            if count != ledger.account_count {
                return Err(says("accounts and ledgers do not have the same number of accounts"));
            }
            if sums.map(|sum| wide_text(sum, ledger.scale)) != ledger.totals {
                return Err(says("its totals are not the sums of its accounts"));
            }
            if !ledger.is_balanced || sums[0] != sums[1] || sums[2] != sums[3] {
                return Err(says("its debits are not its credits"));
            }
        }
        Ok(())
    }

    /// The scale of a row's ledger, which is also that of the row.
    fn scale(&self, row: &Row<'_>, number: u32) -> Result<u8, CliError> {
        let scale = row.number("scale")?;
        let place = self.ledger_places.get(&number);
        match place.map(|place| &self.ledgers[*place]) {
            Some(ledger) if ledger.currency != row.text("currency") => Err(row.wrong(&format!(
                "ledger {number} has the currency `{}`, not `{}`",
                ledger.currency,
                row.text("currency")
            ))),
            Some(ledger) if ledger.scale == scale => Ok(scale),
            Some(ledger) => {
                Err(row.wrong(&format!("ledger {number} has scale {}, not {scale}", ledger.scale)))
            }
            None => Err(row.wrong(&format!("there is no ledger {number}"))),
        }
    }

    fn entry(&self, row: &Row<'_>) -> Result<Entry, CliError> {
        let ledger = row.number("ledger")?;
        let scale = self.scale(row, ledger)?;
        let transfer = Transfer {
            id: row.id("id")?,
            debit_account_id: row.id("debit_account_id")?,
            credit_account_id: row.id("credit_account_id")?,
            amount: row.amount("amount", scale)?,
            pending_id: row.id_or_zero("pending_id")?,
            user_data_128: row.id("user_data_128")?,
            user_data_64: row.number("user_data_64")?,
            user_data_32: row.number("user_data_32")?,
            timeout: row.number("timeout_s")?,
            ledger,
            code: row.number("code")?,
            flags: row.flags("flags", &TRANSFER_FLAGS)?,
            timestamp: row.number("timestamp_ns")?,
        };
        let state = match row.text("state") {
            "" => State::None,
            "open" => State::Open,
            "posted" => State::Posted,
            "voided" => State::Voided,
            "expired" => State::Expired,
            other => return Err(row.wrong(&format!("state: `{other}` is none"))),
        };
        if (transfer.flags & TransferFlags::PENDING != 0) != (state != State::None) {
            return Err(row.wrong("only a pending transfer has a state"));
        }
        Ok(Entry { transfer, state })
    }

    /// Compares what the accounts say with what the transfers add up to.
    fn compare(&mut self, sums: &[Sums]) -> Result<(), CliError> {
        for place in 0..sums.len() {
            let (account, sums) = (self.accounts[place], sums[place]);
            let is_same = (account.debits_posted, account.credits_posted)
                == (sums.debits_posted, sums.credits_posted);
            if !is_same
                || account.debits_pending < sums.debits_pending
                || account.credits_pending < sums.credits_pending
            {
                return Err(self.contradicts(&format!(
                    "the balances of account {} are not the sums of its transfers",
                    id_text(account.id)
                )));
            }
            check_account_flags(&account, sums.is_closed, sums.has_transfers).map_err(|error| {
                self.contradicts(&format!("account {}: {error}", id_text(account.id)))
            })?;
            // What an open order reserves stands in a balance, and in no transfer.
            let (debits, credits) = (sums.debits_pending, sums.credits_pending);
            let has_orders = (account.debits_pending, account.credits_pending) != (debits, credits);
            self.with_orders += u64::from(has_orders);
            let account = &mut self.accounts[place];
            (account.debits_pending, account.credits_pending) = (debits, credits);
            // An account that no hold closes was closed when it was made, and has no transfers.
            if sums.is_closed {
                account.flags &= !AccountFlags::CLOSED;
            }
        }
        Ok(())
    }

    /// Gives each expired hold an end at a free time.
    fn end_expired(
        &mut self,
        mut expired: Vec<OpenHold>,
        timestamps: &[u64],
    ) -> Result<(), CliError> {
        let mut taken: HashSet<u64> = HashSet::with_capacity(expired.len());
        expired.sort_by_key(|hold| hold.expires_ns);
        for hold in expired {
            let is_taken = |time: &u64| {
                timestamps.binary_search(time).is_ok()
                    || self.accounts.binary_search_by_key(time, |account| account.timestamp).is_ok()
                    || taken.contains(time)
            };
            let times = (hold.transfer.timestamp + 1..=hold.expires_ns).rev();
            let time = times.into_iter().find(|time| !is_taken(time)).ok_or_else(|| {
                let id = id_text(hold.transfer.id);
                self.contradicts(&format!("hold {id} had no time in which it could expire"))
            })?;
            taken.insert(time);
            self.expiries.push(Transfer {
                id: own_transfer_id(&format!("expiry of {}", id_text(hold.transfer.id))),
                pending_id: hold.transfer.id,
                flags: TransferFlags::VOID_PENDING | TransferFlags::IMPORTED,
                timestamp: time,
                ..Transfer::default()
            });
        }
        self.expiries.sort_by_key(|transfer| transfer.timestamp);
        Ok(())
    }

    fn contradicts(&self, what: &str) -> CliError {
        CliError::failed(
            exit::CORRUPT,
            format!(
                "{}: {what}: the export is not complete, or was changed; export again",
                self.source.directory.display()
            ),
        )
    }

    /// All transfers that are imported, in the order of their timestamps, ends of expired holds among them.
    pub(super) fn imported(&self) -> Result<Imported<'_>, CliError> {
        let rows = Table::open(&self.source, "transfers", &TRANSFER_COLUMNS)?;
        Ok(Imported { books: self, rows, expiries: self.expiries.iter(), waiting: None })
    }

    /// The rows of each table, in the order in which the manifest names them.
    pub(super) const fn row_counts(&self) -> [u64; 4] {
        let (accounts, ledgers) = (self.accounts.len() as u64, self.ledgers.len() as u64);
        [accounts, self.transfer_count, ledgers, self.spent_ids.len() as u64]
    }

    /// Ids of accounts that the export does not have.
    pub(super) fn absent_accounts(&self) -> [u128; 2] {
        let there: HashSet<u128> = self.accounts.iter().map(|account| account.id).collect();
        let mut absent = (1..u128::MAX).rev().filter(|id| !there.contains(id));
        [(); 2].map(|()| absent.next().expect("invariant: no memory holds that many accounts"))
    }

    /// An account as it is created.
    pub(super) fn to_create(account: &Account) -> Account {
        Account {
            debits_pending: 0,
            debits_posted: 0,
            credits_pending: 0,
            credits_posted: 0,
            flags: account.flags | AccountFlags::IMPORTED,
            ..*account
        }
    }
}

/// See [`Books::imported`].
pub(super) struct Imported<'a> {
    books: &'a Books,
    rows: Table,
    expiries: std::slice::Iter<'a, Transfer>,
    waiting: Option<Transfer>,
}

impl Imported<'_> {
    pub(super) fn next(&mut self) -> Result<Option<Transfer>, CliError> {
        if self.waiting.is_none() {
            self.waiting = self.next_row()?;
        }
        let expiry = self.expiries.as_slice().first();
        let is_first = |expiry: &Transfer| {
            self.waiting.is_none_or(|waiting| expiry.timestamp < waiting.timestamp)
        };
        if expiry.is_some_and(is_first) {
            return Ok(self.expiries.next().copied());
        }
        Ok(self.waiting.take())
    }

    fn next_row(&mut self) -> Result<Option<Transfer>, CliError> {
        while let Some(row) = self.rows.next()? {
            let mut transfer = self.books.entry(&row)?.transfer;
            if self.books.entered_anew.contains(&transfer.id) {
                continue;
            }
            if id_is_reserved(transfer.id) {
                transfer.id = own_transfer_id(&format!("fill {}", id_text(transfer.id)));
            }
            transfer.timeout = 0;
            transfer.flags = transfer.flags & !TransferFlags::LINKED | TransferFlags::IMPORTED;
            return Ok(Some(transfer));
        }
        Ok(None)
    }
}

fn expires_ns(transfer: &Transfer) -> u64 {
    match transfer.timeout {
        0 => 0,
        seconds => transfer.timestamp.saturating_add(u64::from(seconds).saturating_mul(NS_PER_S)),
    }
}

/// `None` if a sum overflows.
fn add(sums: &mut [Sums], debit: usize, credit: usize, entry: &Entry) -> Option<()> {
    let Transfer { amount, flags, .. } = entry.transfer;
    let is_void = flags & TransferFlags::VOID_PENDING != 0;
    sums[debit].has_transfers = true;
    sums[credit].has_transfers = true;
    match entry.state {
        State::None if !is_void => {
            sums[debit].debits_posted = sums[debit].debits_posted.checked_add(amount)?;
            sums[credit].credits_posted = sums[credit].credits_posted.checked_add(amount)?;
        }
        State::Open => {
            sums[debit].debits_pending = sums[debit].debits_pending.checked_add(amount)?;
            sums[credit].credits_pending = sums[credit].credits_pending.checked_add(amount)?;
        }
        _ => {}
    }
    if entry.state == State::Open {
        sums[debit].is_closed |= flags & TransferFlags::CLOSING_DEBIT != 0;
        sums[credit].is_closed |= flags & TransferFlags::CLOSING_CREDIT != 0;
    }
    Some(())
}
