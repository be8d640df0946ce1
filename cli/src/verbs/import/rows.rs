//! Reading the file: one physical line at a time, good or bad.
//!
//! Invariants: a line is a record, so that a bad line never takes others with it; every record has as many columns as
//! the first one; empty lines count as lines but are no records.

use super::columns::{Column, Columns, check_header, has_header};
use super::record::split;
use crate::args::ImportArgs;
use crate::error::CliError;
use crate::money;
use crate::names::parse_number;
use csv::ByteRecord;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Bytes of the longest line; longer ones are bad lines, so that no file fills the memory.
const LINE_SIZE_MAX: usize = 1 << 20;
/// What some programs write before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A line that can be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Row {
    /// From 1, the header included.
    pub(super) line: u64,
    pub(super) from: String,
    pub(super) to: String,
    /// In smallest units.
    pub(super) amount: u128,
    pub(super) id: String,
    pub(super) user_data_128: u128,
    pub(super) user_data_64: u64,
    pub(super) user_data_32: u32,
}

/// A line of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Line {
    Good(Row),
    Bad { line: u64, reason: String },
}

/// The file.
pub(super) struct Rows {
    lines: PhysicalLines,
    delimiter: u8,
    columns: Columns,
    width: Option<Width>,
    /// Whether the line that was read last is still to be given out.
    is_ahead: bool,
}

/// How many columns every line must have.
#[derive(Clone, Copy)]
struct Width {
    columns: usize,
    /// The line that says so.
    line: u64,
    is_header: bool,
}

impl Width {
    fn check(self, found: usize) -> Result<(), String> {
        if found == self.columns {
            return Ok(());
        }
        let source = match (self.is_header, self.line) {
            (true, _) => "the header".to_owned(),
            (false, 1) => "the first line".to_owned(),
            (false, line) => format!("line {line}"),
        };
        let hint = if found > self.columns {
            "; quote amounts that contain the delimiter"
        } else {
            "; no column may be left away"
        };
        Err(format!("the line has {found} columns, {source} {}{hint}", self.columns))
    }
}

impl Rows {
    pub(super) fn open(args: &ImportArgs) -> Result<Self, CliError> {
        let file_name = args.file.display().to_string();
        if args.file == Path::new("-") {
            return Self::read(Box::new(std::io::stdin()), args, "standard input".to_owned(), 0);
        }
        let fault = |source| CliError::File { what: format!("cannot read {file_name}"), source };
        let file = File::open(&args.file).map_err(fault)?;
        let size = file.metadata().map_err(fault)?.len();
        Self::read(Box::new(file), args, file_name, size)
    }

    fn read(
        input: Box<dyn Read>,
        args: &ImportArgs,
        file_name: String,
        size: u64,
    ) -> Result<Self, CliError> {
        let delimiter = delimiter(args)?;
        let mut lines = PhysicalLines::new(input, file_name, size);
        if !lines.advance()? {
            return Err(CliError::Usage(format!("{}: the file is empty", lines.file_name)));
        }
        let header = has_header(args).then(|| lines.split(delimiter)).transpose();
        let header = header.map_err(|reason| {
            CliError::Usage(format!("{}: the header cannot be read: {reason}", lines.file_name))
        })?;
        if let Some(names) = &header {
            check_header(names)?;
        }
        let columns = Columns::resolve(args, header.as_ref())?;
        let width = header.as_ref().map(|names| Width {
            columns: names.len(),
            line: lines.number,
            is_header: true,
        });
        Ok(Self { lines, delimiter, columns, width, is_ahead: header.is_none() })
    }

    /// Bytes of the file; 0 if that is not known.
    pub(super) const fn size(&self) -> u64 {
        self.lines.size
    }

    /// Bytes read so far.
    pub(super) const fn position(&self) -> u64 {
        self.lines.position
    }

    /// The next line, or `None` at the end. Only a file that cannot be read is an error.
    pub(super) fn next(&mut self, scale: u8) -> Result<Option<Line>, CliError> {
        if !std::mem::take(&mut self.is_ahead) && !self.lines.advance()? {
            return Ok(None);
        }
        let line = self.lines.number;
        Ok(Some(match self.row(scale) {
            Ok(row) => Line::Good(row),
            Err(reason) => Line::Bad { line, reason },
        }))
    }

