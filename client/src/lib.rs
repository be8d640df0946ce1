//! The Rust client: synchronous, single-threaded, pipelined.
//!
//! A [`Client`] owns one connection at a time and one session. Simple calls such as [`Client::create_transfers`] block
//! until the reply is there; [`Client::submit`] and [`Client::poll`] keep many requests in flight. When a connection
//! breaks, the client connects again, resumes its session, and sends everything that is unanswered once more, in
//! order, under the same numbers: the node executes each number once and repeats its reply. A connection that stays up and
//! says nothing, as to a machine that is lost, is left for another node that has become primary.
//!
//! Invariants:
//! * writes carry gap-free numbers; a number is used for another body only if no copy of the first can ever run;
//! * a request is reported exactly once; a write whose fate is not certain is reported as *unknown*, never as failed;
//! * no bytes from a node cause a panic, or memory beyond one frame and one completion per request.
//!
//! What is absent: threads, timers of its own (nothing happens between calls), TLS, and retries under a new number:
//! whoever is told *unknown* looks the ids up, or sends the same events again (ids make them idempotent).
#![forbid(unsafe_code)]

pub mod constants;
pub mod names;
pub mod socket;

mod calls;
mod client;
mod config;
mod connection;
mod error;
mod frames;
mod hello;
mod id;
mod incoming;
mod outgoing;
mod reads;
mod reply;
mod rounds;
mod route;
mod scout;
mod trading;
mod writes;

pub use calls::PingReply;
pub use client::Client;
pub use config::ClientConfig;
pub use error::ClientError;
pub use hello::NodeInfo;
pub use id::id;
pub use mizan_wire::frame::NodeLimits;
pub use reply::{Completion, Outcome, Reply, RequestId};
pub use trading::ReportPage;
