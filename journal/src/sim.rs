//! A disk in memory that forgets what was not synced.
//!
//! It keeps, per 4 KiB page, the durable contents and the versions written since. When power is lost, every page
//! keeps its durable contents or any later version, or 512-byte sectors of two of them; of the changes of names
//! that were not synced, any subset survives in order. A sync can fail, with the cache showing what the disk never got; there
//! may be no room; the last write may be cut at any byte; and the disk can be damaged at rest ([`Damage`]). Everything
//! random comes from seeds.
//!
//! It does not model time: a slow disk is for the caller to play.

mod damage;
mod file;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::constants::PAGE_SIZE;
use crate::storage::{Entry, LockError, Segment, Storage};

const PAGE: usize = PAGE_SIZE as usize;
const SECTOR: usize = 512;
const ENOSPC: i32 = 28;
const EIO: i32 = 5;

pub use damage::Damage;
use file::SimFile;

/// A small seeded generator (splitmix64): the same seed gives the same run everywhere.
#[derive(Debug, Clone)]
pub struct SimRandom(u64);

impl SimRandom {
    /// Starts at `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        SimRandom(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    ///
    /// # Panics
    /// When `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound
    }
}

/// A change of names, by the directory whose sync makes it durable.
#[derive(Debug, Clone)]
enum NameChange {
    Link { name: String, file: u64 },
    Unlink { name: String },
    Rename { from: String, to: String, file: u64 },
}

#[derive(Debug, Clone, Default)]
struct SimDisk {
    files: BTreeMap<u64, SimFile>,
    next_file: u64,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    /// Not yet synced, with the directory.
    changes: Vec<(String, NameChange)>,
    directories: Vec<String>,
    locked: bool,
    boot: u64,
    operations: u64,
    operations_until_power_loss: Option<u64>,
    /// Bytes that get through of a write in which the power goes.
    last_write: Option<u64>,
    /// Seed of the failure of the next sync, if it is to fail.
    sync_failure: Option<u64>,
    is_full: bool,
}

fn directory_of(name: &str) -> String {
    name.rsplit_once('/').map_or(String::new(), |(directory, _)| directory.to_owned())
}

fn apply(names: &mut BTreeMap<String, u64>, change: &NameChange) {
    match change {
        NameChange::Link { name, file } => {
            names.insert(name.clone(), *file);
        }
        NameChange::Unlink { name } => {
            names.remove(name);
        }
        NameChange::Rename { from, to, file } => {
            names.remove(from);
            names.insert(to.clone(), *file);
        }
    }
}

impl SimDisk {
    fn change(&mut self, change: NameChange) {
        let name = match &change {
            NameChange::Link { name, .. } | NameChange::Unlink { name } => name,
            NameChange::Rename { to, .. } => to,
        };
        let directory = directory_of(name);
        apply(&mut self.names, &change);
        self.changes.push((directory, change));
    }

    fn file(&mut self, name: &str) -> io::Result<&mut SimFile> {
        let file = self.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.files.get_mut(file).expect("invariant: a name has a file"))
    }

    fn lose_power(&mut self, random: &mut SimRandom) {
        for (_, change) in std::mem::take(&mut self.changes) {
            if random.below(2) == 0 {
                apply(&mut self.durable_names, &change);
            }
        }
        self.names = self.durable_names.clone();
        let kept: Vec<u64> = self.names.values().copied().collect();
        self.files.retain(|file, _| kept.contains(file));
        for file in self.files.values_mut() {
            file.lose_power(random);
        }
        self.locked = false;
        self.boot += 1;
        self.operations_until_power_loss = None;
        self.sync_failure = None;
    }
}

/// A handle on a simulated disk; it is dead once the power was lost.
#[derive(Debug, Clone)]
pub struct SimStorage {
    disk: Arc<Mutex<SimDisk>>,
    boot: u64,
}

impl Default for SimStorage {
    fn default() -> Self {
        Self::new()
    }
}

