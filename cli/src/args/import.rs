//! The flags of `mizan import`.

use super::{ConnectArgs, DecimalArgs};
use clap::{ArgGroup, Args, ValueEnum};
use mizan_wire::limits::EVENTS_MAX;
use std::path::PathBuf;

/// `mizan import`
#[derive(Clone, Debug, Args)]
#[command(
    group(ArgGroup::new("payer").args(["from_column", "from", "account"]).required(true)),
    group(ArgGroup::new("payee").args(["to_column", "to", "account"]).required(true)),
    group(ArgGroup::new("amounts").args(["amount_column", "in_column"]).required(true)),
    after_help = "\
A column is a number from 1 or, if the file has a header line, a name. Several columns, as in
--to-column 3,4, are joined by `/`. A file has a header line if any column is given by name; if all
are given by number, --header or --no-header must be said.

A record is one of RFC 4180: a field in double quotes may contain the delimiter, line breaks, and
quotes if they are doubled. A quote that is not closed ends the import, and nothing behind it is
paid; nor is a last line without a line end, which may have been cut, unless --no-final-newline says
that the file is complete. A record with another number of columns than the header (or, without one, the first record) is
a bad line; so write \"1,000.00\" in quotes if the delimiter is a comma.

Amounts: without --decimal the point is the decimal mark, and what could be meant either way, such
as 1,500 in a ledger of three decimal places, is a bad line.

Statements: --account NAME with --other-column says whose statement the file is. What is above zero
comes in from the other account, what is below (-7.00, 7.00- or (7.00)) goes out to it; or
--in-column and --out-column have one amount each.

--where COLUMN=VALUE pays only lines that say so; the others are counted as left out. Given twice
for one column, either value will do; for two columns, both must hold.

Ids: an account's id is the hash of the ledger and the prefix followed by the column's text, always
as a name: what the file calls 7 is `name:7` to the other verbs. A transfer's id is the hash of the
id column's text: INV-1 in a file and `mizan transfer --id INV-1` are one payment, and so are 7 and
--id 7. With --id-namespace it is the hash of `NAMESPACE/TEXT`, and a namespace has no `/`. So
importing the same file again, also after a crash in the middle, moves nothing twice: what is there
already is counted as such. Use a namespace for files whose ids overlap, and the same one for the
same file. Lines that an earlier release imported under other ids are found before anything is sent
(exit 6). For that the file is read twice; if it is changed meanwhile, the import stops (exit 6).

Lines that cannot be read, and transfers that the node refuses, are reported by line and reason; all
others are imported, and the exit code is 1. A missing account makes a bad line that is not sent.
A transfer that the node refuses for want of funds spends its id. --rejects FILE writes all of these
lines to a file that can be imported with the same flags once the cause is mended: it says which
attempt each line is, and attempts have ids of their own, of which only one is ever paid. Leave the
ids in it as they are: a line with another id is another payment. Without a header it needs
--attempt-column, as the import says. An import that is killed leaves a file .mizan-rejects-* there.

--dry-run and --expect-* do not count lines that pay nothing: those that repeat an earlier line, have
the id of another one, or pay from an account to itself. Up to 4,000,000 ids are remembered for that,
in about 64 bytes each. What is paid already, and what the node would refuse, is not foreseen.

Accounts that --create-accounts makes have no limit unless --no-overdraft is given: a payer may go
below zero. An account's flags never change; see `mizan accounts create --help`.
Ctrl-C counts and reports what was sent until then and exits with 130; run the command again to go on.

Examples:
  mizan import orders.tsv --currency CZK --create-ledger --scale 2 --create-accounts \\
      --no-header --id-column 1 --from-column 2 --to-column 3,4 --amount-column 5
  mizan import pay.csv --currency EUR --json \\
      --id-column id --from-column payer --to-column payee --amount-column amount
  mizan import pay.csv --currency-column currency --where status=Completed --dry-run \\
      --id-column id --from-column payer --to-column payee --amount-column gross
  mizan import statement.csv --currency EUR --account bank --skip 3 --delimiter ';' --decimal , \\
      --id-column id --other-column name --amount-column amount --rejects rejects.csv")]
