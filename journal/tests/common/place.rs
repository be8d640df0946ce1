//! Where a test keeps its journals: the simulated disk, and real files in each way of writing them.
//!
//! A test of behaviour that must be the same everywhere takes a [`Place`] and is listed in [`on_every_backend`].

use std::cell::Cell;

use mizan_journal::sim::SimStorage;
use mizan_journal::{FileStorage, Journal, JournalIo, Storage};
use tempfile::TempDir;

use super::format_options;

/// Makes storages of one kind.
pub(crate) trait Place {
    /// The kind.
    type Storage: Storage + Clone;

    /// Whether bytes that were put and never synced are found after the process has died.
    const KEEPS_UNSYNCED: bool = true;

    /// Of many cases that differ little, every so many-th is tried: real files are slow.
    const EVERY: usize = 1;

    /// A storage without a journal.
    fn empty(&self) -> Self::Storage;

    /// The same storage after the process has died; the power stayed on.
    fn restart(storage: &Self::Storage) -> Self::Storage {
        storage.clone()
    }

    /// A storage with a new journal.
    fn formatted(&self) -> Self::Storage {
        let storage = self.empty();
        Journal::format(&storage, &format_options()).expect("formatted");
        storage
    }
}

/// The simulated disk.
pub(crate) struct Simulated;

impl Place for Simulated {
    type Storage = SimStorage;

    fn empty(&self) -> SimStorage {
        SimStorage::new()
    }

    fn restart(storage: &SimStorage) -> SimStorage {
        storage.restart()
    }
}

/// Real files.
pub(crate) struct Files<const KEEPS_UNSYNCED: bool> {
    directory: TempDir,
    backend: fn(FileStorage) -> FileStorage,
    count: Cell<u32>,
}

fn files<const KEEPS: bool>(backend: fn(FileStorage) -> FileStorage) -> Files<KEEPS> {
    // Beside what was compiled: more often on a disk than the system's temporary files.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    Files { directory, backend, count: Cell::new(0) }
}

/// Files that are written through a mapping.
pub(crate) fn mmap() -> Option<Files<true>> {
    Some(files(|storage| storage))
}

/// Files that are written directly, a group with one write.
pub(crate) fn direct() -> Option<Files<false>> {
    if_direct(files(|storage| storage.with_journal_io(JournalIo::Direct)))
}

/// Files that are written directly, large groups in pieces, if this machine has io_uring; else as [`direct`].
pub(crate) fn direct_with_io_uring() -> Option<Files<false>> {
    if_direct(files(|storage| storage.with_journal_io(JournalIo::Direct).with_io_uring()))
}

/// Says what it skips where files cannot be written directly.
fn if_direct(files: Files<false>) -> Option<Files<false>> {
    if cfg!(feature = "unsafe-no-sync") {
        println!("skipped: what is written directly is written by the sync, which is left out");
        return None;
    }
    match files.empty().probe() {
        Ok(()) => Some(files),
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
            println!("skipped: {}: {error}", files.directory.path().display());
            None
        }
        Err(error) => panic!("the directory cannot be tested: {error}"),
    }
}

impl<const KEEPS: bool> Place for Files<KEEPS> {
    type Storage = FileStorage;
    const KEEPS_UNSYNCED: bool = KEEPS;
    const EVERY: usize = 7;

    fn empty(&self) -> FileStorage {
        self.count.set(self.count.get() + 1);
        let directory = self.directory.path().join(self.count.get().to_string());
        (self.backend)(FileStorage::create(directory).expect("a directory"))
    }
}

/// The names in a storage's directory, in order.
pub(crate) fn names(storage: &impl Storage) -> Vec<String> {
    let entries = storage.list().expect("listed");
    let mut names: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
    names.sort();
    // A real directory keeps the lock's file.
    names.retain(|name| name != "LOCK");
    names
}

/// All bytes of a file.
pub(crate) fn contents(storage: &impl Storage, name: &str) -> Vec<u8> {
    let entries = storage.list().expect("listed");
    let entry = entries.into_iter().find(|entry| entry.name == name).expect("there is such a file");
    let mut bytes = vec![0; entry.size as usize];
    assert_eq!(storage.read(name, 0, &mut bytes).expect("read"), bytes.len());
    bytes
}

#[allow(unused_macros, reason = "every test binary uses another part")]
/// Makes tests of functions that take a place: one for each kind of storage.
macro_rules! on_every_backend {
    ($($name:ident),* $(,)?) => {
        mod simulated {
            $(#[test] fn $name() { super::$name(&crate::common::place::Simulated); })*
        }
        on_every_backend! { @files mmap $($name)* }
        on_every_backend! { @files direct $($name)* }
        on_every_backend! { @files direct_with_io_uring $($name)* }
    };
    (@files $backend:ident $($name:ident)*) => {
        mod $backend {
            $(
                #[test]
                fn $name() {
                    if let Some(place) = crate::common::place::$backend() {
                        super::$name(&place);
                    }
                }
            )*
        }
    };
}
#[allow(unused_imports, reason = "every test binary uses another part")]
pub(crate) use on_every_backend;
