//! What can go wrong, told apart by what the caller has to do about it.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::access::is_denied;

/// Result of the journal's operations.
pub type Result<T> = std::result::Result<T, JournalError>;

/// Why a visitor stopped a recovery or a scan.
pub type VisitorError = Box<dyn Error + Send + Sync>;

/// Everything that the journal refuses or fails at.
///
/// `Io` and `NotPermitted` are fatal: the journal that returned them answers every later call with it. All others leave the files
/// as they were.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Durable entries are damaged or missing. Nothing was changed.
    #[error("{0}")]
    Corrupt(Box<Damage>),
    /// Both copies of the superblock are unreadable. Nothing was changed.
    #[error(
        "no copy of the superblock in {directory} is intact ({reason}); restore one from a copy of the directory"
    )]
    SuperblockDamaged {
        /// Where the journal lives.
        directory: String,
        /// What is wrong with the copies.
        reason: String,
    },
    /// The place cannot hold a journal that is written in the way that was chosen. Nothing was changed.
    #[error(
        "{directory} cannot be written directly: {reason}; use a directory on a file system with direct i/o, such as ext4 or XFS, or format with journal i/o `mmap`"
    )]
    DirectIoUnsupported {
        /// Where the journal lives, or was to live.
        directory: String,
        /// What is missing there.
        reason: String,
    },
    /// One copy of the superblock is unreadable; the other holds. Only a scan reports it.
    #[error(
        "{file} is unreadable ({reason}); the other copy holds, and the next start rewrites this one"
    )]
    SuperblockCopyDamaged {
        /// The copy.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another process holds the directory.
    #[error("{directory} is locked by {holder}; stop it first, or use another directory")]
    Locked {
        /// Where the journal lives.
        directory: String,
        /// The holder, as far as it is known.
        holder: String,
    },
    /// There is no journal here.
    #[error("{directory} holds no journal; format it first")]
    NotFormatted {
        /// Where a journal was looked for.
        directory: String,
    },
    /// There is a journal, or something that looks like one, here.
    #[error("{directory} already holds a journal ({file}); choose an empty directory")]
    AlreadyFormatted {
        /// Where the journal should have been made.
        directory: String,
        /// The file that stands in the way.
        file: String,
    },
    /// The files are from another version of the format.
    #[error(
        "{file} has format version {found} at offset {offset}, this build reads version {supported}; use the build that wrote it"
    )]
    VersionNotSupported {
        /// The file.
        file: String,
        /// Byte offset of the structure.
        offset: u64,
        /// Version found.
        found: u16,
        /// Version that this build reads.
        supported: u16,
    },
    /// A frame of a kind, or with flags, that is reserved in this version.
    #[error(
        "{file} has a frame of kind {kind} with flags {flags} at offset {offset}, which this build cannot read; use the build that wrote it"
    )]
    KindNotSupported {
        /// The file.
        file: String,
        /// Byte offset of the frame.
        offset: u64,
        /// Kind found.
        kind: u8,
        /// Flags found.
        flags: u8,
    },
    /// The storage has no room. Not fatal: nothing was written, and the call may be repeated.
    #[error(
        "there is no room for {size} bytes in {file} ({source}); free space, or descriptors if it lacks those, and try again"
    )]
    NoSpace {
        /// File that could not be made.
        file: String,
        /// Bytes wanted.
        size: u64,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// Reading, writing or syncing failed. Fatal and sticky: what is on disk is unknown until a restart recovers.
    #[error("i/o failed: {operation} {file}; restart the process, which recovers what is durable")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        file: String,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// This process may not read, or not write, the files. Fatal and sticky, as `Io`.
    #[error("cannot {operation} {file}")]
    NotPermitted {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        file: String,
        /// Whose it is, who asks, and what to do.
        #[source]
        source: Arc<io::Error>,
    },
    /// Where the directory should be, there is something else.
    #[error("{directory} is not a directory; name the directory of the journal")]
    NotADirectory {
        /// The path.
        directory: String,
    },
    /// A frame of the log that a peer lacks is damaged, or the segment after it is not there.
    #[error(
        "{file} cannot be read at offset {offset} (entries from sequence {sequence}); verify this node's files"
    )]
    LogUnreadable {
        /// The file.
        file: String,
        /// Byte offset of the frame.
        offset: u64,
        /// Sequence that was to follow.
        sequence: u64,
    },
    /// A file belongs to another cluster.
    #[error(
        "{file} belongs to cluster {found:032x}, not to {expected:032x}; put it back where it came from"
    )]
    WrongCluster {
        /// The file.
        file: String,
        /// Cluster of this journal.
        expected: u128,
        /// Cluster of the file.
        found: u128,
    },
    /// A segment between others, or one that must exist, is not there.
    #[error(
        "{file} is missing{}; use a backup of this node's own directory, or in a cluster give the node a new disk",
        entries_from(*sequence)
    )]
    MissingSegment {
        /// The file that must be there.
        file: String,
        /// First sequence that it held, 0 when unknown.
        sequence: u64,
    },
    /// A segment file has another size than fixed at format.
    #[error(
        "{file} is {found} bytes long instead of {expected}; use a backup of this node's own directory, or in a cluster give the node a new disk"
    )]
    SegmentSize {
        /// The file.
        file: String,
        /// Size fixed at format, in bytes.
        expected: u64,
        /// Size found, in bytes.
        found: u64,
    },
    /// A file that the journal did not make lies in its directory.
    #[error("{file} does not belong to the journal in {directory}; move it elsewhere")]
    ForeignFile {
        /// Where the journal lives.
        directory: String,
        /// The file.
        file: String,
    },
    /// An option is outside its limits.
    #[error("invalid option: {reason}")]
    InvalidOptions {
        /// Which one, and what would be right.
        reason: String,
    },
    /// A frame does not continue the log.
    #[error("frame starts at sequence {given}, the journal continues at {expected}")]
    OutOfOrder {
        /// Sequence that comes next.
        expected: u64,
        /// Sequence given.
        given: u64,
    },
    /// A frame is outside its limits.
    #[error("invalid frame: {reason}")]
    InvalidFrame {
        /// What is wrong with it.
        reason: String,
    },
    /// The visitor refused an entry.
    #[error("the entries from sequence {sequence} were refused: {source}")]
    Visitor {
        /// First sequence of the frame.
        sequence: u64,
        /// What the visitor said.
        source: Arc<dyn Error + Send + Sync>,
    },
}

