//! The door to the disk: all I/O of the journal passes through [`Storage`] and [`Segment`].
//!
//! Every step whose order matters for durability is a call of its own, so that a wrapper can delay, fail or cut
//! it, and so that a test storage can forget what was not synced. Names are relative to the journal's directory;
//! `quarantine/NAME` is the only nesting.
//!
//! A storage does not retry, does not interpret bytes, and does not decide what an error means.

use std::io;

/// A file in the journal's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name relative to the directory.
    pub name: String,
    /// Size in bytes; 0 for a directory.
    pub size: u64,
    /// Whether it is a directory.
    pub is_directory: bool,
}

/// Why the directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("held by {holder}")]
    Held {
        /// Who, as far as it is known.
        holder: String,
    },
    /// There is no such directory.
    #[error("no such directory")]
    NoDirectory,
    /// The lock could not be tried.
    #[error("lock failed")]
    Io(#[from] io::Error),
}

/// The files of one journal.
pub trait Storage: Send + Sync + 'static {
    /// A segment that is open for writing.
    type Segment: Segment;
    /// Keeps other processes out for as long as it lives.
    type Lock: Send + 'static;

    /// The place, for messages.
    fn describe(&self) -> String;

    /// Finds out whether this place can hold a journal at all; called under the lock, before a segment is opened.
    /// What it needs for that is gone when it returns.
    ///
    /// # Errors
    /// `Unsupported`, with the reason, when the place is unfit; else what the system says.
    fn probe(&self) -> io::Result<()> {
        Ok(())
    }

    /// Takes the exclusive lock on the directory, without waiting.
    ///
    /// # Errors
    /// [`LockError::Held`] when another holder lives.
    fn lock(&self) -> Result<Self::Lock, LockError>;

    /// The entries of the directory, not of its subdirectories, in any order.
    ///
    /// # Errors
    /// What the system says; `NotFound` when there is no directory.
    fn list(&self) -> io::Result<Vec<Entry>>;

    /// Makes a subdirectory, or leaves the one that exists. Durable after `sync_directory("")`.
    ///
    /// # Errors
    /// What the system says.
    fn make_directory(&self, name: &str) -> io::Result<()>;

    /// Makes a file of `size` bytes with all its room reserved; it reads as zeros.
    ///
    /// # Errors
    /// `AlreadyExists`; `ENOSPC`, `EDQUOT` or `EFBIG` for lack of room, at once and before data is written.
    /// A file may be left behind.
    fn create(&self, name: &str, size: u64) -> io::Result<()>;

    /// Reads at `offset` until `buffer` is full or the file ends; returns the bytes read.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// As [`Storage::read`], from the disk rather than from what is cached of the file, and without putting it there.
    /// `offset`, the length and the address of `buffer` are multiples of the page size.
    ///
    /// # Errors
    /// What the system says.
    fn read_uncached(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(name, offset, buffer)
    }

    /// Says that the whole file will be read soon, in order. Returns at once, and may do nothing.
    fn read_ahead(&self, name: &str) {
        let _ = name;
    }

    /// Writes all of `bytes` at `offset` within the file.
    ///
    /// # Errors
    /// What the system says.
    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Fills `length` bytes at `offset` within the file with zeros. All are multiples of the page size.
    ///
    /// `sync_size` is how many bytes one sync of the segment will cover, as far as is known, at least a page: a file
    /// that is cached may be cached in larger pieces for larger syncs. It has no influence on what the file holds.
    ///
    /// # Errors
    /// What the system says.
    fn write_zeros(&self, name: &str, offset: u64, length: u64, sync_size: u64) -> io::Result<()> {
        let _ = sync_size;
        self.write(name, offset, &vec![0; length as usize])
    }

    /// Returns when the contents and the size of the file are durable.
    ///
    /// # Errors
    /// What the system says; what is durable is then unknown.
    fn sync_file(&self, name: &str) -> io::Result<()>;

    /// Makes the file durable as it reads now and drops what is cached of it, so that the next read sees the disk.
    ///
    /// # Errors
    /// What the system says.
    fn settle(&self, name: &str) -> io::Result<()>;

    /// Renames a file, replacing what has the new name. Durable after `sync_directory`.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Durable after `sync_directory`.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names in the directory itself (`""`) or in a subdirectory durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_directory(&self, name: &str) -> io::Result<()>;

    /// Opens a segment file for writing and readies its memory.
    ///
    /// # Errors
    /// What the system says.
    fn open_segment(&self, name: &str, size: u64) -> io::Result<Self::Segment>;
}

/// One segment file, open for writing. One thread owns it.
///
/// A backend that writes a group in several requests issues and awaits them within `sync`.
pub trait Segment: Send + 'static {
    /// Puts `bytes` at `offset`. They need not be durable before `sync` returns.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// # Panics
    /// When the range is outside the segment.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// The bytes that were written at `offset` since the last `sync`, in one piece.
    ///
    /// # Panics
    /// When the range is outside the segment.
    fn view(&self, offset: u64, length: usize) -> &[u8];

    /// Returns when the range is durable. `offset` and `length` are multiples of the page size.
    ///
    /// # Errors
    /// What the system says; what is durable is then unknown.
    fn sync(&mut self, offset: u64, length: u64) -> io::Result<()>;

    /// Whether [`Storage::read`] sees what was written before it is synced.
    fn shows_writes(&self) -> bool;
}

/// What a walk over the log reads from: the files, or the files in another way.
pub(crate) trait Source {
    /// As [`Storage::read`].
    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// As [`Storage::read_ahead`].
    fn will_read(&self, name: &str) {
        let _ = name;
    }
}

impl<S: Storage> Source for S {
    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(name, offset, buffer)
    }

    fn will_read(&self, name: &str) {
        self.read_ahead(name);
    }
}
