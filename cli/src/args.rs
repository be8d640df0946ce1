//! The command line: every verb, its flags and its help.
//!
//! Invariants: a verb takes either `--address` or `--data`, and only `status` takes both; a setting that may also
//! come from the environment or the configuration is an `Option` here, and [`crate::config`] says what it becomes;
//! every verb's help ends with an example.

mod cluster;
mod decimal;
mod drill;
mod import;
mod ledger;
mod node;
mod sessions;
mod sim;
mod trading;

pub use cluster::{ChangeSecretArgs, DetachArgs, OperatorArgs, PromoteArgs};
pub use decimal::DecimalArgs;
pub use drill::DrillArgs;
pub use import::{DateOrder, ImportArgs, ImportOrdersArgs, OrderFormat};
pub use ledger::{
    AccountArgs, AccountsArgs, AccountsVerb, CreateAccountsArgs, CreateLedgerArgs, ExplainArgs,
    HoldArgs, LedgerArgs, LedgerVerb, LedgersArgs, PostArgs, ReplArgs, StatusArgs, TransferArgs,
    TrialBalanceArgs, VoidArgs,
};
pub use node::{
    BenchArgs, BenchWorkload, DemoArgs, DevArgs, ExportArgs, ExportFormat, FormatArgs,
    ImportStateArgs, InspectArgs, InspectWhat, StartArgs, VerifyArgs,
};

pub use sessions::{CloseSessionsArgs, ListSessionsArgs, SessionsArgs, SessionsVerb};
pub use sim::{PolicyArg, SimArgs};
pub use trading::{
    AmendOrderArgs, BookArgs, CancelOrderArgs, CloseInstrumentArgs, CreateInstrumentArgs,
    EnterOrderArgs, InstrumentArgs, InstrumentStateArgs, InstrumentVerb, ListInstrumentsArgs,
    ListOrdersArgs, OrderArgs, OrderVerb, ReportsArgs, SelfTradeMode, StateName,
};

use crate::exit;
use clap::{Args as ClapArgs, Parser, Subcommand};
use std::path::PathBuf;

const SETTINGS_HELP: &str = "\
Settings: flags beat MIZAN_* variables, which beat --config FILE (TOML), which beats the
defaults. `mizan VERB --help` ends with examples. A configuration file looks like this:

  address = \"127.0.0.1:7117\"
  data = \"/var/lib/mizan\"
  request_timeout = \"10s\"
  [format]
  accounts = 1000000";

/// Mizan: a double-entry ledger in one deterministic log.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "mizan",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = format!("{SETTINGS_HELP}\n\n{}", exit::HELP)
)]
pub struct Args {
    /// A configuration file in TOML; unknown keys are errors [env: MIZAN_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Writes data as JSON, one value on one line; amounts and ids are strings
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Shows the main job in acts, crash included, and ends in one table
    Demo(DemoArgs),
    /// Starts a scratch node with named accounts and stays up
    Dev(DevArgs),
    /// Moves money from one account to another
    Transfer(TransferArgs),
    /// Reserves money without moving it
    Hold(HoldArgs),
    /// Moves what a hold reserved, or a part of it
    Post(PostArgs),
    /// Gives back what a hold reserved
    Void(VoidArgs),
    /// Shows an account in every ledger in which it exists
    Account(AccountArgs),
    /// Creates accounts
    Accounts(AccountsArgs),
    /// Registers a ledger: its number, currency and decimal places
    Ledger(LedgerArgs),
    /// Lists the registered ledgers
    Ledgers(LedgersArgs),
    /// Adds up all accounts: debits equal credits in every ledger
    TrialBalance(TrialBalanceArgs),
    /// Makes, lists, halts and closes instruments
    Instrument(InstrumentArgs),
    /// Enters, amends, cancels and lists orders
    Order(OrderArgs),
    /// Shows the price levels of an instrument's order book
    Book(BookArgs),
    /// Shows the execution reports of an account
    Reports(ReportsArgs),
    /// Says what a status means and what to do about it
    Explain(ExplainArgs),
    /// Imports transfers from a CSV or TSV file
    Import(Box<ImportArgs>),
    /// Replays a market's order messages through the ledger, and compares whom the book chooses
    ImportOrders(ImportOrdersArgs),
    /// Reads verbs line by line
    Repl(ReplArgs),
    /// Shows a node's role, progress, limits and latency, or the state of its files
    Status(StatusArgs),
    /// Lists the sessions of clients, and closes them
    Sessions(SessionsArgs),
    /// Measures transfers per second and their latency
    Bench(BenchArgs),
    /// Prepares a directory for a node and fixes its limits
    Format(FormatArgs),
    /// Runs a node in the foreground
    Start(StartArgs),
    /// Makes a node of a cluster the primary
    Promote(PromoteArgs),
    /// Lets a stopped node of a cluster start with another secret
    ChangeSecret(ChangeSecretArgs),
    /// Lets a primary go on without a node that is gone
    Detach(DetachArgs),
    /// Breaks scratch clusters on purpose, and judges what is left
    Drill(DrillArgs),
    /// Checks a node's files: every frame, the chain, digests, trial balance
    Verify(VerifyArgs),
    /// Writes every account and transfer as text, from a node's files alone
    Export(ExportArgs),
    /// Takes what `export` wrote into another node
    ImportState(ImportStateArgs),
    /// Shows what is in a node's files
    Inspect(InspectArgs),
    /// Plays clusters from seeds, under every sort of fault, and judges what became of them
    Sim(SimArgs),
}

