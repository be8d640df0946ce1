//! The independent verifier: the engine and the slow second implementation, side by side over the same files.
//!
//! Invariants: both get nothing but what stands in the log; every reply is compared byte by byte, and at the end every
//! account, every transfer, the trial balance and the digest.
//!
//! What is absent: an opinion on which of the two is right. A difference is a fault of one of them, and its first
//! place says where to look.

use mizan_engine::{Engine, Output, Resolved};
use mizan_journal::VisitorError;
use mizan_model::{Model, ModelReply};
use mizan_node::{NodeError, RecoveryProgress, offline};
use mizan_wire::{Account, Genesis, RequestHeader, Status, Transfer};
use std::path::Path;

/// Differences that are told; the first is the one that matters.
const DIFFERENCES_MAX: usize = 10;

/// What the comparison found.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Log entries whose replies were compared.
    pub entries: u64,
    /// Accounts that were compared.
    pub accounts: u64,
    /// Transfers that were compared.
    pub transfers: u64,
    /// The digest that the second implementation came to.
    pub digest: u128,
    /// What differs; empty when the two agree.
    pub differences: Vec<String>,
}

/// Recomputes everything from the files with both implementations, and compares.
///
/// # Errors
/// Damage, or a log that one of the two refuses. Cost: both states in memory, and the slower one's time, a few
/// microseconds per transfer.
pub fn compare(
    data: &Path,
    progress: &mut dyn FnMut(RecoveryProgress),
) -> Result<Comparison, NodeError> {
    let genesis = offline::genesis(data)?;
    let mut pair = Pair::new(&genesis)?;
    offline::for_each_log_entry(
        data,
        &mut |sequence, header, body| pair.apply(sequence, header, body),
        progress,
    )?;
    Ok(pair.finish())
}

struct Pair {
    engine: Engine,
    model: Model,
    output: Output,
    comparison: Comparison,
}

impl Pair {
    fn new(genesis: &Genesis) -> Result<Self, NodeError> {
        let model = Model::new(genesis).map_err(|error| NodeError::Options(error.to_string()))?;
        Ok(Self {
            engine: Engine::new(genesis)?,
            model,
            output: Output::new(),
            comparison: Comparison::default(),
        })
    }

    fn apply(
        &mut self,
        sequence: u64,
        header: &RequestHeader,
        body: &[u8],
    ) -> Result<(), VisitorError> {
        self.engine.apply(sequence, header, body, &Resolved::none(), &mut self.output)?;
        let reply = self.model.apply(sequence, header, body)?;
        self.comparison.entries += 1;
        if !is_same(&self.output, &reply) {
            self.differ(format!(
                "the replies to log entry {sequence} differ: the engine says {} with {} results, the second implementation {} with {}",
                self.output.status.name(),
                self.output.result_count,
                reply.status.name(),
                reply.result_count,
            ));
        }
        Ok(())
    }

    fn differ(&mut self, difference: String) {
        if self.comparison.differences.len() < DIFFERENCES_MAX {
            self.comparison.differences.push(difference);
        }
    }

    fn finish(mut self) -> Comparison {
        self.compare_accounts();
        self.compare_transfers();
        let (engine, model) = (self.engine.trial_balance(), self.model.trial_balance());
        if engine != model {
            self.differ(format!(
                "the trial balances differ: {} ledgers from the engine, {} from the second implementation",
                engine.len(),
                model.len()
            ));
        }
        let (engine, model) = (self.engine.status().digest, self.model.digest());
        self.comparison.digest = model;
        if engine != model {
            self.differ(format!("the digests differ: {engine:032x} and {model:032x}"));
        }
        self.comparison
    }

    fn compare_accounts(&mut self) {
        let engine: Vec<Account> = self.engine.accounts().collect();
        let model: Vec<Account> = self.model.accounts().copied().collect();
        self.comparison.accounts = engine.len() as u64;
        if let Some(text) = first_difference("account", &engine, &model, |account| account.id) {
            self.differ(text);
        }
    }

    fn compare_transfers(&mut self) {
        let engine: Vec<Transfer> = self.engine.transfers().collect();
        let model: Vec<Transfer> = self.model.transfers().copied().collect();
        self.comparison.transfers = engine.len() as u64;
        if let Some(text) = first_difference("transfer", &engine, &model, |transfer| transfer.id) {
            self.differ(text);
        }
    }
}

fn is_same(output: &Output, reply: &ModelReply) -> bool {
    output.status == reply.status
        && output.flags == reply.flags
        && output.sequence == reply.sequence
        && output.timestamp == reply.timestamp
        && output.event_count == reply.event_count
        && output.result_count == reply.result_count
        && output.body() == reply.body
}

fn first_difference<T: PartialEq>(
    what: &str,
    engine: &[T],
    model: &[T],
    id: impl Fn(&T) -> u128,
) -> Option<String> {
    if engine.len() != model.len() {
        return Some(format!(
            "the engine has {} {what}s, the second implementation {}",
            engine.len(),
            model.len()
        ));
    }
    let (ours, _) = engine.iter().zip(model).find(|(ours, theirs)| ours != theirs)?;
    Some(format!("{what} {:#x} differs", id(ours)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_that_differs_is_named() {
        let account = |id, credits_posted| Account { id, credits_posted, ..Account::default() };
        let (engine, model) = ([account(1, 5), account(2, 5)], [account(1, 5), account(2, 6)]);
        let difference = |engine: &[Account], model: &[Account]| {
            first_difference("account", engine, model, |account| account.id)
        };
        assert_eq!(difference(&engine, &engine), None);
        assert_eq!(difference(&engine, &model).expect("differs"), "account 0x2 differs");
        let text = difference(&engine, &model[..1]).expect("differs");
        assert_eq!(text, "the engine has 2 accounts, the second implementation 1");
    }
}
