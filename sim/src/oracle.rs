//! The judge: what clients were told, what nodes applied, and whether it can all be true.

use mizan_engine::Engine;
use mizan_model::Model;
use mizan_replica::Alarm;
use mizan_wire::{CREATED, CreateResult, RequestHeader, Transfer};
use std::collections::BTreeMap;
use thiserror::Error;

use crate::node::{StoredFrame, for_each_entry};
use crate::workload::genesis;

/// A broken promise.
#[derive(Clone, Debug, Error)]
pub enum Violation {
    /// (a)
    #[error(
        "transfer {id:x} was acknowledged with number {acknowledged}, the final ledger has {found:?}"
    )]
    Lost {
        /// Its id.
        id: u128,
        /// The timestamp that the client was given, 0 for a refusal.
        acknowledged: u64,
        /// The timestamp in the ledger.
        found: Option<u64>,
    },
    /// (b), (c)
    #[error("the final state contradicts itself: {0}")]
    State(String),
    /// (d)
    #[error("node {node} has another digest at committed sequence {sequence}")]
    Digest {
        /// The node.
        node: u8,
        /// Where.
        sequence: u64,
    },
    /// (e)
    #[error("nodes {first} and {second} both acknowledged in epoch {epoch}")]
    TwoPrimaries {
        /// One.
        first: u8,
        /// The other.
        second: u8,
        /// The epoch.
        epoch: u64,
    },
    /// A read was answered from a state that lacked what had been acknowledged when it was asked.
    #[error(
        "a read saw sequence {seen}, but {acknowledged} had been acknowledged before it was sent"
    )]
    StaleRead {
        /// What it saw.
        seen: u64,
        /// What it should have seen.
        acknowledged: u64,
    },
    /// A node stopped although nothing justified it.
    #[error("node {node} raised an alarm: {alarm}")]
    Alarm {
        /// The node.
        node: u8,
        /// Why.
        alarm: Alarm,
    },
    /// A log entry could not be applied.
    #[error("node {node} cannot apply its log: {reason}")]
    Apply {
        /// The node.
        node: u8,
        /// Why.
        reason: String,
    },
    /// Healed, but no progress.
    #[error("after everything had healed: {0}")]
    NoProgress(String),
}

/// What is known to be true so far.
#[derive(Default)]
pub(crate) struct Oracle {
    /// Transfer to its number; 0 for one that was refused.
    transfers: BTreeMap<u128, u64>,
    digests: BTreeMap<u64, u128>,
    primaries: BTreeMap<u64, u8>,
    /// Highest sequence that any client was told of.
    pub(crate) acknowledged_sequence: u64,
    pub(crate) acknowledged: u64,
    pub(crate) reads: u64,
}

impl Oracle {
    pub(crate) fn acknowledge(
        &mut self,
        node: u8,
        epoch: u64,
        sequence: u64,
    ) -> Result<(), Violation> {
        let first = *self.primaries.entry(epoch).or_insert(node);
        if first != node {
            return Err(Violation::TwoPrimaries { first, second: node, epoch });
        }
        self.acknowledged += 1;
        self.acknowledged_sequence = self.acknowledged_sequence.max(sequence);
        Ok(())
    }

    pub(crate) fn results(
        &mut self,
        transfers: &[Transfer],
        results: &[CreateResult],
    ) -> Result<(), Violation> {
        for (transfer, result) in transfers.iter().zip(results) {
            let number = if result.status == CREATED { result.timestamp } else { 0 };
            let known = *self.transfers.entry(transfer.id).or_insert(number);
            if known != number {
                let id = transfer.id;
                return Err(Violation::Lost { id, acknowledged: known, found: Some(number) });
            }
        }
        Ok(())
    }

    pub(crate) fn read(&mut self, seen: u64, acknowledged: u64) -> Result<(), Violation> {
        self.reads += 1;
        if seen < acknowledged {
            return Err(Violation::StaleRead { seen, acknowledged });
        }
        Ok(())
    }

    /// A node knows an applied sequence to be committed.
    pub(crate) fn committed(
        &mut self,
        node: u8,
        sequence: u64,
        digest: u128,
    ) -> Result<(), Violation> {
        match *self.digests.entry(sequence).or_insert(digest) {
            known if known == digest => Ok(()),
            _ => Err(Violation::Digest { node, sequence }),
        }
    }

    /// Judges the state that all nodes have come to, by the engine and by the model.
    pub(crate) fn judge(&self, engine: &Engine, log: &[StoredFrame]) -> Result<(), Violation> {
        engine.check_invariants().map_err(|error| Violation::State(error.to_string()))?;
        let found: BTreeMap<u128, u64> =
            engine.transfers().map(|transfer| (transfer.id, transfer.timestamp)).collect();
        for (&id, &acknowledged) in &self.transfers {
            let found = found.get(&id).copied();
            if found.unwrap_or(0) != acknowledged {
                return Err(Violation::Lost { id, acknowledged, found });
            }
        }
        let mut model =
            Model::new(&genesis()).map_err(|error| Violation::State(error.to_string()))?;
        for frame in log {
            for_each_entry(frame, |sequence, header: &RequestHeader, body| {
                model
                    .apply(sequence, header, body)
                    .map(|_| ())
                    .map_err(|error| Violation::State(error.to_string()))
            })?;
        }
        if model.digest() != engine.digest() {
            return Err(Violation::State("model and engine differ".to_owned()));
        }
        Ok(())
    }
}
