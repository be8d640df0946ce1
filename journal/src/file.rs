//! The journal's files in a directory, segments mapped into memory.
//!
//! The process must ignore SIGXFSZ, so that a file size limit is an error and not its end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, FallocateFlags, FlockOperation};
use rustix::io::Errno;

use crate::constants::PAGE_SIZE;
use crate::mapping::MappedSegment;
use crate::storage::{Entry, LockError, Storage};

/// Name of the lock file; it stays, and names the last holder.
pub(crate) const LOCK_FILE: &str = "LOCK";

/// A directory of the file system.
#[derive(Debug, Clone)]
pub struct FileStorage {
    directory: PathBuf,
}

/// An exclusive lock on the directory; released when dropped or when the process ends.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileStorage {
    /// The journal in `directory`, which need not exist yet.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        FileStorage { directory: directory.into() }
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
        Ok(FileStorage { directory })
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

impl Storage for FileStorage {
    type Segment = MappedSegment;
    type Lock = FileLock;

    fn describe(&self) -> String {
        self.directory.display().to_string()
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

    fn open_segment(&self, name: &str, size: u64) -> io::Result<MappedSegment> {
        MappedSegment::map(&self.open_to_write(name)?, size)
    }
}