impl JournalError {
    pub(crate) fn io(operation: &'static str, file: &str, source: io::Error) -> Self {
        let (is_denied, file, source) =
            (is_denied(source.kind()), file.to_owned(), Arc::new(source));
        if is_denied {
            return JournalError::NotPermitted { operation, file, source };
        }
        JournalError::Io { operation, file, source }
    }

    /// Whether the journal that returned this is unusable from now on.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, JournalError::Io { .. } | JournalError::NotPermitted { .. })
    }
}

/// Whether the system refused for lack of room: no space, over quota, or file size limit.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    use rustix::io::Errno;
    error.raw_os_error().is_some_and(|code| {
        [Errno::NOSPC, Errno::DQUOT, Errno::FBIG].iter().any(|errno| errno.raw_os_error() == code)
    })
}

/// Damage in the middle: where the log breaks, and what proves that more was durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Directory of the journal.
    pub directory: String,
    /// File name of the segment.
    pub file: String,
    /// Index of the segment.
    pub segment: u64,
    /// Byte offset in the segment.
    pub offset: u64,
    /// First sequence that cannot be read, 0 when unknown.
    pub sequence: u64,
    /// What is wrong there.
    pub reason: BreakReason,
    /// What proves that entries from `sequence` on were durable.
    pub proof: Proof,
}

