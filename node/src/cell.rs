//! Cells of the rings, and how entries lie in them.
//!
//! An entry is one header cell and, padded with zeros, its body in the cells behind it. Entries never wrap: where one
//! would, a padding entry fills the ring's end first, so that everybody reads one slice. The cells of a write entry
//! are byte for byte what the journal keeps.

use mizan_ring::{Batch, ClaimError, SingleProducer};
use mizan_wire::limits::HEADER_SIZE;
use mizan_wire::{Operation, RequestHeader};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The unit of the rings.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(128))]
pub(crate) struct Cell(pub(crate) [u8; HEADER_SIZE]);

const _: () = assert!(size_of::<Cell>() == HEADER_SIZE);

impl Cell {
    pub(crate) const ZERO: Self = Self([0; HEADER_SIZE]);
}

/// Cells that an entry with a body of so many bytes takes.
pub(crate) const fn cells_of(body_size: usize) -> usize {
    1 + body_size.div_ceil(HEADER_SIZE)
}

/// What a header cell must tell so that its entry can be found.
pub(crate) trait EntryHeader:
    FromBytes + IntoBytes + Immutable + KnownLayout + Copy
{
    /// Bytes of the body.
    fn body_size(&self) -> usize;
    /// A header of an entry that only fills room.
    fn padding(body_size: usize) -> Self;
    /// Whether the entry only fills room.
    fn is_padding(&self) -> bool;
}

impl EntryHeader for RequestHeader {
    fn body_size(&self) -> usize {
        self.body_size as usize
    }

    fn padding(body_size: usize) -> Self {
        Self {
            operation: Operation::Padding.number(),
            body_size: body_size as u32,
            ..Self::default()
        }
    }

    fn is_padding(&self) -> bool {
        self.operation == Operation::Padding.number()
    }
}

/// One entry of a batch.
pub(crate) struct Entry<'a, H> {
    pub(crate) header: &'a H,
    pub(crate) body: &'a [u8],
    /// Header and body with its padding, as the journal keeps them.
    pub(crate) bytes: &'a [u8],
    /// Position in the ring after the entry.
    pub(crate) end: u64,
}

/// The entries of a batch, one after the other. A batch ends where an entry ends: spans are published whole.
pub(crate) struct Entries<'a, H> {
    slices: [&'a [Cell]; 2],
    position: u64,
    header: std::marker::PhantomData<H>,
}

impl<H> Clone for Entries<'_, H> {
    fn clone(&self) -> Self {
        Self { slices: self.slices, position: self.position, header: std::marker::PhantomData }
    }
}

impl<'a, H: EntryHeader> Entries<'a, H> {
    pub(crate) fn new(batch: &Batch<'a, Cell>) -> Self {
        let (first, second) = batch.slices();
        Self { slices: [first, second], position: batch.start(), header: std::marker::PhantomData }
    }
}

impl<'a, H: EntryHeader + 'a> Iterator for Entries<'a, H> {
    type Item = Entry<'a, H>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.slices[0].is_empty() {
            self.slices.swap(0, 1);
        }
        let cells = self.slices[0];
        let header = H::ref_from_bytes(cells.first()?.0.as_bytes())
            .expect("invariant: a cell is as large and as aligned as a header");
        let (entry, rest) = cells.split_at(cells_of(header.body_size()));
        self.slices[0] = rest;
        self.position += entry.len() as u64;
        let bytes = entry.as_bytes();
        let body = &bytes[HEADER_SIZE..HEADER_SIZE + header.body_size()];
        Some(Entry { header, body, bytes, end: self.position })
    }
}

