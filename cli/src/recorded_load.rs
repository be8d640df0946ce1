//! A load that remembers outside the node what it was told: the witness for a crash.
//!
//! Invariants: transfer number *n* of a seed has the same content whenever it is made, so that a range of numbers is a
//! full record of what was sent; a batch counts as acknowledged only when its reply is here and says that all of it
//! was created.
//!
//! What is absent: speed records. `mizan bench` measures; this one remembers.

use crate::error::CliError;
use mizan_client::{Client, ClientConfig, Completion, Outcome, RequestId};
use mizan_loadgen::random::Random;
use mizan_wire::{
    Account, CREATED, CreateAccountStatus, CreateTransferStatus, Operation, Status, Transfer,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use zerocopy::IntoBytes;

/// Transfers in one request.
const BATCH: u64 = 2_000;
/// Requests in flight.
const IN_FLIGHT_MAX: usize = 8;
/// Accounts between which money moves; their ids are 1 to this.
const ACCOUNTS: u64 = 500;
/// The largest amount, in smallest units.
const AMOUNT_MAX: u64 = 10_000;
/// How long a request may stay unanswered: a restart lies within it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// How long one poll waits.
const POLL_TIMEOUT: Duration = Duration::from_millis(20);

/// A batch whose reply has come.
#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    first: u64,
    count: u64,
    /// Of the first transfer; the others follow without a gap.
    timestamp: u64,
}

/// What the ledger holds of what was acknowledged.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Audit {
    /// Transfers that were acknowledged.
    pub acknowledged: u64,
    /// Of these, not in the ledger.
    pub lost: u64,
    /// Of these, in the ledger with another content or timestamp.
    pub altered: u64,
    /// Transfers in the ledger beyond those that were sent.
    pub doubled: u64,
    /// Accounts that do not hold the sum of what was acknowledged.
    pub wrong_balances: u64,
}

impl Audit {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.lost == 0 && self.altered == 0 && self.doubled == 0 && self.wrong_balances == 0
    }
}

/// The load and its record.
pub struct RecordedLoad {
    client: Client,
    seed: u64,
    ledger: u32,
    /// Transfers in the ledger before the load.
    others: u64,
    next: u64,
    in_flight: BTreeMap<RequestId, u64>,
    acknowledged: Vec<Acknowledged>,
    replayed: u64,
}

impl RecordedLoad {
    /// Connects and makes the accounts.
    ///
    /// # Errors
    /// Those of the client; accounts that are refused.
    pub fn start(address: SocketAddr, ledger: u32, seed: u64) -> Result<Self, CliError> {
        let config = ClientConfig { request_timeout: REQUEST_TIMEOUT, ..ClientConfig::at(address) };
        let mut client = Client::connect(config)?;
        let accounts: Vec<Account> = (1..=ACCOUNTS).map(|number| account(number, ledger)).collect();
        for result in client.create_accounts(&accounts)? {
            if result.status != CREATED {
                let status = CreateAccountStatus::from_number(result.status);
                let name = status.map_or("an unknown status", Status::name);
                return Err(CliError::Problem(format!(
                    "an account of the load was refused: {name}"
                )));
            }
        }
        let others = client.engine_status()?.transfer_count;
        Ok(Self {
            client,
            seed,
            ledger,
            others,
            next: 0,
            in_flight: BTreeMap::new(),
            acknowledged: Vec::new(),
            replayed: 0,
        })
    }

    /// Sends as many batches as may be in flight, and takes in what has come.
    ///
    /// # Errors
    /// Those of the client, or a reply that refuses what must succeed.
    pub fn pump(&mut self) -> Result<(), CliError> {
        self.send()?;
        self.take_in()
    }

    /// Sends as many batches as may be in flight, and waits for nothing.
    ///
    /// # Errors
    /// Those of the client.
    pub fn send(&mut self) -> Result<(), CliError> {
        while self.in_flight.len() < IN_FLIGHT_MAX && self.client.can_submit(BATCH as u32) {
            let first = self.next;
            let transfers = self.transfers(first, BATCH);
            let id = self.client.submit(Operation::CreateTransfers, transfers.as_bytes())?;
            self.in_flight.insert(id, first);
            self.next += BATCH;
        }
        self.client.flush();
        Ok(())
    }

    /// Waits a little for replies, and sends nothing new; says whether all have come.
    ///
    /// # Errors
    /// As [`RecordedLoad::pump`].
    pub fn settle(&mut self) -> Result<bool, CliError> {
        if !self.in_flight.is_empty() {
            self.take_in()?;
        }
        Ok(self.in_flight.is_empty())
    }

    fn take_in(&mut self) -> Result<(), CliError> {
        let mut timeout = POLL_TIMEOUT;
        while let Some(completion) = self.client.poll(timeout)? {
            self.record(&completion)?;
            timeout = Duration::ZERO;
        }
        Ok(())
    }

    fn record(&mut self, completion: &Completion) -> Result<(), CliError> {
        let Some(first) = self.in_flight.remove(&completion.id) else { return Ok(()) };
        let Outcome::Reply(reply) = &completion.outcome else {
            return Err(CliError::Problem(format!(
                "a batch of the load came to no result: {:?}",
                completion.outcome
            )));
        };
        if let Some(exception) = reply.exceptions().first() {
            let status = CreateTransferStatus::from_number(exception.status);
            let name = status.map_or("an unknown status", Status::name);
            return Err(CliError::Problem(format!(
                "a transfer of the load was not created: {name}"
            )));
        }
        self.replayed += u64::from(reply.replayed);
        let timestamp = reply.timestamp + 1 - BATCH;
        self.acknowledged.push(Acknowledged { first, count: BATCH, timestamp });
        Ok(())
    }

