//! The journal's files in a directory. The segment in use is written through a mapping, or directly.
//!
//! Both ways leave the same bytes, and a journal that was written in one way can be opened in the other.
//!
//! The process must ignore SIGXFSZ, so that a file size limit is an error and not its end.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, FallocateFlags, FlockOperation};
use rustix::io::Errno;

use crate::access::explained;
use crate::constants::{PAGE_SIZE, PREPARE_PIECE_MAX, PREPARE_PIECES_PER_SYNC};
use crate::direct::{self, DirectSegment, WriterPool};
use crate::mapping::MappedSegment;
use crate::storage::{Entry, LockError, Segment, Storage};

/// Name of the lock file; it stays, and names the last holder.
pub(crate) const LOCK_FILE: &str = "LOCK";

/// A file of this name is removed by the next start, should the probe not come to removing it.
const PROBE_FILE: &str = "prepare-probe.tmp";

/// Only the owner reads and writes what a node keeps: it is everybody's money.
const DIRECTORY_MODE: u32 = 0o700;
pub(crate) const FILE_MODE: u32 = 0o600;

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
    _directory: File,
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

    /// Makes `directory` and its parents durably, for this user alone, or uses what exists.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        let explain = |error| explained(&directory, error);
        let existing = existing_ancestor(&directory)?;
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(DIRECTORY_MODE).create(&directory).map_err(explain)?;
        let absolute = fs::canonicalize(&directory).map_err(explain)?;
        for parent in parents_to_sync(&absolute, &existing) {
            match File::open(parent) {
                Ok(parent) => parent.sync_all()?,
                // A parent that may not be opened was not made here either.
                Err(_) if parent == existing || !parent.starts_with(&existing) => {}
                Err(error) => return Err(error),
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

    fn open(&self, name: &str, options: &OpenOptions) -> io::Result<File> {
        let path = self.path(name);
        options.open(&path).map_err(|error| explained(&path, error))
    }

    fn open_to_read(&self, name: &str) -> io::Result<File> {
        self.open(name, OpenOptions::new().read(true))
    }

    fn open_to_write(&self, name: &str) -> io::Result<File> {
        self.open(name, OpenOptions::new().read(true).write(true))
    }
}

/// The nearest directory on the way to `path` that is there already.
fn existing_ancestor(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let existing = absolute.ancestors().find(|ancestor| ancestor.exists());
    fs::canonicalize(existing.unwrap_or(Path::new("/")))
}

/// The directories that name what was made on the way to `directory`, from the nearest to the one that was there
/// before; never less than two, because an earlier attempt may have made them and not come to this.
fn parents_to_sync<'p>(directory: &'p Path, existing: &Path) -> Vec<&'p Path> {
    let made = directory.ancestors().take_while(|place| *place != existing).count();
    let made = if directory.starts_with(existing) { made } else { 0 };
    directory.ancestors().skip(1).take(made.max(2)).collect()
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
            JournalIo::Direct => {
                let path = self.path(PROBE_FILE);
                direct::probe_directory(&path).map_err(|error| explained(&path, error))
            }
        }
    }

    fn lock(&self) -> Result<FileLock, LockError> {
        match fs::metadata(&self.directory) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(io::Error::from(io::ErrorKind::NotADirectory).into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(LockError::NoDirectory);
            }
            Err(error) => return Err(explained(&self.directory, error).into()),
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
        let mut file = self.open(LOCK_FILE, &options)?;
        // Whoever can open it can hold the lock and keep the node from starting.
        if file.metadata()?.permissions().mode() & 0o777 != FILE_MODE {
            let path = self.path(LOCK_FILE);
            file.set_permissions(Permissions::from_mode(FILE_MODE))
                .map_err(|error| explained(&path, error))?;
        }
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                (&file).take(32).read_to_string(&mut pid)?;
                return Err(LockError::Held { holder: format!("process {}", pid.trim()) });
            }
            Err(errno) => return Err(LockError::Io(errno.into())),
        }
        // The file may have been removed while another process held it; the directory itself cannot be.
        let directory = File::open(&self.directory)?;
        match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let holder = format!("a process whose {LOCK_FILE} was removed");
                return Err(LockError::Held { holder });
            }
            Err(errno) => return Err(LockError::Io(errno.into())),
        }
        file.set_len(0)?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
        Ok(FileLock { _file: file, _directory: directory })
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let explain = |error| explained(&self.directory, error);
        for entry in fs::read_dir(&self.directory).map_err(explain)? {
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
        let path = self.path(name);
        match DirBuilder::new().mode(DIRECTORY_MODE).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other.map_err(|error| explained(&path, error)),
        }
    }

    fn create(&self, name: &str, size: u64) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let file = self.open(name, options.write(true).create_new(true).mode(FILE_MODE))?;
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
        let file = self.open_to_read(name)?;
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

    fn read_uncached(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let path = self.path(name);
        direct::read(&path, offset, buffer).map_err(|error| explained(&path, error))
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
        let path = self.path(to);
        fs::rename(self.path(from), &path).map_err(|error| explained(&path, error))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        fs::remove_file(&path).map_err(|error| explained(&path, error))
    }

    fn sync_directory(&self, name: &str) -> io::Result<()> {
        self.open_to_read(name)?.sync_all()
    }

    fn open_segment(&self, name: &str, size: u64) -> io::Result<FileSegment> {
        Ok(match self.journal_io {
            JournalIo::Mmap => {
                FileSegment::Mapped(MappedSegment::map(&self.open_to_write(name)?, size)?)
            }
            JournalIo::Direct => {
                let path = self.path(name);
                let opened = DirectSegment::open(&path, size, &self.writers);
                FileSegment::Direct(opened.map_err(|error| explained(&path, error))?)
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
    fn every_directory_that_names_a_new_one_is_synced() {
        let list = |directory, existing| -> Vec<&str> {
            let parents = parents_to_sync(Path::new(directory), Path::new(existing));
            parents.into_iter().map(|parent| parent.to_str().unwrap()).collect()
        };
        assert_eq!(list("/a/b/c/d/e", "/a"), ["/a/b/c/d", "/a/b/c", "/a/b", "/a"]);
        assert_eq!(list("/a/b/c", "/a/b"), ["/a/b", "/a"]);
        assert_eq!(list("/a/b/c/d", "/a/b/c/d"), ["/a/b/c", "/a/b"], "nothing was made");
        assert_eq!(list("/a/b/c/d", "/x"), ["/a/b/c", "/a/b"]);
        assert_eq!(list("/", "/"), [""; 0]);
    }

    #[test]
    fn what_is_made_belongs_to_its_owner_alone_and_so_does_the_lock_again() {
        let place = tempfile::tempdir().unwrap();
        let data = place.path().join("deep/er/data");
        let storage = FileStorage::create(&data).unwrap();
        storage.create("file", 4096).unwrap();
        storage.make_directory("quarantine").unwrap();
        storage.create("quarantine/file", 1).unwrap();
        drop(storage.lock().unwrap());
        let mode = |path: &str| {
            let found = fs::metadata(place.path().join(path)).unwrap();
            found.permissions().mode() & 0o777
        };
        for directory in ["deep", "deep/er", "deep/er/data", "deep/er/data/quarantine"] {
            assert_eq!(mode(directory), 0o700, "{directory}");
        }
        for name in ["file", "quarantine/file", "LOCK"] {
            assert_eq!(mode(&format!("deep/er/data/{name}")), 0o600, "{name}");
        }
        let lock = data.join("LOCK");
        fs::set_permissions(&lock, Permissions::from_mode(0o644)).unwrap();
        drop(storage.lock().unwrap());
        assert_eq!(mode("deep/er/data/LOCK"), 0o600);
    }

    #[test]
    fn a_file_is_no_directory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = FileStorage::new(file.path()).lock().unwrap_err();
        let LockError::Io(error) = error else { panic!("{error}") };
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }

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
