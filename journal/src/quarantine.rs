//! Cutting the unsynced tail off: first kept in a file of its own, then zeroed in place.
//!
//! A quarantine file is a row of pieces: a 32-byte head (`MIZQUARA`, segment index, byte offset, length; numbers
//! little-endian) and that many raw bytes. Nothing reads it back; it is evidence.

use crate::constants::{PREPARE_CHUNK, SWEEP_CHUNK};
use crate::error::{JournalError, Result, is_no_space};
use crate::reader::{Residue, Survey};
use crate::segment::{QUARANTINE_DIRECTORY, SegmentFile};
use crate::storage::Storage;

const PIECE_MAGIC: [u8; 8] = *b"MIZQUARA";
const PIECE_HEAD_SIZE: usize = 32;
/// Files for one sequence; more than this many restarts at one place point to something else.
const FILES_MAX: u32 = 10_000;

/// Keeps the residue in a new file and returns its name and its size in bytes.
///
/// # Errors
/// `NoSpace` (nothing was cut), `Io`.
pub(crate) fn keep<S: Storage>(
    storage: &S,
    segments: &[SegmentFile],
    survey: &Survey,
    sequence: u64,
) -> Result<(String, u64)> {
    storage
        .make_directory(QUARANTINE_DIRECTORY)
        .and_then(|()| storage.sync_directory(""))
        .map_err(|error| JournalError::io("make", QUARANTINE_DIRECTORY, error))?;
    let size: u64 =
        survey.residue.iter().map(|piece| PIECE_HEAD_SIZE as u64 + piece.end - piece.begin).sum();
    let name = create(storage, sequence, size)?;
    let mut at = 0;
    for piece in &survey.residue {
        at = copy_piece(storage, &segments[piece.segment], piece, &name, at)?;
    }
    storage
        .sync_file(&name)
        .and_then(|()| storage.sync_directory(QUARANTINE_DIRECTORY))
        .map_err(|error| JournalError::io("sync", &name, error))?;
    Ok((name, size))
}

fn create<S: Storage>(storage: &S, sequence: u64, size: u64) -> Result<String> {
    for number in 0..FILES_MAX {
        let name = format!("{QUARANTINE_DIRECTORY}/tail-{sequence:016x}-{number:04}.bin");
        match storage.create(&name, size) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) if is_no_space(&error) => {
                // The file would be empty evidence; that it cannot be removed changes nothing.
                let _ = storage.remove(&name);
                return Err(JournalError::NoSpace { file: name, size, source: error.into() });
            }
            Err(error) => return Err(JournalError::io("make", &name, error)),
        }
    }
    let full = std::io::Error::other("too many quarantine files for one sequence");
    Err(JournalError::io("make", QUARANTINE_DIRECTORY, full))
}

fn copy_piece<S: Storage>(
    storage: &S,
    segment: &SegmentFile,
    piece: &Residue,
    name: &str,
    mut at: u64,
) -> Result<u64> {
    let write = |at: u64, bytes: &[u8]| {
        storage.write(name, at, bytes).map_err(|error| JournalError::io("write", name, error))
    };
    let mut head = [0; PIECE_HEAD_SIZE];
    head[..8].copy_from_slice(&PIECE_MAGIC);
    head[8..16].copy_from_slice(&segment.index.to_le_bytes());
    head[16..24].copy_from_slice(&piece.begin.to_le_bytes());
    head[24..].copy_from_slice(&(piece.end - piece.begin).to_le_bytes());
    write(at, &head)?;
    at += PIECE_HEAD_SIZE as u64;
    let mut chunk = vec![0; SWEEP_CHUNK];
    let mut from = piece.begin;
    while from < piece.end {
        let length = (piece.end - from).min(chunk.len() as u64) as usize;
        storage
            .read(&segment.name, from, &mut chunk[..length])
            .map_err(|error| JournalError::io("read", &segment.name, error))?;
        write(at, &chunk[..length])?;
        from += length as u64;
        at += length as u64;
    }
    Ok(at)
}

/// Overwrites the residue with zeros, durably.
///
/// # Errors
/// `Io`.
pub(crate) fn erase<S: Storage>(
    storage: &S,
    segments: &[SegmentFile],
    survey: &Survey,
) -> Result<()> {
    let zeros = vec![0; PREPARE_CHUNK];
    for piece in &survey.residue {
        let name = &segments[piece.segment].name;
        let mut from = piece.begin;
        while from < piece.end {
            let length = (piece.end - from).min(zeros.len() as u64) as usize;
            storage
                .write(name, from, &zeros[..length])
                .map_err(|error| JournalError::io("write", name, error))?;
            from += length as u64;
        }
        storage.sync_file(name).map_err(|error| JournalError::io("sync", name, error))?;
    }
    Ok(())
}
