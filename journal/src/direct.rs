//! A segment that is written directly: past the page cache, and durable when the write returns.
//!
//! What is put is kept in page-aligned memory; a sync writes it as one run of whole pages, through a descriptor with
//! `O_DIRECT | O_DSYNC`. A large run can go out in pieces that are in flight together, if that is asked for and
//! io_uring can be used.
//!
//! Invariants: offset, length and memory address of every write are multiples of the page size; what was put is
//! written once; bytes of a page that were not put since the last sync become zeros, which is what the journal wants,
//! as a group starts on a fresh page.
//!
//! It deliberately writes nothing before the sync: what was put and not synced is gone with the process, and no reader
//! sees it. Recovery, verification and replication use pread like everybody; only a scrub, which has to see the disk and
//! not what is cached of it, reads directly.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{Advice, AtFlags, OFlags, StatxFlags};
use rustix::io::Errno;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::constants::{DIRECT_PIECE_SIZE, DIRECT_STAGING_SIZE, PAGE_SIZE, PREPARE_CHUNK};
use crate::frame::align_page;
use crate::storage::Segment;
use crate::uring::WriteRing;

const PAGE: usize = PAGE_SIZE as usize;
/// `f_type` of tmpfs, from linux/magic.h.
const TMPFS_MAGIC: u32 = 0x0102_1994;

/// Zeros to write, again and again in one request: so little stays in the processor's cache, and needs no memory.
static ZEROS: [Page; 16] = [Page([0; PAGE]); 16];

/// One page, aligned like one.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(4096))]
pub(crate) struct Page([u8; PAGE]);

impl Page {
    /// A page of zeros.
    pub(crate) const ZERO: Self = Self([0; PAGE]);
}

/// What was put since the last sync: one run of bytes from the start of a page on.
#[derive(Debug)]
struct Staging {
    pages: Vec<Page>,
    /// Byte offset in the segment of the first page.
    base: u64,
    /// Bytes from `base` on that are put or zeroed; 0 when nothing is.
    used: usize,
}

impl Staging {
    fn new(size: usize) -> Self {
        let mut staging = Staging { pages: Vec::new(), base: 0, used: 0 };
        staging.reserve(size);
        staging
    }

    /// Makes room for `size` bytes and touches it.
    fn reserve(&mut self, size: usize) {
        let pages = size.div_ceil(PAGE);
        if pages > self.pages.len() {
            self.pages.resize(pages.next_power_of_two(), Page([0; PAGE]));
        }
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) {
        let page = offset - offset % PAGE_SIZE;
        if self.used == 0 {
            self.base = page;
        } else if page < self.base {
            let shift = (self.base - page) as usize;
            self.reserve(self.used + shift);
            let staged = self.pages.as_mut_bytes();
            staged.copy_within(..self.used, shift);
            staged[..shift].fill(0);
            self.base = page;
            self.used += shift;
        }
        let start = (offset - self.base) as usize;
        let end = start + bytes.len();
        self.reserve(end);
        let staged = self.pages.as_mut_bytes();
        if start > self.used {
            staged[self.used..start].fill(0);
        }
        staged[start..end].copy_from_slice(bytes);
        self.used = self.used.max(end);
    }

    fn view(&self, offset: u64, length: usize) -> &[u8] {
        let start = offset.checked_sub(self.base).expect("invariant: what is viewed was put");
        let staged = &self.pages.as_bytes()[..self.used];
        &staged[start as usize..start as usize + length]
    }

    /// The run in whole pages.
    fn run(&mut self) -> &[u8] {
        let end = align_page(self.used as u64) as usize;
        let staged = self.pages.as_mut_bytes();
        staged[self.used..end].fill(0);
        &staged[..end]
    }
}

/// Memory and queue of one segment in use. Both are costly to make, so the next segment takes them over.
#[derive(Debug)]
struct Writer {
    staging: Staging,
    ring: Option<WriteRing>,
}

impl Writer {
    fn new(with_ring: bool) -> Self {
        let ring = if with_ring { WriteRing::probe().ok() } else { None };
        Writer { staging: Staging::new(DIRECT_STAGING_SIZE), ring }
    }

