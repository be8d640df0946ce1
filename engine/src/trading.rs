//! Trading: orders that reserve, match and settle in the ledger, in one step.
//!
//! An order reserves what it may cost before its book sees it (`holds`); while the book matches, every trade becomes
//! posted transfers (`settlement`); what an order no longer needs is released in the same step.
//!
//! # Invariants
//! * Holds of an account = its open pending transfers + what its open orders hold (`audit`). The other side of a
//!   reservation stands on the instrument's clearing account, so the sums of each ledger hold at every moment.
//! * An order holds exactly what its open lots may still cost; one that has ended holds nothing.
//! * (account, client order id) names one order for ever.
//! * No entry looks at more, or trades more, than `LOOKS_MAX` allows; what is triggered beyond it waits (`waiting`).
//!
//! # Why a fill can always be posted
//! * Funds: what an order holds is at least price times lots plus fees of whatever it trades, because its price bounds
//!   every trade and fees are rounded as a whole (`fees`). The hold is part of the account's debits already, so posting
//!   it cannot break a limit. A seller's fee is taken from the proceeds and never exceeds them.
//! * Limits: accounts that limit their credits cannot trade; an instrument's own accounts have no limits.
//! * Closed accounts: they cannot enter orders, and `create_transfers` refuses to close an account that has open
//!   orders or belongs to an instrument (`account_has_open_orders`).
//! * Overflow: on a node with trading, ordinary transfers keep every account's pending and posted sum below 2^127. An
//!   order holds at most 2^94, there are at most 2^31 transfers and 2^31 open orders, so fills and holds add less than
//!   2^126 to it.
//! * Room: before a command may trade, there is room for four transfers of as many trades as it can cause
//!   (`trades_max`); otherwise it is refused with `transfers_full`. Stops that wait go on only while there is.
//! * A leg between an account and itself moves nothing and is not stored.
//!
//! # What is absent
//! Who may do what (the gateway decides), market data, auctions, chains: orders cannot be linked, because undoing a
//! chain would undo strangers' fills. Refused orders are not remembered: their ids can be used again.

pub(crate) mod audit;
mod commands;
mod execute;
mod fees;
mod holds;
mod instruments;
pub(crate) mod limits;
mod look_ahead;
mod open_set;
mod order;
mod reads;
mod reports;
mod settlement;
mod state;
mod submit;
mod sweep;
mod touched;
mod waiting;

pub(crate) use state::Trading;
