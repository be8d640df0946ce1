//! The slow, obvious second implementation of the ledger: the oracle of the tests and of the independent verifier.
//!
//! [`Model`] reads like the specification: ordered maps, one function per rule, in the order of the rules. It was
//! written from the text and shares nothing with the engine but the records of `mizan-wire`; where the two agree byte
//! by byte over a log, a mistake would have had to be made twice.
//!
//! Invariants: the same genesis and the same entries give the same replies, balances and digest; a log that is broken
//! gives an error and changes nothing.
//!
//! What is absent: cleverness. No prefetching, no reserved memory, no running sums: a trial balance is summed from the
//! accounts each time. Old records that have left memory are not known here: a replay begins at the first entry.
#![forbid(unsafe_code)]

pub mod books;

mod batch;
mod create_accounts;
mod create_transfers;
mod digest;
mod error;
mod exists;
mod genesis;
mod ledger;
mod limits;
mod model;
mod post_void;
mod reads;
mod registry;
mod reply;
mod sessions;
mod tick;
mod trading;
mod undo;

pub use error::{GenesisError, LogError};
pub use ledger::HoldState;
pub use model::Model;
pub use reply::ModelReply;