    fn flush(&mut self, file: &File) -> io::Result<()> {
        let base = self.staging.base;
        let run = self.staging.run();
        debug_assert!(base.is_multiple_of(PAGE_SIZE) && run.as_ptr().addr().is_multiple_of(PAGE));
        match &mut self.ring {
            Some(ring) if run.len() > DIRECT_PIECE_SIZE => ring.write_all_at(file, run, base)?,
            _ => file.write_all_at(run, base)?,
        }
        self.staging.used = 0;
        Ok(())
    }
}

/// Keeps the writer between two segments.
#[derive(Debug)]
pub(crate) struct WriterPool {
    with_ring: bool,
    idle: Mutex<Option<Box<Writer>>>,
    has_ring: Mutex<Option<bool>>,
}

impl WriterPool {
    /// A pool whose writers try to use io_uring, or do not.
    pub(crate) fn new(with_ring: bool) -> Self {
        WriterPool { with_ring, idle: Mutex::new(None), has_ring: Mutex::new(None) }
    }

    fn make(&self) -> Box<Writer> {
        let writer = Box::new(Writer::new(self.with_ring));
        *self.has_ring.lock() = Some(writer.ring.is_some());
        writer
    }

    fn take(&self) -> Box<Writer> {
        let idle = self.idle.lock().take();
        idle.unwrap_or_else(|| self.make())
    }

    fn put_back(&self, mut writer: Box<Writer>) {
        writer.staging.used = 0;
        *self.idle.lock() = Some(writer);
    }

    /// Makes the first writer ahead of its use.
    fn warm_up(&self) {
        if self.has_ring.lock().is_none() {
            let writer = self.make();
            self.put_back(writer);
        }
    }

    /// Whether io_uring is used, which the first writer has found out.
    pub(crate) fn has_ring(&self) -> bool {
        self.warm_up();
        *self.has_ring.lock() == Some(true)
    }
}

/// A segment file that is written directly.
#[derive(Debug)]
pub struct DirectSegment {
    file: File,
    size: u64,
    pool: Arc<WriterPool>,
    /// From the first write on.
    writer: Option<Box<Writer>>,
}

fn direct_options() -> OpenOptions {
    let flags = OFlags::DIRECT | OFlags::DSYNC;
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(flags.bits() as i32);
    options
}

impl DirectSegment {
    /// Opens `size` bytes of the file at `path` for writing, and drops what is cached of it.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file is shorter; what the system says.
    pub(crate) fn open(path: &Path, size: u64, pool: &Arc<WriterPool>) -> io::Result<Self> {
        let file = direct_options().open(path)?;
        if file.metadata()?.len() < size {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "segment file is too short"));
        }
        // Every direct write has to throw out what is cached of its pages; that is cheaper once, and ahead.
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?;
        pool.warm_up();
        Ok(DirectSegment { file, size, pool: Arc::clone(pool), writer: None })
    }

    fn check(&self, offset: u64, length: usize) {
        let end = offset.checked_add(length as u64);
        assert!(end.is_some_and(|end| end <= self.size), "range is outside the segment");
    }
}

impl Segment for DirectSegment {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.check(offset, bytes.len());
        if !bytes.is_empty() {
            let writer = self.writer.get_or_insert_with(|| self.pool.take());
            writer.staging.put(offset, bytes);
        }
        Ok(())
    }

    fn view(&self, offset: u64, length: usize) -> &[u8] {
        self.check(offset, length);
        if length == 0 {
            return &[];
        }
        let writer = self.writer.as_ref().expect("invariant: what is viewed was put");
        writer.staging.view(offset, length)
    }

    fn sync(&mut self, _offset: u64, _length: u64) -> io::Result<()> {
        match &mut self.writer {
            // All that is staged lies in the range or was put for another one; a sync may do more than was asked.
            Some(writer) if writer.staging.used > 0 => writer.flush(&self.file),
            // What was written before was durable when it was.
            _ => Ok(()),
        }
    }

    fn shows_writes(&self) -> bool {
        false
    }
}

