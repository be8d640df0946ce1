//! Damage at rest: what a disk says it wrote, and then gives back something else.

use std::io;

use super::{PAGE, SimRandom, SimStorage};

/// How a disk is damaged. Names and pages are drawn from the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// One bit of a page is another one.
    BitFlip,
    /// A page was never written: it still holds zeros.
    LostWrite,
    /// A page was written to the place of another one, and its own holds zeros.
    Misdirected,
    /// Two pages were exchanged.
    Swapped,
}

impl Damage {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::BitFlip, Self::LostWrite, Self::Misdirected, Self::Swapped];
}

impl SimStorage {
    /// Damages a file on the disk; the same seed damages the same place of a copy ([`SimStorage::fork`]). What is only
    /// in the cache stays as it is.
    ///
    /// # Errors
    /// `NotFound`: no such file, nothing was changed.
    pub fn damage(&self, name: &str, damage: Damage, seed: u64) -> io::Result<()> {
        let mut random = SimRandom::new(seed);
        let mut disk = self.disk();
        let file = disk.file(name)?;
        let pages = file.durable_pages();
        if pages.is_empty() {
            return Ok(());
        }
        let mut draw = || pages[random.below(pages.len() as u64) as usize];
        let (one, other) = (draw(), draw());
        match damage {
            Damage::BitFlip => file.flip_durable(one, random.below(PAGE as u64 * 8) as usize),
            Damage::LostWrite => file.forget_durable(one),
            Damage::Misdirected if one != other => file.misdirect_durable(one, other),
            Damage::Swapped if one != other => file.swap_durable(one, other),
            Damage::Misdirected | Damage::Swapped => {}
        }
        Ok(())
    }
}