impl SimStorage {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        SimStorage { disk: Arc::default(), boot: 0 }
    }

    fn disk(&self) -> MutexGuard<'_, SimDisk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls that change something, so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.disk().operations
    }

    /// After so many further calls that change something, every call fails until [`SimStorage::power_cycle`].
    pub fn lose_power_after(&self, operations: u64) {
        self.disk().operations_until_power_loss = Some(operations);
    }

    /// As [`SimStorage::lose_power_after`], and if a write comes then, a part of it gets through, in bytes modulo its
    /// length.
    pub fn lose_power_within(&self, operations: u64, bytes: u64) {
        let mut disk = self.disk();
        disk.operations_until_power_loss = Some(operations);
        disk.last_write = Some(bytes);
    }

    /// Whether calls fail because the power went.
    #[must_use]
    pub fn is_powerless(&self) -> bool {
        self.disk().operations_until_power_loss == Some(0)
    }

    /// The next sync of a file or of a segment fails; what got to the disk is drawn from `seed`. What did not is seen
    /// by reads until [`Storage::settle`] or a loss of power.
    pub fn fail_next_sync(&self, seed: u64) {
        self.disk().sync_failure = Some(seed);
    }

    /// Whether there is no room for new files.
    pub fn set_full(&self, is_full: bool) {
        self.disk().is_full = is_full;
    }

    /// Loses power now and comes back with what survived; older handles are dead. Returns the new handle.
    #[must_use]
    pub fn power_cycle(&self, random: &mut SimRandom) -> SimStorage {
        let mut disk = self.disk();
        disk.lose_power(random);
        SimStorage { disk: Arc::clone(&self.disk), boot: disk.boot }
    }

    /// The process ends and starts again: nothing is forgotten, the lock is free, older handles are dead.
    #[must_use]
    pub fn restart(&self) -> SimStorage {
        let mut disk = self.disk();
        disk.locked = false;
        disk.boot += 1;
        disk.operations_until_power_loss = None;
        disk.sync_failure = None;
        SimStorage { disk: Arc::clone(&self.disk), boot: disk.boot }
    }

    /// A copy of the disk as reads see it, with nobody holding the lock.
    #[must_use]
    pub fn fork(&self) -> SimStorage {
        let mut disk = self.disk().clone();
        disk.locked = false;
        disk.operations_until_power_loss = None;
        disk.sync_failure = None;
        SimStorage { boot: disk.boot, disk: Arc::new(Mutex::new(disk)) }
    }

    /// The contents of a file, as reads see them.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn contents(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut disk = self.disk();
        let file = disk.file(name)?;
        let mut bytes = vec![0; file.size as usize];
        file.read(0, &mut bytes);
        Ok(bytes)
    }

    /// All file names.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.disk().names.keys().cloned().collect()
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, SimDisk>> {
        let disk = self.disk();
        if disk.boot != self.boot || disk.operations_until_power_loss == Some(0) {
            return Err(io::Error::other("the power is off"));
        }
        Ok(disk)
    }

    fn changing(&self) -> io::Result<MutexGuard<'_, SimDisk>> {
        let mut disk = self.alive()?;
        disk.operations += 1;
        if let Some(left) = &mut disk.operations_until_power_loss {
            *left -= 1;
        }
        Ok(disk)
    }

    /// If the power goes in this write, some of its bytes get through.
    fn cut_last_write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk();
        if disk.boot == self.boot && disk.operations_until_power_loss == Some(0) {
            let length = disk.last_write.take().unwrap_or(0) as usize % (bytes.len() + 1);
            disk.file(name)?.write(offset, &bytes[..length]);
        }
        Ok(())
    }

    fn sync_pages(&self, name: &str, pages: Range<u64>) -> io::Result<()> {
        let mut disk = self.changing()?;
        let Some(seed) = disk.sync_failure.take() else {
            disk.file(name)?.sync(pages);
            return Ok(());
        };
        disk.file(name)?.fail_sync(pages, &mut SimRandom::new(seed));
        Err(io::Error::from_raw_os_error(EIO))
    }
}

/// The lock on a simulated directory.
#[derive(Debug)]
pub struct SimLock {
    storage: SimStorage,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut disk = self.storage.disk();
        if disk.boot == self.storage.boot {
            disk.locked = false;
        }
    }
}

