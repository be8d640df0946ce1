//! Clusters in one thread, from a seed: real replicas, journals on simulated disks and engines, under faults.
//!
//! [`run`] plays one seed: clients write and read, nodes crash and lose power, messages get lost, repeated and late,
//! disks are replaced, an operator promotes. Then everything heals and must make progress. The [`oracle`] judges:
//! every acknowledged id is in the final ledger with its result, nothing is applied twice, debits equal credits,
//! digests are equal at equal sequence, and no epoch has two primaries that acknowledged.
//!
//! Invariants: the same options give the same run, to the hash of its events. What is absent: wall clocks, threads,
//! and the node's own stages: [`node::SimNode`] stands for them.
#![forbid(unsafe_code)]

mod chaos;
mod client;
mod drive;
pub mod node;
pub mod oracle;
mod workload;
mod world;

#[cfg(feature = "unsafe-faults")]
pub use node::SimFault;
pub use oracle::Violation;

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Everything random comes from it.
    pub seed: u64,
    /// Two or three; `None` lets the seed choose.
    pub node_count: Option<u8>,
    /// A deliberate mistake of every node.
    #[cfg(feature = "unsafe-faults")]
    pub fault: Option<SimFault>,
}

impl Options {
    /// A run of this seed without deliberate mistakes.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Options {
            seed,
            node_count: None,
            #[cfg(feature = "unsafe-faults")]
            fault: None,
        }
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// Hash over all events.
    pub events_hash: u64,
    /// Events.
    pub events: u64,
    /// Requests acknowledged.
    pub acknowledged: u64,
    /// Reads answered.
    pub reads: u64,
    /// Times that a node became primary.
    pub promotions: u64,
    /// Crashes of all sorts.
    pub crashes: u64,
    /// Logs cut back.
    pub cuts: u64,
    /// Disks replaced.
    pub wipes: u64,
}

/// A run that broke a promise.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "seed {seed}, {nodes} nodes: {violation}; repeat with: cargo run --release -p mizan-sim --example seeds -- --first {seed} --seeds 1"
)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// Nodes of the cluster.
    pub nodes: u8,
    /// Which promise.
    pub violation: Violation,
    /// The last events.
    pub trace: Vec<String>,
}

/// Plays one seed.
///
/// # Errors
/// The first broken promise.
pub fn run(options: &Options) -> Result<Report, Box<Failure>> {
    let mut world = world::World::new(options);
    match world.play() {
        Ok(()) => Ok(world.report()),
        Err(violation) => Err(Box::new(Failure {
            seed: options.seed,
            nodes: world.node_count(),
            violation,
            trace: world.trace(),
        })),
    }
}
