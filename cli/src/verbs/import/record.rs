//! The records of a file, after RFC 4180: a field in quotes may contain the delimiter, doubled quotes and line breaks.
//!
//! The records are read by the `csv` crate, which forgives much; because the fields are about money, a guard looks at
//! the bytes first and forgives nothing. It finds where a record ends, and which fields were quoted.
//!
//! Invariants: whatever could be read in two ways is refused. A fault after which nobody knows where the next record
//! begins (a quote that is not closed, text behind a closing quote) ends the reading: what follows may be the inside of
//! a field. Any other fault costs its own record. No record takes more memory than [`RECORD_SIZE_MAX`]. Blanks around
//! fields do not count, those within quotes do. Empty lines are no records.
//!
//! What is absent: other ways to escape than the doubled quote.

use super::guard::{CARRIAGE_RETURN, Guard, Scanned};
use super::source::fault;
use crate::error::CliError;
use crate::text_file::{SAMPLE_SIZE, wrong_kind};
use csv::{ByteRecord, Reader, ReaderBuilder, Terminator};
use std::io::{self, BufRead, BufReader, Read};

/// Bytes of the longest record; longer ones are refused, so that no file fills the memory.
pub(super) const RECORD_SIZE_MAX: usize = 1 << 20;
/// What some programs write before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One record: its fields, without the blanks around those that were not quoted.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    fields: ByteRecord,
    /// Which fields were quoted; empty if none was.
    quoted: Vec<bool>,
}

impl Record {
    /// The number of fields.
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// A field by its index.
    pub(super) fn get(&self, index: usize) -> Option<&[u8]> {
        let field = self.fields.get(index)?;
        let is_quoted = self.quoted.get(index).copied().unwrap_or(false);
        Some(if is_quoted { field } else { field.trim_ascii() })
    }

    /// All fields in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

#[cfg(test)]
impl From<Vec<&[u8]>> for Record {
    fn from(fields: Vec<&[u8]>) -> Self {
        Self { quoted: vec![true; fields.len()], fields: ByteRecord::from(fields) }
    }
}

/// What stands next in the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// A record; [`Records::record`] has it.
    Record,
    /// A record that cannot be read. The next one can.
    Bad(String),
    /// Nothing behind this line can be told apart.
    Stop { line: u64, reason: String },
    /// The end of the file.
    End,
}

/// A file of records.
pub(super) struct Records {
    input: BufReader<Box<dyn Read>>,
    file_name: String,
    delimiter: u8,
    /// Bytes read so far.
    position: u64,
    /// Of the line that was read last, from 1.
    line: u64,
    /// Of the first line of the record that was read last.
    record_line: u64,
    /// Whether the file ended before that line did.
    is_unterminated: bool,
    /// The record that was read last as it stands in the file, without its end.
    raw: Vec<u8>,
    guard: Guard,
    csv: Reader<Feed>,
    record: Record,
}

/// How the reading of a line went.
struct Physical {
    /// Bytes in the file, 0 at its end.
    size: u64,
    /// Where the line's own end begins in the raw record.
    content_end: usize,
    /// Whether the line was longer than a record may be; the rest was passed over.
    is_overlong: bool,
    /// Whether there was a quote in what was passed over.
    hides_quotes: bool,
}

impl Records {
    /// Looks at the file's first bytes.
    pub(super) fn open(
        input: Box<dyn Read>,
        file_name: String,
        delimiter: u8,
    ) -> Result<Self, CliError> {
        let mut input = BufReader::with_capacity(1 << 16, input);
        let first = input.fill_buf().map_err(|error| fault(&file_name, error))?;
        if let Some(kind) = wrong_kind(&first[..first.len().min(SAMPLE_SIZE)]) {
            return Err(CliError::Usage(format!("{file_name}: {kind}")));
        }
        let csv = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .terminator(Terminator::Any(b'\n'))
            .from_reader(Feed::default());
        let (raw, guard, record) = (Vec::new(), Guard::default(), Record::default());
        let (position, line, record_line) = (0, 0, 0);
        Ok(Self {
            input,
            file_name,
            delimiter,
            position,
            line,
            record_line,
            is_unterminated: false,
            raw,
            guard,
            csv,
            record,
        })
    }

    pub(super) fn file_name(&self) -> &str {
        &self.file_name
    }

