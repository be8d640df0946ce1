//! What can go wrong in a run.

use mizan_client::ClientError;
use thiserror::Error;

/// Why a run came to no result.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum LoadError {
    /// A client could not go on.
    #[error("{what}: {error}")]
    Client {
        /// What the client was doing.
        what: &'static str,
        /// What happened.
        #[source]
        error: ClientError,
    },
    /// The options contradict themselves or the node's limits.
    #[error("{0}")]
    Options(String),
    /// An account could not be created.
    #[error(
        "account {id} was refused with status {status}; choose another seed or ledger, or a larger node"
    )]
    AccountRefused {
        /// The account.
        id: u128,
        /// The status of the create.
        status: u32,
    },
    /// An instrument could not be created or cleared.
    #[error(
        "instrument {id} was refused with status {status}; choose another seed, or a node with more room for trading"
    )]
    InstrumentRefused {
        /// The instrument.
        id: u32,
        /// The status.
        status: u32,
    },
    /// An order is not what was acknowledged of it.
    #[error(
        "order {order} of the run, client id {client_order_id}: {what}. either something else uses its account, or the node lost or changed it"
    )]
    OrderDiffers {
        /// What is wrong.
        what: &'static str,
        /// Its place in the run.
        order: u64,
        /// The client's id.
        client_order_id: u128,
    },
    /// What was bought is not what was sold.
    #[error(
        "in instrument {instrument} {bought} lots were bought and {sold} sold, or for another price. either something else trades there, or the node is wrong"
    )]
    TradesDiffer {
        /// The instrument.
        instrument: u32,
        /// Lots that orders to buy say.
        bought: u64,
        /// Lots that orders to sell say.
        sold: u64,
    },
    /// The node gave an answer that no right node gives, whatever the load.
    #[error(
        "batch {batch_index}, event {place}: {what}. the node is wrong, or something else uses the run's accounts"
    )]
    AnswerWrong {
        /// What is wrong.
        what: &'static str,
        /// The batch within the run.
        batch_index: u64,
        /// The event within the batch.
        place: usize,
    },
    /// The comparison with raw sockets failed.
    #[error("the raw measurement over loopback failed: {0}")]
    Loopback(String),
    /// The node's accounts do not hold what it acknowledged.
    #[error(
        "{count} of {accounts} accounts do not hold what was acknowledged; the first is {first}: {side} are {found} instead of {expected}. either something else uses these accounts, or the node lost or doubled transfers"
    )]
    BalancesDiffer {
        /// Accounts that differ.
        count: u64,
        /// Accounts that were compared.
        accounts: u64,
        /// The first that differs.
        first: u128,
        /// Which balance.
        side: &'static str,
        /// What the account holds more than before the run.
        found: u128,
        /// What was acknowledged.
        expected: u128,
    },
}

impl LoadError {
    pub(crate) fn client(what: &'static str) -> impl Fn(ClientError) -> Self {
        move |error| Self::Client { what, error }
    }
}
