//! Where the bytes come from: a file, or a copy of what can be read only once.
//!
//! Invariant: whoever reads the source again gets the bytes that were read first, or an error: no byte is given out before
//! its chunk was compared with the hash of the first reading. So what is sent is what was judged, whatever somebody does
//! to the file meanwhile.

use crate::args::ImportArgs;
use crate::error::CliError;
use crate::exit;
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;
use thiserror::Error;

/// Bytes that are compared at once.
const CHUNK_SIZE: u64 = 1 << 20;

/// What is imported.
pub(super) struct Source {
    name: String,
    file: Rc<File>,
    /// Bytes; what is appended later is not read.
    size: u64,
    /// The hashes of the chunks that have been read, the empty one at the end included.
    seen: Rc<RefCell<Vec<blake3::Hash>>>,
}

/// The file has other bytes than at its first reading.
#[derive(Debug, Error)]
#[error("the file was changed while it was read")]
struct Changed;

/// What is wrong when `name` cannot be read.
pub(super) fn fault(name: &str, source: io::Error) -> CliError {
    if source.get_ref().is_some_and(|error| error.is::<Changed>()) {
        let text = format!(
            "{name} was changed while it was read, and what is new was not sent; when nobody writes to it any more, run the same command again: nothing moves twice"
        );
        return CliError::failed(exit::STATE, text);
    }
    CliError::File { what: format!("cannot read {name}"), source }
}

impl Source {
    /// Opens the file; what is no file on a disk is copied to one first, because it is read more than once.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn open(args: &ImportArgs) -> Result<Self, CliError> {
        let is_standard = args.file == Path::new("-");
        let name =
            if is_standard { "standard input".to_owned() } else { args.file.display().to_string() };
        let failed = |error| fault(&name, error);
        let file = if is_standard { None } else { Some(File::open(&args.file).map_err(failed)?) };
        let metadata = file.as_ref().map(File::metadata).transpose().map_err(failed)?;
        let regular = metadata.filter(std::fs::Metadata::is_file);
        let (file, size) = match (file, regular) {
            (Some(file), Some(metadata)) => (file, metadata.len()),
            (file, _) => copy(file).map_err(|source| CliError::File {
                what: format!("cannot copy {name} to read it twice"),
                source,
            })?,
        };
        Ok(Self { name, file: Rc::new(file), size, seen: Rc::default() })
    }

    #[cfg(test)]
    pub(super) fn of_bytes(name: &str, bytes: &[u8]) -> Self {
        let mut file = tempfile::tempfile().expect("a file");
        io::Write::write_all(&mut file, bytes).expect("writes");
        let (name, size) = (name.to_owned(), bytes.len() as u64);
        Self { name, file: Rc::new(file), size, seen: Rc::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// The bytes from the beginning.
    pub(super) fn reader(&self) -> Box<dyn Read> {
        Box::new(Checked {
            file: Rc::clone(&self.file),
            size: self.size,
            position: 0,
            chunk: Vec::new(),
            start: 0,
            index: 0,
            seen: Rc::clone(&self.seen),
        })
    }
}

/// Copies a pipe, or standard input, to a file that nobody else can reach.
fn copy(file: Option<File>) -> io::Result<(File, u64)> {
    let mut copy = tempfile::tempfile()?;
    let size = match file {
        Some(mut file) => io::copy(&mut file, &mut copy),
        None => io::copy(&mut io::stdin(), &mut copy),
    }?;
    Ok((copy, size))
}

/// One reading of a source.
struct Checked {
    file: Rc<File>,
    size: u64,
    /// Bytes read so far.
    position: u64,
    chunk: Vec<u8>,
    /// Where in the chunk what was not given out yet begins.
    start: usize,
    /// Of the next chunk.
    index: usize,
    seen: Rc<RefCell<Vec<blake3::Hash>>>,
}

impl Checked {
    /// Reads the next chunk; it is empty at the end.
    fn fill(&mut self) -> io::Result<()> {
        let wanted = CHUNK_SIZE.min(self.size - self.position) as usize;
        self.chunk.resize(wanted, 0);
        self.start = 0;
        let mut count = 0;
        while count < wanted {
            match self.file.read_at(&mut self.chunk[count..], self.position + count as u64) {
                Ok(0) => break,
                Ok(size) => count += size,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.chunk.clear();
                    return Err(error);
                }
            }
        }
        self.chunk.truncate(count);
        self.position += count as u64;
        let hash = blake3::hash(&self.chunk);
        let mut seen = self.seen.borrow_mut();
        match seen.get(self.index) {
            None => seen.push(hash),
            Some(first) if *first == hash => {}
            Some(_) => {
                self.chunk.clear();
                return Err(io::Error::other(Changed));
            }
        }
        self.index += 1;
        Ok(())
    }
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.start == self.chunk.len() && (self.index == 0 || !self.chunk.is_empty()) {
            self.fill()?;
        }
        let size = (&self.chunk[self.start..]).read(buffer)?;
        self.start += size;
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &Source) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        source.reader().read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn a_source_is_read_again_as_it_was_read_first_or_not_at_all() {
        let mut bytes = vec![b'a'; CHUNK_SIZE as usize + 7];
        let source = Source::of_bytes("file", &bytes);
        assert_eq!(read(&source).expect("reads"), bytes);
        assert_eq!(read(&source).expect("reads"), bytes);
        bytes[CHUNK_SIZE as usize + 3] = b'b';
        source.file.write_all_at(&bytes, 0).expect("writes");
        let mut reader = source.reader();
        let mut first = vec![0; CHUNK_SIZE as usize];
        reader.read_exact(&mut first).expect("what is the same is given");
        let error = reader.read(&mut first).expect_err("no byte that was not seen");
        assert_eq!(fault("file", error).exit_code(), exit::STATE);
    }

    #[test]
    fn bytes_that_appear_where_the_file_ended_are_not_read() {
        let source = Source::of_bytes("file", &vec![b'a'; CHUNK_SIZE as usize * 2]);
        source.file.set_len(CHUNK_SIZE).expect("shortens");
        assert_eq!(read(&source).expect("reads").len(), CHUNK_SIZE as usize);
        source.file.set_len(CHUNK_SIZE * 2).expect("grows");
        read(&source).expect_err("it ended there before");
    }
}