pub struct ImportArgs {
    /// The file; `-` is standard input
    pub file: PathBuf,
    /// The currency or ledger: USD, USD:LEDGER, or a number; with --currency-column every line must have it
    #[arg(
        long,
        value_name = "CURRENCY",
        visible_alias = "ledger",
        required_unless_present = "currency_column",
        help_heading = "Ledger"
    )]
    pub currency: Option<String>,
    /// Registers the ledger if it is not there; needs --currency and --scale
    #[arg(long, requires = "scale", requires = "currency", help_heading = "Ledger")]
    pub create_ledger: bool,
    /// Decimal places that the ledger has, or gets; anything else is refused
    #[arg(long, value_name = "N", requires = "currency", help_heading = "Ledger")]
    pub scale: Option<u8>,
    /// The paying account
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub from_column: Option<String>,
    /// The paid account
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub to_column: Option<String>,
    /// The other account of a statement; needs --account
    #[arg(long, value_name = "COLUMN", requires = "account", help_heading = "Columns")]
    pub other_column: Option<String>,
    /// The amount, in units of the currency
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub amount_column: Option<String>,
    /// What comes in to --account; needs --out-column
    #[arg(
        long,
        value_name = "COLUMN",
        requires = "out_column",
        requires = "account",
        help_heading = "Columns"
    )]
    pub in_column: Option<String>,
    /// What goes out of --account; needs --in-column
    #[arg(long, value_name = "COLUMN", requires = "in_column", help_heading = "Columns")]
    pub out_column: Option<String>,
    /// What tells the lines apart, for ever
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub id_column: String,
    /// The currency; without --currency each line goes to the ledger of its own
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub currency_column: Option<String>,
    /// The transfer's code: 1 to 65535
    #[arg(long, value_name = "COLUMN", conflicts_with = "code", help_heading = "Columns")]
    pub code_column: Option<String>,
    /// A day, which is checked and not kept; see --date-order
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub date_column: Option<String>,
    /// A text, which is checked and not kept: the log has no personal texts
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub memo_column: Option<String>,
    /// Which attempt a line is [default: the column mizan_attempt of a header, else the first]
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub attempt_column: Option<String>,
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
    /// The file is complete, although its last line has no end
    #[arg(long, help_heading = "File")]
    pub no_final_newline: bool,
    /// Lines above the header, or above the first record, that are passed over
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "File")]
    pub skip: u64,
    /// How the parts of a date follow each other; 2026-03-26 is ymd, also with a time behind it
    #[arg(long, value_name = "ORDER", default_value = "ymd", help_heading = "File")]
    pub date_order: DateOrder,
    /// How amounts are written.
    #[command(flatten)]
    pub decimal: DecimalArgs,
    /// Pays only lines whose column has this value
    #[arg(long = "where", value_name = "COLUMN=VALUE", help_heading = "What is paid")]
    pub conditions: Vec<String>,
    /// Reads and counts, asks which accounts are missing, and sends nothing
    #[arg(long, conflicts_with = "rejects", help_heading = "What is paid")]
    pub dry_run: bool,
    /// Sends nothing unless so many lines would be paid
    #[arg(long, value_name = "N", help_heading = "What is paid")]
    pub expect_count: Option<u64>,
    /// Sends nothing unless that is the sum; of a statement, what comes in less what goes out
    #[arg(
        long,
        value_name = "[CURRENCY=]SUM",
        allow_hyphen_values = true,
        help_heading = "What is paid"
    )]
    pub expect_sum: Vec<String>,
    /// Writes the lines that were not paid, with reasons, to a new file that can be imported
    #[arg(long, value_name = "FILE", help_heading = "What is paid")]
    pub rejects: Option<PathBuf>,
    /// The account that pays every line
    #[arg(long, value_name = "NAME", conflicts_with = "to", help_heading = "Accounts")]
    pub from: Option<String>,
    /// The account that every line pays
    #[arg(long, value_name = "NAME", help_heading = "Accounts")]
    pub to: Option<String>,
    /// The account whose statement the file is
    #[arg(long, value_name = "NAME", requires = "other_column", help_heading = "Accounts")]
    pub account: Option<String>,
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
    /// Stands before the name of every other account of a statement
    #[arg(long, value_name = "TEXT", default_value = "", help_heading = "Accounts")]
    pub other_prefix: String,
    /// Stands before the id of every transfer, with a `/` [default: nothing]
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

impl ImportArgs {
    /// The columns that are given, as they were typed.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns_of_payments().chain(self.attempt_column.as_deref())
    }

    /// Those of them that say what is paid, without the one that says which attempt it is.
    pub fn columns_of_payments(&self) -> impl Iterator<Item = &str> {
        let all = [
            &self.from_column,
            &self.to_column,
            &self.other_column,
            &self.amount_column,
            &self.in_column,
            &self.out_column,
            &self.currency_column,
            &self.code_column,
            &self.date_column,
            &self.memo_column,
            &self.user_data_128_column,
            &self.user_data_64_column,
            &self.user_data_32_column,
        ];
        let optional = all.into_iter().filter_map(|column| column.as_deref());
        std::iter::once(self.id_column.as_str()).chain(optional)
    }

    /// The account that is the same in every line, as it was typed.
    #[must_use]
    pub fn own(&self) -> Option<&str> {
        self.from.as_deref().or(self.to.as_deref()).or(self.account.as_deref())
    }
}

/// How the parts of a date follow each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum DateOrder {
    /// 2026-03-26
    Ymd,
    /// 26.03.2026
    Dmy,
    /// 03/26/2026
    Mdy,
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
