//! Frames that wait for the socket: small ones gathered behind each other, so that many leave in one call; large bodies
//! stay where they lie.
//!
//! What is absent: the socket, and any idea of what a frame means.

use crate::constants::{GATHERED_BODY_SIZE_MAX, OUTGOING_SIZE_MAX, WRITE_SLICES_MAX};
use bytes::{Buf, Bytes};
use mizan_wire::limits::HEADER_SIZE;
use std::collections::VecDeque;
use std::io::IoSlice;

enum Piece {
    /// So many of the gathered bytes.
    Gathered(usize),
    Body(Bytes),
}

/// Bytes in the order in which they are to leave.
#[derive(Default)]
pub(crate) struct Outgoing {
    pieces: VecDeque<Piece>,
    /// The bytes of all gathered pieces, behind `gathered_start` bytes that have left.
    gathered: Vec<u8>,
    gathered_start: usize,
    size: usize,
}

impl Outgoing {
    pub(crate) fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Whether a further frame should be queued now rather than sealed later.
    pub(crate) fn has_room(&self) -> bool {
        self.size < OUTGOING_SIZE_MAX
    }

    pub(crate) fn push(&mut self, header: &[u8; HEADER_SIZE], body: &Bytes) {
        self.size += HEADER_SIZE + body.len();
        if body.len() <= GATHERED_BODY_SIZE_MAX {
            self.gather(HEADER_SIZE + body.len());
            self.gathered.extend_from_slice(header);
            self.gathered.extend_from_slice(body);
        } else {
            self.gather(HEADER_SIZE);
            self.gathered.extend_from_slice(header);
            self.pieces.push_back(Piece::Body(body.clone()));
        }
    }

    fn gather(&mut self, size: usize) {
        if let Some(Piece::Gathered(gathered)) = self.pieces.back_mut() {
            *gathered += size;
        } else {
            self.pieces.push_back(Piece::Gathered(size));
        }
    }

    /// Gives `write` what is to leave next, and drops what it took.
    ///
    /// # Errors
    /// Those of `write`; nothing is dropped then.
    pub(crate) fn write_with(
        &mut self,
        write: impl FnOnce(&[IoSlice<'_>]) -> std::io::Result<usize>,
    ) -> std::io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); WRITE_SLICES_MAX];
        let mut count = 0;
        let mut gathered = &self.gathered[self.gathered_start..];
        for (piece, slice) in self.pieces.iter().zip(&mut slices) {
            *slice = IoSlice::new(match piece {
                Piece::Body(body) => body,
                Piece::Gathered(size) => {
                    let (bytes, rest) = gathered.split_at(*size);
                    gathered = rest;
                    bytes
                }
            });
            count += 1;
        }
        let taken = write(&slices[..count])?;
        self.advance(taken);
        Ok(taken)
    }

    fn advance(&mut self, mut count: usize) {
        self.size -= count;
        while let Some(piece) = self.pieces.front_mut() {
            let rest = match piece {
                Piece::Gathered(size) => {
                    let taken = count.min(*size);
                    *size -= taken;
                    self.gathered_start += taken;
                    count -= taken;
                    *size
                }
                Piece::Body(body) => {
                    let taken = count.min(body.len());
                    body.advance(taken);
                    count -= taken;
                    body.len()
                }
            };
            if rest > 0 {
                break;
            }
            self.pieces.pop_front();
        }
        // Moved at most as often as it was written.
        if self.gathered_start * 2 >= self.gathered.len() {
            self.gathered.drain(..self.gathered_start);
            self.gathered_start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_leave_in_order_however_much_the_socket_takes() {
        for step in [1, 127, 128, 129, 4_999, 1 << 20] {
            let (mut outgoing, mut sent, mut expected) = (Outgoing::default(), vec![], vec![]);
            let sizes = [0, 128, GATHERED_BODY_SIZE_MAX, GATHERED_BODY_SIZE_MAX + 1, 50_000, 16];
            for (index, size) in (0_u8..).zip(sizes.repeat(4)) {
                let (header, body) = ([index; HEADER_SIZE], Bytes::from(vec![!index; size]));
                outgoing.push(&header, &body);
                expected.extend_from_slice(&header);
                expected.extend_from_slice(&body);
                // New frames come while older ones are on their way.
                send(&mut outgoing, step, &mut sent);
            }
            while !outgoing.is_empty() {
                send(&mut outgoing, step, &mut sent);
            }
            assert!(sent == expected, "steps of {step}");
            assert_eq!((outgoing.pieces.len(), outgoing.gathered.len()), (0, 0));
        }
    }

    fn send(outgoing: &mut Outgoing, step: usize, sent: &mut Vec<u8>) {
        let taken = outgoing.write_with(|slices| {
            let bytes: Vec<u8> =
                slices.iter().flat_map(|slice| slice.to_vec()).take(step).collect();
            sent.extend_from_slice(&bytes);
            Ok(bytes.len())
        });
        assert!(taken.unwrap() <= step);
    }

    #[test]
    fn a_socket_that_takes_little_for_long_costs_no_memory() {
        let mut outgoing = Outgoing::default();
        for _ in 0..10_000 {
            outgoing.push(&[0; HEADER_SIZE], &Bytes::from_static(&[0; 128]));
            if outgoing.size > 10_000 {
                outgoing.write_with(|_| Ok(256)).unwrap();
            }
        }
        assert!(outgoing.gathered.capacity() < 100_000, "{}", outgoing.gathered.capacity());
    }

    #[test]
    fn what_fails_to_leave_is_kept() {
        let mut outgoing = Outgoing::default();
        outgoing.push(&[7; HEADER_SIZE], &Bytes::new());
        assert!(outgoing.write_with(|_| Err(std::io::ErrorKind::WouldBlock.into())).is_err());
        let taken = outgoing.write_with(|slices| Ok(slices.iter().map(|slice| slice.len()).sum()));
        assert_eq!((taken.unwrap(), outgoing.is_empty()), (HEADER_SIZE, true));
    }
}
