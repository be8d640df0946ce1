//! One file of a simulated disk: pages that are durable, that were written since, and that only the cache holds.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{PAGE, SECTOR, SimRandom};
use crate::constants::PAGE_SIZE;

/// Versions of a page kept beside the durable one; older ones are thinned out.
const VERSIONS_MAX: usize = 4;

pub(super) type Page = Box<[u8; PAGE]>;

#[derive(Debug, Clone, Default)]
pub(super) struct SimFile {
    pub(super) size: u64,
    durable_size: u64,
    /// Pages that are not zero.
    durable: BTreeMap<u64, Page>,
    /// Versions since the last sync, oldest first; the last one is what reads see.
    unsynced: BTreeMap<u64, Vec<Page>>,
    /// Pages that a failed sync left in the cache: reads see them, no later sync writes them.
    stranded: BTreeMap<u64, Page>,
}

impl SimFile {
    pub(super) fn of_size(size: u64) -> Self {
        SimFile { size, ..SimFile::default() }
    }

    fn page(&self, index: u64) -> Option<&Page> {
        self.unsynced
            .get(&index)
            .and_then(|versions| versions.last())
            .or_else(|| self.stranded.get(&index))
            .or_else(|| self.durable.get(&index))
    }

    /// Indexes of the pages that are not zero as reads see them, ascending but for repetitions.
    pub(super) fn pages(&self) -> impl Iterator<Item = u64> {
        self.durable.keys().chain(self.stranded.keys()).chain(self.unsynced.keys()).copied()
    }

    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let end = self.size.min(offset + buffer.len() as u64);
        let mut at = offset.min(end);
        let total = (end - at) as usize;
        let mut done = 0;
        while at < end {
            let (index, within) = (at / PAGE_SIZE, (at % PAGE_SIZE) as usize);
            let length = (PAGE - within).min((end - at) as usize);
            match self.page(index) {
                Some(page) => {
                    buffer[done..done + length].copy_from_slice(&page[within..within + length]);
                }
                None => buffer[done..done + length].fill(0),
            }
            at += length as u64;
            done += length;
        }
        total
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let (index, within) = (at / PAGE_SIZE, (at % PAGE_SIZE) as usize);
            let length = (PAGE - within).min(bytes.len() - done);
            let chunk = &bytes[done..done + length];
            done += length;
            let unchanged = match self.page(index) {
                Some(page) => page[within..within + length] == *chunk,
                None => crate::checksum::is_zero(chunk),
            };
            if unchanged {
                continue;
            }
            let mut page = self.page(index).cloned().unwrap_or_else(|| Box::new([0; PAGE]));
            page[within..within + length].copy_from_slice(chunk);
            let versions = self.unsynced.entry(index).or_default();
            if versions.len() == VERSIONS_MAX {
                versions.remove(1);
            }
            versions.push(page);
        }
        self.size = self.size.max(offset + bytes.len() as u64);
    }

    /// The last version of each page that is to be synced.
    fn take_unsynced(&mut self, pages: Range<u64>) -> Vec<(u64, Page)> {
        let indexes: Vec<u64> = self.unsynced.range(pages).map(|(index, _)| *index).collect();
        let versions = indexes.into_iter().filter_map(|index| {
            let last = self.unsynced.remove(&index)?.pop()?;
            Some((index, last))
        });
        versions.collect()
    }

    pub(super) fn sync(&mut self, pages: Range<u64>) {
        for (index, page) in self.take_unsynced(pages) {
            self.stranded.remove(&index);
            self.durable.insert(index, page);
        }
    }

    pub(super) fn sync_all(&mut self) {
        self.sync(0..u64::MAX);
        self.durable_size = self.size;
    }

    /// A sync that fails: some pages got to the disk, the others count as written and stay in the cache.
    pub(super) fn fail_sync(&mut self, pages: Range<u64>, random: &mut SimRandom) {
        for (index, page) in self.take_unsynced(pages) {
            if random.below(2) == 0 {
                self.stranded.remove(&index);
                self.durable.insert(index, page);
            } else {
                self.stranded.insert(index, page);
            }
        }
    }

    /// The cache goes: reads see the disk.
    pub(super) fn drop_cache(&mut self) {
        self.stranded.clear();
    }

    /// Exchanges what two pages hold on the disk.
    pub(super) fn swap_durable(&mut self, one: u64, other: u64) {
        let (first, second) = (self.durable.remove(&one), self.durable.remove(&other));
        self.durable.extend(first.map(|page| (other, page)));
        self.durable.extend(second.map(|page| (one, page)));
    }

    /// Puts what one page holds on the disk into the place of another one, where it should have gone.
    pub(super) fn misdirect_durable(&mut self, from: u64, to: u64) {
        let page = self.durable.remove(&from);
        self.durable.extend(page.map(|page| (to, page)));
    }

    pub(super) fn forget_durable(&mut self, index: u64) {
        self.durable.remove(&index);
    }

    pub(super) fn flip_durable(&mut self, index: u64, bit: usize) {
        if let Some(page) = self.durable.get_mut(&index) {
            page[bit / 8 % PAGE] ^= 1 << (bit % 8);
        }
    }

    /// Pages on the disk that are not zero.
    pub(super) fn durable_pages(&self) -> Vec<u64> {
        self.durable.keys().copied().collect()
    }

    pub(super) fn lose_power(&mut self, random: &mut SimRandom) {
        self.stranded.clear();
        for (index, mut versions) in std::mem::take(&mut self.unsynced) {
            let durable = self.durable.remove(&index).unwrap_or_else(|| Box::new([0; PAGE]));
            versions.insert(0, durable);
            let count = versions.len() as u64;
            let mut kept = versions[random.below(count) as usize].clone();
            if random.below(4) == 0 {
                let other = &versions[random.below(count) as usize];
                for sector in 0..PAGE / SECTOR {
                    let range = sector * SECTOR..(sector + 1) * SECTOR;
                    if random.below(2) == 0 {
                        kept[range.clone()].copy_from_slice(&other[range]);
                    }
                }
            }
            self.durable.insert(index, kept);
        }
        if random.below(2) == 0 {
            self.size = self.durable_size;
            self.durable.retain(|index, _| index * PAGE_SIZE < self.durable_size);
        }
        self.durable_size = self.size;
    }
}
