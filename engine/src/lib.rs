//! The deterministic core: one ledger, the order books that settle in it, its sessions and its digest, as a pure function
//! of the log.
//!
//! `Engine::apply(sequence, header, body)` is the whole interface to change: the same genesis and the same entries
//! give the same replies, balances and digest on every machine, for ever.
//!
//! Invariants, asserted in release builds: per ledger the debits equal the credits, pending and posted; no account
//! stands outside its own limits; an amount never wraps; a client's request never panics, it is answered with a
//! status. Everything that a request can need is reserved and touched by [`Engine::new`].
//!
//! What is absent: input and output, clocks, threads, randomness, floating point, iteration over hash tables (the
//! linter refuses them, see `clippy.toml`), and any check of who may do what: that is the gateway's.
#![forbid(unsafe_code)]
#![deny(
    clippy::float_arithmetic,
    clippy::iter_over_hash_type,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]

pub mod books;

mod accounts;
mod apply;
mod audit;
mod batch;
mod create_accounts;
mod create_transfers;
mod digest;
mod engine;
mod error;
mod exists;
mod genesis;
mod heap;
mod holds;
mod id_table;
mod ledger;
mod ledgers;
mod limits;
mod look_ahead;
mod output;
mod plain_resolutions;
mod plain_transfers;
mod post_void;
mod reads;
mod refusal;
mod registry;
mod resolved;
mod sessions;
mod trading;
mod transfers;
mod undo;

pub use engine::Engine;
pub use error::{ApplyError, GenesisError, InvariantError, ResolvedError};
pub use genesis::check_genesis;
pub use output::Output;
pub use resolved::{PendingState, Resolved};
