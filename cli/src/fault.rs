//! A node's disk that fails or dawdles on demand: what the drills `failing-sync` and `slow-disk` mount under a node.
//!
//! A file says what the next sync does: nothing in it, or no file, means a sound disk; `fail` an input/output error;
//! `slow N` a delay of N milliseconds. It is read before every sync, so that a fault comes and goes at a chosen moment.
//!
//! Invariants: bytes are never changed; a file that cannot be understood is a failing disk, never a sound one. What is
//! absent: any use outside of drills. `mizan start` takes such a file only under a hidden option.

use crate::error::CliError;
use mizan_journal::fault::{Call, FaultStorage, Faults, Operation, Verdict};
use mizan_journal::{FileStorage, Superblock};
use mizan_node::NodeError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The number of the error that a failing disk gives: EIO.
const EIO: i32 = 5;

/// What a disk does at every sync.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// It fails.
    Fail,
    /// It takes so much longer.
    Slow(Duration),
}

/// Reads the file before every sync.
#[derive(Debug)]
pub struct FileFaults {
    path: PathBuf,
}

impl Faults for FileFaults {
    fn before(&self, call: &Call<'_>) -> Verdict {
        if !matches!(call.operation, Operation::SegmentSync | Operation::SyncFile) {
            return Verdict::Proceed;
        }
        match read(&self.path) {
            None => Verdict::Proceed,
            Some(Fault::Fail) => Verdict::Fail(EIO),
            Some(Fault::Slow(delay)) => {
                std::thread::sleep(delay);
                Verdict::Proceed
            }
        }
    }
}

/// The files of a node, with faults as the file at `path` says.
///
/// # Errors
/// A directory that is not formatted.
pub fn storage(
    data: &Path,
    path: &Path,
) -> Result<Arc<FaultStorage<FileStorage, FileFaults>>, NodeError> {
    let storage = FileStorage::new(data);
    let journal_io = Superblock::read(&storage)?.journal_io;
    let faults = Arc::new(FileFaults { path: path.to_owned() });
    Ok(Arc::new(FaultStorage::new(storage.with_journal_io(journal_io), faults)))
}

/// Writes what the disk does from now on; the file changes at once or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn set(path: &Path, fault: Option<Fault>) -> Result<(), CliError> {
    let text = match fault {
        None => String::new(),
        Some(Fault::Fail) => "fail\n".to_owned(),
        Some(Fault::Slow(delay)) => format!("slow {}\n", delay.as_millis()),
    };
    let new = path.with_extension("new");
    std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, path)).map_err(|source| {
        CliError::File { what: format!("cannot write {}", path.display()), source }
    })
}

fn read(path: &Path) -> Option<Fault> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(_) => return Some(Fault::Fail),
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        [] => None,
        ["slow", delay_ms] => {
            Some(delay_ms.parse().map_or(Fault::Fail, |ms| Fault::Slow(Duration::from_millis(ms))))
        }
        _ => Some(Fault::Fail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_comes_and_goes_with_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("fault");
        assert_eq!(read(&path), None);
        for fault in [Some(Fault::Fail), Some(Fault::Slow(Duration::from_millis(250))), None] {
            set(&path, fault).expect("written");
            assert_eq!(read(&path), fault);
        }
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_a_failing_disk() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("fault");
        for text in ["slow", "slow x", "slow 1 2", "sound"] {
            std::fs::write(&path, text).expect("written");
            assert_eq!(read(&path), Some(Fault::Fail), "{text}");
        }
    }
}
