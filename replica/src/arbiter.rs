//! Who decides about the config record: the operator (manual mode), or a service with compare-and-set.
//!
//! Only manual mode is built. The trait is what a service has to offer, so that automatic mode can be added without
//! another protocol.

use thiserror::Error;

/// A record and the number of its version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ArbiterRecord {
    /// Version, for compare-and-set.
    pub revision: u64,
    /// The record's bytes.
    pub bytes: Vec<u8>,
}

/// Why an arbiter did not do what was asked.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ArbiterError {
    /// There is none: the operator decides.
    #[error("this cluster has no arbiter; promote a node by hand")]
    Manual,
    /// The record has another version by now.
    #[error("the record has revision {found} instead of {expected}; read it again")]
    Conflict {
        /// The revision given.
        expected: u64,
        /// The revision there.
        found: u64,
    },
    /// It cannot be reached.
    #[error("the arbiter does not answer: {0}; the present primary goes on with its set")]
    Unreachable(String),
}

/// A place for one small record under compare-and-set.
pub trait Arbiter {
    /// The record.
    ///
    /// # Errors
    /// `Unreachable`, `Manual`.
    fn read(&mut self) -> Result<ArbiterRecord, ArbiterError>;

    /// Replaces the record if it still has `revision`; the new revision.
    ///
    /// # Errors
    /// `Conflict`: nothing has changed. `Unreachable`: unknown. `Manual`.
    fn cas(&mut self, revision: u64, bytes: &[u8]) -> Result<u64, ArbiterError>;

    /// The record if it is newer than `revision`.
    ///
    /// # Errors
    /// `Unreachable`, `Manual`.
    fn watch(&mut self, revision: u64) -> Result<Option<ArbiterRecord>, ArbiterError>;
}

/// The operator is the arbiter: every call says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct ManualArbiter;

impl Arbiter for ManualArbiter {
    fn read(&mut self) -> Result<ArbiterRecord, ArbiterError> {
        Err(ArbiterError::Manual)
    }

    fn cas(&mut self, _: u64, _: &[u8]) -> Result<u64, ArbiterError> {
        Err(ArbiterError::Manual)
    }

    fn watch(&mut self, _: u64) -> Result<Option<ArbiterRecord>, ArbiterError> {
        Err(ArbiterError::Manual)
    }
}
