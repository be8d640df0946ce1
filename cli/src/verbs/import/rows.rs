//! Reading the file: one line at a time, good or bad.

use super::columns::{Column, Columns, has_header};
use crate::args::ImportArgs;
use crate::error::CliError;
use crate::money;
use crate::names::parse_number;
use csv::{ByteRecord, ErrorKind, ReaderBuilder, Trim};
use std::fs::File;
use std::io::Read;
use std::path::Path;

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
    reader: csv::Reader<Box<dyn Read>>,
    record: ByteRecord,
    columns: Columns,
    file_name: String,
    size: u64,
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
        let has_header = has_header(args);
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter(args)?)
            .has_headers(has_header)
            .flexible(true)
            .trim(Trim::All)
            .from_reader(input);
        let header = if has_header {
            let header = reader.byte_headers();
            Some(header.map_err(|error| unreadable(&file_name, error))?.clone())
        } else {
            None
        };
        let columns = Columns::resolve(args, header.as_ref())?;
        Ok(Self { reader, record: ByteRecord::new(), columns, file_name, size })
    }

    /// Bytes of the file; 0 if that is not known.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        self.reader.position().byte()
    }

    /// The next line, or `None` at the end. Only a file that cannot be read is an error.
    pub(super) fn next(&mut self, scale: u8) -> Result<Option<Line>, CliError> {
        let has_record = self.reader.read_byte_record(&mut self.record);
        if !has_record.map_err(|error| unreadable(&self.file_name, error))? {
            return Ok(None);
        }
        let line = self.record.position().map_or(0, csv::Position::line);
        Ok(Some(match parse(&self.columns, &self.record, line, scale) {
            Ok(row) => Line::Good(row),
            Err(reason) => Line::Bad { line, reason },
        }))
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
            Some(parse_number(text).unwrap_or_else(|| mizan_client::names::transfer_id(text)))
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
    read(&text)
        .ok_or_else(|| format!("user data `{text}` is not a number of {} bits", size_of::<T>() * 8))
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

fn unreadable(file_name: &str, error: csv::Error) -> CliError {
    let what = format!("cannot read {file_name}");
    match error.into_kind() {
        ErrorKind::Io(source) => CliError::File { what, source },
        other => CliError::Problem(format!("{what}: {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Verb};
    use clap::Parser;

    fn lines(flags: &str, text: &'static str) -> Vec<Line> {
        let line = format!("mizan import file.csv --currency USD {flags}");
        let args = Args::try_parse_from(line.split_whitespace()).expect("parses");
        let Verb::Import(args) = args.verb else { panic!("not an import") };
        let input = Box::new(text.as_bytes());
        let mut rows = Rows::read(input, &args, "file.csv".to_owned(), 0).expect("opens");
        std::iter::from_fn(|| rows.next(2).expect("reads")).collect()
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
        assert_eq!(reasons[2], (4, "column 3 is empty"));
        assert_eq!(reasons[3], (5, "column 4 is missing: the line has 2"));
        assert_eq!(good(&found[4]).id, "5");
    }

    #[test]
    fn user_data_is_a_number_and_128_bits_may_be_a_hashed_text() {
        let flags = format!("{BY_NAME} --user-data-128-column kind --user-data-32-column n");
        let found = lines(&flags, "id,from,to,amount,kind,n\n1,a,b,1,HH,7\n2,a,b,1,9,x\n");
        let row = good(&found[0]);
        assert_eq!(row.user_data_128, mizan_client::names::transfer_id("HH"));
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
