//! The one error of the command line: a text for people and an exit code for scripts.

use crate::exit;
use crate::money::MoneyError;
use mizan_client::ClientError;
use mizan_wire::{RequestStatus, Status};
use std::io;
use thiserror::Error;

/// Why a verb could not do its work.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CliError {
    /// The command line or the configuration makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The verb found something that is wrong, missing or refused.
    #[error("{0}")]
    Problem(String),
    /// Any other failure, with the exit code that belongs to it.
    #[error("{text}")]
    Failed {
        /// One of the codes in [`exit`].
        code: u8,
        /// What happened, where, and what to do.
        text: String,
    },
    /// The node could not be asked, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A typed amount is none.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// Standard output or standard error could not be written.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
    /// A file could not be used.
    #[error("{what}: {source}")]
    File {
        /// What was tried, and with which file.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl CliError {
    /// A failure with its exit code.
    #[must_use]
    pub fn failed(code: u8, text: impl Into<String>) -> Self {
        Self::Failed { code, text: text.into() }
    }

    /// The exit code; one of the codes in [`exit`].
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Money(_) => exit::USAGE,
            Self::Problem(_) => exit::PROBLEM,
            Self::Failed { code, .. } => *code,
            Self::Client(error) => exit::of_client_error(error),
            Self::Output(_) => exit::RESOURCE,
            Self::File { source, .. } if is_wrong_file(source) => exit::USAGE,
            Self::File { source, .. } if is_denied(source.kind()) => exit::STATE,
            Self::File { .. } => exit::RESOURCE,
        }
    }

    /// What went wrong in a word: the status that a node gave, or the name of the exit code.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Client(
                ClientError::Refused(status)
                | ClientError::Connection(status, _)
                | ClientError::RefusedCredentials(status),
            ) => status.name(),
            Self::Client(ClientError::NotPrimary { .. }) => RequestStatus::NotPrimary.name(),
            _ => exit::name(self.exit_code()),
        }
    }

    /// Whether the reader of the output has gone, which is its right: `mizan ... | head` is no failure.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Whether a path is not what it is given for: no file, a file of another kind, or one where there should be none.
fn is_wrong_file(source: &io::Error) -> bool {
    use io::ErrorKind;
    // A loop of symbolic links; its kind has no stable name.
    if source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        return true;
    }
    matches!(
        source.kind(),
        ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::IsADirectory
            | ErrorKind::NotADirectory
            | ErrorKind::InvalidFilename
            | ErrorKind::InvalidData
    )
}

/// Whether more room would not help, but another user or another mount.
const fn is_denied(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}
