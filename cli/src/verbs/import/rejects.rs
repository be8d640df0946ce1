//! The file of the lines that were not paid: with the same flags it can be imported once the cause is mended.
//!
//! Invariants: a line's attempt grows only when the node has said that the id of the attempt before is spent, and so can
//! never be paid. Attempts are numbered from 0, each has an id that follows from the line's own and its number, and the
//! number in the file is only the last one that may be tried: so of all attempts of a line at most one is ever paid, in
//! whatever order and however often files and their rejects are imported, and on whatever node. A line with another number
//! of columns than the file has never becomes one that can be paid by what is added here: behind a header it has the wrong
//! number of columns still, and without one each added field begins with its own name, which no line may have outside
//! of the column of attempts. The file appears under its name when the import is complete, and never replaces another one.
//!
//! What is absent: lines whose fate is unknown or that were not sent; the same import again settles them.

use super::columns::ATTEMPT;
use super::record::{RECORD_SIZE_MAX, Record};
use super::rows::{Rows, delimiter, usual_delimiter};
use crate::args::ImportArgs;
use crate::error::CliError;
use crate::exit;
use csv::{ByteRecord, QuoteStyle, Writer, WriterBuilder};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The column with the number of the line in the file that it comes from.
const LINE: &str = "mizan_line";
/// The column that says why the line was not paid.
const REASON: &str = "mizan_reason";

/// Names that are tried for a file of rejects if the one that was given is taken meanwhile.
const NAMES_MAX: u32 = 100;

/// What a file of rejects needs of a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Kept {
    /// Its fields, and which attempt it is.
    Fields { fields: ByteRecord, attempt: u32 },
    /// A line that could not be split.
    Raw(Vec<u8>),
    /// A line that was too long to be kept.
    TooLong,
}

impl Kept {
    pub(super) fn fields(record: &Record, attempt: u32) -> Self {
        Self::Fields { fields: record.iter().collect(), attempt }
    }

    pub(super) fn raw(text: &[u8]) -> Self {
        if text.len() > RECORD_SIZE_MAX { Self::TooLong } else { Self::Raw(text.to_vec()) }
    }

    /// Bytes in memory.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Fields { fields, .. } => fields.as_slice().len(),
            Self::Raw(text) => text.len(),
            Self::TooLong => 0,
        }
    }
}

/// Where the three columns of a file of rejects stand; those that are not there are added behind the others.
#[derive(Clone, Copy, Debug, Default)]
struct Layout {
    attempt: Option<usize>,
    line: Option<usize>,
    reason: Option<usize>,
}

/// A file of rejects that is being written.
pub(super) struct Rejects {
    path: PathBuf,
    file: NamedTempFile,
    writer: Writer<File>,
    delimiter: u8,
    /// Whether the name of the file says another one.
    needs_delimiter: bool,
    layout: Layout,
    has_header: bool,
    /// Lines in it.
    pub(super) count: u64,
    /// Lines that were too long to be kept.
    pub(super) left_away: u64,
}

impl Rejects {
    /// Begins a file beside the place where it will stand.
    ///
    /// # Errors
    /// There is a file of that name, or none can be made there.
    pub(super) fn create(path: &Path, rows: &Rows, args: &ImportArgs) -> Result<Self, CliError> {
        let delimiter = delimiter(args)?;
        if path.symlink_metadata().is_ok() {
            return Err(CliError::Usage(format!(
                "--rejects: {} is there already: name another file, or move that one away",
                path.display()
            )));
        }
        let fault = |source| fault(path, source);
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let file = tempfile::Builder::new()
            .prefix(".mizan-rejects-")
            .tempfile_in(directory.unwrap_or(Path::new(".")))
            .map_err(fault)?;
        let mut target = file.as_file().try_clone().map_err(fault)?;
        // So that the same flags fit both files.
        target.write_all(rows.skipped()).map_err(fault)?;
        let writer = WriterBuilder::new()
            .delimiter(delimiter)
            // A field without quotes would lose its blanks.
            .quote_style(QuoteStyle::Always)
            .flexible(true)
            .has_headers(false)
            .from_writer(target);
        let named = |name: &str| rows.header()?.iter().position(|column| column == name.as_bytes());
        let mut layout =
            Layout { attempt: rows.attempt(), line: named(LINE), reason: named(REASON) };
        if rows.header().is_none() {
            layout.line = layout.attempt.map(|index| index + 1);
            layout.reason = layout.attempt.map(|index| index + 2);
        }
        let has_header = rows.header().is_some();
        let (path, count, left_away) = (path.to_owned(), 0, 0);
        let needs_delimiter = args.delimiter.is_none() && usual_delimiter(&path) != delimiter;
        let mut rejects = Self {
            path,
            file,
            writer,
            delimiter,
            needs_delimiter,
            layout,
            has_header,
            count,
            left_away,
        };
        if let Some(header) = rows.header() {
            let fields = header.iter().map(Vec::as_slice).collect();
            let names = [ATTEMPT, LINE, REASON];
            let kept = rejects.layout;
            // The names that are there stay as they are.
            let record = place(&fields, kept, names, true);
            rejects.writer.write_byte_record(&record).map_err(|error| fault(error.into()))?;
        }
        Ok(rejects)
    }

