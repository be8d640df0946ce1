//! Cuts a stream of bytes into frames.
//!
//! A header is checked before anything of its body is waited for, and a body before it is given out. Memory is bounded
//! by one frame and one chunk of reading.

use crate::constants::RECEIVE_CHUNK_SIZE;
use bytes::Bytes;
use mizan_wire::RequestStatus;
use mizan_wire::frame::Header;
use mizan_wire::limits::HEADER_SIZE;

/// Bytes that have arrived and are not yet a frame.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    /// `buffer[start..end]` has arrived.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The header of a frame whose body begins at `start` and is not complete.
    header: Option<Header>,
}

impl FrameReader {
    /// Room for what the socket gives: at least a chunk.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.buffer.len() - self.end < RECEIVE_CHUNK_SIZE {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            // With room for the whole frame, it is moved at most once.
            let body_size = self.header.map_or(0, |header| header.body_size());
            let size = self.end.max(body_size) + RECEIVE_CHUNK_SIZE;
            if self.buffer.len() < size {
                self.buffer.resize(size, 0);
            }
        }
        &mut self.buffer[self.end..]
    }

    /// Takes in what was put into the first bytes of the space.
    pub(crate) fn filled(&mut self, count: usize) {
        self.end += count;
    }

    /// The next whole frame, if there is one.
    ///
    /// # Errors
    /// The first check that fails. The stream is of no use after that.
    #[inline]
    pub(crate) fn next_frame(&mut self) -> Result<Option<(Header, Bytes)>, RequestStatus> {
        let header = match self.header.take() {
            Some(header) => header,
            None => {
                let arrived = &self.buffer[self.start..self.end];
                let Some(bytes) = arrived.first_chunk::<HEADER_SIZE>() else {
                    return Ok(None);
                };
                let header = Header::parse(bytes)?;
                self.start += HEADER_SIZE;
                header
            }
        };
        let body_size = header.body_size();
        let Some(body) = self.buffer[self.start..self.end].get(..body_size) else {
            self.header = Some(header);
            return Ok(None);
        };
        header.check_body(body)?;
        // A copy: whoever keeps a small reply is not to keep a large buffer alive.
        let body = if body_size == 0 { Bytes::new() } else { Bytes::copy_from_slice(body) };
        self.start += body_size;
        Ok(Some((header, body)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_wire::frame::{Pong, Reply};

    impl FrameReader {
        fn extend(&mut self, bytes: &[u8]) {
            for chunk in bytes.chunks(RECEIVE_CHUNK_SIZE) {
                self.space()[..chunk.len()].copy_from_slice(chunk);
                self.filled(chunk.len());
            }
        }
    }

    #[test]
    fn frames_are_cut_out_of_the_stream_however_it_is_chopped() {
        let bodies = [vec![], vec![1; 16], vec![2; 6_000], vec![], vec![3; 48], vec![4; 700_000]];
        let mut stream = Vec::new();
        for body in &bodies {
            stream.extend_from_slice(&Reply::default().seal(body));
            stream.extend_from_slice(body);
        }
        for chunk_size in [1, 7, 127, 128, 129, 1_000, 300_000, stream.len()] {
            let mut reader = FrameReader::default();
            let mut found = Vec::new();
            for chunk in stream.chunks(chunk_size) {
                reader.extend(chunk);
                while let Some((_, body)) = reader.next_frame().unwrap() {
                    found.push(body.to_vec());
                }
            }
            assert_eq!(found, bodies, "chunks of {chunk_size}");
        }
    }

    #[test]
    fn a_damaged_header_is_refused_before_its_body_arrives() {
        let mut reader = FrameReader::default();
        let mut header = Reply::default().seal(&[0; 64]);
        header[60] ^= 1;
        reader.extend(&header);
        assert_eq!(reader.next_frame().err(), Some(RequestStatus::HeaderChecksumMismatch));
    }

    #[test]
    fn a_damaged_body_is_refused() {
        let mut reader = FrameReader::default();
        reader.extend(&Reply::default().seal(&[0; 64]));
        reader.extend(&[0; 63]);
        assert!(reader.next_frame().unwrap().is_none());
        reader.extend(&[1]);
        assert_eq!(reader.next_frame().err(), Some(RequestStatus::BodyChecksumMismatch));
    }

    #[test]
    fn what_was_read_is_not_kept() {
        let mut reader = FrameReader::default();
        for nonce in 0..100_000 {
            reader.extend(&Pong { nonce, ..Pong::default() }.seal(&[]));
            assert!(reader.next_frame().unwrap().is_some());
        }
        assert!(reader.buffer.capacity() <= RECEIVE_CHUNK_SIZE, "{}", reader.buffer.capacity());
    }
}
