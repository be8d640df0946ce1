//! An honest client beside the fuzzer: it must be served all the time, and nobody touches its money.

use mizan_client::{Client, ClientConfig, ClientError, Outcome};
use mizan_tests::ledger::PATIENCE;
use mizan_wire::{Account, CREATED, Operation, RequestStatus, Transfer, TrialBalanceRow};
use std::net::SocketAddr;
use std::time::Instant;
use zerocopy::IntoBytes;

/// The bystander's own ledger, and the first of its numbers: the fuzzer draws none of them.
const LEDGER: u32 = 0x6D7A_6E31;
const FIRST_ID: u128 = 0x6D69_7A61_6E5F_6279 << 64;
/// Its two accounts; the first one pays.
pub(crate) const PAYER: u128 = FIRST_ID + 1;
const PAYEE: u128 = FIRST_ID + 2;
/// Batches under way when the node is killed, as far as its window takes them.
const LOAD: usize = 8;

/// See the module.
pub(crate) struct Bystander {
    client: Client,
    /// Transfers that were acknowledged, with their timestamps.
    acknowledged: Vec<Transfer>,
    /// Batches whose fate is unknown since the node was killed.
    unknown: Vec<Vec<Transfer>>,
    next: u128,
}

impl Bystander {
    pub(crate) fn start(address: SocketAddr) -> Result<Self, String> {
        let mut client = connect(address)?;
        let accounts =
            [PAYER, PAYEE].map(|id| Account { id, ledger: LEDGER, code: 1, ..Account::default() });
        let results = client.create_accounts(&accounts).map_err(|error| error.to_string())?;
        if results.iter().any(|result| result.status != CREATED) {
            return Err(format!("the bystander's accounts: {results:?}"));
        }
        Ok(Self { client, acknowledged: Vec::new(), unknown: Vec::new(), next: FIRST_ID + 3 })
    }

    fn batch(&mut self, count: u128) -> Vec<Transfer> {
        let first = self.next;
        self.next += count;
        let transfer = |id: u128| Transfer {
            id,
            debit_account_id: PAYER,
            credit_account_id: PAYEE,
            amount: 1 + id % 97,
            ledger: LEDGER,
            code: 1,
            ..Transfer::default()
        };
        (first..first + count).map(transfer).collect()
    }

    /// A transfer and a read, both answered.
    pub(crate) fn probe(&mut self) -> Result<(), String> {
        let batch = self.batch(2);
        let results = self.client.create_transfers(&batch).map_err(|error| error.to_string())?;
        let timestamps = results.iter().map(|result| (result.status, result.timestamp));
        self.acknowledge(batch, timestamps)?;
        self.look()
    }

    fn acknowledge(
        &mut self,
        batch: Vec<Transfer>,
        results: impl Iterator<Item = (u32, u64)>,
    ) -> Result<(), String> {
        for (transfer, (status, timestamp)) in batch.into_iter().zip(results) {
            if status != CREATED {
                return Err(format!("the bystander's transfer is answered with {status}"));
            }
            self.acknowledged.push(Transfer { timestamp, ..transfer });
        }
        Ok(())
    }

    /// The balances are what was acknowledged, and in every ledger debits are credits.
    fn look(&mut self) -> Result<(), String> {
        let found =
            self.client.lookup_accounts(&[PAYER, PAYEE]).map_err(|error| error.to_string())?;
        let paid: u128 = self.acknowledged.iter().map(|transfer| transfer.amount).sum();
        let balances: Vec<[u128; 4]> = found
            .iter()
            .map(|found| {
                let pending = (found.debits_pending, found.credits_pending);
                [found.debits_posted, found.credits_posted, pending.0, pending.1]
            })
            .collect();
        if balances != [[paid, 0, 0, 0], [0, paid, 0, 0]] {
            return Err(format!("{paid} was paid, the balances are {balances:?}"));
        }
        let rows = self.client.trial_balance().map_err(|error| error.to_string())?;
        let is_balanced = rows.iter().all(TrialBalanceRow::is_balanced);
        is_balanced.then_some(()).ok_or_else(|| format!("debits are not credits: {rows:?}"))
    }

    /// Every acknowledged transfer is there as it was acknowledged.
    pub(crate) fn audit(&mut self) -> Result<(), String> {
        for part in self.acknowledged.chunks(self.client.events_max() as usize) {
            let ids: Vec<u128> = part.iter().map(|transfer| transfer.id).collect();
            let found = self.client.lookup_transfers(&ids).map_err(|error| error.to_string())?;
            if let Some(lost) = part.iter().find(|transfer| !found.contains(transfer)) {
                return Err(format!("an acknowledged transfer is not there: {lost:?}"));
            }
        }
        self.look()
    }

    /// Has some batches under way and takes the first answers, so that the node can be killed between them.
    pub(crate) fn begin_load(&mut self) -> Result<(), String> {
        let mut under_way = Vec::new();
        while under_way.len() < LOAD && self.client.can_submit(3) {
            let batch = self.batch(3);
            let id = self
                .client
                .submit(Operation::CreateTransfers, batch.as_bytes())
                .map_err(|error| error.to_string())?;
            under_way.push((id, batch));
        }
        for _ in 0..under_way.len() / 2 {
            let completion = self.client.poll(PATIENCE).map_err(|error| error.to_string())?;
            let completion = completion.ok_or("the bystander is not answered")?;
            let place = under_way.iter().position(|(id, _)| *id == completion.id);
            let (_, batch) = under_way.remove(place.ok_or("an answer to nothing")?);
            let Outcome::Reply(reply) = completion.outcome else {
                return Err(format!("the bystander's batch: {:?}", completion.outcome));
            };
            let results = reply.create_results();
            self.acknowledge(batch, results.iter().map(|one| (one.status, one.timestamp)))?;
        }
        self.unknown.extend(under_way.into_iter().map(|(_, batch)| batch));
        Ok(())
    }

    /// The node is there again: finds out what became of everything, and looks whether all is there.
    pub(crate) fn come_back(&mut self, address: SocketAddr) -> Result<(), String> {
        self.client = connect(address)?;
        for batch in std::mem::take(&mut self.unknown) {
            let ids: Vec<u128> = batch.iter().map(|transfer| transfer.id).collect();
            let found = self.client.lookup_transfers(&ids).map_err(|error| error.to_string())?;
            if found.is_empty() {
                continue;
            }
            let as_sent = |found: &Transfer| Transfer { timestamp: 0, ..*found };
            if !found.iter().map(as_sent).eq(batch.iter().copied()) {
                return Err(format!("a part of a batch is there: {found:?}"));
            }
            self.acknowledged.extend(found);
        }
        self.audit()
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.len() as u64
    }
}

/// Connects under a name of its own.
fn connect(address: SocketAddr) -> Result<Client, String> {
    let until = Instant::now() + PATIENCE;
    loop {
        let config = ClientConfig {
            connect_timeout: PATIENCE,
            request_timeout: PATIENCE,
            ..ClientConfig::at(address)
        };
        match Client::connect(config) {
            Ok(client) => return Ok(client),
            // What the node was told of sessions that ended with its last life comes a moment later.
            Err(ClientError::Refused(RequestStatus::SessionsFull)) if Instant::now() < until => {
                std::thread::yield_now();
            }
            Err(error) => return Err(format!("the bystander cannot connect: {error}")),
        }
    }
}
