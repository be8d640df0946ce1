//! One case: a node with extreme limits, and both sides of it.

use super::random::Random;
use super::script::Script;
use crate::ledger_cases::reply::reply_of;
use mizan_engine::{Engine, Output, Resolved};
use mizan_model::{Model, ModelReply};
use mizan_wire::RequestHeader;
use std::fmt::Debug;
use zerocopy::IntoBytes;

/// What a case did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) entries: u64,
    /// Entries that both refused to execute.
    pub(crate) refused: u64,
}

struct Pair {
    engine: Engine,
    model: Model,
    output: Output,
}

pub(crate) fn run(seed: u64, case: u64) -> Result<Counts, String> {
    let mut random = Random(seed ^ case.wrapping_mul(0xD6E8_FEB8_6659_FD93));
    let mut script = Script::new(&mut random);
    let genesis = script.genesis;
    let (engine, model) = (Engine::new(&genesis), Model::new(&genesis));
    let (engine, model) = match (engine, model) {
        (Ok(engine), Ok(model)) => (engine, model),
        (Err(_), Err(_)) => return Ok(Counts { entries: 1, refused: 1 }),
        _ => return Err(format!("one side alone takes {genesis:?}")),
    };
    let mut pair = Pair { engine, model, output: Output::new() };
    let mut counts = Counts::default();
    let first = script.header(mizan_wire::Operation::Genesis, genesis.as_bytes());
    pair.apply(&first, genesis.as_bytes())?;
    for index in 0..script.length {
        let (header, body) = script.next(&mut random, &pair.model);
        let is_read = header.operation().is_some_and(mizan_wire::Operation::is_read);
        let outcome = match is_read {
            true => pair.read(&header, &body).map(Some),
            false => pair.apply(&header, &body),
        };
        let reply = outcome.map_err(|reason| script.tell(index, &header, &reason))?;
        counts.entries += 1;
        match &reply {
            Some(reply) if !is_read => script.learn(&header, reply),
            Some(_) => {}
            None => counts.refused += 1,
        }
        pair.compare().map_err(|reason| script.tell(index, &header, &reason))?;
    }
    Ok(counts)
}

impl Pair {
    /// The reply of both, or nothing if both refuse the entry.
    fn apply(&mut self, header: &RequestHeader, body: &[u8]) -> Result<Option<ModelReply>, String> {
        let sequence = self.engine.sequence() + 1;
        let resolved = Resolved::none();
        let engine = self.engine.apply(sequence, header, body, &resolved, &mut self.output);
        let model = self.model.apply(sequence, header, body);
        match (engine, model) {
            (Ok(()), Ok(reply)) => {
                same("the reply", &reply_of(&self.output), &reply)?;
                Ok(Some(reply))
            }
            (Err(_), Err(_)) => Ok(None),
            (engine, model) => Err(format!("engine: {engine:?}, model: {model:?}")),
        }
    }

    fn read(&mut self, header: &RequestHeader, body: &[u8]) -> Result<ModelReply, String> {
        let engine = self.engine.read(header, body, &mut self.output);
        let model = self.model.read(header, body);
        match (engine, model) {
            (Ok(()), Ok(reply)) => {
                same("the answer", &reply_of(&self.output), &reply)?;
                Ok(reply)
            }
            (engine, model) => Err(format!("engine: {engine:?}, model: {model:?}")),
        }
    }

    /// Compares all that shows, and has the engine audit itself.
    fn compare(&self) -> Result<(), String> {
        let (engine, model) = (&self.engine, &self.model);
        same("the digest", &engine.digest(), &model.digest())?;
        same("next_due_ns", &engine.next_due_ns(), &model.next_due_ns())?;
        same("the status", &engine.status(), &model.status())?;
        if !engine.accounts().eq(model.accounts().copied()) {
            let accounts: Vec<_> = engine.accounts().collect();
            same("the accounts", &accounts, &model.accounts().copied().collect())?;
        }
        if !engine.transfers().eq(model.transfers().copied()) {
            let transfers: Vec<_> = engine.transfers().collect();
            same("the transfers", &transfers, &model.transfers().copied().collect())?;
        }
        same("the trial balance", &engine.trial_balance(), &model.trial_balance())?;
        engine.check_invariants().map_err(|error| error.to_string())
    }
}

fn same<T: PartialEq + Debug>(what: &str, engine: &T, model: &T) -> Result<(), String> {
    if engine == model {
        return Ok(());
    }
    Err(format!("{what} differs\nengine: {engine:?}\nmodel:  {model:?}"))
}
