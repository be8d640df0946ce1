//! Replication as a state machine: messages, ticks and commands in, outputs out.
//!
//! [`Replica`] holds what a node must know of its peers and of the ends of its log. `handle_*` tells it what happened,
//! [`Replica::poll_output`] says what to do. Manual mode is built: the operator promotes, epochs fence, and any set of
//! nodes that grants meets any set that acknowledged. The rules, and every byte, are in
//! `docs/reference/replication-protocol.md`.
//!
//! Invariants: nothing is answered under an epoch that is not persisted; a log is cut only to a point that it shares
//! with the primary's, and never below what it knows to be acknowledged; a commit is announced only when the copies
//! that the config record asks for are durable and the epoch's first entry is among them; a message that is
//! malformed, forged, repeated or of an old epoch changes nothing. Memory is bounded by constants.
//!
//! What is absent: sockets, clocks, threads, randomness (times and nonces are given), frames (the node reads and
//! writes them), and automatic failover: [`Arbiter`] is only its interface.
#![forbid(unsafe_code)]

pub mod admin;
mod arbiter;
mod config;
mod connection;
pub mod constants;
mod error;
pub mod handshake;
mod log;
pub mod message;
mod output;
mod replica;
mod starts;

pub use arbiter::{Arbiter, ArbiterError, ArbiterRecord, ManualArbiter};
pub use config::{Config, Control, ControlKind, Led, LogRecords, Policy};
pub use connection::{Secret, secret_hash};
pub use error::MessageError;
pub use handshake::{Identity, Session};
pub use log::{FrameEnd, LogIndex};
pub use output::{Alarm, Command, DiskState, Output, PeerStatus, Refusal, Role, Status};
#[cfg(feature = "unsafe-faults")]
pub use replica::Fault;
pub use replica::{Options, Replica, Standing, Verdict};
pub use starts::{Copied, KnownStart, STARTS_SIZE, Start, Starts};
