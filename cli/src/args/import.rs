//! The flags of `mizan import`.

use super::ConnectArgs;
use clap::{Args, ValueEnum};
use mizan_wire::limits::EVENTS_MAX;
use std::path::PathBuf;

/// `mizan import`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
A column is a number from 1 or, if the file has a header line, a name. Several columns, as in
--to-column 3,4, are joined by `/`. Without --header or --no-header a file has a header line if any
column is given by name.

A line is a record: a field in double quotes may contain the delimiter, and quotes if they are
doubled, but no line break. A line with another number of columns than the header (or, without one,
the first line) is a bad line; so write \"1,000.00\" in quotes if the delimiter is a comma.

Ids: an account's id is the hash of the ledger and the prefix followed by the column's text, always
as a name: what the file calls 7 is `name:7` to the other verbs. A transfer's id is the hash of
`NAMESPACE/TEXT` of the id column. So importing the same file again, also after a crash in the
middle, moves nothing twice: what is there already is counted as such. Use another namespace for
another file whose ids overlap, and the same one for the same file.

Lines that cannot be read, and transfers that the node refuses, are reported by line and reason; all
others are imported, and the exit code is 1. A missing account makes a bad line that is not sent.
A transfer that the node refuses for want of funds (only with --no-overdraft) spends its id.
Ctrl-C counts and reports what was sent until then and exits with 130; run the command again to go on.

Examples:
  mizan import orders.tsv --currency CZK --create-ledger --scale 2 --create-accounts \\
      --no-header --id-column 1 --from-column 2 --to-column 3,4 --amount-column 5
  mizan import pay.csv --currency EUR --json \\
      --id-column id --from-column payer --to-column payee --amount-column amount")]
pub struct ImportArgs {
    /// The file; `-` is standard input
    pub file: PathBuf,
    /// The currency or ledger: USD, USD:LEDGER, or a number
    #[arg(long, value_name = "CURRENCY", visible_alias = "ledger", help_heading = "Ledger")]
    pub currency: String,
    /// Registers the ledger if it is not there; needs --scale
    #[arg(long, requires = "scale", help_heading = "Ledger")]
    pub create_ledger: bool,
    /// Decimal places that the ledger has, or gets; anything else is refused
    #[arg(long, value_name = "N", help_heading = "Ledger")]
    pub scale: Option<u8>,
    /// The paying account
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub from_column: String,
    /// The paid account
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub to_column: String,
    /// The amount, in units of the currency
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub amount_column: String,
    /// What tells the lines apart, for ever
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub id_column: String,
    /// Goes into the transfer's user_data_128: a number, or the hash of a text
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub user_data_128_column: Option<String>,
    /// Goes into the transfer's user_data_64: a number
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub user_data_64_column: Option<String>,
    /// Goes into the transfer's user_data_32: a number
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub user_data_32_column: Option<String>,
    /// What stands between columns: one character, or `tab` [default: tab for .tsv and .tab, else a comma]
    #[arg(long, value_name = "CHAR", help_heading = "File")]
    pub delimiter: Option<String>,
    /// The first line is a header
    #[arg(long, conflicts_with = "no_header", help_heading = "File")]
    pub header: bool,
    /// The first line is data
    #[arg(long, help_heading = "File")]
    pub no_header: bool,
    /// Creates the accounts that are missing; without limits, so that payers may go below zero
    #[arg(long, help_heading = "Accounts")]
    pub create_accounts: bool,
    /// Creates accounts that may not go below zero
    #[arg(long, requires = "create_accounts", help_heading = "Accounts")]
    pub no_overdraft: bool,
    /// Code of the accounts that are created; not 0
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Accounts")]
    pub account_code: u16,
    /// Stands before the name of every paying account
    #[arg(long, value_name = "TEXT", default_value = "", help_heading = "Accounts")]
    pub from_prefix: String,
    /// Stands before the name of every paid account
    #[arg(long, value_name = "TEXT", default_value = "", help_heading = "Accounts")]
    pub to_prefix: String,
    /// Stands before the id of every transfer [default: `ledger-` and the ledger's number]
    #[arg(long, value_name = "TEXT", help_heading = "Transfers")]
    pub id_namespace: Option<String>,
    /// Code of the transfers; not 0
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Transfers")]
    pub code: u16,
    /// Transfers in one request
    #[arg(long, value_name = "N", default_value_t = 2_048, help_heading = "Transfers",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(EVENTS_MAX)))]
    pub batch: u32,
    /// Lines reported one by one; all are counted
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub report: usize,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `mizan import-orders`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
A file in LOBSTER's format has one message per line: seconds, type, order id, size, price in
1/10,000, direction. It may be packed with gzip. New orders, reductions and deletions are sent as
they are. An execution of an order that rests is sent as an order of the other side, of that size
and at that price, that is immediate or cancelled: whom it trades with is the node's choice, and is
compared with whom the market chose. Hidden executions change no visible book and are not sent.

How the books stay together: when the node chooses another order, the disagreement is listed, and
everything on that price level is cancelled and entered again in the file's order, with what each
order has left by the file; the order that the market chose comes first, for by price and time it
was. Orders that the market has passed (a new order or an execution at a worse price shows that they
are gone) are taken out and listed. Orders from before the file are not known and not sent.

Without --address it uses a scratch node, which goes away; MIZAN_ADDRESS and the configuration do
not count. Everything runs through the ledger, with 3 basis points for takers and a rebate of 1 for
makers. At the end the node's levels are compared with those of the file, open orders are cancelled,
the trial balance is drawn, and the output hash printed: the same file gives the same hash.

Examples:
  mizan import-orders AAPL_2012-06-21_message_50.csv
  mizan import-orders messages.csv.gz --format lobster --json
  mizan import-orders messages.csv --address 127.0.0.1:7117 --name AAPL")]
pub struct ImportOrdersArgs {
    /// The file; `-` is standard input
    pub file: PathBuf,
    /// What the file's lines look like
    #[arg(long, value_name = "FORMAT", default_value = "lobster")]
    pub format: OrderFormat,
    /// What is traded: names the ledgers NAME and NAME.USD, the accounts and the instrument
    #[arg(long, value_name = "NAME", default_value = "LOBSTER")]
    pub name: String,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// A format of order messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum OrderFormat {
    /// Message files of LOBSTER, made from Nasdaq's own messages
    Lobster,
}
