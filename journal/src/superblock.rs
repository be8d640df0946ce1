//! The superblock: what a node must know before it reads its first segment.
//!
//! Invariants: both copies are rewritten one after the other and each is synced before the next is touched, so
//! a torn write leaves the other copy, and an update that returned is in both. The copy with the higher version
//! holds. It deliberately knows nothing of the log's contents but a hint of how far it was durable.

use zerocopy::{FromZeros, IntoBytes};

use crate::constants::{
    CONFIG_SIZE_MAX, FORMAT_VERSION, GENESIS_SIZE_MAX, PAGE_SIZE, SEGMENT_SIZE_MAX,
    SEGMENT_SIZE_MIN, SUPERBLOCK_COPIES, SUPERBLOCK_SIZE,
};
use crate::error::{JournalError, Result};
use crate::file::JournalIo;
use crate::layout::{RawSuperblock, Sealed, Unreadable};
use crate::segment::segment_index;
use crate::storage::Storage;

/// What the superblock holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// Cluster id.
    pub cluster: u128,
    /// Node id.
    pub node: u64,
    /// Incarnation of the node's disk.
    pub incarnation: u64,
    /// Highest epoch seen.
    pub highest_epoch: u64,
    /// Counts the updates.
    pub version: u64,
    /// Whether the journal was closed in order.
    pub clean: bool,
    /// Everything up to this sequence was durable when this was written, 0 for none.
    pub durable_hint: u64,
    /// Size of every segment, in bytes.
    pub segment_size: u64,
    /// Index of the oldest segment that was not released.
    pub first_segment: u64,
    /// How a node writes its segments; the bytes in them are the same.
    pub journal_io: JournalIo,
    /// Config record, opaque.
    pub config: Vec<u8>,
    /// Limits fixed at format, opaque.
    pub genesis: Vec<u8>,
}

/// One copy of the superblock as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyState {
    /// Intact.
    Intact(Box<Superblock>),
    /// There is no such file.
    Missing,
    /// The file cannot be understood.
    Damaged(&'static str),
    /// Intact, but of another version.
    Version(u16),
}

impl std::fmt::Display for CopyState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Intact(_) => formatter.write_str("intact"),
            Self::Missing => formatter.write_str("missing"),
            Self::Damaged(reason) => formatter.write_str(reason),
            Self::Version(version) => write!(formatter, "version {version}"),
        }
    }
}

/// File name of a copy.
pub(crate) fn copy_name(copy: usize) -> String {
    format!("superblock-{copy}")
}

impl Superblock {
    /// The superblock that holds, read without a lock.
    ///
    /// # Errors
    /// `NotFormatted`, `SuperblockDamaged`, `VersionNotSupported`, `Io`.
    pub fn read<S: Storage>(storage: &S) -> Result<Self> {
        read(storage)
    }

    /// Checks the limits.
    pub(crate) fn validate(&self) -> Result<()> {
        let refuse = |reason: String| Err(JournalError::InvalidOptions { reason });
        if !(SEGMENT_SIZE_MIN..=SEGMENT_SIZE_MAX).contains(&self.segment_size)
            || !self.segment_size.is_multiple_of(PAGE_SIZE)
        {
            return refuse(format!(
                "segment size {} is not a multiple of {PAGE_SIZE} between {SEGMENT_SIZE_MIN} and {SEGMENT_SIZE_MAX}",
                self.segment_size
            ));
        }
        if self.config.len() > CONFIG_SIZE_MAX {
            return refuse(format!("config record is longer than {CONFIG_SIZE_MAX} bytes"));
        }
        if self.genesis.len() > GENESIS_SIZE_MAX {
            return refuse(format!("genesis record is longer than {GENESIS_SIZE_MAX} bytes"));
        }
        Ok(())
    }

    /// The bytes of one copy.
    ///
    /// # Panics
    /// When a record is longer than its limit.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut raw = RawSuperblock::new_zeroed();
        raw.clean = u8::from(self.clean);
        raw.journal_io = self.journal_io.code();
        raw.cluster = self.cluster;
        raw.version = self.version;
        raw.node = self.node;
        raw.incarnation = self.incarnation;
        raw.highest_epoch = self.highest_epoch;
        raw.durable_hint = self.durable_hint;
        raw.segment_size = self.segment_size;
        raw.first_segment = self.first_segment;
        raw.config_length = self.config.len() as u16;
        raw.genesis_length = self.genesis.len() as u16;
        raw.config[..self.config.len()].copy_from_slice(&self.config);
        raw.genesis[..self.genesis.len()].copy_from_slice(&self.genesis);
        raw.seal();
        raw.as_bytes().to_vec()
    }

    /// Understands the bytes of one copy.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> CopyState {
        if bytes.len() != SUPERBLOCK_SIZE {
            return CopyState::Damaged("wrong size");
        }
        let raw = match RawSuperblock::parse(bytes) {
            Ok(raw) => raw,
            Err(Unreadable::Version(found)) => return CopyState::Version(found),
            Err(Unreadable::Blank) => return CopyState::Damaged("only zeros"),
            Err(Unreadable::Magic) => return CopyState::Damaged("no superblock"),
            Err(Unreadable::Checksum) => return CopyState::Damaged("wrong checksum"),
        };
        let (config, genesis) = (usize::from(raw.config_length), usize::from(raw.genesis_length));
        if config > CONFIG_SIZE_MAX || genesis > GENESIS_SIZE_MAX {
            return CopyState::Damaged("a record is longer than its limit");
        }
        let superblock = Superblock {
            cluster: raw.cluster,
            node: raw.node,
            incarnation: raw.incarnation,
            highest_epoch: raw.highest_epoch,
            version: raw.version,
            clean: raw.clean == 1,
            durable_hint: raw.durable_hint,
            segment_size: raw.segment_size,
            first_segment: raw.first_segment,
            journal_io: JournalIo::from_code(raw.journal_io),
            config: raw.config[..config].to_vec(),
            genesis: raw.genesis[..genesis].to_vec(),
        };
        if superblock.validate().is_err() {
            return CopyState::Damaged("a field is outside its limits");
        }
        CopyState::Intact(Box::new(superblock))
    }
}

