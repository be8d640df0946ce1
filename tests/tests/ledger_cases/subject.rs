//! One face for the engine and the model, so that a case is written once and asked of both.

use mizan_engine::{Engine, Output, Resolved};
use mizan_model::{Model, ModelReply};
use mizan_wire::{Account, Genesis, RequestHeader, TrialBalanceRow};

/// Whatever keeps a ledger by the rules.
pub trait Subject {
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
    /// Answers a read.
    fn read(&mut self, header: &RequestHeader, body: &[u8]) -> Result<ModelReply, String>;
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

    fn read(&mut self, header: &RequestHeader, body: &[u8]) -> Result<ModelReply, String> {
        Model::read(self, header, body).map_err(|error| error.to_string())
    }

    fn accounts(&self) -> Vec<Account> {
        Model::accounts(self).copied().collect()
    }

    fn trial_balance(&self) -> Vec<TrialBalanceRow> {
        Model::trial_balance(self)
    }
}

/// The engine with the buffer that it replies into.
pub struct EngineSubject {
    /// The engine itself.
    pub engine: Engine,
    output: Output,
}

impl EngineSubject {
    fn reply(&self) -> ModelReply {
        ModelReply {
            status: self.output.status,
            flags: self.output.flags,
            sequence: self.output.sequence,
            timestamp: self.output.timestamp,
            event_count: self.output.event_count,
            result_size: self.output.result_size,
            result_count: self.output.result_count,
            body: self.output.body().to_vec(),
        }
    }
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
            Ok(()) => Ok(self.reply()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn read(&mut self, header: &RequestHeader, body: &[u8]) -> Result<ModelReply, String> {
        match self.engine.read(header, body, &mut self.output) {
            Ok(()) => Ok(self.reply()),
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