/// An open segment on a simulated disk.
#[derive(Debug)]
pub struct SimSegment {
    storage: SimStorage,
    name: String,
    /// What the mapping shows.
    memory: Vec<u8>,
}

impl Storage for SimStorage {
    type Segment = SimSegment;
    type Lock = SimLock;

    fn describe(&self) -> String {
        "(simulated)".to_owned()
    }

    fn lock(&self) -> Result<SimLock, LockError> {
        let mut disk = self.alive()?;
        if std::mem::replace(&mut disk.locked, true) {
            return Err(LockError::Held { holder: "this process".to_owned() });
        }
        Ok(SimLock { storage: self.clone() })
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        let disk = self.alive()?;
        let files =
            disk.names.iter().filter(|(name, _)| !name.contains('/')).map(|(name, file)| Entry {
                name: name.clone(),
                size: disk.files[file].size,
                is_directory: false,
            });
        let directories = disk.directories.iter().map(|name| Entry {
            name: name.clone(),
            size: 0,
            is_directory: true,
        });
        Ok(files.chain(directories).collect())
    }

    fn make_directory(&self, name: &str) -> io::Result<()> {
        let mut disk = self.changing()?;
        if !disk.directories.iter().any(|known| known == name) {
            disk.directories.push(name.to_owned());
        }
        Ok(())
    }

    fn create(&self, name: &str, size: u64) -> io::Result<()> {
        let mut disk = self.changing()?;
        if disk.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if disk.is_full {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        let file = disk.next_file;
        disk.next_file += 1;
        disk.files.insert(file, SimFile::of_size(size));
        disk.change(NameChange::Link { name: name.to_owned(), file });
        Ok(())
    }

    fn read(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.alive()?.file(name)?.read(offset, buffer))
    }

    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.cut_last_write(name, offset, bytes)?;
        self.changing()?.file(name)?.write(offset, bytes);
        Ok(())
    }

    fn sync_file(&self, name: &str) -> io::Result<()> {
        self.sync_pages(name, 0..u64::MAX)?;
        self.alive()?.file(name)?.sync_all();
        Ok(())
    }

    fn settle(&self, name: &str) -> io::Result<()> {
        self.sync_file(name)?;
        self.alive()?.file(name)?.drop_cache();
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.changing()?;
        let file = *disk.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        disk.change(NameChange::Rename { from: from.to_owned(), to: to.to_owned(), file });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.changing()?;
        disk.file(name)?;
        disk.change(NameChange::Unlink { name: name.to_owned() });
        Ok(())
    }

    fn sync_directory(&self, name: &str) -> io::Result<()> {
        let mut disk = self.changing()?;
        let disk = &mut *disk;
        let durable_names = &mut disk.durable_names;
        disk.changes.retain(|(directory, change)| {
            let synced = directory == name;
            if synced {
                apply(durable_names, change);
            }
            !synced
        });
        Ok(())
    }

    fn open_segment(&self, name: &str, size: u64) -> io::Result<SimSegment> {
        let mut memory = vec![0; size as usize];
        let mut disk = self.alive()?;
        let file = disk.file(name)?;
        for index in file.pages().collect::<Vec<_>>() {
            let start = (index * PAGE_SIZE) as usize;
            file.read(index * PAGE_SIZE, &mut memory[start..start + PAGE]);
        }
        drop(disk);
        Ok(SimSegment { storage: self.clone(), name: name.to_owned(), memory })
    }
}

impl Segment for SimSegment {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let start = offset as usize;
        self.memory[start..start + bytes.len()].copy_from_slice(bytes);
        self.storage.write(&self.name, offset, bytes)
    }

    fn view(&self, offset: u64, length: usize) -> &[u8] {
        let start = offset as usize;
        &self.memory[start..start + length]
    }

    fn sync(&mut self, offset: u64, length: u64) -> io::Result<()> {
        let pages = offset / PAGE_SIZE..(offset + length) / PAGE_SIZE;
        self.storage.sync_pages(&self.name, pages)
    }

    fn shows_writes(&self) -> bool {
        true
    }
}
