//! Joins the stages into a running node.
//!
//! The way of a command through this crate: `ingress` gives it a place in the request ring; `journal_stage` makes it
//! durable while `engine_stage` applies it; `front` releases its reply when the commit cursor has passed. `cell` says
//! how entries lie in the rings, `layout` which thread polls which stage, `recover` how a state comes back from the
//! files, `offline` what can be said of the files without a node.
//!
//! Invariants: no reply leaves before its entry is durable and applied; the order of the ring is the order of the
//! log; any failure of the journal ends the node.
//!
//! What is absent: logic that could live further left, in engine, journal, ring or gateway.
#![forbid(unsafe_code)]

mod cell;
mod clock;
pub mod cluster;
mod commit;
mod cursors;
mod engine_stage;
mod error;
mod format;
mod front;
mod ingress;
mod journal_stage;
mod layout;
mod memory;
mod mirror;
mod node;
pub mod offline;
mod output;
mod recover;
mod release;
mod scrub;
pub mod status;

pub use clock::WallClock;
pub use cursors::{Cursors, CursorsReader};
pub use error::{Failure, NodeError, journal_failure};
pub use format::{
    DIGEST_INTERVAL_MIN, FormatOptions, TradingLimits, format, format_storage, is_formatted,
};
pub use layout::{Layout, StopHandle};
pub use memory::{memory_estimate, memory_of_machine, replies_size_max};
pub use node::{Node, NodeOptions};
pub use recover::{EntryError, RecoveryProgress, for_each_entry, read_genesis};
pub use scrub::SCRUB_RATE;

pub use mizan_gateway::GatewayConfig;
pub use mizan_ring::IdleStrategy;
