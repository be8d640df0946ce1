//! Reading the tables that `mizan export` wrote, as CSV or as JSON lines.
//!
//! Invariant: what is read has an end, and no row of it takes more memory than a row of an export could.

use crate::error::CliError;
use crate::exit;
use crate::names::parse_number;
use mizan_wire::amount::parse_amount;
use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::str::FromStr;

/// What one row may take at the most: an export's rows have less than a kilobyte.
const ROW_SIZE_MAX: usize = 64 << 10;

/// The tables of an export.
pub(super) struct Source {
    pub(super) directory: PathBuf,
    /// `csv` or `jsonl`.
    pub(super) ending: &'static str,
}

/// One table, row by row.
pub(super) struct Table {
    path: PathBuf,
    columns: &'static [&'static str],
    /// Bytes that may be read before the next row is complete.
    left: Rc<Cell<usize>>,
    rows: Rows,
}

enum Rows {
    /// With the place of each column in the file.
    Csv { records: csv::StringRecordsIntoIter<Bounded>, places: Vec<usize> },
    /// With the number of lines read.
    JsonLines { lines: std::io::Lines<BufReader<Bounded>>, line: u64 },
}

/// A file of which a single row cannot fill the memory.
struct Bounded {
    file: File,
    left: Rc<Cell<usize>>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            let text = format!("a row is longer than {ROW_SIZE_MAX} bytes");
            return Err(std::io::Error::new(ErrorKind::InvalidData, text));
        }
        let size = buffer.len().min(left);
        let count = self.file.read(&mut buffer[..size])?;
        self.left.set(left - count);
        Ok(count)
    }
}

/// Opens a file that has an end.
///
/// # Errors
/// It is a device, a pipe or a directory, or cannot be opened.
pub(super) fn open_regular(path: &Path) -> Result<File, CliError> {
    let failed =
        |source| CliError::File { what: format!("cannot read {}", path.display()), source };
    // Before it is opened, which would wait for the other end of a pipe; and again, since it may be another one by then.
    let is_regular = std::fs::metadata(path).map_err(failed)?.is_file();
    let file = is_regular.then(|| File::open(path)).transpose().map_err(failed)?;
    let file = file.filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()));
    file.ok_or_else(|| damaged(path, "it is no regular file"))
}

impl Table {
    /// Opens a table of an export; other columns than these are left alone.
    ///
    /// # Errors
    /// It is not there, or a column is missing.
    pub(super) fn open(
        source: &Source,
        name: &str,
        columns: &'static [&'static str],
    ) -> Result<Self, CliError> {
        let path = source.directory.join(name).with_extension(source.ending);
        let left = Rc::new(Cell::new(ROW_SIZE_MAX));
        let file = Bounded { file: open_regular(&path)?, left: Rc::clone(&left) };
        let rows = if source.ending == "csv" {
            let mut reader = csv::Reader::from_reader(file);
            let headers = reader.headers().map_err(|error| damaged(&path, &error.to_string()))?;
            let place = |column: &&str| {
                let found = headers.iter().position(|header| header == *column);
                found.ok_or_else(|| damaged(&path, &format!("there is no column {column}")))
            };
            let places = columns.iter().map(place).collect::<Result<_, _>>()?;
            Rows::Csv { records: reader.into_records(), places }
        } else {
            Rows::JsonLines { lines: BufReader::new(file).lines(), line: 0 }
        };
        Ok(Self { path, columns, left, rows })
    }

    /// The next row.
    ///
    /// # Errors
    /// The file is no such table.
    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>, CliError> {
        self.left.set(ROW_SIZE_MAX);
        let (line, fields) = match &mut self.rows {
            Rows::Csv { records, places } => {
                let Some(record) = records.next() else { return Ok(None) };
                let record = record.map_err(|error| damaged(&self.path, &error.to_string()))?;
                let line = record.position().map_or(0, csv::Position::line);
                // The reader gives only records as long as the header.
                (line, places.iter().map(|place| record[*place].to_owned()).collect())
            }
            Rows::JsonLines { lines, line } => {
                let Some(text) = lines.next() else { return Ok(None) };
                *line += 1;
                let said = |error: String| damaged(&self.path, &format!("line {line}: {error}"));
                let text = text.map_err(|error| said(error.to_string()))?;
                let mut object: HashMap<String, String> =
                    serde_json::from_str(&text).map_err(|error| said(error.to_string()))?;
                let mut field = |column: &&str| {
                    object.remove(*column).ok_or_else(|| said(format!("there is no {column}")))
                };
                let fields = self.columns.iter().map(&mut field).collect::<Result<_, _>>()?;
                (*line, fields)
            }
        };
        Ok(Some(Row { path: &self.path, columns: self.columns, line, fields }))
    }
}

/// An export that was cut or changed, or is none.
pub(super) fn damaged(path: &Path, what: &str) -> CliError {
    CliError::failed(exit::CORRUPT, format!("{}: {what}", path.display()))
}

/// The fields of one row, by the names of their columns.
pub(super) struct Row<'a> {
    path: &'a Path,
    columns: &'static [&'static str],
    line: u64,
    fields: Vec<String>,
}

impl Row<'_> {
    /// A row that contradicts itself or another one.
    pub(super) fn wrong(&self, what: &str) -> CliError {
        damaged(self.path, &format!("line {}: {what}", self.line))
    }

    pub(super) fn text(&self, column: &str) -> &str {
        let place = self.columns.iter().position(|known| *known == column);
        &self.fields[place.expect("invariant: the table was opened with this column")]
    }

    pub(super) fn number<T: FromStr>(&self, column: &str) -> Result<T, CliError> {
        let text = self.text(column);
        text.parse().map_err(|_| self.wrong(&format!("{column}: `{text}` is no such number")))
    }

    pub(super) fn id(&self, column: &str) -> Result<u128, CliError> {
        let text = self.text(column);
        parse_number(text).ok_or_else(|| self.wrong(&format!("{column}: `{text}` is no id")))
    }

    /// An id that may be missing.
    pub(super) fn id_or_zero(&self, column: &str) -> Result<u128, CliError> {
        if self.text(column).is_empty() { Ok(0) } else { self.id(column) }
    }

    /// An amount in smallest units.
    pub(super) fn amount(&self, column: &str, scale: u8) -> Result<u128, CliError> {
        let text = self.text(column);
        parse_amount(text, scale)
            .map_err(|error| self.wrong(&format!("{column}: `{text}`: {error}")))
    }

    /// Flags joined by `|`.
    pub(super) fn flags(&self, column: &str, known: &[(&str, u16)]) -> Result<u16, CliError> {
        let names = self.text(column).split('|').filter(|name| !name.is_empty());
        let mut flags = 0;
        for name in names {
            let found = known.iter().find(|(known, _)| *known == name);
            let (_, bit) = found
                .ok_or_else(|| self.wrong(&format!("{column}: no flag is called `{name}`")))?;
            flags |= bit;
        }
        Ok(flags)
    }
}
