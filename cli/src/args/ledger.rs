//! The verbs that ask a running node: money, accounts, ledgers.

use super::{ConnectArgs, DecimalArgs};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `mizan transfer`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
FROM and TO are names, or ids (decimal without leading zeros, or hex after 0x); name:TEXT is a name
even if TEXT looks like a number. AMOUNT is exact: 25, 25.00, .5, 1,000.00 (a comma only between thousands, never
behind a leading zero); with --decimal , it is 1.000,00. What could be meant either way is refused.
CURRENCY is USD, USD:LEDGER, or a ledger's number.

The id makes a repetition safe: the same id with the same content is answered with the original
result (`duplicate: original result`, exit 0) and moves nothing; with other content it is refused
(`duplicate_different (amount)`, exit 1). It may be any text, such as an invoice's number, and is
hashed as it stands, digits too: 7 is the 7 of a file, and not 007. Only 0x7 is the number 7.

Examples:
  mizan transfer alice bob 25.00 USD --id invoice-17
  mizan transfer alice bob 1,000.00 USD --json
  mizan transfer 0x2a name:7 5 840 --code 12")]
pub struct TransferArgs {
    /// The account that pays: its debits grow
    pub from: String,
    /// The account that is paid: its credits grow
    pub to: String,
    /// How much, in units of the currency
    #[arg(allow_negative_numbers = true)]
    pub amount: String,
    /// The currency or ledger
    pub currency: String,
    /// The transfer's id: any text, or a number [default: a fresh one, which is printed]
    #[arg(long, value_name = "X")]
    pub id: Option<String>,
    /// Why the money moves, in your own numbers; not 0
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub code: u16,
    /// How amounts are written.
    #[command(flatten)]
    pub decimal: DecimalArgs,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `mizan hold`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
A hold reserves money: it counts against what is available, but is not posted until `mizan post`.
`mizan void`, or the timeout, gives it back. The table keeps the three apart:
  posted     the final balance on the account's normal side
  held       reserved by open holds, on the side that lowers the balance
  available  posted less held; negative if the account has no limit and is overdrawn
See `mizan account --help` for which side is normal.

Examples:
  mizan hold alice shop 40.00 USD --id booking-9
  mizan hold alice shop 40.00 USD --timeout 60s --id booking-10")]
pub struct HoldArgs {
    /// The account whose money is reserved
    pub from: String,
    /// The account that will be paid
    pub to: String,
    /// How much, in units of the currency
    #[arg(allow_negative_numbers = true)]
    pub amount: String,
    /// The currency or ledger
    pub currency: String,
    /// When the hold lapses, in whole seconds: 60s, 5m, 2h, 7d [default: never]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<String>,
    /// The hold's id: any text, or a number [default: a fresh one, which is printed]
    #[arg(long, value_name = "X")]
    pub id: Option<String>,
    /// Why the money moves, in your own numbers; not 0
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub code: u16,
    /// How amounts are written.
    #[command(flatten)]
    pub decimal: DecimalArgs,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `mizan post`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
A hold is posted once. If AMOUNT is less than what is held, the rest is given back. Without --id
the post's own id is made from the hold's, so that repeating the command is safe.

Examples:
  mizan post booking-9
  mizan post booking-10 32.50")]
pub struct PostArgs {
    /// The hold's id, as it was given to `mizan hold`
    pub hold: String,
    /// How much of it, in units of the currency [default: all of it]
    #[arg(allow_negative_numbers = true)]
    pub amount: Option<String>,
    /// The post's own id: any text, or a number [default: made from the hold's]
    #[arg(long, value_name = "X")]
    pub id: Option<String>,
    /// How amounts are written.
    #[command(flatten)]
    pub decimal: DecimalArgs,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `mizan void`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Without --id the void's own id is made from the hold's, so that repeating the command is safe.

Example:
  mizan void booking-9")]
pub struct VoidArgs {
    /// The hold's id, as it was given to `mizan hold`
    pub hold: String,
    /// The void's own id: any text, or a number [default: made from the hold's]
    #[arg(long, value_name = "X")]
    pub id: Option<String>,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `mizan account`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
What the columns mean:
  normal     the side on which the account grows: `debit` if its credits must not exceed its
             debits, else `credit`
  posted     posted amounts of the normal side less those of the other side
  held       open holds on the other side, which will lower the balance
  incoming   open holds on the normal side, which will raise it; not available yet
  available  posted less held. `no limit` says that the node refuses no transfer for want of
             funds: the account may go below zero
An account that may not be overdrawn (debits_must_not_exceed_credits) has
available = credits_posted - debits_posted - debits_pending.

Examples:
  mizan account alice
  mizan account alice USD --json
  mizan account 0x2a")]
pub struct AccountArgs {
    /// The account's name or id
    pub name: String,
    /// Only in this currency or ledger [default: all]
    pub currency: Option<String>,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `mizan accounts`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  mizan accounts create alice bob USD --flags debits_must_not_exceed_credits
  mizan accounts create bank USD")]
pub struct AccountsArgs {
    /// What to do with accounts.
    #[command(subcommand)]
    pub verb: AccountsVerb,
}

/// What to do with accounts.
#[derive(Clone, Debug, Subcommand)]
pub enum AccountsVerb {
    /// Creates one account per name; those that exist already are left as they are
    Create(CreateAccountsArgs),
}

/// `mizan accounts create`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
An account's id is the hash of its ledger and name, so the same name is another account in every
ledger. Without flags an account has no limit and may go below zero. Flags never change.
  debits_must_not_exceed_credits  it cannot be overdrawn: for wallets, and for whoever pays
  credits_must_not_exceed_debits  the same for an account that grows by debits, such as cash
  history                         is kept with the account and changes nothing now

Examples:
  mizan accounts create alice bob USD
  mizan accounts create alice bob USD --flags debits_must_not_exceed_credits
  mizan accounts create cash USD --code 100 --flags credits_must_not_exceed_debits,history")]
pub struct CreateAccountsArgs {
    /// The accounts' names or ids
    #[arg(required = true, num_args = 1.., value_name = "NAME")]
    pub names: Vec<String>,
    /// The currency or ledger
    pub currency: String,
    /// What the accounts are for, in your own chart of accounts; not 0
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub code: u16,
    /// debits_must_not_exceed_credits, credits_must_not_exceed_debits, history; several with commas
    #[arg(long, value_name = "FLAGS", value_delimiter = ',')]
    pub flags: Vec<String>,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `mizan ledger`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  mizan ledger create USD --scale 2
  mizan ledger create JPY --scale 0")]
pub struct LedgerArgs {
    /// What to do with ledgers.
    #[command(subcommand)]
    pub verb: LedgerVerb,
}

/// What to do with ledgers.
#[derive(Clone, Debug, Subcommand)]
pub enum LedgerVerb {
    /// Registers a ledger; once registered it never changes
    Create(CreateLedgerArgs),
}

/// `mizan ledger create`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
The scale is the number of decimal places: with --scale 2 the smallest amount is 0.01. Registering
the same ledger again changes nothing and succeeds.

Examples:
  mizan ledger create USD --scale 2
  mizan ledger create JPY --scale 0 --number 392 --name \"Japanese yen\"")]
pub struct CreateLedgerArgs {
    /// 1 to 12 ASCII letters, digits, `-` or `.`
    pub currency: String,
    /// Decimal places, 0 to 38
    #[arg(long, value_name = "N")]
    pub scale: u8,
    /// The ledger's number [default: the currency's ledger if there is one, else the next free]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub number: Option<u32>,
    /// A name for people [default: the currency]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `mizan ledgers`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Example:
  mizan ledgers --json")]
pub struct LedgersArgs {
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `mizan trial-balance`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
One row per ledger, registered or not. Exit 1 if debits and credits of any ledger differ.

Examples:
  mizan trial-balance
  mizan trial-balance --json")]
pub struct TrialBalanceArgs {
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `mizan explain`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Needs no node. One name or number may stand in several tables; all are shown.

Examples:
  mizan explain exceeds_credits
  mizan explain 54
  mizan explain")]
pub struct ExplainArgs {
    /// A status by name or number [default: all of them]
    pub status: Option<String>,
}

/// `mizan repl`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
A line is one or several verbs without the word mizan, separated by `;`. Words with blanks stand in
single or double quotes, and `#` begins a comment. `help` lists the verbs, `help VERB` explains one,
`exit` ends. An error does not end it: with -c, or if the input is not a terminal, the exit code is
that of the last verb that failed, else 0.

Examples:
  mizan repl
  mizan repl -c \"transfer alice bob 1 USD; account alice\"")]
pub struct ReplArgs {
    /// Runs this line instead of reading lines
    #[arg(short = 'c', value_name = "LINE")]
    pub command: Option<String>,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `mizan status`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
With --data it asks nothing of the node: it shows what the node last said of itself, whether it lives,
hangs or is gone, and what to do. Where no node has the directory it reads the journal, too.
Exit 1 if the node needs somebody: it hangs, died, failed, is not ready, or an alarm stands that is
more than a note; 5 if files are damaged.

Examples:
  mizan status
  mizan status --address 127.0.0.1:7117 --json
  mizan status --data /var/lib/mizan
  mizan status --replica 127.0.0.1:7217,127.0.0.1:7218")]
pub struct StatusArgs {
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
    /// Reads the files of a node instead, whether or not it runs [env: MIZAN_DATA]
    #[arg(long, value_name = "DIR", conflicts_with = "address")]
    pub data: Option<PathBuf>,
    /// Asks nodes of a cluster at their replication addresses: roles, epochs, lag, who is in sync
    #[arg(long, value_name = "ADDRS", conflicts_with_all = ["address", "data"])]
    pub replica: Option<String>,
    /// The file with the cluster's secret [env: MIZAN_SECRET_FILE]
    #[arg(long, value_name = "FILE", requires = "replica")]
    pub secret_file: Option<PathBuf>,
}
