//! What can be seen of a node from outside: a board of words, a file that shows them, and a page for a scraper.
//!
//! The stages store figures on the *board*, 4 KiB of atomics in memory. A thread copies the board into the file
//! `counters` of the data directory ten times a second, where any process can read it, also while the node hangs and
//! after it is gone; another thread, if asked for, answers `/metrics`, `/livez` and `/readyz` from the board, and a third
//! one judges the figures.
//!
//! Invariants: a stage only stores, it never waits for a reader, for the file or for the page: a store into a mapped
//! file can wait for the disk, so none is made by a stage, nor by the threads that judge and that answer. Memory is bounded whatever readers do. What is read is a
//! glimpse; only the figures of one beat of the front belong together.
//!
//! What is absent: history, averages and percentiles, which are the scraper's business; and any way to change the node.

mod alarm;
mod beat;
mod board;
mod cluster;
#[cfg(test)]
mod golden;
mod health;
mod http;
mod layout;
mod metrics;
mod mirror;
mod reporter;
mod snapshot;
mod stall;
mod watch;
mod watcher;

pub use alarm::{Alarm, Alarms};
pub(crate) use beat::{EngineReport, FrontBeat, FrontFigures};
pub(crate) use board::Board;
pub use cluster::{AckPolicy, ClusterCounters, ClusterFigures, NodeRole, PeerFigures, Sequences};
pub use health::{Condition, HUNG_AFTER, Moment, SILENT_AFTER, advice, liveness, readiness};
pub(crate) use layout::word;
pub use layout::{COUNTERS_VERSION, COUNTERS_WORDS};
pub use metrics::metrics_page;
pub(crate) use reporter::StatusReporter;
pub use snapshot::{
    GatewayFigures, JournalFigures, Limit, NodeStatus, PeerStatus, Phase, RingFigures, StatusError,
};
pub use stall::DISK_HANGS_AFTER;
pub(crate) use stall::{JournalWork, Stall, WatchedJournal, hangs};
pub use watch::{FILLING_PERCENT, NEARLY_FULL_PERCENT, warnings};
