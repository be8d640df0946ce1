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
mod contest;
mod damage;
mod drive;
mod network;
pub mod node;
mod operator;
pub mod oracle;
mod totals;
mod workload;
mod world;

#[cfg(feature = "unsafe-faults")]
pub use node::SimFault;
pub use oracle::Violation;
pub use totals::Totals;

/// A policy by its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PolicyName {
    /// Two fsynced copies.
    TwoDisks,
    /// One fsynced copy.
    Disk,
}

impl PolicyName {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::TwoDisks, Self::Disk];

    /// The name as people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TwoDisks => "two-disks",
            Self::Disk => "disk",
        }
    }
}

impl From<PolicyName> for mizan_replica::Policy {
    fn from(name: PolicyName) -> Self {
        match name {
            PolicyName::TwoDisks => Self::TwoDisks,
            PolicyName::Disk => Self::Disk,
        }
    }
}

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Everything random comes from it.
    pub seed: u64,
    /// Two or three; `None` lets the seed choose.
    pub node_count: Option<u8>,
    /// What an acknowledgement means; `None` lets the seed choose.
    pub policy: Option<PolicyName>,
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
            policy: None,
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
    /// Ends of processes, of all sorts.
    pub crashes: u64,
    /// Of these, kills: the process is gone, what it wrote is not.
    pub kills: u64,
    /// Of these, losses of power: what was not synced may be gone, too.
    pub power_losses: u64,
    /// Logs cut back.
    pub cuts: u64,
    /// Disks replaced.
    pub wipes: u64,
    /// Disks damaged at rest.
    pub damages: u64,
    /// Promotions for which an operator gave up what a log at hand lacked.
    pub losses_accepted: u64,
    /// Times that a node was told to acknowledge alone.
    pub singles: u64,
    /// Sessions that had been evicted, or lost with an accepted loss, when their client came back.
    pub sessions_lost: u64,
    /// Log entries which say that sessions have no connection any more.
    pub connections_lost: u64,
    /// Nodes that stood for promotion and were disturbed while they stood.
    pub contests: u64,
    /// Processes that ended while their node stood for promotion.
    pub candidates_ended: u64,
    /// Nodes that were cut off while they stood.
    pub candidates_cut: u64,
    /// Promotions begun while another node stood.
    pub rivals: u64,
}

/// A run that broke a promise.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "seed {seed}, {nodes} nodes, {policy}: {violation}; repeat with: {line}",
    policy = policy.name(),
    line = self.repeat_line()
)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// Nodes of the cluster.
    pub nodes: u8,
    /// The policy.
    pub policy: PolicyName,
    /// What was asked for beside the seed, as flags.
    pub flags: String,
    /// Which promise.
    pub violation: Violation,
    /// The last events.
    pub trace: Vec<String>,
}

impl Failure {
    /// The command that plays the seed again.
    #[must_use]
    pub fn repeat_line(&self) -> String {
        format!("mizan sim --first {} --seeds 1{}", self.seed, self.flags)
    }
}

/// Plays one seed.
///
/// # Errors
/// The first broken promise.
pub fn run(options: &Options) -> Result<Report, Box<Failure>> {
    play(options, &mut world::World::new(options))
}

/// Plays one seed and gives everything that happened in it, event by event.
pub fn run_logged(options: &Options) -> (Result<Report, Box<Failure>>, Vec<String>) {
    let mut world = world::World::new(options);
    world.keep_log();
    let outcome = play(options, &mut world);
    (outcome, world.take_log())
}

fn play(options: &Options, world: &mut world::World) -> Result<Report, Box<Failure>> {
    world.play().map_err(|violation| {
        let nodes = options.node_count.map(|count| format!(" --nodes {count}"));
        let policy = options.policy.map(|policy| format!(" --policy {}", policy.name()));
        Box::new(Failure {
            seed: options.seed,
            nodes: world.node_count(),
            policy: world.policy(),
            flags: [nodes, policy].into_iter().flatten().collect(),
            violation,
            trace: world.trace(),
        })
    })?;
    Ok(world.report())
}
