//! The verbs of trading: instruments, orders, books, execution reports.

use super::{ConnectArgs, DecimalArgs};
use clap::{Args, Subcommand, ValueEnum};
use mizan_wire::limits::EVENTS_MAX;

/// `mizan instrument`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  mizan instrument create ACME USD --tick 0.01
  mizan instrument list
  mizan instrument state ACME halted
  mizan instrument close ACME")]
pub struct InstrumentArgs {
    /// What to do with instruments.
    #[command(subcommand)]
    pub verb: InstrumentVerb,
}

/// What to do with instruments.
#[derive(Clone, Debug, Subcommand)]
pub enum InstrumentVerb {
    /// Makes an order book for a base ledger against a quote ledger; once made it never changes
    Create(Box<CreateInstrumentArgs>),
    /// Lists the instruments and their terms
    List(ListInstrumentsArgs),
    /// Opens, halts, or allows nothing but cancels
    State(InstrumentStateArgs),
    /// Ends the trading session: day orders end with it
    Close(CloseInstrumentArgs),
}

/// `mizan instrument create`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
BASE is what is traded, QUOTE what it is paid with: ledgers that are registered, by currency or
number. The instrument is called BASE/QUOTE, and BASE alone where that is enough. A tick is the
smallest step of the price of one unit of BASE, a lot the smallest step of a quantity; one tick
times one lot is a whole number of the smallest units of QUOTE.

It gets accounts of its own, which are made if they are not there: `fees:BASE/QUOTE` gets the fees
and pays rebates, `clearing:BASE/QUOTE` (one in each ledger) carries the other side of what open
orders hold. Fees are basis points of the money of a fill; negative is a rebate; --taker-fee-flat is
paid once per order that takes. The same command again changes nothing and succeeds.

Examples:
  mizan instrument create ACME USD --tick 0.01
  mizan instrument create ACME USD --tick 0.10 --lot 1 --taker-fee-flat 1.00 --maker-fee-bps -1
  mizan instrument create BTC EUR --tick 10 --lot 0.001 --min-price 10 --max-price 1,000,000")]
pub struct CreateInstrumentArgs {
    /// The ledger of what is traded
    pub base: String,
    /// The ledger of what it is paid with
    pub quote: String,
    /// The smallest step of a price
    #[arg(long, value_name = "PRICE")]
    pub tick: String,
    /// The smallest step of a quantity
    #[arg(long, value_name = "QUANTITY", default_value = "1")]
    pub lot: String,
    /// The instrument's number [default: that of BASE/QUOTE if it exists, else the next free]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub number: Option<u32>,
    /// Basis points of the money of the fills of an order that rested
    #[arg(
        long,
        value_name = "BPS",
        default_value_t = 0,
        allow_negative_numbers = true,
        help_heading = "Fees"
    )]
    pub maker_fee_bps: i16,
    /// Basis points of the money of the fills of an order that came to them
    #[arg(
        long,
        value_name = "BPS",
        default_value_t = 0,
        allow_negative_numbers = true,
        help_heading = "Fees"
    )]
    pub taker_fee_bps: i16,
    /// Once per order, with its first fill as a taker
    #[arg(long, value_name = "AMOUNT", default_value = "0", help_heading = "Fees")]
    pub taker_fee_flat: String,
    /// Gets the fees [default: fees:BASE/QUOTE]
    #[arg(long, value_name = "NAME", help_heading = "Fees")]
    pub fee_account: Option<String>,
    /// Carries the other side of reservations, one in each ledger [default: clearing:BASE/QUOTE]
    #[arg(long, value_name = "NAME", help_heading = "Fees")]
    pub clearing_account: Option<String>,
    /// The lowest price [default: one tick]
    #[arg(long, value_name = "PRICE", help_heading = "Rules")]
    pub min_price: Option<String>,
    /// The highest price [default: 10^12 ticks]
    #[arg(long, value_name = "PRICE", help_heading = "Rules")]
    pub max_price: Option<String>,
    /// The largest quantity of an order [default: 10^12 lots]
    #[arg(long, value_name = "QUANTITY", help_heading = "Rules")]
    pub max_quantity: Option<String>,
    /// The largest product of price and quantity, in money [default: no bound]
    #[arg(long, value_name = "AMOUNT", help_heading = "Rules")]
    pub max_notional: Option<String>,
    /// How far beyond the best price that it meets a market order may trade [default: the highest price]
    #[arg(long, value_name = "PRICE", help_heading = "Rules")]
    pub protection: Option<String>,
    /// What happens when an order would trade with another one of its account
    #[arg(long, value_name = "MODE", default_value = "newest", help_heading = "Rules")]
    pub self_trade: SelfTradeMode,
    /// Open orders that its book has room for, out of the node's total
    #[arg(long, value_name = "N", default_value_t = 8_192, help_heading = "Room")]
    pub orders: u32,
    /// Price levels that its book has room for, out of the node's total
    #[arg(long, value_name = "N", default_value_t = 2_048, help_heading = "Room")]
    pub levels: u32,
    /// How amounts are written.
    #[command(flatten)]
    pub decimal: DecimalArgs,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// What happens when an order would trade with another one of its account.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum SelfTradeMode {
    /// The rest of the order that comes is cancelled
    Newest,
    /// The order that rests is cancelled
    Oldest,
    /// Both are cancelled
    Both,
    /// Both lose the smaller of the two quantities
    Decrement,
}

