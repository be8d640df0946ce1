//! The words that every room shares: records, operations, statuses, limits, and the codec of the native protocol.
//!
//! Invariants: every record is a fixed layout of little-endian integers, asserted at compile time under its fields; a
//! number that has once been given to an operation or a status keeps it for ever; decoding never panics and never
//! allocates.
//!
//! What is absent: sockets, buffers, policy, and any opinion on whether a transfer is a good idea.
#![forbid(unsafe_code)]

#[cfg(target_endian = "big")]
compile_error!("records are read in place: a big-endian machine needs a converting codec first");

pub mod amount;
pub mod frame;
pub mod limits;
pub mod orders;
pub mod trading;

mod account;
mod checksum;
mod operation;
mod registry;
mod request;
mod result;
mod session;
mod status;
mod status_tables;
mod transfer;

pub use account::{Account, AccountFlags};
pub use checksum::{frame_checksum, tag};
pub use operation::Operation;
pub use registry::{
    CodeClass, CreateCode, CreateLedger, EngineStatus, TrialBalanceRow, Wide, read_name, write_name,
};
pub use request::{
    DigestRecord, Genesis, RegisterRecord, RequestFlags, RequestHeader, SEMANTICS_VERSION,
};
pub use result::{CreateResult, ResultException, expand_results};
pub use session::{SessionKey, SessionRecord, SessionsQuery};
pub use status::{Explanation, Status, explain};
pub use status_tables::{CreateAccountStatus, CreateTransferStatus, RegistryStatus, RequestStatus};
pub use transfer::{Transfer, TransferFlags};

/// The one status number that means success, for every kind of create.
pub const CREATED: u32 = u32::MAX;
