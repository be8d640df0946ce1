//! The stored transfers and the burnt ids, and one table from ids to both.
//!
//! Invariants: transfers lie in the order of their timestamps, so that a search by timestamp is a binary search;
//! transfers, burnt ids and reserved places together never exceed the fixed maximum; an open hold has a place reserved
//! for the transfer that ends it; a stored transfer never changes but for the state of its hold.
//!
//! What is absent: the ids of the accounts (their slots are stored), and the removal of any transfer but the last one.

use crate::id_table::{IdHash, IdTable};
use crate::resolved::PendingState;
use mizan_memory::{prefetch_index, prefetch_push, reserve_touched};
use mizan_wire::limits::NS_PER_S;

/// In a slot of the table: the rest is an index of burnt ids.
const BURNT: u32 = 1 << 31;

/// A transfer as it is kept: two cache lines.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct StoredTransfer {
    pub(crate) id: u128,
    pub(crate) amount: u128,
    pub(crate) pending_id: u128,
    pub(crate) user_data_128: u128,
    pub(crate) timestamp: u64,
    /// The log entry that created it.
    pub(crate) sequence: u64,
    pub(crate) user_data_64: u64,
    pub(crate) debit_slot: u32,
    pub(crate) credit_slot: u32,
    pub(crate) user_data_32: u32,
    pub(crate) timeout: u32,
    pub(crate) ledger: u32,
    pub(crate) code: u16,
    pub(crate) flags: u16,
    /// The open hold, while `pending_state` is `Pending`.
    pub(crate) hold: u32,
    pub(crate) pending_state: PendingState,
}

const _: () = assert!(size_of::<StoredTransfer>() == 128);

impl StoredTransfer {
    /// When its hold expires; 0 for never. Nanoseconds since 1970.
    pub(crate) fn expires_ns(&self) -> u64 {
        match self.timeout {
            0 => 0,
            // Creation refused a sum beyond 2^63-1.
            timeout => self.timestamp + u64::from(timeout) * NS_PER_S,
        }
    }
}

/// What an id stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KnownId {
    /// The transfer in this slot.
    Stored(u32),
    /// A transfer that failed for a reason that may pass.
    Burnt,
}

/// Places of transfers are asked for so many transfers ahead.
const PUSHES_AHEAD: usize = 8;

/// See the module.
pub(crate) struct Transfers {
    pub(crate) table: IdTable,
    pub(crate) records: Vec<StoredTransfer>,
    burnt: Vec<u128>,
    /// Places kept free for the transfers that end open holds.
    reserved: usize,
    count_max: usize,
}

impl Transfers {
    /// Reserves and touches room for `count_max` transfers and burnt ids together: 152 bytes each.
    pub(crate) fn new(count_max: usize, hash_seed: u64) -> Self {
        Self {
            table: IdTable::new(count_max, hash_seed),
            records: reserve_touched(count_max),
            burnt: reserve_touched(count_max),
            reserved: 0,
            count_max,
        }
    }

    pub(crate) const fn count(&self) -> usize {
        self.records.len()
    }

    pub(crate) const fn burnt_count(&self) -> usize {
        self.burnt.len()
    }

    /// The burnt ids, in the order in which they were spent.
    pub(crate) fn burnt_ids(&self) -> impl Iterator<Item = u128> + '_ {
        self.burnt.iter().copied()
    }

    /// Places kept free for the transfers that end open holds.
    pub(crate) const fn reserved_count(&self) -> usize {
        self.reserved
    }

    /// Whether nothing but the end of an open hold fits.
    pub(crate) const fn is_full(&self) -> bool {
        self.records.len() + self.burnt.len() + self.reserved >= self.count_max
    }

    /// How many more fit besides the ends of all open holds.
    pub(crate) const fn room(&self) -> u64 {
        (self.count_max - self.records.len() - self.burnt.len() - self.reserved) as u64
    }

    /// Keeps a place free for the end of a hold that has been opened.
    #[inline(always)]
    pub(crate) const fn reserve_end(&mut self) {
        self.reserved += 1;
    }

    /// Gives up the place of a hold that is open no longer.
    #[inline(always)]
    pub(crate) const fn release_end(&mut self) {
        self.reserved -= 1;
    }

    #[inline]
    pub(crate) fn find(&self, id: u128, hash: IdHash) -> Option<KnownId> {
        let slot = self.table.find(hash, |slot| self.id_at(slot) == id)?;
        Some(if slot & BURNT == 0 { KnownId::Stored(slot) } else { KnownId::Burnt })
    }

    /// The slot of the stored transfer with this id.
    #[inline]
    pub(crate) fn find_stored(&self, id: u128, hash: IdHash) -> Option<u32> {
        match self.find(id, hash)? {
            KnownId::Stored(slot) => Some(slot),
            KnownId::Burnt => None,
        }
    }

    #[inline]
    fn id_at(&self, slot: u32) -> u128 {
        if slot & BURNT == 0 {
            self.records[slot as usize].id
        } else {
            self.burnt[(slot & !BURNT) as usize]
        }
    }

    /// Asks for the record that a search of this hash is likely to compare; gives its slot if it may be a transfer.
    #[inline(always)]
    pub(crate) fn prefetch_candidate(&self, hash: IdHash) -> Option<u32> {
        let slot = self.table.candidates(hash).next()?;
        if slot & BURNT != 0 {
            prefetch_index(&self.burnt, (slot & !BURNT) as usize);
            return None;
        }
        prefetch_index(&self.records, slot as usize);
        Some(slot)
    }

    /// Stores a transfer whose id is new; gives its slot.
    #[inline(always)]
    pub(crate) fn push(&mut self, hash: IdHash, record: StoredTransfer) -> u32 {
        let slot = self.records.len() as u32;
        prefetch_push::<2, _>(&self.records, PUSHES_AHEAD);
        self.table.insert(hash, slot);
        self.records.push(record);
        slot
    }

    /// Forgets the transfer that was stored last.
    pub(crate) fn pop(&mut self) {
        let record = self.records.pop().expect("invariant: only a stored transfer is undone");
        self.table.remove(self.table.hash(record.id), self.records.len() as u32);
    }

    /// Marks an id, which is new, as spent for ever.
    ///
    /// # Panics
    /// If every free place is reserved: the ledger refuses such an event without spending its id.
    pub(crate) fn burn(&mut self, id: u128) {
        assert!(!self.is_full(), "invariant: no spent id takes the place of a hold's end");
        self.table.insert(self.table.hash(id), BURNT | self.burnt.len() as u32);
        self.burnt.push(id);
    }

    /// The highest timestamp of all transfers; 0 if there are none.
    pub(crate) fn timestamp_last(&self) -> u64 {
        self.records.last().map_or(0, |record| record.timestamp)
    }

    pub(crate) fn has_timestamp(&self, timestamp: u64) -> bool {
        self.records.binary_search_by_key(&timestamp, |record| record.timestamp).is_ok()
    }
}