impl Drop for DirectSegment {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            self.pool.put_back(writer);
        }
    }
}

/// Fills `length` bytes at `offset` of the file at `path` with zeros, past the page cache; both are multiples of the
/// page size. They are durable after the next sync of the file: what is prepared is not synced piece by piece.
///
/// # Errors
/// What the system says.
pub(crate) fn write_zeros(path: &Path, offset: u64, length: u64) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).custom_flags(OFlags::DIRECT.bits() as i32).open(path)?;
    let zeros = ZEROS.as_bytes();
    let end = offset + length;
    let mut at = offset;
    while at < end {
        let left = ((end - at) as usize).min(PREPARE_CHUNK);
        let slices: Vec<IoSlice<'_>> = (0..left)
            .step_by(zeros.len())
            .map(|start| IoSlice::new(&zeros[..zeros.len().min(left - start)]))
            .collect();
        match rustix::io::pwritev(&file, &slices, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => at += written as u64,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Reads what the disk has at `offset` of the file at `path`, until `buffer` is full or the file ends; the page cache
/// keeps what it has and gets nothing. Offset, length and address are multiples of the page size.
///
/// Where the file system has no direct i/o, what is cached of the range goes before it is read and after.
///
/// # Errors
/// What the system says.
pub(crate) fn read(path: &Path, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    debug_assert!(offset.is_multiple_of(PAGE_SIZE) && buffer.len().is_multiple_of(PAGE));
    debug_assert!(buffer.as_ptr().addr().is_multiple_of(PAGE));
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlags::DIRECT.bits() as i32);
    match options.open(path).and_then(|file| read_pages(&file, offset, buffer)) {
        Err(error)
            if matches!(Errno::from_io_error(&error), Some(Errno::INVAL | Errno::OPNOTSUPP)) =>
        {
            let file = File::open(path)?;
            let length = NonZeroU64::new(buffer.len() as u64);
            rustix::fs::fadvise(&file, offset, length, Advice::DontNeed)?;
            let read = read_pages(&file, offset, buffer);
            rustix::fs::fadvise(&file, offset, length, Advice::DontNeed)?;
            read
        }
        other => other,
    }
}

fn read_pages(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(count) => {
                done += count;
                // Only the end of the file is not at the end of a page.
                if count == 0 || !done.is_multiple_of(PAGE) {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Finds out, with a file at `path` that is gone afterwards, whether files there can be written directly.
///
/// # Errors
/// `Unsupported`, with the reason, when they cannot; else what the system says.
pub(crate) fn probe_directory(path: &Path) -> io::Result<()> {
    let mut options = direct_options();
    options.create(true).truncate(true).mode(crate::file::FILE_MODE);
    let probed = options.open(path).and_then(|file| probe_file(&file));
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => probed.and(Err(error)),
        _ => probed,
    }
    .map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::INVAL | Errno::OPNOTSUPP) => {
            io::Error::new(io::ErrorKind::Unsupported, "the file system has no direct i/o")
        }
        _ => error,
    })
}

fn probe_file(file: &File) -> io::Result<()> {
    let unfit = |reason: String| Err(io::Error::new(io::ErrorKind::Unsupported, reason));
    // Since Linux 6.6 tmpfs takes the flag, and goes on to keep everything in memory.
    if rustix::fs::fstatfs(file)?.f_type as u32 == TMPFS_MAGIC {
        return unfit("tmpfs keeps files in memory".to_owned());
    }
    // Kernels before 6.1 and some file systems do not tell; then the write below does.
    if let Ok(found) = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN)
        && found.stx_mask & StatxFlags::DIOALIGN.bits() != 0
    {
        let alignment = found.stx_dio_offset_align.max(found.stx_dio_mem_align);
        if found.stx_dio_offset_align == 0 {
            return unfit("the file system has no direct i/o".to_owned());
        }
        if !PAGE_SIZE.is_multiple_of(u64::from(alignment)) {
            return unfit(format!("direct i/o here wants multiples of {alignment} bytes"));
        }
    }
    let page = Box::new(Page([0; PAGE]));
    file.write_all_at(page.as_bytes(), 0)
}
