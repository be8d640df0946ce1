//! A segment file mapped into memory: one of the two places of this crate with unsafe code.
//!
//! The mapping is written by the thread that owns it and never read by anyone else through memory: recovery,
//! verification and replication read with pread. Only what was just written is read back, to hash it.
//!
//! A sync first takes the pages of its range out of the mapping. The sync has to make them read-only otherwise, one by
//! one, and each time interrupts every other core that runs a thread of this process: with one such core busy, the sync
//! of 1 MiB took 4 ms of CPU instead of 0.3. A page that was synced is not written again, so that nothing faults.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::sync::Once;

use memmap2::{Advice, MmapMut, UncheckedAdvice};
use rustix::fs::Advice as FileAdvice;

use crate::constants::CACHE_CHUNK;
use crate::file::cache_piece;
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

/// Reads into the page cache what is not there yet, page by page.
///
/// The faults below would do it too, but with a read-ahead whose pieces grow to 1 MiB, and a sync writes whole
/// pieces: in a segment that a node went on with after a restart, syncs of 4 KiB wrote up to 1 MiB each.
fn cache_in_pages(file: &File, size: u64) {
    for offset in (0..size).step_by(CACHE_CHUNK as usize) {
        // A hint: where it is not taken, the faults read.
        let _ = rustix::fs::fadvise(file, offset, NonZero::new(CACHE_CHUNK), FileAdvice::WillNeed);
    }
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
        cache_in_pages(file, size);
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

    /// Takes the pages of the range out of the mapping, in one step for all of them. Their contents stay where they
    /// are, in the page cache, and the file's pages count as changed if they were changed through the mapping.
    fn detach(&mut self, offset: u64, length: u64) {
        // SAFETY: the mapping is shared, not private: the advice drops entries of the page table, no contents, and a
        // later access faults the same page of the page cache in again. The segment is borrowed exclusively, so
        // nobody is using a reference into it meanwhile.
        let detached = unsafe {
            self.map.unchecked_advise_range(
                UncheckedAdvice::DontNeed,
                offset as usize,
                length as usize,
            )
        };
        // Refused for memory that is locked: then the sync costs more, and does the same.
        drop(detached);
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
        // The sync writes the last piece of the page cache whole, and would make what is mapped of it read-only page by
        // page. So all of it leaves the mapping; what belongs to the next group is faulted in again.
        let end =
            (offset + length).next_multiple_of(cache_piece(length)).min(self.map.len() as u64);
        self.detach(offset, end - offset);
        self.map.flush_range(offset as usize, length as usize)
    }

    /// Mapping and reads share the page cache.
    fn shows_writes(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    const SIZE: u64 = 64 << 10;

    fn mapped() -> (File, MappedSegment) {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(&[0; SIZE as usize], 0).expect("filled");
        let segment = MappedSegment::map(&file, SIZE).expect("mapped");
        (file, segment)
    }

    fn contents(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; SIZE as usize];
        file.read_exact_at(&mut bytes, 0).expect("read");
        bytes
    }

    fn write_in_groups(file: &File, segment: &mut MappedSegment) {
        let mut expected = vec![0; SIZE as usize];
        for (offset, length) in [(0, 4096), (4096, 12288), (16384, 4096), (20480, 45056)] {
            let bytes: Vec<u8> = (0..length).map(|place| (place / 3 + offset) as u8).collect();
            expected[offset..offset + length].copy_from_slice(&bytes);
            segment.write(offset as u64, &bytes).expect("written");
            segment.sync(offset as u64, length as u64).expect("synced");
            assert!(contents(file) == expected, "group at {offset}");
            assert!(segment.view(0, SIZE as usize) == expected, "group at {offset}");
        }
    }

    #[test]
    fn what_was_synced_is_in_the_file_and_in_view_and_its_neighbours_are_unharmed() {
        let (file, mut segment) = mapped();
        write_in_groups(&file, &mut segment);
    }

    #[test]
    fn a_page_that_was_synced_can_be_written_and_synced_again() {
        let (file, mut segment) = mapped();
        for round in 1..=3_u8 {
            segment.write(5000, &[round; 10_000]).expect("written");
            segment.sync(4096, 12288).expect("synced");
            let found = contents(&file);
            assert!(found[5000..15_000].iter().all(|byte| *byte == round));
            assert!(found[..5000].iter().chain(&found[15_000..]).all(|byte| *byte == 0));
        }
    }

    #[test]
    fn a_segment_locked_in_memory_syncs_all_the_same() {
        let (file, mut segment) = mapped();
        if let Err(error) = segment.map.lock() {
            println!("skipped: memory cannot be locked here: {error}");
            return;
        }
        write_in_groups(&file, &mut segment);
    }
}
