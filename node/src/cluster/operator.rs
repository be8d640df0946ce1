//! What operators wait for, and what a new disk is told.

use crate::cluster::admin::{AdminReply, JoinInfo, to_hex};
use crate::cluster::links::OperatorId;
use crate::cluster::record::ClusterRecord;
use crate::cluster::status::ClusterStatus;
use crate::error::NodeError;
use mizan_journal::{LogReader, SHARED_HEADER_SIZE, Storage};
use mizan_replica::{Led, Replica, Starts};

/// A promotion that an operator waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promotion {
    pub(crate) operator: OperatorId,
    pub(crate) begun_ns: u64,
}

/// What a new disk is told that does not change.
#[derive(Clone, Debug)]
pub(crate) struct JoinFacts {
    pub(crate) cluster: u128,
    pub(crate) genesis: Vec<u8>,
    pub(crate) record: ClusterRecord,
    pub(crate) segment_size: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Operators {
    facts: JoinFacts,
}

impl Operators {
    pub(crate) const fn new(facts: JoinFacts) -> Self {
        Self { facts }
    }

    /// The record as it is written down when this node's leading is over.
    pub(crate) fn note_led(&mut self, led: Led) -> Vec<u8> {
        self.facts.record.led = led;
        self.facts.record.encode()
    }

    /// The record as it is now.
    pub(crate) fn record(&self) -> Vec<u8> {
        self.facts.record.encode()
    }

    /// The record as it is written down when more is known of starts.
    pub(crate) fn note_starts(&mut self, starts: Starts) -> Vec<u8> {
        self.facts.record.starts = starts;
        self.facts.record.encode()
    }

    /// What a new disk needs. A node's first disk counts at once. Only the disk that made the cluster gives it out, before
    /// it has seen an epoch, and once: `persist` makes that durable first. Every other disk has to be admitted.
    pub(crate) fn join<S: Storage>(
        &mut self,
        wanted: Option<u8>,
        status: &ClusterStatus,
        replica: &Replica,
        reader: &mut LogReader<S>,
        persist: impl FnOnce(Vec<u8>) -> Result<(), NodeError>,
    ) -> AdminReply {
        let refuse = |name: &str, text: String| AdminReply::Refused { name: name.to_owned(), text };
        let is_fresh = status.epoch < u64::from(status.nodes) && status.end == 1;
        let is_taken =
            |number: u8| number == status.node || replica.peer_status(number).is_connected;
        let to_give = self.facts.record.to_give;
        let is_first = |number: u8| is_fresh && to_give & (1 << number) != 0;
        let number = match wanted {
            Some(number) if number >= status.nodes => {
                return refuse(
                    "no-such-node",
                    format!("the cluster has the nodes 0 to {}", status.nodes - 1),
                );
            }
            Some(number) if is_taken(number) => {
                return refuse(
                    "taken",
                    format!("node {number} runs; stop it first, or take another number"),
                );
            }
            Some(number) => number,
            None => match (0..status.nodes).find(|number| {
                // While disks are being made one after the other, nobody gets the number of one that waits to be started.
                !is_taken(*number) && (!is_fresh || is_first(*number))
            }) {
                Some(number) => number,
                None => {
                    return refuse(
                        "full",
                        "every node of the cluster runs or has its disk; to replace a disk stop its node, and name it with --node".to_owned(),
                    );
                }
            },
        };
        let first_entry = if is_first(number) { first_entry(reader) } else { None };
        if first_entry.is_some() {
            // A disk of this incarnation was made from here on, whether or not the answer arrives.
            let record = ClusterRecord { to_give: to_give & !(1 << number), ..self.facts.record };
            if let Err(error) = persist(record.encode()) {
                return refuse("not-persisted", error.to_string());
            }
            self.facts.record = record;
        }
        AdminReply::Join(Box::new(JoinInfo {
            cluster: format!("{:#x}", self.facts.cluster),
            node: number,
            is_first_disk: first_entry.is_some(),
            genesis: to_hex(&self.facts.genesis),
            first_entry,
            record: to_hex(
                &ClusterRecord {
                    node: number,
                    to_give: 0,
                    led: Led::default(),
                    starts: Starts::default(),
                    ..self.facts.record
                }
                .encode(),
            ),
            segment_size: self.facts.segment_size,
        }))
    }
}

fn first_entry<S: Storage>(reader: &mut LogReader<S>) -> Option<String> {
    let mut frame = Vec::new();
    reader.read_after(0, 1, 1, &mut frame).ok()?;
    Some(to_hex(frame.get(SHARED_HEADER_SIZE..)?))
}