    /// Bytes read so far.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// The first line of the record that was read last, from 1, as an editor numbers them.
    pub(super) const fn record_line(&self) -> u64 {
        self.record_line
    }

    /// Whether the file ends within the record that was read last: its line has no end.
    pub(super) const fn is_unterminated(&self) -> bool {
        self.is_unterminated
    }

    /// The record that was read last.
    pub(super) const fn record(&self) -> &Record {
        &self.record
    }

    /// The record that was read last as it stands in the file.
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Passes over so many lines, whatever they contain; gives them.
    pub(super) fn skip(&mut self, count: u64) -> Result<Vec<u8>, CliError> {
        let mut skipped = Vec::new();
        for _ in 0..count {
            self.raw.clear();
            let line = self.read_line()?;
            if skipped.len() + self.raw.len() > RECORD_SIZE_MAX {
                return Err(CliError::Usage(format!(
                    "{}: the lines that --skip passes over are longer than {RECORD_SIZE_MAX} bytes",
                    self.file_name
                )));
            }
            if line.size == 0 {
                break;
            }
            skipped.append(&mut self.raw);
        }
        Ok(skipped)
    }

    /// Reads on to the next record.
    pub(super) fn advance(&mut self) -> Result<Found, CliError> {
        loop {
            self.raw.clear();
            let line = self.read_line()?;
            self.record_line = self.line;
            if line.size == 0 {
                return Ok(Found::End);
            }
            if line.is_overlong || line.content_end > RECORD_SIZE_MAX {
                return Ok(self.overlong(&line));
            }
            if line.content_end > 0 {
                return self.read_record(line.content_end);
            }
        }
    }

    fn overlong(&self, line: &Physical) -> Found {
        let reason = format!("the line is longer than {RECORD_SIZE_MAX} bytes");
        if line.hides_quotes || self.raw.contains(&b'"') {
            let line = self.line;
            return Found::Stop { line, reason: format!("{reason}, and has quotes") };
        }
        Found::Bad(reason)
    }

    fn read_record(&mut self, mut content_end: usize) -> Result<Found, CliError> {
        if !self.raw[..content_end].contains(&b'"') {
            self.raw.truncate(content_end);
            if self.raw.contains(&b'\r') {
                return Ok(Found::Bad(CARRIAGE_RETURN.to_owned()));
            }
            self.record.quoted.clear();
            self.csv.get_mut().push(&self.raw);
            return self.parse();
        }
        self.guard.start();
        let mut from = 0;
        loop {
            let content = &self.raw[from..content_end];
            match self.guard.scan(content, self.delimiter, self.line) {
                Scanned::Complete => break,
                Scanned::Stop(reason) => return Ok(Found::Stop { line: self.line, reason }),
                Scanned::Open => {}
            }
            // The line's end belongs to the field.
            let end = &self.raw[content_end..];
            self.guard.clean.extend_from_slice(end);
            from = self.raw.len();
            let line = self.read_line()?;
            if line.size == 0 || line.is_overlong || self.raw.len() > RECORD_SIZE_MAX {
                let opened = self.guard.opened_line;
                let within = if line.size == 0 {
                    String::new()
                } else {
                    format!(" within {RECORD_SIZE_MAX} bytes")
                };
                let reason = format!("a quote opened in line {opened} is not closed{within}");
                return Ok(Found::Stop { line: opened, reason });
            }
            content_end = line.content_end;
        }
        self.raw.truncate(content_end);
        if let Some(fault) = self.guard.fault.take() {
            return Ok(Found::Bad(fault));
        }
        self.record.quoted.clone_from(&self.guard.quoted);
        self.csv.get_mut().push(&self.guard.clean);
        self.parse()
    }

    fn parse(&mut self) -> Result<Found, CliError> {
        let is_there = self
            .csv
            .read_byte_record(&mut self.record.fields)
            .map_err(|error| CliError::Problem(format!("{}: {error}", self.file_name)))?;
        let quoted = self.record.quoted.len();
        if !is_there || !self.csv.get_ref().is_empty() || ![0, self.record.len()].contains(&quoted)
        {
            let reason = "the record can be read in two ways".to_owned();
            return Ok(Found::Stop { line: self.record_line, reason });
        }
        Ok(Found::Record)
    }

