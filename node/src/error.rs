//! What can go wrong with a node, told apart by what to do about it.

use crate::clock::time_text;
use crate::recover::EntryError;
use mizan_engine::{ApplyError, GenesisError};
use mizan_gateway::GatewayError;
use mizan_journal::JournalError;
use mizan_ring::{Poisoned, SetupError};
use std::io::ErrorKind;
use thiserror::Error;

/// Why a node could not be formatted, started, or go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The journal refused or failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Sockets failed.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The limits make no engine.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The log and the engine contradict each other.
    #[error("log entry {sequence} cannot be applied: {source}; run `mizan verify` on the files")]
    Apply {
        /// Sequence of the entry.
        sequence: u64,
        /// What the engine said.
        source: ApplyError,
    },
    /// A frame's payload is not a sequence of entries.
    #[error("{0}; run `mizan verify` on the files")]
    Entry(#[from] EntryError),
    /// The engine refused an entry while the node ran.
    #[error(
        "the engine stopped: {0}; run `mizan verify` on the files before the node is started again"
    )]
    Engine(#[from] ApplyError),
    /// Another stage of the node died; its own error says why.
    #[error("{0}")]
    Stage(#[from] Poisoned),
    /// The rings could not be made.
    #[error(transparent)]
    Ring(#[from] SetupError),
    /// The directory's genesis record is not one of this build.
    #[error(
        "{directory} has a genesis record that this build cannot read ({reason}); use the release that formatted it"
    )]
    GenesisRecord {
        /// The data directory.
        directory: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another process listens there.
    #[error(
        "{address} is taken by another process; stop it, or listen elsewhere (`--listen 127.0.0.1:0` takes any free port)"
    )]
    AddressInUse {
        /// The address.
        address: std::net::SocketAddr,
    },
    /// No network interface of this machine has the address.
    #[error(
        "{address} is not an address of this machine; listen on one that `ip address` shows, or on 127.0.0.1"
    )]
    AddressForeign {
        /// The address.
        address: std::net::SocketAddr,
    },
    /// This process may not listen there.
    #[error(
        "user {user} may not listen on {address}; take a port from 1024 on, or give the process the capability net_bind_service"
    )]
    AddressDenied {
        /// The address.
        address: std::net::SocketAddr,
        /// Number of the user that the process runs as.
        user: u32,
    },
    /// A directory or file outside the journal could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, and where.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no memory for the limits that were fixed at format.
    #[error(
        "the node's limits take about {} MiB of memory, and {} MiB are there; stop what holds the rest, give the process more (ulimit -v, MemoryMax=), or use a larger machine",
        .needed >> 20,
        .available >> 20
    )]
    Memory {
        /// Bytes that the limits take.
        needed: u64,
        /// Bytes that the system says are there; a limit of the process may leave it fewer.
        available: u64,
    },
    /// The wall clock is far ahead of the log, and no other node confirms it.
    #[error(
        "this node's clock shows {}, and the log's last timestamp is {}: with that clock every hold and order that is due by then would expire, and no correction of the clock brings it back; correct the clock, or, if it is right because the node was down for so long, say so with --accept-clock",
        time_text(*.clock_ns),
        time_text(*.log_timestamp_ns)
    )]
    ClockAhead {
        /// What the wall clock shows, nanoseconds since 1970.
        clock_ns: u64,
        /// The log's last timestamp.
        log_timestamp_ns: u64,
    },
    /// A limit of the process leaves less address space than a running node maps.
    #[error(
        "the node maps up to {} MiB (memory for its limits, segments of the journal, its threads), and the process may map {} MiB more; raise or remove its limit (ulimit -v)",
        .needed >> 20,
        .left >> 20
    )]
    AddressSpace {
        /// Bytes that are mapped at the most.
        needed: u64,
        /// Bytes that the limit leaves.
        left: u64,
    },
    /// An option is outside its limits.
    #[error("{0}")]
    Options(String),
    /// The node is no primary any more; nothing that waited is answered here.
    #[error("another node was promoted; this one follows it")]
    Fenced,
    /// The node stopped with an alarm, so that somebody looks before anything else happens.
    #[error("{text}")]
    Stopped {
        /// The alarm.
        text: String,
    },
}

/// The sorts of failure that the command line's exit codes tell apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// Files are damaged.
    Corrupt,
    /// In use, not formatted, already formatted, not for this user, not on this machine.
    WrongState,
    /// Another version wrote the files.
    Version,
    /// No space, no memory, no socket, failing disk.
    Resource,
    /// Options that make no sense.
    Usage,
}

impl NodeError {
    /// Why nothing can listen on an address. `what` says what was tried.
    pub(crate) fn listen(
        address: std::net::SocketAddr,
        what: &str,
        source: std::io::Error,
    ) -> Self {
        match source.kind() {
            ErrorKind::AddrInUse => Self::AddressInUse { address },
            ErrorKind::AddrNotAvailable => Self::AddressForeign { address },
            ErrorKind::PermissionDenied => {
                Self::AddressDenied { address, user: rustix::process::geteuid().as_raw() }
            }
            _ => Self::Io { what: what.to_owned(), source },
        }
    }

    /// What sort of failure this is.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::Journal(error) => journal_failure(error),
            Self::Genesis(_) | Self::Options(_) => Failure::Usage,
            Self::Apply { .. } | Self::Entry(_) | Self::Engine(_) | Self::Stopped { .. } => {
                Failure::Corrupt
            }
            Self::GenesisRecord { .. } => Failure::Version,
            Self::ClockAhead { .. }
            | Self::AddressInUse { .. }
            | Self::AddressForeign { .. }
            | Self::AddressDenied { .. } => Failure::WrongState,
            Self::Io { source, .. } | Self::Gateway(GatewayError::Listen { source, .. }) => {
                io_failure(source.kind())
            }
            Self::Fenced
            | Self::Gateway(_)
            | Self::Stage(_)
            | Self::Ring(_)
            | Self::Memory { .. }
            | Self::AddressSpace { .. } => Failure::Resource,
        }
    }
}

/// What sort of failure the system's word is: more room helps against none of those that are told apart here.
const fn io_failure(kind: ErrorKind) -> Failure {
    match kind {
        ErrorKind::PermissionDenied
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::AddrInUse
        | ErrorKind::AddrNotAvailable => Failure::WrongState,
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists | ErrorKind::InvalidFilename => {
            Failure::Usage
        }
        _ => Failure::Resource,
    }
}

/// What sort of failure an error of the journal is.
#[must_use]
pub fn journal_failure(error: &JournalError) -> Failure {
    match error {
        JournalError::Corrupt(_)
        | JournalError::SuperblockDamaged { .. }
        | JournalError::MissingSegment { .. }
        | JournalError::SegmentSize { .. }
        | JournalError::WrongCluster { .. }
        | JournalError::Visitor { .. } => Failure::Corrupt,
        JournalError::Locked { .. }
        | JournalError::NotFormatted { .. }
        | JournalError::AlreadyFormatted { .. }
        | JournalError::NotPermitted { .. }
        | JournalError::ForeignFile { .. } => Failure::WrongState,
        JournalError::VersionNotSupported { .. } => Failure::Version,
        JournalError::InvalidOptions { .. } | JournalError::NotADirectory { .. } => Failure::Usage,
        _ => Failure::Resource,
    }
}
