//! A client that keeps a record of everything it was told, outside the node: the oracle of the crash tests.
//!
//! It moves money between a handful of accounts in numbered transfers. What was acknowledged, and with which result,
//! stands in its own memory; after a crash the ledger must agree with it.

use mizan_client::{Client, ClientConfig, ClientError, Outcome, RequestId};
use mizan_wire::{Account, CREATED, CreateResult, Operation, Transfer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use zerocopy::IntoBytes;

/// Accounts that the load uses.
pub const ACCOUNTS: u128 = 48;
/// Ledger of the load.
pub const LEDGER: u32 = 7;
/// Requests in flight.
const IN_FLIGHT_MAX: usize = 12;

/// A small, seeded generator: tests repeat their runs.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number (splitmix64, Steele et al. 2014).
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }
}

/// The record, and the client that makes it.
pub struct Recorder {
    client: Client,
    random: Random,
    next_number: u128,
    /// First and last number of every request in flight.
    in_flight: BTreeMap<RequestId, (u128, u128)>,
    /// Result of every acknowledged transfer, by number.
    acknowledged: BTreeMap<u128, CreateResult>,
    answered: u64,
    /// Replies that the node repeated instead of executing.
    pub replayed: u64,
}

/// What a comparison with the ledger found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Transfers acknowledged.
    pub acknowledged: u64,
    /// Of these, not in the ledger.
    pub lost: u64,
    /// Of these, in the ledger with another content or timestamp.
    pub altered: u64,
    /// Accounts whose balances are not the sum of the transfers that exist.
    pub wrong_balances: u64,
}

impl Recorder {
    /// Connects, and makes the accounts.
    ///
    /// # Errors
    /// What the client says.
    pub fn start(address: SocketAddr, seed: u64) -> Result<Self, ClientError> {
        let mut client = Client::connect(ClientConfig {
            request_timeout: Duration::from_secs(120),
            ..ClientConfig::at(address)
        })?;
        let accounts: Vec<Account> = (1..=ACCOUNTS)
            .map(|id| Account { id, ledger: LEDGER, code: 1, ..Account::default() })
            .collect();
        client.create_accounts(&accounts)?;
        Ok(Self {
            client,
            random: Random(seed),
            next_number: 1,
            in_flight: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            answered: 0,
            replayed: 0,
        })
    }

    /// The transfer with this number; every number stands for one content.
    #[must_use]
    pub fn transfer(number: u128) -> Transfer {
        let debit = number * 7 % ACCOUNTS;
        let credit = (debit + 1 + number % (ACCOUNTS - 1)) % ACCOUNTS;
        Transfer {
            id: number,
            debit_account_id: 1 + debit,
            credit_account_id: 1 + credit,
            amount: 1 + number % 11,
            ledger: LEDGER,
            code: 1,
            ..Transfer::default()
        }
    }

    /// Number of acknowledged transfers.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.len() as u64
    }

    /// Number of requests answered.
    #[must_use]
    pub const fn answered(&self) -> u64 {
        self.answered
    }

    /// Requests without an answer.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Keeps requests in flight until `is_enough`, which is asked after every poll.
    ///
    /// # Errors
    /// What the client says.
    pub fn drive(&mut self, mut is_enough: impl FnMut(&Self) -> bool) -> Result<(), ClientError> {
        while !is_enough(self) {
            self.submit_some()?;
            self.poll(Duration::from_millis(20))?;
        }
        Ok(())
    }

    /// Waits for the answers to everything in flight.
    ///
    /// # Errors
    /// What the client says.
    pub fn drain(&mut self) -> Result<(), ClientError> {
        while !self.in_flight.is_empty() {
            self.poll(Duration::from_secs(1))?;
        }
        Ok(())
    }

    fn submit_some(&mut self) -> Result<(), ClientError> {
        while self.in_flight.len() < IN_FLIGHT_MAX {
            let count = 1 + self.random.below(400) as u32;
            if !self.client.can_submit(count) {
                break;
            }
            let first = self.next_number;
            let last = first + u128::from(count) - 1;
            let transfers: Vec<Transfer> = (first..=last).map(Self::transfer).collect();
            let id = self.client.submit(Operation::CreateTransfers, transfers.as_bytes())?;
            self.in_flight.insert(id, (first, last));
            self.next_number = last + 1;
        }
        Ok(())
    }

    fn poll(&mut self, timeout: Duration) -> Result<(), ClientError> {
        let Some(completion) = self.client.poll(timeout)? else { return Ok(()) };
        let range = self.in_flight.remove(&completion.id);
        let (first, last) = range.expect("only what was submitted completes");
        let Outcome::Reply(reply) = completion.outcome else {
            panic!("transfers {first}..={last}: {:?}", completion.outcome);
        };
        self.answered += 1;
        self.replayed += u64::from(reply.replayed);
        for (number, result) in (first..=last).zip(reply.create_results()) {
            assert_eq!(result.status, CREATED, "transfer {number}");
            self.acknowledged.insert(number, result);
        }
        Ok(())
    }

    /// Compares the record with the ledger, through lookups. Nothing may be in flight.
    ///
    /// # Errors
    /// What the client says.
    pub fn audit(&mut self) -> Result<Audit, ClientError> {
        assert!(self.in_flight.is_empty(), "an audit needs a quiet ledger");
        let mut audit = Audit { acknowledged: self.acknowledged(), ..Audit::default() };
        let mut balances = BTreeMap::<u128, (u128, u128)>::new();
        let numbers: Vec<u128> = (1..self.next_number).collect();
        for chunk in numbers.chunks(self.client.events_max() as usize) {
            let found: BTreeMap<u128, Transfer> =
                self.client.lookup_transfers(chunk)?.into_iter().map(|t| (t.id, t)).collect();
            for number in chunk {
                self.compare(*number, found.get(number), &mut audit);
            }
            for transfer in found.values() {
                balances.entry(transfer.debit_account_id).or_default().0 += transfer.amount;
                balances.entry(transfer.credit_account_id).or_default().1 += transfer.amount;
            }
        }
        let ids: Vec<u128> = (1..=ACCOUNTS).collect();
        for account in self.client.lookup_accounts(&ids)? {
            let (debits, credits) = balances.get(&account.id).copied().unwrap_or_default();
            let agrees = account.debits_posted == debits && account.credits_posted == credits;
            audit.wrong_balances += u64::from(!agrees);
        }
        Ok(audit)
    }

    fn compare(&self, number: u128, found: Option<&Transfer>, audit: &mut Audit) {
        let Some(result) = self.acknowledged.get(&number) else { return };
        let Some(found) = found else {
            audit.lost += 1;
            return;
        };
        let expected = Transfer { timestamp: result.timestamp, ..Self::transfer(number) };
        audit.altered += u64::from(*found != expected);
    }
}
