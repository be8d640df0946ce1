//! The verb that plays clusters from seeds.

use clap::{Args, ValueEnum, value_parser};
use mizan_sim::PolicyName;

/// Seeds of one call at the most: a year of them.
const SEEDS_MAX: u64 = 10_000_000_000;

/// `mizan sim`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Plays whole clusters in memory, needs no node and leaves nothing behind. A seed decides everything: who
crashes, loses power, is parted, paused or cut off, which messages and which syncs get lost, which disks
fill up, rot or are replaced, who is promoted. Then everything heals and must go on. Every reply that a client
took is compared with a second implementation: nothing acknowledged may be lost, nothing done twice.
Under the policy `disk` the operator of the simulation accepts losses; only these are excused.

A seed that breaks a promise is printed with the line that repeats it. Exit code 1 if there was one.

JSON: seeds, failed, crashes, kills, power_losses, promotions, candidates_disturbed, candidates_ended,
candidates_cut, rival_promotions, connections_lost, acknowledged, reads, cut_backs, new_disks, damages,
losses_accepted, lost, doubled, digests_equal, failures [{seed, reason, repeat}].

Examples:
  mizan sim
  mizan sim --seeds 10000 --json
  mizan sim --seeds 500 --first 1000 --nodes 3 --policy two-disks
  mizan sim --first 4182 --seeds 1 --log")]
pub struct SimArgs {
    /// How many seeds to play
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = value_parser!(u64).range(1..=SEEDS_MAX))]
    pub seeds: u64,
    /// The first seed; the others follow it
    #[arg(long, value_name = "SEED", default_value_t = 1, value_parser = value_parser!(u64).range(..=u64::MAX - SEEDS_MAX))]
    pub first: u64,
    /// Nodes of each cluster [default: the seed chooses]
    #[arg(long, value_name = "2|3", value_parser = value_parser!(u8).range(2..=3))]
    pub nodes: Option<u8>,
    /// What an acknowledgement means [default: the seed chooses]
    #[arg(long, value_name = "POLICY")]
    pub policy: Option<PolicyArg>,
    /// Seeds played at the same time [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = value_parser!(u8).range(1..))]
    pub jobs: Option<u8>,
    /// Writes everything that happens in the first seed to standard error, and plays no other
    #[arg(long)]
    pub log: bool,
}

/// A policy on the command line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum PolicyArg {
    /// Fsynced on two nodes
    TwoDisks,
    /// Fsynced on the primary
    Disk,
}

impl From<PolicyArg> for PolicyName {
    fn from(policy: PolicyArg) -> Self {
        match policy {
            PolicyArg::TwoDisks => Self::TwoDisks,
            PolicyArg::Disk => Self::Disk,
        }
    }
}