    fn row(&mut self, scale: u8) -> Result<Row, String> {
        let record = self.lines.split(self.delimiter)?;
        let line = self.lines.number;
        let first = Width { columns: record.len(), line, is_header: false };
        self.width.get_or_insert(first).check(record.len())?;
        parse(&self.columns, &record, line, scale)
    }
}

/// The lines of the file as an editor numbers them.
struct PhysicalLines {
    input: BufReader<Box<dyn Read>>,
    file_name: String,
    size: u64,
    /// Bytes read so far.
    position: u64,
    /// Of the line that was read last, from 1.
    number: u64,
    /// The line that was read last, without its end.
    text: Vec<u8>,
}

impl PhysicalLines {
    fn new(input: Box<dyn Read>, file_name: String, size: u64) -> Self {
        let input = BufReader::new(input);
        Self { input, file_name, size, position: 0, number: 0, text: Vec::new() }
    }

    /// Goes to the next line that is not empty; `false` at the end of the file.
    fn advance(&mut self) -> Result<bool, CliError> {
        loop {
            let size = self.read_line().map_err(|source| CliError::File {
                what: format!("cannot read {}", self.file_name),
                source,
            })?;
            if size == 0 {
                return Ok(false);
            }
            self.position += size;
            self.number += 1;
            if self.number == 1 && self.text.starts_with(BYTE_ORDER_MARK) {
                self.text.drain(..BYTE_ORDER_MARK.len());
            }
            if !self.text.is_empty() {
                return Ok(true);
            }
        }
    }

    /// Reads a line, of an overlong one only the beginning; gives its bytes in the file, 0 at the end of it.
    fn read_line(&mut self) -> std::io::Result<u64> {
        self.text.clear();
        // Room for a byte too many, and for the line's end.
        let limit = LINE_SIZE_MAX as u64 + 2;
        let mut size = (&mut self.input).take(limit).read_until(b'\n', &mut self.text)?;
        if self.text.pop_if(|byte| *byte == b'\n').is_some() {
            self.text.pop_if(|byte| *byte == b'\r');
        } else if self.text.len() > LINE_SIZE_MAX {
            size += self.input.skip_until(b'\n')?;
        }
        Ok(size as u64)
    }

    fn split(&self, delimiter: u8) -> Result<ByteRecord, String> {
        if self.text.len() > LINE_SIZE_MAX {
            return Err(format!("the line is longer than {LINE_SIZE_MAX} bytes"));
        }
        split(&self.text, delimiter, self.number)
    }
}

fn parse(columns: &Columns, record: &ByteRecord, line: u64, scale: u8) -> Result<Row, String> {
    let amount = columns.amount.text(record)?;
    let amount = money::parse(&amount, scale).map_err(|error| error.to_string())?;
    Ok(Row {
        line,
        from: columns.from.text(record)?,
        to: columns.to.text(record)?,
        amount,
        id: columns.id.text(record)?,
        user_data_128: optional(&columns.user_data_128, record, |text| {
            parse_number(text).or_else(|| mizan_client::names::transfer_id(text).ok())
        })?,
        user_data_64: optional(&columns.user_data_64, record, |text| {
            parse_number(text).and_then(|number| u64::try_from(number).ok())
        })?,
        user_data_32: optional(&columns.user_data_32, record, |text| {
            parse_number(text).and_then(|number| u32::try_from(number).ok())
        })?,
    })
}

