//! Several writes of one buffer in flight at once, through io_uring.
//!
//! Invariants: a call returns only when the kernel has let go of the buffer, whatever failed; nothing is submitted
//! after a failure; a piece that failed is not written again.
//!
//! It deliberately does not outlive a call with anything in flight, registers neither buffers nor files, and does
//! not decide whether io_uring may be used: containers often block it, and [`WriteRing::probe`] finds out.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use io_uring::{IoUring, Probe, opcode, types};
use rustix::io::Errno;

use crate::constants::{DIRECT_IN_FLIGHT_MAX, DIRECT_PIECE_SIZE};

/// Bytes that are in flight at once at the most.
const ROUND_SIZE: usize = DIRECT_PIECE_SIZE * DIRECT_IN_FLIGHT_MAX as usize;

/// What a process says when it can no longer learn whether the kernel still reads its memory.
const LOST_RING: &[u8] =
    b"\nfatal: io_uring failed while journal writes were in flight; nothing more is acknowledged. \
Restart the node, which recovers what is durable.\n";

/// A submission queue of its own, for one thread at a time.
pub(crate) struct WriteRing {
    ring: IoUring,
}

impl std::fmt::Debug for WriteRing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("WriteRing")
    }
}

impl WriteRing {
    /// Sets a queue up and passes one empty request through it.
    ///
    /// # Errors
    /// Why io_uring cannot be used here: an old kernel, a filter on system calls, a lack of memory.
    pub(crate) fn probe() -> io::Result<Self> {
        let ring = IoUring::builder().dontfork().build(DIRECT_IN_FLIGHT_MAX)?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        if !probe.is_supported(opcode::Write::CODE) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let mut ring = WriteRing { ring };
        // SAFETY: an empty request refers to no memory and no file.
        unsafe { ring.ring.submission().push(&opcode::Nop::new().build()) }
            .map_err(io::Error::other)?;
        // A filter may let the set-up pass and stop what follows.
        loop {
            match ring.ring.submit_and_wait(1) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(_) => match ring.ring.completion().next() {
                    Some(completion) if completion.result() == 0 => break,
                    Some(completion) => {
                        return Err(io::Error::from_raw_os_error(-completion.result()));
                    }
                    None => {}
                },
            }
        }
        Ok(ring)
    }

    /// Writes all of `bytes` at `offset` of `file`, in pieces that are in flight together and end in any order.
    ///
    /// # Errors
    /// The first failure that was seen; any of the pieces may or may not be written.
    pub(crate) fn write_all_at(
        &mut self,
        file: &File,
        bytes: &[u8],
        offset: u64,
    ) -> io::Result<()> {
        let mut at = offset;
        for round in bytes.chunks(ROUND_SIZE) {
            self.write_round(file, round, at)?;
            at += round.len() as u64;
        }
        Ok(())
    }

    fn write_round(&mut self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        // Checked ahead, so that no sum below can overflow while something is in flight.
        let end = offset.checked_add(bytes.len() as u64);
        end.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut outcome = Ok(());
        let mut in_flight = 0;
        for (number, piece) in bytes.chunks(DIRECT_PIECE_SIZE).enumerate() {
            let at = offset + (number * DIRECT_PIECE_SIZE) as u64;
            let fd = types::Fd(file.as_raw_fd());
            let write = opcode::Write::new(fd, piece.as_ptr(), piece.len() as u32).offset(at);
            let entry = write.build().user_data(number as u64);
            // SAFETY: the kernel reads `piece` and uses the descriptor until the request completes. Both are borrowed
            // by this function, which leaves neither by return nor by panic before every request that was pushed has
            // completed: nothing between here and the end of `await_all` panics, and if the kernel cannot be asked
            // any more, the process ends there.
            if unsafe { self.ring.submission().push(&entry) }.is_err() {
                outcome = Err(io::Error::other("the submission queue is full"));
                break;
            }
            in_flight += 1;
        }
        let mut unfinished = [0; DIRECT_IN_FLIGHT_MAX as usize];
        let awaited = self.await_all(in_flight, bytes.len(), &mut unfinished);
        outcome.and(awaited)?;
        for (number, (piece, missing)) in
            bytes.chunks(DIRECT_PIECE_SIZE).zip(unfinished).enumerate()
        {
            if missing > 0 {
                let done = piece.len() - missing;
                let at = offset + (number * DIRECT_PIECE_SIZE + done) as u64;
                file.write_all_at(&piece[done..], at)?;
            }
        }
        Ok(())
    }

    /// Submits what was pushed and returns when all of it has completed. `unfinished` gets the bytes that are missing
    /// of each piece: a write may be short without having failed.
    fn await_all(
        &mut self,
        mut in_flight: usize,
        total: usize,
        unfinished: &mut [usize; DIRECT_IN_FLIGHT_MAX as usize],
    ) -> io::Result<()> {
        let mut outcome = Ok(());
        while in_flight > 0 {
            self.submit_and_wait(in_flight);
            for completion in self.ring.completion() {
                in_flight = in_flight.saturating_sub(1);
                let number = completion.user_data() as usize;
                let length =
                    total.saturating_sub(number * DIRECT_PIECE_SIZE).min(DIRECT_PIECE_SIZE);
                let result = completion.result();
                let errno = result.saturating_neg();
                let done = match usize::try_from(result) {
                    Ok(done) => done,
                    // Interrupted before it began: nothing was written, and nothing failed.
                    Err(_) if errno == Errno::INTR.raw_os_error() => 0,
                    Err(_) => {
                        outcome = Err(io::Error::from_raw_os_error(errno));
                        length
                    }
                };
                if let Some(missing) = unfinished.get_mut(number) {
                    *missing = length.saturating_sub(done);
                }
            }
        }
        outcome
    }

    fn submit_and_wait(&mut self, in_flight: usize) {
        let Err(error) = self.ring.submit_and_wait(in_flight) else { return };
        let passes = [Errno::INTR, Errno::AGAIN, Errno::BUSY];
        if passes.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error())) {
            // The caller takes what has completed and asks again.
            return;
        }
        // Returning would free memory that the kernel may still read. Nothing is left to do if this cannot be said.
        let _ = rustix::io::write(rustix::stdio::stderr(), LOST_RING);
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring, or why this machine has none, which is then said.
    fn ring() -> Option<WriteRing> {
        WriteRing::probe().map_err(|error| println!("skipped: io_uring is not here: {error}")).ok()
    }

    #[test]
    fn every_byte_of_a_buffer_lands_at_its_place_however_many_rounds_it_takes() {
        let Some(mut ring) = ring() else { return };
        let file = tempfile::tempfile().expect("a file");
        for size in [1, DIRECT_PIECE_SIZE, DIRECT_PIECE_SIZE + 1, ROUND_SIZE, ROUND_SIZE + 4097] {
            let bytes: Vec<u8> = (0..size).map(|place| (place / 7 + size) as u8).collect();
            ring.write_all_at(&file, &bytes, 4096).expect("written");
            let mut found = vec![0; size];
            file.read_exact_at(&mut found, 4096).expect("read");
            assert!(found == bytes, "{size} bytes");
        }
    }

    #[test]
    fn a_failed_write_is_an_error_and_the_ring_is_empty_afterwards() {
        let Some(mut ring) = ring() else { return };
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        std::fs::write(&path, b"").expect("a file");
        let read_only = File::open(&path).expect("opened");
        let bytes = vec![7; 3 * DIRECT_PIECE_SIZE];
        let error = ring.write_all_at(&read_only, &bytes, 0).expect_err("refused");
        assert_eq!(error.raw_os_error(), Some(Errno::BADF.raw_os_error()));
        let file = File::create(&path).expect("opened");
        ring.write_all_at(&file, &bytes, 0).expect("the next call works");
        assert!(std::fs::read(&path).expect("read") == bytes);
    }
}
