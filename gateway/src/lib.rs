//! Ingress: sockets, buffers, and the requests in flight between a connection and the ring.
//!
//! One [`Gateway`] owns the listener and all connections on one thread. [`Gateway::poll`] reads, checks and submits
//! requests to a [`RequestSink`]; [`Gateway::reply`] and [`Gateway::flush`] carry the results back. Time is a
//! parameter: the gateway reads no clock.
//!
//! Invariants:
//! * The sink sees only complete, validated requests, and never one that it has no room for.
//! * A connection's replies leave in the order of its requests.
//! * A byte is read only if there is a place for it: the shared scratch, with a pooled buffer in reserve for what stays
//!   incomplete, or the place that the frame already has. An idle connection holds no buffer.
//! * Whatever a client sends or does not send costs at most its own connection.
//!
//! What is absent: decisions about money, knowledge of ring, engine or journal, threads, clocks, and TLS.
#![forbid(unsafe_code)]

mod age;
mod close;
mod common;
mod config;
mod connection;
mod disconnect;
mod door;
mod error;
mod gateway;
mod intake;
mod interface;
mod losses;
mod outbox;
mod pool;
mod refusals;
mod replies;
mod slots;
mod take;

pub use config::GatewayConfig;
pub use error::GatewayError;
pub use gateway::Gateway;
pub use interface::{
    Accepting, Clock, GatewayCounters, NodeView, OutgoingReply, RequestSink, Submission,
};
pub use refusals::Refusals;
