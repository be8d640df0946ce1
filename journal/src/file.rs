//! The journal's files in a directory. The segment in use is written through a mapping, or directly.
//!
//! Both ways leave the same bytes, and a journal that was written in one way can be opened in the other.
//!
//! The process must ignore SIGXFSZ, so that a file size limit is an error and not its end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, FallocateFlags, FlockOperation};
use rustix::io::Errno;

use crate::constants::{PAGE_SIZE, PREPARE_PIECE_MAX, PREPARE_PIECES_PER_SYNC};
use crate::direct::{self, DirectSegment, WriterPool};
use crate::mapping::MappedSegment;
use crate::storage::{Entry, LockError, Segment, Storage};

/// Name of the lock file; it stays, and names the last holder.
pub(crate) const LOCK_FILE: &str = "LOCK";

/// A file of this name is removed by the next start, should the probe not come to removing it.
const PROBE_FILE: &str = "prepare-probe.tmp";

/// How the segment in use is written. The numbers stand in the superblock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JournalIo {
    /// Through a mapping of the file.
    #[default]
    Mmap,
    /// Past the page cache (`O_DIRECT | O_DSYNC`).
    Direct,
}

impl JournalIo {
    /// All ways.
    pub const ALL: [Self; 2] = [Self::Mmap, Self::Direct];

    /// The name, as options and status write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mmap => "mmap",
            Self::Direct => "direct",
        }
    }

    /// The way of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|journal_io| journal_io.name() == name)
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Mmap => 0,
            Self::Direct => 1,
        }
    }

    /// Any number is a way: every build can write every journal through a mapping.
    pub(crate) const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Direct,
            _ => Self::Mmap,
        }
    }
}

/// A directory of the file system.
#[derive(Debug, Clone)]
pub struct FileStorage {
    directory: PathBuf,
    journal_io: JournalIo,
    writers: Arc<WriterPool>,
}

/// A segment file that is open for writing.
#[derive(Debug)]
pub enum FileSegment {
    /// Through a mapping.
    Mapped(MappedSegment),
    /// Directly.
    Direct(DirectSegment),
}

/// An exclusive lock on the directory; released when dropped or when the process ends.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileStorage {
    /// The journal in `directory`, which need not exist yet, written through a mapping.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        FileStorage {
            directory: directory.into(),
            journal_io: JournalIo::Mmap,
            writers: Arc::new(WriterPool::new(false)),
        }
    }

    /// The same directory, written in this way.
    #[must_use]
    pub fn with_journal_io(self, journal_io: JournalIo) -> Self {
        FileStorage { journal_io, ..self }
    }

    /// The same directory; a large group that is written directly goes out in pieces that are in flight together, if
    /// io_uring can be used here, which a probe finds out.
    ///
    /// Measure before choosing it: the kernel splits one large write by itself. On a disk without forced unit access
    /// (a flush for every piece), 1 MiB took 1.1 to 1.7 times as long in pieces of 256 KiB.
    #[must_use]
    pub fn with_io_uring(self) -> Self {
        FileStorage { writers: Arc::new(WriterPool::new(true)), ..self }
    }

    /// How segments are written.
    #[must_use]
    pub fn journal_io(&self) -> JournalIo {
        self.journal_io
    }

    /// Whether large groups go out as several writes in flight. If nothing was opened yet, the probe is made now.
    #[must_use]
    pub fn uses_io_uring(&self) -> bool {
        self.journal_io == JournalIo::Direct && self.writers.has_ring()
    }

    /// Makes `directory` and its parents durably, or uses what exists.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        fs::create_dir_all(&directory)?;
        let absolute = fs::canonicalize(&directory)?;
        for ancestor in absolute.ancestors().skip(1).take(2) {
            // A parent that may not be opened was not made here either.
            if let Ok(parent) = File::open(ancestor) {
                parent.sync_all()?;
            }
        }
        Ok(FileStorage::new(directory))
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.directory.clone() } else { self.directory.join(name) }
    }

    fn open_to_write(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.path(name))
    }
}

/// How much of a segment the page cache shall keep in one piece, in bytes, when a sync covers `sync_size`.
pub(crate) fn cache_piece(sync_size: u64) -> u64 {
    let part = (sync_size / PREPARE_PIECES_PER_SYNC).clamp(PAGE_SIZE, PREPARE_PIECE_MAX);
    1 << part.ilog2()
}

/// Writes zeros, each time as many as `piece` has.
fn write_zeros(file: &File, offset: u64, length: u64, piece: &[u8]) -> io::Result<()> {
    let end = offset + length;
    let mut at = offset;
    while at < end {
        let count = (piece.len() as u64).min(end - at);
        file.write_all_at(&piece[..count as usize], at)?;
        at += count;
    }
    Ok(())
}

impl Storage for FileStorage {
    type Segment = FileSegment;
    type Lock = FileLock;

    fn describe(&self) -> String {
        self.directory.display().to_string()
    }

