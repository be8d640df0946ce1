//! What is wrong with a log that cannot be executed: all of it is damage or a bug, none of it a client's doing.

use thiserror::Error;

/// Why a genesis record cannot be the beginning of a log.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum GenesisError {
    /// Made for another meaning of results.
    #[error(
        "the log has semantics version {found}, this program knows {known}; use the release that wrote it"
    )]
    SemanticsVersion {
        /// The record's version.
        found: u32,
        /// This program's version.
        known: u32,
    },
    /// A number outside its range.
    #[error(
        "{field} of the genesis record is {found}, not in {min}..={max}; format with another value"
    )]
    OutOfRange {
        /// The field's name.
        field: &'static str,
        /// Its value.
        found: u64,
        /// Smallest value allowed.
        min: u64,
        /// Largest value allowed.
        max: u64,
    },
    /// A reserved field is in use.
    #[error("a reserved field of the genesis record is not zero; use the release that wrote it")]
    ReservedNotZero,
}

/// Why an entry cannot be executed. The state is what it was before.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum LogError {
    /// An entry is missing, or stands twice.
    #[error("entry {found} follows entry {last}; recover the log first")]
    SequenceGap {
        /// Sequence of the last entry.
        last: u64,
        /// Sequence of this one.
        found: u64,
    },
    /// An operation that is unknown, or does not belong here.
    #[error(
        "operation {operation} after entry {last} does not belong there; use the release that wrote it"
    )]
    OperationInvalid {
        /// Sequence of the last entry.
        last: u64,
        /// The operation's number.
        operation: u16,
    },
    /// Count, size and body do not fit each other or the operation.
    #[error(
        "the body after entry {last} has {found} bytes, which its header does not explain; the log is damaged"
    )]
    SizeInvalid {
        /// Sequence of the last entry.
        last: u64,
        /// Bytes of the body.
        found: usize,
    },
    /// A request flag that nobody may set yet.
    #[error(
        "request flags {flags:#x} after entry {last} have no meaning; use the release that wrote the log"
    )]
    FlagsInvalid {
        /// Sequence of the last entry.
        last: u64,
        /// The flags.
        flags: u32,
    },
    /// Time has run out.
    #[error(
        "the entry after {last} would need timestamps above 2^63-1; its clock reading is {clock_reading}"
    )]
    TimestampOutOfRange {
        /// Sequence of the last entry.
        last: u64,
        /// The header's reading.
        clock_reading: u64,
    },
    /// The first entry, and no other, is the genesis record.
    #[error("entry {sequence} is no genesis record where one must be, or is one where none may be")]
    GenesisMisplaced {
        /// The entry's sequence.
        sequence: u64,
    },
    /// The log belongs to another node.
    #[error(
        "the log's genesis record is not the one that the state was made with; use this log's own"
    )]
    GenesisDiffers,
    /// A digest whose sequence is not remembered.
    #[error(
        "the digest at {at_sequence} in entry {sequence} is not remembered; the log is damaged"
    )]
    DigestUnknown {
        /// The entry's sequence.
        sequence: u64,
        /// The sequence of the digest.
        at_sequence: u64,
    },
    /// The log says that the state was another.
    #[error(
        "the digest at {at_sequence} is {found:032x} here and {expected:032x} in the log; the executions differ"
    )]
    DigestDiffers {
        /// The sequence of the digest.
        at_sequence: u64,
        /// The log's digest.
        expected: u128,
        /// This state's digest.
        found: u128,
    },
}
