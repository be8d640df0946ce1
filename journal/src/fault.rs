//! A storage that asks before and after every call whether something shall go wrong.
//!
//! It wraps any other storage. A write can be cut in half; a hook may as well end the process. It never changes
//! bytes and never reorders calls: for that there is [`crate::sim`].

use std::io;
use std::sync::Arc;

use crate::constants::PAGE_SIZE;
use crate::storage::{Entry, LockError, Segment, Storage};

/// What is about to be done, or was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Making a file with its room reserved.
    Create,
    /// Writing to a file that is not open as a segment.
    Write,
    /// Syncing such a file.
    SyncFile,
    /// Syncing a file and dropping its cache.
    Settle,
    /// Renaming a file; `name` is the new one.
    Rename,
    /// Removing a file.
    Remove,
    /// Making a directory.
    MakeDirectory,
    /// Syncing a directory.
    SyncDirectory,
    /// Opening a segment for writing.
    OpenSegment,
    /// Writing to the segment in use.
    SegmentWrite,
    /// Syncing the segment in use.
    SegmentSync,
    /// Reading past the cache, as a scrub does.
    ReadUncached,
}

/// One call.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// What.
    pub operation: Operation,
    /// On which file.
    pub name: &'a str,
    /// Byte offset, 0 where there is none.
    pub offset: u64,
    /// Bytes, 0 where there are none; after a cut, the bytes that were written.
    pub length: u64,
}

/// What shall become of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Do it.
    Proceed,
    /// Do nothing and fail with this error number.
    Fail(i32),
    /// Write only so many bytes, then fail with this error number; other calls just fail.
    Cut {
        /// Bytes to write.
        length: u64,
        /// Error number.
        errno: i32,
    },
}

/// Decides about calls. It may be called from several threads.
pub trait Faults: Send + Sync + 'static {
    /// Before the call.
    fn before(&self, call: &Call<'_>) -> Verdict {
        let _ = call;
        Verdict::Proceed
    }

    /// After the call did something: before its success, or before the failure of a cut, is returned.
    fn after(&self, call: &Call<'_>) {
        let _ = call;
    }
}

/// A storage with faults.
#[derive(Debug, Clone)]
pub struct FaultStorage<S, F> {
    inner: S,
    faults: Arc<F>,
}

/// A segment with faults.
#[derive(Debug)]
pub struct FaultSegment<G, F> {
    inner: G,
    name: String,
    faults: Arc<F>,
}

fn decide<F: Faults>(
    faults: &F,
    call: &Call<'_>,
    act: impl FnOnce(usize) -> io::Result<()>,
) -> io::Result<()> {
    match faults.before(call) {
        Verdict::Proceed => {
            act(call.length as usize)?;
            faults.after(call);
            Ok(())
        }
        Verdict::Cut { length, errno }
            if matches!(call.operation, Operation::Write | Operation::SegmentWrite) =>
        {
            let length = length.min(call.length);
            act(length as usize)?;
            faults.after(&Call { length, ..*call });
            Err(io::Error::from_raw_os_error(errno))
        }
        Verdict::Fail(errno) | Verdict::Cut { errno, .. } => {
            Err(io::Error::from_raw_os_error(errno))
        }
    }
}

impl<S, F> FaultStorage<S, F> {
    /// Wraps `inner`.
    pub fn new(inner: S, faults: Arc<F>) -> Self {
        FaultStorage { inner, faults }
    }

    /// The storage inside.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: Storage, F: Faults> FaultStorage<S, F> {
    fn plain(
        &self,
        operation: Operation,
        name: &str,
        act: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let call = Call { operation, name, offset: 0, length: 0 };
        decide(&*self.faults, &call, |_| act())
    }
}

impl<S: Storage, F: Faults> Storage for FaultStorage<S, F> {
    type Segment = FaultSegment<S::Segment, F>;
    type Lock = S::Lock;

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn probe(&self) -> io::Result<()> {
        self.inner.probe()
    }

    fn lock(&self) -> Result<S::Lock, LockError> {
        self.inner.lock()
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        self.inner.list()
    }

    fn make_directory(&self, name: &str) -> io::Result<()> {
        self.plain(Operation::MakeDirectory, name, || self.inner.make_directory(name))
    }

    fn create(&self, name: &str, size: u64) -> io::Result<()> {
        let call = Call { operation: Operation::Create, name, offset: 0, length: size };
        decide(&*self.faults, &call, |_| self.inner.create(name, size))
    }

    fn read(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(name, offset, buffer)
    }

    fn read_uncached(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len() as u64;
        let call = Call { operation: Operation::ReadUncached, name, offset, length };
        let mut done = 0;
        decide(&*self.faults, &call, |_| {
            done = self.inner.read_uncached(name, offset, buffer)?;
            Ok(())
        })?;
        Ok(done)
    }

    fn read_ahead(&self, name: &str) {
        self.inner.read_ahead(name);
    }

    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let length = bytes.len() as u64;
        let call = Call { operation: Operation::Write, name, offset, length };
        decide(&*self.faults, &call, |length| self.inner.write(name, offset, &bytes[..length]))
    }

    fn write_zeros(&self, name: &str, offset: u64, length: u64, sync_size: u64) -> io::Result<()> {
        let call = Call { operation: Operation::Write, name, offset, length };
        decide(&*self.faults, &call, |length| {
            // A cut leaves whole pages, too: the storage takes nothing else.
            let length = length as u64;
            self.inner.write_zeros(name, offset, length - length % PAGE_SIZE, sync_size)
        })
    }

    fn sync_file(&self, name: &str) -> io::Result<()> {
        self.plain(Operation::SyncFile, name, || self.inner.sync_file(name))
    }

    fn settle(&self, name: &str) -> io::Result<()> {
        self.plain(Operation::Settle, name, || self.inner.settle(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.plain(Operation::Rename, to, || self.inner.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.plain(Operation::Remove, name, || self.inner.remove(name))
    }

    fn sync_directory(&self, name: &str) -> io::Result<()> {
        self.plain(Operation::SyncDirectory, name, || self.inner.sync_directory(name))
    }

    fn open_segment(&self, name: &str, size: u64) -> io::Result<Self::Segment> {
        let mut opened = None;
        self.plain(Operation::OpenSegment, name, || {
            opened = Some(self.inner.open_segment(name, size)?);
            Ok(())
        })?;
        let inner = opened.expect("invariant: a call that succeeded was made");
        Ok(FaultSegment { inner, name: name.to_owned(), faults: Arc::clone(&self.faults) })
    }
}

impl<G: Segment, F: Faults> Segment for FaultSegment<G, F> {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let length = bytes.len() as u64;
        let call = Call { operation: Operation::SegmentWrite, name: &self.name, offset, length };
        let inner = &mut self.inner;
        decide(&*self.faults, &call, |length| inner.write(offset, &bytes[..length]))
    }

    fn view(&self, offset: u64, length: usize) -> &[u8] {
        self.inner.view(offset, length)
    }

    fn sync(&mut self, offset: u64, length: u64) -> io::Result<()> {
        let call = Call { operation: Operation::SegmentSync, name: &self.name, offset, length };
        let inner = &mut self.inner;
        decide(&*self.faults, &call, |_| inner.sync(offset, length))
    }

    fn shows_writes(&self) -> bool {
        self.inner.shows_writes()
    }
}
