//! Where the bytes come from: a file, standard input, or a copy of it that can be read twice.

use crate::args::ImportArgs;
use crate::error::CliError;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

/// What is imported.
pub(super) struct Source {
    name: String,
    /// `None` is standard input.
    file: Option<File>,
    /// Bytes; 0 if that is not known.
    size: u64,
    /// Whether it may be read more than once, and then only the bytes that it has now.
    is_repeatable: bool,
}

impl Source {
    /// Opens the file; what is no file on a disk is copied to one first if it must be read `twice`.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn open(args: &ImportArgs, twice: bool) -> Result<Self, CliError> {
        let is_standard = args.file == Path::new("-");
        let name =
            if is_standard { "standard input".to_owned() } else { args.file.display().to_string() };
        let fault = |source| CliError::File { what: format!("cannot read {name}"), source };
        let file = if is_standard { None } else { Some(File::open(&args.file).map_err(fault)?) };
        let metadata = file.as_ref().map(File::metadata).transpose().map_err(fault)?;
        let size = metadata.as_ref().map_or(0, std::fs::Metadata::len);
        let is_regular = metadata.is_some_and(|metadata| metadata.is_file());
        if !twice || is_regular {
            return Ok(Self { name, file, size, is_repeatable: twice });
        }
        let fault = |source| CliError::File {
            what: format!("cannot copy {name} to read it twice"),
            source,
        };
        let mut copy = tempfile::tempfile().map_err(fault)?;
        let size = match file {
            Some(mut file) => io::copy(&mut file, &mut copy),
            None => io::copy(&mut io::stdin(), &mut copy),
        };
        let size = size.map_err(fault)?;
        Ok(Self { name, file: Some(copy), size, is_repeatable: true })
    }

    #[cfg(test)]
    pub(super) fn of_bytes(name: &str, bytes: &[u8]) -> Self {
        let mut file = tempfile::tempfile().expect("a file");
        io::Write::write_all(&mut file, bytes).expect("writes");
        let (name, size) = (name.to_owned(), bytes.len() as u64);
        Self { name, file: Some(file), size, is_repeatable: true }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// The bytes from the beginning.
    pub(super) fn reader(&self) -> Result<Box<dyn Read>, CliError> {
        let Some(file) = &self.file else { return Ok(Box::new(io::stdin())) };
        let fault = |source| CliError::File { what: format!("cannot read {}", self.name), source };
        let mut file = file.try_clone().map_err(fault)?;
        if !self.is_repeatable {
            return Ok(Box::new(file));
        }
        file.rewind().map_err(fault)?;
        Ok(Box::new(file.take(self.size)))
    }
}
