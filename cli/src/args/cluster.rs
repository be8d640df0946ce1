//! The verbs that an operator uses on a cluster.

use super::DataArgs;
use clap::Args;
use std::path::PathBuf;

/// How to reach a node's operator side.
#[derive(Clone, Debug, Default, Args)]
pub struct OperatorArgs {
    /// The node's replication address, as its --replicate says [env: MIZAN_REPLICA]
    #[arg(long, value_name = "ADDR")]
    pub replica: Option<String>,
    /// The file with the cluster's secret [env: MIZAN_SECRET_FILE]
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
}

/// `mizan promote`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Makes the node at --replica the primary. It asks the other nodes for their grants, takes over the
longest log among them, and begins a new epoch; the former primary is fenced by that. Refused, with
the reason, if too few nodes grant or another one has more.

With two nodes and the policy two-disks the survivor can be promoted alone, but nothing is
acknowledged until a second copy is back, or with --solo, which lets one copy suffice until then. A
single copy is a risk that somebody has to take: --solo asks for the words `single copy`.

Under the policy disk the end of the log may exist only on the node that is gone. The refusal then
says which sequences; --accept-loss-after SEQ confirms it.

The new primary takes the time that most nodes tell. Where no other node tells it, a clock that is more
than 24 h ahead of the log's last timestamp is refused (exit 6), because holds would expire by it for
ever; --accept-clock confirms that it is right.

Examples:
  mizan promote --replica 127.0.0.1:7217
  mizan promote --replica 127.0.0.1:7217 --expect-epoch 5
  mizan promote --replica 127.0.0.1:7217 --solo --yes-single-copy --json")]
pub struct PromoteArgs {
    /// The node.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// Does nothing if the node has seen another epoch than this
    #[arg(long, value_name = "EPOCH")]
    pub expect_epoch: Option<u64>,
    /// Lets this one copy suffice until another node has caught up
    #[arg(long)]
    pub solo: bool,
    /// Answers the question of --solo, for scripts
    #[arg(long, requires = "solo")]
    pub yes_single_copy: bool,
    /// Goes on although what follows this sequence may be lost
    #[arg(long, value_name = "SEQ")]
    pub accept_loss_after: Option<u64>,
    /// Believes the node's clock, also if it is more than 24 h ahead of the log and no other node tells the time
    #[arg(long)]
    pub accept_clock: bool,
}

/// `mizan change-secret`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
The node must not run. Give the same file to every node of the cluster before any of them is started
again, and to the operators; who knows only the old secret is not heard from then on. It also gives a
secret to a cluster that was formatted with --no-secret.

Examples:
  mizan change-secret --data ./node-0 --secret-file ./secret-2")]
pub struct ChangeSecretArgs {
    /// The files.
    #[command(flatten)]
    pub data: DataArgs,
    /// The file with the new secret; it is made if it is not there [env: MIZAN_SECRET_FILE]
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
}

/// `mizan detach`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
On the primary: acknowledgements no longer wait for the node that is gone; this one copy suffices
until a second one has caught up, which is noted by itself. Asks for the words `single copy`.

Examples:
  mizan detach 1 --replica 127.0.0.1:7217
  mizan detach 1 --replica 127.0.0.1:7217 --yes-single-copy --json")]
pub struct DetachArgs {
    /// The number of the node that is gone
    pub node: u8,
    /// The primary.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// Answers the question, for scripts
    #[arg(long)]
    pub yes_single_copy: bool,
}