/// What a missing file held, as far as that is known.
fn entries_from(sequence: u64) -> String {
    if sequence == 0 { String::new() } else { format!(" (entries from sequence {sequence})") }
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "journal {} is damaged: {} at offset {} of {}, where sequence {} belongs; {}; nothing was changed; use a backup of this node's own directory, or in a cluster give the node a new disk",
            self.directory, self.reason, self.offset, self.file, self.sequence, self.proof
        )
    }
}

/// Why the log does not go on at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakReason {
    /// There are only zeros: the normal end of the log.
    Blank,
    /// Bytes that are no frame header.
    NotAFrame,
    /// The checksum over the header does not hold.
    HeaderChecksum,
    /// The hash over the payload does not hold.
    PayloadHash,
    /// The header names another segment or offset.
    Misplaced,
    /// The header names another cluster.
    Cluster,
    /// A field of the header is outside its limits.
    Field,
    /// The hash of the previous frame is another one.
    Chain,
    /// The sequence does not continue the previous frame.
    Sequence,
    /// The epoch is lower than that of the previous frame.
    Epoch,
    /// Bytes other than zero between two frames.
    StrayBytes,
    /// The segment is full, yet it has no end frame.
    NoEnd,
    /// The checksum over the segment header does not hold.
    SegmentChecksum,
    /// The segment header names another index or size.
    SegmentMisplaced,
    /// The segment header does not seal the previous segment.
    Seal,
}

impl fmt::Display for BreakReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            BreakReason::Blank => "only zeros",
            BreakReason::NotAFrame => "no frame header",
            BreakReason::HeaderChecksum => "a wrong header checksum",
            BreakReason::PayloadHash => "a wrong payload hash",
            BreakReason::Misplaced => "a frame of another place",
            BreakReason::Cluster => "a frame of another cluster",
            BreakReason::Field => "a header field outside its limits",
            BreakReason::Chain => "a frame that does not link to the one before",
            BreakReason::Sequence => "a gap in the sequence",
            BreakReason::Epoch => "an epoch that goes back",
            BreakReason::StrayBytes => "stray bytes between frames",
            BreakReason::NoEnd => "a full segment without its end frame",
            BreakReason::SegmentChecksum => "a wrong segment header checksum",
            BreakReason::SegmentMisplaced => "the header of another segment",
            BreakReason::Seal => "a segment header that does not seal the segment before",
        })
    }
}

/// What proves that the log was durable beyond the place where it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proof {
    /// An intact later frame header was written when the lost entries were durable.
    LaterFrame {
        /// Index of its segment.
        segment: u64,
        /// Byte offset in that segment.
        offset: u64,
        /// Highest sequence that was durable when it was written.
        durable_up_to: u64,
    },
    /// An intact later segment header, which is written only when the segment before is durable to its end.
    LaterSegment {
        /// Index of the segment.
        segment: u64,
        /// First sequence in it.
        first_sequence: u64,
    },
    /// The superblock says so.
    DurableHint {
        /// Highest durable sequence it names.
        sequence: u64,
    },
    /// The first segment header is durable before the journal is first used.
    FirstSegment,
}

impl fmt::Display for Proof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proof::LaterFrame { segment, offset, durable_up_to } => write!(
                formatter,
                "a later frame in segment {segment} at offset {offset} proves that everything up to sequence {durable_up_to} was durable"
            ),
            Proof::LaterSegment { segment, first_sequence } => write!(
                formatter,
                "the header of the later segment {segment} proves that everything before sequence {first_sequence} was durable"
            ),
            Proof::DurableHint { sequence } => {
                write!(
                    formatter,
                    "the superblock says that everything up to sequence {sequence} was durable"
                )
            }
            Proof::FirstSegment => {
                write!(formatter, "the first segment is durable before a journal is used")
            }
        }
    }
}