    fn probe(&self) -> io::Result<()> {
        match self.journal_io {
            JournalIo::Mmap => Ok(()),
            JournalIo::Direct => direct::probe_directory(&self.path(PROBE_FILE)),
        }
    }

    fn lock(&self) -> Result<FileLock, LockError> {
        if !self.directory.is_dir() {
            return Err(LockError::NoDirectory);
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path(LOCK_FILE))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                (&file).take(32).read_to_string(&mut pid)?;
                return Err(LockError::Held { holder: format!("process {}", pid.trim()) });
            }
            Err(errno) => return Err(LockError::Io(errno.into())),
        }
        file.set_len(0)?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
        Ok(FileLock { _file: file })
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let is_directory = metadata.is_dir();
            entries.push(Entry {
                name: entry.file_name().to_string_lossy().into_owned(),
                size: if is_directory { 0 } else { metadata.len() },
                is_directory,
            });
        }
        Ok(entries)
    }

    fn make_directory(&self, name: &str) -> io::Result<()> {
        match fs::create_dir(self.path(name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    fn create(&self, name: &str, size: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create_new(true).open(self.path(name))?;
        if size == 0 {
            return Ok(());
        }
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, size) {
            Ok(()) => Ok(()),
            // Some file systems cannot reserve; writing the zeros then finds out what fits.
            Err(Errno::OPNOTSUPP) => file.set_len(size),
            Err(errno) => Err(errno.into()),
        }
    }

    fn read(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let file = File::open(self.path(name))?;
        let mut done = 0;
        while done < buffer.len() {
            match file.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn read_ahead(&self, name: &str) {
        if let Ok(file) = File::open(self.path(name)) {
            // Only advice: whoever reads then finds out what is wrong with the file.
            let _ = rustix::fs::fadvise(&file, 0, None, Advice::WillNeed);
        }
    }

    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.open_to_write(name)?;
        // A larger write makes larger folios in the page cache, and syncing one page of a mapped folio writes
        // all of it: measured with 1 MiB writes, a 4 KiB sync wrote 1 MiB and took 300 us instead of 110 us.
        let mut at = offset;
        for page in bytes.chunks(PAGE_SIZE as usize) {
            file.write_all_at(page, at)?;
            at += page.len() as u64;
        }
        Ok(())
    }

    fn write_zeros(&self, name: &str, offset: u64, length: u64, sync_size: u64) -> io::Result<()> {
        match self.journal_io {
            JournalIo::Mmap => {
                let file = self.open_to_write(name)?;
                let piece = vec![0; cache_piece(sync_size) as usize];
                write_zeros(&file, offset, length, &piece)
            }
            JournalIo::Direct => direct::write_zeros(&self.path(name), offset, length),
        }
    }

    fn sync_file(&self, name: &str) -> io::Result<()> {
        self.open_to_write(name)?.sync_all()
    }

    fn settle(&self, name: &str) -> io::Result<()> {
        let file = self.open_to_write(name)?;
        file.sync_all()?;
        // After a failed write-back the cache may hold pages that the disk never got, marked clean.
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?;
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_directory(&self, name: &str) -> io::Result<()> {
        File::open(self.path(name))?.sync_all()
    }

    fn open_segment(&self, name: &str, size: u64) -> io::Result<FileSegment> {
        Ok(match self.journal_io {
            JournalIo::Mmap => {
                FileSegment::Mapped(MappedSegment::map(&self.open_to_write(name)?, size)?)
            }
            JournalIo::Direct => {
                let path = self.path(name);
                FileSegment::Direct(DirectSegment::open(&path, size, &self.writers)?)
            }
        })
    }
}

impl Segment for FileSegment {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Mapped(segment) => segment.write(offset, bytes),
            Self::Direct(segment) => segment.write(offset, bytes),
        }
    }

    fn view(&self, offset: u64, length: usize) -> &[u8] {
        match self {
            Self::Mapped(segment) => segment.view(offset, length),
            Self::Direct(segment) => segment.view(offset, length),
        }
    }

    fn sync(&mut self, offset: u64, length: u64) -> io::Result<()> {
        match self {
            Self::Mapped(segment) => segment.sync(offset, length),
            Self::Direct(segment) => segment.sync(offset, length),
        }
    }

    fn shows_writes(&self) -> bool {
        match self {
            Self::Mapped(segment) => segment.shows_writes(),
            Self::Direct(segment) => segment.shows_writes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_groups_get_single_pages_and_large_groups_get_pieces_of_a_power_of_two() {
        let table = [
            (0, 4 << 10),
            (4 << 10, 4 << 10),
            (31 << 10, 4 << 10),
            (32 << 10, 8 << 10),
            (100_000, 16 << 10),
            (512 << 10, 128 << 10),
            (1 << 30, 128 << 10),
        ];
        for (sync_size, piece) in table {
            assert_eq!(cache_piece(sync_size), piece, "{sync_size} bytes per sync");
        }
    }
}