// Inlined, so that the fields of a header that was just made go from registers into its cell. Made elsewhere and copied
// in wider words, they would be waited for until all stores before them are in the cache.
/// Publishes an entry, behind padding if it would wrap. Returns the position after it.
///
/// # Errors
/// [`ClaimError::Full`]: nothing of the entry was published, but padding may have been.
#[inline(always)]
pub(crate) fn publish<H: EntryHeader>(
    ring: &mut SingleProducer<Cell>,
    header: H,
    body: &[u8],
) -> Result<u64, ClaimError> {
    let cells = cells_of(body.len());
    if ring.contiguous_room() < cells {
        pad::<H>(ring)?;
    }
    let mut span = ring.try_claim(cells)?;
    let end = span.start() + cells as u64;
    let (entry, _) = span.slices_mut();
    *H::mut_from_bytes(&mut entry[0].0)
        .expect("invariant: a cell is as large and as aligned as a header") = header;
    if !body.is_empty() {
        copy_padded(body, &mut entry[1..]);
    }
    span.publish();
    Ok(end)
}

/// Fills the end of the ring with an entry that means nothing.
#[cold]
#[inline(never)]
fn pad<H: EntryHeader>(ring: &mut SingleProducer<Cell>) -> Result<(), ClaimError> {
    let room = ring.contiguous_room();
    let mut span = ring.try_claim(room)?;
    let (filler, _) = span.slices_mut();
    let padding = H::padding((room - 1) * HEADER_SIZE);
    filler[0].0.copy_from_slice(padding.as_bytes());
    span.publish();
    Ok(())
}

#[inline]
fn copy_padded(body: &[u8], cells: &mut [Cell]) {
    // A cell's worth is the usual size, and needs no call.
    if let (Ok(whole), [cell]) = (<&[u8; HEADER_SIZE]>::try_from(body), &mut *cells) {
        cell.0 = *whole;
        return;
    }
    let target = cells.as_mut_bytes();
    target[..body.len()].copy_from_slice(body);
    target[body.len()..].fill(0);
}

/// Cells that can surely be taken by entries now, whatever padding the wrap costs.
pub(crate) fn free_cells(
    capacity: usize,
    published: u64,
    released: u64,
    entry_max: usize,
) -> usize {
    (capacity - (published - released) as usize).saturating_sub(entry_max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_ring::RingOptions;

    #[test]
    fn entries_come_back_whole_and_in_order_through_many_wraps() {
        let mut setup = RingOptions::new(64).allocate(Cell::ZERO).unwrap();
        let mut consumer = setup.consumer("test").add();
        let mut producer = setup.single_producer().unwrap();
        let mut expected = 0u64;
        for number in 0..500u64 {
            let body = vec![number as u8; (number as usize * 37) % 1500];
            let header = RequestHeader {
                request: number,
                body_size: body.len() as u32,
                ..RequestHeader::default()
            };
            let end = publish(&mut producer, header, &body).unwrap();
            let batch = consumer.available().unwrap();
            for entry in Entries::<RequestHeader>::new(&batch) {
                if entry.header.is_padding() {
                    continue;
                }
                assert_eq!(entry.header.request, expected);
                assert!(entry.body.iter().all(|byte| *byte == expected as u8));
                assert_eq!(entry.body.len(), (expected as usize * 37) % 1500);
                assert!(entry.bytes[HEADER_SIZE + entry.body.len()..].iter().all(|b| *b == 0));
                assert_eq!(entry.end, end);
                expected += 1;
            }
            let end = batch.end();
            consumer.release_to(end);
        }
        assert_eq!(expected, 500);
    }

    #[test]
    fn a_full_ring_takes_nothing_of_an_entry() {
        let mut setup = RingOptions::new(8).allocate(Cell::ZERO).unwrap();
        let mut consumer = setup.consumer("test").add();
        let mut producer = setup.single_producer().unwrap();
        let header = RequestHeader { body_size: 512, ..RequestHeader::default() };
        publish(&mut producer, header, &[1; 512]).unwrap();
        assert!(matches!(publish(&mut producer, header, &[2; 512]), Err(ClaimError::Full { .. })));
        let batch = consumer.available().unwrap();
        let bodies: Vec<u8> = Entries::<RequestHeader>::new(&batch)
            .filter(|entry| !entry.header.is_padding())
            .map(|entry| entry.body[0])
            .collect();
        assert_eq!(bodies, [1]);
    }
}
