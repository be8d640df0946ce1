//! `mizan drill`: the command line of the failure drills.

use clap::{Args, value_parser};

/// Runs of a drill at the most.
const RUNS_MAX: i64 = 10_000;

/// `mizan drill`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Each drill starts a scratch cluster of two or three processes of this binary, puts a load of ordinary
clients on it, breaks something, repairs it, and lets an oracle judge the files that are left: every
acknowledged transfer is there with its result, none twice, debits equal credits, digests are equal
on all nodes, one primary per epoch. Nothing but this binary is needed. Exit 1 if a drill fails; then
its files stay.

Failover times go from the loss of the primary to the first acknowledged transfer: until a standby
notices, until it is promoted, until a client has found it.

Examples:
  mizan drill
  mizan drill all
  mizan drill kill-primary --runs 30
  mizan drill pause-primary double-promotion --json")]
pub struct DrillArgs {
    /// Which: names, or all; without any it says which there are
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// How often each is run
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=RUNS_MAX))]
    pub runs: u32,
    /// Seed of the transfers, to repeat a run [default: a fresh one, which is printed]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Keeps the scratch clusters' files and says where they are
    #[arg(long)]
    pub keep: bool,
}
