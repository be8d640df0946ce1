//! Reading the tables that `mizan export` wrote, as CSV or as JSON lines.

use crate::error::CliError;
use crate::exit;
use crate::names::parse_number;
use mizan_wire::amount::parse_amount;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// One table, row by row.
pub(super) struct Table {
    path: PathBuf,
    columns: &'static [&'static str],
    rows: Rows,
}

enum Rows {
    /// With the place of each column in the file.
    Csv { records: csv::StringRecordsIntoIter<File>, places: Vec<usize> },
    /// With the number of lines read.
    JsonLines { lines: std::io::Lines<BufReader<File>>, line: u64 },
}

impl Table {
    /// Opens `NAME.csv` or `NAME.jsonl` in a directory; other columns than these are left alone.
    ///
    /// # Errors
    /// Neither is there, or a column is missing.
    pub(super) fn open(
        directory: &Path,
        name: &str,
        columns: &'static [&'static str],
    ) -> Result<Self, CliError> {
        let csv = directory.join(format!("{name}.csv"));
        let (path, is_csv, file) = match File::open(&csv) {
            Ok(file) => (csv, true, file),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let lines = directory.join(format!("{name}.jsonl"));
                let file = File::open(&lines).map_err(|source| CliError::File {
                    what: format!(
                        "cannot read {} or {name}.jsonl: is it a directory that `mizan export` wrote?",
                        csv.display()
                    ),
                    source,
                })?;
                (lines, false, file)
            }
            Err(source) => {
                return Err(CliError::File {
                    what: format!("cannot read {}", csv.display()),
                    source,
                });
            }
        };
        let rows = if is_csv {
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
        Ok(Self { path, columns, rows })
    }

    /// The next row.
    ///
    /// # Errors
    /// The file is no such table.
    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>, CliError> {
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

fn damaged(path: &Path, what: &str) -> CliError {
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
