//! What a node's files hold: the final ledger, and the digest after every log entry.
//!
//! Read from the files alone, when the node has stopped, by replaying the log from its first entry. What is absent: a
//! word of the node itself. A node that remembers more or less than its files say is no witness.

use crate::error::CliError;
use crate::files::node_error;
use mizan_engine::{Engine, Output, Resolved};
use mizan_node::{NodeError, offline};
use mizan_wire::{Account, Transfer, TrialBalanceRow};
use std::collections::BTreeMap;
use std::path::Path;

/// A ledger as one node's files have it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) accounts: Vec<Account>,
    /// Every record, a doubled one twice.
    pub(crate) transfers: Vec<Transfer>,
    pub(crate) trial_balance: Vec<TrialBalanceRow>,
    /// Digest of the state by the sequence after which it was taken.
    pub(crate) digests: BTreeMap<u64, u128>,
    /// What `mizan verify` would complain about.
    pub(crate) problems: Vec<String>,
}

impl Ledger {
    /// Replays the files of a node that does not run.
    ///
    /// # Errors
    /// Files that are damaged, or a log that the engine refuses.
    pub(crate) fn read(data: &Path) -> Result<Self, CliError> {
        Self::replay(data).map_err(|error| node_error(&error))
    }

    fn replay(data: &Path) -> Result<Self, NodeError> {
        let verified = offline::verify(data, &mut |_| ())?;
        let mut engine = Engine::new(&offline::genesis(data)?)?;
        let mut output = Output::new();
        let mut digests = BTreeMap::new();
        offline::for_each_log_entry(
            data,
            &mut |sequence, header, body| {
                engine.apply(sequence, header, body, &Resolved::none(), &mut output)?;
                digests.insert(sequence, engine.digest());
                Ok(())
            },
            &mut |_| (),
        )?;
        Ok(Self {
            accounts: engine.accounts().collect(),
            transfers: engine.transfers().collect(),
            trial_balance: engine.trial_balance(),
            digests,
            problems: verified.problems,
        })
    }
}