/// `mizan instrument list`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Example:
  mizan instrument list --json")]
pub struct ListInstrumentsArgs {
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `mizan instrument state`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
`halted` and `cancel-only` both take nothing but cancels; resting orders stay. New orders are refused
with a status that tells an interruption (halted, 1300) from an end to come (cancel_only, 1301).

Examples:
  mizan instrument state ACME halted
  mizan instrument state all open")]
pub struct InstrumentStateArgs {
    /// The instrument, or `all`
    pub instrument: String,
    /// What it accepts from now on
    pub state: StateName,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// What an instrument accepts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum StateName {
    /// Everything
    Open,
    /// Nothing but cancels
    CancelOnly,
    /// Nothing but cancels: trading is interrupted
    Halted,
}

/// `mizan instrument close`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Example:
  mizan instrument close ACME")]
pub struct CloseInstrumentArgs {
    /// The instrument, or `all`
    pub instrument: String,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// What buying and selling have in common.
const ENTER_HELP: &str = "\
INSTRUMENT is BASE/QUOTE, BASE if that is enough, or a number. The order is one of the account NAME
of the quote ledger; what is bought comes to, and what is sold comes from, the account of the same
name in the base ledger. A buy holds quantity x limit and the highest fee; a sell holds what it
sells. A fill posts money, shares and fees at once; what is not needed any more is released.

The client order id makes a repetition safe: the same order again is answered with the original one
(`duplicate: original order`, exit 0); another order under the same id is refused (exit 1). An order
that is refused was not entered and spends no id. With --until 5m the end differs at every attempt,
so give a point in time, as in 2026-01-31T16:00:00Z, if the command may be repeated.
";
const BUY_EXAMPLES: &str = "\
Examples:
  mizan order buy ACME 10 @ 190.00 --account alice --client-order-id first
  mizan order buy ACME 5 @ 191 --account alice --ioc
  mizan order buy ACME 5 --market --budget 1,000.00 --account alice
  mizan order buy ACME 5 --stop 195.00 --budget 1,000.00 --account alice";
const SELL_EXAMPLES: &str = "\
Examples:
  mizan order sell ACME 6 @ 189.90 --account bob --post-only
  mizan order sell ACME 5 @ 180.00 --stop 181.00 --account bob --until 8h
  mizan order sell ACME 5 --market --account bob";

/// `mizan order`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  mizan order sell ACME 6 @ 18.90 --account bob --client-order-id ask-1
  mizan order amend ACME ask-1 4 @ 18.80 --account bob
  mizan order cancel ACME ask-1 --account bob
  mizan order list bob")]
pub struct OrderArgs {
    /// What to do with orders.
    #[command(subcommand)]
    pub verb: OrderVerb,
}

/// What to do with orders.
#[derive(Clone, Debug, Subcommand)]
pub enum OrderVerb {
    /// Buys: reserves the money, matches, settles
    #[command(after_help = format!("{ENTER_HELP}\n\n{BUY_EXAMPLES}"))]
    Buy(EnterOrderArgs),
    /// Sells: reserves what is sold, matches, settles
    #[command(after_help = format!("{ENTER_HELP}\n\n{SELL_EXAMPLES}"))]
    Sell(EnterOrderArgs),
    /// Gives an open order another total or another price
    Amend(AmendOrderArgs),
    /// Ends an open order, or all of an account
    Cancel(CancelOrderArgs),
    /// Lists the open orders of an account, or shows one
    List(ListOrdersArgs),
}

/// `mizan order buy` and `mizan order sell`
#[derive(Clone, Debug, Args)]
pub struct EnterOrderArgs {
    /// The instrument
    pub instrument: String,
    /// How much of the base
    #[arg(allow_negative_numbers = true)]
    pub quantity: String,
    /// The limit, behind an @ that may be left away; none with --market, and with --stop alone
    #[arg(value_name = "@ PRICE", num_args = 0..=2, allow_negative_numbers = true)]
    pub price: Vec<String>,
    /// Whose order it is
    #[arg(long, value_name = "NAME")]
    pub account: String,
    /// The account in the base ledger [default: the same name]
    #[arg(long, value_name = "NAME")]
    pub base_account: Option<String>,
    /// The client order id: any text, or a number [default: a fresh one, which is printed]
    #[arg(long, value_name = "X")]
    pub client_order_id: Option<String>,
    /// Takes what is there and is never entered into the book
    #[arg(long, help_heading = "Kind")]
    pub market: bool,
    /// What a market or stop order to buy may spend, without fees [default: all that its band allows]
    #[arg(long, value_name = "AMOUNT", help_heading = "Kind")]
    pub budget: Option<String>,
    /// Waits until a trade reaches this price
    #[arg(long, value_name = "PRICE", help_heading = "Kind", conflicts_with_all = ["market", "post_only"])]
    pub stop: Option<String>,
    /// Refused if it would trade at once
    #[arg(long, help_heading = "Kind", conflicts_with_all = ["market", "ioc", "fok"])]
    pub post_only: bool,
    /// What cannot be filled at once is cancelled
    #[arg(long, help_heading = "Lifetime", group = "lifetime")]
    pub ioc: bool,
    /// Filled at once and as a whole, or not at all
    #[arg(long, help_heading = "Lifetime", group = "lifetime")]
    pub fok: bool,
    /// Ends with the trading session
    #[arg(long, help_heading = "Lifetime", group = "lifetime", conflicts_with = "market")]
    pub day: bool,
    /// Ends then: a span (60s, 5m, 8h, 7d) or a point in time (2026-01-31T16:00:00Z)
    #[arg(
        long,
        value_name = "TIME",
        help_heading = "Lifetime",
        group = "lifetime",
        conflicts_with = "market"
    )]
    pub until: Option<String>,
    /// Against trades with oneself [default: the instrument's mode]
    #[arg(long, value_name = "MODE", help_heading = "Kind")]
    pub self_trade: Option<SelfTradeMode>,
    /// A number of your own, given back with the order
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub user_data: u64,
    /// How amounts are written.
    #[command(flatten)]
    pub decimal: DecimalArgs,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `mizan order amend`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
QUANTITY is the new total, with what is filled already; no more than that ends the order. Without a
price the old one stays. Less at the same price keeps the place in the queue; anything else loses
it. ID is the client order id, or `#` and the order's number.

Examples:
  mizan order amend ACME first 5 --account alice
  mizan order amend ACME first 10 @ 190.50 --account alice
  mizan order amend ACME '#12' 10 @ 190.50 --account alice")]
pub struct AmendOrderArgs {
    /// The instrument
    pub instrument: String,
    /// The order
    pub id: String,
    /// The new total
    pub quantity: String,
    /// The new limit, behind an @ that may be left away [default: as it is]
    #[arg(value_name = "@ PRICE", num_args = 0..=2, allow_negative_numbers = true)]
    pub price: Vec<String>,
    /// The new trigger of an order that waits for it [default: as it is]
    #[arg(long, value_name = "PRICE")]
    pub stop: Option<String>,
    /// Whose order it is
    #[arg(long, value_name = "NAME")]
    pub account: String,
    /// How amounts are written.
    #[command(flatten)]
    pub decimal: DecimalArgs,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `mizan order cancel`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
ID is the client order id, or `#` and the order's number. An order that has ended already is told as
it is, with exit code 1.

Examples:
  mizan order cancel ACME first --account alice
  mizan order cancel ACME '#12' --account alice
  mizan order cancel ACME --all --account alice")]
pub struct CancelOrderArgs {
    /// The instrument
    pub instrument: String,
    /// The order
    #[arg(required_unless_present = "all")]
    pub id: Option<String>,
    /// All open orders of the account in this instrument
    #[arg(long, conflicts_with = "id")]
    pub all: bool,
    /// Whose order it is
    #[arg(long, value_name = "NAME")]
    pub account: String,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `mizan order list`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Without ID the open orders, in the order of their numbers. With ID one order, open or ended: any
order that was ever accepted is found by its client order id.

Examples:
  mizan order list alice
  mizan order list alice --instrument ACME --json
  mizan order list alice first --instrument ACME")]
pub struct ListOrdersArgs {
    /// Whose orders
    pub account: String,
    /// One order by its client order id
    #[arg(requires = "instrument")]
    pub id: Option<String>,
    /// Only of this instrument [default: all]
    #[arg(long, value_name = "INSTRUMENT")]
    pub instrument: Option<String>,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `mizan book`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
The best prices stand on top: bids on the left, asks on the right.

Examples:
  mizan book ACME
  mizan book ACME/USD --depth 3 --json
  mizan book ACME --watch")]
pub struct BookArgs {
    /// The instrument
    pub instrument: String,
    /// Price levels of each side at the most
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=i64::from(EVENTS_MAX)))]
    pub depth: u32,
    /// Shows the book again whenever it has changed, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `mizan reports`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
An account's reports are numbered from 1 without gaps. The node keeps the last ones of all accounts
together (--reports of `mizan format`); a number before the first that is kept is told.

Examples:
  mizan reports alice
  mizan reports alice --from 17 --limit 100 --json")]
pub struct ReportsArgs {
    /// Whose reports
    pub account: String,
    /// The first number to show
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub from: u64,
    /// How many to show [default: all that are kept]
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
}
