//! What a run is told.

use crate::constants::{
    ACCOUNTS_DEFAULT, ACCOUNTS_MAX, CLIENTS_MAX, DURATION_MAX, IN_FLIGHT_DEFAULT, IN_FLIGHT_MAX,
    RATE_MAX, REQUEST_TIMEOUT_DEFAULT, TRANSFERS_DEFAULT,
};
use crate::{Distribution, IdOrder, LoadError, Mix, OrderOptions};
use mizan_client::ClientConfig;
use mizan_client::constants::PORT_DEFAULT;
use mizan_wire::limits::EVENTS_MAX;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// What answers a run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Target {
    /// A node, whose answers and balances are checked.
    #[default]
    Node,
    /// A server that answers without doing anything: it has no accounts that could be created or compared.
    Null,
}

/// What a run is told.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// The nodes; see [`ClientConfig::addresses`].
    pub addresses: Vec<SocketAddr>,
    /// The cluster that must answer; 0 for any.
    pub cluster: u128,
    /// Accounts between which money moves; at least 2.
    pub accounts: u64,
    /// Transfers to make (with a mix: transfers and lookups); with a duration: at the most.
    pub transfers: u64,
    /// Transfers in one request.
    pub batch: u32,
    /// Clients, each with a session of its own.
    pub clients: u32,
    /// Batches that each client keeps in flight; with a rate: at the most.
    pub in_flight: u32,
    /// Events per second of an open loop: batches leave on a fixed schedule, whether others are answered or not.
    /// `None` for a closed loop, in which a batch leaves when another is answered.
    pub rate: Option<u64>,
    /// No batch begins later than this, even if there are transfers left.
    pub duration: Option<Duration>,
    /// The order of the transfers' ids.
    pub ids: IdOrder,
    /// Which accounts take part.
    pub distribution: Distribution,
    /// Of what sorts the batches are.
    pub mix: Mix,
    /// Orders instead of transfers; the mix and the order of ids do not count then.
    pub orders: Option<OrderOptions>,
    /// What answers.
    pub target: Target,
    /// Threads that drive the clients.
    pub driver_threads: u32,
    /// Decides who pays whom and how much. Accounts belong to ledger and seed: the same two use the same accounts.
    pub seed: u64,
    /// The ledger of accounts and transfers.
    pub ledger: u32,
    /// The code of accounts and transfers.
    pub code: u16,
    /// What the ids of the run's transfers are made of: in sequence, they are this plus 1, plus 2, and so on. `None` for
    /// a base that is new.
    pub transfer_id_base: Option<u128>,
    /// How long a request may stay unanswered before its fate is unknown.
    pub request_timeout: Duration,
    /// Processes, such as the node under load, whose CPU time is not that of others.
    pub own_pids: Vec<u32>,
}

impl Default for BenchOptions {
    /// One client with full batches against a node on this machine.
    fn default() -> Self {
        Self {
            addresses: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, PORT_DEFAULT))],
            cluster: 0,
            accounts: ACCOUNTS_DEFAULT,
            transfers: TRANSFERS_DEFAULT,
            batch: EVENTS_MAX,
            clients: 1,
            in_flight: IN_FLIGHT_DEFAULT,
            rate: None,
            duration: None,
            ids: IdOrder::default(),
            distribution: Distribution::default(),
            mix: Mix::default(),
            orders: None,
            target: Target::default(),
            driver_threads: 1,
            seed: 1,
            ledger: 1,
            code: 1,
            transfer_id_base: None,
            request_timeout: REQUEST_TIMEOUT_DEFAULT,
            own_pids: Vec::new(),
        }
    }
}

impl BenchOptions {
    pub(crate) fn check(&self) -> Result<(), LoadError> {
        let refuse = |text: &str| Err(LoadError::Options(text.to_owned()));
        if !(2..=ACCOUNTS_MAX).contains(&self.accounts) {
            return refuse("a run needs 2 to 4,294,967,296 accounts");
        }
        if !(1..=EVENTS_MAX).contains(&self.batch) {
            return refuse("a batch has 1 to 8,189 transfers");
        }
        if !(1..=CLIENTS_MAX).contains(&self.clients) {
            return refuse("a run has 1 to 1,024 clients");
        }
        if self.in_flight > IN_FLIGHT_MAX {
            return refuse("at most 1,048,576 batches are kept in flight");
        }
        if self.in_flight == 0 || self.driver_threads == 0 || self.transfers == 0 {
            return refuse("a run needs at least one transfer, one batch in flight and one thread");
        }
        if self.rate.is_some_and(|rate| !(1..=RATE_MAX).contains(&rate)) {
            return refuse("a rate is 1 to 1,000,000,000 events per second");
        }
        if self.duration.is_some_and(|duration| duration.is_zero() || duration > DURATION_MAX) {
            return refuse("a run lasts at least a moment and at most 7 days");
        }
        if let Some(rate) = self.rate
            && self.transfers / rate > DURATION_MAX.as_secs()
        {
            return refuse("at this rate the run would take more than 7 days; lower its transfers");
        }
        if self.target == Target::Null && self.mix.lookups > 0 {
            return refuse("a null server has nothing to look up; leave lookups out of the mix");
        }
        self.mix.check()?;
        if self.ledger == 0 || self.code == 0 {
            return refuse("ledger and code begin at 1");
        }
        Ok(())
    }

    pub(crate) fn batch_count(&self) -> u64 {
        self.transfers.div_ceil(u64::from(self.batch))
    }

    /// Transfers in this batch: the last one may be short.
    pub(crate) fn batch_size(&self, batch_index: u64) -> u32 {
        let before = batch_index * u64::from(self.batch);
        (self.transfers - before).min(u64::from(self.batch)) as u32
    }

    pub(crate) fn client_config(&self) -> ClientConfig {
        ClientConfig {
            addresses: self.addresses.clone(),
            cluster: self.cluster,
            request_timeout: self.request_timeout,
            ..ClientConfig::default()
        }
    }
}
