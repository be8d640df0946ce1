//! A segment file mapped into memory: one of the two places of this crate with unsafe code.
//!
//! The mapping is written by the thread that owns it and never read by anyone else through memory: recovery,
//! verification and replication read with pread. Only what was just written is read back, to hash it.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Once;

use memmap2::{Advice, MmapMut};

use crate::storage::Segment;

/// A segment in a shared writable mapping.
#[derive(Debug)]
pub struct MappedSegment {
    map: MmapMut,
}

/// What a process says when the file system cannot give a mapped page: a bad sector, or a file cut short.
const BUS_ERROR: &[u8] = b"\nfatal: SIGBUS: a mapped page of a journal segment is gone (bad sector, or a file cut short); \
nothing more is acknowledged. Check the disk and the kernel log, then run `mizan verify` before starting again.\n";

/// Turns SIGBUS from a silent death into one with a message. Once per process, at the first mapping.
fn explain_bus_errors() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let explain = || {
            // Nothing is left to do if even this cannot be said.
            let _ = rustix::io::write(rustix::stdio::stderr(), BUS_ERROR);
            std::process::abort();
        };
        // SAFETY: the action only calls write(2) and abort(3), which are async-signal-safe, and it does not return,
        // so the access that failed is never repeated.
        let registered =
            unsafe { signal_hook::low_level::register(signal_hook::consts::SIGBUS, explain) };
        // Without the handler the signal still ends the process, only without words.
        drop(registered);
    });
}

impl MappedSegment {
    /// Maps `size` bytes of `file` and faults every page in, so that the first store to a page does not wait.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file is shorter; what the system says.
    pub(crate) fn map(file: &File, size: u64) -> io::Result<Self> {
        if file.metadata()?.len() < size {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "segment file is too short"));
        }
        explain_bus_errors();
        let length = usize::try_from(size).map_err(io::Error::other)?;
        // SAFETY: a mapping is unsound if others change or shorten the file under a live reference. The caller
        // holds the exclusive lock on the directory, so no other journal opens it; within this process segments
        // are written by pwrite only before they are mapped, and they are never shortened (`Storage` has no
        // truncate). The room was reserved and filled, so a store cannot hit a hole. The length was just checked.
        let map = unsafe { memmap2::MmapOptions::new().len(length).map_mut(file)? };
        match map.advise(Advice::PopulateWrite) {
            // Kernels before 5.14 do not know the advice; pages are then faulted in one by one.
            Err(error) if error.kind() != io::ErrorKind::InvalidInput => return Err(error),
            _ => {}
        }
        Ok(MappedSegment { map })
    }

    fn range(offset: u64, length: usize) -> Range<usize> {
        let start = offset as usize;
        start..start + length
    }
}

impl Segment for MappedSegment {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.map[Self::range(offset, bytes.len())].copy_from_slice(bytes);
        Ok(())
    }

    fn view(&self, offset: u64, length: usize) -> &[u8] {
        &self.map[Self::range(offset, length)]
    }

    fn sync(&mut self, offset: u64, length: u64) -> io::Result<()> {
        self.map.flush_range(offset as usize, length as usize)
    }
}