fn optional<T: Default>(
    column: &Option<Column>,
    record: &ByteRecord,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, String> {
    let Some(column) = column else { return Ok(T::default()) };
    let text = column.text(record)?;
    read(&text).ok_or_else(|| {
        let (label, bits) = (column.label(), size_of::<T>() * 8);
        format!("{label}: user data `{text}` is not a number of {bits} bits")
    })
}

fn delimiter(args: &ImportArgs) -> Result<u8, CliError> {
    let extension = args.file.extension().and_then(|extension| extension.to_str());
    let is_tabbed = extension.is_some_and(|extension| {
        ["tsv", "tab"].iter().any(|known| extension.eq_ignore_ascii_case(known))
    });
    match args.delimiter.as_deref() {
        None => Ok(if is_tabbed { b'\t' } else { b',' }),
        Some("tab" | "\\t") => Ok(b'\t'),
        Some(text) => match text.as_bytes() {
            [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Ok(*byte),
            _ => Err(CliError::Usage(format!(
                "--delimiter is `{text}`: write one ASCII character, or `tab`"
            ))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Verb};
    use clap::Parser;

    fn open(flags: &str, text: impl Into<Vec<u8>>) -> Result<Rows, CliError> {
        let line = format!("mizan import file.csv --currency USD {flags}");
        let args = Args::try_parse_from(line.split_whitespace()).expect("parses");
        let Verb::Import(args) = args.verb else { panic!("not an import") };
        let input = Box::new(std::io::Cursor::new(text.into()));
        Rows::read(input, &args, "file.csv".to_owned(), 0)
    }

    fn lines(flags: &str, text: impl Into<Vec<u8>>) -> Vec<Line> {
        let mut rows = open(flags, text).expect("opens");
        std::iter::from_fn(|| rows.next(2).expect("reads")).collect()
    }

    fn bad(line: &Line) -> (u64, &str) {
        match line {
            Line::Good(row) => panic!("{row:?} is good"),
            Line::Bad { line, reason } => (*line, reason),
        }
    }

    const BY_NUMBER: &str = "--id-column 1 --from-column 2 --to-column 3,4 --amount-column 5";
    const BY_NAME: &str = "--id-column id --from-column from --to-column to --amount-column amount";

    fn good(line: &Line) -> &Row {
        match line {
            Line::Good(row) => row,
            Line::Bad { line, reason } => panic!("line {line}: {reason}"),
        }
    }

    #[test]
    fn a_file_without_a_header_is_read_from_its_first_line() {
        let found = lines(BY_NUMBER, "1,9,YZ,77,245.20\n2,9,ST,78,\"1,000.00\"\n");
        assert_eq!(found.len(), 2);
        let first = good(&found[0]);
        assert_eq!((first.line, first.from.as_str(), first.to.as_str()), (1, "9", "YZ/77"));
        assert_eq!((first.amount, good(&found[1]).amount), (24_520, 100_000));
    }

    #[test]
    fn columns_given_by_name_make_the_first_line_a_header() {
        let found = lines(BY_NAME, "amount,id,to,from\n 5 , a , b , c \n");
        let row = good(&found[0]);
        assert_eq!((row.line, row.id.as_str(), row.from.as_str()), (2, "a", "c"));
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_header_that_is_not_announced_is_a_bad_line_and_not_silently_skipped() {
        let found = lines(BY_NUMBER, "id,from,bank,to,amount\n1,9,YZ,77,1\n");
        assert!(matches!(&found[0], Line::Bad { line: 1, .. }), "{found:?}");
        assert_eq!(good(&found[1]).amount, 100);
    }

    #[test]
    fn bad_lines_carry_number_and_reason_and_the_others_go_on() {
        let text = "id,from,to,amount\n1,a,b,1.005\n2,a,b,-1\n3,a,,1\n4,a\n5,a,b,1\n";
        let found = lines(BY_NAME, text);
        let reasons: Vec<(u64, &str)> = found
            .iter()
            .filter_map(|line| match line {
                Line::Bad { line, reason } => Some((*line, reason.as_str())),
                Line::Good(_) => None,
            })
            .collect();
        assert_eq!(reasons.len(), 4);
        assert!(reasons[0].0 == 2 && reasons[0].1.contains("more than 2 decimal places"));
        assert!(reasons[1].0 == 3 && reasons[1].1.contains("negative"));
        assert_eq!(reasons[2], (4, "column 3 (to) is empty"));
        let short = "the line has 2 columns, the header 4; no column may be left away";
        assert_eq!(reasons[3], (5, short));
        assert_eq!(good(&found[4]).id, "5");
    }

    #[test]
    fn an_amount_that_its_own_comma_splits_is_a_bad_line_and_not_a_thousandth() {
        let found = lines(BY_NAME, "id,from,to,amount\n1,a,b,1,000.00\n2,a,b,\"1,000.00\"\n");
        let reason =
            "the line has 5 columns, the header 4; quote amounts that contain the delimiter";
        assert_eq!(bad(&found[0]), (2, reason));
        assert_eq!(good(&found[1]).amount, 100_000);
        let found = lines(BY_NUMBER, "1,a,YZ,b,1\n2,a,YZ,b,1,000.00\n");
        assert_eq!(good(&found[0]).amount, 100);
        assert!(bad(&found[1]).1.starts_with("the line has 6 columns, the first line 5; quote"));
    }

    #[test]
    fn a_quote_that_is_not_closed_costs_its_own_line_only() {
        let text = "id,from,to,amount\n1,\"a,b,1\n\n2,a,b,2\n3,a,b,\"3";
        let found = lines(BY_NAME, text);
        assert_eq!(found.len(), 3);
        assert_eq!(bad(&found[0]), (2, "a quote opened in line 2 is not closed"));
        assert_eq!((good(&found[1]).line, good(&found[1]).amount), (4, 200));
        assert_eq!(bad(&found[2]), (5, "a quote opened in line 5 is not closed"));
    }

    #[test]
    fn a_mark_before_the_first_line_and_other_line_ends_do_not_matter() {
        let found = lines(BY_NAME, "\u{FEFF}id,from,to,amount\r\n\r\n1,a,b,1\r\n2,a,b,2");
        assert_eq!((good(&found[0]).line, good(&found[0]).amount), (3, 100));
        assert_eq!((good(&found[1]).line, good(&found[1]).amount), (4, 200));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn an_overlong_line_is_a_bad_line_and_the_next_one_is_read() {
        for (length, is_good) in
            [(LINE_SIZE_MAX, true), (LINE_SIZE_MAX + 1, false), (3 << 20, false)]
        {
            let line = "1".repeat(length - 6) + ",a,b,1";
            let found = lines(BY_NAME, format!("id,from,to,amount\n{line}\n2,a,b,2\n"));
            assert_eq!(matches!(found[0], Line::Good(_)), is_good, "{length}");
            assert_eq!((found.len(), good(&found[1]).line), (2, 3));
        }
    }

    #[test]
    fn an_empty_file_and_an_ambiguous_header_are_usage_errors_that_say_so() {
        for (text, reason) in [
            ("", "the file is empty"),
            ("\n\r\n", "the file is empty"),
            ("id,from,to,amount,amount\n", "columns 4 and 5 both `amount`"),
            ("id,from,to,\"amount\n", "a quote opened in line 1 is not closed"),
        ] {
            let Err(error) = open(BY_NAME, text) else { panic!("{text:?} opens") };
            assert!(matches!(&error, CliError::Usage(_)));
            assert!(error.to_string().contains(reason), "{text:?}: {error}");
        }
        assert!(open(BY_NUMBER, "").is_err());
    }

    #[test]
    fn user_data_is_a_number_and_128_bits_may_be_a_hashed_text() {
        let flags = format!("{BY_NAME} --user-data-128-column kind --user-data-32-column n");
        let found = lines(&flags, "id,from,to,amount,kind,n\n1,a,b,1,HH,7\n2,a,b,1,9,x\n");
        let row = good(&found[0]);
        assert_eq!(Ok(row.user_data_128), mizan_client::names::transfer_id("HH"));
        assert_eq!(row.user_data_32, 7);
        assert!(matches!(&found[1], Line::Bad { reason, .. } if reason.contains("32 bits")));
    }

    #[test]
    fn the_delimiter_follows_the_extension_unless_it_is_given() {
        let with = |file: &str, flags: &str| {
            let line = format!("mizan import {file} --currency USD {BY_NUMBER} {flags}");
            let args = Args::try_parse_from(line.split_whitespace()).expect("parses");
            let Verb::Import(args) = args.verb else { panic!("not an import") };
            delimiter(&args)
        };
        assert_eq!(with("a.csv", "").expect("comma"), b',');
        assert_eq!(with("a.TSV", "").expect("tab"), b'\t');
        assert_eq!(with("a.txt", "--delimiter ;").expect("given"), b';');
        assert_eq!(with("a.csv", "--delimiter tab").expect("given"), b'\t');
        assert!(with("a.csv", "--delimiter ;;").is_err());
    }
}
