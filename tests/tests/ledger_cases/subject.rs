//! One face for the engine and the model, so that a case is written once and asked of both.

use super::reply::reply_of;
use mizan_engine::{Engine, Output, Resolved};
use mizan_model::{Model, ModelReply};
use mizan_wire::{Account, Genesis, RequestHeader, TrialBalanceRow};

/// Whatever keeps a ledger by the rules.
pub(crate) trait Subject {
    /// The name in messages.
    const NAME: &'static str;

    /// The state before the first entry.
    fn begin(genesis: &Genesis) -> Self;
    /// Executes the next log entry; the error's text if the log is broken.
    fn apply(
        &mut self,
        sequence: u64,
        header: &RequestHeader,
        body: &[u8],
    ) -> Result<ModelReply, String>;
    /// All accounts in the order of their creation.
    fn accounts(&self) -> Vec<Account>;
    /// A row per ledger.
    fn trial_balance(&self) -> Vec<TrialBalanceRow>;
}

impl Subject for Model {
    const NAME: &'static str = "model";

    fn begin(genesis: &Genesis) -> Self {
        Self::new(genesis).expect("the genesis record is allowed")
    }

    fn apply(
        &mut self,
        sequence: u64,
        header: &RequestHeader,
        body: &[u8],
    ) -> Result<ModelReply, String> {
        Model::apply(self, sequence, header, body).map_err(|error| error.to_string())
    }

    fn accounts(&self) -> Vec<Account> {
        Model::accounts(self).copied().collect()
    }

    fn trial_balance(&self) -> Vec<TrialBalanceRow> {
        Model::trial_balance(self)
    }
}

/// The engine with the buffer that it replies into.
pub(crate) struct EngineSubject {
    engine: Engine,
    output: Output,
}

impl Subject for EngineSubject {
    const NAME: &'static str = "engine";

    fn begin(genesis: &Genesis) -> Self {
        let engine = Engine::new(genesis).expect("the genesis record is allowed");
        Self { engine, output: Output::new() }
    }

    fn apply(
        &mut self,
        sequence: u64,
        header: &RequestHeader,
        body: &[u8],
    ) -> Result<ModelReply, String> {
        let resolved = Resolved::none();
        match self.engine.apply(sequence, header, body, &resolved, &mut self.output) {
            Ok(()) => Ok(reply_of(&self.output)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn accounts(&self) -> Vec<Account> {
        self.engine.accounts().collect()
    }

    fn trial_balance(&self) -> Vec<TrialBalanceRow> {
        self.engine.trial_balance()
    }
}
