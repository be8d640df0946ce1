//! A small ledger that tests move money in, and what they look at to see whether it changed.

use mizan_client::{Client, ClientConfig, ClientError};
use mizan_wire::{Account, CREATED, EngineStatus, Transfer, TrialBalanceRow};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The ledger of all records made here.
pub const LEDGER: u32 = 7;
/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// An account without limits.
#[must_use]
pub fn account(id: u128) -> Account {
    Account { id, ledger: LEDGER, code: 1, ..Account::default() }
}

/// A transfer of `amount` from account 1 to account 2.
#[must_use]
pub fn transfer(id: u128, amount: u128) -> Transfer {
    Transfer {
        id,
        debit_account_id: 1,
        credit_account_id: 2,
        amount,
        ledger: LEDGER,
        code: 1,
        ..Transfer::default()
    }
}

/// A client with a session, patient enough for a busy machine.
///
/// # Panics
/// If the node does not answer.
#[must_use]
pub fn client(address: SocketAddr) -> Client {
    let config = ClientConfig {
        connect_timeout: PATIENCE,
        request_timeout: PATIENCE,
        ..ClientConfig::at(address)
    };
    Client::connect(config).unwrap_or_else(|error| panic!("{error}"))
}

/// A client without a session.
///
/// # Panics
/// If the node does not answer.
#[must_use]
pub fn reader(address: SocketAddr) -> Client {
    let config = ClientConfig {
        connect_timeout: PATIENCE,
        request_timeout: PATIENCE,
        read_only: true,
        ..ClientConfig::at(address)
    };
    Client::connect(config).unwrap_or_else(|error| panic!("{error}"))
}

/// Makes the accounts 1 to `count`.
///
/// # Panics
/// If one is refused.
pub fn create_accounts(client: &mut Client, count: u128) {
    let accounts: Vec<Account> = (1..=count).map(account).collect();
    for chunk in accounts.chunks(client.events_max() as usize) {
        let results = client.create_accounts(chunk).unwrap_or_else(|error| panic!("{error}"));
        assert!(results.iter().all(|result| result.status == CREATED), "accounts are refused");
    }
}

/// Makes a transfer and gives its timestamp.
///
/// # Errors
/// What the client says.
///
/// # Panics
/// If the transfer is refused.
pub fn pay(client: &mut Client, id: u128, amount: u128) -> Result<u64, ClientError> {
    let results = client.create_transfers(&[transfer(id, amount)])?;
    assert_eq!(results[0].status, CREATED, "transfer {id}");
    Ok(results[0].timestamp)
}

/// What must stay equal while nothing moves: all but what sessions alone change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LedgerView {
    /// Accounts, transfers, spent ids, holds, ledgers.
    pub counts: [u64; 5],
    /// Sums of all accounts.
    pub rows: Vec<TrialBalanceRow>,
    /// The first accounts.
    pub accounts: Vec<Account>,
}

impl LedgerView {
    /// Looks at the node. Also gives the engine's status, which sessions change.
    ///
    /// # Panics
    /// If the node does not answer.
    pub fn of(reader: &mut Client) -> (Self, EngineStatus) {
        let status = reader.engine_status().unwrap_or_else(|error| panic!("{error}"));
        let rows = reader.trial_balance().unwrap_or_else(|error| panic!("{error}"));
        let ids: Vec<u128> = (1..=48).collect();
        let accounts = reader.lookup_accounts(&ids).unwrap_or_else(|error| panic!("{error}"));
        assert!(rows.iter().all(TrialBalanceRow::is_balanced), "debits equal credits");
        let counts = [
            status.account_count,
            status.transfer_count,
            status.burnt_id_count,
            status.hold_count,
            u64::from(status.ledger_count),
        ];
        (Self { counts, rows, accounts }, status)
    }
}

/// Asks again and again until the answer is yes.
///
/// # Panics
/// If it stays no for a minute.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::yield_now();
    }
}