/// Reads one copy.
///
/// # Errors
/// `Io`, other than that the file is not there.
pub(crate) fn read_copy<S: Storage>(storage: &S, copy: usize) -> Result<CopyState> {
    let name = copy_name(copy);
    let mut bytes = vec![0; SUPERBLOCK_SIZE + 1];
    match storage.read(&name, 0, &mut bytes) {
        Ok(length) => Ok(Superblock::decode(&bytes[..length])),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(CopyState::Missing),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            Err(JournalError::NotADirectory { directory: storage.describe() })
        }
        Err(error) => Err(JournalError::io("read", &name, error)),
    }
}

/// Reads the superblock that holds.
///
/// # Errors
/// `NotFormatted`, `SuperblockDamaged`, `VersionNotSupported`, `Io`.
pub(crate) fn read<S: Storage>(storage: &S) -> Result<Superblock> {
    let mut best: Option<Superblock> = None;
    let mut missing = 0;
    let mut damage = Vec::new();
    for copy in 0..SUPERBLOCK_COPIES {
        match read_copy(storage, copy)? {
            CopyState::Intact(found) => {
                if best.as_ref().is_none_or(|known| known.version < found.version) {
                    best = Some(*found);
                }
            }
            CopyState::Missing => {
                missing += 1;
                damage.push(format!("{} is missing", copy_name(copy)));
            }
            CopyState::Damaged(reason) => damage.push(format!("{}: {reason}", copy_name(copy))),
            CopyState::Version(found) => {
                return Err(JournalError::VersionNotSupported {
                    file: copy_name(copy),
                    offset: 0,
                    found,
                    supported: FORMAT_VERSION,
                });
            }
        }
    }
    match best {
        Some(found) => Ok(found),
        None if missing == SUPERBLOCK_COPIES && !has_segments(storage)? => {
            Err(JournalError::NotFormatted { directory: storage.describe() })
        }
        None => Err(JournalError::SuperblockDamaged {
            directory: storage.describe(),
            reason: damage.join(", "),
        }),
    }
}

/// Whether there are segments: then there was a journal, and its superblock is lost.
fn has_segments<S: Storage>(storage: &S) -> Result<bool> {
    match storage.list() {
        Ok(entries) => Ok(entries.iter().any(|entry| segment_index(&entry.name).is_some())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(JournalError::io("list", "the directory", error)),
    }
}

/// Writes both copies, one after the other, under the next version.
///
/// # Errors
/// `Io`; the update may or may not be found after a restart.
pub(crate) fn update<S: Storage>(storage: &S, superblock: &mut Superblock) -> Result<()> {
    superblock.version += 1;
    let bytes = superblock.encode();
    for copy in 0..SUPERBLOCK_COPIES {
        let name = copy_name(copy);
        storage.write(&name, 0, &bytes).map_err(|error| JournalError::io("write", &name, error))?;
        storage.sync_file(&name).map_err(|error| JournalError::io("sync", &name, error))?;
    }
    Ok(())
}

/// Replaces the config record of a journal that nobody has open, if it is still the expected one. Durable in both copies
/// when it returns.
///
/// # Errors
/// `InvalidOptions`: it is another one, or the new one is too long; nothing was changed. `Locked`, `Io`, and those of
/// reading the superblock.
pub fn replace_config<S: Storage>(storage: &S, expected: &[u8], config: &[u8]) -> Result<()> {
    let _lock = crate::journal::lock(storage)?;
    let mut superblock = read(storage)?;
    if superblock.config != expected {
        let reason = "the config record was changed meanwhile; try again".to_owned();
        return Err(JournalError::InvalidOptions { reason });
    }
    superblock.config = config.to_vec();
    superblock.validate()?;
    repair(storage)?;
    update(storage, &mut superblock)
}

/// Makes the files of copies that are missing, so that they can be written.
///
/// # Errors
/// `Io`.
pub(crate) fn repair<S: Storage>(storage: &S) -> Result<()> {
    for copy in 0..SUPERBLOCK_COPIES {
        if read_copy(storage, copy)? == CopyState::Missing {
            let name = copy_name(copy);
            storage
                .create(&name, SUPERBLOCK_SIZE as u64)
                .and_then(|()| storage.sync_directory(""))
                .map_err(|error| JournalError::io("make", &name, error))?;
        }
    }
    Ok(())
}
