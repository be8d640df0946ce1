//! Cuts a stream of bytes into frames.
//!
//! A header is checked before anything of its body is waited for, and a body before it is given out. Memory is bounded
//! by one frame and one chunk of reading.

use crate::constants::SMALL_BODY_SIZE_MAX;
use bytes::{Buf, Bytes, BytesMut};
use mizan_wire::RequestStatus;
use mizan_wire::frame::Header;
use mizan_wire::limits::HEADER_SIZE;

/// Bytes that have arrived and are not yet a frame.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    buffer: BytesMut,
    header: Option<Header>,
}

impl FrameReader {
    /// Takes in what the socket gave.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if there is one.
    ///
    /// # Errors
    /// The first check that fails. The stream is of no use after that.
    pub(crate) fn next_frame(&mut self) -> Result<Option<(Header, Bytes)>, RequestStatus> {
        let header = match self.header {
            Some(header) => header,
            None => {
                let Some((bytes, _)) = self.buffer.split_first_chunk::<HEADER_SIZE>() else {
                    return Ok(None);
                };
                let header = Header::parse(bytes)?;
                self.buffer.advance(HEADER_SIZE);
                *self.header.insert(header)
            }
        };
        let body_size = header.body_size();
        if self.buffer.len() < body_size {
            self.buffer.reserve(body_size - self.buffer.len());
            return Ok(None);
        }
        header.check_body(&self.buffer[..body_size])?;
        self.header = None;
        Ok(Some((header, self.take_body(body_size))))
    }

    fn take_body(&mut self, body_size: usize) -> Bytes {
        if body_size <= SMALL_BODY_SIZE_MAX {
            let body = Bytes::copy_from_slice(&self.buffer[..body_size]);
            self.buffer.advance(body_size);
            body
        } else {
            self.buffer.split_to(body_size).freeze()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_wire::frame::{Pong, Reply};

    #[test]
    fn frames_are_cut_out_of_the_stream_however_it_is_chopped() {
        let bodies = [vec![], vec![1; 16], vec![2; 6_000], vec![], vec![3; 48]];
        let mut stream = Vec::new();
        for body in &bodies {
            stream.extend_from_slice(&Reply::default().seal(body));
            stream.extend_from_slice(body);
        }
        for chunk_size in [1, 7, 127, 128, 129, 1_000, stream.len()] {
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
        assert!(reader.buffer.capacity() < 64 * 1024, "{} bytes", reader.buffer.capacity());
    }
}
