//! Order books: limit, market and stop orders matched by strict price and time. A library of its own; no ledger is
//! needed.
//!
//! ```
//! use mizan_engine::books::Book;
//! use mizan_wire::orders::{
//!     BookCapacity, BookRules, NewOrder, OrderKind, OrderReport, ReportKind, SelfTrade, Side, TimeInForce,
//! };
//!
//! let capacity = BookCapacity { orders_max: 1_000, levels_max: 100 };
//! let mut book = Book::new(BookRules::unlimited(capacity), capacity)?;
//! let mut reports: Vec<OrderReport> = Vec::new();
//! let sell = NewOrder {
//!     budget: 0,
//!     price: 101,
//!     stop_price: 0,
//!     quantity: 5,
//!     expires_ns: 0,
//!     owner: 1,
//!     tag: 0,
//!     side: Side::Sell,
//!     kind: OrderKind::Limit,
//!     time_in_force: TimeInForce::GoodTillCancelled,
//!     self_trade: SelfTrade::CancelNewest,
//!     is_post_only: false,
//! };
//! book.submit(&sell, &mut reports);
//! let buy = NewOrder { price: 103, quantity: 2, owner: 2, side: Side::Buy, ..sell };
//! book.submit(&buy, &mut reports);
//!
//! let trade = reports[2];
//! assert!(trade.is(ReportKind::Trade));
//! assert_eq!((trade.price, trade.quantity, trade.open), (101, 2, 3), "the resting order's price");
//! assert_eq!(book.best(Side::Sell).map(|level| level.quantity), Some(3));
//! # Ok::<(), mizan_wire::orders::BookRulesError>(())
//! ```
//!
//! # Rules
//! * A trade's price is the resting order's. Better prices first; at one price, who came first. An order comes when it
//!   is entered, when an amend gives it another price or more lots, and when its trigger releases it.
//! * Every command gives at least one report. What is refused changes nothing, for the first reason that applies, in
//!   the order of `OrderReject`. An order that may rest needs a free place (and a level) before it trades.
//! * What a command's trades trigger is executed before the next command: the stops reached join one queue, first those
//!   to buy from the lowest stop price up, then those to sell from the highest down, at one price in the order of time;
//!   the queue's first order is executed, what that reaches joins at the end, and so on. Every trade counts, not only
//!   the last one of a sweep. A stop that the last trade has reached already is released at once.
//! * What one command may look at and trade can be bounded ([`Book::bound_looks`]). Stops beyond it wait in that queue, and
//!   nothing is entered or amended before them; [`Book::run_waiting`] goes on. Nobody needs to wait to be cancelled.
//! * Cancelling many (mass cancel, session close) goes in the order of the orders' numbers; expiry in the order of time
//!   and number.
//!
//! # Invariants
//! Of every order, those that wait included: original = filled + open + cancelled, asserted at each change. No two orders of one book that could
//! trade both rest. A level exists exactly while an order stands on it, and its sums are those of its orders. Nothing
//! is allocated after [`Book::new`]; no sum can exceed its width (`BookRules::check`).
//!
//! # What is absent
//! Money (a sink can follow), client order ids (`desk`), clocks, more than one instrument, icebergs and
//! auctions. For these there is room: a display quantity is one more field of an order's terms, its refill an
//! `append` to the level's queue; an auction is one more trading state, in which orders rest without being matched.

mod amend;
mod audit;
mod book;
mod cancel;
mod chain;
mod checks;
mod desk;
mod ladder;
mod levels;
mod limits;
mod lookup;
mod matching;
mod order;
mod queue;
mod self_trade;
mod sink;
mod stops;
mod submit;
mod view;
mod waiting;
mod whole;

pub use book::Book;
pub use chain::ReportChain;
pub use desk::{Desk, DeskSink, Outcome};
pub use sink::ReportSink;
pub use view::{DepthLevel, OpenOrder};