/// How to reach a node.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct ConnectArgs {
    /// The node, as HOST:PORT; several with commas [env: MIZAN_ADDRESS] [default: 127.0.0.1:7117]
    #[arg(long, value_name = "ADDR", help_heading = "Connection")]
    pub address: Option<String>,
    /// Refuses a node of another cluster than this [env: MIZAN_CLUSTER] [default: any]
    #[arg(long, value_name = "N", help_heading = "Connection")]
    pub cluster: Option<String>,
    /// How long an attempt to connect may take [env: MIZAN_CONNECT_TIMEOUT] [default: 2s]
    #[arg(long, value_name = "TIME", help_heading = "Connection")]
    pub connect_timeout: Option<String>,
    /// How long a reply may take before its fate is unknown [env: MIZAN_REQUEST_TIMEOUT] [default: 10s]
    #[arg(long, value_name = "TIME", help_heading = "Connection")]
    pub request_timeout: Option<String>,
}

/// Which files to read.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct DataArgs {
    /// The directory of the node's files [env: MIZAN_DATA]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_command_line_contradicts_itself_nowhere() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_verb_has_help_with_an_example_that_parses() {
        fn walk(command: &clap::Command, path: &str, seen: &mut Vec<String>) {
            if command.has_subcommands() {
                command.get_subcommands().for_each(|verb| {
                    walk(verb, &format!("{path} {}", verb.get_name()), seen);
                });
                return;
            }
            assert!(command.get_about().is_some(), "{path} says nothing about itself");
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let help = help.replace("\\\n", " ");
            let examples: Vec<&str> =
                help.lines().map(str::trim).filter(|line| line.starts_with("mizan ")).collect();
            assert!(!examples.is_empty(), "{path} has no example");
            for example in examples {
                let words = crate::verbs::repl::split_words(example).expect("words");
                Args::try_parse_from(words).unwrap_or_else(|error| panic!("{example}\n{error}"));
                assert!(example.starts_with(path), "{example} is no example of {path}");
            }
            seen.push(path.to_owned());
        }
        let mut seen = Vec::new();
        walk(&Args::command(), "mizan", &mut seen);
        assert!(seen.len() >= 20, "{seen:?}");
    }

    #[test]
    fn every_command_on_the_page_about_failover_parses() {
        let page = include_str!("../../docs/operating/failover.md");
        let commands: Vec<&str> = page.lines().filter(|line| line.starts_with("mizan ")).collect();
        assert!(commands.len() >= 5, "{commands:?}");
        for command in commands {
            let words = crate::verbs::repl::split_words(command).expect("words");
            Args::try_parse_from(words).unwrap_or_else(|error| panic!("{command}\n{error}"));
        }
    }

    #[test]
    fn a_verb_takes_exactly_one_of_address_and_data() {
        let parse = |line: &str| Args::try_parse_from(line.split_whitespace());
        assert!(parse("mizan ledgers --address 127.0.0.1:1").is_ok());
        assert!(parse("mizan ledgers --data /d").is_err());
        assert!(parse("mizan verify --data /d").is_ok());
        assert!(parse("mizan verify --data /d --address 127.0.0.1:1").is_err());
        assert!(parse("mizan status --data /d").is_ok());
        assert!(parse("mizan status --data /d --address 127.0.0.1:1").is_err());
    }

    #[test]
    fn accounts_to_create_are_all_words_before_the_currency() {
        let args = Args::try_parse_from(["mizan", "accounts", "create", "alice", "bob", "USD"]);
        let Ok(Args { verb: Verb::Accounts(accounts), .. }) = args else {
            panic!("not accounts: {args:?}")
        };
        let AccountsVerb::Create(create) = accounts.verb;
        assert_eq!(
            (create.names.as_slice(), create.currency.as_str()),
            (&["alice".to_owned(), "bob".to_owned()][..], "USD")
        );
    }

    #[test]
    fn json_and_config_stand_before_or_after_the_verb() {
        let before = Args::try_parse_from(["mizan", "--json", "ledgers"]).expect("before");
        let after = Args::try_parse_from(["mizan", "ledgers", "--json"]).expect("after");
        assert!(before.json && after.json);
    }
}