    /// Transfers whose replies have come.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.iter().map(|batch| batch.count).sum()
    }

    /// Transfers that were sent and not answered yet.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        self.in_flight.len() as u64 * BATCH
    }

    /// Batches whose first reply did not arrive, and came again.
    #[must_use]
    pub const fn replayed(&self) -> u64 {
        self.replayed
    }

    /// Sends the last acknowledged batches once more, as new requests; gives how many transfers were answered as
    /// existing under their first timestamp, and how many were asked for.
    ///
    /// # Errors
    /// Those of the client.
    pub fn repeat_last(&mut self, batches: usize) -> Result<(u64, u64), CliError> {
        let (mut same, mut asked) = (0, 0);
        let last: Vec<Acknowledged> =
            self.acknowledged.iter().rev().take(batches).copied().collect();
        for batch in last {
            let results =
                self.client.create_transfers(&self.transfers(batch.first, batch.count))?;
            asked += batch.count;
            let is_same = |(index, result): &(u64, &mizan_wire::CreateResult)| {
                result.status == CreateTransferStatus::Exists.number()
                    && result.timestamp == batch.timestamp + index
            };
            same += (0..).zip(&results).filter(is_same).count() as u64;
        }
        Ok((same, asked))
    }

    /// Looks up every acknowledged transfer and every account.
    ///
    /// # Errors
    /// Those of the client. Everything must be answered before.
    pub fn audit(&mut self) -> Result<Audit, CliError> {
        let mut audit = Audit { acknowledged: self.acknowledged(), ..Audit::default() };
        let mut sums = BTreeMap::new();
        for batch in self.acknowledged.clone() {
            self.audit_batch(batch, &mut audit, &mut sums)?;
        }
        let ids: Vec<u128> = (1..=ACCOUNTS).map(u128::from).collect();
        let found = self.client.lookup_accounts(&ids)?;
        let is_right = |account: &&Account| {
            let expected = sums.get(&account.id).copied().unwrap_or_default();
            (account.debits_posted, account.credits_posted) == expected
        };
        audit.wrong_balances = ACCOUNTS - found.iter().filter(is_right).count() as u64;
        let count = self.client.engine_status()?.transfer_count;
        audit.doubled = count.saturating_sub(self.others + audit.acknowledged);
        Ok(audit)
    }

    fn audit_batch(
        &mut self,
        batch: Acknowledged,
        audit: &mut Audit,
        sums: &mut BTreeMap<u128, (u128, u128)>,
    ) -> Result<(), CliError> {
        let expected = self.transfers(batch.first, batch.count);
        let ids: Vec<u128> = expected.iter().map(|transfer| transfer.id).collect();
        let found = self.client.lookup_transfers(&ids)?;
        let found: BTreeMap<u128, Transfer> =
            found.into_iter().map(|transfer| (transfer.id, transfer)).collect();
        for (transfer, timestamp) in expected.into_iter().zip(batch.timestamp..) {
            sums.entry(transfer.debit_account_id).or_default().0 += transfer.amount;
            sums.entry(transfer.credit_account_id).or_default().1 += transfer.amount;
            match found.get(&transfer.id) {
                None => audit.lost += 1,
                Some(stored) if *stored != (Transfer { timestamp, ..transfer }) => {
                    audit.altered += 1;
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Ends the session.
    ///
    /// # Errors
    /// Those of the client.
    pub fn close(self) -> Result<(), CliError> {
        Ok(self.client.close()?)
    }

    fn transfers(&self, first: u64, count: u64) -> Vec<Transfer> {
        (first..first + count).map(|number| transfer(number, self.ledger, self.seed)).collect()
    }
}

fn account(number: u64, ledger: u32) -> Account {
    Account { id: number.into(), ledger, code: 1, ..Account::default() }
}

/// Transfer number `number` of the seed.
fn transfer(number: u64, ledger: u32, seed: u64) -> Transfer {
    let mut random = Random::of_part(seed, number);
    let debit = random.below(ACCOUNTS);
    let credit = (debit + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
    Transfer {
        // The upper half is below 2^63, which keeps ids out of the engine's own space.
        id: (u128::from(seed >> 1) << 64) | u128::from(number + 1),
        debit_account_id: u128::from(debit + 1),
        credit_account_id: u128::from(credit + 1),
        amount: u128::from(1 + random.below(AMOUNT_MAX)),
        ledger,
        code: 1,
        ..Transfer::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_wire::limits::id_is_reserved;

    #[test]
    fn a_transfer_is_the_same_whenever_it_is_made_and_pays_somebody_else() {
        for seed in [0, 1, u64::MAX] {
            for number in (0..2_000).chain([u64::MAX - 1]) {
                let made = transfer(number, 7, seed);
                assert_eq!(made, transfer(number, 7, seed));
                assert_ne!(made.debit_account_id, made.credit_account_id);
                assert!((1..=u128::from(ACCOUNTS)).contains(&made.debit_account_id));
                assert!((1..=u128::from(ACCOUNTS)).contains(&made.credit_account_id));
                assert!(made.amount > 0 && made.id != 0 && !id_is_reserved(made.id));
            }
        }
    }
}
