//! A file of 64-bit words in memory, which one process writes and any number of others read meanwhile.
//!
//! Invariants: the words are only ever touched as atomics, by either side; a file under its final name has all its
//! room and is never shortened or written anew, only replaced by another file of the same name. So a mapping stays
//! valid for as long as it lives, and what a process wrote stays readable while it hangs and after it is gone.
//!
//! What is absent: any meaning of the words, consistency between them, and durability: nothing is ever synced.

use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Bytes of a file of so many words.
///
/// # Panics
/// If the size is beyond the address space.
#[must_use]
pub const fn counters_size(words: usize) -> usize {
    words.checked_mul(size_of::<u64>()).expect("so many words fit no memory")
}

/// A shared mapping of a whole file of words.
#[derive(Debug)]
struct Mapping {
    start: NonNull<c_void>,
    words: usize,
}

// SAFETY: the mapping belongs to this value alone and is unmapped by its drop; its contents are only reached as
// atomics, which any thread may use.
unsafe impl Send for Mapping {}
// SAFETY: as above: a shared reference gives out atomics only.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `words` of `file`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file is shorter; what the system says.
    fn of(file: &File, words: usize, protection: ProtFlags) -> io::Result<Self> {
        let size = counters_size(words);
        if words == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a mapping has words"));
        }
        if file.metadata()?.len() < size as u64 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is too short"));
        }
        // SAFETY: the system chooses a place where nothing else is mapped, so no memory of this process changes.
        let start = unsafe {
            mmap(std::ptr::null_mut(), size, protection, MapFlags::SHARED, file.as_fd(), 0)?
        };
        let start = NonNull::new(start).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { start, words })
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping has room for so many words (checked in `of`), begins at a page and so is aligned, lives
        // as long as the borrow, and every bit pattern is a word. Others change it only as a file's mapped page
        // changes, which atomics allow. Who maps it read-only never stores: `CountersReader` gives out values only.
        unsafe { std::slice::from_raw_parts(self.start.cast::<AtomicU64>().as_ptr(), self.words) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: start and size are those of the mapping, and no borrow of it outlives this value.
        let unmapped = unsafe { munmap(self.start.as_ptr(), counters_size(self.words)) };
        // Only a wrong range can be refused.
        debug_assert!(unmapped.is_ok());
    }
}

/// The writer's side of a file of words.
#[derive(Debug)]
pub struct MappedCounters {
    mapping: Mapping,
}

impl MappedCounters {
    /// Makes a file of `words` zeros as `path`, in place of what is there, and maps it.
    ///
    /// Only the owner may read it. It is made as `unfinished` and renamed, so that nobody finds it half made, and a reader of an older file keeps
    /// that. The caller makes sure that no other process does the same at the same time. Cost: two files' worth of
    /// system calls; one page for every 512 words.
    ///
    /// # Errors
    /// What the system says; no room for the zeros.
    pub fn create(path: &Path, unfinished: &Path, words: usize) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(unfinished)?;
        // Written, not only reserved: a store into a hole could find the disk full, and that is a fatal signal.
        file.write_all(&vec![0; counters_size(words)])?;
        let mapping = Mapping::of(&file, words, ProtFlags::READ | ProtFlags::WRITE)?;
        std::fs::rename(unfinished, path)?;
        Ok(Self { mapping })
    }

    /// The words. A store is seen by readers in other processes at once.
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        self.mapping.words()
    }
}

/// A reader's side of a file of words; it cannot write.
#[derive(Debug)]
pub struct CountersReader {
    mapping: Mapping,
}

impl CountersReader {
    /// Maps the first `words` of `path` for reading.
    ///
    /// # Errors
    /// `NotFound`; `UnexpectedEof` when the file is shorter; what the system says.
    pub fn open(path: &Path, words: usize) -> io::Result<Self> {
        Ok(Self { mapping: Mapping::of(&File::open(path)?, words, ProtFlags::READ)? })
    }

    /// How many words there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.mapping.words
    }

    /// Never: a mapping has words.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mapping.words == 0
    }

    /// One word as it is now, without any order to other words: a fence is the caller's business.
    ///
    /// # Panics
    /// When `index` is beyond the last word.
    #[must_use]
    pub fn load(&self, index: usize) -> u64 {
        // On memory that cannot be written only relaxed loads are defined.
        self.mapping.words()[index].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(directory: &Path, words: usize) -> io::Result<MappedCounters> {
        MappedCounters::create(&directory.join("words"), &directory.join("words.tmp"), words)
    }

    #[test]
    fn what_is_stored_is_seen_by_a_reader_at_once_and_stays_when_the_writer_is_gone() {
        let place = tempfile::tempdir().expect("a directory");
        let written = create(place.path(), 512).expect("created");
        let reader = CountersReader::open(&place.path().join("words"), 512).expect("opened");
        assert!((0..reader.len()).all(|index| reader.load(index) == 0));
        for (index, word) in written.words().iter().enumerate() {
            word.store(!(index as u64), Ordering::Relaxed);
        }
        assert!((0..512).all(|index| reader.load(index) == !(index as u64)));
        drop(written);
        assert_eq!(reader.load(511), !511);
        let bytes = std::fs::read(place.path().join("words")).expect("read");
        assert_eq!(bytes.len(), counters_size(512));
        assert_eq!(bytes[8..16], (!1_u64).to_le_bytes());
    }

    #[test]
    fn a_new_file_takes_the_name_and_leaves_the_old_ones_readers_alone() {
        let place = tempfile::tempdir().expect("a directory");
        let first = create(place.path(), 4).expect("created");
        first.words()[3].store(7, Ordering::Relaxed);
        let reader = CountersReader::open(&place.path().join("words"), 4).expect("opened");
        let second = create(place.path(), 4).expect("created again");
        second.words()[3].store(9, Ordering::Relaxed);
        assert_eq!(reader.load(3), 7);
        let reader = CountersReader::open(&place.path().join("words"), 4).expect("opened");
        assert_eq!(reader.load(3), 9);
        assert!(!place.path().join("words.tmp").exists());
    }

    #[test]
    fn a_file_that_is_too_short_or_not_there_is_refused() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("words");
        let kind = |words| CountersReader::open(&path, words).expect_err("refused").kind();
        assert_eq!(kind(4), io::ErrorKind::NotFound);
        std::fs::write(&path, [0; 31]).expect("written");
        assert_eq!(kind(4), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(0), io::ErrorKind::InvalidInput);
        assert!(CountersReader::open(&path, 3).is_ok());
    }
}