    /// Writes a line; `is_spent` says that the node has the id of its attempt as spent.
    pub(super) fn add(
        &mut self,
        line: u64,
        reason: &str,
        kept: &Kept,
        is_spent: bool,
    ) -> Result<(), CliError> {
        let path = &self.path;
        let added = |name: &str, text: String| {
            if self.has_header { text } else { format!("{name}={text}") }
        };
        let (line, reason) = (added(LINE, line.to_string()), added(REASON, reason.to_owned()));
        let written = match kept {
            Kept::TooLong => {
                self.left_away += 1;
                return Ok(());
            }
            Kept::Fields { fields, attempt } => {
                let attempt = attempt.saturating_add(u32::from(is_spent)).to_string();
                let attempt = added(ATTEMPT, attempt);
                let record = place(fields, self.layout, [&attempt, &line, &reason], false);
                self.writer.write_byte_record(&record).map_err(Into::into)
            }
            Kept::Raw(text) => {
                // What cannot be split is left as it is; in a file of rejects it has its three columns already.
                let more = match self.layout.attempt {
                    Some(_) => "\n".to_owned(),
                    None => {
                        let (mark, reason) =
                            (char::from(self.delimiter), reason.replace('"', "\"\""));
                        let attempt = added(ATTEMPT, "0".to_owned());
                        format!("{mark}{attempt}{mark}{line}{mark}\"{reason}\"\n")
                    }
                };
                self.writer.flush().and_then(|()| {
                    let mut file = self.writer.get_ref();
                    file.write_all(text).and_then(|()| file.write_all(more.as_bytes()))
                })
            }
        };
        written.map_err(|source| fault(path, source))?;
        self.count += 1;
        Ok(())
    }

    /// Gives the file its name, if there is a line in it; says how it is imported. `width` is the number of columns of
    /// a line that can be paid.
    pub(super) fn finish(mut self, width: usize) -> Result<Option<String>, CliError> {
        if self.count == 0 {
            return Ok(None);
        }
        // What was paid stays paid: a file that cannot be written now is no mistake of whoever typed the command.
        let failed = |source: &io::Error| {
            let path = self.path.display();
            let text = format!("cannot write the rejects to {path}: {source}");
            CliError::failed(exit::RESOURCE, text)
        };
        self.writer.flush().map_err(|error| failed(&error))?;
        self.file.as_file().sync_all().map_err(|error| failed(&error))?;
        let (mut file, mut path) = (self.file, self.path.clone());
        for number in 1..=NAMES_MAX {
            match file.persist_noclobber(&path) {
                Ok(_) => break,
                // Somebody made one while the import ran: the lines must not be lost for that.
                Err(error)
                    if error.error.kind() == io::ErrorKind::AlreadyExists && number < NAMES_MAX =>
                {
                    file = error.file;
                    path = self.path.clone();
                    path.as_mut_os_string().push(format!(".{number}"));
                }
                Err(error) => return Err(failed(&error.error)),
            }
        }
        let mut flags = String::new();
        if !self.has_header && self.layout.attempt.is_none() {
            flags.push_str(&format!(" and --attempt-column {}", width + 1));
        }
        if self.needs_delimiter {
            let mark = if self.delimiter == b'\t' { "tab" } else { "," };
            flags.push_str(&format!(" and --delimiter {mark}"));
        }
        let lines = if self.count == 1 { "line is" } else { "lines are" };
        Ok(Some(format!(
            "{} {lines} in {}: mend what {REASON} says, leave ids and attempts as they are, and import that file with the same flags{flags}",
            self.count,
            path.display()
        )))
    }
}

/// A record with the three columns in their places, those that have none behind the others.
fn place(fields: &ByteRecord, layout: Layout, texts: [&str; 3], keeps: bool) -> ByteRecord {
    let places = [layout.attempt, layout.line, layout.reason];
    let mut all: Vec<&[u8]> = fields.iter().collect();
    for (place, text) in places.into_iter().zip(texts) {
        match place.and_then(|place| all.get_mut(place)) {
            Some(_) if keeps => {}
            Some(field) => *field = text.as_bytes(),
            None => all.push(text.as_bytes()),
        }
    }
    all.into_iter().collect()
}

fn fault(path: &Path, source: io::Error) -> CliError {
    CliError::File { what: format!("cannot write the rejects to {}", path.display()), source }
}