    /// Appends the next line with its end to the raw record; of an overlong one only the beginning.
    fn read_line(&mut self) -> Result<Physical, CliError> {
        let line = self.read_physical().map_err(|error| fault(&self.file_name, error))?;
        self.is_unterminated = line.size > 0 && !line.is_overlong && !self.raw.ends_with(b"\n");
        self.position += line.size;
        self.line += u64::from(line.size > 0);
        Ok(line)
    }

    fn read_physical(&mut self) -> io::Result<Physical> {
        let start = self.raw.len();
        // Room for a byte too many, and for the line's end.
        let limit = RECORD_SIZE_MAX as u64 + 2;
        let mut size = (&mut self.input).take(limit).read_until(b'\n', &mut self.raw)? as u64;
        if self.line == 0 && self.raw.starts_with(BYTE_ORDER_MARK) {
            self.raw.drain(..BYTE_ORDER_MARK.len());
        }
        let mut content_end = self.raw.len();
        let (mut is_overlong, mut hides_quotes) = (false, false);
        if self.raw[start..].ends_with(b"\n") {
            content_end -= 1;
            content_end -= usize::from(self.raw[start..content_end].ends_with(b"\r"));
        } else if content_end - start > RECORD_SIZE_MAX {
            is_overlong = true;
            let (skipped, quotes) = skip_line(&mut self.input)?;
            size += skipped;
            hides_quotes = quotes;
        }
        Ok(Physical { size, content_end, is_overlong, hides_quotes })
    }
}

/// Passes over the rest of a line; gives its bytes, and whether there was a quote among them.
fn skip_line(input: &mut impl BufRead) -> io::Result<(u64, bool)> {
    let (mut size, mut has_quotes) = (0, false);
    loop {
        let buffer = match input.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = buffer.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let count = end.unwrap_or(buffer.len());
        has_quotes |= buffer[..count].contains(&b'"');
        input.consume(count);
        size += count as u64;
        if end.is_some() || count == 0 {
            return Ok((size, has_quotes));
        }
    }
}

/// One record at a time for the `csv` crate.
#[derive(Default)]
struct Feed {
    bytes: Vec<u8>,
    start: usize,
}

impl Feed {
    fn push(&mut self, record: &[u8]) {
        self.bytes.clear();
        self.start = 0;
        self.bytes.extend_from_slice(record);
        self.bytes.push(b'\n');
    }

    fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = (&self.bytes[self.start..]).read(buffer)?;
        self.start += size;
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &[u8], delimiter: u8) -> Records {
        let input = Box::new(io::Cursor::new(text.to_vec()));
        Records::open(input, "file.csv".to_owned(), delimiter).expect("opens")
    }

    /// Everything found with its line; records as texts.
    fn all(text: &str) -> Vec<(u64, Result<Vec<String>, Found>)> {
        let mut records = open(text.as_bytes(), b',');
        let mut all = Vec::new();
        loop {
            let found = records.advance().expect("reads");
            let is_last = matches!(found, Found::Stop { .. });
            match found {
                Found::End => return all,
                Found::Record => {
                    let texts = records.record().iter();
                    let texts = texts.map(|field| String::from_utf8_lossy(field).into_owned());
                    all.push((records.record_line(), Ok(texts.collect())));
                }
                other => all.push((records.record_line(), Err(other))),
            }
            if is_last {
                return all;
            }
        }
    }

    fn fields(text: &str) -> Vec<String> {
        let mut all = all(text);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0).1.expect("a record")
    }

    #[test]
    fn quoted_fields_may_contain_delimiters_quotes_line_breaks_and_blanks_around_them() {
        let found = fields("a ,\"1,000.00\" , \"say \"\"x\"\"\", ");
        assert_eq!(found, ["a", "1,000.00", "say \"x\"", ""]);
        assert_eq!(fields("a,\"b\nc\r\n\r\nd\"\r\n"), ["a", "b\nc\r\n\r\nd"]);
    }

    #[test]
    fn blanks_within_quotes_belong_to_the_field_and_others_do_not() {
        assert_eq!(fields(" a ,\" a \",  \" a\"  ,\ta\t"), ["a", " a ", " a", "a"]);
    }

    #[test]
    fn a_tab_that_delimits_is_no_blank() {
        let mut records = open(b"a\t\t \"b\"\t", b'\t');
        assert_eq!(records.advance().expect("reads"), Found::Record);
        let found: Vec<&[u8]> = records.record().iter().collect();
        assert_eq!(found, [&b"a"[..], b"", b"b", b""]);
    }

    #[test]
    fn lines_are_counted_as_an_editor_does_also_within_fields() {
        let found = all("\n\na,\"b\n\nc\"\r\n\nd\n");
        let lines: Vec<u64> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 7]);
    }

    #[test]
    fn a_fault_that_hides_where_the_next_record_begins_ends_the_reading() {
        for (text, line, reason) in [
            ("x\na,\"b\nc\nd\n", 2, "a quote opened in line 2 is not closed"),
            ("a,\"b\nc\",\"d\ne\n", 2, "a quote opened in line 2 is not closed"),
            ("a,\"b\"\"", 1, "a quote opened in line 1 is not closed"),
            ("a,\"b\"c\nd\n", 1, "text follows the closing quote of column 2"),
            // The quote of the first line meets that of the second.
            ("a,\"b\nc,\"d\"\ne\n", 2, "text follows the closing quote of column 2"),
        ] {
            let found = all(text);
            let stop = Found::Stop { line, reason: reason.to_owned() };
            assert_eq!(found.last().map(|(_, last)| last), Some(&Err(stop)), "{text:?}");
        }
    }

    #[test]
    fn a_fault_within_an_unquoted_field_costs_its_own_record_and_no_other() {
        for (text, reason) in [
            ("a,b\",c\nd\n", "a quote stands within column 2"),
            ("a\rb,c\nd\n", "a carriage return"),
            // What stands behind the fault still says where the record ends.
            ("5\" pipe,\"x\np-2,y\n\"\nd\n", "a quote stands within column 1"),
        ] {
            let found = all(text);
            assert_eq!(found.len(), 2, "{text:?}: {found:?}");
            let Err(Found::Bad(said)) = &found[0].1 else { panic!("{text:?}: {found:?}") };
            assert!(said.starts_with(reason), "{text:?}: {said}");
            assert_eq!(found[1].1, Ok(vec!["d".to_owned()]), "{text:?}");
        }
    }

    #[test]
    fn no_record_is_longer_than_memory_allows_and_an_overlong_one_with_quotes_ends_the_reading() {
        let long = "1".repeat(RECORD_SIZE_MAX + 1);
        let found = all(&format!("{long}\nb\n"));
        assert!(matches!(&found[0].1, Err(Found::Bad(_))) && found[1].1.is_ok());
        let far = "1".repeat(3 << 20);
        for text in [
            format!("{far}\"\nb\n"),
            format!("\"{long}\nb\n"),
            format!("a,\"{}\n\"\nb", "x\n".repeat(1 << 20)),
        ] {
            let found = all(&text);
            assert!(matches!(&found[..], [(_, Err(Found::Stop { .. }))]), "{found:?}");
        }
    }

    /// All texts of up to seven characters: what is accepted is what the format's usual reader finds at that place.
    #[test]
    fn every_short_text_that_is_accepted_is_read_as_the_format_says() {
        let mut texts = vec![String::new()];
        let mut accepted = 0;
        for _ in 0..7 {
            texts = texts
                .iter()
                .flat_map(|text| ["a", ",", "\"", "\n"].map(|next| format!("{text}{next}")))
                .collect();
            for text in &texts {
                let mut reader = ReaderBuilder::new()
                    .has_headers(false)
                    .flexible(true)
                    .buffer_capacity(64)
                    .from_reader(text.as_bytes());
                let mut expected = reader.records();
                for (_, found) in all(text) {
                    let expected = expected.next().expect("a record").expect("reads");
                    match found {
                        Ok(found) => {
                            assert_eq!(found, expected.iter().collect::<Vec<_>>(), "{text:?}");
                        }
                        Err(_) => assert!(text.contains('"'), "{text:?}"),
                    }
                    accepted += 1;
                }
                let stopped = matches!(all(text).last(), Some((_, Err(Found::Stop { .. }))));
                assert!(stopped || expected.next().is_none(), "{text:?}");
            }
        }
        assert!(accepted > 10_000, "only {accepted} records were compared");
    }
}
