//! The engine and the model side by side: every entry goes to both, and everything that shows is compared.

use super::plan::Case;
use super::reply::reply_of;
use super::requests::request;
use super::world::{Request, World};
use mizan_engine::{Engine, Output, Resolved};
use mizan_model::{Model, ModelReply};
use mizan_wire::frame::REPLY_REPLAYED;
use mizan_wire::limits::EVENTS_MAX;
use mizan_wire::{
    Genesis, Operation, RequestHeader, RequestStatus, ResultException, expand_results,
};
use std::collections::BTreeMap;
use std::fmt::Debug;
use zerocopy::{FromBytes, IntoBytes};

/// How often each status was the answer: to an event of an operation, or, under operation 0, to a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coverage {
    pub(crate) statuses: BTreeMap<(u16, u32), u64>,
    pub(crate) requests: u64,
    pub(crate) events: u64,
    pub(crate) broken: u64,
    pub(crate) replayed: u64,
    /// Holds that a tick released.
    pub(crate) expired: u64,
}

impl Coverage {
    pub(crate) fn count(&self, operation: Operation, status: u32) -> u64 {
        self.statuses.get(&(operation.number(), status)).copied().unwrap_or(0)
    }

    pub(crate) fn request_count(&self, status: RequestStatus) -> u64 {
        self.statuses.get(&(0, status as u32)).copied().unwrap_or(0)
    }

    fn note(&mut self, operation: u16, reply: &ModelReply) {
        self.requests += 1;
        self.replayed += u64::from(reply.flags & REPLY_REPLAYED != 0);
        if operation == Operation::Tick.number() {
            self.expired += u64::from(reply.event_count);
        }
        *self.statuses.entry((0, reply.status as u32)).or_default() += 1;
        let is_create = Operation::from_number(operation).is_some_and(Operation::is_create);
        if !is_create || reply.status != RequestStatus::Ok {
            return;
        }
        let read = |bytes| ResultException::read_from_bytes(bytes).expect("the size is right");
        let exceptions: Vec<_> =
            reply.body.chunks_exact(size_of::<ResultException>()).map(read).collect();
        for result in expand_results(reply.timestamp, reply.event_count, &exceptions) {
            self.events += 1;
            *self.statuses.entry((operation, result.status)).or_default() += 1;
        }
    }
}

/// An entry of the log that a pair has executed.
pub(crate) type Entry = (RequestHeader, Vec<u8>);

pub(crate) struct Pair {
    pub(crate) engine: Engine,
    pub(crate) model: Model,
    output: Output,
    /// What was applied, with the reply.
    pub(crate) log: Vec<(Entry, ModelReply)>,
}

impl Pair {
    /// Both, after the genesis entry.
    pub(crate) fn new(genesis: &Genesis, clock: u64) -> Result<Self, String> {
        let engine = Engine::new(genesis).map_err(|error| error.to_string())?;
        let model = Model::new(genesis).map_err(|error| error.to_string())?;
        let mut pair = Self { engine, model, output: Output::new(), log: Vec::new() };
        let header = request(Operation::Genesis, genesis.as_bytes(), clock);
        pair.apply(&header, genesis.as_bytes())?;
        Ok(pair)
    }

    /// Applies a sound log entry to both.
    pub(crate) fn apply(
        &mut self,
        header: &RequestHeader,
        body: &[u8],
    ) -> Result<ModelReply, String> {
        let request = Request {
            header: *header,
            body: body.to_vec(),
            sequence_offset: 0,
            is_read: false,
            is_broken: false,
        };
        self.submit(&request)?.ok_or_else(|| "a broken entry was executed".to_owned())
    }

    /// Hands a request to both and compares the replies and the states. `None` if both refused a broken entry.
    pub(crate) fn submit(&mut self, request: &Request) -> Result<Option<ModelReply>, String> {
        let (header, body) = (&request.header, &request.body);
        let (engine, model) = if request.is_read {
            let engine = self.engine.read(header, body, &mut self.output);
            (engine, self.model.read(header, body))
        } else {
            let sequence = (self.model.sequence() + 1).wrapping_add(request.sequence_offset);
            let resolved = Resolved::none();
            let engine = self.engine.apply(sequence, header, body, &resolved, &mut self.output);
            (engine, self.model.apply(sequence, header, body))
        };
        let reply = match (engine, model) {
            (Ok(()), Ok(reply)) => {
                same("the reply", &reply_of(&self.output), &reply)?;
                Some(reply)
            }
            (Err(_), Err(_)) => None,
            (engine, model) => return Err(format!("engine: {engine:?}, model: {model:?}")),
        };
        // Only a clock at the end of time makes an error of a request that is otherwise sound.
        if reply.is_some() == request.is_broken {
            return Err(format!(
                "the request is broken: {}, the reply: {reply:?}",
                request.is_broken
            ));
        }
        self.compare()?;
        if let Some(reply) = &reply
            && !request.is_read
        {
            self.log.push(((*header, body.clone()), reply.clone()));
        }
        Ok(reply)
    }

    fn compare(&self) -> Result<(), String> {
        same("next_due_ns", &self.engine.next_due_ns(), &self.model.next_due_ns())?;
        same("the digest", &self.engine.digest(), &self.model.digest())?;
        same("digest_due", &self.engine.digest_due(), &self.model.digest_due())?;
        same("the status", &self.engine.status(), &self.model.status())?;
        if !self.engine.accounts().eq(self.model.accounts().copied()) {
            let engine: Vec<_> = self.engine.accounts().collect();
            same("the accounts", &engine, &self.model.accounts().copied().collect())?;
        }
        same("the trial balance", &self.engine.trial_balance(), &self.model.trial_balance())
    }

    /// Compares what is seen by asking only, and audits the engine.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        let ids: Vec<u128> = self.model.transfers().map(|transfer| transfer.id).collect();
        for ids in ids.chunks(EVENTS_MAX as usize) {
            let header = request(Operation::LookupTransfers, ids.as_bytes(), 0);
            self.engine
                .read(&header, ids.as_bytes(), &mut self.output)
                .map_err(|error| error.to_string())?;
            let model =
                self.model.read(&header, ids.as_bytes()).map_err(|error| error.to_string())?;
            same("the transfers", &reply_of(&self.output), &model)?;
            same("the number of transfers found", &(model.result_count as usize), &ids.len())?;
        }
        self.engine.check_invariants().map_err(|error| error.to_string())
    }
}

fn same<T: PartialEq + Debug>(what: &str, engine: &T, model: &T) -> Result<(), String> {
    if engine == model {
        return Ok(());
    }
    Err(format!("{what} differs\nengine: {engine:?}\nmodel:  {model:?}"))
}

/// Runs a case on both. Gives the log.
pub(crate) fn run(
    case: &Case,
    coverage: &mut Coverage,
) -> Result<Vec<(Entry, ModelReply)>, String> {
    let mut pair = Pair::new(&case.genesis, case.clock_start)?;
    let mut world = World::new(case.clock_start);
    for request in world.prelude(case) {
        let reply = pair.submit(&request)?.ok_or("the prelude was refused")?;
        world.learn(&request, &reply);
    }
    for (position, step) in case.steps.iter().enumerate() {
        let request = world.request(step, &pair.model);
        let reply = pair
            .submit(&request)
            .map_err(|reason| format!("step {position}: {reason}\nrequest: {request:?}"))?;
        coverage.broken += u64::from(reply.is_none());
        if let Some(reply) = reply {
            coverage.note(request.header.operation, &reply);
            world.learn(&request, &reply);
        }
    }
    pair.finish()?;
    Ok(pair.log)
}
