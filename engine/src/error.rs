//! What can go wrong outside of a request's own statuses: all of it is a broken log or a bug, none of it a client's.

use thiserror::Error;

/// Why a genesis record cannot be the beginning of a log.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum GenesisError {
    /// Made by, or for, another meaning of results.
    #[error(
        "the log was begun with semantics version {found}, this program implements {expected}; use a matching release"
    )]
    SemanticsVersion {
        /// The version of the record.
        found: u32,
        /// The version of this program.
        expected: u32,
    },
    /// A maximum or interval outside its range.
    #[error(
        "genesis field {field} is {found}, outside {min}..={max}; format the node with another value"
    )]
    OutOfRange {
        /// The field's name.
        field: &'static str,
        /// Its value.
        found: u64,
        /// The smallest value that works.
        min: u64,
        /// The largest value that works.
        max: u64,
    },
    /// A reserved field that is not zero.
    #[error(
        "a reserved field of the genesis record is not zero; the record is of a later release, or damaged"
    )]
    ReservedNotZero,
}

/// Why a log entry, or a read, cannot be executed. The state is as it was before.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ApplyError {
    /// A log entry is missing, or comes twice.
    #[error(
        "log entry {found} follows upon {applied}; the log has a gap or a repetition, recover it first"
    )]
    SequenceGap {
        /// The last applied sequence.
        applied: u64,
        /// The entry's sequence.
        found: u64,
    },
    /// The operation is unknown to this program, or belongs elsewhere.
    #[error(
        "log entry {sequence} has operation {operation}, which does not belong there; use a release that knows it"
    )]
    OperationInvalid {
        /// The entry's sequence; the last applied one for a read.
        sequence: u64,
        /// The operation's number.
        operation: u16,
    },
    /// Events, their size and the body's size do not fit each other.
    #[error(
        "log entry {sequence} with operation {operation} has a body of {body_size} bytes for {event_count} events of \
         {event_size}; the entry did not pass validation at ingress, or is damaged"
    )]
    SizeInvalid {
        /// The entry's sequence; the last applied one for a read.
        sequence: u64,
        /// The operation's number.
        operation: u16,
        /// Bytes of the body.
        body_size: usize,
        /// The header's count.
        event_count: u32,
        /// The header's size of one event.
        event_size: u16,
    },
    /// A request flag that is not built.
    #[error(
        "log entry {sequence} has request flags {flags:#x}, which are not built; ingress must refuse them"
    )]
    FlagsInvalid {
        /// The entry's sequence; the last applied one for a read.
        sequence: u64,
        /// The flags.
        flags: u32,
    },
    /// An internal operation in the name of a client.
    #[error(
        "log entry {sequence} has internal operation {operation} in the name of a client; ingress must refuse it"
    )]
    InternalOperation {
        /// The entry's sequence.
        sequence: u64,
        /// The operation's number.
        operation: u16,
    },
    /// Timestamps end at 2^63-1 nanoseconds.
    #[error(
        "log entry {sequence} with clock reading {clock_reading} would need timestamps above 2^63-1; set the clock"
    )]
    TimestampOutOfRange {
        /// The entry's sequence.
        sequence: u64,
        /// The clock reading of its header.
        clock_reading: u64,
    },
    /// The first entry, and only the first, is the genesis record.
    #[error(
        "log entry {sequence} is not what stands there: entry 1, and only it, is the genesis record"
    )]
    GenesisMisplaced {
        /// The entry's sequence.
        sequence: u64,
    },
    /// The log was begun with other parameters.
    #[error(
        "the log's genesis record differs from the one that the state was made with; this log belongs to another node"
    )]
    GenesisDiffers,
    /// The digest is of a sequence that is not remembered.
    #[error(
        "log entry {sequence} has the digest of sequence {at_sequence}, which is not remembered; the log is damaged"
    )]
    DigestUnknown {
        /// The entry's sequence.
        sequence: u64,
        /// The sequence that the digest belongs to.
        at_sequence: u64,
    },
    /// Two executions of one log differ.
    #[error(
        "at sequence {at_sequence} the state's digest is {found:032x}, the log says {expected:032x}; stop and compare \
         the releases and the memory of both machines"
    )]
    DigestDiffers {
        /// The sequence that the digests belong to.
        at_sequence: u64,
        /// The log's digest.
        expected: u128,
        /// This state's digest.
        found: u128,
    },
}

/// Why old records cannot be handed over.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ResolvedError {
    /// Not in strictly ascending order of ids.
    #[error(
        "resolved records are not in strictly ascending order of ids at position {index}; sort them"
    )]
    NotAscending {
        /// The first position that breaks the order.
        index: usize,
    },
    /// An open hold never leaves the engine.
    #[error(
        "the resolved transfer at position {index} is an open hold, which only the engine knows; find its end first"
    )]
    HoldOpen {
        /// The record's position.
        index: usize,
    },
}

/// What an audit of the whole state found wrong.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{0}")]
pub struct InvariantError(pub(crate) String);
