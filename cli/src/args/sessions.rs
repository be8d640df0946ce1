//! The flags of `mizan sessions`.

use super::ConnectArgs;
use clap::{Args, Subcommand};

/// `mizan sessions`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  mizan sessions list
  mizan sessions close --lost")]
pub struct SessionsArgs {
    /// What to do with sessions.
    #[command(subcommand)]
    pub verb: SessionsVerb,
}

/// What to do with sessions.
#[derive(Clone, Debug, Subcommand)]
pub enum SessionsVerb {
    /// Lists the sessions: whose they are, when they were used last, and whether they have a connection
    List(ListSessionsArgs),
    /// Ends sessions, so that their places are free
    Close(CloseSessionsArgs),
}

/// `mizan sessions list`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  mizan sessions list
  mizan sessions list --lost --json")]
pub struct ListSessionsArgs {
    /// Only those without a connection
    #[arg(long)]
    pub lost: bool,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `mizan sessions close`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
A client whose session is closed cannot find out from it what became of writes that were not
answered; it sends them again under the same ids, and nothing counts twice. Clients that are still
there open a new session when they come back.

Examples:
  mizan sessions close 1041 1042
  mizan sessions close --lost")]
pub struct CloseSessionsArgs {
    /// The sessions' numbers, as `mizan sessions list` shows them
    #[arg(value_name = "SESSION", required_unless_present = "lost")]
    pub sessions: Vec<u64>,
    /// All sessions without a connection
    #[arg(long, conflicts_with = "sessions")]
    pub lost: bool,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}
